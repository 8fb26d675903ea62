//! Nobody answers.

use super::Fault;
use crate::ports::store::StoreError;
use std::sync::atomic::{AtomicBool, Ordering};

/// A switch. While it is off, every call is answered `Unavailable` and does nothing.
#[derive(Debug, Default)]
pub struct Unplug(AtomicBool);

impl Unplug {
    /// Pulls the plug.
    pub fn off(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Puts it back.
    pub fn on(&self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

impl Fault for Unplug {
    async fn call<T: Send>(&self, call: impl Future<Output = Result<T, StoreError>> + Send) -> Result<T, StoreError> {
        if self.0.load(Ordering::SeqCst) { Err(StoreError::Unavailable("unplugged".into())) } else { call.await }
    }
}
