//! Connecting and migrating.

use super::{PostgresEngine, health::Health, pooler};
use crate::{
    error::{Code, Error, Result},
    kernel::SchemaName,
};
use sqlx::{
    Connection, Executor, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use std::{
    str::FromStr,
    sync::{Arc, OnceLock},
    time::Duration,
};

/// Whether a server takes no writes: a standby, or a primary that is being replaced. What it shows may be the past.
const READ_ONLY: &str = "SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean";
/// Has the server let go of a client that vanished, within two minutes: its connection counts against the role's limit until then.
const KEEPALIVE: &str = "SET tcp_keepalives_idle = 60; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 6; SET statement_timeout = ";
/// How much longer than the server an answer is waited for.
const ON_THE_WAY: Duration = Duration::from_secs(2);
/// The schema that statements of this connection mean: the one that has the tables, or the one where they would be made.
const SCHEMA: &str = "SELECT quote_ident(coalesce((SELECT relnamespace::regnamespace::text FROM pg_class \
    WHERE oid = to_regclass('migrations') AND relnamespace <> pg_my_temp_schema()), current_schema()::text))";

/// How a database is used.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// The most connections of this process.
    pub max_connections: u32,
    /// How long to wait for a connection.
    pub acquire_timeout: Duration,
    /// How long the server may work on one statement.
    pub statement_timeout: Duration,
    /// Close connections that were idle for this long: sooner than what stands between forgets them, which may be four minutes.
    pub idle_timeout: Duration,
    /// Close connections that are older than this, so that every process follows a name that leads elsewhere by now.
    pub max_lifetime: Duration,
    /// Look for a pooler in front that shares server processes between connections, when tables are made or checked. Takes a
    /// second connection for a moment.
    pub detect_pooler: bool,
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
            statement_timeout: Duration::from_secs(8),
            idle_timeout: Duration::from_secs(180),
            max_lifetime: Duration::from_secs(900),
            detect_pooler: true,
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
pub(super) fn refused(options: &PgConnectOptions, error: sqlx::Error) -> Error {
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
        "53300" | "53400" => (
            Code::StoreUnavailable,
            format!(
                "PostgreSQL at {place} gives the user {user} no more connections. Raise its CONNECTION LIMIT or the server's \
                 max_connections, or lower `database.max_connections`."
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
            sqlx::Error::Database(database) if database.message().contains("startup parameter") => (
                Code::Config,
                format!("The pooler at {place} refuses what the database URL asks for: {}.", database.message()),
            ),
            sqlx::Error::Database(database) if !["08", "53", "57"].iter().any(|class| code.starts_with(class)) => {
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

pub(super) async fn takes_no_writes(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
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
    // No floating point number is stored; poolers refuse the parameter that says how to write them.
    Ok(parsed.application_name("asgard").extra_float_digits(None))
}

pub(super) async fn open(options: &PgConnectOptions, wait: Duration) -> Result<PgConnection> {
    match tokio::time::timeout(wait, PgConnection::connect_with(options)).await {
        Ok(connected) => connected.map_err(|e| refused(options, e)),
        Err(_) => Err(refused(options, sqlx::Error::Io(std::io::ErrorKind::TimedOut.into()))),
    }
}

/// What a new connection is told before it is used.
async fn settle(connection: &mut PgConnection, session: &str) -> Result<(), sqlx::Error> {
    connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(session))).await.map(|_| ())
}

/// Two connections as the pool has them, to see whether they are two.
pub(super) async fn check_pooler(engine: &PostgresEngine) -> Result<()> {
    let connect = &engine.connect;
    let looked = tokio::time::timeout(engine.patience, async {
        let mut pair = (PgConnection::connect_with(connect).await?, PgConnection::connect_with(connect).await?);
        settle(&mut pair.0, &engine.session).await?;
        settle(&mut pair.1, &engine.session).await?;
        let shared = pooler::shared(&mut pair).await;
        // What was to be learned is known; a broken goodbye changes nothing.
        let _ = tokio::join!(pair.0.close(), pair.1.close());
        shared
    });
    let elapsed = |_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
    match looked.await.map_err(elapsed).flatten() {
        Ok(false) => Ok(()),
        Ok(true) => Err(Error::new(Code::Config, pooler::refusal(&place(connect)))),
        Err(error) => Err(refused(connect, error)),
    }
}

/// The schema of a connection's statements, as they write it.
pub(super) async fn find_schema(connection: &mut PgConnection) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar(SCHEMA).fetch_one(connection).await
}

pub(super) async fn connect(url: &str, wanted: PostgresOptions) -> Result<PostgresEngine> {
    let connect = parse(url)?;
    // A pool keeps trying and forgets why it failed: the first connection is made by hand, to name the cause.
    let mut first = open(&connect, wanted.acquire_timeout).await?;
    let looked = async {
        let standby = takes_no_writes(&mut first).await?;
        let schema = match &wanted.schema {
            Some(schema) => Some(schema.to_string()),
            None => find_schema(&mut first).await?,
        };
        Ok((standby, schema))
    };
    let (standby, found) = looked.await.map_err(|e| refused(&connect, e))?;
    first.close().await.map_err(|e| refused(&connect, e))?;
    if standby {
        return Err(read_only(&connect));
    }
    let Some(found) = found else {
        let message = format!(
            "The search_path of {} names no schema that is there. Set ASGARD_DATABASE_SCHEMA to the schema for Asgard's tables.",
            place(&connect)
        );
        return Err(Error::new(Code::Config, message));
    };
    let session = format!("{KEEPALIVE}{}", wanted.statement_timeout.as_millis());
    let health = Arc::new(Health::default());
    let pool = PgPoolOptions::new()
        .max_connections(wanted.max_connections.max(1))
        .acquire_timeout(wanted.acquire_timeout)
        .idle_timeout(wanted.idle_timeout)
        .max_lifetime(wanted.max_lifetime)
        .test_before_acquire(wanted.test_before_acquire)
        .after_connect({
            let session = session.clone();
            move |connection, _| {
                let session = session.clone();
                Box::pin(async move {
                    // Before anything is read: a name may lead to a standby by now.
                    if takes_no_writes(connection).await? {
                        return Err(sqlx::Error::Protocol("the server takes no writes".into()));
                    }
                    settle(connection, &session).await
                })
            }
        })
        .before_acquire({
            let health = Arc::clone(&health);
            move |connection, about| {
                let health = Arc::clone(&health);
                Box::pin(async move { Ok(health.passes(connection, &about).await) })
            }
        })
        .connect_lazy_with(connect.clone());
    Ok(PostgresEngine {
        pool,
        connect,
        configured: wanted.schema,
        schema: OnceLock::from(found),
        session,
        detect_pooler: wanted.detect_pooler,
        patience: wanted.statement_timeout + ON_THE_WAY,
        attempts: wanted.max_connections.max(1),
        health,
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
        configured: wanted.schema.clone(),
        schema: wanted.schema.as_ref().map(|schema| OnceLock::from(schema.to_string())).unwrap_or_default(),
        session: format!("{KEEPALIVE}{}", wanted.statement_timeout.as_millis()),
        detect_pooler: wanted.detect_pooler,
        patience: wanted.statement_timeout + ON_THE_WAY,
        attempts,
        health: Arc::default(),
        lent: true,
    }
}
