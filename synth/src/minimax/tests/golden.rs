//! Figures known from other tools, bounds that must enclose them, and properties of the best fit.

use super::*;

/// Fits, checks gap, equioscillation and certification, and returns the minimax error.
fn checked(problem: &Problem) -> Fit {
    let options = Options::default();
    let best = fit(problem, &options).unwrap();
    let gap = excess(&best.minimax_error, &best.lower_bound);
    assert!((0.0..=options.gap).contains(&gap), "gap {gap:e}");
    for extremum in &best.extrema {
        let off = excess(&extremum.error.clone().abs(), &best.lower_bound);
        assert!(
            off.abs() < 1e-30,
            "error at {} is off by {off:e}",
            extremum.x
        );
    }
    let bounds = certify(problem, &best, &options).unwrap();
    assert!(bounds.lower_bound <= best.minimax_error);
    assert!(excess(&best.minimax_error, &bounds.lower_bound) < 1e-19);
    assert!(excess(&bounds.sampled_upper_bound, &best.minimax_error).abs() < 1e-18);
    best
}

fn assert_digits(found: &Float, golden: f64, digits: i32) {
    let off = (found.to_f64() / golden - 1.0).abs();
    assert!(
        off < 0.6 * 10f64.powi(1 - digits),
        "{found:.12e} is not {golden:e}"
    );
}

#[test]
fn published_polynomials() {
    let cases: [(&dyn Target, i32, i32, u32, f64); 5] = [
        (&exponential, -1, 1, 5, 4.52055e-5),
        (&exponential, -1, 1, 10, 2.50229e-11),
        (&sigmoid, -8, 8, 8, 1.88923e-2),
        (&gelu, -4, 4, 10, 2.80807e-3),
        (&reciprocal, 1, 64, 12, 2.41211e-2),
    ];
    for (target, low, high, degree, golden) in cases {
        let best = checked(&absolute(target, interval(low, high), Basis::full(degree)));
        assert_digits(&best.minimax_error, golden, 6);
    }
}

#[test]
fn published_fractions() {
    let cases: [(&dyn Target, i32, u32, u32, f64); 2] = [
        (&exponential, 1, 3, 3, 1.55066905e-7),
        (&centred_sigmoid, 8, 5, 4, 5.39723606e-6),
    ];
    for (target, radius, above, below, golden) in cases {
        let domain = interval(-radius, radius);
        let scaling = Scaling::onto_unit(&domain).unwrap();
        let problem = RationalProblem {
            target,
            norm: Norm::Absolute,
            domain,
            numerator: Basis::full(above).with_scaling(scaling.clone()),
            denominator: Basis::full(below).with_scaling(scaling),
            low: Rational::from(1),
            high: Rational::from(64),
        };
        let best = fit_rational(&problem, &Options::default()).unwrap();
        assert_digits(&best.minimax_error, golden, 9);
        let gap = excess(&best.minimax_error, &best.lower_bound);
        assert!((0.0..=1e-20).contains(&gap), "gap {gap:e}");
    }
}

#[test]
fn the_range_of_the_denominator_binds() {
    let problem = |high: i32| RationalProblem {
        target: &exponential,
        norm: Norm::Absolute,
        domain: interval(-1, 1),
        numerator: Basis::full(3),
        denominator: Basis::full(2),
        low: Rational::from(1),
        high: Rational::from((high, 2)),
    };
    let error = |high: i32| {
        let best = fit_rational(&problem(high), &Options::default()).unwrap();
        let (least, most) = best.denominator_range;
        assert!(least >= 0.999_999 && most.to_f64() <= f64::from(high) / 2.0 * (1.0 + 1e-11));
        best.minimax_error
    };
    let cubic = fit(
        &absolute(&exponential, interval(-1, 1), Basis::full(3)),
        &Options::default(),
    );
    // A denominator that must be constant leaves the polynomial.
    assert!(excess(&error(2), &cubic.unwrap().minimax_error).abs() < 1e-19);
    let (narrow, wide, wider) = (error(3), error(16), error(128));
    assert!(narrow > wide, "a wider range must help");
    assert!(
        excess(&wide, &wider).abs() < 1e-19,
        "beyond what the best fraction uses it does not"
    );
}

#[test]
fn every_function_converges() {
    let cases: [(&dyn Target, i32, i32); 10] = [
        (&exponential, -1, 1),
        (&reciprocal, 1, 64),
        (
            &|x: &Float, precision: u32| Float::with_val(precision, x.recip_sqrt_ref()),
            1,
            64,
        ),
        (
            &|x: &Float, precision: u32| Float::with_val(precision, x.ln_ref()),
            1,
            64,
        ),
        (&sigmoid, -8, 8),
        (
            &|x: &Float, precision: u32| Float::with_val(precision, x.tanh_ref()),
            -4,
            4,
        ),
        (
            &|x: &Float, precision: u32| Float::with_val(precision, x.erf_ref()),
            -4,
            4,
        ),
        (&gelu, -4, 4),
        (
            &|x: &Float, precision: u32| sigmoid(x, precision) * x,
            -8,
            8,
        ),
        (&sine, -3, 3),
    ];
    for (target, low, high) in cases {
        let domain = interval(low, high);
        let scaling = Scaling::onto_unit(&domain).unwrap();
        let mut previous = f64::INFINITY;
        for degree in [3, 8, 13] {
            let basis = Basis::full(degree).with_scaling(scaling.clone());
            let best = checked(&absolute(target, domain.clone(), basis));
            assert!(best.minimax_error.to_f64() < previous);
            previous = best.minimax_error.to_f64();
        }
    }
}

#[test]
fn parity_gaps_unions_and_norms() {
    let half = Rational::from((1, 2));
    let folded = Basis::even(10).with_fixed(1, half).unwrap();
    let best = checked(&absolute(&gelu, interval(-4, 4), folded));
    assert_eq!(best.folded, Some(Parity::Even));
    assert_digits(&best.minimax_error, 2.80807e-3, 6);
    // The relative error of an odd fit has a limit at zero, which is one of its extrema.
    let domain = interval(-1, 1);
    let relative = |basis| Problem {
        target: &sine,
        norm: Norm::Relative,
        domain: domain.clone(),
        basis,
    };
    let odd = checked(&relative(Basis::odd(7)));
    let full = checked(&relative(Basis::full(7)));
    assert_eq!(odd.minimax_error, full.minimax_error);
    assert!(full.coefficients.iter().step_by(2).all(Float::is_zero));
    let first = odd.coefficients[0].clone() - 1u32;
    assert!(excess(&first.abs(), &odd.minimax_error).abs() < 1e-15);
    checked(&absolute(
        &exponential,
        interval(-1, 2),
        Basis::of_exponents(&[5, 0, 2]).unwrap(),
    ));
    let sign = |x: &Float, precision: u32| {
        Float::with_val(precision, if x.is_sign_negative() { -1 } else { 1 })
    };
    let ends = |low: (i32, i32), high: (i32, i32)| {
        Interval::new(Rational::from(low), Rational::from(high)).unwrap()
    };
    let pieces = vec![ends((-1, 1), (-1, 2)), ends((1, 3), (1, 1))];
    checked(&absolute(
        &sign,
        Domain::union(pieces).unwrap(),
        Basis::full(5),
    ));
    let mixed = Norm::Mixed {
        absolute: Rational::from((1, 1000)),
        relative: Rational::from(1),
    };
    let domain = interval(-10, 0);
    checked(&Problem {
        target: &exponential,
        norm: mixed,
        domain,
        basis: Basis::full(8),
    });
}

#[test]
fn ill_conditioned_and_tiny() {
    let raw = checked(&absolute(&exponential, interval(10, 11), Basis::full(20)));
    assert!(
        raw.precision > Options::default().precision,
        "the basis needs more bits"
    );
    let domain = interval(10, 11);
    let scaling = Scaling::onto_unit(&domain).unwrap();
    let scaled = checked(&absolute(
        &exponential,
        domain,
        Basis::full(20).with_scaling(scaling),
    ));
    assert!(excess(&raw.minimax_error, &scaled.minimax_error).abs() < 1e-19);
    let in_x = scaled.coefficients_in_x();
    let x = Rational::from((43, 4));
    let horner = in_x
        .iter()
        .rev()
        .fold(Rational::new(), |sum, coefficient| sum * &x + coefficient);
    let direct = scaled.value(&Float::with_val(300, &x), 300);
    assert!(excess(&Float::with_val(300, horner), &direct).abs() < 1e-60);
    let cube = |x: &Float, precision: u32| Float::with_val(precision, x.square_ref()) * x;
    let exact = fit(
        &absolute(&cube, interval(-1, 2), Basis::full(5)),
        &Options::default(),
    )
    .unwrap();
    assert!(exact.minimax_error < 1e-70 && exact.lower_bound.is_zero());
}

#[test]
fn parity_is_detected() {
    let parity =
        |target: &dyn Target, low, high| detect_parity(target, &interval(low, high)).unwrap();
    assert_eq!(parity(&sine, -3, 3), Some(Parity::Odd));
    assert_eq!(parity(&sine, -3, 2), None);
    assert_eq!(parity(&sigmoid, -3, 3), None);
    assert_eq!(parity(&centred_sigmoid, -3, 3), Some(Parity::Odd));
    let nearly = |x: &Float, precision: u32| sine(x, precision) + 1e-30f64;
    assert_eq!(parity(&nearly, -3, 3), None);
}

#[test]
fn mutants_are_noticed() {
    let problem = absolute(&exponential, interval(-1, 1), Basis::full(5));
    let options = Options::default();
    let best = fit(&problem, &options).unwrap();
    let mut wrong = best.clone();
    wrong.coefficients[3] += 1e-7f64;
    let bounds = certify(&problem, &wrong, &options).unwrap();
    assert!(excess(&bounds.sampled_upper_bound, &bounds.lower_bound) > 1e-3);
    // The lower bound holds for any points, but only the extrema make it sharp.
    let mut moved = best.clone();
    moved.extrema[2].x += 0.1f64;
    let bounds = certify(&problem, &moved, &options).unwrap();
    assert!(bounds.lower_bound < best.minimax_error && bounds.lower_bound > 0);
    assert!(excess(&best.minimax_error, &bounds.lower_bound) > 1e-3);
    assert_eq!(
        fit(&problem, &options).unwrap(),
        best,
        "the same input gives the same bytes"
    );
}
