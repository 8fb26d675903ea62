//! A secret store that came after another one: new values go to the new one, what is only in the old one stays readable.

use crate::{
    error::Result,
    kernel::{ProjectId, SecretId, SecretText},
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
    async fn put(&self, id: &SecretId, version: u32, value: &SecretText, project: &ProjectId) -> Result<()> {
        self.now.put(id, version, value, project).await
    }

    async fn get(&self, id: &SecretId, version: u32) -> Result<Option<SecretText>> {
        match self.now.get(id, version).await? {
            Some(value) => Ok(Some(value)),
            None => self.before.get(id, version).await,
        }
    }

    async fn forget(&self, id: &SecretId, version: u32) -> Result<()> {
        self.now.forget(id, version).await?;
        self.before.forget(id, version).await
    }
}
