//! Endings that the database never takes.

use super::super::ClaimedRun;
use crate::{
    app::{requests::Cancel, resources::DeprovisionResource, testkit::Kit},
    domain::{
        request::RequestStatus,
        resource::ResourceStatus,
        run::{PlanSummary, RunStatus},
        secret::Secret,
    },
    kernel::{RequestId, RunId},
    ports::{
        runner::{OutputValue, RunOutcome, RunReporter},
        store::{Batch, Op, Outcome, Store},
    },
};
use serde_json::json;
use std::{collections::BTreeMap, sync::atomic::Ordering::SeqCst};
use zeroize::Zeroizing;

fn planned() -> RunOutcome {
    RunOutcome::Planned { summary: PlanSummary { create: 1, ..PlanSummary::default() }, plan: Zeroizing::new(vec![1]) }
}

async fn current(kit: &Kit, id: &RequestId) -> RunId {
    kit.request(id).await.current_run.unwrap()
}

/// The supervisor of a run that destroys a resource, of whose secret somebody else has the name: giving that up is always refused.
async fn destroying(kit: &Kit) -> (RequestId, RunId, ClaimedRun) {
    let id = kit.ask("thing", "one", json!({})).await.unwrap().request.request_id;
    let token = OutputValue { value: json!("hunter2"), sensitive: true };
    let outputs = BTreeMap::from([("token".to_owned(), token)]);
    for ending in [planned(), RunOutcome::Applied { outputs }] {
        kit.supervise(&current(kit, &id).await, ending).await;
    }
    let resource = kit.resource(&kit.request(&id).await.resource).await;
    let secret = &resource.secret_refs["token"];
    let name = Secret::claim(&kit.project, &secret.name);
    let release = Op::Release { name: name.clone(), owner: secret.secret_id.to_string() };
    for op in [release, Op::Claim { name, owner: "somebody else".to_owned() }] {
        let mut batch = Batch::new(kit.world.id(), kit.world.now());
        batch.push(op).unwrap();
        assert_eq!(kit.memory.commit(&batch).await.unwrap(), Outcome::Committed);
    }
    let remove = DeprovisionResource { project_id: None, resource_id: resource.id.clone(), version: None };
    let id = kit.app.run(&kit.owner(), &remove).await.unwrap().request.request_id;
    kit.supervise(&current(kit, &id).await, planned()).await;
    let run = current(kit, &id).await;
    let (_, claimed_run) = kit.claim(&run).await;
    claimed_run.engine("terraform 1", "module").await.unwrap();
    claimed_run.applying(None).await.unwrap();
    (id, run, claimed_run)
}

#[tokio::test(start_paused = true)]
async fn an_ending_that_is_never_taken_fails_the_run_for_good_and_sooner_when_it_is_to_stop() {
    let mut calls = Vec::new();
    for stop in [false, true] {
        let kit = Kit::staged().await;
        let (id, run, claimed_run) = destroying(&kit).await;
        if stop {
            kit.app.run(&kit.owner(), &Cancel { request_id: id.clone(), version: None }).await.unwrap();
        }
        let before = kit.faulty.fault.calls.load(SeqCst);
        claimed_run.finish(RunOutcome::Destroyed).await.unwrap();
        calls.push(kit.faulty.fault.calls.load(SeqCst) - before);
        let request = kit.request(&id).await;
        assert_eq!((request.status, kit.run(&run).await.status), (RequestStatus::Failed, RunStatus::Failed));
        let error = request.error.unwrap();
        assert!(error.contains("refuses the end of the run"), "{error}");
        let resource = kit.resource(&request.resource).await;
        assert!(resource.status == ResourceStatus::Failed && resource.attention.is_some(), "{resource:?}");
        kit.check().await;
    }
    assert!(calls[1] * 4 < calls[0], "{calls:?}");
}
