//! What must be rejected, each with the variant that names what is wrong; and what must pass, so that a checker that
//! refuses everything fails too.
//!
//! The small cases lie in `corpus/`, one file each with its expected verdict, so that a second checker can be run
//! over them. `CHEBYSHARE_BLESS=1` writes them again. Cases of many megabytes are made here.

#![allow(clippy::unwrap_used)]

mod support;

use catalogs::{Catalog, CatalogError, Digest, Entry, Function, Lemma, Norm, Published, Ring};
use std::path::{Path, PathBuf};
use support::bases::{claim, reciprocal, rectifier, sigmoid};
use support::build::{OpDraft, program, sum64};
use support::cases::{read_cases, variant};
use verify::{Certificate, PieceProof, Witness, check};

/// A pair of texts with the verdict that it must get.
struct Case {
    name: String,
    expected: &'static str,
    entry: String,
    certificate: String,
}

fn verdict(entry: &str, certificate: &str) -> (&'static str, String) {
    support::cases::verdict(entry.as_bytes(), certificate.as_bytes())
}

/// Replaces the first occurrence; the text must be there.
fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "'{from}' is not in\n{text}");
    text.replacen(from, to, 1)
}

/// The certificate with the digest of the changed entry: a true digest of a false claim.
fn rebound(entry: &str, certificate: &Certificate) -> String {
    let mut certificate = certificate.clone();
    certificate.entry = Digest::of(catalogs::digest::Tag::Entry, entry.as_bytes());
    certificate.to_text()
}

struct Cases {
    list: Vec<Case>,
    prefix: &'static str,
    entry: Entry,
    certificate: Certificate,
}

impl Cases {
    fn push(&mut self, name: &str, expected: &'static str, entry: String, certificate: String) {
        self.list.push(Case { name: format!("{}-{name}", self.prefix), expected, entry, certificate });
    }

    /// The entry's text changed, the digest corrected.
    fn entry(&mut self, name: &str, expected: &'static str, from: &str, to: &str) {
        let entry = replaced(&self.entry.to_text(), from, to);
        let certificate = rebound(&entry, &self.certificate);
        self.push(name, expected, entry, certificate);
    }

    /// The certificate's text changed.
    fn text(&mut self, name: &str, expected: &'static str, from: &str, to: &str) {
        let certificate = replaced(&self.certificate.to_text(), from, to);
        self.push(name, expected, self.entry.to_text(), certificate);
    }

    /// The certificate changed.
    fn proof(&mut self, name: &str, expected: &'static str, change: impl Fn(&mut Certificate)) {
        let mut certificate = self.certificate.clone();
        change(&mut certificate);
        assert!(certificate != self.certificate, "{name} changes nothing");
        self.push(name, expected, self.entry.to_text(), certificate.to_text());
    }

    /// The claim changed, the digest corrected.
    fn claim(&mut self, name: &str, expected: &'static str, change: impl Fn(&mut Entry)) {
        let mut entry = self.entry.clone();
        change(&mut entry);
        assert!(entry != self.entry, "{name} changes nothing");
        let certificate = rebound(&entry.to_text(), &self.certificate);
        self.push(name, expected, entry.to_text(), certificate);
    }
}

fn one_piece(entry: &Entry, degree: u8, tail: bool) -> Certificate {
    let window = entry.claim.window;
    let large = catalogs::Decimal::new(1, 30).unwrap();
    let piece = PieceProof {
        low: window.low,
        high: window.high,
        degree,
        tail,
        approximation: large,
        rounding: large,
        remainder: large,
    };
    let operations = entry.program.ops().len();
    let witness = Witness { input: window.low, error: catalogs::Decimal::ZERO, choices: vec![0; operations] };
    let ranges = vec![Some((i128::MIN, i128::MAX)); operations];
    Certificate { entry: entry.digest(), ranges, witness, pieces: vec![piece] }
}

fn smaller(decimal: catalogs::Decimal) -> catalogs::Decimal {
    let text = decimal.to_string();
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let places = digits.len() as i16 - 2;
    let mantissa: i128 = digits.replace('.', "").parse().unwrap();
    catalogs::Decimal::new(mantissa - 1, exponent.parse::<i16>().unwrap() - places).unwrap()
}

fn sigmoid_cases() -> Vec<Case> {
    let (entry, certificate) = sigmoid();
    let mut cases = Cases { list: Vec::new(), prefix: "sigmoid", entry, certificate };
    let (text, proof) = (cases.entry.to_text(), cases.certificate.to_text());
    cases.push("good", "accepted", text.clone(), proof.clone());
    cases.push("coefficient-up-old-digest", "digest", replaced(&text, "-180*", "-179*"), proof.clone());
    cases.push("coefficient-down-old-digest", "digest", replaced(&text, "-180*", "-181*"), proof.clone());
    // The error is largest where the middle polynomial meets the tails, so one of the two directions improves there.
    cases.entry("coefficient", "error", "-180*", "-179*");
    cases.entry("constant", "part", "= 140737488355328", "= 140741783322624");
    cases.claim("bound-one-digit-below", "error", |entry| entry.claim.bound = smaller(entry.claim.bound));
    cases.entry("another-function", "error", "function sigmoid", "function tanh");
    cases.entry("norm-relative", "error", "norm absolute 1 relative 0", "norm absolute 0 relative 1");
    cases.entry("lemma-window-too-small", "range", "window 40", "window 30");
    let halved = replaced(&replaced(&text, "shift 32", "shift 31"), ">> 32", ">> 31");
    cases.push("lemma-shift", "error", halved.clone(), rebound(&halved, &cases.certificate));
    cases.entry("lemma-rounding", "error", "shift 32 window 62 rounding 0 1", "shift 32 window 62 rounding -4 4");
    cases.entry("lemma-target", "entry", "shift 32 window 62", "shift 64 window 62");
    cases.entry("lemma-sign-too-narrow", "range", "sign width 24", "sign width 20");
    cases.entry("lemma-more-operands", "range", "operands 2", "operands 4");
    cases.claim("window-wider-than-pieces", "tiling", |entry| entry.claim.window.low -= 1);
    cases.claim("window-empty", "claim", |entry| entry.claim.window.high = entry.claim.window.low - 1);
    cases.claim("fitted-outside", "claim", |entry| entry.claim.fitted.high = entry.claim.window.high + 1);
    cases.claim("norm-zero", "claim", |entry| {
        entry.claim.norm = Norm { absolute: catalogs::Decimal::ZERO, relative: catalogs::Decimal::ZERO }
    });
    cases.entry("bound-negative", "claim", "bound ", "bound -");
    // The first truncation's lemma is used once; both together may always fail.
    cases.entry("failure-of-one-half", "accepted", "failure never", "failure 1");
    cases.entry("failure-of-one", "claim", "failure never", "failure 0");
    let halves = text.replace("failure never", "failure 1");
    cases.push("failures-of-two-halves", "claim", halves.clone(), rebound(&halves, &cases.certificate));
    cases.proof("gap", "tiling", |proof| proof.pieces[3].low += 1);
    cases.proof("overlap", "tiling", |proof| proof.pieces[3].low -= 1);
    cases.proof("missing-end-point", "tiling", |proof| proof.pieces.last_mut().unwrap().high -= 1);
    cases.proof("beyond-the-window", "tiling", |proof| proof.pieces.last_mut().unwrap().high += 1);
    cases.proof("missing-piece", "tiling", |proof| {
        proof.pieces.remove(4);
    });
    cases.proof("no-pieces", "tiling", |proof| proof.pieces.clear());
    cases.proof("swapped-pieces", "tiling", |proof| proof.pieces.swap(3, 4));
    cases.proof("empty-piece", "piece", |proof| proof.pieces[1].high = proof.pieces[1].low - 1);
    cases.proof("degree-beyond-limit", "piece", |proof| proof.pieces[3].degree = 41);
    cases.proof("degree-too-low", "error", |proof| proof.pieces[3].degree = 1);
    cases.proof("tail-in-the-middle", "error", |proof| proof.pieces[3].tail = true);
    cases.proof("tail-across-zero", "function", |proof| {
        proof.pieces[4].high = 9;
        proof.pieces[4].tail = true;
        proof.pieces[5].low = 10;
    });
    cases.proof("no-tail-rule-beyond-the-series", "function", |proof| proof.pieces[0].tail = false);
    cases.proof("band-joined-to-its-neighbour", "error", |proof| {
        let high = proof.pieces[2].high;
        proof.pieces[1].high = high;
        proof.pieces.remove(2);
    });
    let zero = catalogs::Decimal::ZERO;
    cases.proof("part-approximation", "part", |p| p.pieces[4].approximation = smaller(p.pieces[4].approximation));
    cases.proof("part-rounding", "part", |p| p.pieces[4].rounding = smaller(p.pieces[4].rounding));
    cases.proof("part-remainder", "part", |p| p.pieces[4].remainder = zero);
    cases.proof("range-too-small", "stated-range", |p| p.ranges[9] = p.ranges[9].map(|(low, high)| (low, high - 1)));
    cases.proof("range-none", "stated-range", |p| p.ranges[8] = None);
    cases.proof("range-missing", "claim", |p| p.ranges.truncate(10));
    cases.proof("range-too-many", "claim", |p| p.ranges.push(None));
    cases.proof("witness-overstated", "witness", |p| p.witness.error = catalogs::Decimal::new(2, -1).unwrap());
    cases.proof("witness-negative", "witness", |p| p.witness.error = catalogs::Decimal::new(-1, -9).unwrap());
    cases.proof("witness-elsewhere", "witness", |p| p.witness.input = 0);
    cases.proof("witness-outside", "witness", |p| p.witness.input = -4194305);
    cases.proof("witness-rounding-not-in-lemma", "witness", |p| p.witness.choices[9] = 2);
    cases.proof("witness-choice-without-choice", "witness", |p| p.witness.choices[1] = 1);
    cases.proof("witness-too-few-choices", "witness", |p| p.witness.choices.truncate(10));
    cases.text("spelling-space", "certificate", "witness ", "witness  ");
    cases.text("spelling-plus", "certificate", "degree 12", "degree +12");
    cases.text("spelling-zero", "certificate", "degree 12", "degree 012");
    cases.text("spelling-comment", "certificate", "end\n", "end # the end\n");
    cases.text("spelling-no-last-newline", "certificate", "end\n", "end");
    cases.text("spelling-rest", "certificate", "end\n", "end\nend\n");
    cases.text("spelling-carriage-return", "certificate", "end\n", "end\r\n");
    cases.text("spelling-capital-digest", "certificate", &cases.certificate.entry.to_string(), &"A".repeat(64));
    cases.text("huge-exponent", "certificate", "error ", "error 1e-32768 error ");
    cases.text(
        "exponent-least",
        "certificate",
        &format!("error {}", cases.certificate.witness.error),
        "error 1e-32768",
    );
    cases.text("exponent-large", "certificate", &format!("error {}", cases.certificate.witness.error), "error 1e32767");
    cases.text("input-beyond-i64", "certificate", "witness ", "witness 9999999999999999999999");
    cases.push("truncated", "certificate", text.clone(), proof[..proof.len() / 2].to_owned());
    cases.push("empty-certificate", "certificate", text.clone(), String::new());
    cases.push("entry-as-certificate", "certificate", text.clone(), text.clone());
    cases.push("entry-truncated", "entry", text[..text.len() / 2].to_owned(), proof.clone());
    cases.push("entry-empty", "entry", String::new(), proof.clone());
    cases.push("entry-not-ascii", "entry", replaced(&text, "sigmoid", "sigmoïd"), proof.clone());
    cases.entry("entry-spelling-bound", "entry", "bound ", "bound 0");
    cases.entry("entry-spelling-coefficient", "entry", "-180*", "-0180*");
    cases.entry("entry-comment-lies", "entry", "# [-64, ", "# [-4, ");
    cases.entry("entry-coefficient-zero", "entry", "-180*", "+0*");
    cases.entry("entry-coefficient-wide", "entry", "-180*", "-79228162514264337593543950336*");
    cases.entry("entry-forward-reference", "entry", "-180*v8", "-180*v9");
    cases.entry("entry-lemma-missing", "entry", "by 3 = v2", "by 9 = v2");
    cases.entry("entry-ring-129", "entry", "input ring 64", "input ring 129");
    cases.entry("entry-injection-ring-129", "entry", "injection ring 64", "injection ring 129");
    cases.entry("entry-target-129", "entry", "target 64 shift 32", "target 129 shift 32");
    cases.entry("entry-sign-width-129", "entry", "sign width 24", "sign width 129");
    cases.entry("entry-sign-wider-than-its-ring", "entry", "sign width 24", "sign width 65");
    cases.entry("entry-shift-of-the-whole-ring", "entry", "shift 32 window 62", "shift 64 window 62");
    cases.entry("entry-window-of-the-whole-ring", "entry", "shift 32 window 62", "shift 32 window 64");
    cases.list
}

fn reciprocal_cases() -> Vec<Case> {
    let (entry, certificate) = reciprocal();
    let mut cases = Cases { list: Vec::new(), prefix: "reciprocal", entry, certificate };
    let (text, proof) = (cases.entry.to_text(), cases.certificate.to_text());
    cases.push("good", "accepted", text, proof);
    cases.entry("coefficient", "error", "= 3055000", "= 3555000");
    cases.claim("bound-one-digit-below", "error", |entry| entry.claim.bound = smaller(entry.claim.bound));
    cases.claim("window-beyond-ring", "entry", |entry| {
        let mut drafts = entry.program.ops().to_vec();
        drafts.truncate(1);
        entry.program = catalogs::Program::new(Ring::Z32, entry.program.input().1, vec![], drafts).unwrap();
        entry.claim.window.high = 1 << 31;
    });
    // The last one is a good text about a bad claim.
    if let Some(case) = cases.list.last_mut() {
        case.expected = "claim";
    }
    let mut newton = cases.entry.clone();
    newton.program = program(Ring::Z64, 20, &[OpDraft::Input]);
    let mut pole = |name: &str, low: i64, high: i64, expected| {
        let mut entry = newton.clone();
        entry.claim = claim(Function::Reciprocal, Norm::ABSOLUTE, (low, high), (low, high));
        let certificate = one_piece(&entry, 8, false);
        cases.push(name, expected, entry.to_text(), certificate.to_text());
    };
    pole("pole-inside", -100, 100, "function");
    pole("pole-at-the-end", 0, 1 << 20, "function");
    pole("pole-near-a-wide-piece", 1, 1 << 40, "error");
    cases.list
}

fn other_cases() -> Vec<Case> {
    let mut list = Vec::new();
    let mut push = |name: &str, expected, entry: &Entry, certificate: &Certificate| {
        let (entry, certificate) = (entry.to_text(), certificate.to_text());
        list.push(Case { name: name.to_owned(), expected, entry, certificate });
    };
    let (entry, certificate) = rectifier();
    push("rectifier-good", "accepted", &entry, &certificate);
    let mut weightless = certificate.clone();
    weightless.witness.error = catalogs::Decimal::new(2, 0).unwrap();
    push("rectifier-witness-where-the-norm-is-zero", "witness", &entry, &weightless);
    push("rectifier-kink", "error", &entry, &one_piece(&entry, 1, false));
    let ends = |function, norm, low, high| claim(function, norm, (low, high), (low, high));
    let identity = program(Ring::Z64, 16, &[OpDraft::Input, sum64(&[], &[(65536, 0)], 0, 16, 16)]);
    for function in [Function::Tanh, Function::Silu, Function::Relu, Function::Gelu] {
        // x as tanh(x), with one rounding: at x = 0 the error is one unit, and no multiple of |tanh 0| is.
        let entry = Entry { claim: ends(function.clone(), Norm::RELATIVE, -16, 0), program: identity.clone() };
        push(&format!("relative-across-zero-{function}"), "error", &entry, &one_piece(&entry, 8, false));
    }
    let entry = Entry { claim: ends(Function::Exp, Norm::ABSOLUTE, i64::MIN, i64::MIN), program: identity.clone() };
    push("tail-at-the-least-integer", "range", &entry, &one_piece(&entry, 8, true));
    let plain = program(Ring::Z64, 16, &[OpDraft::Input]);
    let entry = Entry { claim: ends(Function::Exp, Norm::ABSOLUTE, i64::MIN, i64::MIN), program: plain };
    push("tail-at-the-least-integer-live", "error", &entry, &one_piece(&entry, 8, true));
    let entry = Entry { claim: ends(Function::Rsqrt, Norm::ABSOLUTE, -4, 9), program: identity.clone() };
    push("root-of-a-negative", "function", &entry, &one_piece(&entry, 8, false));
    let square = program(
        Ring::new(16).unwrap(),
        0,
        &[OpDraft::Input, {
            let mut square = support::build::SumDraft {
                ring: Ring::new(16).unwrap(),
                products: vec![(1, 0, 0)],
                linear: vec![],
                constant: 0,
                truncation: None,
                scale: 0,
            };
            square.constant = 1;
            OpDraft::Sum(square)
        }],
    );
    let entry = Entry { claim: ends(Function::Exp, Norm::ABSOLUTE, 0, 200), program: square.clone() };
    push("output-wraps", "range", &entry, &one_piece(&entry, 8, false));
    let entry = Entry { claim: ends(Function::Exp, Norm::ABSOLUTE, 0, 1 << 15), program: square };
    push("window-beyond-its-ring", "claim", &entry, &one_piece(&entry, 8, false));
    list
}

fn corpus() -> Vec<Case> {
    let mut cases = sigmoid_cases();
    cases.extend(reciprocal_cases());
    cases.extend(other_cases());
    cases
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

#[test]
fn every_case_of_the_corpus_gets_its_verdict() {
    let mut seen = 0;
    let mut wrong = Vec::new();
    for folder in [folder(), folder().join("../synthesised")] {
        for (name, expected, entry, certificate) in read_cases(&folder) {
            let (found, reason) = verdict(&entry, &certificate);
            if found != expected {
                wrong.push(format!("{name}: expected {expected}, got {found}: {reason}"));
            }
            seen += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen >= 85, "only {seen} cases");
}

/// The files are what the mutations above make of the base entries: nobody edits them by hand.
#[test]
fn the_corpus_is_up_to_date() {
    let bless = std::env::var_os("CHEBYSHARE_BLESS").is_some();
    let mut expected = std::collections::BTreeMap::new();
    for case in corpus() {
        let text = support::cases::case(case.expected, case.entry.as_bytes(), case.certificate.as_bytes());
        assert!(expected.insert(format!("{}.case", case.name), text).is_none(), "{} twice", case.name);
    }
    if bless {
        let _ = std::fs::remove_dir_all(folder());
        std::fs::create_dir_all(folder()).unwrap();
        for (name, text) in &expected {
            std::fs::write(folder().join(name), text).unwrap();
        }
    }
    let mut found: Vec<String> =
        std::fs::read_dir(folder()).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
    found.sort();
    assert_eq!(found, expected.keys().cloned().collect::<Vec<_>>());
    for (name, text) in &expected {
        assert!(std::fs::read(folder().join(name)).unwrap() == *text, "{name} differs");
    }
}

#[test]
fn monsters_are_refused_in_bounded_time() {
    let start = std::time::Instant::now();
    let (entry, certificate) = sigmoid();
    let (text, proof) = (entry.to_text(), certificate.to_text());
    let many = |part: &str, n: usize| part.repeat(n);
    let long_sum = replaced(&text, "+1*v0", &format!("+1*v0{}", many(" +1*v0", 100_000)));
    let long_number = replaced(&text, "-180*", &format!("-{}*", many("9", 100_000)));
    let long_decimal = replaced(&text, "bound ", &format!("bound {}", many("1", 100_000)));
    let many_ops = replaced(&text, "end\n", &many("v11 input\n", 2000));
    let words = replaced(&proof, "choices", &format!("choices{}", many(" 0", 1_000_000)));
    let piece = "piece 0 0 degree 1 approximation 1 rounding 1 remainder 1\n";
    let pieces = replaced(&proof, "end\n", &many(piece, 70_000));
    let ranges = replaced(&proof, "witness", &format!("{}witness", many("range v11 none\n", 100_000)));
    let cases: [(&str, &str, &str, &str); 10] = [
        ("a sum of 10^5 terms", &long_sum, &proof, "entry"),
        ("a coefficient of 10^5 digits", &long_number, &proof, "entry"),
        ("a bound of 10^5 digits", &long_decimal, &proof, "entry"),
        ("2000 operations", &many_ops, &proof, "entry"),
        ("an entry of 2 MiB", &many("#", 2 << 20), &proof, "entry"),
        ("10^6 choices", &text, &words, "witness"),
        ("70000 pieces", &text, &pieces, "certificate"),
        ("10^5 ranges", &text, &ranges, "certificate"),
        ("a certificate of 17 MiB", &text, &many(" ", 17 << 20), "certificate"),
        ("10^5 nested spaces", &text, &replaced(&proof, " ", &many(" ", 100_000)), "certificate"),
    ];
    for (name, entry, certificate, expected) in cases {
        let (found, reason) = verdict(entry, certificate);
        assert_eq!(found, expected, "{name}: {reason}");
        assert!(reason.len() < 400, "{name}: a message of {} bytes", reason.len());
    }
    println!("files: {:?}", start.elapsed());
    resources();
    println!("with resources: {:?}", start.elapsed());
}

/// Programs that are small to write and monstrous to examine.
fn resources() {
    let claim = claim(Function::Exp, Norm::ABSOLUTE, (0, 1000), (0, 1000));
    let refused = |name: &str, drafts: &[OpDraft], degree: u8, expected: &str| {
        let entry = Entry { claim: claim.clone(), program: program(Ring::Z64, 16, drafts) };
        let certificate = one_piece(&entry, degree, false);
        let rejection = check(entry, &certificate).unwrap_err();
        assert_eq!(variant(&rejection), expected, "{name}: {rejection}");
    };
    let mut squares = vec![OpDraft::Input];
    squares.extend((0..1000).map(|i| sum64(&[(1, i, i)], &[], 0, 0, 16)));
    refused("a thousand squarings", &squares, 40, "range");
    let sign = Lemma::Sign { width: 2, dropped: 0, operands: 1 };
    let inject = Lemma::Injection { ring: Ring::Z64 };
    let mut bits = vec![OpDraft::Input];
    bits.extend((0..1000).map(|_| OpDraft::Sign(0, sign)));
    bits.push(OpDraft::Inject(1, inject));
    refused("a thousand undecided bits", &bits, 8, "piece");
    let mut cubes = vec![OpDraft::Input];
    cubes.extend((0..700u16).map(|i| sum64(&[(1, i, 0); 255], &[(1, i)], 0, 40, 16)));
    refused("a hundred thousand products of degree 40", &cubes, 40, "piece");
    let start = std::time::Instant::now();
    let exponentials = format!("{}x", "add exp mul 200/1 sin x ".repeat(42));
    expensive("42 exponentials of sines", &exponentials, 0, 1, "work");
    println!("42 exponentials of sines on as many pieces as are admitted: {:?}", start.elapsed());
    let start = std::time::Instant::now();
    let factors = |n: usize| format!("{}{}", "mul ".repeat(n - 1), vec!["add x 9/7"; n].join(" "));
    expensive("40 factors of 2^24 at degree 40", &factors(40), 40, 1000, "work");
    expensive("64 factors of 2^24 at degree 40", &factors(64), 40, 1000, "function");
    println!("factors: {:?}", start.elapsed());
}

/// An expression that is small to write and takes long to enclose, on many pieces.
fn expensive(name: &str, words: &str, degree: u8, width: i64, expected: &str) {
    let words: Vec<&str> = words.split(' ').collect();
    let expression = catalogs::Expression::parse(&words).unwrap();
    let first = 1 << (if degree == 0 { 17 } else { 40 });
    let window = (first, first + 65_536 * width - 1);
    let mut claim = claim(Function::Expression(expression.into()), Norm::ABSOLUTE, window, window);
    claim.bound = catalogs::Decimal::new(1, 300).unwrap();
    let entry = Entry { claim, program: program(Ring::Z64, 16, &[OpDraft::Input]) };
    let mut certificate = one_piece(&entry, degree, false);
    let large = catalogs::Decimal::new(1, 300).unwrap();
    let piece = PieceProof { approximation: large, remainder: large, ..certificate.pieces[0].clone() };
    let pieces = (0..65_536).map(|i| first + i * width);
    certificate.pieces = pieces.map(|low| PieceProof { low, high: low + width - 1, ..piece.clone() }).collect();
    let rejection = check(entry, &certificate).unwrap_err();
    assert_eq!(variant(&rejection), expected, "{name}: {rejection}");
}

#[test]
fn the_total_work_is_limited() {
    let window = (0, 65_535);
    let program = program(Ring::Z64, 16, &[OpDraft::Input]);
    let mut entry = Entry { claim: claim(Function::Exp, Norm::ABSOLUTE, window, window), program };
    entry.claim.bound = catalogs::Decimal::new(1, 30).unwrap();
    let mut certificate = one_piece(&entry, 8, false);
    let piece = certificate.pieces[0].clone();
    certificate.pieces = (0..=65_535).map(|x| PieceProof { low: x, high: x, ..piece.clone() }).collect();
    let start = std::time::Instant::now();
    let rejection = check(entry, &certificate).unwrap_err();
    println!("{:?}: {rejection}", start.elapsed());
    assert_eq!(variant(&rejection), "work", "{rejection}");
}

#[test]
fn a_file_that_is_not_text_is_named() {
    let (entry, certificate) = rectifier();
    let place = tempfile::tempdir().unwrap();
    let (entries, proofs) = (place.path().join("entries"), place.path().join("proofs"));
    let mut catalog = Catalog::new();
    let published = Published { entry: entry.to_text(), certificate: certificate.to_text() };
    catalog.insert("relu/whole", published).unwrap();
    catalog.write(&entries, &proofs).unwrap();
    assert_eq!(Catalog::open(&entries, &proofs).unwrap(), catalog);
    let path = proofs.join("relu/whole.certificate");
    std::fs::write(&path, [0xff, 0xfe, b'\n']).unwrap();
    match Catalog::open(&entries, &proofs).unwrap_err() {
        CatalogError::Damaged { path: named, .. } => assert_eq!(named, path),
        other => panic!("{other}"),
    }
    // Files without end, in place of each: a device, and a hole of many gigabytes.
    std::fs::write(&path, certificate.to_text()).unwrap();
    for path in [path, entries.join("relu/whole.entry"), entries.join(catalogs::catalog::INDEX)] {
        let text = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::File::create(&path).unwrap().set_len(1 << 40).unwrap();
        let refused = Catalog::open(&entries, &proofs).unwrap_err().to_string();
        assert!(refused.contains("exceeds"), "{refused}");
        #[cfg(unix)]
        {
            std::fs::remove_file(&path).unwrap();
            std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
            let refused = Catalog::open(&entries, &proofs).unwrap_err().to_string();
            assert!(refused.contains("not a regular file"), "{refused}");
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    assert!(Catalog::open(&entries, &proofs).is_ok());
}
