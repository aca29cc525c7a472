//! What a search tells while it runs, and why it may end with nothing.

/// What a search is doing.
#[derive(Clone, PartialEq, Debug)]
pub enum Progress {
    /// Families say which shapes could serve: tails are cut for some accuracies.
    Shaping,
    /// Shapes are fitted and their designs measured.
    Fitting {
        /// Shapes done.
        done: usize,
        /// Shapes in all.
        total: usize,
        /// Designs that seem accurate enough so far.
        promising: usize,
    },
    /// The first program is certified, while others are still being fitted: most likely a better one follows.
    First {
        /// Its certified bound.
        bound: f64,
        /// Its rounds.
        rounds: u16,
        /// Its bytes of all parties per element.
        bytes: u64,
    },
    /// Designs are being certified.
    Certifying {
        /// Programs certified so far.
        certified: usize,
        /// Programs that are tried now.
        trying: usize,
    },
    /// The search ended at its limit of batches.
    Stopped {
        /// Programs certified.
        certified: usize,
        /// Promising programs that were not tried.
        untried: usize,
    },
}

impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Progress::Shaping => f.write_str("cutting tails and listing shapes"),
            Progress::Fitting { done, total, promising } => {
                write!(f, "{done} of {total} shapes fitted, {promising} promising programs")
            }
            Progress::First { bound, rounds, bytes } => {
                write!(f, "a first program is certified: {bound:e}, {rounds} rounds, {bytes} bytes")
            }
            Progress::Certifying { certified, trying } => write!(f, "{certified} certified, {trying} being tried"),
            Progress::Stopped { certified, untried } => {
                write!(f, "stopped: {certified} certified, {untried} promising programs untried")
            }
        }
    }
}

/// Why there is no front.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
pub enum SearchError {
    /// No family covers the goal.
    #[error(
        "no family of programs serves {function} with input scale {input_scale}, output scale {output_scale} on this window; change the window, the accuracy, the norm or the scales"
    )]
    NoFamily {
        /// The function.
        function: &'static str,
        /// Fraction bits of the input.
        input_scale: u8,
        /// Fraction bits of the output.
        output_scale: u8,
    },
    /// A design that is asked for by name.
    #[error(
        "no family makes the program '{family}' with '{parameters}' for this goal; leave the design out to search for one"
    )]
    NoDesign {
        /// The family.
        family: String,
        /// The parameters.
        parameters: String,
    },
    /// Some program seemed to reach the accuracy, and none was proved to.
    #[error(
        "no program is proved to reach {wanted:e}; the best one found errs by {reached:.3e} at the inputs that were tried, but not by so little at all inputs and roundings ({how})"
    )]
    Unproved {
        /// The accuracy asked for.
        wanted: f64,
        /// The error that was seen.
        reached: f64,
        /// Family and parameters of that program.
        how: String,
    },
    /// Fits reach the accuracy, and no program with such a fit can be built.
    #[error(
        "no program reaches {wanted:e}: {how} would fit with an error of {fitted:.3e}, but no scales keep its values and their products inside a ring of {ring} bits; take a wider ring, fewer fraction bits or a narrower domain"
    )]
    Unbuilt {
        /// The accuracy asked for.
        wanted: f64,
        /// The error of the best fit.
        fitted: f64,
        /// Family and parameters of that fit.
        how: String,
        /// Bits of the ring.
        ring: u8,
    },
    /// Nothing reached the accuracy.
    #[error("no program reaches {wanted:e}; the best one found has an error of {reached:.3e} ({how})")]
    OutOfReach {
        /// The accuracy asked for.
        wanted: f64,
        /// The least error that was seen.
        reached: f64,
        /// Family and parameters of that program.
        how: String,
    },
}
