//! Inputs that a manifest marks sensitive: their values go to the secret store, and what is committed is a reference.

use crate::{
    app::{Tx, runs, services::Service},
    domain::secret::Secret,
    error::{Code, Error, Result},
    kernel::{ProjectId, ResourceId, ResourceName, SecretText},
};
use serde_json::{Map, Value};

/// How often a version is skipped that an attempt which never committed has used.
const MAX_SKIPS: u32 = 8;

/// Replaces the values of sensitive inputs by references. The values are in the secret store before anything is committed;
/// one whose request never is committed stays there unnamed until the resource goes.
pub(crate) async fn take_inputs(
    tx: &mut Tx<'_>,
    project: &ProjectId,
    resource: &ResourceId,
    service: &Service,
    name: &ResourceName,
    mut spec: Map<String, Value>,
) -> Result<Map<String, Value>> {
    for input in &service.manifest.sensitive_inputs {
        let Some(value) = spec.get_mut(input) else { continue };
        let text = match &*value {
            Value::String(text) => SecretText::new(text.as_str()),
            Value::Null => continue,
            Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                return Err(Error::invalid(format!("spec.{input}"), "A sensitive input is text."));
            }
        };
        let full = format!("{}.{name}.{input}", service.manifest.id);
        *value = keep(tx, project, resource, input, full, &text).await?;
    }
    Ok(spec)
}

async fn keep(
    tx: &mut Tx<'_>,
    project: &ProjectId,
    resource: &ResourceId,
    input: &str,
    name: String,
    text: &SecretText,
) -> Result<Value> {
    let store = tx.app().secrets();
    let known = match tx.holder(&Secret::claim(project, &name)).await? {
        Some(id) => tx.read_checked::<Secret>(&id).await?,
        None => None,
    };
    let now = tx.now();
    let Some(known) = known else {
        let secret = Secret {
            id: tx.id(),
            project: project.clone(),
            resource: resource.clone(),
            name,
            output: input.to_owned(),
            version: 1,
            created_at: now,
            rotated_at: now,
        };
        store.put(&secret.id, 1, text, project).await?;
        tx.claim(Secret::claim(project, &secret.name), &secret.id)?;
        tx.insert(&secret)?;
        return Ok(runs::secret_input(&secret.id, 1));
    };
    let present = known.value.version;
    if store.get(&known.id, present).await?.is_some_and(|value| value.same(text.reveal())) {
        return Ok(runs::secret_input(&known.id, present));
    }
    let mut version = present + 1;
    while let Err(error) = store.put(&known.id, version, text, project).await {
        // An attempt that never committed has stored another value under this version.
        version += 1;
        if error.code() != Code::AlreadyExists {
            return Err(error);
        }
        if version > present + MAX_SKIPS {
            return Err(Error::new(Code::Busy, "The secret store does not take the value. Try again in a moment.")
                .retry_after(5));
        }
    }
    tx.replace(&known, &Secret { version, rotated_at: now, ..known.value.clone() })?;
    Ok(runs::secret_input(&known.id, version))
}
