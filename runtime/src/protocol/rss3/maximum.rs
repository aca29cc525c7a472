//! The maximum of several values by all pairs at once.
//!
//! The sign of every difference says who beats whom; a candidate wins if it beats every other one; the winners' bits
//! become ring elements, and one sum of products selects. Exact where every difference has the sign of its low
//! `width` bits: then "beats" is an order, among equals the first wins, and there is exactly one winner.
//! ([`MaximumCircuit`] gives the shape.) Outside of that the result is garbage but still private.

use super::{Group, P1, P3, Shared, inject, local_product, reshare, sign};
use crate::kernel::builder::{PartyBuilder, Word};
use catalogs::Ring;
use catalogs::protocol::rss3::MaximumCircuit;

/// The largest of `values`, at least two and at most [`MaximumCircuit::MAX_CANDIDATES`].
pub(crate) fn maximum(p: &mut PartyBuilder, values: &[Shared], ring: Ring, width: u8) -> Shared {
    let circuit = MaximumCircuit::new(values.len() as u8);
    let mut operation = 0u16..;
    let mut number = || operation.next().unwrap_or(u16::MAX);
    let start = p.stage();
    let mut beats: Vec<Vec<Shared>> = vec![Vec::new(); values.len()];
    for (first, second) in circuit.pairs() {
        p.at(start);
        let difference = both(p, values[first], values[second], PartyBuilder::sub);
        let below = sign(p, number(), difference, 0, width);
        let not_below = negated(p, below);
        beats[first].push(not_below);
        beats[second].push(below);
    }
    beats.truncate(usize::from(circuit.contenders()));
    while beats[0].len() > 1 {
        beats = conjunctions(p, number(), &beats);
    }
    let start = p.stage();
    let injected: Vec<Shared> = beats
        .iter()
        .map(|wins| {
            p.at(start);
            inject(p, number(), wins[0], ring.bits())
        })
        .collect();
    let Some((&last, contenders)) = values.split_last() else { unreachable!("a maximum has candidates") };
    let mut part = last.own;
    for (&value, &wins) in contenders.iter().zip(&injected) {
        let ahead = both(p, value, last, PartyBuilder::sub);
        let product = local_product(p, wins, ahead);
        part = p.add(part, product);
    }
    let number = number();
    reshare(p, number, 0, part, Group::Ring(ring.bits()))
}

/// An operation on both components.
fn both(p: &mut PartyBuilder, a: Shared, b: Shared, apply: fn(&mut PartyBuilder, Word, Word) -> Word) -> Shared {
    Shared { own: apply(p, a.own, b.own), next: apply(p, a.next, b.next) }
}

/// 1 ⊕ b: the first component carries the constant.
fn negated(p: &mut PartyBuilder, bit: Shared) -> Shared {
    let one = p.constant(1);
    match p.role() {
        P1 => Shared { own: p.xor(bit.own, one), next: bit.next },
        P3 => Shared { own: bit.own, next: p.xor(bit.next, one) },
        _ => bit,
    }
}

/// One level of the trees: of every list the ANDs of neighbours, and the last bit of an odd list. One round.
fn conjunctions(p: &mut PartyBuilder, operation: u16, lists: &[Vec<Shared>]) -> Vec<Vec<Shared>> {
    let zero = p.constant(0);
    let (mut left, mut right) = (Shared { own: zero, next: zero }, Shared { own: zero, next: zero });
    let mut count = 0u8;
    for pair in lists.iter().flat_map(|list| list.chunks_exact(2)) {
        left = placed(p, left, pair[0], count);
        right = placed(p, right, pair[1], count);
        count += 1;
    }
    let sum = p.xor(right.own, right.next);
    let first = p.and(left.own, sum);
    let second = p.and(left.next, right.own);
    let part = p.xor(first, second);
    let ands = reshare(p, operation, 0, part, Group::Bits(count));
    let mut place = 0u8;
    let mut level = Vec::with_capacity(lists.len());
    for list in lists {
        let mut bits = Vec::with_capacity(list.len().div_ceil(2));
        for _ in list.chunks_exact(2) {
            let mut bit = |word: Word| {
                let word = p.shift_right(word, place);
                p.keep(word, 1)
            };
            bits.push(Shared { own: bit(ands.own), next: bit(ands.next) });
            place += 1;
        }
        bits.extend(list.chunks_exact(2).remainder());
        level.push(bits);
    }
    level
}

/// The bits so far with one more at `place`.
fn placed(p: &mut PartyBuilder, bits: Shared, bit: Shared, place: u8) -> Shared {
    let mut put = |word: Word, bit: Word| {
        let bit = p.shift_left(bit, place);
        p.or(word, bit)
    };
    Shared { own: put(bits.own, bit.own), next: put(bits.next, bit.next) }
}
