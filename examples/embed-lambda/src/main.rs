//! The function: opens Asgard with the configuration of its environment, and serves.

use asgard_lib::{
    config::{self, Environment, LoadOptions},
    runtime::{Runtime, RuntimeOptions},
};
use lambda_http::service_fn;
use std::process::ExitCode;

fn main() -> ExitCode {
    // An address that everybody may reach: what is meant for loopback listeners stays off.
    let bind = Some("0.0.0.0:80".to_owned());
    let options = LoadOptions { env: Environment::from_process(), bind, ..LoadOptions::default() };
    let config = match config::load(&options) {
        Ok(loaded) => loaded.config,
        Err(problems) => {
            embed_lambda::eprint_line(&problems.to_string());
            return ExitCode::from(2);
        }
    };
    let threads = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let served = threads.map_err(lambda_http::Error::from).and_then(|threads| {
        threads.block_on(async {
            let runtime = Box::pin(Runtime::builder(config).options(RuntimeOptions::function()).open()).await?;
            let function = &embed_lambda::Function::new(runtime);
            lambda_http::lambda_runtime::run(service_fn(async move |event| function.event(event).await)).await
        })
    });
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            embed_lambda::eprint_line(&format!("The function cannot go on: {error}"));
            ExitCode::FAILURE
        }
    }
}
