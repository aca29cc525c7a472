//! Plans: the choice for every site of a model, agreed by all parties.
//!
//! A [`Plan`] is a file that a person can read. [`Plan::check`] is the only way to a [`CheckedPlan`], and only a
//! checked plan can be run: every entry that it names is found in the catalog by digest and proved again by
//! `verify::check`, the public structure of the model is lowered again, and the cost and the certified errors of sites
//! are recomputed. What was measured (sensitivities, calibrated errors, seconds) is information, and nothing follows
//! from it. The owner of the model additionally proves the headroom with the weights, and from it the errors of
//! layer norms ([`CheckedPlan::prove_headroom`]); the others rely on it for that.

mod file;
mod promise;

pub use file::{
    ChoiceRecord, EntryRecord, FormatsRecord, Measured, ModelRecord, PartiesRecord, Plan, Predicted, SiteRecord,
};
pub use promise::InputPromise;

use crate::circuit::accuracy::{certified_errors, conditional_norms, power_of_two_below};
use crate::circuit::bound::{ErrorBound, Question, error_bound};
use crate::circuit::headroom::{Headroom, InputBound, Norms};
use crate::circuit::limits::{Limit, limits};
use crate::circuit::lower::{Centre, Choice, Formats, Lowered, Ownership, lower};
use crate::circuit::rings::{Narrowed, Rings};
use crate::circuit::{self, Party, Schedule, Weights};
use crate::graph::{self, Clamp, Graph, Site, Tensor, clamps};
use crate::transport::HEADER_BYTES;
use catalogs::digest::Tag;
use catalogs::protocol::rss3::{EXECUTED_BITS, Rss3, serves};
use catalogs::{Catalog, CatalogError, Digest, Ring, Scale};
use std::collections::BTreeMap;
use std::sync::Arc;
use verify::{Certified, Rejection};

/// Why a plan is refused.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The file is no plan.
    #[error("the plan cannot be read: {0}")]
    Syntax(String),
    /// The plan is about another model.
    #[error("the plan is for the model structure {planned:.12}…, this one is {found:.12}…; tune this model again")]
    Model {
        /// Named by the plan.
        planned: String,
        /// What was given.
        found: String,
    },
    /// The plan is about a model of this structure with other weights.
    #[error(
        "the plan is for other weights of this model (digest {planned:.12}…, these have {found:.12}…): what it predicts and \
         what was measured is not theirs; tune this model again"
    )]
    Weights {
        /// Named by the plan.
        planned: String,
        /// What was given.
        found: String,
    },
    /// The catalog lacks an entry, or it cannot be used.
    #[error("site {site}: {source}")]
    Entry {
        /// Which site.
        site: String,
        /// Why.
        source: CatalogError,
    },
    /// The entry in the catalog is not the planned one.
    #[error(
        "site {site}: the catalog's {entry} has digest {found:.12}…, the plan names {planned:.12}…; the catalog changed: tune again"
    )]
    Changed {
        /// Which site.
        site: String,
        /// Which entry.
        entry: String,
        /// Named by the plan.
        planned: String,
        /// In the catalog.
        found: String,
    },
    /// An entry's certificate does not prove it.
    #[error("site {site}: entry {entry} is rejected: {reason}")]
    Rejected {
        /// Which site.
        site: String,
        /// Which entry.
        entry: String,
        /// Why.
        reason: Rejection,
    },
    /// The plan states another certified error than is proved of its choice.
    #[error(
        "site {site}: the plan states a certified error of {planned:e}, proved is {found:e}; the plan was changed by hand: tune again"
    )]
    Bound {
        /// Which site.
        site: String,
        /// In the plan.
        planned: f64,
        /// Recomputed.
        found: f64,
    },
    /// The plan assumes of rows what the tuner does not.
    #[error(
        "site {site}: the plan assumes that rows have a variance of at least {stated:e}, but {reason}; the plan was changed by hand: tune again"
    )]
    Assumption {
        /// Which site.
        site: String,
        /// In the plan.
        stated: f64,
        /// Why that cannot be.
        reason: String,
    },
    /// A site without a choice, or a choice without a site.
    #[error("{0}")]
    Sites(String),
    /// The choices do not fit together, or a proof about the circuit fails.
    #[error(transparent)]
    Circuit(#[from] circuit::Error),
    /// The plan's prediction is not what follows from it.
    #[error("the plan predicts {planned} {what}, recomputed are {found}; the plan was changed by hand: tune again")]
    Prediction {
        /// Rounds or bytes.
        what: &'static str,
        /// In the plan.
        planned: u64,
        /// Recomputed.
        found: u64,
    },
}

/// A plan whose every claim was checked.
#[derive(Clone, Debug)]
pub struct CheckedPlan {
    plan: Plan,
    lowered: Lowered,
    schedule: Schedule,
    digest: Digest,
}

impl Plan {
    /// Checks the plan against the public structure of the model (for the plan's batch) and the catalog.
    pub fn check(self, structure: &Graph, catalog: &Catalog) -> Result<CheckedPlan, Refusal> {
        self.check_proved(structure, catalog, BTreeMap::new())
    }

    /// The same, with entries that were proved before, by the digest of their text.
    pub(crate) fn check_proved(
        self,
        structure: &Graph,
        catalog: &Catalog,
        mut proved: BTreeMap<String, Arc<Certified>>,
    ) -> Result<CheckedPlan, Refusal> {
        let found = structure_digest(structure).to_string();
        if found != self.model.structure {
            return Err(Refusal::Model { planned: self.model.structure.clone(), found });
        }
        let batches = structure.inputs().iter().map(|(_, id)| structure.node(*id).shape.first().copied().unwrap_or(1));
        if let Some(found) = batches.into_iter().find(|&batch| batch != self.model.batch) {
            let planned = self.model.batch as u64;
            return Err(Refusal::Prediction { what: "inputs a run", planned, found: found as u64 });
        }
        let sites = structure.sites();
        let mut choices = BTreeMap::new();
        for record in &self.site {
            let site = sites.iter().find(|site| site.node.index() == record.node as usize);
            let site = site.ok_or_else(|| Refusal::Sites(format!("the model has no site at node {}", record.node)))?;
            let choice = record.choice.resolve(&record.name, catalog, &mut proved)?;
            if choices.insert(site.node, choice).is_some() {
                return Err(Refusal::Sites(format!("the plan has two choices for site {}", site.name)));
            }
        }
        if let Some(site) = sites.iter().find(|site| !choices.contains_key(&site.node)) {
            return Err(Refusal::Sites(format!(
                "the plan has no choice for site {} ({})",
                site.name,
                site.kind.name()
            )));
        }
        if !self.site.iter().zip(&sites).all(|(record, site)| record.node == node_number(site.node)) {
            return Err(Refusal::Sites(
                "the plan's sites are not in the order of the model; tune this model again".into(),
            ));
        }
        let lowered = self.in_rings(lower(structure, &choices, self.formats()?, self.ownership())?)?;
        let lowered = lowered.in_tiles(self.formats.tile_bytes);
        self.model.promise().sensible(lowered.input_names()).map_err(Refusal::Sites)?;
        let schedule = circuit::schedule(&lowered.circuit, &Rss3)?;
        let digest = self.digest();
        let checked = CheckedPlan { plan: self, lowered, schedule, digest };
        let predicted = &checked.plan.predicted;
        let recomputed = [
            ("rounds per run", predicted.rounds_per_run, u64::from(checked.schedule.rounds)),
            ("bytes per run", predicted.bytes_per_run, checked.bytes_per_run()),
            ("bytes of weights", predicted.weight_bytes, checked.schedule.weight_bytes),
        ];
        recomputed.into_iter().try_for_each(same)?;
        checked.check_sites(&sites)?;
        checked.check_clamps(structure)?;
        checked.check_errors(None)?;
        Ok(checked)
    }

    /// The formats of activations and weights.
    pub fn formats(&self) -> Result<Formats, Refusal> {
        let scale = |bits: u8| Scale::new(bits).ok_or_else(|| Refusal::Syntax(format!("no scale has {bits} bits")));
        let ring = Ring::new(self.formats.ring).filter(|&ring| serves(ring)).ok_or_else(|| {
            Refusal::Syntax(format!("ring {} is not executed; use 3 to {EXECUTED_BITS} bits", self.formats.ring))
        })?;
        Ok(Formats { ring, activations: scale(self.formats.activations)?, weights: scale(self.formats.weights)? })
    }

    /// The circuit with the rings that the plan names.
    fn in_rings(&self, lowered: Lowered) -> Result<Lowered, Refusal> {
        match self.formats.rings.as_slice() {
            [] => Ok(lowered),
            bits => {
                let none = |bits: &u8| Ring::new(*bits).is_none();
                let rings = Rings::from_bits(bits).ok_or_else(|| {
                    let bits = bits.iter().copied().find(none).unwrap_or_default();
                    Refusal::Syntax(format!("no ring has {bits} bits"))
                })?;
                Ok(rings.apply(&lowered, &mut Narrowed::default())?)
            }
        }
    }

    /// Who owns the input and who learns the output.
    pub fn ownership(&self) -> Ownership {
        Ownership { input: Party(self.parties.input), output: Party(self.parties.output) }
    }

    /// The digest of the file: what all parties compare before anything is sent.
    pub fn digest(&self) -> Digest {
        Digest::of(Tag::Plan, self.to_text().as_bytes())
    }
}

/// Refuses what the tuner does not assume of rows' variances: anything at a site that is no layer norm, what is no power of
/// two, and where it is known which layer norms are `conditional` (with the largest variance that their rows can have), an
/// assumption at others or one that no row meets.
fn check_assumption(record: &SiteRecord, conditional: Option<&BTreeMap<u32, f64>>) -> Result<(), Refusal> {
    let (site, stated) = (record.name.clone(), record.least_variance);
    let refused = |reason: String| Err(Refusal::Assumption { site: site.clone(), stated, reason });
    if stated == 0.0 {
        return Ok(());
    }
    if !matches!(record.choice, ChoiceRecord::Normalisation { .. }) {
        return refused("only a layer norm's certified error depends on that".into());
    }
    if stated != power_of_two_below(stated) {
        return refused("the tuner assumes powers of two".into());
    }
    match conditional.map(|conditional| conditional.get(&record.node)) {
        Some(None) => refused("an error is certified here for every variance".into()),
        Some(Some(&largest)) if stated > largest => refused(format!("no row varies by more than {largest:e}")),
        _ => Ok(()),
    }
}

/// Compares a number of the plan with the recomputed one.
fn same((what, planned, found): (&'static str, u64, u64)) -> Result<(), Refusal> {
    if planned == found { Ok(()) } else { Err(Refusal::Prediction { what, planned, found }) }
}

/// Rounds on the critical path and payload bytes of a site, by the number of its node, in one run.
pub fn site_cost(lowered: &Lowered, schedule: &Schedule, number: u32) -> (u64, u64) {
    let groups = lowered.circuit.groups().iter().zip(schedule.groups());
    let own = groups.filter(|(group, _)| group.site == Some(number));
    own.fold((0, 0), |(rounds, bytes), (_, cost)| (rounds + u64::from(cost.rounds), bytes + cost.bytes))
}

/// Clamps with what their comparisons cost.
pub fn priced(clamps: &[Clamp], lowered: &Lowered, schedule: &Schedule) -> Vec<Clamp> {
    let price = |clamp: &Clamp| {
        let name = clamp.node_name();
        let groups = lowered.circuit.groups().iter().zip(schedule.groups());
        let own = groups.filter(|(group, _)| group.name == name).map(|(_, cost)| cost);
        let (rounds, bytes) =
            own.fold((0, 0), |(rounds, bytes), cost| (rounds + u64::from(cost.rounds), bytes + cost.bytes));
        Clamp { rounds, bytes, ..clamp.clone() }
    };
    clamps.iter().map(price).collect()
}

impl CheckedPlan {
    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The circuit with what is needed to feed it and to read it.
    pub fn lowered(&self) -> &Lowered {
        &self.lowered
    }

    /// When everything travels.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// The plan's digest.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Bytes of all parties for one run: payload and frame headers, inputs and outputs included.
    pub fn bytes_per_run(&self) -> u64 {
        self.schedule.bytes(HEADER_BYTES as u64)
    }

    /// Compares what the plan says of its sites with the model and the schedule.
    fn check_sites(&self, sites: &[Site]) -> Result<(), Refusal> {
        for record in &self.plan.site {
            let Some(site) = sites.iter().find(|site| node_number(site.node) == record.node) else { continue };
            if record.name != site.name || record.kind != site.kind.name() {
                return Err(Refusal::Sites(format!(
                    "the plan names site {} ({}) at node {}, the model has {} ({}) there; tune this model again",
                    record.name,
                    record.kind,
                    record.node,
                    site.name,
                    site.kind.name()
                )));
            }
            let (rounds, bytes) = site_cost(&self.lowered, &self.schedule, record.node);
            same(("elements of a site", record.elements, site.elements as u64))?;
            same(("rounds of a site", record.rounds, rounds))?;
            same(("bytes of a site", record.bytes, bytes))?;
        }
        Ok(())
    }

    /// Compares what the plan says of its clamps with the structure and the schedule.
    fn check_clamps(&self, structure: &Graph) -> Result<(), Refusal> {
        let clamps = &self.plan.model.clamps;
        clamps::check(structure, clamps).map_err(Refusal::Sites)?;
        for (clamp, found) in clamps.iter().zip(priced(clamps, &self.lowered, &self.schedule)) {
            same(("rounds of a clamp", clamp.rounds, found.rounds))?;
            same(("bytes of a clamp", clamp.bytes, found.bytes))?;
        }
        Ok(())
    }

    /// Compares the certified errors that the plan states with what is proved of its choices. With the headroom, those of
    /// layer norms too, and that rows are assumed to vary only where nothing is certified otherwise.
    fn check_errors(&self, headroom: Option<&Headroom>) -> Result<(), Refusal> {
        let conditional = headroom.map(|headroom| conditional_norms(&self.lowered, headroom)).transpose()?;
        for record in &self.plan.site {
            check_assumption(record, conditional.as_ref())?;
        }
        let assumed = self.plan.site.iter().filter(|record| record.least_variance > 0.0);
        let assumed = assumed.map(|record| (record.node, record.least_variance)).collect();
        let errors = certified_errors(&self.lowered, headroom, &assumed)?;
        for record in &self.plan.site {
            let (planned, site) = (record.certified_error, record.name.clone());
            match errors.get(&record.node) {
                Some(&found) if found != planned => return Err(Refusal::Bound { site, planned, found }),
                _ => {}
            }
        }
        Ok(())
    }

    /// What [`Plan::check`] leaves to the model's owner: the certified errors of layer norms. Everybody has the others.
    fn check_norms(&self, weights: &Weights) -> Result<(), Refusal> {
        let is_norm = |record: &SiteRecord| matches!(record.choice, ChoiceRecord::Normalisation { .. });
        match self.plan.site.iter().any(is_norm) {
            true => self.check_errors(Some(&self.headroom(weights, &Norms::default())?)),
            false => Ok(()),
        }
    }

    /// Encodes the weights and proves that nothing the outputs depend on leaves its window, for every input in the
    /// plan's box; with that, the certified errors of the layer norms. Only the model's owner can.
    pub fn prove_headroom(&self, graph: &Graph) -> Result<Weights, Refusal> {
        let weights = self.weights(graph)?;
        let headroom = self.headroom(&weights, &Norms::default())?;
        self.check_errors(Some(&headroom))?;
        Ok(weights)
    }

    /// How far everything stays from its limits, for every input in the plan's box. Only the model's owner can tell.
    pub fn limits(&self, graph: &Graph) -> Result<Vec<Limit>, Refusal> {
        let headroom = self.headroom(&self.weights(graph)?, &Norms::default())?;
        self.check_errors(Some(&headroom))?;
        Ok(limits(&self.lowered, &headroom))
    }

    /// The same with weights that were encoded, and with what was found of them.
    pub(crate) fn limits_of(&self, weights: &Weights, norms: &Norms) -> Result<Vec<Limit>, Refusal> {
        Ok(limits(&self.lowered, &self.headroom(weights, norms)?))
    }

    /// By how much a private output may differ from the model's, for every input in the plan's box and every rounding.
    /// Where the plan cuts functions, the model is the one with the cuts. Only the model's owner can tell.
    pub fn error_bound(&self, graph: &Graph) -> Result<ErrorBound, Refusal> {
        let weights = self.weights(graph)?;
        self.check_norms(&weights)?;
        let kept = clamps::check(graph, &self.plan.model.clamps).map_err(Refusal::Sites)?;
        let clamped = kept.into_iter().map(|(site, off)| (node_number(site), off)).collect();
        let (lowered, boxes) = (&self.lowered, self.promised());
        Ok(error_bound(&Question { lowered, graph, weights: &weights, boxes: &boxes, clamped: &clamped })?)
    }

    /// The weights of the plan's model: another model of the same shapes would be proved as if it had the plan's sites.
    fn weights(&self, graph: &Graph) -> Result<Weights, Refusal> {
        let found = structure_digest(graph).to_string();
        if found != self.plan.model.structure {
            return Err(Refusal::Model { planned: self.plan.model.structure.clone(), found });
        }
        if let Some(planned) = &self.plan.model.weights_digest {
            let found = weights_digest(graph).map_err(|error| circuit::Error::Circuit(error.to_string()))?.to_string();
            if found != *planned {
                return Err(Refusal::Weights { planned: planned.clone(), found });
            }
        }
        Ok(self.lowered.weights(graph)?)
    }

    fn promised(&self) -> Vec<InputBound> {
        let promise = self.plan.model.promise();
        self.lowered.input_names().map(|name| promise.of(name)).collect()
    }

    fn headroom(&self, weights: &Weights, norms: &Norms) -> Result<Headroom, Refusal> {
        Ok(circuit::headroom::prove_with(&self.lowered, weights, &self.promised(), norms)?)
    }

    /// One run's inputs from `count` ≤ batch images: the rest of the batch is zeros.
    pub fn pad_batch(&self, tensors: &[Tensor]) -> Vec<Tensor> {
        let batch = self.plan.model.batch;
        tensors
            .iter()
            .map(|tensor| {
                let mut shape = tensor.shape.clone();
                let given = shape.first().copied().unwrap_or(1).max(1);
                let row = tensor.data.len() / given;
                let mut data = tensor.data.clone();
                data.resize(row * batch, 0.0);
                if let Some(first) = shape.first_mut() {
                    *first = batch;
                }
                Tensor { shape, data }
            })
            .collect()
    }
}

/// The digest of a model's public structure: operators, shapes and public constants, no weights.
pub fn structure_digest(structure: &Graph) -> Digest {
    Digest::of(Tag::Model, structure.without_weights().to_json().as_bytes())
}

/// The digest of a model's weights, each with its node and shape.
///
/// # Errors
/// A graph without weights.
pub fn weights_digest(graph: &Graph) -> Result<Digest, graph::Error> {
    let part = |(node, weight): (graph::NodeId, &graph::Constant)| {
        let tensor = weight.tensor()?;
        let numbers = [u64::from(node_number(node)), tensor.shape.len() as u64].into_iter();
        let numbers = numbers.chain(tensor.shape.iter().map(|&extent| extent as u64));
        let bytes = numbers.flat_map(u64::to_le_bytes).chain(tensor.data.iter().flat_map(|value| value.to_le_bytes()));
        Ok(bytes.collect::<Vec<u8>>())
    };
    let mut parts = Vec::new();
    for weight in graph.weights() {
        parts.push(Digest::of(Tag::Weights, &part(weight)?));
    }
    Ok(Digest::of_parts(Tag::Weights, parts.iter().map(Digest::bytes)))
}

impl ChoiceRecord {
    /// Finds and proves the entries.
    fn resolve(
        &self,
        site: &str,
        catalog: &Catalog,
        proved: &mut BTreeMap<String, Arc<Certified>>,
    ) -> Result<Choice, Refusal> {
        let mut entry = |record: &EntryRecord| -> Result<Arc<Certified>, Refusal> {
            if let Some(certified) = proved.get(&record.digest) {
                return Ok(certified.clone());
            }
            let (_, published) =
                catalog.find(&record.name).map_err(|source| Refusal::Entry { site: site.to_owned(), source })?;
            let found = Digest::of(Tag::Entry, published.entry.as_bytes()).to_string();
            if found != record.digest {
                let (planned, entry) = (record.digest.clone(), record.name.clone());
                return Err(Refusal::Changed { site: site.to_owned(), entry, planned, found });
            }
            let certified = verify::check_texts(&published.entry, &published.certificate)
                .map_err(|reason| Refusal::Rejected { site: site.to_owned(), entry: record.name.clone(), reason })?;
            let certified = Arc::new(certified);
            proved.insert(record.digest.clone(), certified.clone());
            Ok(certified)
        };
        Ok(match self {
            ChoiceRecord::Unary { entry: record } => Choice::Unary { entry: entry(record)? },
            ChoiceRecord::Softmax { maximum, exp, reciprocal, normalise_last } => Choice::Softmax {
                maximum: maximum.clone(),
                exp: entry(exp)?,
                reciprocal: entry(reciprocal)?,
                normalise_last: *normalise_last,
            },
            ChoiceRecord::SoftmaxWithoutMaximum { logits, exp, reciprocal, normalise_last } => {
                let (exp, reciprocal) = (entry(exp)?, entry(reciprocal)?);
                let (logits, normalise_last) = (*logits, *normalise_last);
                Choice::SoftmaxWithoutMaximum { logits, exp, reciprocal, normalise_last }
            }
            ChoiceRecord::Normalisation { rsqrt, centre_exactly } => Choice::Normalisation {
                rsqrt: entry(rsqrt)?,
                centre: if *centre_exactly { Centre::Exact } else { Centre::Rounded },
            },
            ChoiceRecord::Maximum { maximum } => Choice::Maximum { maximum: maximum.clone() },
        })
    }
}

/// A node of the model's graph, by the number that plans use.
pub fn node_number(id: graph::NodeId) -> u32 {
    id.index() as u32
}
