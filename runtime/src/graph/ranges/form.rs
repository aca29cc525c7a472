//! Vectors known to be affine images of balls and boxes.
//!
//! A form says of a value's slices v along one axis: v = c + Σ_b G_b·z_b + e with |e| ≤ slack element by element and
//! every z_b in a Euclidean ball or a box of the block's radius. Centre and slack differ from element to element; the
//! generators are shared by all slices of a group (an attention head). Nothing is assumed about how the z of different
//! slices or blocks relate, so a form is an outer bound whatever was computed before.
//!
//! Why: a layer norm's rows are γ∘z + β with ‖z‖ ≤ √n and Σz = 0, and everything linear behind it keeps that shape,
//! which is much sharper than an interval per element: an output of a dense layer with weights w is bounded by ‖w‖·√n
//! instead of Σ|w|·√(n−1).
//!
//! Rounding: a dense layer adds to the slack what [`rounding`] gives for the products of centre, slack and generators
//! (‖G row‖ times radius bounds the rounding of a generator's row by the triangle inequality).

use std::sync::Arc;

use super::interval::{Interval, rounding};
use super::matrix::{Matrix, norm, slightly};
use crate::graph::operator::{AxisSlice, Operator};
use crate::graph::reference::{dense, fold, rearrange};
use crate::graph::tensor::{Tensor, around, strides};

/// A form with more blocks than this is given up: intervals remain.
const BLOCKS_MAX: usize = 128;

/// The set that a block's z ranges over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Domain {
    /// ‖z‖₂ ≤ radius.
    Ball,
    /// |zⱼ| ≤ radius for every j.
    Box,
}

#[derive(Clone, Debug)]
pub(super) struct Block {
    /// Rows follow the slice, columns follow z; the identity where absent.
    pub generator: Option<Arc<Matrix>>,
    pub radius: f64,
    pub domain: Domain,
}

#[derive(Clone, Debug)]
pub(super) struct Form {
    /// The axis along which slices run.
    pub axis: usize,
    /// The axis whose index is the group; one group where absent.
    pub group_axis: Option<usize>,
    pub groups: Vec<Vec<Block>>,
    pub centre: Tensor,
    pub slack: Tensor,
}

impl Block {
    pub fn matrix(&self, extent: usize) -> Arc<Matrix> {
        self.generator.clone().unwrap_or_else(|| {
            let mut data = vec![0.0; extent * extent];
            (0..extent).for_each(|index| data[index * extent + index] = 1.0);
            Arc::new(Matrix { rows: extent, columns: extent, data })
        })
    }

    /// How far element `index` of G·z can be from zero.
    pub fn reach(&self, index: usize) -> f64 {
        let size = match (&self.generator, self.domain) {
            (None, _) => 1.0,
            (Some(generator), Domain::Ball) => norm(generator.row(index)),
            (Some(generator), Domain::Box) => generator.row(index).iter().map(|value| value.abs()).sum(),
        };
        size * self.radius * slightly(self.generator.as_ref().map_or(1, |generator| generator.columns))
    }

    /// How long G·z can be.
    pub fn length(&self, extent: usize) -> f64 {
        let size = match (&self.generator, self.domain) {
            (None, Domain::Ball) => 1.0,
            (None, Domain::Box) => (extent as f64).sqrt(),
            (Some(generator), Domain::Ball) => generator.spectral_bound(),
            (Some(generator), Domain::Box) => generator.box_bound(),
        };
        size * self.radius * slightly(extent)
    }

    /// The block of M·(G·z).
    pub fn mapped(&self, matrix: &Matrix) -> Block {
        let generator = match &self.generator {
            None => matrix.clone(),
            Some(generator) => matrix.product(generator),
        };
        Block { generator: Some(Arc::new(generator)), ..self.clone() }
    }
}

impl Form {
    /// Slices along `axis` in a ball around zero.
    pub fn ball(shape: &[usize], axis: usize, radius: f64) -> Option<Form> {
        let zero = Tensor::filled(shape, 0.0);
        let block = Block { generator: None, radius, domain: Domain::Ball };
        radius.is_finite().then(|| Form {
            axis,
            group_axis: None,
            groups: vec![vec![block]],
            centre: zero.clone(),
            slack: zero,
        })
    }

    pub fn extent(&self) -> usize {
        self.centre.shape[self.axis]
    }

    /// Group of every element, by its offset.
    pub fn group_at(&self, offset: usize) -> usize {
        self.group_axis.map_or(0, |axis| {
            let (_, extent, inner) = around(&self.centre.shape, axis);
            offset / inner % extent
        })
    }

    /// Element-wise bounds, before rounding of the final sum.
    pub fn intervals(&self) -> (Tensor, Tensor) {
        let (_, extent, inner) = around(&self.centre.shape, self.axis);
        let reach: Vec<Vec<f64>> = self
            .groups
            .iter()
            .map(|blocks| (0..extent).map(|index| blocks.iter().map(|block| block.reach(index)).sum()).collect())
            .collect();
        let (mut lower, mut upper) = (self.centre.clone(), self.centre.clone());
        for (offset, (&centre, &slack)) in self.centre.data.iter().zip(&self.slack.data).enumerate() {
            let reach = reach[self.group_at(offset)][offset / inner % extent] + slack;
            let interval = Interval::new(centre - reach, centre + reach).widen(rounding(64, centre.abs() + reach));
            (lower.data[offset], upper.data[offset]) = (interval.lower, interval.upper);
        }
        (lower, upper)
    }

    /// For every slice (the axis with extent one), an upper bound of ‖v − centre − e‖.
    pub fn spans(&self) -> Vec<f64> {
        let extent = self.extent();
        self.groups
            .iter()
            .map(|blocks| blocks.iter().map(|block| block.length(extent)).sum::<f64>() * slightly(64))
            .collect()
    }

    /// Greatest Euclidean norm over all slices.
    pub fn norm_max(&self) -> f64 {
        let (centres, slacks, spans) = (norms(&self.centre, self.axis), norms(&self.slack, self.axis), self.spans());
        let (outer, _, inner) = around(&self.centre.shape, self.axis);
        let first = |slice: usize| slice / inner * self.extent() * inner + slice % inner;
        let bound = |slice: usize| centres.data[slice] + slacks.data[slice] + spans[self.group_at(first(slice))];
        (0..outer * inner).map(bound).fold(0.0, f64::max) * slightly(64)
    }

    /// Through a dense layer on the last axis.
    pub fn dense(&self, weight: &Tensor, bias: Option<&[f64]>, shape: &[usize]) -> Option<Form> {
        if self.group_axis.is_some() || self.axis + 1 != self.centre.shape.len() {
            return None;
        }
        let matrix = Matrix { rows: weight.shape[0], columns: weight.shape[1], data: weight.data.clone() }.transposed();
        let blocks: Vec<Block> = self.groups[0].iter().map(|block| block.mapped(&matrix)).collect();
        let absolute = weight.map(f64::abs);
        let reach: Vec<f64> =
            (0..weight.shape[0]).map(|index| self.groups[0].iter().map(|block| block.reach(index)).sum()).collect();
        let mut magnitude = self.centre.map(f64::abs).zip(&self.slack, |a, b| a + b);
        magnitude
            .data
            .chunks_exact_mut(reach.len())
            .for_each(|row| row.iter_mut().zip(&reach).for_each(|(x, r)| *x += r));
        let absolute_bias: Option<Vec<f64>> = bias.map(|bias| bias.iter().map(|value| value.abs()).collect());
        let magnitude = dense(&magnitude, &absolute, absolute_bias.as_deref(), shape);
        let slack = dense(&self.slack, &absolute, None, shape).zip(&magnitude, |a, b| a + rounding(weight.shape[0], b));
        let centre = dense(&self.centre, weight, bias, shape);
        Some(Form { axis: self.axis, group_axis: None, groups: vec![blocks], centre, slack })
    }

    /// Adds to the slack.
    pub fn loosened(mut self, amount: &Tensor) -> Form {
        self.slack = self.slack.zip(amount, |a, b| a + b);
        self
    }

    /// v + w for two forms over the same axis without groups; `sign` is −1 for v − w.
    pub fn plus(&self, other: &Form, sign: f64) -> Option<Form> {
        if self.axis != other.axis || self.group_axis.is_some() || other.group_axis.is_some() {
            return None;
        }
        // Blocks are symmetric: −G·z ranges over the same set as G·z.
        let blocks: Vec<Block> = self.groups[0].iter().chain(&other.groups[0]).cloned().collect();
        let centre = self.centre.zip(&other.centre, |a, b| a + sign * b);
        let slack = self.slack.zip(&other.slack, |a, b| a + b);
        let slack = slack.zip(&centre, |slack, centre| slack + rounding(2, slack + centre.abs()));
        (blocks.len() <= BLOCKS_MAX).then(|| Form {
            axis: self.axis,
            group_axis: None,
            groups: vec![blocks],
            centre,
            slack,
        })
    }

    /// v + w for a w that is only known element by element.
    pub fn plus_intervals(&self, lower: &Tensor, upper: &Tensor, sign: f64) -> Form {
        let middle = lower.zip(upper, |a, b| sign * (a + b) / 2.0);
        let half = lower.zip(upper, |a, b| (b - a) / 2.0 + rounding(2, a.abs() + b.abs()));
        let centre = self.centre.zip(&middle, |a, b| a + b);
        let slack = self.slack.zip(&half, |a, b| a + b);
        let slack = slack.zip(&centre, |slack, centre| slack + rounding(2, slack + centre.abs()));
        Form { centre, slack, ..self.clone() }
    }

    /// k·v.
    pub fn scaled(&self, factor: f64) -> Form {
        let groups = self.groups.iter().map(|blocks| {
            blocks
                .iter()
                .map(|block| Block { radius: block.radius * factor.abs() * slightly(1), ..block.clone() })
                .collect()
        });
        let centre = self.centre.map(|value| value * factor);
        let slack = self.slack.map(|value| value * factor.abs());
        let slack = slack.zip(&centre, |slack, centre| slack + rounding(2, slack + centre.abs()));
        Form { groups: groups.collect(), centre, slack, ..self.clone() }
    }

    /// Through an operator that moves elements, if the slices survive it.
    pub fn moved(&self, operator: &Operator, shape: &[usize]) -> Option<Form> {
        let (axis, group_axis, groups) = match operator {
            Operator::Reshape { .. } => self.reshaped(shape)?,
            Operator::Transpose { permutation } => {
                let place = |axis: usize| permutation.iter().position(|&from| from == axis);
                (place(self.axis)?, self.group_axis.map(place).map(|found| found.unwrap_or(0)), self.groups.clone())
            }
            Operator::Slice { axes } => {
                let whole =
                    |axis: usize| axes[axis] == AxisSlice { start: 0, length: self.centre.shape[axis], step: 1 };
                let kept = whole(self.axis) && self.group_axis.is_none_or(whole);
                kept.then(|| (self.axis, self.group_axis, self.groups.clone()))?
            }
            Operator::Gather { axis, .. } if *axis != self.axis && Some(*axis) != self.group_axis => {
                (self.axis, self.group_axis, self.groups.clone())
            }
            _ => return None,
        };
        let through = |tensor: &Tensor| rearrange(operator, &[tensor], shape, 0.0);
        Some(Form { axis, group_axis, groups, centre: through(&self.centre), slack: through(&self.slack) })
    }

    /// Splitting the slice axis into groups, merging groups back, and changes of the other axes.
    fn reshaped(&self, shape: &[usize]) -> Option<(usize, Option<usize>, Vec<Vec<Block>>)> {
        let own = &self.centre.shape;
        let (last, new_last) = (own.len() - 1, shape.len().checked_sub(1)?);
        match self.group_axis {
            None if self.axis == last && shape[new_last] == own[last] => Some((new_last, None, self.groups.clone())),
            None if own.get(..=self.axis) == shape.get(..=self.axis) => Some((self.axis, None, self.groups.clone())),
            None if self.axis == last && new_last > 0 && shape[new_last - 1] * shape[new_last] == own[last] => {
                let (count, extent) = (shape[new_last - 1], shape[new_last]);
                let part = |block: &Block, group: usize| {
                    let whole = block.matrix(own[last]);
                    let columns = whole.columns;
                    let data = whole.data[group * extent * columns..(group + 1) * extent * columns].to_vec();
                    Block { generator: Some(Arc::new(Matrix { rows: extent, columns, data })), ..block.clone() }
                };
                let groups = (0..count).map(|group| self.groups[0].iter().map(|block| part(block, group)).collect());
                Some((new_last, Some(new_last - 1), groups.collect()))
            }
            Some(group_axis)
                if group_axis + 1 == self.axis
                    && self.axis == last
                    && shape[new_last] == own[group_axis] * own[last] =>
            {
                let extent = own[last];
                let embed = |(group, block): (usize, &Block)| {
                    let part = block.matrix(extent);
                    let mut data = vec![0.0; shape[new_last] * part.columns];
                    data[group * extent * part.columns..(group + 1) * extent * part.columns]
                        .copy_from_slice(&part.data);
                    Block {
                        generator: Some(Arc::new(Matrix { rows: shape[new_last], columns: part.columns, data })),
                        ..block.clone()
                    }
                };
                let all = self
                    .groups
                    .iter()
                    .enumerate()
                    .flat_map(|(group, blocks)| blocks.iter().map(move |block| (group, block)));
                let blocks: Vec<Block> = all.map(embed).collect();
                (blocks.len() <= BLOCKS_MAX).then(|| (new_last, None, vec![blocks]))
            }
            _ => None,
        }
    }

    /// Sum over axes other than the slices': n summands G·zⱼ are G·z with n times the radius, by convexity.
    pub fn summed(&self, axes: &[usize], shape: &[usize]) -> Option<Form> {
        if axes.iter().any(|&axis| axis == self.axis || Some(axis) == self.group_axis) {
            return None;
        }
        let count = axes.iter().map(|&axis| self.centre.shape[axis]).product::<usize>();
        let sum = |tensor: &Tensor| fold(tensor, shape, 0.0, |sum, value| sum + value);
        let magnitude = sum(&self.centre.map(f64::abs).zip(&self.slack, |a, b| a + b));
        let slack = sum(&self.slack).zip(&magnitude, |slack, magnitude| slack + rounding(count, magnitude));
        let groups = self.scaled(count as f64).groups;
        Some(Form { groups, centre: sum(&self.centre), slack, ..self.clone() })
    }
}

/// Euclidean norms of the slices along an axis; the axis is left out.
pub(super) fn norms(tensor: &Tensor, axis: usize) -> Tensor {
    let (outer, extent, inner) = around(&tensor.shape, axis);
    let stride = strides(&tensor.shape)[axis];
    let mut data = Vec::with_capacity(outer * inner);
    for slice in 0..outer * inner {
        let first = slice / inner * extent * inner + slice % inner;
        let sum: f64 = (0..extent).map(|index| tensor.data[first + index * stride].powi(2)).sum();
        data.push(sum.sqrt() * slightly(extent));
    }
    Tensor { shape: vec![outer, inner], data }
}
