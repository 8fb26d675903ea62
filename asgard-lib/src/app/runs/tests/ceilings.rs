//! What passes without a person is bounded over all projects of an owner, and weighed again before anything is applied.

use crate::{
    app::{
        Call,
        people::{Vouched, vouched_for},
        periodic::{Next, PeriodicTask, RewriteRecords},
        projects::{RegisterProject, UpdateProject},
        requests::{Approve, ExplainRequest, RequestResource},
        resources::DeprovisionResource,
        runs::Claim,
        testkit::{Kit, MANAGER, OWNER, signed_in},
        worker,
    },
    config::Config,
    domain::{
        project::Project,
        request::{Request, RequestStatus},
        resource::Resource,
        run::{PlanSummary, RunStatus},
        tier::Tier,
    },
    error::Code,
    kernel::{Actor, Party, ProjectId, RequestId, ResourceId, Role, Usd},
    ports::{
        runner::RunOutcome,
        store::{Batch, Count, Op, Outcome, Store},
    },
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use zeroize::Zeroizing;

/// An owner may have 60 without a person, and it is no matter here whether the manager has signed in.
async fn kit() -> Kit {
    let mut config = Config::default();
    config.provisioning.auto_approve_owner.insert(Tier::Poc, Usd::from_dollars(60));
    config.provisioning.auto_approve_unconfirmed = Usd::from_dollars(1000);
    Kit::staged().await.configured(config).await
}

fn as_owner(kit: &Kit, owner: &str) -> Call {
    Call::by(signed_in(owner), kit.app.new_trace())
}

async fn project_of(kit: &Kit, call: &Call, owner: &str) -> ProjectId {
    let register: RegisterProject = serde_json::from_value(
        json!({"name": "Another", "owner_email": owner, "manager_email": MANAGER, "group": "platform"}),
    )
    .unwrap();
    kit.app.run(call, &register).await.unwrap().project_id
}

async fn ask(kit: &Kit, call: &Call, project: &ProjectId, name: &str, spec: Value) -> RequestId {
    let Value::Object(spec) = spec else { panic!("a spec is an object") };
    let ask = RequestResource {
        project_id: Some(project.clone()),
        service: "thing".parse().unwrap(),
        name: name.parse().unwrap(),
        spec,
        cloud: None,
        account: None,
    };
    kit.app.run(call, &ask).await.unwrap().request.request_id
}

fn creates_one() -> RunOutcome {
    let summary = PlanSummary { create: 1, ..PlanSummary::default() };
    RunOutcome::Planned { summary, plan: Zeroizing::new(vec![1]) }
}

fn applied() -> RunOutcome {
    RunOutcome::Applied { outputs: BTreeMap::new() }
}

async fn end(kit: &Kit, id: &RequestId, ending: RunOutcome) -> RequestStatus {
    let run = kit.request(id).await.current_run.unwrap();
    kit.supervise(&run, ending).await;
    kit.check().await;
    kit.request(id).await.status
}

/// Asks for so many dollars a month and plans it. The last rule says why it passed or not.
async fn planned(
    kit: &Kit,
    call: &Call,
    project: &ProjectId,
    name: &str,
    dollars: u32,
) -> (RequestId, RequestStatus, String) {
    let id = ask(kit, call, project, name, json!({"monthly_usd": dollars})).await;
    let status = end(kit, &id, creates_one()).await;
    let rule = last_rule(&kit.request(&id).await);
    (id, status, rule)
}

fn last_rule(request: &Request) -> String {
    request.judgements.last().unwrap().judgement.rule.to_string()
}

async fn approve(kit: &Kit, id: &RequestId) -> RequestStatus {
    let command = Approve { request_id: id.clone(), note: None, version: None };
    kit.app.run(&kit.manager(), &command).await.unwrap().status
}

async fn shows(kit: &Kit, counter: String) -> i64 {
    kit.memory.counter(&counter).await.unwrap() / 1_000_000
}

async fn shows_for(kit: &Kit, owner: &str) -> i64 {
    shows(kit, Project::owner_counter(&Party::Address(owner.parse().unwrap()))).await
}

/// Claims a run that does not start.
async fn not_started(kit: &Kit, id: &RequestId) -> Request {
    let run = kit.request(id).await.current_run.unwrap();
    assert!(matches!(kit.try_claim(&run).await.unwrap(), Claim::NotNeeded { .. }));
    assert_eq!(kit.run(&run).await.status, RunStatus::Cancelled);
    kit.check().await;
    kit.request(id).await
}

fn admin(kit: &Kit) -> Call {
    let Actor::Human { person, sign_in, .. } = signed_in("root@corp.example") else { panic!("a session") };
    Call::by(Actor::Human { person, sign_in, role: Role::Admin }, kit.app.new_trace())
}

async fn hand_over(kit: &Kit, project: &ProjectId, to: &str) {
    let update: UpdateProject = serde_json::from_value(json!({"project_id": project, "owner_email": to})).unwrap();
    kit.app.run(&admin(kit), &update).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn more_projects_are_no_more_money_without_a_person() {
    let kit = kit().await;
    let owner = as_owner(&kit, OWNER);
    let second = project_of(&kit, &owner, OWNER).await;
    assert_eq!(planned(&kit, &owner, &kit.project, "one", 40).await.1, RequestStatus::Approved);
    let (id, status, rule) = planned(&kit, &owner, &second, "one", 21).await;
    assert_eq!((status, rule.as_str()), (RequestStatus::Pending, "cost.above-owner-ceiling"));
    let told = kit.app.run(&owner, &ExplainRequest { request_id: id.clone() }).await.unwrap();
    let told = told.judgements.last().unwrap();
    assert!(told.reason.contains("$40.00") && told.reason.contains("$60.00"), "{}", told.reason);
    let weighed = serde_json::to_value(&told.weighed).unwrap();
    assert_eq!(
        (&weighed["owner_now_usd"], &weighed["owner_after_usd"], &weighed["owner_ceiling_usd"]),
        (&json!(40), &json!(61), &json!(60))
    );
    assert_eq!(planned(&kit, &owner, &second, "two", 20).await.1, RequestStatus::Approved, "up to the ceiling");
    assert_eq!(shows_for(&kit, OWNER).await, 60);
    // What a person approves takes nothing of it.
    assert_eq!(approve(&kit, &id).await, RequestStatus::Approved);
    assert_eq!(end(&kit, &id, applied()).await, RequestStatus::Fulfilled);
    assert_eq!(shows_for(&kit, OWNER).await, 60);
    // Somebody else's projects are somebody else's.
    let other = as_owner(&kit, "other@corp.example");
    let theirs = project_of(&kit, &other, "other@corp.example").await;
    assert_eq!(planned(&kit, &other, &theirs, "one", 50).await.1, RequestStatus::Approved);
}

#[tokio::test(start_paused = true)]
async fn two_projects_of_one_owner_that_ask_at_once_cannot_both_pass() {
    let kit = Arc::new(kit().await);
    let owner = as_owner(&kit, OWNER);
    let second = project_of(&kit, &owner, OWNER).await;
    let first = ask(&kit, &owner, &kit.project, "one", json!({"monthly_usd": 40})).await;
    let other = ask(&kit, &owner, &second, "one", json!({"monthly_usd": 40})).await;
    let (_, ours) = kit.claim(&kit.request(&first).await.current_run.unwrap()).await;
    let (_, theirs) = kit.claim(&kit.request(&other).await.current_run.unwrap()).await;
    // The plan of the other is decided when the first has been weighed, right before that is committed.
    let meanwhile = async move { theirs.finish(creates_one()).await.unwrap() };
    *kit.faulty.fault.before_commit.lock().unwrap() = Some((0, Box::pin(meanwhile)));
    ours.finish(creates_one()).await.unwrap();
    assert!(kit.faulty.fault.before_commit.lock().unwrap().is_none(), "nobody was faster");
    kit.check().await;
    assert_eq!(kit.request(&other).await.status, RequestStatus::Approved);
    let late = kit.request(&first).await;
    assert_eq!((late.status, last_rule(&late).as_str()), (RequestStatus::Pending, "cost.above-owner-ceiling"));
    assert_eq!(shows_for(&kit, OWNER).await, 40);
}

#[tokio::test(start_paused = true)]
async fn money_follows_a_project_to_its_next_owner_whatever_happens_meanwhile() {
    let kit = Arc::new(kit().await);
    let (owner, next) = (as_owner(&kit, OWNER), "next@corp.example");
    let second = project_of(&kit, &owner, OWNER).await;
    let first = planned(&kit, &owner, &kit.project, "one", 40).await.0;
    assert_eq!(planned(&kit, &owner, &second, "one", 30).await.1, RequestStatus::Pending);
    hand_over(&kit, &kit.project, next).await;
    kit.check().await;
    assert_eq!((shows_for(&kit, OWNER).await, shows_for(&kit, next).await), (0, 40));
    assert_eq!(planned(&kit, &owner, &second, "two", 30).await.1, RequestStatus::Approved, "there is room again");
    let theirs = as_owner(&kit, next);
    let third = project_of(&kit, &theirs, next).await;
    assert_eq!(planned(&kit, &theirs, &third, "one", 21).await.2, "cost.above-owner-ceiling");

    // Money that moves while a project is handed over is moved by whichever comes second.
    let waits = ask(&kit, &owner, &second, "three", json!({"monthly_usd": 5})).await;
    let (_, run) = kit.claim(&kit.request(&waits).await.current_run.unwrap()).await;
    let meanwhile = async move { run.finish(creates_one()).await.unwrap() };
    *kit.faulty.fault.before_commit.lock().unwrap() = Some((0, Box::pin(meanwhile)));
    hand_over(&kit, &second, "last@corp.example").await;
    kit.check().await;
    assert_eq!((shows_for(&kit, OWNER).await, shows_for(&kit, "last@corp.example").await), (0, 35));
    let waits = ask(&kit, &as_owner(&kit, "last@corp.example"), &second, "four", json!({"monthly_usd": 7})).await;
    let (_, run) = kit.claim(&kit.request(&waits).await.current_run.unwrap()).await;
    let also = Arc::clone(&kit);
    let project = second.clone();
    let meanwhile = async move { hand_over(&also, &project, OWNER).await };
    *kit.faulty.fault.before_commit.lock().unwrap() = Some((0, Box::pin(meanwhile)));
    run.finish(creates_one()).await.unwrap();
    kit.check().await;
    assert_eq!((shows_for(&kit, OWNER).await, shows_for(&kit, "last@corp.example").await), (42, 0));
    assert_eq!(kit.request(&first).await.status, RequestStatus::Approved);
}

#[tokio::test(start_paused = true)]
async fn an_owner_is_one_before_and_after_their_address_has_an_account() {
    let kit = kit().await;
    let owner = as_owner(&kit, OWNER);
    assert_eq!(planned(&kit, &owner, &kit.project, "one", 40).await.1, RequestStatus::Approved);
    let account = vouched_for(&kit.app, &Vouched::new(OWNER.parse().unwrap(), Role::Member)).await.unwrap();
    let user =
        Project::owner_counter(&Party::User { id: account.user().unwrap().clone(), email: OWNER.parse().unwrap() });
    // The record of the first project names the address, that of the second the account.
    let account = Call::by(account, kit.app.new_trace());
    let second = project_of(&kit, &account, OWNER).await;
    assert_eq!(planned(&kit, &account, &second, "one", 21).await.2, "cost.above-owner-ceiling");
    assert_eq!(planned(&kit, &account, &second, "two", 10).await.1, RequestStatus::Approved);
    assert_eq!((shows_for(&kit, OWNER).await, shows(&kit, user.clone()).await), (40, 10));
    assert_eq!(
        planned(&kit, &account, &kit.project, "two", 10).await.1,
        RequestStatus::Approved,
        "the project's own 50"
    );
    for _ in 0..4 {
        worker::run_due(&kit.app).await.unwrap();
        kit.pass(Duration::from_secs(61));
    }
    kit.check().await;
    assert_eq!(
        (shows_for(&kit, OWNER).await, shows(&kit, user).await),
        (0, 60),
        "it is the account's, and counted once"
    );
    assert_eq!(planned(&kit, &account, &second, "three", 1).await.2, "cost.above-owner-ceiling");
}

#[tokio::test(start_paused = true)]
async fn a_project_whose_manager_has_never_signed_in_has_a_ceiling_of_its_own() {
    let kit = Kit::staged().await;
    let owner = as_owner(&kit, OWNER);
    assert_eq!(planned(&kit, &owner, &kit.project, "one", 25).await.1, RequestStatus::Approved, "25 is the default");
    let (id, status, rule) = planned(&kit, &owner, &kit.project, "two", 1).await;
    assert_eq!((status, rule.as_str()), (RequestStatus::Pending, "cost.manager-unconfirmed"));
    let reason = kit.request(&id).await.judgements.last().unwrap().judgement.reason.clone();
    assert!(reason.contains("never signed in") && reason.contains("$25.00") && reason.contains("$26.00"), "{reason}");
    // An account that somebody else made is nobody who has signed in.
    let create: crate::app::people::CreateUser =
        serde_json::from_value(json!({"username": "mgr", "password": "correct horse battery", "email": MANAGER}))
            .unwrap();
    kit.app.run(&admin(&kit), &create).await.unwrap();
    assert_eq!(planned(&kit, &owner, &kit.project, "three", 1).await.2, "cost.manager-unconfirmed");
    let login = crate::app::people::Login {
        username: "mgr".into(),
        password: crate::kernel::SecretText::new("correct horse battery"),
    };
    kit.app.run(&Call::anonymous(kit.app.new_trace(), crate::app::Source::default()), &login).await.unwrap();
    assert_eq!(planned(&kit, &owner, &kit.project, "four", 25).await.1, RequestStatus::Approved, "the tier's 50");
    assert_eq!(planned(&kit, &owner, &kit.project, "five", 1).await.2, "cost.above-ceiling");

    // Whoever comes from an issuer has shown it by that.
    let (kit, manager) = (Kit::staged().await, Vouched::new(MANAGER.parse().unwrap(), Role::Member));
    vouched_for(&kit.app, &manager).await.unwrap();
    assert_eq!(planned(&kit, &as_owner(&kit, OWNER), &kit.project, "one", 50).await.1, RequestStatus::Approved);
}

#[tokio::test(start_paused = true)]
async fn what_policy_let_pass_is_weighed_again_before_it_is_applied() {
    let kit = kit().await;
    let owner = as_owner(&kit, OWNER);
    let (small, status, _) = planned(&kit, &owner, &kit.project, "small", 40).await;
    assert_eq!(status, RequestStatus::Approved);
    let (large, status, _) = planned(&kit, &owner, &kit.project, "large", 900).await;
    assert_eq!((status, approve(&kit, &large).await), (RequestStatus::Pending, RequestStatus::Approved));

    // The ceiling is used up by others: nothing of the small one is applied, and a person is asked.
    let request = not_started(&kit, &small).await;
    assert_eq!((request.status, last_rule(&request).as_str()), (RequestStatus::Pending, "cost.above-ceiling"));
    assert_eq!((request.reserved, request.unapproved, request.current_run), (Usd::ZERO, Usd::ZERO, None));
    let told = kit.app.run(&kit.manager(), &ExplainRequest { request_id: small.clone() }).await.unwrap();
    assert!(told.approval.unwrap().you_may && told.next.contains("the project's manager or an admin"), "{}", told.next);
    // What a person approved starts, whatever else there is.
    assert_eq!(end(&kit, &large, applied()).await, RequestStatus::Fulfilled);
    assert_eq!(approve(&kit, &small).await, RequestStatus::Approved);
    assert_eq!(end(&kit, &small, applied()).await, RequestStatus::Fulfilled);
    assert_eq!(shows_for(&kit, OWNER).await, 0, "a person approved both");
}

#[tokio::test(start_paused = true)]
async fn a_ceiling_that_is_reached_while_a_run_is_claimed_holds_it_back() {
    let kit = Arc::new(kit().await);
    let owner = as_owner(&kit, OWNER);
    let small = planned(&kit, &owner, &kit.project, "small", 40).await.0;
    let large = planned(&kit, &owner, &kit.project, "large", 900).await.0;
    let also = Arc::clone(&kit);
    let meanwhile = async move { assert_eq!(approve(&also, &large).await, RequestStatus::Approved) };
    *kit.faulty.fault.before_commit.lock().unwrap() = Some((0, Box::pin(meanwhile)));
    assert_eq!(not_started(&kit, &small).await.status, RequestStatus::Pending);
}

#[tokio::test(start_paused = true)]
async fn the_next_owners_ceiling_holds_back_what_the_one_before_had_room_for() {
    let kit = kit().await;
    let next = as_owner(&kit, "next@corp.example");
    let theirs = project_of(&kit, &next, "next@corp.example").await;
    assert_eq!(planned(&kit, &next, &theirs, "one", 50).await.1, RequestStatus::Approved);
    let id = planned(&kit, &as_owner(&kit, OWNER), &kit.project, "one", 40).await.0;
    hand_over(&kit, &kit.project, "next@corp.example").await;
    // Whoever asked has nothing to say there any more, which ends it; what the key of the project asked for goes on.
    assert_eq!(not_started_failed(&kit, &id).await, RequestStatus::Failed);
    assert_eq!(shows_for(&kit, "next@corp.example").await, 50, "and gives back what it held");

    let key: crate::app::keys::MintKey =
        serde_json::from_value(json!({"project_id": kit.project, "name": "agent"})).unwrap();
    let key = kit.app.run(&next, &key).await.unwrap().id;
    let wanted: RequestResource =
        serde_json::from_value(json!({"service": "thing", "name": "two", "spec": {"monthly_usd": 10}})).unwrap();
    let id = kit.app.as_key(&key).await.unwrap().run(&wanted).await.unwrap().request.request_id;
    assert_eq!(end(&kit, &id, creates_one()).await, RequestStatus::Approved);
    hand_over(&kit, &theirs, OWNER).await;
    hand_over(&kit, &kit.project, OWNER).await;
    assert_eq!(shows_for(&kit, OWNER).await, 60);
    let third = project_of(&kit, &as_owner(&kit, "third@corp.example"), "third@corp.example").await;
    assert_eq!(planned(&kit, &as_owner(&kit, "third@corp.example"), &third, "one", 1).await.1, RequestStatus::Approved);
    hand_over(&kit, &third, OWNER).await;
    let request = not_started(&kit, &id).await;
    assert_eq!((request.status, last_rule(&request).as_str()), (RequestStatus::Pending, "cost.above-owner-ceiling"));
}

async fn not_started_failed(kit: &Kit, id: &RequestId) -> RequestStatus {
    let run = kit.request(id).await.current_run.unwrap();
    assert!(matches!(kit.try_claim(&run).await.unwrap(), Claim::NotNeeded { .. }));
    kit.check().await;
    kit.request(id).await.status
}

#[tokio::test(start_paused = true)]
async fn a_plan_made_anew_is_weighed_with_its_money_anew() {
    let kit = kit().await;
    let owner = as_owner(&kit, OWNER);
    let (id, status, _) = planned(&kit, &owner, &kit.project, "one", 900).await;
    assert_eq!((status, approve(&kit, &id).await), (RequestStatus::Pending, RequestStatus::Approved));
    // What a person approved was the plan that is gone, and so is what it held the money for.
    let stale = RunOutcome::Stale { why: "The state is another one.".into() };
    assert_eq!(end(&kit, &id, stale).await, RequestStatus::Planning);
    assert_eq!(end(&kit, &id, creates_one()).await, RequestStatus::Pending);
    assert_eq!(last_rule(&kit.request(&id).await), "cost.above-ceiling");
}

async fn remove(kit: &Kit, call: &Call, project: &ProjectId, resource_id: ResourceId) {
    let remove = DeprovisionResource { project_id: Some(project.clone()), resource_id, version: None };
    let id = kit.app.run(call, &remove).await.unwrap().request.request_id;
    let summary = PlanSummary { delete: 1, ..PlanSummary::default() };
    assert_eq!(
        end(kit, &id, RunOutcome::Planned { summary, plan: Zeroizing::new(vec![1]) }).await,
        RequestStatus::Approved
    );
    assert_eq!(end(kit, &id, RunOutcome::Destroyed).await, RequestStatus::Fulfilled);
}

#[tokio::test(start_paused = true)]
async fn what_no_person_has_approved_shrinks_and_goes_with_its_resource() {
    let kit = kit().await;
    let owner = as_owner(&kit, OWNER);
    let (id, ..) = planned(&kit, &owner, &kit.project, "one", 40).await;
    assert_eq!(end(&kit, &id, applied()).await, RequestStatus::Fulfilled);
    let resource = kit.request(&id).await.resource;
    let unapproved = async || kit.resource(&resource).await.unapproved.unwrap();
    assert_eq!((shows_for(&kit, OWNER).await, unapproved().await), (40, Usd::from_dollars(40)));
    // Smaller, by itself.
    let (id, status, _) = planned(&kit, &owner, &kit.project, "one", 15).await;
    assert_eq!((status, end(&kit, &id, applied()).await), (RequestStatus::Approved, RequestStatus::Fulfilled));
    assert_eq!((shows_for(&kit, OWNER).await, unapproved().await), (15, Usd::from_dollars(15)));
    // Larger, by a person, who answers for all of it then.
    let (id, status, _) = planned(&kit, &owner, &kit.project, "one", 300).await;
    assert_eq!((status, approve(&kit, &id).await), (RequestStatus::Pending, RequestStatus::Approved));
    assert_eq!(end(&kit, &id, applied()).await, RequestStatus::Fulfilled);
    assert_eq!((shows_for(&kit, OWNER).await, unapproved().await), (0, Usd::ZERO));
    remove(&kit, &owner, &kit.project, resource).await;
    assert_eq!(shows_for(&kit, OWNER).await, 0);

    // Half-way, it may be running.
    let (id, ..) = planned(&kit, &owner, &kit.project, "two", 20).await;
    let failed = RunOutcome::Failed { error: "boom".into(), may_exist: vec!["a.b".into()] };
    assert_eq!(end(&kit, &id, failed).await, RequestStatus::Failed);
    assert_eq!(shows_for(&kit, OWNER).await, 20);
    remove(&kit, &owner, &kit.project, kit.request(&id).await.resource).await;
    assert_eq!(shows_for(&kit, OWNER).await, 0);
}

/// Takes a resource back to what a version before wrote: nobody knows what of its cost a person has approved, and nothing is counted.
async fn forget(kit: &Kit, id: &RequestId, dollars: i64) -> ResourceId {
    let request = kit.request(id).await;
    kit.tamper::<Resource>(request.resource.as_str(), |resource| resource.unapproved = None).await;
    let owner = kit.read::<Project>(&request.project).await.unwrap().owner.clone();
    let mut batch = Batch::new(kit.world.id(), kit.world.now());
    for counter in [Project::unapproved_counter(&request.project), Project::owner_counter(&owner)] {
        let delta = -dollars * 1_000_000;
        batch.push(Op::Count(Count { counter, delta, floor: None, ceiling: None, expires_at: None })).unwrap();
    }
    assert_eq!(kit.memory.commit(&batch).await.unwrap(), Outcome::Committed);
    request.resource
}

#[tokio::test(start_paused = true)]
async fn what_a_version_before_let_pass_is_counted_when_its_records_are_written_again() {
    let kit = kit().await;
    let owner = as_owner(&kit, OWNER);
    let (alone, ..) = planned(&kit, &owner, &kit.project, "alone", 40).await;
    assert_eq!(end(&kit, &alone, applied()).await, RequestStatus::Fulfilled);
    let (asked, ..) = planned(&kit, &owner, &kit.project, "asked", 90).await;
    assert_eq!(approve(&kit, &asked).await, RequestStatus::Approved);
    assert_eq!(end(&kit, &asked, applied()).await, RequestStatus::Fulfilled);
    let (alone, asked) = (forget(&kit, &alone, 40).await, forget(&kit, &asked, 0).await);
    kit.check().await;
    assert_eq!(shows_for(&kit, OWNER).await, 0);
    let app = Arc::clone(&kit.app);
    while RewriteRecords.run(&app).await.unwrap() == Next::Again {}
    kit.check().await;
    assert_eq!(kit.resource(&alone).await.unapproved, Some(Usd::from_dollars(40)));
    assert_eq!(
        kit.resource(&asked).await.unapproved,
        Some(Usd::ZERO),
        "its last request tells that a person approved it"
    );
    assert_eq!(shows_for(&kit, OWNER).await, 40);
    let second = project_of(&kit, &owner, OWNER).await;
    let (id, status, rule) = planned(&kit, &owner, &second, "one", 21).await;
    assert_eq!((status, rule.as_str()), (RequestStatus::Pending, "cost.above-owner-ceiling"));
    let refused = kit.app.run(&owner, &Approve { request_id: id, note: None, version: None }).await.unwrap_err();
    assert!(matches!(refused.code(), Code::Denied | Code::SeparationOfDuties), "{refused:?}");
}
