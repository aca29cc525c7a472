//! Certified errors within a tenth of a proved bound, mutants of the proof, and what is refused.

use super::*;
use crate::expression::parse_rational;
use crate::minimax::Branch;

fn wish(degree: u32, steps: Steps) -> Wish {
    Wish { degree, steps, variable: None, nodes: 2000, narrow: None }
}

fn of(function: &str, low: &str, high: &str, wish: &Wish) -> Result<QuantisedBest, BestError> {
    let function = Expression::parse(function).unwrap();
    quantised(&function, &parse_rational(low).unwrap(), &parse_rational(high).unwrap(), wish, &mut |_| {})
}

#[test]
fn steps_out_of_range_are_refused() {
    for steps in [Steps::Fixed(1000), Steps::Each(vec![]), Steps::Each(vec![-16, -999]), Steps::Width(1)] {
        assert_eq!(of("exp", "-1", "1", &wish(3, steps)), Err(BestError::Steps));
    }
}

#[test]
fn a_step_of_2_to_the_minus_16_is_served_within_a_tenth() {
    for (function, low, high, degree, binding) in [
        ("exp", "-10", "0", 12, "points"),
        ("exp", "-1", "1", 6, "lattice"),
        ("exp2", "0", "1", 4, "lattice"),
        ("reciprocal", "1", "2", 6, "lattice"),
        ("gelu", "-4", "4", 10, "minimax"),
        ("tanh", "-1", "1", 10, "lattice"),
        ("sin", "-3", "3", 12, "points"),
    ] {
        let mut wish = wish(degree, Steps::Fixed(-16));
        let domain = Domain::interval(low.parse().unwrap(), high.parse().unwrap()).unwrap();
        wish.variable = Some(Scaling::onto_unit(&domain).unwrap());
        let found = of(function, low, high, &wish).unwrap();
        let unit = found.variable.clone();
        assert_eq!(Some(unit), wish.variable);
        let ratio = found.ratio();
        assert!(ratio <= 1.1, "{function} {degree}: {ratio}, {found:?}");
        assert!(found.upper >= *found.binding().1, "{function}: a bound above the error");
        assert_eq!(found.binding().0, binding, "{function}: {found:?}");
        assert!(found.exhausted);
    }
}

#[test]
fn other_variables_are_better() {
    let wide = of("exp", "-10", "0", &wish(8, Steps::Fixed(-16))).unwrap();
    assert!(
        wide.tried.len() > 4 && wide.tried.iter().all(|(_, error)| *error >= Float::with_val(64, &wide.upper * 0.98))
    );
    assert!(wide.ratio() <= 1.1 && wide.upper < 2.8e-4, "{wide:?}");
}

/// In x/2 many integers compete at this degree, and neither search nor proof ended; x/8 reaches the minimax error.
#[test]
fn a_larger_scale_leaves_a_hard_lattice() {
    let found = of("reciprocal", "1", "2", &wish(12, Steps::Fixed(-16))).unwrap();
    assert!(found.ratio() <= 1.05 && found.exhausted, "{found:?}");
    assert!(found.upper <= found.minimax.clone() * 1.3, "{found:?}");
    assert!(*found.variable.scale() > 2 && *found.variable.centre() == 0, "{:?}", found.variable);
}

#[test]
fn a_search_cut_short_still_has_a_bound() {
    let mut hasty = wish(8, Steps::Fixed(-16));
    hasty.variable = Some(Scaling::identity());
    hasty.nodes = 4;
    let found = of("exp", "-10", "0", &hasty).unwrap();
    assert!(!found.exhausted && found.nodes <= 4);
    assert!(*found.binding().1 > 0 && *found.binding().1 <= found.upper && found.upper <= found.rounded_error);
}

#[test]
fn more_degree_is_never_worse() {
    let mut previous: Option<Float> = None;
    for degree in 1..=9 {
        let found = of("exp2", "0", "1", &wish(degree, Steps::Fixed(-10))).unwrap();
        assert!(previous.is_none_or(|previous| found.upper <= previous), "degree {degree}");
        previous = Some(found.upper);
    }
}

#[test]
fn widths_give_every_coefficient_its_own_step() {
    let found = of("exp", "-1", "1", &wish(6, Steps::Width(12))).unwrap();
    assert!(found.integers.iter().all(|k| k.clone().abs() <= 1 << 11), "{:?}", found.integers);
    assert!(found.steps.windows(2).any(|pair| pair[0] != pair[1]));
    let each = of("exp", "-1", "1", &wish(4, Steps::Each(vec![-20, -16, -12]))).unwrap();
    assert_eq!(each.steps, [-20, -16, -12, -12, -12]);
    assert!(each.ratio() <= 1.1, "{each:?}");
}

#[test]
fn steps_are_widened_where_it_costs_little() {
    let mut thrifty = wish(6, Steps::Fixed(-24));
    thrifty.variable = Some(Scaling::identity());
    let fine = of("exp", "-1", "1", &thrifty).unwrap();
    thrifty.narrow = Some(0.05);
    let narrow = of("exp", "-1", "1", &thrifty).unwrap();
    let bits = |found: &QuantisedBest| -> u32 { found.integers.iter().map(Integer::significant_bits).sum() };
    assert!(bits(&narrow) + 7 < bits(&fine), "{} and {}", bits(&narrow), bits(&fine));
    assert!(narrow.upper <= fine.upper.clone() * 1.06 && narrow.steps.iter().any(|step| *step > -24), "{narrow:?}");
    assert!(narrow.upper >= *narrow.binding().1);
}

#[test]
fn an_exact_polynomial_is_found_exactly() {
    let found = of("x^3 - x/4", "-1", "2", &wish(4, Steps::Fixed(-4))).unwrap();
    assert!(found.upper < 1e-15, "{found:?}");
}

/// What a claim that is too strong would look like.
#[test]
fn mutants_of_the_search_prove_less_or_nothing() {
    let function = Expression::parse("exp").unwrap();
    let (low, high) = (Rational::from(-1), Rational::from(1));
    let wish = Wish { variable: Some(Scaling::identity()), ..wish(6, Steps::Fixed(-16)) };
    let hunt = Hunt { function: &function, low: &low, high: &high, wish: &wish, degree: 6 };
    let attempt = hunt.search(&Scaling::identity(), Vec::new(), 2000).unwrap();
    let scaling = Scaling::identity();
    let place = Place { function: &function, scaling: &scaling, low: &low, high: &high };
    let error = hunt.proved(hunt.search(&scaling, Vec::new(), 2000).unwrap()).unwrap().upper;
    let search = attempt.found.search;
    let honest = lattice_bound(&place, 6, &search, &error).unwrap();
    assert!(honest <= error && honest > Float::with_val(64, &error * 0.95f64));
    let bound = |search: &minimax::Search| lattice_bound(&place, 6, search, &error);

    let mut sublattice = search.clone();
    sublattice.functions[2].iter_mut().for_each(|entry| *entry *= 2);
    assert_eq!(bound(&sublattice), None, "twice a function leaves integers out");
    let mut outside = search.clone();
    outside.points.iter_mut().for_each(|point| *point *= 3u32);
    assert_eq!(bound(&outside), None, "points beyond the domain");
    let mut fewer = search.clone();
    fewer.exponents[6] = 7;
    assert_eq!(bound(&fewer), None, "other polynomials");
    let mut massless = search.clone();
    for branch in &mut massless.branches {
        if let Branch::End { masses } = branch {
            masses.clear();
        }
    }
    assert_eq!(bound(&massless).unwrap(), 0);
    let mut shallow = search.clone();
    shallow.branches.truncate(1);
    shallow.branches[0] = search.branches.iter().find(|branch| matches!(branch, Branch::End { .. })).unwrap().clone();
    assert!(bound(&shallow).unwrap() < honest, "one end's masses do not serve all integers");
    let mut endless = search;
    endless.branches[0] = Branch::Split { coordinate: 0, at: 0, below: 0, above: 0 };
    assert!(bound(&endless).is_none_or(|bound| bound < honest), "a tree that refers to itself");
}
