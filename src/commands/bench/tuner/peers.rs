//! Plans from other systems' approximations, in our runtime: from the audited catalog of what they publish, written at
//! this runtime's formats.
//!
//! At every site a system's own function stands where its certified window covers what is proved of the argument;
//! elsewhere ours does, as the tuned plan has it or, where that does not reach either, any other of ours, and the row says
//! so. A scalar function that can be kept beyond its window is limited, as `--clamp` would. Among a system's variants the
//! fastest plan that meets the constraint counts, otherwise the most accurate one. Maxima are ours: the comparison is of
//! approximations, not of protocols.

use super::fit::{self, Functions, Needed, Reach};
use super::giving_up::GivenUp;
use super::report::{Row, Share};
use crate::catalog_folder;
use crate::commands::tune::{RequestOptions, say};
use crate::failure::Failure;
use catalogs::Catalog;
use runtime::graph::Site;
use runtime::plan::{ChoiceRecord, Plan};
use runtime::tuner::assignment::{self, Price, Quantity};
use runtime::tuner::{self, Attempt, Groundwork, Problem, Request, Wish};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Systems by the prefix of their entries' stems.
const SYSTEMS: [(&str, &[&str]); 3] =
    [("CrypTen", &["crypten-"]), ("SPU", &["spu-", "puma"]), ("CrypTorch", &["cryptorch-"])];

/// What is evaluated together: a site has the one system's functions or ours.
pub const TOGETHER: [&[&str]; 2] = [&["exp", "reciprocal"], &["rsqrt"]];

/// Limits of the predicted error that are tried between a system's most accurate variants and its fastest.
const RUNGS: usize = 8;

/// What the rows are about.
pub struct Beside<'a> {
    /// The folder of the peers' catalog.
    pub folder: &'a Path,
    /// The shipped catalog.
    pub ours: &'a Catalog,
    /// The command's options.
    pub options: &'a RequestOptions,
    /// What is tuned.
    pub request: &'a Request<'a>,
    /// What is known of the model.
    pub groundwork: &'a Groundwork,
    /// The tuned plan.
    pub tuned: &'a Plan,
    /// Where catalogs of runs are written.
    pub place: &'a Path,
}

/// A row per system.
pub fn rows(beside: &Beside<'_>) -> Result<Vec<Row>, Failure> {
    let peers = catalog_folder::open(beside.folder)?;
    let needed = fit::needed(beside.groundwork, beside.request, beside.tuned)?;
    let mut rows = Vec::new();
    for (system, prefixes) in SYSTEMS {
        let functions = fit::of_system(&peers, prefixes).map_err(Failure::claim)?;
        rows.push(
            System {
                name: system,
                functions,
                needed: &needed,
                beside,
                notes: Vec::new(),
                given_up: GivenUp::default(),
            }
            .row()?,
        );
    }
    Ok(rows)
}

/// Whose functions a plan has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whose {
    /// The system's, at every site.
    Theirs,
    /// The system's, with limited arguments.
    Limited,
    /// The system's where they fit.
    Mixed,
    /// Ours.
    Ours,
}

struct System<'a> {
    name: &'static str,
    functions: Functions,
    needed: &'a [Needed],
    beside: &'a Beside<'a>,
    notes: Vec<String>,
    given_up: GivenUp,
}

impl System<'_> {
    fn row(mut self) -> Result<Row, Failure> {
        let mut whose = self.whose();
        // What no proof allows although windows fit falls back to ours, kind by kind and, beside each other, site by site.
        for _ in 0..=2 * whose.len() + self.needed.len() {
            if whose.values().all(|whose| *whose == Whose::Ours) {
                break;
            }
            let catalog = self.catalog(&whose)?;
            let mut request = Request { catalog: &catalog, start: None, ..self.beside.request.clone() };
            if whose.values().any(|whose| *whose == Whose::Limited) {
                match self.beside.options.limited(&request, &catalog) {
                    Ok(axes) => request.axes = axes,
                    Err(Failure::Claim(reason) | Failure::Input(reason) | Failure::Peer(reason)) => {
                        self.notes.push(format!("ours instead of limited: {reason}"));
                        whose.values_mut().filter(|whose| **whose == Whose::Limited).for_each(|own| *own = Whose::Ours);
                        continue;
                    }
                }
            }
            match self.best(&request) {
                Ok(found) => return self.finished(&catalog, &request, found),
                Err(tuner::Error::Site { site, kind, reason }) => {
                    let functions: Vec<&str> = match kind {
                        "softmax" => TOGETHER[0].to_vec(),
                        "layer norm" => TOGETHER[1].to_vec(),
                        own => vec![own],
                    };
                    let theirs = functions.iter().filter(|function| whose.get(**function) != Some(&Whose::Ours));
                    if theirs.count() > 0 {
                        self.notes.push(format!("{}: ours: no plan at {site}: {reason}", functions.join(", ")));
                        whose.extend(functions.iter().map(|function| ((*function).to_owned(), Whose::Ours)));
                    } else if !self.given_up.offer_all_of_ours(&functions) {
                        return Ok(self.without(format!("no plan at {site}: {reason}")));
                    }
                }
                Err(tuner::Error::Together { error, .. })
                    if self.given_up.after(&error, &self.functions, &mut whose) => {}
                Err(error) => return Ok(self.without(error.to_string())),
            }
        }
        let known: BTreeSet<&str> = self.needed.iter().map(|needed| needed.function.as_str()).collect();
        let known: Vec<&str> = known.into_iter().filter(|function| *function != "relu").collect();
        Ok(self.without(match known.is_empty() {
            true => "the model has comparisons only (ReLU, maxima), which every system computes exactly".into(),
            false => format!("none of its functions reaches as far as the model's {} do", known.join(", ")),
        }))
    }

    fn without(self, reason: String) -> Row {
        Row { notes: self.notes, ..Row::without(&format!("(c) {}", self.name), reason) }
    }

    /// Whose functions fit, by the ranges that are proved of the tuned plan.
    fn whose(&mut self) -> BTreeMap<String, Whose> {
        let mut whose = BTreeMap::new();
        let present: BTreeSet<&str> = self.needed.iter().map(|needed| needed.function.as_str()).collect();
        let reach = |function: &str| match self.functions.get(function) {
            Some(offered) => fit::reach(self.needed, function, offered),
            None => {
                let all = self.needed.iter().filter(|needed| needed.function == function).count();
                Reach { served: BTreeSet::new(), all, obstacle: Some(format!("{function}: the system has none")) }
            }
        };
        let mut notes = Vec::new();
        for together in TOGETHER {
            let reaches: Vec<Reach> =
                together.iter().filter(|own| present.contains(**own)).map(|own| reach(own)).collect();
            let Some(first) = reaches.first() else { continue };
            let both = reaches.iter().fold(first.served.clone(), |all, reach| &all & &reach.served);
            let own = match both.len() {
                0 => Whose::Ours,
                count if count == first.all => Whose::Theirs,
                _ => Whose::Mixed,
            };
            whose.extend(together.iter().map(|function| ((*function).to_owned(), own)));
        }
        let scalar = |function: &&str| *function != "relu" && !TOGETHER.iter().any(|all| all.contains(function));
        for function in present.iter().copied().filter(scalar) {
            let reach = reach(function);
            let own = match (reach.served.len() == reach.all, self.functions.contains_key(function)) {
                (true, _) => Whose::Theirs,
                (false, true) => Whose::Limited,
                (false, false) => Whose::Ours,
            };
            if let Some(obstacle) = reach.obstacle.filter(|_| own == Whose::Limited) {
                notes.push(format!("{function}: limited where it has to be: {obstacle}"));
            }
            whose.insert(function.to_owned(), own);
        }
        self.notes.extend(notes);
        whose
    }

    /// The system's entries, and of ours those that the tuned plan has for what is not the system's.
    fn catalog(&self, whose: &BTreeMap<String, Whose>) -> Result<Catalog, Failure> {
        let mut catalog = Catalog::new();
        for (function, offered) in &self.functions {
            if whose.get(function).is_some_and(|whose| *whose != Whose::Ours) {
                for offered in offered {
                    catalog.insert(&offered.name, offered.published.clone())?;
                }
            }
        }
        let tuned: BTreeSet<&str> = self.beside.tuned.site.iter().flat_map(|site| fit::entries(&site.choice)).collect();
        for &name in &tuned {
            let own = whose.get(fit::function(name));
            if own.is_none_or(|whose| matches!(whose, Whose::Ours | Whose::Mixed)) {
                let (_, published) = self.beside.ours.find(name)?;
                catalog.insert(name, published.clone())?;
            }
        }
        let ours = self.beside.ours.iter().filter(|(name, _)| !tuned.contains(name));
        for (name, published) in ours.filter(|(name, _)| self.given_up.needs_all_of_ours(fit::function(name))) {
            catalog.insert(name, published.clone())?;
        }
        Ok(catalog)
    }

    fn is_own(&self, name: &str) -> bool {
        self.functions.values().flatten().any(|offered| offered.name == name)
    }

    /// The fastest plan that passes, of those with the system's functions wherever they are admissible; otherwise the most
    /// accurate one.
    fn best(&self, request: &Request<'_>) -> Result<Found, tuner::Error> {
        let wishes = |site: &Site, record: &ChoiceRecord| {
            let names = fit::entries(record);
            let theirs = names.iter().filter(|name| self.is_own(name)).count();
            match self.given_up.reason(&site.name).is_some() {
                true if theirs > 0 => Wish::Never,
                false if theirs > 0 && theirs == names.len() => Wish::First,
                _ => Wish::Otherwise,
            }
        };
        Problem::explore_on(self.beside.groundwork, request, &wishes, &mut say, |problem, _| {
            let (attempt, simulated) = choose(problem)?;
            let reasons = problem.sites().iter().enumerate();
            let reasons =
                reasons.filter_map(|(index, site)| Some((site.name.clone(), problem.refusal(index)?.to_owned())));
            Ok(Found { attempt, simulated, reasons: reasons.collect(), excluded: problem.excluded_lines() })
        })
    }

    fn finished(self, catalog: &Catalog, request: &Request<'_>, found: Found) -> Result<Row, Failure> {
        let shares = self.shares(&found.attempt.plan);
        if shares.iter().all(|share| share.theirs == 0) {
            return Ok(self.without("none of its functions is admissible at any site".into()));
        }
        let mut notes = self.notes.clone();
        notes.extend(shares.iter().flat_map(|share| self.note(share, &found)));
        notes.extend(found.excluded.iter().map(|line| format!("cannot be proved together, left out: {line}")));
        let Found { attempt, simulated, .. } = found;
        let mut row = Row { notes, shares, ..Row::new(&format!("(c) {}", self.name), simulated, attempt) };
        row.notes.extend(request.axes.clamps().iter().map(|clamp| {
            let end = |end: Option<f64>| end.map_or("-".to_owned(), |end| end.to_string());
            format!("{}: its argument is limited to {} to {}", clamp.name, end(clamp.low), end(clamp.high))
        }));
        // The folder that a run of the plan reads.
        let folder = self.beside.place.join(self.name);
        catalog.write(&folder.join("catalogs"), &folder.join("proofs"))?;
        if let Ok(outcome) = &mut row.outcome {
            outcome.catalog = Some(folder.join("catalogs"));
        }
        Ok(row)
    }

    /// Whose functions a plan has, at how many sites.
    fn shares(&self, plan: &Plan) -> Vec<Share> {
        let mut shares: BTreeMap<&str, Share> = BTreeMap::new();
        for site in &plan.site {
            for name in fit::entries(&site.choice) {
                let function = fit::function(name);
                let none = || Share { function: function.to_owned(), theirs: 0, sites: 0, ours: Vec::new() };
                let share = shares.entry(function).or_insert_with(none);
                share.sites += 1;
                match self.is_own(name) {
                    true => share.theirs += 1,
                    false => share.ours.push(site.name.clone()),
                }
            }
        }
        shares.remove("relu");
        shares.into_values().collect()
    }

    /// Why ours stands where it does: what is out of reach by the tuned plan's ranges, and what the exploration found of
    /// the other sites.
    fn note(&self, share: &Share, found: &Found) -> Vec<String> {
        if share.ours.is_empty() || share.theirs == 0 && !self.functions.contains_key(&share.function) {
            return Vec::new();
        }
        let name = share.function.as_str();
        let reach = |function: &str| {
            fit::reach(self.needed, function, self.functions.get(function).map(Vec::as_slice).unwrap_or_default())
        };
        // Where one of two functions that are evaluated together is out of reach, the other is not theirs either.
        let together = TOGETHER.iter().find(|all| all.contains(&name)).map_or(vec![name], |all| all.to_vec());
        let (mut near, mut notes): (Vec<&String>, _) = (share.ours.iter().collect(), Vec::new());
        let mut far = 0;
        for reach in [name].into_iter().chain(together.into_iter().filter(|other| *other != name)).map(reach) {
            let all = near.len();
            near.retain(|site| reach.served.contains(site.as_str()));
            let own = all - near.len();
            if let Some(obstacle) = reach.obstacle.filter(|_| own > 0) {
                let more = if far > 0 { "more " } else { "" };
                notes.push(format!("{name}: ours at {own} {more}of {} sites: {obstacle}", share.sites));
            }
            far += own;
        }
        if let Some(&site) = near.first() {
            let reason = self.given_up.reason(site).or_else(|| found.reasons.get(site));
            let reason = reason.map_or("what it is evaluated with does not fit", String::as_str);
            let count = near.len();
            let sites = format!("{count} {}of {} sites", if far > 0 { "more " } else { "" }, share.sites);
            notes.push(format!("{}: ours at {sites}, such as {site}: beside the others, {reason}", share.function));
        }
        notes
    }
}

/// What an exploration gives.
struct Found {
    attempt: Attempt,
    simulated: usize,
    /// Why something is no candidate, by site.
    reasons: BTreeMap<String, String>,
    /// What cannot be proved together.
    excluded: Vec<String>,
}

/// The fastest choice that passes, by bisection over the predicted error; the most accurate one if that does not.
fn choose(problem: &Problem<'_>) -> Result<(Attempt, usize), tuner::Error> {
    let error = |chosen: &[usize]| assignment::total(problem.prices(), chosen).of(Quantity::Error);
    let nothing = || problem.nothing_left().unwrap_or_else(|| tuner::Error::Request("no choice is left".into()));
    let mut best = loop {
        let exact = most_accurate(problem).ok_or_else(nothing)?;
        // What cannot be proved is not chosen again.
        if let Ok(attempt) = problem.attempt(exact)? {
            break attempt;
        }
    };
    let mut simulated = 1;
    if !best.unmet.is_empty() {
        return Ok((best, simulated));
    }
    let mut rungs = rungs(problem, error(&best.chosen));
    let (mut from, mut to) = (0, rungs.len());
    while from < to {
        let middle = (from + to) / 2;
        match problem.accepted(rungs[middle].clone())? {
            Some(attempt) => (to, best) = (middle, attempt),
            None if problem.exclusion(&rungs[middle]).is_some() => {
                // The same once more, without what cannot be proved: what was simulated is known.
                (rungs, from) = (self::rungs(problem, error(&best.chosen)), 0);
                to = rungs.len();
                continue;
            }
            None => from = middle + 1,
        }
        simulated += 1;
    }
    Ok((best, simulated))
}

/// The choice of least predicted error, of equals the fastest.
fn most_accurate(problem: &Problem<'_>) -> Option<Vec<usize>> {
    let least = assignment::least(problem.prices(), Quantity::Error);
    if problem.exclusion(&least).is_none() {
        return Some(least);
    }
    let exact = problem.solve(Quantity::Error, &Price::UNLIMITED)?;
    let error = assignment::total(problem.prices(), &exact).of(Quantity::Error) * (1.0 + 1e-9);
    problem.solve(Quantity::Seconds, &Price::UNLIMITED.with(Quantity::Error, error)).or(Some(exact))
}

/// The fastest choices within limits of the predicted error, from that of the fastest to `low`.
fn rungs(problem: &Problem<'_>, low: f64) -> Vec<Vec<usize>> {
    let error = |chosen: &[usize]| assignment::total(problem.prices(), chosen).of(Quantity::Error);
    let Some(fastest) = problem.solve(Quantity::Seconds, &Price::UNLIMITED) else { return Vec::new() };
    let high = error(&fastest);
    let mut rungs = vec![fastest];
    let end = low.max(high * 1e-9);
    for rung in 1..=RUNGS {
        let limit = (high * (end / high).powf(rung as f64 / RUNGS as f64) * (1.0 + 1e-9)).max(low);
        let found = problem.solve(Quantity::Seconds, &Price::UNLIMITED.with(Quantity::Error, limit));
        rungs.extend(found.filter(|found| rungs.last() != Some(found)));
    }
    rungs
}
