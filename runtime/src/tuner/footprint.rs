//! Choices that need more memory than a run may have.
//!
//! Memory is the greatest sum over the rounds of a run of what is kept in each, so no candidate has a share of it that could
//! be added up, and no linear program over candidates knows it. A choice that exceeds the limit is therefore left out like
//! one that cannot be proved: it is narrowed down to the fewest of its sites that still exceed the limit beside the
//! candidates of least memory elsewhere, and the integer program goes on without those. Where one site is enough, all of its
//! candidates that exceed the limit beside them go at once. That takes memory to be monotone: less at one site is never more
//! for the run.

use super::Error;
use super::assignment::Combination;
use super::exclusion::{Cause, Exclusion, fewest};
use super::problem::Problem;
use crate::circuit;
use crate::plan::node_number;
use crate::session::work::Footprint;
use crate::transport::SideBySide;
use catalogs::protocol::rss3::Rss3;
use rayon::prelude::*;

/// How often the site that needs most is looked at again.
const SWEEPS: usize = 8;

/// A choice and the memory of its run.
#[derive(Clone, Debug)]
pub(super) struct Frugal {
    /// The index of every site's candidate.
    pub chosen: Vec<usize>,
    /// Bytes of one party.
    pub bytes: u64,
    /// The part of the model that has most of them.
    pub place: String,
}

impl Problem<'_> {
    /// What of a choice needs more memory than a run may have, where its run is predicted to have `bytes`.
    pub(super) fn too_much_memory(&self, chosen: &[usize], bytes: u64) -> Result<Option<Exclusion>, Error> {
        let limit = self.request().budget.memory;
        if bytes as f64 <= limit {
            return Ok(None);
        }
        let frugal = self.frugal()?;
        let with = |set: &[usize]| {
            let mut choice = frugal.chosen.clone();
            set.iter().for_each(|&site| choice[site] = chosen[site]);
            choice
        };
        let exceeds =
            |choice: &[usize]| self.memory_of(choice).is_ok_and(|own| own.peak_bytes(SideBySide::ONE) as f64 > limit);
        let others: Vec<usize> = (0..chosen.len()).filter(|&site| frugal.chosen[site] != chosen[site]).collect();
        // Where even the least exceeds the limit, no site is named: every choice has that combination.
        let sites = fewest(&[], &others, &|set| exceeds(&with(set)));
        let mut members: Vec<(usize, Vec<usize>)> = sites.iter().map(|&site| (site, vec![chosen[site]])).collect();
        if let Some((site, own)) = members.first_mut() {
            let site = *site;
            let rest: Vec<usize> = (0..self.candidates()[site].len()).filter(|index| *index != chosen[site]).collect();
            let failing = rest.into_par_iter().filter(|&index| {
                let mut choice = with(&sites);
                choice[site] = index;
                exceeds(&choice)
            });
            own.extend(failing.collect::<Vec<usize>>());
        }
        let names: Vec<String> = sites.iter().map(|&site| self.sites()[site].name.clone()).collect();
        let place = names.first().unwrap_or(&frugal.place).clone();
        let cause = Cause::Memory { place, bytes, limit };
        Ok(Some(Exclusion { combination: Combination { members }, sites: names, cause }))
    }

    /// A choice of little memory: at every site the candidate with which least is kept while the site is computed, and
    /// then other ones where most is kept, as long as that helps.
    pub(super) fn frugal(&self) -> Result<&Frugal, Error> {
        if let Some(known) = self.known_frugal().get() {
            return Ok(known);
        }
        let found = self.find_frugal()?;
        Ok(self.known_frugal().get_or_init(|| found))
    }

    fn find_frugal(&self) -> Result<Frugal, Error> {
        let counts: Vec<usize> = self.candidates().iter().map(Vec::len).collect();
        let most = counts.iter().copied().max().unwrap_or(0);
        // One candidate at every site at a time: what is kept at one site is little changed by what others choose.
        let kept = (0..most).into_par_iter().map(|index| {
            let chosen: Vec<usize> = counts.iter().map(|count| index.min(count - 1)).collect();
            self.with_circuit(&chosen, |circuit, footprint| {
                let sites = self.sites().iter().map(|site| footprint.at_site(circuit, node_number(site.node)));
                sites.collect::<Vec<u64>>()
            })
        });
        // What cannot be built has no memory.
        let kept: Vec<Option<Vec<u64>>> = kept.map(Result::ok).collect();
        let least = counts.iter().enumerate().map(|(site, &count)| {
            let own = |index: usize| kept[index].as_ref().map_or(u64::MAX, |kept| kept[site]);
            (0..count).min_by_key(|&index| own(index)).unwrap_or(0)
        });
        let mut found = self.measured(least.collect())?;
        for _ in 0..SWEEPS {
            let Some(site) = self.sites().iter().position(|site| site.name == found.place) else { break };
            let others = (0..counts[site]).into_par_iter().filter(|&index| index != found.chosen[site]);
            let others = others.filter_map(|index| {
                let mut chosen = found.chosen.clone();
                chosen[site] = index;
                self.measured(chosen).ok()
            });
            match others.collect::<Vec<Frugal>>().into_iter().min_by_key(|other| other.bytes) {
                Some(other) if other.bytes < found.bytes => found = other,
                _ => break,
            }
        }
        Ok(found)
    }

    fn measured(&self, chosen: Vec<usize>) -> Result<Frugal, Error> {
        let (bytes, place) = self.with_circuit(&chosen, |circuit, footprint| {
            (footprint.peak_bytes(SideBySide::ONE), footprint.heaviest(circuit).unwrap_or_default().to_owned())
        })?;
        Ok(Frugal { chosen, bytes, place })
    }

    fn memory_of(&self, chosen: &[usize]) -> Result<Footprint, Error> {
        self.with_circuit(chosen, |_, footprint| footprint.clone())
    }

    fn with_circuit<T>(
        &self,
        chosen: &[usize],
        look: impl FnOnce(&circuit::Circuit, &Footprint) -> T,
    ) -> Result<T, Error> {
        let lowered = self.lowered(chosen)?;
        let schedule = circuit::schedule(&lowered.circuit, &Rss3)?;
        let footprint = self.counter().footprint(&lowered.circuit, &schedule).map_err(Box::new)?;
        Ok(look(&lowered.circuit, &footprint))
    }
}
