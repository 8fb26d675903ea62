//! Secrets: names and versions. The values live in a [`crate::ports::secrets::SecretStore`].

use crate::{
    error::{Error, Result},
    kernel::{ProjectId, ResourceId, SecretId, Timestamp},
};
use serde::{Deserialize, Serialize};

/// The key of what stands for a sensitive input's value in a stored spec. What users send never holds one.
pub(crate) const REFERENCE: &str = "$secret";

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
    /// When the first version was stored.
    pub created_at: Timestamp,
    /// When the present version was stored.
    pub rotated_at: Timestamp,
}

impl Secret {
    /// Where the secret store has the present value: under which id, as which version.
    pub fn stored(&self) -> (&SecretId, u32) {
        match &self.stored_as {
            Some(id) => (id, 1),
            None => (&self.id, self.version),
        }
    }

    /// Whether the secret store keeps a value of this secret under that id.
    pub fn keeps(&self, id: &SecretId) -> bool {
        self.id == *id || self.stored_as.as_ref() == Some(id) || self.applied_as.as_ref() == Some(id)
    }

    /// The claim that finds a secret by name.
    pub fn claim(project: &ProjectId, name: &str) -> String {
        format!("secret/{project}/{name}")
    }
}

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
