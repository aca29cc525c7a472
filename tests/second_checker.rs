//! The second checker, written from `proofs/FORMAT.md` alone in Python, over the shipped catalog and the corpus. Where
//! no `python3` is on the path it is not run, and says so.

#![allow(clippy::unwrap_used)]

use catalogs::Catalog;
use std::io::Write;
use std::path::Path;
use std::process::Command;

fn second_checker(arguments: &[&str]) -> Option<(bool, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    match Command::new("python3").arg("verify/second_checker").args(arguments).current_dir(root).output() {
        Ok(output) => Some((output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "NOT RUN: the second checker needs python3 ({error})");
            None
        }
    }
}

#[test]
fn both_checkers_accept_every_shipped_entry() {
    let Some((success, table)) = second_checker(&[]) else { return };
    let last = table.lines().last().unwrap_or_default();
    println!("{last}");
    assert!(success, "{table}");
    let shipped = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("catalogs/INDEX")).unwrap();
    let count = shipped.lines().count();
    assert!(last.starts_with(&format!("{count} of {count} hold")), "{last}");
}

#[test]
fn both_checkers_agree_on_the_corpus() {
    let Some((success, table)) = second_checker(&["--corpus", "verify/tests/corpus"]) else { return };
    println!("{}", table.lines().last().unwrap_or_default());
    assert!(success, "{table}");
}

#[test]
fn both_checkers_agree_on_rings_above_64_bits() {
    let Some((success, table)) = second_checker(&["--corpus", "verify/tests/corpus-wide"]) else { return };
    println!("{}", table.lines().last().unwrap_or_default());
    assert!(success, "{table}");
}

#[test]
fn both_checkers_agree_on_synthesised_cases() {
    let Some((success, table)) = second_checker(&["--corpus", "verify/tests/synthesised"]) else { return };
    println!("{}", table.lines().last().unwrap_or_default());
    assert!(success, "{table}");
}

/// What `chebyshare synth` publishes, the first checker has accepted; so must the second one. Two functions and an
/// expression by default, all that are not shipped with `CHEBYSHARE_FUZZ` (minutes).
#[test]
fn both_checkers_accept_what_is_synthesised_now() {
    let quick = [("hard_sigmoid", "-16,16", 10), ("softsign", "-4,4", 10), ("x/(1+exp(-x))", "-4,4", 10)];
    let slow = [
        ("sqrt", "0.5,4", 12),
        ("exp2", "-2,2", 12),
        ("log", "0.5,4", 12),
        ("sin", "-2,2", 12),
        ("cos", "-2,2", 12),
        ("normal_pdf", "-4,4", 12),
        ("normal_cdf", "-3,3", 12),
        ("gelu_tanh", "-4,4", 12),
        ("softplus", "-16,16", 10),
        ("mish", "-16,16", 10),
        ("elu", "-16,16", 10),
        ("selu", "-16,16", 10),
        ("isru", "-4,4", 10),
        ("hard_swish", "-16,16", 10),
        ("sin(x)*exp(-x*x)", "-2,2", 12),
        ("log(1+x*x)", "-2,2", 12),
    ];
    let all = std::env::var_os("CHEBYSHARE_FUZZ").is_some();
    if !all {
        let _ = writeln!(std::io::stderr(), "NOT RUN: {} slower functions; CHEBYSHARE_FUZZ=1 runs them", slow.len());
    }
    let place = tempfile::tempdir().unwrap();
    let (entries, proofs) = (place.path().join("catalogs"), place.path().join("proofs"));
    for (function, domain, bits) in quick.into_iter().chain(slow.into_iter().filter(|_| all)) {
        let output = Command::new(env!("CARGO_BIN_EXE_chebyshare"))
            .args(["synth", function, &format!("--domain={domain}"), "--fraction-bits", &bits.to_string()])
            .args(["--max-error", "1e-2", "--out", entries.to_str().unwrap()])
            .output()
            .unwrap();
        assert!(output.status.success(), "{function}: {}", String::from_utf8_lossy(&output.stderr));
    }
    // An expression may also lie in a folder of its own name, as campaigns publish it.
    let mut catalog = Catalog::open(&entries, &proofs).unwrap();
    let expressions = |name: &&str| name.starts_with("expression/");
    let name = catalog.iter().map(|(name, _)| name).find(expressions).unwrap().to_owned();
    let published = catalog.find(&name).unwrap().1.clone();
    catalog.insert(&name.replace("expression/", "quick/"), published).unwrap();
    catalog.write(&entries, &proofs).unwrap();
    Catalog::open(&entries, &proofs).unwrap();
    let folders = ["--catalog", entries.to_str().unwrap(), "--proofs", proofs.to_str().unwrap()];
    let Some((success, table)) = second_checker(&folders) else { return };
    println!("{}", table.lines().last().unwrap_or_default());
    assert!(success && table.lines().count() > 10 && table.contains("\nquick/"), "{table}");
}

/// A true claim about one function in the folder of another, with digests that are right.
#[test]
fn both_checkers_refuse_another_functions_folder() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shipped = Catalog::open(&root.join("catalogs"), &root.join("proofs")).unwrap();
    let relu = shipped.find("relu/k64-f16-w9").unwrap().1.clone();
    let place = tempfile::tempdir().unwrap();
    let (entries, proofs) = (place.path().join("catalogs"), place.path().join("proofs"));
    for (name, accepted) in [("relu/a", true), ("gelu/a", false), ("expression/a", false), ("mine/a", false)] {
        let mut catalog = Catalog::new();
        catalog.insert(name, relu.clone()).unwrap();
        catalog.write(&entries, &proofs).unwrap();
        let opened = Catalog::open(&entries, &proofs);
        assert_eq!(opened.is_ok(), accepted, "{name}: {opened:?}");
        if let Err(error) = opened {
            assert!(error.to_string().contains("it is of 'relu' and lies in another function's folder"), "{error}");
        }
        let folders = ["--catalog", entries.to_str().unwrap(), "--proofs", proofs.to_str().unwrap()];
        let Some((success, table)) = second_checker(&folders) else { return };
        assert_eq!(success, accepted, "{name}: {table}");
    }
}
