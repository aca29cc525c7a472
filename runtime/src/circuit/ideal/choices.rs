//! What the lemmas leave open, decided for a simulation: roundings, bits inside bands, results outside windows.
//!
//! Every choice is a function of (mode, node, operation, lane), so a simulation does not depend on the order or the
//! number of threads. The stream is for simulation only: it protects nothing.

use super::super::node::NodeId;
use super::super::tensor::residue;
use catalogs::{Lemma, Ring, Rounding};

/// How a simulation chooses roundings.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RoundingMode {
    /// As a protocol does: upwards with probability (z mod 2^d)/2^d, from a stream with this seed.
    Seed(u64),
    /// The least δ that the lemma allows, always; bits inside a band are 0; of a maximum the least that may be taken.
    AllLow,
    /// The largest δ that the lemma allows, always; bits inside a band are 1; of a maximum the largest.
    AllHigh,
}

/// The choices of one operation of one node.
#[derive(Clone, Copy, Debug)]
pub struct Choices {
    mode: RoundingMode,
    key: u64,
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finaliser of splitmix64 (Steele, Lea, Flood 2014): a bijection of words that spreads every bit.
#[inline(always)]
fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

impl Choices {
    /// The choices of operation `operation` of node `node`.
    pub fn new(mode: RoundingMode, node: NodeId, operation: u16) -> Choices {
        let seed = match mode {
            RoundingMode::Seed(seed) => seed,
            RoundingMode::AllLow | RoundingMode::AllHigh => 0,
        };
        let place = u64::from(node.0) << 16 | u64::from(operation);
        Choices { mode, key: mix(mix(seed.wrapping_add(GOLDEN)) ^ mix(place.wrapping_add(GOLDEN))) }
    }

    #[inline(always)]
    fn word(self, lane: u64) -> u64 {
        mix(self.key.wrapping_add(lane.wrapping_mul(GOLDEN)))
    }

    /// δ of a truncation by `shift` of `operand`, within `rounding`.
    #[inline(always)]
    pub fn rounding(self, lane: u64, operand: i64, shift: u8, rounding: Rounding) -> i8 {
        match self.mode {
            RoundingMode::AllLow => rounding.low,
            RoundingMode::AllHigh => rounding.high,
            RoundingMode::Seed(_) => self.drawn(lane, operand, shift, rounding),
        }
    }

    /// Whether the low bits carry that a comparison drops: if those of a uniform operand exceed the value's. For
    /// `dropped` ≥ 1; in the other modes a maximum is decided as a whole.
    #[inline(always)]
    pub fn carry(self, lane: u64, operand: i64, dropped: u8) -> bool {
        match self.mode {
            RoundingMode::Seed(_) if dropped > 0 => {
                self.word(lane) << (64 - dropped) > (operand as u64) << (64 - dropped)
            }
            _ => false,
        }
    }

    #[inline(always)]
    fn drawn(self, lane: u64, operand: i64, shift: u8, rounding: Rounding) -> i8 {
        // Equal to `self.word(lane) mod 2^d < operand mod 2^d`, compared in the top bits.
        let above = 64u32.wrapping_sub(u32::from(shift));
        let up = self.word(lane).wrapping_shl(above) < (operand as u64).wrapping_shl(above);
        i8::from(up).max(rounding.low).min(rounding.high)
    }

    /// What a truncation returns for an operand outside its window: any residue.
    #[inline(always)]
    pub fn outside(self, lane: u64, target: Ring) -> i64 {
        residue(target, self.word(lane) as i64)
    }

    /// A bit whose operand is inside the band.
    #[inline(always)]
    pub fn band(self, lane: u64) -> bool {
        // The word is drawn in every mode: then no lane branches.
        let (drawn, set) = match self.mode {
            RoundingMode::AllLow => (0, 0),
            RoundingMode::AllHigh => (0, 1),
            RoundingMode::Seed(_) => (1, 0),
        };
        (self.word(lane) >> 63) & drawn | set == 1
    }
}

/// A truncation's numbers, unpacked once.
#[derive(Clone, Copy, Debug)]
pub struct Truncation {
    target: Ring,
    shift: u8,
    /// Operands are inside if low ≤ z ≤ high.
    low: i64,
    high: i64,
    rounding: Rounding,
}

impl Truncation {
    /// The numbers of a [`Lemma::Truncation`]; `None` for another lemma.
    pub fn new(lemma: &Lemma) -> Option<Truncation> {
        let Lemma::Truncation { target, shift, window, rounding, .. } = *lemma else { return None };
        let (low, high) = match window {
            Some(bits) if bits < 63 => (-(1i64 << bits), (1i64 << bits) - 1),
            _ => (i64::MIN, i64::MAX),
        };
        Some(Truncation { target, shift, low, high, rounding })
    }

    /// Whether an operand lies in the window.
    pub fn serves(&self, operand: i128) -> bool {
        i128::from(self.low) <= operand && operand <= i128::from(self.high)
    }

    /// log₂ of the window's bound.
    pub fn window_bits(&self) -> u8 {
        64 - self.high.leading_zeros() as u8
    }

    /// Bounds of the results for operands in the window between `low` and `high`: the target ring holds them, or
    /// every residue is possible.
    pub fn bounds(&self, low: i128, high: i128) -> (i128, i128) {
        let low = (low >> self.shift) + i128::from(self.rounding.low);
        let high = (high >> self.shift) + i128::from(self.rounding.high);
        let limit = 1i128 << (self.target.bits() - 1);
        if -limit <= low && high < limit { (low, high) } else { (-limit, limit - 1) }
    }

    /// Truncates residues in place; the first is lane `first`. Returns how many lay outside the window.
    #[inline(always)]
    pub fn apply(self, choices: Choices, first: u64, values: &mut [i64]) -> u64 {
        let mut outside = 0;
        for &operand in &*values {
            outside = u64::wrapping_add(outside, u64::from(!self.is_inside(operand)));
        }
        match choices.mode {
            RoundingMode::AllLow => self.truncate_all(choices, (first, outside), values, |_, _| self.rounding.low),
            RoundingMode::AllHigh => self.truncate_all(choices, (first, outside), values, |_, _| self.rounding.high),
            RoundingMode::Seed(_) => self.truncate_all(choices, (first, outside), values, |lane, operand| {
                choices.drawn(lane, operand, self.shift, self.rounding)
            }),
        }
        outside
    }

    #[inline(always)]
    fn is_inside(self, operand: i64) -> bool {
        self.low <= operand && operand <= self.high
    }

    /// Both loops are without branches, as vectors need it; the first one also without what most blocks do not have.
    #[inline(always)]
    fn truncate_all(
        self,
        choices: Choices,
        (first, outside): (u64, u64),
        values: &mut [i64],
        rounding: impl Fn(u64, i64) -> i8,
    ) {
        let (target, shift) = (self.target, u32::from(self.shift));
        let mut lane = first;
        if outside == 0 {
            for value in values {
                let delta = i64::from(rounding(lane, *value));
                *value = residue(target, value.wrapping_shr(shift).wrapping_add(delta));
                lane = lane.wrapping_add(1);
            }
        } else {
            for value in values {
                let delta = i64::from(rounding(lane, *value));
                let truncated = residue(target, value.wrapping_shr(shift).wrapping_add(delta));
                *value = if self.is_inside(*value) { truncated } else { choices.outside(lane, target) };
                lane = lane.wrapping_add(1);
            }
        }
    }
}
