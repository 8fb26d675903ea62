//! What every operation stands on: what a call is, what an operation is, the one way to run it, and the transaction.

pub(crate) mod call;
pub(crate) mod clocks;
pub(crate) mod drive;
pub(crate) mod effects;
pub(crate) mod entry;
pub(crate) mod idempotency;
pub(crate) mod inbox;
pub(crate) mod list;
mod meta;
pub(crate) mod operation;
pub(crate) mod reads;
pub(crate) mod scope;
pub(crate) mod submit;
#[cfg(test)]
mod tests;
pub(crate) mod transact;
pub(crate) mod waits;
pub(crate) mod waiver;
pub(crate) mod watch;
