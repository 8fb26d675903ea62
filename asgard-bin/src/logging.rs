//! The log: text for people, one JSON object a line for machines, always on stderr.

use crate::failure::{Failure, Result};
use asgard_lib::{
    config::{Environment, Loaded, LogFormat, Origin},
    logging::{self, FILTER_HINT},
    ports::world::World,
};
use std::{
    io::{self, IsTerminal, Write},
    sync::atomic::{AtomicBool, Ordering},
};

static FOR_MACHINES: AtomicBool = AtomicBool::new(false);

/// Whether the log is being written as JSON.
pub fn is_for_machines() -> bool {
    FOR_MACHINES.load(Ordering::Relaxed)
}

/// Says something that must not be lost, past the log's filter, in the log's format.
pub fn once(message: &str) {
    let at = World::system().now();
    let line = if is_for_machines() {
        serde_json::json!({"timestamp": at, "level": "WARN", "target": "asgard", "message": message}).to_string()
    } else {
        format!("{at}  WARN asgard: {message}")
    };
    // Where stderr is gone there is nobody to tell.
    let _ = writeln!(io::stderr(), "{line}");
}

/// How much is logged when nobody says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Talk {
    /// A process that stays: what it does.
    Usual,
    /// A command: what it does is its output, the log is for what goes wrong.
    Little,
}

/// The filter of the log, or which setting is wrong.
pub fn filter(loaded: &Loaded, talk: Talk) -> Result<&str> {
    let text = match (talk, origin(loaded)) {
        (Talk::Little, Some(Origin::Default) | None) => "warn",
        (Talk::Usual | Talk::Little, _) => &loaded.config.log.filter,
    };
    logging::check_filter(text).map_err(|why| wrong(loaded, &why))?;
    Ok(text)
}

fn origin(loaded: &Loaded) -> Option<&Origin> {
    loaded.settings.iter().find(|setting| setting.spec.yaml == Some("log.filter")).map(|setting| &setting.origin)
}

fn wrong(loaded: &Loaded, why: &str) -> Failure {
    let origin = origin(loaded).map(ToString::to_string).unwrap_or_default();
    Failure::usage(format!("the configuration cannot be used\n{origin}: {why}")).hint(FILTER_HINT)
}

/// Starts the log, and says what the configuration has to say.
pub fn start(loaded: &Loaded, talk: Talk) -> Result<()> {
    let colours = io::stderr().is_terminal() && Environment::from_process().get("NO_COLOR").is_none();
    FOR_MACHINES.store(loaded.config.log.format == LogFormat::Json, Ordering::Relaxed);
    logging::start(loaded, filter(loaded, talk)?, colours).map_err(|why| wrong(loaded, &why))
}
