//! Waiting for a request, and who is answered afterwards.

use super::{Cancel, GetRequest, RequestView};
use crate::{
    app::{
        Asgard, Call,
        keys::{MintKey, RevokeKey},
        resources::DeprovisionResource,
        testkit::{Kit, OWNER, member},
        worker,
    },
    domain::{
        credential::UserToken,
        person::User,
        project::Project,
        request::{Request, RequestStatus},
        resource::ResourceStatus,
    },
    error::{Code, Result},
    kernel::{Actor, Party, RequestId, Role},
    ports::runner::RunOutcome,
};
use serde_json::json;
use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

/// Waits for a request as `call`; after a second `meanwhile` happens, and then time passes.
async fn wait(kit: &Kit, call: Call, id: &RequestId, meanwhile: impl Future<Output = ()>) -> Result<RequestView> {
    let app = Arc::clone(&kit.app);
    let get: GetRequest = serde_json::from_value(json!({"request_id": id, "wait_s": 20})).unwrap();
    let waiting = tokio::spawn(async move { app.run(&call, &get).await });
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!waiting.is_finished());
    meanwhile.await;
    kit.pass(Duration::from_secs(21));
    waiting.await.unwrap()
}

async fn asked(kit: &Kit) -> RequestId {
    kit.enrol(OWNER).await;
    kit.ask("thing", "one", json!({})).await.unwrap().request.request_id
}

#[tokio::test(start_paused = true)]
async fn a_wait_answers_what_is_there_when_it_ends() {
    let kit = Kit::staged().await;
    let id = asked(&kit).await;
    let answer = wait(&kit, kit.owner(), &id, async {}).await.unwrap();
    assert_eq!(answer.status, kit.request(&id).await.status);
    let change = kit.tamper::<Request>(id.as_str(), |request| request.cancel_requested = true);
    assert!(wait(&kit, kit.owner(), &id, change).await.unwrap().cancel_requested);
}

#[tokio::test(start_paused = true)]
async fn who_lost_their_access_meanwhile_is_not_answered() {
    let kit = Kit::staged().await;
    let id = asked(&kit).await;
    let Actor::UserToken { person, token, .. } = member(OWNER) else { panic!("a member has a token") };
    let (user, token) = (person.user().to_string(), token.to_string());
    let refused = async |meanwhile: std::pin::Pin<Box<dyn Future<Output = ()> + '_>>| {
        wait(&kit, kit.owner(), &id, meanwhile).await.unwrap_err().code()
    };

    let on = |on: bool| kit.tamper::<User>(&user, move |user| user.active = on);
    assert_eq!(refused(Box::pin(on(false))).await, Code::BadCredential);
    on(true).await;
    let role = |role: Role| kit.tamper::<User>(&user, move |user| user.role = role);
    assert_eq!(refused(Box::pin(role(Role::Finance))).await, Code::Denied);
    role(Role::Member).await;
    let given = kit.tamper::<Project>(kit.project.as_str(), |project| {
        project.owner = Party::Address("new@corp.example".parse().unwrap());
    });
    assert_eq!(refused(Box::pin(given)).await, Code::NotFound);
    kit.tamper::<Project>(kit.project.as_str(), |project| project.owner = Party::Address(OWNER.parse().unwrap())).await;
    let revoked = kit.tamper::<UserToken>(&token, |token| token.revoked_at = Some(token.created_at));
    assert_eq!(refused(Box::pin(revoked)).await, Code::BadCredential);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_revoked_while_it_waits_is_not_answered() {
    let kit = Kit::staged().await;
    let id = asked(&kit).await;
    let mint = MintKey { project_id: kit.project.clone(), name: "agent".parse().unwrap(), expires_in_days: None };
    let key_id = kit.app.run(&kit.owner(), &mint).await.unwrap().id;
    let key = Actor::ProjectKey {
        key: key_id.clone(),
        project: kit.project.clone(),
        minted_by: Party::Address(OWNER.parse().unwrap()),
    };
    let by_key = || Call::by(key.clone(), kit.app.new_trace());
    wait(&kit, by_key(), &id, async {}).await.unwrap();
    let revoke = async {
        let revoke = RevokeKey { project_id: Some(kit.project.clone()), key_id: key_id.clone() };
        kit.app.run(&kit.owner(), &revoke).await.unwrap();
    };
    assert_eq!(wait(&kit, by_key(), &id, revoke).await.unwrap_err().code(), Code::BadCredential);
}

/// What was asked for and never let through is removed by asking for it: no run, no module, no service is needed.
#[tokio::test(start_paused = true)]
async fn what_was_never_made_is_removed_without_a_run() {
    let kit = Kit::staged().await;
    kit.enrol(OWNER).await;
    let remove = |resource| DeprovisionResource { project_id: None, resource_id: resource, version: None };
    let asked = kit.ask("thing", "one", json!({})).await.unwrap();
    let resource = asked.resource.resource_id.clone();
    let waits = kit.app.run(&kit.owner(), &remove(resource.clone())).await.unwrap_err();
    assert_eq!(waits.code(), Code::OpenRequest, "its first request is open");
    let run = kit.request(&asked.request.request_id).await.current_run.unwrap();
    let why = "terraform init did not work: no such provider".to_owned();
    kit.supervise(&run, RunOutcome::Failed { error: why, may_exist: Vec::new() }).await;
    assert_eq!(kit.request(&asked.request.request_id).await.status, RequestStatus::Failed);

    // Nothing carries a run out from here on.
    let removed = kit.app.run(&kit.owner(), &remove(resource.clone())).await.unwrap();
    assert_eq!(
        (removed.request.status, removed.resource.status),
        (RequestStatus::Fulfilled, ResourceStatus::Destroyed)
    );
    assert!(removed.request.current_run.is_none());
    let again = kit.app.run(&kit.owner(), &remove(resource)).await.unwrap_err();
    assert_eq!(again.code(), Code::WrongState, "it is destroyed");
    kit.check().await;
    let anew = kit.ask("thing", "one", json!({})).await.unwrap();
    assert_ne!(anew.resource.resource_id, removed.resource.resource_id, "its name is free");
}

/// Once a plan was let through somebody has to look, whatever came of it.
#[tokio::test(start_paused = true)]
async fn what_may_have_been_made_is_removed_by_a_run() {
    let kit = Kit::dry().await;
    kit.enrol(OWNER).await;
    let asked = kit.ask("thing", "one", json!({})).await.unwrap();
    worker::run_due(&kit.app).await.unwrap();
    let resource = asked.resource.resource_id;
    let remove = DeprovisionResource { project_id: None, resource_id: resource, version: None };
    let removing = kit.app.run(&kit.owner(), &remove).await.unwrap();
    assert_eq!(removing.request.status, RequestStatus::Planning);
}

fn waiting(app: &Arc<Asgard>, kit: &Kit, id: &RequestId, wait_s: u64) -> tokio::task::JoinHandle<Result<RequestView>> {
    let (app, call) = (Arc::clone(app), kit.owner());
    let get = GetRequest::waiting(id.clone(), wait_s);
    tokio::spawn(async move { app.run(&call, &get).await })
}

/// One look serves all who wait in a process.
#[tokio::test(start_paused = true)]
async fn two_hundred_waiters_on_a_server_cost_at_most_four_reads_a_second() {
    for requests in [1, 5, 150] {
        let kit = Kit::staged().await;
        kit.enrol(OWNER).await;
        let mut ids = Vec::new();
        for n in 0..requests {
            ids.push(kit.ask("thing", &format!("r{n}"), json!({})).await.unwrap().request.request_id);
        }
        let waiters: Vec<_> = ids.iter().cycle().take(200).map(|id| waiting(&kit.app, &kit, id, 50)).collect();
        tokio::time::sleep(Duration::from_millis(100)).await;
        for second in 0..40 {
            let before = kit.faulty.fault.calls.load(SeqCst);
            // Newcomers hasten nobody beyond that.
            let late = waiting(&kit.app, &kit, &ids[0], 1);
            tokio::time::sleep(Duration::from_secs(1)).await;
            let reads = kit.faulty.fault.calls.load(SeqCst) - before;
            // What the newcomer reads for itself, before and after.
            assert!((1..=4 + 5).contains(&reads), "{reads} in second {second} for {requests} requests");
            late.abort();
        }
        let before = kit.faulty.fault.calls.load(SeqCst);
        tokio::time::sleep(Duration::from_secs(5)).await;
        let reads = kit.faulty.fault.calls.load(SeqCst) - before;
        assert!((2..=20).contains(&reads), "{reads} in five seconds for {requests} requests");
        waiters.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

/// The same process need not look to know what it has committed itself.
#[tokio::test(start_paused = true)]
async fn a_commit_of_the_process_ends_a_wait_at_once() {
    let kit = Kit::staged().await;
    let id = asked(&kit).await;
    let waiter = waiting(&kit.app, &kit, &id, 50);
    tokio::time::sleep(Duration::from_millis(10)).await;
    let (before, begun) = (kit.faulty.fault.calls.load(SeqCst), tokio::time::Instant::now());
    let cancel: Cancel = serde_json::from_value(json!({"request_id": id})).unwrap();
    kit.app.run(&kit.owner(), &cancel).await.unwrap();
    let answer = waiter.await.unwrap().unwrap();
    assert!(answer.status.is_over(), "{:?}", answer.status);
    assert!(begun.elapsed() < Duration::from_millis(200), "{:?}", begun.elapsed());
    assert!(kit.faulty.fault.calls.load(SeqCst) - before < 20);
}

/// What another process commits is seen by looking, within two seconds.
#[tokio::test(start_paused = true)]
async fn a_commit_of_another_process_ends_a_wait_within_two_seconds() {
    let kit = Kit::staged().await;
    let id = asked(&kit).await;
    let waiter = waiting(&kit.app, &kit, &id, 50);
    tokio::time::sleep(Duration::from_secs(30)).await;
    let begun = tokio::time::Instant::now();
    kit.tamper::<Request>(id.as_str(), |request| request.status = crate::domain::request::RequestStatus::Failed).await;
    waiter.await.unwrap().unwrap();
    assert!(begun.elapsed() <= Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_wait_on_a_function_ends_after_twenty_seconds_and_eight_reads() {
    let kit = Kit::staged().await;
    let id = asked(&kit).await;
    let store = Arc::new(crate::app::testkit::StoreFaults::on(&kit.memory));
    let app = crate::app::testkit::boot_fleeting(Arc::clone(&store), &kit.world, Arc::clone(&kit.stage) as _).await;
    let before = store.fault.calls.load(SeqCst);
    let begun = tokio::time::Instant::now();
    let get = GetRequest::waiting(id.clone(), 50);
    let ending = async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        kit.pass(Duration::from_secs(20));
    };
    let (call, waiting) = (kit.owner(), &get);
    let (answer, ()) = tokio::join!(app.run(&call, waiting), ending);
    answer.unwrap();
    assert_eq!(begun.elapsed(), Duration::from_secs(20));
    let reads = store.fault.calls.load(SeqCst) - before;
    assert!(reads <= 8, "{reads}");
}
