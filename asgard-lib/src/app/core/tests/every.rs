//! Every operation of the table, on a store where every second commit loses a race: none has an effect inside its decision,
//! and none forgets to ask for the action that its entry names. An operation that is not called here fails the test.

use crate::{
    app::{
        Call, operations,
        people::{Accepts, Vouched, authenticate, vouched_for},
        testkit::{Kit, MANAGER, OWNER, member, signed_in},
        worker,
    },
    error::Code,
    kernel::{Actor, Party, Person, Role, UserId},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::atomic::Ordering::SeqCst, time::Duration};

struct Caller<'k> {
    kit: &'k Kit,
    /// How often the store was asked for something by each operation, its commits left out; and how often it committed. The most of
    /// its calls, each.
    called: BTreeMap<&'static str, (i64, u32)>,
}

impl Caller<'_> {
    async fn call(&mut self, who: &Actor, name: &'static str, input: Value) -> Value {
        let entry = operations::named(name).unwrap_or_else(|| panic!("there is no {name}"));
        let key = |more: &str| entry.meta.creates.then(|| format!("{more} {}", self.kit.app.new_trace()));
        let once = key("once");
        let call =
            |key: Option<String>| Call { idempotency_key: key, ..Call::by(who.clone(), self.kit.app.new_trace()) };
        let fault = &self.kit.faulty.fault;
        let (calls, commits) = (fault.calls.load(SeqCst), fault.commits.load(SeqCst));
        let answer = entry.call(&self.kit.app, &call(once.clone()), input.clone()).await;
        let (calls, commits) = (fault.calls.load(SeqCst) - calls, fault.commits.load(SeqCst) - commits);
        let most = self.called.entry(name).or_default();
        *most = (most.0.max(calls - i64::from(commits)), most.1.max(commits));
        match answer {
            Ok(answer) => {
                if entry.meta.creates {
                    let again = entry.call(&self.kit.app, &call(once), input.clone()).await.unwrap();
                    assert!(again.replayed, "{name}");
                    // Asking anew for what is there, or under way, changes nothing or is refused; it is no fault.
                    if let Err(error) = entry.call(&self.kit.app, &call(key("anew")), input).await {
                        assert_ne!(error.code(), Code::Bug, "{name}: {}", error.chain());
                    }
                }
                answer.value
            }
            Err(error) => panic!("{name}: {}", error.chain()),
        }
    }

    /// A request of the service that people approve, planned.
    async fn pending(&mut self, who: &Actor, name: &str) -> Value {
        let spec = json!({"project_id": self.kit.project, "service": "asked", "name": name});
        let asked = self.call(who, "requests.create", spec).await;
        worker::run_due(&self.kit.app).await.unwrap();
        json!({"request_id": asked["request"]["request_id"]})
    }
}

fn admin() -> Actor {
    let Actor::Human { person, sign_in, .. } = signed_in("admin@corp.example") else { panic!("a person") };
    Actor::Human { person, sign_in, role: Role::Admin }
}

#[tokio::test(start_paused = true)]
async fn every_operation_keeps_to_its_steps_on_a_store_with_many_races() {
    let kit = Kit::dry().await;
    kit.enrol(OWNER).await;
    kit.faulty.fault.conflict_every.store(2, SeqCst);
    all_are_called(&kit).await;
    assert!(kit.faulty.fault.conflicts.load(SeqCst) > 30, "nobody was faster");
}

/// How many round trips each operation makes to the store, where nobody is faster: what it reads, and what it commits. One more is
/// one more that whoever calls waits for. The list is a snapshot.
#[tokio::test(start_paused = true)]
async fn every_operation_makes_as_many_round_trips_as_the_list_says() {
    let kit = Kit::dry().await;
    kit.enrol(OWNER).await;
    let called = all_are_called(&kit).await;
    assert!(called["requests.create"].0 <= 4, "{:?}", called["requests.create"]);
    let mut text = "# operation, round trips that read, commits\n".to_owned();
    for (name, (reads, commits)) in called {
        // What changes something and committed nothing was measured where there was nothing to do.
        let reads_only = operations::named(name).unwrap().meta.hints.read_only;
        assert!(reads_only || commits > 0, "{name} committed nothing");
        text.push_str(&format!("{name} {reads} {commits}\n"));
    }
    insta::assert_snapshot!("round_trips", text);
}

async fn all_are_called(kit: &Kit) -> BTreeMap<&'static str, (i64, u32)> {
    let (owner, manager, admin) = (member(OWNER), member(MANAGER), admin());
    let mut caller = Caller { kit, called: BTreeMap::new() };
    let project = json!({"project_id": kit.project});
    let with = |more: Value| {
        let mut all = project.clone();
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };

    // People.
    let (password, other) = ("correct horse battery", "staple staple staple");
    let mia = json!({"username": "mia", "password": password, "email": "mia@corp.example"});
    let made = caller.call(&admin, "users.create", mia).await;
    let user: UserId = serde_json::from_value(made["id"].clone()).unwrap();
    let Actor::Human { sign_in, .. } = signed_in("mia@corp.example") else { panic!("a person") };
    let person = Person::verified(user, "mia@corp.example".parse().unwrap());
    let mia = Actor::Human { person, role: Role::Member, sign_in };
    caller.call(&mia, "auth.config", json!({})).await;
    caller.call(&mia, "auth.login", json!({"username": "mia", "password": password})).await;
    caller.call(&mia, "auth.me", json!({})).await;
    let sessions = caller.call(&mia, "sessions.list", json!({})).await;
    caller.call(&mia, "sessions.revoke", json!({"session_id": sessions["items"][0]["id"]})).await;
    let token = caller.call(&mia, "tokens.create", json!({"name": "laptop"})).await;
    caller.call(&mia, "tokens.list", json!({})).await;
    caller.call(&mia, "tokens.revoke", json!({"token_id": token["id"]})).await;
    let phone = caller.call(&mia, "tokens.create", json!({"name": "phone"})).await;
    let phone = json!({"user_id": made["id"], "credential_id": phone["id"]});
    caller.call(&admin, "users.revoke_credential", phone).await;
    let change = json!({"current_password": password, "new_password": other});
    caller.call(&mia, "auth.change_password", change).await;
    let session = caller.call(&mia, "auth.login", json!({"username": "mia", "password": other})).await;
    let session = authenticate(&kit.app, session["token"].as_str().unwrap(), Accepts::People).await.unwrap();
    caller.call(&session, "auth.logout", json!({})).await;
    caller.call(&admin, "users.list", json!({})).await;
    let of = |more: Value| {
        let mut all = json!({"user_id": made["id"]});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    caller.call(&admin, "users.get", of(json!({}))).await;
    caller.call(&admin, "users.sessions", of(json!({}))).await;
    caller.call(&admin, "users.tokens", of(json!({}))).await;
    caller.call(&admin, "users.sign_out", of(json!({}))).await;
    let root = Vouched::new("root@corp.example".parse().unwrap(), Role::Admin);
    let account = vouched_for(&kit.app, &root).await.unwrap().user().unwrap().to_string();
    let root = root.known_as("https://idp.example".parse().unwrap(), "00u1".parse().unwrap());
    vouched_for(&kit.app, &root).await.unwrap_err();
    let identity = json!({"user_id": account, "issuer": "https://idp.example", "subject": "00u1"});
    caller.call(&admin, "users.confirm_identity", identity).await;
    caller.call(&admin, "users.set_role", json!({"user_id": made["id"], "role": "finance"})).await;
    caller.call(&admin, "users.set_active", json!({"user_id": made["id"], "active": false})).await;

    // A project and its keys.
    let second = json!({"name": "Second", "owner_email": OWNER, "manager_email": MANAGER, "group": "platform"});
    let second = caller.call(&owner, "projects.register", second).await;
    caller.call(&owner, "projects.list", json!({})).await;
    caller.call(&owner, "projects.get", project.clone()).await;
    caller.call(&owner, "projects.state", project.clone()).await;
    caller.call(&owner, "projects.update", with(json!({"description": "For tests."}))).await;
    caller.call(&owner, "projects.requirements", json!({})).await;
    caller.call(&owner, "groups.list", json!({})).await;
    let key = caller.call(&owner, "keys.mint", with(json!({"name": "agent"}))).await;
    caller.call(&owner, "keys.list", project.clone()).await;
    caller.call(&owner, "keys.revoke", with(json!({"key_id": key["id"]}))).await;
    let key = caller.call(&owner, "keys.mint", with(json!({"name": "agent"}))).await;
    let itself = Actor::ProjectKey {
        key: serde_json::from_value(key["id"].clone()).unwrap(),
        project: kit.project.clone(),
        minted_by: Party::Address(OWNER.parse().unwrap()),
    };
    caller.call(&itself, "keys.revoke", json!({"key_id": key["id"]})).await;
    let key = caller.call(&admin, "keys.mint", with(json!({"name": "for others"}))).await;
    caller.call(&owner, "keys.flagged", json!({})).await;
    caller.call(&owner, "keys.adopt", with(json!({"key_id": key["id"]}))).await;
    let second = json!({"project_id": second["project_id"]});
    let mut kill = second.clone();
    kill["reason"] = json!("A test.");
    caller.call(&owner, "projects.kill", kill).await;
    caller.call(&owner, "projects.unkill", second.clone()).await;
    caller.call(&owner, "projects.decommission", second).await;

    // Requests, resources and secrets.
    caller.call(&owner, "services.list", json!({})).await;
    caller.call(&owner, "services.get", json!({"service": "keyed"})).await;
    let spec = with(json!({"service": "keyed", "name": "one", "spec": {"password": "hunter2"}}));
    let asked = caller.call(&owner, "requests.create", spec).await;
    worker::run_due(&kit.app).await.unwrap();
    caller.call(&owner, "requests.get", json!({"request_id": asked["request"]["request_id"]})).await;
    caller.call(&owner, "requests.explain", json!({"request_id": asked["request"]["request_id"]})).await;
    for who in [&owner, &admin] {
        let scope = if who == &owner { project.clone() } else { json!({}) };
        caller.call(who, "requests.list", scope.clone()).await;
        caller.call(who, "audit.list", scope).await;
    }
    let approved = caller.pending(&owner, "approved").await;
    caller.call(&manager, "requests.pending", json!({})).await;
    caller.call(&manager, "requests.approve", approved).await;
    let rejected = caller.pending(&owner, "rejected").await;
    caller.call(&manager, "requests.reject", rejected).await;
    let cancelled = caller.pending(&owner, "cancelled").await;
    caller.call(&owner, "requests.cancel", cancelled).await;
    // A change that is taken back leaves a resource that it can be asked for again.
    kit.pass(Duration::from_secs(5));
    worker::run_due(&kit.app).await.unwrap();
    let change = with(json!({"service": "asked", "name": "approved", "spec": {"size": "l"}}));
    let change = caller.call(&owner, "requests.create", change).await;
    worker::run_due(&kit.app).await.unwrap();
    caller.call(&owner, "requests.cancel", json!({"request_id": change["request"]["request_id"]})).await;
    let changed = with(json!({"resource_id": change["resource"]["resource_id"]}));
    caller.call(&owner, "resources.retry", changed).await;
    caller.call(&owner, "secrets.list", project.clone()).await;
    let revealed = caller.call(&owner, "secrets.reveal", with(json!({"name": "keyed.one.password"}))).await;
    assert_eq!(revealed["value"], "hunter2");
    let resource = with(json!({"resource_id": asked["resource"]["resource_id"]}));
    caller.call(&owner, "resources.list", project.clone()).await;
    caller.call(&owner, "resources.get", resource.clone()).await;
    let runs = caller.call(&owner, "runs.list", resource.clone()).await;
    let run = json!({"run_id": runs["items"][0]["run_id"]});
    caller.call(&owner, "runs.get", run.clone()).await;
    caller.call(&owner, "runs.log", run).await;
    caller.call(&owner, "resources.refresh", resource.clone()).await;
    kit.pass(Duration::from_secs(5));
    worker::run_due(&kit.app).await.unwrap();
    caller.call(&owner, "secrets.rotate", with(json!({"name": "keyed.one.token"}))).await;
    worker::run_due(&kit.app).await.unwrap();
    caller.call(&owner, "resources.deprovision", resource).await;
    caller.call(&admin, "audit.verify", json!({})).await;
    caller.call(&admin, "audit.anchors", json!({})).await;
    caller.call(&admin, "requests.overview", json!({})).await;

    let names = operations::OPERATIONS.iter().map(|entry| entry.meta.name);
    let missing: Vec<_> = names.filter(|name| !caller.called.contains_key(name)).collect();
    assert!(missing.is_empty(), "never called: {missing:?}");
    caller.called
}
