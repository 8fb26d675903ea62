//! The pages, by area, and their addresses.

mod account;
mod ask;
mod audit;
mod projects;
mod requests;
mod resources;
mod runs;
mod services;
mod user;
mod users;

use crate::http::HttpState;
use axum::{
    Router,
    routing::{get, post},
};
use std::sync::Arc;

/// The pages that people see once they are signed in.
pub(crate) fn routes() -> Router<Arc<HttpState>> {
    Router::new()
        .merge(project_routes())
        .merge(request_routes())
        .route("/services", get(services::list))
        .route("/services/{service}", get(services::show))
        .route("/users", get(users::list).post(users::create))
        .route("/users/{user}", get(user::show))
        .route("/users/{user}/sign-out", post(user::sign_out))
        .route("/users/{user}/credentials/{credential}/revoke", post(user::revoke))
        .route("/users/{user}/role", post(users::set_role))
        .route("/users/{user}/active", post(users::set_active))
        .route("/audit", get(audit::list))
        .route("/audit/verify", get(audit::verify))
        .route("/account", get(account::show))
        .route("/account/sign-out-everywhere", post(account::sign_out_everywhere))
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
        .route("/projects/{id}/keys/{key}/adopt", post(projects::adopt))
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
