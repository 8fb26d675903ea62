//! What the end-to-end tests are written in: a deployment of its own for each test ([`Site`]), the real `asgard` binary in
//! it ([`Server`]), clients that are not ours to trust ([`Client`], [`Browser`]), and a look at what is left behind.
//!
//! The peers come from `tests/run`, which says where they are in `ASGARD_TEST_*`. A peer or a binary that is missing fails
//! the test and says how to get it; nothing is skipped.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "this is test code: a surprise ends the test with a message"
)]

mod aws;
mod browser;
mod cast;
mod client;
mod cloud;
mod databases;
mod dynamodb;
mod functions;
mod leaks;
mod overlay;
mod peers;
mod ports;
mod processes;
mod server;
mod site;
mod wait;

pub use aws::Aws;
pub use browser::{Browser, Scheme};
pub use cast::{Cast, PASSWORD, Person};
pub use client::{Client, Reply, Tool, Transcript};
pub use cloud::Cloud;
pub use databases::Database;
pub use functions::{Answer, Asked, Environment, FUNCTIONS, Fault, Functions, Loopback, Roles, RuntimeApi, Task, now};
pub use leaks::{Leak, assert_absent, disguises};
pub use overlay::overlay;
pub use peers::{Peers, example};
pub use ports::quiet_port;
pub use processes::{Process, alive};
pub use server::Server;
pub use site::Site;
pub use wait::{eventually, eventually_within, with_a_window_ahead};
