//! Words modulo small pairwise coprime numbers, and the numbers by which sums are put together again.

use super::device::{Address, Buffer, Error};
use super::launch::arguments;
use super::{Cuda, Words};

/// The largest pairwise coprime numbers of at most 256, from the largest on.
const MODULI: [u64; 19] =
    [256, 255, 253, 251, 247, 241, 239, 233, 229, 227, 223, 217, 211, 199, 197, 193, 191, 181, 179];
/// How many of them serve how many steps of an inner axis, each a product of signed words for either share: with M
/// their product, steps·2^127 < 0.49·M. The tests have the numbers.
const SERVED: [(usize, u64); 2] = [(18, 4096), (19, 65536)];

/// The moduli of a product.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moduli {
    count: usize,
    steps_max: u64,
}

impl Moduli {
    /// The fewest that serve an inner axis; a longer one than any serves is cut.
    pub fn of(inner: u64) -> Moduli {
        let served = SERVED.into_iter().find(|(_, steps)| inner <= *steps).unwrap_or(SERVED[SERVED.len() - 1]);
        Moduli { count: served.0, steps_max: served.1 }
    }

    pub fn count(&self) -> usize {
        self.count
    }

    /// Steps of an inner axis for which sums can be told from their residues.
    pub fn steps_max(&self) -> u64 {
        self.steps_max
    }

    /// Per modulus p: p, (M/p)⁻¹ mod p, M/p mod 2^64 and zero; then M mod 2^64.
    pub fn table(&self) -> Vec<u64> {
        let moduli = &MODULI[..self.count];
        let mut table = Vec::with_capacity(4 * self.count + 1);
        for &p in moduli {
            let others = moduli.iter().filter(|&&other| other != p);
            let (rest, word) = others.fold((1, 1u64), |(rest, word), &q| (rest * q % p, word.wrapping_mul(q)));
            let inverse = (0..p).find(|candidate| rest * candidate % p == 1).unwrap_or_default();
            table.extend([p, inverse, word, 0]);
        }
        table.push(moduli.iter().fold(1, |all: u64, &p| all.wrapping_mul(p)));
        table
    }
}

/// The residues of words, plane by plane, a signed byte each.
#[derive(Debug)]
pub struct Residues {
    planes: Buffer,
}

impl Residues {
    /// Where the first plane is.
    pub fn address(&self) -> Address {
        self.planes.address()
    }
}

impl Cuda {
    /// The residues of words by moduli whose numbers are on the device.
    pub(super) fn residues(&self, words: &Words, moduli: &Moduli, numbers: &Buffer) -> Result<Residues, Error> {
        let function = self.fixed.residues(self.device.as_ref())?[0];
        let planes = Buffer::new(&self.device, (moduli.count() * words.lanes) as u64)?;
        let arguments = arguments![planes.address(), words.lanes, words.address(), numbers.address(), moduli.count()];
        self.per_lane(function, words.lanes, arguments)?;
        Ok(Residues { planes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dashu::integer::UBig;

    fn product(count: usize) -> UBig {
        MODULI[..count].iter().fold(UBig::ONE, |all, &p| all * p)
    }

    /// |Σ| ≤ 2·steps·2^126, a little below half of M; and sums of 32 bits hold what tensor cores add up, but for
    /// modulus 256, whose residues are right modulo 2^32 anyway.
    #[test]
    fn products_stay_below_half_of_all_moduli() {
        for (count, steps) in SERVED {
            assert!(
                UBig::from(100 * steps) << 127 < UBig::from(49u8) * product(count),
                "{count} moduli, {steps} steps"
            );
            assert!(2 * steps * 127 * 127 < 1 << 31);
        }
        let (fewest, steps) = SERVED[0];
        assert!(UBig::from(100 * 2 * steps) << 127 > UBig::from(49u8) * product(fewest), "fewer moduli would do");
    }

    #[test]
    fn moduli_are_coprime_and_their_numbers_give_one_at_their_own_place() {
        for count in [18, 19] {
            let moduli = Moduli { count, steps_max: 1 };
            let (table, all) = (moduli.table(), product(count));
            for (row, &p) in table.chunks_exact(4).zip(&MODULI[..count]) {
                let others = &all / UBig::from(p);
                assert_eq!((row[0], UBig::from(row[2])), (p, &others % (UBig::ONE << 64)));
                assert_eq!(others * row[1] % UBig::from(p), UBig::ONE, "{p}");
            }
            assert_eq!(UBig::from(table[4 * count]), all % (UBig::ONE << 64));
        }
        assert_eq!(Moduli::of(4096).count(), 18);
        assert_eq!(Moduli::of(4097).count(), 19);
        assert_eq!(Moduli::of(1 << 20).steps_max(), 65536);
    }
}
