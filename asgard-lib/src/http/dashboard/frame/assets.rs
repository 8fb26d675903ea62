//! The stylesheet, the script and the icon. Their addresses hold a hash of their content, so browsers may keep them forever.

use super::layout::glyph;
use crate::http::HttpState;
use askama::Template;
use axum::{
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use sha2::{Digest, Sha256};
use std::sync::{Arc, LazyLock};

/// A file that pages link to.
pub(crate) struct Asset {
    /// Where pages find it, below the base path.
    pub href: String,
    name: String,
    mime: &'static str,
    body: &'static str,
}

impl Asset {
    fn new(stem: &str, extension: &str, mime: &'static str, body: &'static str) -> Self {
        let hash = data_encoding::HEXLOWER.encode(&Sha256::digest(body.as_bytes()));
        let short: String = hash.chars().take(16).collect();
        let name = format!("{stem}-{short}.{extension}");
        Self { href: format!("/assets/{name}"), name, mime, body }
    }
}

/// The stylesheet.
pub(crate) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("style", "css", "text/css; charset=utf-8", include_str!("../../../../assets/style.css"))
});

/// The script. Every page works without it.
pub(crate) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("script", "js", "text/javascript; charset=utf-8", include_str!("../../../../assets/script.js"))
});

const FOREVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const AN_HOUR: HeaderValue = HeaderValue::from_static("public, max-age=3600");

/// Serves a file by its hashed name; an old name is gone.
pub(crate) async fn asset(Path(name): Path<String>) -> Response {
    let found = [&*STYLE, &*SCRIPT].into_iter().find(|asset| asset.name == name);
    match found {
        Some(asset) => (
            [(header::CONTENT_TYPE, HeaderValue::from_static(asset.mime)), (header::CACHE_CONTROL, FOREVER)],
            asset.body,
        )
            .into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// The icon in the browser's tab: the first letter of the system's name.
#[derive(Template)]
#[template(path = "parts/icon.svg", escape = "html")]
struct Icon {
    glyph: String,
}

/// Draws the icon.
pub(crate) async fn icon(State(state): State<Arc<HttpState>>) -> Response {
    let icon = Icon { glyph: glyph(state.settings().system_name.as_str()) };
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static("image/svg+xml")), (header::CACHE_CONTROL, AN_HOUR)];
    (headers, icon.to_string()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_file_gets_another_address() {
        let address = |body: &'static str| Asset::new("style", "css", "text/css", body).href;
        assert_ne!(address("a"), address("b"));
        assert!(address("a").starts_with("/assets/style-ca978112ca1bbdca"), "{}", address("a"));
    }

    #[test]
    fn the_script_never_writes_markup_or_runs_text() {
        for forbidden in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("] {
            assert!(!SCRIPT.body.contains(forbidden), "{forbidden}");
        }
        assert!(!STYLE.body.contains("http"), "no outside assets");
    }
}
