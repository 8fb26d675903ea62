//! How often a call asks DynamoDB: on Lambda every round trip is latency that somebody waits for, and a price.

use super::{
    open, table,
    troubled::{Troubles, watched},
};
use asgard_lib::{
    app::{Call, keys::MintKey, projects::RegisterProject},
    backends::{Opened, Upkeep},
    config::{self, LoadOptions},
    http::{HttpState, router},
    kernel::{Actor, Person, Role, SignIn},
    runtime::{Runtime, RuntimeOptions, Supervisors},
};
use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::{ffi::OsString, time::Duration};
use tower::ServiceExt;

fn post(path: &str, key: &str, body: &Value) -> Request<Body> {
    Request::post(path)
        .header("host", "localhost:8080")
        .header("authorization", format!("Bearer {key}"))
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .body(Body::from(body.to_string()))
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authenticated_list_services_takes_two_reads() {
    let table = table();
    open(table.clone()).migrate().await.unwrap();
    let (store, asked) = watched(Troubles::default(), table);
    let env = [("ASGARD_SECRET_KEY", "07".repeat(32)), ("ASGARD_BIND", "127.0.0.1:8080".into())]
        .map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let config =
        config::load(&LoadOptions { env: env.into_iter().collect(), ..LoadOptions::default() }).unwrap().config;
    let options = RuntimeOptions::server(&config, Supervisors::none());
    let runtime = Runtime::open_on(&config, Opened::new(store), options).await.unwrap();

    let world = runtime.app().world();
    let ann = Actor::Human {
        person: Person::verified(world.id(), "ann@corp.example".parse().unwrap()),
        role: Role::Member,
        sign_in: SignIn::Host,
    };
    let call = Call::by(ann, world.id());
    let register: RegisterProject = serde_json::from_value(
        json!({"name": "Pilot", "owner_email": "ann@corp.example", "manager_email": "bob@corp.example", "group": "g"}),
    )
    .unwrap();
    let project = runtime.app().run(&call, &register).await.unwrap().project_id;
    let mint: MintKey = serde_json::from_value(json!({"project_id": project, "name": "agent"})).unwrap();
    let minted = serde_json::to_value(runtime.app().run(&call, &mint).await.unwrap()).unwrap();
    let key = minted["key"].as_str().unwrap();

    let app = router(HttpState::new(runtime.app().clone()));
    let tool = |name: &str, arguments: Value| {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}});
        let request = post("/mcp", key, &message);
        let (app, asked) = (app.clone(), asked.clone());
        async move {
            asked.lock().unwrap().clear();
            let response = app.oneshot(request).await.unwrap();
            let body: Value =
                serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap();
            assert!(body["result"]["structuredContent"].is_object(), "{body}");
            // That a credential was used is noted now and then, and nobody waits for it.
            tokio::time::sleep(Duration::from_millis(50)).await;
            asked.lock().unwrap().clone()
        }
    };
    let reads = |asked: &[String]| asked.iter().filter(|name| !name.starts_with("Update")).count();
    for (name, arguments, most) in [
        ("list_services", json!({}), 2),
        ("get_service", json!({"service": "local-demo"}), 2),
        ("project_get", json!({}), 3),
        ("list_resources", json!({}), 5),
        ("project_state", json!({}), 8),
    ] {
        let first = tool(name, arguments.clone()).await;
        assert!(reads(&first) <= most, "{name}: {first:?}");
        let again = tool(name, arguments).await;
        assert!(again.len() <= most, "{name}: {again:?}");
        assert_eq!(reads(&again), again.len(), "{name} writes again: {again:?}");
    }
    runtime.close().await;
}
