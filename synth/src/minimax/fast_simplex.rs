//! The dual simplex of [`super::simplex`] in double precision, over a fixed grid and with bounds of integer coordinates.
//!
//! Unknowns are the coordinates of a polynomial in an orthonormal frame, and the level: the least `h` with
//! `|error − row · d| <= h` at all samples and `low <= u_j(d) <= high` for the integer coordinates. What it returns, a
//! signed measure on the samples, is the dual solution; whoever needs a proof evaluates that measure rigorously.

/// Rows that may be violated by this much, in units of the grid.
const TOLERANCE: f64 = 1e-9;
/// Pivots per program; the level so far is a bound, too.
const PIVOTS: usize = 400;
/// A share of a coordinate without bound that is rounding.
const NO_SHARE: f64 = 1e-6;
/// Half the width of the box that the search starts from.
const FAR: f64 = 1e7;

/// The samples and the integer coordinates of one search.
pub(super) struct Program {
    /// Unknowns without the level.
    pub unknowns: usize,
    /// `rows[sample * unknowns ..]`: the frame's functions at a sample.
    pub rows: Vec<f64>,
    /// The error of the real optimum at each sample.
    pub errors: Vec<f64>,
    /// Integer coordinate `j` is `origins[j] + forms[j] · d`.
    pub forms: Vec<Vec<f64>>,
    /// The integer coordinates of the real optimum.
    pub origins: Vec<f64>,
    /// The inverse of `forms`, by rows.
    pub inverse_forms: Vec<Vec<f64>>,
}

/// The least and largest value of an integer coordinate; the ends of `i64` mean none.
pub(super) type Range = (i64, i64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Face {
    Box(usize),
    Level,
    Sample { index: usize, negative: bool },
    Above(usize),
    Below(usize),
}

/// A dual feasible basis, from which a program with tighter ranges starts.
#[derive(Clone, Debug)]
pub(super) struct Basis {
    active: Vec<Face>,
    /// Column `j` of the inverse belongs to active face `j`: `inverse[j * size ..]`.
    inverse: Vec<f64>,
    multipliers: Vec<f64>,
    point: Vec<f64>,
}

impl Basis {
    /// The level reached.
    pub fn level(&self) -> f64 {
        self.point.last().copied().unwrap_or(0.0)
    }

    /// The masses of the dual measure: sample and signed mass.
    pub fn measure(&self) -> Vec<(usize, f64)> {
        let faces = self.active.iter().zip(&self.multipliers);
        faces
            .filter_map(|(face, &mass)| match face {
                Face::Sample { index, negative } if mass > 0.0 => Some((*index, if *negative { -mass } else { mass })),
                _ => None,
            })
            .collect()
    }
}

impl Program {
    /// The basis of a box, before any sample counts.
    pub fn start(&self) -> Basis {
        let active = (0..self.unknowns).map(Face::Box).chain([Face::Level]).collect();
        Basis { active, inverse: Vec::new(), multipliers: Vec::new(), point: Vec::new() }
    }

    /// Integer coordinate `j` at a basis' point.
    pub fn coordinate(&self, basis: &Basis, j: usize) -> f64 {
        self.origins[j] + product(&self.forms[j], &basis.point)
    }

    /// What a basis' measure proves of all integers in the ranges, in this precision. A basis that rounding has made
    /// infeasible claims a higher level than that.
    pub fn proved(&self, basis: &Basis, ranges: &[Range]) -> f64 {
        let (mut moment, mut total) = (0.0, 0.0);
        let mut along = vec![0.0; self.unknowns];
        for (index, mass) in basis.measure() {
            total += mass.abs();
            moment += mass * self.errors[index];
            let row = &self.rows[index * self.unknowns..(index + 1) * self.unknowns];
            along.iter_mut().zip(row).for_each(|(sum, entry)| *sum += mass * entry);
        }
        if total == 0.0 {
            return 0.0;
        }
        // Σ mass·row·d = Σ share·(u − origin), with u the integer coordinates.
        for (j, (&(low, high), origin)) in ranges.iter().zip(&self.origins).enumerate() {
            let share: f64 = self.inverse_forms.iter().zip(&along).map(|(row, sum)| row[j] * sum).sum();
            let end = if share > 0.0 { high } else { low };
            let is_open = end == i64::MAX || end == i64::MIN;
            if is_open && share.abs() > NO_SHARE * total {
                return 0.0;
            }
            if !is_open {
                moment -= share * (end as f64 - origin);
            }
        }
        (moment / total).max(0.0)
    }

    /// Pivots until nothing is violated or the level reaches `enough`.
    pub fn optimise(&self, basis: &mut Basis, ranges: &[Range], enough: f64) {
        if !self.renew(basis, ranges) {
            *basis = self.start();
            if !self.renew(basis, ranges) {
                return;
            }
        }
        for pivot in 1..=PIVOTS {
            let Some((face, violation)) = self.violated(basis, ranges) else { break };
            if basis.level() >= enough || !self.pivot(basis, face, violation) {
                break;
            }
            if pivot % 60 == 0 && !self.renew(basis, ranges) {
                break;
            }
        }
    }

    /// `a · z <= b` of a face.
    fn row(&self, face: Face, ranges: &[Range]) -> (Vec<f64>, f64) {
        let count = self.unknowns;
        let mut row = vec![0.0; count + 1];
        let bound = match face {
            Face::Box(j) => {
                row[j] = -1.0;
                FAR
            }
            Face::Level => {
                row[count] = -1.0;
                0.0
            }
            Face::Sample { index, negative } => {
                let sign = if negative { 1.0 } else { -1.0 };
                let sample = &self.rows[index * count..(index + 1) * count];
                row.iter_mut().zip(sample).for_each(|(entry, value)| *entry = sign * value);
                row[count] = -1.0;
                sign * self.errors[index]
            }
            Face::Above(j) => {
                row[..count].copy_from_slice(&self.forms[j]);
                ranges[j].1 as f64 - self.origins[j]
            }
            Face::Below(j) => {
                row.iter_mut().zip(&self.forms[j]).for_each(|(entry, value)| *entry = -value);
                self.origins[j] - ranges[j].0 as f64
            }
        };
        (row, bound)
    }

    /// Inverts the active rows afresh; false if they are dependent in this precision.
    fn renew(&self, basis: &mut Basis, ranges: &[Range]) -> bool {
        let size = self.unknowns + 1;
        let mut matrix = vec![0.0; size * size];
        let mut bounds = Vec::with_capacity(size);
        for (place, &face) in basis.active.iter().enumerate() {
            let (row, bound) = self.row(face, ranges);
            matrix[place * size..(place + 1) * size].copy_from_slice(&row);
            bounds.push(bound);
        }
        let Some(inverse) = inverted(matrix, size) else { return false };
        basis.point = vec![0.0; size];
        for (column, bound) in inverse.chunks_exact(size).zip(&bounds) {
            basis.point.iter_mut().zip(column).for_each(|(entry, value)| *entry += value * bound);
        }
        basis.multipliers = inverse.chunks_exact(size).map(|column| (-column[size - 1]).max(0.0)).collect();
        basis.inverse = inverse;
        true
    }

    /// The face that is violated most, bounds of coordinates first.
    fn violated(&self, basis: &Basis, ranges: &[Range]) -> Option<(Face, f64)> {
        let mut worst: Option<(Face, f64)> = None;
        for (j, &(low, high)) in ranges.iter().enumerate() {
            let value = self.coordinate(basis, j);
            for (face, violation) in [(Face::Above(j), value - high as f64), (Face::Below(j), low as f64 - value)] {
                let scaled = violation / (1.0 + value.abs());
                if scaled > TOLERANCE && !basis.active.contains(&face) && worst.is_none_or(|(_, most)| violation > most)
                {
                    worst = Some((face, violation));
                }
            }
        }
        if worst.is_some() {
            return worst;
        }
        let level = basis.level();
        let mut most = level + TOLERANCE * (1.0 + level.abs());
        for (index, (sample, error)) in self.rows.chunks_exact(self.unknowns).zip(&self.errors).enumerate() {
            let error = error - product(sample, &basis.point);
            if error.abs() > most {
                let face = Face::Sample { index, negative: error < 0.0 };
                if !basis.active.contains(&face) {
                    most = error.abs();
                    worst = Some((face, most - level));
                }
            }
        }
        worst
    }

    /// Brings a violated face in; false if no face can leave.
    fn pivot(&self, basis: &mut Basis, entering: Face, violation: f64) -> bool {
        let size = self.unknowns + 1;
        let row = match entering {
            // The bound is not needed here, and no range has to exist for it.
            Face::Above(j) => self.forms[j].iter().copied().chain([0.0]).collect(),
            Face::Below(j) => self.forms[j].iter().map(|value| -value).chain([0.0]).collect(),
            other => self.row(other, &[]).0,
        };
        let weights: Vec<f64> = basis.inverse.chunks_exact(size).map(|column| product(column, &row)).collect();
        let negligible = weights.iter().fold(0.0, |most: f64, weight| weight.abs().max(most)) * 1e-11;
        let mut leaving: Option<(usize, f64)> = None;
        for (place, &weight) in weights.iter().enumerate().filter(|(_, weight)| **weight > negligible) {
            let ratio = basis.multipliers[place] / weight;
            let boxed = |place: usize| matches!(basis.active[place], Face::Box(_));
            let better = leaving.is_none_or(|(chosen, least)| {
                ratio < least || (ratio == least && (boxed(place), weight) > (boxed(chosen), weights[chosen]))
            });
            if better {
                leaving = Some((place, ratio));
            }
        }
        let Some((leaving, ratio)) = leaving else { return false };
        let direction: Vec<f64> =
            basis.inverse[leaving * size..(leaving + 1) * size].iter().map(|entry| entry / weights[leaving]).collect();
        for (place, column) in basis.inverse.chunks_exact_mut(size).enumerate() {
            let weight = weights[place];
            if place == leaving {
                column.copy_from_slice(&direction);
            } else if weight != 0.0 {
                basis.multipliers[place] = (basis.multipliers[place] - weight * ratio).max(0.0);
                column.iter_mut().zip(&direction).for_each(|(entry, along)| *entry -= weight * along);
            }
        }
        basis.point.iter_mut().zip(&direction).for_each(|(entry, along)| *entry -= violation * along);
        basis.multipliers[leaving] = ratio;
        basis.active[leaving] = entering;
        true
    }
}

/// The sum of products over the shorter of the two.
fn product(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The columns of the inverse of a matrix given by rows; `None` if a pivot vanishes.
fn inverted(mut matrix: Vec<f64>, size: usize) -> Option<Vec<f64>> {
    let mut rows: Vec<f64> = vec![0.0; size * size];
    (0..size).for_each(|index| rows[index * size + index] = 1.0);
    for step in 0..size {
        let pivot = (step..size)
            .max_by(|&a, &b| matrix[a * size + step].abs().total_cmp(&matrix[b * size + step].abs()))
            .filter(|&row| matrix[row * size + step].abs() > 1e-13)?;
        for table in [&mut matrix, &mut rows] {
            for column in 0..size {
                table.swap(step * size + column, pivot * size + column);
            }
        }
        let scale = matrix[step * size + step];
        for table in [&mut matrix, &mut rows] {
            table[step * size..(step + 1) * size].iter_mut().for_each(|entry| *entry /= scale);
        }
        for other in (0..size).filter(|&other| other != step) {
            let factor = matrix[other * size + step];
            if factor != 0.0 {
                for table in [&mut matrix, &mut rows] {
                    for column in 0..size {
                        table[other * size + column] -= factor * table[step * size + column];
                    }
                }
            }
        }
    }
    Some((0..size * size).map(|place| rows[(place % size) * size + place / size]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The best line for t² on {−1, 0, 1} misses by 1/2; with an integer constant by 1 or 1/2, by hand.
    #[test]
    fn levels_by_hand() {
        let samples = [-1.0f64, 0.0, 1.0];
        let program = Program {
            unknowns: 2,
            rows: samples.iter().flat_map(|t| [1.0, *t]).collect(),
            errors: samples.iter().map(|t| t * t).collect(),
            forms: vec![vec![1.0, 0.0], vec![0.0, 1.0]],
            origins: vec![0.0, 0.0],
            inverse_forms: vec![vec![1.0, 0.0], vec![0.0, 1.0]],
        };
        let free = vec![(i64::MIN, i64::MAX); 2];
        let mut basis = program.start();
        program.optimise(&mut basis, &free, f64::INFINITY);
        assert!((basis.level() - 0.5).abs() < 1e-12 && (program.coordinate(&basis, 0) - 0.5).abs() < 1e-12);
        let masses: f64 = basis.measure().iter().map(|(_, mass)| mass.abs()).sum();
        assert!((masses - 1.0).abs() < 1e-12);
        for (range, level) in [((1, i64::MAX), 1.0), ((i64::MIN, 0), 1.0), ((2, 2), 2.0)] {
            let mut child = basis.clone();
            program.optimise(&mut child, &[range, (i64::MIN, i64::MAX)], f64::INFINITY);
            assert!((child.level() - level).abs() < 1e-12, "{range:?}: {}", child.level());
            let proved = program.proved(&child, &[range, (i64::MIN, i64::MAX)]);
            assert!((proved - level).abs() < 1e-12, "{range:?}: {proved}");
            // Over a wider range the same measure proves less.
            assert!(program.proved(&child, &free) < level);
        }
    }
}
