//! Where the values of secrets live.

use super::{
    section::section,
    spec::{Spec, at},
    value::{Refusal, Value},
};

section! {
    /// Where the values of secrets live.
    pub struct Secrets {
        /// Where the values of secrets live: `sealed` keeps them encrypted in Asgard's own database, `secretsmanager` in AWS
        /// Secrets Manager (which needs the feature `aws`). Changing from `sealed` to `secretsmanager` moves nothing: values
        /// that are in the database stay readable, and new versions go to Secrets Manager. There is no way back: with `sealed`,
        /// what is in Secrets Manager is not looked for.
        store: SecretStoreKind = SecretStoreKind::Sealed, at("provisioning.secrets.store").env("ASGARD_SECRET_STORE");
        /// What the names of the secrets in AWS Secrets Manager begin with: `<path>/<project id>/<resource id>/<secret id>`. Two
        /// Asgards in one account and region need two paths.
        path: SecretPath = SecretPath::default(), at("provisioning.secrets.path").env("ASGARD_SECRET_STORE_PATH");
    }
}

/// Where the values of secrets live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretStoreKind {
    /// Encrypted in Asgard's own store.
    Sealed,
    /// In AWS Secrets Manager.
    SecretsManager,
}

impl Value for SecretStoreKind {
    fn allowed(_: &Spec) -> String {
        "sealed or secretsmanager".to_owned()
    }

    fn parse(text: &str, _: &Spec) -> Result<Self, Refusal> {
        match text {
            "sealed" => Ok(Self::Sealed),
            "secretsmanager" => Ok(Self::SecretsManager),
            _ => Err(Refusal::NotAllowed),
        }
    }

    fn format(&self) -> String {
        match self {
            Self::Sealed => "sealed".to_owned(),
            Self::SecretsManager => "secretsmanager".to_owned(),
        }
    }
}

/// What the names of secrets begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretPath(String);

impl SecretPath {
    /// The path, without a slash at either end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Reads a path.
    pub fn parse(text: &str) -> Option<Self> {
        let part =
            |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=.@-".contains(&b));
        (text.len() <= 256 && text.split('/').all(part)).then(|| Self(text.to_owned()))
    }
}

impl Default for SecretPath {
    fn default() -> Self {
        Self("asgard".to_owned())
    }
}

impl Value for SecretPath {
    fn allowed(_: &Spec) -> String {
        "1 to 256 of a-z, A-Z, 0-9 and _+=.@-, in parts separated by single slashes, for example team/asgard".to_owned()
    }

    fn parse(text: &str, _: &Spec) -> Result<Self, Refusal> {
        Self::parse(text).ok_or(Refusal::NotAllowed)
    }

    fn format(&self) -> String {
        self.0.clone()
    }
}
