//! Softmax of rows: exact maximum, exp of the difference, reciprocal of the sum, one product.
//!
//! With |ê(d) − e^d| ≤ a + r·e^d the sum of a row of n lies in [1 − n·a − r, n·(1 + a + r)], because the largest
//! element has d = 0 and no other d is positive. That is where the reciprocal must be certified.
//!
//! A softmax does not need the maximum itself: anything a little above serves. A coarse maximum is that of
//! y = ⌊x/2^g⌋ + δ, δ ∈ {0, 1}, of g bits less, and m = (max y + 1)·2^g is subtracted. As y + 1 > x/2^g, no x − m is
//! positive; the winner's y is at most ⌊x/2^g⌋ + 1, so that the largest x − m is at least −2^(g+1). Where x is itself
//! the truncation of a sum, y is truncated from that sum beside it: the same holds with one unit of x more.
//!
//! Nor does it need a maximum where all logits are proved to lie within public bounds that are close enough: the upper
//! one is subtracted, and a row of m sums up to m·e^−w at least, where w is the distance of the bounds. Where that is
//! below the window of the reciprocal, exponentials are multiplied by a power of two first, which is local.

use super::super::Error;
use super::super::headroom::{Exponentials, Fact};
use super::super::node::{Coefficient, Constant, Construction, Movement, NodeId, NodeKind, ProductKind, Sum, Term};
use super::{Choice, Comparisons, Divisor, Logits, Lowering, Value, choice, truncation};
use crate::graph::{self, Operator};
use catalogs::{Format, Function, Lemma, Scale};
use std::sync::Arc;
use verify::Certified;
use verify::compose::Subtracted;

/// Logits minus what is subtracted from them: no lane that counts is positive, and none is below −`spread`.
struct Shifted {
    difference: NodeId,
    subtracted: Subtracted,
    spread: i64,
    /// Why, once masked lanes are zero.
    fact: Fact,
}

/// The fewest elements of a row that are not masked.
pub(crate) fn least_terms(masked: impl Iterator<Item = bool>, row: usize) -> usize {
    let mut free: Vec<usize> = Vec::new();
    for (lane, masked) in masked.enumerate() {
        match free.get_mut(lane / row.max(1)) {
            Some(free) => *free += usize::from(!masked),
            None => free.push(usize::from(!masked)),
        }
    }
    free.into_iter().min().unwrap_or(0)
}

impl Lowering<'_> {
    /// Marks lanes whose softmax weight is to be zero.
    pub(super) fn mask(&mut self, node: &graph::Node, masked: &graph::Constant) -> Result<Value, Error> {
        let value = self.unmasked(node.inputs[0])?;
        let tensor = masked.tensor().map_err(|error| self.refuse(node, error.to_string()))?;
        let flags: Vec<bool> = tensor.broadcast(&node.shape).data.iter().map(|&flag| flag != 0.0).collect();
        let row = node.shape.last().copied().unwrap_or(1);
        if flags.chunks(row).any(|row| row.iter().all(|&masked| masked)) {
            return Err(self.refuse(node, "a row is masked completely; its softmax has no meaning"));
        }
        Ok(Value { masked: Some(Arc::new(flags)), ..value })
    }

    pub(super) fn softmax(&mut self, node: &graph::Node) -> Result<Value, Error> {
        let choice = self.choice(node)?;
        let (Choice::Softmax { exp, reciprocal, .. } | Choice::SoftmaxWithoutMaximum { exp, reciprocal, .. }) = choice
        else {
            return Err(self.wrong_choice(node, choice));
        };
        let (exp, reciprocal, choice) = (Arc::clone(exp), Arc::clone(reciprocal), choice.clone());
        choice::require(&node.name, &exp, Function::Exp)?;
        choice::require(&node.name, &reciprocal, Function::Reciprocal)?;
        if choice.divides_last() && !self.feeds_one_product(node) {
            return Err(self.refuse(node, "it can be divided last only if its one user multiplies it as a matrix"));
        }
        let value = self.values[node.inputs[0].index()].clone();
        let masked = value.masked.clone();
        let x = self.settled("argument", &value)?;
        let row = node.shape.last().copied().unwrap_or(1);
        let shifted = match &choice {
            Choice::SoftmaxWithoutMaximum { logits, .. } => self.below_bound(node, x, masked.as_ref(), logits)?,
            Choice::Softmax { maximum, .. } => self.below_maximum(node, x, masked.as_ref(), (maximum, &exp))?,
            _ => return Err(self.wrong_choice(node, &choice)),
        };
        let Shifted { mut difference, subtracted, spread, fact } = shifted;
        if let Some(replaced) = &masked {
            difference = self.replace("difference", replaced, 0, difference)?;
        }
        self.facts.insert(difference, fact);
        let evaluated = self.program(node, "exp", &exp, difference)?;
        let mut exponential = match &masked {
            Some(replaced) => self.replace("exp", replaced, 0, evaluated)?,
            None => evaluated,
        };
        let real = |value: i64| value as f64 * (-f64::from(self.builder.format(x).scale.bits())).exp2();
        let (raised, least) = match subtracted {
            Subtracted::Maximum(above) => (0, (-real(above)).exp()),
            Subtracted::Public { terms, raised } => (raised, f64::from(terms) * (-real(spread)).exp()),
        };
        let factor = f64::from(raised).exp2();
        if raised > 0 {
            let coefficient = Coefficient { value: 1 << raised, scale: 0 };
            let ring = self.builder.format(exponential).ring;
            exponential = self.builder.linear("raised", ring, &[(coefficient, exponential)])?;
        }
        let exponentials = Exponentials { exp, row, factor, least: least * factor };
        let total = self.builder.movement("total", Movement::SumAxis { axis: node.shape.len() - 1 }, exponential)?;
        self.facts.insert(total, Fact::SumOfExponentials(exponentials.clone()));
        let inverse = self.program(node, "reciprocal", &reciprocal, total)?;
        // A masked lane is an exact zero, so that the bound of a whole row covers it.
        let describe = |probabilities| {
            let (exp, reciprocal) = (evaluated, inverse);
            Construction::Softmax { row, subtracted, spread, exp, reciprocal, probabilities }
        };
        if choice.divides_last() {
            self.builder.describe(describe(None));
            let divisor = Divisor { inverse, exponentials, reciprocal };
            return Ok(Value { divisor: Some(divisor), ..Value::plain(exponential) });
        }
        let scale = self.formats.activations;
        let probabilities = self.product("probabilities", ProductKind::Hadamard, exponential, inverse, scale)?;
        self.builder.describe(describe(Some(probabilities)));
        self.facts.insert(probabilities, Fact::Probabilities { exponentials, reciprocal });
        Ok(Value::plain(probabilities))
    }

    /// Logits minus their row's maximum, or a little more.
    fn below_maximum(
        &mut self,
        node: &graph::Node,
        x: NodeId,
        masked: Option<&Arc<Vec<bool>>>,
        (maximum, exp): (&Comparisons, &Certified),
    ) -> Result<Shifted, Error> {
        let compared = if maximum.coarse > 0 { self.coarse(node, x, maximum.coarse)? } else { x };
        let width = maximum.width.saturating_sub(maximum.coarse);
        let comparisons = Comparisons { width, coarse: 0, ..maximum.clone() };
        let candidates = match masked {
            Some(replaced) => {
                let value = comparisons.low_fill();
                let filled = self.replace("unmasked", replaced, value, compared)?;
                self.facts.insert(filled, Fact::NotBelow(value));
                filled
            }
            None => compared,
        };
        let largest = self.maximum(&comparisons, candidates, node.shape.len() - 1)?;
        let difference = self.difference(x, largest, maximum.coarse)?;
        let above = if maximum.coarse > 0 { (2i64 << maximum.coarse) + 1 } else { 0 };
        // The proof of headroom holds the differences against the entry's window.
        let spread = exp.claim().window.low.saturating_neg().max(0);
        Ok(Shifted { difference, subtracted: Subtracted::Maximum(above), spread, fact: Fact::NotPositive })
    }

    /// Logits minus the public number that none of them exceeds.
    fn below_bound(
        &mut self,
        node: &graph::Node,
        x: NodeId,
        masked: Option<&Arc<Vec<bool>>>,
        logits: &Logits,
    ) -> Result<Shifted, Error> {
        let Format { ring, scale } = self.builder.format(x);
        let bounds = logits.integers(scale.bits()).filter(|_| logits.raised <= Logits::MAX_RAISED);
        let Some((low, high)) = bounds else {
            let most = Logits::MAX_RAISED;
            return Err(self.refuse(
                node,
                format!(
                    "its logits cannot be bounded by {} and {}, raised by {}: the bounds are numbers with {scale} fraction \
                     bits, the lower one first, and two to at most {most} is raised",
                    logits.low, logits.high, logits.raised
                ),
            ));
        };
        let row = node.shape.last().copied().unwrap_or(1);
        let terms = masked.map_or(row, |flags| least_terms(flags.iter().copied(), row));
        let terms = u32::try_from(terms).map_err(|_| self.refuse(node, "its rows are too long"))?;
        let own = Term { coefficient: Coefficient::ONE, value: x };
        let constant = Constant::Scalar(-high);
        let sum = Sum { ring, products: Vec::new(), linear: vec![own], constant, truncation: None };
        let difference = self.builder.push("difference", NodeKind::Sum(sum))?;
        let subtracted = Subtracted::Public { terms, raised: logits.raised };
        Ok(Shifted { difference, subtracted, spread: high - low, fact: Fact::Logits { low, high } })
    }

    /// x without its `bits` low ones, rounded: from the sum that x was truncated from, if it was.
    fn coarse(&mut self, node: &graph::Node, x: NodeId, bits: u8) -> Result<NodeId, Error> {
        let format = self.builder.format(x);
        let scale = format.scale.bits().checked_sub(bits).and_then(Scale::new);
        let Some(scale) = scale else {
            return Err(self.refuse(node, "its maximum leaves out more bits than there are"));
        };
        if let NodeKind::Sum(sum) = &self.builder.so_far().node(x).kind
            && let Some(Lemma::Truncation { ring, target, shift, .. }) = sum.truncation
            && ring == target
            && u32::from(shift) + u32::from(bits) + 2 <= u32::from(ring.bits())
        {
            let sum = Sum { truncation: Some(truncation(ring, shift + bits)), ..sum.clone() };
            return self.builder.push("coarse", NodeKind::Sum(sum));
        }
        let own = Term { coefficient: Coefficient::ONE, value: x };
        self.sum("coarse", Vec::new(), vec![own], Constant::Scalar(0), scale)
    }

    /// x − largest, where `largest` lacks `coarse` bits and is raised by one of its units.
    fn difference(&mut self, x: NodeId, largest: NodeId, coarse: u8) -> Result<NodeId, Error> {
        let (ring, unit) = (self.builder.format(x).ring, 1i64 << coarse.min(62));
        let taken = Coefficient { value: -unit, scale: coarse };
        let linear = [(Coefficient::ONE, x), (taken, largest)].map(|(coefficient, value)| Term { coefficient, value });
        let constant = Constant::Scalar(if coarse > 0 { -unit } else { 0 });
        let sum = Sum { ring, products: Vec::new(), linear: linear.to_vec(), constant, truncation: None };
        self.builder.push("difference", NodeKind::Sum(sum))
    }

    fn replace(&mut self, name: &str, replaced: &Arc<Vec<bool>>, value: i64, operand: NodeId) -> Result<NodeId, Error> {
        self.builder.movement(name, Movement::Replace { replaced: Arc::clone(replaced), value }, operand)
    }

    /// Whether the only user of a node is a matrix product with the node on the left.
    fn feeds_one_product(&self, node: &graph::Node) -> bool {
        let mut users = self.graph.nodes().iter().filter(|user| user.inputs.contains(&node.id));
        let first = users.next();
        self.users[node.id.index()] == 1
            && first.is_some_and(|user| user.operator == Operator::MatMul && user.inputs[0] == node.id)
    }
}
