//! Errors of best approximations that other tools found: Sollya's for polynomials, an independent exchange's for fractions.
//!
//! The figures lie in `synth/golden` with the scripts that wrote them. Where Sollya is installed it can be asked afresh.

use crate::best::Shape;
use rug::{Float, Rational};
use std::io::Write;
use std::process::{Command, Stdio};

const POLYNOMIALS: &str = include_str!("../golden/remez.txt");
const FRACTIONS: &str = include_str!("../golden/rational.txt");
const SCRIPT: &str = include_str!("../golden/remez.sollya");
/// Bits of the errors as they are read.
const PRECISION: u32 = 160;

/// A function on an interval, degrees, and the least error there.
#[derive(Clone, Debug, PartialEq)]
pub struct Golden {
    /// A name that [`crate::expression::Expression::parse`] knows.
    pub function: String,
    /// Lower end.
    pub low: Rational,
    /// Upper end.
    pub high: Rational,
    /// The degrees.
    pub shape: Shape,
    /// The largest error of the best approximation, to 16 digits or more.
    pub error: Float,
}

/// What Sollya answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The case, with the error of this answer.
    pub golden: Golden,
    /// What Sollya took for it, in its own measure.
    pub seconds: f64,
}

/// The 120 polynomials.
pub fn polynomials() -> Vec<Golden> {
    POLYNOMIALS.lines().filter_map(|line| read(line, false).map(|(golden, _)| golden)).collect()
}

/// The fractions.
pub fn fractions() -> Vec<Golden> {
    FRACTIONS.lines().filter_map(|line| read(line, true).map(|(golden, _)| golden)).collect()
}

/// A line of `function low high degree(s) error` and what follows.
fn read(line: &str, is_fraction: bool) -> Option<(Golden, Option<f64>)> {
    let mut words = line.split_whitespace();
    let function = words.next()?.to_owned();
    let (low, high) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let degree = words.next()?.parse().ok()?;
    let shape = match is_fraction {
        true => Shape::Rational(degree, words.next()?.parse().ok()?),
        false => Shape::Polynomial(degree),
    };
    let error = Float::with_val(PRECISION, Float::parse(words.next()?).ok()?);
    let seconds = words.next().and_then(|word| word.parse().ok());
    Some((Golden { function, low, high, shape, error }, seconds))
}

/// Sollya's fits of the polynomials that `select` chooses, now; `None` if Sollya cannot be run here.
pub fn ask_sollya(select: impl Fn(&Golden) -> bool) -> Option<Vec<Answer>> {
    ask("compare", select)
}

/// The same with Sollya's certified norm of its fit, and the time of that certification alone.
pub fn ask_sollya_for_proofs(select: impl Fn(&Golden) -> bool) -> Option<Vec<Answer>> {
    ask("prove", select)
}

fn ask(procedure: &str, select: impl Fn(&Golden) -> bool) -> Option<Vec<Answer>> {
    let (definitions, calls) = SCRIPT.split_at(SCRIPT.find("compare(\"")?);
    let mut script = definitions.to_owned();
    for (call, golden) in calls.lines().zip(polynomials()) {
        if select(&golden) {
            script += &call.replacen("compare", procedure, 1);
            script.push('\n');
        }
    }
    let mut child = Command::new("sollya")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .arg("--warnonstderr")
        .spawn()
        .ok()?;
    child.stdin.take()?.write_all(script.as_bytes()).ok()?;
    let output = child.wait_with_output().ok()?;
    let answers = String::from_utf8_lossy(&output.stdout).into_owned();
    let answer = |line| {
        let (golden, seconds) = read(line, false)?;
        Some(Answer { golden, seconds: seconds? })
    };
    Some(answers.lines().filter_map(answer).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_read_and_every_call_has_its_line() {
        assert_eq!(polynomials().len(), POLYNOMIALS.lines().count());
        assert_eq!(fractions().len(), FRACTIONS.lines().count());
        let calls = SCRIPT.lines().filter(|line| line.starts_with("compare(\""));
        for (call, golden) in calls.clone().zip(polynomials()) {
            let Shape::Polynomial(degree) = golden.shape else { panic!("{golden:?}") };
            let end = format!("{}, {}, {degree});", golden.low, golden.high);
            assert!(call.contains(&format!("\"{}\"", golden.function)) && call.ends_with(&end), "{call}");
        }
        assert_eq!(calls.count(), 120);
        assert!(read("exp -1 1 three 0.1", false).is_none() && read("", false).is_none());
    }
}
