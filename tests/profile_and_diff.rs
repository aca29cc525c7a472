//! `profile` writes a machine that can be read; `plan diff` shows what differs, and refuses what cannot be compared.

#![allow(clippy::unwrap_used)]

mod support;

use runtime::cost::{Machine, Resource};
use support::{RELU, Workshop, model};

#[test]
fn a_profile_is_written_once_it_is_whole() {
    let shop = Workshop::new();
    shop.refuses(&["profile", "--out", "missing/machine.toml"], 2, &["missing"]);
    shop.refuses(&["profile", "--out", "machine.toml", "--runs", "0"], 2, &["0 is not in 1.."]);
    let outcome = shop.run(&["--json", "profile", "--out", "machine.toml", "--runs", "1", "--name", "the test's"]);
    outcome.succeeded();
    let machine = Machine::read(&shop.path("machine.toml")).unwrap();
    assert_eq!(machine.name, "the test's");
    assert!(Resource::ALL.iter().any(|&resource| machine.rate(resource) > 0.0));
    let report: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    let probes = report["probes"].as_array().unwrap();
    shop.tune("model.onnx", "plan.toml").succeeded();
    let time = shop.run(&["--json", "plan", "time", "plan.toml", "--machine", "machine.toml", "--network", "wan"]);
    time.succeeded();
    let time: serde_json::Value = serde_json::from_str(&time.stdout).unwrap();
    let own: f64 = time["work"].as_array().unwrap().iter().map(|row| row["seconds"].as_f64().unwrap()).sum();
    let (network, all) = (time["network_seconds"].as_f64().unwrap(), time["seconds"].as_f64().unwrap());
    assert!(network > 0.02 && (own + network - all).abs() < 1e-9, "{own} {network} {all}");
    shop.refuses(&["plan", "time", "plan.toml", "--machine", "plan.toml"], 2, &["plan.toml", "chebyshare profile"]);
    // Two sizes of the one program of this catalog, and the circuits without one.
    assert_eq!(probes.iter().filter(|probe| probe["name"].as_str().unwrap().starts_with(RELU)).count(), 2);
    assert!(probes.len() > 8 && probes.iter().all(|probe| probe["seconds"].as_f64().unwrap() > 0.0));
}

#[test]
fn plans_are_compared_site_by_site() {
    let shop = Workshop::with_plan();
    shop.write("same.toml", shop.read("plan.toml"));
    let same = shop.run(&["plan", "diff", "plan.toml", "same.toml"]);
    same.succeeded();
    assert!(same.stdout.contains("sites have the same choices"), "{}", same.stdout);
    shop.replace("same.toml", &format!("name = \"{RELU}\""), "name = \"relu/another\"");
    let other = shop.run(&["plan", "diff", "plan.toml", "same.toml"]);
    other.succeeded();
    for part in ["1 of ", RELU, "relu/another", "- relu", "\n+ "] {
        assert!(other.stdout.contains(part), "'{part}' is missing in: {}", other.stdout);
    }
    shop.write("sigmoid.onnx", model::small("Sigmoid"));
    shop.tune("sigmoid.onnx", "sigmoid.toml").succeeded();
    shop.refuses(
        &["plan", "diff", "plan.toml", "sigmoid.toml"],
        2,
        &["different models", "model.onnx", "sigmoid.onnx"],
    );
    shop.refuses(&["plan", "diff", "plan.toml", "none.toml"], 2, &["none.toml"]);
}
