//! The functions at any precision, for fitting and for estimates: MPFR's word, which nothing is proved from.

use catalogs::{Expression, Function};
use evidence::Interval;
use rug::float::Constant;
use rug::{Float, Rational};

/// f(x) with a relative error far below 2^(16 − precision).
pub fn value(function: &Function, x: &Float, precision: u32) -> Float {
    let p = precision + 16;
    let x = Float::with_val(p.max(x.prec()), x);
    let logistic = |x: Float| (Float::with_val(p, -x).exp() + 1u32).recip();
    let normal = |x: &Float| {
        // Φ(x) = erfc(−x/√2)/2 has no cancellation on the left.
        let z = Float::with_val(p, -x) / Float::with_val(p, 2).sqrt();
        z.erfc() / 2u32
    };
    let result = match function {
        Function::Exp => Float::with_val(p, x.exp_ref()),
        Function::Reciprocal => Float::with_val(p, x.recip_ref()),
        Function::Rsqrt => Float::with_val(p, x.recip_sqrt_ref()),
        Function::Sigmoid => logistic(x),
        Function::Tanh => Float::with_val(p, x.tanh_ref()),
        Function::Erf => Float::with_val(p, x.erf_ref()),
        Function::NormalCdf => normal(&x),
        Function::Gelu => normal(&x) * &x,
        Function::Silu => logistic(x.clone()) * &x,
        Function::Relu => Float::with_val(p, x.max(&Float::new(p))),
        Function::Log => Float::with_val(p, x.ln_ref()),
        Function::Sqrt => Float::with_val(p, x.sqrt_ref()),
        Function::Exp2 => Float::with_val(p, x.exp2_ref()),
        Function::Sin => Float::with_val(p, x.sin_ref()),
        Function::Cos => Float::with_val(p, x.cos_ref()),
        Function::Softplus => {
            let decay = Float::with_val(p, -x.clone().abs()).exp().ln_1p();
            if x.is_sign_negative() { decay } else { decay + &x }
        }
        Function::Mish => {
            let grown = Float::with_val(p, x.exp_ref()) + 1u32;
            (Float::with_val(p, 1) - Float::with_val(p, grown.square() + 1u32).recip() * 2u32) * &x
        }
        Function::Elu if x.is_sign_negative() => Float::with_val(p, x.exp_m1_ref()),
        Function::Elu => Float::with_val(p, &x),
        Function::Softsign => Float::with_val(p, &x / (x.clone().abs() + 1u32)),
        Function::Isru => Float::with_val(p, &x * (Float::with_val(p, x.square_ref()) + 1u32).recip_sqrt()),
        // The middle of an enclosure; not a number where there is none.
        other => {
            let point = Interval::new(Float::with_val(p + 16, &x), Float::with_val(p + 16, &x));
            let enclosed = point.and_then(|point| evidence::enclose(other, &point));
            enclosed.map_or_else(|| Float::with_val(p, rug::float::Special::Nan), |enclosed| enclosed.middle())
        }
    };
    Float::with_val(precision, result)
}

/// f(x) − slope·x for the functions where that is even, without cancellation.
pub fn even_part(function: &Function, slope: &Rational, x: &Float, precision: u32) -> Float {
    let p = precision + 16;
    let half = match function {
        Function::Gelu => (Float::with_val(p, x) / Float::with_val(p, 2).sqrt()).erf() / 2u32,
        Function::Silu => (Float::with_val(p, x) / 2u32).tanh() / 2u32,
        _ => {
            let q = 2 * p;
            let rest = value(function, x, q) - Float::with_val(q, x) * slope;
            return Float::with_val(precision, rest);
        }
    };
    Float::with_val(precision, half * x)
}

/// log₂ e to 200 bits.
pub fn log2_e() -> Rational {
    let inverse = Float::with_val(200, Constant::Log2).recip();
    inverse.to_rational().unwrap_or_default()
}

/// f(x) − centre for the functions where that is odd, without cancellation.
pub fn odd_part(function: &Function, centre: &Rational, x: &Float, precision: u32) -> Float {
    let p = precision + 16;
    let half = |x: &Float| Float::with_val(p, x) / 2u32;
    let result = match function {
        Function::Sigmoid => half(x).tanh() / 2u32,
        Function::NormalCdf => (Float::with_val(p, x) / Float::with_val(p, 2).sqrt()).erf() / 2u32,
        _ => value(function, x, 2 * p) - centre,
    };
    Float::with_val(precision, result)
}

/// Where a derivative of f jumps: the roots of x + c under every rectifier of its definition.
pub fn kinks(function: &Function) -> Vec<Rational> {
    fn collect(expression: &Expression, kinks: &mut Vec<Rational>) {
        match expression {
            Expression::PositivePart(inner) => {
                match &**inner {
                    Expression::X => kinks.push(Rational::new()),
                    Expression::Add(left, right) => match (&**left, &**right) {
                        (Expression::X, Expression::Rational(n, d)) | (Expression::Rational(n, d), Expression::X) => {
                            kinks.push(-Rational::from((*n, *d)));
                        }
                        _ => {}
                    },
                    _ => {}
                }
                collect(inner, kinks);
            }
            Expression::Add(a, b) | Expression::Multiply(a, b) => {
                collect(a, kinks);
                collect(b, kinks);
            }
            Expression::Exp(g)
            | Expression::Log(g)
            | Expression::Sine(g)
            | Expression::Reciprocal(g)
            | Expression::Rsqrt(g) => collect(g, kinks),
            _ => {}
        }
    }
    let mut kinks = Vec::new();
    collect(&function.definition(), &mut kinks);
    kinks.sort_unstable();
    kinks.dedup();
    kinks
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is written out above agrees with the definition that entries carry.
    #[test]
    fn values_are_those_of_the_definitions() {
        for function in Function::ALL {
            for x in [-20.5, -3.25, -0.375, 0.625, 2.5, 19.75] {
                let is_positive =
                    matches!(function, Function::Log | Function::Sqrt | Function::Rsqrt | Function::Reciprocal);
                if is_positive && x < 0.0 {
                    continue;
                }
                let x = Float::with_val(120, x);
                let defined = Function::Expression(std::sync::Arc::new(function.definition()));
                let (ours, exact) = (value(function, &x, 100), value(&defined, &x, 100));
                let distance = Float::with_val(100, &ours - &exact).abs().to_f64();
                assert!(distance <= 1e-25 * exact.to_f64().abs().max(1e-4), "{function} at {x}: {ours} and {exact}");
            }
        }
    }
}
