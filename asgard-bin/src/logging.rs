//! The log: text for people, one JSON object a line for machines, always on stderr.

use crate::failure::{Failure, Result};
use asgard_lib::{
    config::{Environment, Loaded, LogFormat, Origin},
    logging::{Lines, may_be_logged},
    ports::world::World,
};
use std::{
    io::{self, IsTerminal, Write},
    sync::atomic::{AtomicBool, Ordering},
};
use tracing_subscriber::{EnvFilter, filter::filter_fn, fmt, layer::SubscriberExt, util::SubscriberInitExt};

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
pub fn filter(loaded: &Loaded, talk: Talk) -> Result<EnvFilter> {
    let origin = loaded.settings.iter().find(|setting| setting.spec.yaml == Some("log.filter")).map(|s| &s.origin);
    let text = match (talk, origin) {
        (Talk::Little, Some(Origin::Default) | None) => "warn",
        (Talk::Usual | Talk::Little, _) => &loaded.config.log.filter,
    };
    EnvFilter::builder().parse(text).map_err(|error| {
        let origin = origin.map(ToString::to_string).unwrap_or_default();
        Failure::usage(format!("the configuration cannot be used\n{origin}: log.filter: `{text}` is not a log filter: {error}"))
            .hint("It takes a level (error, warn, info, debug, trace, off), or targets with levels such as `info,asgard_lib::app=debug`.")
    })
}

/// Starts the log, and says what the configuration has to say.
pub fn start(loaded: &Loaded, talk: Talk) -> Result<()> {
    let registry = tracing_subscriber::registry().with(filter(loaded, talk)?).with(filter_fn(may_be_logged));
    match loaded.config.log.format {
        LogFormat::Text => {
            let colours = io::stderr().is_terminal() && Environment::from_process().get("NO_COLOR").is_none();
            registry.with(fmt::layer().with_writer(io::stderr).with_ansi(colours)).init();
        }
        LogFormat::Json => {
            let layer =
                fmt::layer().with_writer(io::stderr).fmt_fields(fmt::format::JsonFields::new()).event_format(Lines);
            registry.with(layer).init();
            FOR_MACHINES.store(true, Ordering::Relaxed);
        }
    }
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    for error in &loaded.errors {
        tracing::error!("{error}");
    }
    Ok(())
}
