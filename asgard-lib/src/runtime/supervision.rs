//! A process that exists for one run: `asgard run`, and the task that carries a run out elsewhere.

use super::{Runtime, RuntimeOptions};
use crate::{
    adapters::terraform::{SuperviseOptions, SupervisorExit, supervise},
    app::Asgard,
    config::Config,
    error::{Code, Error, Result},
    kernel::RunId,
    ports::runner::SupervisorLocation,
};
use std::{pin::pin, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// What is particular about the process.
#[derive(Default)]
pub struct Alone {
    /// The most of a service's grace that Terraform gets after a signal.
    pub hurry: Option<Duration>,
    /// Where the process is, when the process table does not say.
    pub place: Option<SupervisorLocation>,
}

crate::kernel::opaque!(Alone);

/// Opens the database and supervises one run to its end. `signal` resolves to the name of each signal that asks to stop;
/// however many there are, Terraform is interrupted once and its state is stored. `beside` runs along, and gets to finish
/// once its token is cancelled.
///
/// # Errors
///
/// When provisioning is not armed, the database cannot be opened, or the run's end could not be stored. How the run itself
/// went is in the run.
pub async fn supervise_alone(
    config: &Config,
    run: &RunId,
    options: RuntimeOptions,
    alone: Alone,
    mut signal: impl AsyncFnMut() -> &'static str,
    beside: impl AsyncFnOnce(Arc<Asgard>, CancellationToken),
) -> Result<()> {
    let Some(terraform) = &config.provisioning.terraform else {
        let message = "Provisioning is not armed, so there is nothing to supervise: set ASGARD_TF_MODULES_DIR, or provisioning.terraform in the file, as for the server.";
        return Err(Error::new(Code::Config, message));
    };
    let runtime = tokio::select! {
        opened = Runtime::open(config, options) => opened?,
        // Nothing was claimed yet: the run is as it was.
        name = signal() => {
            tracing::info!(run.id = %run, "{name} before the run was claimed.");
            return Ok(());
        }
    };
    let Alone { hurry, place } = alone;
    let supervision = SuperviseOptions {
        own_process: true,
        hurry,
        place,
        mirror: terraform.provider_mirror.clone(),
        ..SuperviseOptions::new(&terraform.work_dir, &terraform.bin)
    };
    let ended = CancellationToken::new();
    let mut along = pin!(beside(Arc::clone(runtime.app()), ended.clone()));
    let mut along_ended = false;
    let done = {
        let mut supervising = pin!(supervise(Arc::clone(runtime.app()), run, &supervision));
        loop {
            tokio::select! {
                biased;
                done = &mut supervising => break done,
                // A second signal changes nothing: Terraform is interrupted once, whoever is impatient.
                name = signal() => {
                    tracing::info!(run.id = %run, "{name}: interrupting Terraform and storing its state.");
                    supervision.stop.cancel();
                }
                () = &mut along, if !along_ended => along_ended = true,
            }
        }
    };
    ended.cancel();
    if !along_ended {
        along.await;
    }
    runtime.close().await;
    match done? {
        SupervisorExit::Finished { ending } => tracing::info!(run.id = %run, ending, "The run is over."),
        SupervisorExit::NotNeeded { why } => tracing::info!(run.id = %run, why, "The run needs no supervisor."),
        SupervisorExit::Held { until } => tracing::info!(run.id = %run, %until, "Another run has the resource."),
        SupervisorExit::LeaseLost => tracing::warn!(run.id = %run, "Somebody else has the run by now."),
    }
    Ok(())
}
