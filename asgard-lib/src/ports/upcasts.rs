//! Layouts that earlier versions wrote: for each kind of record that has changed, a pure step from each layout to the next.
//! The number of steps, and one, is the layout that this code writes. A step is never changed once a version has shipped it.

use super::records::Upcast;
use crate::{domain::secret::REFERENCE, kernel::SecretId};
use serde_json::{Map, Value, json};

type Body = Map<String, Value>;

/// Accounts.
pub(crate) const USER: &[Upcast] = &[identities];
/// Projects.
pub(crate) const PROJECT: &[Upcast] = &[as_it_is];
/// Project keys.
pub(crate) const PROJECT_KEY: &[Upcast] = &[as_it_is];
/// Requests.
pub(crate) const REQUEST: &[Upcast] = &[accounts_of_actors, references_of_command];
/// Resources.
pub(crate) const RESOURCE: &[Upcast] = &[references, as_it_is];

/// The next layout only adds fields, and their absence means what it meant before: that no account is known, only an
/// address; that nobody knows how much of a resource's cost a person has approved.
#[allow(clippy::unnecessary_wraps, reason = "a step may fail")]
fn as_it_is(body: Body) -> Option<Body> {
    Some(body)
}

/// Version 0.1.0 knew people by username and address alone. An admin or the operator made each account, so the address
/// counts as verified. Accounts of people whom a host had signed in cannot be told apart: nobody knows their passwords.
fn identities(mut body: Body) -> Option<Body> {
    let identity =
        json!({ "issuer": "local", "subject": body.get("username")?, "email": body.get("email")?, "verified": true });
    body.insert("identities".into(), Value::Array(vec![identity]));
    Some(body)
}

/// Version 0.1.0 named the account of somebody with a session by the actor's id alone.
fn accounts_of_actors(mut body: Body) -> Option<Body> {
    name_account(body.get_mut("requested_by")?)?;
    if let Some(decision) = body.get_mut("decision").filter(|decision| !decision.is_null()) {
        name_account(decision.get_mut("by")?)?;
    }
    Some(body)
}

fn name_account(actor: &mut Value) -> Option<()> {
    let actor = actor.as_object_mut()?;
    if actor.get("kind")? == "human" {
        let user = actor.get("id")?.clone();
        actor.insert("user".into(), user);
    }
    Some(())
}

/// Versions before kept where a sensitive input's value is among the values of the spec. What looks so is moved beside it; whether it
/// is a value of the resource's own is asked when it is used.
fn references(mut body: Body) -> Option<Body> {
    let spec = body.get_mut("spec")?.as_object_mut()?;
    let mut moved = Map::new();
    spec.retain(|input, value| match reference(value) {
        Some(reference) => {
            moved.insert(input.clone(), reference);
            false
        }
        None => true,
    });
    if !moved.is_empty() {
        body.insert("secret_inputs".into(), Value::Object(moved));
    }
    Some(body)
}

/// Exactly what was written for a reference, and nothing that only looks like it.
fn reference(value: &Value) -> Option<Value> {
    let map = value.as_object().filter(|map| map.len() == 2)?;
    let secret: SecretId = map.get(REFERENCE)?.as_str()?.parse().ok()?;
    let version = u32::try_from(map.get("version")?.as_u64()?).ok()?;
    Some(json!({ "secret": secret, "version": version }))
}

/// The same in what a request asks for.
fn references_of_command(mut body: Body) -> Option<Body> {
    let command = body.get_mut("command")?.as_object_mut()?;
    if command.contains_key("spec") {
        let moved = references(std::mem::take(command))?;
        *command = moved;
    }
    Some(body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::person::User,
        kernel::{Issuer, IssuerSubject},
    };

    fn stepped(steps: &[Upcast], body: Value) -> Option<Value> {
        let Value::Object(body) = body else { panic!("an object") };
        steps.iter().try_fold(body, |body, step| step(body)).map(Value::Object)
    }

    #[test]
    fn accounts_of_version_0_1_0_have_their_local_identity() {
        let old = json!({
            "id": "usr_00000000000000000000000001", "username": "ann", "email": "ann@corp.example", "role": "member", "active": true,
            "password": "$argon2id$x", "credentials_from": "2026-06-01T09:00:00Z", "created_at": "2026-06-01T09:00:00Z",
        });
        let user: User = serde_json::from_value(stepped(USER, old).unwrap()).unwrap();
        let local = user.identity(&Issuer::local(), &IssuerSubject::from(&user.username)).unwrap();
        assert!(local.verified && user.has(&"ann@corp.example".parse().unwrap()) && user.password.is_some());
        assert_eq!(stepped(USER, json!({ "id": "x" })), None, "what was never written is not made up");
    }

    #[test]
    fn references_among_the_values_of_a_spec_are_beside_it() {
        let id = SecretId::from_digest(&[7; 32]);
        let (one, more) = (json!({ "$secret": id, "version": 3 }), json!({ "$secret": id, "version": 3, "more": 1 }));
        let spec = json!({
            "size": "s", "password": one, "more": more, "nested": { "in": one }, "list": [one], "text": one.to_string(),
            "id": { "$secret": id }, "other": { "$secret": "x", "version": 1 },
        });
        let new = stepped(RESOURCE, json!({ "id": "res_1", "spec": spec })).unwrap();
        assert_eq!(new["secret_inputs"], json!({ "password": { "secret": id, "version": 3 } }));
        let mut left = spec;
        left.as_object_mut().unwrap().remove("password");
        assert_eq!(new["spec"], left, "what only looks like a reference is a value");
        let actor = json!({ "kind": "system", "id": "x" });
        let old = json!({ "requested_by": actor, "command": { "do": "provision", "spec": { "password": one } } });
        let new = stepped(REQUEST, old).unwrap();
        let command: crate::domain::request::Command = serde_json::from_value(new["command"].clone()).unwrap();
        let crate::domain::request::Command::Provision { spec } = &command else { panic!("{command:?}") };
        assert!(spec.is_empty() && spec.secret_inputs["password"].version == 3);
        assert_eq!(serde_json::to_value(&command).unwrap(), new["command"]);
        let old = json!({ "requested_by": actor, "command": { "do": "deprovision" } });
        assert_eq!(stepped(REQUEST, old.clone()).unwrap(), old);
        assert_eq!(stepped(RESOURCE, json!({ "id": "res_1" })), None, "what was never written is not made up");
    }

    #[test]
    fn the_accounts_of_whoever_asked_and_decided_are_named() {
        let human = json!({ "kind": "human", "id": "usr_00000000000000000000000001", "person": "ann@corp.example" });
        let key =
            json!({ "kind": "project_key", "id": "key_00000000000000000000000001", "person": "ann@corp.example" });
        let command = json!({ "do": "deprovision" });
        let old = json!({ "requested_by": key, "decision": { "by": human, "note": "fine" }, "command": command });
        let new = stepped(REQUEST, old).unwrap();
        assert_eq!(new["decision"]["by"]["user"], "usr_00000000000000000000000001");
        assert_eq!(new["requested_by"], key);
        assert!(stepped(REQUEST, json!({ "requested_by": human, "command": command })).is_some());
    }
}
