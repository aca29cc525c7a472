//! `fit`, `synth`, `campaign` and `bench synth` as a person types them: what is refused and how, then what is printed.

#![allow(clippy::unwrap_used)]

mod support;

use serde_json::Value;
use support::{Outcome, Workshop};

fn json(outcome: &Outcome) -> Value {
    outcome.succeeded();
    // Nothing but the report, on a pipe.
    assert_eq!(outcome.stderr, "");
    serde_json::from_str(&outcome.stdout).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_str().unwrap().parse().unwrap()
}

#[test]
fn fits_that_cannot_be_served_say_what_can() {
    let shop = Workshop::new();
    let unit: [&str; 4] = ["--domain", "-1,1", "--degree", "5"];
    let refuses = |function: &str, rest: &[&str], parts: &[&str]| {
        shop.refuses(&[&["fit", function][..], rest].concat(), 2, parts);
    };
    refuses("gleu", &unit, &["gleu", "did you mean gelu?"]);
    refuses("exp(y)", &unit, &["unknown name 'y'", "at character 5"]);
    refuses("exp(x", &unit, &["exp(x"]);
    refuses("reciprocal", &unit, &["x = 0", "what can be served is", "-1,-"]);
    refuses("log", &["--domain=-1,4", "--degree", "3"], &["what can be served is", ",4"]);
    refuses("exp", &["--domain", "1,1", "--degree", "3"], &["1,1", "not an interval"]);
    refuses("exp", &["--domain", "2,1", "--degree", "3"], &["low end must be below"]);
    refuses("exp", &["--domain", "1", "--degree", "3"], &["'1' is not a domain", "LOW,HIGH"]);
    refuses("exp", &["--domain", "0,1", "--degree", "61"], &["61", "at most 60"]);
    refuses("exp", &["--domain", "0,1", "--degree=-1"], &["--degree"]);
    refuses("exp", &["--domain", "0,1", "--rational", "3"], &["'3' is not a pair of degrees"]);
    refuses("exp", &["--domain", "0,1", "--rational", "3,3", "--step", "2^-16"], &["--rational"]);
    refuses("exp", &["--domain", "0,1"], &["--degree"]);
    refuses("exp", &["--domain", "0,1", "--degree", "3", "--rational", "3,3"], &["--rational"]);
    refuses(&"(".repeat(2000), &unit, &["character"]);
}

#[test]
fn wrong_steps_are_refused() {
    let shop = Workshop::new();
    let refuses = |rest: &[&str], parts: &[&str]| {
        let fit = ["fit", "exp", "--domain", "0,1", "--degree", "3"];
        shop.refuses(&[&fit[..], rest].concat(), 2, parts);
    };
    refuses(&["--step", "0.3"], &["'0.3' is no power of two", "2^-16"]);
    refuses(&["--step", "2^-1000"], &["2^-256"]);
    refuses(&["--step", "-1"], &["'-1'"]);
    refuses(&["--step", "2^-16", "--coefficient-bits", "16"], &["--coefficient-bits"]);
    refuses(&["--coefficient-bits", "a,2"], &["'a,2' is no number of bits"]);
    refuses(&["--coefficient-width", "1"], &["2 to 256 bits"]);
    refuses(&["--narrow", "5"], &["--narrow"]);
    refuses(&["--step", "2^-16", "--narrow=-1"], &["--narrow", "percent"]);
    refuses(&["--step", "2^-16", "--variable", "sideways"], &["'sideways' is no variable", "search, raw, unit"]);
    refuses(&["--step", "2^-16", "--variable", "1,0"], &["scal"]);
    refuses(&["--step", "2^-16", "--nodes", "many"], &["--nodes"]);
}

#[test]
fn fits_print_what_is_proved() {
    let shop = Workshop::new();
    let report = json(&shop.run(&["fit", "exp", "--domain", "-1,1", "--degree", "5", "--json"]));
    // 4.52055e-5 in every table of minimax errors.
    assert!((number(&report["minimax_error"]) - 4.52055e-5).abs() < 1e-10);
    assert!(number(&report["certified_lower_bound"]) <= number(&report["minimax_error"]));
    assert!(number(&report["minimax_error"]) <= number(&report["certified_upper_bound"]));
    assert_eq!(report["coefficients"].as_array().unwrap().len(), 6);
    assert_eq!(report["extrema"].as_array().unwrap().len(), 7);

    let report = json(&shop.run(&["fit", "exp", "--domain", "-1,1", "--rational", "2,2", "--json"]));
    assert_eq!(report["denominator"].as_array().unwrap().len(), 3);

    for option in [["--step", "2^-12"], ["--coefficient-bits", "12"], ["--step", "1/4096"]] {
        let fit = ["fit", "exp", "--domain", "-1,1", "--degree", "4", "--variable", "raw", "--json"];
        let quantised = json(&shop.run(&[&fit[..], &option[..]].concat()))["quantised"].clone();
        assert_eq!(quantised["steps"], serde_json::json!([-12, -12, -12, -12, -12]));
        assert!(quantised["ratio"].as_str().unwrap().parse::<f64>().unwrap() < 1.1, "{quantised}");
        assert_eq!(quantised["complete"], true);
    }
}

#[test]
fn a_search_out_of_budget_gives_the_best_so_far_and_says_so() {
    let shop = Workshop::new();
    let fit = ["fit", "sin", "--domain", "-1,1.5", "--degree", "9", "--step", "2^-16", "--variable", "unit"];
    let outcome = shop.run(&[&fit[..], &["--nodes", "3"]].concat());
    outcome.succeeded();
    for part in [
        "stopped at its limit, after 2 programs",
        "the best so far",
        "--nodes raises the limit",
        "times the binding bound",
    ] {
        assert!(outcome.stdout.contains(part), "{part}: {}", outcome.stdout);
    }
    assert_eq!(json(&shop.run(&[&fit[..], &["--nodes", "3", "--json"]].concat()))["quantised"]["complete"], false);

    let synth = ["synth", "x*x/4 + 1/3", "--domain=-2,2", "--fraction-bits", "12", "--ring-bits", "32"];
    let outcome = shop.run(&[&synth[..], &["--batches", "1"]].concat());
    outcome.succeeded();
    shop.refuses(&[&synth[..], &["--batches", "0"]].concat(), 2, &["--batches", "at least 1"]);
    // What cannot be reached names the nearest program.
    shop.refuses(&[&synth[..], &["--max-error", "1e-5"]].concat(), 2, &["1e-5"]);
}

const CAMPAIGN: &str = "[[function]]\nfunction = \"relu\"\ndomain = [\"-8\", \"8\"]\nopen = true\nformats = [\"64,16\"]\n\
                        errors = [\"0\"]\nkeep = \"cheapest\"\n";

#[test]
fn bad_campaigns_are_refused() {
    let shop = Workshop::new();
    let refuses = |text: &str, code: i32, parts: &[&str]| {
        shop.write("bad.toml", text);
        shop.refuses(&["campaign", "bad.toml", "--out", "built"], code, parts);
    };
    refuses("", 2, &["bad.toml", "no function is asked for"]);
    refuses("[[function]", 2, &["bad.toml", "line 1"]);
    refuses(&format!("{CAMPAIGN}colour = 1\n"), 2, &["bad.toml", "unknown field `colour`", "domain"]);
    refuses(&CAMPAIGN.replace("relu", "rleu"), 2, &["function number 1 (rleu)", "did you mean relu?"]);
    refuses(&CAMPAIGN.replace("\"8\"", "\"-9\""), 2, &["the domain [-8, -9] is empty"]);
    refuses(&CAMPAIGN.replace("64,16", "64;16"), 2, &["'64;16' is no format"]);
    refuses(
        &format!("{CAMPAIGN}family = \"rectifer\"\n"),
        2,
        &["no family is called 'rectifer'", "did you mean rectifier?"],
    );
    refuses(&format!("{CAMPAIGN}design = \"whole\"\n"), 2, &["a design needs a family"]);
    refuses(&[CAMPAIGN, CAMPAIGN].concat(), 2, &["two jobs are called relu/k64-f16"]);

    shop.write("good.toml", CAMPAIGN);
    let good = ["campaign", "good.toml", "--out", "built"];
    for shard in ["0/0", "3/2", "0/2", "1", "a/b", "-1/2"] {
        shop.refuses(&[&good[..], &["--shard", shard]].concat(), 2, &[]);
    }
    shop.refuses(&[&good[..], &["--shard", "3/2"]].concat(), 2, &["'3/2' is no shard", "1 <= I <= N"]);
    shop.refuses(&["campaign", "missing.toml", "--out", "built"], 2, &["missing.toml"]);
    shop.refuses(&["campaign", "good.toml"], 2, &["--out"]);
    shop.refuses(&["campaign", "merge", "nowhere", "--out", "all"], 2, &["nowhere"]);
}

#[test]
fn campaigns_go_on_only_where_they_began() {
    let shop = Workshop::new();
    shop.write("good.toml", CAMPAIGN);
    shop.write("other.toml", CAMPAIGN.replace("[\"64,16\"]", "[\"64,16\", \"40,13\"]"));
    let run = |arguments: &[&str]| shop.run(&[&["campaign"][..], arguments].concat());
    let outcome = run(&["good.toml", "--out", "built"]);
    outcome.succeeded();
    assert!(outcome.stdout.contains("1 of 1 jobs done, 1 now"), "{}", outcome.stdout);
    shop.refuses(&["campaign", "good.toml", "--out", "built"], 2, &["--resume"]);
    shop.refuses(&["campaign", "other.toml", "--out", "built", "--resume"], 2, &["holds another campaign"]);
    let outcome = run(&["good.toml", "--out", "built", "--resume"]);
    assert!(outcome.stdout.contains("1 of 1 jobs done, 0 now"), "{}", outcome.stdout);
    assert!(shop.read("built/designs.txt").starts_with("relu/k64-f16: family = \"rectifier\", design = "));

    // One of two parts: merging says what is missing, and fails.
    run(&["other.toml", "--out", "part", "--shard", "1/2"]).succeeded();
    run(&["merge", "part", "--out", "all"]).failed(1, &["1 of 2 jobs have no result"]);
    // A damaged result is a claim that does not hold.
    let job = shop.listing().into_iter().find(|path| path.starts_with("part/jobs") && path.extension().is_some());
    let job = job.unwrap().to_string_lossy().into_owned();
    shop.replace(&job, "end\n", "");
    run(&["other.toml", "--out", "part", "--shard", "1/2", "--resume"]).failed(1, &["not a campaign result", &job]);
}

#[test]
fn goals_without_a_program_are_listed_and_the_others_made() {
    let shop = Workshop::new();
    let hopeless = CAMPAIGN.replace("\"relu\"", "\"reciprocal\"").replace("[\"-8\", \"8\"]", "[\"1\", \"2\"]");
    let wide = CAMPAIGN.replace("64,16", "200,16").replace("keep", "label = \"wide\"\nkeep");
    shop.write("mixed.toml", [CAMPAIGN, &hopeless.replace("\"0\"", "\"1e-12\""), &wide].concat());
    let report = json(&shop.run(&["campaign", "mixed.toml", "--out", "built", "--json"]));
    assert_eq!((&report["jobs"], &report["entries"]), (&Value::from(2), &Value::from(1)));
    let unreached = &report["unreached"][0];
    assert_eq!(unreached["what"], "reciprocal/k64-f16");
    assert!(!unreached["reason"].as_str().unwrap().is_empty());
    assert!(report["refused"][0]["reason"].as_str().unwrap().contains("200 bits"), "{report}");
}

#[test]
fn the_bench_of_searches_says_what_was_not_run() {
    let shop = Workshop::new();
    shop.refuses(&["bench", "synth", "--functions", "sigmod"], 2, &["no function 'sigmod'", "did you mean sigmoid?"]);
    shop.refuses(&["bench", "synth", "--functions", "zeta"], 2, &["no function 'zeta'", "there are"]);
    shop.refuses(&["bench", "synth", "--without-sollya", "--sollya-proofs"], 2, &["--sollya-proofs"]);
    let bench = ["bench", "synth", "--functions", "sin", "--max-error", "1e-2", "--without-sollya"];
    let outcome = shop.run(&bench);
    outcome.succeeded();
    assert!(outcome.stdout.contains("NOT RUN: Sollya was left out"), "{}", outcome.stdout);
    assert!(outcome.stdout.lines().any(|line| line.starts_with("sin ")), "{}", outcome.stdout);
}

/// The widest windows that there are: their ends' differences and magnitudes exceed 64 bits.
#[test]
fn windows_of_all_integers() {
    let shop = Workshop::new();
    for (function, bits, ring, domain) in [
        ("relu", "0", "64", "--domain=-9223372036854775808,9223372036854775807"),
        ("relu", "40", "128", "--domain=-8388608,8388607"),
        ("hard_sigmoid", "40", "128", "--domain=-8388608,8388607"),
    ] {
        let goal = [function, domain, "--fraction-bits", bits, "--ring-bits", ring, "--max-error", "1e-1"];
        let outcome = shop.run(&[&["synth"], &goal[..], &["--batches", "1", "--out", "my/catalogs"]].concat());
        outcome.succeeded();
        assert!(outcome.stdout.contains(&format!("{function}/r{ring}-i{bits}")), "{}", outcome.stdout);
    }
    shop.run(&["--catalog", "my/catalogs", "verify", "--all"]).succeeded();
}
