//! Back ends: where a party computes. A session decides *what* is computed and in which order; a [`Backend`] holds the
//! words and computes, so that a session does not know whether they are in this process or on a device.
//!
//! Every back end gives the same words and the same frames, bit for bit: arithmetic is modulo 2^64, masks are the
//! streams of [`crate::random`], fields are packed as `cpu::packing` says.

pub mod cpu;
pub mod cuda;
mod streams;

use crate::circuit::{Constant, Movement, ProductKind, Shape};
use crate::kernel::{CheckedKernel, Draw, Slot};
use crate::protocol;
use crate::random;
use catalogs::Ring;

pub use cpu::Cpu;
pub use streams::Streams;

/// Where masks come from.
pub trait DrawSource: Sync {
    /// Writes lanes `first_lane..first_lane + out.len()` of `draw`, each below 2^bits. Both roles of the pair must
    /// obtain the same words.
    fn fill(&self, draw: &Draw, first_lane: u64, out: &mut [u64]) -> Result<(), random::Error>;
}

/// One frame per role: index it by the role at the other end. Unused ones are empty.
pub type Frames = Vec<Vec<u8>>;

/// Why a back end did not compute.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A frame or an argument of the wrong size, or a generator at its end.
    #[error(transparent)]
    Kernel(#[from] protocol::Error),
    /// A device that fails.
    #[error(transparent)]
    Device(#[from] cuda::Error),
}

/// A party's two components of a shared tensor: party p holds x_p and x_{p+1}, words modulo the value's ring.
#[derive(Clone, Debug, Default)]
pub struct Shares<W> {
    /// x_p.
    pub own: W,
    /// x_{p+1}.
    pub next: W,
}

/// coefficient · words, broadcast to the sum's shape.
#[derive(Debug)]
pub struct LinearTerm<'a, W> {
    /// A public factor modulo 2^64.
    pub coefficient: u64,
    /// One component of a value.
    pub words: &'a W,
    /// The value's shape.
    pub shape: &'a Shape,
}

/// The local part of coefficient · (left × right): xᵢ·(yᵢ + yᵢ₊₁) + xᵢ₊₁·yᵢ.
#[derive(Debug)]
pub struct ProductTerm<'a, W, F> {
    /// A public factor modulo 2^64.
    pub coefficient: u64,
    /// The kind of product.
    pub kind: &'a ProductKind,
    /// x.
    pub left: &'a Shares<W>,
    /// The shape of x.
    pub left_shape: &'a Shape,
    /// y.
    pub right: RightFactor<'a, W, F>,
}

/// A second factor.
#[derive(Debug)]
pub enum RightFactor<'a, W, F> {
    /// As it was computed.
    Shared(&'a Shares<W>, &'a Shape),
    /// A weight that was prepared for matrix products.
    Prepared(&'a F),
}

/// Σ of terms and a constant modulo 2^k, of one component or of the local part of products.
#[derive(Debug)]
pub struct LocalSum<'a, W, F> {
    /// The shape of the result.
    pub shape: &'a Shape,
    /// k.
    pub ring: Ring,
    /// The public summand, at the party whose component carries it.
    pub constant: Option<&'a Constant>,
    /// Linear terms.
    pub linear: Vec<LinearTerm<'a, W>>,
    /// Products.
    pub products: Vec<ProductTerm<'a, W, F>>,
}

/// Everything that one party computes between messages.
///
/// Shapes agree: they are those of a checked circuit. Words are below 2^64, results below 2^k of their ring.
pub trait Backend {
    /// One 64-bit word per lane, where this back end computes.
    type Words: Clone;
    /// The words of a unit between its rounds, slot by slot.
    type State;
    /// A kernel that is ready to run.
    type Code;
    /// A weight that is the right factor of matrix products.
    type Factor;
    /// What a stage sends and this process does not have yet.
    type Pending;

    /// What computes, for people.
    fn name(&self) -> String;

    /// Makes kernels ready, in their order.
    ///
    /// # Errors
    /// A compiler or a device that fails.
    fn prepare(&self, kernels: &[&CheckedKernel]) -> Result<Vec<Self::Code>, Error>;

    /// Words from this process.
    ///
    /// # Errors
    /// A device that fails, or has no memory left.
    fn upload(&self, words: Vec<u64>) -> Result<Self::Words, Error>;

    /// Words to this process.
    ///
    /// # Errors
    /// A device that fails.
    fn download(&self, words: &Self::Words) -> Result<Vec<u64>, Error>;

    /// The state of a unit with `slots` slots of `lanes` zeros.
    ///
    /// # Errors
    /// A device that fails, or has no memory left.
    fn state(&self, slots: u16, lanes: usize) -> Result<Self::State, Error>;

    /// Puts words into a slot: as many as the state has lanes, from `first` on, all of which there are.
    ///
    /// # Errors
    /// A device that fails, or has no memory left.
    fn load(&self, state: &mut Self::State, slot: Slot, words: &Self::Words, first: usize) -> Result<(), Error>;

    /// The words of a slot, which nobody reads in the state afterwards.
    ///
    /// # Errors
    /// A device that fails.
    fn take(&self, state: &mut Self::State, slot: Slot) -> Result<Self::Words, Error>;

    /// The words of the parts, one after the other.
    ///
    /// # Errors
    /// A device that fails, or has no memory left.
    fn joined(&self, parts: Vec<Self::Words>) -> Result<Self::Words, Error>;

    /// Runs a kernel on all lanes of a state: `received` holds the frames of the last round by the sender's role, what
    /// is sent is appended to `sent` by the receiver's. It may be on its way still: its bytes are right once
    /// [`Backend::collect`] was called, with the same frames, to which others may have appended in the meantime.
    ///
    /// # Errors
    /// A frame whose size is not the kernel's, a generator at its end, or a device that fails.
    fn stage(
        &self,
        code: &Self::Code,
        state: &mut Self::State,
        received: &[&[u8]],
        sent: &mut Frames,
        streams: &Streams<'_>,
    ) -> Result<Self::Pending, Error>;

    /// Waits for what a stage sends.
    ///
    /// # Errors
    /// A device that fails.
    fn collect(&self, pending: Self::Pending, sent: &mut Frames) -> Result<(), Error>;

    /// A rearrangement of one component, modulo `ring`; public constants only `with_constants`.
    ///
    /// # Errors
    /// A device that fails, or has no memory left.
    fn moved(
        &self,
        movement: &Movement,
        operands: &[(&Self::Words, &Shape)],
        shape: &Shape,
        ring: Ring,
        with_constants: bool,
    ) -> Result<Self::Words, Error>;

    /// A weight of `rows` × `columns` words, prepared once for all its products.
    ///
    /// # Errors
    /// A device that fails, or has no memory left.
    fn factor(&self, weight: &Shares<Self::Words>, rows: usize, columns: usize) -> Result<Self::Factor, Error>;

    /// A sum.
    ///
    /// # Errors
    /// A device that fails, or has no memory left.
    fn sum(&self, sum: &LocalSum<'_, Self::Words, Self::Factor>) -> Result<Self::Words, Error>;
}
