//! From a typed expression to the definition that entries carry and the checker bounds programs against.

use super::{CALLS, Expression, Node, Operator};
use catalogs::Function;
use rug::Rational;
use std::sync::Arc;

/// The largest power that is written as a product.
const POWER_MAX: i64 = 16;

impl Expression {
    /// The function for an entry: the named one if it is only a name, else the expression node by node.
    ///
    /// # Errors
    /// A number that does not fit 64 bits, and erf, normal_cdf or gelu of anything but x: those have no definition
    /// that the checker can follow.
    pub fn function(&self) -> Result<Function, String> {
        if let Node::Call(index, argument) = &self.root
            && **argument == Node::X
            && let Some(function) = CALLS.get(*index).and_then(|(name, _)| Function::parse(name))
        {
            return Ok(function);
        }
        let definition = define(&self.root)?;
        let nodes = definition.nodes();
        match nodes <= catalogs::expression::MAX_NODES {
            true => Ok(Function::Expression(Arc::new(definition))),
            false => {
                Err(format!("the definition has {nodes} nodes, entries carry {}", catalogs::expression::MAX_NODES))
            }
        }
    }
}

fn define(node: &Node) -> Result<catalogs::Expression, String> {
    use catalogs::Expression as E;
    Ok(match node {
        Node::X => E::X,
        Node::Number(value) => number(value)?,
        Node::Pi => E::Pi,
        Node::Euler => E::integer(1).exp(),
        Node::Negate(inner) => define(inner)?.negated(),
        Node::Binary(operator, left, right) => {
            let (a, b) = (define(left)?, define(right));
            match operator {
                Operator::Add => a.plus(b?),
                Operator::Subtract => a.minus(b?),
                Operator::Multiply => a.times(b?),
                Operator::Divide => match &**right {
                    Node::Number(value) if *value != 0 => a.times(number(&Rational::from(value.recip_ref()))?),
                    _ => a.times(b?.reciprocal()),
                },
                Operator::Power => power(a, right)?,
            }
        }
        Node::Call(index, argument) => call(CALLS.get(*index).map_or("", |(name, _)| name), argument)?,
    })
}

fn number(value: &Rational) -> Result<catalogs::Expression, String> {
    match (value.numer().to_i64().filter(|&numerator| numerator > i64::MIN), value.denom().to_i64()) {
        (Some(numerator), Some(denominator)) => Ok(catalogs::Expression::Rational(numerator, denominator)),
        _ => Err(format!("the number {value} does not fit a fraction of 64-bit integers")),
    }
}

fn power(base: catalogs::Expression, exponent: &Node) -> Result<catalogs::Expression, String> {
    let Ok(catalogs::Expression::Rational(numerator, denominator)) = define(exponent).map(folded) else {
        return Ok(base.log().times(define(exponent)?).exp());
    };
    Ok(match (numerator, denominator) {
        (0, _) => catalogs::Expression::integer(1),
        (1, 2) => base.sqrt(),
        (-1, 2) => base.rsqrt(),
        (count, 1) if count.abs() <= POWER_MAX => {
            let product = (1..count.abs()).fold(base.clone(), |product, _| product.times(base.clone()));
            if count > 0 { product } else { product.reciprocal() }
        }
        _ => base.log().times(catalogs::Expression::Rational(numerator, denominator)).exp(),
    })
}

/// A negated number is a number.
fn folded(expression: catalogs::Expression) -> catalogs::Expression {
    use catalogs::Expression::{Multiply, Rational};
    match expression {
        Multiply(a, b) => match (*a, *b) {
            (Rational(-1, 1), Rational(numerator, denominator)) => Rational(-numerator, denominator),
            (a, b) => a.times(b),
        },
        other => other,
    }
}

fn call(name: &str, argument: &Node) -> Result<catalogs::Expression, String> {
    use catalogs::Expression as E;
    let g = define(argument)?;
    Ok(match name {
        "exp" => g.exp(),
        "exp2" => E::integer(2).log().times(g).exp(),
        "log" => g.log(),
        "sqrt" => g.sqrt(),
        "rsqrt" => g.rsqrt(),
        "reciprocal" => g.reciprocal(),
        "sin" => g.sine(),
        "cos" => g.plus(E::Rational(1, 2).times(E::Pi)).sine(),
        "tanh" => E::integer(2).times(E::integer(2).times(g).logistic()).plus(E::integer(-1)),
        "abs" => g.absolute(),
        "relu" => g.positive_part(),
        "sigmoid" => g.logistic(),
        "silu" => g.clone().times(g.logistic()),
        "softplus" => g.clone().positive_part().plus(E::integer(1).plus(g.absolute().negated().exp()).log()),
        _ if g == E::X => match Function::parse(name) {
            Some(function) => function.definition(),
            None => return Err(format!("'{name}' has no definition that a checker can follow")),
        },
        _ => return Err(format!("'{name}' of anything but x has no definition that a checker can follow")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::minimax::Target;
    use evidence::Interval;
    use rug::Float;

    /// The definition's enclosure contains what MPFR says of the typed expression.
    #[test]
    fn definitions_mean_what_was_typed() {
        for text in [
            "exp(-x^2/2)/sqrt(2*pi)",
            "x/(1+abs(x))",
            "log(1+exp(x))",
            "tanh(2*x)*cos(x/3)",
            "(1+x^2)^(-1/2)",
            "2^x - e*x",
            "softplus(x)-x/2",
            "relu(x-1)+silu(x+1)",
            "gelu(x)*3",
            "x^3-x^-2",
            "(2+sin(x))^1.5",
            "mish(x)",
        ] {
            let Ok(expression) = Expression::parse(text) else { continue };
            let function = expression.function().unwrap();
            for x in [-2.5, -0.75, 0.5, 1.25, 3.0] {
                let point = Interval::new(Float::with_val(128, x), Float::with_val(128, x)).unwrap();
                let enclosed = evidence::enclose(&function, &point).unwrap();
                let value = expression.value(&Float::with_val(128, x), 128);
                let near = Float::with_val(128, enclosed.middle() - &value).abs();
                assert!(near < 1e-25, "{text} at {x}: {value} and {enclosed:?}");
            }
        }
        assert_eq!(Expression::parse("gelu").unwrap().function(), Ok(Function::Gelu));
        assert!(Expression::parse("erf(2*x)").unwrap().function().unwrap_err().contains("erf"));
    }
}
