use crate::http::testkit::TestApp;
use axum::body::Body;
use http::Method;
use serde_json::json;

#[tokio::test]
async fn probe() {
    let app = TestApp::new().await;
    let json_type = ("content-type", "application/json");
    let init = json!({"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"runbook","version":"0"}}}).to_string();
    for (what, method, headers, body) in [
        ("init", Method::POST, vec![json_type], init.clone()),
        ("init wildcard", Method::POST, vec![json_type, ("accept", "*/*")], init.clone()),
        ("accept html", Method::POST, vec![json_type, ("accept", "text/html")], init.clone()),
        ("get", Method::GET, vec![], String::new()),
        ("delete", Method::DELETE, vec![], String::new()),
        ("text", Method::POST, vec![("content-type", "text/plain")], init.clone()),
        ("malformed", Method::POST, vec![json_type], "{".into()),
        ("batch", Method::POST, vec![json_type], "[]".into()),
        ("empty obj", Method::POST, vec![json_type], "{}".into()),
        ("no params", Method::POST, vec![json_type], json!({"jsonrpc":"2.0","id":1,"method":"tools/call"}).to_string()),
        ("bad name", Method::POST, vec![json_type], json!({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":5}}).to_string()),
        ("unknown tool", Method::POST, vec![json_type], json!({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"nope"}}).to_string()),
        ("unknown method", Method::POST, vec![json_type], json!({"jsonrpc":"2.0","id":1,"method":"nope/nope"}).to_string()),
        ("list services", Method::POST, vec![json_type], json!({"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"list_services"}}).to_string()),
        ("bad arg", Method::POST, vec![json_type], json!({"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"get_service","arguments":{"service":5}}}).to_string()),
        ("notif", Method::POST, vec![json_type], json!({"jsonrpc":"2.0","method":"notifications/initialized"}).to_string()),
        ("response", Method::POST, vec![json_type], json!({"jsonrpc":"2.0","id":1,"result":{}}).to_string()),
        ("bad version", Method::POST, vec![json_type, ("mcp-protocol-version", "1999-01-01")], json!({"jsonrpc":"2.0","id":1,"method":"tools/list"}).to_string()),
        ("evil host", Method::POST, vec![json_type, ("origin", "http://evil.example")], init.clone()),
        ("null id", Method::POST, vec![json_type], json!({"jsonrpc":"2.0","id":null,"method":"ping"}).to_string()),
        ("discover", Method::POST, vec![json_type], json!({"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"x","version":"1"},"io.modelcontextprotocol/clientCapabilities":{}}}}).to_string()),
        ("arguments array", Method::POST, vec![json_type], json!({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"list_services","arguments":[]}}).to_string()),
    ] {
        let reply = app.key.send(method, "/mcp", &headers, Body::from(body)).await;
        assert!(reply.status.as_u16() < 500, "{what}: {}", reply.text());
    }
    let asked = app.key.tool("request_resource", json!({"resource_type":"local-demo","name":"demo"})).await.unwrap();
    app.settle().await;
    let request = app.key.tool("get_request", json!({"request_id": asked["request"]["request_id"]})).await.unwrap();
    assert_eq!(request["status"], "fulfilled", "{request}");
}
