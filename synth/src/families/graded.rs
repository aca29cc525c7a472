//! Lines or parabolas on many pieces, each as long as its distance from zero allows: few rounds over wide ranges.
//!
//! 1/x and 1/√x look the same at every magnitude, so pieces whose ends are in geometric progression err alike in
//! relation to the function. Nothing is normalised: Σ A_k·x^k with coefficients that are local sums over the comparison
//! bits is one truncated sum, two rounds after the bits. A steep line far to the left and a flat one far to the right
//! share one scale; what is left of a flat slope after its rounding only matters over half its piece, because the
//! lower coefficients are chosen after it, so that the polynomial is right in the piece's middle.

use super::builder::{BuildError, Builder, Terms, band_width};
use super::fitting;
use super::goal::Goal;
use super::piecewise::Selected;
use super::{Design, Shape, target};
use crate::minimax::Basis;
use catalogs::{Function, Program, Ring, Window};
use rug::{Float, Rational};

/// The number of pieces and their polynomials.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Graded {
    /// Pieces of the window.
    pub pieces: usize,
    /// One or two.
    pub degree: usize,
    /// A band is at most 2^−band_bits of the piece on its left.
    pub band_bits: u8,
}

/// The most pieces: programs stay below two thousand operations.
const PIECES_MAX: usize = 400;

/// The scales of one program.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Scales {
    /// Of x².
    square: i32,
    /// Of the sum before its truncation.
    computed: i32,
}

/// A piece's middle m, and the coefficients of (x − m)^k.
type Centred = (Rational, Vec<Rational>);

/// The shapes that may reach `accuracy`: the least number of pieces, and some more.
pub fn shapes(goal: &Goal, accuracy: f64) -> Vec<Graded> {
    let (absolute, relative) = goal.weights();
    if !matches!(goal.function, Function::Reciprocal | Function::Rsqrt) || goal.window.low <= 0 || absolute > 0.0 {
        return Vec::new();
    }
    let accuracy = accuracy * relative;
    let magnitudes = (goal.window.high as f64 / goal.window.low as f64).ln();
    let root = goal.function == Function::Rsqrt;
    let mut shapes = Vec::new();
    for degree in [1usize, 2] {
        // |f^(n)/f|·x^n/n!, of 1/x and of 1/√x; a piece of relative length h errs by this times 2·(h/4)^n.
        let derivative = match (root, degree) {
            (false, _) => 1.0,
            (true, 1) => 3.0 / 8.0,
            (true, _) => 5.0 / 16.0,
        };
        let order = degree as f64 + 1.0;
        let length = 4.0 * (accuracy / (2.0 * derivative)).powf(1.0 / order);
        for (more, band_bits) in [(1.04, 5), (1.12, 4), (1.3, 4)] {
            let pieces = (magnitudes / length * more).ceil() as usize + 1;
            if (2..=PIECES_MAX).contains(&pieces) {
                shapes.push(Graded { pieces, degree, band_bits });
            }
        }
    }
    shapes
}

impl Graded {
    /// The first input of piece `index`; that of the piece after the last is the first beyond the window.
    fn start(&self, goal: &Goal, index: usize) -> i64 {
        let Window { low, high } = goal.window;
        if index == 0 {
            return low;
        }
        if index >= self.pieces {
            return high.saturating_add(1);
        }
        let ratio = (high as f64 / low as f64).powf(index as f64 / self.pieces as f64);
        ((low as f64 * ratio).round() as i64).clamp(low + 1, high)
    }

    /// Low bits that the comparison with the start of piece `index` ignores.
    fn dropped(&self, goal: &Goal, index: usize) -> u8 {
        let length = self.start(goal, index) - self.start(goal, index - 1);
        (length >> self.band_bits).checked_ilog2().unwrap_or(0) as u8
    }

    /// The inputs that a piece may have to serve: its own, and those of the band to its right.
    fn served(&self, goal: &Goal, index: usize) -> Window {
        let band = if index + 1 < self.pieces { band_width(self.dropped(goal, index + 1)) as i64 } else { 0 };
        let high = (self.start(goal, index + 1) - 1 + band).min(goal.window.high);
        Window { low: self.start(goal, index), high }
    }

    /// Per piece, its middle and the coefficients of (x − middle)^k; and the largest relative error.
    fn fit(&self, goal: &Goal) -> Option<(Vec<Centred>, f64)> {
        let function = &goal.function;
        let f = |x: &Float, precision: u32| target::value(function, x, precision);
        let (mut pieces, mut worst) = (Vec::new(), 0.0f64);
        for index in 0..self.pieces {
            let window = self.served(goal, index);
            let (low, high) = (goal.real(window.low), goal.real(window.high));
            if low >= high {
                return None;
            }
            let middle: Rational = Rational::from(&low + &high) / 2;
            let fitted = fitting::best(&f, goal.fit_norm(), (low, high), Basis::full(self.degree as u32))?;
            worst = worst.max(fitted.error);
            pieces.push((middle.clone(), moved(&fitted.coefficients, &middle)));
        }
        Some((pieces, worst))
    }

    fn program(
        &self,
        goal: &Goal,
        pieces: &[(Rational, Vec<Rational>)],
        scales: Scales,
    ) -> Result<Program, BuildError> {
        let mut b = Builder::new(goal.input.ring, goal.input.scale);
        let x = b.input();
        let ring = self.ring(goal, scales);
        let range = (i128::from(goal.window.low), i128::from(goal.window.high));
        let mut below = Vec::new();
        for index in 1..self.pieces {
            let threshold = i128::from(self.start(goal, index));
            let bit = b.less_than(x, threshold, range, self.dropped(goal, index))?;
            below.push(b.inject_into(bit, ring));
        }
        let selected = Selected { below: &below };
        let mut powers = vec![x];
        if self.degree == 2 {
            powers.push(b.truncated_product(x, x, scales.square)?);
        }
        let bits: Vec<i32> = powers.iter().map(|power| scales.computed - power.scale()).collect();
        let rounded: Vec<Vec<Rational>> =
            pieces.iter().map(|(middle, own)| settled(middle, own, &bits, scales.computed)).collect();
        let of = |k: usize| rounded.iter().map(|own| own[k].clone()).collect::<Vec<Rational>>();
        let constant = selected.of(&mut b, &of(0), scales.computed)?;
        let mut terms = Terms::new().linear(1, constant);
        for (index, power) in powers.iter().enumerate() {
            let factor = selected.of(&mut b, &of(index + 1), bits[index])?;
            terms = terms.product(1, factor, *power);
        }
        let output = i32::from(goal.output_scale.bits());
        b.truncated_into(&terms, output, scales.computed - output, goal.input.ring)?;
        b.finish()
    }

    /// The ring of bits, coefficients and the sum: the function's largest value and a bit to spare.
    fn ring(&self, goal: &Goal, scales: Scales) -> Ring {
        let largest = goal.value(goal.real_f64(goal.window.low));
        let bits = f64::from(scales.computed) + largest.log2().max(0.0).ceil() + 4.0;
        Ring::new(bits as u8).map_or(goal.input.ring, |ring| ring.min(goal.input.ring))
    }
}

/// The coefficients of (x − middle)^k from those of x^k, up to the second.
fn moved(own: &[Rational], middle: &Rational) -> Vec<Rational> {
    let at = |k: usize| own.get(k).cloned().unwrap_or_default();
    let square = at(2);
    let bent = Rational::from(&square * middle);
    let slope = at(1) + Rational::from(&bent * 2);
    let value = at(0) + Rational::from(&at(1) * middle) + Rational::from(&bent * middle);
    [value, slope, square].into_iter().take(own.len()).collect()
}

/// Coefficients of x^k with `bits[k − 1]` fraction bits, the highest first, so that the lower ones repair in the
/// piece's middle what its rounding does: the constant last, with `computed` bits.
fn settled(middle: &Rational, own: &[Rational], bits: &[i32], computed: i32) -> Vec<Rational> {
    let near = |value: Rational, bits: i32| -> Rational { (value << bits).round() >> bits };
    let square = match (own.get(2), bits.get(1)) {
        (Some(square), Some(&bits)) => near(square.clone(), bits),
        _ => Rational::new(),
    };
    let bent = Rational::from(&square * middle);
    let slope = near(own[1].clone() - Rational::from(&bent * 2), bits[0]);
    let moved = Rational::from(&slope * middle) + Rational::from(&bent * middle);
    let constant = near(own[0].clone() - moved, computed);
    [constant, slope, square].into_iter().take(own.len()).collect()
}

impl Shape for Graded {
    fn family(&self) -> &'static str {
        "graded pieces"
    }

    fn describe(&self) -> String {
        let Graded { pieces, degree, band_bits } = self;
        format!("{pieces} pieces degree {degree} bands 2^-{band_bits}")
    }

    fn fit_error(&self, goal: &Goal) -> Option<f64> {
        self.fit(goal).map(|(_, error)| error)
    }

    fn designs(&self, goal: &Goal, accuracy: f64) -> Vec<Design> {
        let Some((pieces, fit_error)) = self.fit(goal).filter(|(_, error)| *error < accuracy) else {
            return Vec::new();
        };
        let ring = i32::from(goal.input.ring.bits());
        let largest = goal.value(goal.real_f64(goal.window.low)).log2().max(0.0).ceil() as i32;
        let output = i32::from(goal.output_scale.bits());
        let mut scales = Vec::new();
        for computed in [ring - 4 - largest, ring - 7 - largest, ring - 10 - largest, output + 18, output + 22] {
            let squares: &[i32] = if self.degree == 2 { &[16, 20, 24] } else { &[0] };
            scales.extend(squares.iter().map(|&square| Scales { square, computed }));
        }
        scales.retain(|scales| scales.computed > output && scales.computed <= ring - 4 - largest);
        let named = |scales: &Scales| match self.degree {
            1 => format!("computed {}", scales.computed),
            _ => format!("computed {} square {}", scales.computed, scales.square),
        };
        let program = |scales: &Scales| self.program(goal, &pieces, *scales);
        super::designs(self, fit_error, goal.window, &scales, named, program)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn rational(numerator: i64, denominator: i64) -> Rational {
        Rational::from((numerator, denominator))
    }

    /// A polynomial whose coefficients were rounded keeps its value in the middle, up to the constant's rounding.
    #[test]
    fn lower_coefficients_repair_higher_ones() {
        let own = [rational(1, 3), rational(-1, 7), rational(1, 11)];
        let middle = rational(1000, 3);
        for bits in [[3, 2], [8, 20], [30, 1]] {
            let rounded = settled(&middle, &own, &bits, 40);
            let bent = Rational::from(&rounded[2] * &middle);
            let value = rounded[0].clone() + Rational::from(&rounded[1] * &middle) + Rational::from(&bent * &middle);
            assert!((value - &own[0]).abs() <= rational(1, 1 << 40), "{bits:?}");
            let slope = rounded[1].clone() + Rational::from(&bent * 2);
            assert!((slope - &own[1]).abs() <= rational(1, 1 << bits[0]), "{bits:?}");
        }
        assert_eq!(moved(&[1.into(), 2.into(), 3.into()], &2.into()), [17, 14, 3].map(Rational::from));
        assert_eq!(moved(&[1.into(), 2.into()], &2.into()), [5, 2].map(Rational::from));
    }
}
