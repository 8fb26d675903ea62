//! Connecting and migrating.

use super::{Demoted, FILES, PostgresEngine};
use crate::{
    backends::sql::migrations::{self, Applied, Step},
    error::{Code, Error, Result},
    kernel::SchemaName,
};
use sqlx::{
    AssertSqlSafe, Connection, Executor, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{collections::BTreeSet, str::FromStr, sync::Arc, time::Duration};

/// The advisory lock that one migration at a time holds ("asgard" in ASCII).
const LOCK: i64 = 0x6173_6761_7264;
/// How long a migration waits for another, or for a table that somebody uses.
const MIGRATION_WAIT: &str = "SET LOCAL lock_timeout = '60s'";

/// The names of tables and indexes beside the table `migrations`, and those of columns behind their tables'.
const PRESENT: &str = "WITH made AS (SELECT oid, relname, relkind FROM pg_class WHERE relkind IN ('r', 'i') \
    AND relnamespace = (SELECT relnamespace FROM pg_class WHERE oid = to_regclass($1))) \
    SELECT relname::text FROM made UNION ALL \
    SELECT made.relname || '.' || attname FROM made JOIN pg_attribute ON attrelid = made.oid \
    WHERE relkind = 'r' AND attnum > 0 AND NOT attisdropped";

/// The columns of the table `migrations`.
const COLUMNS: &str = "SELECT string_agg(attname, ',' ORDER BY attname COLLATE \"C\") FROM pg_attribute \
    WHERE attrelid = to_regclass($1) AND attnum > 0 AND NOT attisdropped";

/// Whether a server takes no writes: a standby, or a primary that is being replaced. What it shows may be the past.
const READ_ONLY: &str = "SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean";

/// How a database is used.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// The most connections of this process.
    pub max_connections: u32,
    /// How long to wait for a connection.
    pub acquire_timeout: Duration,
    /// How long the server may work on one statement.
    pub statement_timeout: Duration,
    /// Close connections that were idle for this long.
    pub idle_timeout: Duration,
    /// Ask a connection whether it lives before it is used: for processes that are frozen between requests.
    pub test_before_acquire: bool,
    /// The schema that holds the tables; made by `migrate`. Without one the tables are where the connection's `search_path`
    /// finds them, and are made in its first schema.
    pub schema: Option<SchemaName>,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            max_connections: 10,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(600),
            test_before_acquire: false,
            schema: None,
        }
    }
}

/// Host, port and database.
pub(super) fn place(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    match options.get_socket() {
        Some(socket) => format!("{}:{}/{database}", socket.display(), options.get_port()),
        None => format!("{}:{}/{database}", options.get_host(), options.get_port()),
    }
}

/// Why PostgreSQL does not serve, in a sentence for who deploys Asgard.
fn refused(options: &PgConnectOptions, error: sqlx::Error) -> Error {
    let (place, user) = (place(options), options.get_username());
    let code = error.as_database_error().and_then(|database| database.code()).unwrap_or_default().into_owned();
    let (kind, message) = match code.as_str() {
        "28P01" | "28000" => (
            Code::Config,
            format!("PostgreSQL at {place} refuses the user {user}: the password or the server's access rules say no."),
        ),
        "3D000" => (
            Code::Config,
            format!("PostgreSQL has no database {place}. Create it first, or name another in the database URL."),
        ),
        "42501" => (
            Code::Config,
            format!(
                "The user {user} may not do this in {place}: it must be allowed to create tables in its schema, and to create \
                 the schema where `database.schema` names one that is not there."
            ),
        ),
        // What is there already, or lacks a column, was made by somebody else: the own tables are only made when they are not there.
        "42P07" | "42723" | "42703" => (
            Code::Config,
            format!(
                "Another program has tables or functions of the same names in {place}. Give Asgard a schema of its own: set \
                 ASGARD_DATABASE_SCHEMA."
            ),
        ),
        "55P03" => (
            Code::StoreUnavailable,
            format!("Something else holds tables or the migration lock of {place} for over a minute. Try again."),
        ),
        _ => match &error {
            sqlx::Error::Tls(_) => (
                Code::Config,
                format!("TLS with PostgreSQL at {place} failed. See `sslmode` and `sslrootcert` in the database URL."),
            ),
            sqlx::Error::Database(database) if !code.starts_with("53") && !code.starts_with("57") => {
                (Code::Config, format!("PostgreSQL at {place} cannot be used: {} ({code}).", database.message()))
            }
            _ => (Code::StoreUnavailable, format!("PostgreSQL at {place} cannot be reached.")),
        },
    };
    Error::new(kind, message).caused_by(error)
}

/// The refusal of a server that takes no writes.
fn read_only(options: &PgConnectOptions) -> Error {
    let message = format!(
        "PostgreSQL at {} takes no writes: it is a standby, or a primary that is being replaced. Name the primary in the database \
         URL; Asgard reads from no other server, because what a standby shows may be the past.",
        place(options)
    );
    Error::new(Code::StoreUnavailable, message)
}

async fn takes_no_writes(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(READ_ONLY).fetch_one(connection).await
}

fn parse(url: &str) -> Result<PgConnectOptions> {
    // The cause may quote the URL, and a URL may hold a password: it is left out.
    let parsed = PgConnectOptions::from_str(url).map_err(|_| {
        Error::new(
            Code::Config,
            "The database URL cannot be read. Expected postgres://user:password@host:5432/database?sslmode=require.",
        )
    })?;
    Ok(parsed.application_name("asgard"))
}

async fn open(options: &PgConnectOptions, wait: Duration) -> Result<PgConnection> {
    match tokio::time::timeout(wait, PgConnection::connect_with(options)).await {
        Ok(connected) => connected.map_err(|e| refused(options, e)),
        Err(_) => Err(refused(options, sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))),
    }
}

pub(super) async fn connect(url: &str, wanted: PostgresOptions) -> Result<PostgresEngine> {
    let connect = parse(url)?;
    // A pool keeps trying and forgets why it failed: the first connection is made by hand, to name the cause.
    let mut first = open(&connect, wanted.acquire_timeout).await?;
    let standby = takes_no_writes(&mut first).await.map_err(|e| refused(&connect, e))?;
    first.close().await.map_err(|e| refused(&connect, e))?;
    if standby {
        return Err(read_only(&connect));
    }
    let timeout = format!("SET statement_timeout = {}", wanted.statement_timeout.as_millis());
    let demoted = Arc::new(Demoted::default());
    let pool = PgPoolOptions::new()
        .max_connections(wanted.max_connections.max(1))
        .acquire_timeout(wanted.acquire_timeout)
        .idle_timeout(wanted.idle_timeout)
        .test_before_acquire(wanted.test_before_acquire)
        .after_connect(move |connection, _| {
            let timeout = sqlx::AssertSqlSafe(timeout.clone());
            Box::pin(async move {
                // Before anything is read: a name may lead to a standby by now.
                if takes_no_writes(connection).await? {
                    return Err(sqlx::Error::Protocol("the server takes no writes".into()));
                }
                connection.execute(sqlx::raw_sql(timeout)).await.map(|_| ())
            })
        })
        .before_acquire({
            let demoted = Arc::clone(&demoted);
            move |_, about| {
                let age = about.age;
                let fine = demoted.since().is_none_or(|since| age < since);
                Box::pin(async move { Ok(fine) })
            }
        })
        .connect_lazy_with(connect.clone());
    Ok(PostgresEngine {
        pool,
        connect,
        schema: wanted.schema,
        patience: wanted.statement_timeout + Duration::from_secs(5),
        attempts: wanted.max_connections.max(1),
        demoted,
        lent: false,
    })
}

/// An engine on a pool of the host's own.
pub(super) fn lent(pool: PgPool, wanted: &PostgresOptions) -> PostgresEngine {
    let connect = pool.connect_options().as_ref().clone();
    let attempts = pool.options().get_max_connections().max(1);
    PostgresEngine {
        pool,
        connect,
        schema: wanted.schema.clone(),
        patience: wanted.statement_timeout + Duration::from_secs(5),
        attempts,
        demoted: Arc::default(),
        lent: true,
    }
}

/// Runs what is missing, each in a transaction and one process at a time; without `apply` only says what is missing.
pub(super) async fn migrate(engine: &PostgresEngine, apply: bool) -> Result<()> {
    let mut connection = open(&engine.connect, Duration::from_secs(10)).await?;
    let result = if apply { migrate_on(&mut connection, engine).await } else { check(&mut connection, engine).await };
    // The work is done or refused by now; a broken goodbye changes neither.
    let _ = connection.close().await;
    result.map_err(|e| refused(&engine.connect, e)).flatten()
}

async fn migrate_on(connection: &mut PgConnection, engine: &PostgresEngine) -> Result<Result<()>, sqlx::Error> {
    loop {
        let mut transaction = connection.begin().await?;
        transaction.execute(MIGRATION_WAIT).await?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *transaction).await?;
        if let Some(schema) = &engine.schema {
            enter(&mut transaction, schema).await?;
        }
        if !remembers(&mut transaction, engine).await? {
            transaction.execute(migrations::TABLE).await?;
        }
        match next(&mut transaction, engine).await? {
            Ok(Step::Run(migration)) => {
                transaction.execute(sqlx::raw_sql(migration.sql)).await?;
                if let Some(schema) = &engine.schema {
                    pin_functions(&mut transaction, schema).await?;
                }
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
            Ok(Step::Nothing) => return Ok(Ok(())),
            Err(refusal) => return Ok(Err(refusal)),
        }
        transaction.commit().await?;
    }
}

/// Makes the schema if it is not there, and looks for names there alone until the transaction ends.
async fn enter(transaction: &mut PgConnection, schema: &SchemaName) -> Result<(), sqlx::Error> {
    // Asked first: CREATE SCHEMA needs a right even where there is nothing to create.
    let there: bool = sqlx::query_scalar("SELECT to_regnamespace($1) IS NOT NULL")
        .bind(schema.as_str())
        .fetch_one(&mut *transaction)
        .await?;
    if !there {
        transaction.execute(AssertSqlSafe(format!("CREATE SCHEMA {schema}"))).await?;
    }
    transaction.execute(AssertSqlSafe(format!("SET LOCAL search_path = {schema}"))).await.map(|_| ())
}

/// Functions that name tables find those of the schema, whatever the caller's `search_path` is. Functions that generated columns
/// use name none.
async fn pin_functions(transaction: &mut PgConnection, schema: &SchemaName) -> Result<(), sqlx::Error> {
    let functions: Vec<String> = sqlx::query_scalar(
        "SELECT oid::regprocedure::text FROM pg_proc WHERE pronamespace = to_regnamespace($1) AND provolatile = 'v' \
         AND proconfig IS NULL AND proname LIKE 'asgard\\_%'",
    )
    .bind(schema.as_str())
    .fetch_all(&mut *transaction)
    .await?;
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
