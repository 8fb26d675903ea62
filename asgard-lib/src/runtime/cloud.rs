//! What of the composition is on AWS. A build without the feature says so, where the configuration asks for it.

#[cfg(any(feature = "aws", feature = "dynamodb"))]
use crate::aws::Aws;
use crate::{
    config::{Environment, KmsKeyId, SecretPath, SecretVariable},
    error::Result,
    ports::{
        secrets::{KeyWrapper, SecretStore},
        world::World,
    },
};
use std::sync::Arc;

/// The way to the cloud that settings, keys and records are in; a build without AWS has an empty one. Nothing is read or called
/// before something asks for it, and whoever is given a clone shares connections and credentials.
#[derive(Clone, Debug, Default)]
pub struct Cloud {
    #[cfg(any(feature = "aws", feature = "dynamodb"))]
    pub(super) aws: Aws,
}

#[cfg(any(feature = "aws", feature = "dynamodb"))]
impl Cloud {
    /// That way to AWS.
    pub fn on(aws: Aws) -> Self {
        Self { aws }
    }
}

impl Cloud {
    /// The way of a process that was given its settings, access keys of AWS among them, by another one.
    #[cfg(any(feature = "aws", feature = "dynamodb"))]
    pub fn with_keys_of(environment: &Environment) -> Self {
        let (id, secret) = (environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY"));
        let aws = match (id, secret) {
            (Some(id), Some(secret)) => {
                Aws::new().with_access_key(id.reveal(), secret, environment.get("AWS_SESSION_TOKEN"))
            }
            (Some(_) | None, _) => Aws::new(),
        };
        Self::on(aws)
    }

    /// The way of a process that was given its settings by another one. No AWS is compiled in.
    #[cfg(not(any(feature = "aws", feature = "dynamodb")))]
    pub fn with_keys_of(_: &Environment) -> Self {
        Self::default()
    }
}

#[cfg(feature = "aws")]
impl Cloud {
    /// A master key in KMS.
    pub(super) async fn kms_key(&self, id: &KmsKeyId, world: &World) -> Result<Arc<dyn KeyWrapper>> {
        let key = crate::adapters::KmsKey::open(&self.aws, id, world.clone()).await?;
        Ok(Arc::new(key))
    }

    /// The values of secrets in Secrets Manager, encrypted under a key in KMS if there is one.
    pub(super) async fn secrets_manager(
        &self,
        path: &SecretPath,
        key: Option<&KmsKeyId>,
    ) -> Result<Arc<dyn SecretStore>> {
        let store = crate::adapters::SecretsManager::open(&self.aws, path.clone(), key.cloned()).await?;
        Ok(Arc::new(store))
    }

    /// What assumes the roles of targets.
    #[cfg(feature = "terraform")]
    #[allow(clippy::unnecessary_wraps, reason = "the same signature as without the feature")]
    pub(super) fn roles(&self) -> Option<Arc<dyn crate::ports::roles::Roles>> {
        Some(Arc::new(crate::adapters::aws::roles::AssumedRoles::new(self.aws.clone())))
    }

    /// The settings that are in Secrets Manager.
    pub(super) async fn fetch(&self, environment: &mut Environment, wanted: &[SecretVariable]) {
        crate::adapters::aws::secret_arns::fetch(&self.aws, environment, wanted).await;
    }
}

#[cfg(not(feature = "aws"))]
#[allow(clippy::unused_async, reason = "the same signatures as with the feature")]
impl Cloud {
    pub(super) async fn kms_key(&self, _: &KmsKeyId, _: &World) -> Result<Arc<dyn KeyWrapper>> {
        Err(missing("AWS KMS"))
    }

    pub(super) async fn secrets_manager(&self, _: &SecretPath, _: Option<&KmsKeyId>) -> Result<Arc<dyn SecretStore>> {
        Err(missing("AWS Secrets Manager"))
    }

    /// The configuration refuses roles by itself.
    #[cfg(feature = "terraform")]
    #[allow(clippy::unused_self, reason = "the same signature as with the feature")]
    pub(super) fn roles(&self) -> Option<Arc<dyn crate::ports::roles::Roles>> {
        None
    }

    /// The configuration refuses the variables by itself.
    pub(super) async fn fetch(&self, _: &mut Environment, _: &[SecretVariable]) {}
}

#[cfg(not(feature = "aws"))]
fn missing(what: &str) -> crate::error::Error {
    let message = format!("This build of Asgard has no {what} (feature `aws`): use a build that has it.");
    crate::error::Error::new(crate::error::Code::NotSupported, message)
}
