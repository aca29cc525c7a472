//! Attention, log-softmax and RMS norm on certified entries: every side condition is refused by its name, and the shipped
//! entries give bounds that are of use where other systems fail.

#![allow(clippy::unwrap_used)]

mod support;

use catalogs::evaluate::Constant;
use catalogs::{Catalog, Failure, Format, Function, Lemma, Norm, Ring, Scale, evaluate};
use dashu::rational::RBig;
use std::path::Path;
use support::bases::{claim, exponential, reciprocal_wide};
use support::build::{OpDraft, program, sum64, truncation};
use support::prove::{Cut, prove};
use verify::Certified;
use verify::compose::{
    AttentionErrors, AttentionLowering, Average, Centre, Division, LayerNormErrors, LayerNormLowering,
    LogSoftmaxErrors, LogSoftmaxLowering, SideCondition, SoftmaxLowering, attention, attention_bound, layer_norm,
    layer_norm_bound, log_softmax, log_softmax_bound, softmax,
};

fn exact(value: f64) -> RBig {
    RBig::try_from(value).unwrap()
}

fn float(value: &RBig) -> f64 {
    value.to_f64().value()
}

fn scale(bits: u8) -> Scale {
    Scale::new(bits).unwrap()
}

fn certified((entry, certificate): (catalogs::Entry, verify::Certificate)) -> Certified {
    verify::check(entry, &certificate).unwrap()
}

fn shipped(name: &str) -> Certified {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let catalog = Catalog::open(&root.join("catalogs"), &root.join("proofs")).unwrap();
    let (_, published) = catalog.find(name).unwrap();
    verify::check_texts(&published.entry, &published.certificate).unwrap()
}

/// The same truncation with another window.
fn within(lemma: Lemma, bits: u8) -> Lemma {
    let Lemma::Truncation { ring, target, shift, rounding, failure, .. } = lemma else { panic!() };
    Lemma::Truncation { ring, target, shift, window: Some(bits), rounding, failure }
}

/// The logarithm's series around 3/2 to degree 14 on [3/4, 9/4], scales 24.
fn logarithm() -> Certified {
    let term = |k: i32| -(-1.0f64 / 1.5).powi(k) / f64::from(k);
    let encode = |value: f64| (value * f64::exp2(24.0)).round() as i128;
    let mut drafts = vec![OpDraft::Input, sum64(&[], &[(1, 0)], -(3 << 23), 0, 24)];
    drafts.push(sum64(&[], &[], encode(term(14)), 0, 24));
    for k in (1..14).rev() {
        drafts.push(sum64(&[(1, 1, drafts.len() as u16 - 1)], &[], encode(term(k)) << 24, 24, 24));
    }
    drafts.push(sum64(&[(1, 1, drafts.len() as u16 - 1)], &[], encode(1.5f64.ln()) << 24, 24, 24));
    let (low, high) = (3 << 22, 9 << 22);
    let claim = claim(Function::Log, Norm::ABSOLUTE, (low, high), (low, high));
    let draft = catalogs::Entry { claim, program: program(Ring::Z64, 24, &drafts) };
    let cuts: Vec<Cut> = (0..12).map(|i| Cut(low + i * (1 << 21), 14, false)).collect();
    certified(prove(&draft, &cuts).unwrap())
}

#[test]
fn log_softmax_of_certified_entries() {
    let (exp, log) = (certified(exponential()), logarithm());
    let last = Some((truncation(Ring::Z64, 8), scale(16)));
    let lowering = LogSoftmaxLowering { n: 2, spread: 200 << 16, last };
    let bound = log_softmax(&lowering, &exp, &log).unwrap();
    println!("log-softmax of 2: {:.3e}, the logarithm {}", float(&bound.element), log.claim().bound);
    assert!(float(&bound.element) < 4e-3);
    for gap in [0i128, 1, 20_000, 65_536, 300_000, 200 << 16] {
        for delta in [0, 1] {
            let run = |certified: &Certified, x| evaluate(certified.program(), x, &mut Constant(delta));
            let sum = run(&exp, 0) + run(&exp, -gap);
            let y = ((-(gap << 8) - run(&log, sum)) >> 8) as f64 / 65536.0;
            let d = -(gap as f64) / 65536.0;
            let error = (y - (d - (1.0 + d.exp()).ln())).abs();
            assert!(error <= float(&bound.element), "gap {gap}: {error:e}");
        }
    }
    let refused = |lowering: LogSoftmaxLowering| log_softmax(&lowering, &exp, &log).unwrap_err();
    let masked = refused(LogSoftmaxLowering { spread: 10_000 << 16, ..lowering });
    assert!(matches!(masked, SideCondition::Window { function: Function::Exp, .. }), "{masked}");
    let long = refused(LogSoftmaxLowering { n: 3, ..lowering });
    assert!(matches!(long, SideCondition::Window { function: Function::Log, .. }), "{long}");
    assert_eq!(refused(LogSoftmaxLowering { n: 4096, ..lowering }), SideCondition::Denominator(4096));
    assert!(matches!(refused(LogSoftmaxLowering { spread: -1, ..lowering }), SideCondition::Parameter(_)));
    assert!(matches!(refused(LogSoftmaxLowering { n: 0, ..lowering }), SideCondition::Parameter(_)));
    let shift = refused(LogSoftmaxLowering { last: Some((truncation(Ring::Z64, 7), scale(16))), ..lowering });
    assert!(matches!(shift, SideCondition::Truncation { shift: 8, .. }), "{shift}");
    let narrow = within(truncation(Ring::Z64, 8), 30);
    let narrow = refused(LogSoftmaxLowering { last: Some((narrow, scale(16))), ..lowering });
    assert!(matches!(narrow, SideCondition::Overflow { bits: 30, .. }), "{narrow}");
    let swapped = log_softmax(&lowering, &log, &exp).unwrap_err();
    assert!(matches!(swapped, SideCondition::Function { wanted: Function::Exp, .. }), "{swapped}");
    let reciprocal = log_softmax(&lowering, &exp, &certified(reciprocal_wide())).unwrap_err();
    assert!(matches!(reciprocal, SideCondition::Function { wanted: Function::Log, .. }), "{reciprocal}");
    let unrounded = log_softmax(&LogSoftmaxLowering { last: None, ..lowering }, &exp, &log).unwrap();
    assert_eq!(&bound.element - &unrounded.element, exact(f64::exp2(-16.0)));
}

/// A bound of a composite has no room for probabilities: neither a truncation nor an entry may fail.
#[test]
fn what_may_fail_is_refused() {
    let may_fail = |lemma: Lemma| {
        let Lemma::Truncation { ring, target, shift, window, rounding, .. } = lemma else { panic!() };
        Lemma::Truncation { ring, target, shift, window, rounding, failure: Failure::AtMost(200) }
    };
    let (exp, reciprocal) = (certified(exponential()), certified(reciprocal_wide()));
    let last = |lemma| SoftmaxLowering { n: 4, spread: 200 << 16, last: Some((lemma, scale(16))) };
    let by = truncation(Ring::Z64, 32);
    assert!(softmax(&last(by), &exp, &reciprocal).is_ok());
    let refused = softmax(&last(may_fail(by)), &exp, &reciprocal).unwrap_err();
    assert!(matches!(&refused, SideCondition::MayFail(what) if what.contains("failure 200")), "{refused}");
    // The same exponential by truncations that may fail: a true claim, with a probability.
    let (entry, _) = exponential();
    let text = entry.to_text().replace("failure never", "failure 40");
    let drafts = catalogs::Entry::parse(&text).unwrap();
    let low = drafts.claim.window.low;
    let mut cuts = vec![Cut(low, 10, true), Cut(-(128 << 16), 12, true), Cut(-(64 << 16), 12, true)];
    cuts.extend((-32..0i64).map(|i| Cut(i << 16, 12, false)));
    let exp = certified(prove(&drafts, &cuts).unwrap());
    assert_eq!(exp.failure(), RBig::from(8) / RBig::from(1u64 << 40));
    let refused = softmax(&last(by), &exp, &reciprocal).unwrap_err();
    assert_eq!(refused, SideCondition::MayFail("the exp entry".into()));
}

/// Parameters without end: a refusal, never a division by a root that vanishes.
#[test]
fn vanishing_and_huge_parameters_are_refused() {
    let tiny = RBig::ONE / RBig::from(dashu::integer::IBig::ONE << 600usize);
    let usual = rms_norm(16, 1, 8, (0.5, 4.0));
    let entry = shipped(RSQRT);
    let gain = LayerNormLowering { gain: tiny.clone(), ..usual.clone() };
    assert!(layer_norm(&gain, &entry).is_err());
    let errors = LayerNormErrors {
        n: 1 << 20,
        centred: true,
        mean: RBig::ZERO,
        weight: RBig::ZERO,
        variance: RBig::ZERO,
        epsilon: tiny.clone(),
        variances: (RBig::ZERO, RBig::ZERO),
        root_absolute: RBig::ZERO,
        root_relative: RBig::ZERO,
        rounding: RBig::ZERO,
    };
    assert!(matches!(layer_norm_bound(&errors), Err(SideCondition::Parameter(_))));
    // τ is one but for 2^−600.
    let close = LayerNormErrors { variance: RBig::ONE - &tiny, epsilon: RBig::ONE, ..errors };
    assert!(matches!(layer_norm_bound(&close), Err(SideCondition::Parameter(_))));
}

/// An empty row, a negative part, and a sum that may vanish.
#[test]
fn senseless_errors_are_refused() {
    let good = LogSoftmaxErrors {
        n: 8,
        exp_absolute: exact(1e-4),
        exp_relative: exact(1e-4),
        log_absolute: exact(1e-4),
        log_relative: exact(1e-4),
        rounding: exact(1e-4),
    };
    assert!(log_softmax_bound(&good).is_ok());
    for part in 0..5 {
        let mut bad = good.clone();
        let parts = [
            &mut bad.exp_absolute,
            &mut bad.exp_relative,
            &mut bad.log_absolute,
            &mut bad.log_relative,
            &mut bad.rounding,
        ];
        *parts.into_iter().nth(part).unwrap() = exact(-1e-9);
        assert!(matches!(log_softmax_bound(&bad), Err(SideCondition::Parameter(_))), "part {part}");
    }
    let vanishing = LogSoftmaxErrors { exp_absolute: RBig::ONE / RBig::from(8), exp_relative: RBig::ZERO, ..good };
    assert_eq!(log_softmax_bound(&vanishing).unwrap_err(), SideCondition::Denominator(8));
    let row = SoftmaxLowering { n: 16, spread: 1 << 16, last: None };
    let row = softmax(&row, &certified(exponential()), &certified(reciprocal_wide())).unwrap();
    let (one, minus) = (RBig::ONE, exact(-1e-9));
    let wrong = [
        AttentionErrors { values: minus.clone(), division: Division::First(()), rounding: one.clone() },
        AttentionErrors { values: one.clone(), division: Division::First(()), rounding: minus.clone() },
        AttentionErrors { values: one.clone(), division: Division::Last(minus), rounding: one },
    ];
    for errors in wrong {
        assert!(matches!(attention_bound(&row, &errors), Err(SideCondition::Parameter(_))), "{errors:?}");
    }
}

#[test]
fn attention_of_certified_entries() {
    let (exp, reciprocal) = (certified(exponential()), certified(reciprocal_wide()));
    let by = |shift| truncation(Ring::Z64, shift);
    let value = Format { ring: Ring::Z64, scale: scale(16) };
    let lowering = AttentionLowering {
        n: 16,
        spread: 200 << 16,
        value,
        values: RBig::from(4),
        division: Division::Last(Some((by(24), scale(16)))),
        last: (by(24), scale(16)),
    };
    let first = AttentionLowering {
        division: Division::First((by(32), scale(16))),
        last: (by(16), scale(16)),
        ..lowering.clone()
    };
    let last = attention(&lowering, &exp, &reciprocal).unwrap();
    let rounded = attention(&first, &exp, &reciprocal).unwrap();
    println!("attention of 16: {:.3e}, divided first {:.3e}", float(&last.element), float(&rounded.element));
    assert!(last.element < rounded.element);
    // The programs themselves.
    for gap in [0i128, 70_000, 500_000, 200 << 16] {
        let row: Vec<i128> = (0..16).map(|i| if i < 2 { 0 } else { -gap }).collect();
        let values: Vec<i128> = (0..16).map(|i| if i % 2 == 0 { 4 << 16 } else { -(4 << 16) }).collect();
        let total: f64 = row.iter().map(|d| (*d as f64 / 65536.0).exp()).sum();
        let weights = row.iter().map(|d| (*d as f64 / 65536.0).exp() / total);
        let wanted: f64 = weights.zip(&values).map(|(p, v)| p * *v as f64 / 65536.0).sum();
        for delta in [0i8, 1] {
            let run = |certified: &Certified, x| evaluate(certified.program(), x, &mut Constant(delta));
            let computed: Vec<i128> = row.iter().map(|d| run(&exp, *d)).collect();
            let inverse = run(&reciprocal, computed.iter().sum());
            let sum: i128 = computed.iter().zip(&values).map(|(e, v)| e * v).sum();
            let late = (((sum >> 24) + i128::from(delta)) * inverse) >> 24;
            let early: i128 = computed.iter().zip(&values).map(|(e, v)| ((e * inverse) >> 32) * v).sum();
            for (found, bound) in [(late, &last), (early >> 16, &rounded)] {
                let error = (found as f64 / 65536.0 - wanted).abs();
                assert!(error <= float(&bound.element), "gap {gap}: {error:e}");
            }
        }
    }
    let refused = |lowering: AttentionLowering| attention(&lowering, &exp, &reciprocal).unwrap_err();
    let masked = refused(AttentionLowering { spread: 10_000 << 16, ..lowering.clone() });
    assert!(matches!(masked, SideCondition::Window { function: Function::Exp, .. }), "{masked}");
    let long = refused(AttentionLowering { n: 64, ..lowering.clone() });
    assert!(matches!(long, SideCondition::Window { function: Function::Reciprocal, .. }), "{long}");
    assert_eq!(refused(AttentionLowering { n: 4096, ..lowering.clone() }), SideCondition::Denominator(4096));
    let negative = refused(AttentionLowering { values: RBig::from(-1), ..lowering.clone() });
    assert!(matches!(negative, SideCondition::Parameter(_)), "{negative}");
    let narrow_value = Format { ring: Ring::Z32, ..value };
    for wrong in [&lowering, &first] {
        let ring = refused(AttentionLowering { value: narrow_value, ..wrong.clone() });
        assert!(matches!(ring, SideCondition::Ring { value: "a value", .. }), "{ring}");
        let shift = refused(AttentionLowering { last: (by(20), scale(16)), ..wrong.clone() });
        assert!(matches!(shift, SideCondition::Truncation { .. }), "{shift}");
        let last = (within(wrong.last.0, 30), wrong.last.1);
        let wide = refused(AttentionLowering { last, ..wrong.clone() });
        assert!(matches!(wide, SideCondition::Overflow { value: "the product of weights and values", .. }), "{wide}");
    }
    let shift = refused(AttentionLowering { division: Division::Last(Some((by(23), scale(16)))), ..lowering.clone() });
    assert!(matches!(shift, SideCondition::Truncation { value: "the weighted values", .. }), "{shift}");
    let window = Division::Last(Some((within(by(24), 40), scale(16))));
    let wide = refused(AttentionLowering { division: window, ..lowering.clone() });
    assert!(matches!(wide, SideCondition::Overflow { value: "the weighted values", bits: 40 }), "{wide}");
    let window = Division::First((within(by(32), 40), scale(16)));
    let wide = refused(AttentionLowering { division: window, ..first.clone() });
    assert!(matches!(wide, SideCondition::Overflow { bits: 40, .. }), "{wide}");
    // Σ ê·V as it is has 40 bits below one, and 24 more with ŝ: one truncation by 48 is left.
    let whole = AttentionLowering { division: Division::Last(None), last: (by(48), scale(16)), ..lowering.clone() };
    let overflow = refused(AttentionLowering { values: RBig::from(1 << 20), ..whole.clone() });
    assert!(matches!(overflow, SideCondition::Overflow { .. }), "{overflow}");
    let refused = attention(&whole, &exp, &reciprocal).unwrap_err();
    assert!(matches!(refused, SideCondition::Overflow { .. }), "4·2^64 does not fit 64 bits: {refused}");
}

fn rms_norm(n: u32, factor: i64, shift: u8, variances: (f64, f64)) -> LayerNormLowering {
    LayerNormLowering {
        n,
        ring: Ring::Z64,
        scale: scale(16),
        sum: RBig::ZERO,
        unrounded: RBig::ZERO,
        variances: (exact(variances.0), exact(variances.1)),
        epsilon: exact(1e-5),
        centre: Centre::Absent,
        variance: Average { factor, constant: 168 << shift, lemma: truncation(Ring::Z64, shift) },
        variance_scale: scale(24),
        gain: RBig::ONE,
        normalised: Some((truncation(Ring::Z64, 16), scale(22))),
    }
}

const RSQRT: &str = "rsqrt/k64-f24-o22-e-17-10-2e-4";

#[test]
fn rms_norm_of_a_certified_entry() {
    let rsqrt = shipped(RSQRT);
    let lowering = rms_norm(1024, 1, 18, (1e-3, 1e3));
    let bound = layer_norm(&lowering, &rsqrt).unwrap();
    let mean = Average { factor: 1 << 6, constant: 0, lemma: truncation(Ring::Z64, 16) };
    let centred = LayerNormLowering { centre: Centre::Rounded(mean), ..lowering.clone() };
    let centred = layer_norm(&LayerNormLowering { sum: RBig::from(1 << 16), ..centred }, &rsqrt).unwrap();
    assert!(bound.largest > centred.largest && bound.absolute < centred.absolute);
    // The programs themselves: a spike, and equal values.
    for deviation in [0.04f64, 1.0, 30.0] {
        for spike in [false, true] {
            let x = (deviation * 65536.0) as i128 * if spike { 32 } else { 1 };
            let squares = x * x * if spike { 1 } else { 1024 };
            for delta in [0i8, 1] {
                let variance = ((squares + (168 << 18)) >> 18) + i128::from(delta);
                let root = evaluate(rsqrt.program(), variance, &mut Constant(delta));
                let z = (((x * root) >> 16) + i128::from(delta)) as f64 / f64::exp2(22.0);
                let mean_square = squares as f64 / f64::exp2(42.0);
                let error = (z - x as f64 / 65536.0 / (mean_square + 1e-5).sqrt()).abs();
                assert!(error <= float(&bound.element), "{deviation}, {spike}: {error:e}");
            }
        }
    }
    let refused = |lowering: LayerNormLowering| layer_norm(&lowering, &rsqrt).unwrap_err();
    let wide = refused(LayerNormLowering { variances: (exact(1e-3), exact(1025.0)), ..lowering.clone() });
    assert!(matches!(wide, SideCondition::Window { function: Function::Rsqrt, .. }), "{wide}");
    let tiny =
        refused(LayerNormLowering { variances: (RBig::ZERO, exact(1.0)), epsilon: RBig::ZERO, ..lowering.clone() });
    assert_eq!(tiny, SideCondition::Variance);
    let coarse = refused(LayerNormLowering { variance_scale: scale(22), ..lowering.clone() });
    assert!(matches!(coarse, SideCondition::Variance | SideCondition::Scale { .. }), "{coarse}");
    let ring = refused(LayerNormLowering { ring: Ring::Z32, ..lowering.clone() });
    assert!(matches!(ring, SideCondition::Ring { .. }), "{ring}");
    let shift =
        refused(LayerNormLowering { normalised: Some((truncation(Ring::Z64, 16), scale(20))), ..lowering.clone() });
    assert!(matches!(shift, SideCondition::Truncation { .. }), "{shift}");
    let (lemma, narrow) = (lowering.variance.lemma, |lemma| within(lemma, 40));
    let squares = Average { lemma: narrow(lemma), ..lowering.variance };
    let overflow = refused(LayerNormLowering { variance: squares, ..lowering.clone() });
    assert!(matches!(overflow, SideCondition::Overflow { value: "the variance", .. }), "{overflow}");
    let overflow = refused(LayerNormLowering {
        normalised: Some((narrow(truncation(Ring::Z64, 16)), scale(22))),
        ..lowering.clone()
    });
    assert!(matches!(overflow, SideCondition::Overflow { value: "the normalised value", .. }), "{overflow}");
    // A weight that is not 1/n is seen.
    let off = Average { factor: 65, lemma: truncation(Ring::Z64, 24), constant: 168 << 24 };
    let off = layer_norm(&LayerNormLowering { variance: off, ..lowering }, &rsqrt).unwrap();
    assert!(off.element > &bound.element * RBig::from(2));
}

/// The shortest row is certified and met by what the programs give; rows too long for the entries are refused by name.
#[test]
fn rows_of_one_element_and_of_a_million() {
    let (exp, reciprocal) = (shipped("exp/k64-f16-o24-w15-mixed-2e-6"), shipped("reciprocal/k64-f24-o30-n1024-1e-5"));
    let (log, rsqrt) = (shipped("log/k64-f24-o16-n1024-1e-4"), shipped(RSQRT));
    let run = |certified: &Certified, x, delta| evaluate(certified.program(), x, &mut Constant(delta));
    let row = |n| SoftmaxLowering { n, spread: 10_000 << 16, last: Some((truncation(Ring::Z64, 38), scale(16))) };
    let logs = |n| LogSoftmaxLowering { n, spread: 10_000 << 16, last: None };
    let (one, one_log) = (softmax(&row(1), &exp, &reciprocal).unwrap(), log_softmax(&logs(1), &exp, &log).unwrap());
    for delta in [0i8, 1] {
        let e = run(&exp, 0, delta);
        let y = ((e * run(&reciprocal, e, delta)) >> 38) + i128::from(delta);
        let (error, log_error) = ((y - 65536).abs() as f64 / 65536.0, run(&log, e, delta).abs() as f64 / 65536.0);
        println!(
            "row of one: softmax {error:.2e} of {:.2e}, logarithm {log_error:.2e} of {:.2e}",
            float(&one.element),
            float(&one_log.element)
        );
        assert!(error <= float(&one.element) && log_error <= float(&one_log.element));
    }
    assert!(float(&one.element) < 5e-5 && float(&one_log.element) < 3e-4);
    // Without any other value, a value is its own mean.
    let mean = Average { factor: 1 << 16, constant: 0, lemma: truncation(Ring::Z64, 16) };
    let alone = rms_norm(1, 1 << 10, 18, (0.0, 1.0));
    let alone = LayerNormLowering { centre: Centre::Rounded(mean), sum: RBig::from(1 << 10), ..alone };
    assert_eq!(layer_norm(&alone, &rsqrt).unwrap().largest, RBig::ZERO);
    for n in [1 << 20, u32::MAX] {
        let refused = softmax(&row(n), &exp, &reciprocal).unwrap_err();
        assert!(matches!(refused, SideCondition::Denominator(_) | SideCondition::Window { .. }), "{n}: {refused}");
        let refused = log_softmax(&logs(n), &exp, &log).unwrap_err();
        assert!(matches!(refused, SideCondition::Denominator(_) | SideCondition::Window { .. }), "{n}: {refused}");
        let refused = layer_norm(&rms_norm(n, 1, 18, (1e-3, 1e3)), &rsqrt).unwrap_err();
        println!("row of {n}: {refused}");
        assert!(matches!(refused, SideCondition::Overflow { .. } | SideCondition::Variance), "{n}: {refused}");
    }
}

/// What the shipped entries certify, printed: 1,024 equal logits, masks of −1e4, variances from 1e-3 to 1e3.
#[test]
fn shipped_entries_are_of_use_on_rows_that_others_get_wrong() {
    let (exp, reciprocal) = (shipped("exp/k64-f16-o24-w15-mixed-2e-6"), shipped("reciprocal/k64-f24-o30-n1024-1e-5"));
    let by = |shift| truncation(Ring::Z64, shift);
    println!("{:<64} {:>10} {:>10}", "shipped entries", "met", "certified");
    let report = |what: &str, met: Option<f64>, bound: &RBig, limit: f64| {
        let shown = met.map_or("-".to_owned(), |met| format!("{met:.3e}"));
        println!("{what:<64} {shown:>10} {:>10.3e}", float(bound));
        assert!(met.is_none_or(|met| met <= float(bound)), "{what}");
        assert!(float(bound) <= limit, "{what}: {:e} is of no use", float(bound));
    };
    let spread = 10_000 << 16;
    let row = SoftmaxLowering { n: 1024, spread, last: Some((by(38), scale(16))) };
    let row = softmax(&row, &exp, &reciprocal).unwrap();
    let met = |leaders: i128, delta: i8| {
        let run = |certified: &Certified, x| evaluate(certified.program(), x, &mut Constant(delta));
        let (zero, masked) = (run(&exp, 0), run(&exp, -i128::from(spread)));
        let inverse = run(&reciprocal, zero * leaders + masked * (1024 - leaders));
        let y = |e: i128| (((e * inverse) >> 38) + i128::from(delta)) as f64 / 65536.0;
        (y(zero) - 1.0 / leaders as f64).abs().max(if leaders == 1024 { 0.0 } else { y(masked).abs() })
    };
    let met = |leaders| met(leaders, 0).max(met(leaders, 1));
    let equal = RBig::ONE / RBig::from(1024);
    report("softmax of 1,024, any row with logits 1e4 apart", None, &row.element, 2.5e-4);
    report("softmax of 1,024 equal logits (each 9.8e-4)", Some(met(1024)), &row.at(&equal), 1.7e-5);
    report("softmax of 1,024, all but one masked by -1e4", Some(met(1)), &row.element, 2.5e-4);
    report("softmax of 1,024, half masked by -1e4", Some(met(512)), &row.at(&(equal * RBig::from(2))), 1.7e-5);
    let log = shipped("log/k64-f24-o16-n1024-1e-4");
    let logs = log_softmax(&LogSoftmaxLowering { n: 1024, spread, last: None }, &exp, &log).unwrap();
    for leaders in [1024i32, 512, 1] {
        let errors = [0, 1].map(|delta| {
            let run = |certified: &Certified, x| evaluate(certified.program(), x, &mut Constant(delta));
            let (zero, masked) = (run(&exp, 0), run(&exp, -i128::from(spread)));
            let logarithm = run(&log, zero * i128::from(leaders) + masked * i128::from(1024 - leaders));
            (-logarithm as f64 / 65536.0 + f64::from(leaders).ln()).abs()
        });
        let what = format!("log-softmax of 1,024, {leaders} equal, others at -1e4");
        report(&what, Some(errors[0].max(errors[1])), &logs.element, 3e-4);
    }
    let value = Format { ring: Ring::Z64, scale: scale(16) };
    let lowering = AttentionLowering {
        n: 1024,
        spread,
        value,
        values: RBig::from(8),
        division: Division::Last(Some((by(16), scale(24)))),
        last: (by(38), scale(16)),
    };
    let last = attention(&lowering, &exp, &reciprocal).unwrap();
    report("attention of 1,024, values below 8, divided last", None, &last.element, 4e-3);
    let (division, rounding) = (Division::First((by(38), scale(16))), (by(16), scale(16)));
    let first = attention(&AttentionLowering { division, last: rounding, ..lowering }, &exp, &reciprocal).unwrap();
    report("attention of 1,024, values below 8, p rounded to 16 bits", None, &first.element, 0.2);
    let rsqrt = shipped(RSQRT);
    for (low, high, limit) in [(1e-3, 1e-3, 7e-3), (1.0, 1.0, 6e-3), (1e3, 1e3, 6e-3), (1e-3, 1e3, 8e-3)] {
        let rms = rms_norm(1024, 1, 18, (low, high));
        let name = format!("RMS norm of 1,024, mean squares {low} to {high} (|z| to 32)");
        report(&name, None, &layer_norm(&rms, &rsqrt).unwrap().element, limit);
        let mean = Average { factor: 1 << 6, constant: 0, lemma: by(16) };
        let centred = LayerNormLowering { centre: Centre::Rounded(mean), sum: RBig::from(1 << 20), ..rms };
        let name = format!("layer norm of 1,024, variances {low} to {high} (|z| to 32)");
        report(&name, None, &layer_norm(&centred, &rsqrt).unwrap().element, limit);
    }
}
