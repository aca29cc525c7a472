//! A program as a person reads it: what each operation computes, at which scale, in which rounds, within which range.

use super::dossier::{Dossier, Room};
use super::markup::{Element, element};
use super::numbers::{coefficient, grouped, significant, superscript};
use super::svg::{line, rectangle};
use super::tables::{Cell, table};
use catalogs::program::Kind;
use catalogs::protocol::{Model, Timeline, rss3::Rss3, timeline};
use catalogs::{Entry, Failure, Lemma, Op, Program, Rounding, Sum, ValueId};

/// The listing: an operation per row.
pub fn program(dossier: &Dossier, entry: &Entry) -> Element {
    let timeline = timeline(&entry.program, &Rss3);
    let rows = entry.program.ops().iter().enumerate().map(|(index, op)| {
        let kind = match entry.program.kind(ValueId(index as u16)) {
            Kind::Bit => "bit".to_owned(),
            Kind::Arithmetic(ring, scale) => format!("{ring} bits, scale {scale}"),
        };
        vec![
            Cell::name(format!("v{index}")),
            Cell::formula(formula(&entry.program, op), note(&entry.program, op)),
            Cell::name(kind),
            Cell::number(real_range(dossier, entry, index)),
            Cell::name(rounds(&timeline, index)),
        ]
    });
    table(&["", "operation", "format", ">range, as a real number", "rounds"], rows)
}

/// What `op` computes.
fn formula(program: &Program, op: &Op) -> String {
    match op {
        Op::Input => "x".to_owned(),
        Op::Inject { bit, .. } => format!("{bit} as 0 or 1"),
        Op::Sign { operand, lemma } => match program.lemma(*lemma) {
            Lemma::Sign { width, .. } => format!("bit {} of {operand}", width - 1),
            _ => format!("bit of {operand}"),
        },
        Op::Sum(sum) => match sum.truncation.map(|lemma| program.lemma(lemma)) {
            Some(Lemma::Truncation { shift, .. }) => {
                let terms = terms(sum);
                let inner = if terms.contains(' ') { format!("({terms})") } else { terms };
                format!("⌊{inner} / 2{}⌋ + δ", superscript(&shift.to_string()))
            }
            _ => terms(sum),
        },
    }
}

fn terms(sum: &Sum) -> String {
    let products = sum.products.iter().map(|product| {
        let name = if product.left == product.right {
            format!("{}²", product.left)
        } else {
            format!("{}·{}", product.left, product.right)
        };
        (product.coefficient, name)
    });
    let linear = sum.linear.iter().map(|term| (term.coefficient, term.value.to_string()));
    let constant = (sum.constant != 0).then_some((sum.constant, String::new()));
    let mut text = String::new();
    for (factor, name) in products.chain(linear).chain(constant) {
        let negative = factor < 0;
        text.push_str(match (text.is_empty(), negative) {
            (true, true) => "−",
            (true, false) => "",
            (false, true) => " − ",
            (false, false) => " + ",
        });
        // Coefficients have less than 96 bits.
        let magnitude = factor.saturating_abs();
        match (magnitude, name.is_empty()) {
            (_, true) => text.push_str(&coefficient(magnitude)),
            (1, false) => text.push_str(&name),
            (_, false) => text.push_str(&format!("{}·{name}", coefficient(magnitude))),
        }
    }
    if text.is_empty() { "0".to_owned() } else { text }
}

/// What the operation rests on.
fn note(program: &Program, op: &Op) -> Option<String> {
    match op {
        Op::Input => None,
        Op::Sum(sum) => sum.truncation.map(|id| match program.lemma(id) {
            Lemma::Truncation { rounding, .. } => format!("δ ∈ {}, lemma {}", set(*rounding), id.0),
            _ => format!("lemma {}", id.0),
        }),
        Op::Sign { lemma, .. } => match program.lemma(*lemma) {
            Lemma::Sign { dropped: 0, .. } => Some(format!("exact, lemma {}", lemma.0)),
            Lemma::Sign { dropped, .. } => Some(format!("{dropped} low bits not looked at, lemma {}", lemma.0)),
            _ => Some(format!("lemma {}", lemma.0)),
        },
        Op::Inject { lemma, .. } => Some(format!("exact, lemma {}", lemma.0)),
    }
}

fn set(rounding: Rounding) -> String {
    let members: Vec<String> =
        (rounding.low..=rounding.high).map(|delta| delta.to_string().replace('-', "−")).collect();
    format!("{{{}}}", members.join(", "))
}

fn rounds(timeline: &Timeline, index: usize) -> String {
    match (timeline.start.get(index), timeline.ready.get(index)) {
        (Some(start), Some(ready)) if ready > start && *ready == start + 1 => format!("{ready}"),
        (Some(start), Some(ready)) if ready > start => format!("{}–{ready}", start + 1),
        _ => "local".to_owned(),
    }
}

fn real_range(dossier: &Dossier, entry: &Entry, index: usize) -> String {
    match (entry.program.kind(ValueId(index as u16)), dossier.range(index)) {
        (Kind::Bit, _) => "0 or 1".to_owned(),
        (Kind::Arithmetic(_, scale), Some((low, high))) => {
            let real = |value: i128| significant(value as f64 / 2f64.powi(i32::from(scale.bits())), 5);
            format!("{} to {}", real(low), real(high))
        }
        (_, None) => "not followed".to_owned(),
    }
}

/// Ranges and headroom: a bar for every arithmetic operation.
pub fn ranges(dossier: &Dossier, entry: &Entry) -> Element {
    let rows = (0..entry.program.ops().len()).filter_map(|index| {
        let (room, (low, high)) = (dossier.room(index)?, dossier.range(index)?);
        let verdict = match (room.obliged, index) {
            (true, last) if last + 1 == entry.program.ops().len() => "output",
            (true, _) => "must fit",
            (false, 0) => "input",
            (false, _) => "may wrap",
        };
        let left = if room.obliged { format!("{:.2}", room.left()) } else { "–".to_owned() };
        Some(vec![
            Cell::name(format!("v{index}")),
            Cell::number(grouped(low)),
            Cell::number(grouped(high)),
            Cell::number(format!("{:.1}", room.used)),
            Cell::number(room.allowed.to_string()),
            Cell::element(bar(&room)),
            Cell::number(left),
            Cell::name(verdict.to_owned()),
        ])
    });
    let header = ["", ">least", ">greatest", ">bits", ">of", "", ">headroom", ""];
    table(&header, rows)
}

/// The bits used of those allowed; the whole bar is the allowed ones and a little more.
fn bar(room: &Room) -> Element {
    let (width, height) = (192.0, 11.0);
    let unit = width / (f64::from(room.allowed) + 4.0);
    let class = if room.obliged && room.left() < 1.0 { "used tight" } else { "used" };
    let limit = f64::from(room.allowed) * unit;
    let bar = element("svg")
        .set("viewBox", format!("0 0 {width} {height}"))
        .set("role", "img")
        .class("bar")
        .with(element("title").text(format!("{:.1} of {} bits", room.used, room.allowed)))
        .with(rectangle(0.0, 2.0, limit, 7.0).class("room"))
        .with(rectangle(0.0, 2.0, (room.used * unit).min(width), 7.0).class(class));
    if room.obliged { bar.with(line(limit, 0.0, limit, height).class("limit")) } else { bar }
}

/// Lemmas: what each states, who uses it, whether rss3 offers it.
pub fn lemmas(entry: &Entry) -> Element {
    let rows = entry.program.lemmas().iter().enumerate().map(|(index, lemma)| {
        let users: Vec<String> = entry
            .program
            .ops()
            .iter()
            .enumerate()
            .filter(|(_, op)| uses(op, index))
            .map(|(v, _)| format!("v{v}"))
            .collect();
        let offered = match Rss3.offers(lemma) {
            Some(_) => Cell::badge("offered", true),
            None => Cell::badge("NOT OFFERED", false),
        };
        vec![Cell::number(index.to_string()), Cell::text(statement(lemma)), Cell::text(users.join(" ")), offered]
    });
    table(&[">", "what the protocol must guarantee", "used by", "rss3"], rows)
}

fn uses(op: &Op, index: usize) -> bool {
    let used = match op {
        Op::Input => None,
        Op::Sum(sum) => sum.truncation,
        Op::Sign { lemma, .. } | Op::Inject { lemma, .. } => Some(*lemma),
    };
    used.is_some_and(|lemma| lemma.index() == index)
}

/// A lemma in words.
fn statement(lemma: &Lemma) -> String {
    let power = |bits: u8| format!("2{}", superscript(&bits.to_string()));
    match lemma {
        Lemma::Truncation { ring, target, shift, window, rounding, failure } => {
            let window = match window {
                Some(bits) => format!("for −{0} ≤ v < {0}", power(*bits)),
                None => "for every v".to_owned(),
            };
            let failure = match failure {
                Failure::Never => "it cannot fail".to_owned(),
                Failure::AtMost(bits) => {
                    format!("it fails with probability at most 2{}", superscript(&format!("-{bits}")))
                }
            };
            format!(
                "Truncation by {shift} bits: {window} in a ring of {ring} bits the result is ⌊v / {}⌋ + δ in a ring of \
                 {target} bits, δ ∈ {}; {failure}.",
                power(*shift),
                set(*rounding)
            )
        }
        Lemma::Sign { width, dropped: 0, .. } => format!("Bit {} of v, exactly.", width - 1),
        Lemma::Sign { width, dropped, operands } => format!(
            "Bit {} of some v′ that is a multiple of {1} with v − {operands}·({1} − 1) ≤ v′ ≤ v: just above a threshold \
             the bit may be either.",
            width - 1,
            power(*dropped)
        ),
        Lemma::Injection { ring } => format!("A bit becomes 0 or 1 of a ring of {ring} bits, exactly."),
    }
}
