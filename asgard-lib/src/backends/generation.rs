//! Generations of writers. A build that writes what an older one would misread raises `min_writer` in the store, and older
//! builds refuse to boot from then on. A rolling update raises it only when the last old replica is gone.

use crate::{
    error::{Code, Error, Result},
    kernel::{CommitId, Timestamp},
    ports::{
        kinds::Kind,
        records::store_error,
        store::{Batch, Draft, Key, Op, Outcome, Record, Store},
    },
};
use serde::Deserialize;

/// The generation of this build's writer.
pub const WRITER: u32 = 1;

#[derive(Deserialize)]
struct Facts {
    min_writer: u32,
}

/// The record that says what is true of the whole store.
fn key() -> Key {
    Key::new(Kind::Meta, "store")
}

/// Refuses a store that only newer builds may write.
pub(super) async fn check(store: &dyn Store) -> Result<()> {
    match read(store).await? {
        Some(record) => judge(&record),
        None => Ok(()),
    }
}

/// The same, and a store that says nothing yet takes every build from the first on.
pub(super) async fn settle(store: &dyn Store) -> Result<()> {
    if let Some(record) = read(store).await? {
        return judge(&record);
    }
    // A fixed id and moment: who settles the same store at the same time writes the same.
    let mut batch = Batch::new(CommitId::from_digest(&[0; 32]), Timestamp::from_millis(0));
    let body = r#"{"min_writer":1}"#.to_owned();
    batch.push(Op::Insert(Draft { key: key(), schema: 1, body, expires_at: None })).map_err(Error::bug)?;
    match store.commit(&batch).await.map_err(store_error)? {
        Outcome::Committed => Ok(()),
        Outcome::Refused(_) => check(store).await,
    }
}

async fn read(store: &dyn Store) -> Result<Option<Record>> {
    Ok(store.get_many(&[key()]).await.map_err(store_error)?.pop().flatten())
}

fn judge(record: &Record) -> Result<()> {
    let facts: Facts = serde_json::from_str(&record.body).map_err(|e| {
        Error::new(
            Code::Config,
            "The database does not say which builds may write it: its record meta/store is damaged.",
        )
        .caused_by(e)
    })?;
    if facts.min_writer > WRITER {
        return Err(Error::new(
            Code::Config,
            format!(
                "This build writes generation {WRITER}, and the database takes {} or later: run a newer Asgard.",
                facts.min_writer
            ),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backends::MemoryStore;

    #[tokio::test]
    async fn older_builds_are_refused_and_a_fresh_store_takes_any() {
        let store = MemoryStore::new();
        check(&store).await.unwrap();
        settle(&store).await.unwrap();
        settle(&store).await.unwrap();
        for (body, says) in
            [(format!(r#"{{"min_writer":{}}}"#, WRITER + 1), "run a newer Asgard"), ("{}".into(), "damaged")]
        {
            let seen = read(&store).await.unwrap().unwrap().version;
            let mut batch = Batch::new(CommitId::from_digest(&[body.len() as u8; 32]), Timestamp::from_millis(0));
            batch.push(Op::Replace(Draft { key: key(), schema: 1, body, expires_at: None }, seen)).unwrap();
            assert_eq!(store.commit(&batch).await.unwrap(), Outcome::Committed);
            for refusal in [check(&store).await.unwrap_err(), settle(&store).await.unwrap_err()] {
                assert!(refusal.message().contains(says), "{refusal}");
            }
        }
    }
}
