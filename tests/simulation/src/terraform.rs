//! The stand-in for Terraform: it plans from a state, and applies a plan thing by thing, writing its state after each, in a
//! process of its own. Between a thing that is made and the state that says so there is time, as there is in the real one.

use crate::{
    cloud::Cloud,
    dice::Dice,
    host::{Folder, Host, Recorded, State},
};
use asgard_lib::domain::run::{Change, ChangeAction, LogLine, PlanSummary, PlannedChange};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, sync::Arc};

/// A plan, as the stand-in stores it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// The serial of the state that it starts from.
    pub serial: u64,
    /// That state's lineage.
    pub lineage: String,
    /// What happens to which address, in order.
    pub steps: Vec<(String, Change)>,
    /// The label that things get.
    pub label: String,
    /// What an approval of this plan is bound to besides the state's serial.
    pub basis: String,
}

impl State {
    /// The state as Terraform writes it.
    pub fn bytes(&self) -> Vec<u8> {
        let instance = |(address, thing): (&String, &Recorded)| {
            let key = number(address);
            json!({"index_key": key, "attributes": {"id": thing.id, "label": thing.label}})
        };
        let instances: Vec<Value> = self.things.iter().map(instance).collect();
        let resources = json!([{"mode": "managed", "type": "thing", "name": "item", "instances": instances}]);
        json!({"version": 4, "serial": self.serial, "lineage": self.lineage, "resources": resources}).to_string().into()
    }

    /// The state in those bytes.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(bytes).ok()?;
        let mut things = BTreeMap::new();
        for instance in value.pointer("/resources/0/instances")?.as_array()? {
            let id = instance.pointer("/attributes/id")?.as_u64()?;
            let label = instance.pointer("/attributes/label")?.as_str()?.to_owned();
            things.insert(address(instance.get("index_key")?.as_u64()?), Recorded { id, label });
        }
        let lineage = value.get("lineage")?.as_str()?.to_owned();
        Some(Self { lineage, serial: value.get("serial")?.as_u64()?, things })
    }
}

fn address(number: u64) -> String {
    format!("thing.item[{number}]")
}

/// The number in an address that [`address`] made.
fn number(address: &str) -> u64 {
    address.trim_start_matches("thing.item[").trim_end_matches(']').parse().unwrap_or(0)
}

/// What an approval of a plan is bound to besides the state's serial.
pub fn basis(variables: &Map<String, Value>, all_goes: bool, module: &str) -> String {
    format!("{module}|{}|{all_goes}", Value::Object(variables.clone()))
}

/// Plans from the present state to what the variables want; to nothing, when all is to go.
pub fn plan(state: &State, variables: &Map<String, Value>, all_goes: bool, module: &str) -> (PlanSummary, Plan) {
    let wanted = if all_goes { 0 } else { variables.get("things").and_then(Value::as_u64).unwrap_or(0) };
    let label = variables.get("label").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut steps = Vec::new();
    for (address, thing) in &state.things {
        if number(address) >= wanted {
            steps.push((address.clone(), Change::Delete));
        } else if thing.label != label {
            // Every other thing cannot change its label in place.
            let change = if number(address).is_multiple_of(2) { Change::Update } else { Change::Replace };
            steps.push((address.clone(), change));
        }
    }
    let missing = (0..wanted).map(address).filter(|address| !state.things.contains_key(address));
    steps.extend(missing.map(|address| (address, Change::Create)));
    let count = |change: Change| u32::try_from(steps.iter().filter(|(_, step)| *step == change).count()).unwrap_or(0);
    let basis = basis(variables, all_goes, module);
    let summary = PlanSummary {
        create: count(Change::Create),
        update: count(Change::Update),
        replace: count(Change::Replace),
        delete: count(Change::Delete),
        outputs_changed: false,
        changes: steps
            .iter()
            .map(|(address, change)| PlannedChange { address: address.clone(), change: *change })
            .collect(),
        providers: Vec::new(),
        digest: format!("{basis}|{}|{}", state.lineage, state.serial),
    };
    let plan = Plan { serial: state.serial, lineage: state.lineage.clone(), steps, label, basis };
    (summary, plan)
}

/// Terraform while it applies.
pub struct Apply {
    /// The host that it works on.
    pub host: Arc<Host>,
    /// The cloud.
    pub cloud: Arc<Cloud>,
    /// Its chance.
    pub dice: Dice,
    /// The run.
    pub run: String,
    /// The resource.
    pub resource: String,
    /// The plan.
    pub plan: Plan,
}

impl Apply {
    fn line(&self, kind: &str, address: &str, change: Change) {
        let action = match change {
            Change::Create => ChangeAction::Create,
            Change::Update => ChangeAction::Update,
            Change::Replace => ChangeAction::Replace,
            Change::Delete => ChangeAction::Delete,
        };
        let line = LogLine {
            at: self.host.now(),
            level: "info".into(),
            kind: kind.into(),
            address: Some(address.into()),
            action: Some(action),
            message: format!("{address}: {kind}"),
        };
        self.host.folder(&self.run, |folder| folder.log.push(line));
    }

    fn write(&self, change: impl FnOnce(&mut State)) {
        self.host.folder(&self.run, |folder: &mut Folder| {
            if folder.state.lineage.is_empty() {
                folder.state.lineage = format!("lineage-of-{}", self.run);
            }
            change(&mut folder.state);
            folder.state.serial += 1;
            folder.written = true;
        });
    }

    /// Carries the plan out, and says in the folder how it ended.
    pub async fn carry_out(self) {
        for (address, change) in &self.plan.steps {
            // What is replaced is destroyed and created, and each is told of by itself.
            let parts: &[Change] = match change {
                Change::Replace => &[Change::Delete, Change::Create],
                Change::Create | Change::Update | Change::Delete => std::slice::from_ref(change),
            };
            for part in parts {
                if let Err(why) = self.step(address, *part, parts.len() == 1 || self.dice.percent(70)).await {
                    self.host.folder(&self.run, |folder| folder.ended = Some(Err(why)));
                    return;
                }
            }
        }
        self.write(|_| {});
        self.host.folder(&self.run, |folder| folder.ended = Some(Ok(())));
    }

    /// One thing. Terraform may be slow to write that the old one of two is gone.
    async fn step(&self, address: &str, change: Change, writes: bool) -> Result<(), String> {
        self.line("apply_start", address, change);
        tokio::time::sleep(self.dice.millis(200, 9_000)).await;
        if Cloud::fails(&self.dice) {
            self.line("apply_errored", address, change);
            return Err(format!("the cloud refused {address}"));
        }
        let known = self.host.folder(&self.run, |folder| folder.state.things.get(address).cloned()).flatten();
        let made = match change {
            Change::Create | Change::Replace => Some(self.cloud.create(&self.resource, address, &self.run)),
            Change::Update => known.map(|thing| thing.id),
            Change::Delete => {
                known.iter().for_each(|thing| self.cloud.destroy(thing.id));
                None
            }
        };
        tokio::time::sleep(self.dice.millis(0, 40)).await;
        self.line("apply_complete", address, change);
        tokio::time::sleep(self.dice.millis(0, 40)).await;
        let label = self.plan.label.clone();
        match made {
            Some(id) => self.write(|state| drop(state.things.insert(address.to_owned(), Recorded { id, label }))),
            None if writes || change == Change::Create => self.write(|state| drop(state.things.remove(address))),
            None => {}
        }
        Ok(())
    }
}
