//! What the commands of each kind of run are, and what their ends mean.

use super::{
    conduct::{Conductor, failed, known_secrets, stopped},
    confine::{Confined, Confinement},
    lock,
    plan::{self, Basis, Pack},
    query::{self, Asked},
    redact::Redactor,
    sensitive, state,
    step::Stepped,
    tracker::shortened,
    watch::Watch,
    workdir::LOCK,
};
use crate::{
    domain::run::{PlanSummary, ProviderChange, RunOp},
    error::{Error, Result},
    ports::runner::{OutputValue, RunOutcome},
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    time::Duration,
};

/// How long `show` may take: it starts the providers, and reads no more than files.
const SHOW: Duration = Duration::from_secs(60);

impl Conductor<'_> {
    /// Works out what an apply or a destroy would do.
    pub(crate) async fn plan(&self) -> Result<RunOutcome> {
        let redactor = Redactor::new(known_secrets(self.order));
        let providers = match self.init(&redactor).await? {
            ControlFlow::Continue(providers) => providers,
            ControlFlow::Break(ending) => return Ok(ending),
        };
        let plan_file = self.dir.layout().plan();
        let out = format!("-out={}", plan_file.display());
        let mut args = vec!["plan", "-json", "-input=false", "-lock=false", "-detailed-exitcode", &out];
        if self.order.op == RunOp::PlanDestroy {
            args.push("-destroy");
        }
        let mut done = self.step("plan", &args, true, None, &redactor).await?;
        if !done.worked(&[0, 2]) {
            return Ok(self.without_success(&mut done, &redactor, false));
        }
        let shown = match self.show(Some(&plan_file.to_string_lossy())).await {
            Ok(shown) => shown,
            Err(error) => return self.stop.reason().map(|reason| stopped(reason, Vec::new())).ok_or(error),
        };
        let secrets = sensitive::of_shown(&shown);
        let redactor = Redactor::new(known_secrets(self.order).chain(secrets.iter().map(String::as_str)));
        self.tell(&mut done, &redactor, true);

        let salt: [u8; 32] = self.world.random();
        let basis = self.basis(&salt)?;
        let read =
            |path: &std::path::Path| std::fs::read(path).map_err(|error| Error::bug(format!("the plan file: {error}")));
        let lock = self.dir.lock()?;
        let bytes = zeroize::Zeroizing::new(read(&plan_file)?);
        let pack = Pack::new(&salt, basis, secrets, &bytes, lock.as_deref());
        let summary = PlanSummary { providers, ..plan::summary(self.order.op, &shown, &redactor, pack.digest()?)? };
        Ok(RunOutcome::Planned { summary, plan: pack.bytes()? })
    }

    /// Applies exactly the stored plan, or nothing.
    pub(crate) async fn apply(&self) -> Result<RunOutcome> {
        let Some(stored) = &self.order.plan else {
            return Err(Error::bug(format!("{} has no plan to apply", self.order.run)));
        };
        let pack = Pack::read(stored)?;
        if let Some(why) = pack.basis.differs(&self.basis(&pack.salt()?)?) {
            return Ok(RunOutcome::Stale { why });
        }
        self.dir.put_plan(&pack.plan()?, pack.lock()?.as_deref().map(Vec::as_slice))?;
        let known = || known_secrets(self.order).chain(pack.secrets.iter().map(String::as_str));
        let redactor = Redactor::new(known());
        if let ControlFlow::Break(ending) = self.init(&redactor).await? {
            return Ok(ending);
        }
        let plan_file = self.dir.layout().plan();
        let plan_file = plan_file.to_string_lossy();
        if let Some(ending) = self.applying().await? {
            return Ok(ending);
        }
        let mut watch = Watch::new(self.dir.layout(), self.order.state.as_deref().map(Vec::as_slice));
        let args = ["apply", "-json", "-input=false", "-lock=false", &plan_file];
        let mut done = self.step("apply", &args, true, Some(&mut watch), &redactor).await?;
        // Values that were made just now are secret too; the state says which.
        let shown = self.show(None).await;
        let fresh = match &shown {
            Ok(shown) => sensitive::of_shown(shown),
            Err(error) => {
                tracing::warn!(run.id = %self.order.run, "what is secret is not known, so every value counts: {}", error.chain());
                self.every_value()
            }
        };
        let redactor = Redactor::new(known().chain(fresh.iter().map(String::as_str)));
        if !done.worked(&[0]) {
            return Ok(self.without_success(&mut done, &redactor, shown.is_ok()));
        }
        self.tell(&mut done, &redactor, shown.is_ok());
        if self.order.op == RunOp::Destroy {
            return Ok(RunOutcome::Destroyed);
        }
        match shown {
            Ok(shown) => Ok(self.outputs(&shown)),
            Err(error) => {
                tracing::error!(run.id = %self.order.run, "outputs: {}", error.chain());
                Ok(failed(
                    "The plan was applied, but its outputs could not be read. The state is stored; retry the resource.",
                ))
            }
        }
    }

    /// Compares what exists with the state.
    pub(crate) async fn refresh(&self) -> Result<RunOutcome> {
        let redactor = Redactor::new(known_secrets(self.order));
        if let ControlFlow::Break(ending) = self.init(&redactor).await? {
            return Ok(ending);
        }
        let args = ["plan", "-refresh-only", "-json", "-input=false", "-lock=false", "-detailed-exitcode"];
        let mut done = self.step("plan", &args, true, None, &redactor).await?;
        if !done.worked(&[0, 2]) {
            return Ok(self.without_success(&mut done, &redactor, false));
        }
        let secrets = match self.show(None).await {
            Ok(shown) => sensitive::of_shown(&shown),
            Err(_) => self.every_value(),
        };
        let redactor = Redactor::new(known_secrets(self.order).chain(secrets.iter().map(String::as_str)));
        self.tell(&mut done, &redactor, false);
        Ok(RunOutcome::Refreshed {
            drift: done.tracker.drifted().iter().map(|address| redactor.text(address)).collect(),
        })
    }

    /// Fetches what the module needs. Says how the run ended if it did not work, and otherwise which providers are not those of the last
    /// apply.
    async fn init(&self, redactor: &Redactor) -> Result<ControlFlow<RunOutcome, Vec<ProviderChange>>> {
        if let Some(reason) = self.stop.reason() {
            return Ok(ControlFlow::Break(stopped(reason, Vec::new())));
        }
        let mut args = vec!["init", "-no-color", "-input=false"];
        // A lock file that is there says which providers were reviewed.
        if self.dir.layout().module().join(LOCK).exists() {
            args.push("-lockfile=readonly");
        }
        let mut done = self.step("init", &args, false, None, redactor).await?;
        let mut providers = Vec::new();
        if let Some(kept) = &self.order.lock
            && !done.worked(&[0])
            && self.stop.reason().is_none()
            && !done.was_ended_from_outside()
            && lock::does_not_match(&done.stderr)
        {
            let told = complaint(&redactor.text(&done.stderr), "it gave no reason");
            self.record.say(
                self.now(),
                "warn",
                format!("The providers of the last apply are not offered any more, so others are chosen within the module's constraints. Terraform said: {told}"),
            );
            self.dir.remove_lock()?;
            done = self
                .step("init-again", &["init", "-no-color", "-input=false", "-upgrade"], false, None, redactor)
                .await?;
            if done.worked(&[0]) {
                providers = lock::changes(kept, &self.dir.lock()?.unwrap_or_default());
                for change in &providers {
                    self.record.say(self.now(), "warn", change.to_string());
                }
            }
        }
        if done.worked(&[0]) {
            self.record.say(self.now(), "info", format!("{} is ready.", self.engine.name()));
            if self.helper.is_some() {
                self.say_confined();
            }
            let stopped = self.stop.reason().map(|reason| stopped(reason, Vec::new()));
            return Ok(stopped.map_or(ControlFlow::Continue(providers), ControlFlow::Break));
        }
        if let Some(reason) = self.stop.reason() {
            return Ok(ControlFlow::Break(stopped(reason, Vec::new())));
        }
        if done.was_ended_from_outside() {
            return Ok(ControlFlow::Break(RunOutcome::Interrupted { may_exist: Vec::new() }));
        }
        Ok(ControlFlow::Break(failed(format!(
            "terraform init did not work: {}",
            complaint(&redactor.text(&done.stderr), "it gave no reason")
        ))))
    }

    /// Says how far Terraform is confined, as the stage before it noted.
    fn say_confined(&self) {
        match self.dir.layout().confinement("init") {
            Some(confined @ Confined::Landlock { .. }) => {
                self.record.say(self.now(), "info", format!("Terraform is {confined}."))
            }
            Some(confined @ Confined::No) => self.record.say(self.now(), "warn", format!("Terraform is {confined}.")),
            None => self.record.say(self.now(), "warn", "How far Terraform is confined is not known."),
        }
    }

    /// What a command that did not work means for the run.
    fn without_success(&self, done: &mut Stepped, redactor: &Redactor, printed: bool) -> RunOutcome {
        let complained = complaint(&redactor.text(&done.stderr), "Terraform failed and gave no reason.");
        self.tell(done, redactor, printed);
        let may_exist: Vec<String> =
            done.tracker.may_exist(&self.recorded()).iter().map(|address| redactor.text(address)).collect();
        if let Some(reason) = self.stop.reason() {
            return stopped(reason, may_exist);
        }
        if let Some(broken) = &done.broken {
            return RunOutcome::Failed { error: broken.message().to_owned(), may_exist };
        }
        if done.was_ended_from_outside() {
            return RunOutcome::Interrupted { may_exist };
        }
        if done.tracker.is_stale() {
            return RunOutcome::Stale {
                why: "Terraform says that the state changed since the plan was made. A new plan is needed.".into(),
            };
        }
        RunOutcome::Failed { error: done.tracker.failure(redactor).unwrap_or(complained), may_exist }
    }

    /// Tells what waited, now that the secrets are known.
    fn tell(&self, done: &mut Stepped, redactor: &Redactor, printed: bool) {
        for text in std::mem::take(&mut done.stderr).lines() {
            done.held.keep(self.now(), super::messages::Message::Words { text: text.to_owned() });
        }
        self.record.lines(done.held.release(redactor, printed, self.now()), None);
    }

    /// What `show -json` says about a plan file, or about the state.
    async fn show(&self, plan: Option<&str>) -> Result<Value> {
        let mut args = vec!["show", "-json"];
        args.extend(plan);
        let (module, program) = (self.dir.layout().module(), &self.engine.bin);
        let confined = self
            .helper
            .map(|helper| (helper, Confinement::of_run(program, &self.environment, &self.around, self.dir.layout())));
        let asked = Asked { program, environment: &self.environment, folder: &module, confined };
        let answer = tokio::select! {
            biased;
            () = self.stop.taken() => return Err(Error::bug("the lease is lost")),
            answer = query::run(&asked, &args, SHOW) => answer?,
        };
        serde_json::from_slice(&answer).map_err(|error| Error::bug(format!("`terraform show`: {error}")))
    }

    fn every_value(&self) -> BTreeSet<String> {
        super::watch::newest(self.dir.layout()).map(|(_, bytes)| state::every_text(&bytes)).unwrap_or_default()
    }

    fn basis(&self, salt: &[u8; 32]) -> Result<Basis> {
        let state = self.order.state.as_deref().map(Vec::as_slice);
        Basis::of(&self.order.module_digest, &self.engine.name(), state, &self.order.variables, salt)
    }

    /// The outputs of an apply: all that are there. What the manifest declares secret is secret.
    fn outputs(&self, shown: &Value) -> RunOutcome {
        let mut outputs = BTreeMap::new();
        for (name, output) in shown.pointer("/values/outputs").and_then(Value::as_object).into_iter().flatten() {
            let value = output.get("value").cloned().unwrap_or(Value::Null);
            let marked = output.get("sensitive").and_then(Value::as_bool).unwrap_or(true);
            let sensitive = marked || self.order.outputs.get(name).copied().unwrap_or(false);
            outputs.insert(name.clone(), OutputValue { value, sensitive });
        }
        RunOutcome::Applied { outputs }
    }
}

/// The errors among what the engine complained about, without its drawing.
fn complaint(stderr: &str, otherwise: &str) -> String {
    let plain = stderr.replace(['│', '╷', '╵', '\u{1b}'], " ");
    let from = plain.find("Error:").unwrap_or(0);
    let words = plain.get(from..).unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    if words.is_empty() { otherwise.to_owned() } else { shortened(&words, 1000) }
}
