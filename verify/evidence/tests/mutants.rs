//! Mutants of every shipped entry and of the good cases, by class: each is rejected for a reason that is right for its
//! class, or what it claims is true, which is shown without the checker: by exhaustion where the window has at most
//! 2^17 inputs, otherwise on every input of a part of the window and on samples beyond, and then it says so.
//!
//! One of each class of each pair by default; `CHEBYSHARE_FUZZ=n` takes n of each, and from 1000 on all.
//! Two of each pair, or with n from 2 to 999 all that are tried, go through the second checker, which must give the same
//! verdict with the same reason.

#![allow(clippy::unwrap_used)]

#[path = "../../tests/support/mod.rs"]
mod support;

use catalogs::{Entry, Window};
use evidence::exhaust::{self, exhaust};
use evidence::sample::{Strata, sample};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use support::Random;
use support::cases::{case, effort, good_cases, shipped, verdict};
use support::mutants::{Class, Mutant, mutants};

/// Windows of at most so many inputs are exhausted.
const EXHAUSTED: u128 = 1 << 17;
/// Of larger ones, this many inputs in the middle of the fitted interval.
const PART: i64 = 1 << 14;

/// What became of the mutants of a class.
#[derive(Clone, Default, Debug)]
struct Tally {
    made: usize,
    tried: usize,
    reasons: BTreeMap<&'static str, usize>,
    same_claim: usize,
    exhausted: usize,
    sampled: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Truth {
    SameClaim,
    Exhausted,
    Sampled,
}

/// Why an accepted mutant may be accepted; an error if what it claims is not true.
fn truth(mutant: &Mutant, original: &str) -> Result<Truth, String> {
    if mutant.entry == original.as_bytes() {
        return Ok(Truth::SameClaim);
    }
    let entry = Entry::parse(std::str::from_utf8(&mutant.entry).unwrap()).unwrap();
    let claim = &entry.claim;
    let options = exhaust::Options::default();
    let whole = claim.window.size() <= EXHAUSTED;
    let window = if whole { claim.window } else { middle(&entry) };
    let exhaustion = exhaust(&entry, window, &options).map_err(|error| error.to_string())?;
    if exhaustion.exceeds(claim.bound) || exhaustion.escaped.count > 0 {
        return Err(format!("{:?}, {:?}", exhaustion.worst, exhaustion.escaped));
    }
    if whole && exhaustion.is_within(claim.bound) {
        return Ok(Truth::Exhausted);
    }
    let strata = Strata { points_per_octave: 40, neighbours: 20, seed: 5 };
    let sampling = sample(&entry, claim.window, strata, &options).map_err(|error| error.to_string())?;
    let refuted = *sampling.worst.error.lower() > claim.bound.to_f64_lossy() * (1.0 + 1e-12);
    if refuted || sampling.escaped.count > 0 {
        return Err(format!("{:?}, {:?}", sampling.worst, sampling.escaped));
    }
    Ok(Truth::Sampled)
}

fn middle(entry: &Entry) -> Window {
    let fitted = entry.claim.fitted;
    let centre = fitted.low + ((i128::from(fitted.high) - i128::from(fitted.low)) / 2) as i64;
    let low = centre.saturating_sub(PART / 2).max(entry.claim.window.low);
    Window { low, high: low.saturating_add(PART).min(entry.claim.window.high) }
}

/// The mutants of a class of a pair that are tried.
fn chosen<'a>(all: &'a [Mutant], class: Class, random: &mut Random) -> (usize, Vec<&'a Mutant>) {
    let of_class: Vec<&Mutant> = all.iter().filter(|mutant| mutant.class == class).collect();
    let limit = match effort() {
        1000.. => usize::MAX,
        effort => effort as usize,
    };
    let made = of_class.len();
    if made <= limit {
        return (made, of_class);
    }
    (made, (0..limit).map(|_| of_class[random.between(0, made as i64 - 1) as usize]).collect())
}

#[test]
fn every_mutant_is_rejected_for_its_reason_or_true() {
    let pairs: Vec<_> = good_cases().into_iter().chain(shipped()).collect();
    let tallies = Mutex::new(BTreeMap::<Class, Tally>::new());
    let (wrong, for_second) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(pair) = pairs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let all = mutants(pair);
            let mut random = Random(pair.name.bytes().map(u64::from).sum());
            let lucky = random.between(0, Class::ALL.len() as i64 - 1) as usize;
            for (number, class) in Class::ALL.into_iter().enumerate() {
                let (made, tried) = chosen(&all, class, &mut random);
                let mut tally = Tally { made, tried: tried.len(), ..Tally::default() };
                for (i, mutant) in tried.into_iter().enumerate() {
                    let (found, reason) = verdict(&mutant.entry, &mutant.certificate);
                    let name = || format!("{}, {} {}: {found} {reason}", pair.name, class.name(), mutant.what);
                    if !mutant.expected.contains(&found) {
                        wrong.lock().unwrap().push(format!("expected {:?}: {}", mutant.expected, name()));
                    }
                    if found != "accepted" {
                        *tally.reasons.entry(found).or_default() += 1;
                    } else {
                        match truth(mutant, &pair.entry) {
                            Ok(Truth::SameClaim) => tally.same_claim += 1,
                            Ok(Truth::Exhausted) => tally.exhausted += 1,
                            Ok(Truth::Sampled) => tally.sampled += 1,
                            Err(error) => wrong.lock().unwrap().push(format!("a false claim: {} {error}", name())),
                        }
                    }
                    // Two classes of each pair, in turn; or all that was tried.
                    let in_turn = i == 0 && (number + 1) % 12 == lucky % 12;
                    if in_turn || (2..1000).contains(&effort()) {
                        for_second.lock().unwrap().push((mutant.clone(), found, pair.name.clone()));
                    }
                }
                let mut tallies = tallies.lock().unwrap();
                let sum = tallies.entry(class).or_default();
                *sum = joined(std::mem::take(sum), tally);
            }
        }
    };
    std::thread::scope(|scope| (0..2).for_each(|_| drop(scope.spawn(work))));
    let tallies = tallies.into_inner().unwrap();
    print(&tallies, pairs.len());
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} mutants:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
    for class in Class::ALL {
        assert!(tallies[&class].tried > 10, "{class:?} was hardly tried");
    }
    second_checker(for_second.into_inner().unwrap());
}

fn joined(mut sum: Tally, other: Tally) -> Tally {
    sum.made += other.made;
    sum.tried += other.tried;
    sum.same_claim += other.same_claim;
    sum.exhausted += other.exhausted;
    sum.sampled += other.sampled;
    for (reason, count) in other.reasons {
        *sum.reasons.entry(reason).or_default() += count;
    }
    sum
}

fn print(tallies: &BTreeMap<Class, Tally>, pairs: usize) {
    println!(
        "mutants of {pairs} pairs; accepted ones are true: the same claim, by exhaustion, or on a part and samples"
    );
    println!(
        "{:32} {:>7} {:>6} {:>8} {:>5} {:>5} {:>7}  reasons",
        "class", "made", "tried", "rejected", "same", "exh.", "sampled"
    );
    let mut sum = Tally::default();
    let row = |name: &str, tally: &Tally| {
        let rejected: usize = tally.reasons.values().sum();
        let reasons: Vec<String> = tally.reasons.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        println!(
            "{name:32} {:7} {:6} {rejected:8} {:5} {:5} {:7}  {}",
            tally.made,
            tally.tried,
            tally.same_claim,
            tally.exhausted,
            tally.sampled,
            reasons.join(", ")
        );
    };
    for (class, tally) in tallies {
        row(class.name(), tally);
        sum = joined(sum, tally.clone());
    }
    row("all", &sum);
}

/// The second checker's verdict on the same files, with the same reason.
fn second_checker(mutants: Vec<(Mutant, &'static str, String)>) {
    let place = tempfile::tempdir().unwrap();
    for (number, (mutant, found, pair)) in mutants.iter().enumerate() {
        let name = format!("{number:04}-{:?}-{}.case", mutant.class, pair.replace('/', "-"));
        std::fs::write(place.path().join(name), case(found, &mutant.entry, &mutant.certificate)).unwrap();
    }
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../second_checker");
    let Ok(output) = Command::new("python3").arg(program).arg("--corpus").arg(place.path()).output() else {
        let _ = writeln!(std::io::stderr(), "NOT RUN: the second checker needs python3");
        return;
    };
    let table = String::from_utf8_lossy(&output.stdout);
    println!("second checker: {}", table.lines().last().unwrap_or_default());
    let disagreements: Vec<&str> = table.lines().filter(|line| line.contains("DISAGREES")).collect();
    assert!(output.status.success() && disagreements.is_empty(), "{}\n{table}", disagreements.join("\n"));
    assert!(table.lines().last().unwrap().starts_with(&format!("{0} of {0} hold", mutants.len())), "{table}");
}
