//! Kernels that must be refused, one defect each, and the shapes that must pass.

use super::super::builder::{Mask, PartyBuilder};
use super::*;
use crate::kernel::{DrawName, Pair};

fn role(number: u8) -> Role {
    Role(number)
}

fn draw(low: u8, high: u8, name: DrawName, bits: u8) -> Draw {
    Draw { pair: Pair::new(role(low), role(high)).unwrap(), operation: 0, step: 0, name, bits }
}

fn field(from: u8, to: u8, order: u16, bits: u8) -> Field {
    Field { round: 0, from: role(from), to: role(to), order, bits }
}

/// Role 0 runs `code` on slots 0 and 1, role 1 receives `fields`, role 2 does nothing.
fn sending(code: Vec<Instruction>, fields: &[Field]) -> Result<Vec<CheckedParty>, Refusal> {
    let receive = fields.iter().map(|&field| Instruction::Receive(field)).collect();
    protocol([vec![code, vec![]], vec![vec![], receive], vec![vec![], vec![]]])
}

fn protocol(code: [Vec<Vec<Instruction>>; 3]) -> Result<Vec<CheckedParty>, Refusal> {
    let parties = code.into_iter().enumerate().map(|(index, stages)| Party {
        role: role(index as u8),
        inputs: vec![Slot(0), Slot(1)],
        outputs: vec![Slot(0)],
        slots: 3,
        stages: stages.into_iter().map(|instructions| Kernel { instructions }).collect(),
    });
    check(parties.collect(), Disclosure::Nothing)
}

fn refused(result: Result<Vec<CheckedParty>, Refusal>, words: &str) {
    match result {
        Err(refusal) => assert!(refusal.to_string().contains(words), "'{refusal}' does not say '{words}'"),
        Ok(_) => panic!("accepted, should say '{words}'"),
    }
}

use Instruction as I;

const UNHIDDEN: &str = "not hidden from its receiver";

fn r(index: u32) -> Register {
    Register(index)
}

#[test]
fn a_masked_value_passes() {
    let mask = draw(0, 2, DrawName::Share, 8);
    for combine in [I::Add(r(0), r(1)), I::Sub(r(0), r(1)), I::Sub(r(1), r(0)), I::Xor(r(1), r(0))] {
        let code = vec![I::Load(Slot(0)), I::Draw(mask), combine, I::Send(field(0, 1, 0, 8), r(2))];
        let checked = sending(code, &[field(0, 1, 0, 8)]).unwrap();
        assert_eq!(checked[0].stages()[0].sent_bytes(role(1), 5), 5);
        assert_eq!(checked[1].stages()[1].received_bytes(role(0), 5), 5);
    }
}

#[test]
fn a_missing_mask_is_refused() {
    let code = vec![I::Load(Slot(0)), I::Send(field(0, 1, 0, 8), r(0))];
    refused(sending(code, &[field(0, 1, 0, 8)]), UNHIDDEN);
}

#[test]
fn a_mask_that_the_receiver_knows_is_refused() {
    let mask = draw(0, 1, DrawName::Share, 8);
    let code = vec![I::Load(Slot(0)), I::Draw(mask), I::Add(r(0), r(1)), I::Send(field(0, 1, 0, 8), r(2))];
    refused(sending(code, &[field(0, 1, 0, 8)]), UNHIDDEN);
}

#[test]
fn a_mask_narrower_than_the_payload_is_refused() {
    let mask = draw(0, 2, DrawName::Share, 7);
    let code = vec![I::Load(Slot(0)), I::Draw(mask), I::Add(r(0), r(1)), I::Send(field(0, 1, 0, 8), r(2))];
    refused(sending(code, &[field(0, 1, 0, 8)]), UNHIDDEN);
    // So is one of which the low bits were cut to fewer.
    let mask = draw(0, 2, DrawName::Share, 8);
    let code = vec![
        I::Load(Slot(0)),
        I::Draw(mask),
        I::Constant(127),
        I::And(r(1), r(2)),
        I::Add(r(0), r(3)),
        I::Send(field(0, 1, 0, 8), r(4)),
    ];
    refused(sending(code, &[field(0, 1, 0, 8)]), UNHIDDEN);
}

#[test]
fn one_mask_for_two_messages_is_refused() {
    let mask = draw(0, 2, DrawName::Share, 8);
    let fields = [field(0, 1, 0, 8), field(0, 1, 1, 8)];
    let code = vec![
        I::Load(Slot(0)),
        I::Load(Slot(1)),
        I::Draw(mask),
        I::Add(r(0), r(2)),
        I::Sub(r(1), r(2)),
        I::Send(fields[0], r(3)),
        I::Send(fields[1], r(4)),
    ];
    refused(sending(code.clone(), &fields), UNHIDDEN);
    // Two masks on both messages do not help: their difference is free of them.
    let other = draw(0, 2, DrawName::Result, 8);
    let code = vec![
        I::Load(Slot(0)),
        I::Load(Slot(1)),
        I::Draw(mask),
        I::Draw(other),
        I::Add(r(2), r(3)),
        I::Add(r(0), r(4)),
        I::Add(r(1), r(4)),
        I::Send(fields[0], r(5)),
        I::Send(fields[1], r(6)),
    ];
    refused(sending(code, &fields), UNHIDDEN);
    // A second mask on one of them does.
    let code = vec![
        I::Load(Slot(0)),
        I::Load(Slot(1)),
        I::Draw(mask),
        I::Draw(other),
        I::Add(r(0), r(2)),
        I::Add(r(1), r(2)),
        I::Add(r(5), r(3)),
        I::Send(fields[0], r(4)),
        I::Send(fields[1], r(6)),
    ];
    assert!(sending(code, &fields).is_ok());
}

#[test]
fn a_cancelled_mask_is_refused() {
    let mask = draw(0, 2, DrawName::Share, 8);
    let code =
        vec![I::Load(Slot(0)), I::Draw(mask), I::Add(r(0), r(1)), I::Sub(r(2), r(1)), I::Send(field(0, 1, 0, 8), r(3))];
    refused(sending(code, &[field(0, 1, 0, 8)]), UNHIDDEN);
    // Drawn again under the same label it is the same word.
    let code = vec![
        I::Load(Slot(0)),
        I::Draw(mask),
        I::Add(r(0), r(1)),
        I::Draw(mask),
        I::Sub(r(2), r(3)),
        I::Send(field(0, 1, 0, 8), r(4)),
    ];
    refused(sending(code, &[field(0, 1, 0, 8)]), UNHIDDEN);
    // Through a slot, and with the mask multiplied or combined by "or": not bijective.
    for spoil in [I::Mul(r(1), r(1)), I::Or(r(0), r(1)), I::ShiftRight(r(1), 1), I::ShiftLeft(r(1), 1)] {
        let code = vec![
            I::Load(Slot(0)),
            I::Draw(mask),
            spoil,
            I::Store(Slot(2), r(2)),
            I::Load(Slot(2)),
            I::Send(field(0, 1, 0, 8), r(4)),
        ];
        refused(sending(code, &[field(0, 1, 0, 8)]), UNHIDDEN);
    }
}

/// Role 2 knows the mask of role 0's message and sends it on, itself masked by something that role 1 knows.
#[test]
fn a_mask_told_by_another_role_is_refused() {
    let mask = draw(0, 2, DrawName::Share, 8);
    let known = draw(1, 2, DrawName::Share, 8);
    let (first, second) = (field(0, 1, 0, 8), field(2, 1, 0, 8));
    let zero = vec![I::Load(Slot(0)), I::Draw(mask), I::Add(r(0), r(1)), I::Send(first, r(2))];
    let two = vec![I::Draw(mask), I::Draw(known), I::Add(r(0), r(1)), I::Send(second, r(2))];
    let one = vec![I::Receive(first), I::Receive(second)];
    refused(protocol([vec![zero, vec![]], vec![vec![], one], vec![two, vec![]]]), UNHIDDEN);
}

#[test]
fn labels_with_two_meanings_are_refused() {
    let code = vec![I::Draw(draw(0, 2, DrawName::Share, 8)), I::Draw(draw(0, 2, DrawName::Share, 9))];
    refused(sending(code, &[]), "has the label of another draw");
    refused(sending(vec![I::Draw(draw(1, 2, DrawName::Share, 8))], &[]), "not known to this role");
    refused(sending(vec![I::Draw(draw(0, 3, DrawName::Share, 8))], &[]), "does not take part");
    for wrong in
        [Draw { bits: 0, ..draw(0, 1, DrawName::Bit, 1) }, Draw { operation: 1024, ..draw(0, 1, DrawName::Bit, 1) }]
    {
        refused(sending(vec![I::Draw(wrong)], &[]), "does not fit a label");
    }
}

#[test]
fn undefined_registers_slots_and_shifts_are_refused() {
    refused(sending(vec![I::Load(Slot(2))], &[]), "never stored");
    refused(sending(vec![I::Load(Slot(3))], &[]), "never stored");
    refused(sending(vec![I::Load(Slot(0)), I::Store(Slot(3), r(0))], &[]), "no slot 3");
    refused(sending(vec![I::Add(r(0), r(0))], &[]), "register 0 is not defined");
    refused(sending(vec![I::Load(Slot(0)), I::Store(Slot(2), r(0)), I::Add(r(0), r(1))], &[]), "register 1");
    refused(sending(vec![I::Load(Slot(0)), I::ShiftLeft(r(0), 64)], &[]), "shift by 64");
    let party = |index: u8, outputs: Vec<Slot>| Party {
        role: role(index),
        inputs: vec![],
        outputs,
        slots: 1,
        stages: vec![Kernel::default()],
    };
    let outputs = vec![party(0, vec![]), party(1, vec![Slot(0)])];
    refused(check(outputs, Disclosure::Nothing), "an output is never stored");
    refused(check(vec![party(1, vec![])], Disclosure::Nothing), "not in order");
}

#[test]
fn frames_that_do_not_fit_are_refused() {
    let mask = draw(0, 2, DrawName::Share, 8);
    let send = |field: Field| vec![I::Draw(mask), I::Send(field, r(0))];
    let good = field(0, 1, 0, 8);
    assert!(sending(send(good), &[good]).is_ok());
    refused(sending(send(good), &[]), "never received");
    refused(sending(vec![], &[good]), "was not sent");
    refused(sending(send(good), &[Field { bits: 7, ..good }]), "was not sent");
    refused(sending(send(field(0, 1, 1, 8)), &[field(0, 1, 1, 8)]), "leaves a gap");
    refused(sending(send(field(0, 0, 0, 8)), &[]), "does not leave here");
    refused(sending(send(field(1, 0, 0, 8)), &[]), "does not leave here");
    refused(sending(send(field(0, 3, 0, 8)), &[]), "does not leave here");
    refused(sending(send(Field { bits: 65, ..good }), &[]), "impossible width");
    refused(sending(vec![I::Load(Slot(0)), I::Disclose(good, r(0))], &[good]), "is not to learn");
    let late = Field { round: 1, ..good };
    let last = vec![vec![], vec![I::Draw(mask), I::Send(late, r(0))]];
    refused(protocol([last, vec![vec![]; 2], vec![vec![]; 2]]), "after the last round");
}

/// What the builder makes of a consumed draw passes, and the mask is gone.
#[test]
fn the_builder_makes_kernels_that_pass() {
    let party = |index: u8| {
        let mut p = PartyBuilder::new(role(index), 2);
        let mut outputs = vec![p.input(0)];
        match index {
            0 => {
                let hide = p.draw(role(2), 3, 1, DrawName::Share, 12);
                let x = p.input(0);
                let sent = p.mask(x, hide, Mask::Minus);
                p.send(role(1), sent);
                p.next_round();
            }
            1 => {
                let expected = p.expect(role(0), 12);
                p.next_round();
                outputs.push(p.receive(expected));
            }
            _ => p.next_round(),
        }
        p.finish(&outputs)
    };
    assert!(check((0..3).map(party).collect(), Disclosure::Nothing).is_ok());
}

/// Every draw of the real protocols masks something, and no two of one pair may be one.
#[test]
fn every_draw_of_the_protocols_is_needed() {
    use crate::protocol::rss3::{self, tests::sign_program};
    use catalogs::Ring;
    let (wide, narrow) = (Ring::Z64, Ring::Z32);
    let subjects = [
        rss3::compile_reshare(wide).unwrap(),
        rss3::compile_truncate(wide, wide, 16).unwrap(),
        rss3::compile_truncate(wide, narrow, 16).unwrap(),
        rss3::share(wide).unwrap(),
        rss3::compile(&sign_program(wide, 20, 3)).unwrap(),
    ];
    let mut mutants = 0;
    for subject in subjects {
        let parties: Vec<Party> = subject.iter().map(CheckedParty::unchecked).collect();
        assert!(check(parties.clone(), Disclosure::Nothing).is_ok());
        let code = parties.iter().flat_map(|party| &party.stages).flat_map(|stage| &stage.instructions);
        let drawn: std::collections::BTreeSet<Draw> =
            code.filter_map(|instruction| if let I::Draw(draw) = instruction { Some(*draw) } else { None }).collect();
        let same = |a: &Draw, b: &Draw| a < b && a.pair == b.pair && a.bits == b.bits;
        let merged = drawn.iter().flat_map(|a| drawn.iter().filter(|b| same(a, b)).map(|b| (*b, I::Draw(*a))));
        for (gone, instead) in drawn.iter().map(|draw| (*draw, I::Constant(0))).chain(merged) {
            let mut mutant = parties.clone();
            let stages = mutant.iter_mut().flat_map(|party| &mut party.stages);
            for instruction in stages.flat_map(|stage| &mut stage.instructions) {
                if *instruction == I::Draw(gone) {
                    *instruction = instead;
                }
            }
            refused(check(mutant, Disclosure::Nothing), UNHIDDEN);
            mutants += 1;
        }
    }
    assert!(mutants > 30, "{mutants} mutants");
}
