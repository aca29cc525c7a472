//! Three parties, 2-of-3 replicated sharing over Z_2^k, one semi-honest corruption.
//!
//! x = x1 + x2 + x3; role i holds (xᵢ, xᵢ₊₁), so component xᵢ is known to roles i and i−1. Every message below masks
//! its content with a stream that its receiver does not know; `runtime::protocol::rss3` is the code, SECURITY.md the
//! argument, and a test holds the code's messages against this list.

use super::{Message, Model, Operation, Role, Width};
use crate::lemma::{Failure, Lemma, Rounding};
use crate::ring::Ring;

/// The protocol's costs and lemmas.
#[derive(Clone, Copy, Debug)]
pub struct Rss3;

const P1: Role = Role(0);
const P2: Role = Role(1);
const P3: Role = Role(2);

impl Model for Rss3 {
    fn name(&self) -> &'static str {
        "rss3"
    }

    fn parties(&self) -> u8 {
        3
    }

    fn offers(&self, needed: &Lemma) -> Option<Lemma> {
        let offered = match *needed {
            Lemma::Truncation { ring, target, shift, .. } => {
                let window = match truncation_rounds(ring, target, shift) {
                    Some(1) => None,
                    Some(_) if shift + 3 <= ring.bits() => Some(ring.bits() - 2),
                    _ => return None,
                };
                let rounding = Rounding::FLOOR_OR_NEXT;
                Lemma::Truncation { ring, target, shift, window, rounding, failure: Failure::Never }
            }
            // Role 1 adds its two components before it drops bits, so two operands remain.
            Lemma::Sign { width, dropped, .. } => {
                Lemma::Sign { width, dropped, operands: if dropped == 0 { 1 } else { 2 } }
            }
            Lemma::Injection { .. } => *needed,
        };
        offered.implies(needed).then_some(offered)
    }

    fn messages(&self, operation: Operation) -> Vec<Message> {
        let message = |step, from, to, bits| Message { step, from, to, bits };
        match operation {
            Operation::Reshare(ring) => {
                let bits = u32::from(ring.bits());
                vec![message(0, P1, P3, bits), message(0, P2, P1, bits), message(0, P3, P2, bits)]
            }
            Operation::Truncate { ring, target, shift } if truncation_rounds(ring, target, shift) != Some(1) => {
                let (k, result) = (u32::from(ring.bits()), u32::from(target.bits()));
                // The wrap is worth 2^(k−1−shift), so that this many bits of it are left modulo 2^target.
                let correction = (result + u32::from(shift) + 1).saturating_sub(k);
                vec![
                    message(0, P1, P2, k),
                    message(0, P2, P1, k),
                    message(0, P3, P1, result),
                    message(0, P3, P1, correction),
                    message(1, P1, P2, correction),
                    message(1, P2, P1, correction),
                ]
            }
            Operation::Truncate { target, shift, .. } => {
                let (narrow, opened) = (u32::from(target.bits()), u32::from(target.bits()) + u32::from(shift));
                vec![message(0, P1, P2, opened), message(0, P2, P1, opened), message(0, P3, P1, narrow)]
            }
            Operation::Sign { bits } => SignCircuit::new(bits).messages(),
            Operation::Inject(ring) => {
                let k = u32::from(ring.bits());
                vec![message(0, P1, P2, k), message(1, P2, P3, k), message(1, P3, P2, k)]
            }
            Operation::Maximum { ring, width, candidates, joined } => {
                MaximumCircuit::new(candidates, joined).messages(ring, width)
            }
            // The owner is role 1: x3 = 0, x1 from the stream it has with role 3, x2 = x − x1 to role 2.
            Operation::Share(ring) => vec![message(0, P1, P2, u32::from(ring.bits()))],
            // The receiver is role 1 and lacks x3.
            Operation::Open(ring) => vec![message(0, P2, P1, u32::from(ring.bits()))],
        }
    }
}

/// The shape of the chunked sign test of b compared bits.
///
/// Role 1 knows m = x1 + x2, roles 2 and 3 know n = x3; the sign of m + n is m_top ⊕ n_top ⊕ the carry out of the
/// b−1 low bits. Role 1 shares every monomial of each chunk of three or four bits of m; generate and propagate of
/// a chunk are inner products of these with functions of n; a binary tree of ANDs joins the chunks.
///
/// A chunk of four has 15 monomials where one of three has 7, so there are as many of four as save a level of the
/// tree, and no more; they come first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignCircuit {
    /// (first bit, number of bits) of each chunk of the b−1 low bits, lowest first.
    pub chunks: Vec<(u8, u8)>,
    /// Per tree level, the nodes after it.
    pub levels: Vec<Vec<SignNode>>,
}

/// A node of the carry tree after some level.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SignNode {
    /// The node at this index of the previous level, unchanged.
    Keep(usize),
    /// The nodes at `low` and `low` + 1 of the previous level, joined: G = G_high ⊕ P_high·G_low and, unless it is
    /// the first node (which needs no P), P = P_high·P_low.
    Join {
        /// Index of the lower node.
        low: usize,
        /// Whether P is needed.
        propagate: bool,
    },
}

impl SignCircuit {
    /// The most bits of m whose monomials are shared together.
    pub const CHUNK_BITS: u8 = 4;

    /// The monomials of a chunk's bits, as sets of bits, in the words in which they are shared.
    pub const MONOMIALS: [&'static [u8]; 5] = [
        &[0b0001, 0b0010, 0b0100, 0b1000],
        &[0b0011, 0b0110, 0b1100, 0b1001],
        &[0b0101, 0b1010],
        &[0b0111, 0b1110, 0b1011, 0b1101],
        &[0b1111],
    ];

    /// The circuit for `bits` ≥ 2 compared bits.
    pub fn new(bits: u8) -> SignCircuit {
        let low_bits = bits.saturating_sub(1).max(1);
        let most = low_bits.div_ceil(Self::CHUNK_BITS).next_power_of_two();
        let count = most.min(low_bits.div_ceil(3));
        let large = low_bits.saturating_sub(3 * count);
        let mut chunks = Vec::new();
        let mut first = 0;
        while first < low_bits {
            let size = if (chunks.len() as u8) < large { 4 } else { 3 };
            chunks.push((first, size.min(low_bits - first)));
            first += size;
        }
        SignCircuit::of(chunks)
    }

    /// The circuit of given chunks, side by side from 0 on, of at most [`SignCircuit::CHUNK_BITS`] bits each.
    pub fn of(chunks: Vec<(u8, u8)>) -> SignCircuit {
        let mut levels = Vec::new();
        let mut nodes = chunks.len();
        while nodes > 1 {
            let joined = (0..nodes / 2).map(|pair| SignNode::Join { low: 2 * pair, propagate: pair > 0 });
            let kept = (nodes % 2 == 1).then_some(SignNode::Keep(nodes - 1));
            let level: Vec<SignNode> = joined.chain(kept).collect();
            nodes = level.len();
            levels.push(level);
        }
        SignCircuit { chunks, levels }
    }

    /// What the sizes of all chunks are filled up to: that of the largest, at least two.
    pub fn stride(&self) -> u8 {
        self.chunks.iter().map(|&(_, size)| size).max().unwrap_or(1).max(2)
    }

    /// Bits that role 1 shares: the bits of m with its top bit, then the other words of monomials. Each is one message
    /// of at most 64 bits; a zero is no message.
    pub fn monomial_bits(&self) -> [u32; 5] {
        let of_chunk = |word: &[u8], size: u8| word.iter().filter(|&&set| u32::from(set) < 1 << size).count() as u32;
        let mut bits = Self::MONOMIALS.map(|word| self.chunks.iter().map(|&(_, size)| of_chunk(word, size)).sum());
        bits[0] += 1;
        bits
    }

    /// Generate bits of every chunk, propagate bits of every chunk but the first.
    pub fn chunk_bits(&self) -> u32 {
        2 * self.chunks.len() as u32 - 1
    }

    /// ANDs of one tree level.
    pub fn level_ands(level: &[SignNode]) -> u32 {
        level
            .iter()
            .map(|node| match node {
                SignNode::Keep(_) => 0,
                SignNode::Join { propagate, .. } => 1 + u32::from(*propagate),
            })
            .sum()
    }

    fn messages(&self) -> Vec<Message> {
        let words = self.monomial_bits().into_iter().filter(|&bits| bits > 0);
        let mut messages: Vec<Message> = words.map(|bits| Message { step: 0, from: P1, to: P2, bits }).collect();
        messages.push(Message { step: 1, from: P2, to: P3, bits: self.chunk_bits() });
        messages.push(Message { step: 1, from: P3, to: P2, bits: self.chunk_bits() });
        for (index, level) in self.levels.iter().enumerate() {
            let (step, bits) = (2 + index as u8, Self::level_ands(level));
            for (from, to) in [(P1, P3), (P2, P1), (P3, P2)] {
                messages.push(Message { step, from, to, bits });
            }
        }
        messages
    }
}

/// The shape of the maximum of several candidates, by all pairs at once.
///
/// A sign test for every pair says who beats whom; a candidate wins if it beats every other, a binary tree of ANDs;
/// the winner's bit of every candidate but the last becomes a ring element, and one sum of products selects. Among
/// equals the first wins, so that there is always exactly one.
///
/// Low bits that are left out are dropped from the two operands of every candidate before differences are taken: so all
/// comparisons of a candidate see the same number, and there is still exactly one winner. It is selected whole.
///
/// The tree may end early: up to [`MaximumCircuit::MAX_JOINED`] bits that are left become the element "all of them" in
/// the two rounds of an injection, for 2^bits − 1 elements from role 1 instead of one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MaximumCircuit {
    candidates: u8,
    joined: u8,
}

impl MaximumCircuit {
    /// The most candidates: the ANDs of one level are one message of at most 64 bits.
    pub const MAX_CANDIDATES: u8 = 12;
    /// The most bits that one injection joins.
    pub const MAX_JOINED: u8 = 4;

    /// The circuit for 2 to [`MaximumCircuit::MAX_CANDIDATES`] candidates, of 1 to [`MaximumCircuit::MAX_JOINED`]
    /// joined bits.
    pub fn new(candidates: u8, joined: u8) -> MaximumCircuit {
        let (candidates, joined) = (candidates.clamp(2, Self::MAX_CANDIDATES), joined.clamp(1, Self::MAX_JOINED));
        MaximumCircuit { candidates, joined }
    }

    /// Every pair (i, j) with i < j, in order.
    pub fn pairs(self) -> impl Iterator<Item = (usize, usize)> {
        let count = usize::from(self.candidates);
        (0..count).flat_map(move |first| (first + 1..count).map(move |second| (first, second)))
    }

    /// Candidates whose bit is computed: all but the last.
    pub fn contenders(self) -> u8 {
        self.candidates - 1
    }

    /// Bits that a contender has before each level of its tree of ANDs, and what is left after the last.
    pub fn levels(self) -> (Vec<u8>, u8) {
        let (mut levels, mut bits) = (Vec::new(), self.contenders());
        while bits > self.joined {
            levels.push(bits);
            bits = bits.div_ceil(2);
        }
        (levels, bits)
    }

    fn messages(self, ring: Ring, width: Width) -> Vec<Message> {
        let mut messages = Vec::new();
        // All of them start at `step`; returns the step after them.
        let mut append = |step: u8, operation: Operation, times: usize| {
            let own = Rss3.messages(operation);
            for _ in 0..times {
                messages.extend(own.iter().map(|message| Message { step: step + message.step, ..*message }));
            }
            step + Rss3.rounds(operation) as u8
        };
        let mut step = append(0, Operation::Sign { bits: width.compared() }, self.pairs().count());
        let mut ands = Vec::new();
        let (levels, left) = self.levels();
        for bits in levels {
            let width = u32::from(self.contenders() * (bits / 2));
            ands.extend([(P1, P3), (P2, P1), (P3, P2)].map(|(from, to)| Message { step, from, to, bits: width }));
            step += 1;
        }
        let contenders = usize::from(self.contenders());
        let step = append(step, Operation::Inject(ring), contenders);
        append(step, Operation::Reshare(ring), 1);
        messages.extend(ands);
        // Every further monomial of the bits that are left.
        let more = contenders * ((1 << left) - 2);
        let monomial = Message { step: step - 2, from: P1, to: P2, bits: u32::from(ring.bits()) };
        messages.extend(std::iter::repeat_n(monomial, more));
        messages
    }
}

/// Rounds of a truncation: one where the wrap of the opened sum vanishes modulo the target, two where it has to be
/// corrected (the target may then be wider than the ring), none where the protocol has no truncation.
pub const fn truncation_rounds(ring: Ring, target: Ring, shift: u8) -> Option<u8> {
    if shift == 0 || shift >= ring.bits() {
        None
    } else if target.bits() <= ring.bits() - shift {
        Some(1)
    } else if shift + 2 <= ring.bits() {
        Some(2)
    } else {
        None
    }
}

/// The widest ring that is executed: an element is one machine word. The lemmas and the messages are those of any
/// width, so that wider entries can be designed and proved; executing one is refused.
pub const EXECUTED_BITS: u8 = 64;

/// Whether `ring` can be executed at all (narrower rings exist for exhaustive tests).
pub const fn serves(ring: Ring) -> bool {
    ring.bits() >= 3 && ring.bits() <= EXECUTED_BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bits(operation: Operation) -> (u32, u16) {
        (Rss3.messages(operation).iter().map(|m| m.bits).sum(), Rss3.rounds(operation))
    }

    /// The figures of the design and of the issue.
    #[test]
    fn costs_are_the_designed_ones() {
        let (ring, narrow) = (Ring::Z64, Ring::Z32);
        assert_eq!(bits(Operation::Truncate { ring, target: ring, shift: 16 }), (243, 2));
        assert_eq!(bits(Operation::Truncate { ring, target: narrow, shift: 16 }), (128, 1));
        // Back into a wide ring: 32 bits more than if everything had been wide.
        assert_eq!(bits(Operation::Truncate { ring: narrow, target: ring, shift: 12 }), (263, 2));
        assert_eq!(bits(Operation::Truncate { ring: narrow, target: narrow, shift: 12 }), (135, 2));
        assert_eq!(bits(Operation::Reshare(ring)), (192, 1));
        assert_eq!(bits(Operation::Inject(ring)), (192, 2));
        let (sign, rounds) = bits(Operation::Sign { bits: 20 });
        assert_eq!((sign, rounds), (97, 5));
        assert_eq!(bits(Operation::Sign { bits: 24 }).0.div_ceil(8), 15);
        // One chunk of four saves a level.
        assert_eq!(bits(Operation::Sign { bits: 26 }), (128, 5));
        assert_eq!(bits(Operation::Sign { bits: 64 }), (373, 6));
    }

    /// A lane of a message is one machine word, whatever the width.
    #[test]
    fn no_message_exceeds_a_word() {
        for width in 2..=EXECUTED_BITS {
            let circuit = SignCircuit::new(width);
            let monomials: u32 = circuit.chunks.iter().map(|&(_, size)| (1u32 << size) - 1).sum();
            assert_eq!(circuit.monomial_bits().iter().sum::<u32>(), monomials + 1, "width {width}");
            assert_eq!(circuit.monomial_bits()[0], u32::from(width));
            let messages = Rss3.messages(Operation::Sign { bits: width });
            assert!(messages.iter().all(|message| (1..=64).contains(&message.bits)), "width {width}");
        }
    }

    #[test]
    fn lemmas_outside_the_protocol_are_not_offered() {
        let ring = Ring::Z64;
        let lemma = |target, window, rounding| Lemma::Truncation {
            ring,
            target,
            shift: 16,
            window,
            rounding,
            failure: Failure::Never,
        };
        assert!(Rss3.offers(&lemma(ring, Some(62), Rounding::FLOOR_OR_NEXT)).is_some());
        assert!(Rss3.offers(&lemma(ring, Some(63), Rounding::FLOOR_OR_NEXT)).is_none());
        assert!(Rss3.offers(&lemma(ring, None, Rounding::FLOOR_OR_NEXT)).is_none());
        assert!(Rss3.offers(&lemma(ring, Some(62), Rounding { low: 0, high: 0 })).is_none());
        let (fits, wide) = (Ring::new(48).unwrap(), Ring::new(49).unwrap());
        assert!(Rss3.offers(&lemma(fits, None, Rounding::FLOOR_OR_NEXT)).is_some());
        assert!(Rss3.offers(&lemma(wide, None, Rounding::FLOOR_OR_NEXT)).is_none());
        assert!(Rss3.offers(&lemma(wide, Some(62), Rounding::FLOOR_OR_NEXT)).is_some());
        assert!(Rss3.offers(&Lemma::Sign { width: 20, dropped: 4, operands: 1 }).is_none());
        assert!(Rss3.offers(&Lemma::Sign { width: 20, dropped: 4, operands: 2 }).is_some());
    }
}
