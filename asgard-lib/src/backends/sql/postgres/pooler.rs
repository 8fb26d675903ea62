//! A pooler in front that gives a server process to another connection after each transaction. What a session was told is lost
//! there, and its prepared statements are somebody else's.

use sqlx::{Connection, Executor, PgConnection, Row};

/// Whether two connections share server processes. Both were used before, as a pool's are.
pub(super) async fn shared(pair: &mut (PgConnection, PgConnection)) -> Result<bool, sqlx::Error> {
    let (one, two) = (&mut pair.0, &mut pair.1);
    let first = process(one).await?;
    let mut held = two.begin().await?;
    // Most poolers give out first what came back last.
    if process(&mut held).await? == first {
        return Ok(true);
    }
    // Others take turns: while one process is held, another must answer here.
    let mut turned = false;
    for _ in 0..3 {
        turned |= process(one).await? != first;
    }
    held.rollback().await?;
    Ok(turned)
}

/// The server process that answers now. In the simple protocol: a statement that is prepared may be split by a pooler.
async fn process(connection: &mut PgConnection) -> Result<i32, sqlx::Error> {
    connection.fetch_one(sqlx::raw_sql("SELECT pg_backend_pid()")).await?.try_get(0)
}

/// Why such a pooler is refused, and what to change.
pub(super) fn refusal(place: &str) -> String {
    format!(
        "The connections to {place} go through a pooler in transaction mode, where they share server processes: Asgard needs \
         sessions of its own, so name the PostgreSQL server itself in the database URL, or set `pool_mode = session` for this \
         database in the pooler."
    )
}

/// Whether an error says that another session has this one's prepared statements.
pub(super) fn is_mixed_up(code: &str) -> bool {
    matches!(code, "26000" | "42P05")
}
