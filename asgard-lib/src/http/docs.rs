//! Pages that need nothing from elsewhere: the reference of the API, and one page per error code. Plain HTML made here, with
//! one style sheet and no script.

mod errors;
mod html;
mod reference;

use super::{HttpState, Problem};
use crate::error::{Error, Result};
use axum::{
    Router,
    extract::{Path, State},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use http::header;
use std::sync::Arc;

const STYLE: &str = include_str!("docs/style.css");
/// How long browsers may keep a page: it changes with the binary only.
const KEEP: (header::HeaderName, &str) = (header::CACHE_CONTROL, "max-age=300");

/// The pages under `/docs`.
pub(super) fn routes() -> Router<Arc<HttpState>> {
    Router::new()
        .route("/docs", get(reference_page))
        .route("/docs/style.css", get(|| async { ([KEEP, (header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE) }))
        .route("/docs/errors", get(|State(state): State<Arc<HttpState>>| async move { error_page(&state, "README") }))
        .route("/docs/errors/{code}", get(|State(state): State<Arc<HttpState>>, Path(code): Path<String>| async move { error_page(&state, &code) }))
}

async fn reference_page(State(state): State<Arc<HttpState>>) -> impl IntoResponse {
    ([KEEP], Html(reference::page(state.openapi(), state.base())))
}

fn error_page(state: &HttpState, code: &str) -> Result<Response, Problem> {
    let page = errors::page(code, state.base()).ok_or_else(|| Error::not_found("error code"))?;
    Ok(([KEEP], Html(page)).into_response())
}
