//! What a supervisor reports while it works on a run.

use super::{
    beginning,
    claimed_run::{ClaimedRun, lost},
    log, state,
};
use crate::{
    app::core::waiver::AuditWaiver,
    domain::run::{LogLine, Run},
    error::Result,
    kernel::Timestamp,
    ports::{
        records::Records,
        runner::{Renewal, RunReporter},
    },
};
use async_trait::async_trait;

#[async_trait]
impl RunReporter for ClaimedRun {
    async fn renew(&self) -> Result<Renewal> {
        if !self.held_lease.renew().await? {
            return Ok(Renewal::Lost);
        }
        // Looking is enough: the run's end is decided by a commit of its own.
        let run = self.app().store().read::<Run>(self.run.as_str()).await?;
        Ok(Renewal::Held { cancel: run.is_some_and(|run| run.cancel) })
    }

    fn stop_by(&self) -> Timestamp {
        self.held_lease.expires_at().minus(Self::STOP_BEFORE)
    }

    async fn engine(&self, engine: &str, module_digest: &str) -> Result<()> {
        let (held_lease, id, inputs) = (&self.held_lease, &self.run, &self.inputs);
        let work = self.app().transact(held_lease.call(), |tx| {
            Box::pin(async move {
                if held_lease.mine(tx).await?.is_none() {
                    return Ok(None);
                }
                tx.waive_audit(AuditWaiver::RunFacts)?;
                let run = tx.need::<Run>(id.as_str()).await?;
                let (engine, module_digest) = (Some(engine.to_owned()), Some(module_digest.to_owned()));
                let inputs = inputs.clone();
                tx.replace(&run, &Run { engine, module_digest, inputs, ..run.value.clone() }).map(Some)
            })
        });
        held_lease.commit(work).await?.ok_or_else(lost)
    }

    async fn applying(&self, lock: Option<&[u8]>) -> Result<()> {
        beginning::begin(self, lock).await
    }

    /// The lineage must be that of the present state, and the serial greater.
    async fn store_state(&self, state: &[u8]) -> Result<()> {
        state::store(self, state).await.map(|_| ())
    }

    /// Past 5 MB in all, one line says that the rest is left out, but for what begins and ends.
    async fn log(&self, lines: Vec<LogLine>) -> Result<()> {
        log::append(self, lines).await
    }
}
