//! Damage to files that looks like files: words, lines and numbers are changed, moved, and taken from elsewhere.

use super::Random;

const WORDS: [&str; 44] = [
    "x",
    "pi",
    "add",
    "mul",
    "exp",
    "log",
    "sin",
    "reciprocal",
    "rsqrt",
    "positive",
    "gaussian",
    "1/2",
    "-7/3",
    "1/1",
    "9223372036854775807/1",
    "1/9223372036854775807",
    "function",
    "expression",
    "gelu",
    "softplus",
    "lemma",
    "truncation",
    "sign",
    "injection",
    "any",
    "never",
    "window",
    "rounding",
    "program",
    "end",
    "piece",
    "tail",
    "range",
    "none",
    "witness",
    "choices",
    "v0",
    "v1",
    "+1*v0",
    "-3*v1*v0",
    "#",
    ">>",
    "1e-300",
    "1.5e300",
];
const NUMBERS: [&str; 21] = [
    "0",
    "1",
    "-1",
    "2",
    "7",
    "40",
    "41",
    "63",
    "64",
    "65",
    "126",
    "127",
    "255",
    "256",
    "65536",
    "2147483648",
    "9223372036854775807",
    "-9223372036854775808",
    "79228162514264337593543950335",
    "79228162514264337593543950336",
    "170141183460469231731687303715884105727",
];

/// A seed with one to five changes.
pub fn damaged(random: &mut Random, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut data = pick(random, seeds).clone();
    for _ in 0..1 + random.between(0, 4) * random.between(0, 1) {
        data = match random.between(0, 13) {
            0 => flipped(random, data),
            1 => cut(random, data),
            2 | 3 => lines(random, data),
            4 | 5 => words(random, data),
            6 => {
                let other = pick(random, seeds);
                spliced(random, &data, other)
            }
            _ => number(random, data),
        };
    }
    data.truncate(1 << 21);
    data
}

fn pick<'a>(random: &mut Random, seeds: &'a [Vec<u8>]) -> &'a Vec<u8> {
    &seeds[at(random, seeds.len())]
}

fn at(random: &mut Random, length: usize) -> usize {
    if length == 0 { 0 } else { random.between(0, length as i64 - 1) as usize }
}

fn flipped(random: &mut Random, mut data: Vec<u8>) -> Vec<u8> {
    if !data.is_empty() {
        let place = at(random, data.len());
        data[place] = if random.chance(1, 2) { data[place] ^ (1 << random.between(0, 7)) } else { random.next() as u8 };
    }
    data
}

fn cut(random: &mut Random, mut data: Vec<u8>) -> Vec<u8> {
    let start = at(random, data.len());
    if random.chance(1, 3) {
        data.truncate(start);
    } else {
        let end = (start + at(random, 40)).min(data.len());
        data.drain(start..end);
    }
    data
}

fn split(data: &[u8], separator: u8) -> Vec<Vec<u8>> {
    data.split(|byte| *byte == separator).map(<[u8]>::to_vec).collect()
}

/// A part removed, doubled, or exchanged with another.
fn moved(random: &mut Random, parts: &mut Vec<Vec<u8>>) {
    let (one, other) = (at(random, parts.len()), at(random, parts.len()));
    match random.between(0, 3) {
        0 => drop(parts.remove(one)),
        1 => parts.insert(other, parts[one].clone()),
        2 if random.chance(1, 50) => {
            let part = parts[one].clone();
            parts.splice(one..one, std::iter::repeat_n(part, 2000));
        }
        _ => parts.swap(one, other),
    }
}

fn lines(random: &mut Random, data: Vec<u8>) -> Vec<u8> {
    let mut parts = split(&data, b'\n');
    moved(random, &mut parts);
    parts.join(&b'\n')
}

fn words(random: &mut Random, data: Vec<u8>) -> Vec<u8> {
    let mut parts = split(&data, b' ');
    let place = at(random, parts.len());
    match random.between(0, 2) {
        0 => moved(random, &mut parts),
        1 => parts[place] = random.pick(&WORDS).into(),
        _ => parts.insert(place, random.pick(&WORDS).into()),
    }
    parts.join(&b' ')
}

/// The beginning of one file and the rest of another, at line ends.
fn spliced(random: &mut Random, data: &[u8], other: &[u8]) -> Vec<u8> {
    let (mut head, tail) = (split(data, b'\n'), split(other, b'\n'));
    head.truncate(at(random, head.len()));
    head.extend_from_slice(&tail[at(random, tail.len())..]);
    head.join(&b'\n')
}

/// A run of digits becomes another number: near, or near a limit.
fn number(random: &mut Random, data: Vec<u8>) -> Vec<u8> {
    let start = at(random, data.len());
    let Some(start) = (start..data.len()).find(|at| data[*at].is_ascii_digit()) else { return data };
    let end = (start..data.len()).find(|at| !data[*at].is_ascii_digit()).unwrap_or(data.len());
    let text = std::str::from_utf8(&data[start..end]).unwrap();
    let near =
        text.parse::<i128>().ok().map(|value| value.saturating_add(i128::from(random.between(-2, 2))).to_string());
    let new = match near {
        Some(near) if random.chance(2, 3) => near,
        _ => random.pick(&NUMBERS).to_owned(),
    };
    [&data[..start], new.as_bytes(), &data[end..]].concat()
}
