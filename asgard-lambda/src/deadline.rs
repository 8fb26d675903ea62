//! How much time an event has. Lambda says when it will end the invocation; front ends are less patient still.

use asgard_lib::ports::world::World;
use std::time::Duration;
use tokio::time::Instant;

/// The longest that an invocation may last at all.
const MAX: Duration = Duration::from_secs(15 * 60);
/// How long a request may take at most: front ends give up after 29 or 30 seconds.
const REQUEST: Duration = Duration::from_secs(25);
/// What is kept of an invocation for waking others and for the answer's way.
const WAY_BACK: Duration = Duration::from_secs(2);

/// How long the invocation may still last. Emulators send a number of milliseconds where Lambda sends a moment.
pub fn remaining(deadline_ms: u64, now_ms: u64) -> Duration {
    let longest = u64::try_from(MAX.as_millis()).unwrap_or(u64::MAX);
    let left = match deadline_ms.checked_sub(now_ms) {
        Some(left) => left,
        None if deadline_ms <= longest => deadline_ms,
        None => 0,
    };
    Duration::from_millis(left.min(longest))
}

/// When the invocation with this deadline ends, on this process's own clock.
pub fn of(deadline_ms: u64, world: &World) -> Instant {
    let now = u64::try_from(world.now().as_millis()).unwrap_or_default();
    Instant::now() + remaining(deadline_ms, now)
}

/// When a request of an invocation that ends then has to be answered.
pub fn of_request(ends: Instant) -> Instant {
    let now = Instant::now();
    (now + REQUEST).min(ends.checked_sub(WAY_BACK).unwrap_or(now)).max(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_a_duration_and_nonsense_are_told_apart() {
        let now = 1_795_000_000_000;
        for (deadline, left) in [
            (now + 30_000, 30_000),
            (now, 0),
            (now - 1, 0),
            (600_000, 600_000),
            (0, 0),
            (now + 86_400_000, 900_000),
            (u64::MAX, 900_000),
        ] {
            assert_eq!(remaining(deadline, now), Duration::from_millis(left), "{deadline}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_has_25_seconds_or_what_is_left_without_the_way_back() {
        let now = Instant::now();
        for (left, limit) in [(60, 25), (27, 25), (10, 8), (2, 0), (0, 0)] {
            let ends = now + Duration::from_secs(left);
            assert_eq!(of_request(ends) - now, Duration::from_secs(limit), "{left}");
        }
    }
}
