//! Prints a checked kernel as one fused CUDA kernel: receives, masks, arithmetic, stores and sends in one launch.
//!
//! A block serves a tile of consecutive lanes, a thread a lane, in three phases. First the threads compute every
//! ChaCha12 block that the tile's masks need, each once, into shared memory. Then each thread runs the straight-line
//! code of its lane. What it sends goes to shared memory, from where the last phase packs whole words of all fields, a
//! word a thread: a tile is a multiple of 64 lanes, so that it starts and ends at words of every field, whatever its
//! width. A launch serves lanes `begin..lanes`; slots hold all lanes, frames those of the launch.
//!
//! The text has the structure of a kernel only. Its constants, coefficients of entries among them, are an argument;
//! kernels that differ in nothing else are one. CPU twin: `backend::cpu::Prepared`.

use crate::kernel::{CheckedKernel, Draw, Field, Instruction, Pair, Register, Slot};
use crate::random::{self, Label, Roles};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Bytes from one block of masks in shared memory to the next: `BLOCK_WORDS` of the text.
const BLOCK_BYTES: usize = 4 * 17;
/// Lanes of a group: a field of any width has whole words for them.
pub const GROUP: u64 = 64;
/// Shared memory of a block that every device has.
pub const SHARED_BYTES: usize = 48 << 10;
/// Slots whose places are an argument of a launch: 4096 bytes of arguments are always served.
const SLOTS_DIRECT_MAX: usize = 448;
/// Lanes of a tile, the first that leaves room for all masks and fields.
const TILES: [usize; 2] = [128, 64];

/// A kernel as text, and what a launch of it needs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Printed {
    /// Its name, from the digest of the text.
    pub name: String,
    /// The text, without prelude.
    pub text: String,
    /// Lanes of a block.
    pub tile: u32,
    /// Constants, in the order in which the text numbers them.
    pub constants: Vec<u64>,
    /// Slots that are read.
    pub loads: Vec<Slot>,
    /// Slots that are written.
    pub stores: Vec<Slot>,
    /// Received fields, by sender and order.
    pub receives: Vec<Field>,
    /// Sent fields, by receiver and order.
    pub sends: Vec<Field>,
    /// Whose streams are drawn from, in the order of the keys.
    pub pairs: Vec<Pair>,
    /// The draws.
    pub draws: Vec<Draw>,
    /// Whether what is sent is added to words that have to be zero.
    pub needs_zeros: bool,
    /// Whether the places of slots are an argument themselves, and not in a table.
    pub direct: bool,
}

/// Prints a kernel whose blocks use at most `shared_bytes` of shared memory.
///
/// # Errors
/// A draw that no label holds.
pub fn print(kernel: &CheckedKernel, shared_bytes: usize) -> Result<Printed, random::Error> {
    Printer::new(kernel, shared_bytes.min(SHARED_BYTES)).run(kernel)
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

/// The last word of the draw's nonce: all of its label but node and tile.
fn nonce_end(draw: &Draw) -> Result<u32, random::Error> {
    let roles = Roles::new(draw.pair.number())?;
    let number = random::Draw::new(draw.number())?;
    let nonce = Label { node: 0, tile: 0, roles, step: draw.step, draw: number, bits: draw.bits }.encode()?;
    Ok(u32::from_le_bytes([nonce[8], nonce[9], nonce[10], nonce[11]]))
}

struct Printer {
    tile: usize,
    receives: Vec<Field>,
    sends: Vec<Field>,
    draws: Vec<Draw>,
    /// Per draw, its first block in shared memory, if it has room there.
    blocks: Vec<Option<usize>>,
    blocks_in_all: usize,
    /// Per sent field, its place in shared memory, if it has one.
    places: Vec<Option<usize>>,
    pairs: Vec<Pair>,
    constants: Vec<u64>,
    loads: Vec<Slot>,
    stores: Vec<Slot>,
    /// What a slot holds once it is stored to.
    stored: BTreeMap<Slot, Register>,
    body: String,
}

impl Printer {
    fn new(kernel: &CheckedKernel, shared_bytes: usize) -> Printer {
        let mut draws: Vec<Draw> = Vec::new();
        let (mut loads, mut stores) = (Vec::new(), Vec::new());
        for instruction in kernel.instructions() {
            match *instruction {
                Instruction::Draw(draw) if !draws.contains(&draw) => draws.push(draw),
                Instruction::Load(slot) if !loads.contains(&slot) => loads.push(slot),
                Instruction::Store(slot, _) if !stores.contains(&slot) => stores.push(slot),
                _ => {}
            }
        }
        let sends = kernel.sends().to_vec();
        let blocks_of = |tile: usize, draw: &Draw| tile * word_bytes(draw) / 64;
        let needed = |tile: usize| {
            let blocks = draws.iter().map(|draw| blocks_of(tile, draw)).sum::<usize>();
            BLOCK_BYTES * blocks + 8 * (tile + 1) * sends.len()
        };
        let tile = TILES.into_iter().find(|&tile| needed(tile) <= shared_bytes).unwrap_or(TILES[TILES.len() - 1]);
        let (mut left, mut blocks_in_all) = (shared_bytes, 0);
        let mut room = |bytes: usize| {
            let fits = bytes <= left;
            left -= if fits { bytes } else { 0 };
            fits
        };
        let mut blocks = Vec::with_capacity(draws.len());
        for draw in &draws {
            let needed = blocks_of(tile, draw);
            blocks.push(room(BLOCK_BYTES * needed).then_some(blocks_in_all));
            blocks_in_all += if blocks.last() == Some(&None) { 0 } else { needed };
        }
        let mut used = 0..;
        let places = sends.iter().map(|_| if room(8 * (tile + 1)) { used.next() } else { None }).collect();
        let mut pairs: Vec<_> = draws.iter().map(|draw| draw.pair).collect();
        pairs.sort();
        pairs.dedup();
        Printer {
            tile,
            receives: kernel.receives().to_vec(),
            sends,
            draws,
            blocks,
            blocks_in_all,
            places,
            pairs,
            constants: Vec::new(),
            loads,
            stores,
            stored: BTreeMap::new(),
            body: String::new(),
        }
    }

    fn run(mut self, kernel: &CheckedKernel) -> Result<Printed, random::Error> {
        for (index, instruction) in kernel.instructions().iter().enumerate() {
            self.instruction(index, instruction)?;
        }
        let text = self.whole()?;
        let digest = blake3::hash(text.as_bytes()).to_hex();
        let name = format!("stage_{}", &digest[..24]);
        Ok(Printed {
            text: text.replace("NAME", &name),
            name,
            tile: self.tile as u32,
            needs_zeros: self.places.contains(&None),
            direct: self.direct(),
            constants: self.constants,
            loads: self.loads,
            stores: self.stores,
            receives: self.receives,
            sends: self.sends,
            pairs: self.pairs,
            draws: self.draws,
        })
    }
}

impl Printer {
    fn direct(&self) -> bool {
        self.loads.len() + self.stores.len() <= SLOTS_DIRECT_MAX
    }

    fn define(&mut self, index: usize, value: impl std::fmt::Display) {
        let _ = writeln!(self.body, "            const u64 r{index} = {value};");
    }

    fn binary(&mut self, index: usize, a: Register, operator: &str, b: Register) {
        self.define(index, format_args!("r{} {operator} r{}", a.0, b.0));
    }

    fn instruction(&mut self, index: usize, instruction: &Instruction) -> Result<(), random::Error> {
        use Instruction as I;
        match *instruction {
            I::Load(slot) => match self.stored.get(&slot).copied() {
                Some(register) => self.define(index, format_args!("r{}", register.0)),
                None => {
                    let place = self.loads.iter().position(|&other| other == slot).unwrap_or_default();
                    self.define(index, format_args!("__ldg((const u64 *)slots.at[{place}] + lane)"));
                }
            },
            I::Constant(value) => {
                self.define(index, format_args!("constants[{}]", self.constants.len()));
                self.constants.push(value);
            }
            I::Add(a, b) => self.binary(index, a, "+", b),
            I::Sub(a, b) => self.binary(index, a, "-", b),
            I::Mul(a, b) => self.binary(index, a, "*", b),
            I::And(a, b) => self.binary(index, a, "&", b),
            I::Or(a, b) => self.binary(index, a, "|", b),
            I::Xor(a, b) => self.binary(index, a, "^", b),
            I::ShiftLeft(a, by) => self.define(index, format_args!("r{} << {by}", a.0)),
            I::ShiftRight(a, by) => self.define(index, format_args!("r{} >> {by}", a.0)),
            I::Draw(draw) => self.draw(index, &draw)?,
            I::Receive(field) => {
                let place = self.receives.iter().position(|&other| other == field).unwrap_or_default();
                let start = starts(&self.receives).0[place];
                self.define(index, format_args!("unpacked<{}>(received + {start} * groups, lane - begin)", field.bits));
            }
            I::Store(slot, a) => {
                self.stored.insert(slot, a);
                let place = self.loads.len() + self.stores.iter().position(|&other| other == slot).unwrap_or_default();
                let _ = writeln!(self.body, "            ((u64 *)slots.at[{place}])[lane] = r{};", a.0);
            }
            I::Send(field, a) | I::Disclose(field, a) => self.send(field, a),
        }
        Ok(())
    }

    fn draw(&mut self, index: usize, draw: &Draw) -> Result<(), random::Error> {
        let place = self.draws.iter().position(|other| other == draw).unwrap_or_default();
        let (word, mask) = (word_bytes(draw), u64::MAX >> (64 - u32::from(draw.bits)));
        match self.blocks[place] {
            Some(block) => {
                self.define(index, format_args!("drawn<{word}>(masks, {block}, threadIdx.x) & {mask:#x}ull"));
            }
            None => {
                let (key, end) = (self.key(draw), nonce_end(draw)?);
                let value = format!("drawn_alone<{word}>(streams, {key}, {end:#x}u, lane) & {mask:#x}ull");
                self.define(index, value);
            }
        }
        Ok(())
    }

    fn key(&self, draw: &Draw) -> usize {
        self.pairs.iter().position(|&pair| pair == draw.pair).unwrap_or_default()
    }

    fn send(&mut self, field: Field, a: Register) {
        let index = self.sends.iter().position(|&other| other == field).unwrap_or_default();
        let _ = match self.places[index] {
            Some(place) => {
                writeln!(self.body, "            leaving[{} + threadIdx.x] = r{};", place * (self.tile + 1), a.0)
            }
            None => {
                let start = starts(&self.sends).0[index];
                let bits = field.bits;
                writeln!(
                    self.body,
                    "            packed_alone<{bits}>(r{}, sent + {start} * groups, lane - begin);",
                    a.0
                )
            }
        };
    }

    /// The draws that have room in shared memory, as the text's table.
    fn draw_rows(&self) -> Result<String, random::Error> {
        let mut rows = String::new();
        for (draw, block) in self.draws.iter().zip(&self.blocks) {
            let Some(block) = block else { continue };
            let end = block + self.tile * word_bytes(draw) / 64;
            let _ = write!(rows, "{{{end}, {}, {:#x}u, {}}}, ", self.key(draw), nonce_end(draw)?, word_bytes(draw));
        }
        Ok(rows)
    }

    /// The fields that have room in shared memory, as the text's table, and their words of a tile.
    fn sent_rows(&self) -> (String, usize) {
        let (mut rows, mut end) = (String::new(), 0);
        for ((field, start), place) in self.sends.iter().zip(starts(&self.sends).0).zip(&self.places) {
            if place.is_some() {
                end += self.tile / 64 * usize::from(field.bits);
                let _ = write!(rows, "{{{end}, {}, {start}}}, ", field.bits);
            }
        }
        (rows, end)
    }

    fn whole(&self) -> Result<String, random::Error> {
        let (mut text, tile, blocks) = (String::new(), self.tile, self.blocks_in_all);
        let ((sent, words), fields) = (self.sent_rows(), self.places.iter().flatten().count());
        if blocks > 0 {
            let _ = writeln!(text, "static __device__ const Draw draws_NAME[] = {{{}}};", self.draw_rows()?);
        }
        if fields > 0 {
            let _ = writeln!(text, "static __device__ const Sent sent_NAME[] = {{{sent}}};");
        }
        let slots = match (self.direct(), self.loads.len() + self.stores.len()) {
            (true, count) => format!("const __grid_constant__ Slots<{}> slots", count.max(1)),
            (false, _) => "const __grid_constant__ SlotTable slots".to_owned(),
        };
        let _ = writeln!(
            text,
            "extern \"C\" __global__ void __launch_bounds__({tile}) NAME({slots}, const u64 *__restrict__ constants, \
             const u64 *__restrict__ received, u64 *__restrict__ sent, u64 begin, u64 lanes, \
             const __grid_constant__ Streams streams) {{\n    const u64 first = (u64)blockIdx.x * {tile}, groups = \
             (lanes - begin + {GROUP} - 1) / {GROUP};"
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
            let _ = writeln!(text, "    __shared__ u64 leaving[{}];", fields * (tile + 1));
        }
        let body = &self.body;
        let _ = writeln!(
            text,
            "    EACH_THREAD {{\n        const u64 lane = begin + first + threadIdx.x;\n        \
             if (lane < lanes) {{\n{body}        }}"
        );
        if fields > 0 {
            // Lanes beyond the last leave zeros in the last byte of a field.
            let zero = |place: usize| format!(" leaving[{} + threadIdx.x] = 0;", place * (tile + 1));
            let zeros: String = (0..fields).map(zero).collect();
            let _ = writeln!(
                text,
                "        else {{{zeros} }}\n    }}\n    __syncthreads();\n    \
                 EACH_THREAD {{ pack_tile<{tile}>(leaving, sent_NAME, {words}, sent, first, groups); }}"
            );
        } else {
            let _ = writeln!(text, "    }}");
        }
        text.push_str("}\n");
        Ok(text)
    }
}
