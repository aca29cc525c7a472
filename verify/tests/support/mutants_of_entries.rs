//! Mutants of entries with the true digest of what they have become: programs, lemmas, functions, claims.

use super::mutants::{Class, Maker, OBLIGATIONS};
use super::mutants_of_certificates::below;
use catalogs::{Decimal, Expression, Function, Norm};

/// As [`OBLIGATIONS`], where the text may also stop being an entry.
const OR_NO_ENTRY: &[&str] =
    &["accepted", "entry", "range", "function", "error", "part", "stated-range", "witness", "piece", "claim"];
const NEVER_TRUE: &[&str] = &["range", "function", "error", "part", "stated-range", "witness"];

pub fn add(maker: &mut Maker) {
    programs(maker);
    lemmas(maker);
    functions(maker);
    claims(maker);
}

/// The text with one of its lines replaced.
fn with_line(text: &str, number: usize, line: &str) -> String {
    let lines = text.lines().enumerate().map(|(n, old)| if n == number { line } else { old });
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// (line number, word number) of every coefficient and constant of the program, with the integers.
fn coefficients(text: &str) -> Vec<(usize, usize, i128)> {
    let mut found = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| line.starts_with('v') && line.contains(" sum ")) {
        let terms = line.split(" #").next().unwrap().split(' ').enumerate().skip(9);
        found.extend(terms.map(|(word, term)| (number, word, term.split('*').next().unwrap().parse().unwrap())));
    }
    found
}

fn programs(maker: &mut Maker) {
    let text = maker.pair.entry.clone();
    let lines: Vec<&str> = text.lines().collect();
    for (number, word, value) in coefficients(&text) {
        for step in [-1, 1] {
            let mut words: Vec<String> = lines[number].split(' ').map(str::to_owned).collect();
            let changed = value + step;
            let rest = words[word].split_once('*').map(|(_, rest)| rest.to_owned());
            words[word] = rest.as_ref().map_or(changed.to_string(), |rest| format!("{changed:+}*{rest}"));
            let mutant = with_line(&text, number, &words.join(" "));
            let what = format!("{} word {word}: {value} to {changed}", words[0]);
            let expected = if changed == 0 && rest.is_some() { &["entry"] } else { OBLIGATIONS };
            let digest: &'static [&'static str] = if expected == ["entry"] { &["entry"] } else { &["digest"] };
            let old = (mutant.clone().into_bytes(), maker.pair.certificate.clone().into_bytes());
            maker.push(Class::OldDigest, what.clone(), old, digest);
            maker.entry(Class::Coefficient, what, mutant, expected);
        }
    }
    for (number, line) in lines.iter().enumerate().filter(|(_, line)| line.starts_with('v')) {
        let words: Vec<&str> = line.split(' ').collect();
        for (position, word) in words.iter().enumerate().skip(1) {
            for (at, _) in word.match_indices('v') {
                let (head, digits) = word.split_at(at + 1);
                let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
                let operand: i64 = digits[..end].parse().unwrap();
                for step in [-1, 1] {
                    let mut words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
                    words[position] = format!("{head}{}{}", operand + step, &digits[end..]);
                    let mutant = with_line(&text, number, &words.join(" "));
                    let what = format!("{} to {} in {}", word, words[position], words[0]);
                    maker.entry(Class::Reference, what, mutant, OR_NO_ENTRY);
                }
            }
        }
    }
    let digest = maker.certificate.entry.to_string();
    for position in [0, 31, 63] {
        let other = if &digest[position..=position] == "0" { "1" } else { "0" };
        let mut changed = digest.clone();
        changed.replace_range(position..=position, other);
        let certificate = maker.pair.certificate.replacen(&digest, &changed, 1).into_bytes();
        let files = (text.clone().into_bytes(), certificate);
        maker.push(Class::Reference, format!("digit {position} of the digest"), files, &["digest"]);
    }
}

fn lemmas(maker: &mut Maker) {
    let text = maker.pair.entry.clone();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| line.starts_with("lemma ")) {
        let words: Vec<&str> = line.split(' ').collect();
        for (position, word) in words.iter().enumerate().skip(3) {
            let replacements: Vec<String> = match word.parse::<i64>() {
                Ok(value) => [value - 1, value + 1].iter().map(i64::to_string).collect(),
                Err(_) if *word == "any" => vec!["0".into(), "31".into()],
                Err(_) if *word == "never" => vec!["0".into()],
                Err(_) => continue,
            };
            for replacement in replacements {
                let mut words = words.clone();
                words[position] = &replacement;
                let what = format!("lemma {}: word {position} from {word} to {replacement}", words[1]);
                let mutant = with_line(&text, number, &words.join(" "));
                // The comment of a sum says the shift of its lemma.
                let mutant =
                    if words[position - 1] == "shift" { reshifted(&mutant, words[1], &replacement) } else { mutant };
                maker.entry(Class::WrongLemma, what, mutant, OR_NO_ENTRY);
            }
        }
        let (wide, narrow) = ("rounding -4 4", "rounding 0 0");
        if let Some(at) = line.find("rounding ") {
            let end = line.find(" failure").unwrap();
            for rounding in [wide, narrow] {
                let changed = format!("{}{rounding}{}", &line[..at], &line[end..]);
                let what = format!("lemma {}: {rounding}", words[1]);
                maker.entry(Class::WrongLemma, what, with_line(&text, number, &changed), OR_NO_ENTRY);
            }
        }
    }
}

/// The text with the shift in the comments of the sums that use a lemma.
fn reshifted(text: &str, lemma: &str, shift: &str) -> String {
    let uses = format!(" by {lemma} = ");
    let line = |line: &str| match line.split_once(" # >> ") {
        Some((head, _)) if line.contains(&uses) => format!("{head} # >> {shift}\n"),
        _ => format!("{line}\n"),
    };
    text.lines().map(line).collect()
}

fn functions(maker: &mut Maker) {
    let own = maker.entry.claim.function.clone();
    for other in Function::ALL.iter().filter(|other| **other != own) {
        let change = |entry: &mut catalogs::Entry| {
            entry.claim.function = other.clone();
            Some(())
        };
        maker.claim(Class::WrongFunction, other.name(), change, OBLIGATIONS);
    }
    // A tail rule of the name is not one of the expression, so that it may be enclosed less tightly.
    let respelled = |entry: &mut catalogs::Entry| {
        entry.claim.function = Function::Expression(own.definition().into());
        Some(())
    };
    maker.claim(Class::Respelled, "", respelled, OBLIGATIONS);
    // A pole at the middle, and at either end, of the first piece: the walk is as before, then the function fails.
    let first = &maker.certificate.pieces[0];
    let (low, high, scale) = (first.low, first.high, maker.entry.program.input().1.bits());
    if scale > 62 {
        return;
    }
    for at in [low, low + ((i128::from(high) - i128::from(low)) / 2) as i64, high] {
        if at == i64::MIN {
            continue;
        }
        let shifted = || Expression::X.plus(Expression::Rational(-at, 1 << scale));
        let kinds = [("1/x", shifted().reciprocal()), ("x^-1/2", shifted().rsqrt()), ("log x", shifted().log())];
        for (name, expression) in kinds.into_iter().chain([("sin(log x)", shifted().log().sine())]) {
            let change = |entry: &mut catalogs::Entry| {
                entry.claim.function = Function::Expression(expression.clone().into());
                Some(())
            };
            maker.claim(Class::Pole, &format!("{name} at {at}"), change, &["function"]);
        }
    }
}

fn claims(maker: &mut Maker) {
    let less = |entry: &mut catalogs::Entry| below(entry.claim.bound).map(|bound| entry.claim.bound = bound);
    maker.claim(Class::BoundBelow, "", less, &["accepted", "error"]);
    let tenth = |entry: &mut catalogs::Entry| {
        let bound = entry.claim.bound;
        let (digits, exponent) = (bound.to_string(), 1i16);
        let (mantissa, power) = digits.split_once('e').unwrap_or((&digits, "0"));
        let power = power.parse::<i16>().unwrap() - exponent;
        entry.claim.bound = Decimal::parse(&format!("{mantissa}e{power}")).filter(|_| bound != Decimal::ZERO)?;
        Some(())
    };
    maker.claim(Class::FalseClaim, "a tenth of the bound", tenth, &["error"]);
    let zero = |entry: &mut catalogs::Entry| {
        entry.claim.bound = Some(Decimal::ZERO).filter(|_| entry.claim.bound != Decimal::ZERO)?;
        Some(())
    };
    maker.claim(Class::FalseClaim, "no error", zero, &["error"]);
    let swapped = |entry: &mut catalogs::Entry| {
        let Norm { absolute, relative } = entry.claim.norm;
        entry.claim.norm = Norm { absolute: relative, relative: absolute };
        Some(())
    };
    maker.claim(Class::FalseClaim, "norms exchanged", swapped, OBLIGATIONS);
    let negative = |entry: &mut catalogs::Entry| {
        entry.claim.norm.absolute = Decimal::new(-1, 0)?;
        Some(())
    };
    maker.claim(Class::FalseClaim, "a negative norm", negative, &["claim"]);
    let outside = |entry: &mut catalogs::Entry| {
        entry.claim.fitted.high = entry.claim.window.high.checked_add(1)?;
        Some(())
    };
    maker.claim(Class::FalseClaim, "fitted beyond the window", outside, &["claim"]);
    let wider = |entry: &mut catalogs::Entry| {
        entry.claim.window.high = entry.claim.window.high.checked_add(1)?;
        entry.program.input().0.contains(entry.claim.window.high.into()).then_some(())
    };
    maker.claim(Class::FalseClaim, "a window wider than its pieces", wider, &["tiling"]);
    scales(maker);
    everything_else(maker);
}

/// Another scale: the same integers stand for other numbers. At the largest one a rounding is below 2^−126.
fn scales(maker: &mut Maker) {
    let text = maker.pair.entry.clone();
    let last = text.lines().count() - 2;
    let line = text.lines().nth(last).unwrap().to_owned();
    let words: Vec<&str> = line.split(' ').collect();
    if words.get(4) != Some(&"scale") {
        return;
    }
    let own: i64 = words[5].parse().unwrap();
    for (class, scale) in [(Class::FalseClaim, own - 1), (Class::FalseClaim, own + 1), (Class::VanishingSymbol, 126)] {
        let scale = scale.to_string();
        let mut words = words.clone();
        words[5] = &scale;
        let exact = maker.entry.claim.bound == Decimal::ZERO;
        let expected = if exact || class == Class::FalseClaim { OBLIGATIONS } else { NEVER_TRUE };
        let mutant = with_line(&text, last, &words.join(" "));
        maker.entry(class, format!("output scale {own} to {scale}"), mutant, expected);
    }
}

/// Another window with the pieces' ends moved along: nothing tells that it was not meant.
fn everything_else(maker: &mut Maker) {
    let window = maker.entry.claim.window;
    let ring = maker.entry.program.input().0;
    let (Some(low), Some(high)) = (window.low.checked_sub(1), window.high.checked_add(1)) else { return };
    if !ring.contains(low.into()) || !ring.contains(high.into()) {
        return;
    }
    let mut entry = maker.entry.clone();
    (entry.claim.window.low, entry.claim.window.high) = (low, high);
    let mut certificate = maker.certificate.clone();
    certificate.entry = entry.digest();
    certificate.pieces[0].low = low;
    certificate.pieces.last_mut().unwrap().high = high;
    let files = (entry.to_text().into_bytes(), certificate.to_text().into_bytes());
    maker.push(Class::FalseClaim, "a window one wider on either side".into(), files, OBLIGATIONS);
}
