//! Worst cases of composites: a search over rows, signs of errors and roundings, in integers, for entries that are as
//! wrong as their claims allow. Every case must stay inside its bound and reach at least half of it.

#![allow(clippy::unwrap_used)]

mod support;

use dashu::rational::RBig;
use support::Random;
use verify::compose::{
    AttentionErrors, Division, LayerNormErrors, LogSoftmaxErrors, SoftmaxErrors, attention_bound, layer_norm_bound,
    log_softmax_bound, softmax_bound,
};

fn exact(value: f64) -> RBig {
    RBig::try_from(value).unwrap()
}

fn float(value: &RBig) -> f64 {
    value.to_f64().value()
}

fn unit(bits: i32) -> f64 {
    f64::exp2(f64::from(-bits))
}

/// The largest error found, beside its bound.
struct Table(Vec<(String, f64, f64)>);

impl Table {
    fn add(&mut self, case: String, found: f64, bound: &RBig) {
        self.0.push((case, found, float(bound)));
    }

    /// Prints every case; fails if one exceeds its bound, or if a bound is more than twice what was found. Some case must
    /// come so close that a bound smaller by a fiftieth would be refuted here.
    fn judge(&self) {
        println!("{:<58} {:>10} {:>10} {:>6}", "case", "worst", "bound", "ratio");
        for (case, found, bound) in &self.0 {
            println!("{case:<58} {found:>10.3e} {bound:>10.3e} {:>6.3}", found / bound);
        }
        for (case, found, bound) in &self.0 {
            assert!(found <= bound, "{case} exceeds its bound");
            assert!(*found >= 0.5 * bound, "{case}: the bound is loose");
        }
        assert!(self.0.iter().any(|(_, found, bound)| *found > 0.98 * bound), "the search is weak");
    }
}

/// Rows of n, largest logit 0: so many logits at 0, the others at one level below, down to masks of −1e4.
fn rows(n: usize) -> Vec<(usize, f64)> {
    let mut rows = Vec::new();
    for leaders in [1, 2, 3, n / 4, n / 2, n - 1, n] {
        for level in [-1e4, -16.0, -(n as f64).ln(), -4.0, -1.0, -0.25] {
            if (1..=n).contains(&leaders) && !rows.contains(&(leaders, level)) {
                rows.push((leaders, level));
            }
        }
    }
    rows
}

/// Which exponentials are too large: by place, for a row with so many leaders.
const PATTERNS: [fn(usize, usize, usize) -> bool; 8] = [
    |_, _, _| true,
    |_, _, _| false,
    |i, _, _| i == 0,
    |i, _, _| i != 0,
    |i, leaders, _| i < leaders,
    |i, leaders, _| i >= leaders,
    |i, leaders, _| i < leaders.div_ceil(2),
    |i, _, n| i < n / 2,
];

const EXP_BITS: i32 = 34;
const INVERSE_BITS: i32 = 36;

/// (n, a, r, ρ): absolute and relative error of the exponential, relative error of the reciprocal.
#[derive(Clone, Copy, Debug)]
struct Case(usize, f64, f64, f64);

const CASES: [Case; 9] = [
    Case(2, 1e-4, 1e-3, 1e-3),
    Case(8, 1e-6, 3e-2, 1e-5),
    Case(16, 1e-4, 0.0, 1e-4),
    Case(32, 2.5e-7, 2e-6, 1e-4),
    Case(256, 1e-5, 1e-4, 1e-4),
    Case(256, 2e-7, 1e-3, 1e-6),
    Case(1024, 1e-4, 0.0, 1e-3),
    Case(1024, 2.5e-7, 2e-6, 1e-4),
    Case(1024, 2e-7, 1.6e-6, 1e-5),
];

impl Case {
    fn errors(self, rounding: f64) -> SoftmaxErrors {
        let Case(n, a, r, rho) = self;
        SoftmaxErrors {
            n: n as u32,
            exp_absolute: exact(a),
            exp_relative: exact(r),
            reciprocal_absolute: RBig::ZERO,
            reciprocal_relative: exact(rho),
            rounding: exact(rounding),
        }
    }

    /// Calls `visit` with the probabilities, the exponentials and the reciprocal of every run.
    fn search(self, mut visit: impl FnMut(&[f64], &[i128], i128)) {
        let Case(n, a, r, rho) = self;
        for (leaders, level) in rows(n) {
            let exact: Vec<f64> = (0..n).map(|i| if i < leaders { 1.0 } else { level.exp() }).collect();
            let total: f64 = exact.iter().sum();
            let probabilities: Vec<f64> = exact.iter().map(|e| e / total).collect();
            for pattern in PATTERNS {
                let computed: Vec<i128> = exact
                    .iter()
                    .enumerate()
                    .map(|(i, e)| {
                        let error = (a + r * e) * (1.0 - 1e-9);
                        let up = pattern(i, leaders, n);
                        let value = (if up { e + error } else { e - error }) / unit(EXP_BITS);
                        (if up { value.floor() } else { value.ceil() }) as i128
                    })
                    .collect();
                let ideal = f64::exp2(f64::from(EXP_BITS + INVERSE_BITS)) / computed.iter().sum::<i128>() as f64;
                visit(&probabilities, &computed, (ideal * (1.0 - rho)).ceil() as i128);
                visit(&probabilities, &computed, (ideal * (1.0 + rho)).floor() as i128);
            }
        }
    }
}

/// ⌊v/2^shift⌋ or one more, whichever is farther from `wanted` at `bits` fraction bits; and its error.
fn truncated(value: i128, shift: i32, bits: i32, wanted: f64) -> (i128, f64) {
    let floor = value >> shift;
    let error = |integer: i128| integer as f64 * unit(bits) - wanted;
    if error(floor).abs() >= error(floor + 1).abs() { (floor, error(floor)) } else { (floor + 1, error(floor + 1)) }
}

#[test]
fn softmax_rows() {
    let mut table = Table(Vec::new());
    for case in CASES {
        let (mut worst, mut worst_sum) = (0.0f64, 0.0f64);
        case.search(|probabilities, computed, inverse| {
            let mut sum = 0.0;
            for (p, e) in probabilities.iter().zip(computed) {
                let error = truncated(e * inverse, EXP_BITS + INVERSE_BITS - 16, 16, *p).1.abs();
                worst = worst.max(error);
                sum += error;
            }
            worst_sum = worst_sum.max(sum);
        });
        let bound = softmax_bound(&case.errors(unit(16))).unwrap();
        table.add(format!("softmax, an element, {case:?}"), worst, &bound.element);
        table.add(format!("softmax, a row's sum, {case:?}"), worst_sum, &bound.sum);
    }
    table.judge();
}

/// V at 16 bits, below 8; Σ ê·V to 24 bits; the result to 16.
#[test]
fn attention_rows() {
    const LARGEST: i128 = 8 << 16;
    let mut table = Table(Vec::new());
    for case in CASES {
        let (mut first, mut last) = (0.0f64, 0.0f64);
        case.search(|probabilities, computed, inverse| {
            let (mut rounded, mut weighted, mut wanted_rounded, mut wanted) = (0i128, 0i128, 0.0, 0.0);
            for (p, e) in probabilities.iter().zip(computed) {
                let (y, error) = truncated(e * inverse, EXP_BITS + INVERSE_BITS - 16, 16, *p);
                let value = if error >= 0.0 { LARGEST } else { -LARGEST };
                rounded += y * value;
                wanted_rounded += p * value as f64;
                let error = (e * inverse) as f64 * unit(EXP_BITS + INVERSE_BITS) - p;
                let value = if error >= 0.0 { LARGEST } else { -LARGEST };
                weighted += e * value;
                wanted += p * value as f64;
            }
            first = first.max(truncated(rounded, 16, 16, wanted_rounded * unit(16)).1.abs());
            for delta in [0, 1] {
                let sum = (weighted >> (EXP_BITS - 8)) + delta;
                let error = truncated(sum * inverse, INVERSE_BITS + 8, 16, wanted * unit(16)).1;
                last = last.max(error.abs());
            }
        });
        let bound = |division| {
            let errors = AttentionErrors { values: RBig::from(8), division, rounding: exact(unit(16)) };
            attention_bound(&softmax_bound(&case.errors(unit(16))).unwrap(), &errors).unwrap().element
        };
        table.add(format!("attention, divided first, {case:?}"), first, &bound(Division::First(())));
        table.add(format!("attention, divided last, {case:?}"), last, &bound(Division::Last(exact(unit(24)))));
    }
    table.judge();
}

/// α, β of the logarithm, then as for a softmax; logits at 16 bits, the logarithm at 24, the result at 16.
#[test]
fn log_softmax_rows() {
    let mut table = Table(Vec::new());
    for (alpha, beta) in [(1e-6, 0.0), (0.0, 1e-4), (1e-5, 1e-5)] {
        for case in CASES {
            let Case(n, a, r, _) = case;
            let mut worst = 0.0f64;
            case.search(|probabilities, computed, _| {
                let log = (computed.iter().sum::<i128>() as f64 * unit(EXP_BITS)).ln();
                // The first logit is 0, so its probability is 1/T.
                let wanted = probabilities[0].ln();
                for sign in [-1.0, 1.0] {
                    let computed = ((log + sign * (alpha + beta * log.abs()) * (1.0 - 1e-9)) / unit(24)) as i128;
                    worst = worst.max(truncated(-computed, 8, 16, wanted).1.abs());
                }
            });
            let bound = log_softmax_bound(&LogSoftmaxErrors {
                n: n as u32,
                exp_absolute: exact(a),
                exp_relative: exact(r),
                log_absolute: exact(alpha),
                log_relative: exact(beta),
                rounding: exact(unit(16)),
            });
            table.add(format!("log-softmax, α = {alpha:e}, β = {beta:e}, {case:?}"), worst, &bound.unwrap().element);
        }
    }
    table.judge();
}

/// A normalisation in integers: values at 16 bits, the variance at 24, the inverse root at 22, the result at 22.
#[derive(Clone, Copy)]
struct Normalisation {
    centred: bool,
    rho: f64,
}

const EPSILON: i128 = 168;

impl Normalisation {
    fn factor(n: usize) -> (i128, f64) {
        let factor = ((1i128 << 40) + n as i128 / 2) / n as i128;
        (factor, (factor as f64 * unit(40) - 1.0 / n as f64).abs())
    }

    /// The bound for variances from `low` to `high`, sums of rows up to `sum`.
    fn bound(self, n: usize, variances: (f64, f64), sum: f64) -> RBig {
        let off = Self::factor(n).1;
        let errors = LayerNormErrors {
            n: n as u32,
            centred: self.centred,
            mean: if self.centred { exact(unit(16) + off * sum) } else { RBig::ZERO },
            weight: exact(off * n as f64),
            variance: exact(unit(24)),
            epsilon: exact(EPSILON as f64 * unit(24)),
            variances: (exact(variances.0), exact(variances.1)),
            root_absolute: RBig::ZERO,
            root_relative: exact(self.rho),
            rounding: exact(unit(22)),
        };
        layer_norm_bound(&errors).unwrap().element
    }

    /// The largest error of a row over all roundings and both ends of the inverse root; and its variance.
    fn worst(self, row: &[i128]) -> (f64, f64) {
        let (n, factor) = (row.len() as f64, Self::factor(row.len()).0);
        let real: Vec<f64> = row.iter().map(|x| *x as f64 * unit(16)).collect();
        let mu = if self.centred { real.iter().sum::<f64>() / n } else { 0.0 };
        let v = real.iter().map(|x| (x - mu) * (x - mu)).sum::<f64>() / n;
        let scale = (v + EPSILON as f64 * unit(24)).sqrt();
        let mut worst = 0.0f64;
        let means = if self.centred {
            let floor = (factor * row.iter().sum::<i128>()) >> 40;
            vec![floor, floor + 1]
        } else {
            vec![0]
        };
        for mean in means {
            let squares: i128 = row.iter().map(|x| (x - mean) * (x - mean)).sum();
            let floor = (factor * squares + (EPSILON << 48)) >> 48;
            for variance in [floor, floor + 1] {
                let ideal = f64::exp2(22.0 + 12.0) / (variance as f64).sqrt();
                for root in [(ideal * (1.0 - self.rho)).ceil(), (ideal * (1.0 + self.rho)).floor()] {
                    for (x, real) in row.iter().zip(&real) {
                        let error = truncated((x - mean) * root as i128, 16, 22, (real - mu) / scale).1;
                        worst = worst.max(error.abs());
                    }
                }
            }
        }
        (worst, v)
    }

    /// Rows of n of about this deviation: a spike of either sign, two halves, noise; shifted by fractions of a unit of
    /// the mean, so that its rounding is met at its worst.
    fn rows(self, n: usize, deviation: f64, random: &mut Random) -> Vec<Vec<i128>> {
        let unit = deviation * 65536.0;
        let mut rows = Vec::new();
        for shape in 0..5 {
            for shift in 0..6i128 {
                let spike = (unit * (n as f64).sqrt()) as i128;
                let mut row: Vec<i128> = (0..n)
                    .map(|i| match shape {
                        0 if i == 0 => spike,
                        1 if i == 0 => -spike,
                        0 | 1 => 0,
                        2 => unit as i128 * (1 - 2 * (i as i128 % 2)),
                        3 => i128::from(random.between(-(1.7 * unit) as i64, (1.7 * unit) as i64)),
                        _ => i128::from(random.chance(1, 10)) * (3.3 * unit) as i128,
                    })
                    .collect();
                let offset = if self.centred { i128::from(random.between(-65536, 65536)) } else { 0 };
                row.iter_mut().for_each(|x| *x += offset);
                // The mean falls just above or just below an integer.
                let last = row.len() - 1;
                row[last] += shift - 3 - row.iter().sum::<i128>().rem_euclid(n as i128);
                rows.push(row);
            }
        }
        rows
    }
}

#[test]
fn normalised_rows() {
    let mut random = Random(11);
    let mut table = Table(Vec::new());
    for (name, centred) in [("layer norm", true), ("RMS norm", false)] {
        for (n, rho) in [(2usize, 1e-4), (32, 1e-4), (48, 2e-4), (128, 1e-4), (768, 2e-4), (1024, 1.7e-4)] {
            let normalisation = Normalisation { centred, rho };
            let (mut all, mut most) = (0.0f64, 0.0f64);
            for variance in [1e-3, 1e-2, 1.0, 1e2, 1e3] {
                let (mut ratio, mut pair) = (0.0, (0.0, RBig::ONE));
                for row in normalisation.rows(n, f64::sqrt(variance), &mut random) {
                    let (worst, v) = normalisation.worst(&row);
                    if !(0.5e-3..2e3).contains(&v) {
                        continue;
                    }
                    let sum = row.iter().sum::<i128>().abs() as f64 * unit(16);
                    let bound = normalisation.bound(n, (v * (1.0 - 1e-12), v * (1.0 + 1e-12)), sum);
                    assert!(worst <= float(&bound), "{name} of {n}, variance {v}: {worst:e} above {bound}");
                    (all, most) = (all.max(worst), most.max(sum));
                    if worst / float(&bound) > ratio {
                        (ratio, pair) = (worst / float(&bound), (worst, bound));
                    }
                }
                table.add(format!("{name}, n = {n}, ρ = {rho:e}, variance {variance:e}"), pair.0, &pair.1);
            }
            let bound = normalisation.bound(n, (0.5e-3, 2e3), most);
            table.add(format!("{name}, n = {n}, ρ = {rho:e}, variances 5e-4 to 2e3"), all, &bound);
        }
    }
    table.judge();
}
