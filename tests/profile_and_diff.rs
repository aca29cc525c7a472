//! `profile` writes a machine that can be read; `plan diff` shows what differs, and refuses what cannot be compared.

#![allow(clippy::unwrap_used)]

mod support;

use runtime::cost::{Machine, Resource};
use runtime::deployment::{Loopback, Owners, PartyConfig, loopback};
use runtime::transport::{Limits, Party};
use std::path::{Path, PathBuf};
use std::time::Duration;
use support::{RELU, Workshop, model};

#[test]
fn a_profile_is_written_once_it_is_whole() {
    let shop = Workshop::new();
    shop.refuses(&["profile", "--out", "missing/machine.toml"], 2, &["missing"]);
    shop.refuses(&["profile", "--out", "machine.toml", "--runs", "0"], 2, &["0 is not in 1.."]);
    shop.refuses(&["profile", "--out", "machine.toml", "--backend", "gpu"], 2, &["use cpu, cuda"]);
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
    // Two sizes of the one program of this catalog, the larger one in parts of two sizes and side by side as well, and the
    // circuits without one.
    let of_program = probes.iter().filter_map(|probe| probe["name"].as_str()).filter(|name| name.starts_with(RELU));
    assert_eq!(of_program.clone().count(), 5);
    assert_eq!(of_program.clone().filter(|name| name.contains("side by side")).count(), 1);
    assert_eq!(of_program.filter(|name| name.contains("parts of")).count(), 2);
    assert!(probes.len() > 8 && probes.iter().all(|probe| probe["seconds"].as_f64().unwrap() > 0.0));
    // Every rate is one, and with one run it is that run's.
    for resource in Resource::ALL {
        let (rate, spread) = (machine.rate(resource), &report["spreads"][resource.name()]);
        let [least, most] = [&spread["least"], &spread["most"]].map(|rate| rate.as_f64().unwrap());
        assert!(rate > 0.0 && least == most && (least / rate - 1.0).abs() < 1e-9, "{} {spread}", resource.name());
    }
}

#[test]
fn a_run_is_predicted_by_rates_from_before_and_after_it() {
    let shop = Workshop::with_plan();
    let bench = ["--json", "bench", "time", "model.onnx", "--plan", "plan.toml", "--input", "input.npz"];
    shop.write("near.toml", "round_trip_seconds = 0.0001\nbits_per_second = 1e10\n");
    let outcome = shop.run(&[&bench[..], &["--networks", "near.toml", "--runs", "1", "--fresh"]].concat());
    outcome.succeeded();
    let rows: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    let both = rows[0]["before_and_after"].as_array().unwrap();
    let [before, after, mean] =
        [&both[0], &both[1], &rows[0]["predicted_seconds"]].map(|seconds| seconds.as_f64().unwrap());
    assert!(before > 0.0 && after > 0.0 && ((before + after) / 2.0 / mean - 1.0).abs() < 1e-9, "{rows}");
    let own = ["--fresh", "--machine", "machine.toml"];
    shop.refuses(&[&bench[1..], &own].concat(), 2, &["--fresh", "--machine"]);
    shop.refuses(&["profile", "--out", "machine.toml", "--network", "none"], 2, &["none"]);
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
    // What a run means is compared too, not only how its sites are computed.
    let changes = [
        ("input = 1", "input = 2", "- party 0 owns the model, party 1 owns the inputs"),
        ("input_box = [-1.0, 1.0]", "input_box = [-1.0, 9.0]", "+ [-1, 9]"),
        ("input_box = [-1.0, 1.0]", "input_box = [-1.0, 1.0]\nrow_norm = 3.0", "+ [-1, 1], rows of norm 3 at most"),
        ("weights = 16", "weights = 24", "weights 24"),
        ("network = \"lan\"", "network = \"slow\"", "+ slow"),
        ("certified_error = 0.0", "certified_error = 0.5", "1 of 1 sites differ"),
    ];
    for (from, to, told) in changes {
        shop.write("same.toml", shop.read("plan.toml"));
        shop.replace("same.toml", from, to);
        let other = shop.run(&["plan", "diff", "plan.toml", "same.toml"]);
        other.succeeded();
        assert!(other.stdout.contains(told), "'{told}' is missing in: {}", other.stdout);
        assert!(other.stdout.contains("none of them was checked here"), "{}", other.stdout);
    }
    let discreet = shop.run(&[&support::TUNE[..8], &["discreet.toml", "--discreet"]].concat());
    discreet.succeeded();
    let other = shop.run(&["plan", "diff", "plan.toml", "discreet.toml"]);
    assert!(other.stdout.contains("what was measured is left out"), "{}", other.stdout);
    assert!(!other.stdout.contains("error 0.00e0"), "{}", other.stdout);
    shop.write("sigmoid.onnx", model::small("Sigmoid"));
    shop.tune("sigmoid.onnx", "sigmoid.toml").succeeded();
    shop.refuses(
        &["plan", "diff", "plan.toml", "sigmoid.toml"],
        2,
        &["different models", "model.onnx", "sigmoid.onnx"],
    );
    shop.refuses(&["plan", "diff", "plan.toml", "none.toml"], 2, &["none.toml"]);
}

/// Configurations of three parties on this machine that imitate a network.
fn deployment(shop: &Workshop, network: Option<&str>, connect: Duration) -> Vec<PathBuf> {
    let folder = shop.path("parties");
    std::fs::create_dir(&folder).unwrap();
    let first = Party(0);
    let (plan, model, input, output) =
        (shop.path("plan.toml"), shop.path("model.onnx"), shop.path("input.npz"), shop.path("output.npz"));
    let what = Loopback {
        session: "measured",
        roles: &["model", "data", "helper"],
        owners: Owners { model: first, input: first, output: first },
        plan: &plan,
        model: &model,
        input: &input,
        output: &output,
        policy: None,
        network,
        side_by_side: None,
        limits: Limits { connect, ..Limits::default() },
    };
    loopback(&folder, &what).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn the_links_of_a_deployment_are_measured_by_its_parties() {
    let shop = Workshop::new();
    shop.write("slow.toml", "round_trip_seconds = 0.004\nbits_per_second = 1e9\n");
    let configs = deployment(&shop, Some(text(&shop.path("slow.toml"))), Duration::from_secs(20));
    let outs = ["first.toml", "second.toml", "third.toml"];
    let parties = configs.iter().zip(outs);
    let running: Vec<_> = parties
        .map(|(config, out)| shop.start(&["profile", "--config", text(config), "--out", out, "--runs", "1"]))
        .collect();
    for running in running {
        shop.watch(running).succeeded();
    }
    let machines = outs.map(|out| Machine::read(&shop.path(out)).unwrap());
    assert!(machines.iter().all(|machine| machine.links == machines[0].links), "all parties know the same");
    let ends: Vec<(u8, u8)> = machines[0].links.iter().map(|link| (link.from, link.to)).collect();
    assert_eq!(ends, [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]);
    for link in &machines[0].links {
        // The imitated network is a floor; above it is what the machine does besides.
        assert!(link.round_trip_seconds >= 0.004 && link.round_trip_seconds < 0.4, "{link:?}");
        assert!(link.bits_per_second > 1e7 && link.bits_per_second < 3e9, "{link:?}");
    }
    // The slowest link can be named as a network.
    shop.tune("model.onnx", "plan.toml").succeeded();
    let time = ["plan", "time", "plan.toml", "--machine", "first.toml", "--network", "first.network.toml"];
    shop.run(&time).succeeded();
}

#[test]
fn a_party_that_is_not_there_is_named_in_time() {
    let shop = Workshop::new();
    let configs = deployment(&shop, None, Duration::from_millis(500));
    let alone = ["profile", "--config", text(&configs[1]), "--out", "machine.toml"];
    shop.refuses(&alone, 3, &["party 0", "within"]);
    assert!(!shop.path("machine.toml").exists());
    let config = PartyConfig::read(&configs[1]).unwrap();
    std::fs::remove_file(&config.private_key).unwrap();
    shop.refuses(&alone, 2, &["private-key"]);
    shop.refuses(&["profile", "--config", "none.toml", "--out", "machine.toml"], 2, &["none.toml"]);
    shop.refuses(&["profile"], 2, &["--out"]);
}

#[test]
fn a_bound_is_certified_and_the_run_is_within_it() {
    let shop = Workshop::with_plan();
    let outcome = shop.run(&["--json", "plan", "bound", "plan.toml", "--model", "model.onnx"]);
    outcome.succeeded();
    let bound: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    let output = &bound["outputs"][0];
    let number = |value: &serde_json::Value, name: &str| value[name].as_f64().unwrap();
    let all = number(output, "bound");
    let parts = ["roundings", "approximations", "quantisation"].map(|part| number(output, part));
    assert!((parts.iter().sum::<f64>() / all - 1.0).abs() < 1e-9 && output["vacuous"] == false, "{output}");
    let run = ["--json", "run", "model.onnx", "--plan", "plan.toml", "--input", "input.npz", "--local"];
    let run = shop.run(&[&run[..], &["--output", "output.npz"]].concat());
    run.succeeded();
    let run: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let measured = number(&run, "max_abs_error");
    assert!(measured <= all && all < 1.0, "off by {measured}, certified {all}");
    let page = shop.run(&["plan", "bound", "plan.toml", "--model", "model.onnx"]);
    assert!(page.stdout.contains("certified within") && page.stdout.contains("quantisation"), "{}", page.stdout);
    shop.write("sigmoid.onnx", model::small("Sigmoid"));
    shop.refuses(&["plan", "bound", "plan.toml", "--model", "sigmoid.onnx"], 2, &["tune this model"]);
    shop.refuses(&["plan", "limits", "plan.toml", "--model", "sigmoid.onnx"], 2, &["tune this model"]);
}

#[test]
fn a_simulation_is_timed_beside_runs() {
    let shop = Workshop::with_plan();
    let bench = ["--json", "bench", "simulate", "model.onnx", "--plan", "plan.toml", "--input", "input.npz"];
    let outcome = shop.run(&[&bench[..], &["--runs", "1", "--networks", "lan"]].concat());
    outcome.succeeded();
    let report: serde_json::Value = serde_json::from_str(&outcome.stdout).unwrap();
    let row = &report["networks"][0];
    let [run, simulated] = [&row["run_seconds"], &report["seconds"]].map(|seconds| seconds.as_f64().unwrap());
    assert!(simulated > 0.0 && (row["times_faster"].as_f64().unwrap() * simulated / run - 1.0).abs() < 1e-9);
    shop.refuses(&[&bench[1..], &["--networks", "none"]].concat(), 2, &["none"]);
    shop.write("sigmoid.onnx", model::small("Sigmoid"));
    let other = ["bench", "simulate", "sigmoid.onnx", "--plan", "plan.toml", "--input", "input.npz"];
    shop.refuses(&other, 2, &["tune this model"]);
}
