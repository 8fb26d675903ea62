//! The middleware around every route: who it is, for the host's own handlers and for Asgard.

use crate::{service::Host, session::Visitor};
use asgard_lib::{
    http::{HostUser, Peer},
    kernel::Role,
};
use axum::{
    extract::{ConnectInfo, Request, State},
    middleware::Next,
    response::Response,
};
use std::{net::SocketAddr, sync::Arc};

/// What the company's groups may do in Asgard. Who is in neither registers projects and works on their own.
pub fn role(visitor: &Visitor) -> Role {
    let is_in = |group: &str| visitor.groups.iter().any(|name| name == group);
    if is_in("asgard-admins") {
        Role::Admin
    } else if is_in("finance") {
        Role::Finance
    } else {
        Role::Member
    }
}

/// Says who it is, and turns nobody away: what a visitor is needed for is for each route to know, and Asgard's routes
/// answer 401 by themselves. Nothing of the request's own makes a [`HostUser`]; only a cookie that verifies does.
pub async fn gate(State(host): State<Arc<Host>>, mut request: Request, next: Next) -> Response {
    if let Some(visitor) = host.sessions.visitor(request.headers(), host.now()) {
        request.extensions_mut().insert(HostUser::new(visitor.email.clone(), role(&visitor)));
        request.extensions_mut().insert(visitor);
    }
    // Asgard slows guessing down by address and believes `X-Forwarded-*` only from trusted proxies: tell it who connected.
    if let Some(ConnectInfo(peer)) = request.extensions().get::<ConnectInfo<SocketAddr>>().copied() {
        request.extensions_mut().insert(Peer { address: peer.ip(), tls: false });
    }
    next.run(request).await
}
