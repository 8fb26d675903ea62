//! Databases of the version before, on every backend: they open, migrate, verify, are read through every operation, and
//! are worked on. What they hold is described in `tests/fixtures/0.1.0/README.md`.

use asgard_lib::{
    Code,
    adapters::{DryRun, LocalKey, MasterKeys, SealedSecrets, SealedVault},
    app::{
        Asgard, Call, Parts, ServiceCatalog, Source,
        operations::named,
        people::{Accepts, authenticate},
        periodic::{Next, PeriodicTask, RewriteRecords, SealAudit},
        worker,
    },
    backends::Opened,
    config::Config,
    kernel::{Actor, Timestamp},
    ports::{
        kinds::{self, Index, Kind},
        store::{Key, Query},
        world::{Clock, SystemEntropy, World},
    },
};
use serde_json::{Value, json};
use std::{path::PathBuf, sync::Arc, time::Instant};
use zeroize::Zeroizing;

/// A file of the fixtures.
pub fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/0.1.0").join(name)
}

/// A text of the fixtures.
pub fn text(name: &str) -> String {
    std::fs::read_to_string(file(name)).unwrap()
}

/// An hour after the fixtures were made, and on from there.
struct Later(Timestamp, Instant);

impl Clock for Later {
    fn now(&self) -> Timestamp {
        self.0.plus(self.1.elapsed())
    }
}

/// A control plane of the present code on a copy of the fixtures, and what its database holds.
pub struct Copy {
    pub app: Arc<Asgard>,
    pub database: Opened,
    known: Value,
}

impl Copy {
    /// Migrates the copy in `database`; `known` is the file of its ids and credentials.
    pub async fn open(database: Opened, known: &str) -> Self {
        database.migrate().await.unwrap();
        let world = World::new(
            Arc::new(Later("2026-06-01T10:00:00Z".parse().unwrap(), Instant::now())),
            Arc::new(SystemEntropy),
        );
        let masters = MasterKeys::only(Arc::new(LocalKey::new(Zeroizing::new([7; 32]), world.clone())));
        let (store, blobs) = (Arc::clone(&database.store), Arc::clone(&database.blobs));
        let vault = SealedVault::on(store, blobs, masters, world.clone()).await.unwrap();
        let keyring = Arc::clone(vault.keyring());
        let (config, dry) = (Config::default(), DryRun::new());
        let secrets = Arc::new(SealedSecrets::new(Arc::clone(&vault), world.clone()));
        let parts = Parts::new(Arc::clone(&database.store), vault, keyring, secrets, Arc::clone(&dry) as _)
            .services(ServiceCatalog::load(&config).unwrap())
            .world(world)
            .config(config);
        let app = Asgard::new(parts);
        dry.bind(&app);
        Self { app, database, known: serde_json::from_str(&text(known)).unwrap() }
    }

    /// What the file of ids and credentials says.
    pub fn known(&self, name: &str) -> &str {
        self.known[name].as_str().unwrap_or_else(|| panic!("the fixture has no {name}"))
    }

    fn request(&self, name: &str) -> &str {
        self.known["requests"][name].as_str().unwrap_or_else(|| panic!("the fixture has no request {name}"))
    }

    /// Who presents this credential.
    pub async fn actor(&self, name: &str) -> asgard_lib::Result<Actor> {
        let accepts = if name.starts_with("key.") { Accepts::Agents } else { Accepts::People };
        authenticate(&self.app, self.known(name), accepts).await
    }

    /// Runs an operation.
    pub async fn try_run(&self, actor: &Actor, operation: &str, input: Value) -> asgard_lib::Result<Value> {
        let call = Call::by(actor.clone(), self.app.new_trace());
        named(operation).unwrap().call(&self.app, &call, input).await.map(|answer| answer.value)
    }

    /// Runs an operation that works.
    pub async fn run(&self, actor: &Actor, operation: &str, input: Value) -> Value {
        let answer = self.try_run(actor, operation, input).await;
        answer.unwrap_or_else(|error| panic!("{operation}: {error:?}"))
    }

    /// Does every job that is due.
    pub async fn work(&self) {
        while worker::run_due(&self.app).await.unwrap() > 0 {}
    }

    async fn status(&self, actor: &Actor, request: &str) -> String {
        let request = self.run(actor, "requests.get", json!({ "request_id": request })).await;
        request["status"].as_str().unwrap().to_owned()
    }
}

/// The whole test, on a copy of any backend.
pub async fn works(copy: &Copy) {
    takes_no_older_build(copy).await;
    verifies(copy).await;
    is_read(copy).await;
    is_rewritten(copy).await;
    is_read(copy).await;
    is_worked_on(copy).await;
    verifies(copy).await;
}

async fn verifies(copy: &Copy) {
    let admin = copy.actor("session.admin").await.unwrap();
    let report = copy.run(&admin, "audit.verify", json!({})).await;
    assert_eq!((&report["breaks"], &report["complete"]), (&json!([]), &json!(true)), "{report:#}");
    assert!(report["blocks"].as_u64() >= Some(4) && report["events"].as_u64() >= Some(50), "{report:#}");
}

async fn is_read(copy: &Copy) {
    let [admin, ann, fin] = ["session.admin", "token.ann", "session.fin"];
    let (admin, ann) = (copy.actor(admin).await.unwrap(), copy.actor(ann).await.unwrap());
    let fin = copy.actor(fin).await.unwrap();
    for ended in ["session.gone", "token.gone", "key.revoked"] {
        assert_eq!(copy.actor(ended).await.unwrap_err().code(), Code::BadCredential, "{ended}");
    }
    let project = |name: &str| json!({ "project_id": copy.known(&format!("project.{name}")) });
    for (operation, input) in [
        ("auth.me", json!({})),
        ("users.list", json!({})),
        ("sessions.list", json!({})),
        ("tokens.list", json!({})),
        ("projects.list", json!({})),
        ("requests.list", json!({})),
        ("requests.pending", json!({})),
        ("audit.list", json!({})),
        ("keys.list", project("pilot")),
        ("resources.list", project("pilot")),
        ("secrets.list", project("pilot")),
        ("projects.state", project("killed")),
        ("projects.get", project("ended")),
    ] {
        let answer = copy.run(&admin, operation, input).await;
        let items = answer.get("items").and_then(Value::as_array);
        assert!(items.is_none_or(|items| !items.is_empty()), "{operation} shows nothing");
    }
    copy.run(&fin, "audit.list", project("pilot")).await;

    let names = |answer: &Value| -> Vec<String> {
        answer["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    let mine = copy.run(&ann, "projects.list", json!({})).await;
    assert_eq!(names(&mine), ["Hosted", "Killed", "Pilot"], "what ann owns or manages");
    let pilot = &mine["items"][2];
    assert_eq!(
        (&pilot["owner_email"], &pilot["manager_email"]),
        (&json!("ann@corp.example"), &json!("mia@corp.example"))
    );
    for (name, status) in [
        ("fulfilled", "fulfilled"),
        ("approved-and-fulfilled", "fulfilled"),
        ("rejected", "rejected"),
        ("cancelled", "cancelled"),
        ("failed", "failed"),
        ("pending", "pending"),
        ("pending-by-owner", "pending"),
        ("planning", "planning"),
    ] {
        assert_eq!(copy.status(&ann, copy.request(name)).await, status, "{name}");
    }
    let resources = copy.run(&ann, "resources.list", project("pilot")).await;
    for resource in resources["items"].as_array().unwrap() {
        let of = json!({ "project_id": resource["project_id"], "resource_id": resource["resource_id"] });
        copy.run(&ann, "resources.get", of.clone()).await;
        for run in copy.run(&ann, "runs.list", of).await["items"].as_array().unwrap() {
            copy.run(&ann, "runs.log", json!({ "run_id": run["run_id"] })).await;
        }
    }
    let agent = copy.actor("key.agent").await.unwrap();
    let secret = copy.run(&agent, "secrets.reveal", json!({ "name": "local-demo.demo.token" })).await;
    assert_eq!(secret["value"], copy.known("secret.local-demo.demo.token"));
}

/// Every record of an index: its layout and its body.
async fn records(copy: &Copy, index: &'static Index, partition: &str) -> Vec<(u16, Value)> {
    let found = copy.database.store.query(&Query::new(index, partition).take(200)).await.unwrap();
    assert!(found.next.is_none() && !found.records.is_empty(), "{}", index.name);
    found.records.iter().map(|record| (record.schema, serde_json::from_str(&record.body).unwrap())).collect()
}

/// Older layouts are written again in today's, and who is named by an address comes to be named by account.
async fn is_rewritten(copy: &Copy) {
    let pilot = copy.known("project.pilot");
    let walked: [(&'static Index, &str, u16); 5] = [
        (&kinds::USERS, "", 2),
        (&kinds::PROJECTS, "", 2),
        (&kinds::REQUESTS, "", 3),
        (&kinds::KEYS_BY_PROJECT, pilot, 2),
        (&kinds::RESOURCES_BY_PROJECT, pilot, 3),
    ];
    for (index, partition, _) in walked {
        let old = records(copy, index, partition).await;
        assert!(old.iter().all(|(layout, _)| *layout == 1), "{} is of the version before", index.name);
    }
    assert!(RewriteRecords.wanted(&copy.app).await.unwrap());
    let mut turns = 1;
    while RewriteRecords.run(&copy.app).await.unwrap() == Next::Again {
        turns += 1;
    }
    assert_eq!(turns, 3, "one for each kind that is walked");
    assert!(!RewriteRecords.wanted(&copy.app).await.unwrap());
    for (index, partition, today) in walked {
        let new = records(copy, index, partition).await;
        assert!(new.iter().all(|(layout, _)| *layout == today), "{} is of this version", index.name);
    }
    let [ann, mia, hosted] = ["user.ann", "user.mia", "user.hosted"].map(|name| json!(copy.known(name)));
    for (_, project) in records(copy, &kinds::PROJECTS, "").await {
        let expected = match project["name"].as_str().unwrap() {
            "Pilot" | "Killed" => (ann.clone(), mia.clone()),
            "Ended" => (json!(copy.known("user.gone")), mia.clone()),
            "Hosted" => (hosted.clone(), ann.clone()),
            "Strangers" => (Value::Null, Value::Null),
            name => panic!("the fixture has no project {name}"),
        };
        assert_eq!((project["owner_user"].clone(), project["manager_user"].clone()), expected, "{project:#}");
    }
    // What no person approved counts for the project, and for its owner, who is the account by now and owns nothing else that costs.
    let resources = records(copy, &kinds::RESOURCES_BY_PROJECT, pilot).await;
    assert!(resources.iter().all(|(_, resource)| resource["unapproved"].is_i64()), "{resources:#?}");
    let held = resources.iter().filter_map(|(_, resource)| resource["unapproved"].as_i64()).sum::<i64>();
    assert_eq!(held, 10_000_000, "its last request was a rotation, and tells nothing");
    for counter in [format!("unapproved/{pilot}"), format!("unapproved-of/{}", copy.known("user.ann"))] {
        assert_eq!(copy.database.store.counter(&counter).await.unwrap(), held, "{counter}");
    }
    let keys = records(copy, &kinds::KEYS_BY_PROJECT, pilot).await;
    assert_eq!(keys.iter().filter(|(_, key)| key["minted_by_user"] == ann).count(), 1, "{keys:#?}");
    assert!(keys.iter().all(|(_, key)| key["minted_by_user"].is_string()), "{keys:#?}");
    let requests = records(copy, &kinds::REQUESTS, "").await;
    assert!(requests.iter().all(|(_, request)| request["requested_by"]["user"] == ann), "{requests:#?}");
    for (_, user) in records(copy, &kinds::USERS, "").await {
        let local = json!([{"issuer": "local", "subject": user["username"], "email": user["email"], "verified": true}]);
        assert_eq!(user["identities"], local);
    }
}

/// Builds of the version before are refused from now on.
async fn takes_no_older_build(copy: &Copy) {
    let found = copy.database.store.get_many(&[Key::new(Kind::Meta, "store")]).await.unwrap();
    assert_eq!(found[0].as_ref().unwrap().body, r#"{"min_writer":3}"#);
}

async fn is_worked_on(copy: &Copy) {
    let [ann, mia] = ["token.ann", "session.mia"];
    let (ann, mia) = (copy.actor(ann).await.unwrap(), copy.actor(mia).await.unwrap());
    // A reply that the version before remembered is found again.
    let again = json!({"name": "Pilot", "owner_email": "ann@corp.example", "manager_email": "mia@corp.example", "group": "platform",
        "budget_usd": 500, "evidence": {"runbook_url": "https://runbooks.example/pilot"}});
    let session = copy.actor("session.ann").await.unwrap();
    let call = Call { idempotency_key: Some("register-pilot".into()), ..Call::by(session, copy.app.new_trace()) };
    let replayed = named("projects.register").unwrap().call(&copy.app, &call, again).await.unwrap();
    assert_eq!((replayed.replayed, &replayed.value["project_id"]), (true, &json!(copy.known("project.pilot"))));

    // The duties that stood before stand now.
    let approve = async |actor: &Actor, name: &str| {
        copy.try_run(actor, "requests.approve", json!({ "request_id": copy.request(name) })).await
    };
    assert_eq!(approve(&ann, "pending").await.unwrap_err().code(), Code::Denied);
    approve(&mia, "pending").await.unwrap();
    approve(&mia, "pending-by-owner").await.unwrap();
    copy.work().await;
    for name in ["pending", "pending-by-owner", "planning"] {
        assert_eq!(copy.status(&ann, copy.request(name)).await, "fulfilled", "{name}");
    }
    // Passwords, a new project, a key of it, and a resource.
    let call = Call::anonymous(copy.app.new_trace(), Source::default());
    let login = json!({ "username": "ann", "password": "staple staple staple" });
    named("auth.login").unwrap().call(&copy.app, &call, login).await.unwrap();
    let fresh = json!({ "name": "After", "owner_email": "ann@corp.example", "manager_email": "mia@corp.example", "group": "platform" });
    let fresh = copy.run(&ann, "projects.register", fresh).await["project_id"].clone();
    let key = copy.run(&ann, "keys.mint", json!({ "project_id": fresh, "name": "after" })).await;
    let agent = authenticate(&copy.app, key["key"].as_str().unwrap(), Accepts::Agents).await.unwrap();
    let asked = json!({ "service": "local-demo", "name": "after", "spec": {} });
    let asked = copy.run(&agent, "requests.create", asked).await["request"]["request_id"].clone();
    copy.work().await;
    assert_eq!(copy.status(&agent, asked.as_str().unwrap()).await, "fulfilled");
    SealAudit.run(&copy.app).await.unwrap();
}
