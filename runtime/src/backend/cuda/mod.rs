//! CUDA: the words of a session stay on a device, and the local part between two messages is one fused kernel.
//!
//! [`Cuda`] implements [`Backend`] over a [`Device`], of which there are two: `driver`, a GPU through the CUDA driver
//! and its run-time compiler, both found when the program runs; and [`shim`], which compiles the same text for this
//! processor, so that every kernel is tested on machines without a GPU. A value is never changed once it is computed:
//! a kernel that stores to a slot writes fresh memory, so that a slot's argument is shared with the value it came from.
//!
//! Every kernel has a CPU twin, named in its file, and gives the same words bit for bit.

mod cache;
mod device;
mod launch;
mod movement;
mod print;
mod product;
pub mod shim;
mod stage;
mod view;

use super::{Backend, Error as BackendError, Frames, LocalSum, Shares, Streams};
use crate::circuit::{Movement, Shape};
use crate::kernel::{CheckedKernel, Slot};
use catalogs::Ring;
use launch::Fixed;
use std::sync::Arc;

pub use cache::Cache;
pub use device::{Address, Buffer, Device, Error, Function, Memory, Source, Style};
pub use stage::{Code, State};

const PRELUDE: &str = include_str!("kernels/prelude.cu");

/// One party on one device.
pub struct Cuda {
    device: Arc<dyn Device>,
    fixed: Fixed,
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
    both: Words,
    rows: usize,
    columns: usize,
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
        let fixed = Fixed::new(device.as_ref())?;
        Ok(Cuda { device, fixed })
    }

    /// Memory for the words of `lanes` lanes, with whatever was in it.
    fn fresh(&self, lanes: usize) -> Result<Words, Error> {
        Ok(Words { buffer: Arc::new(Buffer::new(&self.device, 8 * lanes as u64)?), lanes })
    }

    fn words(&self, words: &[u64]) -> Result<Words, Error> {
        Ok(Words { buffer: Arc::new(Buffer::of_words(&self.device, words)?), lanes: words.len() })
    }
}

impl Backend for Cuda {
    type Words = Words;
    type State = State;
    type Code = Code;
    type Factor = Factor;

    fn name(&self) -> String {
        self.device.name()
    }

    fn prepare(&self, kernels: &[&CheckedKernel]) -> Result<Vec<Code>, BackendError> {
        stage::prepare(&self.device, kernels)
    }

    fn upload(&self, words: Vec<u64>) -> Result<Words, BackendError> {
        Ok(self.words(&words)?)
    }

    fn download(&self, words: &Words) -> Result<Vec<u64>, BackendError> {
        Ok(words.buffer.words()?)
    }

    fn state(&self, slots: u16, lanes: usize) -> Result<State, BackendError> {
        Ok(State::new(slots, lanes))
    }

    fn load(&self, state: &mut State, slot: Slot, words: &Words) -> Result<(), BackendError> {
        state.load(slot, words)
    }

    fn take(&self, state: &mut State, slot: Slot) -> Result<Words, BackendError> {
        match state.take(slot) {
            Some(words) => Ok(words),
            None => Ok(self.words(&vec![0; state.lanes()])?),
        }
    }

    fn stage(
        &self,
        code: &Code,
        state: &mut State,
        received: &[&[u8]],
        sent: &mut Frames,
        streams: &Streams<'_>,
    ) -> Result<(), BackendError> {
        code.run(self, state, received, sent, streams)
    }

    fn moved(
        &self,
        movement: &Movement,
        operands: &[(&Words, &Shape)],
        shape: &Shape,
        ring: Ring,
        with_constants: bool,
    ) -> Result<Words, BackendError> {
        Ok(self.rearranged(movement, operands, shape, ring.mask(), with_constants)?)
    }

    fn factor(&self, weight: &Shares<Words>, rows: usize, columns: usize) -> Result<Factor, BackendError> {
        Ok(Factor { own: weight.own.clone(), both: self.both(weight)?, rows, columns })
    }

    fn sum(&self, sum: &LocalSum<'_, Words, Factor>) -> Result<Words, BackendError> {
        Ok(self.summed(sum)?)
    }
}
