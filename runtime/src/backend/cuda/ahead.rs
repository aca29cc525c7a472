//! Kernels compiled for a GPU that is not there: what a party's back end compiles on this device is in the cache when the
//! same party opens the GPU. Memory is this process's, so that a back end can be made ready; nothing runs.

use super::cache::Cache;
use super::compiled;
use super::device::{Address, Argument, Device, Error, Event, Function, HostAddress, Memory, Purpose, Source, Stream};
use super::shim::queue::{Queues, Work};
use super::shim::{Order, Shim};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A compiler in the place of a GPU.
pub struct Ahead {
    architecture: String,
    cache: Cache,
    kernels: AtomicUsize,
    queues: Mutex<Queues>,
}

impl Ahead {
    /// Compiles for an architecture, `sm_90` for example, into `cache`.
    pub fn new(architecture: &str, cache: Cache) -> Ahead {
        let queues = Mutex::new(Queues::new(Order::AsAsked));
        Ahead { architecture: architecture.into(), cache, kernels: AtomicUsize::new(0), queues }
    }

    /// Kernels that it was asked for, those that the cache had included.
    pub fn kernels(&self) -> usize {
        self.kernels.load(Ordering::Relaxed)
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn asked(&self, on: Stream, work: Work) -> Result<(), Error> {
        let mut queues = self.queues();
        queues.ask(on, work);
        queues.fault()
    }
}

#[allow(unsafe_code)]
impl Device for Ahead {
    fn name(&self) -> String {
        format!("a compiler for {}", self.architecture)
    }

    fn memory(&self) -> Result<Memory, Error> {
        Ok(Memory { free: u64::MAX, total: u64::MAX })
    }

    fn compile(&self, source: &Source) -> Result<Vec<Function>, Error> {
        let parts = compiled::parts(source);
        compiled::all(&parts.iter().collect::<Vec<_>>(), &self.architecture, &self.cache)?;
        let first = self.kernels.fetch_add(source.kernels.len(), Ordering::Relaxed);
        Ok((first..).take(source.kernels.len()).map(Function).collect())
    }

    fn allocate(&self, _: Stream, bytes: u64, _: Purpose) -> Result<Address, Error> {
        let address = self.queues().allocate(bytes);
        address.map(Address).ok_or_else(|| Shim::failed("allocating memory", "there is none left"))
    }

    fn free(&self, on: Stream, address: Address) {
        self.queues().ask(on, Work::Free(address.0));
    }

    fn pin(&self, bytes: u64) -> Result<HostAddress, Error> {
        let address = self.queues().allocate(bytes);
        address.map(HostAddress).ok_or_else(|| Shim::failed("pinning memory", "there is none left"))
    }

    fn unpin(&self, address: HostAddress) {
        self.queues().ask(Stream::Compute, Work::Free(address.0));
    }

    unsafe fn copy_in(&self, on: Stream, to: Address, from: HostAddress, bytes: u64) -> Result<(), Error> {
        self.asked(on, Work::In { to: to.0, from: from.0, bytes })
    }

    unsafe fn copy_out(&self, on: Stream, from: Address, to: HostAddress, bytes: u64) -> Result<(), Error> {
        self.asked(on, Work::Out { from: from.0, to: to.0, bytes })
    }

    fn zero(&self, on: Stream, at: Address, bytes: u64) -> Result<(), Error> {
        self.asked(on, Work::Zero { at: at.0, bytes })
    }

    fn record(&self, on: Stream) -> Result<Event, Error> {
        Ok(Event(self.queues().record(on)))
    }

    fn follow(&self, on: Stream, event: Event) -> Result<(), Error> {
        self.asked(on, Work::Follow(event.0))
    }

    fn wait(&self, event: Event) -> Result<(), Error> {
        let mut queues = self.queues();
        queues.until(event.0);
        queues.fault()
    }

    fn is_done(&self, event: Event) -> bool {
        self.queues().is_done(event.0)
    }

    fn forget(&self, event: Event) {
        self.queues().forget(event.0);
    }

    unsafe fn launch(&self, _: Function, _: u32, _: u32, _: &[Argument<'_>]) -> Result<(), Error> {
        Err(Error::Missing(format!("{} runs nothing; it needs a GPU", self.name())))
    }
}
