//! Looking after open runs: the net below the jobs that look after each.

use super::{Next, PeriodicTask};
use crate::{
    app::{Asgard, runs},
    domain::run::{OPEN, Run},
    error::Result,
    ports::{kinds::RUNS_OPEN, records::Records, store::Query},
};
use async_trait::async_trait;
use std::{sync::Arc, time::Duration};

/// Looks after every open run.
pub struct ReconcileRuns {
    /// How often.
    pub period: Duration,
}

#[async_trait]
impl PeriodicTask for ReconcileRuns {
    fn name(&self) -> &'static str {
        "reconcile-runs"
    }

    fn period(&self) -> Duration {
        self.period
    }

    async fn wanted(&self, app: &Arc<Asgard>) -> Result<bool> {
        let open = app.store().list::<Run>(&Query::new(&RUNS_OPEN, OPEN).take(1)).await?;
        Ok(!open.items.is_empty() || !app.runner().left_over().await?.is_empty())
    }

    async fn run(&self, app: &Arc<Asgard>) -> Result<Next> {
        runs::check_all_runs(app).await?;
        Ok(Next::Rest)
    }
}
