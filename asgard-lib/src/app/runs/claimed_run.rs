//! The seam between the control side and whatever executes a run: what a supervisor is given, what it may do while it
//! holds the run, and how it can end.

use super::{held_lease::HeldLease, log::LogBudget};
use crate::{
    app::{Asgard, core::waiver::AuditWaiver, services::Service},
    domain::{
        project::Project,
        request::Request,
        resource::Resource,
        run::{LogLine, Run},
    },
    error::{Code, Error, Result},
    kernel::{ResourceId, RunId, SecretText, Timestamp},
    ports::{
        records::Records,
        runner::{Renewal, RunOutcome, RunReporter, SupervisorLocation},
    },
};
use async_trait::async_trait;
use serde_json::{Map, Value};
use std::{sync::Arc, time::Duration};
use zeroize::Zeroizing;

/// Everything that a supervisor needs to execute a run. No `Debug`: it holds secrets.
pub struct Assignment {
    /// The run, as claimed.
    pub run: Run,
    /// The request that it carries out; a refresh has none.
    pub request: Option<Request>,
    /// The resource.
    pub resource: Resource,
    /// Its project.
    pub project: Project,
    /// Its service: manifest and Terraform files.
    pub service: Arc<Service>,
    /// The module's variables: `name`, `project_id`, `rotation` and the spec, with secret references resolved.
    pub variables: Map<String, Value>,
    /// Values that must not show in logs, known from the start.
    pub secrets: Vec<SecretText>,
    /// The current Terraform state.
    pub state: Option<Zeroizing<Vec<u8>>>,
    /// For an apply or a destroy: the stored plan, as the engine side packed it.
    pub plan: Option<Zeroizing<Vec<u8>>>,
    /// Provider variables for the target's cloud.
    pub child_env: Vec<(String, SecretText)>,
}

/// What came of claiming a run.
#[allow(clippy::large_enum_variant, reason = "made once per run, and taken apart at once")]
pub enum Claim {
    /// It is this supervisor's.
    Claimed(Box<Assignment>, ClaimedRun),
    /// There is nothing to do: the run is over, or somebody else has it.
    NotNeeded {
        /// Why, for the log.
        why: String,
    },
    /// Another run has the resource.
    Held {
        /// When its lease runs out unless it is renewed.
        until: Timestamp,
    },
}

/// The right to work on a run, for as long as its lease is held. Share it in an `Arc` while the run works; only
/// [`ClaimedRun::finish`] needs it back.
pub struct ClaimedRun {
    pub(super) hold: HeldLease,
    pub(super) run: RunId,
    pub(super) resource: ResourceId,
    pub(super) log: tokio::sync::Mutex<LogBudget>,
}

impl ClaimedRun {
    /// How often to call [`ClaimedRun::renew`].
    pub const RENEW_EVERY: Duration = Duration::from_secs(15);
    /// How long before the lease runs out a child must have been stopped.
    pub const STOP_BEFORE: Duration = Duration::from_secs(10);

    /// Claims a run for a supervisor at `place`.
    pub async fn claim(app: &Arc<Asgard>, run: &RunId, place: SupervisorLocation) -> Result<Claim> {
        super::claim::claim(app, run, place).await
    }

    /// The control plane.
    pub fn app(&self) -> &Arc<Asgard> {
        self.hold.app()
    }

    /// The run.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// Ends the run: one commit with request, resource, money, secrets, audit event, the run that follows and the lease
    /// handed back. Tries again until it is done or the lease is lost.
    pub async fn finish(self, ending: RunOutcome) -> Result<()> {
        super::outcome::finish(&self, ending).await
    }
}

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
        let (hold, id) = (&self.hold, &self.run);
        let work = self.app().transact(hold.call(), |tx| {
            Box::pin(async move {
                if hold.mine(tx).await?.is_none() {
                    return Ok(None);
                }
                tx.waive_audit(AuditWaiver::RunFacts)?;
                let run = tx.need::<Run>(id.as_str()).await?;
                let (engine, module_digest) = (Some(engine.to_owned()), Some(module_digest.to_owned()));
                tx.replace(&run, &Run { engine, module_digest, ..run.value.clone() }).map(Some)
            })
        });
        hold.commit(work).await?.ok_or_else(lost)
    }

    /// The lineage must be that of the present state, and the serial greater.
    async fn store_state(&self, state: &[u8]) -> Result<()> {
        super::state::store(self, state).await.map(|_| ())
    }

    /// Past 5 MB in all, one line says that the rest is left out, but for what begins and ends.
    async fn log(&self, lines: Vec<LogLine>) -> Result<()> {
        super::log::append(self, lines).await
    }
}

/// What a supervisor is told that lost its lease.
pub(super) fn lost() -> Error {
    Error::new(Code::WrongState, "Another supervisor has taken over this run.")
}
