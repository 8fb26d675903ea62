//! The API and MCP function.

use asgard_lib::config::Environment;
use std::{io::Write, process::ExitCode};

fn main() -> ExitCode {
    if let Some(why) = asgard_lambda::started_by_hand(&Environment::from_process()) {
        let _ = writeln!(std::io::stderr(), "{why}");
        return ExitCode::from(2);
    }
    let served = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(lambda_http::Error::from)
        .and_then(|runtime| runtime.block_on(lambda_http::run(asgard_lambda::router())));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "The function cannot go on: {error}");
            ExitCode::FAILURE
        }
    }
}
