//! A function as a process of its own, started as Lambda starts it, and what the kernel counts of it.

use crate::api::{Api, Heard};
use serde_json::Value;
use std::{
    fs::{self, File},
    io,
    path::Path,
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

/// How long a function may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often is looked whether the function still runs.
const LOOK: Duration = Duration::from_millis(50);
/// For how long the count of a process at rest stays the same.
const REST: Duration = Duration::from_millis(3);

/// What a start or a call took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    pub(crate) wall: Duration,
    /// On-CPU time of all threads.
    pub(crate) cpu: Duration,
}

/// A started function that waits for an event.
pub(crate) struct Function<'a> {
    child: Child,
    api: Api,
    next: Option<Heard>,
    log: &'a Path,
    cpu: Duration,
}

/// It ends with its handle: Lambda freezes and ends functions without asking them, too.
impl Drop for Function<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl<'a> Function<'a> {
    /// Starts a function, until it asks for its first event.
    pub(crate) fn start(program: &Path, environment: &[(String, String)], log: &'a Path) -> io::Result<(Self, Cost)> {
        let api = Api::open()?;
        let out = File::create(log)?;
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", &api.address)
            .env("AWS_LAMBDA_FUNCTION_NAME", "cold")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512")
            .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdout(out.try_clone()?)
            .stderr(out);
        let began = Instant::now();
        let child = command.spawn()?;
        let mut function = Self { child, api, next: None, log, cpu: Duration::ZERO };
        let ready = function.hear("invocation/next")?;
        let wall = ready.at.saturating_duration_since(began);
        function.next = Some(ready);
        let cpu = function.spent()?;
        Ok((function, Cost { wall, cpu }))
    }

    /// Has the function answer one event, from the moment that it is handed over until its answer is there.
    pub(crate) fn call(&mut self, event: &Value) -> io::Result<(Cost, Value)> {
        let next = self.next.take().ok_or_else(|| io::Error::other("the function is not waiting for an event"))?;
        let began = Instant::now();
        self.api.invoke(next, event)?;
        let answered = self.hear("invocation/")?;
        let wall = answered.at.saturating_duration_since(began);
        if !answered.what().ends_with("/response") {
            let body = String::from_utf8_lossy(&answered.body).into_owned();
            return Err(self.told(&format!("answered {} with {body}", answered.what())));
        }
        let answer = serde_json::from_slice(&answered.body).map_err(io::Error::other)?;
        answered.accept()?;
        self.next = Some(self.hear("invocation/next")?);
        let cpu = self.spent()?;
        Ok((Cost { wall, cpu }, answer))
    }

    /// The most memory that it ever had, in MB (10^6 bytes).
    pub(crate) fn peak_mb(&self) -> io::Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.split_whitespace().next()).and_then(|n| n.parse::<f64>().ok());
        kib.map(|kib| kib * 1024.0 / 1e6).ok_or_else(|| io::Error::other("the kernel does not say VmHWM"))
    }

    /// The next request, which has to be that one.
    fn hear(&mut self, wanted: &str) -> io::Result<Heard> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.api.hear(LOOK)? {
                Some(heard) if heard.what().starts_with(wanted) => return Ok(heard),
                Some(heard) => {
                    let body = String::from_utf8_lossy(&heard.body).into_owned();
                    return Err(self.told(&format!("asked for {} with {body}", heard.path)));
                }
                None => {}
            }
            if let Some(ended) = self.child.try_wait()? {
                return Err(self.told(&format!("ended with {ended}")));
            }
            if Instant::now() > until {
                return Err(self.told(&format!("did not ask for {wanted} within {} s", PATIENCE.as_secs())));
            }
        }
    }

    fn told(&self, what: &str) -> io::Error {
        let log = fs::read_to_string(self.log).unwrap_or_default();
        io::Error::other(format!("the function {what}; its log:\n{log}"))
    }

    /// What it was on a CPU for since the last time this was asked. The kernel counts a thread when it stops running, and
    /// this one has a few steps left after it has asked for an event; so the count has to rest.
    fn spent(&mut self) -> io::Result<Duration> {
        let mut total = self.counted()?;
        loop {
            thread::sleep(REST);
            let again = self.counted()?;
            if again == total {
                break;
            }
            total = again;
        }
        let spent = total.saturating_sub(self.cpu);
        self.cpu = total;
        Ok(spent)
    }

    fn counted(&self) -> io::Result<Duration> {
        let mut nanos = 0u64;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))? {
            // A thread may end between the two looks. Its time is lost then; functions end none that soon.
            let Ok(text) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
            let on_cpu = text.split_whitespace().next().and_then(|n| n.parse::<u64>().ok());
            nanos += on_cpu.ok_or_else(|| io::Error::other("the kernel keeps no schedstat"))?;
        }
        if nanos == 0 {
            return Err(io::Error::other("the kernel keeps no schedstat: every process was on a CPU for some time"));
        }
        Ok(Duration::from_nanos(nanos))
    }
}
