//! Softmax of rows: exact maximum, exp of the difference, reciprocal of the sum, one product.
//!
//! With |ê(d) − e^d| ≤ a + r·e^d the sum of a row of n lies in [1 − n·a − r, n·(1 + a + r)], because the largest
//! element has d = 0 and no other d is positive. That is where the reciprocal must be certified.
//!
//! A softmax does not need the maximum itself: anything a little above serves. A coarse maximum is that of
//! y = ⌊x/2^g⌋ + δ, δ ∈ {0, 1}, of g bits less, and m = (max y + 1)·2^g is subtracted. As y + 1 > x/2^g, no x − m is
//! positive; the winner's y is at most ⌊x/2^g⌋ + 1, so that the largest x − m is at least −2^(g+1). Where x is itself
//! the truncation of a sum, y is truncated from that sum beside it: the same holds with one unit of x more.

use super::super::Error;
use super::super::headroom::Fact;
use super::super::node::{Coefficient, Constant, Construction, Movement, NodeId, NodeKind, ProductKind, Sum, Term};
use super::{Choice, Comparisons, Divisor, Lowering, Value, choice, truncation};
use crate::graph::{self, Operator};
use catalogs::{Function, Lemma, Scale};
use std::sync::Arc;

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
        let Choice::Softmax { maximum, exp, reciprocal, normalise_last } = choice else {
            return Err(self.wrong_choice(node, choice));
        };
        let (maximum, exp, reciprocal) = (maximum.clone(), Arc::clone(exp), Arc::clone(reciprocal));
        let normalise_last = *normalise_last;
        choice::require(&node.name, &exp, Function::Exp)?;
        choice::require(&node.name, &reciprocal, Function::Reciprocal)?;
        if normalise_last && !self.feeds_one_product(node) {
            return Err(self.refuse(node, "it can be divided last only if its one user multiplies it as a matrix"));
        }
        let row = node.shape.last().copied().unwrap_or(1);

        let value = self.values[node.inputs[0].index()].clone();
        let masked = value.masked.clone();
        let x = self.settled("argument", &value)?;
        let axis = node.shape.len() - 1;
        let compared = if maximum.coarse > 0 { self.coarse(node, x, maximum.coarse)? } else { x };
        let comparisons = Comparisons { width: maximum.width.saturating_sub(maximum.coarse), ..maximum.clone() };
        let candidates = match &masked {
            Some(replaced) => {
                let value = comparisons.low_fill();
                let filled = self.replace("unmasked", replaced, value, compared)?;
                self.facts.insert(filled, Fact::NotBelow(value));
                filled
            }
            None => compared,
        };
        let largest = self.maximum(&comparisons, candidates, axis)?;
        let mut difference = self.difference(x, largest, maximum.coarse)?;
        let above = if maximum.coarse > 0 { (2i64 << maximum.coarse) + 1 } else { 0 };
        let least = (-(above as f64) * (-f64::from(self.builder.format(x).scale.bits())).exp2()).exp();
        if let Some(replaced) = &masked {
            difference = self.replace("difference", replaced, 0, difference)?;
        }
        self.facts.insert(difference, Fact::NotPositive);
        let evaluated = self.program(node, "exp", &exp, difference)?;
        let exponential = match &masked {
            Some(replaced) => self.replace("exp", replaced, 0, evaluated)?,
            None => evaluated,
        };
        let total = self.builder.movement("total", Movement::SumAxis { axis }, exponential)?;
        self.facts.insert(total, Fact::SumOfExponentials { exp: Arc::clone(&exp), row, least });
        let inverse = self.program(node, "reciprocal", &reciprocal, total)?;
        // A masked lane is an exact zero, so that the bound of a whole row covers it.
        let describe =
            |probabilities| Construction::Softmax { row, above, exp: evaluated, reciprocal: inverse, probabilities };
        if normalise_last {
            self.builder.describe(describe(None));
            let divisor = Divisor { inverse, exp, reciprocal, row, least };
            return Ok(Value { divisor: Some(divisor), ..Value::plain(exponential) });
        }
        let scale = self.formats.activations;
        let probabilities = self.product("probabilities", ProductKind::Hadamard, exponential, inverse, scale)?;
        self.builder.describe(describe(Some(probabilities)));
        self.facts.insert(probabilities, Fact::Probabilities { exp, reciprocal, row, least });
        Ok(Value::plain(probabilities))
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
