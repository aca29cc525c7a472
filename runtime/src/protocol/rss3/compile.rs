//! From catalog programs and single operations to checked kernels of all three roles.
//!
//! Operations are written in program order, each at the round where [`timeline`] starts it, so that one kernel per
//! round holds the local work of every operation that is active in it and one frame per pair of roles all their
//! messages.

use super::{Group, P1, P3, Shared, inject, local_product, maximum, open_to_first, reshare, share_of_first, sign};
use super::{truncate, truncate_narrow};
use crate::kernel::builder::{PartyBuilder, Word};
use crate::kernel::{CheckedParty, Disclosure, Party, check};
use crate::protocol::Error;
use catalogs::protocol::rss3::{EXECUTED_BITS, MaximumCircuit, Rss3, serves, truncation_rounds};
use catalogs::protocol::{Model, Operation, Role, Width, timeline};
use catalogs::{Lemma, Op, Program, Ring, Sum};

/// The kernels of `program` for all roles: two input slots (xᵢ, xᵢ₊₁), two output slots.
pub fn compile(program: &Program) -> Result<Vec<CheckedParty>, Error> {
    compile_with(program, false)
}

/// As [`compile`], with the shares of every operation's value as outputs, two slots each: for conformance runs.
pub fn compile_traced(program: &Program) -> Result<Vec<CheckedParty>, Error> {
    compile_with(program, true)
}

/// A truncation of z₁ + z₂ + z₃: one input slot zᵢ, two output slots.
pub fn compile_truncate(ring: Ring, target: Ring, shift: u8) -> Result<Vec<CheckedParty>, Error> {
    let operation = Operation::Truncate { ring, target, shift };
    if truncation_rounds(ring, target, shift).is_none() {
        return Err(Error::Operation(operation));
    }
    single(operation, 1, [ring, target], |p| {
        let part = p.input(0);
        let result = truncation(p, 0, part, ring, target, shift);
        vec![result.own, result.next]
    })
}

/// A sharing of z₁ + z₂ + z₃: one input slot zᵢ, two output slots.
pub fn compile_reshare(ring: Ring) -> Result<Vec<CheckedParty>, Error> {
    single(Operation::Reshare(ring), 1, [ring; 2], |p| {
        let part = p.input(0);
        let result = reshare(p, 0, 0, part, Group::Ring(ring.bits()));
        vec![result.own, result.next]
    })
}

/// The largest of several values by the bits that decide: two input slots (xᵢ, xᵢ₊₁) a candidate, two output slots.
pub fn compile_maximum(
    ring: Ring,
    width: impl Into<Width>,
    candidates: u8,
    joined: u8,
) -> Result<Vec<CheckedParty>, Error> {
    let width = width.into();
    let operation = Operation::Maximum { ring, width, candidates, joined };
    let counted = (2..=MaximumCircuit::MAX_CANDIDATES).contains(&candidates);
    let compares = counted && width.bits <= ring.bits() && width.compared() >= 2;
    if !compares || !(1..=MaximumCircuit::MAX_JOINED).contains(&joined) {
        return Err(Error::Operation(operation));
    }
    single(operation, 2 * u16::from(candidates), [ring; 2], |p| {
        let value = |p: &PartyBuilder, index: u16| Shared { own: p.input(2 * index), next: p.input(2 * index + 1) };
        let values: Vec<Shared> = (0..u16::from(candidates)).map(|index| value(p, index)).collect();
        let result = maximum(p, &values, ring, width, joined);
        vec![result.own, result.next]
    })
}

/// Role 1 shares a value: one input slot at role 1, none elsewhere; two output slots.
pub fn share(ring: Ring) -> Result<Vec<CheckedParty>, Error> {
    let build = |role: Role| {
        let mut p = PartyBuilder::new(role, u16::from(role == P1));
        let value = (role == P1).then(|| p.input(0));
        let result = share_of_first(&mut p, 0, value, ring.bits());
        p.finish(&[result.own, result.next])
    };
    checked(Operation::Share(ring), [ring; 2], Disclosure::Nothing, build)
}

/// Role 1 learns a shared value: two input slots, one output slot at role 1, none elsewhere.
pub fn open(ring: Ring) -> Result<Vec<CheckedParty>, Error> {
    let build = |role: Role| {
        let mut p = PartyBuilder::new(role, 2);
        let x = Shared { own: p.input(0), next: p.input(1) };
        let opened = open_to_first(&mut p, x, ring.bits());
        p.finish(opened.as_slice())
    };
    checked(Operation::Open(ring), [ring; 2], Disclosure::To(P1), build)
}

fn single(
    operation: Operation,
    inputs: u16,
    rings: [Ring; 2],
    write: impl Fn(&mut PartyBuilder) -> Vec<Word>,
) -> Result<Vec<CheckedParty>, Error> {
    checked(operation, rings, Disclosure::Nothing, |role| {
        let mut p = PartyBuilder::new(role, inputs);
        let outputs = write(&mut p);
        p.finish(&outputs)
    })
}

fn checked(
    operation: Operation,
    rings: [Ring; 2],
    disclosure: Disclosure,
    build: impl Fn(Role) -> Party,
) -> Result<Vec<CheckedParty>, Error> {
    rings.into_iter().try_for_each(executed)?;
    if !rings.into_iter().all(serves) {
        return Err(Error::Operation(operation));
    }
    Ok(check((0..3).map(|role| build(Role(role))).collect(), disclosure)?)
}

/// Refuses a ring whose elements are no machine words.
fn executed(ring: Ring) -> Result<(), Error> {
    if ring.bits() > EXECUTED_BITS { Err(Error::Ring(ring)) } else { Ok(()) }
}

fn compile_with(program: &Program, traced: bool) -> Result<Vec<CheckedParty>, Error> {
    executed(program.widest_ring())?;
    for (index, op) in program.ops().iter().enumerate() {
        let lemma = match op {
            Op::Input => None,
            Op::Sum(sum) => sum.truncation,
            Op::Sign { lemma, .. } | Op::Inject { lemma, .. } => Some(*lemma),
        };
        let lemma = lemma.map(|lemma| *program.lemma(lemma));
        if let Some(lemma) = lemma.filter(|lemma| Rss3.offers(lemma).is_none()) {
            return Err(Error::Lemma { operation: index, lemma });
        }
        if let Some(operation) = Operation::of(program, op).filter(|operation| !rings_of(*operation).all(serves)) {
            return Err(Error::Operation(operation));
        }
    }
    let starts = timeline(program, &Rss3).start;
    let parties = (0..3).map(|role| write_program(program, &starts, Role(role), traced)).collect();
    Ok(check(parties, Disclosure::Nothing)?)
}

fn rings_of(operation: Operation) -> impl Iterator<Item = Ring> {
    let (first, second) = match operation {
        Operation::Reshare(ring)
        | Operation::Inject(ring)
        | Operation::Maximum { ring, .. }
        | Operation::Share(ring)
        | Operation::Open(ring) => (Some(ring), None),
        Operation::Truncate { ring, target, .. } => (Some(ring), Some(target)),
        Operation::Sign { .. } => (None, None),
    };
    first.into_iter().chain(second)
}

fn write_program(program: &Program, starts: &[u16], role: Role, traced: bool) -> Party {
    let mut p = PartyBuilder::new(role, 2);
    let mut values: Vec<Shared> = Vec::with_capacity(program.ops().len());
    for (index, op) in program.ops().iter().enumerate() {
        p.at(starts[index]);
        let value = write_operation(&mut p, program, index as u16, op, &values);
        values.push(value);
    }
    let results = if traced { &values[..] } else { &values[values.len() - 1..] };
    let outputs: Vec<Word> = results.iter().flat_map(|value| [value.own, value.next]).collect();
    p.finish(&outputs)
}

fn write_operation(p: &mut PartyBuilder, program: &Program, index: u16, op: &Op, values: &[Shared]) -> Shared {
    match op {
        Op::Input => Shared { own: p.input(0), next: p.input(1) },
        Op::Sum(sum) => match (sum.truncation.map(|lemma| *program.lemma(lemma)), sum.products.is_empty()) {
            (Some(Lemma::Truncation { ring, target, shift, .. }), _) => {
                let part = local_part(p, sum, values);
                truncation(p, index, part, ring, target, shift)
            }
            (_, false) => {
                let part = local_part(p, sum, values);
                reshare(p, index, 0, part, Group::Ring(sum.ring.bits()))
            }
            _ => linear(p, sum, values),
        },
        Op::Sign { operand, lemma } => match *program.lemma(*lemma) {
            Lemma::Sign { width, dropped, .. } => sign(p, index, values[operand.index()], dropped, width - dropped),
            _ => unreachable!("a program's signs name sign lemmas"),
        },
        Op::Inject { bit, lemma } => match *program.lemma(*lemma) {
            Lemma::Injection { ring } => inject(p, index, values[bit.index()], ring.bits()),
            _ => unreachable!("a program's injections name injection lemmas"),
        },
    }
}

fn truncation(p: &mut PartyBuilder, operation: u16, part: Word, ring: Ring, target: Ring, shift: u8) -> Shared {
    match truncation_rounds(ring, target, shift) {
        Some(1) => truncate_narrow(p, operation, part, target.bits(), shift),
        _ => truncate(p, operation, part, [ring.bits(), target.bits()], shift),
    }
}

/// Σ c·v + constant on both components; role 1's first component carries the constant.
fn linear(p: &mut PartyBuilder, sum: &Sum, values: &[Shared]) -> Shared {
    let terms: Vec<(u64, Shared)> =
        sum.linear.iter().map(|term| (residue(term.coefficient), values[term.value.index()])).collect();
    let constant = residue(sum.constant);
    let (own, next) = match p.role() {
        P1 => (constant, 0),
        P3 => (0, constant),
        _ => (0, 0),
    };
    let total = combination(p, &terms);
    let finish = |p: &mut PartyBuilder, word: Word, constant: u64| {
        let constant = p.constant(constant);
        let word = p.add(word, constant);
        p.reduce(word, sum.ring.bits())
    };
    Shared { own: finish(p, total.own, own), next: finish(p, total.next, next) }
}

/// zᵢ with z₁ + z₂ + z₃ = Σ c·a·b + Σ c·v + constant, modulo the sum's ring at least.
fn local_part(p: &mut PartyBuilder, sum: &Sum, values: &[Shared]) -> Word {
    let terms: Vec<(u64, Shared)> =
        sum.linear.iter().map(|term| (residue(term.coefficient), values[term.value.index()])).collect();
    let mut total = combination(p, &terms).own;
    if p.role() == P1 {
        let constant = p.constant(residue(sum.constant));
        total = p.add(total, constant);
    }
    // Products with the same left factor are one product with a combination.
    let mut lefts: Vec<(usize, Vec<(u64, usize)>)> = Vec::new();
    for product in &sum.products {
        let (left, term) = (product.left.index(), (residue(product.coefficient), product.right.index()));
        match lefts.iter_mut().find(|(other, _)| *other == left) {
            Some((_, terms)) => terms.push(term),
            None => lefts.push((left, vec![term])),
        }
    }
    for (left, terms) in lefts {
        let part = if let [(coefficient, right)] = terms[..] {
            let product = local_product(p, values[left], values[right]);
            p.scale(product, coefficient)
        } else {
            let terms: Vec<(u64, Shared)> = terms.iter().map(|&(c, right)| (c, values[right])).collect();
            let right = combination(p, &terms);
            local_product(p, values[left], right)
        };
        total = p.add(total, part);
    }
    total
}

fn combination(p: &mut PartyBuilder, terms: &[(u64, Shared)]) -> Shared {
    let zero = p.constant(0);
    let mut total = Shared { own: zero, next: zero };
    for &(coefficient, value) in terms {
        let (own, next) = (p.scale(value.own, coefficient), p.scale(value.next, coefficient));
        total = Shared { own: p.add(total.own, own), next: p.add(total.next, next) };
    }
    total
}

/// A public integer modulo 2^64.
fn residue(value: i128) -> u64 {
    value as u64
}
