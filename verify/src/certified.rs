//! The type that stands for a proof.

use crate::{Certificate, Rejection, check};
use catalogs::{Claim, Decimal, Digest, Entry, Failure, Lemma, Op, Program, Ring};
use dashu::integer::IBig;
use dashu::rational::RBig;

/// An entry whose certificate was checked. `verify::check` is the only way to make one.
#[derive(Clone, Debug)]
pub struct Certified {
    pub(crate) entry: Entry,
    pub(crate) digest: Digest,
    pub(crate) output_low: i128,
    pub(crate) output_high: i128,
    pub(crate) witness: Decimal,
    pub(crate) rounding: RBig,
    pub(crate) certificate: Certificate,
}

impl Certified {
    /// The claim that was proved.
    pub fn claim(&self) -> &Claim {
        &self.entry.claim
    }

    /// The program that it is about.
    pub fn program(&self) -> &Program {
        &self.entry.program
    }

    /// The lemmas the proof rests on; a protocol must offer each.
    pub fn needs(&self) -> &[Lemma] {
        self.entry.needs()
    }

    /// The entry.
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// The digest of the entry's file.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The same claim about the program between other rings (`catalogs::Entry::in_rings`), checked like every entry, with
    /// the same proof: rings have no part in the error. `None` where there is no such program.
    pub fn in_rings(&self, input: Ring, output: Ring) -> Option<Result<Certified, Rejection>> {
        let entry = self.entry.in_rings(input, output)?;
        let certificate = Certificate { entry: entry.digest(), ..self.certificate.clone() };
        Some(check(entry, &certificate))
    }

    /// The union bound of the probabilities, per element, that an operation returns what its lemma does not allow.
    /// The claim holds but for these failures.
    pub fn failure(&self) -> RBig {
        failure(self.program())
    }

    /// Proved bounds of the output integer (signed residue at the program's output scale) over the whole window.
    pub fn output_range(&self) -> (i128, i128) {
        (self.output_low, self.output_high)
    }

    /// A proved lower bound of the worst error, in the claim's norm.
    pub fn witness_error(&self) -> Decimal {
        self.witness
    }

    /// The largest first-order influence of the roundings over all pieces, in real units.
    pub fn rounding_part(&self) -> &RBig {
        &self.rounding
    }
}

/// The sum of the failure probabilities of all truncations of `program`.
pub(crate) fn failure(program: &Program) -> RBig {
    let lemmas = program.ops().iter().filter_map(|op| match op {
        Op::Sum(sum) => sum.truncation.map(|lemma| program.lemma(lemma)),
        _ => None,
    });
    let failure = |lemma: &Lemma| match lemma {
        Lemma::Truncation { failure: Failure::AtMost(bits), .. } => {
            RBig::from(IBig::ONE) / RBig::from(IBig::ONE << usize::from(*bits))
        }
        _ => RBig::ZERO,
    };
    lemmas.map(failure).fold(RBig::ZERO, |sum, probability| sum + probability)
}
