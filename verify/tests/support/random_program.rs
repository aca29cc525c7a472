//! Random programs over small rings, shaped so that most values stay near their windows and some leave them.

use super::Random;
use super::build::{OpDraft, SumDraft};
use catalogs::{Failure, Lemma, Ring, Rounding};

/// Inputs from `low` to `high` of a random program.
#[derive(Clone, Debug)]
pub struct Case {
    pub ring: Ring,
    pub scale: u8,
    pub drafts: Vec<OpDraft>,
    pub low: i64,
    pub high: i64,
    pub degree: usize,
}

const ROUNDINGS: [(i8, i8); 6] = [(0, 1), (0, 1), (-1, 0), (-1, 2), (0, 0), (-3, 4)];

/// What the generator knows of a value: its ring, if it is arithmetic, and about how many bits it has.
#[derive(Clone, Copy)]
struct Known {
    ring: Option<Ring>,
    bits: f64,
}

struct Generator<'a> {
    random: &'a mut Random,
    drafts: Vec<OpDraft>,
    known: Vec<Known>,
}

/// A random case; `input_bits` is the widest input ring.
pub fn generate(random: &mut Random, input_bits: i64) -> Case {
    let ring = Ring::new(random.between(8, input_bits) as u8).unwrap();
    let half = 1i64 << (ring.bits() - 1);
    let (low, high) = piece(random, half);
    let size = low.abs().max(high.abs()).max(1) as f64;
    let known = vec![Known { ring: Some(ring), bits: size.log2() }];
    let mut generator = Generator { random, drafts: vec![OpDraft::Input], known };
    for _ in 0..generator.random.between(1, 7) {
        match generator.random.between(0, 9) {
            0..=2 => generator.bit(),
            _ => generator.sum(),
        }
    }
    generator.sum();
    let drafts = generator.drafts;
    let scale = random.between(0, i64::from(ring.bits()) - 1) as u8;
    Case { ring, scale, drafts, low, high, degree: random.between(0, 6) as usize }
}

fn piece(random: &mut Random, half: i64) -> (i64, i64) {
    let low = random.between(-half, half - 1);
    let width = match random.between(0, 7) {
        0 => 0,
        1 => random.between(1, 6),
        2 | 3 => random.between(1, half / 4),
        4 | 5 => random.between(1, half / 16),
        6 => random.between(1, half),
        _ => return (-half, half - 1),
    };
    // Near zero more often than not: there, bits change.
    let low = if random.chance(1, 2) { low } else { -random.between(0, width.max(1)) };
    (low.max(-half), (low + width).min(half - 1))
}

impl Generator<'_> {
    fn push(&mut self, draft: OpDraft, known: Known) {
        self.drafts.push(draft);
        self.known.push(known);
    }

    fn arithmetic(&mut self) -> u16 {
        loop {
            let index = self.random.between(0, self.known.len() as i64 - 1);
            if self.known[index as usize].ring.is_some() {
                return index as u16;
            }
        }
    }

    fn bit(&mut self) {
        let operand = self.arithmetic();
        let Known { ring, bits } = self.known[usize::from(operand)];
        let ring = ring.unwrap();
        let wide = (bits.max(0.0) as i64 + self.random.between(-2, 3)).clamp(2, i64::from(ring.bits()));
        let width = if self.random.chance(1, 3) { ring.bits() } else { wide as u8 };
        let dropped = self.random.between(0, i64::from(width - 2).min(4)) as u8;
        let sign = Lemma::Sign { width, dropped, operands: self.random.between(1, 3) as u8 };
        self.push(OpDraft::Sign(operand, sign), Known { ring: None, bits: 0.0 });
        let target = Ring::new(self.random.between(8, 24) as u8).unwrap();
        let target = if self.random.chance(3, 4) { ring } else { target };
        let bit = self.known.len() as u16 - 1;
        self.push(OpDraft::Inject(bit, Lemma::Injection { ring: target }), Known { ring: Some(target), bits: 0.0 });
    }

    fn sum(&mut self) {
        let mut size = 0.0f64;
        let mut ring = Ring::Z64;
        let (mut products, mut linear) = (Vec::new(), Vec::new());
        for _ in 0..self.random.between(0, 2) {
            let (a, b) = (self.arithmetic(), self.arithmetic());
            let coefficient = self.coefficient();
            let bits = self.known[usize::from(a)].bits + self.known[usize::from(b)].bits;
            size += coefficient.unsigned_abs() as f64 * bits.exp2();
            ring = ring.min(self.known[usize::from(a)].ring.unwrap()).min(self.known[usize::from(b)].ring.unwrap());
            products.push((coefficient, a, b));
        }
        for _ in 0..self.random.between(1, 2) {
            let value = self.arithmetic();
            let coefficient = self.coefficient();
            size += coefficient.unsigned_abs() as f64 * self.known[usize::from(value)].bits.exp2();
            ring = ring.min(self.known[usize::from(value)].ring.unwrap());
            linear.push((coefficient, value));
        }
        let constant = if self.random.chance(1, 2) { 0 } else { i128::from(self.random.between(-300, 300)) };
        size += constant.unsigned_abs() as f64;
        if self.random.chance(1, 6) {
            ring = Ring::new(self.random.between(2.max(i64::from(ring.bits()) - 6), i64::from(ring.bits())) as u8)
                .unwrap();
        }
        let bits = size.max(1.0).log2();
        let lemma = self.random.chance(3, 4).then(|| self.truncation(ring, bits));
        let (target, bits) = match lemma {
            Some(Lemma::Truncation { target, shift, .. }) => (target, (bits - f64::from(shift)).max(0.0)),
            _ => (ring, bits),
        };
        let scale = self.random.between(0, 12) as u8;
        let sum = SumDraft { ring, products, linear, constant, truncation: lemma, scale };
        self.push(OpDraft::Sum(sum), Known { ring: Some(target), bits });
    }

    fn coefficient(&mut self) -> i128 {
        let magnitude = match self.random.between(0, 5) {
            0..=2 => 1,
            3 | 4 => self.random.between(1, 5),
            _ => self.random.between(1, 4000),
        };
        i128::from(if self.random.chance(1, 2) { magnitude } else { -magnitude })
    }

    fn truncation(&mut self, ring: Ring, bits: f64) -> Lemma {
        let wanted = (bits - f64::from(ring.bits()) / 2.0) as i64 + self.random.between(-1, 4);
        let shift = wanted.clamp(1, i64::from(ring.bits()) - 1) as u8;
        let window = match self.random.between(0, 7) {
            0 => None,
            1 => Some(self.random.between(0, i64::from(ring.bits()) - 1) as u8),
            2 => Some((bits as i64 + self.random.between(0, 2)).clamp(0, i64::from(ring.bits()) - 1) as u8),
            3 | 4 => Some(ring.bits() - 2),
            _ => Some(ring.bits() - 1),
        };
        let (low, high) = self.random.pick(&ROUNDINGS);
        let narrow = self.random.between(2, i64::from(ring.bits())) as u8;
        let target = match self.random.between(0, 5) {
            0 => Ring::new(narrow).unwrap(),
            5 => Ring::new(self.random.between(i64::from(ring.bits()), 64) as u8).unwrap(),
            1 => Ring::new((ring.bits() - shift).max(2)).unwrap(),
            _ => ring,
        };
        let rounding = Rounding { low, high };
        let failure = match self.random.between(0, 5) {
            // Small enough that no program's sum reaches one.
            0 => Failure::AtMost(self.random.between(11, 60) as u8),
            _ => Failure::Never,
        };
        Lemma::Truncation { ring, target, shift, window, rounding, failure }
    }
}
