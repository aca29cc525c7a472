//! The part of `onnx.proto` that models of inference use, as hand-written messages, and their decoding.
//!
//! Field numbers are those of onnx.proto (ONNX 1.17); unknown fields are skipped. Establishes: every tensor that
//! [`TensorMessage::values`] returns has as many elements as its dimensions say. Does not look at graph semantics.

use prost::Message;

use super::error::Error;
use super::tensor::{Tensor, element_count};

/// `ModelProto`.
#[derive(Clone, PartialEq, Message)]
pub struct ModelMessage {
    /// Version of the file format.
    #[prost(int64, tag = "1")]
    pub ir_version: i64,
    /// The tool that wrote the file.
    #[prost(string, tag = "2")]
    pub producer: String,
    /// The computation.
    #[prost(message, optional, tag = "7")]
    pub graph: Option<GraphMessage>,
    /// Operator sets that the nodes refer to.
    #[prost(message, repeated, tag = "8")]
    pub operator_sets: Vec<OperatorSetMessage>,
}

/// `OperatorSetIdProto`.
#[derive(Clone, PartialEq, Message)]
pub struct OperatorSetMessage {
    /// Empty for the operators of ONNX itself.
    #[prost(string, tag = "1")]
    pub domain: String,
    /// Version.
    #[prost(int64, tag = "2")]
    pub version: i64,
}

/// `GraphProto`.
#[derive(Clone, PartialEq, Message)]
pub struct GraphMessage {
    /// Nodes in topological order.
    #[prost(message, repeated, tag = "1")]
    pub nodes: Vec<NodeMessage>,
    /// Name of the graph.
    #[prost(string, tag = "2")]
    pub name: String,
    /// Weights.
    #[prost(message, repeated, tag = "5")]
    pub initializers: Vec<TensorMessage>,
    /// Inputs (older files list initializers here too).
    #[prost(message, repeated, tag = "11")]
    pub inputs: Vec<ValueMessage>,
    /// Outputs.
    #[prost(message, repeated, tag = "12")]
    pub outputs: Vec<ValueMessage>,
}

/// `NodeProto`.
#[derive(Clone, PartialEq, Message)]
pub struct NodeMessage {
    /// Names of the inputs; an empty name is an optional input that is left out.
    #[prost(string, repeated, tag = "1")]
    pub inputs: Vec<String>,
    /// Names of the outputs.
    #[prost(string, repeated, tag = "2")]
    pub outputs: Vec<String>,
    /// Name of the node.
    #[prost(string, tag = "3")]
    pub name: String,
    /// Operator.
    #[prost(string, tag = "4")]
    pub operator: String,
    /// Attributes.
    #[prost(message, repeated, tag = "5")]
    pub attributes: Vec<AttributeMessage>,
    /// Empty for the operators of ONNX itself.
    #[prost(string, tag = "7")]
    pub domain: String,
}

/// `AttributeProto`.
#[derive(Clone, PartialEq, Message)]
pub struct AttributeMessage {
    /// Name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// FLOAT.
    #[prost(float, tag = "2")]
    pub float: f32,
    /// INT.
    #[prost(int64, tag = "3")]
    pub integer: i64,
    /// STRING.
    #[prost(bytes = "vec", tag = "4")]
    pub string: Vec<u8>,
    /// TENSOR.
    #[prost(message, optional, tag = "5")]
    pub tensor: Option<TensorMessage>,
    /// FLOATS.
    #[prost(float, repeated, tag = "7")]
    pub floats: Vec<f32>,
    /// INTS.
    #[prost(int64, repeated, tag = "8")]
    pub integers: Vec<i64>,
    /// STRINGS.
    #[prost(bytes = "vec", repeated, tag = "9")]
    pub strings: Vec<Vec<u8>>,
    /// Which of the fields holds the value; zero in very old files.
    #[prost(int32, tag = "20")]
    pub kind: i32,
}

/// `TensorProto`.
#[derive(Clone, PartialEq, Message)]
pub struct TensorMessage {
    /// Extents.
    #[prost(int64, repeated, tag = "1")]
    pub dims: Vec<i64>,
    /// One of the `TensorProto.DataType` numbers.
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    /// FLOAT, typed.
    #[prost(float, repeated, tag = "4")]
    pub float_data: Vec<f32>,
    /// INT32, INT16, INT8, UINT16, UINT8, BOOL, FLOAT16, BFLOAT16, typed.
    #[prost(int32, repeated, tag = "5")]
    pub int32_data: Vec<i32>,
    /// INT64, typed.
    #[prost(int64, repeated, tag = "7")]
    pub int64_data: Vec<i64>,
    /// Name.
    #[prost(string, tag = "8")]
    pub name: String,
    /// Any type, little-endian.
    #[prost(bytes = "vec", tag = "9")]
    pub raw_data: Vec<u8>,
    /// DOUBLE, typed.
    #[prost(double, repeated, tag = "10")]
    pub double_data: Vec<f64>,
    /// UINT32 and UINT64, typed.
    #[prost(uint64, repeated, tag = "11")]
    pub uint64_data: Vec<u64>,
    /// 1 where the data lie in another file.
    #[prost(int32, tag = "14")]
    pub data_location: i32,
}

/// `ValueInfoProto`.
#[derive(Clone, PartialEq, Message)]
pub struct ValueMessage {
    /// Name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Type.
    #[prost(message, optional, tag = "2")]
    pub kind: Option<TypeMessage>,
}

/// `TypeProto`, tensors only.
#[derive(Clone, PartialEq, Message)]
pub struct TypeMessage {
    /// A tensor type.
    #[prost(message, optional, tag = "1")]
    pub tensor: Option<TensorTypeMessage>,
}

/// `TypeProto.Tensor`.
#[derive(Clone, PartialEq, Message)]
pub struct TensorTypeMessage {
    /// Element type.
    #[prost(int32, tag = "1")]
    pub element: i32,
    /// Shape, where known.
    #[prost(message, optional, tag = "2")]
    pub shape: Option<ShapeMessage>,
}

/// `TensorShapeProto`.
#[derive(Clone, PartialEq, Message)]
pub struct ShapeMessage {
    /// Axes.
    #[prost(message, repeated, tag = "1")]
    pub dims: Vec<DimensionMessage>,
}

/// `TensorShapeProto.Dimension`.
#[derive(Clone, PartialEq, Message)]
pub struct DimensionMessage {
    /// A fixed extent.
    #[prost(int64, optional, tag = "1")]
    pub value: Option<i64>,
    /// A named, dynamic extent.
    #[prost(string, optional, tag = "2")]
    pub parameter: Option<String>,
}

/// What the elements of a tensor mean: shapes are computed in integers, activations in real numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementKind {
    /// Floating-point types.
    Real,
    /// Integer types.
    Integer,
    /// Truth values.
    Boolean,
}

/// The kind of a `TensorProto.DataType`, or a phrase for those that are not numbers.
pub fn element_kind(data_type: i32) -> Result<ElementKind, String> {
    match data_type {
        1 | 10 | 11 | 16 => Ok(ElementKind::Real),
        2..=7 | 12 | 13 => Ok(ElementKind::Integer),
        9 => Ok(ElementKind::Boolean),
        other => Err(format!("element type {other} is not supported (real, integer and boolean types are)")),
    }
}

/// Decodes a model file and checks that it holds a graph.
pub fn decode(bytes: &[u8]) -> Result<ModelMessage, Error> {
    if bytes.is_empty() {
        return Err(Error::Malformed("the file is empty".into()));
    }
    let model = ModelMessage::decode(bytes).map_err(|error| Error::Malformed(error.to_string()))?;
    let Some(graph) = &model.graph else {
        return Err(Error::Malformed("it holds no graph".into()));
    };
    if graph.outputs.is_empty() {
        return Err(Error::Malformed("its graph has no outputs".into()));
    }
    Ok(model)
}

impl ModelMessage {
    /// Version of the standard operator set; 1 where the file names none.
    pub fn operator_set(&self) -> i64 {
        let standard = |set: &&OperatorSetMessage| set.domain.is_empty() || set.domain == "ai.onnx";
        self.operator_sets.iter().filter(standard).map(|set| set.version).max().unwrap_or(1)
    }
}

impl TensorMessage {
    /// The elements as `f64` (integers are exact up to 2^53, which the extents of tensors never reach; larger ones,
    /// used as "to the end", keep their order), with their kind.
    pub fn values(&self) -> Result<(Tensor, ElementKind), String> {
        if self.data_location == 1 {
            return Err("its data lie in another file; export the model as one file".into());
        }
        let kind = element_kind(self.data_type)?;
        let mut shape = Vec::with_capacity(self.dims.len());
        for &extent in &self.dims {
            shape.push(usize::try_from(extent).map_err(|_| format!("extent {extent} is negative"))?);
        }
        let count = element_count(&shape)?;
        let data = if self.raw_data.is_empty() { self.typed_values() } else { self.raw_values(count)? };
        Ok((Tensor::new(shape, data)?, kind))
    }

    fn typed_values(&self) -> Vec<f64> {
        match self.data_type {
            1 => self.float_data.iter().map(|&value| f64::from(value)).collect(),
            7 => self.int64_data.iter().map(|&value| value as f64).collect(),
            10 => self.int32_data.iter().map(|&bits| half_to_f64(bits as u16)).collect(),
            11 => self.double_data.clone(),
            12 | 13 => self.uint64_data.iter().map(|&value| value as f64).collect(),
            16 => self.int32_data.iter().map(|&bits| bfloat_to_f64(bits as u16)).collect(),
            _ => self.int32_data.iter().map(|&value| f64::from(value)).collect(),
        }
    }

    fn raw_values(&self, count: usize) -> Result<Vec<f64>, String> {
        match self.data_type {
            1 => self.raw(count, |bytes| f64::from(f32::from_le_bytes(bytes))),
            2 | 9 => self.raw(count, |bytes| f64::from(u8::from_le_bytes(bytes))),
            3 => self.raw(count, |bytes| f64::from(i8::from_le_bytes(bytes))),
            4 => self.raw(count, |bytes| f64::from(u16::from_le_bytes(bytes))),
            5 => self.raw(count, |bytes| f64::from(i16::from_le_bytes(bytes))),
            6 => self.raw(count, |bytes| f64::from(i32::from_le_bytes(bytes))),
            7 => self.raw(count, |bytes| i64::from_le_bytes(bytes) as f64),
            10 => self.raw(count, |bytes| half_to_f64(u16::from_le_bytes(bytes))),
            11 => self.raw(count, f64::from_le_bytes),
            12 => self.raw(count, |bytes| f64::from(u32::from_le_bytes(bytes))),
            13 => self.raw(count, |bytes| u64::from_le_bytes(bytes) as f64),
            _ => self.raw(count, |bytes| bfloat_to_f64(u16::from_le_bytes(bytes))),
        }
    }

    fn raw<const N: usize>(&self, count: usize, convert: impl Fn([u8; N]) -> f64) -> Result<Vec<f64>, String> {
        let (chunks, rest) = self.raw_data.as_chunks::<N>();
        if chunks.len() != count || !rest.is_empty() {
            let (given, needed) = (self.raw_data.len(), count.saturating_mul(N));
            return Err(format!("shape {:?} needs {needed} bytes of data, {given} are given", self.dims));
        }
        Ok(chunks.iter().map(|&bytes| convert(bytes)).collect())
    }
}

/// IEEE 754 binary16.
fn half_to_f64(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * (-24_f64).exp2(),
        0x1f if fraction == 0.0 => f64::INFINITY,
        0x1f => f64::NAN,
        _ => (1.0 + fraction / 1024.0) * f64::from(exponent - 15).exp2(),
    }
}

fn bfloat_to_f64(bits: u16) -> f64 {
    f64::from(f32::from_bits(u32::from(bits) << 16))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(data_type: i32, dims: &[i64]) -> TensorMessage {
        TensorMessage { data_type, dims: dims.to_vec(), ..TensorMessage::default() }
    }

    #[test]
    fn tensors_that_contradict_themselves_are_refused() {
        let short = TensorMessage { raw_data: vec![0; 7], ..tensor(1, &[2]) };
        assert!(short.values().unwrap_err().contains("needs 8 bytes"));
        assert!(tensor(1, &[2]).values().unwrap_err().contains("needs 2 elements"));
        assert!(tensor(1, &[-1]).values().unwrap_err().contains("negative"));
        assert!(tensor(1, &[i64::MAX, i64::MAX]).values().is_err());
        assert!(tensor(8, &[]).values().unwrap_err().contains("element type 8"));
        let external = TensorMessage { data_location: 1, ..tensor(1, &[1]) };
        assert!(external.values().unwrap_err().contains("another file"));
    }

    #[test]
    fn raw_and_typed_data_agree() {
        let raw = TensorMessage { raw_data: (-3_i64).to_le_bytes().to_vec(), ..tensor(7, &[]) };
        let typed = TensorMessage { int64_data: vec![-3], ..tensor(7, &[]) };
        assert_eq!(raw.values().unwrap(), typed.values().unwrap());
        let raw = TensorMessage { raw_data: 0.5_f64.to_le_bytes().to_vec(), ..tensor(11, &[1]) };
        let typed = TensorMessage { double_data: vec![0.5], ..tensor(11, &[1]) };
        assert_eq!(raw.values().unwrap(), typed.values().unwrap());
        let half = TensorMessage { int32_data: vec![0x3e00, 0xc000, 0x0001], ..tensor(10, &[3]) };
        assert_eq!(half.values().unwrap().0.data, [1.5, -2.0, (-24_f64).exp2()]);
        let boolean = TensorMessage { raw_data: vec![1, 0], ..tensor(9, &[2]) };
        assert_eq!(boolean.values().unwrap(), (Tensor::new(vec![2], vec![1.0, 0.0]).unwrap(), ElementKind::Boolean));
    }

    #[test]
    fn garbage_is_not_a_model() {
        assert!(decode(&[]).unwrap_err().to_string().contains("empty"));
        assert!(decode(b"this is no protobuf").is_err());
        assert!(decode(&[8, 8]).unwrap_err().to_string().contains("no graph"));
    }
}
