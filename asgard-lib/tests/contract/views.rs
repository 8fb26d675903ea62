//! The analysts' views on both dialects: they have the same columns, every column shows something, and nothing that they
//! should keep to themselves.

use asgard_lib::{
    contract::store_fixture::{StoreFixture, noon},
    domain::{
        audit::AuditEvent, credential::ProjectKey, project::Project, request::Request, resource::Resource, run::Run,
        secret::Secret,
    },
    ports::{
        records::{Entity, draft},
        store::{Op, Store},
    },
};
use serde_json::{Value, json};

/// The views in order.
pub const VIEWS: &[&str] =
    &["v_projects", "v_project_keys", "v_requests", "v_resources", "v_runs", "v_secrets", "v_audit_events"];
/// What stands where no view may show it.
pub const HIDDEN: &str = "must-not-be-seen";
/// Where every amount of money stands.
pub const MONEY: i64 = 12_345_678;

fn op<T: Entity>(body: Value) -> Op {
    let value: T = serde_json::from_value(body).unwrap_or_else(|e| panic!("{}: {e}", T::NOUN));
    Op::Insert(draft(&value).unwrap())
}

/// Commits one record of each kind, with every field that a view shows.
pub async fn fill(store: &dyn Store) {
    let at = "2026-11-22T12:00:00.000001Z";
    let id = |prefix: &str| format!("{prefix}_00000000000000000000000001");
    let who = json!({ "kind": "human", "id": id("usr"), "person": "ann@corp.example", "user": id("usr") });
    let target = json!({ "cloud": "aws", "account": "123", "region": "eu-west-1" });
    let plan = json!({ "create": 1, "update": 2, "replace": 3, "delete": 4, "outputs_changed": false, "changes": [], "digest": "d" });
    let project = "proj-2026-0001";
    let key = ProjectKey::KIND;
    let fixture = StoreFixture::new(store);
    fixture.commit([
        op::<Project>(json!({
            "id": project, "name": "Editor", "owner": "ann@corp.example", "manager": "bob@corp.example", "owner_user": id("usr"), "manager_user": id("usr"), "group": "tools",
            "cost_center": "cc-1", "classification": "poc", "data_class": "internal", "budget": MONEY, "description": "d",
            "evidence": { "runbook_url": "https://x" }, "status": { "state": "active" }, "created_at": at, "created_by": who, "updated_at": at,
        })),
        op::<ProjectKey>(json!({
            "id": id("key"), "project": project, "name": "ci", "hash": HIDDEN, "suffix": "abcd", "minted_by": "ann@corp.example", "minted_by_user": id("usr"),
            "created_at": at, "valid_until": at, "revoked_at": at,
        })),
        op::<Request>(json!({
            "id": id("req"), "project": project, "project_name": "Editor", "resource": id("res"), "service": "s3-bucket", "name": "logs",
            "target": target, "command": { "do": "provision", "spec": { "token": HIDDEN } }, "status": "failed", "requested_by": who,
            "monthly": MONEY, "reserved": MONEY, "verdict": { "verdict": "human", "reason": "tier" },
            "decision": { "by": who, "at": at, "note": "fine", "self_approval": true }, "error": "no", "created_at": at, "updated_at": at,
        })),
        op::<Resource>(json!({
            "id": id("res"), "project": project, "service": "s3-bucket", "name": "logs", "target": target, "status": "provisioned",
            "spec": { "token": HIDDEN }, "outputs": { "url": HIDDEN }, "committed": MONEY, "dry_run": true, "attention": "look",
            "request": id("req"), "created_at": at, "created_by": who, "provisioned_at": at, "refreshed_at": at, "updated_at": at,
        })),
        op::<Run>(json!({
            "id": id("run"), "project": project, "resource": id("res"), "request": id("req"), "op": "apply", "status": "failed",
            "actor": who, "trace": id("trc"), "attempts": 2, "runner": "local", "engine": "terraform 1.9", "summary": plan,
            "error": "no", "created_at": at, "started_at": at, "finished_at": at,
        })),
        op::<Secret>(json!({
            "id": id("sec"), "project": project, "resource": id("res"), "name": "s.logs.token", "output": "token", "version": 3,
            "created_at": at, "rotated_at": at,
        })),
        op::<AuditEvent>(json!({
            "id": id("evt"), "at": at, "day": "2026-11-22", "project": project, "actor": who, "action": "request.failed", "object": id("req"),
            "trace": id("trc"), "details": { "a": "b\u{0}c" }, "block": 7,
        })),
    ])
    .await;
    store.note(&asgard_lib::ports::store::Key::new(key, id("key")), noon()).await.unwrap();
}
