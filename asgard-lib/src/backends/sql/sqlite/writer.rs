//! The one writer. It takes whatever waits, runs it in one transaction and waits for the disk once: under load the cost of
//! a durable commit is shared, and a lone commit waits for nobody.

use super::{Statement, failed, statement};
use crate::{
    backends::sql::Arg,
    ports::store::{Batch, Count, Draft, Key, Op, Outcome, Reason, Refusal, StoreError},
};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use tokio::sync::{mpsc, oneshot};

/// The most writes in one transaction: bounds how long the first of them waits, and the log's growth.
const GROUP: usize = 64;
/// The most writes that wait. Callers beyond it wait for a place.
const QUEUE: usize = 1024;

enum Work {
    Commit(Batch),
    Change(String, Vec<Arg>),
}

enum Done {
    Commit(Outcome),
    Change(Vec<String>),
}

type Answer = oneshot::Sender<Result<Done, StoreError>>;

enum Message {
    Work(Work, Answer),
    Close(oneshot::Sender<()>),
}

/// Hands writes to the task that owns the connection.
pub(super) struct Writer(mpsc::Sender<Message>);

fn closed() -> StoreError {
    StoreError::Unavailable("the database was closed".into())
}

impl Writer {
    pub(super) fn start(options: SqliteConnectOptions, connection: SqliteConnection) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        tokio::spawn(run(options, connection, receiver));
        Self(sender)
    }

    pub(super) async fn commit(&self, batch: Batch) -> Result<Outcome, StoreError> {
        match self.submit(Work::Commit(batch)).await? {
            Done::Commit(outcome) => Ok(outcome),
            Done::Change(_) => Err(StoreError::Corrupt("the writer mixed up its answers".into())),
        }
    }

    pub(super) async fn change(&self, sql: String, args: Vec<Arg>) -> Result<Vec<String>, StoreError> {
        match self.submit(Work::Change(sql, args)).await? {
            Done::Change(returned) => Ok(returned),
            Done::Commit(_) => Err(StoreError::Corrupt("the writer mixed up its answers".into())),
        }
    }

    async fn submit(&self, work: Work) -> Result<Done, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.0.send(Message::Work(work, answer)).await.map_err(|_| closed())?;
        answered.await.unwrap_or_else(|_| Err(StoreError::Unknown("the writer stopped".into())))
    }

    pub(super) async fn close(&self) {
        let (done, finished) = oneshot::channel();
        if self.0.send(Message::Close(done)).await.is_ok() {
            // An error means that the writer has stopped already.
            let _ = finished.await;
        }
    }
}

async fn run(options: SqliteConnectOptions, connection: SqliteConnection, mut queue: mpsc::Receiver<Message>) {
    let mut connection = Some(connection);
    let mut closing = None;
    while closing.is_none() {
        let Some(first) = queue.recv().await else { break };
        let mut group = Vec::new();
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Work(work, answer) => group.push((work, answer)),
                Message::Close(done) => {
                    closing = Some(done);
                    break;
                }
            }
            next = if group.len() < GROUP { queue.try_recv().ok() } else { None };
        }
        connection = write(&options, connection, group).await;
    }
    if let Some(connection) = connection {
        // The last one out folds the log into the file; a failure leaves that to the next opening.
        let _ = connection.close().await;
    }
    if let Some(done) = closing {
        let _ = done.send(());
    }
}

/// Runs a group in one transaction and answers everybody. Returns the connection if it can be used again.
async fn write(
    options: &SqliteConnectOptions,
    connection: Option<SqliteConnection>,
    group: Vec<(Work, Answer)>,
) -> Option<SqliteConnection> {
    if group.is_empty() {
        return connection;
    }
    let mut connection = match connection {
        Some(connection) => connection,
        None => match options.connect().await {
            Ok(connection) => connection,
            Err(error) => {
                answer_all(group, || StoreError::Unavailable(error.to_string().into()));
                return None;
            }
        },
    };
    match attempt(&mut connection, group.iter().map(|(work, _)| work)).await {
        Ok(done) => {
            for ((_, answer), done) in group.into_iter().zip(done) {
                // Nobody waits for an answer whose caller went away.
                let _ = answer.send(Ok(done));
            }
        }
        Err(Failure::Begin(error)) => {
            let reusable = matches!(error, sqlx::Error::Database(_));
            answer_all(group, || StoreError::Unavailable(error.to_string().into()));
            return reusable.then_some(connection);
        }
        Err(Failure::Commit(error)) => {
            rollback(&mut connection).await;
            // What reached the log may count after a crash: only asking again under the same id tells.
            answer_all(group, || StoreError::Unknown(error.to_string().into()));
            return None;
        }
        Err(Failure::Step(_)) => {
            rollback(&mut connection).await;
            for (work, answer) in group {
                let result = match attempt(&mut connection, std::iter::once(&work)).await {
                    Ok(mut done) => done.pop().ok_or_else(closed),
                    Err(Failure::Begin(error)) => Err(StoreError::Unavailable(Box::new(error))),
                    Err(Failure::Step(error)) => {
                        rollback(&mut connection).await;
                        Err(failed(error))
                    }
                    Err(Failure::Commit(error)) => {
                        rollback(&mut connection).await;
                        Err(StoreError::Unknown(Box::new(error)))
                    }
                };
                let _ = answer.send(result);
            }
        }
    }
    Some(connection)
}

fn answer_all(group: Vec<(Work, Answer)>, error: impl Fn() -> StoreError) {
    for (_, answer) in group {
        let _ = answer.send(Err(error()));
    }
}

async fn rollback(connection: &mut SqliteConnection) {
    // SQLite may have rolled back by itself, and then says that there is nothing to roll back.
    let _ = sqlx::query("ROLLBACK").execute(connection).await;
}

enum Failure {
    Begin(sqlx::Error),
    Step(sqlx::Error),
    Commit(sqlx::Error),
}

async fn attempt(connection: &mut SqliteConnection, works: impl Iterator<Item = &Work>) -> Result<Vec<Done>, Failure> {
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await.map_err(Failure::Begin)?;
    let mut done = Vec::new();
    for work in works {
        done.push(match work {
            Work::Commit(batch) => Done::Commit(commit(connection, batch).await.map_err(Failure::Step)?),
            Work::Change(sql, args) => Done::Change(change(connection, sql, args).await.map_err(Failure::Step)?),
        });
    }
    sqlx::query("COMMIT").execute(&mut *connection).await.map_err(Failure::Commit)?;
    Ok(done)
}

async fn change(connection: &mut SqliteConnection, sql: &str, args: &[Arg]) -> Result<Vec<String>, sqlx::Error> {
    let rows =
        statement(sql.to_owned(), args.to_vec()).try_map(|row| <(String,) as sqlx::FromRow<'_, _>>::from_row(&row));
    Ok(rows.fetch_all(connection).await?.into_iter().map(|(text,)| text).collect())
}

/// One batch inside the group's transaction. Each step is one statement that changes a row or does not; the savepoint takes
/// back what a refused batch had done.
async fn commit(connection: &mut SqliteConnection, batch: &Batch) -> Result<Outcome, sqlx::Error> {
    let marker = sqlx::query("INSERT INTO commits (id, at) VALUES ($1, $2) ON CONFLICT DO NOTHING");
    sqlx::query("SAVEPOINT batch").execute(&mut *connection).await?;
    let marked =
        marker.bind(batch.id().as_str()).bind(batch.at().to_string()).execute(&mut *connection).await?.rows_affected();
    let mut outcome = Outcome::Committed;
    if marked > 0 {
        for (step, op) in batch.ops().iter().enumerate() {
            if let Err(reason) = apply(connection, batch.id().as_str(), op).await? {
                sqlx::query("ROLLBACK TO batch").execute(&mut *connection).await?;
                outcome = Outcome::Refused(Refusal { step, reason });
                break;
            }
        }
    }
    sqlx::query("RELEASE batch").execute(&mut *connection).await?;
    Ok(outcome)
}

async fn apply(connection: &mut SqliteConnection, commit: &str, op: &Op) -> Result<Result<(), Reason>, sqlx::Error> {
    let (statement, reason) = match op {
        Op::Insert(draft) => (insert(draft, commit), Reason::Exists),
        Op::Replace(draft, seen) => (replace(draft, commit).bind(seen.as_str()), Reason::Changed),
        Op::Remove(key, seen) => {
            (on(key, "DELETE FROM {} WHERE id = $1 AND version = $2").bind(seen.as_str()), Reason::Changed)
        }
        Op::Require(key, Some(seen)) => {
            let there = on(key, "SELECT 1 FROM {} WHERE id = $1 AND version = $2")
                .bind(seen.as_str())
                .fetch_optional(connection)
                .await?;
            return Ok(there.map(|_| ()).ok_or(Reason::Changed));
        }
        Op::Require(key, None) => {
            let there = on(key, "SELECT 1 FROM {} WHERE id = $1").fetch_optional(connection).await?;
            return Ok(if there.is_none() { Ok(()) } else { Err(Reason::Exists) });
        }
        Op::Claim { name, owner } => (
            sqlx::query("INSERT INTO claims (name, owner) VALUES ($1, $2) ON CONFLICT DO NOTHING")
                .bind(name)
                .bind(owner),
            Reason::Taken,
        ),
        Op::Release { name, owner } => {
            (sqlx::query("DELETE FROM claims WHERE name = $1 AND owner = $2").bind(name).bind(owner), Reason::NotHeld)
        }
        Op::Count(count) => return apply_count(connection, count).await,
    };
    let touched = statement.execute(connection).await?.rows_affected();
    Ok(if touched > 0 { Ok(()) } else { Err(reason) })
}

/// The statement on the table of `key`, with its id as first parameter.
fn on<'q>(key: &'q Key, sql: &str) -> Statement<'q> {
    sqlx::query(AssertSqlSafe(sql.replace("{}", key.kind.name()))).bind(&key.id)
}

fn insert<'q>(draft: &'q Draft, commit: &'q str) -> Statement<'q> {
    let sql =
        "INSERT INTO {} (id, version, schema, body, expires_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";
    on(&draft.key, sql)
        .bind(commit)
        .bind(draft.schema)
        .bind(&draft.body)
        .bind(draft.expires_at.map(|at| at.to_string()))
}

fn replace<'q>(draft: &'q Draft, commit: &'q str) -> Statement<'q> {
    let sql = "UPDATE {} SET version = $2, schema = $3, body = $4, expires_at = $5 WHERE id = $1 AND version = $6";
    on(&draft.key, sql)
        .bind(commit)
        .bind(draft.schema)
        .bind(&draft.body)
        .bind(draft.expires_at.map(|at| at.to_string()))
}

async fn apply_count(connection: &mut SqliteConnection, count: &Count) -> Result<Result<(), Reason>, sqlx::Error> {
    let shown: Option<i64> = sqlx::query_scalar("SELECT value FROM counters WHERE name = $1")
        .bind(&count.counter)
        .fetch_optional(&mut *connection)
        .await?;
    let value = match count.step(shown.unwrap_or(0)) {
        Ok(value) => value,
        Err(reason) => return Ok(Err(reason)),
    };
    sqlx::query("INSERT OR REPLACE INTO counters (name, value, expires_at) VALUES ($1, $2, $3)")
        .bind(&count.counter)
        .bind(value)
        .bind(count.expires_at.map(|at| at.to_string()))
        .execute(connection)
        .await?;
    Ok(Ok(()))
}
