//! Programs from real coefficients.
//!
//! A [`Wire`] is a value of a program with the power of two that its integer is divided by. Sums take real
//! coefficients and turn them into integers at one common scale before the truncation, so that a coefficient's
//! rounding is the only difference between what is written here and what the program computes.

use catalogs::{Failure, Invalid, Lemma, LemmaId, Op, Product, Program, Ring, Rounding, Scale, Sum, Term, ValueId};
use rug::{Integer, Rational};
use std::collections::BTreeMap;

/// Why a program cannot be built.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BuildError {
    /// A coefficient of this size does not fit the program's limits.
    #[error("the coefficient {0} does not fit the program's limits; lower the scale")]
    Coefficient(String),
    /// A scale outside 0 to 126.
    #[error("a value would need the scale {0}, allowed are 0 to {max}", max = Scale::MAX_BITS)]
    Scale(i32),
    /// A shift that no truncation offers.
    #[error("a truncation by {shift} bits in ring {ring}: 1 to {most} bits can be dropped", most = ring.bits() - 3)]
    Shift {
        /// The bits that would be dropped.
        shift: i32,
        /// The ring.
        ring: Ring,
    },
    /// A comparison wider than the ring.
    #[error("a comparison needs {needed} bits, ring {ring} has fewer; narrow the window")]
    Width {
        /// The bits needed.
        needed: u8,
        /// The ring.
        ring: Ring,
    },
    /// The finished program is not valid.
    #[error(transparent)]
    Invalid(#[from] Invalid),
}

/// A value of the program under construction: its integer stands for integer / 2^`scale`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wire {
    id: ValueId,
    scale: i32,
    ring: Ring,
}

impl Wire {
    /// The same integer read as `self` · 2^−`bits`: free.
    pub fn divided_by_power(self, bits: i32) -> Wire {
        Wire { scale: self.scale + bits, ..self }
    }

    /// The same integer modulo a power of two that is not larger: free, and what it enters is as narrow.
    pub fn narrowed(self, ring: Ring) -> Wire {
        Wire { ring: self.ring.min(ring), ..self }
    }

    /// The ring that its uses are computed in, if no other operand is narrower.
    pub fn ring(self) -> Ring {
        self.ring
    }

    /// Fraction bits.
    pub fn scale(self) -> i32 {
        self.scale
    }
}

/// A bit of the program under construction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bit(ValueId);

/// A sum with real coefficients.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    products: Vec<(Rational, Wire, Wire)>,
    linear: Vec<(Rational, Wire)>,
    constant: Rational,
}

impl Terms {
    /// The empty sum.
    pub fn new() -> Terms {
        Terms::default()
    }

    /// Adds coefficient · left · right.
    pub fn product(mut self, coefficient: impl Into<Rational>, left: Wire, right: Wire) -> Terms {
        self.products.push((coefficient.into(), left, right));
        self
    }

    /// Adds coefficient · value.
    pub fn linear(mut self, coefficient: impl Into<Rational>, value: Wire) -> Terms {
        self.linear.push((coefficient.into(), value));
        self
    }

    /// Adds a constant.
    pub fn constant(mut self, constant: impl Into<Rational>) -> Terms {
        self.constant += constant.into();
        self
    }
}

/// A program under construction.
#[derive(Clone, Debug)]
pub struct Builder {
    ring: Ring,
    input_scale: Scale,
    lemmas: Vec<Lemma>,
    ops: Vec<Op>,
}

impl Builder {
    /// A program whose first operation is its input.
    pub fn new(ring: Ring, input_scale: Scale) -> Builder {
        Builder { ring, input_scale, lemmas: Vec::new(), ops: vec![Op::Input] }
    }

    /// The argument.
    pub fn input(&self) -> Wire {
        Wire { id: ValueId(0), scale: i32::from(self.input_scale.bits()), ring: self.ring }
    }

    /// The ring of the argument.
    pub fn ring(&self) -> Ring {
        self.ring
    }

    /// The ring that a sum is computed in: its narrowest operand's.
    fn ring_of(&self, terms: &Terms) -> Ring {
        let products = terms.products.iter().map(|(_, left, right)| left.ring.min(right.ring));
        products.chain(terms.linear.iter().map(|(_, value)| value.ring)).min().unwrap_or(self.ring)
    }

    /// A sum without a truncation, at `scale`: local if it has no product, else one new sharing.
    pub fn exact(&mut self, terms: &Terms, scale: i32) -> Result<Wire, BuildError> {
        self.push_sum(terms, scale, scale, None)
    }

    /// A sum that is computed at scale + `shift` and truncated to `scale` in the ring of its narrowest operand.
    pub fn truncated(&mut self, terms: &Terms, scale: i32, shift: i32) -> Result<Wire, BuildError> {
        self.truncated_into(terms, scale, shift, self.ring_of(terms))
    }

    /// As [`Builder::truncated`], with the result in `target`: any operand is served if the target has no more bits
    /// than are left, one with a quarter of the ring's range otherwise, be the target narrower or wider.
    pub fn truncated_into(&mut self, terms: &Terms, scale: i32, shift: i32, target: Ring) -> Result<Wire, BuildError> {
        let ring = self.ring_of(terms);
        let shift_bits = u8::try_from(shift).ok().filter(|bits| *bits >= 1 && bits + 3 <= ring.bits());
        let shift_bits = shift_bits.ok_or(BuildError::Shift { shift, ring })?;
        let window = (target.bits() > ring.bits() - shift_bits).then(|| ring.bits() - 2);
        let (rounding, failure) = (Rounding::FLOOR_OR_NEXT, Failure::Never);
        let lemma = self.lemma(Lemma::Truncation { ring, target, shift: shift_bits, window, rounding, failure });
        Ok(Wire { ring: target, ..self.push_sum(terms, scale, scale + shift, Some(lemma))? })
    }

    /// The product of two wires truncated to `scale`, with no bits beyond what their scales give.
    pub fn truncated_product(&mut self, left: Wire, right: Wire, scale: i32) -> Result<Wire, BuildError> {
        let shift = left.scale + right.scale - scale;
        self.truncated(&Terms::new().product(1, left, right), scale, shift)
    }

    fn push_sum(
        &mut self,
        terms: &Terms,
        scale: i32,
        computed_scale: i32,
        truncation: Option<LemmaId>,
    ) -> Result<Wire, BuildError> {
        let mut products: BTreeMap<(ValueId, ValueId), i128> = BTreeMap::new();
        for (coefficient, left, right) in &terms.products {
            let key = (left.id.min(right.id), left.id.max(right.id));
            *products.entry(key).or_default() += integer(coefficient, computed_scale - left.scale - right.scale)?;
        }
        let mut linear: BTreeMap<ValueId, i128> = BTreeMap::new();
        for (coefficient, value) in &terms.linear {
            *linear.entry(value.id).or_default() += integer(coefficient, computed_scale - value.scale)?;
        }
        let products = products.into_iter().filter(|(_, coefficient)| *coefficient != 0);
        let linear = linear.into_iter().filter(|(_, coefficient)| *coefficient != 0);
        let ring = self.ring_of(terms);
        let sum = Sum {
            ring,
            products: products.map(|((left, right), coefficient)| Product { coefficient, left, right }).collect(),
            linear: linear.map(|(value, coefficient)| Term { coefficient, value }).collect(),
            constant: integer(&terms.constant, computed_scale)?,
            truncation,
            scale: stated_scale(scale)?,
        };
        let id = self.push(Op::Sum(sum));
        Ok(Wire { id, scale, ring })
    }

    /// The bit value < threshold, for a value whose integer lies in [`low`, `high`]: bit width−1 of value − threshold.
    ///
    /// The width is the least that holds value − threshold over the whole range. With `dropped` bits, the bit may be
    /// 1 up to 2^dropped − 2 units above the threshold.
    pub fn less_than(
        &mut self,
        value: Wire,
        threshold: i128,
        (low, high): (i128, i128),
        dropped: u8,
    ) -> Result<Bit, BuildError> {
        let operands = if dropped == 0 { 1 } else { 2 };
        let (least, greatest) = (low - threshold - band_width(dropped), high - threshold);
        let mut width = dropped + 2;
        while least < -(1i128 << (width - 1)) || greatest >= 1i128 << (width - 1) {
            width += 1;
        }
        if width > self.ring.bits() {
            return Err(BuildError::Width { needed: width, ring: self.ring });
        }
        let difference = Sum {
            ring: self.ring,
            products: vec![],
            linear: vec![Term { coefficient: 1, value: value.id }],
            constant: -threshold,
            truncation: None,
            scale: stated_scale(value.scale)?,
        };
        let operand = if threshold == 0 { value.id } else { self.push(Op::Sum(difference)) };
        Ok(self.sign(operand, width, dropped, operands))
    }

    /// Bit `position` of the value's integer, exactly.
    pub fn bit(&mut self, value: Wire, position: u8) -> Result<Bit, BuildError> {
        if position >= self.ring.bits() || position == 0 {
            return Err(BuildError::Width { needed: position.saturating_add(1), ring: self.ring });
        }
        Ok(self.sign(value.id, position + 1, 0, 1))
    }

    fn sign(&mut self, operand: ValueId, width: u8, dropped: u8, operands: u8) -> Bit {
        let lemma = self.lemma(Lemma::Sign { width, dropped, operands });
        Bit(self.push(Op::Sign { operand, lemma }))
    }

    /// A bit as the number 0 or 1, at scale 0.
    pub fn inject(&mut self, bit: Bit) -> Wire {
        self.inject_into(bit, self.ring)
    }

    /// A bit as the number 0 or 1 of `ring`, at scale 0.
    pub fn inject_into(&mut self, bit: Bit, ring: Ring) -> Wire {
        let lemma = self.lemma(Lemma::Injection { ring });
        Wire { id: self.push(Op::Inject { bit: bit.0, lemma }), scale: 0, ring }
    }

    fn push(&mut self, op: Op) -> ValueId {
        self.ops.push(op);
        // `Program::new` refuses more operations than an identifier can count.
        ValueId(u16::try_from(self.ops.len() - 1).unwrap_or(u16::MAX))
    }

    fn lemma(&mut self, lemma: Lemma) -> LemmaId {
        let index = self.lemmas.iter().position(|known| *known == lemma).unwrap_or_else(|| {
            self.lemmas.push(lemma);
            self.lemmas.len() - 1
        });
        LemmaId(u8::try_from(index).unwrap_or(u8::MAX))
    }

    /// The finished program, whose last operation is its output; the lemma table is sorted.
    pub fn finish(self) -> Result<Program, BuildError> {
        let mut sorted = self.lemmas.clone();
        sorted.sort_unstable();
        let place = |id: LemmaId| {
            let index = sorted.iter().position(|lemma| Some(lemma) == self.lemmas.get(id.index()));
            LemmaId(index.and_then(|index| u8::try_from(index).ok()).unwrap_or(u8::MAX))
        };
        let ops = self.ops.iter().map(|op| match op {
            Op::Input => Op::Input,
            Op::Sum(sum) => Op::Sum(Sum { truncation: sum.truncation.map(place), ..sum.clone() }),
            Op::Sign { operand, lemma } => Op::Sign { operand: *operand, lemma: place(*lemma) },
            Op::Inject { bit, lemma } => Op::Inject { bit: *bit, lemma: place(*lemma) },
        });
        let ops = ops.collect();
        Ok(Program::new(self.ring, self.input_scale, sorted, ops)?)
    }
}

/// The number of integers at and above a threshold that a comparison with `dropped` bits may call smaller.
pub fn band_width(dropped: u8) -> i128 {
    if dropped == 0 { 0 } else { (1i128 << dropped) - 1 }
}

fn stated_scale(scale: i32) -> Result<Scale, BuildError> {
    u8::try_from(scale).ok().and_then(Scale::new).ok_or(BuildError::Scale(scale))
}

/// The integer nearest to coefficient · 2^bits.
fn integer(coefficient: &Rational, bits: i32) -> Result<i128, BuildError> {
    let scaled = if bits >= 0 {
        Rational::from(coefficient << bits.unsigned_abs())
    } else {
        Rational::from(coefficient >> bits.unsigned_abs())
    };
    let rounded: Integer = scaled.round().into_numer_denom().0;
    let fits = rounded.significant_bits() <= Program::MAX_COEFFICIENT_BITS;
    rounded.to_i128().filter(|_| fits).ok_or_else(|| BuildError::Coefficient(format!("{:.6e}", coefficient.to_f64())))
}
