//! From which day on there are events. The sealer knows, because every event comes past it, and keeps it with the head of the feed. What an
//! earlier version sealed is looked for once, day by day.

use super::{FeedHead, call};
use crate::{
    app::{
        Asgard,
        audit::{FIRST_DAY, days_from},
        core::waiver::AuditWaiver,
    },
    domain::audit::{AuditEvent, AuditHead},
    error::Result,
    kernel::Timestamp,
    ports::{
        kinds::{AUDIT_BY_DAY, AUDIT_HEADS},
        records::{Records, Stored},
        store::Query,
    },
};
use futures_util::future::try_join_all;

/// How many days are looked at together.
const AT_ONCE: usize = 32;

/// Finds the oldest sealed event, where that is not known, and keeps it.
pub(super) async fn find_once(app: &Asgard, head: Option<&Stored<FeedHead>>) -> Result<()> {
    if head.is_some_and(|head| head.oldest.is_some()) {
        return Ok(());
    }
    if head.is_none() && app.store().list::<AuditHead>(&Query::new(&AUDIT_HEADS, "").take(1)).await?.items.is_empty() {
        // Nothing was ever sealed: the first batch says.
        return Ok(());
    }
    let found = find(app).await?;
    let call = call(app);
    app.transact(&call, |tx| {
        Box::pin(async move {
            tx.waive_audit(AuditWaiver::Sealing)?;
            match tx.read_checked::<FeedHead>(FeedHead::ID).await? {
                None => tx.insert(&FeedHead { oldest: Some(found), ..FeedHead::empty() }),
                Some(head) if head.oldest.is_none() => {
                    tx.replace(&head, &FeedHead { oldest: Some(found), ..head.value.clone() })
                }
                Some(_) => Ok(()),
            }
        })
    })
    .await
}

/// The oldest event that there is, sealed or not; now, when there is none.
async fn find(app: &Asgard) -> Result<Timestamp> {
    let now = app.world().now();
    let days: Vec<String> = days_from(FIRST_DAY, now)?;
    for some in days.chunks(AT_ONCE) {
        let queries: Vec<Query> = some.iter().map(|day| Query::new(&AUDIT_BY_DAY, day.as_str()).take(1)).collect();
        let found = try_join_all(queries.iter().map(|query| app.store().list::<AuditEvent>(query))).await?;
        if let Some(first) = found.into_iter().flat_map(|listed| listed.items).next() {
            return Ok(first.value.at);
        }
    }
    Ok(now)
}
