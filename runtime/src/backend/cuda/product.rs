//! Local parts of products on a device. CPU twins: `circuit::products`, `backend::cpu::matrix`.

use super::device::{Address, Buffer, Error, Function};
use super::launch::{THREADS, arguments};
use super::view::View;
use super::{Cuda, Factor, Words};
use crate::backend::{ProductTerm, RightFactor, Shares};
use crate::circuit::{Convolution, ProductKind, Shape, layout};

/// Outputs of a block of the tiled kernels, in each direction.
const TILE: u64 = 64;
/// Threads of such a block.
const TILE_THREADS: u32 = 256;
/// Rows and columns from which a tile is filled well enough.
const TILED_FROM: u64 = 16;
/// Blocks that keep a device busy.
const BLOCKS_ENOUGH: u64 = 1024;
/// Steps of an inner axis that are worth a thread.
const PART_MIN: u64 = 64;

/// A product of matrices or windows as kernels take it.
struct Operands<'a> {
    left: &'a Shares<Words>,
    both: &'a Words,
    own: &'a Words,
    batches: u64,
    rows: u64,
    columns: u64,
    inner: u64,
    /// Starts of the matrices, or the geometry of windows.
    table: Vec<u64>,
}

impl Cuda {
    /// Adds the local part of a product to `total`, which nobody else holds yet.
    pub(super) fn add_product(
        &self,
        product: &ProductTerm<'_, Words, Factor>,
        total: &Words,
        shape: &Shape,
    ) -> Result<(), Error> {
        let (left, coefficient) = (product.left, product.coefficient);
        let (right, right_shape) = match product.right {
            RightFactor::Prepared(factor) => {
                let (inner, columns) = (factor.rows as u64, factor.columns as u64);
                let (own, both) = (&factor.own, &factor.both);
                let rows = shape.lanes() as u64 / columns.max(1);
                let operands = Operands { left, both, own, batches: 1, rows, columns, inner, table: vec![0, 0] };
                return self.matrices(&operands, total, coefficient);
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
                self.matrices(&operands, total, coefficient)
            }
            ProductKind::Conv(convolution) => {
                let both = self.both(right)?;
                let operands = windows(convolution, left, product.left_shape, &both, &right.own, right_shape, shape);
                let Cuda { fixed, .. } = self;
                self.integer([fixed.windows_tiled, fixed.windows_direct], &operands, total, coefficient)
            }
        }
    }

    fn matrices(&self, operands: &Operands<'_>, total: &Words, coefficient: u64) -> Result<(), Error> {
        let functions = [self.fixed.matrices_tiled, self.fixed.matrices_direct];
        self.integer(functions, operands, total, coefficient)
    }

    /// On integer units: tiles, or a thread for each output and part of the inner axis where tiles would be empty.
    fn integer(
        &self,
        [tiled, direct]: [Function; 2],
        operands: &Operands<'_>,
        total: &Words,
        coefficient: u64,
    ) -> Result<(), Error> {
        let Operands { left, both, own, batches, rows, columns, inner, ref table } = *operands;
        let table = Buffer::of_words(&self.device, table)?;
        let (left_own, left_next): (Address, Address) = (left.own.address(), left.next.address());
        if rows >= TILED_FROM && columns >= TILED_FROM {
            let blocks = batches * rows.div_ceil(TILE) * columns.div_ceil(TILE);
            let arguments = arguments![
                total.address(),
                left_own,
                left_next,
                both.address(),
                own.address(),
                rows,
                columns,
                inner,
                table.address(),
                coefficient,
            ];
            return self.launch(tiled, blocks, TILE_THREADS, arguments);
        }
        let outputs = batches * rows * columns;
        let blocks = outputs.div_ceil(u64::from(THREADS));
        let part = inner.div_ceil((BLOCKS_ENOUGH / blocks.max(1)).max(1)).max(PART_MIN);
        let arguments = arguments![
            total.address(),
            left_own,
            left_next,
            both.address(),
            own.address(),
            rows,
            columns,
            inner,
            table.address(),
            coefficient,
            outputs,
            part,
        ];
        self.launch(direct, blocks * inner.div_ceil(part), THREADS, arguments)
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
        left,
        both,
        own,
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
        left,
        both,
        own,
        batches: (output[0] * groups) as u64,
        rows: (output[2] * output[3]) as u64,
        columns: columns as u64,
        inner: (channels * weight[2] * weight[3]) as u64,
        table: geometry.map(|number| number as u64).to_vec(),
    }
}
