//! Removing what is in an account that has left the allow-list since.

use crate::{
    adapters::DryRun,
    app::{
        ServiceCatalog,
        requests::Requested,
        resources::DeprovisionResource,
        services::Service,
        testkit::{Kit, boot_with},
        worker,
    },
    domain::{
        request::RequestStatus, resource::ResourceStatus, run::PlanSummary, service::tests::manifest, target::Allowed,
    },
    error::{Code, Result},
    kernel::{RequestId, ResourceId},
    ports::runner::RunOutcome,
};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc};
use zeroize::Zeroizing;

/// A catalogue of one service in an account, which is on the allow-list or not.
fn catalogue(listed: bool) -> ServiceCatalog {
    let mut cloudy = manifest("aws", "auto");
    cloudy.id = "cloudy".parse().unwrap();
    let files = BTreeMap::from([("main.tf".to_owned(), b"# nothing".to_vec())]);
    let account = Allowed { cloud: "aws".parse().unwrap(), account: "123456789012".into(), region: None };
    let allowed = if listed { vec![account] } else { Vec::new() };
    ServiceCatalog::of([Service::new(cloudy, files).unwrap()], allowed)
}

async fn restarted(kit: &mut Kit, listed: bool) {
    let (faulty, stage) = (Arc::clone(&kit.faulty), Arc::clone(&kit.stage));
    kit.app = boot_with(faulty, &kit.world, stage as _, catalogue(listed)).await.unwrap();
}

async fn ends(kit: &Kit, request: &RequestId, ending: RunOutcome) {
    let run = kit.request(request).await.current_run.unwrap();
    kit.supervise(&run, ending).await;
}

async fn removed(kit: &Kit, resource: &ResourceId) -> Result<Requested> {
    let remove = DeprovisionResource { project_id: None, resource_id: resource.clone(), version: None };
    kit.app.run(&kit.owner(), &remove).await
}

#[tokio::test(start_paused = true)]
async fn what_was_never_made_is_removed_although_its_account_has_left_the_allow_list_and_real_things_say_what_to_do() {
    let mut kit = Kit::staged().await;
    restarted(&mut kit, true).await;
    let planned = || RunOutcome::Planned {
        summary: PlanSummary { create: 1, ..PlanSummary::default() },
        plan: Zeroizing::new(vec![1]),
    };
    let applied = || RunOutcome::Applied { outputs: BTreeMap::new() };
    let failed = RunOutcome::Failed { error: "No provider.".into(), may_exist: Vec::new() };
    let mut made = BTreeMap::new();
    for (name, endings) in [("never", vec![failed]), ("real", vec![planned(), applied()])] {
        let asked = kit.ask("cloudy", name, json!({})).await.unwrap();
        for ending in endings {
            ends(&kit, &asked.request.request_id, ending).await;
        }
        made.insert(name, asked.resource.resource_id);
    }
    restarted(&mut kit, false).await;
    kit.check().await;

    let refused = removed(&kit, &made["real"]).await.unwrap_err();
    assert_eq!(refused.code(), Code::TargetNotAllowed);
    for word in ["provisioning.allowed", "role"] {
        assert!(refused.message().contains(word), "{}", refused.message());
    }
    let gone = removed(&kit, &made["never"]).await.unwrap();
    assert_eq!(gone.request.status, RequestStatus::Fulfilled);
    assert_eq!(kit.resource(&made["never"]).await.status, ResourceStatus::Destroyed);
    kit.check().await;

    restarted(&mut kit, true).await;
    assert_eq!(removed(&kit, &made["real"]).await.unwrap().request.status, RequestStatus::Planning);
}

#[tokio::test(start_paused = true)]
async fn what_the_dry_run_made_up_is_removed_although_its_account_has_left_the_allow_list() {
    let mut kit = Kit::dry().await;
    let restarted = async |kit: &mut Kit, listed: bool| {
        let runner = DryRun::new();
        let faulty = Arc::clone(&kit.faulty);
        kit.app = boot_with(faulty, &kit.world, Arc::clone(&runner) as _, catalogue(listed)).await.unwrap();
        runner.bind(&kit.app);
    };
    restarted(&mut kit, true).await;
    let made = kit.ask("cloudy", "made-up", json!({})).await.unwrap().resource.resource_id;
    worker::run_due(&kit.app).await.unwrap();
    let resource = kit.resource(&made).await;
    assert!(resource.dry_run && resource.status == ResourceStatus::Provisioned, "{resource:?}");
    restarted(&mut kit, false).await;
    assert_eq!(removed(&kit, &made).await.unwrap().request.status, RequestStatus::Fulfilled);
    assert_eq!(kit.resource(&made).await.status, ResourceStatus::Destroyed);
    kit.check().await;
}
