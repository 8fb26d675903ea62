//! What was applied can be compared and removed, whatever has become of its service since.

use crate::{
    app::{
        ServiceCatalog,
        requests::Approve,
        resources::{DeprovisionResource, RefreshResource},
        runs::{Assignment, Claim},
        services::{Service, kept},
        testkit::{Kit, boot_with, catalog},
        worker,
    },
    domain::{
        job::{Job, Work},
        request::RequestStatus,
        resource::{KeptModule, ResourceStatus, StatePointer},
        run::{PlanSummary, RunStatus},
        secret::Secret,
        service::tests::manifest,
    },
    error::Code,
    kernel::{RequestId, ResourceId, RunId},
    ports::{
        kinds,
        runner::{RunOutcome, RunReporter},
    },
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use zeroize::Zeroizing;

const LOCK: &[u8] = b"provider \"r/a/b\" {\n  version = \"1.0.0\"\n}\n";

fn planned() -> RunOutcome {
    RunOutcome::Planned { summary: PlanSummary { create: 1, ..PlanSummary::default() }, plan: Zeroizing::new(vec![1]) }
}

fn applied() -> RunOutcome {
    RunOutcome::Applied { outputs: BTreeMap::new() }
}

fn failed() -> RunOutcome {
    RunOutcome::Failed { error: "It broke.".into(), may_exist: Vec::new() }
}

fn state(serial: u64) -> Vec<u8> {
    json!({"version": 4, "lineage": "l", "serial": serial, "resources": ["x"]}).to_string().into_bytes()
}

async fn current(kit: &Kit, id: &RequestId) -> RunId {
    kit.request(id).await.current_run.unwrap()
}

/// Carries the current run of a request out as Terraform would: it applies with a lock file, and stores a state of that serial.
async fn carry(kit: &Kit, id: &RequestId, serial: Option<u64>, ending: RunOutcome) -> Box<Assignment> {
    let (assignment, claimed_run) = kit.claim(&current(kit, id).await).await;
    claimed_run.engine("terraform 1", &assignment.service.digest).await.unwrap();
    if assignment.run.op.changes_things() {
        claimed_run.applying(Some(LOCK)).await.unwrap();
        kit.check().await;
    }
    if let Some(serial) = serial {
        claimed_run.store_state(&state(serial)).await.unwrap();
        kit.check().await;
    }
    claimed_run.finish(ending).await.unwrap();
    kit.check().await;
    assignment
}

/// Asks for a resource and makes it, with a state of that serial.
async fn make(kit: &Kit, service: &str, name: &str, spec: Value, serial: u64) -> ResourceId {
    let id = kit.ask(service, name, spec).await.unwrap().request.request_id;
    carry(kit, &id, None, planned()).await;
    if kit.request(&id).await.status == RequestStatus::Pending {
        kit.app.run(&kit.manager(), &Approve { request_id: id.clone(), note: None, version: None }).await.unwrap();
    }
    carry(kit, &id, Some(serial), applied()).await;
    assert_eq!(kit.request(&id).await.status, RequestStatus::Fulfilled);
    kit.request(&id).await.resource
}

async fn deprovision(kit: &Kit, resource: &ResourceId) -> crate::Result<RequestId> {
    let remove = DeprovisionResource { project_id: None, resource_id: resource.clone(), version: None };
    kit.app.run(&kit.owner(), &remove).await.map(|asked| asked.request.request_id)
}

/// Removes a resource with runs. Returns what they were handed.
async fn remove(kit: &Kit, resource: &ResourceId, serial: u64) -> [Box<Assignment>; 2] {
    let id = deprovision(kit, resource).await.unwrap();
    let summary = PlanSummary { delete: 1, ..PlanSummary::default() };
    let plan = carry(kit, &id, None, RunOutcome::Planned { summary, plan: Zeroizing::new(vec![1]) }).await;
    let destroy = carry(kit, &id, Some(serial), RunOutcome::Destroyed).await;
    assert_eq!(kit.request(&id).await.status, RequestStatus::Fulfilled);
    assert_eq!(kit.resource(resource).await.status, ResourceStatus::Destroyed);
    [plan, destroy]
}

/// The same store with another catalogue.
async fn with(kit: &mut Kit, catalog: ServiceCatalog) {
    kit.app = boot_with(Arc::clone(&kit.faulty), &kit.world, Arc::clone(&kit.stage) as _, catalog).await.unwrap();
}

fn nothing() -> ServiceCatalog {
    ServiceCatalog::of([], Vec::new())
}

/// A catalogue with another `keyed`: other files, and none of the inputs that it had.
fn other_keyed() -> ServiceCatalog {
    let mut narrower = manifest("local", "auto");
    narrower.id = "keyed".parse().unwrap();
    narrower.inputs = json!({"type": "object", "properties": {"monthly_usd": {"type": "number"}, "colour": {"type": "string"}},
        "required": ["colour"]});
    let files = BTreeMap::from([("other.tf".to_owned(), b"# other".to_vec())]);
    ServiceCatalog::of([Service::new(narrower, files).unwrap()], Vec::new())
}

/// Whether there are sealed secrets, states and modules.
fn sealed(kit: &Kit) -> [bool; 3] {
    let everything = format!("{:?}", kit.memory);
    ["secret/", "state/", "module/"].map(|kind| everything.contains(&format!("id: \"{kind}")))
}

async fn pointer(kit: &Kit, resource: &ResourceId) -> StatePointer {
    kit.read::<StatePointer>(resource).await.unwrap().value
}

async fn references(kit: &Kit, module: &str) -> i64 {
    use crate::ports::store::Store;
    kit.memory.counter(&KeptModule::id(module)).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_was_made_is_compared_and_removed_with_its_own_module_and_inputs_whatever_became_of_the_service() {
    for (what, later) in [("gone", nothing as fn() -> ServiceCatalog), ("another", other_keyed), ("the same", catalog)]
    {
        let mut kit = Kit::staged().await;
        let made = kit.app.services().get(&"keyed".parse().unwrap()).unwrap().clone();
        let resource = make(&kit, "keyed", "one", json!({"password": "hunter2", "size": "l"}), 3).await;
        assert_eq!(sealed(&kit), [true; 3]);
        with(&mut kit, later()).await;

        let refresh = RefreshResource { project_id: None, resource_id: resource.clone() };
        let run = kit.app.run(&kit.owner(), &refresh).await.unwrap().run_id;
        let (refreshed, claimed_run) = kit.claim(&run).await;
        claimed_run.finish(RunOutcome::Refreshed { drift: vec!["a.b".into()] }).await.unwrap();
        assert_eq!(kit.resource(&resource).await.drift, ["a.b"], "{what}");

        let [plan, destroy] = remove(&kit, &resource, 4).await;
        for handed in [&refreshed, &plan, &destroy] {
            assert_eq!(handed.service.files, made.files, "{what}");
            assert_eq!((&handed.service.digest, &handed.service.manifest), (&made.digest, &made.manifest), "{what}");
            assert_eq!(handed.lock.as_deref(), Some(LOCK), "{what}");
            let inputs = ["password", "size", "monthly_usd", "name"].map(|name| handed.variables[name].clone());
            assert_eq!(inputs, [json!("hunter2"), json!("l"), json!(2), json!("one")], "{what}");
        }
        // Nothing is left of it: neither its secret, nor its state, nor the module.
        while worker::run_due(&kit.app).await.unwrap() > 0 {}
        assert_eq!(kit.all::<Secret>(&kinds::SECRETS_BY_PROJECT, kit.project.as_str()).await, [], "{what}");
        assert_eq!(sealed(&kit), [false; 3], "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_gone_asks_for_a_person_as_it_did_when_it_was_applied() {
    let mut kit = Kit::staged().await;
    let resource = make(&kit, "asked", "one", json!({}), 1).await;
    with(&mut kit, nothing()).await;
    let id = deprovision(&kit, &resource).await.unwrap();
    let summary = PlanSummary { delete: 1, ..PlanSummary::default() };
    carry(&kit, &id, None, RunOutcome::Planned { summary, plan: Zeroizing::new(vec![1]) }).await;
    let request = kit.request(&id).await;
    assert_eq!(request.status, RequestStatus::Pending);
    assert_eq!(request.judgements.last().unwrap().judgement.rule.as_str(), "approval.removal");
    kit.app.run(&kit.manager(), &Approve { request_id: id.clone(), note: None, version: None }).await.unwrap();
    carry(&kit, &id, Some(2), RunOutcome::Destroyed).await;
    assert_eq!(kit.resource(&resource).await.status, ResourceStatus::Destroyed);
}

#[tokio::test(start_paused = true)]
async fn an_apply_that_ended_half_way_is_removed_with_what_it_began_with() {
    for stores in [true, false] {
        let mut kit = Kit::staged().await;
        let resource = make(&kit, "keyed", "one", json!({"password": "first", "size": "s"}), 1).await;
        let id = kit.ask("keyed", "one", json!({"password": "second", "size": "l"})).await.unwrap().request.request_id;
        carry(&kit, &id, None, planned()).await;
        carry(&kit, &id, stores.then_some(2), failed()).await;
        // A third one is asked for and never applied.
        let third = kit.ask("keyed", "one", json!({"password": "third", "size": "s"})).await.unwrap().request;
        carry(&kit, &third.request_id, None, failed()).await;
        let fourth = kit.ask("keyed", "one", json!({"password": "fourth", "size": "s"})).await.unwrap().request;
        carry(&kit, &fourth.request_id, None, failed()).await;
        // By then everything is forgotten that nothing names.
        kit.pass(Duration::from_secs(4000));
        while worker::run_due(&kit.app).await.unwrap() > 0 {}
        with(&mut kit, nothing()).await;
        let [plan, destroy] = remove(&kit, &resource, 3).await;
        let wanted = if stores { ("second", "l") } else { ("first", "s") };
        for handed in [&plan, &destroy] {
            let given = ["password", "size"].map(|name| handed.variables[name].as_str().unwrap().to_owned());
            assert_eq!((given[0].as_str(), given[1].as_str()), wanted, "a state was stored: {stores}");
        }
        while worker::run_due(&kit.app).await.unwrap() > 0 {}
        assert_eq!(kit.all::<Secret>(&kinds::SECRETS_BY_PROJECT, kit.project.as_str()).await, []);
        assert_eq!(sealed(&kit), [false; 3], "a state was stored: {stores}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_never_made_goes_without_a_run_when_its_service_is_gone() {
    // An apply was begun and nothing came of it; with the service, a run looks.
    let mut kit = Kit::staged().await;
    let id = kit.ask("thing", "one", json!({})).await.unwrap().request.request_id;
    carry(&kit, &id, None, planned()).await;
    carry(&kit, &id, None, failed()).await;
    let resource = kit.request(&id).await.resource;
    with(&mut kit, nothing()).await;
    let removed = deprovision(&kit, &resource).await.unwrap();
    kit.check().await;
    assert_eq!(kit.request(&removed).await.status, RequestStatus::Fulfilled);
    assert_eq!(kit.resource(&resource).await.status, ResourceStatus::Destroyed);

    // And what the dry run made up.
    let mut kit = Kit::dry().await;
    let id = kit.ask("thing", "one", json!({})).await.unwrap().request.request_id;
    worker::run_due(&kit.app).await.unwrap();
    let resource = kit.request(&id).await.resource;
    assert_eq!(kit.resource(&resource).await.status, ResourceStatus::Provisioned);
    with(&mut kit, nothing()).await;
    deprovision(&kit, &resource).await.unwrap();
    kit.check().await;
    assert_eq!(kit.resource(&resource).await.status, ResourceStatus::Destroyed);
}

#[tokio::test(start_paused = true)]
async fn a_state_of_a_version_that_kept_no_modules_goes_with_the_present_one() {
    let mut kit = Kit::staged().await;
    let resource = make(&kit, "keyed", "one", json!({"password": "hunter2"}), 1).await;
    let module = pointer(&kit, &resource).await.applied.unwrap().module;
    // A version before has stored another state: it carries what it does not know, and says which run stored the state.
    kit.tamper::<StatePointer>(resource.as_str(), |pointer| {
        pointer.run = "run_00000000000000000000000009".parse().unwrap()
    })
    .await;
    with(&mut kit, other_keyed()).await;
    let refresh = RefreshResource { project_id: None, resource_id: resource.clone() };
    let run = kit.app.run(&kit.owner(), &refresh).await.unwrap().run_id;
    let (handed, claimed_run) = kit.claim(&run).await;
    assert!(handed.service.files.contains_key("other.tf") && handed.lock.is_none());
    claimed_run.finish(RunOutcome::Refreshed { drift: Vec::new() }).await.unwrap();

    with(&mut kit, nothing()).await;
    let refused = deprovision(&kit, &resource).await.unwrap_err();
    assert_eq!(refused.code(), Code::WrongState);
    assert!(refused.message().contains("puts the service back"), "{}", refused.message());
    let run = kit.app.run(&kit.owner(), &refresh).await.unwrap().run_id;
    assert!(
        matches!(kit.try_claim(&run).await.unwrap(), Claim::NotNeeded { why } if why.contains("not in the catalogue"))
    );

    with(&mut kit, catalog()).await;
    remove(&kit, &resource, 2).await;
    while worker::run_due(&kit.app).await.unwrap() > 0 {}
    assert!(kit.read::<KeptModule>(KeptModule::id(&module)).await.is_none(), "its reference is dropped all the same");
}

#[tokio::test(start_paused = true)]
async fn a_module_that_is_too_large_to_be_kept_is_refused_before_anything_is_planned() {
    let mut kit = Kit::staged().await;
    let large = |bytes: usize| {
        let files = [("main.tf".to_owned(), b"# nothing".to_vec()), ("package.zip".to_owned(), vec![7; bytes])];
        let mut manifest = manifest("local", "auto");
        manifest.id = "thing".parse().unwrap();
        Service::new(manifest, BTreeMap::from(files)).unwrap()
    };
    let (fits, grown) = (large(KeptModule::MAX_BYTES - 10_000), large(KeptModule::MAX_BYTES));
    // Whoever applies looks again: the lock file counts, too.
    let lock = vec![b'x'; 10_000];
    assert!(kept::check_size(&fits).is_ok() && kept::Package::of(&fits, None).is_ok());
    let refused = kept::Package::of(&fits, Some(&lock)).err().unwrap();
    assert!(refused.message().contains("at most 16 MB"), "{}", refused.message());

    with(&mut kit, ServiceCatalog::of([grown], Vec::new())).await;
    let id = kit.ask("thing", "one", json!({})).await.unwrap().request.request_id;
    let run = current(&kit, &id).await;
    assert!(matches!(kit.try_claim(&run).await.unwrap(), Claim::NotNeeded { .. }));
    kit.check().await;
    let request = kit.request(&id).await;
    assert_eq!(request.status, RequestStatus::Failed);
    let why = request.error.unwrap();
    assert!(why.contains("17 MB of files, and at most 16 MB are kept"), "{why}");
    assert!(why.contains("Take large files out of the module's folder"), "{why}");
    assert_eq!(kit.run(&run).await.status, RunStatus::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_module_is_kept_once_and_collected_with_the_last_that_refers_to_it() {
    let kit = Kit::staged().await;
    let one = make(&kit, "thing", "one", json!({}), 1).await;
    let two = make(&kit, "thing", "two", json!({}), 1).await;
    let module = pointer(&kit, &one).await.applied.unwrap().module;
    assert_eq!(pointer(&kit, &two).await.applied.unwrap().module, module);
    let kept = kit.read::<KeptModule>(KeptModule::id(&module)).await.unwrap().value;
    let bytes = async || kit.app.vault().read(&kept.sealed, &format!("module|{module}")).await.unwrap();
    assert_eq!(references(&kit, &module).await, 2);

    remove(&kit, &one, 2).await;
    while worker::run_due(&kit.app).await.unwrap() > 0 {}
    assert_eq!(references(&kit, &module).await, 1);
    assert!(bytes().await.is_some());

    // A run that ends before it has stored a state lets go of what it held.
    let id = kit.ask("thing", "three", json!({})).await.unwrap().request.request_id;
    carry(&kit, &id, None, planned()).await;
    let run = current(&kit, &id).await;
    let (_, claimed_run) = kit.claim(&run).await;
    claimed_run.engine("terraform 1", "module").await.unwrap();
    claimed_run.applying(Some(LOCK)).await.unwrap();
    assert_eq!((kit.run(&run).await.kept.as_ref(), references(&kit, &module).await), (Some(&module), 2));
    claimed_run.finish(failed()).await.unwrap();
    kit.check().await;
    while worker::run_due(&kit.app).await.unwrap() > 0 {}
    assert_eq!(references(&kit, &module).await, 1);

    remove(&kit, &two, 2).await;
    assert!(bytes().await.is_some(), "it is removed by a job");
    while worker::run_due(&kit.app).await.unwrap() > 0 {}
    assert!(kit.read::<KeptModule>(KeptModule::id(&module)).await.is_none() && bytes().await.is_none());
}

fn collecting(kit: &Kit, module: &str) -> Job {
    use crate::kernel::Actor;
    let now = kit.world.now();
    let actor = Actor::System { name: "worker" }.reference();
    Job::new(kit.world.id(), Work::CollectModule { module: module.to_owned() }, kit.app.new_trace(), actor, now, now)
}

#[tokio::test(start_paused = true)]
async fn collecting_never_takes_a_module_that_a_run_is_about_to_refer_to() {
    // The run refers to it between the collector's look and its commit.
    let kit = Arc::new(Kit::staged().await);
    let one = make(&kit, "thing", "one", json!({}), 1).await;
    let module = pointer(&kit, &one).await.applied.unwrap().module;
    let waits = kit.ask("thing", "two", json!({})).await.unwrap().request.request_id;
    carry(&kit, &waits, None, planned()).await;
    remove(&kit, &one, 2).await;
    assert_eq!(references(&kit, &module).await, 0);
    let (_, claimed_run) = kit.claim(&current(&kit, &waits).await).await;
    claimed_run.engine("terraform 1", "module").await.unwrap();
    let claimed_run = Arc::new(claimed_run);
    let begins = Arc::clone(&claimed_run);
    let interlude = Box::pin(async move { begins.applying(Some(LOCK)).await.unwrap() });
    *kit.faulty.fault.before_commit.lock().unwrap() = Some((0, interlude));
    kept::collect(&kit.app, &collecting(&kit, &module), &module).await.unwrap();
    assert_eq!(references(&kit, &module).await, 1);
    assert!(kept::read(&kit.app, &module).await.is_ok());
    kit.check().await;

    // The collector is faster: between the run's look and its commit the module goes, and the run keeps it anew.
    let kit = Arc::new(Kit::staged().await);
    let one = make(&kit, "thing", "one", json!({}), 1).await;
    let waits = kit.ask("thing", "two", json!({})).await.unwrap().request.request_id;
    carry(&kit, &waits, None, planned()).await;
    remove(&kit, &one, 2).await;
    let (_, claimed_run) = kit.claim(&current(&kit, &waits).await).await;
    claimed_run.engine("terraform 1", "module").await.unwrap();
    let (other, digest) = (Arc::clone(&kit), module.clone());
    let interlude = Box::pin(async move {
        kept::collect(&other.app, &collecting(&other, &digest), &digest).await.unwrap();
        assert!(other.read::<KeptModule>(KeptModule::id(&digest)).await.is_none());
    });
    *kit.faulty.fault.before_commit.lock().unwrap() = Some((0, interlude));
    claimed_run.applying(Some(LOCK)).await.unwrap();
    assert_eq!(references(&kit, &module).await, 1);
    while worker::run_due(&kit.app).await.unwrap() > 0 {}
    assert!(
        kept::read(&kit.app, &module).await.is_ok(),
        "what was removed before is forgotten, and not what is kept anew"
    );
    kit.check().await;
}

#[tokio::test(start_paused = true)]
async fn a_module_is_kept_before_anything_is_changed_and_a_lost_reply_keeps_it_once() {
    let kit = Kit::staged().await;
    let id = kit.ask("thing", "one", json!({})).await.unwrap().request.request_id;
    carry(&kit, &id, None, planned()).await;
    let run = current(&kit, &id).await;
    let (_, claimed_run) = kit.claim(&run).await;
    claimed_run.engine("terraform 1", "module").await.unwrap();
    kit.faulty.fault.lose_every.store(1, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(claimed_run.applying(Some(LOCK)).await.unwrap_err().code(), Code::StoreUnavailable);
    kit.faulty.fault.lose_every.store(0, std::sync::atomic::Ordering::SeqCst);
    let held = kit.run(&run).await;
    assert_eq!(references(&kit, held.kept.as_ref().unwrap()).await, 1, "it was committed all the same");
    claimed_run.applying(Some(LOCK)).await.unwrap();
    assert_eq!(held.applying, Some(true));
    assert_eq!(references(&kit, held.kept.as_ref().unwrap()).await, 1);
    kit.check().await;
    claimed_run.store_state(&state(1)).await.unwrap();
    claimed_run.store_state(&state(2)).await.unwrap();
    let resource = kit.request(&id).await.resource;
    let present = pointer(&kit, &resource).await;
    assert_eq!(present.made_with().map(|made| &made.module), held.kept.as_ref());
    assert_eq!((kit.run(&run).await.kept, present.run), (None, run));
    kit.check().await;
}
