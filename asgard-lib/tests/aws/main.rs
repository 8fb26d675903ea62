//! Keys and secrets on a stand-in for AWS that listens. What it does not show (throttling, missing rights) is with the
//! adapters.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test may stop at the first thing that is wrong, and reads where its peers are from the environment"
)]

mod kms;
mod local;
mod peer;
mod secrets_manager;
mod settings;
