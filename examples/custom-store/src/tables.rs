//! What is kept under which key. redb orders text by its bytes and tuples part by part, which is the order that the port
//! asks for, so an index is a table whose key is the order and whose value is nothing.

use crate::fault::Fault;
use asgard_lib::{
    kernel::Timestamp,
    ports::{
        kinds::{INDEXES, Kind},
        store::{Draft, Key, Op, Record, StoreError, Version},
    },
};
use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};
use serde_json::{Map, Value};

/// The version, the layout of the body, the body, when it expires, when it was last noted.
pub type Row<'a> = (&'a str, u16, &'a str, Option<&'a str>, Option<&'a str>);
/// An index's name, a partition, a sort text (empty in an index without one), a record's id.
pub type Entry<'a> = (&'a str, &'a str, &'a str, &'a str);

/// Records by kind and id.
pub const RECORDS: TableDefinition<'_, (&str, &str), Row<'_>> = TableDefinition::new("records");
/// Every entry of every index.
pub const ENTRIES: TableDefinition<'_, Entry<'_>, ()> = TableDefinition::new("entries");
/// Who holds a name.
pub const CLAIMS: TableDefinition<'_, &str, &str> = TableDefinition::new("claims");
/// What a counter shows and when it expires.
pub const COUNTERS: TableDefinition<'_, &str, (i64, Option<&str>)> = TableDefinition::new("counters");
/// Which batches were committed; expiry keeps the time.
pub const COMMITS: TableDefinition<'_, &str, ()> = TableDefinition::new("commits");
/// What expires when: a moment, a record's kind or one of the two below, a name. Moments are text of one width, so they sort.
pub const EXPIRIES: TableDefinition<'_, (&str, &str, &str), ()> = TableDefinition::new("expiries");
/// Write-once bytes by id.
pub const BLOBS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("blobs");
/// When they were stored, apart so that listing them reads none of them.
pub const BLOB_TIMES: TableDefinition<'_, &str, &str> = TableDefinition::new("blob_times");
/// The layout of all of this, under one key.
pub const LAYOUT: TableDefinition<'_, &str, u64> = TableDefinition::new("layout");

/// In [`EXPIRIES`], where a record has its kind. No kind is called so.
pub const A_COUNTER: &str = "#counter";
/// The same for the marker of a commit.
pub const A_COMMIT: &str = "#commit";

/// An entry that owns its texts.
pub struct OwnedEntry {
    index: &'static str,
    partition: String,
    sort: String,
}

impl OwnedEntry {
    fn at<'a>(&'a self, id: &'a str) -> Entry<'a> {
        (self.index, &self.partition, &self.sort, id)
    }
}

/// Where a record stands in the indexes of its kind. Refuses what the port says no index has to take.
pub fn entries(key: &Key, body: &str) -> Result<Vec<OwnedEntry>, StoreError> {
    let body: Map<String, Value> = serde_json::from_str(body)
        .map_err(|error| StoreError::Corrupt(format!("the body of {key} is not a JSON object: {error}")))?;
    let mut found = Vec::new();
    for index in INDEXES.iter().filter(|index| index.kind == key.kind) {
        index.check(key, &body)?;
        if let Some((partition, sort)) = index.entry(&body) {
            found.push(OwnedEntry { index: index.name, partition, sort: sort.unwrap_or_default() });
        }
    }
    Ok(found)
}

/// The entries of every record that a batch writes, in the order of its steps. Worked out before the only writer is asked.
pub fn entries_of(ops: &[Op]) -> Result<Vec<Vec<OwnedEntry>>, StoreError> {
    ops.iter()
        .map(|op| match op {
            Op::Insert(draft) | Op::Replace(draft, _) => entries(&draft.key, &draft.body),
            Op::Remove(..) | Op::Require(..) | Op::Claim { .. } | Op::Release { .. } | Op::Count(_) => Ok(Vec::new()),
        })
        .collect()
}

fn time(text: &str) -> Result<Timestamp, Fault> {
    text.parse().map_err(|_| Fault::corrupt(format!("{text} is not a time")))
}

/// A record out of its row.
pub fn record(key: Key, (version, schema, body, expires_at, noted_at): Row<'_>) -> Result<Record, Fault> {
    let version = version.parse().map_err(|_| Fault::corrupt(format!("{key} has the version {version}")))?;
    Ok(Record {
        key,
        version,
        schema,
        body: body.to_owned(),
        expires_at: expires_at.map(time).transpose()?,
        noted_at: noted_at.map(time).transpose()?,
    })
}

/// The kind of that name.
pub fn kind(name: &str) -> Result<Kind, Fault> {
    let found = Kind::ALL.iter().find(|kind| kind.name() == name).copied();
    found.ok_or_else(|| Fault::corrupt(format!("{name} is no kind of record")))
}

/// The tables of one write transaction.
pub struct Tables<'t> {
    pub records: Table<'t, (&'static str, &'static str), Row<'static>>,
    pub entries: Table<'t, Entry<'static>, ()>,
    pub claims: Table<'t, &'static str, &'static str>,
    pub counters: Table<'t, &'static str, (i64, Option<&'static str>)>,
    pub commits: Table<'t, &'static str, ()>,
    pub expiries: Table<'t, (&'static str, &'static str, &'static str), ()>,
}

impl<'t> Tables<'t> {
    pub fn open(transaction: &'t WriteTransaction) -> Result<Self, Fault> {
        Ok(Self {
            records: transaction.open_table(RECORDS)?,
            entries: transaction.open_table(ENTRIES)?,
            claims: transaction.open_table(CLAIMS)?,
            counters: transaction.open_table(COUNTERS)?,
            commits: transaction.open_table(COMMITS)?,
            expiries: transaction.open_table(EXPIRIES)?,
        })
    }

    /// The record at `key`, if it is there.
    pub fn get(&self, key: &Key) -> Result<Option<Record>, Fault> {
        let row = self.records.get((key.kind.name(), key.id.as_str()))?;
        row.map(|row| record(key.clone(), row.value())).transpose()
    }

    /// The version of the record at `key`, if it is there.
    pub fn version(&self, key: &Key) -> Result<Option<String>, Fault> {
        let row = self.records.get((key.kind.name(), key.id.as_str()))?;
        Ok(row.map(|row| row.value().0.to_owned()))
    }

    /// Writes a record over whatever was there, which keeps only its note.
    pub fn put(&mut self, draft: &Draft, version: &Version, entries: &[OwnedEntry]) -> Result<(), Fault> {
        let noted_at = self.remove(&draft.key)?.and_then(|old| old.noted_at);
        let Draft { key, schema, body, expires_at } = draft;
        self.write(&Record {
            key: key.clone(),
            version: version.clone(),
            schema: *schema,
            body: body.clone(),
            expires_at: *expires_at,
            noted_at,
        })?;
        for entry in entries {
            self.entries.insert(entry.at(&key.id), ())?;
        }
        if let Some(at) = expires_at {
            self.expiries.insert((at.to_string().as_str(), key.kind.name(), key.id.as_str()), ())?;
        }
        Ok(())
    }

    /// Writes a record whose index entries and expiry stay as they are.
    pub fn write(&mut self, record: &Record) -> Result<(), Fault> {
        let (expires_at, noted_at) = (record.expires_at.map(text), record.noted_at.map(text));
        let row: Row<'_> =
            (record.version.as_str(), record.schema, &record.body, expires_at.as_deref(), noted_at.as_deref());
        self.records.insert((record.key.kind.name(), record.key.id.as_str()), row)?;
        Ok(())
    }

    /// Removes a record with its index entries and its expiry; what it was, if it was there.
    pub fn remove(&mut self, key: &Key) -> Result<Option<Record>, Fault> {
        let Some(old) = self.get(key)? else { return Ok(None) };
        self.records.remove((key.kind.name(), key.id.as_str()))?;
        for entry in entries(key, &old.body).map_err(Fault)? {
            self.entries.remove(entry.at(&key.id))?;
        }
        if let Some(at) = old.expires_at {
            self.expiries.remove((text(at).as_str(), key.kind.name(), key.id.as_str()))?;
        }
        Ok(Some(old))
    }

    /// What a counter shows, and when it expires.
    pub fn counter(&self, name: &str) -> Result<(i64, Option<String>), Fault> {
        let row = self.counters.get(name)?;
        Ok(row.map_or((0, None), |row| (row.value().0, row.value().1.map(str::to_owned))))
    }

    /// Sets a counter and its expiry.
    pub fn set_counter(&mut self, name: &str, value: i64, expires_at: Option<&str>) -> Result<(), Fault> {
        if let (_, Some(before)) = self.counter(name)? {
            self.expiries.remove((before.as_str(), A_COUNTER, name))?;
        }
        self.counters.insert(name, (value, expires_at))?;
        if let Some(at) = expires_at {
            self.expiries.insert((at, A_COUNTER, name), ())?;
        }
        Ok(())
    }
}

/// A moment as it is kept.
pub fn text(at: Timestamp) -> String {
    at.to_string()
}
