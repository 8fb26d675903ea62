//! Layouts that earlier versions wrote: for each kind of record that has changed, a pure step from each layout to the next.
//! The number of steps, and one, is the layout that this code writes. A step is never changed once a version has shipped it.

use super::records::Upcast;
use serde_json::{Map, Value, json};

type Body = Map<String, Value>;

/// Accounts.
pub(crate) const USER: &[Upcast] = &[identities];
/// Projects.
pub(crate) const PROJECT: &[Upcast] = &[as_it_is];
/// Project keys.
pub(crate) const PROJECT_KEY: &[Upcast] = &[as_it_is];
/// Requests.
pub(crate) const REQUEST: &[Upcast] = &[accounts_of_actors];

/// The next layout only adds fields, and their absence means what it meant before: that no account is known, only an
/// address.
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
    fn the_accounts_of_whoever_asked_and_decided_are_named() {
        let human = json!({ "kind": "human", "id": "usr_00000000000000000000000001", "person": "ann@corp.example" });
        let key =
            json!({ "kind": "project_key", "id": "key_00000000000000000000000001", "person": "ann@corp.example" });
        let old = json!({ "requested_by": key, "decision": { "by": human, "note": "fine" } });
        let new = stepped(REQUEST, old).unwrap();
        assert_eq!(new["decision"]["by"]["user"], "usr_00000000000000000000000001");
        assert_eq!(new["requested_by"], key);
        assert!(stepped(REQUEST, json!({ "requested_by": human })).is_some());
    }
}
