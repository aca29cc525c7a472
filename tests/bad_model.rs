//! Models, inputs, plans and output paths that cannot be used.

#![allow(clippy::unwrap_used)]

mod support;

use support::{INFER, TUNE, Workshop, model};

#[test]
fn an_unsupported_operator() {
    let shop = Workshop::new();
    shop.write("model.onnx", model::small("Erfinv"));
    let parts = ["model.onnx", "node 'node_active' (Erfinv)", "Relu"];
    shop.refuses(&TUNE, 2, &parts);
    let outcome = shop.refuses(&["inspect", "model.onnx"], 2, &["model.onnx", "unsupported"]);
    assert!(outcome.stdout.contains("node 'node_active' (Erfinv)"), "{}", outcome.stdout);
}

#[test]
fn a_truncated_model() {
    let shop = Workshop::with_plan();
    let whole = model::small("Relu");
    shop.write("model.onnx", &whole[..whole.len() - 20]);
    let parts = ["model.onnx", "not a readable ONNX model", "export it again"];
    shop.refuses(&TUNE, 2, &parts);
    shop.refuses(&INFER, 2, &parts);
    shop.refuses(&["inspect", "model.onnx"], 2, &parts);
    shop.write("model.onnx", "");
    shop.refuses(&TUNE, 2, &["model.onnx"]);
    std::fs::remove_file(shop.path("model.onnx")).unwrap();
    shop.refuses(&INFER, 2, &["model.onnx", "No such file"]);
}

#[test]
fn inputs_of_a_wrong_shape() {
    let shop = Workshop::with_plan();
    let row: Vec<f64> = (0..10).map(model::input).collect();
    let parts = ["input.npz", "array 'x' has shape [2, 5]", "[examples, 4]"];
    shop.write_array("input.npz", "x", &[2, 5], &row);
    shop.refuses(&INFER, 2, &parts);
    shop.write_array("calibration.npz", "x", &[2, 5], &row);
    shop.refuses(&TUNE, 2, &["calibration.npz", parts[1], parts[2]]);
    shop.write_array("input.npz", "x", &[0, 4], &[]);
    shop.refuses(&INFER, 2, &["input.npz", "0 examples", "at least one"]);
}

#[test]
fn inputs_with_nan_or_infinity() {
    let shop = Workshop::with_plan();
    for bad in [f64::NAN, f64::INFINITY] {
        let mut data: Vec<f64> = (0..8).map(model::input).collect();
        data[6] = bad;
        shop.write_array("input.npz", "x", &[2, 4], &data);
        shop.refuses(&INFER, 2, &["input.npz", "array 'x'", "element 6 is NaN or infinite"]);
        shop.write_array("calibration.npz", "x", &[2, 4], &data);
        shop.refuses(&TUNE, 2, &["calibration.npz", "array 'x'", "element 6 is NaN or infinite"]);
    }
}

#[test]
fn inputs_outside_the_box_of_the_plan() {
    let shop = Workshop::with_plan();
    let mut data: Vec<f64> = (0..8).map(model::input).collect();
    data[5] = 1.25;
    shop.write_array("input.npz", "x", &[2, 4], &data);
    let outcome =
        shop.refuses(&INFER, 2, &["input.npz", "element 5", "outside the input range [-1, 1]", "--input-range"]);
    assert!(!outcome.stderr.contains("1.25"), "the value is secret: {}", outcome.stderr);
    shop.write_array("calibration.npz", "x", &[2, 4], &data);
    shop.refuses(&TUNE, 2, &["the calibration set: element 5", "outside the input range [-1, 1]"]);
}

#[test]
fn an_archive_without_the_array_or_cut_short() {
    let shop = Workshop::with_plan();
    let whole = std::fs::read(shop.path("input.npz")).unwrap();
    for length in [0, 10, whole.len() / 2, whole.len() - 1] {
        shop.write("input.npz", &whole[..length]);
        shop.refuses(&INFER, 2, &["input.npz", "not a readable .npy or .npz file"]);
    }
    let arrays = ["p", "q"].map(|name| runtime::arrays::Output {
        name,
        shape: &[1, 4],
        elements: runtime::arrays::Elements::Double(&[0.0; 4]),
    });
    runtime::arrays::write_npz(&shop.path("input.npz"), &arrays).unwrap();
    shop.refuses(&INFER, 2, &["input.npz has no array 'x'; it has p, q"]);
    std::fs::remove_file(shop.path("input.npz")).unwrap();
    shop.refuses(&INFER, 2, &["input.npz", "No such file"]);
}

#[test]
fn a_plan_changed_by_hand() {
    let shop = Workshop::with_plan();
    let plan = shop.read("plan.toml");
    let line = |key: &str| plan.lines().find(|line| line.starts_with(key)).unwrap().to_owned();
    let changes: [(String, &str, &[&str]); 25] = [
        (line("rounds_per_run"), "rounds_per_run = 1", &["the plan predicts 1 rounds", "changed by hand"]),
        (line("bytes_per_run"), "bytes_per_run = 1", &["the plan predicts 1 bytes", "changed by hand"]),
        (line("structure"), "structure = \"00\"", &["the plan is for the model structure 00", "tune this model"]),
        (line("batch"), "batch=4", &["plan.toml", "not in canonical form"]),
        (line("batch"), "batch = \"four\"", &["plan.toml", "batch"]),
        (line("batch"), "batch = 9223372036854775807", &["the plan predicts 9223372036854775807 inputs a run"]),
        (line("batch"), "batch = 0", &["the plan predicts 0 inputs a run", "recomputed are 4"]),
        (line("protocol"), "protocol = \"abc\"", &["plan.toml", "protocol 'abc' is not known"]),
        (line("version"), "version = 9", &["plan.toml", "version 9 is not known"]),
        (line("weights ="), "weights = 200", &["no scale has 200 bits"]),
        (line("weights_digest"), "weights_digest = \"00\"", &["the plan is for other weights of this model"]),
        (line("activations"), "activations = 15", &["changed by hand"]),
        (line("model = 0"), "model = 7", &["plan.toml", "party 7", "parties 0 to 2"]),
        (line("certified_error"), "certified_error = 0.5", &["states a certified error of 5e-1", "proved is 0e0"]),
        (line("certified_error"), "certified_error = nan", &["node_active", "a certified error of NaN cannot be"]),
        (line("seconds_per_run"), "seconds_per_run = -1.0", &["predicted seconds of -1 cannot be"]),
        (line("seconds_per_run"), "seconds_per_run = inf", &["predicted seconds of inf cannot be"]),
        (line("sensitivity"), "sensitivity = nan", &["a sensitivity of NaN cannot be"]),
        (line("cosine"), "cosine = nan", &["a cosine of NaN cannot be"]),
        (line("weight_bytes"), "weight_bytes = 1", &["the plan predicts 1 bytes of weights", "changed by hand"]),
        (line("elements"), "elements = 1", &["the plan predicts 1 elements of a site", "changed by hand"]),
        (line("rounds = "), "rounds = 1", &["the plan predicts 1 rounds of a site", "changed by hand"]),
        (line("bytes = "), "bytes = 1", &["the plan predicts 1 bytes of a site", "changed by hand"]),
        (line("node"), "node = 0", &["the model has no site at node 0"]),
        (line("input_box"), "input_box = [-inf, inf]", &["the input range [-inf, inf]", "is empty or not finite"]),
    ];
    for (from, to, parts) in changes {
        shop.write("plan.toml", plan.replacen(&from, to, 1));
        shop.refuses(&INFER, 2, parts);
    }
    let site = &plan[plan.find("[[site]]").unwrap()..];
    shop.write("plan.toml", format!("{plan}\n{site}"));
    shop.refuses(&INFER, 2, &["the plan has two choices for site"]);
    shop.write("plan.toml", &plan[..plan.len() / 2]);
    shop.refuses(&INFER, 2, &["plan.toml"]);
    shop.refuses(&["plan", "show", "plan.toml"], 2, &["plan.toml"]);
    std::fs::remove_file(shop.path("plan.toml")).unwrap();
    shop.refuses(&INFER, 2, &["plan.toml", "No such file"]);
}

#[test]
fn a_plan_with_another_entry_or_an_unknown_one() {
    let shop = Workshop::with_plan();
    let plan = shop.read("plan.toml");
    let digest = plan.lines().find(|line| line.starts_with("digest = ")).unwrap();
    shop.write("plan.toml", plan.replacen(digest, &format!("digest = \"{}\"", "0".repeat(64)), 1));
    shop.refuses(&INFER, 2, &["relu/", "the plan names 000000000000", "tune again"]);
    shop.refuses(&["plan", "limits", "plan.toml", "--model", "model.onnx"], 2, &["the plan names 000000000000"]);
    let name = plan.lines().find(|line| line.starts_with("name = \"relu/")).unwrap();
    shop.write("plan.toml", plan.replacen(name, "name = \"relu/none\"", 1));
    shop.refuses(&INFER, 2, &["the catalog has no entry 'relu/none'", "`chebyshare catalog list`"]);
}

#[test]
fn a_plan_for_another_model() {
    let shop = Workshop::with_plan();
    shop.write("model.onnx", model::small("Sigmoid"));
    shop.refuses(&INFER, 2, &["model.onnx", "not the model that the plan was tuned for"]);
    // The structure beside the plan is another model's.
    let shop = Workshop::with_plan();
    shop.write("other.onnx", model::small("Sigmoid"));
    shop.tune("other.onnx", "other.toml").succeeded();
    std::fs::copy(shop.path("other.structure.json"), shop.path("plan.structure.json")).unwrap();
    shop.refuses(&INFER, 2, &["the plan is for the model structure", "tune this model again"]);
    std::fs::remove_file(shop.path("plan.structure.json")).unwrap();
    shop.refuses(&INFER, 2, &["plan.structure.json", "No such file"]);
}

#[test]
fn outputs_that_cannot_be_written() {
    let shop = Workshop::with_plan();
    let place = |place: &'static str| INFER.map(|argument| if argument == "scores.npz" { place } else { argument });
    let advice = "choose another output path";
    shop.refuses(&place("nowhere/scores.npz"), 2, &["nowhere/scores.npz", "No such file", advice]);
    shop.refuses(&place("model.onnx/scores.npz"), 2, &["model.onnx/scores.npz", "Not a directory", advice]);
    shop.refuses(&place("tmp"), 2, &["tmp: is a folder"]);
    shop.refuses(&place("/proc/scores.npz"), 2, &["/proc/scores.npz", advice]);
    let tune = TUNE.map(|argument| if argument == "new.toml" { "nowhere/new.toml" } else { argument });
    let outcome = shop.refuses(&tune, 2, &["nowhere/new.toml", "No such file", advice]);
    assert!(!outcome.stderr.contains("simulating"), "found out too late: {}", outcome.stderr);
    let synth = ["synth", "relu", "--domain=-8,8", "--fraction-bits", "8", "--out", "model.onnx/catalogs"];
    let outcome = shop.refuses(&synth, 2, &["model.onnx/catalogs", "Not a directory", advice]);
    assert!(outcome.seconds < 1.0, "found out too late");
    shop.refuses(&["keys", "--out", "model.onnx", "a"], 2, &["model.onnx"]);
}

/// A result never takes the place of what it is made from, of another result, or of what is no file.
#[test]
fn outputs_that_would_replace_something_else() {
    let shop = Workshop::with_plan();
    let kept = ["model.onnx", "calibration.npz", "input.npz", "plan.toml", "plan.structure.json"];
    let before = kept.map(|name| std::fs::read(shop.path(name)).unwrap());
    let (replaced, twice) = ("would replace what this command reads", "two results would be put in one file");
    let tune = |out: &str, front: &str, reason: &str| {
        let arguments = TUNE.map(|argument| if argument == "new.toml" { out } else { argument });
        let outcome = shop.refuses(&[&arguments[..], &["--front", front]].concat(), 2, &[reason]);
        assert!(!outcome.stderr.contains("admissible"), "found out too late: {}", outcome.stderr);
    };
    tune("model.onnx", "front.svg", replaced);
    tune("tmp/../calibration.npz", "front.svg", replaced);
    tune("new.toml", "model.onnx", replaced);
    tune("new.toml", "new.toml", twice);
    tune("new.toml", "new.structure.json", twice);
    let run = |output: &str| INFER.map(|argument| if argument == "scores.npz" { output } else { argument }.to_owned());
    for output in ["model.onnx", "input.npz", "plan.toml", "plan.structure.json"] {
        let arguments = run(output);
        shop.refuses(&arguments.each_ref().map(String::as_str), 2, &[output, replaced]);
    }
    shop.refuses(&[&INFER[..], &["--profile", "scores.npz"]].concat(), 2, &[twice]);
    shop.refuses(&["plan", "page", "plan.toml", "--out", "plan.toml"], 2, &[replaced]);
    shop.refuses(&["plan", "page", "plan.toml", "--out", "plan.structure.json"], 2, &[replaced]);
    #[cfg(unix)]
    {
        let _socket = std::os::unix::net::UnixListener::bind(shop.path("socket")).unwrap();
        tune("socket", "front.svg", "is a device, a pipe or a socket");
        shop.refuses(&["plan", "page", "plan.toml", "--out", "socket"], 2, &["is a device, a pipe or a socket"]);
        // The place beside the plan is looked at before anything is tuned, too.
        std::fs::create_dir(shop.path("new.structure.json")).unwrap();
        tune("new.toml", "front.svg", "new.structure.json: is a folder");
    }
    for (name, bytes) in kept.iter().zip(before) {
        assert_eq!(std::fs::read(shop.path(name)).unwrap(), bytes, "{name} was changed");
    }
}

#[test]
fn bad_usage() {
    let shop = Workshop::with_plan();
    shop.refuses(&INFER[..8], 2, &["use --local"]);
    shop.refuses(&["run"], 2, &["--plan", "Usage"]);
    shop.refuses(&["no-such-command"], 2, &["no-such-command"]);
    shop.refuses(&["fit", "exp(", "--domain=0,1", "--degree", "3"], 2, &["exp("]);
    shop.refuses(&["synth", "relu", "--domain=8,-8", "--fraction-bits", "8"], 2, &["8,-8", "empty"]);
    shop.refuses(&["synth", "foo", "--domain=-8,8", "--fraction-bits", "8"], 2, &["unknown name 'foo'", "gelu"]);
    let slow = [&INFER[..], &["--network", "nowhere.toml"]].concat();
    shop.refuses(&slow, 2, &["nowhere.toml", "`lan`, `wan`"]);
    let range = TUNE.map(|argument| if argument == "--input-range=-1,1" { "--input-range=1,-1" } else { argument });
    shop.refuses(&range, 2, &["the input range [1, -1] is empty"]);
}

/// The search for secrets in what the program prints would find one.
#[test]
fn a_printed_weight_or_input_would_be_noticed() {
    for value in [model::input(0), model::input(7), model::weight(0), model::weight(5)] {
        let printed = [format!("{value}"), format!("{value:?}"), format!("{:.6}", value as f32)];
        for text in printed {
            assert!(model::told(&text).is_some(), "{text} would pass");
        }
        // Digits of a measured time that begin like it and go on otherwise.
        let other = format!("{:.5}", value.abs() - 0.5e-5) + "31415926";
        assert!(model::told(&other).is_none_or(|told| (told.abs() - value.abs()).abs() > 1e-9), "{other} is {value}");
    }
}
