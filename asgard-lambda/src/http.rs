//! The function behind an HTTP API, a function URL, a REST API or a load balancer. It mounts the router that a server mounts.

mod front;
mod outside;

use crate::{Settings, deadline, event, open::Lazy, waker::WorkerWaker};
use asgard_lib::{
    Code, Error, Result,
    app::bootstrap::{FirstAdmin, Wins, first_admin_with},
    http::{HttpState, Limit, Surface, server},
    kernel::BasePath,
    ports::world::World,
    runtime::Runtime,
};
use axum::{Router, body::Body};
use lambda_http::{
    Adapter, LambdaEvent, Request, Response, Service,
    http::{Method, request::Parts},
    request::LambdaRequest,
    service_fn,
};
use serde::Serialize;
use std::{
    convert::Infallible,
    sync::{Arc, OnceLock},
};
use tokio::{
    sync::OnceCell,
    time::{Instant, timeout_at},
};

/// Where people sign in, below the base path.
const SIGN_IN: [&str; 2] = ["/sign-in", "/api/auth/login"];

/// What a function answers requests with.
pub struct Http {
    settings: Settings,
    world: World,
    lazy: Lazy,
    router: OnceLock<Router>,
    admin: OnceCell<()>,
    waker: WorkerWaker,
}

impl Http {
    /// A function with these settings. Nothing is opened yet.
    pub fn new(settings: Settings) -> Arc<Self> {
        let waker = WorkerWaker::new(settings.events.clone(), settings.aws.clone());
        Arc::new(Self {
            settings,
            world: World::system(),
            lazy: Lazy::default(),
            router: OnceLock::new(),
            admin: OnceCell::new(),
            waker,
        })
    }

    /// Answers events until Lambda ends the environment.
    ///
    /// # Errors
    ///
    /// When Lambda's runtime API cannot be talked to.
    pub async fn serve(self: Arc<Self>) -> Result<(), lambda_http::Error> {
        let function = service_fn(move |event| {
            let http = Arc::clone(&self);
            async move { http.event(event).await }
        });
        lambda_http::lambda_runtime::run(function).await
    }

    /// Answers one event. Everything is done by then: nothing runs after it.
    ///
    /// # Errors
    ///
    /// None: what goes wrong is an answer.
    pub async fn event(
        self: Arc<Self>,
        event: LambdaEvent<LambdaRequest>,
    ) -> Result<impl Serialize + use<>, Infallible> {
        let LambdaEvent { mut payload, context } = event;
        let ends = deadline::of(context.deadline, &self.world);
        let mut refused = event::clean(&mut payload).err();
        let answering = service_fn(move |request: Request| {
            let (http, refused) = (Arc::clone(&self), refused.take());
            async move {
                Ok::<_, Infallible>(match refused {
                    Some(error) => outside::problem(&error, &http.world, &http.base()),
                    None => http.answer(request, ends).await,
                })
            }
        });
        Adapter::from(answering).call(LambdaEvent { payload, context }).await
    }

    /// Answers a request of an invocation that ends then.
    async fn answer(&self, request: Request, ends: Instant) -> Response<Body> {
        let by = deadline::of_request(ends);
        let (peer, own_name) = (front::peer(&request), front::own_name(&request));
        let (mut parts, body) = request.into_parts();
        // Alive is who answers; a slow database is none of it.
        if parts.uri.path() == "/healthz" {
            return Response::new(Body::from("ok"));
        }
        let runtime = match self.opened(&parts, by).await {
            Ok(runtime) => runtime,
            Err(error) => {
                tracing::error!(error = error.chain(), "A request could not be answered.");
                return outside::problem(&error, &self.world, &self.base());
            }
        };
        front::forget_what_anybody_may_claim(&mut parts.headers, peer.as_ref());
        if let Some(peer) = peer {
            parts.extensions.insert(peer);
        }
        if let Some(own_name) = own_name {
            parts.extensions.insert(own_name);
        }
        parts.extensions.insert(Limit(by.saturating_duration_since(Instant::now())));
        let router =
            self.router.get_or_init(|| server(HttpState::new(Arc::clone(runtime.app())), self.settings.surface));
        let mut router = router.clone();
        let response =
            match Service::call(&mut router, axum::extract::Request::from_parts(parts, Body::new(body))).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
        self.waker.if_wanted(runtime.app(), ends.saturating_duration_since(Instant::now())).await;
        response
    }

    fn base(&self) -> BasePath {
        self.settings.loaded.config.server.base()
    }

    async fn opened(&self, parts: &Parts, by: Instant) -> Result<&Runtime> {
        let runtime = Box::pin(self.lazy.ready(&self.settings, by)).await?;
        let base = self.base();
        let below = base.strip(parts.uri.path());
        let signs_in = parts.method == Method::POST && below.is_some_and(|path| SIGN_IN.contains(&path));
        if signs_in && self.settings.surface != Surface::Mcp {
            let late = |_| Error::new(Code::Timeout, "Seeing to the first admin took too long.").retry_after(2);
            timeout_at(by, self.admin.get_or_try_init(|| admin(&self.settings, runtime))).await.map_err(late)??;
        }
        Ok(runtime)
    }
}

/// Makes the first admin, and lets a newly configured password win. Here it is done once before the first sign-in, because
/// fetching and hashing a password takes longer than a cold start; and a password that the admin has changed since stays,
/// because an environment starts whenever Lambda likes.
async fn admin(settings: &Settings, runtime: &Runtime) -> Result<()> {
    // Generating a password would need somebody who reads it in the log, which stays.
    let Some(password) = settings.admin_password().await? else { return Ok(()) };
    match first_admin_with(runtime.app(), Some(&password), Wins::WhenItChanges).await? {
        FirstAdmin::Present | FirstAdmin::Generated(..) => {}
        FirstAdmin::Made(username) => {
            tracing::info!("Made the first admin, {username}, with the password of ASGARD_ADMIN_PASSWORD.");
        }
        FirstAdmin::Reset(username) => tracing::warn!(
            "ASGARD_ADMIN_PASSWORD is another one than before: the password of {username} was reset, and the account's sessions are over."
        ),
    }
    Ok(())
}
