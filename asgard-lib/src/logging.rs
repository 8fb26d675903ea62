//! What programs that log for Asgard share: how their log starts, how a line looks to machines, and what never becomes one.

mod json;

pub use json::Lines;

use crate::config::{Loaded, LogFormat};
use std::io;
use tracing::{Level, Metadata};
use tracing_subscriber::{EnvFilter, filter::filter_fn, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// What a log filter looks like, for whoever wrote one that is none.
pub const FILTER_HINT: &str = "It takes a level (error, warn, info, debug, trace, off), or targets with levels such as `info,asgard_lib::app=debug`.";

/// Fails, with why as text for the operator, unless `text` is a log filter.
pub fn check_filter(text: &str) -> Result<(), String> {
    filter(text).map(|_| ())
}

fn filter(text: &str) -> Result<EnvFilter, String> {
    EnvFilter::builder().parse(text).map_err(|error| format!("log.filter: `{text}` is not a log filter: {error}"))
}

/// Starts the log of a program on stderr, in the configured format, and says what the configuration has to say. `text` is the
/// filter; `colours` count in text alone. Panics are logged from here on.
///
/// # Errors
///
/// A filter that is none, as text for the operator.
pub fn start(loaded: &Loaded, text: &str, colours: bool) -> Result<(), String> {
    let registry = tracing_subscriber::registry().with(filter(text)?).with(filter_fn(may_be_logged));
    match loaded.config.log.format {
        LogFormat::Text => registry.with(fmt::layer().with_writer(io::stderr).with_ansi(colours)).init(),
        LogFormat::Json => {
            let fields = fmt::format::JsonFields::new();
            registry.with(fmt::layer().with_writer(io::stderr).fmt_fields(fields).event_format(Lines)).init();
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
