//! What a plan would do, as people see it and as approvals are compared: addresses and actions, never values.

use super::RunOp;
use crate::error::{Code, Error, Result};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt};

/// What a plan would do to one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Create it.
    Create,
    /// Change it in place.
    Update,
    /// Destroy and create it.
    Replace,
    /// Destroy it.
    Delete,
}

impl Change {
    /// Whether something that exists is gone after it.
    pub const fn loses(self) -> bool {
        match self {
            Self::Delete | Self::Replace => true,
            Self::Update | Self::Create => false,
        }
    }

    /// What comes first for whoever approves: 0 is the gravest.
    const fn gravity(self) -> u8 {
        match self {
            Self::Delete => 0,
            Self::Replace => 1,
            Self::Update => 2,
            Self::Create => 3,
        }
    }

    /// Whether something exists after it that did not before.
    pub const fn creates(self) -> bool {
        match self {
            Self::Create | Self::Replace => true,
            Self::Update | Self::Delete => false,
        }
    }
}

/// One address of a plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PlannedChange {
    /// The address of the thing in Terraform's configuration.
    pub address: String,
    /// What would happen to the thing.
    pub change: Change,
}

/// The types of resources that are nothing but a value, and that a new value of a secret replaces.
const VALUES: [&str; 4] = ["random_", "tls_", "time_", "terraform_data"];

impl PlannedChange {
    /// Whether the thing is nothing but a value: replacing it takes nothing else away.
    pub fn is_only_a_value(&self) -> bool {
        Self::is_value(&self.address)
    }

    /// Whether the thing at an address is nothing but a value.
    pub(super) fn is_value(address: &str) -> bool {
        // The type is the last part but one. A key in brackets is no part of the address, and may hold anything within its quotes.
        let (mut key, mut quoted, mut escaped) = (false, false, false);
        let plain: String = address
            .chars()
            .filter(|c| {
                match (*c, quoted) {
                    _ if escaped => escaped = false,
                    ('\\', true) => escaped = true,
                    ('"', _) => quoted = key && !quoted,
                    ('[', false) => key = true,
                    (']', false) => {
                        key = false;
                        return false;
                    }
                    (_, _) => {}
                }
                !key
            })
            .collect();
        let kind = plain.rsplit('.').nth(1).unwrap_or_default();
        VALUES.iter().any(|value| kind == *value || (value.ends_with('_') && kind.starts_with(value)))
    }
}

/// A provider that is not the one of the last apply.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ProviderChange {
    /// The provider's address, for example `registry.terraform.io/hashicorp/aws`.
    pub provider: String,
    /// The version of the last apply; absent when the provider was not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The version that this plan was made with; absent when the provider is not used any more. The same version as before means that
    /// its package has other checksums.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

impl fmt::Display for ProviderChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { provider, from, to } = self;
        match (from, to) {
            (Some(from), Some(to)) if from == to => {
                write!(f, "Provider {provider} {to} has other checksums than at the last apply.")
            }
            (Some(from), Some(to)) => write!(f, "Provider {provider} is {to}; the last apply was made with {from}."),
            (Some(from), None) => write!(f, "Provider {provider} {from} of the last apply is not used any more."),
            (None, Some(to)) => write!(f, "Provider {provider} {to} was not used by the last apply."),
            (None, None) => write!(f, "Provider {provider} is another one than at the last apply."),
        }
    }
}

/// What a plan would do: addresses and actions, never values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PlanSummary {
    /// The number of things that would be created.
    pub create: u32,
    /// The number of things that would be changed in place.
    pub update: u32,
    /// The number of things that would be destroyed and created again.
    pub replace: u32,
    /// The number of things that would be destroyed.
    pub delete: u32,
    /// Whether only outputs would change.
    pub outputs_changed: bool,
    /// The addresses with their actions, the gravest first. Everything that would be destroyed or replaced is listed, and of the
    /// rest as much as makes 200 in all; the numbers above count all of it, and the log of the plan's run names it.
    pub changes: Vec<PlannedChange>,
    /// The providers that are not those of the last apply, because those are not offered any more; at most 50. Present only where a
    /// plan works with what a resource was last applied with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub providers: Vec<ProviderChange>,
    /// What the approval binds to: SHA-256 over the module, the inputs, the state's serial and the engine.
    pub digest: String,
}

impl PlanSummary {
    /// The most addresses that a summary lists, unless more than that would be destroyed or replaced.
    pub const MAX_CHANGES: usize = 200;
    /// The most bytes of addresses: both the run and the request keep them in one record.
    pub const MAX_BYTES: usize = 100 * 1024;
    /// The most providers that a summary lists.
    pub const MAX_PROVIDERS: usize = 50;

    /// The summary as it is kept: the gravest changes first, and the harmless ones cut to what fits. Where everything is to be removed,
    /// whoever approves it knows what goes: what does not fit is counted.
    ///
    /// # Errors
    ///
    /// When what would be destroyed or replaced does not fit: nobody could see what they approve.
    pub fn listed(mut self, op: RunOp) -> Result<Self> {
        self.changes.sort_by_key(|planned| planned.change.gravity());
        let losses = self.changes.iter().take_while(|planned| planned.change.loses()).count();
        let mut bytes = 0;
        let fitting = self.changes.iter().take_while(|planned| {
            bytes += planned.address.len() + 30;
            bytes <= Self::MAX_BYTES
        });
        let fitting = fitting.count();
        let all_goes = op == RunOp::PlanDestroy && self.create + self.update + self.replace == 0;
        if fitting < losses && !all_goes {
            let message = format!(
                "The plan destroys or replaces {losses} things, more than a summary can list for who approves it. Make the change in smaller steps."
            );
            return Err(Error::new(Code::RunnerFailed, message));
        }
        self.changes.truncate(fitting.min(losses.max(Self::MAX_CHANGES)));
        Ok(self)
    }

    /// How many changes the summary counts and does not list.
    pub fn unlisted(&self) -> usize {
        let all = self.create.saturating_add(self.update).saturating_add(self.replace).saturating_add(self.delete);
        usize::try_from(all).unwrap_or(usize::MAX).saturating_sub(self.changes.len())
    }

    /// What may exist of this plan when nobody can tell how far applying it came: every thing that it creates and that is not among
    /// the addresses that the change is known to have recorded. Silence is no evidence. Creations that the summary does not list are
    /// counted at the end.
    pub fn may_exist(&self, recorded: &BTreeSet<String>) -> Vec<String> {
        let creations = self.changes.iter().filter(|planned| planned.change.creates());
        let listed = u32::try_from(creations.clone().count()).unwrap_or(u32::MAX);
        let missing = creations.map(|planned| &planned.address).filter(|address| !recorded.contains(*address));
        let mut all: Vec<String> = missing.cloned().collect();
        match (self.create + self.replace).saturating_sub(listed) {
            0 => {}
            more => all.push(format!("{more} more that the plan creates and its summary does not list")),
        }
        all
    }

    /// Whether carrying it out would do nothing at all.
    pub fn is_empty(&self) -> bool {
        self.create + self.update + self.replace + self.delete == 0 && !self.outputs_changed
    }

    /// Whether this plan does nothing to any address that `approved` did not already name: what is left of an interrupted
    /// apply. A half-made thing may have to be replaced; that is not growth.
    pub fn is_rest_of(&self, approved: &Self) -> bool {
        self.unlisted() == 0
            && approved.unlisted() == 0
            && self.changes.iter().all(|mine| {
                approved.changes.iter().any(|theirs| {
                    theirs.address == mine.address
                        && match (theirs.change, mine.change) {
                            (Change::Delete, mine) => mine == Change::Delete,
                            (Change::Create | Change::Update | Change::Replace, Change::Delete) => false,
                            (Change::Create | Change::Replace, Change::Create | Change::Update | Change::Replace) => {
                                true
                            }
                            (Change::Update, mine) => mine == Change::Update,
                        }
                })
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(changes: &[(&str, Change)]) -> PlanSummary {
        let mut all = PlanSummary::default();
        for (address, change) in changes {
            match change {
                Change::Create => all.create += 1,
                Change::Update => all.update += 1,
                Change::Replace => all.replace += 1,
                Change::Delete => all.delete += 1,
            }
            all.changes.push(PlannedChange { address: (*address).into(), change: *change });
        }
        all
    }

    #[test]
    fn the_rest_of_a_plan_never_grows() {
        use Change::{Create, Delete, Replace, Update};
        let approved = summary(&[("a", Create), ("b", Update), ("c", Delete), ("d", Replace)]);
        for rest in [&[][..], &[("a", Create)], &[("a", Replace), ("d", Create)], &[("c", Delete), ("b", Update)]] {
            assert!(summary(rest).is_rest_of(&approved), "{rest:?}");
        }
        for more in [&[("e", Create)][..], &[("b", Delete)], &[("b", Replace)], &[("a", Delete)], &[("c", Create)]] {
            assert!(!summary(more).is_rest_of(&approved), "{more:?}");
        }
        let mut cut = approved;
        cut.create += 1;
        assert!(!summary(&[("a", Create)]).is_rest_of(&cut), "a summary that was cut short proves nothing");
    }

    #[test]
    fn what_would_be_lost_is_never_cut_from_a_summary() {
        use Change::{Create, Delete, Replace, Update};
        let named = |n: usize, change| PlannedChange { address: format!("a.b[{n:03}]"), change };
        let mut plan = PlanSummary { create: 260, update: 1, replace: 1, delete: 1, ..PlanSummary::default() };
        plan.changes = (0..260).map(|n| named(n, Create)).collect();
        plan.changes.extend([named(300, Update), named(301, Replace), named(302, Delete)]);
        let listed = plan.listed(RunOp::Plan).unwrap();
        let first: Vec<Change> = listed.changes.iter().take(4).map(|planned| planned.change).collect();
        assert_eq!(first, [Delete, Replace, Update, Create]);
        assert_eq!((listed.changes.len(), listed.unlisted()), (PlanSummary::MAX_CHANGES, 63));

        let losing = |count: u32, length: usize| PlanSummary {
            delete: count,
            changes: (0..count).map(|n| PlannedChange { address: format!("{n:0length$}"), change: Delete }).collect(),
            ..PlanSummary::default()
        };
        assert_eq!(losing(1_000, 60).listed(RunOp::Plan).unwrap().unlisted(), 0, "all of them, however many");
        let refused = losing(1_000, 600).listed(RunOp::Plan).unwrap_err();
        assert!(refused.message().contains("1000 things"), "{}", refused.message());
        // Whatever was made can be removed, however much it is.
        let all = losing(20_000, 600).listed(RunOp::PlanDestroy).unwrap();
        assert_eq!((all.changes.len() + all.unlisted(), all.delete), (20_000, 20_000));
        let more = PlanSummary { replace: 1, ..losing(1_000, 600) }.listed(RunOp::PlanDestroy);
        assert!(more.is_err(), "only where nothing else happens");
    }

    #[test]
    fn no_key_makes_a_thing_pass_for_a_value() {
        for value in [
            "random_password.this",
            "module.x[\"a.b\"].random_password.this[0]",
            "tls_private_key.k",
            "module.m.terraform_data.t[\"]\"]",
        ] {
            assert!(PlannedChange::is_value(value), "{value}");
        }
        for thing in [
            "aws_db_instance.this",
            "aws_db_instance.this[\"a].random_password.y\"]",
            "aws_db_instance.this[\"a\\\"].random_password.y[\\\"\"]",
            "aws_db_instance.this[\"]\"]",
            "module.m[\"x].random_password.y[\"].aws_db_instance.this",
            "module.random_password.aws_db_instance.x",
            "aws_db_instance.random_password",
            "random_password",
            "",
        ] {
            assert!(!PlannedChange::is_value(thing), "{thing}");
        }
    }
}
