//! CUDA's run-time compiler: text to PTX or machine code, on machines with or without a GPU. Found when it is called.

use super::device::{Error, Source};
use cudarc::nvrtc::{self, CompileError, CompileOptions, result, sys};
use std::ffi::{CStr, CString, c_char};
use std::path::Path;

/// No fused multiply-add where the text has none: what is computed is what the CPU computes.
pub const OPTIONS: [&str; 3] = ["--std=c++17", "--fmad=false", "--diag-suppress=177"];

/// Whether the compiler is on this machine.
pub fn is_present() -> bool {
    // SAFETY: asks the loader for a library, which runs the initialisation of NVIDIA's compiler and nothing else.
    #[allow(unsafe_code)]
    unsafe {
        nvrtc::sys::is_culib_present()
    }
}

/// Loads the compiler from a folder that the loader does not search, for the whole life of the process.
///
/// # Errors
/// A folder without the compiler.
pub fn load_from(folder: &Path) -> Result<(), Error> {
    let missing = |reason: String| Error::Missing(format!("{} holds no CUDA compiler: {reason}", folder.display()));
    let files = std::fs::read_dir(folder).map_err(|error| missing(error.to_string()))?;
    let mut names: Vec<_> = files.flatten().map(|file| file.path()).collect();
    names.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libnvrtc")));
    // A toolkit has archives and a compiler that is built otherwise beside it.
    names.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().contains(".so")));
    names.retain(|path| !path.to_string_lossy().contains(".alt."));
    // The compiler asks for its built-in functions by name: they have to be there before it.
    names.sort_by_key(|path| !path.to_string_lossy().contains("builtins"));
    for path in &names {
        // SAFETY: the caller vouches for what is in the folder.
        #[allow(unsafe_code)]
        let library = unsafe { libloading::Library::new(path) };
        std::mem::forget(library.map_err(|error| missing(error.to_string()))?);
    }
    if names.is_empty() { Err(missing("no file libnvrtc*".into())) } else { Ok(()) }
}

/// As [`load_from`], from whichever folder at or below `folder` holds the compiler.
///
/// # Errors
/// No such folder.
pub fn load_below(folder: &Path) -> Result<(), Error> {
    let mut pending = vec![folder.to_owned()];
    while let Some(next) = pending.pop() {
        for path in std::fs::read_dir(&next).into_iter().flatten().flatten().map(|file| file.path()) {
            let named = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libnvrtc.so"));
            match path.is_dir() {
                true => pending.push(path),
                false if named => return load_from(&next),
                false => {}
            }
        }
    }
    Err(Error::Missing(format!("{} holds no CUDA compiler: no file libnvrtc.so* below it", folder.display())))
}

fn present() -> Result<(), Error> {
    let missing = "CUDA's run-time compiler (libnvrtc.so) is not on this machine; install the CUDA toolkit, or compute with \
                   --backend cpu";
    if is_present() { Ok(()) } else { Err(Error::Missing(missing.into())) }
}

/// The compiler's version, where it is on this machine.
pub fn version() -> Option<String> {
    let (mut major, mut minor) = (0, 0);
    // SAFETY: asks a library that is there for two numbers.
    #[allow(unsafe_code)]
    let asked = is_present() && unsafe { sys::nvrtcVersion(&mut major, &mut minor) } == sys::nvrtcResult::NVRTC_SUCCESS;
    asked.then(|| format!("{major}.{minor}"))
}

/// The PTX of a text for a virtual architecture, `compute_90` for example.
///
/// # Errors
/// No compiler on this machine, or a text that it refuses.
pub fn compile(source: &Source, architecture: &str) -> Result<String, Error> {
    present()?;
    let options = CompileOptions { options: options(architecture), ..CompileOptions::default() };
    match nvrtc::compile_ptx_with_opts(&source.text, options) {
        Ok(ptx) => Ok(ptx.to_src()),
        Err(CompileError::CompileError { log, .. }) => {
            Err(Error::Compile { target: architecture.into(), log: log.to_string_lossy().into_owned() })
        }
        Err(other) => Err(Error::Compile { target: architecture.into(), log: other.to_string() }),
    }
}

fn options(architecture: &str) -> Vec<String> {
    OPTIONS.iter().map(|&option| option.to_owned()).chain([format!("--gpu-architecture={architecture}")]).collect()
}

/// The machine code of a text for an architecture, `sm_90` for example.
///
/// # Errors
/// No compiler on this machine, or a text that it refuses.
#[allow(unsafe_code)]
pub fn assemble(source: &Source, architecture: &str) -> Result<Vec<u8>, Error> {
    present()?;
    let refused = |log: String| Error::Compile { target: architecture.into(), log };
    let text = CString::new(source.text.as_str()).map_err(|_| refused("the text holds a zero byte".into()))?;
    let program = result::create_program(&text, None).map_err(|error| refused(error.to_string()))?;
    // SAFETY: the program was just made of a text that lives until it is destroyed below, and nobody else knows of it;
    // the code has the size that the compiler gives.
    unsafe {
        let code = match result::compile_program(program, &options(architecture)) {
            Ok(()) => {
                let mut size = 0;
                let sized = sys::nvrtcGetCUBINSize(program, &mut size);
                let mut code = vec![0u8; size];
                let got = if sized == sys::nvrtcResult::NVRTC_SUCCESS && size > 0 {
                    sys::nvrtcGetCUBIN(program, code.as_mut_ptr().cast::<c_char>())
                } else {
                    sized
                };
                match got == sys::nvrtcResult::NVRTC_SUCCESS && size > 0 {
                    true => Ok(code),
                    false => Err(refused(format!("no machine code: {got:?}"))),
                }
            }
            Err(error) => {
                let log = result::get_program_log(program).ok().filter(|log| log.last() == Some(&0));
                let log = log.map(|log| CStr::from_ptr(log.as_ptr()).to_string_lossy().into_owned());
                Err(refused(log.unwrap_or_else(|| error.to_string())))
            }
        };
        let _ = result::destroy_program(program);
        code
    }
}
