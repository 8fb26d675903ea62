//! Where a process is, told so precisely that it can be proven dead later: host, boot, process id and start time. A process
//! id alone proves nothing, because ids are used again.

use crate::ports::runner::SupervisorLocation;
use rustix::process::{Pid, test_kill_process};
use sha2::{Digest, Sha256};
use std::{fs, path::Path};

/// The file with the id of an installation.
pub(super) const INSTALLATION: &str = ".installation";

/// What can be seen of a process from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// It lives.
    Alive,
    /// It is gone for good.
    Gone,
    /// It cannot be told from here.
    Unclear,
}

/// Facts about a process, from `/proc/<pid>/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    /// Its id.
    pub pid: u32,
    /// Its parent.
    pub parent: u32,
    /// Its process group.
    pub group: u32,
    /// When it started, in clock ticks since boot.
    pub started: u64,
    /// Whether it has ended and only waits to be reaped.
    pub zombie: bool,
}

/// This process, working in that folder, for its lease. Where the facts cannot be read, the process is known by nothing that could
/// prove it dead, and others wait until its lease runs out.
pub fn here(work_dir: &Path) -> SupervisorLocation {
    let pid = std::process::id();
    match (host(), boot(), facts(pid)) {
        (Some(host), Some(boot), Some(facts)) => {
            let installation = installation(work_dir);
            SupervisorLocation::Process { host, boot, pid, started: facts.started, installation }
        }
        _ => SupervisorLocation::InProcess { holder: format!("pid {pid}") },
    }
}

/// The id of what works in this folder: drawn once, and kept in it.
pub(super) fn installation(work_dir: &Path) -> Option<String> {
    let kept = work_dir.join(INSTALLATION);
    if let Some(id) = read(&kept) {
        return Some(id);
    }
    // Written beside its place and linked there, so that nobody reads half of it and the first one counts.
    let drawn = read("/proc/sys/kernel/random/uuid")?;
    let fresh = work_dir.join(format!("{INSTALLATION}.{drawn}"));
    let written = fs::write(&fresh, &drawn).and_then(|()| fs::hard_link(&fresh, &kept));
    if let Err(error) = written
        && error.kind() != std::io::ErrorKind::AlreadyExists
    {
        tracing::warn!("the work folder gets no id, so a restart of this machine proves nothing: {error}");
    }
    // Nothing depends on it once it is linked.
    let _ = fs::remove_file(&fresh);
    read(&kept)
}

/// What can be seen of the process at `place` from where runs work in that folder.
pub(super) fn look(place: &SupervisorLocation, work_dir: &Path) -> Sight {
    let SupervisorLocation::Process { host: its_host, boot: its_boot, pid, started, installation: its_own } = place
    else {
        return Sight::Unclear;
    };
    let (Some(host), Some(boot)) = (host(), boot()) else { return Sight::Unclear };
    if host != *its_host {
        return Sight::Unclear;
    }
    if boot == *its_boot {
        return look_at(*pid, *started);
    }
    let (its_kernel, kernel) = (its_boot.split('/').next(), boot.split('/').next());
    // Another boot of the same machine ended everything. In another container of the same boot it may live, without a machine id two
    // machines of one name look alike, and clones of a machine have its machine id, too: what tells them apart is the work folder.
    let same_machine = host.contains('#') && its_own.is_some() && *its_own == installation(work_dir);
    if its_kernel != kernel && same_machine { Sight::Gone } else { Sight::Unclear }
}

/// Whether the process `pid` that started at `started` lives.
pub(super) fn look_at(pid: u32, started: u64) -> Sight {
    let Some(known) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Sight::Gone };
    if test_kill_process(known) == Err(rustix::io::Errno::SRCH) {
        return Sight::Gone;
    }
    match facts(pid) {
        Some(facts) if facts.zombie || facts.started != started => Sight::Gone,
        Some(_) => Sight::Alive,
        // It may have ended between the two looks, or /proc hides it.
        None if test_kill_process(known) == Err(rustix::io::Errno::SRCH) => Sight::Gone,
        None => Sight::Unclear,
    }
}

/// Facts about a process, if it is there and visible.
pub(super) fn facts(pid: u32) -> Option<Facts> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_stat(stat: &str) -> Option<Facts> {
    let pid = stat.split(' ').next()?.parse().ok()?;
    // The second field is the program's name in parentheses and may hold anything, parentheses and blanks too.
    let (_, rest) = stat.rsplit_once(')')?;
    let field = |number: usize| rest.split_ascii_whitespace().nth(number - 3);
    let zombie = matches!(field(3)?, "Z" | "X");
    let (parent, group) = (field(4)?.parse().ok()?, field(5)?.parse().ok()?);
    Some(Facts { pid, parent, group, started: field(22)?.parse().ok()?, zombie })
}

/// The host's name, with what tells machines of the same name apart where there is such a thing. The machine id itself
/// stays here; only a digest of it is written anywhere.
pub(super) fn host() -> Option<String> {
    let name = read("/proc/sys/kernel/hostname")?;
    Some(match read("/etc/machine-id") {
        Some(machine) => {
            let digest = Sha256::digest(format!("asgard whereabouts {machine}"));
            format!("{name}#{}", data_encoding::HEXLOWER.encode(digest.get(..8).unwrap_or_default()))
        }
        None => name,
    })
}

/// The boot, and the process id namespace: in another namespace the same id is another process.
pub(super) fn boot() -> Option<String> {
    let boot = read("/proc/sys/kernel/random/boot_id")?;
    let namespace = fs::read_link("/proc/self/ns/pid").ok()?;
    let namespace: String = namespace.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
    Some(format!("{boot}/{namespace}"))
}

fn read(path: impl AsRef<Path>) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{super::testkit, *};

    #[test]
    fn a_stat_line_is_read_whatever_the_program_is_called() {
        let line = "4242 (a) b) (c) S 1 77 77 0 -1 4194304 100 0 0 0 0 0 0 0 20 0 1 0 337100 3133440 388 0";
        assert_eq!(parse_stat(line), Some(Facts { pid: 4242, parent: 1, group: 77, started: 337_100, zombie: false }));
        assert!(parse_stat(&line.replace(") S ", ") Z ")).unwrap().zombie);
        assert_eq!(parse_stat("4242 (a"), None);
    }

    #[test]
    fn only_what_is_proven_counts_as_gone() {
        let (folder, clone) = (testkit::folder(), testkit::folder());
        let me = here(folder.path());
        let SupervisorLocation::Process { host, boot, pid, started, installation } = me.clone() else {
            panic!("no facts about this process")
        };
        assert!(installation.is_some());
        assert_eq!(here(folder.path()), me, "an installation keeps its id");
        let of = |host: &str, boot: &str, pid, started, installation: Option<String>| {
            let (host, boot) = (host.into(), boot.into());
            look(&SupervisorLocation::Process { host, boot, pid, started, installation }, folder.path())
        };
        let at = |host: &str, boot: &str, pid, started| of(host, boot, pid, started, installation.clone());
        assert_eq!(look(&me, folder.path()), Sight::Alive);
        assert_eq!(at(&host, &boot, pid, started + 1), Sight::Gone, "the id was used again");
        assert_eq!(at(&host, &boot, 999_999_999, 1), Sight::Gone);
        assert_eq!(at("elsewhere", &boot, pid, started), Sight::Unclear);
        let kernel = boot.split('/').next().unwrap();
        assert_eq!(at(&host, &format!("{kernel}/1"), 999_999_999, 1), Sight::Unclear, "another container");
        let expected = if host.contains('#') { Sight::Gone } else { Sight::Unclear };
        assert_eq!(at(&host, "0000/1", pid, started), expected, "another boot");
        let cloned = super::installation(clone.path());
        assert!(cloned.is_some() && cloned != installation);
        assert_eq!(of(&host, "0000/1", pid, started, cloned), Sight::Unclear, "a clone of this machine");
        assert_eq!(of(&host, "0000/1", pid, started, None), Sight::Unclear, "of a version that kept no ids");
        assert_eq!(look(&SupervisorLocation::InProcess { holder: "x".into() }, folder.path()), Sight::Unclear);

        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let born = facts(child.id()).unwrap().started;
        assert_eq!(look_at(child.id(), born), Sight::Alive);
        child.kill().unwrap();
        while facts(child.id()).is_some_and(|facts| !facts.zombie) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        assert_eq!(look_at(child.id(), born), Sight::Gone, "a process that waits to be reaped is dead");
        child.wait().unwrap();
        assert_eq!(look_at(child.id(), born), Sight::Gone);
    }
}
