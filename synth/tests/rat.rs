use rug::{Float, Rational};
use std::time::Instant;
use synth::minimax::*;
#[test]
fn rat() {
    let exp = |x: &Float, p: u32| Float::with_val(p, x.exp_ref());
    let sig = |x: &Float, p: u32| (Float::with_val(p, -x).exp() + 1u32).recip() - 0.5f64;
    let gelu = |x: &Float, p: u32| {
        let z = Float::with_val(p, x) / Float::with_val(p, 2).sqrt();
        (z.erf() + 1u32) * x / 2u32
    };
    let log = |x: &Float, p: u32| Float::with_val(p, x.ln_ref());
    let half = Rational::from((1, 2));
    for (name, target, a, b, num, den, high) in [
        ("exp33", &exp as &dyn Target, -1, 1, Basis::full(3), Basis::full(3), 64),
        ("exp33", &exp, -1, 1, Basis::full(3), Basis::full(3), 2),
        ("exp33", &exp, -1, 1, Basis::full(3), Basis::full(3), 1),
        ("exp66", &exp, -1, 1, Basis::full(6), Basis::full(6), 64),
        ("exp neg", &exp, -10, 0, Basis::full(0), Basis::full(5), 1000000),
        ("sig54", &sig, -8, 8, Basis::full(5), Basis::full(4), 64),
        ("sig54", &sig, -8, 8, Basis::full(5), Basis::full(4), 4),
        ("gelu", &gelu, -4, 4, Basis::even(6).with_fixed(1, half.clone()).unwrap(), Basis::full(4), 8),
        ("log", &log, 1, 64, Basis::full(3), Basis::full(3), 64),
    ] {
        let domain = Domain::interval(a.into(), b.into()).unwrap();
        let scaling = if name == "gelu" { Scaling::identity() } else { Scaling::onto_unit(&domain).unwrap() };
        let problem = RationalProblem {
            target,
            norm: Norm::Absolute,
            domain: domain.clone(),
            numerator: num.with_scaling(scaling.clone()),
            denominator: den.with_scaling(scaling),
            low: 1.into(),
            high: high.into(),
        };
        let t = Instant::now();
        match fit_rational(&problem, &Options::default()) {
            Ok(f) => println!(
                "{name} {high} {:.10e} gap {:.2e} it {} range {:.6} {:.6} ext {} {:?} {:?}",
                f.minimax_error.to_f64(),
                (Float::with_val(256, &f.minimax_error / &f.lower_bound) - 1u32).to_f64(),
                f.iterations,
                f.denominator_range.0.to_f64(),
                f.denominator_range.1.to_f64(),
                f.extrema.len(),
                f.folded,
                t.elapsed()
            ),
            Err(e) => println!("{name} {high} {e} {:?}", t.elapsed()),
        }
    }
}
