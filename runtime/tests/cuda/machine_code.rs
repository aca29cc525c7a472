//! What a GPU's driver loads, made without a GPU. Needs the folder that `runtime/tests/cuda/install` fills.

use runtime::backend::cuda::{fixed_sources, nvrtc};
use std::io::Write;

#[test]
fn machine_code_has_the_kernels_and_unknown_architectures_are_refused() {
    let Some(folder) = std::env::var_os("CHEBYSHARE_CUDA_TOOLS") else {
        let _ = writeln!(std::io::stderr(), "NOT RUN: no machine code was made: CHEBYSHARE_CUDA_TOOLS names no folder");
        return;
    };
    nvrtc::load_below(std::path::Path::new(&folder)).unwrap();
    let source = &fixed_sources()[0];
    let code = nvrtc::machine_code(source, "sm_90").unwrap();
    assert!(code.starts_with(b"\x7fELF"), "{} bytes", code.len());
    for (name, _) in &source.kernels {
        assert!(code.windows(name.len() + 1).any(|part| part == [name.as_bytes(), &[0]].concat()), "{name}");
    }
    let refused = nvrtc::machine_code(source, "sm_1").unwrap_err().to_string();
    assert!(refused.contains("sm_1") && refused.contains("gpu-architecture"), "{refused}");
}
