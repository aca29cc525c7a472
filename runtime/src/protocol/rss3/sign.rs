//! The sign test by chunks of three or four bits.
//!
//! Role 1 knows m = x₁ + x₂ and roles 2 and 3 know n = x₃, so the top bit of m + n is m_top ⊕ n_top ⊕ the carry out of
//! the bits below. Role 1 shares every monomial of each chunk of m; a chunk's generate and propagate bits are inner
//! products of these with functions of n that roles 2 and 3 compute; a binary tree of ANDs joins the chunks
//! ([`SignCircuit`] gives its shape).
//!
//! All chunks of a lane are handled at once, in one word. Inside, bit i of chunk j is at place s·j+i, where the stride
//! s is the size of the largest chunk (at least two); in messages and masks, bits stand side by side. A chunk of fewer bits is treated
//! as one of s whose missing bits propagate: m has zeros there and n has ones.

use super::{Group, P1, P2, P3, Shared, reshare};
use crate::kernel::DrawName;
use crate::kernel::builder::{Mask, PartyBuilder, Word};
use catalogs::protocol::rss3::{SignCircuit, SignNode};

/// The layout of one width.
struct Layout {
    bits: u8,
    circuit: SignCircuit,
    /// s.
    stride: u8,
    /// First places 0, s, 2s, … of the chunks.
    firsts: u64,
    /// Places of the bits below the top.
    places: u64,
    /// Places of every word of [`SignCircuit::MONOMIALS`]: monomial i of chunk j at s·j+i.
    words: [u64; 5],
}

impl Layout {
    fn new(bits: u8, circuit: SignCircuit) -> Layout {
        // Generate and propagate bits stand at places sj and sj−1.
        let stride = circuit.stride();
        let (mut firsts, mut words) = (0u64, [0u64; 5]);
        for (chunk, &(_, size)) in circuit.chunks.iter().enumerate() {
            let first = chunk * usize::from(stride);
            firsts |= 1 << first;
            for (word, sets) in words.iter_mut().zip(SignCircuit::MONOMIALS) {
                let own = sets.iter().enumerate().filter(|(_, set)| u32::from(**set) < 1 << size);
                own.for_each(|(place, _)| *word |= 1 << (first + place));
            }
        }
        Layout { bits, stride, firsts, places: words[0], words, circuit }
    }

    /// The bits below the top, side by side.
    fn low(&self) -> u64 {
        u64::MAX >> (65 - u32::from(self.bits))
    }

    /// The bits below the top, from side by side to their places.
    fn spread(&self, p: &mut PartyBuilder, word: Word) -> Word {
        let low = p.keep(word, self.low());
        p.expand(low, self.places)
    }

    fn width(places: u64) -> u8 {
        places.count_ones() as u8
    }

    /// Places that no bit has.
    fn missing(&self) -> u64 {
        let chunk = (1u64 << self.stride) - 1;
        self.firsts.wrapping_mul(chunk) & !self.places
    }
}

/// One component of the shared monomials of all chunks.
struct Monomials {
    /// m's top bit, at place 0.
    top: Word,
    /// The words of [`SignCircuit::MONOMIALS`] at their places; none where no chunk has such a monomial.
    words: [Option<Word>; 5],
}

/// Bit `dropped`+`bits`−1 of x, whose components are words of at least so many bits. `bits` ≥ 2.
pub(crate) fn sign(p: &mut PartyBuilder, operation: u16, x: Shared, dropped: u8, bits: u8) -> Shared {
    sign_by(p, operation, x, dropped, bits, SignCircuit::new(bits))
}

/// The same by a given circuit for `bits` compared bits.
pub(crate) fn sign_by(
    p: &mut PartyBuilder,
    operation: u16,
    x: Shared,
    dropped: u8,
    bits: u8,
    circuit: SignCircuit,
) -> Shared {
    let layout = Layout::new(bits, circuit);
    let n = match p.role() {
        P1 => None,
        P2 => Some(x.next),
        _ => Some(x.own),
    };
    let n = n.map(|n| {
        let n = p.shift_right(n, dropped);
        p.reduce(n, bits)
    });
    let monomials = share_monomials(p, operation, &layout, x, dropped);
    let carries = chunk_products(p, operation, &layout, &monomials, n);
    let carry = tree(p, operation, &layout, carries);
    // Role 1's top bit is shared in the first two components, n's is known to both holders of the third.
    let n_top = n.map(|n| p.shift_right(n, bits - 1));
    let [own, next] = match (p.role(), n_top) {
        (P2, Some(n_top)) => [monomials[0].top, n_top],
        (P3, Some(n_top)) => [n_top, monomials[0].top],
        _ => [monomials[0].top, monomials[1].top],
    };
    Shared { own: p.xor(carry.own, own), next: p.xor(carry.next, next) }
}

/// The components of the monomials this role holds: role 1 both, role 2 the second, role 3 the first. One round.
fn share_monomials(p: &mut PartyBuilder, operation: u16, layout: &Layout, x: Shared, dropped: u8) -> Vec<Monomials> {
    const NAMES: [DrawName; 5] =
        [DrawName::Bits, DrawName::Neighbours, DrawName::Pairs, DrawName::Triples, DrawName::Quadruples];
    let widths: Vec<u8> = layout.circuit.monomial_bits().into_iter().map(|bits| bits as u8).collect();
    let used: Vec<usize> = (0..widths.len()).filter(|&word| widths[word] > 0).collect();
    let components: Vec<Vec<Word>> = match p.role() {
        P1 => {
            let m = p.add(x.own, x.next);
            let m = p.shift_right(m, dropped);
            let m = p.reduce(m, layout.bits);
            let values = monomials_of(p, layout, m);
            let (mut first, mut second) = (Vec::new(), Vec::new());
            for &word in &used {
                let hide = p.draw(P3, operation, 0, NAMES[word], widths[word]);
                first.push(hide.word());
                let sent = p.mask(values[word], hide, Mask::Exclusive);
                second.push(sent.word());
                p.send(P2, sent);
            }
            p.next_round();
            vec![first, second]
        }
        P2 => {
            let expected: Vec<_> = used.iter().map(|&word| p.expect(P1, widths[word])).collect();
            p.next_round();
            vec![expected.into_iter().map(|field| p.receive(field)).collect()]
        }
        _ => {
            p.next_round();
            vec![used.iter().map(|&word| p.draw(P1, operation, 0, NAMES[word], widths[word]).word()).collect()]
        }
    };
    let mut placed = Vec::new();
    for received in components {
        let top = p.shift_right(received[0], layout.bits - 1);
        let mut words = [None; 5];
        for (&index, &word) in used.iter().zip(&received) {
            words[index] = Some(match index {
                0 => layout.spread(p, word),
                _ => p.expand(word, layout.words[index]),
            });
        }
        placed.push(Monomials { top, words });
    }
    placed
}

/// The words of all chunks of m, each side by side.
fn monomials_of(p: &mut PartyBuilder, layout: &Layout, m: Word) -> [Word; 5] {
    let low = layout.spread(p, m);
    let [up1, up2, up3] = [1, 2, 3].map(|by| p.shift_right(low, by));
    let firsts = layout.firsts;
    let neighbours = p.and(low, up1);
    let outer = p.and(low, up2);
    let three = p.and(neighbours, up2);
    // A monomial that starts at place 0 of a chunk and has its own place further up.
    let moved = |p: &mut PartyBuilder, a: Word, b: Word, place: u8| {
        let both = p.and(a, b);
        let both = p.keep(both, firsts);
        p.shift_left(both, place)
    };
    let within = |p: &mut PartyBuilder, word: Word, places: u64| p.keep(word, firsts.wrapping_mul(places));
    let (mut first, mut third) = (neighbours, three);
    if layout.stride == SignCircuit::CHUNK_BITS {
        let (near, far) = (within(p, neighbours, 0b0111), moved(p, low, up3, 3));
        first = p.or(near, far);
        let (near, middle, far) = (within(p, three, 0b0011), moved(p, neighbours, up3, 2), moved(p, outer, up3, 3));
        third = p.or(near, middle);
        third = p.or(third, far);
    }
    let all = p.and(three, up3);
    let [_, w1, w2, w3, w4] = layout.words;
    [m, p.compress(first, w1), p.compress(outer, w2), p.compress(third, w3), p.compress(all, w4)]
}

/// Generate (place 2j) and propagate (place 2j−1, not for the first chunk) bits of all chunks j. One round.
fn chunk_products(
    p: &mut PartyBuilder,
    operation: u16,
    layout: &Layout,
    monomials: &[Monomials],
    n: Option<Word>,
) -> Shared {
    let width = layout.circuit.chunk_bits() as u8;
    let Some(n) = n else {
        let first = p.draw(P3, operation, 1, DrawName::Chunk, width).word();
        let second = p.draw(P2, operation, 1, DrawName::Chunk, width).word();
        p.next_round();
        return Shared { own: first, next: second };
    };
    let me = p.role();
    let n = layout.spread(p, n);
    let missing = p.constant(layout.missing());
    let n = p.or(n, missing);
    let part = inner_products(p, layout, &monomials[0], n, me == P2);
    let hide = p.draw(P1, operation, 1, DrawName::Chunk, width);
    let kept = hide.word();
    let sent = p.mask(part, hide, Mask::Exclusive);
    let mine = sent.word();
    let other = if me == P2 { P3 } else { P2 };
    p.send(other, sent);
    let expected = p.expect(other, width);
    p.next_round();
    let theirs = p.receive(expected);
    let third = p.xor(mine, theirs);
    if me == P2 { Shared { own: kept, next: third } } else { Shared { own: third, next: kept } }
}

/// This role's part of G = Σᵢ mᵢnᵢ·Π_{k>i} (mₖ ⊕ nₖ) and of P = Π (mₖ ⊕ nₖ), expanded into products of a monomial of
/// m and one of n; the term without m is added once, by the role with `constant`.
fn inner_products(p: &mut PartyBuilder, layout: &Layout, m: &Monomials, n: Word, constant: bool) -> Word {
    let at = |p: &mut PartyBuilder, word: Word, place: usize| {
        let word = p.shift_right(word, place as u8);
        p.keep(word, layout.firsts)
    };
    let size = u32::from(layout.stride);
    let all = (1u8 << size) - 1;
    let mut of_m: [Option<Word>; 16] = [None; 16];
    for (word, sets) in m.words.iter().zip(SignCircuit::MONOMIALS) {
        let Some(word) = *word else { continue };
        for (place, &set) in sets.iter().enumerate().filter(|(_, set)| **set <= all) {
            of_m[usize::from(set)] = Some(at(p, word, place));
        }
    }
    let mut of_n = vec![p.constant(layout.firsts)];
    for set in 1..=all {
        let (lowest, rest) = (set.trailing_zeros() as usize, usize::from(set & (set - 1)));
        let bit = at(p, n, lowest);
        of_n.push(if rest == 0 { bit } else { p.and(of_n[rest], bit) });
    }
    let mut sum = |terms: &[(u8, u8)]| {
        let mut total: Option<Word> = None;
        for &(set, other) in terms {
            let term = match (set, of_m[usize::from(set)]) {
                (0, _) if constant => of_n[usize::from(other)],
                (_, Some(word)) if other == 0 => word,
                (_, Some(word)) => p.and(word, of_n[usize::from(other)]),
                _ => continue,
            };
            total = Some(total.map_or(term, |total| p.xor(total, term)));
        }
        total.unwrap_or_else(|| p.constant(0))
    };
    // Of the bits above i, m has those in `set` and n the others.
    let above = |i: u32| (0..=all).filter(move |set| set & ((2u8 << i) - 1) == 0).map(move |set| (i, set));
    let generate = (0..size).flat_map(above).map(|(i, set)| (set | 1 << i, all & !((1 << i) - 1) & !set));
    let g = sum(&generate.collect::<Vec<_>>());
    let q = sum(&(0..=all).map(|set| (set, all & !set)).collect::<Vec<_>>());
    // Chunk j: G at sj and P at sj−1, then side by side.
    let later = layout.firsts & !1;
    let q = p.keep(q, later);
    let q = p.shift_right(q, 1);
    let joined = p.or(g, q);
    p.compress(joined, layout.firsts | (later >> 1))
}

/// The carry out of all chunks: G = G_high ⊕ P_high·G_low, P = P_high·P_low, level by level, one round each.
///
/// Node j has G at place 2j and P at 2j−1. Joining nodes 2q and 2q+1 puts its ANDs at 4q and 4q−1, where a node that
/// is kept has its bits already; compressing these places gives the next level's layout.
fn tree(p: &mut PartyBuilder, operation: u16, layout: &Layout, chunks: Shared) -> Shared {
    let mut carries = chunks;
    for (level, nodes) in layout.circuit.levels.iter().enumerate() {
        let (mut ands, mut generates, mut propagates, mut kept) = (0u64, 0u64, 0u64, 0u64);
        for (index, node) in nodes.iter().enumerate() {
            let place = 4 * index as u32;
            let behind = if index > 0 { 1u64 << (place - 1) } else { 0 };
            match *node {
                SignNode::Keep(_) => kept |= 1 << place | behind,
                SignNode::Join { propagate, .. } => {
                    generates |= 1 << place;
                    propagates |= if propagate { behind } else { 0 };
                    ands |= 1 << place | if propagate { behind } else { 0 };
                }
            }
        }
        let high = |p: &mut PartyBuilder, word: Word| {
            // P_high at 4q+1 meets G_low at 4q and P_low at 4q−1.
            let once = p.shift_right(word, 1);
            let once = p.keep(once, generates);
            let twice = p.shift_right(word, 2);
            let twice = p.keep(twice, propagates);
            p.or(once, twice)
        };
        let left = Shared { own: high(p, carries.own), next: high(p, carries.next) };
        let right = carries;
        // xᵢ(yᵢ ⊕ yᵢ₊₁) ⊕ xᵢ₊₁yᵢ.
        let both = p.xor(right.own, right.next);
        let first = p.and(left.own, both);
        let second = p.and(left.next, right.own);
        let part = p.xor(first, second);
        let part = p.compress(part, ands);
        let joined = reshare(p, operation, 2 + level as u8, part, Group::Bits(Layout::width(ands)));
        let next = |p: &mut PartyBuilder, joined: Word, old: Word| {
            let joined = p.expand(joined, ands);
            let above = p.shift_right(old, 2);
            let above = p.keep(above, generates);
            let sum = p.xor(joined, above);
            let same = p.keep(old, kept);
            let sum = p.or(sum, same);
            p.compress(sum, ands | kept)
        };
        carries = Shared { own: next(p, joined.own, carries.own), next: next(p, joined.next, carries.next) };
    }
    carries
}
