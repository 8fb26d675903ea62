//! Bodies that a newcomer can send as they are. A test checks each against its schema.

use serde_json::{Value, json};

/// An example body of an operation.
pub(super) fn example(operation: &str) -> Option<Value> {
    Some(match operation {
        "auth.login" => json!({ "username": "admin", "password": "the password printed at the first start" }),
        "tokens.create" => json!({ "name": "laptop" }),
        "users.create" => json!({
            "username": "ann", "password": "correct horse battery", "email": "ann@corp.example", "role": "member",
        }),
        "projects.register" => json!({
            "name": "Pilot", "owner_email": "owner@corp.example", "manager_email": "mgr@corp.example",
            "group": "platform", "budget_usd": 100,
        }),
        "keys.mint" => json!({ "name": "agent" }),
        "requests.create" => {
            json!({ "project_id": "proj-2026-0001", "service": "local-demo", "name": "demo", "spec": {} })
        }
        "requests.reject" => json!({ "note": "Use the shared bucket instead." }),
        _ => return None,
    })
}
