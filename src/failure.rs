//! How the program fails: one message, and an exit code that a script can rely on.

use crate::output::visible;
use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

/// Why a command failed.
#[derive(Debug)]
pub enum Failure {
    /// A claim that does not hold, or a damaged catalog: exit code 1.
    Claim(String),
    /// Bad usage or bad input: exit code 2.
    Input(String),
    /// Trouble with a peer, the network or memory: exit code 3.
    Peer(String),
}

impl Failure {
    /// A failure by bad input, of anything that explains itself.
    pub fn input(reason: impl Display) -> Failure {
        Failure::Input(reason.to_string())
    }

    /// A claim that does not hold.
    pub fn claim(reason: impl Display) -> Failure {
        Failure::Claim(reason.to_string())
    }

    /// Prints the message and gives the exit code.
    pub fn exit(self) -> ExitCode {
        let (message, code) = match self {
            Failure::Claim(message) => (message, 1),
            Failure::Input(message) => (message, 2),
            Failure::Peer(message) => (message, 3),
        };
        // Nobody may be listening any more; that is no second failure.
        let _ = writeln!(std::io::stderr(), "error: {}", visible(&message));
        ExitCode::from(code)
    }
}

impl From<runtime::trust::Error> for Failure {
    fn from(error: runtime::trust::Error) -> Failure {
        if error.is_refusal() { Failure::claim(error) } else { Failure::input(error) }
    }
}

impl From<catalogs::CatalogError> for Failure {
    fn from(error: catalogs::CatalogError) -> Failure {
        match error {
            catalogs::CatalogError::Damaged { .. } => Failure::claim(error),
            _ => Failure::input(error),
        }
    }
}
