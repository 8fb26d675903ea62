//! Waiting for a request, and who is answered afterwards.

use super::{GetRequest, RequestView};
use crate::{
    app::{
        Call,
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
use std::{sync::Arc, time::Duration};

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
