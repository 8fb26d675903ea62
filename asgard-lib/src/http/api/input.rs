//! One command from the path, the query and the body.

use super::{Fields, Shape};
use crate::{
    app::core::operation::Method,
    error::{Error, Result},
};
use serde_json::{Map, Value};

/// Merges what the path fixes, the query and the body into one command. A field said twice must say the same.
pub(super) fn merge(
    fields: &Fields,
    method: Method,
    fixed: &[(&str, &str)],
    query: Option<&str>,
    body: Map<String, Value>,
) -> Result<Value> {
    let mut input = body;
    for (name, text) in fixed {
        let value = typed(fields.shape(name).unwrap_or(Shape::Text), name, text)?;
        match input.get(*name) {
            Some(said) if *said != value => {
                let message = format!("The path says `{text}`; leave `{name}` out of the body or say the same there.");
                return Err(Error::invalid((*name).to_owned(), message));
            }
            Some(_) => {}
            None => {
                input.insert((*name).to_owned(), value);
            }
        }
    }
    let mut seen: Vec<String> = Vec::new();
    for (name, text) in pairs(query.unwrap_or_default())? {
        match method {
            Method::Get | Method::Delete => {}
            // Queries end up in logs and histories; what is asked for belongs in the body.
            Method::Post | Method::Patch => {
                return Err(Error::invalid(
                    name,
                    "Send this in the JSON body; query parameters are for GET and DELETE.",
                ));
            }
        }
        let name = fields.named(name);
        if seen.contains(&name) {
            return Err(Error::invalid(name, "This query parameter is there twice."));
        }
        let shape = fields.shape(&name).filter(|shape| *shape != Shape::Nested);
        let Some(shape) = shape else { return Err(unknown(fields, name, fixed)) };
        if fixed.iter().any(|(known, _)| *known == name) {
            return Err(Error::invalid(name, "The path says this already; leave it out of the query."));
        }
        if input.contains_key(&name) {
            return Err(Error::invalid(name, "This is both in the query and in the body; send it once."));
        }
        seen.push(name.clone());
        // `?cursor=&limit=50` is how a first page is often asked for: an empty value is one that was left out.
        if !text.is_empty() {
            let value = typed(shape, &name, &text)?;
            input.insert(name, value);
        }
    }
    Ok(Value::Object(input))
}

fn unknown(fields: &Fields, name: String, fixed: &[(&str, &str)]) -> Error {
    let allowed = fields.queryable(fixed);
    let allowed = if allowed.is_empty() { "none".to_owned() } else { allowed.join(", ") };
    Error::invalid(name, format!("There is no such query parameter here. Allowed: {allowed}."))
}

fn typed(shape: Shape, name: &str, text: &str) -> Result<Value> {
    if text.contains('\0') {
        return Err(Error::invalid(name.to_owned(), "Text may not contain the character NUL."));
    }
    shape.read(text).map_err(|expected| Error::invalid(name.to_owned(), expected))
}

fn pairs(query: &str) -> Result<Vec<(String, String)>> {
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            Ok((decode(name)?, decode(value)?))
        })
        .collect()
}

/// Percent-decoding as forms do it, and strict about what is left over.
fn decode(text: &str) -> Result<String> {
    let broken = || Error::invalid("query", "The query has a broken percent escape or is not UTF-8 text.");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|byte| char::from(byte).to_digit(16));
                let (high, low) = (digit().ok_or_else(broken)?, digit().ok_or_else(broken)?);
                u8::try_from(high * 16 + low).map_err(|_| broken())?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| broken())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn fields() -> Fields {
        Fields::of(&json!({ "properties": {
            "project_id": { "type": "string" },
            "cursor": { "type": ["string", "null"] },
            "limit": { "type": "integer" },
            "all": { "type": ["boolean", "null"] },
            "budget_usd": { "type": "number" },
            "spec": { "type": "object" },
            "actor_id": { "type": "string", "x-aliases": ["actor", "who"] },
        } }))
    }

    fn merged(method: Method, query: &str, body: Value) -> Result<Value, String> {
        let Value::Object(body) = body else { panic!("not an object") };
        merge(&fields(), method, &[("project_id", "p1")], Some(query), body).map_err(|error| error.to_string())
    }

    #[test]
    fn queries_become_typed_values() {
        let got = merged(Method::Get, "limit=10&all=true&cursor=a%2Bb+c&budget_usd=1.5", json!({}));
        assert_eq!(
            got,
            Ok(json!({"project_id": "p1", "limit": 10, "all": true, "cursor": "a+b c", "budget_usd": 1.5}))
        );
        assert_eq!(merged(Method::Get, "cursor=&limit=", json!({})), Ok(json!({"project_id": "p1"})));
        assert_eq!(merged(Method::Get, "&", json!({})), Ok(json!({"project_id": "p1"})));
        assert_eq!(merged(Method::Get, "who=x", json!({})), Ok(json!({"project_id": "p1", "actor_id": "x"})));
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        for (query, starts) in [
            ("limit=ten", "limit: Expected a whole number"),
            ("limit=1.0", "limit: Expected a whole number"),
            ("limit=%2B1", "limit: Expected a whole number"),
            ("limit=99999999999999999999", "limit: Expected a whole number"),
            ("all=yes", "all: Expected `true` or `false`"),
            ("budget_usd=NaN", "budget_usd: Expected a number"),
            ("limit=1&limit=2", "limit: This query parameter is there twice"),
            ("actor=x&actor_id=y", "actor_id: This query parameter is there twice"),
            ("cursor=&cursor=x", "cursor: This query parameter is there twice"),
            (
                "lmit=1",
                "lmit: There is no such query parameter here. Allowed: actor_id, all, budget_usd, cursor, limit.",
            ),
            ("spec=x", "spec: There is no such query parameter"),
            ("project_id=p1", "project_id: The path says this already"),
            ("cursor=%zz", "query: The query has a broken percent escape"),
            ("cursor=%ff", "query: The query has a broken percent escape"),
            ("cursor=%00", "cursor: Text may not contain"),
        ] {
            let got = merged(Method::Get, query, json!({})).unwrap_err();
            assert!(got.starts_with(starts), "{query}: {got}");
        }
    }

    #[test]
    fn a_field_said_twice_must_say_the_same() {
        assert_eq!(merged(Method::Post, "", json!({"project_id": "p1"})), Ok(json!({"project_id": "p1"})));
        let other = merged(Method::Post, "", json!({"project_id": "p2"})).unwrap_err();
        assert!(other.starts_with("project_id: The path says `p1`"), "{other}");
        let twice = merged(Method::Delete, "cursor=a", json!({"cursor": "a"})).unwrap_err();
        assert!(twice.starts_with("cursor: This is both"), "{twice}");
        let posted = merged(Method::Post, "cursor=a", json!({})).unwrap_err();
        assert!(posted.starts_with("cursor: Send this in the JSON body"), "{posted}");
    }
}
