//! What a CUDA device is to this back end: memory at addresses, and functions that are launched over blocks of threads.
//!
//! Work on one device happens in the order in which it was asked for; only reading waits for it.

use std::fmt;
use std::sync::Arc;

/// Why a device did not do it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Error {
    /// Something that has to be installed is not.
    #[error("{0}")]
    Missing(String),
    /// A kernel's text was refused.
    #[error("a kernel does not compile for {target}: {log}")]
    Compile {
        /// What it was compiled for.
        target: String,
        /// What the compiler said.
        log: String,
    },
    /// No memory left.
    #[error("{device}: {needed} bytes are needed and {free} are free; use a smaller batch or another device")]
    Memory {
        /// Which device.
        device: String,
        /// What was asked for.
        needed: u64,
        /// What was left.
        free: u64,
    },
    /// A call failed.
    #[error("{device}: {what} failed: {reason}")]
    Failed {
        /// Which device.
        device: String,
        /// What was tried.
        what: &'static str,
        /// What the driver said.
        reason: String,
    },
    /// The constants of a kernel on the device are not those of the checked kernel.
    #[error("{device}: the constants of a kernel arrived with another digest")]
    Constants {
        /// Which device.
        device: String,
    },
}

/// How a kernel's threads meet: a property of its text that only the host shim needs to know.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Style {
    /// Every phase is an `EACH_THREAD` block; nothing but shared memory lives from one to the next.
    Phased,
    /// Barriers inside of ordinary code.
    Threads,
}

/// The text of some kernels.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    /// CUDA C++, with the prelude.
    pub text: String,
    /// Its kernels.
    pub kernels: Vec<(String, Style)>,
}

/// A compiled kernel of the device that made it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Function(pub(super) usize);

/// A place in a device's memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Address(pub u64);

impl Address {
    /// No memory: for a buffer that a kernel does not read.
    pub const NOWHERE: Address = Address(0);
}

/// Bytes of a device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Memory {
    /// Not in use by anybody.
    pub free: u64,
    /// In all.
    pub total: u64,
}

/// One device, as one party uses it.
pub trait Device: Send + Sync {
    /// What it is called.
    fn name(&self) -> String;

    /// Its memory.
    ///
    /// # Errors
    /// A call that fails.
    fn memory(&self) -> Result<Memory, Error>;

    /// Compiles kernels; the functions are in the order of `source.kernels`.
    ///
    /// # Errors
    /// No compiler, or a text that it refuses.
    fn compile(&self, source: &Source) -> Result<Vec<Function>, Error>;

    /// Memory for `bytes` bytes, at least one, at a multiple of 256.
    ///
    /// # Errors
    /// No memory left.
    fn allocate(&self, bytes: u64) -> Result<Address, Error>;

    /// Gives memory back that this device allocated, after all work so far.
    fn free(&self, address: Address);

    /// Copies into memory that was allocated with at least as many bytes.
    ///
    /// # Errors
    /// A call that fails.
    fn write(&self, to: Address, bytes: &[u8]) -> Result<(), Error>;

    /// Copies out of memory that was allocated with at least as many bytes, after all work so far.
    ///
    /// # Errors
    /// A call that fails, this one or an earlier one.
    fn read(&self, from: Address, bytes: &mut [u8]) -> Result<(), Error>;

    /// Fills memory that was allocated with at least as many bytes with zeros.
    ///
    /// # Errors
    /// A call that fails.
    fn zero(&self, at: Address, bytes: u64) -> Result<(), Error>;

    /// Runs `blocks` blocks of `threads` threads; each argument is the address of a value of the kernel's parameter.
    ///
    /// # Safety
    /// The function is of this device; there are as many arguments as it has parameters, each pointing to a value of
    /// the parameter's type; the addresses among them are allocated with at least what the kernel reads and writes.
    ///
    /// # Errors
    /// A call that fails.
    #[allow(unsafe_code)]
    unsafe fn launch(
        &self,
        function: Function,
        blocks: u32,
        threads: u32,
        arguments: &mut [*mut std::ffi::c_void],
    ) -> Result<(), Error>;
}

/// Memory of a device, given back when nobody holds it.
pub struct Buffer {
    device: Arc<dyn Device>,
    address: Address,
    bytes: u64,
}

impl Buffer {
    /// Memory with whatever was in it.
    ///
    /// # Errors
    /// No memory left.
    pub fn new(device: &Arc<dyn Device>, bytes: u64) -> Result<Buffer, Error> {
        Ok(Buffer { address: device.allocate(bytes.max(1))?, device: Arc::clone(device), bytes })
    }

    /// Memory with these bytes.
    ///
    /// # Errors
    /// No memory left, or a call that fails.
    pub fn of(device: &Arc<dyn Device>, bytes: &[u8]) -> Result<Buffer, Error> {
        let buffer = Buffer::new(device, bytes.len() as u64)?;
        device.write(buffer.address, bytes)?;
        Ok(buffer)
    }

    /// Memory with these words.
    ///
    /// # Errors
    /// As [`Buffer::of`].
    pub fn of_words(device: &Arc<dyn Device>, words: &[u64]) -> Result<Buffer, Error> {
        Buffer::of(device, &bytes_of(words))
    }

    /// What is in it.
    ///
    /// # Errors
    /// A call that fails.
    pub fn bytes(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; self.bytes as usize];
        self.device.read(self.address, &mut bytes)?;
        Ok(bytes)
    }

    /// What is in it, as words.
    ///
    /// # Errors
    /// A call that fails.
    pub fn words(&self) -> Result<Vec<u64>, Error> {
        Ok(self.bytes()?.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect())
    }

    /// Where it is.
    pub fn address(&self) -> Address {
        self.address
    }
}

/// Words as a device has them.
pub fn bytes_of(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.device.free(self.address);
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} bytes)", self.bytes)
    }
}
