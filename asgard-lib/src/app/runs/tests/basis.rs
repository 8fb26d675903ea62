//! What an approval is bound to: the plan that a person saw, and after an interruption what shares its basis.

use crate::{
    app::{requests::Approve, testkit::Kit},
    domain::{
        request::RequestStatus,
        run::{Change, PlanSummary, PlannedChange, RunOp},
    },
    kernel::RequestId,
    ports::runner::{Liveness, RunOutcome, RunReporter},
};
use serde_json::json;
use zeroize::Zeroizing;

/// The same changes, whatever they were planned from.
fn two_things() -> PlanSummary {
    let change = |address: &str| PlannedChange { address: address.into(), change: Change::Create };
    PlanSummary { create: 2, changes: vec![change("a.b"), change("a.c")], ..PlanSummary::default() }
}

async fn plans(kit: &Kit, id: &RequestId, engine: &str, module: &str) -> RequestStatus {
    let run = kit.request(id).await.current_run.unwrap();
    let (assignment, claimed_run) = kit.claim(&run).await;
    assert_eq!(assignment.run.op, RunOp::Plan);
    claimed_run.engine(engine, module).await.unwrap();
    let plan = Zeroizing::new(b"plan".to_vec());
    claimed_run.finish(RunOutcome::Planned { summary: two_things(), plan }).await.unwrap();
    kit.check().await;
    kit.request(id).await.status
}

/// A request that its manager has approved, of a plan of this engine and module.
async fn approved(kit: &Kit, engine: &str, module: &str) -> RequestId {
    let id = kit.ask("asked", "one", json!({})).await.unwrap().request.request_id;
    assert_eq!(plans(kit, &id, engine, module).await, RequestStatus::Pending);
    let approve = Approve { request_id: id.clone(), note: None, version: None };
    kit.app.run(&kit.manager(), &approve).await.unwrap();
    id
}

#[derive(Clone, Copy, Debug)]
enum Lost {
    /// Before the plan began to be applied.
    Claimed,
    /// While it was being applied.
    Applying,
    /// The supervisor said so.
    Told,
}

async fn interrupted(kit: &Kit, id: &RequestId, lost: Lost) {
    let run = kit.request(id).await.current_run.unwrap();
    let (_, claimed_run) = kit.claim(&run).await;
    match lost {
        Lost::Claimed => drop(claimed_run),
        Lost::Applying => claimed_run.applying(None).await.unwrap(),
        Lost::Told => {
            claimed_run.applying(None).await.unwrap();
            return claimed_run.finish(RunOutcome::Interrupted { may_exist: vec!["a.b".into()] }).await.unwrap();
        }
    }
    *kit.stage.liveness.lock().unwrap() = Some(Liveness::Dead);
    super::super::check_run(&kit.app, &run).await.unwrap();
    kit.check().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_interrupted_goes_on_only_from_the_basis_that_was_approved() {
    for lost in [Lost::Claimed, Lost::Applying, Lost::Told] {
        for (engine, module, goes_on) in
            [("terraform 1", "module", true), ("terraform 1", "another", false), ("terraform 2", "module", false)]
        {
            let kit = Kit::staged().await;
            let id = approved(&kit, "terraform 1", "module").await;
            interrupted(&kit, &id, lost).await;
            let expected = if goes_on { RequestStatus::Approved } else { RequestStatus::Pending };
            assert_eq!(plans(&kit, &id, engine, module).await, expected, "{lost:?} {engine} {module}");
            let request = kit.request(&id).await;
            assert_eq!(request.decision.is_some(), goes_on, "a decision about another plan decides nothing");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn other_inputs_are_another_basis() {
    let kit = Kit::staged().await;
    let id = approved(&kit, "terraform 1", "module").await;
    interrupted(&kit, &id, Lost::Applying).await;
    // As a later version with other defaults would have it.
    let approved = kit.request(&id).await.plan_run.unwrap();
    let run = kit.run(&approved).await;
    let before = kit.read::<crate::domain::run::Run>(&approved).await.unwrap();
    assert!(run.inputs.is_some());
    kit.erase::<crate::domain::run::Run>(approved.as_str()).await;
    kit.plant(&crate::domain::run::Run { inputs: Some("other".into()), ..before.value }).await;
    assert_eq!(plans(&kit, &id, "terraform 1", "module").await, RequestStatus::Pending);
}

#[tokio::test(start_paused = true)]
async fn a_stale_plan_is_never_carried_on_with() {
    let kit = Kit::staged().await;
    let id = approved(&kit, "terraform 1", "module").await;
    for round in 1..=2 {
        let run = kit.request(&id).await.current_run.unwrap();
        let (_, claimed_run) = kit.claim(&run).await;
        claimed_run.finish(RunOutcome::Stale { why: "The module was changed.".into() }).await.unwrap();
        let request = kit.request(&id).await;
        assert_eq!((request.status, request.resumed, request.began), (RequestStatus::Planning, round, false));
        // Even the very same plan is approved again: who approved saw one that is gone.
        assert_eq!(plans(&kit, &id, "terraform 1", "module").await, RequestStatus::Pending);
        assert!(kit.request(&id).await.decision.is_none());
        let approve = Approve { request_id: id.clone(), note: None, version: None };
        kit.app.run(&kit.manager(), &approve).await.unwrap();
    }
    // Not for ever.
    for _ in 3..=5 {
        let run = kit.request(&id).await.current_run.unwrap();
        let (_, claimed_run) = kit.claim(&run).await;
        claimed_run.finish(RunOutcome::Stale { why: "The module was changed.".into() }).await.unwrap();
        plans(&kit, &id, "terraform 1", "module").await;
        let approve = Approve { request_id: id.clone(), note: None, version: None };
        kit.app.run(&kit.manager(), &approve).await.unwrap();
    }
    let run = kit.request(&id).await.current_run.unwrap();
    let (_, claimed_run) = kit.claim(&run).await;
    claimed_run.finish(RunOutcome::Stale { why: "The module was changed.".into() }).await.unwrap();
    kit.check().await;
    let request = kit.request(&id).await;
    assert_eq!(request.status, RequestStatus::Failed);
    assert!(request.error.is_some_and(|error| error.contains("The module was changed.")));
}
