//! What a decision must not do. A decision is made again after a lost race, so whatever it did to the world beside its batch
//! would be done again. The ports with effects ask here, and fail as a bug the first time, with or without a race.

use crate::{
    domain::secret::SecretOwner,
    error::{Error, Result},
    kernel::{RunId, SecretId, SecretText, Timestamp},
    ports::{
        anchors::AnchorSink,
        runner::{Liveness, Runner, Salvage, SupervisorLocation},
        secrets::SecretStore,
        store::Draft,
        vault::Vault,
    },
};
use async_trait::async_trait;
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};
use zeroize::Zeroizing;

tokio::task_local! {
    /// What a decision tried first of what it must not do.
    static DECIDING: Arc<OnceLock<String>>;
}

/// Runs `decide` so that [`outside_decide`] knows of it. Fails as a bug when it tried what it must not do, whatever it made of
/// the refusal.
pub(super) async fn deciding<T>(decide: impl Future<Output = T>) -> Result<T> {
    let tried = Arc::new(OnceLock::new());
    let decided = DECIDING.scope(Arc::clone(&tried), decide).await;
    match tried.get() {
        Some(what) => Err(refused(what)),
        None => Ok(decided),
    }
}

/// Fails as a bug inside a decision.
pub(crate) fn outside_decide(what: &str) -> Result<()> {
    match DECIDING.try_with(|tried| drop(tried.set(what.to_owned()))) {
        Ok(()) => Err(refused(what)),
        Err(_) => Ok(()),
    }
}

fn refused(what: &str) -> Error {
    Error::bug(format!("{what} inside a decision, which may be made again; it belongs before or after"))
}

/// A [`SecretStore`] that no decision may use.
pub(crate) struct GuardedSecrets(pub Arc<dyn SecretStore>);

#[async_trait]
impl SecretStore for GuardedSecrets {
    async fn put(&self, id: &SecretId, version: u32, value: &SecretText, owner: &SecretOwner) -> Result<()> {
        outside_decide("storing a secret value")?;
        self.0.put(id, version, value, owner).await
    }

    async fn get(&self, id: &SecretId, version: u32, owner: &SecretOwner) -> Result<Option<SecretText>> {
        outside_decide("reading a secret value")?;
        self.0.get(id, version, owner).await
    }

    async fn forget(&self, id: &SecretId, version: u32, owner: Option<&SecretOwner>) -> Result<()> {
        outside_decide("forgetting a secret value")?;
        self.0.forget(id, version, owner).await
    }
}

/// A [`Vault`] that no decision may use.
pub(crate) struct GuardedVault(pub Arc<dyn Vault>);

#[async_trait]
impl Vault for GuardedVault {
    async fn prepare(&self, id: &str, context: &str, plaintext: &[u8]) -> Result<Draft> {
        outside_decide("sealing a value")?;
        self.0.prepare(id, context, plaintext).await
    }

    async fn read(&self, id: &str, context: &str) -> Result<Option<Zeroizing<Vec<u8>>>> {
        outside_decide("reading a sealed value")?;
        self.0.read(id, context).await
    }

    async fn forget(&self, id: &str) -> Result<()> {
        outside_decide("forgetting a sealed value")?;
        self.0.forget(id).await
    }
}

/// A [`Runner`] that no decision may have do anything. What it is may be asked.
pub(crate) struct GuardedRunner(pub Arc<dyn Runner>);

#[async_trait]
impl Runner for GuardedRunner {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn is_dry(&self) -> bool {
        self.0.is_dry()
    }

    fn claim_within(&self) -> Duration {
        self.0.claim_within()
    }

    async fn launch(&self, run: &RunId) -> Result<()> {
        outside_decide("starting a supervisor")?;
        self.0.launch(run).await
    }

    /// Inside a decision it is not asked, and the decision fails.
    async fn why_unclaimed(&self, run: &RunId) -> Option<String> {
        outside_decide("asking about a supervisor").ok()?;
        self.0.why_unclaimed(run).await
    }

    /// Inside a decision it is not asked, and the decision fails.
    async fn probe(&self, place: &SupervisorLocation, now: Timestamp) -> Liveness {
        match outside_decide("probing a supervisor") {
            Ok(()) => self.0.probe(place, now).await,
            Err(_) => Liveness::Unknown,
        }
    }

    async fn salvage(&self, run: &RunId, place: Option<&SupervisorLocation>) -> Result<Salvage> {
        outside_decide("salvaging what a run left")?;
        self.0.salvage(run, place).await
    }

    async fn clean(&self, run: &RunId) -> Result<()> {
        outside_decide("removing what a run left")?;
        self.0.clean(run).await
    }

    async fn set_aside(&self, run: &RunId) -> Result<Option<String>> {
        outside_decide("keeping what a run left")?;
        self.0.set_aside(run).await
    }

    async fn left_over(&self) -> Result<Vec<RunId>> {
        outside_decide("looking for what runs left")?;
        self.0.left_over().await
    }
}

/// An [`AnchorSink`] that no decision may use.
pub(crate) struct GuardedAnchors(pub Arc<dyn AnchorSink>);

#[async_trait]
impl AnchorSink for GuardedAnchors {
    async fn is_empty(&self) -> Result<bool> {
        outside_decide("looking for anchors")?;
        self.0.is_empty().await
    }

    async fn keep(&self, anchors: &[String]) -> Result<()> {
        outside_decide("keeping anchors")?;
        self.0.keep(anchors).await
    }
}
