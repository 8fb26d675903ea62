//! The whole composition on a file: what a server is, without a listener.

use super::*;
use crate::{
    app::{
        Call,
        people::{Vouched, vouched_for},
        periodic::{Next, Periodic},
        projects::RegisterProject,
        requests::{GetRequest, RequestResource},
        services::Service,
    },
    backends::MemoryStore,
    config::{DatabaseLocation, KeySource, MasterKey},
    error::Code,
    kernel::Role,
    ports::world::ManualClock,
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
    Supervisors { program: "asgard".into(), arguments: vec!["run".into()], environment: Vec::new(), by_pipe: false }
}

async fn ann(runtime: &Runtime) -> Call {
    let ann = Vouched::new("ann@corp.example".parse().unwrap(), Role::Member);
    let ann = vouched_for(runtime.app(), &ann).await.unwrap();
    Call::by(ann, runtime.app().new_trace())
}

#[tokio::test]
async fn what_is_asked_for_is_carried_out_and_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let runtime = Runtime::open(&config, RuntimeOptions::server(&config, supervisors())).await.unwrap();
    assert_eq!(runtime.master(), &Master::File { path: folder.path().join("asgard.db.key"), created: true });
    let background = runtime.spawn_background(&CancellationToken::new());

    let call = ann(&runtime).await;
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
    let again = runtime.app().run(&ann(&runtime).await, &get).await.unwrap();
    assert_eq!(again.request_id, asked.request.request_id);
    runtime.close().await;
}

/// A task of the host's own.
struct Own(&'static str);

#[async_trait::async_trait]
impl PeriodicTask for Own {
    fn declared(&self) -> Periodic {
        Periodic::every(self.0, Duration::from_secs(60))
    }
    async fn run(&self, _: &Arc<Asgard>) -> Result<Next> {
        Ok(Next::Rest)
    }
}

fn service(id: &str) -> Service {
    let manifest = json!({
        "id": id, "title": "Desk", "description": "A desk in the office.", "cloud": "local", "connector": "terraform",
        "approval": "auto", "cost": {"monthly_usd": 0}, "inputs": {"type": "object", "properties": {}},
        "outputs": {"number": {"description": "Its number.", "example": 7}}
    });
    Service::new(serde_json::from_value(manifest).unwrap(), Default::default()).unwrap()
}

#[tokio::test]
async fn what_is_given_replaces_its_default_and_the_rest_comes_by_itself() {
    let memory = MemoryStore::new();
    let clock = Arc::new(ManualClock::at("2030-01-02T03:04:05Z".parse().unwrap()));
    let builder = || {
        Runtime::builder(Config::default())
            .database(Opened::new(memory.clone()))
            .master_key(MasterKey::new([7; 32]))
            .clock(Arc::clone(&clock) as _)
    };
    let runtime = builder().service(service("desk")).periodic(Arc::new(Own("acme-count"))).open().await.unwrap();
    let app = runtime.app();
    assert_eq!(app.world().now().to_string(), "2030-01-02T03:04:05.000000Z");
    assert_eq!(runtime.master(), &Master::Given);
    let ids: Vec<&str> = app.services().iter().map(|service| service.manifest.id.as_str()).collect();
    assert!(ids.contains(&"desk") && ids.contains(&"random-secret"), "{ids:?}");
    let names: Vec<&str> = runtime.periodic_tasks().iter().map(|task| task.name()).collect();
    assert_eq!(names.last(), Some(&"acme-count"));
    assert!(names.contains(&"rotate-keys") && names.contains(&"collect-orphans"), "{names:?}");
    let background = runtime.spawn_background(&CancellationToken::new());
    background.stop(Duration::from_secs(20)).await;
    runtime.close().await;

    for (builder, said) in [
        (builder().service(service("random-secret")), "The service `random-secret`"),
        (builder().periodic(Arc::new(Own("expire"))), "The periodic task `expire`"),
        (builder().periodic(Arc::new(Own("a"))).periodic(Arc::new(Own("a"))), "The periodic task `a`"),
    ] {
        let error = builder.open().await.err().unwrap();
        assert_eq!(error.code(), Code::Config);
        assert!(error.message().contains(said) && error.message().contains("another one"), "{error}");
    }
    let error = builder().master_key(MasterKey::new([8; 32])).open().await.err().unwrap();
    assert!(error.message().contains("master key is wrong"), "{error}");
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
