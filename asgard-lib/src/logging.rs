//! What programs that log for Asgard share: how a line looks to machines, and what never becomes one.

mod json;

pub use json::Lines;

use tracing::{Level, Metadata};

/// Whatever the filter says: the protocol library of MCP tells of every request that it comes and goes, and at finer levels
/// it logs whole messages, which hold what `get_secret` reveals.
pub fn may_be_logged(about: &Metadata<'_>) -> bool {
    !about.target().starts_with("rmcp") || *about.level() <= Level::WARN
}
