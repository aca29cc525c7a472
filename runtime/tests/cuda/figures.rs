//! The program that measures a GPU, at tiny sizes on the shim: that every table has its rows, and that what is wrong or
//! missing is said. What it measures here means nothing.

use crate::measure::models::{self, Files, Model};
use crate::measure::report::Report;
use crate::measure::roofline::Roofline;
use crate::measure::{self, Sizes};
use crate::{ahead, kept, mutants, onnx_model, shim};
use catalogs::Catalog;
use runtime::arrays::{Elements, Output, write_npz};
use runtime::backend::cuda::shim::Shim;
use runtime::backend::cuda::{Cache, Cuda, Measurable, Products, Properties, nvrtc};
use runtime::circuit::lower::Formats;
use runtime::cost::Machine;
use runtime::graph::{Axes, Tensor};
use runtime::plan::{InputPromise, PartiesRecord};
use runtime::transport::{Shaping, SideBySide};
use runtime::tuner::{self, Budget, Constraint, Memory, Request, Tiles};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

const RELU: &str = "relu/k64-f16-w14";
const TINY: Model = Model { name: "tiny", aim: Some(1e-9), shipped: false };

/// The shipped catalog, or a part of it: fewer entries are proved sooner.
fn catalog(names: &[&str]) -> Catalog {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let all = Catalog::open(&root.join("catalogs"), &root.join("proofs")).unwrap();
    let mut some = Catalog::new();
    for name in names {
        some.insert(name, all.find(name).unwrap().1.clone()).unwrap();
    }
    some
}

fn sizes() -> Sizes {
    let missing = Model { name: "missing", aim: None, shipped: false };
    Sizes { models: vec![TINY, missing], ..Sizes::tiny() }
}

/// A dense layer and a rectifier, with a plan for two inputs at a time.
fn write_tiny(folder: &Path, catalog: &Catalog) {
    let weight: Vec<f32> = (0..12).map(|index| (index as f32 - 5.0) / 8.0).collect();
    let model = onnx_model::Model::default()
        .input("x", &["batch", "3"])
        .weight("w", &[3, 4], &weight)
        .op("MatMul", &["x", "w"], "h")
        .op("Relu", &["h"], "y")
        .bytes("y");
    let data: Vec<f64> = (0..6).map(|index| f64::from(index) / 2.0 - 1.5).collect();
    let tuned = tuner::tune(
        &Request {
            model: &model,
            model_name: "tiny.onnx".into(),
            catalog,
            calibration: vec![Tensor::new(vec![2, 3], data.clone()).unwrap()],
            labels: None,
            simulated_max: 2,
            batch: 2,
            axes: Axes::batch(2),
            promise: InputPromise { range: [-2.0, 2.0], row_norm: None, named: BTreeMap::new() },
            network: Shaping::LAN,
            network_name: "lan".into(),
            machine: Machine::reference(),
            constraint: Constraint { error_max: 0.1, agreement_min: 0.0, ..Constraint::default() },
            budget: Budget::default(),
            start: None,
            memory: Memory::default(),
            formats: Formats::default(),
            climb: 0,
            whole_front: false,
            quick: true,
            one_ring: false,
            side_by_side: SideBySide::ONE,
            exact_maxima: false,
            tiles: Tiles::Fastest,
            parties: PartiesRecord { model: 0, input: 1, output: 2 },
        },
        &mut |_| {},
    )
    .unwrap();
    let files = Files::in_folder(folder, TINY.name);
    std::fs::write(&files.model, model).unwrap();
    std::fs::write(&files.plan, tuned.plan.to_text()).unwrap();
    std::fs::write(files.plan.with_extension("structure.json"), tuned.structure.to_json()).unwrap();
    let x = Output { name: "x", shape: &[2, 3], elements: Elements::Double(&data) };
    write_npz(&files.input, &[x]).unwrap();
}

#[test]
fn every_table_has_its_rows() {
    if shim().is_none() {
        return;
    }
    let (sizes, catalog, folder) = (sizes(), catalog(&[RELU]), tempfile::tempdir().unwrap());
    write_tiny(folder.path(), &catalog);
    let file = folder.path().join("gpu.md");
    let mut report = Report::new(Some(file.clone()));
    let device: Arc<dyn Measurable> = Arc::new(Shim::new(kept()).unwrap());
    let open = || Ok(Arc::clone(&device));
    let roofline = Roofline::of(&device.properties().unwrap());
    report.fact("device", device.name()).unwrap();
    measure::products::ceilings(&mut report, &open, &sizes, &roofline).unwrap();
    measure::products::products(&mut report, &open, &sizes, &roofline).unwrap();
    measure::stages::stages(&mut report, &open, &sizes, &roofline, &catalog).unwrap();
    let files = |model: &Model| Files::of(model, Path::new("."), Some(folder.path()));
    measure::models::models(&mut report, &open, &sizes, &catalog, &files).unwrap();
    let text = std::fs::read_to_string(file).unwrap();
    println!("{text}");
    // Three rates and a way that is not built; one product in four ways; three operations; two models, one missing.
    assert_eq!((report.rows(), report.missing()), (4 + 4 + 3 + 2, 2));
    for row in [
        "| memory, bytes read and written | ",
        "| 5 × 9 × 3 | limbs | ",
        "| resharing, ring 64 | 130 | ",
        "| sign test, 63 bits, and injection | 130 | ",
        "| tiny, batch of 2 | ",
        "| missing | NOT RUN: ",
    ] {
        assert_eq!(text.matches(row).count(), 1, "{row}");
    }
    // A billionth of a second is never met; the answer is the plain model's, to the bit of its format.
    assert!(text.contains("< 0.000000001 s: NOT met"));
    assert!(text.contains("100.00 % of classes"), "{text}");
    let off = text.split("off by at most ").nth(1).and_then(|rest| rest.split(',').next()).unwrap();
    assert!(off.parse::<f64>().unwrap() < 1e-3, "{off}");
    // All rows have as many cells as their table has columns.
    let (mut columns, mut rows) = (0, 0);
    for line in text.lines() {
        let cells = line.matches('|').count();
        columns = if cells == 0 {
            0
        } else if columns == 0 {
            cells
        } else {
            columns
        };
        assert_eq!(cells, columns, "{line}");
        rows += usize::from(cells > 0);
    }
    assert!(rows > report.rows());
}

/// Parts that are measured one after the other are one report, whichever of them is cut off.
#[test]
fn a_report_goes_on_after_what_its_file_holds() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("gpu.md");
    let mut first = Report::after(file.clone()).unwrap();
    assert!(!first.knows("agreement"));
    first.fact("agreement", "yes").unwrap();
    first.table("One", "Of them.", &["what", "seconds"]);
    first.row(vec!["a".into(), "1".into()]).unwrap();
    let mut second = Report::after(file.clone()).unwrap();
    assert!(second.knows("agreement") && !second.knows("agree"));
    second.table("Other", "Of them.", &["what", "seconds"]);
    second.row(vec!["b".into(), "2".into()]).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!(text, first.markdown() + &second.markdown());
    assert!(Report::after(folder.path().to_owned()).is_err());
}

#[test]
fn softmax_of_a_row_is_measured() {
    if shim().is_none() {
        return;
    }
    let names = ["exp/k64-f16-o24-w15-fast-4e-5", "reciprocal/k64-f24-o26-n256-1e-4"];
    let (sizes, catalog) = (Sizes { lanes: vec![1], ..Sizes::tiny() }, catalog(&names));
    let mut report = Report::new(None);
    let device: Arc<dyn Measurable> = Arc::new(Shim::new(kept()).unwrap());
    measure::softmax::softmax(&mut report, &|| Ok(Arc::clone(&device)), &sizes, &catalog).unwrap();
    let text = report.markdown();
    println!("{text}");
    assert_eq!((report.rows(), report.missing()), (1, 0));
    let off = text.split("off by at most ").nth(1).and_then(|rest| rest.split(',').next()).unwrap();
    assert!(off.parse::<f64>().unwrap() < 1e-3, "{off}");
    assert!(measure::softmax::entries(&Catalog::new()).is_err());
}

#[test]
fn a_device_that_computes_something_else_is_not_measured() {
    if shim().is_none() {
        return;
    }
    let (sizes, catalog) = (Sizes::tiny(), catalog(&[RELU]));
    // What a GPU is asked is not run here.
    assert_eq!(Sizes::full().models, models::ALL);
    let make = |tuning| Cuda::tuned(shim().unwrap(), tuning).map_err(|error| error.to_string());
    assert_eq!(measure::agrees(&make, &sizes, &catalog), Ok(true));
    for (from, to) in [
        ("sum += own * both + next * y_own", "sum += own * both"),
        ("x_own[x] * (y_own[y] + y_next[y])", "x_own[x] * y_own[y]"),
        ("position < extent; ++position", "position + 1 < extent; ++position"),
        ("d = (d << 8) | (d >> 24)", "d = (d << 9) | (d >> 23)"),
    ] {
        let changed = |tuning| mutants::changed(from, to, tuning);
        assert_eq!(measure::agrees(&changed, &sizes, &catalog), Ok(false), "{to}");
    }
}

/// The numbers of an H200's data sheet follow from what its driver says.
#[test]
fn rooflines_follow_from_the_devices_numbers() {
    let device = Properties {
        capability: [9, 0],
        multiprocessors: 132,
        clock_hertz: 1.98e9,
        memory_clock_hertz: 3.201e9,
        memory_bus_bits: 6144,
        cache_bytes: 60 << 20,
        driver: "CUDA 13.0".into(),
    };
    let near = |found: Option<f64>, expected: f64| (found.unwrap() / expected - 1.0).abs() < 0.01;
    let roofline = Roofline::of(&device);
    assert!(near(roofline.memory, 4.917e12) && near(roofline.words, 4.18e12));
    assert!(near(roofline.doubles, 16.7e12) && near(roofline.tensor, 1070e12));
    assert!(near(roofline.product(Products::Limbs, [4096; 3]), 29.7e12));
    assert!(near(roofline.product(Products::Residues, [4096; 3]), 59.5e12));
    assert!(near(roofline.product(Products::Residues, [8192; 3]), 56.3e12));
    // One row reads the weight: two multiply-adds for its 16 bytes.
    assert!(near(roofline.product(Products::Integer, [1, 4096, 4096]), 4.917e12 / 8.0));
    // The way that a shape suggests is what it is judged beside.
    for (extents, way) in [
        ([4096; 3], Products::Residues),
        ([128, 768, 3072], Products::Limbs),
        ([1, 4096, 4096], Products::Integer),
        ([63, 4096, 4096], Products::Integer),
    ] {
        assert_eq!(roofline.product(Products::ByShape, extents), roofline.product(way, extents), "{extents:?}");
    }
    // An RTX 4090 does 1.29·10^12 floating-point operations of doubles a second, two of them in a multiply-add.
    let consumer = Properties { capability: [8, 9], multiprocessors: 128, clock_hertz: 2.52e9, ..device.clone() };
    assert!(near(Roofline::of(&consumer).doubles, 0.645e12));
    let unknown = Roofline::of(&Properties { capability: [99, 0], ..device.clone() });
    assert!(unknown.words.is_none() && unknown.tensor.is_none() && near(unknown.memory, 4.917e12));
    let silent = Roofline::of(&Properties { clock_hertz: 0.0, memory_clock_hertz: 0.0, ..device });
    assert!(silent.memory.is_none() && silent.product(Products::Integer, [4; 3]).is_none());
}

/// Kernels for a GPU that is not there: all of what is measured, once.
#[test]
fn kernels_are_compiled_ahead() {
    let (folder, catalog) = (tempfile::tempdir().unwrap(), catalog(&[RELU]));
    let cache = Cache::new(folder.path().join("kernels")).unwrap();
    // What a pack compiles is not compiled here.
    let _ = ahead::compile;
    let Some(tools) = std::env::var_os("CHEBYSHARE_CUDA_TOOLS") else {
        let _ = writeln!(std::io::stderr(), "NOT RUN: no kernel was compiled ahead: CHEBYSHARE_CUDA_TOOLS is not set");
        return;
    };
    nvrtc::load_below(Path::new(&tools)).unwrap();
    write_tiny(folder.path(), &catalog);
    let files = |model: &Model| Files::of(model, Path::new("."), Some(folder.path()));
    let structure = files(&TINY).unwrap().structure().unwrap();
    let checked = files(&TINY).unwrap().plan().unwrap().check(&structure, &catalog).unwrap();
    let circuit = &checked.lowered().circuit;
    let names = || -> std::collections::BTreeSet<_> {
        std::fs::read_dir(folder.path().join("kernels")).unwrap().map(|file| file.unwrap().file_name()).collect()
    };
    ahead::circuit(&ahead::device("sm_90", &cache), TINY.name, circuit).unwrap();
    let once = names();
    assert!(once.len() > 10 && once.iter().all(|name| name.to_string_lossy().ends_with(".cubin")));
    ahead::circuit(&ahead::device("sm_90", &cache), TINY.name, circuit).unwrap();
    assert_eq!(names(), once);
    assert!(ahead::circuit(&ahead::device("sm_0", &cache), TINY.name, circuit).is_err());
}
