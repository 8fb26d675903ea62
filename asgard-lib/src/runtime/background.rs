//! What runs beside requests, and how it is stopped.

use super::{
    Runtime,
    periodic_tasks::{CollectOrphans, RotateKeys},
};
use crate::app::{
    periodic::{self, PeriodicTask},
    runs, worker,
};
use std::{sync::Arc, time::Duration};
use tokio::{task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

/// Running work: the worker, the loops, the reloader.
pub struct Background {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Runtime {
    /// Everything that has to be done now and then: by loops of this process, or by whoever is woken to do one.
    pub fn periodic_tasks(&self) -> Vec<Box<dyn PeriodicTask>> {
        let mut tasks = periodic::standard(&self.app);
        tasks.push(Box::new(RotateKeys::new(&self.vault)));
        tasks.push(Box::new(CollectOrphans::new(&self.vault)));
        tasks
    }

    /// Starts the worker, the loops and the keyring's reloader, and looks after runs whose supervisors died while nobody
    /// was there. All of it ends after `stop`.
    pub fn spawn_background(&self, stop: &CancellationToken) -> Background {
        let stop = stop.child_token();
        let mut tasks = JoinSet::new();
        let mut loops = periodic::spawn(&self.app, self.periodic_tasks(), &stop);
        tasks.spawn(async move {
            while let Some(ended) = loops.join_next().await {
                if let Err(error) = ended {
                    tracing::error!(%error, "A background loop ended badly; its task waits for another process.");
                }
            }
        });
        let worker = worker::spawn(Arc::clone(&self.app), stop.clone());
        let reloader = Arc::clone(self.keyring()).spawn_reloader(stop.clone());
        for (name, task) in [("worker", worker), ("keyring reloader", reloader)] {
            tasks.spawn(async move {
                if let Err(error) = task.await {
                    tracing::error!(%error, "The {name} ended badly.");
                }
            });
        }
        let (app, stopped) = (Arc::clone(&self.app), stop.clone());
        tasks.spawn(async move {
            let recovered = tokio::select! {
                () = stopped.cancelled() => return,
                recovered = runs::recover_at_start(&app) => recovered,
            };
            match recovered {
                Ok(0) => {}
                Ok(open) => tracing::info!(open, "Looked after the runs that were open."),
                Err(error) => {
                    tracing::warn!(error = error.chain(), "Open runs could not be looked after yet; the loop will.");
                }
            }
        });
        Background { stop, tasks }
    }
}

impl Background {
    /// Stops everything, with leases and jobs handed back. What takes longer than `grace` is dropped; its leases run out.
    pub async fn stop(mut self, grace: Duration) {
        self.stop.cancel();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if timeout(grace, all).await.is_err() {
            tracing::warn!("Background work took longer to stop than it may; its leases will run out.");
        }
    }
}
