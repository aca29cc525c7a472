//! A truncation of one round that may fail, with the number of its failures counted: the statement behind
//! [`catalogs::Failure::AtMost`].
//!
//! No shipped protocol executes it (rss3's truncations never fail). It is the cheap truncation of other protocols: open
//! z + 2^W + ρ, shift what is opened and the mask alike, subtract, and leave a wrap uncorrected.

use super::script::{Script, constant, extract, zero_extend};
use super::{Expected, Query};
use catalogs::Ring;

/// Truncation by `shift` from `ring` into `target`, of operands in ±2^`window`, with the masks that fail counted. The
/// target keeps the wrap (it has more than ring − shift bits), and shift ≤ window ≤ ring − 2; otherwise `None`.
pub fn may_fail_queries(ring: Ring, target: Ring, shift: u8, window: u8) -> Option<[Query; 2]> {
    let (k, t, d, w) = (u32::from(ring.bits()), u32::from(target.bits()), u32::from(shift), u32::from(window));
    if d == 0 || d > w || w + 2 > k || t + d <= k || k - d < 2 {
        return None;
    }
    let name = format!("truncation-may-fail-{k}-{t}-{d}-{w}");
    Some([Expected::Unsat, Expected::Sat].map(|expected| {
        let mut script = Script::new();
        script.declare(k, &["z", "rho"]);
        script.define(k, "raised", format!("(bvadd z {})", constant(1 << w, k)));
        script.comment("one round: raised + rho is opened; whoever knows rho shifts it");
        script.define(k, "opened", "(bvadd raised rho)");
        // The k - d high bits of a word, modulo 2^t.
        let high = |word: &str| match k - d <= t {
            true => zero_extend(&extract(word, k - 1, d), t - (k - d)),
            false => extract(word, t + d - 1, d),
        };
        let offset = constant(1 << (w - d), t);
        script.define(t, "y", format!("(bvsub (bvsub {} {}) {offset})", high("opened"), high("rho")));
        let floor = format!("(bvashr z {})", constant(d.into(), k));
        let floor = if t <= k { extract(&floor, t - 1, 0) } else { format!("((_ sign_extend {}) {floor})", t - k) };
        script.define(t, "floor", floor);
        script.define(1, "wrong", format!(
            "(ite (and (distinct y floor) (distinct y (bvadd floor {}))) #b1 #b0)", constant(1, t)));
        script.comment("the masks from 2^k - raised on: exactly `raised` of them");
        let first = if expected == Expected::Sat { "(bvadd (bvneg raised) (_ bv1 K))".replace('K', &k.to_string()) } else { "(bvneg raised)".into() };
        script.define(1, "wraps", format!("(ite (and (distinct raised {}) (bvuge rho {first})) #b1 #b0)", constant(0, k)));
        script.assert(format!("(bvsge z {})", constant(-(1i128 << w), k)));
        script.assert(format!("(bvslt z {})", constant(1i128 << w, k)));
        script.assert("(distinct wrong wraps)");
        let statement = match expected {
            Expected::Unsat => format!(
                "One-round truncation by {d} bits from Z_2^{k} into Z_2^{t} that may fail: for every z with -2^{w} <= z < \
                 2^{w} (signed) and every mask rho, the result is floor(z / 2^{d}) + delta modulo 2^{t} with delta in 0..=1 \
                 if and only if rho < 2^{k} - (z + 2^{w}). The query asks for a counterexample to either direction. Hence \
                 exactly z + 2^{w} of the 2^{k} masks fail, fewer than 2^{}: for a uniform mask the failure probability is \
                 below 2^-{}.",
                w + 1,
                k - w - 1
            ),
            Expected::Sat => format!("Twin of {name}: one mask fewer is said to fail."),
        };
        let rests = "Rests elsewhere: that the mask is uniform and independent of z. No shipped protocol executes this.";
        script.query(&name, vec![statement, rests.into()], expected)
    }))
}
