//! Streams of the shim as queues of work.

use super::Shim;
use crate::backend::cuda::device::{Argument, Error, Stream};
use std::alloc::Layout;
use std::collections::{HashMap, HashSet, VecDeque};
use std::ffi::c_void;
use std::time::Instant;

/// As a device aligns what it allocates.
const ALIGNMENT: usize = 256;
/// What fresh memory holds, and what memory holds that was given back: a device's holds anything, so a kernel that
/// reads what was not written must not find zeros.
const FRESH: u8 = 0xa5;
const GIVEN_BACK: u8 = 0xdd;

/// A kernel, called with blocks, threads and the addresses of its arguments.
pub type Entry = unsafe extern "C" fn(u32, u32, *mut *mut c_void);

/// Which streams run ahead. A stream that waits does its work when a mark in it has to be reached, and not before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// All work is done when it is asked for.
    AsAsked,
    /// All streams wait.
    Late,
    /// Kernels run ahead, copies wait.
    KernelsFirst,
    /// Copies run ahead, kernels wait.
    CopiesFirst,
}

impl Order {
    /// All orders.
    pub const ALL: [Order; 4] = [Order::AsAsked, Order::Late, Order::KernelsFirst, Order::CopiesFirst];

    fn runs_ahead(self, stream: Stream) -> bool {
        match self {
            Order::AsAsked => true,
            Order::Late => false,
            Order::KernelsFirst => stream == Stream::Compute,
            Order::CopiesFirst => stream != Stream::Compute,
        }
    }
}

/// Something that a stream was asked to do.
pub enum Work {
    Launch { entry: Entry, blocks: u32, threads: u32, arguments: Vec<Vec<u64>> },
    In { to: u64, from: u64, bytes: u64 },
    Out { from: u64, to: u64, bytes: u64 },
    Zero { at: u64, bytes: u64 },
    Record(u64),
    Follow(u64),
    Free(u64),
}

/// A copy of an argument, for a launch that runs later.
pub fn kept(argument: &Argument<'_>) -> Vec<u64> {
    match argument {
        Argument::Word(word) => vec![*word],
        Argument::Words(words) => words.to_vec(),
        Argument::Structure(words) => {
            words.chunks(2).map(|two| u64::from(two[0]) | u64::from(two.get(1).copied().unwrap_or(0)) << 32).collect()
        }
    }
}

/// A layout as devices align, of at least one byte.
pub fn layout(bytes: u64) -> Option<Layout> {
    Layout::from_size_align(usize::try_from(bytes.max(1)).ok()?, ALIGNMENT).ok()
}

/// The streams with the memory that they work on.
pub struct Queues {
    order: Order,
    queues: [VecDeque<Work>; 3],
    /// Marks that are not reached, by the number of their stream.
    marks: HashMap<u64, usize>,
    /// Marks that nobody asks for any more once they are reached.
    forgotten: HashSet<u64>,
    next_mark: u64,
    /// Marks that remember when they were reached.
    stamps: HashMap<u64, Option<Instant>>,
    allocated: HashMap<u64, Layout>,
    /// Memory that was given back.
    kept: Vec<(u64, Layout)>,
    fault: Option<&'static str>,
}

impl Queues {
    pub fn new(order: Order) -> Queues {
        Queues {
            order,
            queues: Default::default(),
            marks: HashMap::new(),
            forgotten: HashSet::new(),
            next_mark: 0,
            stamps: HashMap::new(),
            allocated: HashMap::new(),
            kept: Vec::new(),
            fault: None,
        }
    }

    pub fn allocate(&mut self, bytes: u64) -> Option<u64> {
        let layout = layout(bytes)?;
        // SAFETY: the layout has at least one byte, all of which are written.
        #[allow(unsafe_code)]
        let address = unsafe {
            let address = std::alloc::alloc(layout);
            if address.is_null() {
                return None;
            }
            std::ptr::write_bytes(address, FRESH, layout.size());
            address as u64
        };
        self.allocated.insert(address, layout);
        Some(address)
    }

    /// Puts work at the end of a stream, and does it if the stream runs ahead.
    pub fn ask(&mut self, on: Stream, work: Work) {
        self.queues[on as usize].push_back(work);
        if self.order.runs_ahead(on) {
            while let Some(work) = self.queues[on as usize].pop_front() {
                self.run(work);
            }
        }
    }

    pub fn record(&mut self, on: Stream) -> u64 {
        let mark = self.next_mark;
        self.next_mark += 1;
        self.marks.insert(mark, on as usize);
        self.ask(on, Work::Record(mark));
        mark
    }

    /// As `record`, with the time when the mark is reached.
    pub fn stamp(&mut self, on: Stream) -> u64 {
        self.stamps.insert(self.next_mark, None);
        self.record(on)
    }

    /// When a mark of `stamp` was reached, if it was.
    pub fn reached(&self, mark: u64) -> Option<Instant> {
        self.stamps.get(&mark).copied().flatten()
    }

    pub fn is_done(&self, mark: u64) -> bool {
        !self.marks.contains_key(&mark)
    }

    pub fn forget(&mut self, mark: u64) {
        self.stamps.remove(&mark);
        if !self.is_done(mark) {
            self.forgotten.insert(mark);
        }
    }

    /// Does what has to be done before a mark is reached, and nothing else.
    pub fn until(&mut self, mark: u64) {
        while let Some(&stream) = self.marks.get(&mark) {
            match self.queues[stream].pop_front() {
                Some(work) => self.run(work),
                // A mark whose stream is empty was never asked for.
                None => break,
            }
        }
    }

    /// What went wrong since the last time.
    pub fn fault(&mut self) -> Result<(), Error> {
        match self.fault.take() {
            Some(reason) => Err(Shim::failed("work of a stream", reason)),
            None => Ok(()),
        }
    }

    fn run(&mut self, work: Work) {
        match work {
            Work::Launch { entry, blocks, threads, mut arguments } => {
                let mut pointers: Vec<*mut c_void> =
                    arguments.iter_mut().map(|words| words.as_mut_ptr().cast()).collect();
                // SAFETY: the library of the entry is loaded as long as the shim lives; who asked for the launch
                // vouches for the arguments, which are kept word for word.
                #[allow(unsafe_code)]
                unsafe {
                    entry(blocks, threads, pointers.as_mut_ptr());
                }
            }
            Work::In { to, from, bytes } if self.holds(to, bytes) => copy(from, to, bytes),
            Work::Out { from, to, bytes } if self.holds(from, bytes) => copy(from, to, bytes),
            Work::Zero { at, bytes } if self.holds(at, bytes) => {
                // SAFETY: as many bytes are allocated there, and nobody else has a reference to them.
                #[allow(unsafe_code)]
                unsafe {
                    std::ptr::write_bytes(at as *mut u8, 0, bytes as usize);
                }
            }
            Work::In { .. } | Work::Out { .. } | Work::Zero { .. } => {
                self.fault = Some("it reaches memory that is not allocated");
            }
            Work::Record(mark) => {
                if let Some(stamp) = self.stamps.get_mut(&mark) {
                    *stamp = Some(Instant::now());
                }
                self.marks.remove(&mark);
                self.forgotten.remove(&mark);
            }
            Work::Follow(mark) => self.until(mark),
            Work::Free(address) => self.give_back(address),
        }
    }

    /// Whether memory is allocated with at least so many bytes from an address on, which may be inside of it.
    fn holds(&self, at: u64, bytes: u64) -> bool {
        let inside = |(&start, layout): (&u64, &Layout)| start <= at && at + bytes <= start + layout.size() as u64;
        self.allocated.get_key_value(&at).is_some_and(inside) || self.allocated.iter().any(inside)
    }

    fn give_back(&mut self, address: u64) {
        let Some(layout) = self.allocated.remove(&address) else {
            self.fault = Some("it gives memory back that is not allocated");
            return;
        };
        if self.order == Order::AsAsked {
            release(address, layout);
            return;
        }
        // SAFETY: it is allocated until `release`, and nobody else has a reference to it.
        #[allow(unsafe_code)]
        unsafe {
            std::ptr::write_bytes(address as *mut u8, GIVEN_BACK, layout.size());
        }
        self.kept.push((address, layout));
    }
}

fn copy(from: u64, to: u64, bytes: u64) {
    // SAFETY: the device's side was just found allocated; who asked for the copy vouches for the side of this process.
    #[allow(unsafe_code)]
    unsafe {
        std::ptr::copy_nonoverlapping(from as *const u8, to as *mut u8, bytes as usize);
    }
}

fn release(address: u64, layout: Layout) {
    // SAFETY: it was allocated with this layout, and its owner forgets it.
    #[allow(unsafe_code)]
    unsafe {
        std::alloc::dealloc(address as *mut u8, layout);
    }
}

impl Drop for Queues {
    fn drop(&mut self) {
        for stream in 0..self.queues.len() {
            while let Some(work) = self.queues[stream].pop_front() {
                self.run(work);
            }
        }
        self.kept.drain(..).chain(self.allocated.drain()).for_each(|(address, layout)| release(address, layout));
    }
}
