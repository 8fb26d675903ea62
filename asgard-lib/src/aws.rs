//! How Asgard reaches AWS: one HTTP client with one TLS stack and one chain of credentials, whatever the service. Where they
//! come from (variables, profiles, the task's or the function's role) is the AWS SDK's business, and so are the endpoints
//! of emulators (`AWS_ENDPOINT_URL`).

#[cfg(feature = "aws")]
mod fault;
#[cfg(feature = "aws")]
#[cfg(test)]
pub(crate) mod testkit;

#[cfg(feature = "aws")]
pub use fault::{Fault, Trouble};

mod unlogged;

pub(crate) use unlogged::Unlogged;

use crate::{
    error::{Code, Error, Result},
    kernel::SecretText,
};
use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::Credentials;
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::OnceCell;

/// How long one attempt may take, its answer included. Commits and reads take milliseconds; what takes longer is lost.
const ATTEMPT: Duration = Duration::from_secs(5);
/// How long a call may take with everything that is tried again.
const CALL: Duration = Duration::from_secs(15);
/// How often a call is tried that was throttled, or that the network lost.
const ATTEMPTS: u32 = 3;

/// The way to AWS. Clones share connections and credentials. Nothing is read before it is first used, and it belongs to the
/// async runtime that used it first.
#[derive(Clone, Debug, Default)]
pub struct Aws {
    sdk: Arc<OnceCell<SdkConfig>>,
    region: Option<String>,
    keys: Option<Credentials>,
}

impl Aws {
    /// As the environment says.
    pub fn new() -> Self {
        Self::default()
    }

    /// As the caller has set it up: for embedders with a configuration of their own, and for tests.
    pub fn with(sdk: SdkConfig) -> Self {
        Self { sdk: Arc::new(OnceCell::new_with(Some(sdk))), region: None, keys: None }
    }

    /// With an access key, and the token of its session if it has one, instead of what the environment says.
    #[must_use]
    pub fn with_access_key(mut self, id: &str, secret: &SecretText, session: Option<&SecretText>) -> Self {
        let session = session.map(|token| token.reveal().to_owned());
        self.keys = Some(Credentials::new(id, secret.reveal(), session, None, "settings"));
        self
    }

    /// The region where the environment names none: that of the database, in most deployments.
    #[must_use]
    pub fn or_region(mut self, region: Option<String>) -> Self {
        self.region = region;
        self
    }

    /// What the clients of services are made from.
    pub async fn sdk(&self) -> &SdkConfig {
        self.sdk
            .get_or_init(|| async {
                let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
                let mut loader = aws_config::defaults(BehaviorVersion::latest());
                if let Some(keys) = &self.keys {
                    loader = loader.credentials_provider(keys.clone());
                }
                let sdk = loader
                    .http_client(http)
                    .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
                    .timeout_config(
                        TimeoutConfig::builder()
                            .connect_timeout(Duration::from_secs(3))
                            .operation_attempt_timeout(ATTEMPT)
                            .operation_timeout(CALL)
                            .build(),
                    )
                    .load()
                    .await;
                match (sdk.region(), &self.region) {
                    (None, Some(region)) => sdk.to_builder().region(Region::new(region.clone())).build(),
                    (Some(_), _) | (None, None) => sdk,
                }
            })
            .await
    }

    /// The same for `region`, or for the region of the environment.
    ///
    /// # Errors
    ///
    /// There is no region.
    pub async fn sdk_in(&self, region: Option<&str>) -> Result<SdkConfig> {
        let sdk = self.sdk().await;
        match (region, sdk.region()) {
            (Some(region), _) => Ok(sdk.to_builder().region(Region::new(region.to_owned())).build()),
            (None, Some(_)) => Ok(sdk.clone()),
            (None, None) => {
                let message = "No AWS region is known. Set AWS_REGION, or use ARNs, which name theirs.";
                Err(Error::new(Code::Config, message))
            }
        }
    }
}
