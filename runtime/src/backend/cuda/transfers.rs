//! Bytes between this process and a device, through pinned memory and on streams of their own.
//!
//! Establishes: nothing waits for a copy to the device; kernels that are asked for later see what it brings. A message
//! leaves the device as soon as its kernel is done, beside later kernels, and only its reader waits for it. Pinned
//! memory is used again once the copy that used it is done.

use super::device::{Buffer, Device, Error, HostAddress, Mark, Purpose, Stream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The most bytes of a copy: longer ones are cut, so that pinned memory stays small and is filled beside copies.
const PIECE: usize = 8 << 20;
/// The least bytes of pinned memory.
const LEAST: usize = 4 << 10;
/// Bytes in flight from which a copy waits for the oldest.
const IN_FLIGHT_MAX: usize = 16 * PIECE;

/// Pinned memory, which no copy uses.
struct Pinned {
    device: Arc<dyn Device>,
    address: HostAddress,
    bytes: usize,
}

impl Pinned {
    fn contents(&self) -> &[u8] {
        // SAFETY: `pin` gave as many bytes, initialised below; copies into them are done, as every caller has waited.
        #[allow(unsafe_code)]
        unsafe {
            std::slice::from_raw_parts(self.address.0 as *const u8, self.bytes)
        }
    }

    fn contents_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `self` is borrowed by one alone.
        #[allow(unsafe_code)]
        unsafe {
            std::slice::from_raw_parts_mut(self.address.0 as *mut u8, self.bytes)
        }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(self.contents_mut());
        self.device.unpin(self.address);
    }
}

#[derive(Default)]
struct Pool {
    free: Vec<Pinned>,
    /// Sources of copies to the device, the oldest first.
    busy: std::collections::VecDeque<(Mark, Pinned)>,
}

/// The copies of one party.
pub struct Transfers {
    device: Arc<dyn Device>,
    pool: Mutex<Pool>,
}

/// Bytes on their way to this process.
pub struct Departing {
    /// Piece by piece.
    pieces: Vec<(Mark, Pinned, usize)>,
}

impl Transfers {
    /// Of a device.
    pub fn new(device: Arc<dyn Device>) -> Transfers {
        Transfers { device, pool: Mutex::default() }
    }

    fn pool(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Pinned memory for at least `bytes` bytes.
    fn pinned(&self, bytes: usize) -> Result<Pinned, Error> {
        let size = bytes.next_power_of_two().max(LEAST);
        let mut pool = self.pool();
        while pool.busy.front().is_some_and(|(mark, _)| mark.is_done()) {
            let Some((_, pinned)) = pool.busy.pop_front() else { break };
            pool.free.push(pinned);
        }
        while pool.busy.iter().map(|(_, pinned)| pinned.bytes).sum::<usize>() > IN_FLIGHT_MAX {
            let Some((mark, pinned)) = pool.busy.pop_front() else { break };
            mark.wait()?;
            pool.free.push(pinned);
        }
        if let Some(place) = pool.free.iter().position(|pinned| pinned.bytes == size) {
            return Ok(pool.free.swap_remove(place));
        }
        let address = self.device.pin(size as u64)?;
        // SAFETY: `pin` gave as many bytes, and nobody else knows of them: they become initialised.
        #[allow(unsafe_code)]
        unsafe {
            std::ptr::write_bytes(address.0 as *mut u8, 0xa5, size);
        }
        Ok(Pinned { device: Arc::clone(&self.device), address, bytes: size })
    }

    /// Fresh memory of the device with these bytes, for work of [`Stream::Compute`] from now on.
    ///
    /// # Errors
    /// No memory left, or a call that fails.
    pub fn upload(&self, bytes: &[u8], purpose: Purpose) -> Result<Buffer, Error> {
        let on = Stream::Incoming;
        // What fails half-way is given back after the copies that were asked for.
        let mut buffer = Buffer::on(&self.device, on, bytes.len() as u64, purpose)?;
        let mut place = buffer.address();
        for piece in bytes.chunks(PIECE) {
            let mut pinned = self.pinned(piece.len())?;
            pinned.contents_mut()[..piece.len()].copy_from_slice(piece);
            // SAFETY: both places have as many bytes; the source is kept in `busy` until the mark after the copy.
            #[allow(unsafe_code)]
            let copied = unsafe { self.device.copy_in(on, place, pinned.address, piece.len() as u64) };
            match copied.and_then(|()| Mark::new(&self.device, on)) {
                Ok(mark) => self.pool().busy.push_back((mark, pinned)),
                Err(error) => return Err(abandon(pinned, error)),
            }
            place.0 += piece.len() as u64;
        }
        // Also where there are no bytes: later work may use the buffer only once it is allocated.
        Mark::new(&self.device, on)?.before(Stream::Compute)?;
        buffer.hand_to(Stream::Compute);
        Ok(buffer)
    }

    /// Starts to copy `bytes` bytes of a buffer here once all work so far is done.
    fn start(&self, buffer: &Buffer, bytes: usize) -> Result<Departing, Error> {
        let on = Stream::Outgoing;
        Mark::new(&self.device, Stream::Compute)?.before(on)?;
        // What fails half-way waits for the copies that were asked for: they write to pinned memory.
        let (mut departing, mut place) = (Departing { pieces: Vec::new() }, buffer.address());
        for start in (0..bytes).step_by(PIECE) {
            let length = (bytes - start).min(PIECE);
            let pinned = self.pinned(length)?;
            // SAFETY: both places have as many bytes; whoever reads waits for the mark.
            #[allow(unsafe_code)]
            let copied = unsafe { self.device.copy_out(on, place, pinned.address, length as u64) };
            match copied.and_then(|()| Mark::new(&self.device, on)) {
                Ok(mark) => departing.pieces.push((mark, pinned, length)),
                Err(error) => return Err(abandon(pinned, error)),
            }
            place.0 += length as u64;
        }
        Ok(departing)
    }

    /// Starts to copy a buffer of `bytes` bytes here, which the device needs no longer.
    ///
    /// # Errors
    /// A call that fails.
    pub fn depart(&self, mut buffer: Buffer, bytes: usize) -> Result<Departing, Error> {
        let departing = self.start(&buffer, bytes)?;
        buffer.hand_to(Stream::Outgoing);
        Ok(departing)
    }

    /// Waits for bytes on their way, and gives them piece by piece with their place to `take`.
    ///
    /// # Errors
    /// A call that fails, this one or an earlier one.
    pub fn arrive(&self, mut departing: Departing, mut take: impl FnMut(usize, &[u8])) -> Result<(), Error> {
        let mut place = 0;
        while !departing.pieces.is_empty() {
            departing.pieces[0].0.wait()?;
            let (_, pinned, length) = departing.pieces.remove(0);
            take(place, &pinned.contents()[..length]);
            place += length;
            self.pool().free.push(pinned);
        }
        Ok(())
    }

    /// Waits for all work of the device so far.
    ///
    /// # Errors
    /// A call that fails, this one or an earlier one.
    pub fn settle(&self) -> Result<(), Error> {
        Stream::ALL.into_iter().try_for_each(|on| Mark::new(&self.device, on)?.wait())
    }

    /// The first `bytes` bytes of a buffer after all work so far.
    ///
    /// # Errors
    /// A call that fails, this one or an earlier one.
    pub fn download(&self, buffer: &Buffer, bytes: usize) -> Result<Vec<u8>, Error> {
        let mut all = vec![0; bytes];
        let departing = self.start(buffer, bytes)?;
        self.arrive(departing, |place, piece| all[place..][..piece.len()].copy_from_slice(piece))?;
        Ok(all)
    }
}

impl Drop for Departing {
    fn drop(&mut self) {
        self.pieces.drain(..).for_each(|(mark, pinned, _)| done(&mark, pinned));
    }
}

impl Drop for Transfers {
    fn drop(&mut self) {
        let mut pool = std::mem::take(&mut *self.pool());
        pool.busy.drain(..).for_each(|(mark, pinned)| done(&mark, pinned));
    }
}

/// Words as a device has them.
pub fn bytes_of(words: &[u64]) -> Vec<u8> {
    let mut bytes = vec![0; 8 * words.len()];
    bytes.as_chunks_mut().0.iter_mut().zip(words).for_each(|(to, word)| *to = word.to_le_bytes());
    bytes
}

/// Gives pinned memory back after its copy; never, where that cannot be known.
fn done(mark: &Mark, pinned: Pinned) {
    if mark.wait().is_err() {
        std::mem::forget(pinned);
    }
}

/// A device that fails may or may not copy: the memory is never given back.
fn abandon(pinned: Pinned, error: Error) -> Error {
    std::mem::forget(pinned);
    error
}
