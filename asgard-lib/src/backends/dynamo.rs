//! A store in one DynamoDB table. Records, claims, counters and commit markers are items with keys of their own, a batch is
//! one `TransactWriteItems`, and an index is an overloaded secondary index that holds keys only: what a query finds is read
//! strongly afterwards, so a page is never older than its records.
//!
//! Two replicas that disagree about the time do no harm: expiry is compared with the moment that the caller gives. An item
//! past its expiry may be gone at any time, because DynamoDB deletes by `ttl` on its own; what must count as absent from
//! that moment on is compared by whoever reads it, here as on every backend.

mod blobs;
mod commit;
mod failure;
mod layout;
mod table;

use crate::{
    aws::Aws,
    kernel::{DynamoTable, Timestamp},
    ports::store::{
        Batch, Found, Key, Order, Outcome, Position, Query, ReadBatch, ReadResults, Record, Store, StoreError,
    },
};
use async_trait::async_trait;
use aws_sdk_dynamodb::{
    Client,
    config::{Builder, Region},
    operation::query::builders::QueryFluentBuilder,
    types::{KeysAndAttributes, ReturnValue},
};
use failure::{Tries, conditionally};
use futures_util::{StreamExt, TryStreamExt, stream};
use layout::Item;
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

/// The most keys that one `BatchGetItem` takes.
const BATCH_GET: usize = 100;
/// How many calls one operation makes at a time.
const AT_ONCE: usize = 8;

/// A store and blobs in a DynamoDB table. Clones share the connections.
#[derive(Clone)]
pub struct DynamoStore {
    client: Client,
    table: Arc<DynamoTable>,
}

impl std::fmt::Debug for DynamoStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DynamoStore({})", self.table.name)
    }
}

impl DynamoStore {
    /// The store in `table`. Nothing is read yet.
    pub async fn open(table: DynamoTable, aws: &Aws) -> Self {
        let mut config = Builder::from(aws.sdk().await);
        if let Some(region) = &table.region {
            config = config.region(Region::new(region.clone()));
        }
        if let Some(endpoint) = &table.endpoint {
            config = config.endpoint_url(endpoint);
        }
        Self::with(Client::from_conf(config.build()), table)
    }

    /// The store in `table`, through a client of the caller's own.
    pub fn with(client: Client, table: DynamoTable) -> Self {
        Self { client, table: Arc::new(table) }
    }

    /// Which table it is in.
    pub fn table(&self) -> &DynamoTable {
        &self.table
    }

    fn name(&self) -> &str {
        &self.table.name
    }

    /// One item, strongly consistent.
    async fn item(&self, pk: &str) -> Result<Option<Item>, StoreError> {
        let read = || {
            let call = self.client.get_item().table_name(self.name()).set_key(Some(layout::key_of(pk)));
            call.consistent_read(true).send()
        };
        Ok(failure::read(read).await?.item)
    }

    /// Up to a hundred items, strongly consistent, by their keys.
    async fn items(&self, pks: BTreeSet<String>) -> Result<HashMap<String, Item>, StoreError> {
        let mut found = HashMap::with_capacity(pks.len());
        if pks.len() < 2 {
            if let Some(pk) = pks.into_iter().next() {
                found.extend(self.item(&pk).await?.map(|item| (pk, item)));
            }
            return Ok(found);
        }
        let mut left: Vec<Item> = pks.into_iter().map(layout::key_of).collect();
        let mut tries = Tries::default();
        loop {
            let asked = left.len();
            let keys = KeysAndAttributes::builder().set_keys(Some(left)).consistent_read(true).build();
            let keys = keys.map_err(|error| StoreError::Corrupt(error.to_string()))?;
            let read = || self.client.batch_get_item().request_items(self.name(), keys.clone()).send();
            let answer = failure::read(read).await?;
            for item in answer.responses.unwrap_or_default().into_values().flatten() {
                if let Some(pk) = layout::string(&item, "pk") {
                    found.insert(pk.to_owned(), item);
                }
            }
            left = answer.unprocessed_keys.unwrap_or_default().into_values().flat_map(|rest| rest.keys).collect();
            if left.is_empty() {
                return Ok(found);
            }
            // More than 16 MB come in several answers, which is no reason to wait; none at all is throttling.
            if left.len() == asked && !tries.another().await {
                return Err(StoreError::Unavailable("DynamoDB left keys unread for too long".into()));
            }
        }
    }

    /// Records by their keys.
    async fn records(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        let found = self.items(keys.iter().map(layout::record_pk).collect()).await?;
        keys.iter()
            .map(|key| found.get(&layout::record_pk(key)).map(|item| layout::record(key.clone(), item)).transpose())
            .collect()
    }

    /// Up to `limit` entries of an index, as the index has them.
    async fn entries(&self, range: Range, limit: usize) -> Result<Vec<Item>, StoreError> {
        let mut found: Vec<Item> = Vec::new();
        let mut start = None;
        while found.len() < limit {
            let left = i32::try_from(limit - found.len()).unwrap_or(i32::MAX);
            let read = || {
                range
                    .call(self.client.query().table_name(self.name()))
                    .limit(left)
                    .set_exclusive_start_key(start.clone())
                    .send()
            };
            let page = failure::read(read).await?;
            found.extend(page.items.unwrap_or_default());
            start = page.last_evaluated_key;
            if start.is_none() {
                break;
            }
        }
        Ok(found)
    }
}

/// Part of an index's partition. The bounds are inclusive: who asks drops what stands on one.
struct Range {
    index: layout::Slot,
    partition: String,
    from: Option<Vec<u8>>,
    to: Option<Vec<u8>>,
    order: Order,
}

impl Range {
    fn call(&self, call: QueryFluentBuilder) -> QueryFluentBuilder {
        let (index, hash, range) = self.index;
        let bounds = match (&self.from, &self.to) {
            (None, None) => String::new(),
            (Some(_), None) => format!(" AND {range} >= :from"),
            (None, Some(_)) => format!(" AND {range} <= :to"),
            (Some(_), Some(_)) => format!(" AND {range} BETWEEN :from AND :to"),
        };
        let bound = |bound: &Option<Vec<u8>>| bound.clone().map(layout::binary);
        let values =
            [(":p", Some(layout::text(&self.partition))), (":from", bound(&self.from)), (":to", bound(&self.to))];
        call.index_name(index)
            .key_condition_expression(format!("{hash} = :p{bounds}"))
            .set_expression_attribute_values(Some(
                values.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect(),
            ))
            .scan_index_forward(self.order == Order::Ascending)
    }
}

#[async_trait]
impl Store for DynamoStore {
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Record>>, StoreError> {
        Batch::check_reads(keys)?;
        self.records(keys).await
    }

    async fn read_batch(&self, asked: &ReadBatch) -> Result<ReadResults, StoreError> {
        asked.check()?;
        let claims = asked.claims.iter().map(|name| layout::claim_pk(name));
        let counters = asked.counters.iter().map(|name| layout::counter_pk(name));
        let found =
            self.items(asked.keys.iter().map(layout::record_pk).chain(claims).chain(counters).collect()).await?;
        let record =
            |key: &Key| found.get(&layout::record_pk(key)).map(|item| layout::record(key.clone(), item)).transpose();
        let holder = |name: &String| layout::string(found.get(&layout::claim_pk(name))?, "o").map(str::to_owned);
        let counter = |name: &String| layout::integer(found.get(&layout::counter_pk(name))?, "n");
        Ok(ReadResults {
            records: asked.keys.iter().map(record).collect::<Result<_, _>>()?,
            holders: asked.claims.iter().map(holder).collect(),
            counters: asked.counters.iter().map(|name| counter(name).unwrap_or(0)).collect(),
        })
    }

    async fn query(&self, query: &Query) -> Result<Found, StoreError> {
        query.check()?;
        let index = query.index;
        let slot = layout::slot_of(index).ok_or_else(|| StoreError::Corrupt(format!("{} has no slot", index.name)))?;
        // Bounds and the last page's end become one range, whose inclusive ends are dropped below.
        let after = query.after.as_ref().map(|after| layout::place(index, after));
        let (mut from, mut to) =
            (query.from.clone().map(String::into_bytes), query.below.clone().map(String::into_bytes));
        match query.order {
            Order::Ascending => from = from.max(after.clone()),
            Order::Descending => to = [to, after.clone()].into_iter().flatten().min(),
        }
        // An empty key cannot be asked for: nothing is below it, and everything from it on.
        from = from.filter(|from| !from.is_empty());
        if to.as_ref().is_some_and(|to| to.is_empty() || from.as_ref().is_some_and(|from| from > to)) {
            return Ok(Found::default());
        }
        let on_a_bound = |place: &[u8]| {
            after.as_deref() == Some(place) || query.below.as_ref().is_some_and(|below| below.as_bytes() == place)
        };
        let range =
            Range { index: slot, partition: layout::partition(index, &query.partition), from, to, order: query.order };
        // One more says whether there is a next page, and one may stand on each bound.
        let mut places = Vec::new();
        for entry in self.entries(range, query.limit + 3).await? {
            let Some(place) = layout::bytes(&entry, slot.2) else { continue };
            if !on_a_bound(place) {
                let place = layout::position(index, place);
                places.push(place.ok_or_else(|| StoreError::Corrupt(format!("{} holds a bad entry", index.name)))?);
            }
        }
        let more = places.len() > query.limit;
        places.truncate(query.limit);
        let next = places.last().filter(|_| more).cloned();
        let keys: Vec<Key> = places.iter().map(|place| Key::new(index.kind, place.id.clone())).collect();
        let reads: Vec<_> = keys.chunks(BATCH_GET).map(|keys| self.records(keys)).collect();
        let records: Vec<_> = stream::iter(reads).buffered(AT_ONCE).try_collect().await?;
        let records: Vec<Option<Record>> = records.concat();
        // What has moved or gone since it was entered is where the index will have it next time.
        let still = |(place, record): (Position, Option<Record>)| {
            let record = record?;
            let body = serde_json::from_str(&record.body).ok()?;
            let (partition, sort) = index.entry(&body)?;
            (partition == query.partition && sort.unwrap_or_default() == place.sort).then_some(record)
        };
        Ok(Found { records: places.into_iter().zip(records).filter_map(still).collect(), next })
    }

    async fn commit(&self, batch: &Batch) -> Result<Outcome, StoreError> {
        commit::commit(self, batch).await
    }

    async fn holder(&self, name: &str) -> Result<Option<String>, StoreError> {
        let item = self.item(&layout::claim_pk(name)).await?;
        Ok(item.and_then(|item| layout::string(&item, "o").map(str::to_owned)))
    }

    async fn counter(&self, name: &str) -> Result<i64, StoreError> {
        let item = self.item(&layout::counter_pk(name)).await?;
        Ok(item.and_then(|item| layout::integer(&item, "n")).unwrap_or(0))
    }

    async fn increment(&self, counter: &str) -> Result<i64, StoreError> {
        let add = || {
            self.client
                .update_item()
                .table_name(self.name())
                .set_key(Some(layout::key_of(layout::counter_pk(counter))))
                .update_expression("ADD n :one")
                .condition_expression("attribute_not_exists(n) OR n < :most")
                .expression_attribute_values(":one", layout::number(1))
                .expression_attribute_values(":most", layout::number(i64::MAX))
                .return_values(ReturnValue::UpdatedNew)
                .send()
        };
        let done = conditionally(add).await?.ok_or_else(|| StoreError::Corrupt("a counter is full".into()))?;
        done.attributes
            .and_then(|item| layout::integer(&item, "n"))
            .ok_or_else(|| StoreError::Corrupt(format!("the counter {counter} is no number")))
    }

    async fn note(&self, key: &Key, at: Timestamp) -> Result<(), StoreError> {
        let write = || {
            self.client
                .update_item()
                .table_name(self.name())
                .set_key(Some(layout::key_of(layout::record_pk(key))))
                .update_expression("SET noted = :at")
                .condition_expression("attribute_exists(pk)")
                .expression_attribute_values(":at", layout::text(at.to_string()))
                .send()
        };
        conditionally(write).await.map(|_| ())
    }

    async fn expire(&self, _: Timestamp, _: usize) -> Result<usize, StoreError> {
        Ok(0)
    }

    /// By `ttl`, which costs nothing, as deleting would.
    fn expires_by_itself(&self) -> bool {
        true
    }

    async fn ping(&self) -> Result<(), StoreError> {
        // A write that changes nothing but once: a key may be allowed to read and no more.
        let write = || {
            self.client
                .update_item()
                .table_name(self.name())
                .set_key(Some(layout::key_of(layout::counter_pk("ping"))))
                .update_expression("SET n = :zero")
                .expression_attribute_values(":zero", layout::number(0))
                .send()
        };
        conditionally(write).await.map(|_| ())
    }
}
