//! Projects: the gate. Nothing provisions or spends without an active one.

use super::tier::{DataClass, Tier};
use crate::{
    error::{Code, Error, Result},
    kernel::{ActorRef, DisplayName, Party, ProjectId, Slug, Timestamp, Usd, principal},
};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

mod lifecycle;
mod registration;

pub use lifecycle::{decommission, kill, unkill};
pub use registration::{
    Changes, Group, MAX_EVIDENCE, MAX_TEXT, Registration, Rules, missing_evidence, register, update,
};

/// A registered project.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Project {
    /// Its id.
    pub id: ProjectId,
    /// What people call it.
    pub name: DisplayName,
    /// Who answers for what it does.
    #[serde(flatten, with = "principal::owner")]
    pub owner: Party,
    /// Who answers for the owner, and approves.
    #[serde(flatten, with = "principal::manager")]
    pub manager: Party,
    /// The group it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Slug>,
    /// Where its cost goes; follows from the group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_center: Option<String>,
    /// How much depends on it.
    pub classification: Tier,
    /// How sensitive its data is.
    pub data_class: DataClass,
    /// Monthly budget in micro-dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<Usd>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Evidence for its tier, by field.
    #[serde(default)]
    pub evidence: BTreeMap<String, String>,
    /// Where it is in its life.
    pub status: ProjectStatus,
    /// When it was registered.
    pub created_at: Timestamp,
    /// Who registered it.
    pub created_by: ActorRef,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Where a project is in its life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ProjectStatus {
    /// It works.
    Active,
    /// Stopped at once: its keys are refused and nothing new starts until somebody lifts it.
    Killed {
        /// Who stopped it.
        by: ActorRef,
        /// An admin's kill is lifted only by an admin.
        by_admin: bool,
        /// When.
        at: Timestamp,
        /// Why.
        reason: String,
    },
    /// Over for good.
    Decommissioned {
        /// Who ended it.
        by: ActorRef,
        /// When.
        at: Timestamp,
    },
}

/// A project's state without its circumstances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Lifecycle {
    /// The project works.
    Active,
    /// The project was stopped: its keys are refused and nothing new starts until somebody lifts it.
    Killed,
    /// The project is over for good.
    Decommissioned,
}

impl Lifecycle {
    /// The state's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Killed => "killed",
            Self::Decommissioned => "decommissioned",
        }
    }
}

impl ProjectStatus {
    /// The state without its circumstances.
    pub const fn lifecycle(&self) -> Lifecycle {
        match self {
            Self::Active => Lifecycle::Active,
            Self::Killed { .. } => Lifecycle::Killed,
            Self::Decommissioned { .. } => Lifecycle::Decommissioned,
        }
    }
}

impl Project {
    /// Fails unless the project is active.
    pub fn require_active(&self) -> Result<()> {
        match &self.status {
            ProjectStatus::Active => Ok(()),
            ProjectStatus::Killed { reason, by_admin, .. } => Err(Error::new(
                Code::ProjectInactive,
                format!(
                    "{} has been killed ({reason}). {} can lift that.",
                    self.id,
                    if *by_admin { "An admin" } else { "Its owner, its manager or an admin" }
                ),
            )),
            ProjectStatus::Decommissioned { .. } => Err(Error::new(
                Code::ProjectInactive,
                format!("{} has been decommissioned. Register a new project.", self.id),
            )),
        }
    }

    /// The counter of monthly micro-dollars that are committed or in flight.
    pub fn committed_counter(id: &ProjectId) -> String {
        format!("committed/{id}")
    }

    /// The counter of what of [`Self::committed_counter`] no person has approved: policy let it pass.
    pub fn unapproved_counter(id: &ProjectId) -> String {
        format!("unapproved/{id}")
    }

    /// The counter of the same over all projects whose records name the owner so. A person may have several: that of the account,
    /// and those of the addresses that records still name.
    pub fn owner_counter(owner: &Party) -> String {
        match owner {
            Party::User { id, .. } => format!("unapproved-of/{id}"),
            // An address may be longer than a counter's name.
            Party::Address(email) => {
                format!("unapproved-of/address/{}", HEXLOWER.encode(&Sha256::digest(email.as_str().as_bytes())))
            }
        }
    }

    /// The counter of resources that are not destroyed.
    pub fn resources_counter(id: &ProjectId) -> String {
        format!("resources/{id}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::ActorKind;

    pub(super) fn evidence() -> BTreeMap<Tier, Vec<String>> {
        BTreeMap::from([(Tier::LightOperational, vec!["runbook_url".into()])])
    }

    pub(super) fn wanted() -> Registration {
        Registration {
            name: "Pilot".parse().unwrap(),
            owner: Party::Address("owner@corp.example".parse().unwrap()),
            manager: "mgr@corp.example".parse().map(Party::Address).ok(),
            group: "platform".parse().ok(),
            classification: Tier::Poc,
            data_class: DataClass::Internal,
            budget: None,
            description: None,
            evidence: BTreeMap::new(),
        }
    }

    pub(super) fn project() -> Project {
        let required = evidence();
        let rules = Rules {
            require_manager: true,
            require_group: true,
            require_cost_center: false,
            groups: vec![],
            evidence: &required,
        };
        let by = ActorRef { kind: ActorKind::Human, id: "usr_x".into(), person: None, user: None };
        register(wanted(), &rules, by, false, ProjectId::new(2026, 1), Timestamp::from_millis(0)).unwrap()
    }
}
