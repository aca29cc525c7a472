//! Enclosures of every catalog function at a point, by closed forms that do not cancel.
//!
//! Each form is a composition of MPFR functions, monotone in every argument, so its interval is a few units in the
//! last place wide *relative to the value*, in both tails: Φ(x) = ½·erfc(−x/√2), σ(x) = 1/(1+e^−x).
//! Independent of [`crate::jet`], which reads the definitions; the tests hold the two against each other.

use crate::interval::Interval;
use crate::jet::taylor;
use catalogs::Function;

/// An interval that contains f(x) for every x of `argument`; `None` where f is not defined on all of `argument`.
/// The precision is that of `argument`. For a point the width is a few units in the last place of f(x).
pub fn enclose(function: &Function, argument: &Interval) -> Option<Interval> {
    let integer = |value| Interval::integer(value, argument.precision());
    Some(match function {
        Function::Exp => argument.exp(),
        Function::Reciprocal => argument.is_positive().then(|| argument.reciprocal()).flatten()?,
        Function::Rsqrt => argument.rsqrt()?,
        Function::Sigmoid => sigmoid(argument)?,
        Function::Tanh => argument.tanh(),
        Function::Erf => argument.erf(),
        Function::NormalCdf => normal_cdf(argument)?,
        Function::Gelu => argument.multiply(&normal_cdf(argument)?),
        Function::Silu => argument.multiply(&sigmoid(argument)?),
        Function::Exp2 => integer(2).ln()?.multiply(argument).exp(),
        Function::Log => argument.ln()?,
        Function::Sqrt => argument.is_positive().then(|| argument.sqrt()).flatten()?,
        Function::Sin => argument.sin(),
        Function::Cos => argument.cos(),
        Function::NormalPdf => {
            let density = argument.square().negate().shift(-1).exp();
            density.multiply(&Interval::pi(argument.precision()).shift(1).rsqrt()?)
        }
        Function::GeluTanh => {
            let cube = argument.square().multiply(argument).scale(44_715, 1_000_000);
            let root = Interval::pi(argument.precision()).shift(-1).rsqrt()?;
            argument.multiply(&sigmoid(&argument.add(&cube).multiply(&root).shift(1))?)
        }
        Function::Softplus => softplus(argument)?,
        Function::Mish => argument.multiply(&softplus(argument)?.tanh()),
        Function::Elu => argument.positive_part().add(&below_zero(argument).exp_m1()),
        Function::Selu => {
            let unit = 10_000_000_000_000_000;
            let below = below_zero(argument).exp_m1().scale(16_732_632_423_543_772, unit);
            argument.positive_part().add(&below).scale(10_507_009_873_554_805, unit)
        }
        Function::Softsign => argument.multiply(&integer(1).add(&argument.absolute()).reciprocal()?),
        Function::Isru => argument.multiply(&integer(1).add(&argument.square()).rsqrt()?),
        Function::HardSigmoid => hard_sigmoid(argument),
        Function::HardSwish => argument.multiply(&hard_sigmoid(argument)),
        Function::Relu => argument.positive_part(),
        Function::Expression(expression) => taylor(expression, argument, 0)?.swap_remove(0),
    })
}

/// log(1 + e^x): for x > 0 as x + log(1 + e^−x), elsewhere directly; both without cancellation.
fn softplus(argument: &Interval) -> Option<Interval> {
    if *argument.upper() <= 0 {
        return argument.exp().ln_1p();
    }
    Some(argument.positive_part().add(&argument.absolute().negate().exp().ln_1p()?))
}

/// min(x, 0).
fn below_zero(argument: &Interval) -> Interval {
    argument.negate().positive_part().negate()
}

fn hard_sigmoid(argument: &Interval) -> Interval {
    let part = |offset| argument.add(&Interval::integer(offset, argument.precision())).positive_part();
    part(3).subtract(&part(-3)).scale(1, 6)
}

/// f at the input integer `value` of scale `scale`.
pub fn enclose_dyadic(function: &Function, value: i128, scale: u8, precision: u32) -> Option<Interval> {
    enclose(function, &Interval::dyadic(value, scale, precision.max(128)))
}

fn sigmoid(argument: &Interval) -> Option<Interval> {
    Interval::integer(1, argument.precision()).add(&argument.negate().exp()).reciprocal()
}

fn normal_cdf(argument: &Interval) -> Option<Interval> {
    let root = Interval::integer(2, argument.precision()).rsqrt()?;
    Some(argument.negate().multiply(&root).erfc().shift(-1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interval::PRECISION;

    /// Integers at scale 16: zero, the least steps, ordinary values, both tails and far beyond.
    const ARGUMENTS: [i128; 22] = [
        0,
        1,
        -1,
        2,
        77,
        -77,
        4096,
        -4096,
        65_536,
        -65_536,
        200_000,
        -200_000,
        400_000,
        -400_000,
        600_001,
        -600_001,
        1 << 22,
        -(1 << 22),
        1 << 26,
        -(1 << 26),
        1 << 32,
        -(1 << 32),
    ];

    /// Whether it is defined for positive arguments only (or, here, used there only).
    fn positive(function: &Function) -> bool {
        matches!(function, Function::Reciprocal | Function::Rsqrt | Function::Log | Function::Sqrt)
    }

    /// Where the value is below the least number of MPFR.
    fn underflows(function: &Function, x: i128) -> bool {
        matches!(function, Function::NormalPdf | Function::GeluTanh) && x.abs() > 1 << 26
    }

    fn cases() -> impl Iterator<Item = (Function, i128)> {
        let all = Function::ALL.iter().flat_map(|f| ARGUMENTS.iter().map(move |x| (f.clone(), *x)));
        all.filter(|(f, x)| (!positive(f) || *x > 0) && !underflows(f, *x))
    }

    #[test]
    fn undefined_points_are_refused() {
        for x in [0, -1, -65_536] {
            assert!(enclose_dyadic(&Function::Reciprocal, x, 16, PRECISION).is_none());
            assert!(enclose_dyadic(&Function::Rsqrt, x, 16, PRECISION).is_none());
        }
    }

    /// A more precise enclosure lies inside a less precise one, and the latter is tight relative to the value.
    #[test]
    fn precise_enclosures_lie_inside_and_tails_do_not_cancel() {
        for (function, x) in cases() {
            let coarse = enclose_dyadic(&function, x, 16, 128).unwrap();
            let fine = enclose_dyadic(&function, x, 16, 320).unwrap();
            assert!(coarse.covers(&fine), "{function} at {x}");
            // The argument of an exponential enlarges relative errors by its magnitude: 2^16 squared at most.
            let allowed = coarse.magnitude() >> 80u32;
            assert!(coarse.width() <= allowed, "{function} at {x} is {} wide", coarse.width());
        }
    }

    /// The closed forms and the definitions are two independent paths to the same number.
    #[test]
    fn closed_forms_agree_with_the_definitions() {
        for (function, x) in cases() {
            let point = Interval::dyadic(x, 16, 256);
            let closed = enclose(&function, &point).unwrap();
            let defined = &taylor(&function.definition(), &point, 0).unwrap()[0];
            assert!(closed.meets(defined), "{function} at {x}: {closed:?} and {defined:?}");
            assert!(defined.width() <= (defined.magnitude() >> 100u32) + 1e-60, "{function} at {x}");
        }
    }

    /// Values printed in tables (NIST Digital Library of Mathematical Functions), not computed by MPFR here.
    #[test]
    fn tabulated_values() {
        let table = [
            (Function::Exp, 1, "2.718281828459045235360287"),
            (Function::Erf, 1, "0.842700792949714869341220"),
            (Function::Tanh, 1, "0.761594155955764888119458"),
            (Function::Sigmoid, 1, "0.731058578630004879251159"),
            (Function::NormalCdf, 1, "0.841344746068542948585232"),
            (Function::Gelu, 1, "0.841344746068542948585232"),
            (Function::Rsqrt, 2, "0.707106781186547524400844"),
            (Function::Log, 2, "0.693147180559945309417232"),
            (Function::Sqrt, 2, "1.41421356237309504880169"),
            (Function::Sin, 1, "0.841470984807896506652502"),
            (Function::Cos, 1, "0.540302305868139717400936"),
            (Function::Softplus, 0, "0.693147180559945309417232"),
            (Function::NormalPdf, 0, "0.398942280401432677939946"),
            (Function::Softsign, 1, "0.5"),
            (Function::Isru, 1, "0.707106781186547524400844"),
            (Function::HardSwish, -4, "0"),
            (Function::HardSwish, 5, "5"),
            (Function::Exp2, -3, "0.125"),
        ];
        for (function, x, digits) in table {
            let value = enclose_dyadic(&function, x, 0, PRECISION).unwrap();
            let expected = rug::Float::with_val(200, rug::Float::parse(digits).unwrap());
            let distance = rug::Float::with_val(200, value.middle() - &expected).abs();
            assert!(distance < 1e-23, "{function}({x})");
        }
    }

    /// The Taylor coefficients over a neighbourhood contain those at its points, and reproduce nearby values.
    #[test]
    fn taylor_coefficients_reproduce_the_function_nearby() {
        const ORDER: usize = 7;
        for (function, x) in cases().filter(|(_, x)| (65_536..1 << 22).contains(&x.abs())) {
            let centre = Interval::dyadic(x, 16, 256);
            let step = Interval::dyadic(1, 10, 256);
            let around = centre.subtract(&step).hull(&centre.add(&step));
            let definition = function.definition();
            let (at, over) = (taylor(&definition, &centre, ORDER), taylor(&definition, &around, ORDER + 1));
            let (at, over) = (at.unwrap(), over.unwrap());
            assert!(at.iter().zip(&over).all(|(point, range)| range.covers(point)), "{function} at {x}");
            let mut value = over[ORDER + 1].clone();
            for coefficient in at.iter().rev() {
                value = value.multiply(&step).add(coefficient);
            }
            let direct = enclose(&function, &centre.add(&step)).unwrap();
            assert!(value.covers(&direct) || value.meets(&direct), "{function} at {x}");
            assert!(value.width() <= 1e-18 * value.magnitude() + 1e-20, "{function} at {x}: {}", value.width());
        }
    }
}
