//! Other ways to choose from the same candidates: what a user without this tuner would do.
//!
//! Greedy choice and hill climbing follow CrypTorch (its tuner changes one site at a time and scores every change by a
//! pass over the calibration set); here a score is the bit-exact simulation, which theirs is not, so they are stronger
//! than the original.

use catalogs::protocol::cost;
use catalogs::protocol::rss3::Rss3;
use runtime::circuit::lower::Choice;
use runtime::plan::ChoiceRecord;
use runtime::tuner::assignment::Quantity;
use runtime::tuner::{Attempt, Candidate, Error, Problem, Progress};
use std::collections::BTreeMap;
use verify::Certified;

/// Sites with their candidates.
type Places = Vec<(usize, usize)>;

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
    let attempt = problem.attempt(least_certified(problem))?;
    Ok(attempt.map(|attempt| Way { attempt, simulated: 1, stopped: false }).map_err(|exclusion| exclusion.to_string()))
}

/// The choice of least certified error at every site, of equals the fastest.
fn least_certified(problem: &Problem<'_>) -> Vec<usize> {
    let sites = problem.candidates().iter().zip(problem.prices());
    let least = sites.map(|(candidates, prices)| {
        let order = |index: &usize| (candidates[*index].error, prices[*index].of(Quantity::Seconds));
        let all = 0..candidates.len();
        all.min_by(|a, b| {
            let (a, b) = (order(a), order(b));
            a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
        })
    });
    least.map(Option::unwrap_or_default).collect()
}

/// One choice for all sites of a kind: the fastest combination that passes.
pub fn uniform(problem: &Problem<'_>, progress: &mut dyn FnMut(Progress)) -> Found {
    let mut kinds: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, site) in problem.sites().iter().enumerate() {
        kinds.entry(site.kind.name()).or_default().push(index);
    }
    // Per kind, what every one of its sites has: the candidate's place at each.
    let shared: Vec<Vec<Places>> = kinds.values().map(|sites| shared(problem, sites)).collect();
    if let Some(kind) = shared.iter().position(Vec::is_empty) {
        let name = kinds.keys().nth(kind).copied().unwrap_or_default();
        return Ok(Err(format!("no single choice is admissible at every {name} site")));
    }
    let mut combinations: Vec<Vec<usize>> = vec![vec![0; problem.sites().len()]];
    for choices in &shared {
        let longer = |chosen: &Vec<usize>| -> Vec<Vec<usize>> {
            let set = |choice: &Places| {
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
        match accepted(problem, combinations[middle].clone(), &mut simulated, progress)? {
            Some(attempt) => (high, best) = (middle, Some(attempt)),
            None => low = middle + 1,
        }
    }
    let way = |attempt| Way { attempt, simulated, stopped: false };
    Ok(best.map(way).ok_or_else(|| "no uniform choice passes".into()))
}

/// The choices that all of `sites` can have, without those that another one beats at seconds and error.
fn shared(problem: &Problem<'_>, sites: &[usize]) -> Vec<Places> {
    let mut known: Vec<ChoiceRecord> = Vec::new();
    let mut shared: Vec<(Places, [f64; 2])> = Vec::new();
    for candidate in sites.iter().flat_map(|&site| &problem.candidates()[site]) {
        let record = alike(&candidate.record);
        if known.contains(&record) {
            continue;
        }
        known.push(record);
        let places = sites.iter().map(|&site| Some((site, place(problem, site, candidate)?)));
        let Some(places) = places.collect::<Option<Places>>() else { continue };
        let total = |quantity: Quantity| {
            places.iter().map(|&(site, index)| problem.prices()[site][index].of(quantity)).sum::<f64>()
        };
        let price = [total(Quantity::Seconds), total(Quantity::Error)];
        shared.push((places, price));
    }
    shared.sort_by(|a, b| a.1[0].total_cmp(&b.1[0]).then(a.1[1].total_cmp(&b.1[1])));
    let mut least = f64::INFINITY;
    shared.retain(|(_, [_, error])| {
        let stays = *error < least;
        least = least.min(*error);
        stays
    });
    shared.into_iter().map(|(places, _)| places).collect()
}

/// A site's candidate that is the same choice: the same entries combined alike, or, where the tuner left it out for one that
/// is better there at everything, that one, which favours this way. How a maximum is grouped and how many bits it compares
/// is each site's own matter.
fn place(problem: &Problem<'_>, site: usize, wanted: &Candidate) -> Option<usize> {
    let candidates = &problem.candidates()[site];
    let seconds = |index: &usize| problem.prices()[site][*index].of(Quantity::Seconds);
    let fastest = |fits: &dyn Fn(&Candidate) -> bool| {
        let found = (0..candidates.len()).filter(|&index| fits(&candidates[index]));
        found.min_by(|a, b| seconds(a).total_cmp(&seconds(b)))
    };
    let record = alike(&wanted.record);
    fastest(&|own| alike(&own.record) == record).or_else(|| fastest(&|own| serves(&own.choice, &wanted.choice)))
}

/// Whether a choice is combined like another, of entries at the same scales that are as accurate and cost no more.
fn serves(choice: &Choice, other: &Choice) -> bool {
    let no_worse = |a: &Certified, b: &Certified| {
        let scales = |entry: &Certified| (entry.program().input().1, entry.program().output().1);
        let (own, limit) = (cost(a.program(), &Rss3), cost(b.program(), &Rss3));
        scales(a) == scales(b)
            && a.claim().absolute_part() <= b.claim().absolute_part()
            && a.claim().relative_part() <= b.claim().relative_part()
            && own.rounds <= limit.rounds
            && own.bits <= limit.bits
    };
    match (choice, other) {
        (Choice::Unary { entry: a }, Choice::Unary { entry: b }) => no_worse(a, b),
        (
            Choice::Softmax { maximum: m, exp: a, reciprocal: c, normalise_last: x },
            Choice::Softmax { maximum: n, exp: b, reciprocal: d, normalise_last: y },
        ) => m.coarse == n.coarse && x == y && no_worse(a, b) && no_worse(c, d),
        (Choice::Normalisation { rsqrt: a, centre: x }, Choice::Normalisation { rsqrt: b, centre: y }) => {
            x == y && no_worse(a, b)
        }
        (Choice::Maximum { maximum: m }, Choice::Maximum { maximum: n }) => m.coarse <= n.coarse,
        _ => false,
    }
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
    let start = least_certified(problem);
    let Some(mut best) = accepted(problem, start, &mut simulated, progress)? else {
        return Ok(Err("the most accurate choice does not pass".into()));
    };
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
            match accepted(problem, chosen, &mut simulated, progress)? {
                Some(attempt) => (to, best) = (middle, attempt),
                None => from = middle + 1,
            }
        }
    }
    Ok(Ok(Way { attempt: best, simulated, stopped: false }))
}

/// From the most accurate choice, again and again the change of one site that saves most and passes.
pub fn hill_climbing(problem: &Problem<'_>, most: usize, progress: &mut dyn FnMut(Progress)) -> Found {
    let mut simulated = 0;
    let start = least_certified(problem);
    let Some(mut best) = accepted(problem, start, &mut simulated, progress)? else {
        return Ok(Err("the most accurate choice does not pass".into()));
    };
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
        match accepted(problem, chosen, &mut simulated, progress)? {
            Some(attempt) => best = attempt,
            // Later changes only lose more accuracy.
            None => drop(refused.insert((site, candidate))),
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

/// Simulates a choice as far as it takes to know whether its plan is accepted.
fn accepted(
    problem: &Problem<'_>,
    chosen: Vec<usize>,
    simulated: &mut usize,
    progress: &mut dyn FnMut(Progress),
) -> Result<Option<Attempt>, Error> {
    *simulated += 1;
    let price = problem.price(&chosen);
    let (seconds, error) = (price.of(Quantity::Seconds), price.of(Quantity::Error));
    progress(Progress::Simulation { candidate: *simulated, seconds, error: Some(error) });
    problem.accepted(chosen)
}
