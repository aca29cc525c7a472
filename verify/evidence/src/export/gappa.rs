//! Gappa scripts: how far the roundings move the output from its ideal value, for every piece and case.

use super::{Files, comment, place};
use crate::ideal::Value;
use crate::pieces::{CaseSheet, Piece};
use catalogs::{Entry, Lemma, Op, Sum, ValueId};
use rug::Rational;
use std::fmt::Write;

pub(super) fn scripts(name: &str, entry: &Entry, pieces: &[Piece]) -> Files {
    let mut files = Files::new();
    for piece in pieces {
        for sheet in piece.cases.iter().filter(|sheet| !sheet.symbols.is_empty()) {
            let script = Script { entry, piece, sheet };
            files.insert(format!("piece-{:03}-case-{}.g", piece.number, sheet.number), script.text(name));
        }
    }
    files
}

struct Script<'a> {
    entry: &'a Entry,
    piece: &'a Piece,
    sheet: &'a CaseSheet,
}

impl Script<'_> {
    fn text(&self, name: &str) -> String {
        let ops = self.entry.program.ops();
        let last = ops.len() - 1;
        let live = self.live();
        let (mut definitions, mut hypotheses) = (String::new(), String::new());
        for (index, op) in ops.iter().enumerate().filter(|(index, _)| live[*index]) {
            let Op::Sum(sum) = op else { continue };
            if self.is_exact(index) && index != last {
                let _ = writeln!(definitions, "v{index} = {};", self.sum(sum, "v"));
                continue;
            }
            let (shift, error) = self.truncation(sum, index, &mut hypotheses);
            let _ = writeln!(definitions, "v{index} = {}{shift}{};", self.sum(sum, "v"), error[0]);
            let _ = writeln!(definitions, "I{index} = {}{shift}{};", self.sum(sum, "I"), error[1]);
        }
        let certified: Rational = (self.piece.remainder.clone() + Rational::from(&self.sheet.rounding)) >> 64;
        let words = [
            format!("Entry {name}, digest {}, {}.", self.entry.digest(), place(self.piece, self.sheet)),
            format!(
                "v{last} is the program's output in units of its last place, v0 its input; every truncation divides exactly \
                 and adds an error eN from the interval that its lemma allows for floor and rounding. I{last} is the same \
                 with the middle of every such interval. Gappa prints an interval that contains v{last} - I{last}. The \
                 certificate's bound of it, with all second orders, is about {:.6} units.",
                certified.to_f64()
            ),
            "Gappa evaluates by intervals, and the ideal values of different operations depend on each other through v0: its \
             answer may be several times wider. This shows nothing about f, and assumes the bits above."
                .to_owned(),
        ];
        format!(
            "{}{definitions}{{ v0 in [{}, {}]{hypotheses} -> v{last} - I{last} in ? }}\n$ v0 in 16;\n",
            comment(&words, "#", ""),
            self.piece.low,
            self.piece.high
        )
    }

    /// The scaling and the error term of a sum, for the executed and for the ideal value.
    fn truncation(&self, sum: &Sum, index: usize, hypotheses: &mut String) -> (String, [String; 2]) {
        match sum.truncation.map(|lemma| *self.entry.program.lemma(lemma)) {
            Some(Lemma::Truncation { shift, rounding, .. }) => {
                let (low, high) = (i128::from(rounding.low), i128::from(rounding.high));
                let least = ((low - 1) << shift) + 1;
                let _ = write!(hypotheses, " /\\ e{index} in [{least}b-{shift}, {high}]");
                let middle = ((low + high - 1) << shift) + 1;
                (format!(" * 1b-{shift}"), [format!(" + e{index}"), format!(" + {middle}b-{}", shift + 1)])
            }
            _ => (String::new(), [String::new(), String::new()]),
        }
    }

    fn sum(&self, sum: &Sum, prefix: &str) -> String {
        let mut terms = vec![sum.constant.to_string()];
        let factor = |id: ValueId| self.factor(id, prefix);
        for product in &sum.products {
            if let (Some(left), Some(right)) = (factor(product.left), factor(product.right)) {
                terms.push(format!("{} * ({left} * {right})", product.coefficient));
            }
        }
        for term in &sum.linear {
            if let Some(value) = factor(term.value) {
                terms.push(format!("{} * {value}", term.coefficient));
            }
        }
        format!("({})", terms.join(" + "))
    }

    /// The name or the number of a value; `None` if it is zero.
    fn factor(&self, id: ValueId, prefix: &str) -> Option<String> {
        let index = id.index();
        if self.sheet.case.is_zero(index) {
            return None;
        }
        Some(match &self.entry.program.ops()[index] {
            Op::Input => "v0".to_owned(),
            Op::Inject { .. } => "1".to_owned(),
            _ if self.is_exact(index) => format!("v{index}"),
            _ => format!("{prefix}{index}"),
        })
    }

    /// Whether no rounding reaches a value, which is then its own ideal.
    fn is_exact(&self, index: usize) -> bool {
        matches!(&self.sheet.case.values[index], Value::Live(model) if model.symbols.is_empty())
    }

    /// Whether the output depends on an operation in this case.
    fn live(&self) -> Vec<bool> {
        let ops = self.entry.program.ops();
        let mut live = vec![false; ops.len()];
        live[ops.len() - 1] = true;
        for (index, op) in ops.iter().enumerate().rev() {
            let (Op::Sum(sum), true) = (op, live[index]) else { continue };
            let zero = |id: ValueId| self.sheet.case.is_zero(id.index());
            for product in sum.products.iter().filter(|product| !zero(product.left) && !zero(product.right)) {
                live[product.left.index()] = true;
                live[product.right.index()] = true;
            }
            for term in sum.linear.iter().filter(|term| !zero(term.value)) {
                live[term.value.index()] = true;
            }
        }
        live
    }
}
