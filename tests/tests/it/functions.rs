//! The functions from end to end: people and agents at the emulator of Lambda, Terraform in tasks, the records in a table,
//! and everything that may come twice, late or never.

mod keys;

use crate::job::{all, ask, committed, log, request_id, runs, story, text, the_resource};
use asgard_tests::{
    Cast, Client, Fault, Functions, PASSWORD, RuntimeApi, Task, assert_absent, eventually, eventually_within, now,
    overlay,
};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::Duration,
};

/// How long a request may take: each of its runs waits for a tick and for a task.
const LIMIT: Duration = Duration::from_secs(180);

fn fulfilled(reader: &Client, request: &str) -> Value {
    let over = reader.settled_within(LIMIT, request);
    assert_eq!(over["status"], "fulfilled", "{over:#}");
    over
}

/// A deployment with people, a project and an agent.
struct Scene {
    functions: Functions,
    cast: Cast,
    project: String,
    agent: Client,
}

impl Scene {
    fn new() -> Self {
        Self::on(Functions::deploy())
    }

    fn on(functions: Functions) -> Self {
        let cast = functions.cast();
        let project = cast.project("Pilot");
        let agent = functions.mcp(&cast.key(&project));
        Self { functions, cast, project, agent }
    }

    fn owner(&self) -> &Client {
        &self.cast.owner.session
    }

    /// Asks for a demo whose steps take so many seconds, and returns the request and the resource.
    fn ask(&self, name: &str, seconds: u64) -> (String, Value) {
        let asked = ask(&self.agent, "local-demo", name, &json!({"seconds": seconds, "monthly_usd": 1}));
        (request_id(&asked), asked["resource"].clone())
    }

    /// Waits until Terraform applies, with a part of it done, and returns the apply.
    fn half_way(&self, resource: &Value) -> Value {
        let apply = eventually_within(LIMIT, "a step of the apply is done", || {
            let apply = runs(self.owner(), resource).into_iter().find(|run| run["op"] == "apply")?;
            let done = finished(self.owner(), &apply);
            done.iter().any(|address| address.contains("terraform_data.step_")).then_some(apply)
        });
        assert_eq!(text(&apply, "status"), "running", "{apply:#}");
        eventually("Terraform applies", || self.functions.site().terraforms("apply").pop());
        // The log may be ahead of the state by a moment. What is in the middle of a step is not told as done.
        thread::sleep(Duration::from_millis(1500));
        apply
    }

    /// What an interruption half-way comes to: the rest is planned and made, and nothing that was there is made again.
    fn assert_only_the_rest(&self, resource: &Value, name: &str) {
        let runs = runs(self.owner(), resource);
        assert_eq!(story(&runs), ["plan succeeded", "apply interrupted", "plan succeeded", "apply succeeded"]);
        let made = finished(self.owner(), &runs[1]);
        assert!(!made.is_empty(), "something was made before the interruption");
        let changes = runs[2]["plan"]["changes"].as_array().expect("changes");
        let planned: BTreeSet<String> = changes.iter().map(|change| text(change, "address").to_owned()).collect();
        assert!(made.is_disjoint(&planned), "made already and planned again: {made:?} {planned:?}");
        let after = the_resource(self.owner(), &self.project, name);
        assert!(after["status"] == "provisioned" && after.get("attention").is_none(), "{after:#}");
        assert_eq!(committed(self.owner(), &self.project), 1.0);
        let token = self.agent.secret(&format!("local-demo.{name}.token"), None).ok();
        assert_eq!(token["version"], 1, "the token was stored once");
        let again = ask(&self.agent, "local-demo", name, &resource["spec"]);
        assert_eq!(again["changed"], false, "what was asked for is there: {again:#}");
        self.functions.site().assert_kept(&[text(&token, "value").to_owned(), PASSWORD.to_owned()]);
    }

    /// One task did the work of each run.
    fn assert_one_task_each(&self, resource: &Value) -> Vec<Task> {
        let tasks = self.functions.ecs.tasks();
        for run in runs(self.owner(), resource) {
            let id = text(&run, "run_id");
            assert_eq!(tasks.iter().filter(|task| task.run == id).count(), 1, "{id}: {tasks:#?}");
            assert_eq!((text(&run, "status"), run["attempts"].as_u64()), ("succeeded", Some(1)), "{run:#}");
        }
        tasks
    }
}

/// The apply, while it is being carried out.
fn applying(reader: &Client, resource: &Value) -> Option<Value> {
    runs(reader, resource).into_iter().find(|run| run["op"] == "apply" && run["status"] == "running")
}

/// What an apply's log says is done.
fn finished(reader: &Client, apply: &Value) -> BTreeSet<String> {
    let lines = log(reader, apply);
    lines.iter().filter(|line| line["kind"] == "apply_complete").map(|line| text(line, "address").to_owned()).collect()
}

#[test]
fn the_main_job_through_the_functions() {
    // Whatever is logged, at the finest level that there is.
    let functions = Functions::with(&[("ASGARD_LOG", "trace")]).scheduled();
    surfaces(&functions);
    let scene = Scene::on(functions);
    let Scene { functions, cast, project, agent } = &scene;
    assert!(
        project.len() == 14 && project.starts_with("proj-") && project[5..].split('-').all(|part| part.len() == 4),
        "{project}"
    );
    let hello = agent.mcp("initialize", &client_info()).ok();
    assert_eq!(hello["result"]["protocolVersion"], "2025-11-25", "{hello:#}");
    assert_eq!(hello["result"]["serverInfo"]["name"], "asgard", "{hello:#}");
    let tools = agent.mcp("tools/list", &json!({})).ok();
    let tools = tools["result"]["tools"].as_array().expect("tools");
    for name in ["list_services", "request_resource", "get_secret"] {
        assert!(tools.iter().any(|tool| tool["name"] == name), "{name} is not in {tools:#?}");
    }

    let spec = json!({"name": "hello", "approval": "human", "monthly_usd": 5});
    let asked = ask(agent, "local-demo", "hello", &spec);
    let id = request_id(&asked);
    let pending = cast.owner.session.settled_within(LIMIT, &id);
    assert_eq!((text(&pending, "status"), pending["plan"]["create"].as_u64()), ("pending", Some(6)), "{pending:#}");
    let approve = format!("/api/requests/{id}/approve");
    // Who minted the key that asked is barred.
    cast.owner.session.post(&approve, &json!({})).refused(403, "denied");
    cast.manager.session.post(&approve, &json!({"version": pending["version"]})).ok();
    fulfilled(&cast.owner.session, &id);

    let resource = the_resource(&cast.owner.session, project, "hello");
    assert_eq!(text(&resource, "status"), "provisioned", "{resource:#}");
    assert_eq!(story(&runs(&cast.owner.session, &resource)), ["plan succeeded", "apply succeeded"]);
    for run in runs(&cast.owner.session, &resource) {
        assert_eq!(text(&run, "runner"), "fargate");
        assert!(text(&run, "engine").to_lowercase().contains("terraform"), "{run:#}");
    }
    let name = text(&resource["secret_refs"]["token"], "name").to_owned();
    let value = agent.secret(&name, None).ok();
    let token = text(&value, "value").to_owned();
    assert!(token.len() == 64 && token.bytes().all(|byte| byte.is_ascii_hexdigit()), "the token is 64 hex digits");
    let managers = functions.mcp(&cast.manager.pat).secret(&name, Some(project)).ok();
    assert_eq!(text(&managers, "value"), token);
    scene.assert_one_task_each(&resource);

    let path = format!("/api/projects/{project}/resources/{}", text(&resource, "resource_id"));
    let removal = request_id(&cast.owner.session.delete(&path).ok());
    let pending = cast.owner.session.settled_within(LIMIT, &removal);
    assert_eq!((text(&pending, "status"), pending["plan"]["delete"].as_u64()), ("pending", Some(6)), "{pending:#}");
    cast.manager.session.post(&format!("/api/requests/{removal}/approve"), &json!({})).ok();
    fulfilled(&cast.owner.session, &removal);
    assert_eq!(text(&cast.owner.session.get(&path).ok(), "status"), "destroyed");
    assert_eq!(agent.secret(&name, None).code(), "not-found");

    let events = all(&cast.finance.session, &format!("/api/audit?project_id={project}"));
    let count = |action: &str| events.iter().filter(|event| event["action"] == action).count();
    assert_eq!((count("secret.revealed"), count("request.fulfilled")), (2, 2), "{events:#?}");
    let report = eventually("a tick seals every event", || {
        let report = cast.admin.session.get("/api/audit/verify").ok();
        (report["unsealed"] == 0).then_some(report)
    });
    assert!(report["breaks"].as_array().is_some_and(Vec::is_empty), "{report:#}");
    assert!(functions.invokes.wakes() > 0, "commits wake the function that does jobs");
    functions.assert_tasks_ended_clean();
    functions.assert_events_went_well();
    functions.site().assert_kept(&[token, PASSWORD.to_owned()]);
    // What people and agents present comes with every event.
    let presented = [agent.credential(), cast.owner.session.credential(), cast.manager.pat.credential()];
    let (logs, table) = (functions.site().logs(), functions.site().database().dump());
    assert_absent(&presented.map(str::to_owned), &[("the logs", &logs), ("the table", &table)], &[]);
}

fn client_info() -> Value {
    json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "runbook", "version": "0"}})
}

/// The checks of the deploy runbook before anybody has signed in, and that each function has its own surface only.
fn surfaces(functions: &Functions) {
    let (api, mcp) = (functions.client("api"), functions.client("mcp"));
    for (path, says) in [("/healthz", "ok"), ("/readyz", "ready")] {
        let reply = api.get(path);
        assert_eq!((reply.status, reply.text.as_str()), (200, says), "{reply:?}");
    }
    assert_eq!(api.get("/api/projects").status, 401);
    assert_eq!(mcp.mcp("initialize", &client_info()).status, 401);
    assert_eq!(api.mcp("initialize", &client_info()).status, 404, "the API does not speak MCP");
    assert_eq!(mcp.get("/api/projects").status, 404, "and the other way round");
    let openapi = api.get("/api/openapi.json");
    assert_eq!(openapi.status, 200, "{openapi:?}");
}

#[test]
fn what_comes_twice_is_done_once() {
    let scene = Scene::new();
    scene.functions.invokes.twice();
    let (first, one) = scene.ask("one", 1);
    let (second, two) = scene.ask("two", 4);
    let apply = eventually_within(LIMIT, "the apply is running", || applying(scene.owner(), &two));
    let run = text(&apply, "run_id").to_owned();
    // One more task for a run that has one, as when ECS forgot a token.
    scene.functions.ecs.start_again(&run);
    let second_task = eventually_within(LIMIT, "the second task has ended", || {
        scene.functions.ecs.of_run(&run).into_iter().nth(1).filter(|task| task.exit.is_some())
    });
    assert_eq!(second_task.exit, Some(0), "it found nothing to do: {second_task:#?}");
    fulfilled(scene.owner(), &first);
    fulfilled(scene.owner(), &second);
    for (resource, name) in [(&one, "one"), (&two, "two")] {
        let done = runs(scene.owner(), resource);
        assert_eq!(story(&done), ["plan succeeded", "apply succeeded"], "{name}");
        assert!(done.iter().all(|run| run["attempts"] == 1), "{done:#?}");
        let token = scene.agent.secret(&format!("local-demo.{name}.token"), None).ok();
        assert_eq!(token["version"], 1);
    }
    scene.assert_one_task_each(&one);
    assert_eq!(scene.functions.ecs.tasks().len(), 5, "{:#?}", scene.functions.ecs.tasks());
    assert_eq!(committed(scene.owner(), &scene.project), 2.0);
    scene.functions.assert_tasks_ended_clean();
    scene.functions.assert_events_went_well();

    // Each moment of a schedule was served once, although both environments were sent it.
    let mut served: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for outcome in scene.functions.invokes.outcomes() {
        let (Some(name), Ok(result)) = (outcome.payload["name"].as_str(), outcome.result) else { continue };
        let moment = (name.to_owned(), text(&outcome.payload, "scheduled_at").to_owned());
        served.entry(moment).or_default().push(text(&result, "came_to").to_owned());
    }
    assert!(served.values().any(|came| came.contains(&"did".to_owned())), "{served:#?}");
    for (moment, came) in &served {
        assert!(came.iter().filter(|came| *came == "did").count() <= 1, "{moment:?}: {came:?}");
    }
    let both: BTreeSet<&str> = scene.functions.invokes.outcomes().iter().map(|outcome| outcome.at).collect();
    assert_eq!(both.len(), 2, "both environments had events");
}

#[test]
fn a_reply_that_gets_lost_starts_no_second_task() {
    let scene = Scene::new();
    // As often as the client tries by itself, and once more.
    scene.functions.ecs.fail(&[Fault::LostReply; 4]);
    let (request, resource) = scene.ask("lost", 0);
    fulfilled(scene.owner(), &request);
    assert_eq!(story(&runs(scene.owner(), &resource)), ["plan succeeded", "apply succeeded"]);
    let asked = scene.functions.ecs.asked();
    assert!(asked.len() > 3, "{asked:#?}");
    let tasks = scene.assert_one_task_each(&resource);
    assert_eq!(tasks.len(), 2, "{tasks:#?}");
    scene.functions.assert_tasks_ended_clean();
}

#[test]
fn a_run_waits_for_room() {
    let scene = Scene::new();
    scene.functions.ecs.fail(&[Fault::NoRoom; 2]);
    let (request, resource) = scene.ask("waits", 0);
    // It is asked again as late as a full Fargate says.
    let waiting = eventually_within(Duration::from_secs(90), "room was asked for twice", || {
        (scene.functions.ecs.asked().len() >= 2).then(|| scene.functions.ecs.tasks())
    });
    assert!(waiting.is_empty(), "{waiting:#?}");
    assert!(runs(scene.owner(), &resource).iter().all(|run| run["finished_at"].is_null()), "it is not given up");
    fulfilled(scene.owner(), &request);
    assert_eq!(story(&runs(scene.owner(), &resource)), ["plan succeeded", "apply succeeded"]);
    assert_eq!(scene.assert_one_task_each(&resource).len(), 2);
    scene.functions.assert_tasks_ended_clean();
    scene.functions.assert_events_went_well();
}

/// Whoever knows the address of a task's credentials may write Asgard's own table.
#[test]
fn terraform_in_a_task_has_nothing_of_the_tasks_role() {
    let scene = Scene::new();
    let modules = scene.functions.site().dir().join("modules-of-tasks");
    overlay(&modules, "local-demo", &[("exec sleep ${local.step_seconds}", "sh ${path.module}/look.sh")]);
    let look = "if env | grep -q AWS_; then echo found a variable; fi\n\
                if grep -qs v2/credentials /proc/[0-9]*/environ; then echo found the address; fi\necho looked\n";
    std::fs::write(modules.join("local-demo/look.sh"), look).unwrap();
    scene.functions.ecs.define("ASGARD_TF_MODULES_DIR", &modules.display().to_string());
    let (request, resource) = scene.ask("looks", 0);
    fulfilled(scene.owner(), &request);
    let apply = runs(scene.owner(), &resource).pop().expect("an apply");
    let lines = log(scene.owner(), &apply);
    let said: Vec<&str> = lines.iter().filter_map(|line| Some(line["message"].as_str()?.trim())).collect();
    assert_eq!(said.iter().filter(|line| **line == "looked").count(), 4, "{said:#?}");
    assert!(!said.iter().any(|line| line.starts_with("found")), "{said:#?}");
    scene.functions.assert_tasks_ended_clean();
}

#[test]
fn a_task_that_is_killed_half_way_loses_nothing() {
    let scene = Scene::new();
    let (request, resource) = scene.ask("killed", 16);
    let apply = scene.half_way(&resource);
    let run = text(&apply, "run_id");
    assert!(scene.functions.ecs.process(run).signal(Signal::KILL), "the task lived");
    let task =
        eventually("the task has ended", || scene.functions.ecs.of_run(run).pop().filter(|task| task.exit.is_some()));
    assert_eq!(task.exit, Some(137));
    fulfilled(scene.owner(), &request);
    scene.assert_only_the_rest(&resource, "killed");
    assert!(scene.functions.in_tasks().is_empty(), "{:#?}", scene.functions.in_tasks());
}

#[test]
fn a_task_that_is_told_to_stop_half_way_stores_what_it_made() {
    let scene = Scene::new();
    let (request, resource) = scene.ask("stopped", 16);
    let apply = scene.half_way(&resource);
    let run = text(&apply, "run_id");
    scene.functions.ecs.stop(run);
    let task = eventually_within(Duration::from_secs(125), "the task ends in time", || {
        scene.functions.ecs.of_run(run).pop().filter(|task| task.exit.is_some())
    });
    assert_eq!((task.exit, task.left.len()), (Some(0), 0), "it ended by itself and took everything away: {task:#?}");
    assert!(task.stopping_took.is_some_and(|took| took < Duration::from_secs(100)), "{task:#?}");
    // The outcome is recorded by then, not found out by others.
    let told = runs(scene.owner(), &resource).into_iter().find(|known| known["run_id"] == run).expect("the apply");
    assert_eq!(text(&told, "status"), "interrupted", "{told:#}");
    fulfilled(scene.owner(), &request);
    scene.assert_only_the_rest(&resource, "stopped");
    scene.functions.assert_tasks_ended_clean();
}

/// Ticks, as the schedules would, until something is so.
fn ticking<T>(events: &RuntimeApi, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    eventually_within(LIMIT, what, || {
        let (done, _) = events.invoke(&json!({"work": "jobs", "scheduled_at": now()}), Duration::from_secs(60));
        assert!(done.is_ok(), "{done:?}");
        thread::sleep(Duration::from_millis(500));
        look()
    })
}

#[test]
fn a_tick_that_outlives_its_deadline_hands_back_and_the_next_goes_on() {
    let scene = Scene::on(Functions::with(&[]));
    let events = RuntimeApi::start();
    let environment = scene.functions.events_at(&events);
    let (request, resource) = scene.ask("late", 40);
    let apply = ticking(&events, "the apply is running", || applying(scene.owner(), &resource));

    // ECS does not say whether the task lives before the invocation is over.
    scene.functions.ecs.slow(Duration::from_secs(30));
    let tick = json!({"work": "loop", "name": "reconcile-runs", "scheduled_at": now()});
    let (done, took) = events.invoke(&tick, Duration::from_secs(10));
    assert_eq!(done.expect("it is no failure")["came_to"], "stopped");
    assert!((3..10).contains(&took.as_secs()), "it stopped before its deadline and not at once: {took:?}");
    thread::sleep(Duration::from_secs(6));
    let (done, took) = events.invoke(&json!({"work": "jobs"}), Duration::from_secs(16));
    let done = done.expect("it is no failure");
    assert_eq!((done["jobs"].as_u64() > Some(0), &done["more"]), (true, &json!(true)), "{done} after {took:?}");

    // It had its turn: the same event again does nothing, and the next moment goes on at once, with the lease handed back.
    scene.functions.ecs.slow(Duration::ZERO);
    let came_to = |tick: &Value| {
        let (done, _) = events.invoke(tick, Duration::from_secs(60));
        text(&done.expect("it works"), "came_to").to_owned()
    };
    assert_eq!(came_to(&tick), "served_before");
    let next = json!({"work": "loop", "name": "reconcile-runs", "scheduled_at": now()});
    assert_eq!(came_to(&next), "did");
    ticking(&events, "the request is over", || {
        let request = scene.owner().get(&format!("/api/requests/{request}")).ok();
        (request["status"] == "fulfilled").then_some(())
    });
    let done = runs(scene.owner(), &resource);
    assert_eq!(story(&done), ["plan succeeded", "apply succeeded"], "nobody disturbed it");
    assert_eq!(done[1]["run_id"], apply["run_id"]);
    assert_eq!(scene.assert_one_task_each(&resource).len(), 2);
    scene.functions.assert_tasks_ended_clean();
    drop(environment);
}

#[test]
fn sessions_and_throttles_hold_across_cold_environments() {
    let functions = Functions::with(&[]);
    let places = ["api", "api-cold"].map(|function| functions.client(function));
    let sign_in =
        |at: &Client, password: &str| at.post("/api/auth/login", &json!({"username": "admin", "password": password}));
    // Nobody has signed in yet: both environments make the first admin at the same time.
    let sessions: Vec<String> = thread::scope(|scope| {
        let both = places.each_ref().map(|at| {
            scope.spawn(move || {
                let login = at.post("/api/auth/login", &json!({"username": "admin", "password": PASSWORD})).ok();
                text(&login, "token").to_owned()
            })
        });
        both.into_iter().map(|one| one.join().expect("a sign-in does not panic")).collect()
    });
    let users = all(&places[0].with(&sessions[0]), "/api/users");
    assert_eq!(users.iter().filter(|user| user["username"] == "admin").count(), 1, "{users:#?}");
    for session in &sessions {
        for at in &places {
            let me = at.with(session).get("/api/auth/me").ok();
            assert!(me.to_string().contains("admin"), "{me:#}");
        }
    }
    places[1].with(&sessions[0]).post("/api/auth/logout", &json!({}));
    assert_eq!(places[0].with(&sessions[0]).get("/api/auth/me").status, 401, "over in one, over in the other");
    assert_eq!(places[0].with(&sessions[1]).get("/api/auth/me").status, 200, "and only that one");

    // Guesses are counted together, wherever they are made.
    asgard_tests::with_a_window_ahead(300);
    let mut guesses = 0;
    loop {
        let reply = sign_in(&places[guesses % 2], "not-the-password");
        if reply.status == 429 {
            break;
        }
        assert_eq!(reply.status, 401, "{reply:?}");
        guesses += 1;
        assert!(guesses < 25, "ten failures of an account are enough, also when a new window begins");
    }
    for at in &places {
        sign_in(at, PASSWORD).refused(429, "throttled");
    }
    assert_eq!(places[1].with(&sessions[1]).get("/api/auth/me").status, 200, "who is in stays in");
}
