//! Other ways to choose from the same candidates: what a user without this tuner would do.
//!
//! Greedy choice and hill climbing follow CrypTorch (its tuner changes one site at a time and scores every change by a
//! pass over the calibration set); here a score is the bit-exact simulation, which theirs is not, so they are stronger
//! than the original.

use runtime::plan::ChoiceRecord;
use runtime::tuner::assignment::{self, Quantity};
use runtime::tuner::{Attempt, Error, Problem, Progress};
use std::collections::BTreeMap;

/// What a way gives.
pub struct Way {
    /// The plan.
    pub attempt: Attempt,
    /// Plans that were simulated.
    pub simulated: usize,
    /// Whether that was the most it may simulate, so that it is not at its end.
    pub stopped: bool,
}

/// What a way gives, or why it gives none.
pub type Found = Result<Result<Way, String>, Error>;

/// Entries of least certified error at every site.
pub fn most_accurate(problem: &Problem<'_>) -> Found {
    let attempt = problem.attempt(assignment::least(problem.prices(), Quantity::Error))?;
    Ok(Ok(Way { attempt, simulated: 1, stopped: false }))
}

/// One choice for all sites of a kind: the fastest combination that passes.
pub fn uniform(problem: &Problem<'_>, progress: &mut dyn FnMut(Progress)) -> Found {
    let mut kinds: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, site) in problem.sites().iter().enumerate() {
        kinds.entry(site.kind.name()).or_default().push(index);
    }
    // Per kind, what every one of its sites has: the candidate's place at each.
    let shared: Vec<Vec<Vec<(usize, usize)>>> = kinds.values().map(|sites| shared(problem, sites)).collect();
    if let Some(kind) = shared.iter().position(Vec::is_empty) {
        let name = kinds.keys().nth(kind).copied().unwrap_or_default();
        return Ok(Err(format!("no single choice is admissible at every {name} site")));
    }
    let mut combinations: Vec<Vec<usize>> = vec![vec![0; problem.sites().len()]];
    for choices in &shared {
        let longer = |chosen: &Vec<usize>| -> Vec<Vec<usize>> {
            let set = |choice: &Vec<(usize, usize)>| {
                let mut chosen = chosen.clone();
                choice.iter().for_each(|&(site, candidate)| chosen[site] = candidate);
                chosen
            };
            choices.iter().map(set).collect()
        };
        combinations = combinations.iter().flat_map(longer).collect();
    }
    // Fastest first, without those that are slower and no more accurate.
    let price = |chosen: &Vec<usize>| problem.price(chosen);
    combinations.sort_by(|a, b| price(a).of(Quantity::Seconds).total_cmp(&price(b).of(Quantity::Seconds)));
    let mut least = f64::INFINITY;
    combinations.retain(|chosen| {
        let error = price(chosen).of(Quantity::Error);
        let stays = error < least;
        least = least.min(error);
        stays
    });
    let mut simulated = 0;
    let (mut low, mut high) = (0, combinations.len());
    let mut best = None;
    while low < high {
        let middle = (low + high) / 2;
        let attempt = simulate(problem, combinations[middle].clone(), &mut simulated, progress)?;
        match attempt.unmet.is_empty() {
            true => (high, best) = (middle, Some(attempt)),
            false => low = middle + 1,
        }
    }
    let way = |attempt| Way { attempt, simulated, stopped: false };
    Ok(best.map(way).ok_or_else(|| "no uniform choice passes".into()))
}

/// The choices that all of `sites` have among their undominated candidates.
fn shared(problem: &Problem<'_>, sites: &[usize]) -> Vec<Vec<(usize, usize)>> {
    let Some((&first, others)) = sites.split_first() else { return Vec::new() };
    let prices = &problem.prices()[first];
    let key = |index: usize| [Quantity::Seconds, Quantity::Error].map(|quantity| prices[index].of(quantity));
    // By another one that is no worse at both; of equals the first stays.
    let beaten = |index: usize| {
        let beats = |other: usize| {
            let (own, theirs) = (key(index), key(other));
            theirs[0] <= own[0] && theirs[1] <= own[1] && (theirs != own || other < index)
        };
        (0..prices.len()).any(|other| other != index && beats(other))
    };
    // The same entries, combined alike; how a maximum is grouped and how many bits it compares is each site's own matter.
    let place = |site: usize, candidate: usize| {
        let wanted = alike(&problem.candidates()[first][candidate].record);
        let same = |index: &usize| alike(&problem.candidates()[site][*index].record) == wanted;
        let seconds = |index: usize| problem.prices()[site][index].of(Quantity::Seconds);
        let found = (0..problem.candidates()[site].len()).filter(same);
        found.min_by(|&a, &b| seconds(a).total_cmp(&seconds(b))).map(|index| (site, index))
    };
    let everywhere = |candidate: usize| {
        let places = others.iter().map(|&site| place(site, candidate)).collect::<Option<Vec<_>>>()?;
        Some([vec![(first, candidate)], places].concat())
    };
    let candidates = 0..problem.candidates()[first].len();
    candidates.filter(|&candidate| !beaten(candidate)).filter_map(everywhere).collect()
}

/// A choice without what its maximum does.
fn alike(record: &ChoiceRecord) -> ChoiceRecord {
    let mut record = record.clone();
    if let ChoiceRecord::Softmax { maximum, .. } | ChoiceRecord::Maximum { maximum } = &mut record {
        (maximum.width, maximum.groups, maximum.joined) = (0, Vec::new(), 0);
    }
    record
}

/// From the most accurate choice, site by site the fastest candidate with which the plan still passes, by bisection as
/// CrypTorch's binary greedy tuner does it.
pub fn greedy(problem: &Problem<'_>, most: usize, progress: &mut dyn FnMut(Progress)) -> Found {
    let mut simulated = 0;
    let start = assignment::least(problem.prices(), Quantity::Error);
    let mut best = simulate(problem, start, &mut simulated, progress)?;
    if !best.unmet.is_empty() {
        return Ok(Err("the most accurate choice does not pass".into()));
    }
    for site in 0..problem.sites().len() {
        // Fastest first, so that what passes lies behind what does not.
        let candidates = faster(problem, site, best.chosen[site]);
        let (mut from, mut to) = (0, candidates.len());
        while from < to {
            if simulated >= most {
                return Ok(Ok(Way { attempt: best, simulated, stopped: true }));
            }
            // The fastest first: at most sites it passes.
            let middle = if from == 0 && to == candidates.len() { 0 } else { (from + to) / 2 };
            let mut chosen = best.chosen.clone();
            chosen[site] = candidates[middle];
            let attempt = simulate(problem, chosen, &mut simulated, progress)?;
            match attempt.unmet.is_empty() {
                true => (to, best) = (middle, attempt),
                false => from = middle + 1,
            }
        }
    }
    Ok(Ok(Way { attempt: best, simulated, stopped: false }))
}

/// From the most accurate choice, again and again the change of one site that saves most and passes.
pub fn hill_climbing(problem: &Problem<'_>, most: usize, progress: &mut dyn FnMut(Progress)) -> Found {
    let mut simulated = 0;
    let start = assignment::least(problem.prices(), Quantity::Error);
    let mut best = simulate(problem, start, &mut simulated, progress)?;
    if !best.unmet.is_empty() {
        return Ok(Err("the most accurate choice does not pass".into()));
    }
    let seconds = |site: usize, candidate: usize| problem.prices()[site][candidate].of(Quantity::Seconds);
    let mut refused = std::collections::BTreeSet::new();
    loop {
        let sites = 0..problem.sites().len();
        let changes = sites.flat_map(|site| {
            faster(problem, site, best.chosen[site]).into_iter().map(move |candidate| (site, candidate))
        });
        let saved = |&(site, candidate): &(usize, usize)| seconds(site, best.chosen[site]) - seconds(site, candidate);
        let mut changes: Vec<(usize, usize)> = changes.filter(|change| !refused.contains(change)).collect();
        changes.sort_by(|a, b| saved(b).total_cmp(&saved(a)));
        let Some(&(site, candidate)) = changes.first() else { break };
        if simulated >= most {
            return Ok(Ok(Way { attempt: best, simulated, stopped: true }));
        }
        let mut chosen = best.chosen.clone();
        chosen[site] = candidate;
        let attempt = simulate(problem, chosen, &mut simulated, progress)?;
        match attempt.unmet.is_empty() {
            true => best = attempt,
            // Later changes only lose more accuracy.
            false => drop(refused.insert((site, candidate))),
        }
    }
    Ok(Ok(Way { attempt: best, simulated, stopped: false }))
}

/// Candidates of a site that are faster than `than`, the fastest first; of equally fast ones the most accurate.
fn faster(problem: &Problem<'_>, site: usize, than: usize) -> Vec<usize> {
    let prices = &problem.prices()[site];
    let key = |index: &usize| (prices[*index].of(Quantity::Seconds), prices[*index].of(Quantity::Error));
    let mut all: Vec<usize> = (0..prices.len()).filter(|index| key(index).0 < key(&than).0).collect();
    all.sort_by(|a, b| key(a).0.total_cmp(&key(b).0).then(key(a).1.total_cmp(&key(b).1)));
    all.dedup_by(|later, earlier| key(later).0 == key(earlier).0);
    // What is slower and no more accurate than another one is no step.
    let mut least = f64::INFINITY;
    all.retain(|index| {
        let stays = key(index).1 < least;
        least = least.min(key(index).1);
        stays
    });
    all
}

fn simulate(
    problem: &Problem<'_>,
    chosen: Vec<usize>,
    simulated: &mut usize,
    progress: &mut dyn FnMut(Progress),
) -> Result<Attempt, Error> {
    *simulated += 1;
    let price = problem.price(&chosen);
    let (seconds, error) = (price.of(Quantity::Seconds), price.of(Quantity::Error));
    progress(Progress::Simulation { candidate: *simulated, seconds, error });
    problem.attempt(chosen)
}
