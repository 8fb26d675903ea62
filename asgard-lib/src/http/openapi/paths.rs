//! The paths of the document: one per route of every operation, and the few that are not operations.

use super::{
    examples::example,
    schemas::{Schemas, rename},
};
use crate::{
    app::{Operations, Route, core::operation::Method, operations::Entry},
    domain::access::Action,
    http::api::{Fields, PREFIX, Shape},
};
use serde_json::{Map, Value, json};

fn area(entry: &Entry) -> &'static str {
    entry.meta.name.split('.').next().unwrap_or("other")
}

/// The operations that have a route.
fn on_rest(operations: &Operations) -> impl Iterator<Item = &Entry> {
    operations.iter().filter(|entry| !entry.meta.routes.is_empty())
}

/// The areas in the order of the table.
pub(super) fn tags(operations: &Operations) -> Vec<Value> {
    let mut names: Vec<&str> = Vec::new();
    for name in on_rest(operations).map(area).chain(["system"]) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.into_iter().map(|name| json!({ "name": name })).collect()
}

/// Every path.
pub(super) fn paths(operations: &Operations, schemas: &mut Schemas) -> Map<String, Value> {
    let described: Vec<(&Entry, Map<String, Value>, Value)> =
        on_rest(operations).map(|entry| (entry, schemas.input(entry), schemas.output(entry))).collect();
    // Only now is every component known, and with them which names are taken.
    let renamed = schemas.renamed();
    let mut paths = Map::new();
    for (entry, input, output) in described {
        let mut input = Value::Object(input);
        rename(&mut input, &renamed);
        let Value::Object(input) = input else { continue };
        for (position, route) in entry.meta.routes.iter().enumerate() {
            let operation = operation(entry, position, route, &input, &output, schemas.resolved(&output));
            let path = paths.entry(format!("{PREFIX}{}", route.path)).or_insert_with(|| json!({}));
            if let Value::Object(methods) = path {
                methods.insert(route.method.name().to_ascii_lowercase(), operation);
            }
        }
    }
    paths.extend(system());
    paths
}

fn operation(
    entry: &Entry,
    position: usize,
    route: &Route,
    input: &Map<String, Value>,
    output: &Value,
    resolved: &Value,
) -> Value {
    let meta = &entry.meta;
    let suffix = if position == 0 { String::new() } else { format!("_{}", position + 1) };
    let in_path: Vec<&str> =
        route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
    let mut map = Map::new();
    map.insert("operationId".into(), format!("{}{suffix}", meta.name.replace('.', "_")).into());
    map.insert("tags".into(), json!([area(entry)]));
    map.insert("summary".into(), meta.title.into());
    map.insert("description".into(), meta.description.into());
    if !meta.tools.is_empty() {
        map.insert("x-mcp-tools".into(), json!(meta.tools));
    }
    let parameters = parameters(entry, route, input, &in_path);
    if !parameters.is_empty() {
        map.insert("parameters".into(), parameters.into());
    }
    if let Some(body) = body(entry, route, input, &in_path) {
        map.insert("requestBody".into(), body);
    }
    map.insert("responses".into(), responses(entry, route, input, output, resolved));
    if meta.action == Action::Open {
        map.insert("security".into(), json!([]));
    }
    Value::Object(map)
}

fn properties(input: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    input.get("properties").and_then(Value::as_object).into_iter().flatten()
}

fn is_required(input: &Map<String, Value>, name: &str) -> bool {
    input.get("required").and_then(Value::as_array).is_some_and(|required| required.iter().any(|one| one == name))
}

fn parameters(entry: &Entry, route: &Route, input: &Map<String, Value>, in_path: &[&str]) -> Vec<Value> {
    let fields = Fields::of(&Value::Object(input.clone()));
    let mut list = Vec::new();
    for name in in_path {
        let schema = properties(input).find(|(known, _)| known == name).map(|(_, schema)| not_null(schema));
        list.push(parameter(name, "path", true, schema.unwrap_or_else(|| json!({ "type": "string" }))));
    }
    if matches!(route.method, Method::Get | Method::Delete) {
        for (name, schema) in properties(input) {
            if !in_path.contains(&name.as_str()) && fields.shape(name) != Some(Shape::Nested) {
                list.push(parameter(name, "query", is_required(input, name), not_null(schema)));
            }
        }
    }
    if entry.meta.creates {
        list.push(json!({ "$ref": "#/components/parameters/IdempotencyKey" }));
    }
    if properties(input).any(|(name, _)| name == "version") {
        list.push(json!({ "$ref": "#/components/parameters/IfMatch" }));
    }
    list
}

fn parameter(name: &str, place: &str, required: bool, mut schema: Value) -> Value {
    let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
    let mut map = Map::new();
    map.insert("name".into(), name.into());
    map.insert("in".into(), place.into());
    if required {
        map.insert("required".into(), true.into());
    }
    if let Some(description) = description {
        map.insert("description".into(), description);
    }
    map.insert("schema".into(), schema);
    Value::Object(map)
}

/// The schema of a value that is there: text cannot be null.
fn not_null(schema: &Value) -> Value {
    let mut schema = schema.clone();
    let Some(map) = schema.as_object_mut() else { return schema };
    if let Some(Value::Array(types)) = map.get_mut("type") {
        types.retain(|one| one != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            map.insert("type".into(), one);
        }
    }
    if map.get("default") == Some(&Value::Null) {
        map.remove("default");
    }
    for name in ["anyOf", "oneOf"] {
        if let Some(Value::Array(options)) = map.get_mut(name) {
            options.retain(|option| option.get("type") != Some(&json!("null")));
        }
    }
    schema
}

fn body(entry: &Entry, route: &Route, input: &Map<String, Value>, in_path: &[&str]) -> Option<Value> {
    if !matches!(route.method, Method::Post | Method::Patch) {
        return None;
    }
    let mut schema = input.clone();
    for name in in_path {
        if let Some(Value::Object(properties)) = schema.get_mut("properties") {
            properties.remove(*name);
        }
        if let Some(Value::Array(required)) = schema.get_mut("required") {
            required.retain(|one| one != name);
        }
    }
    let required = schema.get("required").and_then(Value::as_array).is_some_and(|required| !required.is_empty());
    if schema.get("properties").and_then(Value::as_object).is_none_or(Map::is_empty) {
        return None;
    }
    if !required {
        schema.remove("required");
    }
    let mut content = json!({ "schema": schema });
    if let (Some(mut example), Some(content)) = (example(entry.meta.name), content.as_object_mut()) {
        if let Some(example) = example.as_object_mut() {
            in_path.iter().for_each(|name| drop(example.remove(*name)));
        }
        content.insert("example".into(), example);
    }
    Some(json!({ "required": required, "content": { "application/json": content } }))
}

fn responses(entry: &Entry, route: &Route, input: &Map<String, Value>, output: &Value, resolved: &Value) -> Value {
    let header = |name: &str| json!({ "$ref": format!("#/components/headers/{name}") });
    let mut headers = serde_json::Map::from_iter([("x-asgard-trace-id".to_owned(), header("Trace"))]);
    if resolved.pointer("/properties/version").is_some() {
        headers.insert("ETag".into(), header("ETag"));
    }
    if matches!(route.status, 201 | 202) {
        headers.insert("Location".into(), header("Location"));
    }
    let description = match route.status {
        201 => "Made.",
        202 => "Accepted; it is being worked on.",
        _ => "Done.",
    };
    let mut map = Map::new();
    map.insert(
        route.status.to_string(),
        json!({
            "description": description,
            "headers": headers,
            "content": { "application/json": { "schema": output } },
        }),
    );
    for (status, meaning) in refusals(entry, input) {
        map.insert(status.into(), json!({ "$ref": format!("#/components/responses/{meaning}") }));
    }
    Value::Object(map)
}

/// The statuses that an operation may refuse with. There is no `default`: a status that is not named is a mistake.
fn refusals(entry: &Entry, input: &Map<String, Value>) -> Vec<(&'static str, &'static str)> {
    let meta = &entry.meta;
    let open = meta.action == Action::Open;
    let signs_in = meta.name == "auth.login";
    let names_something =
        properties(input).any(|(name, _)| name.ends_with("_id") || name == "service" || name == "name");
    let versioned = properties(input).any(|(name, _)| name == "version");
    let writes = !meta.hints.read_only && !open;
    let checks_passwords = properties(input).any(|(name, _)| name.ends_with("password"));
    [
        ("400", true, "Problem"),
        ("401", !open || signs_in, "Problem"),
        ("403", !open || signs_in, "Problem"),
        ("404", !open && names_something, "Problem"),
        ("409", writes, "Problem"),
        ("412", versioned, "Problem"),
        ("413", true, "Problem"),
        ("415", true, "Problem"),
        ("429", meta.creates || checks_passwords, "Later"),
        ("5XX", true, "Later"),
    ]
    .into_iter()
    .filter_map(|(status, possible, meaning)| possible.then_some((status, meaning)))
    .collect()
}

/// What is not an operation of the table.
fn system() -> Map<String, Value> {
    let plain = |id: &str, summary: &str, description: &str, content: &str| {
        json!({ "get": {
            "operationId": id, "tags": ["system"], "summary": summary, "description": description, "security": [],
            "responses": {
                "200": { "description": "Done.", "content": { content: { "schema": { "type": if content == "application/json" { "object" } else { "string" } } } } },
                "401": { "$ref": "#/components/responses/Problem" },
                "403": { "$ref": "#/components/responses/Problem" },
                "5XX": { "$ref": "#/components/responses/Later" },
            },
        } })
    };
    let text = "text/plain";
    [
        ("/healthz", plain("healthz", "Alive", "`ok` while the process answers. Touches nothing else.", text)),
        ("/readyz", plain("readyz", "Ready", "`ready` when requests can be served, else 503.", text)),
        (
            "/metrics",
            plain("metrics", "Metrics", "For Prometheus. Open on a loopback listener or when configured so, else for the bearer of the metrics token.", text),
        ),
        ("/api/openapi.json", plain("openapi", "This document", "What you are reading.", "application/json")),
    ]
    .into_iter()
    .map(|(path, item)| (path.to_owned(), item))
    .collect()
}
