//! Ctrl-C, and parties that die under `run --local`: nothing half-written, no process left, no folder with keys.

#![allow(clippy::unwrap_used)]

mod support;

use std::time::{Duration, Instant};
use support::{INFER, Running, Workshop};

/// A run of a few rounds a second.
fn slow_run(shop: &Workshop) -> Running {
    shop.write("slow.toml", "round_trip_seconds = 1.0\nbits_per_second = 1e9\n");
    let running = shop.start(&[&INFER[..], &["--network", "slow.toml"]].concat());
    let begun = Instant::now();
    while children(running.id()).len() < 3 {
        assert!(begun.elapsed() < Duration::from_secs(60), "no parties");
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(2000));
    running
}

/// Processes whose parent is `parent`.
fn children(parent: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for item in std::fs::read_dir("/proc").unwrap() {
        let Ok(id) = item.unwrap().file_name().to_string_lossy().parse::<u32>() else { continue };
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{id}/stat")) else { continue };
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        if fields[1].parse::<u32>().unwrap() == parent && fields[0] != "Z" {
            found.push(id);
        }
    }
    found
}

/// That these processes end soon.
fn are_gone(processes: &[u32]) {
    let begun = Instant::now();
    let alive = |id: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        stat.contains("(chebyshare)") && !stat.contains(") Z ")
    };
    while processes.iter().any(alive) {
        assert!(begun.elapsed() < Duration::from_secs(5), "a party is left");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn ctrl_c_during_a_run() {
    let shop = Workshop::with_plan();
    shop.write("slow.toml", "");
    let before = shop.listing();
    for signal in ["INT", "TERM"] {
        let running = slow_run(&shop);
        let parties = children(running.id());
        assert_eq!(parties.len(), 3);
        running.signal(signal);
        let outcome = shop.watch(running);
        assert_eq!(outcome.code, Some(130));
        assert!(outcome.stdout.is_empty(), "{}", outcome.stdout);
        are_gone(&parties);
        assert_eq!(shop.listing(), before);
    }
}

/// Nobody can catch this signal, but the parties notice.
#[test]
fn the_program_killed_during_a_run() {
    let shop = Workshop::with_plan();
    let mut running = slow_run(&shop);
    let parties = children(running.id());
    assert_eq!(parties.len(), 3);
    running.kill();
    are_gone(&parties);
    assert!(!shop.path("scores.npz").exists());
}

#[test]
fn a_party_killed_under_a_local_run() {
    let shop = Workshop::with_plan();
    shop.write("slow.toml", "");
    let before = shop.listing();
    let running = slow_run(&shop);
    let parties = children(running.id());
    let status = std::process::Command::new("kill").arg("-KILL").arg(parties[1].to_string()).status().unwrap();
    assert!(status.success());
    let outcome = shop.watch(running);
    outcome.failed(3, &["party", "signal: 9"]);
    assert!(outcome.seconds < 15.0);
    are_gone(&parties);
    assert_eq!(shop.listing(), before);
}

#[test]
fn ctrl_c_during_a_search() {
    let shop = Workshop::new();
    let before = shop.listing();
    let search = ["synth", "gelu", "--domain=-512,511", "--fraction-bits", "16", "--max-error", "1e-4", "--out", "new"];
    for wait in [100, 1500] {
        let running = shop.start(&search);
        std::thread::sleep(Duration::from_millis(wait));
        running.signal("INT");
        let outcome = shop.watch(running);
        assert_eq!(outcome.code, Some(130));
        assert_eq!(shop.listing(), before);
    }
}
