//! Messages against the model, and values against the lemmas, on many masks.

use super::*;
use crate::backend::DrawSource;
use crate::circuit::coarse;
use crate::kernel::{CheckedParty, Draw};
use crate::protocol::local::{LocalParties, Outcome, reconstruct};
use crate::random;
use catalogs::protocol::rss3::{MaximumCircuit, Rss3, truncation_rounds};
use catalogs::protocol::{Message, Model, Operation, Width};
use catalogs::{Format, Lemma, Op, Program, Ring, Scale, ValueId};

/// Masks that look random: a mixing function of the draw and the lane.
pub(crate) struct Mixed(pub u64);

impl DrawSource for Mixed {
    fn fill(&self, draw: &Draw, first_lane: u64, out: &mut [u64]) -> Result<(), random::Error> {
        let label = u64::from(draw.number()) << 16 | u64::from(draw.pair.number()) << 8 | u64::from(draw.step);
        for (index, word) in out.iter_mut().enumerate() {
            *word = mix(mix(self.0 ^ mix(label)) ^ (first_lane + index as u64)) >> (64 - u32::from(draw.bits));
        }
        Ok(())
    }
}

pub(crate) fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

/// Random components of `values` modulo the ring: per role (xᵢ, xᵢ₊₁).
pub(crate) fn deal(values: &[u64], ring: Ring, seed: u64) -> Vec<Vec<Vec<u64>>> {
    let random = |component: u64| -> Vec<u64> {
        (0..values.len() as u64).map(|lane| mix(seed ^ mix(lane * 3 + component)) & ring.mask()).collect()
    };
    let (first, second) = (random(0), random(1));
    let third = values.iter().zip(first.iter().zip(&second));
    let third: Vec<u64> = third.map(|(v, (a, b))| v.wrapping_sub(*a).wrapping_sub(*b) & ring.mask()).collect();
    let components = [first, second, third];
    (0..3).map(|role| vec![components[role].clone(), components[(role + 1) % 3].clone()]).collect()
}

fn sent(parties: &[CheckedParty]) -> Vec<Message> {
    let mut messages = Vec::new();
    for (step, field) in parties
        .iter()
        .flat_map(|party| party.stages().iter().enumerate())
        .flat_map(|(step, stage)| stage.sends().iter().map(move |field| (step, field)))
    {
        messages.push(Message { step: step as u8, from: field.from, to: field.to, bits: u32::from(field.bits) });
    }
    messages.sort();
    messages
}

fn signed(ring: Ring, value: u64) -> i128 {
    ring.residue(i128::from(value))
}

fn run(parties: Vec<CheckedParty>, values: &[u64], ring: Ring, seed: u64) -> (Outcome, Vec<CheckedParty>) {
    let parties = LocalParties::new(parties);
    let mut inputs = deal(values, ring, seed);
    // Operations on a local part take x₁ of each role alone: it sums to the value.
    if parties.parties()[0].inputs().len() == 1 {
        inputs.iter_mut().for_each(|words| words.truncate(1));
    }
    (parties.run(values.len(), &inputs, &Mixed(seed)).unwrap(), parties.parties().to_vec())
}

fn unary(ring: Ring, lemma: Lemma, op: impl Fn(catalogs::LemmaId) -> Vec<Op>) -> Program {
    let scale = Scale::new(0).unwrap();
    let mut lemmas = vec![lemma, Lemma::Injection { ring }];
    lemmas.sort();
    lemmas.dedup();
    let id = catalogs::LemmaId(lemmas.iter().position(|other| *other == lemma).unwrap() as u8);
    Program::new(ring, scale, lemmas, op(id)).unwrap()
}

/// The sign of the input, injected.
pub(crate) fn sign_program(ring: Ring, width: u8, dropped: u8) -> Program {
    let lemma = Lemma::Sign { width, dropped, operands: if dropped == 0 { 1 } else { 2 } };
    unary(ring, lemma, |id| {
        vec![
            Op::Input,
            Op::Sign { operand: ValueId(0), lemma: id },
            Op::Inject { bit: ValueId(1), lemma: catalogs::LemmaId(1 - id.0) },
        ]
    })
}

#[test]
fn fields_are_the_models_messages() {
    let check = |operation: Operation, parties: Vec<CheckedParty>| {
        let mut expected = Rss3.messages(operation);
        expected.sort();
        assert_eq!(sent(&parties), expected, "{operation:?}");
        assert_eq!(parties[0].rounds(), usize::from(Rss3.rounds(operation)));
    };
    for bits in 3..=64 {
        let ring = Ring::new(bits).unwrap();
        check(Operation::Reshare(ring), compile_reshare(ring).unwrap());
        check(Operation::Share(ring), share(ring).unwrap());
        check(Operation::Open(ring), open(ring).unwrap());
        for shift in 1..=bits - 2 {
            check(Operation::Truncate { ring, target: ring, shift }, compile_truncate(ring, ring, shift).unwrap());
        }
        for shift in 1..bits.saturating_sub(2) {
            let target = Ring::new(bits - shift).unwrap();
            check(Operation::Truncate { ring, target, shift }, compile_truncate(ring, target, shift).unwrap());
        }
        for shift in [1, bits / 2, bits - 2].into_iter().filter(|&shift| shift >= 1) {
            for target in [bits - shift + 1, bits + 1, 64].into_iter().filter(|t| (3..=64).contains(t)) {
                let target = Ring::new(target).unwrap();
                check(Operation::Truncate { ring, target, shift }, compile_truncate(ring, target, shift).unwrap());
            }
        }
    }
    for candidates in 2..=MaximumCircuit::MAX_CANDIDATES {
        let cases = [(3, 2, 0, 1), (8, 8, 0, 4), (40, 29, 0, 3), (64, 64, 0, 2), (64, 30, 0, 4), (40, 29, 13, 1)];
        for (bits, width, dropped, joined) in cases {
            let (ring, width) = (Ring::new(bits).unwrap(), Width { bits: width, dropped });
            let operation = Operation::Maximum { ring, width, candidates, joined };
            check(operation, compile_maximum(ring, width, candidates, joined).unwrap());
        }
    }
    for (bits, dropped) in (2..=64).flat_map(|bits| [(bits, 0), (bits, 3)]).filter(|(bits, d)| bits + d <= 64) {
        // The injection's messages follow the sign's.
        let ring = Ring::new((bits + dropped).max(3)).unwrap();
        let program = sign_program(ring, bits + dropped, dropped);
        let timeline = catalogs::protocol::timeline(&program, &Rss3);
        let mut expected: Vec<Message> =
            timeline.messages.iter().map(|(round, m)| Message { step: *round as u8, ..*m }).collect();
        expected.sort();
        assert_eq!(sent(&compile(&program).unwrap()), expected, "sign of {bits} bits");
    }
}

#[test]
fn what_the_protocol_cannot_do_is_refused() {
    let ring = Ring::new(8).unwrap();
    assert!(matches!(compile_truncate(ring, ring, 7), Err(crate::protocol::Error::Operation(_))));
    assert!(matches!(compile_truncate(ring, Ring::Z64, 7), Err(crate::protocol::Error::Operation(_))));
    assert!(compile_truncate(ring, Ring::new(5).unwrap(), 8).is_err());
    assert!(compile_truncate(ring, ring, 0).is_err());
    assert!(compile_reshare(Ring::new(2).unwrap()).is_err());
    let more = (MaximumCircuit::MAX_CANDIDATES + 1, MaximumCircuit::MAX_JOINED + 1);
    for (width, candidates, joined) in [(8, 1, 1), (8, more.0, 1), (9, 2, 1), (1, 2, 1), (8, 5, 0), (8, 5, more.1)] {
        assert!(compile_maximum(ring, Width::of(width), candidates, joined).is_err(), "{width} {candidates} {joined}");
    }
    let lemma = Lemma::Sign { width: 8, dropped: 2, operands: 1 };
    let program = unary(ring, lemma, |id| {
        vec![
            Op::Input,
            Op::Sign { operand: ValueId(0), lemma: id },
            Op::Inject { bit: ValueId(1), lemma: catalogs::LemmaId(1 - id.0) },
        ]
    });
    assert!(matches!(compile(&program), Err(crate::protocol::Error::Lemma { operation: 1, .. })));
    let _ = Format::z64(3);
}

#[test]
fn truncations_obey_their_lemma_in_all_windows() {
    for bits in [3u8, 4, 5, 6, 8] {
        let ring = Ring::new(bits).unwrap();
        let window = 1i128 << (bits - 2);
        let values: Vec<u64> = (0..1u64 << bits).flat_map(|v| std::iter::repeat_n(v, 300)).collect();
        let targets = |shift| (3..=bits + 2).chain([40, 64]).map(move |t| (Ring::new(t).unwrap(), shift));
        let served = |&(target, shift): &(Ring, u8)| truncation_rounds(ring, target, shift).is_some();
        for (target, shift) in (1..bits).flat_map(targets).filter(served) {
            let (outcome, _) = run(compile_truncate(ring, target, shift).unwrap(), &values, ring, u64::from(shift));
            let mut seen = [false; 2];
            for (lane, &value) in values.iter().enumerate() {
                let value = signed(ring, value);
                let result = reconstruct(&outcome, 0, lane).expect("roles agree");
                if target.bits() > bits - shift && !(-window..window).contains(&value) {
                    continue;
                }
                let delta = target.residue(i128::from(result) - (value >> shift));
                assert!((0..=1).contains(&delta), "{bits} bits to {target}, shift {shift}, value {value}: {delta}");
                seen[delta as usize] = true;
            }
            assert!(seen[0] && (seen[1] || target.bits() < 2), "both roundings occur");
        }
    }
}

#[test]
fn signs_are_exact_outside_their_band() {
    let ring = Ring::new(8).unwrap();
    let values: Vec<u64> = (0..256u64).flat_map(|v| std::iter::repeat_n(v, 256)).collect();
    // Every split of the value into what role 1 and what roles 2 and 3 know; x₁ is random.
    let third: Vec<u64> = (0..values.len() as u64).map(|lane| lane % 256).collect();
    let first: Vec<u64> = third.iter().map(|&lane| mix(lane) & 255).collect();
    let second = (0..values.len()).map(|lane| values[lane].wrapping_sub(first[lane] + third[lane]) & 255).collect();
    let components = [first, second, third];
    let inputs: Vec<_> = (0..3).map(|i| vec![components[i].clone(), components[(i + 1) % 3].clone()]).collect();
    for width in 2..=8u8 {
        for dropped in 0..width - 1 {
            let parties = LocalParties::new(compile(&sign_program(ring, width, dropped)).unwrap());
            let outcome = parties.run(values.len(), &inputs, &Mixed(u64::from(width * 8 + dropped))).unwrap();
            let band = (1i128 << dropped) - 1;
            let mut in_band = [[false; 2]; 256];
            for (lane, &value) in values.iter().enumerate() {
                let bit = reconstruct(&outcome, 0, lane).expect("roles agree") & ring.mask();
                let exact = value >> (width - 1) & 1;
                assert!(bit < 2);
                if i128::from(value & ((1 << (width - 1)) - 1)) >= band {
                    assert_eq!(bit, exact, "width {width}, dropped {dropped}, value {value}");
                } else {
                    in_band[value as usize][bit as usize] = true;
                }
            }
            // The band is exactly where both bits occur.
            for value in (0..256usize).filter(|value| ((value & ((1 << (width - 1)) - 1)) as i128) < band) {
                assert_eq!(in_band[value], [true; 2], "width {width}, dropped {dropped}, value {value}");
            }
        }
    }
}

#[test]
fn wide_signs_and_injections_are_exact() {
    for bits in 9..=64u8 {
        let ring = Ring::Z64;
        let mut values: Vec<u64> = (0..1000).map(|i| mix(i * 77 + u64::from(bits))).collect();
        let top = 1u64 << (bits - 1);
        values.extend([0, 1, top, top - 1, top + 1, u64::MAX, top.wrapping_neg()]);
        let program = sign_program(ring, bits, 0);
        let (outcome, _) = run(compile(&program).unwrap(), &values, ring, 5);
        for (lane, value) in values.iter().enumerate() {
            assert_eq!(reconstruct(&outcome, 0, lane), Some(value >> (bits - 1) & 1), "{bits} bits, {value:x}");
        }
    }
}

/// The maximum of every candidate's values, given lane by lane; components are random.
fn maxima(ring: Ring, width: Width, joined: u8, candidates: &[Vec<u64>]) -> Vec<u64> {
    let parties = LocalParties::new(compile_maximum(ring, width, candidates.len() as u8, joined).unwrap());
    let dealt: Vec<_> = candidates.iter().enumerate().map(|(i, values)| deal(values, ring, i as u64 * 91)).collect();
    let inputs: Vec<Vec<Vec<u64>>> =
        (0..3).map(|role| dealt.iter().flat_map(|components| components[role].clone()).collect()).collect();
    let lanes = candidates[0].len();
    let outcome = parties.run(lanes, &inputs, &Mixed(u64::from(width.bits))).unwrap();
    (0..lanes).map(|lane| reconstruct(&outcome, 0, lane).expect("roles agree") & ring.mask()).collect()
}

#[test]
fn maxima_are_exact_where_differences_fit() {
    // Every triple of a ring of four bits, of which all four or three are compared.
    let ring = Ring::new(4).unwrap();
    let digit = |place: u32| (0..1u64 << 12).map(|n| n >> (4 * place) & 15).collect::<Vec<u64>>();
    let candidates = [digit(0), digit(1), digit(2)];
    for (width, joined) in [(3u8, 1), (4, 1), (4, 2)] {
        let found = maxima(ring, Width::of(width), joined, &candidates);
        let mut proper = 0;
        for (lane, &found) in found.iter().enumerate() {
            let own: Vec<i128> = candidates.iter().map(|values| signed(ring, values[lane])).collect();
            let (least, largest) = (own.iter().min().unwrap(), own.iter().max().unwrap());
            if largest - least < 1 << (width - 1) {
                assert_eq!(signed(ring, found), *largest, "{own:?}, {width} bits");
                proper += 1;
            }
        }
        assert!(proper > 500);
    }
    let cases = [(64, 30, 2, 1), (64, 64, 5, 4), (40, 31, 8, 4), (64, 21, 12, 1), (33, 20, 7, 3), (64, 21, 12, 3)];
    for (bits, width, count, joined) in cases {
        let ring = Ring::new(bits).unwrap();
        // Few distinct values, so that there are ties, and the ends of the window.
        let value = |lane: u64, i: u64| match mix(lane * 37 + i) % 5 {
            0 => 0,
            1 => (1 << (width - 2)) - 1,
            2 => 0u64.wrapping_sub(1 << (width - 2)),
            _ => mix(lane + i * 1000) % (1 << (width - 2)),
        };
        let values = |i: u64| (0..500).map(|lane| value(lane, i) & ring.mask()).collect::<Vec<u64>>();
        let candidates: Vec<Vec<u64>> = (0..count).map(values).collect();
        for (lane, &found) in maxima(ring, Width::of(width), joined, &candidates).iter().enumerate() {
            let largest = candidates.iter().map(|values| signed(ring, values[lane])).max().unwrap();
            assert_eq!(signed(ring, found), largest, "{count} candidates, lane {lane}");
        }
    }
}

/// The components of one candidate, by role.
fn components(values: &[u64], ring: Ring, candidate: u64) -> [Vec<u64>; 3] {
    let dealt = deal(values, ring, candidate * 91);
    [0, 1, 2].map(|role| dealt[role][0].clone())
}

/// Where low bits are left out, three roles take the candidate that `circuit::coarse` takes with the carries that the
/// components have: on every pair and triple of small values, and on many large ones with ties and near ties.
#[test]
fn maxima_without_low_bits_take_the_candidate_that_the_carries_say() {
    let (mut furthest, mut cases) = (0i128, Vec::new());
    let ring = Ring::new(8).unwrap();
    for (dropped, joined) in [(1u8, 1u8), (2, 1), (3, 2)] {
        let digit = |place: u32| (0..1u64 << 15).map(|n| (n >> (5 * place) & 31).wrapping_sub(9) & 255).collect();
        cases.push((ring, Width { bits: 7, dropped }, joined, (0..3).map(digit).collect::<Vec<Vec<u64>>>()));
    }
    for (bits, width, dropped, count, joined) in
        [(64, 30, 13, 4, 1), (64, 64, 40, 5, 4), (38, 22, 13, 4, 3), (40, 31, 7, 12, 1), (33, 20, 16, 2, 1)]
    {
        let ring = Ring::new(bits).unwrap();
        // Around one number of the window, so that low bits decide.
        let value = |lane: u64, i: u64| {
            let far = mix(lane + i * 1000) % (1 << (width - 3));
            let near = (mix(lane) % (1 << (width - 3))).wrapping_add(mix(lane * 31 + i) % (3 << dropped));
            let value = if mix(lane * 37 + i).is_multiple_of(3) { far } else { near };
            if mix(lane).is_multiple_of(2) { value } else { 0u64.wrapping_sub(value) }
        };
        let values = |i: u64| (0..2000).map(|lane| value(lane, i) & ring.mask()).collect::<Vec<u64>>();
        cases.push((ring, Width { bits: width, dropped }, joined, (0..count).map(values).collect()));
    }
    for (ring, width, joined, candidates) in cases {
        let shares: Vec<[Vec<u64>; 3]> =
            candidates.iter().enumerate().map(|(i, values)| components(values, ring, i as u64)).collect();
        let (mut changed, mut checked, mut lost) = (0, 0, 0);
        for (lane, &found) in maxima(ring, width, joined, &candidates).iter().enumerate() {
            let own: Vec<i64> = candidates.iter().map(|values| signed(ring, values[lane]) as i64).collect();
            let (least, largest) = (*own.iter().min().unwrap(), *own.iter().max().unwrap());
            let slack = coarse::below_largest(width.dropped, 1);
            if i128::from(largest) - i128::from(least) + slack >= 1 << (width.bits - 1) {
                continue;
            }
            let low = |word: u64| word & ((1 << width.dropped) - 1);
            let carries = |[first, second, third]: &[Vec<u64>; 3]| {
                let m = first[lane].wrapping_add(second[lane]);
                (low(m) + low(third[lane])) >> width.dropped == 1
            };
            let compared: Vec<i64> = own
                .iter()
                .zip(&shares)
                .map(|(&value, shares)| coarse::compared(value, width.dropped, carries(shares)))
                .collect();
            let won = own[coarse::winner(&compared, width.compared()).expect("candidates are close enough")];
            assert_eq!(signed(ring, found), i128::from(won), "{width:?}, {own:?}");
            let below = i128::from(largest) - i128::from(won);
            assert!(below <= slack, "{own:?} gives {won}");
            (checked, changed, lost) = (checked + 1, changed + i32::from(below > 0), lost.max(below));
        }
        assert!(checked > 1000 && changed > 10, "{width:?}: {changed} of {checked} are not the largest");
        if width.dropped == 2 {
            furthest = lost;
        }
    }
    // The bound is met: no smaller one would do.
    assert_eq!(furthest, coarse::below_largest(2, 1));
}

/// What no sign test can compare is refused.
#[test]
fn maxima_compare_two_bits_at_least() {
    let ring = Ring::new(40).unwrap();
    let compile = |bits, dropped| compile_maximum(ring, Width { bits, dropped }, 4, 1);
    assert!(compile(22, 20).is_ok() && compile(40, 0).is_ok());
    assert!(compile(22, 21).is_err() && compile(22, 23).is_err() && compile(41, 9).is_err());
}

#[test]
fn sharing_and_opening_are_inverse() {
    for bits in [3u8, 17, 64] {
        let ring = Ring::new(bits).unwrap();
        let values: Vec<u64> = (0..600).map(|i| mix(i) & ring.mask()).collect();
        let sharing = LocalParties::new(share(ring).unwrap());
        let shared = sharing.run(values.len(), &[vec![values.clone()], vec![], vec![]], &Mixed(3)).unwrap();
        assert!((0..600).all(|lane| reconstruct(&shared, 0, lane).map(|v| v & ring.mask()) == Some(values[lane])));
        let opening = LocalParties::new(open(ring).unwrap());
        let opened = opening.run(values.len(), &shared.outputs, &Mixed(4)).unwrap();
        assert_eq!(opened.outputs[0][0], values);
        assert!(opened.outputs[1].is_empty());
        assert_eq!(shared.bytes() + opened.bytes(), 2 * (600 * u64::from(bits)).div_ceil(8));
    }
}

#[test]
fn wrong_frames_and_arguments_are_refused() {
    let parties = LocalParties::new(compile_reshare(Ring::Z64).unwrap());
    assert!(parties.run(4, &[vec![vec![0; 4]], vec![vec![0; 4]]], &Mixed(0)).is_err());
    assert!(parties.run(4, &[vec![vec![0; 4]], vec![vec![0; 3]], vec![vec![0; 4]]], &Mixed(0)).is_err());
    let prepared = crate::backend::cpu::Prepared::new(&parties.parties()[0].stages()[1]);
    let mut slots = crate::backend::cpu::Slots::new(parties.parties()[0].slots(), 4);
    let mut sent = Vec::new();
    for frames in [vec![], vec![vec![]; 3], vec![vec![], vec![0; 31], vec![]], vec![vec![], vec![0; 32], vec![1]]] {
        assert!(prepared.run(0, &mut slots, &frames, &mut sent, &Mixed(0)).is_err());
    }
    assert!(prepared.run(0, &mut slots, &[vec![], vec![0; 32], vec![]], &mut sent, &Mixed(0)).is_ok());
}
