//! Inputs that a manifest marks sensitive: their values go to the secret store, and what is committed is a reference.
//!
//! A value is stored before anything is decided, under an id that nobody has used. Before that, a job is committed which
//! forgets the value in an hour. The commit that names the value removes the job, at the version that it was written with: so
//! either the value is named, or it is forgotten, whoever dies in between. A value that was stored so late that the job may be
//! past is given another job, and the call is refused.

use crate::{
    app::{Call, Reads, Tx, core::waiver::AuditWaiver, services::Service},
    domain::{
        job::{ForgottenSecret, Job, Work},
        resource::{Resource, Spec, StatePointer},
        secret::{Secret, SecretInput, SecretOwner},
    },
    error::{Code, Error, Result},
    kernel::{JobId, ProjectId, ResourceId, ResourceName, SecretId, SecretText, Timestamp},
    ports::{
        records::{Stored, key},
        store::{ReadBatch, Version},
    },
};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, time::Duration};

/// How long a value is kept that no commit names: longer than any call takes.
const UNNAMED: Duration = Duration::from_secs(3600);
/// How long before that job is due a value has to be stored, at the least: clocks of hosts differ.
const MARGIN: Duration = Duration::from_secs(300);
/// How long a value is kept that is not the present one any more: whoever has just read the metadata can still read it.
const REPLACED: Duration = Duration::from_secs(600);

/// The values of sensitive inputs, each in the secret store.
#[derive(Default)]
pub struct PreparedInputs {
    inputs: BTreeMap<String, Input>,
    collector: Option<Collector>,
    /// Whose the values are that were stored.
    owner: Option<PreparedOwner>,
}

/// The resource that a value was stored for: one that there is, or that the call is to make.
#[derive(Clone, PartialEq, Eq)]
struct PreparedOwner {
    resource: ResourceId,
    exists: bool,
}

crate::kernel::opaque!(PreparedInputs);

enum Input {
    /// The present value of this secret is the one that was given.
    Present { secret: SecretId, value: SecretId, version: u32 },
    /// The value is new, and stored under `value`; `secret` has another one, if there is a secret of that name.
    Fresh { value: SecretId, secret: Option<SecretId> },
}

/// The job that forgets the fresh values unless they are named.
struct Collector {
    job: JobId,
    version: Version,
    /// From when on it may have been done.
    due: Timestamp,
}

fn full_name(service: &Service, name: &ResourceName, input: &str) -> String {
    format!("{}.{name}.{input}", service.manifest.id)
}

fn text(input: &str, value: Option<&Value>) -> Result<Option<SecretText>> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(SecretText::new(text.as_str()))),
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
            Err(Error::invalid(format!("spec.{input}"), "A sensitive input is text."))
        }
    }
}

/// The claims that find the secrets of the sensitive inputs that a spec gives.
pub(crate) fn secret_claims<'a>(
    project: &'a ProjectId,
    service: &'a Service,
    name: &'a ResourceName,
    spec: &'a Map<String, Value>,
) -> impl Iterator<Item = String> + 'a {
    let given = |input: &&String| spec.get(*input).is_some_and(|value| !value.is_null());
    let inputs = service.manifest.sensitive_inputs.iter().filter(given);
    inputs.map(|input| Secret::claim(project, &full_name(service, name, input)))
}

async fn known(reads: &mut Reads<'_>, project: &ProjectId, name: &str) -> Result<Option<Stored<Secret>>> {
    match reads.holder(&Secret::claim(project, name)).await? {
        Some(id) => reads.read_checked::<Secret>(&id).await,
        None => Ok(None),
    }
}

impl PreparedInputs {
    /// Whether there was nothing to store.
    pub(crate) fn is_empty(&self) -> bool {
        self.inputs.is_empty() && self.collector.is_none()
    }

    /// Stores the values that are new. `before` is what an earlier run for the same command stored.
    pub(crate) async fn of(
        reads: &mut Reads<'_>,
        project: &ProjectId,
        service: &Service,
        name: &ResourceName,
        spec: &Map<String, Value>,
        before: Option<Self>,
    ) -> Result<Self> {
        let mut inputs = BTreeMap::new();
        let mut fresh = Vec::new();
        let existing = resource_of(reads, project, service, name, spec).await?;
        for input in &service.manifest.sensitive_inputs {
            let Some(text) = text(input, spec.get(input))? else { continue };
            let secret = known(reads, project, &full_name(service, name, input)).await?;
            // One of a resource that is gone has a value that this resource does not get.
            if let Some(secret) = secret.as_ref().filter(|secret| Some(&secret.resource) == existing.as_ref()) {
                let (value, version) = secret.stored();
                let present = reads.app().secrets().get(value, version, &secret.owner()).await?;
                if present.is_some_and(|present| present.same(text.reveal())) {
                    let present = Input::Present { secret: secret.id.clone(), value: value.clone(), version };
                    inputs.insert(input.clone(), present);
                    continue;
                }
            }
            let value: SecretId = reads.id();
            fresh.push((input, value.clone(), text));
            inputs.insert(input.clone(), Input::Fresh { value, secret: secret.map(|secret| secret.value.id) });
        }
        if fresh.is_empty() {
            return Ok(Self { inputs, collector: None, owner: None });
        }
        let exists = existing.is_some();
        if let Some(before) = before
            && let Some(owner) = before.owner.clone().filter(|owner| owner.fits(existing.as_ref()))
            && let Some(again) = before.again(reads, &mut inputs).await?
        {
            return Ok(Self { inputs, collector: Some(again), owner: Some(owner) });
        }
        let resource = existing.unwrap_or_else(|| reads.id());
        let owner = SecretOwner { project: project.clone(), resource };
        let values: Vec<SecretId> = fresh.iter().map(|(_, value, _)| value.clone()).collect();
        let collector = collector(reads, forget(values.clone(), &owner), UNNAMED).await?;
        for (_, value, text) in &fresh {
            reads.app().secrets().put(value, 1, text, &owner).await?;
            if reads.app().world().now().plus(MARGIN) >= collector.due {
                return Err(late(reads, forget(values, &owner)).await);
            }
        }
        let owner = PreparedOwner { resource: owner.resource, exists };
        Ok(Self { inputs, collector: Some(collector), owner: Some(owner) })
    }

    /// The resource that the call is about: the one that there is, or a new one with the id that values were stored for. When that is
    /// another one by now, they are stored again.
    pub(crate) fn resource(&self, tx: &mut Tx<'_>, existing: Option<ResourceId>) -> Result<ResourceId> {
        match &self.owner {
            Some(owner) if !owner.fits(existing.as_ref()) => Err(tx.prepare_again()),
            Some(owner) => Ok(owner.resource.clone()),
            None => Ok(existing.unwrap_or_else(|| tx.id())),
        }
    }

    /// Takes what is stored already for `inputs`, if that is all they need and its job still waits.
    async fn again(self, reads: &Reads<'_>, inputs: &mut BTreeMap<String, Input>) -> Result<Option<Collector>> {
        let Some(collector) = self.collector else { return Ok(None) };
        let waits = reads.read::<Job>(collector.job.as_str()).await?;
        if waits.is_none_or(|job| job.version != collector.version) {
            return Ok(None);
        }
        let stored: BTreeMap<&String, &SecretId> = self.inputs.iter().filter_map(Input::fresh).collect();
        let wanted: BTreeMap<&String, &SecretId> = inputs.iter().filter_map(Input::fresh).collect();
        if !stored.keys().eq(wanted.keys()) {
            return Ok(None);
        }
        for (input, present) in inputs {
            if let (Input::Fresh { value, .. }, Some(stored)) = (present, stored.get(input)) {
                *value = (*stored).clone();
            }
        }
        Ok(Some(collector))
    }
}

impl PreparedOwner {
    fn fits(&self, existing: Option<&ResourceId>) -> bool {
        match existing {
            Some(existing) => self.exists && self.resource == *existing,
            None => !self.exists,
        }
    }
}

/// The resource of that name, if one of the sensitive inputs was given a value.
async fn resource_of(
    reads: &Reads<'_>,
    project: &ProjectId,
    service: &Service,
    name: &ResourceName,
    spec: &Map<String, Value>,
) -> Result<Option<ResourceId>> {
    if secret_claims(project, service, name, spec).next().is_none() {
        return Ok(None);
    }
    let holder = reads.holder(&Resource::name_claim(project, &service.manifest.id, name)).await?;
    Ok(holder.and_then(|id| id.parse().ok()))
}

impl Input {
    fn fresh<'a>((name, input): (&'a String, &'a Self)) -> Option<(&'a String, &'a SecretId)> {
        match input {
            Self::Fresh { value, .. } => Some((name, value)),
            Self::Present { .. } => None,
        }
    }
}

fn forget(values: Vec<SecretId>, owner: &SecretOwner) -> Work {
    let forgotten = |id| ForgottenSecret { id, through: 1, owner: Some(owner.clone()) };
    let secrets = values.into_iter().map(forgotten).collect();
    Work::Forget { sealed: Vec::new(), secrets }
}

/// Gives up values that may have been stored after their job was done: then nothing would forget them.
async fn late(reads: &Reads<'_>, forgetting: Work) -> Error {
    match collector(reads, forgetting, Duration::ZERO).await {
        Ok(_) => Error::new(
            Code::Busy,
            "Storing the sensitive inputs took so long that they may be forgotten already. Send the request again.",
        )
        .retry_after(1),
        Err(error) => error,
    }
}

/// Appends the job that forgets the values `after` from now.
async fn collector(reads: &Reads<'_>, forgetting: Work, after: Duration) -> Result<Collector> {
    let forgetting = &forgetting;
    let app = reads.app();
    let call = Call::system("secret-inputs", reads.call().trace.clone());
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.waive_audit(AuditWaiver::PreparedValue)?;
            let job = tx.job(forgetting.clone(), after)?;
            Ok(Collector { job, version: tx.version().clone(), due: tx.now().plus(after) })
        })
    })
    .await
}

/// Takes the values of sensitive inputs out of a spec, with references to what was prepared beside it, and names the new values.
pub(crate) async fn take_inputs(
    tx: &mut Tx<'_>,
    project: &ProjectId,
    resource: &ResourceId,
    service: &Service,
    name: &ResourceName,
    spec: Map<String, Value>,
    prepared: &PreparedInputs,
) -> Result<Spec> {
    let mut spec = Spec::from(spec);
    let mut replaced = Vec::new();
    for input in &service.manifest.sensitive_inputs {
        if text(input, spec.get(input))?.is_none() {
            continue;
        }
        let full = full_name(service, name, input);
        let known = known(tx, project, &full).await?;
        let now = tx.now();
        let reference = match (prepared.inputs.get(input), known) {
            (Some(Input::Present { secret, value, version }), Some(known)) if known.id == *secret => {
                SecretInput { secret: value.clone(), version: *version }
            }
            (Some(Input::Fresh { value, secret: None }), None) => {
                let secret = Secret {
                    id: value.clone(),
                    project: project.clone(),
                    resource: resource.clone(),
                    name: full,
                    output: input.clone(),
                    version: 1,
                    stored_as: None,
                    applied_as: None,
                    kept_as: None,
                    created_at: now,
                    rotated_at: now,
                };
                tx.claim(Secret::claim(project, &secret.name), &secret.id)?;
                tx.insert(&secret)?;
                SecretInput { secret: value.clone(), version: 1 }
            }
            (Some(Input::Fresh { value, secret: Some(secret) }), Some(known)) if known.id == *secret => {
                let changed = changed(tx, &known.value, resource, value, &mut replaced).await?;
                tx.replace(&known, &changed)?;
                SecretInput { secret: value.clone(), version: 1 }
            }
            // The secret came, went or became another one since.
            (Some(Input::Present { .. } | Input::Fresh { .. }) | None, Some(_) | None) => {
                return Err(tx.prepare_again());
            }
        };
        spec.values.remove(input);
        spec.secret_inputs.insert(input.clone(), reference);
    }
    if let Some(collector) = &prepared.collector {
        tx.remove_prepared::<Job>(collector.job.as_str(), &collector.version)?;
    }
    if !replaced.is_empty() {
        let owner = SecretOwner { project: project.clone(), resource: resource.clone() };
        tx.job(forget(replaced, &owner), REPLACED)?;
    }
    Ok(spec)
}

/// The secret with its new value. The value that the resource has, and the one that its state was made with, are kept until the resource
/// has the new one.
async fn changed(
    tx: &mut Tx<'_>,
    known: &Secret,
    resource: &ResourceId,
    value: &SecretId,
    replaced: &mut Vec<SecretId>,
) -> Result<Secret> {
    let keys = vec![key::<Resource>(resource.as_str()), key::<StatePointer>(resource.as_str())];
    tx.ahead(ReadBatch { keys, ..ReadBatch::default() });
    let existing = tx.read_checked::<Resource>(resource.as_str()).await?;
    let applied = existing.and_then(|resource| Some(resource.spec.secret_inputs.get(&known.output)?.secret.clone()));
    let pointer = tx.read_checked::<StatePointer>(resource.as_str()).await?;
    let kept = pointer.as_ref().and_then(|pointer| pointer.applied.as_ref());
    let kept = kept.and_then(|kept| kept.spec.secret_inputs.get(&known.output)).map(|input| &input.secret);
    let (mut applied_as, mut kept_as) = (None, None);
    for earlier in known.apart() {
        if applied.as_ref() == Some(earlier) {
            applied_as = Some(earlier.clone());
        } else if kept == Some(earlier) {
            kept_as = Some(earlier.clone());
        } else {
            replaced.push(earlier.clone());
        }
    }
    Ok(Secret {
        resource: resource.clone(),
        version: known.version + 1,
        stored_as: Some(value.clone()),
        applied_as,
        kept_as,
        rotated_at: tx.now(),
        ..known.clone()
    })
}
