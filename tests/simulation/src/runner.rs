//! The runner of a host, and the supervisors that it starts: processes that outlive the server.

use crate::{
    cloud::Cloud,
    dice::Dice,
    host::{Folder, Host, State},
    simulation::{Applied, Notes, open},
    terraform::{Apply, Plan, basis, plan},
};
use asgard_lib::{
    Result,
    app::runs::{Assignment, Claim, Claimant, ClaimedRun},
    domain::run::{CreationTracker, Inventory, LogLine, RunOp},
    kernel::{RunId, Timestamp},
    ports::runner::{Liveness, OutputValue, Renewal, RunOutcome, RunReporter, Runner, Salvage, SupervisorLocation},
};
use async_trait::async_trait;
use serde_json::json;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering::SeqCst},
    },
    time::Duration,
};
use tokio::time::sleep;
use zeroize::Zeroizing;

/// How often a supervisor looks at what Terraform wrote.
const LOOK: Duration = Duration::from_millis(250);

/// Starts supervisors on one host.
pub struct HostRunner {
    /// The host.
    pub host: Arc<Host>,
    /// The cloud that Terraform works on.
    pub cloud: Arc<Cloud>,
    /// What is noted for the invariants.
    pub notes: Arc<Notes>,
    /// The seed.
    pub seed: u64,
}

#[async_trait]
impl Runner for HostRunner {
    fn name(&self) -> &'static str {
        "simulated"
    }

    async fn launch(&self, run: &RunId) -> Result<()> {
        let pid = self.host.start();
        let supervisor = Supervisor {
            host: Arc::clone(&self.host),
            cloud: Arc::clone(&self.cloud),
            notes: Arc::clone(&self.notes),
            dice: Dice::of(self.seed, &format!("{} supervisor {pid}", self.host.name)),
            seed: self.seed,
            pid,
            run: run.clone(),
            until: Arc::default(),
        };
        let host = Arc::clone(&self.host);
        self.host.run(pid, async move {
            supervisor.work().await;
            host.kill(pid);
        });
        Ok(())
    }

    async fn probe(&self, place: &SupervisorLocation, _now: Timestamp) -> Liveness {
        match place {
            SupervisorLocation::Process { host, boot, pid, .. } if host == self.host.name => {
                if self.host.proves(boot, *pid) { Liveness::Alive } else { Liveness::Dead }
            }
            SupervisorLocation::Process { .. }
            | SupervisorLocation::Task { .. }
            | SupervisorLocation::InProcess { .. } => Liveness::Unknown,
        }
    }

    async fn salvage(&self, run: &RunId, _place: Option<&SupervisorLocation>) -> Result<Salvage> {
        self.host.kill_child(run.as_str());
        Ok(self.host.folder(run.as_str(), |folder| left_in(folder)).unwrap_or_default())
    }

    async fn clean(&self, run: &RunId) -> Result<()> {
        self.host.kill_child(run.as_str());
        self.host.remove_folder(run.as_str());
        Ok(())
    }

    async fn set_aside(&self, run: &RunId) -> Result<Option<String>> {
        self.host.set_aside(run.as_str());
        Ok(None)
    }

    async fn left_over(&self) -> Result<Vec<RunId>> {
        Ok(self.host.folders().iter().filter_map(|(run, _)| run.parse().ok()).collect())
    }
}

fn left_in(folder: &Folder) -> Salvage {
    let state = folder.written.then(|| folder.state.bytes());
    let recorded = Inventory::of(&folder.state.bytes()).recorded_since(&folder.began_with);
    let mut creations = CreationTracker::default();
    folder.log.iter().for_each(|line| creations.follow(line));
    Salvage {
        found: true,
        ended: true,
        state: state.map(Zeroizing::new),
        may_exist: creations.may_exist(&recorded).map(str::to_owned).collect(),
        logged: folder.log.iter().skip(folder.sent).cloned().collect(),
        ..Salvage::default()
    }
}

/// A supervisor: a process for one run.
struct Supervisor {
    host: Arc<Host>,
    cloud: Arc<Cloud>,
    notes: Arc<Notes>,
    dice: Dice,
    seed: u64,
    pid: u32,
    run: RunId,
    /// Until when the guard lets Terraform work, on the host's clock.
    until: Arc<AtomicI64>,
}

impl Supervisor {
    async fn work(&self) {
        let Ok((app, _)) = open(&self.host, &self.cloud, &self.notes, self.pid, self.seed).await else { return };
        let claimant = Claimant::at(self.host.place(self.pid)).ending_in_time();
        let claim = ClaimedRun::claim(&app, &self.run, claimant).await;
        let Ok(Claim::Claimed(assignment, claimed)) = claim else { return };
        let Some(outcome) = self.carry_out(&assignment, &claimed).await else { return };
        // What cannot be stored now is for recovery.
        let _ = claimed.finish(outcome).await;
    }

    /// `None` when the lease was lost: nothing more may be committed, and the folder stays.
    async fn carry_out(&self, assignment: &Assignment, claimed: &ClaimedRun) -> Option<RunOutcome> {
        let run = self.run.as_str();
        if let Some(left) = self.host.folder(run, |folder| left_in(folder)) {
            self.host.kill_child(run);
            if let Some(state) = left.state {
                self.store(claimed, &state).await?;
            }
            return Some(RunOutcome::Interrupted { may_exist: left.may_exist });
        }
        if claimed.engine("simulated 1.0", &assignment.service.digest).await.is_err() {
            return Some(RunOutcome::Interrupted { may_exist: Vec::new() });
        }
        let state = assignment.state.as_deref().and_then(|bytes| State::read(bytes)).unwrap_or_default();
        match assignment.run.op {
            RunOp::Plan | RunOp::PlanDestroy => {
                sleep(self.dice.millis(500, 4_000)).await;
                let all_goes = assignment.run.op == RunOp::PlanDestroy;
                let (summary, plan) = plan(&state, &assignment.variables, all_goes, &assignment.service.digest);
                let bytes = serde_json::to_vec(&plan).unwrap_or_default();
                Some(RunOutcome::Planned { summary, plan: Zeroizing::new(bytes) })
            }
            RunOp::Apply | RunOp::Destroy => {
                let plan: Plan = serde_json::from_slice(assignment.plan.as_deref()?).ok()?;
                let all_goes = assignment.run.op == RunOp::Destroy;
                if (plan.serial, &plan.lineage) != (state.serial, &state.lineage) {
                    return Some(RunOutcome::Stale { why: "The state has moved on.".into() });
                }
                if plan.basis != basis(&assignment.variables, all_goes, &assignment.service.digest) {
                    return Some(RunOutcome::Stale { why: "The module or the inputs are others.".into() });
                }
                self.apply(assignment, claimed, state, plan).await
            }
            RunOp::Refresh => Some(RunOutcome::Refreshed { drift: Vec::new() }),
        }
    }

    async fn apply(
        &self,
        assignment: &Assignment,
        claimed: &ClaimedRun,
        state: State,
        plan: Plan,
    ) -> Option<RunOutcome> {
        let (run, resource) = (self.run.as_str(), assignment.resource.id.as_str());
        if claimed.applying(None).await.is_err() {
            return Some(RunOutcome::Interrupted { may_exist: Vec::new() });
        }
        let began_with = Inventory::of(&state.bytes());
        self.host.make_folder(run, Folder { state, began_with, ..Folder::default() });
        let request = assignment.request.as_ref().map(|request| request.id.to_string());
        self.notes.applied(Applied { run: run.into(), request, basis: plan.basis.clone() });
        let terraform = Apply {
            host: Arc::clone(&self.host),
            cloud: Arc::clone(&self.cloud),
            dice: Dice::of(self.seed, &format!("terraform of {run}")),
            run: run.into(),
            resource: resource.into(),
            plan,
        };
        let child = self.host.start();
        self.host.set_child(run, child);
        let host = Arc::clone(&self.host);
        self.host.run(child, async move {
            terraform.carry_out().await;
            host.kill(child);
        });
        self.guard(child, claimed);

        let stopped = tokio::select! {
            biased;
            () = self.renew(claimed) => true,
            () = self.follow(claimed) => false,
        };
        if stopped {
            self.host.kill_child(run);
        }
        // The last state goes to the store before anything else is said, for as long as the lease may be held.
        let left = self.host.folder(run, |folder| left_in(folder)).unwrap_or_default();
        if let Some(state) = &left.state {
            self.store(claimed, state).await?;
        }
        let ended = self.host.folder(run, |folder| folder.ended.clone()).flatten();
        let mut logged = left.logged;
        logged.push(LogLine {
            at: self.host.now(),
            level: "info".into(),
            kind: LogLine::ENDED.into(),
            address: None,
            action: None,
            message: "The run ended.".into(),
        });
        let _ = claimed.log(logged).await;
        self.host.remove_folder(run);
        Some(match (ended, assignment.run.op) {
            (Some(Ok(())), RunOp::Destroy) => RunOutcome::Destroyed,
            (Some(Ok(())), _) => RunOutcome::Applied { outputs: self.outputs(assignment) },
            (Some(Err(error)), _) => RunOutcome::Failed { error, may_exist: left.may_exist },
            (None, _) => RunOutcome::Interrupted { may_exist: left.may_exist },
        })
    }

    /// Starts the guard on which Terraform's life hangs: it ends Terraform when the supervisor is gone, and when the lease ends that the
    /// supervisor told it of last.
    fn guard(&self, child: u32, claimed: &ClaimedRun) {
        self.until.store(claimed.stop_by().as_millis(), SeqCst);
        let (host, supervisor, until, guard) =
            (Arc::clone(&self.host), self.pid, Arc::clone(&self.until), self.host.start_guard());
        self.host.run(guard, async move {
            while host.lives(child) {
                sleep(LOOK).await;
                if !host.lives(supervisor) || host.now().as_millis() >= until.load(SeqCst) {
                    host.kill(child);
                }
            }
            host.kill(guard);
        });
    }

    fn outputs(&self, assignment: &Assignment) -> BTreeMap<String, OutputValue> {
        let things = assignment.variables.get("things").cloned().unwrap_or_default();
        let token = format!("token-{}", self.dice.next());
        BTreeMap::from([
            ("things".to_owned(), OutputValue { value: things, sensitive: false }),
            ("token".to_owned(), OutputValue { value: json!(token), sensitive: true }),
        ])
    }

    /// Renews the lease until Terraform has to stop: somebody cancelled, the lease is lost, or it could not be renewed in time.
    async fn renew(&self, claimed: &ClaimedRun) {
        loop {
            let pause = Duration::from_secs(15).min(claimed.stop_by().since(self.host.now()));
            sleep(pause).await;
            let renewing = tokio::time::timeout(claimed.stop_by().since(self.host.now()), claimed.renew());
            match renewing.await {
                Ok(Ok(Renewal::Held { cancel: false })) => self.until.store(claimed.stop_by().as_millis(), SeqCst),
                Ok(Ok(Renewal::Held { cancel: true } | Renewal::Lost)) => return,
                Ok(Err(_)) | Err(_) if self.host.now() >= claimed.stop_by() => return,
                Ok(Err(_)) | Err(_) => sleep(Duration::from_secs(1)).await,
            }
        }
    }

    /// Sends what Terraform writes, until it has ended.
    async fn follow(&self, claimed: &ClaimedRun) {
        let run = self.run.as_str();
        let mut stored = 0;
        loop {
            sleep(LOOK).await;
            let Some(seen) = self.host.folder(run, |folder| folder.clone()) else { return };
            let fresh: Vec<_> = seen.log.iter().skip(seen.sent).cloned().collect();
            let count = seen.log.len();
            if !fresh.is_empty() && claimed.log(fresh).await.is_ok() {
                self.host.folder(run, |folder| folder.sent = count);
            }
            if seen.written && seen.state.serial > stored && claimed.store_state(&seen.state.bytes()).await.is_ok() {
                stored = seen.state.serial;
            }
            if seen.ended.is_some() {
                return;
            }
        }
    }

    /// Stores a state, through outages, until the lease is lost.
    async fn store(&self, claimed: &ClaimedRun, state: &[u8]) -> Option<()> {
        loop {
            match claimed.store_state(state).await {
                Ok(()) => return Some(()),
                Err(error) if error.code() == asgard_lib::Code::StaleVersion => return Some(()),
                Err(error) if error.kind().retryable() => sleep(Duration::from_secs(1)).await,
                Err(_) => return None,
            }
            if let Ok(Renewal::Lost) = claimed.renew().await {
                return None;
            }
        }
    }
}
