//! Who answers for keys.

use super::*;
use crate::{
    app::{
        Call,
        periodic::{Next, PeriodicTask, ReviewKeys},
        projects::UpdateProject,
        testkit::{Kit, MANAGER, OWNER, member, signed_in},
    },
    domain::credential::{FLAGGED, KeyFlag},
    error::Code,
    kernel::{Actor, Limit, Role},
    ports::world::Clock,
};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);

fn by(kit: &Kit, actor: Actor) -> Call {
    Call::by(actor, kit.app.new_trace())
}

fn admin(kit: &Kit) -> Call {
    let Actor::Human { person, sign_in, .. } = signed_in("root@corp.example") else { panic!("a person") };
    by(kit, Actor::Human { person, sign_in, role: Role::Admin })
}

async fn mint(kit: &Kit, call: &Call) -> KeyId {
    let mint = MintKey { project_id: kit.project.clone(), name: "agent".parse().unwrap(), expires_in_days: None };
    kit.app.run(call, &mint).await.unwrap().id
}

async fn shown(kit: &Kit, key: &KeyId) -> KeyView {
    let list = ListKeys { project_id: Some(kit.project.clone()), cursor: None, limit: Limit::default() };
    let keys = kit.app.run(&kit.owner(), &list).await.unwrap().items;
    keys.into_iter().find(|shown| shown.id == *key).unwrap()
}

async fn inbox(kit: &Kit, call: &Call) -> Vec<KeyId> {
    let list = ListFlaggedKeys { cursor: None, limit: Limit::default() };
    kit.app.run(call, &list).await.unwrap().items.into_iter().map(|key| key.id).collect()
}

async fn adopt(kit: &Kit, call: &Call, key: &KeyId) -> Result<KeyView> {
    kit.app.run(call, &AdoptKey { project_id: kit.project.clone(), key_id: key.clone() }).await
}

async fn review(kit: &Kit) {
    while ReviewKeys.run(&kit.app).await.unwrap() == Next::Again {}
}

/// The owner moves, so that whoever minted as owner has lost standing.
async fn move_owner(kit: &Kit, to: &str) {
    let update = serde_json::json!({"project_id": kit.project, "owner_email": to});
    let update: UpdateProject = serde_json::from_value(update).unwrap();
    kit.app.run(&admin(kit), &update).await.unwrap();
}

async fn said(kit: &Kit, action: &AuditAction) -> usize {
    let events = kit.all::<crate::domain::audit::AuditEvent>(&kinds::AUDIT_BY_PROJECT, kit.project.as_str()).await;
    events.iter().filter(|event| event.action == *action).count()
}

#[tokio::test]
async fn a_key_whose_minter_lost_standing_is_flagged_adopted_or_stops_for_good() {
    let kit = Kit::staged().await;
    let (adopted, left) = (mint(&kit, &kit.owner()).await, mint(&kit, &kit.owner()).await);
    review(&kit).await;
    assert_eq!((inbox(&kit, &kit.manager()).await, shown(&kit, &left).await.flag.is_none()), (vec![], true));
    assert_eq!(
        adopt(&kit, &kit.manager(), &left).await.unwrap_err().code(),
        Code::WrongState,
        "somebody answers for it"
    );

    move_owner(&kit, "next@corp.example").await;
    let manager = kit.manager();
    let list = ListKeys { project_id: Some(kit.project.clone()), cursor: None, limit: Limit::default() };
    let flags: Vec<_> = kit.app.run(&manager, &list).await.unwrap().items.into_iter().map(|key| key.flag).collect();
    assert!(flags.iter().all(|flag| flag.as_ref().is_some_and(|flag| flag.why == KeyFlagReason::Unattended)));
    review(&kit).await;
    assert_eq!(said(&kit, &AuditAction::KeyUnattended).await, 2);
    let next = by(&kit, member("next@corp.example"));
    let mut both = vec![adopted.clone(), left.clone()];
    both.sort();
    assert_eq!((inbox(&kit, &manager).await, inbox(&kit, &next).await), (both.clone(), both));
    assert_eq!(inbox(&kit, &by(&kit, member("stranger@corp.example"))).await, vec![]);

    let stranger = by(&kit, member("stranger@corp.example"));
    assert_eq!(adopt(&kit, &stranger, &adopted).await.unwrap_err().code(), Code::NotFound);
    assert_eq!(adopt(&kit, &admin(&kit), &adopted).await.unwrap_err().code(), Code::Denied);
    let view = adopt(&kit, &next, &adopted).await.unwrap();
    assert_eq!((view.minted_by.as_str(), view.held_by[0].as_str()), ("next@corp.example", OWNER));
    assert_eq!(inbox(&kit, &manager).await, std::slice::from_ref(&left));

    kit.pass(DAY * 29);
    assert!(kit.app.as_key(&left).await.is_ok());
    kit.pass(DAY * 2);
    assert_eq!(kit.app.as_key(&left).await.unwrap_err().code(), Code::BadCredential);
    assert!(kit.app.as_key(&adopted).await.is_ok());
    // Standing that comes back, or somebody who adopts it now, does not bring it back.
    assert_eq!(adopt(&kit, &next, &left).await.unwrap_err().code(), Code::WrongState);
    move_owner(&kit, OWNER).await;
    assert_eq!(kit.app.as_key(&left).await.unwrap_err().code(), Code::BadCredential);
    review(&kit).await;
    assert_eq!(kit.app.as_key(&left).await.unwrap_err().code(), Code::BadCredential);
    let kept = kit.read::<ProjectKey>(&left).await.unwrap();
    assert!(kept.revoked_at.is_some() && kept.inbox.is_none());
    assert_eq!(said(&kit, &AuditAction::KeyStopped).await, 1);
}

#[tokio::test]
async fn a_key_is_not_flagged_any_more_once_its_minter_may_again() {
    let kit = Kit::staged().await;
    let key = mint(&kit, &kit.owner()).await;
    move_owner(&kit, "next@corp.example").await;
    review(&kit).await;
    kit.pass(DAY * 20);
    move_owner(&kit, OWNER).await;
    review(&kit).await;
    assert_eq!(said(&kit, &AuditAction::KeyAttended).await, 1);
    kit.pass(DAY * 20);
    assert!(kit.app.as_key(&key).await.is_ok());
    move_owner(&kit, "next@corp.example").await;
    review(&kit).await;
    kit.pass(DAY * 29);
    assert!(kit.app.as_key(&key).await.is_ok(), "the time begins anew");
}

#[tokio::test]
async fn a_key_that_an_admin_minted_for_others_is_shown_to_owner_and_manager() {
    let kit = Kit::staged().await;
    let key = mint(&kit, &admin(&kit)).await;
    assert_eq!(said(&kit, &AuditAction::KeyMintedByAdmin).await, 1, "at once");
    let owner = by(&kit, member(OWNER));
    assert_eq!((inbox(&kit, &owner).await, inbox(&kit, &kit.manager()).await), (vec![key.clone()], vec![key.clone()]));
    let kept = kit.read::<ProjectKey>(&key).await.unwrap();
    assert_eq!((kept.flag.clone(), kept.inbox.as_deref()), (Some(KeyFlag::MintedByAdmin), Some(FLAGGED)));
    let flag = shown(&kit, &key).await.flag.unwrap();
    assert_eq!((flag.why, flag.stops_at), (KeyFlagReason::MintedByAdmin, None));
    assert!(flag.sentence.starts_with("root@corp.example"), "{}", flag.sentence);
    adopt(&kit, &by(&kit, signed_in(MANAGER)), &key).await.unwrap();
    assert_eq!(inbox(&kit, &owner).await, vec![]);
}

/// A task of the periodic list, once, as the loops do it: with what its lease says of the clocks.
async fn turn(kit: &Kit) {
    let stop = tokio_util::sync::CancellationToken::new();
    while crate::app::periodic::turn(&kit.app, &ReviewKeys, &stop).await.unwrap()
        == crate::app::periodic::TaskOutcome::Did(Next::Again)
    {}
}

/// One turn with a clock that is wrong, among turns with one that is right: before the key is flagged, and while its time runs. Nothing is
/// ended early, and the key works no longer than its time and what it took to see that the clock is right again.
#[tokio::test]
async fn a_clock_that_is_wrong_neither_ends_an_unattended_key_early_nor_lets_it_live() {
    for wrong in [-365, -40, 31, 365].map(|days: i64| days * 86_400_000) {
        for at_flagging in [true, false] {
            let kit = Kit::staged().await;
            let key = mint(&kit, &kit.owner()).await;
            let hours = async |hours: u32| {
                for _ in 0..hours {
                    kit.pass(Duration::from_secs(3601));
                    turn(&kit).await;
                }
            };
            let wrongly = async || {
                let right = kit.clock.now();
                kit.clock.set(Timestamp::from_millis(right.as_millis() + wrong));
                turn(&kit).await;
                kit.clock.set(right);
            };
            hours(2).await;
            move_owner(&kit, "next@corp.example").await;
            if at_flagging {
                wrongly().await;
            }
            hours(4).await;
            let flag = kit.read::<ProjectKey>(&key).await.unwrap().flag.clone();
            let Some(KeyFlag::Unattended { since }) = flag else { panic!("{flag:?}: {wrong}") };
            assert!(
                since <= kit.clock.now() && kit.clock.now().since(since) <= Duration::from_secs(5 * 3601),
                "{wrong}"
            );
            if !at_flagging {
                wrongly().await;
            }
            hours(29 * 24).await;
            assert!(kit.read::<ProjectKey>(&key).await.unwrap().revoked_at.is_none(), "{wrong} {at_flagging}");
            assert!(kit.app.as_key(&key).await.is_ok(), "{wrong} {at_flagging}");
            hours(26).await;
            assert!(kit.read::<ProjectKey>(&key).await.unwrap().revoked_at.is_some(), "{wrong} {at_flagging}");
        }
    }
}

/// What a version before has written on a clock that was ahead is put right.
#[tokio::test]
async fn a_flag_from_the_future_begins_anew() {
    let kit = Kit::staged().await;
    let key = mint(&kit, &kit.owner()).await;
    move_owner(&kit, "next@corp.example").await;
    let right = kit.clock.now();
    kit.clock.set(right.plus(DAY * 365));
    review(&kit).await;
    kit.clock.set(right);
    review(&kit).await;
    let kept = kit.read::<ProjectKey>(&key).await.unwrap();
    assert_eq!(kept.flag, Some(KeyFlag::Unattended { since: right }));
    kit.pass(DAY * 31);
    assert_eq!(kit.app.as_key(&key).await.unwrap_err().code(), Code::BadCredential);
}
