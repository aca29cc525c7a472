//! NFGen's benchmark functions on its domains, proved: a table with the cheapest entry of every front.
//!
//! `nfgen [PART_OF_NAME]`; with FRONT in the environment every entry of every front is printed.

use catalogs::protocol::rss3::Rss3;
use std::time::Instant;
use synth::nfgen::{ACCURACY, LINES};
use synth::search::{Found, front, publish};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let part = std::env::args().nth(1).unwrap_or_default();
    println!(
        "absolute accuracy {ACCURACY} on every number of the format in the domain; bytes of all parties per element"
    );
    println!(
        "{:<31} {:<14} {:>2} {:>2} {:>11} {:>6} {:>6} {:>5} {:>7}  family",
        "function", "domain", "k", "f", "certified", "pieces", "rounds", "bytes", "seconds"
    );
    let mut missing = Vec::new();
    for line in LINES.iter().filter(|line| line.name.contains(&part)) {
        let goal = line.goal()?;
        let start = Instant::now();
        let (low, high) = line.domain;
        let heading = format!(
            "{:<31} {:<14} {:>2} {:>2}",
            line.name,
            format!("[{low}, {high}]"),
            line.ring_bits,
            line.fraction_bits
        );
        let found = match front(&goal, &Rss3, &mut |_| {}) {
            Ok(found) => found,
            Err(error) => {
                println!("{heading} {error} ({:.1} s)", start.elapsed().as_secs_f64());
                missing.push(line.name);
                continue;
            }
        };
        let seconds = start.elapsed().as_secs_f64();
        let all = std::env::var_os("FRONT").is_some();
        for found in found.iter().take(if all { usize::MAX } else { 1 }) {
            let texts = publish(found);
            verify::check_texts(&texts.entry, &texts.certificate)?;
            println!(
                "{heading} {:>11} {:>6} {:>6} {:>5} {seconds:>7.1}  {} {}",
                found.entry.claim.bound.to_string(),
                pieces(found),
                found.rounds,
                found.bits.div_ceil(8),
                found.family,
                found.parameters,
            );
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(format!("not found: {}", missing.join(", ")).into()) }
}

/// Parts of the domain with their own polynomial: one more than there are comparisons.
fn pieces(found: &Found) -> usize {
    let is_sign = |op: &&catalogs::Op| matches!(op, catalogs::Op::Sign { .. });
    found.entry.program.ops().iter().filter(is_sign).count() + 1
}
