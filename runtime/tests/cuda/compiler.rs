//! Every kernel through CUDA's own compiler, without a GPU: fixed files, and what every shipped entry and every other
//! operation is printed as, to PTX and through `ptxas` for sm_90. Needs the folder that `runtime/tests/cuda/install`
//! fills, named by the variable below; without it nothing of this runs, which is said. What was compiled once is kept
//! in the folder `results` beside it by the digest of text, options, architecture and versions, so that a second run,
//! or one that continues an interrupted one, compiles only what is new.

use crate::stages;
use catalogs::Ring;
use runtime::backend::cuda::{Cache, Error, Source, fixed_sources, nvrtc, stage_source};
use runtime::kernel::{CheckedKernel, CheckedParty};
use runtime::protocol::rss3;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

const TOOLS: &str = "CHEBYSHARE_CUDA_TOOLS";
const ARCHITECTURE: &str = "compute_90";
const ASSEMBLED: [&str; 2] = ["-v", "-arch=sm_90"];
/// Kernels of one text: compilers take longer than in proportion, and start slowly.
const KERNELS_AT_ONCE: usize = 16;
/// Kernels that are listed by what they use.
const LISTED: usize = 12;

fn found(folder: &Path, name: &str) -> Option<PathBuf> {
    let mut pending = vec![folder.to_owned()];
    while let Some(folder) = pending.pop() {
        for file in std::fs::read_dir(folder).ok()?.flatten().map(|file| file.path()) {
            match file.is_dir() {
                true => pending.push(file),
                false if file.file_name().is_some_and(|own| own == name) => return Some(file),
                false => {}
            }
        }
    }
    None
}

/// Kernels without equals.
fn kernels() -> Vec<Source> {
    let mut parties: Vec<(String, Vec<CheckedParty>)> = stages::entries();
    for bits in [3, 31, 40, 64] {
        let ring = Ring::new(bits).unwrap();
        let all = [rss3::share(ring), rss3::open(ring), rss3::compile_reshare(ring)].map(Result::unwrap);
        parties.extend(all.map(|parties| (format!("sharing, {bits} bits"), parties)));
    }
    for (candidates, joined) in [(2, 1), (4, 1), (8, 3)] {
        let maximum = rss3::compile_maximum(Ring::Z64, 40, candidates, joined).unwrap();
        parties.push((format!("maximum of {candidates}"), maximum));
    }
    let all: Vec<(&str, &CheckedKernel)> = parties
        .iter()
        .flat_map(|(name, parties)| parties.iter().map(move |party| (name.as_str(), party)))
        .flat_map(|(name, party)| party.stages().iter().map(move |stage| (name, stage)))
        .collect();
    let mut distinct = std::collections::BTreeMap::new();
    for &(name, kernel) in &all {
        let printed = stage_source(&[kernel]).unwrap().kernels[0].0.clone();
        distinct.entry(printed).or_insert((name, kernel));
    }
    println!("{} kernels, {} of them distinct", all.len(), distinct.len());
    for (printed, (name, _)) in &distinct {
        println!("{printed} {name}");
    }
    let distinct: Vec<_> = distinct.into_values().map(|(_, kernel)| kernel).collect();
    distinct.chunks(KERNELS_AT_ONCE).map(|kernels| stage_source(kernels).unwrap()).collect()
}

/// What the assembler says of a kernel.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Used {
    name: String,
    registers: u64,
    stack: u64,
    spilled: u64,
    shared: u64,
}

/// The numbers before words such as "bytes stack frame".
fn before(line: &str, word: &str) -> u64 {
    let end = line.find(word).unwrap_or(0);
    line[..end].split_whitespace().next_back().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// The assembler's report, kernel by kernel.
fn used(log: &str) -> Vec<Used> {
    let mut all: Vec<Used> = Vec::new();
    for line in log.lines() {
        if let Some(name) = line.split("Compiling entry function '").nth(1).and_then(|rest| rest.split('\'').next()) {
            all.push(Used { name: name.to_owned(), ..Used::default() });
        }
        let Some(last) = all.last_mut() else { continue };
        if line.contains("bytes stack frame") {
            last.stack = before(line, " bytes stack frame");
            last.spilled = before(line, " bytes spill stores") + before(line, " bytes spill loads");
        }
        if line.contains(" registers") {
            last.registers = before(line, " registers");
            last.shared = before(line, " bytes smem");
        }
    }
    all
}

/// The assembler's report on a text, and whether it was kept from an earlier run.
fn report(source: &Source, assembler: &Path, kept: &Cache, scratch: &Path) -> Result<(String, bool), Error> {
    let (options, assembled) = (nvrtc::OPTIONS.join(" "), ASSEMBLED.join(" "));
    let version = Command::new(assembler).arg("--version").output().unwrap().stdout;
    let version = String::from_utf8_lossy(&version);
    let key = Cache::key(&["report", &version, &options, ARCHITECTURE, &assembled, &source.text]);
    let mut fresh = false;
    let file = kept.file(&key, "log", |path| {
        fresh = true;
        let ptx = nvrtc::compile(source, ARCHITECTURE)?;
        assert!(source.kernels.iter().all(|(name, _)| ptx.contains(&format!(".entry {name}("))));
        let text = scratch.join("kernels.ptx");
        std::fs::write(&text, ptx.trim_end_matches('\0')).unwrap();
        let output = Command::new(assembler).args(ASSEMBLED).arg("-o").arg(scratch.join("cubin")).arg(&text).output();
        let output = output.unwrap();
        let log = String::from_utf8_lossy(&output.stderr);
        match output.status.success() {
            true => std::fs::write(path, log.as_bytes()).map_err(|error| Error::Missing(error.to_string())),
            false => Err(Error::Compile { target: "sm_90".into(), log: log.into_owned() }),
        }
    })?;
    Ok((std::fs::read_to_string(file.path()).unwrap(), !fresh))
}

#[test]
fn every_kernel_compiles_to_ptx_and_assembles() {
    let sources: Vec<Source> = fixed_sources().into_iter().chain(kernels()).collect();
    let count: usize = sources.iter().map(|source| source.kernels.len()).sum();
    let Some(folder) = std::env::var_os(TOOLS).map(PathBuf::from) else {
        let _ = writeln!(
            std::io::stderr(),
            "NOT RUN: {count} kernels were not compiled by CUDA's compiler: {TOOLS} names no folder"
        );
        return;
    };
    let compiler = found(&folder, "libnvrtc.so.13").unwrap();
    nvrtc::load_from(compiler.parent().unwrap()).unwrap();
    let refused = Source { text: "extern \"C\" __global__ void f() { undefined(); }".into(), kernels: Vec::new() };
    assert!(nvrtc::compile(&refused, ARCHITECTURE).unwrap_err().to_string().contains("undefined"));
    let (assembler, scratch) = (found(&folder, "ptxas").unwrap(), tempfile::tempdir().unwrap());
    let kept = Cache::new(folder.join("results")).unwrap();
    let (mut all, mut failures, mut old) = (Vec::new(), Vec::new(), 0);
    for source in &sources {
        match report(source, &assembler, &kept, scratch.path()) {
            Ok((log, known)) => {
                let own = used(&log);
                assert_eq!(own.len(), source.kernels.len(), "{log}");
                old += if known { own.len() } else { 0 };
                all.extend(own);
            }
            Err(error) => failures.push(format!("{:?}: {error}", source.kernels)),
        }
    }
    println!(
        "{} of {count} kernels compiled by NVRTC and assembled for sm_90, {old} of them in an earlier run",
        all.len()
    );
    listed("registers", &mut all, |used| used.registers);
    listed("bytes of shared memory", &mut all, |used| used.shared);
    listed("bytes of stack", &mut all, |used| used.stack);
    listed("bytes of spilled registers", &mut all, |used| used.spilled);
    assert!(failures.is_empty(), "{} texts fail: {}", failures.len(), failures.join("\n"));
}

/// Prints how many kernels use any, and those that use most.
fn listed(what: &str, all: &mut [Used], key: impl Fn(&Used) -> u64) {
    all.sort_by_key(|used| (std::cmp::Reverse(key(used)), used.name.clone()));
    println!("{what}: {} of {} kernels have any", all.iter().filter(|used| key(used) > 0).count(), all.len());
    all.iter().filter(|used| key(used) > 0).take(LISTED).for_each(|used| println!("  {used:?}"));
}

#[test]
fn the_assemblers_report_is_read() {
    let log = "ptxas info    : Compiling entry function 'stage_1' for 'sm_90'\n\
               ptxas info    : Function properties for stage_1\n\
                   64 bytes stack frame, 8 bytes spill stores, 12 bytes spill loads\n\
               ptxas info    : Used 40 registers, used 1 barriers, 64 bytes cumulative stack size, 9216 bytes smem\n";
    let expected = Used { name: "stage_1".into(), registers: 40, stack: 64, spilled: 20, shared: 9216 };
    assert_eq!(used(log), [expected]);
}
