//! Where an entry is tried: the arguments of a conformance run.
//!
//! [`arguments`] gives, ascending and each once:
//! * every integer of the fitted interval (`Claim::fitted`, where the pieces approximate), or, beyond
//!   [`Extent::fitted`] of them, one at a pseudo-random place of each of that many equal strata (a lattice would keep to
//!   multiples of a power of two, where nothing is rounded);
//! * every *seam* with its neighbours: where a sign test changes its bit, both ends of its band, the ends of the
//!   certificate's pieces, powers of two of either sign, zero, the ends of the fitted interval and of the window;
//! * [`Extent::strata`] points of the window, evenly over octaves of |x|.
//!
//! Sign tests of values that are affine in the input (as in every shipped entry: shifted arguments, and the bits of a
//! multiple that split or normalise it) are solved exactly. Seams of tests on other values are those of the
//! certificate, whose pieces are cut where a bit would be undecided.

use crate::sample::Words;
use catalogs::{Entry, Lemma, Op, Program, Sum, ValueId, Window};
use std::ops::RangeInclusive;

/// How many arguments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    /// The most points of the fitted interval; all of them if there are no more.
    pub fitted: u64,
    /// Points spread over the octaves of the window.
    pub strata: u64,
    /// Of the pseudo-random places.
    pub seed: u64,
}

impl Extent {
    /// 2^20 points of the fitted interval, 2^12 of the window.
    pub const FULL: Extent = Extent { fitted: 1 << 20, strata: 1 << 12, seed: 1 };
}

/// Arguments of an entry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arguments {
    /// In the window, ascending, each once.
    pub values: Vec<i64>,
    /// Whether every point of the fitted interval is among them.
    pub fitted_complete: bool,
    /// How many seams were found in the window, neighbours not counted.
    pub seams: u64,
}

/// Neighbours of a seam on either side.
pub const REACH: i64 = 2;
/// The most seams of one sign test; of more, evenly many are taken.
const SEAMS_PER_TEST: i128 = 1 << 13;

/// The arguments for `entry`; `cuts` are further seams, such as the ends of the certificate's pieces.
pub fn arguments(entry: &Entry, cuts: &[i64], extent: Extent) -> Arguments {
    let (window, fitted) = (entry.claim.window, entry.claim.fitted);
    let mut words = Words(extent.seed);
    let fitted_complete = fitted.size() <= u128::from(extent.fitted);
    let mut values: Vec<i64> =
        if fitted_complete { (fitted.low..=fitted.high).collect() } else { even(fitted, extent.fitted, &mut words) };
    let mut seams = seams(&entry.program, window);
    seams.extend([window.low, window.high, fitted.low, fitted.high, 0]);
    seams.extend((0..63).flat_map(|bits| [1 << bits, -(1i64 << bits)]));
    seams.extend(cuts);
    seams.retain(|&seam| window.contains(seam.into()));
    seams.sort_unstable();
    seams.dedup();
    values.extend(seams.iter().flat_map(|&seam| (-REACH..=REACH).filter_map(move |offset| seam.checked_add(offset))));
    values.extend(octaves(window, extent.strata, &mut words));
    values.retain(|&value| window.contains(value.into()));
    values.sort_unstable();
    values.dedup();
    Arguments { values, fitted_complete, seams: seams.len() as u64 }
}

/// A point at a pseudo-random place of each of `count` equal strata of `window`.
fn even(window: Window, count: u64, words: &mut Words) -> Vec<i64> {
    let start = |index: u64| (window.size() * u128::from(index) / u128::from(count)) as i128;
    let strata = (0..count).map(|index| (start(index), start(index + 1)));
    let place = |(from, to): (i128, i128)| {
        let inside = i128::from(words.next()) % (to - from).max(1);
        (i128::from(window.low) + from + inside) as i64
    };
    strata.map(place).collect()
}

/// About `count` points whose magnitudes are spread evenly over the octaves of `window`, both signs alike.
pub(crate) fn octaves(window: Window, count: u64, words: &mut Words) -> Vec<i64> {
    let farthest = window.low.unsigned_abs().max(window.high.unsigned_abs()).max(1);
    let signs = 1 + u64::from(window.low < 0 && window.high > 0);
    let each = count.div_ceil(signs * u64::from(farthest.ilog2() + 1));
    let mut values = Vec::new();
    for octave in 0..=farthest.ilog2().min(62) {
        let inside = Window { low: 1 << octave, high: ((1u64 << (octave + 1)) - 1) as i64 };
        values.extend(even(inside, each.min(1 << octave), words).into_iter().flat_map(|x| [x, -x]));
    }
    values.retain(|&value| window.contains(value.into()));
    values
}

/// value = slope·x + offset as an integer, before any reduction (which does not touch the bits that a sign test reads).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Affine {
    slope: i128,
    offset: i128,
}

impl Affine {
    fn add(self, coefficient: i128, other: Affine) -> Option<Affine> {
        Some(Affine {
            slope: self.slope.checked_add(other.slope.checked_mul(coefficient)?)?,
            offset: self.offset.checked_add(other.offset.checked_mul(coefficient)?)?,
        })
    }

    fn of(sum: &Sum, known: &[Option<Affine>]) -> Option<Affine> {
        if !sum.products.is_empty() || sum.truncation.is_some() {
            return None;
        }
        let constant = Affine { slope: 0, offset: sum.constant };
        sum.linear.iter().try_fold(constant, |total, term| total.add(term.coefficient, known[term.value.index()]?))
    }

    /// The least x with slope·x + offset ≥ `value`, or the greatest for a negative slope; the slope is not zero.
    fn reach(&self, value: i128) -> Option<i128> {
        let short = self.offset.checked_sub(value)?;
        Some(if self.slope > 0 { -short.div_euclid(self.slope) } else { short.div_euclid(-self.slope) })
    }
}

/// Where the sign tests of `program` on affine values change, and where their bands end.
fn seams(program: &Program, window: Window) -> Vec<i64> {
    let mut known: Vec<Option<Affine>> = Vec::new();
    let mut seams = Vec::new();
    for (index, op) in program.ops().iter().enumerate() {
        known.push(match op {
            Op::Input => Some(Affine { slope: 1, offset: 0 }),
            Op::Sum(sum) => Affine::of(sum, &known),
            _ => None,
        });
        if let Op::Sign { operand, lemma } = op
            && let Some(affine) = known[operand.index()].filter(|affine| affine.slope != 0)
        {
            debug_assert!(*operand < ValueId(index as u16));
            seams.extend(seams_of(affine, program.lemma(*lemma), window).unwrap_or_default());
        }
    }
    seams
}

fn seams_of(affine: Affine, lemma: &Lemma, window: Window) -> Option<Vec<i64>> {
    let Lemma::Sign { width, .. } = *lemma else { return None };
    let at = |x: i64| affine.slope.checked_mul(x.into())?.checked_add(affine.offset);
    let (one, other) = (at(window.low)?, at(window.high)?);
    let position = u32::from(width) - 1;
    let multiples: RangeInclusive<i128> = (one.min(other) >> position)..=((one.max(other) >> position) + 1);
    let stride = (multiples.end() - multiples.start()) / SEAMS_PER_TEST + 1;
    let mut seams = Vec::new();
    for multiple in multiples.step_by(usize::try_from(stride).ok()?) {
        let threshold = multiple.checked_mul(1i128.checked_shl(position).filter(|power| *power > 0)?)?;
        for value in [threshold, threshold.checked_add_unsigned(lemma.band())?] {
            seams.extend(affine.reach(value).and_then(|x| i64::try_from(x).ok()));
        }
    }
    Some(seams)
}

#[cfg(test)]
#[path = "points_tests.rs"]
mod tests;
