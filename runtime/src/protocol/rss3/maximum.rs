//! The maximum of several values by all pairs at once.
//!
//! The sign of every difference says who beats whom; a candidate wins if it beats every other one; the winners' bits
//! become ring elements, and one sum of products selects. Exact where every difference has the sign of its low
//! `width` bits: then "beats" is an order, among equals the first wins, and there is exactly one winner.
//! ([`MaximumCircuit`] gives the shape.) Outside of that the result is garbage but still private.
//!
//! Where low bits are left out, every candidate x is compared as ⌊(x₁ + x₂)/2^s⌋ + ⌊x₃/2^s⌋, which its holders form from
//! its components: all comparisons of a candidate see one number, so that "beats" is an order of these numbers. What is
//! selected is the candidate itself. `circuit::coarse` says how far below the largest it can be.

use super::{Group, P1, P2, P3, Shared, inject, local_product, reshare, sign};
use crate::kernel::DrawName;
use crate::kernel::builder::{Mask, PartyBuilder, Word};
use catalogs::Ring;
use catalogs::protocol::Width;
use catalogs::protocol::rss3::MaximumCircuit;

/// The largest of `values`, at least two and at most [`MaximumCircuit::MAX_CANDIDATES`], by the given number of joined
/// bits.
pub(crate) fn maximum(p: &mut PartyBuilder, values: &[Shared], ring: Ring, width: Width, joined: u8) -> Shared {
    let circuit = MaximumCircuit::new(values.len() as u8, joined);
    let mut operation = 0u16..;
    let mut number = || operation.next().unwrap_or(u16::MAX);
    let start = p.stage();
    let compared: Vec<Shared> = values.iter().map(|&value| without_low_bits(p, value, width.dropped)).collect();
    let mut beats: Vec<Vec<Shared>> = vec![Vec::new(); values.len()];
    for (first, second) in circuit.pairs() {
        p.at(start);
        let difference = both(p, compared[first], compared[second], PartyBuilder::sub);
        let below = sign(p, number(), difference, 0, width.compared());
        let not_below = negated(p, below);
        beats[first].push(not_below);
        beats[second].push(below);
    }
    beats.truncate(usize::from(circuit.contenders()));
    for _ in circuit.levels().0 {
        beats = conjunctions(p, number(), &beats);
    }
    let start = p.stage();
    let injected: Vec<Shared> = beats
        .iter()
        .map(|wins| {
            p.at(start);
            match wins[..] {
                [only] => inject(p, number(), only, ring.bits()),
                _ => joined_element(p, &mut number, wins, ring.bits()),
            }
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

/// The AND of a few bits as a ring element. Two rounds, 2^count − 1 operation numbers.
///
/// Role 1 knows m = b₁ ⊕ b₂ of every bit, roles 2 and 3 know n = b₃, and b = n + (1 − 2n)·m. So the product of all b is
/// Σ over sets of bits of (the product of their m)·C with C a product of 1 − 2n inside the set and n outside: role 1
/// shares every monomial of m between itself and role 3 (first component) and role 2 (second), and roles 2 and 3
/// reshare the sum. Shares are folded bit by bit: the half of the sets without a bit meets n, the other half 1 − 2n.
pub(crate) fn joined_element(
    p: &mut PartyBuilder,
    number: &mut dyn FnMut() -> u16,
    wins: &[Shared],
    bits: u8,
) -> Shared {
    let sets = 1usize << wins.len();
    let numbers: Vec<u16> = (1..sets).map(|_| number()).collect();
    let last = numbers[0];
    match p.role() {
        P1 => {
            let mut monomials = vec![p.constant(1)];
            for win in wins {
                let m = p.xor(win.own, win.next);
                let longer: Vec<Word> = monomials.iter().map(|&monomial| p.and(monomial, m)).collect();
                monomials.extend(longer);
            }
            for (&monomial, &number) in monomials[1..].iter().zip(&numbers) {
                let hide = p.draw(P3, number, 0, DrawName::Bit, bits);
                let sent = p.mask(monomial, hide, Mask::Minus);
                p.send(P2, sent);
            }
            p.next_round();
            let own = p.draw(P3, last, 1, DrawName::Product, bits).word();
            let next = p.draw(P2, last, 1, DrawName::Product, bits).word();
            p.next_round();
            Shared { own, next }
        }
        me => {
            let expected: Option<Vec<_>> = (me == P2).then(|| numbers.iter().map(|_| p.expect(P1, bits)).collect());
            p.next_round();
            // The empty set's monomial is 1: role 2 has it.
            let mut shares = vec![p.constant(u64::from(me == P2))];
            match expected {
                Some(fields) => shares.extend(fields.into_iter().map(|field| p.receive(field))),
                None => shares.extend(numbers.iter().map(|&number| p.draw(P1, number, 0, DrawName::Bit, bits).word())),
            }
            for win in wins.iter().rev() {
                let n = if me == P2 { win.next } else { win.own };
                let select = p.neg(n);
                let inside = shares.split_off(shares.len() / 2);
                let folded = shares.iter().zip(inside).map(|(&outside, inside)| {
                    let outside = p.and(outside, select);
                    let inside = p.xor(inside, select);
                    let inside = p.add(inside, n);
                    p.add(outside, inside)
                });
                shares = folded.collect();
            }
            let hide = p.draw(P1, last, 1, DrawName::Product, bits);
            let kept = hide.word();
            let sent = p.mask(shares[0], hide, Mask::Minus);
            let mine = sent.word();
            let other = if me == P2 { P3 } else { P2 };
            p.send(other, sent);
            let expected = p.expect(other, bits);
            p.next_round();
            let theirs = p.receive(expected);
            let sum = p.add(mine, theirs);
            let third = p.reduce(sum, bits);
            if me == P2 { Shared { own: kept, next: third } } else { Shared { own: third, next: kept } }
        }
    }
}

/// ⌊(x₁ + x₂)/2^dropped⌋ + ⌊x₃/2^dropped⌋, in components that only a sign test may use: role 1 has the first summand as its
/// own component, roles 2 and 3 the second as x₃, and nobody has anything else.
fn without_low_bits(p: &mut PartyBuilder, x: Shared, dropped: u8) -> Shared {
    if dropped == 0 {
        return x;
    }
    let zero = p.constant(0);
    match p.role() {
        P1 => {
            let m = p.add(x.own, x.next);
            Shared { own: p.shift_right(m, dropped), next: zero }
        }
        P2 => Shared { own: zero, next: p.shift_right(x.next, dropped) },
        _ => Shared { own: p.shift_right(x.own, dropped), next: zero },
    }
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
