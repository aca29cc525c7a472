//! The program over a piece as exact polynomials, computed independently of the checker.
//!
//! With t ∈ [−1, 1] over the piece, a value is p(t) + Σ eᵢ·Sᵢ(t) + R·e, each eᵢ ∈ [−1, 1] one truncation's rounding,
//! e ∈ [−1, 1] everything of second order. Coefficients are exact dyadic numbers of any degree: nothing is cut or
//! rounded, which is where this differs from `verify::model`. The p of the output is the *ideal polynomial*: what the
//! program computes if every truncation divides exactly, but for the middle of its error interval.
//!
//! Signs are decided from ranges by Bernstein coefficients; one that a piece does not decide is followed both ways. A
//! value whose window is not proved is not followed any further, and the output must not depend on it.

mod polynomial;

pub use polynomial::Polynomial;
pub(crate) use polynomial::ceiling;

use crate::EvidenceError;
use catalogs::{Lemma, Op, Program, Rounding, Sum};
use rug::Integer;
use std::collections::BTreeMap;

/// The most combinations of undecided bits over one piece.
const MAX_CASES: usize = 64;
/// The highest degree that is followed exactly.
const MAX_DEGREE: usize = 256;
/// Levels of subdivision when a range decides a window or a bit.
const HALVINGS: u32 = 2;

/// p + Σ eᵢ·Sᵢ + R·e, in units of the value's integer.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// The part without roundings.
    pub polynomial: Polynomial,
    /// The first-order influence of every truncation, by the index of its operation.
    pub symbols: BTreeMap<usize, Polynomial>,
    /// A bound of everything of second order: a constant that is not negative.
    pub remainder: Polynomial,
}

/// A value over one piece, in one case.
#[derive(Clone, Debug)]
pub enum Value {
    /// An integer congruent to the ring element.
    Live(Model),
    /// A ring element about which nothing is known.
    Unknown,
    /// A known bit.
    Bit(bool),
}

/// One combination of bits: every value of the program.
#[derive(Clone, Debug)]
pub struct Case {
    /// By operation.
    pub values: Vec<Value>,
    /// The last one.
    pub output: Model,
}

impl Case {
    /// The bits, as `v3=1 v6=0`; empty without any.
    pub fn bits(&self) -> String {
        let bits = self.values.iter().enumerate().filter_map(|(index, value)| match value {
            Value::Bit(bit) => Some(format!("v{index}={}", u8::from(*bit))),
            _ => None,
        });
        bits.collect::<Vec<_>>().join(" ")
    }

    /// Whether the value is zero for every input and rounding.
    pub fn is_zero(&self, index: usize) -> bool {
        matches!(&self.values[index], Value::Live(model) if model.is_zero())
    }
}

/// Every combination of bits that the program can meet on inputs `low` to `high`.
pub fn cases(program: &Program, low: i64, high: i64) -> Result<Vec<Case>, EvidenceError> {
    let fail = |reason: String| EvidenceError::Piece { low, high, reason };
    let (mut done, mut pending) = (Vec::new(), vec![Vec::new()]);
    while let Some(mut values) = pending.pop() {
        for (index, op) in program.ops().iter().enumerate().skip(values.len()) {
            let value = match op {
                Op::Input => Value::Live(Model { polynomial: Polynomial::interval(low, high), ..Model::default() }),
                Op::Sum(sum) => sum_value(program, sum, index, &values).map_err(fail)?,
                Op::Sign { operand, lemma } => {
                    let decided = decide(program.lemma(*lemma), &values[operand.index()]);
                    if decided.is_none() {
                        let mut other = values.clone();
                        other.push(Value::Bit(true));
                        pending.push(other);
                    }
                    Value::Bit(decided.unwrap_or(false))
                }
                Op::Inject { bit, .. } => {
                    let bit = matches!(values[bit.index()], Value::Bit(true));
                    let polynomial = Polynomial::constant(u8::from(bit));
                    Value::Live(Model { polynomial, ..Model::default() })
                }
            };
            values.push(value);
        }
        let bits = u32::from(program.output().0.bits()) - 1;
        match values.last().cloned() {
            Some(Value::Live(output)) if output.is_within(bits) => done.push(Case { values, output }),
            _ => return Err(fail("the output is not proved to stay inside its ring".into())),
        }
        if done.len() + pending.len() > MAX_CASES {
            return Err(fail(format!("more than {MAX_CASES} combinations of undecided bits")));
        }
    }
    Ok(done)
}

impl Model {
    /// Whether this is exactly zero.
    pub fn is_zero(&self) -> bool {
        self.polynomial.is_zero() && self.symbols.values().all(Polynomial::is_zero) && self.remainder.is_zero()
    }

    /// A bound of |Σ eᵢ·Sᵢ|, a constant.
    pub fn rounding(&self) -> Polynomial {
        let mut sum = Polynomial::default();
        for symbol in self.symbols.values() {
            sum.add(&symbol.magnitude(), &Integer::from(1));
        }
        sum
    }

    /// Bounds of the integer.
    pub fn bounds(&self) -> (Integer, Integer) {
        let (low, high) = self.polynomial.bounds(HALVINGS);
        let spread = self.rounding().at_zero() + self.remainder.at_zero();
        (ceiling(&(low - &spread), 0), -ceiling(&-(high + spread), 0))
    }

    /// −2^bits ≤ value < 2^bits, proved.
    fn is_within(&self, bits: u32) -> bool {
        let (low, high) = self.bounds();
        let limit = Integer::from(1) << bits;
        low >= Integer::from(-&limit) && high < limit
    }

    fn add(&mut self, other: &Model, factor: &Integer) {
        self.polynomial.add(&other.polynomial, factor);
        for (index, symbol) in &other.symbols {
            self.symbols.entry(*index).or_default().add(symbol, factor);
        }
        self.remainder.add(&other.remainder, &Integer::from(factor.abs_ref()));
    }

    fn times(&self, other: &Model) -> Model {
        let one = Integer::from(1);
        let mut symbols: BTreeMap<usize, Polynomial> = BTreeMap::new();
        for (carrier, bearer) in [(self, other), (other, self)] {
            for (index, symbol) in &bearer.symbols {
                symbols.entry(*index).or_default().add(&carrier.polynomial.times(symbol), &one);
            }
        }
        // s·s' + (|p| + s)·R' + (|p'| + s')·R + R·R'.
        let (s, u) = (self.rounding(), other.rounding());
        let (r, v) = (&self.remainder, &other.remainder);
        let mut remainder = s.times(&u);
        for (mut outer, spread, inner) in [(self.polynomial.magnitude(), &s, v), (other.polynomial.magnitude(), &u, r)]
        {
            outer.add(spread, &one);
            remainder.add(&outer.times(inner), &one);
        }
        remainder.add(&r.times(v), &one);
        Model { polynomial: self.polynomial.times(&other.polynomial), symbols, remainder }
    }

    /// ⌊v/2^shift⌋ + δ is v/2^shift plus something in [low − 1 + 2^−shift, high]: its middle goes to p, its radius is the
    /// new symbol.
    fn truncated(self, shift: u32, rounding: Rounding, index: usize) -> Model {
        let (low, high) = (Integer::from(rounding.low), Integer::from(rounding.high));
        let middle = ((Integer::from(&low + &high) - 1) << shift) + 1;
        let radius = ((high - low + 1) << shift) - 1;
        let mut polynomial = self.polynomial.divided(shift);
        polynomial.add(&Polynomial::dyadic(middle, shift + 1), &Integer::from(1));
        let mut symbols: BTreeMap<usize, Polynomial> =
            self.symbols.into_iter().map(|(index, symbol)| (index, symbol.divided(shift))).collect();
        symbols.insert(index, Polynomial::dyadic(radius, shift + 1));
        Model { polynomial, symbols, remainder: self.remainder.divided(shift) }
    }
}

fn sum_value(program: &Program, sum: &Sum, index: usize, values: &[Value]) -> Result<Value, String> {
    let mut total = Model { polynomial: Polynomial::constant(sum.constant), ..Model::default() };
    for product in &sum.products {
        match (&values[product.left.index()], &values[product.right.index()]) {
            (Value::Live(zero), _) | (_, Value::Live(zero)) if zero.is_zero() => {}
            (Value::Live(left), Value::Live(right)) => {
                let degree = left.polynomial.degree() + right.polynomial.degree();
                if degree > MAX_DEGREE {
                    return Err(format!("v{index} has degree {degree}, beyond the {MAX_DEGREE} that are followed"));
                }
                total.add(&left.times(right), &Integer::from(product.coefficient));
            }
            _ => return Ok(Value::Unknown),
        }
    }
    for term in &sum.linear {
        match &values[term.value.index()] {
            Value::Live(model) => total.add(model, &Integer::from(term.coefficient)),
            _ => return Ok(Value::Unknown),
        }
    }
    Ok(match sum.truncation.map(|lemma| *program.lemma(lemma)) {
        Some(Lemma::Truncation { ring, target, shift, window, rounding, .. }) => {
            // Without a window the result is right modulo 2^(ring − shift) whatever the integer is.
            let limit = window.or((target.bits() > ring.bits() - shift).then(|| ring.bits() - 1));
            match limit.is_none_or(|bits| total.is_within(u32::from(bits))) {
                true => Value::Live(total.truncated(u32::from(shift), rounding, index)),
                false => Value::Unknown,
            }
        }
        _ => Value::Live(total),
    })
}

/// The bit, if it is the same for every value of the operand and everything that the band allows.
fn decide(lemma: &Lemma, operand: &Value) -> Option<bool> {
    let (Lemma::Sign { width, .. }, Value::Live(model)) = (lemma, operand) else { return None };
    let (low, high) = model.bounds();
    let position = u32::from(*width) - 1;
    let (low, high) = ((low - Integer::from(lemma.band())) >> position, high >> position);
    (low == high).then(|| low.is_odd())
}

#[cfg(test)]
mod tests;
