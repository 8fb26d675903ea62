//! Finding keys for which nobody answers any more.

use super::{Next, Periodic, PeriodicTask, ends_nothing};
use crate::{
    app::{
        Asgard,
        keys::{Round, review_some},
    },
    error::Result,
};
use async_trait::async_trait;
use std::{sync::Arc, time::Duration};

/// Its declaration.
pub const REVIEW_KEYS: Periodic = Periodic::every("review-keys", Duration::from_secs(3600));

/// Looks through all project keys for those whose minter may not mint keys any more.
#[derive(Debug)]
pub struct ReviewKeys;

#[async_trait]
impl PeriodicTask for ReviewKeys {
    fn declared(&self) -> Periodic {
        REVIEW_KEYS
    }

    async fn run(&self, app: &Arc<Asgard>) -> Result<Next> {
        Ok(match review_some(app).await? {
            Round::GoesOn => Next::Again,
            Round::Over => Next::Rest,
        })
    }

    /// Nothing is flagged either: a flag says since when, and the time of thirty days would begin at a moment that never was.
    async fn run_unsteadily(&self, _: &Arc<Asgard>) -> Result<Next> {
        Ok(ends_nothing(self.name()))
    }
}
