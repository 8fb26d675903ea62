//! Hearing of commits of other processes. Only what somebody may wait for is told: a notification costs its commit a lock that all
//! such commits share.

use crate::ports::{
    kinds::Kind,
    store::{Batch, Changes, Op},
};
use sqlx::{PgPool, postgres::PgListener};

/// The channel. Another Asgard in the same database is heard as well, which costs a look.
pub(super) const CHANNEL: &str = "asgard_requests";
/// The fewest connections of a pool that can spare one.
const ENOUGH: u32 = 4;

/// Whether a batch writes what somebody may wait for.
pub(super) fn is_told(batch: &Batch) -> bool {
    batch.ops().iter().any(|op| match op {
        Op::Insert(draft) | Op::Replace(draft, _) => draft.key.kind == Kind::Request,
        Op::Remove(..) | Op::Require(..) | Op::Claim { .. } | Op::Release { .. } | Op::Count(_) => false,
    })
}

/// What is told, for as long as the server and the connection are there. It has a connection of the pool meanwhile.
pub(super) async fn changes(pool: &PgPool) -> Option<Changes> {
    if pool.options().get_max_connections() < ENOUGH {
        return None;
    }
    let mut listener = PgListener::connect_with(pool).await.ok()?;
    listener.listen(CHANNEL).await.ok()?;
    let told = futures_util::stream::unfold(listener, |mut listener| async move {
        // A connection that was lost ends it: whoever waits looks now and then, and asks for another.
        listener.try_recv().await.ok().flatten().map(|_| ((), listener))
    });
    Some(Box::pin(told))
}
