//! The HTTP surfaces: REST, MCP, dashboard. They authenticate, parse and render; no rule lives here.
//!
//! [`router()`] is one value that the server, a Lambda function and tests mount alike; [`serve()`] is the listener around
//! it for servers. Below a path of somebody else's address it is nested, or [`mounted()`] is merged, and [`well_known()`] is
//! merged at the root. Everything that requests share is one [`HttpState`] behind an `Arc`.

mod api;
mod auth;
#[cfg(feature = "dashboard")]
mod dashboard;
mod docs;
mod frame;
mod health;
mod json;
#[cfg(feature = "mcp")]
mod mcp;
mod metrics;
mod openapi;
pub mod problem;
mod rest_of_body;
mod router;
mod serve;
mod state;
#[cfg(any(test, feature = "contract"))]
pub mod testkit;
#[cfg(test)]
mod tests;

pub use auth::{Caller, HostCredential, HostUser, Via, check_origin};
pub use frame::{Arrival, Limit, OwnName, Peer, TRACE_HEADER};
pub use problem::Problem;
pub use router::{Surface, mounted, router, router_of, server, well_known};
pub use serve::{Front, serve};
pub use state::{HttpState, Readiness};
