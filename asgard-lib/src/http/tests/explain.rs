//! Explaining a request, on REST and on MCP.

use crate::http::testkit::TestApp;
use serde_json::{Value, json};

/// The answer without what differs from run to run.
fn steady(mut value: Value) -> Value {
    let blank = |value: &mut Value, name: &str| {
        if let Some(text) = value.get_mut(name) {
            *text = format!("<{name}>").into();
        }
    };
    blank(&mut value, "request_id");
    blank(&mut value["requested_by"], "id");
    blank(&mut value["requested_by"], "user");
    for judged in value["judgements"].as_array_mut().unwrap() {
        blank(judged, "at");
        blank(&mut judged["actor"], "id");
        blank(&mut judged["actor"], "user");
    }
    if let Some(decision) = value.get_mut("decision") {
        blank(decision, "at");
        blank(&mut decision["by"], "id");
        blank(&mut decision["by"], "user");
    }
    value
}

#[tokio::test]
async fn a_request_is_explained_alike_on_rest_and_on_mcp() {
    let app = TestApp::new().await;
    let asked = json!({"service": "local-demo", "name": "demo", "spec": {"approval": "human", "monthly_usd": 3}});
    let asked = app.key.tool("request_resource", asked).await.unwrap();
    let id = asked["request"]["request_id"].as_str().unwrap().to_owned();
    app.settle().await;
    let path = format!("/api/requests/{id}/explain");

    let manager = app.manager.get(&path).await.json();
    insta::assert_snapshot!("waiting", format!("{:#}", steady(manager.clone())));
    let key = app.key.tool("explain_request", json!({"request_id": id})).await.unwrap();
    let without = |mut value: Value| {
        value["approval"].as_object_mut().unwrap().retain(|name, _| name != "you_may" && name != "why");
        value
    };
    assert_eq!(without(key.clone()), without(manager));
    assert_eq!(key["approval"]["you_may"], false);
    assert!(key["approval"]["why"].as_str().unwrap().contains("manager or an admin"), "{key}");
    let owner = app.owner.get(&path).await.json();
    assert_eq!(owner["approval"]["you_may"], false, "{owner}");

    app.manager.post(&format!("/api/requests/{id}/approve"), json!({})).await;
    app.settle().await;
    let done = app.owner.get(&path).await.json();
    insta::assert_snapshot!("fulfilled", format!("{:#}", steady(done)));

    assert_eq!(app.stranger.get(&path).await.field("code"), "not-found", "like reading the request");
    assert_eq!(app.anonymous.get(&path).await.status, 401);
    let page = app.owner.get(&format!("/api/requests/{id}")).await.json();
    assert_eq!(page["rule"], "approval.wanted");
}
