//! Waiting at start for what is not there yet.

use crate::error::{Kind, Result};
use std::time::Duration;
use tokio::time::Instant;

/// How long to wait before the second attempt; it doubles up to [`SLOWEST`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const SLOWEST: Duration = Duration::from_secs(4);

/// Tries until something other than [`Kind::Unavailable`] comes of it, or the time is over. `what` begins the sentence for the
/// log.
pub(super) async fn patiently<T, F>(what: &str, until: Instant, mut attempt: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match attempt().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let left = until.saturating_duration_since(Instant::now());
        if error.kind() != Kind::Unavailable || left.is_zero() {
            return Err(error);
        }
        tracing::warn!(error = error.chain(), "{what} cannot be used yet; trying for another {} s.", left.as_secs());
        tokio::time::sleep(pause.min(left)).await;
        pause = (pause * 2).min(SLOWEST);
    }
}
