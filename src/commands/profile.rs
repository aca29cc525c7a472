//! `chebyshare profile`: seconds per unit of work on this machine, or of the parties of a deployment and their links.

mod deployment;

use crate::commands::run;
use crate::failure::Failure;
use crate::interrupt::TemporaryFolder;
use crate::report::Context;
use crate::{catalog_folder, interrupt, output};
use clap::Args;
use runtime::circuit;
use runtime::cost::calibrate::{Measurement, fit};
use runtime::cost::probes::{self, Probe};
use runtime::cost::{Machine, Resource, Work};
use runtime::deployment::{Loopback, Owners, PartyConfig, loopback};
use runtime::session::{Runner, work};
use runtime::transport::{self, Limits, Party, Transport, tls};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

/// Measures what rounds, bytes and local steps take on this machine, and writes a file of rates for `plan time`.
///
/// Three processes run small circuits over mutual TLS on loopback; a linear program fits the rates to what those took.
/// Let nothing else run meanwhile.
///
/// With --config every party of a deployment runs this, each with its own file, as for `chebyshare party`: together they
/// measure round trip and throughput of every link and the rates of the slowest party. OUT gets the rates and the links,
/// and beside it OUT with the ending .network.toml gets the slowest link, for --network.
///
/// Examples: chebyshare profile --out machine.toml, and at each party
/// chebyshare profile --config party.toml --out machine.toml
#[derive(Args)]
pub struct Profile {
    /// The file of rates.
    #[arg(long, value_name = "MACHINE.toml", required_unless_present_any = ["party", "config"])]
    out: Option<PathBuf>,
    /// Runs of every circuit, of which the median counts.
    #[arg(long, default_value_t = 9, allow_negative_numbers = true, value_parser = clap::value_parser!(u8).range(1..))]
    runs: u8,
    /// What the machine is called in the file; by default its processor and number of threads.
    #[arg(long)]
    name: Option<String>,
    /// This party's file: measures the deployment together with the other parties.
    #[arg(long, value_name = "PARTY.toml", conflicts_with = "party")]
    config: Option<PathBuf>,
    /// Be one of the three parties.
    #[arg(long, hide = true)]
    party: Option<PathBuf>,
}

/// A probe's median.
#[derive(Serialize, Deserialize)]
pub struct Row {
    /// The probe.
    pub name: String,
    /// The slowest party's median.
    pub seconds: f64,
    /// What the fitted rates say.
    pub predicted_seconds: f64,
}

/// What was measured.
#[derive(Serialize)]
pub struct Report {
    /// The rates.
    pub machine: Machine,
    /// The probes.
    pub probes: Vec<Row>,
}

/// Entries whose programs are evaluated: the first of each function in the catalog.
const PROGRAMS: [&str; 5] = ["relu/", "gelu/", "exp/", "reciprocal/", "rsqrt/"];
const ROLES: [&str; 3] = ["first", "second", "third"];

impl Profile {
    /// Measures, fits, writes, prints; or is a party.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        let probes = probes_of(&context.catalog)?;
        if let Some(config) = &self.party {
            interrupt::stop_with_input(3)?;
            let medians = medians(config, &probes, self.runs)?;

            return context.print(&medians, |medians| format!("{medians:?}\n"));
        }
        if let Some(config) = &self.config {
            return self.with_peers(context, config, &probes);
        }
        let Some(out) = &self.out else { return Err(Failure::input("name a file for the rates with --out")) };
        output::check_file_place(out)?;
        let report = self.measure(context, &probes)?;
        output::write_texts(&[(out, &report.machine.to_text())])?;
        context.print(&report, text)
    }

    fn measure(&self, context: &Context, probes: &[Probe]) -> Result<Report, Failure> {
        let folder = TemporaryFolder::new()?;
        let first = Party(0);
        let nothing = Path::new("nothing");
        let configs = loopback(
            folder.path(),
            &Loopback {
                session: "profile",
                roles: &ROLES,
                owners: Owners { model: first, input: first, output: first },
                plan: nothing,
                model: nothing,
                input: nothing,
                output: nothing,
                policy: None,
                network: None,
                limits: Limits::default(),
            },
        )
        .map_err(Failure::input)?;
        let arguments = |config: &PathBuf| {
            let runs = self.runs.to_string();
            ["profile".into(), "--runs".into(), runs.into(), "--party".into(), config.clone().into_os_string()]
        };
        let outputs = run::processes_of(&configs, &context.catalog, arguments, |_, _| ())?;
        let medians = outputs.iter().map(|output| {
            serde_json::from_str::<Vec<f64>>(output)
                .ok()
                .filter(|medians| medians.len() == probes.len())
                .ok_or_else(|| Failure::Peer("a party of the profile said something else".into()))
        });
        let medians: Vec<Vec<f64>> = medians.collect::<Result<_, _>>()?;
        fitted(probes, &medians, self.name.clone().unwrap_or_else(processor), |_, seconds| seconds)
    }
}

/// The rates that fit what `local` leaves of every probe's seconds, those of the slowest party.
fn fitted(
    probes: &[Probe],
    medians: &[Vec<f64>],
    name: String,
    local: impl Fn(&Work, f64) -> f64,
) -> Result<Report, Failure> {
    let mut measurements = Vec::new();
    for (index, probe) in probes.iter().enumerate() {
        let seconds = medians.iter().map(|medians| medians[index]).fold(0.0, f64::max);
        let work = work::of_circuit(&probe.circuit).map_err(Failure::input)?;
        let seconds = local(&work, seconds);
        measurements.push(Measurement { name: probe.name.clone(), work, seconds });
    }
    let (rates, worst) = fit(&measurements).map_err(Failure::Input)?;
    let machine = Machine::new(name, rates, worst);
    let row = |measurement: &Measurement| Row {
        name: measurement.name.clone(),
        seconds: measurement.seconds,
        predicted_seconds: machine.seconds(&measurement.work, None),
    };
    Ok(Report { probes: measurements.iter().map(row).collect(), machine })
}

fn probes_of(catalog: &Path) -> Result<Vec<Probe>, Failure> {
    let catalog = catalog_folder::open(catalog)?;
    let mut programs = Vec::new();
    for prefix in PROGRAMS {
        let executed = |certified: &verify::Certified| certified.program().widest_ring().bits() <= 64;
        for (name, published) in catalog.iter().filter(|(name, _)| name.starts_with(prefix)) {
            let certified = verify::check_texts(&published.entry, &published.certificate)
                .map_err(|reason| Failure::Claim(format!("{name}: {reason}")))?;
            if executed(&certified) {
                programs.push((name.to_owned(), Arc::new(certified)));
                break;
            }
        }
    }
    probes::all(&programs).map_err(Failure::input)
}

/// The medians of this party's seconds, probe by probe, each over a connection of its own.
fn medians(config: &Path, probes: &[Probe], runs: u8) -> Result<Vec<f64>, Failure> {
    let config = PartyConfig::read(config).map_err(Failure::input)?;
    let endpoint = config.endpoint().map_err(Failure::input)?;
    let shaping = config.shaping().map_err(Failure::input)?;
    let peer = |error: transport::Error| Failure::Peer(error.to_string());
    let mut all = Vec::new();
    for (number, probe) in probes.iter().enumerate() {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&(number as u64).to_le_bytes());
        let terms = config.terms(transport::Digest(digest));
        let mut mesh = tls::connect(&endpoint, &terms, config.limits(), shaping).map_err(peer)?;
        let seconds = time(config.party, probe, runs, &mut mesh).map_err(|error| Failure::Peer(error.to_string()))?;
        mesh.finish().map_err(peer)?;
        all.push(seconds);
    }
    Ok(all)
}

fn time(party: Party, probe: &Probe, runs: u8, transport: &mut dyn Transport) -> Result<f64, runtime::session::Error> {
    let (me, first) = (circuit::Party(party.0), circuit::Party(0));
    let mut runner = Runner::new(probe.circuit.clone(), me)?;
    let weights = (me == first).then(|| probe.weights()).transpose()?;
    runner.share_weights(first, weights.as_ref(), transport)?;
    let inputs: Vec<_> = probe.inputs().into_iter().map(|input| (me == first).then_some(input)).collect();
    let mut seconds = Vec::new();
    // The first run, in which memory is touched for the first time, does not count.
    for run in 0..=runs {
        let begun = Instant::now();
        runner.run(&inputs, transport)?;
        if run > 0 {
            seconds.push(begun.elapsed().as_secs_f64());
        }
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds[seconds.len() / 2])
}

/// The processor's name, where the system tells, and its threads.
fn processor() -> String {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let about = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = about.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let name = name.map_or(std::env::consts::ARCH, |(_, name)| name.trim());
    format!("{name}, {threads} threads, three parties on them")
}

/// The report as a page.
fn text(report: &Report) -> String {
    let mut out = format!("{:<58} {:>11} {:>11} {:>7}\n", "probe", "measured", "fitted", "ratio");
    for Row { name, seconds, predicted_seconds } in &report.probes {
        let (measured, fitted) = (1e3 * seconds, 1e3 * predicted_seconds);
        let ratio = predicted_seconds / seconds;
        out.push_str(&format!("{name:<58} {measured:>8.2} ms {fitted:>8.2} ms {ratio:>7.2}\n"));
    }
    out.push_str(&format!("\n{}\n", report.machine.name));
    for resource in Resource::ALL {
        out.push_str(&format!("  {:>10.3e} s per {}\n", report.machine.rate(resource), resource.name()));
    }
    for link in &report.machine.links {
        out.push_str(&format!(
            "party {} to {}: {:.3} ms there and back, {:.1} Mbit/s\n",
            link.from,
            link.to,
            1e3 * link.round_trip_seconds,
            link.bits_per_second / 1e6
        ));
    }
    out
}
