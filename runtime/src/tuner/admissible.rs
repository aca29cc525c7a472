//! Which entries may serve a site: the circuit with them can be lowered, and its headroom is proved.
//!
//! A baseline choice with the widest windows serves every site first; then each site is tried with each of its
//! candidates in place of the baseline's. Every entry is proved by `verify::check` before it is considered.

use super::exclusion::place;
use super::options::{self, Bounds, Named, Pair, Reach};
use super::prover::Prover;
use super::{Error, Progress, Request};
use crate::circuit::accuracy::certified_errors;
use crate::circuit::headroom::Interval;
use crate::circuit::lower::softmax::least_terms;
use crate::circuit::lower::{Centre, Choice, Formats, Logits, is_exact_relu, lower};
use crate::circuit::{self, Circuit, NodeKind, schedule};
use crate::cost::{Resource, Work};
use crate::graph::ranges::masked_positions;
use crate::graph::{NodeId, Site, SiteKind};
use crate::plan::{ChoiceRecord, EntryRecord, node_number, site_cost};
use catalogs::digest::Tag;
use catalogs::protocol::rss3::{EXECUTED_BITS, Rss3};
use catalogs::protocol::{self, Model};
use catalogs::{Digest, Failure, Lemma, Op};
use dashu::rational::RBig;
use rayon::prelude::*;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;
use verify::Certified;

/// A choice that may serve a site, and what it costs there.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The proved entries.
    pub choice: Choice,
    /// The same for the plan's file.
    pub record: ChoiceRecord,
    /// Certified error at the site's output, in real units, for rows of at least the variances that the calibration
    /// set shows; of a layer norm before γ and β.
    pub error: f64,
    /// What the site asks of a party for one input of the model; its rounds are those on the critical path.
    pub work: Work,
    /// Probability that one of its truncations fails for one input.
    pub failure: f64,
}

/// Whether a choice is to be looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wish {
    /// At first.
    First,
    /// Where none of the first is admissible.
    Otherwise,
    /// Not at all.
    Never,
}

/// What is wished of every choice at a site.
pub type Wishes<'a> = dyn Fn(&Site, &ChoiceRecord) -> Wish + Sync + 'a;

/// What may serve every site.
pub struct Admissible {
    /// Candidates per site, none of them empty.
    pub candidates: Vec<Vec<Candidate>>,
    /// Why something was not admitted, by the index of the site: the last reason.
    pub refusals: BTreeMap<usize, String>,
}

/// Candidates per site, in the order of [`crate::graph::Graph::sites`]; none is empty. Where one of the first is
/// admissible, the others are not looked at.
pub fn find(
    request: &Request<'_>,
    prover: &Prover<'_>,
    wishes: &Wishes<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Admissible, Error> {
    let (entries, not_offered) = certified_entries(request)?;
    let sites = prover.single.sites();
    let mut baseline: BTreeMap<NodeId, Choice> = BTreeMap::new();
    for site in &sites {
        let reach = Reach { width: prover.formats.ring.bits() - 2, logits: None };
        let options = options::options(site, &entries, prover.formats, &reach)?;
        let (choice, _) = widest(options.iter()).ok_or_else(|| missing(site, &not_offered))?;
        baseline.insert(site.node, choice.clone());
    }
    let mut refusals: BTreeMap<usize, String> = BTreeMap::new();
    // A baseline that does not prove says where; the sites are then tried one option at a time.
    let mut unproved = None;
    let seen = Seen::of(prover, &baseline).unwrap_or_else(|error| {
        refusals.extend((0..sites.len()).map(|index| (index, format!("with the widest entries: {error}"))));
        unproved = Some(error);
        Seen::default()
    });
    let own = |site: &Site| {
        let mut own = options::options(site, &entries, prover.formats, &seen.reach(site, prover))?;
        own.retain(|(choice, _)| !request.exact_maxima || !takes_less(choice));
        Ok::<_, Error>(own)
    };
    let options: Vec<Vec<Pair>> = sites.iter().map(own).collect::<Result<_, _>>()?;
    if request.quick {
        let preferred = |(site, options): (&Site, &Vec<Pair>)| {
            let of = |wish: Wish| options.iter().filter(move |(_, record)| wishes(site, record) == wish).cloned();
            let reaches = of(Wish::First).any(|(choice, _)| seen.allows(site.node, &choice));
            of(Wish::First).chain(of(Wish::Otherwise).filter(|_| !reaches)).collect::<Vec<Pair>>()
        };
        let options: Vec<Vec<Pair>> = sites.iter().zip(&options).map(preferred).collect();
        let candidates = widest_only(prover, &sites, &options, &seen, &not_offered)?;
        return Ok(Admissible { candidates, refusals });
    }
    let mut found: Vec<Vec<Candidate>> = vec![Vec::new(); sites.len()];
    for wish in [Wish::First, Wish::Otherwise] {
        let trial = |((site, options), found): ((&Site, &Vec<Pair>), &Vec<Candidate>)| {
            let tried = options.iter().filter(|(_, record)| found.is_empty() && wishes(site, record) == wish);
            tried.cloned().collect::<Vec<Pair>>()
        };
        let options: Vec<Vec<Pair>> = sites.iter().zip(&options).zip(&found).map(trial).collect();
        let trial = Trial { prover, sites: &sites, options: &options, baseline: &baseline, seen: &seen };
        for class in classes(&sites) {
            let class: Vec<usize> = class.into_iter().filter(|&index| !options[index].is_empty()).collect();
            let most = class.iter().map(|&index| options[index].len()).max().unwrap_or(0);
            let tried = (0..most).into_par_iter().map(|option| trial.option(&class, option));
            for Tried { admitted, short, refused } in tried.collect::<Result<Vec<_>, Error>>()? {
                admitted.into_iter().for_each(|(index, candidate)| found[index].push(candidate));
                for index in short {
                    let reason = "an entry's window is narrower than the proved range of its argument";
                    refusals.entry(index).or_insert_with(|| reason.into());
                }
                refusals.extend(refused);
            }
            for &index in &class {
                progress(Progress::Site { name: sites[index].name.clone(), admissible: found[index].len() });
            }
        }
    }
    let Some(first) = found.iter().position(Vec::is_empty) else {
        return Ok(Admissible { candidates: found, refusals });
    };
    // Where not even the widest entries can be proved, no option of another site can: the one where that fails is to blame.
    let blamed = unproved.as_ref().and_then(|error| {
        let is_place = |(site, found): (&Site, &Vec<Candidate>)| Some(&*site.name) == place(error) && found.is_empty();
        Some((sites.iter().zip(&found).position(is_place)?, format!("with the widest entries: {error}")))
    });
    let (index, reason) = blamed.unwrap_or_else(|| {
        let reason = refusals.remove(&first).unwrap_or_default();
        (first, format!("the last one tried failed with: {reason}"))
    });
    Err(Error::Site {
        site: sites[index].name.clone(),
        kind: sites[index].kind.name(),
        reason: format!("no entry of the catalog is admissible; {reason}"),
    })
}

/// What options are tried against: one option at all sites of a class at a time, in place of the baseline's choices.
struct Trial<'a> {
    prover: &'a Prover<'a>,
    sites: &'a [Site],
    options: &'a [Vec<Pair>],
    baseline: &'a BTreeMap<NodeId, Choice>,
    seen: &'a Seen,
}

/// What became of an option, by the indices of sites.
#[derive(Default)]
struct Tried {
    admitted: Vec<(usize, Candidate)>,
    /// Sites that it does not reach.
    short: Vec<usize>,
    /// Sites at which it cannot be proved, and why.
    refused: Vec<(usize, String)>,
}

impl Trial<'_> {
    /// Tries one option of a class of sites.
    fn option(&self, class: &[usize], option: usize) -> Result<Tried, Error> {
        let &Trial { prover, sites, options, baseline, seen } = self;
        // What does not reach as far as the baseline's own arguments do is not worth a proof of the whole model.
        let reaches = |index: usize, option: usize| seen.allows(sites[index].node, &options[index][option].0);
        let having = class.iter().filter(|&&index| option < options[index].len());
        let (trying, short): (Vec<usize>, Vec<usize>) = having.partition(|&&index| reaches(index, option));
        // Nor is what another one that reaches as far beats at everything.
        let beaten = |&index: &usize| {
            let (own, node) = (&options[index], sites[index].node);
            let mut others = (0..own.len()).filter(|&other| other != option);
            others.any(|other| {
                let (better, worse) = (&own[other].0, &own[option].0);
                beats(better, worse, other < option) && seen.allows_where(node, better, worse)
            })
        };
        let mut trying: Vec<usize> = trying.into_iter().filter(|index| !beaten(index)).collect();
        let mut outcome = Tried { short, ..Tried::default() };
        while !trying.is_empty() {
            let mut choices = baseline.clone();
            choices.extend(trying.iter().map(|&index| (sites[index].node, options[index][option].0.clone())));
            let tried: Vec<&Site> = trying.iter().map(|&index| &sites[index]).collect();
            // Exact choices leave every range as the baseline has it, and their windows were held against those.
            let exact = |&index: &usize| {
                is_exact(&options[index][option].0) && baseline.get(&sites[index].node).is_some_and(is_exact)
            };
            let errors = match seen.is_proved() && trying.iter().all(exact) {
                true => Ok(vec![0.0; trying.len()]),
                false => errors(prover, &choices, &tried),
            };
            match errors {
                Ok(errors) => {
                    let pairs = trying.iter().map(|&index| (index, &options[index][option]));
                    let proved: Vec<Proved<'_>> =
                        pairs.zip(errors).map(|((index, option), error)| (index, option, error)).collect();
                    outcome.admitted = groupings(prover, &choices, sites, &proved)?;
                    break;
                }
                // Which site does not allow the option is known by name; without a name it is none of them.
                Err(reason) => {
                    let named = |&index: &usize| reason.contains(&format!("{}: ", sites[index].name));
                    let culprit = trying.iter().position(named).unwrap_or(0);
                    outcome.refused.push((trying.remove(culprit), reason));
                }
            }
        }
        Ok(outcome)
    }
}

/// For every site the widest choice that reaches as far as the baseline's arguments do: one proof of the model.
fn widest_only(
    prover: &Prover<'_>,
    sites: &[Site],
    options: &[Vec<Pair>],
    seen: &Seen,
    not_offered: &[String],
) -> Result<Vec<Vec<Candidate>>, Error> {
    let chosen = sites.iter().zip(options).map(|(site, options)| {
        let allowed = || options.iter().filter(|(choice, _)| seen.allows(site.node, choice));
        // Of exact choices the narrowest is the cheapest, and no less accurate.
        let exact = allowed().filter(|(choice, _)| is_exact(choice)).min_by_key(|(choice, _)| width(choice));
        exact.or_else(|| widest(allowed())).ok_or_else(|| missing(site, not_offered))
    });
    let chosen = chosen.collect::<Result<Vec<_>, _>>()?;
    let choices: BTreeMap<NodeId, Choice> =
        sites.iter().zip(&chosen).map(|(site, (choice, _))| (site.node, choice.clone())).collect();
    let tried: Vec<&Site> = sites.iter().collect();
    let errors = errors(prover, &choices, &tried).map_err(Error::Request)?;
    let proved: Vec<Proved<'_>> =
        chosen.into_iter().zip(errors).enumerate().map(|(index, (option, error))| (index, option, error)).collect();
    let mut found = vec![Vec::new(); sites.len()];
    let admitted = groupings(prover, &choices, sites, &proved)?;
    admitted.into_iter().for_each(|(index, candidate): (usize, Candidate)| found[index].push(candidate));
    Ok(found)
}

/// The choice with the widest windows, of equal ones the most accurate; an exact centre, a late division and a coarse
/// maximum need more bits of headroom, no maximum ranges that are proved already.
fn widest<'a>(options: impl Iterator<Item = &'a Pair>) -> Option<&'a Pair> {
    options.max_by_key(|(choice, _)| {
        let exact = matches!(choice, Choice::Normalisation { centre: Centre::Exact, .. });
        let bold = exact || choice.divides_last() || manner(choice) != Manner::Exact;
        let certified = entries_of(choice).into_iter().map(|entry| entry.claim().bound.to_rational());
        let error = certified.fold(RBig::ZERO, |sum, bound| sum + bound);
        (width(choice), !bold, Reverse(error))
    })
}

/// Whether a choice computes its function without an error.
fn is_exact(choice: &Choice) -> bool {
    match choice {
        Choice::Unary { entry } => is_exact_relu(entry),
        Choice::Maximum { maximum } => maximum.coarse == 0,
        Choice::Softmax { .. } | Choice::SoftmaxWithoutMaximum { .. } | Choice::Normalisation { .. } => false,
    }
}

fn missing(site: &Site, not_offered: &[String]) -> Error {
    let mut reason = String::from("the catalog has no entries that fit its formats; add some with `chebyshare synth`");
    if !not_offered.is_empty() {
        reason.push_str(&format!(" (left out: {})", not_offered.join("; ")));
    }
    Error::Site { site: site.name.clone(), kind: site.kind.name(), reason }
}

/// Sites of one kind and size: they are tried together, since a proof is about the whole model.
fn classes(sites: &[Site]) -> Vec<Vec<usize>> {
    let mut classes: Vec<Vec<usize>> = Vec::new();
    for (index, site) in sites.iter().enumerate() {
        let same = |class: &&mut Vec<usize>| {
            let first = &sites[class[0]];
            (first.kind, first.elements, first.row_length) == (site.kind, site.elements, site.row_length)
        };
        match classes.iter_mut().find(same) {
            Some(class) => class.push(index),
            None => classes.push(vec![index]),
        }
    }
    classes
}

/// Whether a choice differs from another in entries only, each at least as accurate and as cheap as the other's of
/// the same formats, and one of them better; between equals, the `first` wins.
fn beats(choice: &Choice, other: &Choice, first: bool) -> bool {
    let fixed = |choice: &Choice| match choice {
        Choice::Normalisation { centre, .. } => *centre == Centre::Exact,
        other => other.divides_last(),
    };
    let (ours, theirs) = (entries_of(choice), entries_of(other));
    if ours.len() != theirs.len() || fixed(choice) != fixed(other) || manner(choice) != manner(other) {
        return false;
    }
    let mut strictly = false;
    for (a, b) in ours.into_iter().zip(theirs) {
        let (claim, beaten) = (a.claim(), b.claim());
        let formats = (a.program().input(), a.program().output()) == (b.program().input(), b.program().output());
        // The encoded ε of a layer norm follows the window's lower end.
        let lows = claim.function != catalogs::Function::Rsqrt || claim.window.low <= beaten.window.low;
        let accurate =
            claim.absolute_part() <= beaten.absolute_part() && claim.relative_part() <= beaten.relative_part();
        if !(formats && lows && accurate) {
            return false;
        }
        let (cost, limit) = (protocol::cost(a.program(), &Rss3), protocol::cost(b.program(), &Rss3));
        if cost.rounds > limit.rounds || cost.bits > limit.bits {
            return false;
        }
        strictly |= claim.absolute_part() < beaten.absolute_part()
            || claim.relative_part() < beaten.relative_part()
            || cost.rounds < limit.rounds
            || cost.bits < limit.bits;
    }
    strictly || first
}

/// Whether a choice may take another candidate than the largest for a site's maximum.
fn takes_less(choice: &Choice) -> bool {
    matches!(choice, Choice::Maximum { maximum } if maximum.coarse > 0)
}

/// What a softmax subtracts, or a maximum is.
#[derive(PartialEq, Debug)]
enum Manner {
    /// The maximum; nothing of what has none.
    Exact,
    /// A maximum that leaves out so many bits.
    Coarse(u8),
    /// A bound.
    Public(Logits),
}

fn manner(choice: &Choice) -> Manner {
    match choice {
        Choice::Softmax { maximum, .. } | Choice::Maximum { maximum } if maximum.coarse > 0 => {
            Manner::Coarse(maximum.coarse)
        }
        Choice::SoftmaxWithoutMaximum { logits, .. } => Manner::Public(*logits),
        _ => Manner::Exact,
    }
}

fn entries_of(choice: &Choice) -> Vec<&Certified> {
    match choice {
        Choice::Unary { entry } => vec![entry],
        Choice::Softmax { exp, reciprocal, .. } | Choice::SoftmaxWithoutMaximum { exp, reciprocal, .. } => {
            vec![exp, reciprocal]
        }
        Choice::Normalisation { rsqrt, .. } => vec![rsqrt],
        Choice::Maximum { .. } => vec![],
    }
}

/// Ranges of the arguments of every site's entries, by function and scale, and of what its maxima look at, with the
/// baseline's choices.
#[derive(Default)]
struct Seen {
    arguments: BTreeMap<(u32, catalogs::Function, u8), (i128, i128)>,
    /// Where nothing is masked.
    compared: BTreeMap<u32, Interval>,
    /// The logits of softmaxes, masked ones with them, at the scale of activations.
    logits: BTreeMap<u32, Interval>,
}

impl Seen {
    fn of(prover: &Prover<'_>, baseline: &BTreeMap<NodeId, Choice>) -> Result<Seen, crate::circuit::Error> {
        let proved = prover.prove(baseline)?;
        let circuit = &proved.lowered.circuit;
        let mut seen = Seen::default();
        for (_, node) in circuit.iter() {
            let Some(site) = circuit.groups()[node.group.index()].site else { continue };
            if let NodeKind::Maximum(maximum) = &node.kind {
                let source = moved_from(circuit, maximum.candidates[0]);
                let range = proved.headroom.range(source);
                let hull = seen.compared.entry(site).or_insert(range);
                *hull = hull.hull(range);
                if circuit.node(source).format.scale == prover.formats.activations {
                    let hull = seen.logits.entry(site).or_insert(range);
                    *hull = hull.hull(range);
                }
            }
            let NodeKind::Program { certified, argument } = &node.kind else { continue };
            let key = (site, certified.claim().function.clone(), certified.program().input().1.bits());
            let range = proved.headroom.range(*argument);
            let hull = seen.arguments.entry(key).or_insert((range.low, range.high));
            *hull = (hull.0.min(range.low), hull.1.max(range.high));
        }
        Ok(seen)
    }

    /// Whether the baseline could be proved, so that ranges are known.
    fn is_proved(&self) -> bool {
        !self.arguments.is_empty() || !self.compared.is_empty()
    }

    /// What is known of a site's values.
    fn reach(&self, site: &Site, prover: &Prover<'_>) -> Reach {
        let logits = self.logits.get(&node_number(site.node)).filter(|_| site.kind == SiteKind::Softmax);
        let row = site.row_length;
        let terms = match masked_positions(prover.single, prover.single.node(site.node)) {
            Some(masked) => least_terms(masked.data.iter().map(|&flag| flag != 0.0), row),
            None => row,
        };
        let logits = logits.and_then(|range| Bounds::around(*range, prover.formats.activations, terms));
        Reach { width: self.width(site, prover.formats), logits }
    }

    /// Bits to compare in a site's maxima: three above the largest value, so that what is masked can lie below it, and
    /// an even number, because a plan is public and need not tell more of the weights.
    fn width(&self, site: &Site, formats: Formats) -> u8 {
        let widest = formats.ring.bits() - 2;
        let Some(compared) = self.compared.get(&node_number(site.node)) else { return widest };
        let bits = (128 - compared.magnitude().leading_zeros()) as u8 + 3;
        bits.next_multiple_of(2).min(widest)
    }

    /// Whether nothing that is known of a site's arguments stands against a choice.
    fn allows(&self, site: NodeId, choice: &Choice) -> bool {
        entries_of(choice).into_iter().all(|entry| self.reaches(site, entry).unwrap_or(true))
    }

    /// Whether a choice reaches wherever another one with entries of the same functions may: as far as what is known of
    /// the arguments or, where they are not known at its scales, as far as the other one.
    fn allows_where(&self, site: NodeId, choice: &Choice, other: &Choice) -> bool {
        let pairs = entries_of(choice).into_iter().zip(entries_of(other));
        pairs.into_iter().all(|(entry, other)| {
            let (own, needed) = (entry.claim().window, other.claim().window);
            self.reaches(site, entry).unwrap_or(own.low <= needed.low && needed.high <= own.high)
        })
    }

    /// Whether an entry reaches as far as the baseline's argument at its scale, if the baseline has one.
    fn reaches(&self, site: NodeId, entry: &Certified) -> Option<bool> {
        let claim = entry.claim();
        let key = (node_number(site), claim.function.clone(), entry.program().input().1.bits());
        let &(low, high) = self.arguments.get(&key)?;
        // The least argument of a layer norm is the entry's own; only the greatest is the model's.
        let low_fits = claim.function == catalogs::Function::Rsqrt || i128::from(claim.window.low) <= low;
        Some(low_fits && high <= i128::from(claim.window.high))
    }
}

/// Proves; the error of each site for one input.
fn errors(prover: &Prover<'_>, choices: &BTreeMap<NodeId, Choice>, sites: &[&Site]) -> Result<Vec<f64>, String> {
    let proved = prover.prove(choices).map_err(|error| error.to_string())?;
    let error = |site: &&Site| proved.calibrated.get(&node_number(site.node)).copied();
    sites.iter().map(|site| error(site).ok_or_else(|| "its error is not bounded".to_owned())).collect()
}

/// A site by index, the option that was proved there, and its error.
type Proved<'a> = (usize, &'a Pair, f64);

/// What was proved, once for every way to group its maximum: that changes rounds and bytes, and how far levels of maxima
/// are off that leave out bits.
fn groupings(
    prover: &Prover<'_>,
    choices: &BTreeMap<NodeId, Choice>,
    sites: &[Site],
    proved: &[Proved<'_>],
) -> Result<Vec<(usize, Candidate)>, Error> {
    let groupings: Vec<Vec<Pair>> =
        proved.iter().map(|&(index, option, _)| options::groupings(&sites[index], option, prover.formats)).collect();
    let most = groupings.iter().map(Vec::len).max().unwrap_or(0);
    let mut candidates = Vec::new();
    for grouping in 0..most {
        let mut choices = choices.clone();
        for (&(index, ..), groupings) in proved.iter().zip(&groupings) {
            let (choice, _) = &groupings[grouping.min(groupings.len() - 1)];
            choices.insert(sites[index].node, choice.clone());
        }
        let lowered = lower(prover.single, &choices, prover.formats, prover.ownership)?;
        let schedule = schedule(&lowered.circuit, &Rss3)?;
        let works = prover.counter().of_sites(&lowered.circuit, &schedule).map_err(Box::new)?;
        let regrouped = match choices.values().any(takes_less) {
            true => certified_errors(&lowered, None, &BTreeMap::new())?,
            false => BTreeMap::new(),
        };
        for (&(index, _, error), groupings) in proved.iter().zip(&groupings) {
            let Some((choice, record)) = groupings.get(grouping).cloned() else { continue };
            let number = node_number(sites[index].node);
            let (rounds, _) = site_cost(&lowered, &schedule, number);
            let work = works.get(&number).copied().unwrap_or_default().plus(Resource::Round, rounds as f64);
            let error = regrouped.get(&number).copied().filter(|_| takes_less(&choice)).unwrap_or(error);
            let failure = failure(&choice) * sites[index].elements as f64;
            candidates.push((index, Candidate { choice, record, error, work, failure }));
        }
    }
    Ok(candidates)
}

/// The probability, per element, that a truncation of a choice's entries fails under the protocol.
fn failure(choice: &Choice) -> f64 {
    let lemmas = entries_of(choice).into_iter().flat_map(|entry| {
        entry.program().ops().iter().filter_map(|op| match op {
            Op::Sum(sum) => sum.truncation.map(|lemma| entry.program().lemma(lemma)),
            _ => None,
        })
    });
    let of = |lemma: &Lemma| match Rss3.offers(lemma) {
        Some(Lemma::Truncation { failure: Failure::AtMost(bits), .. }) => (-f64::from(bits)).exp2(),
        _ => 0.0,
    };
    lemmas.map(of).sum()
}

/// The value that movements and maxima of earlier levels brought here: what fills the places of a mask or a padding
/// follows the width that is looked for, and must not decide it.
fn moved_from(circuit: &Circuit, id: circuit::NodeId) -> circuit::NodeId {
    match &circuit.node(id).kind {
        NodeKind::Movement { operands, .. } => moved_from(circuit, operands[0]),
        NodeKind::Maximum(maximum) => moved_from(circuit, maximum.candidates[0]),
        _ => id,
    }
}

/// Every entry of the catalog, proved, and why those were left out that the protocol cannot execute.
pub(super) fn certified_entries(request: &Request<'_>) -> Result<(Vec<Named>, Vec<String>), Error> {
    let (mut entries, mut not_offered) = (Vec::new(), Vec::new());
    for (name, published) in request.catalog.iter() {
        let certified = verify::check_texts(&published.entry, &published.certificate)
            .map_err(|reason| Error::Rejected { entry: name.to_owned(), reason })?;
        let ring = certified.program().widest_ring();
        if ring.bits() > EXECUTED_BITS {
            not_offered.push(format!(
                "{name} computes in ring {ring}; this runtime executes rings of at most {EXECUTED_BITS} bits"
            ));
            continue;
        }
        if let Some(lemma) = certified.needs().iter().find(|lemma| Rss3.offers(lemma).is_none()) {
            not_offered.push(format!("{name} needs '{lemma}', which the protocol {} does not offer", Rss3.name()));
            continue;
        }
        let digest = Digest::of(Tag::Entry, published.entry.as_bytes()).to_string();
        let record = EntryRecord { name: name.to_owned(), digest };
        entries.push(Named { certified: Arc::new(certified), record });
    }
    Ok((entries, not_offered))
}

/// The width of the narrowest window that a choice has, in bits; of a positive window in octaves, since its least
/// input matters as much as its greatest.
fn width(choice: &Choice) -> u32 {
    let bits = |entry: &Certified| {
        let window = entry.claim().window;
        if window.low > 0 && window.high >= window.low {
            return window.high.ilog2() - window.low.ilog2();
        }
        128 - (i128::from(window.high) - i128::from(window.low)).unsigned_abs().leading_zeros()
    };
    match choice {
        Choice::Unary { entry } => bits(entry),
        Choice::Softmax { exp, reciprocal, .. } | Choice::SoftmaxWithoutMaximum { exp, reciprocal, .. } => {
            bits(exp) + bits(reciprocal)
        }
        Choice::Normalisation { rsqrt, .. } => bits(rsqrt),
        Choice::Maximum { maximum } => u32::from(maximum.width),
    }
}
