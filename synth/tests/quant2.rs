use rug::{Float, Rational};
use synth::minimax::*;
#[test]
fn quant() {
    let exp = |x: &Float, p: u32| Float::with_val(p, x.exp_ref());
    let _ = Rational::new();
    let domain = Domain::interval((-10).into(), 0.into()).unwrap();
    let problem = Problem { target: &exp, norm: Norm::Absolute, domain: domain.clone(), basis: Basis::full(12) };
    let o = Options::default();
    let f = fit(&problem, &o).unwrap();
    for bits in [24] {
        let q = quantise(
            &problem,
            &f,
            &vec![-bits; f.coefficients.len()],
            &o,
            &QuantiseOptions { nodes: 100, ..Default::default() },
        )
        .unwrap();
        println!(
            " bits {bits}: rounded {:.4} best {:.4} (x fit) exhausted {} nodes {}",
            Float::with_val(99, &q.rounded_error / &f.minimax_error).to_f64(),
            Float::with_val(99, &q.error / &f.minimax_error).to_f64(),
            q.exhausted,
            q.nodes
        );
    }
}
