//! Running out of memory: the same words in smaller parts first, then what was needed, for what, and what was free.
//!
//! Each test says what it catches: changes of the policy with which it was seen to fail.

use crate::lanes::{product, shape};
use crate::{shim, shim_with, stages, words};
use catalogs::Ring;
use runtime::backend::cuda::shim::Order;
use runtime::backend::cuda::{
    Argument, Around, Cuda, Device, Error, Factor, Function, Products, Source, Tuning, Words,
};
use runtime::backend::{Backend, Cpu, LocalSum, ProductTerm, RightFactor, Shares};
use runtime::circuit::{Convolution, ProductKind};
use runtime::kernel::Slot;
use runtime::protocol::rss3;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

fn by_residues(device: Arc<dyn Device>) -> Cuda {
    Cuda::tuned(device, Tuning { products: Products::Residues, ..Tuning::default() }).unwrap()
}

/// Catches: no room for anything but all of the residues.
#[test]
fn products_shrink_and_stay_the_same() {
    let Some(_) = shim() else { return };
    let matrices = (ProductKind::MatMul, [vec![150, 40], vec![40, 5], vec![150, 5]]);
    let batches = (ProductKind::MatMul, [vec![3, 20, 40], vec![3, 40, 5], vec![3, 20, 5]]);
    let (ones, pads) = ([1, 1], [1, 1]);
    let convolution = Convolution { strides: ones, dilations: ones, pads_before: pads, pads_after: pads, groups: 2 };
    let images = (ProductKind::Conv(convolution), [vec![3, 4, 6, 5], vec![6, 2, 3, 3], vec![3, 6, 6, 5]]);
    for (kind, shapes) in [matrices, batches, images] {
        let shapes = shapes.map(|extents| shape(&extents));
        let shapes = shapes.each_ref();
        let expected = product(&Cpu, &kind, shapes, 3, false, 64).unwrap();
        // From all the memory that it wants down to what its words alone take.
        let mut limit = 2 << 20;
        let mut refused = None;
        while limit > 1 << 10 && refused.is_none() {
            let cuda = by_residues(shim_with(Order::Late, limit).unwrap());
            match product(&cuda, &kind, shapes, 3, false, 64) {
                Ok(found) => assert!(found == expected, "{kind:?} with {limit} bytes"),
                Err(_) => refused = Some(limit),
            }
            limit /= 2;
        }
        // Words of both factors and of the result, own and next, and of nothing else as large.
        let lanes: usize = shapes.iter().map(|shape| shape.lanes()).sum();
        let refused = refused.unwrap();
        assert!(refused < 6 * 8 * lanes as u64, "{kind:?} is refused with {refused} bytes");
    }
}

/// Messages in parts of the lanes are the same messages; and what an operation stores between its rounds leaves the
/// device where it does not fit, with the arguments that nobody else holds, of the other roles too. So two values have to
/// fit where three to six are arguments; and with more memory than what is enough, nothing fails.
/// Catches: no second try, one as the first, nothing that leaves the device for it, states that are not asked to, messages
/// of all lanes or nothing.
#[test]
fn stages_shrink_and_say_the_same() {
    let Some(_) = shim() else { return };
    for parties in [rss3::compile_reshare(Ring::Z64).unwrap(), rss3::compile_maximum(Ring::Z64, 20, 2, 1).unwrap()] {
        let lanes = 3000;
        let slots: usize = parties.iter().map(|party| party.inputs().len()).sum();
        let (value, arguments) = (8 * lanes as u64, (8 * lanes * slots) as u64);
        let mut least = None;
        // From less than what one value takes, in steps of a third of it.
        for limit in (value / 3..3 * arguments).step_by(lanes * 8 / 3) {
            let cuda = Cuda::new(shim_with(Order::Late, limit).unwrap()).unwrap();
            let agrees = || stages::operation_agrees(&cuda, &parties, lanes);
            match std::panic::catch_unwind(std::panic::AssertUnwindSafe(agrees)) {
                Ok(right) => {
                    assert!(right, "other words with {limit} bytes");
                    least = least.or(Some(limit));
                }
                Err(reason) => {
                    let reason = reason.downcast_ref::<String>().unwrap();
                    assert_eq!(least, None, "{limit} bytes are not enough: {reason}");
                    assert!(reason.contains("Memory { ") && reason.contains("needed: "), "{reason}");
                }
            }
        }
        println!("{least:?} bytes where the arguments are {arguments}");
        assert!(least.is_some_and(|least| least >= value && least <= 2 * value));
    }
}

/// Catches: memory that is never given back.
#[test]
fn what_was_needed_for_what_and_what_was_free_is_said() {
    let Some(device) = shim_with(Order::Late, 100_000) else { return };
    let cuda = Cuda::new(device).unwrap();
    let held = cuda.upload(words(10_000, 1)).unwrap();
    let error = cuda.upload(words(5_000, 2)).unwrap_err().to_string();
    assert!(error.contains("40000 bytes are needed for the words of a value and 20000 are free"), "{error}");
    drop(held);
    assert!(cuda.upload(words(5_000, 2)).is_ok());
}

/// What a product keeps of a weight, to be faster the next time, leaves the device for a value; and comes back.
/// Catches: no second try, residues that stay, or are not asked to leave.
#[test]
fn residues_of_a_weight_make_room_for_values() {
    let Some(_) = shim() else { return };
    let [left, right, result] = [[9, 20], [20, 70], [9, 70]].map(|extents| shape(&extents));
    fn shares<B: Backend>(backend: &B, lanes: usize, seed: u64) -> Shares<B::Words> {
        let [own, next] = [seed, seed + 100].map(|seed| backend.upload(words(lanes, seed)).unwrap());
        Shares { own, next }
    }
    let product = |cuda: &Cuda, x: &Shares<Words>, factor: &Factor| {
        let (left_shape, kind, right) = (&left, &ProductKind::MatMul, RightFactor::Prepared(factor));
        let products = vec![ProductTerm { coefficient: 1, kind, left: x, left_shape, right }];
        let sum = LocalSum { shape: &result, ring: Ring::Z64, constant: None, linear: Vec::new(), products };
        cuda.download(&cuda.sum(&sum).unwrap()).unwrap()
    };
    // The least memory that a product leaves for a value, and any more of it: residues fit or do not, and go or stay.
    let (lanes, mut least, mut expected) = (20_000, None, None);
    for limit in (160_000..1_200_000).step_by(40_000) {
        let device = shim_with(Order::Late, limit).unwrap();
        let cuda = by_residues(Arc::clone(&device));
        let (x, weight) = (shares(&cuda, left.lanes(), 1), shares(&cuda, right.lanes(), 2));
        let factor = cuda.factor(&weight, 20, 70).unwrap();
        let first = product(&cuda, &x, &factor);
        assert_eq!(expected.get_or_insert(first.clone()), &first);
        match cuda.upload(words(lanes, 3)) {
            Ok(value) => {
                least = least.or(Some(limit));
                assert_eq!(cuda.download(&value).unwrap(), words(lanes, 3));
                drop(value);
                assert_eq!(product(&cuda, &x, &factor), first);
            }
            Err(reason) => assert_eq!(least, None, "{limit} bytes are not enough: {reason}"),
        }
    }
    println!("{least:?} bytes");
    assert!(least.is_some_and(|least| least < 8 * lanes as u64 + 80_000), "{least:?}");
}

/// What a state shares with somebody else stays on the device, as its departure would give nobody room.
/// Catches: everything leaves, and comes back as a second copy.
#[test]
fn what_others_hold_stays_on_the_device() {
    let Some(device) = shim_with(Order::Late, 100_000) else { return };
    let cuda = Cuda::new(Arc::clone(&device)).unwrap();
    let value = cuda.upload(words(5_000, 1)).unwrap();
    let mut state = cuda.state(1, 5_000).unwrap();
    cuda.load(&mut state, Slot(0), &value, 0).unwrap();
    cuda.upload(words(7_501, 2)).unwrap_err();
    let taken = cuda.take(&mut state, Slot(0)).unwrap();
    assert_eq!(device.memory().unwrap().free, 60_000);
    assert_eq!(cuda.download(&taken).unwrap(), words(5_000, 1));
}

/// A device that counts the launches of every kernel.
struct Counting {
    inner: Arc<dyn Device>,
    names: Mutex<Vec<(Function, String)>>,
    launches: Mutex<BTreeMap<String, usize>>,
}

#[allow(unsafe_code)]
impl Around for Counting {
    fn inner(&self) -> &dyn Device {
        &*self.inner
    }

    fn compile(&self, source: &Source) -> Result<Vec<Function>, Error> {
        let functions = self.inner.compile(source)?;
        let names = source.kernels.iter().map(|(name, _)| name.clone());
        self.names.lock().unwrap().extend(functions.iter().copied().zip(names));
        Ok(functions)
    }

    unsafe fn launch(
        &self,
        function: Function,
        blocks: u32,
        threads: u32,
        arguments: &[Argument<'_>],
    ) -> Result<(), Error> {
        let names = self.names.lock().unwrap();
        let (_, name) = names.iter().find(|(known, _)| *known == function).unwrap();
        *self.launches.lock().unwrap().entry(name.clone()).or_default() += 1;
        // SAFETY: what the caller vouches for is what the inner device asks for.
        unsafe { self.inner.launch(function, blocks, threads, arguments) }
    }
}

/// A product by residues gives way step by step: the left factor in parts; limbs where the parts have no room, or the right
/// factor; and a second try, which needs no more than limbs do. A try begins with the linear part of the sum.
/// Catches: no parts, no limbs in the place of either, a second try by residues.
#[test]
fn products_by_residues_give_way_step_by_step() {
    let Some(_) = shim() else { return };
    let shapes = [[4, 20, 40], [4, 40, 5], [4, 20, 5]].map(|extents| shape(&extents));
    let run = |products: Products, limit: u64| {
        let inner = shim_with(Order::AsAsked, limit).unwrap();
        let device = Arc::new(Counting { inner, names: Mutex::default(), launches: Mutex::default() });
        let cuda = Cuda::tuned(Arc::<Counting>::clone(&device), Tuning { products, ..Tuning::default() }).unwrap();
        product(&cuda, &ProductKind::MatMul, shapes.each_ref(), 3, false, 64).ok()?;
        let launches = device.launches.lock().unwrap();
        Some(
            ["linear", "pack_right_matrices", "residue_digits", "matrices_limbs_8"]
                .map(|name| launches.get(name).copied().unwrap_or(0)),
        )
    };
    let ways: BTreeSet<[usize; 4]> =
        (60_000..2_400_000).step_by(30_000).filter_map(|limit| run(Products::Residues, limit)).collect();
    println!("{ways:?}");
    let seen = |way: &dyn Fn([usize; 4]) -> bool| ways.iter().any(|launches| way(*launches));
    assert!(seen(&|launches| launches == [1, 1, 1, 0]), "at once");
    assert!(seen(&|[tries, right, parts, limbs]| (tries, right, limbs) == (1, 1, 0) && parts > 1), "in parts");
    assert!(seen(&|[tries, right, _, limbs]| (tries, right) == (1, 1) && limbs > 0), "parts by limbs");
    assert!(seen(&|launches| launches == [1, 0, 0, 1]), "by limbs");
    let least = |products: Products| {
        let (mut refused, mut enough) = (0, 1 << 22);
        while enough - refused > 1 {
            let limit = (enough + refused) / 2;
            *if run(products, limit).is_some() { &mut enough } else { &mut refused } = limit;
        }
        enough
    };
    assert_eq!(least(Products::Residues), least(Products::Limbs));
}
