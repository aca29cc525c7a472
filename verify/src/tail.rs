//! Named inequalities for the tails of functions, where no polynomial is needed.
//!
//! Each rule encloses f between two functions that differ by a monotone bound, over a piece of any width:
//! f ∈ [g − τ, g + τ] with g affine.
//!
//! | function | left, all x ≤ b | right, all x ≥ a |
//! | --- | --- | --- |
//! | exp | 0 < f ≤ e^b | |
//! | sigmoid | 0 < f ≤ e^b | 0 < 1 − f ≤ e^−a |
//! | tanh | 0 < f + 1 ≤ 2e^2b | 0 < 1 − f ≤ 2e^−2a |
//! | silu | b·e^b ≤ f ≤ 0, b ≤ −1 | 0 ≤ x − f ≤ a·e^−a, a ≥ 1 |
//! | gelu | −φ(b) ≤ f ≤ 0, b ≤ 0 | 0 ≤ x − f ≤ φ(a), a ≥ 0 |
//! | normal_cdf | 0 ≤ f ≤ φ(b), b ≤ −1 | 0 ≤ 1 − f ≤ φ(a), a ≥ 1 |
//! | erf | 0 ≤ f + 1 ≤ e^−b², b ≤ −1 | 0 ≤ 1 − f ≤ e^−a², a ≥ 1 |
//!
//! Other functions are enclosed by `coarse`, on either side or across zero.
//!
//! From x(1 − Φ(x)) ≤ φ(x) for x ≥ 0 (Mills), φ ≤ e^(−x²/2)/2, and x·e^−x decreasing for x ≥ 1.

use crate::coarse;
use crate::constants::{EXPONENT_LIMIT, exponential};
use crate::integer::{IBig, absolute, shift_ceil, shift_floor};
use crate::polynomial::Polynomial;
use crate::reference::{Piece, Reference, Unbounded};
use catalogs::Function;

/// An enclosure of `function` over `piece` by its tail rule; [`Unbounded::Argument`] if no rule applies there.
pub fn enclose(function: &Function, piece: &Piece) -> Result<Reference, Unbounded> {
    let ruled = [Function::Exp, Function::Sigmoid, Function::Tanh, Function::Silu]
        .iter()
        .chain(&[Function::Gelu, Function::NormalCdf, Function::Erf])
        .any(|ruled| ruled == function);
    if !ruled {
        return coarse::enclose(&function.definition(), piece);
    }
    let left = piece.high < 0;
    if !left && piece.low <= 0 {
        return Err(Unbounded::Argument);
    }
    let nearest = if left { -IBig::from(piece.high) } else { IBig::from(piece.low) };
    // |x| at the end of the piece that is nearest to zero, at the piece's scale; the tail is largest there.
    let edge = nearest << (piece.scale - usize::from(piece.input_scale));
    let one = IBig::ONE << piece.scale;
    let decay = |exponent: &IBig| -> Result<IBig, Unbounded> {
        let capped = exponent.clone().min(IBig::from(EXPONENT_LIMIT) << piece.scale);
        exponential(&-capped, piece.scale).map(|ball| ball.centre + ball.radius).ok_or(Unbounded::Argument)
    };
    let square = &edge * &edge;
    let half_square = shift_floor(&square, piece.scale + 1);
    let square = shift_floor(&square, piece.scale);
    let far = edge >= one;
    let zero = Polynomial::default();
    let limit = |sign: i8| Polynomial::constant(&one * IBig::from(sign));
    // (g, bound of |f − g|, whether f ≥ g)
    let (g, bound, above) = match function {
        Function::Exp if left => (zero, decay(&edge)?, true),
        Function::Sigmoid if left => (zero, decay(&edge)?, true),
        Function::Sigmoid => (limit(1), decay(&edge)?, false),
        Function::Tanh => {
            let bound = decay(&(&edge * IBig::from(2)))? * IBig::from(2);
            if left { (limit(-1), bound, true) } else { (limit(1), bound, false) }
        }
        Function::Silu if far => {
            let bound = shift_ceil(&(decay(&edge)? * &edge), piece.scale);
            if left { (zero, bound, false) } else { (piece.argument(), bound, false) }
        }
        Function::Gelu => {
            let bound = shift_ceil(&decay(&half_square)?, 1);
            if left { (zero, bound, false) } else { (piece.argument(), bound, false) }
        }
        Function::NormalCdf if far => {
            let bound = shift_ceil(&decay(&half_square)?, 1);
            if left { (zero, bound, true) } else { (limit(1), bound, false) }
        }
        Function::Erf if far => {
            let bound = decay(&square)?;
            if left { (limit(-1), bound, true) } else { (limit(1), bound, false) }
        }
        _ => return Err(Unbounded::Argument),
    };
    // Centred: f ∈ [g, g + bound] is g + bound/2 ± bound/2.
    let half = shift_ceil(&absolute(&bound), 1);
    let offset = Polynomial::constant(if above { half.clone() } else { -&half });
    Ok(Reference { polynomial: g.plus(&offset, &IBig::ONE), error: half + IBig::ONE })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every rule against the ordinary enclosure over small pieces inside the tail.
    #[test]
    fn tails_contain_the_function() {
        let functions = [
            Function::Exp,
            Function::Sigmoid,
            Function::Tanh,
            Function::Silu,
            Function::Gelu,
            Function::NormalCdf,
            Function::Erf,
            Function::GeluTanh,
            Function::Softplus,
            Function::Mish,
            Function::Elu,
            Function::Selu,
            Function::Softsign,
            Function::Isru,
            Function::HardSigmoid,
            Function::HardSwish,
            Function::NormalPdf,
            Function::Exp2,
            Function::Sin,
        ];
        let unit = 2f64.powi(160);
        let mut applied = 0;
        for function in functions {
            for edge in [-6i64, -4, -2, -1, 1, 2, 4, 6] {
                let wide = if edge < 0 {
                    (edge * 65536 - 131072, edge * 65536)
                } else {
                    (edge * 65536, edge * 65536 + 131072)
                };
                let piece = |low, high| Piece { low, high, input_scale: 16, scale: 160, degree: 16 };
                let Ok(tail) = enclose(&function, &piece(wide.0, wide.1)) else { continue };
                applied += 1;
                for x in (wide.0..=wide.1).step_by(8192) {
                    let exact = crate::reference::enclose(&function.definition(), &piece(x, x)).unwrap();
                    let t = (x - wide.0) as f64 / 65536.0 - 1.0;
                    let coefficients = tail.polynomial.0.iter().rev().map(|c| c.to_f64().value() / unit);
                    let g = coefficients.fold(0.0, |sum, c| sum * t + c);
                    let f = exact.polynomial.coefficient(0).to_f64().value() / unit;
                    let tau = tail.error.to_f64().value() / unit;
                    assert!((f - g).abs() <= tau + 1e-14, "{function} at {x}: {f} against {g} ± {tau}");
                }
            }
        }
        assert!(applied > 130, "only {applied} rules applied");
    }

    #[test]
    fn rules_do_not_apply_where_they_are_not_proved() {
        let piece = |low, high| Piece { low, high, input_scale: 16, scale: 160, degree: 16 };
        assert!(enclose(&Function::Exp, &piece(1, 100)).is_err());
        assert!(enclose(&Function::Silu, &piece(-65535, -60000)).is_err());
        assert!(enclose(&Function::Reciprocal, &piece(0, 100000)).is_err());
        assert!(enclose(&Function::Gelu, &piece(-1, 100)).is_err());
        assert!(enclose(&Function::Exp, &piece(i64::MIN, i64::MIN)).is_ok());
    }
}
