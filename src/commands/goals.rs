//! From a model's proved ranges to the functions that have to be approximated for it.

use ::synth::families::Goal;
use catalogs::{Decimal, Format, Function, Norm, Scale, Window};
use runtime::graph::ranges::{InputRange, Interval, Margin, Ranges, SiteRange};
use runtime::graph::{self, Graph, Operator, SiteKind};

/// Fraction bits of activations, of exp's output and the reciprocal's input, and of their results.
const ACTIVATIONS: u8 = 16;
const FINE: u8 = 24;
const RESULT: u8 = 22;

/// What every nonlinear site of the model needs, without repetitions, for inputs in `input_box`.
pub fn of(graph: &Graph, input_box: (f64, f64)) -> Result<Vec<Goal>, String> {
    let inputs = vec![InputRange::uniform(input_box.0, input_box.1); graph.inputs().len()];
    // Windows are rounded up to powers of two below, which leaves room for the private run's errors.
    let margin = Margin { relative: 1e-3, absolute: 1e-3 };
    let ranges = Ranges::analyse(graph, &inputs, margin).map_err(|error| error.to_string())?;
    let mut goals: Vec<Goal> = Vec::new();
    for site in graph.sites() {
        let range = ranges.site(site.node).ok_or_else(|| format!("no range of site {}", site.name))?;
        let found = match range {
            SiteRange::Activation { input } => vec![activation(site.kind, input)?],
            // A maximum compares, and needs no entry.
            SiteRange::Maximum { .. } => vec![],
            SiteRange::Softmax { below_maximum, .. } => {
                vec![exponential(below_maximum)?, reciprocal(site.row_length)?]
            }
            SiteRange::Normalisation { variance, .. } => vec![inverse_root(graph, &site, variance)?],
        };
        for goal in found {
            // A wider window of the same goal serves both.
            let twin = goals.iter_mut().find(|other| Goal { window: goal.window, ..(*other).clone() } == goal);
            match twin {
                Some(twin) if twin.window.covers(&goal.window) => {}
                Some(twin) if goal.window.covers(&twin.window) => *twin = goal,
                _ => goals.push(goal),
            }
        }
    }
    Ok(goals)
}

fn format(scale: u8) -> Result<Format, String> {
    Format::z64(scale).ok_or_else(|| format!("no scale has {scale} bits"))
}

fn decimal(text: &str) -> Result<Decimal, String> {
    Decimal::parse(text).ok_or_else(|| format!("'{text}' is not a decimal"))
}

/// The least power of two that is at least twice the interval's largest absolute value, and at least 8.
fn reach(interval: Interval) -> f64 {
    let largest = interval.lower.abs().max(interval.upper.abs());
    (2.0 * largest).max(8.0).log2().ceil().exp2()
}

fn integer(x: f64, scale: u8) -> i64 {
    (x * 2f64.powi(i32::from(scale))).round() as i64
}

fn goal(function: Function, window: Window, scales: (u8, u8), norm: Norm, accuracy: &str) -> Result<Goal, String> {
    let output_scale = Scale::new(scales.1).ok_or_else(|| format!("no scale has {} bits", scales.1))?;
    Ok(Goal {
        function,
        window,
        fitted: None,
        input: format(scales.0)?,
        output_scale,
        norm,
        accuracy: decimal(accuracy)?,
        density: None,
    })
}

fn symmetric(interval: Interval) -> Window {
    let end = integer(reach(interval), ACTIVATIONS);
    Window { low: -end, high: end - 1 }
}

fn activation(kind: SiteKind, input: Interval) -> Result<Goal, String> {
    let function = match kind {
        SiteKind::Rectifier => {
            return goal(Function::Relu, symmetric(input), (ACTIVATIONS, ACTIVATIONS), Norm::ABSOLUTE, "0");
        }
        SiteKind::Activation(graph::Function::Gelu) => Function::Gelu,
        SiteKind::Activation(graph::Function::Silu) => Function::Silu,
        SiteKind::Activation(graph::Function::Sigmoid) => Function::Sigmoid,
        SiteKind::Activation(graph::Function::Tanh) => Function::Tanh,
        SiteKind::Activation(graph::Function::Erf) => Function::Erf,
        SiteKind::Activation(graph::Function::Softplus) => Function::Softplus,
        SiteKind::Activation(graph::Function::Mish) => Function::Mish,
        other => return Err(format!("no approximation of {} is known; see `chebyshare catalog list`", other.name())),
    };
    goal(function, symmetric(input), (ACTIVATIONS, ACTIVATIONS), Norm::ABSOLUTE, "5e-4")
}

fn exponential(below_maximum: Interval) -> Result<Goal, String> {
    let window = Window { low: -integer(reach(below_maximum), ACTIVATIONS), high: 0 };
    let norm = Norm { absolute: decimal("0.125")?, relative: Decimal::ONE };
    goal(Function::Exp, window, (ACTIVATIONS, FINE), norm, "1e-5")
}

/// Sums of n values of exp lie in [1, n] but for exp's error.
fn reciprocal(row: usize) -> Result<Goal, String> {
    let window = Window { low: integer(0.95, FINE), high: integer(1.05 * row.max(2) as f64, FINE) };
    goal(Function::Reciprocal, window, (FINE, RESULT), Norm::RELATIVE, "1e-4")
}

/// The argument is κ·(variance + ε) with 1/8 < κ ≤ 1, and one rounding.
fn inverse_root(graph: &Graph, site: &graph::Site, variance: Interval) -> Result<Goal, String> {
    let Operator::LayerNorm { epsilon, .. } = &graph.node(site.node).operator else {
        return Err(format!("site {} is no layer norm", site.name));
    };
    // The plan's own proof follows integers and is looser than the graph's: leave it room.
    let high = (32.0 * variance.upper).max(1.0).log2().ceil().exp2();
    // As fine as the largest argument allows.
    let scale = FINE.min((44.0 - high.log2()).max(0.0) as u8);
    let low = integer(epsilon / 8.0, scale).max(1);
    let window = Window { low, high: integer(high, scale) };
    goal(Function::Rsqrt, window, (scale, RESULT), Norm::RELATIVE, "2e-4")
}
