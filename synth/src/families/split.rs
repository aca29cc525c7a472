//! 2^integer · 2^fraction: the exponential by splitting x·log₂e at the binary point.
//!
//! v = x·C − 1 ulp with C ≈ log₂e is a local sum, so its bits carry no rounding; one ulp less keeps it negative at
//! x = 0. The integer bits of v + 2^p are p bits of the ring element, the fraction is what remains of v when they
//! are taken off, 2^fraction is a polynomial, and every integer bit contributes a factor 1 or 2^−(2^k).

use super::builder::{BuildError, Builder, Terms, Wire};
use super::fitting::{self, Fitted};
use super::goal::Goal;
use super::left_cut::LeftCut;
use super::polynomial::{dot_with_powers, powers, powers_needed};
use super::{Design, Shape, target};
use crate::minimax::{self, Basis};
use catalogs::{Program, Window};
use rug::{Float, Rational};

/// A split with a polynomial for the fraction.
#[derive(Clone, PartialEq, Debug)]
pub struct Split {
    /// Where zero begins.
    pub cut: LeftCut,
    /// Degree of the polynomial for 2^fraction.
    pub degree: usize,
    /// Fraction bits of C.
    pub multiplier_bits: i32,
}

/// The scales of one program.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Scales {
    internal: i32,
    guard: i32,
}

/// The shapes that may reach `accuracy`.
pub fn shapes(goal: &Goal, accuracy: f64) -> Vec<Split> {
    let Some(cut) = LeftCut::new(goal, accuracy, goal.input.scale.bits().saturating_sub(4)) else { return Vec::new() };
    let shape = |(degree, multiplier_bits)| Split { cut, degree, multiplier_bits };
    (2..=6).flat_map(|degree| [10, 14, 20].map(|bits| (degree, bits))).map(shape).collect()
}

impl Split {
    /// p: v lies in [−2^p, 0).
    fn integer_bits(&self, goal: &Goal) -> u8 {
        let reach = -goal.real_f64(self.cut.lowest(goal)) * std::f64::consts::LOG2_E + 1e-3;
        reach.max(1.5).log2().ceil() as u8
    }

    fn fit(&self) -> Option<Fitted> {
        let f = |x: &Float, precision: u32| Float::with_val(precision, x.exp2_ref());
        let unit = (Rational::new(), Rational::from(1));
        fitting::best(&f, minimax::Norm::Relative, unit, Basis::full(self.degree as u32))
    }

    fn program(&self, goal: &Goal, coefficients: &[Rational], scales: Scales) -> Result<Program, BuildError> {
        let mut b = Builder::new(goal.input.ring, goal.input.scale);
        let x = b.input();
        let ring = b.ring();
        let above = self.cut.above(&mut b, goal, ring)?;
        let scale = x.scale() + self.multiplier_bits;
        let ulp = Rational::from(1) >> scale;
        let multiplier = (target::log2_e() << self.multiplier_bits).round();
        let v = b.exact(&Terms::new().linear(multiplier >> self.multiplier_bits, x).constant(-ulp), scale)?;
        let p = self.integer_bits(goal);
        let mut bits = Vec::new();
        for k in 0..p {
            let bit = b.bit(v, scale as u8 + k)?;
            bits.push(b.inject(bit));
        }
        // v + 2^p − Σ 2^k·bit is the fraction.
        let fraction = Terms::new().linear(1, v).constant(Rational::from(1) << u32::from(p));
        let fraction = bits
            .iter()
            .enumerate()
            .fold(fraction, |terms, (k, bit)| terms.linear(-(Rational::from(1) << k as u32), *bit));
        let fraction = b.exact(&fraction, scale)?;
        let fraction = if scale > scales.internal {
            b.truncated(&Terms::new().linear(1, fraction), scales.internal, scale - scales.internal)?
        } else {
            fraction
        };
        let w = powers(&mut b, fraction, powers_needed(self.degree), scales.internal)?;
        let computed = 2 * scales.internal + scales.guard;
        let terms = dot_with_powers(&mut b, &w, coefficients, Terms::new(), computed)?;
        let mantissa = b.truncated(&terms, scales.internal, computed - scales.internal)?;
        let power = self.power(&mut b, &bits, above)?;
        // 2^−2^p · Π(1 + bit·(2^(2^k) − 1)) = 2^−1 · Π(2^−2^k + bit·(1 − 2^−2^k)).
        let power = power.divided_by_power(1);
        let output = i32::from(goal.output_scale.bits());
        b.truncated_product(mantissa, power, output)?;
        b.finish()
    }

    /// Π (bit or 2^−(2^k)), zero where `above` is: products of pairs, exact.
    fn power(&self, b: &mut Builder, bits: &[Wire], above: Option<Wire>) -> Result<Wire, BuildError> {
        let mut factors = Vec::new();
        for (k, bit) in bits.iter().enumerate() {
            let small = Rational::from(1) >> (1u32 << k);
            let terms = Terms::new().constant(small.clone()).linear(Rational::from(1) - small, *bit);
            factors.push(b.exact(&terms, 1 << k)?);
        }
        factors.extend(above);
        while factors.len() > 1 {
            let mut next = Vec::new();
            for pair in factors.chunks(2) {
                next.push(match pair {
                    [left, right] => b.exact(&Terms::new().product(1, *left, *right), left.scale() + right.scale())?,
                    _ => pair[0],
                });
            }
            factors = next;
        }
        Ok(factors[0])
    }
}

impl Shape for Split {
    fn family(&self) -> &'static str {
        "split exponent"
    }

    fn describe(&self) -> String {
        format!("{} degree {} multiplier bits {}", self.cut, self.degree, self.multiplier_bits)
    }

    fn fit_error(&self, goal: &Goal) -> Option<f64> {
        self.fit().map(|fitted| fitted.error / goal.unit(1.0))
    }

    fn designs(&self, goal: &Goal, accuracy: f64) -> Vec<Design> {
        let Some(fitted) = self.fit().filter(|fitted| fitted.error / goal.unit(1.0) < accuracy) else {
            return Vec::new();
        };
        let window = Window { low: self.cut.lowest(goal), high: goal.window.high };
        let mut scales = Vec::new();
        for internal in (14..=goal.finest_scale()).step_by(2) {
            scales.extend([8, 12].map(|guard| Scales { internal, guard }));
        }
        let named = |scales: &Scales| format!("internal {} guard {}", scales.internal, scales.guard);
        let program = |scales: &Scales| self.program(goal, &fitted.coefficients, *scales);
        super::designs(self, fitted.error / goal.unit(1.0), window, &scales, named, program)
    }
}
