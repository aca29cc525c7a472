//! Power of a polynomial: e^x = q(x)^(2^m) on (−B, 0], zero below −B.
//!
//! q approximates e^(x/2^m), whose range is narrow, so a low degree serves; the m squarings are one product each.
//! Fitted with the weight that makes the error of the power minimax.

use super::builder::{BuildError, Builder, Terms, band_width};
use super::fitting::{self, Fitted};
use super::goal::Goal;
use super::polynomial::{dot_with_powers, powers, powers_needed};
use super::{Design, Shape};
use crate::minimax::{self, Basis, Scaling};
use catalogs::{Function, Program, Window};
use rug::{Float, Rational};

/// A power of a polynomial to fit.
#[derive(Clone, PartialEq, Debug)]
pub struct Power {
    /// −B as an input integer, or `None` if the whole window is fitted.
    pub edge: Option<i64>,
    /// Degree of q.
    pub degree: usize,
    /// m.
    pub squarings: u32,
    /// Low bits that the comparison ignores.
    pub dropped: u8,
}

/// The shapes that may reach `accuracy`.
pub fn shapes(goal: &Goal, accuracy: f64) -> Vec<Power> {
    if goal.function != Function::Exp || goal.window.high > 0 {
        return Vec::new();
    }
    let edge = goal.tail_edge(false, accuracy * 0.999).filter(|edge| *edge > goal.window.low);
    let reach = -goal.real_f64(edge.unwrap_or(goal.window.low));
    if reach > 40.0 {
        return Vec::new();
    }
    let scale = goal.input.scale.bits();
    let drops: Vec<u8> = match edge {
        Some(_) => [6, 3].into_iter().filter_map(|bits| scale.checked_sub(bits)).collect(),
        None => vec![0],
    };
    let mut shapes = Vec::new();
    for squarings in 0..=5i32 {
        // At x = 0 the root's error counts 2^m-fold, and no other place is stricter.
        let narrow = reach / 2f64.powi(squarings);
        let errors = fitting::estimated_errors(f64::exp, -narrow, 0.0);
        let power = |degree: usize| errors[degree] * 2f64.powi(squarings) / goal.unit(1.0);
        for degree in 2..=8 {
            if power(degree) < accuracy * 0.003 {
                break;
            }
            shapes.extend(drops.iter().map(|dropped| Power {
                edge,
                degree,
                squarings: squarings.unsigned_abs(),
                dropped: *dropped,
            }));
        }
    }
    shapes
}

/// The scales of one program.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Scales {
    internal: i32,
    computed: i32,
}

impl Power {
    /// The least input at which the polynomial may serve: the band lies below −B.
    fn lowest(&self, goal: &Goal) -> i64 {
        match self.edge {
            Some(edge) => (edge - band_width(self.dropped) as i64).max(goal.window.low),
            None => goal.window.low,
        }
    }

    /// h: t = x/2^h lies in [−1, 0].
    fn reach_bits(&self, goal: &Goal) -> i32 {
        (-goal.real_f64(self.lowest(goal))).max(1.0).log2().ceil() as i32
    }

    fn fit(&self, goal: &Goal) -> Option<Fitted> {
        let m = self.squarings;
        let (absolute, relative) = goal.weights();
        let root = |x: &Float, precision: u32| (Float::with_val(precision, x) >> m).exp();
        // dy = 2^m·q^(2^m − 1)·dq, so dq may be unit(x) / (2^m·e^(x·(1 − 2^−m))).
        let unit = |x: &Float, precision: u32| {
            let power = Float::with_val(precision, x.exp_ref());
            let slope = (Float::with_val(precision, &power) / root(x, precision)) << m;
            (power * relative + absolute) / slope
        };
        let scaling = Scaling::new(Rational::new(), Rational::from(1) << self.reach_bits(goal)).ok()?;
        let basis = Basis::full(self.degree as u32).with_scaling(scaling);
        let domain = (goal.real(self.lowest(goal)), goal.real(goal.window.high));
        fitting::best(&root, minimax::Norm::Weighted(&unit), domain, basis)
    }

    fn program(&self, goal: &Goal, coefficients: &[Rational], scales: Scales) -> Result<Program, BuildError> {
        let mut b = Builder::new(goal.input.ring, goal.input.scale);
        let x = b.input();
        let output_scale = i32::from(goal.output_scale.bits());
        let below = match self.edge {
            Some(_) => {
                let range = (i128::from(goal.window.low), i128::from(goal.window.high));
                let bit = b.less_than(x, i128::from(self.lowest(goal)), range, self.dropped)?;
                Some(b.inject(bit))
            }
            None => None,
        };
        let t = x.divided_by_power(self.reach_bits(goal));
        let w = powers(&mut b, t, powers_needed(self.degree), scales.internal)?;
        let terms = dot_with_powers(&mut b, &w, coefficients, Terms::new(), scales.computed)?;
        let scale_after = |left: u32| if left == 0 { output_scale } else { scales.internal };
        let first = scale_after(self.squarings);
        let mut y = b.truncated(&terms, first, scales.computed - first)?;
        for left in (0..self.squarings).rev() {
            y = b.truncated_product(y, y, scale_after(left))?;
        }
        if let Some(below) = below {
            let above = b.exact(&Terms::new().constant(1).linear(-1, below), 0)?;
            b.exact(&Terms::new().product(1, above, y), output_scale)?;
        }
        b.finish()
    }
}

impl Shape for Power {
    fn family(&self) -> &'static str {
        "power"
    }

    fn describe(&self) -> String {
        let edge = self.edge.map_or("none".to_owned(), |edge| edge.to_string());
        format!("edge {edge} degree {} squarings {} dropped {}", self.degree, self.squarings, self.dropped)
    }

    fn fit_error(&self, goal: &Goal) -> Option<f64> {
        self.fit(goal).map(|fitted| fitted.error)
    }

    fn designs(&self, goal: &Goal, accuracy: f64) -> Vec<Design> {
        let Some(fitted) = self.fit(goal).filter(|fitted| fitted.error < accuracy) else { return Vec::new() };
        let window = Window { low: self.lowest(goal), high: goal.window.high };
        let mut designs = Vec::new();
        for internal in (12..=30).step_by(2) {
            for guard in [2, 6, 10, 14] {
                let scales = Scales { internal, computed: 2 * internal + guard };
                if let Ok(program) = self.program(goal, &fitted.coefficients, scales) {
                    let parameters = format!("{} internal {internal} guard {guard}", self.describe());
                    designs.push(Design {
                        family: self.family(),
                        parameters,
                        program,
                        fit_error: fitted.error,
                        fitted: window,
                    });
                }
            }
        }
        designs
    }
}
