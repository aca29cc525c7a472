//! Softmax of rows: exact maximum, exp of the difference, reciprocal of the sum, one product.
//!
//! With |ê(d) − e^d| ≤ a + r·e^d the sum of a row of n lies in [1 − n·a − r, n·(1 + a + r)], because the largest
//! element has d = 0 and no other d is positive. That is where the reciprocal must be certified.

use super::super::Error;
use super::super::headroom::Fact;
use super::super::node::{Coefficient, Construction, Movement, NodeId, ProductKind};
use super::{Choice, Divisor, Lowering, Value, choice};
use crate::graph::{self, Operator};
use catalogs::Function;
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
        let candidates = match &masked {
            Some(replaced) => {
                let value = maximum.low_fill();
                let filled = self.replace("unmasked", replaced, value, x)?;
                self.facts.insert(filled, Fact::NotBelow(value));
                filled
            }
            None => x,
        };
        let largest = self.maximum(&maximum, candidates, axis)?;
        let ring = self.builder.format(x).ring;
        let mut difference =
            self.builder.linear("difference", ring, &[(Coefficient::ONE, x), (Coefficient::MINUS_ONE, largest)])?;
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
        self.facts.insert(total, Fact::SumOfExponentials { exp: Arc::clone(&exp), row });
        let inverse = self.program(node, "reciprocal", &reciprocal, total)?;
        // A masked lane is an exact zero, so that the bound of a whole row covers it.
        let describe =
            |probabilities| Construction::Softmax { row, exp: evaluated, reciprocal: inverse, probabilities };
        if normalise_last {
            self.builder.describe(describe(None));
            let divisor = Divisor { inverse, exp, reciprocal, row };
            return Ok(Value { divisor: Some(divisor), ..Value::plain(exponential) });
        }
        let scale = self.formats.activations;
        let probabilities = self.product("probabilities", ProductKind::Hadamard, exponential, inverse, scale)?;
        self.builder.describe(describe(Some(probabilities)));
        self.facts.insert(probabilities, Fact::Probabilities { exp, reciprocal, row });
        Ok(Value::plain(probabilities))
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
