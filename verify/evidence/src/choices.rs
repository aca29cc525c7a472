//! What an adversary chose, how a state remembers it, and the adversary that does it again.

use catalogs::{Adversary, Ring, Rounding, ValueId};

/// What an adversary did at one operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Choice {
    /// δ of a truncation.
    Rounding(i8),
    /// A bit inside its band.
    Bit(bool),
}

/// The choices of one run, in order of operations; operations without one had no choice, or it does not matter.
pub type Choices = Vec<(ValueId, Choice)>;

/// The adversary that repeats `Choices`.
#[derive(Clone, Debug)]
pub struct Replay<'a>(pub &'a [(ValueId, Choice)]);

impl Replay<'_> {
    fn find(&self, op: ValueId) -> Option<Choice> {
        self.0.iter().find(|(id, _)| *id == op).map(|(_, choice)| *choice)
    }
}

impl Adversary for Replay<'_> {
    fn rounding(&mut self, op: ValueId, _: i128, rounding: Rounding) -> i8 {
        match self.find(op) {
            Some(Choice::Rounding(delta)) => delta,
            _ => rounding.low,
        }
    }
    fn outside(&mut self, op: ValueId, operand: i128, _: Ring) -> i128 {
        // Any element will do where the output does not depend on it; this one is unlike every likely value.
        operand ^ 0x5a5a_5a5a ^ i128::from(op.0)
    }
    fn band(&mut self, op: ValueId, _: i128, exact: bool) -> bool {
        match self.find(op) {
            Some(Choice::Bit(bit)) => bit,
            _ => exact,
        }
    }
}

/// Remembers how a state came about, or does not.
pub trait History {
    /// What a state carries.
    type Tag: Copy + Default;
    /// The tag of the state that `choice` at `op` makes of one tagged `parent`.
    fn extend(&mut self, parent: Self::Tag, op: usize, choice: Choice) -> Self::Tag;
}

/// Remembers nothing, at no cost.
pub struct Forget;

impl History for Forget {
    type Tag = ();
    fn extend(&mut self, (): (), _: usize, _: Choice) {}
}

/// Remembers every choice.
#[derive(Default)]
pub struct Remember(Vec<(u32, ValueId, Choice)>);

impl Remember {
    /// The choices that led to the state with this tag.
    pub fn choices(&self, tag: u32) -> Choices {
        let mut choices = Vec::new();
        let mut tag = tag;
        while tag != 0 {
            let (parent, op, choice) = self.0[tag as usize - 1];
            choices.push((op, choice));
            tag = parent;
        }
        choices.reverse();
        choices
    }
}

impl History for Remember {
    type Tag = u32;
    fn extend(&mut self, parent: u32, op: usize, choice: Choice) -> u32 {
        self.0.push((parent, ValueId(op as u16), choice));
        self.0.len() as u32
    }
}
