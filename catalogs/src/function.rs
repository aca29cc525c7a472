//! The functions of real numbers that entries approximate, each defined by an [`Expression`].
//!
//! The definitions are part of what is trusted: the checker bounds a program against the expression below, from the
//! defining property of each node and never from a library of elementary functions.

use crate::expression::Expression;
use std::fmt;
use std::sync::Arc;

macro_rules! functions {
    ($($(#[$documentation:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        /// A function: a named one, or any expression.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Function {
            $($(#[$documentation])* $variant,)+
            /// What the expression says.
            Expression(Arc<Expression>),
        }

        impl Function {
            /// Every named function.
            pub const ALL: &'static [Function] = &[$(Function::$variant),+];

            /// The name in entries, catalogs and on the command line; of an expression `expression`.
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Function::$variant => $name,)+
                    Function::Expression(_) => "expression",
                }
            }
        }
    };
}

functions! {
    /// e^x.
    Exp = "exp",
    /// 2^x.
    Exp2 = "exp2",
    /// log x, x > 0.
    Log = "log",
    /// √x, x > 0.
    Sqrt = "sqrt",
    /// 1/x, x > 0.
    Reciprocal = "reciprocal",
    /// 1/√x, x > 0.
    Rsqrt = "rsqrt",
    /// sin x.
    Sin = "sin",
    /// cos x = sin(x + π/2).
    Cos = "cos",
    /// 1/(1+e^−x).
    Sigmoid = "sigmoid",
    /// 2/(1+e^−2x) − 1.
    Tanh = "tanh",
    /// (2/√π)·∫₀ˣ e^−u² du.
    Erf = "erf",
    /// 1/2 + (1/√2π)·∫₀ˣ e^−u²/2 du, the standard normal distribution function.
    NormalCdf = "normal_cdf",
    /// e^−x²/2/√2π, the standard normal density.
    NormalPdf = "normal_pdf",
    /// x·Φ(x), exact.
    Gelu = "gelu",
    /// x/(1 + e^−2u), u = √(2/π)·(x + 0.044715·x³): the tanh form of GELU.
    GeluTanh = "gelu_tanh",
    /// x/(1+e^−x).
    Silu = "silu",
    /// log(1 + e^x) = max(x, 0) + log(1 + e^−|x|).
    Softplus = "softplus",
    /// x·tanh(softplus(x)) = x·(1 − 2/((1 + e^x)² + 1)).
    Mish = "mish",
    /// max(x, 0) + e^min(x, 0) − 1.
    Elu = "elu",
    /// λ·(max(x, 0) + α·(e^min(x, 0) − 1)), λ = 1.0507009873554805, α = 1.6732632423543772.
    Selu = "selu",
    /// x/(1 + |x|).
    Softsign = "softsign",
    /// x/√(1 + x²).
    Isru = "isru",
    /// (max(x + 3, 0) − max(x − 3, 0))/6.
    HardSigmoid = "hard_sigmoid",
    /// x·hard_sigmoid(x).
    HardSwish = "hard_swish",
    /// max(x, 0).
    Relu = "relu",
}

impl Function {
    /// The named function with this name.
    pub fn parse(name: &str) -> Option<Function> {
        Function::ALL.iter().find(|function| function.name() == name).cloned()
    }

    /// What the function is.
    pub fn definition(&self) -> Expression {
        use Expression::{GaussianIntegral, Pi, X};
        let integer = Expression::integer;
        match self {
            Function::Exp => X.exp(),
            Function::Exp2 => integer(2).log().times(X).exp(),
            Function::Log => X.log(),
            Function::Sqrt => X.sqrt(),
            Function::Reciprocal => X.reciprocal(),
            Function::Rsqrt => X.rsqrt(),
            Function::Sin => X.sine(),
            Function::Cos => X.plus(Expression::Rational(1, 2).times(Pi)).sine(),
            Function::Sigmoid => X.logistic(),
            Function::Tanh => {
                let logistic = integer(1).plus(integer(-2).times(X).exp()).reciprocal();
                integer(2).times(logistic).plus(integer(-1))
            }
            Function::Erf => integer(2).times(Pi.rsqrt()).times(GaussianIntegral(1, 1)),
            Function::NormalCdf => normal_cdf(),
            Function::NormalPdf => {
                integer(2).times(Pi).rsqrt().times(Expression::Rational(-1, 2).times(X.times(X)).exp())
            }
            Function::Gelu => X.times(normal_cdf()),
            Function::GeluTanh => X.times(gelu_tanh_argument().logistic()),
            Function::Silu => X.times(X.logistic()),
            Function::Softplus => X.positive_part().plus(integer(1).plus(X.absolute().negated().exp()).log()),
            Function::Mish => {
                let grown = integer(1).plus(X.exp());
                let square = grown.clone().times(grown).plus(integer(1));
                X.times(integer(1).plus(integer(-2).times(square.reciprocal())))
            }
            Function::Elu => elu(integer(1)),
            Function::Selu => {
                let (lambda, alpha) = (10_507_009_873_554_805, 16_732_632_423_543_772);
                let unit = 10_000_000_000_000_000;
                Expression::Rational(lambda, unit).times(elu(Expression::Rational(alpha, unit)))
            }
            Function::Softsign => X.times(integer(1).plus(X.absolute()).reciprocal()),
            Function::Isru => X.times(integer(1).plus(X.times(X)).rsqrt()),
            Function::HardSigmoid => hard_sigmoid(),
            Function::HardSwish => X.times(hard_sigmoid()),
            Function::Relu => X.positive_part(),
            Function::Expression(expression) => Expression::clone(expression),
        }
    }

    /// The words after `function` in an entry.
    pub fn words(&self) -> String {
        match self {
            Function::Expression(expression) => format!("expression {}", expression.prefix()),
            named => named.name().to_owned(),
        }
    }

    /// Reads the words after `function`.
    pub fn read(words: &[&str]) -> Result<Function, String> {
        match words {
            ["expression", words @ ..] => Ok(Function::Expression(Arc::new(Expression::parse(words)?))),
            [name] => Function::parse(name)
                .ok_or_else(|| format!("unknown function '{}'", name.chars().take(40).collect::<String>())),
            _ => Err("'function NAME' or 'function expression …' expected".into()),
        }
    }
}

fn normal_cdf() -> Expression {
    let density = Expression::integer(2).times(Expression::Pi).rsqrt();
    Expression::Rational(1, 2).plus(density.times(Expression::GaussianIntegral(1, 2)))
}

/// 2·√(2/π)·(x + 0.044715·x³).
fn gelu_tanh_argument() -> Expression {
    use Expression::{Pi, Rational, X};
    let root = Rational(1, 2).times(Pi).rsqrt();
    Expression::integer(2).times(root).times(X.plus(Rational(44_715, 1_000_000).times(X.times(X.times(X)))))
}

/// max(x, 0) + α·(e^(x − max(x, 0)) − 1).
fn elu(alpha: Expression) -> Expression {
    let positive = Expression::X.positive_part();
    let below = Expression::X.minus(positive.clone()).exp().plus(Expression::integer(-1));
    positive.plus(alpha.times(below))
}

fn hard_sigmoid() -> Expression {
    let part = |offset| Expression::X.plus(Expression::integer(offset)).positive_part();
    Expression::Rational(1, 6).times(part(3).minus(part(-3)))
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Function::Expression(expression) => expression.fmt(f),
            named => f.write_str(named.name()),
        }
    }
}
