//! The stand-in for AWS, and keys in it.

use asgard_lib::{adapters::KmsKey, aws::Aws, config::KmsKeyId, ports::world::World};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_kms::config::{AsyncSleep, Credentials, SharedAsyncSleep, SharedCredentialsProvider, Sleep};
use std::time::Duration;

const VARIABLE: &str = "ASGARD_TEST_AWS_URL";
pub const REGION: &str = "eu-west-1";

#[derive(Debug)]
struct TokioSleep;

impl AsyncSleep for TokioSleep {
    fn sleep(&self, duration: Duration) -> Sleep {
        Sleep::new(tokio::time::sleep(duration))
    }
}

pub fn sdk() -> SdkConfig {
    let url = std::env::var(VARIABLE).unwrap_or_else(|_| {
        panic!("{VARIABLE} is not set: these tests need a stand-in for AWS. Run them with `tests/run --peers`, which starts one.")
    });
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .sleep_impl(SharedAsyncSleep::new(TokioSleep))
        .region(Region::from_static(REGION))
        .endpoint_url(url)
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("test", "test", None, None, "test")))
        .build()
}

pub fn aws() -> Aws {
    Aws::with(sdk())
}

pub fn kms() -> aws_sdk_kms::Client {
    aws_sdk_kms::Client::new(&sdk())
}

pub fn secrets() -> aws_sdk_secretsmanager::Client {
    aws_sdk_secretsmanager::Client::new(&sdk())
}

/// A new key in KMS: its ARN.
pub async fn new_key() -> String {
    kms().create_key().send().await.expect("the stand-in for AWS answers").key_metadata.unwrap().arn.unwrap()
}

/// The wrapper that a key's name stands for.
pub async fn wrapper(name: &str) -> asgard_lib::Result<KmsKey> {
    KmsKey::open(&aws(), &KmsKeyId::parse(name).expect("a key's name"), World::system()).await
}
