//! Quantised coefficients: integers times powers of two, close to the best there are.
//!
//! Candidates are plain rounding, the nearest plane of a reduced lattice (Babai 1986), whatever the caller knows, a
//! descent from each, and every integer point that a branch and bound meets, with a descent from there. They are
//! compared on a grid; the best few by their true weighted error, sampled and refined at the peaks. So the result is
//! never worse than plain rounding. The tree of the branch and bound comes with it: evaluated rigorously, it bounds the
//! error of all integers from below.
//!
//! The search runs on `f64` in units of the first candidate's error: errors are summed in high precision and then
//! rounded, so that they keep their relative accuracy however small they are.

use super::basis::{Scaling, dot};
use super::dense::solve;
use super::descent::{Grid, descend};
use super::domain::Domain;
use super::failure::MinimaxError;
use super::fast_simplex::Program;
use super::frame::Frame;
use super::lattice::{Lattice, Nodes};
use super::polynomial::{Fit, Options, Problem, reduce};
use super::quantise_tree::{Branch, Judge, Tree};
use super::sampling::{Sample, Sampler, largest_error};
use rug::{Float, Integer, Rational};

/// Bits of the grid's interior points.
const POINT_BITS: u32 = 30;
/// Steps within which a value at a point is known beforehand, for it to be split first.
const ROOM: u32 = 4;
/// Candidates whose true error is computed.
const FINALISTS: usize = 4;

/// How long a quantisation searches.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantiseOptions {
    /// Linear programs that the branch and bound may solve.
    pub nodes: usize,
    /// Passes of each descent.
    pub passes: usize,
    /// Relative improvement that is worth a search.
    pub gap: f64,
    /// Integer coefficients known already, one list per candidate, one entry per coefficient of the fit.
    pub known: Vec<Vec<Integer>>,
}

impl Default for QuantiseOptions {
    fn default() -> Self {
        Self { nodes: 4000, passes: 60, gap: 2e-3, known: Vec::new() }
    }
}

/// Integer coefficients and what they cost.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantised {
    /// Coefficient `j` is `integers[j] * 2^steps[j]`, in the order of the fit's coefficients.
    pub integers: Vec<Integer>,
    /// Their largest weighted error, sampled and refined at the peaks.
    pub error: Float,
    /// The same for coefficients rounded to nearest.
    pub rounded_error: Float,
    /// Whether the branch and bound ended before its limit: then no integers do better on the
    /// grid by more than the gap, in floating point.
    pub exhausted: bool,
    /// Linear programs solved.
    pub nodes: usize,
    /// The tree, for a proof.
    pub search: Search,
}

/// What a proof of a lower bound for all integers needs: a change of coordinates, points, and the tree.
///
/// The polynomials are `Σ k_e 2^steps[e] t^exponents[e]` plus fixed terms; `k = centre + Σ u_j functions[j]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// Exponents with free coefficients; those that a parity rules out are absent.
    pub exponents: Vec<u32>,
    /// Their steps, as powers of two.
    pub steps: Vec<i32>,
    /// The integers with coordinates 0.
    pub centre: Vec<Integer>,
    /// A unimodular basis.
    pub functions: Vec<Vec<Integer>>,
    /// Grid points, in `t`, inside the domain.
    pub points: Vec<Rational>,
    /// The tree of ranges of the coordinates; the root first.
    pub branches: Vec<Branch>,
}

/// Rounds the coefficients of `fit` to multiples of `2^steps[j]`, then improves them.
pub fn quantise(
    problem: &Problem,
    fit: &Fit,
    steps: &[i32],
    options: &Options,
    search: &QuantiseOptions,
) -> Result<Quantised, MinimaxError> {
    if steps.len() != fit.coefficients.len() {
        return Err(MinimaxError::Steps { steps: steps.len(), coefficients: fit.coefficients.len() });
    }
    if let Some(known) = search.known.iter().find(|known| known.len() != steps.len()) {
        return Err(MinimaxError::Steps { steps: known.len(), coefficients: fit.coefficients.len() });
    }
    let reduced = reduce(problem)?;
    let exponents = problem.basis.exponents();
    let kept: Vec<usize> =
        (0..exponents.len()).filter(|&index| reduced.basis.exponents().contains(&exponents[index])).collect();
    let sampler =
        Sampler { target: problem.target, norm: &problem.norm, basis: &reduced.basis, precision: fit.precision };
    let mut scan = sampler.scan(&reduced.domain, options.density.max(2) * (kept.len() + 2))?;
    let rows = scan.iter().flatten().map(|sample| sample.row.as_slice());
    let frame = Frame::new(rows, kept.len(), fit.precision);
    let coefficients = Coefficients {
        optimum: kept.iter().map(|&index| fit.coefficients[index].clone()).collect(),
        steps: kept.iter().map(|&index| steps[index]).collect(),
        precision: fit.precision,
    };
    let (points, samples) = grid(&sampler, &reduced.domain, fit, 3 * options.density.max(2) * (kept.len() + 2))?;
    let known = search.known.iter().map(|known| kept.iter().map(|&index| known[index].clone()).collect()).collect();
    let place = Place { exponents: reduced.basis.exponents(), points, samples: &samples, frame: &frame };
    let found = hunt(&coefficients, &place, search, known);

    sampler.refine(&mut scan)?;
    let mut best: Option<(Vec<Integer>, Float)> = None;
    let mut rounded_error = None;
    for integers in found.candidates {
        let error = largest_error(&sampler, &scan, &coefficients.values(&integers), 24)?;
        rounded_error.get_or_insert_with(|| error.clone());
        if best.as_ref().is_none_or(|(_, least)| error < *least) {
            best = Some((integers, error));
        }
    }
    let (best, error) = best.expect("plain rounding is always a candidate");
    let rounded_error = rounded_error.expect("plain rounding is the first candidate");
    let mut integers = vec![Integer::new(); steps.len()];
    for (index, integer) in kept.into_iter().zip(best) {
        integers[index] = integer;
    }
    let (exhausted, nodes) = (found.exhausted, found.nodes);
    Ok(Quantised { integers, error, rounded_error, exhausted, nodes, search: found.search })
}

/// The coefficients a program can hold, around the fit's.
pub(super) struct Coefficients {
    pub optimum: Vec<Float>,
    pub steps: Vec<i32>,
    pub precision: u32,
}

impl Coefficients {
    fn round(&self) -> Vec<Integer> {
        let scaled = self.optimum.iter().zip(&self.steps);
        scaled.map(|(c, &step)| (c.clone() >> step).to_integer().unwrap_or_default()).collect()
    }

    pub fn values(&self, integers: &[Integer]) -> Vec<Float> {
        let scaled = integers.iter().zip(&self.steps);
        scaled.map(|(integer, &step)| Float::with_val(self.precision, integer) << step).collect()
    }
}

/// Points with few bits in `t`, the reference of the fit and the points 0, 1, −1 among them, and the samples there.
fn grid(
    sampler: &Sampler,
    domain: &Domain,
    fit: &Fit,
    count: usize,
) -> Result<(Vec<Rational>, Vec<Sample>), MinimaxError> {
    let precision = sampler.precision;
    let scaling = sampler.basis.scaling();
    let inside = |t: &Rational| domain.contains(&at(scaling, t));
    let mut points: Vec<Rational> = [0, 1, -1].map(Rational::from).into_iter().filter(|t| inside(t)).collect();
    for interval in domain.intervals() {
        points.extend([interval.low(), interval.high()].map(|end| scaling.exact(end)));
        let nodes = interval.nodes(count, precision);
        let peaks = fit.extrema.iter().map(|extremum| &extremum.x);
        let short = nodes
            .iter()
            .chain(peaks)
            .filter_map(|x| Float::with_val(POINT_BITS, scaling.variable(x, precision)).to_rational());
        points.extend(short.filter(|t| inside(t)));
    }
    points.sort();
    points.dedup();
    let mut kept = Vec::with_capacity(points.len());
    let mut samples = Vec::with_capacity(points.len());
    for point in points {
        if let Some(sample) = sampler.sample(&Float::with_val(precision, at(scaling, &point)))? {
            kept.push(point);
            samples.push(sample);
        }
    }
    Ok((kept, samples))
}

/// `x` where the variable has the value `t`.
fn at(scaling: &Scaling, t: &Rational) -> Rational {
    Rational::from(t * scaling.scale()) + scaling.centre()
}

/// The search, in coordinates that begin with the values at 0, 1, −1 where these have little room.
fn hunt(coefficients: &Coefficients, place: &Place, options: &QuantiseOptions, known: Vec<Vec<Integer>>) -> Found {
    let hunt = Hunt::new(coefficients, place, options, false);
    let guess = coefficients.values(&hunt.nearest_plane());
    let mut error = Float::new(coefficients.precision);
    place.samples.iter().for_each(|sample| error.max_mut(&sample.error(&guess).as_abs()));
    let coarsest = coefficients.steps.iter().copied().max().unwrap_or(0);
    let little = Float::with_val(coefficients.precision, ROOM) << coarsest;
    if error <= little { Hunt::new(coefficients, place, options, true).run(known) } else { hunt.run(known) }
}

struct Place<'a> {
    exponents: &'a [u32],
    points: Vec<Rational>,
    samples: &'a [Sample],
    frame: &'a Frame,
}

struct Found {
    /// Plain rounding first.
    candidates: Vec<Vec<Integer>>,
    exhausted: bool,
    nodes: usize,
    search: Search,
}

/// The search for integers on the grid.
struct Hunt<'a> {
    coefficients: &'a Coefficients,
    place: &'a Place<'a>,
    options: &'a QuantiseOptions,
    lattice: Lattice,
    /// The lattice's functions in the frame's coordinates.
    vectors: Vec<Vec<Float>>,
}

impl<'a> Hunt<'a> {
    fn new(coefficients: &'a Coefficients, place: &'a Place<'a>, options: &'a QuantiseOptions, newton: bool) -> Self {
        let has = |t: i32| newton && place.points.iter().any(|point| *point == t);
        let nodes = Nodes { zero: has(0), one: has(1), minus_one: has(-1) };
        let steps = &coefficients.steps;
        let lattice = Lattice::new(place.exponents, steps, nodes, place.frame, coefficients.precision);
        let vectors =
            lattice.functions.iter().map(|function| place.frame.coordinates(&coefficients.values(function))).collect();
        Self { coefficients, place, options, lattice, vectors }
    }

    fn run(&self, known: Vec<Vec<Integer>>) -> Found {
        let count = self.coefficients.steps.len();
        let rounded = self.coefficients.round();
        let moves: Vec<Vec<Integer>> = (0..count)
            .map(|index| (0..count).map(|other| Integer::from(index == other)).collect())
            .chain(self.lattice.functions.iter().cloned())
            .collect();
        let grid = Grid::new(self.place.samples, self.coefficients, moves, &rounded);
        let mut pool = Pool { grid: &grid, passes: self.options.passes, best: Vec::new() };
        pool.add(rounded.clone());
        pool.add(self.nearest_plane());
        known.into_iter().for_each(|known| pool.add(known));
        let centre = pool.best[0].0.clone();
        let incumbent = pool.best[0].1;
        let program = self.program(&centre, &grid.unit);
        let (gap, nodes) = (self.options.gap, self.options.nodes);
        let tree = Tree::new(&program, &self.lattice.order, incumbent, gap, nodes);
        let mut judge = Candidates { pool, lattice: &self.lattice, centre: &centre };
        let searched = tree.search(&mut judge);
        let best = judge.pool.best.into_iter().map(|(integers, _)| integers);
        let search = Search {
            exponents: self.place.exponents.to_vec(),
            steps: self.coefficients.steps.clone(),
            centre: centre.clone(),
            functions: self.lattice.functions.clone(),
            points: self.place.points.clone(),
            branches: searched.branches,
        };
        let candidates = [rounded].into_iter().chain(best).collect();
        Found { candidates, exhausted: searched.exhausted, nodes: nodes - searched.nodes_left, search }
    }

    /// Rounds the coordinates one after the other, each to the nearest plane, in the order of the search.
    fn nearest_plane(&self) -> Vec<Integer> {
        let precision = self.coefficients.precision;
        let mut orthogonal: Vec<Vec<Float>> = Vec::new();
        for &index in self.lattice.order.iter().rev() {
            let mut rest = self.vectors[index].clone();
            for direction in &orthogonal {
                let share = dot(&rest, direction, precision) / dot(direction, direction, precision);
                rest.iter_mut().zip(direction).for_each(|(entry, along)| *entry -= &share * along);
            }
            orthogonal.push(rest);
        }
        let mut residual = self.place.frame.coordinates(&self.coefficients.optimum);
        let mut coordinates = vec![Integer::new(); self.vectors.len()];
        for (&index, direction) in self.lattice.order.iter().zip(orthogonal.iter().rev()) {
            let share = dot(&residual, direction, precision) / dot(direction, direction, precision);
            let integer = share.to_integer().unwrap_or_default();
            for (entry, along) in residual.iter_mut().zip(&self.vectors[index]) {
                *entry -= Float::with_val(precision, along * &integer);
            }
            coordinates[index] = integer;
        }
        self.lattice.coefficients(&coordinates)
    }

    /// The linear program around `centre`, with errors in units of `unit`.
    fn program(&self, centre: &[Integer], unit: &Float) -> Program {
        let (precision, count) = (self.coefficients.precision, self.vectors.len());
        let short = |value: &Float| Float::with_val(64, value / unit).to_f64();
        let errors = self.place.samples.iter().map(|sample| short(&sample.error(&self.coefficients.optimum)));
        let rows = self.place.samples.iter().flat_map(|sample| self.place.frame.row(&sample.row));
        let columns: Vec<Vec<Float>> =
            (0..count).map(|row| self.vectors.iter().map(|vector| vector[row].clone()).collect()).collect();
        let coordinates = |right: Vec<Float>| {
            solve(columns.clone(), right, precision).unwrap_or_else(|| vec![Float::new(precision); count])
        };
        let optimum = self.place.frame.coordinates(&self.coefficients.optimum);
        let middle = self.place.frame.coordinates(&self.coefficients.values(centre));
        let apart = optimum.iter().zip(&middle).map(|(a, b)| Float::with_val(precision, a - b)).collect();
        let origins = coordinates(apart).iter().map(Float::to_f64).collect();
        let mut forms = vec![vec![0.0; count]; count];
        for column in 0..count {
            let along = (0..count).map(|row| if row == column { unit.clone() } else { Float::new(precision) });
            for (form, entry) in forms.iter_mut().zip(coordinates(along.collect())) {
                form[column] = entry.to_f64();
            }
        }
        // Coordinates are linear in d, and d is the vectors' sum over the unit.
        let inverse_forms =
            (0..count).map(|row| self.vectors.iter().map(|vector| short(&vector[row])).collect()).collect();
        Program {
            unknowns: count,
            rows: rows.map(|entry| entry.to_f64()).collect(),
            errors: errors.collect(),
            forms,
            origins,
            inverse_forms,
        }
    }
}

/// The best integers so far, best first.
struct Pool<'a> {
    grid: &'a Grid,
    passes: usize,
    best: Vec<(Vec<Integer>, f64)>,
}

impl Pool<'_> {
    fn add(&mut self, integers: Vec<Integer>) {
        let reached = self.grid.largest(&integers);
        // A descent from far off would take its passes and arrive nowhere.
        let worth = self.best.first().is_none_or(|(_, least)| reached < least * 3.0);
        let descended = worth.then(|| descend(self.grid, &integers, self.passes));
        for candidate in [Some(integers), descended].into_iter().flatten() {
            let reached = self.grid.largest(&candidate);
            if self.best.iter().all(|(known, _)| *known != candidate) {
                let place = self.best.partition_point(|(_, error)| *error <= reached);
                self.best.insert(place, (candidate, reached));
            }
        }
        self.best.truncate(FINALISTS);
    }
}

/// Takes candidates of the tree into the pool.
struct Candidates<'a> {
    pool: Pool<'a>,
    lattice: &'a Lattice,
    centre: &'a [Integer],
}

impl Judge for Candidates<'_> {
    fn consider(&mut self, coordinates: &[i64]) -> f64 {
        let coordinates: Vec<Integer> = coordinates.iter().map(|&value| Integer::from(value)).collect();
        let mut integers = self.lattice.coefficients(&coordinates);
        integers.iter_mut().zip(self.centre).for_each(|(entry, centre)| *entry += centre);
        if self.pool.grid.largest(&integers) < self.pool.best[0].1 * 1.5 {
            self.pool.add(integers);
        }
        self.pool.best[0].1
    }
}
