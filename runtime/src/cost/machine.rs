//! A machine as a file: seconds per unit of every kind of work.

use super::{Link, Resource, Work};
use crate::transport::Shaping;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Why a machine's file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{file}: {reason}; make one with `chebyshare profile --out {file}`")]
pub struct Error {
    file: String,
    reason: String,
}

/// Seconds per unit that no machine exceeds: the largest unit is a round, whose way through a network is not counted here.
const RATE_MAX: f64 = 1.0;

/// What was measured of a machine.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// The format's version: 1.
    pub version: u32,
    /// What it is, for people: processor, threads, where the parties were.
    pub name: String,
    /// The largest relative difference of what the rates say of a probe that counts from what its median took beside the
    /// way of its messages; of a circuit in parts or beside others, from what this made of what the rates say of it alone.
    pub worst_probe: f64,
    /// Links of a deployment, where they were measured: information. What a prediction takes of a network is given apart.
    #[serde(default, skip_serializing_if = "Vec::is_empty", rename = "link")]
    pub links: Vec<Link>,
    /// Seconds per unit, by the name of the [`Resource`]; all of them.
    seconds_per: BTreeMap<String, f64>,
}

impl Machine {
    /// The version of the file.
    pub const VERSION: u32 = 1;

    /// From rates in the order of [`Resource::ALL`].
    pub fn new(name: String, rates: [f64; Resource::ALL.len()], worst_probe: f64) -> Machine {
        let seconds_per = Resource::ALL.iter().zip(rates).map(|(resource, rate)| (resource.name().into(), rate));
        Machine { version: Self::VERSION, name, worst_probe, links: Vec::new(), seconds_per: seconds_per.collect() }
    }

    /// The machine on which the project is measured, for who has not profiled one.
    pub fn reference() -> Machine {
        toml::from_str(include_str!("reference.toml")).expect("the file in the source was written by `profile`")
    }

    /// Reads and checks a file.
    pub fn read(path: &Path) -> Result<Machine, Error> {
        let fail = |reason: String| Error { file: path.display().to_string(), reason };
        let text = std::fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
        let machine: Machine = toml::from_str(&text).map_err(|error| fail(error.message().to_owned()))?;
        machine.check().map_err(fail)
    }

    fn check(self) -> Result<Machine, String> {
        if self.version != Self::VERSION {
            return Err(format!("version {} is not {}", self.version, Self::VERSION));
        }
        if let Some(name) = self.seconds_per.keys().find(|name| Resource::ALL.iter().all(|r| r.name() != **name)) {
            return Err(format!("`{name}` is no kind of work"));
        }
        for resource in Resource::ALL {
            match self.seconds_per.get(resource.name()) {
                None => return Err(format!("the seconds per {} are missing", resource.name())),
                Some(rate) if !(*rate > 0.0 && *rate <= RATE_MAX) => {
                    let name = resource.name();
                    return Err(format!("{rate} seconds per {name} are none: more than 0, and at most {RATE_MAX}"));
                }
                Some(_) => {}
            }
        }
        if !(self.worst_probe.is_finite() && self.worst_probe >= 0.0) {
            return Err(format!("a worst probe of {} is none", self.worst_probe));
        }
        let is_one = |link: &Link| {
            let positive = |number: f64| number.is_finite() && number > 0.0;
            link.from != link.to && positive(link.round_trip_seconds) && positive(link.bits_per_second)
        };
        if let Some(link) = self.links.iter().find(|link| !is_one(link)) {
            return Err(format!("the link from party {} to {} is none", link.from, link.to));
        }
        Ok(self)
    }

    /// The file.
    pub fn to_text(&self) -> String {
        toml::to_string(self).expect("numbers and short texts are TOML")
    }

    /// Seconds per unit.
    pub fn rate(&self, resource: Resource) -> f64 {
        self.seconds_per.get(resource.name()).copied().unwrap_or(0.0)
    }

    /// Predicted seconds of this work done in whole rounds, over a network or, without one, over loopback: a round's
    /// messages are half a round trip on their way, and a party's bytes leave one after the other.
    /// [`Machine::seconds_of`] knows the order of a run, and what is hidden behind what.
    pub fn seconds(&self, work: &Work, network: Option<Shaping>) -> f64 {
        let own: f64 = Resource::ALL.iter().map(|&resource| work[resource] * self.rate(resource)).sum();
        own + network.map_or(0.0, |network| network.seconds(work))
    }
}

impl Shaping {
    /// Seconds that the messages of this work are on their way.
    pub fn seconds(self, work: &Work) -> f64 {
        work[Resource::Round] * self.round_trip_seconds / 2.0 + work[Resource::Byte] * 8.0 / self.bits_per_second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_as_it_was_written_and_every_mistake_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("machine.toml");
        let rates = [
            6.0e-5, 2.0e-5, 1.5e-9, 9.0e-5, 0.5e-9, 3.0e-5, 2.5e-9, 2.0e-6, 2.5e-10, 3.0e-9, 1.5e-9, 3.0e-10, 4.0e-10,
            5.0e-10,
        ];
        let written = Machine::new("two cores".into(), rates, 0.01);
        std::fs::write(&path, written.to_text()).unwrap();
        assert_eq!(Machine::read(&path).unwrap(), written);
        for (from, to, named) in [
            ("version = 1", "version = 2", "version 2 is not 1"),
            ("draw = ", "drew = ", "`drew` is no kind of work"),
            ("round = 0.00006", "", "the seconds per round are missing"),
            ("round = 0.00006", "round = -1.0", "-1 seconds per round"),
            ("round = 0.00006", "round = nan", "NaN seconds per round"),
            ("round = 0.00006", "round = 0.0", "0 seconds per round"),
            ("round = 0.00006", "round = 1.5", "1.5 seconds per round"),
            ("round = 0.00006", "round = inf", "inf seconds per round"),
            ("worst_probe = 0.01", "worst_probe = nan", "a worst probe of NaN"),
            ("worst_probe = 0.01", "worst_probe = -0.5", "a worst probe of -0.5"),
            ("worst_probe", "worst", "unknown field `worst`"),
        ] {
            let text = written.to_text();
            assert!(text.contains(from), "{text}");
            std::fs::write(&path, text.replace(from, to)).unwrap();
            let message = Machine::read(&path).unwrap_err().to_string();
            assert!(message.contains(named) && message.contains("machine.toml"), "{message}");
        }
    }

    #[test]
    fn the_reference_is_a_machine() {
        assert!(Machine::reference().check().is_ok());
    }

    #[test]
    fn a_network_adds_half_a_round_trip_a_round_and_its_line() {
        let work = Work::NONE.plus(Resource::Round, 100.0).plus(Resource::Byte, 1e6);
        let machine = Machine::new("none".into(), [0.0; Resource::ALL.len()], 0.0);
        assert_eq!(machine.seconds(&work, None), 0.0);
        let wide = machine.seconds(&work, Some(Shaping::WAN));
        assert!((wide - (100.0 * 0.02 + 8e6 / 1e8)).abs() < 1e-12, "{wide}");
    }
}
