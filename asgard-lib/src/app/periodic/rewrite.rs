//! Writing records of earlier layouts again.

use super::{Next, Periodic, PeriodicTask};
use crate::{
    app::{
        Asgard,
        people::{is_rewritten, rewrite_some},
    },
    error::Result,
};
use async_trait::async_trait;
use std::{sync::Arc, time::Duration};

/// Its declaration.
pub const REWRITE_RECORDS: Periodic = Periodic::every("rewrite-records", Duration::from_secs(300));

/// Writes records of earlier layouts again in today's, a page at a time. Once that is done it does nothing.
#[derive(Debug)]
pub struct RewriteRecords;

#[async_trait]
impl PeriodicTask for RewriteRecords {
    fn declared(&self) -> Periodic {
        REWRITE_RECORDS
    }

    async fn wanted(&self, app: &Arc<Asgard>) -> Result<bool> {
        Ok(!is_rewritten(app).await?)
    }

    async fn run(&self, app: &Arc<Asgard>) -> Result<Next> {
        Ok(if rewrite_some(app).await? { Next::Again } else { Next::Rest })
    }
}
