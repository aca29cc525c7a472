//! Fits against golden figures.
use rug::{Float, Rational};
use std::time::Instant;
use synth::minimax::*;

fn sigmoid(x: &Float, p: u32) -> Float {
    (Float::with_val(p, -x).exp() + 1u32).recip()
}
fn gelu(x: &Float, p: u32) -> Float {
    let z = Float::with_val(p, x) / Float::with_val(p, 2).sqrt();
    (z.erf() + 1u32) * x / 2u32
}
#[test]
fn all() {
    let cases: Vec<(&str, &dyn Target, (i32, i32), bool)> = vec![
        ("exp", &|x: &Float, p: u32| Float::with_val(p, x.exp_ref()), (-1, 1), true),
        ("recip", &|x: &Float, p: u32| Float::with_val(p, x.recip_ref()), (1, 64), true),
        ("rsqrt", &|x: &Float, p: u32| Float::with_val(p, x.recip_sqrt_ref()), (1, 64), true),
        ("log", &|x: &Float, p: u32| Float::with_val(p, x.ln_ref()), (1, 64), true),
        ("sigmoid", &sigmoid, (-8, 8), true),
        ("tanh", &|x: &Float, p: u32| Float::with_val(p, x.tanh_ref()), (-4, 4), true),
        ("erf", &|x: &Float, p: u32| Float::with_val(p, x.erf_ref()), (-4, 4), true),
        ("gelu", &gelu, (-4, 4), true),
        ("silu", &|x: &Float, p: u32| sigmoid(x, p) * x, (-8, 8), true),
        ("sin", &|x: &Float, p: u32| Float::with_val(p, x.sin_ref()), (-3, 3), true),
    ];
    let total = Instant::now();
    for (name, target, (a, b), _) in cases {
        for degree in 3..=16 {
            let domain = Domain::interval(a.into(), b.into()).unwrap();
            let scaling = Scaling::onto_unit(&domain).unwrap();
            let problem =
                Problem { target, norm: Norm::Absolute, domain, basis: Basis::full(degree).with_scaling(scaling) };
            let t = Instant::now();
            match fit(&problem, &Options::default()) {
                Ok(f) => println!(
                    "{name} {degree} {:.9e} gap {:.2e} exch {} prec {} {:?} {:?}",
                    f.minimax_error.to_f64(),
                    (Float::with_val(256, &f.minimax_error / &f.lower_bound) - 1u32).to_f64(),
                    f.exchanges,
                    f.precision,
                    f.folded,
                    t.elapsed()
                ),
                Err(e) => println!("{name} {degree} FAILED {e} {:?}", t.elapsed()),
            }
        }
    }
    println!("total {:?}", total.elapsed());
    let _ = Rational::new();
}
