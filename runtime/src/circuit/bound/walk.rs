//! How errors go from the operands of a node to its result.

use super::slope;
use super::spread;
use super::{Accumulated, Question, Shares, Terms, unit};
use crate::circuit::Error;
use crate::circuit::accuracy::certified_errors;
use crate::circuit::builder::Circuit;
use crate::circuit::headroom::{Interval, function};
use crate::circuit::layout;
use crate::circuit::lower::is_exact_relu;
use crate::circuit::node::{Coefficient, Construction, Maximum, Movement, Node, NodeId, NodeKind, ProductKind, Sum};
use crate::circuit::shape::Shape;
use catalogs::Lemma;
use std::collections::BTreeMap;
use std::sync::Arc;
use verify::Certified;

/// Gains are products of doubles, which a few operations leave off by less than this, relatively.
const ARITHMETIC: f64 = 1.0 / (1u64 << 46) as f64;

/// The size of a public factor; its integer has at most 53 bits or is a power of two.
fn size(coefficient: Coefficient) -> f64 {
    (coefficient.value as f64).abs() * (-f64::from(coefficient.scale)).exp2()
}

/// Errors of a tensor's lanes: roundings, approximations, quantisation.
type Parts = [Vec<f64>; 3];

const ROUNDINGS: usize = 0;
const APPROXIMATIONS: usize = 1;
const QUANTISATION: usize = 2;

/// What is known of a node.
#[derive(Clone)]
struct Known {
    /// Ends of every lane in real units, rounded outwards.
    low: Vec<f64>,
    high: Vec<f64>,
    error: Result<Parts, Arc<str>>,
}

impl Known {
    /// The largest |v| of every lane.
    fn magnitudes(&self) -> Vec<f64> {
        self.low.iter().zip(&self.high).map(|(low, high)| low.abs().max(high.abs())).collect()
    }

    /// The largest |r| of every lane.
    fn real_magnitudes(&self, error: &Parts) -> Vec<f64> {
        let mut largest = self.magnitudes();
        for part in error {
            largest.iter_mut().zip(part).for_each(|(largest, part)| *largest = (*largest + part).next_up());
        }
        largest
    }
}

fn nothing(lanes: usize) -> Parts {
    std::array::from_fn(|_| vec![0.0; lanes])
}

fn total(error: &Parts, lane: usize) -> f64 {
    (error[0][lane] + error[1][lane] + error[2][lane]).next_up().next_up()
}

fn at(error: &Parts, lane: usize) -> [f64; 3] {
    std::array::from_fn(|part| error[part][lane])
}

fn add(goal: &mut [f64], factor: f64, values: &[f64]) {
    goal.iter_mut().zip(values).for_each(|(goal, value)| *goal += factor * value);
}

/// The way through a circuit, operands before results.
pub(super) struct Walk<'a> {
    circuit: &'a Circuit,
    question: Question<'a>,
    terms: Terms,
    /// Of every weight, its encoding's differences and what is not known of them.
    weight_errors: Vec<[Vec<f64>; 2]>,
    /// Certified errors of the sites, by the number of their node.
    sites: BTreeMap<u32, f64>,
    last_uses: Vec<NodeId>,
    known: Vec<Option<Known>>,
    /// Errors of the arguments of a softmax's exp, by that node.
    rows: BTreeMap<NodeId, Parts>,
    /// Per node, the error of the lane that may be furthest off.
    largest: Vec<Accumulated>,
}

impl<'a> Walk<'a> {
    /// At the beginning of the way.
    pub(super) fn new(question: &Question<'a>, terms: Terms) -> Result<Walk<'a>, Error> {
        let (lowered, circuit) = (question.lowered, &question.lowered.circuit);
        Ok(Walk {
            circuit,
            question: *question,
            terms,
            weight_errors: lowered.weight_errors(question.graph, question.weights)?,
            sites: certified_errors(lowered, None, &BTreeMap::new())?,
            last_uses: circuit.last_uses(),
            known: vec![None; circuit.nodes().len()],
            rows: BTreeMap::new(),
            largest: Vec::with_capacity(circuit.nodes().len()),
        })
    }

    /// Node by node as far as the way was gone, the error of the lane that may be furthest off.
    pub(super) fn into_largest(self) -> Vec<Accumulated> {
        self.largest
    }

    fn known(&self, id: NodeId) -> Result<&Known, Error> {
        self.known[id.index()].as_ref().ok_or_else(|| Error::Circuit(format!("nothing is known of {id}")))
    }

    /// The errors of a node whose ranges were proved.
    pub(super) fn node(&mut self, id: NodeId, lanes: &[Interval]) -> Result<(), Error> {
        let node = self.circuit.node(id);
        let (low, high) = self.ends(id, lanes);
        let error = match self.may_wrap(id, lanes) {
            true => Err(self.reason(id, "its values may exceed their ring")),
            false => self.error(id)?,
        };
        let mut known = Known { low, high, error };
        let magnitudes = known.magnitudes();
        if let Ok(parts) = &mut known.error {
            add(&mut parts[QUANTISATION], ARITHMETIC, &magnitudes);
            if parts.iter().flatten().any(|part| !part.is_finite()) {
                known.error = Err(self.reason(id, "its bound exceeds every number"));
            }
        }
        self.largest.push(known.error.as_ref().map_err(Arc::clone).map(|parts| {
            let lanes = 0..parts[0].len();
            let worst = lanes.max_by(|&a, &b| total(parts, a).total_cmp(&total(parts, b)));
            worst.map_or(Shares::default(), |lane| Shares::of(at(parts, lane).map(|part| part.next_up())))
        }));
        self.known[id.index()] = Some(known);
        for operand in node.kind.operands() {
            if self.last_uses[operand.index()] == id {
                self.known[operand.index()] = None;
            }
        }
        Ok(())
    }

    fn reason(&self, id: NodeId, what: &str) -> Arc<str> {
        format!("{}: {what}", self.circuit.group_name(id)).into()
    }

    fn ends(&self, id: NodeId, lanes: &[Interval]) -> (Vec<f64>, Vec<f64>) {
        let unit = unit(self.circuit, id);
        let exact = |value: i128| value.unsigned_abs() < 1 << 53;
        let below = |value: i128| if exact(value) { value as f64 } else { (value as f64).next_down() };
        let above = |value: i128| if exact(value) { value as f64 } else { (value as f64).next_up() };
        match self.circuit.node(id).kind {
            NodeKind::Weight(weight) => {
                let values = self.question.weights.get(weight).values();
                let end = |round: &dyn Fn(i128) -> f64| values.iter().map(|&v| round(i128::from(v)) * unit).collect();
                (end(&below), end(&above))
            }
            _ => {
                let low = lanes.iter().map(|lane| below(lane.low) * unit);
                (low.collect(), lanes.iter().map(|lane| above(lane.high) * unit).collect())
            }
        }
    }

    /// Where a sum leaves its ring the proof knows only that it is a residue.
    fn may_wrap(&self, id: NodeId, lanes: &[Interval]) -> bool {
        let node = self.circuit.node(id);
        let limit = 1i128 << (node.format.ring.bits() - 1);
        let computed = matches!(node.kind, NodeKind::Sum(_) | NodeKind::Movement { .. });
        computed && lanes.iter().any(|lane| lane.low <= -limit || lane.high >= limit - 1)
    }

    fn error(&mut self, id: NodeId) -> Result<Result<Parts, Arc<str>>, Error> {
        let node = self.circuit.node(id);
        let lanes = node.shape.lanes();
        match &node.kind {
            NodeKind::Input { .. } => {
                let mut parts = nothing(lanes);
                parts[QUANTISATION].fill(0.5 * unit(self.circuit, id) * self.terms.quantisation);
                Ok(Ok(parts))
            }
            NodeKind::Weight(weight) => {
                let mut parts = nothing(lanes);
                let [differences, lost] = &self.weight_errors[weight.index()];
                let sizes = differences.iter().zip(lost).map(|(difference, lost)| (difference.abs() + lost).next_up());
                add(&mut parts[QUANTISATION], self.terms.quantisation, &sizes.collect::<Vec<f64>>());
                Ok(Ok(parts))
            }
            NodeKind::Sum(sum) => {
                let generic = self.sum(id, sum)?;
                Ok(match self.probabilities(id) {
                    Some(composite) => lesser(generic, composite),
                    None => generic,
                })
            }
            NodeKind::Program { certified, argument } => self.program(id, certified, *argument),
            NodeKind::Maximum(maximum) => self.maximum(id, maximum),
            NodeKind::Movement { movement, operands } => self.movement(id, movement, operands),
            NodeKind::Output { value, .. } => Ok(self.known(*value)?.error.clone()),
        }
    }

    fn sum(&self, id: NodeId, sum: &Sum) -> Result<Result<Parts, Arc<str>>, Error> {
        let shape = &self.circuit.node(id).shape;
        let rounded = self.question.lowered.rounded.get(&id).copied().unwrap_or_default();
        let relative = rounded.relative * self.terms.quantisation;
        let mut result = nothing(shape.lanes());
        let mut operations = 8;
        for product in &sum.products {
            let factor = size(product.coefficient);
            let (left, right) = (self.known(product.left)?, self.known(product.right)?);
            let (a, b) = match (&left.error, &right.error) {
                (Ok(a), Ok(b)) => (a, b),
                (Err(reason), _) | (_, Err(reason)) => return Ok(Err(Arc::clone(reason))),
            };
            let shapes = [product.left, product.right].map(|id| &self.circuit.node(id).shape);
            let (own, other) = (left.magnitudes(), right.real_magnitudes(b));
            let weight = match self.circuit.node(product.right).kind {
                NodeKind::Weight(weight) => Some(weight),
                _ => None,
            };
            if let Some(weight) = weight {
                let known = &self.weight_errors[weight.index()];
                let (encoding, count) = self.encoding(&product.kind, left, shapes, known, shape);
                operations += count;
                add(&mut result[QUANTISATION], factor * self.terms.quantisation, &encoding);
            }
            let mut spread = |goal: &mut [f64], factor: f64, a: &[f64], b: &[f64]| {
                if factor > 0.0 && [a, b].iter().all(|side| side.iter().any(|&value| value > 0.0)) {
                    let (values, count) = spread::product(&product.kind, (a, shapes[0]), (b, shapes[1]), shape);
                    operations += count + 4;
                    add(goal, factor, &values);
                }
            };
            for (goal, (a, b)) in result.iter_mut().zip(a.iter().zip(b)) {
                spread(goal, factor, a, &other);
                if weight.is_none() {
                    spread(goal, factor, &own, b);
                }
            }
            if weight.is_some() {
                spread(&mut result[QUANTISATION], factor * ARITHMETIC, &own, &right.magnitudes());
            }
            if relative > 0.0 {
                spread(&mut result[QUANTISATION], relative * factor, &left.real_magnitudes(a), &other);
            }
        }
        for term in &sum.linear {
            let (factor, known) = (size(term.coefficient), self.known(term.value)?);
            let error = match &known.error {
                Ok(error) => error,
                Err(reason) => return Ok(Err(Arc::clone(reason))),
            };
            let own = &self.circuit.node(term.value).shape;
            for (goal, part) in result.iter_mut().zip(error) {
                add(goal, factor, &layout::broadcast(part, own, shape));
            }
            if relative > 0.0 {
                let sizes = layout::broadcast(&known.real_magnitudes(error), own, shape);
                add(&mut result[QUANTISATION], relative * factor, &sizes);
            }
            operations += 6;
        }
        let absolute = rounded.absolute * self.terms.quantisation;
        result[QUANTISATION].iter_mut().for_each(|part| *part += absolute);
        if let Some(Lemma::Truncation { rounding, .. }) = sum.truncation {
            // The quotient is less than one unit above its floor.
            let most = f64::from(rounding.high).max(1.0 - f64::from(rounding.low));
            let off = most * unit(self.circuit, id) * self.terms.roundings;
            result[ROUNDINGS].iter_mut().for_each(|part| *part += off);
        }
        result.iter_mut().for_each(|part| spread::raise(part, operations));
        Ok(Ok(result))
    }

    /// |Σ a·d| for the differences d of a weight's encoding, which are known: with a in c ± ρ it is at most
    /// |Σ c·d| + Σ ρ·|d|, half of Σ |a|·|d| where a is not negative. What is not known of d, and what doubles lose in
    /// Σ c·d, is counted with |a|.
    fn encoding(
        &self,
        kind: &ProductKind,
        left: &Known,
        shapes: [&Shape; 2],
        [differences, lost]: &[Vec<f64>; 2],
        shape: &Shape,
    ) -> (Vec<f64>, usize) {
        let ends = || left.low.iter().zip(&left.high);
        let centre: Vec<f64> = ends().map(|(low, high)| low / 2.0 + high / 2.0).collect();
        let radius: Vec<f64> = ends().zip(&centre).map(|((low, high), c)| (high - c).max(c - low).next_up()).collect();
        let sizes: Vec<f64> = differences.iter().map(|difference| difference.abs()).collect();
        let (mut total, count) = spread::product(kind, (&centre, shapes[0]), (differences, shapes[1]), shape);
        total.iter_mut().for_each(|sum| *sum = sum.abs());
        let rest: Vec<f64> =
            sizes.iter().zip(lost).map(|(size, lost)| size * (count + 8) as f64 * f64::EPSILON + lost).collect();
        let others = [(&radius, &sizes), (&left.magnitudes(), &rest)];
        for (a, b) in others {
            let (values, _) = spread::product(kind, (a, shapes[0]), (b, shapes[1]), shape);
            add(&mut total, 1.0, &values);
        }
        (total, 3 * count + 8)
    }

    /// What `verify::compose` says of truncated probabilities, and what their arguments' errors move: see the module.
    fn probabilities(&self, id: NodeId) -> Option<Parts> {
        let node = self.circuit.node(id);
        let group = &self.circuit.groups()[node.group.index()];
        let Construction::Softmax { row, exp, probabilities: Some(own), .. } = group.construction else { return None };
        let (arguments, certified) = (self.rows.get(&exp)?, *self.sites.get(&group.site?)?);
        if own != id || row == 0 {
            return None;
        }
        let mut result = nothing(node.shape.lanes());
        let rows = 0..node.shape.lanes() / row;
        for row in rows.map(|at| at * row..(at + 1) * row) {
            for (goal, part) in result.iter_mut().zip(arguments) {
                let largest = part[row.clone()].iter().copied().fold(0.0, f64::max);
                goal[row.clone()].fill(0.5 * self.terms.slopes * largest);
            }
        }
        result[APPROXIMATIONS].iter_mut().for_each(|part| *part += certified * self.terms.entries);
        result.iter_mut().for_each(|part| spread::raise(part, 4));
        Some(result)
    }

    fn program(
        &mut self,
        id: NodeId,
        certified: &Certified,
        argument: NodeId,
    ) -> Result<Result<Parts, Arc<str>>, Error> {
        let known = self.known(argument)?;
        let error = match &known.error {
            Ok(error) => error.clone(),
            Err(reason) => return Ok(Err(Arc::clone(reason))),
        };
        let group = &self.circuit.groups()[self.circuit.node(id).group.index()];
        let exact = is_exact_relu(certified);
        let function = &certified.claim().function;
        let clamped = group.site.and_then(|site| self.question.clamped.get(&site)).copied().unwrap_or(0.0);
        let mut result = error.clone();
        for lane in 0..error[0].len() {
            let (low, high) = (known.low[lane], known.high[lane]);
            let off = total(&error, lane);
            let Some(slope) = slope::largest(function, (low - off).next_down(), (high + off).next_up()) else {
                let what = format!("the slope of {function} has no bound where its argument may be");
                return Ok(Err(self.reason(id, &what)));
            };
            result.iter_mut().for_each(|part| part[lane] *= slope * self.terms.slopes);
            let own = if exact { 0.0 } else { entry_error(certified, low, high) };
            result[APPROXIMATIONS][lane] += (own + clamped) * self.terms.entries;
        }
        result.iter_mut().for_each(|part| spread::raise(part, 4));
        if matches!(group.construction, Construction::Softmax { exp, .. } if exp == id) {
            self.rows.insert(id, error);
        }
        Ok(Ok(result))
    }

    /// |max v − max r| ≤ max |v − r|. In a softmax the maximum is a number like any other: see the module. Where levels of
    /// maxima leave out bits, all of them together take what is at most the site's certified error below max v.
    fn maximum(&self, id: NodeId, maximum: &Maximum) -> Result<Result<Parts, Arc<str>>, Error> {
        let node = self.circuit.node(id);
        let group = &self.circuit.groups()[node.group.index()];
        if matches!(group.construction, Construction::Softmax { .. }) {
            return Ok(Ok(nothing(node.shape.lanes())));
        }
        let mut result = nothing(node.shape.lanes());
        for &candidate in &maximum.candidates {
            let error = match &self.known(candidate)?.error {
                Ok(error) => error,
                Err(reason) => return Ok(Err(Arc::clone(reason))),
            };
            for lane in 0..node.shape.lanes() {
                if total(error, lane) > total(&result, lane) {
                    (0..3).for_each(|part| result[part][lane] = error[part][lane]);
                }
            }
        }
        let of_site =
            |(_, other): &(NodeId, &Node)| other.group == node.group && matches!(other.kind, NodeKind::Maximum(_));
        if self.circuit.iter().filter(of_site).last().is_some_and(|(last, _)| last == id) {
            let below = group.site.and_then(|site| self.sites.get(&site)).copied().unwrap_or(0.0);
            let below = below * self.terms.entries;
            result[APPROXIMATIONS].iter_mut().for_each(|part| *part = (*part + below).next_up());
        }
        Ok(Ok(result))
    }

    fn movement(&self, id: NodeId, movement: &Movement, operands: &[NodeId]) -> Result<Result<Parts, Arc<str>>, Error> {
        let mut errors = Vec::new();
        for &operand in operands {
            match &self.known(operand)?.error {
                Ok(error) => errors.push((error, &self.circuit.node(operand).shape)),
                Err(reason) => return Ok(Err(Arc::clone(reason))),
            }
        }
        let shape = &self.circuit.node(id).shape;
        let mut result: Parts = std::array::from_fn(|part| {
            let own: Vec<(&[f64], &Shape)> = errors.iter().map(|(error, shape)| (&error[part][..], *shape)).collect();
            layout::apply(movement, &own, shape)
        });
        if let Movement::SumAxis { axis } = movement {
            let count = errors.first().and_then(|(_, shape)| shape.extents().get(*axis)).copied().unwrap_or(1);
            result.iter_mut().for_each(|part| spread::raise(part, count));
        }
        let off = self.question.lowered.rounded.get(&id).map_or(0.0, |rounded| rounded.absolute);
        if let (Movement::Replace { replaced, .. }, true) = (movement, off > 0.0) {
            let lanes = result[QUANTISATION].iter_mut().zip(replaced.iter());
            lanes.filter(|(_, replaced)| **replaced).for_each(|(part, _)| *part = off * self.terms.quantisation);
        }
        Ok(Ok(result))
    }
}

/// a + r·|f(x)| for every x between two arguments.
fn entry_error(certified: &Certified, low: f64, high: f64) -> f64 {
    let claim = certified.claim();
    let [absolute, relative] = [claim.absolute_part(), claim.relative_part()].map(|part| function::upper(&part));
    if relative == 0.0 {
        return absolute;
    }
    let largest = match function::range(&claim.function, low, high) {
        Some((low, high)) => low.abs().max(high.abs()),
        // |f| ≤ |output| + a + r·|f|.
        None if relative < 1.0 => {
            let unit = (-f64::from(certified.program().output().1.bits())).exp2();
            let (low, high) = certified.output_range();
            let output = low.unsigned_abs().max(high.unsigned_abs()) as f64 * unit;
            (output + absolute) / (1.0 - relative)
        }
        None => f64::INFINITY,
    };
    (absolute + relative * largest) * (1.0 + function::MARGIN)
}

/// The bound whose largest lane is less.
fn lesser(generic: Result<Parts, Arc<str>>, composite: Parts) -> Result<Parts, Arc<str>> {
    let largest = |parts: &Parts| (0..parts[0].len()).map(|lane| total(parts, lane)).fold(0.0, f64::max);
    match generic {
        Ok(generic) if largest(&generic) <= largest(&composite) => Ok(generic),
        _ => Ok(composite),
    }
}
