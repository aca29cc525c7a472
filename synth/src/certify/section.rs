//! One piece of the window: what the checker can say about it, and how tight that is.

use super::cuts::Seams;
use catalogs::{Claim, Decimal, Entry};
use dashu::integer::IBig;
use dashu::rational::RBig;
use verify::Rejection;
use verify::examine::Examination;
use verify::model::{FRACTION, Model};

/// A section whose bound is within this factor of its models' own values cannot be improved by cutting.
const CONVERGED: f64 = 1.002;
/// Cuts in a row that improve nothing, after which a section counts as converged.
const STALE_MAX: u8 = 3;
/// Points of a section at which its models are sampled.
const SAMPLES: i32 = 48;

/// One piece under examination.
#[derive(Clone, Debug)]
pub struct Section {
    /// The least input.
    pub low: i64,
    /// The greatest input.
    pub high: i64,
    /// Whether the function's tail rule serves.
    pub tail: bool,
    /// The checker's findings; `None` if it has none.
    pub examination: Option<Examination>,
    /// Why there is no examination.
    pub rejection: Option<Rejection>,
    /// The least bound in the claim's norm that was found acceptable; infinite if none is.
    pub bound: f64,
    /// The first-order influence of the roundings in the claim's norm, at its largest.
    pub rounding: f64,
    /// The largest |p − q| + Σ|Sᵢ| at a sampled point, in the claim's norm.
    attained: f64,
    stale: u8,
    has_seam: bool,
}

impl Section {
    /// Examines the inputs from `low` to `high`.
    pub fn new(draft: &Entry, seams: &Seams, low: i64, high: i64, degree: u8) -> Section {
        let tail = seams.in_tail(low, high);
        let mut section = Section {
            low,
            high,
            tail,
            examination: None,
            rejection: None,
            bound: f64::INFINITY,
            rounding: 0.0,
            attained: 0.0,
            stale: 0,
            has_seam: low < high && seams.cut_of(low, high).1,
        };
        let mut found = Examination::new(draft, low, high, degree, tail);
        if let (Err(Rejection::Function { .. }), true) = (&found, tail) {
            section.tail = false;
            found = Examination::new(draft, low, high, degree, false);
        } else if let (Err(Rejection::Function { .. }), false) = (&found, tail) {
            // Where a series has no enclosure, as of e^(−1/x) near zero, intervals may have one.
            if let Ok(coarse) = Examination::new(draft, low, high, degree, true) {
                (section.tail, found) = (true, Ok(coarse));
            }
        }
        match found {
            Ok(examination) => {
                let sampled = Sampled::new(draft, &examination);
                section.attained = sampled.total;
                section.rounding = sampled.rounding;
                section.bound = least_bound(draft, &examination, sampled.needed).unwrap_or(f64::INFINITY);
                section.examination = Some(examination);
            }
            Err(rejection) => section.rejection = Some(rejection),
        }
        section
    }

    /// Whether cutting cannot improve the bound.
    pub fn is_converged(&self) -> bool {
        // A piece with a seam inside follows bits both ways that its inputs decide.
        self.low == self.high || !self.has_seam && (self.bound <= self.attained * CONVERGED || self.stale >= STALE_MAX)
    }

    /// The two sections on both sides of the best cut.
    pub fn split(&self, draft: &Entry, seams: &Seams, degree: u8) -> (Section, Section) {
        let (start, at_seam) = seams.cut_of(self.low, self.high);
        let mut left = Section::new(draft, seams, self.low, start - 1, degree);
        let mut right = Section::new(draft, seams, start, self.high, degree);
        for half in [&mut left, &mut right] {
            let improved = at_seam || half.bound <= 0.995 * self.bound || !half.bound.is_finite();
            half.stale = if improved { 0 } else { self.stale + 1 };
        }
        (left, right)
    }
}

/// An examination's models in double precision.
struct Sampled {
    /// |p − q| + Σ|Sᵢ| where it is largest.
    total: f64,
    /// Σ|Sᵢ| where it is largest.
    rounding: f64,
    /// |p − q| and everything that the checker adds to it, where that is largest: at most the bound it accepts.
    needed: f64,
}

impl Sampled {
    fn new(draft: &Entry, examination: &Examination) -> Sampled {
        let unit = 2f64.powi(i32::from(draft.program.output().1.bits()));
        let (absolute, relative) = (draft.claim.norm.absolute.to_f64_lossy(), draft.claim.norm.relative.to_f64_lossy());
        let q = coefficients(&examination.reference().polynomial.0);
        let inherited = &examination.reference().error;
        let mut sampled = Sampled { total: 0.0, rounding: 0.0, needed: 0.0 };
        for output in examination.outputs() {
            let difference = output.polynomial.plus(&examination.reference().polynomial, &IBig::NEG_ONE);
            let difference = coefficients(&difference.0);
            let symbols: Vec<Vec<f64>> = output.symbols.values().map(|symbol| coefficients(&symbol.0)).collect();
            let spread = output.rounding_magnitude() + &output.remainder + inherited;
            let spread = coefficients(&[spread])[0];
            for i in 0..=SAMPLES {
                let t = 2.0 * f64::from(i) / f64::from(SAMPLES) - 1.0;
                let weight = unit * absolute + relative * at(&q, t).abs();
                let rounding = symbols.iter().map(|symbol| at(symbol, t).abs()).sum::<f64>() / weight;
                sampled.rounding = sampled.rounding.max(rounding);
                sampled.needed = sampled.needed.max((at(&difference, t).abs() + spread) / weight);
                sampled.total = sampled.total.max(at(&difference, t).abs() / weight + rounding);
            }
        }
        sampled
    }
}

/// A polynomial of a model in double precision, in output units.
pub fn coefficients(polynomial: &[IBig]) -> Vec<f64> {
    polynomial.iter().map(|c| c.to_f64().value() / 2f64.powi(FRACTION as i32)).collect()
}

/// Its value at `t`.
pub fn at(polynomial: &[f64], t: f64) -> f64 {
    polynomial.iter().rev().fold(0.0, |sum, c| sum * t + c)
}

/// The least bound in the claim's norm that the checker accepts for the piece, within a per mille where it matters;
/// `sampled` is a lower bound of it.
fn least_bound(draft: &Entry, examination: &Examination, sampled: f64) -> Option<f64> {
    let claim = &draft.claim;
    let accepts = |bound: f64| {
        let Some(bound) = decimal_above(bound) else { return false };
        examination.fits(&Claim { bound, ..claim.clone() }).is_ok()
    };
    if accepts(0.0) {
        return Some(0.0);
    }
    if claim.norm.relative == Decimal::ZERO {
        let unit = 2f64.powi(i32::from(draft.program.output().1.bits()) + FRACTION as i32);
        let error = &examination.reference().error;
        let total = |output: &Model| {
            let difference = output.polynomial.plus(&examination.reference().polynomial, &IBig::NEG_ONE);
            difference.supremum(5) + output.rounding_magnitude() + &output.remainder + error
        };
        let total = examination.outputs().iter().map(total).max()?;
        let bound = total.to_f64().value() / unit / claim.norm.absolute.to_f64_lossy() * (1.0 + 1e-9) + 1e-30;
        return accepts(bound).then_some(bound);
    }
    let (mut low, mut high) = (sampled.max(1e-20), sampled.max(1e-20) * 1.0003);
    let mut factor = 1.001;
    while !accepts(high) {
        low = high;
        high *= factor;
        factor = (factor * factor * factor).min(64.0);
        if high > 1e12 {
            return None;
        }
    }
    while high > 1.002 * low && low > 0.0 {
        let middle = (low * high).sqrt();
        if accepts(middle) { high = middle } else { low = middle }
    }
    Some(high)
}

/// A decimal of nine digits that is not below `value`.
fn decimal_above(value: f64) -> Option<Decimal> {
    let exact = RBig::try_from(value).ok()?;
    Decimal::round_up(&exact, 9)
}
