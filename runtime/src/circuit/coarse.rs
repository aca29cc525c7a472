//! Maxima whose comparisons leave out low bits: which candidate is taken, and how far below the largest it can be.
//!
//! A protocol compares a candidate v, with s low bits left out, as y = ⌊v/2^s⌋ − c: v is the sum of two operands modulo
//! a power of two, the s low bits of each are dropped, and c ∈ {0, 1} is the carry out of them ([`Lemma::Sign`] with two
//! operands says the same of v' = 2^s·y). Their sum is v mod 2^s + c·2^s and at most 2(2^s − 1), so c = 1 needs
//! v mod 2^s ≤ 2^s − 2. All comparisons of one maximum see the same y of a candidate, hence there is a winner, whose y
//! is the largest; among equals the first wins. The winner is taken as it is, low bits and all. A maximum of a further
//! level has another sharing of it, and may have another c.
//!
//! Precondition: the y of any two candidates differ by less than 2^(b−1), b the bits that are compared. As
//! v − 2^s·y ∈ [0, 2^(s+1) − 2], candidates suffice whose largest difference and 2^(s+1) − 2 are below 2^(s+b−1).
//!
//! Postcondition: after L ≥ 1 levels that leave out s ≥ 1 bits each, what is left is one of the candidates and at most
//! (L+1)·2^s − 2 below the largest of them.
//! *Proof.* Let v₀ be the largest candidate, vᵢ the winner of its group at level i, and fᵢ = ⌊vᵢ/2^s⌋. The winner's y is
//! at most fᵢ, and that of vᵢ₋₁ at least fᵢ₋₁ − 1; so fᵢ ≥ fᵢ₋₁ − 1, and at level 1 without the −1 if v₀ mod 2^s = 2^s − 1.
//! Hence v_L ≥ 2^s·f_L ≥ 2^s(f₀ − L) = v₀ − v₀ mod 2^s − L·2^s ≥ v₀ − (2^s − 2) − L·2^s; in the other case
//! v_L ≥ v₀ − (2^s − 1) − (L − 1)·2^s, which is not less. ∎
//! The bound is met: v₀ mod 2^s = 2^s − 2, vᵢ = 2^s(f₀ − i), and every carry against the larger one.
//!
//! [`Lemma::Sign`]: catalogs::Lemma::Sign

/// Operands of a candidate's shares whose low bits are dropped one by one.
pub const OPERANDS: u8 = 2;

/// By how much less than the largest candidate the result of so many levels of maxima can be, in units of the candidates.
pub fn below_largest(dropped: u8, levels: u32) -> i128 {
    match dropped == 0 || levels == 0 {
        true => 0,
        false => ((i128::from(levels) + 1) << dropped) - 2,
    }
}

/// Whether the dropped bits of a candidate may carry.
#[inline(always)]
pub fn may_carry(value: i64, dropped: u8) -> bool {
    let low = (1i64 << dropped) - 1;
    value & low != low
}

/// What a candidate is compared as.
#[inline(always)]
pub fn compared(value: i64, dropped: u8, carry: bool) -> i64 {
    (value >> dropped).wrapping_sub(i64::from(carry))
}

/// The candidate that beats every other one by the sign of the low `bits` of their difference. There is one where no two
/// are too far apart; a protocol that finds none takes the last.
pub fn winner(compared: &[i64], bits: u8) -> Option<usize> {
    let below = |a: i64, b: i64| (i128::from(a) - i128::from(b)) >> (bits - 1) & 1 == 1;
    let beats = |i: usize, j: usize| match i < j {
        true => !below(compared[i], compared[j]),
        false => below(compared[j], compared[i]),
    };
    (0..compared.len()).find(|&i| (0..compared.len()).all(|j| j == i || beats(i, j)))
}

/// The least candidate that wins with some choice of carries.
pub fn least_winner(values: &[i64], dropped: u8) -> Option<i64> {
    let most = |i: usize| compared(values[i], dropped, false);
    let least = |i: usize| compared(values[i], dropped, may_carry(values[i], dropped));
    let beats = |i: usize, j: usize| if i < j { most(i) >= least(j) } else { most(i) > least(j) };
    let wins = |&i: &usize| (0..values.len()).all(|j| j == i || beats(i, j));
    (0..values.len()).filter(wins).map(|i| values[i]).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// y of every way to split `value` into two operands modulo 2^`bits`.
    fn ways(value: i64, bits: u8, dropped: u8) -> Vec<i64> {
        let modulus = 1i64 << bits;
        let dropped_of = |first: i64| {
            let second = (value - first).rem_euclid(modulus);
            // Modulo 2^(bits − dropped); the representative next to the value's own.
            let (sum, own) = ((first >> dropped) + (second >> dropped), value >> dropped);
            own - (own - sum).rem_euclid(modulus >> dropped)
        };
        let mut ways: Vec<i64> = (0..modulus).map(dropped_of).collect();
        ways.sort_unstable();
        ways.dedup();
        ways
    }

    #[test]
    fn a_candidate_is_compared_as_every_split_of_it_says() {
        for dropped in 0..4u8 {
            for value in -32..32 {
                let mut expected: Vec<i64> = vec![compared(value, dropped, false)];
                if may_carry(value, dropped) {
                    expected.insert(0, compared(value, dropped, true));
                }
                assert_eq!(ways(value, 7, dropped), expected, "{value} without {dropped} bits");
            }
        }
    }

    /// Every triple of small candidates, every carry: the winner is close enough, some is no closer than the bound says,
    /// and the least one is the one that is predicted.
    #[test]
    fn winners_are_as_close_as_the_bound_says_and_no_closer() {
        for dropped in 1..=3u8 {
            let span = 4i64 << dropped;
            // All are below 2^(dropped + bits − 1) apart, the loss with it.
            let bits = 4;
            let mut furthest = 0;
            for code in 0..span.pow(3) {
                let values = [code % span, code / span % span, code / span / span];
                let largest = *values.iter().max().unwrap();
                let mut least = i64::MAX;
                for carries in 0..8u8 {
                    let carry = |i: usize| carries >> i & 1 == 1;
                    if (0..3).any(|i| carry(i) && !may_carry(values[i], dropped)) {
                        continue;
                    }
                    let seen: Vec<i64> = (0..3).map(|i| compared(values[i], dropped, carry(i))).collect();
                    let won = winner(&seen, bits).expect("candidates are close enough");
                    least = least.min(values[won]);
                }
                assert_eq!(least_winner(&values, dropped), Some(least), "{values:?} without {dropped} bits");
                furthest = furthest.max(largest - least);
            }
            assert_eq!(i128::from(furthest), below_largest(dropped, 1), "{dropped} bits");
        }
    }

    /// Levels of pairs: who wins one is in the next.
    #[test]
    fn levels_add_up_as_the_bound_says_and_no_less() {
        for dropped in 1..=3u8 {
            let top = 8i64 << dropped;
            for levels in 1..=3u32 {
                let lost = (top..top + (1 << dropped)).map(|v| v - furthest(v, levels, dropped)).max().unwrap();
                assert_eq!(i128::from(lost), below_largest(dropped, levels), "{dropped} bits, {levels} levels");
            }
        }
        assert_eq!([below_largest(0, 3), below_largest(5, 0), below_largest(5, 1)], [0, 0, 62]);
    }

    /// The least value that can be left after so many levels, of which any may be lost.
    fn furthest(from: i64, levels: u32, dropped: u8) -> i64 {
        if levels == 0 {
            return from;
        }
        // Among equals the first wins, which is the worst here.
        let wins = |&other: &i64| other == from || least_winner(&[other, from], dropped) == Some(other);
        let winners = (from - (4 << dropped)..=from).filter(wins);
        winners.map(|other| furthest(other, levels - 1, dropped)).min().unwrap_or(from)
    }
}
