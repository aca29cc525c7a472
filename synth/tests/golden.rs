//! Best approximations against what other tools found, each with its proof of optimality.

#![allow(clippy::unwrap_used)]

use rug::Float;
use std::io::Write;
use synth::best::{Best, Shape, best};
use synth::expression::Expression;
use synth::golden::{Golden, ask_sollya, fractions, polynomials};

/// Relative agreement of polynomials, and of fractions.
const POLYNOMIAL_TOLERANCE: f64 = 1e-9;
const FRACTION_TOLERANCE: f64 = 1e-6;

fn fitted(golden: &Golden) -> Best {
    let function = Expression::parse(&golden.function).unwrap();
    best(&function, &golden.low, &golden.high, golden.shape).unwrap_or_else(|error| panic!("{golden:?}: {error}"))
}

fn off(a: &Float, b: &Float) -> f64 {
    (Float::with_val(200, a / b) - 1u32).to_f64().abs()
}

/// Whether the fit has the golden error, proved from both sides, and alternates often enough.
fn agrees(golden: &Golden, found: &Best, tolerance: f64) -> Result<(), String> {
    let parameters = match golden.shape {
        Shape::Polynomial(degree) => degree + 1,
        Shape::Rational(above, below) => above + below + 1,
    };
    let place = format!("{} on [{}, {}], {:?}", golden.function, golden.low, golden.high, golden.shape);
    for (name, value) in [
        ("error", &found.minimax_error),
        ("upper bound", &found.proof.upper),
        ("lower bound", &found.proof.best_possible),
    ] {
        let off = off(value, &golden.error);
        if off.is_nan() || off > tolerance {
            return Err(format!("{place}: the {name} {value} is off by {off:e} from {}", golden.error));
        }
    }
    if found.proof.upper < found.proof.best_possible {
        return Err(format!("{place}: the bounds contradict each other"));
    }
    match found.extrema.len() > parameters as usize {
        true => Ok(()),
        false => Err(format!("{place}: {} extrema do not prove it best", found.extrema.len())),
    }
}

fn all_agree(cases: &[Golden], tolerance: f64) {
    for golden in cases {
        agrees(golden, &fitted(golden), tolerance).unwrap();
    }
}

#[test]
fn mutants_are_noticed() {
    let golden = polynomials().swap_remove(2);
    let found = fitted(&golden);
    agrees(&golden, &found, POLYNOMIAL_TOLERANCE).unwrap();
    let mut wrong = golden.clone();
    wrong.error *= 1.0 + 2e-9;
    assert!(agrees(&wrong, &found, POLYNOMIAL_TOLERANCE).unwrap_err().contains("off by"));
    let mut loose = found.clone();
    loose.proof.best_possible *= 1.0 - 2e-9;
    assert!(agrees(&golden, &loose, POLYNOMIAL_TOLERANCE).unwrap_err().contains("lower bound"));
    let mut few = found;
    few.extrema.truncate(6);
    assert!(agrees(&golden, &few, POLYNOMIAL_TOLERANCE).unwrap_err().contains("extrema"));
}

#[test]
fn polynomials_of_the_first_five_functions() {
    let cases = polynomials();
    assert_eq!(cases.len(), 120);
    all_agree(&cases[..60], POLYNOMIAL_TOLERANCE);
}

#[test]
fn polynomials_of_the_last_five_functions() {
    all_agree(&polynomials()[60..], POLYNOMIAL_TOLERANCE);
}

/// The cheap ones; `cargo bench -p synth --bench fit` runs all of them.
#[test]
fn fractions_of_an_independent_exchange() {
    let few = |golden: &Golden| match golden.shape {
        Shape::Rational(above, below) => above + below <= 4 || (golden.function == "exp" && golden.low == -1),
        Shape::Polynomial(_) => true,
    };
    let (cases, left): (Vec<Golden>, Vec<Golden>) = fractions().into_iter().partition(few);
    say(&format!(
        "{} of {} fractions; NOT RUN here but in the bench: {}",
        cases.len(),
        cases.len() + left.len(),
        left.len()
    ));
    all_agree(&cases, FRACTION_TOLERANCE);
}

/// Sollya, where it is installed, still says what the golden file says.
#[test]
fn sollya_afresh() {
    let chosen = |golden: &Golden| matches!(golden.shape, Shape::Polynomial(3 | 8 | 12 | 16));
    let Some(answers) = ask_sollya(chosen) else {
        return say("NOT RUN: Sollya is not installed, so the golden errors were not computed afresh");
    };
    let expected: Vec<Golden> = polynomials().into_iter().filter(chosen).collect();
    assert_eq!(answers.len(), expected.len(), "Sollya answered something else");
    for (answer, golden) in answers.iter().zip(&expected) {
        assert_eq!((&answer.golden.function, answer.golden.shape), (&golden.function, golden.shape));
        assert!(off(&answer.golden.error, &golden.error) < 1e-10, "{answer:?} is not {golden:?}");
    }
}

/// Past the capture of the test harness.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
