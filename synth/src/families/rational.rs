//! A fraction P/Q inside, the function's affine tails outside: the denominator's range prices the division.
//!
//! P and Q are polynomials in t = x/2^h with Q in [1, B] wherever the fraction serves. A polynomial seed y ≈ 1/Q on that
//! range is refined once or twice: with e = 1 − Q·y the value is P·y·(1 + e)·(1 + e²). The checker proves Q's range on
//! the way: nothing else keeps y in its window.

use super::builder::{BuildError, Builder, Terms, Wire};
use super::fitting;
use super::goal::Goal;
use super::outside::Outside;
use super::polynomial::{dot_with_powers, powers, powers_needed};
use super::{Design, Shape, target};
use crate::minimax::{self, Basis, Domain, Options, RationalProblem, Scaling};
use catalogs::{Decimal, Function, Program, Ring, Window};
use rug::{Float, Rational};

/// Degrees of a fraction, and how it is divided.
#[derive(Clone, PartialEq, Debug)]
pub struct Fraction {
    /// Where the tails begin.
    pub outside: Outside,
    /// Of P and Q.
    pub degrees: (usize, usize),
    /// B.
    pub denominator_max: u32,
    /// Degree of the seed.
    pub seed: usize,
    /// Refinements.
    pub steps: u32,
}

/// Coefficients of P, Q and the seed, and what they miss.
struct Fitted {
    numerator: Vec<Rational>,
    denominator: Vec<Rational>,
    seed: Vec<Rational>,
    error: f64,
}

/// The scales of one program.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Scales {
    ring: Ring,
    internal: i32,
}

/// The shapes that may reach `accuracy`.
pub fn shapes(goal: &Goal, accuracy: f64) -> Vec<Fraction> {
    // These have families of their own, without poles nearby.
    let is_entire = matches!(goal.function, Function::Exp | Function::Exp2 | Function::Sin | Function::Cos);
    let is_served = matches!(goal.function, Function::Relu | Function::Reciprocal | Function::Rsqrt);
    // Narrower middles never need a fraction.
    let is_least = accuracy < goal.accuracy();
    if is_least
        || is_entire
        || is_served
        || goal.norm.relative != Decimal::ZERO
        || goal.input.scale != goal.output_scale
    {
        return Vec::new();
    }
    let one_ulp = 2f64.powi(-i32::from(goal.output_scale.bits())) / goal.weights().0;
    let tail_accuracy = accuracy * 0.999 - 1.01 * one_ulp;
    let Some(outside) = (tail_accuracy > 0.0).then(|| Outside::new(goal, tail_accuracy)) else { return Vec::new() };
    let kinks = goal.kinks();
    let inside = outside.inside(goal);
    if kinks.iter().any(|kink| inside.low < *kink && *kink <= inside.high) || inside.low >= inside.high {
        return Vec::new();
    }
    let mut shapes = Vec::new();
    for degrees in [(0, 2), (1, 2), (2, 2), (3, 4)] {
        for (denominator_max, seed, steps) in [(4, 3, 1), (8, 3, 2), (32, 5, 3)] {
            shapes.push(Fraction { outside: outside.clone(), degrees, denominator_max, seed, steps });
        }
    }
    shapes
}

impl Fraction {
    /// h: |x| < 2^h wherever the fraction serves.
    fn reach_bits(&self, goal: &Goal) -> i32 {
        let Window { low, high } = self.outside.inside(goal);
        goal.real_f64(low).abs().max(goal.real_f64(high).abs()).log2().ceil() as i32
    }

    fn fit(&self, goal: &Goal) -> Option<Fitted> {
        let function = &goal.function;
        let f = |x: &Float, precision: u32| target::value(function, x, precision);
        let h = self.reach_bits(goal);
        let width = if h >= 0 { Rational::from(1) << h } else { Rational::from(1) >> -h };
        let scaling = Scaling::new(Rational::new(), width).ok()?;
        let Window { low, high } = self.outside.inside(goal);
        let basis = |degree: usize| Basis::full(degree as u32).with_scaling(scaling.clone());
        let problem = RationalProblem {
            target: &f,
            norm: goal.fit_norm(),
            domain: Domain::interval(goal.real(low), goal.real(high)).ok()?,
            numerator: basis(self.degrees.0),
            denominator: basis(self.degrees.1),
            low: Rational::from(1),
            high: Rational::from(self.denominator_max),
        };
        let options = Options { precision: 192, gap: 1e-2, density: 4, ..Options::default() };
        let fit = minimax::fit_rational(&problem, &options).ok()?;
        let exact = |coefficients: &[Float]| coefficients.iter().map(Float::to_rational).collect::<Option<Vec<_>>>();
        let range = (fit.denominator_range.0.to_rational()?, fit.denominator_range.1.to_rational()?);
        // Q is computed with roundings: the seed serves a little more.
        let range = (range.0 * Rational::from((1000, 1001)), range.1 * Rational::from((1001, 1000)));
        let inverse = |q: &Float, precision: u32| Float::with_val(precision, q.recip_ref());
        let seed = fitting::best(&inverse, minimax::Norm::Relative, range, Basis::full(self.seed as u32))?;
        let value = [low, high].map(|end| goal.value(goal.real_f64(end)).abs());
        let divided = seed.error.powi(1 << self.steps) * value[0].max(value[1]).max(goal.value(0.0).abs());
        Some(Fitted {
            numerator: exact(&fit.numerator)?,
            denominator: exact(&fit.denominator)?,
            seed: seed.coefficients,
            error: fit.minimax_error.to_f64() + divided / goal.weights().0,
        })
    }

    fn program(&self, goal: &Goal, fitted: &Fitted, scales: Scales) -> Result<Program, BuildError> {
        let Scales { ring, internal } = scales;
        let mut b = Builder::new(goal.input.ring, goal.input.scale);
        let full = b.ring();
        let bits = self.outside.bits(&mut b, goal, full)?;
        let t = b.input().divided_by_power(self.reach_bits(goal));
        let base = match t.scale() - internal {
            shift if shift > 0 && ring < full => b.truncated_into(&Terms::new().linear(1, t), internal, shift, ring)?,
            _ => t,
        };
        let degree = self.degrees.0.max(self.degrees.1);
        let w = powers(&mut b, base, powers_needed(degree), internal)?;
        let computed = i32::from(ring.bits()) - 3 - self.denominator_max.ilog2() as i32;
        let polynomial = |b: &mut Builder, w: &[Wire], c: &[Rational]| {
            let count = powers_needed(c.len() - 1).min(w.len());
            let terms = dot_with_powers(b, &w[..count], c, Terms::new(), computed)?;
            b.truncated(&terms, internal, computed - internal)
        };
        let q = polynomial(&mut b, &w, &fitted.denominator)?;
        let p = polynomial(&mut b, &w, &fitted.numerator)?;
        let powers_of_q = powers(&mut b, q, powers_needed(self.seed), internal)?;
        let y = polynomial(&mut b, &powers_of_q, &fitted.seed)?;
        let qy = b.truncated_product(q, y, internal)?;
        let mut e = b.exact(&Terms::new().constant(1).linear(-1, qy), internal)?;
        let mut z = b.truncated_product(p, y, internal)?;
        let output = i32::from(goal.output_scale.bits());
        for step in 1..=self.steps {
            let next = Terms::new().linear(1, z).product(1, z, e);
            if step == self.steps {
                z = b.truncated_into(&next, output, 2 * internal - output, full)?;
            } else {
                z = b.truncated(&next, internal, internal)?;
                e = b.truncated_product(e, e, internal)?;
            }
        }
        self.outside.select(&mut b, &bits, z)?;
        b.finish()
    }
}

impl Shape for Fraction {
    fn family(&self) -> &'static str {
        "fraction"
    }

    fn describe(&self) -> String {
        let Fraction { outside, degrees: (p, q), denominator_max, seed, steps } = self;
        format!("{outside} degrees {p}/{q} denominator to {denominator_max} seed {seed} steps {steps}")
    }

    fn fit_error(&self, goal: &Goal) -> Option<f64> {
        self.fit(goal).map(|fitted| fitted.error)
    }

    fn designs(&self, goal: &Goal, accuracy: f64) -> Vec<Design> {
        let Some(fitted) = self.fit(goal).filter(|fitted| fitted.error < accuracy) else { return Vec::new() };
        let mut scales = Vec::new();
        for ring in (32..=goal.input.ring.bits()).step_by(4).filter_map(Ring::new) {
            let bits = i32::from(ring.bits());
            scales.extend([3, 5, 8].map(|less| Scales { ring, internal: bits / 2 - less }));
        }
        let named = |Scales { ring, internal }: &Scales| format!("ring {ring} internal {internal}");
        let program = |scales: &Scales| self.program(goal, &fitted, *scales);
        super::designs(self, fitted.error, self.outside.inside(goal), &scales, named, program)
    }
}
