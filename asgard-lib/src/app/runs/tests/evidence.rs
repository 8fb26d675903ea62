//! What is taken for evidence that a thing was recorded, where a host was lost with its folder.

use crate::{
    app::testkit::Kit,
    domain::{
        request::RequestStatus,
        run::{Change, ChangeAction, LogLine, PlanSummary, PlannedChange},
    },
    kernel::{RunId, Timestamp},
    ports::runner::{Liveness, RunOutcome, RunReporter},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use zeroize::Zeroizing;

fn state(serial: u64, things: &[(&str, Value)]) -> Vec<u8> {
    let resource = |(name, attributes): &(&str, Value)| json!({"mode": "managed", "type": "a", "name": name, "instances": [{"attributes": attributes}]});
    let resources: Vec<Value> = things.iter().map(resource).collect();
    json!({"version": 4, "lineage": "l", "serial": serial, "resources": resources}).to_string().into_bytes()
}

fn line(kind: &str, address: &str, action: ChangeAction) -> LogLine {
    LogLine {
        at: Timestamp::from_millis(0),
        level: "info".into(),
        kind: kind.into(),
        address: Some(address.into()),
        action: Some(action),
        message: "m".into(),
    }
}

/// Plans a request of an unsafe service and claims the run that applies the plan.
async fn applies(kit: &Kit, cost: u64, changes: &[(&str, Change)]) -> (RunId, crate::app::runs::ClaimedRun) {
    let asked = kit.ask("fragile", "one", json!({"monthly_usd": cost})).await.unwrap().request;
    let (_, claimed_run) = kit.claim(&asked.current_run.unwrap()).await;
    claimed_run.engine("terraform 1", "module").await.unwrap();
    let mut summary = PlanSummary::default();
    for (address, change) in changes {
        match change {
            Change::Create => summary.create += 1,
            Change::Update => summary.update += 1,
            Change::Replace => summary.replace += 1,
            Change::Delete => summary.delete += 1,
        }
        summary.changes.push(PlannedChange { address: (*address).into(), change: *change });
    }
    claimed_run.finish(RunOutcome::Planned { summary, plan: Zeroizing::new(vec![1]) }).await.unwrap();
    let mut request = kit.request(&asked.request_id).await;
    if request.status == RequestStatus::Pending {
        let approve = crate::app::requests::Approve { request_id: asked.request_id.clone(), note: None, version: None };
        kit.app.run(&kit.manager(), &approve).await.unwrap();
        request = kit.request(&asked.request_id).await;
    }
    let run = request.current_run.unwrap();
    let (_, claimed_run) = kit.claim(&run).await;
    claimed_run.engine("terraform 1", "module").await.unwrap();
    claimed_run.applying(None).await.unwrap();
    (run, claimed_run)
}

/// What may exist after a host was lost that replaced `a.old` and created `a.drifted` anew, with these states and lines stored.
async fn lost(states: &[Vec<u8>], lines: Vec<LogLine>) -> Vec<String> {
    let kit = Kit::staged().await;
    let (_, first) = applies(&kit, 1, &[("a.old", Change::Create), ("a.drifted", Change::Create)]).await;
    first.store_state(&state(1, &[("old", json!({"id": "1"})), ("drifted", json!({"id": "1"}))])).await.unwrap();
    first.finish(RunOutcome::Applied { outputs: BTreeMap::new() }).await.unwrap();

    let changes = [("a.old", Change::Replace), ("a.drifted", Change::Create), ("a.new", Change::Create)];
    let (run, second) = applies(&kit, 2, &changes).await;
    for state in states {
        second.store_state(state).await.unwrap();
    }
    second.log(lines).await.unwrap();
    *kit.stage.liveness.lock().unwrap() = Some(Liveness::Dead);
    super::super::check_run(&kit.app, &run).await.unwrap();
    kit.check().await;
    kit.run(&run).await.may_exist
}

#[tokio::test(start_paused = true)]
async fn what_was_there_before_is_no_evidence_of_what_was_made_in_its_place() {
    let all = ["a.drifted", "a.new", "a.old"];
    assert_eq!(lost(&[], Vec::new()).await, all, "the current state is the one that it began with");
    let refreshed = state(2, &[("old", json!({"id": "1", "tag": "x"})), ("drifted", json!({"id": "1"}))]);
    assert_eq!(lost(std::slice::from_ref(&refreshed), Vec::new()).await, all, "what it stored has the old things");
    let half = state(3, &[("old", json!({"id": "1"})), ("drifted", json!({"id": "2"})), ("new", json!({"id": "1"}))]);
    assert_eq!(lost(&[refreshed.clone(), half], Vec::new()).await, ["a.old"]);
    let done = state(9, &[("old", json!({"id": "2"})), ("drifted", json!({"id": "2"})), ("new", json!({"id": "1"}))]);
    assert!(lost(std::slice::from_ref(&done), Vec::new()).await.is_empty());
    // However many states it stored, the one that it began with is still there to compare with.
    let many: Vec<Vec<u8>> = (2..=8).map(|serial| state(serial, &[("old", json!({"id": "1"}))])).collect();
    assert_eq!(lost(&many, Vec::new()).await, all);
    assert!(lost(&[many, vec![done]].concat(), Vec::new()).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_line_that_says_complete_is_no_evidence_of_a_record() {
    let replaced = |rest: &[LogLine]| {
        let begun = [
            line("apply_start", "a.old", ChangeAction::Delete),
            line("apply_complete", "a.old", ChangeAction::Delete),
            line("apply_start", "a.old", ChangeAction::Create),
            line("apply_complete", "a.old", ChangeAction::Create),
        ];
        [&begun[..], rest].concat()
    };
    assert_eq!(lost(&[], replaced(&[])).await, ["a.drifted", "a.new", "a.old"]);
    let remade = state(2, &[("old", json!({"id": "2"})), ("drifted", json!({"id": "1"}))]);
    assert_eq!(lost(std::slice::from_ref(&remade), replaced(&[])).await, ["a.drifted", "a.new"]);
    // A log that comes to the end tells everything: the newest state was stored before its last line.
    let ended = LogLine { address: None, action: None, ..line(LogLine::ENDED, "", ChangeAction::Other) };
    assert!(lost(&[remade], replaced(&[ended])).await.is_empty());
}
