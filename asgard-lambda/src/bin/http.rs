//! The function that answers requests: REST and dashboard, MCP, or both.

use asgard_lambda::http::Http;
use std::process::ExitCode;

fn main() -> ExitCode {
    asgard_lambda::function(|settings| Http::new(settings).serve())
}
