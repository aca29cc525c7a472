//! Taylor coefficients of an expression over an interval, rigorously.
//!
//! Establishes: the i-th interval returned contains f⁽ⁱ⁾(x)/i! for every x of the argument, f being what the text of
//! the expression says. It shares the tree with [`super::Expression`]'s evaluation and nothing else.

use super::{CALLS, Expression, Node, Operator};
use evidence::Interval;
use evidence::series::{
    chain, constant, exponential, identity, logarithm, natural_power, negated, power, product, reciprocal, riccati,
    sine_cosine, sum,
};
use rug::Rational;

impl Expression {
    /// The coefficients of order 0 to `order` over `argument`; `None` where the expression cannot be shown to be
    /// defined, and smooth if `order` is positive, on all of it. The precision is the argument's.
    pub fn taylor(&self, argument: &Interval, order: usize) -> Option<Vec<Interval>> {
        taylor(&self.root, argument, order)
    }
}

fn taylor(node: &Node, argument: &Interval, order: usize) -> Option<Vec<Interval>> {
    let precision = argument.precision();
    Some(match node {
        Node::X => identity(argument, order),
        Node::Number(value) => constant(Interval::rational(value, precision), order),
        Node::Pi => constant(Interval::pi(precision), order),
        Node::Euler => constant(Interval::integer(1, precision).exp(), order),
        Node::Negate(inner) => negated(&taylor(inner, argument, order)?),
        Node::Call(index, inner) => call(CALLS[*index].0, &taylor(inner, argument, order)?)?,
        Node::Binary(Operator::Power, base, exponent) => {
            let base = taylor(base, argument, order)?;
            match rational(exponent) {
                Some(exponent) => rational_power(&base, &exponent)?,
                None => exponential(&product(&logarithm(&base)?, &taylor(exponent, argument, order)?)),
            }
        }
        Node::Binary(operator, left, right) => {
            let (left, right) = (taylor(left, argument, order)?, taylor(right, argument, order)?);
            match operator {
                Operator::Add => sum(&left, &right),
                Operator::Subtract => sum(&left, &negated(&right)),
                Operator::Divide => product(&left, &reciprocal(&right)?),
                Operator::Multiply | Operator::Power => product(&left, &right),
            }
        }
    })
}

/// The value of an exponent that is a number, a fraction of numbers, or the negative of one.
fn rational(node: &Node) -> Option<Rational> {
    match node {
        Node::Number(value) => Some(value.clone()),
        Node::Negate(inner) => rational(inner).map(|value| -value),
        Node::Binary(Operator::Divide, above, below) => {
            let below = rational(below)?;
            (below != 0).then(|| rational(above).map(|above| above / below))?
        }
        _ => None,
    }
}

fn rational_power(base: &[Interval], exponent: &Rational) -> Option<Vec<Interval>> {
    if exponent.is_integer() {
        let natural = natural_power(base, exponent.numer().clone().abs().to_u32()?);
        return if *exponent < 0 { reciprocal(&natural) } else { Some(natural) };
    }
    let factor = Interval::rational(exponent, base[0].precision());
    let value = match base[0].ln() {
        Some(logarithm) => logarithm.multiply(&factor).exp(),
        // From zero upwards a positive power increases from zero.
        None if *base[0].lower() == 0 && *exponent > 0 => {
            let zero = Interval::integer(0, base[0].precision());
            let top = Interval::new(base[0].upper().clone(), base[0].upper().clone())?;
            top.ln().map_or_else(|| zero.clone(), |logarithm| logarithm.multiply(&factor).exp().hull(&zero))
        }
        None => return None,
    };
    power(base, exponent, value)
}

/// The function that is called `name`, of g. Every name of [`CALLS`] is here, which a test checks.
fn call(name: &str, g: &[Interval]) -> Option<Vec<Interval>> {
    let precision = g[0].precision();
    let half = |sign: i32| Rational::from((sign, 2));
    Some(match name {
        "exp" => exponential(g),
        "exp2" => {
            let factor = Interval::integer(2, precision).ln()?;
            exponential(&g.iter().map(|c| c.multiply(&factor)).collect::<Vec<_>>())
        }
        "log" => logarithm(g)?,
        "sqrt" => power(g, &half(1), g[0].sqrt()?)?,
        "rsqrt" => power(g, &half(-1), g[0].rsqrt()?)?,
        "reciprocal" => reciprocal(g)?,
        "sin" => sine_cosine(g).0,
        "cos" => sine_cosine(g).1,
        "tanh" => riccati(g[0].tanh(), [1, 0, -1], g),
        "erf" => {
            let rate = Interval::pi(precision).rsqrt()?.shift(1);
            chain(g[0].erf(), &gaussian(g, &Rational::from(1), &rate), g)
        }
        "abs" => piecewise(g, g[0].absolute(), -1)?,
        "relu" => piecewise(g, g[0].positive_part(), 0)?,
        "sigmoid" => sigmoid(g)?,
        "normal_cdf" => normal_cdf(g)?,
        "gelu" => product(g, &normal_cdf(g)?),
        "silu" => product(g, &sigmoid(g)?),
        "softplus" => chain(softplus(&g[0])?, &sigmoid(g)?, g),
        _ => return None,
    })
}

/// g where it is not negative, `below`·g where it is not positive; with no derivative across zero.
fn piecewise(g: &[Interval], value: Interval, below: i64) -> Option<Vec<Interval>> {
    if *g[0].lower() >= 0 {
        Some(g.to_vec())
    } else if *g[0].upper() <= 0 {
        Some(g.iter().map(|c| c.scale(below, 1)).collect())
    } else {
        (g.len() == 1).then(|| vec![value])
    }
}

/// rate·e^(−g²·exponent).
fn gaussian(g: &[Interval], exponent: &Rational, rate: &Interval) -> Vec<Interval> {
    let factor = Interval::rational(&Rational::from(-exponent), rate.precision());
    let square: Vec<Interval> = natural_power(g, 2).iter().map(|c| c.multiply(&factor)).collect();
    exponential(&square).iter().map(|c| c.multiply(rate)).collect()
}

fn normal_cdf(g: &[Interval]) -> Option<Vec<Interval>> {
    let root = Interval::integer(2, g[0].precision()).rsqrt()?;
    let value = g[0].negate().multiply(&root).erfc().shift(-1);
    let rate = Interval::pi(g[0].precision()).rsqrt()?.multiply(&root);
    Some(chain(value, &gaussian(g, &Rational::from((1, 2)), &rate), g))
}

fn sigmoid(g: &[Interval]) -> Option<Vec<Interval>> {
    let below = Interval::integer(1, g[0].precision()).add(&g[0].negate().exp());
    Some(riccati(below.reciprocal()?, [0, 1, -1], g))
}

/// log(1 + e^g) = max(g, 0) + log(1 + e^−|g|), end by end as it increases.
fn softplus(g: &Interval) -> Option<Interval> {
    let end = |value: &rug::Float| {
        let point = Interval::new(value.clone(), value.clone())?;
        let decay = point.absolute().negate().exp().add(&Interval::integer(1, g.precision()));
        Some(point.positive_part().add(&decay.ln()?))
    };
    Some(end(g.lower())?.hull(&end(g.upper())?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::minimax::Target;
    use rug::Float;

    fn point(x: f64) -> Interval {
        Interval::new(Float::with_val(192, x), Float::with_val(192, x)).unwrap()
    }

    /// Every call and operator: the enclosure holds MPFR's value, and the coefficients reproduce a nearby value.
    #[test]
    fn every_construction_agrees_with_its_evaluation() {
        let calls = CALLS.iter().map(|(name, _)| format!("{name}(x)"));
        let others = ["x^5 - 3*x^-2", "x^(1/3)", "2^x", "x^x", "-pi*e/x", "exp(sin(x)^2)/(1+x^4)"];
        for text in calls.chain(others.map(str::to_owned)) {
            let expression = Expression::parse(&text).unwrap();
            for x in [0.375, 1.5] {
                let series = expression.taylor(&point(x), 12).unwrap_or_else(|| panic!("{text} at {x}"));
                let value = expression.value(&Float::with_val(192, x), 150);
                let gap = Float::with_val(192, series[0].middle() - &value).abs();
                assert!(gap < 1e-40 && series[0].width() < 1e-40, "{text} at {x}: {gap}");
                let step = 1.0 / 256.0;
                let near =
                    series.iter().rev().fold(Interval::integer(0, 192), |sum, c| sum.multiply(&point(step)).add(c));
                let value = expression.value(&Float::with_val(192, x + step), 150);
                let gap = Float::with_val(192, near.middle() - &value).abs();
                assert!(gap < 1e-22, "{text} near {x}: {gap}");
            }
        }
    }

    #[test]
    fn poles_kinks_and_undefined_points_are_refused() {
        let across = point(-1.0).hull(&point(1.0));
        let of = |text: &str, order| Expression::parse(text).unwrap().taylor(&across, order);
        for text in ["1/x", "log(x)", "sqrt(x)", "x^(1/2)", "x^-1", "x^x", "rsqrt(x)", "1/sin(x)"] {
            assert!(of(text, 0).is_none(), "{text}");
        }
        for text in ["abs(x)", "relu(x)"] {
            assert!(of(text, 0).is_some() && of(text, 1).is_none(), "{text}");
        }
        let from_zero = point(0.0).hull(&point(0.25));
        let root = Expression::parse("x^(1/2)").unwrap().taylor(&from_zero, 0).unwrap();
        assert!(*root[0].lower() == 0 && root[0].upper().to_f64() - 0.5 < 1e-15);
    }
}
