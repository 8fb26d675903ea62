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

/// Requests are many small allocations on several threads, which the allocators of C libraries are slow at; that of musl,
/// which a static binary has, most of all.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Clap says itself what is wrong with a command line, and exits with 2.
    let cli = cli::Cli::parse();
    match commands::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
