//! Where another system's functions reach: the ranges that are proved of a model's arguments beside the windows on which
//! entries are certified.

use crate::failure::Failure;
use catalogs::{Catalog, Entry, ParseError, Published};
use runtime::graph::Graph;
use runtime::plan::{ChoiceRecord, Plan, node_number};
use runtime::tuner::{Groundwork, Request};
use std::collections::{BTreeMap, BTreeSet};

/// What an argument of a site's function is proved to lie in.
#[derive(Clone, Debug)]
pub struct Needed {
    /// The site's name.
    pub site: String,
    /// The function.
    pub function: String,
    /// Elements of a row.
    pub row: usize,
    /// In real units.
    pub range: [f64; 2],
}

/// An entry of another system.
#[derive(Clone, Debug)]
pub struct Offered {
    /// FUNCTION/STEM.
    pub name: String,
    /// The same, published.
    pub published: Published,
    window: [f64; 2],
    /// Constant and relative part of the certified error.
    parts: [f64; 2],
}

/// Entries by function.
pub type Functions = BTreeMap<String, Vec<Offered>>;

/// The entries whose stems have one of the prefixes.
pub fn of_system(peers: &Catalog, prefixes: &[&str]) -> Result<Functions, ParseError> {
    let mut functions = Functions::new();
    for (name, published) in peers.iter() {
        let (function, stem) = name.split_once('/').unwrap_or((name, name));
        if !prefixes.iter().any(|prefix| stem.starts_with(prefix)) {
            continue;
        }
        let entry = Entry::parse(&published.entry)?;
        let unit = f64::from(entry.program.input().1.bits()).exp2();
        functions.entry(function.to_owned()).or_default().push(Offered {
            name: name.to_owned(),
            published: published.clone(),
            window: [entry.claim.window.low, entry.claim.window.high].map(|end| end as f64 / unit),
            parts: [entry.claim.absolute_part(), entry.claim.relative_part()].map(|part| part.to_f64().value()),
        });
    }
    Ok(functions)
}

/// The proved ranges of the arguments of a plan of the request's model.
pub fn needed(groundwork: &Groundwork, request: &Request<'_>, plan: &Plan) -> Result<Vec<Needed>, Failure> {
    let limits = groundwork.limits(request, plan).map_err(Failure::input)?;
    let graph = Graph::import_with(request.model, &request.axes.for_batch(1)).map_err(Failure::input)?;
    let rows: BTreeMap<u32, usize> =
        graph.sites().iter().map(|site| (node_number(site.node), site.row_length)).collect();
    let limits = limits.into_iter().filter_map(|limit| {
        let function = limit.what.strip_prefix("argument of ")?.to_owned();
        let row = rows.get(&limit.site?).copied().unwrap_or(1);
        Some(Needed { site: limit.name, function, row, range: limit.range })
    });
    Ok(limits.collect())
}

/// Names of a choice's entries.
pub fn entries(choice: &ChoiceRecord) -> Vec<&str> {
    match choice {
        ChoiceRecord::Unary { entry } => vec![&entry.name],
        ChoiceRecord::Softmax { exp, reciprocal, .. } | ChoiceRecord::SoftmaxWithoutMaximum { exp, reciprocal, .. } => {
            vec![&exp.name, &reciprocal.name]
        }
        ChoiceRecord::Normalisation { rsqrt, .. } => vec![&rsqrt.name],
        ChoiceRecord::Maximum { .. } => Vec::new(),
    }
}

/// The function of an entry's name.
pub fn function(name: &str) -> &str {
    name.split_once('/').map_or(name, |(function, _)| function)
}

impl Offered {
    /// Where it is certified, in real units.
    pub fn window(&self) -> [f64; 2] {
        self.window
    }

    /// Why it cannot serve an argument, if it cannot.
    fn obstacle(&self, needed: &Needed) -> Option<String> {
        let [low, high] = self.window;
        let [least, greatest] = needed.range;
        let at = format!("{} at {}", needed.function, needed.site);
        // What is least of a variance or of a sum of exponentials follows from the entry itself.
        let reaches = match needed.function.as_str() {
            "rsqrt" | "reciprocal" => greatest <= high,
            _ => low <= least && greatest <= high,
        };
        if !reaches {
            return Some(format!("{at} is proved for {low:.6} to {high:.6}, needed {least:.6} to {greatest:.6}"));
        }
        let [absolute, relative] = self.parts;
        let lost = needed.row as f64 * absolute + relative;
        (needed.function == "exp" && lost >= 1.0)
            .then(|| format!("{at} has a certified error that may make the sum of {} of them vanish", needed.row))
    }
}

/// How far a system's entries of one function reach.
pub struct Reach {
    /// Sites that one of them serves.
    pub served: BTreeSet<String>,
    /// Sites with the function.
    pub all: usize,
    /// Why the others are not served, of the widest argument.
    pub obstacle: Option<String>,
}

/// Which sites of a function the entries serve.
pub fn reach(needed: &[Needed], function: &str, offered: &[Offered]) -> Reach {
    let own = || needed.iter().filter(|needed| needed.function == function);
    let mut reach = Reach { served: BTreeSet::new(), all: own().count(), obstacle: None };
    let mut widest = 0.0;
    for needed in own() {
        let obstacles: Option<Vec<String>> = offered.iter().map(|offered| offered.obstacle(needed)).collect();
        match obstacles {
            Some(obstacles) => {
                let width = needed.range[1] - needed.range[0];
                // The entry of the widest window says what is missing.
                let order = |&index: &usize| offered[index].window[1] - offered[index].window[0];
                let best = (0..offered.len()).max_by(|a, b| order(a).total_cmp(&order(b)));
                if width >= widest {
                    (widest, reach.obstacle) = (width, best.map(|best| obstacles[best].clone()));
                }
            }
            None => drop(reach.served.insert(needed.site.clone())),
        }
    }
    reach
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog_folder;
    use std::path::Path;

    fn needed(site: &str, function: &str, row: usize, range: [f64; 2]) -> Needed {
        Needed { site: site.into(), function: function.into(), row, range }
    }

    #[test]
    fn what_does_not_reach_is_named_with_both_windows() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("catalogs/peers/ported/entries");
        let peers = catalog_folder::open(&folder).unwrap();
        let crypten = of_system(&peers, &["crypten-"]).unwrap();
        let all = [
            needed("near", "exp", 32, [-400.0, 0.0]),
            needed("far", "exp", 32, [-4178.0, 0.0]),
            needed("wide", "rsqrt", 384, [1e-6, 3812.0]),
        ];
        let exp = reach(&all, "exp", &crypten["exp"]);
        assert_eq!((exp.served.len(), exp.all), (1, 2));
        let obstacle = exp.obstacle.unwrap();
        assert!(obstacle.contains("far") && obstacle.contains("-500") && obstacle.contains("-4178"), "{obstacle}");
        let rsqrt = reach(&all, "rsqrt", &crypten["rsqrt"]);
        assert!(rsqrt.served.is_empty() && rsqrt.obstacle.unwrap().contains("3812"));
        // A long row of an exponential whose error adds up to the whole sum.
        let long = [needed("long", "exp", 1 << 20, [-1.0, 0.0])];
        assert!(reach(&long, "exp", &crypten["exp"]).obstacle.unwrap().contains("vanish"));
    }
}
