//! Which pooled connections are used again. One may lead to a server that is a primary no more, or to nowhere since something
//! between forgot it, and neither shows before it is used.

use super::connect::takes_no_writes;
use sqlx::{PgConnection, pool::PoolConnectionMetadata};
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// A connection that was idle for longer is asked before it is used.
const FRESH: Duration = Duration::from_secs(5);
/// How long it gets to answer.
const ANSWER: Duration = Duration::from_secs(1);

/// What was seen of the connections so far.
#[derive(Debug, Default)]
pub(super) struct Health {
    /// When a server last refused to write. Every connection that is older may lead to it, and what it shows may be the past.
    demoted: Moment,
    /// When a connection last turned out to be dead. Whatever was idle then may be dead as well.
    lost: Moment,
}

#[derive(Debug, Default)]
struct Moment(Mutex<Option<Instant>>);

impl Moment {
    fn note(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether it was less than `ago`.
    fn within(&self, ago: Duration) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|at| at.elapsed() <= ago)
    }
}

impl Health {
    /// A server refused to write.
    pub(super) fn note_demoted(&self) {
        self.demoted.note();
    }

    /// A connection broke, or no answer came on it.
    pub(super) fn note_lost(&self) {
        self.lost.note();
    }

    /// Whether a connection from the pool is to be used; otherwise it is closed and another is taken.
    pub(super) async fn passes(&self, connection: &mut PgConnection, about: &PoolConnectionMetadata) -> bool {
        match self.judge(about.age, about.idle_for) {
            Verdict::Use => true,
            Verdict::Close => false,
            Verdict::Ask => self.ask(connection).await.is_ok(),
        }
    }

    /// Asks a connection whether its server takes writes.
    pub(super) async fn ask(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        match tokio::time::timeout(ANSWER, takes_no_writes(connection)).await {
            Ok(Ok(false)) => Ok(()),
            Ok(Ok(true)) => {
                self.note_demoted();
                Err(sqlx::Error::Protocol("the server takes no writes".into()))
            }
            Ok(Err(error)) => {
                self.note_lost();
                Err(error)
            }
            Err(_) => {
                self.note_lost();
                Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))
            }
        }
    }

    fn judge(&self, age: Duration, idle_for: Duration) -> Verdict {
        if self.demoted.within(age) || self.lost.within(idle_for) {
            Verdict::Close
        } else if idle_for > FRESH {
            Verdict::Ask
        } else {
            Verdict::Use
        }
    }
}

/// What to do with a pooled connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Use,
    Ask,
    Close,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_used_asked_or_closed_by_what_was_seen_since_it_was_used() {
        let (health, secs) = (Health::default(), Duration::from_secs);
        assert_eq!(health.judge(secs(600), secs(1)), Verdict::Use);
        assert_eq!(health.judge(secs(600), secs(6)), Verdict::Ask);
        health.note_lost();
        tokio::time::advance(secs(2)).await;
        assert_eq!(health.judge(secs(600), secs(3)), Verdict::Close, "it was idle when another was found dead");
        assert_eq!(health.judge(secs(600), secs(1)), Verdict::Use, "it worked since");
        health.note_demoted();
        tokio::time::advance(secs(2)).await;
        assert_eq!(health.judge(secs(600), secs(1)), Verdict::Close, "it is older than the loss of the primary");
        assert_eq!(health.judge(secs(1), secs(0)), Verdict::Use);
    }
}
