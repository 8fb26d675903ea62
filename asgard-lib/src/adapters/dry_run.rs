//! The dry run: carries requests out without creating anything, used while provisioning is not armed. It goes through the
//! same claims, leases and commits as a real run; only what exists is made up, and every output says so.

use crate::{
    app::{
        Asgard,
        runs::{Assignment, Claim, Claimant, ClaimedRun},
    },
    domain::{
        request::Command,
        run::{Change, LogLine, PlanSummary, PlannedChange, RunOp},
        secret::Secret,
    },
    error::{Code, Error, Result},
    kernel::{RunId, Timestamp},
    ports::{
        records::Records,
        runner::{Liveness, OutputValue, RunOutcome, RunReporter, Runner, SupervisorLocation},
    },
};
use async_trait::async_trait;
use data_encoding::HEXLOWER;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock, Weak},
};
use zeroize::Zeroizing;

const ENGINE: &str = "dry-run";

/// Executes runs inside the serving process, without Terraform. Built before the control plane that it works for; tell it
/// with [`DryRun::bind`].
#[derive(Default)]
pub struct DryRun {
    app: OnceLock<Weak<Asgard>>,
}

crate::kernel::opaque!(DryRun);

impl DryRun {
    /// A dry run that is not bound yet.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// Says which control plane it works for. Once; later calls change nothing.
    pub fn bind(&self, app: &Arc<Asgard>) {
        let _ = self.app.set(Arc::downgrade(app));
    }
}

#[async_trait]
impl Runner for DryRun {
    fn name(&self) -> &'static str {
        ENGINE
    }

    fn is_dry(&self) -> bool {
        true
    }

    /// Executes the run before it returns: it takes milliseconds.
    async fn launch(&self, run: &RunId) -> Result<()> {
        let Some(app) = self.app.get().and_then(Weak::upgrade) else {
            return Err(Error::new(
                Code::RunnerFailed,
                "The dry run is not bound to a control plane, or that is gone.",
            ));
        };
        let place = SupervisorLocation::InProcess { holder: app.holder().to_string() };
        match ClaimedRun::claim(&app, run, Claimant::at(place).ending_in_time()).await? {
            Claim::Claimed(assignment, claimed_run) => {
                let ending = match execute(&app, &assignment, &claimed_run).await {
                    Ok(ending) => ending,
                    Err(error) => {
                        tracing::warn!(run.id = %run, error = error.chain(), "A dry run was cut short.");
                        RunOutcome::Interrupted { may_exist: Vec::new() }
                    }
                };
                claimed_run.finish(ending).await
            }
            Claim::NotNeeded { why } => {
                tracing::debug!(run.id = %run, why, "A run needs no supervisor.");
                Ok(())
            }
            Claim::Held { until } => {
                tracing::debug!(run.id = %run, until = %until, "Another run has the resource.");
                Ok(())
            }
        }
    }

    /// Nobody can tell: a run inside a process ends with it, and its short lease runs out.
    async fn probe(&self, _place: &SupervisorLocation, _now: Timestamp) -> Liveness {
        Liveness::Unknown
    }
}

async fn execute(app: &Asgard, assignment: &Assignment, claimed_run: &ClaimedRun) -> Result<RunOutcome> {
    claimed_run.engine(ENGINE, &assignment.service.digest).await?;
    let line = |message: &str| LogLine {
        at: app.world().now(),
        level: "info".into(),
        kind: "asgard".into(),
        address: None,
        action: None,
        message: message.to_owned(),
    };
    claimed_run.log(vec![line("Provisioning is not armed: this is a dry run, and nothing is created.")]).await?;
    if assignment.run.op.changes_things() {
        claimed_run.applying(None).await?;
    }
    Ok(match assignment.run.op {
        RunOp::Plan | RunOp::PlanDestroy => {
            let summary = summary(assignment);
            let plan = Zeroizing::new(summary.digest.clone().into_bytes());
            RunOutcome::Planned { summary, plan }
        }
        RunOp::Apply => RunOutcome::Applied { outputs: outputs(app, assignment).await? },
        RunOp::Destroy => RunOutcome::Destroyed,
        RunOp::Refresh => RunOutcome::Refreshed { drift: Vec::new() },
    })
}

/// One change that says what a real run would do to the resource as a whole.
fn summary(assignment: &Assignment) -> PlanSummary {
    let resource = &assignment.resource;
    let change = match (assignment.run.op, resource.provisioned_at) {
        (RunOp::PlanDestroy, _) => Change::Delete,
        (_, None) => Change::Create,
        (_, Some(_)) => Change::Update,
    };
    let count = |wanted: Change| u32::from(change == wanted);
    let mut hash = Sha256::new();
    hash.update(assignment.service.digest.as_bytes());
    hash.update(Value::Object(assignment.variables.clone()).to_string().as_bytes());
    hash.update(assignment.run.op.name().as_bytes());
    PlanSummary {
        create: count(Change::Create),
        update: count(Change::Update),
        replace: 0,
        delete: count(Change::Delete),
        outputs_changed: change == Change::Create,
        changes: vec![PlannedChange { address: format!("{}.{}", resource.service, resource.name), change }],
        providers: Vec::new(),
        digest: HEXLOWER.encode(&hash.finalize()),
    }
}

/// The service's real output names. Plain ones are the manifest's examples; secrets stay what they are until rotated.
async fn outputs(app: &Asgard, assignment: &Assignment) -> Result<BTreeMap<String, OutputValue>> {
    let rotating = assignment.request.as_ref().is_some_and(|request| request.command == Command::RotateSecrets);
    let mut outputs = BTreeMap::new();
    for (name, output) in &assignment.service.manifest.outputs {
        let value = if output.secret {
            match present(app, assignment, name).await?.filter(|_| !rotating) {
                Some(value) => value,
                None => json!(format!("dry-run-{}", HEXLOWER.encode(&app.world().random::<16>()))),
            }
        } else {
            match &output.example {
                Some(example) => example.clone(),
                None => json!(format!("dry-run-{}-{name}", assignment.resource.name)),
            }
        };
        outputs.insert(name.clone(), OutputValue { value, sensitive: output.secret });
    }
    Ok(outputs)
}

async fn present(app: &Asgard, assignment: &Assignment, output: &str) -> Result<Option<Value>> {
    let Some(reference) = assignment.resource.secret_refs.get(output) else { return Ok(None) };
    let Some(secret) = app.store().read::<Secret>(reference.secret_id.as_str()).await? else { return Ok(None) };
    let (id, version) = secret.stored();
    let value = app.secrets().get(id, version, &assignment.resource.owner()).await?;
    Ok(value.map(|value| json!(value.reveal())))
}
