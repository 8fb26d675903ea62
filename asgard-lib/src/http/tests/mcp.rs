//! MCP as clients meet it.

use super::shown;
use crate::{
    app::operations::tool,
    http::testkit::{Client, Reply, TestApp},
};
use axum::body::Body;
use http::Method;
use serde_json::{Value, json};

const JSON: (&str, &str) = ("content-type", "application/json");

fn message(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
}

fn initialize(version: &str) -> Value {
    let client = json!({"name": "runbook", "version": "0"});
    message("initialize", json!({"protocolVersion": version, "capabilities": {}, "clientInfo": client}))
}

async fn send(client: &Client, headers: &[(&str, &str)], body: impl ToString) -> Reply {
    client.send(Method::POST, "/mcp", headers, Body::from(body.to_string())).await
}

#[tokio::test]
async fn mcp_with_a_slash_at_its_end_is_the_same_endpoint_without_a_redirect() {
    let app = TestApp::new().await;
    for (client, body) in [
        (&app.key, message("tools/list", json!({})).to_string()),
        (&app.key, initialize("2025-11-25").to_string()),
        (&app.anonymous, initialize("2025-11-25").to_string()),
        (&app.key, "{".to_owned()),
    ] {
        let headers = [JSON, ("accept", "application/json, text/event-stream")];
        let plain = client.send(Method::POST, "/mcp", &headers, Body::from(body.clone())).await;
        let slashed = client.send(Method::POST, "/mcp/", &headers, Body::from(body.clone())).await;
        assert_eq!(slashed.status, plain.status, "{body}");
        if plain.status == 200 {
            assert_eq!(slashed.json(), plain.json(), "{body}");
        }
    }
}

/// A name that the endpoint does not know is refused with the settings that would make it known.
#[tokio::test]
async fn an_unknown_host_at_mcp_is_told_which_settings_name_it() {
    let app = TestApp::new().await;
    let credential = format!("Bearer {}", app.key.credential.clone().unwrap());
    let request = http::Request::post("/mcp")
        .header("host", "asgard.corp.example")
        .header("authorization", credential)
        .header(JSON.0, JSON.1)
        .body(Body::from(initialize("2025-11-25").to_string()))
        .unwrap();
    let refused = app.anonymous.request(request).await;
    assert_eq!(refused.status, 403);
    let detail = refused.field("detail");
    for word in ["asgard.corp.example", "ASGARD_MCP_URL", "ASGARD_PUBLIC_URL", "Host header"] {
        assert!(detail.contains(word), "{word}: {detail}");
    }
}

#[tokio::test]
async fn the_credential_comes_before_everything() {
    let app = TestApp::new().await;
    let session = app.owner.credential.clone().unwrap();
    for method in [Method::POST, Method::GET, Method::DELETE, Method::PUT, Method::OPTIONS] {
        for headers in [
            &[][..],
            &[("content-type", "text/plain"), ("origin", "https://evil.example")],
            &[("cookie", &*format!("asgard_session={session}"))],
        ] {
            let reply = app.anonymous.send(method.clone(), "/mcp", headers, Body::from("{")).await;
            assert_eq!(
                (reply.status.as_u16(), reply.header("www-authenticate")),
                (401, "Bearer"),
                "{method} {headers:?}"
            );
            assert!(reply.field("detail").contains("Authorization: Bearer"), "the answer says how to fix it");
        }
    }
    for (client, status) in
        [(&app.key, 200), (&app.pat, 200), (&app.owner, 401), (&app.anonymous.with("asg_nonsense"), 401)]
    {
        assert_eq!(send(client, &[JSON], initialize("2025-11-25")).await.status, status);
    }
    for path in ["/mcp//", "/mcp/x", "/MCP"] {
        assert_eq!(app.key.send(Method::POST, path, &[JSON], Body::from("{}")).await.status, 404, "{path}");
    }
    let keys = app.key.tool("list_keys", json!({})).await.unwrap();
    app.key.tool("revoke_key", json!({"key_id": keys["items"][0]["id"]})).await.unwrap();
    let revoked = send(&app.key, &[JSON], initialize("2025-11-25")).await;
    assert_eq!(revoked.status, 401);
    assert!(revoked.field("detail").contains("revoked"));
}

#[tokio::test]
async fn every_version_shakes_hands() {
    let app = TestApp::new().await;
    for (asked, answered) in [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("1999-01-01", "2025-11-25"),
    ] {
        let reply = send(&app.key, &[JSON], initialize(asked)).await.json();
        assert_eq!(reply["result"]["protocolVersion"], answered, "{asked}: {reply}");
        assert_eq!(reply["result"]["serverInfo"]["name"], "asgard");
        assert!(reply["result"]["instructions"].as_str().unwrap().contains("request_resource"));
    }
    let newest = "2026-07-28";
    let meta = json!({"_meta": {
        "io.modelcontextprotocol/protocolVersion": newest,
        "io.modelcontextprotocol/clientInfo": {"name": "x", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }});
    let headers = [JSON, ("mcp-protocol-version", newest), ("mcp-method", "server/discover")];
    let found = send(&app.key, &headers, message("server/discover", meta)).await;
    assert!(
        found.json()["result"]["supportedVersions"].as_array().unwrap().contains(&newest.into()),
        "{}",
        found.text()
    );
}

#[tokio::test]
async fn any_accept_that_takes_json_will_do_and_answers_are_json() {
    let app = TestApp::new().await;
    for accept in [
        None,
        Some("*/*"),
        Some("application/json"),
        Some("text/html, application/*;q=0.5"),
        Some("application/json, text/event-stream"),
    ] {
        let mut headers = vec![JSON];
        headers.extend(accept.map(|accept| ("accept", accept)));
        let reply = send(&app.key, &headers, message("tools/call", json!({"name": "list_services"}))).await;
        assert_eq!((reply.status.as_u16(), reply.header("content-type")), (200, "application/json"), "{accept:?}");
    }
    let notified = send(&app.key, &[JSON], json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
    assert_eq!((notified.status.as_u16(), notified.text()), (202, String::new()));
}

#[tokio::test]
async fn what_is_no_message_is_told_so() {
    let app = TestApp::new().await;
    let call = |params: Value| message("tools/call", params).to_string();
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let mut all = String::new();
    for (what, headers, body) in [
        ("wrong accept", vec![JSON, ("accept", "text/html")], call(json!({"name": "list_services"}))),
        ("not JSON by its type", vec![("content-type", "text/plain")], "{}".into()),
        ("malformed", vec![JSON], "{\"jsonrpc\":".into()),
        ("empty", vec![JSON], String::new()),
        ("a batch", vec![JSON], "[]".into()),
        ("10,000 deep", vec![JSON], deep),
        ("a key twice", vec![JSON], r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#.into()),
        ("NUL", vec![JSON], call(json!({"name": "get_service", "arguments": {"service": "a\0"}}))),
        ("no version", vec![JSON], r#"{"id":7,"method":"ping"}"#.into()),
        ("null id", vec![JSON], r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#.into()),
        ("fractional id", vec![JSON], r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#.into()),
        ("method is a number", vec![JSON], r#"{"jsonrpc":"2.0","id":7,"method":5}"#.into()),
        ("no method", vec![JSON], r#"{"jsonrpc":"2.0","id":7}"#.into()),
        ("params in a list", vec![JSON], r#"{"jsonrpc":"2.0","id":7,"method":"ping","params":[]}"#.into()),
        ("an answer", vec![JSON], r#"{"jsonrpc":"2.0","id":7,"result":{}}"#.into()),
        ("unknown method", vec![JSON], message("no/such", json!({})).to_string()),
        ("unknown tool", vec![JSON], call(json!({"name": "no_such"}))),
        ("no params", vec![JSON], r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#.into()),
        ("name is a number", vec![JSON], call(json!({"name": 5}))),
        ("arguments in a list", vec![JSON], call(json!({"name": "list_services", "arguments": []}))),
        ("a cursor", vec![JSON], message("tools/list", json!({"cursor": "x"})).to_string()),
        (
            "unknown protocol version",
            vec![JSON, ("mcp-protocol-version", "1999-01-01")],
            call(json!({"name": "list_services"})),
        ),
        ("10 MB", vec![JSON], "x".repeat(10 * 1024 * 1024)),
    ] {
        let reply = send(&app.key, &headers, body).await;
        all.push_str(&shown(what, &reply, &["content-type"]).replace(reply.header("x-asgard-trace-id"), "TRACE"));
    }
    for method in [Method::GET, Method::DELETE] {
        let reply = app.key.send(method.clone(), "/mcp", &[], Body::empty()).await;
        all.push_str(
            &shown(method.as_str(), &reply, &["content-type", "allow"])
                .replace(reply.header("x-asgard-trace-id"), "TRACE"),
        );
    }
    insta::assert_snapshot!(all);
}

#[tokio::test]
async fn foreign_hosts_and_origins_are_refused_where_the_right_ones_are_known() {
    let loopback = TestApp::new().await;
    let named =
        TestApp::with(&[("ASGARD_BIND", "0.0.0.0:8080"), ("ASGARD_PUBLIC_URL", "https://asgard.example")]).await;
    let both = [
        ("ASGARD_BIND", "0.0.0.0:8080"),
        ("ASGARD_PUBLIC_URL", "https://asgard.example"),
        ("ASGARD_MCP_URL", "https://agents.example/"),
    ];
    let apart = TestApp::with(&both).await;
    let open = TestApp::with(&[("ASGARD_BIND", "0.0.0.0:8080")]).await;
    for (app, host, origin, status) in [
        (&loopback, "localhost:8080", None, 200),
        (&loopback, "127.0.0.1", None, 200),
        (&loopback, "[::1]:8080", None, 200),
        (&loopback, "rebound.example", None, 403),
        (&loopback, "localhost:8080", Some("http://localhost:6274"), 200),
        (&loopback, "localhost:8080", Some("https://evil.example"), 403),
        (&loopback, "localhost:8080", Some("null"), 403),
        (&named, "asgard.example", None, 200),
        (&named, "ASGARD.example:443", Some("https://asgard.example"), 200),
        (&named, "evil.example", None, 403),
        (&named, "asgard.example", Some("http://localhost:6274"), 403),
        (&named, "localhost:8080", None, 200),
        (&apart, "agents.example", None, 200),
        (&apart, "asgard.example", None, 200),
        (&apart, "evil.example", None, 403),
        (&open, "anything.example", Some("https://elsewhere.example"), 200),
    ] {
        let credential = app.key.credential.as_deref().unwrap();
        let mut request = http::Request::post("/mcp").header("host", host).header(JSON.0, JSON.1);
        request = request.header("authorization", format!("Bearer {credential}"));
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let body = Body::from(initialize("2025-11-25").to_string());
        let reply = app.anonymous.request(request.body(body).unwrap()).await;
        assert_eq!(reply.status, status, "{host} {origin:?}: {}", reply.text());
    }
}

#[tokio::test]
async fn the_tools_are_the_same_for_everybody_and_well_described() {
    let app = TestApp::new().await;
    let list = |client: &Client| {
        let client = client.clone();
        async move { client.rpc("tools/list", json!({})).await.json()["result"]["tools"].clone() }
    };
    let tools = list(&app.key).await;
    assert_eq!(tools, list(&app.pat).await);
    let mut shown = Vec::new();
    let mut last = String::new();
    for described in tools.as_array().unwrap() {
        let name = described["name"].as_str().unwrap();
        assert!(last.as_str() < name, "sorted by name");
        last = name.to_owned();
        let entry = tool(name).unwrap();
        for side in ["inputSchema", "outputSchema"] {
            assert_eq!(described[side]["type"], "object", "{name}");
            assert!(
                described[side].to_string().find("\"$ref\"").is_none(),
                "{name}: a reference that clients cannot follow"
            );
            jsonschema::options().build(&described[side]).unwrap();
        }
        assert_eq!(described["inputSchema"]["additionalProperties"], false, "{name}");
        let keyed = described["inputSchema"]["properties"].get("idempotency_key").is_some();
        assert_eq!(keyed, entry.meta.creates, "{name}");
        let names = |schema: &Value| schema["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        let required = described["inputSchema"]["required"].as_array().cloned().unwrap_or_default();
        let field = |field: String| if required.contains(&field.clone().into()) { format!("{field}*") } else { field };
        let inputs: Vec<String> = names(&described["inputSchema"]).into_iter().map(field).collect();
        let hints = &described["annotations"];
        let hint = |name: &str, letter: &'static str| if hints[name] == true { letter } else { "-" };
        let hints = [
            hint("readOnlyHint", "r"),
            hint("destructiveHint", "d"),
            hint("idempotentHint", "i"),
            hint("openWorldHint", "o"),
        ];
        assert!(described["title"].is_string() && described["description"].as_str().unwrap().len() > 20, "{name}");
        shown.push(format!(
            "{} {name}({}) -> {}",
            hints.concat(),
            inputs.join(", "),
            names(&described["outputSchema"]).join(", ")
        ));
    }
    insta::assert_snapshot!(shown.join("\n"));
}

/// Calls a tool and checks what comes back against the schema that the tool promised.
async fn checked(client: &Client, tools: &Value, name: &str, arguments: Value) -> Value {
    let result = client.tool(name, arguments).await.unwrap_or_else(|error| panic!("{name}: {error}"));
    let described = tools.as_array().unwrap().iter().find(|tool| tool["name"] == name).unwrap();
    let checker = jsonschema::options().build(&described["outputSchema"]).unwrap();
    let wrong: Vec<String> =
        checker.iter_errors(&result).map(|error| format!("{} {error}", error.instance_path())).collect();
    assert!(wrong.is_empty(), "{name} breaks its promise: {wrong:#?}\n{result:#}");
    result
}

#[tokio::test]
async fn the_main_job_keeps_every_promise_of_its_schemas() {
    let app = TestApp::new().await;
    let tools = app.key.rpc("tools/list", json!({})).await.json()["result"]["tools"].clone();
    let (key, pat, project) = (&app.key, &app.pat, &app.project);
    checked(key, &tools, "list_services", json!({})).await;
    checked(key, &tools, "get_service", json!({"service": "local-demo"})).await;
    checked(key, &tools, "registration_requirements", json!({})).await;
    checked(key, &tools, "list_groups", json!({})).await;
    checked(pat, &tools, "list_projects", json!({})).await;
    checked(key, &tools, "project_get", json!({})).await;
    let registration = json!({"name": "By token", "owner_email": "olga@corp.example", "manager_email": "max@corp.example", "group": "g", "idempotency_key": "k"});
    let made = checked(pat, &tools, "register_project", registration.clone()).await;
    assert_eq!(checked(pat, &tools, "register_project", registration).await["project_id"], made["project_id"]);
    checked(pat, &tools, "update_project", json!({"project_id": project, "description": "d", "version": Value::Null}))
        .await;

    let asked = json!({"resource_type": "local-demo", "name": "demo", "spec": {"approval": "human"}, "idempotency_key": "ask-1"});
    let asked = checked(key, &tools, "request_resource", asked).await;
    let id = asked["request"]["request_id"].clone();
    app.settle().await;
    let pending = checked(key, &tools, "get_request", json!({"request_id": id, "wait_s": 0})).await;
    assert_eq!(pending["status"], "pending");
    checked(key, &tools, "explain_request", json!({"request_id": id})).await;
    let waiting = checked(pat, &tools, "list_pending_approvals", json!({})).await;
    assert_eq!(waiting["items"][0]["request_id"], id, "the owner sees what waits, and approves nothing");
    let owners = pat.tool("approve_request", json!({"request_id": id})).await.unwrap_err();
    assert_eq!(owners["code"], "denied", "{owners}");
    let own = key.tool("approve_request", json!({"request_id": id})).await.unwrap_err();
    assert_eq!(own["code"], "denied", "{own}");
    assert!(own["what_to_do"].is_string() && own["trace_id"].is_string() && own["docs"] == "/docs/errors/denied");
    let manager = app.manager.post("/api/auth/tokens", json!({"name": "m"})).await.field("token");
    let manager = app.anonymous.with(&manager);
    let inbox = checked(&manager, &tools, "list_pending_approvals", json!({})).await;
    assert_eq!(inbox["items"][0]["request_id"], id, "{inbox}");
    checked(&manager, &tools, "approve_request", json!({"request_id": id})).await;
    app.settle().await;
    assert_eq!(checked(key, &tools, "get_request", json!({"request_id": id})).await["status"], "fulfilled");

    checked(key, &tools, "explain_request", json!({"request_id": id})).await;
    checked(key, &tools, "list_requests", json!({})).await;
    let listed = checked(key, &tools, "list_resources", json!({})).await;
    let resource = &listed["items"][0];
    let resource_id = resource["resource_id"].clone();
    checked(key, &tools, "get_resource", json!({"resource_id": resource_id})).await;
    let runs = checked(key, &tools, "resource_runs", json!({"resource_id": resource_id})).await;
    checked(key, &tools, "run_log", json!({"run_id": runs["items"][0]["run_id"]})).await;
    checked(key, &tools, "list_secrets", json!({})).await;
    let secret = checked(key, &tools, "get_secret", json!({"name": resource["secret_refs"]["token"]["name"]})).await;
    assert!(secret["value"].as_str().unwrap().starts_with("dry-run-"), "{secret}");
    checked(key, &tools, "project_state", json!({})).await;
    checked(key, &tools, "list_keys", json!({})).await;
    let gone = checked(key, &tools, "deprovision_resource", json!({"resource_id": resource_id})).await;
    checked(key, &tools, "cancel_request", json!({"request_id": gone["request"]["request_id"]})).await;

    let foreign = key.tool("project_get", json!({"project_id": made["project_id"]})).await.unwrap_err();
    assert_eq!(foreign["code"], "denied");
    let refused =
        key.tool("register_project", json!({"name": "x", "owner_email": "olga@corp.example"})).await.unwrap_err();
    assert!(refused["message"].as_str().unwrap().contains("user token"), "{refused}");
    let unknown = key
        .tool("request_resource", json!({"service": "local-demo", "name": "other", "colour": "red"}))
        .await
        .unwrap_err();
    assert_eq!(unknown["field"], "colour");
}
