//! Arguments of a tool from the command line: `name=value`, read by the tool's input schema.

use crate::failure::{Failure, Result};
use serde_json::{Map, Value};

/// The object that `--arg` flags make together.
pub fn build(args: &[String], schema: &Value) -> Result<Map<String, Value>> {
    let mut object = Map::new();
    for arg in args {
        let (path, text) = arg
            .split_once('=')
            .filter(|(path, _)| !path.is_empty())
            .ok_or_else(|| Failure::usage(format!("--arg takes NAME=VALUE, not `{arg}`")))?;
        let names: Vec<&str> = path.split('.').collect();
        if names.iter().any(|name| name.is_empty()) {
            return Err(Failure::usage(format!("`{path}` is not a name: a part between the dots is empty")));
        }
        check_known(&names, schema)?;
        let value = read(text, at(schema, &names)).map_err(|expected| {
            Failure::usage(format!("--arg {path}: expected {expected}"))
                .hint("Quote a value for the shell, or give all arguments with --json.")
        })?;
        put(&mut object, &names, value)
            .map_err(|taken| Failure::usage(format!("--arg {path}: `{taken}` is set already")))?;
    }
    Ok(object)
}

/// A typing error in the first name is better said here, with the names there are, than after a journey.
fn check_known(names: &[&str], schema: &Value) -> Result<()> {
    let (Some(first), Some(known)) = (names.first(), schema.get("properties").and_then(Value::as_object)) else {
        return Ok(());
    };
    if known.contains_key(*first) {
        return Ok(());
    }
    let known: Vec<&str> = known.keys().map(String::as_str).collect();
    let known = if known.is_empty() { "no arguments".to_owned() } else { known.join(", ") };
    Err(Failure::usage(format!("the tool has no argument `{first}`; it takes {known}")))
}

/// The schema of a field, as far as it is described.
fn at<'a>(schema: &'a Value, names: &[&str]) -> Option<&'a Value> {
    names.iter().try_fold(schema, |schema, name| schema.get("properties")?.get(name))
}

/// The types that a schema allows, or nothing when it does not say.
fn types(schema: &Value) -> Vec<&str> {
    let mut found: Vec<&str> = match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        Some(_) | None => Vec::new(),
    };
    for choice in ["anyOf", "oneOf"].iter().filter_map(|name| schema.get(name)?.as_array()).flatten() {
        found.extend(types(choice));
    }
    if found.is_empty()
        && schema.get("enum").and_then(Value::as_array).is_some_and(|all| all.iter().all(Value::is_string))
    {
        found.push("string");
    }
    found
}

/// A value of the type that the schema wants, or what was expected.
fn read(text: &str, schema: Option<&Value>) -> Result<Value, String> {
    let allowed = schema.map(types).unwrap_or_default();
    let wanted: Vec<&str> = allowed.iter().copied().filter(|kind| *kind != "null").collect();
    let json: Option<Value> = serde_json::from_str(text).ok();
    if wanted.is_empty() {
        return Ok(json.unwrap_or_else(|| Value::String(text.to_owned())));
    }
    if wanted == ["string"] {
        return Ok(Value::String(text.to_owned()));
    }
    let fits = |value: &Value| {
        wanted.iter().any(|kind| match *kind {
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            _ => false,
        }) || (value.is_null() && allowed.contains(&"null"))
    };
    match json.filter(fits) {
        Some(value) => Ok(value),
        None if wanted.contains(&"string") => Ok(Value::String(text.to_owned())),
        // A list of texts is written with commas where that is meant.
        None if wanted == ["array"] && items_are_text(schema) && !text.trim_start().starts_with('[') => {
            Ok(text.split(',').map(|item| Value::String(item.trim().to_owned())).collect())
        }
        None => Err(format!("{} (as JSON)", wanted.join(" or "))),
    }
}

fn items_are_text(schema: Option<&Value>) -> bool {
    schema.and_then(|schema| schema.get("items")).is_some_and(|items| types(items) == ["string"])
}

/// Puts a value at a dotted name; says which part is taken by something else.
fn put(object: &mut Map<String, Value>, names: &[&str], value: Value) -> Result<(), String> {
    match names {
        [] => Ok(()),
        [last] => match object.insert((*last).to_owned(), value) {
            None => Ok(()),
            Some(_) => Err((*last).to_owned()),
        },
        [first, rest @ ..] => match object.entry(*first).or_insert_with(|| Value::Object(Map::new())) {
            Value::Object(inner) => put(inner, rest, value),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
                Err((*first).to_owned())
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Value {
        json!({"type": "object", "properties": {
            "service": {"type": "string"}, "wait_s": {"type": ["integer", "null"]}, "budget_usd": {"type": "number"},
            "force": {"type": "boolean"}, "fields": {"type": "array", "items": {"type": "string"}},
            "tier": {"anyOf": [{"enum": ["poc", "1"]}, {"type": "null"}]}, "spec": {"type": "object"},
            "either": {"type": ["string", "integer"]},
        }})
    }

    fn built(args: &[&str]) -> Result<Value, String> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        build(&args, &schema()).map(Value::Object).map_err(|failure| format!("{failure:?}"))
    }

    #[test]
    fn values_have_the_type_that_the_tool_takes() {
        for (arg, expected) in [
            ("service=16", json!({"service": "16"})),
            ("service=a=b", json!({"service": "a=b"})),
            ("service=", json!({"service": ""})),
            ("wait_s=5", json!({"wait_s": 5})),
            ("wait_s=null", json!({"wait_s": null})),
            ("budget_usd=1.5", json!({"budget_usd": 1.5})),
            ("force=true", json!({"force": true})),
            ("fields=a, b", json!({"fields": ["a", "b"]})),
            ("fields=[\"a,b\"]", json!({"fields": ["a,b"]})),
            ("tier=1", json!({"tier": "1"})),
            ("either=7", json!({"either": 7})),
            ("either=x", json!({"either": "x"})),
            ("spec={\"a\": [1]}", json!({"spec": {"a": [1]}})),
            ("spec.seconds=2", json!({"spec": {"seconds": 2}})),
            ("spec.version=\"16\"", json!({"spec": {"version": "16"}})),
            ("spec.image=nginx:1", json!({"spec": {"image": "nginx:1"}})),
        ] {
            assert_eq!(built(&[arg]), Ok(expected), "{arg}");
        }
        assert_eq!(
            built(&["spec.a.b=1", "spec.a.c=x", "force=false"]),
            Ok(json!({"spec": {"a": {"b": 1, "c": "x"}}, "force": false}))
        );
    }

    #[test]
    fn what_does_not_fit_is_said_with_what_would() {
        for (args, said) in [
            (vec!["wait_s=soon"], "wait_s: expected integer"),
            (vec!["wait_s=1.5"], "wait_s: expected integer"),
            (vec!["force=yes"], "force: expected boolean"),
            (vec!["spec=x"], "spec: expected object"),
            (vec!["servce=x"], "no argument `servce`; it takes service, "),
            (vec!["service"], "NAME=VALUE"),
            (vec!["=x"], "NAME=VALUE"),
            (vec!["spec..a=1"], "is empty"),
            (vec!["service=a", "service=b"], "`service` is set already"),
            (vec!["spec.a=1", "spec.a.b=2"], "`a` is set already"),
        ] {
            let error = built(&args).unwrap_err();
            assert!(error.contains(said), "{args:?}: {error}");
        }
    }
}
