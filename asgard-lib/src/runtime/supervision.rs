//! A process that exists for one run: `asgard run`, and the task that carries a run out elsewhere.

use super::{Runtime, RuntimeOptions};
use crate::{
    adapters::terraform::{Helper, SuperviseOptions, SupervisorExit, Trial, supervise, try_out},
    app::Asgard,
    config::{Config, DatabaseLocation, KeySource, Terraform},
    error::{Code, Error, Result},
    kernel::RunId,
    ports::{roles::Roles, runner::SupervisorLocation},
};
use std::{path::PathBuf, pin::pin, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// What is particular about the process.
#[derive(Default)]
pub struct Alone {
    /// The most of a service's grace that Terraform gets after a signal.
    pub hurry: Option<Duration>,
    /// Where the process is, when the process table does not say.
    pub place: Option<SupervisorLocation>,
    /// That the program calls [`helper`](crate::adapters::terraform::helper) first, so that it can stand between the supervisor and
    /// Terraform.
    pub helper: Option<Helper>,
    /// Files with settings, which no module may read.
    pub closed: Vec<PathBuf>,
    /// What assumes the roles of targets, instead of AWS.
    pub roles: Option<Arc<dyn Roles>>,
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
    let roles = alone.roles.clone().or_else(|| options.cloud.roles());
    let runtime = tokio::select! {
        opened = Runtime::open(config, options) => opened?,
        // Nothing was claimed yet: the run is as it was.
        name = signal() => {
            tracing::info!(run.id = %run, "{name} before the run was claimed.");
            return Ok(());
        }
    };
    let Alone { hurry, place, helper, closed, roles: _ } = alone;
    let supervision = SuperviseOptions { hurry, place, roles, ..supervise_options(config, terraform, helper, closed) };
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

/// Tries everything that runs of Terraform on this machine need: the work folder, the folder of providers, the engine. Nothing to try is
/// where runs are carried out elsewhere, or made up.
pub async fn try_runs(config: &Config, helper: Option<Helper>, closed: Vec<PathBuf>) -> Option<Result<Trial>> {
    let provisioning = &config.provisioning;
    let (Some(terraform), None) = (&provisioning.terraform, &provisioning.fargate) else { return None };
    let given = provisioning.child_env("local");
    let given: Vec<_> = given.map(|(name, value)| (name.to_owned(), value.clone())).collect();
    Some(try_out(&supervise_options(config, terraform, helper, closed), &given).await)
}

/// How runs of Terraform are carried out by processes of this machine.
fn supervise_options(
    config: &Config,
    terraform: &Terraform,
    helper: Option<Helper>,
    mut closed: Vec<PathBuf>,
) -> SuperviseOptions {
    if let DatabaseLocation::Sqlite { path } = &config.database.location {
        closed.extend(["", "-wal", "-shm", "-journal", ".key"].map(|end| {
            let mut file = path.clone().into_os_string();
            file.push(end);
            PathBuf::from(file)
        }));
    }
    if let KeySource::GeneratedFile { path } = &config.keys.source {
        closed.push(path.clone());
    }
    SuperviseOptions {
        own_process: true,
        helper,
        closed,
        readable: terraform.readable.clone(),
        mirror: terraform.provider_mirror.clone(),
        ..SuperviseOptions::new(&terraform.work_dir, &terraform.bin)
    }
}
