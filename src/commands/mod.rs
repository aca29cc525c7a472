//! The subcommands, a file each.

pub mod catalog;
#[cfg(feature = "generate")]
pub mod fit;
pub mod inspect;
pub mod keys;
pub mod party;
pub mod plan;
pub mod run;
pub mod tune;
pub mod verify;
