//! A polynomial of fixed parity inside |x| < B, the function's affine tails outside.
//!
//! GELU and SiLU are x/2 plus an even function, densities are even, sigmoid, tanh, erf a constant plus an odd one: a polynomial in
//! u = x²/2^2h serves both signs. Two comparisons find the middle and one exact sum of products selects; outside the
//! middle the powers may overflow, for they are multiplied by an exact zero.

use super::builder::{BuildError, Builder, Terms, band_width};
use super::fitting::{self, Fitted, Lean};
use super::goal::{Goal, Symmetry};
use super::outside::Outside;
use super::polynomial::{dot_with_powers, odd_dot_with_powers, powers, powers_needed};
use super::{Design, Shape, target};
use crate::minimax::{self, Basis, Scaling};
use catalogs::{Decimal, Program, Ring, Window};
use rug::{Float, Rational};

/// A middle part to fit.
#[derive(Clone, PartialEq, Debug)]
pub struct Middle {
    /// f's symmetry about zero.
    pub symmetry: Symmetry,
    /// The tails beyond B on both sides.
    pub outside: Outside,
    /// B, as an input integer.
    pub edge: i64,
    /// Degree in u.
    pub degree: usize,
}

/// The scales of one program.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Scales {
    internal: i32,
    computed: i32,
    /// The ring of the polynomial.
    ring: Ring,
    /// Bits kept of the polynomial for a selection in this ring, dropped after it; `None` to select in the format's.
    kept: Option<(i32, Ring)>,
}

/// The shapes that may reach `accuracy`.
pub fn shapes(goal: &Goal, accuracy: f64) -> Vec<Middle> {
    let fits = goal.norm.relative == Decimal::ZERO && goal.input.scale == goal.output_scale;
    let Some(symmetry) = goal.symmetry().filter(|_| fits) else { return Vec::new() };
    let absolute = goal.weights().0;
    // Tails that pass the last sum untouched may use the whole accuracy, those that are rounded all but one unit.
    let one_ulp = 2f64.powi(-i32::from(goal.output_scale.bits())) / absolute;
    let whole = at_edge(goal, &symmetry, accuracy, accuracy * 0.999);
    whole.into_iter().chain(at_edge(goal, &symmetry, accuracy, accuracy * 0.999 - 1.01 * one_ulp)).collect()
}

/// The shapes whose tails begin where they are within `tail_accuracy`.
fn at_edge(goal: &Goal, symmetry: &Symmetry, accuracy: f64, tail_accuracy: f64) -> Vec<Middle> {
    let absolute = goal.weights().0;
    let exact = accuracy * absolute - 2f64.powi(-i32::from(goal.output_scale.bits()));
    // Whole slopes are selected exactly.
    let whole = |right| goal.tail(right).filter(|tail| tail.slope.is_integer());
    let (Some(left_tail), Some(right_tail)) = (whole(false), whole(true)) else { return Vec::new() };
    let edges = (goal.tail_edge(false, tail_accuracy), goal.tail_edge(true, tail_accuracy));
    let (Some(left), Some(right)) = edges else { return Vec::new() };
    let edge = right.max(-left);
    if exact <= 0.0 || edge >= goal.window.high || -edge <= goal.window.low {
        return Vec::new();
    }
    let scale = goal.input.scale.bits();
    let drops = [6, 4, 3].into_iter().filter_map(|bits| scale.checked_sub(bits));
    let drops: Vec<u8> = drops.filter(|dropped| band_width(*dropped) < i128::from(edge) / 8).collect();
    let reach = goal.real_f64(edge);
    let part = |x: f64| {
        let x = Float::with_val(80, x);
        let part = match symmetry {
            Symmetry::Even(slope) => target::even_part(&goal.function, slope, &x, 80),
            Symmetry::Odd(centre) => target::odd_part(&goal.function, centre, &x, 80),
        };
        part.to_f64()
    };
    let errors = fitting::estimated_errors(part, -reach, reach);
    let odd = usize::from(matches!(symmetry, Symmetry::Odd(_)));
    let exact = |degree: usize| errors.get(2 * degree + odd).copied().unwrap_or(0.0) / absolute;
    // Degrees that may reach the accuracy and are not much better than needed.
    let degrees = (1..=12).filter(|degree| exact(*degree) < 2.0 * accuracy && exact(*degree - 1) > accuracy / 20.0);
    let shape = |degree, dropped| {
        let (left, right) = (Some((-edge, left_tail.clone())), Some((edge, right_tail.clone())));
        Middle { symmetry: symmetry.clone(), outside: Outside { left, right, dropped }, edge, degree }
    };
    degrees.flat_map(|degree| drops.iter().map(move |dropped| (degree, *dropped))).map(|(d, b)| shape(d, b)).collect()
}

impl Middle {
    /// h: the middle lies in |x| < 2^h.
    fn reach_bits(&self, goal: &Goal) -> i32 {
        let reach = goal.real_f64(self.edge + band_width(self.outside.dropped) as i64);
        reach.log2().ceil() as i32
    }

    fn fit(&self, goal: &Goal) -> Option<Fitted> {
        let function = &goal.function;
        let h = self.reach_bits(goal);
        let top = goal.real(self.edge + band_width(self.outside.dropped) as i64);
        let (reach, absolute) = (top.to_f64(), goal.weights().0);
        let fitted = match &self.symmetry {
            Symmetry::Even(slope) => {
                let part = |u: &Float, precision: u32| {
                    let x = Float::with_val(precision + 8, u).sqrt() << h;
                    target::even_part(function, slope, &x, precision)
                };
                let square = Rational::from(top.square_ref()) >> (2 * h);
                let domain = (Rational::new(), square);
                let place = |x: f64| (x * x) / 4f64.powi(h);
                let lean = Lean::of(goal, absolute, &place, (-reach, reach));
                fitting::leaning(&part, minimax::Norm::Absolute, domain, Basis::full(self.degree as u32), lean)
            }
            Symmetry::Odd(centre) => {
                let part = |x: &Float, precision: u32| target::odd_part(function, centre, x, precision);
                let scaling = Scaling::new(Rational::new(), Rational::from(1) << h).ok()?;
                let basis = Basis::odd(2 * self.degree as u32 + 1).with_scaling(scaling);
                let low = Rational::from(-&top);
                let lean = Lean::of(goal, absolute, &|x| x, (-reach, reach));
                let mut fitted = fitting::leaning(&part, minimax::Norm::Absolute, (low, top), basis, lean)?;
                // The program multiplies by x, not by t = x/2^h.
                fitted.coefficients.iter_mut().for_each(|c| *c >>= h);
                Some(fitted)
            }
        }?;
        Some(Fitted { error: fitted.error / goal.weights().0, ..fitted })
    }

    fn program(&self, goal: &Goal, coefficients: &[Rational], scales: Scales) -> Result<Program, BuildError> {
        let mut b = Builder::new(goal.input.ring, goal.input.scale);
        let x = b.input();
        let full = b.ring();
        let selection = scales.kept.map_or(full, |(_, ring)| ring);
        let sides = self.outside.bits(&mut b, goal, selection)?;

        let squeeze = 2 * self.reach_bits(goal);
        let square = Terms::new().product(1, x, x.divided_by_power(squeeze));
        let u = b.truncated_into(&square, scales.internal, 2 * x.scale() + squeeze - scales.internal, scales.ring)?;
        let output_scale = i32::from(goal.output_scale.bits());
        let terms = match &self.symmetry {
            Symmetry::Even(slope) => {
                let w = powers(&mut b, u, powers_needed(self.degree), scales.internal)?;
                let line = if *slope == 0 { Terms::new() } else { Terms::new().linear(slope.clone(), x) };
                dot_with_powers(&mut b, &w, coefficients, line, scales.computed)?
            }
            Symmetry::Odd(centre) => {
                let terms = Terms::new().constant(centre.clone());
                odd_dot_with_powers(&mut b, x, u, coefficients, terms, (scales.internal, scales.computed))?
            }
        };
        let inside = match scales.kept {
            None => b.truncated_into(&terms, output_scale, scales.computed - output_scale, full)?,
            Some((kept, ring)) => {
                b.truncated_into(&terms, output_scale + kept, scales.computed - output_scale - kept, ring)?
            }
        };
        let output = sides.terms(&mut b, inside)?;
        match scales.kept {
            None => b.exact(&output, output_scale)?,
            Some((kept, _)) => b.truncated_into(&output, output_scale, kept, full)?,
        };
        b.finish()
    }
}

/// The scales that are tried: everything in the format's ring, or the polynomial in a narrower one.
fn scales(goal: &Goal) -> Vec<Scales> {
    let full = goal.input.ring;
    let output = i32::from(goal.output_scale.bits());
    let ends = [goal.window.low, goal.window.high].map(|end| goal.value(goal.real_f64(end)).abs());
    // Bits of the largest output.
    let values = output + ends[0].max(ends[1]).max(goal.value(0.0).abs()).max(1.0).log2().floor() as i32 + 1;
    let mut scales = Vec::new();
    for internal in (10..=goal.finest_scale()).step_by(2) {
        scales.extend([4, 8, 12, 16].map(|guard| Scales {
            internal,
            computed: 2 * internal + guard,
            ring: full,
            kept: None,
        }));
    }
    for ring in (28..full.bits().min(58)).step_by(2).filter_map(Ring::new) {
        let bits = i32::from(ring.bits());
        for internal in [bits / 2 - 1, bits / 2 - 2, bits / 2 - 4, bits / 2 - 5] {
            // The sum of a middle part is below 2^2 or so; the window is a quarter of the ring.
            for computed in [bits - 3, bits - 4, bits - 6] {
                scales.push(Scales { internal, computed, ring, kept: None });
                for kept in [1, 3] {
                    // The selected value's window is a quarter of its ring, which need not be the polynomial's.
                    let needed = values + kept + 2;
                    let least = Ring::new(needed.clamp(2, 64) as u8).filter(|least| *least < ring);
                    if computed > output + kept {
                        scales.extend([Some(ring), least].into_iter().flatten().map(|selection| Scales {
                            internal,
                            computed,
                            ring,
                            kept: Some((kept, selection)),
                        }));
                    }
                }
            }
        }
    }
    scales
}

impl Shape for Middle {
    fn family(&self) -> &'static str {
        "middle"
    }

    fn describe(&self) -> String {
        format!("edge {} degree {} dropped {}", self.edge, self.degree, self.outside.dropped)
    }

    fn fit_error(&self, goal: &Goal) -> Option<f64> {
        self.fit(goal).map(|fitted| fitted.error)
    }

    fn designs(&self, goal: &Goal, accuracy: f64) -> Vec<Design> {
        let Some(fitted) = self.fit(goal).filter(|fitted| fitted.error < accuracy) else { return Vec::new() };
        let reach = self.edge + band_width(self.outside.dropped) as i64;
        let fitted_window = Window { low: -reach, high: reach };
        let named = |scales: &Scales| {
            let Scales { internal, computed, ring, kept } = scales;
            let selection = kept.map_or("format".to_owned(), |(kept, ring)| format!("{kept} more ring {ring}"));
            format!("internal {internal} computed {computed} ring {ring} selection {selection}")
        };
        let program = |scales: &Scales| self.program(goal, &fitted.coefficients, *scales);
        super::designs(self, fitted.error, fitted_window, &scales(goal), named, program)
    }
}
