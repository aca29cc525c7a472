use catalogs::protocol::{cost, rss3::Rss3};
use catalogs::*;
use rug::{Float, Rational};
use std::time::Instant;
use synth::certify::{Effort, Request, certify};
use synth::families::{even::Even, target};
use synth::minimax::{self, Basis, Domain, Options, Problem, fit};

#[test]
fn gelu() {
    let edge = 3.45f64;
    let dropped = 11u8;
    let start = Instant::now();
    let squeeze = 4;
    let band = f64::from(1u32 << dropped) / 65536.0;
    let top = (edge + band) * (edge + band) / 2f64.powi(squeeze);
    let g = |u: &Float, p: u32| {
        let x = Float::with_val(p, u * 16u32).sqrt();
        target::even_part(Function::Gelu, &x, p).unwrap()
    };
    let problem = Problem {
        target: &g,
        norm: minimax::Norm::Absolute,
        domain: Domain::interval(Rational::new(), Rational::from_f64(top).unwrap()).unwrap(),
        basis: Basis::full(6),
    };
    let options = Options { gap: 1e-6, ..Options::default() };
    let f = fit(&problem, &options).unwrap();
    println!("fit {:e} in {:?}", f.minimax_error.to_f64(), start.elapsed());
    let coefficients: Vec<Rational> = f.coefficients.iter().map(|c| c.to_rational().unwrap()).collect();
    let window = Window { low: -(1 << 25) + 1, high: (1 << 25) - 1 };
    let even = Even { edge: (edge * 65536.0) as i64, squeeze, internal_scale: 22, computed_scale: 54, dropped };
    let program = even.program(Ring::Z64, Scale::new(16).unwrap(), window, &coefficients).unwrap();
    let price = cost(&program, &Rss3);
    println!("cost {} B {} rounds", price.bytes(), price.rounds);
    println!("value {}", evaluate(&program, 226098, &mut catalogs::evaluate::Constant(0)) as f64/65536.0);
    println!("{:?} {:?}", Decimal::parse("9.81202e-4").map(|d|d.to_string()), Decimal::round_up(&Decimal::parse("9.81202e-4").unwrap().to_rational(), 6).unwrap().to_string());
    let fitted = Window { low: -(4 << 16), high: 4 << 16 };
    let request = Request { function: Function::Gelu, norm: Norm::ABSOLUTE, fitted, window, program };
    let start = Instant::now();
    let proved = certify(&request, &Effort::default()).unwrap();
    println!("certify {:?}", start.elapsed());
    println!("{}", proved.entry.to_text());
    println!("{}", proved.certificate.to_text());
    let start = Instant::now();
    let certified = verify::check_texts(&proved.entry.to_text(), &proved.certificate.to_text()).unwrap();
    println!("check {:?} bound {} witness {}", start.elapsed(), certified.claim().bound, certified.witness_error());
}
