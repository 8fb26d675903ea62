//! Secrets: names and versions. The values live in a [`crate::ports::secrets::SecretStore`].

use crate::{
    error::{Error, Result},
    kernel::{ProjectId, ResourceId, SecretId, Timestamp},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The key by which versions before kept a reference to a secret among the values of a spec. What users send holds none.
pub(crate) const REFERENCE: &str = "$secret";

/// Whose a secret value is. The secret store gives it to nobody else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretOwner {
    /// The project.
    pub project: ProjectId,
    /// The resource.
    pub resource: ResourceId,
}

/// Where the value of a sensitive input is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SecretInput {
    /// The id under which the secret store has the value.
    pub secret: SecretId,
    /// The version of the value.
    pub version: u32,
}

impl SecretInput {
    /// What a version before kept among the values of a spec. A user may have sent such an object, before that was refused.
    pub(crate) fn as_a_value(&self) -> Value {
        json!({ REFERENCE: self.secret, "version": self.version })
    }
}

/// A secret's metadata.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// Its id.
    pub id: SecretId,
    /// The project it belongs to.
    pub project: ProjectId,
    /// The resource it came from.
    pub resource: ResourceId,
    /// `<service>.<resource>.<output>`.
    pub name: String,
    /// The output or input it is the value of.
    pub output: String,
    /// The present version, from 1.
    pub version: u32,
    /// The id under which the secret store keeps the present value, where that is not the secret's own: a changed input is
    /// stored before anything is decided, so its value has an id of its own, and there is only one version of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_as: Option<SecretId>,
    /// The same of the value that the resource was made with, while another one is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_as: Option<SecretId>,
    /// The same of the value that the resource's state was made with, where that is a third one: an apply with it ended half-way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept_as: Option<SecretId>,
    /// When the first version was stored.
    pub created_at: Timestamp,
    /// When the present version was stored.
    pub rotated_at: Timestamp,
}

impl Secret {
    /// Whose it is.
    pub fn owner(&self) -> SecretOwner {
        SecretOwner { project: self.project.clone(), resource: self.resource.clone() }
    }

    /// Where the secret store has the present value: under which id, as which version.
    pub fn stored(&self) -> (&SecretId, u32) {
        match &self.stored_as {
            Some(id) => (id, 1),
            None => (&self.id, self.version),
        }
    }

    /// The ids of its values that are not under its own.
    pub fn apart(&self) -> impl Iterator<Item = &SecretId> {
        [&self.stored_as, &self.applied_as, &self.kept_as].into_iter().flatten()
    }

    /// Whether the secret store keeps a value of this secret under that id.
    pub fn keeps(&self, id: &SecretId) -> bool {
        self.id == *id || self.apart().any(|kept| kept == id)
    }

    /// The claim that finds a secret by name.
    pub fn claim(project: &ProjectId, name: &str) -> String {
        format!("secret/{project}/{name}")
    }
}

/// What [`check_name`] lets pass, for schemas.
pub const NAME_PATTERN: &str = "^[A-Za-z0-9._-]{1,130}$";

/// Checks a secret's name as callers give it.
pub fn check_name(name: &str) -> Result<()> {
    let fine =
        !name.is_empty() && name.len() <= 130 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_".contains(&b));
    if fine {
        Ok(())
    } else {
        Err(Error::invalid("name", "A secret is named <service>.<resource>.<output>; list_secrets shows the names."))
    }
}
