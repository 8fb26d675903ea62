//! Waiting for something to become true, with a deadline and a message.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

const LOOK: Duration = Duration::from_millis(50);

/// Waits up to a minute until `look` gives something.
pub fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    eventually_within(Duration::from_secs(60), what, look)
}

/// Waits until `look` gives something, and fails after `limit`.
pub fn eventually_within<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < limit, "waited {} s in vain: {what}", limit.as_secs());
        sleep(LOOK);
    }
}
