//! What a module may reach of the machine. Terraform runs whatever its modules and providers tell it to, as the user that Asgard runs
//! as; where the kernel has Landlock, the stage before it gives up everything that Terraform has no business with, for itself and for
//! all that it starts: other folders, the memory and the environment of other processes, and signals to them. The network stays.

use super::{environment::Environment, workdir::Layout};
use landlock::{
    ABI, Access, AccessFs, LandlockStatus, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus,
    Scope, path_beneath_rules,
};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, remove_capability_from_bounding_set, set_capabilities,
};
use serde::{Deserialize, Serialize};
use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

/// The newest version of Landlock that this was tried with. What an older kernel does not have of it is left out.
const TRIED: ABI = ABI::V7;
/// The most places that one folder is opened as, because something in it is closed.
const MAX_PLACES: usize = 10_000;

/// What programs need on any machine: themselves and their libraries, what the kernel says, certificates and the names of hosts.
const SYSTEM: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/opt",
    "/nix/store",
    "/snap",
    "/proc",
    "/sys",
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/ca-certificates.conf",
    "/etc/crypto-policies",
    "/etc/gai.conf",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
    "/etc/machine-id",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/pki",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl",
    "/etc/timezone",
    "/var/lib/ca-certificates",
];
/// Devices that hold nothing.
const DEVICES: &[&str] =
    &["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/tty", "/dev/ptmx", "/dev/pts"];

/// What a program may reach besides what every program needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Confinement {
    /// What it may read and execute.
    pub read: Vec<PathBuf>,
    /// The same, wherever it lies.
    #[serde(default)]
    pub own: Vec<PathBuf>,
    /// What it may change as well.
    pub write: Vec<PathBuf>,
    /// What it may not reach although it lies in one of the folders that it may read.
    pub closed: Vec<PathBuf>,
}

/// How far a program is confined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Confined {
    /// The kernel has all that is asked of it, or a part; its version of Landlock says which.
    Landlock {
        /// The version.
        abi: String,
        /// Whether it is all.
        whole: bool,
    },
    /// The kernel has no Landlock, or it is turned off.
    No,
}

impl fmt::Display for Confined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Landlock { abi, whole: true } => write!(f, "confined by Landlock (ABI {abi})"),
            Self::Landlock { abi, whole: false } => {
                write!(
                    f,
                    "confined in part: this kernel's Landlock is ABI {abi}, and {TRIED} has all that is asked of it"
                )
            }
            Self::No => f.write_str("not confined: this kernel has no Landlock"),
        }
    }
}

impl Confinement {
    /// For a program without a run, such as the engine that is asked for its version.
    pub(crate) fn of_program(program: &Path, environment: &Environment, around: &Around) -> Self {
        let mut read = around.readable.clone();
        read.extend([program.to_owned()]);
        read.extend(environment.path());
        read.extend(environment.named_files());
        Self { read, closed: around.closed.clone(), ..Self::default() }
    }

    /// For the steps of a run: its own folder, but for what Asgard keeps in it.
    pub(crate) fn of_run(program: &Path, environment: &Environment, around: &Around, layout: &Layout) -> Self {
        let mut this = Self::of_program(program, environment, around);
        this.own.push(layout.cli_config());
        this.write.extend([layout.module(), layout.home(), layout.tmp()]);
        this
    }

    /// Gives up everything else, for this process and what it becomes and starts. It cannot be undone.
    pub(crate) fn enforce(&self) -> Result<Confined, RulesetError> {
        give_up_powers();
        let devices = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::ReadDir | AccessFs::IoctlDev;
        let done = Ruleset::default()
            .handle_access(AccessFs::from_all(TRIED))?
            .scope(Scope::from_all(TRIED))?
            .create()?
            .add_rules(path_beneath_rules(self.readable(), AccessFs::from_read(TRIED)))?
            .add_rules(path_beneath_rules(&self.own, AccessFs::from_read(TRIED)))?
            .add_rules(path_beneath_rules(&self.write, AccessFs::from_all(TRIED)))?
            .add_rules(path_beneath_rules(DEVICES, devices))?
            .restrict_self()?;
        Ok(match (done.landlock, done.ruleset) {
            (LandlockStatus::Available { effective_abi, .. }, RulesetStatus::FullyEnforced) => {
                Confined::Landlock { abi: effective_abi.to_string(), whole: true }
            }
            (LandlockStatus::Available { effective_abi, .. }, RulesetStatus::PartiallyEnforced) => {
                Confined::Landlock { abi: effective_abi.to_string(), whole: false }
            }
            (LandlockStatus::Available { .. }, RulesetStatus::NotEnforced)
            | (LandlockStatus::NotEnabled | LandlockStatus::NotImplemented, _) => Confined::No,
        })
    }

    fn readable(&self) -> Vec<PathBuf> {
        let closed: Vec<PathBuf> = self.closed.iter().map(|path| in_full(path)).collect();
        let mut places = Vec::new();
        for path in SYSTEM.iter().map(Path::new).chain(self.read.iter().map(PathBuf::as_path)) {
            open(path, &closed, &mut places);
        }
        places
    }
}

/// The powers of root with which files, memory and environment of others can be reached whatever else is closed.
const POWERS: [CapabilitySet; 11] = [
    CapabilitySet::SYS_PTRACE,
    CapabilitySet::PERFMON,
    CapabilitySet::SYS_ADMIN,
    CapabilitySet::BPF,
    CapabilitySet::SYS_RAWIO,
    CapabilitySet::SYS_MODULE,
    CapabilitySet::MKNOD,
    CapabilitySet::DAC_READ_SEARCH,
    CapabilitySet::CHECKPOINT_RESTORE,
    CapabilitySet::SYSLOG,
    CapabilitySet::SYS_BOOT,
];

/// Gives them up, where this process has any. Another user than root has none, and may not change what it could get.
fn give_up_powers() {
    for power in POWERS {
        // A kernel that does not know one has nobody who has it.
        let _ = remove_capability_from_bounding_set(power);
    }
    let Ok(have) = capabilities(None) else { return };
    let keeps = POWERS.into_iter().fold(CapabilitySet::all(), |keeps, power| keeps - power);
    let sets = CapabilitySets {
        effective: have.effective & keeps,
        permitted: have.permitted & keeps,
        inheritable: have.inheritable & keeps,
    };
    // Less is always allowed.
    let _ = set_capabilities(None, sets);
}

/// What is the same for all programs of a supervisor.
#[derive(Clone, Debug, Default)]
pub(super) struct Around {
    /// Folders and files that every module may read.
    pub readable: Vec<PathBuf>,
    /// What no module may reach, wherever it lies.
    pub closed: Vec<PathBuf>,
}

/// A path without links, as far as it is there.
fn in_full(path: &Path) -> PathBuf {
    fs::canonicalize(path).or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned())
}

/// Opens a folder, or what is in it when something of it is closed.
fn open(path: &Path, closed: &[PathBuf], places: &mut Vec<PathBuf>) {
    let Ok(path) = fs::canonicalize(path) else { return };
    if places.len() >= MAX_PLACES || closed.iter().any(|closed| path.starts_with(closed)) {
        return;
    }
    if !closed.iter().any(|closed| closed.starts_with(&path)) {
        return places.push(path);
    }
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        // What a link leads to is open where that is.
        if entry.file_type().is_ok_and(|kind| !kind.is_symlink()) {
            open(&entry.path(), closed, places);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::testkit, *};

    #[test]
    fn what_is_closed_stays_closed_inside_what_is_open() {
        let folder = testkit::folder();
        let root = folder.path().canonicalize().unwrap();
        let path = |name: &str| root.join(name);
        for name in ["bin", "etc/asgard", "data"] {
            fs::create_dir_all(path(name)).unwrap();
        }
        for name in ["bin/tool", "etc/asgard/asgard.yaml", "etc/hosts", "data/asgard.db", "data/asgard.db.key"] {
            fs::write(path(name), "").unwrap();
        }
        std::os::unix::fs::symlink(path("data"), path("etc/link")).unwrap();
        std::os::unix::fs::symlink(&root, path("etc/asgard/again")).unwrap();
        let mut places = Vec::new();
        let closed = [path("etc/asgard/asgard.yaml"), path("data/asgard.db"), path("data/asgard.db.key"), path("work")];
        open(&root, &closed, &mut places);
        places.sort();
        assert_eq!(places, [path("bin"), path("etc/hosts")]);
        places.clear();
        open(&path("data/asgard.db"), &closed, &mut places);
        open(&path("not/there"), &closed, &mut places);
        assert!(places.is_empty());
    }
}
