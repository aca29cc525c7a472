//! What an input's owner promises of it, and what headroom is proved for.

use crate::circuit::headroom::InputBound;
use crate::graph::Tensor;
use std::collections::BTreeMap;

/// The promise about every input of a model.
#[derive(Clone, PartialEq, Debug)]
pub struct InputPromise {
    /// Every element of an input that is not named below lies in here.
    pub range: [f64; 2],
    /// Every row (last axis) of an input that is not named below has at most this Euclidean norm.
    pub row_norm: Option<f64>,
    /// Ranges of inputs that have their own, such as a mask; nothing is promised of their norms.
    pub named: BTreeMap<String, [f64; 2]>,
}

impl InputPromise {
    /// What is promised of one input.
    pub fn of(&self, input: &str) -> InputBound {
        match self.named.get(input) {
            Some(&[low, high]) => InputBound { low, high, row_norm: None },
            None => InputBound { low: self.range[0], high: self.range[1], row_norm: self.row_norm },
        }
    }

    /// Whether the promise itself makes sense for a model with these inputs; a phrase if not.
    pub fn sensible<'a>(&self, inputs: impl Iterator<Item = &'a str>) -> Result<(), String> {
        let inputs: Vec<&str> = inputs.collect();
        let ranges = self.named.values().chain([&self.range]);
        if let Some([low, high]) =
            ranges.copied().find(|[low, high]| !(low.is_finite() && high.is_finite() && low <= high))
        {
            return Err(format!("the input range [{low}, {high}] is empty or not finite"));
        }
        if let Some(norm) = self.row_norm.filter(|norm| !(norm.is_finite() && *norm > 0.0)) {
            return Err(format!("a row norm of {norm} is not a positive number"));
        }
        match self.named.keys().find(|name| !inputs.contains(&name.as_str())) {
            Some(name) => Err(format!("a range is given for '{name}', which is no secret input of the model")),
            None => Ok(()),
        }
    }

    /// Whether an input keeps the promise; a phrase if not.
    pub fn kept(&self, input: &str, tensor: &Tensor) -> Result<(), String> {
        let InputBound { low, high, row_norm } = self.of(input);
        if let Some(index) = tensor.data.iter().position(|x| !(*x >= low && *x <= high)) {
            return Err(format!("element {index} of input {input} lies outside the input range [{low}, {high}]"));
        }
        match row_norm.filter(|&promised| largest_row_norm(tensor) > promised) {
            Some(promised) => Err(format!("a row of input {input} has a norm above the promised {promised}")),
            None => Ok(()),
        }
    }
}

/// The largest Euclidean norm of a row (last axis).
fn largest_row_norm(tensor: &Tensor) -> f64 {
    tensor.rows().map(|row| row.iter().map(|x| x * x).sum::<f64>().sqrt()).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn promise() -> InputPromise {
        let named = BTreeMap::from([("mask".to_owned(), [-100.0, 0.0])]);
        InputPromise { range: [-1.0, 1.0], row_norm: Some(1.2), named }
    }

    fn tensor(data: &[f64]) -> Tensor {
        Tensor { shape: vec![1, data.len()], data: data.to_vec() }
    }

    #[test]
    fn what_is_promised_is_held_against_each_input() {
        let promise = promise();
        assert!(promise.kept("x", &tensor(&[0.5, -0.5])).is_ok());
        assert!(promise.kept("x", &tensor(&[0.5, -1.5])).unwrap_err().contains("element 1 of input x"));
        assert!(promise.kept("x", &tensor(&[1.0, -1.0])).unwrap_err().contains("above the promised 1.2"));
        assert!(promise.kept("x", &tensor(&[f64::NAN])).is_err());
        assert!(promise.kept("mask", &tensor(&[-100.0, 0.0])).is_ok(), "no norm is promised of a mask");
        assert!(promise.kept("mask", &tensor(&[-100.5])).unwrap_err().contains("[-100, 0]"));
    }

    #[test]
    fn senseless_promises_are_refused() {
        let inputs = || ["x", "mask"].into_iter();
        assert!(promise().sensible(inputs()).is_ok());
        assert!(promise().sensible(["x"].into_iter()).unwrap_err().contains("'mask'"));
        let empty = InputPromise { range: [1.0, -1.0], ..promise() };
        assert!(empty.sensible(inputs()).unwrap_err().contains("empty"));
        let endless = InputPromise { named: BTreeMap::from([("mask".into(), [f64::NEG_INFINITY, 0.0])]), ..promise() };
        assert!(endless.sensible(inputs()).unwrap_err().contains("not finite"));
        let negative = InputPromise { row_norm: Some(-1.0), ..promise() };
        assert!(negative.sensible(inputs()).unwrap_err().contains("row norm"));
    }
}
