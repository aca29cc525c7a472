//! Three parties with 2-of-3 replicated shares: the code of every operation, for each role.
//!
//! x = x₁ + x₂ + x₃ modulo 2^k; role i holds (xᵢ, xᵢ₊₁). Components are unsigned words below 2^k. Every operation is
//! one function that all three roles execute; it branches on the role only where the roles differ, so that what one
//! sends and another expects stand side by side. Messages are those of `catalogs::protocol::rss3`, in number and
//! width (a test compares them), the argument for their privacy is in SECURITY.md, and `kernel::check` proves for
//! each compiled program that they are uniform.
//!
//! Sources: Araki et al. 2016 (multiplication with a share of zero), Mohassel and Rindal 2018 (replicated
//! truncation, mixed circuits); the fused truncation and the chunked sign are derived in `SECURITY.md`.

pub mod compile;
mod maximum;
mod sign;
#[cfg(test)]
pub(crate) mod tests;

pub use compile::{compile, compile_maximum, compile_reshare, compile_traced, compile_truncate, open, share};

use crate::kernel::DrawName;
use crate::kernel::builder::{Mask, PartyBuilder, Word};
use catalogs::protocol::Role;

#[cfg(test)]
pub(crate) use maximum::joined_element;
pub(crate) use maximum::maximum;
pub(crate) use sign::sign;
#[cfg(test)]
pub(crate) use sign::sign_by;

/// The roles.
pub(crate) const P1: Role = Role(0);
/// See [`P1`].
pub(crate) const P2: Role = Role(1);
/// See [`P1`].
pub(crate) const P3: Role = Role(2);

/// The two components that this role holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Shared {
    /// xᵢ.
    pub own: Word,
    /// xᵢ₊₁.
    pub next: Word,
}

/// The role that holds xᵢ₊₁ and xᵢ₊₂.
pub(crate) fn after(role: Role) -> Role {
    Role((role.0 + 1) % 3)
}

/// The role that holds xᵢ₋₁ and xᵢ.
pub(crate) fn before(role: Role) -> Role {
    Role((role.0 + 2) % 3)
}

/// How shares are added: modulo 2^bits, or bit by bit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Group {
    /// Z_2^bits.
    Ring(u8),
    /// (Z_2)^bits.
    Bits(u8),
}

/// The local part of a product: zᵢ = xᵢ(yᵢ + yᵢ₊₁) + xᵢ₊₁yᵢ sum to x·y.
pub(crate) fn local_product(p: &mut PartyBuilder, x: Shared, y: Shared) -> Word {
    if x == y {
        let twice = p.shift_left(x.next, 1);
        let sum = p.add(x.own, twice);
        return p.mul(x.own, sum);
    }
    let sum = p.add(y.own, y.next);
    let first = p.mul(x.own, sum);
    let second = p.mul(x.next, y.own);
    p.add(first, second)
}

/// A sharing of z₁ + z₂ + z₃, where this role knows its zᵢ. One round, one message per role.
pub(crate) fn reshare(p: &mut PartyBuilder, operation: u16, step: u8, part: Word, group: Group) -> Shared {
    let (me, bits) = (
        p.role(),
        match group {
            Group::Ring(bits) | Group::Bits(bits) => bits,
        },
    );
    let forward = p.draw(after(me), operation, step, DrawName::Zero, bits);
    let backward = p.draw(before(me), operation, step, DrawName::Zero, bits).word();
    // The share of zero is forward − backward; the receiver, the role before, knows only `backward`.
    let (value, how) = match group {
        Group::Ring(_) => (p.sub(part, backward), Mask::Plus),
        Group::Bits(_) => (p.xor(part, backward), Mask::Exclusive),
    };
    let masked = p.mask(value, forward, how);
    let own = masked.word();
    p.send(before(me), masked);
    let expected = p.expect(after(me), bits);
    p.next_round();
    Shared { own, next: p.receive(expected) }
}

/// ⌊z/2^shift⌋ + δ, δ ∈ {0, 1}, modulo 2^target, for −2^(bits−2) ≤ z < 2^(bits−2), z known modulo 2^bits. Two rounds.
///
/// Precondition: shift + 2 ≤ bits, target > bits − shift; the target may be wider than `bits`. With z' = z +
/// 2^(bits−2), roles 1 and 2 open c = z' + ρ to each other, where role 3 knows ρ. The high bit w = c_top ⊕ ρ_top says
/// that the sum of the low bits−1 bits wrapped, so that ⌊c_low/2^shift⌋ − ⌊ρ_low/2^shift⌋ + w·2^(bits−1−shift) is the
/// result as an *integer*, up to δ and the offset, in whatever ring it is shared. Role 3 shares ρ_top modulo
/// 2^(target−bits+1+shift), as much of w as is left modulo 2^target, and the correction is linear in it.
pub(crate) fn truncate(p: &mut PartyBuilder, operation: u16, part: Word, [bits, target]: [u8; 2], shift: u8) -> Shared {
    let low = u64::MAX >> (65 - u32::from(bits));
    let (correction, place) = (target + shift + 1 - bits, bits - 1 - shift);
    let offset = 0u64.wrapping_sub(1 << (bits - 2 - shift));
    match p.role() {
        P3 => {
            let first = p.draw(P1, operation, 0, DrawName::Opened, bits).word();
            let second = p.draw(P2, operation, 0, DrawName::Opened, bits).word();
            let sum = p.add(first, second);
            let rho = p.sub(sum, part);
            let floor = p.keep(rho, low);
            let floor = p.shift_right(floor, shift);
            let floor = p.neg(floor);
            let result = p.draw(P2, operation, 0, DrawName::Result, target);
            let third = result.word();
            let first = p.mask(floor, result, Mask::Minus);
            let first_word = first.word();
            p.send(P1, first);
            let rho = p.reduce(rho, bits);
            let top = p.shift_right(rho, bits - 1);
            let wrap = p.draw(P2, operation, 0, DrawName::Wrap, correction);
            let wrapped = p.mask(top, wrap, Mask::Minus);
            p.send(P1, wrapped);
            let one = p.draw(P1, operation, 1, DrawName::Correction, correction).word();
            let three = p.draw(P2, operation, 1, DrawName::Correction, correction).word();
            let own = shifted_sum(p, third, three, place, target);
            let next = shifted_sum(p, first_word, one, place, target);
            p.next_round();
            p.next_round();
            Shared { own, next }
        }
        me => {
            let first = me == P1;
            let part = if first {
                let half = p.constant(1 << (bits - 2));
                p.add(part, half)
            } else {
                part
            };
            let other = if first { P2 } else { P1 };
            let mask = p.draw(P3, operation, 0, DrawName::Opened, bits);
            let sent = p.mask(part, mask, Mask::Plus);
            let mine = sent.word();
            p.send(other, sent);
            let expected = p.expect(other, bits);
            let from_third = first.then(|| (p.expect(P3, target), p.expect(P3, correction)));
            p.next_round();
            let theirs = p.receive(expected);
            let opened = p.add(mine, theirs);
            let opened = p.reduce(opened, bits);
            let top = p.shift_right(opened, bits - 1);
            let floor = p.keep(opened, low);
            let floor = p.shift_right(floor, shift);
            // Role 1 received its component and share of ρ_top; role 2 draws its own.
            let (component, wrap) = match from_third {
                Some((component, wrap)) => (p.receive(component), p.receive(wrap)),
                None => (
                    p.draw(P3, operation, 0, DrawName::Result, target).word(),
                    p.draw(P3, operation, 0, DrawName::Wrap, correction).word(),
                ),
            };
            let negate = p.neg(top);
            let signed = p.xor(wrap, negate);
            let signed = p.add(signed, top);
            let hide = p.draw(P3, operation, 1, DrawName::Correction, correction);
            let kept = hide.word();
            let sent = p.mask(signed, hide, Mask::Minus);
            let mine = sent.word();
            p.send(other, sent);
            let expected = p.expect(other, correction);
            p.next_round();
            let theirs = p.receive(expected);
            let sum = p.add(mine, theirs);
            let sum = p.add(sum, top);
            let offset = p.constant(offset);
            let floor = p.add(floor, offset);
            let middle = shifted_sum(p, floor, sum, place, target);
            let outer = shifted_sum(p, component, kept, place, target);
            if first { Shared { own: outer, next: middle } } else { Shared { own: middle, next: outer } }
        }
    }
}

/// a + b·2^place modulo 2^bits.
fn shifted_sum(p: &mut PartyBuilder, a: Word, b: Word, place: u8, bits: u8) -> Word {
    let b = p.shift_left(b, place);
    let sum = p.add(a, b);
    p.reduce(sum, bits)
}

/// ⌊z/2^shift⌋ + δ, δ ∈ {0, 1}, modulo 2^target. One round.
///
/// Precondition: z is known modulo 2^(target+shift) at least. The wrap of c = z + ρ modulo 2^(target+shift) vanishes
/// modulo 2^target after the shift, so nothing needs to be corrected and every z is served.
pub(crate) fn truncate_narrow(p: &mut PartyBuilder, operation: u16, part: Word, target: u8, shift: u8) -> Shared {
    let opened = target + shift;
    match p.role() {
        P3 => {
            let first = p.draw(P1, operation, 0, DrawName::Opened, opened).word();
            let second = p.draw(P2, operation, 0, DrawName::Opened, opened).word();
            let sum = p.add(first, second);
            let rho = p.sub(sum, part);
            let rho = p.reduce(rho, opened);
            let floor = p.shift_right(rho, shift);
            let floor = p.neg(floor);
            let result = p.draw(P2, operation, 0, DrawName::Result, target);
            let own = result.word();
            let sent = p.mask(floor, result, Mask::Minus);
            let next = sent.word();
            p.send(P1, sent);
            p.next_round();
            Shared { own, next }
        }
        me => {
            let other = if me == P1 { P2 } else { P1 };
            let mask = p.draw(P3, operation, 0, DrawName::Opened, opened);
            let sent = p.mask(part, mask, Mask::Plus);
            let mine = sent.word();
            p.send(other, sent);
            let expected = p.expect(other, opened);
            let from_third = (me == P1).then(|| p.expect(P3, target));
            p.next_round();
            let theirs = p.receive(expected);
            let sum = p.add(mine, theirs);
            let sum = p.reduce(sum, opened);
            let middle = p.shift_right(sum, shift);
            match from_third {
                Some(component) => Shared { own: p.receive(component), next: middle },
                None => Shared { own: middle, next: p.draw(P3, operation, 0, DrawName::Result, target).word() },
            }
        }
    }
}

/// A shared bit as a ring element. Two rounds.
///
/// Role 1 knows m = b₁ ⊕ b₂, roles 2 and 3 know n = b₃, and b = m + n − 2mn: role 1 shares m between itself and role 3
/// (first component) and role 2 (second), and roles 2 and 3 reshare m·n.
pub(crate) fn inject(p: &mut PartyBuilder, operation: u16, bit: Shared, bits: u8) -> Shared {
    let minus_two = 0u64.wrapping_sub(2);
    // c − 2v modulo 2^bits.
    let less_twice = |p: &mut PartyBuilder, c: Word, v: Word| {
        let twice = p.scale(v, minus_two);
        let sum = p.add(c, twice);
        p.reduce(sum, bits)
    };
    match p.role() {
        P1 => {
            let m = p.xor(bit.own, bit.next);
            let hide = p.draw(P3, operation, 0, DrawName::Bit, bits);
            let first = hide.word();
            let second = p.mask(m, hide, Mask::Minus);
            let second_word = second.word();
            p.send(P2, second);
            p.next_round();
            let v1 = p.draw(P3, operation, 1, DrawName::Product, bits).word();
            let v2 = p.draw(P2, operation, 1, DrawName::Product, bits).word();
            let (own, next) = (less_twice(p, first, v1), less_twice(p, second_word, v2));
            p.next_round();
            Shared { own, next }
        }
        me => {
            let n = if me == P2 { bit.next } else { bit.own };
            let expected = (me == P2).then(|| p.expect(P1, bits));
            p.next_round();
            let m_share = match expected {
                Some(second) => p.receive(second),
                None => p.draw(P1, operation, 0, DrawName::Bit, bits).word(),
            };
            let select = p.neg(n);
            let product = p.and(m_share, select);
            let hide = p.draw(P1, operation, 1, DrawName::Product, bits);
            let kept = hide.word();
            let sent = p.mask(product, hide, Mask::Minus);
            let mine = sent.word();
            let other = if me == P2 { P3 } else { P2 };
            p.send(other, sent);
            let expected = p.expect(other, bits);
            let known = less_twice(p, m_share, kept);
            p.next_round();
            let theirs = p.receive(expected);
            let v3 = p.add(mine, theirs);
            let third = less_twice(p, n, v3);
            if me == P2 { Shared { own: known, next: third } } else { Shared { own: third, next: known } }
        }
    }
}

/// Role 1's value becomes shared: x₁ from the stream it has with role 3, x₂ = x − x₁ to role 2, x₃ = 0. One round.
pub(crate) fn share_of_first(p: &mut PartyBuilder, operation: u16, value: Option<Word>, bits: u8) -> Shared {
    match (p.role(), value) {
        (P1, Some(value)) => {
            let hide = p.draw(P3, operation, 0, DrawName::Share, bits);
            let own = hide.word();
            let sent = p.mask(value, hide, Mask::Minus);
            let next = sent.word();
            p.send(P2, sent);
            p.next_round();
            Shared { own, next }
        }
        (P3, _) => {
            let next = p.draw(P1, operation, 0, DrawName::Share, bits).word();
            let own = p.constant(0);
            p.next_round();
            Shared { own, next }
        }
        _ => {
            let expected = p.expect(P1, bits);
            p.next_round();
            let own = p.receive(expected);
            Shared { own, next: p.constant(0) }
        }
    }
}

/// Role 1 learns x: role 2 shows it x₃. One round; the result exists at role 1 only.
pub(crate) fn open_to_first(p: &mut PartyBuilder, x: Shared, bits: u8) -> Option<Word> {
    match p.role() {
        P1 => {
            let expected = p.expect(P2, bits);
            p.next_round();
            let third = p.receive(expected);
            let known = p.add(x.own, x.next);
            let sum = p.add(known, third);
            Some(p.reduce(sum, bits))
        }
        role => {
            if role == P2 {
                p.disclose(P1, x.next, bits);
            }
            p.next_round();
            None
        }
    }
}
