//! From a program to a published claim: pieces, the least bound that the checker accepts, and a witness beside it.
//!
//! The window is cut where the program's bits change, and then wherever the checker's bound of a piece is further
//! above the best known error than the requested tightness. The result is checked before it is returned.

mod cuts;
mod witness;

use catalogs::{Claim, Decimal, Entry, Function, Norm, Program, Window};
use dashu::integer::IBig;
use dashu::rational::RBig;
use verify::examine::Examination;
use verify::model::FRACTION;
use verify::{Certificate, Certified, PieceProof, Rejection};
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
}

impl Default for Effort {
    fn default() -> Effort {
        Effort { degree: 14, pieces_max: 400, tightness: 1.01, samples: 4000 }
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
}

/// Why a program cannot be certified.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
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
}

/// One piece of the window under examination.
#[derive(Clone, Debug)]
struct Section {
    low: i64,
    high: i64,
    tail: bool,
    examination: Examination,
    /// The least bound in the claim's norm.
    bound: f64,
}

/// Finds pieces, bound and witness for `request`, and checks them.
pub fn certify(request: &Request, effort: &Effort) -> Result<Proved, Failure> {
    let draft = draft_entry(request, Decimal::ONE);
    let mut sections = initial_sections(&draft, effort)?;
    let mut attempt: Option<Attempt> = None;
    loop {
        let worst = sections.iter().map(|section| section.bound).fold(0.0, f64::max);
        for section in sections.iter().filter(|section| section.bound >= 0.97 * worst) {
            let better = witness::search(&draft, section, effort.samples);
            if better.as_ref().is_some_and(|b| attempt.as_ref().is_none_or(|a| a.error < b.error)) {
                attempt = better;
            }
        }
        let known = attempt.as_ref().map_or(0.0, |attempt| attempt.error);
        if worst <= known * effort.tightness {
            break;
        }
        if !refine(&draft, &mut sections, effort, known * effort.tightness)? {
            break;
        }
    }
    finish(request, sections, attempt, &draft)
}

fn draft_entry(request: &Request, bound: Decimal) -> Entry {
    let Request { function, norm, fitted, window, .. } = *request;
    Entry { claim: Claim { function, fitted, window, norm, bound }, program: request.program.clone() }
}

fn initial_sections(draft: &Entry, effort: &Effort) -> Result<Vec<Section>, Failure> {
    let mut sections = Vec::new();
    for (low, high, tail) in cuts::initial(draft) {
        examine_or_split(draft, low, high, tail, effort, &mut sections)?;
    }
    Ok(sections)
}

/// Examines a piece; where the checker cannot, halves it.
fn examine_or_split(
    draft: &Entry,
    low: i64,
    high: i64,
    tail: bool,
    effort: &Effort,
    sections: &mut Vec<Section>,
) -> Result<(), Failure> {
    if sections.len() >= effort.pieces_max {
        return Err(Failure::Pieces(effort.pieces_max));
    }
    let rejected = match section(draft, low, high, tail, effort) {
        Ok(section) => {
            sections.push(section);
            return Ok(());
        }
        Err(failure) => failure,
    };
    if low == high {
        return Err(rejected);
    }
    let middle = low + (high - low) / 2;
    examine_or_split(draft, low, middle, tail, effort, sections)?;
    examine_or_split(draft, middle + 1, high, tail, effort, sections)
}

fn section(draft: &Entry, low: i64, high: i64, tail: bool, effort: &Effort) -> Result<Section, Failure> {
    let examination = Examination::new(draft, low, high, effort.degree, tail)?;
    let bound = least_bound(draft, &examination).ok_or(Failure::Unbounded)?;
    Ok(Section { low, high, tail, examination, bound })
}

/// Halves the pieces whose bound exceeds `goal`, worst first; false if nothing improved.
fn refine(draft: &Entry, sections: &mut Vec<Section>, effort: &Effort, goal: f64) -> Result<bool, Failure> {
    let worst = sections.iter().map(|section| section.bound).fold(0.0, f64::max);
    let limit = goal.max(0.97 * worst);
    let mut improved = false;
    let mut next = Vec::with_capacity(sections.len() + 8);
    let mut room = effort.pieces_max.saturating_sub(sections.len());
    for old in sections.drain(..) {
        if old.bound <= limit || old.low == old.high || room == 0 {
            next.push(old);
            continue;
        }
        let middle = old.low + (old.high - old.low) / 2;
        let mut halves = Vec::new();
        examine_or_split(draft, old.low, middle, old.tail, effort, &mut halves)?;
        examine_or_split(draft, middle + 1, old.high, old.tail, effort, &mut halves)?;
        let after = halves.iter().map(|section| section.bound).fold(0.0, f64::max);
        if after < 0.9995 * old.bound {
            improved = true;
            room = room.saturating_sub(halves.len() - 1);
            next.extend(halves);
        } else {
            next.push(old);
        }
    }
    *sections = next;
    Ok(improved)
}

/// The least bound in the claim's norm that the checker accepts for the piece, to four digits, rounded up.
fn least_bound(draft: &Entry, examination: &Examination) -> Option<f64> {
    let claim = &draft.claim;
    let unit = 2f64.powi(i32::from(draft.program.output().1.bits()) + FRACTION as i32);
    let accepts = |bound: f64| {
        let Some(bound) = decimal_above(bound) else { return false };
        examination.fits(&Claim { bound, ..claim.clone() }).is_ok()
    };
    let parts = examination.parts();
    let total = (parts.approximation + parts.rounding + parts.remainder).to_f64().value() / unit;
    let (absolute, relative) = (claim.norm.absolute.to_f64_lossy(), claim.norm.relative.to_f64_lossy());
    if relative == 0.0 {
        let bound = total / absolute * (1.0 + 1e-9) + 1e-30;
        return accepts(bound).then_some(bound);
    }
    if total == 0.0 && accepts(0.0) {
        return Some(0.0);
    }
    let mut high = if absolute > 0.0 { total / absolute } else { 1.0 };
    let mut low = 0.0;
    let mut doublings = 0;
    while !accepts(high) {
        low = high;
        high *= 4.0;
        doublings += 1;
        if doublings > 40 {
            return None;
        }
    }
    while high - low > 1e-4 * high && high > 1e-25 {
        // Geometric while the bracket is wide, so that tiny bounds are found quickly.
        let middle =
            if low > 0.0 && high / low < 4.0 { (low + high) / 2.0 } else { (high * low.max(high * 1e-4)).sqrt() };
        if accepts(middle) { high = middle } else { low = middle }
    }
    Some(high)
}

/// A decimal of nine digits that is not below `value`.
fn decimal_above(value: f64) -> Option<Decimal> {
    let exact = RBig::try_from(value).ok()?;
    Decimal::round_up(&exact, 9)
}

fn finish(
    request: &Request,
    sections: Vec<Section>,
    attempt: Option<Attempt>,
    draft: &Entry,
) -> Result<Proved, Failure> {
    let worst = sections.iter().map(|section| section.bound).fold(0.0, f64::max);
    let exact = RBig::try_from(worst).map_err(|_| Failure::Unbounded)?;
    let bound = Decimal::round_up(&exact, 6).ok_or(Failure::Unbounded)?;
    let entry = draft_entry(request, bound);
    let operations = entry.program.ops().len();
    let mut ranges: Vec<Option<(i128, i128)>> = vec![None; operations];
    let unit = RBig::from(IBig::ONE << (usize::from(entry.program.output().1.bits()) + FRACTION));
    let stated = |value: &IBig| Decimal::round_up(&(RBig::from(value.clone()) / &unit), 6).ok_or(Failure::Unbounded);
    let mut pieces = Vec::new();
    for section in &sections {
        let parts = section.examination.parts();
        for (range, found) in ranges.iter_mut().zip(section.examination.ranges()) {
            if let Some((low, high)) = found {
                let clamp = |v: &IBig| i128::try_from(v.clone()).map_err(|_| Failure::Unbounded);
                let (low, high) = (clamp(low)?, clamp(high)?);
                *range = Some(range.map_or((low, high), |(a, b)| (a.min(low), b.max(high))));
            }
        }
        pieces.push(PieceProof {
            low: section.low,
            high: section.high,
            degree: section.examination.degree(),
            tail: section.tail,
            approximation: stated(&parts.approximation)?,
            rounding: stated(&parts.rounding)?,
            remainder: stated(&parts.remainder)?,
        });
    }
    let witness = match attempt {
        Some(attempt) => attempt.into_witness(),
        None => verify::Witness { input: draft.claim.window.low, error: Decimal::ZERO, choices: vec![0; operations] },
    };
    let certificate = Certificate { entry: entry.digest(), ranges, witness, pieces };
    let certified = verify::check(entry.clone(), &certificate)?;
    Ok(Proved { entry, certificate, certified })
}
