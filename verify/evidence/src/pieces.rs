//! A certificate's pieces as integers: the program's exact models beside the checker's polynomial for the function.
//!
//! From here come the obligations and the exports. The program's side is [`crate::ideal`]'s, exact and independent of
//! the checker; the function's side, T and the bound of |T − f|, is `verify::examine`'s and rests on the checker.

use crate::EvidenceError;
use crate::exhaust::to_rational;
use crate::ideal::{Case, Polynomial, cases, ceiling};
use catalogs::Entry;
use rug::{Integer, Rational};
use verify::certificate::{Certificate, PieceProof};
use verify::examine::Examination;
use verify::model::FRACTION;

/// The degree to which a rounding's influence is written out; the rest goes into the slack.
const SYMBOL_DEGREE: usize = 3;
/// Levels of subdivision when f's sign is decided.
const SIGN_HALVINGS: u32 = 3;

/// One piece. Unless said otherwise numbers are in units of 2^−`unit_bits` of a real number.
#[derive(Clone, Debug)]
pub struct Piece {
    /// Counted from 0 in the order of the certificate.
    pub number: usize,
    /// The least input integer.
    pub low: i64,
    /// The greatest input integer.
    pub high: i64,
    /// Fraction bits of the input.
    pub input_scale: u8,
    /// Whether f is enclosed by its tail rule.
    pub tail: bool,
    /// Fraction bits of the output and of the checker below it.
    pub unit_bits: u32,
    /// What the program can be, one for each combination of bits.
    pub cases: Vec<CaseSheet>,
    /// The checker's polynomial T in t ∈ [−1, 1].
    pub reference: Vec<Integer>,
    /// The checker's bound of |T − f|.
    pub reference_error: Integer,
    /// The certificate's bound of |p − T|.
    pub approximation: Rational,
    /// The certificate's bound of cut terms, second orders and |T − f|.
    pub remainder: Rational,
}

/// The program's output over a piece in one case: |output − p(t) − Σ eᵢ·Sᵢ(t)| ≤ slack for some |eᵢ| ≤ 1.
#[derive(Clone, Debug)]
pub struct CaseSheet {
    /// Counted from 0.
    pub number: usize,
    /// The exact case behind it.
    pub case: Case,
    /// p: the ideal polynomial with floored coefficients.
    pub polynomial: Vec<Integer>,
    /// What flooring them changed at most; the ideal polynomial itself is this close to p.
    pub floored: Integer,
    /// Sᵢ for the truncation at operation i, up to a low degree.
    pub symbols: Vec<(usize, Vec<Integer>)>,
    /// A bound of Σ |Sᵢ|.
    pub rounding: Integer,
    /// What is neither in p nor in the Sᵢ: floored and cut coefficients, second orders.
    pub slack: Integer,
}

/// The pieces of `certificate`, which need not prove `entry`: only the checker's polynomials must exist.
pub fn pieces(entry: &Entry, certificate: &Certificate) -> Result<Vec<Piece>, EvidenceError> {
    certificate.pieces.iter().enumerate().map(|(number, proof)| piece(entry, number, proof)).collect()
}

fn piece(entry: &Entry, number: usize, proof: &PieceProof) -> Result<Piece, EvidenceError> {
    let (low, high) = (proof.low, proof.high);
    let examination = Examination::new(entry, low, high, proof.degree, proof.tail)
        .map_err(|rejection| EvidenceError::Piece { low, high, reason: rejection.to_string() })?;
    let reference = examination.reference();
    let integer = |value: String| {
        Integer::from_str_radix(&value, 10).map_err(|error| EvidenceError::Piece {
            low,
            high,
            reason: error.to_string(),
        })
    };
    let unit_bits = u32::from(entry.program.output().1.bits()) + FRACTION as u32;
    let sheets = cases(&entry.program, low, high)?.into_iter().enumerate();
    Ok(Piece {
        number,
        low,
        high,
        input_scale: entry.program.input().1.bits(),
        tail: proof.tail,
        unit_bits,
        cases: sheets.map(|(number, case)| sheet(number, case)).collect(),
        reference: reference.polynomial.0.iter().map(|c| integer(c.to_string())).collect::<Result<_, _>>()?,
        reference_error: integer(reference.error.to_string())?,
        approximation: to_rational(proof.approximation) << unit_bits,
        remainder: to_rational(proof.remainder) << unit_bits,
    })
}

fn sheet(number: usize, case: Case) -> CaseSheet {
    let bits = FRACTION as u32;
    let output = &case.output;
    let (polynomial, floored) = output.polynomial.scaled(bits, usize::MAX);
    let mut slack = floored.clone() + ceiling(&(output.remainder.at_zero() << bits), 0);
    let mut symbols = Vec::new();
    for (index, symbol) in output.symbols.iter().filter(|(_, symbol)| !symbol.is_zero()) {
        let (kept, lost) = symbol.scaled(bits, SYMBOL_DEGREE);
        slack += lost;
        symbols.push((*index, kept));
    }
    let magnitude = |coefficients: &[Integer]| coefficients.iter().map(|c| Integer::from(c.abs_ref())).sum::<Integer>();
    let rounding = symbols.iter().map(|(_, symbol)| magnitude(symbol)).sum();
    CaseSheet { number, polynomial, floored, symbols, rounding, slack, case }
}

impl Piece {
    /// The bound of |p − T| that the certificate states, with its remainder and without what flooring p may add.
    pub fn stated_distance(&self, sheet: &CaseSheet) -> Rational {
        Rational::from(&self.approximation + &self.remainder) + Rational::from(&sheet.floored)
    }

    /// 1 or −1 if f is proved to keep that sign on the piece, else 0.
    pub fn sign(&self) -> i8 {
        let (low, high) = Polynomial::integers(self.reference.clone()).bounds(SIGN_HALVINGS);
        if low >= self.reference_error {
            1
        } else if -high >= self.reference_error {
            -1
        } else {
            0
        }
    }
}
