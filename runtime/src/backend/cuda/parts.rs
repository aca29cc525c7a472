//! Cuts the code of a stage into parts that a block of threads can hold, each a launch of its own.
//!
//! Establishes: within a part few values live at once, masks and fields fit shared memory, and places of slots fit the
//! arguments of a launch, wherever a single instruction does. Code is put in the order in which it is needed: a store
//! or a send comes as soon as its word is there, and brings what it alone needs. Many independent words, signs of many
//! thresholds for example, are therefore computed one after the other, however the protocol wrote them, and a cut
//! between two of them costs little. What a later part needs of an earlier one is kept in the device's memory; loads,
//! constants, draws and received fields are read again.

use crate::kernel::{Instruction, Register};
use std::collections::{BTreeMap, BTreeSet};

/// What a part uses, or may use.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Uses {
    /// Bytes of shared memory of a block.
    pub shared_bytes: usize,
    /// Slots that are read and written.
    pub slots: usize,
    /// Values that are needed later: two registers of a thread each, of which it has 255.
    pub live: usize,
    /// Lines: assemblers take longer than in proportion.
    pub lines: usize,
}

/// A line of a part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Line {
    /// An instruction, and the register that it defines if it yields a word.
    Own(Register, Instruction),
    /// A register of an earlier part, from the memory between parts.
    Bring(Register),
}

/// A kernel in parts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parts {
    /// What each computes.
    pub parts: Vec<Vec<Line>>,
    /// The registers that later parts need, with their place in the memory between parts.
    pub kept: BTreeMap<Register, usize>,
}

/// Cuts a kernel; `shared_bytes` says what an instruction takes of shared memory.
pub fn cut(instructions: &[Instruction], limits: &Uses, shared_bytes: impl Fn(&Instruction) -> usize) -> Parts {
    let code = forwarded(instructions);
    let order = order(&code);
    let mut last = vec![0; code.len()];
    for (place, &index) in order.iter().enumerate() {
        code[index].operands().for_each(|register| last[register.index()] = place);
    }
    let (mut parts, mut part) = (Vec::new(), Part::default());
    for (place, &index) in order.iter().enumerate() {
        let mut lines = part.lines_for(&code, index);
        let mut uses = part.uses_with(&lines, place, &last, &shared_bytes);
        if !part.lines.is_empty() && uses.exceed(limits) {
            parts.push(std::mem::take(&mut part).lines);
            lines = part.lines_for(&code, index);
            uses = part.uses_with(&lines, place, &last, &shared_bytes);
        }
        part.extend(lines, uses, place, &last);
    }
    parts.extend(Some(part.lines).filter(|lines| !lines.is_empty()));
    let mut kept = BTreeMap::new();
    for line in parts.iter().flatten() {
        if let Line::Bring(register) = *line {
            let place = kept.len();
            kept.entry(register).or_insert(place);
        }
    }
    Parts { parts, kept }
}

/// Whether a word is read where it is needed, and not kept.
fn is_read(instruction: &Instruction) -> bool {
    use Instruction as I;
    matches!(instruction, I::Load(_) | I::Constant(_) | I::Draw(_) | I::Receive(_))
}

/// The same code with what it stored itself in the place of loads of it.
fn forwarded(instructions: &[Instruction]) -> Vec<Instruction> {
    let mut stored = BTreeMap::new();
    let forward = |instruction: &Instruction| match *instruction {
        Instruction::Store(slot, register) => {
            stored.insert(slot, register);
            *instruction
        }
        Instruction::Load(slot) => stored.get(&slot).map_or(*instruction, |&own| Instruction::Or(own, own)),
        _ => *instruction,
    };
    instructions.iter().map(forward).collect()
}

/// What has an effect, by the register that it waits for, each after what it needs; without what is read. Of stores to
/// one slot the last counts.
fn order(code: &[Instruction]) -> Vec<usize> {
    let (mut effects, mut slots) = (Vec::new(), BTreeSet::new());
    for (index, instruction) in code.iter().enumerate().rev().filter(|(_, instruction)| !instruction.yields()) {
        let counts = if let Instruction::Store(slot, _) = *instruction { slots.insert(slot) } else { true };
        effects.extend(instruction.operands().filter(|_| counts).map(|register| (register, index)));
    }
    effects.sort();
    let mut done: Vec<bool> = code.iter().map(is_read).collect();
    let mut order = Vec::with_capacity(code.len());
    for (_, effect) in effects {
        let mut pending = vec![effect];
        while let Some(&index) = pending.last() {
            match code[index].operands().find(|register| !done[register.index()]) {
                Some(register) => pending.push(register.index()),
                None => {
                    pending.pop();
                    done[index] = true;
                    order.push(index);
                }
            }
        }
    }
    order
}

impl Uses {
    fn exceed(&self, limits: &Uses) -> bool {
        self.shared_bytes > limits.shared_bytes
            || self.slots > limits.slots
            || self.live > limits.live
            || self.lines > limits.lines
    }
}

impl Line {
    fn register(&self) -> Register {
        match *self {
            Line::Own(register, _) | Line::Bring(register) => register,
        }
    }
}

#[derive(Default)]
struct Part {
    lines: Vec<Line>,
    has: BTreeSet<Register>,
    uses: Uses,
    /// How many of its values are needed for the last time at a place of the order.
    ends: BTreeMap<usize, usize>,
}

impl Part {
    /// An instruction after what this part does not have of what it needs.
    fn lines_for(&self, code: &[Instruction], index: usize) -> Vec<Line> {
        let needed: BTreeSet<Register> =
            code[index].operands().filter(|register| !self.has.contains(register)).collect();
        let line = |register: Register| match code[register.index()] {
            instruction if is_read(&instruction) => Line::Own(register, instruction),
            _ => Line::Bring(register),
        };
        needed.into_iter().map(line).chain([Line::Own(Register(index as u32), code[index])]).collect()
    }

    fn uses_with(
        &self,
        lines: &[Line],
        place: usize,
        last: &[usize],
        shared_bytes: impl Fn(&Instruction) -> usize,
    ) -> Uses {
        let mut uses = self.uses;
        uses.lines += lines.len();
        for line in lines {
            uses.live += usize::from(last[line.register().index()] > place);
            if let Line::Own(_, instruction) = line {
                uses.shared_bytes += shared_bytes(instruction);
                uses.slots += usize::from(matches!(instruction, Instruction::Load(_) | Instruction::Store(..)));
            }
        }
        uses
    }

    fn extend(&mut self, lines: Vec<Line>, uses: Uses, place: usize, last: &[usize]) {
        self.uses = uses;
        for register in lines.iter().map(Line::register) {
            self.has.insert(register);
            if last[register.index()] > place {
                *self.ends.entry(last[register.index()]).or_default() += 1;
            }
        }
        self.uses.live -= self.ends.remove(&place).unwrap_or(0);
        self.lines.extend(lines);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Slot;
    use Instruction as I;

    const UNLIMITED: Uses = Uses { shared_bytes: usize::MAX, slots: usize::MAX, live: usize::MAX, lines: usize::MAX };

    /// What `code` leaves in slots whose words are their numbers: parts one after the other, as launches are.
    fn run(code: &Parts) -> BTreeMap<Slot, u64> {
        let (mut kept, mut slots) = (BTreeMap::new(), BTreeMap::new());
        for part in &code.parts {
            let mut registers = BTreeMap::new();
            for line in part {
                let (register, word) = match *line {
                    Line::Bring(register) => (register, kept[&register]),
                    Line::Own(register, I::Load(slot)) => (register, u64::from(slot.0)),
                    Line::Own(register, I::Add(a, b)) => (register, registers[&a] + registers[&b]),
                    Line::Own(register, I::Or(a, b)) => (register, registers[&a] | registers[&b]),
                    Line::Own(_, I::Store(slot, a)) => {
                        slots.insert(slot, registers[&a]);
                        continue;
                    }
                    other => panic!("{other:?}"),
                };
                registers.insert(register, word);
                if code.kept.contains_key(&register) {
                    kept.insert(register, word);
                }
            }
        }
        slots
    }

    /// Pairs of slots are added, the sums doubled, and stored at the end, as protocols write it.
    fn doubled(count: u16) -> Vec<Instruction> {
        let mut code = Vec::new();
        for pair in 0..count {
            let at = 4 * u32::from(pair);
            code.extend([I::Load(Slot(2 * pair)), I::Load(Slot(2 * pair + 1))]);
            code.extend([I::Add(Register(at), Register(at + 1)), I::Add(Register(at + 2), Register(at + 2))]);
        }
        code.extend((0..count).map(|pair| I::Store(Slot(1000 + pair), Register(4 * u32::from(pair) + 3))));
        code
    }

    #[test]
    fn stores_come_as_soon_as_their_word_is_there() {
        let code = cut(&doubled(100), &Uses { live: 2, ..UNLIMITED }, |_| 0);
        assert_eq!((code.parts.len(), code.kept.len()), (1, 0));
        assert!((0..100).all(|pair| run(&code)[&Slot(1000 + pair)] == 2 * (4 * u64::from(pair) + 1)));
    }

    #[test]
    fn every_limit_cuts_and_the_words_stay() {
        let whole = run(&cut(&doubled(9), &UNLIMITED, |_| 0));
        let slot = |instruction: &Instruction| usize::from(matches!(instruction, I::Load(_)));
        for limits in [
            Uses { shared_bytes: 3, ..UNLIMITED },
            Uses { slots: 4, ..UNLIMITED },
            Uses { lines: 1, ..UNLIMITED },
            Uses { live: 0, ..UNLIMITED },
        ] {
            let parts = cut(&doubled(9), &limits, slot);
            assert!(parts.parts.len() > 3, "{limits:?}");
            assert_eq!(run(&parts), whole, "{limits:?}");
        }
        let alone = cut(&doubled(9), &Uses::default(), slot);
        assert_eq!((alone.parts.len(), alone.kept.len()), (27, 18));
        assert_eq!(run(&alone), whole);
    }

    /// What was stored is what is loaded, the last store counts, and what nobody needs is not computed.
    #[test]
    fn slots_are_read_and_written_in_the_order_of_the_code() {
        let (one, two, sum) = (Register(0), Register(3), Register(4));
        let code = [
            I::Load(Slot(1)),
            I::Store(Slot(7), one),
            I::Load(Slot(7)),
            I::Load(Slot(2)),
            I::Add(Register(2), two),
            I::Store(Slot(7), sum),
            I::Add(sum, sum),
        ];
        for limits in [UNLIMITED, Uses::default()] {
            let parts = cut(&code, &limits, |_| 1);
            assert_eq!(run(&parts), BTreeMap::from([(Slot(7), 3)]));
            assert!(parts.parts.iter().flatten().all(|line| line.register() != Register(6)));
        }
    }
}
