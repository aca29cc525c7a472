//! The standard catalog: the campaign whose entries are shipped.

use crate::campaign::{Campaign, Unreadable};

/// The campaign's file. `chebyshare campaign` builds the catalog from it.
pub const FILE: &str = include_str!("../campaigns/standard.toml");

/// The campaign.
pub fn campaign() -> Result<Campaign, Unreadable> {
    Campaign::parse(FILE)
}
