//! Directed rounding of scaled integers. Every real number of the checker is an integer times a power of two.

use dashu::base::{Abs, BitTest, DivEuclid, Sign};
pub use dashu::integer::IBig;

/// ⌊value / 2^bits⌋.
pub fn shift_floor(value: &IBig, bits: usize) -> IBig {
    value >> bits
}

/// ⌈value / 2^bits⌉.
pub fn shift_ceil(value: &IBig, bits: usize) -> IBig {
    -shift_floor(&-value, bits)
}

/// ⌊numerator / denominator⌋ for a positive denominator.
pub fn divide_floor(numerator: &IBig, denominator: &IBig) -> IBig {
    numerator.div_euclid(denominator)
}

/// ⌈numerator / denominator⌉ for a positive denominator.
pub fn divide_ceil(numerator: &IBig, denominator: &IBig) -> IBig {
    -divide_floor(&-numerator, denominator)
}

/// |value|.
pub fn absolute(value: &IBig) -> IBig {
    value.clone().abs()
}

/// The larger of two integers.
pub fn larger(a: IBig, b: IBig) -> IBig {
    if a >= b { a } else { b }
}

/// The number of bits of |value|.
pub fn bit_length(value: &IBig) -> usize {
    absolute(value).bit_len()
}

/// Whether the value is below zero.
pub fn is_negative(value: &IBig) -> bool {
    value.sign() == Sign::Negative
}

/// ⌊√value⌋ for a value that is not negative.
pub fn square_root_floor(value: &IBig) -> IBig {
    use dashu::base::SquareRoot;
    let magnitude = dashu::integer::UBig::try_from(absolute(value)).unwrap_or_default();
    IBig::from(magnitude.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_directed_for_both_signs() {
        for value in -40i32..40 {
            let (v, floor, ceil) = (IBig::from(value), value.div_euclid(8), -((-value).div_euclid(8)));
            assert_eq!(shift_floor(&v, 3), IBig::from(floor));
            assert_eq!(shift_ceil(&v, 3), IBig::from(ceil));
            assert_eq!(divide_floor(&v, &IBig::from(7)), IBig::from(value.div_euclid(7)));
            assert_eq!(divide_ceil(&v, &IBig::from(7)), IBig::from(-((-value).div_euclid(7))));
        }
        let wide = (IBig::ONE << 300usize) - IBig::ONE;
        for bits in [0usize, 1, 63, 64, 65, 128, 299, 300, 301, 500] {
            let power = IBig::ONE << bits;
            for value in [wide.clone(), -wide.clone(), IBig::ONE << 128usize, -(IBig::ONE << 128usize)] {
                assert_eq!(shift_floor(&value, bits), divide_floor(&value, &power));
                assert_eq!(shift_ceil(&value, bits), divide_ceil(&value, &power));
            }
        }
        assert_eq!(square_root_floor(&IBig::from(99)), IBig::from(9));
    }
}
