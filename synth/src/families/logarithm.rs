//! The logarithm by normalisation: exponent·log 2 + polynomial.
//!
//! As in [`normalise`](super::normalise), v = x·2^(−r·j − e) lies in a fixed range. Then log x = log v + (r·j + e)·log 2,
//! where the second part is a local sum over the comparison bits and the first a polynomial in t = (v − m)·2^k.

use super::builder::{BuildError, Builder, Terms};
use super::fitting::{self, Fitted};
use super::goal::Goal;
use super::normalise::Normalised;
use super::polynomial::{dot_with_powers, powers, powers_needed};
use super::{Design, Shape, target};
use crate::minimax::{self, Basis};
use catalogs::{Function, Program, Ring};
use rug::{Float, Rational, float::Constant};

/// A normalisation and a degree.
#[derive(Clone, PartialEq, Debug)]
pub struct Logarithm {
    /// The normalisation, without steps.
    pub argument: Normalised,
}

/// The scales of one program.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Scales {
    /// The ring of everything after the comparisons.
    ring: Ring,
    /// Of v and the powers of t.
    internal: i32,
    /// Of the last sum before its truncation.
    computed: i32,
}

/// The shapes that may reach `accuracy`.
pub fn shapes(goal: &Goal, accuracy: f64) -> Vec<Logarithm> {
    if goal.function != Function::Log || goal.window.low <= 0 {
        return Vec::new();
    }
    let accuracy = accuracy * goal.weights().0;
    let mut shapes = Vec::new();
    for radix_bits in 1..=4 {
        for degree in 2..=10usize {
            // Chebyshev: 2/(n·ρ^n) is the error of degree n − 1, with the pole at zero.
            let root = 2f64.powf(f64::from(radix_bits) / 2.0);
            let rho = (root + 1.0) / (root - 1.0);
            let error = 2.0 / (degree as f64 + 1.0) * rho.powi(-(degree as i32) - 1);
            if error < 3.0 * accuracy && error > accuracy / 300.0 {
                let argument = |band_bits| Normalised { radix_bits, degree, steps: 0, band_bits };
                shapes.extend([3, 5].map(|bits| Logarithm { argument: argument(bits) }));
            }
        }
    }
    shapes
}

impl Logarithm {
    fn fit(&self, goal: &Goal) -> Option<Fitted> {
        let f = |v: &Float, precision: u32| target::value(&Function::Log, v, precision);
        let basis = Basis::full(self.argument.degree as u32).with_scaling(self.argument.scaling(goal)?);
        let fitted = fitting::best(&f, minimax::Norm::Absolute, self.argument.range(goal), basis)?;
        let unit = goal.weights().0.max(f64::MIN_POSITIVE);
        Some(Fitted { error: fitted.error / unit, ..fitted })
    }

    fn program(&self, goal: &Goal, c: &[Rational], scales: Scales) -> Result<Program, BuildError> {
        let Scales { ring, internal, computed } = scales;
        let mut b = Builder::new(goal.input.ring, goal.input.scale);
        let below = self.argument.comparisons(&mut b, goal, ring)?;
        let (v, _) = self.argument.value(&mut b, goal, &below, internal, ring)?;
        let t = self.argument.centred(&mut b, goal, v)?;
        let w = powers(&mut b, t, powers_needed(self.argument.degree), internal)?;
        // Part j of the range, counted from below, has the exponent r·j + e.
        let step = logarithm_of_two() * self.argument.radix_bits;
        let top = logarithm_of_two() * self.argument.squeeze(goal) + Rational::from(&step * below.len() as u32);
        let exponent = below.iter().fold(Terms::new().constant(top), |terms, bit| terms.linear(-step.clone(), *bit));
        let sum = dot_with_powers(&mut b, &w, c, exponent, computed)?;
        let output = i32::from(goal.output_scale.bits());
        b.truncated_into(&sum, output, computed - output, goal.input.ring)?;
        b.finish()
    }

    fn scales(&self, goal: &Goal) -> Vec<Scales> {
        let ends = [goal.window.low, goal.window.high].map(|end| goal.value(goal.real_f64(end)).abs());
        let largest = ends[0].max(ends[1]).max(1.0).log2().ceil() as i32;
        let mut scales = Vec::new();
        for ring in (28..=goal.input.ring.bits()).step_by(4).filter_map(Ring::new) {
            let bits = i32::from(ring.bits());
            for internal in [bits / 2 - 2, bits / 2 - 4, bits / 2 - 7] {
                scales.extend([2, 4, 7].map(|less| Scales { ring, internal, computed: bits - largest - less }));
            }
        }
        scales
    }
}

fn logarithm_of_two() -> Rational {
    Float::with_val(160, Constant::Log2).to_rational().unwrap_or_default()
}

impl Shape for Logarithm {
    fn family(&self) -> &'static str {
        "normalised logarithm"
    }

    fn describe(&self) -> String {
        let Normalised { radix_bits, degree, band_bits, .. } = self.argument;
        format!("radix 2^{radix_bits} degree {degree} bands 2^-{band_bits}")
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
