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
use runtime::plan::InputPromise;
use runtime::tuner::leading;

impl RequestOptions {
    /// The arguments that must be limited, where that was asked for, or if `kept` says so.
    pub(super) fn clamps(
        &self,
        kept: bool,
        model: &[u8],
        graph: &Graph,
        calibration: &[Tensor],
        promise: &InputPromise,
        catalog: &Catalog,
    ) -> Result<Vec<Needed>, Failure> {
        if let Some(factor) = self.cut.filter(|factor| !(factor.is_finite() && *factor >= 1.0)) {
            return Err(Failure::Input(format!("--cut {factor}: give a factor of at least 1")));
        }
        if !kept && self.cut.is_none() {
            return Ok(Vec::new());
        }
        let formats = self.formats.formats()?;
        let count = calibration.iter().map(|tensor| tensor.shape[0]).min().unwrap_or(1).min(self.simulate.max(1));
        let inputs: Vec<Tensor> = calibration.iter().map(|tensor| leading(tensor, 0, count)).collect();
        let many = inspect::import(&self.model, model, &self.open.axes(count)?)?;
        let mut observed = Observed::new(&many);
        observed.run(&many, &inputs).map_err(Failure::input)?;
        let boxes: Vec<InputRange> = graph
            .inputs()
            .iter()
            .map(|(name, _)| promise.of(name))
            .map(|bound| InputRange::uniform(bound.low, bound.high))
            .collect();
        let windows = widest_windows(catalog, formats);
        let request = clamps::Request {
            boxes: &boxes,
            observed: &observed.of_another_batch(graph),
            reach: &|function| windows.iter().find(|(own, _)| *own == function).map(|(_, window)| *window),
            cut: self.cut,
            scale: formats.activations.bits(),
            width_max: formats.ring.bits() - 2,
        };
        clamps::needed(graph, &request).map_err(|error| Failure::Input(format!("{}: {error}", self.model.display())))
    }
}

/// The widest windows of the functions' entries whose formats fit, in real numbers.
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
