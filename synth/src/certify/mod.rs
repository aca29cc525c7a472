//! From a program to a published claim: pieces, the least bound that the checker accepts, and a witness beside it.
//!
//! The window is cut best-first: always the piece with the largest bound, at a seam of the program if it has one
//! inside, else in the middle, until the worst piece is as tight as its models allow or as the best known error
//! asks for. So there are no more pieces than the bound needs. The result is checked before it is returned.

mod cuts;
mod section;
mod witness;

use catalogs::{Claim, Decimal, Entry, Function, Norm, Program, Window};
use dashu::integer::IBig;
use dashu::rational::RBig;
use section::Section;
use verify::model::FRACTION;
use verify::{Certificate, Certified, PieceProof, Rejection, Witness};
use witness::Attempt;

/// What is to be proved, except the bound.
#[derive(Clone, Debug)]
pub struct Request {
    /// f.
    pub function: Function,
    /// How the error is measured.
    pub norm: Norm,
    /// Where the program was fitted.
    pub fitted: Window,
    /// Where the claim is to hold.
    pub window: Window,
    /// The program.
    pub program: Program,
}

/// How much effort goes into tightness.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Where the polynomials of a piece are cut.
    pub degree: u8,
    /// The most pieces.
    pub pieces_max: usize,
    /// Pieces are cut until the bound is at most this multiple of the best known error.
    pub tightness: f64,
    /// Inputs that are evaluated in search of a witness, per piece that matters.
    pub samples: usize,
    /// A program that is seen to exceed this error is given up at once.
    pub bound_max: Option<f64>,
}

impl Default for Effort {
    fn default() -> Effort {
        Effort { degree: 14, pieces_max: 600, tightness: 1.004, samples: 4000, bound_max: None }
    }
}

/// An entry with its proof.
#[derive(Clone, Debug)]
pub struct Proved {
    /// The entry, with the least bound that was found.
    pub entry: Entry,
    /// Its certificate.
    pub certificate: Certificate,
    /// The checker's word.
    pub certified: Certified,
    /// The first-order influence of the roundings in the claim's norm, over the pieces that decide the bound.
    pub rounding: f64,
}

impl Proved {
    /// Whether the bound is at most 1.02 times the witness plus a quarter of the rounding part.
    pub fn is_tight(&self) -> bool {
        let bound = self.entry.claim.bound.to_f64_lossy();
        bound <= 1.02 * self.certificate.witness.error.to_f64_lossy() + 0.25 * self.rounding
    }
}

/// Why a program cannot be certified.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum Failure {
    /// The checker rejects even single inputs, or the finished certificate.
    #[error("{0}")]
    Rejected(#[from] Rejection),
    /// More pieces than allowed.
    #[error("more than {0} pieces are needed")]
    Pieces(usize),
    /// The bound cannot be written down.
    #[error("the error is unbounded in the requested norm")]
    Unbounded,
    /// An input was found at which the error exceeds what was asked for.
    #[error("the error is at least {0:.3e}, above what was asked for")]
    TooLarge(f64),
}

/// Finds pieces, bound and witness for `request`, and checks them.
pub fn certify(request: &Request, effort: &Effort) -> Result<Proved, Failure> {
    let draft = draft_entry(request, Decimal::ONE);
    let seams = cuts::seams(&draft);
    let mut attempt = witness::survey(&draft, &seams.starts);
    give_up(&attempt, effort)?;
    let sections = cut(&draft, &seams, effort, attempt.error)?;
    let mut order: Vec<&Section> = sections.iter().collect();
    order.sort_by(|a, b| b.bound.total_cmp(&a.bound));
    for section in order {
        if section.bound <= attempt.error {
            break;
        }
        if let Some(better) = witness::search(&draft, section, effort.samples, attempt.error) {
            attempt = better;
        }
        give_up(&attempt, effort)?;
    }
    finish(request, &sections, attempt)
}

/// A lower bound of the program's error in the request's norm, from inputs at and between the program's seams: what
/// [`certify`] begins with, in a few milliseconds.
pub fn survey(request: &Request) -> f64 {
    let draft = draft_entry(request, Decimal::ONE);
    witness::survey(&draft, &cuts::seams(&draft).starts).error
}

fn give_up(attempt: &Attempt, effort: &Effort) -> Result<(), Failure> {
    match effort.bound_max {
        Some(bound) if attempt.error > bound => Err(Failure::TooLarge(attempt.error)),
        _ => Ok(()),
    }
}

fn draft_entry(request: &Request, bound: Decimal) -> Entry {
    let Request { norm, fitted, window, .. } = *request;
    let function = request.function.clone();
    Entry { claim: Claim { function, fitted, window, norm, bound }, program: request.program.clone() }
}

/// Cuts the window until its worst section cannot be improved, or is near the `known` error.
fn cut(draft: &Entry, seams: &cuts::Seams, effort: &Effort, known: f64) -> Result<Vec<Section>, Failure> {
    let window = draft.claim.window;
    let mut sections = vec![Section::new(draft, seams, window.low, window.high, effort.degree)];
    loop {
        let Some(worst) = (0..sections.len()).max_by(|a, b| sections[*a].bound.total_cmp(&sections[*b].bound)) else {
            return Ok(sections);
        };
        let section = &sections[worst];
        if section.bound.is_finite() && (section.bound <= known * effort.tightness || section.is_converged()) {
            sections.sort_by_key(|section| section.low);
            return Ok(sections);
        }
        if section.low == section.high {
            return Err(section.rejection.clone().map_or(Failure::Unbounded, Failure::Rejected));
        }
        if sections.len() >= effort.pieces_max {
            return Err(Failure::Pieces(effort.pieces_max));
        }
        let (left, right) = section.split(draft, seams, effort.degree);
        sections[worst] = left;
        sections.push(right);
    }
}

fn finish(request: &Request, sections: &[Section], attempt: Attempt) -> Result<Proved, Failure> {
    let worst = sections.iter().map(|section| section.bound).fold(0.0, f64::max);
    let exact = RBig::try_from(worst).map_err(|_| Failure::Unbounded)?;
    let bound = Decimal::round_up(&exact, 6).ok_or(Failure::Unbounded)?;
    let entry = draft_entry(request, bound);
    let mut ranges: Vec<Option<(i128, i128)>> = vec![None; entry.program.ops().len()];
    let unit = RBig::from(IBig::ONE << (usize::from(entry.program.output().1.bits()) + FRACTION));
    let stated = |value: &IBig| Decimal::round_up(&(RBig::from(value.clone()) / &unit), 6).ok_or(Failure::Unbounded);
    let mut pieces = Vec::new();
    for section in sections {
        let Some(examination) = &section.examination else { return Err(Failure::Unbounded) };
        let parts = examination.parts();
        for (range, found) in ranges.iter_mut().zip(examination.ranges()) {
            if let Some((low, high)) = found {
                let clamp = |v: &IBig| i128::try_from(v.clone()).map_err(|_| Failure::Unbounded);
                let (low, high) = (clamp(low)?, clamp(high)?);
                *range = Some(range.map_or((low, high), |(a, b)| (a.min(low), b.max(high))));
            }
        }
        pieces.push(PieceProof {
            low: section.low,
            high: section.high,
            degree: examination.degree(),
            tail: section.tail,
            approximation: stated(&parts.approximation)?,
            rounding: stated(&parts.rounding)?,
            remainder: stated(&parts.remainder)?,
        });
    }
    let rounding = sections.iter().filter(|s| s.bound >= 0.98 * worst).map(|s| s.rounding).fold(0.0, f64::max);
    let certificate = Certificate { entry: entry.digest(), ranges, witness: attempt.into_witness(), pieces };
    match verify::check(entry.clone(), &certificate) {
        Ok(certified) => Ok(Proved { entry, certificate, certified, rounding }),
        Err(Rejection::Witness { .. }) => {
            // Inside a tail piece the checker knows the function only up to its rule, MPFR knows more: what was seen there
            // cannot be shown, so that nothing is stated.
            let witness = Witness { error: Decimal::ZERO, ..certificate.witness };
            let certificate = Certificate { witness, ..certificate };
            let certified = verify::check(entry.clone(), &certificate)?;
            Ok(Proved { entry, certificate, certified, rounding })
        }
        Err(other) => Err(other.into()),
    }
}
