//! What runs beside requests, and how it is stopped.

use super::{Runtime, periodic_tasks::shipped};
use crate::{
    app::{
        periodic::{self, Next, PeriodicTask, TaskOutcome},
        runs, worker,
    },
    error::Result,
};
use std::{sync::Arc, time::Duration};
use tokio::{task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

/// Running work: the worker, the loops, the reloader.
pub struct Background {
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

crate::kernel::opaque!(Background);

impl Runtime {
    /// Everything that has to be done now and then: by loops of this process, or by whoever is woken to do one. The shipped
    /// tasks first, in the order of [`PERIODIC_TASKS`](super::PERIODIC_TASKS), then the host's own.
    pub fn periodic_tasks(&self) -> Vec<Arc<dyn PeriodicTask>> {
        shipped(self).chain(self.periodic.iter().cloned()).collect()
    }

    /// Gives every periodic task that is due its turns, until it has nothing more to do or `stop`: for processes that are woken
    /// now and then instead of keeping loops. Returns the names of those that had a turn. The failure of one is no reason to
    /// leave out the others.
    ///
    /// # Errors
    ///
    /// What the last one failed with, after all of them.
    pub async fn run_periodic(&self, stop: &CancellationToken) -> Result<Vec<&'static str>> {
        let (mut did, mut failed) = (Vec::new(), None);
        for task in self.periodic_tasks() {
            let mut had_a_turn = false;
            while !stop.is_cancelled() {
                match periodic::turn(&self.app, &*task, stop).await {
                    Ok(TaskOutcome::Did(next)) => {
                        had_a_turn = true;
                        if next == Next::Rest {
                            break;
                        }
                    }
                    Ok(TaskOutcome::NotWanted | TaskOutcome::Later(_)) => break,
                    Err(error) => {
                        failed = Some(error);
                        break;
                    }
                }
            }
            if had_a_turn {
                did.push(task.name());
            }
        }
        failed.map_or(Ok(did), Err)
    }

    /// Starts the worker, the loops and the keyring's reloader, and looks after runs whose supervisors died while nobody
    /// was there. All of it ends after `stop`.
    pub fn spawn_background(&self, stop: &CancellationToken) -> Background {
        let stop = stop.child_token();
        let mut tasks = JoinSet::new();
        let mut loops = periodic::spawn(&self.app, self.periodic_tasks(), &stop);
        tasks.spawn(async move {
            while let Some((task, ended)) = loops.next_ended().await {
                if let Err(error) = ended {
                    tracing::error!(task, %error, "A background loop ended badly; its task waits for another process.");
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
