//! Random histories have the same outcomes as in the memory model.

use super::store_fixture::{PATIENCE, noon};
use crate::{
    backends::MemoryStore,
    kernel::{CommitId, Timestamp},
    ports::{
        kinds::{JOBS_DUE, Kind, PROJECTS, REQUESTS_BY_PROJECT, REQUESTS_PENDING},
        store::{Batch, Count, Draft, Key, Op, Order, Outcome, Query, Record, Store, Version},
        world::World,
    },
};
use proptest::{
    prelude::*,
    test_runner::{Config, TestCaseError, TestRunner},
};
use serde_json::json;
use std::{collections::BTreeMap, sync::atomic::AtomicU32, sync::atomic::Ordering, time::Duration};

/// One thing that happens, in small numbers that meet often.
#[derive(Clone, Debug)]
enum Event {
    Commit(Vec<Step>),
    Again(prop::sample::Index),
    Increment(u8),
    Note(u8, u32),
    ReadPage(ReadPage),
}

/// A step of a batch. `known` says whether it expects the version that was written last, or an earlier one.
#[derive(Clone, Debug)]
enum Step {
    Insert(u8, Body),
    Replace(u8, Body, bool),
    Remove(u8, bool),
    Require(u8, bool),
    Absent(u8),
    Claim(u8, u8),
    Release(u8, u8),
    Count(u8, i64, Option<i64>, Option<i64>),
}

#[derive(Clone, Debug)]
struct Body {
    partition: Option<u8>,
    sort: Option<u8>,
    rest: String,
}

#[derive(Clone, Debug)]
struct ReadPage {
    index: u8,
    partition: u8,
    from: Option<u8>,
    below: Option<u8>,
    descending: bool,
    limit: usize,
}

fn bodies() -> impl Strategy<Value = Body> {
    (proptest::option::weighted(0.8, 0..3u8), proptest::option::weighted(0.8, 0..4u8), "[\\PC\\x00\\n\"\\\\]{0,8}")
        .prop_map(|(partition, sort, rest)| Body { partition, sort, rest })
}

fn steps() -> impl Strategy<Value = Step> {
    let near = proptest::option::of(-4..5i64);
    let delta = prop_oneof![8 => -3..4i64, 1 => Just(i64::MAX), 1 => Just(i64::MIN)];
    prop_oneof![
        4 => (0..8u8, bodies()).prop_map(|(key, body)| Step::Insert(key, body)),
        4 => (0..8u8, bodies(), prop::bool::weighted(0.85)).prop_map(|(key, body, known)| Step::Replace(key, body, known)),
        2 => (0..8u8, prop::bool::weighted(0.85)).prop_map(|(key, known)| Step::Remove(key, known)),
        1 => (0..8u8, prop::bool::weighted(0.85)).prop_map(|(key, known)| Step::Require(key, known)),
        1 => (0..8u8).prop_map(Step::Absent),
        2 => (0..3u8, 0..2u8).prop_map(|(name, owner)| Step::Claim(name, owner)),
        2 => (0..3u8, 0..2u8).prop_map(|(name, owner)| Step::Release(name, owner)),
        2 => (0..3u8, delta, near.clone(), near).prop_map(|(name, delta, floor, ceiling)| Step::Count(name, delta, floor, ceiling)),
    ]
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let page = (0..4u8, 0..4u8, proptest::option::of(0..4u8), proptest::option::of(0..5u8), any::<bool>(), 1..5usize)
        .prop_map(|(index, partition, from, below, descending, limit)| ReadPage {
            index,
            partition,
            from,
            below,
            descending,
            limit,
        });
    let event = prop_oneof![
        10 => prop::collection::vec(steps(), 0..6).prop_map(Event::Commit),
        2 => any::<prop::sample::Index>().prop_map(Event::Again),
        1 => (0..3u8).prop_map(Event::Increment),
        1 => (0..8u8, 0..1000u32).prop_map(|(key, secs)| Event::Note(key, secs)),
        4 => page.prop_map(Event::ReadPage),
    ];
    prop::collection::vec(event, 1..40)
}

/// Runs `cases` random histories on a store and on the model, and compares every answer and the state at the end. Shrinks
/// what differs. One store serves all cases: each uses names of its own.
///
/// `PROPTEST_CASES` scales the number, as proptest's usual 256 is scaled by it: 2560 runs ten times as many histories.
pub fn agrees_with_the_model<S: Store, G>(make: impl AsyncFn() -> (S, G), cases: u32) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (store, _kept) = runtime.block_on(make());
    let case = AtomicU32::new(0);
    // Where something differs every try costs the patience that an index is given.
    let (max_shrink_iters, max_shrink_time) = (500, 120_000);
    let cases = u64::from(cases) * u64::from(Config::default().cases) / 256;
    let cases = u32::try_from(cases).unwrap_or(u32::MAX).max(1);
    let config = Config { cases, failure_persistence: None, max_shrink_iters, max_shrink_time, ..Config::default() };
    let mut runner = TestRunner::new(config);
    let result = runner.run(&events(), |events| {
        let prefix = format!("case{:06}-", case.fetch_add(1, Ordering::Relaxed));
        runtime.block_on(History::new(&store, prefix).run(events))
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

struct History<'a> {
    store: &'a dyn Store,
    model: MemoryStore,
    world: World,
    prefix: String,
    submitted: Vec<Batch>,
    written: BTreeMap<Key, Vec<Version>>,
}

impl<'a> History<'a> {
    fn new(store: &'a dyn Store, prefix: String) -> Self {
        let world = World::system();
        Self { store, model: MemoryStore::new(), world, prefix, submitted: Vec::new(), written: BTreeMap::new() }
    }

    fn key(&self, number: u8) -> Key {
        let kind = match number % 3 {
            0 => Kind::Job,
            1 => Kind::Request,
            _ => Kind::Project,
        };
        Key::new(kind, format!("{}{number}", self.prefix))
    }

    fn name(&self, number: u8) -> String {
        format!("{}n{number}", self.prefix)
    }

    fn draft(&self, number: u8, body: &Body) -> Draft {
        let partition = body.partition.map(|partition| self.name(partition));
        let sort = body.sort.map(|sort| format!("s{sort}"));
        let body =
            json!({ "shard": partition, "project": partition, "inbox": sort, "due_at": sort, "rest": body.rest });
        Draft { key: self.key(number), schema: 1, body: body.to_string(), expires_at: None }
    }

    fn seen(&self, number: u8, latest: bool) -> Version {
        let written = self.written.get(&self.key(number));
        let version = written.and_then(|written| if latest { written.last() } else { written.first() });
        version.cloned().unwrap_or_else(|| self.world.id())
    }

    fn op(&self, step: &Step) -> Op {
        match step {
            Step::Insert(key, body) => Op::Insert(self.draft(*key, body)),
            Step::Replace(key, body, known) => Op::Replace(self.draft(*key, body), self.seen(*key, *known)),
            Step::Remove(key, known) => Op::Remove(self.key(*key), self.seen(*key, *known)),
            Step::Require(key, known) => Op::Require(self.key(*key), Some(self.seen(*key, *known))),
            Step::Absent(key) => Op::Require(self.key(*key), None),
            Step::Claim(name, owner) => Op::Claim { name: self.name(*name), owner: format!("o{owner}") },
            Step::Release(name, owner) => Op::Release { name: self.name(*name), owner: format!("o{owner}") },
            Step::Count(name, delta, floor, ceiling) => {
                let counter = self.name(*name);
                Op::Count(Count { counter, delta: *delta, floor: *floor, ceiling: *ceiling, expires_at: None })
            }
        }
    }

    async fn run(mut self, events: Vec<Event>) -> Result<(), TestCaseError> {
        for event in events {
            match event {
                Event::Commit(steps) => {
                    let mut batch = Batch::new(self.world.id::<CommitId>(), noon());
                    for step in &steps {
                        // A second step on one item is the batch's refusal, not the store's.
                        let _ = batch.push(self.op(step));
                    }
                    self.submit(batch).await?;
                }
                Event::Again(which) if !self.submitted.is_empty() => {
                    let batch = which.get(&self.submitted).clone();
                    self.submit(batch).await?;
                }
                Event::Again(_) => {}
                Event::Increment(name) => {
                    let name = self.name(name);
                    let (real, model) = (self.store.increment(&name).await, self.model.increment(&name).await);
                    prop_assert_eq!(real.ok(), model.ok(), "increment {}", name);
                }
                Event::Note(key, secs) => {
                    let (key, at) = (self.key(key), noon().plus(Duration::from_secs(secs.into())));
                    self.store.note(&key, at).await.unwrap();
                    self.model.note(&key, at).await.unwrap();
                }
                Event::ReadPage(page) => self.read_page(&page).await?,
            }
        }
        self.compare().await
    }

    async fn submit(&mut self, batch: Batch) -> Result<(), TestCaseError> {
        let (real, model) = (self.store.commit(&batch).await.unwrap(), self.model.commit(&batch).await.unwrap());
        prop_assert_eq!(&real, &model, "{:?}", batch);
        if real == Outcome::Committed {
            for op in batch.ops() {
                if let Op::Insert(draft) | Op::Replace(draft, _) = op {
                    self.written.entry(draft.key.clone()).or_default().push(batch.id().clone());
                }
            }
        }
        self.submitted.push(batch);
        Ok(())
    }

    async fn read_page(&self, page: &ReadPage) -> Result<(), TestCaseError> {
        let (index, partition) = match page.index {
            0 => (&JOBS_DUE, self.name(page.partition)),
            1 => (&REQUESTS_BY_PROJECT, self.name(page.partition)),
            2 => (&REQUESTS_PENDING, format!("s{}", page.partition)),
            _ => (&PROJECTS, String::new()),
        };
        let bound = |n: Option<u8>| {
            n.map(|n| if index.sort.is_some() { format!("s{n}") } else { format!("{}{}", self.prefix, n * 2) })
        };
        let mut query = Query::new(index, partition).take(page.limit);
        (query.from, query.below) = (bound(page.from), bound(page.below));
        if index.sort.is_none() {
            // Other cases share these partitions.
            query.from.get_or_insert_with(|| self.prefix.clone());
            query.below.get_or_insert_with(|| format!("{}~", self.prefix));
        }
        query.order = if page.descending { Order::Descending } else { Order::Ascending };
        for _ in 0..20 {
            let real = self.settled(&query).await;
            let model = self.model.query(&query).await.unwrap();
            prop_assert_eq!(strip(&real.records), strip(&model.records), "{:?}", query);
            prop_assert_eq!(&real.next, &model.next, "{:?}", query);
            match model.next {
                Some(next) => query.after = Some(next),
                None => break,
            }
        }
        Ok(())
    }

    /// The page, once it agrees with the model or patience has run out.
    async fn settled(&self, query: &Query) -> crate::ports::store::Found {
        let wanted = self.model.query(query).await.unwrap();
        let patience = tokio::time::Instant::now() + PATIENCE;
        loop {
            let found = self.store.query(query).await.unwrap();
            // Whether there is a next page is seen in the index, too.
            let agrees = strip(&found.records) == strip(&wanted.records) && found.next == wanted.next;
            if agrees || tokio::time::Instant::now() > patience {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn compare(&self) -> Result<(), TestCaseError> {
        let keys: Vec<Key> = (0..8).map(|number| self.key(number)).collect();
        prop_assert_eq!(self.store.get_many(&keys).await.unwrap(), self.model.get_many(&keys).await.unwrap());
        for number in 0..3 {
            let name = self.name(number);
            prop_assert_eq!(self.store.holder(&name).await.unwrap(), self.model.holder(&name).await.unwrap());
            prop_assert_eq!(self.store.counter(&name).await.unwrap(), self.model.counter(&name).await.unwrap());
        }
        Ok(())
    }
}

/// Records without their notes: a lagging index need not know of those.
fn strip(records: &[Record]) -> Vec<Record> {
    let without = |record: &Record| Record { noted_at: None::<Timestamp>, ..record.clone() };
    records.iter().map(without).collect()
}
