//! One long command of the engine: its output goes to files, never into a pipe whose reader may die, because a Terraform that
//! is killed by a broken pipe leaves a state that lies. It leads a process group of its own, and nothing of that group
//! outlives it.

use super::{
    environment::Environment,
    place, processes,
    workdir::{ChildFacts, Layout, output_file},
};
use crate::error::{Code, Error, Result};
use rustix::process::Signal;
use std::{os::unix::process::ExitStatusExt, path::Path, process::Stdio, time::Duration};
use tokio::process::Command;

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// By itself, with a code.
    Code(i32),
    /// By a signal.
    Signal(i32),
}

/// A running command.
pub(super) struct Child {
    inner: tokio::process::Child,
    pid: u32,
    layout: Layout,
    over: bool,
}

impl Child {
    /// Starts `program` with `args` in the run's module folder. `step` names it and its output files.
    pub(crate) async fn start(
        program: &Path,
        step: &str,
        args: &[&str],
        environment: &Environment,
        layout: &Layout,
    ) -> Result<Self> {
        let (stdout, stderr) = (output_file(&layout.stdout(step))?, output_file(&layout.stderr(step))?);
        let mut command = Command::new(program);
        command.args(args).env_clear().envs(environment.variables()).current_dir(layout.module());
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).process_group(0);
        let inner = command.spawn().map_err(|error| {
            Error::new(Code::RunnerFailed, "Terraform could not be started.")
                .caused_by(format!("{}: {error}", program.display()))
        })?;
        let pid = inner.id().ok_or_else(|| Error::bug("a child that ended before it was waited for"))?;
        let child = Self { inner, pid, layout: layout.clone(), over: false };
        // If this cannot be written, dropping the child ends it: it must not run without being found again.
        let started = place::facts(pid).map(|facts| facts.started).unwrap_or_default();
        let boot = place::boot().unwrap_or_default();
        layout.note_child(&ChildFacts { pid, started, boot, step: step.to_owned() })?;
        Ok(child)
    }

    /// Asks Terraform to stop: to finish what is under way, write its state and end. Asked twice, it gives up at once.
    pub(crate) fn interrupt(&self) {
        if !self.over {
            processes::signal(self.pid, Signal::INT);
        }
    }

    /// Ends Terraform and everything in its group at once.
    pub(crate) fn kill(&self) {
        if !self.over {
            processes::kill_group(self.pid);
        }
    }

    /// Waits until it has ended, for at most `patience`.
    pub(crate) async fn ended(&mut self, patience: Duration) -> Result<Option<Exit>> {
        let Ok(status) = tokio::time::timeout(patience, self.inner.wait()).await else { return Ok(None) };
        let status = status.map_err(|error| Error::bug(format!("waiting for Terraform: {error}")))?;
        self.over = true;
        // A provider that crashed or a provisioner's own children may still be there.
        processes::kill_all(&self.layout).await;
        Ok(Some(match (status.code(), status.signal()) {
            (Some(code), _) => Exit::Code(code),
            (None, Some(signal)) => Exit::Signal(signal),
            (None, None) => return Err(Error::bug(format!("Terraform ended in an unknown way: {status:?}"))),
        }))
    }
}

/// A supervisor that is torn down leaves nobody who could keep the run's lease, so nothing of the run may go on.
impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}
