//! A run's private folder. Plans, states and variables hold secrets and Terraform writes them readable for everybody, so
//! the folder is closed to others. It is removed when the run is over and everything in it was stored, and only then.

use super::{confine::Confined, place};
use crate::{
    domain::run::Inventory,
    error::{Code, Error, Result},
    kernel::RunId,
    ports::runner::SupervisorLocation,
};
use rustix::{fs::statvfs, process::geteuid};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Component, Path, PathBuf},
};

/// The setting that names the parent folder.
pub(super) const SETTING: &str = "provisioning.terraform.work_dir";
/// Files of a module's folder that Asgard writes itself; a module that brings one would change what was asked for.
const OURS: &[&str] = &[STATE, "errored.tfstate", PLAN, BACKEND];
const STATE: &str = "terraform.tfstate";
const PLAN: &str = "asgard.tfplan";
const BACKEND: &str = "zz_asgard_override.tf.json";
/// How long the path of a folder may be in which providers open their sockets; the system allows 108 bytes in all.
const SOCKET_ROOM: usize = 80;
/// The dependency lock file.
pub(super) const LOCK: &str = ".terraform.lock.hcl";

/// Where things are in a run's folder.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    root: PathBuf,
}

/// Who works in the folder, kept in it so that others can find out after a crash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RunFacts {
    /// The supervisor.
    pub supervisor: SupervisorLocation,
    /// How long Terraform gets to stop, in seconds.
    pub grace_secs: u64,
}

/// The Terraform process that runs, or ran last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ChildFacts {
    /// Its id, and its process group's.
    pub pid: u32,
    /// When it started, in clock ticks since boot.
    pub started: u64,
    /// The boot.
    pub boot: String,
    /// What it does: `init`, `plan`, `apply`.
    pub step: String,
    /// The guard on which its life hangs, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<GuardFacts>,
}

/// The guard of a Terraform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct GuardFacts {
    /// Its id.
    pub pid: u32,
    /// When it started, in clock ticks since boot.
    pub started: u64,
}

impl Layout {
    pub(crate) fn new(parent: &Path, run: &RunId) -> Self {
        Self::at(parent.join(run.as_str()))
    }
    /// That of the run's folder itself.
    pub(crate) const fn at(root: PathBuf) -> Self {
        Self { root }
    }
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }
    pub(crate) fn name(&self) -> &str {
        self.root.file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }
    /// Where Terraform runs: the module's files, the variables, the state.
    pub(crate) fn module(&self) -> PathBuf {
        self.root.join("module")
    }
    pub(crate) fn home(&self) -> PathBuf {
        self.root.join("home")
    }
    pub(crate) fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }
    pub(crate) fn cli_config(&self) -> PathBuf {
        self.root.join("terraform.rc")
    }
    pub(crate) fn state(&self) -> PathBuf {
        self.module().join(STATE)
    }
    /// Where Terraform puts a state that it could not write to its place.
    pub(crate) fn errored_state(&self) -> PathBuf {
        self.module().join("errored.tfstate")
    }
    pub(crate) fn plan(&self) -> PathBuf {
        self.module().join(PLAN)
    }
    pub(crate) fn stdout(&self, step: &str) -> PathBuf {
        self.root.join(format!("{step}.out"))
    }
    pub(crate) fn stderr(&self, step: &str) -> PathBuf {
        self.root.join(format!("{step}.err"))
    }
    /// Where a step's stage notes how far it is confined.
    pub(crate) fn confined(&self, step: &str) -> PathBuf {
        self.root.join(format!("{step}.confined"))
    }
    /// How far a step is confined; nothing when no stage said.
    pub(crate) fn confinement(&self, step: &str) -> Option<Confined> {
        self.read(&format!("{step}.confined"))
    }
    pub(crate) fn facts(&self) -> Option<RunFacts> {
        self.read("run.json")
    }
    /// What was in the state that the run began with, where there was one.
    pub(crate) fn began_with(&self) -> Option<Inventory> {
        self.read("began.json")
    }
    pub(crate) fn note_beginning(&self, inventory: &Inventory) -> Result<()> {
        self.write("began.json", inventory)
    }
    pub(crate) fn child(&self) -> Option<ChildFacts> {
        self.read("child.json")
    }
    pub(crate) fn note_child(&self, child: &ChildFacts) -> Result<()> {
        self.write("child.json", child)
    }
    /// How many bytes of a step's output have reached the store as lines of the log.
    pub(crate) fn logged(&self, step: &str) -> u64 {
        self.read(&format!("{step}.logged")).unwrap_or(0)
    }
    pub(crate) fn note_logged(&self, step: &str, bytes: u64) -> Result<()> {
        self.write(&format!("{step}.logged"), &bytes)
    }

    /// Whether Terraform has said that it was interrupted.
    pub(crate) fn was_interrupted(&self, step: &str) -> bool {
        const SAID: &[u8] = b"Interrupt received";
        fs::read(self.stdout(step)).is_ok_and(|output| output.windows(SAID.len()).any(|window| window == SAID))
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_slice(&fs::read(self.root.join(name)).ok()?).ok()
    }

    /// Written beside its place and moved there, so that a reader never sees half of it.
    fn write<T: Serialize>(&self, name: &str, value: &T) -> Result<()> {
        let bytes = serde_json::to_vec(value).map_err(Error::bug)?;
        let fresh = self.root.join(format!("{name}.new"));
        let written = File::create(&fresh).and_then(|mut file| file.write_all(&bytes));
        written.and_then(|()| fs::rename(&fresh, self.root.join(name))).map_err(|error| failed(&self.root, error))
    }
}

/// A run's folder while its supervisor works. It stays where it is until [`WorkDir::remove`]: when a supervisor is torn
/// down, the folder may hold a state that was not stored yet.
pub(super) struct WorkDir {
    layout: Layout,
}

impl WorkDir {
    /// Makes the folder. It must not exist: what an earlier supervisor left behind is looked at first.
    pub(crate) fn create(parent: &Path, run: &RunId, facts: &RunFacts, min_free_bytes: u64) -> Result<Self> {
        free(parent, min_free_bytes)?;
        let layout = Layout::new(parent, run);
        private_folder(&layout.root).map_err(|error| failed(&layout.root, error))?;
        let this = Self { layout };
        if this.layout.tmp().as_os_str().len() > SOCKET_ROOM {
            tracing::warn!(
                run.id = this.layout.name(),
                "the work folder's path is long; providers' sockets may not fit"
            );
        }
        for folder in [this.layout.module(), this.layout.home(), this.layout.tmp()] {
            private_folder(&folder).map_err(|error| failed(&folder, error))?;
        }
        this.layout.write("run.json", facts)?;
        Ok(this)
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Removes the folder: everything in it was stored. What cannot be removed is found again by the next sweep.
    pub(crate) fn remove(self) {
        if let Err(error) = remove(&self.layout) {
            tracing::error!(run.id = self.layout.name(), "a run's folder cannot be removed: {error}");
        }
    }

    /// Writes the module's files.
    pub(crate) fn put_module<'a>(&self, files: impl IntoIterator<Item = (&'a String, &'a Vec<u8>)>) -> Result<()> {
        let module = self.layout.module();
        for (name, bytes) in files {
            let relative = Path::new(name);
            let inside = relative.components().all(|part| matches!(part, Component::Normal(_)));
            if name.is_empty() || name.contains('\0') || !inside {
                return Err(refused(name, "is not a path inside the module"));
            }
            if OURS.contains(&name.as_str()) || name.ends_with(".tfvars") || name.ends_with(".tfvars.json") {
                return Err(refused(name, "is written by Asgard"));
            }
            if relative.components().any(|part| part.as_os_str() == ".terraform") {
                return Err(refused(name, "belongs to a folder that only `terraform init` fills"));
            }
            let mut folder = module.clone();
            for part in relative.parent().into_iter().flat_map(Path::components) {
                folder.push(part);
                match private_folder(&folder) {
                    Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(failed(&folder, error)),
                    Ok(()) | Err(_) => {}
                }
            }
            put(&module.join(relative), bytes)?;
        }
        // State belongs in the folder, whatever backend the module was written for.
        put(&module.join(BACKEND), br#"{"terraform":{"backend":{"local":{}}}}"#)
    }

    /// Writes the variables.
    pub(crate) fn put_variables(&self, variables: &serde_json::Map<String, serde_json::Value>) -> Result<()> {
        let bytes = zeroize::Zeroizing::new(serde_json::to_vec(variables).map_err(Error::bug)?);
        put(&self.layout.module().join("terraform.tfvars.json"), &bytes)
    }

    /// Writes the state exactly as it was stored; a plan fits only the state that it was made from.
    pub(crate) fn put_state(&self, state: &[u8]) -> Result<()> {
        self.layout.note_beginning(&Inventory::of(state))?;
        put(&self.layout.state(), state)
    }

    /// Writes the plan and the lock file it was made with.
    pub(crate) fn put_plan(&self, plan: &[u8], lock: Option<&[u8]>) -> Result<()> {
        if let Some(lock) = lock {
            self.put_lock(lock)?;
        }
        put(&self.layout.plan(), plan)
    }

    /// Writes a lock file, whatever the module brought.
    pub(crate) fn put_lock(&self, lock: &[u8]) -> Result<()> {
        self.remove_lock()?;
        put(&self.layout.module().join(LOCK), lock)
    }

    /// Removes the lock file, so that providers are chosen anew.
    pub(crate) fn remove_lock(&self) -> Result<()> {
        let path = self.layout.module().join(LOCK);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed(&path, error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// The lock file; the module may have brought it, and otherwise `init` wrote it. Without providers there is none.
    pub(crate) fn lock(&self) -> Result<Option<Vec<u8>>> {
        let path = self.layout.module().join(LOCK);
        match fs::read(&path) {
            Ok(lock) => Ok(Some(lock)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(&path, error)),
        }
    }

    /// Writes Terraform's own settings: where providers come from, and nothing else.
    pub(crate) fn put_cli_config(&self, mirror: Option<&Path>) -> Result<()> {
        let text = mirror.map_or_else(String::new, |mirror| {
            let path = serde_json::Value::from(mirror.to_string_lossy().into_owned()).to_string();
            let path = path.replace("${", "$${").replace("%{", "%%{");
            format!("provider_installation {{\n  filesystem_mirror {{\n    path = {path}\n  }}\n}}\n")
        });
        put(&self.layout.cli_config(), text.as_bytes())
    }
}

/// Whether the disk has room for a run.
pub(super) fn free(parent: &Path, min_free_bytes: u64) -> Result<()> {
    let free = statvfs(parent).map(|stat| stat.f_bavail.saturating_mul(stat.f_frsize));
    let free = free.map_err(|error| failed(parent, error.into()))?;
    if free < min_free_bytes {
        let message =
            format!("The work folder's disk has {} MB left; a run needs {} MB.", free >> 20, min_free_bytes >> 20);
        return Err(Error::new(Code::RunnerFailed, message).at(SETTING).caused_by(parent.display().to_string()));
    }
    Ok(())
}

/// Removes a run's folder; removing nothing is fine.
pub(super) fn remove(layout: &Layout) -> std::io::Result<()> {
    match fs::remove_dir_all(&layout.root) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// The folder of providers in full: Terraform looks for it from a run's own folder, and one that is not there would only be
/// a provider that cannot be found.
pub(super) fn mirror(folder: &Path) -> Result<PathBuf> {
    let shown = folder.display();
    let refuse = |why: String| {
        let message = format!("The folder of providers {shown} {why}");
        Error::new(Code::Config, message).at("provisioning.terraform.provider_mirror")
    };
    let full = fs::canonicalize(folder).map_err(|error| refuse(format!("cannot be used: {error}.")))?;
    if full.is_dir() { Ok(full) } else { Err(refuse("is not a folder.".to_owned())) }
}

/// The folder that holds the runs' folders: made if it is not there, refused if others could reach into it.
pub(super) fn parent(work_dir: &Path) -> Result<PathBuf> {
    let shown = work_dir.display();
    let refuse = |why: String| Err(Error::new(Code::Config, format!("The work folder {shown} {why}")).at(SETTING));
    let made = DirBuilder::new().recursive(true).mode(0o700).create(work_dir);
    let looked =
        made.and_then(|()| fs::symlink_metadata(work_dir)).and_then(|link| Ok((link, fs::metadata(work_dir)?)));
    let (link, folder) = match looked {
        Ok(looked) => looked,
        Err(error) => return refuse(format!("cannot be used: {error}.")),
    };
    let me = geteuid().as_raw();
    if link.is_symlink() && link.uid() != me && link.uid() != 0 {
        return refuse(format!("is a link that user {} made; Asgard runs as user {me}.", link.uid()));
    }
    let open_to_others = folder.mode() & 0o022 != 0;
    let sticky = folder.mode() & 0o1000 != 0;
    // A folder such as /tmp belongs to root and keeps everybody's entries apart.
    if folder.uid() != me && !(folder.uid() == 0 && sticky) {
        return refuse(format!(
            "belongs to user {}; Asgard runs as user {me}. Name a folder of its own.",
            folder.uid()
        ));
    }
    if open_to_others && !sticky {
        return refuse(format!("can be written to by others (mode {:o}). Make it 0700.", folder.mode() & 0o7777));
    }
    fs::canonicalize(work_dir).or_else(|error| refuse(format!("cannot be used: {error}.")))
}

pub(super) fn private_folder(path: &Path) -> std::io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(bytes)).map_err(|error| failed(path, error))
}

/// A file for a child's output.
pub(super) fn output_file(path: &Path) -> Result<File> {
    let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path);
    file.map_err(|error| failed(path, error))
}

fn failed(path: &Path, error: std::io::Error) -> Error {
    let message = match error.kind() {
        ErrorKind::StorageFull => "The work folder's disk is full.",
        _ => "The run's work folder cannot be written.",
    };
    Error::new(Code::RunnerFailed, message).caused_by(format!("{}: {error}", path.display()))
}

fn refused(name: &str, why: &str) -> Error {
    let name: String = name.chars().filter(|c| !c.is_control()).take(100).collect();
    Error::new(Code::InvalidInput, format!("The module's file `{name}` {why}; take it out of the module."))
}

/// The facts of this supervisor, which works in that folder.
pub(super) fn facts(parent: &Path, grace_secs: u64) -> RunFacts {
    RunFacts { supervisor: place::here(parent), grace_secs }
}

#[cfg(test)]
mod tests;
