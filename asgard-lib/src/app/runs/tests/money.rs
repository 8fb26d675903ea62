//! Money is conserved whatever happens: what the counter shows is what resources cost and open requests hold.

use crate::{
    app::{
        requests::{Approve, Cancel, Reject},
        resources::{DeprovisionResource, RetryResource},
        runs::{Claim, check_run},
        testkit::Kit,
    },
    config::Config,
    domain::{
        project::Project,
        request::{Request, RequestStatus},
        resource::{Resource, ResourceStatus},
        run::{Change, PlanSummary, PlannedChange, RunOp},
        tier::Tier,
    },
    kernel::Usd,
    ports::{
        kinds,
        runner::{Liveness, RunOutcome, Salvage},
        store::Store,
    },
};
use proptest::prelude::*;
use serde_json::json;
use zeroize::Zeroizing;

#[derive(Clone, Debug)]
enum MoneyStep {
    Ask { name: u8, service: u8, dollars: u8 },
    Deprovision { name: u8 },
    Retry { name: u8 },
    Decide { nth: u8, yes: bool },
    Cancel { nth: u8 },
    Run { nth: u8, ending: u8, empty: bool },
    Die { nth: u8, may_exist: bool },
}

fn step() -> impl Strategy<Value = MoneyStep> {
    prop_oneof![
        3 => (0..3u8, 0..3u8, 0..40u8).prop_map(|(name, service, dollars)| MoneyStep::Ask { name, service, dollars }),
        1 => (0..3u8).prop_map(|name| MoneyStep::Deprovision { name }),
        1 => (0..3u8).prop_map(|name| MoneyStep::Retry { name }),
        2 => (any::<u8>(), any::<bool>()).prop_map(|(nth, yes)| MoneyStep::Decide { nth, yes }),
        1 => any::<u8>().prop_map(|nth| MoneyStep::Cancel { nth }),
        6 => (any::<u8>(), 0..10u8, any::<bool>()).prop_map(|(nth, ending, empty)| MoneyStep::Run { nth, ending, empty }),
        1 => (any::<u8>(), any::<bool>()).prop_map(|(nth, may_exist)| MoneyStep::Die { nth, may_exist }),
    ]
}

fn pick<T: Clone>(all: Vec<T>, nth: u8) -> Option<T> {
    (!all.is_empty()).then(|| all[usize::from(nth) % all.len()].clone())
}

fn ending(op: RunOp, choice: u8, empty: bool) -> RunOutcome {
    let may_exist = if empty { vec![] } else { vec!["a.b".to_owned()] };
    match (choice, op) {
        (0, _) => RunOutcome::Failed { error: "boom".into(), may_exist },
        (1, _) => RunOutcome::Cancelled { may_exist },
        (2, _) => RunOutcome::TimedOut { may_exist },
        (3, _) => RunOutcome::Interrupted { may_exist },
        (4, _) => RunOutcome::Stale { why: "old".into() },
        (_, RunOp::Plan | RunOp::PlanDestroy) => {
            let mut summary = PlanSummary::default();
            if !empty {
                summary.create = 1;
                summary.changes.push(PlannedChange { address: "a.b".into(), change: Change::Create });
            }
            RunOutcome::Planned { summary, plan: Zeroizing::new(vec![1]) }
        }
        (_, RunOp::Apply) => RunOutcome::Applied { outputs: Default::default() },
        (_, RunOp::Destroy) => RunOutcome::Destroyed,
        (_, RunOp::Refresh) => RunOutcome::Refreshed { drift: vec![] },
    }
}

async fn take(kit: &Kit, step: MoneyStep) {
    let requests = kit.all::<Request>(&kinds::REQUESTS_BY_PROJECT, kit.project.as_str()).await;
    let resources = kit.all::<Resource>(&kinds::RESOURCES_BY_PROJECT, kit.project.as_str()).await;
    let open: Vec<&Request> = requests.iter().filter(|request| !request.status.is_over()).collect();
    let named = |name: u8| {
        let name = format!("r{name}");
        let alive = resources.iter().filter(|r| r.status != ResourceStatus::Destroyed && r.name.as_str() == name);
        alive.map(|r| r.id.clone()).next()
    };
    // Refusals are part of life; what matters is what was committed.
    match step {
        MoneyStep::Ask { name, service, dollars } => {
            let service = ["thing", "fragile", "asked"][usize::from(service)];
            let _ = kit.ask(service, &format!("r{name}"), json!({"monthly_usd": dollars})).await;
        }
        MoneyStep::Deprovision { name } => {
            if let Some(resource_id) = named(name) {
                let remove = DeprovisionResource { project_id: None, resource_id, version: None };
                let _ = kit.app.run(&kit.owner(), &remove).await;
            }
        }
        MoneyStep::Retry { name } => {
            if let Some(resource_id) = named(name) {
                let _ = kit.app.run(&kit.owner(), &RetryResource { project_id: None, resource_id }).await;
            }
        }
        MoneyStep::Decide { nth, yes } => {
            let pending: Vec<_> = open.into_iter().filter(|r| r.status == RequestStatus::Pending).collect();
            if let Some(request) = pick(pending, nth) {
                let (id, note, version) = (request.id.clone(), None, None);
                if yes {
                    kit.app.run(&kit.manager(), &Approve { request_id: id, note, version }).await.unwrap();
                } else {
                    kit.app.run(&kit.manager(), &Reject { request_id: id, note, version }).await.unwrap();
                }
            }
        }
        MoneyStep::Cancel { nth } => {
            if let Some(request) = pick(open, nth) {
                kit.app.run(&kit.owner(), &Cancel { request_id: request.id.clone(), version: None }).await.unwrap();
            }
        }
        MoneyStep::Run { nth, ending: choice, empty } => {
            let waiting: Vec<_> = open.into_iter().filter_map(|request| request.current_run.clone()).collect();
            let Some(run) = pick(waiting, nth) else { return };
            if let Claim::Claimed(assignment, claimed_run) = kit.try_claim(&run).await.unwrap() {
                kit.check().await;
                claimed_run.finish(ending(assignment.run.op, choice, empty)).await.unwrap();
            }
        }
        MoneyStep::Die { nth, may_exist } => {
            let waiting: Vec<_> = open.into_iter().filter_map(|request| request.current_run.clone()).collect();
            let Some(run) = pick(waiting, nth) else { return };
            if let Claim::Claimed(..) = kit.try_claim(&run).await.unwrap() {
                *kit.stage.liveness.lock().unwrap() = Some(Liveness::Dead);
                let left = Salvage {
                    found: true,
                    may_exist: may_exist.then(|| "a.b".to_owned()).into_iter().collect(),
                    ..Salvage::default()
                };
                *kit.stage.salvage.lock().unwrap() = Some(left);
                check_run(&kit.app, &run).await.unwrap();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 6))]
    #[test]
    fn whatever_happens(steps in proptest::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            // What the owner may have without a person is reached before anything else.
            let mut config = Config::default();
            let ceiling = Usd::from_dollars(20);
            config.provisioning.auto_approve_owner.insert(Tier::Poc, ceiling);
            config.provisioning.auto_approve_unconfirmed = Usd::from_dollars(50);
            let kit = Kit::staged().await.configured(config).await;
            let owner = Project::owner_counter(&kit.read::<Project>(&kit.project).await.unwrap().owner);
            for step in steps {
                take(&kit, step).await;
                kit.check().await;
                let shows = kit.memory.counter(&owner).await.unwrap();
                assert!((0..=ceiling.micros()).contains(&shows), "{shows} passed by itself");
            }
        });
    }
}
