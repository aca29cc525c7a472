//! The subcommands, a file each.

pub mod catalog;
#[cfg(feature = "generate")]
pub mod fit;
pub mod verify;
