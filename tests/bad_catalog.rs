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
    shop.write("catalogs/INDEX", "0 0 a/b\n");
    refused_everywhere(&shop, &["INDEX", "does not begin with two digests"]);
    let digest = "0".repeat(64);
    shop.write("catalogs/INDEX", format!("{digest} {digest} ../../secret\n"));
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
        shop.refuses(&INFER, 2, &[SIGMOID, "has digest", "the catalog changed: tune again"]);
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
    // In a narrower ring the window is narrower too, and is served; in the ring that it was written for it is not.
    let plan = shop.read("plan.toml").replace(&digest(&honest), &digest(&shop.read("catalogs/INDEX")));
    let (before, rings) = plan.split_once("rings = [").unwrap();
    shop.write("plan.toml", format!("{before}{}", rings.split_once("]\n").unwrap().1));
    shop.refuses(&INFER, 2, &[&lemma, "which the protocol rss3 does not offer"]);
}

#[test]
fn a_folder_without_a_catalog_and_an_unknown_entry() {
    let shop = workshop();
    shop.refuses(&["--catalog", "nowhere", "verify", "--all"], 2, &["nowhere", "no catalog there", "INDEX"]);
    shop.refuses(&["verify", "gelu/none"], 2, &["gelu/none", "`chebyshare catalog list`"]);
    shop.refuses(&["verify"], 2, &["name entries", "--all"]);
}

/// What a verdict is about: an embedded copy must not speak for a folder that lost its index.
#[test]
fn a_folder_that_lost_its_index_is_not_replaced_by_the_embedded_copy() {
    let shop = workshop();
    let outcome = shop.run(&["verify", "--all"]);
    let root = shop.run(&["catalog", "list"]).stdout.rsplit_once("root ").unwrap().1.to_owned();
    assert!(outcome.stdout.ends_with(&format!("catalog catalogs, root {root}")), "{}", outcome.stdout);
    shop.write(ENTRY, with_bound(&shop.read(ENTRY), 0.1));
    std::fs::remove_file(shop.path("catalogs/INDEX")).unwrap();
    for command in [&["verify", SIGMOID][..], &["catalog", "list"], &TUNE, &INFER] {
        shop.refuses(command, 2, &["catalogs: no catalog there", "INDEX"]);
    }
    std::fs::remove_dir_all(shop.path("catalogs")).unwrap();
    let outcome = shop.run(&["verify", SIGMOID]);
    outcome.succeeded();
    assert!(outcome.stdout.contains("catalog embedded in this program, root "), "{}", outcome.stdout);
}

#[test]
fn a_catalog_without_entries_proves_nothing() {
    let shop = workshop();
    std::fs::remove_dir_all(shop.path("proofs")).unwrap();
    std::fs::remove_dir_all(shop.path("catalogs")).unwrap();
    std::fs::create_dir(shop.path("catalogs")).unwrap();
    shop.write("catalogs/INDEX", "");
    shop.refuses(&["verify", "--all"], 2, &["the catalog has no entry"]);
    shop.refuses(&["audit", "--all", "--html", "pages"], 2, &["the catalog has no entry"]);
}

#[test]
fn an_index_that_names_a_file_twice_or_ends_its_lines_otherwise() {
    let shop = workshop();
    let index = shop.read("catalogs/INDEX");
    let first = index.lines().next().unwrap();
    let spellings = [
        format!("{first}\n{index}"),
        format!("{index}{first}\n"),
        index.replace('\n', "\r\n"),
        index.trim_end().to_owned(),
        format!("{index}\n"),
        index.replacen(' ', "  ", 1),
        index.replacen(' ', "\t", 1),
        format!("\u{feff}{index}"),
    ];
    for spelling in spellings {
        shop.write("catalogs/INDEX", spelling);
        refused_everywhere(&shop, &["INDEX"]);
    }
}

/// The digests are right, the texts mean the same to a reader, and are other bytes than the one spelling.
#[test]
fn other_spellings_of_a_true_claim() {
    let spellings: [fn(&str) -> String; 6] = [
        |text| text.replace('\n', "\r\n"),
        |text| text.replacen(' ', "\u{a0}", 1),
        |text| format!("\u{feff}{text}"),
        |text| text.trim_end().to_owned(),
        |text| text.replacen("64", "\u{ff16}\u{ff14}", 1),
        |text| format!("{text}\n"),
    ];
    for spell in spellings {
        for both in [true, false] {
            let shop = workshop();
            shop.republish(SIGMOID, |published| {
                if both {
                    published.entry = spell(&published.entry);
                    rename_entry_in_certificate(published);
                } else {
                    published.certificate = spell(&published.certificate);
                }
            });
            let outcome = shop.refuses(&["verify", SIGMOID], 1, &["one entry is rejected"]);
            assert!(outcome.stdout.contains("cannot be read"), "{}", outcome.stdout);
        }
    }
}

/// Links that lead in a circle, and a catalog on which nothing can be written.
#[cfg(unix)]
#[test]
fn circles_of_links_and_folders_that_cannot_be_written() {
    let shop = workshop();
    std::os::unix::fs::symlink("..", shop.path("proofs/sigmoid/up")).unwrap();
    std::os::unix::fs::symlink(".", shop.path("catalogs/itself")).unwrap();
    shop.run(&["verify", "--all"]).succeeded();
    std::fs::remove_file(shop.path("catalogs/itself")).unwrap();
    std::fs::rename(shop.path(CERTIFICATE), shop.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink("k64-f16-w9-1e-3.certificate", shop.path(CERTIFICATE)).unwrap();
    shop.refuses(&["verify", "--all"], 2, &[CERTIFICATE]);
    std::fs::remove_file(shop.path(CERTIFICATE)).unwrap();
    std::fs::rename(shop.path("elsewhere"), shop.path(CERTIFICATE)).unwrap();
    // A catalog is found from inside its folder too.
    let inside = Workshop::new();
    inside.run(&["--catalog", "catalogs/../catalogs/.", "verify", "--all"]).succeeded();
    inside.run(&["--catalog", "catalogs/sigmoid/..", "verify", "--all"]).succeeded();
}

/// What a damaged entry says is shown to people as letters, not obeyed by their terminals.
#[test]
fn a_rejection_is_not_overwritten_by_what_it_quotes() {
    let shop = workshop();
    shop.republish(SIGMOID, |published| {
        published.entry = published.entry.replacen("bound ", "bound \u{1b}[2K\u{1b}[1Aok", 1);
        rename_entry_in_certificate(published);
    });
    let outcome = shop.refuses(&["verify", SIGMOID], 1, &["one entry is rejected"]);
    assert!(outcome.stdout.contains("'\\u{1b}[2K\\u{1b}[1Aok") && !outcome.stdout.contains('\u{1b}'));
    shop.refuses(&["catalog", "list"], 1, &["'\\u{1b}[2K\\u{1b}[1Aok"]);
    shop.write("catalogs/sigmoid/\u{1b}[2K.entry", "");
    shop.refuses(&["catalog", "list"], 1, &["\\u{1b}[2K.entry", "not in the index"]);
}
