//! The first process of a container: nobody reaps what its children leave behind, and no signal reaches it that it does not
//! ask for. So it starts itself once more as its child, which does the work, hands signals on to that, reaps whatever ends,
//! and ends as the child did. Where the platform brings an init of its own, all of this stays out.

use crate::said;
use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait};
use std::{
    process::{Command, ExitCode},
    time::Duration,
};
use tokio::signal::unix::{SignalKind, signal};

/// What ended by a signal is told as shells tell it.
const SIGNALLED: i32 = 128;
/// A signal that children end is one, however many end; this is for the case that it came before anybody listened.
const LOOK: Duration = Duration::from_secs(1);

/// Whether this is the first process.
pub(super) fn is_needed() -> bool {
    std::process::id() == 1
}

/// Is the init of the container, until the work is done.
pub(super) fn run(arguments: &[String]) -> ExitCode {
    let threads = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = threads.and_then(|threads| {
        threads.block_on(async {
            let program = std::env::current_exe()?;
            mind(Command::new(program).args(arguments)).await
        })
    });
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(error) => said(&format!("The work could not be started: {error}"), 1),
    }
}

/// Starts the command, hands SIGTERM and SIGINT on to it, and reaps everything until it ends. Its code.
///
/// # Errors
///
/// When the command cannot be started, or signals cannot be received.
pub async fn mind(command: &mut Command) -> std::io::Result<u8> {
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
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}
