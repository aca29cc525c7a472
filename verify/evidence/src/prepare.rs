//! A program made ready for state propagation: coefficients as words, dead operations left out, values that can
//! differ between states assigned to lanes for as long as somebody reads them.
//!
//! A [`Word`] of 64 bits serves programs whose rings have no more, one of 128 bits all others.

use crate::EvidenceError;
use catalogs::{Lemma, Op, Program, Ring, Rounding};
use std::fmt::Debug;

/// An integer modulo 2^[`Word::BITS`], which every ring of the program divides, read as signed.
pub trait Word: Copy + Ord + Default + Debug + Send + Sync + 'static {
    /// How many bits it has.
    const BITS: u32;
    /// The residue of any integer.
    fn of(value: i128) -> Self;
    /// The integer.
    fn wide(self) -> i128;
    /// The sum.
    fn plus(self, other: Self) -> Self;
    /// The product.
    fn times(self, other: Self) -> Self;
    /// The signed residue modulo 2^(BITS − `unused`).
    fn reduced(self, unused: u32) -> Self;
    /// ⌊self/2^`bits`⌋.
    fn halved(self, bits: u32) -> Self;
    /// The bit at `position`, and what the bits below it are worth.
    fn split(self, position: u32) -> (Self, u128);
}

macro_rules! words {
    ($($signed:ty as $unsigned:ty),+) => {$(
        impl Word for $signed {
            const BITS: u32 = <$signed>::BITS;
            #[inline(always)]
            fn of(value: i128) -> Self {
                value as $signed
            }
            #[inline(always)]
            fn wide(self) -> i128 {
                self as i128
            }
            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            #[inline(always)]
            fn times(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }
            #[inline(always)]
            fn reduced(self, unused: u32) -> Self {
                (self << unused) >> unused
            }
            #[inline(always)]
            fn halved(self, bits: u32) -> Self {
                self >> bits
            }
            #[inline(always)]
            fn split(self, position: u32) -> (Self, u128) {
                (self >> position & 1, (self as $unsigned & ((1 << position) - 1)) as u128)
            }
        }
    )+};
}

words!(i64 as u64, i128 as u128);

#[derive(Clone, Debug)]
pub(crate) struct Truncation<W> {
    pub(crate) shift: u32,
    pub(crate) low: W,
    pub(crate) high: W,
    pub(crate) target_unused: u32,
    pub(crate) rounding: Rounding,
}

#[derive(Clone, Debug)]
pub(crate) enum Action<W> {
    Nothing,
    Input,
    Sum {
        unused: u32,
        products: Vec<(W, usize, usize)>,
        linear: Vec<(W, usize)>,
        constant: W,
        truncation: Option<Truncation<W>>,
    },
    Sign {
        operand: usize,
        position: u32,
        band: u128,
    },
    Inject {
        bit: usize,
    },
}

impl<W> Action<W> {
    /// The values that are read.
    pub(crate) fn operands(&self) -> Vec<usize> {
        match self {
            Action::Nothing | Action::Input => vec![],
            Action::Sum { products, linear, .. } => {
                let products = products.iter().flat_map(|(_, left, right)| [*left, *right]);
                products.chain(linear.iter().map(|(_, value)| *value)).collect()
            }
            Action::Sign { operand, .. } => vec![*operand],
            Action::Inject { bit } => vec![*bit],
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Step<W> {
    pub(crate) action: Action<W>,
    /// Where the result is kept, if it can differ between states.
    pub(crate) lane: usize,
    /// Lanes that nobody reads after this step.
    pub(crate) released: Vec<usize>,
}

/// A program made ready for state propagation.
#[derive(Clone, Debug)]
pub struct Prepared<W> {
    pub(crate) steps: Vec<Step<W>>,
    pub(crate) lanes: usize,
    pub(crate) input_unused: u32,
    /// Needed values that are the same whatever the adversary does.
    pub(crate) deterministic: Vec<bool>,
}

/// The most values that may be undetermined and alive at a time.
pub const MAX_LANES: usize = 256;

impl<W: Word> Prepared<W> {
    /// Analyses which values are needed, which can vary, and how long each lives.
    pub fn new(program: &Program) -> Result<Prepared<W>, EvidenceError> {
        let count = program.ops().len();
        let (needed, last_use) = liveness(program);
        let mut varies = vec![false; count];
        let mut lane_of = vec![usize::MAX; count];
        let mut free: Vec<usize> = Vec::new();
        let mut lanes = 0;
        let mut steps = Vec::with_capacity(count);
        for (index, op) in program.ops().iter().enumerate() {
            if !needed[index] {
                steps.push(Step { action: Action::Nothing, lane: 0, released: vec![] });
                continue;
            }
            let action = prepare(program, op);
            let own = match &action {
                Action::Sum { truncation: Some(t), .. } => t.rounding.low < t.rounding.high,
                Action::Sign { band, .. } => *band > 0,
                _ => false,
            };
            varies[index] = own || operands(op).iter().any(|operand| varies[*operand]);
            let mut released: Vec<usize> = operands(op);
            released.sort_unstable();
            released.dedup();
            released.retain(|operand| varies[*operand] && last_use[*operand] == index);
            let released: Vec<usize> = released.into_iter().map(|operand| lane_of[operand]).collect();
            free.extend(&released);
            let mut lane = 0;
            if varies[index] {
                lane = free.pop().unwrap_or_else(|| {
                    lanes += 1;
                    lanes - 1
                });
                lane_of[index] = lane;
            }
            steps.push(Step { action, lane, released });
        }
        if lanes > MAX_LANES {
            return Err(EvidenceError::TooManyLiveValues { live: lanes, limit: MAX_LANES });
        }
        let deterministic = needed.iter().zip(&varies).map(|(needed, varies)| *needed && !varies).collect();
        Ok(Prepared { steps, lanes, input_unused: unused::<W>(program.input().0), deterministic })
    }

    /// The number of lanes that a state needs.
    pub fn lanes(&self) -> usize {
        self.lanes
    }
}

fn unused<W: Word>(ring: Ring) -> u32 {
    W::BITS - u32::from(ring.bits())
}

fn operands(op: &Op) -> Vec<usize> {
    match op {
        Op::Input => vec![],
        Op::Sum(sum) => {
            let products = sum.products.iter().flat_map(|p| [p.left.index(), p.right.index()]);
            products.chain(sum.linear.iter().map(|term| term.value.index())).collect()
        }
        Op::Sign { operand, .. } => vec![operand.index()],
        Op::Inject { bit, .. } => vec![bit.index()],
    }
}

/// Which operations the output depends on, and the last needed operation that reads each value.
fn liveness(program: &Program) -> (Vec<bool>, Vec<usize>) {
    let count = program.ops().len();
    let (mut needed, mut last_use) = (vec![false; count], vec![0; count]);
    needed[count - 1] = true;
    last_use[count - 1] = count;
    for (index, op) in program.ops().iter().enumerate().rev() {
        if needed[index] {
            for operand in operands(op) {
                needed[operand] = true;
                last_use[operand] = last_use[operand].max(index);
            }
        }
    }
    (needed, last_use)
}

fn prepare<W: Word>(program: &Program, op: &Op) -> Action<W> {
    match op {
        Op::Input => Action::Input,
        Op::Sum(sum) => {
            let truncation = sum.truncation.and_then(|id| match *program.lemma(id) {
                Lemma::Truncation { target, shift, window, rounding, .. } => {
                    let low = -1i128 << window.map_or(W::BITS - 1, u32::from);
                    let (low, high) = (W::of(low), W::of(!low));
                    let target_unused = unused::<W>(target);
                    Some(Truncation { shift: shift.into(), low, high, target_unused, rounding })
                }
                _ => None,
            });
            Action::Sum {
                unused: unused::<W>(sum.ring),
                products: sum
                    .products
                    .iter()
                    .map(|p| (W::of(p.coefficient), p.left.index(), p.right.index()))
                    .collect(),
                linear: sum.linear.iter().map(|term| (W::of(term.coefficient), term.value.index())).collect(),
                constant: W::of(sum.constant),
                truncation,
            }
        }
        Op::Sign { operand, lemma } => {
            let lemma = program.lemma(*lemma);
            let position = match lemma {
                Lemma::Sign { width, .. } => u32::from(*width) - 1,
                _ => 0,
            };
            Action::Sign { operand: operand.index(), position, band: lemma.band() }
        }
        Op::Inject { bit, .. } => Action::Inject { bit: bit.index() },
    }
}
