use super::*;
use crate::kernel::id::TimeOrdered;

const YEAR: Duration = Duration::from_secs(365 * 86_400);
const PERIOD: Duration = Duration::from_secs(300);

fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

fn free(expires_at: Timestamp) -> Lease {
    let holder = HolderId::build(now(), [1; 10]);
    Lease::taken(None, "loop/x", holder, None, expires_at).released(expires_at)
}

/// One turn by a clock a year ahead puts nobody to rest until then.
#[test]
fn a_turn_that_is_due_later_than_a_period_from_now_is_due() {
    assert!(free(now().plus(PERIOD)).rests(now(), PERIOD));
    assert!(free(now().plus(PERIOD).plus(MARGIN)).rests(now(), PERIOD), "clocks disagree by a little");
    assert!(!free(now()).rests(now(), PERIOD));
    assert!(!free(now().plus(YEAR)).rests(now(), PERIOD));
    let served = free(now()).serving(now().plus(YEAR), now().plus(YEAR));
    assert!(!served.has_served(now(), now()), "a tick that was served in a year was not");
    let served = served.serving(now(), now());
    assert!(served.has_served(now(), now()) && !served.has_served(now().plus(PERIOD), now().plus(PERIOD)));
}

#[test]
fn who_renews_is_there_and_who_does_not_is_gone_whatever_a_clock_once_wrote() {
    let (ttl, soon) = (Duration::from_secs(60), Duration::from_secs(20));
    let seen = |silent, moved| Seen { silent, moved };
    for (wrote, what) in [(now().plus(YEAR), "a year ahead"), (now().minus(YEAR), "a year ago")] {
        assert!(!seen(soon, true).is_gone(ttl, now(), wrote, false), "it was seen to renew: {what}");
        assert!(seen(ttl + MARGIN, true).is_gone(ttl, now(), wrote, false), "{what}");
        assert!(seen(ttl + MARGIN, false).is_gone(ttl, now(), wrote, false), "{what}");
    }
    assert!(!seen(soon, false).is_gone(ttl, now(), now().plus(soon), false));
    let first = seen(Duration::ZERO, false);
    assert!(first.is_gone(ttl, now(), now().minus(ttl), false), "one that has just died needs no watching");
    assert!(!first.is_gone(ttl, now(), now().minus(YEAR), false), "its clock may be a year behind");
    assert!(first.is_gone(ttl, now(), now().minus(YEAR), true), "who cannot watch has the clock alone");
}

/// Nothing is deleted by a clock that jumped, neither in the turn that it jumped in nor in the one that it jumped back in.
#[test]
fn a_clock_that_jumped_deletes_nothing_until_it_has_gone_on_evenly_for_an_hour() {
    let mut lease = free(now()).turned(now(), PERIOD);
    let mut turn = |at: Timestamp| {
        lease = lease.clone().at_turn(at).turned(at, PERIOD);
        lease.is_steady()
    };
    assert!(turn(now().plus(PERIOD)));
    let ahead = now().plus(YEAR);
    assert!(!turn(ahead) && !turn(ahead.plus(PERIOD)));
    let back = now().plus(PERIOD * 4);
    assert!(!turn(back), "it jumped again, to where it should be");
    for step in 1..12 {
        assert!(!turn(back.plus(PERIOD * step)), "{step}");
    }
    assert!(turn(back.plus(PERIOD * 12)));
}

/// Whoever took the lease a year ahead and died left neither a holder for ever nor a clock that is unsteady for a year.
#[test]
fn a_turn_that_ended_a_year_ahead_is_over_an_hour_later() {
    let ahead = now().plus(YEAR);
    let died = free(now()).turned(now(), PERIOD).at_turn(ahead);
    assert_eq!(died.unsteady_since, Some(ahead));
    let mut lease = died;
    for step in 1..14 {
        let at = now().plus(PERIOD * step);
        lease = lease.at_turn(at).turned(at, PERIOD);
    }
    assert!(lease.is_steady(), "{lease:?}");
}
