//! A program made ready for state propagation: coefficients as words, dead operations left out, values that can
//! differ between states assigned to lanes for as long as somebody reads them.

use crate::EvidenceError;
use catalogs::{Lemma, Op, Program, Ring, Rounding};

#[derive(Clone, Debug)]
pub(crate) struct Truncation {
    pub(crate) shift: u32,
    pub(crate) low: i64,
    pub(crate) high: i64,
    pub(crate) target_unused: u32,
    pub(crate) rounding: Rounding,
}

#[derive(Clone, Debug)]
pub(crate) enum Action {
    Nothing,
    Input,
    Sum {
        unused: u32,
        products: Vec<(i64, usize, usize)>,
        linear: Vec<(i64, usize)>,
        constant: i64,
        truncation: Option<Truncation>,
    },
    Sign {
        operand: usize,
        position: u32,
        band: u64,
    },
    Inject {
        bit: usize,
    },
}

impl Action {
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
pub(crate) struct Step {
    pub(crate) action: Action,
    /// Where the result is kept, if it can differ between states.
    pub(crate) lane: usize,
    /// Lanes that nobody reads after this step.
    pub(crate) released: Vec<usize>,
}

/// A program made ready for state propagation.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub(crate) steps: Vec<Step>,
    pub(crate) lanes: usize,
    pub(crate) input_unused: u32,
    /// Needed values that are the same whatever the adversary does.
    pub(crate) deterministic: Vec<bool>,
}

/// The most values that may be undetermined and alive at a time.
pub const MAX_LANES: usize = 32;

impl Prepared {
    /// Analyses which values are needed, which can vary, and how long each lives.
    pub fn new(program: &Program) -> Result<Prepared, EvidenceError> {
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
        Ok(Prepared { steps, lanes, input_unused: unused(program.input().0), deterministic })
    }

    /// The number of lanes that a state needs.
    pub fn lanes(&self) -> usize {
        self.lanes
    }
}

fn unused(ring: Ring) -> u32 {
    64 - u32::from(ring.bits())
}

pub(crate) fn residue(value: i64, unused: u32) -> i64 {
    (value << unused) >> unused
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

fn prepare(program: &Program, op: &Op) -> Action {
    match op {
        Op::Input => Action::Input,
        Op::Sum(sum) => {
            let truncation = sum.truncation.and_then(|id| match *program.lemma(id) {
                Lemma::Truncation { target, shift, window, rounding, .. } => {
                    let (low, high) = window.map_or((i64::MIN, i64::MAX), |w| (-1 << w, !(-1 << w)));
                    Some(Truncation { shift: shift.into(), low, high, target_unused: unused(target), rounding })
                }
                _ => None,
            });
            // Modulo 2^64, which every ring divides.
            let word = |coefficient: i128| coefficient as i64;
            Action::Sum {
                unused: unused(sum.ring),
                products: sum.products.iter().map(|p| (word(p.coefficient), p.left.index(), p.right.index())).collect(),
                linear: sum.linear.iter().map(|term| (word(term.coefficient), term.value.index())).collect(),
                constant: word(sum.constant),
                truncation,
            }
        }
        Op::Sign { operand, lemma } => {
            let lemma = program.lemma(*lemma);
            let position = match lemma {
                Lemma::Sign { width, .. } => u32::from(*width) - 1,
                _ => 0,
            };
            Action::Sign { operand: operand.index(), position, band: lemma.band() as u64 }
        }
        Op::Inject { bit, .. } => Action::Inject { bit: bit.index() },
    }
}
