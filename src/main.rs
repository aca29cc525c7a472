//! The command line of Chebyshare: one match over subcommands, which hold no logic of their own.

// The allocator's one option is set through its C interface; nothing else here is unsafe.
#![deny(unsafe_code)]

mod allocator;
mod catalog_folder;
mod commands;
mod failure;
mod interrupt;
mod lanes;
mod output;
mod processes;
mod report;

use clap::{Parser, Subcommand};
use commands::*;
use std::process::ExitCode;

/// Provably accurate nonlinear functions for secure multi-party machine learning, and a runtime that uses them.
#[derive(Parser)]
#[command(name = "chebyshare", version, propagate_version = true)]
struct Arguments {
    /// One JSON object on standard output instead of text.
    #[arg(long, global = true)]
    json: bool,
    /// The catalog's folder; its proofs are in the folder `proofs` beside it. Without one, the embedded copy serves.
    #[arg(long, global = true, value_name = "DIR", default_value = "catalogs")]
    catalog: std::path::PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[cfg(feature = "generate")]
    Bench(bench::Bench),
    #[cfg(feature = "generate")]
    Demo(demo::Demo),
    #[cfg(feature = "generate")]
    Fit(fit::Fit),
    #[cfg(feature = "generate")]
    Synth(synth::Synth),
    #[cfg(feature = "generate")]
    Prove(prove::Prove),
    #[cfg(feature = "generate")]
    Export(export::Export),
    #[cfg(feature = "generate")]
    Campaign(campaign::CampaignCommand),
    Verify(verify::Verify),
    Audit(audit::Audit),
    Catalog(catalog::CatalogCommand),
    Inspect(inspect::Inspect),
    Profile(profile::Profile),
    Tune(Box<tune::Tune>),
    Plan(plan::PlanCommand),
    Run(run::Run),
    Party(party::Party),
    Keys(keys::Keys),
}

fn main() -> ExitCode {
    allocator::prepare();
    let arguments = Arguments::parse();
    let context = report::Context { json: arguments.json, catalog: arguments.catalog };
    let outcome = interrupt::install().and_then(|()| match arguments.command {
        #[cfg(feature = "generate")]
        Command::Bench(command) => command.run(&context),
        #[cfg(feature = "generate")]
        Command::Demo(command) => command.run(&context),
        #[cfg(feature = "generate")]
        Command::Fit(command) => command.run(&context),
        #[cfg(feature = "generate")]
        Command::Synth(command) => command.run(&context),
        #[cfg(feature = "generate")]
        Command::Prove(command) => command.run(&context),
        #[cfg(feature = "generate")]
        Command::Export(command) => command.run(&context),
        #[cfg(feature = "generate")]
        Command::Campaign(command) => command.run(&context),
        Command::Verify(command) => command.run(&context),
        Command::Audit(command) => command.run(&context),
        Command::Catalog(command) => command.run(&context),
        Command::Inspect(command) => command.run(&context),
        Command::Profile(command) => command.run(&context),
        Command::Tune(command) => command.run(&context),
        Command::Plan(command) => command.run(&context),
        Command::Run(command) => command.run(&context),
        Command::Party(command) => command.run(&context),
        Command::Keys(command) => command.run(&context),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.exit(),
    }
}
