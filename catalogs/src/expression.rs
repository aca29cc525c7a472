//! Functions of one real variable as expressions, and their canonical text.
//!
//! Every node's enclosure follows from one defining property, so an expression *is* a definition that a checker can
//! bound a program against without a library of elementary functions.

use std::fmt;

/// A function of one real variable x.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Expression {
    /// x.
    X,
    /// numerator / denominator, denominator > 0.
    Rational(i64, i64),
    /// π.
    Pi,
    /// The sum of two expressions.
    Add(Box<Expression>, Box<Expression>),
    /// The product of two expressions.
    Multiply(Box<Expression>, Box<Expression>),
    /// y' = g'·y, the solution with y = 1 where g = 0: the exponential of g.
    Exp(Box<Expression>),
    /// The natural logarithm of g: the y with e^y = g; g must be positive.
    Log(Box<Expression>),
    /// The sine of g: with z its cosine, y' = g'·z and z' = −g'·y, y = 0 and z = 1 where g = 0.
    Sine(Box<Expression>),
    /// The y with g·y = 1; g must not vanish.
    Reciprocal(Box<Expression>),
    /// The positive y with g·y² = 1; g must be positive.
    Rsqrt(Box<Expression>),
    /// ∫₀ˣ exp(−u² · numerator / denominator) du, both positive.
    GaussianIntegral(i64, i64),
    /// max(g, 0).
    PositivePart(Box<Expression>),
}

/// The most nodes of an expression that is read.
pub const MAX_NODES: usize = 256;

impl Expression {
    /// An integer.
    pub fn integer(value: i64) -> Expression {
        Expression::Rational(value, 1)
    }
    /// self + other.
    pub fn plus(self, other: Expression) -> Expression {
        Expression::Add(Box::new(self), Box::new(other))
    }
    /// self · other.
    pub fn times(self, other: Expression) -> Expression {
        Expression::Multiply(Box::new(self), Box::new(other))
    }
    /// −self.
    pub fn negated(self) -> Expression {
        Expression::integer(-1).times(self)
    }
    /// self − other.
    pub fn minus(self, other: Expression) -> Expression {
        self.plus(other.negated())
    }
    /// e^self.
    pub fn exp(self) -> Expression {
        Expression::Exp(Box::new(self))
    }
    /// log self.
    pub fn log(self) -> Expression {
        Expression::Log(Box::new(self))
    }
    /// sin self.
    pub fn sine(self) -> Expression {
        Expression::Sine(Box::new(self))
    }
    /// 1 / self.
    pub fn reciprocal(self) -> Expression {
        Expression::Reciprocal(Box::new(self))
    }
    /// 1 / √self.
    pub fn rsqrt(self) -> Expression {
        Expression::Rsqrt(Box::new(self))
    }
    /// √self, as self · (1/√self).
    pub fn sqrt(self) -> Expression {
        self.clone().times(self.rsqrt())
    }
    /// max(self, 0).
    pub fn positive_part(self) -> Expression {
        Expression::PositivePart(Box::new(self))
    }
    /// |self| = 2·max(self, 0) − self.
    pub fn absolute(self) -> Expression {
        Expression::integer(2).times(self.clone().positive_part()).minus(self)
    }
    /// 1 / (1 + e^−self).
    pub fn logistic(self) -> Expression {
        Expression::integer(1).plus(self.negated().exp()).reciprocal()
    }

    /// The number of nodes.
    pub fn nodes(&self) -> usize {
        1 + self.operands().into_iter().map(Expression::nodes).sum::<usize>()
    }

    /// The operands of this node.
    pub fn operands(&self) -> Vec<&Expression> {
        match self {
            Expression::X | Expression::Pi | Expression::Rational(..) | Expression::GaussianIntegral(..) => vec![],
            Expression::Add(a, b) | Expression::Multiply(a, b) => vec![a, b],
            Expression::Exp(g)
            | Expression::Log(g)
            | Expression::Sine(g)
            | Expression::Reciprocal(g)
            | Expression::Rsqrt(g)
            | Expression::PositivePart(g) => vec![g],
        }
    }

    /// Reads words in prefix order, all of them: `add A B`, `mul A B`, `exp A`, `log A`, `sin A`, `reciprocal A`,
    /// `rsqrt A`, `positive A`, `x`, `pi`, `N/D`, `gaussian N/D`.
    pub fn parse(words: &[&str]) -> Result<Expression, String> {
        if words.len() > 2 * MAX_NODES {
            return Err(format!("an expression has at most {MAX_NODES} nodes"));
        }
        let mut rest = words.iter().copied();
        let expression = read(&mut rest, &mut 0)?;
        match rest.next() {
            None => Ok(expression),
            Some(word) => Err(format!("the expression ends before '{word}'")),
        }
    }

    /// The text that [`Expression::parse`] reads.
    pub fn prefix(&self) -> String {
        let word = match self {
            Expression::X => "x".to_owned(),
            Expression::Pi => "pi".to_owned(),
            Expression::Rational(numerator, denominator) => format!("{numerator}/{denominator}"),
            Expression::GaussianIntegral(numerator, denominator) => format!("gaussian {numerator}/{denominator}"),
            Expression::Add(..) => "add".to_owned(),
            Expression::Multiply(..) => "mul".to_owned(),
            Expression::Exp(_) => "exp".to_owned(),
            Expression::Log(_) => "log".to_owned(),
            Expression::Sine(_) => "sin".to_owned(),
            Expression::Reciprocal(_) => "reciprocal".to_owned(),
            Expression::Rsqrt(_) => "rsqrt".to_owned(),
            Expression::PositivePart(_) => "positive".to_owned(),
        };
        self.operands().into_iter().fold(word, |text, operand| text + " " + &operand.prefix())
    }
}

fn read<'a>(words: &mut impl Iterator<Item = &'a str>, nodes: &mut usize) -> Result<Expression, String> {
    *nodes += 1;
    if *nodes > MAX_NODES {
        return Err(format!("an expression has at most {MAX_NODES} nodes"));
    }
    let word = words.next().ok_or("the expression ends too early")?;
    Ok(match word {
        "x" => Expression::X,
        "pi" => Expression::Pi,
        "add" => read(words, nodes)?.plus(read(words, nodes)?),
        "mul" => read(words, nodes)?.times(read(words, nodes)?),
        "exp" => read(words, nodes)?.exp(),
        "log" => read(words, nodes)?.log(),
        "sin" => read(words, nodes)?.sine(),
        "reciprocal" => read(words, nodes)?.reciprocal(),
        "rsqrt" => read(words, nodes)?.rsqrt(),
        "positive" => read(words, nodes)?.positive_part(),
        "gaussian" => match words.next().and_then(fraction) {
            Some((numerator, denominator)) if numerator > 0 => Expression::GaussianIntegral(numerator, denominator),
            _ => return Err("'gaussian N/D' with positive integers expected".into()),
        },
        _ => match fraction(word) {
            Some((numerator, denominator)) => Expression::Rational(numerator, denominator),
            None => return Err(format!("'{}' is no part of an expression", word.chars().take(40).collect::<String>())),
        },
    })
}

fn fraction(word: &str) -> Option<(i64, i64)> {
    let (numerator, denominator) = word.split_once('/')?;
    let denominator = denominator.parse().ok().filter(|&denominator| denominator > 0)?;
    // The least integer has no negative; nobody needs it.
    Some((numerator.parse().ok().filter(|&numerator| numerator > i64::MIN)?, denominator))
}

/// In the usual notation, for people.
impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expression::X => f.write_str("x"),
            Expression::Pi => f.write_str("pi"),
            Expression::Rational(numerator, 1) if *numerator < 0 => write!(f, "({numerator})"),
            Expression::Rational(numerator, 1) => write!(f, "{numerator}"),
            Expression::Rational(numerator, denominator) => write!(f, "({numerator}/{denominator})"),
            Expression::Add(a, b) => write!(f, "({a} + {b})"),
            Expression::Multiply(a, b) => write!(f, "{a}*{b}"),
            Expression::Exp(g) => write!(f, "exp({g})"),
            Expression::Log(g) => write!(f, "log({g})"),
            Expression::Sine(g) => write!(f, "sin({g})"),
            Expression::Reciprocal(g) => write!(f, "reciprocal({g})"),
            Expression::Rsqrt(g) => write!(f, "rsqrt({g})"),
            Expression::GaussianIntegral(numerator, denominator) => {
                write!(f, "integral(0, x, exp(-u*u*{numerator}/{denominator}))")
            }
            Expression::PositivePart(g) => write!(f, "relu({g})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Function;

    #[test]
    fn texts_read_back() {
        for function in Function::ALL {
            let definition = function.definition();
            let text = definition.prefix();
            assert_eq!(Expression::parse(&text.split(' ').collect::<Vec<_>>()), Ok(definition), "{text}");
        }
    }

    #[test]
    fn what_is_no_expression_is_refused() {
        for text in ["", "x x", "add x", "mul", "1/0", "1/-2", "y", "gaussian -1/2", "gaussian", "exp", "1", "+"] {
            assert!(Expression::parse(&text.split(' ').collect::<Vec<_>>()).is_err(), "{text}");
        }
        let deep = vec!["exp"; 300];
        assert!(Expression::parse(&[deep, vec!["x"]].concat()).unwrap_err().contains("256 nodes"));
    }
}
