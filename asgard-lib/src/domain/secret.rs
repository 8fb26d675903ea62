//! Secrets: names and versions. The values live in a [`crate::ports::secrets::SecretStore`].

use crate::{
    error::{Error, Result},
    kernel::{ProjectId, ResourceId, SecretId, Timestamp},
};
use serde::{Deserialize, Serialize};

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
    /// When the first version was stored.
    pub created_at: Timestamp,
    /// When the present version was stored.
    pub rotated_at: Timestamp,
}

impl Secret {
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
