//! What Asgard reads of a Terraform state: enough to order states and to know what is in them, and no more.

use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeSet;

/// What orders states.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Version {
    /// Terraform's format.
    version: u64,
    /// Grows with every change.
    pub serial: u64,
    /// Never changes.
    pub lineage: String,
}

/// The version of a state; `None` when the bytes are not a whole one. Terraform rewrites its file in place, so a reader may
/// well see half of it.
pub(super) fn version(bytes: &[u8]) -> Option<Version> {
    serde_json::from_slice(bytes).ok().filter(|version: &Version| version.version == 4 && !version.lineage.is_empty())
}

#[derive(Deserialize)]
struct Contents {
    #[serde(default)]
    resources: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
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
    index_key: Option<Value>,
    #[serde(default)]
    deposed: Option<String>,
}

/// The addresses of the things in a state, as Terraform's messages write them.
pub(super) fn addresses(bytes: &[u8]) -> BTreeSet<String> {
    let contents: Contents = serde_json::from_slice(bytes).unwrap_or(Contents { resources: Vec::new() });
    let mut all = BTreeSet::new();
    for resource in contents.resources.iter().filter(|resource| resource.mode == "managed") {
        let module = resource.module.as_deref().map_or_else(String::new, |module| format!("{module}."));
        for instance in resource.instances.iter().filter(|instance| instance.deposed.is_none()) {
            let key = match &instance.index_key {
                None | Some(Value::Null) => String::new(),
                // A key's quotes and backslashes are written as JSON writes them.
                Some(key) => format!("[{key}]"),
            };
            all.insert(format!("{module}{}.{}{key}", resource.r#type, resource.name));
        }
    }
    all
}

/// Every text in a state that could be a value of something: what is hidden when Terraform cannot be asked what is secret.
pub(super) fn every_text(bytes: &[u8]) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let state: Value = serde_json::from_slice(bytes).unwrap_or(Value::Null);
    let outputs = state.get("outputs").and_then(Value::as_object).into_iter().flatten().map(|(_, output)| output);
    let resources = state.get("resources").and_then(Value::as_array).into_iter().flatten();
    let instances = resources.filter_map(|resource| resource.get("instances")?.as_array()).flatten();
    for value in outputs
        .filter_map(|output| output.get("value"))
        .chain(instances.filter_map(|instance| instance.get("attributes")))
    {
        super::sensitive::texts(value, &mut all);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn half_a_state_is_no_state() {
        let whole = json!({"version": 4, "serial": 3, "lineage": "l", "resources": [], "outputs": {}}).to_string();
        assert_eq!(version(whole.as_bytes()).map(|v| (v.serial, v.lineage)), Some((3, "l".into())));
        for cut in 0..whole.len() {
            assert_eq!(version(&whole.as_bytes()[..cut]), None, "{cut}");
        }
        assert_eq!(version(br#"{"version": 3, "serial": 3, "lineage": "l"}"#), None);
    }

    #[test]
    fn addresses_are_written_as_terraform_writes_them() {
        let state = json!({"version": 4, "serial": 1, "lineage": "l", "resources": [
            {"mode": "managed", "type": "a", "name": "one", "instances": [{}]},
            {"mode": "managed", "type": "a", "name": "many", "instances": [{"index_key": 0}, {"index_key": "x\"y"}, {"deposed": "1"}]},
            {"mode": "managed", "module": "module.m[\"k\"]", "type": "b", "name": "in", "instances": [{"attributes": {"v": ["secretish"]}}]},
            {"mode": "data", "type": "d", "name": "read", "instances": [{}]},
        ], "outputs": {"o": {"value": "outputtext"}}})
        .to_string();
        let all = addresses(state.as_bytes());
        let expected = ["a.many[\"x\\\"y\"]", "a.many[0]", "a.one", "module.m[\"k\"].b.in"];
        assert_eq!(all.iter().map(String::as_str).collect::<Vec<_>>(), expected);
        assert_eq!(every_text(state.as_bytes()).into_iter().collect::<Vec<_>>(), ["outputtext", "secretish"]);
    }
}
