//! The secret store that the configuration names.

use super::cloud::Cloud;
use crate::{
    adapters::{LayeredSecrets, SealedSecrets, SealedVault},
    config::{Config, KeySource, SecretStoreKind},
    error::Result,
    ports::{secrets::SecretStore, world::World},
};
use std::sync::Arc;

/// The configured store. Values from before it was Secrets Manager stay where they are.
pub(super) async fn configured(
    config: &Config,
    vault: &Arc<SealedVault>,
    world: &World,
    cloud: &Cloud,
) -> Result<Arc<dyn SecretStore>> {
    let sealed = Arc::new(SealedSecrets::new(Arc::clone(vault), world.clone()));
    match config.secrets.store {
        SecretStoreKind::Sealed => Ok(sealed),
        SecretStoreKind::SecretsManager => {
            let key = match &config.keys.source {
                KeySource::Kms(key) => Some(key),
                KeySource::Given(_) | KeySource::GeneratedFile { .. } => None,
            };
            let now = cloud.secrets_manager(&config.secrets.path, key).await?;
            Ok(Arc::new(LayeredSecrets { now, before: sealed }))
        }
    }
}
