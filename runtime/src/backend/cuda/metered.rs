//! What a device is, and what it was busy with, for whoever measures: a device around another that notes when every
//! kernel, clearing and copy began and ended by the device's own clock.

use super::around::Around;
use super::device::{Address, Argument, Device, Error, Event, Function, HostAddress, Stream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a device says of itself; a number that it does not tell is 0.
#[derive(Clone, PartialEq, Debug)]
pub struct Properties {
    /// Compute capability, major and minor.
    pub capability: [u32; 2],
    /// Multiprocessors.
    pub multiprocessors: u32,
    /// Cycles a second of a multiprocessor, at most.
    pub clock_hertz: f64,
    /// Cycles a second of the memory, at most; two transfers a cycle.
    pub memory_clock_hertz: f64,
    /// Width of the memory's bus.
    pub memory_bus_bits: u32,
    /// Bytes of the cache that all multiprocessors share.
    pub cache_bytes: u32,
    /// Version of the driver's interface.
    pub driver: String,
}

/// A device with a clock.
pub trait Measurable: Device {
    /// What it says of itself.
    ///
    /// # Errors
    /// A call that fails.
    fn properties(&self) -> Result<Properties, Error>;

    /// As [`Device::record`]: a mark that remembers when it was reached.
    ///
    /// # Errors
    /// A call that fails.
    fn stamp(&self, on: Stream) -> Result<Event, Error>;

    /// Seconds from one mark of [`Measurable::stamp`] to another, both reached; they may be of two objects of one GPU in
    /// one process.
    ///
    /// # Errors
    /// A mark that is not reached, or a call that fails.
    fn between(&self, from: Event, to: Event) -> Result<f64, Error>;
}

/// What a device did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Doing {
    /// A kernel ran.
    Kernel,
    /// Memory was filled with zeros.
    Clearing,
    /// A copy, to the device or from it.
    Copy,
}

/// Something that a device did, in seconds since some mark. It begins when the work before it in its stream was done, so
/// that the microseconds which a launch takes to reach an idle device are a part of it.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Span {
    /// What.
    pub doing: Doing,
    /// From when.
    pub from: f64,
    /// To when.
    pub to: f64,
}

/// A device that can note what it does.
pub struct Metered {
    inner: Arc<dyn Measurable>,
    noting: AtomicBool,
    noted: Mutex<Vec<(Doing, Event, Event)>>,
}

impl Metered {
    /// Around a device; it notes nothing yet.
    pub fn new(inner: Arc<dyn Measurable>) -> Metered {
        Metered { inner, noting: AtomicBool::new(false), noted: Mutex::default() }
    }

    fn noted(&self) -> MutexGuard<'_, Vec<(Doing, Event, Event)>> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes from now on, or no more.
    pub fn note(&self, noting: bool) {
        self.noting.store(noting, Ordering::Relaxed);
    }

    /// Waits for all that was noted, and gives it, in seconds since `origin`, a mark of [`Measurable::stamp`].
    ///
    /// # Errors
    /// A call that fails, this one or an earlier one.
    pub fn spans(&self, origin: Event) -> Result<Vec<Span>, Error> {
        let noted = std::mem::take(&mut *self.noted());
        let of = |&(doing, from, to): &(Doing, Event, Event)| {
            self.inner.wait(to)?;
            let seconds = |event| self.inner.between(origin, event);
            Ok(Span { doing, from: seconds(from)?, to: seconds(to)? })
        };
        let spans = noted.iter().map(of).collect();
        noted.iter().flat_map(|&(_, from, to)| [from, to]).for_each(|event| self.inner.forget(event));
        spans
    }

    fn around(&self, doing: Doing, on: Stream, work: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
        if !self.noting.load(Ordering::Relaxed) {
            return work();
        }
        let from = self.inner.stamp(on)?;
        let done = work().and_then(|()| self.inner.stamp(on));
        match done {
            Ok(to) => self.noted().push((doing, from, to)),
            Err(error) => {
                self.inner.forget(from);
                return Err(error);
            }
        }
        Ok(())
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        let noted = std::mem::take(&mut *self.noted());
        noted.iter().flat_map(|&(_, from, to)| [from, to]).for_each(|event| self.inner.forget(event));
    }
}

/// Seconds in which at least one of some spans was under way.
pub fn busy(spans: &[Span]) -> f64 {
    let mut sorted: Vec<&Span> = spans.iter().collect();
    sorted.sort_by(|a, b| a.from.total_cmp(&b.from));
    let (mut seconds, mut end) = (0.0, f64::NEG_INFINITY);
    for span in sorted {
        seconds += (span.to - span.from.max(end)).max(0.0);
        end = end.max(span.to);
    }
    seconds
}

#[allow(unsafe_code)]
impl Around for Metered {
    fn inner(&self) -> &dyn Device {
        &*self.inner
    }

    unsafe fn copy_in(&self, on: Stream, to: Address, from: HostAddress, bytes: u64) -> Result<(), Error> {
        // SAFETY: what the caller vouches for is what the inner device asks for.
        self.around(Doing::Copy, on, || unsafe { self.inner.copy_in(on, to, from, bytes) })
    }

    unsafe fn copy_out(&self, on: Stream, from: Address, to: HostAddress, bytes: u64) -> Result<(), Error> {
        // SAFETY: as above.
        self.around(Doing::Copy, on, || unsafe { self.inner.copy_out(on, from, to, bytes) })
    }

    fn zero(&self, on: Stream, at: Address, bytes: u64) -> Result<(), Error> {
        self.around(Doing::Clearing, on, || self.inner.zero(on, at, bytes))
    }

    unsafe fn launch(
        &self,
        function: Function,
        blocks: u32,
        threads: u32,
        arguments: &[Argument<'_>],
    ) -> Result<(), Error> {
        // SAFETY: as above.
        self.around(Doing::Kernel, Stream::Compute, || unsafe {
            self.inner.launch(function, blocks, threads, arguments)
        })
    }
}

impl Measurable for Metered {
    fn properties(&self) -> Result<Properties, Error> {
        self.inner.properties()
    }

    fn stamp(&self, on: Stream) -> Result<Event, Error> {
        self.inner.stamp(on)
    }

    fn between(&self, from: Event, to: Event) -> Result<f64, Error> {
        self.inner.between(from, to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_in_which_two_work_counts_once() {
        let span = |from, to| Span { doing: Doing::Kernel, from, to };
        assert_eq!(busy(&[]), 0.0);
        assert_eq!(busy(&[span(4.0, 5.0), span(0.0, 2.0), span(1.0, 3.0), span(1.5, 1.75)]), 4.0);
    }
}
