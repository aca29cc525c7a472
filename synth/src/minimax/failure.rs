//! What can go wrong in a fit, said so that the caller knows which point or parameter to change.

use rug::Float;
use thiserror::Error;

/// Why a fit, a certification or a quantisation was refused or did not finish.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum MinimaxError {
    /// The domain has no interval.
    #[error("the domain has no interval: give at least one closed interval")]
    EmptyDomain,
    /// An interval is reversed, or overlaps or precedes the one before it.
    #[error("interval [{low}, {high}] is reversed or does not follow the interval before it")]
    IntervalOrder {
        /// Lower end as given.
        low: String,
        /// Upper end as given.
        high: String,
    },
    /// The same exponent occurs twice among free and fixed terms.
    #[error("exponent {exponent} occurs twice in the basis: every term is either free or fixed")]
    RepeatedExponent {
        /// The exponent.
        exponent: u32,
    },
    /// The variable's scale is zero or negative.
    #[error("the scale of the variable is {scale}: it must be positive")]
    Scale {
        /// The scale as given.
        scale: String,
    },
    /// A pole, or a target that is not defined there.
    #[error("the function has a pole or is not defined at x = {x}: exclude this point from the domain")]
    TargetNotFinite {
        /// The point, in decimal.
        x: String,
    },
    /// The weight is zero, negative or not finite where the error does not vanish with it.
    #[error("the weight at x = {x} is {weight}: it must be positive; exclude the point or use a mixed norm")]
    Weight {
        /// The point, in decimal.
        x: String,
        /// The weight there, in decimal.
        weight: String,
    },
    /// Basis functions that cannot be told apart on the domain.
    #[error(
        "the {functions} basis functions are linearly dependent on the domain: use fewer terms or a longer interval"
    )]
    DependentBasis {
        /// Number of free basis functions.
        functions: usize,
    },
    /// The exchange hit its limit; the figure says how close it came.
    #[error(
        "no convergence after {exchanges} exchanges: largest error over levelled error is 1 + {excess}; lower the degree, or cut the domain"
    )]
    Stalled {
        /// Exchanges done.
        exchanges: u32,
        /// Largest error over levelled error, minus one, in decimal.
        excess: String,
    },
    /// The high-precision simplex did not finish.
    #[error(
        "the linear program over {rows} rows did not finish in {pivots} pivots: lower a degree by one, or cut the domain"
    )]
    PivotLimit {
        /// Rows of the program.
        rows: usize,
        /// Pivots done.
        pivots: usize,
    },
    /// Constraints that exclude each other.
    #[error("the constraints exclude each other: {what}")]
    Infeasible {
        /// Which constraints.
        what: String,
    },
    /// The number of steps differs from the number of coefficients.
    #[error("{steps} quantisation steps were given for {coefficients} coefficients: give one per coefficient")]
    Steps {
        /// Steps given.
        steps: usize,
        /// Coefficients of the fit.
        coefficients: usize,
    },
    /// A range of denominators that is empty or touches zero.
    #[error("the denominator's range [{low}, {high}] must satisfy 0 < low <= high")]
    DenominatorRange {
        /// Lower end as given.
        low: String,
        /// Upper end as given.
        high: String,
    },
    /// A denominator basis without the constant.
    #[error("the denominator needs the exponent 0 among its free terms and no fixed term")]
    DenominatorBasis,
    /// Numerator and denominator are polynomials in different variables.
    #[error("numerator and denominator use different scalings of the variable: give them the same one")]
    ScalingMismatch,
}

/// A point as it appears in a message: enough digits to find it again.
pub(super) fn decimal(value: &Float) -> String {
    value.to_string_radix(10, Some(17))
}
