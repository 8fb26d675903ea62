//! Outputs of an apply: secret ones go to the secret store before the commit that names them, the rest to the record.

use super::claimed_run::ClaimedRun;
use crate::{
    app::{
        Asgard, Call, Tx,
        core::waiver::AuditWaiver,
        services::{Service, kept::judged_by},
    },
    domain::{
        job::{ForgottenSecret, Job, Work},
        request::{Command, Produced},
        resource::{Resource, ResourceStatus, SecretRef, StatePointer},
        run::listed,
        secret::{Secret, SecretOwner},
        service::Manifest,
    },
    error::{Code, Error, Kind, Result},
    kernel::{ResourceId, SecretId, SecretText},
    ports::{
        records::{Records, store_error},
        runner::OutputValue,
    },
};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// The most bytes of plain outputs.
const MAX_BYTES: usize = 128 * 1024;
/// How many secrets one ending makes or removes, at two items of its batch each. The rest is removed by a job.
const AT_ONCE: usize = 30;
/// How many versions left by attempts that were never committed are stepped over.
const MAX_LEFTOVERS: u32 = 50;

/// What an apply produced, with every secret value stored.
#[derive(Clone)]
pub(super) struct Prepared {
    pub(super) produced: Produced,
    secrets: Vec<Stored>,
}

/// A secret output whose value is in the secret store as `version`.
#[derive(Clone)]
struct Stored {
    id: SecretId,
    output: String,
    name: String,
    version: u32,
}

/// The id of a resource's secret output. It follows from what it is for, so that an attempt that was cut short and the next
/// one mean the same secret.
fn secret_id(resource: &Resource, output: &str) -> SecretId {
    let mut hash = Sha256::new();
    for part in [resource.project.as_str(), resource.id.as_str(), output] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    SecretId::from_digest(&hash.finalize().into())
}

/// Sorts the outputs and stores the secret values. Doing it twice is like doing it once. Everything was made by then, so what cannot be
/// kept is named and the rest is kept.
pub(super) async fn prepare(
    claimed_run: &ClaimedRun,
    resource: &Resource,
    service: Option<&Arc<Service>>,
    outputs: &BTreeMap<String, OutputValue>,
) -> Result<Prepared> {
    let app = claimed_run.app();
    let given = |name: &str| outputs.get(name).is_some_and(|output| !output.value.is_null());
    let missing = service.map(|service| service.manifest.missing_outputs(given)).unwrap_or_default();
    let mut left = Vec::new();
    if !missing.is_empty() {
        left.push(format!(
            "the module gave no output {}, which its manifest declares; correct the module, or declare the output `optional`",
            quoted(missing)
        ));
    }
    let is_declared =
        |name: &str| service.and_then(|service| service.manifest.outputs.get(name)).map(|output| output.secret);
    let mut plain = Map::new();
    let mut secrets = Vec::new();
    for (name, output) in outputs {
        if !(is_declared(name) == Some(true) || output.sensitive) {
            plain.insert(name.clone(), output.value.clone());
        } else if let Some(text) = secret_text(&output.value)? {
            secrets.push((name, text));
        }
    }
    // What the manifest declares comes before what the module gives besides.
    secrets.sort_by_key(|(name, _)| is_declared(name).is_none());
    let beyond: Vec<&String> =
        secrets.drain(Manifest::MAX_SECRET_OUTPUTS.min(secrets.len())..).map(|(name, _)| name).collect();
    if !beyond.is_empty() {
        let most = Manifest::MAX_SECRET_OUTPUTS;
        left.push(format!("at most {most} secret outputs are kept, and {} are more", quoted(beyond)));
    }
    let large = without_largest(&mut plain, |name| is_declared(name).is_some())?;
    if !large.is_empty() {
        left.push(format!("at most {} KiB of outputs are kept, and {} are too large", MAX_BYTES >> 10, quoted(&large)));
    }
    let mut secret_refs = BTreeMap::new();
    let mut stored = Vec::new();
    for (output, value) in secrets {
        let (id, name) = (secret_id(resource, output), resource.secret_name(output));
        let holder = app.store().holder(&Secret::claim(&resource.project, &name)).await.map_err(store_error)?;
        if holder.is_some_and(|holder| holder != id.as_str()) {
            left.push(format!(
                "the output `{output}` has the name of a sensitive input, and a secret called {name} is there already"
            ));
            continue;
        }
        let version = match put(app, &id, &value, &resource.owner()).await {
            Ok(version) => version,
            Err(error) if error.kind() == Kind::Invalid => {
                left.push(format!("the secret store does not take the output `{output}`: {}", error.message()));
                continue;
            }
            Err(error) => return Err(error),
        };
        secret_refs.insert(output.clone(), SecretRef { secret_id: id.clone(), name: name.clone() });
        stored.push(Stored { id, output: output.clone(), name, version });
    }
    let missing = (!left.is_empty()).then(|| {
        let what: String = left.join("; ").chars().take(MAX_TOLD).collect();
        format!("It is done, but {what}. What there is was kept. Correct the module or its manifest, and retry the resource.")
    });
    let produced = Produced { outputs: plain, secret_refs, missing, dry_run: app.runner().is_dry() };
    Ok(Prepared { produced, secrets: stored })
}

/// How much is told of what could not be kept.
const MAX_TOLD: usize = 2000;

fn quoted(names: impl IntoIterator<Item = impl std::fmt::Display>) -> String {
    listed(names.into_iter().map(|name| format!("`{name}`"))).join(", ")
}

/// Takes out the largest outputs, those that the manifest does not declare first, until the rest can be kept. Returns their names.
fn without_largest(plain: &mut Map<String, Value>, is_declared: impl Fn(&str) -> bool) -> Result<Vec<String>> {
    let length = |value: &Value| serde_json::to_vec(value).map(|bytes| bytes.len()).map_err(Error::bug);
    let mut sizes = Vec::with_capacity(plain.len());
    for (name, value) in plain.iter() {
        sizes.push((is_declared(name), std::cmp::Reverse(length(value)? + name.len() + 4), name.clone()));
    }
    let mut total: usize = sizes.iter().map(|(_, size, _)| size.0).sum();
    sizes.sort();
    let mut out = Vec::new();
    for (_, size, name) in sizes {
        if total <= MAX_BYTES {
            break;
        }
        total -= size.0;
        plain.remove(&name);
        out.push(name);
    }
    Ok(out)
}

/// A secret's text; `None` when there is no value.
fn secret_text(value: &Value) -> Result<Option<SecretText>> {
    Ok(match value {
        Value::Null => None,
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(SecretText::new(text.as_str())),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Some(SecretText::new(serde_json::to_string(value).map_err(Error::bug)?))
        }
    })
}

/// Stores a value and returns its version: the present one when the value has not changed.
async fn put(app: &Asgard, id: &SecretId, value: &SecretText, owner: &SecretOwner) -> Result<u32> {
    let present = app.store().read::<Secret>(id.as_str()).await?.map_or(0, |secret| secret.value.version);
    if present > 0 && app.secrets().get(id, present, owner).await?.is_some_and(|stored| stored.same(value.reveal())) {
        return Ok(present);
    }
    for version in present + 1..=present + MAX_LEFTOVERS {
        match app.secrets().put(id, version, value, owner).await {
            Ok(()) => return Ok(version),
            // An attempt that was cut short left another value here; nobody was ever told of it.
            Err(error) if error.code() == Code::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::bug(format!("the secret store refuses every version of {id} after {present}")))
}

/// Writes the secrets' metadata, and removes that of outputs which are gone. Returns what may be forgotten afterwards, and the secrets
/// that are still to be removed.
pub(super) async fn write(
    tx: &mut Tx<'_>,
    resource: &Resource,
    prepared: &Prepared,
) -> Result<(Vec<ForgottenSecret>, Vec<SecretId>)> {
    let now = tx.now();
    let (mut forget, mut added) = (Vec::new(), 0);
    for Stored { id, output, name, version } in &prepared.secrets {
        match tx.read_checked::<Secret>(id.as_str()).await? {
            None => {
                let secret = Secret {
                    id: id.clone(),
                    project: resource.project.clone(),
                    resource: resource.id.clone(),
                    name: name.clone(),
                    output: output.clone(),
                    version: *version,
                    stored_as: None,
                    applied_as: None,
                    kept_as: None,
                    created_at: now,
                    rotated_at: now,
                };
                added += 1;
                tx.insert(&secret)?;
                tx.claim(Secret::claim(&resource.project, name), id)?;
            }
            Some(old) if old.value.version == *version => {}
            Some(old) => {
                tx.replace(&old, &Secret { version: *version, rotated_at: now, ..old.value.clone() })?;
                // Whoever has just read the metadata can still read the value that it names.
                if let Some(through) = old.value.version.checked_sub(1).filter(|through| *through > 0) {
                    forget.push(ForgottenSecret { id: id.clone(), through, owner: Some(resource.owner()) });
                }
            }
        }
    }
    let gone = resource.secret_refs.iter().filter(|(output, _)| !prepared.produced.secret_refs.contains_key(*output));
    let gone = gone.map(|(_, reference)| reference.secret_id.clone()).collect();
    let later = remove_some(tx, resource, gone, AT_ONCE.saturating_sub(added), &mut forget).await?;
    Ok((forget, later))
}

/// Removes as many secrets as still fit into the commit, and returns the others.
async fn remove_some(
    tx: &mut Tx<'_>,
    resource: &Resource,
    mut secrets: Vec<SecretId>,
    fit: usize,
    forget: &mut Vec<ForgottenSecret>,
) -> Result<Vec<SecretId>> {
    let later = secrets.split_off(fit.min(secrets.len()));
    for id in &secrets {
        forget.extend(remove(tx, resource, id).await?);
    }
    Ok(later)
}

/// Removes the secrets of a resource that is destroyed, those that came in as inputs included. Returns what may be forgotten afterwards, and the secrets that do not fit into the commit.
pub(crate) async fn remove_all(tx: &mut Tx<'_>, resource: &Resource) -> Result<(Vec<ForgottenSecret>, Vec<SecretId>)> {
    let mut secrets: BTreeSet<SecretId> =
        resource.secret_refs.values().map(|reference| reference.secret_id.clone()).collect();
    let service = judged_by(tx, &Command::Deprovision, resource).await?;
    let sensitive = service.iter().flat_map(|service| service.manifest.sensitive_inputs.iter().cloned());
    let mut inputs: BTreeSet<String> = sensitive.collect();
    inputs.extend(resource.spec.secret_inputs.keys().cloned());
    let pointer = tx.read::<StatePointer>(resource.id.as_str()).await?;
    let applied = pointer.as_ref().and_then(|pointer| pointer.applied.as_ref());
    inputs.extend(applied.iter().flat_map(|applied| applied.spec.secret_inputs.keys().cloned()));
    for input in &inputs {
        let holder = tx.holder(&Secret::claim(&resource.project, &resource.secret_name(input))).await?;
        secrets.extend(holder.and_then(|id| id.parse().ok()));
    }
    let mut forget = Vec::new();
    let later = remove_some(tx, resource, secrets.into_iter().collect(), AT_ONCE, &mut forget).await?;
    Ok((forget, later))
}

/// Removes secrets that a resource does not have any more, one commit for each. One that it has again by now stays.
pub(crate) async fn drop_secrets(app: &Asgard, job: &Job, resource: &ResourceId, secrets: &[SecretId]) -> Result<()> {
    let call = Call::system("worker", job.trace.clone());
    for id in secrets {
        app.transact(&call, |tx| {
            Box::pin(async move {
                tx.waive_audit(AuditWaiver::DroppedSecrets)?;
                let of = tx.need::<Resource>(resource.as_str()).await?;
                let has_it = of.status != ResourceStatus::Destroyed
                    && (of.secret_refs.values().any(|reference| reference.secret_id == *id)
                        || of.spec.secret_inputs.values().any(|used| used.secret == *id));
                if has_it {
                    return Ok(());
                }
                let secrets = remove(tx, &of, id).await?;
                if !secrets.is_empty() {
                    tx.job(Work::Forget { sealed: Vec::new(), secrets }, Duration::ZERO)?;
                }
                Ok(())
            })
        })
        .await?;
    }
    Ok(())
}

/// Removes a secret of a resource. Returns the values that may be forgotten afterwards.
async fn remove(tx: &mut Tx<'_>, resource: &Resource, id: &SecretId) -> Result<Vec<ForgottenSecret>> {
    let found = tx.read_checked::<Secret>(id.as_str()).await?;
    let Some(secret) = found.filter(|secret| secret.resource == resource.id) else { return Ok(Vec::new()) };
    tx.release(Secret::claim(&resource.project, &secret.name), id)?;
    tx.remove(&secret)?;
    // A version above the present one may have been stored by an attempt that was cut short.
    let owner = Some(secret.owner());
    let own = ForgottenSecret { id: id.clone(), through: secret.value.version + MAX_LEFTOVERS, owner: owner.clone() };
    let apart = secret.apart().cloned();
    Ok(std::iter::once(own).chain(apart.map(|id| ForgottenSecret { id, through: 1, owner: owner.clone() })).collect())
}
