//! The commit that says that a plan begins to be applied. It comes before anything is changed, and what the resource is made with is
//! kept by it.

use super::claimed_run::{ClaimedRun, lost};
use crate::{
    app::{
        Tx,
        core::waiver::AuditWaiver,
        services::kept::{self, Package},
    },
    domain::{
        request::{Request, RequestStatus},
        run::Run,
    },
    error::{Code, Error, Result},
    ports::store::Draft,
};

/// How often a module is sealed that is removed before the run refers to it.
const MAX_TRIES: u32 = 8;

/// Records that the plan begins to be applied, with the providers of that lock file.
pub(super) async fn begin(claimed_run: &ClaimedRun, lock: Option<&[u8]>) -> Result<()> {
    let Some(service) = &claimed_run.module else {
        return note(claimed_run, None).await.map(|_| ());
    };
    let package = Package::of(service, lock)?;
    for _ in 0..MAX_TRIES {
        let sealed = package.sealed(claimed_run.app(), &claimed_run.run).await?;
        if note(claimed_run, Some((&package, sealed.as_ref()))).await? {
            return Ok(());
        }
    }
    Err(Error::new(Code::Busy, "The module that is to be kept is removed again and again by others.").retry_after(1))
}

/// `false` when the module was removed a moment ago.
async fn note(claimed_run: &ClaimedRun, keeping: Option<(&Package<'_>, Option<&Draft>)>) -> Result<bool> {
    let (held_lease, id) = (&claimed_run.held_lease, &claimed_run.run);
    let work = claimed_run.app().transact(held_lease.call(), |tx| {
        Box::pin(async move {
            if held_lease.mine(tx).await?.is_none() {
                return Ok(None);
            }
            tx.waive_audit(AuditWaiver::RunFacts)?;
            let run = tx.need::<Run>(id.as_str()).await?;
            let Some(request) = run.request.clone() else {
                return Err(Error::bug(format!("{id} applies something for nobody")));
            };
            let request = tx.need::<Request>(request.as_str()).await?;
            if request.current_run.as_ref() != Some(id) || request.status != RequestStatus::Running {
                return Ok(None);
            }
            if run.applying == Some(true) {
                // It was committed by an attempt whose reply was lost.
                return Ok(Some(true));
            }
            let kept = match keeping {
                Some((package, sealed)) if package.hold(tx, id, sealed).await? => Some(package.digest.clone()),
                Some(_) => return Ok(Some(false)),
                None => None,
            };
            if !request.began {
                tx.replace(&request, &Request { began: true, ..request.value.clone() })?;
            }
            tx.replace(&run, &Run { applying: Some(true), kept, ..run.value.clone() })?;
            Ok(Some(true))
        })
    });
    held_lease.commit(work).await?.ok_or_else(lost)
}

/// Drops the run's reference to its module when the run is over. A state that the run stored has taken it over.
pub(super) fn let_go(tx: &mut Tx<'_>, run: &Run) -> Result<()> {
    run.kept.as_deref().map_or(Ok(()), |module| kept::release(tx, module))
}
