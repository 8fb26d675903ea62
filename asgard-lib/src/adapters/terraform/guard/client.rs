//! The supervisor's end: a Terraform whose life hangs on a guard.

use super::{
    super::{child::Exit, helper::Helper, stop::Rung, uptime::Uptime},
    messages::{Command, Order, Report},
};
use crate::error::{Code, Error, Result};
use std::time::Duration;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    net::unix::pipe,
    process::ChildStdout,
    time::{Instant, timeout},
};

/// How long a guard may take to start Terraform. It takes milliseconds; a machine may be busy.
const STARTS_WITHIN: Duration = Duration::from_secs(30);
/// How long a guard may take to kill what it guards. One that is stopped does not hear it, and is killed itself then, with which the
/// kernel ends Terraform.
const KILLS_WITHIN: Duration = Duration::from_secs(2);
/// The signal that is told of a Terraform whose guard was killed.
const KILLED: i32 = 9;

/// A running command behind its guard. Dropped, it closes the guard's pipe, and the guard ends Terraform.
pub(in super::super) struct Guarded {
    guard: tokio::process::Child,
    tells: pipe::Sender,
    told: Lines<BufReader<ChildStdout>>,
    kill_by: Option<Instant>,
    until: Uptime,
    exit: Option<Exit>,
}

impl Guarded {
    /// Starts the guard, which starts Terraform and notes in the run's folder where both are.
    pub(crate) async fn start(helper: Helper, run: &str, order: &Order) -> Result<Self> {
        let failed = |why: String| Error::new(Code::RunnerFailed, "Terraform could not be started.").caused_by(why);
        let mut guard = helper.guard(run).spawn().map_err(|error| failed(format!("its guard: {error}")))?;
        let (Some(stdin), Some(stdout)) = (guard.stdin.take(), guard.stdout.take()) else {
            return Err(Error::bug("a guard without its pipes"));
        };
        let tells =
            stdin.into_owned_fd().and_then(pipe::Sender::from_owned_fd).map_err(|error| failed(error.to_string()))?;
        let mut this =
            Self { guard, tells, told: BufReader::new(stdout).lines(), kill_by: None, until: order.until, exit: None };
        let mut line = zeroize::Zeroizing::new(serde_json::to_vec(order).map_err(Error::bug)?);
        line.push(b'\n');
        let begun = async {
            this.tells.write_all(&line).await.map_err(|error| failed(error.to_string()))?;
            match this.report().await {
                Some(Report::Started) => Ok(()),
                Some(Report::Refused { why }) => Err(failed(why)),
                Some(Report::Ended { .. }) | None => Err(failed("its guard ended".to_owned())),
            }
        };
        let begun = match timeout(STARTS_WITHIN, begun).await {
            Ok(begun) => begun,
            Err(_) => Err(failed(format!("its guard said nothing for {} s", STARTS_WITHIN.as_secs()))),
        };
        match begun {
            Ok(()) => Ok(this),
            Err(error) => {
                // With it the kernel ends what it may have started.
                let _ = this.guard.start_kill();
                let _ = this.guard.wait().await;
                Err(error)
            }
        }
    }

    /// Tells the guard until when the lease lasts, when that has changed.
    pub(crate) fn tell(&mut self, until: Uptime) {
        if until > self.until && self.say(&Command::Until(until)) {
            self.until = until;
        }
    }

    /// Takes a step of the ladder.
    pub(crate) fn climb(&mut self, rung: Rung) {
        self.say(&Command::Climb(rung));
        if rung == Rung::Kill {
            self.kill_by.get_or_insert_with(|| Instant::now() + KILLS_WITHIN);
        }
    }

    /// `false` when it was not taken. A guard that is gone has closed the pipe, and one that is stopped leaves it full.
    fn say(&self, command: &Command) -> bool {
        let Ok(mut line) = serde_json::to_vec(command) else { return false };
        line.push(b'\n');
        self.tells.try_write(&line).is_ok_and(|written| written == line.len())
    }

    async fn report(&mut self) -> Option<Report> {
        let line = self.told.next_line().await.ok().flatten()?;
        serde_json::from_str(&line).ok()
    }

    /// Waits until Terraform has ended; may be dropped and asked again.
    pub(crate) async fn ended(&mut self) -> Exit {
        let exit = match self.exit {
            Some(exit) => exit,
            None => {
                let exit = self.told_exit().await;
                *self.exit.insert(exit)
            }
        };
        // It ends by itself once it has said so; one that was killed has ended.
        if timeout(KILLS_WITHIN, self.guard.wait()).await.is_err() {
            let _ = self.guard.start_kill();
            let _ = self.guard.wait().await;
        }
        exit
    }

    async fn told_exit(&mut self) -> Exit {
        let report = loop {
            match self.kill_by {
                None => break self.report().await,
                Some(by) => match tokio::time::timeout_at(by, self.report()).await {
                    Ok(report) => break report,
                    Err(_) => {
                        tracing::warn!("the guard of a run does not answer and is killed");
                        let _ = self.guard.start_kill();
                        self.kill_by = None;
                    }
                },
            }
        };
        match report {
            Some(Report::Ended { code: Some(code), .. }) => Exit::Code(code),
            Some(Report::Ended { code: None, signal }) => Exit::Signal(signal.unwrap_or(KILLED)),
            Some(Report::Started | Report::Refused { .. }) | None => {
                tracing::error!("the guard of a run was killed, and Terraform with it");
                Exit::Signal(KILLED)
            }
        }
    }
}
