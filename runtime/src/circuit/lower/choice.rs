//! What a plan decides: the entry of every site, the formats, who owns what.

use super::super::Error;
use super::super::node::Party;
use catalogs::{Format, Function, Ring, Scale};
use dashu::integer::UBig;
use dashu::rational::RBig;
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
        /// An exact rectifier, for the maximum.
        relu: Arc<Certified>,
        /// exp on arguments that are not positive.
        exp: Arc<Certified>,
        /// Reciprocal of the sum; its input format is exp's output format.
        reciprocal: Arc<Certified>,
        /// Where the only user is a matrix product: multiply by the reciprocal after that product. One matrix product
        /// and the reciprocal then share rounds, and probabilities are not rounded.
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
        /// An exact rectifier.
        relu: Arc<Certified>,
    },
}

impl Choice {
    /// What the choice is for, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Choice::Unary { .. } => "a scalar function",
            Choice::Softmax { .. } => "softmax",
            Choice::Normalisation { .. } => "layer norm",
            Choice::Maximum { .. } => "maximum",
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
    claim.function == Function::Relu && input == output && error < unit
}

/// Refuses a rectifier that is not exact or changes the format.
pub(super) fn require_exact_relu(site: &str, certified: &Certified) -> Result<(), Error> {
    require(site, certified, Function::Relu)?;
    match is_exact_relu(certified) {
        true => Ok(()),
        false => Err(Error::Choice {
            site: site.into(),
            reason: "a maximum needs a rectifier whose error is below one unit of its input's format".into(),
        }),
    }
}
