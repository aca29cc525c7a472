//! What is absent from the checker: floating point, threads, foreign code, search. And its size, as the README says.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// The files of the checker below `verify/src`, and the modules of `catalogs` that it rests on.
fn trusted() -> (Vec<PathBuf>, Vec<PathBuf>) {
    let mut checker = Vec::new();
    let mut folders = vec![root().join("src")];
    while let Some(folder) = folders.pop() {
        for file in fs::read_dir(folder).unwrap() {
            let path = file.unwrap().path();
            if path.is_dir() { folders.push(path) } else { checker.push(path) }
        }
    }
    checker.sort();
    let modules =
        ["ring", "lemma", "program", "evaluate", "expression", "function", "entry", "text", "decimal", "digest"];
    let catalogs = modules.iter().map(|module| root().join(format!("../catalogs/src/{module}.rs"))).collect();
    (checker, catalogs)
}

/// The text without its tests, which come last.
fn shipped(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.split("#[cfg(test)]").next().unwrap().to_owned()
}

fn lines(files: &[PathBuf]) -> usize {
    files.iter().map(|path| shipped(path).lines().count()).sum()
}

#[test]
fn no_floating_point_threads_or_foreign_code() {
    let (checker, catalogs) = trusted();
    let forbidden = [
        "f32",
        "f64",
        "unsafe",
        "std::thread",
        "rayon",
        "Mutex",
        "Atomic",
        "extern ",
        "std::time",
        "std::env",
        "std::fs",
    ];
    for path in checker.iter().chain(&catalogs) {
        let text = shipped(path);
        // A function whose name ends in `_lossy` says that no proof rests on it.
        let mut lossy = false;
        for (number, line) in text.lines().enumerate() {
            let code = line.split("//").next().unwrap();
            if code.contains("fn ") {
                lossy = code.contains("_lossy(");
            }
            for word in forbidden {
                let allowed = lossy || code.contains("forbid(unsafe_code)");
                assert!(allowed || !code.contains(word), "{}:{}: {word}", path.display(), number + 1);
            }
            assert!(lossy || !code.contains("_lossy("), "{}:{}: a lossy number is used", path.display(), number + 1);
        }
    }
}

#[test]
fn no_assertions_or_shortcuts() {
    let (checker, _) = trusted();
    for path in checker {
        // `Lines::expect` is the parser's keyword.
        let text = shipped(&path).replace("lines.expect(", "");
        for word in
            [".unwrap()", ".expect(", "panic!", "assert!", "assert_eq!", "unreachable!", "todo!", "as i64", "as u8"]
        {
            assert!(!text.contains(word), "{}: {word}", path.display());
        }
    }
}

/// The README's sizes: a reader plans an afternoon by them.
#[test]
fn the_readme_counts_right() {
    let (checker, catalogs) = trusted();
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (own, shared) = (lines(&checker), lines(&catalogs));
    println!("{own} lines of checker, {shared} lines of catalogs");
    assert!(own <= 3250, "the checker has {own} lines");
    for (count, what) in [(own, "lines of checker"), (shared, "lines of catalogs")] {
        let sentence = format!("{count} {what}");
        assert!(readme.contains(&sentence), "verify/README.md should say '{sentence}'");
    }
    for path in checker {
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        let count = shipped(&path).lines().count();
        let row = format!("`{name}` | {count} |");
        assert!(readme.contains(&row), "verify/README.md should have a row with {row}");
    }
}

/// Every limit in the code is in FORMAT.md with its value.
#[test]
fn the_format_page_states_every_limit() {
    let page = fs::read_to_string(root().join("../proofs/FORMAT.md")).unwrap();
    let limits = [
        ("MAX_ENTRY_BYTES", catalogs::text::MAX_ENTRY_BYTES as u64),
        ("MAX_CERTIFICATE_BYTES", verify::certificate::MAX_CERTIFICATE_BYTES as u64),
        ("MAX_PIECES", verify::certificate::MAX_PIECES as u64),
        ("MAX_OPS", catalogs::Program::MAX_OPS as u64),
        ("MAX_LEMMAS", catalogs::Program::MAX_LEMMAS as u64),
        ("MAX_TERMS", catalogs::Program::MAX_TERMS as u64),
        ("MAX_COEFFICIENT_BITS", u64::from(catalogs::Program::MAX_COEFFICIENT_BITS)),
        ("MAX_DEGREE", u64::from(verify::examine::MAX_DEGREE)),
        ("MAX_CASES", verify::walk::MAX_CASES as u64),
        ("MAX_VALUE_BITS", verify::walk::MAX_VALUE_BITS as u64),
        ("MAX_PIECE_WORK", verify::walk::MAX_PIECE_WORK),
        ("MAX_WORK", verify::MAX_WORK),
        ("EXPONENT_LIMIT", u64::from(verify::constants::EXPONENT_LIMIT)),
        ("GAUSSIAN_LIMIT", u64::from(verify::constants::GAUSSIAN_LIMIT)),
        ("MAX_NODES", catalogs::expression::MAX_NODES as u64),
        ("MAX_NODE_BITS", verify::reference::MAX_NODE_BITS as u64),
        ("FRACTION", verify::model::FRACTION as u64),
    ];
    for (name, value) in limits {
        let row = format!("| `{name}` | {value} |");
        assert!(page.contains(&row), "proofs/FORMAT.md should have a row {row}");
    }
}
