//! What an approval says beside that it was given.

use super::*;
use crate::{
    app::{
        Call,
        audit::ListAudit,
        people::{CreateUser, Vouched, vouched_for},
        requests::RequestResource,
        testkit::{Kit, MANAGER},
        worker,
    },
    kernel::{Actor, Person, Role, SecretText, SignIn},
};

#[tokio::test]
async fn an_approval_by_an_account_whose_password_the_asker_set_says_so() {
    let kit = Kit::dry().await;
    let world = kit.app.world();
    let admin = Vouched::new("root@corp.example".parse().unwrap(), Role::Admin);
    let admin = Call::by(vouched_for(&kit.app, &admin).await.unwrap(), world.id());
    let create = CreateUser {
        username: "mia".parse().unwrap(),
        password: SecretText::new("staple staple staple"),
        email: MANAGER.parse().unwrap(),
        role: None,
    };
    let mia = kit.app.run(&admin, &create).await.unwrap().id;
    let mia = Person::verified(mia, MANAGER.parse().unwrap());
    let mia = Call::by(Actor::Human { person: mia, role: Role::Member, sign_in: SignIn::Host }, world.id());
    for (by, name, marked) in [(&admin, "first", true), (&kit.owner(), "second", false)] {
        let ask = RequestResource {
            project_id: Some(kit.project.clone()),
            service: "asked".parse().unwrap(),
            name: name.parse().unwrap(),
            spec: serde_json::Map::new(),
            cloud: None,
            account: None,
        };
        let request_id = kit.app.run(by, &ask).await.unwrap().request.request_id;
        worker::run_due(&kit.app).await.unwrap();
        kit.app.run(&mia, &Approve { request_id: request_id.clone(), note: None, version: None }).await.unwrap();
        let list: ListAudit = serde_json::from_value(serde_json::json!({
            "project_id": kit.project.as_str(), "action": "request.approved"
        }))
        .unwrap();
        let events = kit.app.run(&admin, &list).await.unwrap().items;
        let approval = events.iter().find(|event| event.object == request_id.as_str()).unwrap();
        assert_eq!(approval.details.contains_key("password_set_by_requester"), marked, "{approval:?}");
    }
}
