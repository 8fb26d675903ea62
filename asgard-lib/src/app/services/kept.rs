//! Modules that were applied, kept by digest for as long as a state was made with them. Comparing and removing what exists needs what
//! it was made with, and not what the catalogue says by now.
//!
//! A module is kept in the commit that says that its plan begins to be applied, before anything is changed. The run's reference goes
//! over to the resource's state with the first state that the run stores. References are counted: the commit that makes or drops one
//! counts it, and a module is removed in a commit that requires the count to be 0. So no module is removed that anything refers to.

use super::Service;
use crate::{
    app::{Asgard, Call, Reads, Tx, core::waiver::AuditWaiver},
    domain::{
        job::{Job, Work},
        request::Command,
        resource::{KeptModule, Resource, StatePointer},
        service::Manifest,
    },
    error::{Code, Error, Result},
    kernel::{RunId, Timestamp},
    ports::{
        records::Records,
        store::{Count, Draft},
    },
};
use data_encoding::{BASE64, HEXLOWER};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use zeroize::Zeroizing;

/// A module as it was applied.
pub(crate) struct Kept {
    /// Manifest and files.
    pub service: Arc<Service>,
    /// The lock file of the providers that applied it.
    pub lock: Option<Vec<u8>>,
}

/// What is sealed.
#[derive(Serialize, Deserialize)]
struct Packed {
    format: u32,
    /// The service's own digest.
    service: String,
    manifest: Manifest,
    files: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lock: Option<String>,
}

const FORMAT: u32 = 1;

/// A module that is to be kept.
pub(crate) struct Package<'a> {
    /// What it is kept by.
    pub digest: String,
    service: &'a Service,
    lock: Option<&'a [u8]>,
    size: usize,
}

/// The bytes of manifest and files. Refuses a manifest that is too large.
fn size(service: &Service) -> Result<usize> {
    let manifest = serde_json::to_vec(&service.manifest).map_err(Error::bug)?.len();
    if manifest > KeptModule::MAX_MANIFEST {
        let message = format!(
            "The manifest of service {} has {} KB, and at most {} KB are kept with what is made by it. Shorten its descriptions and its schema.",
            service.manifest.id,
            manifest.div_ceil(1 << 10),
            KeptModule::MAX_MANIFEST >> 10
        );
        return Err(Error::new(Code::RunnerFailed, message));
    }
    Ok(service.files.iter().fold(manifest, |all, (name, bytes)| all + name.len() + bytes.len()))
}

/// Refuses a module that is too large to be kept.
pub(crate) fn check_size(service: &Service) -> Result<()> {
    within(service, size(service)?)
}

fn within(service: &Service, size: usize) -> Result<()> {
    if size <= KeptModule::MAX_BYTES {
        return Ok(());
    }
    let (id, most) = (&service.manifest.id, KeptModule::MAX_BYTES >> 20);
    let message = format!(
        "The module of service {id} has {} MB of files, and at most {most} MB are kept with what is made by it. Take large files out of the module's folder, and let the module fetch them.",
        size.div_ceil(1 << 20)
    );
    Err(Error::new(Code::RunnerFailed, message))
}

impl<'a> Package<'a> {
    /// The module of a service, with the lock file of the providers that apply it.
    pub(crate) fn of(service: &'a Service, lock: Option<&'a [u8]>) -> Result<Self> {
        let size = size(service)? + lock.map_or(0, <[u8]>::len);
        within(service, size)?;
        let mut hash = Sha256::new();
        hash.update(service.digest.as_bytes());
        hash.update([u8::from(lock.is_some())]);
        hash.update(Sha256::digest(lock.unwrap_or_default()));
        Ok(Self { digest: HEXLOWER.encode(&hash.finalize()), service, lock, size })
    }

    fn sealed_id(&self, run: &RunId) -> String {
        // Of its own for each run: what was removed under the digest is forgotten later, and must not be what is kept anew by then.
        format!("module/{}/{run}", self.digest)
    }

    /// Seals it for a run, unless it is kept already. What is sealed and never committed is collected with other orphans.
    pub(crate) async fn sealed(&self, app: &Asgard, run: &RunId) -> Result<Option<Draft>> {
        if app.store().read::<KeptModule>(&KeptModule::id(&self.digest)).await?.is_some() {
            return Ok(None);
        }
        let encoded = self.service.files.iter().map(|(name, bytes)| (name.clone(), BASE64.encode(bytes)));
        let packed = Packed {
            format: FORMAT,
            service: self.service.digest.clone(),
            manifest: self.service.manifest.clone(),
            files: encoded.collect(),
            lock: self.lock.map(|lock| BASE64.encode(lock)),
        };
        let bytes = Zeroizing::new(serde_json::to_vec(&packed).map_err(Error::bug)?);
        app.vault().prepare(&self.sealed_id(run), &context(&self.digest), &bytes).await.map(Some)
    }

    /// Makes the run refer to it, and keeps it if it is not there. `false` when it is neither there nor sealed: then it was removed a
    /// moment ago, and has to be sealed.
    pub(crate) async fn hold(&self, tx: &mut Tx<'_>, run: &RunId, sealed: Option<&Draft>) -> Result<bool> {
        match (tx.read_checked::<KeptModule>(&KeptModule::id(&self.digest)).await?, sealed) {
            (Some(_), _) => {}
            (None, Some(draft)) => {
                tx.insert_draft(draft.clone())?;
                tx.insert(&self.record(run, tx.now()))?;
            }
            (None, None) => return Ok(false),
        }
        tx.count(count(&self.digest, 1))?;
        Ok(true)
    }

    fn record(&self, run: &RunId, at: Timestamp) -> KeptModule {
        KeptModule {
            digest: self.digest.clone(),
            service: self.service.digest.clone(),
            manifest: self.service.manifest.clone(),
            sealed: self.sealed_id(run),
            size: u64::try_from(self.size).unwrap_or(u64::MAX),
            at,
        }
    }
}

fn context(digest: &str) -> String {
    format!("module|{digest}")
}

const fn counted(counter: String, delta: i64, ceiling: Option<i64>) -> Count {
    Count { counter, delta, floor: None, ceiling, expires_at: None }
}

fn count(digest: &str, delta: i64) -> Count {
    counted(KeptModule::id(digest), delta, None)
}

/// Drops one of two references that come from the same resource.
pub(crate) fn drop_second(tx: &mut Tx<'_>, digest: &str) -> Result<()> {
    tx.count(count(digest, -1))
}

/// Drops a reference, and has the module removed if it was the last one.
pub(crate) fn release(tx: &mut Tx<'_>, digest: &str) -> Result<()> {
    drop_second(tx, digest)?;
    tx.job(Work::CollectModule { module: digest.to_owned() }, Duration::ZERO).map(|_| ())
}

/// Removes a module that nothing refers to.
pub(crate) async fn collect(app: &Asgard, job: &Job, digest: &str) -> Result<()> {
    let call = Call::system("worker", job.trace.clone());
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.waive_audit(AuditWaiver::CollectedModule)?;
            let id = KeptModule::id(digest);
            let Some(kept) = tx.read_checked::<KeptModule>(&id).await? else { return Ok(()) };
            if tx.counter(&id).await? > 0 {
                return Ok(());
            }
            tx.remove(&kept)?;
            // Looking decides nothing: whoever refers to it by now has counted.
            tx.count(counted(id, 0, Some(0)))?;
            tx.job(Work::Forget { sealed: vec![kept.value.sealed], secrets: Vec::new() }, Duration::ZERO).map(|_| ())
        })
    })
    .await
}

/// A kept module.
pub(crate) async fn read(app: &Asgard, digest: &str) -> Result<Kept> {
    let fault = |why: &str| Error::bug(format!("the kept module {digest} {why}"));
    let kept = app.store().read::<KeptModule>(&KeptModule::id(digest)).await?.ok_or_else(|| fault("is gone"))?;
    let bytes = app.vault().read(&kept.sealed, &context(digest)).await?.ok_or_else(|| fault("has lost its bytes"))?;
    let packed: Packed = serde_json::from_slice(&bytes).map_err(|error| fault(&format!("cannot be read: {error}")))?;
    if packed.format != FORMAT {
        return Err(fault(&format!("has format {}", packed.format)));
    }
    let decode = |text: String| BASE64.decode(text.as_bytes()).map_err(|error| fault(&format!("is damaged: {error}")));
    let files = packed.files.into_iter().map(|(name, text)| Ok((name, decode(text)?))).collect::<Result<_>>()?;
    let lock = packed.lock.map(decode).transpose()?;
    Ok(Kept { service: Arc::new(Service::kept(packed.manifest, files, packed.service)?), lock })
}

/// The service that policy weighs a command with: the catalogue's. Where that has none any more, removing is weighed with the manifest
/// that the resource was last applied with. That one comes without files: a decision reads nothing that is sealed.
pub(crate) async fn judged_by(
    reads: &Reads<'_>,
    command: &Command,
    resource: &Resource,
) -> Result<Option<Arc<Service>>> {
    if let Some(service) = reads.app().services().get(&resource.service) {
        return Ok(Some(Arc::clone(service)));
    }
    match command {
        Command::Provision { .. } | Command::RotateSecrets => return Ok(None),
        Command::Deprovision => {}
    }
    let pointer = reads.read::<StatePointer>(resource.id.as_str()).await?;
    let Some(made) = pointer.as_ref().and_then(|pointer| pointer.made_with()) else { return Ok(None) };
    let kept = reads.read::<KeptModule>(&KeptModule::id(&made.module)).await?;
    kept.map(|kept| Service::kept(kept.value.manifest, BTreeMap::new(), kept.value.service).map(Arc::new)).transpose()
}
