//! Connecting and migrating.

use super::{MIGRATIONS, PostgresEngine, VIEWS};
use crate::{
    backends::sql::migrations::{self, Applied},
    error::{Code, Error, Result},
};
use sqlx::{
    Connection, Executor, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{str::FromStr, time::Duration};

/// The advisory lock that one migration at a time holds ("asgard" in ASCII).
const LOCK: i64 = 0x6173_6761_7264;
/// How long a migration waits for another, or for a table that somebody uses.
const MIGRATION_WAIT: &str = "SET LOCAL lock_timeout = '60s'";

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
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            max_connections: 10,
            acquire_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(600),
            test_before_acquire: false,
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
            format!("The user {user} may not do this in {place}: it must be allowed to create tables in its schema."),
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
    let first = open(&connect, wanted.acquire_timeout).await?;
    first.close().await.map_err(|e| refused(&connect, e))?;
    let timeout = format!("SET statement_timeout = {}", wanted.statement_timeout.as_millis());
    let pool = PgPoolOptions::new()
        .max_connections(wanted.max_connections.max(1))
        .acquire_timeout(wanted.acquire_timeout)
        .idle_timeout(wanted.idle_timeout)
        .test_before_acquire(wanted.test_before_acquire)
        .after_connect(move |connection, _| {
            let timeout = sqlx::AssertSqlSafe(timeout.clone());
            Box::pin(async move { connection.execute(sqlx::raw_sql(timeout)).await.map(|_| ()) })
        })
        .connect_lazy_with(connect.clone());
    Ok(PostgresEngine {
        pool,
        connect,
        patience: wanted.statement_timeout + Duration::from_secs(5),
        attempts: wanted.max_connections.max(1),
        lent: false,
    })
}

/// An engine on a pool of the host's own.
pub(super) fn lent(pool: PgPool, wanted: &PostgresOptions) -> PostgresEngine {
    let connect = pool.connect_options().as_ref().clone();
    let attempts = pool.options().get_max_connections().max(1);
    PostgresEngine { pool, connect, patience: wanted.statement_timeout + Duration::from_secs(5), attempts, lent: true }
}

/// Runs what is missing, each in a transaction and one process at a time; without `apply` only says what is missing.
pub(super) async fn migrate(options: &PgConnectOptions, apply: bool) -> Result<()> {
    let mut connection = open(options, Duration::from_secs(10)).await?;
    let result = if apply { migrate_on(&mut connection).await } else { check(&mut connection).await };
    // The work is done or refused by now; a broken goodbye changes neither.
    let _ = connection.close().await;
    result.map_err(|e| refused(options, e)).flatten()
}

async fn migrate_on(connection: &mut PgConnection) -> Result<Result<()>, sqlx::Error> {
    loop {
        let mut transaction = connection.begin().await?;
        transaction.execute(MIGRATION_WAIT).await?;
        sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *transaction).await?;
        if !remembers(&mut transaction).await? {
            transaction.execute(migrations::TABLE).await?;
        }
        let migration = match migrations::next(MIGRATIONS, &VIEWS, &applied(&mut transaction).await?) {
            Ok(Some(migration)) => migration,
            Ok(None) => return Ok(Ok(())),
            Err(refusal) => return Ok(Err(refusal)),
        };
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
        transaction.commit().await?;
    }
}

async fn check(connection: &mut PgConnection) -> Result<Result<()>, sqlx::Error> {
    let applied = if remembers(connection).await? { applied(connection).await? } else { Vec::new() };
    Ok(match migrations::next(MIGRATIONS, &VIEWS, &applied) {
        Ok(None) => Ok(()),
        Ok(Some(migration)) => Err(migrations::pending(migration)),
        Err(refusal) => Err(refusal),
    })
}

async fn remembers(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT to_regclass('migrations') IS NOT NULL").fetch_one(connection).await
}

async fn applied(connection: &mut PgConnection) -> Result<Vec<Applied>, sqlx::Error> {
    sqlx::query_as("SELECT number, checksum FROM migrations").fetch_all(connection).await
}
