//! Circuits that ask a machine for different mixtures of work, small and large.
//!
//! A chain of truncations of few lanes is nothing but rounds; one of many lanes is bytes, draws and steps; maxima draw
//! little for what they step, certified programs have the mixtures that models have; products are there with and without
//! packed weights. A word is cheap in a sum and dear in a transposition, so probes of words have both as models do, and two
//! blocks of a transformer hold everything together. Some are run in parts of rounds as well, and some several times side by
//! side. Sizes are those of models, not larger.

use crate::circuit::{
    Builder, Circuit, Coefficient, Constant, Convolution, Error, Integers, Movement, NodeId, NodeKind, Party, Product,
    ProductKind, Shape, Sum, Weights,
};
use crate::transport::SideBySide;
use catalogs::{Failure, Format, Lemma, Ring, Rounding};
use std::num::NonZeroU32;
use std::sync::Arc;
use verify::Certified;

/// A circuit that is run to see what it takes.
pub struct Probe {
    /// What it asks, for people.
    pub name: String,
    /// The circuit. Party 0 owns inputs and weights and learns the output.
    pub circuit: Circuit,
    /// How many runs of it are side by side.
    pub runs: SideBySide,
    /// The probe that runs the same circuit once and in whole rounds, by its place, if this one does not.
    pub alone: Option<usize>,
}

impl Probe {
    /// Inputs of the circuit: zeros, on which everything takes as long as on any values.
    pub fn inputs(&self) -> Vec<Integers> {
        self.circuit.inputs().iter().map(|&id| zeros(&self.circuit.node(id).shape)).collect()
    }

    /// Weights of the circuit: zeros.
    pub fn weights(&self) -> Result<Weights, Error> {
        let weights = self.circuit.weights().iter().map(|slot| zeros(&slot.shape)).collect();
        Weights::new(&self.circuit, weights)
    }
}

fn zeros(shape: &Shape) -> Integers {
    Integers::new(shape.clone(), vec![0; shape.lanes()]).expect("as many values as lanes")
}

/// Functions that are also evaluated on as many lanes as a batch of a transformer has.
const LARGE: [&str; 2] = ["gelu/", "exp/"];
/// How the names of probes end that are run in parts as well, whose rounds have several.
const IN_PARTS: [&str; 4] = ["of 2^17 lanes", "10,000 lanes, twice", " on 12288 lanes", " on 98304 lanes"];
/// Bytes of their parts.
const PART_BYTES: [u32; 2] = [1 << 14, 1 << 16];
/// How the names of probes end that are run side by side as well.
const BESIDE: [&str; 6] =
    ["of one lane", "of 4,096 lanes", "10,000 lanes, twice", " on 12288 lanes", " on 98304 lanes", "240 x 64 words"];
/// How many of their runs are side by side.
const RUNS: u64 = 4;

const RING: Ring = Ring::Z64;
const SHIFT: u8 = 16;

/// The probes; `programs` are entries to evaluate, each at two sizes or three, with a name.
///
/// # Errors
/// A program that does not take a 64-bit value.
pub fn all(programs: &[(String, Arc<Certified>)]) -> Result<Vec<Probe>, Error> {
    let mut probes = vec![
        chain("200 rounds of one lane", 200, 1)?,
        chain("100 rounds of 4,096 lanes", 100, 1 << 12)?,
        chain("4 rounds of 2^17 lanes", 4, 1 << 17)?,
        side_by_side("32 truncations side by side, 20 times", 32, 20)?,
        products("packed products 32 x 512 x 512, 8 times", 8, [32, 512, 512], true)?,
        products("packed products 60 x 64 x 64, 40 times", 40, [60, 64, 64], true)?,
        products("products 32 x 384 x 32 of values, 64 times", 64, [32, 384, 32], false)?,
        products("products 256 x 256 x 256 of values, 4 times", 4, [256, 256, 256], false)?,
        small_products("512 products 16 x 32 x 16 of values, twice", 2, 512)?,
        convolutions("convolutions 3 x 3 of 8 images of 16 x 32 x 32", 1, [8, 16, 32])?,
        convolutions("convolutions 3 x 3 of 60 images of 16 x 8 x 8, 4 times", 4, [60, 16, 8])?,
        convolutions("convolutions 3 x 3 of an image of 1 x 28 x 28, 8 times", 8, [1, 1, 28])?,
        maxima("maxima of 4 on 512 lanes, 6 times", 6, 1 << 9)?,
        maxima("maxima of 4 on 10,000 lanes, twice", 2, 10_000)?,
        words("300 sums and movements of 32 x 12 x 32 words", 100, [32, 12, 32])?,
        words("30 sums and movements of 256 x 12 x 32 words", 10, [256, 12, 32])?,
        block("a block of attention, 32 x 256 words", [32, 8, 32])?,
        block("a block of attention, 240 x 64 words", [240, 4, 16])?,
    ];
    for (name, certified) in programs {
        let large = LARGE.iter().any(|function| name.starts_with(function)).then_some(98_304);
        for lanes in [1 << 8, 12_288].into_iter().chain(large) {
            probes.push(program(&format!("{name} on {lanes} lanes"), certified, lanes)?);
        }
    }
    let ends = |name: &str, ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    let (mut all, mut more) = (Vec::new(), Vec::new());
    for (name, circuit) in probes {
        let alone = Some(all.len());
        for bytes in PART_BYTES.into_iter().filter(|_| ends(&name, &IN_PARTS)) {
            let (name, circuit) = (format!("{name}, parts of {} KiB", bytes >> 10), circuit.clone());
            let circuit = circuit.in_tiles(NonZeroU32::new(bytes));
            more.push(Probe { name, circuit, runs: SideBySide::ONE, alone });
        }
        for runs in SideBySide::new(RUNS).into_iter().filter(|_| ends(&name, &BESIDE)) {
            more.push(Probe { name: format!("{name}, {runs} side by side"), circuit: circuit.clone(), runs, alone });
        }
        all.push(Probe { name, circuit, runs: SideBySide::ONE, alone: None });
    }
    all.extend(more);
    Ok(all)
}

/// A circuit with a name.
type Named = (String, Circuit);

fn format(scale: u8) -> Format {
    Format::z64(scale).expect("a scale below 63")
}

fn shape(extents: &[usize]) -> Shape {
    Shape::new(extents).expect("small extents")
}

/// Closes a circuit: only a sum of the result is opened, so that opening takes no time.
fn finish(mut builder: Builder, name: &str, value: NodeId) -> Result<Named, Error> {
    let mut value = value;
    for axis in 0..builder.shape(value).rank() {
        value = builder.movement("total", Movement::SumAxis { axis }, value)?;
    }
    builder.output("total", Party(0), value)?;
    Ok((name.into(), builder.finish()?))
}

fn truncated(builder: &mut Builder, products: Vec<Product>, value: Option<NodeId>) -> Result<NodeId, Error> {
    let lemma = Lemma::Truncation {
        ring: RING,
        target: RING,
        shift: SHIFT,
        window: Some(62),
        rounding: Rounding::FLOOR_OR_NEXT,
        failure: Failure::Never,
    };
    let raise = Coefficient::raise(SHIFT).expect("a shift below 63");
    let linear = value.map(|value| crate::circuit::Term { coefficient: raise, value }).into_iter().collect();
    let sum = Sum { ring: RING, products, linear, constant: Constant::Scalar(0), truncation: Some(lemma) };
    builder.push("truncated", NodeKind::Sum(sum))
}

fn chain(name: &str, length: usize, lanes: usize) -> Result<Named, Error> {
    let mut builder = Builder::new();
    let mut value = builder.input("x", Party(0), shape(&[lanes]), format(SHIFT))?;
    for _ in 0..length {
        value = truncated(&mut builder, vec![], Some(value))?;
    }
    finish(builder, name, value)
}

fn side_by_side(name: &str, width: usize, length: usize) -> Result<Named, Error> {
    let mut builder = Builder::new();
    let input = builder.input("x", Party(0), shape(&[16]), format(SHIFT))?;
    let mut values = vec![input; width];
    for _ in 0..length {
        for value in &mut values {
            *value = truncated(&mut builder, vec![], Some(*value))?;
        }
    }
    let terms: Vec<_> = values.into_iter().map(|value| (Coefficient::ONE, value)).collect();
    let value = builder.linear("sum", RING, &terms)?;
    finish(builder, name, value)
}

/// Products one after the other: [m, k] · [k, n] summed back to [m, k] by a slice or a pad of its columns.
fn products(name: &str, length: usize, [rows, inner, columns]: [usize; 3], packed: bool) -> Result<Named, Error> {
    let mut builder = Builder::new();
    let left = builder.input("x", Party(0), shape(&[rows, inner]), format(SHIFT))?;
    let right = match packed {
        true => builder.weight("w", shape(&[inner, columns]), format(SHIFT))?,
        false => builder.input("w", Party(0), shape(&[inner, columns]), format(SHIFT))?,
    };
    let mut results = Vec::new();
    for _ in 0..length {
        let product = Product { coefficient: Coefficient::ONE, kind: ProductKind::MatMul, left, right };
        results.push((Coefficient::ONE, truncated(&mut builder, vec![product], None)?));
    }
    let value = builder.linear("sum", RING, &results)?;
    finish(builder, name, value)
}

/// Products of many pairs of small matrices, as the heads of an attention have.
fn small_products(name: &str, length: usize, pairs: usize) -> Result<Named, Error> {
    let mut builder = Builder::new();
    let left = builder.input("x", Party(0), shape(&[pairs, 16, 32]), format(SHIFT))?;
    let right = builder.input("y", Party(0), shape(&[pairs, 32, 16]), format(SHIFT))?;
    let mut results = Vec::new();
    for _ in 0..length {
        let product = Product { coefficient: Coefficient::ONE, kind: ProductKind::MatMul, left, right };
        results.push((Coefficient::ONE, truncated(&mut builder, vec![product], None)?));
    }
    let value = builder.linear("sum", RING, &results)?;
    finish(builder, name, value)
}

/// Convolutions with 16 outputs that keep the image's extent.
fn convolutions(name: &str, length: usize, [images, channels, extent]: [usize; 3]) -> Result<Named, Error> {
    let mut builder = Builder::new();
    let left = builder.input("x", Party(0), shape(&[images, channels, extent, extent]), format(SHIFT))?;
    let right = builder.weight("w", shape(&[16, channels, 3, 3]), format(SHIFT))?;
    let window = Convolution { strides: [1; 2], dilations: [1; 2], pads_before: [1; 2], pads_after: [1; 2], groups: 1 };
    let mut results = Vec::new();
    for _ in 0..length {
        let kind = ProductKind::Conv(window.clone());
        let product = Product { coefficient: Coefficient::ONE, kind, left, right };
        results.push((Coefficient::ONE, truncated(&mut builder, vec![product], None)?));
    }
    let value = builder.linear("sum", RING, &results)?;
    finish(builder, name, value)
}

/// Sums without a truncation, transpositions and copies, as heads of an attention have them.
fn words(name: &str, length: usize, [rows, heads, width]: [usize; 3]) -> Result<Named, Error> {
    let mut builder = Builder::new();
    let input = builder.input("x", Party(0), shape(&[rows, heads * width]), format(SHIFT))?;
    let mut value = input;
    for _ in 0..length {
        let turned = heads_first(&mut builder, value, [rows, heads, width], [1, 0, 2])?;
        let copied = builder.movement("copied", Movement::Reshape { shape: shape(&[rows, heads * width]) }, turned)?;
        let terms = [(Coefficient::ONE, input), (Coefficient::ONE, copied)];
        value = builder.linear("sum", RING, &terms)?;
    }
    finish(builder, name, value)
}

/// A matrix as [rows, heads, width], turned.
fn heads_first(
    builder: &mut Builder,
    value: NodeId,
    extents: [usize; 3],
    permutation: [usize; 3],
) -> Result<NodeId, Error> {
    let heads = builder.movement("heads", Movement::Reshape { shape: shape(&extents) }, value)?;
    builder.movement("turned", Movement::Transpose { permutation: permutation.to_vec() }, heads)
}

fn product(builder: &mut Builder, kind: ProductKind, left: NodeId, right: NodeId) -> Result<NodeId, Error> {
    truncated(builder, vec![Product { coefficient: Coefficient::ONE, kind, left, right }], None)
}

/// What a transformer has between its functions, in its proportions: products with weights, heads and their products,
/// residuals, a mean and a square.
fn block(name: &str, [rows, heads, width]: [usize; 3]) -> Result<Named, Error> {
    let mut builder = Builder::new();
    let columns = heads * width;
    let flat = Movement::Reshape { shape: shape(&[rows, columns]) };
    let input = builder.input("x", Party(0), shape(&[rows, columns]), format(SHIFT))?;
    let weighted = |builder: &mut Builder, value: NodeId, [inner, outer]: [usize; 2]| {
        let weight = builder.weight("w", shape(&[inner, outer]), format(SHIFT))?;
        product(builder, ProductKind::MatMul, value, weight)
    };
    let mut turned = Vec::new();
    for permutation in [[1, 0, 2], [1, 2, 0], [1, 0, 2]] {
        let value = weighted(&mut builder, input, [columns, columns])?;
        turned.push(heads_first(&mut builder, value, [rows, heads, width], permutation)?);
    }
    let scores = product(&mut builder, ProductKind::MatMul, turned[0], turned[1])?;
    let mixed = product(&mut builder, ProductKind::MatMul, scores, turned[2])?;
    let back = builder.movement("back", Movement::Transpose { permutation: vec![1, 0, 2] }, mixed)?;
    let back = builder.movement("flat", flat, back)?;
    let attended = weighted(&mut builder, back, [columns, columns])?;
    let residual = builder.linear("residual", RING, &[(Coefficient::ONE, input), (Coefficient::ONE, attended)])?;
    let mean = builder.movement("mean", Movement::SumAxis { axis: 1 }, residual)?;
    let mean = builder.movement("every", Movement::Broadcast { shape: shape(&[rows, columns]) }, mean)?;
    let centred = builder.linear("centred", RING, &[(Coefficient::ONE, residual), (Coefficient::ONE, mean)])?;
    let square = product(&mut builder, ProductKind::Hadamard, centred, centred)?;
    let wide = weighted(&mut builder, square, [columns, 4 * columns])?;
    let narrow = weighted(&mut builder, wide, [4 * columns, columns])?;
    let value = builder.linear("residual", RING, &[(Coefficient::ONE, square), (Coefficient::ONE, narrow)])?;
    finish(builder, name, value)
}

/// Maxima of the last value and three others, as bits that are compared.
fn maxima(name: &str, length: usize, lanes: usize) -> Result<Named, Error> {
    const BITS: u8 = 24;
    const JOINED: u8 = 2;
    let mut builder = Builder::new();
    let inputs = (0..3).map(|_| builder.input("x", Party(0), shape(&[lanes]), format(SHIFT)));
    let others = inputs.collect::<Result<Vec<_>, _>>()?;
    let mut value = others[0];
    for _ in 0..length {
        let candidates = others.iter().copied().chain([value]).collect();
        value = builder.maximum("maximum", candidates, BITS, JOINED)?;
    }
    finish(builder, name, value)
}

fn program(name: &str, certified: &Arc<Certified>, lanes: usize) -> Result<Named, Error> {
    let (ring, scale) = certified.program().input();
    let mut builder = Builder::new();
    let mut value = builder.input("x", Party(0), shape(&[lanes]), Format { ring: RING, scale })?;
    if ring < RING {
        value = builder.movement("narrow", Movement::Narrow { ring }, value)?;
    }
    let value = builder.program("program", certified, value)?;
    finish(builder, name, value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_in_parts_or_beside_others_names_the_one_alone() {
        let all = all(&[]).unwrap();
        for probe in &all {
            let in_whole_rounds = probe.circuit.tile_bytes().is_none();
            let Some(alone) = probe.alone.map(|alone| &all[alone]) else {
                assert!(probe.runs == SideBySide::ONE && in_whole_rounds, "{}", probe.name);
                continue;
            };
            assert!(probe.runs != SideBySide::ONE || !in_whole_rounds, "{}", probe.name);
            assert!(alone.alone.is_none() && probe.name.starts_with(&format!("{}, ", alone.name)));
            assert_eq!(alone.circuit.nodes().len(), probe.circuit.nodes().len());
        }
        assert!(all.iter().any(|probe| probe.name.ends_with("parts of 16 KiB")));
        assert!(all.iter().any(|probe| probe.name.ends_with("4 side by side")));
    }
}
