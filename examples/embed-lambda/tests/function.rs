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
    kernel::{Actor, Person, Role, SignIn},
    runtime::{Runtime, RuntimeOptions, Supervisors},
};
use embed_lambda::Function;
use lambda_http::{Context, LambdaEvent, lambda_runtime};
use serde_json::{Value, json};
use std::sync::Arc;

/// An invocation that may last so many milliseconds.
fn invocation(payload: &Value, millis: u64) -> LambdaEvent<Value> {
    let mut context = Context::default();
    context.deadline = millis;
    context.env_config = Arc::new(lambda_runtime::Config::default());
    LambdaEvent::new(payload.clone(), context)
}

async fn answer(function: &Function, event: &Value) -> (i64, String) {
    let answer = function.event(invocation(event, 30_000)).await.unwrap();
    (answer["statusCode"].as_i64().unwrap(), answer["body"].as_str().unwrap().to_owned())
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
    let ann = Actor::Human { person: Person::verified(world.id(), email), role: Role::Member, sign_in: SignIn::Host };
    let call = Call::by(ann, world.id());
    let project =
        json!({"name": "Pilot", "owner_email": "ann@corp.example", "manager_email": "bob@corp.example", "group": "g"});
    let project: RegisterProject = serde_json::from_value(project).unwrap();
    let project = app.run(&call, &project).await.unwrap();
    let mint: MintKey = serde_json::from_value(json!({"project_id": project.project_id, "name": "agent"})).unwrap();
    let key = serde_json::to_value(app.run(&call, &mint).await.unwrap()).unwrap()["key"].as_str().unwrap().to_owned();

    let function = Function::new(runtime);
    let mut event: Value = serde_json::from_str(include_str!("call.json")).unwrap();
    assert_eq!(answer(&function, &event).await.0, 401, "Asgard asks for a credential");
    let tool = |name: &str, arguments: Value| {
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}})
            .to_string()
    };
    event["headers"]["authorization"] = format!("Bearer {key}").into();
    event["body"] = tool("request_resource", json!({"service": "random-secret", "name": "token"})).into();
    let (status, body) = answer(&function, &event).await;
    assert_eq!(status, 200, "{body}");
    let asked: Value = serde_json::from_str(&body).unwrap();
    let id = &asked["result"]["structuredContent"]["request"]["request_id"];
    assert!(id.is_string(), "{body}");

    // The dry run was done before that answer left.
    event["body"] = tool("get_request", json!({"request_id": id})).into();
    let (_, body) = answer(&function, &event).await;
    let got: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(got["result"]["structuredContent"]["status"], "fulfilled", "{body}");

    event["rawPath"] = "/team/hello".into();
    event["requestContext"]["http"]["method"] = "GET".into();
    assert_eq!(answer(&function, &event).await, (200, "Hello from the team.".to_owned()));
    event["rawQueryString"] = "a=<b> c".into();
    assert_eq!(answer(&function, &event).await.0, 200, "anybody may send this, and the process goes on");

    // What nobody else would do.
    let tick = json!({"work": "tick"});
    // What was just audited is sealed once it has settled.
    tokio::time::sleep(std::time::Duration::from_millis(2_200)).await;
    let did = function.event(invocation(&tick, 30_000)).await.unwrap();
    for task in ["audit-seal", "expire"] {
        assert!(did["did"].as_array().unwrap().contains(&task.into()), "{did}");
    }
    let short = function.event(invocation(&tick, 3_000)).await.unwrap_err().to_string();
    assert!(short.contains("timeout of 30 seconds"), "{short}");
}
