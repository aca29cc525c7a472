//! Why operators that a reader may look for are refused.

const FINITE: &str = "an encoded secret is always a finite number, so the answer would be no whatever was meant";
const JUMP: &str = "its result jumps, so no bound of its error holds near the jump";
const ORDER: &str = "it gives secret positions; compute it where the output is learnt";
const SECRET_SHAPE: &str = "the shape of its result depends on secret values";
const STATE: &str = "loops and recurrent cells are not unrolled; export the unrolled graph";
const TRAINING: &str = "a loss belongs to training; export the model without it";
const PERIODIC: &str = "the catalog has no periodic or inverse trigonometric functions";
const INTEGERS: &str = "it works on quantised integers; export the model in floating point";

/// A reason by name, where there is one better than not being known.
pub(super) fn reason(operator: &str) -> Option<String> {
    let reason = match operator {
        "IsNaN" | "IsInf" => FINITE,
        "Round" | "Floor" | "Ceil" | "Mod" | "Binarizer" => JUMP,
        "NonMaxSuppression" | "OneHot" => ORDER,
        "NonZero" | "Unique" => SECRET_SHAPE,
        "Loop" | "Scan" | "If" | "LSTM" | "GRU" | "RNN" => STATE,
        "SoftmaxCrossEntropyLoss" | "NegativeLogLikelihoodLoss" => TRAINING,
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
