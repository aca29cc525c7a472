//! Local parts of products on a device. CPU twins: `circuit::products`, `backend::cpu::matrix`.

use super::device::{Address, Buffer, Error};
use super::launch::{LIMBS, THREADS, arguments};
use super::room::{Kept, Try};
use super::view::View;
use super::{Cuda, Factor, Products, Words};
use crate::backend::{ProductTerm, RightFactor, Shares};
use crate::circuit::{Convolution, ProductKind, Shape, layout};

/// Outputs of a block of the tiled kernels, in each direction.
const TILE: u64 = 64;
/// Threads of such a block.
pub const TILE_THREADS: u32 = 256;
/// Rows and columns from which a tile is filled well enough.
const TILED_FROM: u64 = 16;
/// Extents from which tensor cores are worth their tiles, and residues their making. Not measured yet.
const LIMBS_FROM: u64 = 64;
const RESIDUES_FROM: u64 = 256;
/// Steps of an inner axis after which the sums of limbs are still exact.
const LIMB_STEPS_MAX: u64 = 8192;
// Of four pairs of limbs, two products of shares a step.
const _: () = assert!(4 * 2 * LIMB_STEPS_MAX * 255 * 255 < 1 << 32 && LIMB_STEPS_MAX.is_multiple_of(16));
/// Blocks that keep a device busy.
const BLOCKS_ENOUGH: u64 = 1024;
/// Steps of an inner axis that are worth a thread.
const PART_MIN: u64 = 64;

/// What a table of [`Operands`] is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Starts of left and right matrices, batch by batch.
    Matrices,
    /// The geometry of a convolution.
    Windows,
}

/// A product of matrices or windows as kernels take it, or a part of its rows or batches.
#[derive(Clone)]
pub struct Operands<'a> {
    pub kind: Kind,
    pub left: &'a Shares<Words>,
    pub own: &'a Words,
    pub next: &'a Words,
    /// Where residues of the right factor are kept.
    pub kept: Option<&'a Kept>,
    pub batches: u64,
    pub rows: u64,
    pub columns: u64,
    pub inner: u64,
    pub table: Vec<u64>,
    /// Words of the left factor, words of the result, and batches before this part.
    pub left_first: u64,
    pub out_first: u64,
    pub batch_first: u64,
    /// Batches after which right factors repeat.
    pub right_batches: u64,
    /// Batches that belong together: the groups of an image.
    together: u64,
}

impl Operands<'_> {
    fn tiles(&self) -> u64 {
        self.batches * self.rows.div_ceil(TILE) * self.columns.div_ceil(TILE)
    }

    fn extent_min(&self) -> u64 {
        self.rows.min(self.columns).min(self.inner)
    }

    /// Addresses of the left factor's components.
    pub fn left_addresses(&self) -> [Address; 2] {
        [&self.left.own, &self.left.next].map(|words| Address(words.address().0 + 8 * self.left_first))
    }

    /// Where the result begins.
    pub fn out(&self, total: &Words) -> Address {
        Address(total.address().0 + 8 * self.out_first)
    }

    /// Two parts of about equal size, of batches or of rows; none where a part would be less than a tile.
    pub fn halves(&self) -> Option<[Self; 2]> {
        let (mut one, mut other) = (self.clone(), self.clone());
        if self.batches > self.together {
            one.batches = (self.batches / self.together).div_ceil(2) * self.together;
            other.batches = self.batches - one.batches;
            other.batch_first += one.batches;
            other.out_first += one.batches * self.rows * self.columns;
            match self.kind {
                Kind::Matrices => other.table = one.table.split_off(2 * one.batches as usize),
                Kind::Windows => other.left_first += one.batches * self.table[WINDOW_WORDS],
            }
        } else if self.kind == Kind::Matrices && self.batches == 1 && self.rows > TILE {
            one.rows = self.rows.div_ceil(2).next_multiple_of(TILE);
            other.rows = self.rows - one.rows;
            other.left_first += one.rows * self.inner;
            other.out_first += one.rows * self.columns;
        } else {
            return None;
        }
        Some([one, other])
    }
}

impl Products {
    /// The way that a product takes whose rows, columns and inner axis are `extent_min` at least, in a ring of `bits` bits.
    pub fn chosen(self, extent_min: u64, bits: u8) -> Products {
        let widest = bits > 8 * LIMBS[LIMBS.len() - 2];
        match self {
            Products::ByShape if extent_min >= RESIDUES_FROM && widest => Products::Residues,
            Products::ByShape if extent_min >= LIMBS_FROM => Products::Limbs,
            Products::ByShape => Products::Integer,
            chosen => chosen,
        }
    }
}

impl Cuda {
    /// Adds the local part of a product, right modulo 2^`bits` at least, to `total`, which nobody else holds yet.
    pub(super) fn add_product(
        &self,
        product: &ProductTerm<'_, Words, Factor>,
        total: &Words,
        shape: &Shape,
        bits: u8,
        how: Try,
    ) -> Result<(), Error> {
        let (left, coefficient) = (product.left, product.coefficient);
        let (right, right_shape) = match product.right {
            RightFactor::Prepared(factor) => {
                let (inner, columns) = (factor.rows as u64, factor.columns as u64);
                let rows = shape.lanes() as u64 / columns.max(1);
                let extents = [1, rows, columns, inner];
                let mut operands = matrices(left, &factor.own, &factor.next, extents, vec![0, 0]);
                operands.kept = Some(&factor.residues);
                return self.multiply(&operands, total, coefficient, bits, how);
            }
            RightFactor::Shared(right, right_shape) => (right, right_shape),
        };
        match product.kind {
            ProductKind::Hadamard => {
                let view = |from: &Shape| self.table(&View::broadcast(from, shape).table());
                let (x, y) = (view(product.left_shape)?, view(right_shape)?);
                let lanes = shape.lanes();
                let arguments = arguments![
                    total.address(),
                    lanes,
                    left.own.address(),
                    left.next.address(),
                    x.address(),
                    right.own.address(),
                    right.next.address(),
                    y.address(),
                    coefficient,
                ];
                self.per_lane(self.fixed.hadamard, lanes, arguments)
            }
            ProductKind::MatMul => {
                let operands = batched(left, product.left_shape, right, right_shape, shape);
                self.multiply(&operands, total, coefficient, bits, how)
            }
            ProductKind::Conv(convolution) => {
                let operands = windows(convolution, left, product.left_shape, right, right_shape, shape);
                self.multiply(&operands, total, coefficient, bits, how)
            }
        }
    }

    fn multiply(
        &self,
        operands: &Operands<'_>,
        total: &Words,
        coefficient: u64,
        bits: u8,
        how: Try,
    ) -> Result<(), Error> {
        match self.tuning.products.chosen(operands.extent_min(), bits) {
            // Limbs need no memory of their own.
            Products::Residues if how == Try::Last => self.by_limbs(operands, total, coefficient, bits),
            Products::Residues => self.by_residues(operands, total, coefficient, bits),
            Products::Limbs => self.by_limbs(operands, total, coefficient, bits),
            Products::Integer | Products::ByShape => self.integer(operands, total, coefficient),
        }
    }

    /// On integer units: tiles, or a thread for each output and part of the inner axis where tiles would be empty.
    fn integer(&self, operands: &Operands<'_>, total: &Words, coefficient: u64) -> Result<(), Error> {
        let Operands { kind, batches, rows, columns, inner, .. } = *operands;
        let [tiled, direct] = if kind == Kind::Matrices { self.fixed.matrices } else { self.fixed.windows };
        let table = self.table(&operands.table)?;
        let mut arguments = factors(operands, total, &table, coefficient);
        if rows >= TILED_FROM && columns >= TILED_FROM {
            return self.launch(tiled, operands.tiles(), TILE_THREADS, &arguments);
        }
        let outputs = batches * rows * columns;
        let blocks = outputs.div_ceil(u64::from(THREADS));
        let part = inner.div_ceil((BLOCKS_ENOUGH / blocks.max(1)).max(1)).max(PART_MIN);
        arguments.extend_from_slice(arguments![outputs, part]);
        self.launch(direct, blocks * inner.div_ceil(part), THREADS, &arguments)
    }

    /// On tensor cores, limb by limb: without memory of its own.
    pub(super) fn by_limbs(
        &self,
        operands: &Operands<'_>,
        total: &Words,
        coefficient: u64,
        bits: u8,
    ) -> Result<(), Error> {
        let size = LIMBS.iter().position(|&limbs| bits <= 8 * limbs).unwrap_or(LIMBS.len() - 1);
        let first = if operands.kind == Kind::Matrices { 0 } else { LIMBS.len() };
        let function = self.fixed.limbs(self.device.as_ref())?[first + size];
        let table = self.table(&operands.table)?;
        let mut arguments = factors(operands, total, &table, coefficient);
        arguments.extend_from_slice(arguments![LIMB_STEPS_MAX.min(self.tuning.steps_max)]);
        self.launch(function, operands.tiles(), TILE_THREADS, &arguments)
    }
}

/// What all kernels that read words are given.
fn factors(
    operands: &Operands<'_>,
    total: &Words,
    table: &Buffer,
    coefficient: u64,
) -> Vec<super::device::Argument<'static>> {
    let [own, next] = operands.left_addresses();
    arguments![
        operands.out(total),
        own,
        next,
        operands.next.address(),
        operands.own.address(),
        operands.rows,
        operands.columns,
        operands.inner,
        table.address(),
        coefficient,
    ]
    .to_vec()
}

/// Products of matrices: batches, rows, columns and inner axis, and where left and right ones start.
fn matrices<'a>(
    left: &'a Shares<Words>,
    own: &'a Words,
    next: &'a Words,
    [batches, rows, columns, inner]: [u64; 4],
    table: Vec<u64>,
) -> Operands<'a> {
    let same = table.chunks_exact(2).all(|starts| starts[1] == table[1]);
    Operands {
        kind: Kind::Matrices,
        left,
        own,
        next,
        kept: None,
        batches,
        rows,
        columns,
        inner,
        table,
        left_first: 0,
        out_first: 0,
        batch_first: 0,
        right_batches: if same { 1 } else { batches },
        together: 1,
    }
}

/// [.., m, k] · [.., k, n] with leading axes broadcast.
fn batched<'a>(
    left: &'a Shares<Words>,
    left_shape: &Shape,
    right: &'a Shares<Words>,
    right_shape: &Shape,
    shape: &Shape,
) -> Operands<'a> {
    let rank = shape.rank();
    let (rows, columns, inner) = (shape.extents()[rank - 2], shape.extents()[rank - 1], left_shape.row_length());
    let of = |batches: usize, rows: usize, table: Vec<u64>| {
        let extents = [batches, rows, columns, inner].map(|extent| extent as u64);
        matrices(left, &right.own, &right.next, extents, table)
    };
    // One matrix on the right: the batch is more rows of one product.
    if right_shape.lanes() == inner * columns && left_shape.lanes() * columns == shape.lanes() * inner {
        return of(1, shape.lanes() / columns, vec![0, 0]);
    }
    let batch = &shape.extents()[..rank - 2];
    let starts = |own: &Shape, size: usize| {
        let outer = &own.extents()[..own.rank() - 2];
        let starts: Vec<u64> = (0..outer.iter().product::<usize>()).map(|index| (index * size) as u64).collect();
        match (Shape::new(outer), Shape::new(batch)) {
            (Ok(from), Ok(to)) => layout::broadcast(&starts, &from, &to),
            _ => starts,
        }
    };
    let (left_starts, right_starts) = (starts(left_shape, rows * inner), starts(right_shape, inner * columns));
    let table = left_starts.iter().zip(&right_starts).flat_map(|(&left, &right)| [left, right]).collect();
    of(left_starts.len(), rows, table)
}

/// Where the geometry of a convolution has the words of a batch.
const WINDOW_WORDS: usize = 8;

/// A convolution: a batch is an image and a group.
fn windows<'a>(
    convolution: &Convolution,
    left: &'a Shares<Words>,
    image: &Shape,
    right: &'a Shares<Words>,
    weight: &Shape,
    shape: &Shape,
) -> Operands<'a> {
    let (image, weight, output) = (image.extents(), weight.extents(), shape.extents());
    let Convolution { strides, dilations, pads_before, groups, .. } = convolution;
    let (columns, channels) = (weight[0] / groups, weight[1]);
    let (height, width) = (image[2], image[3]);
    let mut table: Vec<u64> = [
        height,
        width,
        output[3],
        strides[0],
        strides[1],
        pads_before[0],
        pads_before[1],
        *groups,
        channels * height * width,
    ]
    .map(|number| number as u64)
    .to_vec();
    // Computed once here instead of by divisions for every element of every window.
    for channel in 0..channels {
        for (down, across) in (0..weight[2]).flat_map(|down| (0..weight[3]).map(move |across| (down, across))) {
            let (row, column) = (down * dilations[0], across * dilations[1]);
            table.push(((channel * height + row) * width + column) as u64);
            table.push(row as u64 | (column as u64) << 32);
        }
    }
    Operands {
        kind: Kind::Windows,
        left,
        own: &right.own,
        next: &right.next,
        kept: None,
        batches: (output[0] * groups) as u64,
        rows: (output[2] * output[3]) as u64,
        columns: columns as u64,
        inner: (channels * weight[2] * weight[3]) as u64,
        table,
        left_first: 0,
        out_first: 0,
        batch_first: 0,
        right_batches: *groups as u64,
        together: *groups as u64,
    }
}
