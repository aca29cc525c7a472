//! Room on a device: what waits there between operations leaves it before anything fails.
//!
//! Establishes: an operation that finds no memory is tried once more with nothing on the device but the values of the
//! circuit, in its way that needs least. What that takes does not depend on how much memory there is, so that a party
//! that succeeds with some memory succeeds with any more of it. A [`Share`] says the same of parties that have one
//! device together: what one of them finds does not depend on what the others do.

use super::around::Around;
use super::device::{Address, Device, Error, Memory, Purpose, Stream};
use super::residue::Residues;
use super::{Cuda, Words};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use zeroize::Zeroizing;

/// What may leave a device.
pub trait Leaves: Send + Sync {
    /// Leaves it, if nobody uses it in this moment.
    ///
    /// # Errors
    /// A call that fails.
    fn leave(&self, cuda: &Cuda) -> Result<(), Error>;
}

/// What may leave the device of a party.
#[derive(Default)]
pub struct Guests(Mutex<Vec<Weak<dyn Leaves>>>);

impl Guests {
    fn all(&self) -> MutexGuard<'_, Vec<Weak<dyn Leaves>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more, as long as somebody else holds it.
    pub fn welcome(&self, guest: Weak<dyn Leaves>) {
        let mut all = self.all();
        all.retain(|guest| guest.strong_count() > 0);
        all.push(guest);
    }
}

/// Where the words of a slot are.
pub enum Held {
    /// Nowhere: they are zeros.
    Zeros,
    /// On the device.
    Device(Words),
    /// In this process, as the device has no room for them.
    Process(Zeroizing<Vec<u64>>),
}

/// The words of a state's slots.
pub type Slots = Mutex<Vec<Held>>;

impl Leaves for Slots {
    /// What nobody else uses goes to this process.
    fn leave(&self, cuda: &Cuda) -> Result<(), Error> {
        let mut slots = self.lock().unwrap_or_else(PoisonError::into_inner);
        for held in slots.iter_mut() {
            if let Held::Device(words) = held
                && Arc::strong_count(&words.buffer) == 1
            {
                *held = Held::Process(cuda.words_of(words)?.into());
            }
        }
        Ok(())
    }
}

/// The residues of a weight, made by the first product that needs them.
pub type Kept = Mutex<Option<Arc<Residues>>>;

impl Leaves for Kept {
    /// The next product makes them again.
    fn leave(&self, _: &Cuda) -> Result<(), Error> {
        self.lock().unwrap_or_else(PoisonError::into_inner).take();
        Ok(())
    }
}

/// How an operation is tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Try {
    /// As is fastest.
    First,
    /// With the least memory.
    Last,
}

impl Cuda {
    /// Sends everything off the device that may leave it.
    pub(super) fn make_room(&self) -> Result<(), Error> {
        // What departs is given back once it has arrived.
        self.settle()?;
        let guests: Vec<_> = self.guests.all().iter().filter_map(Weak::upgrade).collect();
        guests.iter().try_for_each(|guest| guest.leave(self))?;
        self.settle()
    }

    /// Does some work that has no effect where it fails; once more with all room where it finds none.
    pub(super) fn with_room<T>(&self, work: impl Fn(Try) -> Result<T, Error>) -> Result<T, Error> {
        match work(Try::First) {
            Err(Error::Memory { .. }) => self.make_room().and_then(|()| work(Try::Last)),
            done => done,
        }
    }
}

/// A device of which a party uses an equal part beside others.
pub struct Share {
    inner: Arc<dyn Device>,
    bytes: u64,
    in_use: Mutex<InUse>,
}

/// What a party has allocated.
#[derive(Default)]
struct InUse {
    bytes: u64,
    by_address: HashMap<u64, u64>,
}

/// Of a device's memory, what contexts and machine code of its parties may take.
const RESERVED: u64 = 16;

impl Share {
    /// The part of one of `parties` parties: of all memory but a sixteenth, whatever is free at the moment, so that it
    /// is the same for all of them and at every start.
    ///
    /// # Errors
    /// A call that fails.
    pub fn of(inner: Arc<dyn Device>, parties: u32) -> Result<Share, Error> {
        let total = inner.memory()?.total;
        let bytes = (total - total / RESERVED) / u64::from(parties.max(1));
        Ok(Share { inner, bytes, in_use: Mutex::default() })
    }

    fn in_use(&self) -> MutexGuard<'_, InUse> {
        self.in_use.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Around for Share {
    fn inner(&self) -> &dyn Device {
        &*self.inner
    }

    fn memory(&self) -> Result<Memory, Error> {
        let free = self.bytes.saturating_sub(self.in_use().bytes).min(self.inner.memory()?.free);
        Ok(Memory { free, total: self.bytes })
    }

    fn allocate(&self, on: Stream, bytes: u64, purpose: Purpose) -> Result<Address, Error> {
        let mut in_use = self.in_use();
        let free = self.bytes.saturating_sub(in_use.bytes);
        if bytes > free {
            let device = format!("a party's share of {}", self.inner.name());
            return Err(Error::Memory { device, what: purpose.name(), needed: bytes, free });
        }
        let address = self.inner.allocate(on, bytes, purpose)?;
        in_use.bytes += bytes;
        in_use.by_address.insert(address.0, bytes);
        Ok(address)
    }

    fn free(&self, on: Stream, address: Address) {
        // Before it is given back, after which another may be given the same address.
        let mut in_use = self.in_use();
        let bytes = in_use.by_address.remove(&address.0).unwrap_or(0);
        in_use.bytes -= bytes;
        drop(in_use);
        self.inner.free(on, address);
    }
}
