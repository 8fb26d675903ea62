//! The process itself: its limits, how it is told to stop, and the runtimes it works on.

use crate::failure::{Failure, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::time::Duration;
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{Signal, SignalKind, signal},
};

/// Lets the process have as many connections open as the system allows it: shells hand down a small number.
pub fn raise_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%error, "The limit of open files stays where it is.");
    }
}

/// Workers on every core, for the server.
pub fn many_threads() -> Result<Runtime> {
    Builder::new_multi_thread().enable_all().build().map_err(no_runtime)
}

/// One thread, for everything else.
pub fn one_thread() -> Result<Runtime> {
    Builder::new_current_thread().enable_all().build().map_err(no_runtime)
}

fn no_runtime(error: std::io::Error) -> Failure {
    Failure::failed(format!("no thread could be started: {error}"))
}

/// Signals that come together are one.
const ONE_SIGNAL: Duration = Duration::from_millis(500);

/// The signals that ask the process to stop. Listening for them replaces what the system would do.
pub struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    pub fn listen() -> Result<Self> {
        let listen =
            |kind| signal(kind).map_err(|error| Failure::failed(format!("signals cannot be received: {error}")));
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    /// The next signal: its name, and the code of a process that it ended.
    pub async fn next(&mut self) -> (&'static str, i32) {
        tokio::select! {
            _ = self.terminate.recv() => ("SIGTERM", 128 + 15),
            _ = self.interrupt.recv() => ("SIGINT", 128 + 2),
        }
    }

    /// From now on a signal ends the process at once. Not quite from now on: whoever signals a process and then its group
    /// means one signal.
    pub fn at_once(mut self) {
        tokio::spawn(async move {
            let same = tokio::time::sleep(ONE_SIGNAL);
            tokio::pin!(same);
            loop {
                tokio::select! {
                    () = &mut same => break,
                    _ = self.next() => {}
                }
            }
            let (name, code) = self.next().await;
            tracing::warn!("{name} again: stopping at once.");
            std::process::exit(code);
        });
    }
}
