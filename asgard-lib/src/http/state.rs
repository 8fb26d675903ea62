//! What all requests share.

use super::{Arrival, Caller, auth, metrics::Meters, openapi};
use crate::{
    app::{
        Asgard, Call, Operation,
        operations::{Answer, Entry},
    },
    config::Server,
    error::Result,
    kernel::BasePath,
};
use serde_json::Value;
use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, Ordering},
    },
    time::Instant,
};
use zeroize::Zeroizing;

/// Whether this process should be sent requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It is still getting ready.
    Starting,
    /// Send them.
    Ready,
    /// It is about to stop: finish what runs, send nothing new.
    Stopping,
}

/// What all requests share. Hold it in one `Arc`; nothing of it is cloned per route or connection.
pub struct HttpState {
    app: Arc<Asgard>,
    readiness: AtomicU8,
    meters: Meters,
    openapi: OnceLock<Value>,
    base: BasePath,
    session_cookie: String,
    written: tokio::sync::Mutex<Option<Instant>>,
}

crate::kernel::opaque!(HttpState);

impl HttpState {
    /// The state of a process that is ready. It is served below the path of `ASGARD_PUBLIC_URL`, or has the whole address.
    pub fn new(app: Arc<Asgard>) -> Arc<Self> {
        let base = app.config().server.base();
        Self::below(app, base)
    }

    /// The state of a process that is ready and is served below `base`, whatever path the public address has.
    ///
    /// ```
    /// # use asgard_lib::{app::Asgard, http::{HttpState, router}};
    /// # use std::sync::Arc;
    /// # fn host(app: Arc<Asgard>) -> Result<axum::Router, asgard_lib::kernel::Malformed> {
    /// let state = HttpState::below(app, "/governance".parse()?);
    /// Ok(axum::Router::new().nest("/governance", router(state)))
    /// # }
    /// ```
    pub fn below(app: Arc<Asgard>, base: BasePath) -> Arc<Self> {
        Arc::new(Self {
            app,
            readiness: AtomicU8::new(code(Readiness::Ready)),
            meters: Meters::new(),
            openapi: OnceLock::new(),
            session_cookie: auth::session_cookie_name(&base),
            written: tokio::sync::Mutex::default(),
            base,
        })
    }

    /// When the last look began that found that the database takes writes.
    pub(super) const fn written(&self) -> &tokio::sync::Mutex<Option<Instant>> {
        &self.written
    }

    /// The path below which everything is served. Every address that Asgard gives out begins with it.
    pub fn base(&self) -> &BasePath {
        &self.base
    }

    /// The name of the cookie that a browser keeps its session in. It follows from the base.
    pub fn session_cookie(&self) -> &str {
        &self.session_cookie
    }

    /// The control plane.
    pub fn app(&self) -> &Arc<Asgard> {
        &self.app
    }

    /// The listener's settings.
    pub fn settings(&self) -> &Server {
        &self.app.config().server
    }

    /// Whether this process should be sent requests.
    pub fn readiness(&self) -> Readiness {
        match self.readiness.load(Ordering::Relaxed) {
            0 => Readiness::Starting,
            1 => Readiness::Ready,
            _ => Readiness::Stopping,
        }
    }

    /// Says whether this process should be sent requests; `/readyz` answers it.
    pub fn set_readiness(&self, readiness: Readiness) {
        self.readiness.store(code(readiness), Ordering::Relaxed);
    }

    pub(super) fn meters(&self) -> &Meters {
        &self.meters
    }

    /// The OpenAPI document of this control plane's operations, made when it is first asked for.
    pub(super) fn openapi(&self) -> &Value {
        self.openapi.get_or_init(|| openapi::document(self.app.operations(), &self.base))
    }

    /// Seals what a page holds for whoever gets it, for one purpose.
    pub(super) fn seal(&self, purpose: &str, plain: &[u8]) -> Result<String> {
        self.app.sealer().seal_token(purpose, plain)
    }

    /// What was sealed for this purpose; `None` when it was not.
    pub(super) async fn unseal(&self, purpose: &str, sealed: &str) -> Result<Option<Zeroizing<Vec<u8>>>> {
        self.app.sealer().open_token(purpose, sealed).await
    }

    /// Runs an operation of the table with a command in JSON, and counts it like [`HttpState::submit`].
    pub async fn perform(&self, entry: &Entry, call: &Call, input: Value) -> Result<Answer> {
        self.counted(entry.meta.name, entry.call(&self.app, call, input)).await
    }

    /// Runs an operation with its typed command and counts it. A creating call under an idempotency key happens once.
    pub async fn submit<O: Operation>(&self, call: &Call, command: &O) -> Result<O::Output> {
        self.counted(O::META.name, self.app.run(call, command)).await
    }

    async fn counted<T>(&self, name: &'static str, operation: impl Future<Output = Result<T>>) -> Result<T> {
        let began = Instant::now();
        let result = operation.await;
        self.meters.operation(name, result.as_ref().err().map(crate::Error::kind), began.elapsed());
        result
    }

    /// A call by `caller`, or by nobody yet, as operations take it.
    pub fn call(&self, arrival: &Arrival, caller: Option<&Caller>) -> Call {
        Call {
            actor: caller.map(|caller| caller.actor.clone()),
            trace: arrival.trace.clone(),
            source: arrival.source.clone(),
            idempotency_key: None,
            if_match: None,
            answer_by: Some(arrival.answer_by),
        }
    }
}

const fn code(readiness: Readiness) -> u8 {
    match readiness {
        Readiness::Starting => 0,
        Readiness::Ready => 1,
        Readiness::Stopping => 2,
    }
}
