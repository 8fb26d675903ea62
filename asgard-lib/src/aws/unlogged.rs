//! Calls that carry values. The AWS SDK logs whole requests and answers at its most talkative level, and a host's subscriber may keep
//! everything, so nothing hears what is said while such a call runs. What went wrong with it is said by its error.

use std::future::Future;
use tracing::{
    instrument::{WithDispatch, WithSubscriber},
    subscriber::NoSubscriber,
};

/// A future that nothing is logged of.
pub(crate) trait Unlogged: Future + Sized {
    /// Runs with no subscriber.
    fn unlogged(self) -> WithDispatch<Self> {
        self.with_subscriber(NoSubscriber::default())
    }
}

impl<F: Future> Unlogged for F {}
