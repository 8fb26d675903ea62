//! The same suites on what Asgard holds itself, so that nothing is asked of AWS alone.

use asgard_lib::{
    Result,
    adapters::{LocalKey, MasterKeys, SealedSecrets, SealedVault},
    backends::MemoryStore,
    kernel::{ProjectId, SecretId, SecretText},
    ports::{
        secrets::{SecretOwner, SecretStore},
        world::World,
    },
};
use std::sync::Arc;
use zeroize::Zeroizing;

fn key(fill: u8) -> LocalKey {
    LocalKey::new(Zeroizing::new([fill; 32]), World::system())
}

async fn two_keys() -> (LocalKey, LocalKey, ()) {
    (key(1), key(2), ())
}

/// The keyring and the vault of a store in memory, and secrets in it.
pub async fn sealed() -> (SealedSecrets, Arc<SealedVault>) {
    let (store, world) = (MemoryStore::new(), World::system());
    let masters = MasterKeys::only(Arc::new(key(1)));
    let vault = SealedVault::on(Arc::new(store.clone()), Arc::new(store), masters, world.clone()).await.unwrap();
    (SealedSecrets::new(Arc::clone(&vault), world), vault)
}

mod wrapper {
    asgard_lib::wrapper_contract!(super::two_keys);
}

mod secrets {
    asgard_lib::secrets_contract!(super::sealed);
}

/// A store that holds nothing takes the place of nothing: what is behind it stays.
struct Empty;

#[async_trait::async_trait]
impl SecretStore for Empty {
    async fn put(&self, _: &SecretId, _: u32, _: &SecretText, _: &SecretOwner) -> Result<()> {
        panic!("nothing is put into the store that was there before")
    }
    async fn get(&self, _: &SecretId, _: u32, _: &SecretOwner) -> Result<Option<SecretText>> {
        Ok(None)
    }
    async fn forget(&self, _: &SecretId, _: u32, _: Option<&SecretOwner>) -> Result<()> {
        Ok(())
    }
}

async fn layered() -> (asgard_lib::adapters::LayeredSecrets, ()) {
    let (now, before) = (Arc::new(sealed().await.0), Arc::new(Empty));
    (asgard_lib::adapters::LayeredSecrets { now, before }, ())
}

mod layers {
    asgard_lib::secrets_contract!(super::layered);
}

#[tokio::test]
async fn what_was_there_before_is_read_and_forgotten_and_not_written() {
    let (now, before) = (Arc::new(sealed().await.0), Arc::new(sealed().await.0));
    let id: SecretId = World::system().id();
    let owner = SecretOwner { project: ProjectId::new(2026, 1), resource: World::system().id() };
    before.put(&id, 1, &SecretText::new("old"), &owner).await.unwrap();
    let both = asgard_lib::adapters::LayeredSecrets { now: Arc::clone(&now) as _, before: Arc::clone(&before) as _ };
    both.put(&id, 2, &SecretText::new("new"), &owner).await.unwrap();
    assert!(
        both.get(&id, 1, &owner).await.unwrap().unwrap().same("old")
            && both.get(&id, 2, &owner).await.unwrap().unwrap().same("new")
    );
    assert!(before.get(&id, 2, &owner).await.unwrap().is_none() && now.get(&id, 1, &owner).await.unwrap().is_none());
    both.forget(&id, 1, Some(&owner)).await.unwrap();
    assert!(both.get(&id, 1, &owner).await.unwrap().is_none() && before.get(&id, 1, &owner).await.unwrap().is_none());
    assert!(both.get(&id, 2, &owner).await.unwrap().is_some());
}
