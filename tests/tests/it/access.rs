//! Who may do what: every operation, every kind of actor, on REST and on MCP, against the real server. An operation whose action
//! has no row in `expected.txt` fails the test.

use crate::job::{all, ask, fulfilled, request_id, text, the_resource};
use asgard_lib::{
    app::{
        Meta, Method, Route,
        operations::{Entry, OPERATIONS},
    },
    domain::access::Scope,
};
use asgard_tests::{Cast, Client, PASSWORD, Person, Reply, Server, Site};
use serde_json::{Map, Value, json};
use std::{cell::Cell, collections::BTreeMap};

/// What is expected of whom, a row for each action: written by hand, and read by the unit test of the rules as well.
const EXPECTED: &str = include_str!("../../../asgard-lib/src/domain/access/expected.txt");

/// Operations that answer whoever may with another status than success, because of the state of what they are about here.
const ANSWERED_WITH: &[(&str, &str)] = &[
    ("resources.retry", "409"),
    ("users.confirm_identity", "404"),
    // Somebody else's account, for everybody but an admin.
    ("users.sign_out", "404"),
    // Its owner answers for it.
    ("keys.adopt", "409"),
];

/// What is expected of one operation: the row of its action.
struct Row {
    entry: &'static Entry,
    verdicts: BTreeMap<&'static str, &'static str>,
    note: &'static str,
}

impl Row {
    fn verdict(&self, column: &str) -> &'static str {
        self.verdicts.get(column).copied().expect("a column")
    }
}

fn expected() -> BTreeMap<&'static str, BTreeMap<&'static str, &'static str>> {
    let mut lines = EXPECTED.lines().filter(|line| !line.starts_with('#')).map(str::split_whitespace);
    let columns: Vec<&str> = lines.next().expect("a line of columns").skip(1).collect();
    lines.map(|mut line| (line.next().expect("an action"), columns.iter().copied().zip(line).collect())).collect()
}

fn rows() -> Vec<Row> {
    let expected = expected();
    let row = |entry: &'static Entry| {
        let Meta { name, action, tools, .. } = entry.meta;
        let verdicts = expected.get(action.name());
        let mut verdicts = verdicts.unwrap_or_else(|| panic!("{} has no row in expected.txt", action.name())).clone();
        // Where a call cannot name the project, what belongs to another one looks to a key as if it did not exist.
        let by_id = action.rule().scope == Scope::Project && entry.input_schema()["properties"]["project_id"].is_null();
        for (column, verdict) in [("key", None), ("foreign-key", by_id.then_some("404"))] {
            let verdict = if tools.is_empty() { Some("-") } else { verdict.filter(|_| verdicts[column] == "403") };
            verdicts.extend(verdict.map(|verdict| (column, verdict)));
        }
        let note = ANSWERED_WITH.iter().find(|answered| answered.0 == name).map_or("", |answered| answered.1);
        Row { entry, verdicts, note }
    };
    OPERATIONS.iter().map(row).collect()
}

/// Two projects with everything in them that operations are about.
struct World {
    site: Site,
    server: Server,
    cast: Cast,
    project: String,
    key: Client,
    foreign: Client,
    foreign_project: String,
    shared: Value,
    request: String,
    run: String,
    pending: String,
    spare_key: String,
    spare_user: String,
    counter: Cell<u32>,
}

impl World {
    fn new() -> Self {
        let site = Site::postgres();
        let server = site.start();
        let cast = site.cast(&server);
        let project = cast.project("Ours");
        // The other project belongs to the stranger: the key in it is foreign in every way.
        let theirs = json!({"name": "Theirs", "owner_email": cast.stranger.email, "manager_email": "someone@corp.example",
            "group": "platform"});
        let theirs = cast.stranger.session.post("/api/projects", &theirs).ok();
        let foreign_project = text(&theirs, "project_id").to_owned();
        let (foreign, _) = cast.stranger.mint(&foreign_project);
        let key = cast.key(&project);
        let request = request_id(&ask(&key, "local-demo", "shared", &json!({})));
        fulfilled(&cast.owner.session, &request);
        let shared = the_resource(&cast.owner.session, &project, "shared");
        let path = format!("/api/projects/{project}/resources/{}/runs", text(&shared, "resource_id"));
        let run = text(&all(&cast.owner.session, &path)[0], "run_id").to_owned();
        let spare = json!({"username": "spare", "email": "spare@corp.example", "password": PASSWORD});
        let spare_user = text(&cast.admin.session.post("/api/users", &spare).ok(), "id").to_owned();
        let spare_key = text(&cast.owner.mint(&project).1, "id").to_owned();
        let mut world = Self {
            site,
            server,
            cast,
            project,
            key,
            foreign,
            foreign_project,
            shared,
            request,
            run,
            pending: String::new(),
            spare_key,
            spare_user,
            counter: Cell::new(0),
        };
        world.pending = world.fresh_pending();
        world
    }

    fn unique(&self) -> String {
        self.counter.set(self.counter.get() + 1);
        format!("thing-{}", self.counter.get())
    }

    fn fresh_pending(&self) -> String {
        let asked = ask(&self.key, "local-demo", &self.unique(), &json!({"approval": "human"}));
        let id = request_id(&asked);
        assert_eq!(text(&self.cast.owner.session.settled(&id), "status"), "pending");
        id
    }

    fn fresh_resource(&self) -> Value {
        let name = self.unique();
        fulfilled(&self.cast.owner.session, &request_id(&ask(&self.key, "local-demo", &name, &json!({}))));
        the_resource(&self.cast.owner.session, &self.project, &name)
    }

    /// A command for an operation. With `person`, whatever belongs to a person is theirs; with `fresh`, whatever the
    /// operation uses up is new, because it will be used up.
    fn command(&self, name: &str, person: Option<&Person>, fresh: bool) -> Value {
        let project = &self.project;
        let resource = json!({"project_id": project, "resource_id": self.shared["resource_id"]});
        let owner = person.unwrap_or(&self.cast.owner);
        match name {
            "auth.config"
            | "auth.logout"
            | "auth.me"
            | "sessions.list"
            | "tokens.list"
            | "users.list"
            | "projects.list"
            | "projects.requirements"
            | "groups.list"
            | "services.list"
            | "keys.flagged"
            | "requests.pending"
            | "requests.overview"
            | "audit.verify"
            | "audit.anchors" => json!({}),
            "auth.login" => json!({"username": owner.username, "password": PASSWORD}),
            "auth.change_password" => {
                json!({"current_password": "not-my-password", "new_password": "another-long-password"})
            }
            "sessions.revoke" => json!({"session_id": self.spare_session(owner, fresh)}),
            "tokens.create" => json!({"name": "another"}),
            "tokens.revoke" => json!({"token_id": self.spare_token(owner, fresh)}),
            "users.create" => {
                let name = self.unique();
                json!({"username": name, "email": format!("{name}@corp.example"), "password": PASSWORD})
            }
            "users.set_role" => json!({"user_id": self.spare_user, "role": "member"}),
            "users.get" | "users.sessions" | "users.tokens" | "users.sign_out" => json!({"user_id": self.spare_user}),
            "users.revoke_credential" => {
                json!({"user_id": owner.session.get("/api/auth/me").ok()["user"]["id"], "credential_id": self.spare_token(owner, fresh)})
            }
            "users.set_active" => json!({"user_id": self.spare_user, "active": true}),
            "users.confirm_identity" => {
                json!({"user_id": self.spare_user, "issuer": "https://idp.example", "subject": "nobody"})
            }
            "projects.register" => {
                json!({"name": "Fresh", "owner_email": owner.email, "manager_email": "boss@corp.example",
                "group": "platform"})
            }
            "projects.get" | "projects.state" | "keys.list" | "requests.list" | "resources.list" | "secrets.list"
            | "audit.list" => json!({"project_id": project}),
            "projects.update" => json!({"project_id": project, "description": self.unique()}),
            "projects.kill" => {
                json!({"project_id": if fresh { self.scratch() } else { project.clone() }, "reason": "a test"})
            }
            "projects.unkill" if fresh => {
                let scratch = self.scratch();
                let kill = format!("/api/projects/{scratch}/kill");
                self.cast.owner.session.post(&kill, &json!({"reason": "a test"})).ok();
                json!({"project_id": scratch})
            }
            "projects.decommission" if fresh => json!({"project_id": self.scratch()}),
            "projects.unkill" | "projects.decommission" => json!({"project_id": project}),
            "keys.mint" => json!({"project_id": project, "name": "another"}),
            "keys.revoke" if fresh => {
                json!({"project_id": project, "key_id": self.cast.owner.mint(project).1["id"]})
            }
            "keys.revoke" | "keys.adopt" => json!({"project_id": project, "key_id": self.spare_key}),
            "services.get" => json!({"service": "local-demo"}),
            "requests.create" => {
                json!({"project_id": project, "service": "local-demo", "name": self.unique(), "spec": {}})
            }
            "requests.get" | "requests.explain" => json!({"request_id": self.request}),
            "requests.approve" | "requests.reject" | "requests.cancel" => {
                json!({"request_id": if fresh { self.fresh_pending() } else { self.pending.clone() }})
            }
            "resources.deprovision" | "resources.refresh" if fresh => {
                json!({"project_id": project, "resource_id": self.fresh_resource()["resource_id"]})
            }
            "resources.get" | "resources.deprovision" | "resources.retry" | "resources.refresh" | "runs.list" => {
                resource
            }
            "runs.get" | "runs.log" => json!({"run_id": self.run}),
            "secrets.rotate" if fresh => {
                json!({"project_id": project, "name": self.fresh_resource()["secret_refs"]["token"]["name"]})
            }
            "secrets.reveal" | "secrets.rotate" => {
                json!({"project_id": project, "name": self.shared["secret_refs"]["token"]["name"]})
            }
            other => panic!("say what a command of {other} looks like"),
        }
    }

    fn scratch(&self) -> String {
        self.cast.project("Scratch")
    }

    /// A session of that person's which is not the one that they use.
    fn spare_session(&self, person: &Person, fresh: bool) -> Value {
        if fresh {
            self.spare_login(person);
        }
        let sessions = all(&person.session, "/api/auth/sessions");
        let spare = sessions.iter().find(|session| session["current"] != true);
        spare.unwrap_or(&sessions[0])["id"].clone()
    }

    fn spare_token(&self, person: &Person, fresh: bool) -> Value {
        if fresh {
            return person.session.post("/api/auth/tokens", &json!({"name": "spare"})).ok()["id"].clone();
        }
        all(&person.session, "/api/auth/tokens")[0]["id"].clone()
    }

    fn spare_login(&self, person: &Person) -> Client {
        let login = json!({"username": person.username, "password": PASSWORD});
        let login = self.server.anonymous().post("/api/auth/login", &login).ok();
        person.session.with(text(&login, "token"))
    }

    fn people(&self) -> [(&'static str, &Person); 5] {
        let Cast { owner, manager, admin, stranger, finance } = &self.cast;
        [("owner", owner), ("manager", manager), ("admin", admin), ("stranger", stranger), ("finance", finance)]
    }

    /// The versions of everything that operations are about: equal before and after when nothing was committed.
    fn versions(&self) -> Vec<String> {
        let tables = ["project", "project_key", "person", "user_token", "request", "resource", "run", "secret"];
        let query = |table| format!("SELECT '{table} ' || id || ' ' || version FROM {table} ORDER BY id");
        tables
            .iter()
            .flat_map(|table| self.site.database().rows(&query(table)).expect("a table of that name"))
            .collect()
    }
}

/// The command as a REST call: what the path names goes there, the rest into the query or the body.
fn rest(client: &Client, route: &Route, command: &Value) -> Reply {
    let mut rest: Map<String, Value> = command.as_object().expect("an object").clone();
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    let parts: Vec<String> = route
        .path
        .split('/')
        .map(|part| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(field) => plain(&rest.remove(field).unwrap_or_else(|| panic!("no {field} for {}", route.path))),
            None => part.to_owned(),
        })
        .collect();
    let path = format!("/api{}", parts.join("/"));
    match route.method {
        Method::Post | Method::Patch => client.json(route.method.name(), &path, &Value::Object(rest)),
        Method::Get | Method::Delete => {
            let query: Vec<String> = rest.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect();
            let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
            client.send(route.method.name(), &format!("{path}{query}"), &[], None)
        }
    }
}

/// The status that a tool's answer would have on REST.
fn tool(client: &Client, name: &str, command: &Value) -> (u16, String) {
    let reply = client.mcp("tools/call", &json!({"name": name, "arguments": command}));
    if reply.status != 200 {
        return (reply.status, reply.text);
    }
    let body = reply.json();
    let result = &body["result"];
    if result["isError"] != true {
        return (if result.is_object() { 200 } else { 500 }, reply.text);
    }
    let content = &result["structuredContent"];
    let content: Value = if content.is_object() {
        content.clone()
    } else {
        serde_json::from_str(text(&result["content"][0], "text")).unwrap()
    };
    let code = text(&content, "code");
    let known = asgard_lib::Code::ALL.iter().find(|known| known.slug() == code).expect("a known code");
    (known.status(), reply.text)
}

fn check(failures: &mut Vec<String>, what: &str, expected: &str, note: &str, found: (u16, &str)) {
    let (status, answer) = found;
    let as_expected = match expected {
        "ok" => {
            (200..300).contains(&status)
                || note == status.to_string()
                // A wrong present password is answered only to whoever may change theirs.
                || (status == 400 && answer.contains("\"current_password\""))
        }
        refused => refused == status.to_string(),
    };
    if !as_expected {
        failures.push(format!(
            "{what}: expected {expected}, got {status}: {}",
            answer.chars().take(300).collect::<String>()
        ));
    }
}

/// Everybody who is refused, then everybody who is allowed.
#[test]
fn every_operation_for_every_actor() {
    let world = World::new();
    let rows = rows();
    let mut failures = Vec::new();

    let before = world.versions();
    for row in &rows {
        sweep(&world, row, false, &mut failures);
    }
    assert_eq!(world.versions(), before, "a refused call changed something");
    assert!(failures.is_empty(), "{}", failures.join("\n"));

    let foreign_before = belongings(&world);
    for row in &rows {
        sweep(&world, row, true, &mut failures);
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(belongings(&world), foreign_before, "the other project was touched");
    let seen = world.site.transcript().bytes();
    assert!(!seen.is_empty());
}

/// Every cell of a row that is to be allowed, or every one that is to be refused.
fn sweep(world: &World, row: &Row, allowed: bool, failures: &mut Vec<String>) {
    let Meta { name, routes, tools, .. } = row.entry.meta;
    let wanted = |expected: &str| expected != "-" && (expected == "ok") == allowed;
    // What the call uses up is made anew for each, but not for those who are refused: they get the real thing.
    let command = |person: Option<&Person>| world.command(name, person, allowed);
    let mut rest_as = |who: &str, client: &Client, expected: &str, person: Option<&Person>| {
        for route in routes.iter().filter(|_| wanted(expected)) {
            let client = if name == "auth.logout" && allowed && who.ends_with("session") {
                &world.spare_login(person.expect("somebody signs out"))
            } else {
                client
            };
            let reply = rest(client, route, &command(person));
            let what = format!("{who}: {} {}", route.method.name(), route.path);
            check(failures, &what, expected, row.note, (reply.status, &reply.text));
        }
    };
    rest_as("nobody", world.server.anonymous(), row.verdict("nobody"), None);
    for (column, person) in world.people() {
        let expected = row.verdict(column);
        rest_as(&format!("{column}'s session"), &person.session, expected, Some(person));
        rest_as(&format!("{column}'s token"), &person.pat, row.verdict(&format!("{column}-pat")), Some(person));
    }
    // A project key is no credential of REST, except where nobody needs one.
    let key_on_rest = if row.verdict("nobody") == "ok" { "ok" } else { "401" };
    rest_as("key", &world.key, key_on_rest, None);

    let mut tool_as = |who: &str, client: &Client, expected: &str, person: Option<&Person>| {
        for tool_name in tools.iter().filter(|_| wanted(expected)) {
            let (status, answer) = tool(client, tool_name, &command(person));
            check(failures, &format!("{who}: {tool_name}"), expected, row.note, (status, &answer));
        }
    };
    tool_as("nobody", world.server.anonymous(), "401", None);
    tool_as("owner's session", &world.cast.owner.session, "401", None);
    for (column, person) in world.people() {
        tool_as(&format!("{column}'s token"), &person.pat, row.verdict(&format!("{column}-pat")), Some(person));
    }
    for (column, key) in [("key", &world.key), ("foreign-key", &world.foreign)] {
        tool_as(column, key, row.verdict(column), None);
    }
}

/// Everything in the stranger's project, as an admin sees it.
fn belongings(world: &World) -> Vec<Value> {
    let id = &world.foreign_project;
    let mut found = vec![world.cast.admin.session.get(&format!("/api/projects/{id}")).ok()];
    for path in [
        format!("/api/projects/{id}/keys"),
        format!("/api/projects/{id}/resources"),
        format!("/api/projects/{id}/secrets"),
        format!("/api/requests?project_id={id}"),
    ] {
        let mut items = all(&world.cast.admin.session, &path);
        items.iter_mut().for_each(|item| {
            // When a key was last used is noted without a version.
            item.as_object_mut().unwrap().remove("last_used_at");
        });
        found.extend(items);
    }
    found
}

/// The same but for the last character, whichever that is.
fn other_last(text: &str) -> String {
    let (rest, last) = text.split_at(text.len() - 1);
    format!("{rest}{}", if last == "0" { "1" } else { "0" })
}

/// Credentials that are over open nothing, on no tool and no route.
#[test]
fn what_is_over_is_refused_everywhere() {
    let world = World::new();
    let database = world.site.database();
    let expired = |id: &Value, table: &str| {
        let id = id.as_str().expect("an id");
        database.execute(&format!(
            "UPDATE {table} SET body = jsonb_set(body::jsonb, '{{valid_until}}', '\"2020-01-01T00:00:00.000Z\"')::text WHERE id = '{id}'"
        ));
    };
    let owner = &world.cast.owner;
    let (expired_key, about) = owner.mint(&world.project);
    expired(&about["id"], "project_key");
    let (revoked_key, about) = owner.mint(&world.project);
    let path = format!("/api/projects/{}/keys/{}", world.project, text(&about, "id"));
    assert!(tool(&revoked_key, "project_get", &json!({})).0 == 200);
    owner.session.delete(&path).ok();
    let token = |name: &str| owner.session.post("/api/auth/tokens", &json!({"name": name})).ok();
    let (revoked_token, expired_token) = (token("revoked"), token("expired"));
    owner.session.delete(&format!("/api/auth/tokens/{}", text(&revoked_token, "id"))).ok();
    expired(&expired_token["id"], "user_token");
    let closed = world.spare_login(owner);
    closed.post("/api/auth/logout", &json!({})).ok();
    let mistyped = owner.session.with(&other_last(world.key.credential()));
    // The key of a killed project is refused with the project.
    let scratch = world.scratch();
    let killed_key = world.cast.key(&scratch);
    world.cast.admin.session.post(&format!("/api/projects/{scratch}/kill"), &json!({"reason": "over"})).ok();
    owner.session.post(&format!("/api/projects/{scratch}/unkill"), &json!({})).refused(403, "denied");

    let over = [
        ("an expired key", expired_key),
        ("a revoked key", revoked_key),
        ("a revoked token", owner.session.with(text(&revoked_token, "token"))),
        ("an expired token", owner.session.with(text(&expired_token, "token"))),
        ("a closed session", closed),
        ("a mistyped key", mistyped),
        ("a killed project's key", killed_key),
        ("nonsense", owner.session.with("nonsense")),
    ];
    let mut failures = Vec::new();
    for row in rows() {
        let name = row.entry.meta.name;
        if row.verdict("nobody") == "ok" {
            continue;
        }
        let command = world.command(name, None, false);
        for (who, client) in &over {
            for route in row.entry.meta.routes {
                let reply = rest(client, route, &command);
                check(&mut failures, &format!("{who}: {}", route.path), "401", "", (reply.status, &reply.text));
            }
            for tool_name in row.entry.meta.tools {
                let (status, answer) = tool(client, tool_name, &command);
                check(&mut failures, &format!("{who}: {tool_name}"), "401", "", (status, &answer));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    let challenge = world.server.anonymous().mcp("tools/list", &json!({}));
    assert!(challenge.status == 401 && challenge.header("www-authenticate").starts_with("Bearer"), "{challenge:?}");
}

/// What lists show is only one's own, and what is not one's own looks as if it did not exist.
#[test]
fn lists_and_refusals_tell_nothing_about_others() {
    let world = World::new();
    let stranger = &world.cast.stranger;
    let ids = |client: &Client| -> Vec<String> {
        all(client, "/api/projects").iter().map(|project| text(project, "project_id").to_owned()).collect()
    };
    assert_eq!(ids(&stranger.session), std::slice::from_ref(&world.foreign_project));
    assert_eq!(ids(&world.cast.owner.session), std::slice::from_ref(&world.project));
    assert_eq!(ids(&world.cast.manager.session), std::slice::from_ref(&world.project));
    assert_eq!(ids(&world.cast.admin.session).len(), 2);
    assert!(all(&stranger.session, "/api/approvals").is_empty());
    let seen = world.foreign.tool("list_projects", &json!({})).ok();
    assert_eq!(seen["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(seen["items"][0]["project_id"], world.foreign_project.as_str());
    assert_eq!(world.foreign.tool("list_pending_approvals", &json!({})).ok()["items"], json!([]));

    // The same words for what is another's and for what never was.
    let detail = |reply: Reply| reply.json()["detail"].as_str().map(ToOwned::to_owned);
    let resource = text(&world.shared, "resource_id");
    for (theirs, nobodys) in [
        (format!("/api/projects/{}", world.project), "/api/projects/proj-2026-9999".to_owned()),
        (format!("/api/requests/{}", world.request), format!("/api/requests/{}", other_last(&world.request))),
        (format!("/api/runs/{}", world.run), format!("/api/runs/{}", other_last(&world.run))),
        (
            format!("/api/projects/{}/resources/{resource}", world.foreign_project),
            format!("/api/projects/{}/resources/{}", world.foreign_project, other_last(resource)),
        ),
    ] {
        let (a, b) = (stranger.session.get(&theirs), stranger.session.get(&nobodys));
        assert_eq!((a.status, b.status), (404, 404), "{theirs} {nobodys}");
        assert_eq!(detail(a), detail(b), "{theirs} {nobodys}");
    }
    for action in ["approve", "reject", "cancel"] {
        let post = |id: &str| stranger.session.post(&format!("/api/requests/{id}/{action}"), &json!({}));
        let (a, b) = (post(&world.pending), post(&other_last(&world.pending)));
        assert_eq!((a.status, b.status), (404, 404), "{action}");
        assert_eq!(detail(a), detail(b), "{action}");
    }
    for (name, id, field) in [
        ("get_request", &world.request, "request_id"),
        ("cancel_request", &world.pending, "request_id"),
        ("run_log", &world.run, "run_id"),
    ] {
        let call = |id: &str| world.foreign.tool(name, &json!({ field: id })).content["message"].clone();
        assert_eq!(call(id), call(&other_last(id)), "{name}");
    }
    // A resource named alone is looked for in the key's own project.
    for name in ["get_resource", "resource_runs", "deprovision_resource", "retry_resource", "refresh_resource"] {
        let call = |id: &str| world.foreign.tool(name, &json!({"resource_id": id}));
        assert_eq!(call(resource).code(), "not-found", "{name}");
        assert_eq!(call(resource).content["message"], call(&other_last(resource)).content["message"], "{name}");
    }
    // A session that is somebody else's cannot be ended, and does not seem to exist.
    let theirs = all(&world.cast.owner.session, "/api/auth/sessions")[0]["id"].clone();
    let path = format!("/api/auth/sessions/{}", theirs.as_str().unwrap());
    stranger.session.delete(&path).refused(404, "not-found");
    world.cast.owner.session.get("/api/auth/me").ok();
}
