//! Products of two secret matrices: logits q·k and weighted means p·V.
//!
//! **Intervals.** Σ of products of intervals.
//!
//! **Logits.** Let q = c + Σ_a G_a·z_a + e and k likewise be slices of two forms over the contracted axis. Then
//! q·k − c_q·c_k is at most S + u + w + errors, where
//! S = Σ_ab r_a·r_b·‖G_aᵀH_b‖, u = Σ_a r_a·‖G_aᵀc_k‖, w = Σ_b r_b·‖H_bᵀc_q‖ and the errors are
//! ‖e_q‖·‖k − e_k‖ + ‖q − e_q‖·‖e_k‖ + ‖e_q‖·‖e_k‖. Two keys of one query differ in the logit by at most
//! |c_q·(c_k − c_k')| + Σ_a r_a·‖G_aᵀ(c_k − c_k')‖ + 2(S + w) + 2·errors: terms that all keys share cancel, which is
//! what softmax sees. Where forms do not fit, Cauchy–Schwarz on the norms of the intervals remains.
//!
//! **Weighted means.** If the left rows are distributions up to an error a per element, Σ_j p_j·v_j lies in the hull
//! of the v_j widened by a·Σ_j|v_j|; and of rows v_j = c_j + Σ_b G_b·z_jb the mean is again such a row: balls and
//! boxes are convex.

use super::Bounds;
use super::form::{Domain, Form, norms};
use super::interval::{Interval, rounding};
use super::matrix::{Matrix, norm, slightly};
use crate::graph::reference::{matmul, transpose_last_two};
use crate::graph::tensor::Tensor;

pub(super) fn product(left: &Bounds, right: &Bounds, shape: &[usize]) -> Bounds {
    let mut bounds = interval_product(left, right, shape);
    cauchy_schwarz(left, right, &mut bounds);
    if let (Some(q), Some(k)) = (&left.form, &right.form) {
        logits(q, k, &mut bounds);
    }
    if let Some(error) = left.distribution {
        means(left, right, error, &mut bounds);
    }
    bounds
}

/// Extents `(matrices, m, k, n)` of a batched product.
fn extents(left: &Tensor, shape: &[usize]) -> (usize, usize, usize, usize) {
    let rank = shape.len();
    (shape[..rank - 2].iter().product(), shape[rank - 2], left.row_length(), shape[rank - 1])
}

fn interval_product(left: &Bounds, right: &Bounds, shape: &[usize]) -> Bounds {
    let (matrices, m, k, n) = extents(&left.lower, shape);
    let mut bounds = Bounds::intervals(Tensor::filled(shape, 0.0), Tensor::filled(shape, 0.0));
    for matrix in 0..matrices {
        for row in 0..m {
            for column in 0..n {
                let (mut lower, mut upper, mut magnitude) = (0.0, 0.0, 0.0);
                for inner in 0..k {
                    let a = left.interval((matrix * m + row) * k + inner);
                    let term = a.product(right.interval((matrix * k + inner) * n + column));
                    lower += term.lower;
                    upper += term.upper;
                    magnitude += term.magnitude();
                }
                let sum = Interval::new(lower, upper).widen(rounding(k, magnitude));
                let offset = (matrix * m + row) * n + column;
                (bounds.lower.data[offset], bounds.upper.data[offset]) = (sum.lower, sum.upper);
            }
        }
    }
    bounds
}

/// Norms of the rows on the left and the columns on the right, from the intervals.
fn interval_norms(left: &Bounds, right: &Bounds) -> (Tensor, Tensor) {
    let size = |bounds: &Bounds| bounds.lower.zip(&bounds.upper, |a, b| a.abs().max(b.abs()));
    let rank = left.lower.shape.len();
    (norms(&size(left), rank - 1), norms(&size(right), rank - 2))
}

fn cauchy_schwarz(left: &Bounds, right: &Bounds, bounds: &mut Bounds) {
    let (rows, columns) = interval_norms(left, right);
    let (_, m, _, n) = extents(&left.lower, &bounds.lower.shape);
    for offset in 0..bounds.lower.data.len() {
        let (row, column) = (offset / n, offset / (m * n) * n + offset % n);
        let reach = rows.data[row] * columns.data[column] * slightly(2);
        let met = bounds.interval(offset).meet(Interval::new(-reach, reach));
        (bounds.lower.data[offset], bounds.upper.data[offset]) = (met.lower, met.upper);
    }
}

/// The norms that one group's logits need, per query or key.
struct Side {
    /// ‖e‖.
    error: Vec<f64>,
    /// ‖q − e‖.
    exact: Vec<f64>,
    /// Σ r·‖Gᵀc‖ with the *other* side's generators.
    mixed: Vec<f64>,
    /// The same with the centre's distance to the first key's.
    mixed_apart: Vec<f64>,
}

fn logits(q: &Form, k: &Form, bounds: &mut Bounds) {
    let rank = q.centre.shape.len();
    let balls = |form: &Form| form.groups.iter().flatten().all(|block| block.domain == Domain::Ball);
    let fits = q.axis == rank - 1
        && k.axis == rank - 2
        && q.group_axis == k.group_axis
        && q.group_axis.is_none_or(|axis| axis < rank - 2)
        && q.groups.len() == k.groups.len();
    if !(fits && balls(q) && balls(k)) {
        return;
    }
    let shape = bounds.lower.shape.clone();
    let (matrices, m, depth, n) = extents(&q.centre, &shape);
    // Keys as rows, so that both sides are read alike.
    let (key_centre, key_slack) = (transpose_last_two(&k.centre), transpose_last_two(&k.slack));
    let centres = matmul(&q.centre, &k.centre, &shape);
    let (query_span, key_span) = (q.spans(), k.spans());
    let cross: Vec<f64> = (0..q.groups.len()).map(|group| cross_norm(q, k, group, depth)).collect();
    let mut spread = Vec::with_capacity(matrices * m);
    for matrix in 0..matrices {
        let group = q.group_at(matrix * m * depth);
        let queries = side(&q.centre, &q.slack, matrix, m, depth, query_span[group], k, group);
        let keys = side(&key_centre, &key_slack, matrix, n, depth, key_span[group], q, group);
        for row in 0..m {
            let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
            let (mut apart, mut errors) = (0.0_f64, 0.0_f64);
            for column in 0..n {
                let offset = (matrix * m + row) * n + column;
                let centre = centres.data[offset];
                let magnitude = queries.exact[row] * keys.exact[column];
                let error = queries.error[row] * keys.exact[column]
                    + queries.exact[row] * keys.error[column]
                    + queries.error[row] * keys.error[column]
                    + rounding(depth, magnitude);
                let reach = (cross[group] + keys.mixed[column] + queries.mixed[row] + error) * slightly(depth);
                let met = bounds.interval(offset).meet(Interval::new(centre - reach, centre + reach));
                (bounds.lower.data[offset], bounds.upper.data[offset]) = (met.lower, met.upper);
                (low, high) = (low.min(centre), high.max(centre));
                (apart, errors) = (apart.max(keys.mixed_apart[column]), errors.max(error));
            }
            spread.push((high - low + 2.0 * (apart + cross[group] + queries.mixed[row] + errors)) * slightly(depth));
        }
    }
    bounds.spread = Some(spread);
}

/// Σ_ab r_a·r_b·‖G_aᵀH_b‖.
fn cross_norm(q: &Form, k: &Form, group: usize, depth: usize) -> f64 {
    let mut sum = 0.0;
    for a in &q.groups[group] {
        for b in &k.groups[group] {
            sum += a.radius * b.radius * a.matrix(depth).cross_spectral_bound(&b.matrix(depth));
        }
    }
    sum * slightly(q.groups[group].len() * k.groups[group].len())
}

#[allow(clippy::too_many_arguments)]
fn side(
    centre: &Tensor,
    slack: &Tensor,
    matrix: usize,
    count: usize,
    depth: usize,
    span: f64,
    other: &Form,
    group: usize,
) -> Side {
    let range = matrix * count * depth..(matrix + 1) * count * depth;
    let (centres, slacks) = (&centre.data[range.clone()], &slack.data[range]);
    let generators: Vec<(f64, Matrix)> =
        other.groups[group].iter().map(|block| (block.radius, block.matrix(depth).transposed())).collect();
    let mixed = |vector: &[f64]| -> f64 {
        let column = Matrix { rows: depth, columns: 1, data: vector.to_vec() };
        // The rounding of each entry is below that of the two norms' product.
        let size = norm(vector);
        generators
            .iter()
            .map(|(radius, generator)| {
                let length = generator.product(&column).frobenius();
                radius * (length * slightly(depth) + rounding(depth, generator.frobenius() * size))
            })
            .sum()
    };
    let first = &centres[..depth];
    let from_first = |row: &[f64]| row.iter().zip(first).map(|(a, b)| a - b).collect::<Vec<f64>>();
    let rows = || centres.chunks_exact(depth);
    Side {
        error: slacks.chunks_exact(depth).map(|row| norm(row) * slightly(depth)).collect(),
        exact: rows().map(|row| (norm(row) + span) * slightly(depth)).collect(),
        mixed: rows().map(mixed).collect(),
        // Two keys are each at most this far from the first: twice the largest is between any two.
        mixed_apart: rows().map(|row| mixed(&from_first(row)) + rounding(2, norm(row) * span)).collect(),
    }
}

fn means(left: &Bounds, right: &Bounds, error: f64, bounds: &mut Bounds) {
    let shape = bounds.lower.shape.clone();
    let (matrices, m, k, n) = extents(&left.lower, &shape);
    for matrix in 0..matrices {
        for column in 0..n {
            let at = |inner: usize| (matrix * k + inner) * n + column;
            let hull = (0..k).map(|inner| right.interval(at(inner))).reduce(Interval::hull);
            let Some(hull) = hull else { continue };
            let total: f64 = (0..k).map(|inner| right.interval(at(inner)).magnitude()).sum();
            let hull = hull.widen(error * total + rounding(k, hull.magnitude()));
            for row in 0..m {
                let offset = (matrix * m + row) * n + column;
                let met = bounds.interval(offset).meet(hull);
                (bounds.lower.data[offset], bounds.upper.data[offset]) = (met.lower, met.upper);
            }
        }
    }
    bounds.form = right.form.as_ref().and_then(|form| mean_form(form, right, error, &shape, k));
}

/// The form of a mean of rows: the same balls and boxes, the hull of the centres.
fn mean_form(form: &Form, right: &Bounds, error: f64, shape: &[usize], k: usize) -> Option<Form> {
    let rank = shape.len();
    if form.axis != rank - 1 || form.group_axis.is_some_and(|axis| axis >= rank - 2) {
        return None;
    }
    let (m, n) = (shape[rank - 2], shape[rank - 1]);
    let (mut centre, mut slack) = (Tensor::filled(shape, 0.0), Tensor::filled(shape, 0.0));
    for offset in 0..centre.data.len() {
        let (matrix, column) = (offset / (m * n), offset % n);
        let rows = (0..k).map(|inner| (matrix * k + inner) * n + column);
        let centres = Interval::hull_of(rows.clone().map(|at| form.centre.data[at]));
        let loosest = rows.clone().map(|at| form.slack.data[at]).fold(0.0, f64::max);
        let total: f64 = rows.map(|at| right.interval(at).magnitude()).sum();
        centre.data[offset] = (centres.lower + centres.upper) / 2.0;
        slack.data[offset] =
            (centres.upper - centres.lower) / 2.0 + loosest + error * total + rounding(k, centres.magnitude() + total);
    }
    slack.is_finite().then(|| Form { centre, slack, ..form.clone() })
}
