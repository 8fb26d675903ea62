//! Typed calls in process, beside the same calls over HTTP.

use crate::{
    app::{
        keys::{MintKey, RevokeKey},
        people::Vouched,
        projects::{GetProject, RegisterProject},
        requests::RequestResource,
    },
    error::Code,
    http::testkit::TestApp,
    kernel::{KeyId, ProjectId, Role},
};
use serde_json::json;
use std::collections::BTreeMap;

fn registration(name: &str) -> RegisterProject {
    RegisterProject {
        name: name.parse().unwrap(),
        owner_email: "olga@corp.example".parse().unwrap(),
        manager_email: Some("max@corp.example".parse().unwrap()),
        group: Some("platform".parse().unwrap()),
        classification: None,
        data_class: None,
        budget_usd: None,
        description: None,
        evidence: BTreeMap::new(),
    }
}

#[tokio::test]
async fn a_typed_call_is_authorised_as_over_http_and_happens_once_under_its_key() {
    let app = TestApp::new().await;
    let owner = app.asgard.as_holder_of(app.pat.credential.as_ref().unwrap()).await.unwrap();
    let once = owner.clone().once("order-4711");
    let made = once.run(&registration("By code")).await.unwrap();
    assert_eq!(once.run(&registration("By code")).await.unwrap().project_id, made.project_id);
    let other = once.run(&registration("By other code")).await.err().map(|error| error.code());
    assert_eq!(other, Some(Code::IdempotencyMismatch));
    let twice = owner.run(&registration("By code")).await.unwrap();
    assert_ne!(twice.project_id, made.project_id, "without a key each call is one of its own");

    let vouched = Vouched::new("olga@corp.example".parse().unwrap(), Role::Member);
    let hosts = app.asgard.as_person(&vouched).await.unwrap();
    assert_eq!(hosts.actor().unwrap().user(), owner.actor().unwrap().user());
    let read = GetProject { project_id: Some(made.project_id.clone()) };
    assert_eq!(owner.run(&read).await.unwrap().name.as_str(), "By code");
    let stranger = app.asgard.as_holder_of(app.stranger.credential.as_ref().unwrap()).await.unwrap();
    assert_eq!(hosts.run(&read).await.unwrap().name.as_str(), "By code");
    let refused = stranger.run(&read).await.err().map(|error| error.code().slug());
    let over_http = app.stranger.get(&format!("/api/projects/{}", made.project_id)).await;
    assert_eq!(refused, over_http.json()["code"].as_str(), "{}", over_http.text());
    let trail = app.owner.get(&format!("/api/audit?project_id={}", made.project_id)).await;
    let trail = if trail.status == 200 { trail } else { app.finance.get("/api/audit").await };
    assert!(trail.text().contains(made.project_id.as_str()), "{}", trail.text());
}

#[tokio::test]
async fn a_key_acts_by_its_id_until_it_is_revoked_and_is_shown_once() {
    let app = TestApp::new().await;
    let project: ProjectId = app.project.parse().unwrap();
    let owner = app.asgard.as_holder_of(app.owner.credential.as_ref().unwrap()).await.unwrap();
    let mint = MintKey { project_id: project.clone(), name: "by code".parse().unwrap(), expires_in_days: None };
    let once = owner.clone().once("k");
    let minted = once.run(&mint).await.unwrap();
    let again = once.run(&mint).await.unwrap();
    assert!(minted.key.is_some() && again.key.is_none() && again.id == minted.id);

    let agent = app.asgard.as_key(&minted.id).await.unwrap();
    let ask = RequestResource {
        project_id: None,
        service: "local-demo".parse().unwrap(),
        name: "typed".parse().unwrap(),
        spec: json!({"seconds": 1}).as_object().cloned().unwrap(),
        cloud: None,
        account: None,
    };
    let asked = agent.run(&ask).await.unwrap();
    assert_eq!((asked.request.project_id, asked.changed), (project.clone(), true));
    let denied = agent.run(&registration("Not for a key")).await.err().map(|error| error.code());
    assert_eq!(denied, Some(Code::Denied));
    owner.run(&RevokeKey { project_id: Some(project), key_id: minted.id.clone() }).await.unwrap();
    assert_eq!(app.asgard.as_key(&minted.id).await.err().map(|error| error.code()), Some(Code::BadCredential));
    let unknown = KeyId::from_digest(&[9; 32]);
    assert_eq!(app.asgard.as_key(&unknown).await.err().map(|error| error.code()), Some(Code::NotFound));
}
