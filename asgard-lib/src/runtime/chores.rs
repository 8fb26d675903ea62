//! Chores of the keys and of what they protect. The loops run them, one process at a time.

use crate::{
    adapters::{Rotation, SealedVault, keyring::Step},
    app::{
        Asgard,
        loops::{Chore, Pace},
    },
    error::Result,
    kernel::BlobId,
};
use async_trait::async_trait;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Takes the steps of a rotation that somebody started.
pub(super) struct RotateKeys {
    vault: Arc<SealedVault>,
    rotation: Rotation,
}

impl RotateKeys {
    pub fn new(vault: &Arc<SealedVault>) -> Self {
        Self { vault: Arc::clone(vault), rotation: Rotation::new(Arc::clone(vault)) }
    }
}

#[async_trait]
impl Chore for RotateKeys {
    fn name(&self) -> &'static str {
        "rotate-keys"
    }

    fn period(&self) -> Duration {
        Duration::from_secs(20)
    }

    async fn wanted(&self, _: &Arc<Asgard>) -> Result<bool> {
        Ok(self.vault.keyring().is_rotating())
    }

    async fn run(&self, app: &Arc<Asgard>) -> Result<Pace> {
        Ok(match self.rotation.step(app.world().now()).await? {
            Step::Idle | Step::Waiting(_) => Pace::Rest,
            Step::Activated(_) | Step::Swept { .. } | Step::Retired(_) | Step::Raced => Pace::Again,
        })
    }
}

/// Deletes blobs that a process left behind when it died between writing one and naming it.
pub(super) struct CollectOrphans {
    vault: Arc<SealedVault>,
    /// How far this round is. Losing it only means looking again.
    after: Mutex<Option<BlobId>>,
}

impl CollectOrphans {
    pub fn new(vault: &Arc<SealedVault>) -> Self {
        Self { vault: Arc::clone(vault), after: Mutex::default() }
    }
}

#[async_trait]
impl Chore for CollectOrphans {
    fn name(&self) -> &'static str {
        "collect-orphans"
    }

    fn period(&self) -> Duration {
        Duration::from_secs(3600)
    }

    async fn run(&self, app: &Arc<Asgard>) -> Result<Pace> {
        let after = self.after.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let collected = self.vault.collect_orphan_blobs(app.world().now(), after.as_ref()).await?;
        if collected.deleted > 0 {
            tracing::info!(deleted = collected.deleted, "Deleted encrypted bytes that nothing names.");
        }
        let pace = if collected.next.is_some() { Pace::Again } else { Pace::Rest };
        *self.after.lock().unwrap_or_else(PoisonError::into_inner) = collected.next;
        Ok(pace)
    }
}
