//! What a change may have created without the state knowing: creations that began and did not end, or that ended and are not
//! in the state. Terraform says that something is complete a moment before it writes the state. That an address is in a state is
//! no evidence where the state that the change began with has it, too: it may be the thing that was to be replaced.

use super::{LogLine, PlannedChange};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What is being done to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeAction {
    /// It is created.
    Create,
    /// It is changed in place.
    Update,
    /// It is destroyed and created.
    Replace,
    /// It is destroyed.
    Delete,
    /// It is read.
    Read,
    /// Something that Asgard does not know.
    Other,
}

impl ChangeAction {
    /// By Terraform's word for it.
    pub fn of(word: &str) -> Self {
        match word {
            "create" => Self::Create,
            "update" => Self::Update,
            "replace" => Self::Replace,
            "delete" => Self::Delete,
            "read" => Self::Read,
            _ => Self::Other,
        }
    }

    /// Whether something comes to be. What is changed or destroyed is in the state already.
    pub const fn creates(self) -> bool {
        match self {
            Self::Create | Self::Replace => true,
            Self::Update | Self::Delete | Self::Read | Self::Other => false,
        }
    }
}

/// How far a change of an address has come, as a line of the log says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It began.
    Began,
    /// It worked.
    Complete,
    /// It did not work.
    Errored,
}

impl LogLine {
    /// The kind of a supervisor's last line. The run's newest state was stored before it, and so was every line: what the log
    /// does not tell by then did not happen.
    pub const ENDED: &str = "ended";
    /// The kind of a line that stands for lines which were left out: what is missing from such a log is unknown.
    pub const LEFT_OUT: &str = "left_out";

    /// Whether recovery decides by the line, so that it is kept when others are left out.
    pub fn is_evidence(&self) -> bool {
        self.step().is_some() || self.kind == Self::ENDED || self.kind == Self::LEFT_OUT
    }

    /// The step that the line tells, and of which address.
    pub fn step(&self) -> Option<(Step, &str)> {
        let address = self.address.as_deref()?;
        match self.kind.as_str() {
            "apply_start" => Some((Step::Began, address)),
            "apply_complete" => Some((Step::Complete, address)),
            "apply_errored" => Some((Step::Errored, address)),
            _ => None,
        }
    }
}

/// The creations of a change.
#[derive(Debug, Default)]
pub struct CreationTracker {
    creations: BTreeMap<String, Creation>,
    ended: bool,
    left_out: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Creation {
    Began,
    Complete,
}

impl CreationTracker {
    /// Takes note of a step.
    pub fn step(&mut self, step: Step, address: &str, doing: ChangeAction) {
        match step {
            Step::Began if doing.creates() => drop(self.creations.insert(address.to_owned(), Creation::Began)),
            Step::Complete if doing.creates() => drop(self.creations.insert(address.to_owned(), Creation::Complete)),
            Step::Began | Step::Complete => {}
            // What is half made is in the state as tainted.
            Step::Errored => drop(self.creations.remove(address)),
        }
    }

    /// Takes note of a line of the log. One that does not say what is being done may tell of a creation.
    pub fn follow(&mut self, line: &LogLine) {
        self.ended |= line.kind == LogLine::ENDED;
        self.left_out |= line.kind == LogLine::LEFT_OUT;
        if let Some((step, address)) = line.step() {
            self.step(step, address, line.action.unwrap_or(ChangeAction::Create));
        }
    }

    /// Whether the log that was followed tells everything: it comes to the run's end, and nothing was left out of it.
    pub const fn is_whole(&self) -> bool {
        self.ended && !self.left_out
    }

    /// What may exist without being among the addresses that the change is known to have recorded.
    pub fn may_exist<'a>(&'a self, recorded: &'a BTreeSet<String>) -> impl Iterator<Item = &'a str> {
        let lost = |(address, creation): &(&String, &Creation)| match creation {
            Creation::Began => true,
            Creation::Complete => !recorded.contains(*address),
        };
        self.creations.iter().filter(lost).map(|(address, _)| address.as_str())
    }
}

/// The most addresses that people are shown at once, and that a record holds.
pub const MAX_ADDRESSES: usize = 200;

/// Addresses as they are kept: all of them, or as many as fit and how many more there are.
pub fn listed(addresses: impl IntoIterator<Item = impl Into<String>>) -> Vec<String> {
    let mut all: Vec<String> = addresses.into_iter().map(Into::into).collect();
    if all.len() > MAX_ADDRESSES {
        let more = all.len() - (MAX_ADDRESSES - 1);
        all.truncate(MAX_ADDRESSES - 1);
        all.push(format!("{more} more, which are not listed"));
    }
    all
}

#[derive(Deserialize)]
struct Contents {
    #[serde(default)]
    resources: Vec<Managed>,
}

#[derive(Deserialize)]
struct Managed {
    #[serde(default)]
    module: Option<String>,
    mode: String,
    r#type: String,
    name: String,
    #[serde(default)]
    instances: Vec<Instance>,
}

#[derive(Deserialize)]
struct Instance {
    #[serde(default)]
    index_key: Option<Index>,
    #[serde(default)]
    deposed: Option<String>,
    #[serde(default)]
    attributes: Option<Attributes>,
}

#[derive(Deserialize)]
struct Attributes {
    #[serde(default)]
    id: serde_json::Value,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Index {
    Number(serde_json::Number),
    Text(String),
}

/// The things in a Terraform state: their addresses, as Terraform's messages write them, and the ids that providers gave them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Inventory(BTreeMap<String, Option<String>>);

impl Inventory {
    /// The things in a state; none when it cannot be read.
    pub fn of(state: &[u8]) -> Self {
        let contents: Contents = serde_json::from_slice(state).unwrap_or(Contents { resources: Vec::new() });
        let mut all = BTreeMap::new();
        for resource in contents.resources.iter().filter(|resource| resource.mode == "managed") {
            let module = resource.module.as_deref().map_or_else(String::new, |module| format!("{module}."));
            for instance in resource.instances.iter().filter(|instance| instance.deposed.is_none()) {
                let key = match &instance.index_key {
                    None => String::new(),
                    Some(Index::Number(number)) => format!("[{number}]"),
                    // Quotes and backslashes are written as JSON writes them.
                    Some(Index::Text(text)) => format!("[{}]", serde_json::Value::from(text.as_str())),
                };
                let id = instance.attributes.as_ref().map(|attributes| &attributes.id).filter(|id| !id.is_null());
                all.insert(format!("{module}{}.{}{key}", resource.r#type, resource.name), id.map(ToString::to_string));
            }
        }
        Self(all)
    }

    /// The addresses.
    pub fn addresses(&self) -> BTreeSet<String> {
        self.0.keys().cloned().collect()
    }

    /// The addresses of what a change has recorded that began with `before`: what was not there, and what has another id now. Of
    /// what is nothing but a value, none is ever lost.
    pub fn recorded_since(&self, before: &Self) -> BTreeSet<String> {
        let is_new = |(address, id): &(&String, &Option<String>)| match before.0.get(*address) {
            None => true,
            Some(earlier) => (id.is_some() && earlier.is_some() && earlier != *id) || is_only_a_value(address),
        };
        self.0.iter().filter(is_new).map(|(address, _)| address.clone()).collect()
    }
}

/// Whether an address is that of a thing that is nothing but a value.
fn is_only_a_value(address: &str) -> bool {
    PlannedChange::is_value(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::Timestamp;
    use serde_json::json;

    fn line(kind: &str, address: &str, action: Option<ChangeAction>) -> LogLine {
        LogLine {
            at: Timestamp::from_millis(0),
            level: "info".into(),
            kind: kind.into(),
            address: Some(address.into()),
            action,
            message: String::new(),
        }
    }

    #[test]
    fn only_what_may_be_lost_is_listed() {
        use ChangeAction::{Create, Delete, Read, Update};
        let mut creations = CreationTracker::default();
        for (kind, address, action) in [
            ("apply_start", "a.done", Some(Create)),
            ("apply_complete", "a.done", Some(Create)),
            ("apply_start", "a.unwritten", Some(Create)),
            ("apply_complete", "a.unwritten", Some(Create)),
            ("apply_start", "a.failed", Some(Create)),
            ("apply_errored", "a.failed", Some(Create)),
            ("apply_start", "a.open", Some(Create)),
            ("apply_progress", "a.open", Some(Create)),
            ("apply_start", "a.replaced", Some(Delete)),
            ("apply_complete", "a.replaced", Some(Delete)),
            ("apply_start", "a.replaced", Some(Create)),
            ("apply_start", "a.updated", Some(Update)),
            ("apply_start", "a.deleted", Some(Delete)),
            ("apply_start", "a.read", Some(Read)),
            ("apply_start", "a.untold", None),
        ] {
            creations.follow(&line(kind, address, action));
        }
        let stored = ["a.done", "a.replaced", "a.updated", "a.deleted"].map(str::to_owned).into();
        let found: Vec<_> = creations.may_exist(&stored).collect();
        assert_eq!(found, ["a.open", "a.replaced", "a.untold", "a.unwritten"]);
    }

    #[test]
    fn addresses_are_written_as_terraform_writes_them() {
        let state = json!({"version": 4, "serial": 1, "lineage": "l", "resources": [
            {"mode": "managed", "type": "a", "name": "one", "instances": [{"index_key": null}]},
            {"mode": "managed", "type": "a", "name": "many", "instances": [{"index_key": 0}, {"index_key": "x\"y"}, {"deposed": "1"}]},
            {"mode": "managed", "module": "module.m[\"k\"]", "type": "b", "name": "in", "instances": [{"attributes": {"v": ["x"]}}]},
            {"mode": "data", "type": "d", "name": "read", "instances": [{}]},
        ]});
        let all = Inventory::of(state.to_string().as_bytes()).addresses();
        let expected = ["a.many[\"x\\\"y\"]", "a.many[0]", "a.one", "module.m[\"k\"].b.in"];
        assert_eq!(all.iter().map(String::as_str).collect::<Vec<_>>(), expected);
        assert!(Inventory::of(b"{\"resources\": [").addresses().is_empty());
    }

    #[test]
    fn the_thing_that_was_to_be_replaced_is_no_evidence_of_the_one_that_was_made() {
        let state = |things: &[(&str, serde_json::Value)]| {
            let resource = |(kind, attributes): &(&str, serde_json::Value)| json!({"mode": "managed", "type": kind, "name": "x", "instances": [{"attributes": attributes}]});
            let resources: Vec<_> = things.iter().map(resource).collect();
            Inventory::of(json!({"version": 4, "resources": resources}).to_string().as_bytes())
        };
        let before = state(&[
            ("same", json!({"id": "1", "tag": "a"})),
            ("remade", json!({"id": "1"})),
            ("numbered", json!({"id": 1})),
            ("nameless", json!({"tag": "a"})),
            ("random_password", json!({"id": "none"})),
        ]);
        let now = state(&[
            ("same", json!({"id": "1", "tag": "refreshed"})),
            ("remade", json!({"id": "2"})),
            ("numbered", json!({"id": 2})),
            ("nameless", json!({"tag": "b"})),
            ("random_password", json!({"id": "none"})),
            ("new", json!({})),
        ]);
        let recorded = now.recorded_since(&before);
        assert_eq!(
            recorded.iter().map(String::as_str).collect::<Vec<_>>(),
            ["new.x", "numbered.x", "random_password.x", "remade.x"]
        );
        let kept: Inventory = serde_json::from_value(serde_json::to_value(&before).unwrap()).unwrap();
        assert_eq!(kept, before);
    }

    #[test]
    fn what_is_not_listed_is_counted() {
        let named = |count: usize| (0..count).map(|n| format!("a.b[{n}]")).collect::<Vec<_>>();
        assert_eq!(listed(named(MAX_ADDRESSES)), named(MAX_ADDRESSES));
        let cut = listed(named(260));
        assert_eq!((cut.len(), cut.last().unwrap().as_str()), (MAX_ADDRESSES, "61 more, which are not listed"));
        assert_eq!(listed(cut.clone()), cut, "cutting again cuts nothing");
    }
}
