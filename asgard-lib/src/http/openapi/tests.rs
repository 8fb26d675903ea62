use super::examples::example;
use crate::{app::operations::OPERATIONS, kernel::BasePath};
use serde_json::{Map, Value};
use std::{collections::BTreeSet, path::Path, sync::LazyLock};

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| super::document(&OPERATIONS, &BasePath::root()));

const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

fn operations() -> Vec<(&'static str, &'static str, &'static Value)> {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    });
    all.collect()
}

/// Visits every object of the document.
fn walk(value: &Value, visit: &mut dyn FnMut(&Map<String, Value>)) {
    match value {
        Value::Object(map) => {
            visit(map);
            map.values().for_each(|value| walk(value, visit));
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, visit)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A schema together with the components that it refers to, as a schema of its own.
fn self_contained(schema: &Value) -> Value {
    let mut schema = schema.clone();
    schema["components"] = DOCUMENT["components"].clone();
    schema
}

#[test]
fn it_keeps_the_rules_of_openapi_3_1() {
    assert_eq!(DOCUMENT["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations() {
        let name = format!("{method} {path}");
        assert!(path.starts_with('/') && METHODS.contains(&method), "{name}");
        assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{name}: its operationId is used twice");
        let templates: BTreeSet<&str> =
            path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        let mut seen = BTreeSet::new();
        let mut declared = BTreeSet::new();
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let parameter = parameter["$ref"].as_str().map_or(parameter, |path| DOCUMENT.pointer(&path[1..]).unwrap());
            let (place, field) = (parameter["in"].as_str().unwrap(), parameter["name"].as_str().unwrap());
            assert!(
                ["path", "query", "header", "cookie"].contains(&place) && seen.insert((place, field)),
                "{name} {field}"
            );
            if place == "path" {
                assert_eq!(parameter["required"], true, "{name} {field}");
                declared.insert(field);
            }
            jsonschema::options().build(&self_contained(&parameter["schema"])).unwrap();
        }
        assert_eq!(templates, declared, "{name}");
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.len() > 1, "{name}");
        for (status, response) in responses {
            assert!(status == "5XX" || status.parse::<u16>().is_ok_and(|s| (100..600).contains(&s)), "{name} {status}");
            assert!(response.get("$ref").is_some() || response["description"].is_string(), "{name} {status}");
        }
        let tag = &operation["tags"][0];
        assert!(DOCUMENT["tags"].as_array().unwrap().iter().any(|known| known["name"] == *tag), "{name}");
    }
    let components = DOCUMENT["components"].as_object().unwrap();
    let allowed = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    assert!(components.values().flat_map(|group| group.as_object().unwrap().keys()).all(|name| allowed(name)));
}

#[test]
fn every_reference_leads_somewhere_and_every_component_is_a_schema_that_is_used() {
    let mut used = BTreeSet::new();
    walk(&DOCUMENT, &mut |map| {
        if let Some(Value::String(path)) = map.get("$ref") {
            assert!(DOCUMENT.pointer(path.strip_prefix('#').unwrap()).is_some(), "{path} leads nowhere");
            used.insert(path.clone());
        }
    });
    for (name, schema) in DOCUMENT["components"]["schemas"].as_object().unwrap() {
        assert!(used.contains(&format!("#/components/schemas/{name}")), "{name} is not used");
        jsonschema::options().build(&self_contained(schema)).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn every_route_is_described_and_every_example_fits() {
    let mut examples = 0;
    for entry in OPERATIONS.iter() {
        for route in entry.meta.routes {
            let operation = &DOCUMENT["paths"][format!("/api{}", route.path)][route.method.name().to_lowercase()];
            assert!(operation["responses"][route.status.to_string()].is_object(), "{}", route.path);
            let content = &operation["requestBody"]["content"]["application/json"];
            if let Some(example) = content.get("example") {
                let checker = jsonschema::options().build(&self_contained(&content["schema"])).unwrap();
                let wrong: Vec<String> = checker.iter_errors(example).map(|error| error.to_string()).collect();
                assert!(wrong.is_empty(), "{}: {wrong:?}", route.path);
                examples += 1;
            }
        }
        if let Some(example) = example(entry.meta.name) {
            let checker = jsonschema::options().build(&entry.input_schema()).unwrap();
            assert!(example.is_object() && checker.iter_errors(&example).all(|e| e.to_string().contains("required")));
        }
    }
    assert!(examples > 5, "only {examples} examples were checked");
}

#[test]
fn it_is_the_same_every_time_and_its_paths_are_known() {
    assert_eq!(super::document(&OPERATIONS, &BasePath::root()), *DOCUMENT);
    let lines = operations().into_iter().map(|(path, method, operation)| {
        format!("{} {path} {}", method.to_uppercase(), operation["operationId"].as_str().unwrap())
    });
    insta::assert_snapshot!(lines.collect::<Vec<_>>().join("\n"));
}

/// The text files of the documentation, with their paths.
fn pages() -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') && !["target", "node_modules", "artefacts"].contains(&&*name) {
                walk(&path, found);
            } else if name.ends_with(".md") && name != "CHANGELOG.md" {
                found.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let mut found = Vec::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join(".."), &mut found);
    found
}

/// Whether a path as documentation writes it, with ids, variables or names in braces in it, is one of the document's.
fn is_a_route(written: &str) -> bool {
    let parameter = |part: &str| part.starts_with(['{', '$', '<']) || part.contains("_id") || part == "...";
    DOCUMENT["paths"].as_object().unwrap().keys().any(|path| {
        let (ours, theirs): (Vec<&str>, Vec<&str>) = (path.split('/').collect(), written.split('/').collect());
        let fits = |(ours, theirs): (&&str, &&str)| {
            ours == theirs || ours.starts_with('{') && (parameter(theirs) || theirs.contains(['-', '_']))
        };
        ours.len() == theirs.len() && ours.iter().zip(&theirs).all(fits)
    })
}

/// Every route that a page of the documentation names is there.
#[test]
fn every_route_that_the_documentation_names_exists() {
    let mut named = 0;
    let mut wrong = Vec::new();
    for (page, text) in pages() {
        for (start, _) in text.match_indices("/api/") {
            let before = text[..start].chars().next_back().unwrap_or(' ');
            let rest = &text[start..];
            let end =
                rest.find(|c: char| !(c.is_ascii_alphanumeric() || "/_-{}$<>.".contains(c))).unwrap_or(rest.len());
            let written = rest[..end].trim_end_matches(['.', '/']);
            // Part of a longer path of files, or the beginning that all have.
            if before.is_ascii_alphanumeric() && !text[..start].ends_with("governance") || written == "/api" {
                continue;
            }
            named += 1;
            if !is_a_route(written)
                && !DOCUMENT["paths"].as_object().unwrap().keys().any(|path| path.starts_with(&format!("{written}/")))
            {
                wrong.push(format!("{page}: {written}"));
            }
        }
    }
    assert!(named > 20, "only {named} routes were found");
    assert!(!is_a_route("/api/projects/{id}/resources/{rid}/runs/{run}/log"), "this one never existed");
    assert!(wrong.is_empty(), "the documentation names routes that do not exist:\n{}", wrong.join("\n"));
}
