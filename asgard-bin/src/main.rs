//! The `asgard` binary: the server, what an operator does beside it, and a client of a running server.

mod cli;
mod client;
mod commands;
mod failure;
mod logging;
mod output;
mod password;
mod process;
mod settings;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Clap says itself what is wrong with a command line, and exits with 2.
    let cli = cli::Cli::parse();
    match commands::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
