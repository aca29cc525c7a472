//! From a recipe to the program that the published code runs, operation by operation.
//!
//! A constant becomes an integer as the peer encodes it; a product with a constant or with another value is computed at
//! the sum of the scales and truncated where the recipe says so, with the peer's rounding set. Comparisons are exact. They
//! are as narrow as the window allows, which favours the peer: its own are as wide as the ring.

use super::recipe::{Encoding, Operand, Recipe, Right, Statement, Term};
use crate::families::builder::{BuildError, Builder, Terms, Wire};
use catalogs::{Lemma, Op, Program, Ring, Rounding, Scale, Window};
use rug::{Integer, Rational};
use std::collections::BTreeMap;

/// Why a recipe is no program.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ElaborationError {
    /// A value that no earlier line gives.
    #[error("'{name}': there is no value '{operand}' before it")]
    Unknown {
        /// The statement.
        name: String,
        /// What it names.
        operand: String,
    },
    /// A comparison without a range.
    #[error("'{0}': say between what the value lies: less(VALUE, C, LOW, HIGH)")]
    Range(String),
    /// A ring, scale or window outside what programs have.
    #[error("{0}")]
    Format(String),
    /// The program cannot be built.
    #[error("'{name}': {reason}")]
    Build {
        /// The statement.
        name: String,
        /// Why.
        reason: BuildError,
    },
    /// The finished program is not valid.
    #[error(transparent)]
    Invalid(#[from] catalogs::Invalid),
}

/// The window of input integers inside [low, high].
pub fn window(low: &Rational, high: &Rational, scale: u8) -> Option<Window> {
    let scaled = |value: &Rational| Rational::from(value << u32::from(scale));
    let (low, high) = (scaled(low).ceil(), scaled(high).floor());
    let window = Window { low: low.numer().to_i64()?, high: high.numer().to_i64()? };
    (window.low <= window.high).then_some(window)
}

/// The recipe's program for arguments inside `window`.
pub fn elaborate(recipe: &Recipe, window: Window) -> Result<Program, ElaborationError> {
    let ring =
        Ring::new(recipe.ring).ok_or_else(|| ElaborationError::Format(format!("no ring of {} bits", recipe.ring)))?;
    let scale =
        Scale::new(recipe.scale).ok_or_else(|| ElaborationError::Format(format!("no scale {}", recipe.scale)))?;
    let builder = Builder::new(ring, scale);
    let x = Known { wire: builder.input(), range: Some((window.low.into(), window.high.into())) };
    let mut elaboration =
        Elaboration { recipe, builder, known: BTreeMap::from([("x".to_owned(), x)]), compared: Vec::new() };
    for statement in &recipe.statements {
        elaboration.statement(statement)?;
    }
    let program = elaboration.builder.finish().map_err(|reason| build("program", reason))?;
    with_rounding(&program, Rounding { low: recipe.rounding.0, high: recipe.rounding.1 })
}

/// The same program with every truncation's rounding replaced.
fn with_rounding(program: &Program, rounding: Rounding) -> Result<Program, ElaborationError> {
    let lemmas = program.lemmas().iter().map(|lemma| match *lemma {
        Lemma::Truncation { ring, target, shift, failure, .. } => {
            // Peers have no truncation that serves a whole ring.
            let window = Some(ring.bits() - 2);
            Lemma::Truncation { ring, target, shift, window, rounding, failure }
        }
        other => other,
    });
    // The order of lemmas does not depend on a rounding that all of them share.
    let (ring, scale) = program.input();
    Ok(Program::new(ring, scale, lemmas.collect(), program.ops().to_vec())?)
}

#[derive(Clone, Copy)]
struct Known {
    wire: Wire,
    range: Option<(i128, i128)>,
}

struct Elaboration<'a> {
    recipe: &'a Recipe,
    builder: Builder,
    known: BTreeMap<String, Known>,
    /// What was compared with what, and the bit: nobody compares twice.
    compared: Vec<(Wire, i128, Wire)>,
}

fn build(name: &str, reason: BuildError) -> ElaborationError {
    ElaborationError::Build { name: name.to_owned(), reason }
}

impl Elaboration<'_> {
    fn statement(&mut self, statement: &Statement) -> Result<(), ElaborationError> {
        let name = statement.name.as_str();
        let scale = statement.scale.unwrap_or(i32::from(self.recipe.scale));
        let known = match &statement.right {
            Right::Sum { terms, shift } => self.sum(name, terms, scale, *shift)?,
            Right::Less { value, threshold, range } => {
                let bit = self.less(name, value, threshold, range.as_ref())?;
                Known { wire: bit, range: Some((0, 1)) }
            }
            Right::Bit { value, position } => {
                let wire = self.value(name, value)?.wire;
                let bit = self.builder.bit(wire, *position).map_err(|reason| build(name, reason))?;
                Known { wire: self.builder.inject(bit), range: Some((0, 1)) }
            }
            Right::Steps { value, range, first, rest } => {
                self.steps(name, (value, range.as_ref()), (first, rest), scale)?
            }
        };
        self.known.insert(name.to_owned(), known);
        Ok(())
    }

    fn value(&self, name: &str, operand: &str) -> Result<Known, ElaborationError> {
        let unknown = || ElaborationError::Unknown { name: name.to_owned(), operand: operand.to_owned() };
        self.known.get(operand).copied().ok_or_else(unknown)
    }

    fn operand(&self, name: &str, operand: &Operand) -> Result<Wire, ElaborationError> {
        Ok(self.value(name, &operand.name)?.wire.divided_by_power(operand.divided))
    }

    fn sum(&mut self, name: &str, terms: &[Term], scale: i32, shift: Option<i32>) -> Result<Known, ElaborationError> {
        let computed = scale + shift.unwrap_or(0);
        let mut sum = Terms::new();
        for term in terms {
            let wires: Vec<Wire> =
                term.operands.iter().map(|operand| self.operand(name, operand)).collect::<Result<_, _>>()?;
            let bits = computed - wires.iter().map(|wire| wire.scale()).sum::<i32>();
            let coefficient = encoded(&term.coefficient, bits, self.recipe.encoding);
            sum = match wires[..] {
                [] => sum.constant(coefficient),
                [value] => sum.linear(coefficient, value),
                [left, right, ..] => sum.product(coefficient, left, right),
            };
        }
        let wire = match shift {
            None => self.builder.exact(&sum, scale),
            Some(bits) => self.builder.truncated(&sum, scale, bits),
        };
        let wire = wire.map_err(|reason| build(name, reason))?;
        Ok(Known { wire, range: self.absolute_range(terms, shift) })
    }

    /// The range of |x|, recognised as x − 2·b·x.
    fn absolute_range(&self, terms: &[Term], shift: Option<i32>) -> Option<(i128, i128)> {
        let [first, second] = terms else { return None };
        let is_x = |operand: &Operand| operand.name == "x" && operand.divided == 0;
        let plain = first.coefficient == 1 && first.operands.len() == 1 && is_x(&first.operands[0]);
        let twice = second.coefficient == -2 && second.operands.len() == 2 && second.operands.iter().any(is_x);
        let (low, high) = self.known.get("x")?.range?;
        (plain && twice && shift.is_none()).then(|| (0, high.max(-low)))
    }

    fn less(
        &mut self,
        name: &str,
        value: &str,
        threshold: &Rational,
        range: Option<&(Rational, Rational)>,
    ) -> Result<Wire, ElaborationError> {
        let known = self.value(name, value)?;
        let integer = |number: &Rational| encoded_integer(number, known.wire.scale(), self.recipe.encoding);
        let stated = range.and_then(|(low, high)| Some((integer(low).to_i128()?, integer(high).to_i128()?)));
        let range = stated.or(known.range).ok_or_else(|| ElaborationError::Range(name.to_owned()))?;
        let threshold = integer(threshold).to_i128().ok_or_else(|| ElaborationError::Range(name.to_owned()))?;
        if let Some((_, _, bit)) = self.compared.iter().find(|(wire, at, _)| *wire == known.wire && *at == threshold) {
            return Ok(*bit);
        }
        let bit = self.builder.less_than(known.wire, threshold, range, 0).map_err(|reason| build(name, reason))?;
        let bit = self.builder.inject(bit);
        self.compared.push((known.wire, threshold, bit));
        Ok(bit)
    }

    fn steps(
        &mut self,
        name: &str,
        (value, range): (&str, Option<&(Rational, Rational)>),
        (first, rest): (&Rational, &[(Rational, Rational)]),
        scale: i32,
    ) -> Result<Known, ElaborationError> {
        let encoding = self.recipe.encoding;
        let level = |number: &Rational| encoded(number, scale, encoding);
        let mut sum = Terms::new().constant(level(rest.last().map_or(first, |(_, last)| last)));
        let mut before = level(first);
        for (threshold, after) in rest {
            let below = self.less(name, value, threshold, range)?;
            let after = level(after);
            sum = sum.linear(Rational::from(&before - &after), below);
            before = after;
        }
        let wire = self.builder.exact(&sum, scale).map_err(|reason| build(name, reason))?;
        Ok(Known { wire, range: None })
    }
}

/// The integer of a constant at `bits` fraction bits.
fn encoded_integer(number: &Rational, bits: i32, encoding: Encoding) -> Integer {
    let scaled = if bits >= 0 {
        Rational::from(number << bits.unsigned_abs())
    } else {
        Rational::from(number >> bits.unsigned_abs())
    };
    let rounded = match encoding {
        Encoding::TowardsZero => scaled.trunc(),
        Encoding::Nearest => scaled.round(),
    };
    rounded.numer().clone()
}

/// What a constant is worth after its encoding.
fn encoded(number: &Rational, bits: i32, encoding: Encoding) -> Rational {
    let integer = Rational::from(encoded_integer(number, bits, encoding));
    if bits >= 0 { integer >> bits.unsigned_abs() } else { integer << bits.unsigned_abs() }
}

/// The proved interval of a truncation's operand, from that of its result: bits W with operands in [−2^W, 2^W).
pub(super) fn operand_bits((low, high): (i128, i128), rounding: Rounding, shift: u8) -> u8 {
    let least = low.saturating_sub(rounding.high.into());
    let greatest = high.saturating_sub(rounding.low.into());
    let magnitude = least.checked_neg().unwrap_or(i128::MAX).max(greatest.saturating_add(1)).max(1) as u128;
    // Operands lie in [least·2^shift, (greatest + 1)·2^shift).
    (magnitude.next_power_of_two().trailing_zeros() as u8).saturating_add(shift)
}

/// The program with lemmas given per operation; the table is sorted again and holds each once.
pub(super) fn with_lemmas(
    program: &Program,
    lemma_of: &dyn Fn(usize) -> Option<Lemma>,
) -> Result<Program, catalogs::Invalid> {
    let ops = program.ops();
    let mut wanted: Vec<Option<Lemma>> = Vec::new();
    for (index, op) in ops.iter().enumerate() {
        let own = match op {
            Op::Sum(sum) => sum.truncation,
            Op::Sign { lemma, .. } | Op::Inject { lemma, .. } => Some(*lemma),
            Op::Input => None,
        };
        wanted.push(own.map(|own| lemma_of(index).unwrap_or(*program.lemma(own))));
    }
    let table: std::collections::BTreeSet<Lemma> = wanted.iter().flatten().copied().collect();
    let table: Vec<Lemma> = table.into_iter().collect();
    let place = |lemma: &Lemma| {
        let index = table.iter().position(|known| known == lemma).unwrap_or(usize::from(u8::MAX));
        catalogs::LemmaId(u8::try_from(index).unwrap_or(u8::MAX))
    };
    let ops = ops.iter().zip(&wanted).map(|(op, lemma)| match (op, lemma) {
        (Op::Sum(sum), Some(lemma)) => Op::Sum(catalogs::Sum { truncation: Some(place(lemma)), ..sum.clone() }),
        (Op::Sign { operand, .. }, Some(lemma)) => Op::Sign { operand: *operand, lemma: place(lemma) },
        (Op::Inject { bit, .. }, Some(lemma)) => Op::Inject { bit: *bit, lemma: place(lemma) },
        (op, _) => op.clone(),
    });
    let ops = ops.collect();
    let (ring, scale) = program.input();
    Program::new(ring, scale, table, ops)
}
