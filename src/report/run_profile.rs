//! Where a run's rounds, bytes and seconds went, node by node of the model: a table and a picture.

use super::bars::{self, Name, Panel, bytes};
use super::front::standalone;
use super::numbers::significant;
use super::table;
use crate::commands::party::GroupRow;

/// Rows of the picture and of the table; what takes least is put together.
const ROWS: usize = 44;

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
    let parts: Vec<[f64; 4]> = shown.iter().map(|row| amounts(row, runs)).collect();
    let name = |row: &GroupRow| {
        let kind = if row.kind.is_empty() { String::new() } else { format!(" ({})", row.kind) };
        Name { text: format!("{}{kind}", row.name), strong: row.is_site }
    };
    let one = |part: usize| parts.iter().map(|parts| vec![parts[part]]).collect();
    let panels = [
        Panel {
            head: format!("{} rounds", significant(total[0], 6)),
            values: one(0),
            number: |rounds| significant(rounds, 6),
        },
        Panel { head: bytes(total[1]), values: one(1), number: bytes },
        Panel {
            head: format!("{} s + {} s waiting", significant(total[2], 3), significant(total[3], 3)),
            values: parts.iter().map(|parts| parts[2..].to_vec()).collect(),
            number: seconds,
        },
    ];
    let keys = ["rounds, bytes of all parties, local steps of one", "waiting for messages, one party"];
    let names: Vec<Name> = shown.iter().map(name).collect();
    standalone(title, vec![bars::chart(title, &names, &panels, &keys)])
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
