//! From a choice to the plan of it: lowered, proved, in its rings, with what a run is predicted to cost.

use super::{Exclusion, Problem, Proved, exclusion, locked, rings};
use crate::circuit::{
    self, Circuit, Schedule,
    lower::{Lowered, lower},
    rings::Narrowed,
};
use crate::graph::Graph;
use crate::plan::{
    self, FormatsRecord, Measured, ModelRecord, Plan, Predicted, SiteRecord, node_number, structure_digest,
};
use crate::session::work::Counter;
use crate::transport::{HEADER_BYTES, SideBySide};
use crate::tuner::assignment::Quantity;
use crate::tuner::{Error, Request};
use catalogs::protocol::rss3::Rss3;
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// The plan of a choice that was proved, without what a simulation shows.
#[derive(Clone)]
pub(in super::super) struct Draft {
    /// The plan.
    pub plan: Plan,
    /// Predicted seconds of its run in the ring of the formats everywhere, in its fastest parts of rounds.
    pub seconds: f64,
}

/// How runs are executed.
struct Way {
    /// Bytes of a party that leave together within a round; all of them where there are none.
    tile_bytes: Option<NonZeroU32>,
    /// Runs that take turns.
    side_by_side: SideBySide,
    /// What leaves when.
    schedule: Schedule,
}

/// More runs side by side need more memory and wait for each other: a larger number is taken only if it makes runs faster by
/// this share; with a limit of seconds, if by anything.
const GAIN: f64 = 0.02;

/// How many runs are executed side by side: of the numbers that were asked for, and with which `circuit` keeps the budget of
/// memory, the one with which its runs are predicted to be fastest.
pub(super) fn fastest_number(
    request: &Request<'_>,
    counter: &mut Counter,
    circuit: &Circuit,
) -> Result<SideBySide, Error> {
    if request.side_by_side.is_one() {
        return Ok(SideBySide::ONE);
    }
    let schedule = circuit::schedule(circuit, &Rss3)?;
    let run = counter.timeline(circuit, &schedule).map_err(Box::new)?;
    let footprint = counter.footprint(circuit, &schedule).map_err(Box::new)?;
    let gain = if request.budget.seconds.is_finite() { 0.0 } else { GAIN };
    let mut fastest = (f64::INFINITY, SideBySide::ONE);
    for runs in numbers(request.side_by_side) {
        if footprint.peak_bytes(runs) as f64 > request.budget.memory {
            break;
        }
        let seconds = request.machine.seconds_side_by_side(&run, runs, Some(request.network));
        if seconds < (1.0 - gain) * fastest.0 {
            fastest = (seconds, runs);
        }
    }
    Ok(fastest.1)
}

/// Numbers of runs that are compared, ascending: what groups of `most` runs have at once, into however many these are cut.
fn numbers(most: SideBySide) -> impl Iterator<Item = SideBySide> {
    let sizes = (1..=most.get()).rev().map(move |groups| most.get().div_ceil(groups));
    let mut before = 0;
    sizes.filter(move |&size| std::mem::replace(&mut before, size) != size).filter_map(SideBySide::new)
}

impl Problem<'_> {
    /// The plan of a choice without what was measured, and the public structure that it is about; or what of the choice
    /// cannot be proved together, or needs too much memory.
    pub fn draft(&self, chosen: &[usize]) -> Result<Result<(Plan, Graph), Exclusion>, Error> {
        let proved = match self.proved(chosen)? {
            Ok(proved) => proved,
            Err(exclusion) => return Ok(Err(exclusion)),
        };
        let plan = self.plan(chosen, &proved, &self.lowered(chosen)?, Vec::new())?;
        let bytes = plan.predicted.memory_bytes.unwrap_or(0);
        if let Some(exclusion) = self.too_much_memory(chosen, bytes)? {
            locked(&self.exclusions).push(exclusion.clone());
            return Ok(Err(exclusion));
        }
        Ok(Ok((plan, self.ground.structure.clone())))
    }

    /// The circuit of a run, for as many inputs as were asked for.
    pub(in super::super) fn lowered(&self, chosen: &[usize]) -> Result<Lowered, Error> {
        Ok(lower(&self.ground.structure, &self.choices(chosen), self.prover.formats, self.prover.ownership)?)
    }

    /// The plan of a choice; in the rings with which its run is fastest where that is asked for, or where only those may
    /// keep it within the budget.
    pub(in super::super) fn drafted(&self, chosen: &[usize], narrow: bool) -> Result<Result<Draft, Exclusion>, Error> {
        let (plan, _) = match self.draft(chosen)? {
            Ok(drafted) => drafted,
            Err(exclusion) => return Ok(Err(exclusion)),
        };
        let seconds = plan.predicted.seconds_per_run;
        if !narrow && self.request.budget.exceeded(&plan.predicted).is_empty() {
            return Ok(Ok(Draft { plan, seconds }));
        }
        let plan = self.narrowed(chosen)?.filter(|own| own.predicted.seconds_per_run < seconds).unwrap_or(plan);
        Ok(Ok(Draft { plan, seconds }))
    }

    /// The plan of a choice in the rings with which its run is predicted to be fastest, where others than that of the
    /// formats are.
    pub(super) fn narrowed(&self, chosen: &[usize]) -> Result<Option<Plan>, Error> {
        if self.request.one_ring || self.request.quick {
            return Ok(None);
        }
        let Ok(proved) = self.proved(chosen)? else { return Ok(None) };
        let lowered = self.lowered(chosen)?;
        let mut narrowed = Narrowed::default();
        let found = rings::fastest(&proved, &mut narrowed, &mut |rings, narrowed| {
            let own = rings.apply(&lowered, narrowed).ok()?;
            let schedule = circuit::schedule(&own.circuit, &Rss3).ok()?;
            let run = self.prover.counter().timeline(&own.circuit, &schedule).ok()?;
            let Request { machine, network, .. } = self.request;
            Some(machine.seconds_side_by_side(&run, self.side_by_side, Some(*network)))
        });
        let Some(mut rings) = found else { return Ok(None) };
        let proved = loop {
            let own = rings.apply(&proved.lowered, &mut narrowed);
            match own.and_then(|own| self.prover.prove_lowered(own)) {
                Ok(proved) => break proved,
                Err(error) => {
                    // A node that cannot be built takes part as the place where a proof fails does.
                    let place = match &error {
                        circuit::Error::Node { group, .. } => Some(group.as_str()),
                        error => exclusion::place(error),
                    };
                    let kept = place.map(|place| rings::without(&lowered, &rings, place));
                    match kept.filter(|kept| *kept != rings) {
                        Some(kept) => rings = kept,
                        None => return Ok(None),
                    }
                }
            }
        };
        let Ok(own) = rings.apply(&lowered, &mut narrowed) else { return Ok(None) };
        Ok(Some(self.plan(chosen, &proved, &own, rings.bits())?))
    }

    /// The plan of a choice that was proved, with the circuit of a run.
    fn plan(&self, chosen: &[usize], proved: &Proved, lowered: &Lowered, rings: Vec<u8>) -> Result<Plan, Error> {
        let request = self.request;
        let structure = &self.ground.structure;
        let sites = structure.sites();
        let formats = self.prover.formats;
        let Way { tile_bytes, side_by_side, schedule } = self.fastest_way(&lowered.circuit)?;
        let site: Vec<SiteRecord> = sites
            .iter()
            .enumerate()
            .map(|(index, site)| {
                let number = node_number(site.node);
                let error_of = |errors: &BTreeMap<u32, f64>| errors.get(&number).copied().unwrap_or(f64::INFINITY);
                let (rounds, bytes) = plan::site_cost(lowered, &schedule, number);
                SiteRecord {
                    node: number,
                    name: site.name.clone(),
                    kind: site.kind.name().into(),
                    elements: site.elements as u64,
                    certified_error: error_of(&proved.certified),
                    calibrated_error: error_of(&proved.calibrated),
                    least_variance: proved.least_variances.get(&number).copied().unwrap_or(0.0),
                    sensitivity: self.sensitivities[index],
                    effect: self.effects.as_ref().map(|effects| effects.effect(index, chosen[index])),
                    rounds,
                    bytes,
                    admissible: self.candidates[index].len(),
                    choice: self.candidates[index][chosen[index]].record.clone(),
                }
            })
            .collect();
        let predicted = self.predicted(lowered, &schedule, side_by_side, self.price(chosen).of(Quantity::Error))?;
        Ok(Plan {
            version: 1,
            protocol: "rss3".into(),
            model: ModelRecord {
                name: request.model_name.clone(),
                structure: structure_digest(structure).to_string(),
                weights_digest: Some(self.ground.weights.to_string()),
                batch: request.batch,
                side_by_side,
                input_box: request.promise.range,
                row_norm: request.promise.row_norm,
                input_boxes: request.promise.named.clone(),
                axes: request.axes.named().clone(),
                public_inputs: request.axes.public().clone(),
                clamps: plan::priced(request.axes.clamps(), lowered, &schedule),
            },
            parties: request.parties.clone(),
            formats: FormatsRecord {
                ring: formats.ring.bits(),
                activations: formats.activations.bits(),
                weights: formats.weights.bits(),
                rings,
                tile_bytes,
            },
            predicted,
            measured: Measured::default(),
            site,
        })
    }

    /// What a run of so many inputs is predicted to cost.
    pub(in super::super) fn predict(&self, chosen: &[usize], inputs: usize) -> Result<Predicted, Error> {
        let structure = self.structure(inputs)?;
        let lowered = lower(&structure, &self.choices(chosen), self.prover.formats, self.prover.ownership)?;
        let Way { side_by_side, schedule, .. } = self.fastest_way(&lowered.circuit)?;
        self.predicted(&lowered, &schedule, side_by_side, self.price(chosen).of(Quantity::Error))
    }

    /// How runs of `circuit` are predicted to be fastest, of the ways that were asked for: of those that keep the budget of
    /// bytes, as parts have headers, if there are any. As many runs are side by side as were decided, or fewer where their
    /// memory is limited.
    fn fastest_way(&self, circuit: &Circuit) -> Result<Way, Error> {
        let request = self.request;
        let whole = circuit::schedule(circuit, &Rss3)?;
        let footprint = self.prover.counter().footprint(circuit, &whole).map_err(Box::new)?;
        let fits = |&runs: &SideBySide| footprint.peak_bytes(runs) as f64 <= request.budget.memory;
        let side_by_side = numbers(self.side_by_side).take_while(fits).last().unwrap_or_default();
        let mut best = ((true, f64::INFINITY), None, whole.clone());
        for tile_bytes in request.tiles.sizes() {
            let own = whole.in_tiles(circuit, tile_bytes);
            let run = self.prover.counter().timeline(circuit, &own).map_err(Box::new)?;
            let seconds = request.machine.seconds_side_by_side(&run, side_by_side, Some(request.network));
            let cost = (own.bytes(HEADER_BYTES as u64) as f64 > request.budget.bytes, seconds);
            if cost < best.0 {
                best = (cost, tile_bytes, own);
            }
        }
        Ok(Way { tile_bytes: best.1, side_by_side, schedule: best.2 })
    }

    fn structure(&self, inputs: usize) -> Result<Graph, Error> {
        let request = self.request;
        Ok(Graph::import_with(request.model, &request.axes.for_batch(inputs))?.without_weights())
    }

    pub(super) fn predicted(
        &self,
        lowered: &Lowered,
        schedule: &circuit::Schedule,
        side_by_side: SideBySide,
        error: f64,
    ) -> Result<Predicted, Error> {
        let request = self.request;
        let mut counter = self.prover.counter();
        let run = counter.timeline(&lowered.circuit, schedule).map_err(Box::new)?;
        let footprint = counter.footprint(&lowered.circuit, schedule).map_err(Box::new)?;
        Ok(Predicted {
            rounds_per_run: u64::from(schedule.rounds),
            bytes_per_run: schedule.bytes(HEADER_BYTES as u64),
            weight_bytes: schedule.weight_bytes,
            network: request.network_name.clone(),
            machine: Some(request.machine.name.clone()),
            seconds_per_run: request.machine.seconds_side_by_side(&run, side_by_side, Some(request.network)),
            memory_bytes: Some(footprint.peak_bytes(side_by_side)),
            error,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_runs_are_those_that_a_session_has_at_once() {
        let of = |most: u64| numbers(SideBySide::new(most).unwrap()).map(SideBySide::get).collect::<Vec<u64>>();
        assert_eq!(of(1), [1]);
        assert_eq!(of(4), [1, 2, 4]);
        assert_eq!(of(9), [1, 2, 3, 5, 9]);
        for most in 1..=64 {
            for size in of(most) {
                let at_once = SideBySide::new(size).unwrap().groups(most).next().unwrap();
                assert_eq!(at_once.get(), size, "{most} runs in groups of {size}");
            }
        }
        assert_eq!(of(64).len(), 15);
    }
}
