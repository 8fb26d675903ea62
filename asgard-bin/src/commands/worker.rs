//! Background work without a listener: jobs, loops and the runs they start.

use super::{start, supervisors};
use crate::{
    failure::Result,
    logging::Talk,
    process::{self, Stop},
};
use asgard_lib::runtime::{Runtime, RuntimeOptions};
use std::{path::PathBuf, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

pub fn run(config: Option<PathBuf>) -> Result<()> {
    let loaded = start(config.clone(), Talk::Usual)?;
    process::many_threads()?.block_on(async {
        let settings = &loaded.config;
        let mut signals = Stop::listen()?;
        let opening = Runtime::open(settings, RuntimeOptions::server(settings, supervisors(config.as_ref())?));
        let runtime = tokio::select! {
            opened = opening => opened?,
            (name, _) = signals.next() => {
                tracing::info!("{name} while starting: stopped.");
                return Ok(());
            }
        };
        super::serve::tell_of(&runtime);
        tokio::spawn(super::serve::try_terraform(Arc::clone(runtime.app()), loaded.file.clone()));
        let background = runtime.spawn_background(&CancellationToken::new());
        tracing::info!("Working. Nothing listens here.");
        let (name, _) = signals.next().await;
        tracing::info!("{name}: stopping.");
        signals.at_once();
        background.stop(Duration::from_secs(settings.server.shutdown_grace_secs)).await;
        runtime.close().await;
        tracing::info!("Stopped.");
        Ok(())
    })
}
