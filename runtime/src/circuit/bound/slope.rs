//! How fast a function can change: an upper bound of |f′| on an interval, from formulas.
//!
//! Where |f′| is monotone or has one maximum the bound is its value at an end of the interval; elsewhere it is a constant
//! that holds for all x, and the tests prove every constant by intervals that cover the line. Doubles are used with a
//! relative margin of 2^-40, as in the proof of headroom.

use super::super::headroom::function::MARGIN;
use catalogs::Function;

/// At least sup |f′| on [low, high], or `None` where there is no such bound: at a pole, or for a function whose derivative
/// is not known here.
pub(super) fn largest(function: &Function, low: f64, high: f64) -> Option<f64> {
    if !(low <= high && low.is_finite() && high.is_finite()) {
        return None;
    }
    // The least |x|: a density and its like fall with |x|.
    let near = if low > 0.0 { low } else { (-high).max(0.0) };
    let far = low.abs().max(high.abs());
    let slope = match function {
        Function::Relu if high <= 0.0 => return Some(0.0),
        Function::Relu | Function::Sin | Function::Cos => return Some(1.0),
        Function::Exp => high.exp(),
        Function::Exp2 => high.exp2() * std::f64::consts::LN_2,
        Function::Log if low > 0.0 => 1.0 / low,
        Function::Sqrt if low > 0.0 => 0.5 / low.sqrt(),
        Function::Reciprocal if low > 0.0 => 1.0 / (low * low),
        Function::Rsqrt if low > 0.0 => 0.5 / (low * low.sqrt()),
        // σ(1 − σ) is at most 1/4 and at most e^−|x|.
        Function::Sigmoid => (-near).exp().min(0.25),
        // 1 − tanh² = 4/(eˣ + e⁻ˣ)².
        Function::Tanh => (4.0 * (-2.0 * near).exp()).min(1.0),
        Function::Erf => std::f64::consts::FRAC_2_SQRT_PI * (-near * near).exp(),
        Function::NormalCdf => 0.398_943 * (-near * near / 2.0).exp(),
        // |x|·φ(x) ≤ φ(1).
        Function::NormalPdf => (0.398_943 * far).min(0.241_971),
        // σ ≤ 1 and σ ≤ eˣ.
        Function::Softplus => high.exp().min(1.0),
        Function::Gelu => of_a_gate(low, high, GELU),
        Function::GeluTanh => of_a_gate(low, high, GELU_TANH),
        Function::Silu => of_a_gate(low, high, SILU),
        Function::Mish => of_a_gate(low, high, MISH),
        _ => return None,
    };
    Some(slope * (1.0 + MARGIN)).filter(|slope| slope.is_finite())
}

/// sup |f′| over all x, and over x ≤ 0, where f(x) = x·(a gate that rises from 0 to 1).
type Gate = [f64; 2];

/// Φ(x) + x·φ(x) has its extremes at ±√2.
const GELU: Gate = [1.129, 0.5];
const GELU_TANH: Gate = [1.130, 0.5];
/// σ·(1 + x·(1 − σ)).
const SILU: Gate = [1.0999, 0.5];
/// At 0 it is tanh(log 2) = 3/5.
const MISH: Gate = [1.089, 0.6];

fn of_a_gate(_: f64, high: f64, [everywhere, below]: Gate) -> f64 {
    if high <= 0.0 { below } else { everywhere }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph;

    /// The derivative of a gated function on [low, high], by interval arithmetic on increasing parts.
    fn enclosure(function: &Function, low: f64, high: f64) -> (f64, f64) {
        let times = |a: (f64, f64), b: (f64, f64)| {
            let ends = [a.0 * b.0, a.0 * b.1, a.1 * b.0, a.1 * b.1];
            (ends.iter().copied().fold(f64::MAX, f64::min), ends.iter().copied().fold(f64::MIN, f64::max))
        };
        let plus = |a: (f64, f64), b: (f64, f64)| (a.0 + b.0, a.1 + b.1);
        let x = (low, high);
        // Values of an even function that falls with |x|.
        let even = |f: &dyn Fn(f64) -> f64| {
            let near = if low > 0.0 { low } else { (-high).max(0.0) };
            (f(low.abs().max(high.abs())), f(near))
        };
        let sigmoid = |v: f64| 1.0 / (1.0 + (-v).exp());
        match function {
            Function::Gelu => {
                let phi = |v: f64| 0.5 * (1.0 + graph::reference::apply(graph::Function::Erf, v / 2f64.sqrt()));
                let density = even(&|v: f64| (-v * v / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt());
                plus((phi(low), phi(high)), times(x, density))
            }
            // f = x·s(w), w = 2√(2/π)·(x + 0.044715x³): f′ = s + x·w′·s(1 − s).
            Function::GeluTanh => {
                let c = 2.0 * (2.0 / std::f64::consts::PI).sqrt();
                let w = |v: f64| c * (v + 0.044715 * v * v * v);
                let bell = even(&|v: f64| sigmoid(w(v)) * sigmoid(-w(v)));
                let rise = even(&|v: f64| -c * (1.0 + 0.134145 * v * v));
                let rise = (-rise.1, -rise.0);
                plus((sigmoid(w(low)), sigmoid(w(high))), times(x, times(rise, bell)))
            }
            Function::Silu => {
                let bell = even(&|v: f64| sigmoid(v) * sigmoid(-v));
                plus((sigmoid(low), sigmoid(high)), times(x, bell))
            }
            // f = x·t, t = tanh(softplus(x)): f′ = t + x·(1 − t²)·σ, and 1 − t² falls while σ rises.
            Function::Mish => {
                let t = |v: f64| v.exp().ln_1p().tanh();
                let falls = (1.0 - t(high) * t(high), 1.0 - t(low) * t(low));
                plus((t(low), t(high)), times(x, times(falls, (sigmoid(low), sigmoid(high)))))
            }
            other => panic!("{other:?} has no enclosure here"),
        }
    }

    /// Intervals of 2^-12 cover [−40, 40]. Beyond, gate and remainder differ from 0 or 1 by less than 40·e^−40.
    #[test]
    fn the_constants_of_gated_functions_are_proved_by_intervals() {
        for (function, [everywhere, below]) in
            [(Function::Gelu, GELU), (Function::GeluTanh, GELU_TANH), (Function::Silu, SILU), (Function::Mish, MISH)]
        {
            let (mut worst, mut worst_below) = (0.0f64, 0.0f64);
            let step = 1.0 / 4096.0;
            for index in -40 * 4096..40 * 4096 {
                let low = f64::from(index) * step;
                let (least, most) = enclosure(&function, low, low + step);
                assert!(most - least < 1e-2, "{function:?}: the enclosure is wide at {low}");
                let size = least.abs().max(most.abs());
                worst = worst.max(size);
                if index < 0 {
                    worst_below = worst_below.max(size);
                }
            }
            assert!(worst < everywhere && everywhere < worst * 1.002, "{function:?}: {worst} {everywhere}");
            // At 0 the derivative itself is attained.
            assert!(worst_below <= below * 1.002 && below <= worst_below, "{function:?}: {worst_below} {below}");
        }
    }

    /// Difference quotients never exceed the slope, and somewhere come within a tenth of it.
    #[test]
    fn slopes_are_above_difference_quotients_and_not_far_above() {
        let intervals = [(-8.0, 8.0), (-8.0, -1.0), (-1.0, 0.0), (0.25, 4.0), (1.0, 6.0), (-0.5, 0.5)];
        for function in graph::Function::ALL {
            let own = crate::circuit::lower::catalog_function(function).unwrap();
            for (low, high) in intervals {
                let positive = matches!(own, Function::Log | Function::Sqrt | Function::Reciprocal | Function::Rsqrt);
                let Some(slope) = largest(&own, low, high) else {
                    assert!(positive && low <= 0.0, "{own:?} has no slope on {low} to {high}");
                    continue;
                };
                let (steps, width) = (4000, high - low);
                let value = |step: i32| graph::reference::apply(function, low + width * f64::from(step) / 4000.0);
                let quotient = |step: i32| (value(step + 1) - value(step)).abs() / (width / 4000.0);
                let found = (0..steps).map(quotient).fold(0.0, f64::max);
                assert!(found <= slope * (1.0 + 1e-9), "{own:?} on {low} to {high}: {found} > {slope}");
                let tight = matches!(own, Function::Exp | Function::Reciprocal | Function::Log | Function::Sqrt);
                if tight || (low < 0.0 && high > 2.0) {
                    assert!(found >= slope * 0.9, "{own:?} on {low} to {high}: {found} is far below {slope}");
                }
            }
        }
        assert_eq!(largest(&Function::Rsqrt, 0.25, 9.0), Some(4.0 * (1.0 + MARGIN)));
        for (low, high) in [(f64::NAN, 1.0), (2.0, 1.0), (0.0, f64::INFINITY)] {
            assert_eq!(largest(&Function::Tanh, low, high), None);
        }
        for function in [Function::Log, Function::Reciprocal, Function::Rsqrt, Function::Sqrt] {
            assert_eq!(largest(&function, 0.0, 1.0), None, "{function:?} has a pole at 0");
        }
        assert_eq!(largest(&Function::Relu, -3.0, 0.0), Some(0.0));
    }
}
