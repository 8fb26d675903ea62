//! A master key in KMS: the suite, what goes wrong with a key, and moving from one master key to another.

use super::peer::{self, kms, new_key, wrapper};
use asgard_lib::{
    Code, Kind, Result,
    adapters::{Keyring, KmsKey, LocalKey, MasterKeys, SealedSecrets, SealedVault},
    backends::MemoryStore,
    kernel::{ProjectId, SecretId, SecretText},
    ports::{
        secrets::{KeyWrapper, SecretOwner, SecretStore, WrapContext},
        world::World,
    },
};
use std::sync::Arc;
use zeroize::Zeroizing;

async fn two_keys() -> (KmsKey, KmsKey, ()) {
    (wrapper(&new_key().await).await.unwrap(), wrapper(&new_key().await).await.unwrap(), ())
}

mod contract {
    asgard_lib::wrapper_contract!(super::two_keys);
}

fn context() -> WrapContext {
    WrapContext { org: "default".into(), data_key: "dek_x".into() }
}

#[tokio::test]
async fn a_key_is_the_same_by_every_name() {
    let arn = new_key().await;
    let id = arn.rsplit('/').next().unwrap();
    let alias = format!("alias/asgard-{id}");
    kms().create_alias().alias_name(&alias).target_key_id(id).send().await.unwrap();
    let wrapped = wrapper(&arn).await.unwrap().wrap(&[7; 32], &context()).await.unwrap();
    for name in [arn.as_str(), id, &alias] {
        let key = wrapper(name).await.unwrap();
        assert_eq!(key.master_id(), arn, "{name}");
        assert_eq!(*key.unwrap(&wrapped, &context()).await.unwrap(), [7; 32], "{name}");
    }
    // Another process, another cache: what it opens is KMS's to say.
    let other = WrapContext { data_key: "dek_y".into(), ..context() };
    let error = wrapper(&arn).await.unwrap().unwrap(&wrapped, &other).await.unwrap_err();
    assert!(
        error.code() == Code::Config && error.message().contains("wrap of data key dek_y does not open"),
        "{error}"
    );
}

#[tokio::test]
async fn a_key_that_cannot_be_used_is_named_with_what_to_do() {
    let arn = new_key().await;
    let wrapped = wrapper(&arn).await.unwrap().wrap(&[7; 32], &context()).await.unwrap();
    let said = async |why: &str| {
        let key = wrapper(&arn).await.unwrap();
        for error in
            [key.unwrap(&wrapped, &context()).await.map(|_| ()), key.wrap(&[7; 32], &context()).await.map(|_| ())]
        {
            let error = error.unwrap_err();
            assert!(error.code() == Code::Config && error.message().contains(why), "{}", error.chain());
            assert!(error.message().contains(&arn), "{error}");
        }
    };
    kms().disable_key().key_id(&arn).send().await.unwrap();
    said("is disabled. Enable it").await;
    kms().enable_key().key_id(&arn).send().await.unwrap();
    assert_eq!(*wrapper(&arn).await.unwrap().unwrap(&wrapped, &context()).await.unwrap(), [7; 32]);
    kms().schedule_key_deletion().key_id(&arn).pending_window_in_days(7).send().await.unwrap();
    said("If its deletion is scheduled").await;
    let nowhere = "arn:aws:kms:eu-west-1:000000000000:key/00000000-0000-0000-0000-000000000000";
    let error = wrapper(nowhere).await.unwrap().wrap(&[7; 32], &context()).await.unwrap_err();
    assert!(error.code() == Code::Config && error.message().contains("There is no KMS key"), "{}", error.chain());
    let error = wrapper("alias/nobody-made-this").await.unwrap_err();
    assert!(error.message().contains("There is no KMS key alias/nobody-made-this"), "{error}");
    let macs = kms().create_key().key_usage(aws_sdk_kms::types::KeyUsageType::GenerateVerifyMac);
    let macs = macs.key_spec(aws_sdk_kms::types::KeySpec::Hmac256).send().await.unwrap().key_metadata.unwrap();
    let error = wrapper(macs.key_id()).await.unwrap_err();
    assert!(error.message().contains("is not a symmetric key"), "{error}");
}

/// A process on a store.
struct Process {
    keyring: Arc<Keyring>,
    secrets: SealedSecrets,
}

async fn start(store: &MemoryStore, masters: MasterKeys) -> Result<Process> {
    let world = World::system();
    let keyring = Keyring::open(Arc::new(store.clone()), masters, world.clone()).await?;
    let vault = SealedVault::new(Arc::new(store.clone()), Arc::new(store.clone()), Arc::clone(&keyring), world.clone());
    Ok(Process { keyring, secrets: SealedSecrets::new(Arc::new(vault), world) })
}

/// From a local key to KMS, from one KMS key to another, and back, with values and a mark that stay readable all the while.
#[tokio::test]
async fn the_master_key_moves_to_kms_between_keys_of_kms_and_back() {
    let store = MemoryStore::new();
    let local: Arc<dyn KeyWrapper> = Arc::new(LocalKey::new(Zeroizing::new([9; 32]), World::system()));
    let one: Arc<dyn KeyWrapper> = Arc::new(wrapper(&new_key().await).await.unwrap());
    let two: Arc<dyn KeyWrapper> = Arc::new(wrapper(&new_key().await).await.unwrap());
    let id: SecretId = World::system().id();
    let owner = &SecretOwner { project: ProjectId::new(2026, 1), resource: World::system().id() };
    let first = start(&store, MasterKeys::only(Arc::clone(&local))).await.unwrap();
    first.secrets.put(&id, 1, &SecretText::new("correct horse battery"), owner).await.unwrap();
    let mark = asgard_lib::ports::vault::TokenSealer::mark(&*first.keyring, "audit", b"block").unwrap();

    let path = [&local, &one, &two, &local];
    for step in path.windows(2) {
        let (old, new) = (step[0], step[1]);
        let refused = start(&store, MasterKeys::only(Arc::clone(new))).await.err().unwrap();
        assert!(refused.message().contains("The master key is wrong"), "{refused}");
        assert!(refused.message().contains(&old.master_id()) && refused.message().contains(&new.master_id()));

        let rolled = start(&store, MasterKeys::replacing(Arc::clone(old), Arc::clone(new))).await.unwrap();
        assert!(rolled.secrets.get(&id, 1, owner).await.unwrap().unwrap().same("correct horse battery"));
        // A replica that has not rolled yet still starts.
        start(&store, MasterKeys::only(Arc::clone(old))).await.unwrap();
        let alone = start(&store, MasterKeys::only(Arc::clone(new))).await.unwrap();
        assert_eq!(alone.keyring.drop_stale_wraps().await.unwrap(), 1);
        assert_eq!(Keyring::masters_of(&store).await.unwrap(), [new.master_id()]);
        assert!(start(&store, MasterKeys::only(Arc::clone(old))).await.is_err(), "the old key is of no use any more");
        let again = start(&store, MasterKeys::only(Arc::clone(new))).await.unwrap();
        assert!(again.secrets.get(&id, 1, owner).await.unwrap().unwrap().same("correct horse battery"));
        assert!(
            asgard_lib::ports::vault::TokenSealer::verify(&*again.keyring, "audit", b"block", &mark).await.unwrap()
        );
    }
    let dump = format!("{store:?}");
    assert!(!dump.contains("correct horse"));
}

/// The last way in is never dropped: a key that was disabled meanwhile keeps the old wraps.
#[tokio::test]
async fn stale_wraps_stay_while_kms_does_not_open_the_new_ones() {
    let store = MemoryStore::new();
    let local: Arc<dyn KeyWrapper> = Arc::new(LocalKey::new(Zeroizing::new([9; 32]), World::system()));
    start(&store, MasterKeys::only(Arc::clone(&local))).await.unwrap();
    let arn = new_key().await;
    let both = async || MasterKeys::replacing(Arc::clone(&local), Arc::new(wrapper(&arn).await.unwrap()));
    start(&store, both().await).await.unwrap();
    kms().disable_key().key_id(&arn).send().await.unwrap();
    let refused = start(&store, MasterKeys::only(Arc::new(wrapper(&arn).await.unwrap()))).await.err().unwrap();
    assert!(refused.message().contains("Enable it"), "{refused}");
    // With both keys the old one still opens everything: a disabled new key is no reason to stand still.
    start(&store, both().await).await.unwrap();
    assert_eq!(Keyring::masters_of(&store).await.unwrap().len(), 2);
}

#[tokio::test]
async fn an_aws_that_is_away_is_waited_for_and_not_refused() {
    let away = asgard_lib::aws::Aws::with(peer::sdk().to_builder().endpoint_url("http://127.0.0.1:9").build());
    let name = asgard_lib::config::KmsKeyId::parse("alias/asgard").unwrap();
    let error = KmsKey::open(&away, &name, World::system()).await.unwrap_err();
    assert_eq!((error.code(), error.kind()), (Code::KeyUnavailable, Kind::Unavailable), "{}", error.chain());
}
