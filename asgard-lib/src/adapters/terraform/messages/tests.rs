use super::*;
use serde_json::{Value, json};

fn now() -> Timestamp {
    Timestamp::from_millis(0)
}

fn parse(message: &Value) -> Message {
    read(&message.to_string(), now()).unwrap().1
}

fn hook(kind: &str, more: Value) -> Value {
    let mut hook = json!({"resource": {"addr": "a.b"}});
    hook.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({"@level": "info", "@message": "a.b: something [id=very-secret-id]", "@timestamp": "2026-11-22T02:24:29.264523Z", "hook": hook, "type": kind})
}

#[test]
fn known_messages_become_lines_of_known_fields() {
    let of =
        |message: Value| parse(&message).line(now()).map(|line| (line.kind, line.level, line.address, line.message));
    let expect =
        |kind: &str, level: &str, message: &str| Some((kind.into(), level.into(), Some("a.b".into()), message.into()));
    for (message, expected) in [
        (hook("apply_start", json!({"action": "create"})), expect("apply_start", "info", "Creating...")),
        (
            hook("apply_progress", json!({"action": "delete", "elapsed_seconds": 10})),
            expect("apply_progress", "info", "Still destroying after 10 s"),
        ),
        (
            hook("apply_complete", json!({"action": "update", "elapsed_seconds": 2.7, "id_value": "very-secret-id"})),
            expect("apply_complete", "info", "Change complete after 2 s"),
        ),
        (
            hook("apply_errored", json!({"action": "create", "elapsed_seconds": 0})),
            expect("apply_errored", "error", "Creation failed after 0 s"),
        ),
        (
            hook("provision_errored", json!({"provisioner": "local-exec"})),
            expect("provision_errored", "error", "Its provisioner failed"),
        ),
        (
            hook("refresh_start", json!({"id_value": "very-secret-id"})),
            expect("refresh_start", "info", "Reading its present state"),
        ),
        (hook("refresh_complete", json!({"id_value": "very-secret-id"})), None),
        (hook("provision_progress", json!({"output": "very-secret-id"})), None),
        (hook("ephemeral_op_start", json!({})), None),
    ] {
        assert_eq!(of(message.clone()), expected, "{message}");
    }
    let planned =
        json!({"type": "planned_change", "change": {"resource": {"addr": "a.b"}, "action": "very-secret-action"}});
    assert_eq!(of(planned), expect("planned_change", "info", "Plan to change"));
    let drift = json!({"type": "resource_drift", "change": {"resource": {"addr": "a.b"}, "action": "update"}});
    assert_eq!(of(drift), expect("resource_drift", "warn", "Changed outside of Asgard (update)"));
}

#[test]
fn words_wait() {
    assert_eq!(
        parse(&hook("provision_progress", json!({"output": "hi"}))),
        Message::Printed { address: "a.b".into(), text: "hi".into() }
    );
    let found = json!({"type": "diagnostic", "diagnostic": {"severity": "error", "summary": "s", "detail": "d", "address": "a.b", "snippet": {"code": "x"}}});
    let expected =
        Message::Diagnostic { error: true, address: Some("a.b".into()), summary: "s".into(), detail: "d".into() };
    assert_eq!(parse(&found), expected);
    assert_eq!(parse(&json!({"type": "new_thing", "@message": "m"})), Message::Words { text: "m".into() });
    assert_eq!(parse(&json!({"type": "log", "@message": "\nInterrupt received.\nPlease wait"})), Message::Interrupt);
    assert_eq!(
        parse(&json!({"type": "log", "@message": "an Interrupt received"})),
        Message::Words { text: "an Interrupt received".into() }
    );
    for line in ["panic: runtime error", "[1, 2]", "{\"type\": 7}", "{\"hook\": []}"] {
        assert_eq!(read(line, now()).unwrap().1, Message::Words { text: line.into() });
    }
    assert_eq!(read("  ", now()).unwrap().1, Message::Nothing);
}

#[test]
fn an_unknown_major_version_is_refused() {
    let version = |ui: Value| read(&json!({"type": "version", "terraform": "1.11.4", "ui": ui}).to_string(), now());
    for known in ["1.0", "1.2", "1.99"] {
        assert_eq!(version(json!(known)).unwrap().1, Message::Version { ui: known.into() });
    }
    for unknown in [json!("2.0"), json!("11.0"), json!(""), Value::Null] {
        assert_eq!(version(unknown.clone()).unwrap_err().code(), Code::EngineMissing, "{unknown}");
    }
    assert!(read(r#"{"type": "version", "tofu": "1.8.0", "ui": "1.2"}"#, now()).is_err());
}
