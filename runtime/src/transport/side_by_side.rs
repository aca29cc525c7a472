//! How many runs of a session are executed side by side.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

/// Most runs of a session whose frames may follow each other in turns.
pub const RUNS_MAX: usize = 64;

/// A number of runs that take turns, round by round: 1 to [`RUNS_MAX`], as many as a transport keeps apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct SideBySide(NonZeroU64);

impl SideBySide {
    /// One run after the other.
    pub const ONE: SideBySide = SideBySide(NonZeroU64::MIN);

    /// So many, if there can be.
    pub fn new(runs: u64) -> Option<SideBySide> {
        NonZeroU64::new(runs).filter(|runs| runs.get() <= RUNS_MAX as u64).map(SideBySide)
    }

    /// The number.
    pub fn get(self) -> u64 {
        self.0.get()
    }

    /// Whether runs follow one after the other.
    pub fn is_one(&self) -> bool {
        *self == SideBySide::ONE
    }

    /// `runs` in as few groups as there can be of at most so many, nearly equal ones.
    ///
    /// Post: the sizes add up to `runs`, differ by one at most, the larger ones first.
    pub fn groups(self, runs: u64) -> impl Iterator<Item = SideBySide> {
        let groups = runs.div_ceil(self.get());
        (0..groups).filter_map(move |group| SideBySide::new(runs / groups + u64::from(group < runs % groups)))
    }
}

impl Default for SideBySide {
    fn default() -> SideBySide {
        SideBySide::ONE
    }
}

impl fmt::Display for SideBySide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<SideBySide> for u64 {
    fn from(runs: SideBySide) -> u64 {
        runs.get()
    }
}

impl TryFrom<u64> for SideBySide {
    type Error = String;

    fn try_from(runs: u64) -> Result<SideBySide, String> {
        SideBySide::new(runs).ok_or_else(|| format!("{runs} runs side by side cannot be, use 1 to {RUNS_MAX}"))
    }
}

impl FromStr for SideBySide {
    type Err = String;

    fn from_str(text: &str) -> Result<SideBySide, String> {
        text.parse().ok().and_then(SideBySide::new).ok_or_else(|| format!("use 1 to {RUNS_MAX}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_to_sixty_four_runs_are_side_by_side() {
        for runs in [1, 2, 64] {
            let own = SideBySide::new(runs).unwrap();
            assert_eq!((own.get(), runs.to_string().parse()), (runs, Ok(own)));
            assert_eq!(own.is_one(), runs == 1);
        }
        for none in ["0", "65", "-1", "", "x", "18446744073709551616"] {
            assert_eq!(none.parse::<SideBySide>(), Err("use 1 to 64".into()), "{none}");
        }
        assert!(SideBySide::try_from(65).unwrap_err().contains("65 runs side by side cannot be"));
    }

    #[test]
    fn groups_are_few_and_nearly_equal() {
        let groups = |most: u64, runs: u64| {
            SideBySide::new(most).unwrap().groups(runs).map(SideBySide::get).collect::<Vec<u64>>()
        };
        assert_eq!(groups(4, 9), [3, 3, 3]);
        assert_eq!(groups(4, 10), [4, 3, 3]);
        assert_eq!(groups(4, 4), [4]);
        assert_eq!(groups(64, 3), [3]);
        assert_eq!(groups(1, 3), [1, 1, 1]);
        assert!(groups(3, 0).is_empty());
    }
}
