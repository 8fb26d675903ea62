//! How the port's items lie in the one table, and back. Every item has a partition key of its own, so that nothing shares a
//! partition by accident, and every key begins with the organisation.
//!
//! | item | `pk` | attributes |
//! |---|---|---|
//! | record | `default/r/<kind>/<id>` | `v` version, `sc` schema, `b` body, `noted`, index entries |
//! | claim | `default/c/<name>` | `o` owner |
//! | counter | `default/n/<name>` | `n` |
//! | a commit's marker | `default/m/<commit>` | |
//! | blob | `default/b/<id>` | `b` bytes, index entry |
//!
//! A kind's first declared index is entered in `p1` and `s1`, its second in `p2` and `s2`, and so on: partition, and what
//! orders within it. Items that expire have the moment in `until`, and in `ttl` the whole second by which DynamoDB deletes them.

use crate::{
    kernel::{BlobId, CommitId, Timestamp},
    ports::{
        kinds::{INDEXES, Index},
        store::{Draft, Key, Position, Record, StoreError},
    },
};
use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use serde_json::Value;
use std::collections::HashMap;

/// The organisation; constant for now.
const ORG: &str = "default";
/// The most indexes that a kind may have.
pub(super) const SLOTS: usize = 4;
/// An index: its name, its partition attribute and its sort attribute.
pub(super) type Slot = (&'static str, &'static str, &'static str);
/// The indexes that kinds share.
pub(super) const INDEX: [Slot; SLOTS] =
    [("ix1", "p1", "s1"), ("ix2", "p2", "s2"), ("ix3", "p3", "s3"), ("ix4", "p4", "s4")];
/// The attribute by which DynamoDB deletes.
pub(super) const TTL: &str = "ttl";

/// An item as the SDK has it.
pub(super) type Item = HashMap<String, AttributeValue>;

pub(super) fn text(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

pub(super) fn number(number: impl ToString) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

pub(super) fn binary(bytes: impl Into<Vec<u8>>) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

fn pk(family: char, rest: &str) -> String {
    format!("{ORG}/{family}/{rest}")
}

pub(super) fn record_pk(key: &Key) -> String {
    pk('r', &format!("{}/{}", key.kind.name(), key.id))
}

pub(super) fn claim_pk(name: &str) -> String {
    pk('c', name)
}

pub(super) fn counter_pk(name: &str) -> String {
    pk('n', name)
}

pub(super) fn marker_pk(id: &CommitId) -> String {
    pk('m', id.as_str())
}

pub(super) fn blob_pk(id: &BlobId) -> String {
    pk('b', id.as_str())
}

/// A key as the SDK takes it.
pub(super) fn key_of(pk: impl Into<String>) -> Item {
    HashMap::from([("pk".to_owned(), text(pk))])
}

pub(super) fn string<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name)?.as_s().ok().map(String::as_str)
}

pub(super) fn integer(item: &Item, name: &str) -> Option<i64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

pub(super) fn bytes<'a>(item: &'a Item, name: &str) -> Option<&'a [u8]> {
    item.get(name)?.as_b().ok().map(AsRef::as_ref)
}

/// The partition of an index.
pub(super) fn partition(index: &Index, partition: &str) -> String {
    format!("{ORG}/{}/{partition}", index.name)
}

/// The partition of the list of blobs.
pub(super) fn blobs_partition() -> String {
    format!("{ORG}/blob/")
}

/// What orders an index: `sort NUL id`, or the id alone where there is no sort field. U+0000 is in neither, so the bytes
/// order as the pair does.
pub(super) fn place(index: &Index, position: &Position) -> Vec<u8> {
    match index.sort {
        Some(_) => [position.sort.as_bytes(), &[0], position.id.as_bytes()].concat(),
        None => position.id.as_bytes().to_vec(),
    }
}

/// The position that [`place`] made.
pub(super) fn position(index: &Index, place: &[u8]) -> Option<Position> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    match index.sort {
        Some(_) => {
            let nul = place.iter().rposition(|byte| *byte == 0)?;
            let (sort, id) = place.split_at_checked(nul)?;
            Some(Position { sort: text(sort)?, id: text(id.get(1..)?)? })
        }
        None => Some(Position { sort: String::new(), id: text(place)? }),
    }
}

/// The attributes of the `slot`th index.
pub(super) fn slot_of(index: &Index) -> Option<Slot> {
    let slot = INDEXES.iter().filter(|other| other.kind == index.kind).position(|other| other.name == index.name)?;
    INDEX.get(slot).copied()
}

/// What an item that expires carries, and what it must not carry otherwise.
pub(super) fn expiry(expires_at: Option<Timestamp>) -> [(&'static str, Option<AttributeValue>); 2] {
    [
        ("until", expires_at.map(|at| text(at.to_string()))),
        // DynamoDB counts whole seconds, and must not be early.
        (TTL, expires_at.map(|at| number(at.as_secs().saturating_add(1)))),
    ]
}

/// Every attribute of a record but its key and its note; `None` where the record has none.
pub(super) fn attributes(
    draft: &Draft,
    version: &CommitId,
) -> Result<Vec<(&'static str, Option<AttributeValue>)>, StoreError> {
    let corrupt = |why: &str| StoreError::Corrupt(format!("{}: {why}", draft.key));
    let body: Value = serde_json::from_str(&draft.body).map_err(|e| corrupt(&format!("its body is not JSON: {e}")))?;
    let body = body.as_object().ok_or_else(|| corrupt("its body is not a JSON object"))?;
    let mut all = vec![
        ("v", Some(text(version.as_str()))),
        ("sc", Some(number(draft.schema))),
        ("b", Some(text(draft.body.clone()))),
    ];
    all.extend(expiry(draft.expires_at));
    let mut slots = INDEX.iter();
    for index in INDEXES.iter().filter(|index| index.kind == draft.key.kind) {
        let (_, hash, range) = slots.next().ok_or_else(|| corrupt("its kind has more indexes than the table"))?;
        index.check(&draft.key, body)?;
        let (at, by) = match index.entry(body) {
            Some((at, sort)) => {
                let position = Position { sort: sort.unwrap_or_default(), id: draft.key.id.clone() };
                (Some(text(partition(index, &at))), Some(binary(place(index, &position))))
            }
            None => (None, None),
        };
        all.extend([(*hash, at), (*range, by)]);
    }
    Ok(all)
}

/// The record that an item holds.
pub(super) fn record(key: Key, item: &Item) -> Result<Record, StoreError> {
    let read = || {
        let time = |name: &str| string(item, name).map(str::parse::<Timestamp>).transpose().ok();
        Some((
            string(item, "v")?.parse().ok()?,
            u16::try_from(integer(item, "sc")?).ok()?,
            string(item, "b")?.to_owned(),
            time("until")?,
            time("noted")?,
        ))
    };
    let Some((version, schema, body, expires_at, noted_at)) = read() else {
        return Err(StoreError::Corrupt(format!("the item of {key} is not one that Asgard wrote")));
    };
    Ok(Record { key, version, schema, body, expires_at, noted_at })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::kinds::Kind;
    use serde_json::json;

    #[test]
    fn the_table_has_a_slot_for_every_declared_index() {
        for index in INDEXES {
            assert!(slot_of(index).is_some(), "{} has no slot", index.name);
        }
    }

    #[test]
    fn places_order_as_positions_do_and_lead_back() {
        let index = INDEXES.iter().find(|index| index.sort.is_some()).unwrap();
        let mut positions: Vec<Position> = ["", "a", "a!", "ab", "b", "ä"]
            .iter()
            .flat_map(|sort| ["x", "xy", "y"].map(|id| Position { sort: (*sort).into(), id: id.into() }))
            .collect();
        positions.sort();
        let places: Vec<Vec<u8>> = positions.iter().map(|position| place(index, position)).collect();
        assert!(places.is_sorted());
        for (found, wanted) in places.iter().zip(&positions) {
            assert_eq!(position(index, found).as_ref(), Some(wanted));
        }
    }

    #[test]
    fn an_item_reads_back_as_the_record_and_leaves_indexes_that_it_is_not_in() {
        let key = Key::new(Kind::Request, "req_1");
        let body = json!({ "project": "proj-1", "resource": null }).to_string();
        let draft = Draft { key: key.clone(), schema: 3, body, expires_at: None };
        let version = CommitId::from_digest(&[1; 32]);
        let all = attributes(&draft, &version).unwrap();
        let given = |name| all.iter().find(|(n, _)| *n == name).unwrap().1.clone();
        assert!(given("p1").is_some() && given("p2").is_some(), "all requests, and those of its project");
        assert_eq!((given("p3"), given("p4"), given("until"), given(TTL)), (None, None, None, None));
        let item: Item = all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        let read = record(key.clone(), &item).unwrap();
        assert_eq!((read.version, read.schema, read.body), (version, 3, draft.body));
        assert!(record(key, &Item::new()).is_err());
    }
}
