//! Where the heads of the audit log's chains are kept, out of reach of whoever can write to the database.

use crate::error::Result;
use async_trait::async_trait;

/// A place that only grows. The sealer gives it every head that moved, at least once; `asgard audit verify --anchors` and the
/// operation `audit.verify` take what was kept. Where nobody can take anything back, such as a bucket with object lock, it
/// proves most.
#[async_trait]
pub trait AnchorSink: Send + Sync + 'static {
    /// Whether nothing was ever kept there, so that the heads of all chains come first.
    async fn is_empty(&self) -> Result<bool>;

    /// Keeps these anchors, each a text without spaces. They count as kept once this returns; after an error they come again.
    async fn keep(&self, anchors: &[String]) -> Result<()>;
}

/// The process's log: the default.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogAnchors;

#[async_trait]
impl AnchorSink for LogAnchors {
    /// A log cannot be read here. What it had before is assumed to be kept.
    async fn is_empty(&self) -> Result<bool> {
        Ok(false)
    }

    async fn keep(&self, anchors: &[String]) -> Result<()> {
        for anchor in anchors {
            tracing::info!(anchor, "Heads of the audit log, to verify it with later.");
        }
        Ok(())
    }
}
