//! What nobody should send. Always a clear refusal, never a panic, and nothing done.

use crate::http::testkit::TestApp;
use axum::body::Body;
use http::Method;

#[tokio::test]
async fn hostile_bodies_are_refused_clearly_and_change_nothing() {
    let app = TestApp::new().await;
    let before = app.owner.get("/api/projects").await.json();
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    let deep_object = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    let huge = "x".repeat(10 * 1024 * 1024);
    let body =
        |name: &str, value: &str| format!(r#"{{"name":{value},"owner_email":"olga@corp.example","group":"g"{name}}}"#);
    let json = "application/json";
    for (what, kind, body, status, code) in [
        ("10 MB", json, huge.clone(), 413, "body-too-large"),
        ("10 MB in a field", json, body("", &format!("\"{huge}\"")), 413, "body-too-large"),
        ("deep array", json, deep.clone(), 400, "invalid-input"),
        ("deep object", json, deep_object, 400, "invalid-input"),
        ("deep field", json, body(&format!(",\"evidence\":{deep}"), "\"x\""), 400, "invalid-input"),
        ("NUL", json, body("", "\"a\\u0000b\""), 400, "invalid-input"),
        ("raw NUL", json, body("", "\"a\0b\""), 400, "invalid-input"),
        ("lone surrogate", json, body("", "\"\\ud800\""), 400, "invalid-input"),
        ("not UTF-8", json, String::new(), 400, "invalid-input"),
        ("number for text", json, body("", "5"), 400, "invalid-input"),
        ("null for text", json, body("", "null"), 400, "invalid-input"),
        ("array for text", json, body("", "[]"), 400, "invalid-input"),
        ("unknown field", json, body(",\"role\":\"admin\"", "\"x\""), 400, "invalid-input"),
        ("key twice", json, body(",\"name\":\"y\"", "\"x\""), 400, "invalid-input"),
        ("huge number", json, body(",\"budget_usd\":1e400", "\"x\""), 400, "invalid-input"),
        ("negative money", json, body(",\"budget_usd\":-1", "\"x\""), 400, "invalid-input"),
        ("array", json, "[]".into(), 400, "invalid-input"),
        ("two values", json, "{}{}".into(), 400, "invalid-input"),
        ("cut off", json, "{\"name\":".into(), 400, "invalid-input"),
        ("form", "application/x-www-form-urlencoded", "name=x".into(), 415, "unsupported-media-type"),
        ("no type", "", body("", "\"x\""), 415, "unsupported-media-type"),
        ("text", "text/plain; application/json", body("", "\"x\""), 415, "unsupported-media-type"),
    ] {
        let body = if what == "not UTF-8" { Body::from(&b"{\"name\":\"\xff\"}"[..]) } else { Body::from(body) };
        let headers: &[(&str, &str)] = if kind.is_empty() { &[] } else { &[("content-type", kind)] };
        let reply = app.owner.send(Method::POST, "/api/projects", headers, body).await;
        assert_eq!((reply.status.as_u16(), reply.field("code").as_str()), (status, code), "{what}: {}", reply.text());
        assert_eq!(reply.header("content-type"), "application/problem+json", "{what}");
        assert!(reply.text().len() < 1500, "{what}: the refusal echoes what was sent");
    }
    assert_eq!(app.owner.get("/api/projects").await.json(), before);
}

#[tokio::test]
async fn hostile_names_and_headers_are_refused_clearly() {
    let app = TestApp::new().await;
    let resources = format!("/api/projects/{}/resources", app.project);
    for name in [
        "..",
        "../../etc/passwd",
        "a/b",
        "a\\b",
        "A",
        "-a",
        "a-",
        "",
        " ",
        "a\u{202e}b",
        "ä",
        "con\n",
        "$(id)",
        "'; drop table x; --",
    ] {
        let body = serde_json::json!({"service": "local-demo", "name": name});
        let reply = app.owner.post(&resources, body).await;
        assert_eq!(
            (reply.status.as_u16(), reply.json()["field"].as_str().unwrap_or_default()),
            (400, "name"),
            "{name:?}: {}",
            reply.text()
        );
    }
    let long = "k".repeat(300);
    for (name, value) in [("idempotency-key", long.as_str()), ("idempotency-key", ""), ("if-match", "garbage")] {
        let headers = [("content-type", "application/json"), (name, value)];
        let reply = app
            .owner
            .send(Method::POST, &resources, &headers, Body::from(r#"{"service":"local-demo","name":"ok"}"#))
            .await;
        assert_eq!(reply.status, 400, "{name}: {value}: {}", reply.text());
    }
    for path in [
        "/api/projects/..%2f..",
        "/api/projects/%00",
        "/api/projects/x%0a",
        "/api//projects",
        "/api/projects/",
        "/API/projects",
        "/%2e%2e/etc/passwd",
    ] {
        let reply = app.owner.get(path).await;
        assert!(matches!(reply.status.as_u16(), 400 | 404), "{path}: {}", reply.text());
    }
    let got =
        app.owner.send(Method::GET, "/api/projects", &[("content-type", "application/json")], Body::from("{}")).await;
    assert_eq!(got.json()["field"], "body");
}
