//! Exact products, exhaustively where that is possible and at the ends of what is proved.

use crate::{shim, words};
use catalogs::Ring;
use runtime::backend::cuda::{Cuda, Products, Tuning};
use runtime::backend::{Backend, Cpu, LocalSum, ProductTerm, RightFactor, Shares};
use runtime::circuit::{ProductKind, Shape};

/// x.own·(y.own + y.next) + x.next·y.own of matrices that are given word by word.
fn multiplied<B: Backend>(backend: &B, x: [&[u64]; 2], y: [&[u64]; 2], [m, k, n]: [usize; 3], bits: u8) -> Vec<u64> {
    let [left, right, result] = [[m, k], [k, n], [m, n]].map(|extents| Shape::new(extents).unwrap());
    let up = |words: &[u64]| backend.upload(words.to_vec()).unwrap();
    let (x, y) = (Shares { own: up(x[0]), next: up(x[1]) }, Shares { own: up(y[0]), next: up(y[1]) });
    let products = vec![ProductTerm {
        coefficient: 1,
        kind: &ProductKind::MatMul,
        left: &x,
        left_shape: &left,
        right: RightFactor::Shared(&y, &right),
    }];
    let ring = Ring::new(bits).unwrap();
    let sum = LocalSum { shape: &result, ring, constant: None, linear: Vec::new(), products };
    backend.download(&backend.sum(&sum).unwrap()).unwrap()
}

fn on(products: Products) -> Option<Cuda> {
    Some(Cuda::tuned(shim()?, Tuning { products, ..Tuning::default() }).unwrap())
}

fn agrees(cuda: &Cuda, x: [&[u64]; 2], y: [&[u64]; 2], extents: [usize; 3], bits: u8) -> bool {
    multiplied(&Cpu, x, y, extents, bits) == multiplied(cuda, x, y, extents, bits)
}

/// All pairs of bytes at once as an outer product: every residue of every modulus meets every other, as 0..256 covers
/// the residues of all moduli, and so do 0..256 above and below 2^63, where words are negative.
#[test]
fn all_pairs_of_residues_agree() {
    let Some(cuda) = on(Products::Residues) else { return };
    let zeros = [0u64; 256];
    let columns: Vec<u64> = (0..256).collect();
    for offset in [0, 1 << 63, u64::MAX - 255] {
        let rows: Vec<u64> = (0..256).map(|word| word + offset).collect();
        assert!(agrees(&cuda, [&rows, &zeros], [&columns, &zeros], [256, 1, 256], 64), "{offset:x}");
    }
    // The other half of the local part.
    assert!(agrees(&cuda, [&zeros, &columns], [&columns, &zeros], [256, 1, 256], 64));
}

/// Words whose bytes are all combinations of the edges of a byte in two neighbouring places, and of 0 and 255 in all
/// eight: every pair of them, in rings of every number of limbs.
#[test]
fn all_pairs_of_edge_limbs_agree() {
    let Some(cuda) = on(Products::Limbs) else { return };
    let edges = [0u64, 1, 127, 128, 255];
    let mut all: Vec<u64> = Vec::new();
    for place in [0, 3, 6] {
        all.extend(edges.iter().flat_map(|low| edges.map(|high| (low | high << 8) << (8 * place))));
    }
    let masks = (0..256u64).step_by(5).map(|mask| (0..8).map(|i| ((mask >> i & 1) * 255) << (8 * i)).sum::<u64>());
    all.extend(masks);
    let zeros = vec![0; all.len()];
    for bits in [64, 57, 48, 40, 32, 24] {
        assert!(agrees(&cuda, [&all, &zeros], [&all, &zeros], [all.len(), 1, all.len()], bits), "{bits} bits");
    }
    assert!(agrees(&cuda, [&zeros, &all], [&all, &all], [all.len(), 1, all.len()], 64));
}

/// Operands that make sums as large as they get.
#[test]
fn adversarial_operands_agree() {
    for products in [Products::Integer, Products::Limbs, Products::Residues] {
        let Some(cuda) = on(products) else { return };
        let k = 200;
        let alternating: Vec<u64> = (0..k as u64).map(|i| if i % 2 == 0 { 1 << 63 } else { (1 << 63) - 1 }).collect();
        let all =
            [0, u64::MAX, 1 << 63, (1 << 63) - 1, 0x8080_8080_8080_8080, 0x7f7f_7f7f_7f7f_7f7f, 0xff00_ff00_ff00_ff00];
        let mut vectors: Vec<Vec<u64>> = all.iter().map(|&word| vec![word; k]).collect();
        vectors.extend([alternating, words(k, 9)]);
        let rows: Vec<u64> = vectors.concat();
        let columns: Vec<u64> = (0..k).flat_map(|i| vectors.iter().map(move |vector| vector[i])).collect();
        let count = vectors.len();
        for bits in [64, 48, 32] {
            assert!(
                agrees(&cuda, [&rows, &rows], [&columns, &columns], [count, k, count], bits),
                "{products:?}, {bits}"
            );
        }
    }
}

/// Inner axes around the longest that 18 and 19 moduli serve, where sums are farthest from zero, and longer ones in
/// parts. The shim takes its time for each.
#[test]
fn seams_of_long_inner_axes_agree() {
    let cases: [(Products, &[usize]); 3] = [
        (Products::Residues, &[4096, 4097, 65_535, 65_536, 65_537]),
        (Products::Limbs, &[8191, 8192, 8193]),
        (Products::Integer, &[65_537]),
    ];
    for (products, lengths) in cases {
        let Some(cuda) = on(products) else { return };
        for &k in lengths {
            let (x, zeros) = (vec![1 << 63; k], vec![0; k]);
            assert!(agrees(&cuda, [&x, &x], [&x, &zeros], [1, k, 1], 64), "{products:?}, {k}");
        }
    }
}
