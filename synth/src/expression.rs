//! Functions to be fitted: named ones and expressions in x that a user types, evaluated by MPFR at any precision.
//!
//! Grammar: sums of products of powers; numbers, `x`, `pi`, `e`, parentheses, and the calls listed in [`CALLS`].

mod definition;
mod enclosure;

use crate::minimax::Target;
use rug::float::Constant;
use rug::ops::Pow;
use rug::{Float, Rational};
use std::fmt;

/// The most characters an expression may have.
pub const LENGTH_MAX: usize = 4096;
/// The deepest nesting of parentheses, calls and signs.
pub const DEPTH_MAX: usize = 64;

/// A function of x.
#[derive(Clone, PartialEq, Debug)]
pub struct Expression {
    text: String,
    root: Node,
}

#[derive(Clone, PartialEq, Debug)]
enum Node {
    X,
    Number(Rational),
    Pi,
    Euler,
    Negate(Box<Node>),
    Binary(Operator, Box<Node>, Box<Node>),
    Call(usize, Box<Node>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Operator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
}

type Elementary = fn(Float) -> Float;

/// The functions that an expression may call, with their definitions.
pub const CALLS: &[(&str, Elementary)] = &[
    ("exp", |x| x.exp()),
    ("exp2", |x| x.exp2()),
    ("log", |x| x.ln()),
    ("sqrt", |x| x.sqrt()),
    ("rsqrt", |x| x.recip_sqrt()),
    ("reciprocal", |x| x.recip()),
    ("sin", |x| x.sin()),
    ("cos", |x| x.cos()),
    ("tanh", |x| x.tanh()),
    ("erf", |x| x.erf()),
    ("abs", |x| x.abs()),
    ("relu", |x| if x.is_sign_negative() { Float::new(x.prec()) } else { x }),
    ("sigmoid", sigmoid),
    ("normal_cdf", normal_cdf),
    ("gelu", |x| Float::with_val(x.prec(), &x) * normal_cdf(x)),
    ("silu", |x| Float::with_val(x.prec(), &x) * sigmoid(x)),
    ("softplus", |x| {
        // log(1 + e^x) = max(x, 0) + log1p(e^−|x|): no cancellation on either side.
        let decay = Float::with_val(x.prec(), -x.clone().abs()).exp().ln_1p();
        if x.is_sign_negative() { decay } else { x + decay }
    }),
];

fn sigmoid(x: Float) -> Float {
    let precision = x.prec();
    (Float::with_val(precision, -x).exp() + 1u32).recip()
}

/// Φ(x) = erfc(−x/√2)/2, which keeps its relative accuracy in both tails.
fn normal_cdf(x: Float) -> Float {
    let precision = x.prec();
    let root = Float::with_val(precision, 2).sqrt();
    (-x / root).erfc() / 2u32
}

/// Where an expression cannot be read, and why.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{reason} at character {position} of '{text}'")]
pub struct Unreadable {
    /// The beginning of the text.
    pub text: String,
    /// Counted from 1.
    pub position: usize,
    /// What is wrong.
    pub reason: String,
}

impl Expression {
    /// Reads a function's name or an expression in x.
    pub fn parse(text: &str) -> Result<Expression, Unreadable> {
        let mut reader = Reader { text, rest: text, depth: 0 };
        if text.len() > LENGTH_MAX {
            return Err(reader.error(format!("more than {LENGTH_MAX} characters")));
        }
        if let Some(index) = CALLS.iter().position(|(name, _)| *name == text.trim()) {
            return Ok(Expression { text: text.trim().to_owned(), root: Node::Call(index, Box::new(Node::X)) });
        }
        let root = reader.sum()?;
        reader.skip_space();
        if reader.rest.is_empty() {
            Ok(Expression { text: text.trim().to_owned(), root })
        } else {
            Err(reader.error("an operator or the end expected".into()))
        }
    }
}

impl Target for Expression {
    fn value(&self, x: &Float, precision: u32) -> Float {
        // Guard bits against moderate cancellation inside the expression.
        let working = precision + 64;
        let value = evaluate(&self.root, &Float::with_val(working, x), working);
        Float::with_val(precision, value)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn evaluate(node: &Node, x: &Float, precision: u32) -> Float {
    match node {
        Node::X => x.clone(),
        Node::Number(value) => Float::with_val(precision, value),
        Node::Pi => Float::with_val(precision, Constant::Pi),
        Node::Euler => Float::with_val(precision, 1).exp(),
        Node::Negate(inner) => -evaluate(inner, x, precision),
        Node::Call(index, inner) => CALLS[*index].1(evaluate(inner, x, precision)),
        Node::Binary(operator, left, right) => {
            let left = evaluate(left, x, precision);
            if let (Operator::Power, Node::Number(exponent)) = (operator, &**right)
                && let (true, Some(exponent)) = (exponent.is_integer(), exponent.numer().to_i32())
            {
                return left.pow(exponent);
            }
            let right = evaluate(right, x, precision);
            match operator {
                Operator::Add => left + right,
                Operator::Subtract => left - right,
                Operator::Multiply => left * right,
                Operator::Divide => left / right,
                Operator::Power => left.pow(right),
            }
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    rest: &'a str,
    depth: usize,
}

impl Reader<'_> {
    fn error(&self, reason: String) -> Unreadable {
        let consumed = self.text.len() - self.rest.len();
        let position = self.text[..consumed].chars().count() + 1;
        Unreadable { text: self.text.chars().take(60).collect(), position, reason }
    }

    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    /// Consumes `symbol` if it is next.
    fn take(&mut self, symbol: char) -> bool {
        self.skip_space();
        match self.rest.strip_prefix(symbol) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Unreadable>) -> Result<T, Unreadable> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error(format!("nested more than {DEPTH_MAX} deep")));
        }
        let result = read(self);
        self.depth -= 1;
        result
    }

    fn sum(&mut self) -> Result<Node, Unreadable> {
        let mut left = self.term()?;
        loop {
            let operator = if self.take('+') {
                Operator::Add
            } else if self.take('-') {
                Operator::Subtract
            } else {
                return Ok(left);
            };
            left = Node::Binary(operator, Box::new(left), Box::new(self.term()?));
        }
    }

    fn term(&mut self) -> Result<Node, Unreadable> {
        let mut left = self.signed()?;
        loop {
            let operator = if self.take('*') {
                Operator::Multiply
            } else if self.take('/') {
                Operator::Divide
            } else {
                return Ok(left);
            };
            left = Node::Binary(operator, Box::new(left), Box::new(self.signed()?));
        }
    }

    /// A sign binds weaker than a power: −x^2 is −(x^2).
    fn signed(&mut self) -> Result<Node, Unreadable> {
        if self.take('-') {
            return self.deeper(|reader| Ok(Node::Negate(Box::new(reader.signed()?))));
        }
        if self.take('+') {
            return self.deeper(Self::signed);
        }
        let base = self.atom()?;
        if self.take('^') {
            let exponent = self.deeper(Self::signed)?;
            return Ok(Node::Binary(Operator::Power, Box::new(base), Box::new(exponent)));
        }
        Ok(base)
    }

    fn atom(&mut self) -> Result<Node, Unreadable> {
        if self.take('(') {
            return self.parenthesised();
        }
        self.skip_space();
        let word_end =
            self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '_').unwrap_or(self.rest.len());
        let word = &self.rest[..word_end];
        if word.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return self.number();
        }
        let node = match word {
            "" => return Err(self.error("a number, x, a function or '(' expected".into())),
            "x" => Node::X,
            "pi" => Node::Pi,
            "e" => Node::Euler,
            name => match CALLS.iter().position(|(known, _)| *known == name) {
                Some(index) => {
                    self.rest = &self.rest[word_end..];
                    if !self.take('(') {
                        return Err(self.error(format!("'(' expected after {name}")));
                    }
                    return Ok(Node::Call(index, Box::new(self.parenthesised()?)));
                }
                None => return Err(self.error(format!("unknown name '{name}'{}", suggestion(name)))),
            },
        };
        self.rest = &self.rest[word_end..];
        Ok(node)
    }

    fn parenthesised(&mut self) -> Result<Node, Unreadable> {
        let inner = self.deeper(Self::sum)?;
        if self.take(')') { Ok(inner) } else { Err(self.error("')' expected".into())) }
    }

    fn number(&mut self) -> Result<Node, Unreadable> {
        let digits_end = self.rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(self.rest.len());
        let mut end = digits_end;
        let after = &self.rest[digits_end..];
        if let Some(exponent) = after.strip_prefix(['e', 'E']) {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            let count = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
            if count > 0 {
                end += 1 + (exponent.len() - digits.len()) + count;
            }
        }
        let value = parse_rational(&self.rest[..end]).ok_or_else(|| self.error("not a number".into()))?;
        self.rest = &self.rest[end..];
        Ok(Node::Number(value))
    }
}

/// A decimal or a fraction, exactly: `-3.45`, `1e-3`, `10/3`.
pub fn parse_rational(text: &str) -> Option<Rational> {
    if let Some((numerator, denominator)) = text.split_once('/') {
        let denominator = parse_rational(denominator)?;
        return (denominator != 0).then(|| parse_rational(numerator).map(|n| n / denominator))?;
    }
    let decimal = catalogs::Decimal::parse(&text.replace('E', "e").replace("e+", "e")).or_else(|| {
        // Decimals as people type them: `.5`, `1.`.
        let padded = if text.starts_with('.') { format!("0{text}") } else { format!("{text}0") };
        catalogs::Decimal::parse(&padded)
    })?;
    decimal.to_rational().to_string().parse().ok()
}

/// `; did you mean …?` for a name close to a known one, else the known ones.
fn suggestion(name: &str) -> String {
    match near(name, CALLS.iter().map(|(known, _)| *known)) {
        Some(known) => format!("; did you mean {known}?"),
        None => format!("; known are x, pi, e, {}", CALLS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")),
    }
}

/// The known name that differs from `name` least, if by at most two letters and half of them.
pub fn near<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |a: &str, b: &str| {
        let b: Vec<char> = b.chars().collect();
        let mut row: Vec<usize> = (0..=b.len()).collect();
        for (i, c) in a.chars().enumerate() {
            let mut diagonal = row[0];
            row[0] = i + 1;
            for j in 0..b.len() {
                let next = (diagonal + usize::from(c != b[j])).min(row[j] + 1).min(row[j + 1] + 1);
                diagonal = std::mem::replace(&mut row[j + 1], next);
            }
        }
        row[b.len()]
    };
    let (distance, known) = known.into_iter().map(|known| (distance(name, known), known)).min()?;
    (distance <= 2 && 2 * distance <= name.len()).then_some(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str, x: f64) -> f64 {
        Expression::parse(text).unwrap().value(&Float::with_val(200, x), 100).to_f64()
    }

    #[test]
    fn expressions_have_the_usual_meaning() {
        assert_eq!(at("-x^2 + 2*x - 1", 3.0), -4.0);
        assert_eq!(at("2^3^2", 0.0), 512.0);
        assert_eq!(at("1e-1 * 1E1 + .5 + 1.", 0.0), 2.5);
        assert!((at("x/(1+exp(-x))", 1.5) - at("silu", 1.5)).abs() < 1e-15);
        assert!((at("x*(1+erf(x/sqrt(2)))/2", -1.0) - at("gelu", -1.0)).abs() < 1e-15);
        assert!((at("softplus", -30.0) - 9.357622968839299e-14).abs() < 1e-26);
        assert_eq!(parse_rational("10/4").unwrap(), Rational::from((5, 2)));
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (text, reason) in [
            ("gleu(x)", "did you mean gelu"),
            ("x +", "at character 4"),
            ("(x", "')' expected"),
            ("exp x", "'(' expected after exp"),
            ("x $ 2", "an operator"),
            ("", "a number"),
        ] {
            let error = Expression::parse(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
        assert!(Expression::parse(&"(".repeat(3000)).unwrap_err().to_string().contains("nested"));
        assert!(Expression::parse(&"-".repeat(3000)).unwrap_err().to_string().contains("nested"));
        assert!(parse_rational("1/0").is_none());
    }
}
