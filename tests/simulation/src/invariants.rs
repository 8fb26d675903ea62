//! What must hold once everything has settled, whatever happened before.

use crate::{
    host::{BEGINNING, State},
    keys, people,
    people::Person,
    simulation::Simulation,
};
use asgard_lib::{
    app::audit::VerifyAudit,
    backends::MemoryStore,
    domain::{
        project::Project,
        request::{Request, RequestStatus},
        resource::{KeptModule, Resource, ResourceStatus, StatePointer},
        run::Run,
    },
    kernel::{CommitId, Timestamp, Usd},
    ports::{
        kinds::{self, Index, Kind},
        records::{Entity, Records},
        store::{Batch, Draft, Key, Op, Outcome, Query, Store},
    },
};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use crate::dice::Dice;

/// Everything of a kind, read past every link.
async fn all<T: Entity>(store: &dyn Store, index: &'static Index, partition: &str) -> Vec<T> {
    let mut found = Vec::new();
    let mut query = Query::new(index, partition).take(100);
    while let Ok(page) = store.list::<T>(&query).await {
        found.extend(page.items.into_iter().map(|stored| stored.value));
        if page.next.is_none() {
            break;
        }
        query = query.after(page.next);
    }
    found
}

struct Everything {
    projects: Vec<Project>,
    requests: Vec<Request>,
    resources: Vec<Resource>,
    runs: Vec<Run>,
}

/// Looks at everything, and notes each violation.
pub async fn check(simulation: &Arc<Simulation>) {
    let store: &dyn Store = &simulation.store;
    let projects: Vec<Project> = all(store, &kinds::PROJECTS, "").await;
    let requests: Vec<Request> = all(store, &kinds::REQUESTS, "").await;
    let (mut resources, mut runs) = (Vec::<Resource>::new(), Vec::<Run>::new());
    for project in &projects {
        resources.extend(all::<Resource>(store, &kinds::RESOURCES_BY_PROJECT, project.id.as_str()).await);
    }
    for resource in &resources {
        runs.extend(all::<Run>(store, &kinds::RUNS_BY_RESOURCE, resource.id.as_str()).await);
    }
    let records = Everything { projects, requests, resources, runs };
    everything_ends(simulation, &records);
    money_and_names_fit(simulation, &records).await;
    every_thing_is_known(simulation, &records).await;
    nothing_is_made_twice(simulation, &records);
    what_is_applied_was_approved(simulation, &records);
    what_is_kept_is_there(simulation).await;
    what_was_applied_is_kept(simulation, &records).await;
    keys::rotations_end(simulation);
    keys::keys_that_were_left_work(simulation).await;
    the_audit_log_holds(simulation).await;
}

/// The key of a record that is to be kept for a day.
fn kept() -> Key {
    Key::new(Kind::Idempotency, "to-be-kept")
}

/// Writes a record that is to be kept for a day, longer than any course.
pub async fn keep_something(store: &MemoryStore) {
    let at = Timestamp::from_millis(BEGINNING);
    let mut batch = Batch::new(CommitId::from_digest(&[9; 32]), at);
    let expires_at = Some(at.plus(Duration::from_secs(86_400)));
    let pushed = batch.push(Op::Insert(Draft { key: kept(), schema: 1, body: "{}".into(), expires_at }));
    let committed = store.commit(&batch).await;
    assert!(pushed.is_ok() && matches!(committed, Ok(Outcome::Committed)), "{pushed:?} {committed:?}");
}

/// Nothing is deleted before its time, whatever a clock said.
async fn what_is_kept_is_there(simulation: &Simulation) {
    if !matches!(simulation.store.get_many(&[kept()]).await.as_deref(), Ok([Some(_)])) {
        simulation.notes.violation("a record was deleted that was to be kept".to_owned());
    }
}

/// Every module that a state or a run refers to is there, and its references are counted.
async fn what_was_applied_is_kept(simulation: &Simulation, records: &Everything) {
    let store: &dyn Store = &simulation.store;
    let mut referred: BTreeMap<String, i64> = BTreeMap::new();
    for module in records.runs.iter().filter_map(|run| run.kept.clone()) {
        *referred.entry(module).or_default() += 1;
    }
    for resource in &records.resources {
        let pointer = store.read::<StatePointer>(resource.id.as_str()).await.ok().flatten();
        let Some(pointer) = pointer else { continue };
        match pointer.made_with() {
            Some(made) => *referred.entry(made.module.clone()).or_default() += 1,
            None => simulation.notes.violation(format!("nobody knows what {} was made with", resource.id)),
        }
    }
    for (module, references) in referred {
        let id = KeptModule::id(&module);
        let counted = store.counter(&id).await.unwrap_or(i64::MIN);
        if counted != references {
            simulation.notes.violation(format!("{module} has {references} references, and {counted} are counted"));
        }
        if !matches!(store.read::<KeptModule>(&id).await, Ok(Some(_))) {
            simulation.notes.violation(format!("the module {module} is referred to, and not kept"));
        }
    }
}

fn everything_ends(simulation: &Simulation, records: &Everything) {
    for request in &records.requests {
        let waits_for_a_person = request.status == RequestStatus::Pending;
        if !waits_for_a_person && !request.status.is_over() {
            simulation.notes.violation(format!("{} is {} for ever", request.id, request.status.name()));
        }
    }
    for run in records.runs.iter().filter(|run| !run.status.is_over()) {
        simulation.notes.violation(format!("{} is {} for ever", run.id, run.status.name()));
    }
}

async fn money_and_names_fit(simulation: &Simulation, records: &Everything) {
    let store: &dyn Store = &simulation.store;
    for project in &records.projects {
        let held = records.resources.iter().map(|resource| resource.committed.micros()).sum::<i64>()
            + records.requests.iter().map(|request| request.reserved.micros()).sum::<i64>();
        let counted = store.counter(&Project::committed_counter(&project.id)).await.unwrap_or(i64::MIN);
        if counted != held {
            simulation.notes.violation(format!("the ledger shows {counted}, and {held} is held"));
        }
        let unapproved =
            records.resources.iter().filter_map(|resource| resource.unapproved).map(Usd::micros).sum::<i64>()
                + records.requests.iter().map(|request| request.unapproved.micros()).sum::<i64>();
        for counter in [Project::unapproved_counter(&project.id), Project::owner_counter(&project.owner)] {
            let counted = store.counter(&counter).await.unwrap_or(i64::MIN);
            if counted != unapproved {
                simulation.notes.violation(format!("{counter} shows {counted}, and nobody approved {unapproved}"));
            }
        }
        let alive = records.resources.iter().filter(|resource| resource.status != ResourceStatus::Destroyed).count();
        let counted = store.counter(&Project::resources_counter(&project.id)).await.unwrap_or(i64::MIN);
        if i64::try_from(alive) != Ok(counted) {
            simulation.notes.violation(format!("{counted} resources are counted, and {alive} are there"));
        }
    }
    for resource in &records.resources {
        let holder = store.holder(&resource.claim()).await.unwrap_or_default();
        let named = holder.as_deref() == Some(resource.id.as_str());
        if named == (resource.status == ResourceStatus::Destroyed) {
            simulation.notes.violation(format!("the name of {} is held wrongly", resource.id));
        }
        if resource.status == ResourceStatus::Destroyed && resource.committed != Usd::ZERO {
            simulation.notes.violation(format!("{} is destroyed and still costs something", resource.id));
        }
    }
}

/// Everything that was made is in the stored state, said to exist perhaps, or in a folder that nobody deletes.
async fn every_thing_is_known(simulation: &Arc<Simulation>, records: &Everything) {
    let mut states: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    let Some((_, app)) = simulation.hosts.iter().find_map(|host| simulation.server_of(host)) else {
        simulation.notes.violation("no host serves at the end".to_owned());
        return;
    };
    for resource in &records.resources {
        match asgard_lib::app::runs::current_state(&app, &resource.id).await {
            Ok(Some(bytes)) => {
                let state = State::read(&bytes).unwrap_or_default();
                states.insert(resource.id.as_str(), state.things.values().map(|thing| thing.id).collect());
            }
            Ok(None) => {}
            Err(error) => {
                simulation.notes.violation(format!("the state of {} cannot be read: {}", resource.id, error.chain()));
            }
        }
    }
    let folders: BTreeSet<u64> = simulation
        .hosts
        .iter()
        .flat_map(|host| host.folders())
        .flat_map(|(_, folder)| folder.state.things.into_values().map(|thing| thing.id).collect::<Vec<_>>())
        .collect();
    for (id, thing) in simulation.cloud.existing() {
        let stored = states.get(thing.resource.as_str()).is_some_and(|things| things.contains(&id));
        let told = records
            .runs
            .iter()
            .any(|run| run.resource.as_str() == thing.resource && run.may_exist.contains(&thing.address));
        if !stored && !told && !folders.contains(&id) {
            let Some(run) = records.runs.iter().find(|run| run.id.as_str() == thing.run) else { continue };
            let what = format!("{} of {} exists, and nobody knows", thing.address, thing.resource);
            simulation.notes.violation(format!("{what}; {} made it and is {}", run.id, run.status.name()));
        }
    }
}

/// A service that says it is unsafe to retry never has a thing twice, unless somebody was told to look.
fn nothing_is_made_twice(simulation: &Simulation, records: &Everything) {
    let mut made: BTreeMap<(String, String), usize> = BTreeMap::new();
    for (_, thing) in simulation.cloud.existing() {
        *made.entry((thing.resource, thing.address)).or_default() += 1;
    }
    for ((id, address), times) in made.into_iter().filter(|(_, times)| *times > 1) {
        let Some(resource) = records.resources.iter().find(|resource| resource.id.as_str() == id) else { continue };
        let told = records.runs.iter().any(|run| run.resource == resource.id && run.may_exist.contains(&address));
        if resource.service.as_str() == "fragile" && !told {
            simulation.notes.violation(format!("{address} of {id} was made {times} times"));
        }
    }
}

/// Every applied plan was itself approved, or shares the basis of one that was.
fn what_is_applied_was_approved(simulation: &Simulation, records: &Everything) {
    for applied in simulation.notes.all_applied() {
        let request =
            applied.request.as_deref().and_then(|id| records.requests.iter().find(|request| request.id.as_str() == id));
        let Some(request) = request.filter(|request| request.service.as_str() == "asked") else { continue };
        if !simulation.notes.was_approved(request.id.as_str(), &applied.basis) {
            simulation
                .notes
                .violation(format!("{} applied a plan of {} that nobody approved", applied.run, request.id));
        }
    }
}

async fn the_audit_log_holds(simulation: &Arc<Simulation>) {
    let dice = Dice::of(simulation.seed, "auditor");
    match people::call::<VerifyAudit>(simulation, &dice, Person::Admin, json!({})).await {
        Some(Ok(report)) => {
            for broken in &report.breaks {
                simulation.notes.violation(format!("the audit log is broken: {broken:?}"));
            }
            if report.unsealed > 0 || report.events == 0 {
                simulation
                    .notes
                    .violation(format!("{} events are sealed and {} are not", report.events, report.unsealed));
            }
        }
        Some(Err(error)) => simulation.notes.violation(format!("the audit log cannot be verified: {}", error.chain())),
        None => simulation.notes.violation("nobody verifies the audit log".to_owned()),
    }
}
