//! Services: what can be asked for, as typed manifests.

use crate::{
    error::{Code, Error, Result},
    kernel::{DisplayName, Slug, Usd},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The only connector there is.
pub const TERRAFORM: &str = "terraform";

/// A service's manifest, `modules/**/service.yaml`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Its id.
    pub id: Slug,
    /// Its name for people.
    pub title: DisplayName,
    /// What it gives.
    pub description: String,
    /// The cloud it creates things in; `local` creates nothing outside Asgard.
    pub cloud: Slug,
    /// What carries it out.
    pub connector: String,
    /// The folder of its Terraform files, relative to the manifest.
    #[serde(default = "here")]
    pub module: String,
    /// Who approves.
    pub approval: Approval,
    /// Whether an interrupted apply may simply be run again.
    #[serde(default)]
    pub retry: Retry,
    /// How long a run may take, in seconds.
    #[serde(default = "an_hour")]
    pub timeout_secs: u64,
    /// How long Terraform gets to stop after the first interrupt, in seconds.
    #[serde(default = "half_a_minute")]
    pub grace_secs: u64,
    /// What it costs.
    pub cost: Cost,
    /// JSON Schema of its inputs.
    pub inputs: Value,
    /// Inputs whose values become secret references before the first commit.
    #[serde(default)]
    pub sensitive_inputs: Vec<String>,
    /// What it gives back.
    pub outputs: BTreeMap<String, Output>,
}

fn here() -> String {
    ".".into()
}

const fn an_hour() -> u64 {
    3600
}

const fn half_a_minute() -> u64 {
    30
}

/// Who approves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// Policy, within its limits.
    Auto,
    /// A person, always.
    Human,
    /// A person, when an input has one of some values.
    ByInput(ByInput),
}

/// Who approves, without the input that decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalKind {
    /// Policy, within its limits.
    Auto,
    /// A person, always.
    Human,
    /// A person, when an input has one of some values.
    ByInput,
}

impl Approval {
    /// Who approves, without the input that decides it.
    pub const fn kind(&self) -> ApprovalKind {
        match self {
            Self::Auto => ApprovalKind::Auto,
            Self::Human => ApprovalKind::Human,
            Self::ByInput(_) => ApprovalKind::ByInput,
        }
    }
}

/// When an input asks for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ByInput {
    /// The input.
    pub input: String,
    /// The values that ask for a person.
    pub human: Vec<Value>,
}

/// Whether an interrupted apply may simply be run again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retry {
    /// Running it again ends in the same place.
    Safe,
    /// Somebody has to look first when something may exist that is not in the state.
    #[default]
    Unsafe,
}

/// What a service costs a month.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// A fixed price in dollars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monthly_usd: Option<f64>,
    /// The input that names the price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monthly_usd_from_input: Option<String>,
}

/// One output.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// What it is.
    pub description: String,
    /// Whether it is a secret: stored apart, shown nowhere.
    #[serde(default)]
    pub secret: bool,
    /// Whether the module may leave it out, or give null, for some inputs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub optional: bool,
    /// What it looks like; the dry run gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub example: Option<Value>,
}

impl Manifest {
    /// The most secret outputs: each takes two items of the commit that ends a run.
    pub const MAX_SECRET_OUTPUTS: usize = 30;

    /// Whether a person has to approve a spec whatever it costs.
    pub fn asks_human(&self, spec: &Map<String, Value>) -> bool {
        match &self.approval {
            Approval::Auto => false,
            Approval::Human => true,
            Approval::ByInput(rule) => self.input(spec, &rule.input).is_some_and(|value| rule.human.contains(value)),
        }
    }

    /// The outputs that must be there and are not among those that have a value.
    pub fn missing_outputs(&self, given: impl Fn(&str) -> bool) -> Vec<&str> {
        let required = self.outputs.iter().filter(|(_, output)| !output.optional);
        required.map(|(name, _)| name.as_str()).filter(|name| !given(name)).collect()
    }

    /// What a spec costs a month.
    pub fn monthly(&self, spec: &Map<String, Value>) -> Result<Usd> {
        let dollars = match (&self.cost.monthly_usd_from_input, self.cost.monthly_usd) {
            (Some(input), _) => self.input(spec, input).and_then(Value::as_f64).unwrap_or(0.0),
            (None, fixed) => fixed.unwrap_or(0.0),
        };
        let field = self.cost.monthly_usd_from_input.as_deref().unwrap_or("cost");
        Usd::from_number(dollars).ok_or_else(|| {
            Error::new(Code::InvalidSpec, "Expected dollars from 0 to 1000000000 with at most six decimals.")
                .at(format!("spec.{field}"))
        })
    }

    /// An input's value, or its default from the schema.
    fn input<'a>(&'a self, spec: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
        spec.get(name).or_else(|| self.inputs.get("properties")?.get(name)?.get("default"))
    }

    /// The names of the inputs, for messages.
    pub fn input_names(&self) -> Vec<&str> {
        self.inputs
            .get("properties")
            .and_then(Value::as_object)
            .map(|p| p.keys().map(String::as_str).collect())
            .unwrap_or_default()
    }

    /// The outputs that are secrets.
    pub fn secret_outputs(&self) -> impl Iterator<Item = &str> {
        self.outputs.iter().filter(|(_, output)| output.secret).map(|(name, _)| name.as_str())
    }

    /// Checks what the shape of a manifest cannot say.
    pub fn check(&self) -> Result<()> {
        let bad = |field: &'static str, message: String| Err(Error::invalid(field, message));
        if self.connector != TERRAFORM {
            return bad("connector", format!("There is no connector `{}`; allowed: {TERRAFORM}.", self.connector));
        }
        let relative = std::path::Path::new(&self.module);
        if relative
            .components()
            .any(|part| !matches!(part, std::path::Component::CurDir | std::path::Component::Normal(_)))
        {
            return bad("module", "Expected a folder inside the service's own folder.".into());
        }
        if self.inputs.get("type").and_then(Value::as_str) != Some("object") {
            return bad("inputs", "Expected a JSON Schema with `type: object`.".into());
        }
        let known = self.input_names();
        let named = [self.cost.monthly_usd_from_input.as_deref()]
            .into_iter()
            .flatten()
            .chain(self.sensitive_inputs.iter().map(String::as_str));
        let by_input = match &self.approval {
            Approval::ByInput(rule) => Some(rule.input.as_str()),
            Approval::Auto | Approval::Human => None,
        };
        if let Some(unknown) = named.chain(by_input).find(|name| !known.contains(name)) {
            return bad(
                "inputs",
                format!("`{unknown}` is named by the manifest but is not one of its inputs ({}).", known.join(", ")),
            );
        }
        if let Some(reserved) = known.iter().find(|name| ["name", "project_id", "rotation"].contains(name)) {
            return bad("inputs", format!("`{reserved}` is given by Asgard and cannot be an input."));
        }
        if self.cost.monthly_usd.is_some() && self.cost.monthly_usd_from_input.is_some() {
            return bad("cost", "Give monthly_usd or monthly_usd_from_input, not both.".into());
        }
        if self.cost.monthly_usd.is_some_and(|dollars| Usd::from_number(dollars).is_none()) {
            return bad("cost", "Expected dollars from 0 to 1000000000 with at most six decimals.".into());
        }
        let secret = self.secret_outputs().count();
        if secret > Self::MAX_SECRET_OUTPUTS {
            let message =
                format!("{secret} secret outputs are declared; at most {} are kept.", Self::MAX_SECRET_OUTPUTS);
            return bad("outputs", message);
        }
        if let Some(shared) = self.secret_outputs().find(|name| self.sensitive_inputs.iter().any(|input| input == name))
        {
            let message = format!(
                "The secret output `{shared}` has the name of a sensitive input, and both name a secret. Rename one."
            );
            return bad("outputs", message);
        }
        if !(10..=86_400).contains(&self.timeout_secs) || !(1..=7_200).contains(&self.grace_secs) {
            return bad("timeout_secs", "timeout_secs is 10 to 86400, grace_secs 1 to 7200.".into());
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    pub(crate) fn manifest(cloud: &str, approval: &str) -> Manifest {
        serde_json::from_value(json!({
            "id": "thing", "title": "Thing", "description": "A thing.", "cloud": cloud, "connector": "terraform", "approval": approval,
            "cost": {"monthly_usd_from_input": "monthly_usd"},
            "inputs": {"type": "object", "properties": {"monthly_usd": {"type": "number", "default": 2}, "size": {"enum": ["s", "l"], "default": "s"}}},
            "outputs": {"id": {"description": "id"}, "token": {"description": "token", "secret": true}}
        }))
        .unwrap()
    }

    #[test]
    fn a_manifest_is_checked_beyond_its_shape() {
        let good = manifest("local", "auto");
        good.check().unwrap();
        let broken = |change: &dyn Fn(&mut Manifest)| {
            let mut bad = good.clone();
            change(&mut bad);
            bad.check().err().and_then(|e| e.field().map(str::to_owned)).unwrap_or_default()
        };
        assert_eq!(broken(&|m| m.connector = "pulumi".into()), "connector");
        assert_eq!(broken(&|m| m.module = "../other".into()), "module");
        assert_eq!(broken(&|m| m.module = "/etc".into()), "module");
        assert_eq!(broken(&|m| m.inputs = json!(true)), "inputs");
        assert_eq!(broken(&|m| m.sensitive_inputs = vec!["nope".into()]), "inputs");
        assert_eq!(
            broken(&|m| m.inputs = json!({"type": "object", "properties": {"rotation": {}, "monthly_usd": {}}})),
            "inputs"
        );
        assert_eq!(broken(&|m| m.cost.monthly_usd = Some(1.0)), "cost");
        assert_eq!(broken(&|m| m.timeout_secs = 0), "timeout_secs");
        let with = |m: &mut Manifest, name: &str| drop(m.outputs.insert(name.to_owned(), m.outputs["token"].clone()));
        assert_eq!(broken(&|m| (0..30).for_each(|n| with(m, &format!("token_{n}")))), "outputs");
        let shared = |m: &mut Manifest| {
            m.inputs["properties"]["token"] = json!({"type": "string"});
            m.sensitive_inputs = vec!["token".into()];
        };
        assert_eq!(broken(&shared), "outputs");
    }

    #[test]
    fn defaults_count_like_given_values() {
        let mut service = manifest("local", "auto");
        service.approval = Approval::ByInput(ByInput { input: "size".into(), human: vec![json!("l")] });
        let spec = |value: Value| value.as_object().cloned().unwrap();
        assert!(!service.asks_human(&spec(json!({}))));
        assert!(service.asks_human(&spec(json!({"size": "l"}))));
        assert_eq!(service.monthly(&spec(json!({}))).unwrap(), Usd::from_dollars(2));
        assert_eq!(service.monthly(&spec(json!({"monthly_usd": 0.5}))).unwrap(), Usd::from_micros(500_000));
        assert!(service.monthly(&spec(json!({"monthly_usd": -1}))).is_err());
    }
}
