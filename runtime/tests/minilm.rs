//! all-MiniLM-L6-v2 with shipped entries, chosen by hand: proof of headroom, bit-exact simulation, cost by kind of site.
//!
//! Runs where `CHEBYSHARE_MINILM` names the folder that `examples/minilm/export.py` wrote, and says loudly when not.

#![allow(clippy::unwrap_used)]

use catalogs::Catalog;
use catalogs::protocol::rss3::Rss3;
use runtime::arrays::Arrays;
use runtime::circuit::headroom::{InputBound, Norms, prove_with};
use runtime::circuit::ideal::{self, RoundingMode};
use runtime::circuit::lower::{Centre, Choice, Comparisons, Formats, Ownership, lower};
use runtime::circuit::{Party, schedule};
use runtime::graph::{Axes, Graph, NodeId, SiteKind, Tensor, reference};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;
use verify::Certified;

const TOKENS: usize = 32;
/// A layer norm's output obeys ‖γz + β‖ ≤ max|γ|·√384 + ‖β‖, which is below this for the embeddings'.
const ROW_NORM: f64 = 18.0;

fn entry(name: &str) -> Arc<Certified> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let catalog = Catalog::open(&root.join("catalogs"), &root.join("proofs")).unwrap();
    let (_, published) = catalog.find(name).unwrap();
    Arc::new(verify::check_texts(&published.entry, &published.certificate).unwrap())
}

fn choices(graph: &Graph) -> BTreeMap<NodeId, Choice> {
    let (gelu, rsqrt) = (entry("gelu/k64-f16-w9-2e-4"), entry("rsqrt/k64-f24-o22-e-20-14-2e-4"));
    let exp = entry("exp/k64-f16-o24-w15-mixed-2e-6");
    let reciprocal = entry("reciprocal/k64-f24-o26-n64-1e-4");
    let choice = |kind| match kind {
        SiteKind::Softmax => Choice::Softmax {
            maximum: Comparisons { width: 32, groups: vec![4, 8], joined: 1, coarse: 0 },
            exp: exp.clone(),
            reciprocal: reciprocal.clone(),
            normalise_last: false,
        },
        SiteKind::Normalisation => Choice::Normalisation { rsqrt: rsqrt.clone(), centre: Centre::Rounded },
        _ => Choice::Unary { entry: gelu.clone() },
    };
    graph.sites().into_iter().map(|site| (site.node, choice(site.kind))).collect()
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn a_sentence_is_embedded_privately() {
    let Some(folder) = std::env::var_os("CHEBYSHARE_MINILM") else {
        let _ = writeln!(
            std::io::stderr(),
            "NOT RUN: all-MiniLM-L6-v2; run examples/minilm/export.py and set CHEBYSHARE_MINILM"
        );
        return;
    };
    let folder = Path::new(&folder);
    let axes = Axes::batch(1).with("tokens", TOKENS).with_public("mask", vec![0.0]);
    let graph = Graph::import_with(&std::fs::read(folder.join("minilm.onnx")).unwrap(), &axes).unwrap();
    let ownership = Ownership { input: Party(1), output: Party(1) };
    let lowered = lower(&graph, &choices(&graph), Formats::default(), ownership).unwrap();
    let weights = lowered.weights(&graph).unwrap();

    let started = Instant::now();
    let bound = InputBound { low: -8.0, high: 8.0, row_norm: Some(ROW_NORM) };
    let norms = Norms::default();
    prove_with(&lowered, &weights, &[bound], &norms).unwrap();
    let first = started.elapsed();
    let started = Instant::now();
    let headroom = prove_with(&lowered, &weights, &[bound], &norms).unwrap();
    eprintln!("headroom proved in {first:.2?}, again in {:.2?}", started.elapsed());
    let spare = lowered.circuit.iter().filter_map(|(id, _)| headroom.spare_bits(id)).min().unwrap();
    eprintln!("{} nodes, least spare bits of a truncation {spare}", lowered.circuit.nodes().len());

    let cost = schedule(&lowered.circuit, &Rss3).unwrap();
    let mut kinds: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for (group, own) in lowered.circuit.groups().iter().zip(cost.groups()) {
        let site = graph.sites().into_iter().find(|site| group.site == Some(site.node.index() as u32));
        let row = kinds.entry(site.map_or("linear", |site| site.kind.name())).or_default();
        *row = (row.0 + u64::from(own.rounds), row.1 + own.bytes);
    }
    for (kind, (rounds, bytes)) in kinds {
        eprintln!("{kind}: {rounds} rounds, {:.2} MB", bytes as f64 / 1e6);
    }
    eprintln!("{} rounds, {:.2} MB", cost.rounds, cost.bytes(runtime::transport::HEADER_BYTES as u64) as f64 / 1e6);

    let sentences = Arrays::read(&folder.join("sentences.npz")).unwrap();
    let (given, expected) = (sentences.reals("embeddings").unwrap(), sentences.reals("sentence").unwrap());
    let row = given.data.len() / given.shape[0];
    for index in 0..given.shape[0] {
        let input = Tensor { shape: vec![1, TOKENS, 384], data: given.data[index * row..(index + 1) * row].to_vec() };
        let expected = &expected.data[index * 384..(index + 1) * 384];
        let plain = reference::run(&graph, std::slice::from_ref(&input), &mut |_, _| {}).unwrap();
        let difference = plain[0].data.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(difference < 1e-5, "{difference}");
        if index > 0 {
            continue;
        }
        let encoded = lowered.encode_inputs(&[input]).unwrap();
        let started = Instant::now();
        let outcome = ideal::run(&lowered.circuit, &weights, &encoded, RoundingMode::Seed(1)).unwrap();
        let private = lowered.decode_outputs(&outcome.outputs).unwrap();
        let cosine = cosine(&private[0].data, expected);
        eprintln!("simulated in {:.2?}: cosine {cosine:.8}", started.elapsed());
        assert!(cosine >= 0.99999, "{cosine}");
    }
}
