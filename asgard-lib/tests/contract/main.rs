//! The public contract suite on every backend of this crate, and on the fault decorators where what they do must not matter.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test may stop at the first thing that is wrong, and reads where its peers are from the environment"
)]

mod before;
mod dynamo;
mod memory;
mod postgres;
mod rows;
mod sqlite;
mod views;
