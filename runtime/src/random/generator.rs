//! Streams of masks for one run of a session.

use chacha20::{
    ChaCha12,
    cipher::{KeyIvInit, StreamCipher, StreamCipherSeek},
};

use super::{Error, Key, Label, SessionId};

/// Blocks of 64 bytes that one stream may use. The last ones of the 32-bit counter stay unused, so
/// that no implementation that computes several blocks at once ever wraps it.
const BLOCKS_MAX: u64 = (1 << 32) - 64;
const BLOCK_BYTES: u64 = 64;
const PURPOSE: &str = "chebyshare 2026 run key of a pair of parties";

/// The streams that the holders of one key share during one run.
///
/// Both holders make it from the same key, session and run; each label then names the same values
/// on both sides.
#[derive(Debug)]
pub struct Generator {
    key: Key,
}

impl Generator {
    /// The streams of `run` of `session` under `key`.
    pub fn new(key: &Key, session: &SessionId, run: u64) -> Self {
        let mut context = [0; 40];
        context[..32].copy_from_slice(&session.0);
        context[32..].copy_from_slice(&run.to_le_bytes());
        Self { key: key.derive(PURPOSE, &context) }
    }

    /// The key of every stream of this run.
    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    /// Writes lanes `first_lane..first_lane + out.len()` of the stream `label`, each uniform in
    /// `0..2^label.bits`.
    ///
    /// Lanes are random access: any split of a range into calls gives the same values.
    ///
    /// # Errors
    /// A width outside 1 to 64, and lanes beyond the stream's end; `out` is then unchanged.
    pub fn fill(&self, label: &Label, first_lane: u64, out: &mut [u64]) -> Result<(), Error> {
        let nonce = label.encode()?;
        let word_bytes = label.word_bytes();
        let limit = BLOCKS_MAX * BLOCK_BYTES / word_bytes as u64;
        let count = out.len() as u64;
        let exhausted = || Error::Exhausted { first: first_lane, count, limit };
        let end = first_lane.checked_add(count);
        if end.is_none_or(|end| end > limit) {
            return Err(exhausted());
        }
        let first = first_lane * word_bytes as u64;
        match word_bytes {
            1 => self.write::<1>(&nonce, first, label.bits, out),
            2 => self.write::<2>(&nonce, first, label.bits, out),
            4 => self.write::<4>(&nonce, first, label.bits, out),
            _ => self.write::<8>(&nonce, first, label.bits, out),
        }
        .ok_or_else(exhausted)
    }

    fn write<const WORD: usize>(&self, nonce: &[u8; 12], first: u64, bits: u8, out: &mut [u64]) -> Option<()> {
        #[cfg(target_arch = "x86_64")]
        if super::wide::available() {
            super::wide::fill::<WORD>(self.key.bytes(), nonce, first, bits, out);
            return Some(());
        }
        self.write_portable::<WORD>(nonce, first, bits, out)
    }

    /// Key stream to lanes, through a buffer that stays in the first-level cache; `None` beyond the stream's end.
    fn write_portable<const WORD: usize>(&self, nonce: &[u8; 12], first: u64, bits: u8, out: &mut [u64]) -> Option<()> {
        const BUFFER_BYTES: usize = 4096;
        let mut cipher = ChaCha12::new(self.key.bytes().into(), nonce.into());
        cipher.try_seek(first).ok()?;
        let mut buffer = [0; BUFFER_BYTES];
        for lanes in out.chunks_mut(BUFFER_BYTES / WORD) {
            let stream = &mut buffer[..lanes.len() * WORD];
            cipher.write_keystream(stream);
            to_lanes::<WORD>(stream, bits, lanes);
        }
        Some(())
    }
}

/// Little-endian words of `WORD` bytes, at most eight, to lanes of `bits` bits.
#[inline(always)]
pub(super) fn to_lanes<const WORD: usize>(stream: &[u8], bits: u8, lanes: &mut [u64]) {
    let mask = u64::MAX >> (64 - u32::from(bits));
    for (lane, bytes) in lanes.iter_mut().zip(stream.as_chunks::<WORD>().0) {
        let mut wide = [0; 8];
        wide[..WORD].copy_from_slice(bytes);
        *lane = u64::from_le_bytes(wide) & mask;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Draw, Roles};

    const SESSION: SessionId = SessionId([5; 32]);

    fn generator(run: u64) -> Generator {
        Generator::new(&Key::from_bytes([1; 32]), &SESSION, run)
    }

    fn label(bits: u8) -> Label {
        Label { node: 3, tile: 4, roles: Roles::named::<1>(), step: 2, draw: Draw::named::<9>(), bits }
    }

    fn draw(generator: &Generator, label: &Label, first: u64, count: usize) -> Vec<u64> {
        let mut out = vec![0; count];
        generator.fill(label, first, &mut out).unwrap();
        out
    }

    #[test]
    fn lanes_beyond_the_stream_are_refused() {
        for (bits, limit) in [(64, (1 << 35) - 512), (8, (1 << 38) - 4096)] {
            let mut out = [7; 2];
            for first in [limit - 1, limit, u64::MAX] {
                let refused = generator(0).fill(&label(bits), first, &mut out);
                let expected = Error::Exhausted { first, count: 2, limit };
                assert_eq!(refused, Err(expected));
            }
            assert_eq!(out, [7; 2]);
            generator(0).fill(&label(bits), limit - 2, &mut out).unwrap();
        }
        let refused = generator(0).fill(&label(65), 0, &mut [0]);
        assert_eq!(refused, Err(Error::Width(65)));
    }

    /// The last lanes of a stream are not its first ones: the counter has not wrapped.
    #[test]
    fn the_end_of_a_stream_differs_from_its_start() {
        let last = draw(&generator(0), &label(64), (1 << 35) - 512 - 600, 600);
        let first = draw(&generator(0), &label(64), 0, 1200);
        assert!(last.iter().all(|word| !first.contains(word)));
    }

    #[test]
    fn both_holders_draw_the_same_at_any_split() {
        for bits in [1, 3, 8, 9, 16, 31, 32, 40, 63, 64] {
            let whole = draw(&generator(7), &label(bits), 0, 2000);
            let other = generator(7);
            for (first, count) in [(0, 1), (1, 511), (511, 3), (513, 1487), (1999, 1)] {
                let part = draw(&other, &label(bits), first, count);
                assert_eq!(part, whole[first as usize..][..count], "{bits} bits from {first}");
            }
        }
    }

    #[test]
    fn the_wide_stream_equals_the_portable_one_at_every_offset_and_length() {
        let generator = generator(3);
        let nonce = label(64).encode().unwrap();
        let check = |first: u64, count: usize, bits: u8| {
            let [mut wide, mut portable] = [vec![1; count], vec![2; count]];
            let done = match label(bits).word_bytes() {
                1 => [
                    generator.write::<1>(&nonce, first, bits, &mut wide),
                    generator.write_portable::<1>(&nonce, first, bits, &mut portable),
                ],
                2 => [
                    generator.write::<2>(&nonce, first, bits, &mut wide),
                    generator.write_portable::<2>(&nonce, first, bits, &mut portable),
                ],
                4 => [
                    generator.write::<4>(&nonce, first, bits, &mut wide),
                    generator.write_portable::<4>(&nonce, first, bits, &mut portable),
                ],
                _ => [
                    generator.write::<8>(&nonce, first, bits, &mut wide),
                    generator.write_portable::<8>(&nonce, first, bits, &mut portable),
                ],
            };
            assert_eq!(done, [Some(()); 2]);
            assert_eq!(wide, portable, "{count} lanes of {bits} bits from byte {first}");
        };
        for bits in [1, 7, 8, 9, 16, 20, 32, 33, 64] {
            let word = label(bits).word_bytes() as u64;
            for count in [0, 1, 2, 3, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 512, 1000] {
                for first in [0, 1, 7, 8, 63, 64, 1 << 29] {
                    check(first * word, count, bits);
                }
            }
        }
    }

    #[test]
    fn a_different_label_session_run_or_key_is_a_different_stream() {
        let base = draw(&generator(0), &label(64), 0, 64);
        let l = label(64);
        let others = [
            draw(&generator(0), &Label { node: 4, ..l }, 0, 64),
            draw(&generator(0), &Label { tile: 5, ..l }, 0, 64),
            draw(&generator(0), &Label { roles: Roles::named::<2>(), ..l }, 0, 64),
            draw(&generator(0), &Label { step: 3, ..l }, 0, 64),
            draw(&generator(0), &Label { draw: Draw::named::<10>(), ..l }, 0, 64),
            draw(&generator(0), &Label { bits: 63, ..l }, 0, 64),
            draw(&generator(1), &l, 0, 64),
            draw(&Generator::new(&Key::from_bytes([2; 32]), &SESSION, 0), &l, 0, 64),
            draw(&Generator::new(&Key::from_bytes([1; 32]), &SessionId([6; 32]), 0), &l, 0, 64),
        ];
        for (index, other) in others.iter().enumerate() {
            let shared = base.iter().filter(|word| other.contains(word)).count();
            assert_eq!(shared, 0, "variant {index} shares {shared} words");
        }
    }

    /// Independent of the cipher crate: ChaCha with 12 rounds written from RFC 8439's text.
    fn chacha12_block(key: &[u8; 32], counter: u32, nonce: &[u8; 12]) -> [u8; 64] {
        let mut start = [0u32; 16];
        start[..4].copy_from_slice(&[0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574]);
        let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap());
        for (slot, bytes) in start[4..12].iter_mut().zip(key.chunks(4)) {
            *slot = word(bytes);
        }
        start[12] = counter;
        for (slot, bytes) in start[13..].iter_mut().zip(nonce.chunks(4)) {
            *slot = word(bytes);
        }
        let mut state = start;
        let quarter = |s: &mut [u32; 16], [a, b, c, d]: [usize; 4]| {
            for (x, y, z, turn) in [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)] {
                s[x] = s[x].wrapping_add(s[y]);
                s[z] = (s[z] ^ s[x]).rotate_left(turn);
            }
        };
        for _ in 0..6 {
            for i in 0..4 {
                quarter(&mut state, [i, i + 4, i + 8, i + 12]);
            }
            for i in 0..4 {
                quarter(&mut state, [i, (i + 1) % 4 + 4, (i + 2) % 4 + 8, (i + 3) % 4 + 12]);
            }
        }
        let mut block = [0; 64];
        for (bytes, (a, b)) in block.chunks_mut(4).zip(state.iter().zip(start)) {
            bytes.copy_from_slice(&a.wrapping_add(b).to_le_bytes());
        }
        block
    }

    #[test]
    fn values_are_chacha12_of_the_encoded_label() {
        let generator = generator(42);
        for bits in [1, 5, 8, 12, 16, 24, 32, 40, 64] {
            let label = label(bits);
            let nonce = label.encode().unwrap();
            let stream: Vec<u8> =
                (0..20).flat_map(|counter| chacha12_block(generator.key.bytes(), counter, &nonce)).collect();
            let bytes = label.word_bytes();
            let mask = u64::MAX >> (64 - u32::from(bits));
            let expected: Vec<u64> = stream
                .chunks(bytes)
                .map(|word| {
                    let mut wide = [0; 8];
                    wide[..bytes].copy_from_slice(word);
                    u64::from_le_bytes(wide) & mask
                })
                .collect();
            assert_eq!(draw(&generator, &label, 0, expected.len()), expected, "{bits} bits");
        }
    }
}
