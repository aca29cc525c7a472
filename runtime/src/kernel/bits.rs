//! Gathering and scattering bits inside a word, by a logarithmic number of steps (Hacker's Delight 7-4, for constant
//! masks).

use super::builder::{PartyBuilder, Word};

impl PartyBuilder {
    /// The bits of `a` at the places of `mask`, moved together at the bottom in their order. Other bits of `a` may be anything.
    pub fn compress(&mut self, a: Word, mask: u64) -> Word {
        let mut word = self.keep(a, mask);
        for (moving, by) in moves(mask) {
            let part = self.keep(word, moving);
            let rest = self.xor(word, part);
            let part = self.shift_right(part, by);
            word = self.or(rest, part);
        }
        word
    }

    /// The inverse of [`PartyBuilder::compress`]: the low bits of `a` go to the places of `mask`, zeros elsewhere.
    /// Precondition: `a` has no higher bits than `mask` has ones.
    pub fn expand(&mut self, a: Word, mask: u64) -> Word {
        let mut word = a;
        for (moving, by) in moves(mask).into_iter().rev() {
            let part = self.keep(word, moving >> by);
            let rest = self.xor(word, part);
            let part = self.shift_left(part, by);
            word = self.or(rest, part);
        }
        word
    }
}

/// The steps that move the bits of `mask` together: in step i those whose distance to their goal has bit i set.
fn moves(mask: u64) -> Vec<(u64, u8)> {
    let places: Vec<u32> = (0..64).filter(|&place| mask >> place & 1 == 1).collect();
    let mut now = places.clone();
    let mut steps = Vec::new();
    for step in 0..6u32 {
        let mut moving = 0u64;
        for (goal, place) in now.iter_mut().enumerate() {
            if (places[goal] - goal as u32) >> step & 1 == 1 {
                moving |= 1 << *place;
                *place -= 1 << step;
            }
        }
        if moving != 0 {
            steps.push((moving, 1 << step));
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compress(mut word: u64, mask: u64) -> u64 {
        word &= mask;
        for (moving, by) in moves(mask) {
            word = (word & !moving) | ((word & moving) >> by);
        }
        word
    }

    #[test]
    fn bits_move_together_and_back() {
        let mut state = 1u64;
        for _ in 0..2000 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let (mask, word) = (state ^ (state >> 29), state.rotate_left(17).wrapping_mul(0x9e37_79b9));
            let places = (0..64).filter(|place| mask >> place & 1 == 1);
            let expected = places.enumerate().fold(0, |sum, (goal, place)| sum | (word >> place & 1) << goal);
            assert_eq!(compress(word, mask), expected);
            let mut back = expected;
            for (moving, by) in moves(mask).into_iter().rev() {
                let part = back & (moving >> by);
                back = (back ^ part) | (part << by);
            }
            assert_eq!(back, word & mask);
        }
    }
}
