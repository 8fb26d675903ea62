//! The dashboard: pages for people, rendered here and working without JavaScript.
//!
//! A page reads through operations and never from the store; a form runs an operation and then leads to another page, or
//! comes back with what was entered and what is wrong with it. What a page offers follows from the same rules that the
//! operations follow, so a control that is missing would have been refused. Answers carry the headers of the frame around
//! every request; no page holds a script or a style of its own.

mod account;
mod ask;
mod assets;
mod audit;
mod field;
mod flash;
mod form_data;
mod format;
mod layout;
mod page_request;
mod problem;
mod projects;
mod requests;
mod resources;
mod runs;
mod services;
mod sign_in;
mod tables;
#[cfg(test)]
mod tests;
mod users;

pub use problem::in_style;

use super::HttpState;
use axum::{
    Router,
    routing::{get, post},
};
use std::sync::Arc;

/// The dashboard's pages.
pub fn routes() -> Router<Arc<HttpState>> {
    Router::new()
        .route("/", get(sign_in::show))
        .route("/sign-in", post(sign_in::enter))
        .route("/sign-out", post(sign_in::leave))
        .route("/assets/{name}", get(assets::asset))
        .route("/icon.svg", get(assets::icon))
        .merge(project_routes())
        .merge(request_routes())
        .route("/services", get(services::list))
        .route("/services/{service}", get(services::show))
        .route("/users", get(users::list).post(users::create))
        .route("/users/{user}/role", post(users::set_role))
        .route("/users/{user}/active", post(users::set_active))
        .route("/audit", get(audit::list))
        .route("/audit/verify", get(audit::verify))
        .route("/account", get(account::show))
        .route("/account/password", post(account::change_password))
        .route("/account/tokens", post(account::create_token))
        .route("/account/tokens/{token}/revoke", post(account::revoke_token))
        .route("/account/sessions/{session}/revoke", post(account::end_session))
}

fn project_routes() -> Router<Arc<HttpState>> {
    Router::new()
        .route("/projects", get(projects::list).post(projects::register))
        .route("/projects/new", get(projects::registering))
        .route("/projects/{id}", get(projects::overview))
        .route("/projects/{id}/settings", get(projects::settings).post(projects::save))
        .route("/projects/{id}/kill", post(projects::kill))
        .route("/projects/{id}/unkill", post(projects::unkill))
        .route("/projects/{id}/decommission", post(projects::decommission))
        .route("/projects/{id}/keys", get(projects::keys).post(projects::mint))
        .route("/projects/{id}/keys/{key}/revoke", post(projects::revoke))
        .route("/projects/{id}/resources", get(projects::resources))
        .route("/projects/{id}/requests", get(projects::requests))
        .route("/projects/{id}/secrets", get(projects::secrets))
        .route("/projects/{id}/secrets/{name}/rotate", post(projects::rotate))
        .route("/projects/{id}/audit", get(projects::audit))
        .route("/projects/{id}/ask", get(ask::choose))
        .route("/projects/{id}/ask/{service}", get(ask::form).post(ask::ask))
}

fn request_routes() -> Router<Arc<HttpState>> {
    Router::new()
        .route("/approvals", get(requests::inbox))
        .route("/requests", get(requests::all))
        .route("/requests/{request}", get(requests::show))
        .route("/requests/{request}/approve", post(requests::approve))
        .route("/requests/{request}/reject", post(requests::reject))
        .route("/requests/{request}/cancel", post(requests::cancel))
        .route("/resources/{resource}", get(resources::show))
        .route("/resources/{resource}/retry", post(resources::retry))
        .route("/resources/{resource}/refresh", post(resources::refresh))
        .route("/resources/{resource}/remove", post(resources::remove))
        .route("/runs/{run}", get(runs::show))
}
