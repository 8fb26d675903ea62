//! Every periodic task, in one list; and those of the keys and of what they protect.

use super::Runtime;
use crate::{
    adapters::{Rotation, SealedVault, Step, Witness},
    app::{
        Asgard, Call,
        core::waiver::AuditWaiver,
        periodic::{
            EXPIRE, Expire, Next, Periodic, PeriodicTask, RECONCILE_RUNS, RETAIN_AUDIT, REVIEW_KEYS, REWRITE_RECORDS,
            ReconcileRuns, RetainAudit, ReviewKeys, RewriteRecords, SEAL_AUDIT, SealAudit, deletes_nothing,
        },
        rows::{KeepRows, REQUEST_ROWS, RequestRows},
    },
    error::Result,
    kernel::BlobId,
    ports::{
        kinds::Kind,
        records::{Entity, Records},
    },
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc, time::Duration};

/// A periodic task in the list: what it is, and how it is made for a runtime.
pub struct Declaration {
    /// Its name, its period and its tick.
    pub periodic: Periodic,
    make: fn(&Runtime) -> Arc<dyn PeriodicTask>,
}

impl fmt::Debug for Declaration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.periodic.fmt(f)
    }
}

/// Every shipped periodic task. The loops of a server are made from this list, and the `events` function takes the names from
/// it; `infra/template.yaml` and `infra/contract.json` are held to it by a test.
pub const PERIODIC_TASKS: &[Declaration] = &[
    Declaration {
        periodic: RECONCILE_RUNS,
        make: |runtime| {
            let period = Duration::from_secs(runtime.app().config().runs.reconcile_secs);
            Arc::new(ReconcileRuns { period })
        },
    },
    Declaration { periodic: SEAL_AUDIT, make: |_| Arc::new(SealAudit) },
    Declaration { periodic: RETAIN_AUDIT, make: |_| Arc::new(RetainAudit) },
    Declaration { periodic: REQUEST_ROWS, make: |_| Arc::<KeepRows<RequestRows>>::default() },
    Declaration { periodic: EXPIRE, make: |_| Arc::new(Expire) },
    Declaration { periodic: REWRITE_RECORDS, make: |_| Arc::new(RewriteRecords) },
    Declaration { periodic: REVIEW_KEYS, make: |_| Arc::new(ReviewKeys) },
    Declaration { periodic: ROTATE_KEYS, make: |runtime| Arc::new(RotateKeys::new(runtime.vault())) },
    Declaration { periodic: COLLECT_ORPHANS, make: |runtime| Arc::new(CollectOrphans::new(runtime.vault())) },
];

/// The shipped tasks of a runtime.
pub(super) fn shipped(runtime: &Runtime) -> impl Iterator<Item = Arc<dyn PeriodicTask>> {
    PERIODIC_TASKS.iter().map(|declaration| (declaration.make)(runtime))
}

const ROTATE_KEYS: Periodic = Periodic::every("rotate-keys", Duration::from_secs(20));
const COLLECT_ORPHANS: Periodic = Periodic::every("collect-orphans", Duration::from_secs(3600));

/// Takes the steps of a rotation that somebody started.
pub(super) struct RotateKeys {
    vault: Arc<SealedVault>,
    rotation: Rotation,
}

impl RotateKeys {
    pub(crate) fn new(vault: &Arc<SealedVault>) -> Self {
        Self { vault: Arc::clone(vault), rotation: Rotation::new(Arc::clone(vault)) }
    }
}

#[async_trait]
impl PeriodicTask for RotateKeys {
    fn declared(&self) -> Periodic {
        ROTATE_KEYS
    }

    async fn wanted(&self, _: &Arc<Asgard>) -> Result<bool> {
        self.rotation.watch();
        Ok(self.vault.keyring().is_rotating())
    }

    async fn run(&self, app: &Arc<Asgard>) -> Result<Next> {
        let witness = if app.is_fleeting() { Witness::Clock } else { Witness::Process };
        Ok(match self.rotation.step(app.cautious_now().await?, witness).await? {
            Step::Idle | Step::Waiting(_) => Next::Rest,
            Step::Activated(_) | Step::Swept { .. } | Step::Retired(_) | Step::Raced => Next::Again,
        })
    }

    /// A server has watched the time pass by itself, so a clock that jumped decides nothing. A function has the clock alone.
    async fn run_unsteadily(&self, app: &Arc<Asgard>) -> Result<Next> {
        if !app.is_fleeting() {
            return self.run(app).await;
        }
        tracing::warn!(
            "The clock jumped since a rotation of keys was last looked at, or that was hours ago; it goes on once the clock has \
             gone on evenly for an hour."
        );
        Ok(Next::Rest)
    }
}

/// Deletes blobs that a process left behind when it died between writing one and naming it. How far a round is is in the
/// store, because the next turn may be another process's. Losing it only means looking again.
pub(super) struct CollectOrphans {
    vault: Arc<SealedVault>,
}

impl CollectOrphans {
    pub(crate) fn new(vault: &Arc<SealedVault>) -> Self {
        Self { vault: Arc::clone(vault) }
    }
}

/// How far a periodic task's round is.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct OrphanProgress {
    /// The periodic task's lease.
    id: String,
    /// The last blob that was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<BlobId>,
}

impl Entity for OrphanProgress {
    const KIND: Kind = Kind::Meta;
    const NOUN: &'static str = "progress of a periodic task";
    fn record_id(&self) -> String {
        self.id.clone()
    }
}

/// Where the progress of collecting is.
const COLLECTING: &str = "loop/collect-orphans";

#[async_trait]
impl PeriodicTask for CollectOrphans {
    fn declared(&self) -> Periodic {
        COLLECT_ORPHANS
    }

    async fn run(&self, app: &Arc<Asgard>) -> Result<Next> {
        let before = app.store().read::<OrphanProgress>(COLLECTING).await?;
        let after = before.as_ref().and_then(|progress| progress.after.clone());
        let collected = self.vault.collect_orphan_blobs(app.cautious_now().await?, after.as_ref()).await?;
        if collected.deleted > 0 {
            tracing::info!(deleted = collected.deleted, "Deleted encrypted bytes that nothing names.");
        }
        let pace = if collected.next.is_some() { Next::Again } else { Next::Rest };
        if after != collected.next {
            remember(app, collected.next).await?;
        }
        Ok(pace)
    }

    async fn run_unsteadily(&self, _: &Arc<Asgard>) -> Result<Next> {
        Ok(deletes_nothing(self.name()))
    }
}

async fn remember(app: &Asgard, after: Option<BlobId>) -> Result<()> {
    let call = Call::system("loops", app.new_trace());
    let now = &OrphanProgress { id: COLLECTING.to_owned(), after };
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.waive_audit(AuditWaiver::Sweep)?;
            match tx.read_checked::<OrphanProgress>(COLLECTING).await? {
                None => tx.insert(now),
                Some(before) => tx.replace(&before, now),
            }
        })
    })
    .await
}

#[cfg(test)]
#[cfg(feature = "sqlite")]
mod tests {
    use super::*;
    use crate::{
        config::{Config, DatabaseLocation, KeySource},
        runtime::{RuntimeOptions, Supervisors},
    };
    use std::collections::BTreeSet;

    #[tokio::test]
    async fn a_task_is_what_the_list_says_of_it() {
        let runtime = Runtime::builder(Config::default())
            .database(crate::backends::Opened::new(crate::backends::MemoryStore::new()))
            .master_key(crate::config::MasterKey::new([7; 32]))
            .open()
            .await
            .unwrap();
        for (declaration, task) in PERIODIC_TASKS.iter().zip(runtime.periodic_tasks()) {
            let (listed, own) = (declaration.periodic, task.declared());
            assert_eq!((listed.name, listed.tick), (own.name, own.tick));
            assert!(listed.tick.as_secs().is_multiple_of(60), "a schedule counts in minutes: {listed:?}");
        }
        let names: BTreeSet<&str> = PERIODIC_TASKS.iter().map(|declaration| declaration.periodic.name).collect();
        assert_eq!(names.len(), runtime.periodic_tasks().len());
    }

    #[tokio::test]
    async fn a_round_goes_on_where_another_process_left_it_and_then_begins_anew() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.database.location = DatabaseLocation::Sqlite { path: folder.path().join("asgard.db") };
        config.keys.source = KeySource::GeneratedFile { path: folder.path().join("asgard.db.key") };
        let runtime = Runtime::open(&config, RuntimeOptions::server(&config, Supervisors::none())).await.unwrap();
        let app = runtime.app();
        let task = CollectOrphans::new(runtime.vault());
        assert_eq!(task.run(app).await.unwrap(), Next::Rest);
        assert!(
            app.store().read::<OrphanProgress>(COLLECTING).await.unwrap().is_none(),
            "a round in one turn writes nothing"
        );

        // More blobs than a turn looks at, all of them a day old and of nobody.
        let long_ago = app.world().now().minus(Duration::from_secs(3 * 86_400));
        for _ in 0..40 {
            let blob = app.world().id::<BlobId>();
            runtime.database().blobs.put(&blob, b"of nobody", long_ago).await.unwrap();
        }
        assert_eq!(task.run(app).await.unwrap(), Next::Again);
        let progress = app.store().read::<OrphanProgress>(COLLECTING).await.unwrap().unwrap();
        assert!(progress.after.is_some());
        let elsewhere = CollectOrphans::new(runtime.vault());
        assert_eq!(elsewhere.run(app).await.unwrap(), Next::Rest, "it goes on with the rest");
        assert_eq!(app.store().read::<OrphanProgress>(COLLECTING).await.unwrap().unwrap().after, None);
        runtime.close().await;
    }
}
