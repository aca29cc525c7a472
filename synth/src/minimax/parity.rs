//! Parity: whether a target is even or odd, decided numerically.
//!
//! Sampling cannot prove parity; a fit that uses it is still measured on the whole domain by
//! whoever certifies it, and the lower bound of `certify` does not rely on it.

use super::domain::Domain;
use super::failure::MinimaxError;
use super::target::{Target, finite_value};
use rug::Float;

/// The symmetry of a function about zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parity {
    /// `f(-x) = f(x)`.
    Even,
    /// `f(-x) = -f(x)`.
    Odd,
}

impl Parity {
    /// The remainder of the exponents of this parity modulo two.
    pub(super) fn remainder(self) -> u32 {
        match self {
            Parity::Even => 0,
            Parity::Odd => 1,
        }
    }
}

/// Bits at which parity is examined, and bits of them that may differ.
const PRECISION: u32 = 192;
const SLACK: u32 = 40;

/// The parity of the target on the domain, or `None` if it has none or the domain is not
/// symmetric about zero. The zero function counts as even.
pub fn detect_parity(target: &dyn Target, domain: &Domain) -> Result<Option<Parity>, MinimaxError> {
    let Some(half) = domain.nonnegative_half().filter(|_| domain.is_symmetric()) else {
        return Ok(None);
    };
    let (mut even, mut odd) = (true, true);
    let mut scale = Float::new(PRECISION);
    let mut pairs = Vec::new();
    for interval in half.intervals() {
        for x in interval.nodes(23, PRECISION) {
            let right = finite_value(target, &x, PRECISION)?;
            let left = finite_value(target, &Float::with_val(PRECISION, -&x), PRECISION)?;
            scale.max_mut(&right.as_abs());
            scale.max_mut(&left.as_abs());
            pairs.push((left, right));
        }
    }
    let negligible = scale >> (PRECISION - SLACK);
    for (left, right) in pairs {
        even &= *Float::with_val(PRECISION, &right - &left).as_abs() <= negligible;
        odd &= *Float::with_val(PRECISION, &right + &left).as_abs() <= negligible;
    }
    Ok(match (even, odd) {
        (true, _) => Some(Parity::Even),
        (false, true) => Some(Parity::Odd),
        (false, false) => None,
    })
}
