//! Secret values in AWS Secrets Manager: one secret there per secret of Asgard's, named
//! `<path>/<project id>/<resource id>/<secret id>`, so that a resource finds its own and no other. Versions before named them
//! `<path>/<secret id>`; those are read and forgotten under that name.
//!
//! Version `n` is the version with the staging label `asgard-<n>`, so a version that Asgard needs is never one that Secrets
//! Manager may clear away, and forgetting one is taking its label off. The newest also has `AWSCURRENT`, and the one before
//! it `AWSPREVIOUS`, for whoever reads the secret without Asgard. Which version is in force is Asgard's record to say: what
//! somebody else puts there is not read.
//!
//! A version's id follows from the secret and the number: putting it twice is putting it once, whoever does it.

#[cfg(test)]
mod tests;
mod versions;

use crate::{
    aws::{Aws, Fault, Trouble, Unlogged},
    config::{KmsKeyId, SecretPath},
    domain::secret::SecretOwner,
    error::{Code, Error, Result},
    kernel::{SecretId, SecretText},
    ports::secrets::SecretStore,
};
use async_trait::async_trait;
use aws_sdk_secretsmanager::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    types::Tag,
};
use std::{error::Error as StdError, fmt, time::Duration};
use versions::{CURRENT, Known, PREVIOUS, label, version_id};

/// The longest value, in bytes: AWS's limit.
pub const MAX: usize = 65_536;
/// Versions that Asgard may need at once; AWS allows twenty labels on a secret, and two are its own.
pub const MAX_VERSIONS: usize = 18;
/// For how many days a secret can be restored after Asgard forgot it. The least that AWS allows.
pub const RECOVERY_DAYS: i64 = 7;
const MAX_VERSION: u32 = 1_000_000;
/// How long to wait, again and again, for a secret that was made or restored just now.
const SETTLING: [Duration; 4] =
    [Duration::from_millis(100), Duration::from_millis(300), Duration::from_millis(900), Duration::from_millis(2000)];

/// A [`SecretStore`] in AWS Secrets Manager.
pub struct SecretsManager {
    client: Client,
    path: SecretPath,
    key: Option<KmsKeyId>,
}

impl fmt::Debug for SecretsManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretsManager({}/...)", self.path.as_str())
    }
}

impl SecretsManager {
    /// The secrets below a path, in the region of the environment. New ones are encrypted under `key`, or else under the
    /// account's own key for Secrets Manager.
    ///
    /// # Errors
    ///
    /// There is no region, or the key is in another one: AWS encrypts only under keys that are where the secret is.
    pub async fn open(aws: &Aws, path: SecretPath, key: Option<KmsKeyId>) -> Result<Self> {
        let sdk = aws.sdk_in(None).await?;
        let region = sdk.region().map(ToString::to_string).unwrap_or_default();
        if let Some(other) = key.as_ref().and_then(KmsKeyId::region).filter(|other| *other != region) {
            let message = format!(
                "The KMS key of ASGARD_KMS_KEY_ID is in {other}, and secrets are kept in {region} (AWS_REGION). Secrets Manager takes only keys of its own region: use one region for both."
            );
            return Err(Error::new(Code::Config, message));
        }
        Ok(Self { client: Client::new(&sdk), path, key })
    }

    fn name(&self, id: &SecretId, owner: &SecretOwner) -> String {
        format!("{}/{}/{}/{id}", self.path.as_str(), owner.project, owner.resource)
    }

    fn name_of_before(&self, id: &SecretId) -> String {
        format!("{}/{id}", self.path.as_str())
    }

    /// What Secrets Manager has of a secret; `None` when there is none of that name.
    async fn known(&self, name: &str) -> Result<Option<Known>> {
        match self.client.describe_secret().secret_id(name).send().await {
            Ok(answer) => Ok(Some(Known::of(&answer))),
            Err(error) if is(&error, NOT_FOUND) => Ok(None),
            Err(error) => Err(refusal(&error, "DescribeSecret", name)),
        }
    }

    /// Makes a secret without a value, so that every version is put in one way.
    async fn create(&self, name: &str, owner: &SecretOwner) -> Result<()> {
        let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
        let created = self
            .client
            .create_secret()
            .name(name)
            .description("Made by Asgard, which reads its versions by their staging labels. Do not edit.")
            .tags(tag("asgard:project", owner.project.as_str()))
            .tags(tag("asgard:resource", owner.resource.as_str()))
            .set_kms_key_id(self.key.as_ref().map(|key| key.as_str().to_owned()))
            .send()
            .await;
        match created {
            Ok(_) => Ok(()),
            // Another process was first.
            Err(error) if is(&error, EXISTS) => Ok(()),
            Err(error) => Err(refusal(&error, "CreateSecret", name)),
        }
    }

    async fn restore(&self, name: &str) -> Result<()> {
        let restored = self.client.restore_secret().secret_id(name).send().await;
        restored.map(|_| ()).map_err(|error| refusal(&error, "RestoreSecret", name))
    }

    /// Attaches a label to a version, or takes it away.
    async fn label(&self, name: &str, label: &str, from: Option<&str>, to: Option<&str>) -> Result<()> {
        let moved = self.client.update_secret_version_stage().secret_id(name).version_stage(label);
        let moved =
            moved.set_remove_from_version_id(from.map(str::to_owned)).set_move_to_version_id(to.map(str::to_owned));
        moved.send().await.map(|_| ()).map_err(|error| refusal(&error, "UpdateSecretVersionStage", name))
    }

    async fn value(&self, name: &str, version: u32) -> Result<Option<SecretText>> {
        let asked =
            self.client.get_secret_value().secret_id(name).version_stage(label(version)).send().unlogged().await;
        match asked.map(|answer| answer.secret_string.map(SecretText::new)) {
            Ok(Some(text)) => Ok(Some(text)),
            Ok(None) => {
                Err(Error::bug(format!("version {version} of the secret {name} in Secrets Manager is not text")))
            }
            // No such secret, no such label, or on its way to deletion.
            Err(error) if is(&error, NOT_FOUND) || is(&error, INVALID_REQUEST) => Ok(None),
            Err(error) => Err(refusal(&error, "GetSecretValue", name)),
        }
    }
}

#[async_trait]
impl SecretStore for SecretsManager {
    async fn put(&self, id: &SecretId, version: u32, value: &SecretText, owner: &SecretOwner) -> Result<()> {
        let name = self.name(id, owner);
        check(&name, version, value)?;
        let found = self.known(&name).await?;
        let unsettled = found.as_ref().is_none_or(|known| known.deleted);
        let known = match found {
            Some(known) => known,
            None => {
                self.create(&name, owner).await?;
                Known::default()
            }
        };
        if known.deleted {
            self.restore(&name).await?;
        }
        if known.versions.contains_key(&version) {
            return match self.value(&name, version).await? {
                Some(stored) if stored.same(value.reveal()) => Ok(()),
                Some(_) => Err(taken(id, version)),
                None => Err(busy()),
            };
        }
        if known.versions.len() >= MAX_VERSIONS {
            let message = format!(
                "The secret {id} has {MAX_VERSIONS} versions in AWS Secrets Manager, which is as many as it may have at once. Try again when older ones are forgotten."
            );
            return Err(Error::new(Code::QuotaReached, message));
        }
        // The newest is what others mean by current. An older one that is late must not take its place.
        let newest = known.newest() < Some(version);
        let stages: Vec<String> = newest.then_some(CURRENT.to_owned()).into_iter().chain([label(version)]).collect();
        let token = version_id(&name, version);
        let put = async || {
            let put = self.client.put_secret_value().secret_id(&name).client_request_token(&token);
            put.secret_string(value.reveal()).set_version_stages(Some(stages.clone())).send().unlogged().await
        };
        let mut done = put().await;
        // What was made or restored just now may take a moment to be seen everywhere.
        for pause in SETTLING {
            match &done {
                Err(error) if unsettled && (is(error, NOT_FOUND) || is(error, INVALID_REQUEST)) => {}
                Ok(_) | Err(_) => break,
            }
            tokio::time::sleep(pause).await;
            done = put().await;
        }
        let put = match done {
            Ok(put) => put,
            // Another process put another value under this number, or it was forgotten and AWS still has it.
            Err(error) if is(&error, EXISTS) => return Err(taken(id, version)),
            Err(error) => return Err(refusal(&error, "PutSecretValue", &name)),
        };
        // A version that was there already, with this value, is left as it was: without its label after it was forgotten.
        let labels = put.version_stages.unwrap_or_default();
        if !labels.contains(&label(version)) {
            self.label(&name, &label(version), None, Some(&token)).await?;
        }
        Ok(())
    }

    async fn get(&self, id: &SecretId, version: u32, owner: &SecretOwner) -> Result<Option<SecretText>> {
        match self.value(&self.name(id, owner), version).await? {
            Some(value) => Ok(Some(value)),
            None => self.value(&self.name_of_before(id), version).await,
        }
    }

    /// The last version to go takes the secret with it. Until [`RECOVERY_DAYS`] have passed, an operator can restore it and
    /// read its last value; Asgard cannot.
    async fn forget(&self, id: &SecretId, version: u32, owner: Option<&SecretOwner>) -> Result<()> {
        if let Some(owner) = owner {
            self.forget_named(self.name(id, owner), version).await?;
        }
        self.forget_named(self.name_of_before(id), version).await
    }
}

impl SecretsManager {
    async fn forget_named(&self, name: String, version: u32) -> Result<()> {
        let Some(known) = self.known(&name).await? else { return Ok(()) };
        if known.deleted {
            return Ok(());
        }
        for (number, held) in known.versions.range(..=version) {
            self.label(&name, &label(*number), Some(&held.id), None).await?;
            if held.previous {
                self.label(&name, PREVIOUS, Some(&held.id), None).await?;
            }
        }
        if known.newest().is_some_and(|newest| newest > version) {
            return Ok(());
        }
        match self.client.delete_secret().secret_id(&name).recovery_window_in_days(RECOVERY_DAYS).send().await {
            Ok(_) => Ok(()),
            // Another process was first.
            Err(error) if is(&error, NOT_FOUND) || is(&error, INVALID_REQUEST) => Ok(()),
            Err(error) => Err(refusal(&error, "DeleteSecret", &name)),
        }
    }
}

fn check(name: &str, version: u32, value: &SecretText) -> Result<()> {
    if !(1..=MAX_VERSION).contains(&version) {
        return Err(Error::bug(format!("secret {name} cannot have version {version}")));
    }
    match value.reveal().len() {
        0 => Err(Error::new(Code::InvalidInput, "AWS Secrets Manager takes no empty value.")),
        1..=MAX => Ok(()),
        length => {
            let message = format!("The value has {length} bytes; AWS Secrets Manager takes at most {MAX}.");
            Err(Error::new(Code::InvalidInput, message))
        }
    }
}

const NOT_FOUND: &str = "ResourceNotFoundException";
const EXISTS: &str = "ResourceExistsException";
const INVALID_REQUEST: &str = "InvalidRequestException";

fn is<E: ProvideErrorMetadata>(error: &SdkError<E>, code: &str) -> bool {
    error.as_service_error().and_then(ProvideErrorMetadata::code) == Some(code)
}

fn taken(id: &SecretId, version: u32) -> Error {
    Error::new(Code::AlreadyExists, format!("Version {version} of the secret {id} exists with another value."))
}

fn busy() -> Error {
    Error::new(Code::Busy, "The secret is being changed by others. Try again in a moment.").retry_after(1)
}

/// Callers learn that secrets cannot be had just now; the log learns why. What AWS said about a request that held a value is
/// not kept.
fn refusal<E>(error: &SdkError<E>, operation: &str, name: &str) -> Error
where
    E: ProvideErrorMetadata + StdError + 'static,
{
    let fault = Fault::of(error).without_words();
    let action = format!("secretsmanager:{operation}");
    let cause = match fault.usual(Code::StoreUnavailable, &action, &format!("the secret {name}")) {
        Some(unavailable) if fault.trouble == Trouble::Unavailable => return unavailable,
        Some(usual) => usual.chain(),
        None => format!("AWS refuses {action} on the secret {name}: {fault}"),
    };
    Error::new(Code::StoreUnavailable, "The secret store cannot be used just now. Try again in a moment.")
        .retry_after(30)
        .caused_by(cause)
}
