//! What programs that log for Asgard share: how a line looks to machines, and what never becomes one.

mod json;

pub use json::Lines;

use tracing::{Level, Metadata};

/// Whatever the filter says: the protocol library of MCP tells of every request that it comes and goes, and at finer levels
/// it logs whole messages, which hold what `get_secret` reveals. The AWS SDK does the same at its finest level, with the
/// values that are put into Secrets Manager, and so does Lambda's runtime, with the passwords and keys of whole events.
pub fn may_be_logged(about: &Metadata<'_>) -> bool {
    let most = match about.target().split("::").next().unwrap_or_default() {
        "rmcp" => Level::WARN,
        library if library.starts_with("aws_") || library.starts_with("lambda_") => Level::DEBUG,
        _ => Level::TRACE,
    };
    *about.level() <= most
}
