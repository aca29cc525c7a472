//! CUDA's run-time compiler: text to PTX or machine code, on machines with or without a GPU. Found when it is called.

use super::device::{Error, Source};
use cudarc::nvrtc::result::{self as nvrtc, NvrtcError};
use cudarc::nvrtc::sys;
use std::collections::BTreeSet;
use std::error::Error as _;
use std::ffi::{CString, c_char};
use std::path::{Path, PathBuf};

/// No fused multiply-add where the text has none: what is computed is what the CPU computes.
pub const OPTIONS: [&str; 3] = ["--std=c++17", "--fmad=false", "--diag-suppress=177"];

/// Whether the compiler is on this machine.
pub fn is_present() -> bool {
    // SAFETY: asks the loader for a library, which runs the initialisation of NVIDIA's compiler and nothing else.
    #[allow(unsafe_code)]
    unsafe {
        sys::is_culib_present()
    }
}

/// The compiler's version, where it is on this machine.
pub fn version() -> Option<String> {
    let (mut major, mut minor) = (0, 0);
    // SAFETY: asks a library that is there for two numbers.
    #[allow(unsafe_code)]
    let asked = is_present() && unsafe { sys::nvrtcVersion(&mut major, &mut minor) } == sys::nvrtcResult::NVRTC_SUCCESS;
    asked.then(|| format!("{major}.{minor}"))
}

/// What the compiler's shared objects are called, in the order in which they are opened: it asks for its built-in functions
/// by name, so that they have to be there before it. A toolkit has others beside them, for linkers, which do not open.
const BUILTINS: &str = "libnvrtc-builtins.so";
const COMPILER: &str = "libnvrtc.so";

/// Loads the compiler from a folder that the loader does not search, for the whole life of the process.
///
/// # Errors
/// A folder without the compiler, or with none that opens.
pub fn load_from(folder: &Path) -> Result<(), Error> {
    let missing = |reason: String| Error::Missing(format!("{} holds no CUDA compiler: {reason}", folder.display()));
    let files = std::fs::read_dir(folder).map_err(|error| missing(error.to_string()))?;
    let of = |path: PathBuf| {
        let name = path.file_name()?.to_string_lossy().into_owned();
        let is_compiler = name.starts_with(COMPILER);
        // Links to a file are opened once.
        (is_compiler || name.starts_with(BUILTINS)).then(|| (is_compiler, path.canonicalize().unwrap_or(path)))
    };
    let libraries: BTreeSet<(bool, PathBuf)> = files.flatten().filter_map(|file| of(file.path())).collect();
    let (mut opened, mut reason) = (false, format!("no file {COMPILER}*"));
    for (is_compiler, path) in libraries {
        // SAFETY: the caller vouches for what is in the folder.
        #[allow(unsafe_code)]
        match unsafe { libloading::Library::new(&path) } {
            Ok(library) => {
                std::mem::forget(library);
                opened |= is_compiler;
            }
            Err(error) => {
                // What the loader said, which names the file, is not in the error's own text.
                let unknown = || format!("{}: {error}", path.display());
                reason = error.source().map_or_else(unknown, ToString::to_string);
            }
        }
    }
    if opened { Ok(()) } else { Err(missing(reason)) }
}

/// As [`load_from`], from whichever folder at or below `folder` holds the compiler.
///
/// # Errors
/// No such folder.
pub fn load_below(folder: &Path) -> Result<(), Error> {
    let mut pending = vec![folder.to_owned()];
    while let Some(next) = pending.pop() {
        for path in std::fs::read_dir(&next).into_iter().flatten().flatten().map(|file| file.path()) {
            let named = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(COMPILER));
            match path.is_dir() {
                true => pending.push(path),
                false if named => return load_from(&next),
                false => {}
            }
        }
    }
    Err(Error::Missing(format!("{} holds no CUDA compiler: no file {COMPILER}* below it", folder.display())))
}

/// The PTX of a text for a virtual architecture, `compute_90` for example.
///
/// # Errors
/// No compiler on this machine, or a text that it refuses.
pub fn compile(source: &Source, architecture: &str) -> Result<String, Error> {
    let program = Program::compiled(source, architecture)?;
    // SAFETY: the program was compiled.
    #[allow(unsafe_code)]
    let ptx = unsafe { nvrtc::get_ptx(program.0) }.map_err(|error| refused(architecture, error))?;
    let bytes: Vec<u8> = ptx.into_iter().map(c_char::cast_unsigned).take_while(|&byte| byte != 0).collect();
    String::from_utf8(bytes).map_err(|error| refused(architecture, error))
}

/// The machine code of a text for an architecture, `sm_90` for example: what the driver loads without a compiler of its
/// own.
///
/// # Errors
/// No compiler on this machine, a text that it refuses, or an architecture that it does not know.
#[allow(unsafe_code)]
pub fn machine_code(source: &Source, architecture: &str) -> Result<Vec<u8>, Error> {
    let program = Program::compiled(source, architecture)?;
    let failed = |error: NvrtcError| refused(architecture, error);
    let mut size = 0;
    // SAFETY: the program was compiled, and the number is written during the call.
    unsafe { sys::nvrtcGetCUBINSize(program.0, &mut size) }.result().map_err(failed)?;
    let mut code = vec![0u8; size];
    // SAFETY: the program was compiled, and its code has this size.
    unsafe { sys::nvrtcGetCUBIN(program.0, code.as_mut_ptr().cast()) }.result().map_err(failed)?;
    Ok(code)
}

fn refused(architecture: &str, error: impl ToString) -> Error {
    Error::Compile { target: architecture.into(), log: error.to_string() }
}

/// A program of the compiler, which forgets it in the end.
struct Program(sys::nvrtcProgram);

#[allow(unsafe_code)]
impl Program {
    fn compiled(source: &Source, architecture: &str) -> Result<Program, Error> {
        if !is_present() {
            return Err(Error::Missing(
                "CUDA's run-time compiler (libnvrtc.so) is not on this machine; install the CUDA toolkit, or compute \
                 with --backend cpu"
                    .into(),
            ));
        }
        let text = CString::new(source.text.as_str()).map_err(|error| refused(architecture, error))?;
        let program = nvrtc::create_program(&text, None).map_err(|error| refused(architecture, error))?;
        let program = Program(program);
        let mut options: Vec<String> = OPTIONS.map(str::to_owned).to_vec();
        options.push(format!("--gpu-architecture={architecture}"));
        // SAFETY: the program was just made.
        match unsafe { nvrtc::compile_program(program.0, &options) } {
            Ok(()) => Ok(program),
            // SAFETY: as above.
            Err(error) => match unsafe { nvrtc::get_program_log(program.0) } {
                Ok(log) => {
                    let log: Vec<u8> = log.into_iter().map(c_char::cast_unsigned).take_while(|&c| c != 0).collect();
                    Err(refused(architecture, format!("{error}: {}", String::from_utf8_lossy(&log))))
                }
                Err(_) => Err(refused(architecture, error)),
            },
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // SAFETY: nobody else has the program. A failure leaves nothing to be done.
        #[allow(unsafe_code)]
        let _ = unsafe { nvrtc::destroy_program(self.0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a toolkit holds for linkers is passed over, and what does not open is named with its reason.
    #[test]
    fn a_folder_without_the_compiler_says_what_it_lacks() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |load: fn(&Path) -> Result<(), Error>| load(folder.path()).unwrap_err().to_string();
        for name in ["libnvrtc_static.a", "libnvrtc-builtins_static.a", "libnvrtc.alt.so.13"] {
            std::fs::write(folder.path().join(name), "no shared object").unwrap();
        }
        assert!(refused(load_from).ends_with("holds no CUDA compiler: no file libnvrtc.so*"));
        assert!(refused(load_below).ends_with("no file libnvrtc.so* below it"));
        std::fs::write(folder.path().join("libnvrtc.so.13"), "no shared object").unwrap();
        for said in [refused(load_from), refused(load_below)] {
            assert!(said.contains("holds no CUDA compiler: ") && said.contains("/libnvrtc.so.13: "), "{said}");
            assert!(!said.contains("no file") && said.ends_with("file too short"), "{said}");
        }
        assert!(load_from(&folder.path().join("none")).is_err());
    }
}
