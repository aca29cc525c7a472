//! The test that matters: exact laws of what a corrupted role sees.
//!
//! For every choice of all roles' arguments, every value of every mask is enumerated and executed. A role's view is
//! (the draws it holds, the fields it receives); its arguments and the output it ends with are functions of the
//! arguments and the view. Privacy is stated as: for fixed own arguments, the histogram of the view does not depend on
//! the others' arguments, so a simulator that draws from that one histogram is exact. Correctness is stated
//! for every lane: the output is the functionality's, given (for a truncation) the coin that the view contains.
//!
//! The mutants set one draw to zero, or give two draws of equal width that some role holds both the same label. Every
//! one must change a histogram.

use super::local::{LocalParties, Outcome, reconstruct};
use super::rss3::tests::{Mixed, mix};
use super::rss3::{
    Group, Shared, compile_reshare, compile_truncate, inject, joined_element, open, reshare, share, sign_by,
};
use crate::backend::DrawSource;
use crate::backend::cpu::packing::unpack;
use crate::kernel::builder::{PartyBuilder, Word};
use crate::kernel::{CheckedParty, Disclosure, Draw, Instruction, check};
use crate::random;
use catalogs::Ring;
use catalogs::protocol::Role;
use catalogs::protocol::rss3::SignCircuit;
use std::collections::BTreeMap;

/// Every combination of all draws, one per lane; a mutation makes draws coincide or vanish.
struct Enumeration {
    draws: Vec<Draw>,
    places: Vec<u32>,
    mutation: Mutation,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Mutation {
    None,
    Dropped(usize),
    Identified(usize, usize),
}

impl Enumeration {
    fn of(parties: &[CheckedParty]) -> Enumeration {
        let stages = parties.iter().flat_map(|party| party.stages());
        let mut draws: Vec<Draw> = stages
            .flat_map(|stage| stage.instructions())
            .filter_map(|instruction| match instruction {
                Instruction::Draw(draw) => Some(*draw),
                _ => None,
            })
            .collect();
        draws.sort();
        draws.dedup();
        let places = draws.iter().scan(0, |sum, draw| {
            *sum += u32::from(draw.bits);
            Some(*sum - u32::from(draw.bits))
        });
        Enumeration { places: places.collect(), draws, mutation: Mutation::None }
    }

    fn bits(&self) -> u32 {
        self.draws.iter().map(|draw| u32::from(draw.bits)).sum()
    }

    /// Where the digit of draw `index` is in the lane, and its mask.
    fn digit(&self, index: usize) -> (u32, u64) {
        let index = match self.mutation {
            Mutation::Dropped(dropped) if dropped == index => return (0, 0),
            Mutation::Identified(kept, replaced) if replaced == index => kept,
            _ => index,
        };
        (self.places[index], u64::MAX >> (64 - u32::from(self.draws[index].bits)))
    }

    fn mutants(&self) -> Vec<Mutation> {
        let count = self.draws.len();
        let common = |a: &Draw, b: &Draw| a.pair.roles().into_iter().any(|role| b.pair.holds(role));
        let pairs = (0..count).flat_map(|a| (a + 1..count).map(move |b| (a, b)));
        let pairs =
            pairs.filter(|&(a, b)| self.draws[a].bits == self.draws[b].bits && common(&self.draws[a], &self.draws[b]));
        (0..count).map(Mutation::Dropped).chain(pairs.map(|(a, b)| Mutation::Identified(a, b))).collect()
    }
}

impl DrawSource for Enumeration {
    fn fill(&self, draw: &Draw, first_lane: u64, out: &mut [u64]) -> Result<(), random::Error> {
        let index = self.draws.iter().position(|other| other == draw).unwrap();
        let (place, mask) = self.digit(index);
        out.iter_mut().enumerate().for_each(|(lane, word)| *word = (first_lane + lane as u64) >> place & mask);
        Ok(())
    }
}

/// How three digits become the roles' arguments.
#[derive(Clone, Copy, PartialEq)]
enum Arguments {
    /// Role i has digit i.
    Parts,
    /// Role i has digits i and i+1.
    Components,
    /// Role 1 has the first digit.
    FirstOnly,
}

impl Arguments {
    fn of(self, digits: [u64; 3], role: usize) -> Vec<u64> {
        match self {
            Arguments::Parts => vec![digits[role]],
            Arguments::Components => vec![digits[role], digits[(role + 1) % 3]],
            Arguments::FirstOnly => digits[..1].iter().copied().filter(|_| role == 0).collect(),
        }
    }
}

struct Subject {
    parties: LocalParties,
    arguments: Arguments,
    enumeration: Enumeration,
}

impl Subject {
    fn new(parties: Vec<CheckedParty>, arguments: Arguments) -> Subject {
        let enumeration = Enumeration::of(&parties);
        Subject { parties: LocalParties::new(parties), arguments, enumeration }
    }

    /// The masks from `first` on, a cache-full.
    fn execute(&self, digits: [u64; 3], first: u64) -> Outcome {
        let lanes = self.lanes();
        let words = |role| self.arguments.of(digits, role).into_iter().map(|word| vec![word; lanes]).collect();
        let inputs: Vec<Vec<Vec<u64>>> = (0..3).map(words).collect();
        self.parties.run_from(first, lanes, &inputs, &self.enumeration).unwrap()
    }

    fn lanes(&self) -> usize {
        1 << self.enumeration.bits().min(13)
    }

    /// One number per lane that determines what `role` draws and receives, and how many values it can take.
    fn views(&self, role: usize, outcome: &Outcome, first: u64) -> (Vec<u32>, u32) {
        let lanes = self.lanes();
        let (mut views, mut width) = (vec![0u64; lanes], 0);
        for (index, draw) in self.enumeration.draws.iter().enumerate() {
            if draw.pair.holds(Role(role as u8)) {
                let (place, mask) = self.enumeration.digit(index);
                for (lane, view) in views.iter_mut().enumerate() {
                    *view |= ((first + lane as u64) >> place & mask) << width;
                }
                width += u32::from(draw.bits);
            }
        }
        let mut words = vec![0; lanes];
        for stage in self.parties.parties()[role].stages() {
            let mut offsets = BTreeMap::new();
            for field in stage.receives() {
                let frame = outcome
                    .frames
                    .iter()
                    .find(|frame| (frame.round, frame.from, frame.to) == (field.round, field.from, Role(role as u8)));
                let offset = offsets.entry(field.from).or_insert(0);
                unpack(&frame.unwrap().bytes[*offset..*offset + field.bytes(lanes)], field.bits, &mut words);
                *offset += field.bytes(lanes);
                views.iter_mut().zip(&words).for_each(|(view, word)| *view |= word << width);
                width += u32::from(field.bits);
            }
        }
        assert!(width <= 24, "a view of {width} bits is too wide to enumerate");
        (views.into_iter().map(|view| view as u32).collect(), width)
    }

    /// The first role and arguments whose law differs from that of other arguments with the same own part.
    fn leak(&self, groups: &[[u64; 3]], mut examine: impl FnMut([u64; 3], &Outcome, u64)) -> Option<(usize, [u64; 3])> {
        let mut known: Vec<BTreeMap<Vec<u64>, Vec<u32>>> = vec![BTreeMap::new(); 3];
        for &digits in groups {
            let mut laws: [Vec<u32>; 3] = Default::default();
            for first in (0..1u64 << self.enumeration.bits()).step_by(self.lanes()) {
                let outcome = self.execute(digits, first);
                examine(digits, &outcome, first);
                for (role, law) in laws.iter_mut().enumerate() {
                    let (views, width) = self.views(role, &outcome, first);
                    law.resize(1 << width, 0);
                    views.into_iter().for_each(|view| law[view as usize] += 1);
                }
            }
            for (role, law) in laws.into_iter().enumerate() {
                let known = known[role].entry(self.arguments.of(digits, role)).or_insert_with(|| law.clone());
                if *known != law {
                    return Some((role, digits));
                }
            }
        }
        None
    }

    /// Privacy and correctness as it is, a leak with every mutation.
    fn examine(
        mut self,
        name: &str,
        groups: &[[u64; 3]],
        few: &[[u64; 3]],
        correct: impl Fn([u64; 3], &Outcome, usize, u64) -> bool,
    ) {
        let lanes = self.lanes();
        let leak = self.leak(groups, |digits, outcome, first| {
            let wrong = (0..lanes).find(|&lane| !correct(digits, outcome, lane, first + lane as u64));
            assert_eq!(wrong, None, "{name}: masks from {first:#x} that give a wrong result for arguments {digits:?}");
        });
        assert_eq!(leak, None, "{name}: a view depends on what its role must not learn");
        for mutation in self.enumeration.mutants() {
            self.enumeration.mutation = mutation;
            let names = |index: usize| self.enumeration.draws[index].to_string();
            assert!(
                self.leak(few, |_, _, _| ()).is_some(),
                "{name}: {mutation:?} of {:?} changes no view",
                match mutation {
                    Mutation::None => vec![],
                    Mutation::Dropped(a) => vec![names(a)],
                    Mutation::Identified(a, b) => vec![names(a), names(b)],
                }
            );
        }
    }
}

fn all(bits: u32) -> Vec<[u64; 3]> {
    let mask = (1u64 << bits) - 1;
    (0..1u64 << (3 * bits)).map(|n| [n & mask, n >> bits & mask, n >> (2 * bits) & mask]).collect()
}

fn every(groups: &[[u64; 3]], keep: impl Fn(&[u64; 3]) -> bool) -> Vec<[u64; 3]> {
    groups.iter().copied().filter(|digits| keep(digits)).collect()
}

fn ring(bits: u8) -> Ring {
    Ring::new(bits).unwrap()
}

/// Kernels of one operation that catalog programs have only as a part of something.
fn build(write: impl Fn(&mut PartyBuilder, Shared) -> Shared) -> Vec<CheckedParty> {
    let party = |role: u8| {
        let mut p = PartyBuilder::new(Role(role), 2);
        let x = Shared { own: p.input(0), next: p.input(1) };
        let y = write(&mut p, x);
        let outputs: Vec<Word> = vec![y.own, y.next];
        p.finish(&outputs)
    };
    check((0..3).map(party).collect(), Disclosure::Nothing).unwrap()
}

fn bit_of(outcome: &Outcome, lane: usize) -> u64 {
    let component = |role: usize, which: usize| outcome.outputs[role][which][lane];
    assert!((0..3).all(|role| component(role, 1) == component((role + 1) % 3, 0)));
    component(0, 0) ^ component(1, 0) ^ component(2, 0)
}

/// The coin is public to all roles, from different sides: roles 1 and 2 see c = z' + ρ, role 3 sees ρ.
fn truncated(subject: &Subject, bits: u8, shift: u8, offset: u64) -> impl Fn([u64; 3], u64, u64) -> i128 + use<> {
    let opened = |name: &str| {
        let mut found = subject.enumeration.draws.iter().enumerate();
        let (index, _) = found.find(|(_, draw)| draw.to_string().contains(name)).unwrap();
        subject.enumeration.digit(index)
    };
    let (first, second) = (
        opened("Opened of operation 0 step 0 between roles 0"),
        opened("Opened of operation 0 step 0 between roles 1"),
    );
    move |digits, z, masks| {
        let value = |(place, mask): (u32, u64)| masks >> place & mask;
        let c = digits[0] + digits[1] + offset + value(first) + value(second);
        let low = (1u64 << shift) - 1;
        let z = ring(bits).residue(i128::from(z));
        (z >> shift) + i128::from((c & low) < (z as u64 & low))
    }
}

#[test]
fn truncation_in_two_rounds() {
    let (bits, shift) = (3, 1);
    let subject = Subject::new(compile_truncate(ring(bits), ring(bits), shift).unwrap(), Arguments::Parts);
    assert_eq!(subject.enumeration.bits(), 15);
    let ideal = truncated(&subject, bits, shift, 1 << (bits - 2));
    let groups = all(3);
    let few = every(&groups, |digits| digits.iter().all(|digit| digit % 5 == 0));
    subject.examine("truncation", &groups, &few, |digits, outcome, lane, masks| {
        let z = digits.iter().sum::<u64>() & 7;
        // Inside the window −2^(k−2) ≤ z < 2^(k−2); outside it anything may come out.
        !(-2..2).contains(&ring(bits).residue(i128::from(z))) || {
            let y = reconstruct(outcome, 0, lane).expect("roles agree");
            ring(bits).residue(i128::from(y)) == ideal(digits, z, masks)
        }
    });
}

/// The result lives in a ring wider than the sum's: the wrap counts modulo 2^3 instead of 2^2.
#[test]
fn truncation_into_a_wider_ring() {
    let (bits, target, shift) = (3, 4, 1);
    let subject = Subject::new(compile_truncate(ring(bits), ring(target), shift).unwrap(), Arguments::Parts);
    assert_eq!(subject.enumeration.bits(), 19);
    let ideal = truncated(&subject, bits, shift, 1 << (bits - 2));
    let groups = every(&all(3), |digits| digits.iter().all(|digit| [0, 3, 6].contains(digit)));
    let few = every(&groups, |digits| digits[1] != 3 && digits[2] != 0);
    subject.examine("widening truncation", &groups, &few, |digits, outcome, lane, masks| {
        let z = digits.iter().sum::<u64>() & 7;
        !(-2..2).contains(&ring(bits).residue(i128::from(z))) || {
            let y = reconstruct(outcome, 0, lane).expect("roles agree");
            ring(target).residue(i128::from(y)) == ideal(digits, z, masks)
        }
    });
}

#[test]
fn truncation_into_a_narrower_ring() {
    let subject = Subject::new(compile_truncate(ring(4), ring(3), 1).unwrap(), Arguments::Parts);
    let ideal = truncated(&subject, 4, 1, 0);
    let groups = all(4);
    let few = every(&groups, |digits| digits.iter().all(|digit| digit % 6 == 0));
    let groups = every(&groups, |digits| digits.iter().sum::<u64>() % 4 != 3 && digits[0] % 3 != 2);
    subject.examine("narrow truncation", &groups, &few, |digits, outcome, lane, masks| {
        let z = digits.iter().sum::<u64>() & 15;
        let y = reconstruct(outcome, 0, lane).expect("roles agree");
        ring(3).residue(i128::from(y)) == ring(3).residue(ideal(digits, z, masks))
    });
}

#[test]
fn reshare_and_product() {
    let groups = all(3);
    let subject = Subject::new(compile_reshare(ring(3)).unwrap(), Arguments::Parts);
    subject.examine("reshare", &groups, &groups, |digits, outcome, lane, _| {
        reconstruct(outcome, 0, lane).expect("roles agree") & 7 == digits.iter().sum::<u64>() & 7
    });
    let square = build(|p, x| {
        let part = super::rss3::local_product(p, x, x);
        reshare(p, 0, 0, part, Group::Ring(3))
    });
    Subject::new(square, Arguments::Components).examine("product", &groups, &groups, |digits, outcome, lane, _| {
        let x = digits.iter().sum::<u64>();
        reconstruct(outcome, 0, lane).expect("roles agree") & 7 == (x * x) & 7
    });
}

#[test]
fn binary_and() {
    // Two packed factors: bit 0 and bit 1 of the argument; their product is reshared bit by bit.
    let groups = all(2);
    let and = build(|p, x| {
        let (own, next) = (p.shift_right(x.own, 1), p.shift_right(x.next, 1));
        let both = p.xor(x.own, x.next);
        let (first, second) = (p.and(own, both), p.and(next, x.own));
        let part = p.xor(first, second);
        let part = p.keep(part, 1);
        reshare(p, 0, 0, part, Group::Bits(1))
    });
    Subject::new(and, Arguments::Components).examine("and", &groups, &groups, |digits, outcome, lane, _| {
        let x = digits[0] ^ digits[1] ^ digits[2];
        bit_of(outcome, lane) == x & x >> 1 & 1
    });
}

#[test]
fn injection() {
    let groups = all(1);
    for bits in [3, 4] {
        let subject = Subject::new(build(|p, x| inject(p, 0, x, bits)), Arguments::Components);
        subject.examine("injection", &groups, &groups, |digits, outcome, lane, _| {
            let y = reconstruct(outcome, 0, lane).expect("roles agree") & ((1 << bits) - 1);
            y == digits[0] ^ digits[1] ^ digits[2]
        });
    }
}

/// Two bits modulo 2^3 and three bits modulo 2, all arguments: the bits of the argument, joined.
#[test]
fn joined_injection() {
    for (count, bits) in [(2u8, 3u8), (3, 1)] {
        let groups = all(u32::from(count));
        let write = |p: &mut PartyBuilder, x: Shared| {
            let bit = |p: &mut PartyBuilder, word: Word, place: u8| {
                let word = p.shift_right(word, place);
                p.keep(word, 1)
            };
            let one = |place| Shared { own: bit(p, x.own, place), next: bit(p, x.next, place) };
            let wins: Vec<Shared> = (0..count).map(one).collect();
            let mut operation = 0u16..;
            joined_element(p, &mut || operation.next().unwrap_or(u16::MAX), &wins, bits)
        };
        let subject = Subject::new(build(write), Arguments::Components);
        subject.examine("joined injection", &groups, &groups, |digits, outcome, lane, _| {
            let y = reconstruct(outcome, 0, lane).expect("roles agree") & ((1 << bits) - 1);
            let all = (1 << count) - 1;
            y == u64::from((digits[0] ^ digits[1] ^ digits[2]) & all == all)
        });
    }
}

fn signs(width: u8, dropped: u8, circuit: SignCircuit, groups: &[[u64; 3]], few: &[[u64; 3]]) {
    let write = |p: &mut PartyBuilder, x| sign_by(p, 0, x, dropped, width - dropped, circuit.clone());
    let subject = Subject::new(build(write), Arguments::Components);
    subject.examine("sign", groups, few, |digits, outcome, lane, _| {
        let (m, n) = (digits[0] + digits[1], digits[2]);
        bit_of(outcome, lane) == (((m >> dropped) + (n >> dropped)) >> (width - 1 - dropped)) & 1
    });
}

/// One chunk of two or three bits and no tree: the sharing of monomials and the inner products, completely.
#[test]
fn sign_of_one_chunk() {
    let groups = all(3);
    signs(3, 0, SignCircuit::new(3), &groups, &groups);
    signs(3, 1, SignCircuit::new(2), &groups, &groups);
    let groups = all(4);
    let few = every(&groups, |digits| digits.iter().all(|digit| [0, 5, 7, 12].contains(digit)));
    signs(4, 0, SignCircuit::new(4), &every(&groups, |digits| digits[0] % 4 == 1), &few);
}

/// One chunk of four: all masks for some arguments.
#[test]
fn sign_of_one_large_chunk() {
    let m = [0, 5, 11, 15];
    let groups: Vec<[u64; 3]> = m.iter().flat_map(|&m| [[m, 0, 11], [0, m, 11], [m, 16, 6]]).collect();
    let few: Vec<[u64; 3]> = m.iter().flat_map(|&m| [[m, 0, 11], [0, m, 11]]).chain([[0, 0, 0]]).collect();
    signs(5, 0, SignCircuit::new(5), &groups, &few);
}

/// A tree: two chunks of one bit and one AND, completely; three of them and two levels for some arguments.
#[test]
fn sign_with_a_tree() {
    let groups = all(3);
    let few = every(&groups, |digits| digits.iter().all(|digit| [0, 1, 6].contains(digit)));
    signs(3, 0, SignCircuit::of(vec![(0, 1), (1, 1)]), &groups, &few);
    let groups: Vec<[u64; 3]> = all(1).iter().map(|digits| [digits[0] * 7, digits[1] * 9, digits[2] * 13]).collect();
    let few: Vec<[u64; 3]> =
        [0, 1, 3, 7].into_iter().flat_map(|m| [[m, 0, 5], [0, m, 5]]).chain([[0, 0, 0], [0, 0, 7]]).collect();
    signs(4, 0, SignCircuit::of(vec![(0, 1), (1, 1), (2, 1)]), &groups, &few);
}

#[test]
fn sharing_and_opening() {
    let groups: Vec<[u64; 3]> = (0..8).map(|value| [value, 0, 0]).collect();
    let subject = Subject::new(share(ring(3)).unwrap(), Arguments::FirstOnly);
    subject.examine("share", &groups, &groups, |digits, outcome, lane, _| {
        reconstruct(outcome, 0, lane).expect("roles agree") & 7 == digits[0]
    });
    // Opening has no masks: the view of role 1 is its arguments and x₃, which it could compute from its output.
    let opening = LocalParties::new(open(ring(3)).unwrap());
    for digits in all(3) {
        let inputs: Vec<Vec<Vec<u64>>> = (0..3)
            .map(|role| Arguments::Components.of(digits, role).into_iter().map(|word| vec![word]).collect())
            .collect();
        let outcome = opening.run(1, &inputs, &Mixed(mix(1))).unwrap();
        let sum = digits.iter().sum::<u64>() & 7;
        assert_eq!(outcome.outputs[0][0][0], sum);
        let [frame] = &outcome.frames[..] else { panic!("one message") };
        assert_eq!((frame.from, frame.to), (Role(1), Role(0)));
        assert_eq!(u64::from(frame.bytes[0]), sum.wrapping_sub(digits[0] + digits[1]) & 7);
    }
}
