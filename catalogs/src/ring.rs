//! Rings Z_2^k, scales and formats.
//!
//! A ring element is held as its *signed residue*: the representative in [−2^(k−1), 2^(k−1)), in an `i128`. Arithmetic
//! modulo 2^128, which every ring divides, is exact for all of them.

use std::fmt;

/// The ring of integers modulo 2^k, 2 ≤ k ≤ 128.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ring(u8);

impl Ring {
    /// The widest ring this crate evaluates.
    pub const MAX_BITS: u8 = 128;
    /// Modulo 2^64.
    pub const Z64: Ring = Ring(64);
    /// Modulo 2^32.
    pub const Z32: Ring = Ring(32);

    /// The ring modulo 2^`bits`, or `None` outside 2..=128.
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

    /// The mask that reduces a word of 64 bits modulo 2^k: the low k bits set, all of them from 64 bits on.
    pub const fn mask(self) -> u64 {
        if self.0 >= 64 { u64::MAX } else { u64::MAX >> (64 - self.0 as u32) }
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
        assert!(Ring::new(1).is_none() && Ring::new(129).is_none());
        assert_eq!((Ring::Z64.mask(), Ring::new(65).unwrap().mask()), (u64::MAX, u64::MAX));
    }

    /// At every width, around every power of two: congruent modulo 2^k, and inside the signed residues.
    #[test]
    fn residues_of_every_width_are_those_of_big_integers() {
        use dashu::integer::IBig;
        for bits in 2..=Ring::MAX_BITS {
            let ring = Ring::new(bits).unwrap();
            let (modulus, half) = (IBig::ONE << usize::from(bits), IBig::ONE << usize::from(bits - 1));
            for exponent in 0..128u32 {
                let power = 1i128.wrapping_shl(exponent);
                for value in [-2i128, -1, 0, 1, 2].map(|offset| power.wrapping_add(offset)) {
                    for value in [value, value.wrapping_neg()] {
                        let residue = IBig::from(ring.residue(value));
                        assert!(-&half <= residue && residue < half, "{value} in ring {bits}");
                        assert_eq!((IBig::from(value) - residue) % &modulus, IBig::ZERO, "{value} in ring {bits}");
                        assert_eq!(ring.contains(value), IBig::from(value) == IBig::from(ring.residue(value)));
                    }
                }
            }
        }
    }
}
