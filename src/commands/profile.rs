//! `chebyshare profile`: seconds per unit of work on this machine, or of the parties of a deployment and their links.

mod deployment;
mod fitting;
mod party;

use crate::commands::back_end::BackEnd;
use crate::commands::run;
use crate::failure::Failure;
use crate::interrupt::TemporaryFolder;
use crate::report::Context;
use crate::{catalog_folder, interrupt, output};
use clap::Args;
use runtime::cost::probes::{self, Probe};
use runtime::cost::{Machine, Resource};
use runtime::deployment::{Loopback, Owners, loopback};
use runtime::transport::{Limits, Party, Shaping};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Measures what rounds, bytes and local steps take on this machine, and writes a file of rates for `plan time`.
///
/// Three processes run small circuits over mutual TLS on loopback, alone and side by side, every circuit once before any
/// runs again; the rates fit what those took. Let nothing else run meanwhile. With --network lan the rates are those of
/// sessions that imitate a network, for `plan time --network`.
///
/// With --config every party of a deployment runs this, each with its own file, as for `chebyshare party`: together they
/// measure round trip and throughput of every link and the rates of the slowest party; where messages travel so long that
/// nothing is seen of the parties, as over 40 ms, the usual rates, which the page and OUT say. OUT gets the rates and the
/// links, and beside it OUT with the ending .network.toml gets the slowest link, for --network.
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
    /// A network to imitate meanwhile, lan or a TOML file: rates for sessions that imitate one, whose processors wait more
    /// and whose messages are sealed while others are on their way.
    #[arg(long, conflicts_with_all = ["party", "config"])]
    network: Option<String>,
    /// Where the parties compute: cpu, cuda, cuda:NUMBER or auto, as for `run` and `party`. The rates, and what is predicted
    /// with them, are those of sessions that compute there.
    #[arg(long, value_name = "BACK END", default_value = "cpu")]
    backend: BackEnd,
    /// This party's file: measures the deployment together with the other parties.
    #[arg(long, value_name = "PARTY.toml", conflicts_with = "party")]
    config: Option<PathBuf>,
    /// Be one of the three parties.
    #[arg(long, hide = true)]
    party: Option<PathBuf>,
}

/// A probe's median.
#[derive(Serialize)]
pub struct Row {
    /// The probe.
    pub name: String,
    /// The slowest party's median.
    pub seconds: f64,
    /// What the fitted rates say.
    pub predicted_seconds: f64,
    /// The slowest party's seconds, repeat by repeat.
    pub repeats: Vec<f64>,
    /// Whether the way of its messages leaves enough of it to tell something of the processors.
    pub counts: bool,
    /// What was asked of a party, by kind of work.
    pub work: BTreeMap<&'static str, f64>,
}

/// What a rate would be if only one of the repeats were known.
#[derive(Serialize)]
pub struct Spread {
    /// The least of the repeats.
    pub least: f64,
    /// The most.
    pub most: f64,
}

/// What was measured.
#[derive(Serialize)]
pub struct Report {
    /// The rates.
    pub machine: Machine,
    /// How much each rate differs from repeat to repeat.
    pub spreads: BTreeMap<&'static str, Spread>,
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
            let seconds = party::seconds(config, &probes, self.runs, self.backend)?;
            return context.print(&seconds, |seconds| format!("{seconds:?}\n"));
        }
        if let Some(config) = &self.config {
            return self.with_peers(context, config, &probes);
        }
        let Some(out) = &self.out else { return Err(Failure::input("name a file for the rates with --out")) };
        output::check_file_places(output::network_file(self.network.as_deref()), [out.as_path()])?;
        let report = self.measure(context, &probes)?;
        output::write_texts(&[(out, &report.machine.to_text())])?;
        context.print(&report, text)
    }

    fn measure(&self, context: &Context, probes: &[Probe]) -> Result<Report, Failure> {
        let back_end = self.backend.decided()?;
        let name = self.name.clone().unwrap_or_else(|| match back_end {
            BackEnd::Cpu => processor(),
            other => format!("{}, computing on {}", processor(), other.argument()),
        });
        let how = How { network: self.network.as_deref(), runs: self.runs, back_end };
        on_this_machine(&context.catalog, probes, how, name)
    }
}

/// What `profile` measures of this machine over `network`, with so many runs of every probe.
#[cfg(feature = "generate")]
pub fn measured(catalog: &Path, network: Option<&str>, runs: u8) -> Result<Report, Failure> {
    on_this_machine(catalog, &probes_of(catalog)?, How { network, runs, back_end: BackEnd::Cpu }, processor())
}

/// How probes are run on this machine.
struct How<'a> {
    /// The imitated network.
    network: Option<&'a str>,
    /// Runs of every probe.
    runs: u8,
    /// Where the parties compute.
    back_end: BackEnd,
}

/// Rates of three processes of this machine. Every repeat of all probes has processes of its own, as sessions have.
fn on_this_machine(
    catalog: &Path,
    probes: &[Probe],
    How { network, runs, back_end }: How<'_>,
    name: String,
) -> Result<Report, Failure> {
    let shaping = network.map(Shaping::named).transpose().map_err(Failure::input)?;
    let folder = TemporaryFolder::new()?;
    let first = Party(0);
    let nothing = Path::new("nothing");
    let what = Loopback {
        session: "profile",
        roles: &ROLES,
        owners: Owners { model: first, input: first, output: first },
        plan: nothing,
        model: nothing,
        input: nothing,
        output: nothing,
        policy: None,
        network,
        side_by_side: None,
        limits: Limits::default(),
    };
    let configs = loopback(folder.path(), &what).map_err(Failure::input)?;
    let arguments = |config: &PathBuf| {
        let (back_end, config) = (back_end.argument().into(), config.clone().into_os_string());
        ["profile".into(), "--runs".into(), "1".into(), "--backend".into(), back_end, "--party".into(), config]
    };
    let mut all: Vec<Seconds> = vec![vec![Vec::new(); probes.len()]; ROLES.len()];
    for _ in 0..runs {
        let outputs = run::processes_of(&configs, catalog, arguments, |_, _| ())?;
        for (party, output) in all.iter_mut().zip(&outputs) {
            let is_whole = |more: &Seconds| more.len() == probes.len() && more.iter().all(|one| one.len() == 1);
            let more = serde_json::from_str::<Seconds>(output).ok().filter(is_whole);
            let more = more.ok_or_else(|| Failure::Peer("a party of the profile said something else".into()))?;
            party.iter_mut().zip(more).for_each(|(known, more)| known.extend(more));
        }
    }
    fitting::report(probes, &all, name, shaping)
}

/// Seconds of one party, by probe and repeat.
type Seconds = Vec<Vec<f64>>;

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

/// The processor's name, where the system tells, and its threads.
fn processor() -> String {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let about = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = about.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let name = name.map_or(std::env::consts::ARCH, |(_, name)| name.trim());
    format!("{name}, {threads} threads, three parties on them")
}

/// How well the rates say what was measured, so that nobody has to compare the rows.
fn closeness(probes: &[Row]) -> String {
    let off = |row: &Row| (row.predicted_seconds / row.seconds).ln().abs();
    let mut off: Vec<f64> = probes.iter().filter(|row| row.counts).map(off).collect();
    off.sort_by(f64::total_cmp);
    let within = |share: usize| off.get(off.len().saturating_sub(1) * share / 10).map_or(0.0, |off| off.exp());
    match off.len() {
        0 => "no probe counts: the way of its messages hides what processors do, so that the rates are the usual ones"
            .into(),
        counted => format!(
            "{counted} of {} probes count; half of these are fitted within a factor of {:.2}, nine of ten within {:.2}",
            probes.len(),
            within(5),
            within(9)
        ),
    }
}

/// The report as a page.
fn text(report: &Report) -> String {
    let mut out = format!("{:<58} {:>11} {:>11} {:>7}\n", "probe", "measured", "fitted", "ratio");
    for Row { name, seconds, predicted_seconds, counts, .. } in &report.probes {
        let (measured, fitted) = (1e3 * seconds, 1e3 * predicted_seconds);
        let ratio = predicted_seconds / seconds;
        let hidden = if *counts { "" } else { "  counts nothing" };
        out.push_str(&format!("{name:<58} {measured:>8.2} ms {fitted:>8.2} ms {ratio:>7.2}{hidden}\n"));
    }
    out.push_str(&format!("{}\n\n{}\n", closeness(&report.probes), report.machine.name));
    for resource in Resource::ALL {
        let (name, rate) = (resource.name(), report.machine.rate(resource));
        let spread = report
            .spreads
            .get(name)
            .map_or(String::new(), |spread| format!(", of single repeats {:.2e} to {:.2e}", spread.least, spread.most));
        out.push_str(&format!("  {rate:>10.3e} s per {name}{spread}\n"));
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
