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
use std::collections::{BTreeMap, BTreeSet};

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

/// The most by which a function that is limited to `low`…`high` differs from itself, for any argument; `None` where it is
/// cut. `followed` says whether what lies above the upper bound is added again.
///
/// This alone decides whether a function is kept: whoever writes a plan, and whoever checks one, asks here.
pub fn difference(function: Function, low: Option<f64>, high: Option<f64>, followed: bool) -> Option<f64> {
    if high.is_some() && follows_its_argument(function) && !followed {
        return None;
    }
    let below = low.map_or(Some(0.0), |low| off(function, Side::Below, -low));
    let above = high.map_or(Some(0.0), |high| off(function, Side::Above, high));
    below.zip(above).map(|(below, above)| below.max(above)).filter(|&off| off <= OFF_MAX)
}

/// By how much two machines may disagree about a difference, relatively: their exponentials are rounded differently.
const LIBRARIES: f64 = 1.0 / (1u64 << 40) as f64;

/// Checks that `graph`, with clamps, has these and no others, and that each is kept or cut, and by how much off, as
/// [`difference`] says. Returns that of the sites that are kept.
///
/// # Errors
/// A phrase that names the clamp.
pub fn check(graph: &Graph, clamps: &[Clamp]) -> Result<BTreeMap<NodeId, f64>, String> {
    let sites = graph.sites();
    let (mut kept, mut claimed) = (BTreeMap::new(), BTreeSet::new());
    for clamp in clamps {
        let unlike = || format!("the model's structure does not have the clamp of {}", clamp.name);
        let site = sites.get(clamp.site).filter(|site| site.name == clamp.name).ok_or_else(unlike)?.node;
        let Operator::Activation { function } = graph.node(site).operator else { return Err(unlike()) };
        if clamp.low.is_none() && clamp.high.is_none() {
            return Err(unlike());
        }
        let own = clamp.node_name();
        let mut argument = graph.node(site).inputs[0];
        let mut limited = |side: Side, bound: Option<f64>| -> Result<Option<NodeId>, String> {
            let Some(bound) = bound else { return Ok(None) };
            let node = graph.node(argument);
            if node.operator != (Operator::Limit { side, bound, width: clamp.width }) || node.name != own {
                return Err(unlike());
            }
            if !claimed.insert(node.id) {
                return Err(format!("the plan has two clamps of {}", clamp.name));
            }
            argument = node.inputs[0];
            Ok(Some(node.id))
        };
        limited(Side::Below, clamp.low)?;
        let above = limited(Side::Above, clamp.high)?;
        let excess = above.zip(clamp.high).and_then(|(above, bound)| {
            let is_excess = |node: &&Node| {
                node.operator == Operator::Excess { bound } && node.inputs == [argument, above] && node.name == own
            };
            graph.nodes().iter().find(is_excess).map(|node| node.id)
        });
        if let Some(excess) = excess {
            // Both go into their sum, and nowhere else.
            let is_user = |node: &&Node| node.inputs.contains(&site) || node.inputs.contains(&excess);
            let users: Vec<&Node> = graph.nodes().iter().filter(is_user).collect();
            let added = |node: &&Node| node.operator == Operator::Add && node.inputs == [site, excess];
            if users.len() != 1 || !users.iter().all(added) || graph.outputs().iter().any(|(_, id)| *id == site) {
                return Err(unlike());
            }
            claimed.insert(excess);
        }
        let found = difference(function, clamp.low, clamp.high, excess.is_some());
        let near = |stated: f64, found: f64| (stated - found).abs() <= LIBRARIES * found;
        match (clamp.kept, clamp.off, found) {
            (false, None, None) => {}
            (true, Some(stated), Some(found)) if near(stated, found) => {
                kept.insert(site, found);
            }
            _ => return Err(misstated(clamp, found)),
        }
    }
    let is_part = |node: &&Node| matches!(node.operator, Operator::Limit { .. } | Operator::Excess { .. });
    match graph.nodes().iter().filter(is_part).all(|node| claimed.contains(&node.id)) {
        true => Ok(kept),
        false => Err("the model's structure has clamps that the plan does not state".into()),
    }
}

fn misstated(clamp: &Clamp, found: Option<f64>) -> String {
    let words = |off: Option<f64>| off.map_or("cut".to_owned(), |off| format!("kept, off by at most {off:e}"));
    let stated = match (clamp.kept, clamp.off) {
        (true, None) => "kept, off by no bound".to_owned(),
        (false, Some(off)) => format!("cut, off by at most {off:e}"),
        (_, off) => words(off),
    };
    format!(
        "the plan states that beyond its bounds {} is {stated}; it is {}: the plan was changed by hand, tune again",
        clamp.name,
        words(found)
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
    /// Where this is given, arguments are limited to this many times what the calibration set shows, and what lies above is
    /// not added again: functions are cut, except where they are flat enough beyond. Without it they are kept.
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
        let clamp = |low: Option<f64>, high: Option<f64>, followed: bool| -> Result<Clamp, Error> {
            let off = difference(function, low, high, followed);
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
                        "its argument is proved to lie in {:.3e}…{:.3e} only, which no comparison of {} bits reaches; take a \
                         wider ring (--ring-bits), limit earlier ones further (--cut) or promise a narrower --input-range",
                        proved.lower, proved.upper, request.width_max
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
            found.push(Needed { clamp: clamp(low, high, false)?, proved, observed });
            continue;
        }
        let clamp = clamp(below, above, true)?;
        if !clamp.kept {
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

    /// silu of an input, limited as the clamp says.
    fn clamped(clamp: &Clamp, function: Function) -> Graph {
        let mut list = List { nodes: Vec::new() };
        let input = list.push("x".into(), Operator::Input, vec![], vec![4]);
        let site = list.push("f".into(), Operator::Activation { function }, vec![input], vec![4]);
        let graph = Graph { nodes: list.nodes, inputs: vec![("x".into(), input)], outputs: vec![("f".into(), site)] };
        insert(graph, std::slice::from_ref(clamp)).unwrap()
    }

    fn clamp(low: Option<f64>, high: Option<f64>, off: Option<f64>) -> Clamp {
        let (name, kept) = ("f".to_owned(), off.is_some());
        Clamp { site: 0, name, low, high, width: 32, kept, off, rounds: 0, bytes: 0 }
    }

    /// Whoever checks a plan finds what a clamp does to its function, and takes nobody's word for it.
    #[test]
    fn what_a_clamp_states_is_found_again() {
        let off = difference(Function::Silu, Some(-30.0), Some(30.0), true).unwrap();
        let honest = clamp(Some(-30.0), Some(30.0), Some(off));
        let graph = clamped(&honest, Function::Silu);
        assert_eq!(check(&graph, std::slice::from_ref(&honest)).unwrap().into_values().collect::<Vec<_>>(), [off]);
        let refused = |graph: &Graph, clamps: &[Clamp], part: &str| {
            let reason = check(graph, clamps).unwrap_err();
            assert!(reason.contains(part), "'{part}' is missing in: {reason}");
        };
        // Another number, or a cut that is called kept and the reverse.
        refused(&graph, &[Clamp { off: Some(0.0), ..honest.clone() }], "changed by hand");
        refused(&graph, &[Clamp { off: None, ..honest.clone() }], "kept, off by no bound");
        refused(&graph, &[Clamp { off: None, kept: false, ..honest.clone() }], "is cut; it is kept");
        // Other bounds, in the plan alone and in the structure too, where the function cannot be kept.
        refused(&graph, &[Clamp { high: Some(29.0), ..honest.clone() }], "does not have the clamp");
        for (low, high) in [(-21.0, -20.0), (-30.0, 3.0), (20.0, 30.0)] {
            let edited = clamp(Some(low), Some(high), Some(0.0));
            refused(&clamped(&edited, Function::Silu), &[edited], "it is cut");
        }
        // A clamp too many, one twice, one that limits nothing.
        refused(&graph, &[], "clamps that the plan does not state");
        refused(&graph, &[honest.clone(), honest.clone()], "two clamps");
        refused(&graph, &[clamp(None, None, Some(0.0))], "does not have the clamp");
        // Without what is added above the bound it is a cut, though the bounds are the same.
        let cut = clamp(Some(-30.0), Some(30.0), None);
        let without = clamped(&cut, Function::Silu);
        assert!(check(&without, std::slice::from_ref(&cut)).unwrap().is_empty());
        refused(&without, std::slice::from_ref(&honest), "it is cut");
        refused(&graph, &[cut], "it is kept");
        // A flat function is the same circuit either way: the bounds decide, and not whether --cut was given.
        assert_eq!(difference(Function::Tanh, Some(-20.0), Some(20.0), false), off_of_tanh());
        assert_eq!(difference(Function::Tanh, Some(-4.0), Some(4.0), false), None);
    }

    fn off_of_tanh() -> Option<f64> {
        off(Function::Tanh, Side::Above, 20.0)
    }

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
