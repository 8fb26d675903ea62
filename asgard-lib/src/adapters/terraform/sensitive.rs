//! Which values are secret, as Terraform itself tells: everything that it marks as sensitive in a plan or a state, by the
//! module's own marks and by the providers' schemas. Read from `show -json`, which stays in memory.

use serde_json::Value;
use std::collections::BTreeSet;

/// Adds every text in `value`, and numbers as they are written.
pub(super) fn texts(value: &Value, all: &mut BTreeSet<String>) {
    match value {
        Value::Null | Value::Bool(_) => {}
        Value::Number(number) => drop(all.insert(number.to_string())),
        Value::String(text) => drop(all.insert(text.clone())),
        Value::Array(items) => items.iter().for_each(|item| texts(item, all)),
        Value::Object(fields) => fields.values().for_each(|field| texts(field, all)),
    }
}

/// Adds the texts in `value` that `marks` marks: `true` marks everything below it, an object or array marks parts.
fn marked(value: &Value, marks: &Value, all: &mut BTreeSet<String>) {
    match (marks, value) {
        (Value::Bool(true), _) => texts(value, all),
        (Value::Object(marks), Value::Object(fields)) => {
            for (name, marks) in marks {
                if let Some(field) = fields.get(name) {
                    marked(field, marks, all);
                }
            }
        }
        (Value::Array(marks), Value::Array(items)) => {
            for (marks, item) in marks.iter().zip(items) {
                marked(item, marks, all);
            }
        }
        // Marks of another shape than the value: better too much than too little.
        (Value::Object(marks), Value::Array(_)) if !marks.is_empty() => texts(value, all),
        (Value::Array(marks), Value::Object(_)) if !marks.is_empty() => texts(value, all),
        _ => {}
    }
}

/// The secret values in what `show -json` says about a plan or a state.
pub(super) fn of_shown(shown: &Value) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    let list = |name: &str| shown.get(name).and_then(Value::as_array).into_iter().flatten();
    let outputs =
        shown.get("output_changes").and_then(Value::as_object).into_iter().flatten().map(|(_, change)| change);
    let changes = list("resource_changes").chain(list("resource_drift")).filter_map(|resource| resource.get("change"));
    for change in changes.chain(outputs) {
        for (value, marks) in [("before", "before_sensitive"), ("after", "after_sensitive")] {
            if let (Some(value), Some(marks)) = (change.get(value), change.get(marks)) {
                marked(value, marks, &mut all);
            }
        }
    }
    let prior = shown.get("prior_state").and_then(|prior| prior.get("values"));
    for values in [shown.get("values"), shown.get("planned_values"), prior].into_iter().flatten() {
        for output in values.get("outputs").and_then(Value::as_object).into_iter().flatten().map(|(_, output)| output) {
            if output.get("sensitive") == Some(&Value::Bool(true)) {
                texts(output.get("value").unwrap_or(&Value::Null), &mut all);
            }
        }
        if let Some(root) = values.get("root_module") {
            of_module(root, &mut all);
        }
    }
    let declared =
        shown.pointer("/configuration/root_module/variables").and_then(Value::as_object).into_iter().flatten();
    for (name, _) in declared.filter(|(_, variable)| variable.get("sensitive") == Some(&Value::Bool(true))) {
        let given = shown.get("variables").and_then(|variables| variables.get(name)?.get("value"));
        texts(given.unwrap_or(&Value::Null), &mut all);
    }
    all
}

/// Modules nest as deep as the JSON parser allows, which is not deep.
fn of_module(module: &Value, all: &mut BTreeSet<String>) {
    for resource in module.get("resources").and_then(Value::as_array).into_iter().flatten() {
        if let (Some(values), Some(marks)) = (resource.get("values"), resource.get("sensitive_values")) {
            marked(values, marks, all);
        }
    }
    for child in module.get("child_modules").and_then(Value::as_array).into_iter().flatten() {
        of_module(child, all);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_place_that_marks_a_secret_is_read() {
        let shown = json!({
            "variables": {"open": {"value": "no-0"}, "hidden": {"value": {"deep": ["yes-01"]}}},
            "configuration": {"root_module": {"variables": {"open": {}, "hidden": {"sensitive": true}}}},
            "resource_changes": [{"change": {
                "before": {"a": "yes-02", "b": "no-1"}, "before_sensitive": {"a": true},
                "after": {"list": ["no-2", "yes-03"], "all": {"x": "yes-04", "n": 1234567}, "shape": ["yes-05"]},
                "after_sensitive": {"list": [false, true], "all": true, "shape": {"0": true}}}}],
            "resource_drift": [{"change": {"before": "yes-06", "before_sensitive": true, "after": null, "after_sensitive": false}}],
            "output_changes": {"o": {"before": null, "after": "yes-07", "before_sensitive": false, "after_sensitive": true}},
            "planned_values": {"outputs": {"p": {"sensitive": true, "value": "yes-08"}, "q": {"sensitive": false, "value": "no-3"}},
                "root_module": {"child_modules": [{"resources": [{"values": {"k": "yes-09"}, "sensitive_values": {"k": true}}]}]}},
            "prior_state": {"values": {"root_module": {"resources": [{"values": {"k": "yes-10", "l": "no-4"}, "sensitive_values": {"k": true}}]}}},
            "values": {"outputs": {"s": {"sensitive": true, "value": ["yes-11"]}}}
        });
        let mut expected: BTreeSet<String> = (1..=11).map(|n| format!("yes-{n:02}")).collect();
        expected.insert("1234567".into());
        assert_eq!(of_shown(&shown), expected);
        assert!(of_shown(&json!({"format_version": "1.0"})).is_empty());
        assert!(of_shown(&json!([1, "x"])).is_empty());
    }
}
