//! Checking a spec against a manifest's schema, with messages that say what is allowed.

use crate::{
    domain::{resource::Spec, secret::REFERENCE, service::Manifest},
    error::{Code, Error, Result},
};
use serde_json::{Map, Value};

const MAX_PROBLEMS: usize = 5;
const LARGEST_SPEC: usize = 64 * 1024;

/// Objects that list their properties refuse others, at every level: Terraform would drop them silently.
pub(super) fn refuse_unknown_inputs(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.contains_key("properties") && !map.contains_key("additionalProperties") {
                map.insert("additionalProperties".into(), Value::Bool(false));
            }
            for (keyword, inner) in map.iter_mut() {
                match keyword.as_str() {
                    "properties" | "$defs" | "patternProperties" => {
                        if let Value::Object(named) = inner {
                            named.values_mut().for_each(refuse_unknown_inputs);
                        }
                    }
                    "items" | "prefixItems" | "anyOf" | "oneOf" | "allOf" | "additionalProperties" => {
                        refuse_unknown_inputs(inner)
                    }
                    _ => {}
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(refuse_unknown_inputs),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Every problem of a spec, at most a handful, with the field of the first.
pub(super) fn check(manifest: &Manifest, validator: &jsonschema::Validator, spec: &Map<String, Value>) -> Result<()> {
    known_inputs(manifest, spec)?;
    if let Some((input, _)) = spec.iter().find(|(_, value)| has_key(value, REFERENCE)) {
        let message = format!(
            "No input has a field `{REFERENCE}`: Asgard itself keeps the values of sensitive inputs as secrets. Give the value."
        );
        return Err(Error::new(Code::InvalidSpec, message).at(format!("spec.{input}")));
    }
    fits(validator, spec, |_| true)
}

/// The same for a spec that was admitted before. The values of sensitive inputs are not in it: that they were given is seen, and what
/// they are is not.
pub(super) fn check_kept(manifest: &Manifest, validator: &jsonschema::Validator, spec: &Spec) -> Result<()> {
    let is_sensitive = |input: &str| manifest.sensitive_inputs.iter().any(|name| name == input);
    let mut given = spec.values.clone();
    for (input, reference) in &spec.secret_inputs {
        let value = if is_sensitive(input) { Value::String(String::new()) } else { reference.as_a_value() };
        given.insert(input.clone(), value);
    }
    known_inputs(manifest, &given)?;
    fits(validator, &given, |path| !is_sensitive(path.trim_start_matches('/').split('/').next().unwrap_or_default()))
}

fn known_inputs(manifest: &Manifest, spec: &Map<String, Value>) -> Result<()> {
    let names = manifest.input_names();
    let unknown: Vec<&str> =
        spec.keys().map(String::as_str).filter(|key| !names.contains(key)).take(MAX_PROBLEMS).collect();
    if let Some(first) = unknown.first() {
        let shown: Vec<String> =
            unknown.iter().map(|name| format!("`{}`", name.escape_debug().take(80).collect::<String>())).collect();
        let allowed = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let message = format!("Service {} has no input {}; its inputs are: {allowed}.", manifest.id, shown.join(", "));
        return Err(Error::new(Code::InvalidSpec, message)
            .at(format!("spec.{}", first.escape_debug().take(80).collect::<String>())));
    }
    Ok(())
}

/// Whether the schema takes a spec; problems at paths that do not `count` are passed over.
fn fits(validator: &jsonschema::Validator, spec: &Map<String, Value>, counts: impl Fn(&str) -> bool) -> Result<()> {
    let instance = Value::Object(spec.clone());
    if serde_json::to_vec(&instance).map_or(usize::MAX, |bytes| bytes.len()) > LARGEST_SPEC {
        return Err(Error::new(Code::InvalidSpec, "A spec holds at most 64 KiB.").at("spec"));
    }
    let mut field = None;
    let mut problems = Vec::new();
    let errors = validator.iter_errors(&instance).map(|error| (error.instance_path().to_string(), error));
    for (path, error) in errors.filter(|(path, _)| counts(path)).take(MAX_PROBLEMS) {
        let at = format!("spec{}", path.replace('/', "."));
        // The value itself stays out of the message: it may be a secret.
        problems.push(format!("{at}: {}", error.masked_with("the value")));
        field.get_or_insert(at);
    }
    match field {
        None => Ok(()),
        Some(field) => Err(Error::new(Code::InvalidSpec, format!("{}.", problems.join("; "))).at(field)),
    }
}

/// Whether an object with this key is anywhere in a value.
fn has_key(value: &Value, key: &str) -> bool {
    match value {
        Value::Object(fields) => fields.iter().any(|(name, field)| name == key || has_key(field, key)),
        Value::Array(items) => items.iter().any(|item| has_key(item, key)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// The spec with top-level defaults filled in.
pub(super) fn with_defaults(manifest: &Manifest, spec: &Map<String, Value>) -> Map<String, Value> {
    let mut full = spec.clone();
    let properties = manifest.inputs.get("properties").and_then(Value::as_object);
    for (name, property) in properties.into_iter().flatten() {
        if let Some(default) = property.get("default") {
            full.entry(name.clone()).or_insert_with(|| default.clone());
        }
    }
    full
}

#[cfg(test)]
mod tests {
    use super::super::Service;
    use crate::{
        domain::{resource::Spec, secret::SecretInput, service::tests::manifest},
        error::Code,
        kernel::SecretId,
    };
    use serde_json::json;
    use std::collections::BTreeMap;

    #[test]
    fn messages_name_the_input_and_what_is_allowed_but_not_the_value() {
        let mut thing = manifest("local", "auto");
        thing.inputs = json!({"type": "object", "required": ["size"], "properties": {
            "size": {"enum": ["s", "l"]}, "count": {"type": "integer", "minimum": 1, "default": 1}, "monthly_usd": {"type": "number"},
            "nested": {"type": "object", "properties": {"a": {"type": "string"}}}}});
        let service = Service::new(thing, BTreeMap::new()).unwrap();
        let error = |spec: serde_json::Value| service.check_spec(spec.as_object().unwrap()).unwrap_err();

        let unknown = error(json!({"size": "s", "colour": "hunter2"}));
        assert_eq!(unknown.field(), Some("spec.colour"));
        assert!(
            unknown.message().contains("its inputs are: size, count, monthly_usd, nested"),
            "{}",
            unknown.message()
        );
        let wrong = error(json!({"size": "s", "count": "hunter2"}));
        assert_eq!(wrong.field(), Some("spec.count"));
        assert!(!wrong.message().contains("hunter2"), "{}", wrong.message());
        assert_eq!(error(json!({})).field(), Some("spec"));
        assert_eq!(
            error(json!({"size": "s", "nested": {"b": 1}})).field(),
            Some("spec.nested"),
            "nested objects refuse unknown keys too"
        );
        assert!(service.check_spec(json!({"size": "l", "nested": {"a": "x"}}).as_object().unwrap()).is_ok());
    }

    #[test]
    fn nothing_that_a_user_sends_is_a_reference_to_a_secret() {
        let mut thing = manifest("local", "auto");
        thing.inputs = json!({"type": "object", "properties": {
            "monthly_usd": {"type": "number"}, "any": {}, "map": {"type": "object", "additionalProperties": true},
            "list": {"type": "array"}, "text": {"type": "string"}, "password": {"type": "string"}}});
        thing.sensitive_inputs = vec!["password".to_owned()];
        let service = Service::new(thing, BTreeMap::new()).unwrap();
        let reference = json!({"$secret": "sec_01arz3ndektsv4rrffq69g5fav", "version": 1});
        for (spec, field) in [
            (json!({"any": reference}), "spec.any"),
            (json!({"map": reference}), "spec.map"),
            (json!({"map": {"deep": [{"deeper": reference}]}}), "spec.map"),
            (json!({"list": ["x", reference]}), "spec.list"),
            (json!({"any": {"$secret": null}}), "spec.any"),
            (json!({"map": {"$secret": "x", "version": 1, "more": 2}}), "spec.map"),
            (json!({"password": reference}), "spec.password"),
        ] {
            let error = service.check_spec(spec.as_object().unwrap()).unwrap_err();
            assert_eq!((error.code(), error.field()), (Code::InvalidSpec, Some(field)), "{spec}");
        }
        let text = reference.to_string();
        for harmless in [json!({"text": text}), json!({"any": {"secret": 1}}), json!({"map": {"a": text}})] {
            assert!(service.check_spec(harmless.as_object().unwrap()).is_ok(), "{harmless}");
        }
    }

    #[test]
    fn a_kept_spec_has_its_sensitive_inputs_and_nobody_looks_at_their_values() {
        let mut thing = manifest("local", "auto");
        thing.inputs = json!({"type": "object", "required": ["password", "size"], "properties": {
            "monthly_usd": {"type": "number"}, "size": {"enum": ["s", "l"]}, "any": {},
            "password": {"type": "string", "minLength": 12}}});
        thing.sensitive_inputs = vec!["password".to_owned()];
        let service = Service::new(thing, BTreeMap::new()).unwrap();
        let kept = |values: serde_json::Value, inputs: &[&str]| {
            let mut spec = Spec::from(values.as_object().cloned().unwrap());
            let reference = SecretInput { secret: SecretId::from_digest(&[7; 32]), version: 1 };
            spec.secret_inputs.extend(inputs.iter().map(|input| ((*input).to_owned(), reference.clone())));
            service.check_kept_spec(&spec).map_err(|error| error.field().map(str::to_owned))
        };
        let field = |name: &str| Err(Some(name.to_owned()));
        assert_eq!(kept(json!({"size": "s"}), &["password"]), Ok(()));
        assert_eq!(kept(json!({"size": "s"}), &[]), field("spec"), "it has to be given by now");
        assert_eq!(kept(json!({"size": "m"}), &["password"]), field("spec.size"));
        assert_eq!(kept(json!({"size": "s"}), &["password", "gone"]), field("spec.gone"));
        // What is not sensitive was an object that only looked like a reference, and is judged as one.
        assert_eq!(kept(json!({"size": "s"}), &["password", "any"]), Ok(()));
        assert_eq!(kept(json!({}), &["password", "size"]), field("spec.size"));
    }

    #[test]
    fn defaults_are_filled_in() {
        let mut thing = manifest("local", "auto");
        thing.inputs["properties"]["count"] = json!({"type": "integer", "default": 1});
        let service = Service::new(thing, BTreeMap::new()).unwrap();
        assert_eq!(service.effective(json!({"size": "s"}).as_object().unwrap()).get("count"), Some(&json!(1)));
    }
}
