//! What a device does at most, measured: copies of memory, fused multiply-adds of doubles, multiply-adds of 64-bit words.
//! Figures of other kernels are judged beside these and beside what the device says of itself.
//!
//! Exact products of words in doubles would be six products of limbs of 22 bits (i + j < 3 of three), so that they have
//! at most a sixth of the rate of doubles: less than 8-bit tensor cores give by limbs, so that none are built.

use super::device::{Buffer, Error, Function, Purpose, Source, Style};
use super::launch::arguments;
use super::{Cuda, PRELUDE, Words};
use crate::backend::Error as BackendError;

/// Chains of a thread, each a step after the other.
const CHAINS: u64 = 8;
/// Of words: odd, so that nothing is lost.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
const KERNELS: [&str; 3] = ["copied", "doubles", "words"];

/// Something that a device does at a rate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rate {
    /// Words are read and written.
    Copies,
    /// Fused multiply-adds of doubles.
    Doubles,
    /// Multiply-adds of 64-bit words on integer units.
    Words,
}

/// The text of the kernels.
pub fn source() -> Source {
    let kernels = KERNELS.map(|name| (name.to_owned(), Style::Phased)).to_vec();
    Source { text: format!("{PRELUDE}\n{}", include_str!("kernels/rates.cu")), kernels }
}

/// How much is done: lanes, and steps of each of its eight chains.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Amount {
    /// Words of the result; an even number.
    pub lanes: usize,
    /// Steps, none for copies.
    pub steps: u64,
}

impl Amount {
    /// Words that are copied, or multiply-adds.
    pub fn of(self, rate: Rate) -> f64 {
        let lanes = self.lanes as f64;
        if rate == Rate::Copies { lanes } else { lanes * (CHAINS * self.steps) as f64 }
    }
}

/// The kernels on a device.
pub struct Rates<'a> {
    cuda: &'a Cuda,
    functions: Vec<Function>,
}

impl<'a> Rates<'a> {
    /// Compiles them.
    ///
    /// # Errors
    /// No compiler, or one that refuses them.
    pub fn new(cuda: &'a Cuda) -> Result<Rates<'a>, Error> {
        let functions = cuda.device.compile(&source())?;
        if functions.len() != KERNELS.len() {
            return Err(Error::Failed { device: cuda.device.name(), what: "compiling", reason: "kernels".into() });
        }
        Ok(Rates { cuda, functions })
    }

    /// Runs a kernel once on some words, of which only copies take any; the result stays on the device.
    ///
    /// # Errors
    /// No memory left, or a call that fails.
    pub fn run(&self, rate: Rate, amount: Amount, words: &Words) -> Result<Words, BackendError> {
        let lanes = (amount.lanes.max(2) & !1).min(if rate == Rate::Copies { words.lanes & !1 } else { usize::MAX });
        let buffer = Buffer::new(&self.cuda.device, 8 * lanes as u64, Purpose::Words)?;
        let out = Words { buffer: std::sync::Arc::new(buffer), lanes };
        let function = self.functions[rate as usize];
        match rate {
            Rate::Copies => {
                let pieces = lanes / 2;
                self.cuda.per_lane(function, pieces, arguments![out.address(), words.address(), pieces])?;
            }
            Rate::Doubles => {
                self.cuda.per_lane(function, lanes, arguments![out.address(), lanes, amount.steps])?;
            }
            Rate::Words => {
                self.cuda.per_lane(function, lanes, arguments![out.address(), lanes, amount.steps, FACTOR])?;
            }
        }
        Ok(out)
    }
}

/// What [`Rates::run`] has at a lane; `word` is what copies take there.
pub fn twin(rate: Rate, lane: u64, steps: u64, word: u64) -> u64 {
    match rate {
        Rate::Copies => word,
        Rate::Doubles => {
            let chain = |chain: u64| (0..steps).fold((lane + chain) as f64, |x, _| x.mul_add(0.5, 1.0));
            (0..CHAINS).map(chain).fold(0.0f64, |total, end| total + end).to_bits()
        }
        Rate::Words => {
            let step = |x: u64| x.wrapping_mul(FACTOR).wrapping_add(lane | 1);
            let chain = |chain: u64| (0..steps).fold(lane + chain, |x, _| step(x));
            (0..CHAINS).map(chain).fold(0, u64::wrapping_add)
        }
    }
}
