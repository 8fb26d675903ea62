//! How the entry of an operation is written by whoever has operations of their own: a part more breaks nobody.

use super::operation::{Hints, Meta, Method, Route};
use crate::domain::access::Action;

impl Meta {
    /// An operation of this name (area and verb), with a title, a description for agents and the action that it needs permission
    /// for. It sets something, and is on no surface yet.
    pub const fn new(name: &'static str, title: &'static str, description: &'static str, action: Action) -> Self {
        Self { name, title, description, action, routes: &[], tools: &[], hints: Hints::SET, creates: false }
    }

    /// On these REST routes.
    #[must_use]
    pub const fn routes(self, routes: &'static [Route]) -> Self {
        Self { routes, ..self }
    }

    /// As MCP tools of these names; the first is preferred.
    #[must_use]
    pub const fn tools(self, tools: &'static [&'static str]) -> Self {
        Self { tools, ..self }
    }

    /// What clients may expect.
    #[must_use]
    pub const fn hints(self, hints: Hints) -> Self {
        Self { hints, ..self }
    }

    /// It creates something, and an idempotency key makes it happen once.
    #[must_use]
    pub const fn creates(self) -> Self {
        Self { creates: true, ..self }
    }
}

impl Route {
    /// A route below `/api`, with the status of a success.
    pub const fn new(method: Method, path: &'static str, status: u16) -> Self {
        Self { method, path, status }
    }
}
