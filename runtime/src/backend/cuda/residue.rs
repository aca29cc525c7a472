//! Words modulo small pairwise coprime numbers, and the numbers by which sums are put together again.

use super::device::{Buffer, Error, Purpose};
use super::launch::{THREADS, arguments};
use super::product::{Kind, Operands, TILE_THREADS};
use super::{Cuda, Words};
use std::sync::{Arc, PoisonError};

/// Rows and columns of a block of `residues.cu`, lines of a warp in both directions, and steps of the inner axis at once.
const ROWS: u64 = 128;
const COLUMNS: u64 = 256;
const WARP_SIDE: u64 = 64;
const STEP: u64 = 32;
/// Words of a `Modulus`.
const MODULUS_WORDS: usize = 8;

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

    /// Per modulus the structure `Modulus` of the kernels; then M mod 2^64.
    pub fn table(&self) -> Vec<u64> {
        let moduli = &MODULI[..self.count];
        let mut table = Vec::with_capacity(MODULUS_WORDS * self.count + 1);
        for &p in moduli {
            let others = moduli.iter().filter(|&&other| other != p);
            let (rest, word) = others.fold((1, 1u64), |(rest, word), &q| (rest * q % p, word.wrapping_mul(q)));
            let inverse = (0..p).find(|candidate| rest * candidate % p == 1).unwrap_or_default();
            let power = |bits: u32| (1u128 << bits) % u128::from(p);
            let powers = (0..8).fold(0, |all, byte| all | (power(8 * byte) as u64) << (8 * byte));
            let negative = (p - power(64) as u64) % p;
            let (reciprocal, multiple) = ((1 << 32) / p, (1u64 << 31).next_multiple_of(p));
            table.extend([p, inverse, word, powers, negative, reciprocal, multiple, (1.0 / p as f64).to_bits()]);
        }
        table.push(moduli.iter().fold(1, |all: u64, &p| all.wrapping_mul(p)));
        table
    }
}

/// The residues of both components of a factor, a signed byte each: [modulus][batch][line][step][component] with as many
/// lines as whole warps have.
#[derive(Debug)]
pub struct Residues(Buffer);

/// Residues of a left factor, and place for the digits of the result.
struct Room {
    left: Residues,
    digits: Buffer,
    outputs: u64,
}

/// Products of one right factor.
struct Planned<'a> {
    moduli: Moduli,
    numbers: &'a Buffer,
    product: u64,
    right: &'a Residues,
    total: &'a Words,
    coefficient: u64,
    bits: u8,
}

impl Cuda {
    /// The residues of a factor; `lines` are its rows or columns.
    fn packed(
        &self,
        operands: &Operands<'_>,
        (moduli, numbers): (Moduli, &Buffer),
        (side, batches, lines): (usize, u64, u64),
    ) -> Result<Residues, Error> {
        let purpose = [Purpose::LeftResidues, Purpose::RightResidues][side];
        let (lines, inner) = (lines.next_multiple_of(WARP_SIDE), operands.inner.next_multiple_of(STEP));
        let packed = Buffer::new(&self.device, 2 * moduli.count as u64 * batches * lines * inner, purpose)?;
        let table = self.table(&operands.table)?;
        let function =
            self.fixed.residues(self.device.as_ref())?[side + 2 * usize::from(operands.kind == Kind::Windows)];
        let [own, next] = operands.left_addresses();
        let arguments = arguments![
            packed.address(),
            own,
            next,
            operands.next.address(),
            operands.own.address(),
            operands.rows,
            operands.columns,
            operands.inner,
            table.address(),
            batches,
            lines,
            inner,
            numbers.address(),
            moduli.count,
        ];
        self.launch(function, (batches * lines * inner / 4).div_ceil(u64::from(THREADS)), THREADS, arguments)?;
        Ok(Residues(packed))
    }

    /// On tensor cores, modulus by modulus; limb by limb where residues have no room.
    pub(super) fn by_residues(
        &self,
        operands: &Operands<'_>,
        total: &Words,
        coefficient: u64,
        bits: u8,
    ) -> Result<(), Error> {
        let moduli = Moduli::of(operands.inner);
        let table = moduli.table();
        let numbers = self.table(&table)?;
        let kept = operands.kept.map(|kept| kept.lock().unwrap_or_else(PoisonError::into_inner));
        let right = match kept.as_ref().and_then(|kept| kept.as_ref()) {
            Some(residues) => Ok(Arc::clone(residues)),
            None => {
                let shape = (1, operands.right_batches, operands.columns);
                self.packed(operands, (moduli, &numbers), shape).map(Arc::new)
            }
        };
        let right = match right {
            Ok(right) => right,
            Err(Error::Memory { .. }) => return self.by_limbs(operands, total, coefficient, bits),
            Err(error) => return Err(error),
        };
        if let Some(mut kept) = kept {
            *kept = Some(Arc::clone(&right));
        }
        let product = table[table.len() - 1];
        let planned = Planned { moduli, numbers: &numbers, product, right: &right, total, coefficient, bits };
        self.in_parts(&planned, operands)
    }

    /// All rows and batches, or as many at a time as there is memory for. Once anything may have been added, a failure is
    /// the whole sum's.
    fn in_parts(&self, planned: &Planned<'_>, operands: &Operands<'_>) -> Result<(), Error> {
        match (self.room(planned, operands), operands.halves()) {
            (Ok(room), _) => self.add(planned, operands, &room),
            (Err(Error::Memory { .. }), Some(halves)) => {
                halves.iter().try_for_each(|half| self.in_parts(planned, half))
            }
            (Err(Error::Memory { .. }), None) => {
                self.by_limbs(operands, planned.total, planned.coefficient, planned.bits)
            }
            (Err(error), _) => Err(error),
        }
    }

    /// All the memory that a product takes.
    fn room(&self, planned: &Planned<'_>, operands: &Operands<'_>) -> Result<Room, Error> {
        let Operands { batches, rows, columns, .. } = *operands;
        let outputs = batches * rows.next_multiple_of(WARP_SIDE) * columns.next_multiple_of(WARP_SIDE);
        let digits = Buffer::new(&self.device, planned.moduli.count as u64 * outputs, Purpose::Digits)?;
        let left = self.packed(operands, (planned.moduli, planned.numbers), (0, batches, rows))?;
        Ok(Room { left, digits, outputs })
    }

    /// Multiplies and adds, part by part of the inner axis.
    fn add(&self, planned: &Planned<'_>, operands: &Operands<'_>, room: &Room) -> Result<(), Error> {
        let Operands { batches, rows, columns, .. } = *operands;
        let Room { left, digits, outputs } = room;
        let (count, numbers) = (planned.moduli.count as u64, planned.numbers.address());
        let [_, _, _, _, multiply, combine] = *self.fixed.residues(self.device.as_ref())? else {
            return Err(Error::Missing("a kernel of residues".into()));
        };
        let tiles = rows.div_ceil(ROWS) * columns.div_ceil(COLUMNS) * batches * count;
        let inner = operands.inner.next_multiple_of(STEP);
        let (mut begin, steps) = (0, planned.moduli.steps_max.min(self.tuning.steps_max));
        while begin < inner {
            let end = (begin + steps).min(inner);
            let arguments = arguments![
                digits.address(),
                left.0.address(),
                planned.right.0.address(),
                rows,
                columns,
                inner,
                batches,
                operands.right_batches,
                operands.batch_first % operands.right_batches,
                begin,
                end,
                numbers,
            ];
            self.launch(multiply, tiles, TILE_THREADS, arguments)?;
            let (out, coefficient, product) = (operands.out(planned.total), planned.coefficient, planned.product);
            let columns_first = u64::from(operands.kind == Kind::Windows);
            let arguments = arguments![
                out,
                rows,
                columns,
                batches,
                columns_first,
                digits.address(),
                coefficient,
                numbers,
                count,
                product,
            ];
            self.per_lane(combine, (*outputs / 4) as usize, arguments)?;
            begin = end;
        }
        Ok(())
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
            // Of the negative residue -128 only modulus 256 knows, whose sums may wrap. The multiple of p that makes a
            // sum positive leaves it below 2^32.
            assert!(2 * steps * 127 * 127 + (1 << 31) + 256 < 1 << 32);
        }
        let (fewest, steps) = SERVED[0];
        assert!(UBig::from(100 * 2 * steps) << 127 > UBig::from(49u8) * product(fewest), "fewer moduli would do");
    }

    #[test]
    fn moduli_are_coprime_and_their_numbers_give_one_at_their_own_place() {
        for count in [18, 19] {
            let moduli = Moduli { count, steps_max: 1 };
            let (table, all) = (moduli.table(), product(count));
            for (row, &p) in table.chunks_exact(MODULUS_WORDS).zip(&MODULI[..count]) {
                let others = &all / UBig::from(p);
                assert_eq!((row[0], UBig::from(row[2])), (p, &others % (UBig::ONE << 64)));
                assert_eq!(others * row[1] % UBig::from(p), UBig::ONE, "{p}");
                let signed = (UBig::ONE << 64) + UBig::from(row[4]);
                assert_eq!(signed % UBig::from(p), UBig::ZERO, "{p}");
                for (byte, power) in row[3].to_le_bytes().into_iter().enumerate() {
                    assert_eq!(UBig::from(power), (UBig::ONE << (8 * byte)) % UBig::from(p));
                }
                assert!(row[6] % p == 0 && (1 << 31..1 << 32).contains(&row[6]) && row[6] - p < 1 << 31);
            }
            assert_eq!(UBig::from(table[MODULUS_WORDS * count]), all % (UBig::ONE << 64));
        }
        assert_eq!(Moduli::of(4096).count, 18);
        assert_eq!(Moduli::of(4097).count, 19);
        assert_eq!(Moduli::of(1 << 20).steps_max, 65536);
    }
}
