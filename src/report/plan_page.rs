//! A plan as a page: what is run, what every site costs, where the error comes from, and what was chosen.

use super::bars::{self, Name, Panel, bytes};
use super::markup::{Element, element};
use super::numbers::{grouped, significant};
use super::page::{document, fact, paragraph, section};
use crate::commands::plan::{UNCHECKED, counted, entries, words};
use runtime::plan::{Plan, SiteRecord};

/// The page.
pub fn page(plan: &Plan) -> String {
    let (predicted, measured) = (&plan.predicted, &plan.measured);
    let kicker = element("p").class("kicker").text(format!(
        "plan {}{} · protocol {} · {} a run",
        plan.digest().short(),
        words::weights(&plan.model),
        plan.protocol,
        counted(plan.model.batch, "input")
    ));
    // A discreet plan does not say what was measured.
    let told = |text: String| if words::told(plan) { text } else { "left out".to_owned() };
    let error = words::predicted_error(plan).map_or("not predicted".to_owned(), |error| format!("{error:.2e}"));
    let seconds = format!("seconds a run{}, predicted", words::side_by_side(plan.model.side_by_side));
    let facts = [
        ("rounds a run, exact", grouped(i128::from(predicted.rounds_per_run))),
        ("bytes a run, exact", bytes(predicted.bytes_per_run as f64)),
        (&seconds, significant(predicted.seconds_per_run, 4)),
        ("output error, measured", told(format!("{:.2e}", measured.error))),
        ("output error, predicted", told(error)),
        ("agreement, measured", told(format!("{:.2} %", 100.0 * measured.agreement))),
        ("network", predicted.network.clone()),
        ("sites", plan.site.len().to_string()),
    ];
    let facts = element("dl").class("facts").all(facts.map(|(name, value)| fact(name, value)));
    let words = "Certified is what is proved for every input that the plan allows and every rounding; where a certified error is \
                 marked with *, for rows of at least the variance that is named below the table. Predicted follows from a \
                 model: seconds from the counted work and a machine's rates; the output's error adds up the sites' effects, \
                 each how far a site's choice alone moves the output on a few calibration inputs, and what the circuit \
                 beside the sites adds. Measured is what the calibration set showed in bit-exact simulation.";
    let machine = predicted.machine.as_ref().map(|machine| paragraph(format!("Seconds are those of: {machine}.")));
    let body = element("main")
        .with(kicker)
        .with(element("h1").text(&plan.model.name))
        .with(facts)
        .with(paragraph(words))
        .with(paragraph(UNCHECKED))
        .maybe(machine)
        .with(section("What every site costs, and what it does to the output", [costs(plan)]))
        .with(section("What was chosen", chosen(plan)))
        .maybe(limited(plan))
        .with(section("Who owns what, and how it is computed", terms(plan)))
        .with(section("What is promised of the inputs", promises(plan)))
        .with(
            element("footer")
                .with(paragraph(format!("Made by chebyshare {} from the plan's file.", env!("CARGO_PKG_VERSION")))),
        );
    document(&format!("Plan of {}", plan.model.name), body)
}

/// Bars: rounds, bytes, and where it was predicted what each site does to the output.
fn costs(plan: &Plan) -> Element {
    let error = |site: &SiteRecord| site.effect.unwrap_or(0.0);
    let of = |value: &dyn Fn(&SiteRecord) -> f64| plan.site.iter().map(|site| vec![value(site)]).collect();
    let sums = |value: &dyn Fn(&SiteRecord) -> f64| plan.site.iter().map(value).sum::<f64>();
    let mut panels = vec![
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
    ];
    let predicted = words::predicted_error(plan).is_some();
    if predicted {
        panels.push(Panel {
            head: format!("effects, {:.1e} together", sums(&error)),
            values: of(&error),
            number: |error| format!("{error:.1e}"),
        });
    }
    let name = |site: &SiteRecord| Name { text: format!("{} ({})", site.name, site.kind), strong: true };
    let names: Vec<Name> = plan.site.iter().map(name).collect();
    let keys = ["of one site; rounds of sites that run side by side are shared"];
    let title = if predicted { "rounds, bytes and effect by site" } else { "rounds and bytes by site" };
    let (chart, _) = bars::chart(title, &names, &panels, &keys);
    let figure = element("figure").with(element("div").class("scroll").with(chart));
    let silent = match words::told(plan) {
        true => "Effects were not predicted.",
        false => "What the sites do to the output is left out of the file.",
    };
    figure.maybe((!predicted).then(|| paragraph(silent)))
}

/// The table of the sites, and what its marks stand for.
fn chosen(plan: &Plan) -> Vec<Element> {
    let conditions = words::conditions(plan).into_iter().map(paragraph);
    std::iter::once(table(plan)).chain(conditions).collect()
}

/// Arguments that are limited.
fn limited(plan: &Plan) -> Option<Element> {
    let clamps = &plan.model.clamps;
    let lines = clamps.iter().map(|clamp| paragraph(format!("{}: {}.", clamp.name, words::clamp(clamp))));
    (!clamps.is_empty()).then(|| section("What is limited, because no entry's window reaches as far", lines))
}

/// Parties, rings, axes and public inputs.
fn terms(plan: &Plan) -> Vec<Element> {
    let mut all = vec![
        paragraph(format!("{}.", words::parties(&plan.parties))),
        paragraph(format!("{}.", words::formats(&plan.formats))),
    ];
    let model = &plan.model;
    for (what, words) in [("Axes", words::axes(model)), ("Known to everybody", words::public_inputs(model))] {
        if !words.is_empty() {
            all.push(paragraph(format!("{what}: {words}.")));
        }
    }
    all
}

fn table(plan: &Plan) -> Element {
    let head = ["site", "elements", "certified", "calibrated", "sensitivity", "admissible", "chosen"];
    let (told, sensed) = (words::told(plan), words::sensed(plan));
    let figure = |known: bool, value: f64| match (told, known) {
        (false, _) => "left out".to_owned(),
        (true, false) => "not measured".to_owned(),
        (true, true) => format!("{value:.2e}"),
    };
    let cell = |text: String, number: bool| {
        let cell = element("td").text(text);
        if number { cell.class("number") } else { cell }
    };
    let row = |site: &SiteRecord| {
        element("tr").all([
            cell(site.name.clone(), false).with(element("span").class("note").text(&site.kind)),
            cell(grouped(i128::from(site.elements)), true),
            cell(words::certified(site), true),
            cell(figure(true, site.calibrated_error), true),
            cell(figure(sensed, site.sensitivity), true),
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
    use crate::commands::plan::Standing;
    use crate::report::markup::well_formed;
    use runtime::circuit::lower::Logits;
    use runtime::graph::Clamp;
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

    /// What a certified error depends on is told wherever it is told, and so is what is not known.
    #[test]
    fn conditions_and_gaps_are_told() {
        let shipped = Plan::parse(include_str!("../../examples/plans/digits_vit.plan.toml")).unwrap();
        let shown = |plan: &Plan| [page(plan), crate::commands::plan::text(plan, Standing::Stated)];
        for text in shown(&shipped) {
            assert!(!text.contains("* certified for rows"), "{text}");
            assert!(text.contains("party 1 owns the inputs, party 1 learns the outputs"), "{text}");
            assert!(text.contains(UNCHECKED) && !text.contains("not predicted"), "{text}");
        }
        let mut plan = shipped.clone();
        let norm = plan.site.iter().position(|site| site.kind == "layer norm").unwrap();
        plan.site[norm].least_variance = 0.0625;
        let clamp = |off: Option<f64>| Clamp {
            site: 0,
            name: "limited".into(),
            low: Some(-9.0),
            high: None,
            width: 32,
            kept: off.is_some(),
            off,
            rounds: 9,
            bytes: 99,
        };
        plan.model.clamps = vec![clamp(None), clamp(Some(0.0))];
        for text in shown(&plan) {
            assert!(text.contains(&format!("{:.2e} *", plan.site[norm].certified_error)), "{text}");
            assert!(text.contains("variance is at least 6.25e-2 and for no others"), "{text}");
            assert!(text.contains("-9 to -, CUT") && text.contains("-9 to -, kept beyond"), "{text}");
        }
        // A discreet plan and a quick one have no figures where none are known.
        for text in shown(&shipped.clone().discreet()) {
            assert!(text.contains("left out") && !text.contains("error 0.0"), "{text}");
        }
        let mut quick = shipped;
        quick.predicted.error = 0.0;
        quick.site.iter_mut().for_each(|site| (site.effect, site.sensitivity) = (None, 0.0));
        for text in shown(&quick) {
            assert!(text.contains("not predicted") && !text.contains("predicted error 0"), "{text}");
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
