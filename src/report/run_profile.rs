//! Where a run's rounds, bytes and seconds went, node by node of the model: a table and a picture.

use super::front::standalone;
use super::markup::Element;
use super::numbers::significant;
use super::svg::{Frame, label, line, rectangle};
use super::table;
use crate::commands::party::GroupRow;

/// Rows of the picture and of the table; what takes least is put together.
const ROWS: usize = 44;
const LINE: f64 = 19.0;
const FRAME: Frame = Frame { width: 860.0, height: 0.0, left: 290.0, top: 42.0, right: 16.0, bottom: 30.0 };
/// Of a panel's width, what is left for the number behind the longest bar.
const NUMBER: f64 = 68.0;

/// The parties' profiles as one: the seconds of a party on average.
pub fn together(parties: &[&[GroupRow]]) -> Vec<GroupRow> {
    let Some((first, others)) = parties.split_first() else { return Vec::new() };
    let mut rows = first.to_vec();
    for (row, index) in rows.iter_mut().zip(0..) {
        for other in others.iter().filter_map(|rows| rows.get(index)) {
            row.computing_seconds += other.computing_seconds;
            row.waiting_seconds += other.waiting_seconds;
        }
        row.computing_seconds /= parties.len() as f64;
        row.waiting_seconds /= parties.len() as f64;
    }
    rows
}

/// What of a row is drawn: rounds, bytes, seconds of computing and of waiting; all of all runs.
fn amounts(row: &GroupRow, runs: u64) -> [f64; 4] {
    [f64::from(row.rounds) * runs as f64, row.bytes as f64 * runs as f64, row.computing_seconds, row.waiting_seconds]
}

fn totals(rows: &[GroupRow], runs: u64) -> [f64; 4] {
    rows.iter().map(|row| amounts(row, runs)).fold([0.0; 4], |sum, row| std::array::from_fn(|i| sum[i] + row[i]))
}

/// The rows in their order; those with the least shares of everything as one at the end.
fn folded(rows: &[GroupRow], runs: u64) -> Vec<GroupRow> {
    let total = totals(rows, runs);
    let weight = |row: &GroupRow| {
        let parts = amounts(row, runs);
        (0..4).map(|i| parts[i] / total[i].max(f64::MIN_POSITIVE)).fold(0.0, f64::max)
    };
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by(|&a, &b| weight(&rows[b]).total_cmp(&weight(&rows[a])));
    // Less than a thousandth of everything is no row of its own either.
    let mut kept: Vec<usize> = order.into_iter().take(ROWS).filter(|&index| weight(&rows[index]) >= 1e-3).collect();
    kept.sort_unstable();
    let mut shown: Vec<GroupRow> = kept.iter().map(|&index| rows[index].clone()).collect();
    let rest: Vec<&GroupRow> =
        rows.iter().enumerate().filter(|(index, _)| !kept.contains(index)).map(|(_, row)| row).collect();
    if !rest.is_empty() {
        shown.push(GroupRow {
            name: format!("{} others", rest.len()),
            kind: String::new(),
            is_site: false,
            rounds: rest.iter().map(|row| row.rounds).sum(),
            bytes: rest.iter().map(|row| row.bytes).sum(),
            computing_seconds: rest.iter().map(|row| row.computing_seconds).sum(),
            waiting_seconds: rest.iter().map(|row| row.waiting_seconds).sum(),
        });
    }
    shown
}

/// The table.
pub fn text(rows: &[GroupRow], runs: u64) -> String {
    let total = totals(rows, runs);
    let share =
        |part: f64, total: f64| if total > 0.0 { format!("{:.1}", 100.0 * part / total) } else { String::new() };
    let cells = |name: &str, kind: &str, parts: [f64; 4]| {
        vec![
            name.to_owned(),
            kind.to_owned(),
            format!("{:.0}", parts[0]),
            format!("{:.1}", parts[1] / 1024.0),
            share(parts[1], total[1]),
            format!("{:.4}", parts[2]),
            share(parts[2], total[2]),
            format!("{:.4}", parts[3]),
            share(parts[3], total[3]),
        ]
    };
    let mut lines: Vec<Vec<String>> = folded(rows, runs)
        .iter()
        .map(|row| cells(&row.name, if row.is_site { &row.kind } else { "" }, amounts(row, runs)))
        .collect();
    lines.push(cells("all", "", total));
    let header = ["node", "site", ">rounds", ">KiB", ">%", ">computing s", ">%", ">waiting s", ">%"];
    format!(
        "where it went, all runs: bytes of all parties; seconds of the clock of one party on average, waiting shared by \
         bytes where messages share a round\n{}",
        table(&header, &lines)
    )
}

/// The picture: three panels side by side over the same rows.
pub fn picture(title: &str, rows: &[GroupRow], runs: u64) -> String {
    let shown = folded(rows, runs);
    let total = totals(rows, runs);
    let height = FRAME.top + FRAME.bottom + LINE * shown.len() as f64;
    let frame = Frame { height, ..FRAME };
    let width = (frame.width - frame.left - frame.right) / 3.0;
    let parts: Vec<[f64; 4]> = shown.iter().map(|row| amounts(row, runs)).collect();
    let mut svg = frame.svg(title);
    for (index, row) in shown.iter().enumerate() {
        let middle = frame.top + LINE * (index as f64 + 0.5) + 4.0;
        let name = shortened(row);
        let text = label(frame.left - 10.0, middle, &name).set("text-anchor", "end");
        svg = svg.with(if row.is_site { text.class("site") } else { text });
    }
    let heads = [
        format!("{} rounds", significant(total[0], 6)),
        bytes(total[1]),
        format!("{} s + {} s waiting", significant(total[2], 3), significant(total[3], 3)),
    ];
    for (panel, head) in heads.iter().enumerate() {
        let left = frame.left + width * panel as f64;
        let values: Vec<Vec<f64>> =
            parts.iter().map(|parts| if panel < 2 { vec![parts[panel]] } else { parts[2..].to_vec() }).collect();
        svg = svg.with(label(left, frame.top - 12.0, head).class("strong"));
        svg = draw(svg, left, width, &frame, &values, panel);
    }
    let bottom = height - 8.0;
    let keys =
        [("load", "rounds, bytes of all parties, local steps of one"), ("wait", "waiting for messages, one party")];
    for (index, (class, text)) in keys.into_iter().enumerate() {
        let x = frame.left + 320.0 * index as f64;
        svg = svg.with(rectangle(x, bottom - 9.0, 12.0, 10.0).class(class)).with(label(x + 18.0, bottom, text));
    }
    standalone(title, vec![(svg, height)])
}

fn draw(mut svg: Element, left: f64, width: f64, frame: &Frame, values: &[Vec<f64>], panel: usize) -> Element {
    let largest = values.iter().map(|parts| parts.iter().sum::<f64>()).fold(f64::MIN_POSITIVE, f64::max);
    let unit = (width - NUMBER - 10.0) / largest;
    svg = svg.with(line(left, frame.top, left, frame.height - frame.bottom).class("axis"));
    for (index, parts) in values.iter().enumerate() {
        let top = frame.top + LINE * index as f64;
        let mut x = left + 1.0;
        for (part, class) in parts.iter().zip(["load", "wait"]) {
            svg = svg.with(rectangle(x, top + 3.0, part * unit, LINE - 6.0).class(class));
            x += part * unit;
        }
        let sum: f64 = parts.iter().sum();
        if sum > 0.0 {
            let number = match panel {
                0 => significant(sum, 6),
                1 => bytes(sum),
                _ => seconds(sum),
            };
            svg = svg.with(label(x + 5.0, top + LINE / 2.0 + 4.0, &number));
        }
    }
    svg
}

/// A row's name and what it computes, as long as there is room: the end of a long name tells more than its start.
fn shortened(row: &GroupRow) -> String {
    const ROOM: usize = 40;
    let text = if row.kind.is_empty() { row.name.clone() } else { format!("{} ({})", row.name, row.kind) };
    let length = text.chars().count();
    if length <= ROOM { text } else { format!("…{}", text.chars().skip(length - ROOM + 1).collect::<String>()) }
}

fn bytes(value: f64) -> String {
    match value {
        ..1e3 => format!("{value:.0} B"),
        ..1e6 => format!("{:.1} kB", value / 1e3),
        _ => format!("{:.2} MB", value / 1e6),
    }
}

fn seconds(value: f64) -> String {
    if value < 1.0 { format!("{:.1} ms", value * 1e3) } else { format!("{value:.2} s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::markup::well_formed;

    fn row(name: &str, bytes: u64, seconds: f64) -> GroupRow {
        GroupRow {
            name: name.into(),
            kind: "gelu".into(),
            is_site: bytes > 0,
            rounds: 3,
            bytes,
            computing_seconds: seconds,
            waiting_seconds: seconds / 2.0,
        }
    }

    #[test]
    fn nothing_is_lost_when_parties_and_rows_are_put_together() {
        let rows: Vec<GroupRow> =
            (0..200).map(|index| row(&format!("node {index}"), index * 7, index as f64 * 1e-3)).collect();
        let both = together(&[&rows, &rows, &rows]);
        assert!((both[9].computing_seconds - 9e-3).abs() < 1e-12 && (both[9].waiting_seconds - 4.5e-3).abs() < 1e-12);
        let shown = folded(&both, 2);
        assert!(shown.len() == ROWS + 1 && shown.last().is_some_and(|row| row.name.ends_with("others")));
        let (all, some) = (totals(&both, 2), totals(&shown, 2));
        assert!((0..4).all(|i| (all[i] - some[i]).abs() < 1e-9 * all[i]), "{all:?} {some:?}");
        let text = text(&both, 2);
        assert!(text.lines().last().is_some_and(|line| line.starts_with("all") && line.contains("1200")), "{text}");
    }

    #[test]
    fn the_picture_is_well_formed_and_escapes_names() {
        let drawn = picture("a < b", &[row("x & <y>", 10, 1.0), row("empty", 0, 0.0)], 1);
        assert_eq!(well_formed(&drawn), Ok(()));
        assert!(drawn.contains("x &amp; &lt;y") && drawn.contains("s waiting"));
        assert_eq!(well_formed(&picture("nothing", &[], 0)), Ok(()));
    }
}
