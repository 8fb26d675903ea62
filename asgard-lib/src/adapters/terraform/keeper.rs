//! Keeping the run's lease while it works, and saying in time when it cannot be kept.

use super::{
    stop::{Reason, Stop},
    term::Term,
    uptime::Uptime,
};
use crate::ports::{
    runner::{Renewal, RunReporter},
    world::Clock,
};
use std::time::Duration;

/// How often the lease is renewed; more often when it is short.
const EVERY: Duration = Duration::from_secs(20);
/// How often once nothing runs any more.
const HELD_EVERY: Duration = Duration::from_secs(5);
/// How soon after a failure.
const AGAIN: Duration = Duration::from_secs(2);
/// How often the time that is left is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// Renews until the lease is lost. Never returns otherwise; drop it when the run is over.
pub(super) async fn keep(reporter: &dyn RunReporter, clock: &dyn Clock, term: &Term, stop: &Stop) {
    let every = EVERY.min(term.lasts() / 3);
    tokio::select! {
        () = renew(reporter, stop, every, |asked| term.renewed(asked, reporter, clock)) => {}
        () = watch(reporter, clock, term, stop) => {}
    }
}

async fn renew(reporter: &dyn RunReporter, stop: &Stop, every: Duration, renewed: impl Fn(Uptime)) {
    let mut pause = every;
    loop {
        tokio::time::sleep(pause).await;
        let asked = Uptime::now();
        match reporter.renew().await {
            Ok(Renewal::Held { cancel }) => {
                renewed(asked);
                if cancel {
                    stop.ask(Reason::Cancelled);
                }
                pause = every;
            }
            Ok(Renewal::Lost) => {
                tracing::error!("the run's lease was lost");
                return stop.lose(false);
            }
            Err(error) => {
                tracing::warn!("the run's lease could not be renewed: {}", error.chain());
                pause = AGAIN.min(every);
            }
        }
    }
}

/// Renews a lease that may have run out, for what is only stored under it, until somebody else has it. Never returns otherwise.
pub(super) async fn hold(reporter: &dyn RunReporter, stop: &Stop) {
    renew(reporter, stop, HELD_EVERY, |_| {}).await;
}

/// The lease's own clocks, apart from the renewals: one of them may hang.
async fn watch(reporter: &dyn RunReporter, clock: &dyn Clock, term: &Term, stop: &Stop) {
    loop {
        tokio::time::sleep(LOOK).await;
        let left = term.left(reporter, clock);
        if left.is_zero() {
            tracing::error!("the run's lease ran out");
            return stop.lose(true);
        }
        if left <= term.wind_down() {
            stop.ask(Reason::Fading);
        }
    }
}
