//! Waking the function that does jobs. It is invoked asynchronously, with a bound: what cannot be woken is found by the
//! next tick.

use crate::events::of_kick;
use asgard_lib::{
    app::{Asgard, worker::WakeHint},
    aws::Aws,
};
use aws_sdk_lambda::{Client, primitives::Blob, types::InvocationType};
use std::time::Duration;
use tokio::{sync::OnceCell, time::timeout};

/// How long waking may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// Wakes the function that does jobs.
pub struct WorkerWaker {
    function: Option<String>,
    aws: Aws,
    client: OnceCell<Client>,
}

impl WorkerWaker {
    /// Wakes that function; with none, the ticks have to do.
    pub fn new(function: Option<String>, aws: Aws) -> Self {
        Self { function, aws, client: OnceCell::new() }
    }

    /// Wakes it if a commit of this process appended a job since the last time. `at_most` bounds it further.
    pub async fn if_wanted(&self, app: &Asgard, at_most: Duration) {
        let Some(woken) = app.take_wake_hint() else { return };
        let Some(function) = &self.function else {
            tracing::debug!("No function is configured that does jobs; the next tick does.");
            return;
        };
        match timeout(PATIENCE.min(at_most), self.invoke(function, &woken)).await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => tracing::warn!(function, why, "Jobs wait for the next tick: their function was not woken."),
            Err(_) => tracing::warn!(function, "Jobs wait for the next tick: waking their function took too long."),
        }
    }

    async fn invoke(&self, function: &str, woken: &WakeHint) -> Result<(), String> {
        let client = self.client.get_or_init(|| async { Client::new(self.aws.sdk().await) }).await;
        let asked = client.invoke().function_name(function).invocation_type(InvocationType::Event);
        let sent = asked.payload(Blob::new(of_kick(woken).to_string())).send().await;
        sent.map(|_| ()).map_err(|error| aws_smithy_types::error::display::DisplayErrorContext(&error).to_string())
    }
}
