//! SMT-LIB text over the reals.

use rug::{Integer, Rational};

/// An integer as a real literal.
pub(super) fn whole(value: &Integer) -> String {
    if *value < 0 { format!("(- {}.0)", Integer::from(-value)) } else { format!("{value}.0") }
}

/// A rational as a real term.
pub(super) fn rational(value: &Rational) -> String {
    if *value.denom() == 1 {
        whole(value.numer())
    } else {
        format!("(/ {} {})", whole(value.numer()), whole(value.denom()))
    }
}

/// Σ cₖ·tᵏ by Horner's rule.
pub(super) fn horner(coefficients: &[Integer]) -> String {
    let Some((last, rest)) = coefficients.split_last() else { return "0.0".into() };
    let mut text = whole(last);
    for c in rest.iter().rev() {
        text = format!("(+ {} (* t {text}))", whole(c));
    }
    text
}
