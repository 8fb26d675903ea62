//! The whole life of resources.

use crate::{
    app::{
        Call,
        people::{Vouched, vouched_for},
        requests::{Approve, Reject},
        resources::DeprovisionResource,
        secrets::{GetSecret, RotateSecret},
        testkit::{Kit, MANAGER, OWNER, member},
        worker,
    },
    domain::{
        audit::AuditEvent,
        request::{Request, RequestStatus},
        resource::{Resource, ResourceStatus},
        secret::Secret,
    },
    kernel::{RequestId, Role},
    ports::{kinds, store::Store},
};
use serde_json::json;

async fn done(kit: &Kit, id: &RequestId, status: RequestStatus) -> (Request, Resource) {
    worker::run_due(&kit.app).await.unwrap();
    kit.check().await;
    let request = kit.request(id).await;
    assert_eq!(request.status, status, "{request:?}");
    let resource = kit.resource(&request.resource).await;
    (request, resource)
}

async fn token(kit: &Kit, name: &str) -> String {
    let reveal = GetSecret { project_id: Some(kit.project.clone()), name: name.to_owned() };
    kit.app.run(&Call::by(member(OWNER), kit.app.new_trace()), &reveal).await.unwrap().value
}

#[tokio::test(start_paused = true)]
async fn a_resource_lives_from_request_to_removal() {
    let kit = Kit::dry().await;
    let asked = kit.ask("thing", "one", json!({})).await.unwrap();
    assert_eq!(asked.request.status, RequestStatus::Planning);
    let (request, resource) = done(&kit, &asked.request.request_id, RequestStatus::Fulfilled).await;
    assert_eq!(resource.status, ResourceStatus::Provisioned);
    assert!(resource.dry_run && resource.outputs.contains_key("id") && !resource.outputs.contains_key("token"));
    assert_eq!(resource.committed, request.monthly);
    let first = token(&kit, "thing.one.token").await;
    assert!(first.starts_with("dry-run-"));
    assert!(!format!("{:?}", kit.memory).contains(&first), "the value is nowhere in the store in the open");

    // The same again changes nothing; another spec changes it in place, and the secret stays.
    assert!(!kit.ask("thing", "one", json!({"size": "s"})).await.unwrap().changed);
    let asked = kit.ask("thing", "one", json!({"size": "l", "monthly_usd": 5})).await.unwrap();
    let (_, resource) = done(&kit, &asked.request.request_id, RequestStatus::Fulfilled).await;
    assert_eq!(resource.committed, crate::kernel::Usd::from_dollars(5));
    assert_eq!(token(&kit, "thing.one.token").await, first);

    let rotate = RotateSecret { project_id: Some(kit.project.clone()), name: "thing.one.token".into() };
    let rotated = kit.app.run(&kit.owner(), &rotate).await.unwrap();
    let (_, resource) = done(&kit, &rotated.request.request_id, RequestStatus::Fulfilled).await;
    assert_eq!(resource.rotation, 1);
    let second = token(&kit, "thing.one.token").await;
    assert_ne!(second, first);

    let secret = resource.secret_refs["token"].secret_id.clone();
    let remove = DeprovisionResource { project_id: None, resource_id: resource.id.clone(), version: None };
    let removed = kit.app.run(&kit.owner(), &remove).await.unwrap();
    let (_, resource) = done(&kit, &removed.request.request_id, RequestStatus::Fulfilled).await;
    assert_eq!(resource.status, ResourceStatus::Destroyed);
    assert!(resource.outputs.is_empty() && resource.secret_refs.is_empty());
    assert!(kit.read::<Secret>(&secret).await.is_none());
    for version in 1..=2 {
        assert!(
            kit.app.secrets().get(&secret, version, &resource.owner()).await.unwrap().is_none(),
            "version {version} is forgotten"
        );
    }
    assert_eq!(kit.memory.holder(&Secret::claim(&kit.project, "thing.one.token")).await.unwrap(), None);
    assert!(!format!("{:?}", kit.memory).contains("id: \"plan/"), "no plan outlives its request");

    // The name is free, and what is made under it is another resource with another secret.
    let asked = kit.ask("thing", "one", json!({})).await.unwrap();
    let (_, again) = done(&kit, &asked.request.request_id, RequestStatus::Fulfilled).await;
    assert_ne!(again.id, resource.id);
    assert_ne!(again.secret_refs["token"].secret_id, secret);
    assert_ne!(token(&kit, "thing.one.token").await, second);

    let events = kit.all::<AuditEvent>(&kinds::AUDIT_BY_PROJECT, kit.project.as_str()).await;
    let fulfilled = events.iter().filter(|event| event.action == "request.fulfilled");
    assert_eq!(fulfilled.count(), 5);
    assert!(events.iter().all(|event| !format!("{event:?}").contains(&second)));
}

#[tokio::test(start_paused = true)]
async fn people_decide_where_the_service_asks_for_it() {
    let kit = Kit::dry().await;
    let asked = kit.ask("asked", "one", json!({})).await.unwrap();
    let id = asked.request.request_id;
    let (request, _) = done(&kit, &id, RequestStatus::Pending).await;
    assert_eq!(request.reserved, crate::kernel::Usd::ZERO, "nothing is held before somebody decides");
    assert_eq!(request.inbox.as_deref(), Some("pending"));

    let approve = Approve { request_id: id.clone(), note: None, version: None };
    assert!(kit.app.run(&kit.owner(), &approve).await.is_err(), "not by the owner");
    kit.app.run(&kit.manager(), &approve).await.unwrap();
    done(&kit, &id, RequestStatus::Fulfilled).await;

    let asked = kit.ask("asked", "two", json!({})).await.unwrap();
    let id = asked.request.request_id;
    done(&kit, &id, RequestStatus::Pending).await;
    let reject = Reject { request_id: id.clone(), note: Some("no".into()), version: None };
    kit.app.run(&kit.manager(), &reject).await.unwrap();
    let (_, resource) = done(&kit, &id, RequestStatus::Rejected).await;
    assert_eq!(resource.status, ResourceStatus::Destroyed, "nothing was ever made");
    assert!(!format!("{:?}", kit.memory).contains("id: \"plan/"), "the plan is forgotten");
}

#[tokio::test(start_paused = true)]
async fn what_passes_by_itself_ends_at_the_ceiling() {
    let kit = Kit::dry().await;
    let manager = Vouched::new(MANAGER.parse().unwrap(), Role::Member);
    vouched_for(&kit.app, &manager).await.unwrap();
    let mut statuses = Vec::new();
    for (name, dollars) in [("aa", 20), ("bb", 20), ("cc", 20), ("dd", 10)] {
        let asked = kit.ask("thing", name, json!({"monthly_usd": dollars})).await.unwrap();
        worker::run_due(&kit.app).await.unwrap();
        kit.check().await;
        statuses.push(kit.request(&asked.request.request_id).await.status);
    }
    assert_eq!(
        statuses,
        [RequestStatus::Fulfilled, RequestStatus::Fulfilled, RequestStatus::Pending, RequestStatus::Fulfilled],
        "$50 for a poc"
    );
}
