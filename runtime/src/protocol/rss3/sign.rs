//! The sign test by chunks of three bits.
//!
//! Role 1 knows m = x₁ + x₂ and roles 2 and 3 know n = x₃, so the top bit of m + n is m_top ⊕ n_top ⊕ the carry out of
//! the bits below. Role 1 shares every monomial of each chunk of m; a chunk's generate and propagate bits are inner
//! products of these with functions of n that roles 2 and 3 compute; a binary tree of ANDs joins the chunks
//! ([`SignCircuit`] gives its shape).
//!
//! All chunks of a lane are handled at once, in one word. Inside, bit i of chunk j is at place 3j+i; in messages and
//! masks, bits stand side by side. A last chunk of fewer bits is treated as three whose missing bits propagate: m has
//! zeros there and n has ones.

use super::{Group, P1, P2, P3, Shared, reshare};
use crate::kernel::DrawName;
use crate::kernel::builder::{Mask, PartyBuilder, Word};
use catalogs::protocol::rss3::{SignCircuit, SignNode};

/// The layout of one width.
struct Layout {
    bits: u8,
    circuit: SignCircuit,
    /// First places 0, 3, 6, … of the chunks.
    firsts: u64,
    /// Places of the products of two bits: 3j for m₀m₁, 3j+1 for m₀m₂, 3j+2 for m₁m₂.
    pairs: u64,
    /// Places of the products of three bits, 3j.
    triples: u64,
}

impl Layout {
    fn new(bits: u8) -> Layout {
        let circuit = SignCircuit::new(bits);
        let (mut firsts, mut pairs, mut triples) = (0u64, 0u64, 0u64);
        for &(first, size) in &circuit.chunks {
            firsts |= 1 << first;
            pairs |= [0, 0, 1, 7][usize::from(size)] << first;
            triples |= u64::from(size == 3) << first;
        }
        Layout { bits, circuit, firsts, pairs, triples }
    }

    /// The bits below the top.
    fn low(&self) -> u64 {
        u64::MAX >> (65 - u32::from(self.bits))
    }

    fn width(places: u64) -> u8 {
        places.count_ones() as u8
    }
}

/// One component of the shared monomials of all chunks: m's bits, products of two, products of three at stride 3.
#[derive(Clone, Copy)]
struct Monomials {
    bits: Word,
    pairs: Option<Word>,
    triples: Option<Word>,
}

/// Bit `dropped`+`bits`−1 of x, whose components are words of at least so many bits. `bits` ≥ 2.
pub(crate) fn sign(p: &mut PartyBuilder, operation: u16, x: Shared, dropped: u8, bits: u8) -> Shared {
    let layout = Layout::new(bits);
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
    let top = |p: &mut PartyBuilder, word: Word| {
        let bit = p.shift_right(word, bits - 1);
        p.keep(bit, 1)
    };
    let tops: Vec<Word> = match (p.role(), n) {
        (P2, Some(n)) => vec![top(p, monomials[0].bits), top(p, n)],
        (P3, Some(n)) => vec![top(p, n), top(p, monomials[0].bits)],
        _ => monomials.iter().map(|component| top(p, component.bits)).collect(),
    };
    Shared { own: p.xor(carry.own, tops[0]), next: p.xor(carry.next, tops[1]) }
}

/// The components of the monomials this role holds: role 1 both, role 2 the second, role 3 the first. One round.
fn share_monomials(p: &mut PartyBuilder, operation: u16, layout: &Layout, x: Shared, dropped: u8) -> Vec<Monomials> {
    let widths = [layout.bits, Layout::width(layout.pairs), Layout::width(layout.triples)];
    let names = [DrawName::Bits, DrawName::Pairs, DrawName::Triples];
    let used = || (0..3).filter(|&degree| widths[degree] > 0);
    let components: Vec<Vec<Word>> = match p.role() {
        P1 => {
            let m = p.add(x.own, x.next);
            let m = p.shift_right(m, dropped);
            let m = p.reduce(m, layout.bits);
            let values = monomials_of(p, layout, m);
            let (mut first, mut second) = (Vec::new(), Vec::new());
            for degree in used() {
                let hide = p.draw(P3, operation, 0, names[degree], widths[degree]);
                first.push(hide.word());
                let sent = p.mask(values[degree], hide, Mask::Exclusive);
                second.push(sent.word());
                p.send(P2, sent);
            }
            p.next_round();
            vec![first, second]
        }
        P2 => {
            let expected: Vec<_> = used().map(|degree| p.expect(P1, widths[degree])).collect();
            p.next_round();
            vec![expected.into_iter().map(|field| p.receive(field)).collect()]
        }
        _ => {
            p.next_round();
            vec![used().map(|degree| p.draw(P1, operation, 0, names[degree], widths[degree]).word()).collect()]
        }
    };
    let triples = |p: &mut PartyBuilder, word: Word| p.expand(word, layout.triples);
    components
        .into_iter()
        .map(|words| Monomials {
            bits: words[0],
            pairs: words.get(1).copied(),
            triples: words.get(2).map(|&word| triples(p, word)),
        })
        .collect()
}

/// Degrees one, two and three of all chunks of m, side by side.
fn monomials_of(p: &mut PartyBuilder, layout: &Layout, m: Word) -> [Word; 3] {
    let low = p.keep(m, layout.low());
    let (up1, up2) = (p.shift_right(low, 1), p.shift_right(low, 2));
    let neighbours = p.and(low, up1);
    // 3j: m₀m₁. 3j+1: (m >> 1)·m at 3j is m₀m₂ = low·up2, moved up by one. 3j+2: m₁m₂ = neighbours at 3j+1.
    let outer = p.and(low, up2);
    let first = p.keep(neighbours, layout.firsts & layout.pairs);
    let second = p.keep(outer, layout.firsts);
    let second = p.shift_left(second, 1);
    let second = p.keep(second, layout.pairs);
    let third = p.keep(neighbours, (layout.firsts << 1) & (layout.pairs >> 1));
    let third = p.shift_left(third, 1);
    let pairs = p.or(first, second);
    let pairs = p.or(pairs, third);
    let triples = p.and(neighbours, up2);
    let triples = p.compress(triples, layout.triples);
    [m, pairs, triples]
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
    let missing = (layout.firsts * 7) & !layout.low();
    let n = p.keep(n, layout.low());
    let missing = p.constant(missing);
    let n = p.or(n, missing);
    let part = inner_products(p, layout, monomials[0], n, me == P2);
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

/// This role's part of G = m₂n₂ ⊕ m₂m₁n₁ ⊕ m₁n₁n₂ ⊕ m₂m₁m₀n₀ ⊕ m₂m₀n₁n₀ ⊕ m₁m₀n₂n₀ ⊕ m₀n₂n₁n₀ and of
/// P = (m₀⊕n₀)(m₁⊕n₁)(m₂⊕n₂), expanded; the term without m is added once, by the role with `constant`.
fn inner_products(p: &mut PartyBuilder, layout: &Layout, m: Monomials, n: Word, constant: bool) -> Word {
    let at = |p: &mut PartyBuilder, word: Word, place: u8| {
        let word = p.shift_right(word, place);
        p.keep(word, layout.firsts)
    };
    let low = p.keep(m.bits, layout.low());
    let (m0, m1, m2) = (at(p, low, 0), at(p, low, 1), at(p, low, 2));
    let (n0, n1, n2) = (at(p, n, 0), at(p, n, 1), at(p, n, 2));
    let (n01, n02, n12) = (p.and(n0, n1), p.and(n0, n2), p.and(n1, n2));
    let n012 = p.and(n01, n2);
    let mut generate = vec![(m0, n012), (m1, n12), (m2, n2)];
    let mut propagate = vec![(m0, n12), (m1, n02), (m2, n01)];
    if let Some(pairs) = m.pairs {
        let (m01, m02, m12) = (at(p, pairs, 0), at(p, pairs, 1), at(p, pairs, 2));
        generate.extend([(m01, n02), (m02, n01), (m12, n1)]);
        propagate.extend([(m01, n2), (m02, n1), (m12, n0)]);
    }
    let product = |p: &mut PartyBuilder, terms: Vec<(Word, Word)>| {
        let mut sum = p.constant(0);
        for (index, (a, b)) in terms.into_iter().enumerate() {
            let term = p.and(a, b);
            sum = if index == 0 { term } else { p.xor(sum, term) };
        }
        sum
    };
    let (mut g, mut q) = (product(p, generate), product(p, propagate));
    if let Some(triples) = m.triples {
        let term = p.and(triples, n0);
        g = p.xor(g, term);
        q = p.xor(q, triples);
    }
    if constant {
        q = p.xor(q, n012);
    }
    // Chunk j: G at 3j and P at 3j−1, then side by side.
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
