//! Seconds: what one run asks of a party's machine, and what the machine takes for it.
//!
//! [`Work`] is counted from the public circuit alone ([`crate::session::work`]), so everybody who has a plan can
//! predict. A [`Machine`] is a readable file of rates that `chebyshare profile` measures: it runs [`probes`] between
//! three real parties and fits the rates to what they took ([`calibrate`]). Everything is *predicted*: no proof and no
//! protocol depends on it.
//!
//! What a run takes is told by its [`Timeline`], in which a part of a round is on its way while the next one is computed;
//! where every round is one part, that is the sum of what rounds, bytes and local steps take. Of runs side by side the first is
//! counted as one alone, each of the others as what it adds. With all parties on one machine they share its processors, and
//! the rates hold what that costs.

pub mod calibrate;
pub mod links;
mod machine;
mod median;
pub mod probes;
mod timeline;
mod work;

pub use links::Link;
pub use machine::{Error, Machine};
pub use median::median;
pub use timeline::{Event, Timeline};
pub use work::{Resource, Work};
