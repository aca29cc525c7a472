//! Fields of frames: the low bits of each lane side by side, least significant first, padded to a byte.

/// Writes the low `bits` (1 to 64) of every value. `out` has exactly ⌈values·bits/8⌉ bytes.
#[inline(always)]
pub(super) fn pack(values: &[u64], bits: u8, out: &mut [u8]) {
    match bits {
        64 => narrow(values, out, u64::to_le_bytes),
        32 => narrow(values, out, |value| (value as u32).to_le_bytes()),
        16 => narrow(values, out, |value| (value as u16).to_le_bytes()),
        8 => narrow(values, out, |value| [value as u8]),
        _ => pack_any(values, u32::from(bits), out),
    }
}

/// The inverse of [`pack`]: one value below 2^`bits` per lane.
#[inline(always)]
pub(super) fn unpack(bytes: &[u8], bits: u8, values: &mut [u64]) {
    match bits {
        64 => widen(bytes, values, u64::from_le_bytes),
        32 => widen(bytes, values, |word| u64::from(u32::from_le_bytes(word))),
        16 => widen(bytes, values, |word| u64::from(u16::from_le_bytes(word))),
        8 => widen(bytes, values, |[byte]| u64::from(byte)),
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
    // Where sixteen bytes can be read, one wide load holds the lane wherever it starts in its first byte.
    let wide = (bytes.len().saturating_sub(15) * 8 / bits as usize).min(values.len());
    let (head, rest) = values.split_at_mut(wide);
    for (lane, value) in head.iter_mut().enumerate() {
        let place = lane * bits as usize;
        *value = (load(&bytes[place / 8..]) >> (place % 8)) as u64 & mask;
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
