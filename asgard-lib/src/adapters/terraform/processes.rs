//! The processes of a run, found again without having been their parent: Terraform, its providers, and what a provisioner
//! started. They are told by their HOME, which is the run's own folder, by working inside it, or by Terraform's process group.

use super::{
    place::{self, Sight},
    workdir::{ChildFacts, GuardFacts, Layout},
};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::{collections::BTreeSet, fs, os::unix::ffi::OsStrExt, path::Path, time::Duration};

/// How often a process that is ending is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// How long the kernel gets to end processes that were killed.
const KILLED: Duration = Duration::from_secs(5);

/// Sends a signal to one process.
pub(super) fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw)
        && let Err(error) = kill_process(pid, signal)
        && error != rustix::io::Errno::SRCH
    {
        tracing::warn!(process.pid = pid.as_raw_nonzero().get(), "a process of a run cannot be signalled: {error}");
    }
}

/// Kills a whole process group whose leader is known to be our child and not yet reaped.
pub(super) fn kill_group(leader: u32) {
    if let Some(leader) = i32::try_from(leader).ok().and_then(Pid::from_raw) {
        // It may be gone already.
        let _ = kill_process_group(leader, Signal::KILL);
    }
}

/// The living processes of a run.
pub(super) fn of_run(layout: &Layout) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let child = layout.child();
    let boot = place::boot();
    let child = child.filter(|child| boot.as_deref() == Some(child.boot.as_str()));
    let home = layout.home();
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != std::process::id())
        .filter_map(place::facts)
        .filter(|facts| !facts.zombie)
        .filter(|facts| {
            has_home(facts.pid, &home)
                || works_in(facts.pid, layout.root())
                || child.as_ref().is_some_and(|child| in_group(facts, child))
        })
        .map(|facts| facts.pid)
        .collect()
}

fn has_home(pid: u32, home: &Path) -> bool {
    let wanted = [b"HOME=", home.as_os_str().as_bytes()].concat();
    fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|entry| entry == wanted))
}

fn works_in(pid: u32, root: &Path) -> bool {
    fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|folder| folder.starts_with(root))
}

/// Whether a process is in the group that Terraform led. A group of the same number with another leader is not that one.
fn in_group(facts: &place::Facts, child: &ChildFacts) -> bool {
    facts.group == child.pid
        && facts.started >= child.started
        && place::facts(child.pid).is_none_or(|leader| leader.zombie || leader.started == child.started)
}

/// The living descendants of a process, those among them that became its children because it adopts what is left behind.
pub(super) fn descendants(ancestor: u32) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let all: Vec<place::Facts> = pids.filter_map(place::facts).collect();
    let mut family = BTreeSet::from([ancestor]);
    loop {
        let known = family.len();
        family.extend(
            all.iter().filter(|facts| family.contains(&facts.parent)).map(|facts| facts.pid).collect::<Vec<_>>(),
        );
        if family.len() == known {
            break;
        }
    }
    let living = all.iter().filter(|facts| facts.pid != ancestor && family.contains(&facts.pid) && !facts.zombie);
    living.map(|facts| facts.pid).collect()
}

/// Kills every descendant of this process.
pub(super) fn kill_descendants() {
    for pid in descendants(std::process::id()) {
        signal(pid, Signal::KILL);
    }
}

/// Kills what is left of a run and waits until it is gone. `false` means that something is still there.
pub(super) async fn kill_all(layout: &Layout) -> bool {
    let mut waited = Duration::ZERO;
    loop {
        let left = of_run(layout);
        if left.is_empty() {
            return true;
        }
        if waited > KILLED {
            tracing::error!(run.id = layout.name(), "processes of a run cannot be killed: {left:?}");
            return false;
        }
        for pid in left {
            signal(pid, Signal::KILL);
        }
        tokio::time::sleep(LOOK).await;
        waited += LOOK;
    }
}

/// Ends what a dead supervisor left running: Terraform is interrupted once, so that it writes its state, and gets
/// `patience`; whatever is left then is killed. `true` is a promise that nothing is left.
pub(super) async fn end_left_over(layout: &Layout, patience: Duration) -> bool {
    if let Some(child) = layout.child()
        && place::boot().is_some_and(|boot| boot == child.boot)
        && place::look_at(child.pid, child.started) == Sight::Alive
    {
        // A second interrupt would make Terraform give up at once. The supervisor may have sent the first, and a guard sends it as soon
        // as the supervisor is gone.
        let guarded = child.guard.as_ref().is_some_and(is_there);
        if !guarded && !layout.was_interrupted(&child.step) {
            tracing::warn!(
                run.id = layout.name(),
                process.pid = child.pid,
                "interrupting the Terraform of a supervisor that is gone"
            );
            signal(child.pid, Signal::INT);
        }
        let mut waited = Duration::ZERO;
        while waited < patience && place::look_at(child.pid, child.started) == Sight::Alive {
            tokio::time::sleep(LOOK).await;
            waited += LOOK;
        }
    }
    if let Some(guard) = layout.child().and_then(|child| child.guard).filter(is_there) {
        // It would end by itself, unless somebody has stopped it.
        signal(guard.pid, Signal::KILL);
    }
    kill_all(layout).await
}

fn is_there(guard: &GuardFacts) -> bool {
    place::look_at(guard.pid, guard.started) == Sight::Alive
}
