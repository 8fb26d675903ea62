//! The audit log: reading it, verifying it, and following it as the event feed.

mod anchors;
mod feed;
pub(crate) mod marks;
mod operations;
#[cfg(test)]
mod tests;
mod verify;

pub(crate) use anchors::end_of;
pub use anchors::{AuditAnchorView, ListAuditAnchors, current_anchors};
pub use feed::{EventFeed, EventPage};
pub use operations::{AuditView, ListAudit, VerifyAudit};
pub(in crate::app) use operations::{FIRST_DAY, days_from};
pub use verify::{AnchorReport, Break, RemovedBlocks, VerifyReport, verify, verify_anchored, verify_within};

crate::app::core::entry::table! {
    ListAudit,
    VerifyAudit,
    ListAuditAnchors,
}
