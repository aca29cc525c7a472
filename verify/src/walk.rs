//! Abstract execution of a program over one piece of inputs: all inputs of the piece, all roundings, all bits that
//! the lemmas leave open.
//!
//! A live value is an *integer* V, enclosed by a model, that is congruent to the evaluator's value modulo the value's
//! ring; it may exceed the ring. Where the integer itself matters (a truncation, the output) its range is an
//! obligation. A value whose obligation cannot be proved is not an error yet: it becomes *poisoned*, an unknown ring
//! element, and only if the output may depend on it is the piece rejected. Multiplying by an exact zero (a bit proved
//! 0) removes the poison: that is what makes a lane dead. A bit that the piece does not decide is followed both ways.

use crate::integer::{IBig, bit_length, shift_floor};
use crate::model::Model;
use catalogs::{Lemma, Op, Program, Sum};

/// The most combinations of undecided bits that one piece may have.
pub const MAX_CASES: usize = 64;
/// The widest integer, in bits, that is followed; beyond, a value is poisoned. A product of two residues with a
/// coefficient has at most 352 bits, so only programs that multiply without ever truncating come near.
pub const MAX_VALUE_BITS: usize = 512;
/// The most multiplications of coefficients that one piece may cost.
pub const MAX_PIECE_WORK: u64 = 1 << 22;

/// An obligation that could not be proved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Escape {
    /// The operation whose operand or result left its limits.
    pub operation: usize,
    /// Proved lower bound of the value.
    pub least: IBig,
    /// Proved upper bound of the value.
    pub greatest: IBig,
    /// What is allowed.
    pub limits: String,
}

/// Why a piece cannot be walked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Obstacle {
    /// The output may depend on a value that left its limits.
    Escape(Escape),
    /// More than [`MAX_CASES`] combinations of undecided bits.
    Cases,
    /// More than [`MAX_PIECE_WORK`] multiplications.
    Work,
}

/// Bounds of one value over all cases in which it is live; `None` while it never was.
pub type Range = Option<(IBig, IBig)>;

/// What the program can return on a piece.
#[derive(Clone, Debug)]
pub struct Walk {
    /// One model of the output for every combination of undecided bits; at least one.
    pub outputs: Vec<Model>,
    /// Bounds of every value's integer in the cases where it is live.
    pub ranges: Vec<Range>,
    /// Multiplications of coefficients, counted from above.
    pub work: u64,
}

#[derive(Clone)]
enum Abstract {
    Live(Model),
    Poisoned(Escape),
    Bit(bool),
}

/// Runs `program` on all inputs from `low` to `high` with polynomials cut at `degree`.
pub fn walk(program: &Program, low: i64, high: i64, degree: usize) -> Result<Walk, Obstacle> {
    let mut walker = Walker {
        program,
        input: Model::interval(i128::from(low), i128::from(high)),
        degree,
        pending: Vec::new(),
        ranges: vec![None; program.ops().len()],
        cases: 1,
        work: 0,
    };
    let mut outputs = vec![walker.run(Vec::new())?];
    while let Some(values) = walker.pending.pop() {
        outputs.push(walker.run(values)?);
    }
    Ok(Walk { outputs, ranges: walker.ranges, work: walker.work })
}

struct Walker<'a> {
    program: &'a Program,
    input: Model,
    degree: usize,
    /// The values of cases that are still to be continued, up to and with the bit that distinguishes them.
    pending: Vec<Vec<Abstract>>,
    ranges: Vec<Range>,
    /// All cases so far, finished or not.
    cases: usize,
    work: u64,
}

impl Walker<'_> {
    /// Continues one case to its end. An undecided bit is taken as 0; the case with 1 goes to `pending`.
    fn run(&mut self, mut values: Vec<Abstract>) -> Result<Model, Obstacle> {
        let program = self.program;
        for (index, op) in program.ops().iter().enumerate().skip(values.len()) {
            let value = match op {
                Op::Input => Abstract::Live(self.input.clone()),
                Op::Sum(sum) => self.sum_value(sum, index, &values)?,
                Op::Sign { operand, lemma } => match decide(program.lemma(*lemma), &values[operand.index()]) {
                    Some(bit) => Abstract::Bit(bit),
                    None => {
                        self.fork(&values)?;
                        Abstract::Bit(false)
                    }
                },
                Op::Inject { bit, .. } => {
                    let bit = matches!(values[bit.index()], Abstract::Bit(true));
                    Abstract::Live(Model::constant(i128::from(bit)))
                }
            };
            if let Abstract::Live(model) = &value {
                // A range with its subdivisions costs about as much as eight products of the polynomial by itself.
                self.charge(8 * model.polynomial.0.len() * model.polynomial.0.len())?;
                widen(&mut self.ranges[index], model.integer_range());
            }
            values.push(value);
        }
        let ring = program.output().0;
        let escape = |least, greatest| {
            let limits = format!("-2^{0} to 2^{0} - 1, the signed residues of ring {1}", ring.bits() - 1, ring);
            Escape { operation: program.ops().len() - 1, least, greatest, limits }
        };
        match values.pop() {
            Some(Abstract::Live(model)) => {
                let (least, greatest) = model.integer_range();
                if within(&least, &greatest, ring.bits() - 1) {
                    Ok(model)
                } else {
                    Err(Obstacle::Escape(escape(least, greatest)))
                }
            }
            Some(Abstract::Poisoned(escape)) => Err(Obstacle::Escape(escape)),
            // A program's output is arithmetic; were it not, nothing would be proved.
            Some(Abstract::Bit(_)) | None => Err(Obstacle::Escape(escape(IBig::ZERO, IBig::ONE))),
        }
    }

    fn fork(&mut self, values: &[Abstract]) -> Result<(), Obstacle> {
        self.cases += 1;
        if self.cases > MAX_CASES {
            return Err(Obstacle::Cases);
        }
        let live = values.iter().map(|value| if let Abstract::Live(model) = value { model.size() } else { 1 });
        self.charge(live.sum())?;
        let mut other = values.to_vec();
        other.push(Abstract::Bit(true));
        self.pending.push(other);
        Ok(())
    }

    fn charge(&mut self, multiplications: usize) -> Result<(), Obstacle> {
        self.work += multiplications as u64;
        if self.work > MAX_PIECE_WORK { Err(Obstacle::Work) } else { Ok(()) }
    }

    /// The value of a sum, truncated if it says so; poisoned if an operand that counts is, or if an obligation fails.
    fn sum_value(&mut self, sum: &Sum, index: usize, values: &[Abstract]) -> Result<Abstract, Obstacle> {
        let mut total = Model::constant(sum.constant);
        for product in &sum.products {
            match (&values[product.left.index()], &values[product.right.index()]) {
                (Abstract::Live(zero), _) | (_, Abstract::Live(zero)) if zero.is_zero() => {}
                (Abstract::Live(left), Abstract::Live(right)) => {
                    let (p, q) = (left.polynomial.0.len(), right.polynomial.0.len());
                    self.charge((p + 4) * right.size() + (q + 4) * left.size())?;
                    total.add(&left.product(right, self.degree), product.coefficient);
                }
                (Abstract::Poisoned(escape), _) | (_, Abstract::Poisoned(escape)) => {
                    return Ok(Abstract::Poisoned(escape.clone()));
                }
                // Bits are no operands of sums: `Program` sees to it.
                _ => {}
            }
        }
        for term in &sum.linear {
            match &values[term.value.index()] {
                Abstract::Live(model) => {
                    self.charge(model.size())?;
                    total.add(model, term.coefficient);
                }
                Abstract::Poisoned(escape) => return Ok(Abstract::Poisoned(escape.clone())),
                Abstract::Bit(_) => {}
            }
        }
        Ok(self.finished(sum, index, total))
    }

    fn finished(&self, sum: &Sum, index: usize, total: Model) -> Abstract {
        let poisoned = |total: &Model, limits: String| {
            let (least, greatest) = total.integer_range();
            Abstract::Poisoned(Escape { operation: index, least, greatest, limits })
        };
        if bit_length(&total.magnitude()) > MAX_VALUE_BITS {
            return poisoned(&total, format!("{MAX_VALUE_BITS} bits, the widest integer that is followed"));
        }
        match sum.truncation.map(|lemma| *self.program.lemma(lemma)) {
            Some(Lemma::Truncation { ring, target, shift, window, rounding, .. }) => {
                // Without a window the result is right modulo 2^(ring − shift) whatever the integer is; if the target
                // keeps more bits than that, the sum itself must be a signed residue.
                let limit = window.or((target.bits() > ring.bits() - shift).then(|| ring.bits() - 1));
                if let Some(bits) = limit {
                    let (least, greatest) = total.integer_range();
                    if !within(&least, &greatest, bits) {
                        return poisoned(&total, format!("-2^{bits} to 2^{bits} - 1 before the truncation by {shift}"));
                    }
                }
                Abstract::Live(total.truncated(usize::from(shift), rounding, index))
            }
            _ => Abstract::Live(total),
        }
    }
}

/// Makes `range` contain another one.
pub(crate) fn widen(range: &mut Range, (low, high): (IBig, IBig)) {
    *range = Some(match range.take() {
        Some((least, greatest)) => (least.min(low), greatest.max(high)),
        None => (low, high),
    });
}

/// −2^bits ≤ least and greatest < 2^bits.
fn within(least: &IBig, greatest: &IBig, bits: u8) -> bool {
    let limit = IBig::ONE << usize::from(bits);
    *least >= -&limit && *greatest < limit
}

/// The bit, if it is the same for every value of the operand and everything the band allows.
///
/// The bit is the parity of ⌊v'/2^(width−1)⌋ for some v' that is at least v − band as far as this quotient goes. It
/// depends on v modulo 2^width only, and the width is at most the operand's ring.
fn decide(lemma: &Lemma, operand: &Abstract) -> Option<bool> {
    let (Lemma::Sign { width, .. }, Abstract::Live(model)) = (lemma, operand) else { return None };
    let (least, greatest) = model.integer_range();
    let position = usize::from(*width) - 1;
    let low = shift_floor(&(least - IBig::from(lemma.band())), position);
    let high = shift_floor(&greatest, position);
    let is_even = shift_floor(&low, 1) << 1usize == low;
    (low == high).then_some(!is_even)
}
