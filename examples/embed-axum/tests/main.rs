//! The service as browsers and agents meet it, as one program.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first thing that is wrong"
)]

mod activity;
mod policy;
mod running;
mod service;
