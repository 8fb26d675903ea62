//! What events stand on, opened with the first one that needs it: starting a function calls nobody, unless a setting besides
//! the admin's password is a secret.

use crate::Settings;
use asgard_lib::{
    Code, Error, Result,
    runtime::{Runtime, RuntimeOptions},
};
use tokio::{
    sync::OnceCell,
    time::{Instant, timeout_at},
};

/// A [`Runtime`] that is opened once. The open reads the database's version and the wrapped keys, and unwraps them.
#[derive(Default)]
pub struct Lazy {
    runtime: OnceCell<Runtime>,
}

impl Lazy {
    /// The runtime, with keys that are as new as a server's would be. A failure is not remembered: the next event tries.
    pub async fn ready(&self, settings: &Settings, by: Instant) -> Result<&Runtime> {
        let opening = self.runtime.get_or_try_init(|| async {
            let began = Instant::now();
            let options = RuntimeOptions::function().cloud(settings.cloud());
            let runtime = Box::pin(Runtime::open(&settings.loaded.config, options)).await?;
            let opened_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::info!(opened_ms, "Opened the database: {}.", runtime.database().place());
            Ok::<_, Error>(runtime)
        });
        let late = |_| Error::new(Code::StoreUnavailable, "The database did not open in time.").retry_after(2);
        let runtime = timeout_at(by, opening).await.map_err(late)??;
        // Nothing runs between events, so the reloader's turn is here, and fails like the reloader's: keys that are too old
        // to be sealed with are refused where something is sealed.
        match timeout_at(by, runtime.keyring().reload_if_due()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(error = error.chain(), "Could not read the keyring again; trying on."),
            Err(error) => return Err(late(error)),
        }
        Ok(runtime)
    }
}
