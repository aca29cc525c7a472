//! Why operators that a reader may look for are refused.

const COMPARISON: &str = "a comparison of secrets gives a secret truth value, which no operator of a circuit takes yet; \
                          compare where the output is learnt, or use Max, Min, Clip";
const JUMP: &str = "its result jumps, so no bound of its error holds near the jump";
const ORDER: &str = "it gives secret positions; compute it where the output is learnt";
const SECRET_SHAPE: &str = "the shape of its result depends on secret values";
const STATE: &str = "loops and recurrent cells are not unrolled; export the unrolled graph";
const LOGARITHM: &str = "it needs a logarithm of a secret, and nothing is lowered to one yet";
const PERIODIC: &str = "the catalog has no periodic or inverse trigonometric functions";
const INTEGERS: &str = "it works on quantised integers; export the model in floating point";

/// A reason by name, where there is one better than not being known.
pub(super) fn reason(operator: &str) -> Option<String> {
    let reason = match operator {
        "Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" | "And" | "Or" | "Xor" | "Not" | "IsNaN"
        | "IsInf" => COMPARISON,
        "Sign" | "Round" | "Floor" | "Ceil" | "Shrink" | "ThresholdedRelu" | "Mod" | "Binarizer" => JUMP,
        "ArgMax" | "ArgMin" | "TopK" | "Hardmax" | "NonMaxSuppression" | "OneHot" => ORDER,
        "NonZero" | "Unique" => SECRET_SHAPE,
        "Loop" | "Scan" | "If" | "LSTM" | "GRU" | "RNN" => STATE,
        "LogSoftmax"
        | "ReduceLogSum"
        | "ReduceLogSumExp"
        | "Mish"
        | "SoftmaxCrossEntropyLoss"
        | "NegativeLogLikelihoodLoss" => LOGARITHM,
        "Sin" | "Cos" | "Tan" | "Asin" | "Acos" | "Atan" | "Sinh" | "Cosh" | "Asinh" | "Acosh" | "Atanh" => PERIODIC,
        "QuantizeLinear"
        | "DequantizeLinear"
        | "DynamicQuantizeLinear"
        | "MatMulInteger"
        | "ConvInteger"
        | "QLinearConv"
        | "QLinearMatMul"
        | "BitShift"
        | "BitwiseAnd"
        | "BitwiseOr"
        | "BitwiseNot"
        | "BitwiseXor" => INTEGERS,
        _ => return None,
    };
    Some(reason.into())
}
