//! Exact decimal numbers in entries and certificates: m · 10^e with one canonical spelling.

use dashu::integer::{IBig, UBig};
use dashu::rational::RBig;
use std::fmt;

/// `mantissa` · 10^`exponent`; the mantissa is not divisible by ten, zero is 0 · 10^0.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Decimal {
    mantissa: i128,
    exponent: i16,
}

impl Decimal {
    /// Zero.
    pub const ZERO: Decimal = Decimal { mantissa: 0, exponent: 0 };
    /// One.
    pub const ONE: Decimal = Decimal { mantissa: 1, exponent: 0 };
    const MAX_EXPONENT: i16 = 300;

    /// m · 10^e in canonical form; `None` if |e| exceeds 300.
    pub fn new(mantissa: i128, exponent: i16) -> Option<Decimal> {
        let (mut mantissa, mut exponent) = (mantissa, exponent);
        if mantissa == 0 {
            return Some(Decimal::ZERO);
        }
        while mantissa % 10 == 0 {
            mantissa /= 10;
            exponent = exponent.checked_add(1)?;
        }
        (exponent.unsigned_abs() <= Decimal::MAX_EXPONENT.unsigned_abs()).then_some(Decimal { mantissa, exponent })
    }

    /// The exact value.
    pub fn to_rational(self) -> RBig {
        let power = UBig::from(10u8).pow(usize::from(self.exponent.unsigned_abs()));
        let mantissa = IBig::from(self.mantissa);
        if self.exponent >= 0 { RBig::from(mantissa * IBig::from(power)) } else { RBig::from_parts(mantissa, power) }
    }

    /// The least decimal of `digits` significant digits that is not below the non-negative `value`.
    /// `None` if `value` is negative or out of range.
    pub fn round_up(value: &RBig, digits: u32) -> Option<Decimal> {
        if value.sign() == dashu::base::Sign::Negative || !(1..=36).contains(&digits) {
            return None;
        }
        if *value == RBig::ZERO {
            return Some(Decimal::ZERO);
        }
        let limit = IBig::from(UBig::from(10u8).pow(digits as usize));
        let mut exponent: i16 = -Decimal::MAX_EXPONENT;
        // The value is at most a few thousand bits; a linear search over the exponent is exact and short.
        while exponent <= Decimal::MAX_EXPONENT {
            let power = RBig::from(UBig::from(10u8).pow(usize::from(exponent.unsigned_abs())));
            let scaled = if exponent < 0 { value * &power } else { value / &power };
            let mantissa = scaled.ceil();
            if mantissa < limit {
                return Decimal::new(i128::try_from(mantissa).ok()?, exponent);
            }
            exponent += 1;
        }
        None
    }

    /// The nearest `f64`, for people and for plots only: no proof rests on it.
    pub fn to_f64_lossy(self) -> f64 {
        format!("{}e{}", self.mantissa, self.exponent).parse().unwrap_or(f64::NAN)
    }

    /// Parses `-12.5e-3`-like text; the canonical spelling is what [`fmt::Display`] prints.
    pub fn parse(text: &str) -> Option<Decimal> {
        let (body, exponent) = match text.split_once('e') {
            Some((body, exponent)) => (body, exponent.parse::<i16>().ok()?),
            None => (text, 0),
        };
        let (digits, fraction_digits) = match body.split_once('.') {
            Some((whole, fraction)) if !fraction.is_empty() && !whole.is_empty() => {
                (format!("{whole}{fraction}"), fraction.len())
            }
            Some(_) => return None,
            None => (body.to_owned(), 0),
        };
        let bare = digits.strip_prefix('-').unwrap_or(&digits);
        if bare.is_empty() || bare.len() > 37 || !bare.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        Decimal::new(digits.parse().ok()?, exponent.checked_sub(i16::try_from(fraction_digits).ok()?)?)
    }
}

impl fmt::Display for Decimal {
    /// Scientific notation with one digit before the point: `2.8125e-4`, `1`, `-3e5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.mantissa.unsigned_abs().to_string();
        let exponent = i64::from(self.exponent) + digits.len() as i64 - 1;
        let sign = if self.mantissa < 0 { "-" } else { "" };
        write!(f, "{sign}{}", &digits[..1])?;
        if digits.len() > 1 {
            write!(f, ".{}", &digits[1..])?;
        }
        if exponent != 0 { write!(f, "e{exponent}") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_is_canonical() {
        for text in ["0", "1", "-3e5", "2.8125e-4", "1.5", "9.99e-12"] {
            assert_eq!(Decimal::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Decimal::parse("0.00028125").unwrap().to_string(), "2.8125e-4");
        for bad in ["", ".", "1.", ".5", "1e", "+", "--1", "1e400", "1e-32768", "0x1", "1_0", "é"] {
            assert!(Decimal::parse(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn rounding_is_upwards() {
        let third = RBig::from_parts(IBig::from(1), UBig::from(3u8));
        let up = Decimal::round_up(&third, 4).unwrap();
        assert_eq!(up.to_string(), "3.334e-1");
        assert!(up.to_rational() >= third);
        assert_eq!(Decimal::round_up(&RBig::from(99999), 3).unwrap().to_string(), "1e5");
    }
}
