//! Where a supervisor is.

use crate::kernel::Timestamp;
use serde::{Deserialize, Serialize};

/// Where a supervisor runs, precisely enough to prove it dead later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SupervisorLocation {
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
        /// The id that Asgard keeps in the work folder: machines that were cloned have one name, and one work folder each.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        installation: Option<String>,
    },
    /// A task of Amazon ECS. Whatever it started ends with it.
    Task {
        /// The cluster's name or ARN.
        cluster: String,
        /// The task's ARN.
        task: String,
        /// When this was noted: a task that ECS does not know shortly after is not gone, ECS is behind.
        noted: Timestamp,
    },
    /// Inside the process that claimed the job; gone with it.
    InProcess {
        /// The claiming process.
        holder: String,
    },
}
