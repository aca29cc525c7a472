//! Running out of memory: the same words in smaller parts first, then what was needed, for what, and what was free.
//!
//! Each test says what it catches: changes of the policy with which it was seen to fail.

use crate::lanes::{product, shape};
use crate::{shim, shim_with, stages, words};
use catalogs::Ring;
use runtime::backend::cuda::shim::Order;
use runtime::backend::cuda::{Cuda, Device, Factor, Products, Tuning, Words};
use runtime::backend::{Backend, Cpu, LocalSum, ProductTerm, RightFactor, Shares};
use runtime::circuit::{Convolution, ProductKind};
use runtime::protocol::rss3;
use std::sync::Arc;

fn by_residues(device: Arc<dyn Device>) -> Cuda {
    Cuda::tuned(device, Tuning { products: Products::Residues, ..Tuning::default() }).unwrap()
}

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
