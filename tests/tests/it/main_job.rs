//! Register, key, request over MCP, approval by a person, the real Terraform, the secret, and everything after it; and that
//! the secret shows nowhere.

use crate::job::{
    all, ask, committed, fulfilled, log, provide, pushed_through, request_id, runs, story, text, the_resource,
};
use asgard_tests::{Cast, Client, Site, eventually};
use serde_json::{Value, json};
use std::{
    fs,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

#[test]
fn main_job_on_sqlite() {
    // Whatever is logged, at the finest level that there is.
    main_job(&Site::sqlite().armed().with("ASGARD_LOG", "trace"));
}

#[test]
fn main_job_on_postgres() {
    main_job(&Site::postgres().armed());
}

#[test]
fn main_job_on_dynamodb() {
    main_job(&Site::dynamodb().armed());
}

const NAME: &str = "local-demo.demo.token";

fn main_job(site: &Site) {
    let supervisors = SupervisorLogs::watch(site);
    let mut server = site.start();
    let cast = site.cast(&server);
    let project = cast.project("Pilot");
    let other = cast.project("Other");
    let key = cast.key(&project);

    let token = create(&cast, &project, &key);
    reveal(&cast, &project, &other, &key, &token);
    site.assert_kept(std::slice::from_ref(&token));

    update_in_place(&cast, &project, &key, &token);
    let rotated = rotate(&cast, &project, &key, &token);
    refresh(&cast, &project);
    let again = fail_and_retry(&cast, &project, &key);
    let secrets = [token, rotated, again];
    site.assert_kept(&secrets);

    deprovision(&cast, &project, &key);
    for resource in all(&cast.owner.session, &format!("/api/projects/{project}/resources?include_destroyed=true")) {
        runs(&cast.owner.session, &resource).iter().for_each(|run| assert!(!log(&cast.owner.session, run).is_empty()));
    }
    audited(&cast, &project);
    site.assert_no_orphans();
    site.assert_no_leftovers();
    assert!(server.stop().success(), "SIGTERM ends the server well");
    site.assert_kept(&secrets);
    supervisors.assert_kept(&secrets);
}

/// Asked with a key, approved by the only person who may, carried out.
fn create(cast: &Cast, project: &str, key: &Client) -> String {
    let spec = json!({"name": "demo", "approval": "human", "monthly_usd": 5});
    let asked = ask(key, "local-demo", "demo", &spec);
    assert_eq!((asked["changed"].as_bool(), text(&asked["request"], "status")), (Some(true), "planning"));
    let id = request_id(&asked);
    let pending = cast.owner.session.settled(&id);
    assert_eq!(text(&pending, "status"), "pending", "{pending:#}");
    assert_eq!(pending["plan"]["create"], 6, "{pending:#}");
    assert!(pending["plan"]["changes"].to_string().contains("terraform_data.token"), "{pending:#}");
    assert_eq!(pending["verdict"]["verdict"], "human");
    assert_eq!((pending["monthly_usd"].as_f64(), committed(&cast.owner.session, project)), (Some(5.0), 0.0));

    let approve = format!("/api/requests/{id}/approve");
    cast.owner.session.post(&approve, &json!({})).refused(403, "denied");
    cast.owner.pat.post(&approve, &json!({})).refused(403, "denied");
    cast.stranger.session.post(&approve, &json!({})).refused(404, "not-found");
    cast.finance.session.post(&approve, &json!({})).refused(403, "denied");
    let approve_tool = |who: &Client| who.tool("approve_request", &json!({"request_id": id}));
    assert_eq!(approve_tool(key).code(), "denied");
    assert_eq!(approve_tool(&cast.owner.pat).code(), "denied");
    let inbox = |who: &Client| all(who, "/api/approvals").iter().filter(|request| request["request_id"] == *id).count();
    assert_eq!((inbox(&cast.manager.session), inbox(&cast.admin.session), inbox(&cast.stranger.session)), (1, 1, 0));

    // Whoever minted the key that asked is barred as well, whatever else they are.
    let (managers_key, _) = cast.manager.mint(project);
    let own = ask(&managers_key, "local-demo", "own-key", &json!({"approval": "human"}));
    let own = request_id(&own);
    assert_eq!(text(&cast.owner.session.settled(&own), "status"), "pending");
    cast.manager.session.post(&format!("/api/requests/{own}/approve"), &json!({})).refused(403, "separation-of-duties");
    let rejected = cast.admin.session.post(&format!("/api/requests/{own}/reject"), &json!({"note": "not needed"})).ok();
    assert_eq!(text(&rejected, "status"), "rejected");
    assert_eq!(
        all(&cast.owner.session, &format!("/api/projects/{project}/resources")).len(),
        1,
        "nothing is left of it"
    );

    // A version that is not the present one decides nothing.
    let stale = json!({"version": another_version(cast, project)});
    cast.manager.session.post(&approve, &stale).refused(409, "stale-version");
    let approved = cast.manager.session.post(&approve, &json!({"version": pending["version"], "note": "fine"})).ok();
    assert_eq!(text(&approved, "status"), "approved");
    cast.manager.session.post(&approve, &json!({})).refused(409, "wrong-state");
    fulfilled(&cast.owner.session, &id);

    let listed = the_resource(&cast.owner.session, project, "demo");
    let path = format!("/api/projects/{project}/resources/{}", text(&listed, "resource_id"));
    let resource = cast.owner.session.get(&path).ok();
    assert_eq!((text(&resource, "status"), text(&resource, "request_state")), ("provisioned", "fulfilled"));
    assert!(resource.get("dry_run").is_none(), "{resource:#}");
    let demo = text(&resource["outputs"], "id");
    assert!(demo.starts_with(&format!("{project}-demo-")) && demo.len() == project.len() + 14, "{demo}");
    assert_eq!(text(&resource["secret_refs"]["token"], "name"), NAME, "{resource:#}");
    assert!(resource["outputs"].get("token").is_none(), "{resource:#}");
    assert_eq!(committed(&cast.owner.session, project), 5.0);
    let runs = runs(&cast.owner.session, &resource);
    assert_eq!(story(&runs), ["plan succeeded", "apply succeeded"]);
    let engine = text(&runs[1], "engine").to_lowercase();
    assert!(engine.contains("terraform"), "{engine}");

    let value = key.secret(NAME, None).ok();
    let token = text(&value, "value").to_owned();
    assert!(token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit()), "the token is 64 hex digits");
    token
}

/// The version of something else: well formed, and not the present one.
fn another_version(cast: &Cast, project: &str) -> Value {
    cast.owner.session.get(&format!("/api/projects/{project}")).ok()["version"].clone()
}

/// The key and the owner's and manager's tokens see the value; nobody else does, and no other way leads to it.
fn reveal(cast: &Cast, project: &str, other: &str, key: &Client, token: &str) {
    for who in [&cast.owner.pat, &cast.manager.pat] {
        assert_eq!(text(&who.secret(NAME, Some(project)).ok(), "value"), token);
    }
    assert_eq!(text(&key.secret(NAME, Some(project)).ok(), "value"), token);
    for who in [&cast.admin.pat, &cast.finance.pat] {
        assert_eq!(who.secret(NAME, Some(project)).code(), "denied");
    }
    assert_eq!(cast.stranger.pat.secret(NAME, Some(project)).code(), "not-found");
    let foreign = cast.key(other);
    assert_eq!(foreign.secret(NAME, Some(project)).code(), "denied");
    assert_eq!(foreign.secret(NAME, None).code(), "not-found");
    assert_eq!(key.secret("local-demo.demo.nothing", None).code(), "not-found");
    let call = json!({"name": "get_secret", "arguments": {"name": NAME, "project_id": project}});
    let refused = cast.owner.session.mcp("tools/call", &call);
    assert_eq!(refused.status, 401, "a session does not work on MCP: {refused:?}");
    // There is no route for it.
    for path in
        [format!("/api/projects/{project}/secrets/{NAME}"), format!("/api/projects/{project}/secrets/{NAME}/value")]
    {
        let reply = cast.owner.session.get(&path);
        assert!(matches!(reply.status, 404 | 405), "{reply:?}");
    }
    let secrets = all(&cast.owner.session, &format!("/api/projects/{project}/secrets"));
    assert_eq!(secrets.iter().map(|secret| text(secret, "name")).collect::<Vec<_>>(), [NAME]);
}

fn update_in_place(cast: &Cast, project: &str, key: &Client, token: &str) {
    let before = the_resource(&cast.owner.session, project, "demo");
    let spec = json!({"approval": "auto", "monthly_usd": 7});
    let asked = ask(key, "local-demo", "demo", &spec);
    let id = request_id(&asked);
    // What exists was approved by a person, so a change of it is as well, whatever the new inputs say.
    let pending = cast.owner.session.settled(&id);
    assert_eq!((text(&pending, "status"), text(&pending, "rule")), ("pending", "approval.present"), "{pending:#}");
    cast.manager.session.post(&format!("/api/requests/{id}/approve"), &json!({})).ok();
    fulfilled(&cast.owner.session, &id);
    let after = the_resource(&cast.owner.session, project, "demo");
    assert_eq!(after["resource_id"], before["resource_id"]);
    assert_eq!(after["outputs"], before["outputs"], "an update keeps the demo");
    assert_eq!(after["spec"]["monthly_usd"], 7);
    assert_eq!(text(&key.secret(NAME, None).ok(), "value"), token, "an update keeps the token");
    assert_eq!(committed(&cast.owner.session, project), 7.0);

    // The same again, also with a default written out, changes nothing.
    let seen = runs(&cast.owner.session, &after).len();
    for spec in [spec, json!({"approval": "auto", "monthly_usd": 7, "seconds": 0})] {
        let again = ask(key, "local-demo", "demo", &spec);
        assert_eq!((again["changed"].as_bool(), text(&again["request"], "status")), (Some(false), "fulfilled"));
        assert_eq!(again["resource"]["outputs"], before["outputs"]);
    }
    assert_eq!(runs(&cast.owner.session, &after).len(), seen, "nothing ran");

    // An input that nobody declared is refused, with those that are.
    let odd = json!({"service": "local-demo", "name": "demo", "spec": {"secnods": 1}});
    let refused = key.tool("request_resource", &odd);
    assert_eq!(refused.code(), "invalid-spec");
    assert!(refused.content.to_string().contains("seconds"), "{:#}", refused.content);
}

fn rotate(cast: &Cast, project: &str, key: &Client, token: &str) -> String {
    let before = the_resource(&cast.owner.session, project, "demo");
    let asked = key.tool("rotate_secret", &json!({"name": NAME})).ok();
    fulfilled(&cast.owner.session, &request_id(&asked));
    let after = the_resource(&cast.owner.session, project, "demo");
    let secret = key.secret(NAME, None).ok();
    assert_eq!(secret["version"], 2);
    assert_ne!(text(&secret, "value"), token, "the token is another one");
    assert_eq!((&after["outputs"], &after["spec"]), (&before["outputs"], &before["spec"]), "and nothing else changed");
    text(&secret, "value").to_owned()
}

fn refresh(cast: &Cast, project: &str) {
    let resource = the_resource(&cast.owner.session, project, "demo");
    let path = format!("/api/projects/{project}/resources/{}/refresh", text(&resource, "resource_id"));
    let run = cast.owner.session.post(&path, &json!({})).ok();
    let id = text(&run, "run_id");
    let over = eventually("the refresh is over", || {
        let run = cast.owner.session.get(&format!("/api/runs/{id}")).ok();
        run["finished_at"].is_string().then_some(run)
    });
    assert_eq!((text(&over, "op"), text(&over, "status")), ("refresh", "succeeded"), "{over:#}");
    let after = the_resource(&cast.owner.session, project, "demo");
    assert!(after["refreshed_at"].is_string() && after.get("drift").is_none(), "nothing drifted: {after:#}");
}

/// A service that really fails half-way, and the way on: the same token, no second resource.
fn fail_and_retry(cast: &Cast, project: &str, key: &Client) -> String {
    let asked = ask(key, "local-demo", "broken", &json!({"fail_at": "apply"}));
    let over = cast.owner.session.settled(&request_id(&asked));
    assert_eq!(text(&over, "status"), "failed", "{over:#}");
    assert!(text(&over, "error").contains("local-demo fails at apply"), "{over:#}");
    let resource = the_resource(&cast.owner.session, project, "broken");
    assert_eq!(text(&resource, "status"), "failed");
    let path = format!("/api/projects/{project}/resources/{}", text(&resource, "resource_id"));
    let retry = cast.owner.session.post(&format!("{path}/retry"), &json!({})).ok();
    assert_eq!(text(&pushed_through(cast, &request_id(&retry)), "status"), "failed", "it fails again");
    let mended = ask(key, "local-demo", "broken", &json!({}));
    assert_eq!(text(&pushed_through(cast, &request_id(&mended)), "status"), "fulfilled");
    let resource = the_resource(&cast.owner.session, project, "broken");
    assert_eq!(text(&resource, "status"), "provisioned");
    text(&key.secret("local-demo.broken.token", None).ok(), "value").to_owned()
}

fn deprovision(cast: &Cast, project: &str, key: &Client) {
    for (name, secret) in [("demo", NAME), ("broken", "local-demo.broken.token")] {
        let resource = the_resource(&cast.owner.session, project, name);
        let path = format!("/api/projects/{project}/resources/{}", text(&resource, "resource_id"));
        let asked = cast.owner.session.delete(&path).ok();
        fulfilled(&cast.owner.session, &request_id(&asked));
        assert_eq!(text(&cast.owner.session.get(&path).ok(), "status"), "destroyed");
        assert_eq!(key.secret(secret, None).code(), "not-found");
        cast.owner.session.delete(&path).refused(409, "wrong-state");
    }
    assert!(all(&cast.owner.session, &format!("/api/projects/{project}/secrets")).is_empty());
    assert_eq!(committed(&cast.owner.session, project), 0.0);
    // The name is free again, and what comes under it is new.
    let fresh = ask(key, "local-demo", "demo", &json!({"approval": "human"}));
    let fresh = cast.owner.session.settled(&request_id(&fresh));
    assert_eq!(fresh["plan"]["create"], 6, "{fresh:#}");
    let id = text(&fresh, "request_id");
    assert_eq!(text(&key.tool("cancel_request", &json!({"request_id": id})).ok(), "status"), "cancelled");
}

fn audited(cast: &Cast, project: &str) {
    let events = all(&cast.finance.session, &format!("/api/audit?project_id={project}"));
    let count = |action: &str| events.iter().filter(|event| event["action"] == action).count();
    for action in [
        "project.registered",
        "key.minted",
        "request.opened",
        "request.approved",
        "run.started",
        "request.fulfilled",
        "request.rejected",
    ] {
        assert!(count(action) > 0, "{action} is not in the audit log");
    }
    assert_eq!(count("secret.revealed"), 7, "each time that a value was shown");
    let approvals: Vec<&Value> = events
        .iter()
        .filter(|event| event["action"] == "request.approved" && event["actor"]["kind"] != "system")
        .collect();
    assert_eq!(approvals.len(), 4, "{approvals:#?}");
    assert!(approvals.iter().all(|event| event["actor"]["person"] == cast.manager.email.as_str()), "{approvals:#?}");
    let report = eventually("every event is sealed", || {
        let report = cast.admin.session.get("/api/audit/verify").ok();
        (report["unsealed"] == 0).then_some(report)
    });
    assert!(report["breaks"].as_array().is_some_and(Vec::is_empty), "{report:#}");
}

/// What supervisors log, kept although they take it away themselves.
struct SupervisorLogs {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<u8>>>,
    watcher: thread::JoinHandle<()>,
}

impl SupervisorLogs {
    fn watch(site: &Site) -> Self {
        let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (work, stopped, kept) = (site.work_dir(), Arc::clone(&stop), Arc::clone(&seen));
        let watcher = thread::spawn(move || {
            let mut logs = std::collections::BTreeMap::new();
            while !stopped.load(Ordering::Relaxed) {
                let entries = fs::read_dir(&work).into_iter().flatten().flatten().map(|entry| entry.path());
                for path in entries.filter(|path| path.extension().is_some_and(|extension| extension == "log")) {
                    if let Ok(bytes) = fs::read(&path) {
                        logs.insert(path, bytes);
                    }
                }
                thread::sleep(Duration::from_millis(10));
            }
            *kept.lock().unwrap() = logs.into_values().flatten().collect();
        });
        Self { stop, seen, watcher }
    }

    fn assert_kept(self, secrets: &[String]) {
        self.stop.store(true, Ordering::Relaxed);
        self.watcher.join().unwrap();
        let seen = self.seen.lock().unwrap();
        asgard_tests::assert_absent(secrets, &[("the supervisors' logs", &seen)], &[]);
    }
}

/// While provisioning is not armed, outputs are made up and say so. Armed later, the same spec is carried out for real.
#[test]
fn unarmed_is_a_dry_run_until_it_is_armed() {
    let mut site = Site::sqlite();
    let mut server = site.start();
    let cast = site.cast(&server);
    let project = cast.project("Dry");
    let key = cast.key(&project);
    let spec = json!({"monthly_usd": 4});
    provide(&key, &cast.owner.session, "local-demo", "demo", &spec);
    let dry = the_resource(&cast.owner.session, &project, "demo");
    assert_eq!((text(&dry, "status"), dry["dry_run"].as_bool()), ("provisioned", Some(true)), "{dry:#}");
    assert!(dry["outputs"]["id"].is_string(), "{dry:#}");
    assert_eq!(cast.owner.session.get("/api/services/local-demo").ok()["armed"], false);
    let again = ask(&key, "local-demo", "demo", &spec);
    assert_eq!(again["changed"], false);
    assert_eq!(site.processes().len(), 1, "a dry run starts nothing");
    assert!(server.stop().success());

    site.arm();
    let server = site.start();
    let cast = cast.at(server.base());
    let key = key.at(server.base());
    assert_eq!(cast.owner.session.get("/api/services/local-demo").ok()["armed"], true);
    let asked = ask(&key, "local-demo", "demo", &spec);
    assert_eq!(asked["changed"], true, "a dry-run resource counts as changed once armed");
    fulfilled(&cast.owner.session, &request_id(&asked));
    let real = the_resource(&cast.owner.session, &project, "demo");
    assert_eq!((real.get("dry_run"), &real["resource_id"]), (None, &dry["resource_id"]), "{real:#}");
    assert_ne!(real["outputs"], dry["outputs"]);
    assert_eq!(committed(&cast.owner.session, &project), 4.0, "counted once");
    let token = text(&key.secret("local-demo.demo.token", None).ok(), "value").to_owned();
    assert_eq!(token.len(), 64);
    site.assert_kept(&[token]);
    let runners: Vec<Value> = runs(&cast.owner.session, &real).iter().map(|run| run["runner"].clone()).collect();
    assert_eq!(runners, ["dry-run", "dry-run", "local-process", "local-process"]);
}
