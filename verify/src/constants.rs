//! Enclosures of single real numbers: e^x, sines, logarithms, π and Gaussian integrals, from their series with explicit
//! remainders.
//!
//! A [`Ball`] is an interval [centre − radius, centre + radius] of integers at a scale 2^−Q.

use crate::integer::{IBig, absolute, bit_length, divide_ceil, divide_floor, is_negative, shift_ceil, shift_floor};

/// A real number known up to an error.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ball {
    /// The centre, at the caller's scale.
    pub centre: IBig,
    /// The bound of the error, not negative, at the same scale.
    pub radius: IBig,
}

impl Ball {
    /// The product of two balls at scale 2^−`scale`.
    pub fn times(&self, other: &Ball, scale: usize) -> Ball {
        let error = absolute(&self.centre) * &other.radius
            + absolute(&other.centre) * &self.radius
            + &self.radius * &other.radius;
        Ball {
            centre: shift_floor(&(&self.centre * &other.centre), scale),
            radius: shift_ceil(&error, scale) + IBig::ONE,
        }
    }

    /// The same number at a scale that is `bits` smaller.
    fn coarser(&self, bits: usize) -> Ball {
        Ball { centre: shift_floor(&self.centre, bits), radius: shift_ceil(&self.radius, bits) + IBig::ONE }
    }
}

/// The largest |x| of [`exponential`]. Beyond, e^−x is far below every working scale, and tail rules serve.
pub const EXPONENT_LIMIT: u32 = 256;

/// e^x for x = `argument`·2^−`scale`; `None` if |x| > [`EXPONENT_LIMIT`].
///
/// With y = x/2^m, |y| ≤ 1/2: e^y = Σ_{k<n} y^k/k! + tail, |tail| ≤ 2·|y^n/n!|, since terms at least halve. Then m
/// squarings. Every rounding is counted in the radius.
pub fn exponential(argument: &IBig, scale: usize) -> Option<Ball> {
    if absolute(argument) > IBig::from(EXPONENT_LIMIT) << scale {
        return None;
    }
    let halvings = (bit_length(argument) + 1).saturating_sub(scale);
    let growth = if is_negative(argument) { 0 } else { bit_length(argument).saturating_sub(scale) };
    // e^x < 2^(1.5·2^growth), and each squaring doubles the relative error.
    let guard = 2 * halvings + 32 + 3 * (1usize << growth);
    let working = scale + guard;
    let y = argument << (guard - halvings);
    let mut term = IBig::ONE << working;
    let mut sum = term.clone();
    let mut count = 0usize;
    while term != IBig::ZERO && term != IBig::NEG_ONE {
        count += 1;
        term = divide_floor(&shift_floor(&(&term * &y), working), &IBig::from(count));
        sum += &term;
    }
    // A term's error is at most half the previous one's plus two: below four. So the last term is below five units,
    // and the tail below ten.
    let mut ball = Ball { centre: sum, radius: IBig::from(4 * count + 16) };
    for _ in 0..halvings {
        ball = ball.times(&ball, working);
    }
    Some(ball.coarser(guard))
}

/// sin x and cos x for x = `argument`·2^−`scale`; `None` if |x| > [`EXPONENT_LIMIT`].
///
/// With y = x/2^m, |y| ≤ 1/2, both series at once: Σ (±1)·y^k/k!, tails and roundings as in [`exponential`]. Then m
/// doublings sin 2y = 2·sin y·cos y, cos 2y = 1 − 2·sin² y, each of which makes errors at most about four times as large.
pub fn sine_cosine(argument: &IBig, scale: usize) -> Option<(Ball, Ball)> {
    if absolute(argument) > IBig::from(EXPONENT_LIMIT) << scale {
        return None;
    }
    let halvings = (bit_length(argument) + 1).saturating_sub(scale);
    let guard = 3 * halvings + 32;
    let working = scale + guard;
    let y = argument << (guard - halvings);
    let mut term = IBig::ONE << working;
    let mut sums = [IBig::ZERO, term.clone()];
    let mut count = 0usize;
    while term != IBig::ZERO && term != IBig::NEG_ONE {
        count += 1;
        term = divide_floor(&shift_floor(&(&term * &y), working), &IBig::from(count));
        // Odd powers belong to the sine, even ones to the cosine, with signs ++−−.
        let sum = &mut sums[usize::from(count.is_multiple_of(2))];
        if count % 4 < 2 { *sum += &term } else { *sum -= &term }
    }
    let [sine, cosine] = sums.map(|centre| Ball { centre, radius: IBig::from(4 * count + 16) });
    let (mut sine, mut cosine) = (sine, cosine);
    let twice = |ball: Ball| Ball { centre: ball.centre * IBig::from(2), radius: ball.radius * IBig::from(2) };
    for _ in 0..halvings {
        let square = twice(sine.times(&sine, working));
        sine = twice(sine.times(&cosine, working));
        cosine = Ball { centre: (IBig::ONE << working) - square.centre, radius: square.radius };
    }
    Some((sine.coarser(guard), cosine.coarser(guard)))
}

/// log x for x = `argument`·2^−`scale`; `None` if x ≤ 0.
///
/// x = m·2^e with 2/3 ≤ m < 4/3: log x = 2·artanh((m − 1)/(m + 1)) + e·2·artanh(1/3).
pub fn logarithm(argument: &IBig, scale: usize) -> Option<Ball> {
    if *argument <= IBig::ZERO {
        return None;
    }
    // x = argument/2^bits·2^exponent, and argument/2^bits in [1/2, 1); twice that if it is below 2/3.
    let bits = bit_length(argument);
    let low = IBig::from(3) * argument < (IBig::ONE << (bits + 1));
    let bits = bits - usize::from(low);
    let guard = 32 + bits.max(scale) - scale;
    let working = scale + guard;
    let mantissa = if working >= bits { argument << (working - bits) } else { return None };
    let one = IBig::ONE << working;
    // Floored: at most one unit too low, and artanh' ≤ 1/(1 − 1/25) there.
    let ratio = divide_floor(&((&mantissa - &one) << working), &(&mantissa + &one));
    let main = twice_artanh(&ratio, working);
    let two = twice_artanh(&divide_floor(&one, &IBig::from(3)), working);
    let exponent = IBig::from(bits) - IBig::from(scale);
    let centre = main.centre + &exponent * two.centre;
    Some(Ball { centre, radius: main.radius + absolute(&exponent) * two.radius }.coarser(guard))
}

/// 2·artanh z for |z| ≤ 1/3, z one unit uncertain: Σ 2·z^(2k+1)/(2k+1).
///
/// A power is off by E' ≤ E·z² + |z| + 1 < E/9 + 4/3, so by less than two units, its quotient by less than three; once a power is 0 or −1
/// the true one is at most three, and the rest sums to less than four. z's own unit moves the sum by less than 9/8.
fn twice_artanh(z: &IBig, scale: usize) -> Ball {
    let square = shift_floor(&(z * z), scale);
    let (mut power, mut sum, mut k) = (z.clone(), IBig::ZERO, 0usize);
    while power != IBig::ZERO && power != IBig::NEG_ONE {
        sum += divide_floor(&power, &IBig::from(2 * k + 1));
        power = shift_floor(&(&power * &square), scale);
        k += 1;
    }
    Ball { centre: sum * IBig::from(2), radius: IBig::from(6 * k + 12) }
}

/// π at scale 2^−`scale`, by Machin's formula 16·arctan(1/5) − 4·arctan(1/239).
pub fn pi(scale: usize) -> Ball {
    let guard = 16;
    let (fifth, small) = (arctangent_of_inverse(5, scale + guard), arctangent_of_inverse(239, scale + guard));
    let ball = Ball {
        centre: fifth.centre * IBig::from(16) - small.centre * IBig::from(4),
        radius: fifth.radius * IBig::from(16) + small.radius * IBig::from(4),
    };
    ball.coarser(guard)
}

/// arctan(1/n) = Σ (−1)^k / ((2k+1)·n^(2k+1)); an alternating series of decreasing terms.
fn arctangent_of_inverse(n: i64, scale: usize) -> Ball {
    let mut power = (IBig::ONE << scale) / IBig::from(n);
    let (mut sum, mut k) = (IBig::ZERO, 0i64);
    while power != IBig::ZERO {
        let term = &power / IBig::from(2 * k + 1);
        sum += if k % 2 == 0 { term } else { -term };
        power /= IBig::from(n * n);
        k += 1;
    }
    Ball { centre: sum, radius: IBig::from(2 * k + 2) }
}

/// The largest |c| of [`gaussian_integral`]; tails serve beyond.
pub const GAUSSIAN_LIMIT: u32 = 16;

/// ∫₀ᶜ exp(−s·u²) du for c = `end`·2^−`scale`, s = `numerator`/`denominator` > 0; `None` beyond
/// [`GAUSSIAN_LIMIT`] or where s·c² exceeds [`EXPONENT_LIMIT`].
///
/// Equal to exp(−s·c²)·Σ Tₖ with T₀ = c, Tₖ₊₁ = Tₖ·2sc²/(2k+3): every term is positive for c > 0, and once the ratio
/// is at most 1/2 the tail is at most the last term.
pub fn gaussian_integral(end: &IBig, scale: usize, numerator: i64, denominator: i64) -> Option<Ball> {
    if absolute(end) > IBig::from(GAUSSIAN_LIMIT) << scale || numerator <= 0 || denominator <= 0 {
        return None;
    }
    let magnitude = absolute(end);
    // s·c², rounded down; the sum is below c·e^(s·c²) < c·2^(1.5·s·c²).
    let exponent_bound = shift_ceil(&(&magnitude * &magnitude * IBig::from(numerator)), 2 * scale);
    let exponent_bound = u64::try_from(divide_ceil(&exponent_bound, &IBig::from(denominator))).ok()?;
    if exponent_bound > u64::from(EXPONENT_LIMIT) {
        return None;
    }
    let guard = 64 + 2 * exponent_bound as usize;
    let working = scale + guard;
    let c = &magnitude << guard;
    let square = shift_floor(&(&c * &c), working);
    let rate = |value: &IBig| divide_floor(&(value * IBig::from(numerator)), &IBig::from(denominator));
    let exponent = rate(&square);
    // ⌈s⌉ + 1 bounds how far `exponent` is below s·c², in units of the working scale.
    let shortfall = divide_ceil(&IBig::from(numerator), &IBig::from(denominator)) + IBig::ONE;
    let factor = IBig::from(2u8) * &exponent;
    let factor_error = IBig::from(2u8) * &shortfall;
    let (mut term, mut sum, mut k) = (c.clone(), c, 0u64);
    let mut term_error = IBig::ONE;
    let mut error = IBig::ONE;
    loop {
        let odd = IBig::from(2 * k + 3);
        let halves = IBig::from(2u8) * (&factor + &factor_error) <= (&odd << working);
        if term <= IBig::ONE && halves {
            break;
        }
        let grown = &term_error * (&factor + &factor_error) + &term * &factor_error;
        term_error = divide_ceil(&(shift_ceil(&grown, working) + IBig::ONE), &odd) + IBig::ONE;
        term = divide_floor(&shift_floor(&(&term * &factor), working), &odd);
        sum += &term;
        error += &term_error;
        k += 1;
    }
    let series = Ball { centre: sum, radius: error + term_error + IBig::from(4) };
    let mut decay = exponential(&-exponent, working)?;
    decay.radius += shortfall;
    let mut ball = series.times(&decay, working).coarser(guard);
    if is_negative(end) {
        ball.centre = -ball.centre;
    }
    Some(ball)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCALE: usize = 100;

    fn close(ball: &Ball, expected: f64) {
        let value = ball.centre.to_f64().value() / 2f64.powi(SCALE as i32);
        assert!((value - expected).abs() <= 1e-14 * expected.abs() + 1e-28, "{value} against {expected}");
        assert!(bit_length(&ball.radius) < 16 + (expected.abs().log2().max(0.0) as usize), "radius {}", ball.radius);
    }

    #[test]
    fn known_values() {
        for x in [-40.0f64, -9.25, -1.0, -0.3, 0.0, 0.5, 1.0, 10.0, 30.0] {
            let argument = IBig::from((x * 1024.0) as i64) << (SCALE - 10);
            let exact = (x * 1024.0).trunc() / 1024.0;
            close(&exponential(&argument, SCALE).unwrap(), exact.exp());
        }
        close(&pi(SCALE), std::f64::consts::PI);
        for x in [-200.0f64, -40.0, -9.25, -1.0, -0.3, 0.0, 0.5, 1.0, 1.5, 10.0, 255.0] {
            let argument = IBig::from((x * 1024.0) as i64) << (SCALE - 10);
            let exact = (x * 1024.0).trunc() / 1024.0;
            let (sine, cosine) = sine_cosine(&argument, SCALE).unwrap();
            close(&sine, exact.sin());
            close(&cosine, exact.cos());
        }
        for x in [1.0f64 / 1024.0, 0.3, 0.5, 0.66, 0.67, 1.0, 1.33, 1.34, 2.0, 3.0, 10.0, 1e6] {
            let argument = IBig::from((x * 1024.0) as i64) << (SCALE - 10);
            close(&logarithm(&argument, SCALE).unwrap(), ((x * 1024.0).trunc() / 1024.0).ln());
        }
        assert!(logarithm(&IBig::ZERO, SCALE).is_none() && logarithm(&IBig::NEG_ONE, SCALE).is_none());
        assert!(sine_cosine(&(IBig::from(257) << SCALE), SCALE).is_none());
        let half_pi_root = (std::f64::consts::PI / 2.0).sqrt();
        for (c, erf) in
            [(1.0, 0.682689492137086), (2.0, 0.954499736103642), (6.0, 0.999999998026825), (-1.0, -0.682689492137086)]
        {
            let end = IBig::from((c * 8.0) as i64) << (SCALE - 3);
            close(&gaussian_integral(&end, SCALE, 1, 2).unwrap(), half_pi_root * erf);
        }
        assert!(exponential(&(IBig::from(5000) << SCALE), SCALE).is_none());
        assert!(gaussian_integral(&(IBig::from(65) << SCALE), SCALE, 1, 2).is_none());
    }

    /// Two precisions must give intersecting balls: an error bound that is too small shows here.
    #[test]
    fn balls_of_two_precisions_intersect() {
        for numerator in -200i64..200 {
            let coarse = exponential(&(IBig::from(numerator) << 56), 60).unwrap();
            let fine = exponential(&(IBig::from(numerator) << 196), 200).unwrap();
            let difference = absolute(&(&fine.centre - (&coarse.centre << 140usize)));
            assert!(difference <= (coarse.radius << 140usize) + fine.radius);
            let (coarse, coarse_cosine) = sine_cosine(&(IBig::from(numerator) << 56), 60).unwrap();
            let (fine, fine_cosine) = sine_cosine(&(IBig::from(numerator) << 196), 200).unwrap();
            for (coarse, fine) in [(coarse, fine), (coarse_cosine, fine_cosine)] {
                let difference = absolute(&(&fine.centre - (&coarse.centre << 140usize)));
                assert!(difference <= (coarse.radius << 140usize) + fine.radius);
            }
            if numerator > 0 {
                let coarse = logarithm(&(IBig::from(numerator) << 51), 60).unwrap();
                let fine = logarithm(&(IBig::from(numerator) << 191), 200).unwrap();
                let difference = absolute(&(&fine.centre - (&coarse.centre << 140usize)));
                assert!(difference <= (coarse.radius << 140usize) + fine.radius);
            }
            let coarse = gaussian_integral(&(IBig::from(numerator) << 54), 60, 1, 1).unwrap();
            let fine = gaussian_integral(&(IBig::from(numerator) << 194), 200, 1, 1).unwrap();
            let difference = absolute(&(&fine.centre - (&coarse.centre << 140usize)));
            assert!(difference <= (coarse.radius << 140usize) + fine.radius);
        }
    }
}
