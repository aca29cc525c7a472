//! What a user asks of a plan: how close to the plain model, and how much it may cost.
//!
//! Every demand on accuracy is one-sided: a plan that does better is never refused. Errors and cosines must keep a
//! [`GUARD`] on the calibration set, because a private run sees other inputs, and an input counts as agreeing where twice
//! its movement would not change the answer; what is compared with labels is compared as it is.

use super::Verdict;
use super::exclusion::megabytes;
use crate::plan::Predicted;

/// A measured error must stay below this share of what is allowed.
const GUARD: f64 = 0.5;

/// How close to the plain model a plan has to be, on the calibration set. Nothing is asked by default.
#[derive(Clone, PartialEq, Debug)]
pub struct Constraint {
    /// The largest allowed difference of an output element.
    pub error_max: f64,
    /// The least allowed share of inputs whose arg-max is the plain model's, and would be if everything moved twice as far.
    pub agreement_min: f64,
    /// The least allowed cosine of an input's first output with the plain model's.
    pub cosine_min: f64,
    /// How much worse than the plain model's the metric may be; asks for labels.
    pub metric: Option<Metric>,
}

/// What is compared with labels: how much worse it may become.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Metric {
    /// The share of inputs whose arg-max is the label.
    Accuracy {
        /// Largest allowed decrease.
        decrease_max: f64,
    },
    /// The mean of −ln of the label's softmax.
    CrossEntropy {
        /// Largest allowed increase.
        increase_max: f64,
    },
}

/// The place of the largest of some scores, of equal ones the first.
pub fn arg_max(scores: &[f64]) -> Option<usize> {
    let places = 0..scores.len();
    places.reduce(|best, place| if scores[place].total_cmp(&scores[best]).is_gt() { place } else { best })
}

/// What one run may cost. Nothing is asked by default.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Budget {
    /// Predicted seconds of a run; of runs side by side those of all divided by their number.
    pub seconds: f64,
    /// Bytes of all parties.
    pub bytes: f64,
    /// Predicted bytes of memory of one party.
    pub memory: f64,
    /// Probability that any truncation of the run fails, where entries are chosen that may.
    pub failure: f64,
}

/// What the elements of a model's first output are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answers {
    /// Scores, of which a softmax would make probabilities.
    Scores,
    /// Probabilities: the model ends with a softmax.
    Probabilities,
}

impl Answers {
    /// No probability counts as less, so that one that is rounded to nothing costs ln 10⁷ = 16.1 and not everything.
    const PROBABILITY_MIN: f64 = 1e-7;

    /// −ln of the probability of a label in a row.
    fn cross_entropy(self, row: &[f64], label: usize) -> f64 {
        match self {
            Answers::Scores => {
                let highest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = row.iter().map(|score| (score - highest).exp()).sum();
                sum.ln() + highest - row.get(label).copied().unwrap_or(f64::NEG_INFINITY)
            }
            Answers::Probabilities => -row.get(label).copied().unwrap_or(0.0).max(Self::PROBABILITY_MIN).ln(),
        }
    }
}

impl Default for Constraint {
    fn default() -> Constraint {
        Constraint { error_max: f64::INFINITY, agreement_min: 0.0, cosine_min: -1.0, metric: None }
    }
}

impl Default for Budget {
    fn default() -> Budget {
        // 2^−40: a failure that nobody will see.
        let none = f64::INFINITY;
        Budget { seconds: none, bytes: none, memory: none, failure: (-40f64).exp2() }
    }
}

impl Budget {
    /// Whether seconds or bytes are limited: the most accurate plan inside is then asked for, if accuracy is not.
    pub fn limits_cost(&self) -> bool {
        self.seconds.is_finite() || self.bytes.is_finite()
    }

    /// What of the budget a run exceeds, in words.
    pub fn exceeded(&self, predicted: &Predicted) -> Vec<String> {
        let memory = predicted.memory_bytes.unwrap_or(0) as f64;
        let mut over = Vec::new();
        if predicted.seconds_per_run > self.seconds {
            over.push(format!("{:.3} s, at most {:.3}", predicted.seconds_per_run, self.seconds));
        }
        if predicted.bytes_per_run as f64 > self.bytes {
            over.push(format!("{} bytes, at most {}", predicted.bytes_per_run, self.bytes));
        }
        if memory > self.memory {
            over.push(format!("{} of memory, at most {}", megabytes(memory), megabytes(self.memory)));
        }
        over
    }

    /// What is limited, in words, but for failures.
    pub fn limits(&self) -> String {
        let finite = |limit: f64, text: String| limit.is_finite().then_some(text);
        let limits = [
            finite(self.seconds, format!("{} s", self.seconds)),
            finite(self.bytes, format!("{} bytes", self.bytes)),
            finite(self.memory, format!("{} of memory", megabytes(self.memory))),
        ];
        limits.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

impl Metric {
    /// Its name in plans and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Metric::Accuracy { .. } => "accuracy",
            Metric::CrossEntropy { .. } => "cross-entropy",
        }
    }

    /// The metric of rows of a model's answers with their labels.
    pub fn of<'a>(self, answers: Answers, rows: impl Iterator<Item = (&'a [f64], usize)>) -> f64 {
        let (mut total, mut count) = (0.0, 0usize);
        for (row, label) in rows {
            count += 1;
            total += match self {
                Metric::Accuracy { .. } => f64::from(u8::from(arg_max(row) == Some(label))),
                Metric::CrossEntropy { .. } => answers.cross_entropy(row, label),
            };
        }
        total / count.max(1) as f64
    }

    /// The worse of two.
    pub fn worse(self, one: f64, other: f64) -> f64 {
        match self {
            Metric::Accuracy { .. } => one.min(other),
            Metric::CrossEntropy { .. } => one.max(other),
        }
    }

    /// Whether a private metric is allowed beside the plain one.
    fn allows(self, plain: f64, private: f64) -> bool {
        match self {
            Metric::Accuracy { decrease_max } => plain - private <= decrease_max,
            Metric::CrossEntropy { increase_max } => private - plain <= increase_max,
        }
    }
}

impl Constraint {
    /// A phrase about what cannot be meant.
    pub fn sensible(&self, labelled: bool) -> Result<(), String> {
        if self.error_max.is_nan() || self.error_max <= 0.0 {
            return Err(format!("an error of {} is not positive", self.error_max));
        }
        if !(0.0..=1.0).contains(&self.agreement_min) {
            return Err(format!("an agreement of {} is not between 0 and 1", self.agreement_min));
        }
        if !(-1.0..=1.0).contains(&self.cosine_min) {
            return Err(format!("a cosine of {} is not between -1 and 1", self.cosine_min));
        }
        match self.metric {
            Some(Metric::Accuracy { decrease_max: change } | Metric::CrossEntropy { increase_max: change }) => {
                if change.is_nan() || change < 0.0 {
                    return Err(format!("a metric cannot be allowed to worsen by {change}; take 0 or more"));
                }
                if !labelled {
                    return Err("a metric needs labels of the calibration inputs".into());
                }
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Whether anything about accuracy is asked.
    pub fn asks(&self) -> bool {
        *self != Constraint::default()
    }

    /// How much of what is allowed an error and a cosine use, 1 being all; angles count as errors do, not squared.
    /// `None` where neither is asked for.
    pub fn strain(&self, error: f64, cosine: Option<f64>) -> Option<f64> {
        let of_error = self.error_max.is_finite().then(|| error / (GUARD * self.error_max));
        let of_cosine = (self.cosine_min > -1.0).then(|| {
            let allowed = GUARD * (1.0 - self.cosine_min);
            ((1.0 - cosine.unwrap_or(-1.0)).max(0.0) / allowed.max(f64::MIN_POSITIVE)).sqrt()
        });
        of_error.into_iter().chain(of_cosine).reduce(f64::max)
    }

    /// How far a verdict is from meeting the demands: at most 1 where it meets all of them, and otherwise the more the
    /// farther one of them is missed. Where none is missed, how much of the allowed error and angle is used.
    pub fn shortfall(&self, verdict: &Verdict) -> f64 {
        let missed = |amount: f64| if amount > 0.0 { 1.0 + amount } else { 0.0 };
        let of_agreement = missed(self.agreement_min - verdict.steady);
        let of_metric = self.metric.map_or(0.0, |metric| {
            let (plain, private) = verdict.metric.unwrap_or((f64::NAN, f64::NAN));
            match metric {
                _ if metric.allows(plain, private) => 0.0,
                Metric::Accuracy { decrease_max } => 1.0 + (plain - private - decrease_max),
                Metric::CrossEntropy { increase_max } => 1.0 + (private - plain - increase_max),
            }
        });
        let strain = self.strain(verdict.error, verdict.cosine).unwrap_or(0.0);
        // Of what cannot be compared nothing is known to be better.
        let all = [strain, of_agreement, of_metric];
        if all.iter().any(|own| own.is_nan()) { f64::INFINITY } else { all.into_iter().fold(0.0, f64::max) }
    }

    /// Whether no further simulation can make a verdict meet the demands: errors and angles only grow.
    pub fn is_lost(&self, verdict: &Verdict) -> bool {
        let cosine = verdict.cosine.unwrap_or(-1.0);
        verdict.error > GUARD * self.error_max
            || self.cosine_min > -1.0 && cosine < 1.0 - GUARD * (1.0 - self.cosine_min)
    }

    /// The demands that a verdict does not meet, in words.
    pub fn unmet(&self, verdict: &Verdict) -> Vec<String> {
        let mut unmet = Vec::new();
        let mut demand = |met: bool, text: String| {
            if !met {
                unmet.push(text);
            }
        };
        demand(
            verdict.error <= GUARD * self.error_max,
            format!("error {:.3e}, at most {:.3e} (half of what is allowed)", verdict.error, GUARD * self.error_max),
        );
        demand(
            verdict.steady >= self.agreement_min,
            format!(
                "agreement {:.4} where everything moves twice as far ({:.4} as it is), at least {:.4}",
                verdict.steady, verdict.agreement, self.agreement_min
            ),
        );
        if self.cosine_min > -1.0 {
            let least = 1.0 - GUARD * (1.0 - self.cosine_min);
            let cosine = verdict.cosine.unwrap_or(-1.0);
            // Distances from 1, because cosines that differ may have the same first digits.
            let (distance, allowed) = (1.0 - cosine, 1.0 - least);
            demand(
                cosine >= least,
                format!("least cosine 1 - {distance:.2e}, at least 1 - {allowed:.2e} (half of the allowed distance)"),
            );
        }
        if let Some(metric) = self.metric {
            let (plain, private) = verdict.metric.unwrap_or((f64::NAN, f64::NAN));
            let text = format!("{} {private:.4} beside the plain model's {plain:.4}", metric.name());
            demand(metric.allows(plain, private), text);
        }
        unmet
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict() -> Verdict {
        Verdict {
            inputs: 4,
            roundings: vec![],
            error: 0.004,
            agreement: 0.995,
            steady: 0.99,
            cosine: Some(0.999999),
            metric: Some((0.9, 0.91)),
        }
    }

    #[test]
    fn demands_are_one_sided_and_named() {
        assert!(Constraint::default().unmet(&verdict()).is_empty());
        let met = Constraint {
            error_max: 0.008,
            agreement_min: 0.99,
            cosine_min: 0.99999,
            metric: Some(Metric::Accuracy { decrease_max: 0.0 }),
        };
        assert!(met.unmet(&verdict()).is_empty(), "{:?}", met.unmet(&verdict()));
        // Given up early is only what is not met, and of shares nothing is known before the end.
        for (lost, constraint) in [
            (true, Constraint { error_max: 0.0079, ..met.clone() }),
            (true, Constraint { cosine_min: 0.9999985, ..met.clone() }),
            (false, Constraint { agreement_min: 0.991, ..met.clone() }),
            (false, met.clone()),
            (false, Constraint::default()),
        ] {
            assert_eq!(constraint.is_lost(&verdict()), lost);
            assert!(!lost || !constraint.unmet(&verdict()).is_empty());
        }
        let cases = [
            (Constraint { error_max: 0.0079, ..met.clone() }, "error"),
            (Constraint { agreement_min: 0.991, ..met.clone() }, "agreement"),
            (Constraint { cosine_min: 0.9999985, ..met.clone() }, "cosine"),
        ];
        for (constraint, word) in cases {
            let unmet = constraint.unmet(&verdict());
            assert!(unmet.len() == 1 && unmet[0].contains(word), "{unmet:?}");
        }
        let worse = Verdict { metric: Some((0.9, 0.89)), ..verdict() };
        assert!(met.unmet(&worse)[0].contains("accuracy 0.8900"));
        let allowed = Constraint { metric: Some(Metric::Accuracy { decrease_max: 0.011 }), ..met };
        assert!(allowed.unmet(&worse).is_empty());
        assert_eq!(Constraint { cosine_min: 0.5, ..allowed }.unmet(&Verdict { cosine: None, ..worse }).len(), 1);
    }

    #[test]
    fn a_cosine_that_is_missed_by_little_is_told_apart() {
        let asked = Constraint { cosine_min: 1.0, ..Constraint::default() };
        let unmet = asked.unmet(&Verdict { cosine: Some(1.0 - 3e-12), ..verdict() });
        assert!(unmet.len() == 1 && unmet[0].contains("1 - 3.00e-12, at least 1 - 0.00e0"), "{unmet:?}");
        assert!(asked.unmet(&Verdict { cosine: Some(1.0), ..verdict() }).is_empty());
    }

    #[test]
    fn a_shortfall_is_above_one_where_something_is_missed_and_grows() {
        let asked = Constraint {
            error_max: 0.008,
            agreement_min: 0.99,
            metric: Some(Metric::Accuracy { decrease_max: 0.0 }),
            ..Constraint::default()
        };
        let met = verdict();
        assert!(asked.unmet(&met).is_empty() && asked.shortfall(&met) <= 1.0);
        let worse = [
            [Verdict { error: 0.0041, ..met.clone() }, Verdict { error: 0.005, ..met.clone() }],
            [Verdict { steady: 0.98, ..met.clone() }, Verdict { steady: 0.9, ..met.clone() }],
            [Verdict { metric: Some((0.9, 0.89)), ..met.clone() }, Verdict { metric: Some((0.9, 0.8)), ..met.clone() }],
        ];
        for [near, far] in worse {
            assert!(!asked.unmet(&near).is_empty() && asked.shortfall(&near) > 1.0, "{near:?}");
            assert!(asked.shortfall(&far) > asked.shortfall(&near), "{far:?}");
        }
        assert_eq!(asked.shortfall(&Verdict { metric: None, ..met }), f64::INFINITY);
    }

    #[test]
    fn of_equal_scores_the_first_is_the_largest() {
        assert_eq!(arg_max(&[0.0, 2.0, 1.0, 2.0]), Some(1));
        assert_eq!(arg_max(&[]), None);
        let accuracy = Metric::Accuracy { decrease_max: 0.0 };
        let row: &[f64] = &[1.0, 1.0];
        assert_eq!(accuracy.of(Answers::Scores, [(row, 0)].into_iter()), 1.0);
        assert_eq!(accuracy.of(Answers::Scores, [(row, 1)].into_iter()), 0.0);
    }

    #[test]
    fn strain_is_one_where_a_demand_is_just_met() {
        let both = Constraint { error_max: 0.008, cosine_min: 0.9998, ..Constraint::default() };
        assert_eq!(Constraint { agreement_min: 0.9, ..Constraint::default() }.strain(1.0, None), None);
        assert_eq!(both.strain(0.004, Some(1.0)), Some(1.0));
        let angle = both.strain(0.0, Some(0.9999)).unwrap();
        assert!((angle - 1.0).abs() < 1e-9, "{angle}");
        assert!(both.strain(0.002, Some(0.9998)).unwrap() > 1.4);
        assert!(both.strain(0.0, None).unwrap() > 1.0);
        for (error, cosine) in [(0.00399, 0.99991), (0.00401, 0.99991), (0.00399, 0.99989)] {
            let verdict = Verdict { error, cosine: Some(cosine), ..verdict() };
            let met = both.unmet(&verdict).is_empty();
            assert_eq!(both.strain(error, Some(cosine)).unwrap() <= 1.0, met, "{error} {cosine}");
        }
    }

    #[test]
    fn metrics_are_what_their_names_say() {
        let rows: [(&[f64], usize); 3] = [(&[1.0, 2.0], 1), (&[3.0, 0.0], 1), (&[0.0, 0.0], 0)];
        let accuracy = Metric::Accuracy { decrease_max: 0.0 };
        assert_eq!(accuracy.of(Answers::Scores, rows.into_iter()), 2.0 / 3.0);
        let entropy = Metric::CrossEntropy { increase_max: 0.0 }.of(Answers::Scores, rows.into_iter());
        let expected = ((1.0 + (-1.0f64).exp()).ln() + (1.0 + (-3.0f64).exp()).ln() + 3.0 + 2f64.ln()) / 3.0;
        assert!((entropy - expected).abs() < 1e-12);
        let increase = Metric::CrossEntropy { increase_max: 0.125 };
        assert!(increase.allows(1.0, 0.5) && increase.allows(1.0, 1.125) && !increase.allows(1.0, 1.2));
    }

    /// Probabilities are taken as they are: a softmax of them would call the surest answer and the wrongest nearly alike.
    #[test]
    fn the_cross_entropy_of_probabilities_is_that_of_the_scores_behind_them() {
        let metric = Metric::CrossEntropy { increase_max: 0.0 };
        let scores = [3.0, -1.0, 0.5];
        let sum: f64 = scores.iter().map(|score: &f64| score.exp()).sum();
        let probabilities = scores.map(|score| score.exp() / sum);
        for label in 0..3 {
            let behind = metric.of(Answers::Scores, [(&scores[..], label)].into_iter());
            let own = metric.of(Answers::Probabilities, [(&probabilities[..], label)].into_iter());
            assert!((behind - own).abs() < 1e-12, "{label}: {behind} {own}");
        }
        // What is rounded to nothing, or below, is as bad as can be, and no worse.
        for nothing in [0.0, -1e-3, 1e-9] {
            let own = metric.of(Answers::Probabilities, [(&[1.0, nothing][..], 1)].into_iter());
            assert!((own - 16.118).abs() < 1e-3, "{own}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let ask = |constraint: Constraint| constraint.sensible(false).unwrap_err();
        assert!(ask(Constraint { error_max: 0.0, ..Constraint::default() }).contains("not positive"));
        assert!(ask(Constraint { error_max: f64::NAN, ..Constraint::default() }).contains("not positive"));
        assert!(ask(Constraint { agreement_min: 1.5, ..Constraint::default() }).contains("agreement of 1.5"));
        assert!(ask(Constraint { cosine_min: 2.0, ..Constraint::default() }).contains("cosine of 2"));
        let metric = |change| Some(Metric::Accuracy { decrease_max: change });
        assert!(ask(Constraint { metric: metric(-0.1), ..Constraint::default() }).contains("-0.1"));
        assert!(ask(Constraint { metric: metric(0.1), ..Constraint::default() }).contains("labels"));
        assert!(Constraint { metric: metric(0.1), ..Constraint::default() }.sensible(true).is_ok());
    }
}
