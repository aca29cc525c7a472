//! The canonical description of a circuit, and its digest: what parties compare before they run it.
//!
//! One line per weight, group and node, with every public number; entries by the digest of their file. Two circuits
//! with one description execute the same program.

use super::builder::Circuit;
use super::node::{Coefficient, Constant, Movement, NodeKind, ProductKind, Sum};
use super::tensor::Integers;
use catalogs::protocol::Width;
use std::fmt::Write;

/// The digest of a circuit's description.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CircuitDigest(pub [u8; 32]);

impl Circuit {
    /// The description: public, readable, the same at every party.
    pub fn describe(&self) -> String {
        let mut out = String::from("chebyshare circuit 1\n");
        if let Some(bytes) = self.tile_bytes() {
            let _ = writeln!(out, "tiles of {bytes} bytes");
        }
        for slot in self.weights() {
            let _ = writeln!(out, "weight {:?} {} {}", slot.name, slot.shape, slot.format);
        }
        for group in self.groups() {
            let _ = writeln!(out, "group {:?} site {:?} {:?}", group.name, group.site, group.construction);
        }
        for (id, node) in self.iter() {
            let _ = write!(out, "{id} {:?} group {} {} {} = ", node.name, node.group.0, node.shape, node.format);
            describe_kind(&mut out, &node.kind);
            out.push('\n');
        }
        out
    }

    /// The digest of the description.
    pub fn digest(&self) -> CircuitDigest {
        CircuitDigest(blake3::derive_key("chebyshare circuit description 1", self.describe().as_bytes()))
    }
}

fn describe_kind(out: &mut String, kind: &NodeKind) {
    // Writing to a string cannot fail.
    let _ = match kind {
        NodeKind::Input { owner, .. } => write!(out, "input of {}", owner.0),
        NodeKind::Weight(id) => write!(out, "weight {}", id.0),
        NodeKind::Sum(sum) => {
            describe_sum(out, sum);
            Ok(())
        }
        NodeKind::Program { certified, argument } => write!(out, "program {} {argument}", certified.digest()),
        NodeKind::Maximum(maximum) => {
            let Width { bits, dropped } = maximum.width;
            let without = if dropped > 0 { format!(" without {dropped}") } else { String::new() };
            write!(out, "maximum {bits}{without} by {} of {:?}", maximum.joined, maximum.candidates)
        }
        NodeKind::Movement { movement, operands } => {
            describe_movement(out, movement);
            for operand in operands {
                let _ = write!(out, " {operand}");
            }
            Ok(())
        }
        NodeKind::Output { receiver, value } => write!(out, "output to {} {value}", receiver.0),
    };
}

fn describe_sum(out: &mut String, sum: &Sum) {
    let factor = |coefficient: Coefficient| format!("{}/2^{}", coefficient.value, coefficient.scale);
    let _ = write!(out, "sum ring {}", sum.ring);
    for product in &sum.products {
        let kind = match &product.kind {
            ProductKind::MatMul => "matmul".to_owned(),
            ProductKind::Hadamard => "hadamard".to_owned(),
            ProductKind::Conv(convolution) => format!("{convolution:?}"),
        };
        let _ = write!(out, " + {} {kind} {} {}", factor(product.coefficient), product.left, product.right);
    }
    for term in &sum.linear {
        let _ = write!(out, " + {} {}", factor(term.coefficient), term.value);
    }
    let _ = match &sum.constant {
        Constant::Scalar(value) => write!(out, " + {value}"),
        Constant::Tensor(tensor) => write!(out, " + {}", public_tensor(tensor)),
    };
    if let Some(lemma) = sum.truncation {
        let _ = write!(out, " {lemma}");
    }
}

fn public_tensor(tensor: &Integers) -> String {
    format!("{} {:?}", tensor.shape(), tensor.values())
}

fn describe_movement(out: &mut String, movement: &Movement) {
    let _ = match movement {
        Movement::Replace { replaced, value } => {
            let flags: String = replaced.iter().map(|&replaced| if replaced { '1' } else { '0' }).collect();
            write!(out, "replace by {value} at {flags}")
        }
        other => write!(out, "{other:?}"),
    };
}
