//! What happened in Asgard, counted by the company: a projection of the event feed.
//!
//! The feed gives every event at least once, in the order of `seq`, from a position that the follower keeps. The position and
//! what was made of the events up to it are one file, which is replaced as a whole. So a crash between the two cannot be, and
//! whatever the feed gives again is recognised by its `seq`.

use asgard_lib::{
    Code, Error, Result,
    app::{Asgard, audit::EventPage},
    domain::audit::EventPosition,
    kernel::Timestamp,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, VecDeque},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::{
    fs::{self, File},
    io::AsyncWriteExt,
    time::sleep,
};
use tokio_util::sync::CancellationToken;

/// The most events that are counted in one step.
const PAGE: usize = 200;
/// How long the feed is waited for before it is asked again.
const WAIT: Duration = Duration::from_secs(30);
/// How long nothing is tried after a failure.
const PAUSE: Duration = Duration::from_secs(5);
/// How many of the latest events are kept word for word.
const LATEST: usize = 20;

/// What is known of the events up to a position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Activity {
    /// Where the feed is read on.
    position: EventPosition,
    /// The number of the last event that is counted.
    seq: u64,
    /// How many events of each action there were.
    counts: BTreeMap<String, u64>,
    /// The latest events, oldest first.
    latest: VecDeque<Latest>,
    /// Whether retention removed events before they were counted.
    incomplete: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Latest {
    seq: u64,
    at: Timestamp,
    action: String,
    object: String,
}

impl Activity {
    fn nothing() -> Self {
        Self {
            position: EventPosition::START,
            seq: 0,
            counts: BTreeMap::new(),
            latest: VecDeque::new(),
            incomplete: false,
        }
    }

    /// Counts a page. What is counted already is passed over.
    fn count(&mut self, page: &EventPage) {
        for event in &page.events {
            if event.seq <= self.seq {
                continue;
            }
            self.seq = event.seq;
            let action = event.action.name().to_owned();
            self.latest.push_back(Latest {
                seq: event.seq,
                at: event.at,
                action: action.clone(),
                object: event.object.clone(),
            });
            *self.counts.entry(action).or_default() += 1;
        }
        self.latest.drain(..self.latest.len().saturating_sub(LATEST));
        self.position = page.next;
        self.incomplete |= page.removed;
    }
}

/// The file that the projection is in, and what it holds.
#[derive(Debug)]
pub struct ActivityFile {
    path: PathBuf,
    activity: RwLock<Arc<Activity>>,
    failure: RwLock<Option<String>>,
}

impl ActivityFile {
    /// In that folder. Where there is no file, the feed is read from its start.
    ///
    /// # Errors
    ///
    /// A file that cannot be read: beginning again would hide that something was lost.
    pub async fn open(folder: &Path) -> Result<Self> {
        let path = folder.join("activity.json");
        let activity = match fs::read(&path).await {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| unusable(&error))?,
            Err(error) if error.kind() == ErrorKind::NotFound => Activity::nothing(),
            Err(error) => return Err(unusable(&error)),
        };
        Ok(Self { path, activity: RwLock::new(Arc::new(activity)), failure: RwLock::default() })
    }

    /// What is counted.
    pub fn read(&self) -> Arc<Activity> {
        Arc::clone(&self.activity.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Why nothing is counted at the moment, for whoever looks.
    pub fn failure(&self) -> Option<String> {
        self.failure.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts what is committed from now on, and what was committed since it was last done, until it is stopped. A page that has
    /// been read is counted and kept before that.
    pub async fn follow(&self, asgard: &Asgard, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let position = self.read().position;
            let page = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                page = next(asgard, position) => page,
            };
            let counted = match page {
                Ok(page) if page.next == position && !page.removed => Ok(()),
                Ok(page) => self.count(&page).await,
                Err(error) => Err(error),
            };
            let failure = counted.err();
            if let Some(error) = &failure {
                tracing::error!(error = error.chain(), "The event feed cannot be followed.");
            }
            let failed = failure.is_some();
            *self.failure.write().unwrap_or_else(PoisonError::into_inner) = failure.map(|error| error.message().into());
            if failed {
                tokio::select! { () = stop.cancelled() => return, () = sleep(PAUSE) => {} }
            }
        }
    }

    async fn count(&self, page: &EventPage) -> Result<()> {
        let mut activity = Activity::clone(&self.read());
        activity.count(page);
        self.keep(&serde_json::to_vec(&activity).map_err(Error::bug)?).await.map_err(|error| unusable(&error))?;
        *self.activity.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(activity);
        Ok(())
    }

    /// Under another name first, so that the file is the old one or the new one, wholly, also after a loss of power.
    async fn keep(&self, bytes: &[u8]) -> io::Result<()> {
        let draft = self.path.with_extension("draft");
        let mut file = File::create(&draft).await?;
        file.write_all(bytes).await?;
        file.sync_all().await?;
        fs::rename(&draft, &self.path).await?;
        match self.path.parent() {
            Some(folder) => File::open(folder).await?.sync_all().await,
            None => Ok(()),
        }
    }
}

/// The events after a position, once there are some. What this process commits wakes it.
async fn next(asgard: &Asgard, position: EventPosition) -> Result<EventPage> {
    asgard.events().wait(position, WAIT).await?;
    asgard.events().after(position, PAGE).await
}

fn unusable(error: &dyn std::error::Error) -> Error {
    Error::new(Code::StoreUnavailable, "What the company has counted cannot be read or kept just now.")
        .caused_by(error.to_string())
}
