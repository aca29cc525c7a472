//! Measuring effects: every way of computing a site, from the site to the model's output.

use super::assignment::{Price, Quantity, undominated};
use super::effects::{Effects, MODES, Movement, SiteEffects, Way, largest};
use super::groundwork::Ground;
use super::hidden::{self, Hidden};
use super::problem::most_accurate;
use super::trace::{Trace, work_after};
use super::{Candidate, Error, Request};
use crate::circuit::ideal::Simulation;
use crate::circuit::lower::{Choice, Formats, Ownership, is_exact_relu, lower};
use crate::graph::part::Part;
use crate::graph::{Graph, Node, NodeId, Operator, Tensor};
use crate::plan::ChoiceRecord;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// The most calibration inputs.
const EXAMPLES_MAX: usize = 32;
/// Multiply-adds of the plain model that are spent in all.
const WORK_MAX: f64 = 1e11;
/// Numbers of one evaluation that are kept.
const VALUES_MAX: usize = 1 << 27;
/// Followed candidates of a site that the number of inputs is chosen for.
const FOLLOWED: usize = 8;

/// What effects are measured for.
pub(super) struct Subject<'a> {
    /// The request.
    pub request: &'a Request<'a>,
    /// What is known of its model.
    pub ground: &'a Ground,
    /// The model for one input.
    pub single: &'a Graph,
    /// The candidates of every site.
    pub candidates: &'a [Vec<Candidate>],
    /// Prices without errors.
    pub prices: &'a [Vec<Price>],
    /// The sensitivity of every site.
    pub sensitivities: &'a [f64],
    /// Rings and scales.
    pub formats: Formats,
    /// Who owns what.
    pub ownership: Ownership,
}

impl Subject<'_> {
    /// Measures.
    pub fn measure(&self) -> Result<Effects, Error> {
        let examples = self.examples();
        let trace = self.ground.trace(self.request, examples)?;
        let mut left = WORK_MAX;
        let mut sites: Vec<SiteEffects> = Vec::new();
        // The last sites are the cheapest to follow.
        for site in (0..self.candidates.len()).rev() {
            sites.push(self.site(site, &trace, &mut left)?);
        }
        sites.reverse();
        let outputs = trace.outputs();
        let plain = flat(&outputs);
        let row = outputs.first().map_or(0, |tensor| tensor.data.len() / examples);
        let base = vec![vec![0.0; plain.len()]; MODES.len()];
        let mut effects = Effects { sites, plain, row, examples, base };
        effects.base = self.base(&effects, &trace)?;
        Ok(effects)
    }

    /// How many calibration inputs there is work for.
    fn examples(&self) -> usize {
        let given = self.request.calibration.iter().filter_map(|tensor| tensor.shape.first()).min();
        let sites = self.single.sites();
        let of_site = |(site, candidates): (&crate::graph::Site, &Vec<Candidate>)| {
            (candidates.len().min(FOLLOWED) * MODES.len()) as f64 * work_after(self.single, site.node)
        };
        let work: f64 = sites.iter().zip(self.candidates).map(of_site).sum();
        let values: usize = self.single.nodes().iter().map(Node::elements).sum();
        let affordable = ((WORK_MAX / work.max(1.0)) as usize).min(VALUES_MAX / values.max(1));
        let simulated = given.copied().unwrap_or(1).min(self.request.simulated_max);
        affordable.min(EXAMPLES_MAX).min(simulated).max(1)
    }

    /// Every way of computing a site, the promising ones followed to the output.
    fn site(&self, site: usize, trace: &Trace, left: &mut f64) -> Result<SiteEffects, Error> {
        let candidates = &self.candidates[site];
        let (way_of, firsts) = ways(candidates);
        let Some(place) = Place::of(trace.graph(), site, candidates) else {
            return Err(Error::Request("a site is no part of its model".into()));
        };
        let arguments: Vec<Tensor> = place.part.arguments.iter().map(|&id| trace.value(id).clone()).collect();
        let computed = firsts.par_iter().map(|&first| self.computed(&place, &candidates[first].choice, &arguments));
        let computed: Vec<Option<Vec<Tensor>>> = computed.collect::<Result<_, Error>>()?;
        let plain = trace.value(place.target);
        let deviations: Vec<Deviation> =
            computed.iter().map(|values| Deviation::of(plain, values.as_deref())).collect();

        let cost = MODES.len() as f64 * work_after(trace.graph(), place.target);
        let mut promising = self.promising(site, &way_of, &deviations);
        promising.retain(|&way| {
            let followed = computed[way].is_some() && *left >= cost;
            *left -= if followed { cost } else { 0.0 };
            followed
        });
        let movements = promising.par_iter().map(|&way| {
            let values = computed[way].iter().flatten();
            values.map(|value| movement(trace, place.target, value)).collect::<Result<Movement, Error>>()
        });
        let movements: Vec<Movement> = movements.collect::<Result<_, _>>()?;
        let typical = |deviation: &Deviation| Way {
            deviation: deviation.root_mean_square,
            effect: self.sensitivities[site] * deviation.largest,
            like: None,
            followed: None,
        };
        let mut ways: Vec<Way> = deviations.iter().map(typical).collect();
        for (&way, movement) in promising.iter().zip(movements) {
            (ways[way].effect, ways[way].like) = (largest(&movement), Some((way, 1.0)));
            ways[way].followed = Some(movement);
        }
        compare(&mut ways);
        Ok(SiteEffects { way_of, ways })
    }

    /// The ways that no other beats at cost and at what the site shows.
    fn promising(&self, site: usize, way_of: &[usize], deviations: &[Deviation]) -> Vec<usize> {
        let priced = self.prices[site].iter().zip(way_of);
        let priced = priced.map(|(price, &way)| price.with(Quantity::Error, deviations[way].root_mean_square));
        let priced: Vec<Price> = priced.collect();
        let asked = [Quantity::Seconds, Quantity::Bytes, Quantity::Error, Quantity::Failure];
        let mut promising: Vec<usize> = undominated(&priced, &asked).into_iter().map(|index| way_of[index]).collect();
        promising.sort_unstable();
        promising.dedup();
        promising
    }

    /// What a site's part gives with a choice, in every mode; `None` where that is exact.
    fn computed(&self, place: &Place, choice: &Choice, arguments: &[Tensor]) -> Result<Option<Vec<Tensor>>, Error> {
        let exact = match choice {
            Choice::Unary { entry } => is_exact_relu(entry),
            Choice::Maximum { maximum } => maximum.coarse == 0,
            Choice::Softmax { .. } | Choice::SoftmaxWithoutMaximum { .. } | Choice::Normalisation { .. } => false,
        };
        if exact {
            return Ok(None);
        }
        let choices = BTreeMap::from([(place.site, choice.clone())]);
        self.simulated(&place.part.graph, &choices, arguments, &[])
            .map(|outputs| Some(outputs.into_iter().filter_map(|outputs| outputs.into_iter().next()).collect()))
    }

    /// The outputs of a graph in every mode, and then what stands for those that hide something.
    fn simulated(
        &self,
        graph: &Graph,
        choices: &BTreeMap<NodeId, Choice>,
        inputs: &[Tensor],
        hidden: &[Hidden],
    ) -> Result<Vec<Vec<Tensor>>, Error> {
        let lowered = lower(graph, choices, self.formats, self.ownership)?;
        let (weights, encoded) = (lowered.weights(graph)?, lowered.encode_inputs(inputs)?);
        let simulation = Simulation::new(&lowered.circuit, &weights);
        let decoded = MODES.into_par_iter().map(|mode| {
            Ok(hidden::simulated((&simulation, &lowered), &encoded, mode, hidden).map(|all| all.concat())?)
        });
        decoded.collect()
    }

    /// What a simulation of the most accurate choice shows that its sites do not account for.
    fn base(&self, effects: &Effects, trace: &Trace) -> Result<Movement, Error> {
        let chosen: Vec<usize> = self.candidates.iter().map(|own| most_accurate(own)).collect();
        let sites = trace.graph().sites();
        let choice = |(site, node): (usize, NodeId)| (node, self.candidates[site][chosen[site]].choice.clone());
        let choices = sites.iter().map(|site| site.node).enumerate().map(choice).collect();
        let simulated = self.simulated(trace.graph(), &choices, trace.inputs(), &hidden::hidden(trace.graph()))?;
        let known = effects.movement(&chosen);
        let rest = simulated.into_iter().zip(known).map(|(outputs, known)| {
            let shown = flat(&outputs);
            let plain = effects.plain.iter().zip(known);
            shown.iter().zip(plain).map(|(shown, (plain, known))| shown - plain - known).collect()
        });
        Ok(rest.collect())
    }
}

/// Where a site is looked at.
struct Place {
    part: Part,
    /// The site in the part.
    site: NodeId,
    /// The node of the whole graph whose value the part gives.
    target: NodeId,
}

impl Place {
    /// A site with the mask before it, and with the product after it where a candidate divides last.
    fn of(graph: &Graph, site: usize, candidates: &[Candidate]) -> Option<Place> {
        let node = graph.sites().get(site)?.node;
        let before = graph.node(node).inputs.first().copied();
        let mask = before.filter(|&id| matches!(graph.node(id).operator, Operator::Mask { .. }));
        let product = match candidates.iter().any(|candidate| candidate.choice.divides_last()) {
            true => graph.nodes().iter().find(|user| user.inputs.contains(&node)).map(|user| user.id),
            false => None,
        };
        let nodes: Vec<NodeId> = mask.into_iter().chain([node]).chain(product).collect();
        let part = graph.part(&nodes)?;
        Some(Place { site: part.place(node)?, target: *nodes.last()?, part })
    }
}

/// How far a site's value is from the plain one.
#[derive(Clone, Copy, Default)]
struct Deviation {
    root_mean_square: f64,
    largest: f64,
}

impl Deviation {
    fn of(plain: &Tensor, values: Option<&[Tensor]>) -> Deviation {
        let (mut squares, mut largest, mut count) = (0.0, 0.0f64, 0usize);
        for value in values.into_iter().flatten() {
            for (a, b) in plain.data.iter().zip(&value.data) {
                let own = (a - b).abs();
                (squares, largest, count) = (squares + own * own, largest.max(own), count + 1);
            }
        }
        Deviation { root_mean_square: (squares / count.max(1) as f64).sqrt(), largest }
    }
}

/// The distinct ways of computing among candidates: for every candidate its way, for every way its first candidate.
fn ways(candidates: &[Candidate]) -> (Vec<usize>, Vec<usize>) {
    let mut known: Vec<ChoiceRecord> = Vec::new();
    let mut firsts = Vec::new();
    let of = |(index, candidate): (usize, &Candidate)| {
        let record = way(&candidate.record);
        known.iter().position(|other| *other == record).unwrap_or_else(|| {
            known.push(record);
            firsts.push(index);
            known.len() - 1
        })
    };
    let way_of = candidates.iter().enumerate().map(of).collect();
    (way_of, firsts)
}

/// A choice without how its maximum is grouped: every grouping finds the same maximum, unless comparisons leave out bits
/// that the result has.
pub(super) fn way(record: &ChoiceRecord) -> ChoiceRecord {
    let mut record = record.clone();
    if let ChoiceRecord::Maximum { maximum } = &mut record
        && maximum.coarse > 0
    {
        maximum.joined = 1;
    } else if let ChoiceRecord::Softmax { maximum, .. } | ChoiceRecord::Maximum { maximum } = &mut record {
        (maximum.groups, maximum.joined) = (vec![2], 1);
    }
    record
}

/// Gives every way that was not followed the movement of the one most like it.
fn compare(ways: &mut [Way]) {
    let followed: Vec<(usize, f64, f64)> = ways
        .iter()
        .enumerate()
        .filter(|(_, way)| way.followed.is_some() && way.deviation > 0.0)
        .map(|(index, way)| (index, way.deviation, way.effect))
        .collect();
    for way in ways.iter_mut().filter(|way| way.followed.is_none() && way.deviation > 0.0) {
        let distance = |known: &(usize, f64, f64)| (known.1 / way.deviation).ln().abs();
        if let Some(&(index, deviation, effect)) = followed.iter().min_by(|a, b| distance(a).total_cmp(&distance(b))) {
            let factor = way.deviation / deviation;
            (way.like, way.effect) = (Some((index, factor)), factor * effect);
        }
    }
}

fn movement(trace: &Trace, target: NodeId, value: &Tensor) -> Result<Vec<f64>, Error> {
    let moved = flat(&trace.with(target, value.clone())?);
    Ok(moved.iter().zip(flat(&trace.outputs())).map(|(moved, plain)| moved - plain).collect())
}

/// All outputs, one after the other.
fn flat(outputs: &[Tensor]) -> Vec<f64> {
    outputs.iter().flat_map(|tensor| tensor.data.iter().copied()).collect()
}
