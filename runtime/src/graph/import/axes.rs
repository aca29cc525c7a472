//! What a file leaves open and its user settles before import: extents of dynamic axes, inputs that are public, and
//! arguments that are limited.

use crate::graph::clamps::Clamp;
use std::collections::BTreeMap;

/// Extents of the dynamic axes of a file, and the values of inputs that everybody may know.
#[derive(Clone, Debug, PartialEq)]
pub struct Axes {
    batch: usize,
    named: BTreeMap<String, usize>,
    public: BTreeMap<String, Vec<f64>>,
    clamps: Vec<Clamp>,
}

impl Axes {
    /// The batch: dynamic axes that lead an input, and other axes of the same name.
    pub fn batch(batch: usize) -> Axes {
        Axes { batch, named: BTreeMap::new(), public: BTreeMap::new(), clamps: Vec::new() }
    }

    /// The same for another batch.
    #[must_use]
    pub fn for_batch(&self, batch: usize) -> Axes {
        Axes { batch, ..self.clone() }
    }

    /// Another dynamic axis (the number of tokens, for example).
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, extent: usize) -> Axes {
        self.named.insert(name.into(), extent);
        self
    }

    /// An input that is a public constant (an attention mask, for example): one number, or those of the input's
    /// trailing axes in row-major order, repeated over the axes before them.
    #[must_use]
    pub fn with_public(mut self, input: impl Into<String>, values: Vec<f64>) -> Axes {
        self.public.insert(input.into(), values);
        self
    }

    /// The arguments that are limited, instead of those that were.
    #[must_use]
    pub fn with_clamps(mut self, clamps: Vec<Clamp>) -> Axes {
        self.clamps = clamps;
        self
    }

    /// The arguments that are limited.
    pub fn clamps(&self) -> &[Clamp] {
        &self.clamps
    }

    /// Extents by the axis's name, without the batch.
    pub fn named(&self) -> &BTreeMap<String, usize> {
        &self.named
    }

    /// Public inputs by name.
    pub fn public(&self) -> &BTreeMap<String, Vec<f64>> {
        &self.public
    }

    pub(super) fn batch_extent(&self) -> usize {
        self.batch
    }

    pub(super) fn extent(&self, name: &str) -> Option<usize> {
        self.named.get(name).copied()
    }

    /// The elements of a public input of `shape`; a phrase if their number does not fit.
    pub(super) fn public_values(&self, input: &str, shape: &[usize]) -> Option<Result<Vec<f64>, String>> {
        let values = self.public.get(input)?;
        let count: usize = shape.iter().product();
        let fits = (0..=shape.len()).any(|axis| shape[axis..].iter().product::<usize>() == values.len());
        let finite = values.iter().all(|value| !value.is_nan());
        Some(match fits && finite {
            true => Ok(values.iter().copied().cycle().take(count).collect()),
            false => Err(format!("{} public values do not fill shape {shape:?}, or one is no number", values.len())),
        })
    }
}
