//! The search over its public interface: refusals first, then one small goal twice, then certification's own word.

#![allow(clippy::unwrap_used)]

use catalogs::protocol::rss3::Rss3;
use catalogs::{Decimal, Format, Function, Norm, Op, Program, Ring, Scale, Window};
use rug::Rational;
use synth::certify::{Effort, Failure, Request, certify};
use synth::families::{BuildError, Builder, Goal, Terms};
use synth::search::{BATCHES, Density, Progress, SearchError, Wanted, front, front_for, front_of, publish};

fn goal(function: Function, (low, high): (i64, i64), accuracy: &str) -> Goal {
    let norm = if function == Function::Reciprocal { Norm::RELATIVE } else { Norm::ABSOLUTE };
    Goal {
        function,
        window: Window { low, high },
        fitted: None,
        input: Format { ring: Ring::Z64, scale: Scale::new(16).unwrap() },
        output_scale: Scale::new(16).unwrap(),
        norm,
        accuracy: Decimal::parse(accuracy).unwrap(),
        density: None,
    }
}

#[test]
fn goals_out_of_reach_say_how_near_one_came() {
    // At 16 fraction bits one ulp of 1/2 is already 3e-5.
    let error = front(&goal(Function::Reciprocal, (65536, 131072), "1e-6"), &Rss3, &mut |_| {}).unwrap_err();
    match &error {
        SearchError::OutOfReach { reached, .. } => assert!(*reached > 1e-6 && *reached < 1e-3, "{error}"),
        _ => panic!("{error}"),
    }
    // A fit is no program, and its error is not said to be reached: half a unit of the output is 2e-4 of the least value.
    let narrow = Goal {
        window: Window { low: 128, high: 131072 },
        input: Format { ring: Ring::new(32).unwrap(), scale: Scale::new(13).unwrap() },
        output_scale: Scale::new(13).unwrap(),
        norm: Norm::RELATIVE,
        ..goal(Function::Rsqrt, (128, 131072), "1e-4")
    };
    match front(&narrow, &Rss3, &mut |_| {}).unwrap_err() {
        SearchError::OutOfReach { reached, how, .. } => assert!(reached > 1e-4, "{reached:e}: {how}"),
        error @ SearchError::Unbuilt { .. } => assert!(error.to_string().contains("a ring of 32 bits"), "{error}"),
        other => panic!("{other}"),
    }
    let error = front(&goal(Function::Reciprocal, (-5, 65536), "1e-3"), &Rss3, &mut |_| {}).unwrap_err();
    assert!(matches!(error, SearchError::NoFamily { .. }), "{error}");
}

#[test]
fn a_front_is_undominated_proved_and_the_same_every_time() {
    let goal = goal(Function::Reciprocal, (65536, 4 << 16), "2e-3");
    let mut reports = 0;
    let found = front(&goal, &Rss3, &mut |_| reports += 1).unwrap();
    assert!(reports > 0 && !found.is_empty() && found.len() <= synth::search::FRONT_MAX);
    for (index, a) in found.iter().enumerate() {
        assert!(a.bound() <= 2e-3);
        let texts = publish(a);
        assert!(verify::check_texts(&texts.entry, &texts.certificate).is_ok());
        let dominated = found
            .iter()
            .enumerate()
            .any(|(other, b)| other != index && b.bound() <= a.bound() && b.rounds <= a.rounds && b.bits <= a.bits);
        assert!(!dominated, "program {index} is dominated");
    }
    // The same front for somebody who waits, who hears of a first certified program before the others are certified.
    let (mut first, mut is_late) = (None, false);
    let mut watch = |progress: Progress| match progress {
        Progress::First { bound, .. } => assert!(first.replace(bound).is_none(), "two first programs"),
        Progress::Certifying { .. } => is_late |= first.is_none(),
        _ => {}
    };
    let again = front_for(&goal, &Rss3, BATCHES, &mut watch).unwrap();
    assert!(first.is_some_and(|bound| bound <= goal.accuracy()) && !is_late, "{first:?}");
    let texts = |found: &[synth::search::Found]| found.iter().map(publish).collect::<Vec<_>>();
    assert_eq!(texts(&found), texts(&again));
}

/// Where inputs near 1/2 are likely, a program leans towards them: at the same price its mean error there is smaller, and its
/// certified error is still what was asked for.
#[test]
fn likely_inputs_are_served_better() {
    let plain = goal(Function::Sigmoid, (-(2 << 16), 2 << 16), "2e-3");
    let likely = Density::parse("normal:0.5,0.125").unwrap();
    let found = front(&plain, &Rss3, &mut |_| {}).unwrap();
    let mean = |found: &synth::search::Found| likely.mean_error(&found.entry.program, &plain).unwrap();
    let leaning = front_for(&Goal { density: Some(likely), ..plain.clone() }, &Rss3, BATCHES, &mut |_| {}).unwrap();
    let gains = found.iter().map(|price| {
        let at_most = |other: &&synth::search::Found| other.bytes() <= price.bytes();
        let least = found.iter().filter(at_most).map(mean).fold(f64::INFINITY, f64::min);
        let better = leaning.iter().filter(at_most).map(mean).fold(f64::INFINITY, f64::min);
        println!("{} bytes: mean error {least:e} of minimax fits, {better:e} of those that lean", price.bytes());
        better / least
    });
    // Where a fit has room below the accuracy, the lean uses it.
    let best = gains.fold(f64::INFINITY, f64::min);
    assert!(best < 0.7, "{best}");
    assert!(leaning.iter().all(|found| found.bound() <= 2e-3));
}

/// Formats at both ends of what is asked for: 8 fraction bits, where the last truncation takes half of the accuracy, and 40,
/// where the input alone is wider than a usual sum, in a ring that can square it and in one that cannot.
#[test]
fn coarse_and_fine_formats_are_served() {
    let fixed = |function, ring: u8, scale: u8, end: f64, accuracy: &str| {
        let end = (end * f64::from(scale).exp2()) as i64;
        let (ring, scale) = (Ring::new(ring).unwrap(), Scale::new(scale).unwrap());
        let (input, output_scale) = (Format { ring, scale }, scale);
        Goal { input, output_scale, ..goal(function, (-end, end - 1), accuracy) }
    };
    let piecewise = Wanted { shape: &|shape| shape.family().ends_with("piecewise"), tight: false, ..Wanted::ALL };
    let goals = [
        fixed(Function::Tanh, 32, 8, 8.0, "1e-2"),
        fixed(Function::Sigmoid, 64, 40, 8.0, "1e-3"),
        fixed(Function::Sigmoid, 128, 40, 8.0, "1e-4"),
    ];
    for goal in goals {
        let found = front_of(&goal, &Rss3, piecewise, &mut |_| {}).unwrap();
        assert!(found.iter().all(|found| found.bound() <= goal.accuracy()));
        println!("{} in {}: {}", goal.function.name(), goal.input, found[0].entry.claim.bound);
    }
    // What is proved by nothing says so: two units of the last place are not seen to be exceeded, and not proved.
    let strict = fixed(Function::Tanh, 32, 8, 8.0, "4e-3");
    let error = front_of(&strict, &Rss3, piecewise, &mut |_| {}).unwrap_err();
    match error {
        SearchError::Unproved { wanted, reached, .. } => assert!(reached <= wanted, "{error}"),
        SearchError::OutOfReach { wanted, reached, .. } => assert!(reached > wanted, "{error}"),
        SearchError::Unbuilt { wanted, fitted, .. } => assert!(fitted <= wanted, "{error}"),
        SearchError::NoFamily { .. } => {}
        SearchError::NoDesign { .. } => panic!("no design was asked for: {error}"),
    }
}

/// x/2 computed as it should be, or with a wrong coefficient.
fn doubled_exp(coefficient: i128) -> Request {
    let scale = Scale::new(16).unwrap();
    let mut b = Builder::new(Ring::Z64, scale);
    let x = b.input();
    // 1 + x + x²/2, good to |x|³/6 on a small window.
    let terms = Terms::new().constant(1).linear(1, x).product(Rational::from((coefficient, 2)), x, x);
    b.truncated(&terms, 16, 20).unwrap();
    let window = Window { low: -6554, high: 6554 };
    Request { function: Function::Exp, norm: Norm::ABSOLUTE, fitted: window, window, program: b.finish().unwrap() }
}

#[test]
fn certification_sees_a_wrong_coefficient() {
    let right = certify(&doubled_exp(1), &Effort::default()).unwrap();
    let wrong = certify(&doubled_exp(2), &Effort::default()).unwrap();
    let bound = |proved: &synth::certify::Proved| proved.entry.claim.bound.to_f64_lossy();
    // 0.1³/6 = 1.7e-4 plus an ulp; with x² instead of x²/2 at least 5e-3.
    assert!(bound(&right) < 2e-4 && right.is_tight(), "{}", right.entry.claim.bound);
    assert!(bound(&wrong) > 5e-3 && wrong.is_tight(), "{}", wrong.entry.claim.bound);
    let effort = Effort { bound_max: Some(1e-3), ..Effort::default() };
    assert!(matches!(certify(&doubled_exp(2), &effort), Err(Failure::TooLarge(_))));
}

#[test]
fn programs_that_overflow_are_not_certified() {
    let scale = Scale::new(16).unwrap();
    let mut b = Builder::new(Ring::Z64, scale);
    let x = b.input();
    let square = b.exact(&Terms::new().product(1, x, x), 32).unwrap();
    b.truncated(&Terms::new().product(1, square, square), 16, 48).unwrap();
    let window = Window { low: 0, high: 1 << 17 };
    let program = b.finish().unwrap();
    let request = Request { function: Function::Exp, norm: Norm::ABSOLUTE, fitted: window, window, program };
    assert!(matches!(certify(&request, &Effort::default()), Err(Failure::Rejected(_) | Failure::Pieces(_))));
}

#[test]
fn builders_refuse_what_no_program_can_be() {
    let scale = Scale::new(16).unwrap();
    let mut b = Builder::new(Ring::Z64, scale);
    let x = b.input();
    let one = Terms::new().linear(1, x);
    assert!(matches!(b.truncated(&one, 16, 0), Err(BuildError::Shift { .. })));
    assert!(matches!(b.truncated(&one, 16, 62), Err(BuildError::Shift { .. })));
    assert!(matches!(b.exact(&one, -1), Err(BuildError::Scale(-1))));
    let huge = Terms::new().linear(Rational::from(1) << 100, x);
    assert!(matches!(b.exact(&huge, 16), Err(BuildError::Coefficient(_))));
    assert!(matches!(b.less_than(x, 0, (-(1 << 70), 0), 0), Err(BuildError::Width { .. })));
}

/// The narrowest sign test that is exact on the window, and no narrower.
#[test]
fn comparisons_have_the_width_of_the_window() {
    let width = |low: i128, high: i128, threshold: i128, dropped: u8| {
        let mut b = Builder::new(Ring::Z64, Scale::new(16).unwrap());
        let x = b.input();
        let bit = b.less_than(x, threshold, (low, high), dropped).unwrap();
        b.inject(bit);
        let program: Program = b.finish().unwrap();
        let lemma = program.ops().iter().find_map(|op| match op {
            Op::Sign { lemma, .. } => Some(*program.lemma(*lemma)),
            _ => None,
        });
        match lemma {
            Some(catalogs::Lemma::Sign { width, .. }) => width,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(width(-128, 127, 0, 0), 8);
    assert_eq!(width(-129, 127, 0, 0), 9);
    assert_eq!(width(-128, 128, 0, 0), 9);
    assert_eq!(width(-120, 127, 0, 3), 8);
    assert_eq!(width(-122, 127, 0, 3), 9);
}
