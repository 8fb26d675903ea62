//! Approving, rejecting and taking back.

use super::{
    super::{
        said::Said,
        sent::{Input, Sent},
        visit::{Visit, done},
    },
    page,
};
use axum::{extract::Path, response::Response};

async fn act(visit: Visit, request: String, sent: Sent, operation: &'static str, said: Said) -> Response {
    let input = Input::new().set("request_id", request.as_str()).optional("version", &sent);
    let input = if operation == "requests.cancel" { input } else { input.optional("note", &sent) };
    let came_to = match visit.act(operation, input, None).await {
        Ok(_) if sent.text("back") == "/approvals" => Ok(done("/approvals", said)),
        Ok(_) => Ok(done(&format!("/requests/{request}"), said)),
        // The page that comes back is the request's own, which shows what has become of it.
        Err(error) => page(&visit, &request, Some(&sent), Some(error)).await,
    };
    visit.answer(came_to)
}

/// Approves a request.
pub async fn approve(visit: Visit, Path(request): Path<String>, sent: Sent) -> Response {
    act(visit, request, sent, "requests.approve", Said::Approved).await
}

/// Rejects a request.
pub async fn reject(visit: Visit, Path(request): Path<String>, sent: Sent) -> Response {
    act(visit, request, sent, "requests.reject", Said::Rejected).await
}

/// Takes a request back.
pub async fn cancel(visit: Visit, Path(request): Path<String>, sent: Sent) -> Response {
    act(visit, request, sent, "requests.cancel", Said::Cancelled).await
}
