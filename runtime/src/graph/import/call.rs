//! One node of the file with its inputs looked up and its attributes readable.

use super::Scope;
use super::builder::{Builder, Literal, Value};
use crate::graph::onnx::{AttributeMessage, NodeMessage};

/// Why a node could not be lowered.
#[derive(Clone, Debug)]
pub(super) enum Refusal {
    /// It is a valid model, but there is no counterpart; the import goes on to find the others.
    Unsupported(String),
    /// The file contradicts itself.
    Invalid(String),
}

impl From<String> for Refusal {
    fn from(reason: String) -> Refusal {
        Refusal::Invalid(reason)
    }
}

/// The largest kernel, stride, dilation or padding that is believed.
const GEOMETRY_MAX: i64 = 1 << 16;

pub(super) struct Call<'a> {
    node: &'a NodeMessage,
    inputs: Vec<Option<Value>>,
    pub operator_set: i64,
}

impl<'a> Call<'a> {
    /// Looks the inputs up; `None` where one of them comes from an unsupported node.
    pub fn bind(node: &'a NodeMessage, operator_set: i64, scope: &Scope) -> Result<Option<Call<'a>>, Refusal> {
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for name in &node.inputs {
            if name.is_empty() {
                inputs.push(None);
                continue;
            }
            match scope.get(name) {
                Some(Some(value)) => inputs.push(Some(value.clone())),
                Some(None) => return Ok(None),
                None => {
                    return Err(Refusal::Invalid(format!("its input '{name}' is not computed by an earlier node")));
                }
            }
        }
        Ok(Some(Call { node, inputs, operator_set }))
    }

    pub fn operator(&self) -> &'a str {
        &self.node.operator
    }

    pub fn domain(&self) -> &'a str {
        &self.node.domain
    }

    pub fn is_standard(&self) -> bool {
        self.node.domain.is_empty() || self.node.domain == "ai.onnx"
    }

    pub fn outputs(&self) -> usize {
        self.node.outputs.len()
    }

    pub fn inputs(&self) -> Result<Vec<Value>, Refusal> {
        (0..self.inputs.len()).map(|index| self.input(index)).collect()
    }

    pub fn input(&self, index: usize) -> Result<Value, Refusal> {
        self.optional(index).ok_or_else(|| Refusal::Invalid(format!("its input {index} is missing")))
    }

    pub fn optional(&self, index: usize) -> Option<Value> {
        self.inputs.get(index).cloned().flatten()
    }

    /// An input that must be known at import; `what` names it in the message.
    pub fn literal(&self, index: usize, what: &str) -> Result<Literal, Refusal> {
        match self.input(index)? {
            Value::Literal(literal) => Ok(literal),
            Value::Node(_) => Err(Refusal::Unsupported(format!("its {what} is computed; a constant is supported"))),
        }
    }

    pub fn optional_literal(&self, index: usize, what: &str) -> Result<Option<Literal>, Refusal> {
        if self.optional(index).is_none() { Ok(None) } else { self.literal(index, what).map(Some) }
    }

    /// Integers from an input, or from the attribute that older operator sets use.
    pub fn integers_at(&self, index: usize, name: &str) -> Result<Option<Vec<i64>>, Refusal> {
        match self.optional_literal(index, name)? {
            Some(literal) => Ok(Some(literal.tensor.data.iter().map(|&value| value as i64).collect())),
            None => Ok(self.integers(name).map(<[i64]>::to_vec)),
        }
    }

    pub fn attribute(&self, name: &str) -> Option<&'a AttributeMessage> {
        self.node.attributes.iter().find(|attribute| attribute.name == name)
    }

    pub fn integer(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).map_or(default, |attribute| attribute.integer)
    }

    pub fn integers(&self, name: &str) -> Option<&'a [i64]> {
        self.attribute(name).map(|attribute| attribute.integers.as_slice())
    }

    pub fn real(&self, name: &str, default: f32) -> f64 {
        f64::from(self.attribute(name).map_or(default, |attribute| attribute.float))
    }

    pub fn string(&self, name: &str, default: &str) -> String {
        self.attribute(name).map_or(default.into(), |a| String::from_utf8_lossy(&a.string).into_owned())
    }

    /// A fixed number of small extents, each at least `minimum`.
    pub fn geometry<const N: usize>(
        &self,
        name: &str,
        minimum: i64,
        default: [usize; N],
    ) -> Result<[usize; N], Refusal> {
        let Some(values) = self.integers(name) else {
            return Ok(default);
        };
        // One spatial axis is the second of two.
        let lifted: Vec<i64> = values.iter().flat_map(|&value| [minimum, value]).collect();
        let values = if 2 * values.len() == N { lifted.as_slice() } else { values };
        if values.len() != N {
            return Err(Refusal::Unsupported(format!("its {name} are {values:?}; two spatial axes are supported")));
        }
        let mut result = default;
        for (slot, &value) in result.iter_mut().zip(values) {
            *slot = usize::try_from(value)
                .ok()
                .filter(|_| (minimum..=GEOMETRY_MAX).contains(&value))
                .ok_or_else(|| Refusal::Invalid(format!("its {name} are {values:?}")))?;
        }
        Ok(result)
    }
}

/// A possibly negative axis as an index below `rank`.
pub(super) fn axis(value: i64, rank: usize) -> Result<usize, Refusal> {
    let shifted = if value < 0 { value.checked_add(rank as i64) } else { Some(value) };
    shifted
        .and_then(|value| usize::try_from(value).ok())
        .filter(|&value| value < rank)
        .ok_or_else(|| Refusal::Invalid(format!("axis {value} does not exist in {rank} axes")))
}

/// Several axes, ascending and different.
pub(super) fn axes(values: &[i64], rank: usize) -> Result<Vec<usize>, Refusal> {
    let mut axes = values.iter().map(|&value| axis(value, rank)).collect::<Result<Vec<_>, _>>()?;
    axes.sort_unstable();
    if axes.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Refusal::Invalid(format!("axes {values:?} name one axis twice")));
    }
    Ok(axes)
}

/// The shape of an input.
pub(super) fn shape_of(builder: &Builder, value: &Value) -> Vec<usize> {
    builder.shape(value).to_vec()
}
