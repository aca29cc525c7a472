//! Mutants of certificates: tilings, stated numbers, degrees, tails, witnesses. The claim stays what it is.

use super::mutants::{Class, Maker};
use catalogs::Decimal;
use verify::Certificate;

pub fn add(maker: &mut Maker) {
    tilings(maker);
    stated(maker);
    degrees(maker);
    witnesses(maker);
}

fn tilings(maker: &mut Maker) {
    let count = maker.certificate.pieces.len();
    for i in 0..count {
        if i > 0 {
            maker.proof(Class::Gap, format!("before piece {i}"), |c| c.pieces[i].low += 1, &["tiling"]);
            maker.proof(Class::Overlap, format!("before piece {i}"), |c| c.pieces[i].low -= 1, &["tiling"]);
            maker.proof(
                Class::SwappedPieces,
                format!("{i} and the one before"),
                |c| c.pieces.swap(i - 1, i),
                &["tiling"],
            );
        }
        let doubled = move |c: &mut Certificate| c.pieces.insert(i, c.pieces[i].clone());
        maker.proof(Class::MissingPiece, format!("piece {i} twice"), doubled, &["tiling"]);
        let missing = move |c: &mut Certificate| {
            c.pieces.remove(i);
        };
        maker.proof(Class::MissingPiece, format!("without piece {i}"), missing, &["tiling"]);
    }
    let last = count - 1;
    let point = maker.certificate.pieces[last].low == maker.certificate.pieces[last].high;
    let short: &[&str] = if point { &["piece"] } else { &["tiling"] };
    maker.proof(Class::EndPoint, "the last".into(), |c| c.pieces[last].high -= 1, short);
    maker.proof(Class::EndPoint, "the first".into(), |c| c.pieces[0].low += 1, &["tiling"]);
    if maker.certificate.pieces[last].high < i64::MAX {
        maker.proof(Class::EndPoint, "one beyond the last".into(), |c| c.pieces[last].high += 1, &["tiling"]);
    }
    if maker.certificate.pieces[0].low > i64::MIN {
        maker.proof(Class::EndPoint, "one before the first".into(), |c| c.pieces[0].low -= 1, &["tiling"]);
    }
}

/// The decimal with its last digit one less.
pub fn below(decimal: Decimal) -> Option<Decimal> {
    let text = decimal.to_string();
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let places = digits.split_once('.').map_or(0, |(_, rest)| rest.len() as i16);
    let mantissa: i128 = digits.replace('.', "").parse().unwrap();
    (mantissa > 0).then(|| Decimal::new(mantissa - 1, exponent.parse::<i16>().unwrap() - places).unwrap())
}

fn stated(maker: &mut Maker) {
    for i in 0..maker.certificate.pieces.len() {
        let piece = maker.certificate.pieces[i].clone();
        if let Some(less) = below(piece.approximation) {
            let what = format!("approximation of piece {i}");
            maker.proof(Class::PartBelow, what, |c| c.pieces[i].approximation = less, &["part"]);
        }
        if let Some(less) = below(piece.rounding) {
            maker.proof(Class::PartBelow, format!("rounding of piece {i}"), |c| c.pieces[i].rounding = less, &["part"]);
            let zero = |c: &mut Certificate| c.pieces[i].rounding = Decimal::ZERO;
            maker.proof(Class::VanishingSymbol, format!("no rounding on piece {i}"), zero, &["part"]);
        }
        if let Some(less) = below(piece.remainder) {
            maker.proof(
                Class::PartBelow,
                format!("remainder of piece {i}"),
                |c| c.pieces[i].remainder = less,
                &["part"],
            );
            let zero = |c: &mut Certificate| c.pieces[i].remainder = Decimal::ZERO;
            maker.proof(Class::VanishingSymbol, format!("no remainder on piece {i}"), zero, &["part"]);
        }
    }
    for v in 0..maker.certificate.ranges.len() {
        let Some((low, high)) = maker.certificate.ranges[v] else { continue };
        let ends = [("least", Some((low + 1, high))), ("greatest", Some((low, high - 1))), ("all", None)];
        for (what, range) in ends {
            maker.proof(Class::RangeBelow, format!("{what} of v{v}"), |c| c.ranges[v] = range, &["stated-range"]);
        }
    }
    maker.proof(Class::RangeBelow, "one range more".into(), |c| c.ranges.push(None), &["claim"]);
    maker.proof(Class::RangeBelow, "one range less".into(), |c| c.ranges.truncate(c.ranges.len() - 1), &["claim"]);
}

/// Another proof of the same claim: it may be one.
fn degrees(maker: &mut Maker) {
    const OTHER: &[&str] = &["accepted", "piece", "range", "function", "error", "part", "stated-range"];
    for i in 0..maker.certificate.pieces.len() {
        let degree = maker.certificate.pieces[i].degree;
        for other in [degree.saturating_sub(1), degree / 2, degree + 1] {
            maker.proof(Class::Degree, format!("piece {i} to {other}"), |c| c.pieces[i].degree = other, OTHER);
        }
        for other in [41, 255] {
            maker.proof(Class::Degree, format!("piece {i} to {other}"), |c| c.pieces[i].degree = other, &["piece"]);
        }
        let toggled = |c: &mut Certificate| c.pieces[i].tail = !c.pieces[i].tail;
        maker.proof(Class::TailRule, format!("of piece {i}"), toggled, OTHER);
    }
}

fn witnesses(maker: &mut Maker) {
    let witness = maker.certificate.witness.clone();
    let large = Decimal::new(1, 30).unwrap();
    let negative = Decimal::new(-1, -9).unwrap();
    let mut push = |what: &str, change: &dyn Fn(&mut Certificate)| {
        maker.proof(Class::Witness, what.to_owned(), change, &["witness"]);
    };
    push("overstated", &|c| c.witness.error = large);
    push("negative", &|c| c.witness.error = negative);
    push("a choice too many", &|c| c.witness.choices.push(0));
    push("a choice too few", &|c| c.witness.choices.truncate(c.witness.choices.len() - 1));
    push("a choice of the input", &|c| c.witness.choices[0] = 1);
    let (low, high) = (maker.entry.claim.window.low, maker.entry.claim.window.high);
    let mut outside = |what: &str, input: Option<i64>| {
        if let Some(input) = input {
            maker.proof(Class::Witness, what.to_owned(), |c| c.witness.input = input, &["witness"]);
        }
    };
    outside("before the window", low.checked_sub(1));
    outside("beyond the window", high.checked_add(1));
    for n in 0..witness.choices.len() {
        maker.proof(Class::Witness, format!("choice {n} is 5"), |c| c.witness.choices[n] = 5, &["witness"]);
    }
}
