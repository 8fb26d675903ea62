//! Approving, rejecting and taking back.

use super::page;
use crate::{
    app::requests::{Approve, Cancel, Reject, RequestView},
    error::Result,
    http::dashboard::{
        frame::{Flash, PageRequest, id},
        widgets::FormData,
    },
};
use axum::{extract::Path, response::Response};

/// Where deciding leads, or the request's own page with what was wrong: it shows what has become of it.
async fn back(
    page_request: &PageRequest,
    request: &str,
    form_data: &FormData,
    came_to: Result<RequestView>,
    flash: Flash,
) -> Response {
    let answer = match came_to {
        Ok(_) if form_data.text("back") == "/approvals" => Ok(page_request.done("/approvals", flash)),
        Ok(_) => Ok(page_request.done(&format!("/requests/{request}"), flash)),
        Err(error) => page(page_request, request, Some(form_data), Some(error)).await,
    };
    page_request.answer(answer)
}

fn note(form_data: &FormData) -> Option<String> {
    form_data.given("note").map(str::to_owned)
}

/// Approves a request.
pub(crate) async fn approve(page_request: PageRequest, Path(request): Path<String>, form_data: FormData) -> Response {
    let came_to = try_approve(&page_request, &request, &form_data).await;
    back(&page_request, &request, &form_data, came_to, Flash::Approved).await
}

async fn try_approve(page_request: &PageRequest, request: &str, form_data: &FormData) -> Result<RequestView> {
    let (request_id, version) = (id(request, "request")?, form_data.read_given("version")?);
    page_request.submit(&Approve { request_id, note: note(form_data), version }).await
}

/// Rejects a request.
pub(crate) async fn reject(page_request: PageRequest, Path(request): Path<String>, form_data: FormData) -> Response {
    let came_to = try_reject(&page_request, &request, &form_data).await;
    back(&page_request, &request, &form_data, came_to, Flash::Rejected).await
}

async fn try_reject(page_request: &PageRequest, request: &str, form_data: &FormData) -> Result<RequestView> {
    let (request_id, version) = (id(request, "request")?, form_data.read_given("version")?);
    page_request.submit(&Reject { request_id, note: note(form_data), version }).await
}

/// Takes a request back.
pub(crate) async fn cancel(page_request: PageRequest, Path(request): Path<String>, form_data: FormData) -> Response {
    let came_to = try_cancel(&page_request, &request, &form_data).await;
    back(&page_request, &request, &form_data, came_to, Flash::Cancelled).await
}

async fn try_cancel(page_request: &PageRequest, request: &str, form_data: &FormData) -> Result<RequestView> {
    let (request_id, version) = (id(request, "request")?, form_data.read_given("version")?);
    page_request.submit(&Cancel { request_id, version }).await
}
