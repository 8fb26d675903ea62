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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Code, Error};
    use std::cell::Cell;

    #[tokio::test(start_paused = true)]
    async fn what_is_away_is_tried_again_until_the_time_is_over_and_what_is_wrong_is_not() {
        let tried = Cell::new(0);
        let failing = async |code: Code, until: Duration| {
            tried.set(0);
            let begun = Instant::now();
            let attempt = async || -> Result<()> {
                tried.set(tried.get() + 1);
                Err(Error::new(code, "no"))
            };
            let error = patiently("It", begun + until, attempt).await.unwrap_err();
            (error.code(), tried.get(), begun.elapsed())
        };
        let (code, tries, took) = failing(Code::KeyUnavailable, Duration::from_secs(60)).await;
        assert_eq!((code, took), (Code::KeyUnavailable, Duration::from_secs(60)));
        assert!((15..25).contains(&tries), "{tries}");
        assert_eq!(failing(Code::Config, Duration::from_secs(60)).await, (Code::Config, 1, Duration::ZERO));
        assert_eq!(failing(Code::KeyUnavailable, Duration::ZERO).await.1, 1, "a command does not wait");

        let left = Cell::new(3);
        let attempt = async || {
            left.set(left.get() - 1);
            if left.get() == 0 { Ok("there") } else { Err(Error::new(Code::KeyUnavailable, "no")) }
        };
        assert_eq!(patiently("It", Instant::now() + Duration::from_secs(60), attempt).await.unwrap(), "there");
    }
}
