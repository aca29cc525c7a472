//! The model's weights in a session: shared in parts, and kept in the form in which they are read.

use super::Error;
use super::local::right_weight;
use crate::backend::{Backend, Shares};
use crate::circuit::{Circuit, NodeKind};
use std::ops::Range;
use std::sync::Arc;

/// Weights that are shared together: 32 MiB of a component.
pub(super) const PART_ELEMENTS: usize = 1 << 22;

/// The weights in parts that are shared one after the other, so that a party holds the frames and the working memory
/// of a part only: each has at most `most` elements, or one weight. There is at least one part.
pub(super) fn parts(circuit: &Circuit, most: usize) -> Vec<Range<usize>> {
    let slots = circuit.weights();
    let mut parts: Vec<Range<usize>> = Vec::from([Range::default()]);
    let mut elements = 0;
    for (index, slot) in slots.iter().enumerate() {
        elements += slot.shape.lanes();
        match parts.last_mut() {
            Some(part) if part.start == part.end || elements <= most => part.end = index + 1,
            _ => {
                parts.push(index..index + 1);
                elements = slot.shape.lanes();
            }
        }
    }
    parts
}

/// What a circuit does with each weight.
#[derive(Debug)]
pub(super) struct WeightUses {
    /// Rows and columns of the right matrix that a weight is, if it is one.
    right: Vec<Option<[usize; 2]>>,
    /// Whether anything but a product with the prepared form reads the weight.
    elsewhere: Vec<bool>,
}

impl WeightUses {
    /// Of every weight of a circuit.
    pub(super) fn of(circuit: &Circuit) -> WeightUses {
        let count = circuit.weights().len();
        let mut uses = WeightUses { right: vec![None; count], elsewhere: vec![false; count] };
        for (_, node) in circuit.iter() {
            let mut others = node.kind.operands();
            if let NodeKind::Sum(sum) = &node.kind {
                for product in &sum.products {
                    let Some(index) = right_weight(circuit, product) else { continue };
                    let extents = circuit.node(product.right).shape.extents();
                    uses.right[index] = Some([extents[0], extents[1]]);
                    if let Some(place) = others.iter().position(|&operand| operand == product.right) {
                        others.remove(place);
                    }
                }
            }
            for operand in others {
                if let NodeKind::Weight(weight) = circuit.node(operand).kind {
                    uses.elsewhere[weight.index()] = true;
                }
            }
        }
        uses
    }
}

#[cfg(test)]
impl WeightUses {
    /// Whether anything but a product with the prepared form reads the weight.
    pub(super) fn is_read_elsewhere(&self, index: usize) -> bool {
        self.elsewhere[index]
    }
}

/// What a party holds of a circuit's weights.
pub(super) struct Held<B: Backend> {
    /// Per weight, its components; none for a weight that nothing reads but products of its prepared form.
    pub shares: Vec<Option<Arc<Shares<B::Words>>>>,
    /// Per weight, its form as a right factor of products, for the weights that are.
    pub factors: Vec<Option<B::Factor>>,
}

impl<B: Backend> Held<B> {
    /// No weights yet.
    pub fn nothing() -> Held<B> {
        Held { shares: Vec::new(), factors: Vec::new() }
    }

    /// Keeps the next weight, which has this index, in the forms that are read.
    pub fn keep(
        &mut self,
        backend: &B,
        uses: &WeightUses,
        index: usize,
        shares: Shares<B::Words>,
    ) -> Result<(), Error> {
        let factor = uses.right[index].map(|[rows, columns]| backend.factor(&shares, rows, columns));
        self.factors.push(factor.transpose()?);
        self.shares.push(uses.elsewhere[index].then(|| Arc::new(shares)));
        Ok(())
    }
}
