//! What a GPU does: `cargo bench -p runtime --bench gpu`, or the program that this makes, with the folders `catalogs`
//! and `proofs` beside where it is started. First it compares the GPU with the CPU bit for bit, then it measures.
//!
//! Exit codes: 0 measured, 1 the GPU computes something else than the CPU, 2 there is no GPU, and nothing was measured.
//! `--device N` takes another GPU than the first; `--shim` takes this processor in its place, at tiny sizes, to show
//! that the program works: its figures mean nothing. `CHEBYSHARE_CUDA_TOOLS` names a folder with CUDA's compiler where
//! the loader does not find it.

mod measure;

use measure::Sizes;
use runtime::backend::cuda::{Cache, Cuda, Device, Error, Tuning, driver, nvrtc, shim};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Arc;

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("the device computes something else than the CPU: nothing was measured");
            ExitCode::from(1)
        }
        Err(reason) => {
            eprintln!("NOT RUN: no figure of a GPU was measured: {reason}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &[String]) -> Result<bool, String> {
    let (mut number, mut on_shim, mut rest) = (0, false, arguments.iter());
    while let Some(argument) = rest.next() {
        match argument.as_str() {
            // What `cargo bench` adds.
            "--bench" => {}
            "--shim" => on_shim = true,
            "--device" => {
                let given = rest.next().and_then(|number| number.parse().ok());
                number = given.ok_or("--device wants the number of a GPU")?;
            }
            other => return Err(format!("'{other}' is none of --device N, --shim")),
        }
    }
    let (device, sizes) = open(number, on_shim).map_err(|error| error.to_string())?;
    println!("device: {}", device.name());
    let memory = device.memory().map_err(|error| error.to_string())?;
    println!("memory: {} bytes free of {}", memory.free, memory.total);
    println!("driver: {}", first_line(Path::new("/proc/driver/nvidia/version")));
    println!("commit: {}", commit());
    let cuda = |tuning: Tuning| Cuda::tuned(Arc::clone(&device), tuning).map_err(|error| error.to_string());
    if !measure::agrees(&cuda, &sizes)? {
        return Ok(false);
    }
    measure::products(&cuda, &sizes)?;
    measure::functions(&cuda(Tuning::default())?, &sizes, &root())?;
    println!("NOT RUN: products in fp64 (none are built); softmax and models: see docs/gpu.md for their commands");
    Ok(true)
}

fn open(number: usize, on_shim: bool) -> Result<(Arc<dyn Device>, Sizes), Error> {
    if on_shim {
        println!("ON THIS PROCESSOR, at tiny sizes: the figures below mean nothing");
        return Ok((Arc::new(shim::Shim::new(Cache::of_user()?)?), Sizes::tiny()));
    }
    if let Some(folder) = std::env::var_os("CHEBYSHARE_CUDA_TOOLS").map(PathBuf::from) {
        nvrtc::load_below(&folder)?;
    }
    Ok((Arc::new(driver::Driver::new(number, Cache::of_user()?)?), Sizes::full()))
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

fn commit() -> String {
    let output = Command::new("git").args(["rev-parse", "HEAD"]).output();
    let known = output.ok().filter(|output| output.status.success());
    known.map_or("unknown".into(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
