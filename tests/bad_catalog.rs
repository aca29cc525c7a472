//! Damaged catalogs and false claims, as the program meets them.

#![allow(clippy::unwrap_used)]

mod support;

use support::{INFER, SIGMOID, TUNE, Workshop, model, rename_entry_in_certificate};

const ENTRY: &str = "catalogs/sigmoid/k64-f16-w9-1e-3.entry";
const CERTIFICATE: &str = "proofs/sigmoid/k64-f16-w9-1e-3.certificate";

/// A folder with its own catalog, a model with a sigmoid, and a plan for it.
fn workshop() -> Workshop {
    let shop = Workshop::new();
    shop.write("model.onnx", model::small("Sigmoid"));
    shop.tune("model.onnx", "plan.toml").succeeded();
    shop
}

/// The line of `text` that starts like this.
fn line<'a>(text: &'a str, start: &str) -> &'a str {
    text.lines().find(|line| line.starts_with(start)).unwrap()
}

/// The claim's bound, times `factor`, in canonical spelling.
fn with_bound(entry: &str, factor: f64) -> String {
    let stated = line(entry, "bound ");
    let value: f64 = stated["bound ".len()..].parse().unwrap();
    let spelled = format!("{:.5e}", value * factor);
    let (digits, exponent) = spelled.split_once('e').unwrap();
    entry.replacen(stated, &format!("bound {}e{exponent}", digits.trim_end_matches('0')), 1)
}

/// The last rounded sum with its constant moved by `by`.
fn with_constant(entry: &str, by: i128) -> String {
    let sum = entry.lines().rfind(|line| line.contains(" sum ") && line.contains("# >>")).unwrap();
    let (before, after) = sum.split_once(" = ").unwrap();
    let (constant, rest) = after.split_once(' ').unwrap();
    entry.replacen(sum, &format!("{before} = {} {rest}", constant.parse::<i128>().unwrap() + by), 1)
}

/// The last truncation with a window, served by `bits` more bits.
fn with_window(entry: &str, bits: i32) -> (String, String) {
    let numbered = |line: &&str| line.contains(" truncation ") && !line.contains("window any");
    let lemma = entry.lines().rfind(numbered).unwrap();
    let (before, after) = lemma.split_once("window ").unwrap();
    let (window, rest) = after.split_once(' ').unwrap();
    let changed = format!("{before}window {} {rest}", window.parse::<i32>().unwrap() + bits);
    let named = changed.splitn(3, ' ').nth(2).unwrap().split(" failure").next().unwrap().to_owned();
    (entry.replacen(lemma, &changed, 1), named)
}

/// Every command that uses a catalog refuses it in the same way.
fn refused_everywhere(shop: &Workshop, parts: &[&str]) {
    for command in [&["verify", "--all"][..], &["catalog", "list"], &TUNE, &INFER] {
        shop.refuses(command, 1, parts);
    }
    shop.refuses(&["synth", "relu", "--domain=-8,8", "--fraction-bits", "8", "--out", "catalogs"], 1, parts);
}

#[test]
fn the_untouched_catalog_serves() {
    let shop = workshop();
    shop.run(&["verify", "--all"]).succeeded();
    let outcome = shop.infer();
    outcome.succeeded();
    assert!(outcome.stdout.contains("agreement with the plain model 100.00 %"), "{}", outcome.stdout);
    assert!(shop.path("scores.npz").exists());
}

#[test]
fn a_wrong_digest_in_the_index() {
    let shop = workshop();
    let index = shop.read("catalogs/INDEX");
    let digest = index.lines().find(|line| line.ends_with(SIGMOID)).unwrap().split(' ').next().unwrap();
    let wrong: String = digest.chars().rev().collect();
    shop.replace("catalogs/INDEX", digest, &wrong);
    refused_everywhere(&shop, &[ENTRY, "its digest is", "the index says", "take the file from where"]);
}

#[test]
fn a_tampered_coefficient() {
    let shop = workshop();
    shop.write(ENTRY, with_constant(&shop.read(ENTRY), 1));
    refused_everywhere(&shop, &[ENTRY, "its digest is", "the index says"]);
}

#[test]
fn a_tampered_bound() {
    let shop = workshop();
    shop.write(ENTRY, with_bound(&shop.read(ENTRY), 0.1));
    refused_everywhere(&shop, &[ENTRY, "its digest is", "the index says"]);
}

#[test]
fn a_tampered_certificate() {
    let shop = workshop();
    let text = shop.read(CERTIFICATE);
    let range = text.lines().rfind(|line| line.starts_with("range ") && !line.ends_with("none")).unwrap();
    let (before, high) = range.rsplit_once(' ').unwrap();
    shop.replace(CERTIFICATE, range, &format!("{before} {}", high.parse::<i128>().unwrap() - 1));
    refused_everywhere(&shop, &[CERTIFICATE, "its digest is", "the index says"]);
}

#[test]
fn a_file_that_is_missing_or_too_much() {
    let shop = workshop();
    std::fs::rename(shop.path(CERTIFICATE), shop.path("elsewhere")).unwrap();
    refused_everywhere(&shop, &[CERTIFICATE, "the index names it, but it is missing"]);
    std::fs::rename(shop.path("elsewhere"), shop.path(CERTIFICATE)).unwrap();
    shop.write("catalogs/sigmoid/stray.entry", "chebyshare entry 1\n");
    refused_everywhere(&shop, &["stray.entry", "not in the index"]);
}

#[test]
fn an_index_that_is_none() {
    let shop = workshop();
    shop.write("catalogs/INDEX", "hello\n");
    refused_everywhere(&shop, &["INDEX", "not 'DIGEST DIGEST NAME'"]);
    shop.write("catalogs/INDEX", "0 0 ../../secret\n");
    refused_everywhere(&shop, &["INDEX", "'../../secret' is not an entry name"]);
}

/// All digests are right, but what is claimed is not so: only the proof can tell.
#[test]
fn true_digests_of_false_claims() {
    type Change = fn(&str) -> String;
    let changes: [(Change, &str); 3] = [
        (|entry| with_bound(entry, 0.9999), "the error may reach"),
        (|entry| with_constant(entry, 1 << 28), "the"),
        (|entry| with_window(entry, -20).0, "allowed is"),
    ];
    for (change, reason) in changes {
        let shop = workshop();
        let planned = shop.read("catalogs/INDEX");
        shop.republish(SIGMOID, |published| {
            published.entry = change(&published.entry);
            rename_entry_in_certificate(published);
        });
        let outcome = shop.refuses(&["verify", "--all"], 1, &["one entry is rejected"]);
        let rejected = outcome.stdout.lines().find(|line| line.starts_with(SIGMOID)).unwrap();
        println!("{rejected}");
        assert!(rejected.contains("REJECTED") && rejected.contains(reason), "{rejected}");
        shop.refuses(&TUNE, 1, &[SIGMOID, "is rejected", reason]);
        // The plan still names the honest entry.
        shop.refuses(&INFER, 1, &[SIGMOID, "has digest", "the catalog changed: tune again"]);
        // A plan that names the false one is refused by the proof.
        let digest = |index: &str| {
            let line = index.lines().find(|line| line.ends_with(SIGMOID)).unwrap();
            line.split(' ').next().unwrap().to_owned()
        };
        shop.replace("plan.toml", &digest(&planned), &digest(&shop.read("catalogs/INDEX")));
        shop.refuses(&INFER, 1, &[SIGMOID, "is rejected", reason]);
    }
}

#[test]
fn a_certificate_of_another_entry() {
    let shop = workshop();
    shop.republish(SIGMOID, |published| published.entry = with_bound(&published.entry, 1.001));
    let outcome = shop.refuses(&["verify", SIGMOID], 1, &["one entry is rejected"]);
    assert!(outcome.stdout.contains("the certificate is for entry"), "{}", outcome.stdout);
    shop.refuses(&TUNE, 1, &[SIGMOID, "the certificate is for entry"]);
}

#[test]
fn an_entry_whose_lemmas_the_protocol_does_not_offer() {
    let shop = workshop();
    let honest = shop.read("catalogs/INDEX");
    // A truncation that serves one more bit of its argument would do, but rss3 has none.
    let mut lemma = String::new();
    shop.republish(SIGMOID, |published| {
        (published.entry, lemma) = with_window(&published.entry, 1);
        rename_entry_in_certificate(published);
    });
    shop.run(&["verify", "--all"]).succeeded();
    shop.refuses(&TUNE, 2, &["sigmoid", SIGMOID, &lemma, "which the protocol rss3 does not offer"]);
    let digest =
        |index: &str| index.lines().find(|l| l.ends_with(SIGMOID)).unwrap().split(' ').next().unwrap().to_owned();
    shop.replace("plan.toml", &digest(&honest), &digest(&shop.read("catalogs/INDEX")));
    shop.refuses(&INFER, 2, &[&lemma, "which the protocol rss3 does not offer"]);
}

#[test]
fn a_folder_without_a_catalog_and_an_unknown_entry() {
    let shop = workshop();
    shop.refuses(&["--catalog", "nowhere", "verify", "--all"], 2, &["nowhere", "no catalog there", "INDEX"]);
    shop.refuses(&["verify", "gelu/none"], 2, &["gelu/none", "`chebyshare catalog list`"]);
    shop.refuses(&["verify"], 2, &["name entries", "--all"]);
}
