//! `check`: the only way to a [`Certified`] entry.
//!
//! It reads the certificate once, front to back, and recomputes everything that it states. Nothing is searched for
//! and nothing is repaired: a certificate with a gap is rejected.

use crate::certificate::{Certificate, PieceProof};
use crate::certified::{Certified, failure};
use crate::examine::{Examination, Parts, enclosure, scaled_floor};
use crate::integer::{IBig, absolute, is_negative, larger};
use crate::model::FRACTION;
use crate::rejection::Rejection;
use crate::walk::widen;
use catalogs::{Adversary, Claim, Entry, ParseError, Ring, Rounding, ValueId, evaluate};
use dashu::rational::RBig;

/// The most multiplications of coefficients that one certificate may cost: a bound of the time that anybody can make
/// somebody else's checker spend, in the order of ten seconds.
pub const MAX_WORK: u64 = 1 << 26;

/// Parses and checks the canonical texts of an entry and its certificate.
pub fn check_texts(entry: &str, certificate: &str) -> Result<Certified, Rejection> {
    let entry = Entry::parse(entry).map_err(Rejection::Entry)?;
    let certificate = Certificate::parse(certificate).map_err(Rejection::Certificate)?;
    check(entry, &certificate)
}

/// [`check_texts`] of two files as they are on disk: what is not UTF-8 is no entry and no certificate.
pub fn check_bytes(entry: &[u8], certificate: &[u8]) -> Result<Certified, Rejection> {
    let text = |bytes| {
        std::str::from_utf8(bytes)
            .map_err(|error| ParseError { line: 0, reason: format!("not UTF-8 at byte {}", error.valid_up_to()) })
    };
    let entry = Entry::parse(text(entry).map_err(Rejection::Entry)?).map_err(Rejection::Entry)?;
    let certificate = text(certificate).map_err(Rejection::Certificate)?;
    check(entry, &Certificate::parse(certificate).map_err(Rejection::Certificate)?)
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
    let (mut output, mut rounding, mut work) = (None, IBig::ZERO, 0u64);
    for piece in &certificate.pieces {
        let (examination, parts) = check_piece(&entry, piece, ranges)?;
        rounding = larger(rounding, parts.rounding);
        work += examination.work();
        if work > MAX_WORK {
            return Err(Rejection::Work { limit: MAX_WORK, low: piece.low });
        }
        if let Some((low, high)) = examination.ranges().last().cloned().flatten() {
            widen(&mut output, (low, high));
        }
    }
    check_witness(&entry, certificate)?;
    // The output is live on every piece and inside its ring, so there is a range and it fits.
    let narrow = |value: IBig| i128::try_from(value).ok();
    let Some((Some(output_low), Some(output_high))) = output.map(|(low, high)| (narrow(low), narrow(high))) else {
        return Err(Rejection::Claim("the output has no range".into()));
    };
    let witness = certificate.witness.error;
    let unit = IBig::ONE << (usize::from(entry.program.output().1.bits()) + FRACTION);
    let rounding = RBig::from(rounding) / RBig::from(unit);
    let certificate = certificate.clone();
    Ok(Certified { entry, digest, output_low, output_high, witness, rounding, certificate })
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
    if failure(&entry.program) >= RBig::ONE {
        return fail("the failure probabilities of its truncations add up to one or more: nothing would be claimed");
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

fn check_piece(
    entry: &Entry,
    piece: &PieceProof,
    stated: &[Option<(i128, i128)>],
) -> Result<(Examination, Parts), Rejection> {
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
    Ok((examination, parts))
}

/// Replays the witness with the one evaluator and compares with the function's enclosure at that point:
/// |v − f| ≥ |v − q| − ε must be at least the stated error times α + β·|f|.
fn check_witness(entry: &Entry, certificate: &Certificate) -> Result<(), Rejection> {
    let witness = &certificate.witness;
    let fail = |reason: String| Err(Rejection::Witness { input: witness.input, reason });
    let at = |piece: &&PieceProof| piece.low <= witness.input && witness.input <= piece.high;
    let Some(piece) = certificate.pieces.iter().find(at) else { return fail("not in the window".into()) };
    if witness.choices.len() != entry.program.ops().len() {
        return fail(format!("{} choices for {} operations", witness.choices.len(), entry.program.ops().len()));
    }
    let mut replay = Replay { left: witness.choices.clone(), refused: None };
    let value = evaluate(&entry.program, i128::from(witness.input), &mut replay);
    if let Some(reason) = replay.refused {
        return fail(reason);
    }
    if let Some(index) = replay.left.iter().position(|choice| *choice != 0) {
        return fail(format!("v{index} leaves nothing to choose"));
    }
    let reference = enclosure(entry, witness.input, witness.input, 0, piece.tail)?;
    let distance =
        absolute(&((IBig::from(value) << FRACTION) - reference.polynomial.coefficient(0))) - &reference.error;
    let largest = absolute(&reference.polynomial.coefficient(0)) + &reference.error;
    let attained = larger(distance, IBig::ZERO);
    let norm = &entry.claim.norm;
    let unit = IBig::ONE << (usize::from(entry.program.output().1.bits()) + FRACTION);
    let weight = norm.absolute.to_rational() * RBig::from(unit) + norm.relative.to_rational() * RBig::from(largest);
    let stated = witness.error.to_rational();
    // Where the norm is zero no error is so many times as large.
    let weightless = weight == RBig::ZERO && stated != RBig::ZERO;
    if weightless || stated < RBig::ZERO || is_negative(&attained) || RBig::from(attained) < stated * weight {
        return fail(format!("its error is below the stated {}", witness.error));
    }
    Ok(())
}

/// The adversary that a certificate's witness describes.
struct Replay {
    /// The choices that were not asked for yet; zero afterwards.
    left: Vec<i8>,
    refused: Option<String>,
}

impl Adversary for Replay {
    fn rounding(&mut self, op: ValueId, _: i128, rounding: Rounding) -> i8 {
        let delta = std::mem::take(&mut self.left[op.index()]);
        if delta < rounding.low || delta > rounding.high {
            self.refused = Some(format!("rounding {delta} of {op} is not in its lemma"));
        }
        delta
    }
    fn outside(&mut self, _: ValueId, operand: i128, _: Ring) -> i128 {
        operand
    }
    fn band(&mut self, op: ValueId, _: i128, _: bool) -> bool {
        let bit = std::mem::take(&mut self.left[op.index()]);
        if !(0..=1).contains(&bit) {
            self.refused = Some(format!("the bit {op} is neither 0 nor 1"));
        }
        bit == 1
    }
}
