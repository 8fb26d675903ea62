//! A team's Lambda function: a route of its own, and Asgard's `/mcp` beside it, in one router.

use asgard_lib::{
    app::{Asgard, worker},
    error::Result,
    http::{HttpState, Limit, Peer, Surface, router_of},
    runtime::Runtime,
};
use axum::{
    Router,
    extract::{Request, State},
    middleware::{Next, from_fn, from_fn_with_state},
    response::Response,
    routing::get,
};
use lambda_http::{RequestExt, request::RequestContext};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// How long a request may take: API Gateway gives up after 30 seconds.
const LIMIT: Duration = Duration::from_secs(15);
/// How long the work that a request caused may take before its answer leaves. Only dry runs are as quick as that.
const WORK: Duration = Duration::from_secs(12);

/// The team's routes, with Asgard's.
pub fn router(runtime: &Runtime) -> Router {
    let app = Arc::clone(runtime.app());
    let asgard = router_of(HttpState::new(Arc::clone(&app)), Surface::Mcp)
        // The first layer that a request meets is the last one here.
        .layer(from_fn_with_state(app, work_before_the_answer))
        .layer(from_fn(who_and_how_long));
    Router::new().route("/team/hello", get(|| async { "Hello from the team." })).merge(asgard)
}

/// Tells Asgard who is at the other end, which only the event knows, and how long it may take.
async fn who_and_how_long(mut request: Request, next: Next) -> Response {
    let address = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.as_deref().and_then(|ip| ip.parse().ok()),
        _ => None,
    };
    if let Some(address) = address {
        // API Gateway speaks TLS only. What the client claims to be forwarded for is not believed.
        request.extensions_mut().insert(Peer { address, tls: true });
        request.headers_mut().remove("x-forwarded-for");
    }
    request.extensions_mut().insert(Limit(LIMIT));
    next.run(request).await
}

/// Does the jobs that a request appended, before its answer: the environment is frozen after that. A deployment whose runs
/// are real has a function of its own for this, as `asgard-lambda` does.
async fn work_before_the_answer(State(app): State<Arc<Asgard>>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    if app.take_kick()
        && let Err(error) = done(&app).await
    {
        eprint_line(&format!("Jobs wait for the next request: {}", error.chain()));
    }
    response
}

async fn done(app: &Arc<Asgard>) -> Result<()> {
    worker::run_until(app, Instant::now() + WORK, true).await.map(|_| ())
}

/// Says something in the function's log.
pub fn eprint_line(text: &str) {
    use std::io::Write;
    // Where stderr is gone there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{text}");
}
