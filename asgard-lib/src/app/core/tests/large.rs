//! The largest answers of creating calls: they are remembered as any other, and replayed as they were.

use crate::{
    app::{
        Call, ServiceCatalog, operations,
        services::Service,
        testkit::{Kit, boot_with},
    },
    domain::{
        request::RequestStatus,
        run::{Change, PlanSummary, PlannedChange},
        service::tests::manifest,
    },
    kernel::{RequestId, ResourceId},
    ports::{
        runner::{OutputValue, RunOutcome},
        store::Batch,
    },
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use zeroize::Zeroizing;

/// What these answer with is a name, an id and a few words, each of which has a bound.
const SMALL: &[&str] = &["keys.mint", "projects.register", "resources.refresh", "tokens.create", "users.create"];

/// A service whose input and output take any text.
fn catalogue() -> ServiceCatalog {
    let mut big = manifest("local", "human");
    big.id = "big".parse().unwrap();
    big.inputs["properties"]["text"] = json!({"type": "string"});
    let files = BTreeMap::from([("main.tf".to_owned(), b"# nothing".to_vec())]);
    ServiceCatalog::of([Service::new(big, files).unwrap()], Vec::new())
}

struct Largest {
    kit: Kit,
    keys: u32,
    /// The bytes of the largest answer of each operation.
    answered: BTreeMap<&'static str, usize>,
}

impl Largest {
    /// The answer to a call under a new key, which is the answer to the same call again.
    async fn call(&mut self, name: &'static str, input: Value) -> Value {
        let entry = operations::named(name).unwrap();
        self.keys += 1;
        let call = Call { idempotency_key: Some(format!("key {}", self.keys)), ..self.kit.owner() };
        let app = &self.kit.app;
        let first = entry.call(app, &call, input.clone()).await.unwrap_or_else(|e| panic!("{name}: {}", e.chain()));
        let again = entry.call(app, &call, input).await.unwrap_or_else(|e| panic!("{name}: {}", e.chain()));
        assert_eq!((first.replayed, again.replayed), (false, true), "{name}");
        assert_eq!(first.value, again.value, "{name}");
        let most = self.answered.entry(name).or_default();
        *most = (*most).max(first.value.to_string().len());
        first.value
    }

    /// As much has drifted as is told.
    async fn drifted(&mut self, about: &Value) {
        let refresh = self.call("resources.refresh", about.clone()).await;
        let drift = (0..200).map(|n| format!("module.{}.thing.n{n:03}", "x".repeat(450))).collect();
        self.kit.supervise(&id(&refresh["run_id"]), RunOutcome::Refreshed { drift }).await;
    }

    async fn planned(&self, request: &RequestId) {
        let run = self.kit.request(request).await.current_run.unwrap();
        let change = |n: usize| PlannedChange {
            address: format!("module.{}.thing.n{n:03}", "x".repeat(450)),
            change: Change::Create,
        };
        let changes = (0..PlanSummary::MAX_CHANGES).map(change).collect();
        let summary = PlanSummary { create: 200, changes, ..PlanSummary::default() };
        let plan = Zeroizing::new(b"the plan".to_vec());
        self.kit.supervise(&run, RunOutcome::Planned { summary, plan }).await;
    }

    async fn approved_and_applied(&mut self, request: &RequestId) {
        let input = json!({"request_id": request});
        let approve = operations::named("requests.approve").unwrap();
        approve.call(&self.kit.app, &self.kit.manager(), input).await.unwrap();
        let run = self.kit.request(request).await.current_run.unwrap();
        let output = |value: Value, sensitive| OutputValue { value, sensitive };
        let outputs = BTreeMap::from([
            ("id".to_owned(), output("\"".repeat(65_000).into(), false)),
            ("token".to_owned(), output("hunter2".into(), true)),
        ]);
        self.kit.supervise(&run, RunOutcome::Applied { outputs }).await;
        assert_eq!(self.kit.request(request).await.status, RequestStatus::Fulfilled);
    }
}

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(value: &Value) -> T {
    value.as_str().unwrap().parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_largest_answer_of_every_creating_call_is_remembered_and_replayed() {
    let mut kit = Kit::staged().await;
    let (faulty, stage) = (Arc::clone(&kit.faulty), Arc::clone(&kit.stage));
    kit.app = boot_with(faulty, &kit.world, stage as _, catalogue()).await.unwrap();
    let project = kit.project.clone();
    let mut largest = Largest { kit, keys: 0, answered: BTreeMap::new() };
    let ask = |fill: &str| json!({"project_id": project, "service": "big", "name": "one", "spec": {"text": fill.repeat(32_000)}});

    // It is asked for, asked for again while the plan waits for a person, and again once it is as asked.
    let asked = largest.call("requests.create", ask("\"")).await;
    let (request, resource) =
        (id::<RequestId>(&asked["request"]["request_id"]), id::<ResourceId>(&asked["resource"]["resource_id"]));
    largest.planned(&request).await;
    assert_eq!(largest.call("requests.create", ask("\"")).await["changed"], false);
    largest.approved_and_applied(&request).await;
    let about = json!({"project_id": project, "resource_id": resource});
    largest.drifted(&about).await;
    assert_eq!(largest.call("requests.create", ask("\"")).await["changed"], false);

    // New secrets, which a person has to approve.
    let rotate = json!({"project_id": project, "name": "big.one.token"});
    let rotated = largest.call("secrets.rotate", rotate.clone()).await;
    let rotation = id::<RequestId>(&rotated["request"]["request_id"]);
    largest.planned(&rotation).await;
    assert_eq!(largest.call("secrets.rotate", rotate).await["changed"], false);
    largest.approved_and_applied(&rotation).await;
    largest.drifted(&about).await;

    // A change fails, and is tried again.
    let changed = largest.call("requests.create", ask("\\")).await;
    let change = id::<RequestId>(&changed["request"]["request_id"]);
    let run = largest.kit.request(&change).await.current_run.unwrap();
    let failed = RunOutcome::Failed { error: "It cannot be.".into(), may_exist: Vec::new() };
    largest.kit.supervise(&run, failed).await;
    assert_eq!(largest.kit.request(&change).await.status, RequestStatus::Failed);
    let again = largest.call("resources.retry", about).await;
    largest.planned(&id(&again["request"]["request_id"])).await;

    for (name, bytes) in &largest.answered {
        let large = !SMALL.contains(name);
        assert_eq!(*bytes > Batch::MAX_RECORD, large, "{name} answers with {bytes} bytes");
    }
    let creating = operations::OPERATIONS.iter().filter(|entry| entry.meta.creates).map(|entry| entry.meta.name);
    let known: BTreeSet<&str> = largest.answered.keys().chain(SMALL).copied().collect();
    assert_eq!(creating.collect::<BTreeSet<_>>(), known, "an operation that creates is in neither list");
}
