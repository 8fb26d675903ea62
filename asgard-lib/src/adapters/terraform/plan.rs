//! Plans: what an approval binds to, what people see of one, and the bytes that an apply gets back.

use super::{redact::Redactor, state};
use crate::{
    domain::run::{Change, PlanSummary, PlannedChange, RunOp},
    error::{Error, Result},
    kernel::canonical::canonical,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use zeroize::Zeroizing;

/// What a plan was made from. An apply compares it with what is there now; what differs makes the plan stale.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Basis {
    module: String,
    engine: String,
    serial: u64,
    lineage: String,
    /// Salted, because inputs may be guessable secrets and the digest is shown.
    inputs: String,
}

impl Basis {
    /// The basis of a run.
    pub(crate) fn of(
        module_digest: &str,
        engine: &str,
        state: Option<&[u8]>,
        variables: &Map<String, Value>,
        salt: &[u8; 32],
    ) -> Result<Self> {
        let version = state.and_then(state::version);
        let mut inputs = Sha256::new();
        inputs.update(salt);
        inputs.update(Zeroizing::new(canonical(variables).map_err(Error::bug)?));
        Ok(Self {
            module: module_digest.to_owned(),
            engine: engine.to_owned(),
            serial: version.as_ref().map_or(0, |version| version.serial),
            lineage: version.map(|version| version.lineage).unwrap_or_default(),
            inputs: hex(&inputs.finalize()),
        })
    }

    /// What differs now, in a sentence; `None` when the plan still fits.
    pub(crate) fn differs(&self, now: &Self) -> Option<String> {
        let mut parts = Vec::new();
        if self.module != now.module {
            parts.push("the service's module was changed".to_owned());
        }
        if self.inputs != now.inputs {
            parts.push("the inputs are others".to_owned());
        }
        if (self.serial, &self.lineage) != (now.serial, &now.lineage) {
            parts.push(format!("the state moved from serial {} to {}", self.serial, now.serial));
        }
        if self.engine != now.engine {
            parts.push(format!("the engine is {} instead of {}", now.engine, self.engine));
        }
        (!parts.is_empty()).then(|| format!("Since the plan was made, {}. A new plan is needed.", parts.join(", ")))
    }

    fn digest(&self, plan: &[u8], lock: Option<&[u8]>) -> Result<String> {
        let mut hash = Sha256::new();
        hash.update(serde_json::to_vec(self).map_err(Error::bug)?);
        hash.update(Sha256::digest(plan));
        hash.update(Sha256::digest(lock.unwrap_or_default()));
        Ok(hex(&hash.finalize()))
    }
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// Everything that an apply needs. It holds secrets, as the plan file itself does, and is stored encrypted.
#[derive(Serialize, Deserialize)]
pub(super) struct Pack {
    format: u32,
    salt: String,
    /// What the plan was made from.
    pub basis: Basis,
    /// The values that the plan marks as secret, so that the apply's log hides them from its first line.
    pub secrets: BTreeSet<String>,
    plan: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lock: Option<String>,
}

const FORMAT: u32 = 1;

impl Pack {
    /// Packs a plan and the lock file of the providers that made it.
    pub(crate) fn new(
        salt: &[u8; 32],
        basis: Basis,
        secrets: BTreeSet<String>,
        plan: &[u8],
        lock: Option<&[u8]>,
    ) -> Self {
        let encode = |bytes: &[u8]| data_encoding::BASE64.encode(bytes);
        Self { format: FORMAT, salt: hex(salt), basis, secrets, plan: encode(plan), lock: lock.map(encode) }
    }

    /// The bytes to store.
    pub(crate) fn bytes(&self) -> Result<Zeroizing<Vec<u8>>> {
        serde_json::to_vec(self).map(Zeroizing::new).map_err(Error::bug)
    }

    /// Unpacks stored bytes.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self> {
        let pack: Self = serde_json::from_slice(bytes)
            .map_err(|error| Error::bug(format!("a stored plan cannot be read: {error}")))?;
        if pack.format != FORMAT {
            return Err(Error::bug(format!("a stored plan has format {}", pack.format)));
        }
        Ok(pack)
    }

    /// The salt of the inputs' digest.
    pub(crate) fn salt(&self) -> Result<[u8; 32]> {
        let salt = data_encoding::HEXLOWER.decode(self.salt.as_bytes()).ok();
        salt.and_then(|salt| salt.try_into().ok()).ok_or_else(|| Error::bug("a stored plan has no salt"))
    }

    /// The plan file.
    pub(crate) fn plan(&self) -> Result<Zeroizing<Vec<u8>>> {
        decode(&self.plan)
    }

    /// The lock file.
    pub(crate) fn lock(&self) -> Result<Option<Zeroizing<Vec<u8>>>> {
        self.lock.as_deref().map(decode).transpose()
    }

    /// What the approval binds to.
    pub(crate) fn digest(&self) -> Result<String> {
        self.basis.digest(&self.plan()?, self.lock()?.as_deref().map(Vec::as_slice))
    }
}

fn decode(text: &str) -> Result<Zeroizing<Vec<u8>>> {
    data_encoding::BASE64
        .decode(text.as_bytes())
        .map(Zeroizing::new)
        .map_err(|error| Error::bug(format!("a stored plan cannot be read: {error}")))
}

/// What a plan would do, from what `show -json` says about it: addresses and actions, never values.
pub(super) fn summary(op: RunOp, shown: &Value, redactor: &Redactor, digest: String) -> Result<PlanSummary> {
    let mut summary = PlanSummary { digest, ..PlanSummary::default() };
    for resource in shown.get("resource_changes").and_then(Value::as_array).into_iter().flatten() {
        if resource.get("mode").and_then(Value::as_str) == Some("data") {
            continue;
        }
        let address = resource.get("address").and_then(Value::as_str).unwrap_or_default();
        let change = resource.get("change").unwrap_or(&Value::Null);
        let Some(change) = action(change)? else { continue };
        let count = match change {
            Change::Create => &mut summary.create,
            Change::Update => &mut summary.update,
            Change::Replace => &mut summary.replace,
            Change::Delete => &mut summary.delete,
        };
        *count += 1;
        summary.changes.push(PlannedChange { address: redactor.text(address), change });
    }
    let outputs = shown.get("output_changes").and_then(Value::as_object).into_iter().flatten();
    for (_, output) in outputs {
        summary.outputs_changed |= actions(output) != ["no-op"];
    }
    summary.listed(op)
}

fn actions(change: &Value) -> Vec<&str> {
    change.get("actions").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect()
}

/// What a change does; `None` for nothing. An action that is not known is no plan that anybody could approve.
fn action(change: &Value) -> Result<Option<Change>> {
    let imports = change.get("importing").is_some_and(|importing| !importing.is_null());
    Ok(match actions(change).as_slice() {
        // Taking something existing into the state changes what Asgard answers for.
        ["no-op"] if imports => Some(Change::Update),
        ["no-op"] | ["read"] => None,
        ["create"] => Some(Change::Create),
        ["update"] => Some(Change::Update),
        // Forgetting leaves the thing where it is and takes it out of the state: no less grave than removing it.
        ["delete"] | ["forget"] => Some(Change::Delete),
        ["delete", "create"] | ["create", "delete"] | ["create", "forget"] => Some(Change::Replace),
        other => return Err(Error::bug(format!("a plan with the unknown actions {other:?}"))),
    })
}

#[cfg(test)]
mod tests;
