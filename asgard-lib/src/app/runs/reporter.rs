//! What a supervisor reports while it works on a run.

use super::{
    claimed_run::{ClaimedRun, lost},
    log, state,
};
use crate::{
    app::core::waiver::AuditWaiver,
    domain::{
        request::{Request, RequestStatus},
        run::{LogLine, Run},
    },
    error::{Error, Result},
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
        if !self.hold.renew().await? {
            return Ok(Renewal::Lost);
        }
        // Looking is enough: the run's end is decided by a commit of its own.
        let run = self.app().store().read::<Run>(self.run.as_str()).await?;
        Ok(Renewal::Held { cancel: run.is_some_and(|run| run.cancel) })
    }

    fn stop_by(&self) -> Timestamp {
        self.hold.expires_at().minus(Self::STOP_BEFORE)
    }

    async fn engine(&self, engine: &str, module_digest: &str) -> Result<()> {
        let (hold, id, inputs) = (&self.hold, &self.run, &self.inputs);
        let work = self.app().transact(hold.call(), |tx| {
            Box::pin(async move {
                if hold.mine(tx).await?.is_none() {
                    return Ok(None);
                }
                tx.waive_audit(AuditWaiver::RunFacts)?;
                let run = tx.need::<Run>(id.as_str()).await?;
                let (engine, module_digest) = (Some(engine.to_owned()), Some(module_digest.to_owned()));
                let inputs = inputs.clone();
                tx.replace(&run, &Run { engine, module_digest, inputs, ..run.value.clone() }).map(Some)
            })
        });
        hold.commit(work).await?.ok_or_else(lost)
    }

    async fn applying(&self) -> Result<()> {
        let (hold, id) = (&self.hold, &self.run);
        let work = self.app().transact(hold.call(), |tx| {
            Box::pin(async move {
                if hold.mine(tx).await?.is_none() {
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
                if !request.began {
                    tx.replace(&request, &Request { began: true, ..request.value.clone() })?;
                }
                if run.applying != Some(true) {
                    tx.replace(&run, &Run { applying: Some(true), ..run.value.clone() })?;
                }
                Ok(Some(()))
            })
        });
        hold.commit(work).await?.ok_or_else(lost)
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
