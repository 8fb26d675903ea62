//! Reading a body: only JSON, only as much as allowed, only where one belongs.

use crate::{
    app::operation::Method,
    error::{Code, Error, Result},
    http::{HttpState, json},
};
use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt;
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

/// How much of a body that is too large is read and thrown away, so that the client is still there to read the refusal.
const DRAIN: u64 = 16 * 1024 * 1024;

/// The whole body, at most as large as configured.
pub(in crate::http) async fn collect(state: &HttpState, headers: &HeaderMap, mut body: Body) -> Result<Bytes> {
    let limit = state.settings().max_body_bytes;
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let mut whole = BytesMut::new();
    let mut size = 0u64;
    let too_large = |size: u64| size > limit || announced.is_some_and(|announced| announced > limit);
    // A client that asks before it sends is told without being read from.
    if too_large(0) && headers.contains_key(header::EXPECT) {
        return Err(refused(limit));
    }
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| Error::invalid("body", "The body could not be read to its end.").caused_by(error))?;
        let Ok(data) = frame.into_data() else { continue };
        size = size.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        if !too_large(size) {
            whole.extend_from_slice(&data);
        } else if size > DRAIN.saturating_add(limit) {
            break;
        }
    }
    if too_large(size) { Err(refused(limit)) } else { Ok(whole.freeze()) }
}

fn refused(limit: u64) -> Error {
    let message = format!("The body is larger than the {limit} bytes that are accepted here.");
    Error::new(Code::BodyTooLarge, message).at("body")
}

/// Whether the body says that it is JSON.
pub(in crate::http) fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}
