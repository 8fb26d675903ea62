//! The dashboard: pages for people, rendered here, working without JavaScript.

use super::HttpState;
use axum::Router;
use std::sync::Arc;

/// The dashboard's pages.
pub fn routes() -> Router<Arc<HttpState>> {
    Router::new()
}
