//! The standard catalog: the campaign of goals that is shipped, and its builder.
//!
//! Every entry is the cheapest program of its goal's front whose bound is tight. The same code gives the same files.

use crate::families::Goal;
use crate::families::goal::input_integer;
use crate::search::{self, Found, Progress, SearchError};
use catalogs::protocol::rss3::Rss3;
use catalogs::{Catalog, CatalogError, Decimal, Format, Function, Norm, Ring, Scale, Window};

/// An entry to be found: a name in the catalog, and what it has to do.
#[derive(Clone, PartialEq, Debug)]
pub struct Item {
    /// The file's stem: the folder is the function's name.
    pub stem: String,
    /// The goal.
    pub goal: Goal,
    /// The family that has to serve it; any if `None`.
    pub family: Option<&'static str>,
}

impl Item {
    /// The entry's name in the catalog.
    pub fn name(&self) -> String {
        format!("{}/{}", self.goal.function, self.stem)
    }
}

/// Why the standard catalog cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum StandardError {
    /// A goal has no front.
    #[error("{name}: {error}")]
    Search {
        /// The item.
        name: String,
        /// What the search said.
        error: SearchError,
    },
    /// A front has no tight program of the wanted family.
    #[error("{0}: no program of the front is tight and of the wanted family")]
    NotTight(String),
    /// A name the catalog refuses.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
}

/// One goal in the campaign's own words: real numbers and digits.
struct Line {
    stem: &'static str,
    function: Function,
    /// Ring bits, input scale, output scale.
    format: (u8, u8, u8),
    /// The window in real numbers, both ends inclusive up to an ulp.
    window: (f64, f64),
    /// Absolute and relative weight, and the accuracy.
    norm: (&'static str, &'static str),
    accuracy: &'static str,
    family: Option<&'static str>,
}

/// |v − f|.
const ABSOLUTE: (&str, &str) = ("1", "0");
/// |v − f| / |f|.
const RELATIVE: (&str, &str) = ("0", "1");
/// For softmax: an eighth of the allowance is absolute, the whole is relative.
const MIXED: (&str, &str) = ("0.125", "1");

#[rustfmt::skip]
fn lines() -> Vec<Line> {
    use Function::{Erf, Exp, Gelu, Reciprocal, Relu, Rsqrt, Sigmoid, Silu, Tanh};
    let line = |stem, function, format, window, norm, accuracy, family| Line {
        stem, function, format, window, norm, accuracy, family,
    };
    let plain = (64, 16, 16);
    vec![
        line("k64-f16-w9-1e-3", Gelu, plain, (-512.0, 512.0), ABSOLUTE, "1e-3", None),
        line("k64-f16-w9-7e-4", Gelu, plain, (-512.0, 512.0), ABSOLUTE, "7e-4", None),
        line("k64-f16-w9-2e-4", Gelu, plain, (-512.0, 512.0), ABSOLUTE, "2e-4", None),
        line("k64-f16-w9-1e-4", Gelu, plain, (-512.0, 512.0), ABSOLUTE, "1e-4", None),
        line("k40-f13-w7-2e-3", Gelu, (40, 13, 13), (-128.0, 128.0), ABSOLUTE, "2e-3", None),
        line("k64-f16-w9-1e-3", Silu, plain, (-512.0, 512.0), ABSOLUTE, "1e-3", None),
        line("k64-f16-w9-2e-4", Silu, plain, (-512.0, 512.0), ABSOLUTE, "2e-4", None),
        line("k64-f16-w9-1e-3", Sigmoid, plain, (-512.0, 512.0), ABSOLUTE, "1e-3", None),
        line("k64-f16-w9-1e-4", Sigmoid, plain, (-512.0, 512.0), ABSOLUTE, "1e-4", None),
        line("k64-f16-w9-1e-3", Tanh, plain, (-512.0, 512.0), ABSOLUTE, "1e-3", None),
        line("k64-f16-w9-1e-4", Tanh, plain, (-512.0, 512.0), ABSOLUTE, "1e-4", None),
        line("k64-f16-w9-1e-3", Erf, plain, (-512.0, 512.0), ABSOLUTE, "1e-3", None),

        line("k64-f16-w9", Relu, plain, (-512.0, 512.0), ABSOLUTE, "1e-9", None),
        line("k64-f16-w14", Relu, plain, (-16384.0, 16384.0), ABSOLUTE, "1e-9", None),
        line("k64-f16-w20", Relu, plain, (-1048576.0, 1048576.0), ABSOLUTE, "1e-9", None),
        line("k40-f13-w9", Relu, (40, 13, 13), (-512.0, 512.0), ABSOLUTE, "1e-9", None),

        line("k64-f16-w10-1e-4", Exp, plain, (-1024.0, 0.0), ABSOLUTE, "1e-4", None),
        line("k64-f16-w10-split-1e-4", Exp, plain, (-1024.0, 0.0), ABSOLUTE, "1e-4", Some("split exponent")),
        line("k40-f13-w10-2e-3", Exp, (40, 13, 13), (-1024.0, 0.0), ABSOLUTE, "2e-3", None),
        line("k64-f16-o24-w10-mixed-2e-5", Exp, (64, 16, 24), (-1024.0, 0.0), MIXED, "2e-5", None),
        line("k64-f16-o24-w15-mixed-2e-5", Exp, (64, 16, 24), (-32768.0, 0.0), MIXED, "2e-5", None),
        line("k64-f16-o24-w10-mixed-2e-6", Exp, (64, 16, 24), (-1024.0, 0.0), MIXED, "2e-6", None),
        line("k64-f16-o24-w12-mixed-2e-6", Exp, (64, 16, 24), (-4096.0, 0.0), MIXED, "2e-6", None),
        line("k64-f16-o24-w15-mixed-2e-6", Exp, (64, 16, 24), (-32768.0, 0.0), MIXED, "2e-6", None),

        line("k64-f24-o26-n16-1e-4", Reciprocal, (64, 24, 26), (0.9, 17.6), RELATIVE, "1e-4", Some("selected newton")),
        line("k64-f24-o26-n16-1e-5", Reciprocal, (64, 24, 26), (0.9, 17.6), RELATIVE, "1e-5", Some("selected newton")),
        line("k64-f24-o26-n64-1e-4", Reciprocal, (64, 24, 26), (0.9, 70.4), RELATIVE, "1e-4", Some("selected newton")),
        line("k64-f24-o28-n64-1e-5", Reciprocal, (64, 24, 28), (0.9, 70.4), RELATIVE, "1e-5", Some("selected newton")),
        line("k64-f24-o26-n256-1e-4", Reciprocal, (64, 24, 26), (0.9, 281.6), RELATIVE, "1e-4", Some("selected newton")),
        line("k64-f24-o26-n1024-2e-4", Reciprocal, (64, 24, 26), (0.9, 1126.4), RELATIVE, "2e-4", Some("selected newton")),
        line("k64-f24-o30-n1024-1e-5", Reciprocal, (64, 24, 30), (0.9, 1126.4), RELATIVE, "1e-5", None),

        line("k64-f24-o20-e-10-10-2e-4", Rsqrt, (64, 24, 20), (0.0009765625, 1024.0), RELATIVE, "2e-4", Some("normalised polynomial")),
        line("k64-f24-o22-e-17-4-2e-4", Rsqrt, (64, 24, 22), (0.00000762939453125, 16.0), RELATIVE, "2e-4", Some("normalised polynomial")),
        line("k64-f24-o22-e-17-10-2e-4", Rsqrt, (64, 24, 22), (0.00000762939453125, 1024.0), RELATIVE, "2e-4", Some("normalised polynomial")),
        line("k64-f24-o24-e-17-16-2e-4", Rsqrt, (64, 24, 24), (0.00000762939453125, 65536.0), RELATIVE, "2e-4", Some("normalised polynomial")),
        // Layer norm with the usual epsilon of 1e-5: the argument is κ·(variance + ε) with κ down to 1/8.
        line("k64-f24-o22-e-20-10-2e-4", Rsqrt, (64, 24, 22), (0.00000095367431640625, 1024.0), RELATIVE, "2e-4", Some("normalised polynomial")),
        line("k64-f24-o22-e-20-14-2e-4", Rsqrt, (64, 24, 22), (0.00000095367431640625, 16384.0), RELATIVE, "2e-4", Some("normalised polynomial")),
    ]
}

/// The campaign, in the order of its list.
pub fn campaign() -> Vec<Item> {
    lines().into_iter().filter_map(item).collect()
}

fn item(line: Line) -> Option<Item> {
    let (ring, scale, output) = line.format;
    let scale = Scale::new(scale)?;
    let (low, high) = (input_integer(line.window.0, scale), input_integer(line.window.1, scale));
    // A window (−2^w, 2^w) is open at both ends; positive ranges and zero are closed.
    let low = if low < 0 { low + 1 } else { low };
    let symmetric = line.window.0 == -line.window.1;
    let goal = Goal {
        function: line.function,
        window: Window { low, high: if symmetric { high - 1 } else { high } },
        fitted: None,
        input: Format { ring: Ring::new(ring)?, scale },
        output_scale: Scale::new(output)?,
        norm: Norm { absolute: Decimal::parse(line.norm.0)?, relative: Decimal::parse(line.norm.1)? },
        accuracy: Decimal::parse(line.accuracy)?,
    };
    Some(Item { stem: line.stem.to_owned(), goal, family: line.family })
}

/// The program that is shipped for an item: the cheapest tight one of its front.
pub fn find(item: &Item, progress: &mut dyn FnMut(Progress)) -> Result<Found, StandardError> {
    let search = |error| StandardError::Search { name: item.name(), error };
    let front = match item.family {
        Some(family) => search::front_of(&item.goal, &Rss3, &|shape| shape.family() == family, progress),
        None => search::front(&item.goal, &Rss3, progress),
    };
    let tight = front.map_err(search)?.into_iter().find(Found::is_tight);
    tight.ok_or_else(|| StandardError::NotTight(item.name()))
}

/// Finds and proves every entry of the campaign. `progress` gets the item's number and name with every report.
pub fn build(progress: &mut dyn FnMut(usize, &str, Progress)) -> Result<Catalog, StandardError> {
    let mut catalog = Catalog::new();
    for (index, item) in campaign().iter().enumerate() {
        let found = find(item, &mut |report| progress(index, &item.name(), report))?;
        catalog.insert(&item.name(), search::publish(&found))?;
    }
    Ok(catalog)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_line_is_an_item_with_its_own_name() {
        let names: BTreeSet<String> = campaign().iter().map(Item::name).collect();
        assert_eq!(names.len(), lines().len());
    }
}
