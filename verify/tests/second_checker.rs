//! The second checker over random pieces: every named function and random expressions, polynomials and tails, all
//! norms, random programs. The certificates state the parts to 36 digits, which pins integers, so that the second checker
//! accepts them only if it finds no larger integers, and rejects the same with one unit less only if it finds no
//! smaller ones. What this checker rejects, the second one must reject for the same reason.
//!
//! `CHEBYSHARE_FUZZ=n` multiplies the number of pieces by n.

#![allow(clippy::unwrap_used)]

mod support;

use catalogs::{Claim, Decimal, Entry, Expression, Function, Norm, Window};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use support::Random;
use support::build::program;
use support::cases::{case, effort, variant};
use support::prove::{Cut, prove_exactly};
use support::random_program::generate;
use verify::{Certificate, PieceProof, Witness, check};

/// An expression of about so many nodes.
fn expression(random: &mut Random, size: i64) -> Expression {
    use Expression::{GaussianIntegral, Pi, Rational, X};
    if size <= 1 {
        return match random.between(0, 9) {
            0..=4 => X,
            5 => Pi,
            6 => GaussianIntegral(random.between(1, 9), random.between(1, 9)),
            _ => Rational(random.between(-40, 40), random.between(1, 9)),
        };
    }
    let half = size / 2;
    match random.between(0, 9) {
        0..=2 => expression(random, half).plus(expression(random, size - half - 1)),
        3 | 4 => expression(random, half).times(expression(random, size - half - 1)),
        5 => expression(random, size - 1).exp(),
        6 => expression(random, size - 1).sine(),
        7 => expression(random, size - 1).positive_part(),
        8 => expression(random, size - 1).reciprocal(),
        _ => Expression::integer(1).plus(expression(random, half).times(expression(random, half))).log(),
    }
}

/// A random claim about a random program, on one piece.
fn draft(random: &mut Random, number: usize) -> (Entry, Cut) {
    let mut case = generate(random, 24);
    let function = match Function::ALL.get(number % (Function::ALL.len() + 12)) {
        Some(named) => named.clone(),
        None => {
            let size = random.between(2, 14);
            Function::Expression(expression(random, size).into())
        }
    };
    case.scale = random.between(i64::from(case.ring.bits()) - 6, i64::from(case.ring.bits())) as u8;
    if matches!(function, Function::Reciprocal | Function::Rsqrt | Function::Log | Function::Sqrt) && case.low <= 0 {
        let shift = 1 - case.low + random.between(0, 20);
        (case.low, case.high) = (case.low + shift, (case.high + shift).min((1 << (case.ring.bits() - 1)) - 1));
    }
    let norm = match random.between(0, 3) {
        0 => Norm::RELATIVE,
        1 => Norm { absolute: Decimal::new(3, -3).unwrap(), relative: Decimal::new(7, -1).unwrap() },
        _ => Norm::ABSOLUTE,
    };
    let (low, high) = (case.low.min(case.high), case.high.max(case.low));
    let window = Window { low, high };
    let claim = Claim { function, fitted: window, window, norm, bound: Decimal::ONE };
    let degree = random.between(0, 16) as u8;
    (Entry { claim, program: program(case.ring, case.scale, &case.drafts) }, Cut(low, degree, random.chance(1, 3)))
}

/// The draft with a certificate that states nothing, to be rejected by what cannot be proved at all.
fn unproved(draft: &Entry, cut: Cut) -> Certificate {
    let large = Decimal::new(1, 300).unwrap();
    let Window { low, high } = draft.claim.window;
    let (approximation, rounding, remainder) = (large, large, large);
    let piece = PieceProof { low, high, degree: cut.1, tail: cut.2, approximation, rounding, remainder };
    let operations = draft.program.ops().len();
    let witness = Witness { input: low, error: Decimal::ZERO, choices: vec![0; operations] };
    let ranges = vec![Some((i128::MIN, i128::MAX)); operations];
    Certificate { entry: draft.digest(), ranges, witness, pieces: vec![piece] }
}

struct Cases {
    list: Vec<(String, Vec<u8>)>,
    verdicts: BTreeMap<String, usize>,
}

impl Cases {
    fn push(&mut self, name: &str, entry: &Entry, certificate: &Certificate) -> &'static str {
        let found = check(entry.clone(), certificate).map_or_else(|rejection| variant(&rejection), |_| "accepted");
        let text = case(found, entry.to_text().as_bytes(), certificate.to_text().as_bytes());
        self.list.push((format!("{:05}-{name}", self.list.len()), text));
        *self.verdicts.entry(found.to_owned()).or_default() += 1;
        found
    }
}

/// The proved pair, and the same with one unit less of each stated part.
fn proved(cases: &mut Cases, name: &str, entry: &Entry, certificate: &Certificate) {
    let found = cases.push(name, entry, certificate);
    if found == "function" {
        // The witness at the piece's end is beyond a limit that its middle keeps.
        return;
    }
    assert_eq!(found, "accepted", "{name}\n{}", entry.to_text());
    // A unit of the parts: 2^−(output scale + 64).
    let one = dashu::rational::RBig::ONE;
    let bits = usize::from(entry.program.output().1.bits()) + verify::model::FRACTION;
    let unit = one / dashu::rational::RBig::from(dashu::integer::IBig::ONE << bits);
    for part in 0..3 {
        let mut less = certificate.clone();
        let piece = &mut less.pieces[0];
        let stated =
            [&mut piece.approximation, &mut piece.rounding, &mut piece.remainder].into_iter().nth(part).unwrap();
        let Some(below) = Decimal::round_up(&(stated.to_rational() - &unit), 36) else { continue };
        if below != *stated {
            *stated = below;
            assert_eq!(cases.push(&format!("{name}-part-{part}"), entry, &less), "part", "{name}");
        }
    }
}

#[test]
fn both_checkers_find_the_same_integers() {
    let mut random = Random(2026);
    let mut cases = Cases { list: Vec::new(), verdicts: BTreeMap::new() };
    let (mut by_function, mut tails, mut number) = (BTreeMap::new(), 0, 0);
    while by_function.values().sum::<u64>() < 130 * effort() {
        number += 1;
        let (draft, cut) = draft(&mut random, number);
        let name = format!("{}{}", draft.claim.function.name(), if cut.2 { "-tail" } else { "" });
        match prove_exactly(&draft, &[cut]) {
            Ok((entry, certificate)) => {
                proved(&mut cases, &name, &entry, &certificate);
                *by_function.entry(entry.claim.function.name()).or_insert(0u64) += 1;
                tails += u64::from(cut.2);
            }
            Err(_) => {
                if number % 4 == 0 {
                    cases.push(&name, &draft, &unproved(&draft, cut));
                }
            }
        }
    }
    println!("{} cases of {by_function:?}, {tails} tails, verdicts {:?}", cases.list.len(), cases.verdicts);
    assert_eq!(by_function.len(), Function::ALL.len() + 1);
    let place = tempfile::tempdir().unwrap();
    for (name, text) in &cases.list {
        std::fs::write(place.path().join(format!("{name}.case")), text).unwrap();
    }
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("second_checker");
    let Ok(output) = Command::new("python3").arg(program).arg("--corpus").arg(place.path()).output() else {
        let _ = writeln!(std::io::stderr(), "NOT RUN: the second checker needs python3");
        return;
    };
    let table = String::from_utf8_lossy(&output.stdout);
    println!("second checker: {}", table.lines().last().unwrap_or_default());
    let disagreements: Vec<&str> = table.lines().filter(|line| line.contains("DISAGREES")).collect();
    if !disagreements.is_empty() {
        println!("kept in {}", place.keep().display());
    }
    assert!(output.status.success(), "{}\n{}", disagreements.join("\n"), String::from_utf8_lossy(&output.stderr));
}

/// The second checker's own tests: enclosures against decimal arithmetic, random programs, weakened checkers that must
/// be caught. The slow ones, mutants of shipped entries, only with `CHEBYSHARE_FUZZ`.
#[test]
fn the_second_checker_passes_its_own_tests() {
    let mut modules = vec!["test_blake3", "test_enclosures", "test_random_programs", "test_rounding", "test_walk"];
    if effort() > 1 {
        modules.push("test_mutants");
    } else {
        let _ = writeln!(std::io::stderr(), "NOT RUN: test_mutants, which takes longer; CHEBYSHARE_FUZZ=2 runs it");
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("second_checker");
    let Ok(output) =
        Command::new("python3").args(["-B", "-m", "unittest", "-q"]).args(modules).current_dir(folder).output()
    else {
        let _ = writeln!(std::io::stderr(), "NOT RUN: the second checker needs python3");
        return;
    };
    let report = String::from_utf8_lossy(&output.stderr);
    println!("{}", report.trim());
    assert!(output.status.success(), "{report}");
}
