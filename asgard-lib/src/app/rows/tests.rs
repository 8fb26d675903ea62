use super::*;
use crate::{
    app::{
        periodic::{TaskOutcome, Ticked, tick, turn},
        requests::{Cancel, RequestsOverview, RequestsOverviewView},
        testkit::Kit,
    },
    domain::request::{REQUEST_LIST, Request, RequestRow, RequestStatus},
    error::Code,
    kernel::{Actor, Limit, Person, Role, SessionId, SignIn, UserId},
    ports::{kinds, store::Store},
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

fn admin(kit: &Kit) -> Call {
    let digest = [9; 32];
    let admin = Actor::Human {
        person: Person::verified(UserId::from_digest(&digest), "root@corp.example".parse().unwrap()),
        role: Role::Admin,
        sign_in: SignIn::Session(SessionId::from_digest(&digest)),
    };
    Call::by(admin, kit.app.new_trace())
}

async fn overview(kit: &Kit, status: Option<RequestStatus>) -> RequestsOverviewView {
    let list = RequestsOverview { status, cursor: None, limit: Limit::default() };
    kit.app.run(&admin(kit), &list).await.unwrap()
}

async fn project(app: &Arc<Asgard>) -> Ticked {
    tick(app, &KeepRows::<RequestRows>::default(), None, &CancellationToken::new()).await.unwrap()
}

/// Rows and counts are what the requests are, and no change is left.
async fn check(kit: &Kit) {
    let requests = kit.all::<Request>(&kinds::REQUESTS, "").await;
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for request in &requests {
        *counts.entry(request.status.name().to_owned()).or_default() += 1;
        let row = kit.read::<RequestRow>(&request.id).await.unwrap().value;
        assert_eq!(row, RequestRow::of(request));
    }
    let mut known = super::counts(&kit.app, REQUEST_LIST).await.unwrap().counts;
    known.retain(|_, count| *count > 0);
    assert_eq!(known, counts);
    assert_eq!(kit.all::<Change>(&kinds::CHANGES, REQUEST_LIST).await, []);
}

#[tokio::test(start_paused = true)]
async fn a_list_follows_what_is_committed_and_says_up_to_when() {
    let kit = Kit::staged().await;
    assert_eq!(overview(&kit, None).await.as_of, None, "not filled yet");
    let asked = kit.ask("asked", "one", json!({})).await.unwrap();
    assert_eq!(project(&kit.app).await, Ticked::Did);
    check(&kit).await;
    let seen = overview(&kit, Some(RequestStatus::Planning)).await;
    assert_eq!(seen.items.len(), 1);
    assert_eq!(seen.as_of, Some(kit.world.now().minus(SETTLE)));
    assert_eq!(project(&kit.app).await, Ticked::NotWanted, "an idle list writes nothing");

    kit.pass(Duration::from_secs(60));
    let changed_at = kit.world.now();
    let id = seen.items[0].request_id.clone();
    let cancel: Cancel = serde_json::from_value(json!({ "request_id": id })).unwrap();
    kit.app.run(&kit.owner(), &cancel).await.unwrap();
    kit.pass(Duration::from_secs(60));
    let behind = overview(&kit, Some(RequestStatus::Planning)).await;
    assert_eq!((behind.items.len(), behind.as_of), (1, Some(changed_at)), "it shows what it has, and says so");
    assert_eq!(project(&kit.app).await, Ticked::Did);
    check(&kit).await;
    let after = overview(&kit, Some(RequestStatus::Cancelled)).await;
    assert_eq!(after.items.len(), 1);
    let counted = |status| after.counts.iter().find(|count| count.status == status).unwrap().count;
    assert_eq!((counted(RequestStatus::Planning), counted(RequestStatus::Cancelled)), (0, 1));
    drop(asked);
}

/// Sources that were there before the list have no change: they are walked over, by whichever process has its turn.
#[tokio::test(start_paused = true)]
async fn a_list_is_filled_with_what_was_there_before_it() {
    let kit = Kit::staged().await;
    for number in 0..COMMIT + 5 {
        kit.ask("asked", &format!("r{number}"), json!({})).await.unwrap();
    }
    for change in kit.all::<Change>(&kinds::CHANGES, REQUEST_LIST).await {
        kit.erase::<Change>(&change.id.to_string()).await;
    }
    let (other, _) = kit.second().await;
    let (task, stop) = (KeepRows::<RequestRows>::default(), CancellationToken::new());
    assert_eq!(turn(&kit.app, &task, &stop).await.unwrap(), TaskOutcome::Did(Next::Again));
    assert_eq!(overview(&kit, None).await.as_of, None, "half of it is not a list");
    assert_eq!(project(&other).await, Ticked::Did);
    check(&kit).await;
    assert!(overview(&kit, None).await.as_of.is_some());
}

/// A process of the version before writes a request and no change.
#[tokio::test(start_paused = true)]
async fn what_no_change_announced_is_found_within_a_day() {
    let kit = Kit::staged().await;
    kit.ask("asked", "one", json!({})).await.unwrap();
    project(&kit.app).await;
    kit.ask("asked", "two", json!({})).await.unwrap();
    for change in kit.all::<Change>(&kinds::CHANGES, REQUEST_LIST).await {
        kit.erase::<Change>(&change.id.to_string()).await;
    }
    assert_eq!(project(&kit.app).await, Ticked::NotWanted);
    kit.pass(WALK_EVERY);
    assert_eq!(project(&kit.app).await, Ticked::Did);
    check(&kit).await;
}

/// Two projectors at once, after a lease was lost, and one whose commits meet others: every change counts once.
#[tokio::test(start_paused = true)]
async fn projectors_at_once_count_everything_once() {
    let kit = Kit::staged().await;
    project(&kit.app).await;
    for number in 0..7 {
        kit.ask("asked", &format!("r{number}"), json!({})).await.unwrap();
    }
    kit.faulty.fault.conflict_every.store(3, std::sync::atomic::Ordering::SeqCst);
    let (other, _) = kit.second().await;
    let task = KeepRows::<RequestRows>::default();
    let (one, two) = tokio::join!(task.run(&kit.app), task.run(&other));
    one.unwrap();
    two.unwrap();
    kit.faulty.fault.conflict_every.store(0, std::sync::atomic::Ordering::SeqCst);
    check(&kit).await;
}

#[tokio::test(start_paused = true)]
async fn only_an_admin_sees_the_requests_of_all_projects() {
    let kit = Kit::staged().await;
    let list = RequestsOverview { status: None, cursor: None, limit: Limit::default() };
    for call in [kit.owner(), kit.manager()] {
        assert_eq!(kit.app.run(&call, &list).await.unwrap_err().code(), Code::Denied);
    }
    assert!(kit.memory.ping().await.is_ok());
}
