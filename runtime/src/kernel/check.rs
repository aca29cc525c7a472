//! Proves, from the code alone, that what every role receives is uniform and independent of all it does not know.
//!
//! [`check`] takes the kernels of *all* roles of one protocol run and establishes, for every role R:
//!
//! > fix every argument of every role and every draw that R holds; then the messages R receives are jointly uniform.
//!
//! So R's view can be simulated from its own arguments and draws by uniform words, which is all that semi-honest
//! privacy of a protocol without openings asks for. The argument is syntactic. A word is *bijective in d*, a draw,
//! modulo 2^w if it is d with at least w bits, or a sum, difference or exclusive or of one word bijective in d and one
//! that does not depend on d, or the low bits of such a word. A message is admitted if it is bijective, modulo its
//! width, in a draw that R does not hold and on which no message that R received before depends; inside a round, some
//! order of the messages must do. Dependence follows words through slots and through messages of other roles.
//!
//! Assumes: draws with different labels are independent; two runs never share a label (node, tile and run differ); a
//! slot that the caller fills does not depend on this run's draws. [`Disclosure`]s are exempt and must be asked for.
//!
//! It also refuses whatever could make a back end misbehave: undefined registers and slots, shifts of 64, frames with
//! gaps, fields that are sent and not received, or received and not sent.

use super::widths::Widths;
use super::{Draw, Field, Instruction, Kernel, Party, Register, Slot};
use catalogs::protocol::Role;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

/// Whether outputs may be shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Disclosure {
    /// To nobody.
    Nothing,
    /// To this role.
    To(Role),
}

/// Why kernels are not executed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("role {role}, stage {stage}, instruction {instruction}: {reason}", role = role.0)]
pub struct Refusal {
    /// Whose code.
    pub role: Role,
    /// Which kernel.
    pub stage: usize,
    /// Which instruction of it.
    pub instruction: usize,
    /// What is wrong.
    pub reason: String,
}

/// A kernel of a [`CheckedParty`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckedKernel {
    kernel: Kernel,
    receives: Vec<Field>,
    sends: Vec<Field>,
    bits: Vec<u8>,
}

impl CheckedKernel {
    /// The instructions.
    pub fn instructions(&self) -> &[Instruction] {
        &self.kernel.instructions
    }

    /// The fields of the frames that it needs, by sender and order.
    pub fn receives(&self) -> &[Field] {
        &self.receives
    }

    /// The fields of the frames that it writes, by receiver and order.
    pub fn sends(&self) -> &[Field] {
        &self.sends
    }

    /// For every instruction, how many low bits can be set of what it yields, stores or sends; of what it loads, where
    /// the kernels before it are this party's.
    pub fn bits(&self) -> &[u8] {
        &self.bits
    }

    /// Bytes of the frame that `from` has to send to this kernel's role.
    pub fn received_bytes(&self, from: Role, lanes: usize) -> usize {
        self.receives.iter().filter(|field| field.from == from).map(|field| field.bytes(lanes)).sum()
    }

    /// Bytes of the frame to `to`.
    pub fn sent_bytes(&self, to: Role, lanes: usize) -> usize {
        self.sends.iter().filter(|field| field.to == to).map(|field| field.bytes(lanes)).sum()
    }
}

/// One role's part of kernels that passed [`check`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckedParty {
    role: Role,
    inputs: Vec<Slot>,
    outputs: Vec<Slot>,
    slots: u16,
    stages: Vec<CheckedKernel>,
}

impl CheckedParty {
    /// The role.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Where the caller puts the arguments.
    pub fn inputs(&self) -> &[Slot] {
        &self.inputs
    }

    /// Where the results are after the last kernel.
    pub fn outputs(&self) -> &[Slot] {
        &self.outputs
    }

    /// Words per lane that live between kernels.
    pub fn slots(&self) -> u16 {
        self.slots
    }

    /// The kernels, one more than there are rounds.
    pub fn stages(&self) -> &[CheckedKernel] {
        &self.stages
    }

    /// What was checked, to be mutated.
    #[cfg(test)]
    fn unchecked(&self) -> Party {
        Party {
            role: self.role,
            inputs: self.inputs.clone(),
            outputs: self.outputs.clone(),
            slots: self.slots,
            stages: self.stages.iter().map(|stage| stage.kernel.clone()).collect(),
        }
    }

    /// Rounds.
    pub fn rounds(&self) -> usize {
        self.stages.len() - 1
    }
}

/// Checks the kernels of all roles together, role i at index i.
pub fn check(parties: Vec<Party>, disclosure: Disclosure) -> Result<Vec<CheckedParty>, Refusal> {
    Checker::new(&parties, disclosure)?.run()?;
    Ok(parties.into_iter().map(seal).collect())
}

fn seal(party: Party) -> CheckedParty {
    let mut widths = Widths::default();
    let stages = party.stages.into_iter().map(|kernel| {
        let (mut receives, mut sends) = (Vec::new(), Vec::new());
        for instruction in &kernel.instructions {
            match *instruction {
                Instruction::Receive(field) => receives.push(field),
                Instruction::Send(field, _) | Instruction::Disclose(field, _) => sends.push(field),
                _ => {}
            }
        }
        receives.sort_by_key(|field| (field.from, field.order));
        receives.dedup();
        sends.sort_by_key(|field| (field.to, field.order));
        let bits = widths.follow(&kernel);
        CheckedKernel { kernel, receives, sends, bits }
    });
    CheckedParty {
        role: party.role,
        inputs: party.inputs,
        outputs: party.outputs,
        slots: party.slots,
        stages: stages.collect(),
    }
}

/// A set of draws, by index.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
struct Draws(Vec<u64>);

impl Draws {
    fn contains(&self, draw: usize) -> bool {
        self.0.get(draw / 64).is_some_and(|word| word >> (draw % 64) & 1 == 1)
    }

    fn insert(&mut self, draw: usize) {
        if self.0.len() <= draw / 64 {
            self.0.resize(draw / 64 + 1, 0);
        }
        self.0[draw / 64] |= 1 << (draw % 64);
    }

    fn extend(&mut self, other: &Draws) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        self.0.iter_mut().zip(&other.0).for_each(|(mine, theirs)| *mine |= theirs);
    }
}

/// What is known of a word.
#[derive(Clone, Default, Debug)]
struct Word {
    /// Every draw it may depend on.
    depends: Rc<Draws>,
    /// Draws in which it is bijective modulo 2^width, whatever the others are.
    bijective: Rc<Vec<(usize, u8)>>,
    /// Set for constants.
    constant: Option<u64>,
}

impl Word {
    /// Sum, difference or exclusive or.
    fn combined(a: &Word, b: &Word) -> Word {
        let free = |word: &Word, other: &Word| -> Vec<(usize, u8)> {
            word.bijective.iter().copied().filter(|&(draw, _)| !other.depends.contains(draw)).collect()
        };
        let bijective = [free(a, b), free(b, a)].concat();
        Word { bijective: Rc::new(bijective), ..Word::mixed(a, b) }
    }

    /// Any function of both.
    fn mixed(a: &Word, b: &Word) -> Word {
        let mut depends = (*a.depends).clone();
        depends.extend(&b.depends);
        Word { depends: Rc::new(depends), ..Word::default() }
    }

    /// The low `bits` bits.
    fn reduced(&self, bits: u8) -> Word {
        let bijective = self.bijective.iter().map(|&(draw, width)| (draw, width.min(bits))).collect();
        Word { depends: self.depends.clone(), bijective: Rc::new(bijective), constant: None }
    }
}

struct Message {
    field: Field,
    word: Word,
    disclosed: bool,
    received: bool,
    /// Stage and instruction, for a refusal.
    place: (usize, usize),
}

impl Message {
    fn new(field: Field, word: Word, place: (usize, usize)) -> Message {
        Message { field, word, disclosed: false, received: false, place }
    }

    fn refusal(&self, what: &str) -> Refusal {
        let (stage, instruction) = self.place;
        Refusal { role: self.field.from, stage, instruction, reason: format!("{} {what}", self.field) }
    }
}

struct Checker<'a> {
    parties: &'a [Party],
    disclosure: Disclosure,
    labels: HashMap<(Role, Role, u16, u8, u8), usize>,
    draws: Vec<Draw>,
    /// Per role, draws on which a message it received may depend.
    exposed: Vec<Draws>,
    /// Per role, what the slots hold.
    slots: Vec<Vec<Option<Word>>>,
    /// The frames in flight.
    flying: BTreeMap<(Role, Role, u16), Message>,
}

impl<'a> Checker<'a> {
    fn new(parties: &'a [Party], disclosure: Disclosure) -> Result<Checker<'a>, Refusal> {
        let mut slots = Vec::new();
        for (index, party) in parties.iter().enumerate() {
            let refuse = |reason: &str| Refusal { role: party.role, stage: 0, instruction: 0, reason: reason.into() };
            if usize::from(party.role.0) != index {
                return Err(refuse("the roles are not in order"));
            }
            if party.stages.is_empty() || party.stages.len() != parties[0].stages.len() {
                return Err(refuse("the roles do not have the same number of stages"));
            }
            let mut held: Vec<Option<Word>> = vec![None; usize::from(party.slots)];
            for input in &party.inputs {
                *held.get_mut(input.index()).ok_or_else(|| refuse("an input has no slot"))? = Some(Word::default());
            }
            slots.push(held);
        }
        let exposed = vec![Draws::default(); parties.len()];
        let (labels, draws, flying) = (HashMap::new(), Vec::new(), BTreeMap::new());
        Ok(Checker { parties, disclosure, labels, draws, exposed, slots, flying })
    }

    fn run(mut self) -> Result<(), Refusal> {
        let stages = self.parties.first().map_or(0, |party| party.stages.len());
        for stage in 0..stages {
            let mut sent = Vec::new();
            for party in self.parties {
                self.kernel(party, stage, &mut sent)?;
            }
            if let Some(lost) = self.flying.values().find(|message| !message.received) {
                return Err(lost.refusal("is sent and never received"));
            }
            self.admit(&sent)?;
            self.frames(&sent)?;
            self.flying = sent.into_iter().map(|m| ((m.field.from, m.field.to, m.field.order), m)).collect();
        }
        if let Some(message) = self.flying.values().next() {
            return Err(message.refusal("is sent after the last round"));
        }
        for party in self.parties {
            let slots = &self.slots[usize::from(party.role.0)];
            if party.outputs.iter().any(|slot| !matches!(slots.get(slot.index()), Some(Some(_)))) {
                let reason = "an output is never stored".to_string();
                return Err(Refusal { role: party.role, stage: party.stages.len() - 1, instruction: 0, reason });
            }
        }
        Ok(())
    }

    fn kernel(&mut self, party: &Party, stage: usize, sent: &mut Vec<Message>) -> Result<(), Refusal> {
        let mut registers: Vec<Option<Word>> = Vec::new();
        for (index, instruction) in party.stages[stage].instructions.iter().enumerate() {
            let place = (stage, index);
            let word = self.instruction(party, place, instruction, &registers, sent).map_err(|reason| Refusal {
                role: party.role,
                stage,
                instruction: index,
                reason,
            })?;
            registers.push(word);
        }
        Ok(())
    }

    fn instruction(
        &mut self,
        party: &Party,
        place: (usize, usize),
        instruction: &Instruction,
        registers: &[Option<Word>],
        sent: &mut Vec<Message>,
    ) -> Result<Option<Word>, String> {
        use Instruction as I;
        let read = |register: Register| match registers.get(register.index()) {
            Some(Some(word)) => Ok(word),
            _ => Err(format!("register {} is not defined", register.0)),
        };
        let mine = usize::from(party.role.0);
        Ok(Some(match *instruction {
            I::Load(slot) => match self.slots[mine].get(slot.index()) {
                Some(Some(word)) => word.clone(),
                _ => return Err(format!("slot {} is read and was never stored", slot.0)),
            },
            I::Constant(value) => Word { constant: Some(value), ..Word::default() },
            I::Add(a, b) | I::Sub(a, b) | I::Xor(a, b) => Word::combined(read(a)?, read(b)?),
            I::And(a, b) => {
                let (a, b) = (read(a)?, read(b)?);
                match (low_mask(a), low_mask(b)) {
                    (_, Some(bits)) => a.reduced(bits),
                    (Some(bits), _) => b.reduced(bits),
                    _ => Word::mixed(a, b),
                }
            }
            I::Mul(a, b) | I::Or(a, b) => Word::mixed(read(a)?, read(b)?),
            I::ShiftLeft(a, by) | I::ShiftRight(a, by) if by < 64 => Word::mixed(read(a)?, &Word::default()),
            I::ShiftLeft(_, by) | I::ShiftRight(_, by) => return Err(format!("a shift by {by} does not exist")),
            I::Draw(draw) => self.draw(party.role, draw)?,
            I::Receive(field) => self.receive(party.role, place.0, field)?,
            I::Store(slot, a) => {
                let word = read(a)?.clone();
                let held = self.slots[mine].get_mut(slot.index());
                *held.ok_or_else(|| format!("there is no slot {}", slot.0))? = Some(word);
                return Ok(None);
            }
            I::Send(field, a) => {
                self.may_send(party.role, place.0, field)?;
                sent.push(Message::new(field, read(a)?.clone(), place));
                return Ok(None);
            }
            I::Disclose(field, a) => {
                self.may_send(party.role, place.0, field)?;
                if self.disclosure != Disclosure::To(field.to) {
                    return Err(format!("{field} would show a value to a role that is not to learn it"));
                }
                let mut message = Message::new(field, read(a)?.clone(), place);
                message.disclosed = true;
                sent.push(message);
                return Ok(None);
            }
        }))
    }

    fn draw(&mut self, role: Role, draw: Draw) -> Result<Word, String> {
        let [low, high] = draw.pair.roles();
        if !draw.pair.holds(role) {
            return Err(format!("{draw} is not known to this role"));
        }
        if usize::from(high.0) >= self.parties.len() {
            return Err(format!("{draw} names a role that does not take part"));
        }
        if !(1..=64).contains(&draw.bits) || draw.operation >= Draw::OPERATIONS_MAX {
            return Err(format!("{draw} does not fit a label"));
        }
        let next = self.draws.len();
        let label = (low, high, draw.operation, draw.step, draw.name as u8);
        let index = *self.labels.entry(label).or_insert(next);
        if index == next {
            self.draws.push(draw);
        } else if self.draws[index] != draw {
            return Err(format!("{draw} has the label of another draw, of {} bits", self.draws[index].bits));
        }
        let mut depends = Draws::default();
        depends.insert(index);
        Ok(Word { depends: Rc::new(depends), bijective: Rc::new(vec![(index, draw.bits)]), constant: None })
    }

    fn receive(&mut self, role: Role, stage: usize, field: Field) -> Result<Word, String> {
        if field.to != role || usize::from(field.round) + 1 != stage {
            return Err(format!("{field} does not arrive here"));
        }
        match self.flying.get_mut(&(field.from, field.to, field.order)) {
            Some(message) if message.field == field => {
                message.received = true;
                Ok(message.word.reduced(field.bits))
            }
            _ => Err(format!("{field} was not sent")),
        }
    }

    fn may_send(&self, role: Role, stage: usize, field: Field) -> Result<(), String> {
        let known = usize::from(field.to.0) < self.parties.len() && field.to != role;
        if field.from != role || usize::from(field.round) != stage || !known {
            return Err(format!("{field} does not leave here"));
        }
        if !(1..=64).contains(&field.bits) {
            return Err(format!("{field} has an impossible width"));
        }
        Ok(())
    }

    /// Frames are complete: orders 0, 1, 2, … once each.
    fn frames(&self, sent: &[Message]) -> Result<(), Refusal> {
        let mut fields: Vec<&Message> = sent.iter().collect();
        fields.sort_by_key(|message| (message.field.from, message.field.to, message.field.order));
        let mut expected = 0;
        let mut frame = None;
        for message in fields {
            let this = Some((message.field.from, message.field.to));
            if frame != this {
                (frame, expected) = (this, 0);
            }
            if message.field.order != expected {
                return Err(message.refusal("leaves a gap in its frame or is sent twice"));
            }
            expected += 1;
        }
        Ok(())
    }

    /// Finds an order in which every message of the round hides behind a draw of its own.
    fn admit(&mut self, sent: &[Message]) -> Result<(), Refusal> {
        for receiver in self.parties.iter().map(|party| party.role) {
            let arriving = |message: &&Message| message.field.to == receiver;
            let mut exposed = self.exposed[usize::from(receiver.0)].clone();
            // What is disclosed is known from then on, with all that it depends on.
            sent.iter().filter(arriving).filter(|m| m.disclosed).for_each(|m| exposed.extend(&m.word.depends));
            let mut remaining: Vec<&Message> = sent.iter().filter(arriving).filter(|m| !m.disclosed).collect();
            // Taken off from the end: a message whose draw occurs in none of the others is the last of the order.
            while !remaining.is_empty() {
                let hidden = |index: &usize| {
                    remaining[*index].word.bijective.iter().any(|&(draw, width)| {
                        width >= remaining[*index].field.bits
                            && !self.draws[draw].pair.holds(receiver)
                            && !exposed.contains(draw)
                            && (0..remaining.len()).all(|i| i == *index || !remaining[i].word.depends.contains(draw))
                    })
                };
                match (0..remaining.len()).find(hidden) {
                    Some(index) => drop(remaining.swap_remove(index)),
                    None => return Err(remaining[0].refusal("is not hidden from its receiver by a draw of its own")),
                }
            }
            sent.iter().filter(arriving).for_each(|message| exposed.extend(&message.word.depends));
            self.exposed[usize::from(receiver.0)] = exposed;
        }
        Ok(())
    }
}

fn low_mask(word: &Word) -> Option<u8> {
    let mask = word.constant?;
    (mask & mask.wrapping_add(1) == 0 && mask != 0).then(|| mask.count_ones() as u8)
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
