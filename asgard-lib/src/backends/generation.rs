//! Generations of writers. A build that writes what an older one would misread raises `min_writer` in the store, and older
//! builds refuse to boot from then on. Bringing the tables up to date raises it: a generation that the version before cannot
//! live with has to be said in the changelog, because replicas of that version must have stopped by then.

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
use serde_json::{Map, Value};

/// The generation of this build's writer. Its audit events are marked: those that 2 would write nobody could tell from forged ones.
/// Records name accounts beside addresses: 1 would change the address of an owner and leave the account.
pub const WRITER: u32 = 3;

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

/// The same, and from now on the store takes no build that is older than this one's generation.
pub(super) async fn settle(store: &dyn Store) -> Result<()> {
    let present = read(store).await?;
    if let Some(record) = &present {
        judge(record)?;
        if facts(record)?.min_writer == WRITER {
            return Ok(());
        }
    }
    // A fixed id and moment: who settles the same store at the same time writes the same.
    let mut id = [0; 32];
    for (slot, byte) in id.iter_mut().zip(WRITER.to_be_bytes()) {
        *slot = byte;
    }
    let mut batch = Batch::new(CommitId::from_digest(&id), Timestamp::from_millis(0));
    let draft = |body: String| Draft { key: key(), schema: 1, body, expires_at: None };
    batch
        .push(match present {
            None => Op::Insert(draft(format!(r#"{{"min_writer":{WRITER}}}"#))),
            Some(record) => {
                let mut body: Map<String, Value> = serde_json::from_str(&record.body).map_err(Error::bug)?;
                body.insert("min_writer".into(), WRITER.into());
                Op::Replace(draft(Value::Object(body).to_string()), record.version)
            }
        })
        .map_err(Error::bug)?;
    match store.commit(&batch).await.map_err(store_error)? {
        Outcome::Committed => Ok(()),
        Outcome::Refused(_) => check(store).await,
    }
}

async fn read(store: &dyn Store) -> Result<Option<Record>> {
    Ok(store.get_many(&[key()]).await.map_err(store_error)?.pop().flatten())
}

fn facts(record: &Record) -> Result<Facts> {
    serde_json::from_str(&record.body).map_err(|e| {
        Error::new(
            Code::Config,
            "The database does not say which builds may write it: its record meta/store is damaged.",
        )
        .caused_by(e)
    })
}

fn judge(record: &Record) -> Result<()> {
    let facts = facts(record)?;
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
    async fn a_store_of_an_older_generation_is_raised_once_and_keeps_what_else_it_says() {
        let store = MemoryStore::new();
        let mut batch = Batch::new(CommitId::from_digest(&[9; 32]), Timestamp::from_millis(0));
        let body = r#"{"min_writer":1,"later":true}"#.to_owned();
        batch.push(Op::Insert(Draft { key: key(), schema: 1, body, expires_at: None })).unwrap();
        assert_eq!(store.commit(&batch).await.unwrap(), Outcome::Committed);
        check(&store).await.unwrap();
        settle(&store).await.unwrap();
        let raised = read(&store).await.unwrap().unwrap();
        assert_eq!(
            serde_json::from_str::<Value>(&raised.body).unwrap(),
            serde_json::json!({ "min_writer": WRITER, "later": true })
        );
        settle(&store).await.unwrap();
        assert_eq!(read(&store).await.unwrap().unwrap().version, raised.version);
    }

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
