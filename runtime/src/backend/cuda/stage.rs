//! Kernels of a protocol on a device: made ready once, then run stage by stage.
//!
//! A stage is one launch over all lanes; where its messages do not fit the device's memory it is several, over parts
//! of the lanes, with the same words and frames.

use super::device::{Address, Argument, Buffer, Device, Error, Function, Purpose, Source, Style};
use super::print::{GROUP, Printed, print, starts};
use super::transfers::{Departing, Transfers, bytes_of};
use super::{Cuda, PRELUDE, Words};
use crate::backend::{Error as BackendError, Frames, Streams};
use crate::circuit::Shape;
use crate::kernel::{CheckedKernel, Field, Slot};
use crate::protocol;
use crate::random;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use zeroize::Zeroize;

const STAGE: &str = include_str!("kernels/stage.cu");
/// Keys of a launch, one for each partner: roles are below four.
const KEYS: usize = 3;
const KEY_WORDS: usize = 8;
/// The least lanes of a launch: whole tiles of any kernel.
const LANES_LEAST: usize = 128;

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
pub(super) fn prepare(
    device: &Arc<dyn Device>,
    transfers: &Transfers,
    kernels: &[&CheckedKernel],
    shared_bytes: usize,
) -> Result<Vec<Code>, BackendError> {
    let printed = kernels.iter().map(|kernel| print(kernel, shared_bytes)).collect::<Result<Vec<_>, _>>();
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
        let constants = transfers.upload(&bytes, Purpose::Constants)?;
        if blake3::hash(&transfers.download(&constants, bytes.len())?) != blake3::hash(&bytes) {
            return Err(Error::Constants { device: device.name() }.into());
        }
        all.push(Code { function, printed, constants });
    }
    Ok(all)
}

fn failed(device: &Arc<dyn Device>, reason: &str) -> Error {
    Error::Failed { device: device.name(), what: "preparing kernels", reason: reason.into() }
}

/// A part of a frame on its way: the role that it goes to, its first byte there and on the device, its bytes.
struct Part {
    role: usize,
    to: usize,
    from: usize,
    bytes: usize,
}

/// What a stage sends, on its way from the device.
#[derive(Default)]
pub struct Pending(Vec<(Departing, Vec<Part>)>);

impl Pending {
    /// Waits for it, and puts it into the frames where room was left for it.
    pub(super) fn collect(self, transfers: &Transfers, sent: &mut Frames) -> Result<(), BackendError> {
        for (departing, parts) in self.0 {
            transfers.arrive(departing, |place, piece| {
                for part in &parts {
                    let (start, end) = (part.from.max(place), (part.from + part.bytes).min(place + piece.len()));
                    if start < end {
                        let to = part.to + start - part.from;
                        sent[part.role][to..to + end - start].copy_from_slice(&piece[start - place..end - place]);
                    }
                }
            })?;
        }
        Ok(())
    }
}

impl Code {
    pub(super) fn run(
        &self,
        cuda: &Cuda,
        state: &mut State,
        received: &[&[u8]],
        sent: &mut Frames,
        streams: &Streams<'_>,
    ) -> Result<Pending, BackendError> {
        let (printed, lanes) = (&self.printed, state.lanes);
        if lanes > Shape::LANES_MAX {
            return Err(size("the state", lanes, Shape::LANES_MAX, "lanes"));
        }
        let arrived = self.arrived(received, lanes)?;
        let zeros = if printed.loads.iter().any(|slot| state.slots[slot.index()].is_none()) {
            Some(cuda.zeros(lanes)?)
        } else {
            None
        };
        let stored = printed.stores.iter().map(|_| cuda.fresh(lanes)).collect::<Result<Vec<_>, _>>()?;
        let loaded = |slot: &Slot| state.slots[slot.index()].as_ref().or(zeros.as_ref()).map_or(0, |w| w.address().0);
        let mut table: Vec<u64> =
            printed.loads.iter().map(loaded).chain(stored.iter().map(|w| w.address().0)).collect();
        if table.is_empty() {
            // A stage that only passes messages on: its parameter has room for one address all the same.
            table.push(Address::NOWHERE.0);
        }
        let in_memory = if printed.direct { None } else { Some(cuda.table(&table)?) };
        let slots = in_memory.as_ref().map_or(Argument::Words(&table), |table| table.address().into());
        let places = self.room(sent, lanes);
        let mut names = self.names(streams)?;
        let launched = self.in_parts(cuda, lanes, |part| self.launch(cuda, slots, part, &arrived, &places, &names));
        names.zeroize();
        let pending = launched?;
        for (slot, words) in printed.stores.iter().zip(stored) {
            state.slots[slot.index()] = Some(words);
        }
        Ok(pending)
    }

    /// Launches over all lanes, or over as many at a time as there is memory for.
    fn in_parts(
        &self,
        cuda: &Cuda,
        lanes: usize,
        launch: impl Fn(Range<usize>) -> Result<Option<(Departing, Vec<Part>)>, Error>,
    ) -> Result<Pending, Error> {
        let (mut all, mut begin, mut length) = (Vec::new(), 0, lanes.next_multiple_of(LANES_LEAST));
        while begin < lanes {
            match launch(begin..(begin + length).min(lanes)) {
                Ok(departing) => {
                    all.extend(departing);
                    begin += length;
                }
                Err(Error::Memory { .. }) if length > LANES_LEAST => {
                    length = (length / 2).next_multiple_of(LANES_LEAST);
                    // What departs is given back once it has arrived.
                    cuda.transfers.settle()?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Pending(all))
    }

    fn launch(
        &self,
        cuda: &Cuda,
        slots: Argument<'_>,
        lanes: Range<usize>,
        arrived: &[&[u8]],
        places: &[usize],
        names: &[u32],
    ) -> Result<Option<(Departing, Vec<Part>)>, Error> {
        let printed = &self.printed;
        let groups = (lanes.len() as u64).div_ceil(GROUP);
        let arriving = self.arriving(cuda, arrived, &lanes, groups)?;
        let bytes = 8 * groups * starts(&printed.sends).1;
        let leaving = Buffer::new(&cuda.device, bytes, Purpose::Sent)?;
        if printed.needs_zeros {
            cuda.device.zero(super::device::Stream::Compute, leaving.address(), bytes)?;
        }
        let arguments = [
            slots,
            self.constants.address().into(),
            arriving.as_ref().map_or(Address::NOWHERE, Buffer::address).into(),
            leaving.address().into(),
            lanes.start.into(),
            lanes.end.into(),
            Argument::Structure(names),
        ];
        let blocks = (lanes.len() as u64).div_ceil(u64::from(printed.tile));
        cuda.launch(self.function, blocks, printed.tile, &arguments)?;
        if bytes == 0 {
            return Ok(None);
        }
        let parts =
            printed.sends.iter().zip(starts(&printed.sends).0).zip(places).map(|((field, start), place)| Part {
                role: usize::from(field.to.0),
                to: place + lanes.start / 8 * usize::from(field.bits),
                from: (8 * groups * start) as usize,
                bytes: field.bytes(lanes.len()),
            });
        Ok(Some((cuda.transfers.depart(leaving, bytes as usize)?, parts.collect())))
    }

    /// The bytes of every received field.
    fn arrived<'a>(&self, received: &[&'a [u8]], lanes: usize) -> Result<Vec<&'a [u8]>, BackendError> {
        let fields = &self.printed.receives;
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
        let own = fields.iter().map(|field| {
            let frame = &mut rest[usize::from(field.from.0)];
            let (own, others) = frame.split_at(field.bytes(lanes));
            *frame = others;
            own
        });
        Ok(own.collect())
    }

    /// Every received field of some lanes at whole words, on the device.
    fn arriving(
        &self,
        cuda: &Cuda,
        arrived: &[&[u8]],
        lanes: &Range<usize>,
        groups: u64,
    ) -> Result<Option<Buffer>, Error> {
        let fields = &self.printed.receives;
        let (starts, total) = starts(fields);
        if total == 0 {
            return Ok(None);
        }
        let mut whole = vec![0u8; (8 * groups * total) as usize];
        for ((field, start), own) in fields.iter().zip(starts).zip(arrived) {
            // The first lane is one of a group, so that it starts with a byte.
            let own = &own[lanes.start / 8 * usize::from(field.bits)..][..field.bytes(lanes.len())];
            whole[(8 * groups * start) as usize..][..own.len()].copy_from_slice(own);
        }
        Ok(Some(cuda.transfers.upload(&whole, Purpose::Received)?))
    }

    /// Makes room for every sent field in its frame, and says where.
    fn room(&self, sent: &mut Frames, lanes: usize) -> Vec<usize> {
        let fields: &[Field] = &self.printed.sends;
        let roles = fields.iter().map(|field| usize::from(field.to.0) + 1).max().unwrap_or(0);
        sent.resize_with(roles.max(sent.len()), Vec::new);
        let room = fields.iter().map(|field| {
            let frame = &mut sent[usize::from(field.to.0)];
            frame.resize(frame.len() + field.bytes(lanes), 0);
            frame.len() - field.bytes(lanes)
        });
        room.collect()
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
