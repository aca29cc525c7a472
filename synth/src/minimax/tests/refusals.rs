//! What is refused, and that the message names the thing.

use super::*;

fn refusal(problem: &Problem) -> String {
    fit(problem, &Options::default()).unwrap_err().to_string()
}

#[test]
fn poles_are_named() {
    let on_grid = absolute(&reciprocal, interval(-1, 1), Basis::full(4));
    assert!(refusal(&on_grid).contains("x = 0"), "{}", refusal(&on_grid));
    let square = |x: &Float, precision: u32| {
        let distance = Float::with_val(precision, x - 0.7f64);
        distance.square().recip()
    };
    for target in [&reciprocal as &dyn Target, &square] {
        let between = absolute(target, interval(-1, 3), Basis::full(4));
        let refused = fit(&between, &Options::default());
        assert!(
            matches!(refused, Err(MinimaxError::TargetNotFinite { .. })),
            "{refused:?}"
        );
    }
    // Steep is not a pole.
    let steep =
        |x: &Float, precision: u32| (Float::with_val(precision, x * x) * 10_000u32 + 1u32).recip();
    assert!(
        fit(
            &absolute(&steep, interval(-1, 3), Basis::full(4)),
            &Options::default()
        )
        .is_ok()
    );
}

#[test]
fn weights_must_be_positive() {
    let norm = Norm::Weighted(&sine);
    let domain = interval(-1, 1);
    let problem = Problem {
        target: &exponential,
        norm,
        domain,
        basis: Basis::full(3),
    };
    assert!(
        refusal(&problem).contains("x = -1.0000000000000000"),
        "{}",
        refusal(&problem)
    );
    // A relative error at a zero of the target that the basis does not share.
    let one_sided = Problem {
        target: &sine,
        norm: Norm::Relative,
        domain: interval(0, 1),
        basis: Basis::full(3),
    };
    assert!(
        refusal(&one_sided).contains("x = 0 is 0"),
        "{}",
        refusal(&one_sided)
    );
}

#[test]
fn degenerate_bases_are_refused() {
    let point = absolute(&exponential, interval(1, 1), Basis::full(1));
    assert_eq!(
        fit(&point, &Options::default()).unwrap_err(),
        MinimaxError::DependentBasis { functions: 2 }
    );
    assert_eq!(
        Basis::of_exponents(&[3, 1, 3]).unwrap_err(),
        MinimaxError::RepeatedExponent { exponent: 3 }
    );
    let half = Rational::from((1, 2));
    let twice = Basis::full(3)
        .with_fixed(1, half.clone())
        .unwrap()
        .with_fixed(1, half);
    assert_eq!(
        twice.unwrap_err(),
        MinimaxError::RepeatedExponent { exponent: 1 }
    );
    assert!(Scaling::new(Rational::new(), Rational::new()).is_err());
}

#[test]
fn domains_are_ordered() {
    let between = |low: i32, high: i32| Interval::new(low.into(), high.into());
    assert!(between(2, 1).is_err());
    assert_eq!(
        Domain::union(vec![]).unwrap_err(),
        MinimaxError::EmptyDomain
    );
    let touching = vec![between(0, 1).unwrap(), between(1, 2).unwrap()];
    let message = Domain::union(touching).unwrap_err().to_string();
    assert!(message.contains("[1, 2]"), "{message}");
}

#[test]
fn denominators_are_checked() {
    let problem = RationalProblem {
        target: &exponential,
        norm: Norm::Absolute,
        domain: interval(-1, 1),
        numerator: Basis::full(2),
        denominator: Basis::full(2),
        low: Rational::from(1),
        high: Rational::from(8),
    };
    let refused =
        |problem: RationalProblem| fit_rational(&problem, &Options::default()).unwrap_err();
    let zero = RationalProblem {
        low: Rational::new(),
        ..problem.clone()
    };
    assert!(matches!(
        refused(zero),
        MinimaxError::DenominatorRange { .. }
    ));
    let odd = RationalProblem {
        denominator: Basis::odd(3),
        ..problem.clone()
    };
    assert_eq!(refused(odd), MinimaxError::DenominatorBasis);
    let scaling = Scaling::new(Rational::new(), Rational::from(2)).unwrap();
    let other = RationalProblem {
        denominator: Basis::full(2).with_scaling(scaling),
        ..problem
    };
    assert_eq!(refused(other), MinimaxError::ScalingMismatch);
}

#[test]
fn steps_are_counted_and_limits_are_said() {
    let problem = absolute(&exponential, interval(-1, 1), Basis::full(3));
    let options = Options::default();
    let best = fit(&problem, &options).unwrap();
    let refused = quantise(
        &problem,
        &best,
        &[-8; 3],
        &options,
        &QuantiseOptions::default(),
    );
    assert_eq!(
        refused.unwrap_err(),
        MinimaxError::Steps {
            steps: 3,
            coefficients: 4
        }
    );
    let hasty = Options {
        exchanges: 1,
        ..options
    };
    assert!(matches!(
        fit(&problem, &hasty),
        Err(MinimaxError::Stalled { exchanges: 1, .. })
    ));
}
