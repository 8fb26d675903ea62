//! An event from API Gateway, through the library that reads it, to the team's router.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that is surprised should fail where it is"
)]

use asgard_lib::{
    app::{Call, keys::MintKey, projects::RegisterProject},
    config::{self, Environment, LoadOptions},
    kernel::{Actor, Role},
    runtime::{Runtime, RuntimeOptions, Supervisors},
};
use axum::{Router, body::Body};
use lambda_http::Service;
use serde_json::{Value, json};

async fn answer(router: &Router, event: &Value) -> (u16, String) {
    let request = lambda_http::request::from_str(&event.to_string()).unwrap();
    let response = router.clone().call(request.map(Body::new)).await.unwrap();
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn the_teams_route_and_asgards_endpoint_are_one_function() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/asgard.db", folder.path().display());
    let env: Environment = [("ASGARD_DATABASE_URL", url.as_str())].into();
    let config = config::load(&LoadOptions { env, ..LoadOptions::default() }).unwrap().config;
    let options = RuntimeOptions::server(&config, Supervisors::none());
    let runtime = Runtime::open(&config, options).await.unwrap();
    let app = runtime.app();

    let (email, world) = ("ann@corp.example".parse().unwrap(), app.world());
    let ann = Actor::Human { user: world.id(), email, role: Role::Member, session: world.id() };
    let call = Call::by(ann, world.id());
    let project =
        json!({"name": "Pilot", "owner_email": "ann@corp.example", "manager_email": "bob@corp.example", "group": "g"});
    let project: RegisterProject = serde_json::from_value(project).unwrap();
    let project = app.run(&call, &project).await.unwrap();
    let mint: MintKey = serde_json::from_value(json!({"project_id": project.project_id, "name": "agent"})).unwrap();
    let key = serde_json::to_value(app.run(&call, &mint).await.unwrap()).unwrap()["key"].as_str().unwrap().to_owned();

    let router = embed_lambda::router(&runtime);
    let mut event: Value = serde_json::from_str(include_str!("call.json")).unwrap();
    assert_eq!(answer(&router, &event).await.0, 401, "Asgard asks for a credential");
    let tool = |name: &str, arguments: Value| {
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}})
            .to_string()
    };
    event["headers"]["authorization"] = format!("Bearer {key}").into();
    event["body"] = tool("request_resource", json!({"service": "random-secret", "name": "token"})).into();
    let (status, body) = answer(&router, &event).await;
    assert_eq!(status, 200, "{body}");
    let asked: Value = serde_json::from_str(&body).unwrap();
    let id = &asked["result"]["structuredContent"]["request"]["request_id"];
    assert!(id.is_string(), "{body}");

    // The dry run was done before that answer left.
    event["body"] = tool("get_request", json!({"request_id": id})).into();
    let (_, body) = answer(&router, &event).await;
    let got: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(got["result"]["structuredContent"]["status"], "fulfilled", "{body}");

    event["rawPath"] = "/team/hello".into();
    event["requestContext"]["http"]["method"] = "GET".into();
    assert_eq!(answer(&router, &event).await, (200, "Hello from the team.".to_owned()));
    runtime.close().await;
}
