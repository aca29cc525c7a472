//! How many low bits of a word can be set: an upper bound from the code alone, so that a back end may keep words that
//! live between kernels in narrower ones.

use super::{Instruction, Kernel, Slot};
use std::collections::BTreeMap;

/// Bits of what is in a party's slots, kernel by kernel. Of what the caller put there nothing is known: 64.
#[derive(Debug, Default)]
pub(super) struct Widths(BTreeMap<Slot, u8>);

impl Widths {
    /// Follows a kernel and returns the bits of what each instruction yields, stores or sends.
    ///
    /// Precondition: registers and slots are defined where they are read, as [`super::check`] has established.
    pub(super) fn follow(&mut self, kernel: &Kernel) -> Vec<u8> {
        use Instruction as I;
        let mut bits: Vec<u8> = Vec::with_capacity(kernel.instructions.len());
        for instruction in &kernel.instructions {
            let of = |register: super::Register| bits[register.index()];
            let word = match *instruction {
                I::Load(slot) => self.0.get(&slot).copied().unwrap_or(64),
                I::Constant(value) => 64 - value.leading_zeros() as u8,
                I::Add(a, b) => (of(a).max(of(b)) + 1).min(64),
                I::Sub(..) => 64,
                I::Mul(a, b) => (of(a) + of(b)).min(64),
                I::And(a, b) => of(a).min(of(b)),
                I::Or(a, b) | I::Xor(a, b) => of(a).max(of(b)),
                I::ShiftLeft(a, by) => (of(a) + by).min(64),
                I::ShiftRight(a, by) => of(a).saturating_sub(by),
                I::Draw(draw) => draw.bits,
                I::Receive(field) => field.bits,
                I::Store(_, a) | I::Send(_, a) | I::Disclose(_, a) => of(a),
            };
            if let I::Store(slot, _) = *instruction {
                self.0.insert(slot, word);
            }
            bits.push(word);
        }
        bits
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Draw, DrawName, Field, Pair, Register};
    use super::*;
    use Instruction as I;
    use catalogs::protocol::Role;

    fn kernel(instructions: &[Instruction]) -> Kernel {
        Kernel { instructions: instructions.to_vec() }
    }

    fn draw(bits: u8) -> Draw {
        let pair = Pair::new(Role(0), Role(1)).unwrap();
        Draw { pair, operation: 0, step: 0, name: DrawName::Share, bits }
    }

    /// Every operation on the largest words of its operands' bits stays within the bits that are said of it.
    #[test]
    fn no_word_leaves_its_bits() {
        let r = |index: u32| Register(index);
        let largest = |bits: u8| if bits == 64 { u64::MAX } else { (1 << bits) - 1 };
        for (a, b) in [(1, 1), (3, 7), (8, 8), (16, 1), (31, 33), (32, 32), (63, 64), (64, 64), (5, 64)] {
            let (x, y) = (largest(a), largest(b));
            for by in [0, 1, 8, 40, 63] {
                for (operation, word) in [
                    (I::Add(r(0), r(1)), x.wrapping_add(y)),
                    (I::Sub(r(0), r(1)), x.wrapping_sub(y)),
                    (I::Mul(r(0), r(1)), x.wrapping_mul(y)),
                    (I::And(r(0), r(1)), x & y),
                    (I::Or(r(0), r(1)), x | y),
                    (I::Xor(r(0), r(1)), x ^ (y >> 1)),
                    (I::ShiftLeft(r(0), by), x << by),
                    (I::ShiftRight(r(0), by), x >> by),
                ] {
                    let code = [I::Draw(draw(a)), I::Draw(draw(b)), operation, I::Store(Slot(0), r(2))];
                    let stored = Widths::default().follow(&kernel(&code))[3];
                    assert!(word <= largest(stored), "{operation:?} of {a} and {b} bits: {word} in {stored} bits");
                }
            }
        }
    }

    #[test]
    fn bits_are_followed_from_kernel_to_kernel() {
        let r = |index: u32| Register(index);
        let field = Field { round: 0, from: Role(0), to: Role(1), order: 0, bits: 5 };
        let mut widths = Widths::default();
        let first = [I::Load(Slot(0)), I::Receive(field), I::Store(Slot(1), r(1)), I::Store(Slot(2), r(0))];
        assert_eq!(widths.follow(&kernel(&first)), [64, 5, 5, 64]);
        let second = [I::Load(Slot(1)), I::Constant(9), I::Add(r(0), r(1)), I::Store(Slot(1), r(2))];
        assert_eq!(widths.follow(&kernel(&second)), [5, 4, 6, 6]);
        let third = [I::Load(Slot(1)), I::ShiftRight(r(0), 4), I::Store(Slot(0), r(1)), I::Store(Slot(3), r(0))];
        assert_eq!(widths.follow(&kernel(&third)), [6, 2, 2, 6]);
    }
}
