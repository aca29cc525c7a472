//! The enclosures of functions against themselves at other precisions: the polynomial over a wide piece against the
//! enclosure at single points, in exact integers; series against known digits.

#![allow(clippy::unwrap_used)]

mod support;

use catalogs::Function;
use dashu::integer::IBig;
use dashu::rational::RBig;
use support::Random;
use verify::constants::{Ball, exponential, gaussian_integral, pi};
use verify::polynomial::Polynomial;
use verify::reference::{Piece, Reference, enclose};
use verify::tail;

const SCALE: usize = 220;

/// q(t)·2^64 at the input x, rounded down; exact but for one unit.
fn at(reference: &Reference, piece: &Piece, x: i64) -> IBig {
    let numerator = IBig::from(2 * i128::from(x) - i128::from(piece.low) - i128::from(piece.high));
    let denominator = IBig::from((i128::from(piece.high) - i128::from(piece.low)).max(1));
    let (mut sum, mut power) = (IBig::ZERO, IBig::ONE);
    for c in reference.polynomial.0.iter().rev() {
        sum = sum * &numerator + c * &power;
        power *= &denominator;
    }
    (sum << 64) * denominator / power
}

/// A random piece of a random function, with its enclosure.
fn random_piece(random: &mut Random) -> Option<(Function, Piece, Reference)> {
    let function = Function::ALL[random.between(0, Function::ALL.len() as i64 - 1) as usize].clone();
    let positive = matches!(function, Function::Reciprocal | Function::Rsqrt | Function::Log | Function::Sqrt);
    let centre = random.between(if positive { 1 } else { -12 << 16 }, 12 << 16);
    let width = 1i64 << random.between(0, 18);
    let (low, high) = (if positive { centre.max(1) } else { centre }, centre + random.between(0, width));
    let piece = Piece { low, high, input_scale: 16, scale: SCALE, degree: random.between(0, 24) as usize };
    let use_tail = random.chance(1, 4);
    let enclosed = if use_tail { tail::enclose(&function, &piece) } else { enclose(&function.definition(), &piece) };
    Some((function, piece, enclosed.ok()?))
}

/// The largest distance of wide and narrow enclosures over a few points, in units of what both allow.
fn compare(random: &mut Random, function: &Function, piece: &Piece, wide: &Reference) -> f64 {
    let mut worst = 0.0f64;
    for x in [piece.low, piece.high, random.between(piece.low, piece.high), random.between(piece.low, piece.high)] {
        let point = Piece { low: x, high: x, degree: random.between(0, 3) as usize, ..*piece };
        let narrow = enclose(&function.definition(), &point).unwrap();
        let distance = at(wide, piece, x) - at(&narrow, &point, x);
        let allowed = ((&wide.error + &narrow.error) << 64) + IBig::from(4);
        worst = worst.max((RBig::from(distance) / RBig::from(allowed)).to_f64().value().abs());
    }
    worst
}

#[test]
fn wide_enclosures_contain_the_points() {
    let mut random = Random(77);
    let (mut pieces, mut sharp, mut by_function) = (0, 0, std::collections::BTreeSet::new());
    while pieces < 1500 {
        let Some((function, piece, wide)) = random_piece(&mut random) else { continue };
        let worst = compare(&mut random, &function, &piece, &wide);
        assert!(worst <= 1.0, "{function} {piece:?}: {worst}");
        pieces += 1;
        // The error of a sharp enclosure is attained: an enclosure a quarter as wide would be refuted here.
        sharp += u32::from(worst > 0.25);
        by_function.insert(function);
    }
    println!("{pieces} pieces of {} functions, {sharp} attain a quarter of their error", by_function.len());
    assert!(sharp > 50 && by_function.len() == Function::ALL.len());
}

/// An enclosure as a checker would have it that forgets something; `None` where the function is not enclosed.
type Weak = fn(&Piece) -> Option<(Function, Reference)>;

/// e^x with the residual taken as the error: as if the equation's Lipschitz constant were zero.
fn assumed_lipschitz_constant(piece: &Piece) -> Option<(Function, Reference)> {
    let honest = enclose(&Function::Exp.definition(), piece).ok()?;
    let q = honest.polynomial;
    let (driven, rounding) = piece.argument().derivative().product(&q, piece.scale, 2 * piece.degree + 2);
    let error = q.derivative().plus(&driven, &IBig::NEG_ONE).magnitude() + rounding + IBig::from(4);
    Some((Function::Exp, Reference { polynomial: q, error }))
}

/// The power series of 1/(c + h·t), with |x·q − 1| divided by the least |x| of the two ends.
fn reciprocal_series(piece: &Piece) -> Option<(Reference, IBig)> {
    let (g, scale) = (piece.argument(), piece.scale);
    let (centre, slope) = (g.coefficient(0), g.coefficient(1));
    if centre == IBig::ZERO {
        return None;
    }
    let mut q = vec![(IBig::ONE << (2 * scale)) / &centre];
    for k in 1..=piece.degree {
        q.push(-&slope * &q[k - 1] / &centre);
    }
    let q = Polynomial(q);
    let (residual, rounding) = g.product(&q, scale, 2 * piece.degree + 2);
    let defect = residual.plus(&Polynomial::constant(IBig::ONE << scale), &IBig::NEG_ONE).magnitude() + rounding;
    let magnitude = |value: IBig| if value < IBig::ZERO { -value } else { value };
    let least = magnitude(&centre - &slope).min(magnitude(&centre + &slope));
    (least > IBig::ZERO).then(|| (Reference { polynomial: q, error: (&defect << scale) / &least + IBig::ONE }, defect))
}

/// 1/x where nobody looked for a pole between the ends.
fn unchecked_pole(piece: &Piece) -> Option<(Function, Reference)> {
    reciprocal_series(piece).map(|(reference, _)| (Function::Reciprocal, reference))
}

/// 1/x with the residual itself as the error, as if x were at least one.
fn undivided_residual(piece: &Piece) -> Option<(Function, Reference)> {
    if piece.low <= 0 {
        return None;
    }
    let (reference, defect) = reciprocal_series(piece)?;
    Some((Function::Reciprocal, Reference { error: defect + IBig::ONE, ..reference }))
}

/// x^−½ as −x^−½: g·q² − 1 is as small, and q is not positive.
fn unchecked_positivity(piece: &Piece) -> Option<(Function, Reference)> {
    let honest = enclose(&Function::Rsqrt.definition(), piece).ok()?;
    let polynomial = honest.polynomial.times(&IBig::NEG_ONE);
    Some((Function::Rsqrt, Reference { polynomial, ..honest }))
}

/// e^x by a polynomial without what the series leaves out.
fn missing_remainder(piece: &Piece) -> Option<(Function, Reference)> {
    let honest = enclose(&Function::Exp.definition(), piece).ok()?;
    Some((Function::Exp, Reference { error: IBig::from(4), ..honest }))
}

/// A tail's bound at its far end instead of its near one.
fn tail_at_the_far_end(piece: &Piece) -> Option<(Function, Reference)> {
    if piece.high >= 0 {
        return None;
    }
    let far = Piece { high: piece.low, ..*piece };
    Some((Function::Sigmoid, tail::enclose(&Function::Sigmoid, &far).ok()?))
}

#[test]
fn weakened_enclosures_are_caught() {
    let weak: [(&str, Weak); 6] = [
        ("assumed Lipschitz constant", assumed_lipschitz_constant),
        ("unchecked pole", unchecked_pole),
        ("undivided residual", undivided_residual),
        ("unchecked positivity", unchecked_positivity),
        ("missing remainder", missing_remainder),
        ("tail bounded at its far end", tail_at_the_far_end),
    ];
    for (name, enclosed) in weak {
        let mut random = Random(3);
        let (mut pieces, mut caught) = (0, false);
        while !caught && pieces < 500 {
            let low = random.between(-12 << 16, 12 << 16);
            let high = low + random.between(1, 4 << 16);
            let degree = random.between(0, 12) as usize;
            let piece = Piece { low, high, input_scale: 16, scale: SCALE, degree };
            let Some((function, reference)) = enclosed(&piece) else { continue };
            pieces += 1;
            // Zero has no reciprocal.
            caught = !(low..=high).contains(&0) && compare(&mut random, &function, &piece, &reference) > 1.0
                || (low..=high).contains(&0) && across_zero(&mut random, &function, &piece, &reference);
        }
        println!("{name}: caught after {pieces} pieces");
        assert!(caught, "'{name}' was not caught");
    }
}

/// [`compare`] at inputs other than zero.
fn across_zero(random: &mut Random, function: &Function, piece: &Piece, wide: &Reference) -> bool {
    (0..4).any(|_| {
        let x = random.between(piece.low, piece.high);
        let point = Piece { low: x, high: x, ..*piece };
        let Ok(narrow) = enclose(&function.definition(), &point) else { return false };
        let distance = at(wide, piece, x) - at(&narrow, &point, x);
        let allowed = ((&wide.error + &narrow.error) << 64) + IBig::from(4);
        distance > allowed || -distance > allowed
    })
}

fn digits(ball: &Ball, scale: usize, text: &str) {
    let (whole, fraction) = text.split_once('.').unwrap();
    let number: IBig = format!("{whole}{fraction}").parse().unwrap();
    let power = RBig::from(IBig::from(10).pow(fraction.len()));
    let known = RBig::from(number) / &power;
    let unit = RBig::from(IBig::ONE << scale);
    let distance = (RBig::from(ball.centre.clone()) / &unit - known).to_f64().value().abs();
    let allowed = (RBig::from(ball.radius.clone()) / unit + RBig::ONE / power).to_f64().value();
    assert!(distance <= allowed, "{text}: {distance:e} away, allowed {allowed:e}");
    assert!(allowed < 2e-45, "{text}: only known to {allowed:e}");
}

#[test]
fn known_digits() {
    let one = IBig::ONE << SCALE;
    digits(&exponential(&one, SCALE).unwrap(), SCALE, "2.718281828459045235360287471352662497757247093699");
    digits(&exponential(&-&one, SCALE).unwrap(), SCALE, "0.367879441171442321595523770161460867445811131031");
    digits(&pi(SCALE), SCALE, "3.141592653589793238462643383279502884197169399375");
    let integral = gaussian_integral(&one, SCALE, 1, 1).unwrap();
    digits(&integral, SCALE, "0.746824132812427025399467436131853005354499686812");
    let unity = exponential(&IBig::ZERO, SCALE).unwrap();
    digits(&unity, SCALE, "1.000000000000000000000000000000000000000000000000");
    // e^x · e^−x = 1 over the whole range of the series.
    for x in [1i64, 7, 44, 100, 255, 256] {
        let (up, down) = (
            exponential(&(IBig::from(x) << SCALE), SCALE).unwrap(),
            exponential(&(IBig::from(-x) << SCALE), SCALE).unwrap(),
        );
        let product = up.times(&down, SCALE);
        let distance = (product.centre - &one).to_f64().value().abs();
        assert!(distance <= product.radius.to_f64().value(), "e^{x}");
    }
    assert!(exponential(&(IBig::from(257) << SCALE), SCALE).is_none());
    assert!(gaussian_integral(&(IBig::from(17) << SCALE), SCALE, 1, 2).is_none());
    let far = gaussian_integral(&(IBig::from(16) << SCALE), SCALE, 1, 1).unwrap();
    let near = gaussian_integral(&(IBig::from(-16) << SCALE), SCALE, 1, 1).unwrap();
    assert_eq!(far.centre, -near.centre);
    // ∫₀¹⁶ e^−u² du is √π/2 to 10^−112.
    digits(&far, SCALE, "0.886226925452758013649083741670572591398774728061");
}
