//! End to end: the real binary, the real Terraform, real databases, a browser and an MCP client that are not ours.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "this is test code: a surprise ends the test with a message"
)]

mod access;
mod aws;
mod confined;
mod dashboard;
mod embedded;
mod failover;
mod faults;
mod feed;
mod functions;
mod hostile;
mod interruptions;
mod job;
mod keys;
mod kills;
mod main_job;
mod mcp_sdk;
mod orphans;
mod programs;
mod proxy;
mod removal;
mod replicas;
mod surface;
