//! Asgard inside a service of one's own.
//!
//! A company has a sign-in service that puts a signed session into a cookie of each of its services. This is one of those
//! services. It has routes of its own, and Asgard below `/governance`: whoever has the company's cookie is that person in
//! Asgard's REST API and dashboard, with the role that the company's groups give them. Agents use `/governance/mcp` with
//! project keys as ever. Nobody signs in with a password.
//!
//! - `session.rs` verifies the company's cookie. Replace it with what your company has.
//! - `gate.rs` is the middleware that tells Asgard who it is: one [`HostUser`](asgard_lib::http::HostUser) in the request.
//! - `parts.rs` has what the company gives instead of what Asgard's configuration says: its clock, its safe for secrets, its
//!   facilities as the runner, what can be asked of them, and its policy.
//! - `activity.rs` follows the event feed and counts what happens, across restarts.
//! - `service.rs` opens Asgard; `routes.rs` mounts it beside the routes of the host.

pub mod activity;
mod gate;
pub mod parts;
mod routes;
pub mod service;
pub mod session;
