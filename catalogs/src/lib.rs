//! What a certified approximation *is*: formats, functions, lemmas, programs, entries, the one integer evaluator
//! that defines a program's meaning, and what every protocol operation sends.
//!
//! Nothing here searches, proves or communicates. `verify` proves claims about these types, `synth` produces
//! them, `runtime` executes them. Everything is exact integers: there is no floating point in this crate.
//!
//! Reading order: [`ring`], [`lemma`], [`program`], [`mod@evaluate`], [`function`], [`entry`], [`text`], [`protocol`].

#![forbid(unsafe_code)]

pub mod catalog;
pub mod decimal;
pub mod digest;
pub mod entry;
pub mod evaluate;
pub mod expression;
pub mod function;
pub mod lemma;
mod narrowing;
pub mod program;
pub mod protocol;
pub mod ring;
pub mod text;

pub use catalog::{Catalog, CatalogError, Published};
pub use decimal::Decimal;
pub use digest::Digest;
pub use entry::{Claim, Entry, Norm, Window};
pub use evaluate::{Adversary, evaluate};
pub use expression::Expression;
pub use function::Function;
pub use lemma::{Failure, Lemma, Rounding};
pub use program::{Invalid, LemmaId, Op, Product, Program, Sum, Term, ValueId};
pub use ring::{Format, Ring, Scale};
pub use text::ParseError;
