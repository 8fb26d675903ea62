//! Keys: the data keys, which somebody rotates while clocks are wrong, and a project's key that nobody answers for.

use crate::{
    dice::Dice,
    host::{BEGINNING, Host},
    simulation::Simulation,
};
use asgard_lib::{
    Result,
    adapters::{Rotation, SealedVault, Step, Witness},
    app::{
        Asgard,
        periodic::{Next, Periodic, PeriodicTask},
    },
    backends::MemoryStore,
    domain::credential::ProjectKey,
    kernel::{CommitId, KeyId, ProjectId, Timestamp},
    ports::{
        kinds::Kind,
        records::{Entity, Records},
        store::{Batch, Draft, Key, Op, Outcome, Store},
    },
};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// How long a key drains before it may be retired.
const SETTLE: Duration = Duration::from_secs(300);
/// How often the keys are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// How long a rotation takes at most once nothing goes wrong any more.
const ROTATES: Duration = Duration::from_secs(9 * 60);

/// Takes the steps of a rotation, as a server does.
pub struct RotateKeys {
    simulation: Arc<Simulation>,
    rotation: Rotation,
}

impl RotateKeys {
    /// For the keys of this vault.
    pub fn new(simulation: &Arc<Simulation>, vault: &Arc<SealedVault>) -> Self {
        Self { simulation: Arc::clone(simulation), rotation: Rotation::new(Arc::clone(vault)) }
    }
}

#[async_trait]
impl PeriodicTask for RotateKeys {
    fn declared(&self) -> Periodic {
        Periodic::every("rotate-keys", Duration::from_secs(20))
    }

    async fn wanted(&self, _: &Arc<Asgard>) -> Result<bool> {
        self.rotation.watch();
        Ok(self.simulation.data_keys.lock().values().any(|(state, _)| rotates(state)))
    }

    async fn run(&self, app: &Arc<Asgard>) -> Result<Next> {
        Ok(match self.rotation.step(app.world().now(), Witness::Process).await? {
            Step::Idle | Step::Waiting(_) => Next::Rest,
            Step::Activated(_) | Step::Swept { .. } | Step::Retired(_) | Step::Raced => Next::Again,
        })
    }
}

fn rotates(state: &str) -> bool {
    matches!(state, "readable" | "draining")
}

/// The text of a field; empty where there is none.
fn word<'v>(value: &'v Value, field: &str) -> &'v str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// Somebody asks for a rotation at a host.
pub fn rotate(simulation: &Simulation, host: &Arc<Host>) {
    let Some((pid, vault)) = simulation.vault_of(host) else { return };
    host.run(pid, async move {
        // One that is under way goes on; a store that cannot be reached is asked the next time.
        let _ = vault.keyring().rotate().await;
    });
}

/// What was seen of the data keys, by the true time.
#[derive(Debug, Default)]
pub struct Seen(Mutex<BTreeMap<String, (String, Instant)>>);

impl Seen {
    /// How many were retired.
    pub fn retired(&self) -> usize {
        self.lock().values().filter(|(state, _)| state == "retired").count()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, (String, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn body(store: &MemoryStore, key: Key) -> Option<Value> {
    let found = store.get_many(&[key]).await.ok()?.pop()??;
    serde_json::from_str(&found.body).ok()
}

/// Watches the data keys without an end: none is retired before it has drained for as long as it takes, whatever a clock says.
pub async fn watch(simulation: Arc<Simulation>) {
    loop {
        sleep(LOOK).await;
        let Some(head) = body(&simulation.store, Key::new(Kind::Meta, "keyring")).await else { continue };
        for id in head.get("keys").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            let Some(key) = body(&simulation.store, Key::new(Kind::DataKey, id)).await else { continue };
            let state = word(&key, "state").to_owned();
            let before = simulation.data_keys.lock().get(id).cloned();
            if before.as_ref().is_some_and(|(before, _)| *before == state) {
                continue;
            }
            simulation.notes.event(&format!("data key {state}"));
            let drained = before.filter(|(before, _)| before == "draining").map(|(_, since)| since.elapsed());
            if state == "retired" && drained.is_none_or(|drained| drained + LOOK < SETTLE) {
                simulation.notes.violation(format!("{id} was retired after draining for {drained:?}"));
            }
            simulation.data_keys.lock().insert(id.to_owned(), (state, Instant::now()));
        }
    }
}

/// Once everything works, a rotation ends.
pub fn rotations_end(simulation: &Simulation) {
    for (id, (state, since)) in simulation.data_keys.lock().iter() {
        if rotates(state) && since.elapsed() > ROTATES {
            simulation.notes.violation(format!("{id} is {state} since {:?}", since.elapsed()));
        }
    }
}

/// Two keys that nobody answers for: that was found when everything began, or nobody has found it yet.
fn left() -> [(KeyId, Option<Timestamp>); 2] {
    [(KeyId::from_digest(&[7; 32]), None), (KeyId::from_digest(&[8; 32]), Some(Timestamp::from_millis(BEGINNING)))]
}

/// Writes keys of the project that were minted by somebody who may not any more.
pub async fn leave_keys(simulation: &Simulation, project: &ProjectId) {
    let at = Timestamp::from_millis(BEGINNING);
    let mut batch = Batch::new(CommitId::from_digest(&[8; 32]), at);
    for (id, since) in left() {
        let mut body = json!({
            "id": id, "project": project, "name": "left", "hash": "", "suffix": "", "minted_by": "gone@corp.example", "created_at": at,
        });
        if let (Some(since), Some(fields)) = (since, body.as_object_mut()) {
            fields.insert("flag".to_owned(), json!({"why": "unattended", "since": since}));
            fields.insert("inbox".to_owned(), json!("flagged"));
        }
        let (key, schema) = (Key::new(ProjectKey::KIND, id.as_str()), <ProjectKey as Entity>::SCHEMA);
        let pushed = batch.push(Op::Insert(Draft { key, schema, body: body.to_string(), expires_at: None }));
        assert!(pushed.is_ok(), "{pushed:?}");
    }
    let committed = simulation.store.commit(&batch).await;
    assert!(matches!(committed, Ok(Outcome::Committed)), "{committed:?}");
}

/// Nobody has ended them, for thirty days have not passed, and since when they are flagged is something like the time.
pub async fn keys_that_were_left_work(simulation: &Simulation) {
    let (store, now): (&dyn Store, _) = (&simulation.store, simulation.now());
    for (id, found) in left() {
        let Ok(Some(key)) = store.read::<ProjectKey>(id.as_str()).await else {
            simulation.notes.violation(format!("{id} cannot be read"));
            continue;
        };
        let flag = json!(key.flag);
        let since: Option<Timestamp> = word(&flag, "since").parse().ok();
        let hours = Duration::from_secs(2 * 3600);
        let right = match since {
            Some(since) => since <= now.plus(hours) && since.plus(hours) >= now,
            None => found.is_none() && key.flag.is_none(),
        };
        if key.revoked_at.is_some() || !right {
            let what = format!("at {now} {id}, for which nobody answers, is flagged {flag}");
            simulation.notes.violation(format!("{what} and was ended at {:?}", key.revoked_at));
        }
    }
}

/// When rotations are asked for: a few times in a course.
pub async fn ask_for_rotations(simulation: Arc<Simulation>) {
    let dice = Dice::of(simulation.seed, "rotations");
    let end = Instant::now() + Duration::from_secs(60 * simulation.course.minutes);
    while Instant::now() < end {
        sleep(dice.millis(10_000, 300_000)).await;
        if Instant::now() < end
            && let Some(host) = dice.pick(&simulation.hosts)
        {
            rotate(&simulation, host);
        }
    }
}
