//! What supervisor and guard tell each other: JSON, a line each. Both are the same program, so there is one version of it.

use super::super::{confine::Confinement, stop::Rung, uptime::Uptime};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

/// What the guard starts, and until when it may run. The first line that it gets. No `Debug`: the environment holds secrets.
#[derive(Serialize, Deserialize)]
pub(in super::super) struct Order {
    /// The run's folder.
    pub root: PathBuf,
    /// The step, which names the files of its output.
    pub step: String,
    /// Terraform.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment, all of it.
    pub environment: Vec<(String, String)>,
    /// What it may reach.
    pub confinement: Confinement,
    /// How long it gets to stop.
    pub grace: Duration,
    /// When it has to be gone.
    pub until: Uptime,
    /// How long before that it is interrupted.
    pub wind_down: Duration,
}

/// What the supervisor says after that.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Command {
    /// The lease was renewed.
    Until(Uptime),
    /// The next step of the ladder.
    Climb(Rung),
}

/// What the guard says.
#[derive(Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Report {
    /// It was started, and its process is noted in the folder.
    Started,
    /// It could not be started.
    Refused {
        /// Why.
        why: String,
    },
    /// It has ended, and nothing is left of it.
    Ended {
        /// Its code, unless a signal ended it.
        code: Option<i32>,
        /// The signal.
        signal: Option<i32>,
    },
}
