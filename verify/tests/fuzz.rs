//! Damaged files through the parsers and the checker: no panic, no hang, little memory. The functions are those of the
//! libFuzzer targets in `verify/fuzz`; here they run on a stable compiler, from seeds, the same on every machine.
//!
//! `CHEBYSHARE_FUZZ=n` multiplies the number of executions by n; 100 is a million.

#![allow(clippy::unwrap_used)]

mod support;
#[path = "../fuzz/targets.rs"]
mod targets;

use std::sync::Mutex;
use std::time::{Duration, Instant};
use support::Random;
use support::cases::{Pair, effort, good_cases, read_cases, shipped, tests};
use support::damage::damaged;
use support::mutants::rebound;

/// No execution may take longer; real certificates take milliseconds, the most expensive that is admitted seconds.
const HANG: Duration = Duration::from_secs(60);
/// Peak memory of the process.
const MEMORY_KILOBYTES: u64 = 1 << 20;

type Target = fn(&[u8]) -> bool;

/// What runs now, for the watchman.
static RUNNING: Mutex<Option<(Instant, Vec<u8>)>> = Mutex::new(None);

fn watch() {
    std::thread::spawn(|| {
        loop {
            std::thread::sleep(Duration::from_secs(1));
            let running = RUNNING.lock().unwrap();
            if let Some((_, data)) = running.as_ref().filter(|(start, _)| start.elapsed() > HANG) {
                let path = std::env::temp_dir().join("chebyshare-hang");
                std::fs::write(&path, data).unwrap();
                eprintln!("an execution takes more than {HANG:?}; its input is in {}", path.display());
                std::process::abort();
            }
        }
    });
}

/// Good pairs and rejected ones: what is nearly right is what reaches deep.
fn pairs() -> Vec<Pair> {
    let corpus = read_cases(&tests().join("corpus")).into_iter();
    let rejected = corpus.filter(|case| case.1 != "accepted" && case.2.len() < 1 << 14);
    let rejected = rejected.map(|(name, _, entry, certificate)| Pair { name, entry, certificate });
    let good: Vec<Pair> = good_cases().into_iter().chain(shipped().into_iter().step_by(4)).collect();
    good.iter().cloned().chain(good.iter().cloned()).chain(rejected.step_by(3)).collect()
}

/// A pair with a damaged entry, certificate or both; mostly with the true digest, or nothing would be examined.
fn damaged_pair(random: &mut Random, entries: &[Vec<u8>], certificates: &[Vec<u8>], pairs: &[Pair]) -> Vec<u8> {
    let pair = &pairs[random.between(0, pairs.len() as i64 - 1) as usize];
    let (mut entry, mut certificate) = (pair.entry.clone().into_bytes(), pair.certificate.clone().into_bytes());
    let which = random.between(0, 9);
    let own = |random: &mut Random, file: &[u8], others: &[Vec<u8>]| {
        if random.chance(1, 20) { damaged(random, others) } else { damaged(random, &[file.to_vec()]) }
    };
    if which != 0 {
        entry = if which < 6 { own(random, &entry, entries) } else { entry };
        certificate = if which >= 5 { own(random, &certificate, certificates) } else { certificate };
    }
    if random.chance(9, 10)
        && let (Ok(entry), Ok(text)) = (std::str::from_utf8(&entry), std::str::from_utf8(&certificate))
        && text.lines().nth(1).is_some_and(|line| !line.is_empty())
    {
        certificate = rebound(entry, text).into_bytes();
    }
    [entry.as_slice(), targets::MARK, certificate.as_slice()].concat()
}

fn run(name: &str, target: Target, executions: u64, mut make: impl FnMut() -> Vec<u8>) {
    let start = Instant::now();
    let (mut accepted, mut slowest) = (0u64, Duration::ZERO);
    for _ in 0..executions {
        let data = make();
        let begun = Instant::now();
        *RUNNING.lock().unwrap() = Some((begun, data.clone()));
        let result = std::panic::catch_unwind(|| target(&data));
        slowest = slowest.max(begun.elapsed());
        match result {
            Ok(was_accepted) => accepted += u64::from(was_accepted),
            Err(_) => {
                let path = std::env::temp_dir().join(format!("chebyshare-panic-{name}"));
                std::fs::write(&path, &data).unwrap();
                panic!("{name}: a panic; its input is in {}", path.display());
            }
        }
    }
    *RUNNING.lock().unwrap() = None;
    println!("{name:12} {executions:9} executions, {accepted:7} accepted, slowest {slowest:?}, {:?}", start.elapsed());
    assert!(accepted > 0 && accepted < executions, "{name}: nothing, or everything, was accepted");
}

/// The most memory that this process ever had, in kilobytes; `None` where the system does not say.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn damaged_files_do_no_harm() {
    watch();
    let pairs = pairs();
    let entries: Vec<Vec<u8>> = pairs.iter().map(|pair| pair.entry.clone().into_bytes()).collect();
    let certificates: Vec<Vec<u8>> = pairs.iter().map(|pair| pair.certificate.clone().into_bytes()).collect();
    let definitions = catalogs::Function::ALL.iter().map(|function| function.definition().prefix().into_bytes());
    let expressions: Vec<Vec<u8>> = definitions.collect();
    let mut random = Random(20_261_121);
    run("entry", targets::entry, 3000 * effort(), || damaged(&mut random, &entries));
    run("certificate", targets::certificate, 3000 * effort(), || damaged(&mut random, &certificates));
    run("expression", targets::expression, 3000 * effort(), || damaged(&mut random, &expressions));
    run("checker", targets::checker, 1000 * effort(), || damaged_pair(&mut random, &entries, &certificates, &pairs));
    match peak_memory() {
        Some(kilobytes) => {
            println!("peak memory {} MiB", kilobytes >> 10);
            assert!(kilobytes <= MEMORY_KILOBYTES, "{kilobytes} kB");
        }
        None => println!("NOT MEASURED: peak memory, as there is no /proc/self/status"),
    }
}
