//! Pairs of texts with their verdicts: the folders of cases, and what the repository ships.

use std::path::{Path, PathBuf};
use verify::{Rejection, check_bytes};

pub const ENTRY_LINE: &str = "--- entry\n";
pub const CERTIFICATE_LINE: &str = "--- certificate\n";

/// An entry and a certificate that are accepted.
#[derive(Clone, Debug)]
pub struct Pair {
    pub name: String,
    pub entry: String,
    pub certificate: String,
}

/// The word that `proofs/FORMAT.md` has for a verdict.
pub fn variant(rejection: &Rejection) -> &'static str {
    match rejection {
        Rejection::Certificate(_) => "certificate",
        Rejection::Entry(_) => "entry",
        Rejection::Digest { .. } => "digest",
        Rejection::Claim(_) => "claim",
        Rejection::Tiling { .. } => "tiling",
        Rejection::Piece { .. } => "piece",
        Rejection::Work { .. } => "work",
        Rejection::Function { .. } => "function",
        Rejection::Range { .. } => "range",
        Rejection::Error { .. } => "error",
        Rejection::Part { .. } => "part",
        Rejection::StatedRange { .. } => "stated-range",
        Rejection::Witness { .. } => "witness",
    }
}

/// The verdict of two files, and the reason in words.
pub fn verdict(entry: &[u8], certificate: &[u8]) -> (&'static str, String) {
    match check_bytes(entry, certificate) {
        Ok(_) => ("accepted", String::new()),
        Err(rejection) => (variant(&rejection), rejection.to_string()),
    }
}

pub fn tests() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    if own.ends_with("verify") { own.join("tests") } else { own.join("../tests") }
}

/// The text of a case file.
pub fn case(expected: &str, entry: &[u8], certificate: &[u8]) -> Vec<u8> {
    let head = format!("expect {expected}\n{ENTRY_LINE}");
    [head.as_bytes(), entry, CERTIFICATE_LINE.as_bytes(), certificate].concat()
}

/// (name, expected verdict, entry, certificate) of every case of a folder below `verify/tests`, in order of name.
pub fn read_cases(folder: &Path) -> Vec<(String, String, String, String)> {
    let mut cases: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| {
            let path = file.unwrap().path();
            let text = std::fs::read_to_string(&path).unwrap();
            let (head, rest) = text.split_once(ENTRY_LINE).unwrap();
            let (entry, certificate) = rest.split_once(CERTIFICATE_LINE).unwrap();
            let expected = head.trim_end().strip_prefix("expect ").unwrap();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, expected.to_owned(), entry.to_owned(), certificate.to_owned())
        })
        .collect();
    cases.sort();
    cases
}

/// The good pairs of the folders `corpus` and `synthesised`.
pub fn good_cases() -> Vec<Pair> {
    let folders = ["corpus", "synthesised"].map(|folder| read_cases(&tests().join(folder)));
    let good = folders.into_iter().flatten().filter(|case| case.1 == "accepted");
    good.map(|(name, _, entry, certificate)| Pair { name, entry, certificate }).collect()
}

/// Every shipped entry with its certificate.
pub fn shipped() -> Vec<Pair> {
    let root = tests().join("../..");
    let catalog = catalogs::Catalog::open(&root.join("catalogs"), &root.join("proofs")).unwrap();
    let pair = |(name, published): (&str, &catalogs::Published)| Pair {
        name: name.to_owned(),
        entry: published.entry.clone(),
        certificate: published.certificate.clone(),
    };
    catalog.iter().map(pair).collect()
}

/// How much more than usual is to be done: `CHEBYSHARE_FUZZ`, 1 by default.
pub fn effort() -> u64 {
    std::env::var("CHEBYSHARE_FUZZ").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}
