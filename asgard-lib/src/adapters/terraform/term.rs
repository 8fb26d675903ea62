//! How long a run's lease still lasts. The lease says it as a time of day, and that may be set; so the time since it was last
//! renewed is measured as well, and the earlier of both counts.

use super::uptime::Uptime;
use crate::ports::{runner::RunReporter, world::Clock};
use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// How long before the child must be gone it is interrupted, when the lease cannot be renewed; less when the lease is short.
const WIND_DOWN: Duration = Duration::from_secs(20);

/// The time that is left of a lease.
#[derive(Debug)]
pub(super) struct Term {
    lasts: Duration,
    until: Mutex<Uptime>,
}

impl Term {
    /// Of a lease that was taken just now.
    pub(crate) fn new(reporter: &dyn RunReporter, clock: &dyn Clock) -> Self {
        let lasts = reporter.stop_by().since(clock.now());
        Self { lasts, until: Mutex::new(Uptime::now().plus(lasts)) }
    }

    /// How long it lasts without being renewed.
    pub(crate) const fn lasts(&self) -> Duration {
        self.lasts
    }

    /// How long before its end Terraform is interrupted.
    pub(crate) fn wind_down(&self) -> Duration {
        WIND_DOWN.min(self.lasts * 2 / 5)
    }

    /// It was renewed by a call that was begun at that moment.
    pub(crate) fn renewed(&self, asked: Uptime, reporter: &dyn RunReporter, clock: &dyn Clock) {
        let by_the_day = Uptime::now().plus(reporter.stop_by().since(clock.now()));
        let mut until = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        *until = (*until).max(asked.plus(self.lasts).min(by_the_day));
    }

    /// The moment at which nothing of the run may run any more, unless it is renewed before.
    pub(crate) fn until(&self) -> Uptime {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long that is from now, by the stricter of both clocks.
    pub(crate) fn left(&self, reporter: &dyn RunReporter, clock: &dyn Clock) -> Duration {
        reporter.stop_by().since(clock.now()).min(self.until().since(Uptime::now()))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testkit::FakeReporter, *};
    use crate::{
        kernel::Timestamp,
        ports::world::{Clock, SystemClock},
    };

    /// A clock that somebody set back by a day.
    struct SetBack;

    impl Clock for SetBack {
        fn now(&self) -> Timestamp {
            SystemClock.now().minus(Duration::from_secs(86_400))
        }
    }

    #[test]
    fn a_clock_that_is_set_back_lengthens_no_lease() {
        let reporter = FakeReporter::lasting(Duration::from_secs(50));
        let term = Term::new(&reporter, &SystemClock);
        assert!(term.lasts() <= Duration::from_secs(50) && term.lasts() > Duration::from_secs(45));
        assert!(term.left(&reporter, &SetBack) <= Duration::from_secs(50));
        let before = term.until();
        term.renewed(Uptime::now(), &reporter, &SetBack);
        assert!(term.until() >= before && term.until() <= Uptime::now().plus(Duration::from_secs(50)));
        // A renewal that took long counts from when it was begun.
        let until = term.until();
        term.renewed(Uptime::of_millis(0), &reporter, &SystemClock);
        assert_eq!(term.until(), until);
    }
}
