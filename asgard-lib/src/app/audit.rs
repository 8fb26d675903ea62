//! Reading and verifying the audit log.

mod operations;
mod verify;

pub use operations::{AuditView, ListAudit, VerifyAudit};
pub use verify::{Break, VerifyReport, verify, verify_within};
