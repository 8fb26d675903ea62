//! The real binary, from the outside: what it prints, how it exits, how it starts and stops.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that is surprised should fail where it is"
)]

mod client;
mod configuration;
mod help;
mod operator;
mod program;
mod serve;
mod validate;
