//! What the sites of a model see on given inputs: the observed counterpart of [`super::ranges`].

use super::error::Error;
use super::operator::{Operator, Window};
use super::ranges::{Interval, SiteRange, masked_positions};
use super::reference::{self, for_each_in_window, moments};
use super::tensor::Tensor;
use super::{Graph, Node, NodeId};

/// Ranges seen so far; grows with every run.
#[derive(Clone, Debug)]
pub struct Observed {
    sites: Vec<(NodeId, Option<SiteRange>)>,
}

impl Observed {
    /// Nothing seen yet.
    pub fn new(graph: &Graph) -> Observed {
        Observed { sites: graph.sites().into_iter().map(|site| (site.node, None)).collect() }
    }

    /// Runs the reference on the inputs and takes in what the sites see; returns the model's outputs.
    pub fn run(&mut self, graph: &Graph, inputs: &[Tensor]) -> Result<Vec<Tensor>, Error> {
        reference::run(graph, inputs, &mut |id, value| self.record(graph, id, value))
    }

    /// Takes in the value of one node; made to be called from an observer of [`reference::run`].
    pub fn record(&mut self, graph: &Graph, id: NodeId, value: &Tensor) {
        for (site, range) in &mut self.sites {
            let node = graph.node(*site);
            if node.inputs[0] == id {
                let seen = seen(graph, node, value);
                *range = Some(range.and_then(|range| range.hull(seen)).unwrap_or(seen));
            }
        }
    }

    /// The same for the model imported for another batch, whose sites are the same in number and order.
    pub fn of_another_batch(&self, graph: &Graph) -> Observed {
        let sites = graph.sites().into_iter().zip(&self.sites);
        Observed { sites: sites.map(|(site, &(_, range))| (site.node, range)).collect() }
    }

    /// What every site saw, in topological order; empty before the first run.
    pub fn sites(&self) -> impl Iterator<Item = (NodeId, SiteRange)> {
        self.sites.iter().filter_map(|(id, range)| range.map(|range| (*id, range)))
    }
}

fn hull(values: impl IntoIterator<Item = f64>) -> Interval {
    let points = values.into_iter().map(|value| Interval::new(value, value));
    points.reduce(Interval::hull).unwrap_or_else(|| Interval::new(0.0, 0.0))
}

fn seen(graph: &Graph, node: &Node, value: &Tensor) -> SiteRange {
    let input = hull(value.data.iter().copied());
    match &node.operator {
        Operator::Softmax => softmax(graph, node, value),
        Operator::LayerNorm { .. } => {
            let rows: Vec<(f64, f64)> = value.rows().map(moments).collect();
            let centred = value.rows().zip(&rows).flat_map(|(row, (mean, _))| row.iter().map(move |x| x - mean));
            SiteRange::Normalisation {
                input,
                centred: hull(centred),
                variance: hull(rows.iter().map(|(_, variance)| *variance)),
            }
        }
        Operator::MaxPool { window } => {
            SiteRange::Maximum { input, difference: window_difference(value, window, &node.shape) }
        }
        _ => SiteRange::Activation { input },
    }
}

fn softmax(graph: &Graph, node: &Node, value: &Tensor) -> SiteRange {
    let masked = masked_positions(graph, node);
    let length = value.row_length();
    let (mut inputs, mut below, mut sums) = (Vec::new(), Vec::new(), Vec::new());
    for (index, row) in value.rows().enumerate() {
        let free =
            |position: &usize| masked.as_ref().is_none_or(|masked| masked.data[index * length + position] == 0.0);
        let free: Vec<f64> = (0..length).filter(free).map(|position| row[position]).collect();
        let maximum = free.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        below.extend(free.iter().map(|logit| logit - maximum));
        sums.push(free.iter().map(|logit| (logit - maximum).exp()).sum());
        inputs.extend(free);
    }
    let below_maximum = hull(below);
    let difference = Interval::new(below_maximum.lower, -below_maximum.lower);
    SiteRange::Softmax { input: hull(inputs), below_maximum, difference, denominator: hull(sums) }
}

fn window_difference(value: &Tensor, window: &Window, shape: &[usize]) -> Interval {
    let mut hulls: Vec<Option<Interval>> = vec![None; shape.iter().product()];
    for_each_in_window(&value.shape, window, shape, |position, source| {
        let point = hull([value.data[source]]);
        hulls[position] = Some(hulls[position].map_or(point, |known| known.hull(point)));
    });
    let widest = hulls.iter().flatten().map(|hull| hull.upper - hull.lower).fold(0.0, f64::max);
    Interval::new(-widest, widest)
}
