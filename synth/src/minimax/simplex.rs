//! A dual simplex in high precision: minimise `c · z` subject to `a · z <= b` for rows that may be
//! added at any time.
//!
//! Remez exchange is this algorithm on the rows `±(f - p)(x) / unit(x) <= h`; posed as a linear
//! program it needs no Haar condition, so gaps, odd bases at zero, unions of intervals and side
//! constraints need no special case. It starts from a box around the solution, whose faces form a
//! dual feasible basis, and each pivot raises the objective. Multipliers of the final basis prove
//! the optimum over the rows by weak duality.

use super::basis::dot;
use super::failure::MinimaxError;
use rug::Float;

/// One constraint `form · z <= bound`.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub form: Vec<Float>,
    pub bound: Float,
}

/// Bounds of one variable and its cost: the box the search starts from.
#[derive(Clone, Debug)]
pub(super) struct Variable {
    pub low: Float,
    pub high: Float,
    pub cost: Float,
}

/// Where an active constraint comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Active {
    /// A face of the starting box, by variable.
    Box(usize),
    /// An added row, by the order in which it was added.
    Row(usize),
}

/// The program, its rows, and a dual feasible basis.
#[derive(Clone, Debug)]
pub(super) struct Simplex {
    rows: Vec<Row>,
    active: Vec<Active>,
    /// `inverse[j]`: the column of the basis' inverse that belongs to active constraint `j`.
    inverse: Vec<Vec<Float>>,
    multipliers: Vec<Float>,
    point: Vec<Float>,
    precision: u32,
    pivots: usize,
}

impl Simplex {
    /// A program without rows; its optimum is a corner of the box.
    pub fn new(variables: &[Variable], precision: u32) -> Self {
        let size = variables.len();
        let mut inverse = vec![vec![Float::new(precision); size]; size];
        let mut multipliers = Vec::with_capacity(size);
        let mut point = Vec::with_capacity(size);
        for (index, variable) in variables.iter().enumerate() {
            let at_high = variable.cost.is_sign_negative() && !variable.cost.is_zero();
            inverse[index][index] = Float::with_val(precision, if at_high { 1 } else { -1 });
            multipliers.push(Float::with_val(precision, variable.cost.abs_ref()));
            let corner = if at_high {
                &variable.high
            } else {
                &variable.low
            };
            point.push(Float::with_val(precision, corner));
        }
        let active = (0..size).map(Active::Box).collect();
        Self {
            rows: Vec::new(),
            active,
            inverse,
            multipliers,
            point,
            precision,
            pivots: 0,
        }
    }

    /// Adds a row and returns its index; the basis stays dual feasible.
    pub fn add(&mut self, row: Row) -> usize {
        self.rows.push(row);
        self.rows.len() - 1
    }

    /// The rows in the order in which they were added.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The active constraints of the current basis.
    pub fn active(&self) -> &[Active] {
        &self.active
    }

    /// The current point; after [`Simplex::optimise`] the optimum over the rows.
    pub fn point(&self) -> &[Float] {
        &self.point
    }

    /// Pivots until no row is violated by more than `tolerance`.
    ///
    /// `Err(Infeasible)` if the rows and the box exclude each other.
    pub fn optimise(&mut self, tolerance: &Float) -> Result<(), MinimaxError> {
        let limit = 200 + 60 * self.active.len() + 4 * self.rows.len();
        let start = self.pivots;
        let mut candidates: Vec<usize> = Vec::new();
        loop {
            let priced = self.price(candidates.iter().copied(), tolerance);
            candidates = priced.iter().map(|(index, _)| *index).collect();
            let Some((entering, violation)) = priced.into_iter().next() else {
                let all = self.price(0..self.rows.len(), tolerance);
                if all.is_empty() {
                    return Ok(());
                }
                candidates = all.into_iter().map(|(index, _)| index).collect();
                candidates.truncate(2 * self.active.len());
                continue;
            };
            if self.pivots - start >= limit {
                return Err(MinimaxError::PivotLimit {
                    rows: self.rows.len(),
                    pivots: self.pivots - start,
                });
            }
            self.pivot(entering, &violation)?;
        }
    }

    /// The rows among `candidates` that are violated by more than `tolerance`, worst first.
    fn price(
        &self,
        candidates: impl Iterator<Item = usize>,
        tolerance: &Float,
    ) -> Vec<(usize, Float)> {
        let mut violated: Vec<(usize, Float)> = candidates
            .filter_map(|index| {
                let row = &self.rows[index];
                let violation = dot(&row.form, &self.point, self.precision) - &row.bound;
                let counts = violation > *tolerance && !self.active.contains(&Active::Row(index));
                counts.then_some((index, violation))
            })
            .collect();
        violated.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        violated
    }

    fn pivot(&mut self, entering: usize, violation: &Float) -> Result<(), MinimaxError> {
        let form = &self.rows[entering].form;
        let weights: Vec<Float> = self
            .inverse
            .iter()
            .map(|column| dot(form, column, self.precision))
            .collect();
        let leaving = self
            .leaving(&weights)
            .ok_or_else(|| MinimaxError::Infeasible {
                what: "no point satisfies the bounds of the error and of the coefficients".into(),
            })?;
        let ratio = Float::with_val(
            self.precision,
            &self.multipliers[leaving] / &weights[leaving],
        );
        let mut direction = std::mem::take(&mut self.inverse[leaving]);
        direction
            .iter_mut()
            .for_each(|entry| *entry /= &weights[leaving]);
        for (constraint, weight) in weights.iter().enumerate() {
            if constraint == leaving || weight.is_zero() {
                continue;
            }
            self.multipliers[constraint] -= weight * &ratio;
            if self.multipliers[constraint].is_sign_negative() {
                self.multipliers[constraint] = Float::new(self.precision);
            }
            for (entry, along) in self.inverse[constraint].iter_mut().zip(&direction) {
                *entry -= weight * along;
            }
        }
        for (coordinate, along) in self.point.iter_mut().zip(&direction) {
            *coordinate -= violation * along;
        }
        self.inverse[leaving] = direction;
        self.multipliers[leaving] = ratio;
        self.active[leaving] = Active::Row(entering);
        self.pivots += 1;
        Ok(())
    }

    /// The active constraint whose multiplier reaches zero first. Among ties the box leaves first,
    /// because its faces only stand in for rows; then the largest weight, for stability.
    fn leaving(&self, weights: &[Float]) -> Option<usize> {
        let mut negligible = Float::new(self.precision);
        weights
            .iter()
            .for_each(|weight| negligible.max_mut(&weight.as_abs()));
        negligible >>= self.precision / 2;
        let mut best: Option<(usize, Float)> = None;
        for (constraint, weight) in weights.iter().enumerate() {
            if *weight <= negligible {
                continue;
            }
            let ratio = Float::with_val(self.precision, &self.multipliers[constraint] / weight);
            let better = match &best {
                None => true,
                Some((chosen, least)) if ratio == *least => {
                    let boxed = |index: usize| matches!(self.active[index], Active::Box(_));
                    (boxed(constraint), weight) > (boxed(*chosen), &weights[*chosen])
                }
                Some((_, least)) => ratio < *least,
            };
            if better {
                best = Some((constraint, ratio));
            }
        }
        best.map(|(constraint, _)| constraint)
    }
}
