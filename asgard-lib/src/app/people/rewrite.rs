//! Records of earlier layouts are written again in today's, and what they say of people by address alone is said by account.
//! They are read all the same meanwhile: see [`crate::ports::upcasts`].

use super::bind;
use crate::{
    app::{Asgard, Call, Tx, core::waiver::AuditWaiver, spending},
    domain::{
        credential::ProjectKey,
        person::User,
        project::Project,
        request::{Command, Request, RequestStatus},
        resource::Resource,
    },
    error::Result,
    kernel::{ActorRef, Party, Usd},
    ports::{
        kinds::{Index, KEYS_BY_PROJECT, Kind, PROJECTS, REQUESTS, RESOURCES_BY_PROJECT, USERS},
        records::{Entity, Records, Stored},
        store::{Position, Query},
    },
};
use serde::{Deserialize, Serialize};

/// How many records one turn looks at.
const BATCH: usize = 100;
/// How many keys or resources of a project are looked at in one read.
const KEYS: usize = 100;

/// What is walked, in this order: accounts first, because the others come to name them. A project's keys and resources are walked with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Walk {
    Users,
    Projects,
    Requests,
}

impl Walk {
    const fn next(self) -> Option<Self> {
        match self {
            Self::Users => Some(Self::Projects),
            Self::Projects => Some(Self::Requests),
            Self::Requests => None,
        }
    }
}

/// How far it is, for whoever goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct RewriteProgress {
    id: String,
    /// The layouts that it makes; others mean that it begins again.
    layouts: Vec<u16>,
    /// What is walked now; nothing once everything was.
    walk: Option<Walk>,
    /// The last id that was looked at.
    after: Option<String>,
}

impl RewriteProgress {
    const ID: &'static str = "rewrite/records";

    fn layouts() -> Vec<u16> {
        vec![User::SCHEMA, Project::SCHEMA, ProjectKey::SCHEMA, Request::SCHEMA, Resource::SCHEMA]
    }

    fn start() -> Self {
        Self { id: Self::ID.to_owned(), layouts: Self::layouts(), walk: Some(Walk::Users), after: None }
    }
}

impl Entity for RewriteProgress {
    const KIND: Kind = Kind::Meta;
    const NOUN: &'static str = "rewriting's progress";
    fn record_id(&self) -> String {
        self.id.clone()
    }
}

async fn progress(app: &Asgard) -> Result<RewriteProgress> {
    let found: Option<Stored<RewriteProgress>> = app.store().read(RewriteProgress::ID).await?;
    Ok(found
        .map(|found| found.value)
        .filter(|found| found.layouts == RewriteProgress::layouts())
        .unwrap_or_else(RewriteProgress::start))
}

/// Writes a page of records again, and answers whether there is more.
pub(crate) async fn rewrite_some(app: &Asgard) -> Result<bool> {
    let mut at = progress(app).await?;
    let Some(walk) = at.walk else { return Ok(false) };
    let after = at.after.take();
    let next = match walk {
        Walk::Users => page::<User>(app, &USERS, after).await?,
        Walk::Projects => page::<Project>(app, &PROJECTS, after).await?,
        Walk::Requests => page::<Request>(app, &REQUESTS, after).await?,
    };
    match next {
        Some(id) => at.after = Some(id),
        None => at.walk = walk.next(),
    }
    note(app, &at).await?;
    Ok(at.walk.is_some())
}

/// Whether everything that earlier versions wrote has been written again.
pub(crate) async fn is_rewritten(app: &Asgard) -> Result<bool> {
    Ok(progress(app).await?.walk.is_none())
}

fn call(app: &Asgard) -> Call {
    Call::system("rewrite-records", app.new_trace())
}

async fn note(app: &Asgard, at: &RewriteProgress) -> Result<()> {
    let call = call(app);
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.waive_audit(AuditWaiver::Sweep)?;
            match tx.read_checked::<RewriteProgress>(RewriteProgress::ID).await? {
                None => tx.insert(at),
                Some(before) => tx.replace(&before, at),
            }
        })
    })
    .await
}

/// A kind of record that says of people what an account says better.
trait Rewritten: Entity {
    /// Whether it lacks what every record of its kind comes to have, although somebody has written it in the present layout since.
    fn lacks(&self) -> bool {
        false
    }

    /// The same, with accounts where the addresses that it names have them.
    fn renewed(&self, tx: &Tx<'_>) -> impl Future<Output = Result<Self>> + Send;

    /// What is counted with it, in the commit that writes it again.
    fn accompany(_tx: &mut Tx<'_>, _before: &Self, _after: &Self) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }

    /// Whatever belongs to it and is in no list of its own.
    fn belongings(_app: &Asgard, _of: &Self) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }
}

/// Looks at a page, and answers where the next begins.
async fn page<T: Rewritten>(app: &Asgard, index: &'static Index, after: Option<String>) -> Result<Option<String>> {
    let after = after.map(|id| Position { sort: String::new(), id });
    let found = app.store().list::<T>(&Query::new(index, "").after(after).take(BATCH)).await?;
    for stored in &found.items {
        if is_outdated(stored) {
            rewrite::<T>(app, &stored.record_id()).await?;
        }
        T::belongings(app, stored).await?;
    }
    Ok(found.next.map(|next| next.id))
}

/// Whether a record is to be written again.
fn is_outdated<T: Rewritten>(stored: &Stored<T>) -> bool {
    stored.is_of_an_earlier_layout() || stored.lacks()
}

async fn rewrite<T: Rewritten>(app: &Asgard, id: &str) -> Result<()> {
    let call = call(app);
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.waive_audit(AuditWaiver::Rewriting)?;
            match tx.read_checked::<T>(id).await? {
                Some(stored) if is_outdated(&stored) => {
                    let renewed = stored.renewed(tx).await?;
                    T::accompany(tx, &stored, &renewed).await?;
                    tx.replace(&stored, &renewed)
                }
                Some(_) | None => Ok(()),
            }
        })
    })
    .await
}

async fn bound(tx: &Tx<'_>, party: &Party) -> Result<Party> {
    match party {
        Party::Address(email) => bind::party(tx, email).await,
        Party::User { .. } => Ok(party.clone()),
    }
}

async fn bound_actor(tx: &Tx<'_>, actor: &ActorRef) -> Result<ActorRef> {
    let user = match actor.answerable() {
        Some(party) => bound(tx, &party).await?.user().cloned(),
        None => None,
    };
    Ok(ActorRef { user, ..actor.clone() })
}

impl Rewritten for User {
    async fn renewed(&self, _tx: &Tx<'_>) -> Result<Self> {
        Ok(self.clone())
    }
}

impl Rewritten for Project {
    async fn renewed(&self, tx: &Tx<'_>) -> Result<Self> {
        let (owner, manager) = (bound(tx, &self.owner).await?, bound(tx, &self.manager).await?);
        Ok(Self { owner, manager, ..self.clone() })
    }

    async fn accompany(tx: &mut Tx<'_>, before: &Self, after: &Self) -> Result<()> {
        spending::follow(tx, before, after).await
    }

    async fn belongings(app: &Asgard, of: &Self) -> Result<()> {
        let mut after = None;
        resources(app, of).await?;
        loop {
            let query = Query::new(&KEYS_BY_PROJECT, of.id.as_str()).after(after).take(KEYS);
            let found = app.store().list::<ProjectKey>(&query).await?;
            for key in found.items.iter().filter(|key| key.is_of_an_earlier_layout()) {
                rewrite::<ProjectKey>(app, key.id.as_str()).await?;
            }
            match found.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }
}

async fn resources(app: &Asgard, of: &Project) -> Result<()> {
    let mut query = Query::new(&RESOURCES_BY_PROJECT, of.id.as_str()).take(KEYS);
    loop {
        let found = app.store().list::<Resource>(&query).await?;
        for resource in found.items.iter().filter(|resource| is_outdated(resource)) {
            rewrite::<Resource>(app, resource.id.as_str()).await?;
        }
        let Some(next) = found.next else { return Ok(()) };
        query = query.after(Some(next));
    }
}

/// Versions before did not say how much of a resource's cost a person has approved. Its last request tells, if a person approved that
/// and it was about the spec; otherwise all of it counts as unapproved.
impl Rewritten for Resource {
    fn lacks(&self) -> bool {
        self.unapproved.is_none()
    }

    async fn renewed(&self, tx: &Tx<'_>) -> Result<Self> {
        if self.unapproved.is_some() || self.committed == Usd::ZERO {
            return Ok(Self { unapproved: Some(self.unapproved()), ..self.clone() });
        }
        let last = tx.read::<Request>(self.request.as_str()).await?;
        let approved = last.is_some_and(|last| {
            last.status == RequestStatus::Fulfilled
                && last.decision.is_some()
                && matches!(last.command, Command::Provision { .. })
        });
        Ok(Self { unapproved: Some(if approved { Usd::ZERO } else { self.committed }), ..self.clone() })
    }

    async fn accompany(tx: &mut Tx<'_>, before: &Self, after: &Self) -> Result<()> {
        let counted = |resource: &Self| resource.unapproved.unwrap_or_default();
        spending::count(tx, &after.project, counted(after).saturating_sub(counted(before)).micros(), None).await
    }
}

impl Rewritten for ProjectKey {
    async fn renewed(&self, tx: &Tx<'_>) -> Result<Self> {
        Ok(Self { minted_by: bound(tx, &self.minted_by).await?, ..self.clone() })
    }
}

impl Rewritten for Request {
    async fn renewed(&self, tx: &Tx<'_>) -> Result<Self> {
        let mut next = self.clone();
        next.requested_by = bound_actor(tx, &self.requested_by).await?;
        if let Some(decision) = &mut next.decision {
            decision.by = bound_actor(tx, &decision.by).await?;
        }
        Ok(next)
    }
}
