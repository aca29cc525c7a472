//! What differs between two plans of one model: choices, and what they cost and certify.

use super::{UNCHECKED, entries, words};
use crate::failure::Failure;
use crate::report::table;
use runtime::plan::{Plan, SiteRecord};
use serde::Serialize;
use std::collections::BTreeSet;

/// A site whose choices differ.
#[derive(Serialize)]
pub struct Site {
    /// Its name in the model.
    pub name: String,
    /// What it evaluates.
    pub kind: String,
    /// In the first plan and in the second.
    pub chosen: [String; 2],
    /// Certified errors.
    pub certified_error: [f64; 2],
    /// The variances of rows from which on they hold; 0 for all rows.
    pub least_variance: [f64; 2],
    /// Rounds on the critical path.
    pub rounds: [u64; 2],
    /// Payload bytes of a run.
    pub bytes: [u64; 2],
}

/// What else the plans state differently.
#[derive(Serialize)]
pub struct Term {
    /// What it is about.
    pub what: String,
    /// In the first plan and in the second.
    pub stated: [String; 2],
}

/// Two plans side by side.
#[derive(Serialize)]
pub struct Difference {
    /// Digests of the plans.
    pub plans: [String; 2],
    /// Inputs of a run.
    pub batch: [usize; 2],
    /// Rounds of a run.
    pub rounds: [u64; 2],
    /// Bytes of a run, all parties.
    pub bytes: [u64; 2],
    /// Predicted seconds of a run, each under its own network.
    pub predicted_seconds: [f64; 2],
    /// The networks.
    pub network: [String; 2],
    /// Errors measured on the calibration set, where the plans say.
    pub measured_error: [Option<f64>; 2],
    /// What else differs: parties, promises, rings, clamps and the like.
    pub terms: Vec<Term>,
    /// Sites in all.
    pub sites: usize,
    /// Those that differ.
    pub differing: Vec<Site>,
}

/// Compares plans of one model, at any batch sizes.
pub fn of(plans: [&Plan; 2]) -> Result<Difference, Failure> {
    let [first, second] = plans;
    let names = |plan: &Plan| -> Vec<(String, String)> {
        plan.site.iter().map(|site| (site.name.clone(), site.kind.clone())).collect()
    };
    if names(first) != names(second) {
        return Err(Failure::input(format!(
            "the plans are for different models: {} with {} sites, {} with {} sites",
            first.model.name,
            first.site.len(),
            second.model.name,
            second.site.len()
        )));
    }
    let both = |of: fn(&SiteRecord) -> u64, a: &SiteRecord, b: &SiteRecord| [of(a), of(b)];
    // Costs of other batches differ everywhere, and say nothing of a site.
    let same_batch = first.model.batch == second.model.batch;
    let same = |a: &SiteRecord, b: &SiteRecord| {
        let proved = |site: &SiteRecord| (site.certified_error, site.least_variance);
        let cost = |site: &SiteRecord| (site.rounds, site.bytes, site.elements);
        a.choice == b.choice && proved(a) == proved(b) && (!same_batch || cost(a) == cost(b))
    };
    let differing = first.site.iter().zip(&second.site).filter(|(a, b)| !same(a, b));
    let differing = differing.map(|(a, b)| Site {
        name: a.name.clone(),
        kind: a.kind.clone(),
        chosen: choices([a, b]),
        certified_error: [a.certified_error, b.certified_error],
        least_variance: [a.least_variance, b.least_variance],
        rounds: both(|site| site.rounds, a, b),
        bytes: both(|site| site.bytes, a, b),
    });
    Ok(Difference {
        plans: plans.map(|plan| plan.digest().to_string()),
        batch: plans.map(|plan| plan.model.batch),
        rounds: plans.map(|plan| plan.predicted.rounds_per_run),
        bytes: plans.map(|plan| plan.predicted.bytes_per_run),
        predicted_seconds: plans.map(|plan| plan.predicted.seconds_per_run),
        network: plans.map(|plan| plan.predicted.network.clone()),
        measured_error: plans.map(|plan| words::told(plan).then_some(plan.measured.error)),
        terms: terms(plans),
        sites: first.site.len(),
        differing: differing.collect(),
    })
}

/// A certified error with its condition.
fn certified(site: &Site, side: usize) -> String {
    let (error, least) = (site.certified_error[side], site.least_variance[side]);
    let condition = if least > 0.0 { format!(" from variance {least:e} on") } else { String::new() };
    format!("{error:.2e}{condition}")
}

/// The choices of a site in words; entries of one name with other digests are told apart by these.
fn choices(sites: [&SiteRecord; 2]) -> [String; 2] {
    let words = sites.map(|site| entries(&site.choice));
    if words[0] != words[1] || sites[0].choice == sites[1].choice {
        return words;
    }
    let digests = sites.map(|site| -> Vec<String> {
        site.choice.entries().into_iter().map(|entry| entry.digest.chars().take(12).collect()).collect()
    });
    [0, 1].map(|side| format!("{} (digests {})", words[side], digests[side].join(", ")))
}

/// Whatever is stated outside of the sites and is not the same.
fn terms(plans: [&Plan; 2]) -> Vec<Term> {
    let told = |plan: &Plan| -> Vec<(&str, String)> {
        let (model, predicted) = (&plan.model, &plan.predicted);
        let rings: Vec<String> = plan.formats.rings.iter().map(u8::to_string).collect();
        let error = words::predicted_error(plan).map_or("none".to_owned(), |error| format!("{error:.2e}"));
        vec![
            ("model", model.name.clone()),
            ("parties", words::parties(&plan.parties)),
            ("inputs", words::inputs(model)),
            ("runs side by side", model.side_by_side.to_string()),
            ("axes", words::axes(model)),
            ("public inputs", words::public_inputs(model)),
            ("formats", words::formats(&plan.formats)),
            ("rings", rings.join(" ")),
            ("network", predicted.network.clone()),
            ("machine", predicted.machine.clone().unwrap_or_default()),
            ("bytes of weights", predicted.weight_bytes.to_string()),
            ("bytes of memory", predicted.memory_bytes.map_or(String::new(), |bytes| bytes.to_string())),
            ("predicted error", error),
            ("measured", words::simulation(&plan.measured)),
        ]
    };
    let mut terms: Vec<Term> = Vec::new();
    let mut compare = |what: &str, stated: [String; 2]| {
        if stated[0] != stated[1] {
            let stated = stated.map(|words| if words.is_empty() { "none".to_owned() } else { words });
            terms.push(Term { what: what.to_owned(), stated });
        }
    };
    for ((what, first), (_, second)) in told(plans[0]).into_iter().zip(told(plans[1])) {
        compare(what, [first, second]);
    }
    let clamped: BTreeSet<(usize, &str)> =
        plans.iter().flat_map(|plan| &plan.model.clamps).map(|clamp| (clamp.site, clamp.name.as_str())).collect();
    for (site, name) in clamped {
        let own = |plan: &Plan| {
            let clamp = plan.model.clamps.iter().find(|clamp| (clamp.site, clamp.name.as_str()) == (site, name));
            clamp.map_or(String::new(), words::clamp)
        };
        compare(&format!("clamp of {name}"), plans.map(own));
    }
    // That of another batch is another one anyway.
    let structures = plans.map(|plan| plan.model.structure.chars().take(12).collect::<String>());
    if plans[0].model.batch == plans[1].model.batch {
        compare("structure", structures);
        compare(
            "weights",
            plans.map(|plan| plan.model.weights_digest.iter().flat_map(|digest| digest.chars().take(12)).collect()),
        );
    }
    terms
}

/// As a page: every difference on two lines, the first plan's above.
pub fn text(difference: &Difference) -> String {
    let mut rows = Vec::new();
    for site in &difference.differing {
        for side in 0..2 {
            rows.push(vec![
                if side == 0 { format!("- {}", site.kind) } else { "+".into() },
                certified(site, side),
                site.rounds[side].to_string(),
                format!("{:.1}", site.bytes[side] as f64 / 1024.0),
                site.chosen[side].clone(),
            ]);
        }
    }
    let mut out = match difference.differing.len() {
        0 => format!("all {} sites have the same choices and certified errors\n", difference.sites),
        count => format!("{count} of {} sites differ\n", difference.sites),
    };
    for term in &difference.terms {
        out.push_str(&format!("{}\n- {}\n+ {}\n", term.what, term.stated[0], term.stated[1]));
    }
    if !rows.is_empty() {
        out.push_str(&table(&["site", ">certified", ">rounds", ">KiB", "chosen"], &rows));
    }
    for (side, sign) in ["-", "+"].into_iter().enumerate() {
        out.push_str(&format!(
            "{sign} {}: {} inputs a run, {} rounds, {:.2} MB, {:.3} s under {} (predicted), {}\n",
            &difference.plans[side][..12],
            difference.batch[side],
            difference.rounds[side],
            difference.bytes[side] as f64 / 1e6,
            difference.predicted_seconds[side],
            difference.network[side],
            difference.measured_error[side]
                .map_or("what was measured is left out".to_owned(), |error| format!("error {error:.2e} (measured)")),
        ));
    }
    out.push_str(UNCHECKED);
    out.push('\n');
    out
}
