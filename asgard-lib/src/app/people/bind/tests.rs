//! From an address to an account: at once, at the first visit, and when the address changes.

use super::*;
use crate::{
    Code,
    app::{
        Source,
        people::{CreateUser, Login, Vouched, vouched_for},
        periodic::{Next, PeriodicTask, RewriteRecords},
        projects::{GetProject, ListProjects, RegisterProject, UpdateProject},
        testkit::{Kit, MANAGER, OWNER},
        worker,
    },
    domain::job::MAX_ATTEMPTS,
    kernel::{Actor, Role, SecretText},
};
use std::sync::Arc;

fn known(address: &str, subject: &str) -> Vouched {
    Vouched::new(address.parse().unwrap(), Role::Member)
        .known_as("https://idp.example".parse().unwrap(), subject.parse().unwrap())
}

async fn visit(kit: &Kit, address: &str, subject: &str) -> Result<Actor> {
    vouched_for(&kit.app, &known(address, subject)).await
}

async fn parties(kit: &Kit) -> (Party, Party) {
    let project = kit.read::<Project>(&kit.project).await.unwrap();
    (project.owner.clone(), project.manager.clone())
}

async fn sees(kit: &Kit, actor: &Actor) -> (bool, usize) {
    let call = Call::by(actor.clone(), kit.app.new_trace());
    let get = GetProject { project_id: Some(kit.project.clone()) };
    let list = ListProjects { cursor: None, limit: Default::default() };
    let listed = kit.app.run(&call, &list).await.unwrap().items.len();
    (kit.app.run(&call, &get).await.is_ok(), listed)
}

/// Everything that is due now, and what of it is due again once indexes are sure to have settled.
async fn settle(kit: &Kit) {
    for _ in 0..4 {
        worker::run_due(&kit.app).await.unwrap();
        kit.pass(SETTLED_AFTER + Duration::from_secs(1));
    }
}

async fn rewrite(kit: &Kit) {
    let app = Arc::clone(&kit.app);
    while RewriteRecords.run(&app).await.unwrap() == Next::Again {}
    assert!(!RewriteRecords.wanted(&app).await.unwrap());
}

#[tokio::test]
async fn a_project_names_an_address_until_somebody_with_it_has_an_account() {
    let kit = Kit::staged().await;
    assert_eq!(parties(&kit).await, (Party::Address(OWNER.parse().unwrap()), Party::Address(MANAGER.parse().unwrap())));
    let owner = visit(&kit, OWNER, "00u1").await.unwrap();
    let user = owner.user().unwrap().clone();
    assert_eq!(sees(&kit, &owner).await, (true, 1), "before the job as well");
    settle(&kit).await;
    assert_eq!(parties(&kit).await.0, Party::User { id: user.clone(), email: OWNER.parse().unwrap() });
    assert_eq!(sees(&kit, &owner).await, (true, 1));

    // Whoever has an account is named by it from the start.
    let call = Call::by(owner, kit.app.new_trace());
    let register: RegisterProject = serde_json::from_value(serde_json::json!({
        "name": "Second", "owner_email": OWNER, "manager_email": "nobody@corp.example", "group": "platform"
    }))
    .unwrap();
    let second = kit.app.run(&call, &register).await.unwrap();
    assert_eq!(second.owner_email.as_str(), OWNER);
    let second = kit.read::<Project>(&second.project_id).await.unwrap();
    assert_eq!((second.owner.user(), second.manager.user()), (Some(&user), None));
}

/// The job that an account waits for.
async fn binding(kit: &Kit, user: &UserId) -> Option<JobId> {
    kit.read::<User>(user).await.unwrap().binding.clone()
}

async fn gives_up(kit: &Kit, job: &JobId) {
    let now = kit.world.now();
    kit.tamper::<Job>(job.as_str(), |job| {
        job.attempts = MAX_ATTEMPTS;
        *job = job.failed("The index was away.", now, 0);
        assert!(job.dead.is_some());
    })
    .await;
}

#[tokio::test]
async fn a_binding_that_gave_up_is_done_anew_once_somebody_signs_in() {
    let kit = Kit::staged().await;
    let owner = visit(&kit, OWNER, "00u1").await.unwrap();
    let user = owner.user().unwrap().clone();
    let first = binding(&kit, &user).await.unwrap();
    visit(&kit, OWNER, "00u1").await.unwrap();
    assert_eq!(binding(&kit, &user).await.as_ref(), Some(&first), "one that waits is enough");
    gives_up(&kit, &first).await;
    settle(&kit).await;
    assert_eq!(parties(&kit).await.0, Party::Address(OWNER.parse().unwrap()));

    visit(&kit, OWNER, "00u1").await.unwrap();
    let second = binding(&kit, &user).await.unwrap();
    assert!(second != first && kit.read::<Job>(&first).await.is_none(), "the dead one makes room");
    visit(&kit, OWNER, "00u1").await.unwrap();
    assert_eq!(binding(&kit, &user).await.as_ref(), Some(&second), "not with every request");
    settle(&kit).await;
    assert_eq!(parties(&kit).await.0.user(), Some(&user));
    assert_eq!(binding(&kit, &user).await, None);
}

#[tokio::test]
async fn signing_in_with_a_password_does_it_too() {
    let kit = Kit::staged().await;
    let root = Vouched::new("root@corp.example".parse().unwrap(), Role::Admin);
    let root = Call::by(vouched_for(&kit.app, &root).await.unwrap(), kit.app.new_trace());
    let password = SecretText::new("correct horse battery");
    let (username, email) = ("olga".parse().unwrap(), OWNER.parse().unwrap());
    let create = CreateUser { username, password: password.clone(), email, role: None };
    let user = kit.app.run(&root, &create).await.unwrap().id;
    gives_up(&kit, &binding(&kit, &user).await.unwrap()).await;
    let login = Login { username: "olga".into(), password };
    kit.app.run(&Call::anonymous(kit.app.new_trace(), Source::default()), &login).await.unwrap();
    settle(&kit).await;
    assert_eq!(parties(&kit).await.0.user(), Some(&user));
}

#[tokio::test]
async fn an_address_that_changes_moves_no_authority() {
    let kit = Kit::staged().await;
    let before = visit(&kit, OWNER, "00u1").await.unwrap();
    settle(&kit).await;
    let after = visit(&kit, "new@corp.example", "00u1").await.unwrap();
    assert_eq!(after.user(), before.user());
    assert_eq!(sees(&kit, &after).await, (true, 1), "what is theirs stays theirs at once");

    // Nobody else gets the address while anything may name it, whatever their issuer says.
    assert_eq!(visit(&kit, OWNER, "00u2").await.unwrap_err().code(), Code::Denied);
    let taken = visit(&kit, MANAGER, "00u9").await.unwrap();
    assert_eq!(visit(&kit, MANAGER, "00u1").await.unwrap_err().code(), Code::Denied, "and nobody takes another's");
    assert_eq!(visit(&kit, MANAGER, "00u8").await.unwrap_err().code(), Code::Denied, "or joins theirs by it");
    assert!(visit(&kit, MANAGER, "00u9").await.is_ok_and(|again| again.user() == taken.user()));

    rewrite(&kit).await;
    settle(&kit).await;
    let shown = "new@corp.example".parse().unwrap();
    assert_eq!(parties(&kit).await.0, Party::User { id: after.user().unwrap().clone(), email: shown });
    assert_eq!(sees(&kit, &after).await, (true, 1));
    // Then it is free, and whoever has it next sees nothing of all that.
    let heir = visit(&kit, OWNER, "00u2").await.unwrap();
    assert_ne!(heir.user(), after.user());
    settle(&kit).await;
    assert_eq!(sees(&kit, &heir).await, (false, 0));
    assert_eq!(sees(&kit, &after).await, (true, 1));
}

#[tokio::test]
async fn whoever_is_named_later_is_named_by_account_too() {
    let kit = Kit::staged().await;
    let next = visit(&kit, "next@corp.example", "00u3").await.unwrap();
    assert_eq!(sees(&kit, &next).await, (false, 0));
    let admin = Vouched::new("root@corp.example".parse().unwrap(), Role::Admin);
    let admin = Call::by(vouched_for(&kit.app, &admin).await.unwrap(), kit.app.new_trace());
    let update: UpdateProject = serde_json::from_value(
        serde_json::json!({ "project_id": kit.project.as_str(), "manager_email": "next@corp.example" }),
    )
    .unwrap();
    kit.app.run(&admin, &update).await.unwrap();
    assert_eq!(parties(&kit).await.1.user(), next.user());
    assert_eq!(sees(&kit, &next).await, (true, 1));
}

#[tokio::test]
async fn nobody_vouches_for_asgards_own_accounts() {
    let kit = Kit::staged().await;
    let local =
        Vouched::new(OWNER.parse().unwrap(), Role::Admin).known_as("local".parse().unwrap(), "admin".parse().unwrap());
    assert_eq!(vouched_for(&kit.app, &local).await.unwrap_err().code(), Code::Denied);
}
