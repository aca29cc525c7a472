//! Rings of more than 64 bits: entries are proved and refuted as in narrow ones, up to the edges of ring 128.
//!
//! `corpus-wide/` holds the pairs of files with their verdicts, as `corpus/` does; `CHEBYSHARE_BLESS=1` writes them.

#![allow(clippy::unwrap_used)]

mod support;

use catalogs::evaluate::evaluate_into;
use catalogs::{Adversary, Digest, Entry, Failure, Function, Lemma, Norm, Ring, Rounding, ValueId, evaluate};
use dashu::integer::IBig;
use dashu::rational::RBig;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use support::Random;
use support::bases::claim;
use support::build::{OpDraft, SumDraft, program};
use support::prove::{Cut, prove};
use verify::walk::walk;
use verify::{Certificate, PieceProof, Rejection, Witness, check, check_texts};

fn ring(bits: u8) -> Ring {
    Ring::new(bits).unwrap()
}

fn truncation(bits: u8, shift: u8, window: u8) -> Lemma {
    let (ring, rounding) = (ring(bits), Rounding::FLOOR_OR_NEXT);
    Lemma::Truncation { ring, target: ring, shift, window: Some(window), rounding, failure: Failure::Never }
}

fn sum(
    bits: u8,
    products: &[(i128, u16, u16)],
    linear: &[(i128, u16)],
    constant: i128,
    by: Option<Lemma>,
    scale: u8,
) -> OpDraft {
    let (products, linear) = (products.to_vec(), linear.to_vec());
    OpDraft::Sum(SumDraft { ring: ring(bits), products, linear, constant, truncation: by, scale })
}

/// e^x on [−1/4, 0] at 40 fraction bits by its series to degree 10, in a ring of so many bits.
fn series(bits: u8) -> Entry {
    let unit = f64::exp2(40.0);
    let coefficient = |k: i32| (unit / (1..=k).map(f64::from).product::<f64>()).round() as i128;
    let by = truncation(bits, 40, bits - 2);
    let mut drafts = vec![OpDraft::Input, sum(bits, &[], &[(coefficient(10), 0)], coefficient(9) << 40, Some(by), 40)];
    for k in (0..9).rev() {
        let previous = drafts.len() as u16 - 1;
        drafts.push(sum(bits, &[(1, previous, 0)], &[], coefficient(k) << 40, Some(by), 40));
    }
    let (low, high) = (-(1 << 38), 0);
    let claim = claim(Function::Exp, Norm::ABSOLUTE, (low, high), (low, high));
    Entry { claim, program: program(ring(bits), 40, &drafts) }
}

const PIECES: [Cut; 3] = [Cut(-(1 << 38), 12, false), Cut(-(1 << 37), 12, false), Cut(-(1 << 36), 12, false)];

fn exponential(bits: u8) -> (Entry, Certificate) {
    prove(&series(bits), &PIECES).unwrap()
}

/// 1% less.
fn less(bound: catalogs::Decimal) -> catalogs::Decimal {
    catalogs::Decimal::round_up(&(bound.to_rational() * RBig::from(99) / RBig::from(100)), 9).unwrap()
}

struct Random01<'a>(&'a mut Random);

impl Adversary for Random01<'_> {
    fn rounding(&mut self, _: ValueId, _: i128, rounding: Rounding) -> i8 {
        self.0.pick(&[rounding.low, rounding.high])
    }
    fn outside(&mut self, _: ValueId, operand: i128, _: Ring) -> i128 {
        operand
    }
    fn band(&mut self, _: ValueId, _: i128, exact: bool) -> bool {
        exact
    }
}

/// The bound of the same program is the same in every ring that holds its products, and runs stay inside it.
#[test]
fn an_exponential_at_forty_fraction_bits() {
    let mut random = Random(21);
    let narrow = exponential(84);
    for bits in [84, 96, 127, 128] {
        let (entry, certificate) = exponential(bits);
        assert_eq!(entry.claim.bound, narrow.0.claim.bound, "ring {bits}");
        let certified = check_texts(&entry.to_text(), &certificate.to_text()).unwrap();
        let (bound, unit) = (certified.claim().bound.to_f64_lossy(), f64::exp2(-40.0));
        assert!(bound < 2.0 * unit, "{bound:e}");
        let mut worst = 0.0f64;
        for _ in 0..4000 {
            let x = random.between(-(1 << 38), 0);
            let v = evaluate(&entry.program, x.into(), &mut Random01(&mut random)) as f64;
            worst = worst.max((v * unit - (x as f64 * unit).exp()).abs());
        }
        println!("ring {bits}: {worst:.3e} of {bound:.3e}");
        assert!(worst <= bound && worst > 0.4 * bound);
        // A smaller bound is refused.
        let mut entry = entry;
        entry.claim.bound = less(entry.claim.bound);
        let certificate = Certificate { entry: entry.digest(), ..certificate };
        assert!(matches!(check(entry, &certificate), Err(Rejection::Error { .. })));
    }
    // A ring that does not hold the products.
    assert!(matches!(prove(&series(78), &PIECES), Err(Rejection::Range { .. })));
}

/// x·2^s, truncated by s: exactly one unit of error, from the roundings alone, for every shift up to 127.
fn shifted(shift: u8, window: u8) -> Entry {
    let first = shift.min(60);
    let drafts = [
        OpDraft::Input,
        sum(128, &[], &[(1i128 << first, 0)], 0, None, 0),
        sum(128, &[], &[(1i128 << (shift - first), 1)], 0, Some(truncation(128, shift, window)), 0),
    ];
    // Below 2^(127 − shift), so that the sum fits.
    let high = if shift > 65 { (1i64 << (127 - shift)) - 1 } else { 1 << 60 };
    let (low, high) = (0, high);
    Entry {
        claim: claim(Function::Relu, Norm::ABSOLUTE, (low, high), (low, high)),
        program: program(ring(128), 0, &drafts),
    }
}

#[test]
fn every_shift_of_the_widest_ring() {
    for shift in 1..=127u8 {
        let mut draft = shifted(shift, 127);
        let cuts = [Cut(0, 2, false)];
        let (entry, mut certificate) = prove(&draft, &cuts).unwrap();
        let bound = entry.claim.bound.to_f64_lossy();
        assert!((1.0..=1.0 + 1e-8).contains(&bound), "shift {shift}: {bound}");
        let input = draft.claim.window.high;
        certificate.witness =
            Witness { input, error: catalogs::Decimal::parse("9.99e-1").unwrap(), choices: vec![0, 0, 1] };
        let certified = check(entry, &certificate).unwrap();
        assert_eq!(certified.output_range().1, i128::from(input) + 1, "shift {shift}");
        // A window that is too small for the largest sum, and one input too many for the ring.
        if (66..=126).contains(&shift) {
            let refused = prove(&shifted(shift, 125), &cuts).unwrap_err();
            assert!(matches!(refused, Rejection::Range { operation: 2, .. }), "shift {shift}: {refused}");
            draft.claim.window.high += 1;
            assert!(matches!(prove(&draft, &cuts), Err(Rejection::Range { .. })), "shift {shift}");
        }
    }
}

/// Random sums, truncations and signs in rings of 65 to 128 bits: every value that is live in the walk is, as an
/// integer, inside the range that the walk proves; an unsound radius or window would be seen.
#[test]
fn walks_contain_runs_in_every_wide_ring() {
    let mut random = Random(5);
    let (mut compared, mut touched, mut walked) = (0u64, 0, 0);
    for _ in 0..400 {
        let bits = random.between(65, 128) as u8;
        let reach = random.between(8, 40);
        let scales: Vec<i64> = (0..2).map(|_| random.between(1, (i64::from(bits) - 2 * reach - 6).max(1))).collect();
        let shift = |random: &mut Random| random.between(1, i64::from(bits) - 1) as u8;
        let (first, second) = (shift(&mut random), shift(&mut random));
        let coefficient = |random: &mut Random, scale: i64| i128::from(random.between(1, 9)) << scale.min(90);
        let drafts = [
            OpDraft::Input,
            sum(
                bits,
                &[(coefficient(&mut random, scales[0]), 0, 0)],
                &[(coefficient(&mut random, scales[1]), 0)],
                i128::from(random.between(-1000, 1000)) << 40,
                Some(truncation(bits, first, bits - 1)),
                0,
            ),
            sum(
                bits,
                &[],
                &[(coefficient(&mut random, 20), 1), (-7, 0)],
                3,
                Some(truncation(bits, second, bits - 1)),
                0,
            ),
            OpDraft::Sign(0, Lemma::Sign { width: bits, dropped: 0, operands: 1 }),
            OpDraft::Inject(3, Lemma::Injection { ring: ring(bits) }),
            sum(bits, &[(1, 2, 4)], &[(1, 1)], 0, None, 0),
        ];
        let program = program(ring(bits), 0, &drafts);
        let low = random.between(-(1 << reach), (1 << reach) - 1);
        let width = random.between(0, reach);
        let high = low + random.between(0, 1 << width);
        let Ok(walk) = walk(&program, low, high, 4) else { continue };
        walked += 1;
        for _ in 0..50 {
            let x = random.between(low, high);
            let mut values = Vec::new();
            evaluate_into(&program, x.into(), &mut Random01(&mut random), &mut values);
            for operation in [0, 1, 2, 4] {
                // A product with a bit that is 0 may be poisoned before.
                let Some((least, greatest)) = walk.ranges[operation].clone() else { continue };
                let value = IBig::from(values[operation]);
                assert!(least <= value && value <= greatest, "{program:?}: v{operation} = {value} at {x}");
                compared += 1;
                touched += u64::from(value == least || value == greatest);
            }
        }
    }
    println!("{walked} programs, {compared} values, {touched} of them at an end of their range");
    // Ranges that were smaller by one would be refuted.
    assert!(walked > 100 && touched > 1000);
}

/// The first and the last integer of ring 128, reached by a sum that a window of 127 bits just holds.
#[test]
fn the_edge_of_the_widest_ring() {
    let by = truncation(128, 64, 127);
    let make = |constant: i128| {
        let drafts = [
            OpDraft::Input,
            sum(128, &[], &[(1 << 64, 0)], 0, None, 0),
            sum(128, &[], &[(1, 1)], constant, Some(by), 0),
        ];
        let whole = (i64::MIN, i64::MAX);
        let claim =
            claim(Function::Expression(std::sync::Arc::new(catalogs::Expression::X)), Norm::ABSOLUTE, whole, whole);
        Entry { claim, program: program(ring(128), 0, &drafts) }
    };
    let cuts = [Cut(i64::MIN, 2, false)];
    let (entry, certificate) = prove(&make((1 << 64) - 1), &cuts).unwrap();
    assert_eq!(evaluate(&entry.program, i64::MIN.into(), &mut catalogs::evaluate::Constant(0)), i128::from(i64::MIN));
    let certified = check(entry, &certificate).unwrap();
    // x + 1 − 2^−64 is at most one rounding above the floor.
    assert!(certified.claim().bound.to_f64_lossy() <= 2.0 + 1e-8);
    for beyond in [1 << 64, -1] {
        let refused = prove(&make(beyond), &cuts).unwrap_err();
        assert!(matches!(refused, Rejection::Range { operation: 2, .. }), "{refused}");
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus-wide")
}

fn verdict(entry: &str, certificate: &str) -> &'static str {
    match check_texts(entry, certificate) {
        Ok(_) => "accepted",
        Err(Rejection::Entry(_)) => "entry",
        Err(Rejection::Range { .. }) => "range",
        Err(Rejection::Error { .. }) => "error",
        Err(Rejection::Claim(_)) => "claim",
        Err(_) => "another reason",
    }
}

/// One piece that states everything it needs, whatever comes out.
fn one_piece(entry: &Entry) -> Certificate {
    let widest = (i128::MIN, i128::MAX);
    let large = catalogs::Decimal::new(1, 200).unwrap();
    let (low, high) = (entry.claim.window.low, entry.claim.window.high);
    let (approximation, rounding, remainder) = (large, large, large);
    let piece = PieceProof { low, high, degree: 2, tail: false, approximation, rounding, remainder };
    let operations = entry.program.ops().len();
    let witness = Witness { input: low, error: catalogs::Decimal::ZERO, choices: vec![0; operations] };
    Certificate { entry: entry.digest(), ranges: vec![Some(widest); operations], witness, pieces: vec![piece] }
}

fn corpus() -> Vec<(&'static str, &'static str, String, String)> {
    let mut cases = Vec::new();
    let (entry, certificate) = exponential(128);
    let mut push = |name, expected, entry: &Entry, certificate: &Certificate| {
        cases.push((name, expected, entry.to_text(), certificate.to_text()));
    };
    push("exponential-ring-128-good", "accepted", &entry, &certificate);
    let mut below = entry.clone();
    below.claim.bound = less(entry.claim.bound);
    push(
        "exponential-ring-128-bound-below",
        "error",
        &below,
        &Certificate { entry: below.digest(), ..certificate.clone() },
    );
    for (name, shift) in [("shift-63", 63), ("shift-64", 64), ("shift-65", 65), ("shift-100", 100), ("shift-127", 127)]
    {
        let (entry, certificate) = prove(&shifted(shift, 127), &[Cut(0, 2, false)]).unwrap();
        push(name, "accepted", &entry, &certificate);
    }
    let narrow = shifted(100, 125);
    push("shift-100-window-too-small", "range", &narrow, &one_piece(&narrow));
    let mut beyond = shifted(100, 127);
    beyond.claim.window.high += 1;
    push("shift-100-beyond-the-ring", "range", &beyond, &one_piece(&beyond));
    let (entry, certificate) = prove(&shifted(127, 127), &[Cut(0, 2, false)]).unwrap();
    for (name, from, to) in [
        ("shift-128", "shift 127", "shift 128"),
        ("ring-129", "input ring 128", "input ring 129"),
        ("window-128", "window 127", "window 128"),
    ] {
        let text = entry.to_text();
        assert!(text.contains(from));
        let text = text.replace(from, to);
        let digest = Digest::of(catalogs::digest::Tag::Entry, text.as_bytes());
        cases.push((name, "entry", text, Certificate { entry: digest, ..certificate.clone() }.to_text()));
    }
    cases
}

#[test]
fn the_wide_corpus_is_up_to_date_and_gets_its_verdicts() {
    let mut expected = BTreeMap::new();
    for (name, verdict_wanted, entry, certificate) in corpus() {
        assert_eq!(verdict(&entry, &certificate), verdict_wanted, "{name}");
        let text = format!("expect {verdict_wanted}\n--- entry\n{entry}--- certificate\n{certificate}");
        assert!(expected.insert(format!("{name}.case"), text).is_none(), "{name} twice");
    }
    if std::env::var_os("CHEBYSHARE_BLESS").is_some() {
        let _ = std::fs::remove_dir_all(folder());
        std::fs::create_dir_all(folder()).unwrap();
        expected.iter().for_each(|(name, text)| std::fs::write(folder().join(name), text).unwrap());
    }
    let files = std::fs::read_dir(folder()).unwrap().map(|file| file.unwrap().path());
    let found: BTreeMap<String, String> = files
        .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(path).unwrap()))
        .collect();
    assert!(found == expected, "run with CHEBYSHARE_BLESS=1");
}
