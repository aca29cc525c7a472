//! A GPU through NVIDIA's driver, which is found when the program runs: nothing of CUDA is needed to build.
//!
//! One stream per device object, so that work happens in the order in which it was asked for; memory comes from the
//! device's pool, in the same order, so that giving it back never waits.

use super::cache::Cache;
use super::device::{Address, Device, Error, Function, Memory, Source};
use super::nvrtc;
use cudarc::driver::{DriverError, result, sys};
use std::ffi::{CString, c_int, c_void};

/// A GPU as one party uses it.
pub struct Driver {
    name: String,
    device: sys::CUdevice,
    context: sys::CUcontext,
    stream: sys::CUstream,
    architecture: String,
    cache: Cache,
}

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
    /// No driver, no such GPU, or a call that fails.
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
        // SAFETY: the context was just retained and is released when `Driver` ends.
        unsafe { result::ctx::set_current(context) }.map_err(&failed)?;
        let stream = result::stream::create(result::stream::StreamKind::NonBlocking).map_err(&failed)?;
        use sys::CUdevice_attribute as Attribute;
        let attribute = |attribute| {
            // SAFETY: the driver has just given this device.
            unsafe { result::device::get_attribute(device, attribute) }.map_err(&failed)
        };
        let major = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
        let minor = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
        let mut keep = u64::MAX;
        // SAFETY: the pool is the device's, and the attribute is one 64-bit number: memory given back stays with it.
        unsafe {
            let pool = result::device::get_default_mem_pool(device).map_err(&failed)?;
            let threshold = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
            result::mem_pool::set_attribute(pool, threshold, std::ptr::from_mut(&mut keep).cast()).map_err(&failed)?;
        }
        let architecture = format!("compute_{major}{minor}");
        Ok(Driver { name, device, context, stream, architecture, cache })
    }

    fn current(&self) -> Result<(), Error> {
        // SAFETY: the context is retained as long as `self` lives.
        #[allow(unsafe_code)]
        unsafe { result::ctx::set_current(self.context) }.map_err(self.failed("making it current"))
    }

    fn failed(&self, what: &'static str) -> impl Fn(DriverError) -> Error + use<> {
        explain(&self.name, what)
    }

    fn wait(&self) -> Result<(), Error> {
        // SAFETY: the stream lives as long as `self`.
        #[allow(unsafe_code)]
        unsafe { result::stream::synchronize(self.stream) }.map_err(self.failed("computing"))
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
        Ok(Memory { free: free as u64, total: total as u64 })
    }

    fn compile(&self, source: &Source) -> Result<Vec<Function>, Error> {
        self.current()?;
        let key = Cache::key(&["nvrtc", &self.architecture, &nvrtc::OPTIONS.join(" "), &source.text]);
        let file = self.cache.file(&key, "ptx", |path| {
            let ptx = nvrtc::compile(source, &self.architecture)?;
            std::fs::write(path, ptx).map_err(|error| Error::Missing(format!("{}: {error}", path.display())))
        })?;
        let text = std::fs::read(file.path()).map_err(|error| Error::Missing(error.to_string()))?;
        let refused = |reason: &str| Error::Compile { target: self.name.clone(), log: reason.into() };
        let text = CString::new(text).map_err(|_| refused("compiled kernels hold a zero byte"))?;
        // SAFETY: the text ends with a zero byte and lives during the call.
        let module = unsafe { result::module::load_data(text.as_ptr().cast()) };
        let module = module.map_err(|error| refused(&format!("{error:?}")))?;
        let function = |(name, _): &(String, _)| {
            let name = CString::new(name.as_str()).map_err(|_| refused("a kernel's name holds a zero byte"))?;
            // SAFETY: the module was just loaded and is never unloaded: its functions live as long as the context.
            let function = unsafe { result::module::get_function(module, name) };
            Ok(Function(function.map_err(|error| refused(&format!("{error:?}")))? as usize))
        };
        source.kernels.iter().map(function).collect()
    }

    fn allocate(&self, bytes: u64) -> Result<Address, Error> {
        self.current()?;
        // SAFETY: the stream is this device's, and all work with the memory is put into it.
        match unsafe { result::malloc_async(self.stream, bytes.max(1) as usize) } {
            Ok(address) => Ok(Address(address)),
            Err(DriverError(sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY)) => {
                let free = self.memory().map_or(0, |memory| memory.free);
                Err(Error::Memory { device: self.name.clone(), needed: bytes, free })
            }
            Err(error) => Err(self.failed("allocating memory")(error)),
        }
    }

    fn free(&self, address: Address) {
        if self.current().is_ok() {
            // SAFETY: the memory is this stream's, and its one owner gives it back. A failure is one of the context,
            // which the next call reports.
            let _ = unsafe { result::free_async(address.0, self.stream) };
        }
    }

    fn write(&self, to: Address, bytes: &[u8]) -> Result<(), Error> {
        self.current()?;
        // SAFETY: the caller allocated as much memory there; the bytes stay until the copy is done, as we wait for it.
        unsafe { result::memcpy_htod_async(to.0, bytes, self.stream) }.map_err(self.failed("copying to it"))?;
        self.wait()
    }

    fn read(&self, from: Address, bytes: &mut [u8]) -> Result<(), Error> {
        self.current()?;
        // SAFETY: as in `write`.
        unsafe { result::memcpy_dtoh_async(bytes, from.0, self.stream) }.map_err(self.failed("copying from it"))?;
        self.wait()
    }

    fn zero(&self, at: Address, bytes: u64) -> Result<(), Error> {
        self.current()?;
        // SAFETY: the caller allocated as much memory there, in this stream.
        unsafe { result::memset_d8_async(at.0, 0, bytes as usize, self.stream) }.map_err(self.failed("clearing memory"))
    }

    unsafe fn launch(
        &self,
        function: Function,
        blocks: u32,
        threads: u32,
        arguments: &mut [*mut c_void],
    ) -> Result<(), Error> {
        self.current()?;
        let handle = function.0 as sys::CUfunction;
        // SAFETY: the caller vouches for function and arguments; the driver copies the arguments before it returns.
        unsafe { result::launch_kernel(handle, (blocks, 1, 1), (threads, 1, 1), 0, self.stream, arguments) }
            .map_err(self.failed("launching a kernel"))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.wait();
        // SAFETY: nothing uses the stream or the context any more: all memory of this device holds it alive.
        #[allow(unsafe_code)]
        unsafe {
            let _ = result::stream::destroy(self.stream);
            let _ = result::primary_ctx::release(self.device);
        }
    }
}
