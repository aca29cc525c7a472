//! Words that live between kernels, slot by slot, in the narrowest machine words that hold what is proved of them: what
//! kernels leave for each other is several times what they send, and memory is what bounds them.

use crate::kernel::Slot;

/// A machine word that holds so many bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Width {
    W8,
    W16,
    W32,
    W64,
}

impl Width {
    /// The narrowest that holds words of so many bits.
    pub(super) fn of(bits: u8) -> Width {
        match bits {
            0..=8 => Width::W8,
            9..=16 => Width::W16,
            17..=32 => Width::W32,
            _ => Width::W64,
        }
    }
}

/// One word per lane.
#[derive(Clone, Debug, Default)]
pub(super) enum Words {
    /// Nothing was put here: zeros that take no memory.
    #[default]
    Zeros,
    W8(Vec<u8>),
    W16(Vec<u16>),
    W32(Vec<u32>),
    W64(Vec<u64>),
}

impl Words {
    /// No words yet, and room for those of all lanes.
    fn with_room(width: Width, lanes: usize) -> Words {
        match width {
            Width::W8 => Words::W8(Vec::with_capacity(lanes)),
            Width::W16 => Words::W16(Vec::with_capacity(lanes)),
            Width::W32 => Words::W32(Vec::with_capacity(lanes)),
            Width::W64 => Words::W64(Vec::with_capacity(lanes)),
        }
    }

    fn width(&self) -> Option<Width> {
        match self {
            Words::Zeros => None,
            Words::W8(_) => Some(Width::W8),
            Words::W16(_) => Some(Width::W16),
            Words::W32(_) => Some(Width::W32),
            Words::W64(_) => Some(Width::W64),
        }
    }

    /// Copies words from lane `start` on.
    #[inline(always)]
    pub(super) fn read(&self, start: usize, to: &mut [u64]) {
        let lanes = start..start + to.len();
        match self {
            Words::Zeros => to.fill(0),
            Words::W8(words) => widen(&words[lanes], to),
            Words::W16(words) => widen(&words[lanes], to),
            Words::W32(words) => widen(&words[lanes], to),
            Words::W64(words) => to.copy_from_slice(&words[lanes]),
        }
    }

    /// Writes words from lane `start` on, up to which there are words already; those beyond are forgotten. No bit beyond
    /// the width may be set.
    #[inline(always)]
    pub(super) fn write(&mut self, start: usize, from: &[u64]) {
        match self {
            Words::Zeros => {}
            Words::W8(words) => append(words, start, from, |word| word as u8),
            Words::W16(words) => append(words, start, from, |word| word as u16),
            Words::W32(words) => append(words, start, from, |word| word as u32),
            Words::W64(words) => append(words, start, from, |word| word),
        }
    }
}

#[inline(always)]
fn append<T>(words: &mut Vec<T>, start: usize, from: &[u64], narrow: impl Fn(u64) -> T) {
    words.truncate(start);
    words.extend(from.iter().map(|&word| narrow(word)));
}

#[inline(always)]
fn widen<T: Copy + Into<u64>>(from: &[T], to: &mut [u64]) {
    to.iter_mut().zip(from).for_each(|(to, &word)| *to = word.into());
}

/// Words that live between kernels: slot by slot, one word per lane.
#[derive(Clone, Debug, Default)]
pub struct Slots {
    lanes: usize,
    words: Vec<Words>,
}

impl Slots {
    /// `slots` slots of `lanes` zeros.
    pub fn new(slots: u16, lanes: usize) -> Slots {
        Slots { lanes, words: vec![Words::Zeros; usize::from(slots)] }
    }

    /// Lanes per slot.
    pub fn lanes(&self) -> usize {
        self.lanes
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.words.len()
    }

    /// Fills `slot`.
    ///
    /// # Panics
    /// As many words as lanes are a precondition.
    pub fn put(&mut self, slot: Slot, words: &[u64]) {
        assert_eq!(words.len(), self.lanes, "a slot has a word per lane");
        self.words[slot.index()] = Words::W64(words.to_vec());
    }

    /// A copy of the words of `slot`.
    pub fn get(&self, slot: Slot) -> Vec<u64> {
        let mut words = vec![0; self.lanes];
        self.words[slot.index()].read(0, &mut words);
        words
    }

    /// The words of `slot`, which are zero afterwards.
    pub fn take(&mut self, slot: Slot) -> Vec<u64> {
        match std::mem::take(&mut self.words[slot.index()]) {
            Words::W64(words) => words,
            words => {
                self.words[slot.index()] = words;
                let wide = self.get(slot);
                self.words[slot.index()] = Words::Zeros;
                wide
            }
        }
    }

    /// The words of `slot`.
    #[inline(always)]
    pub(super) fn words(&self, slot: Slot) -> &Words {
        &self.words[slot.index()]
    }

    /// Room for all lanes of a slot that a kernel fills from its first lane on: the slot's own where it has that width
    /// and nobody reads it meanwhile.
    pub(super) fn room(&mut self, slot: Slot, width: Width, read: bool) -> Words {
        let own = &mut self.words[slot.index()];
        match own.width() {
            Some(found) if found == width && !read => std::mem::take(own),
            _ => Words::with_room(width, self.lanes),
        }
    }

    /// What a kernel has filled becomes the slot's.
    pub(super) fn replace(&mut self, slot: Slot, words: Words) {
        self.words[slot.index()] = words;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_back_from_every_width() {
        for (bits, width) in [(1u32, Width::W8), (8, Width::W8), (9, Width::W16), (17, Width::W32), (33, Width::W64)] {
            assert_eq!(Width::of(bits as u8), width);
            let words: Vec<u64> = (0..777).map(|lane| u64::MAX >> (64 - bits) & (lane * 0x9e37_79b9_7f4a)).collect();
            let mut slots = Slots::new(2, words.len());
            assert_eq!(slots.get(Slot(1)), vec![0; 777]);
            let mut room = slots.room(Slot(1), width, false);
            room.write(0, &words[..500]);
            room.write(500, &words[500..]);
            slots.replace(Slot(1), room);
            assert_eq!(slots.get(Slot(1)), words);
            let mut part = [0; 9];
            slots.words(Slot(1)).read(496, &mut part);
            assert_eq!(part, words[496..505]);
            assert_eq!(slots.take(Slot(1)), words);
            assert_eq!(slots.take(Slot(1)), vec![0; 777]);
        }
    }

    #[test]
    fn room_of_a_slot_that_is_read_is_new() {
        let mut slots = Slots::new(1, 3);
        slots.put(Slot(0), &[1, 2, 3]);
        let mut room = slots.room(Slot(0), Width::W64, true);
        room.write(0, &[4, 5, 6]);
        assert_eq!(slots.get(Slot(0)), [1, 2, 3]);
        slots.replace(Slot(0), room);
        assert_eq!(slots.get(Slot(0)), [4, 5, 6]);
    }
}
