//! Running out of memory: the same words in smaller parts first, then what was needed, for what, and what was free.

use crate::lanes::{product, shape};
use crate::{shim, shim_with, stages, words};
use runtime::backend::cuda::shim::Order;
use runtime::backend::cuda::{Cuda, Device, Products, Tuning};
use runtime::backend::{Backend, Cpu};
use runtime::circuit::{Convolution, ProductKind};
use std::sync::Arc;

fn by_residues(device: Arc<dyn Device>) -> Cuda {
    Cuda::tuned(device, Tuning { products: Products::Residues, ..Tuning::default() }).unwrap()
}

/// The least limit with which a device does something, found by halving; it is right from there on.
fn least(limits: std::ops::Range<u64>, works: impl Fn(u64) -> bool) -> u64 {
    let (mut low, mut high) = (limits.start, limits.end);
    while high - low > 64 {
        let middle = low.midpoint(high);
        if works(middle) { high = middle } else { low = middle }
    }
    high
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
        let expected = product(&Cpu, &kind, shapes, 3, false, 64);
        // From all the memory that it wants down to what its words alone take.
        let mut limit = 2 << 20;
        let mut refused = None;
        while limit > 1 << 10 && refused.is_none() {
            let cuda = by_residues(shim_with(Order::Late, limit).unwrap());
            let attempt = || product(&cuda, &kind, shapes, 3, false, 64);
            match std::panic::catch_unwind(std::panic::AssertUnwindSafe(attempt)) {
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

/// Frames in parts of the lanes are the same frames.
#[test]
fn stages_shrink_and_say_the_same() {
    let Some(_) = shim() else { return };
    let lanes = 1000;
    let agrees = |limit| {
        let cuda = Cuda::new(shim_with(Order::Late, limit)?).ok()?;
        let agrees = || stages::resharing_agrees(&cuda, 40, lanes);
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(agrees)).ok()
    };
    assert_eq!(agrees(1 << 20), Some(true));
    let least = least(0..1 << 20, |limit| match agrees(limit) {
        Some(right) => {
            assert!(right, "other frames with {limit} bytes");
            true
        }
        None => false,
    });
    // With one byte less than one launch over all lanes wants, the frames are the same, in parts: 40 bits of 1000 lanes
    // are 5,120 bytes in and as many out, and parts of 128 lanes want 640 of each.
    let whole = least.saturating_add(5_120);
    println!("least memory {least}");
    assert_eq!(agrees(least + 64), Some(true));
    assert!(agrees(whole).is_some_and(|right| right));
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
