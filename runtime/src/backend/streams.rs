//! Masks from the generators of a session.

use super::DrawSource;
use crate::kernel::{Draw, Pair};
use crate::random::{self, Generator, Key, Label, Roles};

/// The streams of one tile of one node, for the generators that a party holds.
///
/// A session that rotates roles between tiles gives the generators by their *role* pair: which parties' key serves
/// roles 1 and 2 in this tile. The label carries the role pair, and parties that share a key agree on the rotation.
#[derive(Debug, Default)]
pub struct Streams<'a> {
    node: u32,
    tile: u32,
    generators: Vec<(Pair, &'a Generator)>,
}

impl<'a> Streams<'a> {
    /// The streams of `tile` of `node`, without generators yet. No two executions of a run use the same numbers.
    pub fn new(node: u32, tile: u32) -> Streams<'a> {
        Streams { node, tile, generators: Vec::new() }
    }

    /// Adds the generator that the two roles of `pair` share.
    pub fn with(mut self, pair: Pair, generator: &'a Generator) -> Streams<'a> {
        self.generators.push((pair, generator));
        self
    }

    /// The key under which the two roles of `pair` draw, for a back end that draws itself.
    pub(crate) fn key(&self, pair: Pair) -> Option<&Key> {
        self.generators.iter().find(|(own, _)| *own == pair).map(|(_, generator)| generator.key())
    }

    /// The node that the streams belong to.
    pub(crate) fn node(&self) -> u32 {
        self.node
    }

    /// The tile of the node.
    pub(crate) fn tile(&self) -> u32 {
        self.tile
    }
}

impl DrawSource for Streams<'_> {
    fn fill(&self, draw: &Draw, first_lane: u64, out: &mut [u64]) -> Result<(), random::Error> {
        let roles = Roles::new(draw.pair.number())?;
        let generator = self.generators.iter().find(|(pair, _)| *pair == draw.pair);
        let (_, generator) = generator.ok_or(random::Error::Roles(draw.pair.number()))?;
        let label = Label {
            node: self.node,
            tile: self.tile,
            roles,
            step: draw.step,
            draw: random::Draw::new(draw.number())?,
            bits: draw.bits,
        };
        generator.fill(&label, first_lane, out)
    }
}
