//! What every protocol operation sends, and when: the one home of costs.
//!
//! A [`Model`] lists, for each [`Operation`], the messages of one lane. [`timeline`] schedules a program's
//! operations as early as their operands allow; `synth` and the tuner read it, and the runtime executes that same
//! schedule, so its counters must equal it. Bits here are payload; a session adds frame headers.

pub mod rss3;

use crate::lemma::Lemma;
use crate::program::{Op, Program};
use crate::ring::Ring;

/// A party's position in an operation (0-based). Sessions may rotate positions between operations.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Role(pub u8);

/// `bits` per lane from `from` to `to`, in the `step`-th exchange of its operation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Message {
    /// Counted from 0; a message of step s may depend on messages of earlier steps only.
    pub step: u8,
    /// The sender.
    pub from: Role,
    /// The receiver.
    pub to: Role,
    /// Payload per lane.
    pub bits: u32,
}

/// The bits of values that decide which of them is the largest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Width {
    /// Differences have the sign of so many low bits.
    pub bits: u8,
    /// Low bits of every operand of a value's shares that take no part, as in [`Lemma::Sign`].
    pub dropped: u8,
}

impl From<u8> for Width {
    fn from(bits: u8) -> Width {
        Width::of(bits)
    }
}

impl Width {
    /// All of so many low bits.
    pub const fn of(bits: u8) -> Width {
        Width { bits, dropped: 0 }
    }

    /// Bits that a sign test looks at.
    pub const fn compared(self) -> u8 {
        self.bits.saturating_sub(self.dropped)
    }
}

/// An operation that needs messages.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Operation {
    /// A sum with products and no truncation: one new sharing of the result.
    Reshare(Ring),
    /// A sum with a [`Lemma::Truncation`].
    Truncate {
        /// The ring of the sum.
        ring: Ring,
        /// The ring of the result.
        target: Ring,
        /// Bits dropped.
        shift: u8,
    },
    /// A bit of a value; `bits` = width − dropped of its [`Lemma::Sign`].
    Sign {
        /// Bits compared.
        bits: u8,
    },
    /// A bit to a ring element.
    Inject(Ring),
    /// One of several ring elements: the largest, where no bits are left out.
    Maximum {
        /// The ring of the candidates.
        ring: Ring,
        /// The bits that decide.
        width: Width,
        /// The number of candidates.
        candidates: u8,
        /// How many bits at most are joined and become a ring element in one operation; see
        /// [`rss3::MaximumCircuit`].
        joined: u8,
    },
    /// A party's own value becomes shared.
    Share(Ring),
    /// A shared value is opened to one party.
    Open(Ring),
}

impl Operation {
    /// The operation behind `op`, or `None` if it is local.
    pub fn of(program: &Program, op: &Op) -> Option<Operation> {
        match op {
            Op::Input => None,
            Op::Sum(sum) => match sum.truncation.map(|lemma| *program.lemma(lemma)) {
                Some(Lemma::Truncation { ring, target, shift, .. }) => {
                    Some(Operation::Truncate { ring, target, shift })
                }
                _ if sum.products.is_empty() => None,
                _ => Some(Operation::Reshare(sum.ring)),
            },
            Op::Sign { lemma, .. } => match *program.lemma(*lemma) {
                Lemma::Sign { width, dropped, .. } => Some(Operation::Sign { bits: width - dropped }),
                _ => None,
            },
            Op::Inject { lemma, .. } => match *program.lemma(*lemma) {
                Lemma::Injection { ring } => Some(Operation::Inject(ring)),
                _ => None,
            },
        }
    }
}

/// A protocol as data.
pub trait Model: Sync {
    /// The protocol's name on the command line and in plans.
    fn name(&self) -> &'static str;
    /// The number of computing parties.
    fn parties(&self) -> u8;
    /// The lemma of this protocol that implies `needed`, if there is one.
    fn offers(&self, needed: &Lemma) -> Option<Lemma>;
    /// The messages of `operation` for one lane.
    fn messages(&self, operation: Operation) -> Vec<Message>;
    /// The number of exchanges of `operation`.
    fn rounds(&self, operation: Operation) -> u16 {
        self.messages(operation).iter().map(|message| u16::from(message.step) + 1).max().unwrap_or(0)
    }
}

/// When each operation of a program starts and ends, in rounds from the start of the program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Timeline {
    /// Per operation, the round of its first message.
    pub start: Vec<u16>,
    /// Per operation, the number of rounds after which its value exists.
    pub ready: Vec<u16>,
    /// Rounds until the output exists.
    pub rounds: u16,
    /// (round, message), in the order of operations.
    pub messages: Vec<(u16, Message)>,
}

/// The earliest schedule of `program` under `model`.
pub fn timeline(program: &Program, model: &dyn Model) -> Timeline {
    let (mut start, mut ready, mut messages) = (Vec::new(), Vec::new(), Vec::new());
    for op in program.ops() {
        let begin = operands(op).into_iter().map(|index| ready[index]).max().unwrap_or(0);
        let mut rounds = 0;
        if let Some(operation) = Operation::of(program, op) {
            rounds = model.rounds(operation);
            messages.extend(model.messages(operation).into_iter().map(|m| (begin + u16::from(m.step), m)));
        }
        start.push(begin);
        ready.push(begin + rounds);
    }
    let rounds = ready.last().copied().unwrap_or(0);
    Timeline { start, ready, rounds, messages }
}

fn operands(op: &Op) -> Vec<usize> {
    match op {
        Op::Input => vec![],
        Op::Sum(sum) => {
            let products = sum.products.iter().flat_map(|product| [product.left, product.right]);
            products.chain(sum.linear.iter().map(|term| term.value)).map(|id| id.index()).collect()
        }
        Op::Sign { operand, .. } => vec![operand.index()],
        Op::Inject { bit, .. } => vec![bit.index()],
    }
}

/// What one element of a program costs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Cost {
    /// Rounds until the output exists.
    pub rounds: u16,
    /// Payload bits of all parties per element.
    pub bits: u64,
}

impl Cost {
    /// Payload bytes of all parties per element, rounded up.
    pub fn bytes(&self) -> u64 {
        self.bits.div_ceil(8)
    }
}

/// The cost of one element of `program` under `model`.
pub fn cost(program: &Program, model: &dyn Model) -> Cost {
    let timeline = timeline(program, model);
    Cost { rounds: timeline.rounds, bits: timeline.messages.iter().map(|(_, m)| u64::from(m.bits)).sum() }
}
