//! Enclosures over pieces of any width, for tails without a rule of their own: polynomials where a node is one, and
//! where it is not, an interval from the node's monotony. A value that may grow beyond every bound is followed as
//! "at least", since its reciprocal, or e to its negative, is what tails are made of.

use crate::constants::{self, EXPONENT_LIMIT};
use crate::integer::{IBig, divide_ceil, divide_floor, larger, shift_floor, square_root_floor};
use crate::polynomial::Polynomial;
use crate::reference::{self, Piece, Reference, Unbounded};
use catalogs::Expression;

/// What is known of a node.
enum Coarse {
    /// Within an error of a polynomial.
    Near(Reference),
    /// At least this, at the piece's scale; without an upper bound.
    Beyond(IBig),
}

/// Levels of subdivision of a range.
const HALVINGS: usize = 3;

/// An enclosure of `expression` over `piece`; [`Unbounded`] where intervals do not bound it.
pub fn enclose(expression: &Expression, piece: &Piece) -> Result<Reference, Unbounded> {
    match follow(expression, piece)? {
        Coarse::Near(reference) => Ok(reference),
        Coarse::Beyond(_) => Err(Unbounded::Argument),
    }
}

/// What is known of a node, within the size that is followed: "at least" something larger is "at least" the limit.
fn follow(expression: &Expression, piece: &Piece) -> Result<Coarse, Unbounded> {
    Ok(match node(expression, piece)? {
        Coarse::Near(near) => Coarse::Near(reference::bounded(near, piece)?),
        Coarse::Beyond(low) => Coarse::Beyond(low.min(IBig::ONE << (piece.scale + reference::MAX_NODE_BITS))),
    })
}

fn node(expression: &Expression, piece: &Piece) -> Result<Coarse, Unbounded> {
    Ok(match expression {
        Expression::Add(a, b) => match (follow(a, piece)?, follow(b, piece)?) {
            (Coarse::Near(a), Coarse::Near(b)) => Coarse::Near(reference::sum(&a, &b)),
            (Coarse::Near(a), Coarse::Beyond(b)) | (Coarse::Beyond(b), Coarse::Near(a)) => {
                Coarse::Beyond(range(&a).0 + b)
            }
            (Coarse::Beyond(a), Coarse::Beyond(b)) => Coarse::Beyond(a + b),
        },
        Expression::Multiply(a, b) => match (follow(a, piece)?, follow(b, piece)?) {
            (Coarse::Near(a), Coarse::Near(b)) => Coarse::Near(reference::product(&a, &b, piece)),
            (Coarse::Near(a), Coarse::Beyond(b)) | (Coarse::Beyond(b), Coarse::Near(a)) => {
                let least = range(&a).0;
                if least <= IBig::ZERO || b < IBig::ZERO {
                    return Err(Unbounded::Argument);
                }
                Coarse::Beyond(shift_floor(&(least * b), piece.scale))
            }
            (Coarse::Beyond(a), Coarse::Beyond(b)) if a >= IBig::ZERO && b >= IBig::ZERO => {
                Coarse::Beyond(shift_floor(&(a * b), piece.scale))
            }
            _ => return Err(Unbounded::Argument),
        },
        Expression::Exp(g) => exponential(&follow(g, piece)?, piece)?,
        Expression::Log(g) => {
            let (low, high) = bounds(&follow(g, piece)?);
            if low <= IBig::ZERO {
                return Err(Unbounded::Root);
            }
            let log = |value: &IBig| constants::logarithm(value, piece.scale).ok_or(Unbounded::Root);
            let low = log(&low)?;
            match high {
                Some(high) => {
                    let high = log(&high)?;
                    between(low.centre - low.radius, high.centre + high.radius)
                }
                None => Coarse::Beyond(low.centre - low.radius),
            }
        }
        Expression::Sine(g) => {
            // Whatever the argument is; but there must be one.
            follow(g, piece)?;
            between(-(IBig::ONE << piece.scale), IBig::ONE << piece.scale)
        }
        Expression::Reciprocal(g) => {
            let (low, high) = bounds(&follow(g, piece)?);
            let square = IBig::ONE << (2 * piece.scale);
            let above = |value: &IBig| divide_ceil(&square, value);
            let below = |value: &IBig| divide_floor(&square, value);
            match high {
                _ if low > IBig::ZERO => between(high.map_or(IBig::ZERO, |high| below(&high)), above(&low)),
                Some(high) if high < IBig::ZERO => between(-above(&-high), -below(&-low)),
                _ => return Err(Unbounded::Pole),
            }
        }
        Expression::Rsqrt(g) => {
            let (low, high) = bounds(&follow(g, piece)?);
            if low <= IBig::ZERO {
                return Err(Unbounded::Root);
            }
            // ⌊√⌊2^3Q/v⌋⌋ is at most, and one more is above, v^−½ at scale 2^−Q.
            let root = |value: &IBig| square_root_floor(&divide_floor(&(IBig::ONE << (3 * piece.scale)), value));
            between(high.map_or(IBig::ZERO, |high| root(&high)), root(&low) + IBig::ONE)
        }
        Expression::PositivePart(g) => match follow(g, piece)? {
            Coarse::Near(g) => Coarse::Near(reference::positive_part(expression, g, piece)),
            Coarse::Beyond(low) => Coarse::Beyond(larger(low, IBig::ZERO)),
        },
        Expression::X | Expression::Rational(..) | Expression::Pi | Expression::GaussianIntegral(..) => {
            Coarse::Near(reference::enclose(expression, piece)?)
        }
    })
}

/// e^g increases with g; beyond the series' limit it is only known to be larger or smaller than there.
fn exponential(g: &Coarse, piece: &Piece) -> Result<Coarse, Unbounded> {
    let limit = IBig::from(EXPONENT_LIMIT) << piece.scale;
    let (low, high) = bounds(g);
    let at = |value: &IBig| constants::exponential(value, piece.scale).ok_or(Unbounded::Argument);
    let least = if low < -limit.clone() {
        IBig::ZERO
    } else {
        let ball = at(&low.min(limit.clone()))?;
        larger(ball.centre - ball.radius, IBig::ZERO)
    };
    match high {
        Some(high) if high <= limit => {
            let ball = at(&larger(high, -limit))?;
            Ok(between(least, ball.centre + ball.radius))
        }
        _ => Ok(Coarse::Beyond(least)),
    }
}

/// Bounds of what is known; no upper one where there is none.
fn bounds(value: &Coarse) -> (IBig, Option<IBig>) {
    match value {
        Coarse::Near(reference) => {
            let (low, high) = range(reference);
            (low, Some(high))
        }
        Coarse::Beyond(low) => (low.clone(), None),
    }
}

fn range(reference: &Reference) -> (IBig, IBig) {
    let (low, high) = reference.polynomial.range(HALVINGS);
    (low - &reference.error, high + &reference.error)
}

/// The middle of an interval, and half its width.
fn between(low: IBig, high: IBig) -> Coarse {
    let centre = shift_floor(&(&low + &high), 1);
    // The farther end is the upper one, as the middle was rounded down.
    let error = larger(high - &centre, &centre - low);
    Coarse::Near(Reference { polynomial: Polynomial::constant(centre), error })
}
