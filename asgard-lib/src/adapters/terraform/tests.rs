//! Whole runs: against scripts that stand in for the engine where it has to misbehave, and against the real one.

use super::{
    SuperviseOptions,
    conduct::{Order, conduct},
    testkit::{self, FakeReporter},
};
use crate::{
    domain::run::RunOp,
    kernel::{RunId, SecretText},
    ports::{runner::RunOutcome, world::World},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

mod crash;
mod fake;
mod mirror;
mod real;
mod whole;

const SECRET: &str = "planted-secret-value";

fn order(op: RunOp, variables: Value) -> Order {
    Order {
        run: run_id(),
        op,
        files: BTreeMap::new(),
        module_digest: "digest".into(),
        outputs: BTreeMap::new(),
        variables: variables.as_object().cloned().unwrap(),
        secrets: vec![SecretText::new(SECRET)],
        state: None,
        lock: None,
        plan: None,
        child_env: vec![("PATH".into(), SecretText::new(path()))],
        timeout: Duration::from_secs(60),
        grace: Duration::from_secs(20),
    }
}

fn run_id() -> RunId {
    World::system().id()
}

#[allow(clippy::disallowed_methods, reason = "tests look for programs where the person who runs them does")]
fn path() -> String {
    std::env::var("PATH").unwrap()
}

fn options(work: &Path, bin: &Path) -> SuperviseOptions {
    let mut options = SuperviseOptions::new(work, bin);
    // The test process is not closed: debuggers and other tests need it.
    options.own_process = false;
    options.min_free_bytes = 1;
    options
}

async fn carry_out(order: &Order, reporter: &FakeReporter, work: &Path, bin: &Path) -> Option<RunOutcome> {
    conduct(order, reporter, &World::system(), &options(work, bin)).await
}

/// Waits until something is so, for at most half a minute.
async fn until(what: &str, mut so: impl FnMut() -> bool) {
    for _ in 0..1500 {
        if so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("waited in vain until {what}");
}

/// What runs left in a work folder.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let all = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| !path.ends_with(super::place::INSTALLATION)).collect()
}

fn describe(ending: &Option<RunOutcome>) -> String {
    match ending {
        None => "lost".into(),
        Some(RunOutcome::Failed { error, may_exist }) => format!("failed: {error} {may_exist:?}"),
        Some(RunOutcome::Stale { why }) => format!("stale: {why}"),
        Some(
            RunOutcome::Cancelled { may_exist }
            | RunOutcome::TimedOut { may_exist }
            | RunOutcome::Interrupted { may_exist },
        ) => {
            format!("{} {may_exist:?}", ending.as_ref().unwrap().name())
        }
        Some(other) => other.name().into(),
    }
}
