//! Sine and cosine on a bounded domain: the whole turns come off, and a polynomial of the function's parity serves one.
//!
//! v = x·C with C ≈ 1/2π is a local sum, so its bits carry no rounding. The integer bits of v + 1/2 are bits of the
//! ring element; what remains of v when they are taken off lies in [−1/2, 1/2), and t is twice that.

use super::builder::{BuildError, Builder, Terms, Wire};
use super::fitting::{self, Fitted};
use super::goal::Goal;
use super::polynomial::{dot_with_powers, odd_dot_with_powers, powers, powers_needed};
use super::{Design, Shape};
use crate::minimax::{self, Basis};
use catalogs::{Decimal, Function, Program, Ring};
use rug::{Float, Rational, float::Constant};

/// A polynomial for one turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Turn {
    /// The number of terms beyond the first.
    pub degree: usize,
    /// Fraction bits of C.
    pub multiplier_bits: i32,
}

/// The scales of one program.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Scales {
    /// The ring after the turns are off.
    ring: Ring,
    internal: i32,
    computed: i32,
}

/// The shapes that may reach `accuracy`.
pub fn shapes(goal: &Goal, accuracy: f64) -> Vec<Turn> {
    if !matches!(goal.function, Function::Sin | Function::Cos) || goal.norm.relative != Decimal::ZERO {
        return Vec::new();
    }
    let accuracy = accuracy * goal.weights().0;
    let reach = goal.real_f64(goal.window.low).abs().max(goal.real_f64(goal.window.high).abs()).max(1.0);
    // An error of 2^−(m+1) in C turns x by 2π·x·2^−(m+1).
    let needed = (reach * std::f64::consts::PI / accuracy).log2().ceil() as i32;
    let is_odd = goal.function == Function::Sin;
    let mut shapes = Vec::new();
    for degree in 2..=8usize {
        // The first Chebyshev coefficient left out is about that of the Taylor series.
        let first_left_out = 2 * degree + 2 + usize::from(is_odd);
        let size = (1..=first_left_out).fold(2.0, |size, k| size * std::f64::consts::FRAC_PI_2 / k as f64);
        if size < 3.0 * accuracy && size > accuracy / 3000.0 {
            shapes.extend([2, 5].map(|more| Turn { degree, multiplier_bits: needed + more }));
        }
    }
    shapes
}

impl Turn {
    fn is_odd(goal: &Goal) -> bool {
        goal.function == Function::Sin
    }

    /// sin πt = t·P(t²) or cos πt = P(t²) on [−1, 1]: P's coefficients.
    fn fit(&self, goal: &Goal) -> Option<Fitted> {
        let is_odd = Turn::is_odd(goal);
        let f = |t: &Float, precision: u32| {
            let angle = Float::with_val(precision + 16, Constant::Pi) * t;
            Float::with_val(precision, if is_odd { angle.sin() } else { angle.cos() })
        };
        let basis = match is_odd {
            true => Basis::odd(2 * self.degree as u32 + 1),
            false => Basis::even(2 * self.degree as u32),
        };
        let fitted = fitting::best(&f, minimax::Norm::Absolute, ((-1).into(), 1.into()), basis)?;
        Some(Fitted { error: fitted.error / goal.weights().0, ..fitted })
    }

    /// t = 2·(x·C − ⌊x·C + 1/2⌋).
    fn turned(&self, b: &mut Builder, goal: &Goal, ring: Ring) -> Result<Wire, BuildError> {
        let x = b.input();
        let scale = x.scale() + self.multiplier_bits;
        let inverse = (Float::with_val(200, Constant::Pi) * 2u32).recip().to_rational().unwrap_or_default();
        let multiplier = (inverse << self.multiplier_bits).round() >> self.multiplier_bits;
        let end = |input: i64| (goal.real(input) * &multiplier + Rational::from((1, 2))).floor().numer().to_i64();
        let (low, high) = (end(goal.window.low).unwrap_or(i64::MIN), end(goal.window.high).unwrap_or(i64::MAX));
        let v = b.exact(&Terms::new().linear(multiplier.clone(), x), scale)?;
        let mut rest = Terms::new().linear(1, v);
        if (low, high) != (0, 0) {
            // ⌊v + 1/2⌋ = Σ 2^k·bit − 2^p·bit_p in two's complement.
            let top = (0..60).find(|p| -(1i64 << p) <= low && high < 1i64 << p).unwrap_or(60);
            let shifted = b.exact(&Terms::new().linear(1, v).constant((1, 2)), scale)?;
            for k in 0..=top {
                let position = u8::try_from(scale + k).map_err(|_| BuildError::Scale(scale + k))?;
                let bit = b.bit(shifted, position)?;
                let bit = b.inject_into(bit, ring);
                let weight = Rational::from(1) << k as u32;
                rest = rest.linear(if k == top { weight } else { -weight }, bit);
            }
        }
        let rest = b.exact(&rest, scale)?.narrowed(ring);
        Ok(rest.divided_by_power(-1))
    }

    fn program(&self, goal: &Goal, c: &[Rational], scales: Scales) -> Result<Program, BuildError> {
        let Scales { ring, internal, computed } = scales;
        let mut b = Builder::new(goal.input.ring, goal.input.scale);
        let t = self.turned(&mut b, goal, ring)?;
        let t = match t.scale() - internal {
            shift if shift > 0 => b.truncated(&Terms::new().linear(1, t), internal, shift)?,
            _ => t,
        };
        let u = b.truncated_product(t, t, internal)?;
        let terms = if Turn::is_odd(goal) {
            odd_dot_with_powers(&mut b, t, u, c, Terms::new(), (internal, computed))?
        } else {
            let w = powers(&mut b, u, powers_needed(self.degree), internal)?;
            dot_with_powers(&mut b, &w, c, Terms::new(), computed)?
        };
        let output = i32::from(goal.output_scale.bits());
        b.truncated_into(&terms, output, computed - output, goal.input.ring)?;
        b.finish()
    }

    fn scales(&self, goal: &Goal) -> Vec<Scales> {
        let least = i32::from(goal.input.scale.bits()) + self.multiplier_bits + 1;
        let mut scales = Vec::new();
        let rings = (28..=goal.input.ring.bits()).step_by(4).filter(|bits| i32::from(*bits) >= least);
        for ring in rings.filter_map(Ring::new) {
            let bits = i32::from(ring.bits());
            for internal in [bits / 2 - 1, bits / 2 - 3, bits / 2 - 6] {
                // The coefficients' partial sums reach a few units.
                scales.extend([3, 5, 8].map(|less| Scales { ring, internal, computed: bits - less }));
            }
        }
        scales
    }
}

impl Shape for Turn {
    fn family(&self) -> &'static str {
        "turns"
    }

    fn describe(&self) -> String {
        format!("degree {} multiplier bits {}", self.degree, self.multiplier_bits)
    }

    fn fit_error(&self, goal: &Goal) -> Option<f64> {
        self.fit(goal).map(|fitted| fitted.error)
    }

    fn designs(&self, goal: &Goal, accuracy: f64) -> Vec<Design> {
        let Some(fitted) = self.fit(goal).filter(|fitted| fitted.error < accuracy) else { return Vec::new() };
        let named = |scales: &Scales| {
            let Scales { ring, internal, computed } = scales;
            format!("ring {ring} internal {internal} computed {computed}")
        };
        let program = |scales: &Scales| self.program(goal, &fitted.coefficients, *scales);
        super::designs(self, fitted.error, goal.window, &self.scales(goal), named, program)
    }
}
