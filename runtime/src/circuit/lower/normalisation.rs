//! Layer norm of rows of n, with 1/n exact: what is no power of two goes into a public gain.
//!
//! Let 2^m ≥ n be the least such power, κ = n/2^m. Exact centre: c = (n·x − Σx)/2^m = κ·(x − mean), no rounding.
//! Rounded centre: c = x − mean with one truncation. Then V = (Σ c² )/2^m + κ_v·ε = κ_v·(variance + ε), where
//! κ_v = κ·gain(c)², in one truncation; r = rsqrt(V); z' = c·r in one truncation, and z = z'·√κ_v/gain(c).
//! That gain, γ and the model's next weights are encoded together. Where κ_v·ε is less than the rsqrt entry's least
//! argument, as an ε of 1e-12 is, that argument is added instead; the bound of the error knows the difference.
//!
//! Two things are done beside what takes longer. Where the model has a γ and the centre is rounded, γ·c is made while
//! V and r are, and (γ·c)·r + β is the only truncation after V. Where x is a linear layer's output added to what was
//! there before, the mean is taken of that layer's sum before its truncation, so that both truncations share rounds;
//! the mean is then off by one more unit.

use super::super::Error;
use super::super::headroom::{Fact, Squares, Stretched};
use super::super::node::{
    Coefficient, Constant, Construction, Movement, NodeId, NodeKind, Normalisation, Product, ProductKind, Sum, Term,
};
use super::super::shape::Shape;
use super::super::tensor::nearest;
use super::{Centre, Choice, Lowering, Value, choice, rounding_of};
use crate::graph::{self, Operator};
use catalogs::{Format, Function, Lemma, Scale};
use std::sync::Arc;

/// Fraction bits that a normalised value has above the activations'; they cost nothing, as the next truncation
/// removes them.
const GUARD_BITS: u8 = 6;
/// The least number of fraction bits of 1/n in a rounded mean, where n is no power of two.
const MEAN_BITS: u8 = 26;
/// Fraction bits of a sum before its truncation that leave eight bits to a mean and ten to γ·z.
const BESIDE_BITS: u8 = 54;
const STRETCHED_BITS: u8 = 52;
/// The least number of fraction bits of 1/n beside a linear layer, and of a γ that is multiplied first.
const FACTOR_BITS_MIN: u8 = 12;

/// A row that was the sum of what is settled and of one truncated product of the row's layer.
struct Beside {
    /// What is known already.
    settled: Vec<NodeId>,
    /// The layer's argument and weight, and its biases.
    layer: (NodeId, NodeId),
    biases: Vec<NodeId>,
    /// Bits that the layer's truncation drops.
    shift: u8,
}

impl Lowering<'_> {
    pub(super) fn layer_norm(&mut self, node: &graph::Node) -> Result<Value, Error> {
        let choice = self.choice(node)?;
        let Choice::Normalisation { rsqrt, centre } = choice else { return Err(self.wrong_choice(node, choice)) };
        let (rsqrt, centre) = (Arc::clone(rsqrt), *centre);
        choice::require(&node.name, &rsqrt, Function::Rsqrt)?;
        let Operator::LayerNorm { gamma, beta, epsilon } = &node.operator else {
            return Err(self.refuse(node, "it is no layer norm"));
        };
        let value = self.unmasked(node.inputs[0])?;
        let x = self.settled("argument", &value)?;
        let row = node.shape.last().copied().unwrap_or(1);
        let log = row.next_power_of_two().trailing_zeros() as u8;
        let kappa = row as f64 / (1u64 << log) as f64;

        let (centred, mean, mean_bits) = self.centred(x, row, log, centre)?;
        let gain = if centre == Centre::Exact { kappa } else { 1.0 };
        let variance_gain = kappa * gain * gain;
        let scale = self.builder.format(centred).scale.bits();
        let squares_scale = 2 * scale + log;
        let added = Scale::new(squares_scale).map(|scale| Format { ring: self.formats.ring, scale });
        let (encoded, scale) =
            (added.and_then(|format| nearest(variance_gain * epsilon, format)), rsqrt.program().input().1);
        // Rows of equal elements must not leave the entry either: where ε is less than its least argument, that is added.
        let least = squares_scale.checked_sub(scale.bits()).and_then(|shift| {
            let unit = 1i64.checked_shl(u32::from(shift)).filter(|&unit| unit > 0)?;
            unit.checked_mul(rsqrt.claim().window.low.max(2))
        });
        let (Some(encoded), Some(least)) = (encoded, least) else {
            return Err(self.refuse(node, "its epsilon is too large at the scale of the squares"));
        };
        let epsilon_encoded = encoded.max(least);
        let squares = Squares {
            argument: x,
            multiplier: if centre == Centre::Exact { row as i64 } else { 1 },
            mean_bits: (centre == Centre::Rounded).then_some(if mean_bits == 0 { 63 } else { mean_bits }),
        };
        let (radicand, variance) = self.variance(node, centred, squares, log, epsilon_encoded, scale)?;
        let unit = (-f64::from(squares_scale)).exp2();
        self.rounded_summand(radicand, rounding_of(variance_gain * epsilon, epsilon_encoded as f64 * unit));
        let inverse = self.program(node, "rsqrt", &rsqrt, variance)?;
        let gamma_gain = variance_gain.sqrt() / gain;
        let built = Normalisation {
            row,
            log,
            epsilon: *epsilon,
            mean,
            variance: radicand,
            inverse,
            normalised: None,
            gamma_gain,
        };
        if gamma.is_some() && centre == Centre::Rounded {
            self.builder.describe(Construction::Normalisation(built));
            let (result, gamma) = self.stretched(node, centred, inverse, gamma_gain, beta.is_some())?;
            let stretched = Some(Stretched { centred, gamma });
            let fact = Fact::Normalised { rsqrt, row, epsilon_encoded, squares_scale, squares, stretched };
            self.facts.insert(result, fact);
            return Ok(Value::plain(result));
        }
        let normalised_scale = self.formats.activations.bits() + GUARD_BITS;
        let target = Scale::new(normalised_scale).ok_or_else(|| self.refuse(node, "its scale is out of range"))?;
        let normalised = self.product("normalised", ProductKind::Hadamard, centred, inverse, target)?;
        let fact = Fact::Normalised { rsqrt, row, epsilon_encoded, squares_scale, squares, stretched: None };
        self.facts.insert(normalised, fact);
        self.builder.describe(Construction::Normalisation(Normalisation { normalised: Some(normalised), ..built }));
        let normalised = Value::with_gain(normalised, gamma_gain);
        self.affine(node, normalised, gamma.is_some(), beta.is_some())
    }

    /// Rows minus their means, times the gain of the chosen way; the rounded mean, if any; and the fraction bits of an
    /// inexact 1/n.
    fn centred(
        &mut self,
        x: NodeId,
        row: usize,
        log: u8,
        centre: Centre,
    ) -> Result<(NodeId, Option<NodeId>, u8), Error> {
        let (ring, scale) = (self.formats.ring, self.builder.format(x).scale);
        let axis = self.builder.shape(x).rank() - 1;
        let total = self.builder.movement("total", Movement::SumAxis { axis }, x)?;
        match centre {
            Centre::Exact => {
                let own = Coefficient { value: row as i64, scale: log };
                let mean = Coefficient { value: -1, scale: log };
                let centred = self.builder.linear("centred", ring, &[(own, x), (mean, total)])?;
                Ok((centred, None, 0))
            }
            Centre::Rounded => {
                if let Some((mean, bits)) = self.mean_beside(x, row)? {
                    let terms = [(Coefficient::ONE, x), (Coefficient::MINUS_ONE, mean)];
                    return Ok((self.builder.linear("centred", ring, &terms)?, Some(mean), bits));
                }
                let factor = match row.is_power_of_two() {
                    true => Coefficient::halve(log),
                    false => super::coefficient("1/n", 1.0 / row as f64, MEAN_BITS)?,
                };
                let term = Term { coefficient: factor, value: total };
                let mean = self.sum("mean", Vec::new(), vec![term], Constant::Scalar(0), scale)?;
                self.rounded_factor(mean, factor, 1.0 / row as f64);
                let terms = [(Coefficient::ONE, x), (Coefficient::MINUS_ONE, mean)];
                let inexact = if row.is_power_of_two() { 0 } else { factor.scale };
                Ok((self.builder.linear("centred", ring, &terms)?, Some(mean), inexact))
            }
        }
    }

    /// The mean of a layer's sum before its truncation, added to what is settled: ready when the layer's output is. And
    /// the fraction bits of an inexact 1/n. `None` where x is no such sum or 1/n would have too few bits.
    fn mean_beside(&mut self, x: NodeId, row: usize) -> Result<Option<(NodeId, u8)>, Error> {
        let Some(Beside { settled, layer, biases, shift }) = self.beside(x) else { return Ok(None) };
        let scale = self.builder.format(x).scale;
        let bits = BESIDE_BITS.saturating_sub(scale.bits()).saturating_sub(shift);
        let exact = row.is_power_of_two().then(|| Coefficient::halve(row.trailing_zeros() as u8));
        let inexact = Coefficient { value: ((1i64 << bits) as f64 / row as f64).round() as i64, scale: bits };
        let factor = exact.unwrap_or(inexact);
        if factor.scale > bits || bits < FACTOR_BITS_MIN || factor.value == 0 {
            return Ok(None);
        }
        let raised = Coefficient { value: factor.value << shift, scale: factor.scale + shift };
        let mut total = |id: NodeId| {
            let axis = self.builder.shape(id).rank() - 1;
            self.builder.movement("total", Movement::SumAxis { axis }, id)
        };
        let mut linear = Vec::new();
        for own in settled {
            linear.push(Term { coefficient: raised, value: total(own)? });
        }
        for bias in biases {
            linear.push(Term { coefficient: factor, value: total(bias)? });
        }
        let (left, right) = (layer.0, total(layer.1)?);
        let product = Product { coefficient: factor, kind: ProductKind::MatMul, left, right };
        let mean = self.sum("mean", vec![product], linear, Constant::Scalar(0), scale)?;
        self.rounded_factor(mean, factor, 1.0 / row as f64);
        Ok(Some((mean, if exact.is_some() { 0 } else { factor.scale })))
    }

    /// How x is made of settled values and one linear layer.
    fn beside(&self, x: NodeId) -> Option<Beside> {
        let circuit = self.builder.so_far();
        let shape = &circuit.node(x).shape;
        let plain = |sum: &Sum| {
            sum.constant == Constant::Scalar(0) && sum.linear.iter().all(|term| term.coefficient == Coefficient::ONE)
        };
        let NodeKind::Sum(sum) = &circuit.node(x).kind else { return None };
        let same = |term: &Term| circuit.node(term.value).shape == *shape;
        if !plain(sum) || !sum.products.is_empty() || sum.truncation.is_some() || !sum.linear.iter().all(same) {
            return None;
        }
        let is_weight = |id: NodeId| matches!(circuit.node(id).kind, NodeKind::Weight(_));
        let layer = |id: NodeId| {
            let NodeKind::Sum(sum) = &circuit.node(id).kind else { return None };
            let Some(Lemma::Truncation { ring, target, shift, .. }) = sum.truncation else { return None };
            let [product] = &sum.products[..] else { return None };
            let matrix = product.kind == ProductKind::MatMul && product.coefficient == Coefficient::ONE;
            let weight = is_weight(product.right) && circuit.node(product.right).shape.rank() == 2;
            let biased = sum.linear.iter().all(|term| is_weight(term.value));
            let served = ring == self.formats.ring && target == ring;
            (plain(sum) && matrix && weight && biased && served).then(|| Beside {
                settled: Vec::new(),
                layer: (product.left, product.right),
                biases: sum.linear.iter().map(|term| term.value).collect(),
                shift,
            })
        };
        let mut found = None;
        let mut settled = Vec::new();
        for term in &sum.linear {
            match layer(term.value) {
                // Of two layers one is as good as settled.
                Some(layer) if found.is_none() => found = Some(layer),
                _ => settled.push(term.value),
            }
        }
        found.filter(|_| !settled.is_empty()).map(|found| Beside { settled, ..found })
    }

    /// (γ·c)·r + β in one truncation, with γ times `gain` encoded; and the node of γ.
    fn stretched(
        &mut self,
        node: &graph::Node,
        centred: NodeId,
        inverse: NodeId,
        gain: f64,
        beta: bool,
    ) -> Result<(NodeId, NodeId), Error> {
        let ring = self.formats.ring;
        let bits = [centred, inverse].map(|id| self.builder.format(id).scale.bits());
        let left = STRETCHED_BITS.saturating_sub(bits[0]).saturating_sub(bits[1]);
        let gamma_bits = left.clamp(FACTOR_BITS_MIN, self.formats.weights.bits().max(FACTOR_BITS_MIN));
        let out_of_range = || self.refuse(node, "the scale of its γ is out of range");
        let carried = Scale::new(bits[0] + gamma_bits).ok_or_else(out_of_range)?;
        let (gamma_scale, beta_scale) = (Scale::new(gamma_bits), Scale::new(carried.bits() + bits[1]));
        let (Some(gamma_scale), Some(beta_scale)) = (gamma_scale, beta_scale) else { return Err(out_of_range()) };
        let gamma = self.weight(node, 0, Format { ring, scale: gamma_scale }, gain, None)?;
        let stretched = self.product("stretched", ProductKind::Hadamard, centred, gamma, carried)?;
        let mut linear = Vec::new();
        if beta {
            let bias = self.weight(node, 1, Format { ring, scale: beta_scale }, 1.0, None)?;
            linear.push(Term { coefficient: Coefficient::ONE, value: bias });
        }
        let (coefficient, kind) = (Coefficient::ONE, ProductKind::Hadamard);
        let product = Product { coefficient, kind, left: stretched, right: inverse };
        let result = self.sum("normalised", vec![product], linear, Constant::Scalar(0), self.formats.activations)?;
        Ok((result, gamma))
    }

    /// Σ c² / 2^log + ε of every row at `scale`: one truncation. Also with the row's axis left at extent 1.
    fn variance(
        &mut self,
        node: &graph::Node,
        centred: NodeId,
        known: Squares,
        log: u8,
        epsilon: i64,
        scale: Scale,
    ) -> Result<(NodeId, NodeId), Error> {
        let shape = self.builder.shape(centred).clone();
        let (outer, row) = (&shape.extents()[..shape.rank() - 1], shape.row_length());
        let reshape = |extents: Vec<usize>| Shape::new(extents).map(|shape| Movement::Reshape { shape });
        let rows = reshape([outer, &[1, row]].concat()).map_err(Error::Circuit)?;
        let columns = reshape([outer, &[row, 1]].concat()).map_err(Error::Circuit)?;
        let left = self.builder.movement("rows", rows, centred)?;
        let right = self.builder.movement("columns", columns, centred)?;
        let squares = Product { coefficient: Coefficient::halve(log), kind: ProductKind::MatMul, left, right };
        let variance = self.sum("variance", vec![squares], Vec::new(), Constant::Scalar(epsilon), scale)?;
        self.facts.insert(variance, Fact::SumOfSquares(known));
        let kept = reshape([outer, &[1]].concat()).map_err(|reason| self.refuse(node, reason))?;
        Ok((variance, self.builder.movement("variance", kept, variance)?))
    }

    /// γ·z + β in one truncation, where the model has them and its next layer did not take them up.
    fn affine(&mut self, node: &graph::Node, z: Value, gamma: bool, beta: bool) -> Result<Value, Error> {
        if !gamma && !beta {
            return Ok(z);
        }
        let (ring, target) = (self.formats.ring, self.formats.activations);
        let own = self.builder.format(z.node).scale.bits();
        let (mut products, mut linear) = (Vec::new(), Vec::new());
        let mut rounded = None;
        let bits = match gamma {
            true => {
                let format = Format { ring, scale: self.formats.weights };
                let weight = self.weight(node, 0, format, z.gain, None)?;
                let (coefficient, kind) = (Coefficient::ONE, ProductKind::Hadamard);
                products.push(Product { coefficient, kind, left: z.node, right: weight });
                own + self.formats.weights.bits()
            }
            false => {
                let coefficient = super::coefficient("gain", z.gain, 0)?;
                linear.push(Term { coefficient, value: z.node });
                rounded = Some(coefficient);
                own + coefficient.scale
            }
        };
        if beta {
            let scale = Scale::new(bits).ok_or_else(|| self.refuse(node, "the scale of its bias is out of range"))?;
            let bias = self.weight(node, usize::from(gamma), Format { ring, scale }, 1.0, None)?;
            linear.push(Term { coefficient: Coefficient::ONE, value: bias });
        }
        let sum = self.sum("affine", products, linear, Constant::Scalar(0), target)?;
        if let Some(coefficient) = rounded {
            self.rounded_factor(sum, coefficient, z.gain);
        }
        Ok(Value::plain(sum))
    }
}
