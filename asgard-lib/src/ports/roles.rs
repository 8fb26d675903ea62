//! Credentials of a target's own: what Terraform gets instead of Asgard's.

use crate::{
    error::Result,
    kernel::{RunId, SecretText},
};
use async_trait::async_trait;
use std::{fmt, time::Duration};

/// Assumes roles for runs.
#[async_trait]
pub trait Roles: fmt::Debug + Send + Sync {
    /// Assumes a role in the name of a run, for as long as that takes or for as long as there is.
    ///
    /// # Errors
    ///
    /// It is not allowed, or cannot be asked for just now.
    async fn assume(&self, role: &str, run: &RunId, lasts: Duration) -> Result<Assumed>;
}

/// What came of it. No `Debug`: it holds credentials.
pub struct Assumed {
    /// The variables in which programs look for credentials.
    pub variables: Vec<(String, SecretText)>,
    /// How long they are good for.
    pub lasts: Duration,
}

crate::kernel::opaque!(Assumed);
