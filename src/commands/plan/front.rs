//! The front of a tuning: plans that nothing beats at seconds and predicted error, as a table.

use crate::report::table;
use runtime::tuner::{Front, Gap, Point};

/// The table. Predicted errors add up the sites' effects, without and with their signs; measured ones are what the
/// calibration set showed, with the share of answers that stay and that would stay with twice the movement.
pub fn text(front: &Front) -> String {
    let row = |point: &Point| {
        let measured = point.measured.as_ref();
        vec![
            format!("{:.4}", point.seconds),
            format!("{:.2e}", point.error),
            point.expected.map_or(String::new(), |error| format!("{error:.2e}")),
            measured.map_or("not simulated".into(), |verdict| format!("{:.2e}", verdict.error)),
            measured.map_or(String::new(), |verdict| format!("{:.4}", verdict.agreement)),
            measured.map_or(String::new(), |verdict| format!("{:.4}", verdict.steady)),
            if point.chosen { "the plan".into() } else { String::new() },
        ]
    };
    let rows: Vec<Vec<String>> = front.points.iter().map(row).collect();
    let mut out = String::new();
    if rows.len() > 1 {
        out.push_str(&table(
            &[">predicted s", ">predicted error", ">with signs", ">measured", ">agreement", ">moved twice", ""],
            &rows,
        ));
    }
    // One plan that was taken as it came is the best of nothing.
    if rows.len() > 1 {
        let (share, least) = match front.gap {
            Gap::Seconds(share) => (share, "seconds of any choice with this predicted error"),
            Gap::Error(share) => (share, "predicted error of any choice within the budget"),
        };
        let prices = "by the prices of its sites, in one ring and whole rounds";
        out.push_str(&format!("optimality: at most {:.2} % above the least {least}, {prices}\n", 100.0 * share));
    }
    if let Some(seconds) = front.refused_seconds {
        let refused = "does not meet the demands with what is kept in reserve";
        out.push_str(&format!("the next faster choice that was simulated, {seconds:.4} s, {refused}\n"));
    }
    for excluded in &front.excluded {
        out.push_str(&format!("cannot be proved together, left out: {excluded}\n"));
    }
    out
}
