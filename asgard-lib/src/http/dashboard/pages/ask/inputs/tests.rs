use super::*;
use crate::http::dashboard::widgets::FormData;
use serde_json::json;

fn schema() -> Value {
    json!({"type": "object", "required": ["image", "subnets"], "properties": {
        "image": {"type": "string", "description": "What runs.", "maxLength": 200},
        "subnets": {"type": "array", "items": {"type": "string"}},
        "ports": {"type": "array", "items": {"type": "integer"}},
        "count": {"type": "integer", "minimum": 1, "maximum": 5, "default": 2},
        "usd": {"type": ["number", "null"]},
        "size": {"enum": ["s", "l"], "default": "s"},
        "level": {"enum": [1, 2]},
        "public": {"type": "boolean"},
        "env": {"type": "object", "additionalProperties": {"type": "string"}},
        "grants": {"type": "object", "properties": {"read": {"type": "array", "items": {"type": "string"}}}},
        "odd": {"oneOf": [{"type": "string"}, {"type": "integer"}]},
        "token": {"type": "string"}
    }})
}

fn inputs() -> Inputs {
    Inputs::of(&schema(), &["token".to_owned()])
}

fn filled(pairs: &[(&str, &str)]) -> Filled {
    inputs().read(&FormData::of_pairs(pairs))
}

#[test]
fn every_kind_of_input_has_a_field_with_its_help_and_default() {
    let inputs = inputs();
    let groups = inputs.fields(None);
    let names: Vec<&str> = groups.iter().flat_map(|(_, fields)| fields.iter().map(Field::name)).collect();
    assert_eq!(names.get(..2), Some(&["spec.image", "spec.subnets"][..]), "required ones come first");
    assert!(names.contains(&"spec.grants.read"), "objects become groups of fields: {names:?}");
    assert_eq!(groups.iter().filter_map(|(group, _)| group.as_deref()).collect::<Vec<_>>(), ["Grants"]);
    let html: String = groups.iter().flat_map(|(_, fields)| fields.iter().map(ToString::to_string)).collect();
    for piece in [
        "What runs.",
        r#"maxlength="200""#,
        r#"type="password""#,
        r#"value="2""#,
        r#"min="1" max="5""#,
        r#"<option value="s" selected>s</option>"#,
        "One a line.",
        "NAME=value, one a line.",
    ] {
        assert!(html.contains(piece), "{piece} in {html}");
    }
}

#[test]
fn a_filled_form_becomes_the_spec_and_empty_fields_are_left_out() {
    let Filled::Spec(spec) = filled(&[
        ("spec.image", " app:1 "),
        ("spec.subnets", "a\r\n\r\n b \r\n"),
        ("spec.ports", "80\n443"),
        ("spec.count", "3"),
        ("spec.usd", "1,000.5"),
        ("spec.size", "l"),
        ("spec.level", "2"),
        ("spec.public", "false"),
        ("spec.env", "A=1\nB=x=y"),
        ("spec.grants.read", "arn:1"),
        ("spec.odd", "[1]"),
        ("spec.token", " secret "),
        ("spec.unknown", "ignored"),
    ]) else {
        panic!("it is all right")
    };
    let expected = json!({"image": "app:1", "subnets": ["a", "b"], "ports": [80, 443], "count": 3, "usd": 1000.5, "size": "l",
        "level": 2, "public": false, "env": {"A": "1", "B": "x=y"}, "grants": {"read": ["arn:1"]}, "odd": [1], "token": " secret "});
    assert_eq!(Value::Object(spec), expected);
    let Filled::Spec(spec) = filled(&[("spec.image", "a"), ("spec.subnets", "a"), ("spec.env", "")]) else {
        panic!("only the required ones are needed")
    };
    assert_eq!(spec.len(), 2);
}

#[test]
fn every_wrong_field_is_named_at_once() {
    let Filled::Wrong(errors) =
        filled(&[("spec.count", "two"), ("spec.env", "A"), ("spec.size", "m"), ("spec.ports", "x")])
    else {
        panic!("it is all wrong")
    };
    let mut fields: Vec<&str> = errors.iter().filter_map(Error::field).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["spec.count", "spec.env", "spec.image", "spec.ports", "spec.size", "spec.subnets"]);
}

#[test]
fn what_a_resource_has_is_filled_in_again_except_secrets() {
    let spec = json!({"image": "app:2", "subnets": ["a", "b"], "grants": {"read": ["x"]}, "count": 4});
    let html: String = inputs()
        .fields(spec.as_object())
        .iter()
        .flat_map(|(_, fields)| fields.iter().map(ToString::to_string))
        .collect();
    assert!(html.contains("app:2") && html.contains("a\nb") && html.contains(r#"value="4""#), "{html}");
    assert!(html.contains(r#"name="spec.token""#), "a secret is asked for and not shown: {html}");
}
