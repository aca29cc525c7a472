//! What is known of composite operations beyond intervals, each with its reason.

use super::ball::Ball;
use super::function::{MARGIN, integers, upper};
use super::interval::{self, Interval};
use super::{Known, Proof};
use crate::circuit::Error;
use crate::circuit::node::{NodeId, NodeKind, Product};
use std::sync::Arc;
use verify::Certified;

/// What a lowering knows about a node's value besides its operands' intervals.
#[derive(Clone, Debug)]
pub enum Fact {
    /// Lanes that were not replaced must be proved not to lie below this integer: it takes part in a maximum that it
    /// must not win.
    NotBelow(i64),
    /// A row minus its maximum.
    NotPositive,
    /// x − min(x, bound) = max(x − bound, 0).
    Excess {
        /// x.
        argument: NodeId,
        /// The bound, at the scale of x.
        bound: i64,
    },
    /// Σ c² over centred rows.
    SumOfSquares(Squares),
    /// Logits minus the public upper bound of all of them, which the plan states and this proof holds against them.
    Logits {
        /// The lower bound, at the logits' scale.
        low: i64,
        /// The upper bound.
        high: i64,
    },
    /// The sum of a row's exponentials.
    SumOfExponentials(Exponentials),
    /// ê(d)·ŝ, where ŝ is the reciprocal of the row's sum.
    Probabilities {
        /// The row.
        exponentials: Exponentials,
        /// ŝ.
        reciprocal: Arc<Certified>,
    },
    /// (Σ ê(d)·v)·ŝ for columns v of `values`.
    Averaged {
        /// The row.
        exponentials: Exponentials,
        /// ŝ.
        reciprocal: Arc<Certified>,
        /// The values that are averaged.
        values: NodeId,
    },
    /// c·rsqrt((Σ c² + ε)·2^-shift), truncated: the row's norm is bounded whatever c is.
    Normalised {
        /// The reciprocal square root.
        rsqrt: Arc<Certified>,
        /// Length of the row.
        row: usize,
        /// ε at the scale of the squares.
        epsilon_encoded: i64,
        /// Fraction bits of Σ c² + ε.
        squares_scale: u8,
        /// What is known of Σ c².
        squares: Squares,
        /// Where c was multiplied by γ before, and β is added: then that is what is truncated.
        stretched: Option<Stretched>,
    },
}

/// A row h·ê(d) in which no d is positive and Σ h·e^d is bounded below.
#[derive(Clone, Debug)]
pub struct Exponentials {
    /// ê.
    pub exp: Arc<Certified>,
    /// Length of the row.
    pub row: usize,
    /// h.
    pub factor: f64,
    /// What Σ h·e^d is at least: 1 where one of the d is 0 and h is 1.
    pub least: f64,
}

/// A normalised row that was multiplied by γ first.
#[derive(Clone, Copy, Debug)]
pub struct Stretched {
    /// c.
    pub centred: NodeId,
    /// γ, a weight per column.
    pub gamma: NodeId,
}

/// Σ c² over rows of c = multiplier·(x − mean): squares are not negative and, whatever t, no larger together than
/// multiplier²·Σ (x − t)².
#[derive(Clone, Copy, Debug)]
pub struct Squares {
    /// x.
    pub argument: NodeId,
    /// n where the centre is exact, else 1.
    pub multiplier: i64,
    /// Fraction bits of 1/n where the mean is rounded; 63 where 1/n itself is exact.
    pub mean_bits: Option<u8>,
}

impl Fact {
    /// Whether the fact looks at a node that may not be an operand.
    pub(super) fn names(&self, id: NodeId) -> bool {
        match self {
            Fact::Averaged { values, .. } => *values == id,
            Fact::Excess { argument, .. } => *argument == id,
            Fact::SumOfSquares(squares) => squares.argument == id,
            Fact::Normalised { squares, stretched, .. } => {
                squares.argument == id || stretched.is_some_and(|own| own.centred == id || own.gamma == id)
            }
            _ => false,
        }
    }
}

impl Proof<'_> {
    pub(super) fn apply(&self, id: NodeId, fact: &Fact, known: &mut Known) -> Result<(), Error> {
        let node = self.circuit.node(id);
        let bits = node.format.scale.bits();
        match fact {
            Fact::NotBelow(fill) => self.check_fill(id, *fill, known)?,
            Fact::NotPositive => {
                let negative = Interval { low: i128::MIN, high: 0 };
                known.lanes.iter_mut().for_each(|lane| *lane = lane.told(negative, node.format.ring));
            }
            Fact::Logits { low, high } => self.check_logits(id, (*low, *high), known)?,
            Fact::Excess { argument, bound } => {
                let excess = |end: i128| end.saturating_sub(i128::from(*bound)).max(0);
                let lanes = self.lanes(*argument)?.0.iter();
                let lanes = lanes.map(|lane| Interval { low: excess(lane.low), high: excess(lane.high) });
                known.lanes = lanes.map(|lane| lane.reduced(node.format.ring)).collect();
            }
            Fact::SumOfSquares(_) => {}
            Fact::SumOfExponentials(exponentials) => {
                let (low, high) = exponentials.sum();
                if low <= 0.0 {
                    return Err(self.vacuous(id, "the error of its exp entry exceeds a row's sum"));
                }
                let bounds = integers(low, high, bits);
                known.lanes.iter_mut().for_each(|lane| *lane = lane.told(bounds, node.format.ring));
            }
            Fact::Probabilities { exponentials, reciprocal } => {
                let l1 = exponentials.total_probability(reciprocal);
                let l1 = l1 + exponentials.row as f64 / (1u128 << bits) as f64;
                let bounds = integers(-l1, l1, bits);
                known.lanes.iter_mut().for_each(|lane| *lane = lane.told(bounds, node.format.ring));
                known.total = Some(l1 * (1u128 << bits) as f64 * (1.0 + MARGIN));
            }
            Fact::Averaged { exponentials, reciprocal, values } => {
                let total = exponentials.total_probability(reciprocal);
                let values = self.lanes(*values)?.0;
                let largest = interval::hull(values).magnitude() as f64;
                let value_bits = self.circuit.node(self.values_of(fact)).format.scale.bits();
                // The weighted sum's rounding is one unit of its scale, times ŝ ≤ (1 + β + α·S)/S.
                let (smallest, high) = exponentials.sum();
                let (alpha, beta) =
                    (upper(&reciprocal.claim().absolute_part()), upper(&reciprocal.claim().relative_part()));
                let inverse = (1.0 + beta + alpha * high) / smallest;
                let rounding = 2.0 * inverse / (1u128 << exponentials.exp.program().output().1.bits()) as f64;
                // Of a lane, from the largest lane of the values; of a row, from their largest row: a weighted sum of
                // rows is no longer than Σ |weight| times the longest.
                let each = rounding + 2.0 / (1u128 << bits) as f64;
                let weighted = |largest: f64| total * largest / (1u128 << value_bits) as f64;
                let bound = weighted(largest) + each;
                let bounds = integers(-bound, bound, bits);
                known.lanes.iter_mut().for_each(|lane| *lane = lane.told(bounds, node.format.ring));
                if let Some(rows) = &self.known(self.values_of(fact))?.ball {
                    let radius = weighted(rows.magnitude()) * (1.0 + MARGIN);
                    let unit = (1u128 << bits) as f64;
                    known.ball = Some(Ball::around_zero(&node.shape, radius * unit).loosened(each * unit));
                }
            }
            // It was known of the sum already.
            Fact::Normalised { stretched: Some(_), .. } => {}
            Fact::Normalised { row, .. } => {
                let norm = self.normalised(id, fact)?;
                let norm = norm + (*row as f64).sqrt() / (1u128 << bits) as f64;
                let bounds = integers(-norm, norm, bits);
                known.lanes.iter_mut().for_each(|lane| *lane = lane.told(bounds, node.format.ring));
                let radius = norm * (1u128 << bits) as f64 * (1.0 + MARGIN);
                known.ball = Some(Ball::around_zero(&node.shape, radius));
            }
        }
        Ok(())
    }

    /// What a fact says of the operand of its node's truncation.
    pub(super) fn before_truncation(&self, id: NodeId, fact: &Fact, total: &mut [Interval]) -> Result<(), Error> {
        if let (Fact::Normalised { stretched: None, .. }, NodeKind::Sum(sum)) = (fact, &self.circuit.node(id).kind) {
            let norm = self.normalised(id, fact)?;
            let factors = sum.products.first().map_or([id, id], |product| [product.left, product.right]);
            let bits: u8 = factors.iter().map(|&factor| self.circuit.node(factor).format.scale.bits()).sum();
            let bounds = integers(-norm, norm, bits);
            total.iter_mut().for_each(|lane| *lane = lane.meet(bounds));
        }
        Ok(())
    }

    /// The product (γ·c)·r of a fact that knows γ: rows of a bounded norm, stretched.
    pub(super) fn stretched(
        &self,
        id: NodeId,
        fact: &Fact,
        product: &Product,
        lanes: &mut [Interval],
    ) -> Result<Option<Ball>, Error> {
        let Fact::Normalised { stretched: Some(Stretched { centred, gamma }), .. } = *fact else { return Ok(None) };
        let norm = self.normalised(id, fact)?;
        let bits: u8 = [centred, product.right].iter().map(|&id| self.circuit.node(id).format.scale.bits()).sum();
        let radius = norm * (1u128 << bits) as f64 * (1.0 + MARGIN);
        let factors: Vec<f64> = self.lanes(gamma)?.0.iter().map(|lane| lane.low as f64).collect();
        let shape = &self.circuit.node(id).shape;
        let ball = Ball::around_zero(shape, radius).stretched(&factors);
        let reach: Vec<f64> = factors.iter().map(|factor| factor.abs() * radius * (1.0 + MARGIN)).collect();
        ball.tighten(&reach, lanes);
        Ok(Some(ball))
    }

    /// Bounds of the matrix products of centred rows with themselves.
    pub(super) fn sum_of_squares(&self, squares: Squares, centred: NodeId) -> Result<Vec<Interval>, Error> {
        let (lanes, shape) = self.lanes(centred)?;
        let row = shape.row_length();
        let mut bounds = interval::row_squares(lanes, row);
        let (argument, _) = self.lanes(squares.argument)?;
        let rows = self.known(squares.argument)?.ball.as_ref();
        let reach = rows.map(|ball| ball.centred_magnitude());
        for (bound, row) in bounds.iter_mut().zip(argument.chunks_exact(row)) {
            if let Some(high) = reach.and_then(|reach| centred_squares_of(reach, row, squares)) {
                *bound = bound.meet(Interval { low: 0, high });
            }
            if let Some(high) = centred_squares(row, squares.multiplier, squares.mean_bits) {
                *bound = bound.meet(Interval { low: 0, high });
            }
        }
        Ok(bounds)
    }

    fn values_of(&self, fact: &Fact) -> NodeId {
        match fact {
            Fact::Averaged { values, .. } => *values,
            _ => NodeId(0),
        }
    }

    fn vacuous(&self, id: NodeId, reason: &str) -> Error {
        Error::Choice { site: self.circuit.group_name(id).into(), reason: reason.into() }
    }

    /// A replaced lane takes part in a maximum: no other lane may be below it.
    fn check_fill(&self, id: NodeId, fill: i64, known: &Known) -> Result<(), Error> {
        match known.lanes.iter().any(|lane| lane.low < i128::from(fill)) {
            true => Err(self.vacuous(id, "values may lie below what masks them; compare more bits")),
            false => Ok(()),
        }
    }

    /// No lane may be beyond what was announced: exp's argument and the sum of a row rest on it.
    fn check_logits(&self, id: NodeId, (planned_low, planned_high): (i64, i64), known: &Known) -> Result<(), Error> {
        let hull = interval::hull(&known.lanes);
        let [low, high] = [hull.low, hull.high].map(|end| end.saturating_add(i128::from(planned_high)));
        match low < i128::from(planned_low) || high > i128::from(planned_high) {
            true => {
                let (site, scale) = (self.circuit.group_name(id).into(), self.circuit.node(id).format.scale);
                Err(Error::Logits { site, low, high, planned_low, planned_high, scale })
            }
            false => Ok(()),
        }
    }

    /// A bound of ‖c·r‖₂ in real units. V's integer is at least (S + ε)·2^-shift − 1, S = Σ c², and
    /// r ≤ (1 + β)/√V + α, so ‖c·r‖ ≤ (1 + β)·√(S/(S + ε − 2^shift)) + α·√S.
    fn normalised(&self, id: NodeId, fact: &Fact) -> Result<f64, Error> {
        let Fact::Normalised { rsqrt, epsilon_encoded, squares_scale, squares, stretched, .. } = fact else {
            return Err(self.vacuous(id, "it is no normalised row"));
        };
        let (epsilon, squares_scale, squares) = (*epsilon_encoded, *squares_scale, *squares);
        let NodeKind::Sum(sum) = &self.circuit.node(id).kind else { return Err(self.vacuous(id, "it is no sum")) };
        let Some(product) = sum.products.first() else { return Err(self.vacuous(id, "it has no product")) };
        let centred = stretched.map_or(product.left, |stretched| stretched.centred);
        let scale = self.circuit.node(centred).format.scale.bits();
        let shift = squares_scale.saturating_sub(rsqrt.program().input().1.bits());
        let (epsilon, unit) = (epsilon as f64, (1u128 << shift) as f64);
        if epsilon <= unit {
            return Err(self.vacuous(id, "its epsilon vanishes at the scale of its rsqrt entry's input"));
        }
        let largest = interval::hull(&self.sum_of_squares(squares, centred)?).high as f64;
        // √(S/(S + ε')) grows with S. The gain 2^log between Σ c² and the variance is part of the squares' scale.
        let gain = (1u128 << (squares_scale - 2 * scale)) as f64;
        let ratio = (largest / (largest + epsilon - unit)).sqrt() * gain.sqrt();
        let norm = (largest.sqrt()) / (1u128 << scale) as f64;
        let (alpha, beta) = (upper(&rsqrt.claim().absolute_part()), upper(&rsqrt.claim().relative_part()));
        Ok(((1.0 + beta) * ratio + alpha * norm) * (1.0 + MARGIN))
    }
}

/// A bound of Σ c²: multiplier²·Σ (x − t)² with t the middle of the row's hull, and n·e² for a mean that is off by e.
/// A rounded mean is off by at most one unit, two more if it is the mean of what was rounded to x, one for the rounding
/// of t here, and |Σ x|·2^-bits for 1/n.
fn centred_squares(row: &[Interval], multiplier: i64, mean_bits: Option<u8>) -> Option<i128> {
    let hull = interval::hull(row);
    let middle = hull.low.checked_add(hull.high)? >> 1;
    let mut total = 0i128;
    for lane in row {
        let distance = lane.low.checked_sub(middle)?.checked_abs()?.max(lane.high.checked_sub(middle)?.checked_abs()?);
        total = total.checked_add(distance.checked_mul(distance)?)?;
    }
    let off = mean_error(hull, row.len() as i128, mean_bits)?;
    let multiplier = i128::from(multiplier);
    total.checked_mul(multiplier)?.checked_mul(multiplier)?.checked_add(off)
}

/// n·e² for a mean of n elements that is off by e.
fn mean_error(hull: Interval, n: i128, mean_bits: Option<u8>) -> Option<i128> {
    let off = match mean_bits {
        Some(bits) => (hull.magnitude().checked_mul(n)? >> bits) + 4,
        None => 0,
    };
    n.checked_mul(off.checked_mul(off)?)
}

/// The same from a bound of ‖x − mean‖.
fn centred_squares_of(reach: f64, row: &[Interval], squares: Squares) -> Option<i128> {
    let n = row.len() as i128;
    let off = mean_error(interval::hull(row), n, squares.mean_bits)?;
    let square = reach * reach * (1.0 + 4.0 * MARGIN) + 1.0;
    let multiplier = i128::from(squares.multiplier);
    (square < 1e36).then_some(square as i128)?.checked_mul(multiplier)?.checked_mul(multiplier)?.checked_add(off)
}

impl Exponentials {
    /// Bounds of Σ h·ê(d) over a row of n with Σ h·e^d ≥ t: [t·(1 − r) − n·ha, n·h(1 + a + r)].
    fn sum(&self) -> (f64, f64) {
        let (absolute, relative) = (upper(&self.exp.claim().absolute_part()), upper(&self.exp.claim().relative_part()));
        let n = self.row as f64 * self.factor;
        (self.least * (1.0 - relative) - n * absolute - MARGIN, n * (1.0 + absolute + relative) + MARGIN * n)
    }

    /// A bound of Σ |h·ê(d)|·ŝ over a row with sum S: S·ŝ ≤ 1 + β + α·S, and the negative ê add at most n·ha twice.
    fn total_probability(&self, reciprocal: &Certified) -> f64 {
        let (low, high) = self.sum();
        let absolute = upper(&self.exp.claim().absolute_part()) * self.factor;
        let (alpha, beta) = (upper(&reciprocal.claim().absolute_part()), upper(&reciprocal.claim().relative_part()));
        (1.0 + beta + alpha * high) * (1.0 + 2.0 * self.row as f64 * absolute / low.max(MARGIN)) * (1.0 + MARGIN)
    }
}
