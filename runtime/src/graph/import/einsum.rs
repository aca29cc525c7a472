//! Einsum of one or two operands: letters of one operand alone are summed, the rest is one batched matrix product.

use super::builder::{Builder, Value};
use super::call::{Call, Refusal, shape_of};
use super::linear::matrix_product;
use crate::graph::operator::Operator;

/// An operand with a letter per axis.
struct Named {
    value: Value,
    letters: Vec<char>,
}

pub(super) fn lower(builder: &mut Builder, call: &Call) -> Result<Value, Refusal> {
    let equation: String = call.string("equation", "").chars().filter(|c| !c.is_whitespace()).collect();
    if equation.contains('.') {
        return Err(Refusal::Unsupported("its equation has an ellipsis; name every axis".into()));
    }
    let (left, right) = match equation.split_once("->") {
        Some((left, right)) => (left.to_owned(), right.chars().collect()),
        None => (equation.clone(), implicit(&equation)),
    };
    let inputs = call.inputs()?;
    let terms: Vec<Vec<char>> = left.split(',').map(|term| term.chars().collect()).collect();
    if terms.len() != inputs.len() || terms.len() > 2 {
        return Err(Refusal::Unsupported(format!(
            "'{equation}' has {} operands; one or two are supported",
            terms.len()
        )));
    }
    let mut operands = Vec::with_capacity(2);
    for (index, (value, letters)) in inputs.into_iter().zip(&terms).enumerate() {
        let repeated = letters.iter().enumerate().any(|(at, letter)| letters[..at].contains(letter));
        if repeated || letters.len() != builder.shape(&value).len() {
            return Err(Refusal::Unsupported(format!(
                "'{equation}' takes a diagonal or does not name every axis once"
            )));
        }
        let others: Vec<char> =
            terms.iter().enumerate().filter(|(i, _)| *i != index).flat_map(|(_, t)| t).copied().collect();
        let alone = |letter: &char| !right.contains(letter) && !others.contains(letter);
        operands.push(summed(builder, Named { value, letters: letters.clone() }, alone)?);
    }
    let second = if operands.len() == 2 { operands.pop() } else { None };
    let first = operands.pop().ok_or_else(|| "it has no operand".to_string())?;
    let result = match second {
        Some(second) => product(builder, first, second, &right)?,
        None => first,
    };
    ordered(builder, result, &right).map(|named| named.value)
}

/// The letters that occur once, in alphabetical order.
fn implicit(equation: &str) -> Vec<char> {
    let mut letters: Vec<char> = equation.chars().filter(|c| c.is_alphabetic()).collect();
    letters.sort_unstable();
    let once = |letter: &char| letters.iter().filter(|other| *other == letter).count() == 1;
    letters.iter().copied().filter(once).collect()
}

fn summed(builder: &mut Builder, named: Named, alone: impl Fn(&char) -> bool) -> Result<Named, Refusal> {
    let shape = shape_of(builder, &named.value);
    let axes: Vec<usize> = (0..shape.len()).filter(|&axis| alone(&named.letters[axis])).collect();
    if axes.is_empty() {
        return Ok(named);
    }
    let kept: Vec<usize> = (0..shape.len()).filter(|axis| !axes.contains(axis)).collect();
    let value = builder.emit(Operator::ReduceSum { axes }, &[named.value])?;
    let value = builder.emit(Operator::Reshape { shape: kept.iter().map(|&axis| shape[axis]).collect() }, &[value])?;
    Ok(Named { value, letters: kept.into_iter().map(|axis| named.letters[axis]).collect() })
}

/// The operand with its axes in the order of `letters`.
fn ordered(builder: &mut Builder, named: Named, letters: &[char]) -> Result<Named, Refusal> {
    let place = |letter: &char| named.letters.iter().position(|own| own == letter);
    let permutation: Option<Vec<usize>> = letters.iter().map(place).collect();
    let permutation = permutation.filter(|axes| axes.len() == named.letters.len());
    let permutation = permutation.ok_or_else(|| "its result names letters that no operand has".to_string())?;
    let value = builder.emit(Operator::Transpose { permutation }, &[named.value])?;
    Ok(Named { value, letters: letters.to_vec() })
}

fn product(builder: &mut Builder, a: Named, b: Named, result: &[char]) -> Result<Named, Refusal> {
    let shared = |keep: bool| {
        let common = a.letters.iter().filter(|letter| b.letters.contains(letter));
        common.filter(|letter| result.contains(letter) == keep).copied().collect::<Vec<char>>()
    };
    let (batch, inner) = (shared(true), shared(false));
    let own = |named: &Named, other: &Named| {
        named.letters.iter().filter(|letter| !other.letters.contains(letter)).copied().collect::<Vec<char>>()
    };
    let (rows, columns) = (own(&a, &b), own(&b, &a));
    let a = ordered(builder, a, &[batch.as_slice(), &rows, &inner].concat())?;
    let b = ordered(builder, b, &[batch.as_slice(), &inner, &columns].concat())?;
    let (left, right) = (shape_of(builder, &a.value), shape_of(builder, &b.value));
    let extent = |shape: &[usize]| shape.iter().product::<usize>();
    let (outer, m) = (&left[..batch.len()], extent(&left[batch.len()..batch.len() + rows.len()]));
    let (k, n) = (extent(&left[batch.len() + rows.len()..]), extent(&right[batch.len() + inner.len()..]));
    let a = builder.emit(Operator::Reshape { shape: vec![extent(outer), m, k] }, &[a.value])?;
    let b = builder.emit(Operator::Reshape { shape: vec![extent(outer), k, n] }, &[b.value])?;
    let value = matrix_product(builder, &a, &b)?;
    let shape = [outer, &left[batch.len()..batch.len() + rows.len()], &right[batch.len() + inner.len()..]].concat();
    let value = builder.emit(Operator::Reshape { shape }, &[value])?;
    Ok(Named { value, letters: [batch, rows, columns].concat() })
}
