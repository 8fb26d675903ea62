//! Removing a resource that needs no run: there is nothing that a module, a provider or an engine would have to look at, and so it
//! works where none of them does any more.

use super::{Asked, open::fresh_request};
use crate::{
    app::{
        Tx,
        judge::{basis, not_denied},
        runs, spending,
    },
    domain::{
        audit::AuditAction,
        job::Work,
        policy::{self, Facts, Moment},
        project::Project,
        request::{Command, Produced, Request, Step, applied, facts},
        resource::{Resource, ResourceStatus, StatePointer},
    },
    error::Result,
    kernel::Usd,
    ports::{records::Stored, store::Count},
};
use std::time::Duration;

/// Removes a resource of which nothing exists, in the commit that asks for it: one for which no plan was ever let through. Where the
/// catalogue has no service of it any more, also one that was only made up by the dry run, or that never came to exist and left no
/// state. Where its account has left the allow-list, also one that was only made up. `None` when a run has to look: there is a state, an
/// apply was begun or may have been, or another request about it is open.
pub async fn remove_unmade(
    tx: &mut Tx<'_>,
    project: &Stored<Project>,
    resource: &Stored<Resource>,
) -> Result<Option<Asked>> {
    let open = Request::open_claim(&project.id, &resource.service, &resource.name);
    // With a service a run may still find out more. Without one, and without a state, no run could find anything.
    let forsaken = tx.app().services().get(&resource.service).is_none();
    // No run may go to an account that has left the allow-list. What was made up is nowhere, and needs none.
    let out_of_reach = !tx.app().services().allow_list().names(&resource.target);
    let nothing = resource.unmade
        || (forsaken && (resource.dry_run || resource.provisioned_at.is_none()))
        || (out_of_reach && resource.dry_run);
    if !nothing || tx.holder(&open).await?.is_some() {
        return Ok(None);
    }
    if tx.read_checked::<StatePointer>(resource.id.as_str()).await?.is_some() {
        return Ok(None);
    }
    project.require_active()?;
    let now = tx.now();
    let going = match resource.status {
        ResourceStatus::Provisioning => resource.value.clone(),
        ResourceStatus::Provisioned
        | ResourceStatus::Updating
        | ResourceStatus::Failed
        | ResourceStatus::Suspended
        | ResourceStatus::Destroying
        | ResourceStatus::Destroyed => resource.go(ResourceStatus::Destroying, now)?,
    };
    let mut request = fresh_request(tx, project, &going, Command::Deprovision, Usd::ZERO)?;
    let going = Resource { request: request.id.clone(), ..going };
    // A service that is gone has nothing to say about what was never made.
    if let Some(service) = tx.app().services().get(&resource.service).cloned() {
        let actor = request.requested_by.clone();
        let step = Step { moment: Moment::Asking, actor, at: now, plan: None, grown: false };
        let facts = facts(basis(tx, project, &service).await?, &request, &going, step);
        // Its target is not touched, so that nothing is asked about that.
        let judged = not_denied(tx.app(), &Facts { target_listed: true, ..facts })?;
        policy::record(&mut request.judgements, judged);
    }
    let removed = applied(&request, &going, Produced::default(), now)?;
    let (secrets, dropped) = runs::remove_secrets(tx, resource).await?;
    if !secrets.is_empty() {
        tx.job(Work::Forget { sealed: Vec::new(), secrets }, Duration::ZERO)?;
    }
    if !dropped.is_empty() {
        tx.job(Work::DropSecrets { resource: resource.id.clone(), secrets: dropped }, Duration::ZERO)?;
    }
    spending::count(tx, &project.id, removed.unapproved(&request, &going), None).await?;
    let count = |counter, delta| Count { counter, delta, floor: None, ceiling: None, expires_at: None };
    if removed.money != 0 {
        tx.count(count(Project::committed_counter(&project.id), removed.money))?;
    }
    tx.insert(&removed.request)?;
    tx.replace(resource, &removed.resource)?;
    tx.release(resource.claim(), &resource.id)?;
    tx.count(count(Project::resources_counter(&project.id), -1))?;
    let details = [
        ("command", request.command.name().to_owned()),
        ("service", request.service.to_string()),
        ("name", request.name.to_string()),
        ("made", if resource.unmade { "nothing" } else { "nothing that is recorded" }.to_owned()),
    ];
    tx.audit(Some(&project.id), AuditAction::RequestOpened, &request.id, &details)?;
    let action = AuditAction::request_became(removed.request.status);
    tx.audit(Some(&project.id), action, &request.id, &details)?;
    Ok(Some(Asked::Opened(Box::new(removed.request), Box::new(removed.resource))))
}
