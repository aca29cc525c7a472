//! Rings Z_2^k, scales and formats.
//!
//! A ring element is held as its *signed residue*: the representative in [−2^(k−1), 2^(k−1)), in an `i128` so that
//! the product of two residues of at most 64 bits is exact.

use std::fmt;

/// The ring of integers modulo 2^k, 2 ≤ k ≤ 64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ring(u8);

impl Ring {
    /// The widest ring this crate evaluates.
    pub const MAX_BITS: u8 = 64;
    /// Modulo 2^64.
    pub const Z64: Ring = Ring(64);
    /// Modulo 2^32.
    pub const Z32: Ring = Ring(32);

    /// The ring modulo 2^`bits`, or `None` outside 2..=64.
    pub const fn new(bits: u8) -> Option<Ring> {
        if bits >= 2 && bits <= Ring::MAX_BITS { Some(Ring(bits)) } else { None }
    }

    /// k.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The signed residue of `value`: the representative of `value` mod 2^k in [−2^(k−1), 2^(k−1)).
    pub const fn residue(self, value: i128) -> i128 {
        let unused = 128 - self.0 as u32;
        (value << unused) >> unused
    }

    /// Whether `value` is its own signed residue.
    pub const fn contains(self, value: i128) -> bool {
        self.residue(value) == value
    }

    /// The low k bits set: the mask that reduces an unsigned word modulo 2^k.
    pub const fn mask(self) -> u64 {
        u64::MAX >> (64 - self.0 as u32)
    }
}

impl fmt::Display for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Number of fraction bits: an integer v at scale s stands for v / 2^s.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Scale(u8);

impl Scale {
    /// The largest scale a value may have.
    pub const MAX_BITS: u8 = 126;

    /// `bits` fraction bits, or `None` above [`Scale::MAX_BITS`].
    pub const fn new(bits: u8) -> Option<Scale> {
        if bits <= Scale::MAX_BITS { Some(Scale(bits)) } else { None }
    }

    /// Number of fraction bits.
    pub const fn bits(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// How a real number is held: the ring of its integer and the scale of that integer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Format {
    /// The ring the integer lives in.
    pub ring: Ring,
    /// The fraction bits of that integer.
    pub scale: Scale,
}

impl Format {
    /// Z_2^64 with `scale` fraction bits; `None` above [`Scale::MAX_BITS`].
    pub const fn z64(scale: u8) -> Option<Format> {
        match Scale::new(scale) {
            Some(scale) => Some(Format { ring: Ring::Z64, scale }),
            None => None,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ring {} scale {}", self.ring, self.scale)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn residues_are_signed_and_periodic() {
        let ring = Ring::new(3).unwrap();
        let residues: Vec<i128> = (-9..9).map(|v| ring.residue(v)).collect();
        for (index, value) in (-9..9i128).enumerate() {
            assert!((-4..4).contains(&residues[index]));
            assert_eq!((residues[index] - value).rem_euclid(8), 0);
        }
        assert_eq!(Ring::Z64.residue(1 << 63), -(1 << 63));
        assert_eq!(ring.mask(), 7);
        assert!(Ring::new(1).is_none() && Ring::new(65).is_none());
    }
}
