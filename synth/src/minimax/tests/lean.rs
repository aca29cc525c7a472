//! Fits that lean: what is allowed is kept, likely places gain, and without room nothing changes.

use super::*;

#[test]
fn a_lean_keeps_what_is_allowed_and_serves_what_is_likely() {
    let options = Options { precision: 192, gap: 1e-6, ..Options::default() };
    for (target, domain, basis, near) in [
        (&exponential as &dyn Target, interval(-4, 0), Basis::full(4), -0.25),
        (&sine, interval(-3, 3), Basis::full(5), 0.5),
    ] {
        let problem = absolute(target, domain, basis);
        let best = fit(&problem, &options).unwrap();
        let places: Vec<Float> = (0..40).map(|i| Float::with_val(192, near + f64::from(i - 20) / 200.0)).collect();
        let allowed = Float::with_val(192, &best.minimax_error * 1.5f64);
        let (coefficients, error) = lean(&problem, &best, &options, &places, &allowed).unwrap();
        assert!(error > best.minimax_error && error <= allowed, "{error} {allowed}");
        let value = |fit: &Fit, x: &Float| (target.value(x, 192) - fit.value(x, 192)).abs().to_f64();
        let leaning = Fit { coefficients, ..best.clone() };
        let mean = |fit: &Fit| places.iter().map(|x| value(fit, x)).sum::<f64>() / 40.0;
        assert!(mean(&leaning) < 0.5 * mean(&best), "{:e} {:e}", mean(&leaning), mean(&best));
        // The largest error is what it is said to be: a scan finds nothing larger.
        let (low, high) = (problem.domain.intervals()[0].low().to_f64(), problem.domain.intervals()[0].high().to_f64());
        for i in 0..=1000 {
            let x = Float::with_val(192, low + (high - low) * f64::from(i) / 1000.0);
            assert!(value(&leaning, &x) <= error.to_f64() * (1.0 + 1e-9), "at {x}");
        }
        for (places, allowed) in [(&places[..], &best.minimax_error), (&[], &allowed)] {
            assert_eq!(lean(&problem, &best, &options, places, allowed), None);
        }
    }
}
