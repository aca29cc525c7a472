//! Where parties compute: names that the program knows, what it says without a GPU, and a shipped model on the CUDA
//! back end, through the host shim, against the same session on the CPU.

#![allow(clippy::unwrap_used)]

mod command;

use command::{chebyshare, root, shipped};
use runtime::arrays::Arrays;
use runtime::backend::cuda::driver;
use runtime::backend::cuda::{Cache, Cuda, shim::Shim};
use runtime::backend::{Backend, Cpu};
use runtime::circuit::{Integers, Party, Weights};
use runtime::graph::Graph;
use runtime::plan::{CheckedPlan, Plan};
use runtime::random::Key;
use runtime::session::Runner;
use runtime::transport::{Limits, Mesh, Transport, in_process};
use runtime::tuner::leading;
use std::io::Write;
use std::sync::Arc;
use std::time::Instant;

fn run(backend: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("scores.npz");
    let arguments =
        ["run", "examples/models/digits_cnn.onnx", "--plan", "examples/plans/digits_cnn.plan.toml", "--input"];
    let mut all = arguments.to_vec();
    all.extend(["examples/models/digits_test.npz", "--local", "--output", output.to_str().unwrap()]);
    all.extend(["--backend", backend]);
    let outcome = chebyshare(&all);
    (outcome.status.code(), String::from_utf8_lossy(&outcome.stderr).into_owned())
}

#[test]
fn a_back_end_that_is_not_there_is_refused_and_auto_says_what_it_takes() {
    for name in ["gpu", "cuda:x"] {
        let (code, message) = run(name);
        assert!(code == Some(2) && message.contains("cuda:NUMBER"), "{message}");
    }
    match driver::names() {
        Ok(names) => {
            let _ = writeln!(std::io::stderr(), "NOT RUN: what is said without a driver; this machine has {names:?}");
        }
        Err(_) => {
            let (code, message) = run("cuda");
            assert!(
                code == Some(2) && message.contains("libcuda.so") && message.contains("--backend cpu"),
                "{message}"
            );
            let (code, message) = run("auto");
            assert!(code == Some(0) && message.contains("computing on the CPU"), "{message}");
        }
    }
}

type Said = Vec<(Vec<Option<Integers>>, u64)>;

/// One batch by three parties: what each learned, and the bytes that it sent.
fn session<B: Backend>(
    checked: &CheckedPlan,
    weights: &Weights,
    inputs: &[Integers],
    backend: impl Fn() -> B + Sync,
) -> Said {
    let circuit = &checked.lowered().circuit;
    let owners = &checked.plan().parties;
    let ends = in_process::network(3, Some(&Key::from_bytes([3; 32])), Limits::default(), None).unwrap();
    let party = |mut transport: Mesh| {
        let me = Party(transport.me().0);
        let mut runner = Runner::on(backend(), circuit.clone(), me).unwrap();
        let weights = (me.0 == owners.model).then_some(weights);
        runner.share_weights(Party(owners.model), weights, &mut transport).unwrap();
        let inputs: Vec<_> = inputs.iter().map(|input| (me.0 == owners.input).then(|| input.clone())).collect();
        let outputs = runner.run(&inputs, &mut transport).unwrap().outputs;
        (outputs, transport.finish().unwrap().online_sent().bytes)
    };
    std::thread::scope(|scope| {
        let started: Vec<_> = ends.into_iter().map(|end| scope.spawn(|| party(end))).collect();
        started.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// The keys are the same, so every mask and every rounding is: the outputs have to be equal bit for bit.
#[test]
fn a_shipped_model_gives_the_same_integers_on_the_device_and_on_the_cpu() {
    let shim = match Cache::temporary().and_then(Shim::new) {
        Ok(shim) => Arc::new(shim),
        Err(reason) => {
            let _ = writeln!(std::io::stderr(), "NOT RUN: no shipped model ran on the CUDA back end: {reason}");
            return;
        }
    };
    let text = |name: &str| std::fs::read_to_string(root().join("examples/plans").join(name)).unwrap();
    let structure = Graph::from_json(&text("digits_cnn.plan.structure.json")).unwrap();
    let checked = Plan::parse(&text("digits_cnn.plan.toml")).unwrap().check(&structure, &shipped()).unwrap();
    let batch = checked.plan().model.batch;
    let models = root().join("examples/models");
    let graph = Graph::import(&std::fs::read(models.join("digits_cnn.onnx")).unwrap(), batch).unwrap();
    let weights = checked.prove_headroom(&graph).unwrap();
    let images = Arrays::read(&models.join("digits_test.npz")).unwrap().reals("image").unwrap();
    let inputs = checked.lowered().encode_inputs(&[leading(&images, 0, batch)]).unwrap();
    let on_cpu = session(&checked, &weights, &inputs, || Cpu);
    let begun = Instant::now();
    let on_device = session(&checked, &weights, &inputs, || Cuda::new(shim.clone()).unwrap());
    println!("{batch} images on the shim: {:.1} s", begun.elapsed().as_secs_f64());
    assert!(on_cpu == on_device);
    assert_eq!(on_cpu.iter().flat_map(|(outputs, _)| outputs).flatten().count(), 1);
}
