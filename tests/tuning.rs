//! Demands on plans, on the shipped model of digits: what the tuner is asked for it gives, or it says what is missing.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::Value;
use std::path::Path;
use support::{Outcome, Workshop};

/// `tune` of digits_cnn on a few calibration inputs, with the shipped catalog.
fn tune(shop: &Workshop, out: &str, more: &[&str]) -> Outcome {
    let given = |option: &str| more.contains(&option);
    let batch: &[&str] = if given("--batch") { &[] } else { &["--batch", "4"] };
    let simulate: &[&str] = if given("--simulate") { &[] } else { &["--simulate", "8"] };
    tune_of(shop, "digits_cnn.onnx", out, &[simulate, batch, more].concat())
}

fn tune_of(shop: &Workshop, model: &str, out: &str, more: &[&str]) -> Outcome {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/models");
    let [model, calibration] = [model, "digits_calibration.npz"].map(|name| models.join(name).display().to_string());
    let catalog = Path::new(env!("CARGO_MANIFEST_DIR")).join("catalogs").display().to_string();
    let fixed = ["--json", "--catalog", &catalog, "tune", &model, "--calibration", &calibration, "--out", out];
    shop.run(&[&fixed[..], more].concat())
}

fn report(outcome: &Outcome) -> Value {
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    serde_json::from_str(&outcome.stdout).unwrap()
}

fn number(report: &Value, path: &str) -> f64 {
    report.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("no number {path} in {report}"))
}

fn labels() -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/models/digits_calibration.npz").display().to_string()
}

#[test]
fn a_plan_meets_what_is_asked_and_its_front_falls() {
    let shop = Workshop::new();
    let tight = report(&tune(&shop, "tight.toml", &["--max-error", "8e-4", "--front", "front.svg"]));
    assert!(number(&tight, "/measured/error") <= 4e-4);
    let loose = report(&tune(&shop, "loose.toml", &["--max-error", "0.5"]));
    assert!(number(&loose, "/predicted/seconds_per_run") <= number(&tight, "/predicted/seconds_per_run"));
    let points = tight.pointer("/front/points").and_then(Value::as_array).unwrap();
    let pairs: Vec<(f64, f64)> = points.iter().map(|p| (number(p, "/seconds"), number(p, "/error"))).collect();
    assert!(pairs.len() > 3 && pairs.is_sorted_by(|a, b| a.0 <= b.0 && a.1 > b.1), "{pairs:?}");
    assert_eq!(points.iter().filter(|point| point["chosen"] == true).count(), 1);
    assert!((0.0..0.2).contains(&number(&tight, "/front/gap/seconds")));
    assert!(shop.read("front.svg").contains("the plan:"));
    // The same question has the same answer, to the byte, also when simulations are recalled.
    let keep = ["--max-error", "8e-4", "--resume", "kept"];
    tune(&shop, "again.toml", &keep).succeeded();
    assert_eq!(shop.read("again.toml"), shop.read("tight.toml"));
    assert!(std::fs::read_dir(shop.path("kept")).unwrap().count() > 0);
    tune(&shop, "recalled.toml", &keep).succeeded();
    assert_eq!(shop.read("recalled.toml"), shop.read("tight.toml"));
    // From the plan itself nothing faster is found, and the plan stays.
    let started = report(&tune(&shop, "started.toml", &["--max-error", "8e-4", "--start", "tight.toml"]));
    assert!(number(&started, "/predicted/seconds_per_run") <= number(&tight, "/predicted/seconds_per_run"));
}

/// What is predicted of a choice's error orders what simulations show, and a climb only makes plans faster.
#[test]
fn predicted_errors_follow_what_is_simulated_and_climbs_gain() {
    let shop = Workshop::new();
    let found = report(&tune(&shop, "found.toml", &["--max-error", "8e-4", "--climb", "0", "--whole-front"]));
    let points = found.pointer("/front/points").and_then(Value::as_array).unwrap();
    assert!(points.len() > 3);
    let mut largest = 0.0f64;
    for point in points.iter().rev() {
        let [added, signed, shown] = ["/error", "/expected", "/measured/error"].map(|path| number(point, path));
        assert!(0.0 < signed && signed <= added * (1.0 + 1e-9), "signs can only help: {point}");
        assert!((0.3..3.0).contains(&(signed / shown)), "{point}");
        // From the most accurate to the fastest: what is shown grows, but for roundings.
        assert!(shown > 0.8 * largest, "{point}");
        largest = largest.max(shown);
    }
    assert!(largest > 1.5 * number(points.last().unwrap(), "/measured/error"), "the front does not matter");
    let sites = found.pointer("/site").and_then(Value::as_array).unwrap();
    let effects = sites.iter().map(|site| number(site, "/effect"));
    assert!(effects.sum::<f64>() <= number(&found, "/predicted/error"));
    let climbed = report(&tune(&shop, "climbed.toml", &["--max-error", "8e-4", "--climb", "6"]));
    let seconds = |report: &Value| number(report, "/predicted/seconds_per_run");
    assert!(seconds(&climbed) <= seconds(&found));
    assert!(number(&climbed, "/measured/error") <= 4e-4);
}

#[test]
fn cosines_labels_and_budgets_are_demands_too() {
    let shop = Workshop::new();
    let cosine = report(&tune(&shop, "cosine.toml", &["--min-cosine", "0.9999999"]));
    assert!(number(&cosine, "/measured/cosine") >= 0.99999995);
    let labels = labels();
    let asked = ["--labels", &labels, "--max-accuracy-loss", "0"];
    let labelled = report(&tune(&shop, "labelled.toml", &asked));
    let metric = [number(&labelled, "/measured/metric/0"), number(&labelled, "/measured/metric/1")];
    assert!(metric[0] > 0.8 && metric[1] >= metric[0], "{metric:?}");
    let asked = ["--labels", &labels, "--max-entropy-gain", "0.001"];
    let entropy = report(&tune(&shop, "entropy.toml", &asked));
    assert!(number(&entropy, "/measured/metric/1") <= number(&entropy, "/measured/metric/0") + 1e-3);
    // The model ends with a softmax and is right nine times of ten: a softmax of its probabilities would make 1.5 of that.
    assert!(number(&entropy, "/measured/metric/0") < 0.5, "{entropy}");
    // A budget alone asks for the most accurate plan inside.
    let megabytes = number(&cosine, "/predicted/bytes_per_run") / 1e6;
    let generous = report(&tune(&shop, "generous.toml", &["--max-megabytes", &format!("{}", 4.0 * megabytes)]));
    let narrow = report(&tune(&shop, "narrow.toml", &["--max-megabytes", &format!("{megabytes}")]));
    assert!(number(&narrow, "/predicted/bytes_per_run") / 1e6 <= megabytes);
    assert!(number(&generous, "/predicted/error") <= number(&narrow, "/predicted/error"));
    assert!(number(&narrow, "/front/gap/error") >= 0.0);
    let whole = ["--max-megabytes", &format!("{megabytes}"), "--whole-front"];
    tune(&shop, "whole.toml", &whole).failed(2, &["--whole-front needs a demand on accuracy"]);
}

#[test]
fn what_cannot_be_met_is_refused_with_the_best_and_the_site() {
    let shop = Workshop::new();
    let before = shop.listing();
    tune(&shop, "plan.toml", &["--max-error", "1e-9"])
        .failed(2, &["error ", "at most 5.000e-10", "the roundings of sums with 16 fraction bits"]);
    tune(&shop, "plan.toml", &["--max-seconds", "1e-6"])
        .failed(2, &["no plan stays within 0.000001 s", "the cheapest has"]);
    tune(&shop, "plan.toml", &["--max-megabytes", "0.001"]).failed(2, &["1000 bytes", "of which most at"]);
    tune(&shop, "plan.toml", &["--max-memory", "0.0001", "--max-error", "1"])
        .failed(2, &["no plan stays within 0.000 MB of memory", "the least that was found is", "of which most at"]);
    // What stands in the way is named: not the catalog where it is something else.
    tune(&shop, "plan.toml", &["--quick", "--max-error", "1e-4"]).failed(2, &["--quick tries no other plan"]);
    assert_eq!(shop.listing(), before, "a refused plan leaves nothing");
    let loose = report(&tune(&shop, "loose.toml", &["--min-agreement", "0"]));
    let seconds = format!("{}", 1.01 * number(&loose, "/predicted/seconds_per_run"));
    tune(&shop, "plan.toml", &["--max-error", "1e-3", "--max-seconds", &seconds]).failed(2, &["allow more"]);
}

/// A budget of seconds is one of the plan that is written, in its rings, and is used.
#[test]
fn a_budget_is_held_against_the_plan_and_used() {
    let shop = Workshop::new();
    let seconds = |report: &Value| number(report, "/predicted/seconds_per_run");
    let batch = ["--batch", "60", "--climb", "0"];
    let asked = |out: &str, more: &[&str]| tune(&shop, out, &[&batch[..], more].concat());
    let within = |out: &str, limit: f64| asked(out, &["--max-seconds", &limit.to_string()]);
    let fastest = report(&asked("fastest.toml", &["--min-agreement", "0"]));
    let least = report(&within("least.toml", 1.0001 * seconds(&fastest)));
    assert!(seconds(&least) <= 1.0001 * seconds(&fastest));
    let limit = 0.999 * seconds(&fastest);
    within("none.toml", limit).failed(2, &["no plan stays within", &format!("has {:.4} s", seconds(&fastest))]);
    // Where a demand on the error found a plan, a budget of its seconds finds one that is predicted to be no worse.
    let asked_for = report(&asked("asked.toml", &["--max-error", "0.01"]));
    assert!(seconds(&asked_for) > 1.05 * seconds(&fastest), "the error asks for nothing");
    let found = report(&within("found.toml", seconds(&asked_for) * 1.000001));
    assert!(seconds(&found) <= seconds(&asked_for) * 1.000001);
    assert!(number(&found, "/predicted/error") <= number(&asked_for, "/predicted/error"));
    // The front and the plan agree about the plan's seconds.
    for report in [&asked_for, &found] {
        let points = report.pointer("/front/points").and_then(Value::as_array).unwrap();
        let own: Vec<f64> = points.iter().filter(|p| p["chosen"] == true).map(|p| number(p, "/seconds")).collect();
        assert_eq!(own, [seconds(report)]);
    }
    // What did not pass is faster where it is called faster.
    let refused = asked_for.pointer("/front/refused_seconds").and_then(Value::as_f64);
    assert!(refused.is_none_or(|refused| refused < seconds(&asked_for)), "{refused:?}");
    // A climb within a budget ends in what shows no more, and so does a start.
    let limit = (seconds(&asked_for) * 1.000001).to_string();
    let more = ["--batch", "60", "--climb", "4", "--max-seconds", &limit, "--start", "asked.toml"];
    let climbed = report(&tune(&shop, "climbed.toml", &more));
    let least = number(&found, "/measured/error").min(number(&asked_for, "/measured/error"));
    assert!(number(&climbed, "/measured/error") <= least && seconds(&climbed) <= seconds(&asked_for) * 1.000001);
}

/// On the vision transformer, where the sum of effects and what is shown disagree, and candidates differ in memory.
#[test]
fn what_can_be_met_is_not_refused() {
    let shop = Workshop::new();
    let tune = |out: &str, more: &[&str]| tune_of(&shop, "digits_vit.onnx", out, &[&["--climb", "0"], more].concat());
    // The most accurate rungs of the front do not pass, one before them does.
    let found = report(&tune("found.toml", &["--simulate", "20", "--max-error", "0.00605"]));
    assert!(number(&found, "/measured/error") <= 0.5 * 0.00605);
    let asked = ["--simulate", "8", "--max-memory", "39", "--max-seconds", "2"];
    let small = report(&tune("small.toml", &asked));
    assert!(number(&small, "/predicted/memory_bytes") <= 39e6);
    let refused = tune("none.toml", &["--simulate", "8", "--max-memory", "20", "--max-error", "1"]);
    refused.failed(2, &["no plan stays within 20.000 MB of memory", "the least that was found is"]);
}

#[test]
fn nonsense_is_refused() {
    let shop = Workshop::new();
    for (option, value, said) in [
        ("--max-error", "0", "--max-error 0: take a positive number"),
        ("--min-agreement", "2", "--min-agreement 2: take a share from 0 to 1"),
        ("--min-cosine", "1.5", "--min-cosine 1.5: take a number"),
        ("--min-cosine", "1", "--min-cosine 1: take a number from -1 to less than 1"),
        ("--tile-bytes", "0", "use `auto`, `none` or a whole number of bytes from 1"),
    ] {
        tune(&shop, "plan.toml", &[option, value]).failed(2, &[said]);
    }
    tune(&shop, "plan.toml", &["--max-seconds", "-1"]).failed(2, &["--max-seconds -1", "positive"]);
    tune(&shop, "plan.toml", &["--machine", "none.toml"]).failed(2, &["none.toml", "chebyshare profile"]);
    let accuracy = |file: &str| tune(&shop, "plan.toml", &["--labels", file, "--max-accuracy-loss", "0.1"]);
    shop.write_array("few.npz", "label", &[3], &[1.0, 2.0, 3.0]);
    accuracy("few.npz").failed(2, &["3 labels for"]);
    shop.write_array("half.npz", "label", &[2], &[1.0, 2.5]);
    accuracy("half.npz").failed(2, &["half.npz", "2.5 is no label"]);
    tune(&shop, "plan.toml", &["--labels", &labels(), "--max-accuracy-loss", "-1"]).failed(2, &["worsen by -1"]);
    shop.write_array("high.npz", "label", &[256], &[10.0; 256]);
    accuracy("high.npz").failed(2, &["label 10 is none", "10 scores"]);
    shop.write_array("pairs.npz", "label", &[256, 2], &[1.0; 512]);
    accuracy("pairs.npz").failed(2, &["pairs.npz", "[256, 2]", "one whole number an input"]);
    tune(&shop, "plan.toml", &["--labels", &labels()]).failed(2, &["--labels", "add --max-accuracy-loss"]);
    tune(&shop, "plan.toml", &["--simulate", "0"]).failed(2, &["take 1 or more"]);
    tune(&shop, "plan.toml", &["--axis", "foo=3"]).failed(2, &["no dynamic axis 'foo'"]);
    for option in ["--max-error", "--max-seconds", "--max-megabytes", "--max-memory"] {
        tune(&shop, "plan.toml", &[option, "1e400"]).failed(2, &[option, "take a finite number"]);
    }
    shop.write("other.toml", "version = 1\n");
    tune(&shop, "plan.toml", &["--start", "other.toml"]).failed(2, &["other.toml"]);
}

/// What the owner of the model learns from its plan, and what a discreet one does not tell.
#[test]
fn plans_have_pages_limits_and_secrets() {
    let shop = Workshop::new();
    tune(&shop, "plan.toml", &["--max-error", "0.5", "--discreet"]).succeeded();
    let text = shop.read("plan.toml");
    for told in ["sensitivity", "[measured]", "roundings", "effect", "\nerror"] {
        assert!(!text.contains(told), "{told} is told");
    }
    let catalog = Path::new(env!("CARGO_MANIFEST_DIR")).join("catalogs").display().to_string();
    let show = shop.run(&["plan", "show", "plan.toml"]);
    show.succeeded();
    assert!(show.stdout.contains("what was measured is left out"), "{}", show.stdout);
    shop.run(&["plan", "page", "plan.toml", "--out", "plan.html"]).succeeded();
    assert!(shop.read("plan.html").contains("left out"));
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/models/digits_cnn.onnx").display().to_string();
    let limits = shop.run(&["--json", "--catalog", &catalog, "plan", "limits", "plan.toml", "--model", &model]);
    limits.succeeded();
    let rows: Vec<Value> = serde_json::from_str(&limits.stdout).unwrap();
    assert!(rows.iter().any(|row| row["what"] == "argument of tanh"));
    for row in rows {
        let used = number(&row, "/used");
        assert!((0.0..=1.0).contains(&used), "{row}");
    }
}

/// A hand-written program is certified, published, and chosen by the tuner where it is the fastest that will do.
#[test]
#[cfg(feature = "generate")]
fn a_program_of_ones_own_is_offered_to_the_tuner() {
    let shop = Workshop::new();
    let page = include_str!("../docs/own-program.md");
    let recipe = page.split("```text\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert!(recipe.lines().count() <= 15, "{recipe}");
    shop.write("own.recipe", recipe);
    let outcome = shop.run(&["--json", "prove", "own.recipe", "--out", "catalogs"]);
    outcome.succeeded();
    let rows: Vec<Value> = serde_json::from_str(&outcome.stdout).unwrap();
    let certified: f64 = rows[0]["certified_error"].as_str().unwrap().parse().unwrap();
    let witness: f64 = rows[0]["witness_error"].as_str().unwrap().parse().unwrap();
    assert!(witness <= certified && certified <= 1.02 * witness, "{rows:?}");
    let name = rows[0]["entry"].as_str().unwrap();
    shop.run(&["--catalog", "catalogs", "verify", name]).succeeded();
    // The same once more is nothing new; another program of that name is said to take its place.
    let again = shop.run(&["prove", "own.recipe", "--out", "catalogs"]);
    again.succeeded();
    assert!(!again.stderr.contains("replaced"), "{}", again.stderr);
    shop.write("other.recipe", recipe.replace("less(x, 0)", "less(x, 0.125)"));
    let other = shop.run(&["prove", "other.recipe", "--out", "catalogs"]);
    other.succeeded();
    assert!(other.stderr.contains(name) && other.stderr.contains("replaced"), "{}", other.stderr);
    shop.write("bad.recipe", recipe.replace("less(x, 0)", "less(z, 0)"));
    shop.run(&["prove", "bad.recipe"]).failed(2, &["bad.recipe", "no value 'z'"]);
    shop.write("cut.recipe", "function relu\nstem own\nwindow w8 -8 8\n");
    shop.run(&["prove", "cut.recipe"]).failed(2, &["cut.recipe", "the line 'program …' is missing"]);
}

/// Who owns what is a choice of who asks, and a session has those parties.
#[test]
fn a_plan_is_for_the_parties_that_are_named() {
    let shop = Workshop::new();
    let quick = ["--max-error", "0.5", "--quick"];
    let usual = report(&tune(&shop, "usual.toml", &quick));
    assert_eq!(usual["parties"], serde_json::json!({"model": 0, "input": 1, "output": 1}));
    let [model, images] = ["digits_cnn.onnx", "digits_calibration.npz"]
        .map(|name| Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/models").join(name).display().to_string());
    let catalog = Path::new(env!("CARGO_MANIFEST_DIR")).join("catalogs").display().to_string();
    for (parties, [model_owner, input, output]) in [("2,0,1", [2, 0, 1]), ("1,1,1", [1; 3])] {
        let owned = report(&tune(&shop, "owned.toml", &[&quick[..], &["--parties", parties]].concat()));
        assert_eq!(owned["parties"], serde_json::json!({"model": model_owner, "input": input, "output": output}));
        let fixed = ["--json", "--catalog", &catalog, "run", &model, "--plan", "owned.toml", "--input", &images];
        let run = report(&shop.run(&[&fixed[..], &["--output", "scores.npz", "--local"]].concat()));
        assert!(number(&run, "/max_abs_error") < 0.5 && run["rounds"] == run["rounds_predicted"], "{run}");
        assert_eq!(run["bytes_total"], run["bytes_predicted"]);
    }
    for none in ["0,1", "0,1,3", "0,1,1,1", "model,1,1", ""] {
        tune(&shop, "none.toml", &["--parties", none]).failed(2, &["parties", "three parties of 0 to 2"]);
    }
}

/// As many inputs as pay and fit what a run may cost.
#[test]
fn the_tuner_chooses_how_many_inputs_a_run_has() {
    let shop = Workshop::new();
    let batch = |out: &str, more: &[&str]| {
        let outcome =
            tune(&shop, out, &[&["--batch", "auto", "--network", "wan", "--max-error", "0.5"], more].concat());
        assert!(outcome.stderr.contains("inputs a run"), "{}", outcome.stderr);
        let report = report(&outcome);
        (number(&report, "/model/batch") as usize, number(&report, "/predicted/seconds_per_run"))
    };
    // A round costs 20 ms on its way: every further input is nearly free.
    assert_eq!(batch("most.toml", &["--max-batch", "24"]).0, 24);
    let (few, seconds) = batch("few.toml", &["--max-seconds", "1.85"]);
    assert!((2..=8).contains(&few) && seconds <= 1.85, "{few} inputs in {seconds} s");
    // Where not even one input fits, the budget is what is refused.
    let refused = tune(&shop, "none.toml", &["--batch", "auto", "--network", "wan", "--max-seconds", "0.1"]);
    refused.failed(2, &["no plan stays within 0.1 s"]);
    assert!(!refused.stderr.contains("failure probability"), "nobody asked for one: {}", refused.stderr);
}

/// As many runs side by side as are predicted to be fastest: where messages travel long, all that are allowed. The plan says
/// so to all parties, and a session does it.
#[test]
fn the_tuner_chooses_how_many_runs_are_side_by_side() {
    let shop = Workshop::new();
    let of = |out: &str, more: &[&str]| {
        report(&tune(&shop, out, &[&["--network", "wan", "--max-error", "0.5", "--batch", "8"], more].concat()))
    };
    let seconds = |report: &Value| number(report, "/predicted/seconds_per_run");
    let memory = |report: &Value| number(report, "/predicted/memory_bytes");
    let alone = of("alone.toml", &[]);
    assert_eq!(alone.pointer("/model/side_by_side"), None, "one after the other is what is not said");
    let three = of("three.toml", &["--side-by-side", "3"]);
    assert_eq!(number(&three, "/model/side_by_side"), 3.0);
    assert!(seconds(&three) < 0.5 * seconds(&alone), "{} and {}", seconds(&three), seconds(&alone));
    assert!(memory(&three) > 2.0 * memory(&alone), "each run holds values of its own");
    assert!(memory(&three) < 3.0 * memory(&alone), "the weights are held once");
    let points = three.pointer("/front/points").and_then(Value::as_array).unwrap();
    assert!(points.len() > 1 && points.iter().all(|point| number(point, "/seconds") > 0.2 * seconds(&three)));
    assert!((0.0..0.2).contains(&number(&three, "/front/gap/seconds")), "{three}");
    // What does not fit in memory is not done.
    let megabytes = format!("{}", 2.5e-6 * memory(&three) / 3.0);
    let two = of("two.toml", &["--side-by-side", "3", "--max-memory", &megabytes]);
    assert_eq!(number(&two, "/model/side_by_side"), 2.0);
    let shown = shop.run(&["plan", "show", "three.toml"]);
    assert!(shown.stdout.contains("s under wan, 3 side by side"), "{}", shown.stdout);
    let differences = shop.run(&["plan", "diff", "alone.toml", "three.toml"]);
    assert!(differences.stdout.contains("runs side by side"), "{}", differences.stdout);
    // The plan's number is that of its sessions, if nothing else is said. What is counted is the same whatever it is.
    let [model, images] = ["digits_cnn.onnx", "digits_calibration.npz"]
        .map(|name| Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/models").join(name).display().to_string());
    let catalog = Path::new(env!("CARGO_MANIFEST_DIR")).join("catalogs").display().to_string();
    let private = |more: &[&str]| {
        let fixed = ["--json", "--catalog", &catalog, "run", &model, "--plan", "three.toml", "--input", &images];
        let local = ["--output", "scores.npz", "--local", "--no-reference"];
        report(&shop.run(&[&fixed[..], &local, more].concat()))
    };
    let (together, apart) = (private(&[]), private(&["--side-by-side", "1"]));
    for counted in ["runs", "rounds", "rounds_predicted", "bytes_total", "bytes_predicted"] {
        assert_eq!(together[counted], apart[counted], "{counted}");
    }
    assert_eq!(together["rounds"], together["rounds_predicted"]);
    assert!(number(&together, "/runs") >= 3.0);
    // A budget of seconds is one of each run's share.
    let budget = format!("{}", 1.01 * seconds(&three));
    let within = ["--network", "wan", "--batch", "8", "--max-seconds", &budget, "--max-error", "0.5"];
    let together = report(&tune(&shop, "within.toml", &[&within[..], &["--side-by-side", "3"]].concat()));
    assert_eq!(number(&together, "/model/side_by_side"), 3.0);
    tune(&shop, "none.toml", &within).failed(2, &["no plan stays within"]);
    for none in ["0", "65", "some"] {
        tune(&shop, "none.toml", &["--side-by-side", none]).failed(2, &["side-by-side", "1 to 64"]);
    }
    shop.replace("three.toml", "side_by_side = 3", "side_by_side = 65");
    shop.run(&["plan", "show", "three.toml"]).failed(2, &["three.toml", "65 runs side by side cannot be"]);
}

/// The narrowest ring of the catalog is the fastest, and the error decides whether it will do.
#[test]
fn the_tuner_chooses_the_ring_of_a_run() {
    let shop = Workshop::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/lenet");
    let [catalog, model, calibration] =
        ["catalogs", "lenet.onnx", "calibration.npz"].map(|name| folder.join(name).display().to_string());
    let fixed = ["--json", "--catalog", &catalog, "tune", &model, "--calibration", &calibration, "--batch", "1"];
    let auto = ["--input-range", "0,1", "--ring-bits", "auto", "--simulate", "8", "--out", "lenet.toml"];
    let ring = |more: &[&str]| {
        let outcome = shop.run(&[&fixed[..], &auto, more].concat());
        assert!(outcome.stderr.contains("a ring of 32 bits, 9 fraction bits, "), "{}", outcome.stderr);
        let report = report(&outcome);
        (number(&report, "/formats/ring"), number(&report, "/formats/activations"), number(&report, "/formats/weights"))
    };
    assert_eq!(ring(&["--max-error", "0.02"]), (40.0, 13.0, 13.0));
    assert_eq!(ring(&["--max-error", "0.3", "--weight-bits", "11"]), (32.0, 9.0, 11.0));
    shop.run(&[&fixed[..], &auto, &["--fraction-bits", "9"]].concat()).failed(2, &["--ring-bits auto"]);
    tune(&shop, "plan.toml", &["--batch", "many"]).failed(2, &["many", "auto"]);
}

/// Fraction bits are what accuracy is paid with: a model that only has to keep its answers gets fewer of both kinds, one
/// whose outputs have to stay keeps them.
#[test]
fn the_tuner_chooses_fraction_bits() {
    let shop = Workshop::new();
    let bits = |out: &str, more: &[&str]| {
        let report =
            report(&tune(&shop, out, &[&["--simulate", "24", "--batch", "16", "--climb", "4"], more].concat()));
        let of = |place: &str| number(&report, place);
        (of("/formats/activations"), of("/formats/weights"), of("/predicted/seconds_per_run"))
    };
    let auto = ["--fraction-bits", "auto", "--weight-bits", "auto"];
    let answers = ["--min-agreement", "1", "--max-error", "0.1"];
    let (activations, weights, seconds) = bits("few.toml", &[&auto[..], &answers].concat());
    assert!(activations == 12.0 && weights < 12.0, "{activations} and {weights}");
    let (_, weights, usual) = bits("usual.toml", &answers);
    assert_eq!(weights, 16.0);
    assert!(seconds < 0.95 * usual, "{seconds} and {usual}");
    let close = bits("close.toml", &["--fraction-bits", "auto", "--max-error", "0.005"]);
    assert_eq!((close.0, close.1), (16.0, 16.0));
    // The plan of few bits is one that three parties run.
    let [model, images] = ["digits_cnn.onnx", "digits_calibration.npz"]
        .map(|name| Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/models").join(name).display().to_string());
    let fixed = ["run", &model, "--plan", "few.toml", "--input", &images, "--output", "scores.npz", "--local"];
    let run = [&fixed[..], &["--side-by-side", "4"]].concat();
    let catalog = Path::new(env!("CARGO_MANIFEST_DIR")).join("catalogs").display().to_string();
    let run = shop.run(&[&["--json", "--catalog", &catalog], &run[..]].concat());
    let run = report(&run);
    assert!(number(&run, "/max_abs_error") < 0.1, "{run}");
    for (counted, predicted) in [("rounds", "rounds_predicted"), ("bytes_total", "bytes_predicted")] {
        assert_eq!(run[counted], run[predicted], "{run}");
    }
    shop.run(&[&fixed[..], &["--side-by-side", "0"]].concat()).failed(2, &["side-by-side", "1 to 64"]);
    // A plan to start from is of one of the formats; the others are tuned all the same.
    let started = bits("again.toml", &[&auto[..2], &answers, &["--start", "close.toml"]].concat());
    assert_eq!(started.0, 12.0);
    // Where only a budget is given, the most accurate plan is chosen, not the fastest.
    let within = |out: &str, more: &[&str]| {
        let budget = ["--max-megabytes", "4", "--batch", "16", "--simulate", "24", "--climb", "4"];
        number(&report(&tune(&shop, out, &[&budget[..], more].concat())), "/measured/error")
    };
    assert!(within("within.toml", &auto[..2]) <= within("usual.toml", &[]));
    tune(&shop, "plan.toml", &["--fraction-bits", "few"]).failed(2, &["few", "auto"]);
    tune(&shop, "plan.toml", &["--ring-bits", "32", "--fraction-bits", "auto"])
        .failed(2, &["no entry for activations"]);
}

/// Plans of other ways beside the tuned one: what is told of them is complete in every file, and follows from their plans.
#[test]
fn other_ways_are_shown_with_what_is_theirs() {
    let shop = Workshop::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let [model, calibration] = ["digits_cnn.onnx", "digits_calibration.npz"]
        .map(|name| root.join("examples/models").join(name).display().to_string());
    let catalog = root.join("catalogs").display().to_string();
    let peers = root.join("catalogs/peers/ported/entries").display().to_string();
    let fixed = ["--json", "--catalog", &catalog, "bench", "tuner", &model, "--calibration", &calibration];
    let sizes = ["--input", &calibration, "--batch", "4", "--simulate", "8", "--max-error", "0.01", "--runs", "0"];
    let bench = |more: &[&str]| shop.run(&[&fixed[..], &sizes, &["--peers", &peers], more].concat());
    bench(&["--out", "ways.pdf"]).failed(2, &["ways.pdf", ".html, .svg, .json or .txt"]);
    bench(&["--ring-bits", "auto"]).failed(2, &["--ring-bits auto"]);
    let files = "ways.txt,ways.json,ways.html,ways.svg";
    let more = ["--weight-bits", "auto", "--simulations", "3", "--caption", "drawn <digits>", "--out", files];
    let found = report(&bench(&more));
    assert_eq!(serde_json::from_str::<Value>(&shop.read("ways.json")).unwrap(), found);
    let (text, page) = (shop.read("ways.txt"), shop.read("ways.html"));
    assert!(text.contains("\ndrawn <digits>\n") && page.contains("drawn &lt;digits&gt;"));
    assert!(shop.read("ways.svg").contains("drawn &lt;digits&gt;"));
    let rows = found["rows"].as_array().unwrap();
    assert_eq!([&rows[0]["name"], &rows[1]["name"]], ["tuned", "tuned, in the others' formats"]);
    let note = rows[0]["notes"][0].as_str().unwrap();
    assert!(note.contains("16 fraction bits, 12 of weights; all others: 16 fraction bits, 16 of weights"), "{note}");
    assert_eq!(rows[0]["outcome"]["Ok"]["unmet"], serde_json::json!([]));
    let tuned = number(&rows[0], "/outcome/Ok/predicted_seconds");
    let mut systems = 0;
    for row in rows {
        let name = row["name"].as_str().unwrap();
        let Some(outcome) = row["outcome"].get("Ok") else { continue };
        // The asterisk stands where the constraint is not met, and only there.
        let met = number(outcome, "/simulated_error") <= 0.005;
        assert_eq!(outcome["unmet"] == serde_json::json!([]), met, "{row}");
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        assert_eq!(line.starts_with(&format!("{name} *")), !met, "{line}");
        assert_eq!(text.contains(&format!("* {name} does not meet the constraint")), !met);
        assert!(
            !met || name.starts_with("(c)") || number(outcome, "/predicted_seconds") >= tuned * (1.0 - 1e-9),
            "{row}"
        );
        let shares = row["shares"].as_array().unwrap();
        assert_eq!(shares.is_empty(), !name.starts_with("(c)"));
        systems += usize::from(!shares.is_empty());
        for share in shares {
            let (theirs, sites) = (share["theirs"].as_u64().unwrap(), share["sites"].as_u64().unwrap());
            assert_eq!(theirs + share["ours"].as_array().unwrap().len() as u64, sites);
            assert!(page.contains(&format!("{theirs} of {sites}")), "{share}");
        }
        assert!(shares.is_empty() || shares.iter().any(|share| share["theirs"].as_u64() > Some(0)));
        assert!(shares.is_empty() || text.contains(&format!("\n{name}: its own ")));
        for note in row["notes"].as_array().unwrap() {
            assert!(text.contains(note.as_str().unwrap()), "{note}");
        }
    }
    assert_eq!(systems, 3, "{text}");
}
