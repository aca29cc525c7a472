//! A GPU through NVIDIA's driver, which is found when the program runs: nothing of CUDA is needed to build.
//!
//! Three streams per device object; memory comes from the device's pool in the order of a stream, so that giving it
//! back never waits.

use super::cache::{Cache, Cached};
use super::compiled;
use super::device::{
    Address, Argument, Device, Error, Event, Function, HostAddress, Memory, Purpose, Source, Stream, pointers,
};
use super::metered::{Measurable, Properties};
use super::nvrtc;
use cudarc::driver::{DriverError, result, sys};
use std::collections::HashMap;
use std::ffi::{CString, c_int};
use std::sync::{Mutex, PoisonError};

/// A GPU as one party uses it.
pub struct Driver {
    name: String,
    device: sys::CUdevice,
    context: sys::CUcontext,
    /// By the numbers of [`Stream`].
    streams: [sys::CUstream; 3],
    pool: sys::CUmemoryPool,
    architecture: String,
    cache: Cache,
    /// Modules and their functions by the name of their text's machine code: a text is loaded once.
    loaded: Mutex<HashMap<String, (Module, Vec<Function>)>>,
    /// The version of the driver's interface: 1000 · major + 10 · minor.
    version: c_int,
}

/// Code of a device, which `Driver` forgets when it ends.
struct Module(sys::CUmodule);

/// The least major compute capability whose tensor cores multiply bytes 16 × 32 × 8 at a time (`kernels/tensor.cu`).
const CAPABILITY_FROM: c_int = 8;
/// What the driver says of code that it does not take.
const NOT_TAKEN: [sys::CUresult; 6] = [
    sys::CUresult::CUDA_ERROR_INVALID_IMAGE,
    sys::CUresult::CUDA_ERROR_NO_BINARY_FOR_GPU,
    sys::CUresult::CUDA_ERROR_INVALID_PTX,
    sys::CUresult::CUDA_ERROR_UNSUPPORTED_PTX_VERSION,
    sys::CUresult::CUDA_ERROR_INVALID_SOURCE,
    sys::CUresult::CUDA_ERROR_NOT_FOUND,
];
/// The least version of the driver's interface that reads clocks of marks as the bindings ask for it.
const CLOCKS_FROM: c_int = 12_080;

// SAFETY: handles of the driver may be used from any thread; every method makes the context current in its own first.
#[allow(unsafe_code)]
unsafe impl Send for Driver {}
// SAFETY: as above, and the driver serialises calls itself.
#[allow(unsafe_code)]
unsafe impl Sync for Driver {}

fn driver_is_present() -> bool {
    // SAFETY: asks the loader for the driver's library, which runs its initialisation and nothing else.
    #[allow(unsafe_code)]
    unsafe {
        sys::is_culib_present()
    }
}

fn explain(device: &str, what: &'static str) -> impl Fn(DriverError) -> Error + use<> {
    let device = device.to_owned();
    move |error| Error::Failed { device: device.clone(), what, reason: format!("{error:?}") }
}

/// The GPUs of this machine, by their numbers.
///
/// # Errors
/// No driver, or one that does not start.
pub fn names() -> Result<Vec<String>, Error> {
    if !driver_is_present() {
        return Err(Error::Missing(
            "NVIDIA's driver (libcuda.so) is not on this machine; install it, or compute with --backend cpu".into(),
        ));
    }
    let failed = explain("the CUDA driver", "starting");
    result::init().map_err(&failed)?;
    let count = result::device::get_count().map_err(&failed)?;
    let name = |ordinal: c_int| result::device::get(ordinal).and_then(result::device::get_name).map_err(&failed);
    (0..count).map(name).collect()
}

impl Driver {
    /// The GPU with this number, whose compiled kernels are kept in `cache`.
    ///
    /// # Errors
    /// No driver, no such GPU, one before compute capability 8.0, or a call that fails.
    #[allow(unsafe_code)]
    pub fn new(ordinal: usize, cache: Cache) -> Result<Driver, Error> {
        let names = names()?;
        let Some(name) = names.get(ordinal).map(|name| format!("GPU {ordinal} ({name})")) else {
            return Err(Error::Missing(format!("there is no GPU {ordinal}: the driver knows {} of them", names.len())));
        };
        let failed = explain(&name, "opening it");
        let device = result::device::get(ordinal as c_int).map_err(&failed)?;
        // SAFETY: the driver has just given this device.
        let context = unsafe { result::primary_ctx::retain(device) }.map_err(&failed)?;
        let opened = Driver::in_context(name, device, context, cache);
        if opened.is_err() {
            // SAFETY: it was retained above, and nothing uses it.
            let _ = unsafe { result::primary_ctx::release(device) };
        }
        opened
    }

    #[allow(unsafe_code)]
    fn in_context(name: String, device: sys::CUdevice, context: sys::CUcontext, cache: Cache) -> Result<Driver, Error> {
        let failed = explain(&name, "opening it");
        // SAFETY: the context was just retained and is released when `Driver` ends.
        unsafe { result::ctx::set_current(context) }.map_err(&failed)?;
        use sys::CUdevice_attribute as Attribute;
        let attribute = |attribute| {
            // SAFETY: the driver has just given this device.
            unsafe { result::device::get_attribute(device, attribute) }.map_err(&failed)
        };
        let major = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
        let minor = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
        if major < CAPABILITY_FROM {
            return Err(Error::Missing(format!(
                "{name} has compute capability {major}.{minor}, and products on tensor cores need {CAPABILITY_FROM}.0; take \
                 another GPU, or compute with --backend cpu"
            )));
        }
        let stream = || result::stream::create(result::stream::StreamKind::NonBlocking).map_err(&failed);
        let streams = [stream()?, stream()?, stream()?];
        let (mut keep, mut wait): (u64, c_int) = (u64::MAX, 0);
        // SAFETY: the pool is the device's; one attribute is a 64-bit number: memory given back stays with it. The other
        // is an int: no stream is made to wait for what another one will give back, a copy for kernels, or one party
        // for the kernels of another.
        let pool = unsafe {
            use sys::CUmemPool_attribute as Attribute;
            let pool = result::device::get_default_mem_pool(device).map_err(&failed)?;
            let threshold = Attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
            result::mem_pool::set_attribute(pool, threshold, std::ptr::from_mut(&mut keep).cast()).map_err(&failed)?;
            let waiting = Attribute::CU_MEMPOOL_ATTR_REUSE_ALLOW_INTERNAL_DEPENDENCIES;
            result::mem_pool::set_attribute(pool, waiting, std::ptr::from_mut(&mut wait).cast()).map_err(&failed)?;
            pool
        };
        let mut version = 0;
        // SAFETY: asks for one number.
        unsafe { sys::cuDriverGetVersion(&mut version) }.result().map_err(&failed)?;
        let architecture = format!("sm_{major}{minor}");
        let loaded = Mutex::default();
        Ok(Driver { name, device, context, streams, pool, architecture, cache, loaded, version })
    }

    /// Lets the pool hold no more than so many bytes once work was waited for, those in use included: what is above goes
    /// back to the driver, where other processes find it. All parties of a process have one pool: this is for a process of
    /// one party.
    ///
    /// # Errors
    /// A call that fails.
    pub fn keep_at_most(&self, bytes: u64) -> Result<(), Error> {
        self.current()?;
        let mut keep = bytes;
        let threshold = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
        // SAFETY: the pool is the device's, and the attribute is one 64-bit number.
        #[allow(unsafe_code)]
        unsafe { result::mem_pool::set_attribute(self.pool, threshold, std::ptr::from_mut(&mut keep).cast()) }
            .map_err(self.failed("limiting what it keeps"))
    }

    /// The functions of texts whose machine code is in files, by their names.
    fn load_all(
        &self,
        sources: &[(&Source, &String)],
        files: &[Cached],
        loaded: &mut HashMap<String, (Module, Vec<Function>)>,
    ) -> Result<(), Error> {
        for ((source, name), file) in sources.iter().zip(files) {
            if !loaded.contains_key(*name) {
                loaded.insert((*name).clone(), self.load(source, file)?);
            }
        }
        Ok(())
    }

    /// The functions of a text whose machine code is in a file.
    fn load(&self, source: &Source, file: &Cached) -> Result<(Module, Vec<Function>), Error> {
        let code = std::fs::read(file.path()).map_err(|error| Error::Missing(error.to_string()))?;
        let refused = |reason: &str| Error::Compile { target: self.name.clone(), log: reason.into() };
        if !code.starts_with(b"\x7fELF") {
            return Err(refused(&format!("{} is no machine code", file.path().display())));
        }
        let explained = |error: DriverError| match NOT_TAKEN.contains(&error.0) {
            // Code of a newer compiler is the usual reason.
            true => refused(&format!(
                "{error:?}; the driver's interface is {}, and the compiler may be newer",
                self.interface()
            )),
            // Also what an earlier kernel did, which the driver tells whoever asks next.
            false => self.failed("loading kernels")(error),
        };
        let size = code.len() as u64;
        // SAFETY: the machine code says how long it is, and lives during the call; its name is the digest of the text
        // that it was made from, in a folder that the caller chose.
        #[allow(unsafe_code)]
        let module = || unsafe { result::module::load_data(code.as_ptr().cast()) };
        let module = Module(self.with_memory_given_back("code of kernels", size, module, explained)?);
        let function = |(name, _): &(String, _)| {
            let name = CString::new(name.as_str()).map_err(|_| refused("a kernel's name holds a zero byte"))?;
            // SAFETY: the module was just loaded and is unloaded with `self`, which whoever has a function holds.
            #[allow(unsafe_code)]
            let function = || unsafe { result::module::get_function(module.0, name.clone()) };
            let function = self.with_memory_given_back("code of a kernel", size, function, explained)?;
            Ok(Function(function as usize))
        };
        match source.kernels.iter().map(function).collect() {
            Ok(functions) => Ok((module, functions)),
            Err(error) => {
                // SAFETY: nobody has a function of it.
                #[allow(unsafe_code)]
                let _ = unsafe { result::module::unload(module.0) };
                Err(error)
            }
        }
    }

    /// Does what may find no memory, in the current context, and does it once more after all that was given back so far
    /// has arrived, and what the pool keeps and nobody uses has gone back to the driver: while the pool has it, code
    /// cannot have it.
    fn with_memory_given_back<T>(
        &self,
        what: &'static str,
        needed: u64,
        ask: impl Fn() -> Result<T, DriverError>,
        explained: impl Fn(DriverError) -> Error,
    ) -> Result<T, Error> {
        const NONE_LEFT: DriverError = DriverError(sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY);
        let mut asked = ask();
        if matches!(asked, Err(NONE_LEFT)) {
            // Of all parties of this process: what they have given back is counted as theirs no longer, and what streams
            // wait for is under way, so that none of them waits for ever.
            result::ctx::synchronize().map_err(self.failed("computing"))?;
            // SAFETY: the pool is the device's; nothing that is in use leaves it.
            #[allow(unsafe_code)]
            unsafe { result::mem_pool::trim_to(self.pool, 0) }.map_err(self.failed("giving memory back"))?;
            asked = ask();
        }
        match asked {
            Err(NONE_LEFT) => {
                let free = self.memory().map_or(0, |memory| memory.free);
                Err(Error::Memory { device: self.name.clone(), what, needed, free })
            }
            asked => asked.map_err(explained),
        }
    }

    /// The driver's interface, for people.
    fn interface(&self) -> String {
        format!("CUDA {}.{}", self.version / 1000, self.version % 1000 / 10)
    }

    fn marked(&self, on: Stream, flags: sys::CUevent_flags) -> Result<Event, Error> {
        self.current()?;
        let failed = self.failed("marking work");
        let event = result::event::create(flags).map_err(&failed)?;
        // SAFETY: the event was just made, the stream lives as long as `self`.
        #[allow(unsafe_code)]
        unsafe { result::event::record(event, self.stream(on)) }.map_err(failed)?;
        Ok(Event(event as u64))
    }

    fn current(&self) -> Result<(), Error> {
        // SAFETY: the context is retained as long as `self` lives.
        #[allow(unsafe_code)]
        unsafe { result::ctx::set_current(self.context) }.map_err(self.failed("making it current"))
    }

    fn failed(&self, what: &'static str) -> impl Fn(DriverError) -> Error + use<> {
        explain(&self.name, what)
    }

    fn stream(&self, stream: Stream) -> sys::CUstream {
        self.streams[stream as usize]
    }

    /// What the pool keeps and nobody uses.
    fn kept(&self) -> Result<u64, Error> {
        use sys::CUmemPool_attribute as Attribute;
        let attribute = |attribute| {
            let mut bytes = 0u64;
            // SAFETY: the pool is the device's, and both attributes are one 64-bit number.
            #[allow(unsafe_code)]
            let asked =
                unsafe { result::mem_pool::get_attribute(self.pool, attribute, std::ptr::from_mut(&mut bytes).cast()) };
            asked.map(|()| bytes).map_err(self.failed("asking for its memory"))
        };
        let reserved = attribute(Attribute::CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT)?;
        Ok(reserved.saturating_sub(attribute(Attribute::CU_MEMPOOL_ATTR_USED_MEM_CURRENT)?))
    }
}

#[allow(unsafe_code)]
impl Device for Driver {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn memory(&self) -> Result<Memory, Error> {
        self.current()?;
        let (free, total) = result::mem_get_info().map_err(self.failed("asking for its memory"))?;
        Ok(Memory { free: free as u64 + self.kept()?, total: total as u64 })
    }

    fn compile(&self, source: &Source) -> Result<Vec<Function>, Error> {
        self.current()?;
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        let parts = compiled::parts(source);
        let keys: Vec<String> = parts.iter().map(|part| compiled::key(part, &self.architecture)).collect();
        let fresh: Vec<(&Source, &String)> =
            parts.iter().zip(&keys).filter(|(_, key)| !loaded.contains_key(*key)).collect();
        let texts: Vec<&Source> = fresh.iter().map(|(part, _)| *part).collect();
        let files = compiled::all(&texts, &self.architecture, &self.cache)?;
        match self.load_all(&fresh, &files, &mut loaded) {
            // What was kept may be of a compiler that is newer than the driver, which the one on this machine need not be.
            Err(refusal @ Error::Compile { .. }) if nvrtc::is_present() => {
                let left: Vec<(&Source, &String)> =
                    fresh.into_iter().filter(|(_, key)| !loaded.contains_key(*key)).collect();
                let texts: Vec<&Source> = left.iter().map(|(part, _)| *part).collect();
                let files = match compiled::afresh(&texts, &self.architecture, &self.cache) {
                    // Nothing can be kept: what the driver said counts.
                    Err(Error::Missing(_)) => return Err(refusal),
                    files => files?,
                };
                self.load_all(&left, &files, &mut loaded)?;
            }
            done => done?,
        }
        let mut functions: HashMap<&str, Function> = HashMap::new();
        for (part, key) in parts.iter().zip(&keys) {
            let own = loaded.get(key).into_iter().flat_map(|(_, functions)| functions).copied();
            functions.extend(part.kernels.iter().map(|(name, _)| name.as_str()).zip(own));
        }
        let missing = |name: &str| Error::Compile { target: self.name.clone(), log: format!("no kernel {name}") };
        let function = |(name, _): &(String, _)| functions.get(name.as_str()).copied().ok_or_else(|| missing(name));
        source.kernels.iter().map(function).collect()
    }

    fn allocate(&self, on: Stream, bytes: u64, purpose: Purpose) -> Result<Address, Error> {
        self.current()?;
        // SAFETY: the stream is this device's, and whoever uses the memory elsewhere follows a mark of it.
        let ask = || unsafe { result::malloc_async(self.stream(on), bytes.max(1) as usize) };
        let address = self.with_memory_given_back(purpose.name(), bytes, ask, self.failed("allocating memory"))?;
        Ok(Address(address))
    }

    fn free(&self, on: Stream, address: Address) {
        if self.current().is_ok() {
            // SAFETY: its one owner gives the memory back, in the stream whose work is the last to use it. A failure is
            // one of the context, which the next call reports.
            let _ = unsafe { result::free_async(address.0, self.stream(on)) };
        }
    }

    fn pin(&self, bytes: u64) -> Result<HostAddress, Error> {
        self.current()?;
        // SAFETY: asks for memory; the caller initialises it.
        let address = unsafe { result::malloc_host(bytes.max(1) as usize, 0) };
        Ok(HostAddress(address.map_err(self.failed("pinning memory"))? as u64))
    }

    fn unpin(&self, address: HostAddress) {
        if self.current().is_ok() {
            // SAFETY: `pin` gave it, and its one owner gives it back after all copies.
            let _ = unsafe { result::free_host(address.0 as *mut std::ffi::c_void) };
        }
    }

    unsafe fn copy_in(&self, on: Stream, to: Address, from: HostAddress, bytes: u64) -> Result<(), Error> {
        self.current()?;
        // SAFETY: the caller vouches for both places and keeps the source as it is until the copy is done.
        unsafe {
            let source = std::slice::from_raw_parts(from.0 as *const u8, bytes as usize);
            result::memcpy_htod_async(to.0, source, self.stream(on)).map_err(self.failed("copying to it"))
        }
    }

    unsafe fn copy_out(&self, on: Stream, from: Address, to: HostAddress, bytes: u64) -> Result<(), Error> {
        self.current()?;
        // SAFETY: the caller vouches for both places and reads the target only once the copy is done.
        unsafe {
            let target = std::slice::from_raw_parts_mut(to.0 as *mut u8, bytes as usize);
            result::memcpy_dtoh_async(target, from.0, self.stream(on)).map_err(self.failed("copying from it"))
        }
    }

    fn zero(&self, on: Stream, at: Address, bytes: u64) -> Result<(), Error> {
        self.current()?;
        // SAFETY: the caller allocated as much memory there, for this stream.
        let cleared = unsafe { result::memset_d8_async(at.0, 0, bytes as usize, self.stream(on)) };
        cleared.map_err(self.failed("clearing memory"))
    }

    fn record(&self, on: Stream) -> Result<Event, Error> {
        self.marked(on, sys::CUevent_flags::CU_EVENT_DISABLE_TIMING)
    }

    fn follow(&self, on: Stream, event: Event) -> Result<(), Error> {
        self.current()?;
        let (event, flags) = (event.0 as sys::CUevent, sys::CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT);
        // SAFETY: the event is one of `record` that is not forgotten yet.
        unsafe { result::stream::wait_event(self.stream(on), event, flags) }.map_err(self.failed("ordering work"))
    }

    fn wait(&self, event: Event) -> Result<(), Error> {
        self.current()?;
        // SAFETY: as in `follow`.
        unsafe { result::event::synchronize(event.0 as sys::CUevent) }.map_err(self.failed("computing"))
    }

    fn is_done(&self, event: Event) -> bool {
        // SAFETY: as in `follow`.
        self.current().is_ok() && unsafe { result::event::query(event.0 as sys::CUevent) }.is_ok()
    }

    fn forget(&self, event: Event) {
        if self.current().is_ok() {
            // SAFETY: its one owner forgets it; the driver keeps what streams still wait for.
            let _ = unsafe { result::event::destroy(event.0 as sys::CUevent) };
        }
    }

    unsafe fn launch(
        &self,
        function: Function,
        blocks: u32,
        threads: u32,
        arguments: &[Argument<'_>],
    ) -> Result<(), Error> {
        self.current()?;
        let (handle, stream) = (function.0 as sys::CUfunction, self.stream(Stream::Compute));
        let launch = || {
            let mut words = Vec::with_capacity(arguments.len());
            let mut pointers = pointers(arguments, &mut words);
            // SAFETY: the caller vouches for function and arguments; the driver copies the arguments before it returns.
            unsafe { result::launch_kernel(handle, (blocks, 1, 1), (threads, 1, 1), 0, stream, &mut pointers) }
        };
        // The stacks of a kernel's threads are taken when it is first started; how many bytes, the driver does not say.
        self.with_memory_given_back("starting a kernel, at least", 1, launch, self.failed("launching a kernel"))
    }
}

#[allow(unsafe_code)]
impl Measurable for Driver {
    fn properties(&self) -> Result<Properties, Error> {
        use sys::CUdevice_attribute as Attribute;
        let failed = self.failed("asking for its properties");
        // SAFETY: the driver gave this device when it was opened.
        let attribute = |attribute| unsafe { result::device::get_attribute(self.device, attribute) }.map_err(&failed);
        let count = |name| Ok::<u32, Error>(u32::try_from(attribute(name)?).unwrap_or(0));
        Ok(Properties {
            capability: [
                count(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
                count(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
            ],
            multiprocessors: count(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?,
            clock_hertz: 1e3 * f64::from(count(Attribute::CU_DEVICE_ATTRIBUTE_CLOCK_RATE)?),
            memory_clock_hertz: 1e3 * f64::from(count(Attribute::CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE)?),
            memory_bus_bits: count(Attribute::CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH)?,
            cache_bytes: count(Attribute::CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE)?,
            driver: self.interface(),
        })
    }

    fn stamp(&self, on: Stream) -> Result<Event, Error> {
        if self.version < CLOCKS_FROM {
            let (own, least) = (self.interface(), format!("CUDA {}.{}", CLOCKS_FROM / 1000, CLOCKS_FROM % 1000 / 10));
            return Err(Error::Missing(format!(
                "the driver's interface is {own}, and measuring needs {least}; update it"
            )));
        }
        self.marked(on, sys::CUevent_flags::CU_EVENT_DEFAULT)
    }

    fn between(&self, from: Event, to: Event) -> Result<f64, Error> {
        self.current()?;
        // SAFETY: both are marks of `stamp` that are not forgotten yet, of streams of one context.
        let milliseconds = unsafe { result::event::elapsed(from.0 as sys::CUevent, to.0 as sys::CUevent) };
        Ok(f64::from(milliseconds.map_err(self.failed("reading a clock"))?) / 1e3)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if self.current().is_err() {
            return;
        }
        // SAFETY: nothing uses the streams or the context any more: all memory of this device holds it alive.
        #[allow(unsafe_code)]
        unsafe {
            for stream in self.streams {
                let _ = result::stream::synchronize(stream);
                let _ = result::stream::destroy(stream);
            }
            let loaded = self.loaded.get_mut().unwrap_or_else(PoisonError::into_inner);
            for (_, (module, _)) in loaded.drain() {
                let _ = result::module::unload(module.0);
            }
            let _ = result::primary_ctx::release(self.device);
        }
    }
}
