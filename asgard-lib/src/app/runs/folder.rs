//! The folder of a run that is over: it is removed, unless it holds the only copy of a Terraform state.

use super::state;
use crate::{
    app::{Asgard, Call},
    domain::{
        audit::AuditAction,
        resource::{Resource, ResourceStatus},
        run::Run,
    },
    error::Result,
    ports::{records::Stored, runner::Liveness},
};

/// Removes what a run that is over left behind here, or keeps it aside when that is not all stored.
pub(super) async fn clean(app: &Asgard, run: &Stored<Run>) -> Result<()> {
    if let Some(place) = &run.location
        && app.runner().probe(place, app.world().now()).await == Liveness::Alive
    {
        // It removes its folder itself, a moment after its last commit.
        return Ok(());
    }
    let left = app.runner().salvage(&run.id, run.location.as_ref()).await?;
    if left.unreadable {
        return keep(app, run).await;
    }
    match left.state {
        Some(found) if !state::is_stored(app, run, &found).await? => keep(app, run).await,
        Some(_) | None => app.runner().clean(&run.id).await,
    }
}

/// Keeps a run's folder aside, and says so: in the log, in the audit log and on the resource.
pub(super) async fn keep(app: &Asgard, run: &Run) -> Result<()> {
    let (call, id) = (Call::system("recovery", run.trace.clone()), &run.id);
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.as_system()?;
            let run = tx.need::<Run>(id.as_str()).await?;
            if run.folder_kept {
                return Ok(());
            }
            tx.replace(&run, &Run { folder_kept: true, ..run.value.clone() })?;
            let resource = tx.need::<Resource>(run.resource.as_str()).await?;
            if resource.status != ResourceStatus::Destroyed {
                let message = format!(
                    "Run {id} left a Terraform state that was never stored. It is kept on the host that it ran on; an operator finds the folder in the log of Asgard there, looks what it knows of, and brings it in."
                );
                let attention = match &resource.attention {
                    Some(before) => format!("{before} {message}"),
                    None => message,
                };
                tx.replace(&resource, &Resource { attention: Some(attention), ..resource.value.clone() })?;
            }
            tx.audit(Some(&run.project), AuditAction::RunStateKept, id, &[("op", run.op.name().to_owned())])
        })
    })
    .await?;
    let place = app.runner().set_aside(id).await?;
    tracing::error!(run.id = %id, resource.id = %run.resource, folder = place, "A run's folder holds a Terraform state that was never stored, and is kept.");
    Ok(())
}
