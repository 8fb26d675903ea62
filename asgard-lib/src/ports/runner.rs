//! Where runs are executed. A runner only starts a supervisor and can tell whether one still lives; what a supervisor does
//! is the same everywhere (see [`crate::app`]).

use crate::{
    error::Result,
    kernel::{RunId, Timestamp},
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// Where a supervisor runs, precisely enough to prove it dead later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Whereabouts {
    /// A process on a host: the boot id tells a restarted host, the start time a reused pid.
    Process {
        /// The host's name.
        host: String,
        /// The host's boot id.
        boot: String,
        /// The process id.
        pid: u32,
        /// Its start time in clock ticks since boot.
        started: u64,
    },
    /// Inside the process that claimed the job; gone with it.
    InProcess {
        /// The claiming process.
        holder: String,
    },
}

/// What a runner knows about a supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// It runs.
    Alive,
    /// It is proven dead, with everything it started.
    Dead,
    /// It cannot be told from here, for example because it is on another host.
    Unknown,
}

/// Starts supervisors.
#[async_trait]
pub trait Runner: Send + Sync + 'static {
    /// A name for records and logs: `local-process`, `dry-run`.
    fn name(&self) -> &'static str;

    /// Whether outputs are made up. Only the dry run says yes.
    fn is_dry(&self) -> bool {
        false
    }

    /// Starts the supervisor of a run, which claims the run itself. Starting one twice is harmless: the second claim loses.
    async fn launch(&self, run: &RunId) -> Result<()>;

    /// Whether the supervisor at `place` lives. `Dead` is a promise that nothing it started lives either; the runner may
    /// have to end left-over processes to keep it.
    async fn probe(&self, place: &Whereabouts, now: Timestamp) -> Liveness;
}
