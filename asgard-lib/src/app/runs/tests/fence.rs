//! One supervisor at a time, and the one that lost its lease changes nothing any more.

use super::super::{Claim, ClaimedRun, RunCheck, check_run, recover::STUCK, recover_at_start, segments};
use crate::{
    app::{resources::RunLog, testkit::Kit},
    domain::{
        lease::MARGIN,
        request::RequestStatus,
        resource::{Resource, StatePointer},
        run::{ChangeAction, LogLine, LogSegment, PlanSummary, RunStatus},
    },
    error::Code,
    kernel::{RunId, Timestamp},
    ports::runner::{Liveness, Renewal, RunOutcome, RunReporter, Salvage},
};
use serde_json::json;
use std::{sync::Arc, time::Duration};
use zeroize::Zeroizing;

fn state(lineage: &str, serial: u64, text: &str) -> Vec<u8> {
    json!({"version": 4, "lineage": lineage, "serial": serial, "resources": [text]}).to_string().into_bytes()
}

pub(super) fn line(kind: &str, address: &str) -> LogLine {
    LogLine {
        at: Timestamp::from_millis(0),
        level: "info".into(),
        kind: kind.into(),
        address: Some(address.into()),
        action: None,
        message: "m".into(),
    }
}

fn one_create() -> PlanSummary {
    let mut summary = PlanSummary { create: 1, ..PlanSummary::default() };
    summary
        .changes
        .push(crate::domain::run::PlannedChange { address: "a.b".into(), change: crate::domain::run::Change::Create });
    summary
}

/// A request of `service` whose apply waits to be claimed.
pub(super) async fn apply_waits(kit: &Kit, service: &str) -> (crate::kernel::RequestId, RunId) {
    let asked = kit.ask(service, "one", json!({})).await.unwrap().request;
    let (_, claimed_run) = kit.claim(&asked.current_run.unwrap()).await;
    claimed_run.engine("terraform 1", "module").await.unwrap();
    let plan = Zeroizing::new(b"the plan".to_vec());
    claimed_run.finish(RunOutcome::Planned { summary: one_create(), plan }).await.unwrap();
    let request = kit.request(&asked.request_id).await;
    assert_eq!(request.status, RequestStatus::Approved);
    (asked.request_id, request.current_run.unwrap())
}

/// A supervisor of a run that began to apply its plan.
async fn applies(kit: &Kit, run: &RunId) -> ClaimedRun {
    let (_, claimed_run) = kit.claim(run).await;
    claimed_run.engine("terraform 1", "module").await.unwrap();
    claimed_run.applying(None).await.unwrap();
    claimed_run
}

#[tokio::test(start_paused = true)]
async fn a_run_has_one_supervisor_and_a_resource_one_run() {
    let kit = Kit::staged().await;
    let (id, run) = apply_waits(&kit, "thing").await;
    let (assignment, claimed_run) = kit.claim(&run).await;
    assert_eq!(assignment.plan.as_deref().map(Vec::as_slice), Some(&b"the plan"[..]));
    let began = async || kit.request(&id).await.began;
    assert!(assignment.request.as_ref().is_some_and(|request| request.status == RequestStatus::Running));
    assert!(!began().await, "a claim changes nothing yet");
    claimed_run.applying(None).await.unwrap();
    assert!(began().await);
    assert_eq!(assignment.variables["name"], "one");
    assert!(matches!(kit.try_claim(&run).await.unwrap(), Claim::NotNeeded { .. }));
    assert_eq!(claimed_run.renew().await.unwrap(), Renewal::Held { cancel: false });

    let until = claimed_run.stop_by();
    kit.pass(Duration::from_secs(20));
    claimed_run.renew().await.unwrap();
    assert_eq!(claimed_run.stop_by().since(until), Duration::from_secs(20));
    claimed_run.finish(RunOutcome::Applied { outputs: Default::default() }).await.unwrap();
    kit.check().await;
    assert!(matches!(kit.try_claim(&run).await.unwrap(), Claim::NotNeeded { .. }));
}

#[tokio::test(start_paused = true)]
async fn states_only_move_forward() {
    let kit = Kit::staged().await;
    let (id, run) = apply_waits(&kit, "thing").await;
    let (_, claimed_run) = kit.claim(&run).await;
    let code = |result: crate::Result<()>| result.err().map(|error| error.code());
    claimed_run.store_state(&state("l", 3, "x")).await.unwrap();
    claimed_run.store_state(&state("l", 3, "x")).await.unwrap();
    assert_eq!(code(claimed_run.store_state(&state("l", 3, "y")).await), Some(Code::WrongState));
    assert_eq!(code(claimed_run.store_state(&state("l", 2, "x")).await), Some(Code::StaleVersion));
    assert_eq!(code(claimed_run.store_state(&state("m", 4, "x")).await), Some(Code::WrongState));
    assert_eq!(code(claimed_run.store_state(b"{\"serial\": 4, \"lin").await), Some(Code::InvalidInput));
    for serial in 4..14 {
        claimed_run.store_state(&state("l", serial, "x")).await.unwrap();
    }
    let resource = kit.request(&id).await.resource;
    let pointer = kit.read::<StatePointer>(&resource).await.unwrap();
    assert_eq!((pointer.serial, pointer.history.len()), (13, StatePointer::HISTORY));
    let sealed = kit.app.vault();
    for old in &pointer.history {
        let serial = old.split(['/', '-']).nth(2).unwrap();
        let context = format!("state|{resource}|l|{serial}");
        assert!(sealed.read(old, &context).await.unwrap().is_some(), "{old} is kept");
    }
    assert!(
        sealed.read(&format!("state/{resource}/3-{run}"), &format!("state|{resource}|l|3")).await.unwrap().is_none()
    );
    drop(claimed_run);
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_lost_its_lease_commits_nothing() {
    let kit = Kit::staged().await;
    let (id, run) = apply_waits(&kit, "thing").await;
    let old = applies(&kit, &run).await;
    old.store_state(&state("l", 1, "x")).await.unwrap();
    old.log(vec![line("apply_start", "a.b")]).await.unwrap();

    // Alive and renewing: nobody touches it. Unknown: not before its lease and the margin are over.
    *kit.stage.liveness.lock().unwrap() = Some(Liveness::Alive);
    assert_eq!(check_run(&kit.app, &run).await.unwrap(), RunCheck::Open);
    *kit.stage.liveness.lock().unwrap() = Some(Liveness::Unknown);
    kit.pass(Duration::from_secs(kit.app.config().runs.lease_ttl_secs) + MARGIN);
    assert_eq!(check_run(&kit.app, &run).await.unwrap(), RunCheck::Open);
    kit.pass(Duration::from_millis(1));
    assert_eq!(check_run(&kit.app, &run).await.unwrap(), RunCheck::Over);
    kit.check().await;

    assert_eq!(kit.run(&run).await.status, RunStatus::Interrupted);
    let request = kit.request(&id).await;
    assert_eq!((request.status, request.resumed, request.began), (RequestStatus::Planning, 1, true));
    assert_eq!(old.renew().await.unwrap(), Renewal::Lost);
    assert!(old.store_state(&state("l", 2, "y")).await.is_err());
    assert!(old.log(vec![line("x", "y")]).await.is_err());
    assert!(old.engine("e", "d").await.is_err());
    let before = format!("{:?}", kit.memory);
    assert!(old.finish(RunOutcome::Applied { outputs: Default::default() }).await.is_err());
    assert_eq!(format!("{:?}", kit.memory), before);
}

/// A supervisor that promised nothing, of a version before or of an embedder: its Terraform may outlive it and its lease.
#[tokio::test(start_paused = true)]
async fn a_terraform_that_may_still_be_at_work_gets_no_successor() {
    let proofs =
        [(Liveness::Unknown, false), (Liveness::Unknown, true), (Liveness::Alive, false), (Liveness::Dead, false)];
    for (liveness, ended) in proofs {
        let mut kit = Kit::staged().await;
        kit.promises = false;
        let (id, run) = apply_waits(&kit, "thing").await;
        let old = applies(&kit, &run).await;
        *kit.stage.liveness.lock().unwrap() = Some(liveness);
        *kit.stage.salvage.lock().unwrap() = Some(Salvage { found: true, ended, ..Salvage::default() });
        let ttl = Duration::from_secs(kit.app.config().runs.lease_ttl_secs);
        kit.pass(ttl + Duration::from_secs(3600));
        if liveness != Liveness::Dead {
            // The lease ran out long ago by this clock, which may be wrong: whether it is renewed is watched first.
            assert_eq!(check_run(&kit.app, &run).await.unwrap(), RunCheck::Open, "{liveness:?} {ended}");
            tokio::time::sleep(ttl + STUCK + MARGIN).await;
        }
        assert_eq!(check_run(&kit.app, &run).await.unwrap(), RunCheck::Over, "{liveness:?} {ended}");
        kit.check().await;
        let request = kit.request(&id).await;
        if ended || liveness == Liveness::Dead {
            assert_eq!(request.status, RequestStatus::Planning, "{liveness:?} {ended}");
            continue;
        }
        // Although the service may be tried again whatever exists, and nothing is known that may.
        assert_eq!(request.status, RequestStatus::NeedsAttention, "{liveness:?} {ended}");
        assert_eq!(kit.run(&run).await.status, RunStatus::NeedsAttention);
        assert!(request.error.unwrap().contains("Terraform may still be at work there"));
        assert!(
            kit.all::<crate::domain::run::Run>(&crate::ports::kinds::RUNS_OPEN, crate::domain::run::OPEN)
                .await
                .is_empty()
        );
        assert!(old.finish(RunOutcome::Applied { outputs: Default::default() }).await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_supervisor_left_behind_is_kept_and_the_rest_goes_on() {
    let kit = Kit::staged().await;
    let (id, run) = apply_waits(&kit, "thing").await;
    let old = applies(&kit, &run).await;
    old.store_state(&state("l", 1, "x")).await.unwrap();
    drop(old);
    *kit.stage.liveness.lock().unwrap() = Some(Liveness::Dead);
    *kit.stage.salvage.lock().unwrap() = Some(Salvage {
        found: true,
        ended: true,
        state: Some(Zeroizing::new(state("l", 4, "newest"))),
        unreadable: false,
        may_exist: vec!["a.b".into()],
        logged: vec![line("apply_start", "a.b")],
    });
    assert_eq!(recover_at_start(&kit.app).await.unwrap(), 1, "proven dead is recovered at once");
    kit.check().await;
    let request = kit.request(&id).await;
    assert_eq!(kit.read::<StatePointer>(&request.resource).await.unwrap().serial, 4);
    assert_eq!(segments(&kit.app, &run, 0, 10).await.unwrap().len(), 1);
    assert_eq!(*kit.stage.cleaned.lock().unwrap(), std::slice::from_ref(&run));

    // The rest of the approved plan needs nobody; the state goes on from what was saved.
    let (assignment, claimed_run) = kit.claim(&request.current_run.unwrap()).await;
    assert!(assignment.run.resume && assignment.state.is_some());
    claimed_run.engine("terraform 1", "module").await.unwrap();
    claimed_run
        .finish(RunOutcome::Planned { summary: one_create(), plan: Zeroizing::new(b"rest".to_vec()) })
        .await
        .unwrap();
    let request = kit.request(&id).await;
    assert_eq!(request.status, RequestStatus::Approved);
    let (assignment, claimed_run) = kit.claim(&request.current_run.unwrap()).await;
    assert_eq!(assignment.plan.as_deref().map(Vec::as_slice), Some(&b"rest"[..]));
    claimed_run.finish(RunOutcome::Applied { outputs: Default::default() }).await.unwrap();
    assert_eq!(kit.request(&id).await.status, RequestStatus::Fulfilled);
    kit.check().await;
}

#[tokio::test(start_paused = true)]
async fn an_unsafe_service_waits_for_somebody_when_something_may_exist() {
    for (salvaged, logged) in [(true, false), (false, true)] {
        let kit = Kit::staged().await;
        let (id, run) = apply_waits(&kit, "fragile").await;
        let old = applies(&kit, &run).await;
        if logged {
            // Left on another host: what was sent is all there is.
            let made = json!({"version": 4, "lineage": "l", "serial": 1, "resources": [
                {"mode": "managed", "type": "c", "name": "d", "instances": [{}]}]});
            old.store_state(made.to_string().as_bytes()).await.unwrap();
            old.log(vec![line("apply_start", "a.b"), line("apply_start", "c.d"), line("apply_complete", "c.d")])
                .await
                .unwrap();
        }
        if salvaged {
            let left = Salvage { found: true, may_exist: vec!["a.b".into()], ..Salvage::default() };
            *kit.stage.salvage.lock().unwrap() = Some(left);
        }
        *kit.stage.liveness.lock().unwrap() = Some(Liveness::Dead);
        check_run(&kit.app, &run).await.unwrap();
        kit.check().await;
        let (request, over) = (kit.request(&id).await, kit.run(&run).await);
        assert_eq!((request.status, over.status), (RequestStatus::NeedsAttention, RunStatus::NeedsAttention));
        assert_eq!(over.may_exist, ["a.b"]);
        assert!(request.error.is_some_and(|error| error.contains("a.b") && !error.contains("c.d")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_left_over_state_that_does_not_fit_stays_where_it_is() {
    let kit = Kit::staged().await;
    let (id, run) = apply_waits(&kit, "thing").await;
    let old = applies(&kit, &run).await;
    old.store_state(&state("l", 5, "x")).await.unwrap();
    *kit.stage.liveness.lock().unwrap() = Some(Liveness::Dead);
    let left = Salvage { found: true, state: Some(Zeroizing::new(state("other", 9, "z"))), ..Salvage::default() };
    *kit.stage.salvage.lock().unwrap() = Some(left);
    check_run(&kit.app, &run).await.unwrap();
    assert!(kit.stage.cleaned.lock().unwrap().is_empty());
    assert_eq!(*kit.stage.set_aside.lock().unwrap(), std::slice::from_ref(&run));
    let run = kit.run(&run).await;
    assert!(run.status.is_over() && run.folder_kept);
    let resource = kit.read::<Resource>(&kit.request(&id).await.resource).await.unwrap();
    assert!(resource.attention.as_ref().is_some_and(|attention| attention.contains("never stored")));
    kit.check().await;
}

/// Folders of runs that are over, by the state in them and whether that was stored.
#[tokio::test(start_paused = true)]
async fn a_folder_with_the_only_copy_of_a_state_is_never_removed() {
    for (left, unreadable, kept) in [
        (None, false, false),
        (None, true, true),
        (Some(state("l", 4, "an earlier one")), false, false),
        (Some(state("l", 5, "x")), false, false),
        (Some(state("l", 5, "x")), true, true),
        (Some(state("l", 6, "too large, or written when the store was away")), false, true),
        (Some(state("another", 1, "of a run that was cut off")), false, true),
        (Some(b"half a st".to_vec()), false, true),
    ] {
        let kit = Kit::staged().await;
        let (_, run) = apply_waits(&kit, "thing").await;
        let old = applies(&kit, &run).await;
        old.store_state(&state("l", 5, "x")).await.unwrap();
        old.finish(RunOutcome::Failed { error: "no".into(), may_exist: Vec::new() }).await.unwrap();
        *kit.stage.liveness.lock().unwrap() = Some(Liveness::Dead);
        *kit.stage.left_over.lock().unwrap() = vec![run.clone()];
        *kit.stage.salvage.lock().unwrap() =
            Some(Salvage { found: true, state: left.clone().map(Zeroizing::new), unreadable, ..Salvage::default() });
        recover_at_start(&kit.app).await.unwrap();
        kit.check().await;
        let (cleaned, aside) = (kit.stage.cleaned.lock().unwrap().len(), kit.stage.set_aside.lock().unwrap().len());
        let left = left.map(String::from_utf8);
        assert_eq!((cleaned, aside), if kept { (0, 1) } else { (1, 0) }, "{left:?}");
        assert_eq!(kit.run(&run).await.folder_kept, kept, "{left:?}");
    }
}

fn action(kind: &str, address: &str, action: ChangeAction) -> LogLine {
    LogLine { action: Some(action), ..line(kind, address) }
}

/// What is said to may exist after a supervisor died elsewhere, with these lines and this state stored.
async fn lost(lines: Vec<LogLine>, state: serde_json::Value) -> Vec<String> {
    let kit = Kit::staged().await;
    let (_, run) = apply_waits(&kit, "fragile").await;
    let old = applies(&kit, &run).await;
    old.store_state(state.to_string().as_bytes()).await.unwrap();
    old.log(lines).await.unwrap();
    *kit.stage.liveness.lock().unwrap() = Some(Liveness::Dead);
    check_run(&kit.app, &run).await.unwrap();
    kit.check().await;
    kit.run(&run).await.may_exist
}

#[tokio::test(start_paused = true)]
async fn what_is_complete_but_not_in_the_state_may_exist_and_what_only_changes_does_not() {
    let state = json!({"version": 4, "lineage": "l", "serial": 1, "resources": [
        {"mode": "managed", "type": "a", "name": "stored", "instances": [{}]},
        {"mode": "managed", "type": "a", "name": "changed", "instances": [{}]},
    ]});
    let lines = vec![
        action("apply_start", "a.stored", ChangeAction::Create),
        action("apply_complete", "a.stored", ChangeAction::Create),
        action("apply_start", "a.unwritten", ChangeAction::Create),
        action("apply_complete", "a.unwritten", ChangeAction::Create),
        action("apply_start", "a.changed", ChangeAction::Update),
    ];
    let whole = [lines.clone(), vec![line(LogLine::ENDED, "")]].concat();
    assert_eq!(lost(whole.clone(), state.clone()).await, ["a.unwritten"]);
    // Nothing tells how far it came: what the plan creates and no state has may exist.
    assert_eq!(lost(lines, state.clone()).await, ["a.b", "a.unwritten"]);
    let cut = [vec![line(LogLine::LEFT_OUT, "")], whole].concat();
    assert_eq!(lost(cut, state).await, ["a.b", "a.unwritten"]);
}

#[tokio::test(start_paused = true)]
async fn silence_is_no_evidence_once_applying_began() {
    let nothing = json!({"version": 4, "lineage": "l", "serial": 1});
    assert_eq!(lost(Vec::new(), nothing).await, ["a.b"]);
    let there = json!({"version": 4, "lineage": "l", "serial": 1, "resources": [
        {"mode": "managed", "type": "a", "name": "b", "instances": [{}]}]});
    assert!(lost(Vec::new(), there).await.is_empty(), "the stored state has it");

    // Claimed, and lost before the plan began to be applied: nothing may exist, and the rest goes on by itself.
    let kit = Kit::staged().await;
    let (id, run) = apply_waits(&kit, "fragile").await;
    let (_, old) = kit.claim(&run).await;
    drop(old);
    *kit.stage.liveness.lock().unwrap() = Some(Liveness::Dead);
    check_run(&kit.app, &run).await.unwrap();
    let request = kit.request(&id).await;
    assert!(kit.run(&run).await.may_exist.is_empty() && !request.began);
    assert_eq!(request.status, RequestStatus::Planning);
}

#[tokio::test(start_paused = true)]
async fn a_long_log_keeps_what_recovery_decides_by() {
    let mut lines = Vec::new();
    for n in 0..900 {
        lines.push(LogLine { message: format!("{n} {}", "x".repeat(8000)), ..line("log", "a.b") });
    }
    lines.push(action("apply_start", "a.late", ChangeAction::Create));
    lines.push(line(LogLine::ENDED, ""));
    assert_eq!(lost(lines, json!({"version": 4, "lineage": "l", "serial": 1})).await, ["a.late"]);
}

#[tokio::test(start_paused = true)]
async fn a_log_that_is_whole_is_read_by_lines_in_the_order_of_time() {
    let kit = Kit::staged().await;
    let (_, run) = apply_waits(&kit, "thing").await;
    let (_, old) = kit.claim(&run).await;
    let begun = kit.world.now();
    let said = |second: u64, text: &str| LogLine {
        at: begun.plus(Duration::from_secs(second)),
        message: text.to_owned(),
        ..line("log", "a.b")
    };
    // What Terraform printed last is stored before what another pipe had said earlier.
    old.log((0..20).map(|n| said(n, &n.to_string())).collect()).await.unwrap();
    old.log(vec![said(100, "Done")]).await.unwrap();
    old.log(vec![said(5, "late"), said(50, "late too")]).await.unwrap();
    let read = async |input: serde_json::Value| {
        let mut input = input;
        input["run_id"] = json!(run);
        let log: RunLog = serde_json::from_value(input).unwrap();
        kit.app.run(&kit.owner(), &log).await
    };
    let texts = |view: &crate::app::resources::LogView| -> Vec<String> {
        view.lines.iter().map(|line| line.message.clone()).collect()
    };
    let growing = read(json!({"tail": 3})).await.unwrap();
    assert_eq!((texts(&growing), growing.complete), (vec!["19".into(), "late too".into(), "Done".into()], false));
    let end = growing.next;
    old.log(vec![said(101, "after that")]).await.unwrap();
    assert_eq!(texts(&read(json!({"after": end})).await.unwrap()), ["after that"], "a tail is read on");
    old.finish(RunOutcome::Applied { outputs: Default::default() }).await.unwrap();

    let mut expected: Vec<String> = (0..20).map(|n: u32| n.to_string()).collect();
    expected.insert(6, "late".into());
    expected.extend(["late too", "Done", "after that"].map(str::to_owned));
    for limit in [1, 7, 24, 500] {
        let (mut all, mut after, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = read(json!({"after": after, "limit": limit})).await.unwrap();
            assert!(page.lines.len() <= limit && pages < 30);
            all.extend(texts(&page));
            (after, pages) = (Some(page.next), pages + 1);
            if page.complete {
                break;
            }
        }
        assert_eq!(all, expected, "by {limit}");
    }
    let tail = read(json!({"tail": 2})).await.unwrap();
    assert_eq!((texts(&tail), tail.complete), (vec!["Done".into(), "after that".into()], true));
    for (wrong, field) in [
        (json!({"limit": 0}), "limit"),
        (json!({"tail": 2001}), "tail"),
        (json!({"tail": 1, "after": "s0.0"}), "tail"),
        (json!({"after": "8"}), "after"),
    ] {
        assert_eq!(read(wrong.clone()).await.unwrap_err().field(), Some(field), "{wrong}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_is_shown_up_to_the_first_segment_that_is_missing() {
    let kit = Kit::staged().await;
    let (_, run) = apply_waits(&kit, "thing").await;
    let (_, old) = kit.claim(&run).await;
    for n in 0..11 {
        old.log(vec![line("log", &format!("a.{n}"))]).await.unwrap();
    }
    let hidden = kit.read::<LogSegment>(LogSegment::id(&run, 9)).await.unwrap().value;
    kit.erase::<LogSegment>(&LogSegment::id(&run, 9)).await;
    let read = async |after| {
        let after: Option<&str> = after;
        let log: RunLog = serde_json::from_value(json!({"run_id": run, "after": after})).unwrap();
        let view = kit.app.run(&kit.owner(), &log).await.unwrap();
        (view.lines.len(), view.next, view.complete)
    };
    assert_eq!(read(None).await, (9, "s9.0".into(), false), "what comes after a gap waits until it is filled");
    assert_eq!(read(Some("s8.0")).await, (1, "s9.0".into(), false));
    kit.plant(&hidden).await;
    assert_eq!(read(Some("s9.0")).await, (2, "s11.0".into(), false));
    old.finish(RunOutcome::Applied { outputs: Default::default() }).await.unwrap();
    assert_eq!(read(Some("s11.0")).await, (0, "s11.0".into(), true));
    assert_eq!(read(None).await, (11, "t11".into(), true), "a log that is whole is read by lines");
}

#[tokio::test(start_paused = true)]
async fn a_later_supervisor_writes_after_what_is_there() {
    for there in [0, 1, 2, 3, 7, 8, 9, 30] {
        let kit = Kit::staged().await;
        let (_, run) = apply_waits(&kit, "thing").await;
        let (_, old) = kit.claim(&run).await;
        for n in 0..there {
            old.log(vec![line("log", &format!("a.{n}"))]).await.unwrap();
        }
        *kit.stage.liveness.lock().unwrap() = Some(Liveness::Dead);
        let left = Salvage { logged: vec![line("log", "a.last")], ..Salvage::default() };
        *kit.stage.salvage.lock().unwrap() = Some(left);
        check_run(&kit.app, &run).await.unwrap();
        let found = segments(&kit.app, &run, 0, 100).await.unwrap();
        assert_eq!(found.len(), there + 1);
        assert_eq!(found.last().unwrap().lines[0].address.as_deref(), Some("a.last"));
    }
}

/// The data key that a plan was sealed under is retired while the run's end waits for the database: it is sealed again, under one that
/// is there.
#[tokio::test(start_paused = true)]
async fn a_plan_whose_end_waits_for_the_database_outlives_the_key_of_its_time() {
    use crate::adapters::{LocalKey, MasterKeys, Rotation, SealedVault, Step, Witness};
    let kit = Kit::staged().await;
    let asked = kit.ask("thing", "one", json!({})).await.unwrap().request;
    let (_, claimed_run) = kit.claim(&asked.current_run.unwrap()).await;
    claimed_run.engine("terraform 1", "module").await.unwrap();
    kit.faulty.fault.life.after(0, false);
    let plan = RunOutcome::Planned { summary: one_create(), plan: Zeroizing::new(b"the plan".to_vec()) };
    let rotate = async {
        let masters = MasterKeys::only(Arc::new(LocalKey::new(Zeroizing::new([7; 32]), kit.world.clone())));
        let (store, blobs) = (Arc::new(kit.memory.clone()), Arc::new(kit.memory.clone()));
        let vault = SealedVault::on(store, blobs, masters, kit.world.clone()).await.unwrap();
        vault.keyring().rotate().await.unwrap();
        let (rotation, mut retired) = (Rotation::new(vault), false);
        for _ in 0..60 {
            kit.pass(Duration::from_secs(30));
            tokio::time::sleep(Duration::from_secs(30)).await;
            loop {
                match rotation.step(kit.world.now(), Witness::Clock).await.unwrap() {
                    Step::Idle | Step::Waiting(_) => break,
                    step => retired |= matches!(step, Step::Retired(_)),
                }
            }
        }
        assert!(retired, "the key of before is gone");
        kit.faulty.fault.life.after(i64::MAX, false);
    };
    let (ended, ()) = tokio::join!(claimed_run.finish(plan), rotate);
    ended.unwrap();
    let request = kit.request(&asked.request_id).await;
    assert_eq!(request.status, RequestStatus::Approved);
    let (assignment, _) = kit.claim(&request.current_run.unwrap()).await;
    assert_eq!(assignment.plan.as_ref().map(|plan| plan.as_slice()), Some(b"the plan".as_slice()));
}
