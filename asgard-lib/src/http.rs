//! The HTTP surfaces: REST, MCP, dashboard. They authenticate, parse and render; no rule lives here.
//!
//! [`router()`] is one value that the server, a Lambda function and tests mount alike; [`serve()`] is the listener around
//! it for servers. Below a path of somebody else's address it is nested, or [`mounted()`] is merged, and [`well_known()`] is
//! merged at the root. Everything that requests share is one [`HttpState`] behind an `Arc`.

mod api;
pub mod auth;
#[cfg(feature = "dashboard")]
pub mod dashboard;
mod docs;
pub mod frame;
mod health;
mod json;
#[cfg(feature = "mcp")]
mod mcp;
mod metrics;
mod openapi;
pub mod problem;
mod rest_of_body;
mod router;
pub mod serve;
pub mod state;
#[cfg(any(test, feature = "contract"))]
pub mod testkit;
#[cfg(test)]
mod tests;

pub use auth::{Caller, HostCredential, HostUser};
pub use frame::{Arrival, Limit, OwnName, Peer};
pub use problem::Problem;
pub use router::{Surface, mounted, router, router_of, server, well_known};
pub use serve::{Front, serve};
pub use state::{HttpState, Readiness};
