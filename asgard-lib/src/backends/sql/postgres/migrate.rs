//! Making and checking the tables.

use super::{
    FILES, PostgresEngine,
    connect::{check_pooler, find_schema, open, place, refused},
};
use crate::{
    backends::sql::migrations::{self, Applied, Step},
    error::Result,
};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use std::{collections::BTreeSet, time::Duration};

/// The advisory lock that one migration at a time holds ("asgard" in ASCII).
const LOCK: i64 = 0x6173_6761_7264;
/// How long a migration waits for another, or for a table that somebody uses; and how long a migration holds anything whose process
/// has vanished.
const MIGRATION_WAIT: &str = "SET LOCAL lock_timeout = '60s'; SET LOCAL idle_in_transaction_session_timeout = '60s'";

/// The columns of the table `migrations`.
const COLUMNS: &str = "SELECT string_agg(attname, ',' ORDER BY attname COLLATE \"C\") FROM pg_attribute \
    WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped";

/// The names of tables and indexes beside the table `migrations`, and those of columns behind their tables'.
const PRESENT: &str = "WITH made AS (SELECT oid, relname, relkind FROM pg_class WHERE relkind IN ('r', 'i') \
    AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass($1))) \
    SELECT relname::text FROM made UNION ALL \
    SELECT made.relname || '.' || attname FROM made JOIN pg_attribute ON attrelid = made.oid \
    WHERE relkind = 'r' AND attnum > 0 AND NOT attisdropped";

/// The functions of a schema that name tables and do not say yet where those are. Functions that generated columns use name none.
const UNPINNED: &str = "SELECT oid::regprocedure::text FROM pg_proc \
    WHERE pronamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass($1)) AND provolatile = 'v' \
    AND proconfig IS NULL AND proname LIKE 'asgard\\_%'";

/// Runs what is missing, each in a transaction and one process at a time; without `apply` only says what is missing.
pub(super) async fn migrate(engine: &PostgresEngine, apply: bool) -> Result<()> {
    if engine.detect_pooler {
        check_pooler(engine).await?;
    }
    let mut connection = open(&engine.connect, Duration::from_secs(10)).await?;
    if engine.schema.get().is_none()
        && let Some(found) = find_schema(&mut connection).await.map_err(|e| refused(&engine.connect, e))?
    {
        // Somebody else was as fast, and found the same.
        let _ = engine.schema.set(found);
    }
    let result = if apply { migrate_on(&mut connection, engine).await } else { check(&mut connection, engine).await };
    // The work is done or refused by now; a broken goodbye changes neither.
    let _ = connection.close().await;
    result.map_err(|e| refused(&engine.connect, e)).flatten()
}

async fn migrate_on(connection: &mut PgConnection, engine: &PostgresEngine) -> Result<Result<()>, sqlx::Error> {
    loop {
        let mut transaction = connection.begin().await?;
        transaction.execute(sqlx::raw_sql(MIGRATION_WAIT)).await?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *transaction).await?;
        if let Some(schema) = engine.schema.get() {
            enter(&mut transaction, schema).await?;
        }
        if !remembers(&mut transaction, engine).await? {
            transaction.execute(migrations::TABLE).await?;
        }
        match next(&mut transaction, engine).await? {
            Ok(Step::Run(migration)) => {
                transaction.execute(sqlx::raw_sql(migration.sql)).await?;
                sqlx::query(
                    "INSERT INTO migrations (number, name, checksum, applied_at) \
                     VALUES ($1, $2, $3, to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')) \
                     ON CONFLICT (number) DO UPDATE SET checksum = excluded.checksum, applied_at = excluded.applied_at",
                )
                .bind(migration.number)
                .bind(migration.name)
                .bind(migration.checksum())
                .execute(&mut *transaction)
                .await?;
            }
            Ok(Step::Declare(statements)) => {
                transaction.execute(sqlx::raw_sql(AssertSqlSafe(statements.concat()))).await?;
            }
            Ok(Step::Nothing) => {
                pin_functions(&mut transaction, engine).await?;
                return transaction.commit().await.map(Ok);
            }
            Err(refusal) => return Ok(Err(refusal)),
        }
        transaction.commit().await?;
    }
}

/// Makes the schema if it is not there, and looks for names there alone until the transaction ends.
async fn enter(transaction: &mut PgConnection, schema: &str) -> Result<(), sqlx::Error> {
    // Asked first: CREATE SCHEMA needs a right even where there is nothing to create.
    let there: bool =
        sqlx::query_scalar("SELECT to_regnamespace($1) IS NOT NULL").bind(schema).fetch_one(&mut *transaction).await?;
    if !there {
        transaction.execute(AssertSqlSafe(format!("CREATE SCHEMA {schema}"))).await?;
    }
    transaction.execute(AssertSqlSafe(format!("SET LOCAL search_path = {schema}"))).await.map(|_| ())
}

/// Functions that name tables find those of their schema, whatever the caller's `search_path` is: one that a session was given
/// does not survive a pooler.
async fn pin_functions(transaction: &mut PgConnection, engine: &PostgresEngine) -> Result<(), sqlx::Error> {
    let Some(schema) = engine.schema.get() else { return Ok(()) };
    let table = engine.named("migrations");
    let functions: Vec<String> = sqlx::query_scalar(UNPINNED).bind(table).fetch_all(&mut *transaction).await?;
    for function in functions {
        let sql = format!("ALTER FUNCTION {function} SET search_path = {schema}, pg_temp");
        transaction.execute(AssertSqlSafe(sql)).await?;
    }
    Ok(())
}

async fn check(connection: &mut PgConnection, engine: &PostgresEngine) -> Result<Result<()>, sqlx::Error> {
    Ok(next(connection, engine).await?.and_then(migrations::settled))
}

async fn next(connection: &mut PgConnection, engine: &PostgresEngine) -> Result<Result<Step>, sqlx::Error> {
    let (mut applied, mut present) = (Vec::<Applied>::new(), BTreeSet::new());
    if remembers(connection, engine).await? {
        let table = engine.named("migrations");
        let columns: Option<String> = sqlx::query_scalar(COLUMNS).bind(&table).fetch_one(&mut *connection).await?;
        if columns.as_deref() != Some(migrations::COLUMNS) {
            let remedy = "Give Asgard a schema of its own: set ASGARD_DATABASE_SCHEMA (database.schema), or use another database.";
            return Ok(Err(migrations::foreign(place(&engine.connect), remedy)));
        }
        let sql = AssertSqlSafe(format!("SELECT number, checksum FROM {table}"));
        applied = sqlx::query_as(sql).fetch_all(&mut *connection).await?;
        present = sqlx::query_scalar(PRESENT).bind(table).fetch_all(connection).await?.into_iter().collect();
    }
    Ok(migrations::next(FILES, &applied, &present))
}

async fn remembers(connection: &mut PgConnection, engine: &PostgresEngine) -> Result<bool, sqlx::Error> {
    let table = engine.named("migrations");
    sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(table).fetch_one(connection).await
}
