//! Mutants of the files' bytes: numbers that no integer holds, nesting, bytes that are no text, files cut short.

use super::mutants::{Class, Maker};

pub fn add(maker: &mut Maker) {
    let (entry, certificate) = (maker.pair.entry.clone(), maker.pair.certificate.clone());
    for (is_entry, text) in [(true, &entry), (false, &certificate)] {
        numbers(maker, text, is_entry);
        bytes(maker, text.as_bytes(), is_entry);
    }
    nesting(maker, &entry);
}

fn push(maker: &mut Maker, class: Class, what: String, file: Vec<u8>, is_entry: bool) {
    let (entry, certificate) = (maker.pair.entry.clone(), maker.pair.certificate.clone());
    if is_entry {
        maker.push(class, what, (file, certificate.into_bytes()), &["entry"]);
    } else {
        maker.push(class, what, (entry.into_bytes(), file), &["certificate"]);
    }
}

/// Every run of digits, but for those of the digest, becomes one of fifty.
fn numbers(maker: &mut Maker, text: &str, is_entry: bool) {
    let mut start = if is_entry { 0 } else { text.match_indices('\n').nth(1).unwrap().0 };
    while let Some(at) = text[start..].find(|c: char| c.is_ascii_digit()).map(|at| at + start) {
        let end = text[at..].find(|c: char| !c.is_ascii_digit()).map_or(text.len(), |length| at + length);
        let mutant = format!("{}{}{}", &text[..at], "9".repeat(50), &text[end..]);
        push(maker, Class::HugeNumber, format!("at byte {at}"), mutant.into_bytes(), is_entry);
        start = end;
    }
}

fn bytes(maker: &mut Maker, file: &[u8], is_entry: bool) {
    let middle = file.len() / 2;
    let spots = [0, 1, middle, file.len() - 1, file.len()];
    // A lone continuation, an overlong slash, a surrogate, a character cut short, bytes that never occur.
    let bad: [&[u8]; 5] = [&[0x80], &[0xc0, 0xaf], &[0xed, 0xa0, 0x80], &[0xe2, 0x82], &[0xff, 0xfe]];
    for (spot, bytes) in spots.iter().flat_map(|spot| bad.iter().map(move |bytes| (*spot, *bytes))) {
        let mutant = [&file[..spot], bytes, &file[spot..]].concat();
        push(maker, Class::BadUtf8, format!("{bytes:02x?} at byte {spot}"), mutant, is_entry);
    }
    let ends = file.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at);
    let cuts = ends.flat_map(|at| [at, at + 1]).chain([0, 1, middle, file.len() - 1]).filter(|cut| *cut < file.len());
    for cut in cuts {
        push(maker, Class::Truncated, format!("after {cut} bytes"), file[..cut].to_vec(), is_entry);
    }
}

/// Expressions at and beyond the limit of nodes, in place of the function.
fn nesting(maker: &mut Maker, entry: &str) {
    let line = entry.lines().nth(1).unwrap();
    let chain = |word: &str, n: usize| format!("function expression {}x", format!("{word} ").repeat(n));
    for word in ["exp", "positive", "sin", "reciprocal", "log", "rsqrt"] {
        for n in [256, 5000, 200_000] {
            let mutant = entry.replacen(line, &chain(word, n), 1);
            push(maker, Class::DeepNesting, format!("{n} {word}"), mutant.into_bytes(), true);
        }
    }
    for word in ["add", "mul"] {
        let leaves = " x".repeat(128);
        let mutant = entry.replacen(line, &format!("function expression {}{leaves}", [word; 128].join(" ")), 1);
        push(maker, Class::DeepNesting, format!("128 {word}"), mutant.into_bytes(), true);
    }
    // As deep as is allowed: read, and then not what the program computes.
    let expression = |words: String| catalogs::Expression::parse(&words.split(' ').collect::<Vec<_>>()).unwrap();
    for word in ["exp", "sin", "reciprocal", "log", "rsqrt"] {
        let deep = catalogs::Function::Expression(expression(format!("{}x", format!("{word} ").repeat(255))).into());
        let change = |entry: &mut catalogs::Entry| {
            entry.claim.function = deep.clone();
            Some(())
        };
        maker.claim(Class::DeepNesting, &format!("255 {word}"), change, super::mutants::OBLIGATIONS);
    }
}
