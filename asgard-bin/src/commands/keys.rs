//! The data keys. A running server does the work of a rotation; `--wait` does it here as well.

use super::beside_the_server;
use crate::{
    cli::{Format, KeysCommand},
    failure::{Failure, Result},
    output,
};
use asgard_lib::{
    adapters::{KeyState, Rotation, Started, Step, Witness},
    kernel::Timestamp,
    runtime::Runtime,
};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// How often a waiting command looks again, at least.
const LOOK: Duration = Duration::from_secs(5);

pub fn run(config: Option<PathBuf>, command: KeysCommand) -> Result<()> {
    beside_the_server(config, async |runtime| match command {
        KeysCommand::Status { output } => status(runtime, output.output).await,
        KeysCommand::Rotate { wait } => rotate(runtime, wait).await,
        KeysCommand::DropStale => match runtime.keyring().drop_stale_wraps().await? {
            0 => output::line("Nothing is wrapped under a master key that is not configured."),
            wraps => output::line(format!("Forgot {wraps} wraps under master keys that are not configured any more.")),
        },
    })
}

async fn status(runtime: &Runtime, format: Format) -> Result<()> {
    let status = runtime.keyring().status().await?;
    let value = serde_json::to_value(status)
        .map_err(|error| Failure::failed(format!("the status cannot be printed: {error}")))?;
    output::value(&value, format)
}

async fn rotate(runtime: &Runtime, wait: bool) -> Result<()> {
    let Started { key, active_from, already } = runtime.keyring().rotate().await?;
    let begun = if already { "is under way already" } else { "has begun" };
    output::line(format!("The rotation {begun}: {key} is used from {active_from} on."))?;
    if !wait {
        return output::line(
            "A running server, a worker or the ticks of functions do the rest; `asgard keys status` shows how far it is.",
        );
    }
    let rotation = Rotation::new(Arc::clone(runtime.vault()));
    loop {
        let now = runtime.app().world().now();
        match rotation.step(now, Witness::Process).await? {
            Step::Activated(key) => output::line(format!("{key} is in use."))?,
            Step::Retired(key) => output::line(format!("{key} is retired."))?,
            Step::Swept { stuck: 0, .. } | Step::Raced => {}
            Step::Swept { key, stuck, .. } => {
                output::line(format!(
                    "{stuck} ciphertexts under {key} cannot be encrypted again; the log names them."
                ))?;
                tokio::time::sleep(LOOK).await;
            }
            Step::Waiting(until) => tokio::time::sleep(pause(now, until)).await,
            Step::Idle => break,
        }
    }
    let all = runtime.keyring().status().await?;
    match all.iter().find(|key| key.state == KeyState::Draining) {
        None => output::line("Everything is encrypted under the new key."),
        Some(stuck) => Err(Failure::failed(format!("{} is still not empty", stuck.id))),
    }
}

fn pause(now: Timestamp, until: Timestamp) -> Duration {
    until.since(now).min(LOOK)
}
