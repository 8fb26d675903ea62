//! Runs that wait: for room, and for a runner that cannot be reached.

use super::super::{
    check_all_runs,
    recover::{Launching, in_turn, see_to_launch},
};
use crate::{
    Code,
    app::{testkit::Kit, worker},
    domain::{
        job::{Job, MAX_ATTEMPTS, SHARDS},
        request::RequestStatus,
        run::RunStatus,
    },
    kernel::RunId,
    ports::kinds,
};
use serde_json::json;
use std::{collections::BTreeSet, time::Duration};

async fn launches(kit: &Kit) -> Vec<Job> {
    let mut all = Vec::new();
    for shard in 0..SHARDS {
        all.extend(kit.all::<Job>(&kinds::JOBS_DUE, &shard.to_string()).await);
    }
    all.retain(|job| job.work.name() == "launch_run");
    all
}

async fn ask(kit: &Kit, name: &str) -> RunId {
    kit.ask("thing", name, json!({})).await.unwrap().request.current_run.unwrap()
}

async fn launching(kit: &Kit, run: &RunId) -> Launching {
    let run = kit.run(run).await;
    see_to_launch(&kit.app, &run, false).await.unwrap()
}

/// Lets minutes pass in which workers work and runs are looked after.
async fn minutes(kit: &Kit, minutes: u32) {
    for _ in 0..minutes {
        worker::run_due(&kit.app).await.unwrap();
        check_all_runs(&kit.app).await.unwrap();
        kit.pass(Duration::from_secs(60));
    }
}

fn refuse(kit: &Kit, code: Option<Code>) {
    *kit.stage.fails.lock().unwrap() = code;
    *kit.stage.retry_after.lock().unwrap() = Some(60);
}

#[tokio::test(start_paused = true)]
async fn runs_that_wait_for_room_have_one_job_each_and_are_not_stuck() {
    let kit = Kit::staged().await;
    refuse(&kit, Some(Code::QuotaReached));
    let mut runs = Vec::new();
    for name in ["aa", "bb", "cc"] {
        runs.push(ask(&kit, name).await);
    }
    minutes(&kit, 120).await;
    assert_eq!(launches(&kit).await.len(), 3, "one job for each run");
    assert_eq!(kit.stage.launched.lock().unwrap().len(), 3 * 120, "the runner is asked as often as it says");
    for run in &runs {
        assert_eq!(launching(&kit, run).await, Launching::Waits);
    }
    // When nobody does the jobs any more, waiting for room is no excuse.
    kit.pass(Duration::from_secs(3600));
    assert_eq!(launching(&kit, &runs[0]).await, Launching::Stuck);

    refuse(&kit, None);
    kit.stage.launched.lock().unwrap().clear();
    worker::run_due(&kit.app).await.unwrap();
    let mut launched = kit.stage.launched.lock().unwrap().clone();
    launched.sort();
    runs.sort();
    assert_eq!(launched, runs);
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_job_is_gone_gets_another_one() {
    let kit = Kit::staged().await;
    let run = ask(&kit, "one").await;
    let lost = launches(&kit).await.remove(0);
    kit.erase::<Job>(lost.id.as_str()).await;
    kit.pass(Duration::from_secs(601));
    check_all_runs(&kit.app).await.unwrap();
    check_all_runs(&kit.app).await.unwrap();
    let jobs = launches(&kit).await;
    assert_eq!((jobs.len(), kit.run(&run).await.launch), (1, Some(jobs[0].id.clone())));
    assert_eq!(launching(&kit, &run).await, Launching::Stuck, "nobody has taken it for long");
    worker::run_due(&kit.app).await.unwrap();
    assert_eq!(*kit.stage.launched.lock().unwrap(), std::slice::from_ref(&run));
}

#[tokio::test(start_paused = true)]
async fn a_runner_that_cannot_be_reached_is_waited_for_an_hour() {
    let kit = Kit::staged().await;
    refuse(&kit, Some(Code::RunnerUnavailable));
    let id = kit.ask("thing", "one", json!({})).await.unwrap().request.request_id;
    let run = kit.request(&id).await.current_run.unwrap();
    minutes(&kit, 59).await;
    assert!(kit.run(&run).await.status.waits(), "an outage fails nothing");
    assert_eq!(launching(&kit, &run).await, Launching::Stuck, "but somebody should look");
    refuse(&kit, None);
    minutes(&kit, 1).await;
    assert_eq!(kit.stage.launched.lock().unwrap().len(), 60);

    let kit = Kit::staged().await;
    refuse(&kit, Some(Code::RunnerUnavailable));
    let id = kit.ask("thing", "one", json!({})).await.unwrap().request.request_id;
    minutes(&kit, 60 + 2 * MAX_ATTEMPTS).await;
    let request = kit.request(&id).await;
    assert_eq!(request.status, RequestStatus::Failed);
    assert!(request.error.unwrap().contains("It cannot be started."));
    assert!(launches(&kit).await.is_empty());
    kit.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_new_process_does_not_wait_for_the_claims_of_a_dead_one() {
    let kit = Kit::staged().await;
    refuse(&kit, Some(Code::QuotaReached));
    let run = ask(&kit, "one").await;
    worker::run_due(&kit.app).await.unwrap();
    let (other, stage) = kit.second().await;
    super::super::recover_at_start(&other).await.unwrap();
    worker::run_due(&other).await.unwrap();
    assert_eq!(*stage.launched.lock().unwrap(), std::slice::from_ref(&run));
    assert_eq!(launches(&kit).await.len(), 1);
    assert_eq!(kit.run(&run).await.status, RunStatus::Starting);
}

#[tokio::test(start_paused = true)]
async fn every_open_run_is_the_first_to_be_looked_after_some_time() {
    let kit = Kit::staged().await;
    let mut runs = BTreeSet::new();
    for n in 0..5 {
        runs.insert(ask(&kit, &format!("r{n}")).await);
    }
    let mut first = BTreeSet::new();
    for _ in 0..100 {
        let found: Vec<RunId> = in_turn(&kit.app).await.unwrap().iter().map(|run| run.id.clone()).collect();
        first.insert(found[0].clone());
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), runs);
    }
    assert_eq!(first, runs);
}

/// Four places filled by one key: of what waits, a run of the project that holds fewer places goes first.
#[tokio::test(start_paused = true)]
async fn a_run_of_the_project_that_holds_fewer_places_is_launched_first() {
    use crate::{
        app::{
            Call,
            projects::RegisterProject,
            requests::RequestResource,
            testkit::{MANAGER, OWNER, signed_in},
        },
        kernel::ProjectId,
    };
    let kit = Kit::staged().await;
    let register: RegisterProject = serde_json::from_value(json!({
        "name": "Quiet", "owner_email": OWNER, "manager_email": MANAGER, "group": "platform"
    }))
    .unwrap();
    let owner = Call::by(signed_in(OWNER), kit.app.new_trace());
    let quiet: ProjectId = kit.app.run(&owner, &register).await.unwrap().project_id;
    let (first, second) = (ask(&kit, "aa").await, ask(&kit, "bb").await);
    worker::run_due(&kit.app).await.unwrap();
    let held = (kit.claim(&first).await, kit.claim(&second).await);
    // All places are taken; the busy project asks for more before the quiet one asks for its first.
    refuse(&kit, Some(Code::QuotaReached));
    let (third, fourth) = (ask(&kit, "cc").await, ask(&kit, "dd").await);
    let wanted: RequestResource =
        serde_json::from_value(json!({"project_id": quiet, "service": "thing", "name": "ee"})).unwrap();
    let only = kit.app.run(&owner, &wanted).await.unwrap().request.current_run.unwrap();
    worker::run_due(&kit.app).await.unwrap();
    refuse(&kit, None);
    kit.stage.launched.lock().unwrap().clear();
    kit.pass(Duration::from_secs(60));
    worker::run_due(&kit.app).await.unwrap();
    let launched = kit.stage.launched.lock().unwrap().clone();
    assert_eq!(launched.first(), Some(&only), "{launched:?} of {third} {fourth} {only}");
    kit.pass(Duration::from_secs(3));
    worker::run_due(&kit.app).await.unwrap();
    let launched = kit.stage.launched.lock().unwrap().clone();
    assert!(
        launched.contains(&third) && launched.contains(&fourth),
        "nobody is kept waiting for nothing: {launched:?}"
    );
    drop(held);
}
