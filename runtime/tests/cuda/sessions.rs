//! Whole sessions of three parties: the same outputs and the same frames on the shim and on the CPU.

use crate::remembered::Remembered;
use crate::shim;
use catalogs::protocol::Width;
use catalogs::{Catalog, Failure, Format, Lemma, Ring, Rounding};
use runtime::backend::cuda::{Cuda, Device};
use runtime::backend::{Backend, Cpu};
use runtime::circuit::{
    Builder, Circuit, Coefficient, Constant, Convolution, Integers, Maximum, Movement, NodeKind, Party, Product,
    ProductKind, Shape, Sum, Term, Weights,
};
use runtime::random::Key;
use runtime::session::Runner;
use runtime::transport::{self, Frame, Limits, Transport, in_process};
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

fn tensor(extents: &[usize], seed: i64) -> Integers {
    let shape = Shape::new(extents).unwrap();
    let values = (0..shape.lanes() as i64).map(|i| ((i * 7919 + seed * 104729) % 200_003) - 100_000).collect();
    Integers::new(shape, values).unwrap()
}

type Said = (Vec<Option<Integers>>, Vec<(transport::Party, Frame)>);

/// Two batches by three parties, each on the back end that `backend` makes for it.
fn run<B: Backend>(
    circuit: &Circuit,
    weights: &Weights,
    inputs: &[Integers],
    session: [u8; 32],
    backend: impl Fn(u8) -> B + Sync,
) -> Vec<Said> {
    let ends = in_process::network(3, Some(&Key::from_bytes(session)), Limits::default(), None).unwrap();
    std::thread::scope(|scope| {
        let party = |(me, inner)| {
            let backend = &backend;
            scope.spawn(move || {
                let me = Party(me as u8);
                let mut transport = Remembered { inner, sent: Vec::new() };
                let mut runner = Runner::on(backend(me.0), circuit.clone(), me).unwrap();
                runner.share_weights(Party(0), (me.0 == 0).then_some(weights), &mut transport).unwrap();
                let mut outputs = Vec::new();
                for _ in 0..2 {
                    let inputs: Vec<_> = inputs.iter().map(|input| (me.0 == 1).then(|| input.clone())).collect();
                    outputs.extend(runner.run(&inputs, &mut transport).unwrap().outputs);
                }
                transport.finish().unwrap();
                (outputs, transport.sent)
            })
        };
        let parties: Vec<_> = ends.into_iter().enumerate().map(party).collect();
        parties.into_iter().map(|party| party.join().unwrap()).collect()
    })
}

fn truncation() -> Option<Lemma> {
    let (ring, rounding) = (Ring::Z64, Rounding::FLOOR_OR_NEXT);
    Some(Lemma::Truncation { ring, target: ring, shift: 16, window: Some(62), rounding, failure: Failure::Never })
}

fn sum(products: Vec<Product>, linear: Vec<Term>, truncation: Option<Lemma>) -> NodeKind {
    NodeKind::Sum(Sum { ring: Ring::Z64, products, linear, constant: Constant::Scalar(3), truncation })
}

/// A convolution, a certified function, a maximum, a matrix product and movements between them.
fn circuit() -> (Circuit, Vec<Integers>, Vec<Integers>) {
    let format = Format::z64(16).unwrap();
    let shape = |extents: &[usize]| Shape::new(extents).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let catalog = Catalog::open(&root.join("catalogs"), &root.join("proofs")).unwrap();
    let entry = catalog.iter().find_map(|(name, published)| {
        let certified = verify::check_texts(&published.entry, &published.certificate).unwrap();
        let (ring, scale) = certified.program().input();
        let suits = name.starts_with("gelu/") && (ring, scale) == (format.ring, format.scale);
        suits.then(|| Arc::new(certified))
    });
    let mut builder = Builder::new();
    let image = builder.input("image", Party(1), shape(&[2, 2, 7, 6]), format).unwrap();
    let kernel = builder.weight("kernel", shape(&[9, 2, 3, 3]), format).unwrap();
    let matrix = builder.weight("matrix", shape(&[90, 5]), format).unwrap();
    let bias = builder.weight("bias", shape(&[5]), format).unwrap();
    let (pads, ones) = ([1, 0], [1, 1]);
    let convolution = Convolution { strides: [1, 1], dilations: ones, pads_before: pads, pads_after: pads, groups: 1 };
    let one = Coefficient::ONE;
    let kind = ProductKind::Conv(convolution);
    let product = Product { coefficient: one, kind, left: image, right: kernel };
    let convolved = builder.push("convolved", sum(vec![product], Vec::new(), truncation())).unwrap();
    let mut value = convolved;
    if let Some(certified) = entry {
        value = builder.push("gelu", NodeKind::Program { certified, argument: convolved }).unwrap();
    }
    let scale = builder.format(value).scale;
    assert_eq!(scale, format.scale, "the entry keeps the scale");
    let halves: Vec<_> = [0, 1]
        .map(|start| {
            let movement = Movement::Slice { axis: 2, start, length: 3, step: 2 };
            builder.movement("half", movement, value).unwrap()
        })
        .to_vec();
    let maximum = Maximum { candidates: halves, width: Width { bits: 40, dropped: 9 }, joined: 1 };
    let largest = builder.push("largest", NodeKind::Maximum(maximum)).unwrap();
    let movement = Movement::Pad { before: vec![0, 0, 0, 0], after: vec![0, 1, 0, 0] };
    let padded = builder.movement("padded", movement, largest).unwrap();
    let movement = Movement::Slice { axis: 1, start: 9, length: 10, step: -1 };
    let turned = builder.movement("turned", movement, padded).unwrap();
    let movement = Movement::Slice { axis: 2, start: 0, length: 3, step: 1 };
    let whole = builder.movement("whole", movement, turned).unwrap();
    let lanes = builder.shape(whole).lanes() / 2;
    let flat = builder.movement("flat", Movement::Reshape { shape: shape(&[2, lanes]) }, whole).unwrap();
    let movement = Movement::Slice { axis: 1, start: 0, length: 90, step: 1 };
    let flat = builder.movement("row", movement, flat).unwrap();
    let product = Product { coefficient: one, kind: ProductKind::MatMul, left: flat, right: matrix };
    let raised = Term { coefficient: Coefficient::raise(16).unwrap(), value: bias };
    let scores = builder.push("scores", sum(vec![product], vec![raised], truncation())).unwrap();
    let product = Product { coefficient: one, kind: ProductKind::Hadamard, left: scores, right: bias };
    let scaled = builder.push("scaled", sum(vec![product], Vec::new(), truncation())).unwrap();
    let total = builder.movement("total", Movement::SumAxis { axis: 1 }, scaled).unwrap();
    builder.output("total", Party(2), total).unwrap();
    builder.output("scores", Party(0), scores).unwrap();
    let weights = vec![tensor(&[9, 2, 3, 3], 2), tensor(&[90, 5], 3), tensor(&[5], 4)];
    (builder.finish().unwrap(), weights, vec![tensor(&[2, 2, 7, 6], 1)])
}

#[test]
fn a_session_on_the_device_says_and_learns_what_one_on_the_cpu_does() {
    let Some(device) = shim() else { return };
    // Rounds as a whole, and in tiles of 256 lanes, of which some nodes have several.
    let frames = [0, 1].map(|tile_bytes| said_and_learned(&device, tile_bytes));
    assert!(frames[1] > frames[0], "{frames:?}");
}

/// The frames of all parties.
fn said_and_learned(device: &Arc<dyn Device>, tile_bytes: u32) -> usize {
    let (circuit, weights, inputs) = circuit();
    let circuit = circuit.in_tiles(NonZeroU32::new(tile_bytes));
    let weights = Weights::new(&circuit, weights).unwrap();
    let on_cpu = run(&circuit, &weights, &inputs, [7; 32], |_| Cpu);
    // Three parties on one device.
    let on_device = run(&circuit, &weights, &inputs, [7; 32], |_| Cuda::new(Arc::clone(device)).unwrap());
    let frames: usize = on_cpu.iter().map(|(_, sent)| sent.len()).sum();
    println!("{} nodes, {frames} frames", circuit.nodes().len());
    for (expected, found) in on_cpu.iter().zip(&on_device) {
        assert_eq!(expected.0, found.0);
        assert!(expected.1 == found.1, "other frames");
    }
    assert!(on_cpu.iter().flat_map(|(outputs, _)| outputs).flatten().count() == 4);
    // The comparison can fail: under another key every masked frame differs.
    let others = run(&circuit, &weights, &inputs, [8; 32], |_| Cpu);
    assert!(others.iter().zip(&on_cpu).all(|(one, other)| one.1 != other.1));
    frames
}
