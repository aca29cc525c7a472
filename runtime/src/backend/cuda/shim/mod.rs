//! The host shim: the very same kernels, compiled by a C++ compiler and run on this processor. Slow, and for tests.
//!
//! What it cannot show is what a GPU alone has: races between threads, warps, and the compiler and the driver of CUDA.

use super::cache::Cache;
use super::device::{Address, Device, Error, Function, Memory, Source, Style};
use std::collections::HashMap;
use std::ffi::c_void;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

const HEADER: &str = include_str!("shim.h");
const COMPILER: &str = "g++";
/// No fast arithmetic, as on a device; fields and blocks of masks are read at several widths.
const OPTIONS: &[&str] = &[
    "-std=c++17",
    "-O1",
    "-shared",
    "-fPIC",
    "-fvisibility=hidden",
    "-fno-strict-aliasing",
    "-ffp-contract=off",
    "-Wno-unknown-pragmas",
    "-x",
    "c++",
];
/// As a device aligns what it allocates.
const ALIGNMENT: usize = 256;

type Entry = unsafe extern "C" fn(u32, u32, *mut *mut c_void);

/// This processor in the place of a GPU.
pub struct Shim {
    cache: Cache,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Loaded libraries, which hold the entries.
    libraries: HashMap<String, (libloading::Library, Vec<Function>)>,
    entries: Vec<Entry>,
    allocated: HashMap<u64, std::alloc::Layout>,
}

impl Shim {
    /// A device whose compiled kernels are kept in `cache`.
    ///
    /// # Errors
    /// No C++ compiler on this machine.
    pub fn new(cache: Cache) -> Result<Shim, Error> {
        let found = Command::new(COMPILER).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        match found {
            Ok(status) if status.success() => Ok(Shim { cache, state: Mutex::default() }),
            _ => Err(Error::Missing(format!("the host shim needs the C++ compiler '{COMPILER}', which is not there"))),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(what: &'static str, reason: impl ToString) -> Error {
        Error::Failed { device: "host shim".into(), what, reason: reason.to_string() }
    }

    fn build(text: &str, library: &Path) -> Result<(), Error> {
        let mut compiler = Command::new(COMPILER)
            .args(OPTIONS)
            .arg("-o")
            .arg(library)
            .arg("-")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| Shim::failed("starting the C++ compiler", error))?;
        if let Some(mut input) = compiler.stdin.take() {
            // A compiler that does not read tells why on its standard error.
            let _ = std::io::Write::write_all(&mut input, text.as_bytes());
        }
        let output = compiler.wait_with_output().map_err(|error| Shim::failed("the C++ compiler", error))?;
        match output.status.success() {
            true => Ok(()),
            false => Err(Error::Compile {
                target: "the host shim".into(),
                log: String::from_utf8_lossy(&output.stderr).into_owned(),
            }),
        }
    }
}

impl Device for Shim {
    fn name(&self) -> String {
        "host shim (the kernels on this processor, slowly)".into()
    }

    fn memory(&self) -> Result<Memory, Error> {
        let about = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let line = |name: &str| {
            let line = about.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok()).map_or(u64::MAX, |kilo| kilo << 10)
        };
        Ok(Memory { free: line("MemAvailable:"), total: line("MemTotal:") })
    }

    fn compile(&self, source: &Source) -> Result<Vec<Function>, Error> {
        let mut text = format!("{HEADER}\n{}\n", source.text);
        for (kernel, style) in &source.kernels {
            let _ = writeln!(text, "SHIM_EXPORT({kernel}, {})", u8::from(*style == Style::Phased));
        }
        let key = Cache::key(&["shim", COMPILER, &OPTIONS.join(" "), &text]);
        let mut state = self.state();
        if let Some((_, functions)) = state.libraries.get(&key) {
            return Ok(functions.clone());
        }
        let file = self.cache.file(&key, "so", |path| Shim::build(&text, path))?;
        // SAFETY: the library was built from the text above, which runs nothing when it is loaded; its name is the
        // digest of that text, in a folder that the caller chose.
        #[allow(unsafe_code)]
        let library = unsafe { libloading::Library::new(file.path()) };
        let library = library.map_err(|error| Shim::failed("loading kernels", error))?;
        let mut functions = Vec::with_capacity(source.kernels.len());
        for (kernel, _) in &source.kernels {
            // SAFETY: `SHIM_EXPORT` defines a function of this name and type.
            #[allow(unsafe_code)]
            let entry = unsafe { library.get::<Entry>(format!("shim_{kernel}").as_bytes()) };
            let entry = *entry.map_err(|error| Shim::failed("finding a kernel", error))?;
            functions.push(Function(state.entries.len()));
            state.entries.push(entry);
        }
        state.libraries.insert(key, (library, functions.clone()));
        Ok(functions)
    }

    fn allocate(&self, bytes: u64) -> Result<Address, Error> {
        let refused = || Error::Memory { device: "host shim".into(), needed: bytes, free: 0 };
        let size = usize::try_from(bytes.max(1)).map_err(|_| refused())?;
        let layout = std::alloc::Layout::from_size_align(size, ALIGNMENT).map_err(|_| refused())?;
        // SAFETY: the layout has at least one byte.
        #[allow(unsafe_code)]
        let address = unsafe { std::alloc::alloc(layout) };
        if address.is_null() {
            return Err(refused());
        }
        // A device's memory holds anything: a kernel that reads what was not written must not find zeros.
        // SAFETY: `size` bytes were allocated there.
        #[allow(unsafe_code)]
        unsafe {
            std::ptr::write_bytes(address, 0xa5, size);
        }
        let address = address as u64;
        self.state().allocated.insert(address, layout);
        Ok(Address(address))
    }

    fn free(&self, address: Address) {
        if let Some(layout) = self.state().allocated.remove(&address.0) {
            // SAFETY: it was allocated with this layout and is forgotten as of now.
            #[allow(unsafe_code)]
            unsafe {
                std::alloc::dealloc(address.0 as *mut u8, layout);
            }
        }
    }

    fn write(&self, to: Address, bytes: &[u8]) -> Result<(), Error> {
        self.require(to, bytes.len() as u64)?;
        // SAFETY: as many bytes are allocated there, as just asked, and no slice of this process covers them.
        #[allow(unsafe_code)]
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), to.0 as *mut u8, bytes.len());
        }
        Ok(())
    }

    fn read(&self, from: Address, bytes: &mut [u8]) -> Result<(), Error> {
        self.require(from, bytes.len() as u64)?;
        // SAFETY: as in `write`.
        #[allow(unsafe_code)]
        unsafe {
            std::ptr::copy_nonoverlapping(from.0 as *const u8, bytes.as_mut_ptr(), bytes.len());
        }
        Ok(())
    }

    fn zero(&self, at: Address, bytes: u64) -> Result<(), Error> {
        self.require(at, bytes)?;
        // SAFETY: as in `write`.
        #[allow(unsafe_code)]
        unsafe {
            std::ptr::write_bytes(at.0 as *mut u8, 0, bytes as usize);
        }
        Ok(())
    }

    #[allow(unsafe_code)]
    unsafe fn launch(
        &self,
        function: Function,
        blocks: u32,
        threads: u32,
        arguments: &mut [*mut c_void],
    ) -> Result<(), Error> {
        let entry = self.state().entries.get(function.0).copied();
        let entry = entry.ok_or_else(|| Shim::failed("a launch", "no such kernel"))?;
        // SAFETY: the library of the entry is loaded as long as `self` lives; the caller vouches for the arguments.
        unsafe { entry(blocks, threads, arguments.as_mut_ptr()) };
        Ok(())
    }
}

impl Shim {
    /// Refuses places that were not allocated, or not with so many bytes.
    fn require(&self, at: Address, bytes: u64) -> Result<(), Error> {
        match self.state().allocated.get(&at.0) {
            Some(layout) if layout.size() as u64 >= bytes => Ok(()),
            _ => Err(Shim::failed("a copy", "that memory is not allocated")),
        }
    }
}
