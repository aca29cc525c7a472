//! Asking solvers: the linked Z3, and any `z3` or `cvc5` command on the path.

use super::{Expected, Query};
use crate::EvidenceError;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;
use z3::{Params, SatResult, Solver};

/// A solver's answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// There is no solution.
    Unsat,
    /// There is one.
    Sat,
    /// The solver gave up, for this reason.
    Unknown(String),
}

/// The linked solver and its version.
pub fn linked_solver() -> String {
    format!("Z3 {}", z3::full_version().trim_start_matches("Z3 "))
}

impl Verdict {
    /// `unsat`, `sat` or `unknown`.
    pub fn word(&self) -> &'static str {
        match self {
            Verdict::Unsat => "unsat",
            Verdict::Sat => "sat",
            Verdict::Unknown(_) => "unknown",
        }
    }

    /// Whether this is the answer that confirms a query.
    pub fn confirms(&self, expected: Expected) -> bool {
        matches!((self, expected), (Verdict::Unsat, Expected::Unsat) | (Verdict::Sat, Expected::Sat))
    }
}

/// Asks the linked Z3, which gives up after `timeout`.
pub fn prove(query: &Query, timeout: Duration) -> Result<Verdict, EvidenceError> {
    let error = |reason: &str| EvidenceError::Solver { name: query.name.clone(), reason: reason.into() };
    if query.smtlib.contains('\0') {
        return Err(error("a zero byte in the text"));
    }
    let logic = query.logic().ok_or_else(|| error("the text does not begin with its logic"))?;
    let solver = Solver::new_for_logic(logic).ok_or_else(|| error("the linked Z3 does not know its logic"))?;
    let mut parameters = Params::new();
    parameters.set_u32("timeout", u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX));
    solver.set_params(&parameters);
    solver.from_string(query.smtlib.as_str());
    // A text that Z3 cannot parse leaves nothing asserted, which would be 'sat'.
    let asserted = solver.get_assertions().len();
    let written = query.smtlib.lines().filter(|line| line.starts_with("(assert ")).count();
    if asserted != written || written == 0 {
        return Err(error(&format!("Z3 read {asserted} of {written} assertions; the text is not valid SMT-LIB")));
    }
    Ok(match solver.check() {
        SatResult::Unsat => Verdict::Unsat,
        SatResult::Sat => Verdict::Sat,
        SatResult::Unknown => Verdict::Unknown(solver.get_reason_unknown().unwrap_or_default()),
    })
}

/// A solver command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct External {
    /// `z3` or `cvc5`.
    pub name: &'static str,
    /// Where it is, or `None` if it is not on the path: say so loudly.
    pub path: Option<PathBuf>,
}

/// The solver commands that could be asked, present or not.
pub fn externals() -> Vec<External> {
    let folders: Vec<PathBuf> =
        std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
    ["z3", "cvc5"]
        .map(|name| External {
            name,
            path: folders.iter().map(|folder| folder.join(name)).find(|candidate| candidate.is_file()),
        })
        .into()
}

/// Asks a solver command; it gets the query's file on its standard input.
pub fn prove_externally(solver: &External, query: &Query, timeout: Duration) -> Result<Verdict, EvidenceError> {
    let error = |reason: String| EvidenceError::Solver { name: query.name.clone(), reason };
    let path = solver.path.as_ref().ok_or_else(|| error(format!("'{}' is not on the path", solver.name)))?;
    let mut command = Command::new(path);
    match solver.name {
        "z3" => command.args(["-in".to_owned(), format!("-T:{}", timeout.as_secs().max(1))]),
        _ => command.args(["--lang=smt2".to_owned(), format!("--tlimit={}", timeout.as_millis()), "-".to_owned()]),
    };
    let mut run = || -> std::io::Result<std::process::Output> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(query.file_text().as_bytes())?;
        }
        child.wait_with_output()
    };
    let output = run().map_err(|source| error(format!("'{}' did not run: {source}", solver.name)))?;
    let answer = String::from_utf8_lossy(&output.stdout);
    Ok(match answer.lines().next().unwrap_or("").trim() {
        "unsat" => Verdict::Unsat,
        "sat" => Verdict::Sat,
        other => Verdict::Unknown(other.chars().take(200).collect()),
    })
}
