//! `check`: the only way to a [`Certified`] entry.
//!
//! It reads the certificate once, front to back, and recomputes everything that it states. Nothing is searched for
//! and nothing is repaired: a certificate with a gap is rejected.

use crate::certificate::{Certificate, PieceProof, Witness};
use crate::certified::Certified;
use crate::examine::{Examination, enclosure, scaled_floor};
use crate::integer::{IBig, absolute, is_negative, larger};
use crate::model::FRACTION;
use crate::rejection::Rejection;
use catalogs::{Adversary, Claim, Decimal, Entry, Ring, Rounding, ValueId, evaluate};
use dashu::rational::RBig;

/// Parses and checks the canonical texts of an entry and its certificate.
pub fn check_texts(entry: &str, certificate: &str) -> Result<Certified, Rejection> {
    let entry = Entry::parse(entry).map_err(Rejection::Entry)?;
    let certificate = Certificate::parse(certificate).map_err(Rejection::Certificate)?;
    check(entry, &certificate)
}

/// Proves `entry` from `certificate`, or says why not.
pub fn check(entry: Entry, certificate: &Certificate) -> Result<Certified, Rejection> {
    let digest = entry.digest();
    if certificate.entry != digest {
        return Err(Rejection::Digest { named: certificate.entry, found: digest });
    }
    check_claim(&entry)?;
    check_tiling(&entry.claim, &certificate.pieces)?;
    let ranges = &certificate.ranges;
    if ranges.len() != entry.program.ops().len() {
        return Err(Rejection::Claim(format!("{} ranges for {} operations", ranges.len(), entry.program.ops().len())));
    }
    for piece in &certificate.pieces {
        check_piece(&entry, piece, ranges)?;
    }
    check_witness(&entry, &certificate.witness)?;
    let Some((output_low, output_high)) = ranges.last().copied().flatten() else {
        return Err(Rejection::Claim("the certificate states no range of the output".into()));
    };
    let witness = certificate.witness.error;
    let rounding = certificate.pieces.iter().map(|piece| piece.rounding.to_rational()).max().unwrap_or(RBig::ZERO);
    Ok(Certified { entry, digest, output_low, output_high, witness, rounding })
}

fn check_claim(entry: &Entry) -> Result<(), Rejection> {
    let claim = &entry.claim;
    let fail = |reason: &str| Err(Rejection::Claim(reason.to_owned()));
    let (ring, _) = entry.program.input();
    for window in [claim.fitted, claim.window] {
        if window.low > window.high {
            return fail("a window is empty");
        }
    }
    if !claim.window.covers(&claim.fitted) {
        return fail("the fitted interval exceeds the window");
    }
    if !ring.contains(i128::from(claim.window.low)) || !ring.contains(i128::from(claim.window.high)) {
        return fail("the window exceeds the signed residues of the input ring");
    }
    let zero = RBig::ZERO;
    let (absolute, relative) = (claim.norm.absolute.to_rational(), claim.norm.relative.to_rational());
    if absolute < zero || relative < zero || (absolute == zero && relative == zero) {
        return fail("a norm needs weights that are not negative, one of them positive");
    }
    if claim.bound.to_rational() < zero {
        return fail("the bound is negative");
    }
    Ok(())
}

fn check_tiling(claim: &Claim, pieces: &[PieceProof]) -> Result<(), Rejection> {
    let mut expected = i128::from(claim.window.low);
    for piece in pieces {
        if i128::from(piece.low) != expected {
            return Err(Rejection::Tiling { expected, found: i128::from(piece.low) });
        }
        if piece.low > piece.high {
            let reason = "the piece is empty".to_owned();
            return Err(Rejection::Piece { low: piece.low, high: piece.high, reason });
        }
        expected = i128::from(piece.high) + 1;
    }
    let end = i128::from(claim.window.high) + 1;
    if expected == end { Ok(()) } else { Err(Rejection::Tiling { expected: end, found: expected }) }
}

fn check_piece(entry: &Entry, piece: &PieceProof, stated: &[Option<(i128, i128)>]) -> Result<(), Rejection> {
    let examination = Examination::new(entry, piece.low, piece.high, piece.degree, piece.tail)?;
    examination.fits(&entry.claim)?;
    let parts = examination.parts();
    let bits = usize::from(entry.program.output().1.bits()) + FRACTION;
    let stated_parts = [
        ("approximation", &parts.approximation, piece.approximation),
        ("rounding", &parts.rounding, piece.rounding),
        ("remainder", &parts.remainder, piece.remainder),
    ];
    for (part, found, decimal) in stated_parts {
        if *found > scaled_floor(&decimal.to_rational(), bits) {
            let (low, high, stated) = (piece.low, piece.high, decimal.to_string());
            return Err(Rejection::Part { low, high, part, stated });
        }
    }
    for (operation, range) in examination.ranges().iter().enumerate() {
        let Some((least, greatest)) = range else { continue };
        let contained =
            stated[operation].is_some_and(|(low, high)| IBig::from(low) <= *least && *greatest <= IBig::from(high));
        if !contained {
            return Err(Rejection::StatedRange {
                operation,
                least: least.to_string(),
                greatest: greatest.to_string(),
                stated: stated[operation].map_or("nothing".to_owned(), |(low, high)| format!("{low} to {high}")),
            });
        }
    }
    Ok(())
}

/// Replays the witness with the one evaluator and compares with the function's enclosure at that point:
/// |v − f| ≥ |v − q| − ε must be at least the stated error times α + β·|f|.
fn check_witness(entry: &Entry, witness: &Witness) -> Result<(), Rejection> {
    let fail = |reason: String| Err(Rejection::Witness { input: witness.input, reason });
    if !entry.claim.window.contains(i128::from(witness.input)) {
        return fail("not in the window".into());
    }
    if witness.choices.len() != entry.program.ops().len() {
        return fail(format!("{} choices for {} operations", witness.choices.len(), entry.program.ops().len()));
    }
    let mut replay = Replay { choices: &witness.choices, refused: None };
    let value = evaluate(&entry.program, i128::from(witness.input), &mut replay);
    if let Some(reason) = replay.refused {
        return fail(reason);
    }
    let reference = enclosure(entry, witness.input, witness.input, 0, false)?;
    let distance =
        absolute(&((IBig::from(value) << FRACTION) - reference.polynomial.coefficient(0))) - &reference.error;
    let largest = absolute(&reference.polynomial.coefficient(0)) + &reference.error;
    let attained = larger(distance, IBig::ZERO);
    let norm = &entry.claim.norm;
    let unit = IBig::ONE << (usize::from(entry.program.output().1.bits()) + FRACTION);
    let weight = norm.absolute.to_rational() * RBig::from(unit) + norm.relative.to_rational() * RBig::from(largest);
    let stated = witness.error.to_rational();
    if stated < RBig::ZERO || is_negative(&attained) || RBig::from(attained) < stated * weight {
        return fail(format!("its error is below the stated {}", witness.error));
    }
    Ok(())
}

/// The adversary that a certificate's witness describes.
struct Replay<'a> {
    choices: &'a [i8],
    refused: Option<String>,
}

impl Adversary for Replay<'_> {
    fn rounding(&mut self, op: ValueId, _: i128, rounding: Rounding) -> i8 {
        let delta = self.choices[op.index()];
        if delta < rounding.low || delta > rounding.high {
            self.refused = Some(format!("rounding {delta} of {op} is not in its lemma"));
        }
        delta
    }
    fn outside(&mut self, _: ValueId, operand: i128, _: Ring) -> i128 {
        operand
    }
    fn band(&mut self, op: ValueId, _: i128, _: bool) -> bool {
        if !(0..=1).contains(&self.choices[op.index()]) {
            self.refused = Some(format!("the bit {op} is neither 0 nor 1"));
        }
        self.choices[op.index()] == 1
    }
}

/// Tightness: the certified bound over the witness; `None` if the witness shows no error at all.
pub fn tightness(bound: Decimal, witness: Decimal) -> Option<f64> {
    let (bound, witness) = (bound.to_f64_lossy(), witness.to_f64_lossy());
    (witness > 0.0).then(|| bound / witness)
}
