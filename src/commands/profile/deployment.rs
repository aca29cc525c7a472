//! A profile of a real deployment: every party runs this, and each may write the same file.

use super::{Profile, Report, fitting};
use crate::failure::Failure;
use crate::output;
use crate::report::Context;
use catalogs::digest::Tag;
use runtime::cost::links::{self, Link};
use runtime::cost::probes::Probe;
use runtime::deployment::PartyConfig;
use runtime::transport::{self, Digest, Transport, tls};
use std::path::{Path, PathBuf};

impl Profile {
    /// Measures links and rates with the other parties, and writes what was found if a file is named.
    pub(super) fn with_peers(&self, context: &Context, config: &Path, probes: &[Probe]) -> Result<(), Failure> {
        let network = self.out.as_ref().map(|out| network_file(out));
        let party = PartyConfig::read(config).map_err(Failure::input)?;
        let writes = self.out.iter().chain(&network).map(PathBuf::as_path);
        output::check_file_places(party.files(), writes)?;
        let back_end = self.backend.of_one_party()?;
        let endpoint = party.endpoint().map_err(Failure::input)?;
        let shaping = party.shaping().map_err(Failure::input)?;
        // Another catalog has other probes, and another number of runs other frames: both are seen at once.
        let names: Vec<&str> = probes.iter().map(|probe| probe.name.as_str()).collect();
        let agreed = catalogs::Digest::of(Tag::Plan, format!("{} runs of {}", self.runs, names.join(", ")).as_bytes());
        let peer = |error: transport::Error| Failure::Peer(error.to_string());
        let connect = |what: u8| {
            let mut digest = *agreed.bytes();
            digest[0] ^= what;
            tls::connect(&endpoint, &party.terms(Digest(digest)), party.limits(), shaping).map_err(peer)
        };
        let mut mesh = connect(0)?;
        let own = links::measure(&mut mesh, party.frame_bytes_max).map_err(peer)?;
        mesh.finish().map_err(peer)?;
        let seconds = super::party::seconds(config, probes, self.runs, back_end)?;
        let mut mesh = connect(1)?;
        let numbers = own.iter().flat_map(|link| [link.round_trip_seconds, link.bits_per_second]);
        let numbers: Vec<f64> = numbers.chain(seconds.into_iter().flatten()).collect();
        let all = links::exchange(&mut mesh, &numbers).map_err(peer)?;
        mesh.finish().map_err(peer)?;
        let timed = probes.len() * usize::from(self.runs);
        let found = together(&all, timed);
        if all.iter().flatten().any(|number| !(number.is_finite() && *number > 0.0)) {
            return Err(Failure::Peer("a party sent figures that are none".into()));
        }
        let runs = usize::from(self.runs);
        let seconds = |numbers: &Vec<f64>| {
            let seconds = &numbers[numbers.len() - timed..];
            seconds.chunks_exact(runs).map(<[f64]>::to_vec).collect::<Vec<_>>()
        };
        let measured: Vec<_> = all.iter().map(seconds).collect();
        let report = self.of_links(probes, &measured, found)?;
        if let (Some(out), Some(file), Some(network)) = (&self.out, &network, links::slowest(&report.machine.links)) {
            let network = toml::to_string(&network).map_err(Failure::input)?;
            output::write_texts(&[(out, &report.machine.to_text()), (file, &network)])?;
        }
        context.print(&report, super::text)
    }

    /// Rates of what is left of every probe beside the links.
    fn of_links(&self, probes: &[Probe], seconds: &[Vec<Vec<f64>>], found: Vec<Link>) -> Result<Report, Failure> {
        let name = self.name.clone().unwrap_or_else(|| "a deployment, as its slowest party saw it".into());
        let mut report = fitting::report(probes, seconds, name, links::slowest(&found))?;
        report.machine.links = found;
        Ok(report)
    }
}

/// Everybody's links, by sender: each begins with the round trip and the rate to every other party.
fn together(all: &[Vec<f64>], timed: usize) -> Vec<Link> {
    let parties = all.len();
    let of_party = |(from, numbers): (usize, &Vec<f64>)| {
        let own = numbers[..numbers.len() - timed].as_chunks::<2>().0.to_vec();
        let others = (0..parties).filter(move |&to| to != from);
        others.zip(own).map(move |(to, [round_trip_seconds, bits_per_second])| Link {
            from: from as u8,
            to: to as u8,
            round_trip_seconds,
            bits_per_second,
        })
    };
    all.iter().enumerate().flat_map(of_party).collect()
}

/// Where the slowest link goes, as a network for `--network`.
fn network_file(out: &Path) -> PathBuf {
    out.with_extension("network.toml")
}
