//! Ends that are not happy ones: at each step, every way out.

use crate::{
    app::{
        projects::Kill,
        requests::{Approve, Cancel, Reject},
        resources::RefreshResource,
        runs::Claim,
        testkit::Kit,
        worker,
    },
    domain::{
        request::RequestStatus,
        resource::ResourceStatus,
        run::{PlanSummary, RunStatus},
    },
    kernel::{RequestId, RunId},
    ports::runner::{OutputValue, Renewal, RunOutcome, RunReporter},
};
use serde_json::json;
use std::{collections::BTreeMap, time::Duration};
use zeroize::Zeroizing;

fn planned() -> RunOutcome {
    RunOutcome::Planned { summary: PlanSummary { create: 1, ..PlanSummary::default() }, plan: Zeroizing::new(vec![1]) }
}

fn applied() -> RunOutcome {
    let output = |value: serde_json::Value, sensitive| OutputValue { value, sensitive };
    let outputs = BTreeMap::from([
        ("id".to_owned(), output(json!("i-1"), false)),
        ("token".to_owned(), output(json!("hunter2"), false)),
        ("hidden".to_owned(), output(json!({"a": 1}), true)),
        ("none".to_owned(), output(json!(null), true)),
    ]);
    RunOutcome::Applied { outputs }
}

fn bad_endings() -> [(RunOutcome, RunStatus); 5] {
    let none = Vec::new;
    [
        (RunOutcome::Failed { error: "boom".into(), may_exist: none() }, RunStatus::Failed),
        (RunOutcome::Cancelled { may_exist: none() }, RunStatus::Cancelled),
        (RunOutcome::TimedOut { may_exist: none() }, RunStatus::TimedOut),
        (RunOutcome::Interrupted { may_exist: none() }, RunStatus::Interrupted),
        (RunOutcome::Stale { why: "drift".into() }, RunStatus::Interrupted),
    ]
}

async fn current(kit: &Kit, id: &RequestId) -> RunId {
    kit.request(id).await.current_run.unwrap()
}

async fn end(kit: &Kit, id: &RequestId, ending: RunOutcome) -> RequestStatus {
    kit.supervise(&current(kit, id).await, ending).await;
    kit.check().await;
    kit.request(id).await.status
}

#[tokio::test(start_paused = true)]
async fn every_bad_end_of_planning_and_of_applying() {
    for applying in [false, true] {
        for (ending, run_status) in bad_endings() {
            let kit = Kit::staged().await;
            let id = kit.ask("thing", "one", json!({})).await.unwrap().request.request_id;
            if applying {
                assert_eq!(end(&kit, &id, planned()).await, RequestStatus::Approved);
            }
            let run = current(&kit, &id).await;
            let expected = match &ending {
                RunOutcome::Cancelled { .. } => RequestStatus::Cancelled,
                RunOutcome::Interrupted { .. } | RunOutcome::Stale { .. } => RequestStatus::Planning,
                _ => RequestStatus::Failed,
            };
            let name = ending.name();
            assert_eq!(end(&kit, &id, ending).await, expected, "{name}, applying: {applying}");
            assert_eq!(kit.run(&run).await.status, run_status, "{name}");
            let request = kit.request(&id).await;
            let resource = kit.resource(&request.resource).await;
            let life = match (expected, applying) {
                (RequestStatus::Planning, _) => ResourceStatus::Provisioning,
                (RequestStatus::Cancelled, false) => ResourceStatus::Destroyed,
                _ => ResourceStatus::Failed,
            };
            assert_eq!(resource.status, life, "{name}, applying: {applying}");
            assert_eq!(resource.attention.is_some(), applying && expected != RequestStatus::Planning, "{name}");
            if expected == RequestStatus::Planning {
                let resumes = applying && name == "interrupted";
                assert_eq!(kit.run(&request.current_run.unwrap()).await.resume, resumes, "{name}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn interruptions_are_bounded() {
    let kit = Kit::staged().await;
    let id = kit.ask("thing", "one", json!({})).await.unwrap().request.request_id;
    for _ in 0..5 {
        assert_eq!(end(&kit, &id, RunOutcome::Interrupted { may_exist: vec![] }).await, RequestStatus::Planning);
    }
    assert_eq!(end(&kit, &id, RunOutcome::Interrupted { may_exist: vec![] }).await, RequestStatus::NeedsAttention);
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_grew_after_an_interruption_is_approved_again() {
    let kit = Kit::staged().await;
    let id = kit.ask("thing", "one", json!({})).await.unwrap().request.request_id;
    end(&kit, &id, planned()).await;
    assert_eq!(end(&kit, &id, RunOutcome::Interrupted { may_exist: vec![] }).await, RequestStatus::Planning);
    let mut summary = PlanSummary { delete: 1, ..PlanSummary::default() };
    summary
        .changes
        .push(crate::domain::run::PlannedChange { address: "x".into(), change: crate::domain::run::Change::Delete });
    assert_eq!(
        end(&kit, &id, RunOutcome::Planned { summary, plan: Zeroizing::new(vec![2]) }).await,
        RequestStatus::Pending
    );
    kit.app.run(&kit.manager(), &Approve { request_id: id.clone(), note: None, version: None }).await.unwrap();
    assert_eq!(end(&kit, &id, applied()).await, RequestStatus::Fulfilled);
}

#[tokio::test(start_paused = true)]
async fn what_is_half_made_is_never_written_off() {
    let kit = Kit::staged().await;
    let ask = async || kit.ask("thing", "one", json!({"monthly_usd": 3})).await.unwrap().request.request_id;
    let id = ask().await;
    end(&kit, &id, planned()).await;
    end(&kit, &id, RunOutcome::Interrupted { may_exist: vec![] }).await;
    let mut summary = PlanSummary { delete: 1, ..PlanSummary::default() };
    summary
        .changes
        .push(crate::domain::run::PlannedChange { address: "x".into(), change: crate::domain::run::Change::Delete });
    assert_eq!(
        end(&kit, &id, RunOutcome::Planned { summary, plan: Zeroizing::new(vec![2]) }).await,
        RequestStatus::Pending
    );
    kit.app.run(&kit.manager(), &Reject { request_id: id.clone(), note: None, version: None }).await.unwrap();
    let again = ask().await;
    kit.app.run(&kit.owner(), &Cancel { request_id: again.clone(), version: None }).await.unwrap();
    kit.check().await;
    let resource = kit.resource(&kit.request(&again).await.resource).await;
    assert_eq!(resource.status, ResourceStatus::Failed, "something of it may exist");
    assert_eq!(resource.committed, crate::kernel::Usd::from_dollars(3), "and may cost");
}

#[tokio::test(start_paused = true)]
async fn a_resource_has_one_refresh_at_a_time() {
    let kit = Kit::staged().await;
    let id = kit.ask("thing", "one", json!({})).await.unwrap().request.request_id;
    end(&kit, &id, planned()).await;
    end(&kit, &id, applied()).await;
    let resource_id = kit.request(&id).await.resource;
    let refresh = RefreshResource { project_id: None, resource_id: resource_id.clone() };
    for (ending, status) in
        [(RunOutcome::Refreshed { drift: vec!["a.b".into()] }, RunStatus::Succeeded)].into_iter().chain(bad_endings())
    {
        let run = kit.app.run(&kit.owner(), &refresh).await.unwrap().run_id;
        assert!(kit.app.run(&kit.owner(), &refresh).await.is_err());
        let (assignment, claimed_run) = kit.claim(&run).await;
        assert!(assignment.request.is_none());
        let stale = matches!(ending, RunOutcome::Stale { .. });
        claimed_run.finish(ending).await.unwrap();
        kit.check().await;
        assert_eq!(kit.run(&run).await.status, if stale { RunStatus::Failed } else { status });
    }
    let resource = kit.resource(&resource_id).await;
    assert_eq!((resource.drift, resource.status), (vec!["a.b".to_owned()], ResourceStatus::Provisioned));
    let run = kit.app.run(&kit.owner(), &refresh).await.unwrap().run_id;
    let kill: Kill = serde_json::from_value(json!({"project_id": kit.project, "reason": "leak"})).unwrap();
    kit.app.run(&kit.manager(), &kill).await.unwrap();
    worker::run_due(&kit.app).await.unwrap();
    assert_eq!(kit.run(&run).await.status, RunStatus::Cancelled, "nothing starts in a killed project");
    assert!(kit.stage.launched.lock().unwrap().is_empty(), "and nothing is launched for it");
}

#[tokio::test(start_paused = true)]
async fn cancelling_in_every_state() {
    let cancel = |id: &RequestId| Cancel { request_id: id.clone(), version: None };

    // Queued: nobody ever starts it.
    let kit = Kit::staged().await;
    let id = kit.ask("thing", "one", json!({})).await.unwrap().request.request_id;
    let run = current(&kit, &id).await;
    assert_eq!(kit.app.run(&kit.owner(), &cancel(&id)).await.unwrap().status, RequestStatus::Cancelled);
    assert!(matches!(kit.try_claim(&run).await.unwrap(), Claim::NotNeeded { .. }));
    assert_eq!(kit.run(&run).await.status, RunStatus::Cancelled);
    kit.check().await;

    // Planning: over at once; the supervisor is told, and what it then reports changes nothing.
    let id = kit.ask("thing", "one", json!({})).await.unwrap().request.request_id;
    let run = current(&kit, &id).await;
    let (_, claimed_run) = kit.claim(&run).await;
    assert_eq!(kit.app.run(&kit.owner(), &cancel(&id)).await.unwrap().status, RequestStatus::Cancelled);
    assert_eq!(claimed_run.renew().await.unwrap(), Renewal::Held { cancel: true });
    claimed_run.finish(planned()).await.unwrap();
    assert_eq!(kit.run(&run).await.status, RunStatus::Cancelled);
    kit.check().await;

    // Approved and queued.
    let id = kit.ask("thing", "one", json!({})).await.unwrap().request.request_id;
    end(&kit, &id, planned()).await;
    assert_eq!(kit.app.run(&kit.owner(), &cancel(&id)).await.unwrap().status, RequestStatus::Cancelled);
    kit.check().await;

    // Applying: asked to stop; what had been applied by then is what counts.
    for (ending, status) in [
        (RunOutcome::Cancelled { may_exist: vec!["x.y".into()] }, RequestStatus::Cancelled),
        (applied(), RequestStatus::Fulfilled),
    ] {
        let id = kit.ask("thing", "one", json!({"monthly_usd": 3})).await.unwrap().request.request_id;
        end(&kit, &id, planned()).await;
        let (_, claimed_run) = kit.claim(&current(&kit, &id).await).await;
        claimed_run.applying(None).await.unwrap();
        assert_eq!(kit.app.run(&kit.owner(), &cancel(&id)).await.unwrap().status, RequestStatus::Running);
        assert_eq!(claimed_run.renew().await.unwrap(), Renewal::Held { cancel: true });
        claimed_run.finish(ending).await.unwrap();
        kit.check().await;
        let request = kit.request(&id).await;
        assert_eq!(request.status, status);
        let resource = kit.resource(&request.resource).await;
        assert_eq!(resource.attention.is_some_and(|it| it.contains("x.y")), status == RequestStatus::Cancelled);
    }
}

#[tokio::test(start_paused = true)]
async fn a_killed_project_starts_nothing() {
    let kit = Kit::staged().await;
    let id = kit.ask("thing", "one", json!({})).await.unwrap().request.request_id;
    end(&kit, &id, planned()).await;
    let kill: Kill = serde_json::from_value(json!({"project_id": kit.project, "reason": "leak"})).unwrap();
    kit.app.run(&kit.manager(), &kill).await.unwrap();
    let run = current(&kit, &id).await;
    let Claim::NotNeeded { why } = kit.try_claim(&run).await.unwrap() else { panic!("it was claimed") };
    assert!(why.contains("leak"), "{why}");
    let request = kit.request(&id).await;
    assert_eq!((request.status, request.began), (RequestStatus::Failed, false));
    assert!(request.error.unwrap().contains("leak"));
    kit.check().await;
}

#[tokio::test(start_paused = true)]
async fn secrets_are_split_off_by_manifest_and_by_engine() {
    let kit = Kit::staged().await;
    let id = kit.ask("thing", "one", json!({})).await.unwrap().request.request_id;
    end(&kit, &id, planned()).await;
    end(&kit, &id, applied()).await;
    let resource = kit.resource(&kit.request(&id).await.resource).await;
    assert_eq!(resource.outputs.keys().collect::<Vec<_>>(), ["id"]);
    assert_eq!(resource.secret_refs.keys().collect::<Vec<_>>(), ["hidden", "token"], "an empty value is no secret");
    let everything = format!("{:?}", kit.memory);
    assert!(!everything.contains("hunter2"));
    assert!(!resource.dry_run);
}

#[tokio::test(start_paused = true)]
async fn what_nobody_can_start_fails_with_the_reason() {
    let kit = Kit::staged().await;
    *kit.stage.fails.lock().unwrap() = Some(crate::Code::EngineMissing);
    let id = kit.ask("thing", "one", json!({})).await.unwrap().request.request_id;
    for _ in 0..20 {
        worker::run_due(&kit.app).await.unwrap();
        kit.pass(Duration::from_secs(400));
    }
    let request = kit.request(&id).await;
    assert_eq!(request.status, RequestStatus::Failed);
    assert!(request.error.unwrap().contains("It cannot be started."));
    assert!(kit.stage.launched.lock().unwrap().len() <= 8);
    kit.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_nobody_claims_is_launched_again_and_one_that_waits_is_not_given_up() {
    let kit = Kit::staged().await;
    let first = kit.ask("thing", "one", json!({})).await.unwrap().request;
    worker::run_due(&kit.app).await.unwrap();
    assert_eq!(kit.stage.launched.lock().unwrap().len(), 1);
    kit.pass(Duration::from_secs(31));
    worker::run_due(&kit.app).await.unwrap();
    assert_eq!(kit.stage.launched.lock().unwrap().len(), 2, "again after thirty seconds");
    end(&kit, &first.request_id, planned()).await;
    end(&kit, &first.request_id, applied()).await;

    // A plan that goes on although its request was cancelled keeps the resource's next run waiting, however long.
    let change = kit.ask("thing", "one", json!({"size": "l"})).await.unwrap().request;
    let (_, claimed_run) = kit.claim(&change.current_run.unwrap()).await;
    kit.app.run(&kit.owner(), &Cancel { request_id: change.request_id, version: None }).await.unwrap();
    let next = kit.ask("thing", "one", json!({"size": "l"})).await.unwrap().request;
    let run = next.current_run.unwrap();
    for _ in 0..200 {
        kit.pass(Duration::from_secs(3));
        claimed_run.renew().await.unwrap();
        worker::run_due(&kit.app).await.unwrap();
    }
    assert!(!kit.run(&run).await.status.is_over());
    assert!(!kit.stage.launched.lock().unwrap().contains(&run));
    claimed_run.finish(planned()).await.unwrap();
    kit.pass(Duration::from_secs(3));
    worker::run_due(&kit.app).await.unwrap();
    assert!(kit.stage.launched.lock().unwrap().contains(&run));
    assert_eq!(end(&kit, &next.request_id, planned()).await, RequestStatus::Approved);
}
