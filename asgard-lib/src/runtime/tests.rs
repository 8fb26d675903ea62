//! The whole composition on a file: what a server is, without a listener.

use super::*;
use crate::{
    app::{
        Call,
        projects::RegisterProject,
        requests::{GetRequest, RequestResource},
    },
    config::{DatabaseLocation, KeySource},
    error::Code,
    kernel::{Actor, Role},
};
use serde_json::json;
use std::path::Path;
use tokio_util::sync::CancellationToken;

fn config(folder: &Path) -> Config {
    let mut config = Config::default();
    config.database.location = DatabaseLocation::Sqlite { path: folder.join("asgard.db") };
    config.keys.source = KeySource::GeneratedFile { path: folder.join("asgard.db.key") };
    config
}

fn supervisors() -> Supervisors {
    Supervisors { program: "asgard".into(), arguments: vec!["run".into()], environment: Vec::new() }
}

fn ann(runtime: &Runtime) -> Call {
    let world = runtime.app().world();
    let email = "ann@corp.example".parse().unwrap();
    Call::by(Actor::Human { user: world.id(), email, role: Role::Member, session: world.id() }, world.id())
}

#[tokio::test]
async fn what_is_asked_for_is_carried_out_and_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let runtime = Runtime::open(&config, RuntimeOptions::server(&config, supervisors())).await.unwrap();
    assert_eq!(runtime.master(), &Master::File { path: folder.path().join("asgard.db.key"), created: true });
    let background = runtime.spawn_background(&CancellationToken::new());

    let call = ann(&runtime);
    let project: RegisterProject = serde_json::from_value(
        json!({"name": "Pilot", "owner_email": "ann@corp.example", "manager_email": "bob@corp.example", "group": "g"}),
    )
    .unwrap();
    let project = runtime.app().run(&call, &project).await.unwrap();
    let ask: RequestResource =
        serde_json::from_value(json!({"project_id": project.project_id, "service": "random-secret", "name": "token"}))
            .unwrap();
    let asked = runtime.app().run(&call, &ask).await.unwrap();
    let get: GetRequest =
        serde_json::from_value(json!({"request_id": asked.request.request_id, "wait_s": 20})).unwrap();
    let done = runtime.app().run(&call, &get).await.unwrap();
    assert_eq!(serde_json::to_value(done.status).unwrap(), "fulfilled");

    let stopping = tokio::time::Instant::now();
    background.stop(Duration::from_secs(20)).await;
    assert!(stopping.elapsed() < Duration::from_secs(5), "nothing was left to wait for");
    runtime.close().await;

    let runtime = Runtime::open(&config, RuntimeOptions::command(supervisors())).await.unwrap();
    assert_eq!(runtime.master(), &Master::File { path: folder.path().join("asgard.db.key"), created: false });
    let again = runtime.app().run(&ann(&runtime), &get).await.unwrap();
    assert_eq!(again.request_id, asked.request.request_id);
    runtime.close().await;
}

#[tokio::test]
async fn a_command_makes_no_database_and_a_server_does_not_wait_for_a_wrong_one() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let refused = |tables, patience| {
        let config = config.clone();
        async move {
            let options = RuntimeOptions { tables, patience, ..RuntimeOptions::command(supervisors()) };
            Runtime::open(&config, options).await.err().unwrap()
        }
    };
    let error = refused(Tables::Require, Duration::ZERO).await;
    assert_eq!(error.code(), Code::Config);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    std::fs::write(folder.path().join("asgard.db"), "something else entirely").unwrap();
    let asked = tokio::time::Instant::now();
    let error = refused(Tables::Migrate, Duration::from_secs(3600)).await;
    assert_eq!(error.code(), Code::Config);
    assert!(asked.elapsed() < Duration::from_secs(10), "a wrong database is not waited for");
}
