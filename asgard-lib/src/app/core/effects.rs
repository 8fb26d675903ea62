//! What a decision must not do. A decision is made again after a lost race, so whatever it did to the world beside its batch
//! would be done again. The ports with effects ask here, and fail as a bug the first time, with or without a race.

use crate::{
    domain::secret::SecretOwner,
    error::{Error, Result},
    kernel::{SecretId, SecretText},
    ports::{secrets::SecretStore, store::Draft, vault::Vault},
};
use async_trait::async_trait;
use std::sync::Arc;
use zeroize::Zeroizing;

tokio::task_local! {
    static DECIDING: ();
}

/// Runs `decide` so that [`outside_decide`] knows of it.
pub(super) async fn deciding<T>(decide: impl Future<Output = T>) -> T {
    DECIDING.scope((), decide).await
}

/// Fails as a bug inside a decision.
pub(crate) fn outside_decide(what: &str) -> Result<()> {
    match DECIDING.try_with(|()| ()) {
        Ok(()) => {
            Err(Error::bug(format!("{what} inside a decision, which may be made again; it belongs before or after")))
        }
        Err(_) => Ok(()),
    }
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
