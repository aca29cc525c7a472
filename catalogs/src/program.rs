//! Straight-line fixed-point programs.
//!
//! Four operations cover every family: the input; one fused [`Sum`] of products and linear terms with at most one
//! truncation; the [sign bit](Op::Sign) of a value; and the [injection](Op::Inject) of a bit as the ring element
//! 0 or 1. Selection is a product with an injected bit, a piecewise polynomial is a sum whose coefficients are
//! sums over injected bits, a split or a normalisation is a few bits at chosen positions. Every interactive
//! operation names the lemma that it relies on, and nothing else is nondeterministic.

use crate::lemma::Lemma;
use crate::ring::{Ring, Scale};
use std::fmt;

/// Index of an operation, and of the value it computes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ValueId(pub u16);

impl ValueId {
    /// As an index into per-operation tables.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// Index into a program's lemma table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LemmaId(pub u8);

impl LemmaId {
    /// As an index into the lemma table.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// coefficient · left · right.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Product {
    /// A public integer, not zero.
    pub coefficient: i128,
    /// First factor.
    pub left: ValueId,
    /// Second factor.
    pub right: ValueId,
}

/// coefficient · value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Term {
    /// A public integer, not zero.
    pub coefficient: i128,
    /// The value.
    pub value: ValueId,
}

/// Σ c·a·b + Σ c·v + constant in `ring`, then at most one truncation.
///
/// Operands may live in a wider ring: reducing modulo a smaller power of two is free and local.
/// The sum may wrap; only what is truncated, tested or output is obliged to stay in its window.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Sum {
    /// The ring in which the sum is computed.
    pub ring: Ring,
    /// Products of two values.
    pub products: Vec<Product>,
    /// Linear terms.
    pub linear: Vec<Term>,
    /// A public integer.
    pub constant: i128,
    /// A [`Lemma::Truncation`] whose ring is `ring`, or none.
    pub truncation: Option<LemmaId>,
    /// The scale of the result. It has no influence on the integers: it tells a reader what they stand for.
    pub scale: Scale,
}

/// One operation.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Op {
    /// The program's argument. Operation 0, and only operation 0.
    Input,
    /// A fused sum.
    Sum(Sum),
    /// A bit of a value, as its [`Lemma::Sign`] states.
    Sign {
        /// The value.
        operand: ValueId,
        /// A [`Lemma::Sign`] whose width fits the operand's ring.
        lemma: LemmaId,
    },
    /// A bit as a ring element.
    Inject {
        /// The bit.
        bit: ValueId,
        /// A [`Lemma::Injection`].
        lemma: LemmaId,
    },
}

/// What a value is: an element of a ring at a scale, or a bit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A ring element.
    Arithmetic(Ring, Scale),
    /// A bit.
    Bit,
}

/// Why a list of operations is not a program.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("operation {operation}: {reason}")]
pub struct Invalid {
    /// Which operation.
    pub operation: usize,
    /// What is wrong with it.
    pub reason: String,
}

/// A well-formed straight-line program: operands precede their uses, kinds and rings agree, lemmas fit.
/// The last operation is the output, and it is arithmetic.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Program {
    input_ring: Ring,
    input_scale: Scale,
    lemmas: Vec<Lemma>,
    ops: Vec<Op>,
}

impl Program {
    /// The most operations a program may have.
    pub const MAX_OPS: usize = 1024;
    /// The most lemmas a program may name.
    pub const MAX_LEMMAS: usize = 64;
    /// The most terms one sum may have.
    pub const MAX_TERMS: usize = 256;
    /// Coefficients and constants are below 2^96 in absolute value.
    pub const MAX_COEFFICIENT_BITS: u32 = 96;

    /// Checks and builds a program.
    pub fn new(input_ring: Ring, input_scale: Scale, lemmas: Vec<Lemma>, ops: Vec<Op>) -> Result<Program, Invalid> {
        let program = Program { input_ring, input_scale, lemmas, ops };
        program.validate()?;
        Ok(program)
    }

    /// The lemma table.
    pub fn lemmas(&self) -> &[Lemma] {
        &self.lemmas
    }

    /// The lemma with this index.
    pub fn lemma(&self, id: LemmaId) -> &Lemma {
        &self.lemmas[id.index()]
    }

    /// The operations in order.
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// The ring and scale of the argument.
    pub fn input(&self) -> (Ring, Scale) {
        (self.input_ring, self.input_scale)
    }

    /// The ring and scale of the result.
    pub fn output(&self) -> (Ring, Scale) {
        match self.kind(ValueId(self.ops.len() as u16 - 1)) {
            Kind::Arithmetic(ring, scale) => (ring, scale),
            Kind::Bit => (self.input_ring, self.input_scale),
        }
    }

    /// The widest ring that a value lives in, or that a lemma speaks of.
    pub fn widest_ring(&self) -> Ring {
        let sums = self.ops.iter().filter_map(|op| if let Op::Sum(sum) = op { Some(sum.ring) } else { None });
        let targets = self.lemmas.iter().filter_map(|lemma| match *lemma {
            Lemma::Truncation { target, .. } => Some(target),
            // A sign is no wider than its operand's ring.
            Lemma::Sign { .. } => None,
            Lemma::Injection { ring } => Some(ring),
        });
        sums.chain(targets).fold(self.input_ring, Ring::max)
    }

    /// What the value `id` is.
    pub fn kind(&self, id: ValueId) -> Kind {
        match &self.ops[id.index()] {
            Op::Input => Kind::Arithmetic(self.input_ring, self.input_scale),
            Op::Sum(sum) => {
                let ring = match sum.truncation.map(|lemma| self.lemma(lemma)) {
                    Some(Lemma::Truncation { target, .. }) => *target,
                    _ => sum.ring,
                };
                Kind::Arithmetic(ring, sum.scale)
            }
            Op::Sign { .. } => Kind::Bit,
            Op::Inject { lemma, .. } => match self.lemma(*lemma) {
                Lemma::Injection { ring } => Kind::Arithmetic(*ring, ZERO_SCALE),
                _ => Kind::Bit,
            },
        }
    }

    fn validate(&self) -> Result<(), Invalid> {
        let fail = |operation: usize, reason: String| Err(Invalid { operation, reason });
        if self.ops.is_empty() || self.ops.len() > Self::MAX_OPS {
            return fail(0, format!("a program has 1 to {} operations, not {}", Self::MAX_OPS, self.ops.len()));
        }
        if self.lemmas.len() > Self::MAX_LEMMAS {
            return fail(0, format!("more than {} lemmas", Self::MAX_LEMMAS));
        }
        if let Some(lemma) = self.lemmas.iter().find(|lemma| !lemma.is_well_formed()) {
            return fail(0, format!("the lemma '{lemma}' is out of its limits"));
        }
        if !self.lemmas.windows(2).all(|pair| pair[0] < pair[1]) {
            return fail(0, "the lemmas are not in strictly ascending order".into());
        }
        let mut used = vec![false; self.lemmas.len()];
        for (index, op) in self.ops.iter().enumerate() {
            let id = self.validate_op(index, op).map_err(|reason| Invalid { operation: index, reason })?;
            if let Some(id) = id {
                used[id.index()] = true;
            }
        }
        if let Some(index) = used.iter().position(|used| !used) {
            return fail(0, format!("the lemma '{}' is not used", self.lemmas[index]));
        }
        match self.kind(ValueId(self.ops.len() as u16 - 1)) {
            Kind::Arithmetic(..) => Ok(()),
            Kind::Bit => fail(self.ops.len() - 1, "the output is a bit; inject it".into()),
        }
    }

    /// Checks one operation; returns the lemma that it uses.
    fn validate_op(&self, index: usize, op: &Op) -> Result<Option<LemmaId>, String> {
        let lemma = |id: LemmaId| self.lemmas.get(id.index()).ok_or(format!("there is no lemma {}", id.0));
        match op {
            Op::Input if index == 0 => Ok(None),
            Op::Input => Err("only the first operation is the input".into()),
            _ if index == 0 => Err("the first operation is the input".into()),
            Op::Sum(sum) => {
                self.validate_sum(index, sum)?;
                if let Some(id) = sum.truncation {
                    match lemma(id)? {
                        Lemma::Truncation { ring, .. } if *ring == sum.ring => {}
                        other => return Err(format!("a sum in ring {} cannot use '{other}'", sum.ring)),
                    }
                }
                Ok(sum.truncation)
            }
            Op::Sign { operand, lemma: id } => {
                let ring = self.arithmetic(index, *operand)?;
                match lemma(*id)? {
                    Lemma::Sign { width, .. } if *width <= ring.bits() => Ok(Some(*id)),
                    other => Err(format!("a sign of a value in ring {ring} cannot use '{other}'")),
                }
            }
            Op::Inject { bit, lemma: id } => {
                if bit.index() >= index || self.kind(*bit) != Kind::Bit {
                    return Err(format!("v{} is not an earlier bit", bit.0));
                }
                match lemma(*id)? {
                    Lemma::Injection { .. } => Ok(Some(*id)),
                    other => Err(format!("an injection cannot use '{other}'")),
                }
            }
        }
    }

    fn validate_sum(&self, index: usize, sum: &Sum) -> Result<(), String> {
        if sum.products.len() + sum.linear.len() > Self::MAX_TERMS {
            return Err(format!("a sum has at most {} terms", Self::MAX_TERMS));
        }
        let limit = 1u128 << Self::MAX_COEFFICIENT_BITS;
        let coefficients =
            sum.products.iter().map(|p| p.coefficient).chain(sum.linear.iter().map(|term| term.coefficient));
        for coefficient in coefficients {
            if coefficient == 0 {
                return Err("a coefficient is zero; leave the term out".into());
            }
            if coefficient.unsigned_abs() >= limit {
                return Err(format!("coefficient {coefficient} exceeds {} bits", Self::MAX_COEFFICIENT_BITS));
            }
        }
        if sum.constant.unsigned_abs() >= limit {
            return Err(format!("constant {} exceeds {} bits", sum.constant, Self::MAX_COEFFICIENT_BITS));
        }
        let operands = sum.products.iter().flat_map(|p| [p.left, p.right]).chain(sum.linear.iter().map(|t| t.value));
        for operand in operands {
            let ring = self.arithmetic(index, operand)?;
            if ring < sum.ring {
                return Err(format!("v{} lives in ring {ring}, narrower than the sum's ring {}", operand.0, sum.ring));
            }
        }
        Ok(())
    }

    fn arithmetic(&self, index: usize, operand: ValueId) -> Result<Ring, String> {
        if operand.index() >= index {
            return Err(format!("v{} is not computed before it is used", operand.0));
        }
        match self.kind(operand) {
            Kind::Arithmetic(ring, _) => Ok(ring),
            Kind::Bit => Err(format!("v{} is a bit; inject it", operand.0)),
        }
    }
}

const ZERO_SCALE: Scale = match Scale::new(0) {
    Some(scale) => scale,
    None => unreachable!(),
};

impl fmt::Display for ValueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}
