//! The supervisor: claims a run, carries it out, and ends it in the store.

use super::{
    conduct::{Order, SuperviseOptions, conduct},
    place, workdir,
};
use crate::{
    app::{
        Asgard,
        runs::{Assignment, Claim, Claimant, ClaimedRun},
    },
    domain::run::RunOp,
    error::Result,
    kernel::{RunId, Timestamp},
    ports::runner::RunOutcome,
};
use std::{sync::Arc, time::Duration};

/// How long before a role's credentials end the run is out of time: Terraform has to record what it made.
const BEFORE_THEY_END: Duration = Duration::from_secs(180);

/// What became of a supervisor. None of these is a failure of its own: how the run went is in the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SupervisorExit {
    /// The run is over.
    Finished {
        /// How it ended: `applied`, `failed`.
        ending: &'static str,
    },
    /// There was nothing to do.
    NotNeeded {
        /// Why.
        why: String,
    },
    /// Another run has the resource.
    Held {
        /// When its lease runs out unless it is renewed.
        until: Timestamp,
    },
    /// Somebody else has the run by now; nothing was committed any more.
    LeaseLost,
}

/// Claims `run` and carries it out. Calling it twice for one run is harmless: the second claim loses.
pub async fn supervise(app: Arc<Asgard>, run: &RunId, options: &SuperviseOptions) -> Result<SupervisorExit> {
    let place = options.place.clone().unwrap_or_else(|| {
        // Made here if it is not there, so that the folder's id is known; what is wrong with it is said once the run is claimed.
        let folder = workdir::parent(&options.work_dir);
        place::here(folder.as_deref().unwrap_or(&options.work_dir))
    });
    if options.own_process {
        harden_process();
    }
    let mut claimant = Claimant::at(place);
    if options.helper.is_some() {
        claimant = claimant.ending_in_time();
    }
    let (assignment, claimed_run) = match ClaimedRun::claim(&app, run, claimant).await? {
        Claim::Claimed(assignment, claimed_run) => (assignment, claimed_run),
        Claim::NotNeeded { why } => return Ok(SupervisorExit::NotNeeded { why }),
        Claim::Held { until } => return Ok(SupervisorExit::Held { until }),
    };
    tracing::info!(run.id = %run, op = assignment.run.op.name(), resource.id = %assignment.resource.id, "supervising a run");
    let role = assignment.role.clone();
    let mut order = order(*assignment);
    if let Some(role) = role
        && let Err(ending) = assume(&mut order, &role, options).await
    {
        claimed_run.finish(ending).await?;
        return Ok(SupervisorExit::Finished { ending: "failed" });
    }
    let Some(ending) = Box::pin(conduct(&order, &claimed_run, app.world(), options)).await else {
        return Ok(SupervisorExit::LeaseLost);
    };
    let name = ending.name();
    claimed_run.finish(ending).await?;
    tracing::info!(run.id = %run, ending = name, "the run is over");
    Ok(SupervisorExit::Finished { ending: name })
}

/// Gives the run the credentials of its target's role, and no more time than they last.
async fn assume(order: &mut Order, role: &str, options: &SuperviseOptions) -> Result<(), RunOutcome> {
    let failed = |why: String| RunOutcome::Failed { error: why, may_exist: Vec::new() };
    let Some(roles) = &options.roles else {
        return Err(failed(format!(
            "This target's role {role} cannot be assumed: whoever supervises this run has no way to AWS."
        )));
    };
    let assumed = roles.assume(role, &order.run, order.timeout).await.map_err(|error| {
        tracing::error!(run.id = %order.run, "a target's role cannot be assumed: {}", error.chain());
        failed(error.message().to_owned())
    })?;
    order.child_env.extend(assumed.variables);
    order.timeout = order.timeout.min(assumed.lasts.saturating_sub(BEFORE_THEY_END));
    Ok(())
}

fn order(assignment: Assignment) -> Order {
    let lock = match assignment.run.op {
        RunOp::PlanDestroy | RunOp::Refresh => assignment.lock,
        // A plan brings its own.
        RunOp::Plan | RunOp::Apply | RunOp::Destroy => None,
    };
    let manifest = &assignment.service.manifest;
    Order {
        run: assignment.run.id,
        op: assignment.run.op,
        files: assignment.service.files.clone(),
        module_digest: assignment.service.digest.clone(),
        outputs: manifest.outputs.iter().map(|(name, output)| (name.clone(), output.secret)).collect(),
        variables: assignment.variables,
        secrets: assignment.secrets,
        state: assignment.state,
        lock,
        plan: assignment.plan,
        child_env: assignment.child_env,
        timeout: Duration::from_secs(manifest.timeout_secs),
        grace: Duration::from_secs(manifest.grace_secs),
    }
}

/// Closes this process to others of the same user: Terraform runs whatever a module and its providers tell it to, and
/// without this it could read the environment and the memory of the process that started it, master key included. Also
/// makes files private by default. The process that serves needs it as much as a supervisor.
///
/// It cannot be undone by a child, and it turns off core dumps and debuggers.
pub fn harden_process() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable) {
        tracing::error!("this process cannot be closed to others of the same user: {error}");
    }
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
}
