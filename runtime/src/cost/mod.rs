//! Seconds: what one run asks of a party's machine, and what the machine takes for it.
//!
//! [`Work`] is counted from the public circuit alone ([`crate::session::work`]), so everybody who has a plan can
//! predict. A [`Machine`] is a readable file of rates that `chebyshare profile` measures: it runs [`probes`] between
//! three real parties and fits the rates to what they took ([`calibrate`]). Everything is *predicted*: no proof and no
//! protocol depends on it.
//!
//! A run goes round by round, and nothing overlaps: its seconds are the sum of what its rounds, bytes and local steps
//! take. With all parties on one machine they share its processors, and the rates hold what that costs.

pub mod calibrate;
pub mod links;
mod machine;
pub mod probes;
mod work;

pub use links::Link;
pub use machine::{Error, Machine};
pub use work::{Resource, Work};
