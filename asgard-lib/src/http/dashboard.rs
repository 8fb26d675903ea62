//! The dashboard: pages for people, rendered here and working without JavaScript.
//!
//! A page reads through operations and never from the store; a form runs an operation and then leads to another page, or
//! comes back with what was entered and what is wrong with it. What a page offers follows from the same rules that the
//! operations follow, so a control that is missing would have been refused. Answers carry the headers of the frame around
//! every request; no page holds a script or a style of its own.
//!
//! `frame` is what is around every page, `widgets` what pages are made of, `pages` the pages by area. Widgets know neither
//! of the others, and the frame knows no page.

mod frame;
mod pages;
#[cfg(test)]
mod tests;
mod widgets;

pub(crate) use frame::in_style;

use super::HttpState;
use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{get, post},
};
use std::sync::Arc;

/// The dashboard's addresses.
pub(crate) fn routes(state: &Arc<HttpState>) -> Router<Arc<HttpState>> {
    Router::new()
        .route("/", get(frame::show))
        .route("/sign-in", post(frame::enter))
        .route("/sign-out", post(frame::leave))
        .route("/assets/{name}", get(frame::asset))
        .route("/icon.svg", get(frame::icon))
        .merge(pages::routes().layer(middleware::from_fn_with_state(Arc::clone(state), frame::keep_unsent_form)))
        // A form is read like every body, against `max_body_bytes`; see `FormData`.
        .layer(DefaultBodyLimit::disable())
}
