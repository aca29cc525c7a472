//! From ONNX messages to graph nodes: resolves shapes, folds constants, lowers every operator.
//!
//! Establishes: each file node either became graph nodes or constants, or is listed as unsupported; after the first
//! unsupported node the import goes on, so that the list is complete. Assumes that the messages decoded.

mod axes;
mod blocks;
mod builder;
mod call;
mod comparisons;
mod constants;
mod convolution;
mod einsum;
mod elementwise;
mod linear;
mod norms;
mod piecewise;
mod reductions;
mod refusal;
mod rows;
mod structure;

pub use axes::Axes;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::clamps;
use super::error::{Error, Unsupported};
use super::onnx::{self, ElementKind, GraphMessage, ModelMessage, TensorMessage, ValueMessage};
use super::operator::Visibility;
use super::rewrite;
use super::sites::Site;
use super::tensor::{Tensor, element_count};
use super::{Graph, NodeId};
use builder::{Builder, Literal, Value};
use call::{Call, Refusal};
pub(super) use elementwise::MASK_MAX;

/// Operators of ONNX that import understands, for messages.
pub const SUPPORTED: &[&str] = &[
    "Abs",
    "Add",
    "And",
    "ArgMax",
    "ArgMin",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "CastLike",
    "Ceil",
    "Celu",
    "Clip",
    "Compress",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Conv",
    "ConvTranspose",
    "CumSum",
    "DepthToSpace",
    "Div",
    "Dropout",
    "Einsum",
    "Elu",
    "Equal",
    "Erf",
    "Exp",
    "Expand",
    "Flatten",
    "Floor",
    "Gather",
    "GatherElements",
    "GatherND",
    "Gelu",
    "Gemm",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "Greater",
    "GreaterOrEqual",
    "GroupNormalization",
    "HardSigmoid",
    "HardSwish",
    "Hardmax",
    "Identity",
    "InstanceNormalization",
    "LayerNormalization",
    "LeakyRelu",
    "Less",
    "LessOrEqual",
    "Log",
    "LogSoftmax",
    "MatMul",
    "Max",
    "MaxPool",
    "Mean",
    "MeanVarianceNormalization",
    "Min",
    "Mish",
    "Mod",
    "Mul",
    "Neg",
    "Not",
    "Or",
    "PRelu",
    "Pad",
    "Pow",
    "RMSNormalization",
    "Range",
    "Reciprocal",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
    "Relu",
    "Reshape",
    "Selu",
    "Shape",
    "Shrink",
    "Sigmoid",
    "Sign",
    "Size",
    "Slice",
    "Softmax",
    "Softplus",
    "Softsign",
    "SpaceToDepth",
    "Split",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Sum",
    "Swish",
    "Tanh",
    "ThresholdedRelu",
    "Tile",
    "TopK",
    "Transpose",
    "Trilu",
    "Unsqueeze",
    "Where",
    "Xor",
];

/// What a file holds, as far as it can be told; made by [`inspect`].
#[derive(Clone, Debug, PartialEq)]
pub struct Inspection {
    /// The tool that wrote the file.
    pub producer: String,
    /// Version of the operator set.
    pub operator_set: i64,
    /// Nodes in the file, by operator.
    pub file_nodes: BTreeMap<String, usize>,
    /// Nodes of the graph after rewriting (of its known part where something is unsupported).
    pub graph_nodes: usize,
    /// Number of secret weight elements in the graph.
    pub weight_elements: usize,
    /// Inputs with their shapes.
    pub inputs: Vec<(String, Vec<usize>)>,
    /// Outputs with their shapes (those that are known).
    pub outputs: Vec<(String, Vec<usize>)>,
    /// Places of nonlinear functions.
    pub sites: Vec<Site>,
    /// Nodes that have no counterpart.
    pub unsupported: Vec<Unsupported>,
    /// What stopped the import, where something other than an unsupported node did.
    pub problem: Option<Error>,
}

struct Imported {
    graph: Graph,
    unsupported: Vec<Unsupported>,
}

pub(super) fn import(bytes: &[u8], axes: &Axes) -> Result<Graph, Error> {
    let imported = lower_model(onnx::decode(bytes)?, axes)?;
    match imported.unsupported.is_empty() {
        true => clamps::insert(imported.graph, axes.clamps()),
        false => Err(Error::Unsupported(imported.unsupported)),
    }
}

/// Describes a file without failing: what could not be imported is part of the answer.
pub fn inspect(bytes: &[u8], axes: &Axes) -> Inspection {
    let mut inspection = Inspection {
        producer: String::new(),
        operator_set: 0,
        file_nodes: BTreeMap::new(),
        graph_nodes: 0,
        weight_elements: 0,
        inputs: Vec::new(),
        outputs: Vec::new(),
        sites: Vec::new(),
        unsupported: Vec::new(),
        problem: None,
    };
    let model = match onnx::decode(bytes) {
        Ok(model) => model,
        Err(error) => {
            return Inspection { problem: Some(error), ..inspection };
        }
    };
    inspection.producer.clone_from(&model.producer);
    inspection.operator_set = model.operator_set();
    for node in model.graph.iter().flat_map(|graph| &graph.nodes) {
        *inspection.file_nodes.entry(node.operator.clone()).or_default() += 1;
    }
    match lower_model(model, axes) {
        Ok(Imported { graph, unsupported }) => {
            let shape = |(name, id): &(String, NodeId)| (name.clone(), graph.node(*id).shape.clone());
            inspection.inputs = graph.inputs().iter().map(shape).collect();
            inspection.outputs = graph.outputs().iter().map(shape).collect();
            inspection.graph_nodes = graph.nodes().len();
            let elements = |weight: &super::Constant| weight.shape().iter().product::<usize>();
            inspection.weight_elements = graph.weights().map(|(_, weight)| elements(weight)).sum();
            inspection.sites = graph.sites();
            inspection.unsupported = unsupported;
        }
        Err(error) => inspection.problem = Some(error),
    }
    inspection
}

/// Values by name; `None` where an unsupported node stands before them.
type Scope = HashMap<String, Option<Value>>;

fn lower_model(mut model: ModelMessage, axes: &Axes) -> Result<Imported, Error> {
    let operator_set = model.operator_set();
    let Some(graph) = &mut model.graph else {
        return Err(Error::Malformed("it holds no graph".into()));
    };
    let mut builder = Builder::default();
    let mut scope = Scope::new();
    let mut unsupported = Vec::new();
    // Each tensor of the file is freed when it has been read.
    bind_initializers(std::mem::take(&mut graph.initializers), &mut scope)?;
    let inputs = bind_inputs(graph, axes, &mut builder, &mut scope, &mut unsupported)?;
    for node in &graph.nodes {
        lower_node(node, operator_set, &mut builder, &mut scope, &mut unsupported)?;
    }
    let mut outputs = Vec::new();
    for output in &graph.outputs {
        match scope.get(&output.name) {
            Some(Some(value)) => {
                builder.begin(&output.name);
                outputs.push((output.name.clone(), builder.materialise(value)));
            }
            Some(None) => {
                // A further output of a supported node, such as the positions of a pooling.
                if unsupported.is_empty()
                    && let Some(node) = graph.nodes.iter().find(|node| node.outputs.contains(&output.name))
                {
                    unsupported.push(Unsupported {
                        node: node.name.clone(),
                        operator: node.operator.clone(),
                        reason: format!("its further output '{}' is not computed", output.name),
                    });
                }
            }
            _ => {
                return Err(Error::Malformed(format!("no node computes the output '{}'", output.name)));
            }
        }
    }
    let graph = rewrite::simplify(builder.into_nodes(), inputs, outputs, !unsupported.is_empty())?;
    Ok(Imported { graph, unsupported })
}

fn bind_initializers(initializers: Vec<TensorMessage>, scope: &mut Scope) -> Result<(), Error> {
    for initializer in initializers {
        let invalid = |reason| Error::Malformed(format!("tensor '{}': {reason}", initializer.name));
        let (tensor, kind) = initializer.values().map_err(invalid)?;
        // Trained tensors are real; integer initializers are axes and shapes.
        let visibility = if kind == ElementKind::Real { Visibility::Weight } else { Visibility::Structural };
        let literal = Literal::new(&initializer.name, tensor, kind, visibility);
        scope.insert(initializer.name, Some(Value::Literal(literal)));
    }
    Ok(())
}

fn bind_inputs(
    graph: &GraphMessage,
    axes: &Axes,
    builder: &mut Builder,
    scope: &mut Scope,
    unsupported: &mut Vec<Unsupported>,
) -> Result<Vec<(String, NodeId)>, Error> {
    let true_inputs: Vec<&ValueMessage> =
        graph.inputs.iter().filter(|input| !scope.contains_key(&input.name)).collect();
    let batch_names: Vec<&str> = true_inputs.iter().filter_map(|input| leading_parameter(input)).collect();
    let mut inputs = Vec::new();
    if let Some(name) = axes.public().keys().find(|name| true_inputs.iter().all(|input| input.name != **name)) {
        let known: Vec<&str> = true_inputs.iter().map(|input| input.name.as_str()).collect();
        return Err(Error::NoInput { name: name.clone(), known: known.join(", ") });
    }
    let known = true_inputs.iter().flat_map(|input| dimensions(input).unwrap_or_default());
    let known: Vec<&str> = known.filter_map(|dim| dim.parameter.as_deref()).filter(|name| !name.is_empty()).collect();
    if let Some(name) = axes.named().keys().find(|name| !known.contains(&name.as_str())) {
        let all: BTreeSet<&str> = known.into_iter().collect();
        let all = all.into_iter().collect::<Vec<_>>().join(", ");
        let known = if all.is_empty() { "no axis with a name".into() } else { all };
        return Err(Error::NoAxis { axis: name.clone(), known });
    }
    for input in true_inputs {
        if axes.public().get(&input.name).is_some_and(Vec::is_empty) {
            // No axes, for example.
            let nothing = Tensor { shape: vec![0], data: Vec::new() };
            let literal = Literal::new(&input.name, nothing, ElementKind::Integer, Visibility::Structural);
            scope.insert(input.name.clone(), Some(Value::Literal(literal)));
            continue;
        }
        let shape = input_shape(input, axes, &batch_names)?;
        let kind = input.kind.as_ref().and_then(|kind| kind.tensor.as_ref()).map(|tensor| tensor.element);
        if let Some(values) = axes.public_values(&input.name, &shape) {
            let invalid = |reason| Error::Invalid { node: input.name.clone(), operator: "Input".into(), reason };
            let element = kind.and_then(|kind| onnx::element_kind(kind).ok()).unwrap_or(ElementKind::Real);
            let tensor = Tensor { shape, data: values.map_err(invalid)? };
            scope.insert(
                input.name.clone(),
                Some(Value::Literal(Literal::new(&input.name, tensor, element, Visibility::Structural))),
            );
            continue;
        }
        if kind.is_some_and(|kind| kind != 0 && onnx::element_kind(kind) != Ok(ElementKind::Real)) {
            unsupported.push(Unsupported {
                node: input.name.clone(),
                operator: "Input".into(),
                reason: "inputs are real tensors; look integer tokens up in the clear and pass their embeddings".into(),
            });
            scope.insert(input.name.clone(), None);
            continue;
        }
        let id = builder.input(&input.name, shape);
        scope.insert(input.name.clone(), Some(Value::Node(id)));
        inputs.push((input.name.clone(), id));
    }
    Ok(inputs)
}

fn dimensions(input: &ValueMessage) -> Option<&[onnx::DimensionMessage]> {
    let shape = input.kind.as_ref()?.tensor.as_ref()?.shape.as_ref()?;
    Some(&shape.dims)
}

fn leading_parameter(input: &ValueMessage) -> Option<&str> {
    dimensions(input)?.first()?.parameter.as_deref().filter(|name| !name.is_empty())
}

fn input_shape(input: &ValueMessage, axes: &Axes, batch_names: &[&str]) -> Result<Vec<usize>, Error> {
    let invalid = |reason: String| Error::Invalid { node: input.name.clone(), operator: "Input".into(), reason };
    let dims = dimensions(input).ok_or_else(|| invalid("the file gives no shape for it".into()))?;
    let mut shape = Vec::with_capacity(dims.len());
    for (position, dim) in dims.iter().enumerate() {
        let name = dim.parameter.as_deref().unwrap_or("");
        let extent = match (dim.value, axes.extent(name)) {
            (Some(value), _) if value > 0 => usize::try_from(value).map_err(|error| invalid(error.to_string()))?,
            (_, Some(extent)) if !name.is_empty() => extent,
            _ if position == 0 || (!name.is_empty() && batch_names.contains(&name)) => axes.batch_extent(),
            _ => {
                let axis = if name.is_empty() { position.to_string() } else { name.to_string() };
                return Err(Error::Axis { input: input.name.clone(), axis });
            }
        };
        shape.push(extent);
    }
    if shape.contains(&0) {
        return Err(invalid(format!("shape {shape:?} is empty: every extent must be at least 1")));
    }
    element_count(&shape).map_err(invalid)?;
    Ok(shape)
}

fn lower_node(
    node: &onnx::NodeMessage,
    operator_set: i64,
    builder: &mut Builder,
    scope: &mut Scope,
    unsupported: &mut Vec<Unsupported>,
) -> Result<(), Error> {
    let first_output = node.outputs.iter().find(|name| !name.is_empty());
    let name = if node.name.is_empty() { first_output.cloned().unwrap_or_default() } else { node.name.clone() };
    builder.begin(&name);
    let outcome = match Call::bind(node, operator_set, scope) {
        Err(refusal) => Err(refusal),
        Ok(None) if SUPPORTED.contains(&node.operator.as_str()) => Ok(Vec::new()),
        Ok(None) => Err(refused(&node.operator)),
        Ok(Some(call)) => lower(builder, &call),
    };
    let values = match outcome {
        Ok(values) => values,
        Err(Refusal::Unsupported(reason)) => {
            unsupported.push(Unsupported { node: name, operator: node.operator.clone(), reason });
            Vec::new()
        }
        Err(Refusal::Invalid(reason)) => {
            return Err(Error::Invalid { node: name, operator: node.operator.clone(), reason });
        }
    };
    let mut values = values.into_iter();
    for output in &node.outputs {
        scope.insert(output.clone(), values.next());
    }
    Ok(())
}

fn refused(operator: &str) -> Refusal {
    Refusal::Unsupported(match refusal::reason(operator) {
        Some(reason) => reason,
        None if SUPPORTED.contains(&operator) => "only supported on constants and shapes".into(),
        None => format!("operator is not supported; supported are {}", SUPPORTED.join(", ")),
    })
}

/// The dispatch: what follows is found in the module that a line names.
fn lower(builder: &mut Builder, call: &Call) -> Result<Vec<Value>, Refusal> {
    if !call.is_standard() {
        return Err(Refusal::Unsupported(format!("operators of domain '{}' are not supported", call.domain())));
    }
    if let Some(literal) = constants::fold(builder, call)? {
        return Ok(vec![Value::Literal(literal)]);
    }
    let value = match call.operator() {
        "Conv" | "ConvTranspose" => convolution::lower(builder, call)?,
        "Gemm" => linear::gemm(builder, call)?,
        "MatMul" => linear::matrix_product(builder, &call.input(0)?, &call.input(1)?)?,
        "Einsum" => einsum::lower(builder, call)?,
        "BatchNormalization" => linear::batch_normalisation(builder, call)?,
        "Add" | "Sub" | "Mul" | "Div" | "Sum" | "Mean" | "Pow" | "Where" | "Neg" => elementwise::lower(builder, call)?,
        "Gelu" | "Sigmoid" | "Tanh" | "Relu" | "Erf" | "Exp" | "Log" | "Mish" | "Softplus" | "Sqrt" | "Reciprocal" => {
            elementwise::activation(builder, call)?
        }
        "Abs" | "Celu" | "Clip" | "Elu" | "HardSigmoid" | "HardSwish" | "LeakyRelu" | "Max" | "Min" | "PRelu"
        | "Selu" | "Softsign" | "Swish" => piecewise::lower(builder, call)?,
        "Identity" | "Dropout" | "Cast" | "CastLike" => structure::unchanged(call)?,
        "Split" => return structure::split(builder, call),
        "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Transpose" | "Expand" | "Slice" | "Concat" | "Gather"
        | "Pad" | "Tile" => structure::lower(builder, call)?,
        "Compress" | "CumSum" | "DepthToSpace" | "GatherElements" | "GatherND" | "SpaceToDepth" | "Trilu" => {
            blocks::lower(builder, call)?
        }
        "ReduceMean" | "ReduceSum" | "ReduceMax" | "ReduceMin" | "ReduceL1" | "ReduceL2" | "ReduceLogSum"
        | "ReduceLogSumExp" | "ReduceSumSquare" | "GlobalAveragePool" | "GlobalMaxPool" | "AveragePool" | "MaxPool" => {
            reductions::lower(builder, call)?
        }
        "Softmax" | "LogSoftmax" => rows::lower(builder, call)?,
        "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" | "And" | "Or" | "Xor" | "Not" | "Sign"
        | "ThresholdedRelu" | "Shrink" | "ArgMax" | "ArgMin" | "Hardmax" => comparisons::lower(builder, call)?,
        "TopK" => return comparisons::largest(builder, call),
        "LayerNormalization"
        | "RMSNormalization"
        | "InstanceNormalization"
        | "GroupNormalization"
        | "MeanVarianceNormalization" => norms::lower(builder, call)?,
        other => return Err(refused(other)),
    };
    Ok(vec![value])
}
