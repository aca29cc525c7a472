//! `chebyshare bench`: what things take on this machine, beside what other tools take.

mod peers;
mod sessions;
mod simulate;
mod synth;
mod time;
mod tuner;

use crate::failure::Failure;
use crate::report::Context;
use clap::{Args, Subcommand};

/// Measures this machine.
///
/// Example: chebyshare bench synth --functions sigmoid,gelu
#[derive(Args)]
pub struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    Synth(synth::Synth),
    Peers(peers::Peers),
    Simulate(simulate::Simulate),
    Time(time::Time),
    Tuner(Box<tuner::Tuner>),
}

impl Bench {
    /// Measures and prints.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        match &self.what {
            What::Synth(bench) => bench.run(context),
            What::Peers(bench) => bench.run(context),
            What::Simulate(bench) => bench.run(context),
            What::Time(bench) => bench.run(context),
            What::Tuner(bench) => bench.run(context),
        }
    }
}
