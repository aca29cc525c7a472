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
pub mod driver;
mod launch;
mod movement;
pub mod nvrtc;
mod print;
mod product;
mod residue;
pub mod shim;
mod stage;
mod view;

use super::{Backend, Error as BackendError, Frames, LocalSum, Shares, Streams};
use crate::circuit::{Movement, Shape};
use crate::kernel::{CheckedKernel, Slot};
use catalogs::Ring;
use launch::Fixed;
use residue::Residues;
use std::sync::{Arc, OnceLock};

pub use cache::Cache;
pub use device::{Address, Buffer, Device, Error, Function, Memory, Source, Style};
pub use stage::{Code, State};

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
    /// keeps the sums exact, and a multiple of 16.
    pub steps_max: u64,
}

impl Default for Tuning {
    fn default() -> Tuning {
        Tuning { products: Products::ByShape, steps_max: u64::MAX - 15 }
    }
}

/// One party on one device.
pub struct Cuda {
    device: Arc<dyn Device>,
    fixed: Fixed,
    tuning: Tuning,
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
    /// Of both and own, made by the first product that needs them.
    residues: OnceLock<Arc<[Residues; 2]>>,
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
        Ok(Cuda { device, fixed, tuning })
    }

    /// Memory for the words of `lanes` lanes, with whatever was in it.
    fn fresh(&self, lanes: usize) -> Result<Words, Error> {
        Ok(Words { buffer: Arc::new(Buffer::new(&self.device, 8 * lanes as u64)?), lanes })
    }

    fn words(&self, words: &[u64]) -> Result<Words, Error> {
        Ok(Words { buffer: Arc::new(Buffer::of_words(&self.device, words)?), lanes: words.len() })
    }
}

/// The kernels whose text is fixed, file by file.
pub fn fixed_sources() -> Vec<Source> {
    launch::FILES.map(launch::source).to_vec()
}

/// The text that these kernels become: each once, however many of them differ only in constants.
///
/// # Errors
/// A draw that no label holds.
pub fn stage_source(kernels: &[&CheckedKernel]) -> Result<Source, BackendError> {
    let printed = kernels.iter().map(|kernel| print::print(kernel)).collect::<Result<Vec<_>, _>>();
    Ok(stage::source(&printed.map_err(crate::protocol::Error::Random)?))
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
        let (own, both, residues) = (weight.own.clone(), self.both(weight)?, OnceLock::new());
        Ok(Factor { own, both, rows, columns, residues })
    }

    fn sum(&self, sum: &LocalSum<'_, Words, Factor>) -> Result<Words, BackendError> {
        Ok(self.summed(sum)?)
    }
}
