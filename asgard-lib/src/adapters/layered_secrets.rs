//! A secret store that came after another one: new values go to the new one, what is only in the old one stays readable.

use crate::{
    domain::secret::SecretOwner,
    error::Result,
    kernel::{SecretId, SecretText},
    ports::secrets::SecretStore,
};
use async_trait::async_trait;
use std::sync::Arc;

/// Two stores, one after the other.
pub struct LayeredSecrets {
    /// Where values are put.
    pub now: Arc<dyn SecretStore>,
    /// Where older values may be.
    pub before: Arc<dyn SecretStore>,
}

crate::kernel::opaque!(LayeredSecrets);

#[async_trait]
impl SecretStore for LayeredSecrets {
    async fn put(&self, id: &SecretId, version: u32, value: &SecretText, owner: &SecretOwner) -> Result<()> {
        self.now.put(id, version, value, owner).await
    }

    async fn get(&self, id: &SecretId, version: u32, owner: &SecretOwner) -> Result<Option<SecretText>> {
        match self.now.get(id, version, owner).await? {
            Some(value) => Ok(Some(value)),
            None => self.before.get(id, version, owner).await,
        }
    }

    async fn forget(&self, id: &SecretId, version: u32, owner: Option<&SecretOwner>) -> Result<()> {
        self.now.forget(id, version, owner).await?;
        self.before.forget(id, version, owner).await
    }
}
