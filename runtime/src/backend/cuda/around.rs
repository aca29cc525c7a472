//! A device around another: it does what the inner one does, but for what it is there to note or to change.

use super::device::{Address, Argument, Device, Error, Event, Function, HostAddress, Memory, Purpose, Source, Stream};

/// What is around a device, and so is one. Whatever it does not define is left to the inner device; what each function
/// does, needs and refuses is said at the one of [`Device`] that has its name. What nobody has had to change is not here.
#[allow(unsafe_code, clippy::missing_errors_doc, clippy::missing_safety_doc)]
pub trait Around: Send + Sync {
    /// The device that it is around.
    fn inner(&self) -> &dyn Device;

    /// [`Device::memory`]
    fn memory(&self) -> Result<Memory, Error> {
        self.inner().memory()
    }

    /// [`Device::compile`]
    fn compile(&self, source: &Source) -> Result<Vec<Function>, Error> {
        self.inner().compile(source)
    }

    /// [`Device::allocate`]
    fn allocate(&self, on: Stream, bytes: u64, purpose: Purpose) -> Result<Address, Error> {
        self.inner().allocate(on, bytes, purpose)
    }

    /// [`Device::free`]
    fn free(&self, on: Stream, address: Address) {
        self.inner().free(on, address);
    }

    /// [`Device::pin`]
    fn pin(&self, bytes: u64) -> Result<HostAddress, Error> {
        self.inner().pin(bytes)
    }

    /// [`Device::unpin`]
    fn unpin(&self, address: HostAddress) {
        self.inner().unpin(address);
    }

    /// [`Device::copy_in`]
    unsafe fn copy_in(&self, on: Stream, to: Address, from: HostAddress, bytes: u64) -> Result<(), Error> {
        // SAFETY: what the caller vouches for is what the inner device asks for.
        unsafe { self.inner().copy_in(on, to, from, bytes) }
    }

    /// [`Device::copy_out`]
    unsafe fn copy_out(&self, on: Stream, from: Address, to: HostAddress, bytes: u64) -> Result<(), Error> {
        // SAFETY: as above.
        unsafe { self.inner().copy_out(on, from, to, bytes) }
    }

    /// [`Device::zero`]
    fn zero(&self, on: Stream, at: Address, bytes: u64) -> Result<(), Error> {
        self.inner().zero(on, at, bytes)
    }

    /// [`Device::follow`]
    fn follow(&self, on: Stream, event: Event) -> Result<(), Error> {
        self.inner().follow(on, event)
    }

    /// [`Device::wait`]
    fn wait(&self, event: Event) -> Result<(), Error> {
        self.inner().wait(event)
    }

    /// [`Device::is_done`]
    fn is_done(&self, event: Event) -> bool {
        self.inner().is_done(event)
    }

    /// [`Device::launch`]
    unsafe fn launch(
        &self,
        function: Function,
        blocks: u32,
        threads: u32,
        arguments: &[Argument<'_>],
    ) -> Result<(), Error> {
        // SAFETY: as above.
        unsafe { self.inner().launch(function, blocks, threads, arguments) }
    }
}

#[allow(unsafe_code)]
impl<T: Around> Device for T {
    fn name(&self) -> String {
        self.inner().name()
    }

    fn memory(&self) -> Result<Memory, Error> {
        Around::memory(self)
    }

    fn compile(&self, source: &Source) -> Result<Vec<Function>, Error> {
        Around::compile(self, source)
    }

    fn allocate(&self, on: Stream, bytes: u64, purpose: Purpose) -> Result<Address, Error> {
        Around::allocate(self, on, bytes, purpose)
    }

    fn free(&self, on: Stream, address: Address) {
        Around::free(self, on, address);
    }

    fn pin(&self, bytes: u64) -> Result<HostAddress, Error> {
        Around::pin(self, bytes)
    }

    fn unpin(&self, address: HostAddress) {
        Around::unpin(self, address);
    }

    unsafe fn copy_in(&self, on: Stream, to: Address, from: HostAddress, bytes: u64) -> Result<(), Error> {
        // SAFETY: as above.
        unsafe { Around::copy_in(self, on, to, from, bytes) }
    }

    unsafe fn copy_out(&self, on: Stream, from: Address, to: HostAddress, bytes: u64) -> Result<(), Error> {
        // SAFETY: as above.
        unsafe { Around::copy_out(self, on, from, to, bytes) }
    }

    fn zero(&self, on: Stream, at: Address, bytes: u64) -> Result<(), Error> {
        Around::zero(self, on, at, bytes)
    }

    fn record(&self, on: Stream) -> Result<Event, Error> {
        self.inner().record(on)
    }

    fn follow(&self, on: Stream, event: Event) -> Result<(), Error> {
        Around::follow(self, on, event)
    }

    fn wait(&self, event: Event) -> Result<(), Error> {
        Around::wait(self, event)
    }

    fn is_done(&self, event: Event) -> bool {
        Around::is_done(self, event)
    }

    fn forget(&self, event: Event) {
        self.inner().forget(event);
    }

    unsafe fn launch(
        &self,
        function: Function,
        blocks: u32,
        threads: u32,
        arguments: &[Argument<'_>],
    ) -> Result<(), Error> {
        // SAFETY: as above.
        unsafe { Around::launch(self, function, blocks, threads, arguments) }
    }
}
