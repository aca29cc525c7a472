//! The reciprocal from selected coefficients: no normalised argument is ever computed.
//!
//! On each part of the range, a factor 2^r wide, y = Σ C_k·x^k is near 1/x, and e = 1 − x·y = 1 − Σ C_k·x^(k+1) is a
//! sum of the same kind. The powers of x are computed beside the comparisons, the C_k are local sums over their bits,
//! y and e are two sums side by side, and 1/x = y·(1 + e)·(1 + e²)… follows. Both sums use the same integers C_k, so
//! that what their rounding does to y, e repairs.

use super::builder::{BuildError, Builder, Terms, Wire};
use super::fitting::{self, Fitted};
use super::goal::Goal;
use super::normalise::Normalised;
use super::{Design, Shape, target};
use crate::minimax::{self, Basis};
use catalogs::{Function, Program};
use rug::{Float, Rational};

/// The parts of the range, the degree of y, the factors (1 + e^(2^i)).
#[derive(Clone, PartialEq, Debug)]
pub struct Selected {
    /// The parts; its steps are the number of factors.
    pub argument: Normalised,
}

/// The scales of one program.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Scales {
    /// Of the powers of x, x itself included.
    powers: i32,
    /// Of y and e before their truncations.
    computed: i32,
    /// Of y and e.
    internal: i32,
}

/// The shapes that may reach `accuracy`.
pub fn shapes(goal: &Goal, accuracy: f64) -> Vec<Selected> {
    if goal.function != Function::Reciprocal || goal.window.low <= 0 {
        return Vec::new();
    }
    let accuracy = accuracy * goal.weights().1.max(f64::MIN_POSITIVE);
    let mut shapes = Vec::new();
    for radix_bits in 1..=2 {
        let root = 2f64.powf(f64::from(radix_bits) / 2.0);
        let rho = (root + 1.0) / (root - 1.0);
        for (degree, steps) in [(1, 1), (2, 1), (3, 1), (1, 2), (2, 2), (3, 2)] {
            let error = (2.0 * rho.powi(-degree - 1)).powi(1 << steps);
            if error < 4.0 * accuracy && error > accuracy * 1e-4 {
                let argument =
                    |band_bits| Normalised { radix_bits, degree: degree as usize, steps: steps as u32, band_bits };
                shapes.extend([3, 5].map(|bits| Selected { argument: argument(bits) }));
            }
        }
    }
    shapes.retain(|shape| shape.argument.thresholds(goal) > 0);
    shapes
}

impl Selected {
    fn fit(&self, goal: &Goal) -> Option<Fitted> {
        let f = |v: &Float, precision: u32| target::value(&Function::Reciprocal, v, precision);
        fitting::best(&f, minimax::Norm::Relative, self.argument.range(goal), Basis::full(self.argument.degree as u32))
    }

    fn refined(&self, error: f64) -> f64 {
        error.powi(1 << self.argument.steps)
    }

    fn program(&self, goal: &Goal, c: &[Rational], scales: Scales) -> Result<Program, BuildError> {
        let mut b = Builder::new(goal.input.ring, goal.input.scale);
        let x = b.input();
        let ring = b.ring();
        let below = self.argument.comparisons(&mut b, goal, ring)?;
        let first = match x.scale() - scales.powers {
            shift if shift > 0 => b.truncated(&Terms::new().linear(1, x), scales.powers, shift)?,
            _ => x,
        };
        let mut powers = vec![first];
        for exponent in 2..=self.argument.degree + 1 {
            let (low, high) = (powers[exponent / 2 - 1], powers[exponent - exponent / 2 - 1]);
            powers.push(b.truncated_product(low, high, scales.powers)?);
        }
        let (mut y, mut e) = (Terms::new(), Terms::new().constant(1));
        for (k, coefficient) in c.iter().enumerate() {
            let scale = scales.computed - first.scale();
            let selected = self.selected(&mut b, goal, &below, coefficient, k, scale)?;
            y = if k == 0 { y.linear(1, selected) } else { y.product(1, selected, powers[k - 1]) };
            e = e.product(-1, selected, powers[k]);
        }
        let shift = scales.computed - scales.internal;
        let mut y = b.truncated(&y, scales.internal, shift)?;
        let mut e = b.truncated(&e, scales.internal, shift)?;
        let output = i32::from(goal.output_scale.bits());
        for step in 0..self.argument.steps {
            let last = step + 1 == self.argument.steps;
            let scale = if last { output } else { scales.internal };
            let next = Terms::new().linear(1, y).product(1, y, e);
            let next = b.truncated(&next, scale, y.scale() + e.scale() - scale)?;
            if !last {
                e = b.truncated_product(e, e, scales.internal)?;
            }
            y = next;
        }
        b.finish()
    }

    /// C_k = c_k·s^(k+1) for the s = 2^(−r·j − squeeze) of x's part j: a local sum.
    fn selected(
        &self,
        b: &mut Builder,
        goal: &Goal,
        below: &[Wire],
        coefficient: &Rational,
        k: usize,
        scale: i32,
    ) -> Result<Wire, BuildError> {
        let part = |j: usize| {
            let bits = (k as i32 + 1) * (self.argument.radix_bits * j as i32 + self.argument.squeeze(goal));
            match bits >= 0 {
                true => Rational::from(coefficient >> bits.unsigned_abs()),
                false => Rational::from(coefficient << bits.unsigned_abs()),
            }
        };
        let mut terms = Terms::new().constant(part(below.len()));
        for (j, bit) in below.iter().enumerate() {
            terms = terms.linear(part(j) - part(j + 1), *bit);
        }
        b.exact(&terms, scale)
    }
}

impl Shape for Selected {
    fn family(&self) -> &'static str {
        "selected newton"
    }

    fn describe(&self) -> String {
        let Normalised { radix_bits, degree, steps, band_bits } = self.argument;
        format!("radix 2^{radix_bits} degree {degree} steps {steps} bands 2^-{band_bits}")
    }

    fn fit_error(&self, goal: &Goal) -> Option<f64> {
        self.fit(goal).map(|fitted| self.refined(fitted.error) / goal.weights().1.max(f64::MIN_POSITIVE))
    }

    fn designs(&self, goal: &Goal, accuracy: f64) -> Vec<Design> {
        let weight = goal.weights().1.max(f64::MIN_POSITIVE);
        let fitted = self.fit(goal).filter(|fitted| self.refined(fitted.error) / weight < accuracy);
        let Some(fitted) = fitted else { return Vec::new() };
        let top = i32::from(goal.input.ring.bits()) - 3;
        let mut scales = Vec::new();
        for powers in [16, 18, 20, 22, 24] {
            for computed in [top, top - 2, top - 4] {
                scales.extend([22, 24, 26, 28].map(|internal| Scales { powers, computed, internal }));
            }
        }
        let named = |scales: &Scales| {
            let Scales { powers, computed, internal } = scales;
            format!("powers {powers} computed {computed} internal {internal}")
        };
        let program = |scales: &Scales| self.program(goal, &fitted.coefficients, *scales);
        super::designs(self, self.refined(fitted.error) / weight, goal.window, &scales, named, program)
    }
}
