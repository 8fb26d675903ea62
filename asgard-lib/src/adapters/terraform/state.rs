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

/// Whether a state has nothing in it that was made. Bytes that cannot be read may have anything in them.
pub(super) fn is_empty(bytes: &[u8]) -> bool {
    let state: Value = serde_json::from_slice(bytes).unwrap_or(Value::Null);
    let read = |resource: &Value| resource.get("mode").and_then(Value::as_str) == Some("data");
    version(bytes).is_some() && state.get("resources").and_then(Value::as_array).is_some_and(|all| all.iter().all(read))
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
    fn only_a_whole_state_without_anything_made_is_empty() {
        let of = |resources: Value| {
            json!({"version": 4, "serial": 3, "lineage": "l", "resources": resources}).to_string().into_bytes()
        };
        assert!(is_empty(&of(json!([]))) && is_empty(&of(json!([{"mode": "data", "type": "d"}]))));
        for some in [json!([{"mode": "managed"}]), json!([{"type": "unknown"}]), json!(["x"]), json!({}), json!(null)] {
            assert!(!is_empty(&of(some.clone())), "{some}");
        }
        assert!(!is_empty(b"{\"resources\": []}") && !is_empty(b"{"));
    }

    #[test]
    fn every_text_that_could_be_a_value_is_found() {
        let state = json!({"version": 4, "serial": 1, "lineage": "l", "resources": [
            {"mode": "managed", "type": "b", "name": "in", "instances": [{"attributes": {"v": ["secretish"]}}]},
            {"mode": "data", "type": "d", "name": "read", "instances": [{}]},
        ], "outputs": {"o": {"value": "outputtext"}}})
        .to_string();
        assert_eq!(every_text(state.as_bytes()).into_iter().collect::<Vec<_>>(), ["outputtext", "secretish"]);
    }
}
