//! Executes checked kernels over lanes, block by block.
//!
//! [`Prepared`] gives the registers of a kernel places that are reused when a value is dead and folds constants into
//! their users. A run then walks the steps for every block of [`LANES`] lanes, with the widest vectors; nothing is
//! allocated in between.

use super::lanes::{Binary, Block, LANES, binary, immediate};
use super::packing::{pack, unpack};
use super::slots::{Slots, Width, Words};
use super::widest::{Loop, widest};
use crate::backend::{DrawSource, Frames};
use crate::kernel::{CheckedKernel, Draw, Field, Instruction, Register, Slot};
use crate::protocol::Error;
use catalogs::protocol::Role;
use std::collections::{HashMap, HashSet};

#[derive(Clone, Copy, Debug)]
enum Step {
    Load {
        slot: Slot,
        to: usize,
    },
    /// What this kernel has stored itself.
    Reload {
        stored: usize,
        to: usize,
    },
    Constant {
        value: u64,
        to: usize,
    },
    Binary {
        operation: Binary,
        a: usize,
        b: usize,
        to: usize,
    },
    Immediate {
        operation: Binary,
        a: usize,
        value: u64,
        to: usize,
    },
    Draw {
        draw: Draw,
        to: usize,
    },
    Receive {
        field: usize,
        to: usize,
    },
    Store {
        stored: usize,
        a: usize,
    },
    Send {
        field: usize,
        a: usize,
    },
}

/// A slot that a kernel fills.
#[derive(Clone, Copy, Debug)]
struct Stored {
    slot: Slot,
    width: Width,
    /// Whether the kernel loads what was there before.
    read: bool,
}

/// A kernel with places for its registers.
#[derive(Clone, Debug)]
pub struct Prepared {
    steps: Vec<Step>,
    places: usize,
    slots: usize,
    stored: Vec<Stored>,
    receives: Vec<Field>,
    sends: Vec<Field>,
}

impl Prepared {
    /// Assigns places.
    pub fn new(kernel: &CheckedKernel) -> Prepared {
        Preparation::new(kernel).run(kernel)
    }

    /// Registers that are alive at once.
    pub fn places(&self) -> usize {
        self.places
    }

    /// Executes the kernel on all lanes of `slots`. Lane 0 takes the masks of lane `first_lane` of each stream.
    /// `received` holds the frames of the last round by sender; the frames by receiver are appended to those in `sent`.
    ///
    /// # Errors
    /// A frame whose size is not the kernel's, too few slots, or a generator at its end. `sent` and what the kernel stores
    /// are then meaningless.
    pub fn run(
        &self,
        first_lane: u64,
        slots: &mut Slots,
        received: &[impl AsRef<[u8]>],
        sent: &mut Frames,
        draws: &dyn DrawSource,
    ) -> Result<(), Error> {
        let lanes = slots.lanes();
        let found = slots.count();
        if found < self.slots {
            return Err(Error::Size { what: "the state", found, expected: self.slots, unit: "slots" });
        }
        let received: Vec<&[u8]> = received.iter().map(AsRef::as_ref).collect();
        let (arrivals, arriving) = offsets(&self.receives, |field| field.from, lanes);
        for from in 0..received.len().max(arriving.len()) {
            let found = received.get(from).map_or(0, |frame| frame.len());
            let expected = arriving.get(from).copied().unwrap_or(0);
            if found != expected {
                return Err(Error::Size { what: "a received frame", found, expected, unit: "bytes" });
            }
        }
        let (mut departures, departing) = offsets(&self.sends, |field| field.to, lanes);
        sent.resize_with(departing.len().max(sent.len()), Vec::new);
        for (start, field) in departures.iter_mut().zip(&self.sends) {
            *start += sent[usize::from(field.to.0)].len();
        }
        for (frame, length) in sent.iter_mut().zip(departing) {
            frame.resize(frame.len() + length, 0);
        }
        let rooms = self.stored.iter().map(|&Stored { slot, width, read }| slots.room(slot, width, read)).collect();
        let read = &*slots;
        let run = Run {
            kernel: self,
            first_lane,
            slots: read,
            rooms,
            received: &received,
            sent,
            draws,
            arrivals,
            departures,
        };
        let rooms = widest(run)?;
        self.stored.iter().zip(rooms).for_each(|(stored, words)| slots.replace(stored.slot, words));
        Ok(())
    }
}

/// Where each field starts in its frame, and how long the frames are, by the role at the other end.
fn offsets(fields: &[Field], end: impl Fn(&Field) -> Role, lanes: usize) -> (Vec<usize>, Vec<usize>) {
    let mut lengths = Vec::new();
    let mut starts = Vec::with_capacity(fields.len());
    for field in fields {
        let role = usize::from(end(field).0);
        if lengths.len() <= role {
            lengths.resize(role + 1, 0);
        }
        starts.push(lengths[role]);
        lengths[role] += field.bytes(lanes);
    }
    (starts, lengths)
}

struct Run<'a> {
    kernel: &'a Prepared,
    first_lane: u64,
    slots: &'a Slots,
    rooms: Vec<Words>,
    received: &'a [&'a [u8]],
    sent: &'a mut Frames,
    draws: &'a dyn DrawSource,
    arrivals: Vec<usize>,
    departures: Vec<usize>,
}

impl Loop for Run<'_> {
    type Output = Result<Vec<Words>, Error>;

    #[inline(always)]
    fn run(mut self) -> Result<Vec<Words>, Error> {
        let mut registers: Vec<Box<Block>> = (0..self.kernel.places).map(|_| Box::new([0; LANES])).collect();
        // Steps write here and swap it with their goal, so that reading and writing never overlap.
        let mut fresh: Box<Block> = Box::new([0; LANES]);
        let lanes = self.slots.lanes();
        for start in (0..lanes).step_by(LANES) {
            let count = LANES.min(lanes - start);
            for step in &self.kernel.steps {
                self.step(step, start, count, &mut registers, &mut fresh)?;
            }
        }
        Ok(self.rooms)
    }
}

impl Run<'_> {
    #[inline(always)]
    fn step(
        &mut self,
        step: &Step,
        start: usize,
        count: usize,
        registers: &mut [Box<Block>],
        fresh: &mut Box<Block>,
    ) -> Result<(), Error> {
        let goal = match *step {
            Step::Binary { operation, a, b, to } => {
                binary(operation, fresh, &registers[a], &registers[b]);
                to
            }
            Step::Immediate { operation, a, value, to } => {
                immediate(operation, fresh, &registers[a], value);
                to
            }
            Step::Load { slot, to } => {
                self.slots.words(slot).read(start, &mut fresh[..count]);
                to
            }
            Step::Reload { stored, to } => {
                self.rooms[stored].read(start, &mut fresh[..count]);
                to
            }
            Step::Constant { value, to } => {
                fresh.fill(value);
                to
            }
            Step::Draw { ref draw, to } => {
                self.draws.fill(draw, self.first_lane + start as u64, &mut fresh[..count])?;
                to
            }
            Step::Receive { field, to } => {
                let Field { from, bits, .. } = self.kernel.receives[field];
                let frame = &self.received[usize::from(from.0)];
                let bytes = part(self.arrivals[field], bits, start, count);
                unpack(&frame[bytes], bits, &mut fresh[..count]);
                to
            }
            Step::Store { stored, a } => {
                self.rooms[stored].write(start, &registers[a][..count]);
                return Ok(());
            }
            Step::Send { field, a } => {
                let Field { to, bits, .. } = self.kernel.sends[field];
                let bytes = part(self.departures[field], bits, start, count);
                pack(&registers[a][..count], bits, &mut self.sent[usize::from(to.0)][bytes]);
                return Ok(());
            }
        };
        std::mem::swap(&mut registers[goal], fresh);
        Ok(())
    }
}

/// The bytes of `count` lanes from `start`, a multiple of eight, of the field that begins at `offset`.
fn part(offset: usize, bits: u8, start: usize, count: usize) -> std::ops::Range<usize> {
    let begin = offset + start / 8 * usize::from(bits);
    begin..begin + (count * usize::from(bits)).div_ceil(8)
}

/// The slots that a kernel fills, each once, in words that hold everything that it stores there.
fn stores(kernel: &CheckedKernel) -> Vec<Stored> {
    let mut stores: Vec<Stored> = Vec::new();
    let mut loaded = HashSet::new();
    for (instruction, &bits) in kernel.instructions().iter().zip(kernel.bits()) {
        match *instruction {
            Instruction::Load(slot) => _ = loaded.insert(slot),
            Instruction::Store(slot, _) => {
                let width = Width::of(bits);
                match stores.iter_mut().find(|stored| stored.slot == slot) {
                    Some(stored) => stored.width = stored.width.max(width),
                    None => stores.push(Stored { slot, width, read: false }),
                }
            }
            _ => {}
        }
    }
    stores.iter_mut().for_each(|stored| stored.read = loaded.contains(&stored.slot));
    stores
}

#[derive(Clone, Copy)]
enum Known {
    Nothing,
    Constant(u64),
    Place(usize),
}

struct Preparation {
    known: Vec<Known>,
    last_use: Vec<usize>,
    free: Vec<usize>,
    steps: Vec<Step>,
    places: usize,
    stored: Vec<Stored>,
    /// By slot, its place in `stored` once the kernel has stored into it.
    filled: HashMap<Slot, usize>,
}

impl Preparation {
    fn new(kernel: &CheckedKernel) -> Preparation {
        let mut last_use = vec![0; kernel.instructions().len()];
        for (index, instruction) in kernel.instructions().iter().enumerate() {
            instruction.operands().for_each(|register| last_use[register.index()] = index);
        }
        let known = vec![Known::Nothing; last_use.len()];
        let (free, steps) = (Vec::new(), Vec::new());
        Preparation { known, last_use, free, steps, places: 0, stored: stores(kernel), filled: HashMap::new() }
    }

    fn run(mut self, kernel: &CheckedKernel) -> Prepared {
        let find = |fields: &[Field]| -> HashMap<Field, usize> {
            fields.iter().enumerate().map(|(index, &field)| (field, index)).collect()
        };
        let (receives, sends) = (find(kernel.receives()), find(kernel.sends()));
        let mut slots = 0;
        for (index, instruction) in kernel.instructions().iter().enumerate() {
            if let Instruction::Load(slot) | Instruction::Store(slot, _) = instruction {
                slots = slots.max(slot.index() + 1);
            }
            self.instruction(index, instruction, &receives, &sends);
            for register in instruction.operands() {
                if let Known::Place(place) = self.known[register.index()]
                    && self.last_use[register.index()] == index
                {
                    self.known[register.index()] = Known::Nothing;
                    self.free.push(place);
                }
            }
            // A value that nobody reads frees its place at once.
            if let Known::Place(place) = self.known[index]
                && self.last_use[index] == 0
            {
                self.free.push(place);
            }
        }
        Prepared {
            steps: self.steps,
            places: self.places,
            slots,
            stored: self.stored,
            receives: kernel.receives().to_vec(),
            sends: kernel.sends().to_vec(),
        }
    }

    fn place(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.places += 1;
            self.places - 1
        })
    }

    fn define(&mut self, index: usize) -> usize {
        let place = self.place();
        self.known[index] = Known::Place(place);
        place
    }

    /// The place of a register that has to be in one.
    fn read(&mut self, register: Register) -> usize {
        match self.known[register.index()] {
            Known::Place(place) => place,
            Known::Constant(value) => {
                let to = self.define(register.index());
                self.steps.push(Step::Constant { value, to });
                to
            }
            Known::Nothing => unreachable!("a checked kernel reads only registers that it has defined"),
        }
    }

    fn constant(&self, register: Register) -> Option<u64> {
        match self.known[register.index()] {
            Known::Constant(value) => Some(value),
            _ => None,
        }
    }

    fn binary(&mut self, index: usize, operation: Binary, a: Register, b: Register) {
        let reversed = if operation == Binary::Sub { Binary::From } else { operation };
        let step = match (self.constant(a), self.constant(b)) {
            (_, Some(value)) => {
                let a = self.read(a);
                Step::Immediate { operation, a, value, to: self.define(index) }
            }
            (Some(value), None) => {
                let a = self.read(b);
                Step::Immediate { operation: reversed, a, value, to: self.define(index) }
            }
            _ => {
                let (a, b) = (self.read(a), self.read(b));
                Step::Binary { operation, a, b, to: self.define(index) }
            }
        };
        self.steps.push(step);
    }

    fn shift(&mut self, index: usize, operation: Binary, a: Register, by: u8) {
        let a = self.read(a);
        let to = self.define(index);
        self.steps.push(Step::Immediate { operation, a, value: u64::from(by), to });
    }

    fn instruction(
        &mut self,
        index: usize,
        instruction: &Instruction,
        receives: &HashMap<Field, usize>,
        sends: &HashMap<Field, usize>,
    ) {
        use Instruction as I;
        match *instruction {
            I::Load(slot) => {
                let to = self.define(index);
                self.steps.push(match self.filled.get(&slot) {
                    Some(&stored) => Step::Reload { stored, to },
                    None => Step::Load { slot, to },
                });
            }
            I::Constant(value) => self.known[index] = Known::Constant(value),
            I::Add(a, b) => self.binary(index, Binary::Add, a, b),
            I::Sub(a, b) => self.binary(index, Binary::Sub, a, b),
            I::Mul(a, b) => self.binary(index, Binary::Mul, a, b),
            I::And(a, b) => self.binary(index, Binary::And, a, b),
            I::Or(a, b) => self.binary(index, Binary::Or, a, b),
            I::Xor(a, b) => self.binary(index, Binary::Xor, a, b),
            I::ShiftLeft(a, by) => self.shift(index, Binary::ShiftLeft, a, by),
            I::ShiftRight(a, by) => self.shift(index, Binary::ShiftRight, a, by),
            I::Draw(draw) => {
                let to = self.define(index);
                self.steps.push(Step::Draw { draw, to });
            }
            I::Receive(field) => {
                let to = self.define(index);
                self.steps.push(Step::Receive { field: receives[&field], to });
            }
            I::Store(slot, a) => {
                let a = self.read(a);
                let stored = self.stored.iter().position(|stored| stored.slot == slot);
                let stored = stored.expect("the kernel's stores were listed");
                self.filled.insert(slot, stored);
                self.steps.push(Step::Store { stored, a });
            }
            I::Send(field, a) | I::Disclose(field, a) => {
                let a = self.read(a);
                self.steps.push(Step::Send { field: sends[&field], a });
            }
        }
    }
}
