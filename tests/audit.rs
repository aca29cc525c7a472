//! `chebyshare audit` and `chebyshare catalog plot`, as a user meets them.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::Value;
use support::{RELU, SIGMOID, Workshop, rename_entry_in_certificate};

/// Every element closed in order, every quote too. (The pages' own tests escape more closely.)
fn well_formed(page: &str) {
    let mut open = Vec::new();
    for tag in page.split('<').skip(2).map(|rest| rest.split('>').next().unwrap()) {
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name)),
            None if !tag.ends_with('/') => open.push(tag.split(' ').next().unwrap()),
            None => {}
        }
    }
    assert_eq!(open, Vec::<&str>::new());
}

#[test]
fn bad_usage_writes_nothing() {
    let shop = Workshop::new();
    shop.write("file", "kept");
    for (arguments, parts) in [
        (&["audit", "--html", "page.html"][..], &["name entries to audit"][..]),
        (&["audit", "exp/none", "--html", "page.html"], &["no entry 'exp/none'"]),
        (&["audit", RELU, "--html", "missing/page.html"], &["missing/page.html", "nothing can be written"]),
        (&["audit", "--all", "--html", "file/pages"], &["file/pages", "nothing can be written"]),
        (&["audit", RELU, "--html", "page.html", "--with", "magic"], &["magic"]),
        (&["catalog", "plot", "cosh", "--out", "plot.svg"], &["no entry of 'cosh'", "relu, sigmoid"]),
        (&["catalog", "plot", "relu", "--out", "missing/plot.svg"], &["nothing can be written"]),
    ] {
        shop.refuses(arguments, 2, parts);
    }
    assert_eq!(shop.read("file"), "kept");
}

#[test]
fn one_entry_is_a_page_and_several_are_a_folder() {
    let shop = Workshop::new();
    let outcome = shop.run(&["audit", SIGMOID, "--html", "page.html"]);
    outcome.succeeded();
    assert!(outcome.stdout.contains(&format!("holds    {SIGMOID} -> page.html")), "{}", outcome.stdout);
    let page = shop.read("page.html");
    well_formed(&page);
    assert!(page.contains("HOLDS") && page.contains("Chebyshare catalog · entry") && !page.contains("href="));
    let outcome = shop.run(&["--json", "audit", "--all", "--html", "pages"]);
    outcome.succeeded();
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let rows = report["entries"].as_array().unwrap();
    assert_eq!((rows.len(), &report["index"]), (2, &Value::from("pages/index.html")));
    for row in rows {
        assert_eq!((&row["ok"], &row["smt"], &row["second"]), (&Value::Bool(true), &Value::Null, &Value::Null));
        let page = shop.read(row["page"].as_str().unwrap());
        well_formed(&page);
        assert!(page.contains("href=\"../index.html\""));
    }
    let index = shop.read("pages/index.html");
    well_formed(&index);
    for part in ["2 of 2 entries hold", "href=\"sigmoid/k64-f16-w9-1e-3.html\"", "No signature lies beside", "not run"]
    {
        assert!(index.contains(part), "{part}");
    }
    // One entry into a folder that is there: the same layout.
    shop.run(&["audit", RELU, "--html", "pages"]).succeeded();
    assert!(shop.read("pages/index.html").contains("1 of 1 entries hold"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |file: &str| std::fs::metadata(shop.path(file)).unwrap().permissions().mode();
        shop.write("ordinary", "");
        assert_eq!(mode("page.html"), mode("ordinary"), "a page is for others too");
    }
}

#[test]
fn lanes_that_are_asked_for_are_on_the_page() {
    let shop = Workshop::new();
    let arguments = ["audit", RELU, "--html", "page.html", "--with", "conformance,exhaustive,smt", "--points", "512"];
    shop.run(&arguments).succeeded();
    let page = shop.read("page.html");
    for part in ["queries confirmed", "executed inputs", "samples of the window", "MPFR 4.", "Z3 4.", "rss3"] {
        assert!(page.contains(part), "{part}");
    }
    assert_eq!(page.matches("not run").count(), 1, "only the second checker");
    // There is no second checker in this folder: it was asked for and could not run, which is neither silence nor a verdict.
    let outcome = shop.run(&["audit", RELU, "--html", "page.html", "--with", "second"]);
    outcome.failed(1, &["second", "could not run", "verify/second_checker"]);
    let page = shop.read("page.html");
    assert!(page.contains("COULD NOT RUN") && page.contains("HOLDS"));
}

#[test]
fn a_false_claim_gets_a_page_that_says_so() {
    let shop = Workshop::new();
    shop.republish(SIGMOID, |published| {
        published.entry = published.entry.replace("bound 9.98467e-4", "bound 9.98466e-4");
        rename_entry_in_certificate(published);
    });
    let outcome = shop.run(&["audit", SIGMOID, "--html", "page.html"]);
    outcome.failed(1, &[SIGMOID, "is rejected", "the error may reach"]);
    let page = shop.read("page.html");
    well_formed(&page);
    assert!(page.contains("REJECTED") && page.contains("the error may reach") && !page.contains("HOLDS"));
    let outcome = shop.run(&["audit", "--all", "--html", "pages"]);
    outcome.failed(1, &[SIGMOID, "is rejected"]);
    let index = shop.read("pages/index.html");
    assert!(index.contains("REJECTED") && index.contains("1 of 2 entries hold"));
    assert!(shop.read("pages/relu/k64-f16-w9.html").contains("HOLDS"));
    // Nor is it drawn.
    shop.refuses(&["catalog", "plot", "sigmoid", "--out", "plot.svg"], 1, &[SIGMOID, "is rejected"]);
}

#[test]
fn a_damaged_catalog_gets_a_page_that_says_so() {
    let shop = Workshop::new();
    shop.replace("catalogs/sigmoid/k64-f16-w9-1e-3.entry", "bound 9.98467e-4", "bound 9.98466e-4");
    for (arguments, page) in [
        (["audit", SIGMOID, "--html", "page.html"], "page.html"),
        (["audit", "--all", "--html", "pages"], "pages/index.html"),
    ] {
        shop.run(&arguments).failed(1, &["sigmoid/k64-f16-w9-1e-3.entry", "its digest is"]);
        let page = shop.read(page);
        well_formed(&page);
        assert!(page.contains("REJECTED") && page.contains("its digest is") && !page.contains("HOLDS"));
    }
}

#[test]
fn plots_are_files_with_data() {
    let shop = Workshop::new();
    let outcome = shop.run(&["--json", "catalog", "plot", "sigmoid", "--out", "plot.svg", "--curve"]);
    outcome.succeeded();
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    let entry = &report["entries"][0];
    assert_eq!((&entry["entry"], &entry["on_front"]), (&Value::from(SIGMOID), &Value::Bool(true)));
    let bound: f64 = entry["certified_error"].as_str().unwrap().parse().unwrap();
    let curve = entry["curve"].as_array().unwrap();
    assert!(curve.len() > 100);
    for point in curve {
        let values: Vec<f64> = point.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect();
        assert!(values[1] <= values[2] && values[3] <= values[4]);
        assert!(values[1..].iter().all(|error| error.abs() <= bound), "{values:?} beyond {bound}");
    }
    let svg = shop.read("plot.svg");
    assert!(svg.starts_with("<svg") && svg.contains(SIGMOID) && svg.contains("class=\"witness\""));
    let outcome = shop.run(&["--json", "catalog", "plot", "relu", "--out", "plot.svg"]);
    outcome.succeeded();
    let report: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(report["entries"][0]["curve"], Value::Null);
}

/// Signatures and revocations beside the catalog are on its page; a revoked entry still holds, and says that it is revoked.
#[test]
fn signatures_and_revocations_are_on_the_pages() {
    let shop = Workshop::new();
    shop.run(&["catalog", "keygen", "--out", "one.key"]).succeeded();
    shop.run(&["catalog", "sign", "--key", "one.key", "--date", "2026-11-21"]).succeeded();
    let revoke = ["catalog", "revoke", "--key", "one.key", "--entry", RELU, "--reason", "<b>superseded</b>"];
    shop.run(&revoke).succeeded();
    shop.write("catalogs/REVOCATIONS/other.revoked", "<script>");
    shop.run(&["audit", "--all", "--html", "pages"]).succeeded();
    let index = shop.read("pages/index.html");
    well_formed(&index);
    for part in ["2026-11-21", ">valid<", "&lt;b&gt;superseded", "INVALID"] {
        assert!(index.contains(part), "{part}");
    }
    let page = shop.read("pages/relu/k64-f16-w9.html");
    well_formed(&page);
    assert!(page.contains("REVOKED ") && page.contains("HOLDS") && page.contains("&lt;b&gt;superseded"));
    assert!(!shop.read("pages/sigmoid/k64-f16-w9-1e-3.html").contains("REVOKED"));
}
