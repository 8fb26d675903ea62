//! Values in Secrets Manager: the suite, and what an operator sees there.

use super::peer::{aws, new_key, secrets};
use asgard_lib::{
    adapters::SecretsManager,
    config::{KmsKeyId, SecretPath},
    kernel::{ProjectId, ResourceId, SecretId, SecretText},
    ports::{
        secrets::{SecretOwner, SecretStore},
        world::World,
    },
};
use std::collections::BTreeMap;

async fn store_under(key: Option<KmsKeyId>) -> (SecretsManager, String) {
    // A path of its own for every test: the stand-in is shared.
    let path = format!("asgard-test/{}", World::system().id::<SecretId>());
    let store = SecretsManager::open(&aws(), SecretPath::parse(&path).unwrap(), key).await.unwrap();
    (store, path)
}

fn owner() -> SecretOwner {
    SecretOwner { project: ProjectId::new(2026, 12), resource: ResourceId::from_digest(&[7; 32]) }
}

fn name(path: &str, id: &SecretId) -> String {
    let owner = owner();
    format!("{path}/{}/{}/{id}", owner.project, owner.resource)
}

async fn fresh() -> (SecretsManager, String) {
    store_under(None).await
}

mod contract {
    asgard_lib::secrets_contract!(super::fresh);
}

/// Labels by the value that they are on.
async fn labels(name: &str) -> BTreeMap<String, String> {
    let client = secrets();
    let known = client.describe_secret().secret_id(name).send().await.unwrap();
    let mut found = BTreeMap::new();
    for (version, labels) in known.version_ids_to_stages.unwrap() {
        let answer = client.get_secret_value().secret_id(name).version_id(version).send().await.unwrap();
        if let Some(value) = answer.secret_string {
            found.extend(labels.into_iter().map(|label| (label, value.clone())));
        }
    }
    found
}

fn map<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.into_iter().map(|(label, value)| (label.to_owned(), value.to_owned())).collect()
}

#[tokio::test]
async fn an_operator_finds_the_secret_by_its_id_project_key_and_stages() {
    let key = new_key().await;
    let (store, path) = store_under(KmsKeyId::parse(&key)).await;
    let id: SecretId = World::system().id();
    let put = async |version: u32| {
        store.put(&id, version, &SecretText::new(format!("v{version}")), &owner()).await.unwrap();
    };
    put(1).await;
    let name = name(&path, &id);
    assert_eq!(labels(&name).await, map([("AWSCURRENT", "v1"), ("asgard-1", "v1")]));
    let known = secrets().describe_secret().secret_id(&name).send().await.unwrap();
    assert_eq!(known.kms_key_id(), Some(key.as_str()));
    let tags: Vec<_> = known.tags().iter().map(|tag| (tag.key().unwrap(), tag.value().unwrap())).collect();
    let (project, resource) = (owner().project, owner().resource);
    assert_eq!(tags, [("asgard:project", project.as_str()), ("asgard:resource", resource.as_str())]);

    put(2).await;
    let rotated = [("AWSCURRENT", "v2"), ("AWSPREVIOUS", "v1"), ("asgard-1", "v1"), ("asgard-2", "v2")];
    assert_eq!(labels(&name).await, map(rotated));
    put(3).await;
    put(1).await;
    store.forget(&id, 1, Some(&owner())).await.unwrap();
    let forgotten = [("AWSCURRENT", "v3"), ("AWSPREVIOUS", "v2"), ("asgard-2", "v2"), ("asgard-3", "v3")];
    assert_eq!(labels(&name).await, map(forgotten));
    store.forget(&id, 2, Some(&owner())).await.unwrap();
    assert_eq!(
        labels(&name).await,
        map([("AWSCURRENT", "v3"), ("asgard-3", "v3")]),
        "AWSPREVIOUS goes with its version"
    );
}

#[tokio::test]
async fn a_forgotten_secret_waits_for_its_deletion_and_shows_nothing_to_asgard() {
    let (store, path) = fresh().await;
    let id: SecretId = World::system().id();
    store.put(&id, 1, &SecretText::new("v1"), &owner()).await.unwrap();
    store.forget(&id, 51, Some(&owner())).await.unwrap();
    let name = name(&path, &id);
    let known = secrets().describe_secret().secret_id(&name).send().await.unwrap();
    assert!(known.deleted_date().is_some(), "it can be restored for a while");
    assert!(store.get(&id, 1, &owner()).await.unwrap().is_none());
    secrets().restore_secret().secret_id(&name).send().await.unwrap();
    let value = secrets().get_secret_value().secret_id(&name).send().await.unwrap();
    assert_eq!(value.secret_string(), Some("v1"), "an operator who restores it can read it");
    assert!(store.get(&id, 1, &owner()).await.unwrap().is_none(), "and Asgard does not take it up again");
}

/// What somebody puts into the secret by hand is not what Asgard reveals.
#[tokio::test]
async fn only_versions_that_asgard_put_are_read() {
    let (store, path) = fresh().await;
    let id: SecretId = World::system().id();
    store.put(&id, 1, &SecretText::new("v1"), &owner()).await.unwrap();
    secrets().put_secret_value().secret_id(name(&path, &id)).secret_string("by hand").send().await.unwrap();
    assert!(store.get(&id, 1, &owner()).await.unwrap().unwrap().same("v1"));
    store.put(&id, 2, &SecretText::new("v2"), &owner()).await.unwrap();
    assert!(store.get(&id, 2, &owner()).await.unwrap().unwrap().same("v2"));
    assert_eq!(labels(&name(&path, &id)).await["AWSCURRENT"], "v2");
}
