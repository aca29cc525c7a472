//! CUDA: the words of a session stay on a device, and the local part between two messages is one fused kernel.
//!
//! [`Cuda`] implements [`Backend`] over a [`Device`], of which there are two: `driver`, a GPU through the CUDA driver
//! and its run-time compiler, both found when the program runs; and [`shim`], which compiles the same text for this
//! processor, so that every kernel is tested on machines without a GPU. A value is never changed once it is computed:
//! a kernel that stores to a slot writes fresh memory, so that a slot's argument is shared with the value it came from.
//!
//! Every kernel has a CPU twin, named in its file, and gives the same words bit for bit.

mod ahead;
mod around;
mod cache;
mod compiled;
mod device;
pub mod driver;
mod launch;
mod metered;
mod movement;
pub mod nvrtc;
mod parts;
mod print;
mod product;
pub mod rates;
mod residue;
mod room;
pub mod shim;
mod stage;
mod transfers;
mod view;

use super::{Backend, Error as BackendError, Frames, LocalSum, Shares, Streams};
use crate::circuit::{Movement, Shape};
use crate::kernel::{CheckedKernel, Slot};
use catalogs::Ring;
use device::Buffer;
use launch::Fixed;
use room::{Guests, Kept};
use std::sync::{Arc, Weak};
use transfers::{Transfers, bytes_of};
use zeroize::Zeroizing;

pub use ahead::Ahead;
pub use around::Around;
pub use cache::{Cache, Cached};
pub use device::{
    Address, Argument, Device, Error, Event, Function, HostAddress, Memory, Purpose, Source, Stream, Style,
};
pub use metered::{Doing, Measurable, Metered, Properties, Span, busy};
pub use room::Share;
pub use stage::{Code, Pending, State};

const PRELUDE: &str = include_str!("kernels/prelude.cu");

/// How products of matrices and convolutions are computed; all ways are exact and agree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Products {
    /// As their shape suggests.
    ByShape,
    /// On integer units.
    Integer,
    /// On 8-bit tensor cores, limb by limb.
    Limbs,
    /// On 8-bit tensor cores, modulus by modulus.
    Residues,
}

/// What may be chosen of how, never of what, is computed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tuning {
    /// The way of products.
    pub products: Products,
    /// The most steps of an inner axis that tensor cores add up before words are made of their sums: at most what
    /// keeps the sums exact, and a multiple of 64.
    pub steps_max: u64,
    /// Bytes of shared memory that a block of a printed kernel may use, up to what every device has; what does not fit
    /// is cut into several launches.
    pub shared_bytes: usize,
}

impl Default for Tuning {
    fn default() -> Tuning {
        Tuning { products: Products::ByShape, steps_max: u64::MAX - 63, shared_bytes: print::SHARED_BYTES }
    }
}

/// One party on one device.
pub struct Cuda {
    device: Arc<dyn Device>,
    transfers: Transfers,
    fixed: Fixed,
    tuning: Tuning,
    guests: Guests,
}

/// Words of a device, never changed; clones are the same words.
#[derive(Clone, Debug)]
pub struct Words {
    buffer: Arc<Buffer>,
    lanes: usize,
}

/// A weight as the right factor of products.
#[derive(Debug)]
pub struct Factor {
    own: Words,
    next: Words,
    rows: usize,
    columns: usize,
    residues: Arc<Kept>,
}

impl Words {
    fn address(&self) -> Address {
        self.buffer.address()
    }
}

impl Cuda {
    /// Makes the device ready.
    ///
    /// # Errors
    /// No compiler for kernels, or one that refuses them.
    pub fn new(device: Arc<dyn Device>) -> Result<Cuda, Error> {
        Cuda::tuned(device, Tuning::default())
    }

    /// As [`Cuda::new`], with chosen ways.
    ///
    /// # Errors
    /// As [`Cuda::new`].
    pub fn tuned(device: Arc<dyn Device>, tuning: Tuning) -> Result<Cuda, Error> {
        let fixed = Fixed::new(device.as_ref())?;
        let transfers = Transfers::new(Arc::clone(&device));
        Ok(Cuda { device, transfers, fixed, tuning, guests: Guests::default() })
    }

    /// Waits for all work that this party has asked for.
    ///
    /// # Errors
    /// A call that fails, this one or an earlier one.
    pub fn settle(&self) -> Result<(), Error> {
        self.transfers.settle()
    }

    /// Memory for the words of `lanes` lanes, with whatever was in it.
    fn fresh(&self, lanes: usize) -> Result<Words, Error> {
        let buffer = Buffer::new(&self.device, 8 * lanes as u64, Purpose::Words)?;
        Ok(Words { buffer: Arc::new(buffer), lanes })
    }

    fn zeros(&self, lanes: usize) -> Result<Words, Error> {
        let words = self.fresh(lanes)?;
        self.device.zero(Stream::Compute, words.address(), 8 * lanes as u64)?;
        Ok(words)
    }

    fn words(&self, words: &[u64], purpose: Purpose) -> Result<Words, Error> {
        let buffer = self.transfers.upload(&Zeroizing::new(bytes_of(words)), purpose)?;
        Ok(Words { buffer: Arc::new(buffer), lanes: words.len() })
    }

    fn words_of(&self, words: &Words) -> Result<Vec<u64>, Error> {
        let bytes = Zeroizing::new(self.transfers.download(&words.buffer, 8 * words.lanes)?);
        Ok(bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect())
    }

    /// Public numbers that a kernel reads.
    fn table(&self, numbers: &[u64]) -> Result<Buffer, Error> {
        self.transfers.upload(&bytes_of(numbers), Purpose::Table)
    }
}

/// The kernels whose text is fixed, file by file.
pub fn fixed_sources() -> Vec<Source> {
    launch::FILES.map(launch::source).into_iter().chain([rates::source()]).collect()
}

/// The text that these kernels become: each once, however many of them differ only in constants.
///
/// # Errors
/// A draw that no label holds.
pub fn stage_source(kernels: &[&CheckedKernel]) -> Result<Source, BackendError> {
    let printed = kernels.iter().map(|kernel| print::print(kernel, print::SHARED_BYTES)).collect::<Result<Vec<_>, _>>();
    Ok(stage::source(&printed.map_err(crate::protocol::Error::Random)?))
}

impl Backend for Cuda {
    type Words = Words;
    type State = State;
    type Code = Code;
    type Factor = Factor;
    type Pending = Pending;

    fn name(&self) -> String {
        self.device.name()
    }

    fn prepare(&self, kernels: &[&CheckedKernel]) -> Result<Vec<Code>, BackendError> {
        stage::prepare(&self.device, &self.transfers, kernels, self.tuning.shared_bytes)
    }

    fn upload(&self, words: Vec<u64>) -> Result<Words, BackendError> {
        Ok(self.with_room(|_| self.words(&words, Purpose::Words))?)
    }

    fn download(&self, words: &Words) -> Result<Vec<u64>, BackendError> {
        Ok(self.words_of(words)?)
    }

    fn state(&self, slots: u16, lanes: usize) -> Result<State, BackendError> {
        Ok(State::new(self, slots, lanes))
    }

    fn load(&self, state: &mut State, slot: Slot, words: &Words, first: usize) -> Result<(), BackendError> {
        let lanes = state.lanes();
        match first..first + lanes {
            all if all == (0..words.lanes) => state.load(slot, words.clone()),
            some if some.end <= words.lanes => {
                state.load(slot, self.with_room(|_| self.some(words, first, lanes))?);
            }
            _ => return Err(stage::size("an argument", words.lanes, first + lanes, "lanes")),
        }
        Ok(())
    }

    fn joined(&self, mut parts: Vec<Words>) -> Result<Words, BackendError> {
        match parts.len() {
            1 => Ok(parts.swap_remove(0)),
            _ => Ok(self.with_room(|_| self.one_after_the_other(&parts))?),
        }
    }

    fn take(&self, state: &mut State, slot: Slot) -> Result<Words, BackendError> {
        Ok(state.take(self, slot)?)
    }

    fn stage(
        &self,
        code: &Code,
        state: &mut State,
        received: &[&[u8]],
        sent: &mut Frames,
        streams: &Streams<'_>,
    ) -> Result<Pending, BackendError> {
        code.run(self, state, received, sent, streams)
    }

    fn collect(&self, pending: Pending, sent: &mut Frames) -> Result<(), BackendError> {
        pending.collect(&self.transfers, sent)
    }

    fn moved(
        &self,
        movement: &Movement,
        operands: &[(&Words, &Shape)],
        shape: &Shape,
        ring: Ring,
        with_constants: bool,
    ) -> Result<Words, BackendError> {
        Ok(self.with_room(|_| self.rearranged(movement, operands, shape, ring.mask(), with_constants))?)
    }

    fn factor(&self, weight: &Shares<Words>, rows: usize, columns: usize) -> Result<Factor, BackendError> {
        let (own, next, residues) = (weight.own.clone(), weight.next.clone(), Arc::<Kept>::default());
        let guest: Weak<Kept> = Arc::downgrade(&residues);
        self.guests.welcome(guest);
        Ok(Factor { own, next, rows, columns, residues })
    }

    fn sum(&self, sum: &LocalSum<'_, Words, Factor>) -> Result<Words, BackendError> {
        Ok(self.with_room(|how| self.summed(sum, how))?)
    }
}
