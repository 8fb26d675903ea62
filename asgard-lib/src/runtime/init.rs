//! The first process of a container: nobody reaps what its children leave behind, no signal reaches it that it does not ask
//! for, and what is still there when it ends is killed. So a program that is the first process starts itself once more as
//! its child, which does the work. The first one hands signals on, reaps whatever ends, lets supervisors of runs finish, and
//! ends as the child did.
//!
//! The platform's own init must stay out of a container in which Terraform runs: it has the container's whole environment,
//! and every process of the same user can read that. This one is closed ([`harden_process`]).

use crate::adapters::terraform::harden_process;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, kill_process_group, wait};
use std::{
    ffi::OsStr,
    io,
    process::{Command, id},
    time::Duration,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, sleep},
};

/// Called by this name a program is its own init whatever its number is. A test cannot be the first process; nobody else
/// has a reason to.
pub const NAME: &str = "asgard-init";

/// What ended by a signal is told as shells tell it.
const SIGNALLED: i32 = 128;
/// A signal that children end is one, however many end; this is for the case that it came before anybody listened.
const LOOK: Duration = Duration::from_secs(1);
/// How long supervisors that outlive the work may take to store what Terraform did. Platforms kill a container that stops
/// after two minutes at the latest.
const STORING: Duration = Duration::from_secs(120);

/// Whether this is the first process.
pub fn is_needed() -> bool {
    id() == 1 || std::env::args_os().next().is_some_and(|name| name == NAME)
}

/// Is the init until this program, with these arguments, has done its work as a child. The child's code.
///
/// # Errors
///
/// When the child cannot be started, or signals cannot be received.
pub fn run(arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> io::Result<u8> {
    // It has the same environment as the child, and lives as long as the container.
    harden_process();
    let mut command = Command::new(std::env::current_exe()?);
    command.args(arguments);
    let threads = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    threads.block_on(async {
        let code = mind(&mut command).await?;
        if id() == 1 {
            let_finish().await;
        }
        Ok(code)
    })
}

/// Starts the command, hands SIGTERM and SIGINT on to it, and reaps everything until it ends. Its code.
///
/// # Errors
///
/// When the command cannot be started, or signals cannot be received.
pub async fn mind(command: &mut Command) -> io::Result<u8> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut ended = signal(SignalKind::child())?;
    // It is reaped here with all the others, so nothing else may wait for it.
    let child = command.spawn()?;
    let child = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let hand_on = |signal| {
        if let Some(child) = child {
            // It may have ended already; then it is reaped next.
            let _ = kill_process(child, signal);
        }
    };
    loop {
        // One signal may stand for several ends.
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            if Some(pid) == child {
                let code =
                    status.exit_status().or_else(|| status.terminating_signal().map(|signal| SIGNALLED + signal));
                return Ok(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1));
            }
        }
        tokio::select! {
            _ = terminate.recv() => hand_on(Signal::TERM),
            _ = interrupt.recv() => hand_on(Signal::INT),
            _ = ended.recv() => {}
            () = sleep(LOOK) => {}
        }
    }
}

/// Tells everything that is left in the container to stop, and waits until it has. Terraform may be told twice this way, by
/// us and by its supervisor; supervisors expect that of a platform. Only for the first process: "everything" is the
/// container because the container is all that it sees.
async fn let_finish() {
    // Nobody is there: then there is nobody to wait for either.
    let _ = kill_process_group(Pid::INIT, Signal::TERM);
    let until = Instant::now() + STORING;
    while Instant::now() < until {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) => {}
            Ok(None) => sleep(LOOK / 10).await,
            // There is nobody left.
            Err(_) => return,
        }
    }
}

/// Whether others of this user can read the environment of the first process, and it has settings of Asgard's. It is another
/// program then, a platform's init, and what it has is what modules must not read.
pub fn is_exposed() -> bool {
    id() != 1 && std::fs::read("/proc/1/environ").is_ok_and(|environ| has_settings(&environ))
}

fn has_settings(environ: &[u8]) -> bool {
    environ.split(|byte| *byte == 0).any(|variable| variable.starts_with(b"ASGARD_"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_of_a_platforms_init_is_known_by_our_settings() {
        assert!(has_settings(b"PATH=/bin\0ASGARD_SECRET_KEY=hunter2\0"));
        assert!(!has_settings(b"PATH=/bin\0HOME=/ASGARD_\0"));
        assert!(!has_settings(b""));
    }
}
