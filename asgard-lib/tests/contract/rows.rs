//! Lists as rows, on every store: the list of requests by state follows what a whole Asgard commits there.

use asgard_lib::{
    app::{
        Call,
        periodic::{Ticked, tick},
        projects::RegisterProject,
        requests::{RequestResource, RequestsOverview},
        rows::{KeepRows, RequestRows},
    },
    backends::{Opened, Upkeep},
    config::{Config, KeySource, MasterKey},
    domain::request::RequestStatus,
    kernel::{Actor, Limit, Person, Role, SessionId, SignIn, UserId},
    ports::{blobs::Blobs, store::Store},
    runtime::{Runtime, RuntimeOptions, Supervisors},
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

fn root() -> Actor {
    Actor::Human {
        person: Person::verified(UserId::from_digest(&[1; 32]), "root@corp.example".parse().unwrap()),
        role: Role::Admin,
        sign_in: SignIn::Session(SessionId::from_digest(&[1; 32])),
    }
}

/// Two processes take turns at the list, while requests come.
async fn the_list_follows(store: impl Store + Blobs + Upkeep + Clone) {
    let mut config = Config::default();
    config.keys.source = KeySource::Given(MasterKey::new([7; 32]));
    let options = || RuntimeOptions::server(&Config::default(), Supervisors::none());
    let one = Runtime::open_on(&config, Opened::new(store.clone()), options()).await.unwrap();
    let two = Runtime::open_on(&config, Opened::new(store), options()).await.unwrap();
    let call = || Call::by(root(), one.app().new_trace());
    let register: RegisterProject = serde_json::from_value(json!({
        "name": "Pilot", "owner_email": "root@corp.example", "manager_email": "mgr@corp.example", "group": "platform"
    }))
    .unwrap();
    let project = serde_json::to_value(one.app().run(&call(), &register).await.unwrap()).unwrap();
    let (task, stop) = (KeepRows::<RequestRows>::default(), CancellationToken::new());
    let mut asked = Vec::new();
    for round in 0..3 {
        for number in 0..3 {
            let ask: RequestResource = serde_json::from_value(json!({
                "project_id": project["project_id"], "service": "local-demo", "name": format!("r{round}-{number}"), "spec": {}
            }))
            .unwrap();
            let answer = serde_json::to_value(one.app().run(&call(), &ask).await.unwrap()).unwrap();
            asked.push(answer["request"]["request_id"].clone());
        }
        let app = if round % 2 == 0 { one.app() } else { two.app() };
        // An index may lag: what is not seen now is seen next time.
        let patience = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
        loop {
            let ticked = tick(app, &task, None, &stop).await.unwrap();
            assert!(matches!(ticked, Ticked::Did | Ticked::NotWanted), "{ticked:?}");
            let list = RequestsOverview::builder().status(RequestStatus::Planning).limit(Limit::clamped(200)).build();
            let seen: Value = serde_json::to_value(app.run(&call(), &list).await.unwrap()).unwrap();
            let mut ids: Vec<Value> =
                seen["items"].as_array().unwrap().iter().map(|row| row["request_id"].clone()).collect();
            // Ids of one millisecond have no order among themselves.
            let by_text = |a: &Value, b: &Value| a.as_str().cmp(&b.as_str());
            ids.sort_by(by_text);
            asked.sort_by(by_text);
            let counted =
                seen["counts"].as_array().unwrap().iter().find(|count| count["status"] == "planning").unwrap();
            if ids == asked && counted["count"] == asked.len() {
                assert!(seen["as_of"].is_string(), "{seen}");
                break;
            }
            assert!(tokio::time::Instant::now() < patience, "{seen}");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
    one.close().await;
    two.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_of_requests_follows_on_sqlite() {
    let (store, _folder) = super::sqlite::fresh().await;
    the_list_follows(store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_of_requests_follows_on_postgres() {
    let (store, _database) = super::postgres::fresh().await;
    the_list_follows(store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_of_requests_follows_on_dynamodb() {
    let (store, ()) = super::dynamo::fresh().await;
    the_list_follows(store).await;
}
