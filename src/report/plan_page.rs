//! A plan as a page: what is run, what every site costs, where the error comes from, and what was chosen.

use super::bars::{self, Name, Panel, bytes};
use super::markup::{Element, element};
use super::numbers::{grouped, significant};
use super::page::{document, fact, paragraph, section};
use crate::commands::plan::{counted, entries};
use runtime::plan::{Plan, SiteRecord};

/// The page.
pub fn page(plan: &Plan) -> String {
    let (predicted, measured) = (&plan.predicted, &plan.measured);
    let kicker = element("p").class("kicker").text(format!(
        "plan {} · protocol {} · {} a run",
        plan.digest().short(),
        plan.protocol,
        counted(plan.model.batch, "input")
    ));
    // A discreet plan does not say what was measured.
    let told = |text: String| if measured.inputs > 0 { text } else { "left out".to_owned() };
    let fewest = plan.formats.rings.iter().min().copied().unwrap_or(plan.formats.ring);
    let facts = [
        ("rounds a run, exact", grouped(i128::from(predicted.rounds_per_run))),
        ("bytes a run, exact", bytes(predicted.bytes_per_run as f64)),
        ("seconds a run, predicted", significant(predicted.seconds_per_run, 4)),
        ("output error, measured", told(format!("{:.2e}", measured.error))),
        ("output error, predicted", told(format!("{:.2e}", predicted.error))),
        ("agreement, measured", told(format!("{:.2} %", 100.0 * measured.agreement))),
        ("network", predicted.network.clone()),
        (
            "bits of a ring",
            if fewest < plan.formats.ring { format!("{fewest} to {}", plan.formats.ring) } else { fewest.to_string() },
        ),
        ("sites", plan.site.len().to_string()),
    ];
    let facts = element("dl").class("facts").all(facts.map(|(name, value)| fact(name, value)));
    let words = "Certified is what is proved for every input that the plan allows and every rounding. Predicted follows \
                 from a model: seconds from the counted work and a machine's rates, errors from certified errors times \
                 sensitivities. Measured is what the calibration set showed in bit-exact simulation.";
    let machine = predicted.machine.as_ref().map(|machine| paragraph(format!("Seconds are those of: {machine}.")));
    let body = element("main")
        .with(kicker)
        .with(element("h1").text(&plan.model.name))
        .with(facts)
        .with(paragraph(words))
        .maybe(machine)
        .with(section("What every site costs, and what it does to the output", [costs(plan)]))
        .with(section("What was chosen", [table(plan)]))
        .with(section("What is promised of the inputs", promises(plan)))
        .with(element("footer").with(paragraph(format!(
            "Made by chebyshare {} from the plan's file. Every party checks the plan again before it runs: entries by \
             digest and proof, costs and certified errors by recomputation.",
            env!("CARGO_PKG_VERSION")
        ))));
    document(&format!("Plan of {}", plan.model.name), body)
}

/// Bars: rounds, bytes, and the predicted share of the output's error.
fn costs(plan: &Plan) -> Element {
    // Plans of earlier versions have no effects.
    let error = |site: &SiteRecord| site.effect.unwrap_or(site.calibrated_error * site.sensitivity);
    let of = |value: &dyn Fn(&SiteRecord) -> f64| plan.site.iter().map(|site| vec![value(site)]).collect();
    let sums = |value: &dyn Fn(&SiteRecord) -> f64| plan.site.iter().map(value).sum::<f64>();
    let panels = [
        Panel {
            head: format!("{} rounds at sites", significant(sums(&|site| site.rounds as f64), 6)),
            values: of(&|site| site.rounds as f64),
            number: |rounds| significant(rounds, 6),
        },
        Panel {
            head: format!("{} at sites", bytes(sums(&|site| site.bytes as f64))),
            values: of(&|site| site.bytes as f64),
            number: bytes,
        },
        Panel {
            head: format!("predicted error {:.1e}", sums(&error)),
            values: of(&error),
            number: |error| format!("{error:.1e}"),
        },
    ];
    let name = |site: &SiteRecord| Name { text: format!("{} ({})", site.name, site.kind), strong: true };
    let names: Vec<Name> = plan.site.iter().map(name).collect();
    let keys = ["of one site; rounds of sites that run side by side are shared"];
    let (chart, _) = bars::chart("rounds, bytes and predicted error by site", &names, &panels, &keys);
    element("figure").with(element("div").class("scroll").with(chart))
}

fn table(plan: &Plan) -> Element {
    let head = ["site", "elements", "certified", "calibrated", "sensitivity", "admissible", "chosen"];
    let cell = |text: String, number: bool| {
        let cell = element("td").text(text);
        if number { cell.class("number") } else { cell }
    };
    let row = |site: &SiteRecord| {
        element("tr").all([
            cell(site.name.clone(), false).with(element("span").class("note").text(&site.kind)),
            cell(grouped(i128::from(site.elements)), true),
            cell(format!("{:.2e}", site.certified_error), true),
            cell(format!("{:.2e}", site.calibrated_error), true),
            cell(format!("{:.2e}", site.sensitivity), true),
            cell(site.admissible.to_string(), true),
            cell(entries(&site.choice), false),
        ])
    };
    let number = |index: usize| (1..6).contains(&index);
    let heads = head.into_iter().enumerate().map(|(index, name)| {
        let cell = element("th").text(name);
        if number(index) { cell.class("number") } else { cell }
    });
    let table = element("table")
        .with(element("thead").with(element("tr").all(heads)))
        .with(element("tbody").all(plan.site.iter().map(row)));
    element("div").class("scroll").with(table)
}

fn promises(plan: &Plan) -> Vec<Element> {
    let [low, high] = plan.model.input_box;
    let mut all = vec![paragraph(format!(
        "Every input element lies in [{}, {}]; windows and widths are proved for all of them, and the owner of the inputs \
         refuses others.",
        significant(low, 6),
        significant(high, 6)
    ))];
    if let Some(norm) = plan.model.row_norm {
        all.push(paragraph(format!("Every row of an input has at most the Euclidean norm {}.", significant(norm, 6))));
    }
    for (name, [low, high]) in &plan.model.input_boxes {
        all.push(paragraph(format!("{name} lies in [{}, {}].", significant(*low, 6), significant(*high, 6))));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::markup::well_formed;
    use runtime::circuit::lower::Logits;
    use runtime::plan::ChoiceRecord;

    #[test]
    fn shipped_plans_make_pages() {
        for text in [
            include_str!("../../examples/plans/digits_vit.plan.toml"),
            include_str!("../../examples/plans/digits_cnn.plan.toml"),
        ] {
            let plan = Plan::parse(text).unwrap();
            let page = page(&plan);
            well_formed(page.trim_start_matches("<!DOCTYPE html>\n")).unwrap();
            assert!(plan.site.iter().all(|site| page.contains(&entries(&site.choice))));
            assert!(page.contains(&plan.digest().short()));
        }
    }

    #[test]
    fn a_softmax_without_maximum_tells_its_bounds() {
        let mut plan = Plan::parse(include_str!("../../examples/plans/digits_vit.plan.toml")).unwrap();
        let bounded = |choice: &ChoiceRecord| match choice.clone() {
            ChoiceRecord::Softmax { exp, reciprocal, normalise_last, .. } => {
                let logits = Logits { low: -1.75, high: 1.5, raised: 2 };
                Some(ChoiceRecord::SoftmaxWithoutMaximum { logits, exp, reciprocal, normalise_last })
            }
            _ => None,
        };
        let site = plan.site.iter().position(|site| bounded(&site.choice).is_some()).unwrap();
        plan.site[site].choice = bounded(&plan.site[site].choice).unwrap();
        assert!(page(&plan).contains("no maximum: logits within -1.75 to 1.5, raised by 2^2"));
        assert_eq!(Plan::parse(&plan.to_text()).unwrap(), plan);
    }
}
