//! Roles of AWS for targets: Terraform gets the credentials of the role that its target names, and nothing of Asgard's own.

use crate::{
    aws::{Aws, Unlogged},
    error::{Code, Error, Result},
    kernel::{RunId, SecretText},
    ports::roles::{Assumed, Roles},
};
use async_trait::async_trait;
use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::provider::{ProvideCredentials, error::CredentialsError};
use std::time::Duration;

/// The shortest and the longest time that is asked for. Who has assumed a role already, as every task and function has, gets an hour
/// at most.
const MIN_SESSION: Duration = Duration::from_secs(900);
const MAX_SESSION: Duration = Duration::from_secs(3600);

/// AWS STS.
#[derive(Debug)]
pub struct AssumedRoles(Aws);

impl AssumedRoles {
    /// With Asgard's own credentials.
    pub const fn new(aws: Aws) -> Self {
        Self(aws)
    }
}

#[async_trait]
impl Roles for AssumedRoles {
    async fn assume(&self, role: &str, run: &RunId, lasts: Duration) -> Result<Assumed> {
        let sdk = self.0.sdk_in(None).await?;
        let lasts = lasts.clamp(MIN_SESSION, MAX_SESSION);
        let builder =
            AssumeRoleProvider::builder(role).session_name(run.as_str()).session_length(lasts).configure(&sdk);
        let provider = match sdk.credentials_provider() {
            Some(own) => builder.build_from_provider(own).await,
            None => builder.build().await,
        };
        // The answer is credentials.
        let given = provider.provide_credentials().unlogged().await.map_err(|error| refused(role, &error))?;
        let text = |text: &str| SecretText::new(text.to_owned());
        let mut variables = vec![
            ("AWS_ACCESS_KEY_ID".to_owned(), text(given.access_key_id())),
            ("AWS_SECRET_ACCESS_KEY".to_owned(), text(given.secret_access_key())),
        ];
        variables.extend(given.session_token().map(|token| ("AWS_SESSION_TOKEN".to_owned(), text(token))));
        Ok(Assumed { variables, lasts })
    }
}

fn refused(role: &str, error: &CredentialsError) -> Error {
    let cause = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ");
    match error {
        CredentialsError::ProviderTimedOut(_) => {
            Error::new(Code::RunnerUnavailable, format!("The role {role} cannot be assumed just now.")).caused_by(cause)
        }
        _ => {
            let message = format!(
                "The role {role} of this target cannot be assumed. Let its trust policy name the role that Asgard's runs have, and allow that \
                 role sts:AssumeRole on it."
            );
            Error::new(Code::RunnerFailed, message).at("provisioning.allowed").caused_by(cause)
        }
    }
}
