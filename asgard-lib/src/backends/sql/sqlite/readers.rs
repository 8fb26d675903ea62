//! Connections that read. Looking up a few keys costs microseconds in a file that the system has in memory, a hundredth of
//! what handing it to another thread and back costs; so it is done on the spot. What may take longer is not: pages and
//! blobs, and a glance that finds the file locked.

use super::{closed, failed, open::connect, primary_code};
use crate::ports::store::StoreError;
use rusqlite::Connection;
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::Semaphore;

const BUSY: i32 = 5;
const LOCKED: i32 = 6;

/// The readers of one file.
pub(super) struct Readers(Arc<Shared>);

struct Shared {
    path: PathBuf,
    /// Connections that nobody uses; `None` once closed.
    idle: Mutex<Option<Vec<Connection>>>,
    /// How many long reads run at the same time, and how many idle connections are kept.
    most: u32,
    room: Semaphore,
    patience: Duration,
}

impl Readers {
    pub(crate) fn open(path: PathBuf, most: u32, patience: Duration) -> rusqlite::Result<Self> {
        let first = connect(&path, true)?;
        let room = Semaphore::new(most as usize);
        Ok(Self(Arc::new(Shared { path, idle: Mutex::new(Some(vec![first])), most, room, patience })))
    }

    /// Reads little, here and now; where the file is locked, apart and with patience.
    pub(crate) async fn glance<T: Send + 'static>(
        &self,
        read: impl Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let connection = self.0.take(Duration::ZERO)?;
        let result = read(&connection);
        self.0.give_back(connection);
        match result {
            Err(error) if matches!(primary_code(&error), Some(BUSY | LOCKED)) => self.study(read).await,
            result => result.map_err(failed),
        }
    }

    /// Reads what may take its time, away from the async threads.
    pub(crate) async fn study<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let _place = self.0.room.acquire().await.map_err(|_| closed())?;
        let shared = Arc::clone(&self.0);
        let work = move || {
            let connection = shared.take(shared.patience)?;
            let result = read(&connection);
            shared.give_back(connection);
            result.map_err(failed)
        };
        tokio::task::spawn_blocking(work).await.map_err(|error| StoreError::Unavailable(Box::new(error)))?
    }

    /// Waits for those who read and closes the connections.
    pub(crate) async fn close(&self) {
        // An error means that it is closed already.
        let everybody = self.0.room.acquire_many(self.0.most).await;
        drop(self.0.idle().take());
        self.0.room.close();
        drop(everybody);
    }
}

impl Shared {
    fn idle(&self) -> std::sync::MutexGuard<'_, Option<Vec<Connection>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that waits this long where the file is locked.
    fn take(&self, patience: Duration) -> Result<Connection, StoreError> {
        let idle = self.idle().as_mut().ok_or_else(closed)?.pop();
        let connection = match idle {
            Some(connection) => connection,
            None => connect(&self.path, true).map_err(failed)?,
        };
        connection.busy_timeout(patience).map_err(failed)?;
        Ok(connection)
    }

    fn give_back(&self, connection: Connection) {
        if let Some(idle) = self.idle().as_mut()
            && idle.len() < self.most as usize
        {
            idle.push(connection);
        }
    }
}
