//! The canonical text of an entry, and its parser.
//!
//! The parser accepts a file only if it re-serialises to exactly the same bytes, so there is one spelling of every
//! entry and a digest of the bytes is a digest of the meaning. Everything after `#` is derived from the rest, for
//! people.

use crate::decimal::Decimal;
use crate::entry::{Claim, Entry, Norm, Window};
use crate::function::Function;
use crate::lemma::{Failure, Lemma, Rounding};
use crate::program::{LemmaId, Op, Product, Program, Sum, Term, ValueId};
use crate::ring::{Ring, Scale};
use dashu::integer::UBig;
use std::fmt::Write;

/// The largest entry file that is read, in bytes.
pub const MAX_ENTRY_BYTES: usize = 1 << 20;

/// Why a file is not an entry (or, in `verify`, not a certificate).
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ParseError {
    /// Counted from 1; 0 for the file as a whole.
    pub line: usize,
    /// What is wrong.
    pub reason: String,
}

/// A cursor over the lines of a canonical file.
pub struct Lines<'a> {
    lines: std::str::Lines<'a>,
    number: usize,
}

impl<'a> Lines<'a> {
    /// Starts at the first line of `text`, which may have at most `limit` bytes.
    pub fn new(text: &'a str, limit: usize) -> Result<Lines<'a>, ParseError> {
        if text.len() > limit {
            return Err(ParseError { line: 0, reason: format!("the file exceeds {limit} bytes") });
        }
        Ok(Lines { lines: text.lines(), number: 0 })
    }

    /// An error at the current line.
    pub fn error(&self, reason: impl Into<String>) -> ParseError {
        ParseError { line: self.number, reason: reason.into() }
    }

    /// The words of the next line, comment removed.
    pub fn next_words(&mut self) -> Result<Vec<&'a str>, ParseError> {
        self.number += 1;
        let line = self.lines.next().ok_or_else(|| self.error("the file ends too early"))?;
        Ok(line.split('#').next().unwrap_or("").split_whitespace().collect())
    }

    /// The words after the keyword `word`, which must open the next line.
    pub fn expect(&mut self, word: &str) -> Result<Vec<&'a str>, ParseError> {
        let words = self.next_words()?;
        match words.split_first() {
            Some((first, rest)) if *first == word => Ok(rest.to_vec()),
            _ => Err(self.error(format!("'{word}' expected"))),
        }
    }

    /// Parses one word.
    pub fn number<T: std::str::FromStr>(&self, word: &str, what: &str) -> Result<T, ParseError> {
        word.parse().map_err(|_| self.error(format!("'{}' is not {what}", clip(word))))
    }

    /// Parses one decimal.
    pub fn decimal(&self, word: &str) -> Result<Decimal, ParseError> {
        Decimal::parse(word).ok_or_else(|| self.error(format!("'{}' is not a decimal number", clip(word))))
    }
}

/// At most the first 40 characters of untrusted text, for a message.
fn clip(word: &str) -> String {
    word.chars().take(40).collect()
}

/// Refuses `text` unless it equals `canonical`.
pub fn require_canonical(text: &str, canonical: &str) -> Result<(), ParseError> {
    if text == canonical {
        return Ok(());
    }
    let line = text.lines().zip(canonical.lines()).position(|(mine, theirs)| mine != theirs).map_or(0, |n| n + 1);
    Err(ParseError { line, reason: "not in canonical form (it does not re-serialise to itself)".into() })
}

/// v / 2^scale exactly, in decimals.
pub fn dyadic_to_decimal(value: i128, scale: u8) -> String {
    let magnitude = value.unsigned_abs();
    let sign = if value < 0 { "-" } else { "" };
    let mut text = format!("{sign}{}", magnitude.checked_shr(u32::from(scale)).unwrap_or(0));
    let mut rest = UBig::from(magnitude) % (UBig::ONE << usize::from(scale));
    if rest != UBig::ZERO {
        text.push('.');
    }
    while rest != UBig::ZERO {
        rest *= UBig::from(10u8);
        text.push_str(&(&rest >> usize::from(scale)).to_string());
        rest %= UBig::ONE << usize::from(scale);
    }
    text
}

pub(crate) fn write_entry(entry: &Entry) -> String {
    let mut out = String::new();
    let claim = &entry.claim;
    let (ring, scale) = entry.program.input();
    let window = |name: &str, window: &Window| {
        let decimal = |v: i64| dyadic_to_decimal(i128::from(v), scale.bits());
        format!("{name} {} {} # [{}, {}]\n", window.low, window.high, decimal(window.low), decimal(window.high))
    };
    let _ = write!(out, "chebyshare entry 1\nfunction {}", claim.function.words());
    if let Function::Expression(expression) = &claim.function {
        let _ = write!(out, " # {expression}");
    }
    let _ = writeln!(out, "\ninput ring {ring} scale {scale}");
    out.push_str(&window("fitted", &claim.fitted));
    out.push_str(&window("window", &claim.window));
    let _ = writeln!(out, "norm absolute {} relative {}", claim.norm.absolute, claim.norm.relative);
    let _ = writeln!(out, "bound {}", claim.bound);
    for (index, lemma) in entry.program.lemmas().iter().enumerate() {
        let _ = writeln!(out, "lemma {index} {lemma}");
    }
    out.push_str("program\n");
    for (index, op) in entry.program.ops().iter().enumerate() {
        let _ = write!(out, "v{index} ");
        write_op(&mut out, &entry.program, op);
    }
    out.push_str("end\n");
    out
}

fn write_op(out: &mut String, program: &Program, op: &Op) {
    let _ = match op {
        Op::Input => writeln!(out, "input"),
        Op::Sign { operand, lemma } => writeln!(out, "sign by {} = {operand}", lemma.0),
        Op::Inject { bit, lemma } => writeln!(out, "inject by {} = {bit}", lemma.0),
        Op::Sum(sum) => {
            let _ = write!(out, "sum ring {} scale {} by ", sum.ring, sum.scale);
            let _ = match sum.truncation {
                Some(lemma) => write!(out, "{}", lemma.0),
                None => write!(out, "none"),
            };
            let _ = write!(out, " = {}", sum.constant);
            for product in &sum.products {
                let _ = write!(out, " {:+}*{}*{}", product.coefficient, product.left, product.right);
            }
            for term in &sum.linear {
                let _ = write!(out, " {:+}*{}", term.coefficient, term.value);
            }
            match sum.truncation.map(|lemma| program.lemma(lemma)) {
                Some(Lemma::Truncation { shift, .. }) => writeln!(out, " # >> {shift}"),
                _ => writeln!(out),
            }
        }
    };
}

pub(crate) fn read_entry(text: &str) -> Result<Entry, ParseError> {
    let mut lines = Lines::new(text, MAX_ENTRY_BYTES)?;
    if lines.next_words()? != ["chebyshare", "entry", "1"] {
        return Err(lines.error("'chebyshare entry 1' expected"));
    }
    let words = lines.expect("function")?;
    let function = Function::read(&words).map_err(|reason| lines.error(reason))?;
    let (ring, scale) = match lines.expect("input")?[..] {
        ["ring", ring, "scale", scale] => (read_ring(&lines, ring)?, read_scale(&lines, scale)?),
        _ => return Err(lines.error("'input ring K scale S' expected")),
    };
    let fitted = read_window(&mut lines, "fitted")?;
    let window = read_window(&mut lines, "window")?;
    let norm = match lines.expect("norm")?[..] {
        ["absolute", absolute, "relative", relative] => {
            Norm { absolute: lines.decimal(absolute)?, relative: lines.decimal(relative)? }
        }
        _ => return Err(lines.error("'norm absolute A relative R' expected")),
    };
    let bound = match lines.expect("bound")?[..] {
        [bound] => lines.decimal(bound)?,
        _ => return Err(lines.error("'bound B' expected")),
    };
    let mut lemmas = Vec::new();
    let mut words = lines.next_words()?;
    while words.first() == Some(&"lemma") {
        lemmas.push(read_lemma(&lines, &words[1..], lemmas.len())?);
        words = lines.next_words()?;
    }
    if words != ["program"] {
        return Err(lines.error("'program' expected"));
    }
    let first_op_line = lines.number + 1;
    let mut ops = Vec::new();
    loop {
        let words = lines.next_words()?;
        match words[..] {
            ["end"] => break,
            [id, ref rest @ ..] if id == format!("v{}", ops.len()) && ops.len() < Program::MAX_OPS => {
                ops.push(read_op(&lines, rest)?);
            }
            _ => return Err(lines.error(format!("'v{}' or 'end' expected", ops.len()))),
        }
    }
    let program = Program::new(ring, scale, lemmas, ops)
        .map_err(|invalid| ParseError { line: first_op_line + invalid.operation, reason: invalid.to_string() })?;
    let entry = Entry { claim: Claim { function, fitted, window, norm, bound }, program };
    require_canonical(text, &entry.to_text())?;
    Ok(entry)
}

fn read_ring(lines: &Lines, word: &str) -> Result<Ring, ParseError> {
    Ring::new(lines.number(word, "a ring width")?).ok_or_else(|| lines.error(format!("no ring has width {word}")))
}

fn read_scale(lines: &Lines, word: &str) -> Result<Scale, ParseError> {
    Scale::new(lines.number(word, "a scale")?).ok_or_else(|| lines.error(format!("scale {word} is too large")))
}

fn read_window(lines: &mut Lines, name: &str) -> Result<Window, ParseError> {
    match lines.expect(name)?[..] {
        [low, high] => Ok(Window { low: lines.number(low, "an integer")?, high: lines.number(high, "an integer")? }),
        _ => Err(lines.error(format!("'{name} LOW HIGH' expected"))),
    }
}

fn read_lemma(lines: &Lines, words: &[&str], index: usize) -> Result<Lemma, ParseError> {
    let small = |word: &str| lines.number::<u8>(word, "a small integer");
    let [number, rest @ ..] = words else { return Err(lines.error("'lemma N ...' expected")) };
    if lines.number::<usize>(number, "an index")? != index {
        return Err(lines.error(format!("lemma {index} expected")));
    }
    match *rest {
        [
            "truncation",
            "ring",
            ring,
            "target",
            target,
            "shift",
            shift,
            "window",
            window,
            "rounding",
            low,
            high,
            "failure",
            failure,
        ] => Ok(Lemma::Truncation {
            ring: read_ring(lines, ring)?,
            target: read_ring(lines, target)?,
            shift: small(shift)?,
            window: if window == "any" { None } else { Some(small(window)?) },
            rounding: Rounding { low: lines.number(low, "a rounding")?, high: lines.number(high, "a rounding")? },
            failure: if failure == "never" { Failure::Never } else { Failure::AtMost(small(failure)?) },
        }),
        ["sign", "width", width, "dropped", dropped, "operands", operands] => {
            Ok(Lemma::Sign { width: small(width)?, dropped: small(dropped)?, operands: small(operands)? })
        }
        ["injection", "ring", ring] => Ok(Lemma::Injection { ring: read_ring(lines, ring)? }),
        _ => Err(lines.error("unknown lemma")),
    }
}

fn read_op(lines: &Lines, words: &[&str]) -> Result<Op, ParseError> {
    let lemma = |word: &str| lines.number::<u8>(word, "a lemma").map(LemmaId);
    match *words {
        ["input"] => Ok(Op::Input),
        ["sign", "by", id, "=", operand] => Ok(Op::Sign { operand: read_value(lines, operand)?, lemma: lemma(id)? }),
        ["inject", "by", id, "=", bit] => Ok(Op::Inject { bit: read_value(lines, bit)?, lemma: lemma(id)? }),
        ["sum", "ring", ring, "scale", scale, "by", by, "=", constant, ref terms @ ..] => {
            let mut sum = Sum {
                ring: read_ring(lines, ring)?,
                products: Vec::new(),
                linear: Vec::new(),
                constant: lines.number(constant, "an integer")?,
                truncation: if by == "none" { None } else { Some(lemma(by)?) },
                scale: read_scale(lines, scale)?,
            };
            for term in terms {
                match term.split('*').collect::<Vec<_>>()[..] {
                    [coefficient, left, right] => sum.products.push(Product {
                        coefficient: lines.number(coefficient, "an integer")?,
                        left: read_value(lines, left)?,
                        right: read_value(lines, right)?,
                    }),
                    [coefficient, value] => sum.linear.push(Term {
                        coefficient: lines.number(coefficient, "an integer")?,
                        value: read_value(lines, value)?,
                    }),
                    _ => return Err(lines.error(format!("'{}' is not a term", clip(term)))),
                }
            }
            Ok(Op::Sum(sum))
        }
        _ => Err(lines.error("unknown operation")),
    }
}

fn read_value(lines: &Lines, word: &str) -> Result<ValueId, ParseError> {
    let digits = word.strip_prefix('v').ok_or_else(|| lines.error(format!("'{}' is not a value", clip(word))))?;
    lines.number(digits, "a value").map(ValueId)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dyadic_numbers_are_exact_at_every_scale() {
        assert_eq!(dyadic_to_decimal(-262_143, 16), "-3.9999847412109375");
        assert_eq!(dyadic_to_decimal(7, 0), "7");
        assert_eq!(dyadic_to_decimal(-(3 << 60), 60), "-3");
        assert_eq!(dyadic_to_decimal(i128::from(i64::MIN), 126), format!("-{}", dyadic_to_decimal(1, 63)));
        assert_eq!(dyadic_to_decimal(1, 126).len(), 2 + 126);
        assert_eq!(dyadic_to_decimal(1, 3), "0.125");
    }
}
