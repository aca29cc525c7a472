//! Every kernel through CUDA's own compiler, without a GPU: fixed files, and what every shipped entry and every other
//! operation is printed as, to PTX and through `ptxas` for sm_90. Needs the folder that `runtime/tests/cuda/install`
//! fills, named by the variable below; without it nothing of this runs, which is said. What is said of a kernel is kept
//! in the folder `results` beside it by the digest of text, options, architecture and versions, so that a second run,
//! or one that continues an interrupted one, compiles only what is new. Every entry has a turn before any has a second.

use crate::stages;
use catalogs::Ring;
use runtime::backend::cuda::{Cache, Error, Source, fixed_sources, nvrtc, stage_source};
use runtime::kernel::{CheckedKernel, CheckedParty};
use runtime::protocol::rss3;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

const TOOLS: &str = "CHEBYSHARE_CUDA_TOOLS";
const ARCHITECTURE: &str = "compute_90";
const ASSEMBLED: [&str; 2] = ["-v", "-arch=sm_90"];
/// Instructions of one text: compilers take longer than in proportion, and start slowly.
const INSTRUCTIONS_AT_ONCE: usize = 2000;
/// Texts that are compiled beside each other.
const THREADS: usize = 2;
/// Bytes that a kernel may spill and load again: what the assembler does for its own reasons.
const SPILLED_MAX: u64 = 400;
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

/// Kernels without equals, a few of them in a text: the longest of every entry and other operation, then the rest.
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
    let mut all: Vec<(usize, &CheckedKernel)> = Vec::new();
    for (_, parties) in &parties {
        let mut own: Vec<&CheckedKernel> = parties.iter().flat_map(CheckedParty::stages).collect();
        own.sort_by_key(|kernel| std::cmp::Reverse(kernel.instructions().len()));
        all.extend(own.into_iter().enumerate());
    }
    all.sort_by_key(|(turn, _)| *turn);
    let (mut seen, mut chunks, mut length) = (BTreeSet::new(), vec![Vec::new()], 0);
    for (_, kernel) in &all {
        let parts = stage_source(&[kernel]).unwrap().kernels;
        if parts.into_iter().filter(|(name, _)| seen.insert(name.clone())).count() == 0 {
            continue;
        }
        length += kernel.instructions().len();
        chunks.last_mut().unwrap().push(*kernel);
        if length > INSTRUCTIONS_AT_ONCE {
            chunks.push(Vec::new());
            length = 0;
        }
    }
    println!(
        "{} kernels of {} entries and other operations, in {} different parts",
        all.len(),
        parties.len(),
        seen.len()
    );
    chunks.retain(|chunk| !chunk.is_empty());
    chunks.into_iter().map(|kernels| stage_source(&kernels).unwrap()).collect()
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

/// CUDA's compiler and assembler, and what they said before.
struct Tools {
    assembler: PathBuf,
    version: String,
    kept: Cache,
}

impl Tools {
    fn new(folder: &Path) -> Tools {
        let compiler = found(folder, "libnvrtc.so.13").unwrap();
        nvrtc::load_from(compiler.parent().unwrap()).unwrap();
        let assembler = found(folder, "ptxas").unwrap();
        let version = Command::new(&assembler).arg("--version").output().unwrap().stdout;
        let version = String::from_utf8_lossy(&version).into_owned();
        Tools { assembler, version, kept: Cache::new(folder.join("results")).unwrap() }
    }

    /// What the assembler says of each kernel of a text, and how many it said it of before. The name of a printed
    /// kernel is the digest of its text; what it stands on is `shared`.
    fn report(&self, source: &Source, shared: &str) -> Result<(Vec<Used>, usize), Error> {
        let (options, assembled) = (nvrtc::OPTIONS.join(" "), ASSEMBLED.join(" "));
        let (mut fresh, mut all) = (None, Vec::new());
        for (name, _) in &source.kernels {
            let key = Cache::key(&["report", &self.version, &options, ARCHITECTURE, &assembled, shared, name]);
            let file = self.kept.file(&key, "log", |path| {
                let logs = fresh.get_or_insert_with(|| self.logs(source)).as_ref().map_err(Clone::clone)?;
                let log = logs.iter().find(|log| log.contains(&format!("'{name}'"))).unwrap();
                std::fs::write(path, log).map_err(|error| Error::Missing(error.to_string()))
            })?;
            all.extend(used(&std::fs::read_to_string(file.path()).unwrap()));
        }
        let known = if fresh.is_some() { 0 } else { all.len() };
        Ok((all, known))
    }

    /// The assembler's log, kernel by kernel.
    fn logs(&self, source: &Source) -> Result<Vec<String>, Error> {
        let ptx = nvrtc::compile(source, ARCHITECTURE)?;
        assert!(source.kernels.iter().all(|(name, _)| ptx.contains(&format!(".entry {name}("))));
        let scratch = tempfile::tempdir().unwrap();
        let text = scratch.path().join("kernels.ptx");
        std::fs::write(&text, ptx.trim_end_matches('\0')).unwrap();
        let mut command = Command::new(&self.assembler);
        let output = command.args(ASSEMBLED).arg("-o").arg(scratch.path().join("cubin")).arg(&text).output().unwrap();
        let log = String::from_utf8_lossy(&output.stderr);
        let start = "Compiling entry function";
        match output.status.success() {
            true => Ok(log.split(start).skip(1).map(|own| format!("{start}{own}")).collect()),
            false => Err(Error::Compile { target: "sm_90".into(), log: log.into_owned() }),
        }
    }
}

#[test]
fn every_kernel_compiles_to_ptx_and_assembles() {
    let shared = stage_source(&[]).unwrap().text;
    let fixed = fixed_sources().into_iter().map(|source| (source.text.clone(), source));
    let printed = kernels().into_iter().map(|source| (shared.clone(), source));
    let sources: Vec<(String, Source)> = fixed.chain(printed).collect();
    let count =
        sources.iter().flat_map(|(_, source)| &source.kernels).map(|(name, _)| name).collect::<BTreeSet<_>>().len();
    let Some(folder) = std::env::var_os(TOOLS).map(PathBuf::from) else {
        let _ = writeln!(
            std::io::stderr(),
            "NOT RUN: {count} kernels were not compiled by CUDA's compiler: {TOOLS} names no folder"
        );
        return;
    };
    let tools = Tools::new(&folder);
    let refused = Source { text: "extern \"C\" __global__ void f() { undefined(); }".into(), kernels: Vec::new() };
    assert!(nvrtc::compile(&refused, ARCHITECTURE).unwrap_err().to_string().contains("undefined"));
    let (next, said) = (Mutex::new(sources.iter().enumerate()), Mutex::new((Vec::new(), Vec::new(), 0)));
    let work = || {
        loop {
            let Some((index, (shared, source))) = next.lock().unwrap().next() else { return };
            let started = std::time::Instant::now();
            let report = tools.report(source, shared);
            let mut said = said.lock().unwrap();
            match report {
                Ok((own, known)) => {
                    assert_eq!(own.len(), source.kernels.len());
                    if known == 0 {
                        let (seconds, of) = (started.elapsed().as_secs_f32(), sources.len());
                        println!("text {} of {of}: {} kernels, {seconds:.1} s", index + 1, own.len());
                    }
                    said.0.extend(own);
                    said.2 += known;
                }
                Err(error) => said.1.push(format!("{:?}: {error}", source.kernels)),
            }
        }
    };
    std::thread::scope(|scope| (0..THREADS).for_each(|_| drop(scope.spawn(work))));
    let (mut all, failures, old) = said.into_inner().unwrap();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all.dedup();
    println!(
        "{} of {count} kernels compiled by NVRTC and assembled for sm_90, {old} of them in an earlier run",
        all.len()
    );
    listed("registers", &mut all, |used| used.registers);
    listed("bytes of shared memory", &mut all, |used| used.shared);
    listed("bytes of stack", &mut all, |used| used.stack);
    listed("bytes of spilled registers", &mut all, |used| used.spilled);
    assert!(failures.is_empty(), "{} texts fail: {}", failures.len(), failures.join("\n"));
    let spills: Vec<&Used> = all.iter().filter(|used| used.spilled > SPILLED_MAX).collect();
    assert!(spills.is_empty(), "these spill more than {SPILLED_MAX} bytes: {spills:?}");
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
