//! Clamps: what a model does where an argument lies beyond the window of every entry.
//!
//! A clamp limits the argument of one scalar function, by comparisons that are exact at the argument's scale, so that
//! an entry with a narrower window serves. Beyond the window the function is *kept* or *cut*:
//!
//! | | computed for x above the bound h | computed for x below the bound l |
//! | --- | --- | --- |
//! | kept | f(h) + (x − h) where f(x) − x vanishes, f(h) where f is flat | f(l) |
//! | cut | f(h) | f(l) |
//!
//! Kept is offered only where |f(x) − what is computed| stays below a bound that [`off`] states for every x beyond; it is
//! at most [`OFF_MAX`], far below any certified error. Cut changes the model there; whoever asks for it is told where.
//! The nodes are part of the public structure: parties agree on them by its digest, their rounds and bytes are the
//! schedule's, and the proof of headroom uses them like any others.

use super::error::Error;
use super::observed::Observed;
use super::operator::{Function, Operator, Side};
use super::ranges::{InputRange, Interval, Margin, Ranges, SiteRange};
use super::{Graph, Node, NodeId};
use serde::{Deserialize, Serialize};

/// The most by which a function that is kept may differ from itself beyond a window: 2^-30.
pub const OFF_MAX: f64 = 1.0 / (1u64 << 30) as f64;
/// Margin of the ranges that decide: what fixed-point arithmetic may add.
const MARGIN: Margin = Margin { relative: 1.0 / 1024.0, absolute: 1.0 / 64.0 };

/// One limited argument.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Clamp {
    /// The site, by its place among [`Graph::sites`] of the model without clamps.
    pub site: usize,
    /// Its name.
    pub name: String,
    /// The argument is at least this, where there is a lower bound. An integer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub low: Option<f64>,
    /// The argument is at most this, where there is an upper bound. An integer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
    /// Bits of a comparison.
    pub width: u8,
    /// Whether the function is kept beyond.
    pub kept: bool,
    /// The most by which the site's function differs from the model's, for any argument; of a function that is cut
    /// it is not bounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off: Option<f64>,
    /// Rounds of the comparisons on the critical path.
    pub rounds: u64,
    /// Payload bytes of the comparisons in one run.
    pub bytes: u64,
}

/// A clamp with what made it necessary: for the model's owner, as it follows from the weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Needed {
    /// The clamp.
    pub clamp: Clamp,
    /// What the argument was proved to lie in.
    pub proved: Interval,
    /// What the calibration set shows of it.
    pub observed: Interval,
}

impl Clamp {
    /// Name of the nodes that limit the argument. Names of sites may repeat, their places do not.
    pub fn node_name(&self) -> String {
        format!("{}.clamp{}", self.name, self.site)
    }
}

/// The most by which what is computed beyond a bound at ±`size` differs from the function, if it is kept; `None` where
/// it cannot be. Each is decreasing from 2 on, which is the least size that is answered.
pub fn off(function: Function, side: Side, size: f64) -> Option<f64> {
    if size < 2.0 {
        return None;
    }
    let decay = (-size).exp();
    let off = match (function, side) {
        (Function::Relu, _) => return Some(0.0),
        // |x|·Φ(−|x|) ≤ φ(x) < ½·e^(−x²/2), and |x|·(1 + e^(2u))⁻¹ with u ≥ 0.79·|x|.
        (Function::Gelu, _) => Some((-size * size / 2.0).exp()),
        (Function::GeluTanh, _) => Some(size * (-1.58 * size).exp()),
        // |x|·(1 + e^|x|)⁻¹; mish: 1 − tanh(ln(1 + eˣ)) = 2/((1 + eˣ)² + 1), and tanh(ln(1 + eˣ)) ≤ eˣ.
        (Function::Silu | Function::Mish, _) => Some(2.0 * size * decay),
        // The difference of two values of a monotone function that has a limit is at most its distance from it.
        (Function::Sigmoid | Function::Softplus, _) | (Function::Exp, Side::Below) => Some(decay),
        (Function::Tanh, _) => Some(2.0 * decay * decay),
        (Function::Erf, _) => Some((-size * size).exp()),
        (Function::Exp, Side::Above) | (Function::Logarithm | Function::SquareRoot | Function::Reciprocal, _) => None,
    };
    // What underflows is still a bound.
    off.map(|off: f64| off.max(f64::MIN_POSITIVE))
}

/// Whether f(x) − x vanishes for large x, so that what lies above the bound is added.
fn follows_its_argument(function: Function) -> bool {
    matches!(
        function,
        Function::Relu | Function::Gelu | Function::GeluTanh | Function::Silu | Function::Softplus | Function::Mish
    )
}

/// Puts the clamps before their sites.
pub(super) fn insert(graph: Graph, clamps: &[Clamp]) -> Result<Graph, Error> {
    if clamps.is_empty() {
        return Ok(graph);
    }
    let sites = graph.sites();
    let mut by_node = vec![None; graph.nodes.len()];
    for clamp in clamps {
        let site = sites.get(clamp.site).filter(|site| site.name == clamp.name);
        let site = site.ok_or_else(|| invalid(clamp, "the model has no such site there; tune this model again"))?;
        let function = match &graph.node(site.node).operator {
            Operator::Activation { function } => *function,
            other => return Err(invalid(clamp, &format!("the argument of {} is not clamped", other.name()))),
        };
        let integer = |bound: f64| bound.fract() == 0.0 && bound.abs() < (1u64 << 53) as f64;
        if ![clamp.low, clamp.high].into_iter().flatten().all(integer)
            || clamp.low.zip(clamp.high).is_some_and(|(low, high)| low >= high)
            || !(2..=64).contains(&clamp.width)
        {
            return Err(invalid(clamp, "its bounds or its width are not those of a clamp"));
        }
        if by_node[site.node.index()].replace((clamp, function)).is_some() {
            return Err(invalid(clamp, "the site has two clamps"));
        }
    }
    let Graph { nodes, inputs, outputs } = graph;
    let mut list = List { nodes: Vec::with_capacity(nodes.len() + 4 * clamps.len()) };
    let mut renamed: Vec<NodeId> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let inputs: Vec<NodeId> = node.inputs.iter().map(|input| renamed[input.index()]).collect();
        renamed.push(match by_node[node.id.index()] {
            Some((clamp, function)) => list.clamped(node, inputs[0], clamp, function),
            None => list.push(node.name, node.operator, inputs, node.shape),
        });
    }
    let named = |list: Vec<(String, NodeId)>| list.into_iter().map(|(name, id)| (name, renamed[id.index()])).collect();
    Ok(Graph { nodes: list.nodes, inputs: named(inputs), outputs: named(outputs) })
}

fn invalid(clamp: &Clamp, reason: &str) -> Error {
    Error::Invalid { node: clamp.name.clone(), operator: "clamp".into(), reason: reason.into() }
}

struct List {
    nodes: Vec<Node>,
}

impl List {
    fn push(&mut self, name: String, operator: Operator, inputs: Vec<NodeId>, shape: Vec<usize>) -> NodeId {
        let id = NodeId::from_index(self.nodes.len());
        self.nodes.push(Node { id, name, operator, inputs, shape });
        id
    }

    fn clamped(&mut self, node: Node, argument: NodeId, clamp: &Clamp, function: Function) -> NodeId {
        let Node { name, operator, shape, .. } = node;
        let own = clamp.node_name();
        let (mut value, mut excess) = (argument, None);
        let width = clamp.width;
        if let Some(bound) = clamp.high {
            let limit = Operator::Limit { side: Side::Above, bound, width };
            value = self.push(own.clone(), limit, vec![value], shape.clone());
            if clamp.kept && follows_its_argument(function) {
                let operator = Operator::Excess { bound };
                excess = Some(self.push(own.clone(), operator, vec![argument, value], shape.clone()));
            }
        }
        if let Some(bound) = clamp.low {
            let limit = Operator::Limit { side: Side::Below, bound, width };
            value = self.push(own.clone(), limit, vec![value], shape.clone());
        }
        let result = self.push(name, operator, vec![value], shape.clone());
        match excess {
            Some(excess) => self.push(own, Operator::Add, vec![result, excess], shape),
            None => result,
        }
    }
}

/// What decides about clamps.
pub struct Request<'a> {
    /// The box of every input.
    pub boxes: &'a [InputRange],
    /// What the calibration set shows, of the model without clamps.
    pub observed: &'a Observed,
    /// The widest window of a function's entries, in real numbers; `None` where there is no entry.
    pub reach: &'a dyn Fn(Function) -> Option<[f64; 2]>,
    /// Where this is given, functions are cut at this many times what the calibration set shows, and kept otherwise.
    pub cut: Option<f64>,
    /// Fraction bits of arguments.
    pub scale: u8,
    /// The most bits that can be compared.
    pub width_max: u8,
}

/// The clamps that a model needs: wherever the range that is proved of an argument exceeds the widest window.
///
/// `graph` has no clamps and knows its weights. Ranges are those of the boxes alone; a promised norm of rows may make
/// some clamp unnecessary that is found here.
pub fn needed(graph: &Graph, request: &Request<'_>) -> Result<Vec<Needed>, Error> {
    let mut needed: Vec<Needed> = Vec::new();
    loop {
        let clamps: Vec<Clamp> = needed.iter().map(|needed| needed.clamp.clone()).collect();
        let clamped = insert(graph.clone(), &clamps)?;
        let ranges = Ranges::analyse(&clamped, request.boxes, MARGIN)?;
        let found = excesses(graph, &clamped, &ranges, &clamps, request)?;
        // A function that is kept leaves all later ranges as they were: those clamps are found at once. A cut does not.
        let cut = found.iter().position(|found| !found.clamp.kept);
        let count = cut.map_or(found.len(), |place| place + 1);
        needed.extend(found.into_iter().take(count));
        needed.sort_by_key(|needed| needed.clamp.site);
        if cut.is_none() {
            return Ok(needed);
        }
    }
}

/// Clamps of sites that have none and exceed their windows, in order.
fn excesses(
    graph: &Graph,
    clamped: &Graph,
    ranges: &Ranges,
    known: &[Clamp],
    request: &Request<'_>,
) -> Result<Vec<Needed>, Error> {
    let mut found = Vec::new();
    for (place, (site, now)) in graph.sites().into_iter().zip(clamped.sites()).enumerate() {
        let Operator::Activation { function } = graph.node(site.node).operator else { continue };
        let Some(SiteRange::Activation { input: proved }) = ranges.site(now.node) else { continue };
        let Some([low, high]) = (request.reach)(function) else { continue };
        let exceeds = proved.lower < low || proved.upper > high;
        if !exceeds || known.iter().any(|clamp| clamp.site == place) {
            continue;
        }
        let seen = request.observed.sites().find(|(node, _)| *node == site.node);
        let observed = match seen {
            Some((_, SiteRange::Activation { input })) => input,
            _ => Interval::new(0.0, 0.0),
        };
        let clamp = |low: Option<f64>, high: Option<f64>, off: Option<f64>| -> Result<Clamp, Error> {
            let size = proved.magnitude() + low.unwrap_or(0.0).abs().max(high.unwrap_or(0.0).abs());
            let bits = (size * f64::from(request.scale).exp2()).log2().ceil() + 2.0;
            let clamp = Clamp {
                site: place,
                name: site.name.clone(),
                low,
                high,
                width: 2,
                kept: off.is_some(),
                off,
                rounds: 0,
                bytes: 0,
            };
            // An even number: a plan is public and need not tell more of the weights.
            match bits <= f64::from(request.width_max) {
                true => Ok(Clamp { width: (bits as u8).next_multiple_of(2).min(request.width_max), ..clamp }),
                false => Err(invalid(
                    &clamp,
                    &format!(
                        "its argument is proved to lie in {:.3e}…{:.3e} only, which no comparison in this ring reaches; \
                         clamp an earlier one (--cut) or take a narrower --input-range",
                        proved.lower, proved.upper
                    ),
                )),
            }
        };
        let below = (proved.lower < low).then_some(low.ceil());
        let above = (proved.upper > high).then_some(high.floor());
        if let Some(factor) = request.cut {
            let limit = |seen: f64, window: f64| (seen.abs() * factor).max(1.0).ceil().min(window.abs());
            let low = below.map(|window| -limit(observed.lower, window));
            let high = above.map(|window| limit(observed.upper, window));
            found.push(Needed { clamp: clamp(low, high, None)?, proved, observed });
            continue;
        }
        let offs = [(Side::Below, below.map(|bound| -bound)), (Side::Above, above)];
        let offs = offs.map(|(side, size)| size.map_or(Some(0.0), |size| off(function, side, size)));
        let off = offs[0].zip(offs[1]).map(|(a, b)| a.max(b)).filter(|&off| off <= OFF_MAX);
        let clamp = clamp(below, above, off)?;
        if off.is_none() {
            let reason = format!(
                "{} cannot be kept beyond {low}…{high}; --cut FACTOR limits its argument to FACTOR times what the \
                 calibration set shows, which changes the model beyond",
                function.name()
            );
            return Err(invalid(&clamp, &reason));
        }
        found.push(Needed { clamp, proved, observed });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::reference::apply;

    /// What is computed beyond a bound, against the function itself, for every function and both sides.
    #[test]
    fn what_is_kept_differs_by_no_more_than_is_said() {
        let mut asked = 0;
        for function in Function::ALL {
            for size in [2.0f64, 3.0, 5.0, 9.0, 20.0] {
                for side in [Side::Below, Side::Above] {
                    let Some(off) = off(function, side, size) else { continue };
                    asked += 1;
                    let bound = if side == Side::Below { -size } else { size };
                    for step in 0..2000 {
                        let beyond = f64::from(step) * 0.02;
                        let x = if side == Side::Below { bound - beyond } else { bound + beyond };
                        let carried = side == Side::Above && follows_its_argument(function);
                        let computed = apply(function, bound) + if carried { x - bound } else { 0.0 };
                        let found = (apply(function, x) - computed).abs();
                        let rounding = 4.0 * f64::EPSILON * (1.0 + x.abs());
                        assert!(found <= off + rounding, "{} at {x}: {found:e} > {off:e}", function.name());
                    }
                }
            }
        }
        assert_eq!(asked, 5 * 19, "functions that can be kept");
        assert!(off(Function::Gelu, Side::Above, 1.9).is_none());
        assert!(off(Function::Exp, Side::Above, 20.0).is_none());
        assert!(off(Function::Reciprocal, Side::Below, 20.0).is_none());
    }
}
