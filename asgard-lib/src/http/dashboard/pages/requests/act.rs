//! Approving, rejecting and taking back.

use super::page;
use crate::http::dashboard::{
    frame::{Flash, PageRequest, done},
    widgets::{FormData, Input},
};
use axum::{extract::Path, response::Response};

async fn act(
    page_request: PageRequest,
    request: String,
    form_data: FormData,
    operation: &'static str,
    flash: Flash,
) -> Response {
    let input = Input::new().set("request_id", request.as_str()).optional("version", &form_data);
    let input = if operation == "requests.cancel" { input } else { input.optional("note", &form_data) };
    let came_to = match page_request.act(operation, input, None).await {
        Ok(_) if form_data.text("back") == "/approvals" => Ok(done("/approvals", flash)),
        Ok(_) => Ok(done(&format!("/requests/{request}"), flash)),
        // The page that comes back is the request's own, which shows what has become of it.
        Err(error) => page(&page_request, &request, Some(&form_data), Some(error)).await,
    };
    page_request.answer(came_to)
}

/// Approves a request.
pub async fn approve(page_request: PageRequest, Path(request): Path<String>, form_data: FormData) -> Response {
    act(page_request, request, form_data, "requests.approve", Flash::Approved).await
}

/// Rejects a request.
pub async fn reject(page_request: PageRequest, Path(request): Path<String>, form_data: FormData) -> Response {
    act(page_request, request, form_data, "requests.reject", Flash::Rejected).await
}

/// Takes a request back.
pub async fn cancel(page_request: PageRequest, Path(request): Path<String>, form_data: FormData) -> Response {
    act(page_request, request, form_data, "requests.cancel", Flash::Cancelled).await
}
