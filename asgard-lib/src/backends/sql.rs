//! What the SQL backends share: every statement that reads like the same sentence in both dialects, and how rows become
//! records. A dialect brings its connections, its commit and four ways to run a statement.

pub(crate) mod declared;
pub(crate) mod migrations;
#[cfg(feature = "postgres")]
pub(crate) mod postgres;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;

use crate::{
    kernel::{BlobId, Timestamp},
    ports::{
        blobs::{Blobs, check_size},
        kinds::Kind,
        store::{
            Batch, Changes, Found, Key, MARKERS_KEPT, Order, Outcome, Position, Query, ReadBatch, ReadResults, Record,
            Store, StoreError,
        },
    },
};
use async_trait::async_trait;
use std::{collections::BTreeMap, sync::Arc};

/// A value bound to a statement.
#[derive(Clone, Debug)]
#[expect(
    unnameable_types,
    reason = "what SqliteStore and PostgresStore share; a store of another kind implements the port"
)]
pub enum Arg {
    /// Text.
    Text(String),
    /// A set of texts, for [`Engine::ONE_OF`].
    Texts(Vec<String>),
    /// A number.
    Number(i64),
    /// Bytes.
    Bytes(Vec<u8>),
}

/// A record's row: position of its kind in the statement, id, version, schema, body, expiry, last note.
pub(crate) type Row = (i32, String, String, i32, String, Option<String>, Option<String>);

/// A dialect: connections and the few things that are said differently.
#[async_trait]
#[expect(
    unnameable_types,
    reason = "what SqliteStore and PostgresStore share; a store of another kind implements the port"
)]
pub trait Engine: Send + Sync + 'static {
    /// What follows `id` to ask for one of the texts of the parameter `{}`.
    const ONE_OF: &'static str;
    /// Ends a select whose rows are about to be deleted, so that two sweepers do not wait for each other.
    const SKIP_LOCKED: &'static str;

    /// How a table is called in a statement.
    fn table(&self, name: &str) -> String {
        name.to_owned()
    }
    /// Runs a statement that reads records by their ids.
    async fn records(&self, sql: String, args: Vec<Arg>) -> Result<Vec<Row>, StoreError>;
    /// Runs a statement that reads a page of records, which may take longer.
    async fn page(&self, sql: String, args: Vec<Arg>) -> Result<Vec<Row>, StoreError> {
        self.records(sql, args).await
    }
    /// Runs a statement that reads one column of texts.
    async fn texts(&self, sql: String, args: Vec<Arg>) -> Result<Vec<String>, StoreError>;
    /// Runs a statement that reads one column of bytes.
    async fn bytes(&self, sql: String, args: Vec<Arg>) -> Result<Option<Vec<u8>>, StoreError>;
    /// Runs a statement that writes, in a transaction of its own, and returns what it returns: one column of texts.
    async fn change(&self, sql: String, args: Vec<Arg>) -> Result<Vec<String>, StoreError>;
    /// Commits a batch.
    async fn commit(&self, batch: &Batch) -> Result<Outcome, StoreError>;
    /// Something that tells of commits.
    async fn changes(&self) -> Option<Changes> {
        None
    }
    /// How a statement asks for the server's time, where there is a server.
    const CLOCK: Option<&'static str> = None;
}

/// A store and blobs in a SQL database. Clones share the connections.
#[expect(
    unnameable_types,
    reason = "what SqliteStore and PostgresStore share; a store of another kind implements the port"
)]
pub struct SqlStore<E>(Arc<E>);

impl<E> Clone for SqlStore<E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<E> std::fmt::Debug for SqlStore<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SqlStore")
    }
}

/// The row that is written to see whether writing works, among the markers of commits. It never expires.
const READY: &str = "ready";

const COLUMNS: &str = "id, version, schema, body, expires_at, noted_at";

fn corrupt(what: &str, why: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt(format!("{what}: {why}"))
}

fn record(kind: Kind, row: Row) -> Result<Record, StoreError> {
    let (_, id, version, schema, body, expires_at, noted_at) = row;
    let key = Key::new(kind, id);
    let time = |text: Option<String>| text.map(|text| text.parse::<Timestamp>()).transpose();
    let bad = |e| corrupt(&key.to_string(), e);
    Ok(Record {
        version: version.parse().map_err(bad)?,
        schema: u16::try_from(schema).map_err(|e| corrupt(&key.to_string(), e))?,
        expires_at: time(expires_at).map_err(bad)?,
        noted_at: time(noted_at).map_err(bad)?,
        body,
        key,
    })
}

/// One statement for keys of any kinds: a branch per kind, so that it is one round trip and one snapshot.
fn select_keys<E: Engine>(engine: &E, keys: &[Key]) -> (Vec<Kind>, String, Vec<Arg>) {
    let mut wanted: BTreeMap<Kind, Vec<String>> = BTreeMap::new();
    for key in keys {
        wanted.entry(key.kind).or_default().push(key.id.clone());
    }
    let (mut kinds, mut branches, mut args) = (Vec::new(), Vec::new(), Vec::new());
    for (kind, mut ids) in wanted {
        let parameter = format!("${}", args.len() + 1);
        let matches = if ids.len() == 1 { format!("= {parameter}") } else { E::ONE_OF.replace("{}", &parameter) };
        let table = engine.table(kind.name());
        branches.push(format!("SELECT {}, {COLUMNS} FROM {table} WHERE id {matches}", kinds.len()));
        args.push(match ids.pop() {
            Some(id) if ids.is_empty() => Arg::Text(id),
            last => Arg::Texts(ids.into_iter().chain(last).collect()),
        });
        kinds.push(kind);
    }
    (kinds, branches.join(" UNION ALL "), args)
}

/// What is not a record, among the rows of a look: the position of its statement and how its row is made.
fn select_names<E: Engine>(
    engine: &E,
    at: usize,
    table: &str,
    shows: &str,
    names: &[String],
    parameter: usize,
) -> String {
    let matches =
        if names.len() == 1 { format!("= ${parameter}") } else { E::ONE_OF.replace("{}", &format!("${parameter}")) };
    let table = engine.table(table);
    format!("SELECT {at}, name, {shows}, 0, '', NULL, NULL FROM {table} WHERE name {matches}")
}

fn one_or_many(names: &[String]) -> Arg {
    match names {
        [name] => Arg::Text(name.clone()),
        names => Arg::Texts(names.to_vec()),
    }
}

fn select_page(table: &str, query: &Query) -> (String, Vec<Arg>) {
    let mut args: Vec<Arg> = Vec::new();
    let mut bind = |arg: Arg| {
        args.push(arg);
        format!("${}", args.len())
    };
    let text = |text: &String| Arg::Text(text.clone());
    let mut wheres = Vec::new();
    if let Some(field) = query.index.partition {
        wheres.push(format!("f_{field} = {}", bind(text(&query.partition))));
    }
    let sort = query.index.sort.map(|field| format!("f_{field}"));
    if let Some(column) = &sort {
        wheres.push(format!("{column} IS NOT NULL"));
    }
    let ordered_by = sort.as_deref().unwrap_or("id");
    if let Some(from) = &query.from {
        wheres.push(format!("{ordered_by} >= {}", bind(text(from))));
    }
    if let Some(below) = &query.below {
        wheres.push(format!("{ordered_by} < {}", bind(text(below))));
    }
    let (past, direction) = match query.order {
        Order::Ascending => (">", "ASC"),
        Order::Descending => ("<", "DESC"),
    };
    if let Some(after) = &query.after {
        wheres.push(match &sort {
            Some(column) => format!("({column}, id) {past} ({}, {})", bind(text(&after.sort)), bind(text(&after.id))),
            None => format!("id {past} {}", bind(text(&after.id))),
        });
    }
    let filter = if wheres.is_empty() { String::new() } else { format!(" WHERE {}", wheres.join(" AND ")) };
    let order = sort.map(|column| format!("{column} {direction}, ")).unwrap_or_default();
    // One more than asked for says whether there is a next page.
    let limit = bind(Arg::Number(i64::try_from(query.limit).unwrap_or(i64::MAX).saturating_add(1)));
    (format!("SELECT 0, {COLUMNS} FROM {table}{filter} ORDER BY {order}id {direction} LIMIT {limit}"), args)
}

/// The statement for a page of `index` with literals in place of parameters, so that tests can ask a database for its plan.
#[cfg(feature = "contract")]
#[doc(hidden)]
pub fn page_with_literals(index: &'static crate::ports::kinds::Index) -> String {
    let after = Position { sort: "x".into(), id: "x".into() };
    let (mut sql, args) = select_page(index.kind.name(), &Query::new(index, "").after(Some(after)));
    for (number, arg) in (1..).zip(&args).collect::<Vec<_>>().into_iter().rev() {
        let literal = if matches!(arg, Arg::Number(_)) { "10" } else { "'x'" };
        sql = sql.replace(&format!("${number}"), literal);
    }
    sql
}

/// Where `record` stands in the index of `query`.
fn position(query: &Query, record: &Record) -> Result<Position, StoreError> {
    let body = serde_json::from_str(&record.body).map_err(|e| corrupt(&record.key.to_string(), e))?;
    let sort = query.index.entry(&body).and_then(|(_, sort)| sort).unwrap_or_default();
    Ok(Position { sort, id: record.key.id.clone() })
}

#[async_trait]
impl<E: Engine> Store for SqlStore<E> {
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        Batch::check_reads(keys)?;
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let (kinds, sql, args) = select_keys(&*self.0, keys);
        let mut found = BTreeMap::new();
        for row in self.0.records(sql, args).await? {
            let kind = usize::try_from(row.0).ok().and_then(|at| kinds.get(at).copied());
            let record = record(kind.ok_or_else(|| corrupt("a row", "of no kind that was asked for"))?, row)?;
            found.insert(record.key.clone(), record);
        }
        Ok(keys.iter().map(|key| found.get(key).cloned()).collect())
    }

    async fn read_batch(&self, asked: &ReadBatch) -> Result<ReadResults, StoreError> {
        asked.check()?;
        if asked.is_empty() {
            return Ok(ReadResults::default());
        }
        // One statement: one round trip, and one snapshot.
        let (kinds, records, mut args) = select_keys(&*self.0, &asked.keys);
        let mut branches = if records.is_empty() { Vec::new() } else { vec![records] };
        let (claims, counters) = (kinds.len(), kinds.len() + 1);
        for (at, table, shows, names) in
            [(claims, "claims", "owner", &asked.claims), (counters, "counters", "CAST(value AS text)", &asked.counters)]
        {
            if !names.is_empty() {
                args.push(one_or_many(names));
                branches.push(select_names(&*self.0, at, table, shows, names, args.len()));
            }
        }
        let (mut found, mut holders, mut shown) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        for row in self.0.records(branches.join(" UNION ALL "), args).await? {
            match usize::try_from(row.0).ok() {
                Some(at) if at == claims => drop(holders.insert(row.1, row.2)),
                Some(at) if at == counters => drop(shown.insert(row.1, number(&row.2)?)),
                at => {
                    let kind = at.and_then(|at| kinds.get(at).copied());
                    let record = record(kind.ok_or_else(|| corrupt("a row", "of nothing that was asked for"))?, row)?;
                    found.insert(record.key.clone(), record);
                }
            }
        }
        Ok(ReadResults {
            records: asked.keys.iter().map(|key| found.get(key).cloned()).collect(),
            holders: asked.claims.iter().map(|name| holders.get(name).cloned()).collect(),
            counters: asked.counters.iter().map(|name| shown.get(name).copied().unwrap_or(0)).collect(),
        })
    }

    async fn query(&self, query: &Query) -> Result<Found, StoreError> {
        query.check()?;
        let (sql, args) = select_page(&self.0.table(query.index.kind.name()), query);
        let mut rows = self.0.page(sql, args).await?;
        let more = rows.len() > query.limit;
        rows.truncate(query.limit);
        let records = rows.into_iter().map(|row| record(query.index.kind, row)).collect::<Result<Vec<_>, _>>()?;
        let next = records.last().filter(|_| more).map(|last| position(query, last)).transpose()?;
        Ok(Found { records, next })
    }

    async fn commit(&self, batch: &Batch) -> Result<Outcome, StoreError> {
        self.0.commit(batch).await
    }

    async fn holder(&self, name: &str) -> Result<Option<String>, StoreError> {
        let sql = format!("SELECT owner FROM {} WHERE name = $1", self.0.table("claims"));
        Ok(self.0.texts(sql, vec![Arg::Text(name.to_owned())]).await?.pop())
    }

    async fn counter(&self, name: &str) -> Result<i64, StoreError> {
        let sql = format!("SELECT CAST(value AS text) FROM {} WHERE name = $1", self.0.table("counters"));
        number(self.0.texts(sql, vec![Arg::Text(name.to_owned())]).await?.pop().as_deref().unwrap_or("0"))
    }

    async fn increment(&self, counter: &str) -> Result<i64, StoreError> {
        let sql = format!(
            "INSERT INTO {} AS c (name, value) VALUES ($1, 1) \
             ON CONFLICT (name) DO UPDATE SET value = c.value + 1 WHERE c.value < 9223372036854775807 \
             RETURNING CAST(value AS text)",
            self.0.table("counters")
        );
        let returned = self.0.change(sql, vec![Arg::Text(counter.to_owned())]).await?.pop();
        number(&returned.ok_or_else(|| corrupt(counter, "the counter is full"))?)
    }

    async fn note(&self, key: &Key, at: Timestamp) -> Result<(), StoreError> {
        let sql = format!("UPDATE {} SET noted_at = $2 WHERE id = $1 RETURNING id", self.0.table(key.kind.name()));
        self.0.change(sql, vec![Arg::Text(key.id.clone()), Arg::Text(at.to_string())]).await.map(|_| ())
    }

    async fn expire(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let record_tables = Kind::ALL.iter().map(|kind| (kind.name(), "id", "expires_at", now));
        let others = [("counters", "name", "expires_at", now), ("commits", "id", "at", now.minus(MARKERS_KEPT))];
        let mut left = limit;
        for (table, key, column, before) in record_tables.chain(others) {
            if left == 0 {
                break;
            }
            let table = self.0.table(table);
            let past =
                format!("SELECT {key} FROM {table} WHERE {column} < $1 ORDER BY {column} LIMIT $2{}", E::SKIP_LOCKED);
            let sql = format!("DELETE FROM {table} WHERE {key} IN ({past}) AND {column} < $1 RETURNING {key}");
            let args = vec![Arg::Text(before.to_string()), Arg::Number(i64::try_from(left).unwrap_or(i64::MAX))];
            left -= left.min(self.0.change(sql, args).await?.len());
        }
        Ok(limit - left)
    }

    async fn changes(&self) -> Option<Changes> {
        self.0.changes().await
    }

    async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        let Some(asks) = E::CLOCK else { return Ok(None) };
        let text = self.0.texts(format!("SELECT {asks}"), Vec::new()).await?.pop();
        text.map(|text| text.parse().map_err(|e| corrupt("the server's clock", e))).transpose()
    }

    async fn ping(&self) -> Result<(), StoreError> {
        // A write that changes nothing but once: what only reads may be a primary no more, or have no room left.
        let sql = format!(
            "INSERT INTO {} AS c (id, at) VALUES ('{READY}', '9999-12-31T23:59:59.999999Z') \
             ON CONFLICT (id) DO UPDATE SET at = c.at RETURNING id",
            self.0.table("commits")
        );
        self.0.change(sql, Vec::new()).await.map(|_| ())
    }
}

fn number(text: &str) -> Result<i64, StoreError> {
    text.parse().map_err(|e| corrupt("a counter", e))
}

#[async_trait]
impl<E: Engine> Blobs for SqlStore<E> {
    async fn put(&self, id: &BlobId, bytes: &[u8], at: Timestamp) -> Result<(), StoreError> {
        check_size(id, bytes)?;
        let table = self.0.table("blobs");
        let sql =
            format!("INSERT INTO {table} (id, at, bytes) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING RETURNING id");
        let args = vec![Arg::Text(id.to_string()), Arg::Text(at.to_string()), Arg::Bytes(bytes.to_vec())];
        if !self.0.change(sql, args).await?.is_empty() {
            return Ok(());
        }
        match self.get(id).await? {
            Some(stored) if stored == bytes => Ok(()),
            Some(_) => Err(StoreError::Corrupt(format!("blob {id} holds other bytes already"))),
            None => Err(StoreError::Unavailable(format!("blob {id} was deleted while it was written again").into())),
        }
    }

    async fn get(&self, id: &BlobId) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = format!("SELECT bytes FROM {} WHERE id = $1", self.0.table("blobs"));
        self.0.bytes(sql, vec![Arg::Text(id.to_string())]).await
    }

    async fn delete(&self, id: &BlobId) -> Result<(), StoreError> {
        let sql = format!("DELETE FROM {} WHERE id = $1 RETURNING id", self.0.table("blobs"));
        self.0.change(sql, vec![Arg::Text(id.to_string())]).await.map(|_| ())
    }

    async fn list(&self, before: Timestamp, after: Option<&BlobId>, limit: usize) -> Result<Vec<BlobId>, StoreError> {
        let table = self.0.table("blobs");
        let sql = format!("SELECT id FROM {table} WHERE at < $1 AND id > $2 ORDER BY id LIMIT $3");
        let after = after.map(ToString::to_string).unwrap_or_default();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let ids = self.0.texts(sql, vec![Arg::Text(before.to_string()), Arg::Text(after), Arg::Number(limit)]).await?;
        ids.iter().map(|id| id.parse().map_err(|e| corrupt(id, e))).collect()
    }
}

#[cfg(all(test, feature = "sqlite", feature = "postgres"))]
mod tests {
    use super::{postgres, sqlite};

    #[test]
    fn every_migration_file_is_embedded_in_order() {
        for (dialect, migrations) in [("sqlite", sqlite::MIGRATIONS), ("postgres", postgres::MIGRATIONS)] {
            let folder = format!("{}/migrations/{dialect}", env!("CARGO_MANIFEST_DIR"));
            let mut files: Vec<String> = std::fs::read_dir(folder)
                .unwrap()
                .map(|file| file.unwrap().file_name().into_string().unwrap())
                .collect();
            files.sort();
            let embedded: Vec<String> = migrations.iter().map(|migration| format!("{}.sql", migration.name)).collect();
            assert_eq!(files, embedded);
            for (number, migration) in (1i64..).zip(migrations) {
                assert!(
                    migration.number == number && migration.name.starts_with(&format!("{number:04}_")),
                    "{}",
                    migration.name
                );
            }
        }
    }
}
