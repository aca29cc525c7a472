//! Lemmas: what a protocol must guarantee of one operation for a proof to hold.
//!
//! A lemma says *what* it states, never *whose* it is. An entry needs lemmas, a protocol offers lemmas, and an
//! offered lemma serves a needed one if it [implies](Lemma::implies) it, which is a comparison of integers.

use crate::ring::Ring;
use std::fmt;

/// The error of a truncation against the floor: an integer δ with `low` ≤ δ ≤ `high`, chosen by an adversary.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Rounding {
    /// The least δ.
    pub low: i8,
    /// The largest δ.
    pub high: i8,
}

impl Rounding {
    /// floor, or floor + 1.
    pub const FLOOR_OR_NEXT: Rounding = Rounding { low: 0, high: 1 };
}

/// The probability that an operation returns something its lemma does not allow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Failure {
    /// It cannot fail.
    Never,
    /// At most 2^−n, per operation and lane.
    AtMost(u8),
}

impl Failure {
    fn at_most(self, other: Failure) -> bool {
        match (self, other) {
            (Failure::Never, _) => true,
            (Failure::AtMost(mine), Failure::AtMost(theirs)) => mine >= theirs,
            (Failure::AtMost(_), Failure::Never) => false,
        }
    }
}

/// One statement about one protocol operation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Lemma {
    /// For v in Z_2^`ring` whose signed residue lies in [−2^`window`, 2^`window`) (any v if `window` is `None`),
    /// the result in Z_2^`target` is ⌊v / 2^`shift`⌋ + δ modulo 2^`target`, δ in `rounding`.
    /// Outside the window the result is an arbitrary element of Z_2^`target`.
    Truncation {
        /// The ring of the operand.
        ring: Ring,
        /// The ring of the result; it may be wider than `ring`.
        target: Ring,
        /// Bits dropped, at least one.
        shift: u8,
        /// log₂ of the operand's bound, or `None` where every operand is served.
        window: Option<u8>,
        /// The allowed errors.
        rounding: Rounding,
        /// The probability of anything else.
        failure: Failure,
    },
    /// The result is bit `width`−1 of some v' with v' ≡ 0 mod 2^`dropped`, v − `operands`·(2^`dropped`−1) ≤ v' ≤ v.
    /// With v' = v outside the band this is the exact bit; a sign, if −2^(width−1) ≤ v < 2^(width−1).
    Sign {
        /// The bits of the operand that are looked at; the sign bit is the highest.
        width: u8,
        /// The low bits that are ignored.
        dropped: u8,
        /// The number of share operands whose low bits are ignored one by one (1 if the value itself is truncated).
        operands: u8,
    },
    /// A bit becomes the ring element 0 or 1, exactly.
    Injection {
        /// The ring of the result.
        ring: Ring,
    },
}

impl Lemma {
    /// Whether a protocol that offers `self` serves an entry that needs `needed`.
    pub fn implies(&self, needed: &Lemma) -> bool {
        match (*self, *needed) {
            (
                Lemma::Truncation { ring, target, shift, window, rounding, failure },
                Lemma::Truncation {
                    ring: needed_ring,
                    target: needed_target,
                    shift: needed_shift,
                    window: needed_window,
                    rounding: needed_rounding,
                    failure: needed_failure,
                },
            ) => {
                let window_suffices = match (window, needed_window) {
                    (None, _) => true,
                    (Some(offered), Some(needed)) => offered >= needed,
                    (Some(_), None) => false,
                };
                ring == needed_ring
                    && target == needed_target
                    && shift == needed_shift
                    && window_suffices
                    && needed_rounding.low <= rounding.low
                    && rounding.high <= needed_rounding.high
                    && failure.at_most(needed_failure)
            }
            (
                Lemma::Sign { width, dropped, operands },
                Lemma::Sign { width: needed_width, dropped: needed_dropped, operands: needed_operands },
            ) => width == needed_width && dropped == needed_dropped && operands <= needed_operands,
            (Lemma::Injection { ring }, Lemma::Injection { ring: needed }) => ring == needed,
            _ => false,
        }
    }

    /// Whether the numbers make sense at all: the limits that every module relies on.
    pub fn is_well_formed(&self) -> bool {
        match *self {
            Lemma::Truncation { ring, shift, window, rounding, .. } => {
                shift >= 1
                    && shift < ring.bits()
                    && window.is_none_or(|window| window < ring.bits())
                    && rounding.low <= rounding.high
                    && rounding.low >= -4
                    && rounding.high <= 4
            }
            Lemma::Sign { width, dropped, operands } => {
                (2..=Ring::MAX_BITS).contains(&width) && dropped < width - 1 && (1..=4).contains(&operands)
            }
            Lemma::Injection { .. } => true,
        }
    }

    /// The width of the band above a multiple of 2^(width−1) in which the bit of [`Lemma::Sign`] may be either:
    /// v = T + u with 0 ≤ u < `band()` may be seen as below the threshold T. Zero for other lemmas.
    ///
    /// v' is a multiple of 2^s in [v − m(2^s−1), v]; v' < T ≤ v requires v' ≤ T − 2^s, hence
    /// u ≤ m(2^s−1) − 2^s = (m−1)(2^s−1) − 1.
    pub fn band(&self) -> u128 {
        match *self {
            // At most 3·(2^126 − 1).
            Lemma::Sign { dropped, operands, .. } => (u128::from(operands) - 1) * ((1u128 << dropped) - 1),
            _ => 0,
        }
    }
}

impl fmt::Display for Lemma {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lemma::Truncation { ring, target, shift, window, rounding, failure } => {
                write!(f, "truncation ring {ring} target {target} shift {shift} window ")?;
                match window {
                    Some(bits) => write!(f, "{bits}")?,
                    None => write!(f, "any")?,
                }
                write!(f, " rounding {} {} failure ", rounding.low, rounding.high)?;
                match failure {
                    Failure::Never => write!(f, "never"),
                    Failure::AtMost(bits) => write!(f, "{bits}"),
                }
            }
            Lemma::Sign { width, dropped, operands } => {
                write!(f, "sign width {width} dropped {dropped} operands {operands}")
            }
            Lemma::Injection { ring } => write!(f, "injection ring {ring}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The band formula, by enumerating every split of v into `operands` shares modulo 2^6.
    #[test]
    fn band_is_exact_for_two_and_three_operands() {
        for dropped in 0..4u8 {
            for operands in 1..=3u8 {
                let lemma = Lemma::Sign { width: 6, dropped, operands };
                let mut highest_wrong = -1i128;
                for v in 0..32i128 {
                    let mut wrong = false;
                    let mut low = vec![0i128; operands as usize];
                    'splits: loop {
                        // Low parts of the first shares are free, the last one is determined modulo 2^dropped.
                        let free: i128 = low[1..].iter().sum();
                        let modulus = 1i128 << dropped;
                        let total = free + (v - free).rem_euclid(modulus);
                        wrong |= v - total < 0;
                        let mut index = 1;
                        loop {
                            if index == low.len() {
                                break 'splits;
                            }
                            low[index] += 1;
                            if low[index] < modulus {
                                break;
                            }
                            low[index] = 0;
                            index += 1;
                        }
                    }
                    if wrong {
                        highest_wrong = v;
                    }
                }
                assert_eq!((highest_wrong + 1).unsigned_abs(), lemma.band(), "{lemma}");
            }
        }
    }

    /// The widest bands and shifts are numbers; one more is refused.
    #[test]
    fn limits_at_the_widest_ring() {
        let ring = Ring::new(Ring::MAX_BITS).unwrap();
        let sign = |width, dropped| Lemma::Sign { width, dropped, operands: 4 };
        assert!(sign(128, 126).is_well_formed() && !sign(128, 127).is_well_formed() && !sign(129, 0).is_well_formed());
        assert_eq!(sign(128, 126).band(), 3 * ((1u128 << 126) - 1));
        let truncation = |shift, window| {
            let (rounding, failure) = (Rounding::FLOOR_OR_NEXT, Failure::Never);
            Lemma::Truncation { ring, target: ring, shift, window: Some(window), rounding, failure }.is_well_formed()
        };
        assert!(truncation(127, 127) && !truncation(128, 127) && !truncation(127, 128) && !truncation(0, 127));
    }

    #[test]
    fn implication_is_one_sided() {
        let ring = Ring::Z64;
        let strong = Lemma::Truncation {
            ring,
            target: ring,
            shift: 16,
            window: Some(62),
            rounding: Rounding::FLOOR_OR_NEXT,
            failure: Failure::Never,
        };
        let weak = Lemma::Truncation {
            ring,
            target: ring,
            shift: 16,
            window: Some(60),
            rounding: Rounding { low: -1, high: 1 },
            failure: Failure::AtMost(40),
        };
        assert!(strong.implies(&weak) && !weak.implies(&strong));
        assert!(!strong.implies(&Lemma::Injection { ring }));
        let other = Lemma::Sign { width: 20, dropped: 2, operands: 2 };
        assert!(other.implies(&other) && !other.implies(&Lemma::Sign { width: 20, dropped: 3, operands: 2 }));
    }
}
