//! The ports on one redb file.

use crate::{
    batch,
    expiry::expire,
    fault::Fault,
    page::page,
    tables::{BLOB_TIMES, BLOBS, CLAIMS, COUNTERS, LAYOUT, RECORDS, Tables, entries_of, record},
};
use asgard_lib::{
    Code, Error,
    backends::Upkeep,
    kernel::Timestamp,
    ports::store::{Batch, Found, Key, Outcome, Query, Record, Store, StoreError},
};
use async_trait::async_trait;
use redb::{Database, DatabaseError, ReadTransaction, ReadableDatabase, StorageBackend, WriteTransaction};
use std::{
    fs::{File, OpenOptions},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};
use tokio::{sync::Mutex, task::spawn_blocking};

/// The layout that this build reads and writes; a change of `tables.rs` that an old file does not fit is a new number.
const LAYOUT_NOW: u64 = 1;
const LAYOUT_KEY: &str = "layout";

/// A store and blobs in one redb file. Clones share it. redb lets one process open a file.
#[derive(Clone)]
pub struct RedbStore(Arc<Inner>);

struct Inner {
    path: PathBuf,
    /// Empty once it was closed. Whoever is in the middle of something holds the database that little bit longer.
    database: RwLock<Option<Arc<Database>>>,
    /// redb has one writer, who waits on a thread. Waiting here takes none.
    turn: Arc<Mutex<()>>,
}

/// What a write came to.
pub(crate) enum Change<T> {
    /// Something to commit.
    Made(T),
    /// Nothing was changed.
    None(T),
}

impl RedbStore {
    /// Opens the file, and makes it, readable by its owner only, when it is not there.
    ///
    /// # Errors
    ///
    /// A file that cannot be opened, is another program's, or is open in another process.
    pub async fn open(path: &Path) -> Result<Self, Error> {
        let path = path.to_owned();
        let opening = spawn_blocking(move || {
            let file = file(&path).map_err(|error| unusable(&path, error))?;
            let backend = redb::backends::FileBackend::new(file).map_err(|error| unusable(&path, error))?;
            Self::on(backend, &path)
        });
        opening.await.map_err(Error::bug)?
    }

    /// Opens what `backend` keeps and `path` names: for tests whose disk fails.
    ///
    /// # Errors
    ///
    /// As [`RedbStore::open`].
    pub fn on(backend: impl StorageBackend, path: &Path) -> Result<Self, Error> {
        let database = Database::builder().create_with_backend(backend).map_err(|error| unusable(path, error))?;
        let inner = Inner {
            path: path.to_owned(),
            database: RwLock::new(Some(Arc::new(database))),
            turn: Arc::new(Mutex::new(())),
        };
        Ok(Self(Arc::new(inner)))
    }

    fn database(&self) -> Result<Arc<Database>, StoreError> {
        let open = self.0.database.read().unwrap_or_else(PoisonError::into_inner).clone();
        open.ok_or_else(|| StoreError::Unavailable("the database was closed".into()))
    }

    /// Looks at one moment of the database, on a thread that may wait for the disk.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&ReadTransaction) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let database = self.database()?;
        let looking = spawn_blocking(move || look(&database.begin_read().map_err(Fault::from)?));
        looking.await.map_err(|error| StoreError::Unavailable(error.into()))?.map_err(|fault| fault.0)
    }

    /// Changes the database in one transaction, which is on the disk when this returns. A caller who goes away changes
    /// nothing about that: what has begun is finished.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<Change<T>, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let turn = Arc::clone(&self.0.turn).lock_owned().await;
        let database = self.database()?;
        let changing = spawn_blocking(move || {
            let _turn = turn;
            let transaction = database.begin_write().map_err(Fault::from)?;
            match change(&transaction)? {
                Change::None(answer) => Ok(answer),
                // What failed may have reached the disk all the same.
                Change::Made(answer) => {
                    transaction.commit().map(|()| answer).map_err(|error| Fault(StoreError::Unknown(error.into())))
                }
            }
        });
        changing.await.map_err(|error| StoreError::Unknown(error.into()))?.map_err(|fault| fault.0)
    }

    /// The layout of the file, and 0 for a file that has none yet.
    async fn layout(&self) -> Result<u64, Error> {
        let layout = self.read(|transaction| match transaction.open_table(LAYOUT) {
            Ok(table) => Ok(table.get(LAYOUT_KEY)?.map_or(0, |layout| layout.value())),
            Err(redb::TableError::TableDoesNotExist(_)) => Ok(0),
            Err(error) => Err(error.into()),
        });
        let layout = layout.await.map_err(|error| unusable(&self.0.path, error))?;
        if layout > LAYOUT_NOW {
            let message = format!(
                "{} has layout {layout} and this build knows {LAYOUT_NOW}: run a newer one.",
                self.0.path.display()
            );
            return Err(Error::new(Code::Config, message));
        }
        Ok(layout)
    }
}

/// Opens or makes the file for its owner only, and makes a new one's name as durable as what it will hold.
fn file(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        File::open(folder)?.sync_all()?;
    }
    Ok(file)
}

fn unusable(path: &Path, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    let error = error.into();
    let why = match error.downcast_ref::<DatabaseError>() {
        Some(DatabaseError::DatabaseAlreadyOpen) => "another process has it open".to_owned(),
        Some(_) | None => error.to_string(),
    };
    Error::new(Code::Config, format!("The database {} cannot be used: {why}.", path.display())).caused_by(error)
}

#[async_trait]
impl Store for RedbStore {
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        Batch::check_reads(keys)?;
        let keys = keys.to_vec();
        self.read(move |transaction| {
            let rows = transaction.open_table(RECORDS)?;
            keys.into_iter()
                .map(|key| {
                    let row = rows.get((key.kind.name(), key.id.as_str()))?;
                    row.map(|row| record(key, row.value())).transpose()
                })
                .collect()
        })
        .await
    }

    async fn query(&self, query: &Query) -> Result<Found, StoreError> {
        query.check()?;
        let query = query.clone();
        self.read(move |transaction| page(transaction, &query)).await
    }

    async fn commit(&self, batch: &Batch) -> Result<Outcome, StoreError> {
        let entries = entries_of(batch.ops())?;
        let batch = batch.clone();
        self.write(move |transaction| {
            let (outcome, changed) = batch::commit(&mut Tables::open(transaction)?, &batch, &entries)?;
            Ok(if changed { Change::Made(outcome) } else { Change::None(outcome) })
        })
        .await
    }

    async fn holder(&self, name: &str) -> Result<Option<String>, StoreError> {
        let name = name.to_owned();
        self.read(move |transaction| {
            let claims = transaction.open_table(CLAIMS)?;
            Ok(claims.get(name.as_str())?.map(|owner| owner.value().to_owned()))
        })
        .await
    }

    async fn counter(&self, name: &str) -> Result<i64, StoreError> {
        let name = name.to_owned();
        self.read(move |transaction| {
            let counters = transaction.open_table(COUNTERS)?;
            Ok(counters.get(name.as_str())?.map_or(0, |row| row.value().0))
        })
        .await
    }

    async fn increment(&self, counter: &str) -> Result<i64, StoreError> {
        let counter = counter.to_owned();
        self.write(move |transaction| {
            let mut tables = Tables::open(transaction)?;
            let (value, expires_at) = tables.counter(&counter)?;
            let value = value.checked_add(1).ok_or_else(|| Fault::corrupt("a counter is full"))?;
            tables.set_counter(&counter, value, expires_at.as_deref())?;
            Ok(Change::Made(value))
        })
        .await
    }

    async fn note(&self, key: &Key, at: Timestamp) -> Result<(), StoreError> {
        let key = key.clone();
        self.write(move |transaction| {
            let mut tables = Tables::open(transaction)?;
            let Some(noted) = tables.get(&key)? else { return Ok(Change::None(())) };
            tables.write(&Record { noted_at: Some(at), ..noted })?;
            Ok(Change::Made(()))
        })
        .await
    }

    async fn expire(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        self.write(move |transaction| match expire(&mut Tables::open(transaction)?, now, limit)? {
            0 => Ok(Change::None(0)),
            deleted => Ok(Change::Made(deleted)),
        })
        .await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.read(|transaction| transaction.open_table(LAYOUT).map(|_| ()).map_err(Fault::from)).await
    }
}

#[async_trait]
impl Upkeep for RedbStore {
    async fn migrate(&self) -> Result<(), Error> {
        if self.layout().await? == LAYOUT_NOW {
            return Ok(());
        }
        let made = self.write(|transaction| {
            drop(Tables::open(transaction)?);
            transaction.open_table(BLOBS)?;
            transaction.open_table(BLOB_TIMES)?;
            transaction.open_table(LAYOUT)?.insert(LAYOUT_KEY, LAYOUT_NOW)?;
            Ok(Change::Made(()))
        });
        made.await.map_err(|error| unusable(&self.0.path, error))
    }

    async fn check_migrated(&self) -> Result<(), Error> {
        if self.layout().await? == LAYOUT_NOW {
            return Ok(());
        }
        let message = format!("The database {} has no tables yet: migrate it first.", self.0.path.display());
        Err(Error::new(Code::Config, message))
    }

    async fn close(&self) {
        // After the writer, whose work is on the disk then.
        let _turn = self.0.turn.lock().await;
        let database = self.0.database.write().unwrap_or_else(PoisonError::into_inner).take();
        // Closing writes what makes the next start quick.
        drop(spawn_blocking(move || drop(database)).await);
    }

    fn place(&self) -> String {
        format!("redb, {}", self.0.path.display())
    }

    fn file(&self) -> Option<&Path> {
        Some(&self.0.path)
    }
}
