//! The process dies between any two calls of the store, or the store misbehaves throughout: a new process brings
//! everything to its end.

use super::super::recover_at_start;
use crate::{
    adapters::DryRun,
    app::{
        resources::DeprovisionResource,
        testkit::{Kit, StoreFaults, boot},
        worker,
    },
    backends::MemoryStore,
    domain::{
        request::{Request, RequestStatus},
        resource::{Resource, ResourceStatus},
        run::{OPEN, Run},
    },
    ports::{kinds, runner::Runner},
};
use serde_json::json;
use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};

/// Lets a fresh process finish what there is, for up to a minute of its time.
async fn restart(kit: &mut Kit) {
    let runner = DryRun::new();
    kit.faulty = Arc::new(StoreFaults::on(&kit.memory));
    kit.app = boot(Arc::clone(&kit.faulty), &kit.world, Arc::clone(&runner) as Arc<dyn Runner>).await.unwrap();
    runner.bind(&kit.app);
    recover_at_start(&kit.app).await.unwrap();
    for _ in 0..12 {
        worker::run_due(&kit.app).await.unwrap();
        kit.check().await;
        if kit.all::<Run>(&kinds::RUNS_OPEN, OPEN).await.is_empty() {
            return;
        }
        kit.pass(Duration::from_secs(5));
    }
    panic!("a minute was not enough: {:?}", kit.all::<Run>(&kinds::RUNS_OPEN, OPEN).await);
}

async fn live(kit: &Kit) -> crate::Result<()> {
    let asked = kit.ask("thing", "one", json!({})).await?;
    worker::run_due(&kit.app).await?;
    let remove = DeprovisionResource { project_id: None, resource_id: asked.resource.resource_id, version: None };
    kit.app.run(&kit.owner(), &remove).await?;
    worker::run_due(&kit.app).await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn dying_at_every_call() {
    let whole = Kit::dry().await;
    let before = whole.faulty.fault.calls.load(SeqCst);
    live(&whole).await.unwrap();
    let calls = whole.faulty.fault.calls.load(SeqCst) - before;
    assert!(calls > 100, "{calls}");

    for last_breath in [false, true] {
        // Every seventh call: all of them take minutes, and pass as well.
        for after in (1 + i64::from(last_breath) * 3..=calls).step_by(7) {
            let memory = MemoryStore::new();
            let mut kit = Kit::dry_on(StoreFaults::on(&memory)).await;
            kit.faulty.fault.life.after(after, last_breath);
            let died = live(&kit).await;
            kit.check().await;
            restart(&mut kit).await;
            let requests = kit.all::<Request>(&kinds::REQUESTS_BY_PROJECT, kit.project.as_str()).await;
            let over = requests.iter().all(|request| request.status == RequestStatus::Fulfilled);
            assert!(over, "dying after call {after}: {died:?}, {requests:?}");
            let resources = kit.all::<Resource>(&kinds::RESOURCES_BY_PROJECT, kit.project.as_str()).await;
            assert!(resources.len() <= 1, "nothing doubled");
            for resource in &resources {
                let wanted = if requests.len() == 2 { ResourceStatus::Destroyed } else { ResourceStatus::Provisioned };
                assert_eq!(resource.status, wanted, "dying after call {after}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn lost_replies_and_conflicts_change_nothing() {
    for (lose, conflict) in [(2, 0), (3, 0), (0, 2), (0, 3), (5, 7)] {
        let kit = Kit::dry().await;
        kit.faulty.fault.lose_every.store(lose, SeqCst);
        kit.faulty.fault.conflict_every.store(conflict, SeqCst);
        live(&kit).await.unwrap();
        kit.check().await;
        let requests = kit.all::<Request>(&kinds::REQUESTS_BY_PROJECT, kit.project.as_str()).await;
        assert_eq!(requests.len(), 2);
        assert!(
            requests.iter().all(|request| request.status == RequestStatus::Fulfilled),
            "{lose} {conflict} {requests:?}"
        );
    }
}
