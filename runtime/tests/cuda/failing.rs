//! Calls of a device that fail once: what was taken for the work is given back, nothing is under way to where it was,
//! and an allocation that fails is tried again, wherever it was.

use crate::lanes::{product, shape};
use crate::stages::{Outcome, execute};
use crate::{kept, shim_with, words};
use catalogs::Ring;
use runtime::backend::cuda::shim::{Order, Shim};
use runtime::backend::cuda::{
    Address, Argument, Around, Cuda, Device, Error, Event, Function, HostAddress, Measurable, Metered, Products,
    Properties, Purpose, Share, Source, Stream, Tuning, fixed_sources,
};
use runtime::backend::{self, Backend, Cpu};
use runtime::circuit::{Movement, ProductKind};
use runtime::kernel::{CheckedParty, Slot};
use runtime::protocol::rss3;
use std::sync::{Arc, Mutex};

/// A kind of calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Call {
    Allocate,
    /// Code takes memory too.
    Compile,
    Pin,
    CopyIn,
    CopyOut,
    Follow,
    Launch,
    /// A launch that finds no memory, for stacks of its threads.
    Start,
}

/// Memory of a device for all that is tried here.
const ENOUGH: u64 = 64 << 20;
/// What pinned memory holds that was given back.
const GIVEN_BACK: u8 = 0x5c;

/// A device of which one call fails. It keeps pinned memory that was given back, to see whether a copy reaches it.
struct Failing {
    inner: Arc<dyn Device>,
    /// Which kind, and how many of them are done before; none fails where there is none.
    fails: Mutex<Option<(Call, usize)>>,
    given_back: Mutex<Vec<(HostAddress, u64)>>,
    pinned: Mutex<Vec<(HostAddress, u64)>>,
}

impl Failing {
    fn new() -> Option<Arc<Failing>> {
        let inner = shim_with(Order::Late, ENOUGH)?;
        let (fails, given_back, pinned) = Default::default();
        Some(Arc::new(Failing { inner, fails, given_back, pinned }))
    }

    fn fail(&self, call: Call, after: usize) {
        *self.fails.lock().unwrap() = Some((call, after));
    }

    /// Lets nothing fail any more; whether it did.
    fn stop(&self) -> bool {
        self.fails.lock().unwrap().take().is_none()
    }

    fn asked(&self, call: Call) -> Result<(), Error> {
        let mut fails = self.fails.lock().unwrap();
        match &mut *fails {
            Some((kind, 0)) if *kind == call => {
                *fails = None;
                let (device, what) = ("failing".to_owned(), "a test");
                Err(match call {
                    Call::Allocate | Call::Compile | Call::Start => Error::Memory { device, what, needed: 1, free: 0 },
                    _ => Error::Failed { device, what, reason: format!("{call:?}") },
                })
            }
            Some((kind, after)) if *kind == call => {
                *after -= 1;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Whether no copy reached pinned memory that was given back.
    fn is_quiet(&self) -> bool {
        self.given_back.lock().unwrap().iter().all(|&(address, bytes)| {
            // SAFETY: it is allocated until this device ends, and all copies are done.
            #[allow(unsafe_code)]
            let contents = unsafe { std::slice::from_raw_parts(address.0 as *const u8, bytes as usize) };
            contents.iter().all(|&byte| byte == GIVEN_BACK)
        })
    }
}

#[allow(unsafe_code)]
impl Around for Failing {
    fn inner(&self) -> &dyn Device {
        &*self.inner
    }

    fn compile(&self, source: &Source) -> Result<Vec<Function>, Error> {
        self.asked(Call::Compile)?;
        self.inner.compile(source)
    }

    fn allocate(&self, on: Stream, bytes: u64, purpose: Purpose) -> Result<Address, Error> {
        self.asked(Call::Allocate)?;
        self.inner.allocate(on, bytes, purpose)
    }

    fn pin(&self, bytes: u64) -> Result<HostAddress, Error> {
        self.asked(Call::Pin)?;
        let address = self.inner.pin(bytes)?;
        self.pinned.lock().unwrap().push((address, bytes));
        Ok(address)
    }

    fn unpin(&self, address: HostAddress) {
        let mut pinned = self.pinned.lock().unwrap();
        let place = pinned.iter().position(|(one, _)| *one == address).unwrap();
        let (_, bytes) = pinned.swap_remove(place);
        // SAFETY: it is allocated until this device ends, and its owner has given it up.
        unsafe { std::ptr::write_bytes(address.0 as *mut u8, GIVEN_BACK, bytes as usize) };
        self.given_back.lock().unwrap().push((address, bytes));
    }

    unsafe fn copy_in(&self, on: Stream, to: Address, from: HostAddress, bytes: u64) -> Result<(), Error> {
        self.asked(Call::CopyIn)?;
        // SAFETY: what the caller vouches for is what the inner device asks for.
        unsafe { self.inner.copy_in(on, to, from, bytes) }
    }

    unsafe fn copy_out(&self, on: Stream, from: Address, to: HostAddress, bytes: u64) -> Result<(), Error> {
        self.asked(Call::CopyOut)?;
        // SAFETY: as above.
        unsafe { self.inner.copy_out(on, from, to, bytes) }
    }

    fn follow(&self, on: Stream, event: Event) -> Result<(), Error> {
        self.asked(Call::Follow)?;
        self.inner.follow(on, event)
    }

    unsafe fn launch(
        &self,
        function: Function,
        blocks: u32,
        threads: u32,
        arguments: &[Argument<'_>],
    ) -> Result<(), Error> {
        self.asked(Call::Launch)?;
        self.asked(Call::Start)?;
        // SAFETY: as above.
        unsafe { self.inner.launch(function, blocks, threads, arguments) }
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        self.given_back.lock().unwrap().drain(..).for_each(|(address, _)| self.inner.unpin(address));
    }
}

/// Lanes of what is tried: more than a tile.
const LANES: usize = 200;

/// A little of all that a session asks of a back end once its kernels are ready.
fn everything<B: Backend>(
    backend: &B,
    parties: &[CheckedParty],
    code: &[B::Code],
) -> Result<(Vec<Vec<u64>>, Outcome), backend::Error> {
    let staged = execute(backend, parties, code, LANES)?;
    let (row, padded) = (shape(&[2, LANES]), shape(&[3, LANES]));
    let value = backend.upload(words(2 * LANES, 9))?;
    let movement = Movement::Pad { before: vec![0, 0], after: vec![1, 0] };
    let moved = backend.moved(&movement, &[(&value, &row)], &padded, Ring::Z64, false)?;
    let zeros = backend.take(&mut backend.state(1, LANES)?, Slot(0))?;
    let [left, right, result] = [[70, 130], [130, 5], [70, 5]].map(|extents| shape(&extents));
    let shapes = [&left, &right, &result];
    let products = [false, true].map(|prepared| product(backend, &ProductKind::MatMul, shapes, 3, prepared, 64));
    let [shared, prepared] = products;
    Ok((vec![backend.download(&moved)?, backend.download(&zeros)?, shared?, prepared?], staged))
}

/// Every call of every kind fails once. What finds no memory is tried again, in the way that needs least; of any other
/// call the work may fail. Afterwards nothing is held.
/// Catches: an operation that is not tried again, words that are kept where a launch failed, a buffer that is not given
/// back where its copy failed, pinned memory that is never given back, code that is never loaded where it once found no
/// memory, a product of which a part was added and that is added again.
#[test]
fn whatever_fails_everything_is_given_back() {
    let Some(device) = Failing::new() else { return };
    let parties = rss3::compile_reshare(Ring::Z64).unwrap();
    let kernels: Vec<_> = parties.iter().flat_map(CheckedParty::stages).collect();
    let expected = everything(&Cpu, &parties, &Cpu.prepare(&kernels).unwrap()).unwrap();
    let calls = [
        Call::Allocate,
        Call::Pin,
        Call::CopyIn,
        Call::CopyOut,
        Call::Follow,
        Call::Launch,
        Call::Compile,
        Call::Start,
    ];
    for call in calls {
        let (memory, mut failed) = (matches!(call, Call::Allocate | Call::Compile | Call::Start), 0);
        loop {
            // Limbs come where residues find nothing; after them there is nothing but another try.
            let products = if call == Call::Compile { Products::Limbs } else { Products::Residues };
            // In parts of the inner axis, of which the first is added before the second is asked for.
            let tuning = Tuning { products, steps_max: 64, ..Tuning::default() };
            let pinned = device.pinned.lock().unwrap().len();
            let share: Arc<dyn Device> = Arc::new(Share::of(Arc::<Failing>::clone(&device), 1).unwrap());
            let cuda = Cuda::tuned(Arc::clone(&share), tuning).unwrap();
            let code = cuda.prepare(&kernels).unwrap();
            device.fail(call, failed);
            let found = everything(&cuda, &parties, &code);
            let did = device.stop();
            match found {
                Ok(found) => assert!(found == expected, "other words where {call:?} {failed} fails"),
                Err(error) => assert!(did && !memory, "{call:?} {failed} fails: {error}"),
            }
            cuda.settle().unwrap();
            drop((code, cuda));
            assert_eq!(share.memory().unwrap().free, share.memory().unwrap().total);
            if !did {
                assert_eq!(device.pinned.lock().unwrap().len(), pinned);
                break;
            }
            assert_eq!(device.inner.memory().unwrap().free, ENOUGH, "{call:?} {failed} fails");
            failed += 1;
        }
        println!("{call:?}: each of {failed} failed once");
        assert!(failed > 0 && device.is_quiet());
    }
}

/// Three pieces each way, of which the second fails: the first is under way.
/// Catches: memory of the device that is given back to kernels while a copy writes to it, pinned memory that is given
/// back while one does.
#[test]
fn copies_that_fail_half_way_are_waited_for() {
    let lanes = 5 << 19;
    for call in [Call::Pin, Call::CopyIn] {
        let Some(device) = Failing::new() else { return };
        let cuda = Cuda::new(Arc::<Failing>::clone(&device)).unwrap();
        device.fail(call, 1);
        cuda.upload(words(lanes, 1)).unwrap_err();
        assert!(device.stop());
        cuda.settle().unwrap();
        assert_eq!(device.inner.memory().unwrap().free, ENOUGH);
    }
    for call in [Call::Pin, Call::CopyOut] {
        let Some(device) = Failing::new() else { return };
        let cuda = Cuda::new(Arc::<Failing>::clone(&device)).unwrap();
        let zeros = cuda.take(&mut cuda.state(1, lanes).unwrap(), Slot(0)).unwrap();
        device.fail(call, 1);
        cuda.download(&zeros).unwrap_err();
        assert!(device.stop());
        drop(zeros);
        cuda.settle().unwrap();
        assert_eq!(device.inner.memory().unwrap().free, ENOUGH);
        drop(cuda);
        assert!(device.is_quiet(), "{call:?}");
    }
}

/// A device that remembers its marks, and of which launches can fail.
struct Marking {
    inner: Shim,
    stamps: Mutex<Vec<Event>>,
}

#[allow(unsafe_code)]
impl Around for Marking {
    fn inner(&self) -> &dyn Device {
        &self.inner
    }

    unsafe fn launch(&self, _: Function, _: u32, _: u32, _: &[Argument<'_>]) -> Result<(), Error> {
        Err(Error::Missing("a launch".into()))
    }
}

impl Measurable for Marking {
    fn properties(&self) -> Result<Properties, Error> {
        self.inner.properties()
    }

    fn stamp(&self, on: Stream) -> Result<Event, Error> {
        let stamp = self.inner.stamp(on)?;
        self.stamps.lock().unwrap().push(stamp);
        Ok(stamp)
    }

    fn between(&self, from: Event, to: Event) -> Result<f64, Error> {
        self.inner.between(from, to)
    }
}

/// Whoever measures forgets all marks, of work that was noted, that fails, and that nobody asks about.
/// Catches: marks that are kept after a failed launch, after they were read, and when nobody reads them.
#[test]
fn marks_are_forgotten() {
    let Ok(inner) = Shim::with(kept(), Order::Late, ENOUGH) else { return };
    let device = Arc::new(Marking { inner, stamps: Mutex::default() });
    let metered = Metered::new(Arc::<Marking>::clone(&device));
    let origin = metered.stamp(Stream::Compute).unwrap();
    let at = Device::allocate(&metered, Stream::Compute, 8, Purpose::Words).unwrap();
    let function = Device::compile(&metered, &fixed_sources()[0]).unwrap()[0];
    metered.note(true);
    Device::zero(&metered, Stream::Compute, at, 8).unwrap();
    // SAFETY: nothing is launched.
    #[allow(unsafe_code)]
    unsafe { Device::launch(&metered, function, 1, 1, &[]) }.unwrap_err();
    assert_eq!(metered.spans(origin).unwrap().len(), 1);
    Device::zero(&metered, Stream::Compute, at, 8).unwrap();
    Device::free(&metered, Stream::Compute, at);
    drop(metered);
    let last = device.stamp(Stream::Compute).unwrap();
    device.inner.wait(last).unwrap();
    let stamps = device.stamps.lock().unwrap().clone();
    // The origin, two of the first clearing, one of the launch, two of the second clearing, the last.
    let known = stamps.iter().map(|&stamp| device.between(last, stamp).is_ok());
    assert_eq!(known.collect::<Vec<_>>(), [true, false, false, false, false, false, true]);
}
