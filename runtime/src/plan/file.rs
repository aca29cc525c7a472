//! The plan's file: TOML, written and read in one canonical form.

use super::{InputPromise, Refusal};
use crate::circuit::lower::{Comparisons, Logits};
use crate::graph::{Axes, Clamp};
use crate::transport::SideBySide;
use crate::trust::{self, Admission};
use crate::tuner::Verdict;
use catalogs::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// A choice for every site of a model, with why.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The format's version: 1.
    pub version: u32,
    /// The protocol.
    pub protocol: String,
    /// What is run.
    pub model: ModelRecord,
    /// Who owns what, by party number.
    pub parties: PartiesRecord,
    /// Rings and scales.
    pub formats: FormatsRecord,
    /// What follows from the choices.
    pub predicted: Predicted,
    /// What the calibration set showed; a discreet plan does not say.
    #[serde(default, skip_serializing_if = "Measured::is_untold")]
    pub measured: Measured,
    /// The choices.
    pub site: Vec<SiteRecord>,
}

/// What is run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRecord {
    /// The file's name, for people.
    pub name: String,
    /// Digest of the public structure at this batch.
    pub structure: String,
    /// Digest of the weights; a discreet plan does not name them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights_digest: Option<String>,
    /// Inputs of one run.
    pub batch: usize,
    /// Runs that a session executes side by side, as far as it has so many inputs.
    #[serde(default, skip_serializing_if = "SideBySide::is_one")]
    pub side_by_side: SideBySide,
    /// Every input element lies in here; the headroom is proved for it.
    pub input_box: [f64; 2],
    /// Every row (last axis) of an input has at most this Euclidean norm, where that is part of the agreement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row_norm: Option<f64>,
    /// Ranges of inputs that have their own; nothing is promised of their rows.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub input_boxes: BTreeMap<String, [f64; 2]>,
    /// Extents of dynamic axes other than the batch.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub axes: BTreeMap<String, usize>,
    /// Inputs that everybody knows, such as a mask.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub public_inputs: BTreeMap<String, Vec<f64>>,
    /// Arguments that are limited because no entry's window reaches as far as what is proved of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub clamps: Vec<Clamp>,
}

impl ModelRecord {
    /// What the headroom is proved for.
    pub fn promise(&self) -> InputPromise {
        InputPromise { range: self.input_box, row_norm: self.row_norm, named: self.input_boxes.clone() }
    }

    /// What import needs to know for the plan's batch.
    pub fn axes(&self) -> Axes {
        let named = self.axes.iter().fold(Axes::batch(self.batch), |axes, (name, &extent)| axes.with(name, extent));
        let axes = self.public_inputs.iter().fold(named, |axes, (name, values)| axes.with_public(name, values.clone()));
        axes.with_clamps(self.clamps.clone())
    }
}

/// Who owns what.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartiesRecord {
    /// The model's owner.
    pub model: u8,
    /// The input's owner.
    pub input: u8,
    /// Who learns the output.
    pub output: u8,
}

/// Rings and scales.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FormatsRecord {
    /// Ring width of activations.
    pub ring: u8,
    /// Fraction bits of activations.
    pub activations: u8,
    /// Fraction bits of weights.
    pub weights: u8,
    /// Bits that every truncated sum and every entry of the circuit works with, in order (`circuit::rings`); none where all
    /// have the ring of activations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rings: Vec<u8>,
    /// Bytes of a party that leave together within a round (`circuit::itinerary`); all of them where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tile_bytes: Option<NonZeroU32>,
}

/// What follows from the choices.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Predicted {
    /// Rounds of one run. Exact.
    pub rounds_per_run: u64,
    /// Bytes of all parties in one run, frame headers included. Exact.
    pub bytes_per_run: u64,
    /// Payload bytes of sharing the weights, once a session. Exact.
    pub weight_bytes: u64,
    /// The network profile that was tuned for.
    pub network: String,
    /// The machine whose profile gives the seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<String>,
    /// Predicted seconds of one run under that profile; of runs side by side, what all of them take divided by their number.
    pub seconds_per_run: f64,
    /// Predicted bytes of one party's memory, with the values of all runs side by side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// Predicted output error: the sites' effects added up, and what the sums of the circuit add; 0 where it is not told.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub error: f64,
}

/// What the calibration set showed, in bit-exact simulation of this plan.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// Inputs that were simulated.
    pub inputs: usize,
    /// How the roundings were chosen.
    pub roundings: Vec<String>,
    /// Largest difference of an output from the plain model.
    pub error: f64,
    /// Share of inputs with the plain model's arg-max.
    pub agreement: f64,
    /// The least cosine of an input's first output with the plain model's; none where one is zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cosine: Option<f64>,
    /// The metric of the plain model, and the worst one of the simulations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<(f64, f64)>,
    /// Plans that were simulated before this one was accepted, this one included.
    pub candidates_tried: usize,
}

impl Measured {
    /// What a simulation showed, after `candidates_tried` of them.
    pub fn of(verdict: &Verdict, candidates_tried: usize) -> Measured {
        let Verdict { inputs, roundings, error, agreement, steady: _, cosine, metric } = verdict.clone();
        Measured { inputs, roundings, error, agreement, cosine, metric, candidates_tried }
    }

    /// Whether there is nothing: no plan is accepted without a simulation.
    fn is_untold(&self) -> bool {
        *self == Measured::default()
    }
}

fn is_zero(value: &f64) -> bool {
    *value == 0.0
}

/// One site's choice.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteRecord {
    /// Node of the model's graph.
    pub node: u32,
    /// The node's name.
    pub name: String,
    /// What it evaluates.
    pub kind: String,
    /// Elements of one run.
    pub elements: u64,
    /// Certified error of the choice at the site's output; of a layer norm, at the normalised row before γ and β.
    pub certified_error: f64,
    /// The same for rows whose variance is at least the least one of the calibration set; differs at layer norms only.
    pub calibrated_error: f64,
    /// The certified error holds for rows whose variance is at least this, a power of two; 0 where it holds for all. Only
    /// at layer norms for which nothing is certified otherwise.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub least_variance: f64,
    /// How much an error there moves the output, measured on the calibration set; 0 where it is not told.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sensitivity: f64,
    /// How far this choice alone moves the output, everything else being exact, predicted on a few calibration inputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<f64>,
    /// Rounds of the site on the critical path.
    pub rounds: u64,
    /// Payload bytes of the site in one run.
    pub bytes: u64,
    /// Choices that were admissible.
    pub admissible: usize,
    /// The entries.
    pub choice: ChoiceRecord,
}

/// The entries of a site.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub enum ChoiceRecord {
    /// A scalar function.
    Unary {
        /// The entry.
        entry: EntryRecord,
    },
    /// Softmax.
    Softmax {
        /// How the maximum is taken.
        maximum: Comparisons,
        /// exp.
        exp: EntryRecord,
        /// Reciprocal of the sum.
        reciprocal: EntryRecord,
        /// Whether the division comes after the product with the values.
        normalise_last: bool,
    },
    /// Softmax whose logits are proved to lie within public bounds: nothing is compared.
    #[serde(rename = "softmax without maximum")]
    SoftmaxWithoutMaximum {
        /// The bounds: everybody who reads the plan learns them.
        logits: Logits,
        /// exp.
        exp: EntryRecord,
        /// Reciprocal of the sum.
        reciprocal: EntryRecord,
        /// Whether the division comes after the product with the values.
        normalise_last: bool,
    },
    /// Layer norm.
    Normalisation {
        /// Reciprocal square root.
        rsqrt: EntryRecord,
        /// Whether the mean is subtracted without rounding.
        centre_exactly: bool,
    },
    /// Maximum over windows.
    Maximum {
        /// How it is taken.
        maximum: Comparisons,
    },
}

impl ChoiceRecord {
    /// Every entry that the choice names.
    pub fn entries(&self) -> Vec<&EntryRecord> {
        match self {
            ChoiceRecord::Unary { entry } => vec![entry],
            ChoiceRecord::Softmax { exp, reciprocal, .. }
            | ChoiceRecord::SoftmaxWithoutMaximum { exp, reciprocal, .. } => vec![exp, reciprocal],
            ChoiceRecord::Normalisation { rsqrt, .. } => vec![rsqrt],
            ChoiceRecord::Maximum { .. } => vec![],
        }
    }
}

/// An entry by name and digest; the digest decides.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EntryRecord {
    /// FUNCTION/STEM.
    pub name: String,
    /// Digest of the entry's file.
    pub digest: String,
}

impl Plan {
    /// The canonical text.
    pub fn to_text(&self) -> String {
        toml::to_string(self).unwrap_or_default()
    }

    /// The plan without what was measured, and without the digest of the weights: what depends on weights and calibration
    /// inputs and no party needs. What is certified stays, and with it the least variances that certified errors of layer
    /// norms assume: powers of two, without which nobody could tell what is certified.
    pub fn discreet(mut self) -> Plan {
        self.measured = Measured::default();
        self.model.weights_digest = None;
        self.predicted.error = 0.0;
        for site in &mut self.site {
            (site.sensitivity, site.calibrated_error, site.effect) = (0.0, site.certified_error, None);
        }
        self
    }

    /// Refuses the plan if an entry that it names was revoked. By the plan's own digests: they decide what is run.
    pub fn check_revocations(&self, admission: &Admission) -> trust::Result<()> {
        for record in self.site.iter().flat_map(|site| site.choice.entries()) {
            // What is no digest is in no catalog either, and `check` says so.
            if let Some(digest) = Digest::parse(&record.digest) {
                admission.check_entry(&record.name, digest)?;
            }
        }
        Ok(())
    }

    /// Reads a plan; a text that is not what [`Plan::to_text`] writes is refused.
    pub fn parse(text: &str) -> Result<Plan, Refusal> {
        let plan: Plan = toml::from_str(text).map_err(|error| Refusal::Syntax(error.to_string()))?;
        if plan.version != 1 {
            return Err(Refusal::Syntax(format!(
                "version {} is not known; this program reads version 1",
                plan.version
            )));
        }
        if plan.protocol != "rss3" {
            return Err(Refusal::Syntax(format!("protocol '{}' is not known; rss3 is", plan.protocol)));
        }
        if plan.to_text() != text {
            return Err(Refusal::Syntax(
                "not in canonical form; it was changed by hand, or an earlier version wrote it: tune again".into(),
            ));
        }
        match plan.impossible() {
            Some((what, value)) => Err(Refusal::Syntax(format!("{what} of {value} cannot be; tune again"))),
            None => Ok(plan),
        }
    }

    /// A figure that no tuner writes: negative, or none at all. Whether the others are true is for [`Plan::check`].
    fn impossible(&self) -> Option<(String, f64)> {
        let (predicted, measured) = (&self.predicted, &self.measured);
        let run = [
            ("predicted seconds", predicted.seconds_per_run),
            ("a predicted error", predicted.error),
            ("a measured error", measured.error),
            ("an agreement", measured.agreement),
        ];
        let sites = self.site.iter().flat_map(|site| {
            let own = [
                ("a certified error", site.certified_error),
                ("a calibrated error", site.calibrated_error),
                ("a least variance", site.least_variance),
                ("a sensitivity", site.sensitivity),
                ("an effect", site.effect.unwrap_or(0.0)),
            ];
            own.map(|(what, value)| (format!("site {}: {what}", site.name), value))
        });
        let never_negative = run.into_iter().map(|(what, value)| (what.to_owned(), value)).chain(sites);
        let impossible = |(_, value): &(String, f64)| !(value.is_finite() && *value >= 0.0);
        let metric = measured.metric.into_iter().flat_map(|(plain, private)| [plain, private]);
        let signed = metric.map(|value| ("a metric".to_owned(), value));
        let signed = signed.chain(measured.cosine.map(|value| ("a cosine".to_owned(), value)));
        let mut signed = signed.filter(|(_, value)| !value.is_finite());
        never_negative.filter(impossible).chain(signed.by_ref()).next()
    }
}
