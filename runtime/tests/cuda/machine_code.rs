//! What a GPU's driver loads, made without a GPU. Needs the folder that `runtime/tests/cuda/install` fills.

use runtime::backend::cuda::driver::machine_code;
use runtime::backend::cuda::{Cache, fixed_sources, nvrtc};
use std::io::Write;

#[test]
fn machine_code_is_made_once_and_kept_and_unknown_architectures_are_refused() {
    let Some(folder) = std::env::var_os("CHEBYSHARE_CUDA_TOOLS") else {
        let _ = writeln!(std::io::stderr(), "NOT RUN: no machine code was made: CHEBYSHARE_CUDA_TOOLS names no folder");
        return;
    };
    nvrtc::load_below(std::path::Path::new(&folder)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(folder.path().to_owned()).unwrap();
    let source = &fixed_sources()[0];
    let file = machine_code(&cache, source, "sm_90").unwrap();
    let code = std::fs::read(file.path()).unwrap();
    assert!(code.starts_with(b"\x7fELF") && code.windows(9).any(|part| part == b"hadamard\0"), "{} bytes", code.len());
    let written = file.path().metadata().unwrap().modified().unwrap();
    assert_eq!(machine_code(&cache, source, "sm_90").unwrap().path().metadata().unwrap().modified().unwrap(), written);
    let refused = machine_code(&cache, source, "sm_1").unwrap_err().to_string();
    assert!(refused.contains("sm_1") && refused.contains("gpu-architecture"), "{refused}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "a refused text leaves nothing");
}
