//! Which entries may serve a site: the circuit with them can be lowered, and its headroom is proved.
//!
//! A baseline choice with the widest windows serves every site first; then each site is tried with each of its
//! candidates in place of the baseline's. Every entry is proved by `verify::check` before it is considered.

use super::prover::Prover;
use super::{Error, Progress, Request};
use crate::circuit::lower::{Centre, Choice, Formats};
use crate::circuit::{NodeKind, schedule};
use crate::graph::{Function, NodeId, Site, SiteKind};
use crate::plan::{ChoiceRecord, EntryRecord, node_number};
use catalogs::digest::Tag;
use catalogs::protocol::rss3::{EXECUTED_BITS, Rss3};
use catalogs::protocol::{self, Model};
use catalogs::{Decimal, Digest, Format};
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
    /// Rounds of the site on the critical path.
    pub rounds: f64,
    /// Payload bytes of the site for one input of the model.
    pub bytes: f64,
}

/// A proved entry with its published name.
#[derive(Clone)]
struct Named {
    certified: Arc<Certified>,
    record: EntryRecord,
}

/// Candidates per site, in the order of [`crate::graph::Graph::sites`]; none is empty.
pub fn find(
    request: &Request<'_>,
    prover: &Prover<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<Vec<Candidate>>, Error> {
    let (entries, not_offered) = certified_entries(request)?;
    let sites = prover.single.sites();
    let options: Vec<Vec<(Choice, ChoiceRecord)>> =
        sites.iter().map(|site| options(site, &entries, prover.formats)).collect::<Result<_, _>>()?;
    let mut baseline: BTreeMap<NodeId, Choice> = BTreeMap::new();
    for (site, options) in sites.iter().zip(&options) {
        let widest = options.iter().max_by_key(|(choice, _)| {
            // An exact centre needs 2·log₂ n more bits of headroom.
            (width(choice), !matches!(choice, Choice::Normalisation { centre: Centre::Exact, .. }))
        });
        let (choice, _) = widest.ok_or_else(|| missing(site, &not_offered))?;
        baseline.insert(site.node, choice.clone());
    }
    let mut found: Vec<Vec<Candidate>> = vec![Vec::new(); sites.len()];
    let mut refusals: BTreeMap<usize, String> = BTreeMap::new();
    // A baseline that does not prove says where; the sites are then tried one option at a time.
    let seen = Seen::of(prover, &baseline).unwrap_or_else(|error| {
        refusals.extend((0..sites.len()).map(|index| (index, format!("with the widest entries: {error}"))));
        Seen::default()
    });
    for class in classes(&sites) {
        for option in 0..options[class[0]].len() {
            // What does not reach as far as the baseline's own arguments do is not worth a proof of the whole model.
            let reaches = |index: usize, option: usize| seen.allows(sites[index].node, &options[index][option].0);
            let (trying, short): (Vec<usize>, Vec<usize>) = class.iter().partition(|&&index| reaches(index, option));
            // Nor is what another one that reaches as far beats at everything.
            let beaten = |&index: &usize| {
                let own = &options[index];
                let others = (0..own.len()).filter(|&other| other != option && reaches(index, other));
                others.into_iter().any(|other| beats(&own[other].0, &own[option].0, other < option))
            };
            let mut trying: Vec<usize> = trying.into_iter().filter(|index| !beaten(index)).collect();
            for index in short {
                let reason = "an entry's window is narrower than the proved range of its argument";
                refusals.entry(index).or_insert_with(|| reason.into());
            }
            while !trying.is_empty() {
                let mut choices = baseline.clone();
                choices.extend(trying.iter().map(|&index| (sites[index].node, options[index][option].0.clone())));
                let tried: Vec<&Site> = trying.iter().map(|&index| &sites[index]).collect();
                match figures(prover, &choices, &tried) {
                    Ok(figures) => {
                        for (&index, [error, rounds, bytes]) in trying.iter().zip(figures) {
                            let (choice, record) = options[index][option].clone();
                            found[index].push(Candidate { choice, record, error, rounds, bytes });
                        }
                        break;
                    }
                    // Which site does not allow the option is known by name; without a name it is none of them.
                    Err(reason) => {
                        let named = |&index: &usize| reason.contains(&format!("{}: ", sites[index].name));
                        let culprit = trying.iter().position(named).unwrap_or(0);
                        refusals.insert(trying.remove(culprit), reason);
                    }
                }
            }
        }
        for &index in &class {
            progress(Progress::Site { name: sites[index].name.clone(), admissible: found[index].len() });
        }
    }
    match found.iter().position(Vec::is_empty) {
        None => Ok(found),
        Some(index) => Err(Error::Site {
            site: sites[index].name.clone(),
            kind: sites[index].kind.name(),
            reason: format!(
                "no entry of the catalog is admissible; the last one tried failed with: {}",
                refusals.remove(&index).unwrap_or_default()
            ),
        }),
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
        Choice::Normalisation { centre, .. } => Some(*centre),
        _ => None,
    };
    let (ours, theirs) = (entries_of(choice), entries_of(other));
    if ours.len() != theirs.len() || fixed(choice) != fixed(other) {
        return false;
    }
    let mut strictly = false;
    for (a, b) in ours.into_iter().zip(theirs) {
        let (claim, beaten) = (a.claim(), b.claim());
        let formats = (a.program().input(), a.program().output()) == (b.program().input(), b.program().output());
        // The encoded ε of a layer norm follows the window's lower end.
        let lows = claim.function != catalogs::Function::Rsqrt || claim.window.low <= beaten.window.low;
        let (cost, limit) = (protocol::cost(a.program(), &Rss3), protocol::cost(b.program(), &Rss3));
        let accurate =
            claim.absolute_part() <= beaten.absolute_part() && claim.relative_part() <= beaten.relative_part();
        if !(formats && lows && accurate && cost.rounds <= limit.rounds && cost.bits <= limit.bits) {
            return false;
        }
        strictly |= claim.absolute_part() < beaten.absolute_part()
            || claim.relative_part() < beaten.relative_part()
            || cost.rounds < limit.rounds
            || cost.bits < limit.bits;
    }
    strictly || first
}

fn entries_of(choice: &Choice) -> Vec<&Certified> {
    match choice {
        Choice::Unary { entry } => vec![entry],
        Choice::Softmax { relu, exp, reciprocal, .. } => vec![relu, exp, reciprocal],
        Choice::Normalisation { rsqrt, .. } => vec![rsqrt],
        Choice::Maximum { relu } => vec![relu],
    }
}

/// Ranges of the arguments of every site's entries, by function and scale, with the baseline's choices.
#[derive(Default)]
struct Seen(BTreeMap<(u32, catalogs::Function, u8), (i128, i128)>);

impl Seen {
    fn of(prover: &Prover<'_>, baseline: &BTreeMap<NodeId, Choice>) -> Result<Seen, crate::circuit::Error> {
        let proved = prover.prove(baseline)?;
        let circuit = &proved.lowered.circuit;
        let mut seen = Seen::default();
        for (_, node) in circuit.iter() {
            let NodeKind::Program { certified, argument } = &node.kind else { continue };
            let Some(site) = circuit.groups()[node.group.index()].site else { continue };
            let key = (site, certified.claim().function.clone(), certified.program().input().1.bits());
            let range = proved.headroom.range(*argument);
            let hull = seen.0.entry(key).or_insert((range.low, range.high));
            *hull = (hull.0.min(range.low), hull.1.max(range.high));
        }
        Ok(seen)
    }

    fn allows(&self, site: NodeId, choice: &Choice) -> bool {
        // The least argument of a layer norm is the entry's own; only the greatest is the model's.
        entries_of(choice).into_iter().all(|entry| {
            let claim = entry.claim();
            let key = (node_number(site), claim.function.clone(), entry.program().input().1.bits());
            let Some(&(low, high)) = self.0.get(&key) else { return true };
            let low_fits = claim.function == catalogs::Function::Rsqrt || i128::from(claim.window.low) <= low;
            low_fits && high <= i128::from(claim.window.high)
        })
    }
}

/// Proves and schedules; error, rounds and bytes of each site for one input.
fn figures(prover: &Prover<'_>, choices: &BTreeMap<NodeId, Choice>, sites: &[&Site]) -> Result<Vec<[f64; 3]>, String> {
    let proved = prover.prove(choices).map_err(|error| error.to_string())?;
    let schedule = schedule(&proved.lowered.circuit, &Rss3).map_err(|error| error.to_string())?;
    let groups = || proved.lowered.circuit.groups().iter().zip(schedule.groups());
    let figures = sites.iter().map(|site| {
        let number = node_number(site.node);
        let error = *proved.calibrated.get(&number).ok_or("its error is not bounded")?;
        let own = groups().filter(|(group, _)| group.site == Some(number));
        Ok(own.fold([error, 0.0, 0.0], |[error, rounds, bytes], (_, cost)| {
            [error, rounds + f64::from(cost.rounds), bytes + cost.bytes as f64]
        }))
    });
    figures.collect()
}

/// Every entry of the catalog, proved, and why those were left out that the protocol cannot execute.
fn certified_entries(request: &Request<'_>) -> Result<(Vec<Named>, Vec<String>), Error> {
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
        Choice::Softmax { relu, exp, reciprocal, .. } => bits(relu).min(bits(exp)) + bits(reciprocal),
        Choice::Normalisation { rsqrt, .. } => bits(rsqrt),
        Choice::Maximum { relu } => bits(relu),
    }
}

fn function(kind: SiteKind) -> Option<catalogs::Function> {
    match kind {
        SiteKind::Rectifier => Some(catalogs::Function::Relu),
        SiteKind::Activation(function) => match function {
            Function::Gelu => Some(catalogs::Function::Gelu),
            Function::Silu => Some(catalogs::Function::Silu),
            Function::Sigmoid => Some(catalogs::Function::Sigmoid),
            Function::Tanh => Some(catalogs::Function::Tanh),
            Function::Erf => Some(catalogs::Function::Erf),
            Function::Exp => Some(catalogs::Function::Exp),
            Function::Reciprocal => Some(catalogs::Function::Reciprocal),
            _ => None,
        },
        _ => None,
    }
}

/// Choices whose formats fit.
fn options(site: &Site, entries: &[Named], formats: Formats) -> Result<Vec<(Choice, ChoiceRecord)>, Error> {
    let activation = formats.activation();
    let of =
        |function: catalogs::Function| entries.iter().filter(move |named| named.certified.claim().function == function);
    let input = |named: &Named| format_of(named.certified.program().input());
    let output = |named: &Named| format_of(named.certified.program().output());
    let exact_relu = |named: &&Named| {
        input(named) == activation && output(named) == activation && named.certified.claim().bound == Decimal::ZERO
    };
    let mut options = Vec::new();
    match site.kind {
        SiteKind::Rectifier | SiteKind::Activation(_) => {
            let function = function(site.kind).ok_or_else(|| Error::Site {
                site: site.name.clone(),
                kind: site.kind.name(),
                reason: "the catalog's functions do not include it".into(),
            })?;
            for named in of(function).filter(|named| input(named) == activation && output(named) == activation) {
                let choice = Choice::Unary { entry: named.certified.clone() };
                options.push((choice, ChoiceRecord::Unary { entry: named.record.clone() }));
            }
        }
        SiteKind::Maximum => {
            for named in of(catalogs::Function::Relu).filter(exact_relu) {
                let choice = Choice::Maximum { relu: named.certified.clone() };
                options.push((choice, ChoiceRecord::Maximum { relu: named.record.clone() }));
            }
        }
        SiteKind::Softmax => {
            for relu in of(catalogs::Function::Relu).filter(exact_relu) {
                for exp in of(catalogs::Function::Exp).filter(|named| input(named) == activation) {
                    for reciprocal in of(catalogs::Function::Reciprocal).filter(|named| input(named) == output(exp)) {
                        let choice = Choice::Softmax {
                            relu: relu.certified.clone(),
                            exp: exp.certified.clone(),
                            reciprocal: reciprocal.certified.clone(),
                            normalise_last: false,
                        };
                        let record = ChoiceRecord::Softmax {
                            relu: relu.record.clone(),
                            exp: exp.record.clone(),
                            reciprocal: reciprocal.record.clone(),
                            normalise_last: false,
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

fn format_of((ring, scale): (catalogs::Ring, catalogs::Scale)) -> Format {
    Format { ring, scale }
}
