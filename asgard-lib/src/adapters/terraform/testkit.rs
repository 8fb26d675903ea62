//! What the tests of this part share: private folders, scripts that stand in for the engine, and a reporter that remembers.

use super::workdir::Layout;
use crate::{
    domain::run::LogLine,
    error::{Code, Error, Result},
    kernel::Timestamp,
    ports::{
        runner::{Renewal, RunReporter},
        world::{Clock, SystemClock},
    },
};
use async_trait::async_trait;
use std::{
    path::Path,
    process::{Command, Stdio},
    sync::Mutex,
    time::Duration,
};
use tempfile::TempDir;

pub(super) fn folder() -> TempDir {
    tempfile::Builder::new().prefix("asgard-tf").tempdir().unwrap()
}

/// The layout of a run whose folders are there.
pub(super) fn layout(parent: &Path) -> Layout {
    let layout = Layout::new(&parent.canonicalize().unwrap(), &"run_00000000000000000000000001".parse().unwrap());
    for folder in [layout.module(), layout.home(), layout.tmp()] {
        std::fs::create_dir_all(folder).unwrap();
    }
    layout
}

/// Writes a shell script. Another process writes it: a file that this one has open for writing cannot be executed while
/// some other test is between fork and exec.
pub(super) fn script(path: &Path, body: &str) {
    use std::io::Write;
    let mut shell = Command::new("sh")
        .args(["-c", "rm -f \"$0\"; cat >\"$0\" && chmod 700 \"$0\""])
        .arg(path)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    shell.stdin.take().unwrap().write_all(format!("#!/bin/sh\n{body}\n").as_bytes()).unwrap();
    assert!(shell.wait().unwrap().success());
}

#[derive(Default)]
struct Kept {
    states: Vec<Vec<u8>>,
    lines: Vec<LogLine>,
    engine: Option<String>,
    refuse: Option<Code>,
    cancel: bool,
    lost: bool,
    renewed: u32,
    hang: bool,
    slow: Duration,
    renewed_at: Option<Timestamp>,
}

/// A reporter that keeps everything in memory and does as it is told.
pub(super) struct FakeReporter {
    kept: Mutex<Kept>,
    lasts: Duration,
}

impl Default for FakeReporter {
    fn default() -> Self {
        Self::lasting(Duration::from_secs(3600))
    }
}

impl FakeReporter {
    /// A reporter whose lease lasts that long after each renewal.
    pub(crate) fn lasting(lasts: Duration) -> Self {
        let kept = Kept { renewed_at: Some(SystemClock.now()), ..Kept::default() };
        Self { kept: Mutex::new(kept), lasts }
    }
    pub(crate) fn refuse(&self, code: Option<Code>) {
        self.kept.lock().unwrap().refuse = code;
    }
    pub(crate) fn cancel(&self) {
        self.kept.lock().unwrap().cancel = true;
    }
    pub(crate) fn lose(&self) {
        self.kept.lock().unwrap().lost = true;
    }
    /// From now on storing a state takes that long.
    pub(crate) fn slow(&self, slow: Duration) {
        self.kept.lock().unwrap().slow = slow;
    }
    /// From now on renewals never answer.
    pub(crate) fn hang(&self) {
        self.kept.lock().unwrap().hang = true;
    }
    pub(crate) fn renewed(&self) -> u32 {
        self.kept.lock().unwrap().renewed
    }
    pub(crate) fn engine_name(&self) -> Option<String> {
        self.kept.lock().unwrap().engine.clone()
    }
    pub(crate) fn states(&self) -> Vec<Vec<u8>> {
        self.kept.lock().unwrap().states.clone()
    }
    pub(crate) fn serials(&self) -> Vec<u64> {
        self.states().iter().map(|state| super::state::version(state).unwrap().serial).collect()
    }
    pub(crate) fn lines(&self) -> Vec<LogLine> {
        self.kept.lock().unwrap().lines.clone()
    }
    /// The log as one text.
    pub(crate) fn text(&self) -> String {
        self.lines()
            .iter()
            .map(|line| format!("{} {} {}\n", line.kind, line.address.as_deref().unwrap_or("-"), line.message))
            .collect()
    }
    fn check(&self) -> Result<()> {
        match self.kept.lock().unwrap().refuse {
            Some(code) => Err(Error::new(code, "The reporter was told to refuse.")),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl RunReporter for FakeReporter {
    async fn renew(&self) -> Result<Renewal> {
        if self.kept.lock().unwrap().hang {
            std::future::pending::<()>().await;
        }
        let mut kept = self.kept.lock().unwrap();
        kept.renewed += 1;
        if kept.lost {
            return Ok(Renewal::Lost);
        }
        kept.renewed_at = Some(SystemClock.now());
        Ok(Renewal::Held { cancel: kept.cancel })
    }

    fn stop_by(&self) -> Timestamp {
        self.kept.lock().unwrap().renewed_at.unwrap().plus(self.lasts)
    }

    async fn engine(&self, engine: &str, module_digest: &str) -> Result<()> {
        assert!(!module_digest.is_empty());
        self.kept.lock().unwrap().engine = Some(engine.to_owned());
        Ok(())
    }

    async fn applying(&self, _: Option<&[u8]>) -> Result<()> {
        Ok(())
    }

    async fn store_state(&self, state: &[u8]) -> Result<()> {
        self.check()?;
        let slow = self.kept.lock().unwrap().slow;
        tokio::time::sleep(slow).await;
        let version = super::state::version(state).expect("a whole state");
        let mut kept = self.kept.lock().unwrap();
        if let Some(last) = kept.states.last().and_then(|last| super::state::version(last)) {
            assert_eq!(last.lineage, version.lineage);
            assert!(last.serial < version.serial, "serial {} after {}", version.serial, last.serial);
        }
        kept.states.push(state.to_vec());
        Ok(())
    }

    async fn log(&self, lines: Vec<LogLine>) -> Result<()> {
        self.check()?;
        self.kept.lock().unwrap().lines.extend(lines);
        Ok(())
    }
}
