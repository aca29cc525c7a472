//! Fields of frames: the low bits of each lane side by side, least significant first, padded to a byte.

/// Writes the low `bits` (1 to 64) of every value. `out` has exactly ⌈values·bits/8⌉ bytes.
#[inline(always)]
pub(crate) fn pack(values: &[u64], bits: u8, out: &mut [u8]) {
    match bits {
        64 => narrow(values, out, u64::to_le_bytes),
        32 => narrow(values, out, |value| (value as u32).to_le_bytes()),
        16 => narrow(values, out, |value| (value as u16).to_le_bytes()),
        8 => narrow(values, out, |value| [value as u8]),
        0..=16 => pack_eights(values, u32::from(bits), out),
        _ => pack_any(values, u32::from(bits), out),
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
        0..=16 => unpack_eights(bytes, u32::from(bits), values),
        _ => unpack_any(bytes, u32::from(bits), values),
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

/// At most 16 bits: eight lanes are `bits` bytes, in two halves of at most 64 bits whose shifts do not wait for each
/// other. Sixteen bytes are written at once where there is room; the next lanes overwrite what is too much.
#[inline(always)]
fn pack_eights(values: &[u64], bits: u32, out: &mut [u8]) {
    let (width, mask) = (bits as usize, u64::MAX >> (64 - bits));
    let (eights, rest) = values.as_chunks::<8>();
    for (index, lanes) in eights.iter().enumerate() {
        let half = |first: usize| {
            (lanes[first] & mask)
                | (lanes[first + 1] & mask) << bits
                | (lanes[first + 2] & mask) << (2 * bits)
                | (lanes[first + 3] & mask) << (3 * bits)
        };
        let (low, high) = (half(0), half(4));
        let goal = &mut out[index * width..];
        if bits <= 8 {
            let word = (low | high << (4 * bits)).to_le_bytes();
            match goal.first_chunk_mut() {
                Some(goal) => *goal = word,
                None => goal[..width].copy_from_slice(&word[..width]),
            }
        } else {
            let word = (u128::from(low) | u128::from(high) << (4 * bits)).to_le_bytes();
            match goal.first_chunk_mut() {
                Some(goal) => *goal = word,
                None => goal[..width].copy_from_slice(&word[..width]),
            }
        }
    }
    pack_any(rest, bits, &mut out[eights.len() * width..]);
}

#[inline(always)]
fn unpack_eights(bytes: &[u8], bits: u32, values: &mut [u64]) {
    let (width, mask) = (bits as usize, u64::MAX >> (64 - bits));
    let (eights, rest) = values.as_chunks_mut::<8>();
    let count = eights.len();
    for (index, lanes) in eights.iter_mut().enumerate() {
        let from = &bytes[index * width..];
        let (low, high) = if bits <= 8 {
            let word = match from.first_chunk() {
                Some(word) => u64::from_le_bytes(*word),
                None => padded(&from[..width]) as u64,
            };
            (word, word >> (4 * bits))
        } else {
            let word = match from.first_chunk() {
                Some(word) => u128::from_le_bytes(*word),
                None => padded(&from[..width]),
            };
            (word as u64, (word >> (4 * bits)) as u64)
        };
        for lane in 0..4 {
            lanes[lane] = low >> (lane as u32 * bits) & mask;
            lanes[4 + lane] = high >> (lane as u32 * bits) & mask;
        }
    }
    unpack_any(&bytes[count * width..], bits, rest);
}

/// At most sixteen bytes as a number.
#[inline(always)]
fn padded(bytes: &[u8]) -> u128 {
    bytes.iter().rev().fold(0, |word, &byte| word << 8 | u128::from(byte))
}

#[inline(always)]
fn pack_any(values: &[u64], bits: u32, out: &mut [u8]) {
    let mask = u64::MAX >> (64 - bits);
    let (words, tail) = out.as_chunks_mut::<8>();
    let mut words = words.iter_mut();
    let (mut word, mut fill) = (0u64, 0u32);
    for &value in values {
        let value = value & mask;
        word |= value << fill;
        fill += bits;
        if fill >= 64 {
            fill -= 64;
            if let Some(bytes) = words.next() {
                *bytes = word.to_le_bytes();
            }
            // `bits` is below 64 here, so the shift is below 64 as well.
            word = value >> (bits - fill);
        }
    }
    // What is left has 0 to 64 bits: a last whole word, or the tail.
    let last = word.to_le_bytes();
    match words.next() {
        Some(bytes) => *bytes = last,
        None => tail.copy_from_slice(&last[..tail.len()]),
    }
}

#[inline(always)]
fn unpack_any(bytes: &[u8], bits: u32, values: &mut [u64]) {
    let mask = u64::MAX >> (64 - bits);
    // Where sixteen bytes can be read, one wide load holds the lane wherever it starts in its first byte; eight bytes
    // hold a lane of at most 57 bits.
    let wide = (bytes.len().saturating_sub(15) * 8 / bits as usize).min(values.len());
    let (head, rest) = values.split_at_mut(wide);
    if bits <= 57 {
        for (lane, value) in head.iter_mut().enumerate() {
            let place = lane * bits as usize;
            let word = bytes[place / 8..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
            *value = word >> (place % 8) & mask;
        }
    } else {
        unpack_wide(bytes, bits, head);
    }
    for (lane, value) in rest.iter_mut().enumerate() {
        let place = (wide + lane) * bits as usize;
        let mut padded = [0u8; 16];
        let from = &bytes[place / 8..];
        let count = from.len().min(16);
        padded[..count].copy_from_slice(&from[..count]);
        *value = (u128::from_le_bytes(padded) >> (place % 8)) as u64 & mask;
    }
}

#[inline(always)]
fn unpack_wide(bytes: &[u8], bits: u32, values: &mut [u64]) {
    let mask = u64::MAX >> (64 - bits);
    for (lane, value) in values.iter_mut().enumerate() {
        let place = lane * bits as usize;
        *value = (load(&bytes[place / 8..]) >> (place % 8)) as u64 & mask;
    }
}

#[inline(always)]
fn load(bytes: &[u8]) -> u128 {
    bytes.first_chunk::<16>().map_or(0, |bytes| u128::from_le_bytes(*bytes))
}

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
