//! One piece: the program's models against the function's enclosure.

use crate::integer::{IBig, shift_ceil};
use crate::model::{FRACTION, Model};
use crate::reference::{self, Piece, Reference};
use crate::rejection::Rejection;
use crate::tail;
use crate::walk::{MAX_CASES, MAX_PIECE_WORK, Obstacle, Range, walk};
use catalogs::{Claim, Entry};
use dashu::rational::RBig;

/// The highest degree of a piece's polynomials.
pub const MAX_DEGREE: u8 = 40;
/// Levels of subdivision when the error is bounded.
const ERROR_HALVINGS: usize = 5;

/// What is known of one piece: the bound of the claim is *not* part of it.
#[derive(Clone, Debug)]
pub struct Examination {
    low: i64,
    high: i64,
    degree: u8,
    output_scale: u8,
    outputs: Vec<Model>,
    reference: Reference,
    ranges: Vec<Range>,
    work: u64,
}

/// The three parts of a piece's error, in units of 2^−(output scale + [`FRACTION`]).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parts {
    /// sup |p − q|.
    pub approximation: IBig,
    /// The first-order influence of all roundings.
    pub rounding: IBig,
    /// Everything else: cut terms, second orders, the enclosure's own error.
    pub remainder: IBig,
}

impl Examination {
    /// Examines all inputs from `low` to `high`. With `use_tail`, f is enclosed by its tail rule.
    pub fn new(entry: &Entry, low: i64, high: i64, degree: u8, use_tail: bool) -> Result<Examination, Rejection> {
        if low > high || degree > MAX_DEGREE {
            return Err(Rejection::Piece {
                low,
                high,
                reason: format!("empty, or degree {degree} above {MAX_DEGREE}"),
            });
        }
        let program = &entry.program;
        let walk = walk(program, low, high, usize::from(degree)).map_err(|obstacle| match obstacle {
            Obstacle::Escape(escape) => Rejection::Range {
                low,
                high,
                operation: escape.operation,
                least: escape.least.to_string(),
                greatest: escape.greatest.to_string(),
                limits: escape.limits,
            },
            Obstacle::Cases => {
                let reason = format!("more than {MAX_CASES} combinations of undecided bits; cut the piece");
                Rejection::Piece { low, high, reason }
            }
            Obstacle::Work => {
                let reason = format!("more than {MAX_PIECE_WORK} multiplications; a lower degree costs less");
                Rejection::Piece { low, high, reason }
            }
        })?;
        let output_scale = program.output().1.bits();
        let reference = enclosure(entry, low, high, degree, use_tail)?;
        let square = (u64::from(degree) + 2).pow(2);
        // The enclosure of f, then three ranges with subdivisions of every output's error.
        let enclosing = reference::work(&entry.claim.function.definition(), usize::from(degree));
        let work = walk.work + enclosing + 32 * square * walk.outputs.len() as u64;
        Ok(Examination { low, high, degree, output_scale, outputs: walk.outputs, reference, ranges: walk.ranges, work })
    }

    /// About how many multiplications of coefficients the piece costs to check: the same number for everybody.
    pub fn work(&self) -> u64 {
        self.work
    }

    /// The models of the output, one for every combination of undecided bits.
    pub fn outputs(&self) -> &[Model] {
        &self.outputs
    }

    /// The function over the piece, in units of 2^−(output scale + [`FRACTION`]).
    pub fn reference(&self) -> &Reference {
        &self.reference
    }

    /// Where the polynomials were cut.
    pub fn degree(&self) -> u8 {
        self.degree
    }

    /// Bounds of every live value.
    pub fn ranges(&self) -> &[Range] {
        &self.ranges
    }

    /// The parts of the error, the largest of all cases each.
    pub fn parts(&self) -> Parts {
        let mut parts = Parts { approximation: IBig::ZERO, rounding: IBig::ZERO, remainder: IBig::ZERO };
        for output in &self.outputs {
            let difference = output.polynomial.plus(&self.reference.polynomial, &IBig::NEG_ONE);
            parts.approximation = parts.approximation.max(difference.supremum(ERROR_HALVINGS));
            parts.rounding = parts.rounding.max(output.rounding_magnitude());
            parts.remainder = parts.remainder.max(&output.remainder + &self.reference.error);
        }
        parts
    }

    /// Proves |v − f| ≤ absolute + relative·|f| on the piece, or says by how much it failed.
    ///
    /// Where f keeps its sign s over the piece this is two polynomial inequalities,
    /// (p − q) − s·r·q + (spread + (1+r)·ε) ≤ a and the mirrored one; elsewhere |f| is taken as zero.
    pub fn fits(&self, claim: &Claim) -> Result<(), Rejection> {
        let allowed = scaled_floor(&claim.absolute_part(), usize::from(self.output_scale) + FRACTION);
        let relative = scaled_floor(&claim.relative_part(), FRACTION);
        let (q, epsilon) = (&self.reference.polynomial, &self.reference.error);
        let sign = self.sign_of_function();
        let slope = &relative * IBig::from(sign);
        let (relative_part, rounding) = q.times(&slope).shifted(FRACTION);
        let inherited =
            if sign == 0 { epsilon.clone() } else { epsilon + shift_ceil(&(&relative * epsilon), FRACTION) };
        for output in &self.outputs {
            let spread = output.rounding_magnitude() + &output.remainder + &inherited + &rounding;
            let difference = output.polynomial.plus(q, &IBig::NEG_ONE);
            let above = difference.plus(&relative_part, &IBig::NEG_ONE).range(ERROR_HALVINGS).1;
            let below = -difference.plus(&relative_part, &IBig::ONE).range(ERROR_HALVINGS).0;
            let found = above.max(below) + spread;
            if found > allowed {
                return Err(Rejection::Error {
                    low: self.low,
                    high: self.high,
                    found: hundredths(&(found + &rounding)),
                    allowed: hundredths(&allowed),
                    scale: self.output_scale,
                });
            }
        }
        Ok(())
    }

    /// 1, −1, or 0 if f is not proved to keep its sign.
    fn sign_of_function(&self) -> i8 {
        let (low, high) = self.reference.polynomial.range(2);
        if low >= self.reference.error {
            1
        } else if -high >= self.reference.error {
            -1
        } else {
            0
        }
    }
}

/// f over the piece at the scale of the program's models.
pub(crate) fn enclosure(
    entry: &Entry,
    low: i64,
    high: i64,
    degree: u8,
    use_tail: bool,
) -> Result<Reference, Rejection> {
    let (input_scale, output_scale) = (entry.program.input().1.bits(), entry.program.output().1.bits());
    let needed = usize::from(output_scale) + FRACTION;
    let magnitude = IBig::from(i128::from(low).abs().max(i128::from(high).abs()) >> input_scale);
    let scale = reference::working_scale(needed.max(usize::from(input_scale) + 1), &magnitude);
    let piece = Piece { low, high, input_scale, scale, degree: usize::from(degree) };
    let enclosed = if use_tail {
        tail::enclose(&entry.claim.function, &piece)
    } else {
        reference::enclose(&entry.claim.function.definition(), &piece)
    };
    let fine = enclosed.map_err(|reason| Rejection::Function { low, high, reason })?;
    let (polynomial, rounding) = fine.polynomial.shifted(scale - needed);
    Ok(Reference { polynomial, error: shift_ceil(&fine.error, scale - needed) + rounding })
}

/// ⌊value·2^bits⌋.
pub(crate) fn scaled_floor(value: &RBig, bits: usize) -> IBig {
    (value * RBig::from(IBig::ONE << bits)).floor()
}

/// A scaled error in output units with two decimals, for people.
fn hundredths(value: &IBig) -> String {
    let hundredths = shift_ceil(&(value * IBig::from(100)), FRACTION);
    let (whole, rest) = (&hundredths / IBig::from(100), &hundredths % IBig::from(100));
    format!("{whole}.{:0>2}", rest.to_string())
}
