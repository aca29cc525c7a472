//! What is exported is deterministic and refused where it would say too much; the tools accept it and refute what is
//! false. A tool that is not installed is named loudly.

#![allow(clippy::unwrap_used)]

use super::*;
use catalogs::{Catalog, Decimal};
use std::io::Write;
use std::path::Path;
use std::process::Command;

fn shipped(name: &str) -> (Entry, Certificate) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let catalog = Catalog::open(&root.join("catalogs"), &root.join("proofs")).unwrap();
    let (_, published) = catalog.find(name).unwrap();
    (Entry::parse(&published.entry).unwrap(), Certificate::parse(&published.certificate).unwrap())
}

/// The certificate without its pieces but those with these numbers: exports of a part.
fn part(certificate: &Certificate, numbers: &[usize]) -> Certificate {
    let pieces = numbers.iter().map(|number| certificate.pieces[*number].clone()).collect();
    Certificate { pieces, ..certificate.clone() }
}

/// What `command` says of `text` in a file with this name, and whether it succeeds; `None`, loudly, if it is not
/// installed.
fn tool(command: &str, file: &str, text: &str) -> Option<(bool, String)> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(file), text).unwrap();
    match Command::new(command).arg(file).current_dir(folder.path()).stdin(std::process::Stdio::null()).output() {
        Ok(output) => {
            let streams = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
            Some((output.status.success(), streams.concat()))
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "NOT RUN: {command} is not installed ({error})");
            None
        }
    }
}

fn only(files: Files) -> (String, String) {
    assert_eq!(files.len(), 1);
    files.into_iter().next().unwrap()
}

#[test]
fn functions_without_a_closed_form_are_refused_for_coq_with_the_reason() {
    for name in ["gelu/k64-f16-w9-2e-4", "erf/k64-f16-w9-1e-3"] {
        let (entry, certificate) = shipped(name);
        let refusal = export(name, &entry, &certificate, Format::Coq).unwrap_err().to_string();
        for word in ["Coq-Interval", "erf", "sollya"] {
            assert!(refusal.contains(word), "{refusal}");
        }
        assert!(export(name, &entry, &certificate, Format::Sollya).is_ok());
    }
}

#[test]
fn exports_are_deterministic_and_say_what_they_show() {
    let name = "sigmoid/k64-f16-w9-1e-3";
    let (entry, certificate) = shipped(name);
    for format in [Format::Smtlib, Format::Sollya, Format::Gappa, Format::Coq] {
        let files = export(name, &entry, &certificate, format).unwrap();
        assert_eq!(files, export(name, &entry, &certificate, format).unwrap());
        for (file, text) in &files {
            assert!(text.is_ascii(), "{format:?} {file}");
            let words = text.replace('\n', " ").replace("(*", "").replace("*)", "").replace(['#', ';', '/'], "");
            let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
            let limits = ["Rests", "This shows", "say nothing about"];
            let twin_or_plain = file.ends_with(".twin.smt2") || file.starts_with("negation");
            assert!(twin_or_plain || limits.iter().any(|limit| words.contains(limit)), "{format:?} {file}");
        }
    }
    // Every obligation, every lemma with its twin.
    let files = export(name, &entry, &certificate, Format::Smtlib).unwrap();
    assert!(files.contains_key("tiling.smt2") && files.contains_key("truncation-40-64-12.twin.smt2"));
}

/// Half of what the certificate states, for one piece: false.
fn halved(certificate: &Certificate, piece: usize) -> Certificate {
    let mut half = certificate.clone();
    let approximation = &mut half.pieces[piece].approximation;
    *approximation =
        Decimal::round_up(&(approximation.to_rational() / Decimal::new(2, 0).unwrap().to_rational()), 9).unwrap();
    half
}

/// Some pieces each, to be quick; `chebyshare export --to sollya` gives the whole entries.
#[test]
fn sollya_confirms_pieces_and_refutes_a_false_one() {
    let tried: [(&str, &[usize]); 3] =
        [("sigmoid/k64-f16-w9-1e-3", &[3, 8]), ("gelu/k64-f16-w9-2e-4", &[5]), ("relu/k40-f13-w9", &[0, 1, 2])];
    for (name, numbers) in tried {
        let (entry, certificate) = shipped(name);
        let (file, text) = only(export(name, &entry, &part(&certificate, numbers), Format::Sollya).unwrap());
        let count = text.matches("count = count + 1;").count();
        assert_eq!(count, numbers.len(), "{name}");
        let Some((success, said)) = tool("sollya", &file, &text) else { return };
        assert!(success && said.contains(&format!("0 of {count} fail")), "{name}: {said}");
        assert_eq!(said.matches(" holds: ").count(), count, "{name}: {said}");
    }
    let (entry, certificate) = shipped("sigmoid/k64-f16-w9-1e-3");
    let (file, text) = only(export("x", &entry, &part(&halved(&certificate, 3), &[3]), Format::Sollya).unwrap());
    let Some((success, said)) = tool("sollya", &file, &text) else { return };
    assert!(!success && said.contains("piece 0 case 0 FAILS") && said.contains("1 of 1 fail"), "{said}");
}

/// The upper end of `v21 - I21 in [-894…b-57 {-6.2, …}, 894…b-57 {6.20718, …}]`.
fn gappa_bound(said: &str) -> f64 {
    let line = said.lines().find(|line| line.contains(" in [")).unwrap();
    let inside = line.rsplit_once('{').unwrap().1;
    inside.split(',').next().unwrap().parse().unwrap()
}

/// Gappa's interval is no narrower than what the first order alone can reach, and not absurdly wider than the
/// certificate's bound.
#[test]
fn gappa_bounds_the_roundings() {
    for (name, tightest) in
        [("sigmoid/k64-f16-w9-1e-3", 1.5), ("gelu/k64-f16-w9-2e-4", 20.0), ("reciprocal/k64-f24-o26-n16-1e-4", 400.0)]
    {
        let (entry, certificate) = shipped(name);
        let part = part(&certificate, &[certificate.pieces.len() / 2]);
        let sheets = pieces(&entry, &part).unwrap();
        let files = export(name, &entry, &part, Format::Gappa).unwrap();
        assert_eq!(files.len(), sheets[0].cases.len(), "{name}");
        for (sheet, (file, text)) in sheets[0].cases.iter().zip(files) {
            let Some((success, said)) = tool("gappa", &file, &text) else { return };
            assert!(success, "{name} {file}: {said}");
            let bound = gappa_bound(&said);
            let units =
                |value: &rug::Integer| rug::Rational::from((value.clone(), rug::Integer::from(1) << 64)).to_f64();
            // At t = 0, with every rounding at its end.
            let reached =
                sheet.symbols.iter().map(|(_, symbol)| units(&symbol[0]).abs()).sum::<f64>() - units(&sheet.slack);
            let certified = units(&sheet.rounding) + units(&sheet.slack);
            assert!(reached <= bound && bound <= tightest * certified, "{name}: {reached} {bound} {certified}");
        }
    }
}

/// One piece each; `chebyshare export --to coq` gives the whole entries.
#[test]
fn coq_proves_a_theorem_of_every_function_that_it_knows() {
    for (name, piece) in [
        ("exp/k64-f16-w10-1e-4", 4),
        ("sigmoid/k64-f16-w9-1e-3", 2),
        ("reciprocal/k64-f24-o26-n16-1e-4", 2),
        ("rsqrt/k64-f24-o20-e-10-10-2e-4", 5),
    ] {
        let (entry, certificate) = shipped(name);
        let (file, text) = only(export(name, &entry, &part(&certificate, &[piece]), Format::Coq).unwrap());
        assert!(text.contains("Theorem piece_0_case_0") && !text.contains("Admitted"), "{name}");
        let Some((success, said)) = tool("coqc", &file, &text) else { return };
        assert!(success, "{name}: {said}");
    }
    let (entry, certificate) = shipped("sigmoid/k64-f16-w9-1e-3");
    let (file, text) = only(export("x", &entry, &part(&halved(&certificate, 2), &[2]), Format::Coq).unwrap());
    // Without its search limits a false theorem costs as much as the tactic is allowed to try.
    let text = text.replace("i_depth 30", "i_depth 2");
    let Some((success, _)) = tool("coqc", &file, &text) else { return };
    assert!(!success, "a false theorem was accepted");
}
