//! JSON as strictly as a control plane wants it: one value, no key twice, no NUL in any text, at most 128 levels deep.

use crate::error::{Code, Error, Result};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::{cell::Cell, fmt};

/// Why bytes were not accepted.
pub(super) enum Fault {
    /// They are not JSON.
    Syntax(String),
    /// They are JSON that means nothing certain: a key twice, a NUL, too deep.
    Unclear(String),
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Syntax(why) => {
                Self::new(Code::InvalidInput, format!("The body is not valid JSON: {why}.")).at("body")
            }
            Fault::Unclear(why) => {
                Self::new(Code::InvalidInput, format!("The body is not accepted: {why}.")).at("body")
            }
        }
    }
}

/// Reads one JSON value.
pub(super) fn parse(bytes: &[u8]) -> std::result::Result<Value, Fault> {
    let unclear = Cell::new(false);
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { unclear: &unclear }.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    value.map_err(|error| {
        let text = error.to_string();
        let deep = text.starts_with("recursion limit exceeded");
        let why: String = text.chars().take(200).collect();
        match (deep, unclear.get()) {
            (true, _) => Fault::Unclear("it is nested more than 128 levels deep".to_owned()),
            (false, true) => Fault::Unclear(why),
            (false, false) => Fault::Syntax(why),
        }
    })
}

/// Reads a JSON object.
pub(super) fn object(bytes: &[u8]) -> Result<Map<String, Value>> {
    match parse(bytes)? {
        Value::Object(map) => Ok(map),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(Error::new(Code::InvalidInput, "The body must be a JSON object.").at("body"))
        }
    }
}

#[derive(Clone, Copy)]
struct Strict<'c> {
    unclear: &'c Cell<bool>,
}

impl Strict<'_> {
    fn refuse<E: serde::de::Error>(self, why: impl fmt::Display) -> E {
        self.unclear.set(true);
        E::custom(why)
    }

    fn text<E: serde::de::Error>(self, text: String) -> std::result::Result<String, E> {
        if text.contains('\0') { Err(self.refuse("text may not contain the character NUL")) } else { Ok(text) }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> std::result::Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> std::result::Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> std::result::Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| self.refuse("a number is not finite"))
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> std::result::Result<Value, E> {
        self.text(value.to_owned()).map(Value::String)
    }

    fn visit_string<E: serde::de::Error>(self, value: String) -> std::result::Result<Value, E> {
        self.text(value).map(Value::String)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> std::result::Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> std::result::Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key_seed(Key(self))? {
            let value = entries.next_value_seed(self)?;
            if map.contains_key(&key) {
                let shown: String = key.chars().take(60).collect();
                return Err(self.refuse(format_args!("the key `{shown}` is there twice")));
            }
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}

struct Key<'c>(Strict<'c>);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> std::result::Result<String, D::Error> {
        String::deserialize(deserializer).and_then(|key| self.0.text(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fault(bytes: &[u8]) -> String {
        match parse(bytes) {
            Ok(value) => format!("ok {value}"),
            Err(Fault::Syntax(why)) => format!("syntax {why}"),
            Err(Fault::Unclear(why)) => format!("unclear {why}"),
        }
    }

    #[test]
    fn what_is_not_certain_is_refused_with_the_reason() {
        let deep = [b"[".repeat(10_000), b"]".repeat(10_000)].concat();
        for (bytes, starts) in [
            (&b"{\"a\":1,\"b\":{\"a\":2}}"[..], "ok"),
            (b"{\"a\":1,\"a\":1}", "unclear the key `a` is there twice"),
            (b"[{\"x\":{\"a\":1,\"a\":2}}]", "unclear the key `a` is there twice"),
            (b"{\"a\":\"x\\u0000y\"}", "unclear text may not contain"),
            (b"{\"a\\u0000\":1}", "unclear text may not contain"),
            (&deep, "unclear it is nested more than 128"),
            (b"{\"a\":1} {}", "syntax trailing characters"),
            (b"{\"a\":", "syntax EOF"),
            (b"", "syntax EOF"),
            (b"\xff", "syntax"),
            (b"{\"a\":\"\xff\"}", "syntax"),
            (b"{'a':1}", "syntax"),
            (b"{\"a\":1e999}", "syntax number out of range"),
            (b"NaN", "syntax"),
        ] {
            let got = fault(bytes);
            assert!(got.starts_with(starts), "{got:?} does not start with {starts:?}");
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1e9..1e9f64).prop_map(Value::from),
            "[^\0]{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map("[^\0]{0,6}", inner, 0..6)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_certain_is_read_as_it_is(value in any_json()) {
            prop_assert_eq!(parse(value.to_string().as_bytes()).ok(), Some(value));
        }
    }
}
