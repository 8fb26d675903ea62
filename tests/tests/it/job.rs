//! Steps that many tests take.

use asgard_tests::{Cast, Client, eventually};
use serde_json::{Value, json};

/// Asks for a resource over `/mcp` and returns what the tool answered.
pub fn ask(key: &Client, service: &str, name: &str, spec: &Value) -> Value {
    key.tool("request_resource", &json!({"service": service, "name": name, "spec": spec})).ok()
}

/// The id of the request in an answer.
pub fn request_id(asked: &Value) -> String {
    asked["request"]["request_id"].as_str().unwrap_or_else(|| panic!("no request in {asked:#}")).to_owned()
}

/// Asks, waits, and expects that it is carried out without a person.
pub fn provide(key: &Client, reader: &Client, service: &str, name: &str, spec: &Value) -> Value {
    let asked = ask(key, service, name, spec);
    fulfilled(reader, &request_id(&asked))
}

/// Waits until a request is over, and expects that it worked.
pub fn fulfilled(reader: &Client, request: &str) -> Value {
    let over = reader.settled(request);
    assert_eq!(over["status"], "fulfilled", "{over:#}");
    over
}

/// Waits until a request is over, approving it on the way if it waits for a person: taking away or replacing what was
/// half-made does.
pub fn pushed_through(cast: &Cast, request: &str) -> Value {
    let settled = cast.owner.session.settled(request);
    if settled["status"] != "pending" {
        return settled;
    }
    assert!(text(&settled["verdict"], "reason").contains("destroy or replace"), "{settled:#}");
    cast.manager.session.post(&format!("/api/requests/{request}/approve"), &json!({})).ok();
    cast.owner.session.settled(request)
}

/// Everything of a list, page after page.
pub fn all(reader: &Client, path: &str) -> Vec<Value> {
    let mut items = Vec::new();
    let mut cursor = String::new();
    let join = if path.contains('?') { '&' } else { '?' };
    loop {
        let page = reader.get(&format!("{path}{join}limit=100{cursor}")).ok();
        items.extend(page["items"].as_array().expect("items").iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
}

/// The only resource of that name in a project.
pub fn the_resource(reader: &Client, project: &str, name: &str) -> Value {
    let found: Vec<Value> = all(reader, &format!("/api/projects/{project}/resources"))
        .into_iter()
        .filter(|resource| resource["name"] == name)
        .collect();
    assert_eq!(found.len(), 1, "exactly one resource {name}: {found:#?}");
    found[0].clone()
}

/// A resource's runs, oldest first.
pub fn runs(reader: &Client, resource: &Value) -> Vec<Value> {
    let (project, id) = (text(resource, "project_id"), text(resource, "resource_id"));
    let mut runs = all(reader, &format!("/api/projects/{project}/resources/{id}/runs"));
    runs.reverse();
    runs
}

/// What runs did and how they ended, for example `plan succeeded`.
pub fn story(runs: &[Value]) -> Vec<String> {
    runs.iter().map(|run| format!("{} {}", text(run, "op"), text(run, "status"))).collect()
}

/// The lines of a run's log.
pub fn log(reader: &Client, run: &Value) -> Vec<Value> {
    let id = text(run, "run_id");
    let mut lines = Vec::new();
    let mut after = String::new();
    loop {
        let page = reader.get(&format!("/api/runs/{id}/log?after={after}")).ok();
        lines.extend(page["lines"].as_array().expect("lines").iter().cloned());
        let next = text(&page, "next").to_owned();
        if page["complete"] == true || next == after {
            return lines;
        }
        after = next;
    }
}

/// A text field.
pub fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no text `{field}` in {value:#}"))
}

/// Waits until a run of that kind is being carried out.
pub fn running(reader: &Client, resource: &Value, op: &str) -> Value {
    eventually(&format!("a {op} is running"), || {
        runs(reader, resource).into_iter().find(|run| run["op"] == op && run["status"] == "running")
    })
}

/// What a project's resources cost a month, as its state says.
pub fn committed(reader: &Client, project: &str) -> f64 {
    let state = reader.get(&format!("/api/projects/{project}/state")).ok();
    state["committed_monthly_usd"].as_f64().unwrap_or_else(|| panic!("no money in {state:#}"))
}
