//! REST: what comes back, and what is refused.

use super::shown;
use crate::{
    app::operations::OPERATIONS,
    domain::access::Action,
    http::testkit::{Client, TestApp},
};
use axum::body::Body;
use http::Method;
use serde_json::json;

/// A path with something in the place of every parameter.
fn concrete(path: &str) -> String {
    let parts = path.split('/').map(|part| if part.starts_with('{') { "x" } else { part });
    format!("/api{}", parts.collect::<Vec<_>>().join("/"))
}

#[tokio::test]
async fn every_route_wants_a_credential_and_says_so() {
    let app = TestApp::new().await;
    let mut checked = 0;
    for entry in OPERATIONS.iter() {
        for route in entry.meta.routes {
            let method: Method = route.method.name().parse().unwrap();
            let path = concrete(route.path);
            let name = format!("{method} {path}");
            let nobody = app.anonymous.send(method.clone(), &path, &[], Body::empty()).await;
            if entry.meta.action == Action::Open {
                assert_ne!(nobody.json()["code"], "no-credential", "{name}");
                continue;
            }
            assert_eq!(nobody.status, 401, "{name}");
            assert_eq!(nobody.header("www-authenticate"), "Bearer", "{name}");
            assert_eq!(nobody.json()["code"], "no-credential", "{name}");
            let key = app.key.send(method, &path, &[], Body::empty()).await;
            assert_eq!(key.status, 401, "{name}");
            assert!(key.field("detail").contains("works on MCP"), "{name}: {}", key.text());
            let put = app.owner.send(Method::PUT, &path, &[], Body::empty()).await;
            assert_eq!(put.status, 405, "{name}");
            assert_eq!(put.json()["code"], "method-not-allowed");
            assert!(put.header("allow").contains(route.method.name()), "{name}: {}", put.header("allow"));
            checked += 1;
        }
    }
    assert!(checked > 40, "only {checked} routes were checked");
}

#[tokio::test]
async fn versions_locations_and_replays_travel_in_headers() {
    let app = TestApp::new().await;
    let owner = &app.owner;
    let body = json!({"name": "Second", "owner_email": "olga@corp.example", "manager_email": "max@corp.example", "group": "g"});
    let keyed = |body: &serde_json::Value| {
        let body = Body::from(body.to_string());
        let headers = [("content-type", "application/json"), ("idempotency-key", "once")];
        async move { owner.send(Method::POST, "/api/projects", &headers, body).await }
    };
    let made = keyed(&body).await;
    assert_eq!((made.status.as_u16(), made.header("idempotency-replayed")), (201, ""));
    let id = made.field("project_id");
    assert_eq!(made.header("location"), format!("/api/projects/{id}"));
    let again = keyed(&body).await;
    assert_eq!((again.status.as_u16(), again.header("idempotency-replayed")), (201, "true"));
    assert_eq!(again.field("project_id"), id);
    let other = keyed(&json!({"name": "Third", "owner_email": "olga@corp.example"})).await;
    assert_eq!(other.json()["code"], "idempotency-mismatch");

    let read = owner.get(made.header("location")).await;
    let etag = read.header("etag").to_owned();
    assert_eq!(etag, format!("\"{}\"", read.field("version")));
    let path = format!("/api/projects/{id}");
    let patch = |etag: String, text: &'static str| {
        let body = Body::from(json!({"description": text}).to_string());
        let path = path.clone();
        async move {
            let headers = [("content-type", "application/json"), ("if-match", etag.as_str())];
            owner.send(Method::PATCH, &path, &headers, body).await
        }
    };
    assert_eq!(patch(etag.clone(), "first").await.status, 200);
    let stale = patch(format!("W/{etag}"), "second").await;
    assert_eq!((stale.status.as_u16(), stale.json()["code"].clone()), (412, "precondition-failed".into()));
    assert_eq!(patch("*".into(), "third").await.status, 200);
    assert_eq!(patch("\"a\", \"b\"".into(), "fourth").await.json()["field"], "if-match");

    let asked = json!({"service": "local-demo", "name": "demo"});
    let asked = owner.post(&format!("/api/projects/{id}/resources"), asked).await;
    assert_eq!(asked.status, 202, "{}", asked.text());
    let request = owner.get(asked.header("location")).await;
    assert_eq!(request.json()["request_id"], asked.json()["request"]["request_id"]);
}

async fn refused(app: &TestApp, client: &Client, method: &str, path: &str, body: &str) -> String {
    let headers: &[(&str, &str)] = if body.is_empty() { &[] } else { &[("content-type", "application/json")] };
    let reply = client.send(method.parse().unwrap(), path, headers, Body::from(body.to_owned())).await;
    let text = shown(
        &format!("{method} {path} {body}"),
        &reply,
        &["content-type", "allow", "retry-after", "www-authenticate"],
    );
    text.replace(reply.header("x-asgard-trace-id"), "TRACE").replace(&app.project, "PROJECT")
}

#[tokio::test]
async fn problems_say_what_is_wrong() {
    let app = TestApp::new().await;
    let project = format!("/api/projects/{}", app.project);
    let mut all = String::new();
    for (client, method, path, body) in [
        (&app.anonymous, "GET", "/api/projects", ""),
        (&app.anonymous, "GET", "/api/nothing", ""),
        (&app.anonymous, "GET", "/.well-known/oauth-protected-resource/mcp", ""),
        (&app.anonymous, "POST", "/register", "{}"),
        (&app.anonymous, "DELETE", "/api/auth/login", ""),
        (&app.anonymous, "POST", "/api/auth/login", r#"{"username":"olga","password":"wrong"}"#),
        (&app.anonymous.with("asg_notakey"), "GET", "/api/projects", ""),
        (&app.owner, "GET", "/api/projects?limit=0", ""),
        (&app.owner, "GET", "/api/projects?limit=ten", ""),
        (&app.owner, "GET", "/api/projects?page=2", ""),
        (&app.owner, "GET", "/api/projects?cursor=forged", ""),
        (&app.owner, "GET", "/api/projects/%ff", ""),
        (&app.owner, "GET", "/api/projects/proj-2026-9999", ""),
        (&app.owner, "POST", "/api/projects", ""),
        (&app.owner, "POST", "/api/projects", r#"{"name":"x","owner_email":"nobody"}"#),
        (&app.owner, "POST", "/api/projects", r#"{"name":"x","name":"y","owner_email":"a@b.c"}"#),
        (&app.owner, "POST", "/api/projects?name=x", "{}"),
        (&app.owner, "POST", &format!("{project}/keys"), r#"{"name":"k","project_id":"proj-2026-0002"}"#),
        (&app.stranger, "GET", &project, ""),
        (&app.finance, "POST", "/api/projects", r#"{"name":"x","owner_email":"fin@corp.example","group":"g"}"#),
        (&app.owner, "GET", "/api/users", ""),
    ] {
        all.push_str(&refused(&app, client, method, path, body).await);
    }
    insta::assert_snapshot!(all);
}

#[tokio::test]
async fn every_answer_carries_the_headers_and_a_trace() {
    let app = TestApp::new().await;
    for (client, path) in [
        (&app.anonymous, "/healthz"),
        (&app.anonymous, "/api/projects"),
        (&app.anonymous, "/nothing/here"),
        (&app.anonymous, "/docs"),
        (&app.anonymous, "/docs/style.css"),
        (&app.anonymous, "/api/openapi.json"),
        (&app.owner, "/api/projects"),
    ] {
        let reply = client.get(path).await;
        let policy = reply.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}");
        assert!(!policy.contains("unsafe"), "{path}");
        assert_eq!(reply.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(reply.header("referrer-policy"), "same-origin", "{path}");
        assert!(!reply.headers.contains_key("strict-transport-security"), "{path}");
        assert!(reply.header("x-asgard-trace-id").starts_with("trc_"), "{path}");
        let kept = path.starts_with("/docs") || path.ends_with("openapi.json");
        assert_eq!(reply.header("cache-control"), if kept { "max-age=300" } else { "no-store" }, "{path}");
    }
    let own = "trc_01m81j18g0jy3m5h383y0n5p4g";
    for (name, value, expected) in [
        ("x-asgard-trace-id", own, Some(own)),
        ("x-asgard-trace-id", "nonsense", None),
        ("x-asgard-trace-id", "0af7651916cd43dd8448eb211c80319c", Some("0af7651916cd43dd8448eb211c80319c")),
        (
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            Some("0af7651916cd43dd8448eb211c80319c"),
        ),
        ("traceparent", "00-00000000000000000000000000000000-b7ad6b7169203331-01", None),
        ("traceparent", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", None),
    ] {
        let reply = app.anonymous.send(Method::GET, "/api/projects", &[(name, value)], Body::empty()).await;
        let trace = reply.header("x-asgard-trace-id");
        assert_eq!(reply.json()["trace_id"], trace);
        match expected {
            Some(text) if text.starts_with("trc_") => assert_eq!(trace, text),
            // The same W3C id gives the same trace every time, and not a made-up one.
            Some(hex) => {
                let again = app.anonymous.send(Method::GET, "/", &[("x-asgard-trace-id", hex)], Body::empty()).await;
                assert_eq!(trace, again.header("x-asgard-trace-id"));
            }
            None => {
                let again = app.anonymous.send(Method::GET, "/", &[(name, value)], Body::empty()).await;
                assert_ne!(trace, again.header("x-asgard-trace-id"), "{name}: {value} was taken");
            }
        }
    }
}

#[tokio::test]
async fn the_pages_work_offline_and_name_every_operation_and_code() {
    let app = TestApp::new().await;
    let page = app.anonymous.get("/docs").await;
    let text = page.text();
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(
        !text.contains("<script")
            && !text.contains("style=")
            && !text.contains("http://")
            && !text.contains("https://")
    );
    for entry in OPERATIONS.iter().filter(|entry| !entry.meta.routes.is_empty()) {
        assert!(text.contains(&format!("id=\"{}\"", entry.meta.name.replace('.', "_"))), "{}", entry.meta.name);
    }
    for code in crate::Code::ALL {
        let page = app.anonymous.get(&format!("/docs/errors/{}", code.slug())).await;
        assert_eq!(page.status, 200, "{}", code.slug());
        assert!(page.text().contains(&format!("<h1>{}</h1>", code.slug())));
    }
    assert!(app.anonymous.get("/docs/errors").await.text().contains("<a href=\"/docs/errors/bug\">"));
    assert_eq!(app.anonymous.get("/docs/errors/..%2f..%2fCargo").await.status, 404);
    assert_eq!(app.anonymous.get("/docs/errors/nope").await.json()["code"], "not-found");
}

#[tokio::test]
async fn a_part_of_the_surface_answers_its_part_and_health() {
    use crate::http::{Surface, router_of};
    use tower::ServiceExt;
    let app = TestApp::new().await;
    for (surface, mcp, rest) in [(Surface::All, 401, 401), (Surface::Api, 404, 401), (Surface::Mcp, 401, 404)] {
        let router = router_of(crate::http::HttpState::new(std::sync::Arc::clone(&app.asgard)), surface);
        let status = async |path: &str| {
            let request = http::Request::builder().uri(path).body(Body::empty()).unwrap();
            router.clone().oneshot(request).await.unwrap().status().as_u16()
        };
        assert_eq!(status("/mcp").await, mcp, "{surface:?}");
        assert_eq!(status("/api/projects").await, rest, "{surface:?}");
        assert_eq!(status("/api/openapi.json").await, if rest == 404 { 404 } else { 200 }, "{surface:?}");
        assert_eq!((status("/healthz").await, status("/readyz").await), (200, 200), "{surface:?}");
        assert_eq!(status("/.well-known/oauth-protected-resource").await, 404, "{surface:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_before_the_answer_is_due() {
    use crate::{app::requests::GetRequest, kernel::Timestamp};
    use std::{sync::Arc, time::Duration};
    let kit = crate::app::testkit::Kit::staged().await;
    kit.enrol(crate::app::testkit::OWNER).await;
    let asked = kit.ask("thing", "one", json!({})).await.unwrap();
    let get: GetRequest =
        serde_json::from_value(json!({"request_id": asked.request.request_id, "wait_s": 20})).unwrap();
    let mut call = kit.owner();
    call.answer_by = Some(kit.world.now().plus(Duration::from_secs(6)));
    let clock = async {
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            kit.pass(Duration::from_secs(1));
        }
    };
    let before: Timestamp = kit.world.now();
    let app = Arc::clone(&kit.app);
    tokio::select! {
        got = app.run(&call, &get) => got.unwrap(),
        () = clock => panic!("it never answered"),
    };
    assert!(kit.world.now().since(before) <= Duration::from_secs(6), "{:?}", kit.world.now().since(before));
}
