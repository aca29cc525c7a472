//! Arguments that have to be limited, because no entry's window reaches as far as they are proved to.

use super::RequestOptions;
use crate::commands::inspect;
use crate::failure::Failure;
use catalogs::protocol::rss3::EXECUTED_BITS;
use catalogs::{Catalog, Entry};
use runtime::circuit::lower::{Formats, catalog_function};
use runtime::graph::clamps::{self, Needed};
use runtime::graph::observed::Observed;
use runtime::graph::ranges::InputRange;
use runtime::graph::{Function, Graph, Tensor};
use runtime::tuner::{Request, leading};

/// What is known of a model's arguments in whichever formats it runs.
struct Known {
    /// The inputs' promised ranges.
    boxes: Vec<InputRange>,
    /// What the calibration set shows.
    observed: Observed,
}

impl RequestOptions {
    /// The arguments that must be limited for a run in the formats that are tuned in, without the narrowest rings if no
    /// comparison there reaches as far as is proved: tuning says why there is no plan in them.
    pub(super) fn clamps_for_most(
        &self,
        graph: &Graph,
        request: &Request<'_>,
        catalog: &Catalog,
    ) -> Result<Vec<Needed>, Failure> {
        let mut formats = self.formats.each(request)?;
        let known = self.known(graph, request)?;
        loop {
            let clamps = self.needed(graph, &known, (catalog, &formats));
            let narrowest = formats.iter().map(|formats| formats.ring).min();
            let wider: Vec<Formats> = formats.into_iter().filter(|formats| Some(formats.ring) > narrowest).collect();
            if clamps.is_ok() || wider.is_empty() {
                return clamps;
            }
            formats = wider;
        }
    }

    /// The arguments that must be limited for a run in the request's formats.
    #[cfg(feature = "generate")]
    pub(super) fn clamps(
        &self,
        graph: &Graph,
        request: &Request<'_>,
        catalog: &Catalog,
    ) -> Result<Vec<Needed>, Failure> {
        self.needed(graph, &self.known(graph, request)?, (catalog, &[request.formats]))
    }

    fn known(&self, graph: &Graph, request: &Request<'_>) -> Result<Known, Failure> {
        if let Some(factor) = self.cut.filter(|factor| !(factor.is_finite() && *factor >= 1.0)) {
            return Err(Failure::Input(format!("--cut {factor}: give a factor of at least 1")));
        }
        let Request { model, calibration, promise, .. } = request;
        let count = calibration.iter().map(|tensor| tensor.shape[0]).min().unwrap_or(1).min(self.simulate.max(1));
        let inputs: Vec<Tensor> = calibration.iter().map(|tensor| leading(tensor, 0, count)).collect();
        let many = inspect::import(&self.model, model, &self.open.axes(count)?)?;
        let mut observed = Observed::new(&many);
        observed.run(&many, &inputs).map_err(Failure::input)?;
        let boxes = graph
            .inputs()
            .iter()
            .map(|(name, _)| promise.of(name))
            .map(|bound| InputRange::uniform(bound.low, bound.high))
            .collect();
        Ok(Known { boxes, observed: observed.of_another_batch(graph) })
    }

    /// The arguments that must be limited for a run in any of these formats: in all of them the model is the same.
    fn needed(
        &self,
        graph: &Graph,
        known: &Known,
        (catalog, formats): (&Catalog, &[Formats]),
    ) -> Result<Vec<Needed>, Failure> {
        let windows = common_windows(catalog, formats);
        let request = clamps::Request {
            boxes: &known.boxes,
            observed: &known.observed,
            reach: &|function| windows.iter().find(|(own, _)| *own == function).map(|(_, window)| *window),
            cut: self.cut,
            scale: formats.iter().map(|formats| formats.activations.bits()).max().unwrap_or(0),
            width_max: formats.iter().map(|formats| formats.ring.bits() - 2).min().unwrap_or(0),
        };
        clamps::needed(graph, &request).map_err(|error| Failure::Input(format!("{}: {error}", self.model.display())))
    }
}

/// The windows within which functions are served in all formats that have entries of them, in real numbers.
fn common_windows(catalog: &Catalog, formats: &[Formats]) -> Vec<(Function, [f64; 2])> {
    let mut common: Vec<(Function, [f64; 2])> = Vec::new();
    for (function, window) in formats.iter().flat_map(|&formats| widest_windows(catalog, formats)) {
        match common.iter_mut().find(|(own, _)| *own == function) {
            Some((_, known)) => *known = [known[0].max(window[0]), known[1].min(window[1])],
            None => common.push((function, window)),
        }
    }
    common
}

/// The widest windows of the functions' entries whose formats fit, in real numbers. Entries with scales of their own, as
/// of logarithms, do not: bounds of clamps are integers, and what they are about lies below one as well.
fn widest_windows(catalog: &Catalog, formats: Formats) -> Vec<(Function, [f64; 2])> {
    let mut widest: Vec<(Function, [f64; 2])> = Vec::new();
    // What is wrong with an entry the tuner says, which proves each before it is taken.
    let entries = catalog.iter().filter_map(|(_, published)| Entry::parse(&published.entry).ok());
    for entry in entries {
        let (ring, scale) = entry.program.input();
        let output = entry.program.output();
        let executed = entry.program.widest_ring().bits() <= EXECUTED_BITS && ring <= formats.ring;
        let fits = executed && scale == formats.activations && output == (formats.ring, formats.activations);
        let function =
            Function::ALL.into_iter().find(|&own| catalog_function(own).as_ref() == Some(&entry.claim.function));
        let Some(function) = function.filter(|_| fits) else { continue };
        let real = |bound: i64| bound as f64 / f64::from(scale.bits()).exp2();
        let window = [real(entry.claim.window.low), real(entry.claim.window.high)];
        match widest.iter_mut().find(|(own, _)| *own == function) {
            Some((_, known)) if window[1] - window[0] > known[1] - known[0] => *known = window,
            Some(_) => {}
            None => widest.push((function, window)),
        }
    }
    widest
}

#[cfg(test)]
mod tests {
    use super::*;
    use catalogs::{Ring, Scale};
    use std::path::Path;

    /// A window that only one of the formats has would be left in the others.
    #[test]
    fn a_window_is_one_of_all_formats_that_serve_the_function() {
        let lenet = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/lenet");
        let catalog = Catalog::open(&lenet.join("catalogs"), &lenet.join("proofs")).unwrap();
        let formats = |ring: u8, bits: u8| {
            let scale = Scale::new(bits).unwrap();
            Formats { ring: Ring::new(ring).unwrap(), activations: scale, weights: scale }
        };
        let relu = |formats: &[Formats]| {
            let windows = common_windows(&catalog, formats);
            windows.into_iter().find(|(function, _)| *function == Function::Relu).map(|(_, window)| window)
        };
        let [narrow, wide, none] = [formats(32, 9), formats(40, 13), formats(64, 16)];
        assert_eq!(relu(&[none]), None);
        let [one, other] = [relu(&[narrow]).unwrap(), relu(&[wide]).unwrap()];
        let both = relu(&[none, narrow, wide]).unwrap();
        assert_eq!(both, [one[0].max(other[0]), one[1].min(other[1])]);
        assert!(both[0] < 0.0 && both[1] > 0.0);
    }
}
