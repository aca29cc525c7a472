//! ChaCha12 with vectors of 512 bits: four blocks a register row, up to sixteen at once.
//!
//! Establishes the same key stream as the portable cipher that [`super::generator`] otherwise uses, against which it is
//! tested. A row of the state of four blocks is one register; a column round is twelve operations on rows, a rotation of
//! rows' words turns columns into diagonals. Two ports, 180 operations a group of four blocks: 2.8 bytes a cycle at best.

use super::generator::to_lanes;
use std::arch::x86_64::*;

/// Bytes of four blocks.
const GROUP_BYTES: usize = 256;

/// Whether the processor has what [`fill`] needs.
pub(super) fn available() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw")
}

/// Writes the lanes of the stream from `first_byte` on, each `WORD` bytes reduced to `bits` bits. `first_byte` is a
/// multiple of `WORD`, and the block counter does not wrap; the caller has checked both.
///
/// # Panics
/// A processor without AVX-512.
pub(super) fn fill<const WORD: usize>(key: &[u8; 32], nonce: &[u8; 12], first_byte: u64, bits: u8, out: &mut [u64]) {
    assert!(available());
    // SAFETY: the features were just asked for.
    #[allow(unsafe_code)]
    unsafe {
        wide::<WORD>(key, nonce, first_byte, bits, out);
    }
}

#[repr(align(64))]
struct Buffer([u8; 4 * GROUP_BYTES]);

#[target_feature(enable = "avx512f,avx512bw")]
fn wide<const WORD: usize>(key: &[u8; 32], nonce: &[u8; 12], first_byte: u64, bits: u8, mut out: &mut [u64]) {
    let word = |bytes: &[u8], index: usize| {
        let bytes = bytes[4 * index..].first_chunk().expect("four bytes of a word");
        i32::from_le_bytes(*bytes)
    };
    let row = |words: [i32; 4]| {
        let [a, b, c, d] = words;
        _mm512_set_epi32(d, c, b, a, d, c, b, a, d, c, b, a, d, c, b, a)
    };
    let rows = [
        row([0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574]),
        row(std::array::from_fn(|index| word(key, index))),
        row(std::array::from_fn(|index| word(key, 4 + index))),
        row([0, word(nonce, 0), word(nonce, 1), word(nonce, 2)]),
    ];
    let (mut counter, mut skip) = ((first_byte / 64) as u32, (first_byte % 64) as usize);
    let mut buffer = Buffer([0; 4 * GROUP_BYTES]);
    while !out.is_empty() {
        let groups = match (skip + out.len() * WORD).div_ceil(GROUP_BYTES) {
            1 => blocks::<1>(rows, counter, &mut buffer),
            2 => blocks::<2>(rows, counter, &mut buffer),
            _ => blocks::<4>(rows, counter, &mut buffer),
        };
        let stream = &buffer.0[skip..groups * GROUP_BYTES];
        let (lanes, rest) = out.split_at_mut(out.len().min(stream.len() / WORD));
        to_lanes::<WORD>(stream, bits, lanes);
        counter = counter.wrapping_add(4 * groups as u32);
        (skip, out) = (0, rest);
    }
}

/// Writes 4·`GROUPS` blocks from `counter` on, and says how many groups.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn blocks<const GROUPS: usize>(rows: [__m512i; 4], counter: u32, buffer: &mut Buffer) -> usize {
    let start: [[__m512i; 4]; GROUPS] = std::array::from_fn(|group| {
        let first = counter.wrapping_add(4 * group as u32);
        let count = |block: u32| first.wrapping_add(block) as i32;
        let counts = _mm512_set_epi32(0, 0, 0, count(3), 0, 0, 0, count(2), 0, 0, 0, count(1), 0, 0, 0, count(0));
        [rows[0], rows[1], rows[2], _mm512_add_epi32(rows[3], counts)]
    });
    let mut state = start;
    for _ in 0..6 {
        for group in &mut state {
            columns(group);
            let [_, b, c, d] = group;
            (*b, *c, *d) =
                (_mm512_shuffle_epi32::<0x39>(*b), _mm512_shuffle_epi32::<0x4e>(*c), _mm512_shuffle_epi32::<0x93>(*d));
        }
        for group in &mut state {
            columns(group);
            let [_, b, c, d] = group;
            (*b, *c, *d) =
                (_mm512_shuffle_epi32::<0x93>(*b), _mm512_shuffle_epi32::<0x4e>(*c), _mm512_shuffle_epi32::<0x39>(*d));
        }
    }
    let goals = buffer.0.as_chunks_mut::<64>().0.as_chunks_mut::<4>().0;
    for ((state, start), goals) in state.iter().zip(&start).zip(goals) {
        let [a, b, c, d] = std::array::from_fn(|row| _mm512_add_epi32(state[row], start[row]));
        let (low, high) = (_mm512_shuffle_i32x4::<0x44>(a, b), _mm512_shuffle_i32x4::<0x44>(c, d));
        let (low_end, high_end) = (_mm512_shuffle_i32x4::<0xee>(a, b), _mm512_shuffle_i32x4::<0xee>(c, d));
        let whole = [
            _mm512_shuffle_i32x4::<0x88>(low, high),
            _mm512_shuffle_i32x4::<0xdd>(low, high),
            _mm512_shuffle_i32x4::<0x88>(low_end, high_end),
            _mm512_shuffle_i32x4::<0xdd>(low_end, high_end),
        ];
        for (goal, block) in goals.iter_mut().zip(whole) {
            // SAFETY: a goal has the 64 bytes of a block.
            #[allow(unsafe_code)]
            unsafe {
                _mm512_storeu_si512(goal.as_mut_ptr().cast(), block);
            }
        }
    }
    GROUPS
}

/// A quarter round on every column of four blocks.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn columns([a, b, c, d]: &mut [__m512i; 4]) {
    *a = _mm512_add_epi32(*a, *b);
    *d = _mm512_rol_epi32::<16>(_mm512_xor_si512(*d, *a));
    *c = _mm512_add_epi32(*c, *d);
    *b = _mm512_rol_epi32::<12>(_mm512_xor_si512(*b, *c));
    *a = _mm512_add_epi32(*a, *b);
    *d = _mm512_rol_epi32::<8>(_mm512_xor_si512(*d, *a));
    *c = _mm512_add_epi32(*c, *d);
    *b = _mm512_rol_epi32::<7>(_mm512_xor_si512(*b, *c));
}
