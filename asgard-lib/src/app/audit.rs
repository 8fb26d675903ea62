//! The audit log: reading it, verifying it, and following it as the event feed.

mod feed;
pub(crate) mod marks;
mod operations;
#[cfg(test)]
mod tests;
mod verify;

pub use feed::{EventFeed, EventPage};
pub use operations::{AuditView, ListAudit, VerifyAudit};
pub use verify::{Break, RemovedBlocks, VerifyReport, verify, verify_within};
