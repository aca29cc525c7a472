//! The nodes of a circuit: what each one means on integers, and where it comes from.
//!
//! A value is a tensor of ring elements at a static scale: the integer v stands for v / 2^scale. The only
//! nondeterminism is in truncations and in the programs of certified entries, as their lemmas state.

use super::coarse;
use super::shape::Shape;
use super::tensor::Integers;
use catalogs::protocol::Width;
use catalogs::{Format, Lemma, Ring};
use std::fmt;
use std::sync::Arc;
use verify::Certified;
use verify::compose::Subtracted;

/// Index of a node, and of the tensor that it computes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeId(pub u32);

impl NodeId {
    /// As an index into per-node tables.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "n{}", self.0)
    }
}

/// Index of a weight in the circuit's table and in the owner's [`super::Weights`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WeightId(pub u32);

impl WeightId {
    /// As an index into per-weight tables.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Index of a group: the nodes that one site of the model was lowered to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct GroupId(pub u32);

impl GroupId {
    /// As an index into per-group tables.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One of the computing parties, counted from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Party(pub u8);

/// A public fixed-point factor: value / 2^`scale`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Coefficient {
    /// The integer that multiplies, not zero.
    pub value: i64,
    /// Fraction bits that it adds to the term's scale.
    pub scale: u8,
}

impl Coefficient {
    /// The factor 1 at scale 0: the term as it is.
    pub const ONE: Coefficient = Coefficient { value: 1, scale: 0 };
    /// The factor −1 at scale 0.
    pub const MINUS_ONE: Coefficient = Coefficient { value: -1, scale: 0 };

    /// The factor 1 written with `bits` fraction bits: it raises a term's scale and leaves its real value.
    /// `None` above 62 bits.
    pub fn raise(bits: u8) -> Option<Coefficient> {
        (bits <= 62).then(|| Coefficient { value: 1i64 << bits, scale: bits })
    }

    /// The factor 2^−`bits`: the same integer at a larger scale.
    pub fn halve(bits: u8) -> Coefficient {
        Coefficient { value: 1, scale: bits }
    }
}

/// The geometry of a convolution over the last two axes of [batch, channels, height, width].
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Convolution {
    /// Steps down and right.
    pub strides: [usize; 2],
    /// Distance between taps, down and right.
    pub dilations: [usize; 2],
    /// Zeros before: top and left.
    pub pads_before: [usize; 2],
    /// Zeros after: bottom and right.
    pub pads_after: [usize; 2],
    /// Channel groups.
    pub groups: usize,
}

impl Convolution {
    /// Height and width of the output, or a phrase.
    pub fn output(&self, input: [usize; 2], kernel: [usize; 2]) -> Result<[usize; 2], String> {
        let mut output = [0; 2];
        for axis in 0..2 {
            let grown =
                input[axis].checked_add(self.pads_before[axis]).and_then(|e| e.checked_add(self.pads_after[axis]));
            let span = (kernel[axis].max(1) - 1).checked_mul(self.dilations[axis]).and_then(|span| span.checked_add(1));
            output[axis] = match (grown, span) {
                (Some(grown), Some(span)) if span <= grown && self.strides[axis] > 0 && self.dilations[axis] > 0 => {
                    (grown - span) / self.strides[axis] + 1
                }
                _ => return Err(format!("a kernel of {kernel:?} with {self:?} does not fit into {input:?}")),
            };
        }
        Ok(output)
    }

    /// The row or column (axis 0 or 1) of the input that output position `at` sees at `tap`; `None` in the padding.
    pub fn source(&self, axis: usize, at: usize, tap: usize, extent: usize) -> Option<usize> {
        let position = at * self.strides[axis] + tap * self.dilations[axis];
        position.checked_sub(self.pads_before[axis]).filter(|&position| position < extent)
    }
}

/// How two tensors are multiplied.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum ProductKind {
    /// [.., m, k] · [.., k, n]; leading axes broadcast.
    MatMul,
    /// [batch, channels, height, width] with a weight [outputs, channels / groups, kernel height, kernel width].
    Conv(Convolution),
    /// Element by element; shapes broadcast.
    Hadamard,
}

impl ProductKind {
    /// Whether every lane of the result is a product of two lanes.
    pub fn is_element_wise(&self) -> bool {
        *self == ProductKind::Hadamard
    }
}

/// coefficient · (left × right). Its result has the sum's shape exactly.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Product {
    /// A public factor.
    pub coefficient: Coefficient,
    /// The kind of product.
    pub kind: ProductKind,
    /// First factor.
    pub left: NodeId,
    /// Second factor.
    pub right: NodeId,
}

/// coefficient · value, broadcast to the sum's shape.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Term {
    /// A public factor.
    pub coefficient: Coefficient,
    /// The value.
    pub value: NodeId,
}

/// A public summand in the sum's ring, at the sum's scale.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Constant {
    /// The same integer at every lane; zero for none.
    Scalar(i64),
    /// A tensor that broadcasts to the sum's shape.
    Tensor(Arc<Integers>),
}

/// Σ coefficient·(a × b) + Σ coefficient·v + constant in `ring`, then at most one truncation.
///
/// Every term has the same scale: the factors' scales and the coefficient's added. Operands may live in a wider ring.
/// Without products and truncation the sum is local; with products and no truncation it is reshared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sum {
    /// The ring of the sum.
    pub ring: Ring,
    /// Products.
    pub products: Vec<Product>,
    /// Linear terms.
    pub linear: Vec<Term>,
    /// The public summand.
    pub constant: Constant,
    /// A [`Lemma::Truncation`] whose ring is `ring`, or none.
    pub truncation: Option<Lemma>,
}

/// The largest of several tensors, lane by lane, or where low bits are left out, one of them that is nearly the largest.
///
/// Exact where nothing is left out and every difference of two candidates, modulo the ring, lies in
/// [−2^(bits−1), 2^(bits−1)) for the bits of `width`. [`super::coarse`] says what else may be taken.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Maximum {
    /// Values of one shape and format, at least two.
    pub candidates: Vec<NodeId>,
    /// Bits that decide.
    pub width: Width,
    /// How many bits at most become a ring element together: fewer rounds for more bytes, and the same result.
    pub joined: u8,
}

impl Maximum {
    /// What a protocol has to offer for it; where bits are left out, of every candidate the same ones in all comparisons.
    pub fn lemmas(&self, ring: Ring) -> [Lemma; 2] {
        let Width { bits: width, dropped } = self.width;
        let operands = if dropped == 0 { 1 } else { coarse::OPERANDS };
        [Lemma::Sign { width, dropped, operands }, Lemma::Injection { ring }]
    }
}

/// A local rearrangement of lanes: no message, no rounding.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Movement {
    /// The same lanes in another shape.
    Reshape {
        /// The new shape.
        shape: Shape,
    },
    /// Axis i of the result is axis `permutation[i]` of the operand.
    Transpose {
        /// Order of the axes.
        permutation: Vec<usize>,
    },
    /// Positions start, start + step, … of one axis.
    Slice {
        /// The axis.
        axis: usize,
        /// First position.
        start: usize,
        /// Number of positions.
        length: usize,
        /// Distance; negative walks backwards.
        step: isize,
    },
    /// Operands joined along an axis; the only movement with several operands.
    Concat {
        /// The axis.
        axis: usize,
    },
    /// Rows at public positions of an axis.
    Gather {
        /// The axis.
        axis: usize,
        /// The positions.
        indices: Arc<Vec<usize>>,
    },
    /// Repeats along axes of extent 1.
    Broadcast {
        /// The new shape.
        shape: Shape,
    },
    /// Zeros around the operand.
    Pad {
        /// Zeros before, per axis.
        before: Vec<usize>,
        /// Zeros after, per axis.
        after: Vec<usize>,
    },
    /// The sum over an axis, which stays with extent 1.
    SumAxis {
        /// The axis.
        axis: usize,
    },
    /// A public integer at publicly chosen lanes.
    Replace {
        /// Per lane, whether it is replaced.
        replaced: Arc<Vec<bool>>,
        /// What is put there, at the operand's scale.
        value: i64,
    },
    /// The same integers modulo a smaller power of two.
    Narrow {
        /// The ring of the result.
        ring: Ring,
    },
}

/// What a node computes.
#[derive(Clone, Debug)]
pub enum NodeKind {
    /// A tensor of one party, shared at the start.
    Input {
        /// Who owns it.
        owner: Party,
        /// Its shape.
        shape: Shape,
        /// Its format.
        format: Format,
    },
    /// A weight of the model's owner, shared in advance.
    Weight(WeightId),
    /// A fused sum.
    Sum(Sum),
    /// A certified program on every lane.
    Program {
        /// The program, with its proof.
        certified: Arc<Certified>,
        /// Its argument.
        argument: NodeId,
    },
    /// A maximum.
    Maximum(Maximum),
    /// A local rearrangement.
    Movement {
        /// Which.
        movement: Movement,
        /// Of what.
        operands: Vec<NodeId>,
    },
    /// A value that one party learns.
    Output {
        /// Who learns it.
        receiver: Party,
        /// The value.
        value: NodeId,
    },
}

impl NodeKind {
    /// The nodes whose values are used, in order, repeated where a value is used twice.
    pub fn operands(&self) -> Vec<NodeId> {
        match self {
            NodeKind::Input { .. } | NodeKind::Weight(_) => Vec::new(),
            NodeKind::Sum(sum) => {
                let products = sum.products.iter().flat_map(|product| [product.left, product.right]);
                products.chain(sum.linear.iter().map(|term| term.value)).collect()
            }
            NodeKind::Program { argument, .. } => vec![*argument],
            NodeKind::Maximum(maximum) => maximum.candidates.clone(),
            NodeKind::Movement { operands, .. } => operands.clone(),
            NodeKind::Output { value, .. } => vec![*value],
        }
    }
}

/// One node of a circuit.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it computes.
    pub kind: NodeKind,
    /// The shape of the result.
    pub shape: Shape,
    /// The format of the result.
    pub format: Format,
    /// The group it belongs to.
    pub group: GroupId,
    /// What it is, for people: a few words, unique only together with the group.
    pub name: String,
}

/// What is public of a weight. Its integers are in [`super::Weights`], at the owner only.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WeightSlot {
    /// Its name in the model.
    pub name: String,
    /// Its shape.
    pub shape: Shape,
    /// Its format.
    pub format: Format,
}

/// Where a group of nodes comes from.
#[derive(Clone, PartialEq, Debug)]
pub struct Group {
    /// The name of the model's node, or a word for what has none (`inputs`).
    pub name: String,
    /// The nonlinear site that the group implements, if it is one.
    pub site: Option<u32>,
    /// How the site was built.
    pub construction: Construction,
}

/// What the bound of a composite operation depends on: the nodes whose entries, lemmas and factors enter it.
#[derive(Clone, PartialEq, Debug)]
pub enum Construction {
    /// Linear algebra, or an entry applied to every lane.
    Plain,
    /// Maxima in levels; exact where their comparisons leave nothing out.
    Maximum,
    /// Softmax: ê = exp(x − m), ŝ = reciprocal(Σ ê), one truncation of ê·ŝ.
    Softmax {
        /// Length of a row.
        row: usize,
        /// What m is: a row's maximum, or a public number.
        subtracted: Subtracted,
        /// How far x may be below m, in integers at x's scale.
        spread: i64,
        /// ê.
        exp: NodeId,
        /// ŝ.
        reciprocal: NodeId,
        /// ê·ŝ, truncated; none where ê is multiplied by the values before ŝ, so that no probability is rounded.
        probabilities: Option<NodeId>,
    },
    /// Layer norm of a row x₁ … xₙ; see `lower::normalisation` for the integers.
    Normalisation(Normalisation),
}

/// The nodes of a layer norm as it was built.
///
/// The normalised row is z = `gamma_gain`·z', a gain that the next weights take up.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Normalisation {
    /// Length n of a row.
    pub row: usize,
    /// ⌈log₂ n⌉.
    pub log: u8,
    /// ε as the model has it.
    pub epsilon: f64,
    /// The truncated mean, or none where n·x − Σx is used.
    pub mean: Option<NodeId>,
    /// V = κ·(variance + ε), truncated.
    pub variance: NodeId,
    /// rsqrt(V).
    pub inverse: NodeId,
    /// z', or none where γ·c was multiplied by rsqrt(V), so that z' itself is never rounded.
    pub normalised: Option<NodeId>,
    /// What γ was multiplied by before it was encoded.
    pub gamma_gain: f64,
}
