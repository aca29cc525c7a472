//! The subcommands, a file each.

pub mod audit;
#[cfg(feature = "generate")]
pub mod bench;
#[cfg(feature = "generate")]
pub mod campaign;
pub mod catalog;
#[cfg(feature = "generate")]
pub mod demo;
#[cfg(feature = "generate")]
pub mod export;
#[cfg(feature = "generate")]
pub mod fit;
#[cfg(feature = "generate")]
pub mod goals;
pub mod inspect;
pub mod keys;
pub mod party;
pub mod plan;
pub mod plot;
pub mod profile;
pub mod run;
pub mod signing;
#[cfg(feature = "generate")]
pub mod synth;
pub mod tune;
pub mod verify;
