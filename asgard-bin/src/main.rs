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

use asgard_lib::{
    adapters::terraform::{harden_process, helper},
    runtime::init,
};
use clap::Parser;
use std::process::ExitCode;

/// Requests are many small allocations on several threads, which the allocators of C libraries are slow at; that of musl,
/// which a static binary has, most of all.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Before anything else: every command may be given the keys, and a run's Terraform may be working beside it.
    harden_process();
    // A stage between a supervisor and Terraform needs nothing of what follows.
    if let Some(code) = helper(std::env::args_os().skip(1)) {
        return code;
    }
    // Clap says itself what is wrong with a command line, and exits with 2.
    let cli = cli::Cli::parse();
    if cli.command.starts_processes() && init::is_needed() {
        return match init::run(std::env::args_os().skip(1)) {
            Ok(code) => ExitCode::from(code),
            Err(error) => failure::Failure::failed(format!("the work could not be started: {error}")).report(),
        };
    }
    match commands::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
