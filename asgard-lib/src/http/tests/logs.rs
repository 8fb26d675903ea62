//! Nothing secret gets into the log of a host that keeps everything: every operation runs over REST and MCP, and people use
//! forms, while a subscriber keeps all that any crate in the process says, at every level.

use crate::{
    app::{
        operations::{OPERATIONS, named},
        people::{Vouched, vouched_for},
    },
    http::testkit::{Client, PASSWORD, TestApp},
    kernel::{Role, testkit::KeepsAll},
};
use axum::body::Body;
use http::Method;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What must never be said, by what it is.
#[derive(Default)]
struct Secrets(BTreeMap<String, String>);

impl Secrets {
    fn add(&mut self, what: &str, value: impl Into<String>) -> String {
        let value = value.into();
        assert!(value.len() >= 12, "{what} is too short to be looked for: {value}");
        let what = format!("{what} {}", self.0.len() + 1);
        self.0.insert(what, value.clone());
        value
    }

    /// Where one of them is in what was said, as it is or as libraries print bytes.
    fn found(&self, said: &str) -> Vec<String> {
        let mut found = Vec::new();
        for (what, value) in &self.0 {
            let bytes = value.as_bytes();
            let numbers = format!("{bytes:?}").trim_matches(['[', ']']).to_owned();
            let escaped = bytes.escape_ascii().to_string();
            for form in [
                value.clone(),
                escaped,
                numbers,
                data_encoding::BASE64.encode(bytes),
                data_encoding::HEXLOWER.encode(bytes),
            ] {
                if let Some(line) = said.lines().find(|line| line.contains(&form)) {
                    let start: String = line.chars().take(120).collect();
                    found.push(format!("the {what} is in: {start}..."));
                }
            }
        }
        found
    }
}

/// Who calls, and which operations have answered on which surface.
struct Walk {
    app: TestApp,
    secrets: Secrets,
    done: BTreeSet<&'static str>,
}

impl Walk {
    /// Runs an operation over REST; the answer.
    async fn rest(&mut self, client: &Client, name: &str, input: Value) -> Value {
        let entry = named(name).unwrap_or_else(|| panic!("there is no operation {name}"));
        let route = entry.meta.routes.first().unwrap_or_else(|| panic!("{name} has no route"));
        let Value::Object(mut fields) = input else { panic!("{name}: {input}") };
        let mut path = "/api".to_owned();
        for part in route.path.split('/').skip(1) {
            path.push('/');
            match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
                Some(field) => {
                    let value = fields.remove(field).unwrap_or_else(|| self.app.project.clone().into());
                    path.push_str(value.as_str().unwrap());
                }
                None => path.push_str(part),
            }
        }
        let method: Method = route.method.name().parse().unwrap();
        let reads = matches!(method, Method::GET | Method::DELETE);
        if reads && !fields.is_empty() {
            let pairs: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect();
            path = format!("{path}?{}", pairs.join("&"));
        }
        let body = if reads { Body::empty() } else { Body::from(Value::Object(fields).to_string()) };
        let reply = client.send(method, &path, &[("content-type", "application/json")], body).await;
        if reply.status.is_success() {
            self.done.insert(entry.meta.name);
        }
        serde_json::from_slice(&reply.body).unwrap_or_default()
    }

    /// Runs an operation as a tool, if it is one; the answer.
    async fn tool(&mut self, client: &Client, name: &str, input: Value) -> Value {
        let entry = named(name).unwrap();
        let Some(tool) = entry.meta.tools.first() else { return Value::Null };
        client
            .tool(tool, input)
            .await
            .inspect(|_| {
                self.done.insert(entry.meta.name);
            })
            .unwrap_or_else(|error| error)
    }

    async fn settle(&self) {
        self.app.settle().await;
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer} in {value}")).to_owned()
}

const SERVICE: &str = "
id: vault-box
title: Vault box
description: Takes a secret and gives one.
cloud: local
connector: terraform
module: .
approval: auto
retry: safe
timeout_secs: 600
grace_secs: 30
cost: {monthly_usd: 0}
inputs:
  type: object
  properties:
    seed: {type: string, description: A secret.}
    human: {type: string, description: Nothing.}
  required: [seed]
sensitive_inputs: [seed]
outputs:
  id: {description: Names it., example: box}
  token: {description: A secret., secret: true}
";

fn service_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let module = folder.path().join("local/vault-box");
    std::fs::create_dir_all(&module).unwrap();
    std::fs::write(module.join("service.yaml"), SERVICE).unwrap();
    std::fs::write(module.join("main.tf"), "variable \"seed\" {\n  type      = string\n  sensitive = true\n}\n")
        .unwrap();
    folder
}

#[tokio::test]
async fn no_secret_reaches_a_log_that_keeps_everything() {
    let log = KeepsAll::default();
    // Of one subscriber alone, `tracing` asks the thread on which a line is met first whether to keep it, for all threads and
    // for ever; that may be another test's, which keeps nothing. Of two it asks both.
    let _second = tracing::Dispatch::new(KeepsAll::default());
    let _keeping = tracing::subscriber::set_default(log.clone());
    let folder = service_folder();
    let app = TestApp::tuned(&[("ASGARD_BIND", "127.0.0.1:8080")], |config| {
        config.provisioning.services_dir = Some(folder.path().to_owned());
    })
    .await;
    let mut secrets = Secrets::default();
    secrets.add("password", PASSWORD);
    for client in [&app.admin, &app.owner, &app.manager, &app.stranger, &app.finance, &app.pat, &app.key] {
        secrets.add("credential", client.credential.clone().unwrap());
    }
    let mut walk = Walk { app, secrets, done: BTreeSet::new() };
    people(&mut walk).await;
    projects(&mut walk).await;
    resources(&mut walk).await;
    pages(&mut walk).await;
    refusals(&mut walk).await;
    let missing: Vec<&str> =
        OPERATIONS.iter().map(|entry| entry.meta.name).filter(|name| !walk.done.contains(name)).collect();
    assert!(missing.is_empty(), "these operations were not run, or did nothing but fail: {missing:?}");

    let said = log.said();
    for target in ["rmcp", "asgard_lib"] {
        assert!(
            said.contains(&format!(" {target}")),
            "nothing of {target} was kept, so nothing is shown:\n{said:.2000}"
        );
    }
    assert!(said.contains("get_secret"), "the protocol library says which tool was called");
    let found = walk.secrets.found(&said);
    assert!(found.is_empty(), "\n{}", found.join("\n"));
}

async fn people(walk: &mut Walk) {
    let (admin, anonymous) = (walk.app.admin.clone(), walk.app.anonymous.clone());
    walk.rest(&anonymous, "auth.config", json!({})).await;
    let first = walk.secrets.add("password", "first words of secrecy");
    let second = walk.secrets.add("password", "second words of secrecy");
    let user = json!({"username": "nia", "email": "nia@corp.example", "password": first, "role": "member"});
    let user = text(&walk.rest(&admin, "users.create", user).await, "/id");
    let login = walk.rest(&anonymous, "auth.login", json!({"username": "nia", "password": first})).await;
    let nia = anonymous.with(&walk.secrets.add("session", text(&login, "/token")));
    walk.rest(&nia, "auth.me", json!({})).await;
    let sessions = walk.rest(&nia, "sessions.list", json!({})).await;
    let change = json!({"current_password": first, "new_password": second});
    walk.rest(&nia, "auth.change_password", change).await;
    let login = walk.rest(&anonymous, "auth.login", json!({"username": "nia", "password": second})).await;
    let nia = anonymous.with(&walk.secrets.add("session", text(&login, "/token")));
    let other = walk.rest(&anonymous, "auth.login", json!({"username": "nia", "password": second})).await;
    walk.secrets.add("session", text(&other, "/token"));
    drop(sessions);
    let sessions = walk.rest(&nia, "sessions.list", json!({})).await;
    let theirs = sessions["items"].as_array().unwrap().iter().find(|one| one["current"] == false).unwrap();
    walk.rest(&nia, "sessions.revoke", json!({"session_id": theirs["id"]})).await;
    let token = walk.rest(&nia, "tokens.create", json!({"name": "cli"})).await;
    walk.secrets.add("token", text(&token, "/token"));
    walk.rest(&nia, "tokens.list", json!({})).await;
    walk.rest(&nia, "tokens.revoke", json!({"token_id": text(&token, "/id")})).await;
    walk.rest(&nia, "auth.logout", json!({})).await;
    for name in ["users.get", "users.sessions", "users.tokens"] {
        walk.rest(&admin, name, json!({"user_id": user})).await;
    }
    walk.rest(&admin, "users.revoke_credential", json!({"user_id": user, "credential_id": text(&token, "/id")})).await;
    walk.rest(&admin, "users.sign_out", json!({"user_id": user})).await;
    walk.rest(&admin, "users.list", json!({})).await;
    let root = Vouched::new("boss@corp.example".parse().unwrap(), Role::Admin);
    let account = vouched_for(&walk.app.asgard, &root).await.unwrap().user().unwrap().to_string();
    let root = root.known_as("https://idp.example".parse().unwrap(), "00u1".parse().unwrap());
    vouched_for(&walk.app.asgard, &root).await.unwrap_err();
    let identity = json!({"user_id": account, "issuer": "https://idp.example", "subject": "00u1"});
    walk.rest(&admin, "users.confirm_identity", identity).await;
    walk.rest(&admin, "users.set_role", json!({"user_id": user, "role": "finance"})).await;
    walk.rest(&admin, "users.set_active", json!({"user_id": user, "active": false})).await;
}

/// The same person with a token, as `/mcp` takes one.
async fn by_token(walk: &mut Walk, client: &Client) -> Client {
    let token = walk.rest(client, "tokens.create", json!({"name": "for tools"})).await;
    client.with(&walk.secrets.add("token", text(&token, "/token")))
}

async fn projects(walk: &mut Walk) {
    let (admin, owner, finance) = (walk.app.admin.clone(), walk.app.owner.clone(), walk.app.finance.clone());
    let agent = by_token(walk, &owner).await;
    let project = |name: &str| json!({"name": name, "owner_email": "olga@corp.example", "manager_email": "max@corp.example", "group": "platform"});
    let made = text(&walk.rest(&owner, "projects.register", project("By REST")).await, "/project_id");
    walk.tool(&agent, "projects.register", project("By a tool")).await;
    let of = || json!({"project_id": made});
    for name in
        ["projects.get", "projects.state", "projects.requirements", "projects.list", "groups.list", "services.list"]
    {
        let input = if matches!(name, "projects.get" | "projects.state") { of() } else { json!({}) };
        walk.rest(&owner, name, input.clone()).await;
        walk.tool(&agent, name, input).await;
    }
    let change = json!({"project_id": made, "description": "Changed"});
    walk.rest(&owner, "projects.update", change.clone()).await;
    walk.tool(&agent, "projects.update", change).await;
    let key = walk.rest(&owner, "keys.mint", json!({"project_id": made, "name": "by REST"})).await;
    walk.secrets.add("key", text(&key, "/key"));
    let minted = walk.tool(&agent, "keys.mint", json!({"project_id": made, "name": "by a tool"})).await;
    if let Some(key) = minted["key"].as_str() {
        walk.secrets.add("key", key);
    }
    walk.rest(&owner, "keys.list", of()).await;
    walk.tool(&agent, "keys.list", of()).await;
    walk.rest(&owner, "keys.revoke", json!({"project_id": made, "key_id": key["id"]})).await;
    let others = walk.rest(&admin, "keys.mint", json!({"project_id": made, "name": "by an admin"})).await;
    walk.secrets.add("key", text(&others, "/key"));
    walk.rest(&owner, "keys.flagged", json!({})).await;
    walk.tool(&agent, "keys.flagged", json!({})).await;
    walk.rest(&owner, "keys.adopt", json!({"project_id": made, "key_id": others["id"]})).await;
    walk.rest(&admin, "projects.kill", json!({"project_id": made, "reason": "To see."})).await;
    walk.rest(&admin, "projects.unkill", of()).await;
    walk.rest(&admin, "projects.decommission", of()).await;
    walk.rest(&admin, "requests.overview", json!({})).await;
    walk.rest(&finance, "audit.list", json!({})).await;
    walk.rest(&finance, "audit.verify", json!({})).await;
    walk.rest(&finance, "audit.anchors", json!({})).await;
}

async fn resources(walk: &mut Walk) {
    let (owner, manager, key) = (walk.app.owner.clone(), walk.app.manager.clone(), walk.app.key.clone());
    let project = walk.app.project.clone();
    walk.rest(&owner, "services.get", json!({"service": "vault-box"})).await;
    walk.tool(&key, "services.get", json!({"service": "vault-box"})).await;
    let seed = walk.secrets.add("sensitive input", "seed-of-the-rest-door");
    let ask = json!({"project_id": project, "service": "vault-box", "name": "one", "spec": {"seed": seed}});
    walk.rest(&owner, "requests.create", ask).await;
    let seed = walk.secrets.add("sensitive input", "seed-of-the-tool-door");
    let asked = walk
        .tool(&key, "requests.create", json!({"service": "vault-box", "name": "two", "spec": {"seed": seed}}))
        .await;
    let resource = text(&asked, "/resource/resource_id");
    walk.settle().await;
    let secret = "vault-box.two.token";
    let revealed = walk.tool(&key, "secrets.reveal", json!({"name": secret})).await;
    walk.secrets.add("revealed value", text(&revealed, "/value"));
    let owners = by_token(walk, &owner).await;
    let revealed =
        walk.tool(&owners, "secrets.reveal", json!({"project_id": project, "name": "vault-box.one.token"})).await;
    walk.secrets.add("revealed value", text(&revealed, "/value"));
    let request = text(&asked, "/request/request_id");
    let of = |more: Value| {
        let mut fields = Map::from_iter([("project_id".to_owned(), project.clone().into())]);
        fields.extend(more.as_object().cloned().unwrap());
        Value::Object(fields)
    };
    let runs = walk.rest(&owner, "runs.list", of(json!({"resource_id": resource}))).await;
    let run = text(&runs, "/items/0/run_id");
    for (name, input) in [
        ("secrets.list", of(json!({}))),
        ("requests.get", json!({"request_id": request})),
        ("requests.explain", json!({"request_id": request})),
        ("requests.list", of(json!({}))),
        ("requests.pending", json!({})),
        ("resources.get", of(json!({"resource_id": resource}))),
        ("resources.list", of(json!({}))),
        ("runs.list", of(json!({"resource_id": resource}))),
        ("runs.get", json!({"run_id": run})),
        ("runs.log", json!({"run_id": run})),
    ] {
        walk.rest(&owner, name, input.clone()).await;
        walk.tool(&owners, name, input).await;
    }
    walk.rest(&owner, "resources.refresh", of(json!({"resource_id": resource}))).await;
    walk.settle().await;
    walk.rest(&owner, "secrets.rotate", of(json!({"name": secret}))).await;
    walk.settle().await;
    let again = walk.tool(&key, "secrets.reveal", json!({"name": secret})).await;
    walk.secrets.add("revealed value", text(&again, "/value"));
    for (name, verb) in
        [("approved", "requests.approve"), ("approved", "requests.reject"), ("taken-back", "requests.cancel")]
    {
        // The second changes what the first made, so that there is something to try again.
        let spec = json!({"approval": "human", "seconds": verb.len()});
        let asked = walk
            .rest(&owner, "requests.create", of(json!({"service": "local-demo", "name": name, "spec": spec})))
            .await;
        let request = text(&asked, "/request/request_id");
        walk.settle().await;
        let who = if verb == "requests.cancel" { owner.clone() } else { manager.clone() };
        walk.rest(&who, verb, json!({"request_id": request})).await;
        walk.settle().await;
        if verb == "requests.reject" {
            let resource = text(&asked, "/resource/resource_id");
            walk.rest(&owner, "resources.retry", of(json!({"resource_id": resource}))).await;
        }
    }
    walk.rest(&owner, "resources.deprovision", of(json!({"resource_id": resource}))).await;
    walk.settle().await;
}

/// A person at the dashboard: the password and a new key go through forms.
async fn pages(walk: &mut Walk) {
    let form = |path: &str, cookie: Option<&str>, body: String| {
        let client = walk.app.anonymous.clone();
        let (path, cookie) = (path.to_owned(), cookie.map(|cookie| format!("asgard_session={cookie}")));
        async move {
            let mut headers = vec![
                ("content-type", "application/x-www-form-urlencoded"),
                ("origin", "http://localhost:8080"),
                ("accept", "text/html"),
            ];
            headers.extend(cookie.as_deref().map(|cookie| ("cookie", cookie)));
            client.send(Method::POST, &path, &headers, Body::from(body)).await
        }
    };
    let signed_in = form("/sign-in", None, format!("username=olga&password={}", PASSWORD.replace(' ', "+"))).await;
    let cookie = signed_in.header("set-cookie").split(['=', ';']).nth(1).unwrap().to_owned();
    let minted =
        form(&format!("/projects/{}/keys", walk.app.project), Some(&cookie), "name=by+hand&once=1".to_owned()).await;
    let page = minted.text();
    let key = page.split("id=\"new-key\" tabindex=\"0\">").nth(1).and_then(|rest| rest.split('<').next());
    let key = key.unwrap_or_else(|| panic!("{page}")).to_owned();
    let seed = "seed-of-the-form-door";
    let asked = format!("/projects/{}/ask/vault-box", walk.app.project);
    let asked = form(&asked, Some(&cookie), format!("name=three&once=2&spec.seed={seed}")).await;
    assert_eq!(asked.status, 303, "{}", asked.text());
    form("/sign-in", None, "username=olga&password=wrong-but-still-private".to_owned()).await;
    form("/sign-in", None, "username=%zz&password=half-a-form-of-words".to_owned()).await;
    for (what, value) in [
        ("session", cookie.as_str()),
        ("key", key.as_str()),
        ("sensitive input", seed),
        ("password", "wrong-but-still-private"),
        ("password", "half-a-form-of-words"),
    ] {
        walk.secrets.add(what, value);
    }
    walk.settle().await;
}

/// What is refused holds values as well.
async fn refusals(walk: &mut Walk) {
    let (anonymous, key) = (walk.app.anonymous.clone(), walk.app.key.clone());
    let wrong = walk.secrets.add("password", "no such password here");
    walk.rest(&anonymous, "auth.login", json!({"username": "olga", "password": wrong})).await;
    walk.rest(&anonymous, "auth.login", json!({"username": "olga", "password": {"in": wrong}})).await;
    walk.rest(&anonymous, "auth.login", json!({"username": "olga", "passwort": wrong})).await;
    let forged = walk.secrets.add("credential", "asg_pat_this_one_was_never_made_by_anybody_at_all_00");
    anonymous.with(&forged).get("/api/projects").await;
    anonymous.with(&forged).rpc("tools/list", json!({})).await;
    let value = walk.secrets.add("argument", "value-in-a-wrong-place");
    for (method, params) in [
        (
            "tools/call",
            json!({"name": "request_resource", "arguments": {"service": "vault-box", "name": "x", "spec": value}}),
        ),
        (
            "tools/call",
            json!({"name": "request_resource", "arguments": {"service": "vault-box", "name": "x", "spec": {"sed": value}}}),
        ),
        ("tools/call", json!({"name": "no_such_tool", "arguments": {"value": value}})),
        ("tools/call", json!({"name": "get_secret", "arguments": [value]})),
        ("tools/call", json!({"name": "get_secret", "arguments": {"name": "x"}, "more": value})),
        ("tool/call", json!({"arguments": {"value": value}})),
        ("ping", json!({"value": value})),
        ("notifications/said", json!({"value": value})),
    ] {
        key.rpc(method, params).await;
    }
    let broken = format!("{{\"jsonrpc\": \"2.0\", \"id\": 1, \"method\": \"tools/call\", \"params\": \"{value}\"");
    key.send(Method::POST, "/mcp", &[("content-type", "application/json")], Body::from(broken)).await;
}
