//! Resources: what a project has. `(project, service, name)` names one while it lives.

use super::{
    secret::{SecretInput, SecretOwner},
    target::Target,
};
use crate::{
    error::{Code, Error, Result},
    kernel::{ActorRef, ProjectId, RequestId, ResourceId, ResourceName, SecretId, Slug, Timestamp, Usd},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, ops::Deref};

mod applied;

pub use applied::{Applied, KeptModule};

/// Where a resource is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResourceStatus {
    /// Being made for the first time.
    Provisioning,
    /// It exists as asked.
    Provisioned,
    /// It exists and is being changed.
    Updating,
    /// The last change failed; something may exist.
    Failed,
    /// It exists and is switched off.
    Suspended,
    /// Being removed.
    Destroying,
    /// Gone.
    Destroyed,
}

impl ResourceStatus {
    /// Every status.
    pub const ALL: [Self; 7] = [
        Self::Provisioning,
        Self::Provisioned,
        Self::Updating,
        Self::Failed,
        Self::Suspended,
        Self::Destroying,
        Self::Destroyed,
    ];

    /// The one table of where a resource may go next.
    pub const fn next(self) -> &'static [Self] {
        match self {
            Self::Provisioning => &[Self::Provisioned, Self::Failed, Self::Destroyed],
            Self::Provisioned => &[Self::Updating, Self::Destroying, Self::Suspended],
            Self::Updating => &[Self::Provisioned, Self::Failed],
            Self::Failed => &[Self::Provisioning, Self::Updating, Self::Destroying],
            Self::Suspended => &[Self::Provisioned, Self::Destroying],
            Self::Destroying => &[Self::Destroyed, Self::Provisioned, Self::Failed],
            Self::Destroyed => &[],
        }
    }

    /// The status's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Provisioning => "provisioning",
            Self::Provisioned => "provisioned",
            Self::Updating => "updating",
            Self::Failed => "failed",
            Self::Suspended => "suspended",
            Self::Destroying => "destroying",
            Self::Destroyed => "destroyed",
        }
    }
}

/// A secret that a resource has: where its value is, never the value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SecretRef {
    /// The secret's id.
    pub secret_id: SecretId,
    /// The secret's name in the project; pass it to `get_secret`.
    pub name: String,
}

/// A resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    /// Its id.
    pub id: ResourceId,
    /// The project it belongs to.
    pub project: ProjectId,
    /// The service it is an instance of.
    pub service: Slug,
    /// Its name.
    pub name: ResourceName,
    /// Where it is.
    pub target: Target,
    /// Where it is in its life.
    pub status: ResourceStatus,
    /// The spec that was last applied, or is being applied first.
    #[serde(flatten)]
    pub spec: Spec,
    /// Plain outputs of the last apply.
    #[serde(default)]
    pub outputs: Map<String, Value>,
    /// Secret outputs, by output.
    #[serde(default)]
    pub secret_refs: BTreeMap<String, SecretRef>,
    /// What it costs a month, as counted against the project.
    #[serde(default)]
    pub committed: Usd,
    /// How much of that no person has approved: policy let it pass. Versions before did not say; `rewrite-records` finds it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unapproved: Option<Usd>,
    /// How often its secrets were rotated.
    #[serde(default)]
    pub rotation: u32,
    /// Whether the outputs were made up by the dry run.
    #[serde(default)]
    pub dry_run: bool,
    /// The last request about it.
    pub request: RequestId,
    /// What has to be looked at, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attention: Option<String>,
    /// Addresses that drifted at the last refresh.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<String>,
    /// When it was last refreshed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refreshed_at: Option<Timestamp>,
    /// When it was first asked for.
    pub created_at: Timestamp,
    /// Who asked first.
    pub created_by: ActorRef,
    /// Whether no plan of it was ever let through, so that nothing of it can exist. Not known of those of version 0.1.0, and so `false`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unmade: bool,
    /// Whether a change to a kind that a person has to approve began and did not come to its end: what exists may be of that kind, whatever
    /// the spec says that was last applied wholly.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub half_made_asks: bool,
    /// When it first existed as asked; once set, an apply has worked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provisioned_at: Option<Timestamp>,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// What a resource is asked to be: plain values, and beside them where the values of sensitive inputs are. No plain value
/// stands for anything else, whatever it looks like.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Spec {
    /// The inputs that are not sensitive.
    #[serde(rename = "spec")]
    pub values: Map<String, Value>,
    /// The sensitive inputs, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secret_inputs: BTreeMap<String, SecretInput>,
}

impl Deref for Spec {
    type Target = Map<String, Value>;
    fn deref(&self) -> &Map<String, Value> {
        &self.values
    }
}

impl From<Map<String, Value>> for Spec {
    fn from(values: Map<String, Value>) -> Self {
        Self { values, secret_inputs: BTreeMap::new() }
    }
}

impl Resource {
    /// Whose its secrets are.
    pub fn owner(&self) -> SecretOwner {
        SecretOwner { project: self.project.clone(), resource: self.id.clone() }
    }

    /// How much of what it costs no person has approved: all of it where nobody knows.
    pub fn unapproved(&self) -> Usd {
        self.unapproved.unwrap_or(self.committed)
    }

    /// The claim that makes a name unique, and finds the resource by it.
    pub fn name_claim(project: &ProjectId, service: &Slug, name: &ResourceName) -> String {
        format!("resource/{project}/{service}/{name}")
    }

    /// This resource's own claim.
    pub fn claim(&self) -> String {
        Self::name_claim(&self.project, &self.service, &self.name)
    }

    /// The name that a secret output of this resource has in its project.
    pub fn secret_name(&self, output: &str) -> String {
        format!("{}.{}.{output}", self.service, self.name)
    }

    /// Moves to `status` if the table allows it; staying is always allowed.
    pub(crate) fn go(&self, status: ResourceStatus, now: Timestamp) -> Result<Self> {
        if self.status != status && !self.status.next().contains(&status) {
            return Err(Error::new(
                Code::WrongState,
                format!("Resource {} is {} and cannot become {}.", self.id, self.status.name(), status.name()),
            ));
        }
        Ok(Self { status, updated_at: now, ..self.clone() })
    }
}

/// What is current of a resource's Terraform state: a pointer to sealed bytes, swapped by fenced commits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatePointer {
    /// The resource.
    pub resource: ResourceId,
    /// Terraform's serial; only grows.
    pub serial: u64,
    /// Terraform's lineage; never changes.
    pub lineage: String,
    /// The id of the sealed bytes.
    pub sealed: String,
    /// Older sealed bytes that are kept, oldest first.
    #[serde(default)]
    pub history: Vec<String>,
    /// What it was made with; read it through [`StatePointer::made_with`]. Absent for states that a version before stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<Applied>,
    /// The run that stored it.
    pub run: crate::kernel::RunId,
    /// When.
    pub at: Timestamp,
}

impl StatePointer {
    /// How many older states are kept.
    pub const HISTORY: usize = 5;

    /// Whether a newer state may take this one's place.
    pub fn accepts(&self, lineage: &str, serial: u64) -> bool {
        self.lineage == lineage && serial > self.serial
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destroyed_is_the_only_end() {
        for status in ResourceStatus::ALL {
            assert_eq!(status.next().is_empty(), status == ResourceStatus::Destroyed, "{status:?}");
        }
    }
}
