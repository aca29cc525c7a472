//! Power of a polynomial: e^x = q(x)^(2^m) on (−B, 0], zero below −B.
//!
//! q approximates e^(x/2^m), whose range is narrow, so a low degree serves; the m squarings are one product each.
//! Fitted with the weight that makes the error of the power minimax.

use super::builder::{BuildError, Builder, Terms};
use super::fitting::{self, Fitted};
use super::goal::Goal;
use super::left_cut::LeftCut;
use super::polynomial::{dot_with_powers, powers_into, powers_needed};
use super::{Design, Shape};
use crate::minimax::{self, Basis, Scaling};
use catalogs::{Program, Ring, Window};
use rug::{Float, Rational};

/// A power of a polynomial to fit.
#[derive(Clone, PartialEq, Debug)]
pub struct Power {
    /// Where zero begins.
    pub cut: LeftCut,
    /// Degree of q.
    pub degree: usize,
    /// m.
    pub squarings: u32,
}

/// The shapes that may reach `accuracy`.
pub fn shapes(goal: &Goal, accuracy: f64) -> Vec<Power> {
    let scale = goal.input.scale.bits();
    // A tail that is rounded may use all of the accuracy but one unit.
    let one_ulp = 1.01 * 2f64.powi(-i32::from(goal.output_scale.bits())) / goal.unit(0.0).max(f64::MIN_POSITIVE);
    let mut cuts: Vec<LeftCut> = [6, 3]
        .into_iter()
        .flat_map(|bits| [accuracy, accuracy - one_ulp].map(|accuracy| (bits, accuracy)))
        .filter_map(|(bits, accuracy)| LeftCut::new(goal, accuracy, scale.checked_sub(bits)?))
        .collect();
    cuts.dedup();
    let Some(reach) = cuts.first().map(|cut| cut.reach(goal)) else { return Vec::new() };
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
            shapes.extend(cuts.iter().map(|cut| Power { cut: *cut, degree, squarings: squarings.unsigned_abs() }));
        }
    }
    shapes
}

/// Where zero is selected below −B.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Place {
    /// In the format's ring, exactly, in the end.
    Last,
    /// One factor of the last square, in the squares' ring.
    Early,
    /// After the last square, which keeps so many bits more in this ring until they are dropped with the selection.
    Kept(i32, Ring),
}

/// The scales of one program.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Scales {
    /// Of the powers of t.
    powers: i32,
    /// Of q before its truncation.
    computed: i32,
    /// Of q and its squares but the last.
    squares: i32,
    /// The ring of the polynomial.
    ring: Ring,
    /// The ring of its squares, not wider.
    squares_ring: Ring,
    /// Where the tail is cut.
    cut: Place,
}

impl Power {
    /// h: t = x/2^h lies in [−1, 0].
    fn reach_bits(&self, goal: &Goal) -> i32 {
        (-goal.real_f64(self.cut.lowest(goal))).max(1.0).log2().ceil() as i32
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
        let domain = (goal.real(self.cut.lowest(goal)), goal.real(goal.window.high));
        fitting::best(&root, minimax::Norm::Weighted(&unit), domain, basis)
    }

    fn program(&self, goal: &Goal, coefficients: &[Rational], scales: Scales) -> Result<Program, BuildError> {
        let mut b = Builder::new(goal.input.ring, goal.input.scale);
        let x = b.input();
        let output_scale = i32::from(goal.output_scale.bits());
        let full = b.ring();
        let place = if self.squarings > 0 { scales.cut } else { Place::Last };
        let selection = match place {
            Place::Last => full,
            Place::Early => scales.squares_ring,
            Place::Kept(_, ring) => ring,
        };
        let above = self.cut.above(&mut b, goal, selection)?;
        let t = x.divided_by_power(self.reach_bits(goal));
        // In a narrower ring the square is the first value that lives there.
        let count = powers_needed(self.degree);
        let t = if count == 1 { t.narrowed(scales.ring) } else { t };
        let w = powers_into(&mut b, t, count, scales.powers, scales.ring)?;
        let terms = dot_with_powers(&mut b, &w, coefficients, Terms::new(), scales.computed)?;
        let after = |left: u32| match (left, place) {
            (0, Place::Kept(kept, ring)) => (output_scale + kept, ring),
            (0, _) => (output_scale, full),
            _ => (scales.squares, scales.squares_ring),
        };
        let (first, ring) = after(self.squarings);
        let mut y = b.truncated_into(&terms, first, scales.computed - first, ring)?;
        for left in (0..self.squarings).rev() {
            let mut factor = y;
            if let (Some(above), 0, Place::Early) = (above, left, place) {
                // An exact zero: whatever the dead lane holds, its square is no more than a rounding.
                factor = b.exact(&Terms::new().product(1, above, y), y.scale())?;
            }
            let (scale, ring) = after(left);
            y = b.truncated_into(&Terms::new().product(1, y, factor), scale, 2 * y.scale() - scale, ring)?;
        }
        match (above, place) {
            (Some(above), Place::Last) => {
                b.exact(&Terms::new().product(1, above, y), output_scale)?;
            }
            (Some(above), Place::Kept(kept, _)) => {
                b.truncated_into(&Terms::new().product(1, above, y), output_scale, kept, full)?;
            }
            (None, Place::Kept(kept, _)) => {
                b.truncated_into(&Terms::new().linear(1, y), output_scale, kept, full)?;
            }
            _ => {}
        }
        b.finish()
    }
}

/// The scales that are tried: everything in the format's ring, or the polynomial and its squares in a narrower one.
fn scales(goal: &Goal) -> Vec<Scales> {
    let full = goal.input.ring;
    let output = i32::from(goal.output_scale.bits());
    let mut scales = Vec::new();
    for internal in (12..=goal.finest_scale()).step_by(2) {
        for guard in [2, 6, 10, 14] {
            let computed = 2 * internal + guard;
            let [powers, squares] = [internal; 2];
            scales.push(Scales { powers, computed, squares, ring: full, squares_ring: full, cut: Place::Last });
        }
    }
    for squares_ring in (28..full.bits().min(58)).step_by(2).filter_map(Ring::new) {
        // A square must stay in a quarter of the ring.
        let squares = i32::from(squares_ring.bits()) / 2 - 1;
        let kept = |bits: i32| {
            let needed = u8::try_from(output + bits + 3).ok().and_then(Ring::new);
            Place::Kept(bits, needed.unwrap_or(full).min(squares_ring))
        };
        let places = [Place::Last, Place::Early, kept(1), kept(2)];
        for ring in (squares_ring.bits()..=full.bits()).step_by(4).filter_map(Ring::new) {
            let bits = i32::from(ring.bits());
            // From a wider ring q comes in one round, if enough of the ring lies above what is dropped.
            let one_round = bits - i32::from(squares_ring.bits()) + squares;
            let choices: &[i32] = match ring == squares_ring {
                true => &[bits - 2, bits - 5],
                false => &[one_round, one_round - 2, bits - 2],
            };
            for computed in choices.iter().copied() {
                if computed >= squares + 14 && computed <= bits - 2 {
                    for powers in [18, 20, 22, 24, 26] {
                        scales.extend(places.map(|cut| Scales { powers, computed, squares, ring, squares_ring, cut }));
                    }
                }
            }
        }
    }
    scales
}

impl Shape for Power {
    fn family(&self) -> &'static str {
        "power"
    }

    fn describe(&self) -> String {
        format!("{} degree {} squarings {}", self.cut, self.degree, self.squarings)
    }

    fn fit_error(&self, goal: &Goal) -> Option<f64> {
        self.fit(goal).map(|fitted| fitted.error)
    }

    fn designs(&self, goal: &Goal, accuracy: f64) -> Vec<Design> {
        let Some(fitted) = self.fit(goal).filter(|fitted| fitted.error < accuracy) else { return Vec::new() };
        let window = Window { low: self.cut.lowest(goal), high: goal.window.high };
        let named = |scales: &Scales| {
            let Scales { powers, computed, squares, ring, squares_ring, cut } = scales;
            let cut = match cut {
                Place::Last => "last".to_owned(),
                Place::Early => "early".to_owned(),
                Place::Kept(kept, ring) => format!("{kept} more ring {ring}"),
            };
            format!("powers {powers} computed {computed} ring {ring} squares {squares} ring {squares_ring} cut {cut}")
        };
        let program = |scales: &Scales| self.program(goal, &fitted.coefficients, *scales);
        super::designs(self, fitted.error, window, &scales(goal), named, program)
    }
}
