//! What every operation stands on: what a call is, what an operation is, the one way to run it, and the transaction.

pub mod call;
pub mod drive;
pub(crate) mod effects;
pub mod idempotency;
pub mod list;
mod meta;
pub mod operation;
pub mod reads;
pub mod scope;
#[cfg(test)]
mod tests;
pub mod transact;
pub mod waiver;
