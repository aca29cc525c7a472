//! The secure program of a model: a list of nodes on integer tensors that every party executes, without weights.
//!
//! [`Circuit`] is protocol-independent and public: shapes, formats, certified entries and public coefficients. It can
//! only be built valid. [`schedule`](mod@schedule) says in which round every message of a protocol travels and how
//! many bytes that is; [`ideal`] executes a circuit on clear integers, bit for bit as a protocol may. [`lower`] makes
//! a circuit from a model's graph and a choice of entries, [`headroom`] proves that it stays inside every window, and
//! [`accuracy`] bounds the error of every site. [`coarse`] says what maxima do that leave out low bits.
//!
//! Assumes: nothing of the protocol but its lemmas (`catalogs::Lemma`) and its list of messages.

pub mod accuracy;
pub mod bound;
mod builder;
pub mod coarse;
pub mod headroom;
pub mod ideal;
mod infer;
pub mod itinerary;
pub mod layout;
pub mod limits;
pub mod lower;
mod node;
pub mod products;
pub mod rings;
#[cfg(test)]
pub(crate) mod sample_entries;
pub mod schedule;
mod shape;
mod tensor;
#[cfg(test)]
mod tests;
mod text;

pub use builder::{Builder, Circuit, Weights};
pub use itinerary::{Act, Class, Itinerary, Part, Tile};
pub use node::{
    Coefficient, Constant, Construction, Convolution, Group, GroupId, Maximum, Movement, Node, NodeId, NodeKind,
    Normalisation, Party, Product, ProductKind, Sum, Term, WeightId, WeightSlot,
};
pub use schedule::{Field, GroupCost, Schedule, schedule};
pub use shape::Shape;
pub use tensor::{Integers, decode, encode, nearest, residue};
pub use text::CircuitDigest;

use catalogs::{Format, Lemma};

/// Why there is no circuit, no schedule or no simulation.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum Error {
    /// A node does not fit its operands.
    #[error("node {node} ('{name}' of {group}): {reason}")]
    Node {
        /// Which node.
        node: NodeId,
        /// Its name.
        name: String,
        /// Its group's name.
        group: String,
        /// What is wrong.
        reason: String,
    },
    /// Something else about the circuit is impossible.
    #[error("{0}")]
    Circuit(String),
    /// A number of elements that does not fit a shape.
    #[error("'{tensor}' needs {} elements for the shape {shape}, {given} are given", shape.lanes())]
    Elements {
        /// Which tensor.
        tensor: String,
        /// Its shape.
        shape: Shape,
        /// How many there are.
        given: usize,
    },
    /// NaN or an infinity.
    #[error("element {index} of '{tensor}' is not a finite number")]
    NotFinite {
        /// Which tensor.
        tensor: String,
        /// Which element.
        index: usize,
    },
    /// A number outside of its format.
    #[error("element {index} of '{tensor}' does not fit {format}; scale the tensor down or choose fewer fraction bits")]
    TooLarge {
        /// Which tensor.
        tensor: String,
        /// Which element.
        index: usize,
        /// The format it is encoded in.
        format: Format,
    },
    /// A lemma that a protocol does not offer.
    #[error("node {node} of {group} needs '{lemma}', which the protocol {protocol} does not offer")]
    Lemma {
        /// Which node.
        node: NodeId,
        /// Its group's name.
        group: String,
        /// What it needs.
        lemma: Lemma,
        /// Of whom.
        protocol: String,
    },
    /// A site that the plan's choice does not serve, or that cannot be run.
    #[error("{site}: {reason}")]
    Choice {
        /// The model's node.
        site: String,
        /// What is wrong.
        reason: String,
    },
    /// A site whose proved range exceeds what its entry is certified for.
    #[error(
        "{site}: its proved range {low}..={high} exceeds the window {window_low}..={window_high} of the {function} \
         entry (integers at scale {scale}); choose an entry with a wider window, or {}",
        narrower(function)
    )]
    Window {
        /// The model's node.
        site: String,
        /// The entry's function.
        function: catalogs::Function,
        /// Proved bounds of the argument.
        low: i128,
        /// Proved bounds of the argument.
        high: i128,
        /// The claim's window.
        window_low: i64,
        /// The claim's window.
        window_high: i64,
        /// Fraction bits of all four.
        scale: catalogs::Scale,
    },
    /// A truncation whose operand may leave its window.
    #[error(
        "node {node} ('{name}' of {group}): its operand is only proved to lie in {low}..={high}, the truncation serves \
         {bits} bits and a sign; choose fewer fraction bits, or tune this model again where a plan has rings of its own"
    )]
    Headroom {
        /// Which node.
        node: NodeId,
        /// Its name.
        name: String,
        /// Its group's name.
        group: String,
        /// Proved bounds of the operand.
        low: i128,
        /// Proved bounds of the operand.
        high: i128,
        /// log₂ of the window.
        bits: u8,
    },
    /// A maximum whose candidates may be too far apart.
    #[error(
        "node {node} ('{name}' of {group}): its candidates are only proved to differ by at most {difference}, the \
         maximum compares {width} bits; choose a wider one"
    )]
    Differences {
        /// Which node.
        node: NodeId,
        /// Its name.
        name: String,
        /// Its group's name.
        group: String,
        /// The proved bound.
        difference: i128,
        /// Bits compared.
        width: u8,
    },
    /// Logits that may leave the public bounds that a softmax without maximum relies on.
    #[error(
        "{site}: its logits are only proved to lie in {low}..={high}, the plan's softmax without maximum is for \
         {planned_low}..={planned_high} (integers at scale {scale}); tune this model again"
    )]
    Logits {
        /// The model's node.
        site: String,
        /// Proved bounds.
        low: i128,
        /// Proved bounds.
        high: i128,
        /// The plan's bounds.
        planned_low: i64,
        /// The plan's bounds.
        planned_high: i64,
        /// Fraction bits of all four.
        scale: catalogs::Scale,
    },
    /// A composite operation whose error cannot be bounded as it was built.
    #[error("{site}: no bound of its error is proved: {reason}")]
    Bound {
        /// The model's node.
        site: String,
        /// The condition that fails.
        reason: verify::compose::SideCondition,
    },
    /// The wrong number of inputs or weights.
    #[error("{what}: {needed} needed, {given} given")]
    Count {
        /// Inputs or weights.
        what: &'static str,
        /// By the circuit.
        needed: usize,
        /// By the caller.
        given: usize,
    },
    /// An input or weight of another shape, or with an element outside of its ring.
    #[error("'{tensor}' is not a tensor of shape {shape} with elements of {format}")]
    Tensor {
        /// Which tensor.
        tensor: String,
        /// What it should have.
        shape: Shape,
        /// What it should have.
        format: Format,
    },
}

/// What helps where an argument leaves its window: bounds of clamps are integers, and an argument of an entry with scales of
/// its own lies below one as well.
fn narrower(function: &catalogs::Function) -> &'static str {
    match lower::has_own_scales(function) {
        true => "promise narrower inputs (tune --input-range, --row-norm)",
        false => "limit the argument (tune --clamp)",
    }
}
