//! `cargo bench -p synth --bench quantised`: coefficients at a step of 2^-16 against the largest proved bound.
//!
//! The golden functions on their wide domains and the same and others on narrow ones, where the step and not the degree
//! limits the error; once in the variable on [−1, 1] and, for some degrees, in whatever variable the search chooses.
//! `-- FIRST LAST` runs only the cases of these numbers, from 1, and says so.

use std::time::Instant;
use synth::best::Shape;
use synth::best::quantised::{QuantisedBest, Steps, Wish, quantised};
use synth::expression::{Expression, parse_rational};
use synth::golden::polynomials;
use synth::minimax::{Domain, Scaling};

/// What the certified error may be over the largest proved bound.
const LIMIT: f64 = 1.10;
const NARROW: [(&str, &str, &str); 15] = [
    ("exp", "-10", "0"),
    ("exp", "0", "1"),
    ("exp2", "0", "1"),
    ("reciprocal", "1", "2"),
    ("reciprocal", "1/2", "3/2"),
    ("rsqrt", "1", "4"),
    ("log", "1", "2"),
    ("sigmoid", "-1", "1"),
    ("sigmoid", "-2", "2"),
    ("tanh", "-1", "1"),
    ("erf", "-1", "1"),
    ("gelu", "-1", "1"),
    ("silu", "-2", "2"),
    ("sin", "-1", "1"),
    ("softplus", "-1", "1"),
];
const DEGREES: std::ops::RangeInclusive<u32> = 3..=16;
/// Degrees that are also searched in other variables.
const SEARCHED: [u32; 4] = [4, 8, 12, 16];

fn main() {
    let mut domains: Vec<(String, rug::Rational, rug::Rational)> = Vec::new();
    for golden in polynomials().into_iter().filter(|golden| golden.shape == Shape::Polynomial(3)) {
        domains.push((golden.function, golden.low, golden.high));
    }
    for (function, low, high) in NARROW {
        match (parse_rational(low), parse_rational(high)) {
            (Some(low), Some(high)) => domains.push((function.into(), low, high)),
            _ => println!("FAILED: {low},{high} is no domain"),
        }
    }
    println!(
        "function    domain       degree  variable  rounded     certified   minimax     bound       by       ratio   nodes  seconds"
    );
    let started = Instant::now();
    let (mut cases, mut worst, mut missed, mut all) = (0, 1f64, 0, 0);
    // Cargo passes --bench.
    let numbers: Vec<u32> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let (first, last) = match numbers[..] {
        [first, last] => (first, last),
        _ => (1, u32::MAX),
    };
    for (function, low, high) in &domains {
        for degree in DEGREES {
            for search in [false, true].into_iter().filter(|search| !search || SEARCHED.contains(&degree)) {
                all += 1;
                if !(first..=last).contains(&all) {
                    continue;
                }
                cases += 1;
                match measure(function, low, high, degree, search) {
                    Ok(found) => {
                        worst = worst.max(found.ratio());
                        missed += u32::from(found.ratio() > LIMIT);
                    }
                    Err(error) => {
                        println!("{function} {low},{high} {degree}: FAILED: {error}");
                        missed += 1;
                    }
                }
            }
        }
    }
    println!(
        "{cases} cases in {:.1} s: certified error at most {worst:.4} times the binding bound (limit {LIMIT}), {missed} missed",
        started.elapsed().as_secs_f64()
    );
    if cases < all {
        println!("NOT RUN: {} of {all} cases", all - cases);
    }
}

fn measure(
    function: &str,
    low: &rug::Rational,
    high: &rug::Rational,
    degree: u32,
    search: bool,
) -> Result<QuantisedBest, String> {
    let expression = Expression::parse(function).map_err(|error| error.to_string())?;
    let domain = Domain::interval(low.clone(), high.clone()).map_err(|error| error.to_string())?;
    let unit = Scaling::onto_unit(&domain).map_err(|error| error.to_string())?;
    let variable = if search { None } else { Some(unit) };
    let wish = Wish { degree, steps: Steps::Fixed(-16), variable, nodes: 4000, narrow: None };
    let started = Instant::now();
    let found = quantised(&expression, low, high, &wish, &mut |_| {}).map_err(|error| error.to_string())?;
    let (name, bound) = found.binding();
    println!(
        "{function:10}  {:11}  {degree:6}  {:8}  {:.4e}  {:.4e}  {:.4e}  {:.4e}  {name:7}  {:.4}  {:5}  {:.2}{}",
        format!("[{low}, {high}]"),
        if search { "search" } else { "unit" },
        found.rounded_error.to_f64(),
        found.upper.to_f64(),
        found.minimax.to_f64(),
        bound.to_f64(),
        found.ratio(),
        found.nodes,
        started.elapsed().as_secs_f64(),
        if found.exhausted { "" } else { "  (out of budget)" },
    );
    Ok(found)
}
