//! The front of a tuning as a picture: predicted seconds against predicted and measured errors.

use super::front::standalone;
use super::markup::element;
use super::numbers::significant;
use super::svg::{Frame, Scale, dot, label, path};
use runtime::plan::Plan;
use runtime::tuner::{Front, Point};

const FRAME: Frame = Frame { width: 860.0, height: 400.0, left: 86.0, top: 40.0, right: 40.0, bottom: 60.0 };

/// A file of its own.
pub fn picture(plan: &Plan, front: &Front) -> String {
    let measured = |point: &Point| point.measured.as_ref().map(|verdict| verdict.error);
    let errors = front.points.iter().flat_map(|point| [Some(point.error), measured(point)]).flatten();
    let positive: Vec<f64> = errors.filter(|error| *error > 0.0 && error.is_finite()).collect();
    let (low, high) = ends(positive.iter().copied(), 1e-6);
    let (least, most) = ends(front.points.iter().map(|point| point.seconds), 1.0);
    let room = ((most - least) * 0.06).max(least * 0.01);
    let x = FRAME.x(Scale::Linear, (least - room).max(0.0), most + room);
    let y = FRAME.y(Scale::Logarithmic, low / 2.0, high * 2.0);
    let title = format!("{}, {} inputs a run, {}", plan.model.name, plan.model.batch, plan.predicted.network);
    let place = |point: &Point, error: f64| (x.at(point.seconds), y.within(error.max(low / 2.0)));
    let mut svg = FRAME
        .svg("output error against predicted seconds")
        .with(label(FRAME.left, 20.0, "Output error (vertical) against predicted seconds of a run").class("strong"))
        .with(FRAME.axes(&x, &y))
        .with(path(front.points.iter().map(|point| place(point, point.error)), false).class("front"));
    for point in &front.points {
        let note =
            element("title").text(format!("predicted: {} s, {:.2e}", significant(point.seconds, 4), point.error));
        let (column, row) = place(point, point.error);
        svg = svg.with(dot(column, row, 3.0).class("point some").with(note));
        let Some(error) = measured(point) else { continue };
        let (column, row) = place(point, error);
        let note = element("title").text(format!("measured: {error:.2e}"));
        svg = svg.with(dot(column, row, 5.5).class(if point.chosen { "point many" } else { "point few" }).with(note));
        if point.chosen {
            let text = format!("the plan: {} s, measured {error:.1e}", significant(point.seconds, 3));
            // On the side where there is room.
            let left = column > FRAME.width / 2.0;
            let (place, anchor) = if left { (column - 10.0, "end") } else { (column + 10.0, "start") };
            svg = svg.with(label(place, row + 18.0, &text).class("strong").set("text-anchor", anchor));
        }
    }
    let words =
        "line and small dots: predicted, the sites' effects added up; large dots: measured on the calibration set";
    let svg = svg.with(label(FRAME.left, FRAME.height - 14.0, words));
    standalone(&title, vec![(svg, FRAME.height)])
}

/// The least and the greatest; around `other` where there is none.
fn ends(values: impl Iterator<Item = f64>, other: f64) -> (f64, f64) {
    let (low, high) = values.fold((f64::INFINITY, 0.0f64), |(low, high), value| (low.min(value), high.max(value)));
    if low <= high { (low, high) } else { (other, other) }
}
