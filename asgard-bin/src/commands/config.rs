//! Looking at the configuration. None of this touches the database.

use crate::{cli::ConfigCommand, failure::Result, output, settings};
use asgard_lib::config::{self, Loaded};
use std::path::PathBuf;

pub fn run(file: Option<PathBuf>, command: &ConfigCommand) -> Result<()> {
    match command {
        ConfigCommand::Check => check(&settings::load(file, None)?),
        ConfigCommand::Show => output::line(config::format(&settings::load(file, None)?).trim_end()),
        ConfigCommand::Reference => output::line(config::reference().trim_end()),
    }
}

fn check(loaded: &Loaded) -> Result<()> {
    for warning in &loaded.warnings {
        output::line(format!("warning: {warning}"))?;
    }
    for error in &loaded.errors {
        output::line(format!("ignored: {error}"))?;
    }
    let from = match &loaded.file {
        Some(file) => format!("{} and the environment", file.display()),
        None => "The environment, without a file,".to_owned(),
    };
    output::line(format!("{from} can be used."))
}
