//! Integer tensors, and how real tensors are encoded into them and decoded.
//!
//! An [`Integers`] holds signed residues: the representative of an element of Z_2^k in [−2^(k−1), 2^(k−1)).

use super::Error;
use super::shape::Shape;
use catalogs::{Format, Ring, Scale};
use std::fmt;

/// A row-major tensor of signed residues. Its `Debug` shows the shape only: the elements may be secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Integers {
    shape: Shape,
    values: Vec<i64>,
}

impl Integers {
    /// A tensor; the phrase of the error names both sizes.
    pub fn new(shape: Shape, values: Vec<i64>) -> Result<Integers, String> {
        if shape.lanes() != values.len() {
            return Err(format!("the shape {shape} needs {} elements, {} are given", shape.lanes(), values.len()));
        }
        Ok(Integers { shape, values })
    }

    /// Extent of each axis.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Elements, last axis fastest.
    pub fn values(&self) -> &[i64] {
        &self.values
    }

    /// The elements themselves.
    pub fn into_values(self) -> Vec<i64> {
        self.values
    }
}

impl fmt::Debug for Integers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Integers{}", self.shape)
    }
}

/// The signed residue of `value` modulo 2^k.
#[inline(always)]
pub fn residue(ring: Ring, value: i64) -> i64 {
    // A ring has 1 to 64 bits. Checked arithmetic is a branch of every lane, and a loop with it is no loop of vectors.
    let unused = 64u32.wrapping_sub(u32::from(ring.bits()));
    value.wrapping_shl(unused).wrapping_shr(unused)
}

/// The integer nearest to value · 2^scale (ties to even), or `None` if `value` is not finite or the integer is not
/// below 2^(k−1) in absolute value.
pub fn nearest(value: f64, format: Format) -> Option<i64> {
    // Multiplying by a power of two is exact, so the only rounding is to the nearest integer.
    let scaled = (value * power_of_two(i32::from(format.scale.bits()))).round_ties_even();
    let limit = power_of_two(i32::from(format.ring.bits()) - 1);
    (scaled.abs() < limit).then_some(scaled as i64)
}

/// Encodes a real tensor; `name` is what an error calls it. No element is ever part of a message.
pub fn encode(name: &str, shape: &Shape, values: &[f64], format: Format) -> Result<Integers, Error> {
    if shape.lanes() != values.len() {
        return Err(Error::Elements { tensor: name.into(), shape: shape.clone(), given: values.len() });
    }
    let encoded = values.iter().enumerate().map(|(index, &value)| {
        nearest(value, format).ok_or_else(|| match value.is_finite() {
            true => Error::TooLarge { tensor: name.into(), index, format },
            false => Error::NotFinite { tensor: name.into(), index },
        })
    });
    Ok(Integers { shape: shape.clone(), values: encoded.collect::<Result<_, _>>()? })
}

/// The real numbers that integers at `scale` stand for: exact for |v| ≤ 2^53, else rounded to nearest.
pub fn decode(integers: &Integers, scale: Scale) -> Vec<f64> {
    let unit = power_of_two(-i32::from(scale.bits()));
    integers.values.iter().map(|&value| value as f64 * unit).collect()
}

/// 2^`exponent` for |exponent| ≤ 1000, exactly.
fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(((1023 + i64::from(exponent.clamp(-1000, 1000))) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode_one(value: f64, bits: u8, scale: u8) -> Result<i64, Error> {
        let format = Format { ring: Ring::new(bits).unwrap(), scale: Scale::new(scale).unwrap() };
        encode("image", &Shape::scalar(), &[value], format).map(|tensor| tensor.values()[0])
    }

    #[test]
    fn values_that_do_not_fit_are_refused_by_name_and_without_the_value() {
        for value in [f64::NAN, f64::INFINITY, 131_072.25, -131_072.0] {
            let message = encode_one(value, 32, 14).unwrap_err().to_string();
            assert!(message.contains("'image'") && !message.contains("131072"), "{message}");
        }
        assert!(encode("image", &Shape::new([2]).unwrap(), &[0.0], Format::z64(16).unwrap()).is_err());
        assert!(encode_one(f64::MAX, 64, 126).is_err());
    }

    #[test]
    fn encoding_is_nearest_and_decoding_exact() {
        assert_eq!(encode_one(1.0, 64, 16).unwrap(), 65536);
        assert_eq!(encode_one(-0.5, 64, 0).unwrap(), 0);
        assert_eq!(encode_one(1.5, 64, 0).unwrap(), 2);
        assert_eq!(encode_one(131_071.999, 32, 14).unwrap(), (1i64 << 31) - 16);
        let scale = Scale::new(16).unwrap();
        let tensor = Integers::new(Shape::scalar(), vec![-3]).unwrap();
        assert_eq!(decode(&tensor, scale), [-3.0 / 65536.0]);
        assert_eq!(residue(Ring::new(3).unwrap(), 5), -3);
        assert_eq!(residue(Ring::Z64, i64::MIN), i64::MIN);
    }
}
