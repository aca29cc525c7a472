//! Which choices exist for a site: the catalog's entries whose functions and formats fit, and ways to combine them.

use super::{Error, maxima};
use crate::circuit::headroom::Interval;
use crate::circuit::lower::{Centre, Choice, Comparisons, Formats, Logits, catalog_function, has_own_scales};
use crate::graph::{Site, SiteKind};
use crate::plan::{ChoiceRecord, EntryRecord};
use catalogs::protocol::Width;
use catalogs::protocol::rss3::Rss3;
use catalogs::{Format, Scale};
use std::sync::Arc;
use verify::Certified;
use verify::compose::{SoftmaxLowering, Subtracted, shifted_softmax};

/// A proved entry with its published name.
#[derive(Clone)]
pub(super) struct Named {
    /// The entry.
    pub certified: Arc<Certified>,
    /// The same for the plan's file.
    pub record: EntryRecord,
}

/// A choice, and the same for the plan's file.
pub(super) type Pair = (Choice, ChoiceRecord);

fn function(kind: SiteKind) -> Option<catalogs::Function> {
    match kind {
        SiteKind::Rectifier => Some(catalogs::Function::Relu),
        SiteKind::Activation(function) => catalog_function(function),
        _ => None,
    }
}

/// What is known of a site's values before it has a choice.
pub(super) struct Reach {
    /// Bits that maxima compare.
    pub width: u8,
    /// The logits of a softmax, if ranges are proved.
    pub logits: Option<Bounds>,
}

/// Public bounds of a softmax's logits, in integers at the scale of activations.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    low: i64,
    high: i64,
    scale: Scale,
    /// The fewest elements of a row that are not masked.
    terms: u32,
}

impl Bounds {
    /// Quarters around what is proved, since a plan is public and need not tell more of the weights. What is proved is
    /// taken a little wider, by a thirty-second of itself and of one: other entries before the site move its logits.
    pub fn around(range: Interval, scale: Scale, terms: usize) -> Option<Bounds> {
        let quarter = 1i128 << scale.bits().saturating_sub(2);
        let more = quarter / 8 + range.magnitude() / 32;
        let low = range.low.checked_sub(more)?.div_euclid(quarter).checked_mul(quarter)?;
        let high = range.high.checked_add(more + quarter - 1)?.div_euclid(quarter).checked_mul(quarter)?;
        let [low, high] = [i64::try_from(low).ok()?, i64::try_from(high).ok()?];
        Some(Bounds { low, high, scale, terms: u32::try_from(terms).ok()? })
    }

    /// The bounds with what exponentials have to be raised by for two entries, if they are close enough.
    fn of(self, row: usize, exp: &Certified, reciprocal: &Certified) -> Option<Logits> {
        let lowering =
            SoftmaxLowering { n: u32::try_from(row).ok()?, spread: self.high.checked_sub(self.low)?, last: None };
        let serves = |&raised: &u8| {
            let subtracted = Subtracted::Public { terms: self.terms, raised };
            shifted_softmax(&lowering, subtracted, exp, reciprocal).is_ok()
        };
        let raised = (0..=Logits::MAX_RAISED).find(serves)?;
        let real = |bound: i64| bound as f64 * (-f64::from(self.scale.bits())).exp2();
        Some(Logits { low: real(self.low), high: real(self.high), raised })
    }
}

/// Choices whose formats fit; maxima are a tree. Softmaxes without maximum come last.
pub(super) fn options(site: &Site, entries: &[Named], formats: Formats, reach: &Reach) -> Result<Vec<Pair>, Error> {
    let width = reach.width;
    let activation = formats.activation();
    let of =
        |function: catalogs::Function| entries.iter().filter(move |named| named.certified.claim().function == function);
    let input = |named: &Named| format_of(named.certified.program().input());
    let output = |named: &Named| format_of(named.certified.program().output());
    // A value is known modulo every smaller power of two.
    let takes = |named: &Named, format: Format| input(named).scale == format.scale && input(named).ring <= format.ring;
    let mut options = Vec::new();
    match site.kind {
        SiteKind::Rectifier | SiteKind::Activation(_) => {
            let function = function(site.kind).ok_or_else(|| Error::Site {
                site: site.name.clone(),
                kind: site.kind.name(),
                reason: "the catalog's functions do not include it".into(),
            })?;
            let own_scales = has_own_scales(&function);
            let fits = |named: &Named| match own_scales {
                true => input(named).ring == activation.ring && output(named).ring == activation.ring,
                false => takes(named, activation) && output(named) == activation,
            };
            for named in of(function).filter(|named| fits(named)) {
                let choice = Choice::Unary { entry: named.certified.clone() };
                options.push((choice, ChoiceRecord::Unary { entry: named.record.clone() }));
            }
        }
        SiteKind::Maximum => {
            options.extend(left_out(width, activation.scale).map(|coarse| {
                let maximum = || Comparisons { width, groups: vec![2], joined: 1, coarse };
                (Choice::Maximum { maximum: maximum() }, ChoiceRecord::Maximum { maximum: maximum() })
            }));
        }
        SiteKind::Softmax => {
            let fits = |exp: &Named, reciprocal: &Named| {
                takes(exp, activation) && takes(reciprocal, output(exp)) && output(exp).ring == activation.ring
            };
            let pairs = of(catalogs::Function::Exp)
                .flat_map(|exp| of(catalogs::Function::Reciprocal).map(move |reciprocal| (exp, reciprocal)));
            let pairs: Vec<(&Named, &Named)> = pairs.filter(|(exp, reciprocal)| fits(exp, reciprocal)).collect();
            for (exp, reciprocal) in &pairs {
                for (normalise_last, coarse) in ways(reciprocal, activation) {
                    let maximum = Comparisons { width, groups: vec![2], joined: 1, coarse };
                    let choice = Choice::Softmax {
                        maximum: maximum.clone(),
                        exp: exp.certified.clone(),
                        reciprocal: reciprocal.certified.clone(),
                        normalise_last,
                    };
                    let record = ChoiceRecord::Softmax {
                        maximum,
                        exp: exp.record.clone(),
                        reciprocal: reciprocal.record.clone(),
                        normalise_last,
                    };
                    options.push((choice, record));
                }
            }
            options.extend(pairs.iter().flat_map(|(exp, reciprocal)| without_maximum(site, exp, reciprocal, reach)));
        }
        SiteKind::Normalisation => {
            for rsqrt in of(catalogs::Function::Rsqrt) {
                for centre in [Centre::Rounded, Centre::Exact] {
                    let choice = Choice::Normalisation { rsqrt: rsqrt.certified.clone(), centre };
                    let record = ChoiceRecord::Normalisation {
                        rsqrt: rsqrt.record.clone(),
                        centre_exactly: centre == Centre::Exact,
                    };
                    options.push((choice, record));
                }
            }
        }
    }
    Ok(options)
}

/// A softmax without maximum, divided first and last, where logits are proved to be close enough for two entries.
fn without_maximum(site: &Site, exp: &Named, reciprocal: &Named, reach: &Reach) -> Vec<Pair> {
    let of = |bounds: Bounds| bounds.of(site.row_length, &exp.certified, &reciprocal.certified);
    let Some(logits) = reach.logits.and_then(of) else { return Vec::new() };
    let pair = |normalise_last: bool| {
        let (e, r) = (exp.certified.clone(), reciprocal.certified.clone());
        let choice = Choice::SoftmaxWithoutMaximum { logits, exp: e, reciprocal: r, normalise_last };
        let (exp, reciprocal) = (exp.record.clone(), reciprocal.record.clone());
        (choice, ChoiceRecord::SoftmaxWithoutMaximum { logits, exp, reciprocal, normalise_last })
    };
    [false, true].map(pair).to_vec()
}

/// Whether a softmax is divided last, and the bits that its maximum leaves out: one unit of what is left is half, so
/// that the exponentials sum up to e^−1 at least, if the reciprocal reaches down so far.
fn ways(reciprocal: &Named, activation: Format) -> Vec<(bool, u8)> {
    let mut ways = vec![(false, 0), (true, 0)];
    let (claim, scale) = (reciprocal.certified.claim(), reciprocal.certified.program().input().1.bits());
    let reaches = claim.window.low as f64 * (-f64::from(scale)).exp2() < 0.36;
    if reaches && activation.scale.bits() > 1 {
        ways.push((true, activation.scale.bits() - 1));
    }
    ways
}

/// Where most bits are left out, a maximum of one level is below the true one by less than 2 to minus this.
const COARSEST: u8 = 2;
/// At least so many bits are compared.
const LEAST_COMPARED: u8 = 4;

/// How many bits comparisons of a pool may leave out: none, or of the most and what is less every other number, each of a
/// quarter of the error of the one before.
fn left_out(width: u8, scale: Scale) -> impl Iterator<Item = u8> {
    let most = scale.bits().saturating_sub(COARSEST + 1).min(width.saturating_sub(LEAST_COMPARED));
    std::iter::once(0).chain((1..=most).rev().step_by(2))
}

fn format_of((ring, scale): (catalogs::Ring, catalogs::Scale)) -> Format {
    Format { ring, scale }
}

/// The same choice with every way to group a maximum that is best at some balance of rounds and bytes.
pub(super) fn groupings(site: &Site, option: &Pair, formats: Formats) -> Vec<Pair> {
    let mut regrouped = Vec::new();
    let by = match &option.0 {
        Choice::Softmax { maximum, .. } | Choice::Maximum { maximum } => maximum.clone(),
        _ => return vec![option.clone()],
    };
    let compared = Width::of(by.width.saturating_sub(by.coarse).max(2));
    for way in maxima::front(site.row_length, formats.ring, compared, &Rss3) {
        let (mut choice, mut record) = option.clone();
        if let Choice::Softmax { maximum, .. } | Choice::Maximum { maximum } = &mut choice {
            (maximum.groups, maximum.joined) = way.clone();
        }
        if let ChoiceRecord::Softmax { maximum, .. } | ChoiceRecord::Maximum { maximum } = &mut record {
            (maximum.groups, maximum.joined) = way;
        }
        regrouped.push((choice, record));
    }
    regrouped
}
