//! Several workers at once for a while: what the scenarios check one by one must hold together, with replies getting lost.

use super::{
    faults::{Faulty, LostReply},
    store_fixture::{StoreFixture, claim, count, count_to, insert_empty, release, replace, request},
};
use crate::{
    kernel::CommitId,
    ports::store::{Batch, Count, Key, Op, Outcome, Reason, Record, Store, StoreError},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

const SEATS: i64 = 3;

/// What the workers know to be true, whatever the store says.
#[derive(Default)]
struct Ledger {
    committed: AtomicI64,
    refused: AtomicI64,
    taken: AtomicI64,
}

/// Runs `workers` tasks for `period`. Each works on the same few records:
/// - two doctors, of whom one must stay on call (write skew: each resignation Requires the other's record);
/// - a room that holds one guest, as a claim (phantom), and a counter of `SEATS` (a bound);
/// - a counter that every commit steps on, which must show the number of commits at the end (lost replies).
///
/// Every fifth reply is lost, and its batch submitted again. Returns how many batches committed.
pub async fn workers_keep_every_rule<S: Store>(store: S, workers: usize, period: Duration) -> i64 {
    let store = Arc::new(Faulty::new(store, LostReply::every(5)));
    let fixture = StoreFixture::new(&*store);
    let doctors = ["ann", "bob"].map(|name| request(&format!("doctor-{name}")));
    submit(&*store, &fixture.batch(doctors.iter().map(insert_empty))).await;
    let ledger = Arc::new(Ledger::default());
    let tasks: Vec<_> =
        (0..workers).map(|me| tokio::spawn(work(Arc::clone(&store), Arc::clone(&ledger), me, period))).collect();
    for task in tasks {
        task.await.expect("a worker panicked");
    }
    let committed = ledger.committed.load(Ordering::SeqCst);
    assert_eq!(fixture.shows("commits").await, committed, "a batch was committed twice, or lost");
    assert_eq!(fixture.shows("seats").await, 0, "a seat was not given back");
    assert_eq!(fixture.holds("room").await, None);
    assert_eq!(ledger.taken.load(Ordering::SeqCst), 0);
    assert!(ledger.refused.load(Ordering::SeqCst) > 0, "the workers never met: nothing was shown");
    committed
}

async fn work<S: Store>(store: Arc<Faulty<S, LostReply>>, ledger: Arc<Ledger>, me: usize, period: Duration) {
    let fixture = StoreFixture::new(&*store);
    let name = format!("worker{me}");
    let doctors = ["ann", "bob"].map(|name| request(&format!("doctor-{name}")));
    let commit = async |mut ops: Vec<Op>| {
        ops.push(Op::Count(count("commits", 1)));
        let outcome = submit(&*store, &fixture.batch(ops)).await;
        let counters = if outcome == Outcome::Committed { &ledger.committed } else { &ledger.refused };
        counters.fetch_add(1, Ordering::SeqCst);
        outcome
    };
    let until = Instant::now() + period;
    let mut round = me;
    while Instant::now() < until {
        round += 1;
        // A doctor goes off call only while the other is on call, and comes back afterwards.
        let (mine, other) = (&doctors[round % 2], &doctors[(round + 1) % 2]);
        let seen = read(&*store, &[mine.clone(), other.clone()]).await;
        let [Some(here), Some(there)] = seen.as_slice() else { panic!("a doctor is lost") };
        let (off, other_off) = (here.body.contains("off"), there.body.contains("off"));
        if off {
            commit(vec![replace(mine, "{}", &here.version)]).await;
        } else if !other_off {
            commit(vec![
                replace(mine, r#"{"off":true}"#, &here.version),
                Op::Require(other.clone(), Some(there.version.clone())),
            ])
            .await;
        }
        if off && other_off {
            // Two reads may be of two moments; requiring both is of one.
            let both = [mine, other].into_iter().zip([here, there]);
            let outcome =
                commit(both.map(|(key, record)| Op::Require(key.clone(), Some(record.version.clone()))).collect())
                    .await;
            assert_ne!(outcome, Outcome::Committed, "nobody is on call");
        }

        match commit(vec![claim("room", &name), count_to("seats", 1, SEATS)]).await {
            Outcome::Committed => {
                assert_eq!(ledger.taken.fetch_add(1, Ordering::SeqCst), 0, "two guests in one room");
                ledger.taken.fetch_sub(1, Ordering::SeqCst);
                let back = Op::Count(Count { floor: Some(0), ..count("seats", -1) });
                assert_eq!(commit(vec![release("room", &name), back]).await, Outcome::Committed);
            }
            Outcome::Refused(refusal) => assert!(matches!(refusal.reason, Reason::Taken | Reason::Ceiling)),
        }
    }
}

/// Reads until the store answers.
async fn read(store: &dyn Store, keys: &[Key]) -> Vec<Option<Record>> {
    for _ in 0..100 {
        match store.get_many(keys).await {
            Ok(found) => return found,
            Err(StoreError::Unavailable(_)) => tokio::time::sleep(Duration::from_millis(1)).await,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the store does not come back");
}

/// Submits a batch until its outcome is known.
async fn submit(store: &dyn Store, batch: &Batch) -> Outcome {
    for _ in 0..100 {
        match store.commit(batch).await {
            Ok(outcome) => return outcome,
            Err(StoreError::Unknown(_) | StoreError::Unavailable(_)) => {
                tokio::time::sleep(Duration::from_millis(1)).await
            }
            Err(error) => panic!("{error}"),
        }
    }
    let id: &CommitId = batch.id();
    panic!("nobody could say what became of {id}");
}
