//! Events of schedules and of commits, against the function as Lambda's runtime would call it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that is surprised should fail where it is"
)]

use crate::support::{Place, event, invocation};
use asgard_lambda::events::{Events, loops};
use asgard_lib::{
    app::{
        Asgard, Call,
        projects::RegisterProject,
        requests::{GetRequest, RequestResource},
    },
    kernel::{Actor, Person, Role, SignIn},
};
use serde_json::{Value, json};
use std::sync::Arc;

const MINUTE: u64 = 60_000;

async fn came_to(events: &Events, payload: Value) -> String {
    events.event(invocation(payload, MINUTE)).await.unwrap()["came_to"].as_str().unwrap().to_owned()
}

fn tick(name: &str, moment: &str) -> Value {
    json!({"work": "loop", "name": name, "scheduled_at": moment})
}

fn ann(app: &Asgard) -> Call {
    let email = "ann@corp.example".parse().unwrap();
    let actor =
        Actor::Human { person: Person::verified(app.world().id(), email), role: Role::Member, sign_in: SignIn::Host };
    Call::by(actor, app.world().id())
}

/// Asks for something that a dry run can give, as another process does. The request's id.
async fn ask(app: &Asgard, call: &Call, name: &str) -> Value {
    let project: RegisterProject = serde_json::from_value(
        json!({"name": name, "owner_email": "ann@corp.example", "manager_email": "bob@corp.example", "group": "g"}),
    )
    .unwrap();
    let project = app.run(call, &project).await.unwrap();
    let ask = json!({"project_id": project.project_id, "service": "random-secret", "name": name});
    let ask: RequestResource = serde_json::from_value(ask).unwrap();
    serde_json::to_value(&app.run(call, &ask).await.unwrap().request.request_id).unwrap()
}

async fn status(app: &Asgard, call: &Call, request: &Value) -> Value {
    let get: GetRequest = serde_json::from_value(json!({"request_id": request})).unwrap();
    serde_json::to_value(app.run(call, &get).await.unwrap().status).unwrap()
}

#[tokio::test]
async fn the_loops_that_a_schedule_may_name_are_those_of_a_server() {
    let place = Place::new(&[]).await;
    let runtime = place.open().await;
    let mut tasks: Vec<_> = runtime.periodic_tasks().iter().map(|task| task.name()).collect();
    let mut named: Vec<_> = loops().collect();
    tasks.sort_unstable();
    named.sort_unstable();
    assert_eq!(tasks, named);
    runtime.close().await;
    let events = Events::new(place.settings.clone());
    for name in loops() {
        let came = came_to(&events, json!({"work": "loop", "name": name})).await;
        assert!(["did", "not_wanted"].contains(&came.as_str()), "{name}: {came}");
    }
}

#[tokio::test]
async fn a_tick_is_done_once_across_environments_however_it_is_sent() {
    let place = Place::new(&[]).await;
    let (one, two) = (Events::new(place.settings.clone()), Events::new(place.settings.clone()));
    assert_eq!(came_to(&one, event("scheduler")).await, "did");
    assert_eq!(came_to(&one, event("scheduler")).await, "served_before");
    assert_eq!(came_to(&two, event("scheduler")).await, "served_before", "a cold environment knows it too");
    assert_eq!(came_to(&two, event("rule")).await, "did", "five minutes later, by a rule");
    assert_eq!(came_to(&one, tick("expire", "2026-01-02T10:02:00Z")).await, "served_before", "late");
    let race = tick("expire", "2026-01-02T10:10:00Z");
    let (a, b) = tokio::join!(came_to(&one, race.clone()), came_to(&two, race));
    let did = [&a, &b].iter().filter(|came| **came == "did").count();
    assert_eq!(did, 1, "{a} {b}");
}

#[tokio::test]
async fn jobs_are_done_until_nothing_is_due_and_a_second_delivery_finds_nothing() {
    let place = Place::new(&[]).await;
    let runtime = place.open().await;
    let (app, call) = (runtime.app(), ann(runtime.app()));
    let mut requests = Vec::new();
    for n in 0..3 {
        requests.push(ask(app, &call, &format!("thing{n}")).await);
    }
    let (one, two) = (Events::new(place.settings.clone()), Events::new(place.settings.clone()));
    let waker = || invocation(json!({"work": "jobs"}), MINUTE);
    let began = tokio::time::Instant::now();
    let (a, b) = tokio::join!(one.event(waker()), two.event(waker()));
    assert!(began.elapsed().as_secs() < 30, "it waited for jobs that are due later");
    let (a, b) = (a.unwrap(), b.unwrap());
    for request in &requests {
        assert_eq!(status(app, &call, request).await, "fulfilled", "{a} {b}");
    }
    let again = one.event(waker()).await.unwrap();
    assert_eq!(again["jobs"], 0, "{again}");
    // The periodic task that appends jobs has them done in the same invocation: sealing the log appends none.
    let sealed = one.event(invocation(tick("audit-seal", "2026-01-02T10:00:00Z"), MINUTE)).await.unwrap();
    assert_eq!((&sealed["came_to"], &sealed["jobs"]), (&json!("did"), &json!(0)));
    runtime.close().await;
}

#[tokio::test]
async fn with_little_time_nothing_is_begun() {
    let place = Place::new(&[]).await;
    let runtime = place.open().await;
    let call = ann(runtime.app());
    let request = ask(runtime.app(), &call, "thing").await;
    let events = Events::new(place.settings.clone());
    assert_eq!(came_to(&events, json!({"work": "loop", "name": "expire"})).await, "did");
    let short = events.event(invocation(json!({"work": "jobs"}), 8_000)).await.unwrap();
    assert_eq!((&short["jobs"], &short["more"]), (&json!(0), &json!(true)));
    assert_ne!(status(runtime.app(), &call, &request).await, "fulfilled");
    runtime.close().await;
}

#[tokio::test]
async fn what_is_wrong_with_an_event_is_told_to_whoever_sent_it() {
    let place = Place::new(&[]).await;
    let events = Arc::clone(&Events::new(place.settings.clone()));
    for (payload, says) in [
        (json!({"work": "loop", "name": "hunter2"}), "name: Allowed are reconcile-runs"),
        (json!({"Records": [{"body": "hunter2"}]}), "Records: There is no such field"),
        (event("http_api"), "There is no such field"),
        (json!(["hunter2"]), "event: Send a JSON object"),
    ] {
        let error = events.event(invocation(payload, MINUTE)).await.unwrap_err();
        assert_eq!(error.error_type, "invalid-input", "{error:?}");
        assert!(error.error_message.contains(says) && !error.error_message.contains("hunter2"), "{error:?}");
    }
}
