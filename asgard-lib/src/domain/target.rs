//! Where things may be created.

use crate::kernel::Slug;
use serde::{Deserialize, Serialize};

/// Where something is to be created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Target {
    /// The cloud, for example `aws` or `local`.
    pub cloud: Slug,
    /// The account or tenant of that cloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The region, where the cloud has regions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// An entry of the allow-list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// The cloud.
    pub cloud: Slug,
    /// The account or tenant.
    pub account: String,
    /// The region, where the entry names one.
    pub region: Option<String>,
}

/// The targets in force.
#[derive(Clone, Copy, Debug)]
pub struct AllowList<'a> {
    /// Where things may be created.
    pub allowed: &'a [Allowed],
    /// The cloud whose services need no entry: they create nothing outside Asgard.
    pub local: &'a str,
}

impl AllowList<'_> {
    /// Whether something may be created there.
    pub fn names(&self, target: &Target) -> bool {
        if target.cloud.as_str() == self.local {
            return target.account.is_none();
        }
        let account = target.account.as_deref();
        self.allowed.iter().any(|entry| entry.cloud == target.cloud && Some(entry.account.as_str()) == account)
    }
}
