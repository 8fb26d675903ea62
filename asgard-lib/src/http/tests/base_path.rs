//! Asgard below a path: what programs meet.

use crate::{
    http::{
        HttpState, Surface, mounted, router, server,
        testkit::{Client, Reply, TestApp},
        well_known,
    },
    kernel::BasePath,
};
use axum::{Router, body::Body, routing::get};
use http::Method;
use serde_json::json;
use std::sync::Arc;

fn below(app: &TestApp, base: &str) -> Arc<HttpState> {
    HttpState::below(Arc::clone(&app.asgard), base.parse().unwrap())
}

/// A host with a document and a page of its own, and Asgard below a path.
fn host(app: &TestApp) -> Router {
    let state = below(app, "/governance");
    Router::new()
        .route("/.well-known/acme-challenge/x", get(|| async { "the host's" }))
        .route("/register", get(|| async { "the host's" }))
        .merge(mounted(Arc::clone(&state)))
        .merge(well_known(state))
}

async fn login(client: &Client, path: &str) -> Reply {
    client.post(path, json!({"username": "olga", "password": crate::http::testkit::PASSWORD})).await
}

#[tokio::test]
async fn what_programs_are_told_begins_with_the_path() {
    let app = TestApp::new().await;
    let client = Client::of(host(&app));
    let signed_in = login(&client, "/governance/api/auth/login").await;
    let cookie = signed_in.header("set-cookie");
    assert!(cookie.contains("; Path=/governance; "), "{cookie}");
    let owner = client.with(&signed_in.field("token"));
    let registration = json!({"name": "Other", "owner_email": "olga@corp.example", "manager_email": "max@corp.example", "group": "platform"});
    let made = owner.post("/governance/api/projects", registration).await;
    assert_eq!(made.header("location"), format!("/governance/api/projects/{}", made.field("project_id")));
    assert_eq!(owner.get(made.header("location")).await.status, 200);
    let missing = owner.get("/governance/api/projects/proj-2026-9999").await;
    assert_eq!(missing.json()["type"], "/governance/docs/errors/not-found");
    assert_eq!(owner.get("/governance/docs/errors/not-found").await.status, 200);
    let document = client.get("/governance/api/openapi.json").await.json();
    assert_eq!(document["servers"][0]["url"], "/governance");
    assert_eq!(document["components"]["securitySchemes"]["session"]["name"], "asgard_session_governance");
    // Sentences that name a route name it as it is reached.
    let nobody = client.get("/governance/api/projects").await;
    assert!(nobody.field("detail").contains("POST /governance/api/auth/login "), "{}", nobody.text());
    let page = client.get("/governance/docs/errors/no-credential").await.text();
    assert!(page.contains("<code>POST /governance/api/auth/login</code>"), "{page}");
    assert!(document.to_string().contains("MCP tools at `/governance/mcp`"));
    assert!(document.to_string().contains("from `POST /governance/api/auth/login`"));
    let nothing = client.get("/governance/nothing").await;
    assert!(nothing.text().contains("/governance/nothing. /governance/api/openapi.json"), "{}", nothing.text());
    let post = client.post("/governance/docs", json!({})).await;
    assert!(post.status == 405 && post.text().contains("/governance/docs does not take POST"), "{}", post.text());
}

#[cfg(feature = "mcp")]
#[tokio::test]
async fn agents_reach_mcp_and_its_errors_below_the_path() {
    let app = TestApp::new().await;
    let client = Client::of(host(&app)).with(app.key.credential.as_ref().unwrap());
    let call = |name: &str| {
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": {"request_id": "req_x"}}});
        Body::from(call.to_string())
    };
    let headers = [("content-type", "application/json")];
    let reply = client.send(Method::POST, "/governance/mcp", &headers, call("get_request")).await;
    let text = reply.text();
    assert!(reply.status == 200 && text.contains("/governance/docs/errors/"), "{text}");
    let nobody = Client::of(host(&app)).send(Method::POST, "/governance/mcp", &headers, call("get_request")).await;
    assert!(nobody.status == 401 && nobody.header("www-authenticate") == "Bearer", "{}", nobody.text());
    assert_eq!(nobody.json()["type"], "/governance/docs/errors/no-credential");
    assert!(nobody.text().contains("POST /governance/api/projects/{project_id}/keys "), "{}", nobody.text());
}

/// The cookies of a browser: each goes to its path and to what is below it.
#[derive(Default)]
struct Cookies(Vec<(String, String)>);

impl Cookies {
    fn take_over(&mut self, reply: &Reply) {
        let set = reply.header("set-cookie");
        let mut parts = set.split("; ");
        let pair = parts.next().unwrap();
        let path = parts.find_map(|part| part.strip_prefix("Path=")).unwrap();
        let name = pair.split_inclusive('=').next().unwrap();
        self.0.retain(|(known, kept)| known != path || !kept.starts_with(name));
        if !pair.ends_with('=') {
            self.0.push((path.to_owned(), pair.to_owned()));
        }
    }

    async fn send(&mut self, client: &Client, method: Method, path: &str, body: Body) -> Reply {
        let fits = |of: &str| of == "/" || path == of || path.starts_with(&format!("{of}/"));
        let sent: Vec<&str> = self.0.iter().filter(|(of, _)| fits(of)).map(|(_, pair)| &**pair).collect();
        let sent = sent.join("; ");
        let mut headers = vec![("content-type", "application/json"), ("origin", "http://localhost:8080")];
        if !sent.is_empty() {
            headers.push(("cookie", &sent));
        }
        let reply = client.send(method, path, &headers, body).await;
        if reply.headers.contains_key("set-cookie") {
            self.take_over(&reply);
        }
        reply
    }
}

#[tokio::test]
async fn asgards_beside_and_below_each_other_know_their_own_sessions_in_one_browser() {
    let (outer, beside, inner) = (TestApp::new().await, TestApp::new().await, TestApp::new().await);
    let host = Router::new()
        .merge(mounted(below(&beside, "/payments")))
        .merge(mounted(below(&inner, "/governance/staging")))
        .merge(mounted(below(&outer, "/governance")));
    let client = Client::of(host);
    let mut cookies = Cookies::default();
    let places = [("/governance", "olga"), ("/payments", "max"), ("/governance/staging", "sam")];
    for (base, username) in places {
        let password = json!({"username": username, "password": crate::http::testkit::PASSWORD});
        let password = Body::from(password.to_string());
        let reply = cookies.send(&client, Method::POST, &format!("{base}/api/auth/login"), password).await;
        assert_eq!(reply.status, 200, "{base}: {}", reply.text());
    }
    let me = async |cookies: &mut Cookies, base: &str| {
        cookies.send(&client, Method::GET, &format!("{base}/api/auth/me"), Body::empty()).await
    };
    for (base, username) in places {
        let reply = me(&mut cookies, base).await;
        assert_eq!(reply.json()["user"]["username"], username, "{base}: {}", reply.text());
    }
    let out = cookies.send(&client, Method::POST, "/governance/staging/api/auth/logout", Body::from("{}")).await;
    assert!(out.status.is_success(), "{}", out.text());
    for (base, status) in [("/governance/staging", 401), ("/governance", 200), ("/payments", 200)] {
        assert_eq!(me(&mut cookies, base).await.status, status, "{base}: signed out of one of them");
    }
}

#[tokio::test]
async fn documents_about_an_issuer_are_looked_for_at_the_root_and_the_rest_of_it_is_the_hosts() {
    let app = TestApp::new().await;
    let client = Client::of(host(&app));
    for path in [
        "/.well-known/oauth-authorization-server/governance",
        "/.well-known/openid-configuration/governance",
        "/.well-known/oauth-protected-resource/governance",
        "/.well-known/oauth-protected-resource/governance/mcp",
    ] {
        let reply = client.get(path).await;
        assert_eq!((reply.status.as_u16(), reply.header("content-type")), (404, "application/problem+json"), "{path}");
        assert!(reply.text().contains(path), "{}", reply.text());
    }
    for path in ["/.well-known/acme-challenge/x", "/register"] {
        assert_eq!(client.get(path).await.text(), "the host's", "{path}");
    }
    let elsewhere = client.get("/.well-known/oauth-authorization-server").await;
    assert!(elsewhere.status == 404 && elsewhere.body.is_empty(), "that is for the host to answer");
    assert!(!elsewhere.headers.contains_key("x-asgard-trace-id"), "and not in our frame");
}

#[tokio::test]
async fn a_server_whose_address_has_a_path_serves_below_it_and_is_looked_after_at_the_root() {
    let app = TestApp::with(&[
        ("ASGARD_BIND", "127.0.0.1:8080"),
        ("ASGARD_PUBLIC_URL", "https://corp.example/tools/asgard/"),
    ])
    .await;
    assert_eq!(app.state.base().as_str(), "/tools/asgard");
    let client = Client::of(server(Arc::clone(&app.state), Surface::All));
    for path in ["/healthz", "/readyz", "/metrics", "/tools/asgard/healthz", "/tools/asgard/readyz"] {
        assert_eq!(client.get(path).await.status, 200, "{path}");
    }
    #[cfg(feature = "dashboard")]
    assert_eq!(client.get("/tools/asgard/").await.status, 200);
    assert_eq!(client.get("/").await.header("location"), "/tools/asgard");
    let outside = client.get("/projects").await;
    assert_eq!((outside.status.as_u16(), outside.header("content-type")), (404, "application/problem+json"));
    assert!(outside.text().contains("Asgard is at /tools/asgard."), "{}", outside.text());
    assert!(login(&client, "/tools/asgard/api/auth/login").await.status.is_success());
    assert_eq!(login(&client, "/api/auth/login").await.status, 404);
    let well_known = client.get("/.well-known/oauth-protected-resource/tools/asgard/mcp").await;
    assert_eq!(well_known.header("content-type"), "application/problem+json");
    let told = client.get("/metrics").await.text();
    assert!(told.contains("route=\"/api/auth/login\""), "the path is no part of a label: {told}");
    assert!(!told.contains("route=\"/tools") && !told.contains("__private"), "{told}");
}

#[tokio::test]
async fn at_the_root_nothing_changes_and_a_router_in_the_wrong_place_says_so() {
    let app = TestApp::new().await;
    assert_eq!(*app.state.base(), BasePath::root());
    let client = Client::of(server(Arc::clone(&app.state), Surface::All));
    assert_eq!(client.get("/api/openapi.json").await.json()["servers"][0]["url"], "/");
    assert!(login(&client, "/api/auth/login").await.header("set-cookie").contains("; Path=/; "));
    let misplaced = Client::of(Router::new().nest("/elsewhere", router(Arc::clone(&app.state))));
    let reply = misplaced.get("/elsewhere/healthz").await;
    assert_eq!(reply.status, 500, "{}", reply.text());
}
