//! How long evidence takes: inputs per second of an exhaustion, and seconds per lemma. Validates before it reports.

use catalogs::{
    Claim, Decimal, Entry, Failure, Function, Lemma, LemmaId, Norm, Op, Product, Program, Ring, Rounding, Scale, Sum,
    Term, ValueId, Window,
};
use evidence::{Expected, Options, exhaust, prove};
use std::time::{Duration, Instant};

fn main() {
    for (name, entry) in [("six dependent truncations", horner(false)), ("with a square kept alive", horner(true))] {
        let start = Instant::now();
        let found = exhaust(&entry, entry.claim.window, &Options::default()).expect("the entry can be exhausted");
        let seconds = start.elapsed().as_secs_f64();
        let error = found.worst_error.expect("nothing is capped and nothing escapes");
        let threads = rayon::current_num_threads() as f64;
        println!(
            "{name}: {} inputs in {seconds:.3} s, {:.2e} inputs/s per thread on {threads} threads; worst error {:.4e}",
            found.inputs,
            found.inputs as f64 / seconds / threads,
            error.upper().to_f64()
        );
    }
    let mut times = Vec::new();
    for query in evidence::smt::shipped_queries().expect("every shipped lemma has a formula") {
        let start = Instant::now();
        let verdict = prove(&query, Duration::from_secs(60)).expect("the query is well-formed");
        assert!(verdict.confirms(query.expected), "{}: {verdict:?}", query.name);
        times.push((start.elapsed().as_secs_f64(), query.name, query.expected == Expected::Unsat));
    }
    times.sort_by(|a, b| b.0.total_cmp(&a.0));
    println!("{} queries in {:.2} s; the slowest:", times.len(), times.iter().map(|time| time.0).sum::<f64>());
    for (seconds, name, _) in times.iter().take(8) {
        println!("  {seconds:.3} s {name}");
    }
}

/// e^x on 2^20 inputs by Horner's rule in x, or in x² with odd and even parts.
fn horner(square: bool) -> Entry {
    let scale = Scale::new(20).expect("20 is a scale");
    let ring = Ring::Z64;
    let lemma = Lemma::Truncation {
        ring,
        target: ring,
        shift: 20,
        window: Some(62),
        rounding: Rounding::FLOOR_OR_NEXT,
        failure: Failure::Never,
    };
    let one = 1i128 << 20;
    let coefficients: Vec<i128> = [1i128, 1, 2, 6, 24, 120, 720].iter().map(|factorial| one / factorial).collect();
    let sum = |products: &[(u16, u16)], linear: &[(i128, u16)], constant: i128, truncated: bool| {
        Op::Sum(Sum {
            ring,
            products: products
                .iter()
                .map(|&(left, right)| Product { coefficient: 1, left: ValueId(left), right: ValueId(right) })
                .collect(),
            linear: linear.iter().map(|&(coefficient, value)| Term { coefficient, value: ValueId(value) }).collect(),
            constant,
            truncation: truncated.then_some(LemmaId(0)),
            scale,
        })
    };
    let mut ops = vec![Op::Input];
    if square {
        ops.push(sum(&[(0, 0)], &[], 0, true));
        ops.push(sum(&[], &[(coefficients[6], 1)], coefficients[4] * one, true));
        ops.push(sum(&[(2, 1)], &[], coefficients[2] * one, true));
        ops.push(sum(&[], &[(coefficients[5], 1)], coefficients[3] * one, true));
        ops.push(sum(&[(4, 1)], &[], coefficients[1] * one, true));
        ops.push(sum(&[(3, 1), (5, 0)], &[], coefficients[0] * one, true));
    } else {
        ops.push(sum(&[], &[(coefficients[6], 0)], coefficients[5] * one, true));
        for step in (0..5).rev() {
            ops.push(sum(&[(ops.len() as u16 - 1, 0)], &[], coefficients[step] * one, true));
        }
    }
    let program = Program::new(ring, scale, vec![lemma], ops).expect("the program is well-formed");
    let window = Window { low: -(1 << 20), high: 0 };
    let claim = Claim { function: Function::Exp, fitted: window, window, norm: Norm::ABSOLUTE, bound: Decimal::ONE };
    Entry { claim, program }
}
