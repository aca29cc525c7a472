//! The discipline of streams: under every order in which streams may run, a stage and a product say what the CPU says;
//! and with any mark left out, in any of these orders, one of them does not.

use crate::{kept, lanes, shim_with, stages};
use runtime::backend::cuda::shim::{Order, Shim};
use runtime::backend::cuda::{Address, Around, Cuda, Device, Error, Event, Purpose, Stream};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

/// What is left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Forgotten {
    Nothing,
    /// A stream does not wait for another.
    Follow(Stream),
    /// This process does not wait.
    Wait,
    /// Sources of copies are taken for done at once.
    Done,
    /// What leaves is given back by the stream of kernels, which does not wait for the copy.
    GivenBack,
    /// Memory is given back without being cleared.
    Cleared,
}

/// A device that forgets something, and remembers what was given back with something in it.
struct Careless {
    inner: Shim,
    forgotten: Forgotten,
    secrets: std::sync::Mutex<std::collections::HashMap<u64, u64>>,
    uncleared: std::sync::atomic::AtomicUsize,
}

#[allow(unsafe_code)]
impl Around for Careless {
    fn inner(&self) -> &dyn Device {
        &self.inner
    }

    fn allocate(&self, on: Stream, bytes: u64, purpose: Purpose) -> Result<Address, Error> {
        let address = self.inner.allocate(on, bytes, purpose)?;
        if purpose.is_secret() {
            self.secrets.lock().unwrap().insert(address.0, bytes);
        }
        Ok(address)
    }

    fn free(&self, on: Stream, address: Address) {
        // To look waits for the copy that this one forgets.
        let looked_at = self.forgotten != Forgotten::GivenBack;
        if let Some(bytes) = self.secrets.lock().unwrap().remove(&address.0).filter(|_| looked_at) {
            // What the stream sees when it gives the memory back.
            let host = self.inner.pin(bytes).unwrap();
            // SAFETY: both have as many bytes, which are read once the mark after the copy is reached.
            let clear = unsafe {
                self.inner.copy_out(on, address, host, bytes).unwrap();
                let event = self.inner.record(on).unwrap();
                self.inner.wait(event).unwrap();
                std::slice::from_raw_parts(host.0 as *const u8, bytes as usize).iter().all(|&byte| byte == 0)
            };
            self.inner.unpin(host);
            self.uncleared.fetch_add(usize::from(!clear), std::sync::atomic::Ordering::Relaxed);
        }
        self.inner.free(if self.forgotten == Forgotten::GivenBack { Stream::Compute } else { on }, address);
    }

    fn zero(&self, on: Stream, at: Address, bytes: u64) -> Result<(), Error> {
        if self.forgotten == Forgotten::Cleared { Ok(()) } else { self.inner.zero(on, at, bytes) }
    }

    fn follow(&self, on: Stream, event: Event) -> Result<(), Error> {
        if self.forgotten == Forgotten::Follow(on) { Ok(()) } else { self.inner.follow(on, event) }
    }

    fn wait(&self, event: Event) -> Result<(), Error> {
        if self.forgotten == Forgotten::Wait { Ok(()) } else { self.inner.wait(event) }
    }

    fn is_done(&self, event: Event) -> bool {
        self.forgotten == Forgotten::Done || self.inner.is_done(event)
    }
}

/// Whether all that is computed is right, and how much was given back uncleared.
fn outcome(order: Order, forgotten: Forgotten) -> Option<(bool, usize)> {
    let inner = Shim::with(kept(), order, u64::MAX).ok()?;
    let device = Arc::new(Careless { inner, forgotten, secrets: Default::default(), uncleared: Default::default() });
    let cuda = Cuda::new(device.clone()).unwrap();
    // A kernel whose constants have not arrived is refused; so is one whose table has not, by a wrong address.
    let agrees = || stages::resharing_agrees(&cuda, 40, 200) && lanes::matrices_agree(&cuda, [3, 5, 4]);
    let right = std::panic::catch_unwind(AssertUnwindSafe(agrees)).unwrap_or(false);
    drop(cuda);
    let uncleared = device.uncleared.load(std::sync::atomic::Ordering::Relaxed);
    Some((right, uncleared))
}

#[test]
fn every_order_of_streams_gives_the_same_and_leaves_nothing_behind() {
    for order in Order::ALL {
        let Some(found) = outcome(order, Forgotten::Nothing) else { return };
        assert_eq!(found, (true, 0), "{order:?}");
    }
}

#[test]
fn a_missing_mark_is_seen() {
    if shim_with(Order::Late, u64::MAX).is_none() {
        return;
    }
    // What leaves does not wait for its kernel, or its reader for it; kernels do not wait for what arrives; the source
    // of a copy is written again, or what leaves given back, before the copy.
    let forgotten = [
        (Order::Late, Forgotten::Follow(Stream::Outgoing)),
        (Order::Late, Forgotten::Wait),
        (Order::KernelsFirst, Forgotten::Wait),
        (Order::Late, Forgotten::Follow(Stream::Compute)),
        (Order::Late, Forgotten::Done),
        (Order::KernelsFirst, Forgotten::GivenBack),
    ];
    for (order, forgotten) in forgotten {
        assert!(!outcome(order, forgotten).unwrap().0, "{order:?}, {forgotten:?} is not seen");
    }
    assert!(outcome(Order::AsAsked, Forgotten::Cleared).unwrap().1 > 0);
}
