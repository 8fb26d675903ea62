//! Commits that adapters make on their own: the keyring's records, re-encryption, sealed secrets.

use crate::{
    app::AuditWaiver,
    error::{Error, Result},
    ports::{
        kinds::Kind,
        records::store_error,
        store::{Batch, Op, Outcome, Store, StoreError, Submission},
        world::World,
    },
};
use std::time::Duration;

const ATTEMPTS: u32 = 6;

/// Commits `ops` as one batch, which holds an audit event or is no act for the reason that the waiver names. After a lost reply the same
/// batch is sent again until the store says what became of it; an outage before anything was sent is the caller's to retry.
pub(crate) async fn commit(
    store: &dyn Store,
    world: &World,
    ops: Vec<Op>,
    waiver: Option<AuditWaiver>,
) -> Result<Outcome> {
    let audits = |op: &Op| matches!(op, Op::Insert(draft) if draft.key.kind == Kind::AuditEvent);
    if waiver.is_none() && !ops.iter().any(audits) {
        return Err(Error::bug("a commit without an audit event"));
    }
    let mut batch = Batch::new(world.id(), world.now());
    for op in ops {
        batch.push(op).map_err(Error::bug)?;
    }
    let mut submission = Submission::of(&batch);
    let mut pause = Duration::from_millis(20);
    let mut attempt = 1;
    loop {
        let error = match submission.ask(store).await {
            Ok(outcome) => return Ok(outcome),
            Err(error) => error,
        };
        if !submission.is_in_doubt() || attempt == ATTEMPTS || matches!(error, StoreError::Corrupt(_)) {
            return Err(store_error(error));
        }
        attempt += 1;
        world.sleep(pause).await;
        pause *= 3;
    }
}
