//! The host shim: the very same kernels, compiled by a C++ compiler and run on this processor. Slow, and for tests.
//!
//! Its streams are queues. [`Order`] says which of them run ahead and which wait until a mark asks for their work, so
//! that work whose order no mark holds is done in a wrong one. Memory that is given back is kept, filled with a
//! pattern, when streams wait, so that a late use of it is noticed too.
//!
//! What it cannot show is what a GPU alone has: races between threads, warps, and the compiler and the driver of CUDA.

pub(super) mod queue;

use super::cache::Cache;
use super::device::{
    Address, Argument, Device, Error, Event, Function, HostAddress, Memory, Purpose, Source, Stream, Style,
};
use super::metered::{Measurable, Properties};
use queue::{Entry, Queues, Work};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

pub use queue::Order;

const HEADER: &str = include_str!("shim.h");
const COMPILER: &str = "g++";
/// No fast arithmetic, as on a device; fields and blocks of masks are read at several widths.
const OPTIONS: &[&str] = &[
    "-std=c++17",
    "-shared",
    "-fPIC",
    "-fvisibility=hidden",
    "-fno-strict-aliasing",
    "-ffp-contract=off",
    "-Wno-unknown-pragmas",
    "-x",
    "c++",
];

/// Text from which the C++ compiler's work is more than that of running what it makes: it is told to hurry.
const LONG_TEXT: usize = 64 << 10;

/// This processor in the place of a GPU.
pub struct Shim {
    cache: Cache,
    /// The most bytes that are allocated at a time.
    limit: u64,
    state: Mutex<State>,
}

struct State {
    /// Work may call entries of libraries: it goes before them.
    queues: Queues,
    /// Loaded libraries, which hold the entries.
    libraries: HashMap<String, (libloading::Library, Vec<Function>)>,
    entries: Vec<Entry>,
    /// What is allocated as far as work was asked for, with its bytes.
    in_use: HashMap<u64, u64>,
    pinned: HashMap<u64, std::alloc::Layout>,
}

impl Shim {
    /// A device whose compiled kernels are kept in `cache`, and which does everything at once.
    ///
    /// # Errors
    /// No C++ compiler on this machine.
    pub fn new(cache: Cache) -> Result<Shim, Error> {
        Shim::with(cache, Order::AsAsked, u64::MAX)
    }

    /// As [`Shim::new`], with streams that run in another order, and with `limit` bytes of memory.
    ///
    /// # Errors
    /// As [`Shim::new`].
    pub fn with(cache: Cache, order: Order, limit: u64) -> Result<Shim, Error> {
        let found = Command::new(COMPILER).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        match found {
            Ok(status) if status.success() => {
                let (libraries, entries, in_use) = (HashMap::new(), Vec::new(), HashMap::new());
                let state = State { queues: Queues::new(order), libraries, entries, in_use, pinned: HashMap::new() };
                Ok(Shim { cache, limit, state: Mutex::new(state) })
            }
            _ => Err(Error::Missing(format!("the host shim needs the C++ compiler '{COMPILER}', which is not there"))),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn failed(what: &'static str, reason: impl ToString) -> Error {
        Error::Failed { device: "host shim".into(), what, reason: reason.to_string() }
    }

    fn build(text: &str, library: &Path) -> Result<(), Error> {
        let mut compiler = Command::new(COMPILER)
            .args(OPTIONS)
            .arg(optimisation(text))
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
        if self.limit < u64::MAX {
            let used: u64 = self.state().in_use.values().sum();
            return Ok(Memory { free: self.limit.saturating_sub(used), total: self.limit });
        }
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
        let key = Cache::key(&["shim", COMPILER, &OPTIONS.join(" "), optimisation(&text), &text]);
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

    fn allocate(&self, _: Stream, bytes: u64, purpose: Purpose) -> Result<Address, Error> {
        let mut state = self.state();
        let free = self.limit.saturating_sub(state.in_use.values().sum());
        let (device, what) = ("host shim".into(), purpose.name());
        let bytes = bytes.max(1);
        let address = if bytes > free { None } else { state.queues.allocate(bytes) };
        let Some(address) = address else { return Err(Error::Memory { device, what, needed: bytes, free }) };
        state.in_use.insert(address, bytes);
        Ok(Address(address))
    }

    fn free(&self, on: Stream, address: Address) {
        let mut state = self.state();
        if state.in_use.remove(&address.0).is_some() {
            state.queues.ask(on, Work::Free(address.0));
        }
    }

    fn pin(&self, bytes: u64) -> Result<HostAddress, Error> {
        let layout = queue::layout(bytes).ok_or_else(|| Shim::failed("pinning memory", "too much of it"))?;
        // SAFETY: the layout has at least one byte.
        #[allow(unsafe_code)]
        let address = unsafe { std::alloc::alloc(layout) };
        if address.is_null() {
            return Err(Shim::failed("pinning memory", "there is none left"));
        }
        self.state().pinned.insert(address as u64, layout);
        Ok(HostAddress(address as u64))
    }

    fn unpin(&self, address: HostAddress) {
        if let Some(layout) = self.state().pinned.remove(&address.0) {
            // SAFETY: `pin` allocated it with this layout, and it is forgotten as of now.
            #[allow(unsafe_code)]
            unsafe {
                std::alloc::dealloc(address.0 as *mut u8, layout);
            }
        }
    }

    #[allow(unsafe_code)]
    unsafe fn copy_in(&self, on: Stream, to: Address, from: HostAddress, bytes: u64) -> Result<(), Error> {
        let mut state = self.state();
        state.queues.ask(on, Work::In { to: to.0, from: from.0, bytes });
        state.queues.fault()
    }

    #[allow(unsafe_code)]
    unsafe fn copy_out(&self, on: Stream, from: Address, to: HostAddress, bytes: u64) -> Result<(), Error> {
        let mut state = self.state();
        state.queues.ask(on, Work::Out { from: from.0, to: to.0, bytes });
        state.queues.fault()
    }

    fn zero(&self, on: Stream, at: Address, bytes: u64) -> Result<(), Error> {
        let mut state = self.state();
        state.queues.ask(on, Work::Zero { at: at.0, bytes });
        state.queues.fault()
    }

    fn record(&self, on: Stream) -> Result<Event, Error> {
        Ok(Event(self.state().queues.record(on)))
    }

    fn follow(&self, on: Stream, event: Event) -> Result<(), Error> {
        self.state().queues.ask(on, Work::Follow(event.0));
        Ok(())
    }

    fn wait(&self, event: Event) -> Result<(), Error> {
        let mut state = self.state();
        state.queues.until(event.0);
        state.queues.fault()
    }

    fn is_done(&self, event: Event) -> bool {
        self.state().queues.is_done(event.0)
    }

    fn forget(&self, event: Event) {
        self.state().queues.forget(event.0);
    }

    #[allow(unsafe_code)]
    unsafe fn launch(
        &self,
        function: Function,
        blocks: u32,
        threads: u32,
        arguments: &[Argument<'_>],
    ) -> Result<(), Error> {
        let mut state = self.state();
        let entry = state.entries.get(function.0).copied();
        let entry = entry.ok_or_else(|| Shim::failed("a launch", "no such kernel"))?;
        let arguments = arguments.iter().map(queue::kept).collect();
        state.queues.ask(Stream::Compute, Work::Launch { entry, blocks, threads, arguments });
        state.queues.fault()
    }
}

impl Measurable for Shim {
    /// A processor is no GPU: nothing is known of what it does at most.
    fn properties(&self) -> Result<Properties, Error> {
        Ok(Properties {
            capability: [0, 0],
            multiprocessors: 0,
            clock_hertz: 0.0,
            memory_clock_hertz: 0.0,
            memory_bus_bits: 0,
            cache_bytes: 0,
            driver: "none".into(),
        })
    }

    fn stamp(&self, on: Stream) -> Result<Event, Error> {
        Ok(Event(self.state().queues.stamp(on)))
    }

    fn between(&self, from: Event, to: Event) -> Result<f64, Error> {
        let state = self.state();
        let reached = |event: Event| {
            let reached = state.queues.reached(event.0);
            reached.ok_or_else(|| Shim::failed("reading a clock", "a mark that is not reached, or has no time"))
        };
        let (from, to) = (reached(from)?, reached(to)?);
        Ok(to.checked_duration_since(from).map_or_else(|| -(from - to).as_secs_f64(), |later| later.as_secs_f64()))
    }
}

/// How hard the C++ compiler tries.
fn optimisation(text: &str) -> &'static str {
    if text.len() < LONG_TEXT { "-O1" } else { "-O0" }
}
