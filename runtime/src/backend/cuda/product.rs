//! Local parts of products on a device. CPU twins: `circuit::products`, `backend::cpu::matrix`.

use super::device::{Buffer, Error};
use super::launch::{LIMBS, THREADS, arguments};
use super::residue::{Moduli, Residues};
use super::view::View;
use super::{Cuda, Factor, Products, Words};
use crate::backend::{ProductTerm, RightFactor, Shares};
use crate::circuit::{Convolution, ProductKind, Shape, layout};
use std::sync::{Arc, OnceLock};

/// Outputs of a block of the tiled kernels, in each direction.
const TILE: u64 = 64;
/// Threads of such a block.
const TILE_THREADS: u32 = 256;
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
enum Kind {
    /// Starts of left and right matrices, batch by batch.
    Matrices,
    /// The geometry of a convolution.
    Windows,
}

/// A product of matrices or windows as kernels take it.
struct Operands<'a> {
    kind: Kind,
    left: &'a Shares<Words>,
    both: &'a Words,
    own: &'a Words,
    /// Where residues of the right factor are kept.
    kept: Option<&'a OnceLock<Arc<[Residues; 2]>>>,
    batches: u64,
    rows: u64,
    columns: u64,
    inner: u64,
    table: Vec<u64>,
}

impl Operands<'_> {
    fn tiles(&self) -> u64 {
        self.batches * self.rows.div_ceil(TILE) * self.columns.div_ceil(TILE)
    }

    fn extent_min(&self) -> u64 {
        self.rows.min(self.columns).min(self.inner)
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
    ) -> Result<(), Error> {
        let (left, coefficient) = (product.left, product.coefficient);
        let (right, right_shape) = match product.right {
            RightFactor::Prepared(factor) => {
                let (inner, columns) = (factor.rows as u64, factor.columns as u64);
                let (own, both, kept) = (&factor.own, &factor.both, Some(&factor.residues));
                let (rows, table) = (shape.lanes() as u64 / columns.max(1), vec![0, 0]);
                let kind = Kind::Matrices;
                let operands = Operands { kind, left, both, own, kept, batches: 1, rows, columns, inner, table };
                return self.multiply(&operands, total, coefficient, bits);
            }
            RightFactor::Shared(right, right_shape) => (right, right_shape),
        };
        match product.kind {
            ProductKind::Hadamard => {
                let view = |from: &Shape| Buffer::of_words(&self.device, &View::broadcast(from, shape).table());
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
                let both = self.both(right)?;
                let operands = batched(left, product.left_shape, &both, &right.own, right_shape, shape);
                self.multiply(&operands, total, coefficient, bits)
            }
            ProductKind::Conv(convolution) => {
                let both = self.both(right)?;
                let operands = windows(convolution, left, product.left_shape, &both, &right.own, right_shape, shape);
                self.multiply(&operands, total, coefficient, bits)
            }
        }
    }

    fn multiply(&self, operands: &Operands<'_>, total: &Words, coefficient: u64, bits: u8) -> Result<(), Error> {
        let widest = bits > 8 * LIMBS[LIMBS.len() - 2];
        let products = match (self.tuning.products, operands.extent_min()) {
            (Products::ByShape, extent) if extent >= RESIDUES_FROM && widest => Products::Residues,
            (Products::ByShape, extent) if extent >= LIMBS_FROM => Products::Limbs,
            (Products::ByShape, _) => Products::Integer,
            (chosen, _) => chosen,
        };
        match products {
            Products::Residues => self.by_residues(operands, total, coefficient),
            Products::Limbs => self.by_limbs(operands, total, coefficient, bits),
            Products::Integer | Products::ByShape => self.integer(operands, total, coefficient),
        }
    }

    /// On integer units: tiles, or a thread for each output and part of the inner axis where tiles would be empty.
    fn integer(&self, operands: &Operands<'_>, total: &Words, coefficient: u64) -> Result<(), Error> {
        let Operands { kind, left, both, own, batches, rows, columns, inner, ref table, .. } = *operands;
        let [tiled, direct] = if kind == Kind::Matrices { self.fixed.matrices } else { self.fixed.windows };
        let table = Buffer::of_words(&self.device, table)?;
        let mut arguments = arguments![
            total.address(),
            left.own.address(),
            left.next.address(),
            both.address(),
            own.address(),
            rows,
            columns,
            inner,
            table.address(),
            coefficient,
        ]
        .to_vec();
        if rows >= TILED_FROM && columns >= TILED_FROM {
            return self.launch(tiled, operands.tiles(), TILE_THREADS, &arguments);
        }
        let outputs = batches * rows * columns;
        let blocks = outputs.div_ceil(u64::from(THREADS));
        let part = inner.div_ceil((BLOCKS_ENOUGH / blocks.max(1)).max(1)).max(PART_MIN);
        arguments.extend_from_slice(arguments![outputs, part]);
        self.launch(direct, blocks * inner.div_ceil(part), THREADS, &arguments)
    }

    fn by_limbs(&self, operands: &Operands<'_>, total: &Words, coefficient: u64, bits: u8) -> Result<(), Error> {
        let Operands { kind, left, both, own, rows, columns, inner, ref table, .. } = *operands;
        let size = LIMBS.iter().position(|&limbs| bits <= 8 * limbs).unwrap_or(LIMBS.len() - 1);
        let first = if kind == Kind::Matrices { 0 } else { LIMBS.len() };
        let function = self.fixed.limbs(self.device.as_ref())?[first + size];
        let table = Buffer::of_words(&self.device, table)?;
        let arguments = arguments![
            total.address(),
            left.own.address(),
            left.next.address(),
            both.address(),
            own.address(),
            rows,
            columns,
            inner,
            table.address(),
            coefficient,
            LIMB_STEPS_MAX.min(self.tuning.steps_max),
        ];
        self.launch(function, operands.tiles(), TILE_THREADS, arguments)
    }

    fn by_residues(&self, operands: &Operands<'_>, total: &Words, coefficient: u64) -> Result<(), Error> {
        let Operands { kind, left, both, own, kept, rows, columns, inner, ref table, .. } = *operands;
        let functions = self.fixed.residues(self.device.as_ref())?;
        let function = functions[if kind == Kind::Matrices { 1 } else { 2 }];
        let moduli = Moduli::of(inner);
        let numbers = Buffer::of_words(&self.device, &moduli.table())?;
        let x = [self.residues(&left.own, &moduli, &numbers)?, self.residues(&left.next, &moduli, &numbers)?];
        let y = match kept.and_then(OnceLock::get) {
            Some(residues) => Arc::clone(residues),
            None => {
                let y = [self.residues(both, &moduli, &numbers)?, self.residues(own, &moduli, &numbers)?];
                let y = Arc::new(y);
                // Another product may have been first: its residues are the same.
                kept.map(|kept| kept.set(Arc::clone(&y)));
                y
            }
        };
        let table = Buffer::of_words(&self.device, table)?;
        let arguments = arguments![
            total.address(),
            x[0].address(),
            x[1].address(),
            y[0].address(),
            y[1].address(),
            rows,
            columns,
            inner,
            table.address(),
            coefficient,
            left.own.lanes,
            own.lanes,
            numbers.address(),
            moduli.count(),
            moduli.steps_max().min(self.tuning.steps_max),
        ];
        self.launch(function, operands.tiles(), TILE_THREADS, arguments)
    }
}

/// [.., m, k] · [.., k, n] with leading axes broadcast.
fn batched<'a>(
    left: &'a Shares<Words>,
    left_shape: &Shape,
    both: &'a Words,
    own: &'a Words,
    right_shape: &Shape,
    shape: &Shape,
) -> Operands<'a> {
    let rank = shape.rank();
    let (rows, columns, inner) = (shape.extents()[rank - 2], shape.extents()[rank - 1], left_shape.row_length());
    let of = |batches: usize, rows: usize, table: Vec<u64>| Operands {
        kind: Kind::Matrices,
        left,
        both,
        own,
        kept: None,
        batches: batches as u64,
        rows: rows as u64,
        columns: columns as u64,
        inner: inner as u64,
        table,
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

/// A convolution: a batch is an image and a group.
fn windows<'a>(
    convolution: &Convolution,
    left: &'a Shares<Words>,
    image: &Shape,
    both: &'a Words,
    own: &'a Words,
    weight: &Shape,
    shape: &Shape,
) -> Operands<'a> {
    let (image, weight, output) = (image.extents(), weight.extents(), shape.extents());
    let Convolution { strides, dilations, pads_before, groups, .. } = convolution;
    let (columns, channels) = (weight[0] / groups, weight[1]);
    let geometry = [
        image[2],
        image[3],
        weight[2],
        weight[3],
        output[2],
        output[3],
        strides[0],
        strides[1],
        dilations[0],
        dilations[1],
        pads_before[0],
        pads_before[1],
        *groups,
        channels,
    ];
    Operands {
        kind: Kind::Windows,
        left,
        both,
        own,
        kept: None,
        batches: (output[0] * groups) as u64,
        rows: (output[2] * output[3]) as u64,
        columns: columns as u64,
        inner: (channels * weight[2] * weight[3]) as u64,
        table: geometry.map(|number| number as u64).to_vec(),
    }
}
