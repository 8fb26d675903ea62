//! Why a run has to stop, and the ladder by which its Terraform is stopped: an interrupt, which lets it finish what is under
//! way and write its state; after the service's grace a second one, at which it gives up; then the end of the whole group.

use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::{sync::watch, time::Instant};

/// Between the second interrupt and the end.
pub(super) const LAST: Duration = Duration::from_secs(10);
/// How long a Terraform whose lease is lost gets: others may start soon, and its state is found in the folder.
const LOST: Duration = Duration::from_secs(5);
/// A platform that stops the supervisor may have interrupted Terraform as well, and a second interrupt is one too many:
/// Terraform gets this long to say so.
const LISTEN: Duration = Duration::from_secs(1);

/// Why a run has to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// Somebody cancelled it.
    Cancelled,
    /// It took too long.
    TimedOut,
    /// The supervisor itself was asked to stop.
    Stopped,
    /// The lease cannot be renewed and runs out soon.
    Fading,
    /// The lease is somebody else's, or has run out.
    Lost,
}

impl Reason {
    /// What the log says about it.
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::Cancelled => {
                "The run was cancelled. Terraform is interrupted and gets time to finish what is under way."
            }
            Self::TimedOut => {
                "The run takes longer than its service allows. Terraform is interrupted and gets time to finish what is under way."
            }
            Self::Stopped => {
                "The supervisor was asked to stop. Terraform is interrupted once; another supervisor goes on."
            }
            Self::Fading => "The run's lease cannot be renewed. Terraform is interrupted before the lease runs out.",
            Self::Lost => "The run's lease was lost.",
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    reason: Reason,
    since: Instant,
}

#[derive(Clone, Copy, Debug, Default)]
struct State {
    asked: Option<Asked>,
    lost: Option<Instant>,
    out_of_time: bool,
    taken: bool,
}

/// Whether the run has to stop. The first reason counts, except that losing the lease goes before all others.
#[derive(Debug)]
pub(super) struct Stop {
    state: watch::Sender<State>,
    /// The most of its grace that Terraform gets when the supervisor itself has to stop.
    hurry: Option<Duration>,
}

impl Stop {
    pub(crate) fn new(hurry: Option<Duration>) -> Self {
        Self { state: watch::Sender::new(State::default()), hurry }
    }

    /// Asks to stop.
    pub(crate) fn ask(&self, reason: Reason) {
        self.state.send_if_modified(|state| {
            let first = state.asked.is_none();
            if first {
                state.asked = Some(Asked { reason, since: Instant::now() });
            }
            first
        });
    }

    /// The lease is lost: it has run out, and nothing may run any more from now on, or somebody else has it.
    pub(crate) fn lose(&self, out_of_time: bool) {
        self.ask(Reason::Lost);
        self.state.send_modify(|state| {
            state.lost.get_or_insert_with(Instant::now);
            state.out_of_time |= out_of_time;
            state.taken |= !out_of_time;
        });
    }

    /// Why it has to stop, if it has to.
    pub(crate) fn reason(&self) -> Option<Reason> {
        let state = self.state.borrow();
        if state.lost.is_some() { Some(Reason::Lost) } else { state.asked.map(|asked| asked.reason) }
    }

    /// Resolves once it has to stop, to the first reason.
    pub(crate) async fn asked(&self) -> Reason {
        let mut states = self.state.subscribe();
        let asked = states.wait_for(|state| state.asked.is_some()).await;
        // The sender is borrowed, so it cannot be gone.
        asked.ok().and_then(|state| state.asked).map_or(Reason::Stopped, |asked| asked.reason)
    }

    /// Resolves once somebody else has the lease. One that has only run out still lets its holder store what there is.
    pub(crate) async fn taken(&self) {
        // The sender is borrowed, so it cannot be gone.
        let _ = self.state.subscribe().wait_for(|state| state.taken).await;
    }

    /// How high on the ladder the child should be by now.
    pub(crate) fn due(&self, grace: Duration, already_interrupted: bool) -> Rung {
        let state = *self.state.borrow();
        let Some(asked) = state.asked else { return Rung::Run };
        let grace = match (asked.reason, self.hurry) {
            (Reason::Stopped, Some(most)) => grace.min(most),
            _ => grace,
        };
        let lost = state.lost.map(|since| since.elapsed());
        rung(asked.reason, asked.since.elapsed(), lost, state.out_of_time, grace, already_interrupted)
    }
}

/// A step of the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Rung {
    /// Let it run.
    Run,
    /// Interrupt it.
    Interrupt,
    /// Interrupt it a second time.
    InterruptAgain,
    /// Kill the group.
    Kill,
}

fn rung(
    reason: Reason,
    since: Duration,
    lost: Option<Duration>,
    out_of_time: bool,
    grace: Duration,
    already_interrupted: bool,
) -> Rung {
    if out_of_time || lost.is_some_and(|lost| lost >= LOST) {
        return Rung::Kill;
    }
    let first = match reason {
        Reason::Stopped if !already_interrupted => LISTEN,
        Reason::Cancelled | Reason::TimedOut | Reason::Stopped | Reason::Fading | Reason::Lost => Duration::ZERO,
    };
    match since.checked_sub(first) {
        Some(since) if since >= grace + LAST => Rung::Kill,
        Some(since) if since >= grace => Rung::InterruptAgain,
        Some(_) => Rung::Interrupt,
        None => Rung::Run,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ladder_is_climbed_in_time() {
        let grace = Duration::from_secs(30);
        let at = |reason, secs: f64, lost: Option<u64>| {
            rung(reason, Duration::from_secs_f64(secs), lost.map(Duration::from_secs), false, grace, false)
        };
        for reason in [Reason::Cancelled, Reason::TimedOut, Reason::Fading] {
            assert_eq!(at(reason, 0.0, None), Rung::Interrupt);
            assert_eq!(at(reason, 29.9, None), Rung::Interrupt);
            assert_eq!(at(reason, 30.0, None), Rung::InterruptAgain);
            assert_eq!(at(reason, 40.0, None), Rung::Kill);
            assert_eq!(at(reason, 3.0, Some(4)), Rung::Interrupt);
            assert_eq!(at(reason, 3.0, Some(5)), Rung::Kill);
        }
        assert_eq!(at(Reason::Stopped, 0.5, None), Rung::Run, "it may have been interrupted already");
        assert_eq!(at(Reason::Stopped, 1.0, None), Rung::Interrupt);
        assert_eq!(at(Reason::Stopped, 31.0, None), Rung::InterruptAgain);
        assert_eq!(rung(Reason::Stopped, Duration::ZERO, None, false, grace, true), Rung::Interrupt);
        assert_eq!(rung(Reason::Fading, Duration::ZERO, None, true, grace, false), Rung::Kill);
    }

    #[tokio::test(start_paused = true)]
    async fn a_platform_in_a_hurry_shortens_the_grace_of_its_own_stop_only() {
        let hour = Duration::from_secs(3600);
        for (reason, at_80, at_90) in
            [(Reason::Stopped, Rung::InterruptAgain, Rung::Kill), (Reason::Cancelled, Rung::Interrupt, Rung::Interrupt)]
        {
            let stop = Stop::new(Some(Duration::from_secs(75)));
            stop.ask(reason);
            tokio::time::advance(Duration::from_secs(70)).await;
            assert_eq!(stop.due(hour, false), Rung::Interrupt, "{reason:?}");
            tokio::time::advance(Duration::from_secs(10)).await;
            assert_eq!(stop.due(hour, false), at_80, "{reason:?}");
            tokio::time::advance(Duration::from_secs(10)).await;
            assert_eq!(stop.due(hour, false), at_90, "{reason:?}");
        }
    }

    #[test]
    fn the_first_reason_counts_but_a_lost_lease_goes_first() {
        let stop = Stop::new(None);
        assert_eq!((stop.reason(), stop.due(Duration::ZERO, false)), (None, Rung::Run));
        stop.ask(Reason::Cancelled);
        stop.ask(Reason::TimedOut);
        assert_eq!(stop.reason(), Some(Reason::Cancelled));
        stop.lose(false);
        assert_eq!((stop.reason(), stop.due(Duration::from_secs(9), false)), (Some(Reason::Lost), Rung::Interrupt));
        stop.lose(true);
        assert_eq!(stop.due(Duration::from_secs(9), false), Rung::Kill);
    }
}
