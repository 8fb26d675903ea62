//! The master keys that the configuration names.

use super::cloud::Cloud;
use crate::{
    adapters::{
        LocalKey, MasterKeys,
        local_key::{KeyFile, Origin},
    },
    config::{KeySource, Keys, MasterKey},
    error::Result,
    ports::{secrets::KeyWrapper, store::Store, world::World},
};
use std::{path::PathBuf, sync::Arc};
use zeroize::Zeroizing;

/// Where the master key came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Master {
    /// It was configured, or the embedder gave it.
    Given,
    /// AWS KMS holds it.
    Kms,
    /// It is in this file beside the database, because none was configured.
    File {
        /// The file.
        path: PathBuf,
        /// Whether it was made just now.
        created: bool,
    },
}

/// A master key that the embedder gives instead of the configured one.
pub(super) enum GivenKey {
    Bytes(MasterKey),
    Wrapper(Arc<dyn KeyWrapper>),
}

/// The given key, the configured keys, or that of the key file, which is made for a store that has no keys yet.
pub(super) async fn masters(
    keys: &Keys,
    given: Option<&GivenKey>,
    store: &dyn Store,
    world: &World,
    cloud: &Cloud,
) -> Result<(MasterKeys, Master)> {
    let local = |key: &MasterKey| -> Arc<dyn KeyWrapper> {
        Arc::new(LocalKey::new(Zeroizing::new(*key.bytes()), world.clone()))
    };
    let (primary, master) = match (given, &keys.source) {
        (Some(GivenKey::Bytes(key)), _) | (None, KeySource::Given(key)) => (local(key), Master::Given),
        (Some(GivenKey::Wrapper(wrapper)), _) => (Arc::clone(wrapper), Master::Given),
        (None, KeySource::Kms(key)) => (cloud.kms_key(key, world).await?, Master::Kms),
        (None, KeySource::GeneratedFile { path }) => {
            let (key, origin) = KeyFile::at(path).open(store, world).await?;
            let created = match origin {
                Origin::Created => true,
                Origin::Loaded => false,
            };
            (Arc::new(key) as _, Master::File { path: path.clone(), created })
        }
    };
    let mut previous: Vec<_> = keys.previous.iter().map(local).collect();
    for key in &keys.previous_kms {
        previous.push(cloud.kms_key(key, world).await?);
    }
    Ok((MasterKeys { primary, previous }, master))
}
