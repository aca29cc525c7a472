//! The two truncations, as executed: all shares and masks symbolic, every message a definition.
//!
//! The components z1 and z3 are defined from the sum z, the mask ρ and the rest instead of the other way round. For
//! fixed z2, r13, r23 that map is a bijection between (z1, z3) and (z, ρ), so nothing is lost, and the solver sees
//! at once that c = z' + ρ.

use super::script::{Script, constant, extract, zero_extend};
use super::{Expected, Query};
use catalogs::{Ring, Rounding};

const ROLES: &str = "Roles: P1 and P2 open c = z' + rho under the masks r13 and r23 that they share with P3; P3 knows \
                     rho; y3 is a stream of P2 and P3.";
const RESTS: &str = "Rests elsewhere: that the code computes these expressions is tied by exhaustive runs of the \
                     protocol on small rings; that its messages reveal nothing is argued in SECURITY.md and enumerated.";

/// z + the shares z1, z2, z3 of it, and the opening of z + offset + ρ.
fn opening(script: &mut Script, bits: u32, offset: Option<String>) {
    script.declare(bits, &["z", "rho", "z2", "r13", "r23", "y3"]);
    script.comment("the components, and what role 3 knows");
    script.define(bits, "z3", "(bvsub (bvadd r13 r23) rho)");
    script.define(bits, "z1", "(bvsub (bvsub z z2) z3)");
    script.define(bits, "mask", "(bvsub (bvadd r13 r23) z3)");
    script.comment("round 1: role 1 to role 2, role 2 to role 1");
    let shifted = offset.map_or("z1".to_owned(), |offset| format!("(bvadd z1 {offset})"));
    script.define(bits, "sent12", format!("(bvadd {shifted} r13)"));
    script.define(bits, "sent21", "(bvadd z2 r23)");
    script.define(bits, "c", "(bvadd sent12 sent21)");
}

/// "y is ⌊z / 2^shift⌋ + δ for no δ in `rounding`", all at `bits` bits; `floor` is the floor modulo 2^bits.
fn no_rounding_fits(script: &mut Script, bits: u32, rounding: Rounding) {
    for delta in rounding.low..=rounding.high {
        script.assert(format!("(distinct y (bvadd floor {}))", constant(delta.into(), bits)));
    }
}

/// Z_2^k to Z_2^t, two rounds, window ±2^`window`. The result is computed in the wider of the two rings, from which a
/// narrower target only drops the top.
pub(super) fn two_round([ring, target]: [Ring; 2], shift: u8, window: u8, rounding: Rounding) -> [Query; 2] {
    let (k, t, d) = (u32::from(ring.bits()), u32::from(target.bits()), u32::from(shift));
    let name = format!("truncation-{k}-{t}-{d}");
    [Expected::Unsat, Expected::Sat].map(|expected| {
        let mut script = Script::new();
        opening(&mut script, k, Some(constant(1 << (k - 2), k)));
        // A word of fewer bits as one of t bits, a word of more bits modulo 2^t.
        let fitted = |word: &str, bits: u32| match bits <= t {
            true => zero_extend(word, t - bits),
            false => extract(word, t - 1, 0),
        };
        let low = |word: &str| fitted(&extract(word, k - 2, d), k - 1 - d);
        let top = |word: &str| fitted(&extract(word, k - 1, k - 1), 1);
        script.comment("round 1: role 3 to role 1; correction words count modulo 2^(t-k+d+1)");
        if t <= k {
            script.define(t, "result_mask", extract("y3", t - 1, 0));
        } else {
            script.declare(t, &["result_mask"]);
        }
        script.define(t, "y1", format!("(bvsub (bvneg {}) result_mask)", low("mask")));
        script.define(t, "y2", low("c"));
        script.declare(t, &["a3", "u1", "u3"]);
        script.define(t, "a1", format!("(bvsub {} a3)", top("mask")));
        script.comment("round 2: roles 1 and 2 reshare the wrap bit c_top xor rho_top");
        script.define(t, "sign", format!("(bvsub {} (bvadd {top} {top}))", constant(1, t), top = top("c")));
        script.define(t, "again12", "(bvsub (bvmul sign a1) u1)");
        script.define(t, "again21", "(bvsub (bvmul sign a3) u3)");
        script.define(t, "s2", format!("(bvadd again12 again21 {})", top("c")));
        script.comment("the components of the result");
        let raised = |word: &str| format!("(bvmul {} {word})", constant(1 << (k - 1 - d), t));
        script.define(t, "result1", format!("(bvadd y1 {})", raised("u1")));
        let offset = constant(1 << (k - 2 - d), t);
        script.define(t, "result2", format!("(bvsub (bvadd y2 {}) {offset})", raised("s2")));
        script.define(t, "result3", format!("(bvadd result_mask {})", raised("u3")));
        script.define(t, "y", "(bvadd result1 result2 result3)");
        let floor = format!("(bvashr z {})", constant(d.into(), k));
        let floor = if t <= k { extract(&floor, t - 1, 0) } else { format!("((_ sign_extend {}) {floor})", t - k) };
        script.define(t, "floor", floor);
        let weakened = i128::from(expected == Expected::Sat);
        script.assert(format!("(bvsge z {})", constant(-(1i128 << window) - weakened, k)));
        script.assert(format!("(bvslt z {})", constant(1i128 << window, k)));
        let correction = t + d + 1 - k;
        if expected == Expected::Unsat {
            script.comment("a wrong rounding, or a word operation of the code that differs from the one written here");
            script.declare(t, &["word"]);
            let wrong: Vec<String> = (rounding.low..=rounding.high)
                .map(|delta| format!("(distinct y (bvadd floor {}))", constant(delta.into(), t)))
                .collect();
            script.assert(format!("(or (and {}) {})", wrong.join(" "), words_disagree(t, k - 1 - d)));
        } else {
            no_rounding_fits(&mut script, t, rounding);
        }
        let statement = match expected {
            Expected::Unsat => format!(
                "Two-round truncation by {d} bits from Z_2^{k} into Z_2^{t}: for every z with -2^{window} <= z < \
                 2^{window} (signed), every sharing and all masks, the shares of the result sum to floor(z / 2^{d}) + \
                 delta modulo 2^{t} with delta in {}..={}. The query asks for a counterexample. It also asks for a word \
                 for which the code's operations (left shift, correction words of {correction} bits) differ from the \
                 products that are written here: there is none. Its conditional negation is negation-{wide}.",
                rounding.low,
                rounding.high,
                wide = k.max(t)
            ),
            Expected::Sat => format!(
                "Twin of truncation-{k}-{t}-{d}: the same with the window widened by the one value z = -2^{window} - 1, \
                 for which the result can be wrong. (At the upper end the value 2^{window} would still be served, \
                 2^{window} + 1 not; the lemma does not use it.)"
            ),
        };
        script.query(&name, vec![statement, ROLES.into(), RESTS.into()], expected)
    })
}

/// "One of two word operations of the code is not what the formula says for some `word`": that bits of a correction
/// word above those that are left modulo 2^t matter, that a left shift is not the product with a power of two.
fn words_disagree(t: u32, place: u32) -> String {
    let power = constant(1 << place, t);
    let masked = format!("(bvand word {})", constant((1i128 << (t - place)) - 1, t));
    format!(
        "(distinct (bvmul {power} word) (bvmul {power} {masked})) \
         (distinct (bvmul {power} word) (bvshl word {place}))",
        place = constant(place.into(), t)
    )
}

/// Z_2^k to Z_2^`target`, one round, every operand.
pub(super) fn narrowing(ring: Ring, target: Ring, shift: u8, rounding: Rounding) -> [Query; 2] {
    let (k, t, d) = (u32::from(ring.bits()), u32::from(target.bits()), u32::from(shift));
    let opened = t + d;
    let name = format!("truncation-{k}-{t}-{d}");
    [Expected::Unsat, Expected::Sat].map(|expected| {
        let mut script = Script::new();
        opening(&mut script, k, None);
        script.comment("only the low bits of what is opened are sent; role 3 to role 1: y1");
        script.define(opened, "sent", extract("c", opened - 1, 0));
        script.define(opened, "known", extract("mask", opened - 1, 0));
        let high = |word: &str| extract(word, opened - 1, d);
        script.define(t, "result3", extract("y3", t - 1, 0));
        script.define(t, "result1", format!("(bvsub (bvneg {}) result3)", high("known")));
        script.define(t, "result2", high("sent"));
        script.define(t, "y", "(bvadd result1 result2 result3)");
        script.define(t, "floor", extract(&format!("(bvashr z {})", constant(d.into(), k)), t - 1, 0));
        let allowed = match expected {
            Expected::Unsat => rounding,
            Expected::Sat => Rounding { low: rounding.low, high: rounding.high - 1 },
        };
        no_rounding_fits(&mut script, t, allowed);
        let statement = match expected {
            Expected::Unsat => format!(
                "One-round truncation by {d} bits from Z_2^{k} into Z_2^{t}: for every z, every sharing and all masks, \
                 the shares of the result sum to floor(z / 2^{d}) + delta modulo 2^{t} with delta in {}..={}; only \
                 {opened} bits are opened. The query asks for a counterexample.",
                rounding.low, rounding.high
            ),
            Expected::Sat => format!(
                "Twin of truncation-{k}-{t}-{d}: the same with the rounding {} struck from the set, which does occur.",
                rounding.high
            ),
        };
        script.query(&name, vec![statement, ROLES.into(), RESTS.into()], expected)
    })
}

/// The conditional negation of a correction word in Z_2^k, as the code computes it.
pub(super) fn negation(ring: Ring) -> [Query; 2] {
    let k = u32::from(ring.bits());
    let name = format!("negation-{k}");
    [Expected::Unsat, Expected::Sat].map(|expected| {
        let mut script = Script::new();
        script.declare(k, &["word"]);
        script.declare(1, &["bit"]);
        script.define(k, "top", zero_extend("bit", k - 1));
        script.define(k, "sign", format!("(bvsub {} (bvadd top top))", constant(1, k)));
        let added = if expected == Expected::Sat { constant(0, k) } else { "top".into() };
        script.assert(format!("(distinct (bvmul sign word) (bvadd (bvxor word (bvneg top)) {added}))"));
        let statement = match expected {
            Expected::Unsat => format!(
                "Conditional negation in Z_2^{k}: (word xor -top) + top is (1 - 2 top) word, for a bit top and all \
                 words. The query asks for a counterexample. The two-round truncation is stated with the product."
            ),
            Expected::Sat => format!("Twin of negation-{k}: the bit is not added after the xor."),
        };
        script.query(&name, vec![statement], expected)
    })
}
