//! What a GPU does, beside what it could do at most: `cargo bench -p runtime --bench gpu`, or the program that this makes,
//! with the folders `catalogs`, `proofs` and `examples` beside where it is started. First it compares the GPU with the
//! CPU bit for bit, then it measures; the table is printed and, with `--out FILE`, written as Markdown.
//!
//! Exit codes: 0 measured, rows that did not run say so; 1 the GPU computes something else than the CPU; 2 there is no
//! GPU, and nothing was measured.
//! `--models FOLDER` has the models that the repository does not, with their plans (`examples/gpu.sh`). `--kernels
//! FOLDER` keeps compiled kernels there. `--compile ARCHITECTURE` compiles the kernels of everything into that folder
//! instead, `sm_90` for example, without a GPU. `--device N` takes another GPU than the first; `--only TEXT` takes only
//! the tables whose titles begin so, or the model that is called so, and may be given several times; `--append` leaves what
//! FILE holds, and where that says what the device is and that it agrees with the CPU, neither is said or tried again;
//! `--tiny` takes tiny sizes, whose figures mean nothing, for tools that watch what a GPU does; `--shim` takes this
//! processor in the place of a GPU, at tiny sizes, to show that the program works. `CHEBYSHARE_CUDA_TOOLS` names a folder
//! with CUDA's compiler where the loader does not find it, `CHEBYSHARE_COMMIT` the commit where there is no repository.

mod ahead;
mod measure;

use catalogs::Catalog;
use measure::models::{Files, Model};
use measure::report::Report;
use measure::roofline::Roofline;
use measure::{Sizes, explain, models, products, softmax, stages};
use runtime::backend::cuda::{Cache, Cuda, Device, Measurable, Tuning, driver, nvrtc, shim};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;

/// The titles of all tables.
const TABLES: [&str; 5] = [products::CEILINGS, products::TITLE, stages::TITLE, softmax::TITLE, models::TITLE];

/// The fact that nothing is measured without.
const AGREEMENT: &str = "agreement";

/// What the program was asked for.
#[derive(Default)]
struct Arguments {
    device: usize,
    shim: bool,
    tiny: bool,
    out: Option<PathBuf>,
    models: Option<PathBuf>,
    kernels: Option<PathBuf>,
    compile: Option<String>,
    only: Vec<String>,
    append: bool,
}

/// How a measurement ended that could be made.
enum Ended {
    Measured,
    Differs,
}

fn main() -> ExitCode {
    let given: Vec<String> = std::env::args().skip(1).collect();
    match Arguments::parse(&given).and_then(|arguments| run(&arguments, &given.join(" "))) {
        Ok(Ended::Measured) => ExitCode::SUCCESS,
        Ok(Ended::Differs) => {
            eprintln!("the device computes something else than the CPU: nothing was measured");
            ExitCode::from(1)
        }
        Err(reason) => {
            eprintln!("NOT RUN: no figure of a GPU was measured: {reason}");
            ExitCode::from(2)
        }
    }
}

impl Arguments {
    fn parse(given: &[String]) -> Result<Arguments, String> {
        let (mut arguments, mut rest) = (Arguments::default(), given.iter());
        while let Some(argument) = rest.next() {
            let mut value = || rest.next().cloned().ok_or_else(|| format!("{argument} wants a value"));
            match argument.as_str() {
                // What `cargo bench` adds.
                "--bench" => {}
                "--shim" => arguments.shim = true,
                "--tiny" => arguments.tiny = true,
                "--device" => {
                    arguments.device = value()?.parse().map_err(|_| "--device wants the number of a GPU")?;
                }
                "--out" => arguments.out = Some(value()?.into()),
                "--models" => arguments.models = Some(value()?.into()),
                "--kernels" => arguments.kernels = Some(value()?.into()),
                "--compile" => arguments.compile = Some(value()?),
                "--only" => arguments.only.push(value()?),
                "--append" => arguments.append = true,
                other => {
                    return Err(format!(
                        "'{other}' is none of --device N, --out FILE, --models FOLDER, --kernels FOLDER, --compile \
                         ARCHITECTURE, --only TEXT, --append, --tiny, --shim"
                    ));
                }
            }
        }
        match arguments.only.iter().find(|only| !TABLES.iter().any(|title| begins(title, only)) && !is_model(only)) {
            Some(only) => Err(format!("--only {only}: no table's title begins so, and no model is called so")),
            None if arguments.append && arguments.out.is_none() => Err("--append wants --out".into()),
            None => Ok(arguments),
        }
    }

    fn cache(&self) -> Result<Cache, String> {
        match &self.kernels {
            Some(folder) => Cache::new(folder.clone()).map_err(explain),
            None => Cache::of_user().map_err(explain),
        }
    }

    fn wants(&self, title: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| begins(title, only))
    }

    /// How much is computed, of the models that are wanted.
    fn sizes(&self) -> Sizes {
        let mut sizes = if self.shim || self.tiny { Sizes::tiny() } else { Sizes::full() };
        if self.tiny && !self.shim {
            // Several blocks and warps in both directions, the last of them not whole.
            sizes.agreeing.push([130, 100, 330]);
        }
        sizes.models.retain(|model| self.wants(models::TITLE) || self.only.iter().any(|only| only == model.name));
        sizes
    }
}

/// Whether a title begins so.
fn begins(title: &str, only: &str) -> bool {
    title.to_lowercase().starts_with(&only.to_lowercase())
}

fn is_model(name: &str) -> bool {
    models::ALL.iter().any(|model| model.name == name)
}

fn run(arguments: &Arguments, given: &str) -> Result<Ended, String> {
    if !arguments.shim
        && let Some(folder) = std::env::var_os("CHEBYSHARE_CUDA_TOOLS").map(PathBuf::from)
    {
        match nvrtc::load_below(&folder) {
            Err(reason) if arguments.compile.is_some() => return Err(explain(reason)),
            // Where all kernels are compiled already, none is needed; otherwise whoever needs one says what is missing.
            Err(reason) => eprintln!("CHEBYSHARE_CUDA_TOOLS: {reason}"),
            Ok(()) => {}
        }
    }
    let (root, cache) = (root(), arguments.cache()?);
    let catalog = Catalog::open(&root.join("catalogs"), &root.join("proofs")).map_err(explain)?;
    let files = |model: &Model| Files::of(model, &root, arguments.models.as_deref());
    if let Some(architecture) = &arguments.compile {
        return ahead::compile(architecture, &cache, &catalog, &arguments.sizes(), &files).map(|()| Ended::Measured);
    }
    let mut report = match arguments.out.clone() {
        Some(file) if arguments.append => Report::after(file)?,
        file => Report::new(file),
    };
    let shared: Option<Arc<dyn Measurable>> = match arguments.shim {
        true => Some(Arc::new(shim::Shim::new(cache.clone()).map_err(explain)?)),
        false => None,
    };
    let open = || -> Result<Arc<dyn Measurable>, String> {
        match &shared {
            Some(shim) => Ok(Arc::clone(shim)),
            None => Ok(Arc::new(driver::Driver::new(arguments.device, cache.clone()).map_err(explain)?)),
        }
    };
    let sizes = arguments.sizes();
    let device = match open() {
        Ok(device) => device,
        Err(reason) => {
            report.fact("NOT RUN", format!("no figure of a GPU was measured: {reason}"))?;
            return Err(reason);
        }
    };
    let roofline = Roofline::of(&device.properties().map_err(explain)?);
    let party = |tuning: Tuning| {
        let device: Arc<dyn Device> = open()?;
        Cuda::tuned(device, tuning).map_err(explain)
    };
    if !report.knows(AGREEMENT) {
        facts(&mut report, device.as_ref(), arguments, given)?;
        if !measure::agrees(&party, &sizes, &catalog)? {
            report.fact("NOT RUN", "the device computes something else than the CPU")?;
            return Ok(Ended::Differs);
        }
        report.fact(AGREEMENT, "products of every way, movements, sums and stages are the CPU's, bit for bit")?;
    }
    if arguments.wants(products::CEILINGS) {
        products::ceilings(&mut report, &open, &sizes, &roofline)?;
    }
    if arguments.wants(products::TITLE) {
        products::products(&mut report, &open, &sizes, &roofline)?;
    }
    if arguments.wants(stages::TITLE) {
        stages::stages(&mut report, &open, &sizes, &roofline, &catalog)?;
    }
    if arguments.wants(softmax::TITLE) {
        softmax::softmax(&mut report, &open, &sizes, &catalog)?;
    }
    if !sizes.models.is_empty() {
        models::models(&mut report, &open, &sizes, &catalog, &files)?;
    }
    println!("\n{} rows, {} of them NOT RUN", report.rows(), report.missing());
    Ok(Ended::Measured)
}

/// What was measured on, and how.
fn facts(report: &mut Report, device: &dyn Measurable, arguments: &Arguments, given: &str) -> Result<(), String> {
    if arguments.shim {
        report.fact("ON THIS PROCESSOR", "at tiny sizes: the figures below mean nothing")?;
    } else if arguments.tiny {
        report.fact("AT TINY SIZES", "the figures below mean nothing")?;
    }
    report.fact("device", device.name())?;
    let known = device.properties().map_err(explain)?;
    let [major, minor] = known.capability;
    let clocks = format!(
        "{} multiprocessors at {:.0} MHz, memory of {} bits at {:.0} MHz, cache of {} bytes, compute capability {major}.{minor}",
        known.multiprocessors,
        known.clock_hertz / 1e6,
        known.memory_bus_bits,
        known.memory_clock_hertz / 1e6,
        known.cache_bytes
    );
    report.fact("by its own account", clocks)?;
    let memory = device.memory().map_err(explain)?;
    report.fact("memory", format!("{} bytes free of {}", memory.free, memory.total))?;
    let versions = "name,driver_version,memory.total,clocks.max.sm,clocks.max.memory,power.limit";
    let query = format!("--query-gpu={versions}");
    report.fact("nvidia-smi", said("nvidia-smi", &[&query, "--format=csv,noheader"]))?;
    report.fact("driver", first_line(Path::new("/proc/driver/nvidia/version")))?;
    let compiler = nvrtc::version().map_or_else(|| "none".into(), |version| format!("NVRTC {version}"));
    report.fact("interface and compiler", format!("{}, {compiler}", known.driver))?;
    let commit = std::env::var("CHEBYSHARE_COMMIT").ok().filter(|commit| !commit.is_empty());
    report.fact("commit", commit.unwrap_or_else(|| said("git", &["rev-parse", "HEAD"])))?;
    report.fact("processor", processor())?;
    report.fact("day", said("date", &["-u", "+%Y-%m-%d"]))?;
    report.fact("command", format!("gpu {given}").trim().to_owned())
}

/// Where the catalog is: here, or where this was built.
fn root() -> PathBuf {
    let here = PathBuf::from(".");
    if here.join("catalogs").is_dir() { here } else { Path::new(env!("CARGO_MANIFEST_DIR")).join("..") }
}

fn first_line(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}

/// What a program of this machine prints, or that nobody knows.
fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success());
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().replace('\n', "; "));
    text.filter(|text| !text.is_empty()).unwrap_or_else(|| "unknown".into())
}

fn processor() -> String {
    let about = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = about.lines().find_map(|line| line.strip_prefix("model name")).and_then(|line| line.split(':').nth(1));
    let threads = std::thread::available_parallelism().map_or(0, |threads| threads.get());
    format!("{}, {threads} threads", name.map_or("unknown", str::trim))
}
