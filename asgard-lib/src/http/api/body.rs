//! Reading a body: only JSON, only as much as allowed, only where one belongs.

use crate::{
    app::core::operation::Method,
    error::{Code, Error, Result},
    http::{HttpState, json},
};
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::{Map, Value};

/// The JSON object in the body; empty when there is none.
pub(super) async fn read(
    state: &HttpState,
    method: Method,
    headers: &HeaderMap,
    body: Body,
) -> Result<Map<String, Value>> {
    let bytes = collect(state, headers, body).await?;
    if bytes.is_empty() {
        return Ok(Map::new());
    }
    if method == Method::Get {
        return Err(Error::invalid("body", "GET takes no body; send fields as query parameters."));
    }
    if !is_json(headers) {
        return Err(
            Error::new(Code::UnsupportedMedia, "Send JSON with `Content-Type: application/json`.").at("content-type")
        );
    }
    json::object(&bytes)
}

/// The whole body, at most as large as configured.
pub(in crate::http) async fn collect(state: &HttpState, headers: &HeaderMap, body: Body) -> Result<Bytes> {
    let limit = state.settings().max_body_bytes;
    let too_large = || {
        Error::new(Code::BodyTooLarge, format!("The body is larger than the {limit} bytes that are accepted here."))
            .at("body")
    };
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    match Limited::new(body, usize::try_from(limit).unwrap_or(usize::MAX)).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => Err(too_large()),
        Err(error) => Err(Error::invalid("body", "The body could not be read to its end.").caused_by(error)),
    }
}

/// Whether the body says that it is JSON.
pub(in crate::http) fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}
