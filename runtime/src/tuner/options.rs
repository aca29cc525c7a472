//! Which choices exist for a site: the catalog's entries whose functions and formats fit, and ways to combine them.

use super::{Error, maxima};
use crate::circuit::lower::{Centre, Choice, Comparisons, Formats, catalog_function};
use crate::graph::{Site, SiteKind};
use crate::plan::{ChoiceRecord, EntryRecord};
use catalogs::Format;
use catalogs::protocol::rss3::Rss3;
use std::sync::Arc;
use verify::Certified;

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

/// Choices whose formats fit; maxima compare `width` bits, by a tree.
pub(super) fn options(site: &Site, entries: &[Named], formats: Formats, width: u8) -> Result<Vec<Pair>, Error> {
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
            // What reaches from very small to very large has its own scales, to and from which the sites around round.
            let rescaled =
                matches!(function, catalogs::Function::Log | catalogs::Function::Sqrt | catalogs::Function::Reciprocal);
            let fits = |named: &Named| match rescaled {
                true => input(named).ring == activation.ring && output(named).ring == activation.ring,
                false => takes(named, activation) && output(named) == activation,
            };
            for named in of(function).filter(|named| fits(named)) {
                let choice = Choice::Unary { entry: named.certified.clone() };
                options.push((choice, ChoiceRecord::Unary { entry: named.record.clone() }));
            }
        }
        SiteKind::Maximum => {
            let maximum = || Comparisons { width, groups: vec![2], joined: 1, coarse: 0 };
            options.push((Choice::Maximum { maximum: maximum() }, ChoiceRecord::Maximum { maximum: maximum() }));
        }
        SiteKind::Softmax => {
            for exp in of(catalogs::Function::Exp).filter(|named| takes(named, activation)) {
                for reciprocal in of(catalogs::Function::Reciprocal)
                    .filter(|named| takes(named, output(exp)) && output(exp).ring == activation.ring)
                {
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
            }
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

fn format_of((ring, scale): (catalogs::Ring, catalogs::Scale)) -> Format {
    Format { ring, scale }
}

/// The same choice with every way to group a maximum that is best at some balance of rounds and bytes.
pub(super) fn groupings(site: &Site, option: &Pair, formats: Formats) -> Vec<Pair> {
    let mut regrouped = Vec::new();
    let by = match &option.0 {
        Choice::Softmax { maximum, .. } | Choice::Maximum { maximum } => maximum.clone(),
        Choice::Unary { .. } | Choice::Normalisation { .. } => return vec![option.clone()],
    };
    for way in maxima::front(site.row_length, formats.ring, by.width.saturating_sub(by.coarse).max(2), &Rss3) {
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
