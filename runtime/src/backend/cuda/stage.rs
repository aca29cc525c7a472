//! Kernels of a protocol on a device: made ready once, then run stage by stage.

use super::device::{Address, Buffer, Device, Error, Function, Source, Style, bytes_of};
use super::launch::Argument;
use super::print::{GROUP, Printed, print, starts};
use super::{Cuda, PRELUDE, Words};
use crate::backend::{Error as BackendError, Frames, Streams};
use crate::circuit::Shape;
use crate::kernel::{CheckedKernel, Field, Slot};
use crate::protocol;
use crate::random;
use std::collections::BTreeMap;
use std::sync::Arc;
use zeroize::Zeroize;

const STAGE: &str = include_str!("kernels/stage.cu");
/// Keys of a launch, one for each partner: roles are below four.
const KEYS: usize = 3;
const KEY_WORDS: usize = 8;

/// A kernel of a checked party, compiled, with its constants on the device.
#[derive(Debug)]
pub struct Code {
    function: Function,
    printed: Printed,
    constants: Buffer,
}

/// The words of a unit between its rounds.
#[derive(Debug)]
pub struct State {
    lanes: usize,
    slots: Vec<Option<Words>>,
}

impl State {
    /// Slots of zeros, which are not stored.
    pub fn new(slots: u16, lanes: usize) -> State {
        State { lanes, slots: vec![None; usize::from(slots)] }
    }

    /// Lanes per slot.
    pub fn lanes(&self) -> usize {
        self.lanes
    }

    pub(super) fn load(&mut self, slot: Slot, words: &Words) -> Result<(), BackendError> {
        if words.lanes != self.lanes {
            return Err(size("an argument", words.lanes, self.lanes, "lanes"));
        }
        self.slots[slot.index()] = Some(words.clone());
        Ok(())
    }

    pub(super) fn take(&mut self, slot: Slot) -> Option<Words> {
        self.slots[slot.index()].take()
    }
}

fn size(what: &'static str, found: usize, expected: usize, unit: &'static str) -> BackendError {
    protocol::Error::Size { what, found, expected, unit }.into()
}

/// The text that a compiler gets for these kernels, each once.
pub fn source(printed: &[Printed]) -> Source {
    let texts: BTreeMap<&str, &str> = printed.iter().map(|p| (p.name.as_str(), p.text.as_str())).collect();
    let mut text = format!("{PRELUDE}\n{STAGE}\n");
    texts.values().for_each(|kernel| text.push_str(kernel));
    Source { text, kernels: texts.keys().map(|&name| (name.to_owned(), Style::Phased)).collect() }
}

/// Prints and compiles kernels together, and puts their constants on the device, where they are read again: a run
/// with other coefficients than the checked ones would be no run of the certified entry.
pub(super) fn prepare(device: &Arc<dyn Device>, kernels: &[&CheckedKernel]) -> Result<Vec<Code>, BackendError> {
    let printed = kernels.iter().map(|kernel| print(kernel)).collect::<Result<Vec<_>, _>>();
    let printed = printed.map_err(protocol::Error::Random)?;
    if printed.is_empty() {
        return Ok(Vec::new());
    }
    let source = source(&printed);
    let functions: BTreeMap<&str, Function> =
        source.kernels.iter().map(|(name, _)| name.as_str()).zip(device.compile(&source)?).collect();
    let mut all = Vec::with_capacity(printed.len());
    for printed in printed {
        let function = functions.get(printed.name.as_str()).copied();
        let function = function.ok_or_else(|| failed(device, "a compiled kernel is missing"))?;
        let bytes = bytes_of(&printed.constants);
        let constants = Buffer::of(device, &bytes)?;
        if blake3::hash(&constants.bytes()?) != blake3::hash(&bytes) {
            return Err(Error::Constants { device: device.name() }.into());
        }
        all.push(Code { function, printed, constants });
    }
    Ok(all)
}

fn failed(device: &Arc<dyn Device>, reason: &str) -> Error {
    Error::Failed { device: device.name(), what: "preparing kernels", reason: reason.into() }
}

impl Code {
    pub(super) fn run(
        &self,
        cuda: &Cuda,
        state: &mut State,
        received: &[&[u8]],
        sent: &mut Frames,
        streams: &Streams<'_>,
    ) -> Result<(), BackendError> {
        let (printed, lanes) = (&self.printed, state.lanes);
        if lanes > Shape::LANES_MAX {
            return Err(size("the state", lanes, Shape::LANES_MAX, "lanes"));
        }
        let groups = (lanes as u64).div_ceil(GROUP);
        let arriving = self.arrived(cuda, received, lanes, groups)?;
        let leaving_words = groups * starts(&printed.sends).1;
        let leaving = Buffer::new(&cuda.device, 8 * leaving_words)?;
        if printed.needs_zeros {
            cuda.device.zero(leaving.address(), 8 * leaving_words)?;
        }
        let zeros = if printed.loads.iter().any(|slot| state.slots[slot.index()].is_none()) {
            Some(cuda.words(&vec![0; lanes])?)
        } else {
            None
        };
        let stored = printed.stores.iter().map(|_| cuda.fresh(lanes)).collect::<Result<Vec<_>, _>>()?;
        let loaded = |slot: &Slot| state.slots[slot.index()].as_ref().or(zeros.as_ref()).map_or(0, |w| w.address().0);
        let table: Vec<u64> = printed.loads.iter().map(loaded).chain(stored.iter().map(|w| w.address().0)).collect();
        let table = Buffer::of_words(&cuda.device, &table)?;
        let mut names = self.names(streams)?;
        let arguments = [
            Argument::from(table.address()),
            self.constants.address().into(),
            arriving.as_ref().map_or(Address::NOWHERE, Buffer::address).into(),
            leaving.address().into(),
            lanes.into(),
            Argument::Structure(&names),
        ];
        let blocks = (lanes as u64).div_ceil(u64::from(printed.tile));
        let launched = cuda.launch(self.function, blocks, printed.tile, &arguments);
        names.zeroize();
        launched?;
        for (slot, words) in printed.stores.iter().zip(stored) {
            state.slots[slot.index()] = Some(words);
        }
        if leaving_words > 0 {
            self.departed(&leaving.bytes()?, sent, lanes, groups);
        }
        Ok(())
    }

    /// Every field of the received frames at whole words, on the device.
    fn arrived(
        &self,
        cuda: &Cuda,
        received: &[&[u8]],
        lanes: usize,
        groups: u64,
    ) -> Result<Option<Buffer>, BackendError> {
        let fields = &self.printed.receives;
        let (starts, total) = starts(fields);
        let mut whole = vec![0u8; (8 * groups * total) as usize];
        let mut rest: Vec<&[u8]> = received.to_vec();
        let roles = fields.iter().map(|field| usize::from(field.from.0) + 1).max().unwrap_or(0).max(rest.len());
        rest.resize(roles, &[]);
        for (role, frame) in rest.iter().enumerate() {
            let own = fields.iter().filter(|field| usize::from(field.from.0) == role);
            let expected = own.map(|field| field.bytes(lanes)).sum();
            if frame.len() != expected {
                return Err(size("a received frame", frame.len(), expected, "bytes"));
            }
        }
        for (field, start) in fields.iter().zip(starts) {
            let frame = &mut rest[usize::from(field.from.0)];
            let (own, others) = frame.split_at(field.bytes(lanes));
            let first = (8 * groups * start) as usize;
            whole[first..first + own.len()].copy_from_slice(own);
            *frame = others;
        }
        if whole.is_empty() { Ok(None) } else { Ok(Some(Buffer::of(&cuda.device, &whole)?)) }
    }

    /// Appends the bytes of every sent field to its frame.
    fn departed(&self, whole: &[u8], sent: &mut Frames, lanes: usize, groups: u64) {
        let fields: &[Field] = &self.printed.sends;
        let roles = fields.iter().map(|field| usize::from(field.to.0) + 1).max().unwrap_or(0);
        sent.resize_with(roles.max(sent.len()), Vec::new);
        for (field, start) in fields.iter().zip(starts(fields).0) {
            let first = (8 * groups * start) as usize;
            sent[usize::from(field.to.0)].extend_from_slice(&whole[first..first + field.bytes(lanes)]);
        }
    }

    /// The structure `Streams` of the prelude: keys, node, tile.
    fn names(&self, streams: &Streams<'_>) -> Result<[u32; KEYS * KEY_WORDS + 2], BackendError> {
        let mut names = [0; KEYS * KEY_WORDS + 2];
        for (index, pair) in self.printed.pairs.iter().enumerate().take(KEYS) {
            let unknown = || protocol::Error::Random(random::Error::Roles(pair.number()));
            let key = streams.key(*pair).ok_or_else(unknown)?;
            let words = &mut names[index * KEY_WORDS..][..KEY_WORDS];
            words
                .iter_mut()
                .zip(key.bytes().as_chunks().0)
                .for_each(|(word, bytes)| *word = u32::from_le_bytes(*bytes));
        }
        names[KEYS * KEY_WORDS] = streams.node();
        names[KEYS * KEY_WORDS + 1] = streams.tile();
        Ok(names)
    }
}
