//! The name of one stream of masks, and its injective encoding.

use super::Error;

/// Bytes of the encoded label: the nonce of RFC 8439.
pub const NONCE_BYTES: usize = 12;

const ROLES_BITS: u32 = 4;
const STEP_BITS: u32 = 8;
const DRAW_BITS: u32 = 14;
const WIDTH_BITS: u32 = 6;

/// Which roles of an operation share the stream, for example dealer and first receiver. A number
/// below [`Roles::LIMIT`] that the protocol gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Roles(u8);

impl Roles {
    /// Roles are numbered from 0 to one below this.
    pub const LIMIT: u8 = 1 << ROLES_BITS;

    /// Roles known when the program is compiled; too large a number does not compile.
    pub const fn named<const NUMBER: u8>() -> Self {
        const { assert!(NUMBER < Self::LIMIT, "roles do not fit a label") };
        Self(NUMBER)
    }

    /// Roles computed at run time, refused when they do not fit.
    pub fn new(number: u8) -> Result<Self, Error> {
        if number < Self::LIMIT { Ok(Self(number)) } else { Err(Error::Roles(number)) }
    }

    /// The number given.
    pub fn number(self) -> u8 {
        self.0
    }
}

/// Which random value of a step is drawn. Every draw of a protocol has its own number below
/// [`Draw::LIMIT`]; two draws that share one are the error this type is there to prevent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Draw(u16);

impl Draw {
    /// Draws are numbered from 0 to one below this.
    pub const LIMIT: u16 = 1 << DRAW_BITS;

    /// A draw known when the program is compiled; too large a number does not compile.
    pub const fn named<const NUMBER: u16>() -> Self {
        const { assert!(NUMBER < Self::LIMIT, "a draw does not fit a label") };
        Self(NUMBER)
    }

    /// A draw computed at run time, refused when it does not fit.
    pub fn new(number: u16) -> Result<Self, Error> {
        if number < Self::LIMIT { Ok(Self(number)) } else { Err(Error::Draw(number)) }
    }

    /// The number given.
    pub fn number(self) -> u16 {
        self.0
    }
}

/// The name of one stream within a session's run.
///
/// | field | bits of the nonce, least significant first |
/// | --- | --- |
/// | `node` | 0–31 |
/// | `tile` | 32–63 |
/// | `bits` − 1 | 64–69 |
/// | `step` | 70–77 |
/// | `roles` | 78–81 |
/// | `draw` | 82–95 |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Label {
    /// Node of the graph.
    pub node: u32,
    /// Tile of the node; the tile's size is in the plan.
    pub tile: u32,
    /// Which roles share the stream.
    pub roles: Roles,
    /// Step of the operation.
    pub step: u8,
    /// Which value of the step.
    pub draw: Draw,
    /// Width of a value in bits, 1 to 64.
    pub bits: u8,
}

impl Label {
    /// The nonce of this label. Injective: the fields fill disjoint bits, and a field that would
    /// not fit is refused here or could not be made.
    pub fn encode(&self) -> Result<[u8; NONCE_BYTES], Error> {
        if self.bits == 0 || self.bits > 64 {
            return Err(Error::Width(self.bits));
        }
        let mut low = u64::from(self.tile) << 32;
        low |= u64::from(self.node);
        let mut high = u32::from(self.bits - 1);
        high |= u32::from(self.step) << WIDTH_BITS;
        high |= u32::from(self.roles.0) << (WIDTH_BITS + STEP_BITS);
        high |= u32::from(self.draw.0) << (WIDTH_BITS + STEP_BITS + ROLES_BITS);
        let mut nonce = [0; NONCE_BYTES];
        nonce[..8].copy_from_slice(&low.to_le_bytes());
        nonce[8..].copy_from_slice(&high.to_le_bytes());
        Ok(nonce)
    }

    /// Bytes of the word that holds one lane: 1, 2, 4 or 8.
    pub(super) fn word_bytes(&self) -> usize {
        usize::from(self.bits.div_ceil(8)).next_power_of_two()
    }
}

const _: () = assert!(WIDTH_BITS + STEP_BITS + ROLES_BITS + DRAW_BITS == 32, "the fields fill the nonce exactly");

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn label() -> Label {
        Label { node: 0, tile: 0, roles: Roles::named::<0>(), step: 0, draw: Draw::named::<0>(), bits: 1 }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert_eq!(Roles::new(16), Err(Error::Roles(16)));
        assert_eq!(Draw::new(1 << 14), Err(Error::Draw(1 << 14)));
        for bits in [0, 65, 255] {
            assert_eq!(Label { bits, ..label() }.encode(), Err(Error::Width(bits)));
        }
    }

    #[test]
    fn words_are_the_least_that_hold_a_lane() {
        for (bits, bytes) in [(1, 1), (8, 1), (9, 2), (16, 2), (17, 4), (32, 4), (33, 8), (64, 8)] {
            assert_eq!(Label { bits, ..label() }.word_bytes(), bytes, "{bits} bits");
        }
    }

    /// All labels whose fields are among the ends of their ranges and a few values between:
    /// every pair of fields meets at its borders, so a carry or an overlap shows as a collision.
    fn small_fields() -> Vec<Label> {
        let words = [0, 1, 2, 1 << 16, u32::MAX - 1, u32::MAX];
        let mut labels = Vec::new();
        for node in words {
            for tile in words {
                for roles in (0..16).map(|number| Roles::new(number).unwrap()) {
                    for step in [0, 1, 2, 63, 64, 254, 255] {
                        for draw in [0, 1, 2, 255, 256, 16382, 16383] {
                            for bits in [1, 2, 8, 32, 63, 64] {
                                let draw = Draw::new(draw).unwrap();
                                labels.push(Label { node, tile, roles, step, draw, bits });
                            }
                        }
                    }
                }
            }
        }
        labels
    }

    fn collisions(labels: &[Label], encode: impl Fn(&Label) -> [u8; NONCE_BYTES]) -> usize {
        let mut seen = HashMap::with_capacity(labels.len());
        labels.iter().filter(|label| seen.insert(encode(label), **label).is_some()).count()
    }

    #[test]
    fn encoding_is_injective_over_small_fields() {
        let labels = small_fields();
        assert_eq!(labels.len(), 6 * 6 * 16 * 7 * 7 * 6);
        assert_eq!(collisions(&labels, |label| label.encode().unwrap()), 0);
    }

    #[test]
    fn encodings_that_drop_a_field_are_caught() {
        let labels = small_fields();
        let mutants: [fn(&Label) -> Label; 6] = [
            |label| Label { node: label.node & 0xffff, ..*label },
            |label| Label { tile: label.tile >> 1, ..*label },
            |label| Label { roles: Roles(label.roles.0 & 7), ..*label },
            |label| Label { step: label.step & 63, ..*label },
            |label| Label { draw: Draw(label.draw.0 & 0xff), ..*label },
            |label| Label { bits: label.bits.max(2), ..*label },
        ];
        for mutant in mutants {
            assert!(collisions(&labels, |label| mutant(label).encode().unwrap()) > 0);
        }
    }

    /// Every field can be read back from where the table says it is, all values of the narrow
    /// fields included: an inverse exists, hence the encoding is injective.
    #[test]
    fn every_narrow_field_is_read_back() {
        let check = |label: Label| {
            let nonce = label.encode().unwrap();
            let node = u32::from_le_bytes(nonce[..4].try_into().unwrap());
            let tile = u32::from_le_bytes(nonce[4..8].try_into().unwrap());
            let high = u32::from_le_bytes(nonce[8..].try_into().unwrap());
            let back = Label {
                node,
                tile,
                bits: (high & 63) as u8 + 1,
                step: (high >> 6) as u8,
                roles: Roles((high >> 14) as u8 & 15),
                draw: Draw((high >> 18) as u16),
            };
            assert_eq!(back, label);
        };
        for bits in 1..=64 {
            for step in 0..=255 {
                for roles in 0..16 {
                    let roles = Roles(roles);
                    check(Label { roles, step, bits, ..label() });
                }
            }
        }
        for draw in 0..Draw::LIMIT {
            let draw = Draw(draw);
            check(Label { node: u32::MAX, tile: 7, draw, step: 255, roles: Roles(15), bits: 64 });
        }
    }
}
