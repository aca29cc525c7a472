//! What somebody wants: a function on a window, in a format, to an accuracy.

use super::target;
use crate::minimax;
use crate::search::Density;
use catalogs::{Decimal, Format, Function, Norm, Scale, Window};
use rug::{Float, Rational};

/// A request for programs.
#[derive(Clone, PartialEq, Debug)]
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
    /// Which inputs are likely: polynomials then serve these as well as the accuracy, which holds everywhere, allows.
    pub density: Option<Density>,
}

/// The function constant + slope·x.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Affine {
    /// At x = 0.
    pub constant: Rational,
    /// Per unit of x.
    pub slope: Rational,
}

/// To 40 fraction bits, far finer than any program's coefficients.
fn shortened(value: Rational) -> Rational {
    (value << 40u32).round() >> 40u32
}

/// How a function is symmetric about zero.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Symmetry {
    /// f(x) − slope·x is even.
    Even(Rational),
    /// f(x) − centre is odd.
    Odd(Rational),
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

    /// The finest scale of inner values that is tried: their products have to fit the format's ring.
    pub fn finest_scale(&self) -> i32 {
        if self.input.ring.bits() > 64 { 46 } else { 30 }
    }

    /// f in double precision.
    pub fn value(&self, x: f64) -> f64 {
        target::value(&self.function, &Float::with_val(64, x), 64).to_f64()
    }

    /// The norm as fits take it.
    pub fn fit_norm(&self) -> minimax::Norm<'static> {
        let (absolute, relative) = self.weights();
        minimax::Norm::Mixed {
            absolute: Rational::from_f64(absolute).unwrap_or_default(),
            relative: Rational::from_f64(relative).unwrap_or_default(),
        }
    }

    /// Inputs inside the window at which a derivative of f jumps, ascending.
    pub fn kinks(&self) -> Vec<i64> {
        let scale = u32::from(self.input.scale.bits());
        let input = |kink: Rational| (kink << scale).ceil().numer().to_i64();
        let inputs = target::kinks(&self.function).into_iter().filter_map(input);
        let mut inside: Vec<i64> = inputs.filter(|x| self.window.low < *x && *x <= self.window.high).collect();
        inside.sort_unstable();
        inside.dedup();
        inside
    }

    /// The affine function that f approaches on the left (`false`) or on the right (`true`).
    pub fn tail(&self, right: bool) -> Option<Affine> {
        let affine = |constant: i32, slope: i32| Some(Affine { constant: constant.into(), slope: slope.into() });
        match (&self.function, right) {
            (Function::Exp | Function::Sigmoid | Function::NormalCdf | Function::Gelu | Function::Silu, false) => {
                affine(0, 0)
            }
            (Function::Sigmoid | Function::NormalCdf | Function::Tanh | Function::Erf, true) => affine(1, 0),
            (Function::Gelu | Function::Silu, true) => affine(0, 1),
            (Function::Tanh | Function::Erf, false) => affine(-1, 0),
            (Function::Exp | Function::Relu | Function::Reciprocal | Function::Rsqrt, _) => None,
            _ => self.found_tail(right),
        }
    }

    /// The same for a function of which nothing is known: from its values at the window's end, if that is far out.
    fn found_tail(&self, right: bool) -> Option<Affine> {
        let x = self.real(if right { self.window.high } else { self.window.low });
        if x.to_f64().abs() < 8.0 || (x > 0) != right {
            return None;
        }
        let at = |x: &Rational| target::value(&self.function, &Float::with_val(128, x), 128).to_rational();
        let (inner, middle) = (Rational::from(&x / 2u32), &x * Rational::from((3, 4)));
        let (far, near) = (at(&x)?, at(&middle)?);
        let slope = Rational::from(&far - &near) / Rational::from(&x - &middle);
        let constant = &far - Rational::from(&slope * &x);
        // Simple ones cost nothing.
        let simple = |value: &Rational| value.clone().round();
        let (whole_slope, whole) = (simple(&slope), simple(&far));
        let rest = &far - Rational::from(&whole_slope * &x);
        let whole_constant = if whole_slope == 0 { whole } else { simple(&rest) };
        let is_near = |value: Rational, margin: f64| value.to_f64().abs() < margin;
        let steep = whole_slope.to_f64().abs() > 1.0 || whole_constant.to_f64().abs() > 1.0;
        if is_near(rest - &whole_constant, 0.125) && !steep {
            return Some(Affine { constant: whole_constant, slope: whole_slope });
        }
        let on_line = Rational::from(&slope * &inner) + &constant;
        let affine = Affine { constant: shortened(constant), slope: shortened(slope) };
        is_near(at(&inner)? - on_line, 1e-4).then_some(affine)
    }

    /// The input integer of the least |x| beyond which the tail is within `accuracy`; the window's end where the
    /// tail is not needed, `None` if there is no tail or it never gets so good.
    pub fn tail_edge(&self, right: bool, accuracy: f64) -> Option<i64> {
        let end = if right { self.window.high } else { self.window.low };
        let tail = self.tail(right)?;
        let (constant, slope) = (tail.constant.to_f64(), tail.slope.to_f64());
        let good = |input: i64| {
            let x = self.real_f64(input);
            let value = self.value(x);
            (value - constant - slope * x).abs() <= accuracy * self.unit(value)
        };
        if !good(end) {
            return None;
        }
        let farthest = input_integer(128.0, self.input.scale);
        let step = 1i64 << self.input.scale.bits().saturating_sub(4);
        let sign = if right { 1 } else { -1 };
        let mut inside = end.saturating_abs().min(farthest);
        while inside > 0 && good(sign * inside) {
            inside -= step;
        }
        let (mut bad, mut fine) = (inside.max(0), (inside + step).min(end.saturating_abs()));
        while fine - bad > 1 {
            let middle = bad + (fine - bad) / 2;
            if good(sign * middle) { fine = middle } else { bad = middle }
        }
        Some(sign * fine)
    }

    /// The symmetry of f, decided from its values at a few points.
    pub fn symmetry(&self) -> Option<Symmetry> {
        const PRECISION: u32 = 160;
        let at = |x: f64| target::value(&self.function, &Float::with_val(PRECISION, x), PRECISION).to_rational();
        let points = [0.625, 1.375, 2.25];
        let sums = points.map(|x| Some(at(x)? + at(-x)?));
        let slopes = points.map(|x| Some((at(x)? - at(-x)?) / Rational::from_f64(2.0 * x)?));
        let same = |values: &[Option<Rational>; 3]| {
            let first = values[0].clone()?;
            let is_near = |value: &Option<Rational>| {
                value.as_ref().is_some_and(|value| Rational::from(value - &first).to_f64().abs() < 1e-30)
            };
            values.iter().all(is_near).then_some((first << 80u32).round() >> 80u32)
        };
        same(&slopes).map(Symmetry::Even).or_else(|| same(&sums).map(|sum| Symmetry::Odd(sum / 2)))
    }
}
