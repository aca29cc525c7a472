//! Fields of frames: the low bits of each lane side by side, least significant first, padded to a byte.

/// Writes the low `bits` (1 to 64) of every value. `out` has exactly ⌈values·bits/8⌉ bytes.
#[inline(always)]
pub(crate) fn pack(values: &[u64], bits: u8, out: &mut [u8]) {
    match bits {
        64 => narrow(values, out, u64::to_le_bytes),
        32 => narrow(values, out, |value| (value as u32).to_le_bytes()),
        16 => narrow(values, out, |value| (value as u16).to_le_bytes()),
        8 => narrow(values, out, |value| [value as u8]),
        _ => PACKERS[usize::from(bits % 64)](values, out),
    }
}

/// The inverse of [`pack`]: one value below 2^`bits` per lane.
#[inline(always)]
pub(crate) fn unpack(bytes: &[u8], bits: u8, values: &mut [u64]) {
    match bits {
        64 => widen(bytes, values, u64::from_le_bytes),
        32 => widen(bytes, values, |word| u64::from(u32::from_le_bytes(word))),
        16 => widen(bytes, values, |word| u64::from(u16::from_le_bytes(word))),
        8 => widen(bytes, values, |[byte]| u64::from(byte)),
        _ => UNPACKERS[usize::from(bits % 64)](bytes, values),
    }
}

#[inline(always)]
fn narrow<const BYTES: usize>(values: &[u64], out: &mut [u8], word: impl Fn(u64) -> [u8; BYTES]) {
    let (words, _) = out.as_chunks_mut::<BYTES>();
    words.iter_mut().zip(values).for_each(|(bytes, &value)| *bytes = word(value));
}

#[inline(always)]
fn widen<const BYTES: usize>(bytes: &[u8], values: &mut [u64], word: impl Fn([u8; BYTES]) -> u64) {
    let (words, _) = bytes.as_chunks::<BYTES>();
    values.iter_mut().zip(words).for_each(|(value, &bytes)| *value = word(bytes));
}

/// Lanes that are packed together: as many bytes as a lane has bits.
const LANES: usize = 8;

/// Eight lanes are `BITS` bytes, and every shift is known when this is compiled: half the time of a loop over any width.
fn pack_eights<const BITS: usize>(values: &[u64], out: &mut [u8]) {
    let (eights, rest) = values.as_chunks::<LANES>();
    let (whole, tail) = out.split_at_mut(eights.len() * BITS);
    for (lanes, goal) in eights.iter().zip(whole.chunks_exact_mut(BITS)) {
        write(&words_of::<BITS>(lanes), goal);
    }
    if !rest.is_empty() {
        let mut lanes = [0; LANES];
        lanes[..rest.len()].copy_from_slice(rest);
        write(&words_of::<BITS>(&lanes), tail);
    }
}

/// The low bits of eight lanes, side by side.
#[inline(always)]
fn words_of<const BITS: usize>(lanes: &[u64; LANES]) -> [u64; LANES] {
    let mut words = [0; LANES];
    for (lane, value) in lanes.iter().enumerate() {
        let (value, word, shift) = (value & mask(BITS), lane * BITS / 64, lane * BITS % 64);
        words[word] |= value << shift;
        if shift + BITS > 64 {
            words[word + 1] |= value >> (64 - shift);
        }
    }
    words
}

#[inline(always)]
fn write(words: &[u64; LANES], goal: &mut [u8]) {
    let (whole, tail) = goal.as_chunks_mut::<8>();
    let count = tail.len();
    let last = words.get(whole.len()).map_or([0; 8], |word| word.to_le_bytes());
    whole.iter_mut().zip(words).for_each(|(goal, word)| *goal = word.to_le_bytes());
    tail.copy_from_slice(&last[..count]);
}

fn unpack_eights<const BITS: usize>(bytes: &[u8], values: &mut [u64]) {
    let (eights, rest) = values.as_chunks_mut::<LANES>();
    let (whole, tail) = bytes.split_at(eights.len() * BITS);
    for (lanes, from) in eights.iter_mut().zip(whole.chunks_exact(BITS)) {
        *lanes = lanes_of::<BITS>(from);
    }
    rest.copy_from_slice(&lanes_of::<BITS>(tail)[..rest.len()]);
}

/// Eight lanes from `BITS` bytes, zeros for what is missing.
#[inline(always)]
fn lanes_of<const BITS: usize>(from: &[u8]) -> [u64; LANES] {
    let mut words = [0; LANES];
    let (whole, tail) = from.as_chunks::<8>();
    words.iter_mut().zip(whole).for_each(|(word, bytes)| *word = u64::from_le_bytes(*bytes));
    if let Some(word) = words.get_mut(whole.len()) {
        let mut last = [0; 8];
        last[..tail.len()].copy_from_slice(tail);
        *word = u64::from_le_bytes(last);
    }
    let mut lanes = [0; LANES];
    for (lane, value) in lanes.iter_mut().enumerate() {
        let (word, shift) = (lane * BITS / 64, lane * BITS % 64);
        let low = words[word] >> shift;
        let high = if shift + BITS > 64 { words[word + 1] << (64 - shift) } else { 0 };
        *value = (low | high) & mask(BITS);
    }
    lanes
}

const fn mask(bits: usize) -> u64 {
    u64::MAX >> (64 - bits)
}

/// One function per width; 64 has its own, whose place is that of 0 here.
macro_rules! by_width {
    ($function:ident, $($bits:literal)*) => { [$function::<1>, $($function::<$bits>),*] };
}

macro_rules! every_width {
    ($function:ident) => {
        by_width!($function, 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32
            33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63)
    };
}

type Pack = fn(&[u64], &mut [u8]);
type Unpack = fn(&[u8], &mut [u64]);

const PACKERS: [Pack; 64] = every_width!(pack_eights);
const UNPACKERS: [Unpack; 64] = every_width!(unpack_eights);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_and_length_round_trips_and_has_the_stated_layout() {
        for bits in 1..=64u8 {
            for count in [0, 1, 2, 3, 7, 8, 9, 31, 64, 65, 255, 256] {
                let values: Vec<u64> = (1..=count as u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
                let mut bytes = vec![0xaa; (count * usize::from(bits)).div_ceil(8)];
                pack(&values, bits, &mut bytes);
                let mask = u64::MAX >> (64 - bits);
                for (place, bit) in (0..bytes.len() * 8).map(|place| (place, bytes[place / 8] >> (place % 8) & 1)) {
                    let (lane, index) = (place / usize::from(bits), place % usize::from(bits));
                    let expected = values.get(lane).map_or(0, |value| value >> index & 1);
                    assert_eq!(u64::from(bit), expected, "{bits} bits, {count} lanes, place {place}");
                }
                let mut back = vec![7; count];
                unpack(&bytes, bits, &mut back);
                assert!(back.iter().zip(&values).all(|(a, b)| *a == b & mask), "{bits} bits, {count} lanes");
            }
        }
    }
}
