//! Endings larger than a batch: as many secrets as a service may have, renamed, dropped and destroyed.

use crate::{
    app::{
        ServiceCatalog,
        resources::DeprovisionResource,
        services::Service,
        testkit::{Kit, boot_with},
        worker,
    },
    domain::{
        request::RequestStatus,
        resource::Resource,
        run::PlanSummary,
        secret::Secret,
        service::{Retry, tests::manifest},
    },
    kernel::RequestId,
    ports::runner::{OutputValue, RunOutcome},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};
use zeroize::Zeroizing;

const INPUTS: usize = 16;
const OUTPUTS: usize = 30;

async fn kit() -> Kit {
    let mut manifest = manifest("local", "auto");
    manifest.id = "many".parse().unwrap();
    manifest.retry = Retry::Safe;
    for number in 0..INPUTS {
        let name = format!("secret_{number}");
        manifest.inputs["properties"][&name] = json!({"type": "string"});
        manifest.sensitive_inputs.push(name);
    }
    let files = BTreeMap::from([("main.tf".to_owned(), b"# nothing".to_vec())]);
    let catalog = ServiceCatalog::of([Service::new(manifest, files).unwrap()], Vec::new());
    let mut kit = Kit::staged().await;
    let runner = Arc::clone(&kit.stage) as _;
    kit.app = boot_with(Arc::clone(&kit.faulty), &kit.world, runner, catalog).await.unwrap();
    kit
}

async fn carry_out(kit: &Kit, id: &RequestId, ending: RunOutcome) -> Resource {
    for ending in [
        RunOutcome::Planned {
            summary: PlanSummary { create: 1, ..PlanSummary::default() },
            plan: Zeroizing::new(vec![1]),
        },
        ending,
    ] {
        let run = kit.request(id).await.current_run.unwrap();
        kit.supervise(&run, ending).await;
        kit.check().await;
    }
    let request = kit.request(id).await;
    assert_eq!(request.status, RequestStatus::Fulfilled, "{:?}", request.error);
    worker::run_due(&kit.app).await.unwrap();
    kit.check().await;
    kit.resource(&request.resource).await
}

fn outputs(prefix: &str, count: usize) -> RunOutcome {
    let output = |n| {
        let value = OutputValue { value: json!(format!("value {prefix} {n}")), sensitive: true };
        (format!("{prefix}_{n:02}"), value)
    };
    RunOutcome::Applied { outputs: (0..count).map(output).collect() }
}

fn spec(word: &str) -> Value {
    let input = |number| (format!("secret_{number}"), json!(format!("{word} {number}")));
    Value::Object((0..INPUTS).map(input).collect())
}

/// Which secrets the resource names, and which are there.
async fn secrets(kit: &Kit, resource: &Resource) -> (usize, usize) {
    let mut there = 0;
    for reference in resource.secret_refs.values() {
        there += usize::from(kit.read::<Secret>(&reference.secret_id).await.is_some());
    }
    (resource.secret_refs.len(), there)
}

#[tokio::test(start_paused = true)]
async fn every_secret_of_a_large_service_can_be_renamed_and_removed() {
    let kit = kit().await;
    let id = kit.ask("many", "one", spec("first")).await.unwrap().request.request_id;
    let before = carry_out(&kit, &id, outputs("old", OUTPUTS)).await;
    assert_eq!(secrets(&kit, &before).await, (OUTPUTS, OUTPUTS));

    // Every output has another name, and every input another value.
    let id = kit.ask("many", "one", spec("second")).await.unwrap().request.request_id;
    let after = carry_out(&kit, &id, outputs("new", OUTPUTS)).await;
    assert_eq!(secrets(&kit, &after).await, (OUTPUTS, OUTPUTS));
    assert_eq!(secrets(&kit, &before).await, (OUTPUTS, 0), "the old ones are gone");

    let remove = DeprovisionResource { project_id: None, resource_id: after.id.clone(), version: None };
    let id = kit.app.run(&kit.owner(), &remove).await.unwrap().request.request_id;
    let destroyed = carry_out(&kit, &id, RunOutcome::Destroyed).await;
    assert!(destroyed.secret_refs.is_empty());
    assert_eq!(secrets(&kit, &after).await, (OUTPUTS, 0));
    for reference in after.secret_refs.values() {
        assert!(
            kit.app.secrets().get(&reference.secret_id, 1, &after.owner()).await.unwrap().is_none(),
            "{}",
            reference.name
        );
    }
    let names =
        (0..INPUTS).map(|n| format!("many.one.secret_{n}")).chain(after.secret_refs.into_values().map(|it| it.name));
    for name in names {
        assert_eq!(kit.app.store().holder(&Secret::claim(&kit.project, &name)).await.unwrap(), None, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_output_that_is_missing_takes_no_other_with_it() {
    for (given, optional, missing) in [
        (vec![("id", json!("i-1")), ("token", json!("hunter2"))], false, None),
        (vec![("id", json!("i-1")), ("token", Value::Null)], false, Some("`token`")),
        (vec![("token", json!("hunter2"))], false, Some("`id`")),
        (vec![], false, Some("`id`, `token`")),
        (vec![("id", json!("i-1")), ("token", Value::Null)], true, None),
        (vec![], true, None),
    ] {
        let mut manifest = manifest("local", "auto");
        manifest.id = "thing".parse().unwrap();
        assert_eq!(manifest.outputs.keys().collect::<Vec<_>>(), ["id", "token"]);
        manifest.outputs.values_mut().for_each(|output| output.optional = optional);
        let files = BTreeMap::from([("main.tf".to_owned(), b"# nothing".to_vec())]);
        let catalog = ServiceCatalog::of([Service::new(manifest, files).unwrap()], Vec::new());
        let mut kit = Kit::staged().await;
        let runner = Arc::clone(&kit.stage) as _;
        kit.app = boot_with(Arc::clone(&kit.faulty), &kit.world, runner, catalog).await.unwrap();

        let id = kit.ask("thing", "one", json!({})).await.unwrap().request.request_id;
        let value = |(name, value): &(&str, Value)| {
            ((*name).to_owned(), OutputValue { value: value.clone(), sensitive: false })
        };
        let outputs = given.iter().map(value).collect();
        let resource = carry_out(&kit, &id, RunOutcome::Applied { outputs }).await;
        let told = kit.request(&id).await.error;
        assert_eq!(told.is_some(), missing.is_some(), "{given:?}: {told:?}");
        assert!(told.is_none_or(|told| told.contains(missing.unwrap())), "{given:?}");
        let has = |name: &str| given.iter().any(|(given, value)| *given == name && !value.is_null());
        assert_eq!(resource.outputs.get("id").is_some_and(|value| !value.is_null()), has("id"), "{given:?}");
        assert_eq!(resource.secret_refs.contains_key("token"), has("token"), "{given:?}");
    }
}

/// Everything was made by then, so no output that cannot be kept takes the others with it.
#[tokio::test(start_paused = true)]
async fn an_output_that_cannot_be_kept_takes_no_other_with_it() {
    let value = |value: Value, sensitive| OutputValue { value, sensitive };
    let text = |length: usize| json!("x".repeat(length));
    let few = || {
        BTreeMap::from([
            ("id".to_owned(), value(json!("i-1"), false)),
            ("token".to_owned(), value(json!("hunter2"), true)),
        ])
    };
    let many = (0..40).map(|n| (format!("a_{n:02}"), value(json!("v"), true)));
    for (more, told, plain, secret) in [
        (many.collect::<Vec<_>>(), "`a_39`", 1, 30),
        (vec![("large".to_owned(), value(text(200 << 10), false))], "`large`", 1, 1),
        ((0..4).map(|n| (format!("part_{n}"), value(text(50 << 10), false))).collect(), "`part_0`, `part_1`", 3, 1),
        (vec![("secret_0".to_owned(), value(json!("v"), true))], "`secret_0`", 1, 1),
    ] {
        let kit = kit().await;
        let id = kit.ask("many", "one", spec("first")).await.unwrap().request.request_id;
        let outputs = few().into_iter().chain(more).collect();
        let resource = carry_out(&kit, &id, RunOutcome::Applied { outputs }).await;
        let error = kit.request(&id).await.error.unwrap();
        assert!(error.contains(told) && error.starts_with("It is done"), "{error}");
        assert_eq!((resource.outputs.len(), resource.secret_refs.len()), (plain, secret), "{error}");
        assert!(resource.outputs.contains_key("id") && resource.secret_refs.contains_key("token"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_output_that_comes_back_keeps_its_secret() {
    let kit = kit().await;
    let id = kit.ask("many", "one", spec("first")).await.unwrap().request.request_id;
    carry_out(&kit, &id, outputs("token", 2)).await;
    // Dropped, and made again before anybody came to remove it.
    for (word, ending) in [("second", outputs("other", 1)), ("third", outputs("token", 1))] {
        let id = kit.ask("many", "one", spec(word)).await.unwrap().request.request_id;
        let run = kit.request(&id).await.current_run.unwrap();
        let plan = RunOutcome::Planned {
            summary: PlanSummary { update: 1, ..PlanSummary::default() },
            plan: Zeroizing::new(vec![1]),
        };
        kit.supervise(&run, plan).await;
        kit.supervise(&kit.request(&id).await.current_run.unwrap(), ending).await;
    }
    worker::run_due(&kit.app).await.unwrap();
    kit.check().await;
    let request = kit.ask("many", "one", spec("third")).await.unwrap().request;
    let resource = kit.resource(&request.resource_id).await;
    assert_eq!(secrets(&kit, &resource).await, (1, 1));
    let kept = kit.read::<Secret>(&resource.secret_refs["token_00"].secret_id).await.unwrap();
    let (id, version) = kept.stored();
    assert!(kit.app.secrets().get(id, version, &resource.owner()).await.unwrap().is_some(), "and its value");
}
