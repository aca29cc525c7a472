//! The band of [`catalogs::Lemma::Sign`] by itself: m operands whose low bits are ignored one by one.

use super::script::{Script, constant, extract, fold, zero_extend};
use super::{Expected, Query};
use catalogs::{Lemma, Ring};

/// What ignoring `dropped` low bits of each of `operands` words of `ring` does to bit `width` − 1 of their sum; `None` if
/// the numbers are out of the lemma's limits or nothing is dropped.
pub fn band_queries(ring: Ring, width: u8, dropped: u8, operands: u8) -> Option<[Query; 2]> {
    let lemma = Lemma::Sign { width, dropped, operands };
    if !lemma.is_well_formed() || dropped == 0 || width > ring.bits() {
        return None;
    }
    let (k, w, s) = (u32::from(ring.bits()), u32::from(width), u32::from(dropped));
    let name = format!("band-{k}-{w}-{s}-{operands}");
    Some([Expected::Unsat, Expected::Sat].map(|expected| {
        let weakened = expected == Expected::Sat;
        // With one operand there is no band to weaken: two are dropped instead.
        let (count, band) = match (weakened, operands) {
            (true, 1) => (2, 0),
            (true, _) => (operands, lemma.band() as i128 - 1),
            (false, _) => (operands, lemma.band() as i128),
        };
        let mut script = Script::new();
        let words: Vec<String> = (1..=count).map(|index| format!("x{index}")).collect();
        script.declare(k, &words.iter().map(String::as_str).collect::<Vec<_>>());
        let low = |word: &String| zero_extend(&extract(word, s - 1, 0), k - s);
        let kept = |word: &String| format!("(bvsub {word} {})", low(word));
        script.define(k, "v", fold("bvadd", &words));
        script.define(k, "ignored", fold("bvadd", &words.iter().map(low).collect::<Vec<_>>()));
        script.define(k, "seen", fold("bvadd", &words.iter().map(kept).collect::<Vec<_>>()));
        let outside = format!("(bvuge {} {})", extract("v", w - 2, 0), constant(band, w - 1));
        let bit = |word: &str| extract(word, w - 1, w - 1);
        let wrong = [
            "(distinct seen (bvsub v ignored))".to_owned(),
            format!("(bvugt ignored {})", constant(i128::from(count) * ((1i128 << s) - 1), k)),
            format!("(distinct {} {})", extract("seen", s - 1, 0), constant(0, s)),
            format!("(and {outside} (distinct {} {}))", bit("v"), bit("seen")),
        ];
        script.assert(format!("(or {})", wrong.join(" ")));
        let statement = match weakened {
            false => format!(
                "Dropping the {s} low bits of each of {operands} words of Z_2^{k} lowers their sum v by at most \
                 {operands}*(2^{s}-1) to a multiple of 2^{s}, and bit {top} of what is left is bit {top} of v unless v mod \
                 2^{top} < {band}. The query asks for a counterexample.",
                top = w - 1
            ),
            true if operands == 1 => format!("Twin of {name}: a second word is dropped from, with the band of one."),
            true => format!("Twin of {name}: the band is taken to end one earlier, at {band}, and there the bit can be wrong."),
        };
        let rests = "Rests elsewhere: that a protocol drops low bits of exactly these words (sign-*).";
        script.query(&name, vec![statement, rests.into()], expected)
    }))
}
