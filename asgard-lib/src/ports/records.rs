//! The one place that turns bytes into types and back.

use super::{
    kinds::Kind,
    store::{Draft, Found, Key, Position, Query, Record, Store, StoreError, Version},
};
use crate::{
    error::{Code, Error, Result},
    kernel::Timestamp,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

/// Turns a body of one layout into one of the next; `None` when it is no such body.
pub type Upcast = fn(Map<String, Value>) -> Option<Map<String, Value>>;

/// The layout that is written by code that has these steps from earlier ones.
const fn layout(steps: &[Upcast]) -> u16 {
    let (mut layout, mut step) = (1, 0);
    while step < steps.len() {
        layout += 1;
        step += 1;
    }
    layout
}

/// A type that is kept as a record.
pub trait Entity: Serialize + DeserializeOwned + Send + Sync + Clone {
    /// The kind of record.
    const KIND: Kind;
    /// A step from each earlier layout to the next, the oldest first.
    const UPCASTS: &'static [Upcast] = &[];
    /// The layout that this code writes: 1, and one more for each step.
    const SCHEMA: u16 = layout(Self::UPCASTS);
    /// What a person calls it, for messages.
    const NOUN: &'static str;

    /// The list of rows that follows records of this kind: every commit that writes one appends a change for it.
    const LIST: Option<&'static str> = None;

    /// The record's id.
    fn record_id(&self) -> String;

    /// After this moment the record may vanish.
    fn expires_at(&self) -> Option<Timestamp> {
        None
    }

    /// Turns a body of an earlier layout into today's. `None` for layouts that this code does not know.
    fn upcast(schema: u16, body: Map<String, Value>) -> Option<Map<String, Value>> {
        let first = usize::from(schema.checked_sub(1)?);
        Self::UPCASTS.get(first..)?.iter().try_fold(body, |body, step| step(body))
    }
}

/// A typed record as it was read.
#[derive(Clone, Debug)]
pub struct Stored<T> {
    /// What it says.
    pub value: T,
    /// The commit that wrote it.
    pub version: Version,
    /// When it was last noted.
    pub noted_at: Option<Timestamp>,
    /// The layout in which it is stored.
    schema: u16,
    /// Its body in today's layout.
    body: String,
}

impl<T> Stored<T> {
    /// The record's body as it is stored, before anything was upcast. Digests cover this, not the value written again.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// The layout that the body is stored in.
    pub fn schema(&self) -> u16 {
        self.schema
    }

    /// How many bytes it has as it is stored.
    pub fn size(&self) -> usize {
        self.body.len()
    }
}

impl<T: Entity> Stored<T> {
    /// Whether it is stored in an earlier layout than this code writes.
    pub fn is_of_an_earlier_layout(&self) -> bool {
        self.schema < T::SCHEMA
    }
}

impl<T> std::ops::Deref for Stored<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// The key of the `T` with this id.
pub fn key<T: Entity>(id: impl Into<String>) -> Key {
    Key::new(T::KIND, id)
}

fn corrupt<T: Entity>(record: &Record, why: impl std::fmt::Display) -> Error {
    Error::bug(format!("{} (schema {}) cannot be read as {}: {why}", record.key, record.schema, T::NOUN))
}

fn object(body: &str) -> Result<Map<String, Value>, serde_json::Error> {
    serde_json::from_str(body)
}

/// Reads a record as a `T`.
pub fn decode<T: Entity>(record: Record) -> Result<Stored<T>> {
    let upcast = if record.schema == T::SCHEMA {
        None
    } else {
        let body = object(&record.body).map_err(|e| corrupt::<T>(&record, e))?;
        let body = T::upcast(record.schema, body)
            .ok_or_else(|| corrupt::<T>(&record, "this build does not know that layout"))?;
        Some(serde_json::to_string(&body).map_err(|e| corrupt::<T>(&record, e))?)
    };
    let body = upcast.as_ref().unwrap_or(&record.body);
    let value = serde_json::from_str(body).map_err(|e| corrupt::<T>(&record, e))?;
    let Record { version, noted_at, schema, body, .. } = record;
    Ok(Stored { value, version, noted_at, schema, body: upcast.unwrap_or(body) })
}

fn fields<T: Entity>(value: &T) -> Result<Map<String, Value>> {
    match serde_json::to_value(value) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(Error::bug(format!("{} does not serialise as an object", T::NOUN))),
        Err(e) => Err(Error::bug(e)),
    }
}

/// A draft of a new record.
pub fn draft<T: Entity>(value: &T) -> Result<Draft> {
    let body = serde_json::to_string(value).map_err(Error::bug)?;
    Ok(Draft { key: key::<T>(value.record_id()), schema: T::SCHEMA, body, expires_at: value.expires_at() })
}

/// A draft that replaces what was read: top-level fields that this build does not know are carried over.
pub fn redraft<T: Entity>(read: &Stored<T>, value: &T) -> Result<Draft> {
    let known = fields(&read.value)?;
    let mut body = fields(value)?;
    for (name, kept) in object(&read.body).map_err(Error::bug)? {
        if !known.contains_key(&name) && !body.contains_key(&name) {
            body.insert(name, kept);
        }
    }
    let body = serde_json::to_string(&body).map_err(Error::bug)?;
    Ok(Draft { key: key::<T>(value.record_id()), schema: T::SCHEMA, body, expires_at: value.expires_at() })
}

/// How many bytes of records a page holds at most, if it holds more than one: an answer of a Lambda function holds 6 MB, and
/// MCP says everything twice.
pub const PAGE_BYTES: usize = 1_000_000;

/// A typed page of an index.
#[derive(Clone, Debug)]
pub struct Listed<T> {
    /// The records in order.
    pub items: Vec<Stored<T>>,
    /// Where the next page starts.
    pub next: Option<Position>,
}

/// What a failed store means to the caller.
pub fn store_error(error: StoreError) -> Error {
    match error {
        StoreError::Unavailable(_) | StoreError::Unknown(_) => {
            Error::new(Code::StoreUnavailable, "The database cannot be reached just now. Try again in a moment.")
                .retry_after(2)
                .caused_by(error)
        }
        StoreError::Corrupt(_) => Error::bug(error),
    }
}

/// Typed reads over any store. Reads here are for looking; an operation that decides reads through its transaction.
#[allow(
    async_fn_in_trait,
    reason = "used on concrete types inside this crate and by embedders; the futures are Send for Send stores"
)]
pub trait Records {
    /// The record, if it is there.
    fn read<T: Entity>(&self, id: &str) -> impl Future<Output = Result<Option<Stored<T>>>> + Send;
    /// The records of these ids, in order.
    fn read_many<T: Entity>(&self, ids: &[String]) -> impl Future<Output = Result<Vec<Option<Stored<T>>>>> + Send;
    /// A page of an index. It ends early, with a place to go on from, when its records have [`PAGE_BYTES`].
    fn list<T: Entity>(&self, query: &Query) -> impl Future<Output = Result<Listed<T>>> + Send;
}

impl Records for dyn Store {
    async fn read<T: Entity>(&self, id: &str) -> Result<Option<Stored<T>>> {
        let mut found = self.get_many(&[key::<T>(id)]).await.map_err(store_error)?;
        found.pop().flatten().map(decode).transpose()
    }

    async fn read_many<T: Entity>(&self, ids: &[String]) -> Result<Vec<Option<Stored<T>>>> {
        let mut out = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(100) {
            let keys: Vec<Key> = chunk.iter().map(|id| key::<T>(id.as_str())).collect();
            for record in self.get_many(&keys).await.map_err(store_error)? {
                out.push(record.map(decode).transpose()?);
            }
        }
        Ok(out)
    }

    async fn list<T: Entity>(&self, query: &Query) -> Result<Listed<T>> {
        if query.index.kind != T::KIND {
            return Err(Error::bug(format!("index {} does not hold {}", query.index.name, T::NOUN)));
        }
        let Found { mut records, mut next } = self.query(query).await.map_err(store_error)?;
        let mut bytes = 0;
        let fits = records.iter().take_while(|record| {
            bytes += record.body.len();
            bytes <= PAGE_BYTES
        });
        let fits = fits.count().max(1);
        if let Some(last) = records.get(fits.saturating_sub(1)).filter(|_| fits < records.len()) {
            let body = object(&last.body).map_err(|e| corrupt::<T>(last, e))?;
            let entry =
                query.index.entry(&body).ok_or_else(|| corrupt::<T>(last, "it is not in the index it was found in"));
            next = Some(Position { sort: entry?.1.unwrap_or_default(), id: last.key.id.clone() });
            records.truncate(fits);
        }
        Ok(Listed { items: records.into_iter().map(decode).collect::<Result<_>>()?, next })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        backends::MemoryStore,
        contract::store_fixture::StoreFixture,
        kernel::{CommitId, id::TimeOrdered},
        ports::{kinds::PROJECTS, store::Op},
    };

    #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
    struct Thing {
        id: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
    }

    impl Entity for Thing {
        const KIND: Kind = Kind::Project;
        const UPCASTS: &'static [Upcast] = &[|mut body| {
            if let Some(old) = body.remove("remark") {
                body.insert("note".into(), old);
            }
            Some(body)
        }];
        const NOUN: &'static str = "thing";
        fn record_id(&self) -> String {
            self.id.clone()
        }
    }

    fn record(schema: u16, body: &str) -> Record {
        let version = CommitId::build(Timestamp::from_millis(0), [0; 10]);
        Record { key: key::<Thing>("x"), version, schema, body: body.into(), expires_at: None, noted_at: None }
    }

    #[test]
    fn unknown_fields_survive_a_rewrite_and_cleared_ones_do_not_return() {
        let read = decode::<Thing>(record(2, r#"{"id":"x","note":"old","later":{"a":1}}"#)).unwrap();
        let draft = redraft(&read, &Thing { id: "x".into(), note: None }).unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&draft.body).unwrap(),
            serde_json::json!({"id": "x", "later": {"a": 1}})
        );
    }

    #[test]
    fn older_layouts_are_read_and_newer_ones_refused() {
        assert_eq!(decode::<Thing>(record(1, r#"{"id":"x","remark":"r"}"#)).unwrap().note.as_deref(), Some("r"));
        assert_eq!(decode::<Thing>(record(3, r#"{"id":"x"}"#)).unwrap_err().code(), Code::Bug);
    }

    #[test]
    fn what_is_written_over_an_older_layout_is_of_todays_with_the_unknown_fields_kept() {
        let read = decode::<Thing>(record(1, r#"{"id":"x","remark":"r","later":1}"#)).unwrap();
        assert!(
            read.is_of_an_earlier_layout()
                && !decode::<Thing>(record(2, r#"{"id":"x"}"#)).unwrap().is_of_an_earlier_layout()
        );
        let draft = redraft(&read, &read.value).unwrap();
        assert_eq!((draft.schema, draft.body.as_str()), (2, r#"{"id":"x","note":"r","later":1}"#));
        assert!(decode::<Thing>(record(0, r#"{"id":"x"}"#)).is_err());
    }

    /// A walk over large records sees each once, in pages that somebody can still be answered with.
    #[tokio::test]
    async fn pages_are_bounded_in_bytes_too() {
        let store = MemoryStore::new();
        let fixture = StoreFixture::new(&store);
        let sizes = [340_000, 10, 340_000, 340_000, 10, 340_000, 10];
        for (number, size) in sizes.into_iter().enumerate() {
            let thing = Thing { id: format!("t{number}"), note: Some("x".repeat(size)) };
            fixture.commit([Op::Insert(draft(&thing).unwrap())]).await;
        }
        let store: &dyn Store = &store;
        let (mut query, mut pages) = (Query::new(&PROJECTS, ""), Vec::new());
        loop {
            let page = store.list::<Thing>(&query).await.unwrap();
            pages.push(page.items.iter().map(|thing| thing.id.clone()).collect::<Vec<_>>());
            match page.next {
                Some(next) => query = query.after(Some(next)),
                None => break,
            }
        }
        assert_eq!(pages, [["t0", "t1", "t2"].as_slice(), &["t3", "t4", "t5", "t6"]]);
    }
}
