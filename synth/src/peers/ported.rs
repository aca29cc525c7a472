//! Peers' approximations at this runtime's formats: what `bench tuner` puts into plans beside ours.
//!
//! Formula and constants are a peer's; the ring, the scales and the truncation are those of this runtime, so that the
//! programs can be nodes of its circuits and only approximations are compared. Establishes that every published entry
//! is the program of its recipe, and certified.

use super::page::real;
use super::prove::{PeerError, claim, name};
use super::recipe::{Audited, Failing, Recipe};
use catalogs::protocol::{cost, rss3::Rss3};
use catalogs::{Catalog, Entry};
use std::fmt::Write;

const INTRODUCTION: &str = "
## At this runtime's formats

The programs above are written for their own systems' scales and truncations; a plan of ours has little use for them. Below are the
same formulas and constants as entries for this runtime, in `catalogs/peers/ported`: a ring of 64 bits, 16 fraction bits of arguments
and results, 25 inside softmax and layer norm (where entries of ours have 24), and this runtime's truncation, which never fails. Each
window is as wide as the formula holds, whatever its error is there. `chebyshare bench tuner` makes plans of them
([tuner](tuner.md)); no other plan can contain them, as the shipped catalog does not. Their recipes name sources and what was changed.

| program | window | absolute error | and relative | rounds | bytes | what it is |
| --- | --- | --- | --- | --- | --- | --- |
";

/// The published entry of a recipe's window, if it is that recipe's program and the checker accepts it.
pub fn published(recipe: &Recipe, audited: &Audited, catalog: &Catalog) -> Result<Entry, PeerError> {
    let wrong = |reason: String| PeerError::Claim { stem: recipe.stem.clone(), reason };
    if recipe.failing != Failing::Never {
        return Err(wrong("a truncation of this runtime never fails".into()));
    }
    let (_, found) = catalog.find(&name(recipe, audited)).map_err(|reason| wrong(reason.to_string()))?;
    let certified =
        verify::check_texts(&found.entry, &found.certificate).map_err(|reason| wrong(reason.to_string()))?;
    let (entry, mut draft) = (certified.entry(), claim(recipe, audited)?);
    draft.claim.bound = entry.claim.bound;
    if *entry != draft {
        return Err(wrong("the published entry is another program than the recipe's; publish it again".into()));
    }
    Ok(draft)
}

/// The row of an entry.
pub fn line(recipe: &Recipe, audited: &Audited, catalog: &Catalog) -> Result<String, PeerError> {
    let entry = published(recipe, audited, catalog)?;
    let cost = cost(&entry.program, &Rss3);
    let part = |part: dashu::rational::RBig| match part.to_f64().value() {
        0.0 => "–".to_owned(),
        part => format!("{part:.2e}"),
    };
    Ok(format!(
        "| `{}` | {} to {} | {} | {} | {} | {} | {}: {} |\n",
        name(recipe, audited),
        real(&audited.low),
        real(&audited.high),
        part(entry.claim.absolute_part()),
        part(entry.claim.relative_part()),
        cost.rounds,
        cost.bytes(),
        recipe.peer,
        recipe.title.replace('|', "\\|"),
    ))
}

/// The page's section. An entry that belongs to no recipe is an error.
pub fn section(recipes: &[Recipe], catalog: &Catalog) -> Result<String, PeerError> {
    let mut text = INTRODUCTION.to_owned();
    let mut ordered: Vec<(String, &Recipe, &Audited)> = Vec::new();
    for recipe in recipes {
        ordered.extend(recipe.windows.iter().map(|audited| (name(recipe, audited), recipe, audited)));
    }
    ordered.sort_by(|a, b| a.0.cmp(&b.0));
    if let Some((stray, _)) = catalog.iter().find(|(known, _)| !ordered.iter().any(|(name, ..)| name == known)) {
        return Err(PeerError::Claim { stem: stray.to_owned(), reason: "it belongs to no recipe".into() });
    }
    for (_, recipe, audited) in ordered {
        let _ = write!(text, "{}", line(recipe, audited, catalog)?);
    }
    Ok(text)
}
