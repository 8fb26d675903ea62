//! Asgard as AWS Lambda functions: `http` answers requests, `events` does what a schedule or a commit asks for, and `runner`
//! is the task that carries one run out. No rule lives here. What is here is what differs from a server: a function is
//! frozen between events, so nothing may be left to do after an answer, and each event says how much time there is.

pub mod deadline;
pub mod event;
pub mod events;
pub mod http;
pub mod open;
pub mod runner;
pub mod settings;
pub mod waker;

use asgard_lib::{
    config::Environment,
    logging::{self, FILTER_HINT},
};
pub use settings::Settings;
use std::{io::Write, process::ExitCode};

/// What Lambda sets for every function.
const VARIABLES: [&str; 4] = [
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
];

/// What is wrong is wrong until somebody changes it.
pub(crate) const USAGE: u8 = 2;

/// Why this process is not a Lambda function, if it is not: the runtime itself would only panic.
pub fn started_by_hand(environment: &Environment) -> Option<String> {
    let missing: Vec<&str> = VARIABLES.into_iter().filter(|name| environment.get(name).is_none()).collect();
    let sentence = "This program is started by AWS Lambda, and not by hand; `asgard serve` runs Asgard as a server.";
    (!missing.is_empty()).then(|| format!("{sentence} (Not set: {}.)", missing.join(", ")))
}

/// Runs a function from its start to its end: the settings, the log, and what serves.
pub fn function<F>(serve: impl FnOnce(Settings) -> F) -> ExitCode
where
    F: Future<Output = Result<(), lambda_http::Error>>,
{
    let environment = Environment::from_process();
    if let Some(why) = started_by_hand(&environment) {
        return said(&why, USAGE);
    }
    // One event at a time: a second thread would only be another one to start.
    let threads = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(threads) => threads,
        Err(error) => return said(&format!("No thread could be started: {error}"), 1),
    };
    threads.block_on(async {
        let settings = match ready(environment).await {
            Ok(settings) => settings,
            Err(why) => return said(&why, USAGE),
        };
        match serve(settings).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => said(&format!("The function cannot go on: {error}"), 1),
        }
    })
}

/// The settings, with the log started as they say.
pub(crate) async fn ready(environment: Environment) -> Result<Settings, String> {
    let settings = Settings::load(environment).await?;
    // On stderr, where the platform collects it.
    let loaded = &settings.loaded;
    logging::start(loaded, &loaded.config.log.filter, false).map_err(|why| format!("{why}. {FILTER_HINT}"))?;
    Ok(settings)
}

/// Says why a process ends, past the log, which may not be there yet.
pub(crate) fn said(why: &str, code: u8) -> ExitCode {
    // Where stderr is gone there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{why}");
    ExitCode::from(code)
}
