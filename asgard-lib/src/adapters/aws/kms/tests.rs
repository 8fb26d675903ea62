//! What no emulator shows: throttling, missing rights, wrong answers. What an emulator does show is in `tests/aws`.

use super::*;
use crate::{
    adapters::{MasterKeys, testkit::Kit},
    aws::testkit::{Answer, FakeAws, refusal},
    error::Kind,
};
use serde_json::json;
use std::{sync::Arc, time::Duration};

const ARN: &str = "arn:aws:kms:eu-west-1:123456789012:key/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
/// What the fake KMS calls the fresh key, in base64: of 32 bytes that nobody may see.
const FRESH: &str = "cGxhaW50ZXh0IHRoYXQgbm9ib2R5IG1heSBzZWUuLi4=";

fn id(text: &str) -> KmsKeyId {
    KmsKeyId::parse(text).unwrap()
}

fn context() -> WrapContext {
    WrapContext { org: "default".into(), data_key: "dek_a".into() }
}

fn generated() -> Answer {
    (200, json!({ "KeyId": ARN, "Plaintext": FRESH, "CiphertextBlob": "AQIDBAUGBwg=" }))
}

fn decrypted() -> Answer {
    (200, json!({ "KeyId": ARN, "Plaintext": FRESH, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT" }))
}

async fn key(fake: &FakeAws) -> KmsKey {
    KmsKey::open(&fake.aws(), &id(ARN), World::system()).await.unwrap()
}

/// Neither our key nor the fresh one, in any spelling that a log could have.
fn shows_nothing(said: &str) {
    for hidden in [FRESH, "plaintext that nobody", "KKKKKKKK", "75, 75, 75", "4b4b4b4b"] {
        assert!(!said.contains(hidden), "{said}");
    }
}

#[tokio::test]
async fn a_keys_arn_is_not_looked_up_and_every_call_names_key_and_context() {
    let fake = FakeAws::answering([generated()]).await;
    let kms = key(&fake).await;
    assert_eq!((fake.operations().len(), kms.master_id().as_str()), (0, ARN));
    let wrapped = kms.wrap(b"KKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKK", &context()).await.unwrap();
    shows_nothing(&String::from_utf8_lossy(&wrapped));
    fake.then([decrypted()]);
    for _ in 0..3 {
        assert_eq!(&*kms.unwrap(&wrapped, &context()).await.unwrap(), b"KKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKK");
    }
    let asked = fake.asked.lock().unwrap().clone();
    let operations: Vec<&str> = asked.iter().map(|asked| asked.operation.as_str()).collect();
    assert_eq!(operations, ["generatedatakey", "decrypt"], "what was opened is not asked for again");
    for asked in &asked {
        assert_eq!(asked.body["KeyId"], ARN);
        let expected = json!({ "asgard:org": "default", "asgard:purpose": "data-key", "asgard:data-key": "dek_a" });
        assert_eq!(asked.body["EncryptionContext"], expected);
        shows_nothing(&asked.body.to_string());
    }
}

#[tokio::test]
async fn a_warm_cache_opens_nothing_for_another_context() {
    let fake = FakeAws::answering([generated()]).await;
    let kms = key(&fake).await;
    let wrapped = kms.wrap(b"KKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKK", &context()).await.unwrap();
    fake.then([decrypted()]);
    kms.unwrap(&wrapped, &context()).await.unwrap();
    let other = WrapContext { data_key: "dek_b".into(), ..context() };
    fake.operations();
    // A KMS that does not look at the context: what is sealed is bound to it all the same.
    let error = kms.unwrap(&wrapped, &other).await.unwrap_err();
    assert_eq!(fake.operations(), ["decrypt"], "the cache is not asked with another context");
    assert!(error.message().contains("wrap of data key dek_b does not open"), "{error}");
    fake.then([refusal(400, "InvalidCiphertextException")]);
    let error = kms.unwrap(&wrapped, &other).await.unwrap_err();
    assert_eq!((error.code(), error.kind().retryable()), (Code::Config, false));
    assert!(
        error.message().contains("does not open under the KMS key") && error.message().contains("backup"),
        "{error}"
    );
}

#[tokio::test]
async fn throttling_is_retried_a_few_times_and_is_then_something_to_wait_for() {
    let throttled = || refusal(400, "ThrottlingException");
    let fake = FakeAws::answering([throttled(), throttled(), generated()]).await;
    let kms = key(&fake).await;
    kms.wrap(&[75; 32], &context()).await.unwrap();
    assert_eq!(fake.operations().len(), 3, "two retries");
    for answer in [
        throttled(),
        refusal(500, "KMSInternalException"),
        refusal(503, "Whatever"),
        refusal(400, "KeyUnavailableException"),
    ] {
        fake.then([answer]);
        let error = kms.wrap(&[75; 32], &context()).await.unwrap_err();
        assert_eq!((error.code(), error.kind()), (Code::KeyUnavailable, Kind::Unavailable), "{}", error.chain());
        assert!(error.retry_after_secs().is_some() && error.message().contains(ARN), "{error}");
        assert!((1..=3).contains(&fake.operations().len()), "and no more than that");
        shows_nothing(&error.chain());
    }
}

#[tokio::test]
async fn a_refusal_says_what_to_do() {
    let fake = FakeAws::answering([generated()]).await;
    let kms = key(&fake).await;
    let cases = [
        ("AccessDeniedException", "does not allow Asgard kms:GenerateDataKey on the KMS key"),
        ("DisabledException", "is disabled. Enable it"),
        ("KMSInvalidStateException", "deletion is scheduled"),
        ("NotFoundException", "There is no KMS key"),
        ("InvalidKeyUsageException", "not a symmetric key"),
        ("UnrecognizedClientException", "does not accept the credentials"),
        ("ExpiredTokenException", "does not accept the credentials"),
        ("SomethingNew", "AWS refuses kms:GenerateDataKey"),
    ];
    for (code, why) in cases {
        fake.then([refusal(400, code)]);
        let error = kms.wrap(&[75; 32], &context()).await.unwrap_err();
        assert_eq!(error.code(), Code::Config, "{}", error.chain());
        assert!(error.message().contains(why), "{error}");
        assert!(error.chain().contains(code), "the log has AWS's own word: {}", error.chain());
        assert_eq!(fake.operations().len(), 1, "{code} is not tried again");
        shows_nothing(&error.chain());
    }
}

#[tokio::test]
async fn answers_that_lack_something_open_nothing() {
    let fake = FakeAws::answering([generated()]).await;
    let kms = key(&fake).await;
    let wrapped = kms.wrap(&[75; 32], &context()).await.unwrap();
    for (answer, code) in [(json!({}), Code::KeyUnavailable), (json!({ "Plaintext": "c2hvcnQ=" }), Code::Config)] {
        fake.then([(200, answer)]);
        assert_eq!(kms.unwrap(&wrapped, &context()).await.unwrap_err().code(), code);
        assert_eq!(kms.wrap(&[75; 32], &context()).await.unwrap_err().code(), Code::KeyUnavailable);
    }
    // Another key than the one that sealed: a KMS that accepts a wrap that was changed gives one.
    fake.then([(200, json!({ "KeyId": ARN, "Plaintext": "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg=" }))]);
    let error = kms.unwrap(&wrapped, &context()).await.unwrap_err();
    assert_eq!(error.code(), Code::Config, "{}", error.chain());
    for bad in [&[][..], &[FORMAT], &[9, 0, 1, 1], &[FORMAT, 255, 255, 0], &wrapped[..12]] {
        assert_eq!(kms.unwrap(bad, &context()).await.unwrap_err().code(), Code::Config, "{bad:?}");
    }
}

#[tokio::test]
async fn an_alias_is_looked_up_and_must_be_a_key_that_wraps() {
    let described = |usage: &str, spec: &str| {
        (200, json!({ "KeyMetadata": { "KeyId": "x", "Arn": ARN, "KeyUsage": usage, "KeySpec": spec } }))
    };
    let fake = FakeAws::answering([described("ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT")]).await;
    let open = async |name: &str| KmsKey::open(&fake.aws(), &id(name), World::system()).await;
    assert_eq!(open("alias/asgard").await.unwrap().master_id(), ARN);
    for (usage, spec) in
        [("SIGN_VERIFY", "RSA_2048"), ("GENERATE_VERIFY_MAC", "HMAC_256"), ("ENCRYPT_DECRYPT", "RSA_2048")]
    {
        fake.then([described(usage, spec)]);
        let error = open("alias/asgard").await.unwrap_err();
        assert!(error.message().contains("alias/asgard is not a symmetric key"), "{error}");
    }
    fake.then([refusal(400, "NotFoundException")]);
    let error = open("alias/asgard").await.unwrap_err();
    assert!(error.code() == Code::Config && error.message().contains("There is no KMS key alias/asgard"), "{error}");
}

#[tokio::test]
async fn no_credentials_no_region_and_nobody_there_are_told_apart() {
    let fake = FakeAws::answering([generated()]).await;
    let sdk = fake.sdk();
    let nowhere = sdk.to_builder().region(None).build();
    let error = KmsKey::open(&Aws::with(nowhere), &id("alias/asgard"), World::system()).await.unwrap_err();
    assert!(error.code() == Code::Config && error.message().contains("AWS_REGION"), "{error}");
    let provider = aws_sdk_kms::config::SharedCredentialsProvider::new(NoCredentials);
    let nobody = Aws::with(sdk.to_builder().credentials_provider(provider).build());
    let kms = KmsKey::open(&nobody, &id(ARN), World::system()).await.unwrap();
    let error = kms.wrap(&[75; 32], &context()).await.unwrap_err();
    assert!(error.code() == Code::Config && error.message().contains("there are none"), "{}", error.chain());
    let away = Aws::with(sdk.to_builder().endpoint_url("http://127.0.0.1:9").build());
    let kms = KmsKey::open(&away, &id(ARN), World::system()).await.unwrap();
    let error = kms.wrap(&[75; 32], &context()).await.unwrap_err();
    assert_eq!(error.code(), Code::KeyUnavailable, "{}", error.chain());
}

#[derive(Debug)]
struct NoCredentials;

impl aws_sdk_kms::config::ProvideCredentials for NoCredentials {
    fn provide_credentials<'a>(&'a self) -> aws_credential_types::provider::future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        use aws_credential_types::provider::error::CredentialsError;
        let error = CredentialsError::not_loaded_no_source();
        aws_credential_types::provider::future::ProvideCredentials::ready(Err(error))
    }
}

/// A keyring under a KMS that has stopped to work: refused at start with the reason, and while it runs told as unavailable.
#[tokio::test]
async fn a_keyring_says_at_start_why_kms_does_not_open_it() {
    let kit = Kit::new();
    let fake = FakeAws::answering([generated(), generated(), decrypted()]).await;
    let masters = async || MasterKeys::only(Arc::new(key(&fake).await));
    let replica = kit.replica_with(masters().await).await.unwrap();
    replica.set(&kit, "a", b"a value nobody may see").await.unwrap();
    assert_eq!(fake.operations(), ["generatedatakey", "generatedatakey", "decrypt"], "and Decrypt was seen to work");
    let dump = kit.dump().await;
    shows_nothing(&dump);
    assert!(!dump.contains("nobody may see"));
    for (answer, code, why) in [
        (refusal(400, "DisabledException"), Code::Config, "Enable it"),
        (refusal(400, "InvalidCiphertextException"), Code::Config, "does not open"),
        (refusal(400, "AccessDeniedException"), Code::Config, "kms:Decrypt"),
        (refusal(400, "ThrottlingException"), Code::KeyUnavailable, "cannot be used just now"),
    ] {
        fake.then([answer]);
        let error = kit.replica_with(masters().await).await.err().unwrap();
        assert!(error.code() == code && error.message().contains(why), "{}", error.chain());
        shows_nothing(&error.chain());
    }
    // A running replica holds its keys: it needs KMS for new ones only.
    fake.then([refusal(400, "DisabledException")]);
    kit.pass(Duration::from_secs(3600));
    assert_eq!(replica.get("a").await.unwrap(), b"a value nobody may see");
    let error = replica.keyring.rotate().await.unwrap_err();
    assert!(error.message().contains("Enable it"), "the operator who rotates learns why not: {error}");
}
