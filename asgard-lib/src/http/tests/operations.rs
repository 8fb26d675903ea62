//! Health, metrics, limits, panics.

use crate::http::{HttpState, Readiness, frame, testkit::TestApp};
use axum::{Router, body::Body, middleware, routing::get};
use http::{Method, Request};
use std::{sync::Arc, time::Duration};
use tower::ServiceExt;

#[tokio::test]
async fn health_and_readiness() {
    let app = TestApp::new().await;
    let (healthz, readyz) = (app.anonymous.get("/healthz").await, app.anonymous.get("/readyz").await);
    assert_eq!((healthz.status.as_u16(), healthz.text()), (200, "ok".to_owned()));
    assert_eq!((readyz.status.as_u16(), readyz.text()), (200, "ready".to_owned()));
    for readiness in [Readiness::Starting, Readiness::Stopping] {
        app.state.set_readiness(readiness);
        let reply = app.anonymous.get("/readyz").await;
        assert_eq!(
            (reply.status.as_u16(), reply.field("code").as_str(), reply.header("retry-after")),
            (503, "not-ready", "1")
        );
        assert_eq!(app.anonymous.get("/healthz").await.status, 200);
    }
    app.state.set_readiness(Readiness::Ready);
    assert_eq!(app.anonymous.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn metrics_count_by_template_and_are_closed_to_strangers() {
    let app = TestApp::new().await;
    app.owner.get(&format!("/api/projects/{}", app.project)).await;
    app.owner.get("/api/projects/proj-2026-9999").await;
    app.anonymous.get("/no/such/page").await;
    app.key.tool("list_services", serde_json::json!({})).await.unwrap();
    let text = app.anonymous.get("/metrics").await.text();
    for line in [
        "asgard_http_requests_total{route=\"/api/projects/{project_id}\",method=\"GET\",status=\"2xx\"} 1",
        "asgard_http_requests_total{route=\"/api/projects/{project_id}\",method=\"GET\",status=\"4xx\"} 1",
        "asgard_http_requests_total{route=\"unmatched\",method=\"GET\",status=\"4xx\"} 1",
        "asgard_operations_total{operation=\"services.list\",outcome=\"ok\"} 1",
        "asgard_operations_total{operation=\"projects.get\",outcome=\"not_found\"} 1",
        "asgard_http_request_duration_seconds_count{route=\"/mcp\"} 1",
        "asgard_commits_total{outcome=\"committed\"} ",
        "asgard_jobs_total{outcome=\"failed\"} 0",
        "asgard_build_info{version=",
        "process_resident_memory_bytes ",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(!text.contains(&app.project) && !text.contains("olga"), "labels hold neither ids nor people");

    let closed = TestApp::with(&[("ASGARD_BIND", "0.0.0.0:8080")]).await;
    assert_eq!(closed.anonymous.get("/metrics").await.json()["code"], "denied");
    let token = TestApp::with(&[("ASGARD_BIND", "0.0.0.0:8080"), ("ASGARD_METRICS_TOKEN", "scrape-me-please")]).await;
    assert_eq!(token.anonymous.get("/metrics").await.status, 401);
    assert_eq!(token.admin.get("/metrics").await.status, 401, "not even an admin's session");
    assert_eq!(token.anonymous.with("scrape-me-please").get("/metrics").await.status, 200);
}

fn framed(state: &Arc<HttpState>, routes: Router<Arc<HttpState>>) -> Router {
    routes.layer(middleware::from_fn_with_state(Arc::clone(state), frame::frame)).with_state(Arc::clone(state))
}

async fn problem(router: Router, path: &str) -> (u16, serde_json::Value) {
    let request = Request::builder().method(Method::GET).uri(path).body(Body::empty()).unwrap();
    let response = router.oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let bytes = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
    (status, serde_json::from_slice(&bytes).unwrap())
}

#[tokio::test]
async fn a_panic_is_a_500_that_does_not_tell_why_and_a_slow_request_ends() {
    let app =
        TestApp::tuned(&[("ASGARD_BIND", "127.0.0.1:8080")], |config| config.server.request_timeout_secs = 1).await;
    let routes = Router::new()
        .route(
            "/panic",
            get(|| async {
                if true {
                    panic!("the secret is hunter2")
                }
            }),
        )
        .route("/slow", get(|| tokio::time::sleep(Duration::from_secs(3600))));
    let router = framed(&app.state, routes);
    let (status, body) = problem(router.clone(), "/panic").await;
    assert_eq!((status, body["code"].as_str().unwrap()), (500, "bug"));
    assert!(!body.to_string().contains("hunter2") && body["trace_id"].is_string());
    let (status, body) = problem(router, "/slow").await;
    assert_eq!((status, body["code"].as_str().unwrap(), body["retry_after"].as_u64()), (503, "timeout", Some(1)));
}
