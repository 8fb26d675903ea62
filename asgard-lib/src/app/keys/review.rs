//! Looking through all keys for those whose minter has lost standing. Lists compute the same at once; what is written here starts the
//! time within which somebody adopts the key, and ends the key after it.

use super::{adopt::minter, notify, revoke, view};
use crate::{
    app::{Asgard, Call, core::waiver::AuditWaiver},
    domain::{
        access::{Subject, key_flag},
        audit::AuditAction,
        credential::{KeyFlag, ProjectKey},
        project::Project,
    },
    error::Result,
    kernel::{KeyId, ProjectId},
    ports::{
        kinds::{KEYS_BY_PROJECT, Kind, PROJECTS},
        records::{Entity, Records, Stored},
        store::{Position, Query},
    },
};
use serde::{Deserialize, Serialize};

/// How many projects one turn looks through.
const PROJECTS_A_TURN: usize = 100;
/// How many keys of a project are looked at in one read. A project has few that work, and any number that do not.
const KEYS: usize = 100;

/// How far a round through all projects is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ReviewProgress {
    id: String,
    /// The last project that was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<String>,
}

impl ReviewProgress {
    const ID: &'static str = "loop/review-keys";
}

impl Entity for ReviewProgress {
    const KIND: Kind = Kind::Meta;
    const NOUN: &'static str = "progress of reviewing keys";
    fn record_id(&self) -> String {
        self.id.clone()
    }
}

/// Whether a round is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Round {
    /// There are more projects.
    GoesOn,
    /// Every project was looked at.
    Over,
}

/// Looks at the keys of the next projects.
pub(crate) async fn review_some(app: &Asgard) -> Result<Round> {
    let before = app.store().read::<ReviewProgress>(ReviewProgress::ID).await?;
    let after = before.as_ref().and_then(|progress| progress.after.clone());
    let at = after.clone().map(|id| Position { sort: String::new(), id });
    let page = app.store().list::<Project>(&Query::new(&PROJECTS, "").after(at).take(PROJECTS_A_TURN)).await?;
    for project in &page.items {
        review_project(app, project).await?;
    }
    let next = page.next.map(|next| next.id);
    let round = if next.is_some() { Round::GoesOn } else { Round::Over };
    if next != after {
        remember(app, &ReviewProgress { id: ReviewProgress::ID.to_owned(), after: next }).await?;
    }
    Ok(round)
}

fn call(app: &Asgard) -> Call {
    Call::system("review-keys", app.new_trace())
}

async fn remember(app: &Asgard, at: &ReviewProgress) -> Result<()> {
    let call = call(app);
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.waive_audit(AuditWaiver::Sweep)?;
            match tx.read_checked::<ReviewProgress>(ReviewProgress::ID).await? {
                None => tx.insert(at),
                Some(before) => tx.replace(&before, at),
            }
        })
    })
    .await
}

async fn review_project(app: &Asgard, project: &Stored<Project>) -> Result<()> {
    let (subject, grace) = (Subject::from(&project.value), app.config().people.key_adoption());
    let mut after = None;
    loop {
        let query = Query::new(&KEYS_BY_PROJECT, project.id.as_str()).after(after).take(KEYS);
        let page = app.store().list::<ProjectKey>(&query).await?;
        for key in page.items.iter().filter(|key| key.revoked_at.is_none()) {
            let now = app.world().now();
            let account = view::account(app, &key.minted_by).await?.map(|user| user.value);
            if key.stopped(now, grace) || key_flag(key, &subject, account.as_ref(), now) != key.flag {
                settle(app, &project.id, &key.id).await?;
            }
        }
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

/// Flags a key, takes the flag away, or ends a key that nobody adopted in time: whichever it is by then.
async fn settle(app: &Asgard, project: &ProjectId, key: &KeyId) -> Result<()> {
    let (call, grace) = (call(app), app.config().people.key_adoption());
    // A key is over once its time is over by both clocks, and the time begins by the later one.
    let clocks = app.clocks().await?;
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.as_system()?;
            let project = tx.need::<Project>(project.as_str()).await?;
            let Some(key) = tx.read_checked::<ProjectKey>(key.as_str()).await? else { return Ok(()) };
            if key.revoked_at.is_some() {
                return Ok(());
            }
            if key.stopped(clocks.earlier, grace) {
                revoke(tx, &key)?;
                return notify(tx, &project, AuditAction::KeyStopped, &key, &[]);
            }
            let account = minter(tx, &key).await?;
            let flag = key_flag(&key, &Subject::from(&project.value), account.as_ref(), clocks.later);
            if flag == key.flag {
                return Ok(());
            }
            let (action, more) = match &flag {
                Some(KeyFlag::Unattended { .. }) => {
                    let until = flag.as_ref().and_then(|flag| flag.stops_at(grace));
                    (AuditAction::KeyUnattended, until.map(|until| ("stops_at", until.to_string())))
                }
                Some(KeyFlag::MintedByAdmin) => (AuditAction::KeyMintedByAdmin, None),
                None => (AuditAction::KeyAttended, None),
            };
            tx.replace(&key, &key.flagged(flag))?;
            notify(tx, &project, action, &key, more.as_slice())
        })
    })
    .await
}
