//! Waiting for something to become true, with a deadline and a message.

use std::{
    thread::sleep,
    time::{Duration, Instant, SystemTime},
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

/// Waits until a new window of so many seconds begins, if this one has less than half a minute left. Sign-ins are counted in
/// windows that begin at full multiples of their length: guesses on both sides of such a moment are counted apart.
#[allow(clippy::disallowed_methods, reason = "the server's own clock says where its windows begin")]
pub fn with_a_window_ahead(window_secs: u64) {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("it is after 1970");
    let left = window_secs - now.as_secs() % window_secs;
    if left < 30 {
        sleep(Duration::from_secs(left + 1));
    }
}

/// The number that follows `label` in what a program has written. None while it is still being written.
pub(crate) fn number_after(text: &str, label: &str) -> Option<u16> {
    let (_, rest) = text.split_once(label)?;
    let end = rest.find(|letter: char| !letter.is_ascii_digit())?;
    rest[..end].parse().ok()
}
