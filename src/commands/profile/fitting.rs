//! From the seconds of probes to rates: of each probe what its messages' way leaves, of one in parts or beside others what
//! this changes.

use super::{Report, Row, Seconds, Spread};
use crate::failure::Failure;
use runtime::cost::calibrate::{Measurement, fit};
use runtime::cost::probes::Probe;
use runtime::cost::{Machine, Resource, Timeline, median};
use runtime::session::work;
use runtime::transport::Shaping;

/// How often rates are fitted, each time with what they say of what is hidden behind what.
const FITS: usize = 4;
/// A probe of which the way of its messages leaves no more than this share counts nothing: what is left is noise of the
/// network, and of what is hidden behind it. From twice this share on it counts as much as its share.
const OWN_SHARE_MIN: f64 = 0.2;
/// A share that keeps logarithms defined.
const NOTHING: f64 = 0.02;

/// The rates that fit what the way over `network` leaves of every probe's seconds, those of the slowest party. `seconds` has
/// as many repeats of every probe.
pub(super) fn report(
    probes: &[Probe],
    seconds: &[Seconds],
    name: String,
    network: Option<Shaping>,
) -> Result<Report, Failure> {
    let fitting = Fitting::new(probes, name, network)?;
    let repeats = seconds.iter().flatten().map(Vec::len).min().unwrap_or(0);
    // A repeat took as long as its slowest party.
    let slowest = |index: usize, repeat: usize| seconds.iter().map(|party| party[index][repeat]).fold(0.0, f64::max);
    let of_probe = |index: usize| (0..repeats).map(|repeat| slowest(index, repeat)).collect::<Vec<_>>();
    let medians: Vec<f64> = (0..probes.len()).map(|index| median(of_probe(index)).unwrap_or(f64::NAN)).collect();
    let (machine, counted) = fitting.machine(&medians, FITS)?;
    let of_repeat = |repeat: usize| -> Result<Machine, Failure> {
        let seconds: Vec<f64> = (0..probes.len()).map(|index| slowest(index, repeat)).collect();
        Ok(fitting.machine(&seconds, FITS)?.0)
    };
    let of_repeats = (0..repeats).map(of_repeat).collect::<Result<Vec<Machine>, Failure>>()?;
    let row = |index: usize| {
        let work = fitting.asked[index].work(probes[index].runs);
        Row {
            name: probes[index].name.clone(),
            seconds: medians[index],
            predicted_seconds: fitting.predicted(index, &machine).total(),
            counts: counted[index],
            repeats: of_probe(index),
            work: Resource::ALL.iter().map(|&resource| (resource.name(), work[resource])).collect(),
        }
    };
    let spread = |resource: Resource| {
        let rates = of_repeats.iter().map(|machine| machine.rate(resource));
        let (least, most) =
            rates.fold((f64::MAX, 0.0), |(least, most): (f64, f64), rate| (least.min(rate), most.max(rate)));
        Spread { least, most }
    };
    let spreads = Resource::ALL.iter().map(|&resource| (resource.name(), spread(resource))).collect();
    Ok(Report { probes: (0..probes.len()).map(row).collect(), spreads, machine })
}

/// What was run, and where.
struct Fitting<'a> {
    probes: &'a [Probe],
    asked: Vec<Timeline>,
    name: String,
    network: Option<Shaping>,
    usual: Machine,
}

/// Predicted seconds of all runs of a probe.
struct Predicted {
    /// What the party's processor takes.
    own: f64,
    /// What it waits for messages that are on their way, which depends on how fast it computes meanwhile.
    away: f64,
}

impl Predicted {
    fn total(&self) -> f64 {
        self.own + self.away
    }
}

impl Fitting<'_> {
    fn new(probes: &[Probe], name: String, network: Option<Shaping>) -> Result<Fitting<'_>, Failure> {
        let asked = probes.iter().map(|probe| work::of_circuit(&probe.circuit)).collect::<Result<_, _>>();
        Ok(Fitting { probes, asked: asked.map_err(Failure::input)?, name, network, usual: Machine::reference() })
    }

    fn predicted(&self, index: usize, machine: &Machine) -> Predicted {
        let runs = self.probes[index].runs;
        let over = |network| runs.get() as f64 * machine.seconds_side_by_side(&self.asked[index], runs, network);
        let own = over(None);
        Predicted { own, away: over(self.network) - own }
    }

    /// The rates that fit these seconds of the probes, and which of them count.
    fn machine(&self, seconds: &[f64], fits: usize) -> Result<(Machine, Vec<bool>), Failure> {
        // The usual machine has another pace: what it does not see of a circuit's kernels says nothing yet.
        let first = self.refined(seconds, &self.usual, |_, _| 1.0)?;
        (1..fits).try_fold(first, |(known, _), _| self.refined(seconds, &known, |own, predicted| own / predicted))
    }

    /// The rates, where `known` tells what the messages' way leaves of every probe. What rates do not see of a circuit's
    /// kernels, `unseen` of its own seconds alone and of those that are predicted, has nothing to do with parts, or with
    /// runs beside it: of a circuit that is run so, only what this changes counts.
    fn refined(
        &self,
        seconds: &[f64],
        known: &Machine,
        unseen: impl Fn(f64, f64) -> f64,
    ) -> Result<(Machine, Vec<bool>), Failure> {
        let predicted: Vec<Predicted> = (0..self.probes.len()).map(|index| self.predicted(index, known)).collect();
        let own = |index: usize| (seconds[index] - predicted[index].away).max(NOTHING * seconds[index]);
        let weight = |index: usize| {
            let share = own(index) / seconds[index];
            (2.0 * (share - OWN_SHARE_MIN)).clamp(0.0, share)
        };
        let measurement = |index: usize| {
            let Probe { name, runs, alone, .. } = &self.probes[index];
            Measurement {
                name: name.clone(),
                work: self.asked[index].work(*runs),
                seconds: own(index) / alone.map_or(1.0, |alone| unseen(own(alone), predicted[alone].own)),
                weight: alone.map_or(1.0, weight).min(weight(index)),
            }
        };
        let measurements: Vec<Measurement> = (0..self.probes.len()).map(measurement).collect();
        let counted: Vec<bool> = measurements.iter().map(|one| one.weight > 0.0).collect();
        let (rates, worst) = fit(&measurements, &self.usual).map_err(Failure::Input)?;
        let name = match counted.contains(&true) {
            true => self.name.clone(),
            false => format!("{}, as nothing was seen of {} behind its messages' way", self.usual.name, self.name),
        };
        Ok((Machine::new(name, rates, worst), counted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runtime::cost::probes;

    /// What only circuits in parts or beside others ask.
    const CHANGES: [Resource; 5] =
        [Resource::Part, Resource::PartByte, Resource::PartRound, Resource::BesideByte, Resource::BesideRound];

    /// A machine twice as slow as the usual one, and in parts and beside others six times.
    fn made() -> Machine {
        let usual = Machine::reference();
        let rate = |resource| if CHANGES.contains(&resource) { 6.0 } else { 2.0 } * usual.rate(resource);
        Machine::new("made".into(), Resource::ALL.map(rate), 0.0)
    }

    /// What the probes of a machine would take, some of whose circuits do what no rate sees: all of their runs take twice
    /// the seconds of their own. (What is hidden behind that is not counted.)
    fn seconds(fitting: &Fitting, machine: &Machine, twice: &[usize]) -> Vec<f64> {
        let is_twice = |index: usize| twice.contains(&fitting.probes[index].alone.unwrap_or(index));
        let of = |index: usize| {
            let Predicted { own, away } = fitting.predicted(index, machine);
            own * if is_twice(index) { 2.0 } else { 1.0 } + away
        };
        (0..fitting.probes.len()).map(of).collect()
    }

    /// How much more circuits take in parts or beside others, by what `machine` says of their own seconds.
    fn changes(fitting: &Fitting, machine: &Machine) -> Vec<f64> {
        let own = |index: usize| fitting.predicted(index, machine).own;
        let change = |index: usize| Some(own(index) / own(fitting.probes[index].alone?));
        (0..fitting.probes.len()).filter_map(change).collect()
    }

    fn largest_ratio(one: &[f64], other: &[f64]) -> f64 {
        one.iter().zip(other).map(|(one, other)| (one / other).max(other / one)).fold(1.0, f64::max)
    }

    /// What rates do not see is as large in every run of a circuit, so that what parts and other runs change is still found.
    #[test]
    fn what_parts_and_runs_beside_others_change_is_found_whatever_rates_do_not_see() {
        let probes = probes::all(&[]).unwrap();
        let run_otherwise: Vec<usize> = probes.iter().filter_map(|probe| probe.alone).collect();
        let made = made();
        for network in [None, Some(Shaping::LAN)] {
            let fitting = Fitting::new(&probes, "fitted".into(), network).unwrap();
            let usual = largest_ratio(&changes(&fitting, &fitting.usual), &changes(&fitting, &made));
            assert!(usual > 1.9, "a fit that finds nothing would do: {usual}");
            for (twice, off_max) in
                [(&[][..], 1.15), (&run_otherwise[..1], 1.2), (&run_otherwise[3..4], 1.2), (&run_otherwise, 1.35)]
            {
                let seconds = seconds(&fitting, &made, twice);
                let fitted = changes(&fitting, &fitting.machine(&seconds, FITS).unwrap().0);
                let off = largest_ratio(&fitted, &changes(&fitting, &made));
                assert!(off < off_max, "{network:?}, {twice:?}: {off}");
                let more = changes(&fitting, &fitting.machine(&seconds, FITS + 1).unwrap().0);
                assert!(largest_ratio(&fitted, &more) < 1.02, "{network:?}, {twice:?}");
            }
        }
    }

    /// Where the messages' way hides what a processor does, nothing is made of the noise, and the name says so.
    #[test]
    fn nothing_is_found_behind_a_long_way() {
        let probes = probes::all(&[]).unwrap();
        let slow = Shaping { round_trip_seconds: 0.4, bits_per_second: 1e7 };
        let fitting = Fitting::new(&probes, "far apart".into(), Some(slow)).unwrap();
        let (machine, counted) = fitting.machine(&seconds(&fitting, &made(), &[]), FITS).unwrap();
        assert!(!counted.contains(&true));
        assert!(
            machine.name.starts_with(&fitting.usual.name) && machine.name.contains("nothing was seen of far apart")
        );
        for resource in Resource::ALL {
            assert!((machine.rate(resource) / fitting.usual.rate(resource) - 1.0).abs() < 1e-9);
        }
    }
}
