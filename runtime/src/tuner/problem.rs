//! A model to be tuned: candidates and prices of every site, and what a choice of them gives.

mod draft;

pub(super) use draft::Draft;

use super::admissible::{self, Admissible, Candidate, Wish};
use super::assignment::{self, Combination, Price, Prices, Quantity};
use super::effects::{Effects, Outlook};
use super::exclusion::{self, Cause, Exclusion};
use super::following::{Subject, way};
use super::footprint::Frugal;
use super::groundwork::{Ground, Groundwork};
use super::prover::{Proved, Prover};
use super::rings;
use super::{Error, Progress, Request, Verdict};
use crate::circuit::{
    self,
    lower::{Choice, lower},
};
use crate::cost::Work;
use crate::graph::{Graph, NodeId, Site};
use crate::plan::{ChoiceRecord, Plan, node_number};
use crate::transport::{Shaping, SideBySide};
use catalogs::protocol::rss3::Rss3;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use verify::Certified;

/// Parties of the protocol.
const PARTIES: f64 = 3.0;

/// A model with everything that a choice is made from.
pub struct Problem<'a> {
    request: &'a Request<'a>,
    prover: &'a Prover<'a>,
    ground: &'a Ground,
    /// How many runs of a session take turns, decided once for all choices; a plan has fewer where its memory does not fit.
    side_by_side: SideBySide,
    sites: Vec<Site>,
    candidates: Vec<Vec<Candidate>>,
    refusals: BTreeMap<usize, String>,
    sensitivities: Vec<f64>,
    /// What candidates do to the outputs; none where nothing is chosen.
    effects: Option<Effects>,
    prices: Vec<Vec<Price>>,
    /// What a run costs beside its sites.
    base: Price,
    /// What was tried already.
    attempts: Mutex<BTreeMap<Vec<usize>, Attempt>>,
    /// What was found not to stand together.
    exclusions: Mutex<Vec<Exclusion>>,
    /// A choice of little memory, where one was looked for.
    frugal: OnceLock<Frugal>,
}

/// A choice for every site, its plan, and what the simulation showed.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The index of every site's candidate.
    pub chosen: Vec<usize>,
    /// The plan.
    pub plan: Plan,
    /// Predicted seconds of its run in the ring of the formats everywhere; the plan may have narrower ones.
    pub seconds: f64,
    /// The public structure that the plan is about, at its batch.
    pub structure: Graph,
    /// What was measured.
    pub verdict: Verdict,
    /// What the plan does not meet, in words; empty for a plan that is accepted.
    pub unmet: Vec<String>,
}

impl Problem<'_> {
    /// Finds and proves the candidates, measures sensitivities, prices all of it, and shows the problem to `work`.
    pub fn explore<T>(
        request: &Request<'_>,
        progress: &mut dyn FnMut(Progress),
        work: impl FnOnce(&Problem<'_>, &mut dyn FnMut(Progress)) -> Result<T, Error>,
    ) -> Result<T, Error> {
        Problem::explore_on(&Groundwork::default(), request, &|_, _| Wish::First, progress, work)
    }

    /// The same, sharing what is known of the model with other explorations of it, and with wishes about the candidates.
    pub fn explore_on<T>(
        groundwork: &Groundwork,
        request: &Request<'_>,
        wishes: &(dyn Fn(&Site, &ChoiceRecord) -> Wish + Sync),
        progress: &mut dyn FnMut(Progress),
        work: impl FnOnce(&Problem<'_>, &mut dyn FnMut(Progress)) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let ground = groundwork.of(request)?;
        let prover = Prover::new(request, &ground);
        let Admissible { candidates, refusals } = admissible::find(request, &prover, wishes, progress)?;
        let sites = prover.single.sites();
        let sensitivities = match request.quick {
            true => vec![0.0; sites.len()],
            false => ground.sensitivities(request)?.to_vec(),
        };
        let side_by_side = match request.side_by_side {
            SideBySide::ONE => SideBySide::ONE,
            _ => {
                let chosen: Vec<usize> = candidates.iter().map(|options| most_accurate(options)).collect();
                let choices = choices_of(&sites, &candidates, &chosen);
                let lowered = lower(&ground.structure, &choices, prover.formats, prover.ownership)?;
                draft::fastest_number(request, &mut prover.counter(), &lowered.circuit)?
            }
        };
        let priced = |candidate: &Candidate| price(request, side_by_side, candidate);
        let mut prices: Vec<Vec<Price>> =
            candidates.iter().map(|options| options.iter().map(priced).collect()).collect();
        let subject = Subject {
            request,
            ground: &ground,
            single: prover.single,
            candidates: &candidates,
            prices: &prices,
            sensitivities: &sensitivities,
            formats: prover.formats,
            ownership: prover.ownership,
        };
        let effects = if request.quick { None } else { Some(subject.measure()?) };
        for (site, options) in prices.iter_mut().enumerate() {
            for (index, price) in options.iter_mut().enumerate() {
                let effect = effects.as_ref().map_or(0.0, |effects| effects.effect(site, index));
                *price = price.with(Quantity::Error, effect);
            }
        }
        let mut problem = Problem {
            request,
            prover: &prover,
            ground: &ground,
            side_by_side,
            sites,
            candidates,
            refusals,
            sensitivities,
            effects,
            prices,
            base: Price::default(),
            attempts: Mutex::default(),
            exclusions: Mutex::default(),
            frugal: OnceLock::new(),
        };
        let base_error = problem.effects.as_ref().map_or(0.0, Effects::base);
        problem.fit_to_run()?;
        problem.base = problem.base.with(Quantity::Error, base_error);
        work(&problem, progress)
    }

    /// The request.
    pub fn request(&self) -> &Request<'_> {
        self.request
    }

    /// The sites, in the order of everything here.
    pub fn sites(&self) -> &[Site] {
        &self.sites
    }

    /// The candidates of every site.
    pub fn candidates(&self) -> &[Vec<Candidate>] {
        &self.candidates
    }

    /// Why something is no candidate of a site, if something is not: the last reason that was found.
    pub fn refusal(&self, site: usize) -> Option<&str> {
        self.refusals.get(&site).map(String::as_str)
    }

    /// What every candidate adds.
    pub fn prices(&self) -> &Prices {
        &self.prices
    }

    /// What a run costs beside its sites: inputs, sums, outputs. Less where sites share rounds.
    pub fn base_price(&self) -> &Price {
        &self.base
    }

    /// What a choice is predicted to have.
    pub fn price(&self, chosen: &[usize]) -> Price {
        assignment::total(&self.prices, chosen).plus(&self.base)
    }

    /// Whether effects were measured, so that errors are predicted.
    pub fn predicts_errors(&self) -> bool {
        self.effects.is_some()
    }

    /// What a choice is expected to show on a few calibration inputs; `None` where no effects were measured.
    pub fn outlook(&self, chosen: &[usize]) -> Option<Outlook> {
        self.effects.as_ref().map(|effects| effects.outlook(chosen))
    }

    /// Additions of an outlook's site.
    pub(super) fn outlook_work(&self) -> f64 {
        self.effects.as_ref().map_or(0.0, Effects::outlook_work)
    }

    /// How much of what the constraint allows a choice is expected to use; where it asks for neither error nor cosine,
    /// the error.
    pub(super) fn strain(&self, chosen: &[usize]) -> f64 {
        let Some(outlook) = self.outlook(chosen) else { return 0.0 };
        self.request.constraint.strain(outlook.error, outlook.cosine).unwrap_or(outlook.error)
    }

    /// The choice of a plan of the same model, if all of it is among the candidates.
    pub fn choice_of(&self, plan: &Plan) -> Option<Vec<usize>> {
        let site = |(site, options): (&Site, &Vec<Candidate>)| {
            let record = plan.site.iter().find(|record| record.node == node_number(site.node))?;
            options.iter().position(|candidate| candidate.record == record.choice)
        };
        self.sites.iter().zip(&self.candidates).map(site).collect()
    }

    /// The site with the largest share of `quantity`.
    pub fn heaviest(&self, chosen: &[usize], quantity: Quantity) -> String {
        let share = |site: usize| self.prices[site][chosen[site]].of(quantity);
        let heaviest = (0..self.sites.len()).max_by(|&a, &b| share(a).total_cmp(&share(b)));
        heaviest.map_or_else(String::new, |site| self.sites[site].name.clone())
    }

    /// Fits prices to the run of one choice, that of least predicted error, counted in its circuit at the batch that was asked
    /// for.
    ///
    /// *Base*: what that run takes less what its sites add: weights are moved once a run, whatever its inputs. The price of
    /// that choice is thus what its plan is predicted to take. Of other choices it is off by what their sites share
    /// differently: sites that work side by side share rounds, and here as many are taken to be shared as in that choice.
    ///
    /// *Runs side by side*: what one computes is hidden behind what another sends, or the other way round. The seconds of all
    /// sites are less by the share that is hidden in that run, whatever they are seconds of: an estimate, so that the
    /// optimality gap is one too.
    fn fit_to_run(&mut self) -> Result<(), Error> {
        let (request, runs) = (self.request, self.side_by_side);
        let chosen = assignment::least(&self.prices, Quantity::Error);
        let lowered = self.lowered(&chosen)?;
        let schedule = circuit::schedule(&lowered.circuit, &Rss3)?;
        let run = self.predicted(&lowered, &schedule, runs, 0.0)?;
        if !runs.is_one() {
            let work =
                self.prover.counter().timeline(&lowered.circuit, &schedule).map_err(Box::new)?.work(SideBySide::ONE);
            let share_seen = (run.seconds_per_run / added_up(request, runs, work)).min(1.0);
            for price in self.prices.iter_mut().flatten() {
                *price = price.with(Quantity::Seconds, share_seen * price.of(Quantity::Seconds));
            }
        }
        let whole = Price::default()
            .with(Quantity::Seconds, run.seconds_per_run)
            .with(Quantity::Bytes, run.bytes_per_run as f64);
        let sites = assignment::total(&self.prices, &chosen);
        let beside = |quantity: Quantity| whole.of(quantity) - sites.of(quantity);
        self.base = Price::default()
            .with(Quantity::Seconds, beside(Quantity::Seconds))
            .with(Quantity::Bytes, beside(Quantity::Bytes));
        Ok(())
    }

    /// Sites have the same nodes at every batch.
    fn choices(&self, chosen: &[usize]) -> BTreeMap<NodeId, Choice> {
        choices_of(&self.sites, &self.candidates, chosen)
    }

    /// The choice of least `aim` within `limits` that has nothing of what was excluded.
    pub fn solve(&self, aim: Quantity, limits: &Price) -> Option<Vec<usize>> {
        assignment::solve_without(&self.prices, aim, limits, &self.excluded())
    }

    /// The same of the choices that are none of the `known` ones.
    pub(super) fn solve_beside(&self, aim: Quantity, limits: &Price, known: &[Vec<usize>]) -> Option<Vec<usize>> {
        let whole = |chosen: &Vec<usize>| Combination {
            members: chosen.iter().enumerate().map(|(site, &index)| (site, vec![index])).collect(),
        };
        let excluded: Vec<Combination> = self.excluded().into_iter().chain(known.iter().map(whole)).collect();
        assignment::solve_without(&self.prices, aim, limits, &excluded)
    }

    /// What was found not to stand together so far, in that order.
    pub fn exclusions(&self) -> Vec<Exclusion> {
        locked(&self.exclusions).clone()
    }

    /// The same as lines for people, one for every site or part of the model at which a proof failed.
    pub fn excluded_lines(&self) -> Vec<String> {
        exclusion::lines(&locked(&self.exclusions))
    }

    /// Why a choice is known to be no plan.
    pub fn exclusion(&self, chosen: &[usize]) -> Option<Exclusion> {
        locked(&self.exclusions).iter().find(|known| known.combination.is_in(chosen)).cloned()
    }

    /// What an error is called if no choice is left because of what was excluded.
    pub fn nothing_left(&self) -> Option<Error> {
        let exclusions = self.exclusions();
        let left = |about_proofs: bool| {
            let own = exclusions.iter().filter(|known| !about_proofs || known.is_of_proof());
            let own: Vec<Combination> = own.map(|known| known.combination.clone()).collect();
            assignment::solve_without(&self.prices, Quantity::Seconds, &Price::UNLIMITED, &own).is_some()
        };
        if exclusions.is_empty() || left(false) {
            return None;
        }
        if left(true) {
            return Some(self.no_memory());
        }
        let excluded = exclusions.iter().filter(|known| known.is_of_proof()).count();
        exclusions.iter().rev().find_map(|known| match &known.cause {
            Cause::Proof(error) => Some(Error::Together { excluded, error: Arc::clone(error) }),
            Cause::Memory { .. } => None,
        })
    }

    /// Whether choices were left out because of their memory.
    pub(super) fn limits_memory(&self) -> bool {
        locked(&self.exclusions).iter().any(|known| !known.is_of_proof())
    }

    /// Says how little memory there can be.
    fn no_memory(&self) -> Error {
        match self.frugal() {
            Ok(Frugal { bytes, place, .. }) => Error::Budget {
                limits: format!("{} of memory", exclusion::megabytes(self.request.budget.memory)),
                cheapest: format!("least that was found is {}", exclusion::megabytes(*bytes as f64)),
                site: place.clone(),
            },
            Err(error) => error,
        }
    }

    pub(super) fn known_frugal(&self) -> &OnceLock<Frugal> {
        &self.frugal
    }

    pub(super) fn counter(&self) -> MutexGuard<'_, crate::session::work::Counter> {
        self.prover.counter()
    }

    /// The candidates of a site that no other beats.
    pub(super) fn undominated(&self, site: usize, asked: &[Quantity]) -> Vec<usize> {
        assignment::candidates(site, &self.prices[site], asked, &self.excluded())
    }

    fn excluded(&self) -> Vec<Combination> {
        locked(&self.exclusions).iter().map(|known| known.combination.clone()).collect()
    }

    /// Proves a choice, or finds what of it cannot be proved together and excludes that.
    fn proved(&self, chosen: &[usize]) -> Result<Result<Proved, Exclusion>, Error> {
        if let Some(known) = self.exclusion(chosen) {
            return Ok(Err(known));
        }
        let error = match self.prover.prove(&self.choices(chosen)) {
            Ok(proved) => return Ok(Ok(proved)),
            Err(error) => error,
        };
        let Some(place) = exclusion::place(&error) else { return Err(error.into()) };
        let combination = self.combination(chosen, place);
        let mut known = locked(&self.exclusions);
        let combination = exclusion::bounded(combination, &known, |site| self.candidates[site].len());
        let sites = combination.members.iter().map(|(site, _)| self.sites[*site].name.clone()).collect();
        let exclusion = Exclusion { combination, sites, cause: Cause::Proof(Arc::new(error)) };
        known.push(exclusion.clone());
        Ok(Err(exclusion))
    }

    /// The least of a choice with which the proof still fails at `place`, beside the most accurate candidates elsewhere.
    fn combination(&self, chosen: &[usize], place: &str) -> Combination {
        let calm: Vec<usize> = self.candidates.iter().map(|options| most_accurate(options)).collect();
        let with = |set: &[usize]| {
            let mut choice = calm.clone();
            set.iter().for_each(|&site| choice[site] = chosen[site]);
            choice
        };
        let fails = |choice: &[usize]| {
            let outcome = self.prover.prove(&self.choices(choice));
            outcome.is_err_and(|error| exclusion::place(&error) == Some(place))
        };
        // Where the proof fails at a site, what is chosen there takes part.
        let limiting: Vec<usize> = self.sites.iter().position(|site| site.name == place).into_iter().collect();
        let others = (0..chosen.len()).filter(|site| calm[*site] != chosen[*site] && !limiting.contains(site));
        let others = exclusion::fewest(&limiting, &others.collect::<Vec<_>>(), &|set| fails(&with(set)));
        let all = [&limiting[..], &others].concat();
        let alike = |site: usize, candidate: usize| {
            let own = way(&self.candidates[site][candidate].record);
            let same = |index: &usize| way(&self.candidates[site][*index].record) == own;
            (0..self.candidates[site].len()).filter(same).collect::<Vec<usize>>()
        };
        let mut members: Vec<(usize, Vec<usize>)> = all.iter().map(|&site| (site, alike(site, chosen[site]))).collect();
        // What fails there as well beside the same others.
        if let (Some(&site), Some((_, own))) = (limiting.first(), members.first_mut()) {
            let firsts = (0..self.candidates[site].len()).filter(|&index| alike(site, index)[0] == index);
            let firsts: Vec<usize> = firsts.filter(|index| !own.contains(index)).collect();
            let failing = firsts.into_par_iter().filter(|&index| {
                let mut choice = with(&all);
                choice[site] = index;
                fails(&choice)
            });
            failing.collect::<Vec<usize>>().into_iter().for_each(|index| own.extend(alike(site, index)));
        }
        Combination { members }
    }

    /// A plan that passed with the rings with which its run is predicted to be fastest; the same plan where there are none,
    /// or where what is measured with them does not pass. And whether that was simulated.
    pub fn in_fastest_rings(&self, attempt: Attempt) -> Result<(Attempt, bool), Error> {
        if !attempt.plan.formats.rings.is_empty() {
            return Ok((attempt, false));
        }
        let plan = self.narrowed(&attempt.chosen)?;
        let Some(plan) = plan.filter(|plan| plan.predicted.seconds_per_run < attempt.seconds) else {
            return Ok((attempt, false));
        };
        let found = self.judged(&attempt.chosen, Draft { plan, seconds: attempt.seconds }, false)?;
        Ok((found.filter(|found| found.unmet.is_empty()).unwrap_or(attempt), true))
    }

    /// Drafts a plan of the choice, and simulates it or recalls what a simulation showed; or says what of the choice
    /// cannot be proved together.
    pub fn attempt(&self, chosen: Vec<usize>) -> Result<Result<Attempt, Exclusion>, Error> {
        Ok(match self.tried(chosen, false)? {
            Tried::Whole(attempt) => Ok(*attempt),
            Tried::Excluded(exclusion) => Err(exclusion),
            Tried::Lost => return Err(Error::Request("a simulation was not brought to its end".into())),
        })
    }

    /// The same of a choice that only matters if its plan is accepted: `None` if it is not, which may be known before
    /// everything was simulated.
    pub fn accepted(&self, chosen: Vec<usize>) -> Result<Option<Attempt>, Error> {
        Ok(match self.tried(chosen, true)? {
            Tried::Whole(attempt) => Some(*attempt).filter(|attempt| attempt.unmet.is_empty()),
            Tried::Excluded(_) | Tried::Lost => None,
        })
    }

    fn tried(&self, chosen: Vec<usize>, only_accepted: bool) -> Result<Tried, Error> {
        let whole = |attempt: Attempt| Ok(Tried::Whole(Box::new(attempt)));
        if let Some(known) = locked(&self.attempts).get(&chosen) {
            return whole(known.clone());
        }
        let draft = match self.drafted(&chosen, false)? {
            Ok(draft) => draft,
            Err(exclusion) => return Ok(Tried::Excluded(exclusion)),
        };
        self.simulated(chosen, draft, only_accepted)
            .map(|attempt| attempt.map_or(Tried::Lost, |own| Tried::Whole(own.into())))
    }

    /// What a simulation of a drafted choice shows; `None` as for [`Problem::judged`].
    pub(super) fn simulated(
        &self,
        chosen: Vec<usize>,
        draft: Draft,
        only_accepted: bool,
    ) -> Result<Option<Attempt>, Error> {
        let Some(attempt) = self.judged(&chosen, draft, only_accepted)? else { return Ok(None) };
        locked(&self.attempts).insert(chosen, attempt.clone());
        Ok(Some(attempt))
    }

    /// A drafted plan with what a simulation shows, or showed before, and what of it is not met; `None` for one that only
    /// matters if it is accepted, and is not, which may be known before everything was simulated.
    fn judged(&self, chosen: &[usize], draft: Draft, only_accepted: bool) -> Result<Option<Attempt>, Error> {
        let Draft { plan, seconds } = draft;
        let over = self.request.budget.exceeded(&plan.predicted);
        if only_accepted && !over.is_empty() {
            return Ok(None);
        }
        let (request, reference) = (self.request, &self.ground.reference);
        let key = reference.key(&plan);
        let verdict = match request.memory.recall(key).filter(|known| reference.believes(known, request)) {
            Some(known) => known,
            None => {
                let proved = self.proved_entries(chosen);
                let checked = plan.clone().check_proved(&self.ground.structure, request.catalog, proved)?;
                let only = only_accepted.then_some(&request.constraint);
                let Some(verdict) = reference.judge(&checked, request, only)? else { return Ok(None) };
                request.memory.keep(key, &verdict)?;
                verdict
            }
        };
        let mut unmet = request.constraint.unmet(&verdict);
        unmet.extend(over);
        let (chosen, structure) = (chosen.to_vec(), self.ground.structure.clone());
        Ok(Some(Attempt { chosen, plan, seconds, structure, verdict, unmet }))
    }

    /// The entries of a choice, which were proved when its candidates were found, by digest.
    fn proved_entries(&self, chosen: &[usize]) -> BTreeMap<String, Arc<Certified>> {
        let pairs = self.candidates.iter().zip(chosen).flat_map(|(options, &index)| {
            let Candidate { choice, record, .. } = &options[index];
            match (choice, record) {
                (Choice::Unary { entry }, ChoiceRecord::Unary { entry: name }) => vec![(name, entry)],
                (
                    Choice::Softmax { exp, reciprocal, .. },
                    ChoiceRecord::Softmax { exp: first, reciprocal: second, .. },
                ) => vec![(first, exp), (second, reciprocal)],
                (
                    Choice::SoftmaxWithoutMaximum { exp, reciprocal, .. },
                    ChoiceRecord::SoftmaxWithoutMaximum { exp: first, reciprocal: second, .. },
                ) => vec![(first, exp), (second, reciprocal)],
                (Choice::Normalisation { rsqrt, .. }, ChoiceRecord::Normalisation { rsqrt: name, .. }) => {
                    vec![(name, rsqrt)]
                }
                _ => Vec::new(),
            }
        });
        pairs.map(|(name, entry)| (name.digest.clone(), Arc::clone(entry))).collect()
    }
}

/// What became of a choice.
enum Tried {
    /// It was simulated.
    Whole(Box<Attempt>),
    /// It cannot be proved.
    Excluded(Exclusion),
    /// It is not accepted, and no more is known of it.
    Lost,
}

/// The candidate of least certified error, of equals the first.
pub(super) fn most_accurate(candidates: &[Candidate]) -> usize {
    let errors = candidates.iter().map(|candidate| candidate.error).enumerate();
    errors.min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(index, _)| index)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn choices_of(sites: &[Site], candidates: &[Vec<Candidate>], chosen: &[usize]) -> BTreeMap<NodeId, Choice> {
    let own = sites.iter().zip(candidates).zip(chosen);
    own.map(|((site, options), &index)| (site.node, options[index].choice.clone())).collect()
}

/// Seconds of this work of each of the runs side by side, as far as they can be added up: the way of their messages is waited
/// for once for all of them, if it is not hidden behind what they compute.
fn added_up(request: &Request<'_>, side_by_side: SideBySide, work: Work) -> f64 {
    let runs = side_by_side.get() as f64;
    let network = Shaping { round_trip_seconds: request.network.round_trip_seconds / runs, ..request.network };
    request.machine.seconds(&work.among(side_by_side), None) + network.seconds(&work)
}

/// A candidate's price in a run, but for its error.
fn price(request: &Request<'_>, side_by_side: SideBySide, candidate: &Candidate) -> Price {
    let run = candidate.work.side_by_side(request.batch);
    Price::default()
        .with(Quantity::Seconds, added_up(request, side_by_side, run))
        .with(Quantity::Bytes, PARTIES * run[crate::cost::Resource::Byte])
        .with(Quantity::Failure, candidate.failure * request.batch as f64)
}
