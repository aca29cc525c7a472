//! What cannot stand together: candidates of which each is admissible beside the widest entries elsewhere, but which
//! widen the ranges that are proved behind them so far that a window or a ring is left.
//!
//! A choice that fails its proof is narrowed down to a few of its sites: with theirs chosen and the most accurate
//! candidate everywhere else, the proof still fails at the same place. Ranges grow with errors, so every choice that has
//! those few is taken to fail as well, and the integer program does without them. The few are found by QuickXplain
//! (U. Junker, 2004): about 2·k·log(n/k) proofs for k of n sites.
//!
//! What is excluded is only what is not proved; nothing that is chosen rests on it, since every choice is proved before it
//! becomes a plan.
//!
//! Choices that need too much memory are excluded alike ([`super::footprint`]).

use super::assignment::Combination;
use crate::circuit::Error;
use std::fmt;
use std::sync::Arc;

/// Combinations of several sites that are excluded before whole candidates are: where many sites widen a range a little
/// each, there are too many combinations to meet them one by one.
const COMBINATIONS_MAX: usize = 64;

/// A combination that is no part of a plan.
#[derive(Clone, Debug)]
pub struct Exclusion {
    /// Its sites and candidates.
    pub combination: Combination,
    /// The names of its sites.
    pub sites: Vec<String>,
    /// Why.
    pub cause: Cause,
}

/// Why a combination is no part of a plan.
#[derive(Clone, Debug)]
pub enum Cause {
    /// A window or a ring is left: where, and by what.
    Proof(Arc<Error>),
    /// A run would need too much memory.
    Memory {
        /// The first of its sites, or the part of the model that needs most whatever is chosen.
        place: String,
        /// Bytes of the choice in which that was found.
        bytes: u64,
        /// Bytes that a run may have.
        limit: f64,
    },
}

impl Exclusion {
    /// The site, or the part of the model, where the proof fails or memory runs out.
    pub fn place(&self) -> &str {
        match &self.cause {
            Cause::Proof(error) => place(error).unwrap_or_default(),
            Cause::Memory { place, .. } => place,
        }
    }

    /// Whether it is about what can be proved.
    pub fn is_of_proof(&self) -> bool {
        matches!(self.cause, Cause::Proof(_))
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cause::Proof(error) => error.fmt(f),
            Cause::Memory { place, bytes, limit } => {
                write!(f, "{place}: {} of memory, at most {}", megabytes(*bytes as f64), megabytes(*limit))
            }
        }
    }
}

/// Bytes for people.
pub(super) fn megabytes(bytes: f64) -> String {
    format!("{:.3} MB", bytes / 1e6)
}

impl fmt::Display for Exclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let others: Vec<&str> = self.sites.iter().map(String::as_str).filter(|site| *site != self.place()).collect();
        match others.is_empty() {
            true => write!(f, "{}", self.cause),
            false => write!(f, "{}; beside the choice at {}", self.cause, others.join(", ")),
        }
    }
}

/// Where a proof fails for what was chosen, by name; none where no choice would help.
pub(super) fn place(error: &Error) -> Option<&str> {
    match error {
        Error::Window { site, .. } | Error::Logits { site, .. } | Error::Bound { site, .. } => Some(site),
        Error::Choice { site, .. } => Some(site),
        Error::Headroom { group, .. } | Error::Differences { group, .. } => Some(group),
        _ => None,
    }
}

/// The fewest of `suspects` that fail together with `given`, if failing is monotone. All of them do.
pub(super) fn fewest(given: &[usize], suspects: &[usize], fails: &dyn Fn(&[usize]) -> bool) -> Vec<usize> {
    explain(given, suspects, fails, true)
}

/// The same; whether `given` fails alone need not be asked again where it is known.
fn explain(given: &[usize], suspects: &[usize], fails: &dyn Fn(&[usize]) -> bool, ask: bool) -> Vec<usize> {
    if suspects.is_empty() || ask && fails(given) {
        return Vec::new();
    }
    if suspects.len() == 1 {
        return suspects.to_vec();
    }
    let (first, second) = suspects.split_at(suspects.len() / 2);
    let of_second = explain(&[given, first].concat(), second, fails, true);
    let of_first = explain(&[given, &of_second].concat(), first, fails, !of_second.is_empty());
    [of_first, of_second].concat()
}

/// A combination as it is excluded when so many others are known already: as it is, and later only one of its sites, the
/// first at which something else is left, so that the search ends.
pub(super) fn bounded(
    combination: Combination,
    known: &[Exclusion],
    candidates: impl Fn(usize) -> usize,
) -> Combination {
    if known.len() < COMBINATIONS_MAX || combination.members.len() < 2 {
        return combination;
    }
    let alone = |site: usize, own: &[usize]| {
        let gone = |candidate: &usize| {
            let excluded = known.iter().filter_map(|known| known.combination.alone());
            own.contains(candidate) || excluded.into_iter().any(|(place, all)| place == site && all.contains(candidate))
        };
        (0..candidates(site)).all(|candidate| gone(&candidate))
    };
    let mut members = combination.members;
    let place = members.iter().position(|(site, own)| !alone(*site, own)).unwrap_or(0);
    Combination { members: vec![members.swap_remove(place)] }
}

/// A line for every place at which a proof failed, with the first reason.
pub(super) fn lines(exclusions: &[Exclusion]) -> Vec<String> {
    let mut places: Vec<(&Exclusion, usize)> = Vec::new();
    for exclusion in exclusions.iter().filter(|exclusion| exclusion.is_of_proof()) {
        match places.iter_mut().find(|(first, _)| first.place() == exclusion.place()) {
            Some((_, count)) => *count += 1,
            None => places.push((exclusion, 1)),
        }
    }
    let line = |(first, count): (&Exclusion, usize)| match count {
        1 => first.to_string(),
        _ => format!("{first} (and {} more there)", count - 1),
    };
    places.into_iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_few_that_fail_together_are_found() {
        let suspects: Vec<usize> = (0..20).collect();
        let culprits: [&[usize]; 6] = [&[], &[0], &[19], &[3, 4], &[0, 7, 19], &[1, 2, 11, 12, 13]];
        for culprits in culprits {
            let asked = std::cell::Cell::new(0);
            let fails = |set: &[usize]| {
                asked.set(asked.get() + 1);
                culprits.iter().all(|own| set.contains(own))
            };
            assert_eq!(fewest(&[], &suspects, &fails), culprits);
            assert!(asked.get() <= 1 + 2 * culprits.len() * 5, "{} proofs", asked.get());
            // What is given is not named.
            let rest: Vec<usize> = culprits.iter().copied().filter(|own| *own != 3).collect();
            assert_eq!(fewest(&[3], &suspects, &fails), rest);
        }
    }

    #[test]
    fn many_combinations_end_in_candidates() {
        let of = |members: Vec<(usize, Vec<usize>)>| Exclusion {
            combination: Combination { members },
            sites: vec!["a".into(), "b".into()],
            cause: Cause::Proof(Arc::new(Error::Choice { site: "b".into(), reason: "no".into() })),
        };
        let pair = || Combination { members: vec![(1, vec![0]), (0, vec![2])] };
        let mut known = vec![of(pair().members); COMBINATIONS_MAX - 1];
        assert_eq!(bounded(pair(), &known, |_| 2), pair());
        known.push(of(pair().members));
        assert_eq!(bounded(pair(), &known, |_| 2).members, [(1, vec![0])]);
        // Nothing else is left at the first site; then not at the second either.
        known.push(of(vec![(1, vec![1])]));
        assert_eq!(bounded(pair(), &known, |_| 3).members, [(1, vec![0])]);
        assert_eq!(bounded(pair(), &known, |site| if site == 1 { 2 } else { 3 }).members, [(0, vec![2])]);
        known.push(of(vec![(0, vec![0, 1])]));
        assert_eq!(bounded(pair(), &known, |site| if site == 1 { 2 } else { 3 }).members, [(1, vec![0])]);
    }

    #[test]
    fn a_reason_names_the_place_and_what_stands_beside() {
        let combination = Combination { members: vec![(1, vec![0]), (0, vec![2])] };
        let cause = Cause::Proof(Arc::new(Error::Choice { site: "b".into(), reason: "too narrow".into() }));
        let exclusion = Exclusion { combination, sites: vec!["b".into(), "a".into()], cause };
        assert_eq!((exclusion.place(), exclusion.to_string()), ("b", "b: too narrow; beside the choice at a".into()));
        let twice = lines(&[exclusion.clone(), exclusion.clone()]);
        assert_eq!(twice, ["b: too narrow; beside the choice at a (and 1 more there)"]);
        assert_eq!(lines(&[exclusion]), ["b: too narrow; beside the choice at a"]);
        assert_eq!(place(&Error::Circuit("something else".into())), None);
    }
}
