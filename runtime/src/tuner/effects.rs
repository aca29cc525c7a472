//! What every candidate does to the model's output, measured: the *effect* of a site.
//!
//! The site alone is computed as its candidate would, bit for bit, on the arguments that the plain model has on a few
//! calibration inputs, with all roundings low and with all roundings high; everything after it is plain. What moves is
//! kept element by element of the output, so that the movements of all sites can be added up with their signs
//! ([`Effects::outlook`]); the largest movement is what an integer program can add up, and no sum of movements exceeds
//! the sum of the largest ([`Effects::effect`]).
//!
//! A softmax that may be divided last is looked at together with the product that follows it. Candidates that differ in
//! how their maximum is grouped compute the same, unless its comparisons leave out bits and it is the site's result. Of
//! the candidates of a site only those are followed to the output that no other beats at cost and at what the site itself
//! shows, until a bound on multiply-adds is reached; another one is taken to move the output like the one most like it,
//! in proportion to their errors at the site.

use crate::circuit::ideal::RoundingMode;

/// How roundings are chosen.
pub(super) const MODES: [RoundingMode; 2] = [RoundingMode::AllLow, RoundingMode::AllHigh];

/// A difference from the plain outputs, one list per mode: all outputs of all inputs, one after the other.
pub(super) type Movement = Vec<Vec<f64>>;

/// What the candidates of every site do to the outputs.
pub struct Effects {
    pub(super) sites: Vec<SiteEffects>,
    /// The plain outputs.
    pub(super) plain: Vec<f64>,
    /// Elements of an input's first output.
    pub(super) row: usize,
    /// How many inputs there are.
    pub(super) examples: usize,
    /// What the circuit beside its sites does.
    pub(super) base: Movement,
}

/// What the candidates of one site do.
pub(super) struct SiteEffects {
    /// For every candidate the way of computing that it is.
    pub way_of: Vec<usize>,
    /// The ways.
    pub ways: Vec<Way>,
}

/// A way of computing a site.
#[derive(Clone)]
pub(super) struct Way {
    /// Root of the mean square of its error at the site.
    pub deviation: f64,
    /// Largest movement of an output.
    pub effect: f64,
    /// Whose movement it is taken to have, times what; none if nothing of the site was followed.
    pub like: Option<(usize, f64)>,
    /// Its own movement, if it was followed.
    pub followed: Option<Movement>,
}

/// What a choice is expected to show on the calibration inputs that effects were measured on.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Outlook {
    /// Largest difference of an output from the plain model.
    pub error: f64,
    /// The least cosine of an input's first output with the plain model's; none where one is zero.
    pub cosine: Option<f64>,
}

impl Effects {
    /// The largest movement of an output by a candidate alone.
    pub fn effect(&self, site: usize, candidate: usize) -> f64 {
        self.way(site, candidate).effect
    }

    /// The largest movement of an output by the circuit beside its sites.
    pub fn base(&self) -> f64 {
        largest(&self.base)
    }

    /// How a choice's sites move the outputs together, as far as that is known.
    pub(super) fn movement(&self, chosen: &[usize]) -> Movement {
        let mut moved: Movement = vec![vec![0.0; self.plain.len()]; MODES.len()];
        for (site, way) in self.over(chosen) {
            let Some((source, factor)) = way.like else { continue };
            let followed = self.sites[site].ways[source].followed.iter().flatten();
            for (moved, own) in moved.iter_mut().zip(followed) {
                moved.iter_mut().zip(own).for_each(|(sum, own)| *sum += factor * own);
            }
        }
        moved
    }

    /// What a choice is expected to show: movements added up, as they do while they are small.
    pub fn outlook(&self, chosen: &[usize]) -> Outlook {
        let mut outlook = Outlook { error: 0.0, cosine: Some(1.0) };
        // What no movement is known of counts with all of its effect.
        let unknown: f64 = self.over(chosen).filter(|(_, way)| way.like.is_none()).map(|(_, way)| way.effect).sum();
        let row = self.row.max(1);
        for (mut moved, base) in self.movement(chosen).into_iter().zip(&self.base) {
            moved.iter_mut().zip(base).for_each(|(sum, base)| *sum += base);
            let error = moved.iter().fold(0.0f64, |error, own| error.max(own.abs()));
            outlook.error = outlook.error.max(error + unknown);
            for (plain, moved) in self.plain.chunks(row).zip(moved.chunks(row)).take(self.examples) {
                outlook.cosine = outlook.cosine.zip(cosine(plain, moved)).map(|(a, b)| a.min(b));
            }
        }
        outlook
    }

    /// Additions for every site of an outlook.
    pub(super) fn outlook_work(&self) -> f64 {
        (self.plain.len() * MODES.len()) as f64
    }

    fn way(&self, site: usize, candidate: usize) -> &Way {
        let own = &self.sites[site];
        &own.ways[own.way_of[candidate]]
    }

    fn over<'a>(&'a self, chosen: &'a [usize]) -> impl Iterator<Item = (usize, &'a Way)> {
        chosen.iter().enumerate().map(|(site, &candidate)| (site, self.way(site, candidate)))
    }
}

/// Of an output and the same moved.
fn cosine(plain: &[f64], moved: &[f64]) -> Option<f64> {
    let (mut dot, mut own, mut other) = (0.0, 0.0, 0.0);
    for (a, b) in plain.iter().zip(moved) {
        let b = a + b;
        (dot, own, other) = (dot + a * b, own + a * a, other + b * b);
    }
    Some(dot / (own * other).sqrt()).filter(|cosine| cosine.is_finite())
}

pub(super) fn largest(movement: &Movement) -> f64 {
    movement.iter().flatten().fold(0.0, |largest, moved| largest.max(moved.abs()))
}
