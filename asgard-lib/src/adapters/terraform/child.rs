//! One long command of the engine: its output goes to files, never into a pipe whose reader may die, because a Terraform that
//! is killed by a broken pipe leaves a state that lies. It leads a process group of its own, and nothing of that group
//! outlives it.

use super::{
    environment::Environment,
    guard::{Guarded, Order},
    helper::Helper,
    place, processes,
    stop::Rung,
    uptime::Uptime,
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
    engine: Engine,
    layout: Layout,
    over: bool,
}

enum Engine {
    /// It is this process's own child, and lives on when this process is killed.
    Own(tokio::process::Child, u32),
    /// Its life hangs on a guard.
    Guarded(Box<Guarded>),
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
        let child = Self { engine: Engine::Own(inner, pid), layout: layout.clone(), over: false };
        // If this cannot be written, dropping the child ends it: it must not run without being found again.
        let started = place::facts(pid).map(|facts| facts.started).unwrap_or_default();
        let boot = place::boot().unwrap_or_default();
        layout.note_child(&ChildFacts { pid, started, boot, step: step.to_owned(), guard: None })?;
        Ok(child)
    }

    /// Starts what an order says behind a guard.
    pub(crate) async fn guarded(helper: Helper, order: &Order, layout: &Layout) -> Result<Self> {
        let guarded = Guarded::start(helper, layout.name(), order).await?;
        Ok(Self { engine: Engine::Guarded(Box::new(guarded)), layout: layout.clone(), over: false })
    }

    /// Says until when the lease lasts, to whoever outlives this process.
    pub(crate) fn tell(&mut self, until: Uptime) {
        match &mut self.engine {
            Engine::Own(..) => {}
            Engine::Guarded(guarded) => guarded.tell(until),
        }
    }

    /// Takes a step of the ladder. An interrupt asks Terraform to finish what is under way, write its state and end; at the second it
    /// gives up at once. The last step ends it with everything in its group.
    pub(crate) fn climb(&mut self, rung: Rung) {
        if self.over {
            return;
        }
        match (&mut self.engine, rung) {
            (_, Rung::Run) => {}
            (Engine::Guarded(guarded), rung) => guarded.climb(rung),
            (Engine::Own(_, pid), Rung::Interrupt | Rung::InterruptAgain) => processes::signal(*pid, Signal::INT),
            (Engine::Own(_, pid), Rung::Kill) => processes::kill_group(*pid),
        }
    }

    /// Waits until it has ended, for at most `patience`.
    pub(crate) async fn ended(&mut self, patience: Duration) -> Result<Option<Exit>> {
        let waited = match &mut self.engine {
            Engine::Own(inner, _) => {
                let Ok(status) = tokio::time::timeout(patience, inner.wait()).await else { return Ok(None) };
                let status = status.map_err(|error| Error::bug(format!("waiting for Terraform: {error}")))?;
                match (status.code(), status.signal()) {
                    (Some(code), _) => Ok(Exit::Code(code)),
                    (None, Some(signal)) => Ok(Exit::Signal(signal)),
                    (None, None) => Err(Error::bug(format!("Terraform ended in an unknown way: {status:?}"))),
                }
            }
            Engine::Guarded(guarded) => {
                let Ok(exit) = tokio::time::timeout(patience, guarded.ended()).await else { return Ok(None) };
                Ok(exit)
            }
        };
        self.over = true;
        // A provider that crashed or a provisioner's own children may still be there.
        processes::kill_all(&self.layout).await;
        waited.map(Some)
    }
}

/// A supervisor that is torn down leaves nobody who could keep the run's lease, so nothing of the run may go on. A guard sees to that
/// by itself.
impl Drop for Child {
    fn drop(&mut self) {
        self.climb(Rung::Kill);
    }
}
