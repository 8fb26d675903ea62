//! What passed by itself, over all projects of an owner: one counter for each name that records have for the owner. Every commit that
//! moves a project's money moves the owner's with it, and depends on the project's record, so that it is the present owner's.

use crate::{
    app::Tx,
    domain::{person::User, project::Project},
    error::Result,
    kernel::{Party, ProjectId, Usd},
    ports::{
        records::key,
        store::{Count, ReadBatch},
    },
};

/// What the counters of one owner show.
struct Shares {
    /// The counter of the owner as the project names them.
    own: String,
    own_shows: i64,
    /// Those of the other names that records may have for the same person.
    others: Vec<(String, i64)>,
}

impl Shares {
    fn of_others(&self) -> i64 {
        self.others.iter().fold(0, |sum, (_, shows)| sum.saturating_add(*shows))
    }
}

/// Says that what [`owners`] and [`has_signed_in`] read comes along with the next read.
pub(crate) fn ahead(tx: &Tx<'_>, project: &Project) {
    let mut asked = ReadBatch { counters: vec![Project::owner_counter(&project.owner)], ..ReadBatch::default() };
    for party in [&project.owner, &project.manager] {
        match party.user() {
            Some(user) => asked.keys.push(key::<User>(user.as_str())),
            None => asked.claims.push(User::email_claim(party.email())),
        }
    }
    // The account's other name is nearly always the address that is shown.
    if project.owner.user().is_some() {
        asked.counters.push(Project::owner_counter(&Party::Address(project.owner.email().clone())));
    }
    tx.ahead(asked);
}

/// The account of a party: the one that it names, or the one that has its address verified.
pub(crate) async fn account(tx: &Tx<'_>, party: &Party) -> Result<Option<User>> {
    let id = match party {
        Party::User { id, .. } => Some(id.to_string()),
        Party::Address(email) => tx.holder(&User::email_claim(email)).await?,
    };
    let user = match id {
        Some(id) => tx.read::<User>(&id).await?.map(|user| user.value),
        None => None,
    };
    Ok(user.filter(|user| party.user().is_some() || user.has(party.email())))
}

/// Whether a person has shown that they are this party.
pub(crate) async fn has_signed_in(tx: &Tx<'_>, party: &Party) -> Result<bool> {
    Ok(account(tx, party).await?.is_some_and(|user| user.has_signed_in()))
}

/// What of all that the owner's projects have committed and in flight no person has approved.
pub(crate) async fn owners(tx: &Tx<'_>, owner: &Party) -> Result<Usd> {
    let shares = shares(tx, owner).await?;
    Ok(Usd::from_micros(shares.own_shows.saturating_add(shares.of_others())))
}

async fn shares(tx: &Tx<'_>, owner: &Party) -> Result<Shares> {
    let own = Project::owner_counter(owner);
    let account = account(tx, owner).await?;
    let addresses = account.iter().flat_map(User::addresses).map(|address| Party::Address(address.email().clone()));
    let mut names: Vec<String> =
        account.iter().map(User::party).chain(addresses).map(|party| Project::owner_counter(&party)).collect();
    names.retain(|name| *name != own);
    tx.ahead(ReadBatch { counters: names.clone(), ..ReadBatch::default() });
    let own_shows = tx.counter(&own).await?;
    let mut others = Vec::with_capacity(names.len());
    for name in names {
        let shows = tx.counter(&name).await?;
        others.push((name, shows));
    }
    Ok(Shares { own, own_shows, others })
}

/// Moves what no person has approved of a project, under the owner's ceiling if one is given. The commit depends on the project.
pub(crate) async fn count(tx: &mut Tx<'_>, project: &ProjectId, delta: i64, ceiling: Option<Usd>) -> Result<()> {
    if delta == 0 && ceiling.is_none() {
        return Ok(());
    }
    let project = tx.need::<Project>(project.as_str()).await?;
    if delta != 0 {
        tx.count(step(Project::unapproved_counter(&project.id), delta))?;
    }
    let Some(ceiling) = ceiling else {
        return tx.count(step(Project::owner_counter(&project.owner), delta));
    };
    let shares = shares(tx, &project.owner).await?;
    let left = ceiling.micros().saturating_sub(shares.of_others());
    tx.count(Count { ceiling: Some(left), ..step(shares.own, delta) })?;
    // What was taken off the ceiling for the other names has not grown meanwhile.
    for (name, shows) in shares.others {
        tx.count(Count { ceiling: Some(shows), ..step(name, 0) })?;
    }
    Ok(())
}

/// Has a project's money follow its owner. The amount is what the commit finds: whatever moved it since then refuses the commit, and
/// whatever moves it later depends on the record that is replaced beside this.
pub(crate) async fn follow(tx: &mut Tx<'_>, before: &Project, after: &Project) -> Result<()> {
    let (from, to) = (Project::owner_counter(&before.owner), Project::owner_counter(&after.owner));
    if from == to {
        return Ok(());
    }
    let counter = Project::unapproved_counter(&before.id);
    let amount = tx.counter(&counter).await?;
    tx.count(Count { floor: Some(amount), ceiling: Some(amount), ..step(counter, 0) })?;
    if amount != 0 {
        tx.count(step(from, amount.saturating_neg()))?;
        tx.count(step(to, amount))?;
    }
    Ok(())
}

fn step(counter: String, delta: i64) -> Count {
    Count { counter, delta, floor: None, ceiling: None, expires_at: None }
}
