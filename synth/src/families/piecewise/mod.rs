//! Piecewise polynomials: cuts, and coefficients that are local sums over comparison bits.
//!
//! Every piece has its own polynomial, the outermost pieces are the function's affine tails. Either all pieces share
//! the powers of t = x/2^h, which are computed beside the comparisons, or every piece has its own t = (x − m)/2^h in
//! [−1, 1], with m and h selected by the bits: more rounds, but pieces may be as short as a singular end needs and
//! rings as narrow as the values. One truncated sum Σ A_k·t^k ends the program. Where a coefficient is exactly zero
//! its power may overflow.

mod place;
mod stated;

use super::builder::{BuildError, Builder, Terms, Wire, band_width};
use super::fitting::{self, Lean};
use super::goal::{Affine, Goal, input_integer};
use super::polynomial::powers_into;
use super::{Design, Shape, target};
use crate::minimax::{Basis, Scaling};
use catalogs::{Function, Program, Ring, Window};
use place::{Table, Task};
use rug::{Float, Rational};

/// An end of a piece.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cut {
    /// The first input of what lies to the right.
    pub at: i64,
    /// Low bits that the comparison ignores.
    pub dropped: u8,
}

impl Cut {
    /// The width of the comparison's band.
    fn band(self) -> i64 {
        band_width(self.dropped) as i64
    }
}

/// The variable of the polynomials.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Variable {
    /// x/2^h for all pieces.
    Shared,
    /// (x − m)/2^h, every piece its own.
    Local,
}

/// Cuts and a degree.
#[derive(Clone, PartialEq, Debug)]
pub struct Piecewise {
    /// Ends of the fitted pieces: n pieces have n + 1 of them.
    pub cuts: Vec<Cut>,
    /// Degree of every piece.
    pub degree: usize,
    /// The variable.
    pub variable: Variable,
    /// The tails beyond the first and the last cut, where those lie inside the window.
    pub tails: (Option<Affine>, Option<Affine>),
}

/// Shared variables of more fraction bits than this get scales of their own.
const FINE: i32 = 30;

/// A fitted piece: its variable's middle m and reach h, and coefficients of t⁰ ….
#[derive(Clone, PartialEq, Debug)]
struct Piece {
    middle: i64,
    reach: i32,
    coefficients: Vec<Rational>,
}

/// The shapes that may reach `accuracy`.
pub fn shapes(goal: &Goal, accuracy: f64) -> Vec<Piecewise> {
    let is_served_elsewhere = matches!(goal.function, Function::Reciprocal | Function::Rsqrt);
    if goal.function == Function::Relu || is_served_elsewhere && goal.weights().1 > 0.0 {
        return Vec::new();
    }
    let one_ulp = 2f64.powi(-i32::from(goal.output_scale.bits())) / goal.unit(0.0);
    // Tails pass the last truncation.
    let tail_accuracy = accuracy - 1.1 * one_ulp;
    if tail_accuracy <= 0.0 {
        return Vec::new();
    }
    // Without a tail the window itself is fitted.
    let left = goal.tail_edge(false, tail_accuracy).unwrap_or(goal.window.low);
    let right = goal.tail_edge(true, tail_accuracy).unwrap_or(goal.window.high);
    let tails =
        (goal.tail(false).filter(|_| left > goal.window.low), goal.tail(true).filter(|_| right < goal.window.high));
    let scale = goal.input.scale.bits();
    let margin = input_integer(0.5, goal.input.scale);
    let top = right.saturating_add(margin).min(goal.window.high);
    if left >= right || !goal.value(goal.real_f64(left)).is_finite() {
        return Vec::new();
    }
    let table = Table::new(goal, goal.real_f64(left), goal.real_f64(top));
    // Where a jump of a derivative is small or repaired by another, ends elsewhere may be cheaper.
    let near = 1i64 << scale.saturating_sub(6);
    let inner: Vec<i64> = goal.kinks().into_iter().filter(|kink| left + near < *kink && kink + near < right).collect();
    let ways: &[&[i64]] = if inner.is_empty() { &[&[]] } else { &[&[], &inner] };
    // Part of the accuracy for the fit, fraction bits of a band. For narrower goals than asked for, one choice will do.
    let choices: &[(f64, u8)] =
        if accuracy < goal.accuracy() { &[(0.9, 6)] } else { &[(0.9, 6), (0.9, 8), (0.5, 6), (0.5, 8)] };
    let mut shapes: Vec<Piecewise> = Vec::new();
    for degree in 1..=5 {
        let ways = ways.iter().flat_map(|kinks| choices.iter().map(|way| (*kinks, *way)));
        for (kinks, (share, drop)) in ways {
            let Some(dropped_max) = scale.checked_sub(drop) else { continue };
            let task = Task { goal, table: &table, ends: (left, right), kinks, degree, dropped_max };
            let Some(cuts) = task.place(accuracy * share) else { continue };
            if wants_local(goal, &cuts) && drop == 6 && degree > 1 {
                shapes.push(Piecewise { cuts: cuts.clone(), degree, variable: Variable::Local, tails: tails.clone() });
            }
            shapes.push(Piecewise { cuts, degree, variable: Variable::Shared, tails: tails.clone() });
        }
    }
    // Twice as many comparisons as another shape needs are never worth it.
    let fewest = shapes.iter().map(|shape| shape.cuts.len()).min().unwrap_or(0);
    shapes.retain(|shape| shape.cuts.len() <= 2 * fewest + 4);
    shapes
}

/// Whether pieces are so uneven, or the ring so narrow, that one variable does not serve all.
fn wants_local(goal: &Goal, cuts: &[Cut]) -> bool {
    let lengths = cuts.windows(2).map(|ends| ends[1].at - ends[0].at);
    let (shortest, longest) = lengths.fold((i64::MAX, 1), |(low, high), length| (low.min(length), high.max(length)));
    goal.input.ring.bits() < 48 || longest / shortest.max(1) >= 32
}

/// The scales of one program.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Scales {
    /// Of t before it is multiplied by itself, if its integers are too long for the ring.
    argument: Option<i32>,
    /// Of the powers.
    internal: i32,
    /// Of the sum before its truncation.
    computed: i32,
    /// The ring of the powers, the bits and the sum.
    ring: Ring,
}

/// What the bits select from, one for every range of inputs from left to right, tails included.
pub(super) struct Selected<'a> {
    pub(super) below: &'a [Wire],
}

impl Selected<'_> {
    /// The local sum that is `values[i]` in range i, at `scale`. Rounded first, so that differences are exact and a
    /// zero stays exactly zero.
    pub(super) fn of(&self, b: &mut Builder, values: &[Rational], scale: i32) -> Result<Wire, BuildError> {
        let at = |index: usize| values.get(index).map_or_else(Rational::new, |value| rounded(value, scale));
        let mut terms = Terms::new().constant(at(self.below.len()));
        for (index, bit) in self.below.iter().enumerate() {
            terms = terms.linear(at(index) - at(index + 1), *bit);
        }
        b.exact(&terms, scale)
    }
}

impl Piecewise {
    fn ends(&self, goal: &Goal) -> (Cut, Cut) {
        let whole = |at| Cut { at, dropped: 0 };
        let first = self.cuts.first().copied().unwrap_or(whole(goal.window.low));
        (first, self.cuts.last().copied().unwrap_or(whole(goal.window.high)))
    }

    /// The inputs that each fitted piece may have to serve.
    fn served(&self, goal: &Goal) -> Vec<Window> {
        let mut served: Vec<Window> = self
            .cuts
            .windows(2)
            .map(|ends| Window { low: ends[0].at, high: (ends[1].at + ends[1].band()).min(goal.window.high) })
            .collect();
        if let (Some(first), true) = (served.first_mut(), self.tails.0.is_some()) {
            first.low = (first.low - self.ends(goal).0.band()).max(goal.window.low);
        }
        served
    }

    /// h for all pieces at once.
    fn shared_reach(&self, goal: &Goal) -> i32 {
        let reach = |window: &Window| goal.real_f64(window.low).abs().max(goal.real_f64(window.high).abs());
        self.served(goal).iter().map(reach).fold(0.5, f64::max).log2().ceil() as i32
    }

    /// Every fitted piece, and the largest error.
    fn fit(&self, goal: &Goal) -> Option<(Vec<Piece>, f64)> {
        let function = &goal.function;
        let f = |x: &Float, precision: u32| target::value(function, x, precision);
        let shared = self.shared_reach(goal);
        let (mut pieces, mut worst) = (Vec::new(), 0.0f64);
        for window in self.served(goal) {
            let (middle, reach) = match self.variable {
                Variable::Shared => (0, shared),
                Variable::Local => {
                    let middle = ((i128::from(window.low) + i128::from(window.high)) >> 1) as i64;
                    let half = goal.real_f64(window.high.saturating_sub(middle)).max(goal.real_f64(1));
                    (middle, half.log2().ceil() as i32)
                }
            };
            let width = if reach >= 0 { Rational::from(1) << reach } else { Rational::from(1) >> -reach };
            let scaling = Scaling::new(goal.real(middle), width).ok()?;
            let basis = Basis::full(self.degree as u32).with_scaling(scaling);
            let ends = (goal.real(window.low), goal.real(window.high));
            let served = (goal.real_f64(window.low), goal.real_f64(window.high));
            let lean = Lean::of(goal, 1.0, &|x| x, served);
            let fitted = fitting::leaning(&f, goal.fit_norm(), ends, basis, lean)?;
            worst = worst.max(fitted.error);
            pieces.push(Piece { middle, reach, coefficients: fitted.coefficients });
        }
        Some((pieces, worst))
    }

    /// The bits "below this cut", from left to right.
    fn comparisons(&self, goal: &Goal, b: &mut Builder, ring: Ring) -> Result<Vec<Wire>, BuildError> {
        let (x, range) = (b.input(), (i128::from(goal.window.low), i128::from(goal.window.high)));
        let mut below = vec![];
        let (first, last) = self.ends(goal);
        if self.tails.0.is_some() {
            // This band must not reach into the fitted interval with the tail; it lies to its left.
            let bit = b.less_than(x, i128::from(first.at - first.band()), range, first.dropped)?;
            below.push(b.inject_into(bit, ring));
        }
        for cut in self.cuts.iter().skip(1) {
            if cut.at < last.at || self.tails.1.is_some() {
                let bit = b.less_than(x, i128::from(cut.at), range, cut.dropped)?;
                below.push(b.inject_into(bit, ring));
            }
        }
        Ok(below)
    }

    fn program(&self, goal: &Goal, pieces: &[Piece], scales: Scales) -> Result<Program, BuildError> {
        let mut b = Builder::new(goal.input.ring, goal.input.scale);
        let below = self.comparisons(goal, &mut b, scales.ring)?;
        let selected = Selected { below: &below };
        let (left, right) = (&self.tails.0, &self.tails.1);
        let in_order = |tail: &dyn Fn(&Affine) -> Rational, piece: &dyn Fn(&Piece) -> Rational| {
            let pieces = pieces.iter().map(piece);
            left.iter().map(tail).chain(pieces).chain(right.iter().map(tail)).collect::<Vec<Rational>>()
        };
        let h = self.shared_reach(goal);
        let t = match self.variable {
            Variable::Shared => b.input().divided_by_power(h),
            Variable::Local => self.local_argument(goal, &mut b, &selected, pieces, scales)?,
        };
        let base = match scales.argument {
            Some(scale) if t.scale() > scale && self.degree > 1 => {
                b.truncated_into(&Terms::new().linear(1, t), scale, t.scale() - scale, scales.ring)?
            }
            _ => t,
        };
        let mut w = powers_into(&mut b, base, self.degree, scales.internal, scales.ring)?;
        w[0] = t;
        let constants = in_order(&|tail| tail.constant.clone(), &|piece| coefficient(piece, 0));
        let constant = selected.of(&mut b, &constants, scales.computed)?;
        let mut terms = Terms::new().linear(1, constant);
        for exponent in 1..=self.degree {
            let slope = |tail: &Affine| match (self.variable, exponent) {
                (Variable::Shared, 1) => Rational::from(&tail.slope << h),
                _ => Rational::new(),
            };
            let values = in_order(&slope, &|piece| coefficient(piece, exponent));
            let power = w[exponent - 1];
            let factor = selected.of(&mut b, &values, scales.computed - power.scale())?;
            terms = terms.product(1, factor, power);
        }
        let is_sloped = left.iter().chain(right).any(|tail| tail.slope != 0);
        if self.variable == Variable::Local && is_sloped {
            let slopes = in_order(&|tail| tail.slope.clone(), &|_| Rational::new());
            let x = b.input();
            let slope = selected.of(&mut b, &slopes, scales.computed - x.scale())?;
            terms = terms.product(1, slope, x);
        }
        let output = i32::from(goal.output_scale.bits());
        b.truncated_into(&terms, output, scales.computed - output, goal.input.ring)?;
        b.finish()
    }

    /// (x − m)/2^h with m and h of the piece that x is in; in tails it may be anything.
    fn local_argument(
        &self,
        goal: &Goal,
        b: &mut Builder,
        selected: &Selected,
        pieces: &[Piece],
        scales: Scales,
    ) -> Result<Wire, BuildError> {
        let x = b.input();
        let tails = usize::from(self.tails.0.is_some());
        let widest = pieces.iter().map(|piece| piece.reach).max().unwrap_or(0);
        let scale = x.scale() + widest;
        // In units of 2^−widest: exact integers, and the same in the tails as beside them.
        let in_ranges = |value: &dyn Fn(&Piece) -> Rational| {
            let own: Vec<Rational> = pieces.iter().map(value).collect();
            let first = own.first().cloned().into_iter().cycle().take(tails);
            let last = own.last().cloned().into_iter().cycle().take(1);
            first.chain(own.iter().cloned()).chain(last).collect::<Vec<Rational>>()
        };
        let growth = |piece: &Piece| Rational::from(1) << (widest - piece.reach);
        let middles = in_ranges(&|piece| goal.real(piece.middle) * growth(piece));
        let middle = selected.of(b, &middles, x.scale())?.divided_by_power(widest);
        let terms = Terms::new().linear(-1, middle);
        let terms = if pieces.iter().all(|piece| piece.reach == widest) {
            terms.linear(1, x.divided_by_power(widest))
        } else {
            let growths = selected.of(b, &in_ranges(&growth), 0)?;
            terms.product(1, x.divided_by_power(widest), growths)
        };
        let shift = scale - scales.argument.unwrap_or(scales.internal);
        match shift > 0 {
            true => b.truncated_into(&terms, scale - shift, shift, scales.ring),
            false => Ok(b.exact(&terms, scale)?.narrowed(scales.ring)),
        }
    }

    /// For inputs of so many fraction bits that a sum at a usual scale would leave the coefficient of t too few: scales
    /// from what the accuracy needs. In a ring that cannot square t, t is shortened first.
    fn fine_scales(&self, goal: &Goal) -> Vec<Scales> {
        let (full, t) = (goal.input.ring, i32::from(goal.input.scale.bits()) + self.shared_reach(goal));
        if t <= FINE {
            return Vec::new();
        }
        let needed = -(goal.accuracy() * goal.unit(0.0).max(f64::MIN_POSITIVE)).log2().floor() as i32;
        let is_long = 2 * t + 3 > i32::from(full.bits());
        let of = |(powers, sum): (i32, i32)| {
            let internal = needed + powers;
            Scales { argument: is_long.then_some(internal), internal, computed: t + needed + sum, ring: full }
        };
        [(3, 2), (5, 4), (8, 2), (8, 4), (8, 6), (12, 6), (12, 9)].map(of).into()
    }

    /// The scales that are tried, in the format's ring and in narrower ones.
    fn scales(&self, goal: &Goal) -> Vec<Scales> {
        let full = goal.input.ring;
        let mut scales = Vec::new();
        let rings = (32..=full.bits().min(58)).step_by(2).filter_map(Ring::new);
        if self.variable == Variable::Local || full.bits() <= 40 {
            for ring in rings.chain([full]) {
                let bits = i32::from(ring.bits());
                for less in [1, 2, 4] {
                    let argument = Some(bits / 2 - less);
                    for computed in [bits - 3, bits - 4, bits - 6, bits - 9] {
                        scales.extend([0, 3].map(|more| Scales {
                            argument,
                            internal: bits / 2 - less + more,
                            computed,
                            ring,
                        }));
                    }
                }
            }
            scales.dedup();
            return scales;
        }
        let argument = None;
        scales.extend(self.fine_scales(goal));
        for internal in (14..=30).step_by(4) {
            for guard in [12, 24] {
                scales.push(Scales { argument, internal, computed: internal + guard, ring: full });
            }
        }
        for ring in rings.filter(|ring| *ring < full) {
            let bits = i32::from(ring.bits());
            for internal in [bits / 2 - 1, bits / 2 - 3, bits / 2 - 5] {
                scales.extend([bits - 4, bits - 8, bits - 12].map(|computed| Scales {
                    argument,
                    internal,
                    computed,
                    ring,
                }));
            }
        }
        scales
    }
}

fn coefficient(piece: &Piece, exponent: usize) -> Rational {
    piece.coefficients.get(exponent).cloned().unwrap_or_default()
}

fn rounded(value: &Rational, scale: i32) -> Rational {
    Rational::from(value << scale).round() >> scale
}

impl Shape for Piecewise {
    fn family(&self) -> &'static str {
        match self.variable {
            Variable::Shared => "piecewise",
            Variable::Local => "local piecewise",
        }
    }

    fn describe(&self) -> String {
        let cuts: Vec<String> = self.cuts.iter().map(|cut| format!("{}/{}", cut.at, cut.dropped)).collect();
        format!("degree {} cuts {}", self.degree, cuts.join(" "))
    }

    fn fit_error(&self, goal: &Goal) -> Option<f64> {
        self.fit(goal).map(|(_, error)| error)
    }

    fn designs(&self, goal: &Goal, accuracy: f64) -> Vec<Design> {
        let Some((pieces, fit_error)) = self.fit(goal).filter(|(_, error)| *error < accuracy) else {
            return Vec::new();
        };
        let (first, last) = self.ends(goal);
        let fitted = Window { low: first.at - first.band(), high: last.at + last.band() };
        let named = |scales: &Scales| {
            let Scales { internal, computed, ring, .. } = scales;
            format!("internal {internal} computed {computed} ring {ring}")
        };
        let program = |scales: &Scales| self.program(goal, &pieces, *scales);
        super::designs(self, fit_error, fitted, &self.scales(goal), named, program)
    }
}
