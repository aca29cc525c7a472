use rug::{Float, Rational};
use std::time::Instant;
use synth::minimax::*;
fn gelu(x: &Float, p: u32) -> Float {
    let z = Float::with_val(p, x) / Float::with_val(p, 2).sqrt();
    (z.erf() + 1u32) * x / 2u32
}
#[test]
fn quant() {
    let exp = |x: &Float, p: u32| Float::with_val(p, x.exp_ref());
    for (target, a, b, basis) in [
        (&exp as &dyn Target, -10, 0, Basis::full(12)),
        (&exp, -1, 1, Basis::full(7)),
        (&exp, -1, 1, Basis::full(10)),
        (&gelu, -4, 4, Basis::even(10).with_fixed(1, Rational::from((1, 2))).unwrap()),
    ] {
        let domain = Domain::interval(a.into(), b.into()).unwrap();
        for raw in [false, true] {
            let scaling = if raw { Scaling::identity() } else { Scaling::onto_unit(&domain).unwrap() };
            let basis = if a == -4 { basis.clone() } else { basis.clone().with_scaling(scaling) };
            let problem = Problem { target, norm: Norm::Absolute, domain: domain.clone(), basis };
            let o = Options::default();
            let f = fit(&problem, &o).unwrap();
            let t = Instant::now();
            let c = certify(&problem, &f, &o).unwrap();
            println!(
                "fit {:.10e} lower rel {:.2e} upper rel {:.2e} {:?} n={}",
                f.minimax_error.to_f64(),
                (1u32 - Float::with_val(256, &c.lower_bound / &f.minimax_error)).to_f64(),
                (Float::with_val(256, &c.sampled_upper_bound / &f.minimax_error) - 1u32).to_f64(),
                t.elapsed(),
                c.samples
            );
            for bits in [12, 16, 24, 32] {
                for nodes in [0, 400] {
                    let t = Instant::now();
                    let q = quantise(
                        &problem,
                        &f,
                        &vec![-bits; f.coefficients.len()],
                        &o,
                        &QuantiseOptions { nodes, ..Default::default() },
                    )
                    .unwrap();
                    println!(
                        " bits {bits} nodes {nodes}: rounded {:.4} best {:.4} (x fit) exhausted {} nodes {} {:?}",
                        Float::with_val(99, &q.rounded_error / &f.minimax_error).to_f64(),
                        Float::with_val(99, &q.error / &f.minimax_error).to_f64(),
                        q.exhausted,
                        q.nodes,
                        t.elapsed()
                    );
                }
            }
        }
    }
}
