//! Peers' programs: refusals first, then what is published of them.

#![allow(clippy::unwrap_used)]

use catalogs::protocol::{Model, rss3::Rss3};
use catalogs::{Catalog, Entry, Window};
use rug::Rational;
use std::path::{Path, PathBuf};
use synth::peers::measure::Rounds;
use synth::peers::page::line;
use synth::peers::{Audited, Catalogs, Meter, Recipe, claim, name, ported, prove, read_folder};
use verify::{Certificate, PieceProof};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../catalogs/peers")
}

fn recipes() -> Vec<Recipe> {
    read_folder(&folder().join("recipes")).unwrap()
}

fn open(entries: &str, proofs: &str) -> Catalog {
    Catalog::open(&folder().join(entries), &folder().join(proofs)).unwrap()
}

fn catalogs() -> Catalogs {
    Catalogs {
        theirs: open("entries", "proofs"),
        answers: open("ours/entries", "ours/proofs"),
        shipped: open("..", "../../proofs"),
    }
}

fn of<'a>(recipes: &'a [Recipe], function: &str, stem: &str) -> &'a Recipe {
    recipes.iter().find(|recipe| recipe.function == function && recipe.stem == stem).unwrap()
}

#[test]
fn texts_that_are_no_recipes_are_refused_with_a_line() {
    let good = std::fs::read_to_string(folder().join("recipes/spu-sigmoid-mm1.recipe")).unwrap();
    assert!(Recipe::parse(&good).is_ok());
    for (from, to, part) in [
        ("program", "programme", "'program"),
        ("stem spu-mm1", "", "'stem"),
        ("encoding towards-zero", "encoding up", "'up' is not an encoding"),
        ("failure never", "failure sometimes", "'sometimes' is not a failure"),
        ("format ring 64 scale 18", "format ring 64", "ring K scale F"),
        ("rounding 0 1", "rounding 0", "rounding LOW HIGH"),
        ("window w4 -4 4", "window w4 -4", "window NAME LOW HIGH"),
        ("window w4 -4 4", "window w4 -4 1/0", "'1/0' is not a decimal"),
        ("title", "titel", "is none of"),
        ("t = 0.125*x >> 18", "t = 0.125*x*x*x >> 18", "more than two operands"),
        ("t = 0.125*x >> 18", "t = x*0.125 >> 18", "the constant comes first"),
        ("t = 0.125*x >> 18", "t = 0.125*X >> 18", "'X' is not a name"),
        ("t = 0.125*x >> 18", "t 0.125*x", "no '='"),
        ("t = 0.125*x >> 18", "t = ", "at least one term"),
        ("t = 0.125*x >> 18", "repeat 3\nt = 0.125*x >> 18", "'end'"),
        ("t = 0.125*x >> 18", "t = less(x)", "less(VALUE, C)"),
        ("t = 0.125*x >> 18", "t = 0.1.2*x >> 18", "is not a decimal"),
    ] {
        let bad = good.replacen(from, to, 1);
        assert_ne!(bad, good, "{from}");
        let reason = Recipe::parse(&bad).unwrap_err().to_string();
        assert!(reason.contains(part), "{to:?}: {reason}");
    }
}

#[test]
fn recipes_that_are_no_programs_are_refused_by_name() {
    let good = std::fs::read_to_string(folder().join("recipes/spu-sigmoid-mm1.recipe")).unwrap();
    for (from, to, part) in [
        ("0.125*x", "0.125*w", "no value 'w'"),
        ("0.125*x >> 18", "0.125*x >> 63", "can be dropped"),
        ("t = 0.125*x >> 18", "u = 2*x\nb = less(u, 0)\nt = b*x", "say between what the value lies"),
        ("function sigmoid", "function sigmund", "no function 'sigmund'"),
        ("window w4 -4 4", "window w4 4 -4", "holds no input"),
        ("norm 1 0", "norm one 0", "'one' is no decimal"),
        ("ring 64", "ring 200", "no ring of 200"),
    ] {
        let recipe = Recipe::parse(&good.replacen(from, to, 1)).unwrap();
        let reason = claim(&recipe, &recipe.windows[0]).unwrap_err().to_string();
        assert!(reason.contains(part), "{to:?}: {reason}");
    }
}

/// Sixteen pieces like `like` that tile [low, high].
fn between(low: i64, high: i64, like: &PieceProof) -> Vec<PieceProof> {
    let count = if high < low { 0 } else { 16 };
    let end = |index: i64| low + (high - low + 1) * index / 16;
    (0..count).map(|index| PieceProof { low: end(index), high: end(index + 1) - 1, ..like.clone() }).collect()
}

/// Where a peer's program is wrong the checker refuses the claim, whatever is stated: CrypTen's erf from −1 on, its exponential below
/// −512, SPU's linear sigmoid at 8.
#[test]
fn a_claim_on_a_window_on_which_the_program_fails_is_refused() {
    let theirs = open("entries", "proofs");
    for (published, low, high) in [
        ("erf/crypten-taylor8-w05", -1.0, 1.0),
        ("exp/crypten-limit8-w500", -530.0, 0.0),
        ("exp/spu-taylor8-w500", -530.0, 0.0),
        ("sigmoid/spu-mm1-w4", -8.0, 8.0),
        ("sigmoid/piranha-quadratic-p4", -1.0, 4.0),
    ] {
        let found = theirs.find(published).unwrap().1;
        let entry = Entry::parse(&found.entry).unwrap();
        let certificate = Certificate::parse(&found.certificate).unwrap();
        assert!(verify::check(entry.clone(), &certificate).is_ok(), "{published}");
        let unit = 2f64.powi(i32::from(entry.program.input().1.bits()));
        let window = Window { low: (low * unit) as i64, high: (high * unit) as i64 };
        let mut wider = entry.clone();
        wider.claim.window = window;
        // New pieces like those at the ends reach the new ends, and the ranges allow anything.
        let mut stretched = Certificate { entry: wider.digest(), ..certificate };
        let (first, last) = (stretched.pieces[0].clone(), stretched.pieces.last().unwrap().clone());
        let mut pieces = between(window.low, first.low - 1, &first);
        pieces.append(&mut stretched.pieces);
        pieces.extend(between(last.high + 1, window.high, &last));
        stretched.pieces = pieces;
        for range in stretched.ranges.iter_mut().flatten() {
            *range = (i128::MIN / 4, i128::MAX / 4);
        }
        let reason = verify::check(wider.clone(), &stretched).unwrap_err().to_string();
        assert!(reason.contains("error") || reason.contains("may be"), "{published}: {reason}");
        // And an input shows that nothing true was refused.
        let worst = Meter::new(&wider).measure(201).worst;
        assert!(worst > entry.claim.bound.to_f64_lossy(), "{published}: {worst}");
    }
}

/// A recipe whose coefficient was changed is not the published program any more, and the audit says so.
#[test]
fn an_entry_of_another_program_is_refused() {
    let catalogs = catalogs();
    let text = std::fs::read_to_string(folder().join("recipes/piranha-sigmoid.recipe")).unwrap();
    let recipe = Recipe::parse(&text).unwrap();
    assert!(catalogs.row(&recipe, &recipe.windows[0]).is_ok());
    for (from, to) in [("-0.038751*s", "-0.038752*s"), ("rounding 0 1", "rounding 0 0"), ("0.275589*x", "0.275589*s")] {
        let other = Recipe::parse(&text.replacen(from, to, 1)).unwrap();
        let reason = catalogs.row(&other, &other.windows[0]).unwrap_err().to_string();
        assert!(reason.contains("another program"), "{reason}");
    }
}

#[test]
fn published_programs_are_the_recipes_certified_and_served_by_our_protocol() {
    let (recipes, theirs) = (recipes(), open("entries", "proofs"));
    let mut names = Vec::new();
    for recipe in &recipes {
        for audited in &recipe.windows {
            names.push(name(recipe, audited));
        }
    }
    for (name, published) in theirs.iter() {
        assert!(names.iter().any(|known| known == name), "{name} belongs to no recipe");
        let certified = verify::check_texts(&published.entry, &published.certificate).unwrap();
        for lemma in certified.entry().program.lemmas() {
            assert!(Rss3.offers(lemma).is_some(), "{name} needs '{lemma}'");
        }
    }
    for (name, published) in open("ours/entries", "ours/proofs").iter() {
        assert!(names.iter().any(|known| known == name), "{name} answers no recipe");
        verify::check_texts(&published.entry, &published.certificate).unwrap();
    }
}

/// What is put into plans is the recipe's program with this runtime's truncation, and the page says so; a changed
/// constant, a peer's own failing truncation and an entry without a recipe are refused.
#[test]
fn formulas_at_our_formats_are_their_recipes_certified() {
    let recipes = read_folder(&folder().join("ported/recipes")).unwrap();
    let catalog = open("ported/entries", "ported/proofs");
    let page = std::fs::read_to_string(folder().join("../../docs/peers.md")).unwrap();
    assert!(
        page.contains(&ported::section(&recipes, &catalog).unwrap()),
        "run `chebyshare bench peers --out docs/peers.md`"
    );
    let text = std::fs::read_to_string(folder().join("ported/recipes/spu-gelu.recipe")).unwrap();
    for (from, to, part) in [
        ("0.3603292692789629", "0.3613292692789629", "another program"),
        ("norm 1 0", "norm 0 1", "another program"),
        ("failure never", "failure two-shares", "never fails"),
        ("window w511", "window w510", "w510"),
    ] {
        let changed = Recipe::parse(&text.replacen(from, to, 1)).unwrap();
        let reason = ported::published(&changed, &changed.windows[0], &catalog).unwrap_err().to_string();
        assert!(reason.contains(part), "{to}: {reason}");
    }
    assert!(ported::section(&recipes[1..], &catalog).unwrap_err().to_string().contains("no recipe"));
    for (name, published) in catalog.iter() {
        for lemma in Entry::parse(&published.entry).unwrap().program.lemmas() {
            assert!(Rss3.offers(lemma).is_some(), "{name} needs '{lemma}'");
        }
    }
    // None of them is offered by the shipped catalog.
    let shipped = open("..", "../../proofs");
    assert!(catalog.iter().all(|(name, _)| shipped.find(name).is_err()));
}

/// CrypTen's erf as it was measured in CrypTen itself.
#[test]
fn silent_failures_are_reproduced() {
    let recipes = recipes();
    let at = |recipe: &Recipe, x: f64| {
        let number = |x: f64| Rational::from_f64(x).unwrap();
        let audited = Audited { name: "all".into(), low: number(-2000.0), high: number(2000.0) };
        let entry = claim(recipe, &audited).unwrap();
        Meter::new(&entry).value((x * 2f64.powi(i32::from(recipe.scale))) as i64, Rounds::Drawn(1))
    };
    let erf = of(&recipes, "erf", "crypten-taylor8");
    assert!((at(erf, 3.0) + 277_841.0).abs() < 30.0, "{}", at(erf, 3.0));
    assert!((at(erf, -1.0) + 0.607).abs() < 2e-3, "an odd power is even: {}", at(erf, -1.0));
    assert!(at(of(&recipes, "exp", "crypten-limit8"), -1000.0).abs() > 1e6);
    assert!(at(of(&recipes, "exp", "spu-taylor8"), -530.0) > 1e3);
    assert!(at(of(&recipes, "rsqrt", "crypten-newton3"), 400.0) < -1e3);
    assert_eq!(at(of(&recipes, "sigmoid", "spu-mm1"), 100.0), 13.0);
}

/// A peer's certified bound holds with the failure of its own truncation, which narrower windows make small.
#[test]
fn proofs_are_found_again_with_their_failure() {
    let recipes = recipes();
    let recipe = of(&recipes, "exp", "crypten-limit8");
    let (entry, certificate, _) = prove(recipe, &recipe.windows[0]).unwrap();
    let published = open("entries", "proofs");
    let published = published.find(&name(recipe, &recipe.windows[0])).unwrap().1;
    assert_eq!((entry.to_text(), certificate.to_text()), (published.entry.clone(), published.certificate.clone()));
    assert!(entry.to_text().contains(" failure 2") || entry.to_text().contains(" failure 3"));
}

/// Every fourth recipe's rows, and all names: the whole page takes ten seconds of one core.
#[test]
fn the_page_is_what_is_generated() {
    let (recipes, catalogs) = (recipes(), catalogs());
    let page = std::fs::read_to_string(folder().join("../../docs/peers.md")).unwrap();
    let mut rows = 0;
    for (index, recipe) in recipes.iter().enumerate() {
        for audited in &recipe.windows {
            assert!(page.contains(&format!("| `{}` |", name(recipe, audited))), "{}", name(recipe, audited));
            rows += 1;
            if index % 4 == 0 {
                let row = line(recipe, audited, &catalogs.row(recipe, audited).unwrap());
                let fresh = page.contains(&row);
                assert!(fresh, "not in docs/peers.md; run `chebyshare bench peers --out docs/peers.md`\n{row}");
            }
        }
    }
    assert!(page.contains(&format!(
        "{} programs on {rows} windows: {} certified",
        recipes.len(),
        catalogs.theirs.len()
    )));
}
