//! Every family on a small goal that it has to serve, its program proved from its texts; goals beyond a family give
//! nothing rather than something wrong.

#![allow(clippy::unwrap_used)]

use catalogs::protocol::rss3::Rss3;
use catalogs::{Decimal, Format, Function, Norm, Op, Ring, Scale, Window};
use synth::expression::Expression;
use synth::families::{Goal, Shape, shapes};
use synth::nfgen::LINES;
use synth::search::{Found, SearchError, Wanted, front_of, publish};

struct Case {
    function: &'static str,
    domain: (f64, f64),
    /// Ring bits, input scale, output scale.
    format: (u8, u8, u8),
    relative: bool,
    accuracy: &'static str,
}

fn case(function: &'static str, domain: (f64, f64), format: (u8, u8, u8), accuracy: &'static str) -> Case {
    Case { function, domain, format, relative: false, accuracy }
}

fn goal(case: &Case) -> Goal {
    let (ring, scale, output) = case.format;
    let integer = |x: f64| (x * 2f64.powi(i32::from(scale))).round() as i64;
    Goal {
        function: Expression::parse(case.function)
            .map_or_else(|_| Function::parse(case.function).unwrap(), |expression| expression.function().unwrap()),
        window: Window { low: integer(case.domain.0), high: integer(case.domain.1) },
        fitted: None,
        input: Format { ring: Ring::new(ring).unwrap(), scale: Scale::new(scale).unwrap() },
        output_scale: Scale::new(output).unwrap(),
        norm: if case.relative { Norm::RELATIVE } else { Norm::ABSOLUTE },
        accuracy: Decimal::parse(case.accuracy).unwrap(),
        density: None,
    }
}

fn front(case: &Case, family: &str) -> Result<Vec<Found>, SearchError> {
    let shape = |shape: &dyn Shape| shape.family() == family;
    front_of(&goal(case), &Rss3, Wanted { shape: &shape, tight: false, ..Wanted::ALL }, &mut |_| {})
}

/// The family's cheapest program, proved from its texts.
fn serves(case: &Case, family: &str) -> Found {
    let found = front(case, family).unwrap_or_else(|error| panic!("{family} for {}: {error}", case.function));
    let first = found.into_iter().next().unwrap();
    let texts = publish(&first);
    let certified = verify::check_texts(&texts.entry, &texts.certificate).unwrap();
    assert!(certified.claim().bound.to_f64_lossy() <= goal(case).accuracy(), "{family}");
    first
}

fn refuses(case: &Case, family: &str) {
    let shapes = shapes(&goal(case), goal(case).accuracy());
    let designs: usize = shapes
        .iter()
        .filter(|shape| shape.family() == family)
        .map(|shape| shape.designs(&goal(case), goal(case).accuracy()).len())
        .sum();
    assert_eq!(designs, 0, "{family} for {}", case.function);
}

#[test]
fn families_keep_to_what_they_serve() {
    let plain = (64, 16, 16);
    refuses(&case("log", (-1.0, 4.0), plain, "1e-3"), "normalised logarithm");
    refuses(&case("gelu", (-4.0, 4.0), plain, "1e-3"), "turns");
    refuses(&case("tanh", (-8.0, 8.0), plain, "1e-3"), "table");
    refuses(&case("softsign", (-8.0, 8.0), plain, "1e-3"), "fraction");
    refuses(&case("exp", (-8.0, 8.0), plain, "1e-3"), "power");
}

#[test]
fn a_table_is_as_good_as_its_output_scale() {
    let found = serves(&case("tanh", (-2.0, 1.9375), (64, 4, 16), "1e-5"), "table");
    assert!(found.bound() <= 0.51 / 65536.0, "{}", found.bound());
    // 52 inputs take six bits, and nothing is ever truncated.
    let signs = found.entry.program.ops().iter().filter(|op| matches!(op, Op::Sign { .. })).count();
    assert_eq!(signs, 6);
    assert!(found.entry.program.ops().iter().all(|op| !matches!(op, Op::Sum(sum) if sum.truncation.is_some())));
    // Cells of many inputs, for a coarse goal.
    serves(&case("sigmoid", (-4.0, 3.99), (64, 16, 16), "5e-2"), "table");
}

#[test]
fn logarithms_and_roots_are_normalised() {
    let found = serves(&case("log", (0.9, 17.6), (64, 24, 16), "1e-3"), "normalised logarithm");
    assert!(found.bits <= 8 * 200, "{}", found.bits);
    let root = Case { relative: true, ..case("sqrt", (0.0625, 16.0), (64, 16, 16), "1e-3") };
    serves(&root, "normalised polynomial");
}

#[test]
fn whole_turns_come_off_sines() {
    serves(&case("sin", (-20.0, 20.0), (64, 16, 16), "2e-3"), "turns");
    // Within half a turn there is nothing to take off.
    let found = serves(&case("cos", (-3.0, 3.0), (64, 16, 16), "2e-3"), "turns");
    assert!(found.entry.program.ops().iter().all(|op| !matches!(op, Op::Sign { .. })));
}

#[test]
fn fractions_divide_by_proved_ranges() {
    serves(&case("1/(1+x*x)", (-2.0, 2.0), (64, 16, 16), "2e-3"), "fraction");
}

#[test]
fn short_pieces_serve_singular_ends_and_narrow_rings() {
    serves(&case("sqrt(x)", (0.001, 4.0), (64, 16, 16), "5e-3"), "local piecewise");
    let found = serves(&case("sigmoid", (-10.0, 10.0), (32, 16, 16), "1e-3"), "local piecewise");
    let signs = found.entry.program.ops().iter().filter(|op| matches!(op, Op::Sign { .. })).count();
    assert!(signs < 12, "{signs} comparisons make {} pieces", signs + 1);
}

/// The benchmark's goals are goals: names, expressions and domains read. That they are reached takes minutes, and is
/// what the example `nfgen` shows.
#[test]
fn the_benchmark_reads() {
    assert_eq!(LINES.len(), 17);
    for line in LINES {
        let goal = line.goal().unwrap_or_else(|error| panic!("{}: {error}", line.name));
        for input in [goal.window.low, goal.window.high] {
            assert!(goal.value(goal.real_f64(input)).is_finite(), "{}", line.name);
        }
    }
}
