//! What the commands do, a file each.

mod admin;
mod audit;
mod call;
mod config;
mod health;
mod keys;
mod migrate;
mod run;
mod serve;
mod tools;
mod validate;
mod worker;

use crate::{
    cli::{Cli, Command},
    failure::{Failure, Result},
    logging::{self, Talk},
    output, settings,
};
use asgard_lib::{
    config::{Environment, Loaded},
    runtime::{Runtime, RuntimeOptions, Supervisors},
};
use clap::CommandFactory;
use std::{ffi::OsString, path::PathBuf};

/// Does what the command line says.
pub fn run(cli: Cli) -> Result<()> {
    let config = cli.config;
    match cli.command {
        Command::Serve { bind } => serve::run(config, bind),
        Command::Migrate { check } => migrate::run(config, check),
        Command::Config(command) => config::run(config, &command),
        Command::Keys(command) => keys::run(config, command),
        Command::Audit(command) => audit::run(config, command),
        Command::Admin(command) => admin::run(config, command),
        Command::Validate { manifests } => validate::run(&manifests),
        Command::Health { live } => health::run(config, live),
        Command::Worker => worker::run(config),
        Command::Run { run, settings_from_stdin } => run::run(config, &run, settings_from_stdin),
        Command::Tools { server, output } => tools::run(&server, output.output),
        Command::Call(args) => call::run(&args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "asgard", &mut script);
            output::line(String::from_utf8_lossy(&script).trim_end())
        }
    }
}

/// How this process starts supervisors: as itself, with the same configuration.
fn supervisors(config: Option<&PathBuf>) -> Result<Supervisors> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::failed(format!("the path of this program cannot be found: {error}")))?;
    let mut arguments: Vec<OsString> = Vec::new();
    if let Some(file) = config {
        arguments.extend(["--config".into(), file.into()]);
    }
    arguments.extend(["run".into(), "--settings-from-stdin".into()]);
    let env = Environment::from_process();
    let environment =
        env.names().filter_map(|name| env.get(name).map(|value| (name.to_owned(), value.clone()))).collect();
    Ok(Supervisors { program, arguments, environment, by_pipe: true })
}

/// Opens what the server stands on, for a command beside it, and lets the command work with it.
fn beside_the_server<T>(config: Option<PathBuf>, work: impl AsyncFnOnce(&Runtime) -> Result<T>) -> Result<T> {
    let loaded = start(config.clone(), Talk::Little)?;
    crate::process::one_thread()?.block_on(async {
        let options = RuntimeOptions::command(supervisors(config.as_ref())?);
        let runtime = Runtime::open(&loaded.config, options).await?;
        let done = work(&runtime).await;
        runtime.close().await;
        done
    })
}

/// Loads the configuration and starts the log.
fn start(config: Option<PathBuf>, talk: Talk) -> Result<Loaded> {
    let loaded = settings::load(config, None)?;
    logging::start(&loaded, talk)?;
    Ok(loaded)
}
