//! Peers' approximations, audited: what is published elsewhere, as programs of this project.
//!
//! A [`Recipe`] holds a published approximation in the words of its source; [`mod@elaborate`] makes the program of it, with the
//! rounding set of the peer's own truncation; [`mod@prove`] finds what can be certified of it, [`measure`] what it does where
//! nothing can. Peers' entries are a catalog of their own (`catalogs/peers`), never part of the shipped one. [`ported`] has
//! their formulas at this runtime's formats, for plans.

pub mod answer;
pub mod audit;
pub mod elaborate;
pub mod measure;
pub mod page;
pub mod ported;
pub mod prove;
pub mod recipe;

pub use answer::answer;
pub use audit::{Catalogs, asked};
pub use elaborate::{ElaborationError, elaborate, window};
pub use measure::{Measured, Meter};
pub use page::page;
pub use prove::{PeerError, claim, name, prove};
pub use recipe::{Audited, Failing, Recipe, RecipeError};

use std::path::Path;

/// The recipes of a folder (files `*.recipe`), in order of their names.
pub fn read_folder(folder: &Path) -> Result<Vec<Recipe>, PeerError> {
    let file = |path: &Path, source| PeerError::File { path: path.to_owned(), source };
    let mut paths = Vec::new();
    for found in std::fs::read_dir(folder).map_err(|source| file(folder, source))? {
        let path = found.map_err(|source| file(folder, source))?.path();
        if path.extension().is_some_and(|extension| extension == "recipe") {
            paths.push(path);
        }
    }
    paths.sort();
    let mut recipes = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).map_err(|source| file(&path, source))?;
        let wrong = |reason| PeerError::Recipe { path: path.clone(), reason };
        let recipe = Recipe::parse(&text).map_err(wrong)?;
        // What is said of somebody else's work says where it is from.
        let about = [("peer", &recipe.peer), ("title", &recipe.title), ("truncation", &recipe.truncation)];
        let about = about.map(|(key, text)| (key, text.is_empty()));
        let missing = about.into_iter().chain([("source", recipe.source.is_empty())]).find(|(_, missing)| *missing);
        if let Some((key, _)) = missing {
            return Err(wrong(RecipeError { line: 0, reason: format!("the line '{key} …' is missing") }));
        }
        recipes.push(recipe);
    }
    Ok(recipes)
}
