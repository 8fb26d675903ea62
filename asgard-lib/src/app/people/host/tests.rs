//! Which identities join an account, and which have to be confirmed before.

use super::*;
use crate::{
    app::{
        Call,
        people::{ConfirmIdentity, ListUsers, SetRole},
        testkit::{Kit, boot_configured, catalog},
    },
    config::Config,
    domain::person::{MAX_PENDING, PENDING_FOR, Trust},
    kernel::Limit,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

const SSO: &str = "https://sso.example";

fn known(address: &str, role: Role, issuer: &str, subject: &str) -> Vouched {
    Vouched::new(address.parse().unwrap(), role).known_as(issuer.parse().unwrap(), subject.parse().unwrap())
}

/// A control plane where `https://sso.example` is trusted with `corp.example`.
async fn trusting() -> Kit {
    let mut kit = Kit::staged().await;
    let mut config = Config::default();
    let domains = ["corp.example".parse().unwrap()].into();
    config.people.trust = Trust::Listed(BTreeMap::from([(SSO.parse().unwrap(), domains)]));
    let (store, stage) = (Arc::clone(&kit.faulty), Arc::clone(&kit.stage));
    kit.app = boot_configured(store, &kit.world, stage as _, catalog(), config).await.unwrap();
    kit
}

async fn visit(kit: &Kit, vouched: &Vouched) -> Result<UserId> {
    vouched_for(&kit.app, vouched).await.map(|actor| actor.user().unwrap().clone())
}

async fn root(kit: &Kit) -> (Vouched, UserId, Call) {
    let vouched = Vouched::new("root@corp.example".parse().unwrap(), Role::Admin);
    let actor = vouched_for(&kit.app, &vouched).await.unwrap();
    (vouched, actor.user().unwrap().clone(), Call::by(actor, kit.app.new_trace()))
}

async fn confirm(kit: &Kit, call: &Call, user: &UserId, subject: &str) -> Result<()> {
    let (issuer, subject) = (SSO.parse().unwrap(), subject.parse().unwrap());
    kit.app.run(call, &ConfirmIdentity { user_id: user.clone(), issuer, subject }).await.map(drop)
}

#[tokio::test]
async fn only_an_issuer_that_is_trusted_for_the_domain_joins_an_account_or_makes_one() {
    let kit = trusting().await;
    let ann = visit(&kit, &Vouched::new("ann@corp.example".parse().unwrap(), Role::Member)).await.unwrap();
    let other = visit(&kit, &known("ann@corp.example", Role::Member, "https://other.example", "a")).await.unwrap_err();
    assert!(other.code() == Code::Denied && other.message().contains("people.trusted_issuers"), "{other:?}");
    assert_eq!(visit(&kit, &known("ann@corp.example", Role::Member, SSO, "a")).await.unwrap(), ann);

    // Another domain, for a new account and for one that is known already.
    let elsewhere = known("bob@other.example", Role::Member, SSO, "b");
    assert_eq!(visit(&kit, &elsewhere).await.unwrap_err().code(), Code::Denied);
    let moves = known("ann@other.example", Role::Member, SSO, "a");
    assert_eq!(visit(&kit, &moves).await.unwrap_err().code(), Code::Denied);
    let email = |user: &User| user.email.clone();
    assert_eq!(kit.read::<User>(&ann).await.map(|user| email(&user)).unwrap().as_str(), "ann@corp.example");
    // The embedding service itself is believed about every address.
    visit(&kit, &Vouched::new("bob@other.example".parse().unwrap(), Role::Member)).await.unwrap();
}

#[tokio::test]
async fn an_admins_account_takes_another_identity_once_it_is_confirmed() {
    let kit = trusting().await;
    let (_, admin, call) = root(&kit).await;
    let newcomer = known("root@corp.example", Role::Admin, SSO, "00u1");
    let refused = visit(&kit, &newcomer).await.unwrap_err();
    assert!(refused.code() == Code::Denied && refused.message().contains(admin.as_str()), "{refused:?}");
    let before = kit.read::<User>(&admin).await.unwrap();
    assert_eq!(visit(&kit, &newcomer).await.unwrap_err().code(), Code::Denied);
    assert_eq!(kit.read::<User>(&admin).await.unwrap().version, before.version, "one that waits is not written again");

    let users = kit.app.run(&call, &ListUsers { cursor: None, limit: Limit::default() }).await.unwrap();
    let shown = &users.items.iter().find(|user| user.id == admin).unwrap().pending_identities;
    assert_eq!(
        shown.iter().map(|one| (one.issuer.as_str(), one.subject.as_str())).collect::<Vec<_>>(),
        [(SSO, "00u1")]
    );
    // Nobody else confirms it, and nobody learns of the account.
    let mia = vouched_for(&kit.app, &known("mia@corp.example", Role::Member, SSO, "m")).await.unwrap();
    let mia = Call::by(mia, kit.app.new_trace());
    assert_eq!(confirm(&kit, &mia, &admin, "00u1").await.unwrap_err().code(), Code::NotFound);
    assert_eq!(confirm(&kit, &call, &admin, "00u2").await.unwrap_err().code(), Code::NotFound);
    confirm(&kit, &call, &admin, "00u1").await.unwrap();
    assert_eq!(visit(&kit, &newcomer).await.unwrap(), admin);
    assert_eq!(confirm(&kit, &call, &admin, "00u1").await.unwrap_err().code(), Code::NotFound, "it has been");
}

#[tokio::test]
async fn another_admin_confirms_and_who_is_no_admin_any_more_needs_none() {
    let kit = trusting().await;
    let (_, _, call) = root(&kit).await;
    let host = Vouched::new("eve@corp.example".parse().unwrap(), Role::Admin);
    let eve = visit(&kit, &host).await.unwrap();
    let newcomer = known("eve@corp.example", Role::Member, SSO, "e");
    assert_eq!(visit(&kit, &newcomer).await.unwrap_err().code(), Code::Denied, "whatever role it would have");
    confirm(&kit, &call, &eve, "e").await.unwrap();
    assert_eq!(visit(&kit, &newcomer).await.unwrap(), eve);

    let fay = visit(&kit, &Vouched::new("fay@corp.example".parse().unwrap(), Role::Admin)).await.unwrap();
    let newcomer = known("fay@corp.example", Role::Member, SSO, "f");
    assert_eq!(visit(&kit, &newcomer).await.unwrap_err().code(), Code::Denied);
    kit.app.run(&call, &SetRole { user_id: fay.clone(), role: Role::Member }).await.unwrap();
    assert_eq!(visit(&kit, &newcomer).await.unwrap(), fay);
    assert!(kit.read::<User>(&fay).await.unwrap().pending.is_empty(), "what joined does not wait");
}

#[tokio::test]
async fn identities_that_wait_are_few_and_run_out() {
    let kit = trusting().await;
    let (_, admin, call) = root(&kit).await;
    let newcomer = |n: usize| known("root@corp.example", Role::Admin, SSO, &format!("s{n}"));
    for n in 0..MAX_PENDING + 3 {
        assert_eq!(visit(&kit, &newcomer(n)).await.unwrap_err().code(), Code::Denied);
    }
    assert_eq!(kit.read::<User>(&admin).await.unwrap().pending.len(), MAX_PENDING);
    kit.pass(PENDING_FOR + Duration::from_secs(1));
    assert_eq!(confirm(&kit, &call, &admin, "s0").await.unwrap_err().code(), Code::NotFound);
    assert_eq!(visit(&kit, &newcomer(9)).await.unwrap_err().code(), Code::Denied);
    confirm(&kit, &call, &admin, "s9").await.unwrap();
    assert_eq!(visit(&kit, &newcomer(9)).await.unwrap(), admin);
}
