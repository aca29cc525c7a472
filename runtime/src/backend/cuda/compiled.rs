//! Text to machine code, kept kernel by kernel: a printed kernel that several models, parties or runs have in common is
//! compiled once, and those that are new are compiled side by side.
//!
//! Machine code, and not PTX: nothing is compiled when it is loaded, and a cache that was filled on a machine without a
//! GPU ([`super::Ahead`]) is all that a machine with one needs.

use super::cache::{Cache, Cached};
use super::device::{Error, Source};
use super::nvrtc;
use rayon::prelude::*;
use std::path::Path;

/// What the name of a printed kernel begins with; the rest is the digest of its text.
const PRINTED: &str = "stage_";

/// The kernels of a text, each in a text of its own where they are printed ones: what belongs to such a kernel names it,
/// and it uses nothing else than what precedes them all. Any other text stays whole.
pub fn parts(source: &Source) -> Vec<Source> {
    let whole = || vec![source.clone()];
    if source.kernels.len() < 2 || !source.kernels.iter().all(|(name, _)| name.starts_with(PRINTED)) {
        return whole();
    }
    let mut places: Vec<(usize, usize)> = Vec::with_capacity(source.kernels.len());
    for (index, (name, _)) in source.kernels.iter().enumerate() {
        let Some(first) = source.text.find(name.as_str()) else { return whole() };
        let line = source.text[..first].rfind('\n').map_or(0, |end| end + 1);
        places.push((line, index));
    }
    places.sort_unstable();
    let common = &source.text[..places[0].0];
    let ends = places.iter().skip(1).map(|&(line, _)| line).chain([source.text.len()]);
    let chunks: Vec<(usize, &str)> =
        places.iter().zip(ends).map(|(&(line, index), end)| (index, &source.text[line..end])).collect();
    let named = |name: &str, text: &str| text.matches(name).count();
    let of = |&(index, own): &(usize, &str)| {
        let kernel = &source.kernels[index];
        let alone = named(&kernel.0, own) == named(&kernel.0, &source.text) && named(PRINTED, common) == 0;
        alone.then(|| Source { text: format!("{common}{own}"), kernels: vec![kernel.clone()] })
    };
    chunks.iter().map(of).collect::<Option<Vec<_>>>().unwrap_or_else(whole)
}

/// The name of a text's machine code in a cache.
pub fn key(source: &Source, architecture: &str) -> String {
    Cache::key(&["nvrtc machine code", architecture, &nvrtc::OPTIONS.join(" "), &source.text])
}

/// The machine code of every text for an architecture, `sm_90` for example, made where the cache does not have it.
///
/// # Errors
/// No compiler on this machine, a text that it refuses, or a folder that cannot be written.
pub fn all(sources: &[&Source], architecture: &str, cache: &Cache) -> Result<Vec<Cached>, Error> {
    let one = |source: &&Source| cache.file(&key(source, architecture), "cubin", made(source, architecture));
    sources.par_iter().map(one).collect()
}

/// As [`all`], and made whatever the cache has.
///
/// # Errors
/// As [`all`].
pub fn afresh(sources: &[&Source], architecture: &str, cache: &Cache) -> Result<Vec<Cached>, Error> {
    let one = |source: &&Source| cache.renewed(&key(source, architecture), "cubin", made(source, architecture));
    sources.par_iter().map(one).collect()
}

/// Writes the machine code of a text.
fn made(source: &Source, architecture: &str) -> impl FnOnce(&Path) -> Result<(), Error> {
    move |path| {
        let code = nvrtc::machine_code(source, architecture)?;
        std::fs::write(path, code).map_err(|error| Error::Missing(format!("{}: {error}", path.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cuda::Style;

    fn source(text: &str, kernels: &[&str]) -> Source {
        let kernels = kernels.iter().map(|name| ((*name).to_owned(), Style::Phased)).collect();
        Source { text: text.into(), kernels }
    }

    #[test]
    fn printed_kernels_are_told_apart_and_nothing_else_is() {
        let text =
            "prelude\nstatic int draws_stage_b[] = {1};\nvoid stage_b() { draws_stage_b; }\nvoid\nstage_a() {}\n";
        let found = parts(&source(text, &["stage_a", "stage_b"]));
        let texts: Vec<&str> = found.iter().map(|part| part.text.as_str()).collect();
        let b = "prelude\nstatic int draws_stage_b[] = {1};\nvoid stage_b() { draws_stage_b; }\nvoid\n";
        assert_eq!(texts, [b, "prelude\nstage_a() {}\n"]);
        assert_eq!(found[0].kernels[0].0, "stage_b");
        // A kernel that another names, one that is named before all, one that is missing, and fixed files.
        for (text, kernels) in [
            ("p\nvoid stage_a() { }\nvoid stage_b() { stage_a(); }\n", ["stage_a", "stage_b"]),
            ("p stage_\nvoid stage_a() { }\nvoid stage_b() { }\n", ["stage_a", "stage_b"]),
            ("p\nvoid stage_a() { }\n", ["stage_a", "stage_b"]),
            ("p\nvoid linear() { }\nvoid place() { }\n", ["linear", "place"]),
        ] {
            let whole = source(text, &kernels);
            assert_eq!(parts(&whole), [whole]);
        }
    }
}
