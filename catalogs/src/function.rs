//! The functions of real numbers that entries approximate, each defined by an [`Expression`].
//!
//! The definitions are part of what is trusted: the checker bounds a program against the expression below, from the
//! defining property of each node and never from a library of elementary functions.

use std::fmt;

/// A function of one real variable x, built from nodes whose enclosures follow from one defining property each.
#[derive(Clone, PartialEq, Eq, Debug)]
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
    /// The y with g·y = 1; g must not vanish.
    Reciprocal(Box<Expression>),
    /// The positive y with g·y² = 1; g must be positive.
    Rsqrt(Box<Expression>),
    /// ∫₀ˣ exp(−u² · numerator / denominator) du.
    GaussianIntegral(i64, i64),
    /// max(x, 0), cut at its kink.
    PositivePart,
}

impl Expression {
    fn rational(value: i64) -> Expression {
        Expression::Rational(value, 1)
    }
    fn plus(self, other: Expression) -> Expression {
        Expression::Add(Box::new(self), Box::new(other))
    }
    fn times(self, other: Expression) -> Expression {
        Expression::Multiply(Box::new(self), Box::new(other))
    }
    fn exp(self) -> Expression {
        Expression::Exp(Box::new(self))
    }
    fn reciprocal(self) -> Expression {
        Expression::Reciprocal(Box::new(self))
    }
    fn rsqrt(self) -> Expression {
        Expression::Rsqrt(Box::new(self))
    }
    /// 1 / (1 + exp(−rate·x)).
    fn logistic(rate: i64) -> Expression {
        Expression::rational(1).plus(Expression::rational(-rate).times(Expression::X).exp()).reciprocal()
    }
}

macro_rules! functions {
    ($($(#[$documentation:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        /// A named function.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Function { $($(#[$documentation])* $variant),+ }

        impl Function {
            /// Every named function.
            pub const ALL: &'static [Function] = &[$(Function::$variant),+];

            /// The name in entries and on the command line.
            pub const fn name(self) -> &'static str {
                match self { $(Function::$variant => $name),+ }
            }
        }
    };
}

functions! {
    /// e^x.
    Exp = "exp",
    /// 1/x, x > 0.
    Reciprocal = "reciprocal",
    /// 1/√x, x > 0.
    Rsqrt = "rsqrt",
    /// 1/(1+e^−x).
    Sigmoid = "sigmoid",
    /// 2/(1+e^−2x) − 1.
    Tanh = "tanh",
    /// (2/√π)·∫₀ˣ e^−u² du.
    Erf = "erf",
    /// 1/2 + (1/√2π)·∫₀ˣ e^−u²/2 du, the standard normal distribution function.
    NormalCdf = "normal_cdf",
    /// x·Φ(x), exact.
    Gelu = "gelu",
    /// x/(1+e^−x).
    Silu = "silu",
    /// max(x, 0).
    Relu = "relu",
}

impl Function {
    /// The function with this name.
    pub fn parse(name: &str) -> Option<Function> {
        Function::ALL.iter().copied().find(|function| function.name() == name)
    }

    /// What the function is.
    pub fn definition(self) -> Expression {
        use Expression::{GaussianIntegral, Pi, PositivePart, X};
        match self {
            Function::Exp => X.exp(),
            Function::Reciprocal => X.reciprocal(),
            Function::Rsqrt => X.rsqrt(),
            Function::Sigmoid => Expression::logistic(1),
            Function::Tanh => Expression::rational(2).times(Expression::logistic(2)).plus(Expression::rational(-1)),
            Function::Erf => Expression::rational(2).times(Pi.rsqrt()).times(GaussianIntegral(1, 1)),
            Function::NormalCdf => normal_cdf(),
            Function::Gelu => X.times(normal_cdf()),
            Function::Silu => X.times(Expression::logistic(1)),
            Function::Relu => PositivePart,
        }
    }
}

fn normal_cdf() -> Expression {
    let density = Expression::rational(2).times(Expression::Pi).rsqrt();
    Expression::Rational(1, 2).plus(density.times(Expression::GaussianIntegral(1, 2)))
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
