//! Truncated Taylor series with interval coefficients.
//!
//! A series is its coefficients of order 0, 1, …. Establishes: if the i-th interval of each argument contains
//! g⁽ⁱ⁾(x)/i! for every x of a set, then the i-th interval of the result contains that of the operation's result.
//! All arguments of one operation have the same, positive, length.
//! Source: Moore, Kearfott and Cloud, *Introduction to Interval Analysis*, chapter 9 (recurrences for y' = F(y)).

use crate::interval::Interval;
use rug::Rational;

/// The constant `value`, to order `order`.
pub fn constant(value: Interval, order: usize) -> Vec<Interval> {
    let mut series = vec![Interval::integer(0, value.precision()); order + 1];
    series[0] = value;
    series
}

/// The variable itself over `argument`, to order `order`.
pub fn identity(argument: &Interval, order: usize) -> Vec<Interval> {
    let mut series = constant(argument.clone(), order);
    if order > 0 {
        series[1] = Interval::integer(1, argument.precision());
    }
    series
}

/// g + h.
pub fn sum(left: &[Interval], right: &[Interval]) -> Vec<Interval> {
    left.iter().zip(right).map(|(l, r)| l.add(r)).collect()
}

/// −g.
pub fn negated(g: &[Interval]) -> Vec<Interval> {
    g.iter().map(Interval::negate).collect()
}

/// g·h.
pub fn product(left: &[Interval], right: &[Interval]) -> Vec<Interval> {
    (0..left.len()).map(|i| convolution(&left[..=i], &right[..=i])).collect()
}

/// Σ left[j]·right[last − j].
fn convolution(left: &[Interval], right: &[Interval]) -> Interval {
    let products = left.iter().zip(right.iter().rev()).map(|(l, r)| l.multiply(r));
    products.reduce(|a, b| a.add(&b)).expect("a series is not empty")
}

/// i·gᵢ for every i.
fn weighted(g: &[Interval]) -> Vec<Interval> {
    g.iter().enumerate().map(|(i, c)| c.scale(i as i64, 1)).collect()
}

/// The series y with y₀ = `value` and y' = g'·`derivative`, where `derivative` has the order of y less one.
pub fn chain(value: Interval, derivative: &[Interval], g: &[Interval]) -> Vec<Interval> {
    let slope = weighted(g);
    let mut y = vec![value];
    for i in 1..g.len() {
        y.push(convolution(&slope[1..=i], &derivative[..i]).scale(1, i as i64));
    }
    y
}

/// e^g: y' = g'·y.
pub fn exponential(g: &[Interval]) -> Vec<Interval> {
    let slope = weighted(g);
    let mut y = vec![g[0].exp()];
    for i in 1..g.len() {
        let next = convolution(&slope[1..=i], &y).scale(1, i as i64);
        y.push(next);
    }
    y
}

/// 1/g, or `None` if g may vanish: g·y = 1.
pub fn reciprocal(g: &[Interval]) -> Option<Vec<Interval>> {
    let mut y = vec![g[0].reciprocal()?];
    for i in 1..g.len() {
        let next = convolution(&g[1..=i], &y).multiply(&y[0]).negate();
        y.push(next);
    }
    Some(y)
}

/// ln g, or `None` unless g is positive.
pub fn logarithm(g: &[Interval]) -> Option<Vec<Interval>> {
    Some(chain(g[0].ln()?, &reciprocal(g)?, g))
}

/// g^`exponent` with y₀ = `value`; `None` beyond order 0 unless g is positive: g·y' = exponent·g'·y.
pub fn power(g: &[Interval], exponent: &Rational, value: Interval) -> Option<Vec<Interval>> {
    let mut y = vec![value];
    if g.len() == 1 {
        return Some(y);
    }
    let inverse = if g[0].is_positive() { g[0].reciprocal()? } else { return None };
    let slope = weighted(g);
    let factor = Interval::rational(exponent, g[0].precision());
    for i in 1..g.len() {
        let mut next = convolution(&slope[1..=i], &y).multiply(&factor);
        if i > 1 {
            next = next.subtract(&convolution(&g[1..i], &weighted(&y)[1..]));
        }
        y.push(next.multiply(&inverse).scale(1, i as i64));
    }
    Some(y)
}

/// g^`exponent` for a natural number, by squaring, so that an even power is never negative.
pub fn natural_power(g: &[Interval], exponent: u32) -> Vec<Interval> {
    if exponent == 0 {
        return constant(Interval::integer(1, g[0].precision()), g.len() - 1);
    }
    if exponent % 2 == 1 {
        return product(g, &natural_power(g, exponent - 1));
    }
    let half = natural_power(g, exponent / 2);
    let mut square = product(&half, &half);
    square[0] = half[0].square();
    square
}

/// sin g and cos g.
pub fn sine_cosine(g: &[Interval]) -> (Vec<Interval>, Vec<Interval>) {
    let slope = weighted(g);
    let (mut sine, mut cosine) = (vec![g[0].sin()], vec![g[0].cos()]);
    for i in 1..g.len() {
        let (up, down) = (convolution(&slope[1..=i], &cosine), convolution(&slope[1..=i], &sine));
        sine.push(up.scale(1, i as i64));
        cosine.push(down.scale(-1, i as i64));
    }
    (sine, cosine)
}

/// The series y with y₀ = `value` and y' = g'·(a + b·y + c·y²) for the three integers: tanh is (1, 0, −1), the
/// logistic function (0, 1, −1).
pub fn riccati(value: Interval, [a, b, c]: [i64; 3], g: &[Interval]) -> Vec<Interval> {
    let precision = value.precision();
    let slope = weighted(g);
    let (mut y, mut right) = (vec![value], Vec::new());
    for i in 1..g.len() {
        let mut next = convolution(&y, &y).scale(c, 1).add(&y[i - 1].scale(b, 1));
        if i == 1 {
            // Both terms of order 0 at once: y(b + cy) is tighter than by + cy².
            let inner = y[0].scale(c, 1).add(&Interval::integer(i128::from(b), precision));
            next = Interval::integer(i128::from(a), precision).add(&y[0].multiply(&inner));
        }
        right.push(next);
        y.push(convolution(&slope[1..=i], &right).scale(1, i as i64));
    }
    y
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(numerator: i64, denominator: i64, order: usize) -> Vec<Interval> {
        identity(&Interval::rational(&Rational::from((numerator, denominator)), 192), order)
    }

    fn assert_meet(left: &[Interval], right: &[Interval]) {
        assert_eq!(left.len(), right.len());
        for (i, (l, r)) in left.iter().zip(right).enumerate() {
            assert!(l.meets(r), "order {i}: {l:?} and {r:?}");
            assert!(l.width() < 1e-40 && r.width() < 1e-40, "order {i}");
        }
    }

    #[test]
    fn what_is_undefined_is_refused() {
        let across = Interval::integer(-1, 64).hull(&Interval::integer(1, 64));
        let g = identity(&across, 3);
        assert!(reciprocal(&g).is_none() && logarithm(&g).is_none());
        assert!(power(&g, &Rational::from((1, 2)), across).is_none());
    }

    #[test]
    fn identities_hold_order_by_order() {
        const ORDER: usize = 9;
        let x = at(7, 5, ORDER);
        assert_meet(&logarithm(&exponential(&x)).unwrap(), &x);
        let third = Rational::from((1, 3));
        let exponent = Interval::rational(&third, 192);
        let root = power(&x, &third, x[0].ln().unwrap().multiply(&exponent).exp()).unwrap();
        assert_meet(&natural_power(&root, 3), &x);
        let (sine, cosine) = sine_cosine(&x);
        let one = constant(Interval::integer(1, 192), ORDER);
        assert_meet(&sum(&product(&sine, &sine), &product(&cosine, &cosine)), &one);
        // tanh x = 2σ(2x) − 1, and both against e^x.
        let double = sum(&x, &x);
        let tanh = riccati(x[0].tanh(), [1, 0, -1], &x);
        let inverse = reciprocal(&sum(&exponential(&negated(&double)), &one)).unwrap();
        assert_meet(&tanh, &sum(&sum(&inverse, &inverse), &negated(&one)));
        let sigma = riccati(inverse[0].clone(), [0, 1, -1], &double);
        assert_meet(&sigma, &inverse);
    }

    #[test]
    fn ranges_contain_the_series_at_their_points() {
        let around = Interval::rational(&Rational::from((1, 2)), 192).hull(&Interval::integer(1, 192));
        let (over, point) = (identity(&around, 6), at(3, 4, 6));
        let pairs = [
            (sine_cosine(&over).0, sine_cosine(&point).0),
            (sine_cosine(&over).1, sine_cosine(&point).1),
            (riccati(around.tanh(), [1, 0, -1], &over), riccati(point[0].tanh(), [1, 0, -1], &point)),
            (logarithm(&over).unwrap(), logarithm(&point).unwrap()),
            (natural_power(&over, 4), natural_power(&point, 4)),
        ];
        for (over, point) in pairs {
            assert!(over.iter().zip(&point).all(|(o, p)| o.covers(p)));
        }
    }
}
