//! What carries runs out here: the company's facilities, in this process and without Terraform.

use asgard_lib::{
    Code, Error, Result,
    app::{
        Asgard,
        runs::{Assignment, Claim, Claimant, ClaimedRun},
        services::Service,
    },
    domain::run::{Change, PlanSummary, PlannedChange, RunOp},
    foreign::async_trait,
    kernel::{RunId, Timestamp},
    ports::runner::{Liveness, OutputValue, RunOutcome, RunReporter, Runner, SupervisorLocation},
};
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock, Weak},
};
use zeroize::Zeroizing;

/// What can be asked for: a desk, with the code of its drawer. Its manifest names the one connector that manifests know; what
/// carries a run out is the runner. A person gives away desks on floor 8: the manifest says so, so it is one of Asgard's own rules.
///
/// # Errors
///
/// A manifest that is none.
pub fn desk() -> Result<Service> {
    let manifest = json!({
        "id": "desk", "title": "Desk", "description": "A desk in the office, with a drawer that has a code.",
        "cloud": "local", "connector": "terraform", "retry": "safe", "cost": {"monthly_usd": 0},
        "approval": {"by_input": {"input": "floor", "human": [8]}},
        "inputs": {
            "type": "object",
            "properties": {"floor": {"type": "integer", "minimum": 1, "maximum": 9, "description": "The floor."}},
            "required": ["floor"]
        },
        "outputs": {
            "number": {"description": "The desk's number, which begins with its floor."},
            "code": {"description": "The code of its drawer.", "secret": true}
        }
    });
    Service::new(serde_json::from_value(manifest).map_err(Error::bug)?, BTreeMap::new())
}

/// The company's facilities. What they give follows from the resource and from a key of theirs, so doing a run twice gives the
/// same.
pub struct Facilities {
    key: Zeroizing<[u8; 32]>,
    app: OnceLock<Weak<Asgard>>,
}

impl Facilities {
    /// Facilities with this key.
    pub fn new(key: [u8; 32]) -> Arc<Self> {
        Arc::new(Self { key: Zeroizing::new(key), app: OnceLock::new() })
    }

    /// Says whose runs they carry out. Once, before background work starts; later calls change nothing.
    pub fn bind(&self, app: &Arc<Asgard>) {
        let _ = self.app.set(Arc::downgrade(app));
    }

    fn digest(&self, parts: &[&str]) -> String {
        let mut block = Zeroizing::new([0; 64]);
        for (slot, byte) in block.iter_mut().zip(self.key.iter()) {
            *slot = *byte;
        }
        let mut mac = Hmac::<Sha256>::new((&*block).into());
        for part in parts {
            mac.update(part.as_bytes());
            mac.update(&[0]);
        }
        HEXLOWER.encode(&mac.finalize().into_bytes())
    }

    async fn carry_out(&self, assignment: &Assignment, run: &ClaimedRun) -> Result<RunOutcome> {
        run.engine(self.name(), &assignment.service.digest).await?;
        Ok(match assignment.run.op {
            RunOp::Plan | RunOp::PlanDestroy => {
                let summary = self.summary(assignment);
                let plan = Zeroizing::new(summary.digest.clone().into_bytes());
                RunOutcome::Planned { summary, plan }
            }
            RunOp::Apply => RunOutcome::Applied { outputs: self.outputs(assignment) },
            RunOp::Destroy => RunOutcome::Destroyed,
            RunOp::Refresh => RunOutcome::Refreshed { drift: Vec::new() },
        })
    }

    fn summary(&self, assignment: &Assignment) -> PlanSummary {
        let resource = &assignment.resource;
        let change = match (assignment.run.op, resource.provisioned_at) {
            (RunOp::PlanDestroy, _) => Change::Delete,
            (_, None) => Change::Create,
            (_, Some(_)) => Change::Update,
        };
        let count = |wanted: Change| u32::from(change == wanted);
        let variables = Value::Object(assignment.variables.clone()).to_string();
        PlanSummary {
            create: count(Change::Create),
            update: count(Change::Update),
            replace: 0,
            delete: count(Change::Delete),
            outputs_changed: change != Change::Delete,
            changes: vec![PlannedChange { address: format!("desk.{}", resource.name), change }],
            providers: Vec::new(),
            digest: self.digest(&[resource.id.as_str(), assignment.run.op.name(), &variables]),
        }
    }

    fn outputs(&self, assignment: &Assignment) -> BTreeMap<String, OutputValue> {
        let (id, variable) = (assignment.resource.id.as_str(), |name| assignment.variables.get(name));
        let floor = variable("floor").and_then(Value::as_u64).unwrap_or(1);
        let place = u64::from_str_radix(self.digest(&["place", id]).get(..8).unwrap_or("0"), 16).unwrap_or(0) % 100;
        // Rotating the secrets of a resource counts `rotation` up.
        let rotation = variable("rotation").map(Value::to_string).unwrap_or_default();
        let code = self.digest(&["code", id, &rotation]).chars().take(12).collect::<String>();
        BTreeMap::from([
            ("number".to_owned(), OutputValue { value: json!(floor * 100 + place), sensitive: false }),
            ("code".to_owned(), OutputValue { value: json!(code), sensitive: true }),
        ])
    }
}

#[async_trait]
impl Runner for Facilities {
    fn name(&self) -> &'static str {
        "facilities"
    }

    /// Carries the run out before it returns: it takes milliseconds.
    async fn launch(&self, run: &RunId) -> Result<()> {
        let Some(app) = self.app.get().and_then(Weak::upgrade) else {
            return Err(Error::new(Code::RunnerFailed, "The facilities do not know yet whose runs they carry out."));
        };
        let place = SupervisorLocation::InProcess { holder: app.holder().to_string() };
        // What a run books is in this process alone, and ends with it.
        let claimant = Claimant::at(place).ending_in_time();
        let (assignment, run) = match ClaimedRun::claim(&app, run, claimant).await? {
            Claim::Claimed(assignment, run) => (assignment, run),
            // It is over, or somebody else has it or its resource.
            Claim::NotNeeded { .. } | Claim::Held { .. } => return Ok(()),
        };
        let outcome = self.carry_out(&assignment, &run).await;
        run.finish(outcome.unwrap_or_else(|_| RunOutcome::Interrupted { may_exist: Vec::new() })).await
    }

    /// A run in this process ends with it; nobody can tell from outside, and its lease runs out.
    async fn probe(&self, _: &SupervisorLocation, _: Timestamp) -> Liveness {
        Liveness::Unknown
    }
}
