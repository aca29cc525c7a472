//! Kernels of a protocol on a device: made ready once, then run stage by stage.
//!
//! A stage is a launch over all lanes, or one for each of its parts. Where its messages do not fit the device's memory,
//! it is repeated over fewer lanes at a time; where the words that it stores do not fit either, this process keeps the
//! states of all units ([`super::room`]), and lends the device the words of the lanes in work. Words and frames stay the same.

use super::device::{Address, Argument, Buffer, Device, Error, Function, Purpose, Source, Style};
use super::print::{GROUP, Part, Printed, TILE, print, starts};
use super::room::{Held, Slots, Try};
use super::transfers::{Departing, Transfers, bytes_of};
use super::{Cuda, PRELUDE, Words};
use crate::backend::{Error as BackendError, Frames, Streams};
use crate::circuit::Shape;
use crate::kernel::{CheckedKernel, Field, Slot};
use crate::protocol;
use crate::random;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use zeroize::{Zeroize, Zeroizing};

const STAGE: &str = include_str!("kernels/stage.cu");
/// Keys of a launch, one for each partner: roles are below four.
const KEYS: usize = 3;
const KEY_WORDS: usize = 8;

/// A kernel of a checked party, compiled, with the constants of its parts on the device.
#[derive(Debug)]
pub struct Code {
    printed: Printed,
    /// Part by part.
    functions: Vec<(Function, Buffer)>,
}

/// The words of a unit between its rounds.
pub struct State {
    lanes: usize,
    slots: Arc<Slots>,
}

/// Words of some lanes on the device.
struct Lent {
    /// Where lane 0 is, or would be.
    origin: u64,
    /// What is given back after the launch.
    _words: Option<Words>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "State({} slots of {} lanes)", self.slots().len(), self.lanes)
    }
}

impl State {
    /// Slots of zeros, which are not stored.
    pub(super) fn new(cuda: &Cuda, slots: u16, lanes: usize) -> State {
        let slots: Arc<Slots> = Arc::new(Mutex::new((0..slots).map(|_| Held::Zeros).collect()));
        let guest: Weak<Slots> = Arc::downgrade(&slots);
        cuda.guests.welcome(guest);
        State { lanes, slots }
    }

    pub(super) fn lanes(&self) -> usize {
        self.lanes
    }

    fn slots(&self) -> MutexGuard<'_, Vec<Held>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The words have the state's lanes.
    pub(super) fn load(&mut self, slot: Slot, words: Words) {
        self.slots()[slot.index()] = Held::Device(words);
    }

    pub(super) fn take(&mut self, cuda: &Cuda, slot: Slot) -> Result<Words, Error> {
        let taken = cuda.with_room(|_| match &self.slots()[slot.index()] {
            Held::Zeros => cuda.zeros(self.lanes),
            Held::Device(words) => Ok(words.clone()),
            Held::Process(words) => cuda.words(words, Purpose::Words),
        })?;
        self.slots()[slot.index()] = Held::Zeros;
        Ok(taken)
    }

    /// The words of a slot at some lanes.
    fn lend(&self, cuda: &Cuda, slot: Slot, lanes: &Range<usize>) -> Result<Lent, Error> {
        match &self.slots()[slot.index()] {
            Held::Zeros => Ok(Lent::new(cuda.zeros(lanes.len())?, lanes)),
            Held::Device(words) => Ok(Lent { origin: words.address().0, _words: None }),
            Held::Process(words) => Ok(Lent::new(cuda.words(&words[lanes.clone()], Purpose::Words)?, lanes)),
        }
    }
}

impl Lent {
    fn new(words: Words, lanes: &Range<usize>) -> Lent {
        Lent { origin: words.address().0.wrapping_sub(8 * lanes.start as u64), _words: Some(words) }
    }
}

pub(super) fn size(what: &'static str, found: usize, expected: usize, unit: &'static str) -> BackendError {
    protocol::Error::Size { what, found, expected, unit }.into()
}

/// The text that a compiler gets for these kernels, each once.
pub fn source(printed: &[Printed]) -> Source {
    let parts = printed.iter().flat_map(|printed| &printed.parts);
    let texts: BTreeMap<&str, &str> = parts.map(|part| (part.name.as_str(), part.text.as_str())).collect();
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
    let ready = |part: &Part| -> Result<(Function, Buffer), Error> {
        let function = functions.get(part.name.as_str()).copied();
        let function = function.ok_or_else(|| failed(device, "a compiled kernel is missing"))?;
        let bytes = bytes_of(&part.constants);
        let constants = transfers.upload(&bytes, Purpose::Constants)?;
        match blake3::hash(&transfers.download(&constants, bytes.len())?) == blake3::hash(&bytes) {
            true => Ok((function, constants)),
            false => Err(Error::Constants { device: device.name() }),
        }
    };
    let code = |printed: Printed| {
        Ok(Code { functions: printed.parts.iter().map(ready).collect::<Result<_, Error>>()?, printed })
    };
    printed.into_iter().map(code).collect()
}

fn failed(device: &Arc<dyn Device>, reason: &str) -> Error {
    Error::Failed { device: device.name(), what: "preparing kernels", reason: reason.into() }
}

/// A piece of a frame on its way: the role that it goes to, its first byte there and on the device, its bytes.
struct Piece {
    role: usize,
    to: usize,
    from: usize,
    bytes: usize,
}

/// What a stage sends, on its way from the device.
#[derive(Default)]
pub struct Pending(Vec<(Departing, Vec<Piece>)>);

impl Pending {
    /// Waits for it, and puts it into the frames where room was left for it.
    pub(super) fn collect(self, transfers: &Transfers, sent: &mut Frames) -> Result<(), BackendError> {
        for (departing, pieces) in self.0 {
            transfers.arrive(departing, |place, bytes| {
                for piece in &pieces {
                    let (start, end) = (piece.from.max(place), (piece.from + piece.bytes).min(place + bytes.len()));
                    if start < end {
                        let to = piece.to + start - piece.from;
                        sent[piece.role][to..to + end - start].copy_from_slice(&bytes[start - place..end - place]);
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
        state: &State,
        received: &[&[u8]],
        sent: &mut Frames,
        streams: &Streams<'_>,
    ) -> Result<Pending, BackendError> {
        let lanes = state.lanes;
        if lanes > Shape::LANES_MAX {
            return Err(size("the state", lanes, Shape::LANES_MAX, "lanes"));
        }
        let arrived = self.arrived(received, lanes)?;
        let places = self.room(sent, lanes);
        let mut names = self.names(streams)?;
        let run = Run { code: self, cuda, arrived: &arrived, places: &places, names: &names };
        let pending = cuda.with_room(|how| match how {
            Try::First => run.on_device(state),
            Try::Last => run.lane_by_lane(state),
        });
        names.zeroize();
        Ok(pending?)
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

/// A stage, with all that its launches share.
struct Run<'a> {
    code: &'a Code,
    cuda: &'a Cuda,
    arrived: &'a [&'a [u8]],
    places: &'a [usize],
    names: &'a [u32],
}

type Left = Option<(Departing, Vec<Piece>)>;

impl Run<'_> {
    /// Slots that are read or written, part by part, each once.
    fn slots(&self, of: impl Fn(&Part) -> &[Slot]) -> BTreeSet<Slot> {
        self.code.printed.parts.iter().flat_map(|part| of(part).iter().copied()).collect()
    }

    /// With all words of the state on the device, over as many lanes at a time as there is memory for messages.
    fn on_device(&self, state: &State) -> Result<Pending, Error> {
        let (cuda, all) = (self.cuda, 0..state.lanes);
        let lent = |slot: Slot| -> Result<(Slot, Lent), Error> { Ok((slot, state.lend(cuda, slot, &all)?)) };
        let loads = self.slots(|part| &part.loads).into_iter().map(lent).collect::<Result<BTreeMap<_, _>, Error>>()?;
        let fresh = |slot: Slot| -> Result<(Slot, Words), Error> { Ok((slot, cuda.fresh(state.lanes)?)) };
        let stores =
            self.slots(|part| &part.stores).into_iter().map(fresh).collect::<Result<BTreeMap<_, _>, Error>>()?;
        let origins = stores.iter().map(|(&slot, words)| (slot, words.address().0)).collect();
        let pending = self.in_pieces(state.lanes, |lanes| self.launch(lanes, &loads, &origins))?;
        for (slot, words) in stores {
            state.slots()[slot.index()] = Held::Device(words);
        }
        Ok(pending)
    }

    /// With the words of this process, over as many lanes at a time as there is memory for all.
    fn lane_by_lane(&self, state: &State) -> Result<Pending, Error> {
        let cuda = self.cuda;
        let zeros = |slot: Slot| (slot, Zeroizing::new(vec![0; state.lanes]));
        let mut results: BTreeMap<Slot, Zeroizing<Vec<u64>>> =
            self.slots(|part| &part.stores).into_iter().map(zeros).collect();
        let pending = self.in_pieces(state.lanes, |lanes| {
            let lent = |slot: Slot| -> Result<(Slot, Lent), Error> { Ok((slot, state.lend(cuda, slot, &lanes)?)) };
            let loads =
                self.slots(|part| &part.loads).into_iter().map(lent).collect::<Result<BTreeMap<_, _>, Error>>()?;
            let fresh = |&slot: &Slot| -> Result<(Slot, Words), Error> { Ok((slot, cuda.fresh(lanes.len())?)) };
            let stores = results.keys().map(fresh).collect::<Result<BTreeMap<_, _>, Error>>()?;
            let origin = |words: &Words| words.address().0.wrapping_sub(8 * lanes.start as u64);
            let origins = stores.iter().map(|(&slot, words)| (slot, origin(words))).collect();
            let left = self.launch(lanes.clone(), &loads, &origins)?;
            for (words, result) in stores.values().zip(results.values_mut()) {
                result[lanes.clone()].copy_from_slice(&Zeroizing::new(cuda.words_of(words)?));
            }
            Ok(left)
        })?;
        for (slot, words) in results {
            state.slots()[slot.index()] = Held::Process(words);
        }
        Ok(pending)
    }

    /// Launches over all lanes, or over as many at a time as there is memory for.
    fn in_pieces(
        &self,
        lanes: usize,
        mut launch: impl FnMut(Range<usize>) -> Result<Left, Error>,
    ) -> Result<Pending, Error> {
        let (mut all, mut begin, mut length) = (Vec::new(), 0, lanes.next_multiple_of(TILE));
        while begin < lanes {
            match launch(begin..(begin + length).min(lanes)) {
                Ok(departing) => {
                    all.extend(departing);
                    begin += length;
                }
                Err(Error::Memory { .. }) if length > TILE => {
                    length = (length / 2).next_multiple_of(TILE);
                    // What departs is given back once it has arrived.
                    self.cuda.settle()?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Pending(all))
    }

    /// Launches every part over some lanes.
    fn launch(
        &self,
        lanes: Range<usize>,
        loads: &BTreeMap<Slot, Lent>,
        stores: &BTreeMap<Slot, u64>,
    ) -> Result<Left, Error> {
        let (cuda, printed) = (self.cuda, &self.code.printed);
        let groups = (lanes.len() as u64).div_ceil(GROUP);
        let arriving = self.code.arriving(cuda, self.arrived, &lanes, groups)?;
        let bytes = 8 * groups * starts(&printed.sends).1;
        let leaving = Buffer::new(&cuda.device, bytes, Purpose::Sent)?;
        let kept = match printed.kept {
            0 => None,
            words => Some(Buffer::new(&cuda.device, 8 * groups * GROUP * words as u64, Purpose::Words)?),
        };
        let address =
            |buffer: &Option<Buffer>| Argument::from(buffer.as_ref().map_or(Address::NOWHERE, Buffer::address));
        for (part, (function, constants)) in printed.parts.iter().zip(&self.code.functions) {
            let read = part.loads.iter().filter_map(|slot| loads.get(slot)).map(|lent| lent.origin);
            let written = part.stores.iter().filter_map(|slot| stores.get(slot)).copied();
            let mut slots: Vec<u64> = read.chain(written).collect();
            if slots.is_empty() {
                // The parameter has room for one address all the same.
                slots.push(Address::NOWHERE.0);
            }
            let arguments = [
                Argument::Words(&slots),
                constants.address().into(),
                address(&arriving),
                leaving.address().into(),
                address(&kept),
                lanes.start.into(),
                lanes.end.into(),
                Argument::Structure(self.names),
            ];
            cuda.launch(*function, lanes.len().div_ceil(TILE) as u64, TILE as u32, &arguments)?;
        }
        if bytes == 0 {
            return Ok(None);
        }
        let pieces =
            printed.sends.iter().zip(starts(&printed.sends).0).zip(self.places).map(|((field, start), place)| Piece {
                role: usize::from(field.to.0),
                to: place + lanes.start / 8 * usize::from(field.bits),
                from: (8 * groups * start) as usize,
                bytes: field.bytes(lanes.len()),
            });
        Ok(Some((cuda.transfers.depart(leaving, bytes as usize)?, pieces.collect())))
    }
}
