//! The shipped entries, and for a graph the most accurate ones with which its headroom is proved.

use catalogs::{Catalog, Function};
use runtime::circuit::lower::{Centre, Choice, Comparisons, Formats, Lowered, Ownership, catalog_function, lower};
use runtime::circuit::{Error, Party, Weights, accuracy, headroom};
use runtime::graph::{self, Graph, SiteKind};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use verify::Certified;

/// A circuit that stays inside its windows, its weights, and the largest certified error of a site.
pub type Proved = (Lowered, Weights, Option<f64>);

pub struct Entries(Vec<Arc<Certified>>);

impl Entries {
    pub fn shipped() -> Entries {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let catalog = Catalog::open(&root.join("catalogs"), &root.join("proofs")).unwrap();
        let check = |published: &catalogs::Published| {
            Arc::new(verify::check_texts(&published.entry, &published.certificate).unwrap())
        };
        let mut entries: Vec<_> = catalog.iter().map(|(_, published)| check(published)).collect();
        let bound = |entry: &Certified| entry.claim().absolute_part() + entry.claim().relative_part();
        entries.sort_by_key(|entry| bound(entry));
        Entries(entries)
    }

    fn of(&self, function: Function) -> impl Iterator<Item = &Arc<Certified>> {
        let Formats { ring, activations, .. } = Formats::default();
        // What reaches from very small to very large has scales of its own.
        let rescaled = matches!(function, Function::Log | Function::Sqrt | Function::Reciprocal | Function::Rsqrt);
        let takes = move |entry: &Certified| {
            let (own, scale) = entry.program().input();
            own == ring && (rescaled || scale == activations)
        };
        self.0.iter().filter(move |entry| entry.claim().function == function && takes(entry))
    }

    /// Options of a site, most accurate first.
    fn options(&self, kind: SiteKind) -> Vec<Choice> {
        let unary = |function| self.of(function).map(|entry| Choice::Unary { entry: entry.clone() }).collect();
        // The narrowest window that serves is the cheapest.
        let relus = || {
            let mut relus: Vec<_> = self.of(Function::Relu).cloned().collect();
            relus.sort_by_key(|entry| entry.claim().window.high);
            relus
        };
        match kind {
            SiteKind::Rectifier => relus().into_iter().map(|entry| Choice::Unary { entry }).collect(),
            SiteKind::Maximum => vec![Choice::Maximum { maximum: comparisons() }],
            SiteKind::Activation(function) => catalog_function(function).map(unary).unwrap_or_default(),
            SiteKind::Softmax => {
                let mut options = Vec::new();
                for exp in self.of(Function::Exp).filter(|exp| exp.program().output().1.bits() == 24) {
                    for reciprocal in self.of(Function::Reciprocal) {
                        let (maximum, exp, reciprocal) = (comparisons(), exp.clone(), reciprocal.clone());
                        options.push(Choice::Softmax { maximum, exp, reciprocal, normalise_last: false });
                    }
                }
                options
            }
            SiteKind::Normalisation => {
                let centre = Centre::Rounded;
                self.of(Function::Rsqrt).map(|rsqrt| Choice::Normalisation { rsqrt: rsqrt.clone(), centre }).collect()
            }
        }
    }

    /// Goes through the options of the site that a refusal names until none is refused.
    pub fn choose(&self, graph: &Graph, bounds: &[(f64, f64)]) -> Result<Proved, String> {
        let sites = graph.sites();
        let options: Vec<Vec<Choice>> = sites.iter().map(|site| self.options(site.kind)).collect();
        if let Some(index) = options.iter().position(Vec::is_empty) {
            return Err(format!("the catalog has no entry for {}", sites[index].kind.name()));
        }
        let mut at = vec![0; sites.len()];
        loop {
            let chosen = sites.iter().enumerate().map(|(index, site)| (site.node, options[index][at[index]].clone()));
            let choices: BTreeMap<graph::NodeId, Choice> = chosen.collect();
            let error = match attempt(graph, &choices, bounds) {
                Ok(proved) => return Ok(proved),
                Err(error) => error,
            };
            // All sites of a one-node model carry one name: the one that can still move does.
            let movable = (0..sites.len()).find(|&index| at[index] + 1 < options[index].len());
            let retry = matches!(error, Error::Window { .. } | Error::Choice { .. } | Error::Bound { .. });
            match movable.filter(|_| retry) {
                Some(index) => at[index] += 1,
                None => return Err(error.to_string()),
            }
        }
    }
}

fn attempt(graph: &Graph, choices: &BTreeMap<graph::NodeId, Choice>, bounds: &[(f64, f64)]) -> Result<Proved, Error> {
    let lowered = lower(graph, choices, Formats::default(), Ownership { input: Party(1), output: Party(2) })?;
    let weights = lowered.weights(graph)?;
    let headroom = headroom::prove(&lowered, &weights, bounds)?;
    // For rows of hardly any variance there may be no bound; a plan names the least variance, a case has no plan.
    let errors = accuracy::certified_errors(&lowered, Some(&headroom), &BTreeMap::new()).unwrap_or_default();
    Ok((lowered, weights, errors.into_values().reduce(f64::max)))
}

/// Wide enough for every case.
fn comparisons() -> Comparisons {
    Comparisons { width: 40, groups: vec![4], joined: 1, coarse: 0 }
}
