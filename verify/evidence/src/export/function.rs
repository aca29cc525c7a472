//! The function itself in the notation of a tool, with the branch of max(·, 0) that a piece lies in.

use crate::pieces::Piece;
use catalogs::Expression;
use rug::{Integer, Rational};

/// A tool's notation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Notation {
    Sollya,
    Coq,
}

/// Why a function cannot be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Untold {
    /// The tool has no Gaussian integral.
    Gaussian,
    /// The sign of the argument of max(·, 0) changes on the piece, or is not known.
    Branch,
}

/// An integer as a term.
fn whole(value: &Integer) -> String {
    if *value < 0 { format!("({value})") } else { value.to_string() }
}

fn fraction(value: &Rational) -> String {
    if *value.denom() == 1 {
        whole(value.numer())
    } else {
        format!("({} / {})", whole(value.numer()), whole(value.denom()))
    }
}

/// The argument: x = (low + high)/2^(scale+1) + t·(high − low)/2^(scale+1).
pub(super) fn argument(piece: &Piece, t: &str) -> String {
    let (low, high) = (Integer::from(piece.low), Integer::from(piece.high));
    let unit = u32::from(piece.input_scale) + 1;
    let (centre, half) = (Rational::from(Integer::from(&low + &high)) >> unit, Rational::from(high - low) >> unit);
    format!("({} + {t} * {})", fraction(&centre), fraction(&half))
}

/// `expression` at `argument`.
pub(super) fn write(
    expression: &Expression,
    argument: &str,
    piece: &Piece,
    notation: Notation,
) -> Result<String, Untold> {
    let of = |inner: &Expression| write(inner, argument, piece, notation);
    let coq = notation == Notation::Coq;
    Ok(match expression {
        Expression::X => argument.to_owned(),
        Expression::Rational(numerator, denominator) => fraction(&Rational::from((*numerator, *denominator))),
        Expression::Pi => if coq { "PI" } else { "pi" }.to_owned(),
        Expression::Add(a, b) => format!("({} + {})", of(a)?, of(b)?),
        Expression::Multiply(a, b) => format!("({} * {})", of(a)?, of(b)?),
        Expression::Exp(g) => format!("exp({})", of(g)?),
        Expression::Log(g) => format!("{}({})", if coq { "ln" } else { "log" }, of(g)?),
        Expression::Sine(g) => format!("sin({})", of(g)?),
        Expression::Reciprocal(g) => format!("(1 / {})", of(g)?),
        Expression::Rsqrt(g) => format!("(1 / sqrt({}))", of(g)?),
        Expression::GaussianIntegral(..) if coq => return Err(Untold::Gaussian),
        Expression::GaussianIntegral(numerator, denominator) => {
            let factor = fraction(&Rational::from((*numerator, *denominator)));
            format!("(sqrt(pi / {factor}) / 2 * erf({argument} * sqrt({factor})))")
        }
        Expression::PositivePart(g) => match sign(g, piece).ok_or(Untold::Branch)? {
            true => of(g)?,
            false => "0".to_owned(),
        },
    })
}

/// Whether `expression` is at least zero (true) or at most zero (false) on the whole piece; `None` if it changes its sign
/// or is not affine.
fn sign(expression: &Expression, piece: &Piece) -> Option<bool> {
    let (constant, slope) = affine(expression)?;
    let at = |input: i64| (Rational::from(input) >> u32::from(piece.input_scale)) * &slope + &constant;
    let ends = [at(piece.low), at(piece.high)];
    if ends.iter().all(|end| *end >= 0) {
        Some(true)
    } else if ends.iter().all(|end| *end <= 0) {
        Some(false)
    } else {
        None
    }
}

/// a + b·x.
fn affine(expression: &Expression) -> Option<(Rational, Rational)> {
    match expression {
        Expression::X => Some((Rational::new(), Rational::from(1))),
        Expression::Rational(numerator, denominator) => {
            Some((Rational::from((*numerator, *denominator)), Rational::new()))
        }
        Expression::Add(a, b) => {
            let ((a, b), (c, d)) = (affine(a)?, affine(b)?);
            Some((a + c, b + d))
        }
        Expression::Multiply(a, b) => {
            let ((a, b), (c, d)) = (affine(a)?, affine(b)?);
            (b == 0 || d == 0).then(|| (Rational::from(&a * &c), a * d + b * c))
        }
        _ => None,
    }
}

/// Σ cₖ·tᵏ / 2^bits by Horner's rule.
pub(super) fn horner(coefficients: &[Integer], t: &str, bits: u32) -> String {
    let mut text = coefficients.last().map_or("0".to_owned(), whole);
    for c in coefficients.iter().rev().skip(1) {
        text = format!("({} + {t} * {text})", whole(c));
    }
    format!("({text} / {})", Integer::from(1) << bits)
}

/// A rational as a term.
pub(super) fn constant(value: &Rational) -> String {
    fraction(value)
}
