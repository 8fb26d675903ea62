//! From addresses to accounts: records that name somebody by an address come to name their account.

use super::is_rewritten;
use crate::{
    app::{Asgard, Call, Tx, core::waiver::AuditWaiver, spending},
    domain::{
        audit::AuditAction,
        job::{Job, Work},
        person::User,
        project::Project,
    },
    error::Result,
    kernel::{Email, JobId, Party, ProjectId, UserId},
    ports::{
        kinds::{Index, PROJECTS_BY_MANAGER, PROJECTS_BY_OWNER},
        records::{Records, Stored},
        store::Query,
    },
};
use std::time::Duration;

#[cfg(test)]
mod tests;

/// How many projects are looked at in one read.
const PAGE: usize = 100;
/// How long a record that was just written may be missing from an index that lags, with much to spare. An address is looked
/// for after that, and is given up no sooner.
const SETTLED_AFTER: Duration = Duration::from_secs(60);

/// Appends the job that binds whatever names one of the account's addresses. Nothing waits for it: an address alone gives the
/// same authority meanwhile.
/// The account's record names the job as [`User::binding`] until it is done.
pub(crate) fn later(tx: &mut Tx<'_>, user: &UserId) -> Result<JobId> {
    tx.job(Work::BindAccount { user: user.clone() }, SETTLED_AFTER)
}

/// Appends the job again if the one that the account waits for has given up. Somebody who signs in asks for it; while a job is
/// alive, that costs a read and writes nothing.
/// The job's id is for the account's record, which the caller writes.
pub(super) async fn resumed(tx: &mut Tx<'_>, user: &Stored<User>) -> Result<Option<JobId>> {
    let Some(binding) = &user.binding else { return Ok(None) };
    match tx.read::<Job>(binding.as_str()).await? {
        Some(job) if job.dead.is_none() => return Ok(None),
        // Nobody writes a dead job any more. It goes, so that an account has one at most.
        Some(dead) => tx.remove(&dead)?,
        None => {}
    }
    later(tx, &user.id).map(Some)
}

/// The same for somebody whose sign-in commits nothing.
pub(super) async fn resume_of(app: &Asgard, user: &User) -> Result<()> {
    let Some(binding) = &user.binding else { return Ok(()) };
    if app.store().read::<Job>(binding.as_str()).await?.is_some_and(|job| job.dead.is_none()) {
        return Ok(());
    }
    let call = Call::system("bind-account", app.new_trace());
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.waive_audit(AuditWaiver::JobBookkeeping)?;
            let user = tx.need::<User>(user.id.as_str()).await?;
            match resumed(tx, &user).await? {
                Some(job) => tx.replace(&user, &User { binding: Some(job), ..user.value.clone() }),
                None => Ok(()),
            }
        })
    })
    .await
}

/// Whom an address names from now on: the account that has it verified, or whoever will.
pub(crate) async fn party(tx: &Tx<'_>, email: &Email) -> Result<Party> {
    let holder = match tx.holder(&User::email_claim(email)).await? {
        Some(id) => tx.read::<User>(&id).await?,
        None => None,
    };
    Ok(holder.filter(|user| user.has(email)).map_or_else(|| Party::Address(email.clone()), |user| user.party()))
}

/// Binds every project that names one of the account's addresses to the account, and gives up former addresses that nothing
/// names any more. Answers when it has to be done again; `job` says since when.
pub async fn bind_account(app: &Asgard, id: &UserId, job: &Job) -> Result<Option<Duration>> {
    let Some(user) = app.store().read::<User>(id.as_str()).await? else { return Ok(None) };
    let mut bound = 0;
    for address in user.addresses() {
        for index in [&PROJECTS_BY_OWNER, &PROJECTS_BY_MANAGER] {
            bound += bind_named(app, &user, index, address.email()).await?;
        }
    }
    let now = app.world().now();
    // What earlier versions wrote names addresses beyond projects.
    if bound == 0 && !user.former.is_empty() && is_rewritten(app).await? {
        give_up(app, id).await?;
    }
    let settled = now.since(job.created_at) >= SETTLED_AFTER;
    let left = app.store().read::<User>(id.as_str()).await?.is_some_and(|user| !user.former.is_empty());
    if !settled || left {
        return Ok(Some(SETTLED_AFTER));
    }
    complete(app, id, &job.id).await?;
    Ok(None)
}

/// Notes that what this job had to bind is bound. An account that waits for a later job goes on waiting.
async fn complete(app: &Asgard, user: &UserId, job: &JobId) -> Result<()> {
    let call = Call::system("bind-account", app.new_trace());
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.waive_audit(AuditWaiver::JobBookkeeping)?;
            let Some(user) = tx.read_checked::<User>(user.as_str()).await? else { return Ok(()) };
            if user.binding.as_ref() != Some(job) {
                return Ok(());
            }
            tx.replace(&user, &User { binding: None, ..user.value.clone() })
        })
    })
    .await
}

async fn bind_named(app: &Asgard, user: &User, index: &'static Index, address: &Email) -> Result<usize> {
    let (mut after, mut bound) = (None, 0);
    loop {
        let page = app.store().list::<Project>(&Query::new(index, address.as_str()).after(after).take(PAGE)).await?;
        for project in &page.items {
            if user.bound(&project.owner).is_some() || user.bound(&project.manager).is_some() {
                bind_project(app, &user.id, &project.id).await?;
                bound += 1;
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(bound),
        }
    }
}

async fn bind_project(app: &Asgard, user: &UserId, project: &ProjectId) -> Result<()> {
    let call = Call::system("bind-account", app.new_trace());
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.as_system()?;
            let (user, before) = (tx.need::<User>(user.as_str()).await?, tx.need::<Project>(project.as_str()).await?);
            let owner = user.bound(&before.owner).unwrap_or_else(|| before.owner.clone());
            let manager = user.bound(&before.manager).unwrap_or_else(|| before.manager.clone());
            if (&owner, &manager) == (&before.owner, &before.manager) {
                return Ok(());
            }
            tx.audit(Some(project), AuditAction::ProjectPeopleBound, project, &[("user", user.id.to_string())])?;
            let after = Project { owner, manager, ..before.value.clone() };
            spending::follow(tx, &before, &after).await?;
            tx.replace(&before, &after)
        })
    })
    .await
}

/// Lets go of the addresses that were left long enough ago. Whoever proves one from now on has it.
async fn give_up(app: &Asgard, user: &UserId) -> Result<()> {
    let call = Call::system("bind-account", app.new_trace());
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.as_system()?;
            let before = tx.need::<User>(user.as_str()).await?;
            let mut after = before.value.clone();
            let now = tx.now();
            let mut corrected = false;
            for former in after.former.iter_mut().filter(|former| former.since.is_far_ahead_of(now)) {
                // A clock that was far ahead wrote since when; it would be kept until then.
                (former.since, corrected) = (now, true);
            }
            after.former.retain(|former| now.since(former.since) < SETTLED_AFTER);
            let stays = |email: &Email| after.former.iter().any(|former| former.email == *email);
            let gone = before.former.iter().filter(|former| !stays(&former.email));
            for former in gone.clone() {
                tx.release(User::email_claim(&former.email), user)?;
            }
            let count = gone.count();
            if count == 0 && !corrected {
                return Ok(());
            }
            if count == 0 {
                tx.waive_audit(AuditWaiver::JobBookkeeping)?;
                return tx.replace(&before, &after);
            }
            tx.audit(None, AuditAction::UserAddressReleased, user, &[("addresses", count.to_string())])?;
            tx.replace(&before, &after)
        })
    })
    .await
}
