//! Newton steps on a normalised argument: reciprocal and inverse root over wide ranges.
//!
//! Thresholds a factor 2^r apart tell the argument's magnitude; v = x·c lies in a fixed range, with c a power of
//! two that is a local sum over the comparison bits. A polynomial seed and a few Newton steps give 1/v or 1/√v, and a
//! last factor, again a power of two, undoes the normalisation. Comparisons may be coarse: a band only widens v's
//! range.
//!
//! reciprocal: y ← y·(2 − v·y), 1/x = y·c. Inverse root: y ← y·(3 − v·y²)/2, 1/√x = y·√c.

use super::builder::{BuildError, Builder, Terms, Wire, band_width};
use super::fitting::{self, Fitted};
use super::goal::Goal;
use super::polynomial::{dot_with_powers, powers, powers_needed};
use super::{Design, Shape, target};
use crate::minimax::{self, Basis, Scaling};
use catalogs::{Function, Program, Ring};
use rug::{Float, Rational};

/// A seed and its refinement.
#[derive(Clone, PartialEq, Debug)]
pub struct Normalised {
    /// r: thresholds are a factor 2^r apart.
    pub radix_bits: i32,
    /// Degree of the seed.
    pub degree: usize,
    /// Newton steps.
    pub steps: u32,
    /// Bands reach at most 2^−band_bits above a threshold, relatively.
    pub band_bits: u8,
}

/// The scales of one program.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Scales {
    internal: i32,
    guard: i32,
    /// Of y·c (or y·√c), before the last step.
    scaled: i32,
}

/// The shapes that may serve the goal.
pub fn shapes(goal: &Goal) -> Vec<Normalised> {
    if !matches!(goal.function, Function::Reciprocal | Function::Rsqrt) || goal.window.low <= 0 {
        return Vec::new();
    }
    let step: i32 = if goal.function == Function::Rsqrt { 2 } else { 1 };
    let accuracy = goal.accuracy() * goal.weights().1.max(f64::MIN_POSITIVE);
    let mut shapes = Vec::new();
    for radix_bits in (step..=6).step_by(step as usize) {
        for degree in 1..=8 {
            for steps in 1..=3 {
                // The seed's error on a range of ratio 2^r is about 2/ρ^(degree+1), squared by every step.
                let ratio = 2f64.powi(radix_bits);
                let rho = (ratio.sqrt() + 1.0) / (ratio.sqrt() - 1.0);
                let seed = 2.0 * rho.powi(-(degree as i32) - 1) * if step == 2 { 0.3 } else { 1.0 };
                let error = |steps: u32| seed.powi(1 << steps);
                let wasteful = steps > 1 && error(steps - 1) < accuracy * 0.02;
                if error(steps) > accuracy * 30.0 || wasteful || error(steps) < accuracy * 1e-4 && degree > 1 {
                    continue;
                }
                let shape = |band_bits| Normalised { radix_bits, degree, steps, band_bits };
                shapes.extend([2, 5].map(shape));
            }
        }
    }
    shapes
}

impl Normalised {
    /// The number of thresholds: the range's magnitude in steps of 2^r, less one.
    pub(super) fn thresholds(&self, goal: &Goal) -> i32 {
        let ratio = (goal.window.high as f64 + 1.0) / goal.window.low as f64;
        ((ratio.log2() / f64::from(self.radix_bits) - 1e-12).ceil() as i32 - 1).max(0)
    }

    /// The threshold number `index` as an input integer.
    pub(super) fn threshold(&self, goal: &Goal, index: i32) -> i128 {
        i128::from(goal.window.low) << (self.radix_bits * (index + 1))
    }

    /// Bits that may be ignored at a threshold.
    pub(super) fn dropped(&self, threshold: i128) -> u8 {
        let bits = 127 - threshold.leading_zeros() as u8;
        bits.saturating_sub(self.band_bits).min(60)
    }

    /// e: the argument is divided by 2^e, so that the lowest part of the range lies below one. Even for roots.
    pub(super) fn squeeze(&self, goal: &Goal) -> i32 {
        let top = goal.real_f64(goal.window.low).log2() + f64::from(self.radix_bits);
        let bits = top.ceil() as i32;
        if takes_root(goal) { bits + bits.rem_euclid(2) } else { bits }
    }

    /// The range of v.
    pub(super) fn range(&self, goal: &Goal) -> (Rational, Rational) {
        let low = goal.real(goal.window.low) >> self.squeeze(goal);
        let mut high = Rational::from(&low << self.radix_bits);
        if self.thresholds(goal) > 0 {
            let widest = (0..self.thresholds(goal)).map(|index| {
                let threshold = self.threshold(goal, index);
                Rational::from((threshold + band_width(self.dropped(threshold)), threshold))
            });
            high *= widest.max().unwrap_or_else(|| Rational::from(1));
        } else {
            high = goal.real(goal.window.high) >> self.squeeze(goal);
        }
        (low, high)
    }

    /// The bits "below threshold i" as numbers of `ring`.
    pub(super) fn comparisons(&self, b: &mut Builder, goal: &Goal, ring: Ring) -> Result<Vec<Wire>, BuildError> {
        let window = (i128::from(goal.window.low), i128::from(goal.window.high));
        let mut below = Vec::new();
        for index in 0..self.thresholds(goal) {
            let threshold = self.threshold(goal, index);
            let bit = b.less_than(b.input(), threshold, window, self.dropped(threshold))?;
            below.push(b.inject_into(bit, ring));
        }
        Ok(below)
    }

    /// v at `scale` at most, in `ring`, and its factor 2^(−r·j).
    pub(super) fn value(
        &self,
        b: &mut Builder,
        goal: &Goal,
        below: &[Wire],
        scale: i32,
        ring: Ring,
    ) -> Result<(Wire, Wire), BuildError> {
        let power = selected_power(b, below, self.radix_bits)?;
        let squeezed = b.input().divided_by_power(self.squeeze(goal));
        let full = squeezed.scale() + power.scale();
        let product = Terms::new().product(1, squeezed, power);
        let v = match full - scale {
            shift if shift > 0 => b.truncated_into(&product, scale, shift, ring)?,
            _ => b.exact(&product, full)?.narrowed(ring),
        };
        Ok((v, power))
    }

    /// m and k: t = (v − m)·2^k lies in [−1, 1] on v's range.
    fn centre(&self, goal: &Goal) -> (Rational, i32) {
        let (low, high) = self.range(goal);
        let middle = Rational::from(&low + &high) / 2;
        let middle: Rational = Rational::from(&middle << 6u32).round() >> 6u32;
        let reach = Rational::from(&high - &middle).max(Rational::from(&middle - &low)).to_f64();
        (middle, (-reach.log2()).floor() as i32)
    }

    /// The variable t as fits take it.
    pub(super) fn scaling(&self, goal: &Goal) -> Option<Scaling> {
        let (middle, bits) = self.centre(goal);
        let width = if bits >= 0 { Rational::from(1) >> bits as u32 } else { Rational::from(1) << (-bits) as u32 };
        Scaling::new(middle, width).ok()
    }

    /// t of v.
    pub(super) fn centred(&self, b: &mut Builder, goal: &Goal, v: Wire) -> Result<Wire, BuildError> {
        let (middle, bits) = self.centre(goal);
        Ok(b.exact(&Terms::new().linear(1, v).constant(-middle), v.scale())?.divided_by_power(-bits))
    }

    fn fit(&self, goal: &Goal) -> Option<Fitted> {
        let function = &goal.function;
        let f = |v: &Float, precision: u32| target::value(function, v, precision);
        let (low, high) = self.range(goal);
        if low == high {
            return None;
        }
        fitting::best(&f, minimax::Norm::Relative, (low, high), Basis::full(self.degree as u32))
    }

    /// The relative error after all steps of a seed with this one.
    fn refined(&self, goal: &Goal, mut error: f64) -> f64 {
        for _ in 0..self.steps {
            error = if goal.function == Function::Rsqrt { error * error * (3.0 + error) / 2.0 } else { error * error };
        }
        error
    }

    fn program(&self, goal: &Goal, coefficients: &[Rational], scales: Scales) -> Result<Program, BuildError> {
        let mut b = Builder::new(goal.input.ring, goal.input.scale);
        let x = b.input();
        let count = self.thresholds(goal);
        let ring = b.ring();
        let below = self.comparisons(&mut b, goal, ring)?;
        let squeezed = x.divided_by_power(self.squeeze(goal));
        let v = if count == 0 {
            squeezed
        } else {
            let c = selected_power(&mut b, &below, self.radix_bits)?;
            product_at_most(&mut b, squeezed, c, scales.internal)?
        };
        let w = powers(&mut b, v, powers_needed(self.degree), scales.internal)?;
        let computed = 2 * scales.internal + scales.guard;
        let terms = dot_with_powers(&mut b, &w, coefficients, Terms::new(), computed)?;
        let y = b.truncated(&terms, scales.internal, computed - scales.internal)?;
        if goal.function == Function::Rsqrt {
            self.root_steps(&mut b, goal, v, y, &below, scales)?;
        } else {
            self.reciprocal_steps(&mut b, goal, v, y, &below, scales)?;
        }
        b.finish()
    }

    fn reciprocal_steps(
        &self,
        b: &mut Builder,
        goal: &Goal,
        v: Wire,
        mut y: Wire,
        below: &[Wire],
        scales: Scales,
    ) -> Result<Wire, BuildError> {
        let s = scales.internal;
        for _ in 1..self.steps {
            let vy = b.truncated_product(v, y, s)?;
            let terms = Terms::new().linear(2, y).product(-1, vy, y);
            y = b.truncated(&terms, s, vy.scale() + y.scale() - s)?;
        }
        let vy = b.truncated_product(v, y, s)?;
        // 1/x = y·c/2^e, where v = x·c/2^e.
        let scaled = if below.is_empty() {
            y
        } else {
            let c = selected_power(b, below, self.radix_bits)?;
            product_at_most(b, y, c, scales.scaled)?
        };
        let scaled = scaled.divided_by_power(self.squeeze(goal));
        let output = i32::from(goal.output_scale.bits());
        let terms = Terms::new().linear(2, scaled).product(-1, vy, scaled);
        b.truncated(&terms, output, vy.scale() + scaled.scale() - output)
    }

    fn root_steps(
        &self,
        b: &mut Builder,
        goal: &Goal,
        v: Wire,
        mut y: Wire,
        below: &[Wire],
        scales: Scales,
    ) -> Result<Wire, BuildError> {
        let s = scales.internal;
        for _ in 0..self.steps {
            let square = b.truncated_product(y, y, s)?;
            let vy = b.truncated_product(v, y, s)?;
            let terms = Terms::new().linear((3, 2), y).product((-1, 2), square, vy);
            y = b.truncated(&terms, s, square.scale() + vy.scale() + 1 - s)?;
        }
        let output = i32::from(goal.output_scale.bits());
        let half = self.squeeze(goal) / 2;
        if below.is_empty() {
            return b.truncated(&Terms::new().linear(1, y.divided_by_power(half)), output, s + half - output);
        }
        // 1/√x = y·√(c/2^e).
        let root = selected_power(b, below, self.radix_bits / 2)?;
        b.truncated_product(y, root.divided_by_power(half), output)
    }
}

/// Whether the function takes a square root, so that powers of two come in pairs.
pub(super) fn takes_root(goal: &Goal) -> bool {
    matches!(goal.function, Function::Rsqrt | Function::Sqrt)
}

/// 2^(r·j) for the argument's magnitude j: exact integers.
pub(super) fn selected_growth(b: &mut Builder, below: &[Wire], radix_bits: i32) -> Result<Wire, BuildError> {
    let power = |index: usize| Rational::from(1) << (radix_bits * index as i32);
    let mut terms = Terms::new().constant(power(below.len()));
    for (index, bit) in below.iter().enumerate() {
        terms = terms.linear(power(index) - power(index + 1), *bit);
    }
    b.exact(&terms, 0)
}

/// 2^(−r·j) for the argument's magnitude j: exact, at scale r·(number of thresholds).
pub(super) fn selected_power(b: &mut Builder, below: &[Wire], radix_bits: i32) -> Result<Wire, BuildError> {
    let power = |index: usize| Rational::from(1) >> (radix_bits * index as i32);
    let mut terms = Terms::new().constant(power(below.len()));
    for (index, bit) in below.iter().enumerate() {
        terms = terms.linear(power(index) - power(index + 1), *bit);
    }
    b.exact(&terms, radix_bits * below.len() as i32)
}

/// The product, truncated if its scale would exceed `scale`.
pub(super) fn product_at_most(b: &mut Builder, left: Wire, right: Wire, scale: i32) -> Result<Wire, BuildError> {
    let full = left.scale() + right.scale();
    if full > scale {
        b.truncated_product(left, right, scale)
    } else {
        b.exact(&Terms::new().product(1, left, right), full)
    }
}

impl Shape for Normalised {
    fn family(&self) -> &'static str {
        "normalised newton"
    }

    fn describe(&self) -> String {
        let Normalised { radix_bits, degree, steps, band_bits } = self;
        format!("radix 2^{radix_bits} degree {degree} steps {steps} bands 2^-{band_bits}")
    }

    fn fit_error(&self, goal: &Goal) -> Option<f64> {
        self.fit(goal).map(|fitted| self.refined(goal, fitted.error))
    }

    fn designs(&self, goal: &Goal, accuracy: f64) -> Vec<Design> {
        let relative = |error: f64| error / goal.weights().1.max(f64::MIN_POSITIVE);
        let fit = self.fit(goal).filter(|fitted| relative(self.refined(goal, fitted.error)) < accuracy);
        let Some(fitted) = fit else { return Vec::new() };
        let output = i32::from(goal.output_scale.bits());
        let mut scales = Vec::new();
        let room = if goal.input.ring.bits() > 64 { 122 } else { 58 };
        let scaled_max = goal.finest_scale() + 4;
        for internal in (14..=goal.finest_scale()).step_by(2) {
            let guard = 6.min(room - 2 * internal);
            scales.extend([2, 6].map(|spare| Scales { internal, guard, scaled: (output + spare).min(scaled_max) }));
        }
        let named = |scales: &Scales| format!("internal {} scaled {}", scales.internal, scales.scaled);
        let program = |scales: &Scales| self.program(goal, &fitted.coefficients, *scales);
        super::designs(self, relative(self.refined(goal, fitted.error)), goal.window, &scales, named, program)
    }
}
