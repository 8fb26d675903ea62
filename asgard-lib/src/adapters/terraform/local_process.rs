//! Supervisors as processes of this host. Each is this very program with another verb, in a process group of its own, so
//! that it outlives the process that started it.

use super::{
    environment, place, processes, salvage,
    workdir::{self, Layout},
};
use crate::{
    config::Environment,
    error::{Code, Error, Result},
    kernel::{RunId, SecretText, Timestamp},
    ports::runner::{Liveness, Runner, Salvage, SupervisorLocation},
};
use async_trait::async_trait;
use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read, Seek, SeekFrom},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{io::AsyncWriteExt, process::Command, time::Instant};

/// The most that a supervisor's own log grows to; past it, it starts again.
const LOG: u64 = 4 << 20;
/// How much of a failed supervisor's log is told.
const TOLD: i64 = 2000;
/// The exit code of an Asgard that could not reach its database, or was refused a connection.
const UNREACHABLE: i32 = 3;
/// What is said of a run whose supervisors reach no database.
const OUTAGE: &str = "The run's supervisor cannot reach the database, or is refused a connection.";

/// How supervisors are started.
#[derive(Clone)]
pub struct LocalProcessOptions {
    program: PathBuf,
    args: Vec<OsString>,
    environment: Vec<(String, SecretText)>,
    work_dir: PathBuf,
    concurrency: usize,
    by_pipe: bool,
}

crate::kernel::opaque!(LocalProcessOptions);

impl LocalProcessOptions {
    /// Starts `program` with the run's id as its last argument; runs work in `work_dir`.
    pub fn new(program: impl Into<PathBuf>, work_dir: impl Into<PathBuf>) -> Self {
        let (program, work_dir) = (program.into(), work_dir.into());
        Self { program, args: Vec::new(), environment: Vec::new(), work_dir, concurrency: 4, by_pipe: false }
    }

    /// The arguments before the run's id, for example `--config`, a path, `run`.
    #[must_use]
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args = args.into_iter().map(Into::into).collect();
        self
    }

    /// The environment to choose from. A supervisor opens the same database, so it gets Asgard's settings; of the rest it
    /// gets what it hands on to Terraform.
    #[must_use]
    pub fn environment(mut self, variables: impl IntoIterator<Item = (String, SecretText)>) -> Self {
        self.environment = variables.into_iter().filter(|(name, _)| environment::supervisor_needs(name)).collect();
        self
    }

    /// Gives settings and credentials through a pipe, its standard input, which it reads with
    /// [`Environment::from_process_and_pipe`](crate::config::Environment::from_process_and_pipe). Without this they are in its
    /// environment, where a Terraform of the same user may read them while it starts.
    #[must_use]
    pub fn settings_by_pipe(mut self, by_pipe: bool) -> Self {
        self.by_pipe = by_pipe;
        self
    }

    /// How many supervisors this process has at a time.
    #[must_use]
    pub fn concurrency(mut self, concurrency: usize) -> Self {
        self.concurrency = concurrency.max(1);
        self
    }
}

/// Starts supervisors on this host.
pub struct LocalProcess {
    options: LocalProcessOptions,
    /// Since when.
    running: Arc<Mutex<BTreeMap<RunId, Instant>>>,
    /// Runs whose last supervisor ended without having reached the database.
    shut_out: Arc<Mutex<BTreeSet<RunId>>>,
}

crate::kernel::opaque!(LocalProcess);

impl LocalProcess {
    /// A runner with the given options.
    pub fn new(options: LocalProcessOptions) -> Arc<Self> {
        Arc::new(Self { options, running: Arc::default(), shut_out: Arc::default() })
    }

    fn layout(&self, run: &RunId) -> Result<Layout> {
        Ok(Layout::new(&workdir::parent(&self.options.work_dir)?, run))
    }

    /// Takes a place for a run, or says for how long it has had one.
    fn take_place(&self, run: &RunId) -> Result<Option<Duration>> {
        let mut running = lock(&self.running);
        if let Some(since) = running.get(run) {
            return Ok(Some(since.elapsed()));
        }
        if running.len() >= self.options.concurrency {
            let message = format!("{} runs are being carried out here already; this one waits.", running.len());
            return Err(Error::new(Code::QuotaReached, message).retry_after(2));
        }
        running.insert(run.clone(), Instant::now());
        Ok(None)
    }

    fn start(&self, run: &RunId) -> Result<(tokio::process::Child, PathBuf)> {
        let log = log_file(&workdir::parent(&self.options.work_dir)?, run);
        let failed = |error: std::io::Error| {
            Error::new(Code::RunnerFailed, "The run's supervisor could not be started.").caused_by(error)
        };
        // A log that is there is of an earlier start of the same run; nothing in it is needed any more.
        match fs::remove_file(&log) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
            Ok(()) | Err(_) => {}
        }
        let out = OpenOptions::new().append(true).create_new(true).mode(0o600).open(&log).map_err(failed)?;
        let mut command = Command::new(&self.options.program);
        command.args(&self.options.args).arg(run.as_str());
        command.env_clear();
        let by_pipe = self.options.by_pipe;
        for (name, value) in
            self.options.environment.iter().filter(|(name, _)| !by_pipe || environment::may_be_seen(name))
        {
            command.env(name, value.reveal());
        }
        command.stdin(if by_pipe { Stdio::piped() } else { Stdio::null() });
        command.stdout(out.try_clone().map_err(failed)?).stderr(out).process_group(0);
        Ok((command.spawn().map_err(failed)?, log))
    }
}

#[async_trait]
impl Runner for LocalProcess {
    fn name(&self) -> &'static str {
        "local-process"
    }

    async fn launch(&self, run: &RunId) -> Result<()> {
        let outage = || Err(Error::new(Code::RunnerUnavailable, OUTAGE).retry_after(10));
        match self.take_place(run)? {
            None => {}
            Some(since) if since < self.claim_within() => return Ok(()),
            // It is there, and had time to claim the run: it waits for the database.
            Some(_) => return outage(),
        }
        let place = Place { running: Arc::clone(&self.running), run: run.clone() };
        let (mut child, log) = self.start(run)?;
        let settings = child.stdin.take().map(|stdin| {
            let given = self.options.environment.iter().filter(|(name, _)| !environment::may_be_seen(name));
            (stdin, Environment::to_pipe(given.map(|(name, value)| (name.as_str(), value))))
        });
        let shut_out = Arc::clone(&self.shut_out);
        let again = lock(&shut_out).remove(run);
        // Waiting for it reaps it; it goes on when this process ends first.
        tokio::spawn(async move {
            if let Some((mut stdin, settings)) = settings
                && let Err(error) = stdin.write_all(&settings).await
            {
                tracing::error!(run.id = %place.run, "a supervisor did not take its settings: {error}");
            }
            match child.wait().await {
                Ok(status) => {
                    if status.code() == Some(UNREACHABLE) {
                        lock(&shut_out).insert(place.run.clone());
                    }
                    ended(&place.run, status, &log);
                }
                Err(error) => tracing::error!(run.id = %place.run, "a supervisor cannot be waited for: {error}"),
            }
        });
        // Another try at what is an outage of something else does not count against the run.
        if again { outage() } else { Ok(()) }
    }

    async fn why_unclaimed(&self, run: &RunId) -> Option<String> {
        lock(&self.shut_out).contains(run).then(|| OUTAGE.to_owned())
    }

    async fn probe(&self, place: &SupervisorLocation, _now: Timestamp) -> Liveness {
        let Ok(parent) = workdir::parent(&self.options.work_dir) else { return Liveness::Unknown };
        match place::look(place, &parent) {
            place::Sight::Alive => return Liveness::Alive,
            place::Sight::Unclear => return Liveness::Unknown,
            place::Sight::Gone => {}
        }
        for layout in folders(&parent).map(|run| Layout::new(&parent, &run)) {
            let its_own = layout.facts().is_some_and(|facts| facts.supervisor == *place);
            if its_own && !processes::end_left_over(&layout, salvage::patience(&layout)).await {
                return Liveness::Alive;
            }
        }
        Liveness::Dead
    }

    async fn salvage(&self, run: &RunId, _place: Option<&SupervisorLocation>) -> Result<Salvage> {
        let layout = self.layout(run)?;
        if layout.root().exists() { salvage::salvage(&layout).await } else { Ok(Salvage::default()) }
    }

    async fn clean(&self, run: &RunId) -> Result<()> {
        lock(&self.shut_out).remove(run);
        let parent = workdir::parent(&self.options.work_dir)?;
        let layout = Layout::new(&parent, run);
        if layout.facts().is_some_and(|facts| place::look(&facts.supervisor, &parent) == place::Sight::Alive) {
            // It removes its folder itself, a moment after its last commit.
            return Ok(());
        }
        if layout.root().exists() && !processes::kill_all(&layout).await {
            let message = format!("Processes of run {run} are still there and cannot be ended.");
            return Err(Error::new(Code::RunnerFailed, message));
        }
        let log = log_file(&parent, run);
        let removed = workdir::remove(&layout).and_then(|()| match fs::remove_file(&log) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => other,
        });
        removed.map_err(|error| Error::new(Code::RunnerFailed, "A run's folder cannot be removed.").caused_by(error))
    }

    async fn set_aside(&self, run: &RunId) -> Result<Option<String>> {
        let layout = self.layout(run)?;
        let failed = |error: std::io::Error| {
            Error::new(Code::RunnerFailed, "A run's folder cannot be kept aside.").caused_by(error)
        };
        if !layout.root().exists() {
            return Ok(None);
        }
        let kept = layout.root().with_file_name(format!("kept-{run}"));
        fs::rename(layout.root(), &kept).map_err(failed)?;
        Ok(Some(kept.display().to_string()))
    }

    async fn left_over(&self) -> Result<Vec<RunId>> {
        let parent = workdir::parent(&self.options.work_dir)?;
        let runs: BTreeSet<RunId> = folders(&parent).chain(logs(&parent)).collect();
        let running = lock(&self.running);
        Ok(runs.into_iter().filter(|run| !running.contains_key(run)).collect())
    }
}

fn lock<T>(runs: &Mutex<T>) -> MutexGuard<'_, T> {
    runs.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A run's place among those that are carried out; given back when dropped.
struct Place {
    running: Arc<Mutex<BTreeMap<RunId, Instant>>>,
    run: RunId,
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.running).remove(&self.run);
    }
}

fn ended(run: &RunId, status: ExitStatus, log: &Path) {
    if status.success() {
        tracing::debug!(run.id = %run, "a supervisor ended");
    } else {
        tracing::warn!(run.id = %run, supervisor.log = end_of(log), "a supervisor ended badly: {status}");
    }
    if let Err(error) = fs::remove_file(log)
        && error.kind() != ErrorKind::NotFound
    {
        tracing::warn!(run.id = %run, "a supervisor's log cannot be removed: {error}");
    }
}

/// The last lines of a log.
fn end_of(log: &Path) -> String {
    let read = |mut file: File| {
        let mut bytes = Vec::new();
        // Shorter logs are read from their beginning.
        if file.seek(SeekFrom::End(-TOLD)).is_err() {
            file.rewind()?;
        }
        file.take(TOLD.unsigned_abs()).read_to_end(&mut bytes).map(|_| String::from_utf8_lossy(&bytes).into_owned())
    };
    File::open(log).and_then(read).unwrap_or_else(|error| format!("(it cannot be read: {error})"))
}

fn log_file(parent: &Path, run: &RunId) -> PathBuf {
    parent.join(format!("{run}.log"))
}

/// Starts a supervisor's own log again when it has grown too long. It is written at its end, wherever that is.
pub(super) fn bound_log(parent: &Path, run: &RunId) {
    let log = log_file(parent, run);
    if fs::symlink_metadata(&log).is_ok_and(|meta| meta.is_file() && meta.len() > LOG)
        && let Err(error) = OpenOptions::new().write(true).open(&log).and_then(|file| file.set_len(0))
    {
        tracing::warn!(run.id = %run, "a supervisor's log cannot be cut: {error}");
    }
}

fn folders(parent: &Path) -> impl Iterator<Item = RunId> + use<> {
    entries(parent).filter_map(|(name, is_folder)| is_folder.then(|| name.parse().ok()).flatten())
}

fn logs(parent: &Path) -> impl Iterator<Item = RunId> + use<> {
    entries(parent).filter_map(|(name, is_folder)| name.strip_suffix(".log").filter(|_| !is_folder)?.parse().ok())
}

fn entries(parent: &Path) -> impl Iterator<Item = (String, bool)> + use<> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.file_type().ok()?.is_dir())))
}

#[cfg(test)]
mod tests;
