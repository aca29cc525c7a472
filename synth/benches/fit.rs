//! `cargo bench -p synth --bench fit`: every golden case fitted and proved, with seconds, beside Sollya where installed.

use std::time::Instant;
use synth::best::{Shape, best};
use synth::expression::Expression;
use synth::golden::{Answer, Golden, ask_sollya, fractions, polynomials};

/// What the 120 polynomials may take together.
const LIMIT_SECONDS: f64 = 60.0;

fn main() {
    let sollya = ask_sollya(|_| true);
    if sollya.is_none() {
        println!("NOT RUN: Sollya is not installed; its seconds are missing");
    }
    println!(
        "function    domain       degree  error                  off golden  proved width  alternations  seconds  Sollya"
    );
    let mut worst: f64 = 0.0;
    let mut failed = 0;
    let polynomials = polynomials();
    let started = Instant::now();
    for golden in &polynomials {
        let answer = sollya.as_deref().and_then(|answers| answers.iter().find(|answer| same(answer, golden)));
        match measure(golden, answer) {
            Some(off) => worst = worst.max(off),
            None => failed += 1,
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let verdict = if failed == 0 && worst <= 1e-9 && seconds < LIMIT_SECONDS { "met" } else { "MISSED" };
    println!(
        "{} polynomials in {seconds:.2} s (limit {LIMIT_SECONDS} s), off by at most {worst:.1e} (limit 1e-9), \
         {failed} failed: {verdict}",
        polynomials.len()
    );
    if let Some(answers) = &sollya {
        let total: f64 = answers.iter().map(|answer| answer.seconds).sum();
        println!("Sollya's remez for {} of them: {total:.2} s, without a proof", answers.len());
    }
    let fractions = fractions();
    let (started, mut worst, mut failed) = (Instant::now(), 0f64, 0);
    for golden in &fractions {
        match measure(golden, None) {
            Some(off) => worst = worst.max(off),
            None => failed += 1,
        }
    }
    let verdict = if failed == 0 && worst <= 1e-6 { "met" } else { "MISSED" };
    println!(
        "{} fractions in {:.2} s, off by at most {worst:.1e} (limit 1e-6), {failed} failed: {verdict}",
        fractions.len(),
        started.elapsed().as_secs_f64()
    );
}

fn same(answer: &Answer, golden: &Golden) -> bool {
    answer.golden.function == golden.function && answer.golden.shape == golden.shape
}

/// Prints a row; the relative distance from the golden error.
fn measure(golden: &Golden, sollya: Option<&Answer>) -> Option<f64> {
    let function = Expression::parse(&golden.function).ok()?;
    let degree = match golden.shape {
        Shape::Polynomial(degree) => degree.to_string(),
        Shape::Rational(above, below) => format!("{above},{below}"),
    };
    let place = format!("{:10}  {:11}  {degree:6}", golden.function, format!("[{}, {}]", golden.low, golden.high));
    let started = Instant::now();
    let found = match best(&function, &golden.low, &golden.high, golden.shape) {
        Ok(found) => found,
        Err(error) => {
            println!("{place}  FAILED: {error}");
            return None;
        }
    };
    let seconds = started.elapsed().as_secs_f64();
    let relative = |a: &rug::Float, b: &rug::Float| (rug::Float::with_val(200, a / b) - 1u32).to_f64().abs();
    let off = relative(&found.minimax_error, &golden.error);
    let width = relative(&found.proof.upper, &found.proof.best_possible);
    let beside = sollya.map_or_else(String::new, |answer| format!("{:.3}", answer.seconds));
    println!(
        "{place}  {:21}  {off:10.1e}  {width:12.1e}  {:12}  {seconds:7.3}  {beside}",
        found.minimax_error.to_string_radix(10, Some(15)),
        found.extrema.len(),
    );
    Some(off)
}
