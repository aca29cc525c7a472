//! Movements, sums and products on the shim against the CPU, through the interface that a session uses.

use crate::{cuda, shim, words};
use catalogs::Ring;
use runtime::backend::cuda::{Cuda, Products, Tuning};
use runtime::backend::{Backend, Cpu, Error, LinearTerm, LocalSum, ProductTerm, RightFactor, Shares};
use runtime::circuit::{Constant, Convolution, Integers, Movement, ProductKind, Shape};
use std::sync::Arc;

pub fn shape(extents: &[usize]) -> Shape {
    Shape::new(extents).unwrap()
}

fn shares<B: Backend>(backend: &B, shape: &Shape, seed: u64) -> Result<Shares<B::Words>, Error> {
    let component = |seed| backend.upload(words(shape.lanes(), seed));
    Ok(Shares { own: component(seed)?, next: component(seed + 1000)? })
}

fn moved<B: Backend>(backend: &B, movement: &Movement, operands: &[&Shape], result: &Shape, bits: u8) -> [Vec<u64>; 2] {
    let values: Vec<_> =
        operands.iter().zip(1..).map(|(shape, seed)| shares(backend, shape, seed).unwrap().own).collect();
    let operands: Vec<_> = values.iter().zip(operands.iter().copied()).collect();
    [true, false].map(|with| {
        let ring = Ring::new(bits).unwrap();
        backend.download(&backend.moved(movement, &operands, result, ring, with).unwrap()).unwrap()
    })
}

#[test]
fn every_movement_agrees() {
    let Some(cuda) = cuda() else { return };
    let from = shape(&[3, 5, 7]);
    let check = |movement: Movement, operands: &[&Shape], extents: &[usize]| {
        for bits in [64, 40] {
            // What a narrower ring holds is reduced already: only the result of a sum or of another ring is not.
            let expected = moved(&Cpu, &movement, operands, &shape(extents), bits);
            let found = moved(&cuda, &movement, operands, &shape(extents), bits);
            if bits == 64 || !matches!(movement, Movement::Reshape { .. }) {
                assert_eq!(expected, found, "{movement:?} to {bits} bits");
            }
        }
    };
    check(Movement::Reshape { shape: shape(&[15, 7]) }, &[&from], &[15, 7]);
    check(Movement::Narrow { ring: Ring::new(40).unwrap() }, &[&from], &[3, 5, 7]);
    for (permutation, extents) in [([2, 0, 1], [7, 3, 5]), ([1, 0, 2], [5, 3, 7]), ([0, 1, 2], [3, 5, 7])] {
        check(Movement::Transpose { permutation: permutation.to_vec() }, &[&from], &extents);
    }
    for (axis, start, length, step, extents) in
        [(1, 1, 2, 2, [3, 2, 7]), (2, 6, 4, -2, [3, 5, 4]), (0, 2, 3, -1, [3, 5, 7]), (2, 0, 7, 1, [3, 5, 7])]
    {
        check(Movement::Slice { axis, start, length, step }, &[&from], &extents);
    }
    check(Movement::Gather { axis: 1, indices: Arc::new(vec![4, 0, 0]) }, &[&from], &[3, 3, 7]);
    check(Movement::Gather { axis: 2, indices: Arc::new(vec![6, 1]) }, &[&from], &[3, 5, 2]);
    let (one, other) = (shape(&[3, 1, 7]), shape(&[3, 4, 7]));
    check(Movement::Concat { axis: 1 }, &[&from, &one, &other], &[3, 10, 7]);
    check(Movement::Broadcast { shape: shape(&[2, 3, 4, 7]) }, &[&one], &[2, 3, 4, 7]);
    check(Movement::Broadcast { shape: shape(&[200, 2]) }, &[&shape(&[])], &[200, 2]);
    check(Movement::Pad { before: vec![1, 0, 2], after: vec![0, 3, 1] }, &[&from], &[4, 8, 10]);
    for axis in 0..3 {
        let mut extents = [3, 5, 7];
        extents[axis] = 1;
        check(Movement::SumAxis { axis }, &[&from], &extents);
    }
    let replaced = Arc::new((0..105).map(|lane| lane % 3 == 1).collect());
    check(Movement::Replace { replaced, value: -77 }, &[&from], &[3, 5, 7]);
}

pub fn product<B: Backend>(
    backend: &B,
    kind: &ProductKind,
    [left, right, result]: [&Shape; 3],
    coefficient: u64,
    prepared: bool,
    bits: u8,
) -> Result<Vec<u64>, Error> {
    let (x, y) = (shares(backend, left, 1)?, shares(backend, right, 2)?);
    let start = shares(backend, result, 3)?.own;
    let factor = prepared.then(|| backend.factor(&y, right.extents()[0], right.extents()[1])).transpose()?;
    let sum = LocalSum {
        shape: result,
        ring: Ring::new(bits).unwrap(),
        constant: Some(&Constant::Scalar(-9)),
        linear: vec![LinearTerm { coefficient: 5, words: &start, shape: result }],
        products: vec![ProductTerm {
            coefficient,
            kind,
            left: &x,
            left_shape: left,
            right: factor.as_ref().map_or(RightFactor::Shared(&y, right), RightFactor::Prepared),
        }],
    };
    backend.download(&backend.sum(&sum)?)
}

fn products_agree(cuda: &Cuda, kind: &ProductKind, shapes: [&[usize]; 3], prepared: bool) {
    let [left, right, result] = shapes.map(shape);
    for (coefficient, bits) in [(1, 64), (u64::MAX - 6, 37)] {
        let shapes = [&left, &right, &result];
        let expected = product(&Cpu, kind, shapes, coefficient, prepared, bits).unwrap();
        let found = product(cuda, kind, shapes, coefficient, prepared, bits).unwrap();
        assert!(expected == found, "{kind:?} of {left} and {right}, {bits} bits");
    }
}

/// Whether a product of matrices is the CPU's.
pub fn matrices_agree(cuda: &Cuda, [m, k, n]: [usize; 3]) -> bool {
    let shapes = [shape(&[m, k]), shape(&[k, n]), shape(&[m, n])];
    let shapes = shapes.each_ref();
    let expected = product(&Cpu, &ProductKind::MatMul, shapes, 3, false, 64).unwrap();
    expected == product(cuda, &ProductKind::MatMul, shapes, 3, false, 64).unwrap()
}

#[test]
fn matrices_agree_whatever_their_size_and_batch() {
    let Some(cuda) = cuda() else { return };
    let matmul = ProductKind::MatMul;
    for (m, k, n) in [(1, 1, 1), (1, 300, 5), (3, 129, 200), (16, 16, 16), (17, 33, 65), (64, 16, 64), (65, 5, 130)] {
        products_agree(&cuda, &matmul, [&[m, k], &[k, n], &[m, n]], false);
        products_agree(&cuda, &matmul, [&[m, k], &[k, n], &[m, n]], true);
    }
    products_agree(&cuda, &matmul, [&[2, 3, 17, 8], &[2, 3, 8, 20], &[2, 3, 17, 20]], false);
    products_agree(&cuda, &matmul, [&[2, 1, 5, 8], &[3, 8, 4], &[2, 3, 5, 4]], false);
    products_agree(&cuda, &matmul, [&[4, 5, 8], &[8, 4], &[4, 5, 4]], true);
    products_agree(&cuda, &matmul, [&[5, 8], &[4, 8, 4], &[4, 5, 4]], false);
}

#[test]
fn element_wise_products_and_linear_sums_agree() {
    let Some(cuda) = cuda() else { return };
    for [left, right, result] in [
        [&[3usize, 50][..], &[3, 50], &[3, 50]],
        [&[3, 1], &[50], &[3, 50]],
        [&[], &[2, 3], &[2, 3]],
        [&[2, 1, 4], &[3, 1], &[2, 3, 4]],
    ] {
        products_agree(&cuda, &ProductKind::Hadamard, [left, right, result], false);
    }
    fn sum<B: Backend>(backend: &B) -> Vec<u64> {
        let shapes = [shape(&[4, 3, 50]), shape(&[3, 1]), shape(&[50]), shape(&[])];
        let values: Vec<_> =
            shapes.iter().zip(1..).map(|(shape, seed)| shares(backend, shape, seed).unwrap().own).collect();
        let terms = shapes.iter().zip(&values).zip([3u64, u64::MAX, 1 << 40, 7]);
        let linear = terms.map(|((shape, words), coefficient)| LinearTerm { coefficient, words, shape }).collect();
        let tensor = Integers::new(shape(&[4, 1, 1]), vec![1, -2, 3, i64::MIN]).unwrap();
        let constant = Constant::Tensor(Arc::new(tensor));
        let ring = Ring::new(51).unwrap();
        let sum = LocalSum { shape: &shapes[0], ring, constant: Some(&constant), linear, products: Vec::new() };
        backend.download(&backend.sum(&sum).unwrap()).unwrap()
    }
    assert_eq!(sum(&Cpu), sum(&cuda));
}

#[test]
fn convolutions_agree_with_groups_strides_dilations_and_padding() {
    let Some(cuda) = cuda() else { return };
    let cases = [
        // outputs, channels of a group, groups, kernel, strides, dilations, padding before and after
        (8, 3, 1, [3, 3], [1, 1], [1, 1], [1, 1], [1, 1]),
        (40, 2, 2, [3, 2], [2, 1], [1, 2], [2, 0], [0, 3]),
        (33, 1, 1, [1, 1], [2, 2], [1, 1], [0, 0], [0, 0]),
        (6, 1, 6, [3, 3], [1, 1], [1, 1], [1, 1], [1, 1]),
        (7, 5, 1, [2, 2], [1, 1], [2, 1], [0, 1], [1, 0]),
    ];
    for (outputs, channels, groups, kernel, strides, dilations, pads_before, pads_after) in cases {
        let convolution = Convolution { strides, dilations, pads_before, pads_after, groups };
        let out = convolution.output([9, 13], kernel).unwrap();
        let shapes: [&[usize]; 3] =
            [&[2, channels * groups, 9, 13], &[outputs, channels, kernel[0], kernel[1]], &[2, outputs, out[0], out[1]]];
        products_agree(&cuda, &ProductKind::Conv(convolution), shapes, false);
    }
}

/// Both ways of tensor cores, for words of all kinds, in rings of every number of limbs, over tails of tiles and over
/// several parts of the inner axis.
#[test]
fn products_on_tensor_cores_agree() {
    // Several tiles of warps and blocks in both directions, the last of them not whole.
    const SEVERAL: ([usize; 3], u8, bool) = ([130, 40, 330], 64, true);
    let Some(device) = shim() else { return };
    for (products, steps_max) in [(Products::Limbs, 64), (Products::Residues, 64)] {
        let cuda = Cuda::tuned(device.clone(), Tuning { products, steps_max, ..Tuning::default() }).unwrap();
        for ([m, k, n], bits, prepared) in [
            ([1, 1, 1], 64, false),
            ([17, 70, 9], 64, true),
            ([9, 33, 66], 48, false),
            ([65, 20, 3], 32, true),
            SEVERAL,
        ] {
            let shapes = [shape(&[m, k]), shape(&[k, n]), shape(&[m, n])];
            let expected = product(&Cpu, &ProductKind::MatMul, shapes.each_ref(), 3, prepared, bits).unwrap();
            let found = product(&cuda, &ProductKind::MatMul, shapes.each_ref(), 3, prepared, bits).unwrap();
            assert!(expected == found, "{products:?}: {m}×{k}×{n}, {bits} bits");
        }
        products_agree(&cuda, &ProductKind::MatMul, [&[2, 1, 5, 8], &[3, 8, 4], &[2, 3, 5, 4]], false);
        let (ones, pads) = ([1, 2], [1, 0]);
        let convolution =
            Convolution { strides: ones, dilations: ones, pads_before: pads, pads_after: pads, groups: 2 };
        let out = convolution.output([9, 13], [3, 2]).unwrap();
        let shapes: [&[usize]; 3] = [&[1, 6, 9, 13], &[10, 3, 3, 2], &[1, 10, out[0], out[1]]];
        products_agree(&cuda, &ProductKind::Conv(convolution), shapes, false);
        extremes(&cuda, products);
    }
}

/// Words at the ends of their range, where sums of limbs are largest and sums of signed products farthest from zero.
fn extremes(cuda: &Cuda, products: Products) {
    fn sum<B: Backend>(backend: &B, [x, y]: [u64; 2], k: usize) -> Vec<u64> {
        let (left, right, result) = (shape(&[1, k]), shape(&[k, 1]), shape(&[1, 1]));
        let of = |word| backend.upload(vec![word; k]).unwrap();
        let (x, y) = (Shares { own: of(x), next: of(x) }, Shares { own: of(y), next: of(0) });
        let products = vec![ProductTerm {
            coefficient: 1,
            kind: &ProductKind::MatMul,
            left: &x,
            left_shape: &left,
            right: RightFactor::Shared(&y, &right),
        }];
        let sum = LocalSum { shape: &result, ring: Ring::Z64, constant: None, linear: Vec::new(), products };
        backend.download(&backend.sum(&sum).unwrap()).unwrap()
    }
    for words in [[u64::MAX; 2], [1 << 63; 2], [1 << 63, (1 << 63) - 1], [(1 << 63) - 1; 2], [0x8080_8080_8080_8080; 2]]
    {
        assert_eq!(sum(&Cpu, words, 70), sum(cuda, words, 70), "{products:?}: {words:x?}");
    }
}
