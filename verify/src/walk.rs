//! Abstract execution of a program over one piece of inputs: all inputs of the piece, all roundings, all bits that
//! the lemmas leave open.
//!
//! A value whose window cannot be proved is not an error yet: it becomes *poisoned*, an unknown ring element, and
//! only if the output may depend on it is the piece rejected. Multiplying by an exact zero (a bit proved 0) removes
//! the poison: that is what makes a lane dead. A bit that the piece does not decide is followed both ways.

use crate::integer::{IBig, shift_floor};
use crate::model::Model;
use catalogs::{Lemma, Op, Program, Ring, Sum};

/// The most combinations of undecided bits that one piece may have.
pub const MAX_CASES: usize = 64;

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

/// Bounds of one value over all cases in which it is live; `None` while it never was.
pub type Range = Option<(IBig, IBig)>;

/// What the program can return on a piece.
#[derive(Clone, Debug)]
pub struct Walk {
    /// One model of the output for every combination of undecided bits.
    pub outputs: Vec<Model>,
    /// Bounds of every value in the cases where it is live.
    pub ranges: Vec<Range>,
}

#[derive(Clone)]
enum Abstract {
    Live(Model),
    Poisoned(Escape),
    Bit(bool),
}

/// Runs `program` on all inputs from `low` to `high` with polynomials cut at `degree`.
pub fn walk(program: &Program, low: i64, high: i64, degree: usize) -> Result<Walk, Escape> {
    let mut walk = Walk { outputs: Vec::new(), ranges: vec![None; program.ops().len()] };
    let mut pending = vec![Vec::new()];
    let mut cases = 0;
    while let Some(values) = pending.pop() {
        cases += 1;
        if cases > MAX_CASES {
            return Err(Escape {
                operation: 0,
                least: IBig::from(low),
                greatest: IBig::from(high),
                limits: format!("{MAX_CASES} combinations of undecided bits; cut the piece"),
            });
        }
        if let Some(output) = run(program, low, high, degree, values, &mut pending, &mut walk.ranges)? {
            walk.outputs.push(output);
        }
    }
    Ok(walk)
}

/// Continues one case to its end. An undecided bit is taken as 0; the case with 1 goes to `pending`.
fn run(
    program: &Program,
    low: i64,
    high: i64,
    degree: usize,
    mut values: Vec<Abstract>,
    pending: &mut Vec<Vec<Abstract>>,
    ranges: &mut [Range],
) -> Result<Option<Model>, Escape> {
    for index in values.len()..program.ops().len() {
        let value = match &program.ops()[index] {
            Op::Input => Abstract::Live(Model::interval(i128::from(low), i128::from(high))),
            Op::Sum(sum) => sum_value(program, sum, index, &values, degree),
            Op::Sign { operand, lemma } => match decide(program.lemma(*lemma), &values[operand.index()]) {
                Some(bit) => Abstract::Bit(bit),
                None => {
                    let mut other = values.clone();
                    other.push(Abstract::Bit(true));
                    pending.push(other);
                    Abstract::Bit(false)
                }
            },
            Op::Inject { bit, .. } => {
                let bit = matches!(values[bit.index()], Abstract::Bit(true));
                Abstract::Live(Model::constant(i128::from(bit)))
            }
        };
        if let Abstract::Live(model) = &value {
            widen(&mut ranges[index], model.integer_range());
        }
        values.push(value);
    }
    let index = values.len() - 1;
    match values.pop() {
        Some(Abstract::Live(model)) => {
            let (least, greatest) = model.integer_range();
            let ring = program.output().0;
            if within(&least, &greatest, ring.bits() - 1) {
                Ok(Some(model))
            } else {
                Err(Escape { operation: index, least, greatest, limits: signed_limits(ring) })
            }
        }
        Some(Abstract::Poisoned(escape)) => Err(escape),
        // A program's output is arithmetic, so there is always a model.
        Some(Abstract::Bit(_)) | None => Ok(None),
    }
}

fn widen(range: &mut Range, (low, high): (IBig, IBig)) {
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

fn signed_limits(ring: Ring) -> String {
    format!("-2^{0} to 2^{0} - 1, the signed residues of ring {1}", ring.bits() - 1, ring)
}

fn sum_value(program: &Program, sum: &Sum, index: usize, values: &[Abstract], degree: usize) -> Abstract {
    let mut total = Model::constant(sum.constant);
    for product in &sum.products {
        match (&values[product.left.index()], &values[product.right.index()]) {
            (Abstract::Live(zero), _) | (_, Abstract::Live(zero)) if zero.is_zero() => {}
            (Abstract::Live(left), Abstract::Live(right)) => {
                total.add(&left.product(right, degree), product.coefficient)
            }
            (Abstract::Poisoned(escape), _) | (_, Abstract::Poisoned(escape)) => {
                return Abstract::Poisoned(escape.clone());
            }
            _ => {}
        }
    }
    for term in &sum.linear {
        match &values[term.value.index()] {
            Abstract::Live(model) => total.add(model, term.coefficient),
            Abstract::Poisoned(escape) => return Abstract::Poisoned(escape.clone()),
            Abstract::Bit(_) => {}
        }
    }
    match sum.truncation.map(|lemma| *program.lemma(lemma)) {
        Some(Lemma::Truncation { ring, target, shift, window, rounding, .. }) => {
            // Without a window the result is right modulo 2^(ring − shift) whatever the integer is; if the target
            // keeps more bits than that, the sum itself must be a signed residue.
            let limit = window.or((target.bits() > ring.bits() - shift).then(|| ring.bits() - 1));
            if let Some(bits) = limit {
                let (least, greatest) = total.integer_range();
                if !within(&least, &greatest, bits) {
                    let limits = format!("-2^{bits} to 2^{bits} - 1 before the truncation by {shift}");
                    return Abstract::Poisoned(Escape { operation: index, least, greatest, limits });
                }
            }
            Abstract::Live(total.truncated(usize::from(shift), rounding, index))
        }
        _ => Abstract::Live(total),
    }
}

/// The bit, if it is the same for every value of the operand and everything the band allows.
///
/// The bit is the parity of ⌊v'/2^(width−1)⌋ for some v' that is at least v − band as far as this quotient goes.
fn decide(lemma: &Lemma, operand: &Abstract) -> Option<bool> {
    let (Lemma::Sign { width, .. }, Abstract::Live(model)) = (lemma, operand) else { return None };
    let (least, greatest) = model.integer_range();
    let position = usize::from(*width) - 1;
    let low = shift_floor(&(least - IBig::from(lemma.band())), position);
    let high = shift_floor(&greatest, position);
    let is_even = shift_floor(&low, 1) << 1usize == low;
    (low == high).then_some(!is_even)
}
