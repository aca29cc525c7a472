//! `chebyshare keys`: an identity for each party of a deployment.

use crate::failure::Failure;
use crate::interrupt::undivided;
use crate::report::Context;
use clap::Args;
use runtime::deployment::keys::generate;
use serde::Serialize;
use std::path::PathBuf;

/// Makes a private key and a self-signed certificate for each name. Existing files are never overwritten.
///
/// Example: chebyshare keys --out keys model data helper
#[derive(Args)]
pub struct Keys {
    /// The folder for the files.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Names of the parties.
    #[arg(required = true)]
    names: Vec<String>,
}

#[derive(Serialize)]
struct Report {
    keys: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    certificate: PathBuf,
    private_key: PathBuf,
    fingerprint: String,
}

impl Keys {
    /// Generates and prints the fingerprints.
    pub fn run(&self, context: &Context) -> Result<(), Failure> {
        std::fs::create_dir_all(&self.out)
            .map_err(|error| Failure::Input(format!("{}: {error}", self.out.display())))?;
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let files = undivided(|| generate(&self.out, &names)).map_err(Failure::input)?;
        let rows = files.into_iter().map(|files| Row {
            name: files.name,
            certificate: files.certificate,
            private_key: files.private_key,
            fingerprint: files.fingerprint.to_string(),
        });
        context.print(&Report { keys: rows.collect() }, |report| {
            let line = |row: &Row| {
                format!(
                    "{}: give {} to the other parties (SHA-256 {}); keep {}\n",
                    row.name,
                    row.certificate.display(),
                    row.fingerprint,
                    row.private_key.display()
                )
            };
            report.keys.iter().map(line).collect()
        })
    }
}
