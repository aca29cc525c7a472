//! The kernel language: what a party computes between two messages.
//!
//! A [`Kernel`] is straight-line code over *lanes*: every register holds one 64-bit word per lane, and all lanes do
//! the same. It loads what earlier kernels stored, receives fields of the last round's frames, draws masks, and
//! stores and sends results. A [`Party`] is the list of kernels of one role, one per round and one after the last.
//!
//! Establishes: an instruction set small enough that one back end interprets it, another prints it as one fused
//! kernel, and [`mod@check`] can prove what matters about it: every message is, for its receiver, a fresh uniform
//! word. [`builder`] writes kernels whose sends carry [`builder::Masked`] values; [`check::check`] trusts nothing of
//! that and is the only way to a [`check::CheckedParty`], which is the only thing that a back end executes.

mod bits;
pub mod builder;
pub mod check;
mod widths;

use catalogs::protocol::Role;
use std::fmt;

pub use check::{CheckedKernel, CheckedParty, Disclosure, Refusal, check};

/// A word per lane that outlives a kernel.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Slot(pub u16);

impl Slot {
    /// As an index.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The result of the instruction with this index. Assigned once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Register(pub u32);

impl Register {
    /// As an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The two roles that hold the key of a stream.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Pair {
    low: Role,
    high: Role,
}

impl Pair {
    /// Roles fit two bits each in a label.
    pub const ROLES_MAX: u8 = 4;

    /// The pair of two different roles, in either order.
    pub const fn new(one: Role, other: Role) -> Option<Pair> {
        if one.0 == other.0 || one.0 >= Self::ROLES_MAX || other.0 >= Self::ROLES_MAX {
            return None;
        }
        Some(if one.0 < other.0 { Pair { low: one, high: other } } else { Pair { low: other, high: one } })
    }

    /// Whether `role` knows the stream.
    pub fn holds(self, role: Role) -> bool {
        self.low == role || self.high == role
    }

    /// Both roles, the lower first.
    pub fn roles(self) -> [Role; 2] {
        [self.low, self.high]
    }

    /// An injective number below 16, for labels of streams.
    pub fn number(self) -> u8 {
        self.low.0 * Self::ROLES_MAX + self.high.0
    }
}

/// What a draw is for. Two draws of one operation, pair and step differ in this, always.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
pub enum DrawName {
    /// One term of a share of zero.
    Zero = 0,
    /// Hides a summand of a truncation that two roles open to each other.
    Opened = 1,
    /// A component of a truncation's result.
    Result = 2,
    /// Hides the wrap bit of a truncation.
    Wrap = 3,
    /// Hides the corrected wrap bit in a truncation's second exchange.
    Correction = 4,
    /// Hides the bits of the operand of a sign.
    Bits = 5,
    /// Hides products of two of them, two apart.
    Pairs = 6,
    /// Hides products of three of them.
    Triples = 7,
    /// Hides generate and propagate bits of the chunks of a sign.
    Chunk = 8,
    /// Hides the bit that one role knows in an injection.
    Bit = 9,
    /// Hides the product of an injection.
    Product = 10,
    /// Hides an input from the other roles.
    Share = 11,
    /// Hides products of two bits, next to each other or the first and the last of a chunk.
    Neighbours = 12,
    /// Hides products of four of them.
    Quadruples = 13,
}

impl DrawName {
    /// Names fit four bits of a label.
    pub const LIMIT: u16 = 16;
}

/// One random word per lane, uniform in 0..2^bits, known to the two roles of `pair` and to nobody else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Draw {
    /// Who knows it.
    pub pair: Pair,
    /// The operation of the program, below [`Draw::OPERATIONS_MAX`].
    pub operation: u16,
    /// The exchange of the operation.
    pub step: u8,
    /// Which one.
    pub name: DrawName,
    /// The width, 1 to 64.
    pub bits: u8,
}

impl Draw {
    /// Operations that fit a label beside the name.
    pub const OPERATIONS_MAX: u16 = catalogs::Program::MAX_OPS as u16;

    /// An injective number below 2^14 of (operation, name), for labels of streams.
    pub fn number(&self) -> u16 {
        self.operation * DrawName::LIMIT + self.name as u16
    }
}

/// `bits` bits per lane of the frame that `from` sends to `to` in `round`; a frame holds its fields by `order`, each
/// packed without gaps over the lanes and padded to a byte.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Field {
    /// The round that carries it: sent by kernel `round`, received by kernel `round` + 1.
    pub round: u16,
    /// The sender.
    pub from: Role,
    /// The receiver.
    pub to: Role,
    /// Its place in the frame, from 0 without gaps.
    pub order: u16,
    /// Its width, 1 to 64.
    pub bits: u8,
}

impl Field {
    /// Bytes of this field for `lanes` lanes.
    pub fn bytes(&self, lanes: usize) -> usize {
        (lanes * usize::from(self.bits)).div_ceil(8)
    }
}

/// One instruction; those that yield a word define the register with their own index. Arithmetic is modulo 2^64.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Instruction {
    /// What an earlier kernel, or the caller, stored.
    Load(Slot),
    /// The same word in every lane.
    Constant(u64),
    /// Sum.
    Add(Register, Register),
    /// Difference.
    Sub(Register, Register),
    /// Product.
    Mul(Register, Register),
    /// Bitwise and.
    And(Register, Register),
    /// Bitwise or.
    Or(Register, Register),
    /// Bitwise exclusive or.
    Xor(Register, Register),
    /// Towards the high bits, by less than 64.
    ShiftLeft(Register, u8),
    /// Towards the low bits, zeros entering, by less than 64.
    ShiftRight(Register, u8),
    /// A random word.
    Draw(Draw),
    /// A field of a frame of the round before.
    Receive(Field),
    /// Keeps a word for later kernels. Yields nothing.
    Store(Slot, Register),
    /// Puts the low bits of a masked word into a frame of this round. Yields nothing.
    Send(Field, Register),
    /// Sends an output to the role that is meant to learn it. Yields nothing.
    Disclose(Field, Register),
}

impl Instruction {
    /// The registers it reads.
    pub fn operands(&self) -> impl Iterator<Item = Register> + use<> {
        use Instruction as I;
        let (first, second) = match *self {
            I::Load(_) | I::Constant(_) | I::Draw(_) | I::Receive(_) => (None, None),
            I::Add(a, b) | I::Sub(a, b) | I::Mul(a, b) | I::And(a, b) | I::Or(a, b) | I::Xor(a, b) => {
                (Some(a), Some(b))
            }
            I::ShiftLeft(a, _) | I::ShiftRight(a, _) => (Some(a), None),
            I::Store(_, a) | I::Send(_, a) | I::Disclose(_, a) => (Some(a), None),
        };
        first.into_iter().chain(second)
    }

    /// Whether it defines a register.
    pub fn yields(&self) -> bool {
        !matches!(self, Instruction::Store(..) | Instruction::Send(..) | Instruction::Disclose(..))
    }
}

/// Straight-line code of one role between two rounds.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Kernel {
    /// In order of execution.
    pub instructions: Vec<Instruction>,
}

/// Everything that one role does: kernel r receives the frames of round r−1 and sends those of round r.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Party {
    /// The role.
    pub role: Role,
    /// Where the caller puts the arguments.
    pub inputs: Vec<Slot>,
    /// Where the results are after the last kernel.
    pub outputs: Vec<Slot>,
    /// Number of slots.
    pub slots: u16,
    /// One kernel more than there are rounds.
    pub stages: Vec<Kernel>,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "field {} of round {} from role {} to role {} ({} bits)",
            self.order, self.round, self.from.0, self.to.0, self.bits
        )
    }
}

impl fmt::Display for Draw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [low, high] = self.pair.roles();
        write!(
            f,
            "draw {:?} of operation {} step {} between roles {} and {} ({} bits)",
            self.name, self.operation, self.step, low.0, high.0, self.bits
        )
    }
}
