//! What every operation stands on: what a call is, what an operation is, the one way to run it, and the transaction.

pub mod call;
mod meta;
pub mod operation;
pub mod reads;
pub mod scope;
pub mod transact;
