//! What a plan states, in words that its table, its page and its comparison share.

use catalogs::Digest;
use catalogs::digest::Tag;
use runtime::circuit::lower::Comparisons;
use runtime::graph::Clamp;
use runtime::plan::{ChoiceRecord, FormatsRecord, Measured, ModelRecord, PartiesRecord, Plan, SiteRecord};
use runtime::transport::SideBySide;
use std::collections::BTreeMap;

/// Who owns what.
pub fn parties(parties: &PartiesRecord) -> String {
    let PartiesRecord { model, input, output } = parties;
    format!("party {model} owns the model, party {input} owns the inputs, party {output} learns the outputs")
}

/// What every input lies in.
pub fn inputs(model: &ModelRecord) -> String {
    let own = model.input_boxes.iter().map(|(name, [low, high])| format!(", {name} in [{low}, {high}]"));
    let norm = model.row_norm.map_or(String::new(), |norm| format!(", rows of norm {norm} at most"));
    format!("[{}, {}]{norm}{}", model.input_box[0], model.input_box[1], own.collect::<String>())
}

/// Ring and scales, the parts of rounds, and how many values have narrower rings.
pub fn formats(formats: &FormatsRecord) -> String {
    let FormatsRecord { ring, activations, weights, rings, tile_bytes } = formats;
    let parts = tile_bytes.map_or(String::new(), |bytes| format!(", messages in parts of {bytes} bytes"));
    let all = format!("ring of {ring} bits, {activations} fraction bits, weights {weights}{parts}");
    let fewer = rings.iter().filter(|own| *own < ring).count();
    match rings.iter().min() {
        Some(least) if fewer > 0 => {
            format!("{all}, {fewer} of {} sums and entries with fewer than {ring} bits, down to {least}", rings.len())
        }
        _ => all,
    }
}

/// How many runs are side by side, behind the seconds of one; empty where they follow one after the other.
pub fn side_by_side(runs: SideBySide) -> String {
    if runs.is_one() { String::new() } else { format!(", {runs} side by side") }
}

/// Extents of dynamic axes; empty where there are none.
pub fn axes(model: &ModelRecord) -> String {
    model.axes.iter().map(|(name, extent)| format!("{name} = {extent}")).collect::<Vec<_>>().join(", ")
}

/// The digest of the weights, after the plan's; empty where the plan does not name them.
pub fn weights(model: &ModelRecord) -> String {
    model.weights_digest.as_ref().map_or(String::new(), |digest| format!(", weights {digest:.12}"))
}

/// Inputs that everybody knows, with digests of their values; empty where there are none.
pub fn public_inputs(model: &ModelRecord) -> String {
    let line = |(name, values): (&String, &Vec<f64>)| {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        format!("{name} ({}, digest {})", counted(values.len(), "value"), Digest::of(Tag::Plan, &bytes).short())
    };
    model.public_inputs.iter().map(line).collect::<Vec<_>>().join(", ")
}

/// The certified error of a site, marked where it holds for some rows only.
pub fn certified(site: &SiteRecord) -> String {
    format!("{:.2e}{}", site.certified_error, if site.least_variance > 0.0 { " *" } else { "" })
}

/// What the marks of [`certified`] stand for, a phrase for each variance.
pub fn conditions(plan: &Plan) -> Vec<String> {
    let mut sites: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for site in plan.site.iter().filter(|site| site.least_variance > 0.0) {
        sites.entry(format!("{:e}", site.least_variance)).or_default().push(&site.name);
    }
    let phrase = |(least, names): (String, Vec<&str>)| {
        format!(
            "* certified for rows whose variance is at least {least} and for no others, which nobody checks in a run: {}",
            names.join(", ")
        )
    };
    sites.into_iter().map(phrase).collect()
}

/// The predicted error of the output: none in a plan that was not predicted, or that does not say.
pub fn predicted_error(plan: &Plan) -> Option<f64> {
    let predicted = told(plan) && plan.site.iter().all(|site| site.effect.is_some());
    predicted.then_some(plan.predicted.error)
}

/// Whether the plan says what was measured; a discreet one does not.
pub fn told(plan: &Plan) -> bool {
    plan.measured.inputs > 0
}

/// Whether sensitivities and effects were measured: not in a quick plan.
pub fn sensed(plan: &Plan) -> bool {
    told(plan) && plan.site.iter().any(|site| site.effect.is_some() || site.sensitivity > 0.0)
}

/// The entries of a choice, in a few words.
pub fn entries(choice: &ChoiceRecord) -> String {
    match choice {
        ChoiceRecord::Unary { entry } => entry.name.clone(),
        ChoiceRecord::Softmax { maximum, exp, reciprocal, normalise_last } => {
            let last = if *normalise_last { ", divided last" } else { "" };
            format!("{} + {} + {}{last}", exp.name, reciprocal.name, comparisons(maximum))
        }
        ChoiceRecord::SoftmaxWithoutMaximum { logits, exp, reciprocal, normalise_last } => {
            let last = if *normalise_last { ", divided last" } else { "" };
            let raised = if logits.raised > 0 { format!(", raised by 2^{}", logits.raised) } else { String::new() };
            let within = format!("no maximum: logits within {} to {}{raised}", logits.low, logits.high);
            format!("{} + {} + {within}{last}", exp.name, reciprocal.name)
        }
        ChoiceRecord::Normalisation { rsqrt, centre_exactly } => {
            format!("{}{}", rsqrt.name, if *centre_exactly { ", exact centre" } else { "" })
        }
        ChoiceRecord::Maximum { maximum } => comparisons(maximum),
    }
}

fn comparisons(maximum: &Comparisons) -> String {
    let groups: Vec<String> = maximum.groups.iter().map(u8::to_string).collect();
    let joined = if maximum.joined > 1 { format!(", {} joined", maximum.joined) } else { String::new() };
    let coarse = if maximum.coarse > 0 { format!(" without {}", maximum.coarse) } else { String::new() };
    format!("maximum of {} bits{coarse} by {}{joined}", maximum.width, groups.join(", "))
}

/// A limited argument: what becomes of the function beyond its bounds, and what that costs.
pub fn clamp(clamp: &Clamp) -> String {
    let bound = |bound: Option<f64>| bound.map_or_else(|| "-".to_owned(), |bound| bound.to_string());
    let beyond = match clamp.off {
        Some(off) if clamp.kept => format!("kept beyond, off by at most {off:.1e}"),
        _ => "CUT: beyond, this is another model".to_owned(),
    };
    format!(
        "{} to {}, {beyond}; {} bits, {} rounds, {:.1} KiB",
        bound(clamp.low),
        bound(clamp.high),
        clamp.width,
        clamp.rounds,
        clamp.bytes as f64 / 1024.0
    )
}

/// `1 plan`, `2 plans`.
pub fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// What was measured, in a line.
pub fn simulation(measured: &Measured) -> String {
    if measured.inputs == 0 {
        return "what was measured is left out".into();
    }
    let cosine = measured.cosine.map(|cosine| format!(", least cosine {cosine:.8}"));
    let metric = measured.metric.map(|(plain, private)| format!(", metric {private:.4} beside the plain {plain:.4}"));
    let others: String = [cosine, metric].into_iter().flatten().collect();
    format!(
        "measured on {} calibration inputs, roundings {}: error {:.2e}, agreement {:.4}{others} ({} simulated)",
        measured.inputs,
        measured.roundings.join(", "),
        measured.error,
        measured.agreement,
        counted(measured.candidates_tried, "plan"),
    )
}
