//! Every kernel through CUDA's own compiler, without a GPU: fixed files, and what every shipped entry and every other
//! operation is printed as, to PTX and through `ptxas` for sm_90. Needs the folder that `runtime/tests/cuda/install`
//! fills, named by the variable below; without it nothing of this runs, which is said.

use crate::stages;
use catalogs::Ring;
use runtime::backend::cuda::{Source, fixed_sources, nvrtc, stage_source};
use runtime::kernel::{CheckedKernel, CheckedParty};
use runtime::protocol::rss3;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

const TOOLS: &str = "CHEBYSHARE_CUDA_TOOLS";
const ARCHITECTURE: &str = "compute_90";
/// Kernels of one text: compilers take longer than in proportion.
const KERNELS_AT_ONCE: usize = 64;

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
    let mut parties: Vec<Vec<CheckedParty>> = stages::entries().into_iter().map(|(_, parties)| parties).collect();
    for bits in [3, 31, 40, 64] {
        let ring = Ring::new(bits).unwrap();
        parties.extend([rss3::share(ring), rss3::open(ring), rss3::compile_reshare(ring)].map(Result::unwrap));
    }
    for (candidates, joined) in [(2, 1), (4, 1), (8, 3)] {
        parties.push(rss3::compile_maximum(Ring::Z64, 40, candidates, joined).unwrap());
    }
    let all: Vec<&CheckedKernel> = parties.iter().flatten().flat_map(CheckedParty::stages).collect();
    let mut distinct = std::collections::BTreeMap::new();
    for kernel in &all {
        distinct.entry(stage_source(&[kernel]).unwrap().kernels[0].0.clone()).or_insert(*kernel);
    }
    println!("{} kernels, {} of them distinct", all.len(), distinct.len());
    let distinct: Vec<_> = distinct.into_values().collect();
    distinct.chunks(KERNELS_AT_ONCE).map(|kernels| stage_source(kernels).unwrap()).collect()
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
    let mut spilled = 0;
    for source in &sources {
        let ptx = nvrtc::compile(source, ARCHITECTURE).unwrap();
        assert!(source.kernels.iter().all(|(name, _)| ptx.contains(&format!(".entry {name}("))));
        let file = scratch.path().join("kernels.ptx");
        std::fs::write(&file, ptx.trim_end_matches('\0')).unwrap();
        let mut command = Command::new(&assembler);
        let output = command.args(["-v", "-arch=sm_90", "-o"]).arg(scratch.path().join("cubin")).arg(&file).output();
        let output = output.unwrap();
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{log}");
        spilled += log.lines().filter(|line| line.contains("spill") && !line.contains(" 0 bytes spill stores")).count();
    }
    println!("{count} kernels compiled by NVRTC and assembled for sm_90, {spilled} of them with spilled registers");
}
