//! Time as records and surfaces write it: UTC, microseconds, one fixed width, so that text order is time order.

use super::{Malformed, text_serde};
use std::{fmt, str::FromStr, time::Duration};

/// A moment in UTC with microsecond precision, written `2026-11-22T01:02:03.000004Z`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(jiff::Timestamp);

impl Timestamp {
    /// The moment `millis` after the Unix epoch, clamped to what a calendar can show.
    pub fn from_millis(millis: i64) -> Self {
        Self(jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX))
    }

    /// From the library's own type, cut to microseconds.
    pub(crate) fn from_jiff(at: jiff::Timestamp) -> Self {
        Self(jiff::Timestamp::from_microsecond(at.as_microsecond()).unwrap_or(at))
    }

    /// Milliseconds since the Unix epoch.
    pub fn as_millis(self) -> i64 {
        self.0.as_millisecond()
    }

    /// Seconds since the Unix epoch.
    pub fn as_secs(self) -> i64 {
        self.0.as_second()
    }

    /// The calendar year in UTC.
    pub fn year(self) -> i16 {
        self.0.to_zoned(jiff::tz::TimeZone::UTC).year()
    }

    /// `duration` later; saturates.
    pub fn plus(self, duration: Duration) -> Self {
        let delta = jiff::SignedDuration::try_from(duration).unwrap_or(jiff::SignedDuration::MAX);
        Self(self.0.checked_add(delta).unwrap_or(jiff::Timestamp::MAX))
    }

    /// `duration` earlier; saturates.
    pub fn minus(self, duration: Duration) -> Self {
        let delta = jiff::SignedDuration::try_from(duration).unwrap_or(jiff::SignedDuration::MAX);
        Self(self.0.checked_sub(delta).unwrap_or(jiff::Timestamp::MIN))
    }

    /// How far ahead of one's own clock a moment may lie that another's wrote, when it is believed.
    pub const CLOCKS_APART: Duration = Duration::from_secs(300);

    /// Whether this moment, which is to have passed when it was written, lies so far ahead that a clock was wrong: the one that wrote it, or
    /// the one that says `now`.
    pub fn is_far_ahead_of(self, now: Self) -> bool {
        self > now.plus(Self::CLOCKS_APART)
    }

    /// Whether no more than `time` has passed since this moment was written. Nothing is young by a moment that lies far ahead: what lasts
    /// for a while would last until then.
    pub fn is_within(self, time: Duration, now: Self) -> bool {
        !self.is_far_ahead_of(now) && now.since(self) < time
    }

    /// How long after `earlier` this is; zero when it is not after it.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::try_from(self.0.duration_since(earlier.0)).unwrap_or(Duration::ZERO)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}", self.0)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        text.parse::<jiff::Timestamp>()
            .map(Self::from_jiff)
            .map_err(|_| Malformed { what: "time", allowed: "RFC 3339, for example 2026-11-22T01:02:03Z" })
    }
}

text_serde!(
    Timestamp,
    concat!(
        "^[0-8][0-9]{3}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]",
        "(\\.[0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"
    ),
    "RFC 3339 time in UTC"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_order_is_time_order() {
        let a = Timestamp::from_millis(1_000);
        let b = a.plus(Duration::from_micros(1));
        assert!(a.to_string() < b.to_string());
        assert_eq!(a.to_string(), "1970-01-01T00:00:01.000000Z");
        assert_eq!(b.to_string().parse::<Timestamp>(), Ok(b));
        assert_eq!(a.since(b), Duration::ZERO);
        assert_eq!(b.since(a), Duration::from_micros(1));
    }

    #[test]
    fn what_was_written_far_ahead_is_not_young() {
        let now = Timestamp::from_millis(1_000_000_000);
        let (day, apart) = (Duration::from_secs(86_400), Timestamp::CLOCKS_APART);
        for (written, ahead, young) in [
            (now.minus(day), false, false),
            (now.minus(day - apart), false, true),
            (now, false, true),
            (now.plus(apart), false, true),
            (now.plus(apart + Duration::from_secs(1)), true, false),
            (now.plus(day * 365), true, false),
        ] {
            assert_eq!((written.is_far_ahead_of(now), written.is_within(day, now)), (ahead, young), "{written}");
        }
    }
}
