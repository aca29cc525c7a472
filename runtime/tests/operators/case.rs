//! One backend test: import, reference, lowering with shipped entries, proof of headroom, simulation, comparison.

use super::entries::Entries;
use catalogs::protocol::rss3::Rss3;
use prost::Message;
use runtime::circuit;
use runtime::circuit::ideal::{self, RoundingMode};
use runtime::graph::onnx::{self, ElementKind, TensorMessage};
use runtime::graph::{Axes, Error, Graph, Tensor, reference};
use std::path::Path;

/// How far an output may be from the expected one: absolutely, and relative to the expected one's size.
const REFERENCE: f64 = 1e-4;
const PRIVATE: f64 = 5e-3;
/// The same where the expected output has half precision or less.
const COARSE: f64 = 1e-2;
const HALF_PRECISION: [i32; 2] = [10, 16];

/// What became of a case.
pub enum Verdict {
    /// Right, with the largest difference of a private simulation.
    Pass { private: f64, secrets: &'static str, price: Price },
    /// Every input is an integer or a truth value: nothing in it is secret.
    Public,
    /// Refused with a reason.
    Refused(String),
    /// Wrong.
    Failed(String),
}

/// What a private run costs and promises.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Price {
    pub rounds: u32,
    /// Payload bytes of all parties, per element of the outputs.
    pub bytes_per_element: f64,
    /// The largest certified error of a site, if there is a site; zero is exact.
    pub certified: Option<f64>,
}

pub struct Case {
    pub operator: String,
    model: Vec<u8>,
    inputs: Vec<(String, Tensor, bool)>,
    pub outputs: Vec<Tensor>,
    coarse: bool,
}

fn message(path: &Path) -> Result<TensorMessage, String> {
    let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
    TensorMessage::decode(bytes.as_slice()).map_err(|error| error.to_string())
}

fn tensor(message: TensorMessage) -> Result<(String, Tensor, bool), String> {
    let (tensor, kind) = message.values()?;
    Ok((message.name, tensor, kind == ElementKind::Real))
}

impl Case {
    /// Reads a folder; a type of tensor that import does not know is a phrase.
    pub fn read(folder: &Path) -> Result<Case, (String, String)> {
        let model = std::fs::read(folder.join("model.onnx")).unwrap();
        let decoded = onnx::decode(&model).unwrap();
        let operator = decoded.graph.as_ref().unwrap().nodes[0].operator.clone();
        let all = |kind: &str| {
            let files = (0..).map(|index| folder.join(format!("{kind}_{index}.pb"))).take_while(|path| path.exists());
            files.map(|path| message(&path)).collect::<Result<Vec<_>, String>>()
        };
        let named = |reason| (operator.clone(), reason);
        let (inputs, outputs) = (all("input").map_err(named)?, all("output").map_err(named)?);
        let coarse = outputs.iter().any(|output| HALF_PRECISION.contains(&output.data_type));
        let tensors = |list: Vec<TensorMessage>| list.into_iter().map(tensor).collect::<Result<Vec<_>, _>>();
        let (inputs, outputs) = (tensors(inputs).map_err(named)?, tensors(outputs).map_err(named)?);
        let outputs = outputs.into_iter().map(|(_, tensor, _)| tensor).collect();
        Ok(Case { operator, model, inputs, outputs, coarse })
    }

    /// With every real input secret; if that is refused, with the first one alone.
    pub fn judge(&self, entries: &Entries) -> Verdict {
        let real: Vec<usize> = (0..self.inputs.len()).filter(|&index| self.inputs[index].2).collect();
        let Some(&first) = real.first() else { return Verdict::Public };
        match self.attempt(&real, "all", entries) {
            Verdict::Refused(reason) if real.len() > 1 => match self.attempt(&[first], "the first", entries) {
                Verdict::Refused(_) => Verdict::Refused(reason),
                verdict => verdict,
            },
            verdict => verdict,
        }
    }

    fn attempt(&self, secret: &[usize], secrets: &'static str, entries: &Entries) -> Verdict {
        let mut axes = Axes::batch(1);
        for (index, (name, tensor, _)) in self.inputs.iter().enumerate() {
            if !secret.contains(&index) {
                axes = axes.with_public(name, tensor.data.clone());
            }
        }
        let graph = match Graph::import_with(&self.model, &axes) {
            Ok(graph) => graph,
            Err(Error::Unsupported(list)) => return Verdict::Refused(list[0].reason.clone()),
            Err(error) => return Verdict::Refused(error.to_string()),
        };
        let given =
            |name: &String| self.inputs.iter().find(|(own, ..)| own == name).map(|(_, tensor, _)| tensor.clone());
        let inputs: Vec<Tensor> = graph.inputs().iter().filter_map(|(name, _)| given(name)).collect();
        let plain = match reference::run(&graph, &inputs, &mut |_, _| {}) {
            Ok(plain) => plain,
            Err(error) => return Verdict::Refused(error.to_string()),
        };
        if let Err(reason) = compare(&plain, &self.outputs, if self.coarse { COARSE } else { REFERENCE }) {
            return Verdict::Failed(format!("reference: {reason}"));
        }
        let bounds: Vec<(f64, f64)> = inputs.iter().map(hull).collect();
        let (lowered, weights, certified) = match entries.choose(&graph, &bounds) {
            Ok(chosen) => chosen,
            Err(reason) => return Verdict::Refused(reason),
        };
        let simulate = |mode| {
            let encoded = lowered.encode_inputs(&inputs).map_err(|error| error.to_string())?;
            let outcome = ideal::run(&lowered.circuit, &weights, &encoded, mode).map_err(|error| error.to_string())?;
            let private = lowered.decode_outputs(&outcome.outputs).map_err(|error| error.to_string())?;
            compare(&private, &self.outputs, if self.coarse { COARSE } else { PRIVATE })
        };
        let schedule = match circuit::schedule(&lowered.circuit, &Rss3) {
            Ok(schedule) => schedule,
            Err(error) => return Verdict::Refused(error.to_string()),
        };
        let elements = self.outputs.iter().map(|output| output.data.len()).sum::<usize>().max(1);
        let bytes_per_element = schedule.payload_bytes() as f64 / elements as f64;
        let price = Price { rounds: schedule.rounds, bytes_per_element, certified };
        let modes = [RoundingMode::Seed(1), RoundingMode::AllLow, RoundingMode::AllHigh];
        match modes.map(simulate).into_iter().collect::<Result<Vec<f64>, String>>() {
            Ok(errors) => Verdict::Pass { private: errors.into_iter().fold(0.0, f64::max), secrets, price },
            Err(reason) => Verdict::Failed(format!("private: {reason}")),
        }
    }
}

fn hull(tensor: &Tensor) -> (f64, f64) {
    tensor.data.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &x| (low.min(x), high.max(x)))
}

/// The largest difference, or what differs.
fn compare(given: &[Tensor], expected: &[Tensor], tolerance: f64) -> Result<f64, String> {
    if given.len() != expected.len() {
        return Err(format!("{} outputs, {} expected", given.len(), expected.len()));
    }
    let mut largest = 0.0f64;
    for (given, expected) in given.iter().zip(expected) {
        if given.shape != expected.shape {
            return Err(format!("shape {:?}, expected {:?}", given.shape, expected.shape));
        }
        for (given, expected) in given.data.iter().zip(&expected.data) {
            let difference = (given - expected).abs();
            let close = difference <= tolerance * (1.0 + expected.abs());
            if !close {
                return Err(format!("{given}, expected {expected}"));
            }
            largest = largest.max(difference);
        }
    }
    Ok(largest)
}
