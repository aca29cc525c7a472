//! What the bench found: a row for every way to choose, and where ours is ahead.

use crate::report::{table, ways};
use runtime::graph::Graph;
use runtime::plan::Plan;
use runtime::transport::SideBySide;
use runtime::tuner::{Attempt, Tuned};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Seconds that differ by less are level: what two sessions of one plan differ by.
const SAME_SECONDS: f64 = 0.03;
/// Errors that differ by a smaller factor are level: roundings are fresh in every run.
const SAME_ERROR: f64 = 1.5;

/// One way to choose.
#[derive(Serialize)]
pub struct Row {
    /// Which.
    pub name: String,
    /// Plans that it simulated.
    pub simulated: usize,
    /// Whose functions it has, where that is not ours at all sites.
    pub shares: Vec<Share>,
    /// What a reader has to know besides.
    pub notes: Vec<String>,
    /// What it gave, or why it gave nothing.
    pub outcome: Result<Outcome, String>,
}

/// A function, and at how many of its sites it is another system's.
#[derive(Clone, Serialize)]
pub struct Share {
    /// The function.
    pub function: String,
    /// Sites with the system's.
    pub theirs: usize,
    /// All sites with it.
    pub sites: usize,
    /// The sites with ours.
    pub ours: Vec<String>,
}

impl Share {
    /// The function and the sites.
    fn text(&self) -> String {
        match self.theirs == self.sites {
            true => self.function.clone(),
            false => format!("{} at {} of {} sites", self.function, self.theirs, self.sites),
        }
    }
}

/// A plan and what its runs showed.
#[derive(Serialize)]
pub struct Outcome {
    /// Whether it meets the constraint, and if not why.
    pub unmet: Vec<String>,
    /// Rounds of one run.
    pub rounds: u64,
    /// Bytes of one run.
    pub bytes: u64,
    /// Runs side by side.
    pub side_by_side: SideBySide,
    /// Predicted seconds of one run; of several side by side those of all divided by their number.
    pub predicted_seconds: f64,
    /// The median of the sessions, per run.
    pub seconds: Option<f64>,
    /// On the calibration set.
    pub simulated_error: f64,
    /// On the inputs of the runs.
    pub error: Option<f64>,
    /// On the inputs of the runs.
    pub agreement: Option<f64>,
    /// The plan.
    #[serde(skip)]
    pub plan: Plan,
    /// The public structure that it is about.
    #[serde(skip)]
    pub structure: String,
    /// The folder of its catalog, if it is not the command's.
    #[serde(skip)]
    pub catalog: Option<PathBuf>,
}

/// The report.
#[derive(Serialize)]
pub struct Report {
    /// The model.
    pub model: String,
    /// The network.
    pub network: String,
    /// What a reader has to know of the model.
    pub caption: Option<String>,
    /// Runs of every plan.
    pub runs: u8,
    /// The ways, ours first.
    pub rows: Vec<Row>,
    /// Where ours is ahead and where not.
    pub verdict: Vec<String>,
}

impl Row {
    /// A way that gave a plan.
    pub fn new(name: &str, simulated: usize, attempt: Attempt) -> Row {
        let Attempt { plan, structure, verdict, unmet, .. } = attempt;
        Row::of(name, simulated, (plan, &structure), verdict.error, unmet)
    }

    /// A plan that the tuner found.
    pub fn tuned(name: &str, tuned: Tuned) -> Row {
        let Tuned { plan, structure, .. } = tuned;
        let (simulated, error) = (plan.measured.candidates_tried, plan.measured.error);
        Row::of(name, simulated, (plan, &structure), error, Vec::new())
    }

    fn of(
        name: &str,
        simulated: usize,
        (plan, structure): (Plan, &Graph),
        simulated_error: f64,
        unmet: Vec<String>,
    ) -> Row {
        let predicted = &plan.predicted;
        let outcome = Outcome {
            unmet,
            rounds: predicted.rounds_per_run,
            bytes: predicted.bytes_per_run,
            side_by_side: plan.model.side_by_side,
            predicted_seconds: predicted.seconds_per_run,
            seconds: None,
            simulated_error,
            error: None,
            agreement: None,
            structure: structure.to_json(),
            catalog: None,
            plan,
        };
        Row { name: name.into(), simulated, shares: Vec::new(), notes: Vec::new(), outcome: Ok(outcome) }
    }

    /// A way that gave none.
    pub fn without(name: &str, reason: String) -> Row {
        Row { name: name.into(), simulated: 0, shares: Vec::new(), notes: Vec::new(), outcome: Err(reason) }
    }
}

impl Outcome {
    /// Measured where there were runs, otherwise predicted.
    fn time(&self) -> f64 {
        self.seconds.unwrap_or(self.predicted_seconds)
    }

    /// The largest that was seen, in simulations and runs.
    fn worst(&self) -> f64 {
        self.simulated_error.max(self.error.unwrap_or(0.0))
    }
}

/// Where the first of the rows is ahead of the others in seconds and in the largest error seen, and where not.
pub fn verdict(rows: &[Row]) -> Vec<String> {
    let Some((own, others)) = rows.split_first() else { return Vec::new() };
    let Ok(ours) = &own.outcome else { return vec![format!("{} gave no plan", own.name)] };
    let mut groups: [(&str, Vec<String>); 7] = [
        ("ahead on both axes of", Vec::new()),
        ("ahead on one axis, level on the other, of", Vec::new()),
        ("level on both axes with", Vec::new()),
        ("faster and less accurate than", Vec::new()),
        ("NOT faster, though more accurate, than", Vec::new()),
        ("NOT ahead on any axis of", Vec::new()),
        ("equal in its choices to", Vec::new()),
    ];
    for row in others {
        let Ok(outcome) = &row.outcome else { continue };
        let seconds = outcome.time() / ours.time();
        let error = match (outcome.worst(), ours.worst()) {
            (theirs, own) if theirs == own => 1.0,
            (theirs, own) => theirs / own,
        };
        let faster = if (seconds - 1.0).abs() <= SAME_SECONDS { 0 } else { (seconds > 1.0) as i8 * 2 - 1 };
        let closer = if (1.0 / SAME_ERROR..=SAME_ERROR).contains(&error) { 0 } else { (error > 1.0) as i8 * 2 - 1 };
        let group = match (faster, closer) {
            _ if is_same_choice(&outcome.plan, &ours.plan) => 6,
            (1, 1) => 0,
            (1, 0) | (0, 1) => 1,
            (0, 0) => 2,
            (1, -1) => 3,
            (-1, 1) => 4,
            _ => 5,
        };
        let text = match group {
            6 => row.name.clone(),
            _ => format!("{} ({seconds:.2} × the seconds, {} × the error)", row.name, plain(error)),
        };
        groups[group].1.push(text);
    }
    let line = |(what, names): &(&str, Vec<String>)| format!("{} is {what} {}", own.name, names.join(", "));
    let mut lines: Vec<String> = groups.iter().filter(|(_, names)| !names.is_empty()).map(line).collect();
    if let Some(missing) = none(others) {
        lines.push(missing);
    }
    lines.push(format!(
        "level: seconds within {:.0} %, the largest errors seen within a factor of {SAME_ERROR}",
        100.0 * SAME_SECONDS
    ));
    lines
}

/// Whether plans differ in rings and parts of rounds at most, and their runs are executed alike.
fn is_same_choice(a: &Plan, b: &Plan) -> bool {
    let bits = |plan: &Plan| (plan.formats.activations, plan.formats.weights);
    let choices = |plan: &Plan| plan.site.iter().map(|site| site.choice.clone()).collect::<Vec<_>>();
    let runs = |plan: &Plan| (plan.model.clamps.clone(), plan.model.side_by_side);
    bits(a) == bits(b) && choices(a) == choices(b) && runs(a) == runs(b)
}

/// The ways that gave no plan.
fn none(rows: &[Row]) -> Option<String> {
    let names: Vec<&str> = rows.iter().filter(|row| row.outcome.is_err()).map(|row| row.name.as_str()).collect();
    (!names.is_empty()).then(|| format!("no plan to compare with: {}", names.join(", ")))
}

fn plain(ratio: f64) -> String {
    if (0.1..1000.0).contains(&ratio) { format!("{ratio:.2}") } else { format!("{ratio:.1e}") }
}

/// Columns; `calibration` and `error` are the largest errors on the calibration inputs and in the runs.
const HEADER: [&str; 11] = [
    "plan",
    ">rounds",
    ">MB",
    ">side by side",
    ">predicted s",
    ">s",
    ">of tuned",
    ">calibration",
    ">error",
    ">agreement",
    ">simulated",
];

/// The table without columns in which there is nothing: names and rows.
type Columns = (Vec<String>, Vec<Vec<String>>);

impl Report {
    fn cells(&self) -> Vec<Vec<String>> {
        let own = self.rows.first().and_then(|row| row.outcome.as_ref().ok());
        let optional =
            |value: Option<f64>, digits: usize| value.map_or(String::new(), |value| format!("{value:.digits$}"));
        let row = |row: &Row| {
            let outcome = row.outcome.as_ref().ok()?;
            let ratio = own.map(|own| outcome.time() / own.time());
            let failed = if outcome.unmet.is_empty() { "" } else { " *" };
            Some(vec![
                format!("{}{failed}", row.name),
                outcome.rounds.to_string(),
                format!("{:.2}", outcome.bytes as f64 / 1e6),
                Some(outcome.side_by_side).filter(|runs| !runs.is_one()).map_or(String::new(), |runs| runs.to_string()),
                format!("{:.3}", outcome.predicted_seconds),
                optional(outcome.seconds, 3),
                optional(ratio, 2),
                format!("{:.2e}", outcome.simulated_error),
                outcome.error.map_or(String::new(), |error| format!("{error:.2e}")),
                optional(outcome.agreement, 4),
                row.simulated.to_string(),
            ])
        };
        self.rows.iter().filter_map(row).collect()
    }

    fn columns(&self) -> Columns {
        let cells = self.cells();
        let filled = |column: &usize| cells.iter().any(|row| !row[*column].is_empty());
        let kept: Vec<usize> = (0..HEADER.len()).filter(filled).collect();
        let rows = cells.iter().map(|row| kept.iter().map(|&column| row[column].clone()).collect());
        (kept.iter().map(|&column| HEADER[column].to_owned()).collect(), rows.collect())
    }

    /// A line for every way with functions that are not ours.
    fn functions(&self) -> Vec<String> {
        let line = |row: &Row| {
            let own = row.shares.iter().filter(|share| share.theirs > 0).map(Share::text).collect::<Vec<_>>();
            let ours = row.shares.iter().any(|share| share.theirs < share.sites);
            let rest = if ours { "; elsewhere ours stand" } else { "" };
            format!("{}: its own {}{rest}", row.name, own.join(", "))
        };
        self.rows.iter().filter(|row| !row.shares.is_empty()).map(line).collect()
    }

    /// The same as a table: a header and a row a way.
    fn function_table(&self) -> Vec<Vec<String>> {
        let with = || self.rows.iter().filter(|row| !row.shares.is_empty());
        let names: BTreeSet<&str> = with().flat_map(|row| &row.shares).map(|share| share.function.as_str()).collect();
        if names.is_empty() {
            return Vec::new();
        }
        let header = ["system"].into_iter().chain(names.iter().copied()).map(str::to_owned).collect();
        let row = |row: &Row| {
            let cell = |name: &&str| {
                let share = row.shares.iter().find(|share| share.function == **name);
                share.map_or(String::new(), |share| format!("{} of {}", share.theirs, share.sites))
            };
            [row.name.clone()].into_iter().chain(names.iter().map(cell)).collect()
        };
        [header].into_iter().chain(with().map(row)).collect()
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        for row in &self.rows {
            match &row.outcome {
                Err(reason) => notes.push(format!("{}: no plan: {reason}", row.name)),
                Ok(outcome) if !outcome.unmet.is_empty() => {
                    let also = match row.shares.is_empty() {
                        true => "",
                        false => ", with those of its variants that are predicted to be most accurate",
                    };
                    let unmet = outcome.unmet.join("; ");
                    notes.push(format!("* {} does not meet the constraint{also}: {unmet}", row.name));
                }
                Ok(_) => {}
            }
            notes.extend(row.notes.iter().map(|note| format!("{}: {note}", row.name)));
        }
        notes
    }

    /// As text.
    pub fn text(&self) -> String {
        let (header, rows) = self.columns();
        let header: Vec<&str> = header.iter().map(String::as_str).collect();
        let caption = self.caption.iter().cloned();
        let below = self.functions().into_iter().chain(self.verdict.iter().cloned()).chain(self.notes());
        let below: String = below.map(|line| format!("{line}\n")).collect();
        let above: String = [self.title()].into_iter().chain(caption).map(|line| format!("{line}\n")).collect();
        format!("{above}{}{below}", table(&header, &rows))
    }

    fn title(&self) -> String {
        format!("{} under {}", self.model, self.network)
    }

    /// For a picture and a page.
    pub fn shown(&self) -> ways::Shown {
        let point = |(index, row): (usize, &Row)| {
            let outcome = row.outcome.as_ref().ok()?;
            let kind = match index {
                _ if !outcome.unmet.is_empty() => ways::Kind::Refused,
                0 => ways::Kind::Ours,
                _ if row.name.starts_with("(c)") => ways::Kind::Theirs,
                _ => ways::Kind::Baseline,
            };
            Some(ways::Way { name: row.name.clone(), seconds: outcome.time(), error: outcome.worst(), kind })
        };
        let measured = if self.runs > 0 {
            format!("measured, the median of {}", self.runs)
        } else {
            "predicted: nothing was run".into()
        };
        let (header, rows) = self.columns();
        ways::Shown {
            title: self.title(),
            caption: self.caption.clone(),
            functions: self.function_table(),
            horizontal: format!("seconds of a run, {measured}"),
            vertical: match self.runs {
                0 => "largest error of an output, in simulations".into(),
                _ => "largest error of an output that was seen, in simulations and runs".into(),
            },
            points: self.rows.iter().enumerate().filter_map(point).collect(),
            header,
            rows,
            verdict: self.verdict.clone(),
            notes: self.notes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, seconds: f64, error: f64, clamped: bool) -> Row {
        let mut plan = Plan::parse(include_str!("../../../../examples/plans/digits_cnn.plan.toml")).unwrap();
        if clamped {
            plan.site.clear();
        }
        let outcome = Outcome {
            unmet: Vec::new(),
            rounds: 1,
            bytes: 1,
            side_by_side: SideBySide::ONE,
            predicted_seconds: seconds,
            seconds: None,
            simulated_error: error,
            error: None,
            agreement: None,
            plan,
            structure: String::new(),
            catalog: None,
        };
        Row { name: name.into(), simulated: 1, shares: Vec::new(), notes: Vec::new(), outcome: Ok(outcome) }
    }

    /// Every side on which another way can lie is said, and none of them flatters.
    #[test]
    fn what_is_not_ahead_is_said() {
        let rows = [
            row("tuned", 1.0, 1e-3, false),
            row("a", 2.0, 1e-2, true),
            row("b", 2.0, 1e-5, true),
            row("c", 0.5, 1e-2, true),
            row("d", 0.5, 1e-5, true),
            row("e", 1.0, 1e-3, false),
            row("f", 1.01, 1e-3, true),
            row("g", 1.5, 1.1e-3, true),
            Row::without("h", "nothing".into()),
        ];
        let said = verdict(&rows);
        let has = |what: &str, name: &str| said.iter().any(|line| line.contains(what) && line.contains(name));
        assert!(has("is ahead on both axes of", " a (2.00"));
        assert!(has("faster and less accurate than", " b (2.00"));
        assert!(has("NOT faster, though more accurate", " c (0.50"));
        assert!(has("NOT ahead on any axis", " d (0.50"));
        assert!(has("equal in its choices to", " e"));
        assert!(has("level on both axes", " f (1.01"));
        assert!(has("ahead on one axis, level on the other", " g (1.50"));
        assert!(has("no plan to compare with", "h"));
    }

    fn share(function: &str, theirs: usize, sites: usize) -> Share {
        let ours = (theirs..sites).map(|index| format!("site {index}")).collect();
        Share { function: function.into(), theirs, sites, ours }
    }

    /// Rows have short names; whose functions they have, what fails and why is below the table, complete.
    #[test]
    fn functions_and_refusals_are_told_below_the_table() {
        let mut partial = row("(c) A", 2.0, 1e-2, true);
        partial.shares = vec![share("exp", 4, 6), share("gelu", 6, 6), share("tanh", 0, 1)];
        partial.notes = vec!["exp: ours at 2 of 6 sites: too wide".into()];
        let whole = Row { shares: vec![share("exp", 6, 6), share("gelu", 6, 6)], ..row("(c) B", 2.0, 1e-2, true) };
        let mut rows = vec![row("tuned", 1.0, 1e-3, false), partial, whole, Row::without("(c) C", "none".into())];
        if let Ok(outcome) = &mut rows[1].outcome {
            outcome.unmet = vec!["error 1e-2".into()];
        }
        let verdict = verdict(&rows);
        let (model, network, caption) = ("m".into(), "lan".into(), Some("random weights".into()));
        let report = Report { model, network, caption, runs: 0, rows, verdict };
        let text = report.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..2], ["m under lan", "random weights"]);
        let header = "plan     rounds    MB  predicted s  of tuned  calibration  simulated";
        assert_eq!(lines[2], header, "columns without numbers are left out");
        assert!(lines[3..6].iter().all(|line| line.chars().count() == header.len()), "{text}");
        assert!(lines[4].starts_with("(c) A *  ") && lines[5].starts_with("(c) B    "));
        assert_eq!(lines[6], "(c) A: its own exp at 4 of 6 sites, gelu; elsewhere ours stand");
        assert_eq!(lines[7], "(c) B: its own exp, gelu");
        assert!(lines[8..].iter().any(|line| line.starts_with("* (c) A does not meet the constraint, with those")));
        assert!(lines[8..].contains(&"(c) A: exp: ours at 2 of 6 sites: too wide"));
        assert!(lines[8..].contains(&"(c) C: no plan: none"));
        let page = report.shown().page();
        for cell in ["4 of 6", "6 of 6", "0 of 1", "random weights", "ours at 2 of 6 sites: too wide"] {
            assert!(page.contains(cell), "{cell}");
        }
        assert!(!page.contains("agreement"));
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json.pointer("/rows/1/shares/0/theirs"), Some(&4.into()));
        assert_eq!(json.pointer("/rows/1/shares/0/ours/1"), Some(&"site 5".into()));
        assert_eq!(json.pointer("/caption"), Some(&"random weights".into()));
    }
}
