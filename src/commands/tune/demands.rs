//! What is asked of a plan, on the command line.

use crate::failure::Failure;
use clap::Args;
use runtime::arrays::Arrays;
use runtime::tuner::{Budget, Constraint, Metric};
use std::path::{Path, PathBuf};

/// What is asked where nothing is said.
const ERROR: f64 = 0.01;
const AGREEMENT: f64 = 0.995;

/// Accuracy and costs. Without any, an error of 0.01 and an agreement of 0.995 are asked for; with a limit of seconds or
/// bytes and nothing else, the most accurate plan within it. What is given stands as it is, also where it asks for nothing:
/// with --min-agreement 0 alone the fastest plan is looked for, whatever its error.
#[derive(Args, Default)]
pub struct Demands {
    /// The largest allowed difference of an output from the plain model; half of it is kept in reserve. Where nothing but
    /// --max-memory is asked: 0.01, with an agreement of 0.995.
    #[arg(long, allow_negative_numbers = true, help_heading = "Demands")]
    max_error: Option<f64>,
    /// The least allowed share of inputs that keep the plain model's arg-max even if everything moved twice as far.
    #[arg(long, allow_negative_numbers = true, help_heading = "Demands")]
    min_agreement: Option<f64>,
    /// The least allowed cosine of an input's first output with the plain model's; half of its distance from 1 is kept in
    /// reserve.
    #[arg(long, allow_negative_numbers = true, help_heading = "Demands")]
    min_cosine: Option<f64>,
    /// Labels of the calibration inputs: an .npz with one array of whole numbers, or one that is called label.
    #[arg(long, value_name = "Y.npz", help_heading = "Demands")]
    labels: Option<PathBuf>,
    /// How far the share of inputs whose arg-max is the label may fall below the plain model's; nothing is kept in reserve.
    #[arg(long, allow_negative_numbers = true, help_heading = "Demands", requires = "labels")]
    max_accuracy_loss: Option<f64>,
    /// How far the mean cross-entropy with the labels may rise above the plain model's; nothing is kept in reserve. Where
    /// the model ends with a softmax, its outputs are the probabilities, none less than 1e-7.
    #[arg(
        long,
        allow_negative_numbers = true,
        help_heading = "Demands",
        requires = "labels",
        conflicts_with = "max_accuracy_loss"
    )]
    max_entropy_gain: Option<f64>,
    /// Predicted seconds of a run; of runs side by side those of all divided by their number.
    #[arg(long, allow_negative_numbers = true, help_heading = "Demands")]
    max_seconds: Option<f64>,
    /// Megabytes (10^6) of all parties in a run.
    #[arg(long, allow_negative_numbers = true, help_heading = "Demands")]
    max_megabytes: Option<f64>,
    /// Predicted megabytes (10^6) of one party's memory.
    #[arg(long, allow_negative_numbers = true, help_heading = "Demands")]
    max_memory: Option<f64>,
}

impl Demands {
    /// About accuracy.
    pub fn constraint(&self) -> Result<Constraint, Failure> {
        let none = Constraint::default();
        let numbers = [
            ("max-error", self.max_error),
            ("min-agreement", self.min_agreement),
            ("min-cosine", self.min_cosine),
            ("max-accuracy-loss", self.max_accuracy_loss),
            ("max-entropy-gain", self.max_entropy_gain),
        ];
        numbers.into_iter().try_for_each(|(name, value)| finite(name, value))?;
        within("max-error", self.max_error, |error| error > 0.0, "a positive number")?;
        within("min-agreement", self.min_agreement, |share| (0.0..=1.0).contains(&share), "a share from 0 to 1")?;
        let below_one = |cosine: f64| (-1.0..1.0).contains(&cosine);
        within("min-cosine", self.min_cosine, below_one, "a number from -1 to less than 1, as roundings move outputs")?;
        let accuracy = self.max_accuracy_loss.map(|decrease_max| Metric::Accuracy { decrease_max });
        let entropy = self.max_entropy_gain.map(|increase_max| Metric::CrossEntropy { increase_max });
        let metric = accuracy.or(entropy);
        if let (Some(labels), None) = (&self.labels, metric) {
            return Err(Failure::Input(format!(
                "--labels {}: nothing is asked of them; add --max-accuracy-loss or --max-entropy-gain",
                labels.display()
            )));
        }
        let asked = Constraint {
            error_max: self.max_error.unwrap_or(none.error_max),
            agreement_min: self.min_agreement.unwrap_or(none.agreement_min),
            cosine_min: self.min_cosine.unwrap_or(none.cosine_min),
            metric,
        };
        let is_asked = numbers.iter().any(|(_, value)| value.is_some());
        Ok(match is_asked || self.max_seconds.is_some() || self.max_megabytes.is_some() {
            true => asked,
            false => Constraint { error_max: ERROR, agreement_min: AGREEMENT, ..none },
        })
    }

    /// About costs.
    pub fn budget(&self) -> Result<Budget, Failure> {
        let limit = |name: &str, value: Option<f64>, unit: f64| {
            finite(name, value)?;
            match value {
                Some(value) if value <= 0.0 => Err(Failure::Input(format!("--{name} {value}: take a positive number"))),
                // A number of bytes without end would limit nothing.
                Some(value) if !(value * unit).is_finite() => {
                    Err(Failure::Input(format!("--{name} {value}: take a smaller number")))
                }
                value => Ok(value.map_or(f64::INFINITY, |value| value * unit)),
            }
        };
        Ok(Budget {
            seconds: limit("max-seconds", self.max_seconds, 1.0)?,
            bytes: limit("max-megabytes", self.max_megabytes, 1e6)?,
            memory: limit("max-memory", self.max_memory, 1e6)?,
            ..Budget::default()
        })
    }

    /// The file that holds the labels.
    pub fn labels_file(&self) -> Option<&Path> {
        self.labels.as_deref()
    }

    /// Reads the labels.
    pub fn labels(&self) -> Result<Option<Vec<usize>>, Failure> {
        let Some(path) = &self.labels else { return Ok(None) };
        let fail = |reason: String| Failure::Input(format!("{}: {reason}", path.display()));
        let arrays = Arrays::read(path).map_err(Failure::input)?;
        let names = arrays.names();
        let name = match names[..] {
            [name] => name,
            _ => *names.iter().find(|name| ["label", "labels"].contains(*name)).ok_or_else(|| {
                fail(format!("holds {} arrays, of which none is called label; labels are whole numbers", names.len()))
            })?,
        };
        let tensor = arrays.reals(name).map_err(|error| fail(error.to_string()))?;
        if !matches!(tensor.shape[..], [_] | [_, 1]) {
            let shape = &tensor.shape;
            return Err(fail(format!("array '{name}' has shape {shape:?}; labels are one whole number an input")));
        }
        let whole = |&value: &f64| match (0.0..1e9).contains(&value) && value.fract() == 0.0 {
            true => Ok(value as usize),
            false => Err(fail(format!("{value} is no label; labels are whole numbers from 0"))),
        };
        tensor.data.iter().map(whole).collect::<Result<_, _>>().map(Some)
    }
}

/// Refuses a number of which an option can make nothing.
fn within(name: &str, value: Option<f64>, is_one: impl Fn(f64) -> bool, ones: &str) -> Result<(), Failure> {
    match value.filter(|value| !is_one(*value)) {
        Some(value) => Err(Failure::Input(format!("--{name} {value}: take {ones}"))),
        None => Ok(()),
    }
}

/// Refuses what is no number or has no end: a limit that is not meant is left out.
fn finite(name: &str, value: Option<f64>) -> Result<(), Failure> {
    match value.filter(|value| !value.is_finite()) {
        Some(value) => Err(Failure::Input(format!(
            "--{name} {value}: take a finite number, or leave the option out where nothing is limited"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message<T>(outcome: Result<T, Failure>) -> String {
        match outcome {
            Err(Failure::Input(message)) => message,
            _ => panic!("not refused as bad input"),
        }
    }

    #[test]
    fn what_is_given_is_never_replaced() {
        let default = Demands::default().constraint().unwrap();
        assert_eq!((default.error_max, default.agreement_min), (ERROR, AGREEMENT));
        for demands in [
            Demands { min_agreement: Some(0.0), ..Demands::default() },
            Demands { min_cosine: Some(-1.0), ..Demands::default() },
            Demands { max_seconds: Some(1.0), ..Demands::default() },
        ] {
            assert!(!demands.constraint().unwrap().asks());
        }
        // A limit of memory says nothing of accuracy, and is no budget to use up.
        let memory = Demands { max_memory: Some(1.0), ..Demands::default() };
        assert_eq!(memory.constraint().unwrap(), default);
    }

    #[test]
    fn no_demand_is_without_end() {
        for value in [f64::INFINITY, f64::NEG_INFINITY, f64::NAN] {
            let value = Some(value);
            let accuracy = [
                Demands { max_error: value, ..Demands::default() },
                Demands { min_agreement: value, ..Demands::default() },
                Demands { min_cosine: value, ..Demands::default() },
                Demands { max_accuracy_loss: value, ..Demands::default() },
                Demands { max_entropy_gain: value, ..Demands::default() },
            ];
            for demands in accuracy {
                assert!(message(demands.constraint()).contains("take a finite number"));
            }
            let costs = [
                Demands { max_seconds: value, ..Demands::default() },
                Demands { max_megabytes: value, ..Demands::default() },
                Demands { max_memory: value, ..Demands::default() },
            ];
            for demands in costs {
                assert!(message(demands.budget()).contains("take a finite number"));
            }
        }
        // 1e400 is no double.
        assert_eq!("1e400".parse::<f64>(), Ok(f64::INFINITY));
    }

    #[test]
    fn labels_are_for_something() {
        let demands = Demands { labels: Some("y.npz".into()), ..Demands::default() };
        assert!(message(demands.constraint()).contains("add --max-accuracy-loss or --max-entropy-gain"));
    }
}
