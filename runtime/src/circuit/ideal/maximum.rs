//! Maxima lane by lane: the largest candidate, or where low bits are left out, the one that wins with the carries of the
//! mode ([`super::super::coarse`]).
//!
//! Under [`RoundingMode::Seed`] a carry has the probability that a protocol's has whose second operand is uniform.
//! [`RoundingMode::AllLow`] and [`RoundingMode::AllHigh`] give the least and the greatest result that any carries allow.

use super::super::coarse::{below_largest, compared, least_winner, winner};
use super::super::node::NodeId;
use super::choices::{Choices, RoundingMode};
use catalogs::protocol::Width;
use catalogs::protocol::rss3::MaximumCircuit;
use rayon::prelude::*;

/// Lanes of a block.
const BLOCK: usize = 4096;

/// The lanes taken, and how many have candidates that are too far apart to be compared: there the protocol's bits are
/// followed, winner or not.
pub(super) fn taken(candidates: &[&[i64]], width: Width, (mode, node): (RoundingMode, NodeId)) -> (Vec<i64>, u64) {
    let slack = below_largest(width.dropped, 1);
    let half = 1i128 << (width.bits - 1);
    // Usually all candidates of all lanes are close enough: then no lane is looked at on its own.
    let (mut least, mut largest) = (candidates[0].to_vec(), candidates[0].to_vec());
    for values in &candidates[1..] {
        least.iter_mut().zip(*values).for_each(|(least, &value)| *least = value.min(*least));
        largest.iter_mut().zip(*values).for_each(|(largest, &value)| *largest = value.max(*largest));
    }
    let fits = |greatest: i64, least: i64| i128::from(greatest) - i128::from(least) + slack < half;
    let mut pairs = largest.iter().zip(&least);
    if pairs.all(|(&a, &b)| fits(a, b)) && (width.dropped == 0 || mode == RoundingMode::AllHigh) {
        return (largest, 0);
    }
    let choices: Vec<Choices> = (0..candidates.len()).map(|index| Choices::new(mode, node, index as u16)).collect();
    let mut taken = vec![0i64; largest.len()];
    let block = |(block, taken): (usize, &mut [i64])| {
        let mut outside = 0;
        let mut own = [0i64; MaximumCircuit::MAX_CANDIDATES as usize];
        let own = &mut own[..candidates.len()];
        for (index, taken) in taken.iter_mut().enumerate() {
            let lane = block * BLOCK + index;
            own.iter_mut().zip(candidates).for_each(|(own, values)| *own = values[lane]);
            let close = fits(largest[lane], least[lane]);
            outside += u64::from(!close);
            *taken = match mode {
                RoundingMode::AllHigh if close => largest[lane],
                RoundingMode::AllLow if close => least_winner(own, width.dropped).unwrap_or(largest[lane]),
                _ => followed(own, width, &choices, lane as u64),
            };
        }
        outside
    };
    let outside = taken.par_chunks_mut(BLOCK).enumerate().map(block).sum();
    (taken, outside)
}

/// The candidate that a protocol's bits select.
fn followed(own: &[i64], width: Width, choices: &[Choices], lane: u64) -> i64 {
    let mut seen = [0i64; MaximumCircuit::MAX_CANDIDATES as usize];
    let seen = &mut seen[..own.len()];
    for ((seen, &value), choices) in seen.iter_mut().zip(own).zip(choices) {
        *seen = compared(value, width.dropped, choices.carry(lane, value, width.dropped));
    }
    own[winner(seen, width.compared()).unwrap_or(own.len() - 1)]
}

#[cfg(test)]
mod tests {
    use super::super::super::coarse::may_carry;
    use super::*;

    /// How often bits carry is what dropping them of two operands gives, the second of which is uniform.
    #[test]
    fn carries_have_the_probability_of_a_uniform_operand() {
        const LANES: u64 = 20_000;
        for (value, dropped) in [(0, 3u8), (6, 3), (7, 3), (-1, 3), (-3, 3), (5, 1), (4, 1), (1000, 10)] {
            let choices = Choices::new(RoundingMode::Seed(5), NodeId(3), 1);
            let carried = (0..LANES).filter(|&lane| choices.carry(lane, value, dropped)).count() as f64;
            let size = 1i64 << dropped;
            let expected = (size - 1 - (value & (size - 1))) as f64 / size as f64;
            let seen = carried / LANES as f64;
            assert!((seen - expected).abs() < 0.015, "{value} without {dropped} bits: {seen} for {expected}");
            assert!(may_carry(value, dropped) || carried == 0.0);
        }
    }

    /// Every mode takes a candidate as near as the bound says; the modes take different ones.
    #[test]
    fn modes_take_what_carries_allow() {
        let number = |lane: i64, i: i64| (lane * lane * 13 + i * lane * 7919 + i * 104_729) % 4001 - 2000;
        let values: Vec<Vec<i64>> = (0..4).map(|i| (0..9000).map(|lane| number(lane, i)).collect()).collect();
        let candidates: Vec<&[i64]> = values.iter().map(Vec::as_slice).collect();
        let width = Width { bits: 14, dropped: 8 };
        let of = |mode| taken(&candidates, width, (mode, NodeId(1)));
        let (exact, none) = taken(&candidates, Width::of(14), (RoundingMode::AllLow, NodeId(1)));
        assert_eq!((none, &of(RoundingMode::AllHigh).0), (0, &exact));
        let (least, seeded) = (of(RoundingMode::AllLow).0, of(RoundingMode::Seed(1)).0);
        let lost = |found: &[i64]| found.iter().zip(&exact).map(|(a, b)| b - a).max().unwrap();
        assert!(i128::from(lost(&least)) <= below_largest(8, 1) && lost(&least) > 400, "{}", lost(&least));
        assert!(seeded.iter().zip(&least).all(|(a, b)| a >= b) && lost(&seeded) > 200, "{}", lost(&seeded));
        assert!(seeded.iter().zip(&exact).all(|(a, b)| a <= b));
        assert_ne!(seeded, of(RoundingMode::Seed(2)).0);
        // Too far apart to be compared: counted, and a candidate is taken all the same.
        let (found, outside) = taken(&candidates, Width { bits: 12, dropped: 8 }, (RoundingMode::Seed(1), NodeId(1)));
        assert!(outside > 1000 && found.iter().enumerate().all(|(lane, v)| values.iter().any(|own| own[lane] == *v)));
    }
}
