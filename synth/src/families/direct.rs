//! One polynomial on a normalised argument, already multiplied by what undoes the normalisation.
//!
//! As in [`normalise`](super::normalise), v = x·c lies in a fixed range, and 1/x = R/v, 1/√x = R/√v or √x = R·√v with
//! R a local sum over the comparison bits. No Newton step follows: with t = (v − m)·2^e in [−1, 1] the result is
//! R·A(t) + (R·t³)·B(t), whose factors R·t and R·t³ are computed beside the powers of t, so that the product with R
//! costs no round. Degree 5 needs three products after t, degree 7 five, in two levels and a last sum.

use super::builder::{BuildError, Builder, Terms, Wire};
use super::fitting::{self, Fitted};
use super::goal::Goal;
use super::normalise::{Normalised, product_at_most, selected_growth, selected_power, takes_root};
use super::{Design, Shape, target};
use crate::minimax::{self, Basis};
use catalogs::{Function, Program, Ring};
use rug::{Float, Rational};

/// A normalisation and a degree.
#[derive(Clone, PartialEq, Debug)]
pub struct Direct {
    /// The normalisation, without steps.
    pub argument: Normalised,
}

/// The scales of one program.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Scales {
    /// The ring of everything after the comparisons.
    ring: Ring,
    /// Of t and its powers.
    internal: i32,
    /// Of R·t and R·t³.
    carried: i32,
    /// Of the last sum before its truncation.
    computed: i32,
}

/// The shapes that may reach `accuracy`.
pub fn shapes(goal: &Goal, accuracy: f64) -> Vec<Direct> {
    if !matches!(goal.function, Function::Reciprocal | Function::Rsqrt | Function::Sqrt) || goal.window.low <= 0 {
        return Vec::new();
    }
    let (step, gain) = if takes_root(goal) { (2, 0.3) } else { (1, 1.0) };
    let accuracy = accuracy * goal.weights().1.max(f64::MIN_POSITIVE);
    let mut shapes = Vec::new();
    for radix_bits in (step..=2 * step).step_by(step as usize) {
        let root = 2f64.powf(f64::from(radix_bits) / 2.0);
        let rho = (root + 1.0) / (root - 1.0);
        for degree in [3, 5, 6, 7] {
            let error = 2.0 * gain * rho.powi(-(degree as i32) - 1);
            if error < 4.0 * accuracy && error > accuracy / 300.0 {
                let argument = |band_bits| Normalised { radix_bits, degree, steps: 0, band_bits };
                shapes.extend([3, 5].map(|bits| Direct { argument: argument(bits) }));
            }
        }
    }
    shapes.retain(|shape| shape.argument.thresholds(goal) > 0);
    shapes
}

impl Direct {
    fn fit(&self, goal: &Goal) -> Option<Fitted> {
        let function = &goal.function;
        let f = |v: &Float, precision: u32| target::value(function, v, precision);
        let basis = Basis::full(self.argument.degree as u32).with_scaling(self.argument.scaling(goal)?);
        fitting::best(&f, minimax::Norm::Relative, self.argument.range(goal), basis)
    }

    fn program(&self, goal: &Goal, c: &[Rational], scales: Scales) -> Result<Program, BuildError> {
        let mut b = Builder::new(goal.input.ring, goal.input.scale);
        let radix = self.argument.radix_bits;
        let squeeze = self.argument.squeeze(goal);
        let below = self.argument.comparisons(&mut b, goal, scales.ring)?;
        let (v, power) = self.argument.value(&mut b, goal, &below, scales.internal, scales.ring)?;
        let undo = match goal.function {
            Function::Rsqrt => selected_power(&mut b, &below, radix / 2)?.divided_by_power(squeeze / 2),
            Function::Sqrt => selected_growth(&mut b, &below, radix / 2)?.divided_by_power(-squeeze / 2),
            _ => power.divided_by_power(squeeze),
        };
        let t = self.argument.centred(&mut b, goal, v)?;
        let sum = self.last_sum(&mut b, undo.narrowed(scales.ring), t, c, scales)?;
        let output = i32::from(goal.output_scale.bits());
        b.truncated_into(&sum, output, scales.computed - output, goal.input.ring)?;
        b.finish()
    }

    /// R·A(t) + R·t·c₃·t², or R·A(t) + (R·t³)·B(t) above degree 3.
    fn last_sum(
        &self,
        b: &mut Builder,
        undo: Wire,
        t: Wire,
        c: &[Rational],
        scales: Scales,
    ) -> Result<Terms, BuildError> {
        let Scales { internal, carried, computed, .. } = scales;
        let degree = self.argument.degree;
        let square = product_at_most(b, t, t, internal)?;
        let once = product_at_most(b, undo, t, carried)?;
        let low = c.iter().skip(1).zip([t, square]).fold(Terms::new(), |sum, (c, w)| sum.linear(c.clone(), w));
        let low = low.constant(c[0].clone());
        let low = b.exact(&low, computed - undo.scale())?;
        let sum = Terms::new().product(1, undo, low);
        if degree <= 3 {
            let top = b.exact(&Terms::new().linear(c[3].clone(), square), computed - once.scale())?;
            return Ok(sum.product(1, once, top));
        }
        let cube = product_at_most(b, once, square, carried)?;
        let mut powers = vec![t, square];
        if degree >= 6 {
            powers.push(product_at_most(b, t, square, internal)?);
        }
        if degree >= 7 {
            powers.push(product_at_most(b, square, square, internal)?);
        }
        let high = c.iter().skip(4).zip(&powers).fold(Terms::new(), |sum, (c, w)| sum.linear(c.clone(), *w));
        let high = b.exact(&high.constant(c[3].clone()), computed - cube.scale())?;
        Ok(sum.product(1, cube, high))
    }

    fn scales(&self, goal: &Goal) -> Vec<Scales> {
        let ends = [goal.window.low, goal.window.high].map(|end| goal.value(goal.real_f64(end)));
        let largest = ends[0].max(ends[1]).max(1.0).log2().ceil() as i32 + 1;
        let mut scales = Vec::new();
        let rings = [64, 60, 56, 52, 48, 44].into_iter().filter(|bits| *bits <= goal.input.ring.bits());
        for ring in rings.filter_map(Ring::new) {
            for less in [0, 2, 5] {
                let computed = i32::from(ring.bits()) - 2 - largest - less;
                for internal in [16, 18, 20, 22, 24] {
                    scales.extend([16, 18, 20, 22, 24].map(|carried| Scales { ring, internal, carried, computed }));
                }
            }
        }
        scales
    }
}

impl Shape for Direct {
    fn family(&self) -> &'static str {
        "normalised polynomial"
    }

    fn describe(&self) -> String {
        let Normalised { radix_bits, degree, band_bits, .. } = self.argument;
        format!("radix 2^{radix_bits} degree {degree} bands 2^-{band_bits}")
    }

    fn fit_error(&self, goal: &Goal) -> Option<f64> {
        self.fit(goal).map(|fitted| fitted.error / goal.weights().1.max(f64::MIN_POSITIVE))
    }

    fn designs(&self, goal: &Goal, accuracy: f64) -> Vec<Design> {
        let weight = goal.weights().1.max(f64::MIN_POSITIVE);
        let Some(fitted) = self.fit(goal).filter(|fitted| fitted.error / weight < accuracy) else { return Vec::new() };
        let named = |scales: &Scales| {
            let Scales { ring, internal, carried, computed } = scales;
            format!("ring {ring} internal {internal} carried {carried} computed {computed}")
        };
        let program = |scales: &Scales| self.program(goal, &fitted.coefficients, *scales);
        super::designs(self, fitted.error / weight, goal.window, &self.scales(goal), named, program)
    }
}
