//! What no emulator shows: races, throttling, missing rights, and an AWS that quotes values. The rest is in `tests/aws`.

use super::*;
use crate::{
    aws::testkit::{Answer, FakeAws, refusal},
    kernel::{ProjectId, ResourceId, testkit::KeepsAll},
    ports::world::World,
};
use serde_json::json;

const SECRET: &str = "hunter2-and-more";

fn described(versions: &[(&str, &[&str])]) -> Answer {
    let versions: serde_json::Map<_, _> =
        versions.iter().map(|(id, labels)| ((*id).to_owned(), json!(labels))).collect();
    (200, json!({ "Name": "asgard/x", "VersionIdsToStages": versions }))
}

fn put(labels: &[&str]) -> Answer {
    (200, json!({ "Name": "asgard/x", "VersionId": "v", "VersionStages": labels }))
}

fn fine() -> Answer {
    (200, json!({}))
}

async fn store(fake: &FakeAws) -> SecretsManager {
    SecretsManager::open(&fake.aws(), SecretPath::default(), None).await.unwrap()
}

fn secret() -> (SecretId, SecretText, SecretOwner) {
    let owner = SecretOwner { project: ProjectId::new(2026, 1), resource: ResourceId::from_digest(&[7; 32]) };
    (World::system().id(), SecretText::new(SECRET), owner)
}

#[tokio::test]
async fn a_first_version_is_three_calls_and_a_later_one_two() {
    let fake = FakeAws::answering([refusal(400, NOT_FOUND), fine(), put(&["AWSCURRENT", "asgard-1"])]).await;
    let store = store(&fake).await;
    let (id, value, owner) = secret();
    store.put(&id, 1, &value, &owner).await.unwrap();
    let asked = fake.asked.lock().unwrap().clone();
    let operations: Vec<&str> = asked.iter().map(|asked| asked.operation.as_str()).collect();
    assert_eq!(operations, ["describesecret", "createsecret", "putsecretvalue"]);
    let name = format!("asgard/proj-2026-0001/{}/{id}", owner.resource);
    assert_eq!(asked[1].body["Name"], name);
    let tag = |key: &str, value: &str| json!({ "Key": key, "Value": value });
    let tags = [tag("asgard:project", "proj-2026-0001"), tag("asgard:resource", owner.resource.as_str())];
    assert_eq!(asked[1].body["Tags"], json!(tags));
    assert!(asked[1].body.get("SecretString").is_none(), "a value is put in one way only");
    assert_eq!(asked[2].body["VersionStages"], json!(["AWSCURRENT", "asgard-1"]));
    let token = asked[2].body["ClientRequestToken"].as_str().unwrap();
    assert_eq!(token, version_id(&name, 1), "it follows from the secret and the number");
    assert!((32..=64).contains(&token.len()));
    fake.operations();

    // An older version that comes late does not become the current one.
    fake.then([described(&[("x", &["AWSCURRENT", "asgard-3"])]), put(&["asgard-2"])]);
    store.put(&id, 2, &value, &owner).await.unwrap();
    assert_eq!(fake.asked.lock().unwrap()[1].body["VersionStages"], json!(["asgard-2"]));
    assert_eq!(fake.operations().len(), 2);
}

#[tokio::test]
async fn races_end_with_one_value() {
    let fake =
        FakeAws::answering([refusal(400, NOT_FOUND), refusal(400, EXISTS), put(&["AWSCURRENT", "asgard-1"])]).await;
    let store = store(&fake).await;
    let (id, value, owner) = secret();
    store.put(&id, 1, &value, &owner).await.unwrap();
    // Another value under this number came first.
    fake.then([described(&[]), refusal(400, EXISTS)]);
    let error = store.put(&id, 1, &value, &owner).await.unwrap_err();
    assert_eq!(error.code(), Code::AlreadyExists);
    // The same value came first: AWS leaves it as it is, and its label with it.
    fake.operations();
    fake.then([described(&[]), put(&[]), fine()]);
    store.put(&id, 1, &value, &owner).await.unwrap();
    assert_eq!(fake.asked.lock().unwrap()[2].body["VersionStage"], "asgard-1");
    assert_eq!(fake.operations(), ["describesecret", "putsecretvalue", "updatesecretversionstage"]);
    // Another process deleted it first.
    let (held, gone) = (described(&[("x", &["AWSCURRENT", "asgard-1"])]), refusal(400, NOT_FOUND));
    fake.then([held, fine(), refusal(400, INVALID_REQUEST), gone]);
    store.forget(&id, 1, Some(&owner)).await.unwrap();
}

#[tokio::test]
async fn what_is_wrong_is_for_the_log_and_no_value_is_in_it() {
    let fake = FakeAws::answering([fine()]).await;
    let store = store(&fake).await;
    let (id, value, owner) = secret();
    let quoting =
        (400, json!({ "__type": "ValidationException", "message": format!("Value '{SECRET}' at 'secretString'") }));
    for (answer, cause) in [
        (
            refusal(400, "AccessDeniedException"),
            "secretsmanager:PutSecretValue on the secret asgard/proj-2026-0001/res_",
        ),
        (refusal(400, "ThrottlingException"), "ThrottlingException"),
        (refusal(500, "InternalServiceError"), "InternalServiceError"),
        (refusal(400, "LimitExceededException"), "LimitExceededException"),
        (refusal(400, "EncryptionFailure"), "EncryptionFailure"),
        (quoting, "ValidationException"),
    ] {
        fake.then([described(&[]), answer]);
        let error = store.put(&id, 1, &value, &owner).await.unwrap_err();
        assert_eq!(error.code(), Code::StoreUnavailable, "{}", error.chain());
        assert!(error.chain().contains(cause), "{}", error.chain());
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
    for (answer, cause) in [
        (refusal(400, "AccessDeniedException"), "GetSecretValue"),
        (refusal(400, "DecryptionFailure"), "DecryptionFailure"),
    ] {
        fake.then([answer]);
        let error = store.get(&id, 1, &owner).await.unwrap_err();
        assert!(error.code() == Code::StoreUnavailable && error.chain().contains(cause), "{}", error.chain());
    }
    fake.then([(200, json!({ "Name": "x", "SecretBinary": "aHVudGVyMg==" }))]);
    assert_eq!(store.get(&id, 1, &owner).await.unwrap_err().code(), Code::Bug);
}

/// AWS tells its own servers of a new secret one after another.
#[tokio::test]
async fn a_secret_that_is_not_seen_yet_is_waited_for_and_only_then() {
    let missing = || refusal(400, NOT_FOUND);
    let fake = FakeAws::answering([missing(), fine(), missing(), missing(), put(&["AWSCURRENT", "asgard-1"])]).await;
    let store = store(&fake).await;
    let (id, value, owner) = secret();
    store.put(&id, 1, &value, &owner).await.unwrap();
    assert_eq!(fake.operations().iter().filter(|operation| *operation == "putsecretvalue").count(), 3);
    fake.then([described(&[]), missing()]);
    assert_eq!(store.put(&id, 1, &value, &owner).await.unwrap_err().code(), Code::StoreUnavailable);
    assert_eq!(fake.operations(), ["describesecret", "putsecretvalue"], "it was there before, so this is no delay");
}

#[tokio::test]
async fn a_key_of_another_region_is_refused_at_start() {
    let fake = FakeAws::answering([fine()]).await;
    let key = |region: &str| KmsKeyId::parse(&format!("arn:aws:kms:{region}:123456789012:alias/asgard"));
    let open = async |region: &str| SecretsManager::open(&fake.aws(), SecretPath::default(), key(region)).await;
    open("eu-west-1").await.unwrap();
    let error = open("us-east-1").await.unwrap_err();
    assert!(error.code() == Code::Config && error.message().contains("is in us-east-1"), "{error}");
}

#[tokio::test]
async fn limits_are_said_before_aws_is_asked() {
    let fake = FakeAws::answering([fine()]).await;
    let store = store(&fake).await;
    let (id, _, owner) = secret();
    for (value, why) in [
        (String::new(), "no empty value"),
        ("x".repeat(MAX + 1), "65537 bytes; AWS Secrets Manager takes at most 65536"),
    ] {
        let error = store.put(&id, 1, &SecretText::new(value), &owner).await.unwrap_err();
        assert!(error.code() == Code::InvalidInput && error.message().contains(why), "{error}");
    }
    assert!(fake.operations().is_empty());
    let many: Vec<(String, String)> = (1..=MAX_VERSIONS).map(|n| (format!("v{n}"), format!("asgard-{n}"))).collect();
    let many: Vec<(&str, Vec<&str>)> = many.iter().map(|(id, label)| (id.as_str(), vec![label.as_str()])).collect();
    let many: Vec<(&str, &[&str])> = many.iter().map(|(id, labels)| (*id, labels.as_slice())).collect();
    fake.then([described(&many)]);
    let error = store.put(&id, 99, &SecretText::new("x"), &owner).await.unwrap_err();
    assert!(error.code() == Code::QuotaReached && error.message().contains("18 versions"), "{error}");
}

#[tokio::test]
async fn a_host_that_logs_everything_hears_no_value() {
    let fake = FakeAws::answering([described(&[]), put(&["AWSCURRENT", "asgard-1"])]).await;
    let store = store(&fake).await;
    let (id, value, owner) = secret();
    let kept = KeepsAll::default();
    let _subscribed = tracing::subscriber::set_default(kept.clone());
    store.put(&id, 1, &value, &owner).await.unwrap();
    fake.then([(200, json!({ "Name": "asgard/x", "SecretString": SECRET }))]);
    assert_eq!(store.get(&id, 1, &owner).await.unwrap().unwrap().reveal(), SECRET);
    let said = kept.said();
    assert!(said.contains("DescribeSecret"), "calls without values are logged: {said}");
    assert!(!said.contains(SECRET), "{said}");
}
