//! The one writer. It takes whatever waits, runs it in one transaction and waits for the disk once: under load the cost of
//! a durable commit is shared, and a lone commit waits for nobody.

use super::{closed, failed, open::connect_writing, primary_code, rows};
use crate::{
    backends::sql::Arg,
    ports::store::{Batch, Count, Draft, Key, Op, Outcome, Reason, Refusal, StoreError},
};
use rusqlite::{Connection, OptionalExtension, ToSql};
use std::{io, path::PathBuf};
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

/// Hands writes to the thread that owns the connection.
pub(super) struct Writer(mpsc::Sender<Message>);

impl Writer {
    pub(super) fn start(path: PathBuf, durable: bool, connection: Connection) -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        let place = Place { path, durable };
        std::thread::Builder::new().name("asgard-sqlite".into()).spawn(move || run(&place, connection, receiver))?;
        Ok(Self(sender))
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

/// Where to connect again after a connection was lost.
struct Place {
    path: PathBuf,
    durable: bool,
}

fn run(place: &Place, connection: Connection, mut queue: mpsc::Receiver<Message>) {
    let mut connection = Some(connection);
    let mut closing = None;
    while closing.is_none() {
        let Some(first) = queue.blocking_recv() else { break };
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
        connection = write(place, connection, group);
    }
    // Who comes too late hears so, before anybody hears that it is closed.
    queue.close();
    while let Some(late) = queue.blocking_recv() {
        match late {
            Message::Work(_, answer) => drop(answer.send(Err(closed()))),
            Message::Close(done) => drop(done.send(())),
        }
    }
    // The last one out folds the log into the file; a failure leaves that to the next opening.
    drop(connection);
    if let Some(done) = closing {
        let _ = done.send(());
    }
}

/// Runs a group in one transaction and answers everybody. Returns the connection if it can be used again.
fn write(place: &Place, connection: Option<Connection>, group: Vec<(Work, Answer)>) -> Option<Connection> {
    if group.is_empty() {
        return connection;
    }
    let connection = match connection {
        Some(connection) => connection,
        None => match connect_writing(&place.path, place.durable) {
            Ok(connection) => connection,
            Err(error) => {
                answer_all(group, || StoreError::Unavailable(error.to_string().into()));
                return None;
            }
        },
    };
    match attempt(&connection, group.iter().map(|(work, _)| work)) {
        Ok(done) => {
            for ((_, answer), done) in group.into_iter().zip(done) {
                // Nobody waits for an answer whose caller went away.
                let _ = answer.send(Ok(done));
            }
        }
        Err(Failure::Begin(error)) => {
            let reusable = primary_code(&error).is_some();
            answer_all(group, || StoreError::Unavailable(error.to_string().into()));
            return reusable.then_some(connection);
        }
        Err(Failure::Commit(error)) => {
            rollback(&connection);
            // What reached the log may count after a crash: only asking again under the same id tells.
            answer_all(group, || StoreError::Unknown(error.to_string().into()));
            return None;
        }
        Err(Failure::Step(_)) => {
            rollback(&connection);
            for (work, answer) in group {
                let result = match attempt(&connection, std::iter::once(&work)) {
                    Ok(mut done) => done.pop().ok_or_else(closed),
                    Err(Failure::Begin(error)) => Err(StoreError::Unavailable(Box::new(error))),
                    Err(Failure::Step(error)) => {
                        rollback(&connection);
                        Err(failed(error))
                    }
                    Err(Failure::Commit(error)) => {
                        rollback(&connection);
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

fn rollback(connection: &Connection) {
    // SQLite may have rolled back by itself, and then says that there is nothing to roll back.
    let _ = execute(connection, "ROLLBACK", &[]);
}

enum Failure {
    Begin(rusqlite::Error),
    Step(rusqlite::Error),
    Commit(rusqlite::Error),
}

fn attempt<'w>(connection: &Connection, works: impl Iterator<Item = &'w Work>) -> Result<Vec<Done>, Failure> {
    execute(connection, "BEGIN IMMEDIATE", &[]).map_err(Failure::Begin)?;
    let mut done = Vec::new();
    for work in works {
        done.push(match work {
            Work::Commit(batch) => Done::Commit(commit(connection, batch).map_err(Failure::Step)?),
            Work::Change(sql, args) => {
                let changed = rows(connection, sql, args.clone(), |row| row.get(0));
                Done::Change(changed.map_err(Failure::Step)?)
            }
        });
    }
    execute(connection, "COMMIT", &[]).map_err(Failure::Commit)?;
    Ok(done)
}

/// Runs a statement and says how many rows it changed.
fn execute(connection: &Connection, sql: &str, args: &[&dyn ToSql]) -> rusqlite::Result<usize> {
    connection.prepare_cached(sql)?.execute(args)
}

/// One batch inside the group's transaction. Each step is one statement that changes a row or does not; the savepoint takes
/// back what a refused batch had done.
fn commit(connection: &Connection, batch: &Batch) -> rusqlite::Result<Outcome> {
    execute(connection, "SAVEPOINT batch", &[])?;
    let marker = "INSERT INTO commits (id, at) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
    let marked = execute(connection, marker, &[&batch.id().as_str(), &batch.at().to_string()])?;
    let mut outcome = Outcome::Committed;
    if marked > 0 {
        for (step, op) in batch.ops().iter().enumerate() {
            if let Err(reason) = apply(connection, batch.id().as_str(), op)? {
                execute(connection, "ROLLBACK TO batch", &[])?;
                outcome = Outcome::Refused(Refusal { step, reason });
                break;
            }
        }
    }
    execute(connection, "RELEASE batch", &[])?;
    Ok(outcome)
}

fn apply(connection: &Connection, commit: &str, op: &Op) -> rusqlite::Result<Result<(), Reason>> {
    let (touched, reason) = match op {
        Op::Insert(draft) => (insert(connection, draft, commit)?, Reason::Exists),
        Op::Replace(draft, seen) => (replace(connection, draft, commit, seen.as_str())?, Reason::Changed),
        Op::Remove(key, seen) => {
            let sql = on(key, "DELETE FROM {} WHERE id = ?1 AND version = ?2");
            (execute(connection, &sql, &[&key.id, &seen.as_str()])?, Reason::Changed)
        }
        Op::Require(key, Some(seen)) => {
            let sql = on(key, "SELECT 1 FROM {} WHERE id = ?1 AND version = ?2");
            let there = connection.prepare_cached(&sql)?.exists([key.id.as_str(), seen.as_str()])?;
            return Ok(if there { Ok(()) } else { Err(Reason::Changed) });
        }
        Op::Require(key, None) => {
            let there = connection.prepare_cached(&on(key, "SELECT 1 FROM {} WHERE id = ?1"))?.exists([&key.id])?;
            return Ok(if there { Err(Reason::Exists) } else { Ok(()) });
        }
        Op::Claim { name, owner } => {
            let sql = "INSERT INTO claims (name, owner) VALUES (?1, ?2) ON CONFLICT DO NOTHING";
            (execute(connection, sql, &[name, owner])?, Reason::Taken)
        }
        Op::Release { name, owner } => {
            let sql = "DELETE FROM claims WHERE name = ?1 AND owner = ?2";
            (execute(connection, sql, &[name, owner])?, Reason::NotHeld)
        }
        Op::Count(count) => return apply_count(connection, count),
    };
    Ok(if touched > 0 { Ok(()) } else { Err(reason) })
}

/// The statement on the table of `key`.
fn on(key: &Key, sql: &str) -> String {
    sql.replace("{}", key.kind.name())
}

fn insert(connection: &Connection, draft: &Draft, commit: &str) -> rusqlite::Result<usize> {
    let sql =
        "INSERT INTO {} (id, version, schema, body, expires_at) VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO NOTHING";
    let expires_at = draft.expires_at.map(|at| at.to_string());
    execute(connection, &on(&draft.key, sql), &[&draft.key.id, &commit, &draft.schema, &draft.body, &expires_at])
}

fn replace(connection: &Connection, draft: &Draft, commit: &str, seen: &str) -> rusqlite::Result<usize> {
    let sql = "UPDATE {} SET version = ?2, schema = ?3, body = ?4, expires_at = ?5 WHERE id = ?1 AND version = ?6";
    let expires_at = draft.expires_at.map(|at| at.to_string());
    let args: [&dyn ToSql; 6] = [&draft.key.id, &commit, &draft.schema, &draft.body, &expires_at, &seen];
    execute(connection, &on(&draft.key, sql), &args)
}

fn apply_count(connection: &Connection, count: &Count) -> rusqlite::Result<Result<(), Reason>> {
    let mut statement = connection.prepare_cached("SELECT value FROM counters WHERE name = ?1")?;
    let shown: Option<i64> = statement.query_row([&count.counter], |row| row.get(0)).optional()?;
    let value = match count.step(shown.unwrap_or(0)) {
        Ok(value) => value,
        Err(reason) => return Ok(Err(reason)),
    };
    let sql = "INSERT OR REPLACE INTO counters (name, value, expires_at) VALUES (?1, ?2, ?3)";
    execute(connection, sql, &[&count.counter, &value, &count.expires_at.map(|at| at.to_string())])?;
    Ok(Ok(()))
}
