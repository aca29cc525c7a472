//! Loops over one block of lanes. Plain code: the compiler vectorises it for the instruction set of its caller.

/// Lanes of a block: registers of 2 KiB, so that the live ones of a kernel stay in the second-level cache, and fields
/// of every width start a block at a byte.
pub(super) const LANES: usize = 256;

/// One register of a block.
pub(super) type Block = [u64; LANES];

/// An operation on two words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Binary {
    Add,
    Sub,
    /// b − a.
    From,
    Mul,
    And,
    Or,
    Xor,
    ShiftLeft,
    ShiftRight,
}

/// to = a ∘ b, lane by lane.
#[inline(always)]
pub(super) fn binary(operation: Binary, to: &mut Block, a: &Block, b: &Block) {
    match operation {
        Binary::Add => each(to, a, b, u64::wrapping_add),
        Binary::Sub => each(to, a, b, u64::wrapping_sub),
        Binary::From => each(to, a, b, |a, b| b.wrapping_sub(a)),
        Binary::Mul => each(to, a, b, u64::wrapping_mul),
        Binary::And => each(to, a, b, |a, b| a & b),
        Binary::Or => each(to, a, b, |a, b| a | b),
        Binary::Xor => each(to, a, b, |a, b| a ^ b),
        Binary::ShiftLeft => each(to, a, b, |a, b| a << (b & 63)),
        Binary::ShiftRight => each(to, a, b, |a, b| a >> (b & 63)),
    }
}

/// to = a ∘ `value`, lane by lane.
#[inline(always)]
pub(super) fn immediate(operation: Binary, to: &mut Block, a: &Block, value: u64) {
    match operation {
        Binary::Add => all(to, a, |a| a.wrapping_add(value)),
        Binary::Sub => all(to, a, |a| a.wrapping_sub(value)),
        Binary::From => all(to, a, |a| value.wrapping_sub(a)),
        Binary::Mul => all(to, a, |a| a.wrapping_mul(value)),
        Binary::And => all(to, a, |a| a & value),
        Binary::Or => all(to, a, |a| a | value),
        Binary::Xor => all(to, a, |a| a ^ value),
        Binary::ShiftLeft => all(to, a, |a| a << (value & 63)),
        Binary::ShiftRight => all(to, a, |a| a >> (value & 63)),
    }
}

#[inline(always)]
fn each(to: &mut Block, a: &Block, b: &Block, operation: impl Fn(u64, u64) -> u64) {
    for lane in 0..LANES {
        to[lane] = operation(a[lane], b[lane]);
    }
}

#[inline(always)]
fn all(to: &mut Block, a: &Block, operation: impl Fn(u64) -> u64) {
    for lane in 0..LANES {
        to[lane] = operation(a[lane]);
    }
}
