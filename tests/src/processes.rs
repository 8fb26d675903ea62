//! The processes of a site, seen from outside: the server, its supervisors, Terraform and what that started.

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::{fs, path::Path};

/// A process as `/proc` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its process group.
    pub group: u32,
    /// Its command line.
    pub command: Vec<String>,
    started: u64,
}

impl Process {
    /// A living process.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, rest) = stat.rsplit_once(')')?;
        let field = |number: usize| rest.split_ascii_whitespace().nth(number - 3);
        if matches!(field(3)?, "Z" | "X") {
            return None;
        }
        let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let command = command
            .split(|byte| *byte == 0)
            .filter(|word| !word.is_empty())
            .map(|word| String::from_utf8_lossy(word).into());
        Some(Self {
            pid,
            group: field(5)?.parse().ok()?,
            started: field(22)?.parse().ok()?,
            command: command.collect(),
        })
    }

    /// Every living process that belongs to the site in `dir`: it was started with that folder in its environment or on its
    /// command line, it works below it, or it supervises a run whose folder lies below `work`.
    pub fn below(dir: &Path, work: &Path) -> Vec<Self> {
        let runs: Vec<String> = fs::read_dir(work)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name.starts_with("run_"))
            .collect();
        let marker = dir.as_os_str().as_encoded_bytes();
        let holds = |text: &[u8]| text.windows(marker.len()).any(|window| window == marker);
        let me = std::process::id();
        all()
            .filter(|process| process.pid != me)
            .filter(|process| {
                let file = |name: &str| format!("/proc/{}/{name}", process.pid);
                process.command.iter().any(|word| holds(word.as_bytes()) || runs.contains(word))
                    || fs::read(file("environ")).is_ok_and(|environ| holds(&environ))
                    || fs::read_link(file("cwd")).is_ok_and(|folder| folder.starts_with(dir))
            })
            .collect()
    }

    /// Whether it is the supervisor of a run.
    pub fn is_supervisor(&self) -> bool {
        self.command.iter().any(|word| word.starts_with("run_")) && self.command.iter().any(|word| word == "run")
    }

    /// Whether it is the guard of a run.
    pub fn is_guard(&self) -> bool {
        self.command.iter().any(|word| word == "internal-guard")
    }

    /// Whether it is the engine, doing `step`.
    pub fn is_terraform(&self, step: &str) -> bool {
        let engine = |word: &String| {
            Path::new(word).file_name().is_some_and(|name| name.to_string_lossy().starts_with("terraform"))
        };
        self.command.iter().take(3).any(engine) && self.command.iter().any(|word| word == step)
    }

    /// Whether it is the one that listens at a port of IPv4.
    pub fn listens(&self, port: u16) -> bool {
        let all = fs::read_to_string("/proc/net/tcp").expect("/proc is there");
        let sockets: Vec<String> = all
            .lines()
            .map(|line| line.split_ascii_whitespace().collect::<Vec<_>>())
            // The second field is the address, the fourth the state (0A listens), the tenth the socket's number.
            .filter(|line| line.len() > 9 && line[1].ends_with(&format!(":{port:04X}")) && line[3] == "0A")
            .map(|line| format!("socket:[{}]", line[9]))
            .collect();
        let open = fs::read_dir(format!("/proc/{}/fd", self.pid)).into_iter().flatten().flatten();
        open.filter_map(|entry| fs::read_link(entry.path()).ok())
            .any(|file| sockets.iter().any(|socket| file.as_os_str() == socket.as_str()))
    }

    /// Sends it a signal; `false` when it is gone.
    pub fn signal(&self, signal: Signal) -> bool {
        let same = Self::of(self.pid).is_some_and(|now| now.started == self.started);
        same && kill_process(raw(self.pid), signal).is_ok()
    }

    /// Sends its whole group a signal; `false` when it is gone.
    pub fn signal_group(&self, signal: Signal) -> bool {
        alive(self) && kill_process_group(raw(self.group), signal).is_ok()
    }
}

fn raw(pid: u32) -> Pid {
    i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id")
}

fn all() -> impl Iterator<Item = Process> {
    let entries = fs::read_dir("/proc").expect("/proc is there");
    entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter_map(Process::of)
}

/// Whether it still lives.
pub fn alive(process: &Process) -> bool {
    Process::of(process.pid).is_some_and(|now| now.started == process.started)
}
