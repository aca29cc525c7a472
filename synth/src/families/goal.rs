//! What somebody wants: a function on a window, in a format, to an accuracy.

use super::target;
use catalogs::{Decimal, Format, Function, Norm, Scale, Window};
use rug::{Float, Rational};

/// A request for programs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Goal {
    /// f.
    pub function: Function,
    /// Where the claim is to hold, as input integers.
    pub window: Window,
    /// The interval that the claim names as fitted; by default what the found program's polynomials serve.
    pub fitted: Option<Window>,
    /// The format of the input; the output has the same ring.
    pub input: Format,
    /// The scale of the output.
    pub output_scale: Scale,
    /// How the error is measured.
    pub norm: Norm,
    /// The largest certified bound in that norm that is wanted.
    pub accuracy: Decimal,
}

/// One ulp of the input is 2^−scale: x as an integer.
pub fn input_integer(x: f64, scale: Scale) -> i64 {
    (x * 2f64.powi(i32::from(scale.bits()))).round() as i64
}

impl Goal {
    /// The weights (absolute, relative) of the norm.
    pub fn weights(&self) -> (f64, f64) {
        (self.norm.absolute.to_f64_lossy(), self.norm.relative.to_f64_lossy())
    }

    /// The accuracy as a number.
    pub fn accuracy(&self) -> f64 {
        self.accuracy.to_f64_lossy()
    }

    /// The unit of the norm where f has this value.
    pub fn unit(&self, value: f64) -> f64 {
        let (absolute, relative) = self.weights();
        absolute + relative * value.abs()
    }

    /// The real number that an input integer stands for.
    pub fn real(&self, input: i64) -> Rational {
        Rational::from(input) >> u32::from(self.input.scale.bits())
    }

    /// The same in double precision.
    pub fn real_f64(&self, input: i64) -> f64 {
        input as f64 * 2f64.powi(-i32::from(self.input.scale.bits()))
    }

    /// The nearest input integer of a real number, inside the window.
    pub fn clamp(&self, x: f64) -> i64 {
        input_integer(x, self.input.scale).clamp(self.window.low, self.window.high)
    }

    /// f in double precision.
    pub fn value(&self, x: f64) -> f64 {
        target::value(&self.function, &Float::with_val(64, x), 64).to_f64()
    }

    /// The function c₀ + c₁·x that f approaches on the left (`false`) or on the right (`true`).
    pub fn tail(&self, right: bool) -> Option<(i32, i32)> {
        match (&self.function, right) {
            (Function::Exp | Function::Sigmoid | Function::NormalCdf | Function::Gelu | Function::Silu, false) => {
                Some((0, 0))
            }
            (Function::Sigmoid | Function::NormalCdf | Function::Tanh | Function::Erf, true) => Some((1, 0)),
            (Function::Gelu | Function::Silu, true) => Some((0, 1)),
            (Function::Tanh | Function::Erf, false) => Some((-1, 0)),
            (Function::Exp | Function::Relu | Function::Reciprocal | Function::Rsqrt, _) => None,
            _ => self.found_tail(right),
        }
    }

    /// The same for a function of which nothing is known: from its value at the window's end, if that is far out.
    fn found_tail(&self, right: bool) -> Option<(i32, i32)> {
        let x = self.real_f64(if right { self.window.high } else { self.window.low });
        let value = self.value(x);
        if x.abs() < 8.0 || (x > 0.0) != right || !value.is_finite() {
            return None;
        }
        let slope = (value / x).round();
        let constant = (value - slope * x).round();
        let near = (value - slope * x - constant).abs() < 0.125;
        (near && slope.abs() <= 1.0 && constant.abs() <= 1.0).then_some((constant as i32, slope as i32))
    }

    /// The input integer of the least |x| beyond which the tail is within `accuracy`; the window's end where the
    /// tail is not needed, `None` if there is no tail or it never gets so good.
    pub fn tail_edge(&self, right: bool, accuracy: f64) -> Option<i64> {
        let end = if right { self.window.high } else { self.window.low };
        let (constant, slope) = self.tail(right)?;
        let good = |input: i64| {
            let x = self.real_f64(input);
            let value = self.value(x);
            (value - f64::from(constant) - f64::from(slope) * x).abs() <= accuracy * self.unit(value)
        };
        if !good(end) {
            return None;
        }
        let farthest = input_integer(128.0, self.input.scale);
        let step = 1i64 << self.input.scale.bits().saturating_sub(4);
        let sign = if right { 1 } else { -1 };
        let mut inside = end.abs().min(farthest);
        while inside > 0 && good(sign * inside) {
            inside -= step;
        }
        let (mut bad, mut fine) = (inside.max(0), (inside + step).min(end.abs()));
        while fine - bad > 1 {
            let middle = bad + (fine - bad) / 2;
            if good(sign * middle) { fine = middle } else { bad = middle }
        }
        Some(sign * fine)
    }
}
