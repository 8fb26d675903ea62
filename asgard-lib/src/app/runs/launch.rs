//! Before a supervisor is started: what has become pointless ends without one.

use super::claim::{Admission, admit};
use crate::{
    app::{Asgard, Call, Tx, core::waiver::AuditWaiver},
    domain::{
        lease::Lease,
        project::Project,
        request::Request,
        resource::Resource,
        run::{Run, RunStatus},
    },
    error::{Error, Result},
    kernel::RunId,
    ports::records::Records,
};

/// Whether a run's supervisor is to be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Launch {
    /// Start it.
    Go,
    /// Another run has the resource; try later.
    Wait,
    /// The run has a supervisor, or is over.
    NotNeeded,
}

/// Looks whether a run is to be started, and notes that it is being.
pub(crate) async fn prepare(app: &Asgard, id: &RunId) -> Result<Launch> {
    let Some(seen) = app.store().read::<Run>(id.as_str()).await? else { return Ok(Launch::NotNeeded) };
    if !seen.status.waits() {
        return Ok(Launch::NotNeeded);
    }
    let call = Call::system("worker", seen.trace.clone());
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.as_system()?;
            decide(tx, id).await
        })
    })
    .await
}

async fn decide(tx: &mut Tx<'_>, id: &RunId) -> Result<Launch> {
    let run = tx.need::<Run>(id.as_str()).await?;
    if !run.status.waits() {
        return Ok(Launch::NotNeeded);
    }
    let resource = tx.need::<Resource>(run.resource.as_str()).await?;
    let project = tx.read::<Project>(run.project.as_str()).await?;
    let project = project.ok_or_else(|| Error::bug(format!("{} is gone", run.project)))?;
    let request = match &run.request {
        Some(id) => Some(tx.need::<Request>(id.as_str()).await?),
        None => None,
    };
    // The ceilings under which it starts are the claim's to keep.
    if let Admission::Ended(_) = admit(tx, &run, request.as_ref(), &resource, &project).await? {
        return Ok(Launch::NotNeeded);
    }
    // Looking is enough: the claim decides.
    let lease = tx.read::<Lease>(&Run::lease_name(&run.resource)).await?;
    if lease.is_some_and(|lease| lease.holder.is_some()) {
        return Ok(Launch::Wait);
    }
    if run.status == RunStatus::Queued {
        tx.waive_audit(AuditWaiver::LaunchMark)?;
        tx.replace(&run, &run.go(RunStatus::Starting, tx.now())?)?;
    }
    Ok(Launch::Go)
}
