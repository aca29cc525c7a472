//! Whether a device computes what the CPU does, bit for bit: without that, nothing is measured.

use super::products::WAYS;
use super::{Sizes, explain, stages, words};
use catalogs::{Catalog, Ring};
use runtime::backend::cuda::{Cuda, Tuning};
use runtime::backend::{Backend, Cpu, LinearTerm, LocalSum, ProductTerm, RightFactor, Shares};
use runtime::circuit::{Constant, Convolution, Movement, ProductKind, Shape};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Makes a back end with chosen ways.
pub type Make<'a> = dyn Fn(Tuning) -> Result<Cuda, String> + 'a;

/// The rings of products: kernels by limbs are others for each.
const BITS: [u8; 3] = [64, 48, 32];

/// Whether products in every way, movements, sums and stages are the CPU's bit for bit. What is not is named.
pub fn agrees(cuda: &Make<'_>, sizes: &Sizes, catalog: &Catalog) -> Result<bool, String> {
    let mut seen = Seen { all: true };
    let way = |(products, way)| Ok::<_, String>((cuda(Tuning { products, ..Tuning::default() })?, way));
    let ways = WAYS.into_iter().map(way).collect::<Result<Vec<_>, _>>()?;
    for product in matrices(sizes)?.into_iter().chain(others(sizes.stretched)?) {
        let expected = product.on(&Cpu)?;
        for (cuda, way) in &ways {
            seen.beside(&format!("{} ({way})", product.what), &expected, product.on(cuda))?;
        }
    }
    let cuda = cuda(Tuning::default())?;
    let hadamard = hadamard(sizes.stretched)?;
    seen.beside(&hadamard.what, &hadamard.on(&Cpu)?, hadamard.on(&cuda))?;
    for moved in movements(sizes.stretched)? {
        seen.beside(moved.what, &moved.on(&Cpu)?, moved.on(&cuda))?;
    }
    for (index, (name, parties)) in stages::operations(catalog, sizes)?.into_iter().enumerate() {
        // Resharing, the first of them, at the sizes that are measured too: it takes little of the CPU.
        let more = if index == 0 { &sizes.lanes[..] } else { &[] };
        for lanes in sizes.agreeing_lanes.iter().chain(more).copied().collect::<BTreeSet<usize>>() {
            let expected = stages::staged(&Cpu, &parties, lanes)?;
            seen.beside(&format!("{name}, {lanes} lanes"), &expected, stages::staged(&cuda, &parties, lanes))?;
        }
    }
    Ok(seen.all)
}

/// What was seen so far.
struct Seen {
    all: bool,
}

impl Seen {
    fn beside<T: PartialEq>(&mut self, what: &str, expected: &T, found: Result<T, String>) -> Result<(), String> {
        let same = *expected == found.map_err(|reason| format!("{what}: {reason}"))?;
        println!("{what}: {}", if same { "as on the CPU" } else { "NOT AS ON THE CPU" });
        self.all &= same;
        Ok(())
    }
}

fn shape(extents: &[usize]) -> Result<Shape, String> {
    Shape::new(extents)
}

/// Shares that use all bits, the same for the same seed.
fn shares<B: Backend>(backend: &B, shape: &Shape, seed: u64) -> Result<Shares<B::Words>, String> {
    let component = |seed| backend.upload(words(shape.lanes(), seed)).map_err(explain);
    Ok(Shares { own: component(seed)?, next: component(seed + 100)? })
}

/// A sum with a product.
struct Product {
    what: String,
    kind: ProductKind,
    /// Of the factors and the result.
    shapes: [Shape; 3],
    bits: u8,
    /// Whether the right factor is a weight.
    prepared: bool,
}

impl Product {
    fn on<B: Backend>(&self, backend: &B) -> Result<Vec<u64>, String> {
        let [left_shape, right_shape, shape] = &self.shapes;
        let (left, right) = (shares(backend, left_shape, 1)?, shares(backend, right_shape, 2)?);
        let start = shares(backend, shape, 3)?.own;
        let weight = |rows: &[usize]| backend.factor(&right, rows[0], rows[1]).map_err(explain);
        let factor = self.prepared.then(|| weight(right_shape.extents())).transpose()?;
        let right = factor.as_ref().map_or(RightFactor::Shared(&right, right_shape), RightFactor::Prepared);
        let sum = LocalSum {
            shape,
            ring: Ring::new(self.bits).ok_or("no ring has so many bits")?,
            constant: Some(&Constant::Scalar(-9)),
            linear: vec![LinearTerm { coefficient: 5, words: &start, shape }],
            products: vec![ProductTerm { coefficient: 3, kind: &self.kind, left: &left, left_shape, right }],
        };
        backend.download(&backend.sum(&sum).map_err(explain)?).map_err(explain)
    }
}

/// Products of a matrix with a weight, in rings of every number of limbs.
fn matrices(sizes: &Sizes) -> Result<Vec<Product>, String> {
    let each = sizes.agreeing.iter().flat_map(|extents| BITS.map(|bits| (*extents, bits)));
    let product = |([m, k, n], bits): ([usize; 3], u8)| {
        let what = format!("product of {m} × {k} × {n}, {bits} bits");
        let shapes = [shape(&[m, k])?, shape(&[k, n])?, shape(&[m, n])?];
        Ok(Product { what, kind: ProductKind::MatMul, shapes, bits, prepared: true })
    };
    each.map(product).collect()
}

/// Products in batches, and a convolution with all that one can have.
fn others(stretched: usize) -> Result<[Product; 2], String> {
    let [m, k, n] = [5, 8, 4].map(|extent| extent * stretched);
    let batches = Product {
        what: format!("products of {m} × {k} × {n} in batches"),
        kind: ProductKind::MatMul,
        shapes: [shape(&[2, 1, m, k])?, shape(&[3, k, n])?, shape(&[2, 3, m, n])?],
        bits: 64,
        prepared: false,
    };
    let (channels, outputs, kernel) = (3 * stretched, 10 * stretched, [3, 2]);
    let convolution =
        Convolution { strides: [2, 1], dilations: [1, 2], pads_before: [2, 0], pads_after: [0, 3], groups: 2 };
    let out = convolution.output([9, 13], kernel)?;
    let shapes = [
        shape(&[2, 2 * channels, 9, 13])?,
        shape(&[outputs, channels, kernel[0], kernel[1]])?,
        shape(&[2, outputs, out[0], out[1]])?,
    ];
    let what = format!("convolution to {outputs} channels in groups, with strides, dilations and padding");
    Ok([batches, Product { what, kind: ProductKind::Conv(convolution), shapes, bits: 64, prepared: false }])
}

/// An element-wise product of factors that are broadcast.
fn hadamard(stretched: usize) -> Result<Product, String> {
    let [a, b, c] = [2, 3, 4].map(|extent| extent * stretched);
    let shapes = [shape(&[a, 1, c])?, shape(&[b, 1])?, shape(&[a, b, c])?];
    Ok(Product { what: "element-wise product".into(), kind: ProductKind::Hadamard, shapes, bits: 64, prepared: false })
}

/// A movement, or a sum over an axis.
struct Moved {
    what: &'static str,
    movement: Movement,
    operands: Vec<Shape>,
    shape: Shape,
}

impl Moved {
    fn on<B: Backend>(&self, backend: &B) -> Result<Vec<u64>, String> {
        let values = self.operands.iter().zip(1..).map(|(shape, seed)| Ok(shares(backend, shape, seed)?.own));
        let values = values.collect::<Result<Vec<_>, String>>()?;
        let operands: Vec<_> = values.iter().zip(&self.operands).collect();
        let ring = Ring::new(40).ok_or("no ring has so many bits")?;
        let moved = backend.moved(&self.movement, &operands, &self.shape, ring, true).map_err(explain)?;
        backend.download(&moved).map_err(explain)
    }
}

fn moved(what: &'static str, movement: Movement, operands: &[&[usize]], extents: &[usize]) -> Result<Moved, String> {
    let operands = operands.iter().map(|extents| shape(extents)).collect::<Result<_, _>>()?;
    Ok(Moved { what, movement, operands, shape: shape(extents)? })
}

fn movements(stretched: usize) -> Result<[Moved; 10], String> {
    let from @ [a, b, c] = [3, 5, 7].map(|extent| extent * stretched);
    let transpose = Movement::Transpose { permutation: vec![2, 0, 1] };
    let slice = Movement::Slice { axis: 2, start: c - 1, length: 4, step: -2 };
    let gather = Movement::Gather { axis: 1, indices: Arc::new(vec![4, 0, 0]) };
    let broadcast = Movement::Broadcast { shape: shape(&[2, a, 4, c])? };
    let pad = Movement::Pad { before: vec![1, 0, 2], after: vec![0, 3, 1] };
    let replaced = Arc::new((0..a * b * c).map(|lane| lane % 3 == 1).collect());
    Ok([
        moved("transposition", transpose, &[&from], &[c, a, b])?,
        moved("slice, backwards", slice, &[&from], &[a, b, 4])?,
        moved("gathering", gather, &[&from], &[a, 3, c])?,
        moved("concatenation", Movement::Concat { axis: 1 }, &[&from, &[a, 1, c]], &[a, b + 1, c])?,
        moved("broadcast", broadcast, &[&[a, 1, c]], &[2, a, 4, c])?,
        moved("padding", pad, &[&from], &[a + 1, b + 3, c + 3])?,
        moved("replacement", Movement::Replace { replaced, value: -77 }, &[&from], &from)?,
        moved("sum over the first axis", Movement::SumAxis { axis: 0 }, &[&from], &[1, b, c])?,
        moved("sum over the middle axis", Movement::SumAxis { axis: 1 }, &[&from], &[a, 1, c])?,
        moved("sum over the last axis", Movement::SumAxis { axis: 2 }, &[&from], &[a, b, 1])?,
    ])
}
