//! Looking after open runs: the net below the jobs that look after each.

use super::{Next, Periodic, PeriodicTask};
use crate::{
    app::{Asgard, runs},
    domain::run::{OPEN, Run},
    error::Result,
    ports::{kinds::RUNS_OPEN, records::Records, store::Query},
};
use async_trait::async_trait;
use std::{sync::Arc, time::Duration};

/// Its declaration. The setting `runs.reconcile_secs` says how long a server rests.
pub const RECONCILE_RUNS: Periodic = Periodic::every("reconcile-runs", Duration::from_secs(120));

/// Looks after every open run.
#[derive(Debug)]
pub struct ReconcileRuns {
    /// How often.
    pub period: Duration,
}

#[async_trait]
impl PeriodicTask for ReconcileRuns {
    fn declared(&self) -> Periodic {
        RECONCILE_RUNS.resting(self.period)
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
