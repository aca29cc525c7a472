//! What a party is asked to do, by kind.

use crate::transport::SideBySide;
use std::ops::{Add, AddAssign, Index, Sub};

/// A kind of work that takes time in proportion to its amount.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Resource {
    /// A round: frames leave and arrive, threads wake.
    Round,
    /// A part of a round beyond its first: more frames leave and arrive.
    Part,
    /// A payload byte that the party sends: packed, sealed, opened, unpacked.
    Byte,
    /// A round whose messages arrive in several parts: parties wait for parts of each other, and with them for each other's
    /// threads.
    PartRound,
    /// A payload byte of a round in several parts: what is sealed and opened while a party waits in other rounds takes a
    /// processor from who computes.
    PartByte,
    /// A round of a run beside others, which computes while others wait.
    BesideRound,
    /// A payload byte of a run beside others, whose processors are busy.
    BesideByte,
    /// A stage of a tile of a node: its kernel is set up once, whatever it computes.
    Stage,
    /// A step of a kernel on one lane.
    Step,
    /// A random word that a kernel draws for one lane.
    Draw,
    /// A word that a local sum or movement writes.
    Word,
    /// A multiply-add of words in a product with a weight that was packed in advance.
    PackedMultiplyAdd,
    /// A multiply-add of words in any other product of matrices.
    MultiplyAdd,
    /// A multiply-add of words in a convolution.
    ConvolutionMultiplyAdd,
}

impl Resource {
    /// All kinds, in the order of [`Work`].
    pub const ALL: [Resource; 14] = [
        Resource::Round,
        Resource::Part,
        Resource::Byte,
        Resource::PartRound,
        Resource::PartByte,
        Resource::BesideRound,
        Resource::BesideByte,
        Resource::Stage,
        Resource::Step,
        Resource::Draw,
        Resource::Word,
        Resource::PackedMultiplyAdd,
        Resource::MultiplyAdd,
        Resource::ConvolutionMultiplyAdd,
    ];

    /// Its name in files.
    pub const fn name(self) -> &'static str {
        match self {
            Resource::Round => "round",
            Resource::Part => "part",
            Resource::Byte => "byte",
            Resource::PartRound => "part_round",
            Resource::PartByte => "part_byte",
            Resource::BesideRound => "beside_round",
            Resource::BesideByte => "beside_byte",
            Resource::Stage => "stage",
            Resource::Step => "step",
            Resource::Draw => "draw",
            Resource::Word => "word",
            Resource::PackedMultiplyAdd => "packed_multiply_add",
            Resource::MultiplyAdd => "multiply_add",
            Resource::ConvolutionMultiplyAdd => "convolution_multiply_add",
        }
    }

    /// Whether twice the inputs of a run, or lanes of a kernel, ask twice as much of it.
    pub const fn grows(self) -> bool {
        !matches!(self, Resource::Round | Resource::PartRound | Resource::BesideRound | Resource::Stage)
    }
}

/// Amounts of every kind, of one party: the mean of the three, whose roles rotate.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Work([f64; Resource::ALL.len()]);

impl Work {
    /// Nothing.
    pub const NONE: Work = Work([0.0; Resource::ALL.len()]);

    /// So much more of one kind.
    pub fn plus(mut self, resource: Resource, amount: f64) -> Work {
        self.0[resource as usize] += amount;
        self
    }

    /// This work of a run in whole rounds, as the mean of so many runs side by side asks it: the first is as one alone, for the
    /// others rounds and bytes are those beside others.
    pub fn among(mut self, runs: SideBySide) -> Work {
        let alone = 1.0 / runs.get() as f64;
        for (own, beside) in [(Resource::Round, Resource::BesideRound), (Resource::Byte, Resource::BesideByte)] {
            self.0[beside as usize] += (1.0 - alone) * self[own];
            self.0[own as usize] *= alone;
        }
        self
    }

    /// The same for so many inputs, or lanes, side by side.
    pub fn side_by_side(mut self, number: usize) -> Work {
        for (amount, resource) in self.0.iter_mut().zip(Resource::ALL) {
            *amount *= if resource.grows() { number as f64 } else { 1.0 };
        }
        self
    }
}

impl Index<Resource> for Work {
    type Output = f64;

    fn index(&self, resource: Resource) -> &f64 {
        &self.0[resource as usize]
    }
}

impl AddAssign for Work {
    fn add_assign(&mut self, other: Work) {
        self.0.iter_mut().zip(other.0).for_each(|(amount, more)| *amount += more);
    }
}

impl Add for Work {
    type Output = Work;

    fn add(mut self, other: Work) -> Work {
        self += other;
        self
    }
}

/// What is left when a part is taken away; negative where the part had more, as rounds that sites share.
impl Sub for Work {
    type Output = Work;

    fn sub(mut self, other: Work) -> Work {
        self.0.iter_mut().zip(other.0).for_each(|(amount, less)| *amount -= less);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_place_and_a_name_of_its_own() {
        for (index, resource) in Resource::ALL.into_iter().enumerate() {
            assert_eq!(resource as usize, index);
            assert_eq!(Work::NONE.plus(resource, 2.0)[resource], 2.0);
        }
        let names: std::collections::BTreeSet<_> = Resource::ALL.map(Resource::name).into_iter().collect();
        assert_eq!(names.len(), Resource::ALL.len());
    }

    #[test]
    fn among_others_rounds_and_bytes_are_others() {
        let one = Work::NONE.plus(Resource::Round, 8.0).plus(Resource::Byte, 4.0).plus(Resource::Step, 3.0);
        assert_eq!(one.among(SideBySide::ONE), one);
        let mean = one.among(SideBySide::new(4).unwrap());
        assert_eq!((mean[Resource::Round], mean[Resource::BesideRound]), (2.0, 6.0));
        assert_eq!((mean[Resource::Byte], mean[Resource::BesideByte], mean[Resource::Step]), (1.0, 3.0, 3.0));
    }

    #[test]
    fn a_batch_has_the_rounds_of_one_input() {
        let one = Work::NONE.plus(Resource::Round, 7.0).plus(Resource::Byte, 5.0);
        let many = one.side_by_side(60) + Work::NONE.plus(Resource::Stage, 1.0);
        assert_eq!((many[Resource::Round], many[Resource::Byte], many[Resource::Stage]), (7.0, 300.0, 1.0));
    }
}
