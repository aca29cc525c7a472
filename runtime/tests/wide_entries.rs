//! Entries in rings of more than 64 bits are proved like others; this runtime refuses to execute them, by their ring.

#![allow(clippy::unwrap_used)]

mod onnx_model;

use catalogs::Catalog;
use onnx_model::Model;
use runtime::circuit::lower::{Choice, Comparisons, Formats, Ownership, lower};
use runtime::circuit::{Error, Party};
use runtime::protocol::conformance::Conformer;
use runtime::protocol::rss3;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use verify::Certified;

const SAYS: &str = "computes in ring 128; this runtime executes rings of at most 64 bits";

/// An exponential in ring 128, from the checker's corpus.
fn wide() -> Certified {
    let case = include_str!("../../verify/tests/corpus-wide/exponential-ring-128-good.case");
    let (_, rest) = case.split_once("--- entry\n").unwrap();
    let (entry, certificate) = rest.split_once("--- certificate\n").unwrap();
    verify::check_texts(entry, certificate).unwrap()
}

fn shipped(name: &str) -> Arc<Certified> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let catalog = Catalog::open(&root.join("catalogs"), &root.join("proofs")).unwrap();
    let (_, published) = catalog.find(name).unwrap();
    Arc::new(verify::check_texts(&published.entry, &published.certificate).unwrap())
}

#[test]
fn a_wide_entry_is_not_compiled() {
    let refused = rss3::compile(wide().program()).map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains(SAYS), "{refused}");
    // Nor is an operation in its ring.
    let ring = catalogs::Ring::new(128).unwrap();
    let refused = [
        rss3::share(ring).map(|_| ()),
        rss3::open(ring).map(|_| ()),
        rss3::compile_reshare(ring).map(|_| ()),
        rss3::compile_truncate(ring, catalogs::Ring::Z64, 70).map(|_| ()),
        rss3::compile_truncate(catalogs::Ring::Z64, ring, 20).map(|_| ()),
    ];
    for refused in refused {
        assert!(refused.unwrap_err().to_string().contains(SAYS));
    }
    assert!(Conformer::new(wide().program(), 1).is_err_and(|error| error.to_string().contains(SAYS)));
}

#[test]
fn a_plan_with_a_wide_entry_is_refused() {
    let graph = Model::default().input("x", &["1", "16"]).op("Softmax", &["x"], "y").graph("y");
    let reciprocal = shipped("reciprocal/k64-f24-o26-n16-1e-4");
    let maximum = Comparisons { width: 38, groups: vec![2], joined: 1, coarse: 0 };
    let choice = Choice::Softmax { maximum, exp: Arc::new(wide()), reciprocal, normalise_last: false };
    let choices = BTreeMap::from([(graph.sites()[0].node, choice)]);
    let ownership = Ownership { input: Party(1), output: Party(2) };
    let refused = lower(&graph, &choices, Formats::default(), ownership).map(|_| ()).unwrap_err();
    assert!(matches!(refused, Error::Choice { .. }) && refused.to_string().contains(SAYS), "{refused}");
}

/// A plan's own ring, too.
#[test]
fn a_wide_ring_of_activations_is_refused() {
    let graph = Model::default().input("x", &["1", "4"]).op("Add", &["x", "x"], "y").graph("y");
    let formats = Formats { ring: catalogs::Ring::new(128).unwrap(), ..Formats::default() };
    let ownership = Ownership { input: Party(1), output: Party(2) };
    let refused = lower(&graph, &BTreeMap::new(), formats, ownership).map(|_| ()).unwrap_err();
    assert!(refused.to_string().contains(SAYS), "{refused}");
}
