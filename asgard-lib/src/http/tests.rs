//! The surfaces as clients meet them.

mod auth;
mod base_path;
mod endings;
#[cfg(feature = "mcp")]
mod explain;
mod host;
mod hostile;
mod in_process;
#[cfg(all(feature = "mcp", feature = "dashboard"))]
mod logs;
#[cfg(feature = "mcp")]
mod mcp;
mod operations;
#[cfg(feature = "mcp")]
mod own;
mod rest;
mod server;
#[cfg(all(feature = "mcp", feature = "dashboard"))]
mod states;
#[cfg(feature = "mcp")]
mod waits;

use super::testkit::Reply;

/// An answer as a snapshot shows it: status, the headers that were asked for, body.
fn shown(what: &str, reply: &Reply, headers: &[&str]) -> String {
    let mut text = format!("{what}\n  {}", reply.status);
    for name in headers {
        if reply.headers.contains_key(*name) {
            text.push_str(&format!("\n  {name}: {}", reply.header(name)));
        }
    }
    text.push_str(&format!("\n  {}\n", reply.text()));
    text
}
