//! A team's Lambda function: a route of its own, and Asgard's `/mcp` beside it, in one router.

use asgard_lambda::{deadline, event::clean};
use asgard_lib::{
    Code, Error, Result,
    app::{Asgard, worker},
    http::{HttpState, Limit, Peer, Surface, router_of},
    runtime::Runtime,
};
use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::get,
};
use lambda_http::{
    Adapter, Context, LambdaEvent, RequestExt, Service,
    http::StatusCode,
    request::{LambdaRequest, RequestContext},
    service_fn,
};
use serde_json::{Value, json};
use std::{convert::Infallible, pin::pin, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

/// The longest that a request may take; the rest of the invocation is for what it caused.
const LIMIT: Duration = Duration::from_secs(15);
/// What is kept of an invocation for the answer's way.
const WAY_BACK: Duration = Duration::from_secs(1);
/// What is kept of it for periodic tasks to hand back their leases.
const HAND_BACK: Duration = Duration::from_secs(5);
/// An invocation that is shorter than this takes no job.
const SHORTEST: Duration = Duration::from_secs(15);

/// The function: what is opened once, and answers event after event.
pub struct Function {
    runtime: Runtime,
    router: Router,
}

impl Function {
    /// The team's routes, with Asgard's.
    pub fn new(runtime: Runtime) -> Self {
        let app = Arc::clone(runtime.app());
        let asgard = router_of(HttpState::new(Arc::clone(&app)), Surface::Mcp)
            // The first layer that a request meets is the last one here.
            .layer(from_fn_with_state(Arc::clone(&app), work_before_the_answer))
            .layer(from_fn_with_state(app, who_and_how_long));
        let router = Router::new().route("/team/hello", get(|| async { "Hello from the team." })).merge(asgard);
        Self { runtime, router }
    }

    /// What it stands on.
    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    /// Answers a request, or does what is due when a schedule asks with `{"work": "tick"}`.
    ///
    /// # Errors
    ///
    /// An event that is neither, and periodic tasks that failed.
    pub async fn event(&self, event: LambdaEvent<Value>) -> std::result::Result<Value, lambda_http::Error> {
        let LambdaEvent { payload, context } = event;
        let ends = ends(&context, self.runtime.app());
        // No reloader runs between events. Without this, what is sealed here after a rotation could not be opened elsewhere.
        match timeout_at(ends, self.runtime.keyring().reload_if_due()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => eprint_line(&format!("Could not read the keyring again; trying on: {}", error.chain())),
            Err(_) => eprint_line("Could not read the keyring again in time; trying on."),
        }
        if payload.get("work").and_then(Value::as_str) == Some("tick") {
            return Ok(json!({"did": self.tick(ends).await?}));
        }
        self.request(serde_json::from_value(payload)?, context).await
    }

    async fn request(
        &self,
        mut payload: LambdaRequest,
        context: Context,
    ) -> std::result::Result<Value, lambda_http::Error> {
        // The library ends the process over what is no address, and anybody may send that.
        let mut refused = clean(&mut payload).err();
        let answering = service_fn(|request: lambda_http::Request| {
            let (mut router, refused) = (self.router.clone(), refused.take());
            async move {
                Ok::<_, Infallible>(match refused {
                    Some(error) => (StatusCode::BAD_REQUEST, error.message().to_owned()).into_response(),
                    None => match router.call(request.map(Body::new)).await {
                        Ok(response) => response,
                        Err(never) => match never {},
                    },
                })
            }
        });
        let answer = Adapter::from(answering).call(LambdaEvent { payload, context }).await;
        match answer {
            Ok(answer) => Ok(serde_json::to_value(answer)?),
            Err(never) => match never {},
        }
    }

    /// Does what a server's loops do: seals the audit log, ends what has run out, looks after runs and keys; and then the jobs
    /// that are due. The periodic tasks that had their turn.
    async fn tick(&self, ends: Instant) -> Result<Vec<&'static str>> {
        if ends < Instant::now() + SHORTEST {
            return Err(Error::new(
                Code::Config,
                "Give the function a timeout of 30 seconds: it would never do a job.",
            ));
        }
        let stop = CancellationToken::new();
        let mut turns = pin!(self.runtime.run_periodic(&stop));
        let did = tokio::select! {
            biased;
            did = &mut turns => did,
            () = sleep_until(ends.checked_sub(HAND_BACK).unwrap_or(ends)) => {
                stop.cancel();
                turns.await
            }
        }?;
        worker::run_until(self.runtime.app(), ends.checked_sub(WAY_BACK).unwrap_or(ends), None).await?;
        Ok(did)
    }
}

/// When the invocation ends: Lambda says so, and its default is three seconds.
fn ends(context: &Context, app: &Asgard) -> Instant {
    deadline::of(context.deadline, app.world())
}

/// When the invocation ends that a request came in.
fn ends_of(request: &Request, app: &Asgard) -> Instant {
    request.lambda_context_ref().map_or_else(Instant::now, |context| ends(context, app))
}

/// Tells Asgard who is at the other end, which only the event knows, and how long it may take.
async fn who_and_how_long(State(app): State<Arc<Asgard>>, mut request: Request, next: Next) -> Response {
    let address = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.as_deref().and_then(|ip| ip.parse().ok()),
        _ => None,
    };
    if let Some(address) = address {
        // API Gateway speaks TLS only. What the client claims to be forwarded for is not believed.
        request.extensions_mut().insert(Peer { address, tls: true });
        request.headers_mut().remove("x-forwarded-for");
    }
    // Half of the invocation, because the other half may be needed for what the request causes.
    let left = ends_of(&request, &app).saturating_duration_since(Instant::now());
    request.extensions_mut().insert(Limit(LIMIT.min(left / 2)));
    next.run(request).await
}

/// Does the jobs that a request appended, before its answer: the environment is frozen after that. With little time left the
/// next tick does them. A deployment whose runs are real has a function of its own for this, as `asgard-lambda` does.
async fn work_before_the_answer(State(app): State<Arc<Asgard>>, request: Request, next: Next) -> Response {
    let by = ends_of(&request, &app);
    let by = by.checked_sub(WAY_BACK).unwrap_or(by);
    let response = next.run(request).await;
    if let Some(woken) = app.take_wake_hint()
        && let Err(error) = worker::run_until(&app, by, Some(woken)).await
    {
        eprint_line(&format!("Jobs wait for the next tick: {}", error.chain()));
    }
    response
}

/// Says something in the function's log.
pub fn eprint_line(text: &str) {
    use std::io::Write;
    // Where stderr is gone there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{text}");
}
