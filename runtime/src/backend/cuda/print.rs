//! Prints a checked kernel as fused CUDA kernels: receives, masks, arithmetic, stores and sends in one launch, or in a
//! few where it is too large for a block ([`super::parts`]).
//!
//! A block serves a tile of consecutive lanes, a thread a lane, in three phases. First the threads compute every
//! ChaCha12 block that the tile's masks need, each once, into shared memory. Then each thread runs the straight-line
//! code of its lane. What it sends goes to shared memory, from where the last phase packs whole words of all fields, a
//! word a thread: a tile is a multiple of 64 lanes, so that it starts and ends at words of every field, whatever its
//! width. A launch serves lanes `begin..lanes`; slots hold all lanes, frames and what is kept between parts those of
//! the launch.
//!
//! The text has the structure of a kernel only. Its constants, coefficients of entries among them, are an argument;
//! parts that differ in nothing else are one. CPU twin: `backend::cpu::Prepared`.

use super::parts::{Line, Uses, cut};
use crate::kernel::{CheckedKernel, Draw, Field, Instruction, Pair, Register, Slot};
use crate::random::{self, Label, Roles};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Bytes from one block of masks in shared memory to the next: `BLOCK_WORDS` of the text.
const BLOCK_BYTES: usize = 4 * 17;
/// Lanes of a group: a field of any width has whole words for them.
pub const GROUP: u64 = 64;
/// Lanes of a tile, which are the threads of a block.
pub const TILE: usize = 128;
/// Shared memory of a block that every device has.
pub const SHARED_BYTES: usize = 48 << 10;
/// Slots whose places are an argument of a launch: 4096 bytes of arguments are always served.
const SLOTS_MAX: usize = 448;
/// Values that a thread holds beside addresses and what it fetches ahead.
const LIVE_MAX: usize = 72;
/// Lines of a part: NVIDIA's assembler takes seconds for it.
const LINES_MAX: usize = 4096;

/// A kernel as text, and what its launches need.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Printed {
    /// One launch after the other.
    pub parts: Vec<Part>,
    /// Words of a lane that are kept from one to the next.
    pub kept: usize,
    /// Received fields, by sender and order.
    pub receives: Vec<Field>,
    /// Sent fields, by receiver and order.
    pub sends: Vec<Field>,
    /// Whose streams are drawn from, in the order of the keys.
    pub pairs: Vec<Pair>,
}

/// What one launch computes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// Its name, from the digest of the text.
    pub name: String,
    /// The text, without prelude.
    pub text: String,
    /// Constants, in the order in which the text numbers them.
    pub constants: Vec<u64>,
    /// Slots that are read.
    pub loads: Vec<Slot>,
    /// Slots that are written.
    pub stores: Vec<Slot>,
}

/// Prints a kernel whose blocks use at most `shared_bytes` of shared memory, where single instructions do.
///
/// # Errors
/// A draw that no label holds.
pub fn print(kernel: &CheckedKernel, shared_bytes: usize) -> Result<Printed, random::Error> {
    let shared_bytes = shared_bytes.min(SHARED_BYTES);
    let limits = Uses { shared_bytes, slots: SLOTS_MAX, live: LIVE_MAX, lines: LINES_MAX };
    let parts = cut(kernel.instructions(), &limits, |instruction| match instruction {
        Instruction::Draw(draw) => BLOCK_BYTES * blocks(draw),
        Instruction::Send(..) | Instruction::Disclose(..) => 8 * (TILE + 1),
        _ => 0,
    });
    let draw =
        |instruction: &Instruction| if let Instruction::Draw(draw) = instruction { Some(draw.pair) } else { None };
    let mut pairs: Vec<Pair> = kernel.instructions().iter().filter_map(draw).collect();
    pairs.sort();
    pairs.dedup();
    let printed = parts.parts.iter().map(|lines| Printer::new(kernel, lines, &pairs).run(lines, &parts.kept));
    Ok(Printed {
        parts: printed.collect::<Result<_, _>>()?,
        kept: parts.kept.len(),
        receives: kernel.receives().to_vec(),
        sends: kernel.sends().to_vec(),
        pairs,
    })
}

/// Words before each field, for one group of lanes, and of all fields.
pub fn starts(fields: &[Field]) -> (Vec<u64>, u64) {
    let mut total = 0;
    let starts = fields.iter().map(|field| {
        total += u64::from(field.bits);
        total - u64::from(field.bits)
    });
    (starts.collect(), total)
}

/// Bytes of the word that holds a lane of a draw.
fn word_bytes(draw: &Draw) -> usize {
    usize::from(draw.bits.div_ceil(8)).next_power_of_two()
}

/// Blocks of a draw for a tile.
fn blocks(draw: &Draw) -> usize {
    TILE * word_bytes(draw) / 64
}

/// The last word of the draw's nonce: all of its label but node and tile.
fn nonce_end(draw: &Draw) -> Result<u32, random::Error> {
    let roles = Roles::new(draw.pair.number())?;
    let number = random::Draw::new(draw.number())?;
    let nonce = Label { node: 0, tile: 0, roles, step: draw.step, draw: number, bits: draw.bits }.encode()?;
    Ok(u32::from_le_bytes([nonce[8], nonce[9], nonce[10], nonce[11]]))
}

/// Adds what is not there yet.
fn add<T: PartialEq>(all: &mut Vec<T>, one: T) {
    if !all.contains(&one) {
        all.push(one);
    }
}

/// Where a value is that is there.
fn place<T: PartialEq>(all: &[T], one: &T) -> usize {
    all.iter().position(|other| other == one).unwrap_or_default()
}

struct Printer<'a> {
    pairs: &'a [Pair],
    receives: &'a [Field],
    /// Of the whole kernel, and where they start.
    all_sends: &'a [Field],
    sends: Vec<Field>,
    draws: Vec<Draw>,
    constants: Vec<u64>,
    loads: Vec<Slot>,
    stores: Vec<Slot>,
    body: String,
}

impl<'a> Printer<'a> {
    fn new(kernel: &'a CheckedKernel, lines: &[Line], pairs: &'a [Pair]) -> Printer<'a> {
        let (mut draws, mut sends) = (Vec::new(), Vec::new());
        let (mut loads, mut stores) = (Vec::new(), Vec::new());
        for line in lines {
            let Line::Own(_, instruction) = line else { continue };
            match *instruction {
                Instruction::Draw(draw) => add(&mut draws, draw),
                Instruction::Load(slot) => add(&mut loads, slot),
                Instruction::Store(slot, _) => add(&mut stores, slot),
                Instruction::Send(field, _) | Instruction::Disclose(field, _) => add(&mut sends, field),
                _ => {}
            }
        }
        let (receives, all_sends, constants, body) = (kernel.receives(), kernel.sends(), Vec::new(), String::new());
        Printer { pairs, receives, all_sends, sends, draws, constants, loads, stores, body }
    }

    fn run(mut self, lines: &[Line], kept: &BTreeMap<Register, usize>) -> Result<Part, random::Error> {
        for line in lines {
            match *line {
                Line::Own(register, instruction) => {
                    self.instruction(register, &instruction);
                    if let Some(place) = kept.get(&register) {
                        let _ = writeln!(self.body, "            {} = r{};", in_memory(*place), register.0);
                    }
                }
                Line::Bring(register) => {
                    self.define(register, in_memory(kept.get(&register).copied().unwrap_or_default()))
                }
            }
        }
        let text = self.whole()?;
        let digest = blake3::hash(text.as_bytes()).to_hex();
        let name = format!("stage_{}", &digest[..24]);
        let Printer { constants, loads, stores, .. } = self;
        Ok(Part { text: text.replace("NAME", &name), name, constants, loads, stores })
    }
}

/// A word between parts.
fn in_memory(place: usize) -> String {
    format!("kept[{} * groups + lane - begin]", place as u64 * GROUP)
}

impl Printer<'_> {
    fn define(&mut self, register: Register, value: impl std::fmt::Display) {
        let _ = writeln!(self.body, "            const u64 r{} = {value};", register.0);
    }

    fn binary(&mut self, register: Register, a: Register, operator: &str, b: Register) {
        self.define(register, format_args!("r{} {operator} r{}", a.0, b.0));
    }

    fn instruction(&mut self, register: Register, instruction: &Instruction) {
        use Instruction as I;
        match *instruction {
            I::Load(slot) => {
                let place = place(&self.loads, &slot);
                self.define(register, format_args!("__ldg((const u64 *)slots.at[{place}] + lane)"));
            }
            I::Constant(value) => {
                self.define(register, format_args!("constants[{}]", self.constants.len()));
                self.constants.push(value);
            }
            I::Add(a, b) => self.binary(register, a, "+", b),
            I::Sub(a, b) => self.binary(register, a, "-", b),
            I::Mul(a, b) => self.binary(register, a, "*", b),
            I::And(a, b) => self.binary(register, a, "&", b),
            I::Or(a, b) => self.binary(register, a, "|", b),
            I::Xor(a, b) => self.binary(register, a, "^", b),
            I::ShiftLeft(a, by) => self.define(register, format_args!("r{} << {by}", a.0)),
            I::ShiftRight(a, by) => self.define(register, format_args!("r{} >> {by}", a.0)),
            I::Draw(draw) => {
                let (word, mask) = (word_bytes(&draw), u64::MAX >> (64 - u32::from(draw.bits)));
                let block: usize = self.draws[..place(&self.draws, &draw)].iter().map(blocks).sum();
                self.define(register, format_args!("drawn<{word}>(masks, {block}, threadIdx.x) & {mask:#x}ull"));
            }
            I::Receive(field) => {
                let (start, bits) = (starts(self.receives).0[place(self.receives, &field)], field.bits);
                self.define(register, format_args!("unpacked<{bits}>(received + {start} * groups, lane - begin)"));
            }
            I::Store(slot, a) => {
                let place = self.loads.len() + place(&self.stores, &slot);
                let _ = writeln!(self.body, "            ((u64 *)slots.at[{place}])[lane] = r{};", a.0);
            }
            I::Send(field, a) | I::Disclose(field, a) => {
                let place = place(&self.sends, &field) * (TILE + 1);
                let _ = writeln!(self.body, "            leaving[{place} + threadIdx.x] = r{};", a.0);
            }
        }
    }

    /// The draws as the text's table, and their blocks of a tile.
    fn draw_rows(&self) -> Result<(String, usize), random::Error> {
        let (mut rows, mut end) = (String::new(), 0);
        for draw in &self.draws {
            end += blocks(draw);
            let (key, label) = (place(self.pairs, &draw.pair), nonce_end(draw)?);
            let _ = write!(rows, "{{{end}, {key}, {label:#x}u, {}}}, ", word_bytes(draw));
        }
        Ok((rows, end))
    }

    /// The fields as the text's table, and their words of a tile.
    fn sent_rows(&self) -> (String, usize) {
        let (mut rows, mut end, starts) = (String::new(), 0, starts(self.all_sends).0);
        for field in &self.sends {
            end += TILE / 64 * usize::from(field.bits);
            let _ = write!(rows, "{{{end}, {}, {}}}, ", field.bits, starts[place(self.all_sends, field)]);
        }
        (rows, end)
    }

    fn whole(&self) -> Result<String, random::Error> {
        let (mut text, slots, fields) = (String::new(), self.loads.len() + self.stores.len(), self.sends.len());
        let ((draws, blocks), (sent, words)) = (self.draw_rows()?, self.sent_rows());
        if blocks > 0 {
            let _ = writeln!(text, "static __device__ const Draw draws_NAME[] = {{{draws}}};");
        }
        if fields > 0 {
            let _ = writeln!(text, "static __device__ const Sent sent_NAME[] = {{{sent}}};");
        }
        let _ = writeln!(
            text,
            "extern \"C\" __global__ void __launch_bounds__({TILE}) NAME(const __grid_constant__ Slots<{}> slots, \
             const u64 *__restrict__ constants, const u64 *__restrict__ received, u64 *__restrict__ sent, \
             u64 *__restrict__ kept, u64 begin, u64 lanes, const __grid_constant__ Streams streams) {{\n    \
             const u64 first = (u64)blockIdx.x * {TILE}, groups = (lanes - begin + {GROUP} - 1) / {GROUP};",
            slots.max(1)
        );
        if blocks > 0 {
            let words = BLOCK_BYTES / 4 * blocks;
            let _ = writeln!(
                text,
                "    __shared__ u32 masks[{words}];\n    EACH_THREAD {{ draw_tile(masks, draws_NAME, {blocks}, \
                 begin + first, streams); }}\n    __syncthreads();",
            );
        }
        if fields > 0 {
            let _ = writeln!(text, "    __shared__ u64 leaving[{}];", fields * (TILE + 1));
        }
        let body = &self.body;
        let _ = writeln!(
            text,
            "    EACH_THREAD {{\n        const u64 lane = begin + first + threadIdx.x;\n        \
             if (lane < lanes) {{\n{body}        }}"
        );
        if fields > 0 {
            // Lanes beyond the last leave zeros in the last byte of a field.
            let zero = |place: usize| format!(" leaving[{} + threadIdx.x] = 0;", place * (TILE + 1));
            let zeros: String = (0..fields).map(zero).collect();
            let _ = writeln!(
                text,
                "        else {{{zeros} }}\n    }}\n    __syncthreads();\n    \
                 EACH_THREAD {{ pack_tile<{TILE}>(leaving, sent_NAME, {words}, sent, first, groups); }}"
            );
        } else {
            let _ = writeln!(text, "    }}");
        }
        text.push_str("}\n");
        Ok(text)
    }
}
