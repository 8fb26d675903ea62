//! The log of a function or a task: on stderr, where the platform collects it.

use asgard_lib::{
    config::{Loaded, LogFormat},
    logging::{Lines, may_be_logged},
};
use std::io;
use tracing_subscriber::{EnvFilter, filter::filter_fn, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// Starts the log, and says what the configuration has to say.
///
/// # Errors
///
/// A filter that is none, as text for the operator.
pub fn start(loaded: &Loaded) -> Result<(), String> {
    let text = &loaded.config.log.filter;
    let filter = EnvFilter::builder()
        .parse(text)
        .map_err(|error| format!("log.filter: `{text}` is not a log filter: {error}. It takes a level (error, warn, info, debug, trace, off), or targets with levels such as `info,asgard_lib::app=debug`."))?;
    let registry = tracing_subscriber::registry().with(filter).with(filter_fn(may_be_logged));
    match loaded.config.log.format {
        LogFormat::Text => registry.with(fmt::layer().with_writer(io::stderr).with_ansi(false)).init(),
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
