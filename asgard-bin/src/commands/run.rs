//! The supervisor of one run, in a process of its own: a server that is killed does not take it along.

use super::{start, supervisors};
use crate::{
    failure::{Failure, Result},
    logging::Talk,
    process::{self, Stop},
};
use asgard_lib::{
    adapters::terraform::{SuperviseOptions, SupervisorExit, harden_process, supervise},
    kernel::RunId,
    runtime::{Runtime, RuntimeOptions},
};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// A database that is away for a moment is no reason to start over.
const PATIENCE: Duration = Duration::from_secs(20);

pub fn run(config: Option<PathBuf>, run: &RunId) -> Result<()> {
    let loaded = start(config.clone(), Talk::Usual)?;
    harden_process();
    let Some(terraform) = &loaded.config.provisioning.terraform else {
        return Err(Failure::usage("provisioning is not armed, so there is nothing to supervise").hint(
            "The server's own configuration arms it: ASGARD_TF_MODULES_DIR, or provisioning.terraform in the file.",
        ));
    };
    process::one_thread()?.block_on(async {
        let mut signals = Stop::listen()?;
        let options = RuntimeOptions { patience: PATIENCE, ..RuntimeOptions::command(supervisors(config.as_ref())?) };
        let runtime = tokio::select! {
            opened = Runtime::open(&loaded.config, options) => opened?,
            // Nothing was claimed yet: the run is as it was.
            (name, _) = signals.next() => {
                tracing::info!(run.id = %run, "{name} before the run was claimed.");
                return Ok(());
            }
        };
        let supervision =
            SuperviseOptions { own_process: true, ..SuperviseOptions::new(&terraform.work_dir, &terraform.bin) };
        let stop = supervision.stop.clone();
        // A second signal changes nothing: Terraform is interrupted once and its state is stored, whoever is impatient.
        let listening = tokio::spawn(async move {
            loop {
                let (name, _) = signals.next().await;
                tracing::info!("{name}: interrupting Terraform and storing its state.");
                stop.cancel();
            }
        });
        let done = supervise(Arc::clone(runtime.app()), run, &supervision).await;
        listening.abort();
        runtime.close().await;
        match done? {
            SupervisorExit::Finished { ending } => tracing::info!(run.id = %run, ending, "The run is over."),
            SupervisorExit::NotNeeded { why } => tracing::info!(run.id = %run, why, "The run needs no supervisor."),
            SupervisorExit::Held { until } => tracing::info!(run.id = %run, %until, "Another run has the resource."),
            SupervisorExit::LeaseLost => tracing::warn!(run.id = %run, "Somebody else has the run by now."),
        }
        Ok(())
    })
}
