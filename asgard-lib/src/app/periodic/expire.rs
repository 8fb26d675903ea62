//! Deleting what has expired.

use super::{Next, Periodic, PeriodicTask, deletes_nothing};
use crate::{
    app::{Asgard, worker::recall_stranded},
    error::Result,
    ports::records::store_error,
};
use async_trait::async_trait;
use std::{sync::Arc, time::Duration};

/// Its declaration.
pub const EXPIRE: Periodic = Periodic::every("expire", Duration::from_secs(300));

const BATCH: usize = 500;

/// Deletes records, counters and markers past their time, a batch at a time; and brings back jobs that a wrong clock has put off.
#[derive(Debug)]
pub struct Expire;

#[async_trait]
impl PeriodicTask for Expire {
    fn declared(&self) -> Periodic {
        EXPIRE
    }

    async fn run(&self, app: &Arc<Asgard>) -> Result<Next> {
        recall_stranded(app).await?;
        let gone = app.store().expire(app.cautious_now().await?, BATCH).await.map_err(store_error)?;
        Ok(if gone < BATCH { Next::Rest } else { Next::Again })
    }

    async fn run_unsteadily(&self, app: &Arc<Asgard>) -> Result<Next> {
        recall_stranded(app).await?;
        Ok(deletes_nothing(self.name()))
    }
}
