//! Writes the kernels of one role.
//!
//! A protocol is written once, as straight-line code over all its rounds: a [`Word`] computed in one stage may be
//! used in any later one, and the builder stores and loads it, giving slots only to words that live between stages.
//!
//! What can be sent is a type: [`Masked`] is made from a [`Fresh`] draw and consumes it, so no draw masks twice and
//! nothing goes out unmasked. The types do not see who receives it or what else was sent; [`mod@super::check`] does.

use super::{Draw, DrawName, Field, Instruction, Kernel, Pair, Party, Register, Slot};
use catalogs::protocol::Role;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A word per lane, at any stage from its definition on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Word(u32);

/// A draw that has masked nothing yet.
#[derive(Debug)]
pub struct Fresh {
    word: Word,
    bits: u8,
}

impl Fresh {
    /// The drawn word, for the holder's own use.
    pub fn word(&self) -> Word {
        self.word
    }
}

/// A value that a fresh draw hides.
#[derive(Debug)]
pub struct Masked {
    word: Word,
    bits: u8,
}

impl Masked {
    /// What is sent, for the sender's own use.
    pub fn word(&self) -> Word {
        self.word
    }
}

/// The claim to a field that arrives with the next round.
#[derive(Debug)]
pub struct Expected {
    field: Field,
}

/// How a mask and a value are combined.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mask {
    /// value + mask.
    Plus,
    /// value − mask.
    Minus,
    /// value ⊕ mask.
    Exclusive,
}

#[derive(Clone, Copy, Debug)]
enum Node {
    Input(Slot),
    Constant(u64),
    Binary(Binary, Word, Word),
    ShiftLeft(Word, u8),
    ShiftRight(Word, u8),
    Draw(Draw),
    Receive(Field),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Binary {
    Add,
    Sub,
    Mul,
    And,
    Or,
    Xor,
}

#[derive(Clone, Copy, Debug)]
enum Effect {
    Define(Word),
    Send(Field, Word),
    Disclose(Field, Word),
}

/// The code of one role under construction.
#[derive(Debug)]
pub struct PartyBuilder {
    role: Role,
    stage: u16,
    nodes: Vec<(Node, u16)>,
    effects: Vec<Vec<Effect>>,
    frames: HashMap<(u16, Role, Role), u16>,
    inputs: u16,
}

impl PartyBuilder {
    /// Starts at stage 0, with `inputs` words that the caller provides.
    pub fn new(role: Role, inputs: u16) -> PartyBuilder {
        let nodes = (0..inputs).map(|slot| (Node::Input(Slot(slot)), 0)).collect();
        PartyBuilder { role, stage: 0, nodes, effects: vec![Vec::new()], frames: HashMap::new(), inputs }
    }

    /// Whose code this is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// The `index`-th argument; the caller has declared so many.
    pub fn input(&self, index: u16) -> Word {
        Word(u32::from(index))
    }

    /// The stage that is being written.
    pub fn stage(&self) -> u16 {
        self.stage
    }

    /// Continues at the end of `stage`. Words of later stages may not be used there.
    pub fn at(&mut self, stage: u16) {
        while self.effects.len() <= usize::from(stage) {
            self.effects.push(Vec::new());
        }
        self.stage = stage;
    }

    /// Continues after the messages of this stage have arrived.
    pub fn next_round(&mut self) {
        self.at(self.stage + 1);
    }

    fn define(&mut self, node: Node) -> Word {
        let word = Word(self.nodes.len() as u32);
        self.nodes.push((node, self.stage));
        self.effects[usize::from(self.stage)].push(Effect::Define(word));
        word
    }

    fn known(&self, word: Word) -> Option<u64> {
        match self.nodes[word.0 as usize].0 {
            Node::Constant(value) => Some(value),
            _ => None,
        }
    }

    /// The same word in every lane.
    pub fn constant(&mut self, value: u64) -> Word {
        self.define(Node::Constant(value))
    }

    /// a + b.
    pub fn add(&mut self, a: Word, b: Word) -> Word {
        match (self.known(a), self.known(b)) {
            (Some(x), Some(y)) => self.constant(x.wrapping_add(y)),
            (Some(0), None) => b,
            (None, Some(0)) => a,
            _ => self.define(Node::Binary(Binary::Add, a, b)),
        }
    }

    /// a − b.
    pub fn sub(&mut self, a: Word, b: Word) -> Word {
        match self.known(b) {
            Some(0) => a,
            _ => self.define(Node::Binary(Binary::Sub, a, b)),
        }
    }

    /// −a.
    pub fn neg(&mut self, a: Word) -> Word {
        let zero = self.constant(0);
        self.sub(zero, a)
    }

    /// a·b.
    pub fn mul(&mut self, a: Word, b: Word) -> Word {
        self.define(Node::Binary(Binary::Mul, a, b))
    }

    /// a·`factor`, by a shift where that is enough.
    pub fn scale(&mut self, a: Word, factor: u64) -> Word {
        match factor {
            0 => self.constant(0),
            1 => a,
            u64::MAX => self.neg(a),
            _ if factor.is_power_of_two() => self.shift_left(a, factor.trailing_zeros() as u8),
            _ => {
                let factor = self.constant(factor);
                self.mul(a, factor)
            }
        }
    }

    /// a ∧ b.
    pub fn and(&mut self, a: Word, b: Word) -> Word {
        self.define(Node::Binary(Binary::And, a, b))
    }

    /// a ∧ `bits`.
    pub fn keep(&mut self, a: Word, bits: u64) -> Word {
        if bits == u64::MAX {
            return a;
        }
        let bits = self.constant(bits);
        self.and(a, bits)
    }

    /// a modulo 2^`bits`, 1 to 64.
    pub fn reduce(&mut self, a: Word, bits: u8) -> Word {
        self.keep(a, u64::MAX >> (64 - u32::from(bits)))
    }

    /// a ∨ b.
    pub fn or(&mut self, a: Word, b: Word) -> Word {
        self.define(Node::Binary(Binary::Or, a, b))
    }

    /// a ⊕ b.
    pub fn xor(&mut self, a: Word, b: Word) -> Word {
        self.define(Node::Binary(Binary::Xor, a, b))
    }

    /// a·2^`by`.
    pub fn shift_left(&mut self, a: Word, by: u8) -> Word {
        if by == 0 { a } else { self.define(Node::ShiftLeft(a, by)) }
    }

    /// ⌊a/2^`by`⌋ of the unsigned word.
    pub fn shift_right(&mut self, a: Word, by: u8) -> Word {
        if by == 0 { a } else { self.define(Node::ShiftRight(a, by)) }
    }

    /// A draw that the pair of this role and `other` shares. `other` is a different role.
    pub fn draw(&mut self, other: Role, operation: u16, step: u8, name: DrawName, bits: u8) -> Fresh {
        let pair = Pair::new(self.role, other).expect("a protocol draws with another role, below four");
        let word = self.define(Node::Draw(Draw { pair, operation, step, name, bits }));
        Fresh { word, bits }
    }

    /// `value` hidden by `mask`, modulo 2^width of the mask.
    pub fn mask(&mut self, value: Word, mask: Fresh, how: Mask) -> Masked {
        let combined = match how {
            Mask::Plus => self.add(value, mask.word),
            Mask::Minus => self.sub(value, mask.word),
            Mask::Exclusive => self.xor(value, mask.word),
        };
        Masked { word: self.reduce(combined, mask.bits), bits: mask.bits }
    }

    fn field(&mut self, from: Role, to: Role, bits: u8) -> Field {
        let order = self.frames.entry((self.stage, from, to)).or_insert(0);
        let field = Field { round: self.stage, from, to, order: *order, bits };
        *order += 1;
        field
    }

    /// Sends `value` to `to` at the end of this stage.
    pub fn send(&mut self, to: Role, value: Masked) {
        let field = self.field(self.role, to, value.bits);
        self.effects[usize::from(self.stage)].push(Effect::Send(field, value.word));
    }

    /// Shows an output to the role that is meant to learn it.
    pub fn disclose(&mut self, to: Role, value: Word, bits: u8) {
        let field = self.field(self.role, to, bits);
        self.effects[usize::from(self.stage)].push(Effect::Disclose(field, value));
    }

    /// Announces the next field that `from` sends in this stage.
    pub fn expect(&mut self, from: Role, bits: u8) -> Expected {
        Expected { field: self.field(from, self.role, bits) }
    }

    /// The word of a field, in the stage after it was announced.
    pub fn receive(&mut self, expected: Expected) -> Word {
        self.define(Node::Receive(expected.field))
    }

    /// Assembles the kernels. `outputs` are the words the caller reads at the end.
    pub fn finish(self, outputs: &[Word]) -> Party {
        let last = self.effects.len() as u16 - 1;
        let live = self.live(outputs);
        let last_use = self.last_uses(&live, outputs, last);
        let slots = self.assign_slots(&last_use, last);
        let stages = (0..=last).map(|stage| self.assemble(stage, &live, &slots)).collect();
        let outputs: Vec<Slot> = outputs.iter().map(|word| slots.of[word]).collect();
        let inputs = (0..self.inputs).map(Slot).collect();
        Party { role: self.role, inputs, outputs, slots: slots.count, stages }
    }

    fn operands(&self, word: Word) -> Vec<Word> {
        match self.nodes[word.0 as usize].0 {
            Node::Binary(_, a, b) => vec![a, b],
            Node::ShiftLeft(a, _) | Node::ShiftRight(a, _) => vec![a],
            Node::Input(_) | Node::Constant(_) | Node::Draw(_) | Node::Receive(_) => vec![],
        }
    }

    /// Words that an output or a message needs; whatever arrives is received, needed or not.
    fn live(&self, outputs: &[Word]) -> Vec<bool> {
        let mut live = vec![false; self.nodes.len()];
        let mut pending: Vec<Word> = outputs.to_vec();
        for effect in self.effects.iter().flatten() {
            match *effect {
                Effect::Send(_, word) | Effect::Disclose(_, word) => pending.push(word),
                Effect::Define(word) if matches!(self.nodes[word.0 as usize].0, Node::Receive(_)) => pending.push(word),
                Effect::Define(_) => {}
            }
        }
        while let Some(word) = pending.pop() {
            if !std::mem::replace(&mut live[word.0 as usize], true) {
                pending.extend(self.operands(word));
            }
        }
        live
    }

    /// The last stage that needs each word which crosses a stage; outputs are needed after the last.
    fn last_uses(&self, live: &[bool], outputs: &[Word], last: u16) -> BTreeMap<Word, u16> {
        let mut last_use = BTreeMap::new();
        let mut note = |word: Word, stage: u16| {
            let (node, defined) = self.nodes[word.0 as usize];
            let free = matches!(node, Node::Constant(_)) && stage <= last;
            let crosses = stage > defined || matches!(node, Node::Input(_));
            if crosses && !free {
                let latest = last_use.entry(word).or_insert(stage);
                *latest = stage.max(*latest);
            }
        };
        for (stage, effects) in self.effects.iter().enumerate() {
            for effect in effects {
                match *effect {
                    Effect::Define(word) if live[word.0 as usize] => {
                        self.operands(word).into_iter().for_each(|operand| note(operand, stage as u16));
                    }
                    Effect::Define(_) => {}
                    Effect::Send(_, word) | Effect::Disclose(_, word) => note(word, stage as u16),
                }
            }
        }
        outputs.iter().for_each(|&word| note(word, last + 1));
        last_use
    }

    /// Linear scan over stages: a slot is free again in the stage of its word's last use, because a kernel loads
    /// before it stores.
    fn assign_slots(&self, last_use: &BTreeMap<Word, u16>, last: u16) -> Slots {
        let mut of = BTreeMap::new();
        let mut count = self.inputs;
        let mut free: BTreeSet<Slot> = BTreeSet::new();
        for slot in 0..self.inputs {
            of.insert(Word(u32::from(slot)), Slot(slot));
        }
        let (mut ending, mut starting) =
            (vec![Vec::new(); usize::from(last) + 2], vec![Vec::new(); usize::from(last) + 1]);
        for (&word, &stage) in last_use {
            ending[usize::from(stage)].push(word);
            starting[usize::from(self.nodes[word.0 as usize].1)].push(word);
        }
        free.extend((0..self.inputs).filter(|&slot| !last_use.contains_key(&Word(u32::from(slot)))).map(Slot));
        for stage in 0..=usize::from(last) {
            free.extend(ending[stage].iter().filter_map(|word| of.get(word)));
            for &word in &starting[stage] {
                of.entry(word).or_insert_with(|| {
                    free.pop_first().unwrap_or_else(|| {
                        count += 1;
                        Slot(count - 1)
                    })
                });
            }
        }
        Slots { of, count }
    }

    fn assemble(&self, stage: u16, live: &[bool], slots: &Slots) -> Kernel {
        let mut assembly =
            Assembly { builder: self, stage, slots, registers: HashMap::new(), kernel: Kernel::default() };
        let mut stores = Vec::new();
        for effect in &self.effects[usize::from(stage)] {
            match *effect {
                Effect::Define(word) if live[word.0 as usize] => {
                    // A constant is made where it is used, unless it is an output.
                    let is_constant = matches!(self.nodes[word.0 as usize].0, Node::Constant(_));
                    if !is_constant || slots.of.contains_key(&word) {
                        let register = assembly.register(word);
                        if let Some(&slot) = slots.of.get(&word) {
                            stores.push(Instruction::Store(slot, register));
                        }
                    }
                }
                Effect::Define(_) => {}
                Effect::Send(field, word) => {
                    let register = assembly.register(word);
                    assembly.kernel.instructions.push(Instruction::Send(field, register));
                }
                Effect::Disclose(field, word) => {
                    let register = assembly.register(word);
                    assembly.kernel.instructions.push(Instruction::Disclose(field, register));
                }
            }
        }
        assembly.kernel.instructions.extend(stores);
        assembly.kernel
    }
}

struct Slots {
    of: BTreeMap<Word, Slot>,
    count: u16,
}

struct Assembly<'a> {
    builder: &'a PartyBuilder,
    stage: u16,
    slots: &'a Slots,
    registers: HashMap<Word, Register>,
    kernel: Kernel,
}

impl Assembly<'_> {
    fn register(&mut self, word: Word) -> Register {
        if let Some(&register) = self.registers.get(&word) {
            return register;
        }
        let (node, defined) = self.builder.nodes[word.0 as usize];
        let instruction = match node {
            Node::Input(slot) => Instruction::Load(slot),
            Node::Constant(value) => Instruction::Constant(value),
            _ if defined != self.stage => Instruction::Load(self.slots.of[&word]),
            Node::Draw(draw) => Instruction::Draw(draw),
            Node::Receive(field) => Instruction::Receive(field),
            Node::ShiftLeft(a, by) => Instruction::ShiftLeft(self.register(a), by),
            Node::ShiftRight(a, by) => Instruction::ShiftRight(self.register(a), by),
            Node::Binary(binary, a, b) => {
                let (a, b) = (self.register(a), self.register(b));
                match binary {
                    Binary::Add => Instruction::Add(a, b),
                    Binary::Sub => Instruction::Sub(a, b),
                    Binary::Mul => Instruction::Mul(a, b),
                    Binary::And => Instruction::And(a, b),
                    Binary::Or => Instruction::Or(a, b),
                    Binary::Xor => Instruction::Xor(a, b),
                }
            }
        };
        let register = Register(self.kernel.instructions.len() as u32);
        self.kernel.instructions.push(instruction);
        self.registers.insert(word, register);
        register
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Slots are reused as soon as their word is dead: a chain of n stages that keeps two words needs few.
    #[test]
    fn slots_are_reused() {
        let mut builder = PartyBuilder::new(Role(0), 2);
        let (mut a, mut b) = (builder.input(0), builder.input(1));
        for _ in 0..20 {
            let sum = builder.add(a, b);
            (a, b) = (b, sum);
            builder.next_round();
        }
        let party = builder.finish(&[a, b]);
        assert!(party.slots <= 4, "{} slots", party.slots);
        assert_eq!(party.stages.len(), 21);
    }
}
