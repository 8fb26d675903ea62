//! What sealing covers: the bytes as they are stored. A digest or mark is computed from the body of a record, never from a
//! struct that is written again, so that a field which is renamed, added or read in another way breaks no sealed block.
//!
//! A block says in which format it is sealed. A format never changes; a new one gets a new number.

use crate::error::{Error, Result};
use data_encoding::HEXLOWER;
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// The body of a record.
pub type Body = Map<String, Value>;

/// The fields of an event that say where it is sealed, which sealing itself changes.
const SEALING: [&str; 2] = ["unsealed", "block"];
/// The field that holds a record's mark.
const MARK: &str = "mac";

/// How the bytes of a block and of its events are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealFormat {
    /// Version 0.1.0: the known fields, in one order, as JSON.
    Fields,
    /// The stored record without its sealing fields, as canonical JSON: members sorted by name, no white space.
    Stored,
    /// The same bytes. The mark of every event was genuine when it was sealed, and the block names the event with which marking began.
    Marked,
}

impl SealFormat {
    /// The format of a number in a block; a block without one is of version 0.1.0.
    pub const fn of(number: u16) -> Option<Self> {
        match number {
            1 => Some(Self::Fields),
            2 => Some(Self::Stored),
            3 => Some(Self::Marked),
            _ => None,
        }
    }

    /// The number that a block carries.
    pub const fn number(self) -> u16 {
        match self {
            Self::Fields => 1,
            Self::Stored => 2,
            Self::Marked => 3,
        }
    }

    /// What a block's mark is made for; a mark of one format never passes for one of another.
    pub const fn purpose(self) -> &'static str {
        match self {
            Self::Fields => "audit",
            Self::Stored => "audit/2",
            Self::Marked => "audit/3",
        }
    }

    /// SHA-256 of what sealing covers of an event, in hex. `None` for a body that holds what the format does not cover.
    pub fn event_digest(self, event: &Body) -> Option<String> {
        let bytes = match self {
            Self::Fields => fields(event, &SEALING, EVENT_FIELDS)?,
            Self::Stored | Self::Marked => canonical_without(event, &SEALING),
        };
        Some(HEXLOWER.encode(&Sha256::digest(bytes)))
    }

    /// The bytes that the mark of a block covers. `None` for a body that holds what the format does not cover.
    pub fn block_bytes(self, block: &Body) -> Option<Vec<u8>> {
        match self {
            Self::Fields => {
                let mut bare = block.clone();
                bare.insert(MARK.to_owned(), Value::String(String::new()));
                fields(&bare, &[], BLOCK_FIELDS)
            }
            Self::Stored | Self::Marked => Some(canonical_without(block, &[MARK])),
        }
    }
}

/// The bytes that the mark of a stub or of a marking covers.
pub fn marked_bytes(record: &Body) -> Vec<u8> {
    canonical_without(record, &[MARK])
}

/// The bytes that the mark of an event covers: what is stored, its id and project among it, besides where it is sealed.
pub fn event_bytes(event: &Body) -> Vec<u8> {
    let [unsealed, block] = SEALING;
    canonical_without(event, &[unsealed, block, MARK])
}

/// The body that a new record will have.
pub fn body_of<T: Serialize>(value: &T) -> Result<Body> {
    match serde_json::to_value(value).map_err(Error::bug)? {
        Value::Object(body) => Ok(body),
        other => Err(Error::bug(format!("{other} is no body of a record"))),
    }
}

fn canonical_without(body: &Body, left_out: &[&str]) -> Vec<u8> {
    let covered = body.iter().filter(|(name, _)| !left_out.contains(&name.as_str()));
    let mut out = String::new();
    write_members(covered.map(|(name, value)| (name.as_str(), value)).collect(), &mut out);
    out.into_bytes()
}

/// Canonical JSON of a value.
fn write(value: &Value, out: &mut String) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => out.push_str(&value.to_string()),
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            write_members(members.iter().map(|(name, value)| (name.as_str(), value)).collect(), out);
        }
    }
}

fn write_members(mut members: Vec<(&str, &Value)>, out: &mut String) {
    // Whether a map keeps an order of its own depends on how the JSON library was built.
    members.sort_unstable_by_key(|(name, _)| *name);
    write_in_order(&members, out);
}

fn write_in_order(members: &[(&str, &Value)], out: &mut String) {
    out.push('{');
    for (at, (name, value)) in members.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(&Value::String((*name).to_owned()).to_string());
        out.push(':');
        write(value, out);
    }
    out.push('}');
}

/// A field of version 0.1.0, with the order of its own members where that was not the alphabet's.
type Field = (&'static str, &'static [&'static str]);

const EVENT_FIELDS: &[Field] = &[
    ("id", &[]),
    ("at", &[]),
    ("day", &[]),
    ("project", &[]),
    ("actor", &["kind", "id", "person"]),
    ("action", &[]),
    ("object", &[]),
    ("trace", &[]),
    ("details", &[]),
];
const BLOCK_FIELDS: &[Field] = &[
    ("chain", &[]),
    ("number", &[]),
    ("previous", &[]),
    ("events", &[]),
    ("sealed_at", &[]),
    ("mac_key", &[]),
    ("mac", &[]),
];

/// The fields in that order, as version 0.1.0 wrote them. `None` when there is a field that it did not know.
fn fields(body: &Body, left_out: &[&str], order: &[Field]) -> Option<Vec<u8>> {
    let known = |name: &str| left_out.contains(&name) || order.iter().any(|(field, _)| *field == name);
    if !body.keys().all(|name| known(name)) {
        return None;
    }
    let mut out = String::from("{");
    for (name, members) in order {
        let Some(value) = body.get(*name) else { continue };
        if out.len() > 1 {
            out.push(',');
        }
        out.push_str(&Value::String((*name).to_owned()).to_string());
        out.push(':');
        match value {
            Value::Object(object) if !members.is_empty() => {
                if !object.keys().all(|member| members.contains(&member.as_str())) {
                    return None;
                }
                let present: Vec<_> = members.iter().filter_map(|name| Some((*name, object.get(*name)?))).collect();
                write_in_order(&present, &mut out);
            }
            other => write(other, &mut out),
        }
    }
    out.push('}');
    Some(out.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn body(value: Value) -> Body {
        let Value::Object(body) = value else { panic!("a body is an object") };
        body
    }

    fn event() -> Body {
        body(json!({
            "trace": "trc_1", "id": "evt_1", "at": "2026-01-01T00:00:00.000Z", "day": "2026-01-01", "project": "proj-2026-0001",
            "actor": { "person": "a@b.example", "id": "usr_1", "kind": "human" }, "action": "key.minted", "object": "key_1",
            "details": { "b": "2", "a": "1\"\u{e9}" }, "unsealed": "pending",
        }))
    }

    /// The struct of version 0.1.0, written by serde.
    const AS_THEN: &str = concat!(
        r#"{"id":"evt_1","at":"2026-01-01T00:00:00.000Z","day":"2026-01-01","project":"proj-2026-0001","#,
        r#""actor":{"kind":"human","id":"usr_1","person":"a@b.example"},"action":"key.minted","object":"key_1","trace":"trc_1","#,
        r#""details":{"a":"1\"é","b":"2"}}"#
    );

    #[test]
    fn the_first_format_is_that_of_version_0_1_0_in_whatever_order_the_body_is() {
        let expected = HEXLOWER.encode(&Sha256::digest(AS_THEN));
        assert_eq!(SealFormat::Fields.event_digest(&event()), Some(expected));
        let mut block = body(json!({
            "mac": "ff", "number": 1, "chain": "org", "events": [["evt_1", "00"]], "previous": "", "sealed_at": "t", "mac_key": "dk_1",
        }));
        let then = r#"{"chain":"org","number":1,"previous":"","events":[["evt_1","00"]],"sealed_at":"t","mac_key":"dk_1","mac":""}"#;
        assert_eq!(SealFormat::Fields.block_bytes(&block).unwrap(), then.as_bytes());
        block.insert("more".into(), json!(1));
        assert_eq!(SealFormat::Fields.block_bytes(&block), None);
    }

    #[test]
    fn the_first_format_refuses_what_it_does_not_cover() {
        for (field, value) in [("outcome", json!("ok")), ("actor", json!({"kind": "human", "id": "usr_1", "act": []}))]
        {
            let mut more = event();
            more.insert(field.into(), value);
            assert_eq!(SealFormat::Fields.event_digest(&more), None, "{field}");
            assert!(SealFormat::Stored.event_digest(&more).is_some(), "{field}");
        }
    }

    #[test]
    fn the_second_format_covers_every_field_at_every_depth_but_those_of_sealing() {
        let digest = |body: &Body| SealFormat::Stored.event_digest(body).unwrap();
        let plain = digest(&event());
        let mut sealed = event();
        sealed.remove("unsealed");
        sealed.insert("block".into(), json!(7));
        assert_eq!(digest(&sealed), plain);
        for (pointer, value) in
            [("/actor/kind", json!("system")), ("/details/b", json!("3")), ("/object", json!("key_2"))]
        {
            let mut changed = Value::Object(event());
            *changed.pointer_mut(pointer).unwrap() = value;
            assert_ne!(digest(&body(changed)), plain, "{pointer}");
        }
        let mut more = event();
        more["actor"]["later"] = json!([{ "z": 1, "a": null }]);
        assert_ne!(digest(&more), plain);
        let text = String::from_utf8(canonical_without(&more, &SEALING)).unwrap();
        assert!(text.contains(r#""later":[{"a":null,"z":1}]"#), "{text}");
    }
}
