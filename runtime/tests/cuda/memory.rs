//! Running out of memory: the same words in smaller parts first, then what was needed, for what, and what was free.

use crate::lanes::{product, shape};
use crate::{shim, shim_with, stages, words};
use catalogs::Ring;
use runtime::backend::cuda::shim::Order;
use runtime::backend::cuda::{Cuda, Device, Products, Tuning};
use runtime::backend::{Backend, Cpu};
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

/// Messages in parts of the lanes are the same messages; and what an operation stores between its rounds leaves the
/// device where it does not fit. Beside the arguments of all three parties two more values have room. With a little
/// more, the other parties' states may take the room that one party's result needs: what fails says what it needed.
#[test]
fn stages_shrink_and_say_the_same() {
    let Some(_) = shim() else { return };
    for parties in [rss3::compile_reshare(Ring::Z64).unwrap(), rss3::compile_maximum(Ring::Z64, 20, 2, 1).unwrap()] {
        let lanes = 3000;
        let slots: usize = parties.iter().map(|party| party.inputs().len()).sum();
        let (value, arguments) = (8 * lanes as u64, (8 * lanes * slots) as u64);
        let mut least = None;
        // From half of what the arguments take, in steps of a third of a value.
        for limit in (arguments / 2..3 * arguments).step_by(lanes * 8 / 3) {
            let cuda = Cuda::new(shim_with(Order::Late, limit).unwrap()).unwrap();
            let agrees = || stages::operation_agrees(&cuda, &parties, lanes);
            match std::panic::catch_unwind(std::panic::AssertUnwindSafe(agrees)) {
                Ok(right) => {
                    assert!(right, "other words with {limit} bytes");
                    least = least.or(Some(limit));
                }
                Err(reason) => {
                    let reason = reason.downcast_ref::<String>().unwrap();
                    assert!(reason.contains("Memory { ") && reason.contains("needed: "), "{reason}");
                }
            }
        }
        println!("{least:?} bytes where the arguments are {arguments}");
        assert!(least.is_some_and(|least| least > arguments / 2 && least < arguments + 2 * value));
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
