//! What of the composition is on AWS. A build without the feature says so, where the configuration asks for it.

use super::built_with::built_with;
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

impl Cloud {
    /// A master key in KMS.
    #[cfg_attr(not(feature = "aws"), allow(clippy::unused_async, reason = "no AWS is compiled in"))]
    pub(super) async fn kms_key(&self, id: &KmsKeyId, world: &World) -> Result<Arc<dyn KeyWrapper>> {
        built_with!("aws", "AWS KMS", "unset ASGARD_KMS_KEY_ID", uses(self, id, world), {
            let key = crate::adapters::KmsKey::open(&self.aws, id, world.clone()).await?;
            Ok(Arc::new(key))
        })
    }

    /// The values of secrets in Secrets Manager, encrypted under a key in KMS if there is one.
    #[cfg_attr(not(feature = "aws"), allow(clippy::unused_async, reason = "no AWS is compiled in"))]
    pub(super) async fn secrets_manager(
        &self,
        path: &SecretPath,
        key: Option<&KmsKeyId>,
    ) -> Result<Arc<dyn SecretStore>> {
        built_with!("aws", "AWS Secrets Manager", "configure another store of secrets", uses(self, path, key), {
            let store = crate::adapters::SecretsManager::open(&self.aws, path.clone(), key.cloned()).await?;
            Ok(Arc::new(store))
        })
    }

    /// What assumes the roles of targets. Where there is nothing, the configuration refuses roles by itself.
    #[cfg(feature = "terraform")]
    #[allow(clippy::unnecessary_wraps, clippy::unused_self, reason = "there may be AWS or not")]
    pub(super) fn roles(&self) -> Option<Arc<dyn crate::ports::roles::Roles>> {
        #[cfg(feature = "aws")]
        {
            Some(Arc::new(crate::adapters::aws::roles::AssumedRoles::new(self.aws.clone())))
        }
        #[cfg(not(feature = "aws"))]
        {
            None
        }
    }

    /// The settings that are in Secrets Manager. Where there is no AWS, the configuration refuses their variables by itself.
    #[cfg_attr(not(feature = "aws"), allow(clippy::unused_async, reason = "no AWS is compiled in"))]
    pub(super) async fn fetch(&self, environment: &mut Environment, wanted: &[SecretVariable]) {
        #[cfg(feature = "aws")]
        crate::adapters::aws::secret_arns::fetch(&self.aws, environment, wanted).await;
        #[cfg(not(feature = "aws"))]
        let _ = (self, environment, wanted);
    }
}
