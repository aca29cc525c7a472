//! The fifteen functions of NFGen's benchmark on its domains, and its sigmoid in a narrow ring, as goals.
//!
//! Functions and domains are those of the paper (Fan et al., CCS 2022) as its published benchmark script states them,
//! constants included; the Birnbaum–Saunders line of that script multiplies by x where the density divides, so that the
//! density is a sixteenth row.

use crate::expression::{Expression, parse_rational};
use crate::families::Goal;
use catalogs::{Decimal, Format, Function, Norm, Ring, Scale, Window};
use rug::{Integer, Rational};

/// A function of the benchmark.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Line {
    /// Its name there.
    pub name: &'static str,
    /// A name or an expression of ours.
    pub function: &'static str,
    /// Both ends of the domain, as decimals.
    pub domain: (&'static str, &'static str),
    /// Fraction bits.
    pub fraction_bits: u8,
    /// Width of the ring.
    pub ring_bits: u8,
}

/// The benchmark's accuracy.
pub const ACCURACY: &str = "1e-3";

/// All lines. Where the domain begins at 1e-6, 16 fraction bits would have no number between zero and 15 times that.
#[rustfmt::skip]
pub const LINES: [Line; 17] = [
    line("soft_plus", "softplus", ("-20", "50"), 16),
    line("tanh", "tanh", ("-50", "50"), 16),
    line("sigmoid", "sigmoid", ("-50", "50"), 16),
    line("elu", "elu", ("-50", "20"), 16),
    line("selu", "selu", ("-50", "20"), 16),
    line("gelu", "gelu_tanh", ("-20", "20"), 16),
    line("soft_sign", "softsign", ("-50", "50"), 16),
    line("isru", "isru", ("-50", "50"), 16),
    line("normal density", "normal_pdf", ("-10", "10"), 16),
    line("Cauchy density", "1/(pi*(1+x^2))", ("-40", "40"), 16),
    line("gamma density", "sqrt(x)*exp(-x)/1.7725", ("1e-6", "50"), 24),
    line("chi-square density", "exp(-x/2)*x/(4*0.959502)", ("0", "30"), 16),
    line("exponential density", "exp(-x)", ("0", "10"), 16),
    line("log-normal density", "exp(-log(x)^2/2)/(x*sqrt(2*pi))", ("1e-4", "40"), 16),
    line("Birnbaum-Saunders, as scripted", "exp(-2*(x-2+1/x))/sqrt(2*pi)*(sqrt(x)+rsqrt(x))*x/4", ("1e-6", "30"), 24),
    line("Birnbaum-Saunders density", "exp(-2*(x-2+1/x))/sqrt(2*pi)*(sqrt(x)+rsqrt(x))/x", ("1e-6", "30"), 24),
    Line { name: "sigmoid, 32-bit ring", function: "sigmoid", domain: ("-10", "10"), fraction_bits: 16, ring_bits: 32 },
];

const fn line(
    name: &'static str,
    function: &'static str,
    domain: (&'static str, &'static str),
    fraction_bits: u8,
) -> Line {
    Line { name, function, domain, fraction_bits, ring_bits: 64 }
}

impl Line {
    /// What is to be found: every number of the format inside the domain, absolute accuracy [`ACCURACY`].
    ///
    /// # Errors
    /// A sentence that names what cannot be read.
    pub fn goal(&self) -> Result<Goal, String> {
        let function = match Function::parse(self.function) {
            Some(function) => function,
            None => Expression::parse(self.function).map_err(|error| error.to_string())?.function()?,
        };
        let end = |text: &str| parse_rational(text).ok_or_else(|| format!("'{text}' is not a number"));
        let scaled = |value: Rational| value << u32::from(self.fraction_bits);
        let integer = |value: Rational| {
            Integer::from(value.numer()).to_i64().ok_or_else(|| "the domain exceeds 64 bits".to_owned())
        };
        let low = integer(scaled(end(self.domain.0)?).ceil())?;
        let high = integer(scaled(end(self.domain.1)?).floor())?;
        let scale = Scale::new(self.fraction_bits).ok_or("no such scale")?;
        let ring = Ring::new(self.ring_bits).ok_or("no such ring")?;
        Ok(Goal {
            function,
            window: Window { low, high },
            fitted: None,
            input: Format { ring, scale },
            output_scale: scale,
            norm: Norm::ABSOLUTE,
            accuracy: Decimal::parse(ACCURACY).ok_or("no such accuracy")?,
            density: None,
        })
    }
}
