//! The branch and bound of a quantisation: one coefficient fixed per level of the tree, the free
//! ones solved again by the dual simplex, warm from the parent.
//!
//! Unknowns are the distance from the fit in the frame's coordinates, and the level, both in units
//! of the grid. Rows of samples join only when they are violated.

use super::failure::MinimaxError;
use super::frame::Frame;
use super::quantise::{Grid, Lattice};
use super::sampling::Sample;
use super::simplex::{Row, Simplex, Variable};
use rug::{Float, Integer};

/// Bits of the linear programs: their solutions steer a search and prove nothing.
const PRECISION: u32 = 192;
/// Relative improvement below which a branch is not worth opening, and the slack of a level.
const WORTHWHILE: f64 = 1e-3;
/// Rounds of adding violated samples to one linear program.
const ROUNDS: usize = 40;

pub(super) struct Tree<'a> {
    grid: &'a Grid<'a>,
    lattice: &'a Lattice,
    /// Error of the fit and frame functions per sample, in units of the grid.
    samples: Vec<(Float, Vec<Float>)>,
    /// The same in `f64`, for the search of violated samples.
    fast: Vec<(f64, Vec<f64>)>,
    /// Coefficients as linear forms of the frame's coordinates.
    forms: Vec<Vec<Float>>,
    /// Coefficients by falling effect of one step.
    order: Vec<usize>,
    incumbent: f64,
    best: Option<Vec<Integer>>,
    nodes_left: usize,
}

impl<'a> Tree<'a> {
    pub fn new(
        scan: &[Vec<Sample>],
        grid: &'a Grid<'a>,
        lattice: &'a Lattice,
        frame: &Frame,
        nodes: usize,
    ) -> Self {
        let short = |value: &Float| Float::with_val(PRECISION, value);
        let samples: Vec<(Float, Vec<Float>)> = scan
            .iter()
            .flatten()
            .map(|sample| {
                let error = sample.error(&lattice.optimum) / &grid.unit;
                (
                    short(&error),
                    frame.row(&sample.row).iter().map(short).collect(),
                )
            })
            .collect();
        let fast = samples
            .iter()
            .map(|(error, row)| (error.to_f64(), row.iter().map(Float::to_f64).collect()))
            .collect();
        let count = lattice.steps.len();
        let forms: Vec<Vec<Float>> = (0..count)
            .map(|coefficient| {
                frame
                    .coefficient_form(coefficient)
                    .iter()
                    .map(short)
                    .collect()
            })
            .collect();
        let mut order: Vec<usize> = (0..count).collect();
        order.sort_by(|&a, &b| grid.effect(b).total_cmp(&grid.effect(a)).then(a.cmp(&b)));
        Self {
            grid,
            lattice,
            samples,
            fast,
            forms,
            order,
            incumbent: f64::INFINITY,
            best: None,
            nodes_left: nodes,
        }
    }

    /// Linear programs that may still be solved; zero if the search was cut short.
    pub fn nodes_left(&self) -> usize {
        self.nodes_left
    }

    /// The best leaf, if one is better than the incumbent the search started with.
    pub fn take_best(&mut self) -> Option<Vec<Integer>> {
        self.best.take()
    }

    /// Searches for integers whose largest error on the grid is below `incumbent`.
    pub fn search(&mut self, incumbent: f64) -> Result<(), MinimaxError> {
        self.incumbent = incumbent;
        let count = self.order.len();
        let largest = self
            .order
            .first()
            .map_or(0.0, |&coefficient| self.grid.effect(coefficient));
        let far = Float::with_val(PRECISION, largest + 1.0) << 30u32;
        let mut variables = vec![
            Variable {
                low: Float::with_val(PRECISION, -&far),
                high: far.clone(),
                cost: Float::new(PRECISION),
            };
            count
        ];
        variables.push(Variable {
            low: Float::new(PRECISION),
            high: far,
            cost: Float::with_val(PRECISION, 1),
        });
        let mut root = Simplex::new(&variables, PRECISION);
        if self.level(&mut root)? < self.worthwhile() {
            self.branch(&root, &mut Vec::with_capacity(count))?;
        }
        Ok(())
    }

    fn worthwhile(&self) -> f64 {
        self.incumbent * (1.0 - WORTHWHILE)
    }

    /// Opens the children of a node whose coefficients `order[..chosen.len()]` are fixed.
    fn branch(&mut self, node: &Simplex, chosen: &mut Vec<Integer>) -> Result<(), MinimaxError> {
        let Some(&coefficient) = self.order.get(chosen.len()) else {
            self.leaf(chosen);
            return Ok(());
        };
        let below = self.free_value(node, coefficient).floor();
        let below = below.to_integer().unwrap_or_default();
        let above = Integer::from(&below + 1);
        let mut open = Vec::new();
        for (integer, direction) in [(below, -1), (above, 1)] {
            if let Some((child, level)) = self.child(node, coefficient, &integer)? {
                open.push((level, integer, direction, child));
            }
        }
        open.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut sides = Vec::new();
        for (level, integer, direction, child) in open {
            if level < self.worthwhile() {
                chosen.push(integer.clone());
                self.branch(&child, chosen)?;
                chosen.pop();
            }
            sides.push((integer, direction));
        }
        for (mut integer, direction) in sides {
            loop {
                integer += direction;
                match self.child(node, coefficient, &integer)? {
                    Some((child, level)) if level < self.worthwhile() => {
                        chosen.push(integer.clone());
                        self.branch(&child, chosen)?;
                        chosen.pop();
                    }
                    _ => break,
                }
            }
        }
        Ok(())
    }

    /// The node with one more coefficient fixed, and its level; `None` if the search has ended or
    /// the level is already too high.
    fn child(
        &mut self,
        node: &Simplex,
        coefficient: usize,
        integer: &Integer,
    ) -> Result<Option<(Simplex, f64)>, MinimaxError> {
        if self.nodes_left <= 1 {
            self.nodes_left = 0;
            return Ok(None);
        }
        self.nodes_left -= 1;
        let mut child = node.clone();
        let offset = self.lattice.offset(coefficient, integer) / &self.grid.unit;
        let bound = Float::with_val(PRECISION, offset);
        let mut form = self.forms[coefficient].clone();
        form.push(Float::new(PRECISION));
        let opposite = form
            .iter()
            .map(|entry| Float::with_val(PRECISION, -entry))
            .collect();
        child.add(Row {
            form: opposite,
            bound: Float::with_val(PRECISION, -&bound),
        });
        child.add(Row { form, bound });
        match self.level(&mut child) {
            Ok(level) if level < self.worthwhile() => Ok(Some((child, level))),
            Ok(_) | Err(MinimaxError::Infeasible { .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// Solves the program over all samples and returns its level.
    fn level(&self, simplex: &mut Simplex) -> Result<f64, MinimaxError> {
        let tolerance = Float::with_val(PRECISION, 1) >> (PRECISION / 2);
        let count = self.order.len();
        let mut level = 0f64;
        for _ in 0..ROUNDS {
            simplex.optimise(&tolerance)?;
            let point: Vec<f64> = simplex.point().iter().map(Float::to_f64).collect();
            level = point[count];
            if level >= self.worthwhile() {
                break;
            }
            let errors: Vec<f64> = self
                .fast
                .iter()
                .map(|(error, row)| {
                    error
                        - row
                            .iter()
                            .zip(&point)
                            .map(|(entry, z)| entry * z)
                            .sum::<f64>()
                })
                .collect();
            let violated = peaks(&errors, level * (1.0 + WORTHWHILE / 4.0));
            if violated.is_empty() {
                break;
            }
            for index in violated {
                simplex.add(self.row(index, errors[index] < 0.0));
            }
        }
        Ok(level)
    }

    fn row(&self, index: usize, negative: bool) -> Row {
        let (error, row) = &self.samples[index];
        let signed = |value: &Float| {
            if negative {
                value.clone()
            } else {
                Float::with_val(PRECISION, -value)
            }
        };
        let mut form: Vec<Float> = row.iter().map(signed).collect();
        form.push(Float::with_val(PRECISION, -1));
        Row {
            form,
            bound: signed(error),
        }
    }

    /// A coefficient at the optimum of a node, in steps.
    fn free_value(&self, node: &Simplex, coefficient: usize) -> Float {
        let count = self.order.len();
        let offset = super::basis::dot(&self.forms[coefficient], &node.point()[..count], PRECISION);
        let value = offset * &self.grid.unit;
        let value = Float::with_val(
            self.lattice.precision,
            &self.lattice.optimum[coefficient] + &value,
        );
        value >> self.lattice.steps[coefficient]
    }

    fn leaf(&mut self, chosen: &[Integer]) {
        let mut integers = vec![Integer::new(); chosen.len()];
        for (integer, &coefficient) in chosen.iter().zip(&self.order) {
            integers[coefficient] = integer.clone();
        }
        let largest = self.grid.largest(self.lattice, &integers);
        if largest < self.incumbent {
            self.incumbent = largest;
            self.best = Some(integers);
        }
    }
}

/// Samples at which the magnitude exceeds `threshold` and that of its neighbours.
fn peaks(errors: &[f64], threshold: f64) -> Vec<usize> {
    let magnitude = |index: usize| errors.get(index).map_or(0.0, |error| error.abs());
    (0..errors.len())
        .filter(|&index| {
            let height = magnitude(index);
            height > threshold
                && height >= magnitude(index + 1)
                && (index == 0 || height >= magnitude(index - 1))
        })
        .collect()
}
