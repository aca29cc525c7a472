//! Certificates for programs made by hand: pieces where the test says, the least bound by bisection.

use catalogs::{Claim, Decimal, Entry};
use dashu::integer::IBig;
use dashu::rational::RBig;
use verify::examine::Examination;
use verify::model::FRACTION;
use verify::{Certificate, PieceProof, Rejection, Witness};

/// One piece: its first input, the degree, and whether the tail rule serves. It ends where the next one begins.
#[derive(Clone, Copy, Debug)]
pub struct Cut(pub i64, pub u8, pub bool);

/// The least bound, to nine digits, that `examination` accepts for `claim`'s norm.
pub fn least_bound(examination: &Examination, claim: &Claim) -> Option<Decimal> {
    let accepts = |bound: Decimal| examination.fits(&Claim { bound, ..claim.clone() }).is_ok();
    if accepts(Decimal::ZERO) {
        return Some(Decimal::ZERO);
    }
    let exponent = (-40..30).find(|exponent| accepts(Decimal::new(1_000_000_000, *exponent).unwrap()))?;
    let (mut low, mut high) = (100_000_000i128, 1_000_000_000i128);
    while high - low > 1 {
        let middle = (low + high) / 2;
        if accepts(Decimal::new(middle, exponent).unwrap()) { high = middle } else { low = middle }
    }
    Decimal::new(high, exponent)
}

/// The entry with the least bound, and its certificate with a witness that shows nothing.
pub fn prove(draft: &Entry, cuts: &[Cut]) -> Result<(Entry, Certificate), Rejection> {
    prove_to(draft, cuts, 8)
}

/// [`prove`] with the parts stated to 36 digits, which pins the integers that were found; with
/// [`Rejection::Claim`] where no bound serves.
pub fn prove_exactly(draft: &Entry, cuts: &[Cut]) -> Result<(Entry, Certificate), Rejection> {
    prove_to(draft, cuts, 36)
}

fn prove_to(draft: &Entry, cuts: &[Cut], digits: u32) -> Result<(Entry, Certificate), Rejection> {
    let claim = &draft.claim;
    let mut bound = Decimal::ZERO;
    let mut pieces = Vec::new();
    let mut ranges: Vec<Option<(i128, i128)>> = vec![None; draft.program.ops().len()];
    let unit = RBig::from(IBig::ONE << (usize::from(draft.program.output().1.bits()) + FRACTION));
    let stated = |value: &IBig| Decimal::round_up(&(RBig::from(value.clone()) / &unit), digits).unwrap();
    for (index, Cut(low, degree, tail)) in cuts.iter().copied().enumerate() {
        let high = cuts.get(index + 1).map_or(claim.window.high, |next| next.0 - 1);
        let examination = Examination::new(draft, low, high, degree, tail)?;
        let least = least_bound(&examination, claim).ok_or_else(|| Rejection::Claim("no bound".into()))?;
        if least.to_rational() > bound.to_rational() {
            bound = least;
        }
        for (range, found) in ranges.iter_mut().zip(examination.ranges()) {
            if let Some((low, high)) = found {
                let (low, high) = (i128::try_from(low.clone()).unwrap(), i128::try_from(high.clone()).unwrap());
                *range = Some(range.map_or((low, high), |(a, b)| (a.min(low), b.max(high))));
            }
        }
        let parts = examination.parts();
        let (approximation, rounding) = (stated(&parts.approximation), stated(&parts.rounding));
        pieces.push(PieceProof {
            low,
            high,
            degree,
            tail,
            approximation,
            rounding,
            remainder: stated(&parts.remainder),
        });
    }
    let entry = Entry { claim: Claim { bound, ..claim.clone() }, program: draft.program.clone() };
    let witness = Witness { input: claim.window.low, error: Decimal::ZERO, choices: vec![0; ranges.len()] };
    let certificate = Certificate { entry: entry.digest(), ranges, witness, pieces };
    Ok((entry, certificate))
}
