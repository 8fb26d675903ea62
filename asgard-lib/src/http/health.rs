//! Is it alive, and should it be sent requests.

use super::{HttpState, Problem, Readiness};
use crate::{
    error::{Code, Error, Result},
    ports::{records::store_error, store::StoreError},
};
use axum::extract::State;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// How long `/readyz` waits for the database.
const PATIENCE: Duration = Duration::from_secs(2);

/// Alive: the process answers. Touches nothing, so that a slow database restarts nobody.
pub(super) async fn healthz() -> &'static str {
    "ok"
}

/// Ready: it is not starting or stopping, and the database takes writes.
pub(super) async fn readyz(State(state): State<Arc<HttpState>>) -> Result<&'static str, Problem> {
    match state.readiness() {
        Readiness::Ready => {}
        Readiness::Starting => return Err(not_ready("Asgard is starting.").into()),
        Readiness::Stopping => return Err(not_ready("Asgard is stopping.").into()),
    }
    match tokio::time::timeout(PATIENCE, writable(&state)).await {
        Ok(Ok(())) => Ok("ready"),
        Ok(Err(error)) => Err(store_error(error).into()),
        Err(_) => Err(Error::new(Code::StoreUnavailable, "The database did not answer within 2 seconds.")
            .retry_after(2)
            .into()),
    }
}

/// Whether the database takes writes. Those who ask at once share one look: each is a write.
async fn writable(state: &HttpState) -> Result<(), StoreError> {
    let asked = Instant::now();
    let mut last = state.written().lock().await;
    if last.is_some_and(|begun| begun >= asked) {
        return Ok(());
    }
    let begun = Instant::now();
    state.app().store().ping().await?;
    *last = Some(begun);
    Ok(())
}

/// The answer of a process that is not ready.
pub(super) fn not_ready(why: &'static str) -> Error {
    Error::new(Code::NotReady, why).retry_after(1)
}
