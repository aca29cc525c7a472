//! Products of interval matrices in machine words, where no sum can leave one: the same bounds as in 128 bits, at the
//! speed of vector instructions. Large convolutions and dense layers are proved with it.

use super::interval::Interval;

/// Columns of the right factor that are held at a time: with their sums they stay in a fast cache.
const TILE: usize = 256;
/// Sums stay below this, so that nothing overflows 64 bits.
const SUM_MAX: u128 = 1 << 62;

/// Ends of intervals, apart.
#[derive(Clone)]
struct Ends {
    low: Vec<i64>,
    high: Vec<i64>,
}

/// A right factor, row by row. Weights are known: as points they take a quarter of the memory of intervals.
#[derive(Clone, Copy)]
pub(super) enum Right<'a> {
    Lanes(&'a [Interval]),
    Points {
        values: &'a [i64],
        /// Of their absolute values.
        largest: u128,
    },
}

impl<'a> Right<'a> {
    fn magnitude(self) -> u128 {
        match self {
            Right::Lanes(lanes) => magnitude(lanes),
            Right::Points { largest, .. } => largest,
        }
    }

    /// Puts `ends.low.len()` or fewer lanes from `first` on into `ends`; whether all of them are points.
    fn fill(self, first: usize, count: usize, ends: &mut Ends) -> bool {
        let goals = ends.low.iter_mut().zip(&mut ends.high);
        match self {
            Right::Lanes(lanes) => {
                let lanes = &lanes[first..first + count];
                goals.zip(lanes).for_each(|((low, high), lane)| (*low, *high) = (lane.low as i64, lane.high as i64));
                lanes.iter().all(|lane| lane.low == lane.high)
            }
            Right::Points { values, .. } => {
                goals
                    .zip(&values[first..first + count])
                    .for_each(|((low, high), &value)| (*low, *high) = (value, value));
                true
            }
        }
    }

    /// Lanes of a row.
    pub(super) fn row(self, row: usize, columns: usize) -> impl Iterator<Item = Interval> + 'a {
        let range = row * columns..(row + 1) * columns;
        (range).map(move |index| match self {
            Right::Lanes(lanes) => lanes[index],
            Right::Points { values, .. } => Interval::point(values[index]),
        })
    }
}

fn magnitude(lanes: &[Interval]) -> u128 {
    lanes.iter().map(|lane| lane.magnitude()).max().unwrap_or(0).unsigned_abs()
}

/// result = left · right for distinct `rows` of the left factor, or `None` where a sum may leave 62 bits.
pub(super) fn product(rows: &[&[Interval]], right: Right<'_>, inner: usize, columns: usize) -> Option<Vec<Interval>> {
    let left_largest = rows.iter().map(|row| magnitude(row)).max().unwrap_or(0);
    let right_largest = right.magnitude();
    let sum = left_largest.checked_mul(right_largest)?.checked_mul(inner as u128)?;
    if sum >= SUM_MAX || left_largest >= SUM_MAX || right_largest >= SUM_MAX {
        return None;
    }
    let mut result = vec![Interval::default(); rows.len() * columns];
    let nothing = Ends { low: vec![0; TILE], high: vec![0; TILE] };
    for first in (0..columns).step_by(TILE) {
        let count = TILE.min(columns - first);
        let mut sums = vec![nothing.clone(); rows.len()];
        let mut factor = nothing.clone();
        for at in 0..inner {
            let points = right.fill(at * columns + first, count, &mut factor);
            for (sums, row) in sums.iter_mut().zip(rows) {
                add(sums, [row[at].low as i64, row[at].high as i64], &factor, points);
            }
        }
        for (result, sums) in result.chunks_exact_mut(columns).zip(&sums) {
            let ends = sums.low.iter().zip(&sums.high);
            for (result, (&low, &high)) in result[first..first + count].iter_mut().zip(ends) {
                *result = Interval { low: i128::from(low), high: i128::from(high) };
            }
        }
    }
    Some(result)
}

/// sums += [low, high] · factor, lane by lane. The loops have no branches, so that they become vector instructions.
fn add(sums: &mut Ends, [low, high]: [i64; 2], factor: &Ends, points: bool) {
    let lanes = sums.low.iter_mut().zip(&mut sums.high).zip(factor.low.iter().zip(&factor.high));
    if low == high {
        // A point keeps or turns around the ends of the other factor.
        if low == 0 {
            return;
        }
        let turned = low < 0;
        for ((sum_low, sum_high), (&a, &b)) in lanes {
            let (a, b) = if turned { (b, a) } else { (a, b) };
            *sum_low = sum_low.wrapping_add(low.wrapping_mul(a));
            *sum_high = sum_high.wrapping_add(low.wrapping_mul(b));
        }
    } else if points {
        for ((sum_low, sum_high), (&a, _)) in lanes {
            let (x, y) = (low.wrapping_mul(a), high.wrapping_mul(a));
            *sum_low = sum_low.wrapping_add(x.min(y));
            *sum_high = sum_high.wrapping_add(x.max(y));
        }
    } else {
        for ((sum_low, sum_high), (&a, &b)) in lanes {
            let (x, y) = (low.wrapping_mul(a), high.wrapping_mul(a));
            let (z, w) = (low.wrapping_mul(b), high.wrapping_mul(b));
            *sum_low = sum_low.wrapping_add(x.min(y).min(z.min(w)));
            *sum_high = sum_high.wrapping_add(x.max(y).max(z.max(w)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_points(values: &[i64]) -> Right<'_> {
        let largest = values.iter().map(|value| u128::from(value.unsigned_abs())).max().unwrap_or(0);
        Right::Points { values, largest }
    }

    /// Against the definition, with points, signs and zeros on both sides, and more columns than a tile.
    #[test]
    fn agrees_with_the_definition() {
        let mut state = 0x2545_F491_4F6C_DD1Du64;
        let mut draw = |spread: i64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let (low, width) = ((state >> 40) as i64 % 2000 - 1000, (state >> 20) as i64 % (spread + 1));
            Interval { low: i128::from(low), high: i128::from(low + width) }
        };
        let (count, inner, columns) = (3, 5, TILE + 7);
        for (left_spread, right_spread) in [(0, 700), (700, 0), (700, 700), (0, 0)] {
            let left: Vec<Interval> = (0..count * inner).map(|_| draw(left_spread)).collect();
            let right: Vec<Interval> = (0..inner * columns).map(|_| draw(right_spread)).collect();
            let rows: Vec<&[Interval]> = left.chunks_exact(inner).collect();
            let found = product(&rows, Right::Lanes(&right), inner, columns).unwrap();
            if right_spread == 0 {
                let points: Vec<i64> = right.iter().map(|lane| lane.low as i64).collect();
                assert_eq!(product(&rows, all_points(&points), inner, columns).unwrap(), found);
            }
            for (i, row) in rows.iter().enumerate() {
                for j in 0..columns {
                    let (mut low, mut high) = (0, 0);
                    for (k, a) in row.iter().enumerate() {
                        let b = right[k * columns + j];
                        let corners = [a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high];
                        low += corners.iter().min().unwrap();
                        high += corners.iter().max().unwrap();
                    }
                    assert_eq!(found[i * columns + j], Interval { low, high }, "{i} {j}");
                }
            }
        }
    }

    #[test]
    fn what_may_not_fit_is_left_to_wider_words() {
        let wide = [Interval { low: 0, high: 1 << 40 }];
        let narrow = |low: i128| product(&[&wide], Right::Lanes(&[Interval { low, high: 0 }]), 1, 1);
        assert!(narrow(-(1 << 21)).is_some() && narrow(-(1 << 22)).is_none());
        assert!(product(&[&wide], all_points(&[-(1 << 21)]), 1, 1).is_some());
        assert!(product(&[&wide], all_points(&[-(1 << 22)]), 1, 1).is_none());
        let ring = [Interval::ring(catalogs::Ring::new(120).unwrap())];
        assert!(product(&[&ring], all_points(&[0]), 1, 1).is_none());
    }
}
