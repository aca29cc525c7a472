//! What a CUDA device is to this back end: memory at addresses, and functions that are launched over blocks of threads.
//!
//! A device has three streams of work. Each does what it is asked for in order, and nothing orders one after another
//! but marks: a stream that follows a mark waits until all work before the mark is done. Nothing but [`Device::wait`]
//! waits in this process. [`super::transfers`] and [`super::stage`] keep this discipline; the shim can delay every
//! stream as long as marks allow, so that a missing one is noticed without a GPU.

use std::ffi::c_void;
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
    #[error(
        "{device}: {needed} bytes are needed for {what} and {free} are free; use a smaller batch or another device"
    )]
    Memory {
        /// Which device.
        device: String,
        /// What for.
        what: &'static str,
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

/// What memory is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// Words of values: shares, inputs, results.
    Words,
    /// A received message.
    Received,
    /// A message to send.
    Sent,
    /// Residues of a product's left factor.
    LeftResidues,
    /// Residues of a product's right factor.
    RightResidues,
    /// Residues of a product.
    Digits,
    /// Where a kernel finds what; public.
    Table,
    /// Constants of kernels and circuits; public.
    Constants,
}

impl Purpose {
    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Purpose::Words => "the words of a value",
            Purpose::Received => "a received message",
            Purpose::Sent => "a message to send",
            Purpose::LeftResidues => "residues of a product's left factor",
            Purpose::RightResidues => "residues of a product's right factor",
            Purpose::Digits => "residues of a product",
            Purpose::Table => "a table of places",
            Purpose::Constants => "public constants",
        }
    }

    /// Whether it is cleared before it is given back.
    pub fn is_secret(self) -> bool {
        !matches!(self, Purpose::Table | Purpose::Constants)
    }
}

/// A stream of work.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stream {
    /// Kernels.
    Compute,
    /// Copies to the device.
    Incoming,
    /// Copies from the device.
    Outgoing,
}

impl Stream {
    /// All of them, by their number.
    pub const ALL: [Stream; 3] = [Stream::Compute, Stream::Incoming, Stream::Outgoing];
}

/// A place in a stream, of the device that made it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Event(pub u64);

/// Memory of this process that copies of a device reach while the process does something else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HostAddress(pub u64);

/// An argument of a kernel.
#[derive(Clone, Copy, Debug)]
pub enum Argument<'a> {
    /// An address or a number.
    Word(u64),
    /// A structure of 32-bit words.
    Structure(&'a [u32]),
    /// A structure of 64-bit words.
    Words(&'a [u64]),
}

/// The addresses of arguments; `words` becomes the home of those that have none.
pub fn pointers(arguments: &[Argument<'_>], words: &mut Vec<u64>) -> Vec<*mut c_void> {
    words.clear();
    words.extend(arguments.iter().map(|argument| if let Argument::Word(word) = argument { *word } else { 0 }));
    let pointer = |(argument, word): (&Argument<'_>, &mut u64)| match argument {
        Argument::Word(_) => std::ptr::from_mut(word).cast(),
        Argument::Structure(words) => words.as_ptr().cast_mut().cast(),
        Argument::Words(words) => words.as_ptr().cast_mut().cast(),
    };
    arguments.iter().zip(words).map(pointer).collect()
}

/// One device, as one party uses it.
pub trait Device: Send + Sync {
    /// What it is called.
    fn name(&self) -> String;

    /// Its memory, what this process keeps for later included in what is free.
    ///
    /// # Errors
    /// A call that fails.
    fn memory(&self) -> Result<Memory, Error>;

    /// Compiles kernels; the functions are in the order of `source.kernels`.
    ///
    /// # Errors
    /// No compiler, or a text that it refuses.
    fn compile(&self, source: &Source) -> Result<Vec<Function>, Error>;

    /// Memory for `bytes` bytes, at least one, at a multiple of 256, for work of `on` from now on.
    ///
    /// # Errors
    /// No memory left.
    fn allocate(&self, on: Stream, bytes: u64, purpose: Purpose) -> Result<Address, Error>;

    /// Gives memory back that this device allocated, after all work so far in `on`.
    fn free(&self, on: Stream, address: Address);

    /// Memory of this process for copies.
    ///
    /// # Errors
    /// No memory left.
    fn pin(&self, bytes: u64) -> Result<HostAddress, Error>;

    /// Gives memory of this process back that no copy uses any more.
    fn unpin(&self, address: HostAddress);

    /// Copies to the device, in `on`.
    ///
    /// # Safety
    /// Both places hold `bytes` bytes, and `from` does not change before the copy is done.
    ///
    /// # Errors
    /// A call that fails.
    #[allow(unsafe_code)]
    unsafe fn copy_in(&self, on: Stream, to: Address, from: HostAddress, bytes: u64) -> Result<(), Error>;

    /// Copies from the device, in `on`.
    ///
    /// # Safety
    /// Both places hold `bytes` bytes, and nobody reads `to` before the copy is done.
    ///
    /// # Errors
    /// A call that fails.
    #[allow(unsafe_code)]
    unsafe fn copy_out(&self, on: Stream, from: Address, to: HostAddress, bytes: u64) -> Result<(), Error>;

    /// Fills memory that was allocated with at least as many bytes with zeros, in `on`.
    ///
    /// # Errors
    /// A call that fails.
    fn zero(&self, on: Stream, at: Address, bytes: u64) -> Result<(), Error>;

    /// Marks the end of all work so far in `on`.
    ///
    /// # Errors
    /// A call that fails.
    fn record(&self, on: Stream) -> Result<Event, Error>;

    /// Lets later work of `on` wait for a mark.
    ///
    /// # Errors
    /// A call that fails.
    fn follow(&self, on: Stream, event: Event) -> Result<(), Error>;

    /// Waits for a mark.
    ///
    /// # Errors
    /// A call that fails, this one or an earlier one.
    fn wait(&self, event: Event) -> Result<(), Error>;

    /// Whether a wait for a mark would be over at once.
    fn is_done(&self, event: Event) -> bool;

    /// Forgets a mark, which streams may still wait for.
    fn forget(&self, event: Event);

    /// Runs `blocks` blocks of `threads` threads, in [`Stream::Compute`].
    ///
    /// # Safety
    /// The function is of this device; the arguments are of the types of its parameters, one for each; the addresses
    /// among them are allocated with at least what the kernel reads and writes.
    ///
    /// # Errors
    /// A call that fails.
    #[allow(unsafe_code)]
    unsafe fn launch(
        &self,
        function: Function,
        blocks: u32,
        threads: u32,
        arguments: &[Argument<'_>],
    ) -> Result<(), Error>;
}

/// A mark, forgotten when nobody holds it.
pub struct Mark {
    device: Arc<dyn Device>,
    event: Event,
}

impl Mark {
    /// The end of all work so far in `on`.
    ///
    /// # Errors
    /// A call that fails.
    pub fn new(device: &Arc<dyn Device>, on: Stream) -> Result<Mark, Error> {
        Ok(Mark { event: device.record(on)?, device: Arc::clone(device) })
    }

    /// Lets `on` wait for it.
    ///
    /// # Errors
    /// A call that fails.
    pub fn before(&self, on: Stream) -> Result<(), Error> {
        self.device.follow(on, self.event)
    }

    /// Waits for it.
    ///
    /// # Errors
    /// A call that fails, this one or an earlier one.
    pub fn wait(&self) -> Result<(), Error> {
        self.device.wait(self.event)
    }

    /// Whether it is reached.
    pub fn is_done(&self) -> bool {
        self.device.is_done(self.event)
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        self.device.forget(self.event);
    }
}

/// Memory of a device, cleared if it may be secret and given back when nobody holds it.
pub struct Buffer {
    device: Arc<dyn Device>,
    address: Address,
    bytes: u64,
    purpose: Purpose,
    /// Whose work is the last to use it.
    last: Stream,
}

impl Buffer {
    /// Memory with whatever was in it, for work of [`Stream::Compute`].
    ///
    /// # Errors
    /// No memory left.
    pub fn new(device: &Arc<dyn Device>, bytes: u64, purpose: Purpose) -> Result<Buffer, Error> {
        Buffer::on(device, Stream::Compute, bytes, purpose)
    }

    /// Memory for work of one stream, until it is handed to another.
    ///
    /// # Errors
    /// No memory left.
    pub fn on(device: &Arc<dyn Device>, stream: Stream, bytes: u64, purpose: Purpose) -> Result<Buffer, Error> {
        let bytes = bytes.max(1);
        let address = device.allocate(stream, bytes, purpose)?;
        Ok(Buffer { address, device: Arc::clone(device), bytes, purpose, last: stream })
    }

    /// It is given back after work of `last` from now on, which follows all other work that uses it.
    pub fn hand_to(&mut self, last: Stream) {
        self.last = last;
    }

    /// Where it is.
    pub fn address(&self) -> Address {
        self.address
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.purpose.is_secret() {
            // A device that fails says so at the next call; the memory goes back all the same.
            let _ = self.device.zero(self.last, self.address, self.bytes);
        }
        self.device.free(self.last, self.address);
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} bytes)", self.bytes)
    }
}
