//! When a guard ends Terraform by itself: the same ladder as the supervisor's, up to the moment at which the lease ends.

use super::super::{
    stop::{LAST, Rung},
    uptime::Uptime,
};
use std::time::Duration;

/// The supervisor interrupts first where it can, and says why.
const AFTER_THE_SUPERVISOR: Duration = Duration::from_secs(2);

/// What a guard knows.
#[derive(Debug)]
pub(super) struct Watchdog {
    grace: Duration,
    wind_down: Duration,
    until: Uptime,
    /// Since when there is no supervisor.
    alone: Option<Uptime>,
}

impl Watchdog {
    pub(crate) fn new(grace: Duration, wind_down: Duration, until: Uptime) -> Self {
        Self { grace, wind_down: wind_down.saturating_sub(AFTER_THE_SUPERVISOR.min(wind_down / 4)), until, alone: None }
    }

    /// The lease was renewed.
    pub(crate) fn renewed(&mut self, until: Uptime) {
        self.until = self.until.max(until);
    }

    /// The supervisor is gone.
    pub(crate) fn left_alone(&mut self, now: Uptime) {
        self.alone.get_or_insert(now);
    }

    /// Whether the supervisor is gone.
    pub(crate) const fn is_alone(&self) -> bool {
        self.alone.is_some()
    }

    /// How high on the ladder Terraform should be by now.
    pub(crate) fn due(&self, now: Uptime) -> Rung {
        let left = self.until.since(now);
        if left.is_zero() {
            return Rung::Kill;
        }
        let by_the_grace = match self.alone.map(|since| now.since(since)) {
            None => Rung::Run,
            Some(alone) if alone >= self.grace + LAST => Rung::Kill,
            Some(alone) if alone >= self.grace => Rung::InterruptAgain,
            Some(_) => Rung::Interrupt,
        };
        // A short lease leaves less between the second interrupt and the end.
        let by_the_lease = if left <= LAST.min(self.wind_down / 2) {
            Rung::InterruptAgain
        } else if left <= self.wind_down {
            Rung::Interrupt
        } else {
            Rung::Run
        };
        by_the_grace.max(by_the_lease)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Uptime {
        Uptime::of_millis(seconds * 1000)
    }

    #[test]
    fn terraform_is_gone_when_the_lease_ends_whatever_the_supervisor_does() {
        let (grace, wind_down) = (Duration::from_secs(600), Duration::from_secs(20));
        let mut stopped = Watchdog::new(grace, wind_down, at(50));
        assert_eq!((stopped.due(at(0)), stopped.due(at(31))), (Rung::Run, Rung::Run));
        assert_eq!(stopped.due(at(33)), Rung::Interrupt, "a little after the supervisor would have done it");
        assert_eq!(stopped.due(at(42)), Rung::InterruptAgain);
        assert_eq!((stopped.due(at(50)), stopped.due(at(5000))), (Rung::Kill, Rung::Kill));
        stopped.renewed(at(70));
        stopped.renewed(at(60));
        assert_eq!(
            (stopped.due(at(50)), stopped.due(at(70))),
            (Rung::Run, Rung::Kill),
            "renewals are told in any order"
        );

        let mut alone = Watchdog::new(Duration::from_secs(5), wind_down, at(50));
        alone.left_alone(at(3));
        alone.left_alone(at(4));
        assert_eq!((alone.due(at(3)), alone.due(at(7))), (Rung::Interrupt, Rung::Interrupt));
        assert_eq!(
            (alone.due(at(8)), alone.due(at(17)), alone.due(at(18))),
            (Rung::InterruptAgain, Rung::InterruptAgain, Rung::Kill)
        );
        let mut patient = Watchdog::new(grace, wind_down, at(50));
        patient.left_alone(at(3));
        assert_eq!(
            (patient.due(at(39)), patient.due(at(45)), patient.due(at(50))),
            (Rung::Interrupt, Rung::InterruptAgain, Rung::Kill)
        );
    }
}
