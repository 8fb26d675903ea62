//! PostgreSQL 14 and later. A commit is one call of `asgard_commit` (see `migrations/postgres/0002_commit.sql`): one round
//! trip, every named item locked in one order.

mod commit;
mod connect;
mod health;
mod listen;
mod migrate;
mod pooler;
#[cfg(test)]
mod tests;

pub use connect::PostgresOptions;

use super::{Arg, Engine, Row, SqlStore, migrations::embedded};
use crate::{
    backends::Upkeep,
    error::Result,
    kernel::SchemaName,
    ports::store::{Batch, Changes, Outcome, StoreError},
};
use async_trait::async_trait;
use health::Health;
use sqlx::{
    AssertSqlSafe, FromRow, PgConnection, PgPool, Postgres,
    pool::PoolConnection,
    postgres::{PgArguments, PgConnectOptions, PgDatabaseError, PgRow, PgSeverity},
    query::Query,
};
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};
use tokio::time::Instant;

embedded!("postgres", Postgres: 1 = "0001_tables", 2 = "0002_commit", 3 = "0003_log_by_id");

/// A store and blobs in a PostgreSQL database.
pub type PostgresStore = SqlStore<PostgresEngine>;

/// The connections to one PostgreSQL database.
#[expect(
    unnameable_types,
    reason = "what SqliteStore and PostgresStore share; a store of another kind implements the port"
)]
pub struct PostgresEngine {
    pool: PgPool,
    connect: PgConnectOptions,
    /// The schema that the configuration names.
    configured: Option<SchemaName>,
    /// Where the tables are, as statements write it. Not known yet on a pool of the host's before its tables were looked at: there
    /// the connection's `search_path` says.
    schema: OnceLock<String>,
    /// What a connection is told first.
    session: String,
    /// Whether to look for a pooler that shares server processes.
    detect_pooler: bool,
    /// How long the server may work on a statement, and a little more for the way.
    patience: Duration,
    /// Whether the pool is the host's, who closes it.
    lent: bool,
    /// Which pooled connections are used again.
    health: Arc<Health>,
    /// One more than the pool holds: when the server was restarted, every pooled connection may be dead.
    attempts: u32,
}

crate::kernel::opaque!(PostgresEngine);

impl PostgresStore {
    /// Connects, and says clearly why not.
    pub async fn connect(url: &str, options: PostgresOptions) -> Result<Self> {
        connect::connect(url, options).await.map(|engine| Self(engine.into()))
    }

    /// On a pool of the host's own. How many connections there are and how long they live is the host's to say, and closing
    /// the store leaves the pool open. Each connection is asked whether its server takes writes before it is used, which is a round trip;
    /// one that does not is closed. Statements are given as long as `options` say; migrations run on a connection of their
    /// own, made as the pool's are.
    pub fn on_pool(pool: PgPool, options: &PostgresOptions) -> Self {
        Self(connect::lent(pool, options).into())
    }
}

#[async_trait]
impl Upkeep for PostgresStore {
    async fn migrate(&self) -> Result<()> {
        migrate::migrate(&self.0, true).await
    }

    async fn check_migrated(&self) -> Result<()> {
        migrate::migrate(&self.0, false).await
    }

    async fn close(&self) {
        if !self.0.lent {
            self.0.pool.close().await;
        }
    }

    fn place(&self) -> String {
        let schema = self.0.configured.as_ref().map(|schema| format!(", schema {schema}")).unwrap_or_default();
        format!("PostgreSQL, {}{schema}", connect::place(&self.0.connect))
    }
}

type Statement<'q> = Query<'q, Postgres, PgArguments>;

fn statement<'q>(sql: &str, args: &'q [Arg]) -> Statement<'q> {
    let mut statement = sqlx::query(AssertSqlSafe(sql));
    for arg in args {
        statement = match arg {
            Arg::Text(text) => statement.bind(text),
            Arg::Texts(texts) => statement.bind(texts),
            Arg::Number(number) => statement.bind(number),
            Arg::Bytes(bytes) => statement.bind(bytes),
        };
    }
    statement
}

/// How a statement failed.
enum Failure {
    /// No connection was to be had: nothing was sent.
    Connection(sqlx::Error),
    /// The server answered with an error, and undid the statement.
    Refused(sqlx::Error),
    /// The connection broke, or the answer took too long: what became of the statement is not known.
    Lost(sqlx::Error),
}

impl Failure {
    fn of(error: sqlx::Error) -> Self {
        if let sqlx::Error::Database(database) = &error {
            let severity = database.try_downcast_ref::<PgDatabaseError>().map(PgDatabaseError::severity);
            // A fatal error ends the connection, and may come after the statement had its effect.
            return if matches!(severity, Some(PgSeverity::Fatal | PgSeverity::Panic)) {
                Self::Lost(error)
            } else {
                Self::Refused(error)
            };
        }
        match error {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::Encode(_) => Self::Refused(error),
            error => Self::Lost(error),
        }
    }

    /// The server takes no writes any more.
    fn is_read_only(&self) -> bool {
        matches!(self, Self::Refused(sqlx::Error::Database(database)) if database.code().as_deref() == Some("25006"))
    }

    /// A pooler gave this session's server process to another.
    fn is_mixed_up(&self) -> bool {
        matches!(self, Self::Refused(sqlx::Error::Database(database)) if database.code().is_some_and(|code| pooler::is_mixed_up(&code)))
    }

    /// Two statements got in each other's way, and this one was chosen to be undone.
    fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused(sqlx::Error::Database(database)) if matches!(database.code().as_deref(), Some("40001" | "40P01")))
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Connection(error) => Self::Unavailable(Box::new(error)),
            Failure::Lost(error) => Self::Unknown(Box::new(error)),
            Failure::Refused(sqlx::Error::Database(database)) => {
                let code = database.code().unwrap_or_default().into_owned();
                // Read-only: a replica, or a primary that is being replaced. Sessions that a pooler mixed up. Then: the connection,
                // conflicts, resources, limits, intervention, I/O.
                let passing = code == "25006"
                    || pooler::is_mixed_up(&code)
                    || ["08", "40", "53", "55", "57", "58"].iter().any(|class| code.starts_with(class));
                if passing {
                    Self::Unavailable(Box::new(sqlx::Error::Database(database)))
                } else {
                    Self::Corrupt(format!("{} ({code})", database.message()))
                }
            }
            Failure::Refused(error) => Self::Corrupt(error.to_string()),
        }
    }
}

impl PostgresEngine {
    /// A table or function as statements call it.
    fn named(&self, name: &str) -> String {
        match self.schema.get() {
            Some(schema) => format!("{schema}.{name}"),
            None => name.to_owned(),
        }
    }

    /// A connection to a server that takes writes. A pool of one's own asks where that is needed; a host's was never told to, and nobody
    /// knows which of its connections were asked before or where they lead by now, so each is asked before it is used.
    async fn acquire(&self) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        let mut left = self.attempts;
        loop {
            let mut connection = self.pool.acquire().await?;
            if !self.lent {
                return Ok(connection);
            }
            let Err(refusal) = self.health.ask(&mut connection).await else { return Ok(connection) };
            connection.close_on_drop();
            if left == 0 {
                return Err(refusal);
            }
            left -= 1;
        }
    }

    /// Runs `work` on a connection, for a bounded time.
    async fn once<T>(&self, work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>) -> Result<T, Failure> {
        let mut connection = self.acquire().await.map_err(Failure::Connection)?;
        match tokio::time::timeout(self.patience, work(&mut connection)).await {
            Ok(Err(error)) => {
                let failure = Failure::of(error);
                if failure.is_read_only() {
                    self.health.note_demoted();
                    connection.close_on_drop();
                } else if failure.is_mixed_up() {
                    tracing::error!("{}", pooler::refusal(&connect::place(&self.connect)));
                    connection.close_on_drop();
                } else if matches!(failure, Failure::Lost(_)) {
                    self.health.note_lost();
                }
                Err(failure)
            }
            Ok(Ok(done)) => Ok(done),
            Err(_) => {
                self.health.note_lost();
                connection.close_on_drop();
                Err(Failure::Lost(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))
            }
        }
    }

    /// Runs a statement that does no harm when it runs twice, again and again while connections turn out to be dead.
    async fn rows<T: Send + Unpin + for<'r> FromRow<'r, PgRow>>(
        &self,
        sql: &str,
        args: &[Arg],
    ) -> Result<Vec<T>, Failure> {
        let (mut left, begun) = (self.attempts, Instant::now());
        loop {
            let fetched = self
                .once(async |connection| {
                    statement(sql, args).try_map(|row| T::from_row(&row)).fetch_all(connection).await
                })
                .await;
            match fetched {
                Err(failure)
                    if left > 0
                        && begun.elapsed() < self.patience * 2
                        && (failure.is_conflict() || matches!(failure, Failure::Lost(_))) =>
                {
                    left -= 1;
                }
                fetched => return fetched,
            }
        }
    }

    /// The same for reads, which have no outcome to be unsure of.
    async fn read<T: Send + Unpin + for<'r> FromRow<'r, PgRow>>(
        &self,
        sql: &str,
        args: &[Arg],
    ) -> Result<Vec<T>, StoreError> {
        self.rows(sql, args).await.map_err(|failure| match failure {
            Failure::Lost(error) => StoreError::Unavailable(Box::new(error)),
            failure => failure.into(),
        })
    }
}

#[async_trait]
impl Engine for PostgresEngine {
    const ONE_OF: &'static str = "= ANY({})";
    const SKIP_LOCKED: &'static str = " FOR UPDATE SKIP LOCKED";
    const CLOCK: Option<&'static str> =
        Some("to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')");

    fn table(&self, name: &str) -> String {
        self.named(name)
    }

    async fn records(&self, sql: String, args: Vec<Arg>) -> Result<Vec<Row>, StoreError> {
        self.read(&sql, &args).await
    }

    async fn texts(&self, sql: String, args: Vec<Arg>) -> Result<Vec<String>, StoreError> {
        Ok(self.read::<(String,)>(&sql, &args).await?.into_iter().map(|(text,)| text).collect())
    }

    async fn bytes(&self, sql: String, args: Vec<Arg>) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.read::<(Vec<u8>,)>(&sql, &args).await?.pop().map(|(bytes,)| bytes))
    }

    async fn change(&self, sql: String, args: Vec<Arg>) -> Result<Vec<String>, StoreError> {
        Ok(self.rows::<(String,)>(&sql, &args).await?.into_iter().map(|(text,)| text).collect())
    }

    async fn commit(&self, batch: &Batch) -> Result<Outcome, StoreError> {
        self.commit_batch(batch).await
    }

    async fn changes(&self) -> Option<Changes> {
        listen::changes(&self.pool).await
    }
}
