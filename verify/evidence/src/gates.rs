//! What is left of a program at one input: products with a factor that is zero there are taken out, with everything
//! that only they read.
//!
//! Establishes: the steps that remain compute the same set of outputs. A product vanishes whatever its other factor
//! is, poison included, so no choice made for that factor can reach the output through it. In the tails of a
//! piecewise program this removes whole polynomials, whose roundings would multiply the states for nothing.
//!
//! Only factors without nondeterminism are looked at (they are computed first). Which of them vanish changes at few
//! places of a window, so the remaining steps are kept from one input to the next.

use crate::prepare::{Action, Prepared, Step, Word};
use crate::states::Value;

struct Gate<W> {
    step: usize,
    product: usize,
    factor: usize,
    coefficient: W,
    unused: u32,
}

/// The remaining steps, and which products they lack.
pub(crate) struct Gates<W> {
    gates: Vec<Gate<W>>,
    closed: Vec<bool>,
    steps: Vec<Step<W>>,
}

impl<W: Word> Gates<W> {
    pub(crate) fn new(prepared: &Prepared<W>) -> Gates<W> {
        let mut gates = Vec::new();
        for (step, prepared_step) in prepared.steps.iter().enumerate() {
            let Action::Sum { unused, products, .. } = &prepared_step.action else { continue };
            for (product, &(coefficient, left, right)) in products.iter().enumerate() {
                for factor in [left, right] {
                    if prepared.deterministic[factor] {
                        gates.push(Gate { step, product, factor, coefficient, unused: *unused });
                    }
                }
            }
        }
        let closed = vec![false; gates.len()];
        let steps = remaining(prepared, &gates, &closed);
        Gates { gates, closed, steps }
    }

    /// The steps that are left where the deterministic values are `values`. Hand them back with [`Gates::keep`].
    pub(crate) fn open(&mut self, prepared: &Prepared<W>, values: &[Value<W>]) -> Vec<Step<W>> {
        let mut changed = false;
        for (gate, closed) in self.gates.iter().zip(&mut self.closed) {
            let vanishes = match values[gate.factor] {
                Value::Known(value) => gate.coefficient.times(value).reduced(gate.unused) == W::default(),
                _ => false,
            };
            changed |= vanishes != *closed;
            *closed = vanishes;
        }
        if changed {
            self.steps = remaining(prepared, &self.gates, &self.closed);
        }
        std::mem::take(&mut self.steps)
    }

    /// Takes the steps back for the next input.
    pub(crate) fn keep(&mut self, steps: Vec<Step<W>>) {
        self.steps = steps;
    }
}

/// The nondeterministic steps of `prepared` without closed products, without steps that nobody reads any more, and
/// with lanes released as early as that allows.
fn remaining<W: Word>(prepared: &Prepared<W>, gates: &[Gate<W>], closed: &[bool]) -> Vec<Step<W>> {
    let mut steps = prepared.steps.clone();
    for (index, step) in steps.iter_mut().enumerate() {
        if let Action::Sum { products, .. } = &mut step.action {
            let is_closed = |product: usize| {
                let mut pairs = gates.iter().zip(closed);
                pairs.any(|(gate, closed)| *closed && gate.step == index && gate.product == product)
            };
            let kept = products.iter().enumerate().filter(|(product, _)| !is_closed(*product));
            *products = kept.map(|(_, product)| *product).collect();
        }
    }
    let last = steps.len() - 1;
    let mut read = vec![false; steps.len()];
    read[last] = true;
    for index in (0..steps.len()).rev() {
        let needed = read[index] && !prepared.deterministic[index];
        let step = &mut steps[index];
        step.released.clear();
        if !needed {
            step.action = Action::Nothing;
            continue;
        }
        for operand in step.action.operands() {
            if !read[operand] {
                read[operand] = true;
                if !prepared.deterministic[operand] {
                    step.released.push(prepared.steps[operand].lane);
                }
            }
        }
    }
    steps
}
