//! What the Lambda functions share. A function mounts a router like the server does; what differs is who calls it.
//!
//! So far there is nothing behind the router: Lambda needs a store without a disk, and DynamoDB is not built yet. `/healthz`
//! answers, and everything else says so.

use asgard_lib::{Code, Error, config::Environment, http::problem, kernel::TraceId, ports::world::World};
use axum::{
    Json, Router,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
    routing::get,
};

/// What Lambda sets for every function.
const VARIABLES: [&str; 4] = [
    "AWS_LAMBDA_RUNTIME_API",
    "AWS_LAMBDA_FUNCTION_NAME",
    "AWS_LAMBDA_FUNCTION_VERSION",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
];

/// Why this process is not a Lambda function, if it is not: the runtime itself would only panic.
pub fn started_by_hand(environment: &Environment) -> Option<String> {
    let missing: Vec<&str> = VARIABLES.into_iter().filter(|name| environment.get(name).is_none()).collect();
    let sentence = "This program is started by AWS Lambda, and not by hand; `asgard serve` runs Asgard as a server.";
    (!missing.is_empty()).then(|| format!("{sentence} (Not set: {}.)", missing.join(", ")))
}

/// What the function answers.
pub fn router() -> Router {
    Router::new().route("/healthz", get(|| async { "ok" })).fallback(nothing_behind)
}

async fn nothing_behind() -> Response {
    let error = Error::new(
        Code::NotReady,
        "Asgard does not run on Lambda yet: it needs DynamoDB for that, which is not built. Run `asgard serve` instead.",
    );
    let trace: TraceId = World::system().id();
    let mut response = (problem::status(&error), Json(problem::document(&error, &trace))).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}
