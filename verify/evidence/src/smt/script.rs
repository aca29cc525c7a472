//! SMT-LIB text over bit-vectors, written line by line.

use super::{Expected, Query};

/// A script under construction.
pub(super) struct Script {
    text: String,
}

impl Script {
    pub(super) fn new() -> Script {
        Script { text: "(set-logic QF_BV)\n".into() }
    }

    /// Declares symbolic words of `bits` bits.
    pub(super) fn declare(&mut self, bits: u32, names: &[&str]) {
        for name in names {
            self.text.push_str(&format!("(declare-fun {name} () (_ BitVec {bits}))\n"));
        }
    }

    /// Names an expression.
    pub(super) fn define(&mut self, bits: u32, name: &str, expression: impl AsRef<str>) {
        let expression = expression.as_ref();
        self.text.push_str(&format!("(define-fun {name} () (_ BitVec {bits}) {expression})\n"));
    }

    /// A comment line.
    pub(super) fn comment(&mut self, words: &str) {
        self.text.push_str(&format!("; {words}\n"));
    }

    pub(super) fn assert(&mut self, condition: impl AsRef<str>) {
        self.text.push_str(&format!("(assert {})\n", condition.as_ref()));
    }

    pub(super) fn query(mut self, name: &str, header: Vec<String>, expected: Expected) -> Query {
        self.text.push_str("(check-sat)\n");
        let name = if expected == Expected::Sat { format!("{name}.twin") } else { name.to_owned() };
        Query { name, header, smtlib: self.text, expected }
    }
}

/// The constant `value` modulo 2^`bits`.
pub(super) fn constant(value: i128, bits: u32) -> String {
    let value = if bits >= 128 { value as u128 } else { (value as u128) & ((1u128 << bits) - 1) };
    format!("(_ bv{value} {bits})")
}

/// Bits `high` down to `low` of `expression`.
pub(super) fn extract(expression: &str, high: u32, low: u32) -> String {
    format!("((_ extract {high} {low}) {expression})")
}

/// `expression` with `bits` zeros in front.
pub(super) fn zero_extend(expression: &str, bits: u32) -> String {
    if bits == 0 { expression.to_owned() } else { format!("((_ zero_extend {bits}) {expression})") }
}

/// `operator` over one or more operands.
pub(super) fn fold(operator: &str, operands: &[String]) -> String {
    match operands {
        [only] => only.clone(),
        _ => format!("({operator} {})", operands.join(" ")),
    }
}
