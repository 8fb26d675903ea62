//! The power goes while batches are being committed: what was answered is there, and nothing is there by half.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first thing that is wrong"
)]

use asgard_lib::{
    backends::Upkeep,
    contract::store_fixture::{StoreFixture, claim, count, insert_fields, request},
    ports::{
        kinds::REQUESTS_BY_PROJECT,
        store::{Batch, Op, Order, Outcome, Query, Store},
    },
};
use custom_store::RedbStore;
use redb::StorageBackend;
use serde_json::json;
use std::{
    io,
    path::Path,
    sync::{Arc, Mutex},
};

/// A write that the disk has taken and not yet made durable.
#[derive(Debug)]
enum Pending {
    Length(usize),
    Bytes(usize, Vec<u8>),
}

#[derive(Debug, Default)]
struct Platter {
    /// What survives.
    durable: Vec<u8>,
    /// What a reader sees: the durable bytes under what is pending.
    seen: Vec<u8>,
    pending: Vec<Pending>,
    /// How many more writes until the power goes.
    left: usize,
}

/// A disk that keeps writes to itself until it is told to sync, and whose power goes after some of them.
#[derive(Clone, Debug)]
struct Disk(Arc<Mutex<Platter>>);

fn apply(bytes: &mut Vec<u8>, write: &Pending) {
    match write {
        Pending::Length(length) => bytes.resize(*length, 0),
        Pending::Bytes(at, new) => {
            bytes.resize(bytes.len().max(at + new.len()), 0);
            bytes[*at..at + new.len()].copy_from_slice(new);
        }
    }
}

impl Disk {
    fn new(durable: Vec<u8>, left: usize) -> Self {
        Self(Arc::new(Mutex::new(Platter { seen: durable.clone(), durable, pending: Vec::new(), left })))
    }

    fn write(&self, write: Pending) -> io::Result<()> {
        let mut platter = self.0.lock().unwrap();
        platter.left = platter.left.checked_sub(1).ok_or_else(|| io::Error::other("the power is gone"))?;
        apply(&mut platter.seen, &write);
        platter.pending.push(write);
        Ok(())
    }

    /// What is found when the power is back: of what was pending some is there, some not, and one write only in part.
    fn after_the_cut(&self, mut chance: u64) -> Vec<u8> {
        let platter = self.0.lock().unwrap();
        let mut bytes = platter.durable.clone();
        for write in &platter.pending {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            match (chance >> 60, write) {
                (0..=6, whole) => apply(&mut bytes, whole),
                (7..=8, Pending::Bytes(at, new)) => {
                    apply(&mut bytes, &Pending::Bytes(*at, new[..new.len() / 2].to_vec()))
                }
                _ => {}
            }
        }
        bytes
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let at = usize::try_from(offset).unwrap();
        let platter = self.0.lock().unwrap();
        let found = platter.seen.get(at..at + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(found);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        Disk::write(self, Pending::Length(usize::try_from(length).unwrap()))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut platter = self.0.lock().unwrap();
        if platter.left == 0 {
            return Err(io::Error::other("the power is gone"));
        }
        for write in std::mem::take(&mut platter.pending) {
            apply(&mut platter.durable, &write);
        }
        Ok(())
    }

    fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        Disk::write(self, Pending::Bytes(usize::try_from(offset).unwrap(), bytes.to_vec()))
    }
}

fn on(disk: &Disk) -> RedbStore {
    RedbStore::on(disk.clone(), Path::new("a disk of the test")).unwrap()
}

/// A batch that shows everywhere: two records of one project, a name and a counter.
fn everywhere(fixture: &StoreFixture<'_>, n: usize) -> Batch {
    let record =
        |half| insert_fields(&request(&format!("r{n}-{half}")), &json!({ "project": format!("p{n}"), "n": n }));
    fixture.batch([record("a"), record("b"), claim(&format!("name-{n}"), "holder"), Op::Count(count("batches", 1))])
}

/// What there is of a batch: 0 nothing, 4 everything.
async fn parts(store: &RedbStore, n: usize) -> usize {
    let keys = ["a", "b"].map(|half| request(&format!("r{n}-{half}")));
    let records = store.get_many(&keys).await.unwrap().iter().flatten().count();
    let project = Query { order: Order::Descending, ..Query::new(&REQUESTS_BY_PROJECT, format!("p{n}")) };
    let indexed = store.query(&project).await.unwrap().records.len();
    assert_eq!(records, indexed, "batch {n}: the index and the records differ");
    records + usize::from(store.holder(&format!("name-{n}")).await.unwrap().is_some()) + indexed / 2
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_survives_and_nothing_is_there_by_half() {
    let made = Disk::new(Vec::new(), usize::MAX);
    let store = on(&made);
    store.migrate().await.unwrap();
    store.close().await;
    drop(store);
    let clean = made.0.lock().unwrap().durable.clone();

    let (mut cut_short, mut survived) = (0, 0);
    for round in 0..60u64 {
        let disk = Disk::new(clean.clone(), 7 + usize::try_from(round).unwrap() * 5);
        let store = on(&disk);
        let fixture = StoreFixture::new(&store);
        let mut batches = Vec::new();
        let mut answered = 0;
        for n in 0..40 {
            batches.push(everywhere(&fixture, n));
            match store.commit(&batches[n]).await {
                Ok(outcome) => assert_eq!(outcome, Outcome::Committed),
                Err(_) => break,
            }
            answered += 1;
        }
        cut_short += usize::from(answered < 40);
        let found = Disk::new(disk.after_the_cut(round), usize::MAX);
        drop(store);

        let store = on(&found);
        store.check_migrated().await.unwrap();
        let mut there = 0;
        for n in 0..batches.len() {
            let parts = parts(&store, n).await;
            assert!(parts == 4 || parts == 0, "round {round}: {parts} of 4 parts of batch {n}");
            assert!(parts == 4 || n >= answered, "round {round}: batch {n} was answered and is gone");
            there += usize::from(parts == 4);
        }
        assert_eq!(store.counter("batches").await.unwrap(), i64::try_from(there).unwrap());
        survived += there;
        // Whoever got no answer submits the same batch again, and it counts once.
        for batch in &batches {
            assert_eq!(store.commit(batch).await.unwrap(), Outcome::Committed);
        }
        assert_eq!(store.counter("batches").await.unwrap(), i64::try_from(batches.len()).unwrap());
    }
    assert!(
        cut_short > 20 && survived > 200,
        "nothing was shown: {cut_short} rounds were cut short, {survived} batches"
    );
}
