//! JSON in one form, for digests.

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The fields in one order at every level, whatever order they were given in.
pub(crate) fn canonical(fields: &Map<String, Value>) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&ordered(fields))
}

fn ordered(fields: &Map<String, Value>) -> BTreeMap<&str, Ordered<'_>> {
    fields.iter().map(|(name, value)| (name.as_str(), Ordered(value))).collect()
}

/// A value whose objects are written in the order of their names.
struct Ordered<'a>(&'a Value);

impl Serialize for Ordered<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(fields) => serializer.collect_map(ordered(fields)),
            Value::Array(items) => serializer.collect_seq(items.iter().map(Ordered)),
            plain @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => plain.serialize(serializer),
        }
    }
}
