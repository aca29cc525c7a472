//! Bounds of composites against adversarial simulations in integers: entries are replaced by the worst integers that
//! their claims allow, roundings are all low, all high, or random.

#![allow(clippy::unwrap_used)]

mod support;

use catalogs::{Format, Lemma, Ring, Rounding, Scale};
use dashu::rational::RBig;
use support::Random;
use support::bases::{exponential, reciprocal_wide, rsqrt};
use support::build::truncation;
use verify::Certified;
use verify::compose::{
    Affine, Average, Centre, LayerNormErrors, LayerNormLowering, SideCondition, SoftmaxErrors, SoftmaxLowering,
    Subtracted, layer_norm, layer_norm_bound, shifted_softmax, softmax, softmax_bound,
};

fn exact(value: f64) -> RBig {
    RBig::try_from(value).unwrap()
}

fn float(value: &RBig) -> f64 {
    value.to_f64().value()
}

/// (n, a, r, ρ): absolute and relative error of the exponential, relative error of the reciprocal.
#[derive(Clone, Copy, Debug)]
struct Softmax(u32, f64, f64, f64);

impl Softmax {
    fn errors(self) -> SoftmaxErrors {
        let Softmax(n, a, r, rho) = self;
        SoftmaxErrors {
            n,
            exp_absolute: exact(a),
            exp_relative: exact(r),
            reciprocal_absolute: RBig::ZERO,
            reciprocal_relative: exact(rho),
            rounding: exact(f64::exp2(-16.0)),
        }
    }
}

/// Largest |y − p| and Σ|y − p| of one adversarial run at scales 30 (exponential), 40 (reciprocal), 16 (result).
/// `low` says which exponentials are pushed down, `shrink` whether the reciprocal is.
fn softmax_run(
    case: Softmax,
    row: &[f64],
    low: &dyn Fn(usize) -> bool,
    shrink: bool,
    random: &mut Random,
) -> (f64, f64) {
    let Softmax(_, a, r, rho) = case;
    let greatest = row.iter().copied().fold(f64::MIN, f64::max);
    let exact: Vec<f64> = row.iter().map(|x| (x - greatest).exp()).collect();
    let total: f64 = exact.iter().sum();
    let unit = f64::exp2(30.0);
    let computed: Vec<i128> = exact
        .iter()
        .enumerate()
        .map(|(i, e)| {
            let error = (a + r * e) * (1.0 - 1e-9);
            (if low(i) { ((e - error) * unit).ceil() } else { ((e + error) * unit).floor() }) as i128
        })
        .collect();
    let sum: i128 = computed.iter().sum();
    let ideal = f64::exp2(70.0) / sum as f64;
    let inverse = if shrink { (ideal * (1.0 - rho)).ceil() } else { (ideal * (1.0 + rho)).floor() } as i128;
    let mode = random.between(0, 2);
    let (mut worst, mut all) = (0.0f64, 0.0);
    for (i, e) in computed.iter().enumerate() {
        let delta = if mode == 2 { random.between(0, 1) } else { mode };
        let y = ((e * inverse) >> 54) + i128::from(delta);
        let error = (y as f64 / 65536.0 - exact[i] / total).abs();
        worst = worst.max(error);
        all += error;
    }
    (worst, all)
}

fn rows(n: usize, random: &mut Random) -> Vec<Vec<f64>> {
    let mut rows = vec![vec![0.0; n], (0..n).map(|i| if i == 0 { 0.0 } else { -1e4 }).collect()];
    rows.push((0..n).map(|i| if i < 2 { 3.0 } else { -1e4 }).collect());
    rows.push((0..n).map(|i| if i < n / 2 { 1.5 } else { -1e4 }).collect());
    rows.push((0..n).map(|i| if i == 0 { (n as f64).ln() } else { 0.0 }).collect());
    for spread in [1, 8, 40] {
        rows.push((0..n).map(|_| random.between(-spread * 1000, spread * 1000) as f64 / 1000.0).collect());
    }
    rows
}

#[test]
fn softmax_runs_stay_below_the_bound_and_come_close() {
    let mut random = Random(4);
    let mut runs = 0;
    let cases = [
        Softmax(2, 1e-4, 1e-3, 1e-3),
        Softmax(16, 1e-4, 0.0, 1e-4),
        Softmax(32, 2.5e-7, 2e-6, 1e-4),
        Softmax(256, 1e-5, 1e-4, 1e-4),
        Softmax(1024, 1e-4, 0.0, 1e-3),
        Softmax(1024, 2.5e-7, 2e-6, 1e-4),
        Softmax(8, 1e-6, 3e-2, 1e-5),
    ];
    for case in cases {
        let bound = softmax_bound(&case.errors()).unwrap();
        let (element, sum) = (float(&bound.element), float(&bound.sum));
        let (mut worst, mut worst_sum) = (0.0f64, 0.0f64);
        for row in rows(case.0 as usize, &mut random) {
            let bits: Vec<bool> = row.iter().map(|_| random.chance(1, 2)).collect();
            let half = row.len() / 2;
            let patterns: [&dyn Fn(usize) -> bool; 6] =
                [&|_| true, &|_| false, &|i| i == 0, &|i| i != 0, &|i| i < half, &|i| bits[i]];
            for pattern in patterns {
                for shrink in [false, true] {
                    for _ in 0..3 {
                        let (most, all) = softmax_run(case, &row, pattern, shrink, &mut random);
                        (worst, worst_sum) = (worst.max(most), worst_sum.max(all));
                        runs += 1;
                    }
                }
            }
        }
        println!("{case:?}: {worst:.3e} of {element:.3e}, sums {worst_sum:.3e} of {sum:.3e}");
        assert!(worst <= element && worst_sum <= sum, "{case:?} exceeds its bound");
        assert!(worst >= 0.5 * element, "{case:?}: the bound is loose");
    }
    println!("{runs} rows");
}

#[test]
fn softmax_figures() {
    let of = |n, a, r, rho| float(&softmax_bound(&Softmax(n, a, r, rho).errors()).unwrap().element);
    for (n, expected) in [(32, 1.2e-4), (128, 1.5e-4), (1024, 3.7e-4)] {
        assert!((of(n, 2.5e-7, 2e-6, 1e-4) / expected - 1.0).abs() < 0.05);
    }
    assert!((of(1024, 1e-4, 0.0, 1e-3) - 0.115).abs() < 0.001);
    let refused = softmax_bound(&Softmax(1024, 1e-3, 0.0, 1e-3).errors()).unwrap_err();
    assert_eq!(refused, SideCondition::Denominator(1024));
    assert!(matches!(softmax_bound(&Softmax(0, 1e-3, 0.0, 1e-3).errors()), Err(SideCondition::Parameter(_))));
}

/// One adversarial layer norm in integers at f = 16 with 24 bits for the variance, 30 for the root, 16 for z.
fn layer_norm_run(row: &[i128], rho: f64, random: &mut Random) -> (f64, f64) {
    let n = row.len() as i128;
    let factor = ((1i128 << 40) + n / 2) / n;
    let mode = random.between(0, 3);
    let mut delta = |at: i64| match mode {
        0 | 1 => i128::from(mode),
        2 => i128::from(at & 1),
        _ => i128::from(random.between(0, 1)),
    };
    let mean = ((factor * row.iter().sum::<i128>()) >> 40) + delta(0);
    let squares: i128 = row.iter().map(|x| (x - mean) * (x - mean)).sum();
    let variance = ((factor * squares + (11i128 << 48)) >> 48) + delta(1);
    let ideal = f64::exp2(30.0 + 12.0) / (variance as f64).sqrt();
    let root = (if delta(2) == 0 { ideal * (1.0 - rho) } else { ideal * (1.0 + rho) }) as i128;
    let real: Vec<f64> = row.iter().map(|x| *x as f64 / 65536.0).collect();
    let mu = real.iter().sum::<f64>() / n as f64;
    let v = real.iter().map(|x| (x - mu) * (x - mu)).sum::<f64>() / n as f64;
    let scale = (v + EPSILON).sqrt();
    let mut worst = 0.0f64;
    for (index, x) in row.iter().enumerate() {
        let z = (((x - mean) * root) >> 30) + delta(index as i64);
        worst = worst.max((z as f64 / 65536.0 - (real[index] - mu) / scale).abs());
    }
    (worst, v)
}

const EPSILON: f64 = 11.0 / 16_777_216.0;

fn layer_norm_errors(n: u32, rho: f64, v: f64, sum: f64) -> LayerNormErrors {
    let factor = (((1i128 << 40) + i128::from(n) / 2) / i128::from(n)) as f64 / f64::exp2(40.0);
    let off = (factor - 1.0 / f64::from(n)).abs();
    LayerNormErrors {
        n,
        centred: true,
        mean: exact(f64::exp2(-16.0) + off * sum.abs()),
        weight: exact(off * f64::from(n)),
        variance: exact(f64::exp2(-24.0)),
        epsilon: exact(EPSILON),
        variances: (exact(v * (1.0 - 1e-12)), exact(v * (1.0 + 1e-12))),
        root_absolute: RBig::ZERO,
        root_relative: exact(rho),
        rounding: exact(f64::exp2(-16.0)),
    }
}

#[test]
fn layer_norm_runs_stay_below_the_bound() {
    let mut random = Random(9);
    let (mut runs, mut closest) = (0, 0.0f64);
    for n in [2usize, 3, 32, 100, 128, 1024] {
        for deviation in [0.0316, 0.1, 1.0, 5.0, 31.6] {
            for shape in 0..4 {
                let unit = (deviation * 65536.0) as i64;
                let offset = random.between(-4 * 65536, 4 * 65536);
                let spike = (unit as f64 * (n as f64).sqrt()) as i64;
                let row: Vec<i128> = (0..n)
                    .map(|i| match shape {
                        0 => {
                            if i == 0 {
                                spike
                            } else {
                                0
                            }
                        }
                        1 => {
                            if i % 2 == 0 {
                                unit
                            } else {
                                -unit
                            }
                        }
                        _ => random.between(-2 * unit, 2 * unit),
                    })
                    .map(|x| i128::from(x + offset))
                    .collect();
                let sum = row.iter().sum::<i128>() as f64 / 65536.0;
                for _ in 0..6 {
                    let (worst, v) = layer_norm_run(&row, 1e-4, &mut random);
                    if v < 1e-4 {
                        continue;
                    }
                    let bound = float(&layer_norm_bound(&layer_norm_errors(n as u32, 1e-4, v, sum)).unwrap().element);
                    assert!(worst <= bound, "n = {n}, deviation {deviation}, shape {shape}: {worst} above {bound}");
                    closest = closest.max(worst / bound);
                    runs += 1;
                }
            }
        }
    }
    println!("{runs} rows, at most {closest:.3} of the bound");
    assert!(closest > 0.5, "the bound is loose: {closest}");
}

#[test]
fn layer_norm_figures() {
    for (n, expected) in [(32, 1.2e-3), (128, 1.9e-3), (1024, 4.6e-3)] {
        let bound = float(&layer_norm_bound(&layer_norm_errors(n, 1e-4, 1e-3, 0.0)).unwrap().element);
        assert!((bound / expected - 1.0f64).abs() < 0.06, "n = {n}: {bound}");
    }
    let mut coarse = layer_norm_errors(1024, 1e-4, 1e-3, 0.0);
    coarse.variance = exact(f64::exp2(-16.0));
    assert!(float(&layer_norm_bound(&coarse).unwrap().element) > 0.2);
    coarse.variances.0 = exact(1e-5);
    assert_eq!(layer_norm_bound(&coarse).unwrap_err(), SideCondition::Variance);
    let mut centred = layer_norm_errors(2, 1e-4, 1.0, 0.0);
    centred.mean = RBig::ZERO;
    let with_mean = layer_norm_bound(&centred).unwrap();
    centred.centred = false;
    let without = layer_norm_bound(&centred).unwrap();
    assert!(without.largest > with_mean.largest && without.element > with_mean.element);
    assert!(float(&without.largest) >= f64::sqrt(2.0) * (1.0 - 1e-6));
}

fn certified((entry, certificate): (catalogs::Entry, verify::Certificate)) -> Certified {
    let started = std::time::Instant::now();
    let certified = verify::check(entry, &certificate).unwrap();
    println!("{}: {} in {:?}", certified.claim().function, certified.claim().bound, started.elapsed());
    certified
}

/// Lowered softmax on real entries: the bound holds for the programs themselves, and each side condition is named.
#[test]
fn softmax_of_certified_entries() {
    let (exp, reciprocal) = (certified(exponential()), certified(reciprocal_wide()));
    let scale = Scale::new(16).unwrap();
    let lowering = SoftmaxLowering { n: 16, spread: 200 << 16, last: Some((truncation(Ring::Z64, 32), scale)) };
    let bound = softmax(&lowering, &exp, &reciprocal).unwrap();
    let mut random = Random(6);
    let mut worst = 0.0f64;
    for case in 0..200 {
        let spread = random.between(0, if case % 2 == 0 { 3 } else { 200 }) << 16;
        let row: Vec<i64> = (0..16).map(|_| random.between(-spread, 0)).collect();
        let greatest = *row.iter().max().unwrap();
        let run = |certified: &Certified, x: i128, delta: i8| {
            catalogs::evaluate(certified.program(), x, &mut catalogs::evaluate::Constant(delta))
        };
        let delta = random.between(0, 1) as i8;
        let values: Vec<i128> = row.iter().map(|x| run(&exp, i128::from(x - greatest), delta)).collect();
        let inverse = run(&reciprocal, values.iter().sum(), 1 - delta);
        let exact: Vec<f64> = row.iter().map(|x| ((x - greatest) as f64 / 65536.0).exp()).collect();
        let total: f64 = exact.iter().sum();
        for (value, e) in values.iter().zip(&exact) {
            let y = ((value * inverse) >> 32) as f64 / 65536.0;
            worst = worst.max((y - e / total).abs());
        }
    }
    println!("worst {worst:.3e} of {:.3e}", float(&bound.element));
    assert!(worst <= float(&bound.element));
    let refused = |lowering: SoftmaxLowering| softmax(&lowering, &exp, &reciprocal).unwrap_err();
    let masked = refused(SoftmaxLowering { spread: 10_000 << 16, ..lowering });
    assert!(matches!(masked, SideCondition::Window { function: catalogs::Function::Exp, .. }), "{masked}");
    let long = refused(SoftmaxLowering { n: 64, ..lowering });
    assert!(matches!(long, SideCondition::Window { function: catalogs::Function::Reciprocal, .. }), "{long}");
    assert_eq!(refused(SoftmaxLowering { n: 4096, ..lowering }), SideCondition::Denominator(4096));
    let shift = refused(SoftmaxLowering { last: Some((truncation(Ring::Z64, 31), scale)), ..lowering });
    assert!(matches!(shift, SideCondition::Truncation { shift: 32, .. }), "{shift}");
    let Lemma::Truncation { ring, target, shift, rounding, failure, .. } = truncation(Ring::Z64, 32) else { panic!() };
    let narrow = Lemma::Truncation { ring, target, shift, window: Some(40), rounding, failure };
    let narrow = refused(SoftmaxLowering { last: Some((narrow, scale)), ..lowering });
    assert!(matches!(narrow, SideCondition::Overflow { bits: 40, .. }), "{narrow}");
    let swapped = softmax(&lowering, &reciprocal, &exp).unwrap_err();
    assert!(matches!(swapped, SideCondition::Function { .. }), "{swapped}");
    let rough =
        Lemma::Truncation { ring, target, shift, window: Some(62), rounding: Rounding { low: -1, high: 2 }, failure };
    let rougher = softmax(&SoftmaxLowering { last: Some((rough, scale)), ..lowering }, &exp, &reciprocal).unwrap();
    assert!(rougher.element > bound.element);
    let unrounded = softmax(&SoftmaxLowering { last: None, ..lowering }, &exp, &reciprocal).unwrap();
    assert!(unrounded.element < bound.element && unrounded.sum_unrounded == bound.sum_unrounded);
    // What is subtracted may be a little above the maximum; the sum is then smaller, and errors count more.
    assert_eq!(shifted_softmax(&lowering, Subtracted::Maximum(0), &exp, &reciprocal).unwrap(), bound);
    let coarse = shifted_softmax(&lowering, Subtracted::Maximum(1 << 11), &exp, &reciprocal).unwrap();
    assert!(coarse.element > bound.element && coarse.inverse > bound.inverse);
    let (less, total) = (float(&coarse.denominator.0), f64::exp(-1.0 / 32.0) * float(&bound.denominator.0));
    assert!(less <= total && less > total - 1e-3, "{less} {total}");
    for (above, name) in [(1i64 << 18, "denominator"), (1 << 17, "window"), (-1, "parameter")] {
        let refused = shifted_softmax(&lowering, Subtracted::Maximum(above), &exp, &reciprocal).unwrap_err();
        let fits = match name {
            "denominator" => refused == SideCondition::Denominator(16),
            "window" => matches!(refused, SideCondition::Window { .. } | SideCondition::Denominator(_)),
            _ => matches!(refused, SideCondition::Parameter(_)),
        };
        assert!(fits, "{name}: {refused}");
    }
}

/// A public number instead of the maximum: rows anywhere in [c − w, c], also all of them at its lower end, with
/// exponentials as far off as claimed, stay within the bound, which needs the least sum in every place.
#[test]
fn softmax_without_a_maximum() {
    let (exp, reciprocal) = (certified(exponential()), certified(reciprocal_wide()));
    let scale = Scale::new(16).unwrap();
    let [a, alpha, beta] =
        [exp.claim().absolute_part(), reciprocal.claim().absolute_part(), reciprocal.claim().relative_part()]
            .map(|part| float(&part) * (1.0 - 1e-9));
    let mut random = Random(8);
    for (n, width, raised) in [(16u32, 2.0, 0u8), (16, 3.25, 0), (4, 3.0, 2), (2, 3.25, 3)] {
        let spread = (width * 65536.0) as i64;
        let lowering = SoftmaxLowering { n, spread, last: Some((truncation(Ring::Z64, 32), scale)) };
        let public = |terms: u32, raised: u8| Subtracted::Public { terms, raised };
        let bound = shifted_softmax(&lowering, public(n, raised), &exp, &reciprocal).unwrap();
        let (least, greatest) = (float(&bound.denominator.0), float(&bound.denominator.1));
        let (mut worst, mut near, mut lowest) = (0.0f64, 0.0f64, f64::MAX);
        for case in 0..400 {
            let row: Vec<f64> = (0..n)
                .map(|i| match case % 5 {
                    0 => -width,
                    1 => 0.0,
                    2 => {
                        if i == 0 {
                            0.0
                        } else {
                            -width
                        }
                    }
                    3 => {
                        if i == 0 {
                            -width + 0.125
                        } else {
                            -width
                        }
                    }
                    _ => -(random.between(0, spread) as f64) / 65536.0,
                })
                .collect();
            let unit = f64::exp2(24.0);
            let (mode, delta) = (random.between(0, 3), random.between(0, 1));
            let computed: Vec<i128> = (0..n as usize)
                .map(|i| {
                    let up = match mode {
                        0 => true,
                        1 => false,
                        2 => i == 0,
                        _ => i != 0,
                    };
                    let e = row[i].exp();
                    (if up { ((e + a) * unit).floor() } else { ((e - a) * unit).ceil() }) as i128
                })
                .map(|e| e << raised)
                .collect();
            let sum = computed.iter().sum::<i128>();
            let real = sum as f64 / unit;
            assert!(least <= real && real <= greatest, "{n} {width} {raised}: {least} {real} {greatest}");
            lowest = lowest.min(real);
            let off = (alpha + beta / real) * if case % 2 == 0 { 1.0 } else { -1.0 };
            let inverse = ((1.0 / real + off) * unit) as i128;
            assert!(inverse as f64 / unit <= float(&bound.inverse));
            let total: f64 = row.iter().map(|x| x.exp()).sum();
            for (e, x) in computed.iter().zip(&row) {
                let y = ((e * inverse) >> 32) as f64 / 65536.0 + delta as f64 / 65536.0;
                let off = (y - x.exp() / total).abs();
                worst = worst.max(off);
                near = near.max(off / float(&bound.at(&exact(x.exp() / total))));
            }
        }
        let element = float(&bound.element);
        println!(
            "{n} of {width}, raised by {raised}: {worst:.3e} of {element:.3e}; sums from {lowest:.5} of {least:.5}"
        );
        assert!(worst <= element && near <= 1.0 && near > 0.8, "{worst:e} {element:e} {near}");
        assert!(lowest - least < 1e-4 * least, "the least sum is not tight: {lowest} {least}");
        // Rows a little lower than what was promised leave the sum's bound: the spread is needed.
        let beyond = f64::from(n) * (-width - 0.125).exp() * f64::exp2(f64::from(raised));
        assert!(beyond < least);
        // Masked elements leave less of a row.
        if n > 4 {
            let masked = shifted_softmax(&lowering, public(n - 2, raised), &exp, &reciprocal).unwrap();
            assert!(masked.element > bound.element && masked.denominator.0 < bound.denominator.0);
        }
        let refused = |spread: i64, terms: u32, raised: u8| {
            let lowering = SoftmaxLowering { spread, ..lowering };
            shifted_softmax(&lowering, public(terms, raised), &exp, &reciprocal).unwrap_err()
        };
        let few = refused(spread, n, raised + 4);
        assert!(matches!(few, SideCondition::Window { function: catalogs::Function::Reciprocal, .. }), "{few}");
        let wide = refused(spread + (2 << 16), n, raised);
        assert!(matches!(wide, SideCondition::Window { function: catalogs::Function::Reciprocal, .. }), "{wide}");
        assert_eq!(refused(100 << 16, n, raised), SideCondition::Denominator(n));
        assert_eq!(refused(256 << 16, n, raised), SideCondition::Denominator(n));
        let window = refused(i64::MAX, n, raised);
        assert!(matches!(window, SideCondition::Window { function: catalogs::Function::Exp, .. }), "{window}");
        assert_eq!(refused(spread, 0, raised), SideCondition::Denominator(n));
        assert!(matches!(refused(spread, n + 1, raised), SideCondition::Parameter(_)));
        assert!(matches!(refused(-1, n, raised), SideCondition::Parameter(_)));
    }
    // With sums below one the bound of a softmax with its maximum is refuted.
    let lowering = SoftmaxLowering { n: 4, spread: 3 << 16, last: Some((truncation(Ring::Z64, 32), scale)) };
    let public = Subtracted::Public { terms: 4, raised: 2 };
    let (with, without) =
        (softmax(&lowering, &exp, &reciprocal), shifted_softmax(&lowering, public, &exp, &reciprocal));
    let [with, without] = [with.unwrap(), without.unwrap()].map(|bound| float(&bound.sum_unrounded));
    assert!(without > with, "{without:e} {with:e}");
}

#[test]
fn layer_norm_of_a_certified_entry() {
    let rsqrt = certified(rsqrt());
    let scale = |bits| Scale::new(bits).unwrap();
    let lowering = LayerNormLowering {
        n: 64,
        ring: Ring::Z64,
        scale: scale(16),
        sum: RBig::from(256),
        unrounded: RBig::ZERO,
        variances: (exact(0.5), exact(4.0)),
        epsilon: exact(1e-5),
        centre: Centre::Rounded(Average { factor: 1 << 10, constant: 0, lemma: truncation(Ring::Z64, 16) }),
        variance: Average { factor: 1 << 4, constant: 168 << 18, lemma: truncation(Ring::Z64, 18) },
        variance_scale: scale(24),
        gain: RBig::ONE,
        normalised: Some((truncation(Ring::Z64, 20), scale(20))),
    };
    // The variance comes from scale 32 with a weight of 2^4 at scale 10: 2^(18 + 24 − 32) = 2^10.
    let bound = layer_norm(&lowering, &rsqrt).unwrap();
    println!("{:.3e}", float(&bound.element));
    assert!(float(&bound.element) < 2e-3);
    let affine = Affine {
        gamma: RBig::from(2),
        gamma_error: exact(f64::exp2(-13.0)),
        gamma_scale: scale(12),
        beta: RBig::from(3),
        beta_error: exact(f64::exp2(-33.0)),
        lemma: truncation(Ring::Z64, 16),
        scale: scale(16),
    };
    let format = Format { ring: Ring::Z64, scale: scale(20) };
    let scaled = bound.affine(&affine, format).unwrap();
    assert!(scaled > &bound.element * RBig::from(2));
    let wide = bound.affine(&Affine { beta: RBig::from(1i64 << 40), ..affine.clone() }, format).unwrap_err();
    assert!(matches!(wide, SideCondition::Overflow { .. }), "{wide}");
    let refused = |lowering: LayerNormLowering| layer_norm(&lowering, &rsqrt).unwrap_err();
    let small = refused(LayerNormLowering { variances: (exact(1e-3), exact(4.0)), ..lowering.clone() });
    assert!(matches!(small, SideCondition::Window { .. }), "{small}");
    let tiny =
        refused(LayerNormLowering { variances: (RBig::ZERO, exact(4.0)), epsilon: RBig::ZERO, ..lowering.clone() });
    assert_eq!(tiny, SideCondition::Variance);
    let sum = refused(LayerNormLowering { sum: RBig::from(1i64 << 40), ..lowering.clone() });
    assert!(matches!(sum, SideCondition::Overflow { value: "the mean", .. }), "{sum}");
    let coarse = refused(LayerNormLowering { variance_scale: scale(23), ..lowering.clone() });
    assert!(matches!(coarse, SideCondition::Variance | SideCondition::Scale { .. }), "{coarse}");
    let ring = refused(LayerNormLowering { ring: Ring::Z32, ..lowering.clone() });
    assert!(matches!(ring, SideCondition::Ring { .. }), "{ring}");
    // A weight that is not 1/n is seen.
    let centre = Centre::Rounded(Average { factor: 1000, constant: 0, lemma: truncation(Ring::Z64, 16) });
    assert!(layer_norm(&LayerNormLowering { centre, ..lowering.clone() }, &rsqrt).unwrap().element > bound.element);
    // A mean of what was rounded afterwards adds that rounding, a normalised row that is not rounded takes one off.
    let unit = exact(f64::exp2(-16.0));
    let beside = layer_norm(&LayerNormLowering { unrounded: unit.clone(), ..lowering.clone() }, &rsqrt).unwrap();
    assert!(beside.absolute > &bound.absolute + &unit && beside.element > bound.element);
    let negative = refused(LayerNormLowering { unrounded: -unit, ..lowering.clone() });
    assert!(matches!(negative, SideCondition::Parameter(_)), "{negative}");
    let unrounded = layer_norm(&LayerNormLowering { normalised: None, ..lowering.clone() }, &rsqrt).unwrap();
    // One unit of its scale, but for how far the roots enclose.
    let left_out = float(&(&bound.absolute - &unrounded.absolute)) * f64::exp2(20.0);
    assert!((left_out - 1.0).abs() < 1e-12, "{left_out}");
    assert!(unrounded.relative == bound.relative && unrounded.element < bound.element);
    // An exact centre costs no error; a gain that is not what V stands for does.
    let exactly = LayerNormLowering {
        centre: Centre::Exact { log: 6 },
        variance: Average { factor: 1, constant: 168 << 26, lemma: truncation(Ring::Z64, 26) },
        normalised: Some((truncation(Ring::Z64, 26), scale(20))),
        ..lowering.clone()
    };
    let exact_centre = layer_norm(&exactly, &rsqrt).unwrap();
    assert!(exact_centre.element < bound.element && exact_centre.absolute < bound.absolute);
    let gained = layer_norm(&LayerNormLowering { gain: exact(0.98), ..exactly.clone() }, &rsqrt).unwrap();
    assert!(gained.element > &exact_centre.element * RBig::from(5), "{:.3e}", float(&gained.element));
    let huge = refused(LayerNormLowering { variances: (exact(0.5), exact(f64::exp2(80.0))), ..exactly });
    assert!(matches!(huge, SideCondition::Overflow { value: "the centred value", .. }), "{huge}");
}
