//! What a plan decides: the entry of every site, the formats, who owns what.

use super::super::Error;
use super::super::node::Party;
use catalogs::{Format, Function, Ring, Scale};
use dashu::integer::UBig;
use dashu::rational::RBig;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use verify::Certified;

/// The scales of a run. Sums are truncated to the activations' scale.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Formats {
    /// The ring of everything but what entries choose for themselves.
    pub ring: Ring,
    /// Fraction bits of activations.
    pub activations: Scale,
    /// Fraction bits of weights.
    pub weights: Scale,
}

impl Formats {
    /// The format of activations.
    pub fn activation(&self) -> Format {
        Format { ring: self.ring, scale: self.activations }
    }
}

impl Default for Formats {
    /// Z_2^64 with 16 fraction bits for activations and weights.
    fn default() -> Formats {
        let Some(Format { ring, scale }) = Format::z64(16) else { unreachable!("16 fraction bits are in range") };
        Formats { ring, activations: scale, weights: scale }
    }
}

/// How a layer norm subtracts the mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Centre {
    /// n·x − Σx: no rounding and no round, and a sum of squares that needs 2·⌈log₂ n⌉ more bits.
    Exact,
    /// x − ⌊Σx/n⌉: one truncation, two rounds.
    Rounded,
}

/// How the maximum over an axis is taken: level by level, each level in groups of which all pairs are compared at once.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Comparisons {
    /// Bits that are compared, with those left out: differences must lie in [−2^(`width`−1), 2^(`width`−1)).
    pub width: u8,
    /// The most candidates of a group, level by level; the last number serves all further levels. Twos are a tree of
    /// the fewest comparisons, larger groups take fewer rounds.
    pub groups: Vec<u8>,
    /// How many bits at most become a ring element together, 1 to 4: fewer rounds, more bytes.
    #[serde(default = "alone", skip_serializing_if = "is_alone")]
    pub joined: u8,
    /// Low bits that take no part. A softmax rounds them off first, and subtracts what is at least the maximum and larger
    /// by at most two units of what is left. Where the maximum itself is wanted, comparisons leave them out and a whole
    /// candidate is taken, at most [`super::super::coarse::below_largest`] less than the largest.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub coarse: u8,
}

fn is_zero(bits: &u8) -> bool {
    *bits == 0
}

fn alone() -> u8 {
    1
}

fn is_alone(joined: &u8) -> bool {
    *joined == 1
}

impl Comparisons {
    /// The integer put where a maximum must not look: far enough below everything, if that has `width` − 2 bits.
    pub(super) fn low_fill(&self) -> i64 {
        -(1i64 << self.width.clamp(3, 63).saturating_sub(3))
    }

    /// The number of candidates of every group at a level with `extent` values: as equal as can be, larger ones first.
    pub fn sizes(&self, level: usize, extent: usize) -> Vec<usize> {
        let most = self.groups.get(level).or(self.groups.last()).copied().unwrap_or(2);
        group_sizes(extent, usize::from(most.max(2)))
    }
}

/// `extent` values in as few groups of at most `most` as possible, as equal as can be, larger ones first.
pub fn group_sizes(extent: usize, most: usize) -> Vec<usize> {
    let groups = extent.div_ceil(most);
    (0..groups).map(|group| extent / groups + usize::from(group < extent % groups)).collect()
}

/// Public bounds of the logits of a softmax that subtracts no maximum, in real units.
///
/// The upper one is subtracted, so that no exponential exceeds one, and from their distance follows how small the sum of
/// a row can be. A plan tells them to everybody, and the owner proves them for every input of the plan's box.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Logits {
    /// No logit that is not masked is less.
    pub low: f64,
    /// None is greater.
    pub high: f64,
    /// Exponentials are multiplied by two to this power, so that their sum reaches the window of the reciprocal.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub raised: u8,
}

impl Logits {
    /// The most that exponentials are raised by: enough for sums of 2^-30, far below what exp entries can add up.
    pub const MAX_RAISED: u8 = 30;

    /// Both bounds in integers with so many fraction bits; none if they are no such integers, or in the wrong order.
    pub fn integers(&self, fraction_bits: u8) -> Option<(i64, i64)> {
        let integer = |bound: f64| {
            let scaled = bound * f64::from(fraction_bits).exp2();
            (scaled.fract() == 0.0 && scaled.abs() < (1u64 << 52) as f64).then_some(scaled as i64)
        };
        let (low, high) = (integer(self.low)?, integer(self.high)?);
        (low <= high).then_some((low, high))
    }
}

/// The entries that implement one site.
#[derive(Clone, Debug)]
pub enum Choice {
    /// A scalar function.
    Unary {
        /// An entry for the function (an exact one for a rectifier is not required here).
        entry: Arc<Certified>,
    },
    /// Softmax of rows.
    Softmax {
        /// How the maximum is taken.
        maximum: Comparisons,
        /// exp on arguments that are not positive.
        exp: Arc<Certified>,
        /// Reciprocal of the sum; its input format is exp's output format.
        reciprocal: Arc<Certified>,
        /// Where the only user is a matrix product: multiply by the reciprocal after that product. One matrix product
        /// and the reciprocal then share rounds, and probabilities are not rounded.
        normalise_last: bool,
    },
    /// Softmax of rows whose logits are proved to lie within public bounds: nothing is compared.
    SoftmaxWithoutMaximum {
        /// The bounds.
        logits: Logits,
        /// As with a maximum.
        exp: Arc<Certified>,
        /// As with a maximum.
        reciprocal: Arc<Certified>,
        /// As with a maximum.
        normalise_last: bool,
    },
    /// Layer norm of rows.
    Normalisation {
        /// Reciprocal square root of the variance; its input scale is the variance's.
        rsqrt: Arc<Certified>,
        /// How the mean is subtracted.
        centre: Centre,
    },
    /// Maximum over windows.
    Maximum {
        /// How it is taken.
        maximum: Comparisons,
    },
}

impl Choice {
    /// What the choice is for, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Choice::Unary { .. } => "a scalar function",
            Choice::Softmax { .. } | Choice::SoftmaxWithoutMaximum { .. } => "softmax",
            Choice::Normalisation { .. } => "layer norm",
            Choice::Maximum { .. } => "maximum",
        }
    }

    /// Whether it is a softmax that is divided after the product with the values.
    pub fn divides_last(&self) -> bool {
        match self {
            Choice::Softmax { normalise_last, .. } | Choice::SoftmaxWithoutMaximum { normalise_last, .. } => {
                *normalise_last
            }
            Choice::Unary { .. } | Choice::Normalisation { .. } | Choice::Maximum { .. } => false,
        }
    }
}

/// Who owns the input and who learns the output. (The model's owner shares its weights before the first round.)
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ownership {
    /// The owner of every input.
    pub input: Party,
    /// Who learns every output.
    pub output: Party,
}

/// Refuses an entry that approximates another function.
pub(super) fn require(site: &str, certified: &Certified, function: Function) -> Result<(), Error> {
    match &certified.claim().function {
        found if *found == function => Ok(()),
        found => Err(Error::Choice {
            site: site.into(),
            reason: format!("it needs an entry for {function}, the chosen one is for {found}"),
        }),
    }
}

/// Whether a rectifier gives max(x, 0) exactly: its claimed error is below one unit of its output, in which the true
/// value can be written.
pub fn is_exact_relu(certified: &Certified) -> bool {
    let claim = certified.claim();
    let (input, output) = (certified.program().input(), certified.program().output());
    let largest = RBig::from(claim.window.high.unsigned_abs()) / RBig::from(UBig::ONE << usize::from(input.1.bits()));
    let error = claim.absolute_part() + claim.relative_part() * largest;
    let unit = RBig::from_parts(1.into(), UBig::ONE << usize::from(output.1.bits()));
    claim.function == Function::Relu && input.1 == output.1 && error < unit
}
